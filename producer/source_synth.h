/* SPDX-License-Identifier: BSD-2-Clause */
/* source_synth.h - what a frame of the synth source looks like, for those who check it. */
#ifndef SOURCE_SYNTH_H
#define SOURCE_SYNTH_H

#include <stdint.h>

/*
 * Frame number n (0, 1, ...) is Ethernet II, IPv4 without options, UDP to port 9 (discard), both
 * checksums right.  Which bytes it has follows from n and the keys alone, its time does not.
 *
 *   count=N   frames, 0 (default): without end
 *   pps=N     frame n is due n / pps seconds after the start, and bears that time; 0 (default): as
 *             fast as they are taken, and a frame bears the time it was made
 *   size=N    bytes of a frame without FCS, SYNTH_MIN..SYNTH_MAX; 64
 *   imix      (or size=imix) sizes 60, 590, 1514 in the ratio 7:4:1, by the fixed order
 *             S M S S M S L S M S M S (64, 594 and 1518 bytes with FCS)
 *   flows=N   frame n belongs to flow n mod N; 16.  Flows differ in their source address (10/8);
 *             destination address (192.168/16) and source port follow from the seed as well
 *   seed=N    1
 *
 * The UDP payload: n as 64-bit big-endian number at payload offsets 0, 64, 128, ... wherever 8
 * bytes still fit, so that no two cache lines of two frames go unnoticed in one; every other byte
 * is its payload offset modulo 251, a prime, so that a shift shows.
 */
#define SYNTH_HEADERS 42u    /* 14 + 20 + 8 */
#define SYNTH_MIN 50u	     /* the number fits */
#define SYNTH_MAX 65549u     /* the longest IPv4 packet */
#define SYNTH_MARK_EVERY 64u /* payload bytes from one number to the next */
#define SYNTH_PORT 9

/* synth_fill - the payload byte at an offset where no number stands. */
static inline uint8_t synth_fill(uint32_t payload_off)
{
	return (uint8_t)(payload_off % 251);
}

#endif
