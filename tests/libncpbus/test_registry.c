/* SPDX-License-Identifier: BSD-2-Clause */
/* test_registry.c - clients' lines: who lives, what they say, and what a stranger may put there. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libncpbus/line.h"
#include "libncpbus/order.h"
#include "libncpbus/stamp.h"
#include "libncpbus/writer_impl.h"
#include "support/bus.h"
#include "tap/tap.h"

static int registry(const struct test_bus *t)
{
	return t->bus.registry_fd;
}

/* A file in the registry of a test's own making. */
static int put(const struct test_bus *t, const char *name, const struct ncpi_line *line, size_t len)
{
	int fd = openat(registry(t), name, O_RDWR | O_CREAT | O_EXCL, 0640);

	if (fd < 0 || pwrite(fd, line, len, 0) != (ssize_t)len)
		bail("make %s", name);
	return fd;
}

static void lock(int fd, short type)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET };

	if (fcntl(fd, F_OFD_SETLK, &l) < 0)
		bail("lock");
}

static struct ncpi_line line_of(const struct test_bus *t, uint64_t position, uint64_t seq)
{
	struct ncpi_line l = { .magic = NCPI_LINE_MAGIC, .version = 1,
			       .incarnation = t->bus.seg.incarnation, .name = "made up" };

	for (int i = 0; i < 2; i++)
		l.cursor[i] = (struct ncpi_line_cursor){
			position, seq, ncpi_line_check(l.incarnation, position, seq) };
	return l;
}

/* --- life ------------------------------------------------------------------------------------- */

struct file {
	int fd;
};

static bool is_dead(void *arg)
{
	return ncpi_line_life(((struct file *)arg)->fd) == NCPI_LINE_DEAD;
}

static void test_life(struct test_bus *t)
{
	const struct ncpi_line l = line_of(t, 0, 0);
	struct file file = { put(t, "life", &l, sizeof(l)) }, other;
	uid_t uid;
	ino_t ino;

	other.fd = ncpi_line_open(registry(t), "life", &uid, &ino);
	is_u64(NCPI_LINE_MAKING, ncpi_line_life(other.fd), "a young line without a lock is in the making");
	is_i64(0, ncpi_line_reap(registry(t), "life", false), "and is left alone");
	lock(other.fd, F_RDLCK);
	is_u64(NCPI_LINE_MAKING, ncpi_line_life(file.fd), "another's read lock does not show");
	lock(other.fd, F_UNLCK);
	lock(file.fd, F_WRLCK);
	is_u64(NCPI_LINE_LIVE, ncpi_line_life(other.fd), "its owner's write lock does");
	is_i64(0, ncpi_line_reap(registry(t), "life", false), "who lives stays");
	ok(!wait_until(is_dead, &other, 10), "for as long as he holds it");
	close(file.fd);
	ok(wait_until(is_dead, &other, 5000), "without it, and older than a second, it is dead");
	lock(other.fd, F_RDLCK);
	is_u64(NCPI_LINE_DEAD, ncpi_line_life(other.fd), "whoever else locks it");
	is_i64(1, ncpi_line_reap(registry(t), "life", false), "the dead are taken away");
	is_i64(-ENOENT, ncpi_line_open(registry(t), "life", &uid, &ino), "their name is free");
	close(other.fd);
}

/* --- peers ------------------------------------------------------------------------------------ */

static void test_peers(struct test_bus *t)
{
	struct ncp_options o = NCP_OPTIONS_INIT;
	struct ncp_peer p[4] = { NCP_PEER_INIT };
	struct ncp_frame f = NCP_FRAME_INIT;
	struct ncp_client *c, *d;
	struct stat st;

	o.dir = t->dir;
	o.name = "first\033[2J\xff\xc3\xa9";
	if (ncp_attach(&c, t->name, &o) < 0)
		bail("attach");
	o.name = NULL;
	if (ncp_attach(&d, t->name, &o) < 0)
		bail("attach");
	is_i64(2, ncp_peers(c, p, 4), "two clients");
	int first = strncmp(p[0].name, "first", 5) == 0 ? 0 : 1;
	ok(strpbrk(p[first].name, "\033\xff") == NULL, "a name shows no control character: %s",
	   p[first].name);
	is_str("test_registry", p[!first].name, "the program's name, when none is given");
	is_u64(geteuid(), p[0].uid, "the owner");
	is_u64((uint64_t)getpid(), p[0].pid, "the process");
	is_i64(2, ncp_peers(c, p, 1), "more than there is room for are counted");
	p[0].size = 1;
	is_i64(-EINVAL, ncp_peers(c, p, 1), "refuses another size");
	p[0].size = sizeof(p[0]);
	is_i64(0, fstatat(registry(t), ".", &st, 0), "the directory");
	is_u64(03770, st.st_mode & 07777, "is sticky and setgid");
	bus_publish(t, 20);
	while (ncp_next(c, &f) == 1)
		;
	/* Told a quarter of a second later at the latest. */
	for (uint64_t until = ncpi_now_monotonic() + 5 * NCPI_SECOND;
	     p[first].seq != t->next && ncpi_now_monotonic() < until;) {
		if (ncp_wait(c, 50) < 0 || ncp_peers(d, p, 4) != 2)
			break;
		first = strncmp(p[0].name, "first", 5) == 0 ? 0 : 1;
	}
	is_u64(t->next, p[first].seq, "it tells where it is");
	is_u64(20, p[first].frames, "and how much it has read");
	ncp_detach(c);
	is_i64(1, ncp_peers(d, p, 4), "who leaves is no longer listed");
	ncp_detach(d);
}

/* --- a flood ------------------------------------------------------------------------------------ */

#define FLOOD 100000

/* One uid's files, some of them lines as good as any: another client is granted all the same. */
static void test_flood(void)
{
	struct ncp_options o = NCP_OPTIONS_INIT;
	char error[256] = "", name[32];
	struct test_bus t;
	struct ncp_client *c;
	int pieces = 0;

	if (geteuid() != 0) {
		skip(3, "only root can make another's files");
		return;
	}
	bus_make(&t);
	t.geo.reliable = true;
	bus_start(&t, true);
	struct ncpi_line l = line_of(&t, 0, 0);
	l.flags = NCPI_LINE_RELIABLE;
	for (int i = 0; i < FLOOD; i++) {
		snprintf(name, sizeof(name), "flood.%d", i);
		/* Most have the size of a line, and take no page. */
		int fd = put(&t, name, &l, i % 100 ? 0 : sizeof(l));

		if (ftruncate(fd, sizeof(l)) < 0 || fchown(fd, 12345, (gid_t)-1) < 0)
			bail("file %d of a flood", i);
		close(fd);
	}
	o.dir = t.dir;
	o.flags = NCP_RELIABLE;
	o.error = error;
	o.error_cap = sizeof(error);
	is_i64(0, ncp_attach(&c, t.name, &o), "among %d files of another's a client is granted%s",
	       FLOOD, error);
	bus_publish(&t, 20);
	struct ncp_frame f = NCP_FRAME_INIT;
	ok(ncp_next(c, &f) == 1 && f.kind == NCP_FRAME, "and reads");
	ncp_detach(c);
	bus_stop(&t, NCP_LIVE);

	/* The same without a clock: one scan from its beginning to its end. */
	bus_start(&t, false);
	while (t.w->roster.dir)
		ncpi_roster_scan(t.w);
	do {
		ncpi_roster_scan(t.w);
		pieces++;
	} while (t.w->roster.dir);
	ok(pieces < 30, "a scan takes %d pieces", pieces);
	bus_stop(&t, NCP_ENDED);
}

/* --- strangers' files ------------------------------------------------------------------------- */

static void test_hostile(struct test_bus *t)
{
	struct ncp_client *c = bus_attach(t, NCP_LATEST, 0, 0);
	struct ncp_peer p[4] = { NCP_PEER_INIT };
	struct ncpi_line l = line_of(t, UINT64_MAX - 3, UINT64_MAX);
	int fd[4], n = 0;

	if (mkfifoat(registry(t), "fifo", 0640) < 0 || mkdirat(registry(t), "dir", 0750) < 0 ||
	    symlinkat("/etc/passwd", registry(t), "link") < 0)
		bail("hostile files");
	fd[n++] = put(t, "short", &l, 100);
	fd[n] = put(t, "huge", &l, sizeof(l));
	if (ftruncate(fd[n++], (off_t)1 << 40) < 0)
		bail("ftruncate");
	struct ncpi_line wrong = l;
	wrong.magic ^= 1;
	fd[n++] = put(t, "magic", &wrong, sizeof(wrong));
	wrong = l;
	wrong.cursor[0].check = wrong.cursor[1].check = 1;
	fd[n++] = put(t, "check", &wrong, sizeof(wrong));
	for (int i = 0; i < n; i++)
		lock(fd[i], F_WRLCK);
	is_i64(1, ncp_peers(c, p, 4), "a FIFO, a directory, a link, broken lines: nobody is there");

	/* A line that lies is listed: about himself everybody may lie. */
	int liar = put(t, "liar", &l, sizeof(l));
	lock(liar, F_WRLCK);
	is_i64(2, ncp_peers(c, p, 4), "one that lies is listed");
	int at = strcmp(p[0].name, "made up") == 0 ? 0 : 1;
	is_u64(t->next, p[at].seq, "but never beyond what is published");
	is_u64(t->bus.seg.h->head, p[at].position, "nor its place");
	struct ncpi_audience a;
	struct ncpi_line_cursor cursor;
	ncpi_writer_audience(t->w, &a);
	ncpi_roster_scan(t->w);
	ncpi_writer_audience(t->w, &a);
	/* The one without a whole cursor lives, too. */
	is_u64(3, a.live, "the producer counts the living");

	l.cursor[0] = (struct ncpi_line_cursor){ 8, 1, ncpi_line_check(l.incarnation, 8, 1) };
	l.cursor[1].check ^= 1;
	ok(ncpi_line_cursor_get(&l, &cursor) && cursor.position == 8,
	   "of two copies of a cursor the whole one counts");
	l.cursor[1] = (struct ncpi_line_cursor){ 16, 2, ncpi_line_check(l.incarnation, 16, 2) };
	ok(ncpi_line_cursor_get(&l, &cursor) && cursor.position == 16, "of two whole ones the further");
	l.cursor[0].check = l.cursor[1].check = 0;
	ok(!ncpi_line_cursor_get(&l, &cursor), "of none, none");

	static const char *const names[] = { "fifo", "dir", "link", "short", "huge", "magic",
					     "check", "liar" };
	for (int i = 0; i < n; i++)
		close(fd[i]);
	close(liar);
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (ncpi_line_reap(registry(t), names[i], true) != 1)
			bail("reap %s", names[i]);
	is_i64(1, ncp_peers(c, p, 4), "and all of it can be taken away");
	ncp_detach(c);
}

/* A cursor that lies moves no limit: back, or beyond head. */
static void test_lying_cursor(void)
{
	struct test_bus t;

	bus_make(&t);
	t.geo.reliable = true;
	t.o.reliable_timeout_ms = 60000;
	bus_start(&t, false);
	bus_publish(&t, 100);
	const struct ncpi_header *h = t.bus.seg.h;
	struct ncpi_line l = line_of(&t, h->head, 100);
	l.flags = NCPI_LINE_RELIABLE;
	int fd = put(&t, "liar", &l, sizeof(l));
	lock(fd, F_WRLCK);
	ncpi_roster_scan(t.w);
	is_u64(1, t.w->roster.granted, "a client that asks is granted");
	uint64_t limit = t.w->roster.limit;
	is_u64(h->head + t.geo.ring_size, limit, "a ring from where it stands is free");
	bus_publish(&t, 50);
	const uint64_t lies[] = { 0, 4, h->head + 4, UINT64_MAX, UINT64_MAX - t.geo.ring_size };
	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		struct ncpi_line lie = line_of(&t, lies[i], 1);

		if (pwrite(fd, &lie, sizeof(lie), 0) != (ssize_t)sizeof(lie))
			bail("pwrite");
		ncpi_roster_refresh(t.w, 0);
		is_u64(limit, t.w->roster.limit, "lie %d moves nothing", (int)i);
	}
	if (ftruncate(fd, 0) < 0)
		bail("ftruncate");
	ncpi_roster_refresh(t.w, 0);
	is_u64(limit, t.w->roster.limit, "nor does an empty line");
	struct ncpi_line good = line_of(&t, h->head, 150);
	if (pwrite(fd, &good, sizeof(good), 0) != (ssize_t)sizeof(good))
		bail("pwrite");
	ncpi_roster_refresh(t.w, 0);
	is_u64(h->head + t.geo.ring_size, t.w->roster.limit, "the truth does");
	close(fd);
	bus_stop(&t, NCP_ENDED);
}

/* --- without it ------------------------------------------------------------------------------- */

static void test_deleted(struct test_bus *t)
{
	struct ncp_client *c = bus_attach(t, NCP_LATEST, 0, 0);
	struct ncp_frame f = NCP_FRAME_INIT;
	uint64_t until = ncpi_now_monotonic() + 10 * NCPI_SECOND;
	char name[64];

	/* Its name begins with the process's number: the only such one. */
	DIR *dir = fdopendir(openat(registry(t), ".", O_RDONLY | O_DIRECTORY));
	const struct dirent *e;
	snprintf(name, sizeof(name), "%d.", getpid());
	while (dir && (e = readdir(dir)))
		if (strncmp(e->d_name, name, strlen(name)) == 0)
			unlinkat(registry(t), e->d_name, 0);
	closedir(dir);
	is_i64(0, ncp_peers(c, NULL, 0), "a line that was deleted");
	while (ncp_next(c, &f) == 0 && ncpi_now_monotonic() < until)
		if (ncp_wait(c, 50) < 0)
			break;
	is_u64(NCP_UNLISTED, f.kind, "is missed by its client");
	is_i64(1, ncp_peers(c, NULL, 0), "and made again");
	ncp_detach(c);
	is_i64(0, ncp_peers(c = bus_attach(t, NCP_LATEST, 0, NCP_NO_REGISTRY), NULL, 0),
	       "who wants no line has none");
	ncp_detach(c);
}

static void test_no_registry(struct test_bus *t)
{
	struct ncp_frame f = NCP_FRAME_INIT;
	char name[NCPI_FILE_CAP];

	ncpi_name_file(name, t->name, "+clients");
	if (unlinkat(t->dirfd, name, AT_REMOVEDIR) < 0)
		bail("remove %s: %s", name, strerror(errno));
	struct ncp_client *c = bus_attach(t, NCP_OLDEST, 0, 0);
	is_i64(1, ncp_next(c, &f), "a bus without a registry is read all the same");
	is_i64(-ENOENT, ncp_peers(c, NULL, 0), "nobody is listed");
	ncp_detach(c);
}

int main(void)
{
	struct test_bus t;

	plan(10 + 12 + 9 + 9 + 4 + 2 + 3);
	bus_make(&t);
	bus_start(&t, false);
	test_life(&t);
	test_peers(&t);
	test_hostile(&t);
	test_lying_cursor();
	test_deleted(&t);
	test_no_registry(&t);
	bus_stop(&t, NCP_ENDED);
	test_flood();
	return tap_done();
}
