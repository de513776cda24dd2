/* SPDX-License-Identifier: BSD-2-Clause */
/* test_workers.c - several threads publish at once: one sequence, every frame once, in order. */
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include "libncpbus/layout.h"
#include "libncpbus/order.h"
#include "support/bus.h"
#include "tap/tap.h"

#define WORKERS 4
#define BATCH 9
#define FRAMES 12000u /* of each worker */

/* A frame says who published it and as his how-manieth; the rest follows from that. */
struct told {
	uint64_t worker, number;
};

static uint32_t len_of(const struct told *who)
{
	return (uint32_t)sizeof(*who) + (uint32_t)((who->number * 37 + who->worker) % 170);
}

static void fill(uint8_t *buf, const struct told *who)
{
	uint32_t len = len_of(who);

	memcpy(buf, who, sizeof(*who));
	for (uint32_t i = sizeof(*who); i < len; i++)
		buf[i] = (uint8_t)(who->number * 251 + who->worker * 83 + i);
}

struct worker {
	struct test_bus *t;
	uint32_t index;
	uint64_t published;
	pthread_t thread;
};

static void *worker_main(void *arg)
{
	static _Thread_local uint8_t buf[BATCH][FRAME_CAP];
	struct worker *w = arg;
	struct ncpi_frame f[BATCH];

	while (w->published < FRAMES) {
		size_t n = 1 + w->published % BATCH;

		if (n > FRAMES - w->published)
			n = FRAMES - w->published;
		for (size_t i = 0; i < n; i++) {
			const struct told who = { w->index, w->published + i };

			fill(buf[i], &who);
			f[i] = (struct ncpi_frame){ .data = buf[i], .caplen = len_of(&who),
						    .len = len_of(&who), .ts_ns = who.number,
						    .interface = (uint32_t)w->t->interface };
		}
		size_t done = ncpi_writer_publish(w->t->w, w->index, f, n);
		w->published += done;
		if (done < n)
			break; /* cancelled */
	}
	return NULL;
}

/* Now and then a worker is held up in the middle of something. */
static void dawdle(const char *step)
{
	static _Thread_local uint32_t x;

	(void)step;
	x = x * 1664525 + 1013904223 + (uint32_t)(uintptr_t)&x;
	if (x >> 24 == 0)
		nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
	else if (x >> 27 == 0)
		sched_yield();
}

struct reader {
	struct ncp_client *c;
	uint64_t next, frames, lost, end;
	uint64_t of[WORKERS]; /* the next number of each */
	unsigned bad, holes;
	pthread_t thread;
};

static void see(struct reader *r, const struct ncp_frame *f)
{
	uint8_t want[FRAME_CAP];
	struct told who;

	if (f->kind == NCP_LOST) {
		r->bad += f->seq != r->next;
		r->lost += f->next_seq - f->seq;
		r->next = f->next_seq;
		return;
	}
	if (f->kind != NCP_FRAME || f->seq != r->next || f->caplen < sizeof(who)) {
		r->bad++;
		return;
	}
	r->next = f->seq + 1;
	r->frames++;
	memcpy(&who, f->data, sizeof(who));
	if (who.worker >= WORKERS || len_of(&who) != f->caplen) {
		r->bad++;
		return;
	}
	fill(want, &who);
	r->bad += memcmp(want, f->data, f->caplen) != 0 || who.number < r->of[who.worker];
	r->holes += who.number != r->of[who.worker];
	r->of[who.worker] = who.number + 1;
}

static void *reader_main(void *arg)
{
	struct ncp_frame f = NCP_FRAME_INIT;
	uint8_t buf[FRAME_CAP];
	struct reader *r = arg;

	while (r->next < r->end) {
		int got = ncp_recv(r->c, buf, sizeof(buf), &f);

		if (got == 1)
			see(r, &f);
		if (got < 0 || (got == 0 && ncp_wait(r->c, 1000) < 0)) {
			r->bad++;
			break;
		}
	}
	return NULL;
}

static void run(struct worker *w, struct test_bus *t, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		w[i] = (struct worker){ .t = t, .index = i };
		if (pthread_create(&w[i].thread, NULL, worker_main, &w[i]))
			bail("pthread_create");
	}
}

static void make(struct test_bus *t, uint32_t n, bool reliable)
{
	bus_make(t);
	t->o.n_workers = n;
	t->o.reliable_timeout_ms = 60000;
	t->geo.reliable = reliable;
	bus_start(t, true);
}

static void test_workers(uint32_t n, bool reliable)
{
	const char *what = reliable ? "reliable" : "lossy";
	struct reader r[2];
	struct worker w[WORKERS];
	struct test_bus t;

	ncpi_testpoint_fn = dawdle;
	make(&t, n, reliable);
	for (int i = 0; i < 2; i++) {
		r[i] = (struct reader){ .c = bus_attach(&t, NCP_OLDEST, 0,
							reliable ? NCP_RELIABLE : NCP_NO_REGISTRY),
					.end = (uint64_t)n * FRAMES };
		/* The window opens now, so that the sum is exact. */
		if (ncp_seek(r[i].c, &(struct ncp_where){ .size = sizeof(struct ncp_where),
							  .whence = NCP_SEQ }) < 0 ||
		    pthread_create(&r[i].thread, NULL, reader_main, &r[i]))
			bail("reader");
	}
	run(w, &t, n);
	for (uint32_t i = 0; i < n; i++)
		pthread_join(w[i].thread, NULL);
	uint64_t bad = 0, holes = 0, sum = 0;
	for (int i = 0; i < 2; i++) {
		pthread_join(r[i].thread, NULL);
		bad += r[i].bad;
		holes += r[i].holes;
		sum += r[i].frames + r[i].lost;
		ncp_detach(r[i].c);
	}
	ncpi_testpoint_fn = NULL;
	struct ncpi_totals totals;
	ncpi_writer_totals(t.w, &totals);
	is_u64(0, bad, "%u workers, %s: one sequence, whole frames, each worker's in his order", n,
	       what);
	is_u64((uint64_t)2 * n * FRAMES, sum, "%u workers, %s: nothing twice, nothing missing", n,
	       what);
	if (reliable)
		is_u64(0, holes, "%u workers, %s: every frame once", n, what);
	is_u64((uint64_t)n * FRAMES, totals.sum.published, "%u workers, %s: the counters say so", n,
	       what);
	const struct ncpi_header *h = t.bus.seg.h;
	ok(h->head == t.bus.seg.h->tail + t.geo.ring_size && h->waypoints > 0,
	   "%u workers, %s: the ring is full, tail and head agree", n, what);
	bus_stop(&t, NCP_ENDED);
}

/* Workers that wait for a client that does not read give up, and leave nothing half done. */
static void test_cancel(void)
{
	struct worker w[WORKERS];
	struct test_bus t;
	uint64_t sum = 0;

	make(&t, WORKERS, true);
	struct ncp_client *c = bus_attach(&t, NCP_LATEST, 0, NCP_RELIABLE | NCP_HOLD);
	run(w, &t, WORKERS);
	const struct ncpi_header *h = t.bus.seg.h;
	for (uint64_t before = 1, now = 0; before != now || now < t.geo.ring_size / 2;) {
		before = now;
		nanosleep(&(struct timespec){ .tv_nsec = 20000000 }, NULL);
		now = ncpi_load(&h->head);
	}
	ncpi_writer_cancel(t.w);
	for (uint32_t i = 0; i < WORKERS; i++) {
		pthread_join(w[i].thread, NULL);
		sum += w[i].published;
	}
	struct ncpi_totals totals;
	ncpi_writer_totals(t.w, &totals);
	is_u64(sum, totals.next_seq, "cancelled: what the workers were told is what is published");
	is_u64(sum, totals.sum.published, "and what the counters say");
	struct reader r = { .c = c, .end = sum };
	reader_main(&r);
	ok(r.bad == 0 && r.holes == 0 && r.frames == sum && r.lost == 0,
	   "and what the client reads");
	ncp_detach(c);
	bus_stop(&t, NCP_ENDED);
}

int main(void)
{
	plan(3 * 4 + 3 * 5 + 3);
	for (uint32_t n = 2; n <= WORKERS; n++) {
		test_workers(n, false);
		test_workers(n, true);
	}
	test_cancel();
	return tap_done();
}
