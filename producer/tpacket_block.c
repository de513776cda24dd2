/* SPDX-License-Identifier: BSD-2-Clause */
/* tpacket_block.c - the frames of a TPACKET_V3 block or a V2 slot, believing no offset in it. */
#include "producer/tpacket_block.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <arpa/inet.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "libncpbus/include/ncpbus.h"
#include "libncpbus/stamp.h"

/* Where the kernel puts the frame's sockaddr_ll. */
#define SLL_OFF TPACKET_ALIGN(sizeof(struct tpacket3_hdr))

/* V3 packs frames to 8 bytes (V3_ALIGNMENT in the kernel's af_packet.c), not to TPACKET_ALIGNMENT. */
#define FRAME_ALIGN 8

/* Another processor wrote the block: what is read of it comes from there, 100 ns and more a line.  Only
 * headers are read here, each of which says where the next one is, too far for the processor to guess:
 * so the lines of so many bytes ahead, which are all copied soon, are asked for meanwhile. */
#define AHEAD 1536u
#define LINE 64u

int tpacket_block_begin(struct tpacket_block *b, const uint8_t *base, uint32_t len)
{
	const struct tpacket_block_desc *d = (const struct tpacket_block_desc *)(const void *)base;
	const struct tpacket_hdr_v1 *h = &d->hdr.bh1;

	if (len < sizeof(*d) || h->offset_to_first_pkt > len ||
	    h->num_pkts > len / TPACKET3_HDRLEN)
		return -EBADMSG;
	*b = (struct tpacket_block){ .base = base,
				     .len = len,
				     .off = h->offset_to_first_pkt,
				     .n_left = h->num_pkts,
				     .losing = h->block_status & TP_STATUS_LOSING };
	return 0;
}

/* Of newer kernels: a TCP segment that the interface cuts, or put together. */
#ifndef TP_STATUS_GSO_TCP
#define TP_STATUS_GSO_TCP (1 << 8)
#endif

/* Bits 9 to 11 of epb_flags: checksum not ready, checksum valid, TCP segmentation offloaded. */
static uint32_t offload_of(uint32_t status)
{
	return (status & TP_STATUS_CSUMNOTREADY ? 1u << 9 : 0) |
	       (status & TP_STATUS_CSUM_VALID ? 1u << 10 : 0) |
	       (status & TP_STATUS_GSO_TCP ? 1u << 11 : 0);
}

/* epb_flags of a frame: direction in bits 0-1, reception type in bits 2-4. Source: pcapng draft,
 * 4.3.1. */
static uint32_t flags_of(unsigned char pkttype)
{
	switch (pkttype) {
	case PACKET_OUTGOING:
		return NCP_OUTBOUND;
	case PACKET_HOST:
		return NCP_INBOUND | 1u << 2;
	case PACKET_MULTICAST:
		return NCP_INBOUND | 2u << 2;
	case PACKET_BROADCAST:
		return NCP_INBOUND | 3u << 2;
	case PACKET_OTHERHOST: /* seen because the interface is promiscuous */
		return NCP_INBOUND | 4u << 2;
	default:
		return 0;
	}
}

/* Write what LINKTYPE_LINUX_SLL2 has in front of a frame, where the kernel left room for it. */
static void cook(struct ncpi_frame *f, const struct sockaddr_ll *from)
{
	const uint32_t ifindex = htonl((uint32_t)from->sll_ifindex);
	const uint16_t hatype = htons(from->sll_hatype);
	uint8_t header[TPACKET_SLL2_LEN] = { [10] = from->sll_pkttype, [11] = from->sll_halen };

	memcpy(header, &from->sll_protocol, 2); /* in this order already */
	memcpy(header + 4, &ifindex, 4);
	memcpy(header + 8, &hatype, 2);
	memcpy(header + 12, from->sll_addr, sizeof(from->sll_addr));
	f->data -= sizeof(header);
	memcpy((uint8_t *)(uintptr_t)f->data, header, sizeof(header));
	f->caplen += sizeof(header);
	f->len += sizeof(header);
}

/* What the headers of both versions say of a frame. */
struct header {
	uint32_t sec, nsec, caplen, len, status;
	uint32_t mac; /* where its bytes begin */
	uint16_t vlan_tci, vlan_tpid;
	uint32_t sll; /* where its struct sockaddr_ll stands */
};

/* The frame at p, of which room bytes are left.  0, -EBADMSG. */
static inline __attribute__((always_inline)) int frame_at(const uint8_t *p, uint32_t room, const struct header *h, bool cooked,
		    struct ncpi_frame *f)
{
	const struct sockaddr_ll *from = (const struct sockaddr_ll *)(const void *)(p + h->sll);
	const uint32_t least = cooked ? h->sll + (uint32_t)sizeof(*from) + TPACKET_SLL2_LEN : 0;

	if (h->mac > room || h->mac < least || h->caplen > room - h->mac || h->caplen > h->len)
		return -EBADMSG;
	*f = (struct ncpi_frame){
		.data = p + h->mac,
		.ts_ns = h->sec * NCPI_SECOND + h->nsec,
		.caplen = h->caplen,
		.len = h->len,
		.flags = flags_of(from->sll_pkttype) | offload_of(h->status),
	};
	if (h->status & TP_STATUS_VLAN_VALID) {
		f->vlan_tci = h->vlan_tci;
		f->vlan_tpid = h->status & TP_STATUS_VLAN_TPID_VALID ? h->vlan_tpid : ETH_P_8021Q;
	}
	if (cooked)
		cook(f, from);
	return 0;
}

bool tpacket_hardware_time(uint32_t tp_status)
{
	return tp_status & TP_STATUS_TS_RAW_HARDWARE;
}

/* The frame at b->off, and on to the next one.  0, -EBADMSG. */
static inline int next(struct tpacket_block *b, struct ncpi_frame *f)
{
	if (b->off % FRAME_ALIGN || b->off > b->len || b->len - b->off < TPACKET3_HDRLEN)
		return -EBADMSG;
	const uint8_t *p = b->base + b->off;
	const struct tpacket3_hdr *h = (const struct tpacket3_hdr *)(const void *)p;
	const struct header header = {
		.sec = h->tp_sec, .nsec = h->tp_nsec, .caplen = h->tp_snaplen, .len = h->tp_len,
		.status = h->tp_status, .mac = h->tp_mac, .sll = SLL_OFF,
		.vlan_tci = (uint16_t)h->hv1.tp_vlan_tci, .vlan_tpid = h->hv1.tp_vlan_tpid,
	};
	const uint32_t room = b->len - b->off, on = h->tp_next_offset;

	if (frame_at(p, room, &header, b->cooked, f) < 0)
		return -EBADMSG;
	f->interface = b->interface;
	b->n_kernel_times += !tpacket_hardware_time(header.status);
	b->n_tagged += f->vlan_tpid != 0;
	if (--b->n_left) {
		if (on < TPACKET3_HDRLEN || on > room)
			return -EBADMSG;
		for (uint32_t k = 0; k < on; k += LINE)
			__builtin_prefetch(p + AHEAD + k);
		b->off += on;
	}
	return 0;
}

int tpacket_block_take(struct tpacket_block *b, struct ncpi_frame *f, uint32_t n, uint32_t bytes)
{
	/* A copy stays in registers; of *b the compiler must think that the stores to *f change it. */
	struct tpacket_block at = *b;
	uint32_t taken = 0;

	for (uint32_t sum = 0; taken < n && sum < bytes && at.n_left; taken++) {
		if (next(&at, &f[taken]) < 0) {
			b->n_left = 0;
			return -EBADMSG;
		}
		sum += f[taken].caplen;
	}
	*b = at;
	return (int)taken;
}

int tpacket_slot_read(const uint8_t *slot, uint32_t len, bool cooked, struct ncpi_frame *f)
{
	const struct tpacket2_hdr *h = (const struct tpacket2_hdr *)(const void *)slot;

	if (len < TPACKET2_HDRLEN)
		return -EBADMSG;
	const struct header header = {
		.sec = h->tp_sec, .nsec = h->tp_nsec, .caplen = h->tp_snaplen, .len = h->tp_len,
		.status = h->tp_status, .mac = h->tp_mac,
		.sll = TPACKET_ALIGN(sizeof(struct tpacket2_hdr)),
		.vlan_tci = h->tp_vlan_tci, .vlan_tpid = h->tp_vlan_tpid,
	};
	return frame_at(slot, len, &header, cooked, f);
}
