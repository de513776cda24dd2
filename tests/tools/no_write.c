/* SPDX-License-Identifier: BSD-2-Clause */
/* no_write.c - run a command whose writes fail from a place in a file on, as on a disk that is bad there. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/*
 * no_write EIO|EDQUOT OFFSET COMMAND [ARG...]
 *
 * Each pwrite() that begins at OFFSET or behind it (below 4 GiB) fails so.  io_uring does not pass by
 * here.
 */
int main(int argc, char **argv)
{
	if (argc < 4 || (strcmp(argv[1], "EIO") && strcmp(argv[1], "EDQUOT"))) {
		fputs("usage: no_write EIO|EDQUOT OFFSET COMMAND [ARG...]\n", stderr);
		return 2;
	}
	unsigned int error = strcmp(argv[1], "EIO") ? EDQUOT : EIO;
	unsigned int low = offsetof(struct seccomp_data, args[3]) +
			   (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__ ? 4 : 0);
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pwrite64, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, low),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (unsigned int)strtoul(argv[2], NULL, 10), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0) {
		perror("no_write: seccomp");
		return 125;
	}
	execvp(argv[3], argv + 3);
	perror(argv[3]);
	return 127;
}
