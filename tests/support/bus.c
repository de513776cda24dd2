/* SPDX-License-Identifier: BSD-2-Clause */
/* bus.c - a bus of a test's own, frames whose every byte follows from their number. */
#include "bus.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tap/tap.h"

void bus_make(struct test_bus *t)
{
	*t = (struct test_bus){
		.dir = tap_tempdir("/dev/shm"),
		.geo = { .ring_size = 1 << 16,
			 .n_reliable = 4,
			 .snaplen = 262144,
			 .mode = 0600,
			 .gid = getgid(),
			 .registry_gid = getgid() },
		.o = { .n_workers = 1, .largest_caplen = FRAME_CAP, .snaplen = 262144 },
	};
	t->dirfd = ncpi_dir_open(t->dir);
	if (t->dirfd < 0)
		bail("cannot open %s", t->dir);
	tap_bus_name(t->name, "ring");
}

void bus_start(struct test_bus *t, bool threads)
{
	char why[128];
	int r = ncpi_bus_open(t->dirfd, t->name, &t->geo, &t->bus, why);

	if (r < 0)
		bail("open bus: %s: %s", ncp_strerror(r), why);
	r = ncpi_writer_open(&t->bus, &t->o, &t->w, why);
	if (r < 0)
		bail("open writer: %s: %s", ncp_strerror(r), why);
	t->interface = ncpi_writer_interface(
		t->w, &(struct ncpi_interface_desc){ .name = "test0", .linktype = 1,
						     .snaplen = 262144 });
	if (t->interface < 0)
		bail("interface: %s", ncp_strerror(t->interface));
	if (threads && ncpi_writer_start(t->w) < 0)
		bail("waker thread");
	ncpi_writer_state(t->w, NCP_LIVE, 0);
}

void bus_stop(struct test_bus *t, uint32_t state)
{
	ncpi_writer_close(t->w, state, 0);
	ncpi_bus_close(&t->bus);
	t->w = NULL;
}

/* A byte that no neighbour, and no other frame at the same place, has by chance. */
static uint8_t byte_of(uint64_t seq, uint32_t i)
{
	uint64_t x = (seq + 1) * UINT64_C(0x9e3779b97f4a7c15) + i * UINT64_C(0xbf58476d1ce4e5b9);

	return (uint8_t)(x >> 56 ^ x >> 31);
}

static uint32_t caplen_of(uint64_t seq)
{
	return 14 + (uint32_t)(seq * 37 % (FRAME_CAP - 13));
}

struct ncpi_frame frame_fill(uint64_t seq, uint8_t *buf, uint32_t cap)
{
	uint32_t caplen = caplen_of(seq);

	if (cap < caplen)
		bail("frame buffer too small");
	for (uint32_t i = 0; i < caplen; i++)
		buf[i] = byte_of(seq, i);
	return (struct ncpi_frame){ .data = buf,
				    .ts_ns = FRAME_TS(seq),
				    .caplen = caplen,
				    .len = caplen + (uint32_t)(seq % 5),
				    .flags = 1 + (uint32_t)(seq % 2),
				    .dropcount = seq % 11 ? 0 : seq + 1 };
}

void bus_publish(struct test_bus *t, uint64_t n)
{
	static uint8_t buf[7][FRAME_CAP];

	while (n) {
		struct ncpi_frame f[7];
		size_t k = 0;

		for (; k < 7 && k < n; k++) {
			f[k] = frame_fill(t->next + k, buf[k], FRAME_CAP);
			f[k].interface = (uint32_t)t->interface;
		}
		if (ncpi_writer_publish(t->w, 0, f, k) != k)
			bail("publish gave up");
		t->next += k;
		n -= k;
	}
}

void bus_lap(struct test_bus *t, uint64_t position)
{
	while (t->bus.seg.h->tail <= position)
		bus_publish(t, 7);
}

bool frame_good(const struct ncp_frame *f)
{
	uint8_t buf[FRAME_CAP];
	struct ncpi_frame want = frame_fill(f->seq, buf, sizeof(buf));

	return f->kind == NCP_FRAME && f->caplen == want.caplen && f->len == want.len &&
	       f->ts_ns == want.ts_ns && f->flags == want.flags &&
	       f->dropcount == want.dropcount && memcmp(f->data, buf, want.caplen) == 0;
}

struct ncp_client *bus_attach(const struct test_bus *t, uint32_t whence, uint64_t value,
			      uint32_t flags)
{
	struct ncp_options o = NCP_OPTIONS_INIT;
	struct ncp_client *c;
	char error[256] = "";

	o.dir = t->dir;
	o.flags = flags;
	o.from.whence = whence;
	o.from.value = value;
	o.error = error;
	o.error_cap = sizeof(error);
	int r = ncp_attach(&c, t->name, &o);
	if (r < 0)
		bail("attach: %d %s", r, error);
	return c;
}
