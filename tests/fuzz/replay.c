/* SPDX-License-Identifier: BSD-2-Clause */
/* replay.c - a fuzzer without libFuzzer: plays the inputs that are kept for it, and changes of them. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "tap/tap.h"

/*
 * As a test: all files of the folder, then changes of them for NCP_FUZZ_SECONDS (default 5), which
 * follow from NCP_TEST_SEED.  The input under way stands in a file beside the program, where it is
 * found after a crash.  With file names as arguments, plays those and nothing else.
 */
#define INPUT_MAX (UINT32_C(64) << 10)
#define SEEDS_MAX 256u
#define SECONDS_DEFAULT 5
#define CHANGES_MAX 6u

struct input {
	uint8_t *data; /* INPUT_MAX bytes, of which len are used */
	size_t len;
};

static struct input seeds[SEEDS_MAX];
static size_t n_seeds;
static int under_way; /* the file's descriptor */

static void input_load(struct input *in, const char *path)
{
	FILE *f = fopen(path, "re");

	in->data = malloc(INPUT_MAX);
	if (!f || !in->data)
		bail("%s: %s", path, strerror(errno));
	in->len = fread(in->data, 1, INPUT_MAX, f);
	fclose(f);
}

static int is_input(const struct dirent *e)
{
	return *e->d_name != '.';
}

/* Of build/tests/fuzz/FOLDER/test_X: those in tests/fuzz/FOLDER/X, always in the same order. */
static void seeds_load(const char *program)
{
	const char *place = strstr(program, "tests/fuzz/"), *name = strrchr(program, '/');
	struct dirent **list;
	char folder[256], path[768];

	if (!place || strncmp(name, "/test_", 6))
		bail("%s is no fuzzer of tests/fuzz", program);
	snprintf(folder, sizeof(folder), "%.*s%s", (int)(name + 1 - place), place, name + 6);
	int n = scandir(folder, &list, is_input, alphasort);
	if (n < 1 || n > (int)SEEDS_MAX)
		bail("%s: %d inputs", folder, n);
	for (int i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, list[i]->d_name);
		input_load(&seeds[n_seeds++], path);
		free(list[i]);
	}
	free(list);
}

static void play(const struct input *in)
{
	/* Exactly as long as it is, so that a sanitizer sees what reads on. */
	uint8_t *exact = malloc(in->len ? in->len : 1);

	if (!exact || ftruncate(under_way, (off_t)in->len) ||
	    pwrite(under_way, in->data, in->len, 0) != (ssize_t)in->len)
		bail("the input under way: %s", strerror(errno));
	memcpy(exact, in->data, in->len);
	LLVMFuzzerTestOneInput(exact, in->len);
	free(exact);
}

/* --- changes -------------------------------------------------------------------------------- */

/* Put len bytes of from in the place of cut bytes at off, as far as there is room. */
static void replace(struct input *in, size_t off, size_t cut, const uint8_t *from, size_t len)
{
	cut = cut < in->len - off ? cut : in->len - off;
	if (in->len - cut + len > INPUT_MAX)
		return;
	memmove(in->data + off + len, in->data + off + cut, in->len - off - cut);
	memcpy(in->data + off, from, len);
	in->len += len - cut;
}

static void change(struct input *in, struct tap_rng *r)
{
	static const uint32_t numbers[] = { 0, 1, 2, 4, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff,
					    0x10000, 0x40000, 0x1000000, 0x7fffffff, 0x80000000,
					    0xfffffffc, 0xffffffff };
	const struct input *other = &seeds[tap_rng_below(r, n_seeds)];
	size_t off = tap_rng_below(r, in->len + 1), len = 1 + tap_rng_below(r, 64);
	uint64_t random = tap_rng_u64(r);
	uint32_t number = numbers[random % (sizeof(numbers) / sizeof(numbers[0]))];
	uint8_t bytes[64];

	switch (tap_rng_below(r, 7)) {
	case 0: /* a bit */
		if (off < in->len)
			in->data[off] ^= (uint8_t)(1u << random % 8);
		break;
	case 1: /* a byte */
		replace(in, off, 1, (const uint8_t *)&random, 1);
		break;
	case 2: /* a number of two or four bytes, of either order */
		if (random >> 40 & 1)
			number = __builtin_bswap32(number);
		replace(in, off, random >> 41 & 1 ? 2 : 4, (const uint8_t *)&number,
		       random >> 41 & 1 ? 2 : 4);
		break;
	case 3: /* some bytes less */
		replace(in, off, len, bytes, 0);
		break;
	case 4: /* cut short */
		in->len = off;
		break;
	case 5: /* some bytes twice */
		len = len < in->len - off ? len : in->len - off;
		memcpy(bytes, in->data + off, len);
		replace(in, off, 0, bytes, len);
		break;
	default: /* a piece of another */
		if (other->len) {
			size_t from = random % other->len;

			len = (random >> 32) % (other->len - from) + 1;
			replace(in, off, len, other->data + from, len);
		}
	}
}

static size_t play_changes(unsigned seconds)
{
	struct tap_rng r = { .seed = tap_seed() };
	struct input in = { .data = malloc(INPUT_MAX) };
	struct timespec t;
	size_t n = 0;

	if (!in.data)
		bail("no memory");
	clock_gettime(CLOCK_MONOTONIC, &t);
	for (const time_t end = t.tv_sec + seconds; t.tv_sec < end; n++) {
		const struct input *seed = &seeds[tap_rng_below(&r, n_seeds)];

		in.len = seed->len;
		memcpy(in.data, seed->data, seed->len);
		for (uint64_t i = 1 + tap_rng_below(&r, CHANGES_MAX); i; i--)
			change(&in, &r);
		play(&in);
		clock_gettime(CLOCK_MONOTONIC, &t);
	}
	free(in.data);
	return n;
}

int main(int argc, char **argv)
{
	const char *text = getenv("NCP_FUZZ_SECONDS");
	unsigned seconds = text ? (unsigned)strtoul(text, NULL, 10) : SECONDS_DEFAULT;
	char path[512];

	snprintf(path, sizeof(path), "%s.input", argv[0]);
	under_way = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (under_way < 0)
		bail("%s: %s", path, strerror(errno));
	plan(argc > 1 ? 1 : 2);
	if (argc > 1)
		for (int i = 1; i < argc; i++)
			input_load(&seeds[n_seeds++ % SEEDS_MAX], argv[i]);
	else
		seeds_load(argv[0]);
	for (size_t i = 0; i < n_seeds; i++)
		play(&seeds[i]);
	ok(true, "%zu inputs that were kept", n_seeds);
	if (argc == 1) {
		size_t n = play_changes(seconds);

		ok(n > 0, "changes of them, for %u seconds", seconds);
		diag("%zu changes", n);
	}
	while (n_seeds)
		free(seeds[--n_seeds].data);
	close(under_way);
	unlink(path); /* it came back from all of them */
	return tap_done();
}
