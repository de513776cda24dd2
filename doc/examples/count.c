/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * count.c - how many frames and bytes of each protocol pass over a bus.
 *
 *	cc -o count count.c $(pkg-config --cflags --libs ncpbus)
 *	./count eth0
 *
 * Shows the loop that every client has: next frame in place, wait, events.  It begins with the
 * oldest frame in the ring and ends with the bus, or on Ctrl-C.
 */
#include <ncpbus.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void)sig;
	stop = 1;
}

static const char *protocol(const struct ncp_frame *f)
{
	const uint8_t *p = f->data;
	uint8_t number;

	if (f->caplen < 14)
		return "short";
	if (p[12] == 0x08 && p[13] == 0x06)
		return "ARP";
	if (p[12] == 0x08 && p[13] == 0x00 && f->caplen >= 34)
		number = p[14 + 9]; /* IPv4: protocol */
	else if (p[12] == 0x86 && p[13] == 0xdd && f->caplen >= 54)
		number = p[14 + 6]; /* IPv6: next header */
	else
		return "other";
	return number == 6 ? "TCP" : number == 17 ? "UDP" : number == 1 || number == 58 ? "ICMP" : "other";
}

int main(int argc, char **argv)
{
	static const char *names[] = { "TCP", "UDP", "ICMP", "ARP", "other", "short" };
	enum { N = sizeof(names) / sizeof(names[0]) };
	unsigned long long frames[N] = { 0 }, bytes[N] = { 0 }, lost = 0;
	struct ncp_options o = NCP_OPTIONS_INIT;
	struct ncp_frame f = NCP_FRAME_INIT;
	struct ncp_client *c;
	char error[256] = "";
	int r;

	if (argc != 2) {
		fprintf(stderr, "usage: count BUS\n");
		return 2;
	}
	signal(SIGINT, on_signal);
	o.from.whence = NCP_OLDEST;
	o.error = error;
	o.error_cap = sizeof(error);
	r = ncp_attach(&c, argv[1], &o);
	if (r < 0) {
		fprintf(stderr, "count: bus %s: %s\n", argv[1], error[0] ? error : ncp_strerror(r));
		return 1;
	}
	while (!stop) {
		r = ncp_next(c, &f);
		if (r == 0) { /* nothing new */
			r = ncp_wait(c, 1000);
			continue;
		}
		if (r < 0)
			break;
		if (f.kind == NCP_STATE && f.state == NCP_ENDED)
			break;
		if (f.kind == NCP_LOST && f.next_seq != NCP_UNKNOWN)
			lost += f.next_seq - f.seq;
		if (f.kind != NCP_FRAME)
			continue;
		const char *name = protocol(&f);
		uint32_t len = f.len;
		/* The frame was read where it stands; was it still whole when we were done?  If not,
		 * the next call tells so by NCP_LOST. */
		if (!ncp_intact(c, f.position))
			continue;
		for (int i = 0; i < N; i++)
			if (!strcmp(names[i], name)) {
				frames[i]++;
				bytes[i] += len;
			}
	}
	for (int i = 0; i < N; i++)
		if (frames[i])
			printf("%-6s %12llu frames %15llu bytes\n", names[i], frames[i], bytes[i]);
	printf("%-6s %12llu frames\n", "lost", lost);
	if (r < 0)
		fprintf(stderr, "count: %s\n", ncp_strerror(r));
	ncp_detach(c);
	return r < 0;
}
