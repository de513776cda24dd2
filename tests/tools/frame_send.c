/* SPDX-License-Identifier: BSD-2-Clause */
/* frame_send.c - send numbered frames out of an interface, at a rate, and count what was sent. */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/*
 * frame_send INTERFACE COUNT PPS [SIZE|imix [FIRST [FLOWS]]]
 *
 * imix: 64, 594 and 1518 bytes, 7:4:1, in turns.  Each frame is Ethernet, IPv4, UDP to port 9, SIZE bytes in all; its UDP payload begins with the
 * frame's number, 64 bits big-endian, from FIRST on: what frame_check looks for.  PPS 0: as fast as
 * it goes.  FLOWS source ports from 12345 on take turns; 1.  Prints how many the kernel took, and exits 1 if that is not COUNT.
 */
#define HEADERS 42u
#define CYCLE 12 /* of imix */
#define BATCH (3 * CYCLE)
#define SIZE_MAX_ 9000u

static uint16_t ip_checksum(const uint8_t *p)
{
	uint32_t sum = 0;

	for (int i = 0; i < 20; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void frame_make(uint8_t *f, uint32_t size)
{
	static const uint8_t head[HEADERS] = {
		0x02, 0,    0,	0, 0, 2, 0x02, 0, 0,  0,  0, 1, 0x08, 0x00, /* Ethernet */
		0x45, 0,    0,	0, 0, 0, 0,    0, 64, 17, 0, 0, 10,   9,
		0,    1,    10, 9, 0, 2,	  /* IPv4 */
		0x30, 0x39, 0,	9, 0, 0, 0,    0, /* UDP 12345 -> 9, no checksum */
	};

	memcpy(f, head, HEADERS);
	for (uint32_t i = HEADERS; i < size; i++)
		f[i] = (uint8_t)i;
	f[16] = (uint8_t)((size - 14) >> 8), f[17] = (uint8_t)(size - 14);
	f[38] = (uint8_t)((size - 34) >> 8), f[39] = (uint8_t)(size - 34);
	uint16_t sum = ip_checksum(f + 14);
	f[24] = (uint8_t)(sum >> 8), f[25] = (uint8_t)sum;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv)
{
	static const uint32_t imix[CYCLE] = { 64, 594, 64, 64, 594, 64, 1518, 64, 594, 64, 594, 64 };
	static uint8_t frames[BATCH][SIZE_MAX_];
	struct mmsghdr msgs[BATCH] = { 0 };
	struct iovec iov[BATCH];

	if (argc < 4 || argc > 7) {
		fprintf(stderr,
			"usage: frame_send INTERFACE COUNT PPS [SIZE|imix [FIRST [FLOWS]]]\n");
		return 2;
	}
	uint64_t count = strtoull(argv[2], NULL, 10), pps = strtoull(argv[3], NULL, 10);
	bool mixed = argc > 4 && strcmp(argv[4], "imix") == 0;
	uint32_t size = argc > 4 && !mixed ? (uint32_t)strtoul(argv[4], NULL, 10) : 100;
	uint64_t first = argc > 5 ? strtoull(argv[5], NULL, 10) : 0, sent = 0;
	uint64_t flows = argc > 6 ? strtoull(argv[6], NULL, 10) : 1;
	if (size < HEADERS + 8 || size > SIZE_MAX_ || flows < 1 || flows > 50000) {
		fprintf(stderr, "frame_send: size: from 50 to 9000, flows: from 1 to 50000\n");
		return 2;
	}

	struct sockaddr_ll to = { .sll_family = AF_PACKET,
				  .sll_ifindex = (int)if_nametoindex(argv[1]) };
	int fd = socket(AF_PACKET, SOCK_RAW, 0); /* protocol 0: it receives nothing */
	if (fd < 0 || !to.sll_ifindex || bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		fprintf(stderr, "frame_send: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	for (int i = 0; i < BATCH; i++) {
		uint32_t len = mixed ? imix[i % CYCLE] : size;

		frame_make(frames[i], len);
		iov[i] = (struct iovec){ frames[i], len };
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	uint64_t start = now_ns();
	while (sent < count) {
		uint64_t due = count;

		if (pps) {
			uint64_t elapsed = now_ns() - start;

			due = (uint64_t)((__uint128_t)elapsed * pps / 1000000000u) + 1;
			if (due > count)
				due = count;
			if (due == sent) {
				nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
				continue;
			}
		}
		unsigned at = (unsigned)(sent % BATCH); /* so that sizes take turns at every pace */
		unsigned n = due - sent < BATCH - at ? (unsigned)(due - sent) : BATCH - at;
		for (unsigned i = at; i < at + n; i++) {
			uint64_t number = htobe64(first + sent + i - at);
			uint16_t port = htons((uint16_t)(12345 + (first + sent + i - at) % flows));

			memcpy(frames[i] + HEADERS, &number, 8);
			memcpy(frames[i] + 34, &port, 2);
		}
		int r = sendmmsg(fd, msgs + at, n, 0);
		if (r < 0 && (errno == ENOBUFS || errno == EINTR || errno == EAGAIN))
			continue;
		if (r < 0) {
			fprintf(stderr, "frame_send: %s: %s\n", argv[1], strerror(errno));
			break;
		}
		sent += (unsigned)r;
	}
	printf("%llu\n", (unsigned long long)sent);
	close(fd);
	return sent != count;
}
