/* SPDX-License-Identifier: BSD-2-Clause */
/* locate.c - find block boundaries whose frame number is known, while the producer goes on. */
#include <errno.h>

#include "libncpbus/client.h"
#include "libncpbus/order.h"

/* A retry means that the producer moved in between, which takes it far longer than a look: so many
 * in a row do not happen, unless the content is not a producer's. */
#define TRIES 10000

int ncpi_locate_newest(const struct ncpi_segment *seg, struct ncpi_place *p)
{
	const struct ncpi_header *h = seg->h;

	for (int i = 0; i < TRIES; i++) {
		NCPI_TESTPOINT("locate:S1");
		/* S1: acquire, so that the slot is at least as new as head. */
		uint64_t head = ncpi_load_acquire_at(S1, &h->head);

		NCPI_TESTPOINT("locate:S2");
		/* S2.  Each word may be of an older or newer commit: S4 tells. */
		bool second = ncpi_load(&h->slot[1].position) == head;
		const struct ncpi_slot *slot = &h->slot[second];
		uint64_t position = ncpi_load(&slot->position);

		NCPI_TESTPOINT("locate:S2.5");
		uint64_t seq = ncpi_load(&slot->seq);

		NCPI_TESTPOINT("locate:S3");
		/* S3, partner P8: if a word above was a newer commit's, head has moved here.
		 * Without, the old position could be paired with the new number. */
		ncpi_fence_acquire_at(S3);
		NCPI_TESTPOINT("locate:S4");
		if (position == head && ncpi_load(&h->head) == head) {
			*p = (struct ncpi_place){ position, seq };
			return 0;
		}
	}
	return NCP_ECORRUPT;
}

/* Read waypoint number i if it is whole, still number i, and in [tail, head); tail is looked at
 * last. */
static bool waypoint_get(const struct ncpi_segment *seg, uint64_t i, struct ncpi_waypoint *w)
{
	const struct ncpi_header *h = seg->h;
	const struct ncpi_waypoint *e = &seg->waypoints[i & (seg->n_waypoints - 1)];
	/* Acquire, and before the entry: an entry beyond the head loaded here is of a claim that is
	 * not published, perhaps of a producer that died. */
	uint64_t head = ncpi_load_acquire(&h->head);

	NCPI_TESTPOINT("locate:waypoint");
	w->position = ncpi_load(&e->position);
	w->seq = ncpi_load(&e->seq);
	w->time_ns = ncpi_load(&e->time_ns);
	w->check = ncpi_load(&e->check);
	/* The check catches a mixture of two entries.  The count, loaded after the entry, catches
	 * number i + n_waypoints in its place: that one is counted before the head that covers it,
	 * so with a position up to the head above, it is counted here.  A bisection that took it
	 * for number i would go the wrong way. */
	ncpi_fence_acquire();
	return w->position < head && w->position % 4 == 0 &&
	       w->check == ncpi_waypoint_check(seg->incarnation, w->position, w->seq, w->time_ns) &&
	       ncpi_load(&h->waypoints) - 1 - i < seg->n_waypoints &&
	       ncpi_load(&h->tail) <= w->position;
}

/*
 * The waypoints there are: [*first, *end), none of them beyond head.
 *
 * They are counted (P5) before head covers them (P7), and stay so if the producer dies in between.
 * A bisection must not meet those: not intact like the overrun ones, they stand at the other end of
 * the table, and it would end behind them, with nothing found.  Nor one at head itself, whose other
 * words may be missing: the front of a new epoch, met by who loaded the count of the dead before it.
 */
static void waypoint_range(const struct ncpi_segment *seg, uint64_t *first, uint64_t *end)
{
	/* Acquire, partner P5: entries below the count are written. */
	*end = ncpi_load_acquire(&seg->h->waypoints);
	*first = *end > seg->n_waypoints ? *end - seg->n_waypoints : 0;
	NCPI_TESTPOINT("locate:range");
	uint64_t head = ncpi_load_acquire(&seg->h->head);
	for (unsigned i = 0; i < NCPI_WAYPOINTS_AHEAD && *end > *first; i++, --*end)
		if (ncpi_load(&seg->waypoints[(*end - 1) & (seg->n_waypoints - 1)].position) < head)
			break;
}

/* What a search asks of a waypoint: a property that, once true along the table, stays true. */
enum search { FROM_POSITION, AFTER_POSITION, AFTER_SEQ, FROM_TIME };

static bool reached(const struct ncpi_waypoint *w, enum search what, uint64_t value)
{
	switch (what) {
	case FROM_POSITION:
		return w->position >= value;
	case AFTER_POSITION:
		return w->position > value;
	case AFTER_SEQ:
		return w->seq > value;
	case FROM_TIME:
		return w->time_ns >= value;
	}
	return true;
}

/* The first waypoint in [first, end) that has reached value; those no longer intact are older than
 * everything and have not. */
static uint64_t waypoint_search(const struct ncpi_segment *seg, uint64_t first, uint64_t end,
				enum search what, uint64_t value)
{
	struct ncpi_waypoint w;

	while (first < end) {
		uint64_t mid = first + (end - first) / 2;

		if (waypoint_get(seg, mid, &w) && reached(&w, what, value))
			end = mid;
		else
			first = mid + 1;
	}
	return first;
}

int ncpi_locate_oldest(const struct ncpi_segment *seg, uint64_t margin, struct ncpi_place *p)
{
	for (int i = 0; i < TRIES; i++) {
		uint64_t first, end, at;
		struct ncpi_waypoint w;
		uint64_t tail = ncpi_load(&seg->h->tail);

		waypoint_range(seg, &first, &end);
		at = waypoint_search(seg, first, end, FROM_POSITION, tail ? tail + margin : 0);
		if (at == end) {
			/* Nothing intact that is old enough: the newest place.  Unless all that was
			 * looked at was overrun meanwhile; then there is something by now. */
			if (ncpi_load(&seg->h->tail) == tail)
				break;
			continue;
		}
		if (waypoint_get(seg, at, &w)) {
			*p = (struct ncpi_place){ w.position, w.seq };
			return 0;
		}
	}
	return ncpi_locate_newest(seg, p);
}

/* The last intact waypoint before the first one that has reached value. */
static bool waypoint_before(const struct ncpi_segment *seg, enum search what, uint64_t value,
			    struct ncpi_place *p)
{
	uint64_t first, end, at;
	struct ncpi_waypoint w;

	waypoint_range(seg, &first, &end);
	at = waypoint_search(seg, first, end, what, value);
	if (at == first || !waypoint_get(seg, at - 1, &w) || reached(&w, what, value))
		return false;
	*p = (struct ncpi_place){ w.position, w.seq };
	return true;
}

bool ncpi_locate_before(const struct ncpi_segment *seg, uint64_t position, struct ncpi_place *p)
{
	return waypoint_before(seg, AFTER_POSITION, position, p);
}

/*
 * Walk from a place to the frame of a number, or to the first at or after a time.
 *
 * 1: *p is its block.  0: head came first, *p is there.  -EAGAIN: overrun on the way.
 * NCP_ECORRUPT.
 */
static int walk(const struct ncpi_segment *seg, struct ncpi_place *p, bool by_time, uint64_t value)
{
	uint64_t head = ncpi_load_acquire(&seg->h->head);

	if (p->position < head && head - p->position > seg->ring_size)
		return -EAGAIN;
	while (p->position < head) {
		const uint32_t *b = (const uint32_t *)(const void *)ncpi_segment_at(seg, p->position);

		NCPI_TESTPOINT("locate:walk");
		uint32_t type = ncpi_load(&b[0]), len = ncpi_load(&b[1]);
		uint64_t ts = (uint64_t)ncpi_load(&b[3]) << 32 | ncpi_load(&b[4]);

		/* C3, C4: what was loaded counts only if tail has not passed it. */
		ncpi_fence_acquire();
		if (ncpi_load(&seg->h->tail) > p->position)
			return -EAGAIN;
		if (len < 12 || len % 4 || len > NCPI_BLOCK_MAX || len > head - p->position)
			return NCP_ECORRUPT;
		if (type == NCPI_EPB) {
			if (by_time ? ts >= value : p->seq >= value)
				return 1;
			p->seq++;
		}
		p->position += len;
	}
	return 0;
}

int ncpi_locate_from(const struct ncpi_segment *seg, uint64_t seq, struct ncpi_place *p)
{
	return walk(seg, p, false, seq);
}

int ncpi_locate_seq(const struct ncpi_segment *seg, uint64_t seq, struct ncpi_place *p)
{
	int r;

	for (int i = 0; i < TRIES; i++) {
		r = ncpi_locate_newest(seg, p);
		if (r < 0)
			return r;
		if (seq > p->seq)
			return -ERANGE;
		if (seq == p->seq)
			return 1;
		if (!waypoint_before(seg, AFTER_SEQ, seq, p)) {
			r = ncpi_locate_oldest(seg, 0, p);
			if (r < 0 || p->seq > seq)
				return r;
		}
		r = walk(seg, p, false, seq);
		if (r != -EAGAIN)
			return r < 0 ? r : 1;
	}
	return NCP_ECORRUPT;
}

int ncpi_locate_time(const struct ncpi_segment *seg, uint64_t time_ns, struct ncpi_place *p)
{
	for (int i = 0; i < TRIES; i++) {
		/* A waypoint's time is the maximum before it: the frame asked for stands behind the
		 * last one whose maximum is below. */
		bool found = waypoint_before(seg, FROM_TIME, time_ns, p);
		int r = found ? 0 : ncpi_locate_oldest(seg, 0, p);

		if (r == 0)
			r = walk(seg, p, true, time_ns);
		if (r != -EAGAIN)
			return r < 0 ? r : found;
	}
	return NCP_ECORRUPT;
}
