/* SPDX-License-Identifier: BSD-2-Clause */
/* waker.c - the thread that wakes clients, beats the heart, and looks after the registry. */
#include <errno.h>
#include <limits.h>
#include <signal.h>

#include "libncpbus/order.h"
#include "libncpbus/stamp.h"
#include "libncpbus/writer_impl.h"

/* Clients call a producer dead after a second without a beat: ten chances to be seen alive. */
#define BEAT_NS (100 * NCPI_MS)
/* A client that asks to be waited for is granted after this at most. */
#define SCAN_NS (20 * NCPI_MS)
/* With --immediate-mode a capture thread wakes up to so many sleepers itself, at some 5 us each; where
 * there may be more, up to a thousand, they are the waker's work. */
#define AT_ONCE 2

void ncpi_waker_bump(struct ncpi_writer *w)
{
	/* Acquire and release: head's store stands before the bump, so a client that loads wake,
	 * then head, then sleeps on that wake is woken by any head it did not see. */
	ncpi_add_acq_rel(&w->seg->h->wake, 1);
	ncpi_futex_wake(&w->seg->h->wake, INT_MAX);
}

void ncpi_waker_poke(struct ncpi_writer *w)
{
	if (w->o.immediate) {
		/* Acquire and release, as in ncpi_waker_bump(). */
		ncpi_add_acq_rel(&w->seg->h->wake, 1);
		/* Fewer than asked for: these were all that slept on an older value, and nobody falls
		 * asleep on one any more.  The waker would only take a processor from them. */
		if (ncpi_futex_wake(&w->seg->h->wake, AT_ONCE) < AT_ONCE)
			return;
	}
	/* An exchange, never a load first: it cannot pass the store of head before it.  With a
	 * load, "poked already" could be read while head still waits in the store buffer; the waker
	 * would tell of the old head, and of the new one nobody. */
	if (ncpi_exchange_acq_rel(&w->poked, 1) == 0)
		ncpi_futex_wake(&w->poked, 1);
}

void ncpi_waker_beat(struct ncpi_writer *w)
{
	struct ncpi_header *h = w->seg->h;

	ncpi_store(&h->heartbeat_ns, ncpi_now_realtime());
	/* Release: who sees the beat sees its time. */
	ncpi_store_release(&h->heartbeat, ncpi_load(&h->heartbeat) + 1);
}

/* Sum what the workers counted per interface into the lines that clients see. */
static void interfaces_fold(struct ncpi_writer *w)
{
	uint32_t n = ncpi_load(&w->seg->h->interfaces);

	for (uint32_t i = 0; i < n && i < NCPI_INTERFACES; i++) {
		struct ncpi_interface_line sum = w->interface_base[i];
		struct ncpi_interface_line *line = ncpi_interface_at(w->seg, i);

		for (uint32_t k = 0; k < w->o.n_workers; k++) {
			const struct ncpi_interface_line *of = &w->worker_interface[k][i];

			sum.published += ncpi_load(&of->published);
			sum.received += ncpi_load(&of->received);
			sum.kernel_drops += ncpi_load(&of->kernel_drops);
		}
		ncpi_store(&line->published, sum.published);
		ncpi_store(&line->received, sum.received);
		ncpi_store(&line->kernel_drops, sum.kernel_drops);
	}
}

static void *waker_main(void *arg)
{
	struct ncpi_writer *w = arg;
	uint64_t beat_at = 0, scan_at = 0, bump_at = 0;

	while (!ncpi_load(&w->stop)) {
		uint64_t now = ncpi_now_monotonic();

		if (now >= beat_at) {
			ncpi_waker_beat(w);
			interfaces_fold(w);
			beat_at = now + BEAT_NS;
		}
		if ((w->reliable || ncpi_load(&w->roster.asked)) && now >= scan_at) {
			ncpi_store(&w->roster.asked, 0);
			ncpi_roster_scan(w);
			scan_at = now + SCAN_NS;
		}
		/* Before the bump: whoever pokes after this is told by the next one. */
		if (now >= bump_at && ncpi_exchange_acq_rel(&w->poked, 0)) {
			ncpi_waker_bump(w);
			bump_at = w->o.immediate ? now :
				  ncpi_waker_next(bump_at, now, w->o.retire_ms * NCPI_MS);
		}
		now = ncpi_now_monotonic();
		uint64_t until = w->reliable && scan_at < beat_at ? scan_at : beat_at;
		/* The pause between two wake-ups: a poke does not end it, the end does. */
		bool pause = now < bump_at;
		if (pause && bump_at < until)
			until = bump_at;
		if (until > now)
			ncpi_futex_wait(pause ? &w->nap : &w->poked, 0, until - now);
	}
	return NULL;
}

int ncpi_waker_start(struct ncpi_writer *w)
{
	sigset_t all, old;

	/* Signals are for the program's own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int r = pthread_create(&w->waker, NULL, waker_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	w->waker_runs = r == 0;
	return -r;
}

void ncpi_waker_stop(struct ncpi_writer *w)
{
	if (w->waker_runs) {
		ncpi_store(&w->stop, 1);
		ncpi_store_release(&w->nap, 1);
		ncpi_futex_wake(&w->nap, 1);
		ncpi_exchange_acq_rel(&w->poked, 1);
		ncpi_futex_wake(&w->poked, 1);
		pthread_join(w->waker, NULL);
		w->waker_runs = false;
	}
	interfaces_fold(w);
	ncpi_waker_bump(w);
}
