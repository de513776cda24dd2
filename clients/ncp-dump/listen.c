/* SPDX-License-Identifier: BSD-2-Clause */
/* listen.c - PCAP-over-IP: whoever connects to a TCP port gets the frames, each in his own time. */
#include "listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/message.h"
#include "util/parse.h"

#define SECOND UINT64_C(1000000000)
#define LOOK_MS 250
#define GRACE_NS (2 * SECOND)

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* --- addresses -------------------------------------------------------------------------------- */

int listen_parse(const char *s, struct listen_address *a)
{
	struct sockaddr_in in4 = { .sin_family = AF_INET };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	const char *colon = strrchr(s, ':');
	size_t len = colon ? (size_t)(colon - s) : 0;
	char host[INET6_ADDRSTRLEN + 2];
	uint64_t port;

	if (len >= sizeof(host) || parse_u64(colon ? colon + 1 : s, 0, 65535, &port) < 0)
		return -EINVAL;
	memcpy(host, s, len);
	host[len] = '\0';
	in4.sin_port = in6.sin6_port = htons((uint16_t)port);
	if (len == 0 || !strcmp(host, "localhost"))
		strcpy(host, "127.0.0.1");
	*a = (struct listen_address){ 0 };
	if (len > 2 && host[0] == '[' && host[len - 1] == ']') {
		host[len - 1] = '\0';
		if (inet_pton(AF_INET6, host + 1, &in6.sin6_addr) != 1)
			return -EINVAL;
		memcpy(&a->addr, &in6, sizeof(in6));
		a->len = sizeof(in6);
		return 0;
	}
	if (inet_pton(AF_INET, host, &in4.sin_addr) != 1)
		return -EINVAL;
	memcpy(&a->addr, &in4, sizeof(in4));
	a->len = sizeof(in4);
	return 0;
}

bool listen_is_local(const struct listen_address *a)
{
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;

	memcpy(&in4, &a->addr, sizeof(in4));
	memcpy(&in6, &a->addr, sizeof(in6));
	return a->addr.ss_family == AF_INET ? ntohl(in4.sin_addr.s_addr) >> 24 == 127 :
					      IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
}

void listen_text(const struct listen_address *a, char out[LISTEN_TEXT_CAP])
{
	char host[INET6_ADDRSTRLEN] = "?";
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;

	memcpy(&in4, &a->addr, sizeof(in4));
	memcpy(&in6, &a->addr, sizeof(in6));
	if (a->addr.ss_family == AF_INET) {
		inet_ntop(AF_INET, &in4.sin_addr, host, sizeof(host));
		snprintf(out, LISTEN_TEXT_CAP, "%s:%u", host, ntohs(in4.sin_port));
	} else {
		inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof(host));
		snprintf(out, LISTEN_TEXT_CAP, "[%s]:%u", host, ntohs(in6.sin6_port));
	}
}

/* --- readers ---------------------------------------------------------------------------------- */

static void option(int fd, int level, int name, int value)
{
	/* Without it the reader is served all the same. */
	if (setsockopt(fd, level, name, &value, sizeof(value)) < 0)
		return;
}

/* One that vanished without a word is missed after 20 s, one whose program has gone at once. */
static void connection_options(int fd)
{
	option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	option(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	option(fd, IPPROTO_TCP, TCP_KEEPIDLE, 5);
	option(fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
	option(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
}

/* The reader's process. */
static void serve(struct listen *l, int k, int fd)
{
	int status = EXIT_FAILED;

	/* It does not outlive us. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	connection_options(fd);
	close(l->fd);
	if (dup2(fd, STDOUT_FILENO) >= 0) {
		close(fd);
		status = l->serve(l->arg, l->reader[k].name, &l->sums[k]);
	}
	_exit(status);
}

static int reader_begin(struct listen *l, int fd, const struct listen_address *from)
{
	int k = 0;
	pid_t pid;

	while (k < LISTEN_READERS && l->reader[k].pid)
		k++;
	if (k == LISTEN_READERS) {
		if (l->refused++ == 0 && !l->quiet)
			message_note("tcp-listen", "there are 32 readers, one more was sent away", NULL);
		return 0;
	}
	l->reader[k] = (struct listen_reader){ 0 };
	listen_text(from, l->reader[k].name);
	l->sums[k] = (struct listen_sum){ 0 };
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		serve(l, k, fd);
	l->reader[k].pid = pid;
	l->readers++;
	return 0;
}

static void reader_end(struct listen *l, int k, int how)
{
	const struct listen_sum *s = &l->sums[k];

	l->reader[k].pid = 0;
	l->sum.frames += s->frames;
	l->sum.filtered += s->filtered;
	l->sum.others += s->others;
	l->sum.lost += s->lost;
	l->sum.bytes += s->bytes;
	l->sum.unknown = l->sum.unknown || s->unknown;
	if (l->reader[k].killed) {
		message_note(l->reader[k].name, "it did not read any more", "it was left");
		return;
	}
	l->failed = l->failed || !WIFEXITED(how) || WEXITSTATUS(how) == EXIT_FAILED;
	if (!l->quiet)
		message_note(l->reader[k].name,
			     MESSAGE_TEXT("%llu frames, %llu filtered, %s%llu lost; %llu bytes",
					  (unsigned long long)s->frames,
					  (unsigned long long)s->filtered,
					  s->unknown ? "more than " : "",
					  (unsigned long long)s->lost,
					  (unsigned long long)s->bytes),
			     NULL);
}

/* Those that have ended.  How many have not? */
static int readers_reap(struct listen *l)
{
	int left = 0, how;

	for (int k = 0; k < LISTEN_READERS; k++) {
		if (!l->reader[k].pid)
			continue;
		if (waitpid(l->reader[k].pid, &how, WNOHANG) == l->reader[k].pid)
			reader_end(l, k, how);
		else
			left++;
	}
	return left;
}

static void readers_signal(struct listen *l, int sig)
{
	for (int k = 0; k < LISTEN_READERS; k++)
		if (l->reader[k].pid) {
			l->reader[k].killed = sig == SIGKILL;
			kill(l->reader[k].pid, sig);
		}
}

/* --- the port --------------------------------------------------------------------------------- */

int listen_open(struct listen *l, struct listen_address *a)
{
	int r;

	l->fd = socket(a->addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd < 0)
		return -errno;
	option(l->fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (a->addr.ss_family == AF_INET6)
		option(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (bind(l->fd, (struct sockaddr *)&a->addr, a->len) < 0 || listen(l->fd, 16) < 0 ||
	    getsockname(l->fd, (struct sockaddr *)&a->addr, &a->len) < 0)
		goto fail;
	l->sums = mmap(NULL, LISTEN_READERS * sizeof(*l->sums), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (l->sums != MAP_FAILED)
		return 0;
	l->sums = NULL;
fail:
	r = -errno;
	listen_close(l);
	return r;
}

void listen_close(struct listen *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	if (l->sums)
		munmap(l->sums, LISTEN_READERS * sizeof(*l->sums));
	l->sums = NULL;
}

/* Everybody who waits to be let in. */
static int accept_all(struct listen *l)
{
	for (;;) {
		struct listen_address from = { .len = sizeof(from.addr) };
		int r, fd = accept4(l->fd, (struct sockaddr *)&from.addr, &from.len, SOCK_CLOEXEC);

		if (fd < 0)
			/* One that has left meanwhile is no failure, nor is a network that is down. */
			return errno == EMFILE || errno == ENFILE || errno == EBADF || errno == EINVAL ?
				       -errno :
				       0;
		r = reader_begin(l, fd, &from);
		close(fd);
		if (r < 0)
			return r;
	}
}

int listen_run(struct listen *l)
{
	int before = l->over(l->arg), over, r = 0;
	uint64_t look_ns = now_ns(), until_ns = 0;
	bool killed = false;

	for (;;) {
		struct pollfd p = { .fd = l->fd, .events = POLLIN }; /* fd < 0: only the time */
		int left = readers_reap(l);

		if (l->fd < 0 && left == 0)
			return r;
		/* Children's ends do not wake poll: SIGCHLD is not caught. */
		if (poll(&p, 1, l->fd < 0 ? 20 : LOOK_MS) > 0)
			r = accept_all(l);
		uint64_t now = now_ns();
		over = LISTEN_GOES_ON;
		if (l->fd >= 0 && now - look_ns >= SECOND) {
			over = l->over(l->arg);
			look_ns = now;
		}
		if (!until_ns && (*l->stop || r < 0)) {
			readers_signal(l, SIGTERM);
			until_ns = now + GRACE_NS;
		}
		if (l->fd >= 0 && (until_ns || over == LISTEN_GONE ||
				   (over == LISTEN_ENDED && before == LISTEN_GOES_ON))) {
			close(l->fd);
			l->fd = -1;
		}
		if (until_ns && now > until_ns && !killed) {
			readers_signal(l, SIGKILL);
			killed = true;
		}
	}
}
