/* SPDX-License-Identifier: BSD-2-Clause */
/* rotation.c - when a file of a series is full, and which one follows.  Pure. */
#include "rotation.h"

#define SECOND UINT64_C(1000000000)

static void began(struct rotation *r, uint64_t now_ns, uint64_t mono_ns)
{
	r->begun_ns = r->since_ns = now_ns;
	r->since_mono_ns = mono_ns;
}

void rotation_begin(struct rotation *r, const struct rotation_options *o, uint64_t number,
		    uint64_t now_ns, uint64_t mono_ns)
{
	*r = (struct rotation){ .o = o, .number = number };
	began(r, now_ns, mono_ns);
}

bool rotation_next(struct rotation *r, enum rotation_why why, uint64_t now_ns, uint64_t mono_ns)
{
	const struct rotation_options *o = r->o;
	uint64_t since_ns = r->since_ns, since_mono_ns = r->since_mono_ns;

	r->files++;
	if (o->stop_files && r->files >= o->stop_files)
		return false;
	began(r, now_ns, mono_ns);
	if (o->every_s && why == ROTATION_TIME) {
		r->turns++;
		r->number = 0;
		return o->size || !o->count || r->turns < o->count;
	}
	r->number++;
	/* tcpdump goes round within an interval of -G, too. */
	if (o->size && o->count && r->number >= o->count)
		r->number = 0;
	/* -G counts from its own turns only. */
	if (o->every_s) {
		r->since_ns = since_ns;
		r->since_mono_ns = since_mono_ns;
	}
	return true;
}

uint64_t rotation_full_at(const struct rotation *r)
{
	return r->o->size ? r->o->size + r->o->over : UINT64_MAX;
}

uint64_t rotation_packets(const struct rotation *r)
{
	return r->o->packets ? r->o->packets : UINT64_MAX;
}

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t rotation_wait_ns(struct rotation *r, uint64_t now_ns, uint64_t mono_ns)
{
	const struct rotation_options *o = r->o;
	uint64_t wait = UINT64_MAX, at, begun_s;

	/* The clock was set back: what it showed before counts no more. */
	if (now_ns < r->since_ns)
		r->since_ns = now_ns;
	begun_s = r->since_ns / SECOND;
	if (o->every_s || o->interval_s) {
		/* Whole seconds, as both tools count them: no two files have one name. */
		at = o->every_s ? begun_s + o->every_s :
				  begun_s - begun_s % o->interval_s + o->interval_s;
		at = at < UINT64_MAX / SECOND ? at * SECOND : UINT64_MAX;
		wait = now_ns >= at ? 0 : at - now_ns;
	}
	if (o->duration_ns) {
		uint64_t gone = mono_ns - r->since_mono_ns;

		wait = least(wait, gone >= o->duration_ns ? 0 : o->duration_ns - gone);
	}
	return wait;
}
