/* SPDX-License-Identifier: BSD-2-Clause */
/* test_metrics.c - counters that never go back, names that never grow without end, both formats. */
#include <stdlib.h>
#include <string.h>

#include "clients/ncp-stats/metrics.h"
#include "clients/ncp-stats/serve.h"
#include "tap/tap.h"

static struct fleet_bus bus = { .name = { "b" }, .attached = true };
static struct fleet fleet = { .bus = { &bus }, .n = 1 };

static struct snapshot_client client(const char *name, uint32_t pid, uint64_t frames, uint64_t lost)
{
	struct snapshot_client c = {
		.peer = { .pid = pid, .frames = frames, .lost = lost, .since_ns = pid },
		.lag_ns = pid
	};

	snprintf(c.peer.name, sizeof(c.peer.name), "%s", name);
	return c;
}

static void take(struct snapshot_client *clients, uint32_t n)
{
	bus.snapshot.client = clients;
	bus.snapshot.n_clients = bus.snapshot.n_clients_in_all = n;
	if (tally_take(&bus.tally, &bus.snapshot) < 0)
		bail("memory");
}

/* Does a line stand in the text? */
static bool has(bool open, const char *line)
{
	static char text[1 << 20];
	FILE *f = fmemopen(text, sizeof(text), "w");

	if (!f)
		bail("fmemopen");
	metrics_print(f, &fleet, open);
	fclose(f);
	for (char *at = strtok(text, "\n"); at; at = strtok(NULL, "\n"))
		if (!strcmp(at, line))
			return true;
	return false;
}

static void test_clients(void)
{
	struct snapshot_client c[80] = { client("dump", 1, 10, 2), client("dump", 2, 5, 1) };

	take(c, 2);
	ok(has(false, "ncp_client_lost_frames_total{bus=\"b\",client=\"dump\"} 3"),
	   "clients of one name are summed");
	ok(has(false, "ncp_client_lag_seconds{bus=\"b\",client=\"dump\"} 0.000000002"),
	   "the lag is the slowest one's");
	take(c, 1);
	ok(has(false, "ncp_client_lost_frames_total{bus=\"b\",client=\"dump\"} 3"),
	   "one that leaves stays in the sum");
	c[0] = client("dump", 3, 0, 0);
	take(c, 1);
	ok(has(false, "ncp_client_frames_total{bus=\"b\",client=\"dump\"} 15"),
	   "and so does one that is followed by another");
	c[0] = client("dump", 3, 7, 4);
	take(c, 1);
	c[0] = client("dump", 3, 1, 1);
	take(c, 1);
	ok(has(false, "ncp_client_lost_frames_total{bus=\"b\",client=\"dump\"} 7"),
	   "a line that goes back takes nothing with it");
	for (uint32_t i = 0; i < 80; i++) {
		char name[16];

		snprintf(name, sizeof(name), "c%u", i);
		c[i] = client(name, 100 + i, 1, 1);
	}
	take(c, 80);
	ok(has(false, "ncp_client_lost_frames_total{bus=\"b\",client=\"c62\"} 1"),
	   "64 names, one of which had been there before");
	ok(has(false, "ncp_client_lost_frames_total{bus=\"b\",client=\"other\"} 17"),
	   "the rest is one");
	take(NULL, 0);
	ok(has(false, "ncp_client_lost_frames_total{bus=\"b\",client=\"other\"} 17"),
	   "and stays when they leave");
}

static void test_formats(void)
{
	struct snapshot_interface interfaces[] = {
		{ .name = "eth\"0", .published = 5, .kernel_drops = 7 },
		{ .name = "", .published = 6, .kernel_drops = NCP_UNKNOWN },
		{ .name = "eth\"0", .published = 8 }
	};

	bus.snapshot.info.next_seq = 19;
	bus.snapshot.info.state = NCP_LIVE;
	bus.snapshot.interface = interfaces;
	bus.snapshot.n_interfaces = 3;
	bus.snapshot.depth_ns = 2500000000;
	totals_take(&bus.totals, &bus.snapshot);
	ok(has(false, "ncp_frames_published_total{bus=\"b\"} 19"), "published");
	ok(has(false, "# TYPE ncp_frames_published_total counter") &&
		   has(true, "# TYPE ncp_frames_published counter"),
	   "the older format names the sample, the newer one the family");
	ok(has(true, "ncp_frames_published_total{bus=\"b\"} 19"), "both with the same sample");
	ok(has(false, "ncp_kernel_dropped_frames_total{bus=\"b\",interface=\"eth\\\"0\"} 7"),
	   "a quote in a label is escaped");
	ok(has(false, "ncp_interface_frames_published_total{bus=\"b\",interface=\"#1\"} 6") &&
		   has(false,
		       "ncp_interface_frames_published_total{bus=\"b\",interface=\"eth\\\"0#2\"} 8"),
	   "no two interfaces share a label");
	ok(!has(false, "ncp_kernel_dropped_frames_total{bus=\"b\",interface=\"#1\"} 0"),
	   "what is not known is left out");
	ok(has(false, "ncp_ring_depth_seconds{bus=\"b\"} 2.500000000"), "base units");
	ok(has(true, "# EOF") && !has(false, "# EOF"), "OpenMetrics ends with EOF");
	bus.snapshot.info.state = NCP_DEAD;
	ok(has(false, "ncp_producer_up{bus=\"b\"} 0"), "a dead producer is not up");
	bus.snapshot.info.state = NCP_LIVE;
	snapshot_wrong(&bus.snapshot, "broken", 0, 0);
	ok(has(false, "ncp_producer_up{bus=\"b\"} 0"), "one whose bus is corrupt neither");
	ok(has(true, "ncp_bus_info{bus=\"b\",incarnation=\"0000000000000000\",state=\"corrupt\","
		     "reliable=\"false\"} 1"),
	   "and that is told");
	bus.snapshot.wrong = NULL;
	static struct fleet_bus unknown = { .name = { "u" } };
	fleet.bus[0] = &unknown;
	ok(has(false, "ncp_producer_up{bus=\"u\"} 0") && !has(false, "ncp_clients{bus=\"u\"} 0"),
	   "of a bus that cannot be attached only that is told");
	fleet.bus[0] = &bus;
	ok(metrics_wants_open("application/openmetrics-text;version=1.0.0,*/*;q=0.1") &&
		   !metrics_wants_open("text/plain") && !metrics_wants_open(NULL),
	   "OpenMetrics goes to who asks for it");
}

static void test_totals(void)
{
	static struct totals t;
	struct snapshot s = { .info = { .incarnation = 1, .next_seq = 100, .epoch = 2 } };
	struct snapshot_interface i[100] = { { .name = "a", .published = 70 },
					     { .name = "b", .published = 30 } };

	s.interface = i;
	s.n_interfaces = 2;
	totals_take(&t, &s);
	s.info.next_seq = 90;
	totals_take(&t, &s);
	is_u64(100, total_value(&t.of_bus[TOTALS_PUBLISHED]), "a counter does not go back");
	s.info.incarnation = 2;
	s.info.next_seq = 150;
	s.info.epoch = 1;
	s.interface[0] = (struct snapshot_interface){ .name = "b", .published = 150 };
	s.n_interfaces = 1;
	totals_take(&t, &s);
	is_u64(250, total_value(&t.of_bus[TOTALS_PUBLISHED]),
	       "of a bus in the place of another both count");
	is_u64(3, total_value(&t.of_bus[TOTALS_STARTS]), "the starts of both, too");
	is_u64(70, total_value(&t.interface[0].published), "an interface that is gone stays");
	is_u64(180, total_value(&t.interface[1].published), "one that is back goes on");
	for (uint32_t k = 0; k < 100; k++) {
		i[k] = (struct snapshot_interface){ .published = 1, .kernel_drops = NCP_UNKNOWN };
		snprintf(i[k].name, sizeof(i[k].name), "x%u", k);
	}
	s.n_interfaces = 100;
	totals_take(&t, &s);
	is_u64(TOTALS_INTERFACES, t.n_interfaces, "64 names");
	is_str(TOTALS_OTHER, t.interface[TOTALS_INTERFACES].name, "the rest is one");
	is_u64(100 - 62, total_value(&t.interface[TOTALS_INTERFACES].published), "of them all");
	totals_take(&t, &s);
	is_u64(100 - 62, total_value(&t.interface[TOTALS_INTERFACES].published), "once");
}

/* Clients that tell anything, and more of them than are looked at. */
static void test_tally(void)
{
	static struct tally t;
	struct snapshot_client c[3] = { client("x", 1, UINT64_MAX - 1, 5),
					client("x", 2, UINT64_MAX, 1), client("y", 3, 7, 0) };
	struct snapshot s = { .client = c, .n_clients = 3, .n_clients_in_all = 3 };

	if (tally_take(&t, &s) < 0)
		bail("memory");
	is_u64(NCP_UNKNOWN - 1, t.name[0].frames, "a sum ends where numbers do");
	s.n_clients = 1;
	if (tally_take(&t, &s) < 0)
		bail("memory");
	is_u64(6, t.name[0].lost, "clients that are not looked at stay");
	s.n_clients = 3;
	if (tally_take(&t, &s) < 0)
		bail("memory");
	is_u64(7, t.name[1].frames, "and count once when they are again");
	s.n_clients = s.n_clients_in_all = 0;
	if (tally_take(&t, &s) < 0 || tally_take(&t, &s) < 0)
		bail("memory");
	is_u64(7, t.name[1].frames, "also when they have left");
	tally_free(&t);
}

static void test_hosts(void)
{
	ok(serve_host_ok("localhost:10469", NULL) && serve_host_ok("127.0.0.1", NULL) &&
		   serve_host_ok("[::1]:80", NULL) && serve_host_ok("192.0.2.7:1", NULL),
	   "localhost and addresses may be asked for");
	ok(!serve_host_ok("evil.example", NULL) &&
		   !serve_host_ok("localhost.evil.example:80", NULL) &&
		   !serve_host_ok("127.0.0.1.evil.example", NULL) && !serve_host_ok("", NULL) &&
		   !serve_host_ok(NULL, NULL) && !serve_host_ok("[", NULL),
	   "other names may not");
	ok(serve_host_ok("mon.example:80", "a.example,mon.example") &&
		   !serve_host_ok("mon.exampl", "a.example,mon.example"),
	   "unless they are allowed");
}

int main(void)
{
	plan(8 + 13 + 9 + 4 + 3);
	test_clients();
	test_formats();
	test_totals();
	test_tally();
	test_hosts();
	tally_free(&bus.tally);
	return tap_done();
}
