/* SPDX-License-Identifier: BSD-2-Clause */
/* frame_mix.c - send one frame of each kind that a capture must get right. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * frame_mix INTERFACE [MAC]
 *
 * To MAC (of the receiving interface; 02:00:00:00:00:02 if not given), to all, to a group, to
 * somebody else; IPv4, IPv6, ARP, 802.3; with one VLAN tag, two, a priority tag, a service tag; of
 * 14 to 1514 bytes.  Out of a tun interface come IP packets alone, sent into it from its other side.
 * Prints how many.  Exits 1 if one could not be sent.
 */

static const uint8_t us[6] = { 2, 0, 0, 0, 0, 1 }, other[6] = { 2, 0, 0, 0, 0, 0x99 },
		     all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
		     group[6] = { 1, 0, 0x5e, 0, 0, 0x21 };
static uint8_t receiver[6] = { 2, 0, 0, 0, 0, 2 };

struct kind {
	const uint8_t *to;
	uint32_t tags[2]; /* TPID << 16 | TCI, 0: none */
	uint16_t type;
	uint16_t len; /* without tags; bytes of the packet: less 14 */
};

static const struct kind kinds[] = {
	{ receiver, { 0 }, ETH_P_IP, 60 },
	{ receiver, { 0 }, ETH_P_IP, 1514 },
	{ receiver, { 0 }, ETH_P_IP, 61 },
	{ receiver, { 0 }, ETH_P_IPV6, 90 },
	{ receiver, { 0 }, 0x88b5, 14 }, /* headers alone; a type for experiments */
	{ receiver, { 0 }, 0x88b5, 15 },
	{ receiver, { 0 }, 46, 60 }, /* 802.3: a length */
	{ all, { 0 }, ETH_P_ARP, 60 },
	{ group, { 0 }, ETH_P_IP, 100 },
	{ other, { 0 }, ETH_P_IP, 100 },
	{ receiver, { 0x81000007 }, ETH_P_IP, 100 },
	{ receiver, { 0x81006008 }, ETH_P_IP, 100 }, /* VLAN 8, priority 3 */
	{ receiver, { 0x81000000 }, ETH_P_IP, 100 }, /* VLAN 0: priority alone */
	{ all, { 0x81000007 }, ETH_P_ARP, 60 },
	{ receiver, { 0x88a80009 }, ETH_P_IP, 100 },
	{ receiver, { 0x88a80009, 0x81000007 }, ETH_P_IP, 100 },
	{ receiver, { 0x81000007, 0x81000008 }, ETH_P_IP, 100 },
	{ receiver, { 0x81000007 }, ETH_P_IPV6, 1514 },
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* The packet behind the link-layer header: as much of it as there is room for. */
static void packet_make(uint8_t *p, uint32_t len, uint16_t type, uint8_t number)
{
	static const uint8_t ipv4[] = { 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 9, 0, 1,
					10, 9, 0, 2, 0x30, 0x39, 0, 9 };
	static const uint8_t ipv6[] = { 0x60, 0, 0, 0, 0, 0, 59, 64 };

	for (uint32_t i = 0; i < len; i++)
		p[i] = (uint8_t)(i + number);
	if (type == ETH_P_IP) {
		memcpy(p, ipv4, sizeof(ipv4));
		put16(p + 2, len);
		put16(p + 24, len - 20);
		put16(p + 26, 0);
		p[5] = number;
		uint32_t sum = 0;
		for (int i = 0; i < 20; i += 2)
			sum += (uint32_t)p[i] << 8 | p[i + 1];
		put16(p + 10, ~((sum & 0xffff) + (sum >> 16)));
	} else if (type == ETH_P_IPV6) {
		memcpy(p, ipv6, sizeof(ipv6));
		put16(p + 4, len - 40);
	}
}

static uint32_t frame_make(uint8_t *f, const struct kind *k, uint8_t number)
{
	uint32_t at = 12;

	memcpy(f, k->to, 6);
	memcpy(f + 6, us, 6);
	for (int i = 0; i < 2 && k->tags[i]; i++, at += 4) {
		put16(f + at, k->tags[i] >> 16);
		put16(f + at + 2, k->tags[i] & 0xffff);
	}
	put16(f + at, k->type);
	packet_make(f + at + 2, k->len - 14u, k->type, number);
	return at + 2 + k->len - 14u;
}

static int tun_open(const char *name)
{
	struct ifreq r = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	return fd >= 0 && ioctl(fd, TUNSETIFF, &r) == 0 ? fd : -1;
}

static int packet_open(const char *name)
{
	struct sockaddr_ll to = { .sll_family = AF_PACKET, .sll_ifindex = (int)if_nametoindex(name) };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (!to.sll_ifindex)
		errno = ENODEV;
	return fd >= 0 && to.sll_ifindex && bind(fd, (struct sockaddr *)&to, sizeof(to)) == 0 ? fd : -1;
}

int main(int argc, char **argv)
{
	static uint8_t frame[2048];
	struct ifreq r = { 0 };
	unsigned sent = 0;
	uint8_t *m = receiver;
	int probe = socket(AF_INET, SOCK_DGRAM, 0);

	if (argc < 2 || argc > 3 ||
	    (argc == 3 && sscanf(argv[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", m, m + 1, m + 2, m + 3,
				 m + 4, m + 5) != 6)) {
		fprintf(stderr, "usage: frame_mix INTERFACE [MAC]\n");
		return 2;
	}
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", argv[1]);
	bool bare = ioctl(probe, SIOCGIFHWADDR, &r) == 0 && r.ifr_hwaddr.sa_family == ARPHRD_NONE;
	int fd = bare ? tun_open(argv[1]) : packet_open(argv[1]);
	if (fd < 0) {
		fprintf(stderr, "frame_mix: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	for (size_t i = 0; i < N_KINDS; i++) {
		uint32_t len = frame_make(frame, &kinds[i], (uint8_t)i), from = bare ? 14 : 0;

		if (bare && (kinds[i].tags[0] || (kinds[i].type != ETH_P_IP && kinds[i].type != ETH_P_IPV6)))
			continue;
		if (write(fd, frame + from, len - from) != (ssize_t)(len - from)) {
			fprintf(stderr, "frame_mix: %s: frame %zu: %s\n", argv[1], i, strerror(errno));
			return 1;
		}
		sent++;
	}
	printf("%u\n", sent);
	return 0;
}
