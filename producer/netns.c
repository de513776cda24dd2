/* SPDX-License-Identifier: BSD-2-Clause */
/* netns.c - capture inside another network namespace. */
#include "producer/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libncpbus/include/ncpbus.h"
#include "producer/source.h"

int netns_enter(const char *name, char *why)
{
	char path[PATH_MAX];
	int len = snprintf(path, sizeof(path), "%s%s", strchr(name, '/') ? "" : "/run/netns/", name);
	int fd = (size_t)len < sizeof(path) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	int r = fd < 0 ? -errno : setns(fd, CLONE_NEWNET) < 0 ? -errno : 0;

	if (fd >= 0)
		close(fd);
	if (r == -EPERM || r == -EACCES) {
		snprintf(why, SOURCE_WHY_CAP, "namespace %.60s: no permission to enter it: start "
					      "ncp-producer as root", name);
	} else if (r < 0) {
		/* A file of another kind is EINVAL. */
		snprintf(why, SOURCE_WHY_CAP, "namespace %.60s: %s: ip netns list names them", name,
			 r == -EINVAL ? "not a network namespace" : ncp_strerror(r));
		r = -EINVAL;
	}
	return r;
}
