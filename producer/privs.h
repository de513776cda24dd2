/* SPDX-License-Identifier: BSD-2-Clause */
/* privs.h - who may read a bus, whom the producer becomes, and what it can still do then. */
#ifndef PRIVS_H
#define PRIVS_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Two steps, in this order, in each of the two processes (capturing, helper), before it makes a
 * thread and before it sees anything from outside:
 *
 *	privs_drop()     another user, no groups but one, no capabilities but those named
 *	privs_confine()  no new ones by execve, not traceable, few files, a seccomp filter
 *
 * Neither can be undone.
 */

#define PRIVS_WHY_CAP 256
#define PRIVS_NAME_CAP 64
#define PRIVS_NO_ID ((uid_t)-1)

/* Whom to become and who may read. */
struct privs_who {
	uid_t uid;	/* after privs_drop() */
	gid_t gid;
	bool change;	/* user and groups are changed; false: started without the right to */
	bool unallocated; /* there was no user ncp: a uid that nobody has */
	char user[PRIVS_NAME_CAP]; /* its name, or digits */

	bool shared;	/* a group may read: segment 0640 */
	gid_t group;	/* that group, valid when shared */
	char group_name[PRIVS_NAME_CAP];
};

/*
 * privs_find - settle whom to become and who may read.
 *
 *   user   -Z: a name or number; NULL: ncp, else an unallocated uid, the same one for the same bus
 *   group  -g: a name or number; NULL: group ncp if there is one (and this process can give files
 *          to it), else nobody but the owner
 *   bus    name of the bus
 *   why    PRIVS_WHY_CAP bytes: "what: why: what to do", on error
 *
 * A process that may not change its user (no CAP_SETUID and CAP_SETGID, or a user namespace that
 * maps only one user) stays who it is, unless -Z asks otherwise.
 * Reads the user and group data bases: before privs_confine().
 * Returns 0; -EINVAL (no such user or group, or root: the user's mistake); -EPERM (-Z or -g asks
 * for what this process may not do).
 */
int privs_find(const char *user, const char *group, const char *bus, struct privs_who *who,
	       char *why) __attribute__((warn_unused_result));

/* privs_registry_gid - the group of the client registry: the bus's, else the capturing process's
 * own, so that it can read the lines. */
gid_t privs_registry_gid(const struct privs_who *who);

/*
 * privs_drop - become who, for good, and keep these capabilities.
 *
 *   who     change: set its user; its group (or none) becomes the only supplementary one
 *   uid     whom to become: who->uid, or geteuid() to stay (the helper, who owns the names)
 *   keep    bit n: capability n is kept if it was there; 0: none
 *
 * Empties the bounding set where that is allowed, and the ambient set.  One thread only.
 * Returns 0, or -errno of what was refused; nothing is known about the state then: end.
 */
int privs_drop(const struct privs_who *who, uid_t uid, unsigned long long keep)
	__attribute__((warn_unused_result));

/* What each process does afterwards. */
enum privs_role {
	PRIVS_CAPTURE, /* publish frames, look at the registry, print, talk to the helper */
	PRIVS_HELPER,  /* remove names */
	PRIVS_HELPER_FILTER,  /* that, and read a filter and compile it */
	PRIVS_HELPER_SOCKETS, /* that, and open packet sockets */
};

/*
 * By what a capturing process lets something out, beside frames: -1: none.  The numbers stay taken: closing
 * one does nothing, or else the next socket that the helper passes could take its place.
 */
struct privs_out {
	int text[2]; /* written to: stderr, the file of the status lines */
	int talk[2]; /* sockets that messages are sent by: the helper's, the service manager's */
};

/*
 * privs_confine - no_new_privs, not dumpable, Landlock where the kernel has it, and a seccomp
 * allow-list: anything else ends the process (SIGSYS).
 *
 *   role   the common list
 *   dirfd  with PRIVS_CAPTURE, the registry: the only directory in which something can be opened,
 *          for reading.  With the others, the directory of the busses: the only one in which
 *          something can be removed.  -1: none
 *   more   further system call numbers, ended by -1; NULL: none.  Of ioctl() only questions about a
 *          network device, and what usbmon is asked; of setsockopt() only what frames are accepted,
 *          and a packet ring's end
 *   out    with PRIVS_CAPTURE: nothing is sent or written by any other descriptor, so that a packet
 *          socket cannot be sent by; but eight bytes, an eventfd's.  With the others NULL: anything
 *
 * Without Landlock an absolute path leads out of dirfd, as far as the user's own rights go.
 * Threads made later inherit it.  With -DNCP_SANITIZED there is no Landlock and the list is wider:
 * the sanitizers' runtimes open files, map code and trace at exit.
 * Returns 0, -errno.
 */
int privs_confine(enum privs_role role, int dirfd, const int *more, const struct privs_out *out)
	__attribute__((warn_unused_result));

#endif
