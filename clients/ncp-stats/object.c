/* SPDX-License-Identifier: BSD-2-Clause */
/* object.c - a snapshot as a JSON object. */
#include "object.h"

#include <math.h>

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

/* Rounded to whole units: what a second's counting can tell of a rate. */
static void put_rounded(struct json *j, const char *key, double value)
{
	json_key(j, key);
	json_u64(j, value < 0x1p63 ? (uint64_t)(value + 0.5) : INT64_MAX);
}

static void put_rates(struct json *j, const char *key, const struct snapshot_rate *r)
{
	json_key(j, key);
	json_object_begin(j);
	put_rounded(j, "frames", r->frames);
	put_rounded(j, "bits", r->bits);
	put_rounded(j, "kernel_drops", r->kernel_drops);
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

/* A sum and its standard error, each rounded, so that the error is never told too small. */
static void put_volume(struct json *j, const struct volume *v)
{
	put_rounded(j, "frames", v->frames.sum);
	put_rounded(j, "bytes", v->bytes.sum);
	put_rounded(j, "frames_error", ceil(estimate_error(&v->frames)));
	put_rounded(j, "bytes_error", ceil(estimate_error(&v->bytes)));
}

/* Those of n kinds of which there was any. */
static void put_kinds(struct json *j, const char *key, const char *name, const struct volume *of,
		      unsigned n, const char *(*name_of)(unsigned i))
{
	json_key(j, key);
	json_array_begin(j);
	for (unsigned i = 0; i < n; i++) {
		if (of[i].frames.sum == 0)
			continue;
		json_object_begin(j);
		put_str(j, name, name_of(i));
		put_volume(j, &of[i]);
		json_object_end(j);
	}
	json_array_end(j);
}

static void put_heavy(struct json *j, const char *key, const char *name, const struct heavy *h,
		      const char *(*text)(char *out, const struct heavy_entry *e))
{
	const struct heavy_entry *top[TRAFFIC_TOP];
	char buf[TRAFFIC_TEXT];
	size_t n = heavy_top(h, top, TRAFFIC_TOP);

	json_key(j, key);
	json_array_begin(j);
	for (size_t i = 0; i < n; i++) {
		json_object_begin(j);
		put_str(j, name, text(buf, top[i]));
		put_volume(j, &top[i]->volume);
		put_rounded(j, "bytes_missed", ceil(top[i]->missed));
		json_object_end(j);
	}
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
	put_u64(j, "frames", t->looked);
	json_key(j, "sampled_1_in");
	if (t->looked)
		json_u64(j, traffic_one_in(t));
	else
		json_null(j);
	put_rounded(j, "bytes", t->all.bytes.sum);
	put_rounded(j, "bytes_error", ceil(estimate_error(&t->all.bytes)));
	put_kinds(j, "protocols", "name", t->protocol, TRAFFIC_PROTOCOLS, traffic_protocol_name);
	put_kinds(j, "sizes", "size", t->size, TRAFFIC_SIZES, traffic_size_name);
	put_heavy(j, "talkers", "address", &t->talkers, traffic_talker_text);
	put_heavy(j, "flows", "flow", &t->flows, traffic_flow_text);
	json_object_end(j);
}

void object_snapshot(struct json *j, const struct snapshot *s, const struct traffic *traffic)
{
	const struct ncp_bus_info *i = &s->info;
	const char *reason = snapshot_reason(s);

	json_object_begin(j);
	put_u64(j, "schema", 1);
	json_key(j, "time");
	json_time(j, s->at_ns);
	put_str(j, "bus", i->name);
	put_str(j, "state", snapshot_state(s));
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
