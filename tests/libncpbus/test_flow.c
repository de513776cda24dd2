/* SPDX-License-Identifier: BSD-2-Clause */
/* test_flow.c - both directions and all fragments are one flow; shards share out every frame once. */
#include <errno.h>
#include <string.h>

#include "libncpbus/flow.h"
#include "support/bus.h"
#include "tap/tap.h"

enum { ETHERNET = 1, RAW = 101, SLL = 113, SLL2 = 276 };

/* A packet being put together. */
struct packet {
	uint8_t p[256];
	uint32_t len;
};

static void add(struct packet *k, const void *bytes, uint32_t n)
{
	memcpy(k->p + k->len, bytes, n);
	k->len += n;
}

static void add16(struct packet *k, unsigned v)
{
	add(k, (const uint8_t[]){ (uint8_t)(v >> 8), (uint8_t)v }, 2);
}

static void ethernet(struct packet *k, int from, int to, int tags, unsigned type)
{
	static const unsigned tpid[] = { 0x8100, 0x88a8, 0x9100 };

	*k = (struct packet){ 0 };
	add(k, (const uint8_t[]){ 2, 0, 0, 0, 0, (uint8_t)to, 2, 0, 0, 0, 0, (uint8_t)from }, 12);
	for (int i = 0; i < tags; i++) {
		add16(k, tpid[(tags - 1 - i) % 3]);
		add16(k, 100u + (unsigned)i);
	}
	add16(k, type);
}

static void ipv4(struct packet *k, int from, int to, int proto, unsigned fragment)
{
	add(k, (const uint8_t[]){ 0x45, 0, 0, 40, 0, 1, (uint8_t)(fragment >> 8), (uint8_t)fragment,
				  64, (uint8_t)proto, 0, 0, 10, 0, 0, (uint8_t)from, 10, 0, 0,
				  (uint8_t)to }, 20);
}

static void ipv6(struct packet *k, int from, int to, int next)
{
	uint8_t h[40] = { 0x60, [4] = 0, 40, (uint8_t)next, 64, [8] = 0x20, [24] = 0x20 };

	h[23] = (uint8_t)from;
	h[39] = (uint8_t)to;
	add(k, h, 40);
}

static void ports(struct packet *k, unsigned from, unsigned to)
{
	add16(k, from);
	add16(k, to);
	add(k, (const uint8_t[16]){ 0 }, 16);
}

static uint64_t hash(uint32_t linktype, const struct packet *k)
{
	return ncpi_flow_hash(linktype, k->p, k->len);
}

static uint64_t udp4(int tags, int from, int to, unsigned sport, unsigned dport, unsigned fragment)
{
	struct packet k;

	ethernet(&k, from, to, tags, 0x0800);
	ipv4(&k, from, to, 17, fragment);
	ports(&k, sport, dport);
	return hash(ETHERNET, &k);
}

/* UDP over IPv6 behind extension headers: hop-by-hop, routing, maybe a fragment header. */
static uint64_t udp6(int from, int to, unsigned sport, unsigned dport, int extensions, int fragment)
{
	struct packet k;

	ethernet(&k, from, to, 0, 0x86dd);
	ipv6(&k, from, to, extensions ? 0 : fragment >= 0 ? 44 : 17);
	if (extensions) {
		add(&k, (const uint8_t[8]){ 43 }, 8);
		add(&k, (const uint8_t[24]){ fragment >= 0 ? 44 : 17, 2 }, 24);
	}
	if (fragment >= 0)
		add(&k, (const uint8_t[8]){ 17, 0, (uint8_t)(fragment >> 8), (uint8_t)fragment }, 8);
	ports(&k, sport, dport);
	return hash(ETHERNET, &k);
}

static void test_symmetry(void)
{
	uint64_t flow = udp4(0, 1, 2, 1000, 53, 0);
	struct packet a, b;

	is_u64(flow, udp4(0, 2, 1, 53, 1000, 0), "an answer is of the question's flow");
	is_u64(flow, udp4(1, 1, 2, 1000, 53, 0), "with a VLAN tag, too");
	is_u64(flow, udp4(2, 2, 1, 53, 1000, 0), "with two, too");
	ok(flow != udp4(0, 1, 2, 53, 1000, 0), "ports at the other ends are another flow");
	ok(flow != udp4(0, 1, 3, 1000, 53, 0), "another address is another flow");
	uint64_t first = udp4(0, 1, 2, 1000, 53, 0x2000);
	is_u64(first, udp4(0, 1, 2, 0xdead, 0xbeef, 100), "a later fragment is with the first one");
	is_u64(first, udp4(0, 2, 1, 7, 8, 0x2000 | 50), "in both directions");

	flow = udp6(1, 2, 1000, 53, 0, -1);
	is_u64(flow, udp6(2, 1, 53, 1000, 0, -1), "the same over IPv6");
	is_u64(flow, udp6(1, 2, 1000, 53, 1, -1), "behind extension headers");
	is_u64(flow, udp6(2, 1, 53, 1000, 1, 0), "and an atomic fragment header");
	is_u64(udp6(1, 2, 1000, 53, 1, 1), udp6(1, 2, 9, 9, 1, 8), "fragments are together");

	ethernet(&a, 1, 2, 0, 0x0806);
	ethernet(&b, 2, 1, 0, 0x88cc);
	is_u64(hash(ETHERNET, &a), hash(ETHERNET, &b), "other protocols by the pair of MAC addresses");

	uint8_t cooked[20] = { [14] = 0x08 };
	a = (struct packet){ 0 };
	ipv4(&a, 1, 2, 6, 0);
	ports(&a, 5, 6);
	uint64_t raw = hash(RAW, &a);
	b = (struct packet){ 0 };
	add(&b, cooked, 16);
	ipv4(&b, 2, 1, 6, 0);
	ports(&b, 6, 5);
	is_u64(raw, hash(SLL, &b), "raw IP and Linux cooked say the same flow");
	cooked[0] = 0x08;
	b = (struct packet){ 0 };
	add(&b, cooked, 20);
	ipv4(&b, 2, 1, 6, 0);
	ports(&b, 6, 5);
	is_u64(raw, hash(SLL2, &b), "so does cooked v2");
	is_u64(0, ncpi_flow_hash(999, a.p, a.len), "an unknown link type has no flows");
}

/* Any bytes, of any length, at the very end of an allocation: the sanitizers watch. */
static void test_hostile(void)
{
	static const uint32_t links[] = { 0, 1, 9, 101, 108, 113, 228, 229, 276, 127 };
	struct tap_rng rng = { .seed = tap_seed() };
	uint64_t sum = 0;

	for (int i = 0; i < 200000; i++) {
		uint32_t len = (uint32_t)tap_rng_below(&rng, 97);
		uint8_t bytes[97];
		uint8_t *at = bytes + sizeof(bytes) - len;

		for (uint32_t k = 0; k < len; k++)
			at[k] = (uint8_t)tap_rng_u64(&rng);
		if (len > 20 && i % 2) { /* so that parsers get past the first look */
			static const uint8_t types[] = { 0x45, 0x4f, 0x60, 0x81, 0x88, 0x08, 0 };

			at[tap_rng_below(&rng, 21)] = types[tap_rng_below(&rng, 7)];
		}
		sum ^= ncpi_flow_hash(links[tap_rng_below(&rng, 10)], at, len);
	}
	ok(sum != 0, "200,000 random frames, cut anywhere, are taken apart within their bytes");
}

/* Publish packets of 200 flows, both directions; each of three shards takes its own. */
static void test_shards(void)
{
	enum { SHARDS = 3, FRAMES = 3000 };
	static uint8_t owner[FRAMES];
	uint64_t frames[SHARDS], others = 0, twice = 0, split = 0, sums = 0;
	struct test_bus t;
	struct ncp_client *c[SHARDS];

	bus_make(&t);
	t.geo.ring_size = 1 << 20;
	bus_start(&t, false);
	for (uint32_t i = 0; i < SHARDS; i++) {
		struct ncp_options o = NCP_OPTIONS_INIT;

		o.dir = t.dir;
		o.shard_idx = i;
		o.shard_n = SHARDS;
		if (ncp_attach(&c[i], t.name, &o) < 0)
			bail("attach shard %u", i);
	}
	for (unsigned i = 0; i < FRAMES; i++) {
		unsigned flow = i / 2 % 200;
		bool back = i % 2;
		struct packet k;

		ethernet(&k, back ? 2 : 1, back ? 1 : 2, 0, 0x0800);
		ipv4(&k, back ? 2 : 1, back ? 1 : 2, 17, 0);
		ports(&k, back ? 53 : 1000 + flow, back ? 1000 + flow : 53);
		struct ncpi_frame f = { .data = k.p, .caplen = k.len, .len = k.len, .ts_ns = i,
					.interface = (uint32_t)t.interface };
		if (ncpi_writer_publish(t.w, 0, &f, 1) != 1)
			bail("publish");
	}
	for (unsigned i = 0; i < SHARDS; i++) {
		struct ncp_frame f = NCP_FRAME_INIT;
		struct ncp_stats s = NCP_STATS_INIT;

		while (ncp_next(c[i], &f) == 1) {
			twice += owner[f.seq] != 0;
			owner[f.seq] = (uint8_t)(i + 1);
		}
		if (ncp_stats(c[i], &s) < 0)
			bail("stats");
		frames[i] = s.now.frames;
		others += s.now.others;
		sums += s.now.frames + s.now.others + s.now.filtered + s.now.lost;
		ncp_detach(c[i]);
	}
	for (unsigned i = 0; i < FRAMES; i++)
		split += owner[i] == 0 || owner[i] != owner[i / 2 % 200 * 2];
	is_u64(FRAMES, frames[0] + frames[1] + frames[2], "the shards together have every frame");
	is_u64(0, twice, "none has another's");
	is_u64(0, split, "and no flow is split");
	is_u64(2 * FRAMES, others, "what is not its own each counts as others'");
	is_u64(3 * FRAMES, sums, "and every ledger adds up");
	ok(frames[0] > FRAMES / 5 && frames[1] > FRAMES / 5 && frames[2] > FRAMES / 5,
	   "each has a fair part of 200 flows");
	struct ncp_options o = NCP_OPTIONS_INIT;
	o.dir = t.dir;
	o.shard_idx = o.shard_n = 2;
	is_i64(-EINVAL, ncp_attach(&c[0], t.name, &o), "shard 2 of 2 is refused: they count from 0");
	bus_stop(&t, NCP_ENDED);
}

int main(void)
{
	plan(15 + 1 + 7);
	test_symmetry();
	test_hostile();
	test_shards();
	return tap_done();
}
