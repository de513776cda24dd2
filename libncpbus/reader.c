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

/* C2: take the block at a place apart into f.  Whatever its words say, it lies in the two mappings of
 * the ring. */
static inline __attribute__((always_inline)) void
block_parse(const struct ncp_client *c, struct ncpi_place at, struct block *b, struct ncp_frame *f)
{
	const uint32_t *w =
		(const uint32_t *)(const void *)ncpi_segment_at(&c->seg, at.position);
	uint64_t room = c->head - at.position;

	b->type = ncpi_load(&w[0]);
	b->total_len = ncpi_load(&w[1]);
	b->sane = b->total_len >= 12 && b->total_len % 4 == 0 && b->total_len <= room &&
		  b->total_len <= c->seg.block_max;
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
			uint64_t head = ncpi_load_acquire(&c->seg.h->head);
			if (c->at.position == head)
				return 0;
			if (head < c->at.position || head % 4)
				return NCP_ECORRUPT;
			if (head - c->at.position > c->seg.ring_size)
				return 2;
			/* Only now: from c->at to c->head is a ring at most, also after an error. */
			c->head = head;
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
	if (c->n_held || c->n_events || c->move || c->has_span || !c->run.wiped->parent) {
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

/* --- the short way --------------------------------------------------------------------------- */

/*
 * Nearly every frame follows another one, below the head that is known, and stands in an EPB with
 * flags for its only option.  For these all that is needed stands together in c->run, and what is
 * handed out is stored by pairs of words: a struct ncp_frame by single ones is a store for each, and
 * that is what bounds a reader.
 */
#define PAIR(first, second)                                                                        \
	_Static_assert(offsetof(struct ncp_frame, second) == offsetof(struct ncp_frame, first) + 8 && \
			       sizeof((struct ncp_frame){}.second) == 8,                           \
		       "a pair")
PAIR(caplen, ts_ns);
PAIR(seq, next_seq);
PAIR(position, incarnation);
_Static_assert(offsetof(struct ncp_frame, len) == offsetof(struct ncp_frame, caplen) + 4 &&
		       offsetof(struct ncp_frame, interface) ==
			       offsetof(struct ncp_frame, dropcount) + 8 &&
		       offsetof(struct ncp_frame, flags) ==
			       offsetof(struct ncp_frame, dropcount) + 12,
	       "words in pairs");

static inline void pair_store(struct ncp_frame *f, size_t off, ncpi_pair pair)
{
	memcpy((uint8_t *)f + off, &pair, sizeof(pair));
}

/*
 * C2 of such a block.
 *
 *   w     its first word, below end
 *   end   as run_room() says
 *   seq, position  as in struct ncpi_run, of this frame
 *   last  out: of this frame
 *
 * Returns the block's length with *f filled except for its size and for what only an event has, or
 * 0 when it is something else: the long way knows what.
 */
static inline __attribute__((always_inline)) uint32_t usual_parse(const uint8_t *w,
								  const uint8_t *end, ncpi_pair seq,
								  ncpi_pair position,
								  struct ncp_frame *f,
								  ncpi_pair *last)
{
	const uint32_t *word = (const uint32_t *)(const void *)w;
	uint32_t total = ncpi_load(&word[1]);
	/* ts_high, ts_low, caplen, len; and as a struct ncp_frame has them. */
	ncpi_words in = ncpi_load_words(&word[3]);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	ncpi_words out = __builtin_shufflevector(in, in, 2, 3, 1, 0);
#else
	ncpi_words out = __builtin_shufflevector(in, in, 2, 3, 0, 1);
#endif
	uint32_t caplen = out[0], len = out[1];
	/* In 64 bits: a caplen that says 4 GiB fits no total. */
	uint64_t padded = ((uint64_t)caplen + 3) & ~UINT64_C(3);

	if (ncpi_load(&word[0]) != NCPI_EPB || caplen > len || total != padded + 44 ||
	    total > (uint64_t)(end - w))
		return 0;
	const uint32_t *option = word + 7 + padded / 4;
	if (ncpi_load(&option[0]) != NCPI_OPTION(NCPI_EPB_FLAGS, 4))
		return 0;
	f->kind = NCP_FRAME;
	f->data = w + 28;
	pair_store(f, offsetof(struct ncp_frame, caplen), (ncpi_pair)out);
	pair_store(f, offsetof(struct ncp_frame, seq), seq);
	pair_store(f, offsetof(struct ncp_frame, position), position);
	pair_store(f, offsetof(struct ncp_frame, dropcount),
		   (ncpi_pair)(ncpi_words){ 0, 0, ncpi_load(&word[2]), ncpi_load(&option[1]) });
	*last = (ncpi_pair)out;
	return total;
}

/* How far the short way may go from the block at c->at: to head, but not so far that a block be too
 * long, or that the words of one that begins there, whole or not, leave the two mappings of the ring. */
static inline uint64_t run_room(const struct ncp_client *c)
{
	uint64_t room = c->head - c->at.position, most = c->seg.block_max - sizeof(struct ncpi_epb);

	return room < most ? room : most;
}

/* Nothing stands between this call and the next frame: nothing is due, nothing chooses. */
static inline bool plain(const struct ncp_client *c)
{
	return !(c->n_events | c->move | c->has_span) && !c->reorder && !ncpi_chooses(c) &&
	       !c->group && c->run.wiped->parent;
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
	const uint8_t *w = ncpi_segment_at(seg, c->at.position), *end = w + run_room(c);
	ncpi_pair seq = { c->at.seq, c->at.seq + 1 };
	ncpi_pair position = { c->at.position, seg->incarnation }, last = {};
	struct ncpi_held *held = c->held;
	int k = 0;

	NCPI_TESTPOINT("read:held");
	NCPI_TESTPOINT("read:C2");
	for (; k < n && w < end; k++) {
		uint32_t total = usual_parse(w, end, seq, position, &frames[k], &last);

		if (!total)
			break;
		frames[k].size = sizeof(*frames);
		w += total;
		seq += (ncpi_pair){ 1, 1 };
		position += (ncpi_pair){ total, 0 };
	}
	NCPI_TESTPOINT("read:C3");
	/* C3, partner P3. */
	ncpi_fence_acquire();
	NCPI_TESTPOINT("read:C4");
	if (k == 0 || ncpi_load(&seg->h->tail) > low)
		return 0;
	held[0] = (struct ncpi_held){ c->at, c->now.others };
	for (int i = 1; i < k; i++)
		held[i].at.position = frames[i].position;
	c->held_in_row = true;
	c->n_held = (uint32_t)k;
	c->last_ts_ns = last[1];
	ncpi_window_pass(c, (uint64_t)k);
	c->now.frames += (uint64_t)k;
	c->at = (struct ncpi_place){ position[0], seq[0] };
	tell(c);
	return k;
}

static inline void held_one(struct ncp_client *c, struct ncpi_place at)
{
	c->held[0] = (struct ncpi_held){ at, c->now.others };
	c->held_in_row = false;
	c->n_held = 1;
}

void ncpi_run_stop(struct ncp_client *c)
{
	const struct ncpi_run *run = &c->run;

	if (!run->wiped->run_end)
		return;
	run->wiped->run_end = NULL;
	uint64_t n = run->seq[0] - run->first_seq;
	if (n == 0)
		return;
	c->at.position = run->base[0] + (uintptr_t)run->w;
	c->at.seq = run->seq[0];
	c->last_ts_ns = run->last[1];
	/* The run began behind a frame of the long way: the window is open. */
	c->now.next_seq = c->at.seq;
	c->now.frames += n;
	c->n_held = 0;
	if (run->low[0] != c->at.position)
		held_one(c, (struct ncpi_place){ run->low[0], c->at.seq - 1 });
}

/* Behind a frame that was handed out alone: may those after it go the short way? */
static void run_begin(struct ncp_client *c)
{
	uint64_t tell_at = c->line_looked + c->seg.ring_size / 32, room = run_room(c);

	if (!plain(c) || tell_at <= c->at.position)
		return;
	if (room > tell_at - c->at.position)
		room = tell_at - c->at.position;
	const uint8_t *w = ncpi_segment_at(&c->seg, c->at.position);
	struct ncpi_run *run = &c->run;
	run->seq = (ncpi_pair){ c->at.seq, c->at.seq + 1 };
	run->base = (ncpi_pair){ c->at.position - (uintptr_t)w, c->seg.incarnation };
	run->low = (ncpi_pair){ c->n_held ? c->held[0].at.position : c->at.position,
				c->seg.incarnation };
	run->w = w;
	run->tail = &c->seg.h->tail;
	run->first_seq = c->at.seq;
	run->wiped->run_end = w + room;
}

/* --- the calls ---------------------------------------------------------------------------------- */

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
	held_one(c, c->at);
	c->last_ts_ns = f->ts_ns;
	consume(c, &b);
	tell(c);
	run_begin(c);
	return 1;
}

int ncp_next(struct ncp_client *c, struct ncp_frame *f)
{
	struct ncpi_run *run = &c->run;
	const uint8_t *w = run->w, *end = run->wiped->run_end;

	if (w >= end || f->size < sizeof(*f))
		return next_one(c, f);
	const ncpi_pair seq = run->seq, position = run->base + (ncpi_pair){ (uintptr_t)w, 0 };
	ncpi_pair last;
	NCPI_TESTPOINT("read:held");
	NCPI_TESTPOINT("read:C2");
	uint32_t total = usual_parse(w, end, seq, position, f, &last);
	NCPI_TESTPOINT("read:C3");
	/* C3, partner P3: of the frame handed out before, too, which lies lower. */
	ncpi_fence_acquire();
	NCPI_TESTPOINT("read:C4");
	if (!total || ncpi_load(run->tail) > run->low[0])
		return next_one(c, f);
	run->seq = seq + (ncpi_pair){ 1, 1 };
	run->low = position;
	run->last = last;
	run->w = w + total;
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
	c->held_in_row = false;
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
	struct ncpi_run *run = &c->run;
	const uint8_t *w = run->w, *end = run->wiped->run_end;

	if (w >= end || f->size < sizeof(*f))
		return recv_one(c, buf, cap, f);
	const ncpi_pair seq = run->seq, position = run->base + (ncpi_pair){ (uintptr_t)w, 0 };
	ncpi_pair last;
	NCPI_TESTPOINT("read:held");
	NCPI_TESTPOINT("read:C2");
	uint32_t total = usual_parse(w, end, seq, position, f, &last);
	if (total)
		ncpi_copy_out_short(buf, w + 28, f->caplen < cap ? f->caplen : cap);
	NCPI_TESTPOINT("recv:C3");
	/* C3, C4, for the words and the copy, and for the frame handed out before. */
	ncpi_fence_acquire();
	NCPI_TESTPOINT("recv:C4");
	if (!total || ncpi_load(run->tail) > run->low[0])
		return recv_one(c, buf, cap, f);
	f->data = buf;
	run->seq = seq + (ncpi_pair){ 1, 1 };
	run->low = position + (ncpi_pair){ total, 0 };
	run->last = last;
	run->w = w + total;
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
