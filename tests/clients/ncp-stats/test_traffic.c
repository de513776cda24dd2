/* SPDX-License-Identifier: BSD-2-Clause */
/* test_traffic.c - frames by protocol, size, talker and flow; the heaviest of many keys. */
#include <stdlib.h>
#include <string.h>

#include "clients/ncp-stats/traffic.h"
#include "tap/tap.h"

static struct traffic t;
static struct tap_rng rng;

/* An IPv4 UDP frame behind `tags` VLAN tags; returns its length. */
static uint32_t udp4(uint8_t *f, int tags, uint8_t from, uint16_t from_port, uint8_t to,
		     uint16_t to_port)
{
	uint32_t n = 12;

	memset(f, 0, 100);
	for (int i = 0; i < tags; i++, n += 4)
		memcpy(f + n,
		       (const uint8_t[]){ tags == 2 && !i ? 0x88 : 0x81,
					  tags == 2 && !i ? 0xa8 : 0x00, 0, 7 },
		       4);
	memcpy(f + n, (const uint8_t[]){ 8, 0, 0x45 }, 3);
	n += 2;
	f[n + 9] = 17;
	memcpy(f + n + 12, (const uint8_t[]){ 10, 0, 0, from, 10, 0, 0, to }, 8);
	memcpy(f + n + 20,
	       (const uint8_t[]){ (uint8_t)(from_port >> 8), (uint8_t)from_port,
				  (uint8_t)(to_port >> 8), (uint8_t)to_port },
	       4);
	return n + 28;
}

/* A frame, of which each counts: told at once. */
static void add(uint32_t linktype, const uint8_t *data, uint32_t caplen, uint32_t len)
{
	traffic_add(&t, linktype, data, caplen, len, 1);
	traffic_stratum_end(&t, 1);
}

static uint64_t frames(const struct volume *v)
{
	return (uint64_t)v->frames.sum;
}

static const char *flow(size_t i)
{
	static char text[TRAFFIC_TEXT];
	const struct heavy_entry *top[TRAFFIC_TOP];

	return heavy_top(&t.flows, top, TRAFFIC_TOP) > i ? traffic_flow_text(text, top[i]) : "none";
}

static void test_flows(void)
{
	uint8_t f[100];
	uint32_t n = udp4(f, 0, 1, 5000, 2, 53);

	traffic_clear(&t);
	add(1, f, n, n);
	is_str("udp 10.0.0.1:5000 - 10.0.0.2:53", flow(0), "a flow");
	n = udp4(f, 0, 2, 53, 1, 5000);
	add(1, f, n, n);
	n = udp4(f, 1, 1, 5000, 2, 53);
	add(1, f, n, n);
	n = udp4(f, 2, 2, 53, 1, 5000);
	add(1, f, n, n);
	is_u64(1, t.flows.n, "its other direction and its tagged frames are the same one");
	is_u64(4, frames(&t.flows.entry[0].volume), "with all frames");
	is_u64(2, t.talkers.n, "two talkers");
	is_u64(4, frames(&t.protocol[TRAFFIC_UDP]), "udp");
	is_u64(42 + 42 + 46 + 50, (uint64_t)t.all.bytes.sum, "bytes are those on the wire");
	n = udp4(f, 0, 1, 5000, 2, 53);
	f[21] = 9; /* a later fragment: what stands there are no ports */
	add(1, f, n, n);
	is_u64(2, t.flows.n, "a later fragment has no ports");
	is_str("udp 10.0.0.1:0 - 10.0.0.2:0", flow(1), "and says so");
	add(101, f + 14, n - 14, n - 14);
	is_u64(2, t.flows.n, "raw IP is the same flow");
	add(147, f, n, n);
	is_u64(1, frames(&t.protocol[TRAFFIC_OTHER]), "a link type that is not known is other");
}

static void test_ipv6(void)
{
	uint8_t f[120] = { 0 };

	traffic_clear(&t);
	f[12] = 0x86, f[13] = 0xdd, f[14] = 0x60;
	f[14 + 6] = 0; /* hop by hop, then a fragment header, then TCP */
	f[14 + 23] = 1, f[14 + 39] = 2;
	f[54] = 44, f[55] = 0;
	f[62] = 6;
	f[70] = 0x1f, f[71] = 0x90, f[73] = 22;
	add(1, f, sizeof(f), sizeof(f));
	is_str("tcp [::1]:8080 - [::2]:22", flow(0), "TCP behind two extension headers");
	f[64] = 1; /* of an offset */
	add(1, f, sizeof(f), sizeof(f));
	is_str("tcp [::1]:0 - [::2]:0", flow(0), "a later fragment has no ports");
	f[13] = 0x06, f[12] = 0x08;
	add(1, f, 42, 60);
	is_u64(1, frames(&t.protocol[TRAFFIC_ARP]), "ARP");
}

static void test_sizes(void)
{
	static const uint32_t lens[] = { 0, 64, 65, 127, 128, 1518, 1519, 9000, 9001, 65535 };
	static const uint64_t want[TRAFFIC_SIZES] = { 2, 2, 1, 0, 0, 1, 2, 2 };

	traffic_clear(&t);
	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++)
		add(1, (const uint8_t *)"", 0, lens[i]);
	for (uint32_t i = 0; i < TRAFFIC_SIZES; i++)
		is_u64(want[i], frames(&t.size[i]), "frames of %s bytes", traffic_size_name(i));
}

/* Cut everywhere, and random: whatever it is, it counts once. */
static void test_hostile(void)
{
	static const uint32_t linktypes[] = { 0, 1, 101, 108, 113, 228, 229, 276, 999 };
	uint64_t sum = 0, n = 0;

	traffic_clear(&t);
	for (int i = 0; i < 200000; i++) {
		uint32_t caplen = (uint32_t)tap_rng_below(&rng, 120);
		uint8_t *f = malloc(caplen ? caplen : 1), whole[100];

		if (!f)
			bail("memory");
		udp4(whole, (int)tap_rng_below(&rng, 3), 1, 2, 3, 4);
		for (uint32_t k = 0; k < caplen; k++)
			f[k] = tap_rng_below(&rng, 4) && k < 100
				       ? whole[k]
				       : (uint8_t)tap_rng_below(&rng, 256);
		traffic_add(&t, linktypes[tap_rng_below(&rng, 9)], f, caplen, caplen, 1);
		free(f);
		n++;
	}
	traffic_stratum_end(&t, n);
	for (unsigned i = 0; i < TRAFFIC_PROTOCOLS; i++)
		sum += frames(&t.protocol[i]);
	is_u64(n, sum, "each of %llu hostile frames has one protocol", (unsigned long long)n);
	is_u64(n, frames(&t.all), "and counts once");
}

/* A stream whose keys' weights are known: what the algorithm promises. */
static void test_heavy(void)
{
	static struct heavy h;
	static uint64_t truth[5000];
	const struct heavy_entry *top[HEAVY_CAP];
	uint64_t total = 0, below = 0, beyond = 0, missing = 0, unordered = 0;

	heavy_clear(&h);
	for (int i = 0; i < 300000; i++) {
		/* Squared: a few are heavy. */
		uint64_t k = tap_rng_below(&rng, 5000) * tap_rng_below(&rng, 5000) / 5000;
		uint8_t key[HEAVY_KEY] = { 0 };
		uint64_t bytes = 60 + tap_rng_below(&rng, 1400);

		memcpy(key, &k, 8);
		heavy_add(&h, key, (double)bytes, 1);
		truth[k] += bytes;
		total += bytes;
	}
	heavy_run_end(&h, 300000);
	heavy_stratum_end(&h, &(struct estimate_stratum){ .all = 300000, .looked = 300000, .runs = 1 });
	size_t n = heavy_top(&h, top, HEAVY_CAP);
	bool there[5000] = { false };
	for (size_t i = 0; i < n; i++) {
		uint64_t k;

		memcpy(&k, top[i]->key, 8);
		there[k] = true;
		below += top[i]->volume.bytes.sum + top[i]->missed < (double)truth[k];
		beyond += top[i]->volume.bytes.sum > (double)truth[k];
		unordered += i && top[i]->volume.bytes.sum > top[i - 1]->volume.bytes.sum;
	}
	for (size_t k = 0; k < 5000; k++)
		missing += !there[k] && truth[k] > total / HEAVY_CAP;
	is_u64(HEAVY_CAP, n, "a full table");
	is_u64(0, beyond, "no key is told to have more than it has");
	is_u64(0, below, "nor less than that by more than what it may have missed");
	is_u64(0, unordered, "the heaviest come first");
	is_u64(0, missing, "and no key is missing that weighs more than its share");
}

/*
 * Streams of which a part is looked at, many times: the truth lies where the error says it does.
 *
 * Three strata whose mixes, sizes and parts looked at differ.  A kind's place in its run depends on the
 * frame before, so that neighbours are alike: an error that took them for independent were too small.
 */
static void test_estimate(void)
{
	static const uint64_t all[] = { 4000, 90000, 1000 };
	static const uint32_t odds[] = { 2, 10, 4 };
	double off_square = 0, told_square = 0, off_sum = 0;
	const int times = 400;
	int near = 0;

	for (int i = 0; i < times; i++) {
		double truth = 0;

		traffic_clear(&t);
		for (int k = 0; k < 3; k++) {
			uint64_t step = all[k] / 10, run = k == 2 ? step : 100;
			bool big = false;

			for (uint64_t n = 0; n < all[k]; n++) {
				if (tap_rng_below(&rng, 5) == 0)
					big = tap_rng_below(&rng, odds[k]) == 0;
				uint32_t len = big ? 1500 : 60;

				truth += big ? 1500 : 0;
				if (n % step < run)
					traffic_add(&t, 1, (const uint8_t *)"", 0, len,
						    (double)step / (double)run);
				if (n % step == run - 1)
					traffic_run_end(&t);
			}
			traffic_stratum_end(&t, all[k]);
		}
		const struct estimate *e = &t.size[5].bytes; /* of 1024 bytes and more */
		double off = e->sum - truth, error = estimate_error(e);
		off_sum += off;
		off_square += off * off;
		told_square += error * error;
		near += off * off < 4 * error * error;
	}
	is_u64(95000, t.published, "all of a stream");
	is_u64(3000, t.looked, "of which a part was looked at");
	ok(off_sum * off_sum < 25 * off_square, "the estimate is right on average");
	ok(told_square > 0.7 * off_square && told_square < 1.4 * off_square,
	   "its error is as large as is told: %.3f of it", told_square / off_square);
	/* Of Student's t with the 9 degrees that the second stratum has: 92 %. */
	ok(near > 0.85 * times, "and the truth is within two of them: %d times of %d", near, times);
}

int main(void)
{
	plan(10 + 3 + 8 + 2 + 5 + 5);
	rng.seed = tap_seed();
	test_flows();
	test_ipv6();
	test_sizes();
	test_hostile();
	test_heavy();
	test_estimate();
	return tap_done();
}
