/* SPDX-License-Identifier: BSD-2-Clause */
/* test_look.c - ncp-stats beside a bus that lives, stops, dies, is replaced and goes. */
#include <ncpbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clients/ncp-stats/look.h"
#include "libncpbus/writer.h"
#include "support/bus.h"
#include "tap/tap.h"

static struct test_bus t;

static void producer_start(uint64_t ring_size, bool alive)
{
	t.geo.ring_size = ring_size;
	bus_start(&t, alive);
}

/* What the first n frames' captured lengths add up to. */
static uint64_t bytes_of(uint64_t n)
{
	uint8_t buf[FRAME_CAP];
	uint64_t sum = 0;

	for (uint64_t i = 0; i < n; i++)
		sum += frame_fill(i, buf, sizeof(buf)).caplen;
	return sum;
}

static bool settled(void *arg)
{
	return look_settled(arg);
}

static bool has_client(void *arg)
{
	struct snapshot s = { 0 };
	bool found = look_take(arg, &s) == 0 && s.n_clients == 1;

	snapshot_free(&s);
	return found;
}

static void test_life(void)
{
	struct look l = { .bus = t.name, .dir = t.dir };
	struct snapshot s = { 0 };
	char why[LOOK_WHY_CAP];

	is_i64(NCP_ENOBUS, look_open(&l, why), "without a bus there is nothing to look at");
	ok(*why != '\0', "and the reason is told: %s", why);

	producer_start(1 << 16, true);
	const struct ncpi_interface_desc odd = { .name = "te\033st", .linktype = 113,
						 .snaplen = 200 };
	if (ncpi_writer_interface(t.w, &odd) < 0)
		bail("interface");
	bus_publish(&t, 5);
	ncpi_writer_count(t.w, 0, (uint32_t)t.interface,
			  &(struct ncpi_counts){ .received = 6, .kernel_drops = 1 });
	is_i64(0, look_open(&l, why), "a bus that is there is attached");
	ok(wait_until(settled, &l, 1000), "a living producer shows within a second");
	is_i64(0, look_take(&l, &s), "a look");
	is_u64(NCP_LIVE, s.info.state, "finds it live");
	is_u64(5, s.info.next_seq, "published is exact");
	is_u64(bytes_of(5), s.info.bytes, "and so are the bytes");
	is_u64(6, s.info.received, "received is what the source counted");
	is_u64(1, s.info.kernel_drops, "kernel drops likewise");
	is_u64(FRAME_TS(4) - FRAME_TS(0), s.depth_ns, "the ring holds the time of five frames");
	is_u64(2, s.n_interfaces, "its interfaces are there");
	is_str("te\\x1bst", s.interface[1].name, "with a name that is safe to print");
	is_u64(0, s.n_clients, "a look makes no client");
	is_u64(1, s.n_workers, "one worker");
	is_u64(5, s.worker[0].published, "with its counters");
	snapshot_free(&s);

	/* A client that reads two frames and stays. */
	struct ncp_options o = NCP_OPTIONS_INIT;
	struct ncp_frame f = NCP_FRAME_INIT;
	struct ncp_client *c;
	o.dir = t.dir;
	o.name = "reader";
	o.from.whence = NCP_OLDEST;
	if (ncp_attach(&c, t.name, &o) < 0)
		bail("attach");
	ok(wait_until(has_client, &l, 1000), "a client that attached is seen");
	for (int i = 0; i < 5; i++)
		if (ncp_next(c, &f) != 1)
			bail("next");
	(void)!ncp_next(c, &f);
	/* Its line follows four times a second at most; leaving the loop idle tells it. */
	for (int i = 0; i < 200; i++) {
		(void)!ncp_wait(c, 10);
		snapshot_free(&s);
		if (look_take(&l, &s) == 0 && s.n_clients == 1 && s.client[0].peer.frames == 5)
			break;
	}
	is_u64(5, s.n_clients ? s.client[0].peer.frames : 0, "what it read is seen");
	is_str("reader", s.n_clients ? s.client[0].peer.name : NULL, "by its name");
	is_u64(0, s.n_clients ? s.client[0].lag_frames : 1, "it is not behind");
	ok(s.has_rates, "later looks have rates");
	snapshot_free(&s);
	ncp_detach(c);

	is_i64(LOOK_SAME, look_again(&l, NCP_LIVE), "a live bus is not looked for again");
	bus_stop(&t, NCP_STOPPED);
	if (look_take(&l, &s) < 0)
		bail("look");
	is_u64(NCP_STOPPED, s.info.state, "a bus that was stopped says so");
	ok(look_settled(&l), "and no sign of life is waited for");
	snapshot_free(&s);
	is_i64(LOOK_SAME, look_again(&l, NCP_STOPPED), "its name still leads to it");

	producer_start(1 << 16, true);
	bus_publish(&t, 1);
	if (look_take(&l, &s) < 0)
		bail("look");
	is_u64(2, s.info.epoch, "another start is another epoch");
	is_u64(6, s.info.next_seq, "numbers go on");
	snapshot_free(&s);
	bus_stop(&t, NCP_STOPPED);

	producer_start(1 << 17, true);
	bus_publish(&t, 2);
	if (look_take(&l, &s) < 0)
		bail("look");
	is_u64(NCP_CLOSED, s.info.state, "a bus that was replaced is closed");
	snapshot_free(&s);
	is_i64(LOOK_REPLACED, look_again(&l, NCP_CLOSED), "the new one is found");
	if (look_take(&l, &s) < 0)
		bail("look");
	is_u64(2, s.info.next_seq, "and its numbers are its own");
	ok(!s.has_rates, "rates begin anew");
	snapshot_free(&s);

	bus_stop(&t, NCP_ENDED);
	if (ncpi_bus_unlink(t.dirfd, t.name, 0, 0, true) < 0)
		bail("unlink");
	is_i64(LOOK_GONE, look_again(&l, NCP_ENDED), "a name that went is told");
	is_i64(LOOK_SAME, look_again(&l, NCP_ENDED), "once");
	if (look_take(&l, &s) < 0)
		bail("look");
	ok(s.gone, "and stands in the snapshot");
	is_u64(2, s.info.next_seq, "beside the last numbers");
	snapshot_free(&s);
	producer_start(1 << 16, false);
	is_i64(LOOK_REPLACED, look_again(&l, NCP_ENDED), "a bus of that name is found again");
	look_close(&l);
	look_close(&l);
	bus_stop(&t, NCP_ENDED);
}

/* --- the program itself --------------------------------------------------------------------- */

static char output[8192];

/* Run ncp-stats with the test's directory; stdout into output.  Its exit status. */
static int run(const char *args)
{
	char command[1024];
	size_t n;

	snprintf(command, sizeof(command), "%s/ncp-stats --dir %s %s 2>%s/stderr", getenv("NCP_BIN"),
		 t.dir, args, t.dir);
	FILE *f = popen(command, "r");
	if (!f)
		bail("popen");
	n = fread(output, 1, sizeof(output) - 1, f);
	output[n] = '\0';
	int status = pclose(f);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static const char *said(void)
{
	static char text[1024];
	char path[256];

	snprintf(path, sizeof(path), "%s/stderr", t.dir);
	FILE *f = fopen(path, "r");
	size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
	text[n] = '\0';
	if (f)
		fclose(f);
	return text;
}

static void test_program(void)
{
	char args[256], other[TAP_BUS_NAME_CAP];
	struct timespec from, to;

	is_i64(3, run("--once"), "without a bus: 3");
	is_i64(3, run("--once -i nosuch"), "without that bus: 3");
	is_i64(2, run("--once -i no/such"), "with what is no bus name: 2");
	is_i64(2, run("--once eth0"), "with a word: 2");
	is_i64(2, run("--list -i eth0"), "with two ways to say which: 2");
	is_i64(2, run("--interval 0"), "with an interval of nothing: 2");
	is_i64(1, run("--once -i no_dir --dir /nonexistent"), "with a directory that is not there: 1");
	is_i64(0, run("--list"), "an empty list is no failure");
	is_str("", output, "and has no line");

	producer_start(1 << 16, true);
	bus_publish(&t, 3);
	is_i64(0, run("--once --json"), "the only bus needs no name");
	ok(strstr(output, "\"state\":\"live\"") && strstr(output, "\"published\":3,"),
	   "its state and its count come as JSON");
	is_i64(0, run("--once"), "and as text");
	ok(strstr(output, "published 3 frames"), "with the same count");
	is_i64(0, run("--list"), "it is listed");
	ok(strstr(output, t.name) && strstr(output, "live"), "by name and state");

	/* Two lines of JSON, then the reader leaves: so does ncp-stats. */
	snprintf(args, sizeof(args), "-i %s --json --interval 0.05 | head -2", t.name);
	run(args);
	char *second = strchr(output, '\n');
	ok(second && strstr(second, "\"rates\":{"), "the second look has rates");
	snprintf(args, sizeof(args), "-i %s --json=%s/file --once", t.name, t.dir);
	is_i64(0, run(args), "JSON into a file");
	is_str("", output, "leaves stdout alone");

	/* A producer without its heart: dead, and nothing before a second says so. */
	bus_stop(&t, NCP_LIVE);
	clock_gettime(CLOCK_MONOTONIC, &from);
	is_i64(0, run("--once --json"), "a dead producer is no failure of ours");
	clock_gettime(CLOCK_MONOTONIC, &to);
	ok(strstr(output, "\"state\":\"dead\""), "but is told");
	double took = (double)(to.tv_sec - from.tv_sec) + 1e-9 * (double)(to.tv_nsec - from.tv_nsec);
	ok(took > 1 && took < 5, "after a second (%.2f s)", took);

	strcpy(other, t.name);
	tap_bus_name(t.name, "other");
	producer_start(1 << 16, false);
	is_i64(2, run("--once"), "with two busses one must be named: 2");
	ok(strstr(said(), t.name) && strstr(said(), other), "and both are told");
	bus_stop(&t, NCP_ENDED);
}

int main(void)
{
	if (!getenv("NCP_BIN"))
		skip_all("NCP_BIN does not say where ncp-stats is");
	plan(37 + 23);
	bus_make(&t);
	int before = tap_open_fds();
	test_life();
	is_i64(before, tap_open_fds(), "no descriptor is left open");
	if (ncpi_bus_unlink(t.dirfd, t.name, 0, 0, true) < 0)
		bail("unlink");
	test_program();
	return tap_done();
}
