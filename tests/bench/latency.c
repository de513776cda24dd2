/* SPDX-License-Identifier: BSD-2-Clause */
/* latency.c - how long after its time stamp a frame is in a client's hands. */
#include <pcap/pcap.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libncpbus/include/ncpbus.h"
#include "libncpbus/stamp.h"

/*
 * latency ncp|ncp-spin BUS COUNT, latency pcap|pcap-spin INTERFACE COUNT: COUNT frames, or until SIGINT.
 * latency futex - COUNT: from before a FUTEX_WAKE to the return of another process's FUTEX_WAIT.
 *
 * Prints the 50th, 99th and 99.9th percentile in us, and how many there were.  A frame's stamp is the
 * kernel's, taken on arrival.  -spin polls instead of waiting; pcap is libpcap in immediate mode.
 */
#define COUNT_MAX 10000000u

static uint64_t *late;
static size_t n_late;
static volatile sig_atomic_t ended;
static pcap_t *pcap; /* for the signal */

static void on_signal(int signal)
{
	(void)signal;
	ended = 1;
	if (pcap)
		pcap_breakloop(pcap);
}

static void take(uint64_t ts_ns)
{
	uint64_t now = ncpi_now_realtime();

	late[n_late++] = now > ts_ns ? now - ts_ns : 0;
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static int by_ncp(const char *bus, size_t count, bool spin)
{
	struct ncp_options o = NCP_OPTIONS_INIT;
	struct ncp_frame f = NCP_FRAME_INIT;
	struct ncp_client *c;
	int r = ncp_attach(&c, bus, &o);

	if (r < 0) {
		fprintf(stderr, "latency: %s: %s\n", bus, ncp_strerror(r));
		return 1;
	}
	fprintf(stderr, "ready\n");
	while (n_late < count && !ended) {
		r = ncp_next(c, &f);
		if (r < 0)
			break;
		if (r == 1 && f.kind == NCP_FRAME)
			take(f.ts_ns);
		else if (r == 0 && !spin)
			(void)!ncp_wait(c, 100);
	}
	ncp_detach(c);
	return 0;
}

static int by_pcap(const char *interface, size_t count, bool spin)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *p = pcap = pcap_create(interface, error);
	struct pcap_pkthdr *h;
	const u_char *data;

	if (!p || pcap_set_immediate_mode(p, 1) || pcap_set_promisc(p, 1) ||
	    pcap_set_snaplen(p, 262144) || pcap_set_buffer_size(p, 64 << 20) ||
	    pcap_set_timeout(p, 100) || pcap_set_tstamp_precision(p, PCAP_TSTAMP_PRECISION_NANO) ||
	    pcap_activate(p) < 0 || pcap_setnonblock(p, spin, error) < 0) {
		fprintf(stderr, "latency: %s: %s\n", interface, p ? pcap_geterr(p) : error);
		return 1;
	}
	fprintf(stderr, "ready\n");
	while (n_late < count && !ended)
		if (pcap_next_ex(p, &h, &data) == 1)
			take((uint64_t)h->ts.tv_sec * NCPI_SECOND + (uint64_t)h->ts.tv_usec);
	pcap = NULL;
	pcap_close(p);
	return 0;
}

/* A process that sleeps in FUTEX_WAIT, and another that wakes it each millisecond. */
struct bell {
	uint32_t word;
	uint64_t woken_ns; /* when the wake began; the word's change publishes it */
};

static void ring_bell(struct bell *b, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
		b->woken_ns = ncpi_now_realtime();
		__atomic_add_fetch(&b->word, 1, __ATOMIC_RELEASE);
		ncpi_futex_wake(&b->word, 1);
	}
}

static int by_futex(size_t count)
{
	struct bell *b = mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t ringer = b == MAP_FAILED ? -1 : fork();
	uint32_t seen = 0;

	if (ringer < 0)
		return 1;
	if (ringer == 0) {
		ring_bell(b, count);
		_exit(0);
	}
	while (seen < count) {
		(void)ncpi_futex_wait(&b->word, seen, NCPI_SECOND);
		uint32_t now = __atomic_load_n(&b->word, __ATOMIC_ACQUIRE);

		if (now != seen)
			take(b->woken_ns);
		seen = now;
	}
	waitpid(ringer, NULL, 0);
	return 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: latency ncp|ncp-spin|pcap|pcap-spin BUS|INTERFACE COUNT\n"
			"       latency futex - COUNT\n");
	return 2;
}

int main(int argc, char **argv)
{
	size_t count = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
	int r;

	if (count < 1 || count > COUNT_MAX)
		return usage();
	late = calloc(count, sizeof(*late));
	if (!late)
		return 1;
	sigaction(SIGINT, &(struct sigaction){ .sa_handler = on_signal }, NULL);
	bool spin = strstr(argv[1], "-spin");
	if (strncmp(argv[1], "ncp", 3) == 0)
		r = by_ncp(argv[2], count, spin);
	else if (strncmp(argv[1], "pcap", 4) == 0)
		r = by_pcap(argv[2], count, spin);
	else if (strcmp(argv[1], "futex") == 0)
		r = by_futex(count);
	else
		return usage();
	if (r || !n_late)
		return 1;
	qsort(late, n_late, sizeof(*late), ascending);
	printf("%.1f %.1f %.1f %zu\n", (double)late[n_late / 2] / 1e3,
	       (double)late[n_late - 1 - n_late / 100] / 1e3,
	       (double)late[n_late - 1 - n_late / 1000] / 1e3, n_late);
	free(late);
	return 0;
}
