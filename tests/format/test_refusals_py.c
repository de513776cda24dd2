/* SPDX-License-Identifier: BSD-2-Clause */
/* test_refusals_py.c - what libncpbus refuses, reader.py refuses, with the same name for it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus.h"
#include "libncpbus/order.h"
#include "python.h"
#include "tap/tap.h"

/* Codes of libncpbus, and what reader.py makes of them. */
static const struct code {
	int code, status;
	const char *name;
} codes[] = {
	{ NCP_ENOBUS, 3, "NCP_ENOBUS" },	   { NCP_ENAME, 10, "NCP_ENAME" },
	{ NCP_ENOTBUS, 12, "NCP_ENOTBUS" },	   { NCP_EFOREIGN, 13, "NCP_EFOREIGN" },
	{ NCP_ENOTREADY, 14, "NCP_ENOTREADY" },	   { NCP_EVERSION, 15, "NCP_EVERSION" },
	{ NCP_ETRUNCATED, 16, "NCP_ETRUNCATED" },  { NCP_ECORRUPT, 17, "NCP_ECORRUPT" },
};

static const struct code *code_find(int code)
{
	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
		if (codes[i].code == code)
			return &codes[i];
	bail("no such code: %d", code);
}

/* A header with n bytes at off replaced by value's, lowest first. */
static const struct damage {
	const char *what;
	unsigned off, n;
	uint64_t value;
	int code;
} damages[] = {
	{ "no magic yet", 0, 8, 0, NCP_ENOTREADY },
	{ "another magic", 5, 1, 'S', NCP_ENOTBUS },
	{ "a foreign byte order", 8, 4, 0x0d0c0b0a, NCP_EVERSION },
	{ "major version 2", 12, 2, 2, NCP_EVERSION },
	{ "major version 0", 12, 2, 0, NCP_EVERSION },
	{ "a length beyond the file", 16, 8, UINT64_C(1) << 40, NCP_ETRUNCATED },
	{ "a length of 2^64-1", 16, 8, UINT64_MAX, NCP_ETRUNCATED },
	{ "a ring at 0", 24, 8, 0, NCP_ECORRUPT },
	{ "a ring at no multiple of 2 MiB", 24, 8, 4096, NCP_ECORRUPT },
	{ "a ring beyond the segment", 24, 8, UINT64_C(1) << 30, NCP_ECORRUPT },
	{ "a ring of 2^63 bytes", 32, 8, UINT64_C(1) << 63, NCP_ECORRUPT },
	{ "a ring of 65537 bytes", 32, 8, 65537, NCP_ECORRUPT },
	{ "a ring of 32 KiB", 32, 8, 32768, NCP_ECORRUPT },
	{ "waypoints at an odd offset", 40, 8, 4097, NCP_ECORRUPT },
	{ "waypoints of 64 bytes", 48, 4, 64, NCP_ECORRUPT },
	{ "no waypoint", 52, 4, 0, NCP_ECORRUPT },
	{ "three waypoints", 52, 4, 3, NCP_ECORRUPT },
	{ "2^31 waypoints", 52, 4, UINT64_C(1) << 31, NCP_ECORRUPT },
	{ "workers inside the header", 56, 8, 2048, NCP_ECORRUPT },
	{ "workers of 56 bytes", 64, 4, 56, NCP_ECORRUPT },
	{ "no worker", 68, 4, 0, NCP_ECORRUPT },
	{ "interfaces of 65 bytes", 80, 4, 65, NCP_ECORRUPT },
	{ "2^32-1 interfaces", 84, 4, UINT32_MAX, NCP_ECORRUPT },
	{ "reliable lines beyond the ring's start", 88, 8, UINT64_MAX & ~7u, NCP_ECORRUPT },
	{ "a prologue of 4 GiB", 112, 4, UINT32_MAX, NCP_ECORRUPT },
	{ "incarnation 0", 144, 8, 0, NCP_ECORRUPT },
};
#define N_DAMAGES (sizeof(damages) / sizeof(damages[0]))

static int attach(const struct test_bus *t, const char *name)
{
	struct ncp_options o = NCP_OPTIONS_INIT;
	struct ncp_client *c;

	o.dir = t->dir;
	int r = ncp_attach(&c, name, &o);
	if (r == 0)
		r = ncp_set_filter(c, NULL, NULL, 0);
	ncp_detach(c);
	return r;
}

static void start(const struct test_bus *t, struct python *p, const char *name)
{
	const char *args[] = { name, "--dir", t->dir, "--drain", "--start", "oldest", NULL };

	python_start(p, args);
}

/* Both results for a name: a code, and a status with the code's name in one line. */
static void check(const struct test_bus *t, struct python *p, const char *name, int code,
		  const char *what)
{
	const struct code *k = code_find(code);
	char prefix[200];
	char text[256] = "";

	is_i64(code, attach(t, name), "%s: libncpbus says %s", what, k->name);
	const char *line = python_line(p);
	if (line)
		snprintf(text, sizeof(text), "%s", line);
	snprintf(prefix, sizeof(prefix), "reader.py: %s: %s: ", name, k->name);
	text[strlen(prefix)] = '\0';
	is_str(prefix, text, "%s: reader.py says so, too", what);
	is_i64(k->status, python_end(p), "%s: and leaves with its own status", what);
}
#define CHECK 3

/* The header of the bus t, damaged, before as many zeros as it wants. */
static void make_damaged(const struct test_bus *t, const char *name, const struct damage *d)
{
	const uint64_t *header = (const uint64_t *)t->bus.seg.h;
	uint64_t word[512];
	uint8_t *page = (uint8_t *)word;
	char path[80];

	/* Its heart beats meanwhile. */
	for (unsigned i = 0; i < 512; i++)
		word[i] = ncpi_load(&header[i]);
	for (unsigned i = 0; i < d->n; i++)
		page[d->off + i] = (uint8_t)(d->value >> 8 * i);
	snprintf(path, sizeof(path), "ncp.%s", name);
	int fd = openat(t->dirfd, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, word, sizeof(word)) != sizeof(word) ||
	    ftruncate(fd, (off_t)t->bus.seg.h->segment_len) < 0)
		bail("%s: %s", path, strerror(errno));
	close(fd);
}

static void test_headers(const struct test_bus *t)
{
	struct python p[N_DAMAGES];
	char name[N_DAMAGES][16];

	for (size_t i = 0; i < N_DAMAGES; i++) {
		snprintf(name[i], sizeof(name[i]), "damage%zu", i);
		make_damaged(t, name[i], &damages[i]);
	}
	/* A few at a time: the cost is an interpreter's start. */
	for (size_t i = 0; i < N_DAMAGES + 4; i++) {
		if (i < N_DAMAGES)
			start(t, &p[i], name[i]);
		if (i >= 4)
			check(t, &p[i - 4], name[i - 4], damages[i - 4].code, damages[i - 4].what);
	}
}
#define HEADERS (N_DAMAGES * CHECK)

static void test_files(const struct test_bus *t)
{
	const struct damage none = { .n = 0 };
	struct file {
		const char *name, *what;
		int code;
	} files[] = {
		{ "none", "no such file", NCP_ENOBUS },
		{ "../none", "a path", NCP_ENAME },
		{ "a+b", "a name with a plus", NCP_ENAME },
		{ "fifo", "a FIFO", NCP_ENOTBUS },
		{ "dir", "a directory", NCP_ENOTBUS },
		{ "link", "a link to a bus", NCP_ENOTBUS },
		{ "short", "a file of 4095 bytes", NCP_ENOTREADY },
		{ "cut", "a segment that lacks its last page", NCP_ETRUNCATED },
		{ "foreign", "a segment of a stranger", NCP_EFOREIGN },
	};
	char path[80];

	snprintf(path, sizeof(path), "ncp.%s", t->name);
	if (mkfifoat(t->dirfd, "ncp.fifo", 0600) < 0 || mkdirat(t->dirfd, "ncp.dir", 0700) < 0 ||
	    symlinkat(path, t->dirfd, "ncp.link") < 0)
		bail("%s: %s", t->dir, strerror(errno));
	make_damaged(t, "short", &none);
	make_damaged(t, "cut", &none);
	make_damaged(t, "foreign", &none);
	bool root = fchownat(t->dirfd, "ncp.foreign", 54321, (gid_t)-1, 0) == 0;
	int fd = openat(t->dirfd, "ncp.short", O_RDWR | O_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 4095) < 0 || close(fd) < 0)
		bail("truncate: %s", strerror(errno));
	fd = openat(t->dirfd, "ncp.cut", O_RDWR | O_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)t->bus.seg.h->segment_len - 4096) < 0 || close(fd) < 0)
		bail("truncate: %s", strerror(errno));
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct python p;

		if (files[i].code == NCP_EFOREIGN && !root) {
			skip(CHECK, "only root can give a file away");
			continue;
		}
		start(t, &p, files[i].name);
		check(t, &p, files[i].name, files[i].code, files[i].what);
	}
}
#define FILES (9 * CHECK)

/* A block that breaks a rule, behind good ones: both give those, then both end with an error. */
static void test_blocks(struct test_bus *t)
{
	static const struct {
		const char *what;
		unsigned word;
		uint32_t value;
	} blocks[] = {
		{ "a block of length 0", 1, 0 },
		{ "a length that is no multiple of 4", 1, 101 },
		{ "a block beyond head", 1, 0x100000 },
		{ "a frame longer than its block", 5, 4096 },
		{ "a frame of 2^32-1 bytes", 5, UINT32_MAX },
	};

	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		struct ncp_frame f = NCP_FRAME_INIT;
		uint8_t buf[FRAME_CAP];
		struct python p;
		const char *line;
		unsigned n = 0, given = 0;
		int r;

		bus_publish(t, 20);
		uint64_t at = t->bus.seg.h->head;
		bus_publish(t, 5);
		uint32_t *word = (uint32_t *)(void *)(t->bus.seg.ring +
						      at % t->bus.seg.ring_size) + blocks[i].word;
		uint32_t good = *word;
		*word = blocks[i].value;

		struct ncp_client *c = bus_attach(t, NCP_OLDEST, 0, 0);
		while ((r = ncp_recv(c, buf, sizeof(buf), &f)) == 1)
			n += f.kind == NCP_FRAME;
		is_i64(NCP_ECORRUPT, r, "%s: libncpbus ends with an error", blocks[i].what);
		ncp_detach(c);
		start(t, &p, t->name);
		while ((line = python_line(&p)) && line[0] == '{')
			given += json_is(line, "kind", "frame");
		ok(line && strstr(line, "NCP_ECORRUPT"), "%s: reader.py, too", blocks[i].what);
		is_i64(17, python_end(&p), "%s: with its status", blocks[i].what);
		is_u64(n, given, "%s: after the same number of frames", blocks[i].what);
		*word = good;
	}
}
#define BLOCKS (5 * 4)

int main(void)
{
	struct test_bus t;

	signal(SIGPIPE, SIG_IGN);
	plan(HEADERS + FILES + BLOCKS);
	bus_make(&t);
	bus_start(&t, true);
	test_headers(&t);
	test_files(&t);
	test_blocks(&t);
	bus_stop(&t, NCP_ENDED);
	return tap_done();
}
