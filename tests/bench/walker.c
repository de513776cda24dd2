/* SPDX-License-Identifier: BSD-2-Clause */
/* walker.c - the least that a capture to shared memory can do: the floor for ncp-producer. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

/*
 * walker INTERFACE: walk a TPACKET_V3 ring of 16 blocks of 1 MiB (or $WALKER_BLOCKS) and copy each
 * frame, with nothing around it, into 64 MiB of shared memory, until SIGINT; then print how many there
 * were and how many the kernel dropped.
 */
#define BLOCK_LEN (1u << 20)
#define AREA_LEN (64u << 20)
#define FRAME_MAX 65536u

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

int main(int argc, char **argv)
{
	const char *blocks = getenv("WALKER_BLOCKS");
	struct tpacket_req3 req = { .tp_block_size = BLOCK_LEN,
				    .tp_block_nr = blocks ? (unsigned)atoi(blocks) : 16,
				    .tp_frame_size = 2048,
				    .tp_retire_blk_tov = 10 };
	struct sockaddr_ll at = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL) };
	struct tpacket_stats_v3 stats;
	socklen_t stats_len = sizeof(stats);
	int version = TPACKET_V3;

	if (argc != 2) {
		fprintf(stderr, "usage: walker INTERFACE\n");
		return 2;
	}
	req.tp_frame_nr = req.tp_block_size / req.tp_frame_size * req.tp_block_nr;
	at.sll_ifindex = (int)if_nametoindex(argv[1]);
	int fd = socket(AF_PACKET, SOCK_RAW, 0);
	if (fd < 0 || !at.sll_ifindex ||
	    setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)) < 0)
		give_up(argv[1]);
	uint8_t *ring = mmap(NULL, (size_t)BLOCK_LEN * req.tp_block_nr, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_POPULATE, fd, 0);
	uint8_t *area = mmap(NULL, AREA_LEN + FRAME_MAX, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (ring == MAP_FAILED || area == MAP_FAILED ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0)
		give_up(argv[1]);
	signal(SIGINT, on_signal);
	fprintf(stderr, "walking\n");

	uint64_t frames = 0, off = 0;
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

			memcpy(area + off, p + h->tp_mac, h->tp_snaplen);
			off = (off + ((h->tp_snaplen + 3) & ~3u)) & (AREA_LEN - 1);
			frames++;
			p += h->tp_next_offset;
		}
		__atomic_store_n(&b->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		i = (i + 1) % req.tp_block_nr;
	}
	if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &stats, &stats_len) < 0)
		give_up("statistics");
	printf("%llu %u\n", (unsigned long long)frames, stats.tp_drops);
	return 0;
}
