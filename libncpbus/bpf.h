/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf.h - classic BPF: check a program once, run it on frames. */
#ifndef NCPI_BPF_H
#define NCPI_BPF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ncp_bpf_insn;

/* A checked program, in the form it is run in. */
struct ncpi_bpf;

/* Instructions of a program at most: what the kernel allows, and ten times what pcap_compile() makes
 * of a long expression. */
#define NCPI_BPF_MAX 32768u

/*
 * ncpi_bpf_make - check a program and prepare it: pairs and runs of instructions become one step.
 *
 * Checked: every opcode is known, every jump stays inside and every conditional one goes
 * forward, every scratch word exists, no constant divides by zero or shifts by 32, the last
 * instruction returns.  Such a program reads nothing but the frame, and ends: without jumps backward
 * after n steps, else a frame on which it makes more of them than any frame has headers is rejected.
 * Returns 0, NCP_EFILTER, -ENOMEM.
 * Source: McCanne and Jacobson 1993; the kernel's Documentation/networking/filter.rst.
 */
int ncpi_bpf_make(struct ncpi_bpf **b, const struct ncp_bpf_insn *program, size_t n)
	__attribute__((warn_unused_result));

void ncpi_bpf_free(struct ncpi_bpf *b); /* NULL is fine */

/*
 * ncpi_bpf_run - run a program on a frame; 0: not accepted.
 *
 *   data  caplen bytes, which may change meanwhile (a frame in the ring)
 *   len   bytes on the wire: what "len" means
 *
 * A load beyond caplen, or a division by a zero X, rejects.
 */
uint32_t ncpi_bpf_run(const struct ncpi_bpf *b, const uint8_t *data, uint32_t caplen, uint32_t len);

#endif
