/* SPDX-License-Identifier: BSD-2-Clause */
/* test_repair.c - files cut short and files made to deceive: repaired to what is whole, or left alone. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clients/ncp-dump/capfile.h"
#include "clients/ncp-dump/repair.h"
#include "tap/tap.h"
#include "util/file.h"
#include "util/pcapng.h"

#define WINDOW 600u
#define FRAMES 30

static const uint8_t prologue[] = {
	0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0,
	0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 28, 0, 0, 0,
	1, 0, 0, 0, 32, 0, 0, 0, 1, 0, 0, 0, 0, 0, 4, 0,
	9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0 };

static char path[256];
static uint8_t image[16384]; /* a file that was not closed */
static size_t image_len, head_len, block_off;

static void image_make(void)
{
	struct capfile_section s = { .prologue = prologue, .prologue_len = sizeof(prologue),
				     .bus = "eth0", .window = WINDOW };
	struct pcapng_local gap = { .kind = PCAPNG_GAP, .next_seq = 20 };
	static uint8_t data[200];
	long n = capfile_section(image, &s, 0, 0, 4, &block_off);

	if (n < 0)
		bail("capfile_section: %s", strerror((int)-n));
	head_len = image_len = (size_t)n;
	for (uint32_t i = 0; i < FRAMES; i++) {
		struct pcapng_frame f = { .data = data, .caplen = 20 + 5 * i, .len = 200, .ts = i };

		image_len += pcapng_frame(image + image_len, &f);
		if (i == 15)
			image_len += pcapng_local(image + image_len, &gap, NULL, 0, PCAPNG_GAP_MIN);
	}
}

static void put(const uint8_t *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || file_write_all(fd, bytes, len) < 0)
		bail("cannot write %s: %m", path);
	close(fd);
}

static int repaired(struct repair *r)
{
	uint64_t length = 0;
	int e = repair_open(r, path, false);

	if (e == 0)
		e = repair_walk(r, &length);
	if (e == 0)
		e = repair_cut(r, length);
	repair_close(r);
	return e;
}

/* What the file holds; its length. */
static size_t get(uint8_t out[sizeof(image)])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : file_pread_all(fd, out, sizeof(image), 0);

	if (n < 0)
		bail("cannot read %s: %m", path);
	close(fd);
	return (size_t)n;
}

/* Whole blocks to the end, the file block says complete. */
static bool is_whole(const uint8_t *p, size_t len)
{
	struct pcapng_block b;
	struct pcapng_local l;
	struct pcapng_file f = { 0 };
	size_t off = 0;

	for (; pcapng_next(p + off, len - off, &b) == 1; off += b.len) {
		uint32_t last;

		memcpy(&last, b.at + b.len - 4, sizeof(last));
		if (last != b.len)
			break;
		if (off == block_off && !pcapng_local_read(&b, &l, &f, sizeof(f)))
			break;
	}
	return off == len && f.complete == 1 && f.verified == len;
}

/* The file is the beginning of what was put there, but for what its file block says of its state. */
static bool is_beginning(const uint8_t *now, size_t now_len, const uint8_t *then, size_t then_len)
{
	static uint8_t a[sizeof(image)], b[sizeof(image)];

	if (now_len > then_len)
		return false;
	memcpy(a, now, now_len);
	memcpy(b, then, now_len);
	if (now_len >= block_off + PCAPNG_FILE_LEN)
		memcpy(b + block_off, a + block_off, PCAPNG_FILE_LEN);
	return !memcmp(a, b, now_len);
}

static void refusals(const char *dir)
{
	static uint8_t now[sizeof(image)];
	struct repair r;
	char link[300], name[256];
	int fd;

	snprintf(name, sizeof(name), "%s", path);
	snprintf(path, sizeof(path), "%s", dir);
	is_i64(-EISDIR, repaired(&r), "a directory is none");
	snprintf(path, sizeof(path), "/dev/null");
	is_i64(-EBADMSG, repaired(&r), "nor is a device");
	snprintf(path, sizeof(path), "%s", name);
	is_i64(-ENOENT, repaired(&r), "a file that is not there");
	put(image, 0);
	is_i64(-EBADMSG, repaired(&r), "an empty file");
	put((const uint8_t *)"Dear Sir or Madam, ", 19);
	is_i64(-EBADMSG, repaired(&r), "a letter");
	is_u64(19, get(now), "it is left alone");
	put(prologue, sizeof(prologue));
	is_i64(-EBADMSG, repaired(&r), "a pcapng file of somebody else");

	put(image, image_len);
	snprintf(link, sizeof(link), "%s.link", path);
	if (symlink(path, link) < 0)
		bail("symlink: %m");
	is_i64(-ELOOP, repair_open(&r, link, true), "a link, if told so");
	repair_close(&r);
	unlink(link);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	is_i64(-EBUSY, repaired(&r), "a file that somebody writes is left alone");
	close(fd);
	is_u64(image_len, get(now), "in its whole length");

	memset(image + head_len + 100, 0xaa, 300);
	put(image, image_len);
	is_i64(-EUCLEAN, repaired(&r), "one that is broken before what a kill can harm");
	ok(get(now) == image_len && !memcmp(now, image, image_len), "is left alone, too");
	image_make();
}

/* Which file an image says it is; 0: none. */
static uint64_t inode, born_ns;

/* What the file block says, in an image. */
static void says(uint64_t verified, uint64_t written, const uint8_t *boot, bool complete)
{
	struct pcapng_block b;
	struct pcapng_local l;
	struct pcapng_file f;

	if (pcapng_next(image + block_off, image_len - block_off, &b) != 1 ||
	    !pcapng_local_read(&b, &l, &f, sizeof(f)))
		bail("no file block");
	f.verified = verified, f.written = written, f.complete = complete;
	f.inode = inode, f.born_ns = born_ns;
	memset(f.boot, 0, sizeof(f.boot));
	if (boot)
		memcpy(f.boot, boot, sizeof(f.boot));
	pcapng_local(image + block_off, &l, &f, sizeof(f), PCAPNG_FILE_LEN);
}

/* The last boundary at or before n, but at least the head. */
static size_t boundary(size_t n)
{
	struct pcapng_block b;
	size_t off = head_len;

	while (pcapng_next(image + off, image_len - off, &b) == 1 && off + b.len <= n)
		off += b.len;
	return off;
}

static size_t cut_length(void)
{
	static uint8_t now[sizeof(image)];
	struct repair r;
	int e = repaired(&r);
	size_t len = get(now);

	return e == 0 && is_whole(now, len) && is_beginning(now, len, image, image_len) ? len : 0;
}

static void lengths(void)
{
	uint8_t boot[16], other[16];
	struct stat before, after;
	bool good = true;
	struct repair r;

	repair_boot(boot);
	memcpy(other, boot, sizeof(other));
	other[3] ^= 1;
	put(image, image_len);
	is_u64(boundary(image_len - WINDOW), cut_length(), "a window is cut off its end");
	is_u64(boundary(image_len - WINDOW), cut_length(), "and nothing more the next time");
	says(image_len - 500, 0, NULL, false);
	put(image, image_len);
	is_u64(boundary(image_len - 500), cut_length(), "less, if more is verified");
	says(0, image_len - 300, boot, false);
	put(image, image_len);
	is_u64(boundary(image_len - 300), cut_length(), "or known to be written since the machine started");
	says(0, image_len - 300, other, false);
	put(image, image_len);
	is_u64(boundary(image_len - WINDOW), cut_length(), "not, if it was started since");
	memset(other, 0, sizeof(other));
	says(0, image_len - 300, other, false);
	put(image, image_len);
	is_u64(boundary(image_len - WINDOW), cut_length(), "nor, if nobody knows");

	int fd = open(path, O_RDONLY | O_CLOEXEC);
	capfile_identity(fd, &inode, &born_ns);
	close(fd);
	says(2000, 0, boot, false);
	put(image, image_len);
	is_u64(boundary(image_len - WINDOW), cut_length(), "of the very file that was written as well");
	inode++;
	says(2000, 0, boot, false);
	put(image, image_len);
	is_u64(boundary(2000), cut_length(), "of another one, no more than was told");
	says(2000, 3000, boot, false);
	put(image, image_len);
	is_u64(boundary(3000), cut_length(), "whatever it was told by");
	inode--, born_ns += born_ns ? 1 : 0;
	says(2000, 0, boot, false);
	put(image, image_len);
	is_u64(boundary(born_ns ? 2000 : image_len - WINDOW), cut_length(),
	       "nor of one that has the number of one that has gone");
	inode = born_ns = 0;

	says(image_len, image_len, boot, true);
	put(image, image_len);
	if (stat(path, &before) < 0)
		bail("stat: %m");
	is_i64(0, repair_open(&r, path, false), "a complete file is opened");
	ok(r.complete, "and known to be complete");
	is_i64(0, repair_cut(&r, image_len), "cut to its length");
	repair_close(&r);
	ok(stat(path, &after) == 0 && before.st_mtim.tv_nsec == after.st_mtim.tv_nsec &&
		   before.st_mtim.tv_sec == after.st_mtim.tv_sec,
	   "it is not touched");
	image_make();

	/* Every length, with nothing said and with all said. */
	for (size_t n = 0; n <= image_len && good; n++) {
		for (int all = 0; all < 2 && good; all++) {
			static uint8_t now[sizeof(image)];
			size_t want = boundary(all ? n : n > WINDOW ? n - WINDOW : 0), len;

			says(all ? image_len : 0, 0, NULL, all);
			put(image, n);
			int e = repaired(&r);
			len = get(now);
			if (n < block_off + PCAPNG_FILE_LEN)
				good = e == -EBADMSG && len == n;
			else if (n < head_len)
				good = e == 0 && len == block_off + PCAPNG_FILE_LEN;
			else
				good = e == 0 && is_whole(now, len) && len == (all && n == image_len ? n : want);
			good = good && is_beginning(now, len, image, image_len);
			if (!good)
				diag("cut to %zu: %d, %zu bytes", n, e, len);
		}
	}
	ok(good, "of each length: cut to the last block that is whole, never longer than it was");
	image_make();
}

/* Every byte wrong in several ways: left alone, or the beginning of what it was. */
static void flips(void)
{
	static const uint8_t ways[] = { 0x01, 0x80, 0xff };
	static uint8_t bad[sizeof(image)], now[sizeof(image)];
	unsigned int left = 0, cut = 0;
	bool good = true;
	struct repair r;

	for (size_t i = 0; i < image_len && good; i++) {
		for (size_t w = 0; w < sizeof(ways) && good; w++) {
			memcpy(bad, image, image_len);
			bad[i] ^= ways[w];
			put(bad, image_len);
			int e = repaired(&r);
			size_t len = get(now);
			if (e < 0)
				good = len == image_len && !memcmp(now, bad, len);
			else
				good = is_beginning(now, len, bad, image_len) && repaired(&r) == 0 &&
				       get(now) == len;
			left += e < 0;
			cut += e == 0;
			if (!good)
				diag("byte %zu ^ %02x: %d, %zu bytes", i, ways[w], e, len);
		}
	}
	ok(good, "of each byte that is wrong: left alone, or cut once and never again");
	ok(left > 100 && cut > 100, "both happen (%u, %u)", left, cut);
}

/* Nothing but noise behind a good head. */
static void noise(void)
{
	struct tap_rng rng = { .seed = tap_seed() };
	static uint8_t bad[sizeof(image)], now[sizeof(image)];
	struct repair r;
	bool good = true;

	for (int i = 0; i < 2000 && good; i++) {
		memcpy(bad, image, image_len);
		for (unsigned int k = 0; k < 20; k++) {
			size_t at = tap_rng_below(&rng, (uint32_t)image_len - 4);
			uint32_t word = tap_rng_below(&rng, i % 2 ? 64 : UINT32_MAX) & ~3u;

			memcpy(bad + (at & ~(size_t)3), &word, sizeof(word));
		}
		put(bad, image_len);
		int e = repaired(&r);
		size_t len = get(now);
		good = e < 0 ? len == image_len && !memcmp(now, bad, len) :
			       is_beginning(now, len, bad, image_len);
	}
	ok(good, "of words that are wrong: likewise");
}

int main(void)
{
	const char *dir = tap_tempdir("/dev/shm");
	int fds = tap_open_fds();

	plan(12 + 15 + 2 + 1 + 1);
	snprintf(path, sizeof(path), "%s/f.pcapng", dir);
	image_make();
	refusals(dir);
	lengths();
	flips();
	noise();
	is_i64(fds, tap_open_fds(), "no descriptor is left open");
	return tap_done();
}
