/* SPDX-License-Identifier: BSD-2-Clause */
/* fleet.c - find busses, keep a look at each. */
#include "fleet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void sample_end(struct fleet_bus *b)
{
	if (b->sample)
		sample_close(b->sample);
	free(b->sample);
	b->sample = NULL;
}

static void sample_begin(struct fleet_bus *b)
{
	b->sample = calloc(1, sizeof(*b->sample));
	if (b->sample && sample_open(b->sample, b->name.name, b->look.dir, b->look.trust) < 0)
		sample_end(b);
}

static void bus_clear(struct fleet_bus *b)
{
	look_close(&b->look);
	snapshot_free(&b->snapshot);
	tally_free(&b->tally);
	sample_end(b);
	*b = (struct fleet_bus){ 0 };
}

/* Where one that has come is kept; NULL: nowhere. */
static struct fleet_bus *room(struct fleet *f)
{
	if (f->n < FLEET_CAP)
		return f->bus[f->n] = calloc(1, sizeof(*f->bus[0]));
	for (uint32_t i = 0; i < f->n; i++)
		if (f->bus[i]->attached ? f->bus[i]->look.gone : f->bus[i]->code == NCP_ENOBUS) {
			bus_clear(f->bus[i]);
			return f->bus[i];
		}
	return NULL;
}

/* -ENOMEM: only when there is no memory. */
static int keep(struct fleet *f, const char *name)
{
	for (uint32_t i = 0; i < f->n; i++)
		if (!strcmp(f->bus[i]->name.name, name))
			return 0;
	struct fleet_bus *b = room(f);
	if (!b) {
		f->left_out++;
		return f->n < FLEET_CAP ? -ENOMEM : 0;
	}
	memcpy(b->name.name, name, strnlen(name, sizeof(b->name.name) - 1));
	b->look = (struct look){ .bus = b->name.name, .dir = f->dir, .trust = f->trust };
	f->n += f->n < FLEET_CAP;
	return 0;
}

static int find(struct fleet *f)
{
	struct ncp_bus_name names[FLEET_CAP];
	int r = 0;

	f->left_out = 0;
	if (f->only)
		return keep(f, f->only);
	int n = ncp_list(f->dir, names, FLEET_CAP);
	if (n < 0)
		return n;
	for (int i = 0; i < n && i < (int)FLEET_CAP && r == 0; i++)
		r = keep(f, names[i].name);
	if (n > (int)FLEET_CAP)
		f->left_out += (uint32_t)n - FLEET_CAP;
	return r;
}

int fleet_open(struct fleet *f)
{
	int r = find(f);

	for (uint32_t i = 0; i < f->n && r == 0; i++) {
		struct fleet_bus *b = f->bus[i];

		if (b->attached)
			continue;
		b->code = look_open(&b->look, b->why);
		b->attached = b->code == 0;
	}
	return r;
}

/* What went wrong with a bus is told beside what was known of it before, if anything was. */
static int wrong(struct fleet_bus *b, int code)
{
	if (code == -ENOMEM)
		return code;
	sample_end(b);
	if (!b->snapshot.info.state) {
		look_close(&b->look);
		b->attached = false;
		b->code = code;
		snprintf(b->why, sizeof(b->why), "%s", ncp_strerror(code));
		return 0;
	}
	snapshot_wrong(&b->snapshot, ncp_strerror(code), look_now(CLOCK_REALTIME),
		       look_now(CLOCK_MONOTONIC));
	b->snapshot.gone = b->look.gone;
	return 0;
}

static int take(struct fleet_bus *b, bool sampled)
{
	struct snapshot fresh = { 0 };
	int r;

	b->again = LOOK_SAME;
	if (b->snapshot.info.state)
		b->again = look_again(&b->look, b->snapshot.wrong ? (uint32_t)NCP_DEAD
								  : b->snapshot.info.state);
	if (!sampled)
		sample_end(b);
	else if (!b->sample)
		sample_begin(b);
	r = b->sample ? sample_turn(b->sample) : 0;
	if (r == 0)
		r = look_take(&b->look, &fresh);
	if (r < 0) {
		snapshot_free(&fresh);
		return wrong(b, r);
	}
	snapshot_free(&b->snapshot);
	b->snapshot = fresh;
	totals_take(&b->totals, &b->snapshot);
	history_add(&b->history, &b->snapshot);
	return tally_take(&b->tally, &b->snapshot);
}

int fleet_take(struct fleet *f)
{
	int r = fleet_open(f);

	for (uint32_t i = 0; i < f->n && r == 0; i++)
		if (f->bus[i]->attached)
			r = take(f->bus[i],
				 f->sampled && (i < FLEET_SAMPLED || i == f->shown));
	return r;
}

void fleet_sample(struct fleet *f)
{
	for (uint32_t i = 0; i < f->n; i++)
		if (f->bus[i]->sample)
			sample_some(f->bus[i]->sample);
}

const struct traffic *fleet_traffic(const struct fleet_bus *b)
{
	return b->sample && b->sample->last.span_ns ? &b->sample->last : NULL;
}

void fleet_close(struct fleet *f)
{
	for (uint32_t i = 0; i < f->n; i++) {
		bus_clear(f->bus[i]);
		free(f->bus[i]);
	}
	f->n = 0;
}
