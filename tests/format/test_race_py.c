/* SPDX-License-Identifier: BSD-2-Clause */
/* test_race_py.c - reader.py overrun at every step: each byte right, each loss told. */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bus.h"
#include "libncpbus/layout.h"
#include "python.h"
#include "tap/tap.h"

/* Enough to have met the reader at every place of a block. */
#define LOSSES 30
#define FRAMES 3000

static struct test_bus bus;
static atomic_bool stop;

/* Publishes in spurts: some shorter than the ring, to be read, some longer, to lap the reader. */
static void *publish(void *arg)
{
	struct tap_rng rng = { .seed = *(uint64_t *)arg };

	while (!atomic_load(&stop)) {
		bus_publish(&bus, 1 + tap_rng_below(&rng, 40));
		if (tap_rng_below(&rng, 40) == 0)
			bus_publish(&bus, 3000);
		usleep((useconds_t)tap_rng_below(&rng, 1500));
	}
	return NULL;
}

/* What reader.py has printed so far, and whether it made sense. */
struct seen {
	uint64_t frames, lost, losses, first, next, bad;
	bool known; /* is next known? */
};

/* What a line says of a frame, and whether that is the frame of its number. */
static bool line_good(const char *line)
{
	uint8_t data[FRAME_CAP];
	struct ncp_frame f = {
		.kind = NCP_FRAME,
		.data = data,
		.seq = json_u64(line, "seq"),
		.ts_ns = json_u64(line, "ts_ns"),
		.caplen = (uint32_t)json_u64(line, "caplen"),
		.len = (uint32_t)json_u64(line, "len"),
		.flags = (uint32_t)json_u64(line, "flags"),
		.dropcount = json_u64(line, "dropcount"),
	};

	return json_hex(line, "data", data, sizeof(data)) == f.caplen && frame_good(&f);
}

static bool lapped(void *position)
{
	return __atomic_load_n(&bus.bus.seg.h->tail, __ATOMIC_RELAXED) > *(uint64_t *)position;
}

/* Stop the reader wherever it is until all that it can have seen is overwritten. */
static void hold(const struct python *p)
{
	uint64_t head = __atomic_load_n(&bus.bus.seg.h->head, __ATOMIC_RELAXED);

	if (kill(p->pid, SIGSTOP) < 0)
		bail("SIGSTOP: %s", strerror(errno));
	if (!wait_until(lapped, &head, 5000))
		bail("the producer stands still");
	if (kill(p->pid, SIGCONT) < 0)
		bail("SIGCONT: %s", strerror(errno));
}

static void see(struct seen *s, const char *line)
{
	bool frame = json_is(line, "kind", "frame");

	if (!frame && !json_is(line, "kind", "lost"))
		return;
	uint64_t seq = json_u64(line, frame ? "seq" : "first");
	if (!s->known)
		s->first = s->next = seq;
	s->known = true;
	s->bad += seq != s->next || (frame && !line_good(line));
	s->next = frame ? seq + 1 : json_u64(line, "next");
	s->frames += frame;
	s->losses += !frame;
	s->lost += frame ? 0 : s->next - seq;
}

/* Ends at the summary; the two ledgers. */
static void check_end(struct python *p, const struct seen *s, const char *line, const char *what)
{
	if (!line)
		bail("%s: no summary", what);
	is_u64(0, s->bad, "%s: all bytes right, all numbers in order", what);
	is_u64(bus.next, s->next, "%s: the last frame was read", what);
	is_u64(bus.next - s->first, s->frames + s->lost, "%s: frames + lost = published", what);
	is_u64(s->frames, json_u64(line, "frames"), "%s: the summary has the frames", what);
	is_u64(s->lost, json_u64(line, "lost"), "%s: and the lost ones", what);
	is_i64(0, python_end(p), "%s: status 0", what);
}
#define CHECK_END 6

/* Hold a reader in the middle of a step, there and there, and overrun it just then. */
static void test_step(const char *step, const char *where)
{
	const char *args[] = { bus.name, "--dir", bus.dir, "--start", where, "--drain",
			       "--hex", "--hold", step, NULL };
	struct seen s = { 0 };
	struct python p;
	const char *line;
	unsigned held = 0, laps = 0;

	python_start(&p, args);
	while ((line = python_line(&p)) && !json_is(line, "kind", "summary")) {
		if (line[0] != '{')
			bail("%s: %s", step, line);
		see(&s, line);
		if (!json_is(line, "kind", "at"))
			continue;
		if (held++ % 40 == 0 && laps < 5) {
			/* So far that waypoints and slots are used again, too. */
			bus_publish(&bus, 3000);
			laps++;
		}
		python_step(&p);
	}
	ok(laps > 0, "%s: overrun in it", step);
	check_end(&p, &s, line, step);
}
#define STEP (1 + CHECK_END)

/* The pair of head and number, taken while commits go on: it must be of one of them. */
static void test_pair(void)
{
	const char *args[] = { bus.name, "--dir", bus.dir, "--start", "latest", "--step",
			       "--hex", "--hold", "S2", NULL };
	struct seen s = { .known = true };
	struct python p;
	const char *line;
	unsigned held = 0;

	python_start(&p, args);
	while ((line = python_line(&p)) && json_is(line, "kind", "at")) {
		if (held++ < 3)
			bus_publish(&bus, 300);
		s.first = s.next = bus.next;
		python_step(&p);
	}
	is_u64(4, held, "S2: each time head has moved it looks again");
	if (!line || !json_is(line, "kind", "ready"))
		bail("S2: %s", line ? line : "ended");
	bus_publish(&bus, 20);
	for (int i = 0; i < 20 && line; i++) {
		python_step(&p);
		line = python_line(&p);
		if (line)
			see(&s, line);
	}
	python_finish(&p);
	check_end(&p, &s, python_line(&p), "S2");
}
#define PAIR (1 + CHECK_END)

/* A producer died after it had counted a waypoint and before head covered it. */
static void test_beyond_head(void)
{
	const struct ncpi_segment *seg = &bus.bus.seg;
	struct ncpi_waypoint *w = &seg->waypoints[seg->h->waypoints & (seg->n_waypoints - 1)];
	struct ncpi_waypoint old = *w;
	struct seen s = { .known = true };
	char start[40];
	struct python p;
	const char *line;

	s.first = s.next = bus.next - 1;
	snprintf(start, sizeof(start), "time:%" PRIu64, FRAME_TS(s.first));
	const char *args[] = { bus.name, "--dir", bus.dir, "--start", start, "--drain", "--hex",
			       NULL };
	*w = (struct ncpi_waypoint){ .position = seg->h->head + 4096, .seq = bus.next + 9 };
	w->check = ncpi_waypoint_check(seg->incarnation, w->position, w->seq, w->time_ns);
	seg->h->waypoints++;
	python_start(&p, args);
	while ((line = python_line(&p)) && line[0] == '{' && !json_is(line, "kind", "summary"))
		see(&s, line);
	check_end(&p, &s, line, "a waypoint beyond head");
	struct ncp_frame f = NCP_FRAME_INIT;
	struct ncp_client *c = bus_attach(&bus, NCP_TIME, FRAME_TS(s.first), 0);
	ok(ncp_next(c, &f) == 1 && f.seq == s.first, "a waypoint beyond head: libncpbus, too");
	ncp_detach(c);
	seg->h->waypoints--;
	*w = old;
}
#define BEYOND_HEAD (CHECK_END + 1)

static void test_race(void)
{
	const char *args[] = { bus.name, "--dir", bus.dir, "--start", "oldest", "--until-ended",
			       "--hex", NULL };
	uint64_t seed = tap_seed();
	struct seen s = { 0 };
	pthread_t producer;
	struct python p;
	const char *line;

	python_start(&p, args);
	if (pthread_create(&producer, NULL, publish, &seed))
		bail("no thread");
	while ((line = python_line(&p)) && !json_is(line, "kind", "summary")) {
		if (line[0] != '{')
			bail("%s", line);
		see(&s, line);
		if (atomic_load(&stop))
			continue;
		if (s.frames % 200 == 0)
			hold(&p);
		if (s.frames >= FRAMES && s.losses >= LOSSES) {
			atomic_store(&stop, true);
			pthread_join(producer, NULL);
			bus_stop(&bus, NCP_ENDED);
		}
	}
	ok(s.losses >= LOSSES, "race: lapped %d times", (int)s.losses);
	check_end(&p, &s, line, "race");
}
#define RACE (1 + CHECK_END)

int main(void)
{
	char seq[40];

	signal(SIGPIPE, SIG_IGN);
	plan(PAIR + 3 * STEP + BEYOND_HEAD + RACE);
	bus_make(&bus);
	bus_start(&bus, true);
	bus_publish(&bus, 1000);
	test_pair();
	snprintf(seq, sizeof(seq), "seq:%" PRIu64, bus.next - 50);
	test_step("W3", seq);
	test_step("R3", "oldest");
	test_step("R7", "oldest");
	test_beyond_head();
	test_race();
	return tap_done();
}
