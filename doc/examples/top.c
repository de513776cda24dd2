/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * top.c - the flows with the most bytes among the frames that a ring remembers.
 *
 *	cc -o top top.c $(pkg-config --cflags --libs ncpbus)
 *	./top eth0 'tcp port 443'
 *
 * Shows a filter, copies instead of views, and how to read what is there and stop: from the oldest
 * frame to the one that is the newest when it starts.
 */
#include <arpa/inet.h>
#include <ncpbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An IPv4 flow in one direction.  No padding, so that it can be compared and hashed as bytes. */
struct key {
	uint8_t src[4], dst[4], sport[2], dport[2], number;
};

struct flow {
	struct key key;
	unsigned long long frames, bytes;
};

#define SLOTS 65536u /* a power of two */
#define SHOWN 10

static struct flow flows[SLOTS];
static unsigned long long flows_left_out;

static int key_of(const struct ncp_frame *f, uint32_t copied, struct key *k)
{
	const uint8_t *ip = f->data + 14;
	uint32_t header;

	memset(k, 0, sizeof(*k));
	if (copied < 34 || f->data[12] != 0x08 || f->data[13] != 0x00)
		return 0;
	header = (ip[0] & 15u) * 4;
	memcpy(k->src, ip + 12, 4);
	memcpy(k->dst, ip + 16, 4);
	k->number = ip[9];
	if ((k->number == 6 || k->number == 17) && copied >= 14 + header + 4) {
		memcpy(k->sport, ip + header, 2);
		memcpy(k->dport, ip + header + 2, 2);
	}
	return 1;
}

static struct flow *find(const struct key *k)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < sizeof(*k); i++)
		hash = (hash ^ ((const uint8_t *)k)[i]) * 16777619u;
	for (uint32_t i = 0; i < 64; i++) {
		struct flow *f = &flows[(hash + i) & (SLOTS - 1)];

		if (f->frames == 0)
			f->key = *k;
		if (!memcmp(&f->key, k, sizeof(*k)))
			return f;
	}
	return NULL; /* full hereabouts */
}

static int more(const void *a, const void *b)
{
	const struct flow *x = (const struct flow *)a, *y = (const struct flow *)b;

	return (x->bytes < y->bytes) - (x->bytes > y->bytes);
}

static void show(const struct flow *f)
{
	char src[INET_ADDRSTRLEN], dst[INET_ADDRSTRLEN];

	inet_ntop(AF_INET, f->key.src, src, sizeof(src));
	inet_ntop(AF_INET, f->key.dst, dst, sizeof(dst));
	printf("%12llu bytes %9llu frames  %s.%d > %s.%d protocol %d\n", f->bytes, f->frames, src,
	       f->key.sport[0] << 8 | f->key.sport[1], dst, f->key.dport[0] << 8 | f->key.dport[1],
	       f->key.number);
}

int main(int argc, char **argv)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	struct ncp_options o = NCP_OPTIONS_INIT;
	struct ncp_cursor at = NCP_CURSOR_INIT;
	struct ncp_frame f = NCP_FRAME_INIT;
	struct ncp_client *c;
	char error[256] = "";
	uint8_t head[128]; /* enough for the headers; the rest need not be copied */
	unsigned long long lost = 0;
	int r;

	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: top BUS [FILTER]\n");
		return 2;
	}
	o.from.whence = NCP_OLDEST;
	o.error = error;
	o.error_cap = sizeof(error);
	r = ncp_attach(&c, argv[1], &o);
	/* 1 says that some interface of the bus does not fit the filter: its frames do not match. */
	if (r == 0 && argc == 3)
		r = ncp_set_filter(c, argv[2], error, sizeof(error));
	if (r >= 0)
		r = ncp_bus_info(c, &info);
	if (r >= 0)
		r = ncp_tell(c, &at);
	while (r >= 0 && at.seq < info.next_seq && at.incarnation == info.incarnation) {
		/* A copy, checked after it was made: what it returns is whole, and stays. */
		r = ncp_recv(c, head, sizeof(head), &f);
		if (r <= 0)
			break;
		if (f.kind == NCP_LOST && f.next_seq != NCP_UNKNOWN)
			lost += f.next_seq - f.seq;
		if (f.kind == NCP_FRAME && f.seq < info.next_seq) {
			struct key k;
			struct flow *flow;

			if (key_of(&f, f.caplen < sizeof(head) ? f.caplen : sizeof(head), &k)) {
				flow = find(&k);
				if (flow) {
					flow->frames++;
					flow->bytes += f.len;
				} else {
					flows_left_out++;
				}
			}
		}
		r = ncp_tell(c, &at);
	}
	ncp_detach(c);
	if (r < 0) {
		fprintf(stderr, "top: bus %s: %s\n", argv[1], error[0] ? error : ncp_strerror(r));
		return 1;
	}
	qsort(flows, SLOTS, sizeof(flows[0]), more);
	for (int i = 0; i < SHOWN && flows[i].frames; i++)
		show(&flows[i]);
	if (lost || flows_left_out)
		printf("%llu frames lost, %llu in flows that did not fit the table\n", lost,
		       flows_left_out);
	return 0;
}
