/* SPDX-License-Identifier: BSD-2-Clause */
/* memory.h - on which NUMA node the memory is, and that it stays in memory. */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "libncpbus/segment.h"

/*
 * memory_node_take - have what this process allocates and its threads on one NUMA node.
 *
 *   node  its number
 *   root  what stands before /sys: "" but in tests
 *   why   SOURCE_WHY_CAP bytes: "what: why: what to do", on error
 *   only  out: it is the only node there is
 *
 * Memory comes from that node as long as it has some, then from others: a node that is full must not
 * end the program.  So does the kernel's, for a packet ring.  Threads run on its processors, if it has
 * any that this process may use.  Before anything large is allocated.
 * Returns 0; -EINVAL (no such node, or one without memory); -EPERM, -ENOSYS.
 * Source: set_mempolicy(2), Documentation/ABI/stable/sysfs-devices-node.
 */
int memory_node_take(unsigned node, const char *root, bool *only, char *why)
	__attribute__((warn_unused_result));

/*
 * memory_segment_move - bring a segment's pages to the node: one that was there before has them where
 * they were.
 *
 * Pages that a client has mapped stay.  Returns 0, -EIO (some stayed), -errno.
 */
int memory_segment_move(const struct ncpi_segment *seg, unsigned node)
	__attribute__((warn_unused_result));

/*
 * memory_segment_lock - keep a segment's pages from being swapped out.
 *
 *   why  as above, on error
 *
 * Needs CAP_IPC_LOCK, or RLIMIT_MEMLOCK for both mappings of the ring; lasts when that right is given up.
 * Returns 0, -EPERM, -ENOMEM, -errno.
 */
int memory_segment_lock(const struct ncpi_segment *seg, char *why)
	__attribute__((warn_unused_result));

/*
 * memory_list_has - is a number in a list as the kernel writes them, "0-3,7"?  Pure.
 */
bool memory_list_has(const char *list, unsigned number);

#endif
