/* SPDX-License-Identifier: BSD-2-Clause */
/* filter.h - programs of pcap_compile(), also those made for a live interface of Linux. */
#ifndef PCAP_SHIM_FILTER_H
#define PCAP_SHIM_FILTER_H

#include <pcap/pcap.h>
#include <stdbool.h>

/*
 * A program in the form that a frame alone decides.  For a live interface pcap_compile() makes loads
 * that ask the kernel (SKF_AD_*, linux/filter.h):
 *   - for a VLAN tag that was taken out of the frame: on a bus tags are in the frame, so there is none;
 *   - for the type of the packet ("inbound", "outbound"): there is a program for each of the two.
 */
struct filter {
	struct bpf_program in, out; /* bf_len 0: everything.  out: only if split */
	bool split;
};

/* filter_make - copy a program of bf_len instructions.  0, or -1: out of memory.  What else is wrong
 * with it is left in it. */
int filter_make(struct filter *f, const struct bpf_program *program)
	__attribute__((warn_unused_result));

void filter_free(struct filter *f);

#endif
