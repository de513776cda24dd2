/* SPDX-License-Identifier: BSD-2-Clause */
/* helper_child.c - the helper's own side: it answers what the capturing process asks. */
#include "producer/helper_child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "libncpbus/create.h"
#include "libncpbus/group.h"
#include "libncpbus/line.h"

/* Lines looked at per question, some five system calls each: a registry that somebody filled with a
 * million files costs a few milliseconds a second and is still walked through in the end. */
#define REAP_FILES 2048

struct self {
	int fd, dirfd;
	char bus[NCPI_NAME_CAP];
	uint64_t dev, ino; /* 0, 0: not yet told */
	DIR *registry;	   /* a walk under way */
	struct packet_list packets;
	struct bus_list busses;
	struct filter_text filter; /* its words are ours; no file: it cannot be read again */
	char *text[2]; /* of the present and of the next filter; NULL: none */
	bool next;     /* there is a next one */
	struct compile_keep keep;
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

static int answer_with(const struct self *s, struct helper_message *m, void *data, size_t len)
{
	struct iovec iov[2] = { { .iov_base = m, .iov_len = sizeof(*m) },
				{ .iov_base = data, .iov_len = len } };
	const struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };

	return sendmsg(s->fd, &msg, MSG_NOSIGNAL) == (ssize_t)(sizeof(*m) + len) ? 0 : -errno;
}

/* Compile a text for one of the interfaces. */
static int compile_for(const struct self *s, uint32_t index, uint32_t linktype, const char *text,
		       struct compile_program *p, char *why)
{
	*p = (struct compile_program){ NULL, 0 };
	if (index >= s->packets.n) {
		snprintf(why, SOURCE_WHY_CAP, "filter: no such interface");
		return -EINVAL;
	}
	struct packet_filter f = s->packets.want[index].filter;
	f.device = s->packets.want[index].name;
	f.linktype = linktype;
	f.text = text;
	f.keep = &s->keep;
	return packet_filter_make(&f, p, why);
}

static const char *text_of(const struct self *s, bool next)
{
	const char *text = s->text[next];

	return text && *text ? text : NULL;
}

/* Make what the file holds the next filter. */
static int filter_read(struct self *s)
{
	struct helper_message m = { .kind = HELPER_READ };
	char why[SOURCE_WHY_CAP] = "filter: there is no file to read";

	free(s->text[1]);
	s->text[1] = NULL;
	s->next = false;
	m.result = s->filter.file ? filter_text_make(&s->filter, true, &s->text[1], why) : -EINVAL;
	for (uint32_t i = 0; m.result == 0 && i < s->packets.n; i++) {
		struct compile_program p;

		m.result = compile_for(s, i, s->packets.want[i].filter.linktype, text_of(s, true),
				       &p, why);
		compile_free(&p);
	}
	s->next = m.result == 0;
	return answer_with(s, &m, why, m.result ? strlen(why) : 0);
}

static void filter_settle(struct self *s, bool take)
{
	if (!s->next)
		return;
	free(s->text[!take]);
	if (take)
		s->text[0] = s->text[1];
	s->text[1] = NULL;
	s->next = false;
}

/* Answer with a program, of which nothing stays here, or with the reason why there is none. */
static int program_pass(const struct self *s, enum helper_kind kind, int result,
			struct compile_program *p, char *why)
{
	struct helper_message m = { .kind = kind, .result = result };
	int r = result ? answer_with(s, &m, why, strlen(why))
		       : answer_with(s, &m, p->insns, p->n * sizeof(*p->insns));

	compile_free(p);
	return r;
}

static int filter_pass(struct self *s, uint32_t index, uint32_t linktype)
{
	struct compile_program p;
	char why[SOURCE_WHY_CAP] = "";
	int r = compile_for(s, index, linktype, text_of(s, s->next), &p, why);

	/* The next file must do for the interface as it is by now. */
	if (r == 0)
		s->packets.want[index].filter.linktype = linktype;
	return program_pass(s, HELPER_COMPILE, r, &p, why);
}

static int frames_filter_pass(const struct self *s, int dlt)
{
	struct compile_program p;
	char why[SOURCE_WHY_CAP] = "";
	int r = compile_offline(dlt, NCPI_SNAPLEN, text_of(s, s->next), &p, why);

	if (r == 0 && p.n > BPF_MAXINSNS) { /* more than a message holds */
		compile_free(&p);
		snprintf(why, sizeof(why), "filter: more than %u instructions: make it simpler",
			 (unsigned)BPF_MAXINSNS);
		r = -EINVAL;
	}
	return program_pass(s, HELPER_COMPILE_FRAMES, r, &p, why);
}

/* Answer with a descriptor, of which nothing stays here. */
static int pass(const struct self *s, struct helper_message *m, int fd)
{
	struct iovec iov = { .iov_base = m, .iov_len = sizeof(*m) };
	union passed passed = { 0 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = passed.bytes,
			      .msg_controllen = sizeof(passed.bytes) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	int r = sendmsg(s->fd, &msg, MSG_NOSIGNAL) == (ssize_t)sizeof(*m) ? 0 : -errno;
	close(fd);
	return r;
}

/* Open one of the other busses, whatever bears its name by now. */
static int bus_pass(const struct self *s, uint32_t index)
{
	struct helper_message m = { .kind = HELPER_OPEN, .index = index };
	char name[NCPI_FILE_CAP];

	if (index >= s->busses.n)
		return answer(s, HELPER_OPEN, -EINVAL);
	ncpi_name_file(name, s->busses.name[index], "");
	int fd = openat(s->dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	return fd < 0 ? answer(s, HELPER_OPEN, -errno) : pass(s, &m, fd);
}

/* Open a socket on one of the interfaces and pass it on. */
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
				    .slot_len = opened.slot_len,
				    .hwtime = opened.hwtime };
	return pass(s, &m, opened.fd);
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
		case HELPER_OPEN:
			if (bus_pass(s, m.index) < 0)
				return;
			break;
		case HELPER_SOCKET:
			if (socket_pass(s, m.index) < 0)
				return;
			break;
		case HELPER_READ:
			if (filter_read(s) < 0)
				return;
			break;
		case HELPER_COMPILE:
			if (filter_pass(s, m.index, m.linktype) < 0)
				return;
			break;
		case HELPER_COMPILE_FRAMES:
			if (frames_filter_pass(s, (int)m.linktype) < 0)
				return;
			break;
		case HELPER_SETTLE:
			filter_settle(s, m.index);
			break;
		default:
			return;
		}
	}
}

/* What filters are compiled with later; without it, some cannot be (compile.h). */
static void keep_open(struct self *s)
{
	int r = compile_keep_open(&s->keep, "lo");

	for (uint32_t i = 0; r < 0 && i < s->packets.n; i++)
		r = compile_keep_open(&s->keep, s->packets.want[i].name);
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

static int copy(const char *text, const char **to)
{
	*to = text ? strdup(text) : NULL;
	return text && !*to ? -ENOMEM : 0;
}

static int filter_copy(struct self *s, const struct helper_options *o)
{
	const struct filter_text none = { .file = NULL }, *from = o->filter ? o->filter : &none;
	const char *now;
	int r = copy(o->filter_now, &now);

	s->text[0] = (char *)(uintptr_t)now;
	if (r == 0)
		r = copy(from->file, &s->filter.file);
	if (r == 0)
		r = copy(from->from, &s->filter.from);
	return r == 0 ? copy(from->to, &s->filter.to) : r;
}

/* What is kept of the starter's rights. */
static unsigned long long rights(const struct packet_list *packets)
{
	unsigned long long keep = packets->n ? 1ull << CAP_NET_RAW : 0;

	for (uint32_t i = 0; i < packets->n; i++)
		if (packets->want[i].hwtime)
			keep |= 1ull << CAP_NET_ADMIN;
	return keep;
}

static enum privs_role role(const struct self *s)
{
	return s->packets.n    ? PRIVS_HELPER_SOCKETS
	       : s->filter.file ? PRIVS_HELPER_FILTER
				: PRIVS_HELPER;
}

void helper_child(int fd, const struct helper_options *o)
{
	struct self s = { .fd = fd, .dirfd = o->dirfd };
	struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t none;

	snprintf(s.bus, sizeof(s.bus), "%s", o->bus);
	if (o->packets)
		s.packets = *o->packets;
	if (o->busses)
		s.busses = *o->busses;
	/* What ps shows is overwritten below, and with it the words of the command line. */
	int r = filter_copy(&s, o);
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
	if (r == 0)
		r = descriptors_keep(&s);
	if (r == 0 && s.packets.n && (s.text[0] || s.filter.file))
		keep_open(&s);
	if (r == 0)
		r = privs_drop(o->who, geteuid(), rights(&s.packets));
	if (r == 0)
		r = privs_confine(role(&s), s.dirfd, NULL, NULL);
	if (answer(&s, HELPER_READY, r) == 0 && r == 0)
		serve(&s);
	packet_clocks_restore(&s.packets);
	if (s.registry)
		closedir(s.registry);
	filter_settle(&s, false);
	free(s.text[0]);
	free((char *)(uintptr_t)s.filter.file);
	free((char *)(uintptr_t)s.filter.from);
	free((char *)(uintptr_t)s.filter.to);
	compile_keep_close(&s.keep);
	_exit(0);
}
