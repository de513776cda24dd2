/* SPDX-License-Identifier: BSD-2-Clause */
/* worker.c - the capture loop: take frames from a source, publish them, count, give back. */
#include "producer/worker.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "libncpbus/include/ncpbus.h"
#include "libncpbus/order.h"
#include "libncpbus/stamp.h"

/* How long a take may wait: an idle worker looks at its counters this often. */
#define TAKE_MS 100
/* Counters are read (a system call, for a socket) at most this often. */
#define COUNT_NS (100 * NCPI_MS)
/* An interface that is down is looked at this often. */
#define PAUSE_MS 100

static void nothing(int sig)
{
	(void)sig;
}

int capture_init(struct capture *c, struct ncpi_writer *writer, uint32_t largest_caplen,
		 uint32_t retire_ms, uint64_t count)
{
	/* Without SA_RESTART: a read() that waits ends, too. */
	struct sigaction wake = { .sa_handler = nothing };

	*c = (struct capture){ .writer = writer,
			       .largest_caplen = largest_caplen,
			       .retire_ms = retire_ms,
			       .wanted = count ? count : UINT64_MAX };
	if (sigaction(WORKER_SIGNAL, &wake, NULL) < 0)
		return -errno;
	c->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (c->done_fd < 0)
		return -errno;
	pthread_mutex_init(&c->lock, NULL);
	return 0;
}

void capture_fini(struct capture *c)
{
	pthread_mutex_destroy(&c->lock);
	close(c->done_fd);
}

static enum capture_order order_of(const struct capture *c)
{
	return (enum capture_order)ncpi_load(&c->order);
}

int worker_learn(struct worker *w)
{
	struct ncpi_interface_desc d;

	while (w->n_interfaces < NCPI_INTERFACES &&
	       w->src->ops->interface(w->src, w->n_interfaces, &d) == 1) {
		int id = d.snaplen > w->capture->largest_caplen
				 ? -E2BIG
				 : ncpi_writer_interface(w->capture->writer, &d);

		if (id < 0) {
			snprintf(w->why, sizeof(w->why), "interface %.60s: %s",
				 d.name && *d.name ? d.name : "without a name",
				 id == -E2BIG ? "its frames may be longer than those before: give -s"
				 : id == -ENOSPC
					 ? "the bus has no room to describe it: end the bus first"
					 : ncp_strerror(id));
			return id;
		}
		w->bus_id[w->n_interfaces++] = (uint32_t)id;
	}
	return 0;
}

/* From the source's interface numbers to the bus's, of the first n frames. */
static int map_interfaces(struct worker *w, const struct source_batch *b, size_t n)
{
	const uint32_t first = n ? b->frames->interface : 0;

	/* As a rule these are the same numbers. */
	if (b->one_interface && first < w->n_interfaces && w->bus_id[first] == first)
		return 0;
	for (size_t i = 0; i < n; i++) {
		struct ncpi_frame *f = &b->frames[i];

		if (f->interface >= w->n_interfaces) {
			int r = worker_learn(w);

			if (r < 0)
				return r;
			if (f->interface >= w->n_interfaces) {
				snprintf(w->why, sizeof(w->why),
					 "interface %u: more than a bus can hold", f->interface);
				return -ENOSPC;
			}
		}
		f->interface = w->bus_id[f->interface];
	}
	return 0;
}

/* How many of n frames -c still wants. */
static size_t count_take(struct capture *c, size_t n)
{
	uint64_t left = ncpi_load(&c->wanted);

	if (left == UINT64_MAX)
		return n;
	pthread_mutex_lock(&c->lock); /* other workers take from it, too */
	left = ncpi_load(&c->wanted);
	if (n > left)
		n = (size_t)left;
	ncpi_store(&c->wanted, left - n);
	pthread_mutex_unlock(&c->lock);
	return n;
}

/* Publish a batch, or what -c leaves of it; the rest is discarded.  Returns 0, -errno. */
static int publish(struct worker *w, struct source_batch *b)
{
	size_t n = count_take(w->capture, b->n), published = 0;
	int r = map_interfaces(w, b, n);

	ncpi_store(&w->publishing, 1);
	if (r == 0 && n)
		published = ncpi_writer_publish(w->capture->writer, w->index, b->frames, n);
	ncpi_store(&w->publishing, 0);
	w->discarded += b->n - published;
	return r;
}

/* The bus's id of the interface that the source counts for; NCPI_INTERFACES: none that is known. */
static uint32_t current_id(struct worker *w)
{
	/* One that cannot be described is told of when its first frame comes. */
	if (w->src->current >= w->n_interfaces && worker_learn(w) < 0)
		return NCPI_INTERFACES;
	return w->src->current < w->n_interfaces ? w->bus_id[w->src->current] : NCPI_INTERFACES;
}

/* Bring the bus's counters up to the source's. */
static void count(struct worker *w)
{
	struct source_counts now = w->counted;

	w->src->ops->counts(w->src, &now);
	const struct ncpi_counts add = {
		.received = now.received - w->counted.received,
		.kernel_drops = now.kernel_drops - w->counted.kernel_drops,
		.freezes = now.freezes - w->counted.freezes,
		.discarded = now.discarded - w->counted.discarded + w->discarded,
	};
	ncpi_writer_count(w->capture->writer, w->index, current_id(w), &add);
	w->counted = now;
	w->discarded = 0;
}

/* Under the lock: the bus is paused when every worker that still runs is. */
static void state_settle(struct capture *c, uint32_t reason)
{
	bool paused = c->n_paused && c->n_paused + c->n_ended == c->n_workers;

	if (paused == c->paused || order_of(c) != CAPTURE_RUN)
		return;
	c->paused = paused;
	ncpi_writer_state(c->writer, paused ? NCP_PAUSED : NCP_LIVE, reason);
}

/* Under the lock: say in the stream that an interface began to deliver nothing, or ended that. */
static void pause_mark(struct worker *w, uint32_t kind, uint64_t to_ns, uint32_t reason)
{
	const struct capture_group *g = &w->capture->group[w->group];

	ncpi_writer_mark(w->capture->writer, kind, g->paused_since_ns, to_ns, reason,
			 g->paused_id + 1);
}

static void pause_begin(struct worker *w)
{
	struct capture *c = w->capture;
	struct capture_group *g = &c->group[w->group];

	pthread_mutex_lock(&c->lock);
	w->paused = true;
	c->n_paused++;
	if (++g->n_paused == g->n && w->src->current < w->n_interfaces) {
		g->paused_since_ns = ncpi_now_realtime();
		g->paused_id = w->bus_id[w->src->current];
		pause_mark(w, NCPI_LOCAL_PAUSE, 0, w->src->reason);
	}
	state_settle(c, w->src->reason);
	pthread_mutex_unlock(&c->lock);
}

/* The mark and the state stand before the first frame after the pause. */
static void pause_end(struct worker *w)
{
	struct capture *c = w->capture;
	struct capture_group *g = &c->group[w->group];

	if (!w->paused)
		return;
	pthread_mutex_lock(&c->lock);
	w->paused = false;
	c->n_paused--;
	g->n_paused--;
	if (g->paused_since_ns) {
		pause_mark(w, NCPI_LOCAL_RESUME, ncpi_now_realtime(), NCP_REASON_NONE);
		g->paused_since_ns = 0;
	}
	state_settle(c, NCP_REASON_NONE);
	pthread_mutex_unlock(&c->lock);
}

/* One less that could deliver. */
static void ended(struct worker *w)
{
	struct capture *c = w->capture;

	pthread_mutex_lock(&c->lock);
	if (w->paused)
		c->n_paused--;
	c->n_ended++;
	state_settle(c, w->src->reason);
	pthread_mutex_unlock(&c->lock);
}

/* why: NULL if it stands in w->why already. */
static enum worker_end failed(struct worker *w, const char *why)
{
	if (why)
		snprintf(w->why, sizeof(w->why), "%s", why);
	return WORKER_FAILED;
}

/* Take and publish until something ends it. */
static enum worker_end run(struct worker *w)
{
	struct capture *c = w->capture;
	const struct source_ops *ops = w->src->ops;
	uint32_t rounds = 0;

	for (;;) {
		struct source_batch b = { 0 };
		uint32_t order = order_of(c);

		ncpi_store(&w->obeyed, order);
		ncpi_store(&w->rounds, ++rounds);
		if (order != CAPTURE_RUN)
			return WORKER_STOPPED;
		if (!ncpi_load(&c->wanted))
			return WORKER_COUNTED;
		int r = ops->take(w->src, &b, TAKE_MS);
		if (r < 0)
			return failed(w, w->src->why);
		if (r == SOURCE_PAUSED) {
			if (!w->paused)
				pause_begin(w);
			count(w);
			poll(NULL, 0, PAUSE_MS); /* an order ends it */
			continue;
		}
		if (r == SOURCE_END)
			return WORKER_EXHAUSTED;
		pause_end(w);
		if (r == SOURCE_FRAMES) {
			r = publish(w, &b);
			ops->give(w->src, &b);
			if (r < 0)
				return failed(w, NULL);
		}
		uint64_t now = ncpi_now_monotonic();
		if (now >= w->count_at_ns) {
			count(w);
			w->count_at_ns = now + COUNT_NS;
		}
	}
}

/*
 * Accept nothing more and empty the kernel's ring, so that every frame that was counted as received
 * is published, discarded, or counted as dropped.  A block that is not full is handed over when its
 * retire time is up: nothing to take after twice that, counted from the stop, means nothing left.
 */
static enum worker_end settle(struct worker *w, enum worker_end end)
{
	struct capture *c = w->capture;
	const struct source_ops *ops = w->src->ops;
	uint64_t patience_ms = 2 * (uint64_t)c->retire_ms + 10, until;

	if (!ops->stop || end == WORKER_FAILED)
		return end;
	ops->stop(w->src);
	until = ncpi_now_monotonic() + patience_ms * NCPI_MS;
	while (order_of(c) != CAPTURE_ABORT) {
		struct source_batch b = { 0 };
		int r = ops->take(w->src, &b, (int)patience_ms);

		if (r < 0)
			return failed(w, w->src->why);
		if (r == SOURCE_FRAMES) {
			r = publish(w, &b);
			ops->give(w->src, &b);
			if (r < 0)
				return failed(w, NULL);
		} else if (r != SOURCE_NOTHING || ncpi_now_monotonic() >= until) {
			break;
		}
	}
	return end;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct capture *c = w->capture;
	const uint64_t one = 1;
	char name[16];

	snprintf(name, sizeof(name), "ncp-worker%u", w->index);
	prctl(PR_SET_NAME, name, 0, 0, 0);
	if (w->cpu >= 0) {
		cpu_set_t one_cpu;

		/* It was allowed when it was chosen.  If it is no more, any will do. */
		CPU_ZERO(&one_cpu);
		CPU_SET(w->cpu, &one_cpu);
		(void)sched_setaffinity(0, sizeof(one_cpu), &one_cpu);
	}

	enum worker_end end = run(w);
	ended(w);
	end = settle(w, end);
	count(w);
	/* Clients that were promised every frame get it before the state says that there is no
	 * more; a client that stalls is evicted, so this ends. */
	if (c->drain && end != WORKER_STOPPED)
		(void)ncpi_writer_drain(c->writer);
	ncpi_store_release(&w->end, (uint32_t)end); /* whoever sees it sees why */
	if (write(c->done_fd, &one, sizeof(one)) < 0)
		return NULL; /* the main thread looks at w->end every second, too */
	return NULL;
}

struct worker *worker_add(struct capture *c, struct source *src, uint32_t group, int cpu)
{
	struct worker *w = &c->worker[c->n_workers];

	*w = (struct worker){
		.capture = c, .src = src, .index = c->n_workers++, .group = group, .cpu = cpu
	};
	c->group[group].n++;
	return w;
}

int worker_start(struct worker *w)
{
	sigset_t wake, old;
	int r;

	/* The thread gets its mask from this one: open to WORKER_SIGNAL, closed to those that the
	 * main thread waits for. */
	sigemptyset(&wake);
	sigaddset(&wake, WORKER_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &wake, &old);
	r = pthread_create(&w->thread, NULL, worker_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	w->started = r == 0;
	return -r;
}

bool capture_nudge(struct capture *c)
{
	bool all = true;

	for (uint32_t i = 0; i < c->n_workers; i++) {
		struct worker *w = &c->worker[i];

		if (!w->started || ncpi_load_acquire(&w->end) != WORKER_RUNNING ||
		    ncpi_load(&w->obeyed) >= ncpi_load(&c->order))
			continue;
		pthread_kill(w->thread, WORKER_SIGNAL);
		all = false;
	}
	return all;
}

void capture_order(struct capture *c, enum capture_order order)
{
	if (order > order_of(c))
		ncpi_store(&c->order, order);
	if (order == CAPTURE_ABORT)
		ncpi_writer_cancel(c->writer);
	capture_nudge(c);
}

bool capture_moves(struct capture *c, uint64_t patience_ns)
{
	const uint64_t now = ncpi_now_monotonic();
	bool all = true;

	for (uint32_t i = 0; i < c->n_workers; i++) {
		struct worker *w = &c->worker[i];
		const uint32_t rounds = ncpi_load(&w->rounds);

		if (!w->started || ncpi_load_acquire(&w->end) != WORKER_RUNNING ||
		    order_of(c) != CAPTURE_RUN)
			continue;
		if (rounds != w->rounds_seen || !w->moved_at_ns ||
		    (c->drain && ncpi_load(&w->publishing))) {
			w->rounds_seen = rounds;
			w->moved_at_ns = now;
			continue;
		}
		pthread_kill(w->thread, WORKER_SIGNAL);
		all = all && now - w->moved_at_ns <= patience_ns;
	}
	return all;
}

bool capture_ended(const struct capture *c)
{
	for (uint32_t i = 0; i < c->n_workers; i++)
		if (c->worker[i].started &&
		    ncpi_load_acquire(&c->worker[i].end) == WORKER_RUNNING)
			return false;
	return true;
}

const struct worker *capture_end(const struct capture *c, enum worker_end end)
{
	for (uint32_t i = 0; i < c->n_workers; i++)
		if (c->worker[i].started && ncpi_load_acquire(&c->worker[i].end) == end)
			return &c->worker[i];
	return NULL;
}

void capture_join(struct capture *c)
{
	for (uint32_t i = 0; i < c->n_workers; i++)
		if (c->worker[i].started)
			pthread_join(c->worker[i].thread, NULL);
}
