/* SPDX-License-Identifier: BSD-2-Clause */
/* tally.c - sums over clients of one name that outlive the clients. */
#include "tally.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The sum that a name goes into: its own, a new one, or the common one. */
static uint32_t name_of(struct tally *t, const char *name)
{
	for (uint32_t i = 0; i < t->n_names; i++)
		if (!strncmp(t->name[i].name, name, sizeof(t->name[i].name)))
			return i;
	if (t->n_names == TALLY_NAMES || !strcmp(name, TALLY_OTHER))
		return TALLY_NAMES;
	struct tally_name *n = &t->name[t->n_names];
	*n = (struct tally_name){ 0 };
	memcpy(n->name, name, strnlen(name, sizeof(n->name) - 1));
	return t->n_names++;
}

static struct tally_client *client_of(struct tally *t, const struct ncp_peer *p)
{
	for (uint32_t i = 0; i < t->n_clients; i++) {
		struct tally_client *c = &t->client[i];

		if (c->since_ns == p->since_ns && c->pid == p->pid && c->uid == p->uid)
			return c;
	}
	if (t->n_clients == t->cap_clients) {
		uint32_t cap = t->cap_clients ? 2 * t->cap_clients : 16;
		void *more = realloc(t->client, cap * sizeof(*t->client));

		if (!more)
			return NULL;
		t->client = more;
		t->cap_clients = cap;
	}
	struct tally_client *c = &t->client[t->n_clients++];
	*c = (struct tally_client){ .since_ns = p->since_ns,
				    .pid = p->pid,
				    .uid = p->uid,
				    .name_idx = name_of(t, p->name) };
	return c;
}

int tally_take(struct tally *t, const struct snapshot *s)
{
	memcpy(t->name[TALLY_NAMES].name, TALLY_OTHER, sizeof(TALLY_OTHER));
	for (uint32_t i = 0; i < t->n_clients; i++)
		t->client[i].seen = false;
	for (uint32_t i = 0; i <= TALLY_NAMES; i++) {
		t->name[i].clients = 0;
		t->name[i].lag_ns = NCP_UNKNOWN;
	}
	for (uint32_t i = 0; i < s->n_clients; i++) {
		const struct snapshot_client *from = &s->client[i];
		struct tally_client *c = client_of(t, &from->peer);

		if (!c)
			return -ENOMEM;
		struct tally_name *n = &t->name[c->name_idx];
		c->seen = true;
		/* A line that goes back does not take the sum with it. */
		if (from->peer.frames > c->frames)
			c->frames = from->peer.frames;
		if (from->peer.lost > c->lost)
			c->lost = from->peer.lost;
		n->clients++;
		if (from->lag_ns != NCP_UNKNOWN &&
		    (n->lag_ns == NCP_UNKNOWN || from->lag_ns > n->lag_ns))
			n->lag_ns = from->lag_ns;
	}
	uint32_t kept = 0;
	for (uint32_t i = 0; i < t->n_clients; i++) {
		struct tally_name *n = &t->name[t->client[i].name_idx];

		if (t->client[i].seen) {
			t->client[kept++] = t->client[i];
		} else {
			n->gone_frames += t->client[i].frames;
			n->gone_lost += t->client[i].lost;
		}
	}
	t->n_clients = kept;
	for (uint32_t i = 0; i <= TALLY_NAMES; i++) {
		t->name[i].frames = t->name[i].gone_frames;
		t->name[i].lost = t->name[i].gone_lost;
	}
	for (uint32_t i = 0; i < t->n_clients; i++) {
		struct tally_name *n = &t->name[t->client[i].name_idx];

		n->frames += t->client[i].frames;
		n->lost += t->client[i].lost;
	}
	return 0;
}

void tally_free(struct tally *t)
{
	free(t->client);
	*t = (struct tally){ 0 };
}
