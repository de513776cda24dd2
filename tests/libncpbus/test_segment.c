/* SPDX-License-Identifier: BSD-2-Clause */
/* test_segment.c - what is no bus is refused by name, and hostile content is survived. */
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libncpbus/layout.h"
#include "libncpbus/order.h"
#include "support/bus.h"
#include "tap/tap.h"

#define STRANGER 54321
#define HEADERS 4000
#define CONTENTS 3000
#define TAKEOVERS 150
/* A client that goes on for longer than a block for each 12 bytes of the ring is in a loop. */
#define STEPS_MAX 20000

static struct tap_rng rng;

/* What was read, so that it is read. */
static volatile uint64_t looked;

static uint64_t below(uint64_t limit)
{
	return tap_rng_below(&rng, limit);
}

/* --- refusals --------------------------------------------------------------------------------- */

static char error[256];
static uint32_t from = NCP_OLDEST;

static int try_attach(const struct test_bus *t, struct ncp_client **c, const char *trusted)
{
	struct ncp_options o = NCP_OPTIONS_INIT;

	*error = '\0';
	o.dir = t->dir;
	o.trust_owner = trusted;
	o.from.whence = from;
	o.error = error;
	o.error_cap = sizeof(error);
	return ncp_attach(c, t->name, &o);
}

static void refuses(const struct test_bus *t, int code, const char *text, const char *what)
{
	struct ncp_client *c = (struct ncp_client *)(uintptr_t)1;

	is_i64(code, try_attach(t, &c, NULL), "refuses %s", what);
	ok(strstr(error, text) && !c, "with a text: %s", error);
}

static void file_name(const struct test_bus *t, char *name)
{
	ncpi_name_file(name, t->name, "");
}

static void gone(const struct test_bus *t)
{
	char name[NCPI_FILE_CAP];

	file_name(t, name);
	if (unlinkat(t->dirfd, name, 0) < 0 && unlinkat(t->dirfd, name, AT_REMOVEDIR) < 0)
		bail("remove %s", name);
}

static void test_other_things(struct test_bus *t)
{
	char name[NCPI_FILE_CAP];
	struct ncp_client *c;
	int fd;

	file_name(t, name);
	refuses(t, NCP_ENOBUS, "no such bus", "a name that is not there");
	struct ncp_options o = NCP_OPTIONS_INIT;
	o.dir = t->dir;
	is_i64(NCP_ENAME, ncp_attach(&c, "../x", &o), "refuses what is no bus name");
	is_i64(NCP_ENAME, ncp_attach(&c, "x+clients", &o), "nor a name that belongs to a bus");
	is_i64(NCP_ENAME, ncp_attach(&c, "", &o), "nor an empty one");
	o.size--;
	is_i64(-EINVAL, ncp_attach(&c, t->name, &o), "refuses options of another size");

	fd = openat(t->dirfd, name, O_CREAT | O_EXCL | O_RDWR, 0600);
	refuses(t, NCP_ENOTREADY, "just being made", "an empty file");
	if (ftruncate(fd, 1 << 20) < 0)
		bail("ftruncate");
	refuses(t, NCP_ENOTREADY, "just being made", "a file of zeros");
	if (pwrite(fd, "GET / HTTP", 10, 0) != 10)
		bail("pwrite");
	refuses(t, NCP_ENOTBUS, "something else", "a file without magic");
	close(fd);
	gone(t);
	if (mkdirat(t->dirfd, name, 0700) < 0)
		bail("mkdir");
	refuses(t, NCP_ENOTBUS, "something else", "a directory");
	gone(t);
	if (mkfifoat(t->dirfd, name, 0600) < 0)
		bail("mkfifo");
	refuses(t, NCP_ENOTBUS, "something else", "a FIFO, without waiting at it");
	gone(t);
	if (symlinkat("/dev/zero", t->dirfd, name) < 0)
		bail("symlink");
	refuses(t, NCP_ENOTBUS, "something else", "a symbolic link");
	gone(t);
}

/* Writable access to the segment, behind the producer's back. */
static struct ncpi_header *hack(const struct test_bus *t, uint64_t *len)
{
	char name[NCPI_FILE_CAP];
	struct stat st;

	file_name(t, name);
	int fd = openat(t->dirfd, name, O_RDWR);
	if (fd < 0 || fstat(fd, &st) < 0)
		bail("open %s", name);
	*len = (uint64_t)st.st_size;
	void *p = mmap(NULL, *len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		bail("mmap");
	close(fd);
	return p;
}

static void test_headers(struct test_bus *t)
{
	uint64_t len;
	struct ncpi_header *h = hack(t, &len), good = *h;
	char name[NCPI_FILE_CAP];
	struct ncp_client *c;

	h->major = 9;
	h->minor = 3;
	refuses(t, NCP_EVERSION, "9.3, this library reads 1.x", "another major version");
	*h = good;
	h->minor = 77;
	is_i64(0, try_attach(t, &c, NULL), "takes another minor");
	ncp_detach(c);
	*h = good;
	h->byte_order = __builtin_bswap32(h->byte_order);
	refuses(t, NCP_EVERSION, "byte order", "the other byte order");
	*h = good;
	h->ring_size *= 2;
	refuses(t, NCP_ECORRUPT, "the ring is not inside", "a ring beyond the end");
	*h = good;
	h->n_waypoints = UINT32_C(1) << 31;
	refuses(t, NCP_ECORRUPT, "a table is not inside", "a table beyond the end");
	*h = good;
	h->slot[0].position = h->slot[1].position = 1;
	from = NCP_LATEST;
	refuses(t, NCP_ECORRUPT, "corrupt", "a head that no slot bears");
	from = NCP_OLDEST;
	*h = good;
	file_name(t, name);
	int fd = openat(t->dirfd, name, O_RDWR);
	if (ftruncate(fd, (off_t)len - 4096) < 0)
		bail("ftruncate");
	refuses(t, NCP_ETRUNCATED, "its header says", "a segment shorter than its header claims");
	if (ftruncate(fd, 4096) < 0)
		bail("ftruncate");
	refuses(t, NCP_ETRUNCATED, "its header says", "a header alone");
	munmap(h, len);
	close(fd);
}

static void test_owner(struct test_bus *t)
{
	char name[NCPI_FILE_CAP];
	struct ncp_client *c;

	if (geteuid() != 0) {
		skip(11, "making other people's files needs root");
		return;
	}
	file_name(t, name);
	if (fchownat(t->dirfd, name, STRANGER, (gid_t)-1, 0) < 0)
		bail("chown");
	refuses(t, NCP_EFOREIGN, "not trusted", "a stranger's bus");
	is_i64(NCP_EFOREIGN, try_attach(t, &c, "daemon,1"), "also when others are trusted");
	is_i64(-EINVAL, try_attach(t, &c, "no-such-user"), "refuses to trust who does not exist");
	ok(strstr(error, "unknown user"), "with a text: %s", error);
	is_i64(-EINVAL, try_attach(t, &c, "-18446744073709497295"), "nor a number that wraps to the owner's");
	is_i64(0, try_attach(t, &c, "daemon,54321"), "takes it when its owner is named");
	ncp_detach(c);
	setenv("NCP_TRUST", "54321", 1);
	is_i64(0, try_attach(t, &c, NULL), "or stands in NCP_TRUST");
	ncp_detach(c);
	unsetenv("NCP_TRUST");
	if (fchownat(t->dirfd, name, 0, (gid_t)-1, 0) < 0 || chmod(t->dir, 0755) < 0 ||
	    seteuid(STRANGER) < 0)
		bail("become a stranger");
	refuses(t, NCP_EACCESS, "no permission", "who may not read");
	if (seteuid(0) < 0)
		bail("come back");
	is_i64(0, try_attach(t, &c, NULL), "root may");
	ncp_detach(c);
}

/* --- hostile content -------------------------------------------------------------------------- */

/* Use everything there is on a bus that may say anything; returns how many calls it took. */
static unsigned use(const struct test_bus *t)
{
	static const uint32_t whence[] = { NCP_OLDEST, NCP_LATEST, NCP_SEQ, NCP_TIME };
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	struct ncp_interface interface = NCP_INTERFACE_INIT;
	struct ncp_worker worker = NCP_WORKER_INIT;
	struct ncp_frame f[16] = { NCP_FRAME_INIT };
	struct ncp_span span = NCP_SPAN_INIT;
	static uint8_t buf[1 << 16];
	unsigned steps = 0;
	struct ncp_client *c;

	if (try_attach(t, &c, NULL) < 0)
		return 0;
	/* A program that loads words of the frame at most anywhere. */
	const struct ncp_bpf_insn program[] = { { .code = 0x20, .k = (uint32_t)below(400) },
						{ .code = 0x06, .k = 1 } };
	if (ncp_bus_info(c, &info) == 0)
		looked += info.oldest_ts_ns;
	for (uint32_t i = 0; i < 3; i++) {
		if (ncp_interface(c, i * 1000, &interface) == 0)
			looked += strlen(interface.name) + strlen(interface.description);
		if (ncp_worker(c, i * 1000, &worker) == 0)
			looked += worker.published;
	}
	for (unsigned round = 0; round < 8; round++) {
		struct ncp_where where = { .size = sizeof(where), .whence = whence[below(4)],
					   .value = below(4) ? below(2000) : tap_rng_u64(&rng) };
		int r = ncp_seek(c, &where);

		if (where.whence == NCP_TIME && below(2))
			where.value = FRAME_TS(below(1000));
		if (ncp_set_bpf(c, program, round % 4 == 3 ? 2 : 0) < 0)
			bail("filter");
		for (unsigned step = 0;; step++, steps++) {
			if (step == STEPS_MAX)
				return steps;
			switch (round % 4) {
			case 0:
				r = ncp_span(c, 1 + below(20000), &span, f);
				if (r == 1 && f->kind == NCP_SPAN)
					looked += span.data[0] + span.data[span.len - 1] +
					       (span.prologue_len ? span.prologue[span.prologue_len - 1] :
								    0);
				break;
			case 1:
				r = ncp_recv(c, buf, sizeof(buf), f);
				break;
			case 2:
				r = ncp_next_batch(c, f, 16);
				break;
			default:
				r = ncp_next(c, f);
				break;
			}
			if (r <= 0)
				break;
			for (int i = 0; i < r && f[i].kind == NCP_FRAME; i++)
				if (f[i].caplen && round % 4 != 1)
					looked += f[i].data[0] + f[i].data[f[i].caplen - 1];
		}
	}
	ncp_detach(c);
	return steps;
}

/* A value that has broken something somewhere. */
static uint64_t odd(uint64_t was)
{
	static const uint64_t edge[] = { 0, 1, 2, 3, 4, 7, 8, 12, 31, 32, 63, 64, 4095, 4096, 4097,
					 1 << 16, 1 << 21, INT32_MAX, UINT32_MAX - 3, UINT32_MAX,
					 UINT64_C(1) << 32, UINT64_C(1) << 62, INT64_MAX,
					 UINT64_MAX - 7, UINT64_MAX };

	switch (below(6)) {
	case 0:
		return was + below(64) - 32;
	case 1:
		return was << below(8);
	case 2:
		return was ^ UINT64_C(1) << below(64);
	case 3:
		return tap_rng_u64(&rng);
	default:
		return edge[below(sizeof(edge) / sizeof(*edge))];
	}
}

static void odd_word(void *base, uint64_t len)
{
	size_t size = below(3) ? 4 : 8;
	uint8_t *p = (uint8_t *)base + below(len / size) * size;
	uint64_t v = 0;

	memcpy(&v, p, size);
	v = odd(v);
	memcpy(p, &v, size);
}

/* Break one to three words of the header, head, tail and slots among them. */
static void test_hostile_headers(struct test_bus *t)
{
	uint64_t len, attached = 0, longest = 0;
	struct ncpi_header *h = hack(t, &len), good = *h;

	for (unsigned i = 0; i < HEADERS; i++) {
		for (uint64_t n = 1 + below(3); n; n--)
			if (below(2))
				odd_word((uint8_t *)h + 8, 180); /* identity */
			else
				odd_word(&h->prologue_len, offsetof(struct ncpi_header, wake) -
							       offsetof(struct ncpi_header, prologue_len));
		if (below(2)) { /* a slot that bears whatever head says */
			h->slot[below(2)].position = h->head;
			h->tail = below(2) ? h->tail : odd(h->head);
		}
		unsigned now = use(t);
		attached += now > 0;
		longest = now > longest ? now : longest;
		*h = good;
	}
	ok(attached > HEADERS / 10, "%d of %d hostile headers were attached to and survived",
	   (int)attached, HEADERS);
	ok(longest < STEPS_MAX, "no call went on for ever (%d steps at most)", (int)longest);
	munmap(h, len);
}

/* Break lengths, types, options; waypoints with right and wrong check words; the prologue. */
static void test_hostile_content(struct test_bus *t)
{
	uint64_t len, longest = 0, used = 0;
	struct ncpi_header *h = hack(t, &len);
	uint8_t *base = (uint8_t *)h, *good = malloc(len);
	struct ncpi_waypoint *waypoint = (void *)(base + h->waypoint_off);

	if (!good)
		bail("memory");
	memcpy(good, base, len);
	for (unsigned i = 0; i < CONTENTS; i++) {
		for (uint64_t n = 1 + below(20); n; n--)
			switch (below(5)) {
			case 0: {
				struct ncpi_waypoint *w = &waypoint[below(h->n_waypoints)];

				odd_word(w, sizeof(*w));
				if (below(4))
					w->check = ncpi_waypoint_check(h->incarnation, w->position,
								       w->seq, w->time_ns);
				break;
			}
			case 1:
				odd_word(base + h->prologue_off, h->prologue_len);
				break;
			case 2:
				odd_word(&h->waypoints, 8);
				break;
			default:
				odd_word(base + h->ring_off, h->ring_size);
				break;
			}
		/* And the blocks' own words, where it hurts most. */
		for (uint64_t p = h->tail + below(2000), n = 0; n < below(3); n++)
			memcpy(base + h->ring_off + (p + below(1000) * 4) % h->ring_size,
			       &(uint32_t){ NCPI_EPB }, 4);
		unsigned now = use(t);
		used += now > 0;
		longest = now > longest ? now : longest;
		memcpy(base, good, h->ring_off < (1 << 18) ? h->ring_off : (1 << 18));
		memcpy(base + ((struct ncpi_header *)(void *)good)->ring_off,
		       good + ((struct ncpi_header *)(void *)good)->ring_off,
		       ((struct ncpi_header *)(void *)good)->ring_size);
	}
	ok(used > CONTENTS / 2, "%d of %d hostile rings were read and survived", (int)used, CONTENTS);
	ok(longest < STEPS_MAX, "no call went on for ever (%d steps at most)", (int)longest);
	free(good);
	munmap(h, len);
}

/* A producer that finds such a segment continues or replaces it, and then publishes. */
static void test_hostile_takeover(struct test_bus *t)
{
	unsigned how[3] = { 0 }, bad = 0;

	for (unsigned i = 0; i < TAKEOVERS; i++) {
		uint64_t len;
		struct ncpi_header *h = hack(t, &len);
		uint8_t *base = (uint8_t *)h;
		uint64_t waypoint_off = h->waypoint_off, prologue_off = h->prologue_off;

		for (uint64_t n = 1 + below(3); n; n--)
			switch (below(4)) {
			case 0:
				odd_word((uint8_t *)h + 8, 180);
				break;
			case 1:
				odd_word(&h->prologue_len, offsetof(struct ncpi_header, wake) -
							       offsetof(struct ncpi_header, prologue_len));
				break;
			case 2:
				odd_word(base + waypoint_off, 32 * 128);
				break;
			default:
				odd_word(base + prologue_off, 200);
				break;
			}
		munmap(h, len);
		bus_start(t, false);
		how[t->bus.how]++;
		struct ncpi_totals totals;
		ncpi_writer_totals(t->w, &totals);
		t->next = totals.next_seq;
		struct ncp_client *c = bus_attach(t, NCP_LATEST, 0, NCP_NO_REGISTRY);
		struct ncp_frame f = NCP_FRAME_INIT;
		bus_publish(t, 100);
		for (uint64_t seq = t->next - 100; seq < t->next; seq++)
			bad += ncp_next(c, &f) != 1 || f.seq != seq || !frame_good(&f);
		ncp_detach(c);
		bus_stop(t, NCP_STOPPED);
	}
	is_u64(0, bad, "a producer goes on from whatever it finds");
	ok(how[NCPI_BUS_CONTINUED] && how[NCPI_BUS_REPLACED],
	   "by continuing (%u) or replacing it (%u)", how[NCPI_BUS_CONTINUED],
	   how[NCPI_BUS_REPLACED]);
}

int main(void)
{
	struct test_bus t;
	int fds;

	plan(2 + 4 + 2 * 6 + 2 + 1 + 2 * 6 + 11 + 4 + 2 + 1);
	rng.seed = tap_seed();
	alarm(120); /* whatever hangs is killed, and seen */
	fds = tap_open_fds();
	bus_make(&t);
	test_other_things(&t);
	bus_start(&t, false);
	bus_publish(&t, 1000);
	bus_stop(&t, NCP_STOPPED);
	test_owner(&t);
	test_hostile_headers(&t);
	test_hostile_content(&t);
	test_hostile_takeover(&t);
	test_headers(&t);
	is_i64(fds + 1, tap_open_fds(), "nothing left open but the directory");
	return tap_done();
}
