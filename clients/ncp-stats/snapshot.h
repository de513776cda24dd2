/* SPDX-License-Identifier: BSD-2-Clause */
/* snapshot.h - one look at a bus as numbers: what it says of itself, and what follows from it. */
#ifndef SNAPSHOT_H
#define SNAPSHOT_H

#include <ncpbus.h>
#include <stdbool.h>
#include <stdint.h>

/* A worker's counters, an interface's, a client's line: as the library gives them. */
struct snapshot_interface {
	char name[64]; /* safe to print */
	uint32_t linktype;
	uint64_t published;
	uint64_t received;
	uint64_t kernel_drops;
};

/* How a client does.  NCP_UNKNOWN stands for what cannot be known. */
struct snapshot_client {
	struct ncp_peer peer;
	bool elsewhere; /* it still reads another incarnation: its place means nothing here */
	uint64_t lag_frames, lag_bytes;
	uint64_t lag_ns;     /* estimate: its share of the ring's depth */
	uint64_t overrun_ns; /* estimate: until it loses frames if it stood still from now on */
};

/* Per second. */
struct snapshot_rate {
	double frames, bits, kernel_drops;
	double ring_bytes; /* positions: blocks with their headers */
};

struct snapshot {
	uint64_t at_ns;	  /* CLOCK_REALTIME */
	uint64_t mono_ns; /* CLOCK_MONOTONIC */
	struct ncp_bus_info info;
	bool gone;	   /* nothing bears the bus's name any more */
	const char *wrong; /* not NULL: it is corrupt, in this way; all else is of the look before */
	uint64_t depth_ns; /* from the oldest frame's time to the newest's, NCP_UNKNOWN: no frame */

	/* From the snapshot before to this one; the mean and the highest since the first one of
	 * this incarnation.  Without a snapshot before: has_rates false. */
	bool has_rates;
	uint64_t interval_ns, watched_ns;
	struct snapshot_rate now, mean, peak;

	struct ncp_worker *worker;
	struct snapshot_interface *interface;
	struct snapshot_client *client;
	uint32_t n_workers, n_interfaces, n_clients;
	uint32_t n_clients_in_all; /* more than n_clients when not all were looked at */
};

/* The counters of one moment, and what rates need to know of the past; all zero at the start. */
struct snapshot_mark {
	uint64_t mono_ns;
	uint64_t frames, bytes, kernel_drops, head;
};

struct snapshot_past {
	uint64_t incarnation; /* 0: nothing seen yet */
	struct snapshot_mark first, last;
	struct snapshot_rate peak;
};

/*
 * snapshot_derive - fill in what follows from what was taken: depth, rates, every client's lag.
 *
 *   s     at_ns, mono_ns, info and client[].peer are set
 *   past  brought up to date; begins anew when the incarnation is another
 *
 * Pure.  Times that run backwards give a depth of 0, counters that do so a rate of 0.
 */
void snapshot_derive(struct snapshot *s, struct snapshot_past *past);

/* snapshot_wrong - from now on s is the last that was known before something went wrong.
 * why: static. */
void snapshot_wrong(struct snapshot *s, const char *why, uint64_t at_ns, uint64_t mono_ns);

/* snapshot_state - "live", ..., "corrupt"; snapshot_reason - why, "" where there is nothing to say. */
const char *snapshot_state(const struct snapshot *s);
const char *snapshot_reason(const struct snapshot *s);

/* snapshot_lost - frames that all clients together lost, as they tell. */
uint64_t snapshot_lost(const struct snapshot *s);

/* snapshot_free - free the arrays; a zeroed s is fine. */
void snapshot_free(struct snapshot *s);

#endif
