/* SPDX-License-Identifier: BSD-2-Clause */
/* raw_send.c - small UDP datagrams over a raw socket to 127.0.0.1, as fast as they go. */
#include <arpa/inet.h>
#include <endian.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* raw_send COUNT SOURCE_PORT: COUNT datagrams of 8 bytes, their number, big-endian, to port 9. */
int main(int argc, char **argv)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct {
		struct udphdr udp;
		uint64_t number;
	} datagram = { .udp.uh_dport = htons(9), .udp.uh_ulen = htons(sizeof(datagram)) };

	if (argc != 3) {
		fprintf(stderr, "usage: raw_send COUNT SOURCE_PORT\n");
		return 2;
	}
	uint64_t count = strtoull(argv[1], NULL, 10);
	datagram.udp.uh_sport = htons((uint16_t)atoi(argv[2]));
	int fd = socket(AF_INET, SOCK_RAW, IPPROTO_UDP);
	if (fd < 0) {
		perror("raw_send: socket");
		return 1;
	}
	for (uint64_t i = 0; i < count;) {
		datagram.number = htobe64(i);
		if (sendto(fd, &datagram, sizeof(datagram), 0, (struct sockaddr *)&to,
			   sizeof(to)) == (ssize_t)sizeof(datagram))
			i++;
	}
	close(fd);
	return 0;
}
