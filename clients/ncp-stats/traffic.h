/* SPDX-License-Identifier: BSD-2-Clause */
/* traffic.h - what frames carry: protocols, sizes, who talks to whom. */
#ifndef TRAFFIC_H
#define TRAFFIC_H

#include <stdbool.h>
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

/* What passed, as far as it is known: of all frames when every one was looked at, else an estimate from
 * a sample.  Bytes are lengths on the wire. */
struct traffic {
	struct volume all;
	struct volume protocol[TRAFFIC_PROTOCOLS];
	struct volume size[TRAFFIC_SIZES];
	struct heavy talkers; /* by address: every IP frame counts for both ends */
	struct heavy flows;   /* by protocol, addresses, ports; both directions are one */
	uint64_t published;   /* frames that passed */
	uint64_t looked;      /* frames of these that were looked at */
	uint64_t span_ns;     /* how long */

	struct estimate_stratum stratum; /* the one that has not ended */
	uint32_t run;			 /* frames of the present run */
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
 *   scale     how many frames it stands for, about: which keys are the heaviest
 *
 * Looks through up to two VLAN tags.  A fragment without ports counts as a flow without ports.
 */
void traffic_add(struct traffic *t, uint32_t linktype, const uint8_t *data, uint32_t caplen,
		 uint32_t len, double scale);

/* traffic_run_end - the frames added since the last run's end were neighbours. */
void traffic_run_end(struct traffic *t);

/*
 * traffic_stratum_end - the runs added since the last stratum's end are what was looked at of n frames.
 *
 * Also ends the run.  Where that is too little to tell anything by, the stratum goes on.
 */
void traffic_stratum_end(struct traffic *t, uint64_t n);

/* traffic_one_in - one frame in so many was looked at, rounded up; 1: each; 0: none. */
uint64_t traffic_one_in(const struct traffic *t);

/* traffic_error - the largest standard error of what is told of a kind of frames, as a share of all
 * frames, or of all bytes; 0: everything was looked at. */
double traffic_error(const struct traffic *t, bool of_frames);

/* Names: of an enum traffic_protocol; of a class of sizes, "65-127". */
const char *traffic_protocol_name(unsigned p);
const char *traffic_size_name(unsigned i);

/* traffic_talker_text, traffic_flow_text - an entry's key as text: "10.0.0.1";
 * "tcp 10.0.0.1:80 - 10.0.0.2:5000".  out: TRAFFIC_TEXT bytes. */
const char *traffic_talker_text(char *out, const struct heavy_entry *e);
const char *traffic_flow_text(char *out, const struct heavy_entry *e);

#endif
