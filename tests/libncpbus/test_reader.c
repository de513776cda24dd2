/* SPDX-License-Identifier: BSD-2-Clause */
/* test_reader.c - what is published is what is read, and what is not read is counted. */
#include <errno.h>
#include <string.h>

#include "bus.h"
#include "libncpbus/layout.h"
#include "tap/tap.h"

enum how { COPY, PLACE, BATCH };
static const char *const how_name[] = { "ncp_recv", "ncp_next", "ncp_next_batch" };

/* What a client saw, and whether it made sense. */
struct seen {
	uint64_t frames, lost, next; /* next: the number expected */
	unsigned bad;		     /* wrong bytes, or a number out of order */
	unsigned events;
	int last; /* result that ended it */
};

static void see(struct seen *s, const struct ncp_frame *f)
{
	if (f->kind == NCP_FRAME) {
		s->frames++;
		s->bad += f->seq != s->next || !frame_good(f);
		s->next = f->seq + 1;
	} else if (f->kind == NCP_LOST) {
		s->lost += f->next_seq - f->seq;
		s->bad += f->seq != s->next;
		s->next = f->next_seq;
	} else {
		s->events++;
	}
}

/* Read until nothing is left, looking at each frame while it is ours. */
static void drain(struct ncp_client *c, enum how how, struct seen *s)
{
	struct ncp_frame f[16] = { NCP_FRAME_INIT };
	uint8_t buf[FRAME_CAP];
	int r;

	for (;;) {
		r = how == COPY	 ? ncp_recv(c, buf, sizeof(buf), f) :
		    how == PLACE ? ncp_next(c, f) :
				   ncp_next_batch(c, f, 16);
		if (r <= 0)
			break;
		for (int i = 0; i < r; i++)
			see(s, &f[i]);
	}
	s->last = r;
}

static void check_ledger(struct ncp_client *c, const struct seen *s, const char *what)
{
	struct ncp_stats st = NCP_STATS_INIT;

	is_i64(0, ncp_stats(c, &st), "%s: stats", what);
	is_u64(s->frames, st.now.frames, "%s: the ledger has the frames seen", what);
	is_u64(s->lost, st.now.lost, "%s: and the lost ones", what);
	is_u64(st.now.next_seq - st.now.first_seq, st.now.frames + st.now.filtered + st.now.lost,
	       "%s: and they add up", what);
}

static void test_all_read(struct test_bus *t, enum how how)
{
	struct ncp_client *c = bus_attach(t, NCP_LATEST, 0, 0);
	struct seen s = { .next = t->next };
	uint64_t start = t->next;

	for (int i = 0; i < 50; i++) {
		bus_publish(t, 100);
		drain(c, how, &s);
	}
	is_u64(t->next - start, s.frames, "%s gives every frame of many laps", how_name[how]);
	is_u64(0, s.bad, "%s: all bytes right, all in order", how_name[how]);
	is_i64(0, s.last, "%s ends with nothing new", how_name[how]);
	check_ledger(c, &s, how_name[how]);
	ncp_detach(c);
}

static void test_lapped_between(struct test_bus *t, enum how how)
{
	struct ncp_client *c = bus_attach(t, NCP_LATEST, 0, 0);
	struct seen s = { .next = t->next };
	uint64_t start = t->next;

	bus_publish(t, 30);
	drain(c, how, &s);
	bus_publish(t, 5000);
	drain(c, how, &s);
	bus_publish(t, 30);
	drain(c, how, &s);
	ok(s.lost > 0, "%s: lapped, a loss is told", how_name[how]);
	is_u64(0, s.bad, "%s: the loss stands exactly between the frames", how_name[how]);
	is_u64(t->next - start, s.frames + s.lost, "%s: seen + lost = published", how_name[how]);
	check_ledger(c, &s, how_name[how]);
	ncp_detach(c);
}

static void test_lapped_in_use(struct test_bus *t)
{
	struct ncp_client *c = bus_attach(t, NCP_LATEST, 0, 0);
	struct ncp_frame f = NCP_FRAME_INIT, e = NCP_FRAME_INIT;
	struct ncp_stats st = NCP_STATS_INIT;
	uint64_t first = t->next;

	bus_publish(t, 3);
	is_i64(1, ncp_next(c, &f), "a frame is handed out");
	is_i64(1, ncp_intact(c, f.position), "it is intact");
	bus_lap(t, f.position);
	is_i64(0, ncp_intact(c, f.position), "then it is overwritten, and ncp_intact says so");
	is_i64(1, ncp_next(c, &e), "the next call has news");
	is_u64(NCP_LOST, e.kind, "a loss");
	is_u64(first, e.seq, "that begins with the frame that was handed out");
	is_i64(0, ncp_stats(c, &st), "stats");
	is_u64(0, st.now.frames, "it does not count as read");
	is_u64(e.next_seq - first, st.now.lost, "but as lost");
	ncp_detach(c);
}

/* The first batch of a client comes by another way than those after it: before many of them. */
static void test_batch_partly_torn(struct test_bus *t, uint64_t before)
{
	struct ncp_client *c = bus_attach(t, NCP_LATEST, 0, 0);
	struct ncp_frame f[16] = { NCP_FRAME_INIT }, e = NCP_FRAME_INIT;
	struct ncp_stats st = NCP_STATS_INIT;

	for (uint64_t i = 0; i < before; i++) {
		bus_publish(t, 16);
		if (ncp_next_batch(c, f, 16) != 16)
			bail("batch");
	}
	bus_publish(t, 16);
	is_i64(16, ncp_next_batch(c, f, 16), "sixteen frames at once");
	bus_lap(t, f[4].position);
	uint64_t torn = 0;
	while (torn < 16 && f[torn].position < t->bus.seg.h->tail)
		torn++;
	ok(torn > 4 && torn < 16, "tail stands inside the batch");
	is_i64(1, ncp_next(c, &e), "the next call has news");
	is_u64(NCP_LOST, e.kind, "a loss");
	is_u64(f[0].seq, e.seq, "from the batch's first frame");
	is_u64(f[0].seq + torn, e.next_seq, "to the last one that tail has reached, no further");
	is_i64(0, ncp_stats(c, &st), "stats");
	is_u64(16 * before + 16 - torn, st.now.frames, "the others count as read");
	is_i64(1, ncp_next(c, &e), "and reading goes on");
	is_u64(f[15].seq + 1, e.seq, "behind the batch");
	ncp_detach(c);
}

/* tail moves into a run of frames that are read one after the other: just past the frame that was
 * handed out last, while the next one is whole. */
static void test_run_overtaken(struct test_bus *t, enum how before, enum how after)
{
	struct ncp_client *c = bus_attach(t, NCP_LATEST, 0, NCP_NO_REGISTRY);
	uint64_t *tail = &t->bus.seg.h->tail, old_tail = *tail;
	struct ncp_frame f = NCP_FRAME_INIT;
	struct ncp_stats st = NCP_STATS_INIT;
	uint8_t buf[FRAME_CAP];
	int r = 0;

	bus_publish(t, 7);
	for (int i = 0; i < 3; i++)
		r = before == COPY ? ncp_recv(c, buf, sizeof(buf), &f) : ncp_next(c, &f);
	uint64_t seq = f.seq;
	is_i64(1, r, "%s: three frames", how_name[before]);
	*tail = f.position + 4;
	r = after == COPY ? ncp_recv(c, buf, sizeof(buf), &f) : ncp_next(c, &f);
	if (before == COPY) {
		ok(r == 1 && f.kind == NCP_FRAME && f.seq == seq + 1 && frame_good(&f),
		   "then %s: what was copied is not lost", how_name[after]);
	} else {
		ok(r == 1 && f.kind == NCP_LOST && f.seq == seq && f.next_seq == seq + 1,
		   "then %s: the third was torn", how_name[after]);
		r = ncp_next(c, &f);
		ok(r == 1 && f.kind == NCP_FRAME && f.seq == seq + 1 && frame_good(&f),
		   "and the fourth is whole");
	}
	r = ncp_stats(c, &st);
	ok(r == 0 && st.now.frames == (before == COPY ? 4 : 3) && st.now.lost == (before != COPY) &&
	   st.now.next_seq == st.now.first_seq + 4, "the ledger knows");
	*tail = old_tail;
	ncp_detach(c);
}

/* What was copied stays read when everything is overrun. */
static void test_run_lapped(struct test_bus *t)
{
	struct ncp_client *c = bus_attach(t, NCP_LATEST, 0, NCP_NO_REGISTRY);
	struct ncp_frame f = NCP_FRAME_INIT;
	uint8_t buf[FRAME_CAP];

	bus_publish(t, 7);
	for (int i = 0; i < 3; i++)
		if (ncp_recv(c, buf, sizeof(buf), &f) != 1)
			bail("recv");
	uint64_t seq = f.seq;
	bus_lap(t, f.position + 4096);
	int r = ncp_next(c, &f);
	ok(r == 1 && f.kind == NCP_LOST && f.seq == seq + 1,
	   "three frames copied, then a lap: the loss begins behind them");
	ncp_detach(c);
}

/* A block that breaks the rules, behind frames that were read in a row: told, and nothing else. */
static void test_broken(struct test_bus *t, enum how how)
{
	static const struct {
		const char *what;
		uint32_t total, caplen, len; /* 0: as it is */
	} bad[] = {
		{ "more bytes than on the wire", 0, 0, UINT32_MAX },
		{ "4 GiB of bytes in 44", 44, UINT32_MAX, UINT32_MAX },
		{ "4 GiB less one word", 40, UINT32_MAX - 4, UINT32_MAX },
		{ "more bytes than its block", 0, FRAME_CAP + 50, FRAME_CAP + 50 },
		{ "no multiple of 4", 46, 0, 0 },
		{ "a block of no length", 1, 0, 0 },
		{ "a block that ends beyond head", 65532, 65488, 65488 },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct ncp_client *c = bus_attach(t, NCP_LATEST, 0, NCP_NO_REGISTRY);
		struct ncp_frame f[16] = { NCP_FRAME_INIT };
		uint8_t buf[FRAME_CAP];
		uint32_t word[7];

		bus_publish(t, 7);
		/* Where the third one stands, as the one who writes it sees it. */
		for (int k = 0; k < 3; k++)
			if (ncp_next(c, f) != 1)
				bail("next");
		uint8_t *block = ncpi_segment_at(&t->bus.seg, f->position);
		const struct ncp_where second = { .size = sizeof(second),
						  .whence = NCP_SEQ,
						  .value = f->seq - 1 };
		if (ncp_seek(c, &second) < 0 || ncp_next(c, f) != 1)
			bail("seek");
		memcpy(word, block, sizeof(word));
		uint32_t worse[7];
		memcpy(worse, word, sizeof(worse));
		worse[1] = bad[i].total ? bad[i].total : word[1];
		worse[5] = bad[i].caplen ? bad[i].caplen : word[5];
		/* UINT32_MAX alone: one less than were captured. */
		worse[6] = !bad[i].len ? word[6] : bad[i].caplen ? bad[i].len : word[5] - 1;
		memcpy(block, worse, sizeof(worse));
		int r = how == COPY  ? ncp_recv(c, buf, sizeof(buf), f) :
			how == PLACE ? ncp_next(c, f) :
				       ncp_next_batch(c, f, 16);
		is_i64(NCP_ECORRUPT, r, "%s: %s", how_name[how], bad[i].what);
		memcpy(block, word, sizeof(word));
		ncp_detach(c);
	}
}

/* A head that no producer stores, and a block longer than the ring: told, and so again when the client
 * asks again, who stays where it is. */
static void test_head_broken(struct test_bus *t, enum how how)
{
	static const int64_t moved[] = { -4, 2, INT64_C(1) << 30 };
	struct ncpi_header *h = t->bus.seg.h;

	for (size_t i = 0; i < sizeof(moved) / sizeof(*moved); i++) {
		struct ncp_client *c = bus_attach(t, NCP_LATEST, 0, NCP_NO_REGISTRY);
		struct ncp_frame f[16] = { NCP_FRAME_INIT };
		struct ncp_span span = NCP_SPAN_INIT;
		struct seen s = { .next = t->next };
		static uint8_t buf[4 << 20];
		uint32_t word[7];

		bus_publish(t, 20);
		drain(c, BATCH, &s);
		uint64_t head = h->head;
		uint8_t *block = ncpi_segment_at(&t->bus.seg, head);
		memcpy(word, block, sizeof(word));
		const uint32_t longer[7] = { NCPI_EPB, 4 << 20, 0, 0, 0, (4 << 20) - 32, 4 << 20 };
		memcpy(block, longer, sizeof(longer));
		h->head += (uint64_t)moved[i];
		int first = ncp_span(c, 0, &span, f), bad = 0;
		for (int k = 0; k < 3; k++)
			bad += NCP_ECORRUPT != (how == COPY  ? ncp_recv(c, buf, sizeof(buf), f) :
						how == PLACE ? ncp_next(c, f) :
							       ncp_next_batch(c, f, 16));
		is_i64(NCP_ECORRUPT, first, "ncp_span: head moved by %lld", (long long)moved[i]);
		is_i64(0, bad, "%s: each time it is asked", how_name[how]);
		h->head = head;
		memcpy(block, word, sizeof(word));
		bus_publish(t, 20);
		drain(c, how, &s);
		is_u64(40, s.frames - s.bad, "%s: and goes on when head is right", how_name[how]);
		ncp_detach(c);
	}
}

static void test_filter(struct test_bus *t)
{
	struct ncp_client *c = bus_attach(t, NCP_LATEST, 0, 0);
	struct ncp_frame f = NCP_FRAME_INIT;
	struct ncp_stats st = NCP_STATS_INIT;
	char error[128] = "";
	uint64_t n = 0, start = t->next;

	is_i64(NCP_EFILTER, ncp_set_filter(c, "no such word", error, sizeof(error)),
	       "refuses what pcap-filter refuses");
	ok(*error, "with its text: %s", error);
	is_i64(0, ncp_set_filter(c, "ip broadcast", NULL, 0), "knows what tcpdump -r knows");
	is_i64(0, ncp_set_filter(c, "greater 100", NULL, 0), "takes an expression");
	bus_publish(t, 100);
	while (ncp_next(c, &f) == 1) {
		ok(f.len >= 100 && frame_good(&f), "frame %d fits",
		   (int)(f.seq - start));
		if (++n == 5)
			break;
	}
	while (ncp_next(c, &f) == 1)
		n++;
	is_i64(0, ncp_stats(c, &st), "stats");
	is_u64(n, st.now.frames, "matching frames are read");
	is_u64(100 - n, st.now.filtered, "the others are filtered");
	is_u64(100, st.now.next_seq - st.now.first_seq, "the window holds both");
	ok(n > 5 && n < 100, "there were some of each");
	const struct ncp_bpf_insn loop[] = { { .code = 0x05, .k = 2 }, { .code = 0x06 } };
	is_i64(NCP_EFILTER, ncp_set_bpf(c, loop, 2), "refuses a jump out of the program");
	const struct ncp_bpf_insn none[] = { { .code = 0x06, .k = 0 } };
	is_i64(0, ncp_set_bpf(c, none, 1), "takes a program");
	bus_publish(t, 10);
	is_i64(0, ncp_next(c, &f), "that lets nothing pass");
	is_i64(0, ncp_set_filter(c, NULL, NULL, 0), "no filter again");
	bus_publish(t, 1);
	is_i64(1, ncp_next(c, &f), "lets all pass");
	ncp_detach(c);
}

static void test_seek(struct test_bus *t)
{
	struct ncp_client *c = bus_attach(t, NCP_OLDEST, 0, 0);
	struct ncp_frame f = NCP_FRAME_INIT;
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	struct ncp_where where = NCP_WHERE_INIT;
	unsigned bad = 0;

	is_i64(0, ncp_bus_info(c, &info), "bus info");
	is_u64(t->next, info.next_seq, "next_seq is what was published");
	is_u64(FRAME_TS(info.oldest_seq), info.oldest_ts_ns, "with the oldest frame's time");
	is_u64(FRAME_TS(t->next - 1), info.newest_ts_ns, "and the newest one's");
	is_i64(1, ncp_next(c, &f), "attached at oldest");
	is_u64(info.oldest_seq, f.seq, "gives the oldest");
	for (uint64_t seq = info.oldest_seq; seq < t->next; seq++) {
		where = (struct ncp_where){ .size = sizeof(where), .whence = NCP_SEQ,
					    .value = seq };
		bad += ncp_seek(c, &where) != 0 || ncp_next(c, &f) != 1 || f.seq != seq ||
		       !frame_good(&f);
		where.whence = NCP_TIME;
		where.value = FRAME_TS(seq);
		bad += ncp_seek(c, &where) != 0 || ncp_next(c, &f) != 1 || f.seq != seq;
		where.value = FRAME_TS(seq) - 1;
		bad += ncp_seek(c, &where) != 0 || ncp_next(c, &f) != 1 || f.seq != seq;
	}
	is_u64(0, bad, "every frame is found by number and by time");
	where = (struct ncp_where){ .size = sizeof(where), .whence = NCP_SEQ, .value = t->next };
	is_i64(0, ncp_seek(c, &where), "the next number to come can be sought");
	is_i64(0, ncp_next(c, &f), "and nothing is there");
	where.value++;
	is_i64(-ERANGE, ncp_seek(c, &where), "one further cannot");
	where.whence = NCP_TIME;
	where.value = FRAME_TS(t->next);
	is_i64(0, ncp_seek(c, &where), "a time to come is where the next frame will be");
	is_i64(0, ncp_next(c, &f), "nothing there yet");
	where = (struct ncp_where){ .size = sizeof(where), .whence = NCP_SEQ, .value = 1 };
	is_i64(0, ncp_seek(c, &where), "a number that is gone");
	is_i64(1, ncp_next(c, &f), "gives");
	ok(f.kind == NCP_LOST && f.seq == 1 && f.next_seq == info.oldest_seq,
	   "the exact loss first");
	is_i64(1, ncp_next(c, &f), "then");
	is_u64(info.oldest_seq, f.seq, "the oldest frame");
	where = (struct ncp_where){ .size = sizeof(where), .whence = NCP_TIME, .value = 1 };
	is_i64(0, ncp_seek(c, &where), "a time that is gone");
	is_i64(1, ncp_next(c, &f), "gives");
	ok(f.kind == NCP_FRAME && f.seq == info.oldest_seq, "the oldest, and no loss: it is missing");
	ncp_detach(c);
}

static void test_span(struct test_bus *t)
{
	struct ncp_client *c = bus_attach(t, NCP_LATEST, 0, 0);
	struct ncp_span span = NCP_SPAN_INIT;
	struct ncp_frame f = NCP_FRAME_INIT;
	uint64_t next = t->next, blocks = 0, bad = 0, spans = 0;
	int r;

	bus_publish(t, 250);
	while ((r = ncp_span(c, 8192, &span, &f)) == 1 && f.kind == NCP_SPAN) {
		bad += span.first_seq != next || span.len == 0;
		for (size_t off = 0; off < span.len;) {
			uint32_t head[2];

			memcpy(head, span.data + off, 8);
			blocks += head[0] == NCPI_EPB;
			off += head[1];
			bad += off > span.len;
		}
		bad += blocks != span.next_seq - (t->next - 250);
		next = span.next_seq;
		spans++;
	}
	is_i64(0, r, "spans end with nothing new");
	is_u64(0, bad, "each is whole blocks, and counts its frames");
	is_u64(t->next, next, "together they hold every frame");
	ok(spans > 3, "in pieces of the size asked for (%d)", (int)spans);
	ok(span.prologue_len >= 28, "with a prologue");
	bus_publish(t, 5000);
	is_i64(1, ncp_span(c, 8192, &span, &f), "lapped");
	ok(f.kind == NCP_LOST && f.seq == next, "the loss comes first");
	next = f.next_seq;
	is_i64(1, ncp_span(c, 0, &span, &f), "then a span");
	ok(f.kind == NCP_SPAN && span.first_seq == next && span.next_seq == t->next,
	   "of all there is");
	ncp_span_lost(c, 5);
	struct ncp_stats st = NCP_STATS_INIT;
	is_i64(0, ncp_stats(c, &st), "stats");
	is_u64(st.now.next_seq - st.now.first_seq, st.now.frames + st.now.lost,
	       "frames declared lost move over");
	ncp_detach(c);
}

int main(void)
{
	struct test_bus t;
	int fds;

	plan(3 * 7 + 3 * 7 + 9 + 2 * 10 + 3 * 7 + 3 * 9 + 2 * 4 + 2 * 3 + 1 + 17 + 22 + 11 + 1);
	fds = tap_open_fds();
	bus_make(&t);
	bus_start(&t, false);
	for (enum how how = COPY; how <= BATCH; how++)
		test_all_read(&t, how);
	for (enum how how = COPY; how <= BATCH; how++)
		test_lapped_between(&t, how);
	test_lapped_in_use(&t);
	test_batch_partly_torn(&t, 0);
	test_batch_partly_torn(&t, 2);
	test_run_overtaken(&t, PLACE, PLACE);
	test_run_overtaken(&t, PLACE, COPY);
	test_run_overtaken(&t, COPY, PLACE);
	test_run_overtaken(&t, COPY, COPY);
	test_run_lapped(&t);
	for (enum how how = COPY; how <= BATCH; how++)
		test_broken(&t, how);
	for (enum how how = COPY; how <= BATCH; how++)
		test_head_broken(&t, how);
	test_filter(&t);
	test_seek(&t);
	test_span(&t);
	bus_stop(&t, NCP_ENDED);
	is_i64(fds + 1, tap_open_fds(), "nothing left open but the directory");
	return tap_done();
}
