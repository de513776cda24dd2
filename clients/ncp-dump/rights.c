/* SPDX-License-Identifier: BSD-2-Clause */
/* rights.c - -Z: from root to an ordinary user. */
#include "rights.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util/parse.h"

int rights_find(const char *user, struct rights *r)
{
	const struct passwd *pw;
	uint64_t id;

	errno = 0;
	pw = getpwnam(user);
	if (!pw && parse_u64(user, 0, UINT32_MAX - 1, &id) == 0)
		pw = getpwuid((uid_t)id);
	if (!pw)
		return errno && errno != ESRCH && errno != EPERM && errno != EBADF ? -errno : -ENOENT;
	r->uid = pw->pw_uid;
	r->gid = pw->pw_gid;
	return snprintf(r->name, sizeof(r->name), "%s", pw->pw_name) < (int)sizeof(r->name) ?
		       0 :
		       -ENAMETOOLONG;
}

int rights_try(const struct rights *r, int (*check)(void *arg), void *arg)
{
	gid_t gid = getegid(), *groups;
	int n, result;

	if (geteuid() != 0 || r->uid == 0)
		return 0;
	n = getgroups(0, NULL);
	groups = n < 0 ? NULL : calloc((size_t)n + 1, sizeof(*groups));
	if (!groups)
		return n < 0 ? -errno : -ENOMEM;
	n = getgroups(n, groups);
	if (n < 0 || initgroups(r->name, r->gid) < 0 || setegid(r->gid) < 0 ||
	    seteuid(r->uid) < 0)
		result = -errno;
	else
		result = check(arg);
	if (seteuid(0) < 0 || setegid(gid) < 0 || setgroups((size_t)n, groups) < 0)
		result = -errno;
	free(groups);
	return result;
}

int rights_drop(const struct rights *r)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };
	uid_t ruid, euid, suid;

	if (geteuid() != 0 || r->uid == 0)
		return 0;
	if (initgroups(r->name, r->gid) < 0 || setresgid(r->gid, r->gid, r->gid) < 0 ||
	    setresuid(r->uid, r->uid, r->uid) < 0)
		return -errno;
	/* Leaving root has cleared them, unless a securebit kept them. */
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
		return -errno;
	if (syscall(SYS_capset, &head, none) < 0)
		return -errno;
	if (getresuid(&ruid, &euid, &suid) < 0 || ruid != r->uid || euid != r->uid ||
	    suid != r->uid || setresuid(0, 0, 0) == 0)
		return -EPERM;
	return 1;
}
