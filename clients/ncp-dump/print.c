/* SPDX-License-Identifier: BSD-2-Clause */
/* print.c - a frame as one plain line: time, interface, addresses, ports, protocol, length. */
#include "print.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "dissect.h"

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
static void put_flow(struct text *t, const struct dissect_flow *f)
{
	const char *name = NULL;
	bool ports = false;

	for (size_t i = 0; i < sizeof(protocols) / sizeof(*protocols); i++)
		if (protocols[i].number == f->protocol) {
			name = protocols[i].name;
			ports = protocols[i].ports && !f->fragment && f->upper.len >= 4;
		}
	put_address(t, f->family, f->src);
	if (ports)
		put(t, ".%u", cut_be16(f->upper.p));
	put(t, " > ");
	put_address(t, f->family, f->dst);
	if (ports)
		put(t, ".%u", cut_be16(f->upper.p + 2));
	if (name)
		put(t, " %s", name);
	else
		put(t, " proto-%u", f->protocol);
	if (f->fragment)
		put(t, " fragment");
}

static void put_ipv4(struct text *t, struct cut c)
{
	struct dissect_flow f;

	if (dissect_ipv4(c, &f))
		put_flow(t, &f);
	else
		put(t, "IPv4 [short]");
}

static void put_ipv6(struct text *t, struct cut c)
{
	struct dissect_flow f;

	if (dissect_ipv6(c, &f))
		put_flow(t, &f);
	else
		put(t, "IPv6 [short]");
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
	put(t, " ARP %s", cut_be16(c.p + 6) == 1 ? "who-has" : cut_be16(c.p + 6) == 2 ? "is-at" : "other");
}

static void put_mac(struct text *t, const uint8_t *p)
{
	put(t, "%02x:%02x:%02x:%02x:%02x:%02x", p[0], p[1], p[2], p[3], p[4], p[5]);
}

/* What an Ethernet type says follows.  false: nothing was written. */
static bool put_type(struct text *t, uint32_t type, struct cut c)
{
	while (dissect_is_vlan(type) && c.len >= 4) {
		put(t, "vlan-%u ", cut_be16(c.p) & 0xfff);
		type = cut_be16(c.p + 2);
		c = cut_skip(c, 4);
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
	type = cut_be16(c.p + 12);
	if (put_type(t, type, cut_skip(c, 14)))
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
		put_ip(t, cut_skip(c, 4));
}

static void put_ppp(struct text *t, struct cut c)
{
	if (c.len >= 2 && c.p[0] == 0xff && c.p[1] == 3)
		c = cut_skip(c, 2);
	if (c.len < 2)
		put(t, "PPP [short]");
	else if (cut_be16(c.p) == 0x21)
		put_ipv4(t, cut_skip(c, 2));
	else if (cut_be16(c.p) == 0x57)
		put_ipv6(t, cut_skip(c, 2));
	else
		put(t, "PPP type-0x%04x", cut_be16(c.p));
}

static void put_cooked(struct text *t, struct cut c, uint32_t type_at, uint32_t header)
{
	if (c.len < header)
		put(t, "cooked [short]");
	else if (!put_type(t, cut_be16(c.p + type_at), cut_skip(c, header)))
		put(t, "cooked type-0x%04x", cut_be16(c.p + type_at));
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

size_t print_flow(char out[PRINT_CAP], const struct print_frame *f)
{
	struct text t = { out, 0, PRINT_CAP - 1 };
	struct dissect_flow flow;

	if (!dissect_frame(f->linktype, (struct cut){ f->data, f->caplen }, &flow) ||
	    flow.fragment || flow.upper.len < 4 ||
	    (flow.protocol != IPPROTO_TCP && flow.protocol != IPPROTO_UDP))
		return 0;
	put_address(&t, flow.family, flow.src);
	put(&t, " %u ", cut_be16(flow.upper.p));
	put_address(&t, flow.family, flow.dst);
	put(&t, " %u %s", cut_be16(flow.upper.p + 2), flow.protocol == IPPROTO_TCP ? "TCP" : "UDP");
	out[t.len++] = '\n';
	out[t.len] = '\0';
	return t.len;
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
