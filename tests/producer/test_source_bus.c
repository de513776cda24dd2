/* SPDX-License-Identifier: BSD-2-Clause */
/* test_source_bus.c - a view of another bus: each frame as it was, and a ledger of what is missing. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "bus.h"
#include "libncpbus/segment.h"
#include "producer/compile.h"
#include "producer/source.h"
#include "tap/tap.h"

static struct test_bus bus;
static struct bus_list busses;
static char why[SOURCE_WHY_CAP];

/* In the helper's place: whatever bears the name by now. */
static int open_again(void *arg, uint32_t i)
{
	char name[NCPI_FILE_CAP];

	(void)arg;
	ncpi_name_file(name, busses.name[i], "");
	int fd = openat(bus.dirfd, name, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static struct source_options options(void)
{
	busses.n = 0;
	return (struct source_options){ .snaplen = 262144,
					.batch = 64,
					.retire_ms = 1,
					.workers = 1,
					.bus = "view",
					.dir = bus.dir,
					.busses = &busses,
					.bus_again = open_again };
}

static struct source *begin(const struct source_options *o)
{
	struct source *src = NULL;

	*why = '\0';
	if (source_bus.open(&src, bus.name, o, why) || src->ops->start(src))
		bail("bus:%s: %s", bus.name, why);
	return src;
}

/* What was taken until nothing was left. */
struct taken {
	uint64_t frames, good, cut;
	uint64_t drops, marked; /* sum of dropcounts; of this, what frames had before */
	uint64_t last; /* time of the newest */
	int end;       /* SOURCE_NOTHING, SOURCE_END ... */
};

static void judge(struct taken *t, const struct ncpi_frame *f, uint32_t snaplen)
{
	uint8_t buf[FRAME_CAP];
	const uint64_t seq = (f->ts_ns - FRAME_TS(0)) / 1000;
	const struct ncpi_frame want = frame_fill(seq, buf, sizeof(buf));
	const uint32_t caplen = want.caplen < snaplen ? want.caplen : snaplen;

	t->frames++;
	t->cut += caplen < want.caplen;
	t->drops += f->dropcount;
	t->marked += want.dropcount;
	t->good += f->ts_ns > t->last && f->caplen == caplen && f->len == want.len &&
		   f->flags == want.flags && f->interface == 0 &&
		   memcmp(f->data, want.data, caplen) == 0;
	t->last = f->ts_ns;
}

static struct taken take(struct source *src, uint32_t snaplen)
{
	struct taken t = { 0 };
	struct source_batch b;
	int r;

	while ((r = src->ops->take(src, &b, 10)) == SOURCE_FRAMES) {
		for (size_t i = 0; i < b.n; i++)
			judge(&t, &b.frames[i], snaplen);
		src->ops->give(src, &b);
	}
	t.end = r;
	return t;
}

static struct source_counts counts(struct source *src)
{
	struct source_counts c;

	src->ops->counts(src, &c);
	return c;
}

static void test_refusals(void)
{
	struct source_options o = options();
	struct source *src;

	is_i64(-EINVAL, source_bus.open(&src, "a/b", &o, why), "refuses what is no name of a bus");
	is_i64(-EINVAL, source_bus.open(&src, "view", &o, why), "and the bus that it would make");
	ok(strstr(why, "it would read what it writes") != NULL, "saying why: %s", why);
	is_i64(NCP_ENOBUS, source_bus.open(&src, "nosuch", &o, why), "there is none of that name");
	o.wait = true;
	is_i64(-EAGAIN, source_bus.open(&src, "nosuch", &o, why), "unless that is waited for");
	o.filter = "udp prot 9";
	is_i64(-EINVAL, source_bus.open(&src, bus.name, &o, why), "refuses what is no filter");
	ok(src == NULL, "and leaves nothing");
	is_u64(0, busses.n, "to be opened again");
}

static void test_frames(void)
{
	struct source_options o = options();
	struct ncpi_interface_desc d;

	bus_publish(&bus, 10); /* before */
	struct source *src = begin(&o);
	is_i64(1, src->ops->interface(src, 0, &d), "its interface is known at once");
	ok(strcmp(d.name, "test0") == 0 && d.linktype == 1, "by its name and link type");
	is_i64(0, src->ops->interface(src, 1, &d), "there is one");
	is_i64(SOURCE_NOTHING, take(src, o.snaplen).end, "what was before is left alone");
	bus_publish(&bus, 100);
	struct taken t = take(src, o.snaplen);
	is_u64(100, t.frames, "each frame comes");
	is_u64(100, t.good, "as it was, byte for byte, in order");
	struct source_counts c = counts(src);
	ok(c.received == 100 + t.marked && c.kernel_drops == t.marked && !c.discarded,
	   "and is counted");
	is_u64(t.marked, t.drops, "with what its mark says was lost before");
	src->ops->close(src);

	o = options();
	o.snaplen = 40;
	src = begin(&o);
	bus_publish(&bus, 100);
	t = take(src, 40);
	is_u64(100, t.good, "with a snaplen they are cut");
	ok(t.cut > 50, "most of them, %llu", (unsigned long long)t.cut);
	src->ops->close(src);
}

/* In the helper's place. */
static int compile_again(void *text, int dlt, struct compile_program *p, char *reason)
{
	return compile_offline(dlt, 262144, text, p, reason);
}

static void test_filter(void)
{
	char text[16] = "less 100";
	struct source_options o = options();

	o.filter = "greater 101";
	o.frames_compile = compile_again;
	o.packet_again_arg = text;
	struct source *src = begin(&o);
	bus_publish(&bus, 200);
	struct taken t = take(src, o.snaplen);
	struct source_counts c = counts(src);
	ok(t.frames > 50 && t.frames < 150 && t.good == t.frames, "a filter lets some through");
	is_u64(200, t.frames + c.discarded, "the others are discarded");
	is_u64(200, c.received - c.kernel_drops, "of all");

	is_i64(0, src->ops->refilter(src, why), "another one takes its place");
	bus_publish(&bus, 200);
	struct taken u = take(src, o.snaplen);
	c = counts(src);
	ok(u.frames > 50 && u.good == u.frames, "and lets others through");
	is_u64(400, t.frames + u.frames + c.discarded, "which are counted as before");
	strcpy(text, "udp prot 9");
	is_i64(-EINVAL, src->ops->refilter(src, why), "what is none stays away");
	bus_publish(&bus, 200);
	u = take(src, o.snaplen);
	ok(u.frames > 50 && u.good == u.frames, "the old one goes on");
	src->ops->close(src);

	o = options();
	o.direction = NCP_INBOUND;
	src = begin(&o);
	bus_publish(&bus, 100);
	t = take(src, o.snaplen);
	c = counts(src);
	is_u64(100, t.frames + c.discarded, "with a direction, others are discarded");
	src->ops->close(src);
}

/* Overrun before it was read: as many are missing as are told. */
static void test_lapped(void)
{
	struct source_options o = options();
	struct source *src = begin(&o);

	bus_publish(&bus, 5000);
	struct taken t = take(src, o.snaplen);
	const struct source_counts c = counts(src);
	ok(t.good == t.frames && t.frames > 0, "what is left in the ring comes");
	ok(c.kernel_drops > 1000, "more was lost");
	is_u64(5000, t.frames + c.kernel_drops - t.marked, "together they are all");
	is_u64(c.kernel_drops, t.drops, "the frames' marks add up to it");
	is_u64(t.frames + c.kernel_drops, c.received, "the ledger holds");
	src->ops->close(src);
}

static void test_ends(void)
{
	struct source_options o = options();
	struct source *src = begin(&o);

	bus_publish(&bus, 30);
	src->ops->stop(src);
	bus_publish(&bus, 30);
	struct taken t = take(src, o.snaplen);
	is_u64(30, t.frames, "stopped: what was there by then is still taken");
	is_i64(SOURCE_END, t.end, "and no more");
	src->ops->close(src);

	src = begin(&o);
	bus_publish(&bus, 30);
	bus_stop(&bus, NCP_ENDED);
	t = take(src, o.snaplen);
	is_u64(30, t.frames, "the other bus ends: it is drained");
	is_i64(SOURCE_END, t.end, "and so do we");
	src->ops->close(src);
	source_bus.close(NULL);
}

int main(void)
{
	plan(8 + 10 + 9 + 5 + 4 + 1);
	bus_make(&bus);
	int before = tap_open_fds();
	bus_start(&bus, false);
	test_refusals();
	test_frames();
	test_filter();
	test_lapped();
	test_ends();
	is_i64(before, tap_open_fds(), "nothing is left open");
	return tap_done();
}
