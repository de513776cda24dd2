/* SPDX-License-Identifier: BSD-2-Clause */
/* print.c - a frame as one plain line: time, interface, addresses, ports, protocol, length. */
#include "print.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

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

/* What is left of a frame; a read beyond gives zeros and remembers that it was short. */
struct cut {
	const uint8_t *p;
	uint32_t len;
};

struct text {
	char *out;
	size_t len, cap;
};

static void put(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct text *t, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	int n = vsnprintf(t->out + t->len, t->cap - t->len, format, ap);
	va_end(ap);
	if (n > 0)
		t->len += (size_t)n < t->cap - t->len ? (size_t)n : t->cap - t->len - 1;
}

static uint32_t be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static struct cut skip(struct cut c, uint32_t n)
{
	n = n < c.len ? n : c.len;
	return (struct cut){ c.p + n, c.len - n };
}

static const struct {
	uint8_t number;
	bool ports;
	const char *name;
} protocols[] = {
	{ 1, false, "ICMP" },	 { 2, false, "IGMP" }, { 4, false, "IPIP" },  { 6, true, "TCP" },
	{ 17, true, "UDP" },	 { 33, true, "DCCP" }, { 41, false, "IPv6" }, { 47, false, "GRE" },
	{ 50, false, "ESP" },	 { 51, false, "AH" }, { 58, false, "ICMP6" }, { 89, false, "OSPF" },
	{ 103, false, "PIM" },	 { 112, false, "VRRP" }, { 132, true, "SCTP" },
	{ 136, true, "UDPLite" },
};

static void put_address(struct text *t, int family, const uint8_t *p)
{
	char s[INET6_ADDRSTRLEN];

	put(t, "%s", inet_ntop(family, p, s, sizeof(s)) ? s : "?");
}

/* Addresses, ports where there are some, protocol. */
static void put_flow(struct text *t, int family, const uint8_t *src, const uint8_t *dst,
		     uint8_t number, bool fragment, struct cut upper)
{
	const char *name = NULL;
	bool ports = false;

	for (size_t i = 0; i < sizeof(protocols) / sizeof(*protocols); i++)
		if (protocols[i].number == number) {
			name = protocols[i].name;
			ports = protocols[i].ports && !fragment && upper.len >= 4;
		}
	put_address(t, family, src);
	if (ports)
		put(t, ".%u", be16(upper.p));
	put(t, " > ");
	put_address(t, family, dst);
	if (ports)
		put(t, ".%u", be16(upper.p + 2));
	if (name)
		put(t, " %s", name);
	else
		put(t, " proto-%u", number);
	if (fragment)
		put(t, " fragment");
}

static void put_ipv4(struct text *t, struct cut c)
{
	uint32_t header;

	if (c.len < 20 || c.p[0] >> 4 != 4) {
		put(t, "IPv4 [short]");
		return;
	}
	header = (c.p[0] & 15u) * 4;
	put_flow(t, AF_INET, c.p + 12, c.p + 16, c.p[9], (be16(c.p + 6) & 0x1fff) != 0,
		 skip(c, header < 20 ? 20 : header));
}

static void put_ipv6(struct text *t, struct cut c)
{
	const uint8_t *ip = c.p;
	bool fragment = false;
	uint8_t next;

	if (c.len < 40 || c.p[0] >> 4 != 6) {
		put(t, "IPv6 [short]");
		return;
	}
	next = c.p[6];
	c = skip(c, 40);
	/* Extension headers; each step is 8 bytes at least, so that it ends. */
	for (;;) {
		if (c.len < 8)
			break;
		if (next == 44) {
			fragment = fragment || (be16(c.p + 2) & 0xfff8) != 0;
			next = c.p[0];
			c = skip(c, 8);
		} else if (next == 0 || next == 43 || next == 60) {
			next = c.p[0];
			c = skip(c, 8 + 8u * c.p[1]);
		} else {
			break;
		}
	}
	put_flow(t, AF_INET6, ip + 8, ip + 24, next, fragment, c);
}

static void put_arp(struct text *t, struct cut c)
{
	/* Hardware of 6 bytes, protocol of 4: IPv4 over Ethernet. */
	if (c.len < 28 || c.p[4] != 6 || c.p[5] != 4) {
		put(t, "ARP");
		return;
	}
	put_address(t, AF_INET, c.p + 14);
	put(t, " > ");
	put_address(t, AF_INET, c.p + 24);
	put(t, " ARP %s", be16(c.p + 6) == 1 ? "who-has" : be16(c.p + 6) == 2 ? "is-at" : "other");
}

static void put_mac(struct text *t, const uint8_t *p)
{
	put(t, "%02x:%02x:%02x:%02x:%02x:%02x", p[0], p[1], p[2], p[3], p[4], p[5]);
}

/* What an Ethernet type says follows.  false: nothing was written. */
static bool put_type(struct text *t, uint32_t type, struct cut c)
{
	while ((type == TYPE_VLAN || type == TYPE_QINQ || type == TYPE_QINQ_OLD) && c.len >= 4) {
		put(t, "vlan-%u ", be16(c.p) & 0xfff);
		type = be16(c.p + 2);
		c = skip(c, 4);
	}
	if (type == TYPE_IPV4)
		put_ipv4(t, c);
	else if (type == TYPE_IPV6)
		put_ipv6(t, c);
	else if (type == TYPE_ARP)
		put_arp(t, c);
	else
		return false;
	return true;
}

static void put_ethernet(struct text *t, struct cut c)
{
	const uint8_t *mac = c.p;
	uint32_t type;

	if (c.len < 14) {
		put(t, "Ethernet [short]");
		return;
	}
	type = be16(c.p + 12);
	if (put_type(t, type, skip(c, 14)))
		return;
	put_mac(t, mac + 6);
	put(t, " > ");
	put_mac(t, mac);
	if (type < 1536)
		put(t, " LLC");
	else
		put(t, " type-0x%04x", type);
}

static void put_ip(struct text *t, struct cut c)
{
	if (c.len && c.p[0] >> 4 == 6)
		put_ipv6(t, c);
	else
		put_ipv4(t, c);
}

/* An address family of some BSD or Linux in front; the byte order is the capturing machine's. */
static void put_null(struct text *t, struct cut c)
{
	if (c.len < 4)
		put(t, "loopback [short]");
	else
		put_ip(t, skip(c, 4));
}

static void put_ppp(struct text *t, struct cut c)
{
	if (c.len >= 2 && c.p[0] == 0xff && c.p[1] == 3)
		c = skip(c, 2);
	if (c.len < 2)
		put(t, "PPP [short]");
	else if (be16(c.p) == 0x21)
		put_ipv4(t, skip(c, 2));
	else if (be16(c.p) == 0x57)
		put_ipv6(t, skip(c, 2));
	else
		put(t, "PPP type-0x%04x", be16(c.p));
}

static void put_cooked(struct text *t, struct cut c, uint32_t type_at, uint32_t header)
{
	if (c.len < header)
		put(t, "cooked [short]");
	else if (!put_type(t, be16(c.p + type_at), skip(c, header)))
		put(t, "cooked type-0x%04x", be16(c.p + type_at));
}

static void put_content(struct text *t, const struct print_frame *f)
{
	struct cut c = { f->data, f->caplen };

	switch (f->linktype) {
	case LINK_ETHERNET:
		put_ethernet(t, c);
		break;
	case LINK_RAW_OLD:
	case LINK_RAW_BSD:
	case LINK_RAW:
	case LINK_IPV4:
	case LINK_IPV6:
		put_ip(t, c);
		break;
	case LINK_NULL:
	case LINK_LOOP:
		put_null(t, c);
		break;
	case LINK_PPP:
	case LINK_PPP_HDLC:
		put_ppp(t, c);
		break;
	case LINK_SLL:
		put_cooked(t, c, 14, 16);
		break;
	case LINK_SLL2:
		put_cooked(t, c, 0, 20);
		break;
	case LINK_80211:
	case LINK_RADIOTAP:
		put(t, "802.11");
		break;
	case LINK_NFLOG:
		put(t, "nflog");
		break;
	default:
		put(t, "linktype-%u", f->linktype);
	}
}

size_t print_line(char out[PRINT_CAP], const struct print_frame *f)
{
	struct text t = { out, 0, PRINT_CAP - 1 };
	time_t seconds = (time_t)(f->ts_ns / 1000000000);
	struct tm tm = { 0 };

	localtime_r(&seconds, &tm);
	put(&t, "%02d:%02d:%02d.%09u %.200s ", tm.tm_hour, tm.tm_min, tm.tm_sec,
	    (unsigned int)(f->ts_ns % 1000000000), f->interface);
	put_content(&t, f);
	put(&t, " %u", f->len);
	if (f->caplen < f->len)
		put(&t, " [%u captured]", f->caplen);
	out[t.len++] = '\n';
	out[t.len] = '\0';
	return t.len;
}
