/* SPDX-License-Identifier: BSD-2-Clause */
/* print.h - a frame as one plain line: time, interface, addresses, ports, protocol, length. */
#ifndef PRINT_H
#define PRINT_H

#include <stddef.h>
#include <stdint.h>

/* A frame to be shown. */
struct print_frame {
	const uint8_t *data; /* caplen bytes, any */
	uint32_t caplen, len;
	uint32_t linktype; /* LINKTYPE_ */
	uint64_t ts_ns;	   /* since 1970 UTC */
	const char *interface; /* its name as it is to stand there, already safe to print */
};

#define PRINT_CAP 512 /* a line and its NUL; the interface's name is cut to fit */

/*
 * print_line - the line of a frame.
 *
 *   out  PRINT_CAP bytes; ends in a newline and NUL
 *
 * 12:34:56.123456789 eth0 192.0.2.1.1024 > 198.51.100.7.53 UDP 78
 * Local time; numbers only, no names are looked up.  Nothing of the frame's bytes is copied: all that
 * is shown was made from numbers, so that the line is plain ASCII but for the interface's name.
 * Reads within caplen only, whatever the headers claim.
 * Understands Ethernet (VLAN tags), raw IP, BSD null and loopback, Linux cooked v1 and v2, PPP;
 * names the link type of others.
 * Returns the line's length.
 */
size_t print_line(char out[PRINT_CAP], const struct print_frame *f);

/*
 * print_flow - the ends and the protocol of a TCP or UDP frame: "saddr sport daddr dport proto".
 *
 * 192.0.2.1 1024 198.51.100.7 53 UDP
 * 2001:db8::1 443 2001:db8::2 50000 TCP
 * Looks through the same headers as print_line(), within caplen.
 * Returns the line's length; 0: it is neither, or a fragment without ports, or cut before them.
 */
size_t print_flow(char out[PRINT_CAP], const struct print_frame *f);

#endif
