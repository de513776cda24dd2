/* SPDX-License-Identifier: BSD-2-Clause */
/* test_takeover.c - a producer that dies at any step leaves a bus that the next one continues. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus.h"
#include "libncpbus/layout.h"
#include "libncpbus/order.h"
#include "libncpbus/takeover.h"
#include "tap/tap.h"

/* The longest block of a test frame, and what stands between two waypoints of a 64 KiB ring. */
#define BLOCK_MAX 300
#define WAYPOINT_EVERY 1024

static const char *const steps[] = {
	"takeover:waypoint", "takeover:count", "takeover:epoch", "takeover:state",
	"prologue:bytes",    "prologue:count", "prologue:len",	 "publish:P1",
	"publish:P2",	     "publish:P3",     "publish:P4",	 "publish:block",
	"publish:P5",	     "publish:P5.1",   "publish:P5.2",	 "publish:P5.3",
	"publish:P8",	     "publish:P6",     "publish:P6.5",	 "publish:P7",
	"publish:done",
};
#define N_STEPS (sizeof(steps) / sizeof(*steps))

/* --- a producer that dies --------------------------------------------------------------------- */

#define DIED 42
static const char *die_at;
static uint64_t die_after; /* so many times the step passes before */

static void die(const char *step)
{
	if (strcmp(step, die_at) == 0 && die_after-- == 0)
		_exit(DIED);
}

static uint64_t published(struct test_bus *t)
{
	struct ncpi_totals totals;

	ncpi_writer_totals(t->w, &totals);
	return totals.next_seq;
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			bail("waitpid: %s", strerror(errno));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Up to 60 frames in one claim, as bus_publish() does 7: with some eight waypoints. */
static void publish_much(struct test_bus *t, uint64_t n)
{
	static uint8_t buf[60][FRAME_CAP];
	struct ncpi_frame f[60];

	for (uint64_t i = 0; i < n; i++) {
		f[i] = frame_fill(t->next + i, buf[i], FRAME_CAP);
		f[i].interface = (uint32_t)t->interface;
	}
	if (ncpi_writer_publish(t->w, 0, f, n) != n)
		bail("publish gave up");
	t->next += n;
}

/* Start a producer that dies at a step, unless it never comes there within so many frames. */
static bool producer_dies(struct test_bus *t, const char *step, uint64_t after, uint64_t frames)
{
	pid_t pid = fork();

	if (pid < 0)
		bail("fork: %s", strerror(errno));
	if (pid == 0) {
		die_at = step;
		die_after = after;
		ncpi_testpoint_fn = die;
		bus_start(t, false);
		t->next = published(t);
		for (uint64_t end = t->next + frames; t->next < end;) {
			publish_much(t, 40 + t->next % 20);
			bus_publish(t, 7);
		}
		const struct ncpi_interface_desc more = { .name = "more", .linktype = 113,
							  .snaplen = 262144 };
		_exit(ncpi_writer_interface(t->w, &more) < 0);
	}
	int status = wait_for(pid);
	if (status != DIED && status != 0)
		bail("the producer to die at %s ended with %d", step, status);
	return status == DIED;
}

/* --- a client that watches -------------------------------------------------------------------- */

struct watcher {
	struct ncp_client *c;
	uint64_t next; /* the number expected */
	bool fresh;    /* nothing read yet: what "oldest" no longer finds is missing, not lost */
	unsigned bad;
	uint64_t lost;
};

static void watch(struct watcher *w)
{
	struct ncp_frame f = NCP_FRAME_INIT;
	int r;

	while ((r = ncp_next(w->c, &f)) == 1) {
		if (f.kind == NCP_FRAME) {
			w->bad += (w->fresh ? f.seq < w->next : f.seq != w->next) || !frame_good(&f);
			w->next = f.seq + 1;
			w->fresh = false;
		} else if (f.kind == NCP_LOST) {
			w->bad += f.seq != w->next || f.next_seq <= f.seq;
			w->lost += f.next_seq - f.seq;
			w->next = f.next_seq;
		} else if (f.kind != NCP_STATE) {
			w->bad++;
		}
	}
	w->bad += r != 0;
}

static struct watcher watcher_at(struct test_bus *t, uint32_t whence)
{
	struct ncp_cursor cursor = NCP_CURSOR_INIT;
	struct watcher w = { .c = bus_attach(t, whence, 0, NCP_NO_REGISTRY) };

	if (ncp_tell(w.c, &cursor) < 0)
		bail("tell");
	w.next = cursor.seq;
	w.fresh = whence == NCP_OLDEST;
	return w;
}

/* What is wrong with a bus, as a client that comes now finds it: counted, and the first few told. */
static unsigned complain(unsigned bad, const char *what, uint64_t want, uint64_t got)
{
	if (bad < 3)
		diag("  %s: wanted %llu, got %llu", what, (unsigned long long)want,
		     (unsigned long long)got);
	return bad + 1;
}

/* Every frame from the oldest on is found by its number and by its time, and the oldest is as old
 * as can be: no further from tail than one waypoint. */
static unsigned inspect(struct test_bus *t, uint64_t next)
{
	struct ncp_client *c = bus_attach(t, NCP_OLDEST, 0, NCP_NO_REGISTRY);
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	struct ncp_where where = NCP_WHERE_INIT;
	struct ncp_cursor cursor = NCP_CURSOR_INIT;
	struct ncp_frame f = NCP_FRAME_INIT;
	unsigned bad = 0;

	if (ncp_bus_info(c, &info) < 0 || ncp_tell(c, &cursor) < 0)
		bail("bus info");
	if (info.next_seq != next)
		bad = complain(bad, "next_seq", next, info.next_seq);
	if (info.tail > info.head || info.head - info.tail > info.ring_size)
		bad = complain(bad, "tail against head", info.head, info.tail);
	uint64_t reach = info.tail ? info.tail + WAYPOINT_EVERY + BLOCK_MAX : 0;
	if (cursor.position < info.tail || cursor.position > reach)
		bad = complain(bad, "the oldest place", info.tail, cursor.position);
	for (uint64_t seq = info.oldest_seq; seq < next; seq++) {
		where.whence = NCP_SEQ;
		where.value = seq;
		if (ncp_seek(c, &where) != 0 || ncp_next(c, &f) != 1 || f.kind != NCP_FRAME ||
		    f.seq != seq || !frame_good(&f))
			bad = complain(bad, "sought by number", seq, f.seq);
		where.whence = NCP_TIME;
		where.value = FRAME_TS(seq) - seq % 2;
		if (ncp_seek(c, &where) != 0 || ncp_next(c, &f) != 1 || f.kind != NCP_FRAME ||
		    f.seq != seq)
			bad = complain(bad, "sought by time", seq, f.seq);
	}
	ncp_detach(c);
	return bad;
}

/* Words of the header that must not go back. */
struct marks {
	uint64_t head, tail, epoch, seq;
};

static struct marks marks_get(struct test_bus *t)
{
	struct ncpi_segment seg;
	int fd = ncpi_segment_open(t->dirfd, t->name, false, NULL, 0);

	if (fd < 0 || ncpi_segment_map(fd, false, &seg, NULL) < 0)
		bail("map the segment");
	close(fd);
	if (!ncpi_takeover_valid(&seg))
		bail("the segment cannot be continued");
	struct marks m = { ncpi_load(&seg.h->head), ncpi_load(&seg.h->tail),
			   ncpi_load(&seg.h->epoch), ncpi_takeover_seq(&seg) };
	ncpi_segment_unmap(&seg);
	return m;
}

/* The last epoch block between two positions. */
static bool epoch_block(const struct ncpi_segment *seg, uint64_t from, uint64_t to,
			struct ncpi_local *body)
{
	bool found = false;

	while (from < to) {
		const uint8_t *p = ncpi_segment_at(seg, from);
		uint32_t head[2];

		memcpy(head, p, 8);
		if (head[0] == NCPI_LOCAL) {
			memcpy(body, p + 8, sizeof(*body));
			found |= body->kind == NCPI_LOCAL_EPOCH;
		}
		from += head[1];
	}
	return found;
}

static void bus_forget(struct test_bus *t)
{
	if (ncpi_bus_remove(t->dirfd, t->name) < 0)
		bail("remove");
	t->next = 0;
}

/*
 * One life: an orderly epoch, then producers that die, then one that takes over.
 *
 * Returns what was wrong; *reached counts the deaths.
 */
static unsigned life(struct test_bus *t, uint64_t before, const char *const *deaths,
		     const uint64_t *after, unsigned n_deaths, unsigned *reached)
{
	unsigned bad = 0;

	bus_start(t, false);
	bus_publish(t, before);
	struct watcher old = watcher_at(t, NCP_LATEST);
	struct marks m = marks_get(t), now;
	bus_stop(t, before % 2 ? NCP_LIVE : NCP_STOPPED);

	struct watcher middle[4];
	for (unsigned i = 0; i < n_deaths; i++) {
		*reached += producer_dies(t, deaths[i], after[i], 2000);
		now = marks_get(t);
		if (now.head < m.head || now.tail < m.tail || now.epoch < m.epoch ||
		    now.seq < m.seq)
			bad = complain(bad, "something went back: head", m.head, now.head);
		m = now;
		t->next = m.seq;
		bad += inspect(t, m.seq);
		watch(&old);
		if (old.next != m.seq)
			bad = complain(bad, "the watcher's next frame", m.seq, old.next);
		middle[i] = watcher_at(t, NCP_OLDEST);
		if (i % 2)
			watch(&middle[i]);
	}

	struct ncpi_local body = { 0 };
	bus_start(t, false);
	if (t->bus.how != NCPI_BUS_CONTINUED)
		bad = complain(bad, "how it was opened", NCPI_BUS_CONTINUED, t->bus.how);
	const struct ncpi_header *h = t->bus.seg.h;
	if (h->epoch <= m.epoch || h->tail < m.tail || h->head < m.head)
		bad = complain(bad, "epoch after takeover", m.epoch + 1, h->epoch);
	if (!epoch_block(&t->bus.seg, m.head, h->head, &body) || body.epoch != h->epoch ||
	    body.next_seq != m.seq || body.incarnation != h->incarnation || !body.from_ns ||
	    body.from_ns > body.to_ns || body.to_ns != h->epoch_start_ns)
		bad = complain(bad, "the epoch block's number", m.seq, body.next_seq);
	bad += inspect(t, m.seq);
	struct watcher late = watcher_at(t, NCP_OLDEST);
	/* Head passes what the dead had begun, then several laps. */
	for (int i = 0; i < 12; i++) {
		bus_publish(t, i < 8 ? 8 : 300);
		watch(&old);
		watch(&late);
		for (unsigned k = 0; k < n_deaths; k++)
			watch(&middle[k]);
		bad += inspect(t, t->next);
	}
	bad += old.bad + late.bad;
	if (late.lost)
		bad = complain(bad, "lost by the late one", 0, late.lost);
	if (old.next != t->next || late.next != t->next)
		bad = complain(bad, "all were read", t->next, late.next);
	for (unsigned k = 0; k < n_deaths; k++) {
		bad += middle[k].bad;
		if (middle[k].next != t->next)
			bad = complain(bad, "all were read", t->next, middle[k].next);
		ncp_detach(middle[k].c);
	}
	ncp_detach(old.c);
	ncp_detach(late.c);
	bus_stop(t, NCP_STOPPED);
	bus_forget(t);
	return bad;
}

static void test_each_step(struct test_bus *t)
{
	/* Before: nothing, one frame, almost a lap, some laps.  After: in the epoch block's commit,
	 * in the first batches, anywhere. */
	static const uint64_t before[] = { 0, 1, 415 };
	static const uint64_t after[] = { 0, 1, 3, 40 };

	for (size_t s = 0; s < N_STEPS; s++) {
		unsigned bad = 0, reached = 0;

		for (size_t b = 0; b < sizeof(before) / sizeof(*before); b++)
			for (size_t a = 0; a < sizeof(after) / sizeof(*after); a++) {
				unsigned now = life(t, before[b], &steps[s], &after[a], 1, &reached);

				if (now)
					diag("%s: %llu frames before, %llu times passed", steps[s],
					     (unsigned long long)before[b],
					     (unsigned long long)after[a]);
				bad += now;
			}
		is_u64(0, bad, "death at %s (%u times) is continued from", steps[s], reached);
		ok(reached > 0, "and %s was reached", steps[s]);
	}
}

static void test_chains(struct test_bus *t)
{
	struct tap_rng rng = { .seed = tap_seed() };
	unsigned bad = 0, reached = 0;

	for (int i = 0; i < 40; i++) {
		const char *deaths[4];
		uint64_t after[4];
		unsigned n = 2 + (unsigned)tap_rng_below(&rng, 3);
		uint64_t before = tap_rng_below(&rng, 1500);

		for (unsigned k = 0; k < n; k++) {
			deaths[k] = steps[tap_rng_below(&rng, N_STEPS)];
			after[k] = tap_rng_below(&rng, tap_rng_below(&rng, 2) ? 4 : 300);
		}
		unsigned now = life(t, before, deaths, after, n, &reached);
		if (now)
			diag("life %d: %u deaths after %llu frames, the first at %s", i, n,
			     (unsigned long long)before, deaths[0]);
		bad += now;
	}
	is_u64(0, bad, "many producers that die one after the other are continued from");
	ok(reached > 20, "and %u of them did die", reached);
}

/* What the workers of a dead producer had counted goes together with head again, whoever it was of. */
static void test_counts(struct test_bus *t)
{
	static const struct {
		const char *what;
		uint64_t line[3];
	} left[] = {
		{ "less than head by a claim", { 10, 80, 3 } },
		{ "more, by what was done and not committed", { 0, 104, 9 } },
		{ "more, by all that some have", { 2, 3, 150 } },
	};

	for (size_t i = 0; i < sizeof(left) / sizeof(*left); i++) {
		struct ncpi_totals totals;
		unsigned wrapped = 0;

		bus_start(t, false);
		bus_publish(t, 100);
		for (uint32_t k = 0; k < 3; k++)
			ncpi_worker_at(&t->bus.seg, k)->published = left[i].line[k];
		bus_stop(t, NCP_LIVE);
		bus_start(t, false);
		ncpi_writer_totals(t->w, &totals);
		for (uint32_t k = 0; k < t->bus.seg.n_workers; k++)
			wrapped += ncpi_worker_at(&t->bus.seg, k)->published > 100;
		is_u64(totals.next_seq, totals.sum.published, "workers' counts: %s: mended", left[i].what);
		is_u64(0, wrapped, "%s: and none is below zero", left[i].what);
		bus_stop(t, NCP_ENDED);
		bus_forget(t);
	}
}

/* --- what is continued, replaced, refused ----------------------------------------------------- */

static int open_again(struct test_bus *t, struct ncpi_bus *bus)
{
	char why[128];

	return ncpi_bus_open(t->dirfd, t->name, &t->geo, bus, why);
}

static void test_exclusive(struct test_bus *t)
{
	struct ncpi_bus second;

	bus_start(t, false);
	is_i64(-EBUSY, open_again(t, &second), "a second producer is refused while the first lives");
	is_i64(-EBUSY, ncpi_bus_remove(t->dirfd, t->name), "and so is --remove");
	bus_stop(t, NCP_STOPPED);
	is_i64(0, open_again(t, &second), "and let in when it has gone");
	ncpi_bus_close(&second);
	bus_forget(t);
}

static int unlink_dirfd;
static char unlink_name[NCPI_FILE_CAP];

static void unlink_once(const char *step)
{
	if (strcmp(step, "lock:opened"))
		return;
	ncpi_testpoint_fn = NULL;
	if (unlinkat(unlink_dirfd, unlink_name, 0) < 0)
		bail("unlink the lock");
}

static void test_lock_unlinked(struct test_bus *t)
{
	struct stat held, named;
	struct ncpi_bus bus;

	unlink_dirfd = t->dirfd;
	ncpi_name_file(unlink_name, t->name, "+lock");
	ncpi_testpoint_fn = unlink_once;
	is_i64(0, open_again(t, &bus), "the lock's name goes between its open and its lock");
	ok(fstat(bus.lock_fd, &held) == 0 &&
		   fstatat(t->dirfd, unlink_name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
		   held.st_ino == named.st_ino,
	   "the lock that is held is the one that has the name");
	struct ncpi_bus second;
	is_i64(-EBUSY, open_again(t, &second), "so that nobody else gets it");
	ncpi_bus_close(&bus);
	bus_forget(t);
}

static void test_read_lock(struct test_bus *t)
{
	struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
	struct ncpi_bus bus;

	bus_start(t, false);
	bus_stop(t, NCP_STOPPED);
	int fd = ncpi_segment_open(t->dirfd, t->name, false, NULL, 0);
	if (fd < 0 || fcntl(fd, F_OFD_SETLK, &lock) < 0)
		bail("read lock on the segment");
	is_i64(0, open_again(t, &bus), "a reader's lock on the segment blocks no takeover");
	is_u64(NCPI_BUS_CONTINUED, bus.how, "which continues it");
	ncpi_bus_close(&bus);
	close(fd);
	bus_forget(t);
}

static void test_no_creat(struct test_bus *t)
{
	/* With fs.protected_regular = 2 an O_CREAT open of an existing file in a sticky directory
	 * fails.  Without O_EXCL it can meet one: such an open ends this child. */
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, O_CREAT | O_EXCL),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, O_CREAT, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = { .len = sizeof(filter) / sizeof(*filter),
					    .filter = filter };

	bus_start(t, false);
	bus_stop(t, NCP_STOPPED);
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
			    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
				_exit(1);
			if (i == 1) { /* the trap works */
				int fd = openat(t->dirfd, "x", O_CREAT | O_RDWR, 0600);

				_exit(fd < 0);
			}
			bus_start(t, false);
			ncp_detach(bus_attach(t, NCP_OLDEST, 0, 0));
			bus_stop(t, NCP_ENDED);
			bus_start(t, false);
			bus_stop(t, NCP_STOPPED);
			_exit(0);
		}
		is_i64(i ? -1 : 0, wait_for(pid), i ? "such an open is caught" :
			"no file is opened with O_CREAT and without O_EXCL");
	}
	bus_forget(t);
}

/* How a bus that was changed like this is opened again; the watcher's last state. */
enum change {
	SAME, RING_SIZE, RELIABLE, ROWS, MODE, ENDED, CLOSED, NO_MAGIC, EMPTY, NO_SLOT, PROLOGUE,
	TAIL, MAJOR, N_CHANGES
};
static const char *const change_name[] = {
	"unchanged",	  "another ring size", "--reliable",	"another --max-reliable",
	"another mode",	  "ended",	       "closed",	"without magic",
	"an empty file",  "no slot for head",  "a broken prologue", "tail beyond head",
	"another major",
};

static void change_segment(struct test_bus *t, enum change change)
{
	char name[NCPI_FILE_CAP];
	struct ncpi_segment seg;
	int fd = ncpi_segment_open(t->dirfd, t->name, true, NULL, 0);

	if (fd < 0 || ncpi_segment_map(fd, true, &seg, NULL) < 0)
		bail("map the segment");
	if (change == NO_MAGIC)
		seg.h->magic = 0;
	if (change == NO_SLOT)
		seg.h->slot[0].position = seg.h->slot[1].position = 4;
	if (change == PROLOGUE)
		memset(seg.prologue, 0xff, 64);
	if (change == TAIL)
		seg.h->tail = seg.h->head + 4;
	if (change == MAJOR)
		seg.h->major = 9;
	ncpi_name_file(name, t->name, "");
	if (change == EMPTY && (unlinkat(t->dirfd, name, 0) < 0 ||
				close(openat(t->dirfd, name, O_CREAT | O_EXCL, 0600)) < 0))
		bail("an empty file");
	ncpi_segment_unmap(&seg);
	close(fd);
}

static void test_change(struct test_bus *t, enum change change)
{
	struct ncpi_geometry geo = t->geo;

	bus_start(t, false);
	bus_publish(t, 100);
	uint64_t incarnation = t->bus.seg.incarnation;
	struct watcher old = watcher_at(t, NCP_OLDEST);
	watch(&old);
	bus_publish(t, 10);
	bus_stop(t, change == ENDED ? NCP_ENDED : change == CLOSED ? NCP_CLOSED : NCP_STOPPED);
	change_segment(t, change);

	t->geo.ring_size <<= change == RING_SIZE;
	t->geo.reliable = change == RELIABLE;
	t->geo.n_reliable += change == ROWS;
	t->geo.mode |= change == MODE ? 0040 : 0;
	t->geo.snaplen = 100; /* may differ */
	bus_start(t, false);
	t->geo = geo;
	bool replaced = change != SAME, known = change <= CLOSED;
	const struct ncpi_header *h = t->bus.seg.h;

	is_u64(replaced ? NCPI_BUS_REPLACED : NCPI_BUS_CONTINUED, t->bus.how, "%s: %s",
	       change_name[change], replaced ? "replaced" : "continued");
	is_u64(replaced ? (known ? incarnation : 0) : 0, h->replaced,
	       "%s: names what it replaced", change_name[change]);
	is_u64(replaced && known ? 110 : 0, h->replaced_next_seq, "%s: and its last number",
	       change_name[change]);
	ok((h->incarnation == incarnation) == !replaced, "%s: is %s bus", change_name[change],
	   replaced ? "another" : "the same");
	if (known) {
		struct ncp_frame f = NCP_FRAME_INIT;
		uint32_t last = 0;
		unsigned n = 0;

		while (ncp_next(old.c, &f) == 1 && f.kind != NCP_REATTACHED) {
			n += f.kind == NCP_FRAME && f.seq == 100 + n && frame_good(&f);
			if (f.kind == NCP_STATE)
				last = f.state;
		}
		is_u64(10, n, "%s: its client gets what was left", change_name[change]);
		is_u64(!replaced ? 0 : change == ENDED ? NCP_ENDED : NCP_CLOSED, last,
		       "%s: then the state", change_name[change]);
		is_u64(replaced ? NCP_REATTACHED : NCP_FRAME, f.kind, "%s: then the new bus",
		       change_name[change]);
		t->next = replaced ? 0 : 110;
		bus_publish(t, 1);
		is_i64(1, ncp_next(old.c, &f), "%s: a frame", change_name[change]);
		ok(f.kind == NCP_FRAME && f.seq == t->next - 1 && frame_good(&f) &&
			   f.incarnation == h->incarnation,
		   "%s: of that bus", change_name[change]);
	}
	ncp_detach(old.c);
	bus_stop(t, NCP_STOPPED);
	bus_forget(t);
}

static void test_leftovers(struct test_bus *t)
{
	char made[NCPI_FILE_CAP];
	struct ncpi_bus bus;
	struct stat st;

	ncpi_name_file(made, t->name, "+new");
	if (close(openat(t->dirfd, made, O_CREAT | O_EXCL, 0600)) < 0)
		bail("make %s", made);
	is_i64(0, open_again(t, &bus), "what a start that died had made is no obstacle");
	ncpi_bus_close(&bus);
	bus_forget(t);
	if (symlinkat("/etc/passwd", t->dirfd, made) < 0)
		bail("make %s", made);
	is_i64(0, open_again(t, &bus), "nor is a link of that name");
	is_i64(0, stat("/etc/passwd", &st), "which is not followed");
	ncpi_bus_close(&bus);
	bus_forget(t);
	if (mkdirat(t->dirfd, made, 0700) < 0)
		bail("make %s", made);
	is_i64(NCP_ENOTBUS, open_again(t, &bus), "a directory of that name is refused");
	is_i64(0, ncpi_bus_remove(t->dirfd, t->name), "and --remove removes it");
	is_i64(NCP_ENOBUS, ncpi_bus_remove(t->dirfd, t->name), "so that nothing is left");
}

/* A directory of that name, with a link and another directory in it, twenty deep. */
static void squat(struct test_bus *t, const char *suffix)
{
	char name[NCPI_FILE_CAP];
	int at = dup(t->dirfd);

	ncpi_name_file(name, t->name, suffix);
	for (int depth = 0; depth < 20; depth++) {
		int next = mkdirat(at, name, 0755) < 0 ? -1 : openat(at, name, O_DIRECTORY);

		if (next < 0 || symlinkat("/", next, "root") < 0)
			bail("make a squatter's directory");
		close(at);
		at = next;
		strcpy(name, "down");
	}
	close(at);
}

static void test_squatters(struct test_bus *t)
{
	static const char *const suffix[] = { "", "+lock", "+clients", "+new" };
	struct ncpi_bus bus;

	for (int i = 0; i < 4; i++)
		squat(t, suffix[i]);
	ok(open_again(t, &bus) < 0, "names that hold other things are refused");
	is_i64(0, ncpi_bus_remove(t->dirfd, t->name), "--remove deletes them");
	is_i64(0, open_again(t, &bus), "and the bus can be made");
	is_u64(NCPI_BUS_CREATED, bus.how, "new");
	ncpi_bus_close(&bus);
	bus_forget(t);
}

int main(void)
{
	struct test_bus t;
	int fds;

	plan(2 * N_STEPS + 2 + 2 * 3 + 3 + 3 + 2 + 2 + 4 * N_CHANGES + 5 * NO_MAGIC + 6 + 4 + 1);
	fds = tap_open_fds();
	bus_make(&t);
	test_each_step(&t);
	test_chains(&t);
	test_counts(&t);
	test_exclusive(&t);
	test_lock_unlinked(&t);
	test_read_lock(&t);
	test_no_creat(&t);
	for (enum change c = SAME; c < N_CHANGES; c++)
		test_change(&t, c);
	test_leftovers(&t);
	test_squatters(&t);
	is_i64(fds + 1, tap_open_fds(), "nothing left open but the directory");
	return tap_done();
}
