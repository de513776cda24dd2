/* SPDX-License-Identifier: BSD-2-Clause */
/* guests.h - who is connected to the server, since when, and who has to leave. */
#ifndef GUESTS_H
#define GUESTS_H

/*
 * A place is taken by who connects, and kept for GUESTS_FIRST_NS from the connection to the end of the
 * first answer, and for GUESTS_NEXT_NS from there to the end of the next one, however busily parts of a
 * request are sent or parts of an answer taken.  Who is told events stays, but no more than
 * GUESTS_STREAMS do.  When all places are taken, who comes gets that of the one who has waited
 * longest: so neither silent connections nor browsers left open keep a scrape away.
 */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define GUESTS 64u
#define GUESTS_STREAMS 32u
/* With those that were ended and are not gone yet: the server accepts no more. */
#define GUESTS_CONNECTIONS (2 * GUESTS)
#define GUESTS_FIRST_NS UINT64_C(10000000000)
#define GUESTS_NEXT_NS UINT64_C(30000000000)

struct guest {
	int fd;		      /* -1: this place is free */
	uint64_t since_ns;    /* CLOCK_MONOTONIC: of the connection, or the last answer's end */
	uint64_t patience_ns; /* so long from then on */
	bool stream;	      /* he is told events */
	bool ended;	      /* his connection was shut and will be gone soon */
};

struct guests {
	pthread_mutex_t lock;
	struct guest place[GUESTS_CONNECTIONS];
};

/* guests_open - nobody is there.  guests_close - nobody is, any more. */
void guests_open(struct guests *g);
void guests_close(struct guests *g);

/*
 * guests_enter - a connection begins.
 *
 *   fd      its socket, open until guests_leave(); who has to leave has it shut, not closed
 *   now_ns  CLOCK_MONOTONIC, here and below
 *
 * Returns his place.  Assumes that there are fewer than GUESTS_CONNECTIONS.
 */
struct guest *guests_enter(struct guests *g, int fd, uint64_t now_ns);

/* guests_leave - the connection is about to be closed. */
void guests_leave(struct guests *g, struct guest *guest);

/* guests_stream - he is to be told events.  False: there are too many of these. */
bool guests_stream(struct guests *g, struct guest *guest);

/* guests_answered - he has had an answer, or as much of it as he wanted. */
void guests_answered(struct guests *g, struct guest *guest, uint64_t now_ns);

/* guests_tend - end those whose time is over; to be called now and then. */
void guests_tend(struct guests *g, uint64_t now_ns);

#endif
