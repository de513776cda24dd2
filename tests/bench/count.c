/* SPDX-License-Identifier: BSD-2-Clause */
/* count.c - a client that takes every frame and looks at its number: of a bus, or by libpcap. */
#include <endian.h>
#include <pcap/pcap.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "libncpbus/include/ncpbus.h"

/*
 * count ncp BUS, count pcap INTERFACE: until SIGINT, and then what is there already.
 *
 * Frames are those of flood, frame_send and raw_send: UDP to port 9 over IPv4, whose payload begins with
 * a number that grows by one from frame to frame of the same source port.  Prints
 *
 *	frames=N holes=H duplicates=D other=O
 *
 * holes: numbers between a flow's first and last that did not come; duplicates: numbers not above the one
 * before; other: frames without a number.
 */
#define FLOWS 16u

static struct flow {
	bool seen;
	uint64_t next;
} flows[FLOWS];
static uint64_t n_frames, n_holes, n_duplicates, n_other;
static volatile sig_atomic_t ended;
static pcap_t *pcap; /* for the signal */

static void on_signal(int signal)
{
	(void)signal;
	ended = 1;
	if (pcap)
		pcap_breakloop(pcap);
}

static void take(const uint8_t *p, uint32_t len)
{
	uint64_t number;

	if (len < 50 || p[12] != 0x08 || p[13] != 0x00 || p[23] != 17 || p[36] != 0 || p[37] != 9) {
		n_other++;
		return;
	}
	struct flow *f = &flows[p[35] % FLOWS];
	memcpy(&number, p + 42, sizeof(number));
	number = be64toh(number);
	n_frames++;
	if (number != f->next && f->seen) {
		if (number < f->next) {
			n_duplicates++;
			return;
		}
		n_holes += number - f->next;
	}
	f->seen = true;
	f->next = number + 1;
}

static int by_ncp(const char *bus)
{
	struct ncp_options o = NCP_OPTIONS_INIT;
	struct ncp_frame f = NCP_FRAME_INIT;
	struct ncp_client *c;

	o.name = "count";
	int r = ncp_attach(&c, bus, &o);
	if (r < 0) {
		fprintf(stderr, "count: %s: %s\n", bus, ncp_strerror(r));
		return 1;
	}
	fprintf(stderr, "ready\n");
	while ((r = ncp_next(c, &f)) >= 0) {
		if (r == 1 && f.kind == NCP_FRAME)
			take(f.data, f.caplen);
		else if (r == 0 && ended)
			break;
		else if (r == 0)
			(void)!ncp_wait(c, 100);
	}
	ncp_detach(c);
	return r < 0;
}

static void on_frame(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	(void)user;
	take(data, h->caplen);
}

static int by_pcap(const char *interface)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *p = pcap = pcap_create(interface, error);

	if (!p || pcap_set_promisc(p, 1) || pcap_set_snaplen(p, 262144) ||
	    pcap_set_buffer_size(p, 16 << 20) || pcap_set_timeout(p, 100) || pcap_activate(p) < 0) {
		fprintf(stderr, "count: %s: %s\n", interface, p ? pcap_geterr(p) : error);
		return 1;
	}
	fprintf(stderr, "ready\n");
	while (!ended && pcap_dispatch(p, -1, on_frame, NULL) >= 0)
		;
	pcap = NULL;
	pcap_close(p);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc != 3 || (strcmp(argv[1], "ncp") && strcmp(argv[1], "pcap"))) {
		fprintf(stderr, "usage: count ncp|pcap BUS|INTERFACE\n");
		return 2;
	}
	sigaction(SIGINT, &(struct sigaction){ .sa_handler = on_signal }, NULL);
	if (*argv[1] == 'n' ? by_ncp(argv[2]) : by_pcap(argv[2]))
		return 1;
	printf("frames=%llu holes=%llu duplicates=%llu other=%llu\n", (unsigned long long)n_frames,
	       (unsigned long long)n_holes, (unsigned long long)n_duplicates,
	       (unsigned long long)n_other);
	return n_holes || n_duplicates;
}
