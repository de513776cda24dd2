/* SPDX-License-Identifier: BSD-2-Clause */
/* tally.h - what clients of one name lost and read together, also those that have left. */
#ifndef TALLY_H
#define TALLY_H

/*
 * A client's own line counts from its attach and goes when it leaves.  A counter of a monitoring
 * system must not go back, and must not have a label for each process that ever came: so clients are
 * summed by name, what one told last stays in the sum when it leaves, and names beyond TALLY_NAMES
 * are one, TALLY_OTHER.
 */

#include <stdbool.h>
#include <stdint.h>

#include "snapshot.h"

#define TALLY_NAMES 64u
#define TALLY_OTHER "other"
/* So many clients are remembered that may have left, where not all are looked at. */
#define TALLY_UNSEEN 65536u

/* All clients of a name. */
struct tally_name {
	char name[64];
	uint64_t frames, lost;	 /* of those that are there and of those that left */
	uint64_t lag_ns;	 /* of the slowest that is there; NCP_UNKNOWN */
	uint32_t clients;	 /* that are there */
	uint64_t gone_frames, gone_lost;
};

/* A client as it was seen last. */
struct tally_client {
	uint64_t since_ns;
	uint32_t pid, uid;
	uint32_t name_idx;
	bool seen;
	uint64_t frames, lost;
};

struct tally {
	struct tally_name name[TALLY_NAMES + 1]; /* the last one: TALLY_OTHER */
	uint32_t n_names;			 /* without it */
	struct tally_client *client;
	uint32_t n_clients, cap_clients;
};

/* tally_take - bring the sums up to date.  t begins as all zero.  0, -ENOMEM. */
int tally_take(struct tally *t, const struct snapshot *s) __attribute__((warn_unused_result));

/* tally_free - a zeroed t is fine. */
void tally_free(struct tally *t);

#endif
