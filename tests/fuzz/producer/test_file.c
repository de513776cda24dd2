/* SPDX-License-Identifier: BSD-2-Clause */
/* test_file.c - any bytes as a capture file: a client of the bus gets what libpcap reads in them. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <pcap/pcap.h>

#include "bus.h"
#include "fuzz/fuzz.h"
#include "producer/worker.h"
#include "tap/tap.h"

/*
 * The input is a file, behind it four bytes that say how it is read:
 *
 *	0	bit 0: a pipe; bits 1-2: played again so often, if it is no pipe; bits 3-5: the filter
 *	1	the snaplen
 *	2	frames in a batch
 *	3	the pipe's pieces
 *
 * It goes by the source and a worker's thread into a ring, and is compared with libpcap's own
 * reading of the same bytes.
 */
#define HOW_LEN 4u
#define RING_SIZE (UINT64_C(16) << 20)
#define SNAPLEN 262144u
/* In a pipe of packets each write is one, up to a page; it holds 256 in a megabyte. */
#define PIPE_SIZE (1 << 20)
#define PIECE_MAX 4096u
#define PIECES_MAX 200u
#define NS UINT64_C(1000000000)

static const char *const filters[8] = { NULL, NULL, NULL, "ip", "len > 60", "not udp port 53",
					"ether[0] & 1 = 0", "ip6 or vlan" };

static struct test_bus bus;
static struct ncp_client *client;
static int file_fd = -1; /* the input, as a file */

struct how {
	bool pipe;
	uint32_t passes;
	const char *filter;
	uint32_t snaplen, batch, piece;
};

static struct how how_read(const uint8_t *p, size_t size)
{
	static const uint32_t snaplens[] = { SNAPLEN, SNAPLEN, 65535, 1500, 68, 14, 4, 1 };
	static const uint32_t batches[] = { 0, 1024, 300, 17, 2, 1 };
	size_t piece = size / PIECES_MAX + 1 + p[3];

	return (struct how){ .pipe = p[0] & 1,
			     .passes = p[0] & 1 ? 1 : 1 + (p[0] >> 1) % 4,
			     .filter = filters[p[0] >> 3 & 7],
			     .snaplen = snaplens[p[1] % 8],
			     .batch = batches[p[2] % 6],
			     .piece = piece < PIECE_MAX ? (uint32_t)piece : PIECE_MAX };
}

/* --- the bus -------------------------------------------------------------------------------- */

static void bus_begin(void)
{
	bus_make(&bus);
	bus.geo.ring_size = RING_SIZE;
	bus.o.largest_caplen = SNAPLEN;
	bus_start(&bus, false);
	client = bus_attach(&bus, NCP_LATEST, 0, NCP_NO_REGISTRY);
	file_fd = memfd_create("input", MFD_CLOEXEC);
	if (file_fd < 0)
		bail("memfd: %s", strerror(errno));
}

/* The bus has described as many link types as fit: another one in its place. */
static void bus_again(void)
{
	ncp_detach(client);
	bus_stop(&bus, NCP_ENDED);
	bus_start(&bus, false);
	client = bus_attach(&bus, NCP_LATEST, 0, NCP_NO_REGISTRY);
}

/* --- the input, as standard input ----------------------------------------------------------- */

static void input_begin(const struct how *how, const uint8_t *data, size_t size)
{
	if (ftruncate(file_fd, (off_t)size) || pwrite(file_fd, data, size, 0) != (ssize_t)size)
		bail("memfd: %s", strerror(errno));
	if (!how->pipe) {
		if (lseek(file_fd, 0, SEEK_SET) < 0 || dup2(file_fd, STDIN_FILENO) < 0)
			bail("memfd: %s", strerror(errno));
		return;
	}
	int ends[2];
	if (pipe2(ends, O_DIRECT | O_CLOEXEC) || fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE) < 0)
		bail("pipe: %s", strerror(errno));
	for (size_t off = 0; off < size; off += how->piece) {
		size_t len = size - off < how->piece ? size - off : how->piece;

		if (write(ends[1], data + off, len) != (ssize_t)len)
			bail("pipe: %s", strerror(errno));
	}
	if (dup2(ends[0], STDIN_FILENO) < 0)
		bail("pipe: %s", strerror(errno));
	close(ends[0]);
	close(ends[1]);
}

/* --- what libpcap reads --------------------------------------------------------------------- */

struct reference {
	pcap_t *pcap;
	struct bpf_program program;
	struct pcap_pkthdr *head;
	const u_char *data;
};

static bool reference_begin(struct reference *r, const char *filter)
{
	char text[PCAP_ERRBUF_SIZE];
	FILE *f;

	*r = (struct reference){ .pcap = NULL };
	if (lseek(file_fd, 0, SEEK_SET) < 0 || !(f = fdopen(dup(file_fd), "r")))
		bail("memfd: %s", strerror(errno));
	r->pcap = pcap_fopen_offline_with_tstamp_precision(f, PCAP_TSTAMP_PRECISION_NANO, text);
	if (!r->pcap) {
		fclose(f);
		return false;
	}
	if (filter && pcap_compile(r->pcap, &r->program, filter, 1, 0)) {
		pcap_close(r->pcap);
		r->pcap = NULL;
		return false;
	}
	return true;
}

static void reference_end(struct reference *r)
{
	if (!r->pcap)
		return;
	if (r->program.bf_insns)
		pcap_freecode(&r->program);
	pcap_close(r->pcap);
}

/* The next frame that the filter lets pass; false: at the end or where libpcap gives up. */
static bool reference_next(struct reference *r)
{
	for (;;) {
		if (pcap_next_ex(r->pcap, &r->head, &r->data) != 1)
			return false;
		/* As the source does it: on the wire are at least the bytes that were captured. */
		if (r->head->len < r->head->caplen)
			r->head->len = r->head->caplen;
		if (!r->program.bf_insns ||
		    bpf_filter(r->program.bf_insns, r->data, r->head->len, r->head->caplen))
			return true;
	}
}

/* --- the comparison ------------------------------------------------------------------------- */

/* The next frame of the bus.  That its producer shows no sign of life is no matter here. */
static bool frame_next(struct ncp_frame *f)
{
	for (;;) {
		int r = ncp_next(client, f);

		fuzz_must(r >= 0);
		if (r == 0)
			return false;
		if (f->kind == NCP_FRAME)
			return true;
		fuzz_must(f->kind == NCP_STATE);
	}
}

static bool same(const struct how *how, const struct ncp_frame *f, const struct reference *r,
		 bool first_pass)
{
	const struct pcap_pkthdr *h = r->head;
	uint32_t caplen = h->caplen < how->snaplen ? h->caplen : how->snaplen;

	if (f->caplen != caplen || f->len != h->len || memcmp(f->data, r->data, caplen))
		return false;
	/* Where a time makes sense: pcap's seconds after 2038 are read as negative by libpcap. */
	if (first_pass && h->ts.tv_sec >= 0 && (uint64_t)h->ts.tv_sec < UINT64_MAX / NS - 1 &&
	    h->ts.tv_usec >= 0)
		return f->ts_ns == (uint64_t)h->ts.tv_sec * NS + (uint64_t)h->ts.tv_usec;
	return true;
}

/* All that the bus has against all that libpcap reads, as often as it was played. */
static void compare(const struct how *how, bool failed)
{
	struct ncp_frame f = { .size = sizeof(f) };
	struct reference r;

	/* What ends in an error is not played again. */
	for (uint32_t pass = 0; pass < (failed ? 1 : how->passes); pass++) {
		fuzz_must(reference_begin(&r, how->filter));
		while (reference_next(&r))
			fuzz_must(frame_next(&f) && same(how, &f, &r, pass == 0));
		reference_end(&r);
	}
	fuzz_must(!frame_next(&f));
}

/* Is it right to refuse the file, or to be unable to describe it? */
static bool refusable(const struct how *how)
{
	struct reference r;
	bool yes = !reference_begin(&r, how->filter) || pcap_datalink(r.pcap) > UINT16_MAX;

	reference_end(&r);
	return yes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < HOW_LEN || size > PIECE_MAX * PIECES_MAX)
		return 0;
	if (!client)
		bus_begin();
	size -= HOW_LEN;
	const struct how how = how_read(data + size, size);
	const struct source_options o = { .filter = how.filter, .snaplen = how.snaplen,
					  .retire_ms = 1, .batch = how.batch, .loop = how.passes,
					  .workers = 1 };
	struct capture capture;
	struct source *src;
	char why[SOURCE_WHY_CAP] = "";

	input_begin(&how, data, size);
	if (source_file.open(&src, "-", &o, why) < 0) {
		fuzz_must(!src && *why && refusable(&how));
		return 0;
	}
	fuzz_must(source_file.start(src) == 0);
	if (capture_init(&capture, bus.w, SNAPLEN, 1, 0) < 0)
		bail("capture: %s", strerror(errno));
	struct worker *w = worker_add(&capture, src, 0, -1);
	int described = worker_learn(w);
	fuzz_must(described == 0 || (described == -ENOSPC && *w->why));
	if (described == 0) {
		if (worker_start(w) < 0)
			bail("thread: %s", strerror(errno));
		capture_join(&capture);
		fuzz_must(w->end == WORKER_EXHAUSTED || (w->end == WORKER_FAILED && *w->why));
		compare(&how, w->end == WORKER_FAILED);
	}
	capture_fini(&capture);
	source_file.close(src);
	if (described < 0)
		bus_again();
	return 0;
}
