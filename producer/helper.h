/* SPDX-License-Identifier: BSD-2-Clause */
/* helper.h - a second process that keeps the right to the names, and does nothing unasked. */
#ifndef HELPER_H
#define HELPER_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "producer/compile.h"
#include "producer/filter_text.h"
#include "producer/packet_socket.h"
#include "producer/privs.h"

/*
 * The capturing process gives up every right before its first frame.  What still needs one later is
 * done by a process forked before the bus was locked (an OFD lock survives a fork: a helper that
 * outlived its parent would hold the bus), called ncp-helper.  It stays the user who owns the names,
 * keeps CAP_NET_RAW if there are interfaces and no other capability, reads no packet, ignores
 * SIGINT, SIGTERM and SIGHUP (they hit the whole process group), and ends when the other end of its
 * socket is closed, however that came.
 *
 * It believes one thing from the capturing process, told before that dropped its rights: which
 * inode the bus has.  From then on all it can be asked for is what it would do anyway, packet
 * sockets on the interfaces that were named at the start (a member of a fanout group cannot be bound
 * again when its interface comes back), the other busses that were named then, and the filter, compiled:
 * for an interface that comes back as one of another kind, or after the file that the filter is in was
 * read again.
 *
 * Messages are struct helper_message over a SOCK_SEQPACKET pair.  One question at a time, under a
 * lock: any thread may ask.
 */

enum helper_kind {
	HELPER_READY = 1, /* from the helper: confined, waiting.  result: 0 or -errno */
	HELPER_BUS,	  /* dev, ino: the segment that was opened.  Accepted once; no answer */
	HELPER_REAP,	  /* remove dead clients' lines, a bounded number.  No answer */
	HELPER_UNLINK,	  /* the bus has ended: remove its names.  Answer: result */
	HELPER_SOCKET,	  /* a socket on interface index.  Answer: result, and with 0 the rest of
			   * struct packet_socket, with the descriptor by SCM_RIGHTS */
	HELPER_OPEN,	  /* another bus, index of helper_options.busses.  Answer: result, and with 0
			   * its descriptor, read-only, by SCM_RIGHTS */
	HELPER_READ,	  /* read the filter's file again and see whether it can be compiled for
			   * each interface: the next filter.  Answer: result, the reason behind it */
	HELPER_COMPILE,	  /* compile for interface index as one of linktype: the next filter if
			   * there is one, else the present one.  Answer: result, and behind it the
			   * instructions, or the reason */
	HELPER_COMPILE_FRAMES, /* the same for frames of linktype, which is libpcap's DLT_ here, that
			   * no kernel filters.  No instructions: every frame matches */
	HELPER_SETTLE,	  /* index 1: the next filter is the present one from here on; 0: forget it.
			   * No answer */
};

struct helper_message {
	uint32_t kind; /* enum helper_kind */
	int32_t result;
	uint64_t dev, ino;
	uint32_t index; /* of helper_options.packets */
	int32_t ifindex;
	uint32_t block_len, n_blocks, slot_len;
	uint32_t linktype;
	uint32_t hwtime, pad;
};

struct helper {
	int fd; /* -1: none */
	pid_t pid;
	pthread_mutex_t lock; /* one question at a time */
};

/* What the helper is forked with. */
struct helper_options {
	int dirfd;	 /* the busses' directory */
	const char *bus; /* its name */
	const struct privs_who *who;
	const struct packet_list *packets; /* the interfaces that may be opened again; NULL: none */
	const struct bus_list *busses;	   /* those that may be opened again; NULL: none */
	const struct filter_text *filter;  /* what the filter is made of; NULL: nothing */
	const char *filter_now;		   /* its text as it is; NULL: none */
	char *argv0; /* the program's arguments as one piece of memory, of argv_len bytes: what ps */
	size_t argv_len; /* shows.  NULL: leave them */
};

/*
 * helper_fork - make the helper, and wait until it is confined.
 *
 * In the child every descriptor but its own is closed.  Call it before there are threads.
 * Returns 0, or -errno (of fork, or why the helper could not confine itself).
 */
int helper_fork(struct helper *h, const struct helper_options *o)
	__attribute__((warn_unused_result));

/* helper_bus - tell which segment it is.  Returns 0, -errno (-EPIPE: the helper is gone). */
int helper_bus(struct helper *h, dev_t dev, ino_t ino) __attribute__((warn_unused_result));

/* helper_reap - have dead clients' lines removed.  Never blocks; a busy helper is not asked. */
void helper_reap(struct helper *h);

/*
 * helper_open - have another bus opened for reading, by the name busses->name[index].
 *
 * What bears the name is not looked at.  Any thread.  Returns the descriptor, the caller's; -errno of
 * openat; -EINVAL (no such index); -EPIPE (the helper is gone); -EPROTO.
 */
int helper_open(struct helper *h, uint32_t index) __attribute__((warn_unused_result));

/*
 * helper_socket - have a packet socket opened, as packets->want[index] says, and wait for it.
 *
 *   s  filled in on 0; the descriptor is the caller's then
 *
 * Any thread.  Returns 0; as packet_socket_open(); -EINVAL (no such index); -EPIPE (the helper is
 * gone); -EPROTO.
 */
int helper_socket(struct helper *h, uint32_t index, struct packet_socket *s)
	__attribute__((warn_unused_result));

/*
 * helper_filter_read - have the filter's file read again, and wait for the answer.
 *
 *   why  SOURCE_WHY_CAP bytes: "what: why: what to do", on error
 *
 * On 0 helper_filter_compile() gives programs of what was read, until helper_filter_settle() says
 * whether that is the filter from then on.  One thread.
 * Returns 0; -errno (nothing is changed then); -EPIPE.
 */
int helper_filter_read(struct helper *h, char *why) __attribute__((warn_unused_result));
void helper_filter_settle(struct helper *h, bool take);

/*
 * helper_filter_compile - have the filter compiled for packets->want[index] as a device of a link
 * type.
 *
 *   p    undo with compile_free()
 *   why  as above
 *
 * Any thread.  Returns 0; -EINVAL (no such index, or no filter for such frames); -ENOMEM; -EPIPE;
 * -EPROTO.
 */
int helper_filter_compile(struct helper *h, uint32_t index, uint32_t linktype,
			  struct compile_program *p, char *why)
	__attribute__((warn_unused_result));

/*
 * helper_filter_compile_frames - have the filter compiled as compile_offline() does.
 *
 * As above.  p without instructions: there is no filter, every frame matches.
 */
int helper_filter_compile_frames(struct helper *h, int dlt, struct compile_program *p, char *why)
	__attribute__((warn_unused_result));

/*
 * helper_unlink - have the names of the bus removed, and wait for the answer.
 *
 * Call it while the bus is still locked.
 * Returns 0; -ESTALE (the name leads to another segment by now: left alone); -EPIPE (the helper
 * is gone); -errno.
 */
int helper_unlink(struct helper *h) __attribute__((warn_unused_result));

/* helper_close - let it end, and wait for that.  A zeroed one with fd -1 is fine. */
void helper_close(struct helper *h);

#endif
