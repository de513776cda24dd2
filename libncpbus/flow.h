/* SPDX-License-Identifier: BSD-2-Clause */
/* flow.h - which flow a frame belongs to: a number that is the same for both directions. */
#ifndef NCPI_FLOW_H
#define NCPI_FLOW_H

#include <stdint.h>

/*
 * ncpi_flow_hash - a frame's flow, as 64 well mixed bits.
 *
 *   linktype  LINKTYPE_ of its interface
 *   data      caplen bytes, which may change meanwhile (a frame in the ring): nothing outside them
 *             is read, whatever they say
 *
 * Symmetric: a frame and its answer have the same number.
 *   - TCP, UDP, UDP-Lite, SCTP, DCCP over IPv4 or IPv6: addresses, protocol, ports
 *   - other IP protocols, and every fragment of a datagram, the first one too: addresses and protocol
 *     (so all fragments are together, though not with the flow's whole datagrams)
 *   - other Ethernet: the pair of MAC addresses
 *   - what cannot be taken apart (another link type, a frame cut too short): 0
 * Passes 802.1Q and 802.1ad tags (up to four), MPLS not; passes IPv6 extension headers (up to
 * eight).  Knows Ethernet, raw IP, null and loop, Linux cooked v1 and v2, PPP.
 * Source: IEEE 802.1Q; RFC 791, 8200 (section 4), 4302; www.tcpdump.org/linktypes.html.
 */
uint64_t ncpi_flow_hash(uint32_t linktype, const uint8_t *data, uint32_t caplen);

#endif
