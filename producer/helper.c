/* SPDX-License-Identifier: BSD-2-Clause */
/* helper.c - a second process that keeps the right to the names, and does nothing unasked. */
#include "producer/helper.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libncpbus/create.h"
#include "libncpbus/group.h"
#include "libncpbus/line.h"

/* Lines looked at per question, some five system calls each: a registry that somebody filled with a
 * million files costs a few milliseconds a second and is still walked through in the end. */
#define REAP_FILES 2048

/* --- the helper's side ---------------------------------------------------------------------- */

struct self {
	int fd, dirfd;
	char bus[NCPI_NAME_CAP];
	uint64_t dev, ino; /* 0, 0: not yet told */
	DIR *registry;	   /* a walk under way */
	struct packet_list packets;
};

/* Remove the next few lines whose owners are dead. */
static void reap(struct self *s)
{
	if (!s->registry) {
		char name[NCPI_FILE_CAP];

		ncpi_name_file(name, s->bus, "+clients");
		int fd = openat(s->dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		s->registry = fd < 0 ? NULL : fdopendir(fd);
		if (!s->registry) {
			if (fd >= 0)
				close(fd);
			return;
		}
	}
	for (int i = 0; i < REAP_FILES; i++) {
		const struct dirent *e = readdir(s->registry);

		if (!e) {
			closedir(s->registry);
			s->registry = NULL;
			return;
		}
		/* What begins with '+' belongs to a group of clients, not to one. */
		if (*e->d_name == '+')
			(void)ncpi_group_reap(dirfd(s->registry), e->d_name);
		else if (*e->d_name != '.')
			(void)ncpi_line_reap(dirfd(s->registry), e->d_name, false);
	}
}

static int answer(const struct self *s, enum helper_kind kind, int result)
{
	const struct helper_message m = { .kind = kind, .result = result };

	return send(s->fd, &m, sizeof(m), MSG_NOSIGNAL) == (ssize_t)sizeof(m) ? 0 : -errno;
}

/* Room for one descriptor beside a message. */
union passed {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

/* Open a socket on one of the interfaces and pass it on; none of it stays here. */
static int socket_pass(struct self *s, uint32_t index)
{
	struct packet_socket opened;
	int r = index < s->packets.n ? packet_socket_open(&s->packets.want[index], &opened)
				     : -EINVAL;

	if (r < 0)
		return answer(s, HELPER_SOCKET, r);
	struct helper_message m = { .kind = HELPER_SOCKET,
				    .index = index,
				    .ifindex = opened.ifindex,
				    .block_len = opened.block_len,
				    .n_blocks = opened.n_blocks,
				    .slot_len = opened.slot_len };
	struct iovec iov = { .iov_base = &m, .iov_len = sizeof(m) };
	union passed passed = { 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = passed.bytes,
			      .msg_controllen = sizeof(passed.bytes) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &opened.fd, sizeof(int));
	r = sendmsg(s->fd, &msg, MSG_NOSIGNAL) == (ssize_t)sizeof(m) ? 0 : -errno;
	close(opened.fd);
	return r;
}

/* Answer questions until nobody is left to ask. */
static void serve(struct self *s)
{
	struct helper_message m;

	for (;;) {
		ssize_t n = recv(s->fd, &m, sizeof(m), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n != (ssize_t)sizeof(m))
			return;
		switch (m.kind) {
		case HELPER_BUS:
			if (!s->ino) {
				s->dev = m.dev;
				s->ino = m.ino;
			}
			break;
		case HELPER_REAP:
			if (s->ino)
				reap(s);
			break;
		case HELPER_UNLINK: {
			/* Without an inode it would remove whatever stands there. */
			int r = s->ino ? ncpi_bus_unlink(s->dirfd, s->bus, (dev_t)s->dev,
							 (ino_t)s->ino, false)
				       : -ESTALE;

			if (answer(s, HELPER_UNLINK, r) < 0)
				return;
			break;
		}
		case HELPER_SOCKET:
			if (socket_pass(s, m.index) < 0)
				return;
			break;
		default:
			return;
		}
	}
}

/* Keep nothing of the parent's but the directory, the socket and stderr: above all no packet socket,
 * which would go on filling its ring for as long as somebody has it. */
static int descriptors_keep(struct self *s)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int fd = fcntl(s->fd, F_DUPFD_CLOEXEC, 64), dir = fcntl(s->dirfd, F_DUPFD_CLOEXEC, 64);

	if (null < 0 || fd < 0 || dir < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
	    dup3(fd, 3, O_CLOEXEC) < 0 || dup3(dir, 4, O_CLOEXEC) < 0 ||
	    close_range(5, ~0u, 0) < 0)
		return -errno;
	s->fd = 3;
	s->dirfd = 4;
	return 0;
}

/* Never returns. */
static void child(int fd, const struct helper_options *o)
{
	struct self s = { .fd = fd, .dirfd = o->dirfd };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t none;
	int r;

	snprintf(s.bus, sizeof(s.bus), "%s", o->bus);
	if (o->packets)
		s.packets = *o->packets;
	prctl(PR_SET_NAME, "ncp-helper", 0, 0, 0);
	if (o->argv0 && o->argv_len) {
		memset(o->argv0, 0, o->argv_len);
		snprintf(o->argv0, o->argv_len, "ncp-helper: %s", s.bus);
	}
	sigaction(SIGINT, &ignore, NULL);
	sigaction(SIGTERM, &ignore, NULL);
	sigaction(SIGHUP, &ignore, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	r = descriptors_keep(&s);
	if (r == 0)
		r = privs_drop(o->who, geteuid(), s.packets.n ? 1ull << CAP_NET_RAW : 0);
	if (r == 0)
		r = privs_confine(s.packets.n ? PRIVS_HELPER_SOCKETS : PRIVS_HELPER, -1, NULL);
	if (answer(&s, HELPER_READY, r) == 0 && r == 0)
		serve(&s);
	if (s.registry)
		closedir(s.registry);
	_exit(0);
}

/* --- the capturing process's side ----------------------------------------------------------- */

static int ask(struct helper *h, const struct helper_message *m, int flags)
{
	ssize_t n;

	if (h->fd < 0)
		return -EPIPE;
	do
		n = send(h->fd, m, sizeof(*m), MSG_NOSIGNAL | flags);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

/* The result of an answer of this kind; all of it in *m, and the descriptor that came with it in
 * *fd, -1: none. */
static int hear(struct helper *h, enum helper_kind kind, struct helper_message *m, int *fd)
{
	struct iovec iov = { .iov_base = m, .iov_len = sizeof(*m) };
	union passed passed;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = passed.bytes,
			      .msg_controllen = sizeof(passed.bytes) };
	ssize_t n;

	*fd = -1;
	do
		n = recvmsg(h->fd, &msg, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return -EPIPE;
	if (n < 0)
		return -errno;
	const struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(c), sizeof(int));
	return n == (ssize_t)sizeof(*m) && m->kind == kind ? m->result : -EPROTO;
}

/* Ask, and hear the result. */
static int ask_and_hear(struct helper *h, struct helper_message *m, int *fd)
{
	enum helper_kind kind = (enum helper_kind)m->kind;

	pthread_mutex_lock(&h->lock);
	int r = ask(h, m, 0);
	if (r == 0)
		r = hear(h, kind, m, fd);
	pthread_mutex_unlock(&h->lock);
	return r;
}

int helper_fork(struct helper *h, const struct helper_options *o)
{
	struct helper_message ready;
	int pair[2], r, none;

	*h = (struct helper){ .fd = -1 };
	pthread_mutex_init(&h->lock, NULL);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	h->pid = fork();
	if (h->pid < 0) {
		r = -errno;
		close(pair[0]);
		close(pair[1]);
		return r;
	}
	if (h->pid == 0) {
		close(pair[0]);
		child(pair[1], o);
	}
	close(pair[1]);
	h->fd = pair[0];
	r = hear(h, HELPER_READY, &ready, &none);
	if (r < 0)
		helper_close(h);
	return r;
}

int helper_bus(struct helper *h, dev_t dev, ino_t ino)
{
	const struct helper_message m = { .kind = HELPER_BUS, .dev = dev, .ino = ino };

	return ask(h, &m, 0);
}

void helper_reap(struct helper *h)
{
	const struct helper_message m = { .kind = HELPER_REAP };

	if (pthread_mutex_trylock(&h->lock))
		return;
	(void)ask(h, &m, MSG_DONTWAIT);
	pthread_mutex_unlock(&h->lock);
}

int helper_unlink(struct helper *h)
{
	struct helper_message m = { .kind = HELPER_UNLINK };
	int none;

	return ask_and_hear(h, &m, &none);
}

int helper_socket(struct helper *h, uint32_t index, struct packet_socket *s)
{
	struct helper_message m = { .kind = HELPER_SOCKET, .index = index };
	int fd = -1, r = ask_and_hear(h, &m, &fd);

	if (r == 0 && fd < 0)
		r = -EPROTO;
	if (r < 0 && fd >= 0)
		close(fd);
	*s = (struct packet_socket){ .fd = r < 0 ? -1 : fd,
				     .ifindex = m.ifindex,
				     .block_len = m.block_len,
				     .n_blocks = m.n_blocks,
				     .slot_len = m.slot_len };
	return r;
}

void helper_close(struct helper *h)
{
	if (h->fd < 0)
		return;
	close(h->fd);
	h->fd = -1;
	pthread_mutex_destroy(&h->lock);
	while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR)
		;
}
