/* SPDX-License-Identifier: BSD-2-Clause */
/* fleet.c - find busses, keep a look at each. */
#include "fleet.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct fleet_bus *bus_of(struct fleet *f, const char *name)
{
	for (uint32_t i = 0; i < f->n; i++)
		if (!strcmp(f->bus[i]->name.name, name))
			return f->bus[i];
	struct fleet_bus *b = f->n < FLEET_CAP ? calloc(1, sizeof(*b)) : NULL;
	if (!b)
		return NULL;
	memcpy(b->name.name, name, strnlen(name, sizeof(b->name.name) - 1));
	b->look = (struct look){ .bus = b->name.name, .dir = f->dir, .trust = f->trust };
	f->bus[f->n++] = b;
	return b;
}

static int find(struct fleet *f)
{
	struct ncp_bus_name names[FLEET_CAP];

	if (f->only)
		return bus_of(f, f->only) ? 0 : -ENOMEM;
	int n = ncp_list(f->dir, names, FLEET_CAP);
	if (n < 0)
		return n;
	for (int i = 0; i < n && i < (int)FLEET_CAP; i++)
		(void)bus_of(f, names[i].name);
	return 0;
}

static void sample_begin(struct fleet_bus *b)
{
	b->sample = calloc(1, sizeof(*b->sample));
	if (b->sample && sample_open(b->sample, b->name.name, b->look.dir, b->look.trust) < 0) {
		free(b->sample);
		b->sample = NULL;
	}
}

static int take(struct fleet_bus *b, bool sampled)
{
	struct snapshot fresh = { 0 };

	if (!b->attached) {
		if (look_open(&b->look, b->why) < 0)
			return 0;
		b->attached = true;
	} else {
		(void)look_again(&b->look, b->snapshot.info.state);
	}
	if (b->sample)
		sample_turn(b->sample);
	else if (sampled)
		sample_begin(b);
	int r = look_take(&b->look, &fresh);
	if (r < 0) {
		snapshot_free(&fresh);
		return r == -ENOMEM ? r : 0;
	}
	snapshot_free(&b->snapshot);
	b->snapshot = fresh;
	return tally_take(&b->tally, &b->snapshot);
}

int fleet_take(struct fleet *f)
{
	int r = find(f);

	for (uint32_t i = 0; i < f->n && r == 0; i++)
		r = take(f->bus[i], i < FLEET_SAMPLED);
	return r;
}

void fleet_sample(struct fleet *f)
{
	for (uint32_t i = 0; i < f->n; i++)
		if (f->bus[i]->sample)
			sample_some(f->bus[i]->sample);
}

void fleet_close(struct fleet *f)
{
	for (uint32_t i = 0; i < f->n; i++) {
		look_close(&f->bus[i]->look);
		snapshot_free(&f->bus[i]->snapshot);
		tally_free(&f->bus[i]->tally);
		if (f->bus[i]->sample)
			sample_close(f->bus[i]->sample);
		free(f->bus[i]->sample);
		free(f->bus[i]);
	}
	f->n = 0;
}
