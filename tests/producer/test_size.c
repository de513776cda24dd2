/* SPDX-License-Identifier: BSD-2-Clause */
/* test_size.c - ring sizes: the rule, and the limits it reads from /proc and /sys. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "producer/size.h"
#include "tap/tap.h"

#define MIB (UINT64_C(1) << 20)

static uint64_t by(uint64_t fs_free, uint64_t memory)
{
	return size_default(&(struct size_room){ .fs_free = fs_free, .memory = memory });
}

/* Write text to root/path, making the folders on the way. */
static void put(const char *root, const char *path, const char *text)
{
	char full[PATH_MAX];

	snprintf(full, sizeof(full), "%s%s", root, path);
	for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')) != NULL; *p++ = '/') {
		*p = '\0';
		if (mkdir(full, 0755) && errno != EEXIST)
			bail("mkdir %s", full);
	}
	FILE *f = fopen(full, "w");
	if (!f || fputs(text, f) < 0 || fclose(f))
		bail("write %s", full);
}

static void test_rule(void)
{
	is_u64(256 * MIB, by(UINT64_MAX, UINT64_MAX), "never more than 256 MiB");
	is_u64(256 * MIB, by(1024 * MIB, UINT64_MAX), "a quarter of the file system");
	is_u64(128 * MIB, by(1024 * MIB - 1, UINT64_MAX), "rounded down to a power of two");
	is_u64(16 * MIB, by(64 * MIB, UINT64_MAX), "of the 64 MiB a container has, 16");
	is_u64(128 * MIB, by(UINT64_MAX, 1024 * MIB), "an eighth of the memory");
	is_u64(8 * MIB, by(0, 0), "never less than 8 MiB");

	is_u64(1, size_round_up(0), "rounds up from 0");
	is_u64(4096, size_round_up(4096), "leaves a power of two alone");
	is_u64(8192, size_round_up(4097), "rounds up");
	is_u64(UINT64_C(1) << 62, size_round_up(UINT64_C(1) << 62), "up to 2^62");
	is_u64(UINT64_MAX, size_round_up((UINT64_C(1) << 62) + 1), "and not beyond");

	/* 60 s at 1 Gbit/s: 7.5 GB on the wire, 9.375 GB in the ring. */
	is_u64(16384 * MIB, size_history(UINT64_C(60000000000), 1000000000),
	       "60 s of 1 Gbit/s need 16 GiB");
	is_u64(UINT64_MAX, size_history(UINT64_MAX, UINT64_MAX), "a history beyond 63 bits");
}

static void test_memory(void)
{
	const char *root = tap_tempdir(NULL);

	is_u64(UINT64_MAX, size_memory(root), "nothing to read is no limit");
	put(root, "/proc/meminfo", "MemTotal:  9000000 kB\nMemAvailable:    2048 kB\nX: 1\n");
	is_u64(2 * MIB, size_memory(root), "MemAvailable");

	put(root, "/proc/meminfo", "MemAvailable: 1048576 kB\n");
	put(root, "/proc/self/cgroup", "0::/a/b\n");
	put(root, "/sys/fs/cgroup/a/b/memory.max", "max\n");
	put(root, "/sys/fs/cgroup/a/b/memory.current", "1048576\n");
	is_u64(1024 * MIB, size_memory(root), "version 2: max is no limit");
	put(root, "/sys/fs/cgroup/a/memory.max", "104857600\n");
	put(root, "/sys/fs/cgroup/a/memory.current", "94371840\n");
	is_u64(10 * MIB, size_memory(root), "version 2: a limit above counts");
	put(root, "/sys/fs/cgroup/a/memory.stat", "anon 1\ninactive_file 41943040\nx 2\n");
	is_u64(50 * MIB, size_memory(root), "version 2: file pages count as left");
	put(root, "/sys/fs/cgroup/a/b/memory.max", "2097152\n");
	is_u64(MIB, size_memory(root), "version 2: the tightest one counts");
	put(root, "/sys/fs/cgroup/a/b/memory.current", "4194304\n");
	is_u64(0, size_memory(root), "version 2: beyond the limit nothing is left");

	put(root, "/proc/self/cgroup", "8:pids:/\n4:cpu,memory:/job\n0::/\n");
	put(root, "/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "8388608\n");
	put(root, "/sys/fs/cgroup/memory/job/memory.usage_in_bytes", "4194304\n");
	is_u64(4 * MIB, size_memory(root), "version 1, among other controllers");
	put(root, "/sys/fs/cgroup/memory/memory.limit_in_bytes", "3145728\n");
	put(root, "/sys/fs/cgroup/memory/memory.usage_in_bytes", "0\n");
	is_u64(3 * MIB, size_memory(root), "version 1: the root's limit, as a container sees it");
}

static void test_slots(void)
{
	is_u64(128 << 20, size_slots(UINT64_C(1) << 40, 1), "slots: 128 MiB at most");
	is_u64(32 << 20, size_slots(UINT64_C(1) << 40, 4), "shared by an interface's sockets");
	is_u64(64 << 20, size_slots(UINT64_C(2) << 30, 1), "a 32nd of the memory");
	is_u64(16 << 20, size_slots(UINT64_C(1) << 28, 8), "and 16 MiB at least");
}

int main(void)
{
	struct size_room room;

	plan(24 + 4);
	test_rule();
	test_memory();
	is_i64(-EBADF, size_room_read(-1, &room), "refuses what is no directory");
	ok(size_memory("") > 0, "this machine has memory: %llu",
	   (unsigned long long)size_memory(""));
	test_slots();
	return tap_done();
}
