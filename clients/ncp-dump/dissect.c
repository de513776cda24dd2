/* SPDX-License-Identifier: BSD-2-Clause */
/* dissect.c - where in a frame its IP packet is, and what that says of its flow. */
#include "dissect.h"

#include <sys/socket.h>

bool dissect_ipv4(struct cut c, struct dissect_flow *f)
{
	uint32_t header;

	if (c.len < 20 || c.p[0] >> 4 != 4)
		return false;
	header = (c.p[0] & 15u) * 4;
	*f = (struct dissect_flow){ .family = AF_INET,
				    .src = c.p + 12,
				    .dst = c.p + 16,
				    .protocol = c.p[9],
				    .fragment = (cut_be16(c.p + 6) & 0x1fff) != 0,
				    .upper = cut_skip(c, header < 20 ? 20 : header) };
	return true;
}

bool dissect_ipv6(struct cut c, struct dissect_flow *f)
{
	uint8_t next;

	if (c.len < 40 || c.p[0] >> 4 != 6)
		return false;
	*f = (struct dissect_flow){ .family = AF_INET6, .src = c.p + 8, .dst = c.p + 24 };
	next = c.p[6];
	c = cut_skip(c, 40);
	/* Extension headers; each step is 8 bytes at least, so that it ends. */
	while (c.len >= 8) {
		if (next == 44) {
			f->fragment = f->fragment || (cut_be16(c.p + 2) & 0xfff8) != 0;
			next = c.p[0];
			c = cut_skip(c, 8);
		} else if (next == 0 || next == 43 || next == 60) {
			next = c.p[0];
			c = cut_skip(c, 8 + 8u * c.p[1]);
		} else {
			break;
		}
	}
	f->protocol = next;
	f->upper = c;
	return true;
}

/* What an Ethernet type says follows. */
static bool by_type(uint32_t type, struct cut c, struct dissect_flow *f)
{
	while (dissect_is_vlan(type) && c.len >= 4) {
		type = cut_be16(c.p + 2);
		c = cut_skip(c, 4);
	}
	return type == TYPE_IPV4 ? dissect_ipv4(c, f) : type == TYPE_IPV6 && dissect_ipv6(c, f);
}

/* A type at type_at in a header of so many bytes. */
static bool behind(struct cut c, uint32_t type_at, uint32_t header, struct dissect_flow *f)
{
	return c.len >= header && by_type(cut_be16(c.p + type_at), cut_skip(c, header), f);
}

static bool raw(struct cut c, struct dissect_flow *f)
{
	return dissect_ipv4(c, f) || dissect_ipv6(c, f);
}

static bool ppp(struct cut c, struct dissect_flow *f)
{
	if (c.len >= 2 && c.p[0] == 0xff && c.p[1] == 3)
		c = cut_skip(c, 2);
	if (c.len < 2 || (cut_be16(c.p) != 0x21 && cut_be16(c.p) != 0x57))
		return false;
	return raw(cut_skip(c, 2), f);
}

bool dissect_frame(uint32_t linktype, struct cut c, struct dissect_flow *f)
{
	switch (linktype) {
	case LINK_ETHERNET:
		return behind(c, 12, 14, f);
	case LINK_RAW_OLD:
	case LINK_RAW_BSD:
	case LINK_RAW:
	case LINK_IPV4:
	case LINK_IPV6:
		return raw(c, f);
	case LINK_NULL:
	case LINK_LOOP:
		return raw(cut_skip(c, 4), f);
	case LINK_PPP:
	case LINK_PPP_HDLC:
		return ppp(c, f);
	case LINK_SLL:
		return behind(c, 14, 16, f);
	case LINK_SLL2:
		return behind(c, 0, 20, f);
	default:
		return false;
	}
}
