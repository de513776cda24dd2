/* SPDX-License-Identifier: BSD-2-Clause */
/* object.c - a snapshot as a JSON object. */
#include "object.h"

static void put_str(struct json *j, const char *key, const char *value)
{
	json_key(j, key);
	json_str(j, value);
}

/* A counter; unknown is null. */
static void put_u64(struct json *j, const char *key, uint64_t value)
{
	json_key(j, key);
	if (value == NCP_UNKNOWN)
		json_null(j);
	else
		json_u64(j, value);
}

static void put_seconds(struct json *j, const char *key, uint64_t ns)
{
	json_key(j, key);
	if (ns > INT64_MAX)
		json_null(j);
	else
		json_seconds(j, (int64_t)ns);
}

static void put_bool(struct json *j, const char *key, bool value)
{
	json_key(j, key);
	json_bool(j, value);
}

/* A rate, rounded to whole units: what a second's counting can tell. */
static void put_rate(struct json *j, const char *key, double value)
{
	json_key(j, key);
	json_u64(j, value < 0x1p63 ? (uint64_t)(value + 0.5) : INT64_MAX);
}

static void put_rates(struct json *j, const char *key, const struct snapshot_rate *r)
{
	json_key(j, key);
	json_object_begin(j);
	put_rate(j, "frames", r->frames);
	put_rate(j, "bits", r->bits);
	put_rate(j, "kernel_drops", r->kernel_drops);
	json_object_end(j);
}

static void put_workers(struct json *j, const struct snapshot *s)
{
	json_key(j, "workers");
	json_array_begin(j);
	for (uint32_t i = 0; i < s->n_workers; i++) {
		const struct ncp_worker *w = &s->worker[i];

		json_object_begin(j);
		put_u64(j, "index", w->index);
		put_u64(j, "published", w->published);
		put_u64(j, "bytes", w->bytes);
		put_u64(j, "received", w->received);
		put_u64(j, "kernel_drops", w->kernel_drops);
		put_u64(j, "freezes", w->freezes);
		put_u64(j, "truncated", w->truncated);
		put_u64(j, "discarded", w->discarded);
		json_object_end(j);
	}
	json_array_end(j);
}

static void put_interfaces(struct json *j, const struct snapshot *s)
{
	json_key(j, "interfaces");
	json_array_begin(j);
	for (uint32_t i = 0; i < s->n_interfaces; i++) {
		const struct snapshot_interface *n = &s->interface[i];

		json_object_begin(j);
		put_str(j, "name", *n->name ? n->name : NULL);
		put_u64(j, "linktype", n->linktype);
		put_u64(j, "published", n->published);
		put_u64(j, "received", n->received);
		put_u64(j, "kernel_drops", n->kernel_drops);
		json_object_end(j);
	}
	json_array_end(j);
}

static void put_clients(struct json *j, const struct snapshot *s)
{
	json_key(j, "clients");
	json_array_begin(j);
	for (uint32_t i = 0; i < s->n_clients; i++) {
		const struct snapshot_client *c = &s->client[i];

		json_object_begin(j);
		put_str(j, "name", c->peer.name);
		put_u64(j, "pid", c->peer.pid);
		put_u64(j, "uid", c->peer.uid);
		json_key(j, "incarnation");
		json_hex(j, c->peer.incarnation);
		put_u64(j, "seq", c->elsewhere ? NCP_UNKNOWN : c->peer.seq);
		put_u64(j, "lag_frames", c->lag_frames);
		put_u64(j, "lag_bytes", c->lag_bytes);
		put_seconds(j, "lag_seconds", c->lag_ns);
		put_seconds(j, "overrun_in_seconds", c->overrun_ns);
		put_u64(j, "frames", c->peer.frames);
		put_u64(j, "filtered", c->peer.filtered);
		put_u64(j, "others", c->peer.others);
		put_u64(j, "lost", c->peer.lost);
		put_bool(j, "reliable", c->peer.reliable == 1);
		put_bool(j, "evicted", c->peer.reliable == 2);
		json_object_end(j);
	}
	json_array_end(j);
}

static void put_count(struct json *j, const char *name, const char *text,
		      const struct traffic_count *c)
{
	json_object_begin(j);
	put_str(j, name, text);
	put_u64(j, "frames", c->frames);
	put_u64(j, "bytes", c->bytes);
	json_object_end(j);
}

static void put_heavy(struct json *j, const char *key, const char *name, const struct heavy *h,
		      const char *(*text)(char *out, const struct heavy_entry *e))
{
	const struct heavy_entry *top[TRAFFIC_TOP];
	char buf[TRAFFIC_TEXT];
	size_t n = heavy_top(h, top, TRAFFIC_TOP);

	json_key(j, key);
	json_array_begin(j);
	for (size_t i = 0; i < n; i++)
		put_count(j, name, text(buf, top[i]),
			  &(struct traffic_count){ top[i]->frames, top[i]->bytes });
	json_array_end(j);
}

static void put_traffic(struct json *j, const struct traffic *t)
{
	json_key(j, "traffic");
	if (!t) {
		json_null(j);
		return;
	}
	json_object_begin(j);
	put_seconds(j, "interval_seconds", t->span_ns);
	put_u64(j, "published", t->published);
	put_u64(j, "frames", t->all.frames);
	put_u64(j, "bytes", t->all.bytes);
	/* One frame in so many was looked at; 1: each. */
	json_key(j, "sampled_1_in");
	if (t->all.frames)
		json_u64(j, (t->published + t->all.frames / 2) / t->all.frames);
	else
		json_null(j);
	json_key(j, "protocols");
	json_array_begin(j);
	for (unsigned i = 0; i < TRAFFIC_PROTOCOLS; i++)
		if (t->protocol[i].frames)
			put_count(j, "name", traffic_protocol_name(i), &t->protocol[i]);
	json_array_end(j);
	json_key(j, "sizes");
	json_array_begin(j);
	for (unsigned i = 0; i < TRAFFIC_SIZES; i++)
		put_count(j, "size", traffic_size_name(i), &t->size[i]);
	json_array_end(j);
	put_heavy(j, "talkers", "address", &t->talkers, traffic_talker_text);
	put_heavy(j, "flows", "flow", &t->flows, traffic_flow_text);
	json_object_end(j);
}

void object_snapshot(struct json *j, const struct snapshot *s, const struct traffic *traffic)
{
	const struct ncp_bus_info *i = &s->info;
	const char *reason = ncp_reason_text(i->reason);

	json_object_begin(j);
	put_u64(j, "schema", 1);
	json_key(j, "time");
	json_time(j, s->at_ns);
	put_str(j, "bus", i->name);
	put_str(j, "state", ncp_state_name(i->state));
	put_str(j, "reason", *reason ? reason : NULL);
	put_bool(j, "gone", s->gone);
	put_u64(j, "pid", i->pid ? i->pid : NCP_UNKNOWN);
	put_u64(j, "epoch", i->epoch);
	json_key(j, "incarnation");
	json_hex(j, i->incarnation);
	put_u64(j, "published", i->next_seq);
	put_u64(j, "bytes", i->bytes);
	put_u64(j, "received", i->received);
	put_u64(j, "kernel_drops", i->kernel_drops);
	put_u64(j, "freezes", i->freezes);
	put_u64(j, "truncated", i->truncated);
	put_u64(j, "discarded", i->discarded);
	put_u64(j, "ring_size", i->ring_size);
	put_u64(j, "oldest_seq", i->oldest_seq);
	put_u64(j, "next_seq", i->next_seq);
	put_seconds(j, "depth_seconds", s->depth_ns);
	put_bool(j, "reliable", i->reliable);
	json_key(j, "rates");
	if (s->has_rates) {
		json_object_begin(j);
		put_seconds(j, "interval_seconds", s->interval_ns);
		put_rates(j, "now", &s->now);
		put_rates(j, "mean", &s->mean);
		put_rates(j, "peak", &s->peak);
		json_object_end(j);
	} else {
		json_null(j);
	}
	put_interfaces(j, s);
	put_workers(j, s);
	put_clients(j, s);
	put_u64(j, "clients_in_all", s->n_clients_in_all);
	put_traffic(j, traffic);
	json_object_end(j);
}

void object_unknown(struct json *j, const char *bus, const char *why)
{
	json_object_begin(j);
	put_u64(j, "schema", 1);
	put_str(j, "bus", bus);
	put_str(j, "state", NULL);
	put_str(j, "why", why);
	json_object_end(j);
}
