/* SPDX-License-Identifier: BSD-2-Clause */
/* snapshot.c - rates, depth and lag from counters. */
#include "snapshot.h"

#include <stdlib.h>

#define SECOND 1e9

/* Counters never go back; should one seem to, nothing happened. */
static uint64_t grown(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}

static double per_second(uint64_t n, uint64_t ns)
{
	return ns ? (double)n * SECOND / (double)ns : 0;
}

static double larger(double a, double b)
{
	return a > b ? a : b;
}

static struct snapshot_rate rate(const struct snapshot_mark *a, const struct snapshot_mark *b)
{
	uint64_t ns = grown(a->mono_ns, b->mono_ns);

	return (struct snapshot_rate){
		.frames = per_second(grown(a->frames, b->frames), ns),
		.bits = 8 * per_second(grown(a->bytes, b->bytes), ns),
		.kernel_drops = per_second(grown(a->kernel_drops, b->kernel_drops), ns),
		.ring_bytes = per_second(grown(a->head, b->head), ns),
	};
}

static void derive_rates(struct snapshot *s, struct snapshot_past *past)
{
	const struct snapshot_mark now = { .mono_ns = s->mono_ns,
					   .frames = s->info.next_seq,
					   .bytes = s->info.bytes,
					   .kernel_drops = s->info.kernel_drops,
					   .head = s->info.head };

	if (past->incarnation != s->info.incarnation)
		*past = (struct snapshot_past){ .incarnation = s->info.incarnation,
						.first = now,
						.last = now };
	s->has_rates = now.mono_ns > past->last.mono_ns;
	if (!s->has_rates)
		return;
	s->interval_ns = now.mono_ns - past->last.mono_ns;
	s->watched_ns = now.mono_ns - past->first.mono_ns;
	s->now = rate(&past->last, &now);
	s->mean = rate(&past->first, &now);
	past->peak.frames = larger(past->peak.frames, s->now.frames);
	past->peak.bits = larger(past->peak.bits, s->now.bits);
	past->peak.kernel_drops = larger(past->peak.kernel_drops, s->now.kernel_drops);
	past->peak.ring_bytes = larger(past->peak.ring_bytes, s->now.ring_bytes);
	s->peak = past->peak;
	past->last = now;
}

/* x * n / d without overflow; what is beyond 64 bits is far enough to be unknown. */
static uint64_t scale(uint64_t x, uint64_t n, uint64_t d)
{
	unsigned __int128 v = (unsigned __int128)x * n / d;

	return v >= NCP_UNKNOWN ? NCP_UNKNOWN : (uint64_t)v;
}

static void derive_client(const struct snapshot *s, struct snapshot_client *c)
{
	const struct ncp_bus_info *i = &s->info;
	uint64_t held = grown(i->oldest_seq, i->next_seq);
	double rate = s->now.ring_bytes;

	c->lag_frames = c->lag_bytes = c->lag_ns = c->overrun_ns = NCP_UNKNOWN;
	c->elsewhere = c->peer.incarnation != i->incarnation;
	if (c->elsewhere)
		return;
	/* Its line was read after the header: it may be ahead of that by then. */
	c->lag_frames = grown(c->peer.seq, i->next_seq);
	c->lag_bytes = grown(c->peer.position, i->head);
	if (c->lag_frames == 0)
		c->lag_ns = 0;
	else if (held && s->depth_ns != NCP_UNKNOWN)
		c->lag_ns = scale(s->depth_ns, c->lag_frames, held);

	/* Nobody overruns a client that the producer waits for. */
	if (c->peer.reliable == 1)
		return;
	/* Without an interval, or with a quiet one: the pace at which the ring was filled. */
	if (rate <= 0 && s->depth_ns != NCP_UNKNOWN)
		rate = per_second(grown(i->tail, i->head), s->depth_ns);
	if (c->lag_bytes >= i->ring_size)
		c->overrun_ns = 0;
	else if (rate > 0) {
		double ns = (double)(i->ring_size - c->lag_bytes) / rate * SECOND;

		c->overrun_ns = ns < (double)INT64_MAX ? (uint64_t)ns : NCP_UNKNOWN;
	}
}

void snapshot_derive(struct snapshot *s, struct snapshot_past *past)
{
	s->depth_ns = NCP_UNKNOWN;
	if (s->info.next_seq > s->info.oldest_seq && s->info.oldest_ts_ns)
		s->depth_ns = grown(s->info.oldest_ts_ns, s->info.newest_ts_ns);
	derive_rates(s, past);
	for (uint32_t i = 0; i < s->n_clients; i++)
		derive_client(s, &s->client[i]);
}

void snapshot_wrong(struct snapshot *s, const char *why, uint64_t at_ns, uint64_t mono_ns)
{
	s->wrong = why;
	s->at_ns = at_ns;
	s->mono_ns = mono_ns;
	s->has_rates = false;
}

const char *snapshot_state(const struct snapshot *s)
{
	return s->wrong ? "corrupt" : ncp_state_name(s->info.state);
}

const char *snapshot_reason(const struct snapshot *s)
{
	return s->wrong ? s->wrong : ncp_reason_text(s->info.reason);
}

uint64_t snapshot_lost(const struct snapshot *s)
{
	uint64_t lost = 0;

	for (uint32_t i = 0; i < s->n_clients; i++)
		lost += s->client[i].peer.lost;
	return lost;
}

void snapshot_free(struct snapshot *s)
{
	free(s->worker);
	free(s->interface);
	free(s->client);
	*s = (struct snapshot){ 0 };
}
