/* SPDX-License-Identifier: BSD-2-Clause */
/* test_reliable.c - a producer that waits: lossless for who is granted, and bounded for who stalls. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libncpbus/layout.h"
#include "libncpbus/order.h"
#include "support/bus.h"
#include "tap/tap.h"

#define ROWS 8u
/* Frames of some twenty laps of the 64 KiB ring. */
#define MANY 9000
#define LONG_MS 60000u

static void make(struct test_bus *t, uint32_t timeout_ms)
{
	bus_make(t);
	t->geo.reliable = true;
	t->geo.n_reliable = ROWS;
	t->o.reliable_timeout_ms = timeout_ms;
}

static void start(struct test_bus *t, uint32_t timeout_ms)
{
	make(t, timeout_ms);
	bus_start(t, true);
}

/* --- a client in a thread or a process of its own ---------------------------------------------- */

enum how { PLACE, COPY, BATCH, SPANS, HOLD, N_HOW };

struct client {
	struct test_bus *t;
	struct ncp_client *c;
	enum how how;
	uint64_t next, end;  /* numbers: expected next, and the one to stop before */
	bool to_idle;	     /* then go on until there is nothing more */
	uint32_t nap_us;     /* now and then */
	unsigned bad, evicted;
	uint64_t lost;
	pthread_t thread;
};

static void nap(uint32_t us)
{
	if (us)
		nanosleep(&(struct timespec){ .tv_nsec = us * 1000 }, NULL);
}

static void see(struct client *k, const struct ncp_frame *f)
{
	if (f->kind == NCP_FRAME) {
		k->bad += f->seq != k->next || !frame_good(f);
		k->next = f->seq + 1;
	} else if (f->kind == NCP_LOST) {
		/* With the frame before, if that was overwritten while it was ours. */
		k->bad += f->seq != k->next && f->seq + 1 != k->next;
		k->bad += !k->evicted; /* said first */
		k->lost += f->next_seq - f->seq;
		k->next = f->next_seq;
	} else if (f->kind == NCP_EVICTED) {
		k->evicted++;
	} else {
		k->bad += f->kind != NCP_STATE;
	}
}

/* The frames of a span, each looked at while it is ours. */
static void see_span(struct client *k, const struct ncp_span *s)
{
	uint64_t seq = s->first_seq;

	for (size_t off = 0; off < s->len;) {
		const uint32_t *b = (const uint32_t *)(const void *)(s->data + off);

		if (b[0] == NCPI_EPB) {
			struct ncp_frame f = { .kind = NCP_FRAME, .seq = seq++,
					       .data = s->data + off + 28, .caplen = b[5],
					       .len = b[6],
					       .ts_ns = (uint64_t)b[3] << 32 | b[4] };

			f.flags = 1 + (uint32_t)(f.seq % 2);
			f.dropcount = f.seq % 11 ? 0 : f.seq + 1;
			see(k, &f);
		}
		off += b[1];
	}
	k->bad += seq != s->next_seq || !ncp_intact(k->c, s->position);
}

static int read_some(struct client *k)
{
	struct ncp_frame f[8] = { NCP_FRAME_INIT };
	struct ncp_span span = NCP_SPAN_INIT;
	uint8_t buf[FRAME_CAP];
	int r;

	if (k->how == SPANS || k->how == HOLD) {
		r = ncp_span(k->c, 5000, &span, f);
		if (r == 1 && f[0].kind == NCP_SPAN) {
			nap(k->nap_us); /* it must stay whole as long as we have it */
			see_span(k, &span);
			if (k->how == HOLD)
				ncp_release(k->c, span.position + span.len, span.next_seq);
			return 1;
		}
	} else {
		r = k->how == PLACE ? ncp_next(k->c, f) :
		    k->how == COPY  ? ncp_recv(k->c, buf, sizeof(buf), f) :
				      ncp_next_batch(k->c, f, 8);
		if (k->next % 64 == 0)
			nap(k->nap_us);
	}
	for (int i = 0; i < r; i++)
		see(k, &f[i]);
	return r;
}

static void *client_main(void *arg)
{
	struct client *k = arg;

	int r = 1;

	while (k->next < k->end || (k->to_idle && r > 0)) {
		r = read_some(k);
		if (r < 0 || (r == 0 && k->next < k->end && ncp_wait(k->c, 1000) < 0)) {
			k->bad++;
			break;
		}
	}
	return NULL;
}

static void join_bus(struct client *k, struct test_bus *t, enum how how, uint32_t whence)
{
	struct ncp_cursor cursor = NCP_CURSOR_INIT;

	*k = (struct client){ .t = t, .how = how };
	k->c = bus_attach(t, whence, 0, NCP_RELIABLE | (how == HOLD ? NCP_HOLD : 0));
	if (ncp_tell(k->c, &cursor) < 0)
		bail("tell");
	k->next = cursor.seq;
}

static void run(struct client *k)
{
	if (pthread_create(&k->thread, NULL, client_main, k))
		bail("pthread_create");
}

/* --- lossless --------------------------------------------------------------------------------- */

static void test_each_way(enum how how)
{
	static const char *const name[] = { "ncp_next", "ncp_recv", "ncp_next_batch", "ncp_span",
					    "NCP_HOLD and ncp_release" };
	struct client k;
	struct test_bus t;

	start(&t, LONG_MS);
	join_bus(&k, &t, how, NCP_LATEST);
	k.end = MANY;
	k.to_idle = true;
	k.nap_us = 200;
	run(&k);
	bus_publish(&t, MANY);
	/* The last one is done with when the client comes back for more. */
	is_i64(0, ncpi_writer_drain(t.w), "%s: the producer waits until all is read", name[how]);
	pthread_join(k.thread, NULL);
	is_u64(MANY, k.next, "%s: a slow client gets every frame of many laps", name[how]);
	is_u64(0, k.bad + k.lost + k.evicted, "%s: whole, in order", name[how]);
	ncp_detach(k.c);
	bus_stop(&t, NCP_ENDED);
}

static void test_many(void)
{
	struct client k[4];
	struct test_bus t;
	uint64_t bad = 0;

	start(&t, LONG_MS);
	for (unsigned i = 0; i < 4; i++) {
		join_bus(&k[i], &t, (enum how)i, NCP_OLDEST);
		k[i].end = MANY;
		k[i].nap_us = 50 * i;
		run(&k[i]);
	}
	bus_publish(&t, MANY);
	for (unsigned i = 0; i < 4; i++) {
		pthread_join(k[i].thread, NULL);
		bad += k[i].bad + k[i].lost + k[i].evicted + (k[i].next != MANY);
		ncp_detach(k[i].c);
	}
	is_u64(0, bad, "four clients of different speed get every frame");
	bus_stop(&t, NCP_ENDED);
}

/* A client that attaches from the test bus's process, in a child: 0 if it read all. */
static void test_process(void)
{
	struct test_bus t;
	int ready[2], status = -1;
	char byte;

	start(&t, LONG_MS);
	if (pipe(ready) < 0)
		bail("pipe");
	pid_t pid = fork();
	if (pid == 0) {
		struct client k;

		join_bus(&k, &t, PLACE, NCP_LATEST);
		k.end = MANY;
		k.nap_us = 200;
		if (write(ready[1], "", 1) != 1)
			_exit(2);
		client_main(&k);
		_exit(k.bad || k.lost || k.evicted || k.next != MANY);
	}
	if (read(ready[0], &byte, 1) != 1)
		bail("the client's process");
	bus_publish(&t, MANY);
	is_i64(pid, waitpid(pid, &status, 0), "a client in another process");
	is_i64(0, status, "gets every frame");
	close(ready[0]);
	close(ready[1]);
	bus_stop(&t, NCP_ENDED);
}

/* --- who is not waited for -------------------------------------------------------------------- */

static void test_evicted(void)
{
	struct ncp_stats st = NCP_STATS_INIT;
	struct client k;
	struct test_bus t;

	start(&t, 30);
	join_bus(&k, &t, PLACE, NCP_LATEST);
	bus_publish(&t, 5);
	for (int i = 0; i < 5; i++)
		is_i64(1, read_some(&k), "frame %d", i);
	bus_publish(&t, 2000); /* comes back: it does not wait for ever */
	while (read_some(&k) == 1)
		;
	is_u64(1, k.evicted, "a client that stalls is evicted, and reads so");
	ok(k.lost > 0 && k.bad == 0 && k.next == 2005,
	   "it is told exactly which %d frames that cost", (int)k.lost);
	is_i64(0, ncp_stats(k.c, &st), "stats");
	is_u64(2005, st.now.frames + st.now.lost, "the ledger has all");
	bus_publish(&t, 2000);
	while (read_some(&k) == 1)
		;
	ok(k.bad == 0 && k.next == 4005 && k.evicted == 1, "and goes on as a lossy one");
	ncp_detach(k.c);
	bus_stop(&t, NCP_ENDED);
}

static void test_dead(void)
{
	struct test_bus t;
	int ready[2];
	char byte;

	start(&t, LONG_MS);
	if (pipe(ready) < 0)
		bail("pipe");
	pid_t pid = fork();
	if (pid == 0) {
		struct client k;

		join_bus(&k, &t, PLACE, NCP_LATEST);
		if (write(ready[1], "", 1) != 1)
			_exit(2);
		for (;;)
			pause();
	}
	if (read(ready[0], &byte, 1) != 1)
		bail("the client's process");
	bus_publish(&t, 100);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	bus_publish(&t, 2000);
	ok(true, "a client that was killed is not waited for");
	struct ncpi_audience a;
	ncpi_writer_audience(t.w, &a);
	is_u64(0, a.granted, "its row is free");
	close(ready[0]);
	close(ready[1]);
	bus_stop(&t, NCP_ENDED);
}

static void test_detached(void)
{
	struct client k;
	struct test_bus t;

	start(&t, LONG_MS);
	for (unsigned i = 0; i < 3 * ROWS; i++) {
		join_bus(&k, &t, PLACE, NCP_LATEST);
		bus_publish(&t, 50);
		ncp_detach(k.c);
	}
	bus_publish(&t, 2000);
	ok(true, "clients that left are not waited for, and their rows serve others");
	bus_stop(&t, NCP_ENDED);
}

/* In the background: it takes as long as a grant is waited for. */
static void *too_many_main(void *arg)
{
	struct test_bus *t = arg;
	struct ncp_options o = NCP_OPTIONS_INIT;
	struct ncp_client *c[ROWS / 2 + 1];
	static char error[128];
	intptr_t r = 0;

	o.dir = t->dir;
	o.flags = NCP_RELIABLE;
	o.error = error;
	o.error_cap = sizeof(error);
	for (unsigned i = 0; i <= ROWS / 2; i++) {
		r = ncp_attach(&c[i], t->name, &o);
		if (r < 0 && i < ROWS / 2)
			r = 0; /* too early */
	}
	for (unsigned i = 0; i <= ROWS / 2; i++)
		ncp_detach(c[i]);
	if (!strstr(error, "did not grant"))
		r = 1;
	return (void *)r;
}

static void test_refused(void)
{
	struct ncp_options o = NCP_OPTIONS_INIT;
	struct ncp_client *c;
	struct test_bus t;
	char error[128] = "";

	bus_make(&t);
	bus_start(&t, true);
	o.dir = t.dir;
	o.flags = NCP_RELIABLE;
	o.error = error;
	o.error_cap = sizeof(error);
	is_i64(NCP_ENOTRELIABLE, ncp_attach(&c, t.name, &o), "refused without --reliable");
	ok(strstr(error, "without --reliable"), "with the reason: %s", error);
	bus_stop(&t, NCP_ENDED);
	start(&t, LONG_MS);
	o.dir = t.dir;
	o.flags |= NCP_NO_REGISTRY;
	is_i64(NCP_ENOTRELIABLE, ncp_attach(&c, t.name, &o), "refused without a line");
	ok(strstr(error, "no line"), "with the reason: %s", error);
	bus_stop(&t, NCP_ENDED);
}

/* --- while the producer goes on --------------------------------------------------------------- */

struct publisher {
	struct test_bus *t;
	uint32_t stop;
	uint64_t at_most; /* frames */
	pthread_t thread;
};

static void *publisher_main(void *arg)
{
	struct publisher *p = arg;

	while (!ncpi_load_acquire(&p->stop) && p->t->next < p->at_most)
		bus_publish(p->t, 7);
	return NULL;
}

static void publisher_start(struct publisher *p, struct test_bus *t, uint64_t at_most)
{
	*p = (struct publisher){ .t = t, .at_most = at_most };
	if (pthread_create(&p->thread, NULL, publisher_main, p))
		bail("pthread_create");
}

static void test_grant_under_load(void)
{
	struct publisher p;
	struct test_bus t;
	uint64_t bad = 0, beyond = 0, lost = 0;

	start(&t, LONG_MS);
	publisher_start(&p, &t, UINT64_MAX);
	for (unsigned i = 0; i < 60; i++) {
		struct ncp_cursor cursor = NCP_CURSOR_INIT;
		struct client k;

		join_bus(&k, &t, (enum how)(i % N_HOW), i % 3 ? NCP_LATEST : NCP_OLDEST);
		if (i % 3 == 0) /* the oldest of now may be below what was granted */
			while (read_some(&k) == 1 && k.lost == 0 && k.next % 50)
				;
		bad += i % 3 ? k.bad : 0u;
		k.bad = 0;
		k.lost = 0;
		k.end = k.next + 1500;
		client_main(&k);
		bad += (uint64_t)k.bad + k.evicted;
		lost += k.lost;
		/* Everything from where it stands on is there to stay. */
		if (ncp_tell(k.c, &cursor) < 0)
			bail("tell");
		beyond += ncpi_load(&t.bus.seg.h->tail) > cursor.position;
		ncp_detach(k.c);
	}
	ncpi_store_release(&p.stop, 1);
	pthread_join(p.thread, NULL);
	is_u64(0, bad, "clients granted while frames rush past read whole frames, in order");
	is_u64(0, lost, "and lose none");
	is_u64(0, beyond, "and what they have not read is never overwritten");
	bus_stop(&t, NCP_ENDED);
}

static void test_hold(void)
{
	struct publisher p;
	struct client k;
	struct test_bus t;

	start(&t, LONG_MS);
	join_bus(&k, &t, PLACE, NCP_LATEST);
	ncp_detach(k.c);
	k.c = bus_attach(&t, NCP_LATEST, 0, NCP_RELIABLE | NCP_HOLD);
	publisher_start(&p, &t, 3000);
	uint64_t idle = 0;
	while (idle < 20) { /* until the ring is full, and stays so */
		int r = read_some(&k);

		if (r == 0)
			idle += ncp_wait(k.c, 2) == 0;
		else
			idle = 0;
	}
	const struct ncpi_header *h = t.bus.seg.h;
	uint64_t filled = k.next;
	ok(ncpi_load(&h->head) <= t.geo.ring_size && ncpi_load(&h->tail) == 0 && filled > 300,
	   "with NCP_HOLD nothing is overwritten before it is released");
	while (k.next < 3000) {
		struct ncp_frame f = NCP_FRAME_INIT;
		int r = ncp_next(k.c, &f);

		if (r == 1) {
			see(&k, &f);
			/* What was handed out last is still ours. */
			ncp_release(k.c, f.position, f.seq);
		} else {
			struct ncp_cursor cursor = NCP_CURSOR_INIT;

			if (r < 0 || ncp_tell(k.c, &cursor) < 0)
				break;
			ncp_release(k.c, cursor.position, cursor.seq);
			if (ncp_wait(k.c, 1000) < 0)
				break;
		}
	}
	is_u64(3000, k.next, "what is released makes room");
	is_u64(0, k.bad + k.lost, "and nothing is lost");
	ncp_release(k.c, 0, 0);
	ncp_release(k.c, UINT64_MAX, 0);
	pthread_join(p.thread, NULL);
	ncp_detach(k.c);
	bus_stop(&t, NCP_ENDED);
}

/* --- a producer that starts again -------------------------------------------------------------- */

static void *restart_main(void *arg)
{
	struct publisher *p = arg;

	bus_start(p->t, true);
	bus_publish(p->t, p->at_most - p->t->next);
	return NULL;
}

static void test_restart(void)
{
	struct publisher p;
	struct client k;
	struct test_bus t;

	start(&t, LONG_MS);
	join_bus(&k, &t, PLACE, NCP_LATEST);
	/* As full as the ring can be without waiting. */
	while (t.bus.seg.h->head + 7 * 300 < t.geo.ring_size)
		bus_publish(&t, 7);
	bus_stop(&t, NCP_LIVE);
	p = (struct publisher){ .t = &t, .at_most = 5000 };
	if (pthread_create(&p.thread, NULL, restart_main, &p))
		bail("pthread_create");
	k.end = 5000;
	k.nap_us = 100;
	client_main(&k);
	pthread_join(p.thread, NULL);
	is_u64(5000, k.next, "a producer that starts again waits for those that were granted before");
	is_u64(0, k.bad + k.lost + k.evicted, "from its first frame on");
	/* The new one grants by its own table. */
	struct ncpi_audience a;
	ncpi_writer_audience(t.w, &a);
	is_u64(1, a.granted, "one is granted");
	ncp_detach(k.c);
	bus_stop(&t, NCP_ENDED);
}

int main(void)
{
	struct test_bus background;
	pthread_t too_many;
	void *result;

	plan(3 * N_HOW + 1 + 2 + 10 + 2 + 1 + 4 + 3 + 3 + 3 + 1);
	start(&background, LONG_MS);
	if (pthread_create(&too_many, NULL, too_many_main, &background))
		bail("pthread_create");
	for (enum how how = PLACE; how < N_HOW; how++)
		test_each_way(how);
	test_many();
	test_process();
	test_evicted();
	test_dead();
	test_detached();
	test_refused();
	test_grant_under_load();
	test_hold();
	test_restart();
	pthread_join(too_many, &result);
	is_i64(NCP_ENOTRELIABLE, (intptr_t)result, "nobody gets more than half of the table");
	bus_stop(&background, NCP_ENDED);
	return tap_done();
}
