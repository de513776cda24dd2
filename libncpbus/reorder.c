/* SPDX-License-Identifier: BSD-2-Clause */
/* reorder.c - frames in the order of their times, within a window: NCP_ORDERED. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libncpbus/client.h"
#include "libncpbus/order.h"
#include "libncpbus/stamp.h"

/*
 * The client's place (c->at) is where it *looks*: it runs ahead of what is handed out.  Every frame
 * that is met and chosen becomes an entry: time, place, nothing of its bytes, which stay in the ring
 * until the frame is handed out (and are looked at again then).  Entries stand in a queue by place
 * and, while they wait, in a heap by {time, place}.  The lowest of the heap is handed out when
 *
 *   - a frame as much later as the window is long has been met, or
 *   - the oldest entry by place has reached the window's end: reorder_frames entries or a quarter
 *     of the ring were met after it.  Everything that is not later than it goes first; so one
 *     frame with a time far ahead holds up nobody, and none waits until it is overrun, or
 *   - there is nothing more to look at, and either nothing will come (the bus has ended, stopped,
 *     died) or the oldest has waited for the window's length of the client's own clock.
 *
 * So what is handed out is sorted as far as frames are displaced by less than the window.  A frame
 * that comes after a later one was handed out is handed out at once, and counted.
 *
 * An entry whose block tail has passed is lost, be it waiting or in use by the caller.  These need
 * not be neighbours by number: they are gathered as ranges and told one by one.
 */

/* Kernel blocks of two workers differ by --retire-ms (10) and by when the workers get to run: five
 * times that. */
#define WINDOW_NS (50 * NCPI_MS)
/* At a million frames a second 50 ms are 50,000 frames: the next power of two. */
#define WINDOW_FRAMES 65536u
#define QUEUE_START 256u

enum state { WAITING, OUT, DONE };

struct entry {
	uint64_t ts_ns;
	struct ncpi_place at;
	uint64_t met_ns; /* CLOCK_MONOTONIC when there was first nothing more to look at; 0: not yet */
	enum state state;
};

struct range {
	uint64_t first, next;
};

struct ncpi_reorder {
	uint64_t window_ns;
	uint64_t window_frames;

	/* Entries [first, end) by running number, at number & (cap - 1).  first: not done; oldest:
	 * the first one waiting; stamped: from here on met_ns is not known. */
	struct entry *queue;
	uint64_t cap, first, oldest, stamped, end;

	uint64_t *heap; /* running numbers of those waiting, cap of them */
	uint64_t n_waiting;
	uint64_t latest_ns; /* highest time in the heap */

	uint64_t *out; /* running numbers of those the last call handed out */
	uint32_t n_out, cap_out;

	struct range *lost; /* by number, to be told */
	uint32_t n_lost, cap_lost;

	uint64_t given_ns; /* highest time handed out */
	uint64_t late;
};

int ncpi_reorder_make(struct ncp_client *c, const struct ncp_options *o)
{
	struct ncpi_reorder *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	c->reorder = r;
	r->window_ns = o->reorder_ns ? o->reorder_ns : WINDOW_NS;
	r->window_frames = o->reorder_frames ? o->reorder_frames : WINDOW_FRAMES;
	r->cap = QUEUE_START;
	r->queue = malloc(r->cap * sizeof(*r->queue));
	r->heap = malloc(r->cap * sizeof(*r->heap));
	return r->queue && r->heap ? 0 : -ENOMEM;
}

void ncpi_reorder_free(struct ncp_client *c)
{
	struct ncpi_reorder *r = c->reorder;

	if (!r)
		return;
	free(r->queue);
	free(r->heap);
	free(r->out);
	free(r->lost);
	free(r);
	c->reorder = NULL;
}

void ncpi_reorder_clear(struct ncp_client *c)
{
	struct ncpi_reorder *r = c->reorder;

	c->now.next_seq -= r->n_waiting;
	r->first = r->oldest = r->stamped = r->end;
	r->n_waiting = r->n_out = r->n_lost = 0;
	r->given_ns = 0;
}

static struct entry *entry_at(const struct ncpi_reorder *r, uint64_t i)
{
	return &r->queue[i & (r->cap - 1)];
}

/* --- the heap -------------------------------------------------------------------------------- */

static bool before(const struct ncpi_reorder *r, uint64_t a, uint64_t b)
{
	uint64_t x = entry_at(r, a)->ts_ns, y = entry_at(r, b)->ts_ns;

	return x < y || (x == y && a < b);
}

static void heap_push(struct ncpi_reorder *r, uint64_t i)
{
	uint64_t k = r->n_waiting++;

	for (; k && before(r, i, r->heap[(k - 1) / 2]); k = (k - 1) / 2)
		r->heap[k] = r->heap[(k - 1) / 2];
	r->heap[k] = i;
}

static void heap_sift(struct ncpi_reorder *r, uint64_t k, uint64_t i)
{
	for (;;) {
		uint64_t child = 2 * k + 1;

		if (child >= r->n_waiting)
			break;
		if (child + 1 < r->n_waiting && before(r, r->heap[child + 1], r->heap[child]))
			child++;
		if (!before(r, r->heap[child], i))
			break;
		r->heap[k] = r->heap[child];
		k = child;
	}
	r->heap[k] = i;
}

static void heap_pop(struct ncpi_reorder *r)
{
	uint64_t last = r->heap[--r->n_waiting];

	if (r->n_waiting)
		heap_sift(r, 0, last);
}

/* Some entries are waiting no longer: keep the others. */
static void heap_rebuild(struct ncpi_reorder *r)
{
	uint64_t n = 0;

	for (uint64_t k = 0; k < r->n_waiting; k++)
		if (entry_at(r, r->heap[k])->state == WAITING)
			r->heap[n++] = r->heap[k];
	r->n_waiting = n;
	for (uint64_t k = n / 2; k-- > 0;)
		heap_sift(r, k, r->heap[k]);
}

/* --- the queue ------------------------------------------------------------------------------- */

static int queue_grow(struct ncpi_reorder *r)
{
	struct entry *queue = malloc(2 * r->cap * sizeof(*queue));
	uint64_t *heap = realloc(r->heap, 2 * r->cap * sizeof(*heap));

	if (heap)
		r->heap = heap;
	if (!queue || !heap) {
		free(queue);
		return -ENOMEM;
	}
	for (uint64_t i = r->first; i < r->end; i++)
		queue[i & (2 * r->cap - 1)] = *entry_at(r, i);
	free(r->queue);
	r->queue = queue;
	r->cap *= 2;
	return 0;
}

/* An entry ceased to wait, or is done with: let the marks go forward. */
static void queue_advance(struct ncpi_reorder *r)
{
	while (r->first < r->end && entry_at(r, r->first)->state == DONE)
		r->first++;
	if (r->oldest < r->first)
		r->oldest = r->first;
	while (r->oldest < r->end && entry_at(r, r->oldest)->state != WAITING)
		r->oldest++;
	if (r->stamped < r->oldest)
		r->stamped = r->oldest;
}

/* A frame at c->at was met; its block has len bytes. */
static int meet(struct ncp_client *c, uint64_t ts_ns, uint32_t len)
{
	struct ncpi_reorder *r = c->reorder;

	if (r->end - r->first == r->cap) {
		int e = queue_grow(r);

		if (e < 0)
			return e;
	}
	if (!c->window_open) {
		c->now.first_seq = c->at.seq;
		c->window_open = true;
	}
	if (r->n_waiting == 0 || ts_ns > r->latest_ns)
		r->latest_ns = ts_ns;
	*entry_at(r, r->end) = (struct entry){ .ts_ns = ts_ns, .at = c->at, .state = WAITING };
	heap_push(r, r->end++);
	c->at.seq++;
	c->at.position += len;
	c->now.next_seq = c->at.seq;
	return 0;
}

/* --- what was overrun ------------------------------------------------------------------------ */

/* Frame seq is lost: into the ranges, which stay sorted and apart. */
static int lose(struct ncp_client *c, uint64_t seq)
{
	struct ncpi_reorder *r = c->reorder;
	uint32_t k = r->n_lost;

	while (k && r->lost[k - 1].first > seq)
		k--;
	if (k && r->lost[k - 1].next == seq) {
		r->lost[k - 1].next++;
		if (k < r->n_lost && r->lost[k].first == seq + 1) {
			r->lost[k - 1].next = r->lost[k].next;
			memmove(&r->lost[k], &r->lost[k + 1], (--r->n_lost - k) * sizeof(*r->lost));
		}
	} else if (k < r->n_lost && r->lost[k].first == seq + 1) {
		r->lost[k].first = seq;
	} else {
		if (r->n_lost == r->cap_lost) {
			uint32_t cap = r->cap_lost ? 2 * r->cap_lost : 16;
			void *more = realloc(r->lost, cap * sizeof(*r->lost));

			if (!more)
				return -ENOMEM;
			r->lost = more;
			r->cap_lost = cap;
		}
		memmove(&r->lost[k + 1], &r->lost[k], (r->n_lost++ - k) * sizeof(*r->lost));
		r->lost[k] = (struct range){ seq, seq + 1 };
	}
	c->now.lost++;
	return 0;
}

/* Entries that tail has passed: those waiting are lost, and so are those in use if the caller is
 * done with them (back). */
static int sweep(struct ncp_client *c, bool back)
{
	struct ncpi_reorder *r = c->reorder;
	bool waited = false;
	int e = 0;

	NCPI_TESTPOINT("order:C3");
	/* C3, partner P3: a byte of a newer block that the caller read means that tail has moved. */
	ncpi_fence_acquire();
	/* C4 */
	uint64_t tail = ncpi_load(&c->seg.h->tail);
	for (uint64_t i = r->first; e == 0 && i < r->end; i++) {
		struct entry *x = entry_at(r, i);

		if (x->at.position >= tail)
			break;
		if (x->state == DONE || (x->state == OUT && !back))
			continue;
		e = lose(c, x->at.seq);
		if (e < 0)
			break;
		if (x->state == OUT)
			c->now.frames--;
		waited |= x->state == WAITING;
		x->state = DONE;
	}
	if (back) {
		for (uint32_t k = 0; e == 0 && k < r->n_out; k++)
			entry_at(r, r->out[k])->state = DONE;
		if (e == 0)
			r->n_out = 0;
	}
	if (waited)
		heap_rebuild(r);
	queue_advance(r);
	return e;
}

/* The first range of what is lost, as an event. */
static void lost_tell(struct ncp_client *c, struct ncp_frame *f)
{
	struct ncpi_reorder *r = c->reorder;

	*f = (struct ncp_frame){ .size = f->size,
				 .kind = NCP_LOST,
				 .seq = r->lost[0].first,
				 .next_seq = r->lost[0].next,
				 .ts_ns = c->last_ts_ns,
				 .position = c->at.position,
				 .incarnation = c->seg.incarnation };
	memmove(&r->lost[0], &r->lost[1], --r->n_lost * sizeof(*r->lost));
}

/* --- reading --------------------------------------------------------------------------------- */

/* Is the lowest of the heap to be handed out, whatever may come? */
static bool due(const struct ncp_client *c)
{
	const struct ncpi_reorder *r = c->reorder;

	if (r->n_waiting == 0)
		return false;
	return r->latest_ns - entry_at(r, r->heap[0])->ts_ns >= r->window_ns ||
	       r->end - r->oldest > r->window_frames ||
	       c->at.position - entry_at(r, r->oldest)->at.position >= c->seg.ring_size / 4;
}

/* Look ahead until something is due: 1.  0: nothing more up to head.  2: c->at was overrun.  < 0 */
static int look_ahead(struct ncp_client *c)
{
	struct ncp_frame f = NCP_FRAME_INIT;
	uint32_t len;

	while (!due(c)) {
		int e = ncpi_scan(c, &f, &len);

		if (e != 1)
			return e;
		e = meet(c, f.ts_ns, len);
		if (e < 0)
			return e;
	}
	return 1;
}

static bool over(uint32_t state)
{
	return state == NCP_STOPPED || state == NCP_ENDED || state == NCP_CLOSED ||
	       state == NCP_DEAD;
}

/* Nothing more to look at.  1: what waits is due all the same.  0: not yet.  2: there are frames. */
static int idle(struct ncp_client *c)
{
	struct ncpi_reorder *r = c->reorder;
	uint64_t now = ncpi_now_monotonic();

	for (; r->stamped < r->end; r->stamped++)
		entry_at(r, r->stamped)->met_ns = now;
	/* As in ncpi_idle(): the state was loaded before head is looked at again. */
	bool last = over(ncpi_state(c));
	if (ncpi_load_acquire(&c->seg.h->head) != c->at.position)
		return 2;
	return last || now - entry_at(r, r->oldest)->met_ns >= r->window_ns;
}

/* Hand out the lowest of the heap.  1.  0: it was overrun.  NCP_ECORRUPT, -ENOMEM: it stays. */
static int give(struct ncp_client *c, struct ncp_frame *f, bool copy, void *buf, size_t cap)
{
	struct ncpi_reorder *r = c->reorder;
	uint64_t i = r->heap[0];
	struct entry *x = entry_at(r, i);
	bool sane = false;

	if (r->n_out == r->cap_out) {
		uint32_t more = r->cap_out ? 2 * r->cap_out : 16;
		void *out = realloc(r->out, more * sizeof(*r->out));

		if (!out)
			return -ENOMEM;
		r->out = out;
		r->cap_out = more;
	}
	NCPI_TESTPOINT("order:C2");
	/* C2.  Further back than a ring it is overrun, and a length there could lead anywhere. */
	if (c->head - x->at.position <= c->seg.ring_size)
		sane = ncpi_frame_at(c, x->at, f);
	if (sane && copy) {
		ncpi_copy_out(buf, f->data, f->caplen < cap ? f->caplen : cap);
		f->data = buf;
	}
	NCPI_TESTPOINT("order:C4");
	/* C3, C4: what was taken apart, and the copy, is whole, or thrown away by sweep(). */
	ncpi_fence_acquire();
	if (ncpi_load(&c->seg.h->tail) > x->at.position)
		return 0;
	if (!sane)
		return NCP_ECORRUPT;
	heap_pop(r);
	x->state = copy ? DONE : OUT;
	if (!copy)
		r->out[r->n_out++] = i;
	queue_advance(r);
	c->now.frames++;
	c->last_ts_ns = f->ts_ns;
	if (f->ts_ns < r->given_ns)
		r->late++;
	else
		r->given_ns = f->ts_ns;
	return 1;
}

/* One frame, or an event if any is wanted (first).  1: *f was filled, *event says with what.  0:
 * nothing now, or an event that must wait for the next call. */
static int one(struct ncp_client *c, struct ncp_frame *f, bool first, bool *event, bool copy,
	       void *buf, size_t cap)
{
	struct ncpi_reorder *r = c->reorder;

	for (;;) {
		int e = sweep(c, first);

		if (e < 0)
			return e;
		*event = true;
		if (!first && (r->n_lost || c->n_events))
			return 0;
		if (r->n_lost) {
			lost_tell(c, f);
			return 1;
		}
		e = first ? ncpi_prepare(c, f) : 0;
		if (e)
			return e;
		e = look_ahead(c);
		if (e == 2) {
			/* Everything that waits is gone, too: sweep() tells it first. */
			e = ncpi_lapped(c);
			if (e < 0)
				return e;
			continue;
		}
		if (e == 0 && r->n_waiting == 0) {
			e = first ? ncpi_idle(c, f) : 0;
			if (e == 2)
				continue;
			return e;
		}
		if (e == 0) {
			e = idle(c);
			if (e == 2)
				continue;
			if (e == 0) {
				ncpi_enrol_tell(c, true);
				if (c->poller)
					ncpi_poller_rearm(c);
				return 0;
			}
		}
		if (e < 0)
			return e;
		*event = false;
		e = give(c, f, copy, buf, cap);
		if (e)
			return e;
	}
}

int ncpi_reorder_read(struct ncp_client *c, struct ncp_frame *frames, int n, bool copy, void *buf,
		      size_t cap)
{
	uint32_t size = frames[0].size;
	bool event;
	int r = ncpi_usable(c);

	if (r < 0)
		return r;
	r = one(c, frames, true, &event, copy, buf, cap);
	if (r != 1 || event)
		return r;
	int k = 1;
	for (; k < n; k++) {
		frames[k].size = size;
		/* Whatever ends this, the next call meets it again. */
		if (one(c, &frames[k], false, &event, false, NULL, 0) != 1)
			break;
	}
	ncpi_tell_registry(c);
	return k;
}

/* --- for the ledger, the registry, and those who wait ---------------------------------------- */

uint64_t ncpi_reorder_waiting(const struct ncp_client *c)
{
	return c->reorder->n_waiting;
}

uint64_t ncpi_reorder_late(const struct ncp_client *c)
{
	return c->reorder->late;
}

struct ncpi_place ncpi_reorder_next(const struct ncp_client *c)
{
	const struct ncpi_reorder *r = c->reorder;

	return r->oldest < r->end ? entry_at(r, r->oldest)->at : c->at;
}

struct ncpi_place ncpi_reorder_used(const struct ncp_client *c)
{
	const struct ncpi_reorder *r = c->reorder;

	return r->first < r->end ? entry_at(r, r->first)->at : c->at;
}

uint64_t ncpi_reorder_due_ns(struct ncp_client *c)
{
	const struct ncpi_reorder *r = c->reorder;

	if (r->n_lost)
		return 0;
	if (r->n_waiting == 0)
		return UINT64_MAX;
	if (r->stamped < r->end || over(ncpi_state(c)))
		return 0;
	return entry_at(r, r->oldest)->met_ns + r->window_ns;
}
