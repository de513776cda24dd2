/* SPDX-License-Identifier: BSD-2-Clause */
/* test_schedule.c - the writer at every step of a reader, a reader at every step of the writer. */
#include <string.h>

#include "bus.h"
#include "libncpbus/client.h"
#include "libncpbus/layout.h"
#include "libncpbus/order.h"
#include "tap/tap.h"

#define SCHEDULES 1500
#define RENEW 150	     /* schedules on one bus */
#define FRAMES_MAX (1u << 20)
#define BLOCK_MAX 300	     /* of the test's frames */
#define WAYPOINT_EVERY 1024  /* in a 64 KiB ring */
#define LEN_WANTED 120u	     /* what the filter lets pass */

/* --- the model: where each frame stands ------------------------------------------------------- */

static struct test_bus bus;
static uint64_t start_of[FRAMES_MAX], end_of[FRAMES_MAX];
static uint64_t n_known;
static struct tap_rng rng;
static unsigned bad;
static uint64_t n_laps, n_torn, n_lost, n_steps, schedule;

static uint64_t below(uint64_t limit)
{
	return tap_rng_below(&rng, limit);
}

static void wrong(const char *what, uint64_t want, uint64_t got)
{
	if (bad++ < 5)
		diag("schedule %llu: %s: %llu, %llu", (unsigned long long)schedule, what,
		     (unsigned long long)want, (unsigned long long)got);
}

static uint64_t head(void)
{
	return ncpi_load(&bus.bus.seg.h->head);
}

static uint64_t tail(void)
{
	return ncpi_load(&bus.bus.seg.h->tail);
}

/* Frames below head. */
static uint64_t n_published(void)
{
	uint64_t n = n_known;

	while (n && end_of[n - 1] > head())
		n--;
	return n;
}

static uint32_t len_of(uint64_t seq)
{
	uint8_t buf[FRAME_CAP];

	return frame_fill(seq, buf, sizeof(buf)).len;
}

/* Is {position, seq} a place: does frame seq follow it? */
static bool is_place(uint64_t position, uint64_t seq)
{
	return seq <= n_known && (seq == 0 || position >= end_of[seq - 1]) &&
	       (seq == n_known ? position <= head() : position <= start_of[seq]);
}

/* --- the writer ------------------------------------------------------------------------------- */

/* One claim of n frames, entered in the model before it is made. */
static void publish(uint64_t n)
{
	static uint8_t buf[60][FRAME_CAP];
	struct ncpi_frame f[60];
	uint64_t p = head();

	if (n_known + n > FRAMES_MAX)
		bail("the model is full");
	for (uint64_t i = 0; i < n; i++) {
		f[i] = frame_fill(n_known + i, buf[i], FRAME_CAP);
		f[i].interface = (uint32_t)bus.interface;
		start_of[n_known + i] = p;
		p += NCPI_EPB_LEN(f[i].caplen, f[i].dropcount != 0);
		end_of[n_known + i] = p;
	}
	n_known += n;
	if (ncpi_writer_publish(bus.w, 0, f, n) != n || head() != p)
		bail("the model does not fit the writer");
}

/* Something the producer may do at any time. */
static void writer_acts(void)
{
	switch (below(12)) {
	case 0: /* past everybody */
		for (uint64_t i = 0, n = 8 + below(12); i < n; i++)
			publish(60);
		n_laps++;
		break;
	case 1:
	case 2:
		ncpi_writer_mark(bus.w, NCPI_LOCAL_PAUSE, 1, 0, 0, 0);
		break;
	case 3:
	case 4:
		publish(60);
		break;
	default:
		publish(1 + below(12));
		break;
	}
}

/* --- a reader and what it must see ------------------------------------------------------------ */

enum fate { NONE, READ, FILTERED, LOST };

struct reader {
	struct ncp_client *c;
	bool filter;
	bool fresh;	/* nothing read in this window; it began at "oldest" or a time */
	uint64_t next;	/* the number expected */
	uint64_t first; /* of the window */
	uint64_t torn;	/* not 0: frames below were torn when they came, and must be taken back */
	uint8_t fate[FRAMES_MAX];
};
#define N_READERS 3
static struct reader readers[N_READERS];

/* Frames passed over without a word: the filter must have wanted none of them. */
static void passed_over(struct reader *r, uint64_t to)
{
	for (; r->next < to; r->next++) {
		if (!r->filter || len_of(r->next) >= LEN_WANTED)
			wrong("passed over frame", r->next, to);
		r->fate[r->next] = FILTERED;
	}
}

/* The first waypoint from tail on, at most: what stands before it is whole, but is not found. */
static uint64_t reach(void)
{
	return tail() + WAYPOINT_EVERY + BLOCK_MAX;
}

/*
 * Frames [first, end) were declared lost: were they, and is it no more than the rules say?
 *
 *   gone  they are only if they stand below this
 */
static void check_lost(uint64_t first, uint64_t end, uint64_t gone)
{
	if (first >= end || end > n_published()) {
		wrong("lost a range that cannot be", first, end);
		return;
	}
	/* The reader stood behind the frame before: a block of another kind may stand between. */
	if (first && end_of[first - 1] >= gone)
		wrong("lost a frame that is intact", start_of[first], gone);
	if (start_of[end - 1] >= reach() + ncpi_margin(&bus.bus.seg))
		wrong("lost more than needed", tail(), start_of[end - 1]);
	n_lost += end - first;
}

/* Where the window begins, if it was not known yet. */
static void begin(struct reader *r)
{
	struct ncp_stats st = NCP_STATS_INIT;

	if (!r->fresh)
		return;
	if (ncp_stats(r->c, &st) < 0)
		bail("stats");
	/* What was overrun before the window's first frame is missing, not lost.  The reader stood
	 * behind the frame before: a block of another kind may stand between. */
	if (st.now.first_seq > r->next && r->next && end_of[r->next - 1] >= tail())
		wrong("missed an intact frame", r->next, st.now.first_seq);
	r->next = st.now.first_seq;
}

static void see_frame(struct reader *r, const struct ncp_frame *f)
{
	begin(r);
	passed_over(r, f->seq);
	if (f->seq != r->next)
		wrong("a frame that is not the next", r->next, f->seq);
	/* One of a batch may be overrun before the last one is found; the next call tells. */
	if (f->position < tail())
		r->torn = f->seq + 1;
	else if (!frame_good(f))
		wrong("a torn frame", f->seq, tail());
	if (f->position != start_of[f->seq])
		wrong("a frame's position", start_of[f->seq], f->position);
	if (r->filter && f->len < LEN_WANTED)
		wrong("a frame that the filter does not want", f->seq, f->len);
	r->fate[f->seq] = READ;
	r->next = f->seq + 1;
	r->fresh = false;
}

static void see_lost(struct reader *r, const struct ncp_frame *f)
{
	if (f->seq < r->next) { /* frames handed out before, found torn */
		if (r->fate[f->seq] != READ)
			wrong("took back a frame that was not given", r->next, f->seq);
		n_torn++;
	}
	begin(r);
	r->fresh = false;
	passed_over(r, f->seq);
	check_lost(f->seq, f->next_seq, tail());
	for (uint64_t seq = f->seq; seq < f->next_seq; seq++)
		r->fate[seq] = LOST;
	if (f->next_seq > r->next)
		r->next = f->next_seq;
}

static void see(struct reader *r, const struct ncp_frame *f)
{
	if (r->torn && (f->kind != NCP_LOST || f->next_seq < r->torn))
		wrong("torn frames that were not taken back", r->torn, f->seq);
	r->torn = 0;
	if (f->kind == NCP_FRAME)
		see_frame(r, f);
	else if (f->kind == NCP_LOST)
		see_lost(r, f);
	else if (f->kind != NCP_STATE) /* nobody beats: a slow machine finds the producer dead */
		wrong("an event of another kind", NCP_LOST, f->kind);
}

/* Every frame of a span; each must be whole now. */
static void see_span(struct reader *r, const struct ncp_span *s)
{
	uint64_t seq = s->first_seq;

	begin(r);
	r->fresh = false;
	passed_over(r, s->first_seq);
	if (!is_place(s->position, s->first_seq) || !is_place(s->position + s->len, s->next_seq))
		wrong("a span between no places", s->position, s->first_seq);
	for (size_t off = 0; off < s->len;) {
		struct ncpi_epb b;

		memcpy(&b, s->data + off, sizeof(b));
		if (b.type == NCPI_EPB) {
			uint32_t flags;
			const struct ncp_frame f = {
				.kind = NCP_FRAME, .seq = seq, .caplen = b.caplen, .len = b.len,
				.data = s->data + off + sizeof(b),
				.position = s->position + off,
				.ts_ns = (uint64_t)b.ts_high << 32 | b.ts_low,
				.dropcount = seq % 11 ? 0 : seq + 1, /* not looked at here */
				.flags = (memcpy(&flags, s->data + off + sizeof(b) +
						 NCPI_PAD4(b.caplen) + 4, 4), flags),
			};
			bool filter = r->filter;

			r->filter = false; /* spans know of none */
			see_frame(r, &f);
			r->filter = filter;
			seq++;
		}
		if (b.total_len < 12 || b.total_len > s->len - off) {
			wrong("a block in a span", b.total_len, s->len - off);
			return;
		}
		off += b.total_len;
	}
	if (seq != s->next_seq)
		wrong("a span's number of frames", s->next_seq, seq);
}

/* The ledger against every frame's fate. */
static void check_ledger(struct reader *r)
{
	struct ncp_stats st = NCP_STATS_INIT;
	uint64_t n[4] = { 0 };

	begin(r);
	if (ncp_stats(r->c, &st) < 0)
		bail("stats");
	if (st.now.frames + st.now.filtered + st.now.lost != st.now.next_seq - st.now.first_seq)
		wrong("the ledger's sum", st.now.next_seq - st.now.first_seq,
		      st.now.frames + st.now.filtered + st.now.lost);
	passed_over(r, st.now.next_seq);
	for (uint64_t seq = st.now.first_seq; seq < st.now.next_seq; seq++)
		n[r->fate[seq]]++;
	if (n[READ] != st.now.frames || n[LOST] != st.now.lost)
		wrong("the ledger's frames, lost", n[READ], n[LOST]);
}

static void window(struct reader *r, bool fresh)
{
	struct ncp_cursor cursor = NCP_CURSOR_INIT;

	if (ncp_tell(r->c, &cursor) < 0)
		bail("tell");
	if (!is_place(cursor.position, cursor.seq))
		wrong("a place that is none", cursor.position, cursor.seq);
	r->next = r->first = cursor.seq;
	r->fresh = fresh;
	r->torn = 0;
	memset(r->fate, NONE, n_known);
}

static void seek(struct reader *r)
{
	static const uint32_t whence[] = { NCP_OLDEST, NCP_LATEST, NCP_SEQ, NCP_TIME };
	struct ncp_where where = { .size = sizeof(where), .whence = whence[below(4)] };
	uint64_t before = n_published(), tail_before = tail();
	/* Numbers near tail are the ones in danger. */
	uint64_t wish = below(2) ? below(before + 1) : before - below(before < 500 ? before + 1 : 500);
	struct ncp_frame f = NCP_FRAME_INIT;

	check_ledger(r);
	where.value = where.whence == NCP_TIME ? FRAME_TS(wish) : wish;
	int result = ncp_seek(r->c, &where);
	if (result != 0) {
		wrong("a seek's result", where.whence, (uint64_t)-result);
		return;
	}
	if (where.whence == NCP_SEQ) {
		if (r->c->n_events) { /* what is gone comes next */
			if (ncp_next(r->c, &f) != 1 || f.kind != NCP_LOST || f.seq != wish)
				wrong("the loss after a seek", wish, f.seq);
			window(r, false);
			if (r->next != f.next_seq)
				wrong("the place after that loss", f.next_seq, r->next);
			check_lost(wish, f.next_seq, reach());
			for (uint64_t seq = wish; seq < f.next_seq; seq++)
				r->fate[seq] = LOST;
			r->first = wish;
			return;
		}
		window(r, false);
		if (r->next != wish)
			wrong("sought a number", wish, r->next);
		return;
	}
	window(r, where.whence != NCP_LATEST);
	if (where.whence == NCP_LATEST && (r->next < before || r->next > n_published()))
		wrong("the newest", before, r->next);
	if (where.whence == NCP_OLDEST) {
		uint64_t p = r->c->at.position;

		if (p < tail_before || (tail() && p > reach()))
			wrong("the oldest", tail(), p);
	}
	if (where.whence == NCP_TIME && r->next != wish &&
	    (r->next < wish || start_of[wish] >= reach()))
		wrong("sought a time", wish, r->next);
}

static void reader_acts(struct reader *r)
{
	struct ncp_frame f[8] = { NCP_FRAME_INIT };
	struct ncp_span span = NCP_SPAN_INIT;
	uint8_t buf[FRAME_CAP];
	int got;

	switch (below(14)) {
	case 0:
		if (below(3) == 0)
			seek(r);
		return;
	case 1:
	case 2:
		got = ncp_span(r->c, below(2) ? 0 : 1 + below(8192), &span, f);
		if (got == 1 && f[0].kind == NCP_SPAN) {
			see_span(r, &span);
			return;
		}
		break;
	case 3:
	case 4:
	case 5:
		got = ncp_recv(r->c, buf, sizeof(buf), f);
		break;
	case 6:
	case 7:
	case 8:
		got = ncp_next_batch(r->c, f, 1 + (int)below(8));
		break;
	case 9:
		if (ncp_wait(r->c, 0) < 0)
			wrong("ncp_wait", 0, 0);
		return;
	default:
		got = ncp_next(r->c, f);
		break;
	}
	if (got < 0)
		wrong("a result", 0, (uint64_t)-got);
	for (int i = 0; i < got; i++) {
		uint64_t torn = r->torn;

		if (i)
			r->torn = 0;
		see(r, &f[i]);
		if (torn && i)
			r->torn = r->torn > torn ? r->torn : torn;
	}
}

/* --- the schedules ---------------------------------------------------------------------------- */

static unsigned depth, budget;

/* Every step of layout.h, and those between the words of one. */
static const char *const steps[] = {
	"publish:P1", "publish:P2", "publish:P3", "publish:P4", "publish:block", "publish:P5",
	"publish:P5.1", "publish:P5.2", "publish:P5.3", "publish:P6", "publish:P6.5", "publish:P7",
	"publish:P8", "publish:done",
	"read:C1", "read:C2", "read:C3", "read:C4", "read:held", "recv:C3", "recv:C4",
	"locate:S1", "locate:S2", "locate:S2.5", "locate:S3", "locate:S4",
	"locate:waypoint", "locate:range", "locate:walk", "span:C4", "wait:ready",
};
#define N_STEPS (sizeof(steps) / sizeof(*steps))
static uint64_t turns_at[N_STEPS];

static void turn_at(const char *step)
{
	n_steps++;
	for (size_t i = 0; i < N_STEPS; i++)
		turns_at[i] += !strcmp(steps[i], step);
}

static void at_reader_step(const char *step)
{
	if (depth || !budget || !strncmp(step, "publish:", 8) || below(4))
		return;
	depth++;
	budget--;
	turn_at(step);
	writer_acts();
	depth--;
}

static void at_writer_step(const char *step)
{
	if (depth || !budget || strncmp(step, "publish:", 8) || below(3))
		return;
	depth++;
	budget--;
	turn_at(step);
	reader_acts(&readers[below(N_READERS)]);
	depth--;
}

static void reader_join(struct reader *r)
{
	/* "ld len; jge LEN_WANTED; ret" */
	const struct ncp_bpf_insn filter[] = { { .code = 0x80 },
					       { .code = 0x35, .jf = 1, .k = LEN_WANTED },
					       { .code = 0x06, .k = 1 },
					       { .code = 0x06, .k = 0 } };
	bool oldest = below(2);

	r->c = bus_attach(&bus, oldest ? NCP_OLDEST : NCP_LATEST, 0, NCP_NO_REGISTRY);
	r->filter = below(3) == 0;
	if (r->filter && ncp_set_bpf(r->c, filter, 4) < 0)
		bail("filter");
	window(r, oldest);
}

static void run(void (*at_step)(const char *), bool writer_outside)
{
	for (uint64_t i = 0; i < SCHEDULES; i++, schedule++) {
		if (i % RENEW == 0) {
			bus_start(&bus, false);
			n_known = 0;
		}
		for (int k = 0; k < N_READERS; k++)
			reader_join(&readers[k]);
		for (int op = 0; op < 30; op++) {
			/* A cause of at most so many turns, so that every retry ends. */
			budget = (unsigned)below(9);
			ncpi_testpoint_fn = at_step;
			if (writer_outside)
				writer_acts();
			else
				reader_acts(&readers[below(N_READERS)]);
			ncpi_testpoint_fn = NULL;
		}
		/* Alone: everything up to head is read. */
		for (int k = 0; k < N_READERS; k++) {
			struct ncp_frame f = NCP_FRAME_INIT;

			while (ncp_next(readers[k].c, &f) == 1)
				see(&readers[k], &f);
			check_ledger(&readers[k]);
			if (readers[k].next != n_known && !readers[k].fresh)
				wrong("the last frame", n_known, readers[k].next);
			ncp_detach(readers[k].c);
		}
		if (i % RENEW == RENEW - 1) {
			bus_stop(&bus, NCP_ENDED);
			if (ncpi_bus_remove(bus.dirfd, bus.name) < 0)
				bail("remove");
		}
	}
}

static void report(const char *what)
{
	is_u64(0, bad, "%s: no torn frame, no wrong number, every loss exact and needed", what);
	ok(n_steps > SCHEDULES && n_laps > SCHEDULES / 10 && n_lost > 0 && n_torn > 0,
	   "%s: %llu turns, %llu laps, %llu frames lost, %llu times after they were given", what,
	   (unsigned long long)n_steps, (unsigned long long)n_laps, (unsigned long long)n_lost,
	   (unsigned long long)n_torn);
	bad = 0;
	n_steps = n_laps = n_lost = n_torn = 0;
}

int main(void)
{
	plan(5);
	rng.seed = tap_seed();
	bus_make(&bus);
	run(at_reader_step, false);
	report("the writer at a reader's steps");
	run(at_writer_step, true);
	report("readers at the writer's steps");
	unsigned never = 0;
	for (size_t i = 0; i < N_STEPS; i++) {
		if (!turns_at[i])
			diag("never a turn at %s", steps[i]);
		never += !turns_at[i];
	}
	is_u64(0, never, "the other side had turns at each of %d steps", (int)N_STEPS);
	return tap_done();
}
