/* SPDX-License-Identifier: BSD-2-Clause */
/* look.h - look at a bus from outside: attach without a line in its registry, read no frame. */
#ifndef LOOK_H
#define LOOK_H

#include <ncpbus.h>
#include <stdbool.h>
#include <stddef.h>

#include "snapshot.h"

#define LOOK_WHY_CAP 256

struct look {
	const char *bus, *dir, *trust; /* the caller's */
	struct ncp_client *client;
	struct snapshot_past past;
	uint64_t heartbeat; /* at attach */
	int n_clients;	    /* at the last look */
	bool gone;	    /* nothing bore the bus's name when last looked for */
};

/* What look_again() found. */
enum look_again {
	LOOK_SAME = 0, /* the bus is the one that is attached, or nothing better is there */
	LOOK_REPLACED, /* another bus bears the name now: it is attached */
	LOOK_GONE,     /* the name has just gone; what is attached is the last of it */
	LOOK_BACK,     /* the name is there again, and leads to the bus that is attached */
};

/*
 * look_open - attach to a bus.
 *
 *   l    bus, dir and trust set, all else zero
 *   why  LOOK_WHY_CAP bytes: the reason, on error
 *
 * Returns 0 or ncp_attach()'s code.
 */
int look_open(struct look *l, char *why);

/*
 * look_settled - has the producer given a sign of life, or is it known that none is to come?
 *
 * True for a bus that stopped, ended or was closed; once the heartbeat has moved; and once it has
 * not for a second, when the state is NCP_DEAD.  Asked by polling.
 */
bool look_settled(struct look *l);

/* look_take - take a snapshot and derive what follows from it.  Returns 0, NCP_ECORRUPT, -ENOMEM;
 * s is to be freed in any case. */
int look_take(struct look *l, struct snapshot *s);

/*
 * look_again - does another bus bear the name now?
 *
 *   state  that of the last snapshot, NCP_DEAD if it is corrupt: a bus that is starting or live is not
 *          looked for again
 */
enum look_again look_again(struct look *l, uint32_t state);

/* look_close - detach; a zeroed l is fine. */
void look_close(struct look *l);

/* look_now - a clock in ns. */
uint64_t look_now(int clock);

#endif
