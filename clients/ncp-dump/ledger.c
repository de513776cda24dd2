/* SPDX-License-Identifier: BSD-2-Clause */
/* ledger.c - which frames were written, passed over and lost, in 64 bits, to the frame. */
#include "ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int ledger_open(struct ledger *l, uint64_t incarnation, uint64_t first_seq)
{
	void *more = realloc(l->window, (l->n + 1) * sizeof(*l->window));

	if (!more)
		return -ENOMEM;
	l->window = more;
	l->window[l->n++] = (struct ledger_window){ .incarnation = incarnation,
						    .first_seq = first_seq,
						    .next_seq = first_seq };
	return 0;
}

struct ledger_window *ledger_now(struct ledger *l)
{
	return l->n ? &l->window[l->n - 1] : NULL;
}

void ledger_frames(struct ledger *l, uint64_t n, uint64_t next_seq)
{
	struct ledger_window *w = ledger_now(l);

	w->frames += n;
	if (l->order != LEDGER_SCATTERED)
		ledger_reach(l, next_seq);
}

void ledger_reach(struct ledger *l, uint64_t next_seq)
{
	struct ledger_window *w = ledger_now(l);

	if (next_seq > w->next_seq)
		w->next_seq = next_seq;
}

void ledger_others(struct ledger *l, uint64_t n)
{
	ledger_now(l)->others = n;
}

/* Make [first, next) lost; returns how many of them were not yet, or -ENOMEM. */
static int64_t range_add(struct ledger_window *w, uint64_t first, uint64_t next)
{
	size_t at = w->n_ranges, end;
	uint64_t known = 0;

	/* Losses come nearly in order: look from the end. */
	while (at > 0 && w->range[at - 1].next >= first)
		at--;
	/* [at, end) touch the new one and become one with it. */
	uint64_t from = first, to = next;
	for (end = at; end < w->n_ranges && w->range[end].first <= next; end++) {
		uint64_t a = w->range[end].first, b = w->range[end].next;

		known += (b < next ? b : next) - (a > first ? a : first);
		from = a < from ? a : from;
		to = b > to ? b : to;
	}
	if (at == end && w->n_ranges == w->cap_ranges) {
		size_t cap = w->cap_ranges ? 2 * w->cap_ranges : 8;
		void *more = realloc(w->range, cap * sizeof(*w->range));

		if (!more)
			return -ENOMEM;
		w->range = more;
		w->cap_ranges = cap;
	}
	memmove(&w->range[at + 1], &w->range[end], (w->n_ranges - end) * sizeof(*w->range));
	w->n_ranges += 1 + at - end;
	w->range[at] = (struct ledger_range){ from, to };
	return (int64_t)(next - first - known);
}

int ledger_lost(struct ledger *l, uint64_t first, uint64_t next, bool counted)
{
	struct ledger_window *w = ledger_now(l);

	if (next == UINT64_MAX) {
		w->next_seq = next;
		return 0;
	}
	if (first < w->first_seq)
		first = w->first_seq;
	if (first >= next)
		return 0;
	int64_t n = range_add(w, first, next);
	if (n < 0)
		return (int)n;
	w->lost += (uint64_t)n;
	if (counted)
		w->frames -= (uint64_t)n;
	if (l->order != LEDGER_SCATTERED)
		ledger_reach(l, next);
	return 0;
}

void ledger_cut(struct ledger *l, uint64_t next_seq, uint64_t frames)
{
	struct ledger_window *w = ledger_now(l);

	if (l->order == LEDGER_SCATTERED)
		w->next_seq -= w->frames - frames;
	w->frames = frames;
	if (l->order != LEDGER_RISING)
		return;
	w->next_seq = next_seq;
	while (w->n_ranges && w->range[w->n_ranges - 1].next > next_seq) {
		struct ledger_range *r = &w->range[w->n_ranges - 1];
		uint64_t keep = r->first > next_seq ? r->first : next_seq;

		w->lost -= r->next - keep;
		r->next = keep;
		if (r->first == r->next)
			w->n_ranges--;
	}
}

/* What was neither written nor lost. */
static uint64_t rest(const struct ledger_window *w)
{
	return w->next_seq == UINT64_MAX ? 0 : w->next_seq - w->first_seq - w->frames - w->lost;
}

static uint64_t others(const struct ledger_window *w)
{
	return w->others < rest(w) ? w->others : rest(w);
}

static uint64_t filtered(const struct ledger_window *w)
{
	return rest(w) - others(w);
}

void ledger_sum(const struct ledger *l, struct ledger_sum *s)
{
	*s = (struct ledger_sum){ 0 };
	for (size_t i = 0; i < l->n; i++) {
		s->frames += l->window[i].frames;
		s->filtered += filtered(&l->window[i]);
		s->others += others(&l->window[i]);
		s->lost += l->window[i].lost;
		s->unknown = s->unknown || l->window[i].next_seq == UINT64_MAX;
	}
}

void ledger_json(const struct ledger *l, struct json *j)
{
	json_array_begin(j);
	for (size_t i = 0; i < l->n; i++) {
		const struct ledger_window *w = &l->window[i];
		bool unknown = w->next_seq == UINT64_MAX;

		json_object_begin(j);
		json_key(j, "incarnation"), json_hex(j, w->incarnation);
		json_key(j, "first_seq"), json_u64(j, w->first_seq);
		json_key(j, "next_seq"), unknown ? json_null(j) : json_u64(j, w->next_seq);
		json_key(j, "frames"), json_u64(j, w->frames);
		json_key(j, "filtered"), json_u64(j, filtered(w));
		json_key(j, "others"), json_u64(j, others(w));
		json_key(j, "lost"), unknown ? json_null(j) : json_u64(j, w->lost);
		json_key(j, "lost_ranges");
		json_array_begin(j);
		for (size_t k = 0; k < w->n_ranges; k++) {
			json_array_begin(j);
			json_u64(j, w->range[k].first);
			json_u64(j, w->range[k].next);
			json_array_end(j);
		}
		json_array_end(j);
		json_object_end(j);
	}
	json_array_end(j);
}

void ledger_free(struct ledger *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->window[i].range);
	free(l->window);
	*l = (struct ledger){ 0 };
}
