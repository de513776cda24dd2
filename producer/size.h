/* SPDX-License-Identifier: BSD-2-Clause */
/* size.h - how large a new ring should be. */
#ifndef SIZE_H
#define SIZE_H

#include <stdint.h>

#define SIZE_DEFAULT_MIN (UINT64_C(8) << 20)
#define SIZE_DEFAULT_MAX (UINT64_C(256) << 20)

/* Of slots for a frame each, without -B: see size_slots(). */
#define SIZE_SLOTS_MIN (UINT64_C(16) << 20)
#define SIZE_SLOTS_MAX (UINT64_C(128) << 20)

/* What there is to take from. */
struct size_room {
	uint64_t fs_free; /* bytes a user may still allocate in the tmpfs */
	uint64_t memory;  /* bytes available to this process: /proc/meminfo, cgroup limits */
};

/*
 * size_default - a ring for those who name no size.
 *
 * The least of 256 MiB, a quarter of fs_free and an eighth of memory, rounded down to a power of
 * two, at least 8 MiB.  Source: design, 3.2.
 */
uint64_t size_default(const struct size_room *room);

/*
 * size_history - a ring that remembers ns of traffic at bits_per_s on the wire.
 *
 * A power of two, rounded up.  Returns UINT64_MAX when there is no such in 63 bits.
 */
uint64_t size_history(uint64_t ns, uint64_t bits_per_s);

/*
 * size_slots - bytes of a kernel ring of slots for those who name no size.
 *
 *   memory     bytes available
 *   n_sockets  that share an interface's frames, >= 1
 *
 * 128 MiB for all of them: 1900 frames, however short, so a burst at 100000 a second may find the
 * capture thread not running for 19 ms (a ring of blocks takes 16 MiB for that).  But not more than a
 * 32nd of memory, since it cannot be swapped out, and 16 MiB each at least.
 */
uint64_t size_slots(uint64_t memory, uint32_t n_sockets);

/* size_round_up - the next power of two, n itself if it is one; UINT64_MAX beyond 2^62. */
uint64_t size_round_up(uint64_t n);

/*
 * size_memory - bytes of memory this process may still take.
 *
 *   root  what stands before /proc and /sys: "" but in tests
 *
 * MemAvailable, or what the cgroup (version 1 or 2) or one above it has left if that is less; file
 * pages a cgroup could let go count as left.  UINT64_MAX when nothing can be read.
 * Source: proc(5), Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst.
 */
uint64_t size_memory(const char *root);

/* size_room_read - look at the tmpfs of a directory, and at the memory.  Returns 0, -errno. */
int size_room_read(int dirfd, struct size_room *room);

#endif
