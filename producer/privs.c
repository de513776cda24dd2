/* SPDX-License-Identifier: BSD-2-Clause */
/* privs.c - who may read a bus, whom the producer becomes, and what it can still do then. */
#include "producer/privs.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <linux/if_packet.h>
#include <linux/landlock.h>
#include <linux/sched.h>
#include <linux/sockios.h>
#include <malloc.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <seccomp.h>

#define DEFAULT_NAME "ncp" /* of user and group */

/* Numbers that no user has: Debian policy, 9.2.2, reserves 65000 to 65533; 65534 is nobody's, which
 * every unmapped file of a user namespace seems to belong to. */
#define UNALLOCATED_FIRST 65000u
#define UNALLOCATED_END 65534u

/* --- who ------------------------------------------------------------------------------------ */

static bool cap_effective(unsigned cap)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	return syscall(SYS_capget, &head, data) == 0 &&
	       data[cap / 32].effective & UINT32_C(1) << cap % 32;
}

/* Is there an id of this number in this user namespace?  path: /proc/self/uid_map or gid_map. */
static bool id_mapped(const char *path, uint32_t id)
{
	FILE *f = fopen(path, "re");
	uint64_t first, to, count;
	bool found = f == NULL; /* no /proc: the change itself will tell */

	while (f && !found && fscanf(f, "%" SCNu64 "%" SCNu64 "%" SCNu64, &first, &to, &count) == 3)
		found = id >= first && id - first < count;
	if (f)
		fclose(f);
	return found;
}

/* May this user namespace call setgroups()?  One made by an ordinary user may not. */
static bool setgroups_allowed(void)
{
	char text[16] = "";
	FILE *f = fopen("/proc/self/setgroups", "re");

	if (!f)
		return true;
	bool denied = fgets(text, sizeof(text), f) && strncmp(text, "deny", 4) == 0;
	fclose(f);
	return !denied;
}

static bool number_parse(const char *s, uint32_t *n)
{
	char *end;

	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	unsigned long long v = strtoull(s, &end, 10);
	if (*end || errno || v >= UINT32_MAX)
		return false;
	*n = (uint32_t)v;
	return true;
}

/* A uid that is nobody's, nor any group's: where to begin follows from the bus's name, so that two
 * busses of a machine seldom share one, and one bus keeps its own. */
static uid_t unallocated(const char *bus)
{
	uint32_t hash = 2166136261u, n = UNALLOCATED_END - UNALLOCATED_FIRST;

	for (const char *p = bus; *p; p++) /* FNV-1a */
		hash = (hash ^ (unsigned char)*p) * 16777619u;
	for (uint32_t i = 0; i < n; i++) {
		uint32_t id = UNALLOCATED_FIRST + (hash + i) % n;

		if (!getpwuid(id) && !getgrgid(id))
			return id;
	}
	return PRIVS_NO_ID;
}

static int find_user(const char *user, const char *bus, struct privs_who *who, char *why)
{
	const struct passwd *pw;
	uint32_t id;

	if (!user && !(pw = getpwnam(DEFAULT_NAME))) {
		who->uid = who->gid = unallocated(bus);
		who->unallocated = true;
		snprintf(who->user, sizeof(who->user), "%u", who->uid);
		if (who->uid != PRIVS_NO_ID)
			return 0;
		snprintf(why, PRIVS_WHY_CAP, "user: no user " DEFAULT_NAME
					     " and no free uid: give one with -Z");
		return -EINVAL;
	}
	if (user)
		pw = number_parse(user, &id) ? getpwuid(id) : getpwnam(user);
	if (pw) {
		who->uid = pw->pw_uid;
		who->gid = pw->pw_gid;
	} else if (user && number_parse(user, &id)) {
		who->uid = who->gid = id;
	} else {
		snprintf(why, PRIVS_WHY_CAP, "user %.60s: no such user: give another with -Z", user);
		return -EINVAL;
	}
	snprintf(who->user, sizeof(who->user), "%s", user ? user : DEFAULT_NAME);
	return 0;
}

static bool in_group(gid_t group)
{
	gid_t list[1024];
	int n = getgroups(sizeof(list) / sizeof(*list), list);

	for (int i = 0; i < n; i++)
		if (list[i] == group)
			return true;
	return group == getegid();
}

static int find_group(const char *group, struct privs_who *who, char *why)
{
	const char *name = group ? group : DEFAULT_NAME;
	const struct group *gr;
	uint32_t id;

	if (group && number_parse(group, &id)) {
		who->group = id;
	} else if ((gr = getgrnam(name)) != NULL) {
		who->group = gr->gr_gid;
	} else if (!group) {
		return 0;
	} else {
		snprintf(why, PRIVS_WHY_CAP, "group %.60s: no such group: make it, or name another",
			 group);
		return -EINVAL;
	}
	who->shared = in_group(who->group) ||
		      (cap_effective(CAP_CHOWN) && id_mapped("/proc/self/gid_map", who->group));
	if (!who->shared && group) {
		snprintf(why, PRIVS_WHY_CAP,
			 "group %.60s: you are not in it: start as root, or name one of your own",
			 group);
		return -EPERM;
	}
	snprintf(who->group_name, sizeof(who->group_name), "%s", name);
	return 0;
}

int privs_find(const char *user, const char *group, const char *bus, struct privs_who *who,
	       char *why)
{
	*who = (struct privs_who){ 0 };
	int r = find_group(group, who, why);
	if (r == 0)
		r = find_user(user, bus, who, why);
	if (r < 0)
		return r;
	who->change = cap_effective(CAP_SETUID) && cap_effective(CAP_SETGID) &&
		      setgroups_allowed() && id_mapped("/proc/self/uid_map", who->uid) &&
		      id_mapped("/proc/self/gid_map", who->gid);
	if (who->change && who->uid == 0) {
		snprintf(why, PRIVS_WHY_CAP,
			 "user %.60s: capturing as root is refused: give another with -Z", user);
		return -EINVAL;
	}
	if (who->change)
		return 0;
	if (user && who->uid != geteuid()) {
		snprintf(why, PRIVS_WHY_CAP,
			 "user %.60s: not allowed to become it: start as root, or without -Z", user);
		return -EPERM;
	}
	who->uid = geteuid();
	who->gid = getegid();
	who->unallocated = false;
	snprintf(who->user, sizeof(who->user), "%u", who->uid);
	return 0;
}

gid_t privs_registry_gid(const struct privs_who *who)
{
	return who->shared ? who->group : who->gid;
}

/* --- dropping ------------------------------------------------------------------------------- */

/* Set permitted and effective to what is in keep and was there; the rest is gone. */
static int caps_limit(unsigned long long keep)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data) < 0)
		return -errno;
	for (unsigned i = 0; i < 2; i++) {
		data[i].permitted &= (uint32_t)(keep >> 32 * i);
		data[i].effective = data[i].permitted;
		data[i].inheritable = 0;
	}
	return syscall(SYS_capset, &head, data) < 0 ? -errno : 0;
}

int privs_drop(const struct privs_who *who, uid_t uid, unsigned long long keep)
{
	gid_t gid = uid == who->uid ? who->gid : getegid();

	/* What an execve could still give; needs CAP_SETPCAP, and without it there is nothing left
	 * to give but to a set-id program, which no_new_privs rules out. */
	for (unsigned long cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++)
		;
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
		return -errno;
	if (who->change) {
		gid_t group = privs_registry_gid(who);

		if (setgroups(who->shared || uid != who->uid ? 1 : 0, &group) < 0)
			return -errno;
		/* A change from uid 0 would clear the permitted set, also what is to be kept. */
		if (prctl(PR_SET_KEEPCAPS, keep != 0, 0, 0, 0) < 0 ||
		    setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0 ||
		    prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) < 0)
			return -errno;
	}
	int r = caps_limit(keep);
	if (r < 0)
		return r;
	/* Believe nothing: a kernel that let us back would make the rest worthless. */
	uid_t ruid, euid, suid;
	if (who->change && (getresuid(&ruid, &euid, &suid) < 0 || ruid != uid || euid != uid ||
			    suid != uid || (uid != 0 && setresuid(0, 0, 0) == 0)))
		return -EPERM;
	return 0;
}

/* --- confining ------------------------------------------------------------------------------ */

#define END (-1)

/* What libc and every thread need once they run. */
static const int calls_libc[] = {
	SCMP_SYS(read), SCMP_SYS(lseek),
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(madvise), SCMP_SYS(mremap),
	SCMP_SYS(futex), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
	SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep), SCMP_SYS(restart_syscall), SCMP_SYS(getrandom),
	SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(set_robust_list), SCMP_SYS(rseq),
	SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack), SCMP_SYS(exit), SCMP_SYS(exit_group),
	SCMP_SYS(poll), SCMP_SYS(ppoll),
	SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(statx),
	SCMP_SYS(recvmsg), SCMP_SYS(recvfrom), END,
};

/* By any descriptor: the helper, who has the right to packet sockets anyway. */
static const int calls_out[] = {
	SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(sendmsg), SCMP_SYS(sendto), SCMP_SYS(close), END,
};

/* The registry, read; the helper, told to end and waited for; the workers' end. */
static const int calls_capture[] = {
	SCMP_SYS(pread64), SCMP_SYS(getdents64), SCMP_SYS(shutdown), SCMP_SYS(wait4),
	SCMP_SYS(waitid), SCMP_SYS(eventfd2), END,
};

/* The names, removed. */
static const int calls_helper[] = {
	SCMP_SYS(getdents64), SCMP_SYS(unlinkat), END,
};

/* A packet socket, bound and in its group. */
static const int calls_sockets[] = {
	SCMP_SYS(setsockopt), SCMP_SYS(getsockopt), SCMP_SYS(bind), END,
};

/* Names in a filter that is read again, looked up in files. */
static const int calls_filter[] = {
	SCMP_SYS(uname), SCMP_SYS(pread64), END,
};

#ifdef NCP_SANITIZED
/* What the sanitizers' runtimes use for reports and for the search for leaks at exit. */
static const int calls_sanitizer[] = {
	SCMP_SYS(openat), SCMP_SYS(open), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(pipe),
	SCMP_SYS(pipe2), SCMP_SYS(mmap), SCMP_SYS(mprotect), SCMP_SYS(clone), SCMP_SYS(prctl),
	SCMP_SYS(ptrace), SCMP_SYS(wait4), SCMP_SYS(tgkill), SCMP_SYS(fcntl), SCMP_SYS(stat),
	SCMP_SYS(getdents), SCMP_SYS(getdents64), SCMP_SYS(getppid), SCMP_SYS(prlimit64),
	SCMP_SYS(getrlimit), SCMP_SYS(sched_getparam), SCMP_SYS(sched_getscheduler),
	SCMP_SYS(process_vm_readv), SCMP_SYS(uname), SCMP_SYS(ioctl), SCMP_SYS(dup),
	SCMP_SYS(access), SCMP_SYS(kill), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getcwd),
	SCMP_SYS(personality), SCMP_SYS(sysinfo), SCMP_SYS(mlock), SCMP_SYS(msync), END,
};
#endif

/* Allow a call when (argument arg & mask) == value. */
static int allow_if(scmp_filter_ctx ctx, int call, unsigned arg, uint64_t mask, uint64_t value)
{
	return seccomp_rule_add(ctx, SCMP_ACT_ALLOW, call, 1,
				SCMP_CMP(arg, SCMP_CMP_MASKED_EQ, mask, value));
}

/* Questions about a network device, and the requests of usbmon.  Not those of a terminal: stderr may
 * be one, and TIOCSTI would type commands there. */
static int allow_ioctls(scmp_filter_ctx ctx)
{
	int r = allow_if(ctx, SCMP_SYS(ioctl), 1, UINT32_MAX, SIOCGIFINDEX);

	if (r == 0)
		r = allow_if(ctx, SCMP_SYS(ioctl), 1, UINT32_MAX, SIOCGIFFLAGS);
	if (r == 0)
		r = allow_if(ctx, SCMP_SYS(ioctl), 1, UINT32_MAX, SIOCGIFHWADDR);
	if (r == 0)
		r = allow_if(ctx, SCMP_SYS(ioctl), 1, 0xff00, 0x92 << 8);
	return r;
}

/* Which frames a socket accepts, and the end of its ring.  Not a fanout group: one could be another
 * program's, which would lose frames to us. */
static int allow_setsockopts(scmp_filter_ctx ctx)
{
	static const struct {
		uint64_t level, name;
	} o[] = { { SOL_SOCKET, SO_ATTACH_FILTER },
		  { SOL_SOCKET, SO_DETACH_FILTER },
		  { SOL_PACKET, PACKET_RX_RING } };
	int r = 0;

	for (size_t i = 0; r == 0 && i < sizeof(o) / sizeof(*o); i++)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(setsockopt), 2,
				     SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, o[i].level),
				     SCMP_A2(SCMP_CMP_MASKED_EQ, UINT32_MAX, o[i].name));
	return r;
}

/* Allow the calls of a list.  One that this architecture has not is none to allow. */
static int allow(scmp_filter_ctx ctx, const int *calls)
{
	int r = 0;

	for (; r == 0 && calls && *calls != END; calls++) {
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, *calls, 0);
		if (r == -EDOM)
			r = 0;
	}
	return r;
}

/* The same for a source's own, some of which are not needed whole. */
static int allow_source(scmp_filter_ctx ctx, const int *calls)
{
	int r = 0;

	for (; r == 0 && calls && *calls != END; calls++) {
		const int one[] = { *calls, END };

		r = *calls == SCMP_SYS(ioctl)	     ? allow_ioctls(ctx)
		    : *calls == SCMP_SYS(setsockopt) ? allow_setsockopts(ctx)
						     : allow(ctx, one);
	}
	return r;
}

#ifndef NCP_SANITIZED
/* Descriptors are numbered below this by the kernel's default (fs.nr_open), as a power of two. */
#define FD_BITS 20u

/*
 * Allow close() on all descriptors but these.  A rule cannot say "but": so one is added for each tail of
 * bits, as short as can be, that none of these numbers has; up to FD_BITS for each of them.
 *
 *   tail, n_bits  the lowest bits of the numbers that are to be allowed
 */
static int allow_close_but(scmp_filter_ctx ctx, const int *fds, size_t n, uint64_t tail,
			   unsigned n_bits)
{
	const uint64_t mask = (UINT64_C(1) << n_bits) - 1;
	bool among = false;

	for (size_t i = 0; i < n; i++)
		among |= fds[i] >= 0 && ((uint64_t)fds[i] & mask) == tail;
	if (!among)
		return allow_if(ctx, SCMP_SYS(close), 0, mask, tail);
	if (n_bits == FD_BITS) /* one of these, and what cannot be */
		return seccomp_rule_add(ctx, SCMP_ACT_ERRNO(0), SCMP_SYS(close), 1,
					SCMP_A0(SCMP_CMP_MASKED_EQ, mask, tail));
	int r = allow_close_but(ctx, fds, n, tail, n_bits + 1);
	return r < 0 ? r : allow_close_but(ctx, fds, n, tail | UINT64_C(1) << n_bits, n_bits + 1);
}

/* What goes out goes by these, and they stay what they are. */
static int allow_out(scmp_filter_ctx ctx, const struct privs_out *out)
{
	const int fds[] = { out->text[0], out->text[1], out->talk[0], out->talk[1] };
	/* An eventfd takes eight bytes.  Where frames have a header that is less than one; where they
	 * have none it is less than an IP header. */
	int r = allow_if(ctx, SCMP_SYS(write), 2, UINT64_MAX, sizeof(uint64_t));

	for (int i = 0; r == 0 && i < 2; i++) {
		if (out->text[i] >= 0)
			r = allow_if(ctx, SCMP_SYS(write), 0, UINT32_MAX, (uint64_t)out->text[i]);
		if (r == 0 && out->text[i] >= 0)
			r = allow_if(ctx, SCMP_SYS(writev), 0, UINT32_MAX, (uint64_t)out->text[i]);
		if (r == 0 && out->talk[i] >= 0)
			r = allow_if(ctx, SCMP_SYS(sendto), 0, UINT32_MAX, (uint64_t)out->talk[i]);
	}
	return r < 0 ? r : allow_close_but(ctx, fds, sizeof(fds) / sizeof(*fds), 0, 0);
}
#endif

/* What depends on arguments.  An int argument has 32 bits; what stands above them is not ours. */
static int allow_some(scmp_filter_ctx ctx, enum privs_role role, int dirfd)
{
	/* Read only, and nothing is made. */
	const uint64_t harmless = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_DIRECTORY | O_NOCTTY |
				  00100000 /* O_LARGEFILE, which libc hides */;
	int r = allow_if(ctx, SCMP_SYS(mmap), 2, PROT_EXEC, 0);

	if (r == 0)
		r = allow_if(ctx, SCMP_SYS(mprotect), 2, PROT_EXEC, 0);
	if (r == 0) /* threads, no processes; glibc asks clone3() first, whose flags cannot be seen */
		r = allow_if(ctx, SCMP_SYS(clone), 0, CLONE_THREAD | CLONE_VM,
			     CLONE_THREAD | CLONE_VM);
	if (r == 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (r == 0) /* signals to ourselves only: between threads, and abort() */
		r = allow_if(ctx, SCMP_SYS(tgkill), 0, UINT32_MAX, (uint64_t)getpid());
	if (r == 0)
		r = allow_if(ctx, SCMP_SYS(prctl), 0, UINT32_MAX, PR_SET_NAME);
	if (r == 0) /* is the owner of a registry line alive? */
		r = allow_if(ctx, SCMP_SYS(fcntl), 1, UINT32_MAX, F_OFD_GETLK);
	if (r == 0) /* fdopendir() */
		r = allow_if(ctx, SCMP_SYS(fcntl), 1, UINT32_MAX, F_GETFL);
	if (r == 0)
		r = allow_if(ctx, SCMP_SYS(fcntl), 1, UINT32_MAX, F_SETFD);
	if (r == 0 && role == PRIVS_CAPTURE && dirfd >= 0)
		r = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(openat), 2,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX,
					     (uint64_t)dirfd),
				     SCMP_A2(SCMP_CMP_MASKED_EQ, UINT32_MAX & ~harmless, 0));
	if (r == 0 && role == PRIVS_CAPTURE) /* a worker, on a processor of its own */
		r = allow_if(ctx, SCMP_SYS(sched_setaffinity), 0, UINT32_MAX, 0);
	if (r == 0 && role == PRIVS_HELPER_SOCKETS)
		r = allow_if(ctx, SCMP_SYS(socket), 0, UINT32_MAX, AF_PACKET);
	/* Looking up a name, libc would ask a server and load code: it is told no, and reads files. */
	if (r == 0 && role == PRIVS_HELPER_SOCKETS)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1,
				     SCMP_A0(SCMP_CMP_NE, AF_PACKET, 0));
	if (r == 0 && role == PRIVS_HELPER_FILTER)
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 0);
	if (r == 0 && (role == PRIVS_HELPER_SOCKETS || role == PRIVS_HELPER_FILTER))
		r = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(mmap), 1,
				     SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, PROT_EXEC));
	if (r == 0 && role == PRIVS_HELPER_SOCKETS)
		r = allow_ioctls(ctx);
	if (r == 0 && role == PRIVS_HELPER_SOCKETS)
		r = allow_if(ctx, SCMP_SYS(ioctl), 1, UINT32_MAX, SIOCGHWTSTAMP);
	if (r == 0 && role == PRIVS_HELPER_SOCKETS)
		r = allow_if(ctx, SCMP_SYS(ioctl), 1, UINT32_MAX, SIOCSHWTSTAMP);
	if (r == 0 && role != PRIVS_CAPTURE) /* the registry, in order to remove what is in it */
		r = allow_if(ctx, SCMP_SYS(openat), 2, UINT32_MAX & ~harmless, 0);
	return r;
}

#ifndef NCP_SANITIZED
/* Of the first version of Landlock: all that can be done to a file by its path. */
#define FILES_ALL ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)
#define FILES_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FILES_REMOVE (LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR)

/*
 * Seccomp sees no path: openat() allowed in one directory would open "/etc/passwd" there, too.  So
 * the capturing process can read below dirfd only, and the helper remove below dirfd only.  What
 * the helper reads is left to its user's rights: libc reads files when it is asked for names.
 */
static int files_limit(enum privs_role role, int dirfd)
{
	const struct landlock_ruleset_attr all = {
		.handled_access_fs = role == PRIVS_CAPTURE
					     ? FILES_ALL
					     : FILES_ALL & ~(FILES_READ | LANDLOCK_ACCESS_FS_EXECUTE),
	};
	const struct landlock_path_beneath_attr below = {
		.allowed_access = role == PRIVS_CAPTURE ? FILES_READ : FILES_REMOVE,
		.parent_fd = dirfd,
	};
	int r = 0, rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);

	if (rules < 0) /* a kernel before 5.13, or one that was started without Landlock */
		return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : -errno;
	if ((dirfd >= 0 && syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &below,
				   0) < 0) ||
	    syscall(SYS_landlock_restrict_self, rules, 0) < 0)
		r = -errno;
	close(rules);
	return r;
}
#endif

int privs_confine(enum privs_role role, int dirfd, const int *more, const struct privs_out *out)
{
	int r;

	/* One arena: making another one, glibc looks how many processors there are, in /sys. */
	mallopt(M_ARENA_MAX, 1);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		return -errno;
#ifndef NCP_SANITIZED
	r = files_limit(role, dirfd);
	if (r < 0)
		return r;
#endif
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	if (!ctx)
		return -ENOMEM;
	r = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
#ifdef NCP_SANITIZED
	if (r == 0)
		r = allow(ctx, calls_sanitizer);
	out = NULL;
#else
	if (r == 0 && out)
		r = allow_out(ctx, out);
#endif
	if (r == 0 && !out)
		r = allow(ctx, calls_out);
	if (r == 0)
		r = allow_some(ctx, role, dirfd);
	if (r == 0)
		r = allow(ctx, calls_libc);
	if (r == 0)
		r = allow(ctx, role == PRIVS_CAPTURE ? calls_capture : calls_helper);
	if (r == 0 && role == PRIVS_HELPER_SOCKETS)
		r = allow(ctx, calls_sockets);
	if (r == 0 && (role == PRIVS_HELPER_SOCKETS || role == PRIVS_HELPER_FILTER))
		r = allow(ctx, calls_filter);
	if (r == 0)
		r = allow_source(ctx, more);
	if (r == 0)
		r = seccomp_load(ctx);
	seccomp_release(ctx);
	return r;
}
