/* SPDX-License-Identifier: BSD-2-Clause */
/* memory.c - on which NUMA node the memory is, and that it stays in memory. */
#include "producer/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libncpbus/include/ncpbus.h"
#include "producer/source.h"
#include "util/file.h"

/* Nodes that a kernel can have: CONFIG_NODES_SHIFT is 10 at most. */
#define NODES 1024u
#define LIST_CAP 8192u
#define LONG_BITS (8 * sizeof(unsigned long))

bool memory_list_has(const char *list, unsigned number)
{
	for (const char *p = list; *p;) {
		char *end;
		unsigned long first = strtoul(p, &end, 10), last = first;

		if (end == p)
			return false;
		if (*end == '-')
			last = strtoul(end + 1, &end, 10);
		if (number >= first && number <= last)
			return true;
		p = *end == ',' ? end + 1 : "";
	}
	return false;
}

/* A line of /sys without its end; "" if there is none. */
static void read_list(const char *root, const char *path, char list[LIST_CAP])
{
	char full[PATH_MAX], *text;
	size_t len;

	*list = '\0';
	if ((size_t)snprintf(full, sizeof(full), "%s%s", root, path) >= sizeof(full) ||
	    file_read(full, LIST_CAP - 1, &text, &len) < 0)
		return;
	snprintf(list, LIST_CAP, "%.*s", (int)strcspn(text, "\n"), text);
	free(text);
}

/* Run on the processors of the node that we may run on. */
static void processors_take(unsigned node, const char *root)
{
	char path[64], list[LIST_CAP];
	cpu_set_t set;

	snprintf(path, sizeof(path), "/sys/devices/system/node/node%u/cpulist", node);
	read_list(root, path, list);
	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return;
	for (unsigned i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &set) && !memory_list_has(list, i))
			CPU_CLR(i, &set);
	/* A node of memory alone, or one whose processors are others': any will do. */
	if (CPU_COUNT(&set))
		(void)sched_setaffinity(0, sizeof(set), &set);
}

struct nodes {
	unsigned long bits[NODES / LONG_BITS];
};

static struct nodes just(unsigned node)
{
	struct nodes n = { { 0 } };

	n.bits[node / LONG_BITS] |= 1ul << node % LONG_BITS;
	return n;
}

int memory_node_take(unsigned node, const char *root, bool *only, char *why)
{
	char list[LIST_CAP];
	int r = 0;

	read_list(root, "/sys/devices/system/node/has_memory", list);
	if (!*list) /* a kernel without NUMA: all of it is node 0 */
		snprintf(list, sizeof(list), "0");
	if (node >= NODES || !memory_list_has(list, node)) {
		snprintf(why, SOURCE_WHY_CAP,
			 "--numa %u: no such node with memory: those that have some are %.100s", node,
			 list);
		return -EINVAL;
	}
	*only = strcmp(list, "0") == 0;
	if (*only)
		return 0;
	const struct nodes nodes = just(node);
	/* The kernel takes one bit less than it is told. */
	if (syscall(SYS_set_mempolicy, MPOL_PREFERRED, nodes.bits, NODES + 1) < 0)
		r = -errno;
	if (r < 0)
		snprintf(why, SOURCE_WHY_CAP, "--numa %u: %s", node, ncp_strerror(r));
	else
		processors_take(node, root);
	return r;
}

int memory_segment_move(const struct ncpi_segment *seg, unsigned node)
{
	const struct nodes nodes = just(node);

	return syscall(SYS_mbind, seg->ring, seg->ring_size, MPOL_PREFERRED, nodes.bits, NODES + 1,
		       MPOL_MF_MOVE) < 0 ? -errno : 0;
}

int memory_segment_lock(const struct ncpi_segment *seg, char *why)
{
	struct rlimit limit = { 0 };
	int r = 0;

	if (mlock(seg->h, seg->ring_off) < 0 || mlock(seg->ring, 2 * seg->ring_size) < 0)
		r = -errno;
	if (r == 0)
		return 0;
	getrlimit(RLIMIT_MEMLOCK, &limit);
	snprintf(why, SOURCE_WHY_CAP,
		 "--mlock: %s: %" PRIu64 " KiB are needed, RLIMIT_MEMLOCK is %llu KiB: raise that, or "
		 "start with CAP_IPC_LOCK",
		 r == -EAGAIN ? "not all of it could be locked" : "the ring may not be locked",
		 (seg->ring_off + 2 * seg->ring_size) >> 10, (unsigned long long)limit.rlim_cur >> 10);
	return r;
}
