/* SPDX-License-Identifier: BSD-2-Clause */
/* syscall_inject.c - have a running thread of another process make a system call. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/if_packet.h>
#include <linux/prctl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * syscall_inject TID CALL [ARG0]
 *
 * What somebody does who has taken the process over.  CALL is one of the names below, with arguments
 * that do no harm where the call is allowed; ARG0 takes the place of its first.  Prints "returned N",
 * and the thread goes on as if nothing had been; or "killed by N", the number of the signal.
 * Exits 1 if it could not be tried.
 */
static const struct call {
	const char *name;
	long number;
	uint64_t arg[6];
} calls[] = {
	{ "getpid", SYS_getpid, { 0 } },
	{ "execve", SYS_execve, { 0 } },
	{ "fork", SYS_clone, { SIGCHLD } },
	{ "socket", SYS_socket, { AF_INET, SOCK_STREAM } },
	{ "open", SYS_openat, { (uint64_t)AT_FDCWD, 0, O_RDONLY } },
	{ "create", SYS_openat, { (uint64_t)AT_FDCWD, 0, O_WRONLY | O_CREAT, 0600 } },
	{ "unlink", SYS_unlinkat, { (uint64_t)AT_FDCWD } },
	{ "ftruncate", SYS_ftruncate, { UINT32_MAX } },
	{ "fallocate", SYS_fallocate, { UINT32_MAX } },
	{ "setuid", SYS_setuid, { UINT32_MAX } },
	{ "capset", SYS_capset, { 0 } },
	{ "kill", SYS_kill, { 1, 0 } },
	{ "ptrace", SYS_ptrace, { PTRACE_PEEKDATA, 1 } },
	{ "ioctl", SYS_ioctl, { UINT32_MAX } },
	{ "bind", SYS_bind, { UINT32_MAX } },
	{ "connect", SYS_connect, { UINT32_MAX } },
	{ "dup", SYS_dup, { UINT32_MAX } },
	{ "mount", SYS_mount, { 0 } },
	{ "setns", SYS_setns, { UINT32_MAX } },
	{ "bpf", SYS_bpf, { UINT32_MAX } },
	{ "io_uring_setup", SYS_io_uring_setup, { 0 } },
	{ "code", SYS_mmap, { 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS,
			      (uint64_t)-1 } },
	{ "write", SYS_write, { UINT32_MAX, 0, 64 } },
	{ "writev", SYS_writev, { UINT32_MAX, 0, 1 } },
	{ "sendto", SYS_sendto, { UINT32_MAX, 0, 64 } },
	{ "sendmsg", SYS_sendmsg, { UINT32_MAX } },
	{ "fanout", SYS_setsockopt, { UINT32_MAX, SOL_PACKET, PACKET_FANOUT, 0, sizeof(int) } },
	{ "close", SYS_close, { UINT32_MAX } },
	{ "dumpable", SYS_prctl, { PR_SET_DUMPABLE, 0 } },
};
#define N_CALLS (sizeof(calls) / sizeof(calls[0]))

#ifdef __x86_64__

static int fail(const char *what)
{
	fprintf(stderr, "syscall_inject: %s: %s\n", what, strerror(errno));
	return 1;
}

/* Where a system call instruction stands that every process has: in the vDSO.  0: nowhere. */
static uint64_t instruction_find(pid_t tid)
{
	static uint8_t code[1 << 16];
	char path[64], line[512];
	uint64_t from = 0, to = 0;

	snprintf(path, sizeof(path), "/proc/%d/maps", tid);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, "[vdso]") && sscanf(line, "%" SCNx64 "-%" SCNx64, &from, &to) == 2)
			break;
	if (f)
		fclose(f);
	size_t len = to - from < sizeof(code) ? to - from : sizeof(code);
	struct iovec here = { code, len }, there = { (void *)(uintptr_t)from, len };
	if (!from || process_vm_readv(tid, &here, 1, &there, 1, 0) != (ssize_t)len)
		return 0;
	const uint8_t *found = memmem(code, len, "\x0f\x05", 2);
	return found ? from + (uint64_t)(found - code) : 0;
}

static int inject(pid_t tid, const struct call *c, const uint64_t *arg0)
{
	struct user_regs_struct before, r;
	int status;

	if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) < 0 ||
	    ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) < 0 || waitpid(tid, &status, __WALL) != tid ||
	    ptrace(PTRACE_GETREGS, tid, NULL, &before) < 0)
		return fail("stopping the thread");
	r = before;
	r.rip = instruction_find(tid);
	if (!r.rip)
		return fail("no system call instruction");
	r.rax = (uint64_t)c->number;
	r.orig_rax = UINT64_MAX; /* the call under way is not to be restarted yet */
	r.rdi = arg0 ? *arg0 : c->arg[0];
	r.rsi = c->arg[1];
	r.rdx = c->arg[2];
	r.r10 = c->arg[3];
	r.r8 = c->arg[4];
	r.r9 = c->arg[5];
	if (ptrace(PTRACE_SETREGS, tid, NULL, &r) < 0 ||
	    ptrace(PTRACE_SINGLESTEP, tid, NULL, NULL) < 0 || waitpid(tid, &status, __WALL) != tid)
		return fail("making the call");
	if (WIFSIGNALED(status)) {
		printf("killed by %d\n", WTERMSIG(status));
		return 0;
	}
	if (!WIFSTOPPED(status) || ptrace(PTRACE_GETREGS, tid, NULL, &r) < 0 ||
	    ptrace(PTRACE_SETREGS, tid, NULL, &before) < 0 ||
	    ptrace(PTRACE_DETACH, tid, NULL, NULL) < 0)
		return fail("going on");
	printf("returned %lld\n", (long long)r.rax);
	return 0;
}

#else

static int inject(pid_t tid, const struct call *c, const uint64_t *arg0)
{
	(void)tid, (void)c, (void)arg0;
	fprintf(stderr, "syscall_inject: knows x86-64 only\n");
	return 1;
}

#endif

int main(int argc, char **argv)
{
	uint64_t arg0 = argc == 4 ? strtoull(argv[3], NULL, 0) : 0;

	for (size_t i = 0; i < N_CALLS && (argc == 3 || argc == 4); i++)
		if (strcmp(calls[i].name, argv[2]) == 0)
			return inject((pid_t)atoi(argv[1]), &calls[i], argc == 4 ? &arg0 : NULL);
	fprintf(stderr, "usage: syscall_inject TID CALL [ARG0]\nCALL is one of:");
	for (size_t i = 0; i < N_CALLS; i++)
		fprintf(stderr, " %s", calls[i].name);
	fputc('\n', stderr);
	return 2;
}
