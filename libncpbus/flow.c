/* SPDX-License-Identifier: BSD-2-Clause */
/* flow.c - take a frame apart as far as its flow goes, trusting no length in it. */
#include "libncpbus/flow.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "libncpbus/layout.h"

/* LINKTYPE_ values. Source: www.tcpdump.org/linktypes.html. */
enum {
	LINK_NULL = 0,
	LINK_ETHERNET = 1,
	LINK_PPP = 9,
	LINK_RAW = 101,
	LINK_LOOP = 108,
	LINK_SLL = 113,
	LINK_IPV4 = 228,
	LINK_IPV6 = 229,
	LINK_SLL2 = 276,
};

enum { ETHER_IPV4 = 0x0800, ETHER_IPV6 = 0x86dd, ETHER_8021Q = 0x8100, ETHER_8021AD = 0x88a8,
       ETHER_QINQ = 0x9100, PPP_IPV4 = 0x0021, PPP_IPV6 = 0x0057 };

enum { PROTO_HOP = 0, PROTO_TCP = 6, PROTO_UDP = 17, PROTO_DCCP = 33, PROTO_ROUTING = 43,
       PROTO_FRAGMENT = 44, PROTO_AH = 51, PROTO_DESTINATION = 60, PROTO_SCTP = 132,
       PROTO_MOBILITY = 135, PROTO_UDPLITE = 136, PROTO_HIP = 139, PROTO_SHIM6 = 140 };

/* A frame being walked: what is left of it. */
struct rest {
	const uint8_t *p;
	uint32_t len;
};

/* The next n bytes, or NULL when the frame was cut before. */
static const uint8_t *take(struct rest *r, uint32_t n)
{
	const uint8_t *p = r->p;

	if (n > r->len)
		return NULL;
	r->p += n;
	r->len -= n;
	return p;
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* Bytes of an end (an address, a port) into one number; not yet symmetric. */
static uint64_t end_hash(uint64_t seed, const uint8_t *bytes, size_t n)
{
	uint64_t word;

	for (; n >= 8; bytes += 8, n -= 8) {
		memcpy(&word, bytes, 8);
		seed = ncpi_mix(seed ^ word);
	}
	word = 0;
	memcpy(&word, bytes, n);
	return n ? ncpi_mix(seed ^ word) : seed;
}

/* Both ends and what they speak: the sum forgets which end came first. */
static uint64_t flow_of(uint64_t a, uint64_t b, uint64_t proto)
{
	uint64_t hash = ncpi_mix(a + b + proto);

	return hash ? hash : 1; /* 0 means: not known */
}

static bool has_ports(uint8_t proto)
{
	return proto == PROTO_TCP || proto == PROTO_UDP || proto == PROTO_UDPLITE ||
	       proto == PROTO_SCTP || proto == PROTO_DCCP;
}

static uint64_t transport(struct rest *r, const uint8_t *src, const uint8_t *dst, size_t n,
			  uint8_t proto, bool fragment)
{
	uint64_t a = end_hash(n, src, n), b = end_hash(n, dst, n);
	const uint8_t *ports = !fragment && has_ports(proto) ? take(r, 4) : NULL;

	if (ports) {
		a = end_hash(a, ports, 2);
		b = end_hash(b, ports + 2, 2);
	}
	return flow_of(a, b, proto);
}

static uint64_t ipv4(struct rest *r)
{
	const uint8_t *h = take(r, 20);

	if (!h || h[0] >> 4 != 4 || (h[0] & 15) < 5)
		return 0;
	uint8_t proto = h[9];
	bool fragment = get16(h + 6) & 0x3fff; /* more fragments, or an offset */
	if (!take(r, ((uint32_t)h[0] & 15) * 4 - 20))
		fragment = true; /* cut inside the options: no ports to be had */
	return transport(r, h + 12, h + 16, 4, proto, fragment);
}

static uint64_t ipv6(struct rest *r)
{
	const uint8_t *h = take(r, 40);

	if (!h || h[0] >> 4 != 6)
		return 0;
	uint8_t proto = h[6];
	bool fragment = false;
	for (int i = 0; i < 8 && !fragment; i++) {
		const uint8_t *x;
		uint32_t len;

		switch (proto) {
		case PROTO_FRAGMENT:
			x = take(r, 8);
			if (!x)
				return transport(r, h + 8, h + 24, 16, 0, true);
			/* An atomic fragment (offset 0, no more) is a whole datagram. */
			fragment = get16(x + 2) & 0xfff9;
			proto = x[0];
			continue;
		case PROTO_HOP:
		case PROTO_ROUTING:
		case PROTO_DESTINATION:
		case PROTO_MOBILITY:
		case PROTO_HIP:
		case PROTO_SHIM6:
		case PROTO_AH:
			x = take(r, 8);
			if (!x)
				break;
			len = proto == PROTO_AH ? (x[1] + 2u) * 4 : (x[1] + 1u) * 8;
			proto = x[0];
			if (len >= 8 && take(r, len - 8))
				continue;
			break;
		default:
			return transport(r, h + 8, h + 24, 16, proto, false);
		}
		fragment = true; /* cut inside a header: no ports to be had */
	}
	return transport(r, h + 8, h + 24, 16, fragment ? 0 : proto, fragment);
}

static uint64_t by_ethertype(struct rest *r, uint16_t type)
{
	for (int tags = 0; tags < 4; tags++) {
		if (type != ETHER_8021Q && type != ETHER_8021AD && type != ETHER_QINQ)
			break;
		const uint8_t *tag = take(r, 4);

		if (!tag)
			return 0;
		type = get16(tag + 2);
	}
	return type == ETHER_IPV4 ? ipv4(r) : type == ETHER_IPV6 ? ipv6(r) : 0;
}

/* By the version in the first byte, for link types that have no other type field. */
static uint64_t by_version(struct rest *r)
{
	if (r->len == 0)
		return 0;
	return r->p[0] >> 4 == 6 ? ipv6(r) : ipv4(r);
}

uint64_t ncpi_flow_hash(uint32_t linktype, const uint8_t *data, uint32_t caplen)
{
	struct rest r = { data, caplen };
	const uint8_t *h;
	uint64_t hash;

	switch (linktype) {
	case LINK_ETHERNET:
		h = take(&r, 14);
		if (!h)
			return 0;
		hash = by_ethertype(&r, get16(h + 12));
		return hash ? hash : flow_of(end_hash(6, h, 6), end_hash(6, h + 6, 6), 0);
	case LINK_RAW:
	case LINK_IPV4:
	case LINK_IPV6:
		return by_version(&r);
	case LINK_NULL: /* an address family in somebody's byte order: the version tells better */
	case LINK_LOOP:
		return take(&r, 4) ? by_version(&r) : 0;
	case LINK_SLL:
		h = take(&r, 16);
		return h ? by_ethertype(&r, get16(h + 14)) : 0;
	case LINK_SLL2:
		h = take(&r, 20);
		return h ? by_ethertype(&r, get16(h)) : 0;
	case LINK_PPP:
		if (r.len >= 2 && r.p[0] == 0xff && r.p[1] == 0x03)
			take(&r, 2); /* address and control, when they were not compressed away */
		h = take(&r, 2);
		if (!h)
			return 0;
		return get16(h) == PPP_IPV4 ? ipv4(&r) : get16(h) == PPP_IPV6 ? ipv6(&r) : 0;
	default:
		return 0;
	}
}
