/* SPDX-License-Identifier: BSD-2-Clause */
/* test_storm_threads.c - the storm in one process and one mapping, where a sanitizer sees both sides. */
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <time.h>

#include "libncpbus/stamp.h"
#include "storm.h"

/*
 * Nobody can be killed here.  Threads are held up at random at every step of publish and read; a
 * worker "dies" by leaving in the middle of one, and the next producer takes over what he left.
 */
static struct test_bus bus;
static struct tap_rng rng;
static uint32_t crash; /* 1: the next worker at a step at which he may, dies */
static unsigned crashes, died;

struct thread {
	pthread_t thread;
	unsigned slot;
	uint32_t life;
	uint64_t seed;
	uint32_t over; /* 1: to be joined */
};
static struct thread client[STORM_SLOTS], producer;

static bool said_crash(void *arg)
{
	(void)arg;
	return !ncpi_load_acquire(&crash);
}

/* With several workers not while he holds a lock, which would stay locked. */
static bool may_die(const char *step)
{
	return storm_worker && (bus.o.n_workers == 1 ? !strncmp(step, "publish:", 8) :
				!strcmp(step, "publish:P1") || !strcmp(step, "publish:P3") ||
				!strcmp(step, "publish:P4") || !strcmp(step, "publish:block"));
}

static void at_step(const char *step)
{
	static _Thread_local uint64_t x;

	x = ncpi_mix(x ^ (uintptr_t)&x);
	if (ncpi_load(&crash) && x % 8 == 0 && may_die(step) && ncpi_exchange_acq_rel(&crash, 0)) {
		ncpi_add(&died, 1);
		pthread_exit(NULL);
	}
	if (x >> 52 == 0)
		nanosleep(&(struct timespec){ .tv_nsec = 200000 }, NULL);
	else if (x >> 56 == 0)
		sched_yield();
}

static void *client_main(void *arg)
{
	struct thread *t = arg;

	storm_client(&bus, t->slot, t->life, t->seed, &bus.bus.seg);
	ncpi_store_release(&t->over, 1);
	return NULL;
}

static void *producer_main(void *arg)
{
	storm_producer(&bus, ((struct thread *)arg)->seed, false);
	return NULL;
}

static void start(struct thread *t, void *(*fn)(void *))
{
	t->seed = tap_rng_u64(&rng);
	t->over = 0;
	if (pthread_create(&t->thread, NULL, fn, t))
		bail("pthread_create");
}

static void client_start(unsigned i, bool may_leave)
{
	client[i] = (struct thread){
		.slot = i, .life = (uint32_t)(ncpi_add(&storm->lives, 1) % (STORM_LIVES - 1))
	};
	ncpi_store_release(&storm->may_leave[i], may_leave);
	start(&client[i], client_main);
}

static void producer_stop(enum storm_stop how)
{
	ncpi_store_release(&storm->stop, how);
	pthread_join(producer.thread, NULL);
}

static void producer_start(void)
{
	ncpi_store_release(&storm->stop, 0);
	start(&producer, producer_main);
}

static bool is_live(void *arg)
{
	(void)arg;
	return ncpi_load_acquire(&bus.bus.seg.h->state) == NCP_LIVE;
}

/* Attached, or over already: not granted within the time that a client waits. */
static bool is_decided(void *arg)
{
	const struct thread *t = arg;

	return ncpi_load_acquire(&storm->attached[t->slot]) == t->life + 1 ||
	       ncpi_load_acquire(&t->over);
}

static void act(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = (long)tap_rng_below(&rng, 20000000) }, NULL);
	if (tap_rng_below(&rng, 8) == 0) {
		bool dies = tap_rng_below(&rng, 2);

		if (dies) {
			crashes++;
			ncpi_store_release(&crash, 1);
			wait_until(said_crash, NULL, 1000);
			ncpi_store_release(&crash, 0);
		}
		producer_stop(dies ? STORM_CRASH : STORM_STOP);
		producer_start();
	}
	for (unsigned i = 0; i < STORM_SLOTS; i++)
		if (ncpi_load_acquire(&client[i].over)) {
			pthread_join(client[i].thread, NULL);
			client_start(i, true);
		}
}

int main(void)
{
	char why[128] = "";

	plan(STORM_REPORT + 3);
	rng.seed = tap_seed();
	storm_make();
	storm_bus(&bus, &rng);
	/* Under a sanitizer it turns more slowly. */
	bus.geo.ring_size = UINT64_C(1) << (16 + tap_rng_below(&rng, 3));
	int fds = tap_open_fds();
	if (ncpi_bus_open(bus.dirfd, bus.name, &bus.geo, &bus.bus, why) < 0)
		bail("open bus: %s", why);
	ncpi_testpoint_fn = at_step;
	producer_start();
	if (!wait_until(is_live, NULL, 10000))
		bail("the producer does not start");
	for (unsigned i = 0; i < STORM_SLOTS; i++)
		client_start(i, true);
	for (uint64_t until = ncpi_now_monotonic() + storm_seconds(5) * NCPI_SECOND;
	     ncpi_now_monotonic() < until;)
		act();

	for (unsigned i = 0; i < STORM_SLOTS; i++) {
		if (!ncpi_exchange_acq_rel(&storm->may_leave[i], 0)) {
			pthread_join(client[i].thread, NULL);
			client_start(i, false);
		}
		for (int tries = 0; tries < 10; tries++) {
			if (!wait_until(is_decided, &client[i], 60000))
				bail("a client does not attach");
			if (ncpi_load_acquire(&storm->attached[i]) == client[i].life + 1)
				break;
			pthread_join(client[i].thread, NULL);
			client_start(i, false);
		}
	}
	producer_stop(STORM_END);
	for (unsigned i = 0; i < STORM_SLOTS; i++)
		pthread_join(client[i].thread, NULL);
	ncpi_testpoint_fn = NULL;
	ncpi_bus_close(&bus.bus);
	storm_report(&bus);
	ok(crashes > 0 && died > 0, "%llu lives of clients, %llu of producers; %u workers died at work",
	   (unsigned long long)storm->lives, (unsigned long long)storm->producers, died);
	is_i64(0, ncpi_bus_remove(bus.dirfd, bus.name), "the bus is removed");
	is_i64(fds, tap_open_fds(), "no descriptor is left open");
	return tap_done();
}
