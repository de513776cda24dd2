/* SPDX-License-Identifier: BSD-2-Clause */
/* test_worker_groups.c - several workers, of several sources: when one is paused, when the bus is. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "bus.h"
#include "libncpbus/layout.h"
#include "libncpbus/order.h"
#include "producer/worker.h"
#include "tap/tap.h"

/* A source that does what the test says, until it says otherwise. */
struct switched {
	struct source source;
	const char *name;
	int now;	/* enum source_taken or -errno */
	uint32_t asked; /* takes so far */
	uint32_t until; /* the test's: so many must it be */
};

static int switched_interface(struct source *src, uint32_t i, struct ncpi_interface_desc *d)
{
	const struct switched *s = (struct switched *)src;

	*d = (struct ncpi_interface_desc){ .name = s->name, .linktype = 1, .snaplen = FRAME_CAP };
	return i == 0;
}

static int switched_take(struct source *src, struct source_batch *b, int timeout_ms)
{
	struct switched *s = (struct switched *)src;
	int now = ncpi_load_acquire(&s->now);

	(void)timeout_ms;
	b->n = 0;
	if (now == SOURCE_NOTHING)
		poll(NULL, 0, 1);
	s->source.reason = NCP_REASON_INTERFACE_DOWN;
	if (now < 0)
		snprintf(s->source.why, sizeof(s->source.why), "broken: on purpose");
	ncpi_store_release(&s->asked, s->asked + 1);
	return now;
}

static void switched_give(struct source *src, struct source_batch *b)
{
	(void)src;
	(void)b;
}

static void switched_counts(struct source *src, struct source_counts *c)
{
	(void)src;
	*c = (struct source_counts){ 0 };
}

static const struct source_ops switched_ops = {
	.kind = "switched",
	.interface = switched_interface,
	.take = switched_take,
	.give = switched_give,
	.counts = switched_counts,
};

static struct test_bus bus;
static struct capture capture;

static bool was_asked(void *arg)
{
	const struct switched *s = arg;

	return ncpi_load_acquire(&s->asked) >= s->until;
}

static bool is_over(void *arg)
{
	return ncpi_load_acquire(&((struct worker *)arg)->end) != WORKER_RUNNING;
}

static bool all_ended(void *arg)
{
	(void)arg;
	capture_nudge(&capture);
	return capture_ended(&capture);
}

/* From now on it does that, and its worker has acted on it: it asks again. */
static void turn(struct switched *s, int now)
{
	/* One take may be under way, the next is told, and the one after that comes when the
	 * worker has acted. */
	ncpi_store_release(&s->now, now);
	s->until = ncpi_load_acquire(&s->asked) + 3;
	if (!wait_until(was_asked, s, 5000))
		bail("a worker stands still");
}

/* The marks in the ring: kind and interface of each. */
static const char *marks(void)
{
	static char text[256];
	const struct ncpi_segment *seg = &bus.bus.seg;
	uint64_t head = ncpi_load_acquire(&seg->h->head);
	size_t n = 0;

	*text = '\0';
	for (uint64_t at = 0; at < head && n < sizeof(text) - 24;) {
		struct ncpi_local local;
		uint32_t block[2];

		ncpi_copy_out(block, ncpi_segment_at(seg, at), sizeof(block));
		ncpi_copy_out(&local, ncpi_segment_at(seg, at) + 8, sizeof(local));
		if (block[0] == NCPI_LOCAL &&
		    (local.kind == NCPI_LOCAL_PAUSE || local.kind == NCPI_LOCAL_RESUME))
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%u ",
					      local.kind == NCPI_LOCAL_PAUSE ? "-" : "+",
					      local.interface);
		at += block[1];
	}
	return text;
}

static void stands(uint32_t state, const char *want_marks, const char *when)
{
	is_str(want_marks, marks(), "%s: the marks", when);
	is_u64(state, ncpi_load_acquire(&bus.bus.seg.h->state), "%s: the state", when);
}

int main(void)
{
	struct switched s[3] = { { .source.ops = &switched_ops, .name = "if0" },
				 { .source.ops = &switched_ops, .name = "if1" },
				 { .source.ops = &switched_ops, .name = "if1" } };
	struct worker *w[3];

	plan(2 * 8 + 5);
	bus_make(&bus);
	bus.o.n_workers = 3;
	bus_start(&bus, true);
	if (capture_init(&capture, bus.w, FRAME_CAP, 1, 0) < 0)
		bail("capture_init");
	for (unsigned i = 0; i < 3; i++)
		w[i] = worker_add(&capture, &s[i].source, i > 0, -1);
	for (unsigned i = 0; i < 3; i++)
		if (worker_learn(w[i]) < 0 || worker_start(w[i]) < 0)
			bail("worker: %s", w[i]->why);

	/* The support's own interface is 0: if0 is 1 and if1 is 2, told plus 1. */
	stands(NCP_LIVE, "", "all deliver");
	turn(&s[1], SOURCE_PAUSED);
	stands(NCP_LIVE, "", "one of two workers of if1 is paused");
	turn(&s[2], SOURCE_PAUSED);
	stands(NCP_LIVE, "-3 ", "both are");
	turn(&s[0], SOURCE_PAUSED);
	stands(NCP_PAUSED, "-3 -2 ", "if0's, too");
	turn(&s[1], SOURCE_NOTHING);
	stands(NCP_LIVE, "-3 -2 +3 ", "one of if1's is back");
	ncpi_store_release(&s[0].now, SOURCE_END);
	ok(wait_until(is_over, w[0], 5000), "if0 is exhausted");
	stands(NCP_LIVE, "-3 -2 +3 ", "the others go on");
	turn(&s[1], SOURCE_PAUSED);
	stands(NCP_PAUSED, "-3 -2 +3 -3 ", "all that are left are paused");
	turn(&s[2], SOURCE_NOTHING);
	stands(NCP_LIVE, "-3 -2 +3 -3 +3 ", "the other one of if1's is back");

	ok(!capture_end(&capture, WORKER_FAILED) && !capture_ended(&capture), "none has failed");
	ncpi_store_release(&s[2].now, -EIO);
	ok(wait_until(is_over, w[2], 5000) && capture_end(&capture, WORKER_FAILED) == w[2],
	   "one fails, and which is told");
	ok(capture_end(&capture, WORKER_EXHAUSTED) == w[0], "as is which was exhausted");
	capture_order(&capture, CAPTURE_STOP);
	ok(wait_until(all_ended, NULL, 5000) && capture_end(&capture, WORKER_STOPPED) == w[1],
	   "the last ends when it is told to");
	capture_join(&capture);
	capture_fini(&capture);
	bus_stop(&bus, NCP_ENDED);
	return tap_done();
}
