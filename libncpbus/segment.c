/* SPDX-License-Identifier: BSD-2-Clause */
/* segment.c - open a bus's segment, check its header, map its ring twice in a row. */
#include "libncpbus/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libncpbus/include/ncpbus.h"
#include "libncpbus/order.h"

#define WHY_CAP 128

int ncpi_name_check(const char *bus)
{
	static const char first[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	static const char rest[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";

	if (!bus || !*bus || !strchr(first, *bus))
		return NCP_ENAME;
	size_t len = strspn(bus, rest);
	return bus[len] || len >= NCPI_NAME_CAP ? NCP_ENAME : 0;
}

void ncpi_name_file(char *out, const char *bus, const char *suffix)
{
	snprintf(out, NCPI_FILE_CAP, "ncp.%s%s", bus, suffix);
}

int ncpi_dir_open(const char *dir)
{
	if (!dir)
		dir = secure_getenv("NCP_DIR");
	if (!dir || !*dir)
		dir = "/dev/shm";
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static bool owner_trusted(uid_t uid, const uid_t *trusted, size_t n)
{
	if (uid == 0 || uid == geteuid())
		return true;
	for (size_t i = 0; i < n; i++)
		if (trusted[i] == uid)
			return true;
	return false;
}

int ncpi_segment_code(int code)
{
	switch (code) {
	case -ENOENT:
		return NCP_ENOBUS;
	case -EACCES:
	case -EPERM:
		return NCP_EACCESS;
	case -ELOOP:
	case -ENXIO:
	case -EISDIR:
		return NCP_ENOTBUS;
	default:
		return code;
	}
}

int ncpi_segment_vet(int fd, const uid_t *trusted, size_t n_trusted)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return NCP_ENOTBUS;
	if (!owner_trusted(st.st_uid, trusted, n_trusted))
		return NCP_EFOREIGN;
	return (uint64_t)st.st_size < sizeof(struct ncpi_header) ? NCP_ENOTREADY : 0;
}

int ncpi_segment_open(int dirfd, const char *bus, bool writable, const uid_t *trusted,
		      size_t n_trusted)
{
	char name[NCPI_FILE_CAP];

	ncpi_name_file(name, bus, "");
	/* O_NONBLOCK: a FIFO of that name must not hold us up. */
	int fd = openat(dirfd, name,
			(writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return ncpi_segment_code(-errno);
	int r = ncpi_segment_vet(fd, trusted, n_trusted);
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

/* Does [off, off + n * stride) lie in [sizeof header, end)?  No sum can overflow: off and end are
 * below 2^63, n and stride below 2^32. */
static bool table_fits(uint64_t off, uint64_t n, uint64_t stride, uint64_t end)
{
	return off >= sizeof(struct ncpi_header) && off % 8 == 0 && off <= end &&
	       n * stride <= end - off;
}

static bool power_of_two(uint64_t x)
{
	return x && !(x & (x - 1));
}

/* The header's identity against the rules of layout.h; h is a private copy. */
static int header_check(const struct ncpi_header *h, uint64_t file_len, char *why)
{
	if (h->magic == 0)
		return NCP_ENOTREADY;
	if (h->magic != NCPI_MAGIC)
		return NCP_ENOTBUS;
	if (h->byte_order != NCPI_BYTE_ORDER) {
		snprintf(why, WHY_CAP, "made on a machine of the other byte order");
		return NCP_EVERSION;
	}
	if (h->major != NCPI_MAJOR) {
		snprintf(why, WHY_CAP, "its layout is %u.%u, this library reads %d.x", h->major,
			 h->minor, NCPI_MAJOR);
		return NCP_EVERSION;
	}
	if (h->segment_len > file_len) {
		snprintf(why, WHY_CAP, "%llu bytes long, its header says %llu",
			 (unsigned long long)file_len, (unsigned long long)h->segment_len);
		return NCP_ETRUNCATED;
	}
	if (h->segment_len >> 62 || h->ring_off >> 62 || h->ring_size >> 62)
		return NCP_ECORRUPT;
	if (!power_of_two(h->ring_size) || h->ring_size < NCPI_RING_MIN || h->ring_off == 0 ||
	    h->ring_off % NCPI_RING_ALIGN || h->ring_off > h->segment_len ||
	    h->ring_size > h->segment_len - h->ring_off) {
		snprintf(why, WHY_CAP, "the ring is not inside the segment");
		return NCP_ECORRUPT;
	}
	if (h->worker_stride < sizeof(struct ncpi_worker_line) || h->worker_stride % 8 ||
	    h->interface_stride < sizeof(struct ncpi_interface_line) || h->interface_stride % 8 ||
	    h->reliable_stride < sizeof(struct ncpi_reliable_line) || h->reliable_stride % 8 ||
	    h->waypoint_stride != sizeof(struct ncpi_waypoint) || !power_of_two(h->n_waypoints) ||
	    h->n_workers == 0 ||
	    !table_fits(h->worker_off, h->n_workers, h->worker_stride, h->ring_off) ||
	    !table_fits(h->interface_off, h->n_interfaces, h->interface_stride, h->ring_off) ||
	    !table_fits(h->reliable_off, h->n_reliable, h->reliable_stride, h->ring_off) ||
	    !table_fits(h->waypoint_off, h->n_waypoints, h->waypoint_stride, h->ring_off) ||
	    !table_fits(h->prologue_off, h->prologue_cap, 1, h->ring_off)) {
		snprintf(why, WHY_CAP, "a table is not inside the segment");
		return NCP_ECORRUPT;
	}
	if (h->incarnation == 0 || !memchr(h->name, 0, sizeof(h->name)))
		return NCP_ECORRUPT;
	return 0;
}

/* Map the ring twice in a row, so that no block is split by the wrap. */
static uint8_t *ring_map(int fd, uint64_t off, uint64_t size, int prot)
{
	/* Room for alignment: addresses congruent to positions modulo 2 MiB let the kernel use
	 * huge pages and let writers to disk align by position. */
	size_t span = 2 * size + NCPI_RING_ALIGN;
	uint8_t *room = mmap(NULL, span, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			     -1, 0);
	if (room == MAP_FAILED)
		return NULL;
	uint8_t *ring = room + (-(uintptr_t)room & (NCPI_RING_ALIGN - 1));
	for (int half = 0; half < 2; half++)
		if (mmap(ring + (uint64_t)half * size, size, prot, MAP_SHARED | MAP_FIXED, fd,
			 (off_t)off) == MAP_FAILED) {
			int e = errno;

			munmap(room, span);
			errno = e;
			return NULL;
		}
	if (ring > room)
		munmap(room, (size_t)(ring - room));
	munmap(ring + 2 * size, (size_t)(room + span - (ring + 2 * size)));
	/* A core dump of a client must not carry other people's traffic. */
	madvise(ring, 2 * size, MADV_DONTDUMP);
	return ring;
}

int ncpi_segment_map(int fd, bool writable, struct ncpi_segment *seg, char *why)
{
	int prot = writable ? PROT_READ | PROT_WRITE : PROT_READ;
	struct ncpi_header h;
	char nowhere[WHY_CAP];
	struct stat st;

	if (!why)
		why = nowhere;
	*why = '\0';
	memset(seg, 0, sizeof(*seg));
	if (fstat(fd, &st) < 0)
		return -errno;
	if ((uint64_t)st.st_size < sizeof(h))
		return NCP_ENOTREADY;

	/* The header page first: the length to map stands in it. */
	struct ncpi_header *page = mmap(NULL, sizeof(h), PROT_READ, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return -errno;
	/* Acquire: whoever sees the magic sees every field stored before it.  Without, a reader
	 * could take a length of 0 beside a good magic. */
	h.magic = ncpi_load_acquire(&page->magic);
	memcpy((char *)&h + sizeof(h.magic), (const char *)page + sizeof(h.magic),
	       sizeof(h) - sizeof(h.magic));
	munmap(page, sizeof(h));
	int r = header_check(&h, (uint64_t)st.st_size, why);
	if (r < 0)
		return r;

	uint8_t *base = mmap(NULL, h.ring_off, prot, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return -errno;
	seg->ring = ring_map(fd, h.ring_off, h.ring_size, prot);
	if (!seg->ring) {
		int e = errno;

		munmap(base, h.ring_off);
		return -e;
	}
	madvise(base, h.ring_off, MADV_DONTDUMP);
	seg->h = (struct ncpi_header *)(void *)base;
	seg->ring_size = h.ring_size;
	seg->ring_mask = h.ring_size - 1;
	seg->ring_off = h.ring_off;
	seg->block_max = h.ring_size < NCPI_BLOCK_MAX ? (uint32_t)h.ring_size : NCPI_BLOCK_MAX;
	seg->workers = base + h.worker_off;
	seg->worker_stride = h.worker_stride;
	seg->interfaces = base + h.interface_off;
	seg->interface_stride = h.interface_stride;
	seg->reliable = base + h.reliable_off;
	seg->reliable_stride = h.reliable_stride;
	seg->waypoints = (struct ncpi_waypoint *)(void *)(base + h.waypoint_off);
	seg->prologue = base + h.prologue_off;
	seg->prologue_cap = h.prologue_cap;
	seg->n_waypoints = h.n_waypoints;
	seg->n_workers = h.n_workers;
	seg->n_interfaces = h.n_interfaces;
	seg->n_reliable = h.n_reliable;
	seg->incarnation = h.incarnation;
	seg->dev = st.st_dev;
	seg->ino = st.st_ino;
	seg->uid = st.st_uid;
	seg->writable = writable;
	return 0;
}

void ncpi_segment_unmap(struct ncpi_segment *seg)
{
	if (seg->h)
		munmap(seg->h, seg->ring_off);
	if (seg->ring)
		munmap(seg->ring, 2 * seg->ring_size);
	memset(seg, 0, sizeof(*seg));
}
