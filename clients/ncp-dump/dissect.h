/* SPDX-License-Identifier: BSD-2-Clause */
/* dissect.h - where in a frame its IP packet is, and what that says of its flow. */
#ifndef DISSECT_H
#define DISSECT_H

#include <stdbool.h>
#include <stdint.h>

/* LINKTYPE_ numbers.  Source: tcpdump.org/linktypes.html. */
enum {
	LINK_NULL = 0,
	LINK_ETHERNET = 1,
	LINK_PPP = 9,
	LINK_RAW_OLD = 12,
	LINK_RAW_BSD = 14,
	LINK_PPP_HDLC = 50,
	LINK_RAW = 101,
	LINK_80211 = 105,
	LINK_LOOP = 108,
	LINK_SLL = 113,
	LINK_RADIOTAP = 127,
	LINK_NFLOG = 239,
	LINK_IPV4 = 228,
	LINK_IPV6 = 229,
	LINK_SLL2 = 276,
};

enum {
	TYPE_IPV4 = 0x0800,
	TYPE_ARP = 0x0806,
	TYPE_VLAN = 0x8100,
	TYPE_IPV6 = 0x86dd,
	TYPE_QINQ = 0x88a8,
	TYPE_QINQ_OLD = 0x9100,
};

/* What is left of a frame. */
struct cut {
	const uint8_t *p;
	uint32_t len;
};

static inline uint32_t cut_be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

/* n bytes further, or at the end. */
static inline struct cut cut_skip(struct cut c, uint32_t n)
{
	n = n < c.len ? n : c.len;
	return (struct cut){ c.p + n, c.len - n };
}

static inline bool dissect_is_vlan(uint32_t type)
{
	return type == TYPE_VLAN || type == TYPE_QINQ || type == TYPE_QINQ_OLD;
}

struct dissect_flow {
	int family;		  /* AF_INET, AF_INET6 */
	const uint8_t *src, *dst; /* 4 or 16 bytes within the frame */
	uint8_t protocol;	  /* behind all extension headers */
	bool fragment;		  /* not a datagram's beginning: upper has no header of it */
	struct cut upper;	  /* what follows the IP headers */
};

/*
 * dissect_ipv4, dissect_ipv6 - take an IP packet apart.
 *
 * Reads within c only, whatever the headers claim.  false: too short, or another version.
 * Source: RFC 791; RFC 8200, section 4.
 */
bool dissect_ipv4(struct cut c, struct dissect_flow *f);
bool dissect_ipv6(struct cut c, struct dissect_flow *f);

/*
 * dissect_frame - the same with whatever stands before it: Ethernet (VLAN tags), raw IP, BSD null and
 * loopback, Linux cooked v1 and v2, PPP.
 *
 * false: there is no IP packet in it.
 */
bool dissect_frame(uint32_t linktype, struct cut c, struct dissect_flow *f);

#endif
