/* SPDX-License-Identifier: BSD-2-Clause */
/* look.c - collect what a bus, its producer's lines and its clients' lines say. */
#include "look.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util/escape.h"

/* Room for more clients than there were at the look before. */
#define PEERS_MORE 8
/* A registry is open to anybody in the group: so many clients are shown at most. */
#define PEERS_MAX 16384

uint64_t look_now(int clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static int attach(const struct look *l, struct ncp_client **client, char *why)
{
	struct ncp_options o = NCP_OPTIONS_INIT;

	o.flags = NCP_NO_REGISTRY | NCP_NO_REATTACH;
	o.dir = l->dir;
	o.trust_owner = l->trust;
	o.error = why;
	o.error_cap = LOOK_WHY_CAP;
	*why = '\0';
	return ncp_attach(client, l->bus, &o);
}

/* Adopt a client that was just attached. */
static void adopt(struct look *l, struct ncp_client *client, const struct ncp_bus_info *info)
{
	ncp_detach(l->client);
	l->client = client;
	l->heartbeat = info->heartbeat;
	l->gone = false;
}

int look_open(struct look *l, char *why)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	struct ncp_client *client;
	int r = attach(l, &client, why);

	if (r < 0)
		return r;
	r = ncp_bus_info(client, &info);
	if (r < 0) {
		snprintf(why, LOOK_WHY_CAP, "%s", ncp_strerror(r));
		ncp_detach(client);
		return r;
	}
	adopt(l, client, &info);
	return 0;
}

bool look_settled(struct look *l)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;

	if (ncp_bus_info(l->client, &info) < 0)
		return true;
	switch (info.state) {
	case NCP_STOPPED:
	case NCP_ENDED:
	case NCP_CLOSED:
	case NCP_DEAD:
		return true;
	default:
		return info.heartbeat != l->heartbeat;
	}
}

static int take_workers(struct look *l, struct snapshot *s)
{
	s->worker = calloc(s->info.n_workers + 1, sizeof(*s->worker));
	if (!s->worker)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->info.n_workers; i++) {
		s->worker[i].size = sizeof(*s->worker);
		int r = ncp_worker(l->client, i, &s->worker[i]);
		if (r < 0)
			return r;
		s->n_workers++;
	}
	return 0;
}

static int take_interfaces(struct look *l, struct snapshot *s)
{
	s->interface = calloc(s->info.n_interfaces + 1, sizeof(*s->interface));
	if (!s->interface)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->info.n_interfaces; i++) {
		struct ncp_interface from = NCP_INTERFACE_INIT;
		struct snapshot_interface *to = &s->interface[i];
		int r = ncp_interface(l->client, i, &from);

		if (r < 0)
			return r;
		escape_str(to->name, sizeof(to->name), from.name);
		to->linktype = from.linktype;
		to->published = from.published;
		to->received = from.received;
		to->kernel_drops = from.kernel_drops;
		s->n_interfaces++;
	}
	return 0;
}

static int by_name_and_pid(const void *a, const void *b)
{
	const struct ncp_peer *x = a, *y = b;
	int r = strncmp(x->name, y->name, sizeof(x->name));

	return r ? r : (x->pid > y->pid) - (x->pid < y->pid);
}

static int take_clients(struct look *l, struct snapshot *s)
{
	struct ncp_peer *peer = NULL;
	int n, cap = l->n_clients;

	/* Counting costs as much as reading, so read; again, if there was no room. */
	do {
		cap = cap + PEERS_MORE < PEERS_MAX ? cap + PEERS_MORE : PEERS_MAX;
		free(peer);
		peer = calloc((size_t)cap, sizeof(*peer));
		if (!peer)
			return -ENOMEM;
		peer[0].size = sizeof(*peer);
		n = ncp_peers(l->client, peer, cap);
	} while (n > cap && cap < PEERS_MAX && (cap = n));
	/* A registry that cannot be read shows no client, and a bus may have none. */
	s->n_clients_in_all = n > 0 ? (uint32_t)n : 0;
	n = n < 0 ? 0 : n < cap ? n : cap;
	l->n_clients = n;
	s->client = calloc((size_t)n + 1, sizeof(*s->client));
	if (!s->client) {
		free(peer);
		return -ENOMEM;
	}
	qsort(peer, (size_t)n, sizeof(*peer), by_name_and_pid);
	for (int i = 0; i < n; i++)
		s->client[s->n_clients++].peer = peer[i];
	free(peer);
	return 0;
}

int look_take(struct look *l, struct snapshot *s)
{
	*s = (struct snapshot){ .info = NCP_BUS_INFO_INIT, .gone = l->gone };
	s->at_ns = look_now(CLOCK_REALTIME);
	s->mono_ns = look_now(CLOCK_MONOTONIC);
	int r = ncp_bus_info(l->client, &s->info);
	if (r == 0)
		r = take_workers(l, s);
	if (r == 0)
		r = take_interfaces(l, s);
	if (r == 0)
		r = take_clients(l, s);
	if (r == 0)
		snapshot_derive(s, &l->past);
	return r;
}

enum look_again look_again(struct look *l, uint32_t state)
{
	struct ncp_bus_info now = NCP_BUS_INFO_INIT, then = NCP_BUS_INFO_INIT;
	struct ncp_client *client;
	char why[LOOK_WHY_CAP];
	bool was_gone = l->gone;

	if (state == NCP_STARTING || state == NCP_LIVE)
		return LOOK_SAME;
	int r = attach(l, &client, why);
	if (r == NCP_ENOBUS) {
		l->gone = true;
		return was_gone ? LOOK_SAME : LOOK_GONE;
	}
	if (r < 0)
		return LOOK_SAME; /* somebody else's, or not ready: the old one stays in view */
	/* Of one that is corrupt by now nothing is known: whatever is whole is better. */
	if (ncp_bus_info(client, &now) < 0 ||
	    (ncp_bus_info(l->client, &then) == 0 && now.incarnation == then.incarnation)) {
		ncp_detach(client);
		l->gone = false;
		return was_gone ? LOOK_BACK : LOOK_SAME;
	}
	adopt(l, client, &now);
	return LOOK_REPLACED;
}

void look_close(struct look *l)
{
	ncp_detach(l->client);
	l->client = NULL;
}
