/* SPDX-License-Identifier: BSD-2-Clause */
/* tpacket_block.h - the frames of a TPACKET_V3 block or a V2 slot, believing no offset in it. */
#ifndef TPACKET_BLOCK_H
#define TPACKET_BLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "libncpbus/writer.h"

/* Bytes of the header of LINKTYPE_LINUX_SLL2.  Source: tcpdump.org, LINKTYPE_LINUX_SLL2. */
#define TPACKET_SLL2_LEN 20u

/* A block being walked. */
struct tpacket_block {
	const uint8_t *base;
	uint32_t len;	 /* bytes of the block as it was asked for */
	uint32_t off;	 /* of the next frame's header */
	uint32_t n_left; /* frames not yet walked */
	bool cooked;	 /* set it to have a TPACKET_SLL2_LEN header in front of each frame: of a
			  * SOCK_DGRAM socket, whose blocks have room for it and are writable */
	uint32_t interface; /* set it to what the frames' interface is to be */
	uint32_t n_tagged;  /* frames walked so far of which the kernel stripped a tag */
	uint32_t n_kernel_times; /* frames walked so far that no hardware told the time of */
	bool losing;	 /* the kernel had dropped frames since PACKET_STATISTICS was last read */
};

/*
 * tpacket_block_begin - walk a block that the kernel has handed over.
 *
 *   base  len bytes, 8-aligned; the caller has taken it (TP_STATUS_USER, acquire) and has not yet
 *         given it back
 *
 * Returns 0, -EBADMSG (the header points outside the block, or counts more frames than fit).
 * Pure.  Source: linux/if_packet.h, Documentation/networking/packet_mmap.rst.
 */
int tpacket_block_begin(struct tpacket_block *b, const uint8_t *base, uint32_t len)
	__attribute__((warn_unused_result));

/*
 * tpacket_block_take - the next frames: n at most, and none more once they have `bytes` bytes together.
 *
 *   f  n >= 1 of them.  data, caplen, len, ts_ns, interface, flags (direction, reception type, offloads)
 *      and, when the kernel stripped a tag, vlan_tpid and vlan_tci are set; dropcount, vlan_off are 0.
 *      data points into the block
 *
 * Returns how many; 0: that was all; -EBADMSG (a frame that is not inside the block; the walk is over).
 */
int tpacket_block_take(struct tpacket_block *b, struct ncpi_frame *f, uint32_t n, uint32_t bytes)
	__attribute__((warn_unused_result));

/* tpacket_hardware_time - did hardware tell the time of a frame with this tp_status? */
bool tpacket_hardware_time(uint32_t tp_status);

/*
 * tpacket_slot_read - the frame in a slot of a TPACKET_V2 ring.
 *
 *   slot    len bytes, 16-aligned; taken (TP_STATUS_USER, acquire) and not yet given back
 *   cooked  as in struct tpacket_block
 *   f       as tpacket_block_take() fills it; interface is 0
 *
 * Returns 0, -EBADMSG (it is not inside the slot).  Source: as above.
 */
int tpacket_slot_read(const uint8_t *slot, uint32_t len, bool cooked, struct ncpi_frame *f)
	__attribute__((warn_unused_result));

#endif
