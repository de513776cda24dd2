/* SPDX-License-Identifier: BSD-2-Clause */
/* traffic.c - a frame's headers, as far as its flow; every byte is hostile. */
#include "traffic.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* LINKTYPE_ numbers.  Source: tcpdump.org/linktypes.html. */
#define LINK_NULL 0
#define LINK_ETHERNET 1
#define LINK_RAW 101
#define LINK_LOOP 108
#define LINK_SLL 113
#define LINK_IPV4 228
#define LINK_IPV6 229
#define LINK_SLL2 276

/* A key: protocol, family (4 or 6; 0: none), two zeros, ports (big-endian), addresses.  The lower
 * end stands first. */
#define KEY_PROTOCOL 0
#define KEY_FAMILY 1
#define KEY_PORTS 4
#define KEY_ADDRESSES 8
_Static_assert(KEY_ADDRESSES + 32 == HEAVY_KEY, "two IPv6 addresses");

struct view {
	const uint8_t *p;
	uint32_t len;
};

static bool skip(struct view *v, uint32_t n)
{
	if (v->len < n)
		return false;
	v->p += n;
	v->len -= n;
	return true;
}

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* The EtherType of what v then stands at; 0: it is none that is known here. */
static uint16_t network(uint32_t linktype, struct view *v)
{
	uint16_t type = 0;

	switch (linktype) {
	case LINK_ETHERNET:
		if (v->len < 14)
			return 0;
		type = be16(v->p + 12);
		skip(v, 14);
		break;
	case LINK_SLL:
		if (v->len < 16)
			return 0;
		type = be16(v->p + 14);
		skip(v, 16);
		break;
	case LINK_SLL2:
		if (v->len < 20)
			return 0;
		type = be16(v->p);
		skip(v, 20);
		break;
	case LINK_NULL: /* a family in the byte order of whoever wrote it: the IP header says more */
	case LINK_LOOP:
		if (!skip(v, 4))
			return 0;
		/* fall through */
	case LINK_RAW:
	case LINK_IPV4:
	case LINK_IPV6:
		if (v->len)
			type = v->p[0] >> 4 == 4 ? 0x0800 : v->p[0] >> 4 == 6 ? 0x86dd : 0;
		break;
	}
	for (int tags = 0; tags < 2 && (type == 0x8100 || type == 0x88a8); tags++) {
		if (v->len < 4)
			return 0;
		type = be16(v->p + 2);
		skip(v, 4);
	}
	return type;
}

/* Fill a key from an IPv4 header; v then stands behind it.  False: there is none. */
static bool ipv4(struct view *v, uint8_t *key, bool *ports)
{
	if (v->len < 20 || v->p[0] >> 4 != 4)
		return false;
	uint32_t header = (v->p[0] & 15u) * 4;
	key[KEY_FAMILY] = 4;
	key[KEY_PROTOCOL] = v->p[9];
	memcpy(key + KEY_ADDRESSES, v->p + 12, 4);
	memcpy(key + KEY_ADDRESSES + 16, v->p + 16, 4);
	*ports = !(be16(v->p + 6) & 0x1fff); /* the first fragment has them */
	return header >= 20 && skip(v, header);
}

static bool ipv6(struct view *v, uint8_t *key, bool *ports)
{
	if (v->len < 40 || v->p[0] >> 4 != 6)
		return false;
	uint8_t next = v->p[6];
	key[KEY_FAMILY] = 6;
	memcpy(key + KEY_ADDRESSES, v->p + 8, 32);
	*ports = true;
	bool whole = skip(v, 40);
	/* Extension headers: RFC 8200, 4. */
	while (whole && (next == 0 || next == 43 || next == 44 || next == 60 || next == 51)) {
		if (v->len < 8)
			break;
		uint32_t header = next == 44   ? 8
				  : next == 51 ? (v->p[1] + 2u) * 4
					       : (v->p[1] + 1u) * 8;
		if (next == 44)
			*ports = !(be16(v->p + 2) & 0xfff8);
		next = v->p[0];
		whole = skip(v, header);
	}
	key[KEY_PROTOCOL] = next;
	*ports = *ports && whole;
	return true;
}

static enum traffic_protocol protocol_of(uint8_t number)
{
	switch (number) {
	case IPPROTO_TCP:
		return TRAFFIC_TCP;
	case IPPROTO_UDP:
		return TRAFFIC_UDP;
	case IPPROTO_ICMP:
		return TRAFFIC_ICMP;
	case IPPROTO_ICMPV6:
		return TRAFFIC_ICMP6;
	case IPPROTO_SCTP:
		return TRAFFIC_SCTP;
	case IPPROTO_GRE:
		return TRAFFIC_GRE;
	case IPPROTO_ESP:
		return TRAFFIC_ESP;
	default:
		return TRAFFIC_OTHER_IP;
	}
}

static bool has_ports(uint8_t number)
{
	return number == IPPROTO_TCP || number == IPPROTO_UDP || number == IPPROTO_SCTP;
}

/* Both directions give one key. */
static void key_normalize(uint8_t *key)
{
	uint8_t a[18], b[18];

	memcpy(a, key + KEY_ADDRESSES, 16);
	memcpy(a + 16, key + KEY_PORTS, 2);
	memcpy(b, key + KEY_ADDRESSES + 16, 16);
	memcpy(b + 16, key + KEY_PORTS + 2, 2);
	if (memcmp(a, b, sizeof(a)) <= 0)
		return;
	memcpy(key + KEY_ADDRESSES, b, 16);
	memcpy(key + KEY_PORTS, b + 16, 2);
	memcpy(key + KEY_ADDRESSES + 16, a, 16);
	memcpy(key + KEY_PORTS + 2, a + 16, 2);
}

static void talker_add(struct traffic *t, const uint8_t *key, unsigned end, uint32_t len,
		       double scale)
{
	uint8_t talker[HEAVY_KEY] = { 0 };

	talker[KEY_FAMILY] = key[KEY_FAMILY];
	memcpy(talker + KEY_ADDRESSES, key + KEY_ADDRESSES + 16 * end, 16);
	heavy_add(&t->talkers, talker, len, scale);
}

static enum traffic_protocol flow_add(struct traffic *t, uint32_t linktype, struct view v,
				      uint32_t len, double scale)
{
	uint8_t key[HEAVY_KEY] = { 0 };
	uint16_t type = network(linktype, &v);
	bool ports = false;

	if (type == 0x0806)
		return TRAFFIC_ARP;
	if (!(type == 0x0800 && ipv4(&v, key, &ports)) &&
	    !(type == 0x86dd && ipv6(&v, key, &ports)))
		return TRAFFIC_OTHER;
	if (ports && has_ports(key[KEY_PROTOCOL]) && v.len >= 4)
		memcpy(key + KEY_PORTS, v.p, 4);
	talker_add(t, key, 0, len, scale);
	if (memcmp(key + KEY_ADDRESSES, key + KEY_ADDRESSES + 16, 16))
		talker_add(t, key, 1, len, scale);
	key_normalize(key);
	heavy_add(&t->flows, key, len, scale);
	return protocol_of(key[KEY_PROTOCOL]);
}

static const uint32_t size_ends[TRAFFIC_SIZES] = { 64, 127, 255, 511, 1023, 1518, 9000, UINT32_MAX };

void traffic_clear(struct traffic *t)
{
	heavy_clear(&t->talkers);
	heavy_clear(&t->flows);
	memset(&t->all, 0, sizeof(t->all));
	memset(t->protocol, 0, sizeof(t->protocol));
	memset(t->size, 0, sizeof(t->size));
	t->published = t->looked = t->span_ns = 0;
	t->stratum = (struct estimate_stratum){ 0 };
	t->run = 0;
}

void traffic_add(struct traffic *t, uint32_t linktype, const uint8_t *data, uint32_t caplen,
		 uint32_t len, double scale)
{
	uint32_t size = 0;

	while (len > size_ends[size])
		size++;
	volume_add(&t->all, len);
	volume_add(&t->size[size], len);
	volume_add(&t->protocol[flow_add(t, linktype, (struct view){ data, caplen }, len, scale)],
		   len);
	t->run++;
}

void traffic_run_end(struct traffic *t)
{
	const double n = t->run;

	if (!t->run)
		return;
	volume_run_end(&t->all, n);
	for (unsigned i = 0; i < TRAFFIC_PROTOCOLS; i++)
		volume_run_end(&t->protocol[i], n);
	for (unsigned i = 0; i < TRAFFIC_SIZES; i++)
		volume_run_end(&t->size[i], n);
	heavy_run_end(&t->talkers, n);
	heavy_run_end(&t->flows, n);
	t->stratum.runs++;
	t->stratum.looked += t->run;
	t->stratum.looked_square += n * n;
	t->run = 0;
}

void traffic_stratum_end(struct traffic *t, uint64_t n)
{
	struct estimate_stratum *s = &t->stratum;

	traffic_run_end(t);
	s->all += n;
	if (!s->looked || (s->looked < s->all && s->runs < 2))
		return;
	volume_stratum_end(&t->all, s);
	for (unsigned i = 0; i < TRAFFIC_PROTOCOLS; i++)
		volume_stratum_end(&t->protocol[i], s);
	for (unsigned i = 0; i < TRAFFIC_SIZES; i++)
		volume_stratum_end(&t->size[i], s);
	heavy_stratum_end(&t->talkers, s);
	heavy_stratum_end(&t->flows, s);
	t->published += s->all;
	t->looked += s->looked;
	*s = (struct estimate_stratum){ 0 };
}

uint64_t traffic_one_in(const struct traffic *t)
{
	return t->looked ? (t->published + t->looked - 1) / t->looked : 0;
}

static double error_of(const struct volume *v, bool of_frames)
{
	return estimate_error(of_frames ? &v->frames : &v->bytes);
}

static double larger(double a, double b)
{
	return a > b ? a : b;
}

static double heavy_error(const struct heavy *h, bool of_frames)
{
	double most = 0;

	for (uint32_t i = 0; i < h->n; i++)
		most = larger(most, error_of(&h->entry[i].volume, of_frames));
	return most;
}

double traffic_error(const struct traffic *t, bool of_frames)
{
	const double all = of_frames ? t->all.frames.sum : t->all.bytes.sum;
	double most = larger(error_of(&t->all, of_frames),
			     larger(heavy_error(&t->talkers, of_frames),
				    heavy_error(&t->flows, of_frames)));

	for (unsigned i = 0; i < TRAFFIC_PROTOCOLS; i++)
		most = larger(most, error_of(&t->protocol[i], of_frames));
	for (unsigned i = 0; i < TRAFFIC_SIZES; i++)
		most = larger(most, error_of(&t->size[i], of_frames));
	return all > 0 ? most / all : 0;
}

const char *traffic_protocol_name(unsigned p)
{
	static const char *const names[TRAFFIC_PROTOCOLS] = { "tcp",  "udp",  "icmp", "icmp6",
							      "sctp", "gre",  "esp",  "other ip",
							      "arp",  "other" };

	return names[p];
}

const char *traffic_size_name(unsigned i)
{
	static const char *const names[TRAFFIC_SIZES] = { "0-64",      "65-127",   "128-255",
							  "256-511",   "512-1023", "1024-1518",
							  "1519-9000", "9001-" };

	return names[i];
}

static const char *address_text(char out[INET6_ADDRSTRLEN], const uint8_t *key, unsigned end)
{
	const char *text = inet_ntop(key[KEY_FAMILY] == 4 ? AF_INET : AF_INET6,
				     key + KEY_ADDRESSES + 16 * end, out, INET6_ADDRSTRLEN);

	return text ? text : "?";
}

const char *traffic_talker_text(char *out, const struct heavy_entry *e)
{
	char a[INET6_ADDRSTRLEN];

	snprintf(out, TRAFFIC_TEXT, "%s", address_text(a, e->key, 0));
	return out;
}

const char *traffic_flow_text(char *out, const struct heavy_entry *e)
{
	char end[2][INET6_ADDRSTRLEN + 10], a[INET6_ADDRSTRLEN], protocol[16];
	uint8_t number = e->key[KEY_PROTOCOL];

	if (protocol_of(number) == TRAFFIC_OTHER_IP)
		snprintf(protocol, sizeof(protocol), "ip %u", number);
	else
		snprintf(protocol, sizeof(protocol), "%s",
			 traffic_protocol_name(protocol_of(number)));
	for (unsigned i = 0; i < 2; i++) {
		uint16_t port = be16(e->key + KEY_PORTS + 2 * i);

		address_text(a, e->key, i);
		if (has_ports(number))
			snprintf(end[i], sizeof(end[i]),
				 e->key[KEY_FAMILY] == 4 ? "%s:%u" : "[%s]:%u", a, port);
		else
			snprintf(end[i], sizeof(end[i]), "%s", a);
	}
	snprintf(out, TRAFFIC_TEXT, "%s %s - %s", protocol, end[0], end[1]);
	return out;
}
