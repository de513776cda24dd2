/* SPDX-License-Identifier: BSD-2-Clause */
/* test_render.c - snapshots as text and as JSON. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/ncp-stats/object.h"
#include "clients/ncp-stats/render.h"
#include "tap/tap.h"

#define SECOND UINT64_C(1000000000)

static void test_numbers(void)
{
	char out[RENDER_CAP];

	is_str("0", render_count(out, 0), "none");
	is_str("18446744073709551614", render_count(out, UINT64_MAX - 1), "the largest count");
	is_str("-", render_count(out, NCP_UNKNOWN), "an unknown count");

	is_str("0", render_si(out, 0), "no rate");
	is_str("999", render_si(out, 999.4), "below a thousand whole");
	is_str("1.00k", render_si(out, 999.5), "what would round to 1000 has a unit");
	is_str("9.99k", render_si(out, 9994), "three digits");
	is_str("10.0k", render_si(out, 9996), "three digits, rounded up");
	is_str("100k", render_si(out, 99960), "no fourth digit");
	is_str("1.00M", render_si(out, 999600), "the next unit");
	is_str("1.23G", render_si(out, 1.234e9), "a rate of a fast link");

	is_str("512", render_bytes(out, 512), "bytes");
	is_str("1K", render_bytes(out, 1024), "a whole unit without decimals");
	is_str("256M", render_bytes(out, 256 << 20), "a ring");
	is_str("1.50K", render_bytes(out, 1536), "one and a half");
	is_str("16.0E", render_bytes(out, UINT64_MAX - 1), "the largest size");

	is_str("0 s", render_duration(out, 0), "no time");
	is_str("120 us", render_duration(out, 120000), "microseconds");
	is_str("1.5 ms", render_duration(out, 1500000), "milliseconds");
	is_str("2.13 s", render_duration(out, 2130000000), "seconds");
	is_str("1m00s", render_duration(out, 60 * SECOND), "a minute");
	is_str("2h05m", render_duration(out, 7500 * SECOND), "hours");
	is_str("4d07h", render_duration(out, (4 * 86400 + 7 * 3600) * SECOND), "days");
	is_str("-", render_duration(out, NCP_UNKNOWN), "an unknown time");
}

/* A snapshot with one of everything. */
static struct snapshot_client clients[3];
static struct snapshot_interface interfaces[1];
static struct ncp_worker workers[2];

static struct snapshot sample(void)
{
	struct snapshot s = { .at_ns = 1767225600 * SECOND + 5, .mono_ns = SECOND };

	memset(clients, 0, sizeof(clients));
	strcpy(s.info.name, "eth0");
	s.info.state = NCP_PAUSED;
	s.info.reason = NCP_REASON_INTERFACE_DOWN;
	s.info.pid = 77;
	s.info.epoch = 3;
	s.info.incarnation = 0xabc;
	s.info.ring_size = 1 << 20;
	s.info.oldest_seq = 10;
	s.info.next_seq = 30;
	s.info.bytes = 3000;
	s.info.kernel_drops = 2;
	s.info.head = 4096;
	s.depth_ns = 2 * SECOND;
	strcpy(interfaces[0].name, "eth0");
	interfaces[0].linktype = 1;
	interfaces[0].published = 30;
	interfaces[0].received = NCP_UNKNOWN;
	for (uint32_t i = 0; i < 2; i++)
		workers[i] = (struct ncp_worker){ .index = i, .published = 15, .bytes = 1500 };
	strcpy(clients[0].peer.name, "ncp-dump");
	clients[0].peer.pid = 88;
	clients[0].peer.uid = 1000;
	clients[0].peer.incarnation = 0xabc;
	clients[0].peer.seq = 20;
	clients[0].peer.frames = 12;
	clients[0].peer.filtered = 5;
	clients[0].peer.others = 6;
	clients[0].peer.lost = 3;
	clients[0].lag_frames = 10;
	clients[0].lag_bytes = 1200;
	clients[0].lag_ns = SECOND;
	clients[0].overrun_ns = 1500000000;
	clients[1] = clients[0];
	strcpy(clients[1].peer.name, "late");
	clients[1].peer.incarnation = 0xdef;
	clients[1].elsewhere = true;
	clients[1].lag_frames = clients[1].lag_bytes = clients[1].lag_ns = NCP_UNKNOWN;
	clients[1].overrun_ns = NCP_UNKNOWN;
	clients[2] = clients[0];
	strcpy(clients[2].peer.name, "safe");
	clients[2].peer.reliable = 1;
	clients[2].overrun_ns = NCP_UNKNOWN;
	s.client = clients;
	s.n_clients = 3;
	s.n_clients_in_all = 4;
	s.interface = interfaces;
	s.n_interfaces = 1;
	s.worker = workers;
	s.n_workers = 2;
	return s;
}

static char text[16384];

/* What a function writes, into text. */
static void written(void (*fn)(FILE *f, const struct snapshot *s), const struct snapshot *s)
{
	FILE *f = fmemopen(text, sizeof(text), "w");

	if (!f)
		bail("fmemopen");
	fn(f, s);
	fclose(f);
}

static bool has(const char *part)
{
	return strstr(text, part) != NULL;
}

static void test_text(void)
{
	struct snapshot s = sample();

	written(render_view, &s);
	ok(has("eth0  paused (interface down)  pid 77  epoch 3"), "the view says who and how");
	ok(has("published 30 frames, 2.93K bytes"), "what was published");
	ok(has("kernel drops 2"), "what the kernel dropped");
	ok(has("ring 1M holds 2.00 s: frames 10 to 29"), "what the ring holds");
	ok(has("frames                -          -          -"), "rates that are unknown are dashes");
	ok(has("worker 1 "), "each of several workers");
	ok(has("ncp-dump              88    1000         12          5        3        10    1.00 s"
	       "    1.50 s"),
	   "a client with its numbers, its lag and its time");
	ok(has("reads the bus before this one"), "a client of the bus before");
	ok(has("reliable\n"), "a client that is waited for");
	ok(has("and 1 more\n"), "clients that were not looked at are counted");

	s.n_clients = s.n_clients_in_all = 0;
	s.n_workers = 1;
	s.has_rates = true;
	s.now.frames = 100000;
	s.gone = true;
	written(render_view, &s);
	ok(has("no client in the registry"), "no client is said");
	ok(!has("worker 0"), "a single worker says nothing the totals do not");
	ok(has("frames             100k"), "rates that are known are shown");
	ok(has("its name is gone"), "a name that is gone is said");

	s = sample();
	s.has_rates = true;
	s.now.frames = 2000;
	written(render_line, &s);
	ok(has(" eth0 paused (interface down), 2.00k frames/s, 0 bit/s, published 30, kernel drops 2,"
	       " ring holds 2.00 s, clients 4, lost 9\n"),
	   "the line says the most important");
	is_u64(1, text[strlen(text) - 1] == '\n' && strchr(text, '\n') == text + strlen(text) - 1,
	       "in one line");
}

static void test_json(void)
{
	struct snapshot s = sample();
	struct json j;

	json_open(&j);
	object_snapshot(&j, &s, NULL);
	const char *t = json_text(&j);
	if (!t)
		bail("no JSON");
	snprintf(text, sizeof(text), "%s", t);
	ok(!strncmp(text, "{\"schema\":1,", 12), "an object of schema 1");
	ok(has("\"time\":\"2026-01-01T00:00:00.000000005Z\""), "its time has nine digits");
	ok(has("\"bus\":\"eth0\",\"state\":\"paused\",\"reason\":\"interface down\""), "bus, state");
	ok(has("\"pid\":77,\"epoch\":3,\"incarnation\":\"0000000000000abc\""), "pid, epoch, id");
	ok(has("\"published\":30,\"bytes\":3000,"), "counters");
	ok(has("\"kernel_drops\":2,"), "kernel_drops");
	ok(has("\"ring_size\":1048576,\"oldest_seq\":10,\"next_seq\":30,\"depth_seconds\":2.000000000"),
	   "the ring");
	ok(has("\"rates\":null"), "no rates before there is an interval");
	ok(has("\"received\":null"), "unknown is null");
	ok(has("\"clients\":[{\"name\":\"ncp-dump\",\"pid\":88,\"uid\":1000,"
	       "\"incarnation\":\"0000000000000abc\",\"seq\":20,\"lag_frames\":10,\"lag_bytes\":1200,"
	       "\"lag_seconds\":1.000000000,\"overrun_in_seconds\":1.500000000,\"frames\":12,"
	       "\"filtered\":5,\"others\":6,\"lost\":3,\"reliable\":false,\"evicted\":false},"),
	   "a client's names are the contract's");
	ok(has("\"name\":\"late\",\"pid\":88,\"uid\":1000,\"incarnation\":\"0000000000000def\","
	       "\"seq\":null,\"lag_frames\":null"),
	   "a client of another bus has no place in this one");
	ok(has("\"overrun_in_seconds\":null,\"frames\":12,\"filtered\":5,\"others\":6,\"lost\":3,"
	       "\"reliable\":true"),
	   "a reliable client is never overrun");
	ok(!has("\n"), "in one line");

	json_reset(&j);
	s.has_rates = true;
	s.now.frames = 1e30;
	s.interval_ns = SECOND;
	object_snapshot(&j, &s, NULL);
	snprintf(text, sizeof(text), "%s", json_text(&j));
	ok(has("\"now\":{\"frames\":9223372036854775807,"), "a rate beyond reason is a number still");

	json_reset(&j);
	object_unknown(&j, "web", "no \"right\"");
	is_str("{\"schema\":1,\"bus\":\"web\",\"state\":null,\"why\":\"no \\\"right\\\"\"}", json_text(&j),
	       "a bus that cannot be attached");
	json_close(&j);
}

int main(void)
{
	setenv("TZ", "UTC", 1);
	plan(24 + 16 + 15);
	test_numbers();
	test_text();
	test_json();
	return tap_done();
}
