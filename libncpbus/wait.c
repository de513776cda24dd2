/* SPDX-License-Identifier: BSD-2-Clause */
/* wait.c - sleep until there is something to read; a descriptor for poll(). */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "libncpbus/client.h"
#include "libncpbus/group.h"
#include "libncpbus/order.h"
#include "libncpbus/stamp.h"

/* Another client can take a wake-up away (FUTEX_REQUEUE): this bounds what that costs. */
#define CAP_LIVE_NS (20 * NCPI_MS)
#define CAP_QUIET_NS (250 * NCPI_MS)

static uint64_t cap_ns(uint32_t state)
{
	return state == NCP_LIVE || state == NCP_STARTING ? CAP_LIVE_NS : CAP_QUIET_NS;
}

/* When a reading call would return something although nothing came: CLOCK_MONOTONIC. */
static uint64_t due(struct ncp_client *c)
{
	return c->reorder ? ncpi_reorder_due_ns(c) :
	       c->group	  ? ncpi_group_due_ns(c) :
			    UINT64_MAX;
}

/* Would a reading call return something? */
static bool ready(struct ncp_client *c)
{
	if (c->n_events || c->move)
		return true;
	uint32_t state = ncpi_state(c);
	if (c->group) {
		/* What was handed out last is not done with before a reading call says so. */
		if (c->n_held || c->has_span || c->at.position != c->head || ncpi_group_more(c))
			return true;
		state = ncpi_group_state(c, state);
		return state != c->told_state || ncpi_evicted(c) ||
		       (ncpi_replacement(c) && ncpi_group_left(c));
	}
	if (ncpi_load_acquire(&c->seg.h->head) != c->at.position)
		return true;
	uint64_t due_ns = due(c);
	if (due_ns != UINT64_MAX) /* frames go before events */
		return ncpi_now_monotonic() >= due_ns;
	return state != c->told_state || ncpi_replacement(c) || ncpi_evicted(c);
}

int ncp_wait(struct ncp_client *c, int timeout_ms)
{
	int r = ncpi_usable(c);

	if (r < 0)
		return r;
	ncpi_run_stop(c);
	uint64_t left = timeout_ms < 0 ? UINT64_MAX : (uint64_t)timeout_ms * NCPI_MS;
	uint64_t start = ncpi_now_monotonic();
	for (;;) {
		/* wake before head (in ready): the producer bumps wake after head, so a head that
		 * is missed here finds another value in wake, and the wait does not sleep. */
		uint32_t wake = ncpi_load_acquire(&c->seg.h->wake);

		NCPI_TESTPOINT("wait:ready");
		if (ready(c))
			return 1;
		ncpi_enrol_tell(c, true);
		uint64_t gone = ncpi_now_monotonic() - start;
		if (gone >= left)
			return 0;
		uint64_t nap = cap_ns(c->told_state);
		if (nap > left - gone)
			nap = left - gone;
		uint64_t due_ns = due(c), now = start + gone;
		if (due_ns < now + nap)
			nap = due_ns > now ? due_ns - now : 0;
		NCPI_TESTPOINT("wait:sleep");
		if (ncpi_futex_wait(&c->seg.h->wake, wake, nap) == -EINTR)
			return -EINTR;
	}
}

/*
 * A thread that sleeps on the bus for a client that sleeps in poll().  It knows of the client only
 * where it stood when it found nothing; the descriptor may say "look" once too often, never once
 * too seldom.
 */
struct ncpi_poller {
	pthread_t thread;
	const struct ncpi_header *h;
	int fd;
	uint32_t armed; /* futex: 1 while the client waits for news */
	uint64_t seen_position; /* what the client knows, stored before armed */
	uint32_t seen_state;
	uint64_t look_ns; /* CLOCK_MONOTONIC: look then, whatever happens */
	uint32_t stop;
	bool runs; /* false: no thread could be had; the descriptor stays readable */
};

static void *poller_main(void *arg)
{
	struct ncpi_poller *p = arg;
	const uint64_t one = 1;

	while (!ncpi_load(&p->stop)) {
		/* Acquire: what the client saw was stored before. */
		if (!ncpi_load_acquire(&p->armed)) {
			ncpi_futex_wait(&p->armed, 0, NCPI_SECOND);
			continue;
		}
		uint32_t wake = ncpi_load_acquire(&p->h->wake);
		uint32_t state = ncpi_load(&p->seen_state);
		bool news = ncpi_load_acquire(&p->h->head) != ncpi_load(&p->seen_position) ||
			    ncpi_load_acquire(&p->h->state) != state;

		if (!news) {
			ncpi_futex_wait(&p->h->wake, wake, cap_ns(state));
			/* Also without news now and then: death and replacement are found by
			 * looking. */
			if (ncpi_now_monotonic() < ncpi_load(&p->look_ns))
				continue;
		}
		if (ncpi_exchange_acq_rel(&p->armed, 0) == 1 && write(p->fd, &one, sizeof(one)) < 0)
			break;
	}
	return NULL;
}

static int poller_start(struct ncpi_poller *p, const struct ncpi_header *h)
{
	sigset_t all, old;

	p->h = h;
	p->stop = p->armed = 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int r = pthread_create(&p->thread, NULL, poller_main, p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	p->runs = r == 0;
	return -r;
}

static void poller_end(struct ncpi_poller *p)
{
	if (!p->runs)
		return;
	ncpi_store(&p->stop, 1);
	ncpi_store_release(&p->armed, 1);
	ncpi_futex_wake(&p->armed, 1);
	pthread_join(p->thread, NULL);
	p->runs = false;
}

int ncp_fd(struct ncp_client *c)
{
	int r = ncpi_usable(c);

	if (r < 0)
		return r;
	if (c->poller)
		return c->poller->fd;
	struct ncpi_poller *p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	/* Readable from the start: the client looks first, then waits. */
	p->fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->fd < 0) {
		r = -errno;
		free(p);
		return r;
	}
	r = poller_start(p, c->seg.h);
	if (r < 0) {
		close(p->fd);
		free(p);
		return r;
	}
	c->poller = p;
	return p->fd;
}

void ncpi_poller_pause(struct ncp_client *c)
{
	if (c->poller)
		poller_end(c->poller);
}

void ncpi_poller_resume(struct ncp_client *c)
{
	const uint64_t one = 1;

	/* Readable: the client looks at the new bus first.  A full count is readable, too. */
	if (c->poller && poller_start(c->poller, c->seg.h) <= 0 &&
	    write(c->poller->fd, &one, sizeof(one)) < 0)
		return;
}

void ncpi_poller_rearm(struct ncp_client *c)
{
	struct ncpi_poller *p = c->poller;
	uint64_t count;

	if (!p->runs || ncpi_load(&p->armed))
		return;
	/* Emptied before it is armed: what the thread writes from now on stays. */
	if (read(p->fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	ncpi_store(&p->seen_position, c->at.position);
	ncpi_store(&p->seen_state, ncpi_load(&c->seg.h->state));
	uint64_t quiet_ns = ncpi_now_monotonic() + CAP_QUIET_NS, due_ns = due(c);
	ncpi_store(&p->look_ns, due_ns < quiet_ns ? due_ns : quiet_ns);
	ncpi_store_release(&p->armed, 1);
	ncpi_futex_wake(&p->armed, 1);
}

void ncpi_poller_stop(struct ncp_client *c, bool child)
{
	struct ncpi_poller *p = c->poller;

	if (!p)
		return;
	c->poller = NULL;
	if (!child) /* a child has no such thread */
		poller_end(p);
	close(p->fd);
	free(p);
}
