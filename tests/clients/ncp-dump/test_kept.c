/* SPDX-License-Identifier: BSD-2-Clause */
/* test_kept.c - the files of a series: which are of it, their order, and that no other is deleted. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clients/ncp-dump/capfile.h"
#include "clients/ncp-dump/kept.h"
#include "tap/tap.h"
#include "util/file.h"
#include "util/pcapng.h"

#define S UINT64_C(1000000000)
#define T (UINT64_C(1795234410) * S)

static const char *dir;

static const char *in_dir(const char *name)
{
	static char path[4][512];
	static unsigned int i;
	char *p = path[i++ % 4];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

/* A file of ncp-dump that began then, so long. */
static void make(const char *name, const char *bus, uint64_t created_ns, size_t len)
{
	static const uint8_t shb[] = {
		0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 28, 0, 0, 0 };
	struct capfile_section s = { .prologue = shb, .prologue_len = sizeof(shb), .bus = bus,
				     .created_ns = created_ns };
	uint8_t out[4096] = { 0 };
	size_t off;
	long n = capfile_section(out, &s, 0, 0, 4, &off);

	if (n < 0 || file_replace(in_dir(name), out, len > (size_t)n ? len : (size_t)n, 0600) < 0)
		bail("%s", name);
}

static bool there(const char *name)
{
	struct stat st;

	return lstat(in_dir(name), &st) == 0;
}

/* Delete the oldest: 1, 0 (there is none), -errno. */
static int drop(struct kept *k)
{
	struct kept_file f;
	int r = kept_take(k, &f);

	if (r == 1 && kept_delete(&f) < 0)
		r = -errno;
	return r;
}

int main(void)
{
	const struct naming plain = { .path = "x" };
	const struct naming dated = { .path = "d/a%H%M%S", .dated = true, .utc = true };
	struct kept k = { 0 };

	plan(18);
	dir = tap_tempdir(NULL);
	is_i64(-ENOENT, kept_scan(&k, &plain, in_dir("none"), "b", false), "no directory");
	is_i64(0, drop(&k), "nothing to delete");

	make("x", "b", T + 5, 1000);
	make("x3", "b", T + 3, 2000);
	make("x20", "b", T + 3, 3000);
	make("x4", "other", T, 1000);
	make("x07", "b", T, 1000);
	make("y", "b", T, 1000);
	make("x5.part", "b", T + 9, 1000);
	if (file_replace(in_dir("x6"), "text", 4, 0600) < 0 || symlink("y", in_dir("x8")) < 0 ||
	    mkdir(in_dir("x9"), 0700) < 0 || mkfifo(in_dir("x10"), 0600) < 0)
		bail("cannot make files");
	is_i64(0, kept_scan(&k, &plain, dir, "b", false), "a directory with more than the series in it");
	is_u64(3, k.n, "only its own are found");
	is_u64(6000, k.bytes, "with their sizes");
	ok(k.n == 3 && k.file[0].number == 3 && k.file[1].number == 20 && k.file[2].number == 0,
	   "by the time they began, then by number");

	make("x21", "b", T + 8, 500);
	is_i64(0, kept_add(&k, in_dir("x21"), T + 8), "another one is closed");
	make("x", "b", T + 9, 700);
	is_i64(0, kept_add(&k, in_dir("x"), T + 9), "and one in the place of an older one");
	is_u64(2000 + 3000 + 500 + 700, k.bytes, "which counts no longer");
	/* Another file has taken the name since: it is not ours. */
	rename(in_dir("y"), in_dir("x3"));
	is_i64(1, drop(&k), "the oldest goes off the list");
	ok(there("x3"), "but what has its name now stays");
	is_i64(1, drop(&k), "the next");
	ok(!there("x20") && there("x21"), "is deleted");
	while (drop(&k))
		;
	ok(!there("x21") && !there("x") && k.bytes == 0, "and so are all");
	ok(there("x3") && there("x4") && there("x07") && there("x5.part") && there("x6") &&
		   there("x8") && there("x9") && there("x10"),
	   "of the series, and no other");
	kept_free(&k);

	make("a041330", "b", T, 100);
	make("a041331", "b", T, 100); /* a copy under another name */
	make("a0413305", "b", T, 100);
	make("a041330.part", "b", T, 100);
	is_i64(0, kept_scan(&k, &dated, dir, "b", true), "dated names");
	is_u64(3, k.n, "are of it only if they tell the file's own time");
	ok(k.n == 3 && k.file[0].number == 0 && k.file[1].number == 0 && k.file[2].number == 5,
	   "one that a kill left unfinished, too");
	kept_free(&k);
	return tap_done();
}
