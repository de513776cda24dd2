/* SPDX-License-Identifier: BSD-2-Clause */
/* keeper.c - a process that keeps the right to open a bus for a program that gives it up. */
#include "keeper.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define START_SECONDS 2
#define ASK_SECONDS 1

bool keeper_needed(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = { 0 };
	uid_t r, e, s;
	gid_t rg, eg, sg;

	if (getresuid(&r, &e, &s) < 0 || getresgid(&rg, &eg, &sg) < 0 ||
	    syscall(SYS_capget, &head, caps) < 0)
		return true;
	return e == 0 || r != e || s != e || rg != eg || sg != eg || caps[0].permitted ||
	       caps[1].permitted;
}

/* fork() without its handlers, and without a signal to the parent when the child ends: neither
 * concerns the program.  The child calls what a signal handler may call, and nothing else. */
static pid_t fork_silently(void)
{
	return (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
}

/* In the child: become the keeper.  Its parent ends at once, so that it is nobody's child. */
static _Noreturn void become(const char *path, int fd, char *const argv[])
{
	static char *const no_environment[] = { NULL };
	sigset_t none;

	if (fork_silently() != 0)
		_exit(0);
	if (fd == STDIN_FILENO ? fcntl(fd, F_SETFD, 0) < 0 : dup2(fd, STDIN_FILENO) < 0)
		_exit(127);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execve(path, argv, no_environment);
	_exit(127);
}

static int timeout_set(int fd, time_t seconds)
{
	const struct timeval t = { .tv_sec = seconds };

	return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t)) < 0 ||
			       setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)) < 0 ?
		       -errno :
		       0;
}

/* The next answer: 0, the descriptor that came with it in *passed (-1: none), or -errno. */
static int answer_get(int fd, int *passed)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct keeper_answer a = { 0 };
	struct iovec iov = { &a, sizeof(a) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control,
			    .msg_controllen = sizeof(control) };
	ssize_t n;

	*passed = -1;
	do {
		n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	if (n != (ssize_t)sizeof(a))
		return -EPIPE;
	const struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(passed, CMSG_DATA(c), sizeof(*passed));
	return a.code;
}

/* The keeper's program, in the folder that this code was loaded from. */
static int program_path(char path[PATH_MAX])
{
	Dl_info info;

	if (!dladdr((void *)program_path, &info) || !info.dli_fname)
		return -ENOENT;
	const char *slash = strrchr(info.dli_fname, '/');
	int len = slash ? (int)(slash - info.dli_fname) + 1 : 0;
	int n = snprintf(path, PATH_MAX, "%.*s%s", len, info.dli_fname, KEEPER_PROGRAM);
	return n < PATH_MAX ? access(path, X_OK) < 0 ? -errno : 0 : -ENAMETOOLONG;
}

int keeper_start(const char *dir, const char *bus)
{
	char path[PATH_MAX], *argv[] = { (char *)KEEPER_PROGRAM, (char *)dir, (char *)bus, NULL };
	sigset_t all, old;
	int pair[2], passed, r;

	r = program_path(path);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	/* No handler of the program may run in the child. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	pid_t pid = fork_silently();
	if (pid == 0)
		become(path, pair[1], argv);
	r = pid < 0 ? -errno : 0;
	sigprocmask(SIG_SETMASK, &old, NULL);
	close(pair[1]);
	if (pid > 0)
		while (waitpid(pid, NULL, __WCLONE) < 0 && errno == EINTR)
			;
	if (r == 0)
		r = timeout_set(pair[0], START_SECONDS);
	if (r == 0)
		r = answer_get(pair[0], &passed);
	if (r == 0)
		r = timeout_set(pair[0], ASK_SECONDS);
	if (r == 0)
		return pair[0];
	close(pair[0]);
	return r;
}

int keeper_ask(int fd)
{
	int passed = -1, r;

	if (send(fd, "", 1, MSG_NOSIGNAL) < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	r = answer_get(fd, &passed);
	if (r == 0)
		return passed >= 0 ? passed : -EPROTO;
	if (passed >= 0)
		close(passed);
	return r;
}
