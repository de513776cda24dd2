/* SPDX-License-Identifier: BSD-2-Clause */
/* test_repair.c - any bytes as a file that was not closed: cut within its length, once and for all. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clients/ncp-dump/repair.h"
#include "clients/ncp-dump/state.h"
#include "fuzz/fuzz.h"
#include "tap/tap.h"

static char path[512], state_path[512];

static void file_make(const char *name, const uint8_t *data, size_t size)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size || close(fd))
		bail("%s: %s", name, strerror(errno));
}

/* Cut it; cut again, it is the same. */
static void repaired(size_t size)
{
	struct repair r;
	struct stat st;
	uint64_t length = 0, again = 0, frames;

	int e = repair_open(&r, path, true);
	if (e == 0)
		e = repair_walk(&r, &length);
	if (e < 0) {
		repair_close(&r);
		fuzz_must(stat(path, &st) == 0 && (size_t)st.st_size == size);
		return;
	}
	frames = r.frames;
	fuzz_must(length <= size);
	fuzz_must(repair_cut(&r, length) == 0);
	repair_close(&r);
	fuzz_must(stat(path, &st) == 0 && (uint64_t)st.st_size == length);

	fuzz_must(repair_open(&r, path, true) == 0 && r.complete);
	fuzz_must(repair_walk(&r, &again) == 0 && again == length && r.frames == frames);
	repair_close(&r);
}

/* What was read as a state is written and read as the same. */
static void state_is_kept(void)
{
	struct state s = { .seq = 0 }, t = { .seq = 0 };
	const char *why = NULL;
	int r = state_load(state_path, &s, &why);

	fuzz_must(r == 1 || (r == -EBADMSG && why));
	if (r != 1)
		return;
	fuzz_must(memchr(s.bus, 0, sizeof(s.bus)) && memchr(s.file, 0, sizeof(s.file)));
	fuzz_must(state_save(state_path, &s) == 0 && state_load(state_path, &t, &why) == 1);
	fuzz_must(strcmp(s.bus, t.bus) == 0 && strcmp(s.file, t.file) == 0 && s.seq == t.seq &&
		  s.incarnation == t.incarnation && s.length == t.length);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!*path) {
		const char *dir = tap_tempdir("/dev/shm");

		snprintf(path, sizeof(path), "%s/f", dir);
		snprintf(state_path, sizeof(state_path), "%s/s", dir);
	}
	file_make(path, data, size);
	repaired(size);
	file_make(state_path, data, size);
	state_is_kept();
	return 0;
}
