/* SPDX-License-Identifier: BSD-2-Clause */
/* ncp-pcap-keeper.c - opens one bus, for reading, for who holds the other end of its stdin. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "keeper.h"

/* All it has open: the socket on 0, /dev/null on 1 and 2, and the directory of the busses. */
#define DIR_FD 3

/* Of all rights only that of opening what may not be read by all: DAC_OVERRIDE and
 * DAC_READ_SEARCH, if it had them. */
static int capabilities_drop(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3] = { 0 };
	const uint32_t kept = 1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH;

	if (syscall(SYS_capget, &head, caps) < 0)
		return -1;
	caps[0].effective &= kept;
	caps[0].permitted &= kept;
	caps[0].inheritable = 0;
	caps[1] = (struct __user_cap_data_struct){ 0 };
	return (int)syscall(SYS_capset, &head, caps);
}

static int confine(void)
{
	const struct rlimit none = { 0 };

	/* Out of the program's process group: what ends that must not end this. */
	setsid();
	close_range(DIR_FD + 1, UINT_MAX, 0);
	return chdir("/") < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
			       prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
			       setrlimit(RLIMIT_CORE, &none) < 0 || capabilities_drop() < 0 ?
		       -1 :
		       0;
}

static int answer(int code, int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct keeper_answer a = { .code = code };
	struct iovec iov = { &a, sizeof(a) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	memset(&control, 0, sizeof(control));
	if (fd >= 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		control.head.cmsg_level = SOL_SOCKET;
		control.head.cmsg_type = SCM_RIGHTS;
		control.head.cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	}
	return sendmsg(STDIN_FILENO, &m, MSG_NOSIGNAL) < 0 ? -1 : 0;
}

int main(int argc, char **argv)
{
	char name[NAME_MAX + 1], asked;
	struct sigaction ignore = { .sa_handler = SIG_IGN };

	if (argc != 3 || strchr(argv[2], '/') ||
	    (size_t)snprintf(name, sizeof(name), "ncp.%s", argv[2]) >= sizeof(name)) {
		fprintf(stderr, "usage: ncp-pcap-keeper DIR BUS  (started by libncp-pcap.so)\n");
		return 2;
	}
	/* It ends when the program does, and by nothing that is meant for the program. */
	sigaction(SIGINT, &ignore, NULL);
	sigaction(SIGQUIT, &ignore, NULL);
	sigaction(SIGTERM, &ignore, NULL);
	sigaction(SIGHUP, &ignore, NULL);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int dir = open(argv[1], O_RDONLY | O_DIRECTORY);
	if (null < 0 || dir < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(null, STDERR_FILENO) < 0 || dup2(dir, DIR_FD) < 0)
		return 1;
	if (confine() < 0 || answer(0, -1) < 0)
		return 1;
	for (;;) {
		ssize_t n = recv(STDIN_FILENO, &asked, 1, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n != 1)
			return 0;
		int fd = openat(DIR_FD, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (answer(fd < 0 ? -errno : 0, fd) < 0)
			return 0;
		if (fd >= 0)
			close(fd);
	}
}
