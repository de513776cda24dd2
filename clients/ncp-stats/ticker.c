/* SPDX-License-Identifier: BSD-2-Clause */
/* ticker.c - a signalfd and a clock. */
#include "ticker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "look.h"
#include "screen.h"

#define SECOND UINT64_C(1000000000)

static void pause_here(void)
{
	screen_end();
	raise(SIGSTOP);
	(void)!screen_begin(); /* it was possible before */
}

int ticker_open(struct ticker *t, bool on_screen)
{
	sigset_t set;

	t->ended = false;
	t->keys = -1;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (on_screen) {
		sigaddset(&set, SIGWINCH);
		sigaddset(&set, SIGTSTP);
		sigaddset(&set, SIGQUIT);
	}
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	t->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return t->signals < 0 ? -errno : 0;
}

bool ticker_sleep(struct ticker *t, uint64_t until_ns)
{
	struct pollfd p[2] = { { .fd = t->signals, .events = POLLIN },
			       { .fd = t->keys, .events = POLLIN } };
	struct signalfd_siginfo info;
	uint64_t now = look_now(CLOCK_MONOTONIC);
	uint64_t left = until_ns > now ? until_ns - now : 0;
	const struct timespec for_ns = { .tv_sec = (time_t)(left / SECOND),
					 .tv_nsec = (long)(left % SECOND) };

	if (ppoll(p, 2, &for_ns, NULL) <= 0)
		return true;
	if (p[1].revents & (POLLHUP | POLLERR | POLLNVAL))
		t->ended = true;
	while (read(t->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGTSTP)
			pause_here();
		else if (info.ssi_signo != SIGWINCH)
			t->ended = true;
	}
	return false;
}

uint64_t ticker_next(uint64_t last_ns, uint64_t interval_ns)
{
	uint64_t next = last_ns + interval_ns, now = look_now(CLOCK_MONOTONIC);

	return next > now ? next : now + interval_ns;
}
