/* SPDX-License-Identifier: BSD-2-Clause */
/* totals.c - sums over the busses of one name. */
#include "totals.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void anew(struct total *t)
{
	t->before += t->now;
	t->now = 0;
}

/* A counter that seems to go back did not. */
static void take(struct total *t, uint64_t n)
{
	if (n == NCP_UNKNOWN)
		return;
	t->known = true;
	if (n > t->now)
		t->now = n;
}

/* Interfaces without a name, or with the name of one before them, are told by their number. */
static void name_of(char out[80], const struct snapshot *s, uint32_t i)
{
	const char *name = s->interface[i].name;
	bool again = !*name;

	for (uint32_t k = 0; k < i && !again; k++)
		again = !strcmp(name, s->interface[k].name);
	if (again)
		snprintf(out, 80, "%s#%" PRIu32, name, i);
	else
		snprintf(out, 80, "%s", name);
}

static struct totals_interface *interface_of(struct totals *t, const char *name)
{
	struct totals_interface *to = &t->interface[TOTALS_INTERFACES];

	for (uint32_t i = 0; i < t->n_interfaces; i++)
		if (!strcmp(t->interface[i].name, name))
			return &t->interface[i];
	if (t->n_interfaces == TOTALS_INTERFACES || !strcmp(name, TOTALS_OTHER))
		name = TOTALS_OTHER;
	else
		to = &t->interface[t->n_interfaces++];
	snprintf(to->name, sizeof(to->name), "%s", name);
	return to;
}

void totals_take(struct totals *t, const struct snapshot *s)
{
	const struct ncp_bus_info *i = &s->info;
	const uint64_t of_bus[TOTALS_OF_BUS] = {
		[TOTALS_PUBLISHED] = i->next_seq,    [TOTALS_BYTES] = i->bytes,
		[TOTALS_RECEIVED] = i->received,     [TOTALS_TRUNCATED] = i->truncated,
		[TOTALS_DISCARDED] = i->discarded,   [TOTALS_FREEZES] = i->freezes,
		[TOTALS_STARTS] = i->epoch,
	};
	uint64_t other[2] = { 0, 0 };
	char name[80];

	if (t->incarnation != i->incarnation) {
		t->incarnation = i->incarnation;
		for (int k = 0; k < TOTALS_OF_BUS; k++)
			anew(&t->of_bus[k]);
		for (uint32_t k = 0; k <= TOTALS_INTERFACES; k++) {
			anew(&t->interface[k].published);
			anew(&t->interface[k].kernel_drops);
		}
	}
	for (int k = 0; k < TOTALS_OF_BUS; k++)
		take(&t->of_bus[k], of_bus[k]);
	for (uint32_t k = 0; k < s->n_interfaces; k++) {
		const struct snapshot_interface *from = &s->interface[k];

		name_of(name, s, k);
		struct totals_interface *to = interface_of(t, name);
		if (to != &t->interface[TOTALS_INTERFACES]) {
			take(&to->published, from->published);
			take(&to->kernel_drops, from->kernel_drops);
			continue;
		}
		other[0] += from->published;
		other[1] += from->kernel_drops == NCP_UNKNOWN ? 0 : from->kernel_drops;
		take(&to->published, other[0]);
		take(&to->kernel_drops, other[1]);
	}
}

uint64_t total_value(const struct total *t)
{
	return t->before + t->now;
}
