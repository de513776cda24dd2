/* SPDX-License-Identifier: BSD-2-Clause */
/* test_store.c - what happens to a bus while it is stored: interfaces come, rings turn, busses go. */
#include <errno.h>
#include <fcntl.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clients/ncp-dump/store.h"
#include "libncpbus/writer.h"
#include "tap/tap.h"
#include "util/file.h"
#include "util/pcapng.h"

#define RING (1u << 20)

static struct {
	const char *dir;
	int dirfd;
	char name[TAP_BUS_NAME_CAP];
	struct ncpi_bus bus;
	struct ncpi_writer *w;
	uint64_t next;
} b;

static void bus_start(uint64_t ring)
{
	struct ncpi_geometry geo = { .ring_size = ring, .n_reliable = 4, .snaplen = 2048,
				     .mode = 0600, .gid = getgid(), .registry_gid = getgid() };
	struct ncpi_writer_options o = { .n_workers = 1, .largest_caplen = 2048, .snaplen = 2048 };
	char why[128] = "";
	int r = ncpi_bus_open(b.dirfd, b.name, &geo, &b.bus, why);

	if (r == 0)
		r = ncpi_writer_open(&b.bus, &o, &b.w, why);
	if (r < 0)
		bail("bus: %s %s", ncp_strerror(r), why);
	ncpi_writer_state(b.w, NCP_LIVE, 0);
}

static void bus_stop(uint32_t state)
{
	ncpi_writer_close(b.w, state, 0);
	ncpi_bus_close(&b.bus);
}

static uint32_t bus_interface(const char *name, uint32_t linktype)
{
	int id = ncpi_writer_interface(b.w, &(struct ncpi_interface_desc){
						    .name = name, .linktype = linktype,
						    .snaplen = 2048 });
	if (id < 0)
		bail("interface: %s", ncp_strerror(id));
	return (uint32_t)id;
}

/* Frames that begin with their number. */
static void publish(uint64_t n, uint32_t interface)
{
	uint8_t data[400] = { 0 };

	for (; n; n--, b.next++) {
		memcpy(data, &b.next, 8);
		struct ncpi_frame f = { .data = data, .caplen = 60 + (uint32_t)(b.next * 37 % 300),
					.interface = interface, .flags = 1, .ts_ns = b.next + 1 };
		f.len = f.caplen;
		if (ncpi_writer_publish(b.w, 0, &f, 1) != 1)
			bail("publish");
	}
}

/* Read all there is.  Returns the kind of the event that ended it, 0 for none. */
static uint32_t drain(struct store *s, struct ncp_client *c, bool straight)
{
	for (;;) {
		struct ncp_frame f[16] = { NCP_FRAME_INIT };
		struct ncp_span span = NCP_SPAN_INIT;
		int e = 0, r = straight ? ncp_span(c, 65536, &span, f) : ncp_next_batch(c, f, 16);

		if (r == 0)
			return 0;
		if (r > 0 && straight && f[0].kind == NCP_SPAN)
			e = store_span(s, &span, UINT64_MAX);
		else if (r > 0 && !straight && f[0].kind == NCP_FRAME)
			e = store_frames(s, f, r);
		else if (r > 0)
			return f[0].kind;
		if (r < 0 || e < 0)
			bail("drain: %s", ncp_strerror(r < 0 ? r : e));
	}
}

/* Frames and interfaces of a file, as its blocks tell: a frame whose interface is not there yet, or
 * whose number is not the next, ends the count. */
static void count(const char *path, uint64_t *frames, uint32_t *interfaces, uint64_t *stats)
{
	struct pcapng_block blk;
	size_t len, off = 0;
	uint64_t want = UINT64_MAX;
	uint32_t here = 0;
	char *bytes;

	*frames = *stats = 0;
	*interfaces = 0;
	if (file_read(path, 1 << 26, &bytes, &len) < 0)
		bail("cannot read %s", path);
	while (pcapng_next((uint8_t *)bytes + off, len - off, &blk) == 1) {
		uint32_t id;
		uint64_t seq;

		memcpy(&id, blk.body, 4);
		if (blk.type == PCAPNG_SHB)
			here = 0, want = UINT64_MAX;
		*interfaces += blk.type == PCAPNG_IDB;
		here += blk.type == PCAPNG_IDB;
		*stats += blk.type == PCAPNG_ISB && id < here;
		if (blk.type == PCAPNG_EPB) {
			memcpy(&seq, blk.body + 20, 8);
			if (id >= here || (want != UINT64_MAX && seq != want))
				break;
			want = seq + 1;
			++*frames;
		}
		off += blk.len;
	}
	if (off != len)
		diag("%s: stops at %zu of %zu", path, off, len);
	free(bytes);
}

static uint64_t by_libpcap(const char *path)
{
	char err[PCAP_ERRBUF_SIZE];
	struct pcap_pkthdr *h;
	const u_char *data;
	uint64_t n = 0;
	pcap_t *p = pcap_open_offline(path, err);

	if (!p)
		bail("libpcap: %s", err);
	while (pcap_next_ex(p, &h, &data) == 1)
		n++;
	pcap_close(p);
	return n;
}

static struct ncp_client *attach(void)
{
	struct ncp_options o = NCP_OPTIONS_INIT;
	struct ncp_client *c;
	int r;

	o.dir = b.dir;
	o.from.whence = NCP_OLDEST;
	r = ncp_attach(&c, b.name, &o);
	if (r < 0)
		bail("attach: %s", ncp_strerror(r));
	return c;
}

static void stored(const char *how, bool straight)
{
	struct dump_options o = { .iobuf = 256 << 10, .quick = true };
	struct ledger ledger = { 0 };
	struct store s;
	char path[256], second[300];
	uint64_t frames, stats, first;
	uint32_t interfaces;

	snprintf(path, sizeof(path), "%s/%s", tap_tempdir("."), how);
	snprintf(second, sizeof(second), "%s1", path);
	o.write = path;
	bus_start(RING);
	publish(1000, bus_interface("a", 1));
	struct ncp_client *c = attach();
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	first = b.next - 1000;
	is_i64(0, ncp_bus_info(c, &info), "%s: a bus", how);
	is_i64(0, ledger_open(&ledger, info.incarnation, first), "%s: its window", how);
	is_i64(0, store_open(&s, &o, c, &ledger, NULL), "%s: a file begins", how);
	drain(&s, c, straight);
	/* An interface more, each time in the middle of a page, five times around the ring. */
	for (int i = 0; i < 40; i++) {
		char name[8];

		snprintf(name, sizeof(name), "b%d", i);
		publish(500 + (uint64_t)i, 0);
		publish(1, bus_interface(name, 1));
		drain(&s, c, straight);
		/* Or this would lap the disk. */
		if (i % 3 == 2 && store_flush(&s) < 0)
			bail("flush");
	}
	uint64_t n = b.next - first;
	struct outfile_state st;
	outfile_state(s.file, &st);
	ok(!straight || st.straight > st.end / 2, "%s: most of it straight, if any", how);
	is_u64(n, ledger_now(&ledger)->frames, "%s: every frame is in the ledger", how);

	/* Another bus of that name with the same link type: another section. */
	bus_stop(NCP_CLOSED);
	b.next = 0;
	bus_start(2 * RING);
	publish(700, bus_interface("c", 1));
	uint32_t kind;
	while ((kind = drain(&s, c, straight)) != NCP_REATTACHED)
		if (kind == 0 && ncp_wait(c, 5000) != 1)
			bail("the new bus is not found");
	is_i64(0, store_rest(&s), "%s: the bus is replaced", how);
	struct ncp_frame f = NCP_FRAME_INIT;
	struct ncp_span span = NCP_SPAN_INIT;
	int r = straight ? ncp_span(c, 0, &span, &f) : ncp_next_batch(c, &f, 1);
	is_i64(1, r, "%s: and the new one read", how);
	if (ncp_bus_info(c, &info) < 0 || ledger_open(&ledger, info.incarnation, 0) < 0)
		bail("window");
	is_i64(0, store_reattached(&s), "%s: another section begins", how);
	r = straight ? store_span(&s, &span, UINT64_MAX) : store_frames(&s, &f, 1);
	is_i64(0, r, "%s: with its first frames", how);
	drain(&s, c, straight);
	is_u64(700, ledger_now(&ledger)->frames, "%s: all of them", how);

	/* And one with another link type: another file. */
	bus_stop(NCP_CLOSED);
	b.next = 0;
	bus_start(RING);
	publish(300, bus_interface("d", 101));
	while ((kind = drain(&s, c, straight)) != NCP_REATTACHED)
		if (kind == 0 && ncp_wait(c, 5000) != 1)
			bail("the third bus is not found");
	if (store_rest(&s) < 0)
		bail("rest");
	r = straight ? ncp_span(c, 0, &span, &f) : ncp_next_batch(c, &f, 1);
	if (r != 1 || ncp_bus_info(c, &info) < 0 || ledger_open(&ledger, info.incarnation, 0) < 0)
		bail("third window");
	is_i64(0, store_reattached(&s), "%s: other link types", how);
	r = straight ? store_span(&s, &span, UINT64_MAX) : store_frames(&s, &f, 1);
	if (r < 0)
		bail("third frames");
	drain(&s, c, straight);
	is_i64(0, store_finish(&s), "%s: the end", how);
	is_u64(2, s.series.files, "%s: there are two files", how);
	store_close(&s);

	count(path, &frames, &interfaces, &stats);
	is_u64(n + 700, frames, "%s: every frame is in the first, its interface before it", how);
	is_u64(42, interfaces, "%s: each interface once in its section", how);
	is_u64(42, stats, "%s: and its statistics", how);
	is_u64(n + 700, by_libpcap(path), "%s: libpcap reads it", how);
	count(second, &frames, &interfaces, &stats);
	is_u64(300, frames, "%s: the second has the rest", how);
	is_u64(300, by_libpcap(second), "%s: libpcap reads it, too", how);
	ncp_detach(c);
	ledger_free(&ledger);
	bus_stop(NCP_ENDED);
	if (ncpi_bus_unlink(b.dirfd, b.name, 0, 0, false) < 0)
		bail("unlink");
}

/* Wait for the bus that replaces this one, and read its first frames. */
static int follow(struct store *s, struct ncp_client *c, struct ledger *ledger)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	struct ncp_frame f = NCP_FRAME_INIT;
	uint32_t kind;
	int r;

	while ((kind = drain(s, c, false)) != NCP_REATTACHED)
		if (kind == 0 && ncp_wait(c, 5000) != 1)
			bail("the new bus is not found");
	if (store_rest(s) < 0 || ncp_next_batch(c, &f, 1) != 1 || ncp_bus_info(c, &info) < 0 ||
	    ledger_open(ledger, info.incarnation, 0) < 0)
		bail("the new bus");
	r = store_reattached(s);
	return r < 0 ? r : store_frames(s, &f, 1);
}

/* A pcap has one link type: what comes with it goes on in the file, what comes with another does not. */
static void pcap(void)
{
	struct dump_options o = { .iobuf = 256 << 10, .quick = true, .format = FORMAT_NSEC_PCAP };
	struct ledger ledger = { 0 };
	struct ncp_frame f = NCP_FRAME_INIT;
	struct ncp_client *c;
	struct store s;
	char path[256], second[300];

	snprintf(path, sizeof(path), "%s/pcap", tap_tempdir("."));
	snprintf(second, sizeof(second), "%s1", path);
	o.write = path;
	b.next = 0;
	bus_start(RING);
	publish(500, bus_interface("a", 1));
	c = attach();
	if (ledger_open(&ledger, 1, 0) < 0)
		bail("window");
	is_i64(0, store_open(&s, &o, c, &ledger, NULL), "pcap: a file begins");
	drain(&s, c, false);
	publish(500, bus_interface("b", 1));
	drain(&s, c, false);
	is_i64(0, store_gap(&s, 1, 0, 7), "pcap: a gap has no place in it");
	bus_stop(NCP_CLOSED);
	b.next = 0;
	bus_start(2 * RING);
	publish(300, bus_interface("c", 1));
	is_i64(0, follow(&s, c, &ledger), "pcap: another bus with its link type");
	drain(&s, c, false);
	bus_stop(NCP_CLOSED);
	b.next = 0;
	bus_start(RING);
	publish(200, bus_interface("d", 101));
	is_i64(0, follow(&s, c, &ledger), "pcap: one with another link type");
	drain(&s, c, false);
	publish(1, bus_interface("e", 1));
	is_i64(1, ncp_next_batch(c, &f, 1), "pcap: a frame of another interface");
	is_i64(-EMEDIUMTYPE, store_frames(&s, &f, 1), "pcap: a link type more is refused");
	store_abandon(&s);
	is_u64(1500, s.series.frames, "pcap: all before it is kept");
	store_close(&s);
	is_i64(-EMEDIUMTYPE, store_open(&s, &o, c, &ledger, NULL), "pcap: a bus that has two is, too");
	store_abandon(&s);
	store_close(&s);
	is_u64(1300, by_libpcap(path), "pcap: before a file is harmed");
	is_u64(200, by_libpcap(second), "pcap: libpcap reads the one before");
	ncp_detach(c);
	ledger_free(&ledger);
	bus_stop(NCP_ENDED);
	if (ncpi_bus_unlink(b.dirfd, b.name, 0, 0, false) < 0)
		bail("unlink");
}

/* A series for each interface, over two busses of which each has one that the other has not. */
static void split(void)
{
	struct dump_options o = { .iobuf = 256 << 10, .quick = true, .split_interfaces = true,
				  .rotating = true, .rotate = { .packets = 30 } };
	struct ledger ledger = { 0 };
	struct store s;
	char path[256], name[300];
	uint64_t frames = 0, stats;
	uint32_t interfaces;

	snprintf(path, sizeof(path), "%s/x", tap_tempdir("."));
	o.write = path;
	bus_start(RING);
	b.next = 0;
	uint32_t a = bus_interface("a", 1), z = bus_interface("z", 101);
	publish(25, z);
	publish(25, a);
	struct ncp_client *c = attach();
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	if (ncp_bus_info(c, &info) < 0 || ledger_open(&ledger, info.incarnation, 0) < 0)
		bail("a window");
	is_i64(0, store_open(&s, &o, c, &ledger, NULL), "no file yet");
	drain(&s, c, false);
	publish(20, a);
	drain(&s, c, false);
	bus_stop(NCP_CLOSED);
	b.next = 0;
	bus_start(2 * RING);
	uint32_t d = bus_interface("d", 1);
	a = bus_interface("a", 1);
	publish(100, d);
	publish(15, a);
	is_i64(0, follow(&s, c, &ledger), "the series of an interface goes on");
	drain(&s, c, false);
	is_i64(0, store_finish(&s), "all files are closed");
	is_u64(70 + 115, s.series.frames, "every frame is in one of them");
	is_u64(3 + 1 + 4, s.series.files, "each series has its own limits; a full file is left at once");
	store_close(&s);

	/* 25 + 20 frames of the first bus, then 15: the second file has both. */
	static const struct { const char *name; uint64_t n; uint32_t idbs; } want[] = {
		{ "x_a", 30, 1 }, { "x_a1", 30, 2 }, { "x_z", 25, 1 }, { "x_d", 30, 1 },
		{ "x_d1", 30, 1 }, { "x_d2", 30, 1 }, { "x_d3", 10, 1 } };
	for (size_t i = 0; i < sizeof(want) / sizeof(*want); i++) {
		snprintf(name, sizeof(name), "%.*s%s", (int)(strlen(path) - 1), path, want[i].name);
		is_u64(want[i].n, by_libpcap(name), "libpcap reads %s", want[i].name);
		count(name, &frames, &interfaces, &stats);
		is_u64(want[i].idbs, interfaces, "  it has its own interface only, once in a section");
	}
	ncp_detach(c);
	ledger_free(&ledger);
	bus_stop(NCP_ENDED);
	if (ncpi_bus_unlink(b.dirfd, b.name, 0, 0, false) < 0)
		bail("unlink");
}

int main(void)
{
	b.dir = tap_tempdir("/dev/shm");
	b.dirfd = ncpi_dir_open(b.dir);
	tap_bus_name(b.name, "store");
	int fds = tap_open_fds();

	plan(2 * 19 + 10 + 5 + 2 * 7 + 1);
	stored("straight", true);
	stored("copied", false);
	pcap();
	split();
	is_i64(fds, tap_open_fds(), "no descriptor is left open");
	return tap_done();
}
