/* SPDX-License-Identifier: BSD-2-Clause */
/* produce.c - one life of a producer: some workers, bursts, pauses, until it is told to stop. */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "libncpbus/stamp.h"
#include "storm.h"

#define BATCH 32

_Thread_local bool storm_worker;

struct worker {
	struct test_bus *bus;
	uint32_t index;
	uint64_t life, number;
	struct tap_rng rng;
	pthread_t thread;
};

static void nap(uint64_t ns)
{
	nanosleep(&(struct timespec){ .tv_nsec = (long)ns }, NULL);
}

/* The table holds a number of frames: no member of the group may fall behind by that many. */
static void wait_for_table(const struct test_bus *bus)
{
	for (bool waited = false;;) {
		struct ncpi_totals totals;
		uint64_t oldest = UINT64_MAX;

		ncpi_writer_totals(bus->w, &totals);
		for (unsigned i = 0; i < STORM_MEMBERS; i++) {
			uint64_t at = ncpi_load(&storm->group_at[i]);

			oldest = at < oldest ? at : oldest;
		}
		if (oldest == UINT64_MAX || totals.next_seq < oldest + STORM_CELLS / 2 ||
		    ncpi_load(&storm->stop))
			return;
		ncpi_add(&storm->sums.waited, !waited);
		waited = true;
		nap(NCPI_MS);
	}
}

static void *worker_main(void *arg)
{
	static _Thread_local uint8_t buf[BATCH][STORM_CAP];
	struct worker *w = arg;

	storm_worker = true;
	while (!ncpi_load(&storm->stop)) {
		struct ncpi_frame f[BATCH];

		wait_for_table(w->bus);
		for (uint64_t k = tap_rng_below(&w->rng, 20) + 1; k-- && !ncpi_load(&storm->stop);) {
			size_t n = 1 + tap_rng_below(&w->rng, BATCH);

			for (size_t i = 0; i < n; i++)
				f[i] = storm_frame(STORM_ID(w->life, w->index, ++w->number),
						   ncpi_now_realtime(), buf[i]);
			if (ncpi_writer_publish(w->bus->w, w->index, f, n) != n)
				return NULL; /* cancelled */
		}
		if (w->index == 0 && tap_rng_below(&w->rng, 50) == 0)
			ncpi_writer_mark(w->bus->w, NCPI_LOCAL_PAUSE, ncpi_now_realtime(), 0, 0,
					 0);
		if (tap_rng_below(&w->rng, 4))
			nap(tap_rng_below(&w->rng, 3 * NCPI_MS));
	}
	return NULL;
}

void storm_bus(struct test_bus *bus, struct tap_rng *rng)
{
	bus_make(bus);
	bus->geo.ring_size = UINT64_C(1) << (16 + tap_rng_below(rng, 4));
	bus->geo.reliable = true;
	bus->geo.n_reliable = 8;
	bus->o.largest_caplen = STORM_CAP;
	bus->o.reliable_timeout_ms = STORM_TIMEOUT_MS;
}

static void begin(struct test_bus *bus, bool open)
{
	char why[128] = "";
	int r = open ? ncpi_bus_open(bus->dirfd, bus->name, &bus->geo, &bus->bus, why) : 0;

	if (r < 0)
		bail("open bus: %s: %s", ncp_strerror(r), why);
	ncpi_store_release(&storm->holds_bus, 1);
	uint32_t state = ncpi_load(&bus->bus.seg.h->state);
	if (ncpi_load(&bus->bus.seg.h->epoch))
		ncpi_add(state == NCP_STOPPED ? &storm->sums.restarts : &storm->sums.takeovers, 1);
	r = ncpi_writer_open(&bus->bus, &bus->o, &bus->w, why);
	if (r < 0)
		bail("open writer: %s: %s", ncp_strerror(r), why);
	for (uint32_t i = 0; i < 2; i++) {
		const struct ncpi_interface_desc d = { .name = i ? "storm1" : "storm0",
						       .linktype = 1, .snaplen = STORM_CAP };

		if (ncpi_writer_interface(bus->w, &d) != (int)i)
			bail("interface");
	}
	if (ncpi_writer_start(bus->w) < 0)
		bail("waker thread");
	ncpi_writer_state(bus->w, NCP_LIVE, 0);
}

void storm_producer(struct test_bus *bus, uint64_t seed, bool open)
{
	static struct worker w[STORM_WORKERS];
	struct tap_rng rng = { .seed = seed };
	uint64_t life = ncpi_add(&storm->producers, 1) + 1;
	uint32_t stop, state = NCP_LIVE;

	bus->o.n_workers = 1 + (uint32_t)tap_rng_below(&rng, STORM_WORKERS);
	begin(bus, open);
	for (uint32_t i = 0; i < bus->o.n_workers; i++) {
		w[i] = (struct worker){ .bus = bus, .index = i, .life = life,
					.rng = { .seed = tap_rng_u64(&rng) } };
		if (pthread_create(&w[i].thread, NULL, worker_main, &w[i]))
			bail("pthread_create");
	}
	while (!(stop = ncpi_load_acquire(&storm->stop))) {
		nap(NCPI_MS);
		if (tap_rng_below(&rng, 300) == 0) {
			state = state == NCP_LIVE ? NCP_PAUSED : NCP_LIVE;
			ncpi_writer_state(bus->w, state, NCP_REASON_INTERFACE_DOWN);
		}
	}
	ncpi_writer_cancel(bus->w);
	for (uint32_t i = 0; i < bus->o.n_workers; i++)
		pthread_join(w[i].thread, NULL);
	if (stop == STORM_END) {
		struct ncpi_totals totals;

		ncpi_writer_totals(bus->w, &totals);
		ncpi_store_release(&storm->published, totals.next_seq);
	}
	ncpi_writer_close(bus->w,
			  stop == STORM_END ? NCP_ENDED : stop == STORM_STOP ? NCP_STOPPED : NCP_LIVE, 0);
	bus->w = NULL;
	if (open)
		ncpi_bus_close(&bus->bus);
}
