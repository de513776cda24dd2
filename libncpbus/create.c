/* SPDX-License-Identifier: BSD-2-Clause */
/* create.c - lock, make, continue, replace and remove the names of a bus. */
#include "libncpbus/create.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "libncpbus/include/ncpbus.h"
#include "libncpbus/line.h"
#include "libncpbus/order.h"
#include "libncpbus/prologue.h"
#include "libncpbus/stamp.h"
#include "libncpbus/takeover.h"

#define WHY_CAP 128

/*
 * Open a name of ours, making it if need be.  Made with O_EXCL, opened without O_CREAT: with
 * fs.protected_regular set, O_CREAT on an existing file of another owner in a sticky directory is
 * refused even to root.
 */
static int open_or_make(int dirfd, const char *name)
{
	for (;;) {
		int fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
				0600);
		if (fd >= 0 || errno != EEXIST)
			return fd < 0 ? -errno : fd;
		fd = openat(dirfd, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0)
			return fd;
		if (errno != ENOENT) /* else it went between the two: make it after all */
			return errno == ELOOP || errno == EISDIR || errno == ENXIO ? NCP_ENOTBUS :
			       errno == EACCES || errno == EPERM		   ? NCP_EFOREIGN :
										     -errno;
	}
}

/* Take the exclusive lock.  Whoever takes it makes sure that the name still leads to that inode:
 * the one before may have unlinked it while we waited at the door. */
static int lock_take(int dirfd, const char *bus)
{
	char name[NCPI_FILE_CAP];

	ncpi_name_file(name, bus, "+lock");
	for (;;) {
		struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
		struct stat st, now;
		int fd = open_or_make(dirfd, name);
		int r = 0;

		if (fd < 0)
			return fd;
		NCPI_TESTPOINT("lock:opened");
		if (fstat(fd, &st) < 0)
			r = -errno;
		else if (!S_ISREG(st.st_mode))
			r = NCP_ENOTBUS;
		else if (st.st_uid != geteuid())
			r = NCP_EFOREIGN;
		else if (fcntl(fd, F_OFD_SETLK, &lock) < 0)
			r = errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
		else if (fstatat(dirfd, name, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
			 now.st_ino == st.st_ino && now.st_dev == st.st_dev)
			return fd;
		close(fd);
		if (r)
			return r;
	}
}

static uint64_t round_up(uint64_t x, uint64_t to)
{
	return (x + to - 1) & ~(to - 1);
}

/* Fill in offsets and sizes of a new segment. */
static void plan(struct ncpi_header *h, const struct ncpi_geometry *geo, uint64_t ring_size)
{
	uint64_t off = sizeof(*h);

	h->byte_order = NCPI_BYTE_ORDER;
	h->major = NCPI_MAJOR;
	h->minor = NCPI_MINOR;
	h->worker_off = off;
	h->worker_stride = sizeof(struct ncpi_worker_line);
	h->n_workers = NCPI_WORKERS;
	off += (uint64_t)h->n_workers * h->worker_stride;
	h->interface_off = off;
	h->interface_stride = sizeof(struct ncpi_interface_line);
	h->n_interfaces = NCPI_INTERFACES;
	off += (uint64_t)h->n_interfaces * h->interface_stride;
	h->reliable_off = off;
	h->reliable_stride = sizeof(struct ncpi_reliable_line);
	h->n_reliable = geo->n_reliable;
	off = round_up(off + (uint64_t)h->n_reliable * h->reliable_stride, 4096);
	h->prologue_off = off;
	h->prologue_cap = NCPI_PROLOGUE_CAP;
	off += h->prologue_cap;
	h->waypoint_off = off;
	h->waypoint_stride = sizeof(struct ncpi_waypoint);
	/* Twice as many as there are steps in the ring: epochs add some of their own. */
	h->n_waypoints = (uint32_t)(2 * ring_size / ncpi_waypoint_every(ring_size));
	off += (uint64_t)h->n_waypoints * h->waypoint_stride;
	h->ring_off = round_up(off, NCPI_RING_ALIGN);
	h->ring_size = ring_size;
	h->segment_len = h->ring_off + ring_size;
	h->flags = geo->reliable ? NCPI_FLAG_RELIABLE : 0;
	h->snaplen = geo->snaplen;
	h->mode = geo->mode;
	h->gid = geo->gid;
}

static int boot_id_read(uint8_t id[16])
{
	char text[64];
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	unsigned nibbles = 0;

	if (fd >= 0)
		close(fd);
	memset(id, 0, 16);
	for (ssize_t i = 0; i < n && nibbles < 32; i++) {
		static const char hex[] = "0123456789abcdef";
		const char *d = text[i] ? strchr(hex, text[i]) : NULL;

		if (!d)
			continue; /* the dashes */
		id[nibbles / 2] = (uint8_t)(id[nibbles / 2] << 4 | (d - hex));
		nibbles++;
	}
	return nibbles == 32 ? 0 : -ENODATA;
}

static int allocate(int dirfd, int fd, uint64_t len, char *why)
{
	struct statvfs fs;
	int r;

	/* All pages now: a page that cannot be had later is a SIGBUS in the capture loop. */
	do
		r = fallocate(fd, 0, 0, (off_t)len);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return 0;
	r = -errno;
	if (r == -ENOSPC && fstatvfs(dirfd, &fs) == 0)
		snprintf(why, WHY_CAP, "%llu MiB are needed, %llu MiB are free",
			 (unsigned long long)(len >> 20),
			 (unsigned long long)((uint64_t)fs.f_bavail * fs.f_bsize >> 20));
	return r;
}

/*
 * Huge pages for the ring, where the kernel gives them (6.1 does, whatever shmem_enabled says): a
 * reader or writer that goes round the ring otherwise meets an unknown address every 4 KiB.  Without
 * them everything works the same.  Only now, when nobody reads or writes who would have to wait, and
 * not for longer than a second: some 600 MiB.
 */
static void ring_collapse(const struct ncpi_segment *seg)
{
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* linux/mman.h; older libcs do not know it */
#endif
	uint64_t begun = ncpi_now_monotonic();

	for (uint64_t off = 0; off < seg->ring_size; off += NCPI_RING_ALIGN)
		if (seg->ring_size - off < NCPI_RING_ALIGN ||
		    ncpi_now_monotonic() - begun > NCPI_SECOND ||
		    madvise(seg->ring + off, NCPI_RING_ALIGN, MADV_COLLAPSE) < 0)
			return;
}

/*
 * The ring's page tables, where its pages are no huge ones: else the capture loop's first lap meets a page
 * fault every 4 KiB, which costs more than the copy.  Not for longer than a second, some 8 GiB.
 */
static void ring_populate(const struct ncpi_segment *seg)
{
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* since 5.14 */
#endif
	uint64_t begun = ncpi_now_monotonic();

	for (uint64_t off = 0; off < seg->ring_size; off += NCPI_RING_ALIGN)
		if (seg->ring_size - off < NCPI_RING_ALIGN ||
		    ncpi_now_monotonic() - begun > NCPI_SECOND ||
		    madvise(seg->ring + off, NCPI_RING_ALIGN, MADV_POPULATE_WRITE) < 0)
			return;
}

/* Make a whole new segment under +new, then let it take the bus's name in one step, so that there
 * is no moment without one.  old: the valid segment that stands there, or NULL. */
static int segment_make(int dirfd, struct ncpi_bus *bus, const struct ncpi_geometry *geo,
			uint64_t ring_size, const struct ncpi_segment *old, bool name_taken,
			char *why)
{
	char made[NCPI_FILE_CAP], name[NCPI_FILE_CAP];
	struct ncpi_header h = { 0 };
	uint8_t section[256];
	int r;

	plan(&h, geo, ring_size);
	/* A file can be begun before there is an interface to describe. */
	r = ncpi_prologue_section(section, sizeof(section));
	if (r < 0)
		return r;
	h.prologue_len = (uint32_t)r;
	h.created_ns = ncpi_now_realtime();
	snprintf(h.name, sizeof(h.name), "%s", bus->name);
	(void)boot_id_read(h.boot_id); /* zeros: the boot is not known */
	while (h.incarnation == 0)
		if (getrandom(&h.incarnation, sizeof(h.incarnation), 0) < 0 && errno != EINTR)
			return -errno;
	if (old) {
		h.replaced = old->incarnation;
		h.replaced_next_seq = ncpi_takeover_seq(old);
	}
	h.slot[1].position = NCPI_UNUSED; /* slot[0] says: position 0 is frame 0 */
	h.state = NCP_STARTING;

	ncpi_name_file(name, bus->name, "");
	ncpi_name_file(made, bus->name, "+new");
	/* We hold the lock: whatever stands there is of a start that died here. */
	if (unlinkat(dirfd, made, 0) < 0 && errno != ENOENT)
		return errno == EPERM || errno == EACCES ? NCP_EFOREIGN :
		       errno == EISDIR			 ? NCP_ENOTBUS :
							   -errno;
	int fd = openat(dirfd, made, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	r = allocate(dirfd, fd, h.segment_len, why);
	if (r == 0 && geo->mode & 0040 && fchown(fd, (uid_t)-1, geo->gid) < 0)
		r = -errno;
	if (r == 0 && pwrite(fd, section, h.prologue_len, (off_t)h.prologue_off) !=
			      (ssize_t)h.prologue_len)
		r = errno ? -errno : -EIO;
	if (r == 0 && pwrite(fd, &h, sizeof(h), 0) != (ssize_t)sizeof(h))
		r = errno ? -errno : -EIO;
	if (r == 0 && fchmod(fd, geo->mode) < 0)
		r = -errno;
	if (r == 0) {
		uint64_t *magic = mmap(NULL, sizeof(h), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		r = magic == MAP_FAILED ? -errno : 0;
		if (r == 0) {
			/* Release: a client that sees the magic sees the header.  Without, it could
			 * take a zero length for true.  Partner: the acquire in
			 * ncpi_segment_map(). */
			ncpi_store_release(magic, NCPI_MAGIC);
			munmap(magic, sizeof(h));
			r = ncpi_segment_map(fd, true, &bus->seg, why);
		}
	}
	if (r == 0)
		ring_collapse(&bus->seg);
	close(fd);
	if (r == 0 && renameat2(dirfd, made, dirfd, name, name_taken ? 0 : RENAME_NOREPLACE) < 0) {
		r = errno == EEXIST ? NCP_EFOREIGN : -errno;
		ncpi_segment_unmap(&bus->seg);
	}
	if (r < 0)
		unlinkat(dirfd, made, 0);
	return r;
}

/* Tell the clients of a segment that it was replaced. */
static void segment_close(const struct ncpi_segment *seg)
{
	ncpi_store(&seg->h->reason, NCP_REASON_GEOMETRY);
	/* Release: who sees the state sees the reason. */
	ncpi_store_release(&seg->h->state, NCP_CLOSED);
	ncpi_add_acq_rel(&seg->h->wake, 1);
	ncpi_futex_wake(&seg->h->wake, INT_MAX);
}

static bool geometry_same(const struct ncpi_header *h, const struct ncpi_geometry *geo,
			  uint64_t ring_size)
{
	struct ncpi_header want = { 0 };

	plan(&want, geo, ring_size);
	return h->minor == want.minor && h->segment_len == want.segment_len &&
	       h->ring_off == want.ring_off && h->ring_size == want.ring_size &&
	       h->waypoint_off == want.waypoint_off && h->n_waypoints == want.n_waypoints &&
	       h->n_workers == want.n_workers && h->n_interfaces == want.n_interfaces &&
	       h->n_reliable == want.n_reliable && h->prologue_off == want.prologue_off &&
	       h->prologue_cap == want.prologue_cap && h->flags == want.flags &&
	       h->mode == want.mode && h->gid == want.gid;
}

/* Continue what stands under the name, replace it, or make the first. */
static int segment_take(int dirfd, struct ncpi_bus *bus, const struct ncpi_geometry *geo, char *why)
{
	struct ncpi_segment old = { 0 };
	char nowhere[WHY_CAP];
	uint64_t ring_size = geo->ring_size;
	bool name_taken = true, old_valid = false;
	struct stat st;

	int fd = ncpi_segment_open(dirfd, bus->name, true, NULL, 0);
	if (fd == NCP_ENOBUS) {
		name_taken = false;
	} else if (fd == NCP_EACCESS) {
		return NCP_EFOREIGN;
	} else if (fd < 0 && fd != NCP_ENOTREADY) {
		return fd;
	} else if (fd >= 0) {
		if (fstat(fd, &st) < 0 || st.st_uid != geteuid()) {
			close(fd);
			return NCP_EFOREIGN;
		}
		old_valid = ncpi_segment_map(fd, true, &old, nowhere) == 0 &&
			    ncpi_takeover_valid(&old);
		close(fd);
	}
	if (!ring_size)
		ring_size = old_valid ? old.ring_size : geo->size_default;
	if (ring_size < NCPI_RING_MIN || ring_size & (ring_size - 1) || ring_size >> 46) {
		ncpi_segment_unmap(&old);
		snprintf(why, WHY_CAP, "a ring's size is a power of two from %llu bytes on",
			 (unsigned long long)NCPI_RING_MIN);
		return -EINVAL;
	}
	if (old_valid && geometry_same(old.h, geo, ring_size)) {
		uint32_t state = ncpi_load_acquire(&old.h->state);

		if (state != NCP_ENDED && state != NCP_CLOSED) {
			bus->seg = old;
			bus->how = NCPI_BUS_CONTINUED;
			return 0;
		}
	}
	int r = segment_make(dirfd, bus, geo, ring_size, old_valid ? &old : NULL, name_taken, why);
	/* One that has ended stays so: its clients leave with its last frame. */
	if (r == 0 && old_valid && ncpi_load(&old.h->state) != NCP_ENDED)
		segment_close(&old);
	bus->how = name_taken ? NCPI_BUS_REPLACED : NCPI_BUS_CREATED;
	ncpi_segment_unmap(&old);
	return r;
}

/* +clients/: sticky, so that nobody deletes another's line; setgid, so that lines are readable to
 * the bus's group, whatever their owner's group is. */
static int registry_make(int dirfd, const char *bus, gid_t gid)
{
	char name[NCPI_FILE_CAP];
	struct stat st;

	ncpi_name_file(name, bus, "+clients");
	if (mkdirat(dirfd, name, 0700) < 0 && errno != EEXIST)
		return -errno;
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOTDIR || errno == ELOOP ? NCP_ENOTBUS : NCP_EFOREIGN;
	int r = 0;
	if (fstat(fd, &st) < 0)
		r = -errno;
	else if (st.st_uid != geteuid())
		r = NCP_EFOREIGN;
	else if (st.st_gid != gid && fchown(fd, (uid_t)-1, gid) < 0)
		r = -errno;
	else if ((st.st_mode & 07777) != 03770 && fchmod(fd, 03770) < 0)
		r = -errno;
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

int ncpi_bus_open(int dirfd, const char *name, const struct ncpi_geometry *geo,
		  struct ncpi_bus *bus, char *why)
{
	int r = ncpi_name_check(name);

	*why = '\0';
	*bus = (struct ncpi_bus){ .dirfd = dirfd, .lock_fd = -1, .registry_fd = -1 };
	if (r < 0)
		return r;
	snprintf(bus->name, sizeof(bus->name), "%s", name);
	bus->lock_fd = r = lock_take(dirfd, name);
	if (r >= 0)
		bus->registry_fd = r = registry_make(dirfd, name, geo->registry_gid);
	if (r >= 0)
		r = segment_take(dirfd, bus, geo, why);
	if (r >= 0)
		ring_populate(&bus->seg);
	if (r < 0 && bus->lock_fd >= 0) {
		char file[NCPI_FILE_CAP];

		/* A start that failed leaves no lock without a bus.  A registry that is not ours is
		 * left alone. */
		ncpi_name_file(file, name, "");
		if (faccessat(dirfd, file, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT) {
			ncpi_name_file(file, name, "+lock");
			if (bus->registry_fd >= 0)
				(void)ncpi_bus_unlink(dirfd, name, 0, 0, false);
			else
				unlinkat(dirfd, file, 0);
		}
	}
	if (r < 0)
		ncpi_bus_close(bus);
	return r < 0 ? r : 0;
}

void ncpi_bus_close(struct ncpi_bus *bus)
{
	ncpi_segment_unmap(&bus->seg);
	if (bus->registry_fd >= 0)
		close(bus->registry_fd);
	if (bus->lock_fd >= 0)
		close(bus->lock_fd);
	bus->registry_fd = bus->lock_fd = -1;
}

/*
 * --remove: delete whatever bears a name, directories with all they hold.
 *
 * Squatters make those, so nothing is followed.  So deep at most; what is deeper stays.
 */
#define TREE_DEPTH 200

static int tree_unlink(int dirfd, const char *name, unsigned depth)
{
	const struct dirent *e;

	if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR)
		return -errno;
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir && fd >= 0)
		close(fd);
	while (dir && depth && (e = readdir(dir)) != NULL)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			(void)tree_unlink(fd, e->d_name, depth - 1);
	if (dir)
		closedir(dir);
	return unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

/* Remove the registry directory and dead clients' lines. */
static void registry_unlink(int dirfd, const char *name)
{
	const struct dirent *e;
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((e = readdir(dir)) != NULL)
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			(void)ncpi_line_reap(fd, e->d_name, false);
	closedir(dir);
	/* A living client's line keeps it: the next producer finds the directory as it is. */
	unlinkat(dirfd, name, AT_REMOVEDIR);
}

/* The names of a bus.  The lock last: as long as it stands, no other producer makes them anew. */
static const char *const suffixes[] = { "", "+clients", "+new", "+lock" };
#define N_SUFFIXES (sizeof(suffixes) / sizeof(*suffixes))

int ncpi_bus_unlink(int dirfd, const char *name, dev_t dev, ino_t ino, bool force)
{
	char file[NCPI_FILE_CAP];
	struct stat st;
	int r = ncpi_name_check(name);

	if (r < 0)
		return r;
	ncpi_name_file(file, name, "");
	if (ino && fstatat(dirfd, file, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    (st.st_ino != ino || st.st_dev != dev))
		return -ESTALE;
	for (size_t i = 0; i < N_SUFFIXES; i++) {
		int failed = 0;

		ncpi_name_file(file, name, suffixes[i]);
		if (force)
			failed = tree_unlink(dirfd, file, TREE_DEPTH);
		else if (strcmp(suffixes[i], "+clients") == 0)
			registry_unlink(dirfd, file);
		else if (unlinkat(dirfd, file, 0) < 0 && errno != ENOENT)
			failed = -errno;
		if (failed && !force)
			return failed;
		r = r ? r : failed;
	}
	return r;
}

int ncpi_bus_remove(int dirfd, const char *name)
{
	char file[NCPI_FILE_CAP];
	struct stat st;
	bool found = false;
	int r = ncpi_name_check(name);

	if (r < 0)
		return r;
	for (size_t i = 0; i < N_SUFFIXES; i++) {
		ncpi_name_file(file, name, suffixes[i]);
		found |= fstatat(dirfd, file, &st, AT_SYMLINK_NOFOLLOW) == 0;
	}
	if (!found)
		return NCP_ENOBUS;
	int lock_fd = lock_take(dirfd, name);
	/* A lock that is no file of ours holds nobody's bus: a squatter's, to be removed too. */
	if (lock_fd < 0 && lock_fd != NCP_EFOREIGN && lock_fd != NCP_ENOTBUS)
		return lock_fd;
	/* Tell clients that are attached: nobody will ever continue it. */
	int fd = ncpi_segment_open(dirfd, name, true, NULL, 0);
	struct ncpi_segment seg;
	if (fd >= 0) {
		if (ncpi_segment_map(fd, true, &seg, NULL) == 0) {
			ncpi_store_release(&seg.h->state, NCP_ENDED);
			ncpi_add_acq_rel(&seg.h->wake, 1);
			ncpi_futex_wake(&seg.h->wake, INT_MAX);
			ncpi_segment_unmap(&seg);
		}
		close(fd);
	}
	r = ncpi_bus_unlink(dirfd, name, 0, 0, true);
	if (lock_fd >= 0)
		close(lock_fd);
	return r;
}
