/* SPDX-License-Identifier: BSD-2-Clause */
/* packet_filter.h - the filter that the kernel runs on an interface's frames, and their link type. */
#ifndef PACKET_FILTER_H
#define PACKET_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "producer/compile.h"

#define LINKTYPE_ETHERNET 1u
#define LINKTYPE_RAW 101u
#define LINKTYPE_SLL2 276u

/* packet_linktype - LINKTYPE_ of a device of this ARPHRD_ number, or -1: its frames have no
 * link-layer header that we can tell.  Source: libpcap's pcap-linux.c names the same pairs. */
int packet_linktype(unsigned short arphrd);

/* What the filter of an interface follows from. */
struct packet_filter {
	const char *device;
	uint32_t linktype;
	uint32_t snaplen;   /* what a match returns */
	uint32_t direction; /* 0 both, NCP_INBOUND, NCP_OUTBOUND */
	bool loopback;	    /* each frame passes twice there, out and in: one of them is enough */
	int loopback_index; /* the same of this one of several interfaces; 0: none */
	const char *text;   /* pcap-filter(7), or NULL: every frame */
	const struct compile_keep *keep; /* compile with it; NULL: open the device */
};

/*
 * packet_filter_make - the program: a test of the packet type where one is needed, then the text.
 *
 *   p    undo with compile_free()
 *   why  SOURCE_WHY_CAP bytes: one line, on error
 *
 * With LINKTYPE_SLL2 it is for a SOCK_DGRAM socket: the kernel sees no such header.
 * Returns 0, or as compile_live(); -EINVAL, too, for more instructions than the kernel takes, and for
 * a field of that header that it does not know.
 */
int packet_filter_make(const struct packet_filter *f, struct compile_program *p, char *why)
	__attribute__((warn_unused_result));

/* packet_filter_set - have a socket's frames filtered by a program; NULL: accept none.
 * Frames that are in its ring stay there.  Returns 0, -errno. */
int packet_filter_set(int fd, const struct compile_program *p);

#endif
