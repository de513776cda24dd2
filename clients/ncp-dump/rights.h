/* SPDX-License-Identifier: BSD-2-Clause */
/* rights.h - -Z: from root to an ordinary user. */
#ifndef RIGHTS_H
#define RIGHTS_H

#include <sys/types.h>

struct rights {
	uid_t uid;
	gid_t gid; /* its primary group */
	char name[64];
};

/* rights_find - look a user up, by name or number.  Returns 0, -ENOENT (there is none), -errno. */
int rights_find(const char *user, struct rights *r) __attribute__((warn_unused_result));

/*
 * rights_try - call check(arg) with that user's rights to files, then be root again.
 *
 * As for tcpdump -Z is for root: for anybody else, and for root itself, there is nothing to check.
 * Before there are other threads.  Returns what check() did; 0; -errno.
 */
int rights_try(const struct rights *r, int (*check)(void *arg), void *arg)
	__attribute__((warn_unused_result));

/*
 * rights_drop - become that user, with its groups and without any capability, for good.
 *
 * Who is not root stays who he is.  Before there are other threads.
 * Returns 1; 0 (stayed); -errno (the process may be neither any more: end it).
 */
int rights_drop(const struct rights *r) __attribute__((warn_unused_result));

#endif
