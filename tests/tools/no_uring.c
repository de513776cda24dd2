/* SPDX-License-Identifier: BSD-2-Clause */
/* no_uring.c - run a command where io_uring is forbidden, as in many containers. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * no_uring setup|enter COMMAND [ARG...]
 *
 * setup: no ring can be made.  enter: it can be made and not used.
 */
int main(int argc, char **argv)
{
	if (argc < 3 || (strcmp(argv[1], "setup") && strcmp(argv[1], "enter"))) {
		fputs("usage: no_uring setup|enter COMMAND [ARG...]\n", stderr);
		return 2;
	}
	unsigned int call = strcmp(argv[1], "setup") ? SYS_io_uring_enter : SYS_io_uring_setup;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
		perror("no_uring: seccomp");
		return 125;
	}
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}
