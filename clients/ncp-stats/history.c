/* SPDX-License-Identifier: BSD-2-Clause */
/* history.c - a ring of seconds. */
#include "history.h"

#define SECOND UINT64_C(1000000000)

static void slot_add(struct history_slot *slot, uint64_t second, const struct snapshot_rate *r,
		     double span_s)
{
	if (slot->second != second)
		*slot = (struct history_slot){ .second = second };
	slot->span_s += span_s;
	slot->count[HISTORY_FRAMES] += r->frames * span_s;
	slot->count[HISTORY_BITS] += r->bits * span_s;
	slot->count[HISTORY_DROPS] += r->kernel_drops * span_s;
}

void history_add(struct history *h, const struct snapshot *s)
{
	uint64_t last = s->mono_ns / SECOND;

	if (!s->has_rates || s->mono_ns <= h->mono_ns)
		return;
	h->mono_ns = s->mono_ns;
	/* Rounded: a timer that is late by a little makes no second of its own. */
	uint64_t n = (s->interval_ns + SECOND / 2) / SECOND;
	double span_s = (double)s->interval_ns / (double)SECOND;
	if (n > 1)
		span_s /= (double)n;
	for (uint64_t i = 0; i < HISTORY_SLOTS && i < (n ? n : 1) && i <= last; i++)
		slot_add(&h->slot[(last - i) % HISTORY_SLOTS], last - i, &s->now, span_s);
}

double history_rate(const struct history *h, uint64_t second, unsigned int n,
		    enum history_what what)
{
	double count = 0, span_s = 0;

	for (uint64_t i = second; i < second + n; i++) {
		const struct history_slot *slot = &h->slot[i % HISTORY_SLOTS];

		if (slot->second == i && slot->span_s > 0) {
			span_s += slot->span_s;
			count += slot->count[what];
		}
	}
	return span_s > 0 ? count / span_s : -1;
}

uint64_t history_now(const struct history *h)
{
	return h->mono_ns / SECOND;
}
