/* SPDX-License-Identifier: BSD-2-Clause */
/* packet_socket.h - open a packet socket with its ring: at the start, and when an interface is back. */
#ifndef PACKET_SOCKET_H
#define PACKET_SOCKET_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "producer/hwtime.h"
#include "producer/packet_filter.h"

#define PACKET_INTERFACES 64u
#define PACKET_NO_FANOUT (-1)

/*
 * What the sockets of one interface are opened with.  The list of these is fixed before rights are
 * dropped: nothing else can be opened later, by the helper (helper.h).
 */
struct packet_want {
	char name[IFNAMSIZ];
	bool any;	    /* of all interfaces, without their link-layer headers */
	uint64_t ring_size; /* bytes of each socket's ring; 0: a default */
	uint32_t snaplen;   /* so many bytes of a frame fit into one block */
	uint32_t retire_ms; /* a block is handed over after this at most, >= 1 */
	bool promiscuous;
	bool immediate;	      /* slots of a frame each, handed over at once: TPACKET_V2 */
	bool hwtime;	      /* the interface's own clock, if it has one */
	struct hwtime hw;     /* kept by packet_socket_open() */
	bool ignore_outgoing; /* spares the kernel a clone; the filter refuses those frames anyway */
	struct packet_filter filter; /* what the filter of its frames follows from; without device,
				      * text and keep.  The link type is that of the start */
	int fanout;	      /* PACKET_FANOUT_HASH and so on, or PACKET_NO_FANOUT: the only socket */

	/* The group that the last of these sockets joined, and on which device that was: kept by
	 * packet_socket_open(). */
	bool grouped;
	int group_ifindex;
	uint16_t group;
};

struct packet_list {
	struct packet_want want[PACKET_INTERFACES];
	uint32_t n;
};

struct packet_socket {
	int fd;
	int ifindex;
	uint32_t block_len, n_blocks; /* of its ring, which is not yet mapped */
	bool hwtime; /* frames bear their time as the hardware told it; those that have none the kernel's */
	uint32_t slot_len; /* TPACKET_V2: of the slots in a block, as many as fit; 0: TPACKET_V3 */
};

/*
 * packet_fanout_flags - a --fanout MODE's number with its flags: hash, cpu, lb, qm.
 *
 * hash comes with rollover (a socket whose ring is full passes on to the next); none with the
 * kernel's defragmentation, which would hand over one whole datagram in place of its fragments.
 * Returns PACKET_NO_FANOUT for any other word.
 */
int packet_fanout_flags(const char *mode);

/*
 * packet_socket_open - a socket that hears the interface, with a ring and a filter that drops all.
 *
 *   want  whose group is brought up to date: the first socket on a device makes a group with a
 *         number of its own, those after it join that
 *
 * No frame is in its ring before another filter is attached.  With any, ifindex is 0.  Needs CAP_NET_RAW.  With fanout the
 * socket is bound to this device for good: the kernel binds no member of a group again.
 * Returns 0; -ENODEV; -ENETDOWN (with fanout only: some kernels let no socket join while the
 * interface is down); -EPERM; -ENOMEM; -errno.
 * Source: packet(7), Documentation/networking/packet_mmap.rst, fanout_add() of Linux.
 */
int packet_socket_open(struct packet_want *want, struct packet_socket *s)
	__attribute__((warn_unused_result));

/* packet_clocks_restore - set the clocks of all these interfaces back to what they were. */
void packet_clocks_restore(struct packet_list *list);

#endif
