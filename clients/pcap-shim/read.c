/* SPDX-License-Identifier: BSD-2-Clause */
/* read.c - libpcap's calls that hand out frames. */
#include <limits.h>

#include "handle.h"
#include "real.h"

/* pcap_dispatch() without a count: so many frames at once at most, so that a caller under a steady
 * stream comes back to what else it does.  libpcap's bufferful is of this order. */
#define BUFFERFUL 4096

/*
 * Who polls the descriptor and then reads, in blocking mode, takes it that there is something to
 * read.  The descriptor may say "look" without it (an event, a frame that the filter refuses): so a
 * read then waits no longer than this, whatever the timeout.
 */
#define POLLED_MS 20

/* What serve() returns beside numbers of frames and libpcap's negative codes. */
#define SERVE_ENDED INT_MIN

/* pcap_breakloop() was called: take note, once. */
static int broken(struct handle *h)
{
	atomic_store_explicit(&h->breaking, false, memory_order_relaxed);
	return PCAP_ERROR_BREAK;
}

/*
 * Hand out up to limit frames: those that are there, or, if there are none, what comes until the
 * time is up.
 *
 *   patient  wait even if the handle does not block, and without a limit of time
 *
 * Returns their number, PCAP_ERROR, PCAP_ERROR_BREAK, or SERVE_ENDED.  What happens after the first
 * frame is told by the next call.
 */
static int serve(struct handle *h, int limit, bool patient, pcap_handler callback, u_char *user)
{
	int ms = patient || h->timeout_ms <= 0 ? -1 : h->timeout_ms, n = 0;
	if (!patient && h->fd >= 0 && (ms < 0 || ms > POLLED_MS))
		ms = POLLED_MS;
	bool waited = h->nonblock && !patient;

	if (h->end_due) {
		h->end_due = false;
		return SERVE_ENDED;
	}
	for (;;) {
		switch (feed_take(h)) {
		case FEED_FRAME:
			callback(user, &h->head, h->data);
			if (++n == limit)
				return n;
			break;
		case FEED_NOTHING:
			if (n || waited)
				return n;
			if (feed_wait(h, ms) < 0)
				return PCAP_ERROR;
			waited = !patient;
			break;
		case FEED_ENDED:
			h->end_due = n > 0;
			return n ? n : SERVE_ENDED;
		case FEED_BREAK:
			return n ? n : broken(h);
		case FEED_ERROR:
			return PCAP_ERROR;
		}
	}
}

static int dispatch(struct handle *h, int count, pcap_handler callback, u_char *user)
{
	if (handle_ready(h) < 0)
		return PCAP_ERROR_NOT_ACTIVATED;
	int n = serve(h, count > 0 ? count : BUFFERFUL, false, callback, user);
	return n == SERVE_ENDED ? PCAP_ERROR_BREAK : n;
}

int pcap_dispatch(pcap_t *p, int count, pcap_handler callback, u_char *user)
{
	struct handle *h = handle_of(p);

	return h ? dispatch(h, count, callback, user) : real()->dispatch(p, count, callback, user);
}

int pcap_loop(pcap_t *p, int count, pcap_handler callback, u_char *user)
{
	struct handle *h = handle_of(p);
	int n;

	if (!h)
		return real()->loop(p, count, callback, user);
	if (handle_ready(h) < 0)
		return PCAP_ERROR_NOT_ACTIVATED;
	do {
		n = serve(h, count > 0 ? count : BUFFERFUL, true, callback, user);
		if (n > 0 && count > 0 && (count -= n) == 0)
			return 0;
	} while (n >= 0);
	/* The end of a bus is what the end of a file is. */
	return n == SERVE_ENDED ? 0 : n;
}

void pcap_breakloop(pcap_t *p)
{
	struct handle *h = handle_of(p);

	if (h)
		atomic_store_explicit(&h->breaking, true, memory_order_relaxed);
	else
		real()->breakloop(p);
}

/* The frame stays where it is until the next call. */
static void one(u_char *user, const struct pcap_pkthdr *head, const u_char *data)
{
	(void)user;
	(void)head;
	(void)data;
}

int pcap_next_ex(pcap_t *p, struct pcap_pkthdr **head, const u_char **data)
{
	struct handle *h = handle_of(p);

	if (!h)
		return real()->next_ex(p, head, data);
	*head = &h->head;
	*data = h->data;
	return dispatch(h, 1, one, NULL);
}

const u_char *pcap_next(pcap_t *p, struct pcap_pkthdr *head)
{
	struct handle *h = handle_of(p);

	if (!h)
		return real()->next(p, head);
	if (dispatch(h, 1, one, NULL) != 1)
		return NULL;
	*head = h->head;
	return h->data;
}

int pcap_setdirection(pcap_t *p, pcap_direction_t direction)
{
	struct handle *h = handle_of(p);

	if (!h)
		return real()->setdirection(p, direction);
	if (handle_ready(h) < 0)
		return PCAP_ERROR_NOT_ACTIVATED;
	if (direction != PCAP_D_INOUT && direction != PCAP_D_IN && direction != PCAP_D_OUT)
		return handle_fail(h, PCAP_ERROR, "no such direction");
	h->direction = direction;
	return 0;
}

int pcap_fileno(pcap_t *p)
{
	struct handle *h = handle_of(p);

	if (!h)
		return real()->fileno(p);
	return handle_ready(h) < 0 ? PCAP_ERROR_NOT_ACTIVATED : feed_fd(h);
}

int pcap_get_selectable_fd(pcap_t *p)
{
	struct handle *h = handle_of(p);

	if (!h)
		return real()->get_selectable_fd(p);
	return handle_ready(h) < 0 ? PCAP_ERROR : feed_fd(h);
}

const struct timeval *pcap_get_required_select_timeout(pcap_t *p)
{
	/* The descriptor says all there is to say. */
	return handle_of(p) ? NULL : real()->get_required_select_timeout(p);
}
