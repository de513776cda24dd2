/* SPDX-License-Identifier: BSD-2-Clause */
/* test_privs.c - giving up rights: what is left afterwards, and what ends the process. */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "producer/privs.h"
#include "tap/tap.h"

static char why[PRIVS_WHY_CAP];
static struct privs_who who;
static int dir_fd, file_fd; /* a registry with a file in it */
static char outside[256];   /* a file elsewhere */

/* --- who ------------------------------------------------------------------------------------ */

static void test_find(void)
{
	struct privs_who one, again, other;

	is_i64(-EINVAL, privs_find("no-such-user-here", NULL, "b", &one, why),
	       "refuses a user that there is not");
	is_i64(-EINVAL, privs_find(NULL, "no-such-group-here", "b", &one, why),
	       "refuses a group that there is not");
	is_i64(-EINVAL, privs_find("root", NULL, "b", &one, why), "refuses to capture as root");
	is_i64(-EINVAL, privs_find("0", NULL, "b", &one, why), "also as user 0");
	is_i64(0, privs_find("65001", "65002", "b", &one, why), "takes numbers that nobody has");
	ok(one.change && one.uid == 65001 && one.gid == 65001, "user 65001, his own group");
	ok(one.shared && one.group == 65002, "group 65002 may read");
	is_u64(65002, privs_registry_gid(&one), "and has the registry");
	is_i64(0, privs_find("65001", NULL, "b", &one, why), "without a group");
	if (!one.shared)
		is_u64(65001, privs_registry_gid(&one), "the registry is the capturing process's");
	else
		is_str("ncp", one.group_name, "group ncp may read");

	is_i64(0, privs_find(NULL, NULL, "b", &one, why), "the default user");
	ok(privs_find(NULL, NULL, "b", &again, why) == 0 && again.uid == one.uid,
	   "is the same for the same bus");
	ok(privs_find(NULL, NULL, "c", &other, why) == 0 &&
	   (!one.unallocated || other.uid != one.uid), "and mostly another for another");
	ok(one.uid != 0 && one.uid != 65534, "never root, never nobody");
}

/* --- what ends the process ------------------------------------------------------------------ */

static void do_ftruncate(void) { syscall(SYS_ftruncate, file_fd, 0); }
static void do_fallocate(void) { syscall(SYS_fallocate, file_fd, 0, 0, 4096); }
static void do_socket(void) { syscall(SYS_socket, AF_INET, SOCK_STREAM, 0); }
static void do_exec(void) { syscall(SYS_execve, "/bin/true", NULL, NULL); }
static void do_fork(void) { syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0); }
static void do_kill(void) { syscall(SYS_kill, getppid(), 0); }
static void do_tgkill(void) { syscall(SYS_tgkill, 1, 1, 0); }
static void do_ptrace(void) { syscall(SYS_ptrace, 0, 0, NULL, NULL); }
static void do_ioctl(void) { syscall(SYS_ioctl, file_fd, 0, NULL); }
static void do_unlink(void) { syscall(SYS_unlinkat, dir_fd, "x", 0); }
static void do_setuid(void) { syscall(SYS_setuid, 0); }
static void do_open(void) { syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY); }
static void do_write(void) { syscall(SYS_openat, dir_fd, "x", O_RDWR); }
static void do_create(void) { syscall(SYS_openat, dir_fd, "new", O_RDONLY | O_CREAT, 0600); }
static void do_exec_mem(void)
{
	syscall(SYS_mmap, NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
static void do_dumpable(void) { syscall(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0); }
static void do_read_registry(void)
{
	char byte;
	int fd = openat(dir_fd, "x", O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || pread(fd, &byte, 1, 0) != 1)
		_exit(9);
}
static void do_nothing(void) {}

/* What goes out goes by out_fds alone. */
static int out_fds[2], other_fds[2], event_fd; /* pairs of sockets */
static void do_write_text(void)
{
	if (write(out_fds[0], "a line that is longer", 21) != 21)
		_exit(9);
}
static void do_send_talk(void)
{
	if (send(out_fds[1], "a message", 9, MSG_NOSIGNAL) != 9)
		_exit(9);
}
static void do_write_event(void)
{
	const uint64_t one = 1;

	if (write(event_fd, &one, sizeof(one)) != sizeof(one))
		_exit(9);
}
static void do_write_other(void) { syscall(SYS_write, other_fds[0], "a frame, of 14 bytes", 14); }
static void do_writev_other(void)
{
	struct iovec v = { (char[]){ "12345678" }, 8 };

	syscall(SYS_writev, other_fds[0], &v, 1);
}
static void do_send_other(void) { syscall(SYS_sendto, other_fds[0], "12345678", 8, 0, NULL, 0); }
static void do_sendmsg(void)
{
	struct iovec v = { (char[]){ "12345678" }, 8 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1 };

	syscall(SYS_sendmsg, out_fds[1], &m, 0);
}
/* Also by a number whose upper half the kernel does not look at. */
static void do_close_out(void)
{
	const unsigned long high = 1ul << 32;

	if (close(out_fds[0]) != 0 || close(out_fds[1]) != 0 ||
	    syscall(SYS_close, high | (unsigned)out_fds[0]) != 0 ||
	    fcntl(out_fds[0], F_GETFL) < 0 || fcntl(out_fds[1], F_GETFL) < 0)
		_exit(9);
}
static void do_close_others(void)
{
	if (close(other_fds[0]) != 0 || close(other_fds[1]) != 0 || close(event_fd) != 0)
		_exit(9);
	for (int fd = 0; fd < 4096; fd++)
		if (fd != out_fds[0] && fd != out_fds[1] && fd != dir_fd && close(fd) < 0 &&
		    errno != EBADF)
			_exit(9);
}

/* Refused by an error, not by a signal: seccomp sees no path. */
static void do_read_outside(void)
{
	if (openat(dir_fd, "/etc/passwd", O_RDONLY | O_CLOEXEC) != -1 || errno != EACCES)
		_exit(9);
}
static void do_read_above(void)
{
	if (openat(dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC) != -1 || errno != EACCES)
		_exit(9);
}
static void do_unlink_outside(void)
{
	if (unlinkat(AT_FDCWD, outside, 0) != -1 || errno != EACCES)
		_exit(9);
}
static void do_unlink_inside(void)
{
	if (unlinkat(dir_fd, "y", 0) != 0)
		_exit(9);
}

/* By role: does the call end the process?  wide: the sanitizers' runtimes need it. */
static const struct {
	const char *name;
	void (*call)(void);
	bool capture, helper, wide;
} calls[] = {
	{ "nothing", do_nothing, false, false, false },
	{ "reading a registry line", do_read_registry, false, true, false },
	{ "ftruncate", do_ftruncate, true, true, false },
	{ "fallocate", do_fallocate, true, true, false },
	{ "socket", do_socket, true, true, false },
	{ "execve", do_exec, true, true, false },
	{ "setuid", do_setuid, true, true, false },
	{ "a new process", do_fork, true, true, true },
	{ "kill", do_kill, true, true, true },
	{ "a signal to another process's thread", do_tgkill, true, true, true },
	{ "ptrace", do_ptrace, true, true, true },
	{ "ioctl", do_ioctl, true, true, true },
	{ "making memory executable", do_exec_mem, true, true, true },
	{ "being dumpable again", do_dumpable, true, true, true },
	{ "unlinkat", do_unlink, true, false, false },
	{ "opening a file anywhere", do_open, true, false, true },
	{ "opening a line for writing", do_write, true, true, true },
	{ "making a file", do_create, true, true, true },
	{ "writing a line", do_write_text, false, false, false },
	{ "writing an event", do_write_event, false, false, false },
	{ "sending a message", do_send_talk, false, false, false },
	{ "writing to any other descriptor", do_write_other, true, false, true },
	{ "writing pieces to it", do_writev_other, true, false, true },
	{ "sending by any other socket", do_send_other, true, false, true },
	{ "sendmsg", do_sendmsg, true, false, true },
	{ "closing all others", do_close_others, false, false, false },
};
#define N_CALLS (sizeof(calls) / sizeof(calls[0]))

/* With sanitizers the list is wider, and there is less to see. */
static bool judged(size_t i)
{
#ifdef NCP_SANITIZED
	return !calls[i].wide;
#else
	return i < N_CALLS;
#endif
}

static unsigned n_judged(void)
{
	unsigned n = 0;

	for (size_t i = 0; i < N_CALLS; i++)
		n += judged(i);
	return n;
}

/* Run call in a process without rights; the status of its end. */
static int confined(enum privs_role role, void (*call)(void))
{
	const struct privs_out out = { .text = { -1, out_fds[0] }, .talk = { out_fds[1], -1 } };
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		unsigned long long keep = role == PRIVS_HELPER ? 1ull << CAP_NET_RAW : 0;

		if (privs_drop(&who, role == PRIVS_HELPER ? geteuid() : who.uid, keep) < 0 ||
		    privs_confine(role, dir_fd, NULL, role == PRIVS_CAPTURE ? &out : NULL) < 0)
			_exit(8);
		call();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		bail("fork");
	return status;
}

static void test_calls(enum privs_role role)
{
	const char *name = role == PRIVS_CAPTURE ? "capturing" : "helper";

	for (size_t i = 0; i < N_CALLS; i++) {
		bool fatal = role == PRIVS_CAPTURE ? calls[i].capture : calls[i].helper;

		if (!judged(i))
			continue;
		int status = confined(role, calls[i].call);
		if (fatal)
			ok(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS,
			   "%s: %s ends the process", name, calls[i].name);
		else
			is_i64(0, status, "%s: %s is allowed", name, calls[i].name);
	}
}

/* With Landlock, paths: the capturing process reads in its registry, the helper removes in its
 * directory, and nowhere else. */
static bool landlocked(void)
{
#ifdef NCP_SANITIZED
	return false;
#else
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
#endif
}

static void test_paths(void)
{
	is_i64(0, confined(PRIVS_CAPTURE, do_read_outside),
	       "capturing: an absolute path does not lead out of the registry");
	is_i64(0, confined(PRIVS_CAPTURE, do_read_above), "capturing: nor does ..");
	is_i64(0, confined(PRIVS_CAPTURE, do_close_out),
	       "capturing: what goes out keeps its number: closing it is passed over");
	is_i64(0, confined(PRIVS_HELPER, do_unlink_outside),
	       "helper: removes nothing outside its directory");
	is_i64(0, access(outside, F_OK), "it is still there");
	is_i64(0, confined(PRIVS_HELPER, do_unlink_inside), "helper: removes in it");
	is_i64(-1, faccessat(dir_fd, "y", F_OK, 0), "that is gone");
}

/* --- what is left --------------------------------------------------------------------------- */

static char *look(void)
{
	char *text = NULL;
	size_t cap = 0;
	FILE *f = fopen("/proc/thread-self/status", "re");

	if (!f || getdelim(&text, &cap, '\0', f) < 0)
		_exit(7);
	fclose(f);
	return text;
}

static int compare(const char *status, const char *const *lines)
{
	for (; *lines; lines++)
		if (!strstr(status, *lines)) {
			fprintf(stderr, "# lacks \"%s\" in\n%s", *lines, status);
			return 6;
		}
	return 0;
}

/* In a fork: drop, then compare /proc's view of this thread with what is wanted. */
static int dropped(enum privs_role role, const char *const *lines)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		unsigned long long keep = role == PRIVS_HELPER ? 1ull << CAP_NET_RAW : 0;

		if (privs_drop(&who, role == PRIVS_HELPER ? geteuid() : who.uid, keep) < 0)
			_exit(8);
		_exit(compare(look(), lines));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		bail("fork");
	return status;
}

static void test_status(void)
{
	is_i64(0, dropped(PRIVS_CAPTURE,
			  (const char *const[]){ "\nUid:\t65001\t65001\t65001\t65001\n",
						 "\nGid:\t65001\t65001\t65001\t65001\n",
						 "\nGroups:\t65002", "\nCapInh:\t0000000000000000\n",
						 "\nCapPrm:\t0000000000000000\n",
						 "\nCapEff:\t0000000000000000\n",
						 "\nCapBnd:\t0000000000000000\n",
						 "\nCapAmb:\t0000000000000000\n", NULL }),
	       "the capturing process has a user, a group and no capability");
	is_i64(0, dropped(PRIVS_HELPER,
			  (const char *const[]){ "\nUid:\t0\t0\t0\t0\n", "\nGroups:\t65002",
						 "\nCapPrm:\t0000000000002000\n",
						 "\nCapEff:\t0000000000002000\n",
						 "\nCapBnd:\t0000000000000000\n", NULL }),
	       "the helper keeps its user and CAP_NET_RAW");
}

int main(void)
{
	char path[256];

	if (geteuid() != 0)
		skip_all("giving up rights needs some: run as root");
	plan(14 + 2 + 2 * n_judged() + (landlocked() ? 7 : 0) + 1);
	int before = tap_open_fds();

	test_find();
	if (privs_find("65001", "65002", "b", &who, why) < 0)
		bail("%s", why);
	snprintf(path, sizeof(path), "%s/x", tap_tempdir(NULL));
	file_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (file_fd < 0 || write(file_fd, "line", 4) != 4)
		bail("%s", path);
	*strrchr(path, '/') = '\0';
	if (chmod(path, 0755) < 0 || (dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		bail("%s", path);
	snprintf(outside, sizeof(outside), "%s/z", tap_tempdir(NULL));
	int z = open(outside, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	int y = openat(dir_fd, "y", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	if (z < 0 || y < 0)
		bail("%s", outside);
	close(z);
	close(y);
	event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (event_fd < 0 || socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, out_fds) < 0 ||
	    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, other_fds) < 0)
		bail("descriptors: %s", strerror(errno));
	test_status();
	test_calls(PRIVS_CAPTURE);
	test_calls(PRIVS_HELPER);
	if (landlocked())
		test_paths();
	else
		diag("no Landlock here");
	const int all[] = { dir_fd,	  file_fd,	event_fd,     out_fds[0],
			    out_fds[1], other_fds[0], other_fds[1] };
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		close(all[i]);
	is_i64(before, tap_open_fds(), "nothing is left open");
	return tap_done();
}
