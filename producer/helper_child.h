/* SPDX-License-Identifier: BSD-2-Clause */
/* helper_child.h - the helper's own side: it answers what the capturing process asks. */
#ifndef HELPER_CHILD_H
#define HELPER_CHILD_H

#include <stdnoreturn.h>
#include <sys/socket.h>

#include "producer/helper.h"
#include "producer/source.h"

/* What can come behind a message: a filter's instructions, or the reason why there are none. */
union behind {
	struct sock_filter insns[BPF_MAXINSNS];
	char why[SOURCE_WHY_CAP];
};

/* Room for one descriptor beside a message. */
union passed {
	char bytes[CMSG_SPACE(sizeof(int))];
	struct cmsghdr align;
};

/*
 * helper_child - be the helper: give up rights, say so, answer until nobody is left to ask.
 *
 *   fd  its end of the pair of sockets
 *
 * In the child of a fork, which ends with it.
 */
noreturn void helper_child(int fd, const struct helper_options *o);

#endif
