/* SPDX-License-Identifier: BSD-2-Clause */
/* walker.c - the least that a capture to shared memory can do: the floor for ncp-producer. */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libncpbus/layout.h"

/*
 * walker [-b] [-m MIB] INTERFACE: walk a TPACKET_V3 ring and copy each frame, with nothing around it, into
 * an area of shared memory, until SIGINT; then print, as tests/bench/count,
 *
 *	frames=N holes=H duplicates=0 other=0
 *
 * -b: write the Enhanced Packet Block of each that stands in a bus, trusting all that it reads.
 * -m: so large is the area, a power of two; 64.
 *
 * The ring is the one that ncp-producer has with -B 16M and this retire time, so that both are woken as
 * often, and read lines that left the other processor's caches as long ago.  Frames are those of
 * tests/bench/flood.  Only the number of a block's last one is looked at, so that this costs nothing:
 * holes are what its count of frames is short of those numbers.
 */
#define RETIRE_MS 10 /* ncp-producer's default */
#define BLOCK_LEN (1u << 19)
#define BLOCKS 32u
#define AREA_MIB 64
#define FRAME_MAX (65536u + 64) /* with what a block adds */
#define NUMBER_OFF 42u

static volatile sig_atomic_t ended;

static void on_signal(int signal)
{
	(void)signal;
	ended = 1;
}

static void give_up(const char *what)
{
	fprintf(stderr, "walker: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Returns its length. */
static inline uint32_t block_write(uint8_t *out, const struct tpacket3_hdr *h)
{
	const uint8_t *p = (const uint8_t *)h;
	const struct sockaddr_ll *from =
		(const struct sockaddr_ll *)(const void *)(p + TPACKET_ALIGN(sizeof(*h)));
	const uint64_t ts_ns = h->tp_sec * UINT64_C(1000000000) + h->tp_nsec;
	const uint32_t len = NCPI_EPB_LEN(h->tp_snaplen, false);
	uint32_t *w = (uint32_t *)(void *)out;

	w[0] = NCPI_EPB;
	w[1] = len;
	w[2] = 0;
	w[3] = (uint32_t)(ts_ns >> 32);
	w[4] = (uint32_t)ts_ns;
	w[5] = h->tp_snaplen;
	w[6] = h->tp_len;
	memcpy(w + 7, p + h->tp_mac, h->tp_snaplen);
	w += len / 4 - 4;
	w[0] = NCPI_OPTION(NCPI_EPB_FLAGS, 4);
	w[1] = from->sll_pkttype;
	w[2] = NCPI_OPTION(NCPI_OPT_END, 0);
	w[3] = len;
	return len;
}

int main(int argc, char **argv)
{
	struct tpacket_req3 req = { .tp_block_size = BLOCK_LEN,
				    .tp_block_nr = BLOCKS,
				    .tp_frame_size = 2048,
				    .tp_retire_blk_tov = RETIRE_MS };
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	int version = TPACKET_V3;
	bool blocks = false;
	size_t area_len = (size_t)AREA_MIB << 20;
	int option;

	while ((option = getopt(argc, argv, "bm:")) != -1) {
		if (option == 'b')
			blocks = true;
		else if (option == 'm')
			area_len = (size_t)strtoul(optarg, NULL, 10) << 20;
		else
			argc = 0;
	}
	if (argc != optind + 1 || area_len == 0 || (area_len & (area_len - 1))) {
		fprintf(stderr, "usage: walker [-b] [-m MIB] INTERFACE\n");
		return 2;
	}
	const char *interface = argv[optind];
	req.tp_frame_nr = req.tp_block_size / req.tp_frame_size * BLOCKS;
	at.sll_ifindex = (int)if_nametoindex(interface);
	int fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (fd < 0 || !at.sll_ifindex ||
	    setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)) < 0)
		give_up(interface);
	uint8_t *ring = mmap(NULL, (size_t)BLOCK_LEN * BLOCKS, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_POPULATE, fd, 0);
	uint8_t *area = mmap(NULL, area_len + FRAME_MAX, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (ring == MAP_FAILED || area == MAP_FAILED ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		give_up(interface);
	signal(SIGINT, on_signal);
	fprintf(stderr, "walking\n");

	uint64_t frames = 0, off = 0, end = 0;
	for (unsigned i = 0; !ended;) {
		struct tpacket_block_desc *b =
			(struct tpacket_block_desc *)(void *)(ring + (size_t)i * BLOCK_LEN);

		if (!(__atomic_load_n(&b->hdr.bh1.block_status, __ATOMIC_ACQUIRE) &
		      TP_STATUS_USER)) {
			poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 100);
			continue;
		}
		const uint8_t *p = (const uint8_t *)b + b->hdr.bh1.offset_to_first_pkt;
		for (uint32_t k = b->hdr.bh1.num_pkts; k > 0; k--) {
			const struct tpacket3_hdr *h = (const struct tpacket3_hdr *)(const void *)p;

			if (blocks) {
				off += block_write(area + off, h);
			} else {
				memcpy(area + off, p + h->tp_mac, h->tp_snaplen);
				off += NCPI_PAD4(h->tp_snaplen);
			}
			off &= area_len - 1;
			frames++;
			if (k == 1 && h->tp_snaplen >= NUMBER_OFF + 8) {
				memcpy(&end, p + h->tp_mac + NUMBER_OFF, 8);
				end = be64toh(end) + 1;
			}
			p += h->tp_next_offset;
		}
		__atomic_store_n(&b->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		i = (i + 1) % BLOCKS;
	}
	printf("frames=%llu holes=%llu duplicates=0 other=0\n", (unsigned long long)frames,
	       (unsigned long long)(end > frames ? end - frames : 0));
	return 0;
}
