/* SPDX-License-Identifier: BSD-2-Clause */
/* guests.c - places of a server. */
#include "guests.h"

#include <assert.h>
#include <stddef.h>
#include <sys/socket.h>

void guests_open(struct guests *g)
{
	pthread_mutex_init(&g->lock, NULL);
	for (size_t i = 0; i < GUESTS_CONNECTIONS; i++)
		g->place[i] = (struct guest){ .fd = -1 };
}

void guests_close(struct guests *g)
{
	pthread_mutex_destroy(&g->lock);
}

/* Under the lock, which keeps the number from being another connection's.  The server then finds the end
 * of what it reads, or that it cannot write, and closes it. */
static void end(struct guest *guest)
{
	shutdown(guest->fd, SHUT_RDWR);
	guest->ended = true;
}

struct guest *guests_enter(struct guests *g, int fd, uint64_t now_ns)
{
	struct guest *free_place = NULL, *first = NULL;
	size_t n = 0;

	pthread_mutex_lock(&g->lock);
	for (struct guest *at = g->place; at < g->place + GUESTS_CONNECTIONS; at++) {
		if (at->fd < 0) {
			free_place = at;
		} else if (!at->ended) {
			n++;
			if (!at->stream && (!first || at->since_ns < first->since_ns))
				first = at;
		}
	}
	/* Streams are fewer than places: there is one that is none. */
	if (n >= GUESTS)
		end(first);
	assert(free_place);
	*free_place =
		(struct guest){ .fd = fd, .since_ns = now_ns, .patience_ns = GUESTS_FIRST_NS };
	pthread_mutex_unlock(&g->lock);
	return free_place;
}

void guests_leave(struct guests *g, struct guest *guest)
{
	pthread_mutex_lock(&g->lock);
	*guest = (struct guest){ .fd = -1 };
	pthread_mutex_unlock(&g->lock);
}

bool guests_stream(struct guests *g, struct guest *guest)
{
	size_t n = 0;

	pthread_mutex_lock(&g->lock);
	for (const struct guest *at = g->place; at < g->place + GUESTS_CONNECTIONS; at++)
		n += at->fd >= 0 && at->stream;
	if (n < GUESTS_STREAMS)
		guest->stream = true;
	pthread_mutex_unlock(&g->lock);
	return n < GUESTS_STREAMS;
}

void guests_answered(struct guests *g, struct guest *guest, uint64_t now_ns)
{
	pthread_mutex_lock(&g->lock);
	guest->since_ns = now_ns;
	guest->patience_ns = GUESTS_NEXT_NS;
	guest->stream = false;
	pthread_mutex_unlock(&g->lock);
}

void guests_tend(struct guests *g, uint64_t now_ns)
{
	pthread_mutex_lock(&g->lock);
	for (struct guest *at = g->place; at < g->place + GUESTS_CONNECTIONS; at++)
		if (at->fd >= 0 && !at->ended && !at->stream &&
		    now_ns >= at->since_ns + at->patience_ns)
			end(at);
	pthread_mutex_unlock(&g->lock);
}
