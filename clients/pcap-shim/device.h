/* SPDX-License-Identifier: BSD-2-Clause */
/* device.h - what a program names as its device: a bus, and how to read it. */
#ifndef PCAP_SHIM_DEVICE_H
#define PCAP_SHIM_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The environment's options for every device: those of the device's own name come after. */
#define DEVICE_ENV "NCP_PCAP_OPTIONS"

enum device_from { FROM_LATEST = 0, FROM_OLDEST, FROM_SEQ, FROM_AGO, FROM_TIME };

/*
 *	ncp:BUS[?OPTION[&OPTION]...]		"," separates as well as "&"
 *
 *	from=oldest|latest|seq:N|-DURATION|TIME	where to start
 *	exit-on-close				a bus that is stopped or dead has ended, too
 *	ordered					frames in the order of their times
 *	reliable				the producer waits for this program
 *	shard=I/N				the flows of shard I of N (from 0)
 */
struct device {
	char bus[64]; /* not checked: ncp_attach() does */
	enum device_from from;
	uint64_t from_value; /* SEQ: number; AGO: ns; TIME: ns since 1970 UTC */
	bool exit_on_close, ordered, reliable;
	uint32_t shard_idx, shard_n;
};

/* device_is - does a name mean a bus?  NULL does not. */
bool device_is(const char *name);

/*
 * device_parse - take a name for which device_is() holds apart.
 *
 *   defaults  options as after the "?", NULL for none
 *   why       gets what is wrong with it, cap bytes
 *
 * Returns 0 or -EINVAL.
 */
int device_parse(struct device *d, const char *name, const char *defaults, uint64_t now_ns,
		 char *why, size_t cap) __attribute__((warn_unused_result));

#endif
