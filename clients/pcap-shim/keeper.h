/* SPDX-License-Identifier: BSD-2-Clause */
/* keeper.h - a process that keeps the right to open a bus for a program that gives it up. */
#ifndef PCAP_SHIM_KEEPER_H
#define PCAP_SHIM_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

/* Its program, in the folder that the library was loaded from. */
#define KEEPER_PROGRAM "ncp-pcap-keeper"

/*
 * What they say to each other over a socket pair (SOCK_SEQPACKET).  The keeper first sends an answer
 * with code 0.  Then one byte asks, and each answer is this, with a descriptor beside it (SCM_RIGHTS)
 * if code is 0.
 */
struct keeper_answer {
	int32_t code; /* 0 or -errno of open() */
};

/* keeper_needed - may this process lose rights that it has now: is it root, set-id, or has it
 * capabilities?  Others cannot become somebody else. */
bool keeper_needed(void);

/*
 * keeper_start - start a keeper of one bus with the identity this process has now.
 *
 * It is nobody's child: no wait() of the program meets it.  It is in a session of its own, and ends
 * when the last copy of the descriptor is closed, also those that children inherited.
 *
 *   dir, bus  the name is dir/ncp.<bus>
 *
 * Returns a descriptor (O_CLOEXEC) that keeper_ask() takes, or -errno.  Blocks until it runs, two
 * seconds at most.
 */
int keeper_start(const char *dir, const char *bus) __attribute__((warn_unused_result));

/* keeper_ask - a descriptor of what bears the bus's name now, the caller's; or -errno.  Blocks for a
 * second at most.  Threads and children may ask through the same descriptor: all get the same. */
int keeper_ask(int fd) __attribute__((warn_unused_result));

#endif
