/* SPDX-License-Identifier: BSD-2-Clause */
/* test_worker.c - the capture loop on a scripted source: what it publishes, counts, and how it ends. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "bus.h"
#include "libncpbus/layout.h"
#include "libncpbus/order.h"
#include "libncpbus/stamp.h"
#include "producer/worker.h"
#include "tap/tap.h"

#define BATCH 8u

/* One take of the script: n frames, or what else a take can give. */
struct step {
	int taken;    /* enum source_taken or -errno */
	uint32_t n;   /* with SOURCE_FRAMES: that many, */
	uint32_t from; /* of the source's interface from, from + 1, from, ... while below n_interfaces */
};

/* A source that plays a script, then waits like an idle interface. */
struct played {
	struct source source;
	const struct step *steps;
	size_t n_steps, at;
	uint32_t n_interfaces, snaplen;
	uint64_t next;	   /* frame */
	uint32_t in_kernel; /* frames still to be taken after stop */
	bool stopped, lent;
	uint32_t stuck; /* it hears no signal until this is 0 again (relaxed) */
	uint32_t takes, misuse; /* takes with a batch not given back, after the end, ... */
	struct source_counts counts;
	uint8_t bytes[BATCH][FRAME_CAP];
	struct ncpi_frame frames[BATCH];
};

static int played_interface(struct source *src, uint32_t i, struct ncpi_interface_desc *d)
{
	static const char *const names[] = { "if0", "if1", "if2" };
	const struct played *p = (struct played *)src;

	if (i >= p->n_interfaces)
		return 0;
	*d = (struct ncpi_interface_desc){ .name = names[i], .linktype = 1, .snaplen = p->snaplen };
	return 1;
}

static int frames(struct played *p, struct source_batch *b, uint32_t n, uint32_t from)
{
	for (uint32_t i = 0; i < n; i++) {
		p->frames[i] = frame_fill(p->next++, p->bytes[i], FRAME_CAP);
		p->frames[i].interface = from + (from + 1 < p->n_interfaces ? i % 2 : 0);
	}
	ncpi_store(&p->counts.received, p->counts.received + n);
	*b = (struct source_batch){ .frames = p->frames, .n = n };
	p->lent = true;
	return SOURCE_FRAMES;
}

static int played_take(struct source *src, struct source_batch *b, int timeout_ms)
{
	struct played *p = (struct played *)src;

	p->takes++;
	p->misuse += p->lent;
	while (ncpi_load(&p->stuck))
		poll(NULL, 0, 1);
	if (p->stopped && p->in_kernel) {
		uint32_t n = p->in_kernel < BATCH ? p->in_kernel : BATCH;

		p->in_kernel -= n;
		return frames(p, b, n, 0);
	}
	if (p->at == p->n_steps) {
		poll(NULL, 0, timeout_ms);
		return SOURCE_NOTHING;
	}
	const struct step *s = &p->steps[p->at];
	ncpi_store(&p->at, p->at + 1);
	if (s->taken == SOURCE_PAUSED)
		p->source.reason = NCP_REASON_INTERFACE_DOWN;
	if (s->taken < 0)
		snprintf(p->source.why, sizeof(p->source.why), "file x: broken: mend it");
	if (s->from >= p->n_interfaces && s->taken == SOURCE_FRAMES)
		p->n_interfaces = s->from + 1; /* it appears with its first frame */
	return s->taken == SOURCE_FRAMES ? frames(p, b, s->n, s->from) : s->taken;
}

static void played_give(struct source *src, struct source_batch *b)
{
	struct played *p = (struct played *)src;

	p->misuse += !p->lent || b->frames != p->frames;
	p->lent = false;
}

static void played_stop(struct source *src)
{
	struct played *p = (struct played *)src;

	p->misuse += p->stopped;
	p->stopped = true;
}

static void played_counts(struct source *src, struct source_counts *c)
{
	*c = ((struct played *)src)->counts;
}

static const struct source_ops played_ops = {
	.kind = "played",
	.interface = played_interface,
	.take = played_take,
	.give = played_give,
	.stop = played_stop,
	.counts = played_counts,
};

/* --- a capture from start to end ------------------------------------------------------------ */

struct run {
	struct test_bus bus;
	struct played p;
	struct capture c;
	struct worker *w;
	struct ncp_client *client; /* attached before the first frame */
};

static void run_begin(struct run *r, const struct step *steps, size_t n_steps, uint64_t count)
{
	*r = (struct run){ .p = { .source.ops = &played_ops, .steps = steps, .n_steps = n_steps,
				  .n_interfaces = 1, .snaplen = FRAME_CAP } };
	bus_make(&r->bus);
	bus_start(&r->bus, true);
	r->client = bus_attach(&r->bus, NCP_OLDEST, 0, 0);
	if (capture_init(&r->c, r->bus.w, FRAME_CAP, 1, count) < 0)
		bail("capture_init");
	r->w = worker_add(&r->c, &r->p.source, 0, -1);
	ncpi_writer_state(r->bus.w, NCP_LIVE, NCP_REASON_NONE);
}

static void run_go(struct run *r)
{
	if (worker_learn(r->w) < 0 || worker_start(r->w) < 0)
		bail("worker_start: %s", r->w->why);
}

static void run_end(struct run *r)
{
	capture_join(&r->c);
	capture_fini(&r->c);
	ncp_detach(r->client);
	bus_stop(&r->bus, NCP_ENDED);
}

static bool ended(void *arg)
{
	capture_nudge(&((struct run *)arg)->c);
	return capture_ended(&((struct run *)arg)->c);
}

/* All of the script was taken. */
static bool played_out(void *arg)
{
	const struct played *p = &((struct run *)arg)->p;

	return ncpi_load(&p->at) == p->n_steps;
}

/* Every frame the bus has is whole and in order; how many. */
static uint64_t frames_good(struct run *r)
{
	struct ncp_frame f = NCP_FRAME_INIT;
	uint64_t n = 0;

	while (ncp_next(r->client, &f) == 1)
		if (f.kind == NCP_FRAME) {
			if (f.seq != n || !frame_good(&f))
				return UINT64_MAX;
			n++;
		}
	return n;
}

/* The ledger of an epoch that ended cleanly. */
static bool ledger_closes(struct run *r)
{
	struct ncpi_totals t;

	ncpi_writer_totals(r->bus.w, &t);
	return t.sum.received == t.sum.published + t.sum.discarded + t.sum.kernel_drops;
}

static struct ncpi_worker_line sum(struct run *r)
{
	struct ncpi_totals t;

	ncpi_writer_totals(r->bus.w, &t);
	return t.sum;
}

#define F(n) { SOURCE_FRAMES, n, 0 }
#define SCRIPT(...) (const struct step[]){ __VA_ARGS__ }, \
		    sizeof((const struct step[]){ __VA_ARGS__ }) / sizeof(struct step)

static void test_exhausted(void)
{
	struct run r;

	run_begin(&r, SCRIPT(F(8), { SOURCE_NOTHING, 0, 0 }, F(3), F(1), { SOURCE_END, 0, 0 }), 0);
	run_go(&r);
	ok(wait_until(ended, &r, 5000), "ends with its source");
	is_u64(WORKER_EXHAUSTED, r.w->end, "because it is exhausted");
	is_u64(12, frames_good(&r), "every frame is there, in order");
	ok(ledger_closes(&r) && sum(&r).received == 12, "received = published");
	is_u64(0, r.p.misuse, "each batch was given back before the next");
	run_end(&r);
}

static void test_count(void)
{
	struct run r;

	run_begin(&r, SCRIPT(F(8), F(8)), 10);
	r.p.in_kernel = 20;
	run_go(&r);
	ok(wait_until(ended, &r, 5000), "ends with the tenth frame");
	is_u64(WORKER_COUNTED, r.w->end, "because of -c");
	is_u64(10, frames_good(&r), "ten frames, no more");
	is_u64(6 + 20, sum(&r).discarded, "the rest of its batch and the kernel's are discarded");
	ok(ledger_closes(&r), "received = published + discarded");
	run_end(&r);
}

static void test_stop(void)
{
	struct run r;

	run_begin(&r, SCRIPT(F(8), F(8)), 0);
	r.p.in_kernel = 20;
	run_go(&r);
	ok(wait_until(played_out, &r, 5000), "the script is played");
	capture_order(&r.c, CAPTURE_STOP);
	ok(wait_until(ended, &r, 5000), "ends when it is told to");
	is_u64(WORKER_STOPPED, r.w->end, "because it was");
	is_u64(16 + 20, frames_good(&r), "what the kernel still held is published");
	ok(ledger_closes(&r) && sum(&r).discarded == 0, "received = published");
	is_u64(0, r.p.misuse, "the source was stopped once");
	run_end(&r);
}

static void test_error(void)
{
	struct run r;

	run_begin(&r, SCRIPT(F(8), F(5), { -EIO, 0, 0 }), 0);
	run_go(&r);
	ok(wait_until(ended, &r, 5000), "ends when its source breaks");
	is_u64(WORKER_FAILED, r.w->end, "as a failure");
	is_str("file x: broken: mend it", r.w->why, "with the source's words");
	is_u64(13, frames_good(&r), "what came before is whole");
	ok(ledger_closes(&r), "received = published");
	run_end(&r);
}

static void test_interfaces(void)
{
	struct ncp_interface i = NCP_INTERFACE_INIT;
	struct ncp_frame f = NCP_FRAME_INIT;
	unsigned per[4] = { 0 };
	struct run r;

	/* The bus knows an interface of the support's already: the source's have other numbers. */
	run_begin(&r, SCRIPT(F(4), { SOURCE_FRAMES, 4, 1 }, { SOURCE_FRAMES, 6, 0 },
			     { SOURCE_END, 0, 0 }), 0);
	run_go(&r);
	ok(wait_until(ended, &r, 5000), "a second interface appears");
	while (ncp_next(r.client, &f) == 1)
		if (f.kind == NCP_FRAME && f.interface < 4)
			per[f.interface]++;
	is_u64(0, per[0], "no frame bears the other's number");
	is_u64(4 + 3, per[1], "the first one's frames");
	is_u64(4 + 3, per[2], "the second one's");
	ok(ncp_interface(r.client, 1, &i) == 0 && !strcmp(i.name, "if0"), "if0 is described");
	ok(ncp_interface(r.client, 2, &i) == 0 && !strcmp(i.name, "if1"), "and if1");
	run_end(&r);

	run_begin(&r, SCRIPT(F(4)), 0);
	r.p.snaplen = FRAME_CAP + 1;
	is_i64(-E2BIG, worker_learn(r.w), "refuses an interface of longer frames");
	run_end(&r);
}

static void test_pause(void)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	struct run r;

	run_begin(&r, SCRIPT(F(8), { SOURCE_PAUSED, 0, 0 }, { SOURCE_PAUSED, 0, 0 }), 0);
	run_go(&r);
	ok(wait_until(played_out, &r, 5000), "the interface goes down");
	/* What follows the script is an idle interface: up again. */
	uint32_t live = 0;
	for (int i = 0; i < 5000 && live != NCP_LIVE; i++) {
		poll(NULL, 0, 1);
		if (ncp_bus_info(r.client, &info) == 0 && info.state == NCP_PAUSED)
			live = NCP_PAUSED;
		else if (live == NCP_PAUSED && info.state == NCP_LIVE)
			live = NCP_LIVE;
	}
	is_u64(NCP_LIVE, live, "the bus was paused, then live");
	capture_order(&r.c, CAPTURE_STOP);
	ok(wait_until(ended, &r, 5000), "and ends");

	/* The marks in the ring, walked as a file is. */
	const struct ncpi_segment *seg = &r.bus.bus.seg;
	uint64_t head = ncpi_load(&seg->h->head);
	struct ncpi_local local, pause = { 0 }, resume = { 0 };
	unsigned n_frames = 0, frames_before = 0;
	for (uint64_t at = 0; at < head;) {
		uint32_t block[2];

		memcpy(block, ncpi_segment_at(seg, at), sizeof(block));
		if (block[0] == NCPI_EPB)
			n_frames++;
		if (block[0] == NCPI_LOCAL) {
			memcpy(&local, ncpi_segment_at(seg, at) + 8, sizeof(local));
			if (local.kind == NCPI_LOCAL_PAUSE) {
				pause = local;
				frames_before = n_frames;
			} else if (local.kind == NCPI_LOCAL_RESUME) {
				resume = local;
			}
		}
		at += block[1];
	}
	is_u64(8, frames_before, "the mark of the pause stands behind the last frame");
	is_u64(NCP_REASON_INTERFACE_DOWN, pause.reason, "with its reason");
	ok(pause.from_ns && pause.to_ns == 0, "open");
	ok(resume.from_ns == pause.from_ns && resume.to_ns >= resume.from_ns, "and is closed");
	run_end(&r);
}

static bool moves(void *arg)
{
	return capture_moves(&((struct run *)arg)->c, 200 * NCPI_MS);
}

static bool stands(void *arg)
{
	return !moves(arg);
}

static void test_moves(void)
{
	struct run r;

	run_begin(&r, NULL, 0, 0);
	ok(moves(&r), "before it runs nothing is amiss");
	run_go(&r);
	for (int i = 0; i < 30; i++) {
		if (!moves(&r))
			break;
		poll(NULL, 0, 10);
	}
	ok(wait_until(moves, &r, 5000), "a worker without frames goes round");
	ncpi_store(&r.p.stuck, 1);
	ok(wait_until(stands, &r, 5000), "one that does not is seen");
	ncpi_store(&r.p.stuck, 0);
	ok(wait_until(moves, &r, 5000), "until it does again");
	capture_order(&r.c, CAPTURE_STOP);
	ok(wait_until(ended, &r, 5000), "it ends");
	ok(moves(&r), "and is looked at no more");
	run_end(&r);
}

static void test_abort(void)
{
	static struct step endless[100000];
	struct run r;

	for (size_t i = 0; i < sizeof(endless) / sizeof(endless[0]); i++)
		endless[i] = (struct step)F(8);
	run_begin(&r, endless, sizeof(endless) / sizeof(endless[0]), 0);
	r.p.in_kernel = UINT32_MAX;
	run_go(&r);
	capture_order(&r.c, CAPTURE_STOP);
	capture_order(&r.c, CAPTURE_ABORT);
	ok(wait_until(ended, &r, 5000), "ends at once when it is told to give up");
	ok(ledger_closes(&r), "received = published + discarded all the same");
	run_end(&r);
}

int main(void)
{
	plan(5 + 5 + 6 + 5 + 7 + 7 + 6 + 2 + 1);
	int before = tap_open_fds();

	test_exhausted();
	test_count();
	test_stop();
	test_error();
	test_interfaces();
	test_pause();
	test_moves();
	test_abort();
	/* Each run's bus keeps the descriptor of its directory. */
	is_i64(before + 9, tap_open_fds(), "nothing else is left open");
	return tap_done();
}
