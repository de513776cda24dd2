/* SPDX-License-Identifier: BSD-2-Clause */
/* size.c - how large a new ring should be. */
#include "producer/size.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define TEXT_CAP 16384 /* of a file of /proc or /sys that we read; memory.stat has some 4 KiB */

static uint64_t least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t size_default(const struct size_room *room)
{
	uint64_t most = least(SIZE_DEFAULT_MAX, least(room->fs_free / 4, room->memory / 8));
	uint64_t size = SIZE_DEFAULT_MIN;

	while (size * 2 <= most)
		size *= 2;
	return size;
}

uint64_t size_slots(uint64_t memory, uint32_t n_sockets)
{
	uint64_t size = least(SIZE_SLOTS_MAX, memory / 32) / n_sockets;

	return size < SIZE_SLOTS_MIN ? SIZE_SLOTS_MIN : size;
}

uint64_t size_round_up(uint64_t n)
{
	uint64_t size = 1;

	if (n > UINT64_C(1) << 62)
		return UINT64_MAX;
	while (size < n)
		size *= 2;
	return size;
}

uint64_t size_history(uint64_t ns, uint64_t bits_per_s)
{
	/*
	 * Bytes in the ring per byte on the wire, at most: the shortest Ethernet frame takes 84
	 * bytes of the wire (8 preamble, 64 with FCS, 12 gap) and 60 + 44 = 104 of the ring, which
	 * is 1.24 times as much.  Longer frames take less than on the wire.  Hence 5/4.
	 */
	unsigned __int128 bytes = (unsigned __int128)ns * bits_per_s / 8 * 5 / 4 / 1000000000u;

	return bytes >> 62 ? UINT64_MAX : size_round_up((uint64_t)bytes);
}

/* Read a whole small file.  False if there is none. */
static bool text_read(const char *root, const char *path, char text[TEXT_CAP])
{
	char full[PATH_MAX];
	size_t len = 0;
	ssize_t n;

	if ((size_t)snprintf(full, sizeof(full), "%s%s", root, path) >= sizeof(full))
		return false;
	int fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	do {
		n = read(fd, text + len, TEXT_CAP - 1 - len);
		if (n > 0)
			len += (size_t)n;
	} while ((n > 0 && len < TEXT_CAP - 1) || (n < 0 && errno == EINTR));
	close(fd);
	text[len] = '\0';
	return n >= 0;
}

/* The number behind a word that begins a line.  False if there is none. */
static bool field(const char *text, const char *word, uint64_t *value)
{
	size_t len = strlen(word);

	for (const char *p = text; p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (strncmp(p, word, len) == 0 && (p[len] == ' ' || p[len] == ':'))
			return sscanf(p + len, "%*[: ]%" SCNu64, value) == 1;
		if (!*p)
			break;
	}
	return false;
}

static bool number(const char *root, const char *dir, const char *file, uint64_t *value)
{
	char path[PATH_MAX], text[TEXT_CAP];

	return (size_t)snprintf(path, sizeof(path), "%s/%s", dir, file) < sizeof(path) &&
	       text_read(root, path, text) && sscanf(text, "%" SCNu64, value) == 1;
}

/* What the limits of a cgroup and of those above it leave.  dir is cut at each step; the part up to
 * mount_len is the mount point. */
static uint64_t cgroup_left(const char *root, char *dir, size_t mount_len, const char *limit_file,
			    const char *usage_file, const char *reclaimable)
{
	uint64_t left = UINT64_MAX;

	for (;;) {
		char path[PATH_MAX], text[TEXT_CAP];
		uint64_t limit, usage, cache = 0;

		/* No limit is "max" in version 2, which is no number, and a huge one in 1. */
		if (number(root, dir, limit_file, &limit) && number(root, dir, usage_file, &usage)) {
			if ((size_t)snprintf(path, sizeof(path), "%s/memory.stat", dir) <
				    sizeof(path) &&
			    text_read(root, path, text))
				field(text, reclaimable, &cache);
			usage -= least(usage, cache);
			left = least(left, limit - least(limit, usage));
		}
		char *slash = strrchr(dir, '/');
		if (!slash || (size_t)(slash - dir) < mount_len)
			return left;
		*slash = '\0';
	}
}

/* The path of this process in the hierarchy that a line of /proc/self/cgroup names. */
static bool cgroup_path(const char *text, const char *controller, const char *mount,
			char dir[PATH_MAX])
{
	for (const char *p = text; p && *p; p = strchr(p, '\n')) {
		char list[256] = "", path[PATH_MAX] = "";

		p += *p == '\n';
		/* "0::/path" and "4:memory:/path": an empty list does not match %[^:]. */
		if (sscanf(p, "%*[0-9]::%4095[^\n]", path) != 1 &&
		    sscanf(p, "%*[0-9]:%255[^:]:%4095[^\n]", list, path) != 2)
			continue;
		bool found = strcmp(list, controller) == 0;
		char *save = NULL;
		for (char *one = strtok_r(list, ",", &save); one && !found;
		     one = strtok_r(NULL, ",", &save))
			found = strcmp(one, controller) == 0;
		if (found)
			return (size_t)snprintf(dir, PATH_MAX, "%s%s", mount,
						strcmp(path, "/") ? path : "") < PATH_MAX;
	}
	return false;
}

uint64_t size_memory(const char *root)
{
	static const char v1[] = "/sys/fs/cgroup/memory", v2[] = "/sys/fs/cgroup";
	char text[TEXT_CAP], dir[PATH_MAX];
	uint64_t memory = UINT64_MAX, kib;

	if (text_read(root, "/proc/meminfo", text) && field(text, "MemAvailable", &kib))
		memory = kib * 1024;
	if (!text_read(root, "/proc/self/cgroup", text))
		return memory;
	if (cgroup_path(text, "memory", v1, dir))
		memory = least(memory, cgroup_left(root, dir, strlen(v1), "memory.limit_in_bytes",
						   "memory.usage_in_bytes", "total_inactive_file"));
	if (cgroup_path(text, "", v2, dir))
		memory = least(memory, cgroup_left(root, dir, strlen(v2), "memory.max",
						   "memory.current", "inactive_file"));
	return memory;
}

int size_room_read(int dirfd, struct size_room *room)
{
	struct statvfs fs;

	if (fstatvfs(dirfd, &fs) < 0)
		return -errno;
	/* A tmpfs without a limit (size=0) has no blocks at all. */
	room->fs_free = fs.f_blocks ? (uint64_t)fs.f_bavail * fs.f_bsize : UINT64_MAX;
	room->memory = size_memory("");
	return 0;
}
