/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * loop.c - a bus in an epoll loop, beside a timer and signals.
 *
 *	cc -o loop loop.c $(pkg-config --cflags --libs ncpbus)
 *	./loop eth0
 *
 * Prints a line a second until the bus ends or Ctrl-C.  Shows ncp_fd(), batches, and a cursor to
 * come back to: `./loop BUS INCARNATION SEQ`, with the last line's words, goes on where it ended.
 */
#include <errno.h>
#include <ncpbus.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define BATCH 64

struct counts {
	unsigned long long frames, bytes, lost;
};

/* Read until there is nothing new: only then will the descriptor tell again.  1: the bus ended. */
static int drain(struct ncp_client *c, struct counts *n)
{
	struct ncp_frame f[BATCH];
	int r;

	memset(f, 0, sizeof(f));
	f[0].size = sizeof(f[0]);
	while ((r = ncp_next_batch(c, f, BATCH)) > 0) {
		/* An event comes alone. */
		if (f[0].kind == NCP_STATE && f[0].state == NCP_ENDED)
			return 1;
		if (f[0].kind == NCP_LOST && f[0].next_seq != NCP_UNKNOWN)
			n->lost += f[0].next_seq - f[0].seq;
		if (f[0].kind != NCP_FRAME)
			continue;
		for (int i = 0; i < r; i++) {
			/* f[i].data holds f[i].caplen bytes, until the next call. */
			n->frames++;
			n->bytes += f[i].len;
		}
	}
	return r;
}

static int watch(int epoll, int fd)
{
	struct epoll_event e;

	memset(&e, 0, sizeof(e));
	e.events = EPOLLIN;
	e.data.fd = fd;
	return fd < 0 ? -1 : epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
}

int main(int argc, char **argv)
{
	const struct itimerspec second = { { 1, 0 }, { 1, 0 } };
	struct ncp_options o = NCP_OPTIONS_INIT;
	struct ncp_cursor at = NCP_CURSOR_INIT;
	struct counts n = { 0, 0, 0 }, before = { 0, 0, 0 };
	struct epoll_event e;
	struct ncp_client *c;
	char error[256] = "";
	sigset_t signals;
	int epoll = epoll_create1(EPOLL_CLOEXEC), timer, sig, bus, r;

	if (argc != 2 && argc != 4) {
		fprintf(stderr, "usage: loop BUS [INCARNATION SEQ]\n");
		return 2;
	}
	/* Before ncp_fd() starts its thread, so that the thread leaves them to us, too. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	sig = signalfd(-1, &signals, SFD_CLOEXEC);
	timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	if (argc == 4) {
		o.from.whence = NCP_SEQ;
		o.from.incarnation = strtoull(argv[2], NULL, 16);
		o.from.value = strtoull(argv[3], NULL, 10);
	}
	o.error = error;
	o.error_cap = sizeof(error);
	r = ncp_attach(&c, argv[1], &o);
	if (r < 0) {
		fprintf(stderr, "loop: bus %s: %s\n", argv[1], error[0] ? error : ncp_strerror(r));
		return 1;
	}
	bus = ncp_fd(c);
	if (bus < 0 || watch(epoll, bus) || watch(epoll, timer) || watch(epoll, sig) ||
	    timerfd_settime(timer, 0, &second, NULL)) {
		fprintf(stderr, "loop: %s\n", bus < 0 ? ncp_strerror(bus) : strerror(errno));
		return 1;
	}
	/* What was there before the descriptor was. */
	r = drain(c, &n);
	while (r == 0 && epoll_wait(epoll, &e, 1, -1) == 1) {
		if (e.data.fd == bus) {
			r = drain(c, &n);
		} else if (e.data.fd == timer) {
			uint64_t ticks;

			if (read(timer, &ticks, sizeof(ticks)) != sizeof(ticks))
				break;
			printf("%llu frames/s %llu bytes/s %llu lost\n", n.frames - before.frames,
			       n.bytes - before.bytes, n.lost - before.lost);
			fflush(stdout);
			before = n;
		} else {
			break; /* a signal */
		}
	}
	if (r >= 0 && ncp_tell(c, &at) == 0)
		printf("%llu frames, %llu bytes, %llu lost; next: %016llx %llu\n", n.frames, n.bytes,
		       n.lost, (unsigned long long)at.incarnation, (unsigned long long)at.seq);
	else
		fprintf(stderr, "loop: %s\n", ncp_strerror(r));
	ncp_detach(c);
	close(timer);
	close(sig);
	close(epoll);
	return r < 0;
}
