/* SPDX-License-Identifier: BSD-2-Clause */
/* netns.h - capture inside another network namespace. */
#ifndef NETNS_H
#define NETNS_H

/*
 * netns_enter - this process, and those it makes, see another namespace's interfaces from now on.
 *
 *   name  as ip-netns(8) has it (a file in /run/netns), or a path with a '/': /proc/PID/ns/net
 *   why   SOURCE_WHY_CAP bytes: "what: why: what to do", on error
 *
 * Before there are threads.  Needs CAP_SYS_ADMIN.  The names of busses are files: they stay where
 * they are.  Returns 0, -EINVAL (no such name), -errno.
 */
int netns_enter(const char *name, char *why) __attribute__((warn_unused_result));

#endif
