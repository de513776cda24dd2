/* SPDX-License-Identifier: BSD-2-Clause */
/* reader.c - the next frame: copied, in place, or many at once.  Steps C1-C4 of layout.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libncpbus/client.h"
#include "libncpbus/group.h"
#include "libncpbus/order.h"

/* A frame's block as its words say; every word was loaded once, none is believed before C4. */
struct block {
	uint32_t type, total_len;
	uint32_t caplen, len;
	bool sane;
};

/* Options beyond the one that the producer writes always: epb_flags and epb_dropcount. */
static void options_parse(const uint32_t *o, uint32_t n_words, struct ncp_frame *f)
{
	for (uint32_t i = 0; i < n_words;) {
		uint32_t word = ncpi_load(&o[i++]);
		uint32_t code = NCPI_OPTION_CODE(word), words = (NCPI_OPTION_LEN(word) + 3) / 4;

		if (code == NCPI_OPT_END || words > n_words - i)
			return;
		if (word == NCPI_OPTION(NCPI_EPB_FLAGS, 4))
			f->flags = ncpi_load(&o[i]);
		else if (word == NCPI_OPTION(NCPI_EPB_DROPCOUNT, 8)) {
			uint32_t v[2] = { ncpi_load(&o[i]), ncpi_load(&o[i + 1]) };

			memcpy(&f->dropcount, v, 8);
		}
		i += words;
	}
}

/* C2: take the block at a place apart into f.  Reads nothing outside [place, head). */
static inline __attribute__((always_inline)) void
block_parse(const struct ncp_client *c, struct ncpi_place at, struct block *b, struct ncp_frame *f)
{
	const uint32_t *w =
		(const uint32_t *)(const void *)ncpi_segment_at(&c->seg, at.position);
	uint64_t room = c->head - at.position;

	b->type = ncpi_load(&w[0]);
	b->total_len = ncpi_load(&w[1]);
	b->sane = b->total_len >= 12 && b->total_len % 4 == 0 && b->total_len <= room &&
		  b->total_len <= NCPI_BLOCK_MAX;
	if (!b->sane || b->type != NCPI_EPB)
		return;
	b->caplen = ncpi_load(&w[5]);
	b->len = ncpi_load(&w[6]);
	b->sane = b->total_len >= 32 && b->caplen <= b->total_len - 32 && b->caplen <= b->len;
	if (!b->sane)
		return;
	f->kind = NCP_FRAME;
	f->data = (const uint8_t *)(w + 7);
	f->caplen = b->caplen;
	f->len = b->len;
	f->ts_ns = (uint64_t)ncpi_load(&w[3]) << 32 | ncpi_load(&w[4]);
	f->interface = ncpi_load(&w[2]);
	f->seq = at.seq;
	f->next_seq = at.seq + 1;
	f->position = at.position;
	f->incarnation = c->seg.incarnation;
	f->dropcount = 0;
	f->flags = 0;
	f->state = f->reason = 0;

	uint32_t data_words = (b->caplen + 3) / 4;
	const uint32_t *o = w + 7 + data_words;
	uint32_t n_words = (b->total_len - 32) / 4 - data_words;

	if (n_words == 3 && ncpi_load(&o[0]) == NCPI_OPTION(NCPI_EPB_FLAGS, 4))
		f->flags = ncpi_load(&o[1]);
	else if (n_words)
		options_parse(o, n_words, f);
}

/*
 * The next frame that passes the filter, in place; *f is written as far as it is looked at.
 * 1: a frame at c->at, checked, not yet consumed.  0: none up to head.  2: c->at was overrun.
 * < 0: error.
 */
static inline int frame_find(struct ncp_client *c, struct ncp_frame *f, struct block *b)
{
	for (;;) {
		if (c->at.position == c->head && c->group) {
			int r = ncpi_group_more(c);

			if (r != 1)
				return r;
			continue; /* a claim can be empty */
		}
		if (c->at.position == c->head) {
			NCPI_TESTPOINT("read:C1");
			/* C1: acquire, so that the blocks below head are seen whole. */
			c->head = ncpi_load_acquire(&c->seg.h->head);
			if (c->at.position == c->head)
				return 0;
			if (c->head < c->at.position || c->head % 4)
				return NCP_ECORRUPT;
			if (c->head - c->at.position > c->seg.ring_size)
				return 2;
		}
		NCPI_TESTPOINT("read:C2");
		block_parse(c, c->at, b, f);
		enum ncpi_choice choice = NCPI_GIVE;
		if (ncpi_chooses(c) && b->sane && b->type == NCPI_EPB)
			choice = ncpi_choose(c, f);
		NCPI_TESTPOINT("read:C3");
		/* C3, partner P3: a word of a newer block above means that tail has moved below.
		 * Without, a torn length would be walked along. */
		ncpi_fence_acquire();
		NCPI_TESTPOINT("read:C4");
		if (ncpi_load(&c->seg.h->tail) > c->at.position)
			return 2;
		if (!b->sane)
			return NCP_ECORRUPT;
		if (b->type == NCPI_EPB) {
			if (choice == NCPI_GIVE)
				return 1;
			ncpi_window_frame(c, choice);
			c->at.seq++;
		}
		c->at.position += b->total_len;
	}
}

int ncpi_scan(struct ncp_client *c, struct ncp_frame *f, uint32_t *len)
{
	struct block b;
	int r = frame_find(c, f, &b);

	*len = r == 1 ? b.total_len : 0;
	return r;
}

bool ncpi_frame_at(const struct ncp_client *c, struct ncpi_place p, struct ncp_frame *f)
{
	struct block b;

	block_parse(c, p, &b, f);
	return b.sane && b.type == NCPI_EPB;
}

static inline void consume(struct ncp_client *c, const struct block *b)
{
	ncpi_window_frame(c, NCPI_GIVE);
	c->at.seq++;
	c->at.position += b->total_len;
}

/* The loop around frame_find(): events, idleness.  1: a frame at c->at, or an event with
 * *event set. */
static inline int next(struct ncp_client *c, struct ncp_frame *f, struct block *b, bool *event)
{
	*event = true;
	/* As a rule the frame handed out before is whole: C3, C4 without a call. */
	if (c->n_held) {
		NCPI_TESTPOINT("read:held");
		ncpi_fence_acquire();
		if (ncpi_load(&c->seg.h->tail) <= c->held[0].at.position)
			c->n_held = 0;
	}
	if (c->n_held || c->n_events || c->move || c->has_span || !*c->forked) {
		int r = ncpi_prepare(c, f);

		if (r)
			return r;
	}
	for (;;) {
		int r = frame_find(c, f, b);

		if (r == 1) {
			*event = false;
			return 1;
		}
		if (r == 2) {
			r = ncpi_lapped(c);
			if (r == 0 && c->n_events) {
				ncpi_event_pop(c, f);
				return 1;
			}
		} else if (r == 0) {
			r = ncpi_idle(c, f);
			if (r == 2)
				continue;
			return r;
		}
		if (r < 0)
			return r;
	}
}

/* See now and then whether it is time to tell the registry: a clock for every frame costs more than
 * the frame. */
static inline void tell(struct ncp_client *c)
{
	if (c->at.position - c->line_looked > c->seg.ring_size / 32)
		ncpi_enrol_tell(c, false);
}

void ncpi_tell_registry(struct ncp_client *c)
{
	tell(c);
}

static int hold(struct ncp_client *c, uint32_t n)
{
	if (n <= c->cap_held)
		return 0;
	void *more = realloc(c->held, n * sizeof(*c->held));

	if (!more)
		return -ENOMEM;
	c->held = more;
	c->cap_held = n;
	return 0;
}

/* Nothing stands between this call and the next frame: nothing is due, nothing chooses. */
static inline bool plain(const struct ncp_client *c)
{
	return !(c->n_events | c->move | c->has_span) && !c->reorder && !ncpi_chooses(c) &&
	       !c->group && *c->forked;
}

/*
 * The block of nearly every frame: an EPB with flags for its only option, whole below head.
 *
 *   w     its first word
 *   room  bytes from there to head, 32 at least
 *
 * C2, as in block_parse(), with everything in registers.  Returns the block's length with *f filled
 * except for its size, or 0 when it is something else: the long way knows what.
 */
static inline __attribute__((always_inline)) uint32_t
usual_parse(const uint32_t *w, uint64_t room, struct ncpi_place at, uint64_t incarnation,
	    struct ncp_frame *f)
{
	uint32_t total = ncpi_load(&w[1]), caplen = ncpi_load(&w[5]), len = ncpi_load(&w[6]);
	uint32_t padded = NCPI_PAD4((uint64_t)caplen);

	if (ncpi_load(&w[0]) != NCPI_EPB || caplen > len || caplen > NCPI_BLOCK_MAX ||
	    total != padded + 44 || total > room)
		return 0;
	const uint32_t *o = w + 7 + padded / 4;
	if (ncpi_load(&o[0]) != NCPI_OPTION(NCPI_EPB_FLAGS, 4))
		return 0;
	/* Member by member: a whole struct is put together on the stack and copied by wide loads, to
	 * which its stores cannot be forwarded. */
	f->kind = NCP_FRAME;
	f->data = (const uint8_t *)(w + 7);
	f->caplen = caplen;
	f->len = len;
	f->ts_ns = (uint64_t)ncpi_load(&w[3]) << 32 | ncpi_load(&w[4]);
	f->seq = at.seq;
	f->next_seq = at.seq + 1;
	f->position = at.position;
	f->incarnation = incarnation;
	f->dropcount = 0;
	f->interface = ncpi_load(&w[2]);
	f->flags = ncpi_load(&o[1]);
	f->state = f->reason = 0;
	return total;
}

/*
 * Up to n usual frames in a row, below the head that is known.  One look at tail for all: what the
 * last call handed out lies lowest, and if it is whole, so is what was read here.
 *
 * Returns how many, 0 when it is not that simple; then nothing has happened.  c->held has room.
 */
static int batch_take(struct ncp_client *c, struct ncp_frame *frames, int n)
{
	const struct ncpi_segment *seg = &c->seg;
	const uint64_t low = c->n_held ? c->held[0].at.position : c->at.position;
	const uint32_t *w = (const uint32_t *)(const void *)ncpi_segment_at(seg, c->at.position);
	struct ncpi_place at = c->at;
	struct ncpi_held *held = c->held;
	int k = 0;

	NCPI_TESTPOINT("read:held");
	NCPI_TESTPOINT("read:C2");
	for (; k < n && c->head - at.position >= 32; k++) {
		uint32_t total =
			usual_parse(w, c->head - at.position, at, seg->incarnation, &frames[k]);

		if (!total)
			break;
		frames[k].size = sizeof(*frames);
		at.seq++;
		at.position += total;
		w += total / 4;
	}
	NCPI_TESTPOINT("read:C3");
	/* C3, partner P3. */
	ncpi_fence_acquire();
	NCPI_TESTPOINT("read:C4");
	if (k == 0 || ncpi_load(&seg->h->tail) > low)
		return 0;
	for (int i = 0; i < k; i++) {
		held[i].at.position = frames[i].position;
		held[i].at.seq = frames[i].seq;
		held[i].others = c->now.others;
	}
	c->n_held = (uint32_t)k;
	c->last_ts_ns = frames[k - 1].ts_ns;
	ncpi_window_pass(c, (uint64_t)k);
	c->now.frames += (uint64_t)k;
	c->at = at;
	tell(c);
	return k;
}

void ncpi_run_stop(struct ncp_client *c)
{
	uint64_t n = c->run_end ? c->at.seq - c->run_seq : 0;

	c->run_end = 0;
	if (n == 0)
		return;
	/* The run began behind a frame of the long way: the window is open. */
	c->now.next_seq = c->at.seq;
	c->now.frames += n;
	c->held[0] = (struct ncpi_held){ { c->run_low, c->at.seq - 1 }, c->now.others };
	c->n_held = c->run_low != c->at.position;
}

/* Behind a frame that was handed out alone: may those after it go the short way? */
static void run_begin(struct ncp_client *c)
{
	uint64_t tell_at = c->line_looked + c->seg.ring_size / 32;

	if (!plain(c))
		return;
	c->run_end = c->head < tell_at ? c->head : tell_at;
	c->run_low = c->n_held ? c->held[0].at.position : c->at.position;
	c->run_seq = c->at.seq;
}

/* Apart, so that the short way saves no registers for it. */
static __attribute__((noinline)) int next_one(struct ncp_client *c, struct ncp_frame *f)
{
	struct block b;
	bool event;

	ncpi_run_stop(c);
	if (f->size < sizeof(*f))
		return -EINVAL;
	if (c->reorder)
		return ncpi_reorder_read(c, f, 1, false, NULL, 0);
	int r = next(c, f, &b, &event);
	if (r != 1 || event)
		return r;
	c->held[0] = (struct ncpi_held){ c->at, c->now.others };
	c->n_held = 1;
	c->last_ts_ns = f->ts_ns;
	consume(c, &b);
	tell(c);
	run_begin(c);
	return 1;
}

int ncp_next(struct ncp_client *c, struct ncp_frame *f)
{
	struct ncpi_place at = c->at;

	if (at.position >= c->run_end || f->size < sizeof(*f) || !*c->forked)
		return next_one(c, f);
	NCPI_TESTPOINT("read:held");
	NCPI_TESTPOINT("read:C2");
	uint32_t total = usual_parse((const uint32_t *)(const void *)ncpi_segment_at(
					     &c->seg, at.position),
				     c->head - at.position, at, c->seg.incarnation, f);
	NCPI_TESTPOINT("read:C3");
	/* C3, partner P3: of the frame handed out before, too, which lies lower. */
	ncpi_fence_acquire();
	NCPI_TESTPOINT("read:C4");
	if (!total || ncpi_load(&c->seg.h->tail) > c->run_low)
		return next_one(c, f);
	c->run_low = at.position;
	c->last_ts_ns = f->ts_ns;
	c->at.position = at.position + total;
	c->at.seq = at.seq + 1;
	return 1;
}

int ncp_next_batch(struct ncp_client *c, struct ncp_frame *frames, int n)
{
	struct block b;
	bool event;

	ncpi_run_stop(c);
	if (n < 1 || frames[0].size < sizeof(*frames))
		return -EINVAL;
	if (c->reorder)
		return ncpi_reorder_read(c, frames, n, false, NULL, 0);
	uint32_t size = frames[0].size;
	int r = ncpi_usable(c);
	if (r < 0)
		return r;
	if (plain(c) && (uint32_t)n <= c->cap_held && (r = batch_take(c, frames, n)) > 0)
		return r;
	r = next(c, frames, &b, &event);
	if (r != 1 || event)
		return r;
	/* The held ones of the last call were looked at in next(). */
	r = hold(c, (uint32_t)n);
	if (r < 0)
		return r;
	int k = 0;
	do {
		c->held[c->n_held++] = (struct ncpi_held){ c->at, c->now.others };
		c->last_ts_ns = frames[k].ts_ns;
		consume(c, &b);
		/* Behind a claim's end we would answer that it is done with. */
		if (++k == n || (c->group && c->at.position == c->head))
			break;
		frames[k].size = size;
	} while (frame_find(c, &frames[k], &b) == 1);
	/* Whatever ended this, the next call meets it again, after it has looked at the batch. */
	tell(c);
	return k;
}

static __attribute__((noinline)) int recv_one(struct ncp_client *c, void *buf, size_t cap,
					       struct ncp_frame *f)
{
	struct block b;
	bool event;

	ncpi_run_stop(c);
	if (f->size < sizeof(*f))
		return -EINVAL;
	if (c->reorder)
		return ncpi_reorder_read(c, f, 1, true, buf, cap);
	for (;;) {
		int r = next(c, f, &b, &event);

		if (r != 1 || event)
			return r;
		ncpi_copy_out(buf, f->data, f->caplen < cap ? f->caplen : cap);
		NCPI_TESTPOINT("recv:C3");
		/* C3, C4: the copy is whole, or it is thrown away here. */
		ncpi_fence_acquire();
		NCPI_TESTPOINT("recv:C4");
		if (ncpi_load(&c->seg.h->tail) <= c->at.position)
			break;
		r = ncpi_lapped(c);
		if (r < 0)
			return r;
	}
	f->data = buf;
	c->last_ts_ns = f->ts_ns;
	consume(c, &b);
	tell(c);
	run_begin(c);
	return 1;
}

int ncp_recv(struct ncp_client *c, void *buf, size_t cap, struct ncp_frame *f)
{
	struct ncpi_place at = c->at;

	if (at.position >= c->run_end || f->size < sizeof(*f) || !*c->forked)
		return recv_one(c, buf, cap, f);
	NCPI_TESTPOINT("read:held");
	NCPI_TESTPOINT("read:C2");
	uint32_t total = usual_parse((const uint32_t *)(const void *)ncpi_segment_at(
					     &c->seg, at.position),
				     c->head - at.position, at, c->seg.incarnation, f);
	if (total)
		ncpi_copy_out(buf, f->data, f->caplen < cap ? f->caplen : cap);
	NCPI_TESTPOINT("recv:C3");
	/* C3, C4, for the words and the copy, and for the frame handed out before. */
	ncpi_fence_acquire();
	NCPI_TESTPOINT("recv:C4");
	if (!total || ncpi_load(&c->seg.h->tail) > c->run_low)
		return recv_one(c, buf, cap, f);
	f->data = buf;
	c->last_ts_ns = f->ts_ns;
	c->at.position = c->run_low = at.position + total;
	c->at.seq = at.seq + 1;
	return 1;
}

int ncp_intact(const struct ncp_client *c, uint64_t position)
{
	int r = ncpi_usable(c);

	if (r < 0)
		return r;
	/* C3, C4: what the caller read before this call, it read before tail. */
	ncpi_fence_acquire();
	return ncpi_load(&c->seg.h->tail) <= position;
}
