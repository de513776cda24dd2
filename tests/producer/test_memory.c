/* SPDX-License-Identifier: BSD-2-Clause */
/* test_memory.c - NUMA nodes that there are and are not, and locked pages. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus.h"
#include "producer/memory.h"
#include "producer/source.h"
#include "tap/tap.h"

static char why[SOURCE_WHY_CAP];

static void test_list(void)
{
	ok(memory_list_has("0", 0) && !memory_list_has("0", 1), "one number");
	ok(memory_list_has("0-3,7", 2) && memory_list_has("0-3,7", 7), "a range and another");
	ok(!memory_list_has("0-3,7", 4) && !memory_list_has("0-3,7", 8), "and none beside them");
	ok(!memory_list_has("", 0) && !memory_list_has("x", 0) && !memory_list_has("1,", 0),
	   "nothing in what is no list");
}

static const char *root_make(const char *has_memory)
{
	static char root[PATH_MAX];
	char path[PATH_MAX + 64];
	static const char *const dirs[] = { "/sys", "/sys/devices", "/sys/devices/system",
					    "/sys/devices/system/node" };

	snprintf(root, sizeof(root), "%s/root", tap_tempdir(NULL));
	mkdir(root, 0755);
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(path, sizeof(path), "%s%s", root, dirs[i]);
		mkdir(path, 0755);
	}
	snprintf(path, sizeof(path), "%s/sys/devices/system/node/has_memory", root);
	FILE *f = fopen(path, "w");
	if (!f || fprintf(f, "%s\n", has_memory) < 0 || fclose(f))
		bail("%s", path);
	return root;
}

static void test_node(void)
{
	bool only = false;

	is_i64(-EINVAL, memory_node_take(2, root_make("0-1"), &only, why), "refuses a node that is none");
	is_str("--numa 2: no such node with memory: those that have some are 0-1", why, "naming those");
	is_i64(-EINVAL, memory_node_take(5000, root_make("0-9999"), &only, why), "and a number too large");
	is_i64(-EINVAL, memory_node_take(1, "/nonexistent", &only, why), "node 0 alone without NUMA");
	is_i64(0, memory_node_take(0, "/nonexistent", &only, why), "which is taken");
	ok(only, "as the only one");
	only = true;
	is_i64(0, memory_node_take(0, root_make("0-1"), &only, why), "one of two: %s", why);
	ok(!only, "is not the only one");
	is_i64(0, memory_node_take(0, "", &only, why), "one of this machine's");
}

static uint64_t locked_kib(void)
{
	char line[256];
	unsigned long long kib = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmLck: %llu", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

static void test_lock(void)
{
	struct test_bus bus;
	struct rlimit small = { 65536, 65536 };

	bus_make(&bus);
	bus_start(&bus, false);
	const uint64_t kib = 2 * bus.bus.seg.ring_size >> 10;
	ok(memory_segment_move(&bus.bus.seg, 0) == 0 || errno == ENOSYS, "is on node 0, or moved there");
	int r = memory_segment_lock(&bus.bus.seg, why);
#ifdef NCP_SANITIZED
	skip(2, "the sanitizers' mlock() locks nothing and says that it did");
	bus_stop(&bus, NCP_ENDED);
	return;
#endif
	ok(r == 0 ? locked_kib() >= kib : strstr(why, "RLIMIT_MEMLOCK is") != NULL,
	   "is locked, %llu KiB of it, or told why not: %s", (unsigned long long)locked_kib(), why);
	pid_t pid = fork();
	if (pid == 0) {
		/* Locks are not inherited; nor is the right to make any. */
		if (setrlimit(RLIMIT_MEMLOCK, &small) < 0 || setresuid(65001, 65001, 65001) < 0)
			_exit(9);
		r = memory_segment_lock(&bus.bus.seg, why);
		_exit(r < 0 && strstr(why, "RLIMIT_MEMLOCK is 64 KiB: raise that, or") ? 0 : 1);
	}
	int status;
	waitpid(pid, &status, 0);
	if (geteuid() != 0)
		skip(1, "another user's limit: needs root");
	else
		is_i64(0, WEXITSTATUS(status), "without the right to, a line says how much is needed");
	bus_stop(&bus, NCP_ENDED);
}

int main(void)
{
	plan(4 + 9 + 3);
	test_list();
	test_node();
	test_lock();
	return tap_done();
}
