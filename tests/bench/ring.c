/* SPDX-License-Identifier: BSD-2-Clause */
/* ring.c - what the ring alone costs: CPU ns a frame, beside the least that the job can take. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libncpbus/include/ncpbus.h"
#include "libncpbus/layout.h"
#include "libncpbus/segment.h"
#include "libncpbus/stamp.h"
#include "libncpbus/writer.h"

/*
 * ring [RUNS [MIB]]: RUNS (default 7) interleaved runs of every case, in a ring of MIB (default 64).
 *
 * Prints a Markdown table: for each case and frame size the median of the thread's own CPU time (its
 * least and its most), and the ratio of that median to its floor's, run in the same minute.
 *
 *	copy		memcpy of each frame to where its block would stand: the floor of publish
 *	blocks		a loop that writes the blocks whole, and nothing else: 44 bytes more a frame
 *	publish		ncpi_writer_publish(), 256 frames a call, nobody reads
 *	publish, read	the same with one client on the other core that takes every frame
 *	walk		a loop of ours over the blocks, in one process, trusting what it reads, and
 *			handing nothing to anybody
 *	call		the same by a call a frame that fills a struct ncp_frame: the floor of next
 *	next		ncp_next() of the same frames, on the core that wrote them
 *	batch, copied	ncp_next_batch() of 64, ncp_recv()
 *	all bytes	four clients on all cores, each summing up every byte
 *	spans		ncp_span() of 1 MiB at most
 *
 * "cold": the frames come from 64 MiB of memory, else from 1 MiB.
 */

#define MIB (UINT64_C(1) << 20)
#define BATCH 256u
#define AT_ONCE (4 * BATCH) /* frames between two looks at the clock, which take 0.6 us */
#define SIZES 3
#define RUNS_MAX 101
static const uint32_t sizes[SIZES] = { 64, 512, 1500 };

static void give_up(const char *what, int code)
{
	fprintf(stderr, "ring: %s: %s\n", what, ncp_strerror(code));
	exit(1);
}

static uint64_t cpu_ns(void)
{
	return ncpi_now(CLOCK_THREAD_CPUTIME_ID);
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	(void)sched_setaffinity(0, sizeof(set), &set); /* a wish */
}

/* --- the bus -------------------------------------------------------------------------------- */

struct bench {
	char dir[32], name[16];
	int dirfd;
	struct ncpi_bus bus;
	struct ncpi_writer *w;
	uint64_t ring_size;
	uint8_t *source; /* 64 MiB of frames' bytes */
	uint64_t source_off;
	uint8_t *area; /* copy's ring */
	uint64_t area_off;
	uint64_t ts;
	uint64_t sink; /* so that nothing read is optimised away */
};

static void *memory(uint64_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE,
		       -1, 0);

	if (p == MAP_FAILED)
		give_up("memory", -errno);
	return p;
}

static void bench_open(struct bench *b, uint64_t ring_size)
{
	const struct ncpi_geometry geo = { .ring_size = ring_size,
					   .snaplen = 262144,
					   .mode = 0600 };
	const struct ncpi_writer_options o = { .n_workers = 1,
					       .largest_caplen = 2000,
					       .snaplen = 262144 };
	const struct ncpi_interface_desc d = { .name = "bench", .linktype = 1, .snaplen = 262144 };
	char why[128];
	int r;

	*b = (struct bench){ .dir = "/dev/shm/ncp-bench.XXXXXX",
			     .name = "ring",
			     .ring_size = ring_size };
	if (!mkdtemp(b->dir))
		give_up(b->dir, -errno);
	b->dirfd = ncpi_dir_open(b->dir);
	if ((r = b->dirfd) < 0 || (r = ncpi_bus_open(b->dirfd, b->name, &geo, &b->bus, why)) < 0 ||
	    (r = ncpi_writer_open(&b->bus, &o, &b->w, why)) < 0 ||
	    (r = ncpi_writer_interface(b->w, &d)) < 0 || (r = ncpi_writer_start(b->w)) < 0)
		give_up("bus", r);
	ncpi_writer_state(b->w, NCP_LIVE, NCP_REASON_NONE);
	b->source = memory(64 * MIB);
	memset(b->source, 1, 64 * MIB);
	b->area = memory(ring_size + MIB);
}

static void bench_close(struct bench *b)
{
	ncpi_writer_close(b->w, NCP_ENDED, NCP_REASON_NONE);
	ncpi_bus_close(&b->bus);
	(void)ncpi_bus_remove(b->dirfd, b->name);
	close(b->dirfd);
	rmdir(b->dir);
}

static struct ncp_client *client(const struct bench *b)
{
	struct ncp_options o = NCP_OPTIONS_INIT;
	struct ncp_client *c;

	o.dir = b->dir;
	o.flags = NCP_NO_REGISTRY;
	int r = ncp_attach(&c, b->name, &o);
	if (r < 0)
		give_up("attach", r);
	return c;
}

/* The next n frames of a source of `len` bytes. */
static void frames_take(struct bench *b, struct ncpi_frame *f, uint64_t n, uint32_t size,
			uint64_t len)
{
	for (uint64_t i = 0; i < n; i++) {
		if (b->source_off + size > len)
			b->source_off = 0;
		f[i] = (struct ncpi_frame){ .data = b->source + b->source_off,
					    .ts_ns = b->ts += 1000,
					    .caplen = size,
					    .len = size };
		b->source_off += (size + 63) & ~63u;
	}
}

/* --- cases: CPU ns of this thread, for n frames ---------------------------------------------- */

static uint64_t publish_from(struct bench *b, uint32_t size, uint64_t n, uint64_t source)
{
	static struct ncpi_frame f[AT_ONCE];
	uint64_t t = 0;

	for (uint64_t i = 0, some; i < n; i += some) {
		some = n - i < AT_ONCE ? n - i : AT_ONCE;
		frames_take(b, f, some, size, source);
		t -= cpu_ns();
		for (uint64_t k = 0; k < some; k += BATCH)
			if (ncpi_writer_publish(b->w, 0, f + k, BATCH) != BATCH)
				give_up("publish", -ECANCELED);
		t += cpu_ns();
	}
	return t;
}

/* One frame's block, as the format has it. */
static inline void block_write(uint8_t *area, const struct ncpi_frame *f)
{
	uint32_t *w = (uint32_t *)(void *)area, total = NCPI_EPB_LEN(f->caplen, false);

	w[0] = NCPI_EPB;
	w[1] = total;
	w[2] = f->interface;
	w[3] = (uint32_t)(f->ts_ns >> 32);
	w[4] = (uint32_t)f->ts_ns;
	w[5] = f->caplen;
	w[6] = f->len;
	memcpy(w + 7, f->data, f->caplen);
	w += total / 4 - 4;
	w[0] = NCPI_OPTION(NCPI_EPB_FLAGS, 4);
	w[1] = f->flags;
	w[2] = NCPI_OPTION(NCPI_OPT_END, 0);
	w[3] = total;
}

static uint64_t copy_from(struct bench *b, uint32_t size, uint64_t n, uint64_t source, bool blocks)
{
	static struct ncpi_frame f[AT_ONCE];
	uint64_t t = 0;

	for (uint64_t i = 0, some; i < n; i += some) {
		some = n - i < AT_ONCE ? n - i : AT_ONCE;
		frames_take(b, f, some, size, source);
		t -= cpu_ns();
		for (uint64_t k = 0; k < some; k++) {
			/* Where a block's bytes would stand. */
			if (blocks)
				block_write(b->area + b->area_off, &f[k]);
			else
				memcpy(b->area + b->area_off + 28, f[k].data, f[k].caplen);
			b->area_off = (b->area_off + NCPI_EPB_LEN(size, false)) &
				      (b->ring_size - 1);
		}
		__asm__ volatile("" ::: "memory");
		t += cpu_ns();
	}
	return t;
}

static uint64_t copy_hot(struct bench *b, uint32_t size, uint64_t n)
{
	return copy_from(b, size, n, MIB, false);
}

static uint64_t blocks_hot(struct bench *b, uint32_t size, uint64_t n)
{
	return copy_from(b, size, n, MIB, true);
}

static uint64_t copy_cold(struct bench *b, uint32_t size, uint64_t n)
{
	return copy_from(b, size, n, 64 * MIB, false);
}

static uint64_t publish_hot(struct bench *b, uint32_t size, uint64_t n)
{
	return publish_from(b, size, n, MIB);
}

static uint64_t publish_cold(struct bench *b, uint32_t size, uint64_t n)
{
	return publish_from(b, size, n, 64 * MIB);
}

struct reader {
	struct bench *b;
	int cpu;
	bool all_bytes;
	bool ended;
	pthread_t thread;
	pthread_barrier_t *start;
	uint64_t want; /* frames; 0: until ended */
	uint64_t frames, ns;
};

static uint64_t bytes_sum(const uint8_t *p, uint32_t len)
{
	uint64_t sum = 0, w;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&w, p, 8);
		sum += w;
	}
	return sum + (len ? *p : 0);
}

static void *read_on(void *arg)
{
	struct ncp_frame f = NCP_FRAME_INIT;
	struct reader *r = arg;
	struct ncp_client *c = client(r->b);
	uint64_t sum = 0;

	pin(r->cpu);
	pthread_barrier_wait(r->start);
	/* The frames are there now, if they were to be before. */
	const struct ncp_where oldest = { .size = sizeof(oldest), .whence = NCP_OLDEST };
	int r_seek = r->want ? ncp_seek(c, &oldest) : 0;
	if (r_seek < 0)
		give_up("seek", r_seek);
	uint64_t t = cpu_ns();
	while (!__atomic_load_n(&r->ended, __ATOMIC_RELAXED) && (!r->want || r->frames < r->want)) {
		int got = ncp_next(c, &f);

		if (got < 0)
			give_up("next", got);
		if (got == 0 || f.kind != NCP_FRAME)
			continue;
		r->frames++;
		sum += r->all_bytes ? bytes_sum(f.data, f.caplen) : f.caplen + *f.data;
	}
	r->ns = cpu_ns() - t;
	__atomic_add_fetch(&r->b->sink, sum, __ATOMIC_RELAXED);
	ncp_detach(c);
	return NULL;
}

static void reader_start(struct reader *r)
{
	int e = pthread_create(&r->thread, NULL, read_on, r);

	if (e)
		give_up("thread", -e);
}

static uint64_t publish_read(struct bench *b, uint32_t size, uint64_t n)
{
	pthread_barrier_t start;
	struct reader r = { .b = b, .cpu = 1, .start = &start };

	pthread_barrier_init(&start, NULL, 2);
	pin(0);
	reader_start(&r);
	pthread_barrier_wait(&start);
	uint64_t t = publish_from(b, size, n, MIB);
	__atomic_store_n(&r.ended, true, __ATOMIC_RELAXED);
	pthread_join(r.thread, NULL);
	return t;
}

/* Half a ring is published, then read, again and again: t is the reading's. */
static uint64_t in_turns(struct bench *b, uint32_t size, uint64_t n,
			 uint64_t (*read)(struct bench *b, struct ncp_client *c, uint64_t n))
{
	struct ncp_client *c = client(b);
	/* What a second-level cache holds: reading alone is measured, not memory. */
	uint64_t each = (256 << 10) / NCPI_EPB_LEN(size, false) / BATCH * BATCH, t = 0;

	if (each == 0)
		each = BATCH;
	for (uint64_t i = 0; i < n; i += each) {
		publish_from(b, size, each, MIB);
		t += read(b, c, each);
	}
	ncp_detach(c);
	return t;
}

static uint64_t next_some(struct bench *b, struct ncp_client *c, uint64_t n)
{
	struct ncp_frame f = NCP_FRAME_INIT;
	uint64_t sum = 0, t = cpu_ns();

	while (n > 0)
		if (ncp_next(c, &f) == 1 && f.kind == NCP_FRAME)
			sum += f.caplen + f.len + f.ts_ns + f.seq + *f.data, n--;
	t = cpu_ns() - t;
	b->sink += sum;
	return t;
}

static uint64_t batch_some(struct bench *b, struct ncp_client *c, uint64_t n)
{
	struct ncp_frame f[64] = { NCP_FRAME_INIT };
	uint64_t sum = 0, t = cpu_ns();

	while (n > 0) {
		int k = ncp_next_batch(c, f, 64);

		if (k < 1 || f[0].kind != NCP_FRAME)
			continue;
		for (int i = 0; i < k; i++)
			sum += f[i].caplen + f[i].len + f[i].ts_ns + f[i].seq + *f[i].data;
		n -= (uint64_t)k;
	}
	t = cpu_ns() - t;
	b->sink += sum;
	return t;
}

static uint64_t recv_some(struct bench *b, struct ncp_client *c, uint64_t n)
{
	struct ncp_frame f = NCP_FRAME_INIT;
	uint8_t buf[2048];
	uint64_t sum = 0, t = cpu_ns();

	while (n > 0)
		if (ncp_recv(c, buf, sizeof(buf), &f) == 1 && f.kind == NCP_FRAME)
			sum += f.caplen + f.len + f.ts_ns + f.seq + *buf, n--;
	t = cpu_ns() - t;
	b->sink += sum;
	return t;
}

/* The next frame where the client stands, and the words of its block, in the client's own mapping, which
 * no wrap splits. */
static const uint32_t *first_block(struct ncp_client *c, struct ncp_frame *f)
{
	while (ncp_next(c, f) != 1 || f->kind != NCP_FRAME)
		;
	return (const uint32_t *)(const void *)(f->data - 28);
}

static void to_the_end(struct ncp_client *c)
{
	const struct ncp_where latest = { .size = sizeof(latest), .whence = NCP_LATEST };
	int r = ncp_seek(c, &latest);

	if (r < 0)
		give_up("seek", r);
}

/* A reader of ours that trusts what it reads. */
struct trusting {
	const uint32_t *w;
	uint64_t seq, position, incarnation;
};

static __attribute__((noinline)) int trusting_next(struct trusting *t, struct ncp_frame *f)
{
	const uint32_t *w = t->w;
	uint32_t total = w[1];

	f->kind = NCP_FRAME;
	f->data = (const uint8_t *)(w + 7);
	f->caplen = w[5];
	f->len = w[6];
	f->ts_ns = (uint64_t)w[3] << 32 | w[4];
	f->seq = t->seq;
	f->next_seq = t->seq + 1;
	f->position = t->position;
	f->incarnation = t->incarnation;
	f->dropcount = 0;
	f->interface = w[2];
	f->flags = w[total / 4 - 3];
	t->w = w + total / 4;
	t->position += total;
	t->seq++;
	return 1;
}

static uint64_t call_some(struct bench *b, struct ncp_client *c, uint64_t n)
{
	struct ncp_frame f = NCP_FRAME_INIT;
	struct trusting reader = { .w = first_block(c, &f) };
	uint64_t sum = 0;

	reader.seq = f.seq;
	reader.position = f.position;
	reader.incarnation = f.incarnation;
	uint64_t t = cpu_ns();
	while (n > 0)
		if (trusting_next(&reader, &f) == 1 && f.kind == NCP_FRAME)
			sum += f.caplen + f.len + f.ts_ns + f.seq + *f.data, n--;
	t = cpu_ns() - t;
	b->sink += sum;
	to_the_end(c);
	return t;
}

/* As far as ncp_next() would go, from where the client stands. */
static uint64_t walk_some(struct bench *b, struct ncp_client *c, uint64_t n)
{
	struct ncp_frame f = NCP_FRAME_INIT;
	uint64_t sum = 0;
	const uint32_t *w = first_block(c, &f);
	uint64_t seq = f.seq, t = cpu_ns();
	for (uint64_t i = 0; i < n;) {
		if (w[0] == NCPI_EPB) {
			/* The last word: the flags stand behind the bytes. */
			sum += w[5] + w[6] + ((uint64_t)w[3] << 32 | w[4]) + seq +
			       *(const uint8_t *)(w + 7) + w[w[1] / 4 - 3];
			i++, seq++;
		}
		w += w[1] / 4;
	}
	t = cpu_ns() - t;
	b->sink += sum;
	to_the_end(c);
	return t;
}

static uint64_t next_of(struct bench *b, uint32_t size, uint64_t n)
{
	return in_turns(b, size, n, next_some);
}

static uint64_t batch_of(struct bench *b, uint32_t size, uint64_t n)
{
	return in_turns(b, size, n, batch_some);
}

static uint64_t recv_of(struct bench *b, uint32_t size, uint64_t n)
{
	return in_turns(b, size, n, recv_some);
}

static uint64_t walk_of(struct bench *b, uint32_t size, uint64_t n)
{
	return in_turns(b, size, n, walk_some);
}

static uint64_t call_of(struct bench *b, uint32_t size, uint64_t n)
{
	return in_turns(b, size, n, call_some);
}

static uint64_t all_bytes(struct bench *b, uint32_t size, uint64_t n)
{
	struct reader r[4];
	pthread_barrier_t start;
	uint64_t t = 0;

	/* All of it fits the ring: nobody waits, nobody is lapped. */
	uint64_t fits = b->ring_size / 2 / NCPI_EPB_LEN(size, false) / BATCH * BATCH;
	if (n > fits)
		n = fits;
	publish_from(b, size, n, MIB);
	pthread_barrier_init(&start, NULL, 4);
	for (int i = 0; i < 4; i++) {
		r[i] = (struct reader){
			.b = b, .cpu = i % 2, .start = &start, .all_bytes = true, .want = n
		};
		reader_start(&r[i]);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(r[i].thread, NULL);
		t += r[i].ns;
	}
	return t / 4;
}

static uint64_t spans(struct bench *b, uint32_t size, uint64_t n)
{
	struct ncp_frame ev = NCP_FRAME_INIT;
	struct ncp_span s = NCP_SPAN_INIT;
	struct ncp_client *c = client(b);
	uint64_t each = b->ring_size / 4 / NCPI_EPB_LEN(size, false) / BATCH * BATCH, t = 0;

	for (uint64_t i = 0; i < n; i += each) {
		uint64_t frames = 0;

		publish_from(b, size, each, MIB);
		t -= cpu_ns();
		while (frames < each)
			if (ncp_span(c, MIB, &s, &ev) == 1 && ev.kind == NCP_SPAN)
				frames += s.next_seq - s.first_seq;
		t += cpu_ns();
	}
	ncp_detach(c);
	return t;
}

/* --- the table ------------------------------------------------------------------------------- */

struct kase {
	const char *name;
	uint64_t (*run)(struct bench *b, uint32_t size, uint64_t n);
	int floor;	 /* index of the case it is compared to; -1: none */
	bool whole_ring; /* n is what all_bytes takes */
	double ns[SIZES][RUNS_MAX];
};

static struct kase cases[] = {
	{ "copy", copy_hot, -1, false, {} },
	{ "blocks", blocks_hot, 0, false, {} },
	{ "publish", publish_hot, 0, false, {} },
	{ "copy, cold", copy_cold, -1, false, {} },
	{ "publish, cold", publish_cold, 3, false, {} },
	{ "publish, read", publish_read, 0, false, {} },
	{ "walk", walk_of, -1, false, {} },
	{ "call", call_of, 6, false, {} },
	{ "next", next_of, 7, false, {} },
	{ "batch", batch_of, 7, false, {} },
	{ "copied", recv_of, 7, false, {} },
	{ "all bytes", all_bytes, -1, true, {} },
	{ "spans", spans, -1, false, {} },
};
#define CASES (sizeof(cases) / sizeof(*cases))

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	unsigned runs = argc > 1 ? (unsigned)atoi(argv[1]) : 7;
	uint64_t ring = (argc > 2 ? (uint64_t)atoi(argv[2]) : 64) * MIB;
	struct bench b;

	if (runs < 1 || runs > RUNS_MAX || ring < 8 * MIB || (ring & (ring - 1))) {
		fprintf(stderr, "usage: ring [RUNS [MIB]]\n");
		return 2;
	}
	bench_open(&b, ring);
	pin(0);
	for (unsigned run = 0; run < runs; run++) {
		for (size_t k = 0; k < CASES; k++) {
			for (int s = 0; s < SIZES; s++) {
				uint64_t fits = ring / 2 / NCPI_EPB_LEN(sizes[s], false);
				/* Some four rings of them. */
				uint64_t n = cases[k].whole_ring ? fits / BATCH * BATCH
								 : 8 * fits / BATCH * BATCH;

				cases[k].ns[s][run] =
					(double)cases[k].run(&b, sizes[s], n) / (double)n;
			}
		}
	}
	bench_close(&b);

	printf("| CPU ns a frame |");
	for (int s = 0; s < SIZES; s++)
		printf(" %u B | of floor |", sizes[s]);
	printf("\n|---|");
	for (int s = 0; s < SIZES; s++)
		printf("---|---|");
	for (size_t k = 0; k < CASES; k++)
		for (int s = 0; s < SIZES; s++)
			qsort(cases[k].ns[s], runs, sizeof(double), ascending);
	for (size_t k = 0; k < CASES; k++) {
		printf("\n| %s |", cases[k].name);
		for (int s = 0; s < SIZES; s++) {
			const double *ns = cases[k].ns[s];

			printf(" %.2f (%.2f–%.2f) |", ns[runs / 2], ns[0], ns[runs - 1]);
			if (cases[k].floor < 0)
				printf(" |");
			else
				printf(" %.2f |",
				       ns[runs / 2] / cases[cases[k].floor].ns[s][runs / 2]);
		}
	}
	printf("\n");
	return b.sink == 1; /* it is used */
}
