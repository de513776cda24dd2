/* SPDX-License-Identifier: BSD-2-Clause */
/* helper.c - the capturing process's side of the helper: it is made, asked, and ended. */
#include "producer/helper.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libncpbus/include/ncpbus.h"
#include "producer/helper_child.h"
#include "producer/source.h"

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

/* What comes with an answer. */
struct heard {
	int fd; /* -1: none */
	union behind *behind; /* NULL: nothing is expected behind the message */
	size_t len; /* bytes of it */
};

/* The result of an answer of this kind; all of it in *m and *heard. */
static int hear(struct helper *h, enum helper_kind kind, struct helper_message *m,
		struct heard *heard)
{
	struct iovec iov[2] = { { .iov_base = m, .iov_len = sizeof(*m) },
				{ .iov_base = heard->behind,
				  .iov_len = heard->behind ? sizeof(*heard->behind) : 0 } };
	union passed passed;
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2, .msg_control = passed.bytes,
			      .msg_controllen = sizeof(passed.bytes) };
	ssize_t n;

	heard->fd = -1;
	heard->len = 0;
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
		memcpy(&heard->fd, CMSG_DATA(c), sizeof(int));
	if (n < (ssize_t)sizeof(*m) || m->kind != kind || msg.msg_flags & MSG_TRUNC)
		return -EPROTO;
	heard->len = (size_t)n - sizeof(*m);
	return m->result;
}

/* Ask, and hear the result. */
static int ask_and_hear(struct helper *h, struct helper_message *m, struct heard *heard)
{
	enum helper_kind kind = (enum helper_kind)m->kind;

	pthread_mutex_lock(&h->lock);
	int r = ask(h, m, 0);
	if (r == 0)
		r = hear(h, kind, m, heard);
	pthread_mutex_unlock(&h->lock);
	return r;
}

int helper_fork(struct helper *h, const struct helper_options *o)
{
	struct helper_message ready;
	struct heard none = { .fd = -1 };
	int pair[2], r;

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
		helper_child(pair[1], o);
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
	struct heard none = { .fd = -1 };

	return ask_and_hear(h, &m, &none);
}

int helper_open(struct helper *h, uint32_t index)
{
	struct helper_message m = { .kind = HELPER_OPEN, .index = index };
	struct heard heard = { .fd = -1 };
	int r = ask_and_hear(h, &m, &heard);

	if (r == 0)
		return heard.fd < 0 ? -EPROTO : heard.fd;
	if (heard.fd >= 0)
		close(heard.fd);
	return r;
}

int helper_socket(struct helper *h, uint32_t index, struct packet_socket *s)
{
	struct helper_message m = { .kind = HELPER_SOCKET, .index = index };
	struct heard heard = { .fd = -1 };
	int r = ask_and_hear(h, &m, &heard);

	if (r == 0 && heard.fd < 0)
		r = -EPROTO;
	if (r < 0 && heard.fd >= 0)
		close(heard.fd);
	*s = (struct packet_socket){ .fd = r < 0 ? -1 : heard.fd,
				     .ifindex = m.ifindex,
				     .block_len = m.block_len,
				     .n_blocks = m.n_blocks,
				     .slot_len = m.slot_len,
				     .hwtime = m.hwtime };
	return r;
}

/* The reason that came with an answer, or the code's own. */
static int reason(const struct heard *heard, int r, char *why)
{
	if (heard->len && heard->len < SOURCE_WHY_CAP)
		snprintf(why, SOURCE_WHY_CAP, "%.*s", (int)heard->len, heard->behind->why);
	else
		snprintf(why, SOURCE_WHY_CAP, "filter: %s: start ncp-producer again",
			 r == -EPIPE ? "the helper process, which would compile it, is gone"
				     : ncp_strerror(r));
	return r;
}

int helper_filter_read(struct helper *h, char *why)
{
	struct helper_message m = { .kind = HELPER_READ };
	union behind behind;
	struct heard heard = { .fd = -1, .behind = &behind };
	int r = ask_and_hear(h, &m, &heard);

	return r < 0 ? reason(&heard, r, why) : 0;
}

/* Ask for a program. */
static int filter_compile(struct helper *h, struct helper_message *m, struct compile_program *p,
			  char *why)
{
	const bool may_be_none = m->kind == HELPER_COMPILE_FRAMES;
	union behind behind;
	struct heard heard = { .fd = -1, .behind = &behind };
	int r = ask_and_hear(h, m, &heard);

	*p = (struct compile_program){ NULL, 0 };
	if (r < 0)
		return reason(&heard, r, why);
	const struct compile_program passed = {
		.insns = behind.insns, .n = (unsigned)(heard.len / sizeof(*behind.insns))
	};
	r = (!passed.n && !may_be_none) || heard.len % sizeof(*behind.insns)
		    ? -EPROTO
		    : compile_copy(&passed, p);
	heard.len = 0;
	return r < 0 ? reason(&heard, r, why) : 0;
}

int helper_filter_compile(struct helper *h, uint32_t index, uint32_t linktype,
			  struct compile_program *p, char *why)
{
	struct helper_message m = { .kind = HELPER_COMPILE, .index = index, .linktype = linktype };

	return filter_compile(h, &m, p, why);
}

int helper_filter_compile_frames(struct helper *h, int dlt, struct compile_program *p, char *why)
{
	struct helper_message m = { .kind = HELPER_COMPILE_FRAMES, .linktype = (uint32_t)dlt };

	return filter_compile(h, &m, p, why);
}

void helper_filter_settle(struct helper *h, bool take)
{
	const struct helper_message m = { .kind = HELPER_SETTLE, .index = take };

	pthread_mutex_lock(&h->lock);
	(void)ask(h, &m, 0); /* a helper that is gone is found out by the next question */
	pthread_mutex_unlock(&h->lock);
}

void helper_close(struct helper *h)
{
	if (h->fd < 0)
		return;
	/* Where closing it is passed over (privs.h), this tells the helper. */
	shutdown(h->fd, SHUT_RDWR);
	close(h->fd);
	h->fd = -1;
	pthread_mutex_destroy(&h->lock);
	while (waitpid(h->pid, NULL, 0) < 0 && errno == EINTR)
		;
}
