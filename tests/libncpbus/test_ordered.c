/* SPDX-License-Identifier: BSD-2-Clause */
/* test_ordered.c - NCP_ORDERED: sorted within its window, each frame once, lost ones by number. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bus.h"
#include "libncpbus/order.h"
#include "libncpbus/stamp.h"
#include "tap/tap.h"

#define FRAMES_MAX 200000u
#define T0 UINT64_C(1700000000000000000)

static struct test_bus bus;
static struct tap_rng rng;
static uint64_t ts_of[FRAMES_MAX]; /* by number in the present bus */

static uint64_t below(uint64_t limit)
{
	return tap_rng_below(&rng, limit);
}

/* Publish one frame of this time; its bytes follow from its number. */
static void publish(uint64_t ts_ns)
{
	uint8_t buf[FRAME_CAP];

	if (bus.next == FRAMES_MAX)
		bail("more frames than the test has room for");
	struct ncpi_frame f = frame_fill(bus.next, buf, sizeof(buf));
	f.ts_ns = ts_of[bus.next++] = ts_ns;
	f.interface = (uint32_t)bus.interface;
	if (ncpi_writer_publish(bus.w, 0, &f, 1) != 1)
		bail("publish");
}

static void start(uint64_t ring_size)
{
	bus_make(&bus);
	bus.geo.ring_size = ring_size;
	bus_start(&bus, true);
}

static struct ncp_client *attach(uint64_t reorder_ns, uint32_t reorder_frames)
{
	struct ncp_options o = NCP_OPTIONS_INIT;
	struct ncp_client *c;

	o.dir = bus.dir;
	o.flags = NCP_ORDERED;
	o.reorder_ns = reorder_ns;
	o.reorder_frames = reorder_frames;
	if (ncp_attach(&c, bus.name, &o) < 0)
		bail("attach");
	return c;
}

static bool bytes_good(const struct ncp_frame *f)
{
	uint8_t buf[FRAME_CAP];
	struct ncpi_frame want = frame_fill(f->seq, buf, sizeof(buf));

	return f->caplen == want.caplen && f->len == want.len && f->flags == want.flags &&
	       f->ts_ns == ts_of[f->seq] && memcmp(f->data, buf, want.caplen) == 0;
}

/* --- what a client did ------------------------------------------------------------------------ */

struct seen {
	uint64_t order[FRAMES_MAX]; /* numbers as they came */
	uint8_t times[FRAMES_MAX];  /* how often each came, in a frame or a loss */
	uint64_t frames, lost, late, highest_ns;
	uint64_t bad, sums;
	uint32_t ended; /* frames before the end was told */
};
static struct seen seen;

static void see(const struct ncp_client *c, const struct ncp_frame *f, bool copied)
{
	if (f->kind == NCP_FRAME) {
		bool good = bytes_good(f);

		/* In place it may have been overrun since, later in the same batch. */
		seen.bad += !good && (copied || ncp_intact(c, f->position));
		seen.times[f->seq]++;
		seen.order[seen.frames++] = f->seq;
		seen.late += f->ts_ns < seen.highest_ns;
		if (f->ts_ns > seen.highest_ns)
			seen.highest_ns = f->ts_ns;
	} else if (f->kind == NCP_LOST) {
		seen.lost += f->next_seq - f->seq;
		for (uint64_t seq = f->seq; seq < f->next_seq; seq++)
			seen.times[seq]++;
	} else if (f->kind == NCP_STATE && f->state == NCP_ENDED) {
		seen.ended++;
	}
}

/* The ledger adds up, and has what was seen (but for frames that are in use just now). */
static void check_sum(const struct ncp_client *c)
{
	struct ncp_stats s = NCP_STATS_INIT;

	seen.bad += ncp_stats(c, &s) != 0;
	seen.bad += s.now.frames + s.now.filtered + s.now.others + s.now.lost !=
		    s.now.next_seq - s.now.first_seq;
	seen.bad += s.now.next_seq + s.waiting > bus.next;
	seen.bad += s.late != seen.late;
	seen.sums++;
}

/* One call of a random kind.  Its result. */
static int call(struct ncp_client *c)
{
	struct ncp_frame f[40] = { NCP_FRAME_INIT };
	uint8_t buf[FRAME_CAP];
	uint64_t how = below(3);
	int r;

	switch (how) {
	case 0:
		r = ncp_recv(c, buf, sizeof(buf), f);
		break;
	case 1:
		r = ncp_next(c, f);
		break;
	default:
		r = ncp_next_batch(c, f, 1 + (int)below(40));
		break;
	}
	for (int i = 0; i < r; i++)
		see(c, &f[i], how == 0);
	check_sum(c);
	return r;
}

static void drain(struct ncp_client *c)
{
	int r;

	while ((r = call(c)) > 0)
		;
	seen.bad += r < 0;
}

static int by_time(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	if (ts_of[x] != ts_of[y])
		return ts_of[x] < ts_of[y] ? -1 : 1;
	return x < y ? -1 : x > y;
}

/* --- several workers, displaced by less than the window --------------------------------------- */

/* Each of the streams has rising times; batches of them come in any order that keeps the newest time
 * of one within window_ns of what another has yet to give. */
static void test_sorted(void)
{
	enum { STREAMS = 5, FRAMES = 30000 };
	const uint64_t window_ns = 20 * NCPI_SECOND; /* however slow the machine: its clock is none */
	static uint64_t want[FRAMES];
	uint64_t at[STREAMS], lowest, swaps = 0, highest = 0;

	memset(&seen, 0, sizeof(seen));
	start(16 << 20);
	struct ncp_client *c = attach(window_ns, 100000);
	for (int s = 0; s < STREAMS; s++)
		at[s] = T0;
	while (bus.next < FRAMES) {
		uint64_t s = below(STREAMS), n = 1 + below(64);

		lowest = UINT64_MAX;
		for (int k = 0; k < STREAMS; k++)
			lowest = at[k] < lowest ? at[k] : lowest;
		for (; n && bus.next < FRAMES && at[s] < lowest + window_ns; n--) {
			publish(at[s]);
			swaps += at[s] < highest;
			highest = at[s] > highest ? at[s] : highest;
			at[s] += below(3) ? below(400000000) : 0;
		}
		if (below(10) == 0)
			for (uint64_t k = below(200); k && call(c) > 0; k--)
				;
	}
	ncpi_writer_state(bus.w, NCP_ENDED, NCP_REASON_EXHAUSTED);
	drain(c);
	for (uint64_t i = 0; i < FRAMES; i++)
		want[i] = i;
	qsort(want, FRAMES, sizeof(*want), by_time);
	ok(swaps > FRAMES / 4, "many of the frames stand after later ones (%d)", (int)swaps);
	is_u64(FRAMES, seen.frames, "every frame of five interleaved streams comes");
	is_mem(want, seen.order, sizeof(want), "in the order of a stable sort");
	is_u64(0, seen.bad, "with its bytes, and the ledger adds up at each step");
	is_u64(0, seen.late, "none is late");
	is_u64(1, seen.ended, "the end is told");
	ncp_detach(c);
	bus_stop(&bus, NCP_ENDED);
}

/* --- any times, against a model ---------------------------------------------------------------- */

/* The rule of ncpbus.h, naively: what is handed out of n frames that are all there. */
static uint64_t model(uint64_t n, uint64_t window_ns, uint64_t window_frames, uint64_t *out)
{
	static bool held[FRAMES_MAX];
	uint64_t met = 0, k = 0;

	memset(held, 0, sizeof(held));
	while (k < n) {
		uint64_t oldest = n, lowest = n, latest = 0;

		for (uint64_t i = met > 400 ? met - 400 : 0; i < met; i++) {
			if (!held[i])
				continue;
			oldest = oldest == n ? i : oldest;
			lowest = lowest == n || ts_of[i] < ts_of[lowest] ? i : lowest;
			latest = ts_of[i] > latest ? ts_of[i] : latest;
		}
		if (lowest < n && (met == n || latest - ts_of[lowest] >= window_ns ||
				   met - oldest > window_frames)) {
			held[lowest] = false;
			out[k++] = lowest;
		} else {
			held[met++] = true;
		}
	}
	return k;
}

static void test_any_times(void)
{
	enum { FRAMES = 20000, WINDOW = 100 };
	static uint64_t want[FRAMES];
	const uint64_t window_ns = 50000;
	uint64_t now = T0;

	memset(&seen, 0, sizeof(seen));
	start(16 << 20);
	struct ncp_client *c = attach(window_ns, WINDOW);
	for (int i = 0; i < FRAMES; i++) {
		uint64_t jump = below(5000);

		now += below(3000);
		if (jump == 0)
			now += 1000000000; /* somebody set the clock */
		if (jump == 1)
			now -= 1000000000;
		publish(jump < 10   ? now + below(300000) :
			jump < 150  ? now - below(300000) :
			jump < 2500 ? now - below(60000) :
				      now);
	}
	model(FRAMES, window_ns, WINDOW, want);
	ncpi_writer_state(bus.w, NCP_ENDED, NCP_REASON_EXHAUSTED);
	drain(c);
	is_u64(FRAMES, seen.frames, "every frame comes whatever its time");
	is_mem(want, seen.order, sizeof(want), "in the order that the documented rule gives");
	ok(seen.late > 100, "some are late (%d)", (int)seen.late);
	is_u64(0, seen.bad, "each late one is counted, and the ledger adds up");
	ncp_detach(c);
	bus_stop(&bus, NCP_ENDED);
}

/* --- laps -------------------------------------------------------------------------------------- */

static uint64_t clock_ns;

static void publish_some(uint64_t n)
{
	while (n--) {
		clock_ns += below(2000);
		publish(clock_ns - below(40000));
	}
}

static unsigned steps;

/* The writer runs at this step of the reader, now and then far enough to lap it. */
static void writer_at(const char *step)
{
	if (strncmp(step, "order:", 6) && strncmp(step, "read:", 5))
		return;
	if (below(400))
		return;
	ncpi_testpoint_fn = NULL;
	steps++;
	publish_some(below(20) ? below(40) : 700);
	ncpi_testpoint_fn = writer_at;
}

static void test_laps(void)
{
	uint64_t twice = 0, never = 0, more = 0;

	memset(&seen, 0, sizeof(seen));
	start(1 << 16);
	clock_ns = T0;
	struct ncp_client *c = attach(20000, 0);
	ncpi_testpoint_fn = writer_at;
	while (bus.next < 150000) {
		publish_some(below(8) ? below(60) : below(800));
		for (uint64_t k = below(60); k && call(c) > 0; k--)
			;
	}
	ncpi_testpoint_fn = NULL;
	ncpi_writer_state(bus.w, NCP_ENDED, NCP_REASON_EXHAUSTED);
	drain(c);
	for (uint64_t i = 0; i < bus.next; i++) {
		never += seen.times[i] == 0;
		twice += seen.times[i] == 2;
		more += seen.times[i] > 2;
	}
	struct ncp_stats s = NCP_STATS_INIT;
	is_i64(0, ncp_stats(c, &s), "stats");
	is_u64(bus.next, s.now.frames + s.now.lost, "lapped in its window: read + lost = published");
	is_u64(0, s.waiting, "and nothing waits at the end");
	is_u64(0, never, "no frame is passed over in silence");
	/* A frame handed out in place and overrun in use comes twice: itself, then its loss. */
	is_u64(seen.frames - s.now.frames, twice, "those told twice were overrun in use");
	is_u64(s.now.lost, seen.lost, "the losses told are those counted");
	is_u64(0, seen.bad, "every byte is right, and the ledger adds up at each of %d calls",
	       (int)seen.sums);
	ok(seen.lost > 1000 && twice > 10 && steps > 50 && seen.frames > 10000,
	   "there were losses (%d), some in use (%d), writes between steps (%d)", (int)seen.lost,
	   (int)twice, (int)steps);
	is_u64(0, more, "nothing is told a third time");
	ncp_detach(c);
	bus_stop(&bus, NCP_ENDED);
}

/* A loss with holes: of the frames that wait, only the older ones are gone. */
static void test_holes(void)
{
	struct ncp_frame f = NCP_FRAME_INIT;
	struct ncp_stats s = NCP_STATS_INIT;
	uint64_t told[2][2] = { 0 }, n = 0, first;

	start(1 << 16);
	struct ncp_client *c = attach(1000, 0);
	/* 0 and 2 are handed out first, 1 and 3 wait for a later time. */
	publish(T0);
	publish(T0 + 5000);
	publish(T0 + 1);
	publish(T0 + 5001);
	is_i64(1, ncp_next(c, &f), "the earliest");
	is_u64(0, f.seq, "comes first");
	is_i64(1, ncp_next(c, &f), "then the next by time");
	is_u64(2, f.seq, "which is not the next by number");
	is_i64(0, ncp_next(c, &f), "the others wait");
	struct ncp_cursor cursor = NCP_CURSOR_INIT;
	is_i64(0, ncp_tell(c, &cursor), "a cursor");
	is_u64(1, cursor.seq, "is the lowest number not handed out");
	is_i64(0, ncp_stats(c, &s), "stats");
	is_u64(2, s.waiting, "two wait");
	is_u64(2, s.now.next_seq, "and are not yet in the ledger");
	for (first = bus.next; bus.bus.seg.h->tail <= 1024;)
		publish(T0 + 6000);
	while (ncp_next(c, &f) == 1 && f.kind == NCP_LOST && n < 2) {
		told[n][0] = f.seq;
		told[n++][1] = f.next_seq;
	}
	is_u64(2, n, "overrun, they are lost");
	ok(told[0][0] == 1 && told[0][1] == 2 && told[1][0] == 3 && told[1][1] >= first,
	   "each by its number");
	ncp_detach(c);
	bus_stop(&bus, NCP_ENDED);
}

/* --- time, and the rest of the calls ------------------------------------------------------------- */

static void test_patience(void)
{
	const uint64_t window_ns = 60 * NCPI_MS;
	struct ncp_frame f = NCP_FRAME_INIT;
	struct ncp_span span = NCP_SPAN_INIT;
	struct ncp_stats s = NCP_STATS_INIT;
	int r;

	start(1 << 16);
	struct ncp_client *c = attach(window_ns, 0);
	is_i64(-EINVAL, ncp_span(c, 0, &span, &f), "spans cannot be ordered");
	publish(T0);
	is_i64(0, ncp_next(c, &f), "a frame that came alone waits");
	uint64_t from = ncpi_now_monotonic();
	is_i64(0, ncp_wait(c, 10), "there is nothing yet");
	is_i64(1, ncp_wait(c, 10000), "after a while there is");
	uint64_t took = ncpi_now_monotonic() - from;
	ok(took >= window_ns / 2 && took < 20 * window_ns, "about the window's length (%d ms)",
	   (int)(took / NCPI_MS));
	is_i64(1, ncp_next(c, &f), "the frame");
	is_u64(0, f.seq, "comes");
	publish(T0 + 1);
	struct pollfd p = { .fd = ncp_fd(c), .events = POLLIN };
	from = ncpi_now_monotonic();
	while ((r = ncp_next(c, &f)) == 0 && ncpi_now_monotonic() - from < 10 * NCPI_SECOND)
		if (poll(&p, 1, 10000) != 1)
			break;
	ok(r == 1 && f.seq == 1, "whoever polls the descriptor gets it, too");
	publish(T0 + 2);
	is_i64(0, ncp_next(c, &f), "a third waits");
	struct ncp_where where = NCP_WHERE_INIT;
	where.whence = NCP_SEQ;
	is_i64(0, ncp_seek(c, &where), "who goes elsewhere");
	is_i64(0, ncp_stats(c, &s), "leaves it");
	is_u64(2, s.total.frames, "unread");
	is_u64(2, s.before.next_seq, "outside the window that ended");
	ncpi_writer_state(bus.w, NCP_STOPPED, NCP_REASON_SIGNAL);
	unsigned n = 0;
	while (ncp_next(c, &f) == 1 && f.kind == NCP_FRAME)
		n++;
	is_u64(3, n, "on a bus that stopped nothing waits");
	ok(f.kind == NCP_STATE && f.state == NCP_STOPPED, "and the state comes after the frames");
	ncp_detach(c);
	bus_stop(&bus, NCP_ENDED);
}

int main(void)
{
	plan(6 + 4 + 9 + 12 + 15 + 1);
	int fds = tap_open_fds();

	rng.seed = tap_seed();
	test_sorted();
	test_any_times();
	test_laps();
	test_holes();
	test_patience();
	is_i64(fds + 5, tap_open_fds(), "nothing left open but the directories");
	return tap_done();
}
