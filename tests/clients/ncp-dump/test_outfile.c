/* SPDX-License-Identifier: BSD-2-Clause */
/* test_outfile.c - files written from a ring that is overrun at every moment it can be. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clients/ncp-dump/outfile.h"
#include "clients/ncp-dump/repair.h"
#include "tap/tap.h"
#include "util/file.h"
#include "util/pcapng.h"

#define RING (1u << 20)
#define WAYPOINT (16u << 10)

static const uint8_t prologue[] = {
	0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 28, 0, 0, 0,
	1, 0, 0, 0, 32, 0, 0, 0, 1, 0, 0, 0, 0, 0, 4, 0,
	9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0 };

/* A ring without concurrency: its producer goes on whenever the file asks whether bytes are intact,
 * which is every place where it could matter. */
static struct {
	uint8_t *ring; /* mapped twice in a row */
	uint64_t head, tail, seq;
	struct { uint64_t position, seq; } way[4096];
	size_t n_way;
	struct tap_rng rng;
	uint32_t hurry; /* one in so many looks, the producer runs ahead; 0: never */
	uint64_t lost;	/* told by the file */
	bool again;	/* a range was told twice, or backwards */
	uint64_t lost_next;
	uint32_t killer; /* one in so many looks, see what a kill would leave; 0: never */
} bus;

static void look_killed(void);

static void ring_make(void)
{
	int fd = memfd_create("ring", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, RING) < 0)
		bail("memfd: %m");
	bus.ring = mmap(NULL, 2 * RING, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 2; i++)
		if (mmap(bus.ring + i * RING, RING, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
			 fd, 0) == MAP_FAILED)
			bail("mmap: %m");
	close(fd);
}

/* Every byte of a frame follows from its number. */
static uint32_t frame_len(uint64_t seq)
{
	return 8 + (uint32_t)(seq * 2654435761u >> 7) % (seq % 50 == 0 ? 9000 : 200);
}

static size_t frame_make(uint8_t *out, uint64_t seq)
{
	static uint8_t data[16384];
	uint32_t len = frame_len(seq);

	memcpy(data, &seq, 8);
	for (uint32_t i = 8; i < len; i++)
		data[i] = (uint8_t)(seq * 31 + i);
	return pcapng_frame(out, &(struct pcapng_frame){ .data = data, .caplen = len, .len = len,
							 .flags = 1, .ts = seq });
}

static void produce(uint64_t frames)
{
	static uint8_t block[16384];

	for (; frames; frames--) {
		size_t len = frame_make(block, bus.seq);

		if (bus.n_way == 0 || bus.head - bus.way[bus.n_way - 1].position >= WAYPOINT) {
			if (bus.n_way == 4096) {
				memmove(bus.way, bus.way + 2048, 2048 * sizeof(*bus.way));
				bus.n_way = 2048;
			}
			bus.way[bus.n_way].position = bus.head;
			bus.way[bus.n_way++].seq = bus.seq;
		}
		if (bus.head + len > bus.tail + RING)
			bus.tail = bus.head + len - RING;
		memcpy(bus.ring + bus.head % RING, block, len);
		bus.head += len;
		bus.seq++;
	}
}

static int ring_intact(void *arg, uint64_t position)
{
	(void)arg;
	if (bus.hurry && tap_rng_below(&bus.rng, bus.hurry) == 0)
		produce(tap_rng_below(&bus.rng, 5000));
	if (bus.killer && tap_rng_below(&bus.rng, bus.killer) == 0)
		look_killed();
	return bus.tail <= position;
}

static void ring_lost(void *arg, uint64_t first, uint64_t next)
{
	(void)arg;
	bus.again = bus.again || next <= first || first < bus.lost_next;
	bus.lost_next = next;
	bus.lost += next - first;
}

static struct outfile_bus ring_bus(void)
{
	return (struct outfile_bus){ .intact = ring_intact, .lost = ring_lost, .ring_size = RING,
				     .incarnation = 77, .epoch = 1 };
}

/* Read a file block by block: every frame right and in its place, or inside a gap. */
static bool file_good(const char *path, uint64_t first_seq, uint64_t *next, uint64_t *missing)
{
	char *bytes;
	size_t len, off = 0, n_idb = 0;
	struct pcapng_block b;
	struct pcapng_local l;
	struct pcapng_gap gap;
	static uint8_t want[16384];
	uint64_t seq = first_seq;
	int r;

	*missing = 0;
	if (file_read(path, 1u << 30, &bytes, &len) < 0)
		bail("cannot read %s", path);
	while ((r = pcapng_next((uint8_t *)bytes + off, len - off, &b)) == 1) {
		uint32_t last;

		memcpy(&last, b.at + b.len - 4, 4);
		if (last != b.len)
			break;
		if (b.type == PCAPNG_EPB) {
			size_t n = frame_make(want, seq);

			if (n != b.len || memcmp(want, b.at, n))
				break;
			seq++;
		} else if (b.type == PCAPNG_IDB) {
			n_idb++;
		} else if (pcapng_local_read(&b, &l, &gap, sizeof(gap)) && l.kind == PCAPNG_GAP) {
			/* The smallest gaps have no room for the first number. */
			if ((b.len >= PCAPNG_GAP_LEN && gap.first_seq != seq) || l.next_seq < seq)
				break;
			*missing += l.next_seq - seq;
			seq = l.next_seq;
		}
		off += b.len;
	}
	free(bytes);
	*next = seq;
	if (off != len || n_idb != 1)
		diag("%s: stops at %zu of %zu, frame %llu", path, off, len, (unsigned long long)seq);
	return off == len && n_idb == 1;
}

/* A file that is written, and what kills in the middle of it left. */
static struct {
	const char *path;
	uint64_t first;
	unsigned int kills, bad;
	uint64_t frames, gapped; /* in what was repaired */
} victim;

static void look_killed(void)
{
	static uint8_t bytes[1u << 20];
	char copy[300];
	struct stat st;
	struct repair r;
	uint64_t length = 0, next, missing;
	int in = open(victim.path, O_RDONLY | O_CLOEXEC), out;

	snprintf(copy, sizeof(copy), "%s.killed", victim.path);
	out = open(copy, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (in < 0 || out < 0 || fstat(in, &st) < 0)
		bail("%s: %m", copy);
	for (off_t off = 0; off < st.st_size; off += (off_t)sizeof(bytes)) {
		ssize_t n = file_pread_all(in, bytes, sizeof(bytes), (uint64_t)off);

		n = n > st.st_size - off ? st.st_size - off : n;
		if (n < 0 || file_write_all(out, bytes, (size_t)n) < 0)
			bail("%s: %m", copy);
	}
	/* The copy stands for the file itself. */
	ssize_t n = file_pread_all(in, bytes, 4096, 0);
	long at = n < 0 ? -1 : capfile_find(bytes, (size_t)n);
	if (at >= 0 && (capfile_identify(bytes + at, (size_t)(n - at), out) < 0 ||
			file_pwrite_all(out, bytes, (size_t)n, 0) < 0))
		bail("%s: cannot be told that it is the file", copy);
	close(in);
	close(out);
	int e = repair_open(&r, copy, true);
	e = e < 0 ? e : repair_walk(&r, &length);
	e = e < 0 ? e : repair_cut(&r, length);
	victim.kills++;
	if (e < 0 || !file_good(copy, victim.first, &next, &missing)) {
		diag("killed at %lld: %s", (long long)st.st_size, strerror(-e));
		victim.bad++;
	} else {
		victim.frames += r.frames;
		victim.gapped += missing;
	}
	repair_close(&r);
	unlink(copy);
}

struct run {
	uint64_t next, lost, straight, gaps;
	bool good;
};

/* Write a file of a number of spans while the producer behaves as hurry says. */
static struct run run(const char *path, enum outfile_writer writer, uint64_t seed, uint32_t hurry,
		      uint32_t killer, unsigned int spans)
{
	struct outfile_options o = { .path = path, .depth = 4, .iobuf = 64 << 10, .writer = writer };
	struct outfile_bus ob = ring_bus();
	struct outfile *f;
	struct outfile_state st;
	uint64_t at, seq, lost = 0, first;
	struct run run = { .good = true };
	int r;

	bus.rng = (struct tap_rng){ .seed = seed };
	bus.hurry = bus.killer = 0;
	bus.lost = bus.lost_next = 0;
	bus.again = false;
	produce(2000);
	at = bus.way[bus.n_way - 1].position;
	first = seq = bus.way[bus.n_way - 1].seq;
	r = outfile_open(&f, &o, &ob);
	if (r < 0)
		bail("outfile_open: %s", strerror(-r));
	struct capfile_section s = { .prologue = prologue, .prologue_len = sizeof(prologue),
				     .bus = "test", .first_seq = seq,
				     .window = o.depth * o.iobuf };
	r = outfile_section(f, &s, at);
	victim.path = path;
	victim.first = first;
	bus.hurry = hurry;
	bus.killer = killer;
	for (unsigned int i = 0; i < spans && r >= 0; i++) {
		size_t w;

		produce(1 + tap_rng_below(&bus.rng, i % 7 == 0 ? 2 : hurry ? 200 : 30));
		for (w = 0; w < bus.n_way && bus.way[w].position <= at; w++)
			;
		struct outfile_span sp = { .position = at, .first_seq = seq, .next_seq = bus.seq,
					   .data = bus.ring + at % RING, .len = bus.head - at };
		if (w < bus.n_way) {
			sp.len = bus.way[w].position - at;
			sp.next_seq = bus.way[w].seq;
		}
		bool lapped = bus.tail > at;
		if (lapped) { /* as the library does: to a waypoint with a margin */
			for (w = 0; bus.way[w].position < bus.tail + RING / 16; w++)
				;
			sp.next_seq = bus.way[w].seq;
			sp.len = bus.way[w].position - at;
		}
		r = lapped ? 0 : outfile_span(f, &sp);
		if (r == 0) {
			lost += sp.next_seq - seq;
			r = outfile_gap(f, 77, seq, sp.next_seq);
			if (r == 0)
				r = outfile_align(f, sp.position + sp.len);
		}
		at += sp.len;
		seq = sp.next_seq;
		if (r >= 0 && tap_rng_below(&bus.rng, 40) == 0)
			r = outfile_flush(f);
		if (r >= 0 && tap_rng_below(&bus.rng, 100) == 0)
			r = outfile_sync(f, NULL);
	}
	if (r >= 0)
		r = outfile_finish(f, false);
	outfile_state(f, &st);
	outfile_close(f);
	if (r < 0)
		diag("%s: %s", path, strerror(-r));
	run.good = r >= 0 && file_good(path, first, &run.next, &run.lost) && run.next == seq &&
		   run.lost == lost + bus.lost && !bus.again && st.frames == seq - first - run.lost;
	run.straight = st.straight;
	run.gaps = st.gaps;
	return run;
}

static void rounds(const char *dir, const char *where, enum outfile_writer writer)
{
	uint64_t straight = 0, gaps = 0, lost = 0;
	char path[256];
	bool good = true;

	snprintf(path, sizeof(path), "%s/f.pcapng", dir);
	struct run calm = run(path, writer, tap_seed(), 0, 0, 2000);
	ok(calm.good && calm.lost == 0 && calm.gaps == 0, "%s: an unhurried run loses nothing", where);
	for (uint64_t i = 0; i < 60 && good; i++) {
		struct run x = run(path, writer, tap_seed() + i, i % 3 ? 100 : 15, 0, 400);

		good = x.good;
		if (!good)
			diag("round %llu", (unsigned long long)i);
		straight += x.straight;
		gaps += x.gaps;
		lost += x.lost;
	}
	ok(good, "%s: overrun, every frame is right or inside a gap, each once", where);
	ok(straight > 1000000 && gaps > 10 && lost > 1000,
	   "%s: bytes went straight (%llu), writes were overrun (%llu), frames lost (%llu)", where,
	   (unsigned long long)straight, (unsigned long long)gaps, (unsigned long long)lost);
}

/* Killed at any look at the ring, while writes are overrun, and then repaired. */
static void kills(const char *dir, const char *where, enum outfile_writer writer)
{
	char path[256];
	bool good = true;

	snprintf(path, sizeof(path), "%s/v.pcapng", dir);
	victim.kills = victim.bad = 0;
	victim.frames = victim.gapped = 0;
	for (uint64_t i = 0; i < 20 && good; i++)
		good = run(path, writer, tap_seed() + 1000 + i, i % 3 ? 100 : 15, 40, 300).good;
	ok(good && victim.bad == 0, "%s: killed %u times: repaired, every frame is right or in a gap",
	   where, victim.kills);
	ok(victim.kills > 100 && victim.frames > 10000 && victim.gapped > 1000,
	   "%s: of the kills' files %llu frames are kept, %llu in gaps", where,
	   (unsigned long long)victim.frames, (unsigned long long)victim.gapped);
}

/* A file that all frames from some place on go to. */
struct whole {
	struct outfile *f;
	uint64_t first; /* the file's first frame */
	uint64_t at, seq; /* what comes next */
};

static bool whole_begin(struct whole *w, const char *path)
{
	struct outfile_options o = { .path = path, .depth = 4, .iobuf = 64 << 10 };
	struct outfile_bus ob = ring_bus();

	produce(3000);
	w->at = bus.way[bus.n_way - 1].position;
	w->first = w->seq = bus.way[bus.n_way - 1].seq;
	if (outfile_open(&w->f, &o, &ob) < 0)
		bail("outfile_open");
	struct capfile_section s = { .prologue = prologue, .prologue_len = sizeof(prologue),
				     .bus = "test", .first_seq = w->seq };
	return outfile_section(w->f, &s, w->at) == 0;
}

/* Forty frames come, and go there as one span. */
static bool whole_more(struct whole *w)
{
	produce(40);
	struct outfile_span sp = { .position = w->at, .first_seq = w->seq, .next_seq = bus.seq,
				   .data = bus.ring + w->at % RING, .len = bus.head - w->at };
	w->at = bus.head, w->seq = bus.seq;
	return outfile_span(w->f, &sp) == 1;
}

/* What stands in the file when the writer stops without a word. */
static void killed(const char *dir)
{
	char path[256];
	struct whole w;
	struct outfile_mark m;
	bool good;
	uint64_t next, missing;

	snprintf(path, sizeof(path), "%s/k.pcapng", dir);
	bus.hurry = 0;
	good = whole_begin(&w, path);
	for (int i = 0; i < 300 && good; i++) {
		good = whole_more(&w);
		if (i % 20 == 0) {
			good = good && (i % 40 || outfile_flush(w.f) == 0) &&
			       outfile_sync(w.f, &m) == 0;
			char cmd[1024], cut[300];

			snprintf(cut, sizeof(cut), "%s.cut", path);
			snprintf(cmd, sizeof(cmd), "cp %s %s && truncate -s %llu %s", path, cut,
				 (unsigned long long)m.off, cut);
			good = good && system(cmd) == 0 && file_good(cut, w.first, &next, &missing) &&
			       next == m.seq && missing == 0 && (i % 40 || next == w.seq);
		}
	}
	ok(good, "what sync calls durable is a whole file of exactly the frames it says");
	outfile_close(w.f);
}

/* In a process of its own: a disk that turns read-only after so many syncs.  1: what abandon calls kept
 * is what the sync before the last one called durable. */
static int read_only(const char *path, int syncs)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ftruncate, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EROFS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(*code), code };
	struct outfile_mark last = { 0 }, before = { 0 }, m;
	struct whole w;
	bool good = whole_begin(&w, path) && whole_more(&w) && outfile_flush(w.f) == 0;

	for (int i = 0; i < syncs && good; i++) {
		before = last;
		/* A sync after which nothing was written is the same one again. */
		good = outfile_sync(w.f, &last) == 0 && outfile_sync(w.f, &last) == 0 &&
		       last.off > before.off && whole_more(&w) && outfile_flush(w.f) == 0;
	}
	good = good && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
	good = good && outfile_abandon(w.f, &m) == -EROFS && m.off == before.off &&
	       m.seq == before.seq;
	outfile_close(w.f);
	return good;
}

/* The last sync may have been answered by a journal that was just given up. */
static void last_sync(const char *dir)
{
	char path[256];
	bool good = true;

	snprintf(path, sizeof(path), "%s/l.pcapng", dir);
	bus.hurry = bus.killer = 0;
	for (int syncs = 0; syncs < 4; syncs++) {
		pid_t pid = fork();
		int status;

		if (pid == 0)
			_exit(read_only(path, syncs));
		good = good && pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) &&
		       WEXITSTATUS(status) == 1;
	}
	ok(good, "of a disk that turns read-only the sync before the last one is believed");
}

static uint8_t raw_byte(uint64_t off)
{
	return (uint8_t)(off * 2654435761u >> 13);
}

/* A raw file, of bytes that follow from their place, flushed and synced at any length: at every such
 * moment all of it is there. */
static void raw(const char *dir, const char *where, enum outfile_writer writer)
{
	enum { IOBUF = 64 << 10 };
	char path[256];
	struct outfile_options o = { .path = path, .depth = 4, .iobuf = IOBUF, .writer = writer,
				     .raw = true };
	struct outfile_bus ob = ring_bus();
	static uint8_t now[4 << 20];
	struct outfile_state st;
	struct outfile_mark m;
	struct outfile *f;
	bool good = true;
	uint64_t end = 0;
	ssize_t n = 0;

	snprintf(path, sizeof(path), "%s/r", dir);
	if (outfile_open(&f, &o, &ob) < 0)
		bail("outfile_open");
	good = outfile_head(f, NULL, 0, 0) == 0;
	for (int i = 0; good && i < 1000; i++) {
		uint64_t len = 1 + tap_rng_below(&bus.rng, i % 10 ? 3000 : 9000);
		uint8_t *p = outfile_reserve(f);

		good = p != NULL;
		for (uint64_t k = 0; k < len && good; k++)
			p[k] = raw_byte(end + k);
		end += len;
		good = good && outfile_commit(f, len, 1, end, (uint64_t)i + 1) == 0;
		uint64_t now_and_then = tap_rng_below(&bus.rng, 20);
		if (!good || now_and_then > 1)
			continue;
		good = now_and_then ? outfile_flush(f) == 0 : outfile_sync(f, &m) == 0 && m.off == end;
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		n = file_pread_all(fd, now, sizeof(now), 0);
		close(fd);
		good = good && n == (ssize_t)end;
		for (ssize_t k = 0; k < n && good; k++)
			good = now[k] == raw_byte((uint64_t)k);
	}
	outfile_state(f, &st);
	good = good && outfile_finish(f, true) == 0;
	struct stat s;
	ok(good && stat(path, &s) == 0 && (uint64_t)s.st_size == end,
	   "%s: a raw file of %llu bytes, whole whenever it is flushed", where,
	   (unsigned long long)end);
	ok(st.direct && !strcmp(st.writer, "uring") ? st.fixed > end / 2 : st.fixed == 0,
	   "%s: %llu bytes of it from buffers that the kernel knows", where,
	   (unsigned long long)st.fixed);
	outfile_close(f);
	unlink(path);
}

static void refusals(const char *dir)
{
	char path[256];
	struct outfile_options o = { .path = dir, .depth = 4, .iobuf = 64 << 10 };
	struct outfile_bus ob = ring_bus();
	struct outfile *f;
	struct stat st;

	is_i64(-EISDIR, outfile_open(&f, &o, &ob), "refuses a directory");
	o.path = "/nonexistent/x";
	is_i64(-ENOENT, outfile_open(&f, &o, &ob), "refuses a missing directory");
	snprintf(path, sizeof(path), "%s/new", dir);
	o.path = path;
	o.exclusive = true;
	umask(0);
	is_i64(0, outfile_open(&f, &o, &ob), "makes a new file");
	outfile_close(f);
	ok(stat(path, &st) == 0 && (st.st_mode & 07777) == 0640, "of mode 0640");
	is_i64(-EEXIST, outfile_open(&f, &o, &ob), "refuses one that exists, if told so");
	o.path = "/dev/full";
	o.exclusive = false;
	is_i64(0, outfile_open(&f, &o, &ob), "opens a device");
	struct capfile_section s = { .prologue = prologue, .prologue_len = sizeof(prologue),
				     .bus = "test" };
	is_i64(-ENOSPC, outfile_section(f, &s, 0), "tells what the device says");
	is_i64(-ENOSPC, outfile_put(f, prologue, 4), "and goes on telling");
	outfile_close(f);
}

int main(void)
{
	const char *disk = tap_tempdir("."), *memory = tap_tempdir("/dev/shm");
	int fds = tap_open_fds();

	plan(9 + 3 * 3 + 3 * 2 + 1 + 3 * 2 + 1);
	ring_make();
	refusals(disk);
	rounds(disk, "disk, pwrite", OUTFILE_PWRITE);
	rounds(disk, "disk, auto", OUTFILE_AUTO);
	rounds(memory, "tmpfs, auto", OUTFILE_AUTO);
	kills(disk, "disk, pwrite", OUTFILE_PWRITE);
	kills(disk, "disk, auto", OUTFILE_AUTO);
	kills(memory, "tmpfs, auto", OUTFILE_AUTO);
	killed(disk);
	last_sync(disk);
	bus.hurry = bus.killer = 0;
	raw(disk, "disk, pwrite", OUTFILE_PWRITE);
	raw(disk, "disk, auto", OUTFILE_AUTO);
	raw(memory, "tmpfs, auto", OUTFILE_AUTO);
	is_i64(fds, tap_open_fds(), "no descriptor is left open");
	return tap_done();
}
