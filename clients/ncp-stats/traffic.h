/* SPDX-License-Identifier: BSD-2-Clause */
/* traffic.h - what frames carry: protocols, sizes, who talks to whom. */
#ifndef TRAFFIC_H
#define TRAFFIC_H

#include <stddef.h>
#include <stdint.h>

#include "heavy.h"

#define TRAFFIC_SIZES 8u
#define TRAFFIC_TEXT 144u /* of an address or a flow */
#define TRAFFIC_TOP 10u

enum traffic_protocol {
	TRAFFIC_TCP, TRAFFIC_UDP, TRAFFIC_ICMP, TRAFFIC_ICMP6, TRAFFIC_SCTP, TRAFFIC_GRE,
	TRAFFIC_ESP, TRAFFIC_OTHER_IP, TRAFFIC_ARP, TRAFFIC_OTHER,
	TRAFFIC_PROTOCOLS,
};

struct traffic_count {
	uint64_t frames, bytes; /* bytes: lengths on the wire */
};

struct traffic {
	struct traffic_count all;
	struct traffic_count protocol[TRAFFIC_PROTOCOLS];
	struct traffic_count size[TRAFFIC_SIZES];
	struct heavy talkers; /* by address: every IP frame counts for both ends */
	struct heavy flows;   /* by protocol, addresses, ports; both directions are one */
	uint64_t published;   /* frames published meanwhile: all.frames of these were looked at */
	uint64_t span_ns;     /* how long */
};

/* traffic_clear - nothing was seen yet.  t begins as all zero. */
void traffic_clear(struct traffic *t);

/*
 * traffic_add - count a frame.
 *
 *   linktype  LINKTYPE_: Ethernet, Linux cooked v1 and v2, raw IP, loopback, null; others count as
 *	       "other"
 *   data      caplen bytes, which may change meanwhile; any content
 *   len       bytes on the wire
 *
 * Looks through up to two VLAN tags.  A fragment without ports counts as a flow without ports.
 */
void traffic_add(struct traffic *t, uint32_t linktype, const uint8_t *data, uint32_t caplen,
		 uint32_t len);

/* Names: of a protocol; of a class of sizes, "65-127". */
const char *traffic_protocol_name(enum traffic_protocol p);
const char *traffic_size_name(uint32_t i);

/* traffic_talker_text, traffic_flow_text - an entry's key as text: "10.0.0.1";
 * "tcp 10.0.0.1:80 - 10.0.0.2:5000".  out: TRAFFIC_TEXT bytes. */
const char *traffic_talker_text(char *out, const struct heavy_entry *e);
const char *traffic_flow_text(char *out, const struct heavy_entry *e);

#endif
