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

static int client_compare(const void *a, const void *b)
{
	const struct tally_client *x = a, *y = b;

	return x->since_ns != y->since_ns ? (x->since_ns > y->since_ns) - (x->since_ns < y->since_ns)
	       : x->pid != y->pid	  ? (x->pid > y->pid) - (x->pid < y->pid)
					  : (x->uid > y->uid) - (x->uid < y->uid);
}

/* One of the first n, which are in order, or a new one; NULL: no memory. */
static struct tally_client *client_of(struct tally *t, uint32_t n, const struct ncp_peer *p)
{
	const struct tally_client key = { .since_ns = p->since_ns, .pid = p->pid, .uid = p->uid };
	struct tally_client *c = n ? bsearch(&key, t->client, n, sizeof(key), client_compare) : NULL;

	if (c)
		return c;
	if (t->n_clients == t->cap_clients) {
		uint32_t cap = t->cap_clients ? 2 * t->cap_clients : 16;
		void *more = realloc(t->client, cap * sizeof(*t->client));

		if (!more)
			return NULL;
		t->client = more;
		t->cap_clients = cap;
	}
	c = &t->client[t->n_clients++];
	*c = key;
	c->name_idx = name_of(t, p->name);
	return c;
}

/* What clients tell may be anything: a sum ends where numbers do, and never goes back. */
static void add(uint64_t *sum, uint64_t n)
{
	*sum = n < NCP_UNKNOWN - 1 - *sum ? *sum + n : NCP_UNKNOWN - 1;
}

static int note_clients(struct tally *t, const struct snapshot *s)
{
	const uint32_t ordered = t->n_clients;

	for (uint32_t i = 0; i < s->n_clients; i++) {
		const struct snapshot_client *from = &s->client[i];
		struct tally_client *c = client_of(t, ordered, &from->peer);

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
	return 0;
}

/* Those that were not seen have left.  Unless not all were looked at: then they may be there, and
 * would count twice if they came back; up to a bound. */
static void let_go(struct tally *t, bool saw_all)
{
	bool keep = !saw_all && t->n_clients < TALLY_UNSEEN;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < t->n_clients; i++) {
		struct tally_name *n = &t->name[t->client[i].name_idx];

		if (t->client[i].seen || keep) {
			t->client[kept++] = t->client[i];
		} else {
			add(&n->gone_frames, t->client[i].frames);
			add(&n->gone_lost, t->client[i].lost);
		}
	}
	t->n_clients = kept;
	if (kept)
		qsort(t->client, kept, sizeof(*t->client), client_compare);
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
	if (note_clients(t, s) < 0)
		return -ENOMEM;
	let_go(t, s->n_clients == s->n_clients_in_all);
	for (uint32_t i = 0; i <= TALLY_NAMES; i++) {
		t->name[i].frames = t->name[i].gone_frames;
		t->name[i].lost = t->name[i].gone_lost;
	}
	for (uint32_t i = 0; i < t->n_clients; i++) {
		struct tally_name *n = &t->name[t->client[i].name_idx];

		add(&n->frames, t->client[i].frames);
		add(&n->lost, t->client[i].lost);
	}
	return 0;
}

void tally_free(struct tally *t)
{
	free(t->client);
	*t = (struct tally){ 0 };
}
