/* SPDX-License-Identifier: BSD-2-Clause */
/* test_tpacket_block.c - a kernel block is walked frame by frame, and no offset in it is believed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/if_ether.h>
#include <arpa/inet.h>
#include <linux/if_packet.h>

#include "libncpbus/include/ncpbus.h"
#include "producer/tpacket_block.h"
#include "tap/tap.h"

#define SLL_OFF TPACKET_ALIGN(sizeof(struct tpacket3_hdr))
#define MAC_OFF 82u /* where the kernel puts an Ethernet frame: its network header is 16-aligned */
#define FIRST 48u   /* BLK_HDR_LEN of the kernel */

/* A block under construction; its end is the end of an allocation, for the sanitizer to watch. */
static uint8_t *block;
static uint32_t block_len;
static uint32_t next_off, prev_off;

static struct tpacket_hdr_v1 *head(void)
{
	return &((struct tpacket_block_desc *)(void *)block)->hdr.bh1;
}

static struct tpacket3_hdr *frame_at(uint32_t off)
{
	return (struct tpacket3_hdr *)(void *)(block + off);
}

static void begin(uint32_t len)
{
	free(block);
	block = aligned_alloc(16, len);
	if (!block)
		bail("out of memory");
	memset(block, 0, len);
	block_len = len;
	next_off = FIRST;
	prev_off = 0;
	((struct tpacket_block_desc *)(void *)block)->version = TPACKET_V3;
	head()->block_status = TP_STATUS_USER;
	head()->offset_to_first_pkt = FIRST;
}

static uint8_t fill(uint32_t i, uint32_t j)
{
	return (uint8_t)(i * 101 + j * 3);
}

/* Adds a frame as the kernel does: the next one 8-aligned behind it, the last one's offset 0. */
static struct tpacket3_hdr *add(uint32_t caplen, uint32_t len, unsigned char pkttype)
{
	struct tpacket3_hdr *h = frame_at(next_off);
	uint32_t room = (MAC_OFF + caplen + 7) / 8 * 8, i = head()->num_pkts;

	if (next_off + MAC_OFF + caplen > block_len)
		bail("the test's block is too small");
	if (prev_off)
		frame_at(prev_off)->tp_next_offset = next_off - prev_off;
	*h = (struct tpacket3_hdr){ .tp_sec = 1700000000 + i, .tp_nsec = 999999999 - i,
				    .tp_snaplen = caplen, .tp_len = len, .tp_mac = MAC_OFF,
				    .tp_net = MAC_OFF + 14, .tp_status = TP_STATUS_USER };
	((struct sockaddr_ll *)(void *)(block + next_off + SLL_OFF))->sll_pkttype = pkttype;
	for (uint32_t j = 0; j < caplen; j++)
		block[next_off + MAC_OFF + j] = fill(i, j);
	head()->num_pkts++;
	prev_off = next_off;
	next_off += room;
	return h;
}

static int begin_walk(struct tpacket_block *b)
{
	return tpacket_block_begin(b, block, block_len);
}

static int next(struct tpacket_block *b, struct ncpi_frame *f)
{
	return tpacket_block_take(b, f, 1, UINT32_MAX);
}

static struct ncpi_frame only(void)
{
	struct tpacket_block b;
	struct ncpi_frame f = { 0 };

	if (begin_walk(&b) || next(&b, &f) != 1 || next(&b, &f) != 0)
		memset(&f, 0xff, sizeof(f));
	return f;
}

static void block_refusals(void)
{
	struct tpacket_block b;

	begin(4096);
	is_i64(-EBADMSG, tpacket_block_begin(&b, block, 32), "refuses a block shorter than its header");
	add(60, 60, PACKET_HOST);
	head()->num_pkts = 4096;
	is_i64(-EBADMSG, begin_walk(&b), "refuses more frames than can fit");
	head()->num_pkts = UINT32_MAX;
	is_i64(-EBADMSG, begin_walk(&b), "refuses 2^32 - 1 frames");
	head()->num_pkts = 1;
	head()->offset_to_first_pkt = UINT32_MAX - 7;
	is_i64(-EBADMSG, begin_walk(&b), "refuses a first frame beyond the block");
}

/* What the walk says of one frame whose header was changed. */
static int spoiled(uint32_t off, uint32_t mac, uint32_t snaplen, uint32_t len)
{
	struct tpacket_block b;
	struct ncpi_frame f;

	begin(4096);
	add(60, 60, PACKET_HOST);
	if (off != FIRST)
		head()->offset_to_first_pkt = off;
	frame_at(FIRST)->tp_mac = (uint16_t)mac;
	frame_at(FIRST)->tp_snaplen = snaplen;
	frame_at(FIRST)->tp_len = len;
	int r = begin_walk(&b);
	if (r == 0)
		r = next(&b, &f);
	if (r == -EBADMSG && b.n_left && off == FIRST)
		r = -EAGAIN; /* the walk must be over */
	return r;
}

static void frame_refusals(void)
{
	is_i64(1, spoiled(FIRST, MAC_OFF, 60, 60), "takes the frame that the following are made of");
	is_i64(-EBADMSG, spoiled(FIRST + 4, MAC_OFF, 60, 60), "refuses a header off its alignment");
	is_i64(-EBADMSG, spoiled(4096, MAC_OFF, 60, 60), "refuses a header at the block's end");
	is_i64(-EBADMSG, spoiled(4096 - 64, MAC_OFF, 60, 60), "refuses half a header");
	is_i64(-EBADMSG, spoiled(FIRST, 4096 - FIRST + 1, 0, 60), "refuses data beyond the block");
	is_i64(1, spoiled(FIRST, 4096 - FIRST, 0, 60), "takes no data at the block's end");
	is_i64(-EBADMSG, spoiled(FIRST, MAC_OFF, 4096 - FIRST - MAC_OFF + 1, 9000),
	       "refuses data one byte past the block");
	is_i64(1, spoiled(FIRST, MAC_OFF, 4096 - FIRST - MAC_OFF, 9000),
	       "takes data up to the block's last byte");
	is_i64(-EBADMSG, spoiled(FIRST, MAC_OFF, UINT32_MAX, UINT32_MAX), "refuses 4 GiB of data");
	is_i64(-EBADMSG, spoiled(FIRST, MAC_OFF, 61, 60), "refuses more captured than there was");
}

/* Two frames, the first of which leads to the second by this distance. */
static int chained(uint32_t distance)
{
	struct tpacket_block b;
	struct ncpi_frame f;

	begin(4096);
	add(60, 60, PACKET_HOST);
	add(60, 60, PACKET_HOST);
	if (distance != UINT32_MAX)
		frame_at(FIRST)->tp_next_offset = distance;
	int r = begin_walk(&b), n = 0;
	while (r == 0 && (r = next(&b, &f)) == 1) {
		n++;
		r = 0;
		if (b.n_left == 0)
			break;
	}
	return r < 0 ? r : n;
}

static void chains(void)
{
	is_i64(2, chained(UINT32_MAX), "walks from a frame to the next");
	is_i64(-EBADMSG, chained(0), "refuses a chain that ends early");
	is_i64(-EBADMSG, chained(8), "refuses a frame that overlaps the header of the one before");
	is_i64(-EBADMSG, chained(150), "refuses a distance off the alignment");
	is_i64(-EBADMSG, chained(4096), "refuses a distance out of the block");
	is_i64(-EBADMSG, chained(UINT32_MAX - 15), "refuses a distance that would go back");
}

static void contents(void)
{
	static const struct {
		unsigned char pkttype;
		uint32_t flags;
		const char *name;
	} kinds[] = {
		{ PACKET_HOST, 1 | 1 << 2, "to us: inbound, unicast" },
		{ PACKET_MULTICAST, 1 | 2 << 2, "to a group: inbound, multicast" },
		{ PACKET_BROADCAST, 1 | 3 << 2, "to all: inbound, broadcast" },
		{ PACKET_OTHERHOST, 1 | 4 << 2, "to others: inbound, promiscuous" },
		{ PACKET_OUTGOING, 2, "ours: outbound" },
		{ 77, 0, "of a kind unknown: no flags" },
	};
	struct tpacket_block b;
	struct ncpi_frame f;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		begin(4096);
		add(60, 60, kinds[i].pkttype);
		f = only();
		is_u64(kinds[i].flags, f.flags, "%s", kinds[i].name);
	}

	static const struct {
		uint32_t status, flags;
		const char *name;
	} offloads[] = {
		{ TP_STATUS_CSUMNOTREADY, 1 << 9, "checksum not ready" },
		{ TP_STATUS_CSUM_VALID, 1 << 10, "checksum valid" },
		{ 1 << 8, 1 << 11, "TCP segmentation offloaded" },
	};
	for (size_t i = 0; i < sizeof(offloads) / sizeof(offloads[0]); i++) {
		begin(4096);
		add(60, 60, PACKET_OUTGOING)->tp_status |= offloads[i].status;
		f = only();
		is_u64(2 | offloads[i].flags, f.flags, "%s", offloads[i].name);
	}

	enum { N = 500 };
	bool good = true;
	int n = 0;
	begin(1 << 20);
	for (uint32_t i = 0; i < N; i++)
		add(i % 7 == 0 ? 0 : i * 3, i * 3 + 5, PACKET_HOST);
	ok(begin_walk(&b) == 0 && !b.losing, "begins a block of many frames");
	while (next(&b, &f) == 1) {
		uint32_t i = (uint32_t)n++, caplen = i % 7 == 0 ? 0 : i * 3;

		good = good && f.caplen == caplen && f.len == i * 3 + 5 && !f.vlan_tpid &&
		       !f.dropcount && !f.interface &&
		       f.ts_ns == (UINT64_C(1700000000) + i) * 1000000000 + 999999999 - i;
		for (uint32_t j = 0; good && j < caplen; j++)
			good = f.data[j] == fill(i, j);
	}
	ok(n == N && good, "and gives each with its bytes, lengths and time");
	is_i64(0, next(&b, &f), "and then no more");

	begin(4096);
	ok(begin_walk(&b) == 0 && next(&b, &f) == 0, "a block without frames is none");
	head()->block_status |= TP_STATUS_LOSING | TP_STATUS_BLK_TMO;
	ok(begin_walk(&b) == 0 && b.losing, "a block tells that frames were dropped");
	begin(4096);
	add(60, 60, PACKET_HOST)->tp_sec = UINT32_MAX;
	f = only();
	is_u64(UINT64_C(4294967295) * 1000000000 + 999999999, f.ts_ns, "a time in 2106 is no less");
}

static void tags(void)
{
	struct tpacket3_hdr *h;
	struct ncpi_frame f;

	begin(4096);
	h = add(60, 60, PACKET_HOST);
	h->hv1.tp_vlan_tci = 0xe123;
	h->hv1.tp_vlan_tpid = ETH_P_8021AD;
	f = only();
	ok(!f.vlan_tpid && !f.vlan_tci, "without the flag there is no tag, whatever the fields hold");
	h->tp_status |= TP_STATUS_VLAN_VALID;
	f = only();
	ok(f.vlan_tpid == ETH_P_8021Q && f.vlan_tci == 0xe123, "a tag without a type is 802.1Q");
	h->tp_status |= TP_STATUS_VLAN_TPID_VALID;
	f = only();
	ok(f.vlan_tpid == ETH_P_8021AD && f.vlan_tci == 0xe123, "one with a type keeps it");
	h->hv1.tp_vlan_tci = 0;
	f = only();
	ok(f.vlan_tpid == ETH_P_8021AD && f.vlan_tci == 0, "VLAN 0, priority 0 is a tag, too");
}

/* A good block with some words made anything: whatever it gives lies inside. */
static void noise(void)
{
	static const uint32_t edges[] = { 0, 1, 7, 8, 48, 68, 82, 128, 4095, 4096, 0x7fffffff,
					  0xfffffff8, 0xffffffff };
	struct tap_rng rng = { .seed = tap_seed() };
	uint64_t walked = 0, refused = 0;
	bool inside = true;

	for (int round = 0; round < 50000 && inside; round++) {
		struct tpacket_block b;
		struct ncpi_frame f;
		int r, n = 0;

		begin(4096);
		for (uint64_t i = tap_rng_below(&rng, 12); i > 0; i--)
			add((uint32_t)tap_rng_below(&rng, 200), 200, PACKET_HOST);
		for (uint64_t i = tap_rng_below(&rng, 4); i > 0; i--) {
			uint32_t v = edges[tap_rng_below(&rng, sizeof(edges) / sizeof(edges[0]))];
			uint64_t at = tap_rng_below(&rng, 3) ? tap_rng_below(&rng, next_off / 4)
							     : tap_rng_below(&rng, FIRST / 4);

			if (tap_rng_below(&rng, 3) == 0)
				v = (uint32_t)tap_rng_u64(&rng);
			memcpy(block + at * 4, &v, sizeof(v));
		}
		r = begin_walk(&b);
		while (r == 0 && (r = next(&b, &f)) == 1 && n++ <= 4096) {
			inside = inside && f.data >= block && f.caplen <= f.len &&
				 f.data + f.caplen <= block + block_len;
			for (uint32_t j = 0; inside && j < f.caplen; j++)
				walked += f.data[j] & 1;
			r = 0;
			if (!b.n_left)
				break;
		}
		refused += r < 0;
		inside = inside && n <= 4096;
	}
	ok(inside, "whatever stands in a block, what it gives lies inside, and it ends");
	ok(walked && refused, "and both sides of that were seen (%llu refused)",
	   (unsigned long long)refused);
}

/* Frames of a SOCK_DGRAM socket, with a header put in front of them. */
static void cooked(void)
{
	static const uint8_t want[20] = { 0x08, 0x00, 0, 0, 0, 0, 0x12, 0x34, 0x03, 0x04, 4, 6,
					  1, 2, 3, 4, 5, 6, 0, 0 };
	const struct sockaddr_ll from = { .sll_protocol = htons(0x0800), .sll_ifindex = 0x1234,
					  .sll_hatype = 0x0304, .sll_pkttype = PACKET_OUTGOING,
					  .sll_halen = 6, .sll_addr = { 1, 2, 3, 4, 5, 6 } };
	struct tpacket_block b;
	struct ncpi_frame f;

	begin(4096);
	struct tpacket3_hdr *h = add(60, 70, PACKET_HOST);
	memcpy((uint8_t *)h + SLL_OFF, &from, sizeof(from));
	h->tp_mac = h->tp_net = SLL_OFF + sizeof(from) + 20;
	uint8_t *data = (uint8_t *)h + h->tp_mac;
	memset(data, 0xab, 60);
	is_i64(0, begin_walk(&b), "a block of cooked frames");
	b.cooked = true;
	is_i64(1, next(&b, &f), "is walked");
	is_u64(80, f.caplen, "each is longer by the header");
	is_u64(90, f.len, "also on the wire");
	is_mem(want, f.data, 20, "which says where it came from");
	ok(f.data + 20 == data && data[0] == 0xab && data[59] == 0xab, "and stands before the frame");
	is_u64(2, f.flags, "the flags are those of any other");
	h->tp_mac--;
	is_i64(0, begin_walk(&b), "one frame begins too early");
	b.cooked = true;
	is_i64(-EBADMSG, next(&b, &f), "for a header: refused");
}

/* A slot of a V2 ring. */
static void slots(void)
{
	enum { SLL2_OFF = TPACKET_ALIGN(sizeof(struct tpacket2_hdr)), MAC = SLL2_OFF + 48 };
	static _Alignas(16) uint8_t slot[512];
	struct tpacket2_hdr *h = (struct tpacket2_hdr *)(void *)slot;
	struct ncpi_frame f;

	*h = (struct tpacket2_hdr){ .tp_status = TP_STATUS_USER | TP_STATUS_VLAN_VALID |
						 TP_STATUS_VLAN_TPID_VALID,
				    .tp_len = 500, .tp_snaplen = 100, .tp_mac = MAC, .tp_sec = 7,
				    .tp_nsec = 9, .tp_vlan_tci = 5, .tp_vlan_tpid = 0x88a8 };
	((struct sockaddr_ll *)(void *)(slot + SLL2_OFF))->sll_pkttype = PACKET_BROADCAST;
	is_i64(0, tpacket_slot_read(slot, sizeof(slot), false, &f), "a slot's frame");
	ok(f.data == slot + MAC && f.caplen == 100 && f.len == 500 &&
	   f.ts_ns == UINT64_C(7000000009) && f.flags == (1 | 3 << 2) && f.vlan_tci == 5 &&
	   f.vlan_tpid == 0x88a8, "all of it is told");
	is_i64(0, tpacket_slot_read(slot, MAC + 100, false, &f), "to the slot's last byte");
	is_i64(-EBADMSG, tpacket_slot_read(slot, MAC + 99, false, &f), "and no further");
	is_i64(-EBADMSG, tpacket_slot_read(slot, 32, false, &f), "refuses a slot without room");
	is_i64(0, tpacket_slot_read(slot, sizeof(slot), true, &f), "cooked");
	ok(f.data == slot + MAC - 20 && f.caplen == 120 && f.len == 520, "it is longer in front");
	h->tp_mac = SLL2_OFF + sizeof(struct sockaddr_ll) + 19;
	is_i64(-EBADMSG, tpacket_slot_read(slot, sizeof(slot), true, &f), "if there is room for it");
	h->tp_snaplen = 501;
	is_i64(-EBADMSG, tpacket_slot_read(slot, sizeof(slot), false, &f),
	       "refuses more bytes than the frame had");
}

/* As many at once as are asked for. */
static void batches(void)
{
	struct tpacket_block b;
	struct ncpi_frame f[8];

	begin(4096);
	for (int i = 0; i < 6; i++)
		add(100, 100, PACKET_HOST);
	int r = begin_walk(&b);
	b.interface = 3;
	is_i64(2, r ? r : tpacket_block_take(&b, f, 2, UINT32_MAX), "no more frames than asked for");
	ok(f[0].interface == 3 && f[1].interface == 3 && f[1].data[1] == fill(1, 1),
	   "each of the interface that was given");
	is_i64(3, tpacket_block_take(&b, f, 8, 201), "and none once they have as many bytes");
	ok(f[2].data[1] == fill(4, 1), "in their order");
	is_i64(1, tpacket_block_take(&b, f, 8, UINT32_MAX), "then what is left");
	is_i64(0, begin_walk(&b), "the same again");
	frame_at(prev_off)->tp_mac = UINT16_MAX;
	is_i64(-EBADMSG, tpacket_block_take(&b, f, 8, UINT32_MAX), "one bad frame is told of");
	is_i64(0, tpacket_block_take(&b, f, 8, UINT32_MAX), "and is the last");
}

/* Whose clock it was: hardware's only where the kernel says so. */
static void clocks(void)
{
	struct tpacket_block b;
	struct ncpi_frame f;

	begin(4096);
	add(60, 60, PACKET_HOST)->tp_status |= TP_STATUS_TS_RAW_HARDWARE;
	add(60, 60, PACKET_OUTGOING)->tp_status |= TP_STATUS_TS_SOFTWARE;
	add(60, 60, PACKET_HOST);
	ok(begin_walk(&b) == 0 && b.n_kernel_times == 0, "a block of three frames");
	while (next(&b, &f) == 1)
		;
	is_u64(2, b.n_kernel_times, "two of which have the kernel's time");
	ok(tpacket_hardware_time(TP_STATUS_TS_RAW_HARDWARE | TP_STATUS_USER) &&
	   !tpacket_hardware_time(TP_STATUS_TS_SYS_HARDWARE | TP_STATUS_TS_SOFTWARE),
	   "hardware translated by the kernel is none");
}

int main(void)
{
	plan(9 + 4 + 10 + 6 + 15 + 4 + 2 + 3 + 9 + 8);
	block_refusals();
	frame_refusals();
	chains();
	contents();
	tags();
	noise();
	cooked();
	batches();
	clocks();
	slots();
	free(block);
	return tap_done();
}
