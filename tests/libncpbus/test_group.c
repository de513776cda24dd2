/* SPDX-License-Identifier: BSD-2-Clause */
/* test_group.c - a group's members share every frame, whoever joins, leaves, stops or dies. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bus.h"
#include "libncpbus/group.h"
#include "libncpbus/order.h"
#include "libncpbus/stamp.h"
#include "tap/tap.h"

#define FRAMES_MAX 400000u
#define MEMBERS 6

static struct test_bus bus;
static int n_started;
static uint32_t member_flags;

/* What all processes know of each frame. */
static struct ledger {
	uint8_t read[FRAMES_MAX]; /* how often it was done with */
	uint8_t lost[FRAMES_MAX];
	uint64_t frames, losses; /* sums over the ledgers of members that left in order */
	uint64_t taken; /* frames that a member got of another who died or left */
	uint32_t stays; /* the member that neither leaves nor is killed has attached */
} *all;

static void count(uint8_t *n)
{
	if (ncpi_load(n) < 200)
		ncpi_add(n, 1);
}

static void start(uint64_t ring_size, bool threads)
{
	bus_make(&bus);
	bus.geo.ring_size = ring_size;
	bus.geo.reliable = member_flags & NCP_RELIABLE;
	bus.geo.n_reliable = 8 * MEMBERS;
	bus_start(&bus, threads);
	n_started++;
	memset(all, 0, sizeof(*all));
}

static int attach_as(struct ncp_client **c, const char *group, uint32_t whence, uint32_t flags,
		     char error[256])
{
	struct ncp_options o = NCP_OPTIONS_INIT;

	o.dir = bus.dir;
	o.group = group;
	o.flags = flags;
	o.from.whence = whence;
	o.error = error;
	o.error_cap = 256;
	return ncp_attach(c, bus.name, &o);
}

static struct ncp_client *member(void)
{
	struct ncp_client *c;
	char error[256];

	if (attach_as(&c, "work", NCP_OLDEST, member_flags, error) < 0)
		bail("attach: %s", error);
	return c;
}

/* --- a member's work --------------------------------------------------------------------------- */

enum how { COPY, PLACE, BATCH, SPAN, N_HOW };

struct worker {
	struct ncp_client *c;
	struct tap_rng rng;
	uint64_t taken;
	uint64_t given[32]; /* in place, by the last call: read unless the next one says lost */
	uint32_t n_given;
	unsigned bad;
	bool ended;
	uint64_t events[NCP_SPAN + 1];
};

/* Before the call that says that it is done with them: who is killed in it counts no more. */
static void given_count(struct worker *w)
{
	for (uint32_t i = 0; i < w->n_given; i++)
		count(&all->read[w->given[i]]);
}

/* Behind that call, which may have found that they were overrun. */
static void given_settle(struct worker *w, const struct ncp_frame *lost)
{
	for (uint32_t i = 0; lost && i < w->n_given; i++)
		if (w->given[i] >= lost->seq && w->given[i] < lost->next_seq)
			ncpi_add(&all->read[w->given[i]], (uint8_t)-1);
	w->n_given = 0;
}

static void event_see(struct worker *w, const struct ncp_frame *f)
{
	w->events[f->kind]++;
	if (f->kind == NCP_STATE && f->state == NCP_ENDED)
		w->ended = true;
	for (uint64_t seq = f->seq; f->kind == NCP_LOST && seq < f->next_seq; seq++)
		count(&all->lost[seq]);
}

static void span_see(struct worker *w, const struct ncp_span *s)
{
	uint64_t frames = 0;

	for (size_t off = 0; off < s->len;) {
		uint32_t head[2];

		memcpy(head, s->data + off, 8);
		if (head[1] < 12 || head[1] > s->len - off) {
			frames = UINT64_MAX;
			break;
		}
		frames += head[0] == NCPI_EPB;
		off += head[1];
	}
	bool whole = ncp_intact(w->c, s->position);
	w->bad += whole && frames != s->next_seq - s->first_seq;
	if (!whole)
		ncp_span_lost(w->c, s->next_seq - s->first_seq);
	for (uint64_t seq = s->first_seq; seq < s->next_seq; seq++)
		count(whole ? &all->read[seq] : &all->lost[seq]);
}

static void sum_check(struct worker *w)
{
	struct ncp_stats s = NCP_STATS_INIT;

	w->bad += ncp_stats(w->c, &s) != 0;
	w->bad += s.now.frames + s.now.filtered + s.now.others + s.now.lost !=
		  s.now.next_seq - s.now.first_seq;
	if (w->c->taken > w->taken)
		ncpi_add(&all->taken, w->c->taken - w->taken);
	w->taken = w->c->taken;
}

/* One reading call.  Its result. */
static int work(struct worker *w, enum how how)
{
	struct ncp_frame f[32] = { NCP_FRAME_INIT };
	struct ncp_span span = NCP_SPAN_INIT;
	uint8_t buf[FRAME_CAP];
	int r;

	given_count(w);
	switch (how) {
	case COPY:
		r = ncp_recv(w->c, buf, sizeof(buf), f);
		break;
	case PLACE:
		r = ncp_next(w->c, f);
		break;
	case BATCH:
		r = ncp_next_batch(w->c, f, 1 + (int)tap_rng_below(&w->rng, 32));
		break;
	default:
		r = ncp_span(w->c, tap_rng_below(&w->rng, 6000), &span, f);
		break;
	}
	w->bad += r < 0;
	bool frame = r > 0 && f[0].kind == NCP_FRAME;
	given_settle(w, r > 0 && f[0].kind == NCP_LOST ? f : NULL);
	if (r > 0 && f[0].kind == NCP_SPAN)
		span_see(w, &span);
	else if (r > 0 && !frame)
		event_see(w, f);
	for (int i = 0; frame && i < r; i++) {
		bool good = frame_good(&f[i]);

		w->bad += !good && (how == COPY || ncp_intact(w->c, f[i].position));
		if (how == COPY)
			count(&all->read[f[i].seq]);
		else
			w->given[w->n_given++] = f[i].seq;
	}
	sum_check(w);
	return r;
}

static void drain(struct worker *w)
{
	while (work(w, (enum how)tap_rng_below(&w->rng, N_HOW)) > 0)
		;
}

static void leave(struct worker *w)
{
	struct ncp_stats s = NCP_STATS_INIT;

	given_count(w);
	w->n_given = 0;
	w->bad += ncp_stats(w->c, &s) != 0;
	ncpi_add(&all->frames, s.total.frames);
	ncpi_add(&all->losses, s.total.lost);
	ncp_detach(w->c);
	w->c = NULL;
}

/* How often each frame was read or lost: the least and the most. */
static void extremes(uint64_t *least, uint64_t *most)
{
	*least = UINT64_MAX;
	*most = 0;
	for (uint64_t i = 0; i < bus.next; i++) {
		uint64_t n = (uint64_t)all->read[i] + all->lost[i];

		*least = n < *least ? n : *least;
		*most = n > *most ? n : *most;
	}
}

static uint64_t total(const uint8_t *of)
{
	uint64_t n = 0;

	for (uint64_t i = 0; i < bus.next; i++)
		n += of[i];
	return n;
}

/* --- refusals ---------------------------------------------------------------------------------- */

static void test_refusals(void)
{
	char name[TAP_BUS_NAME_CAP + 64], error[256];
	struct ncp_options o = NCP_OPTIONS_INIT;
	struct ncp_where where = NCP_WHERE_INIT;
	struct ncp_client *c;
	struct stat st;

	start(1 << 16, false);
	is_i64(NCP_EGROUP, attach_as(&c, "a/b", NCP_LATEST, 0, error), "refuses a name with a slash");
	ok(strstr(error, "name") != NULL, "and says so: %s", error);
	is_i64(-EINVAL, attach_as(&c, "work", NCP_LATEST, NCP_ORDERED, error),
	       "refuses an order of times in a group");
	o.dir = bus.dir;
	o.group = "work";
	o.shard_n = 2;
	is_i64(-EINVAL, ncp_attach(&c, bus.name, &o), "refuses shards in a group");
	c = member();
	is_i64(-EINVAL, ncp_seek(c, &where), "refuses to seek: the place is the group's");
	snprintf(name, sizeof(name), "ncp.%s+clients/+group.%u.work", bus.name, geteuid());
	is_i64(0, fstatat(bus.dirfd, name, &st, AT_SYMLINK_NOFOLLOW), "there is the group's file");
	is_i64(0600, st.st_mode & 07777, "for its owner alone");
	ncp_detach(c);

	int fd = openat(bus.dirfd, name, O_WRONLY | O_APPEND);
	is_i64(5, write(fd, "junk\n", 5), "something else in it");
	close(fd);
	is_i64(NCP_EGROUP, attach_as(&c, "work", NCP_LATEST, 0, error), "is refused");
	ok(strstr(error, "something else") != NULL, "and said: %s", error);
	int registry = ncpi_dir_open(bus.dir);
	char dir[TAP_BUS_NAME_CAP + 16];
	snprintf(dir, sizeof(dir), "ncp.%s+clients", bus.name);
	close(registry);
	registry = openat(bus.dirfd, dir, O_RDONLY | O_DIRECTORY);
	snprintf(dir, sizeof(dir), "+group.%u.work", geteuid());
	is_i64(0, ncpi_group_reap(registry, dir), "a file of the right owner is left alone");
	if (geteuid() == 0) {
		is_i64(0, fchownat(bus.dirfd, name, 12345, -1, 0), "somebody else's in its place");
		is_i64(NCP_EGROUP, attach_as(&c, "work", NCP_LATEST, 0, error), "is refused");
		ok(strstr(error, "12345") != NULL, "and named: %s", error);
		is_i64(1, ncpi_group_reap(registry, dir), "and is removed by who may");
	} else {
		skip(4, "only root can make another's file");
		unlinkat(bus.dirfd, name, 0);
	}
	is_i64(0, mkdirat(bus.dirfd, name, 0700), "a directory in its place");
	is_i64(NCP_EGROUP, attach_as(&c, "work", NCP_LATEST, 0, error), "is refused");
	is_i64(1, ncpi_group_reap(registry, dir), "and removed, too");
	close(registry);
	snprintf(dir, sizeof(dir), "ncp.%s+clients", bus.name);
	is_i64(0, unlinkat(bus.dirfd, dir, AT_REMOVEDIR), "without a registry");
	is_i64(NCP_EGROUP, attach_as(&c, "work", NCP_LATEST, 0, error), "there is no group");
	ok(strstr(error, "registry") != NULL, "and it is said why: %s", error);
	bus_stop(&bus, NCP_ENDED);
}

/* --- in one process ---------------------------------------------------------------------------- */

static void test_share(void)
{
	struct worker w[3] = { 0 };
	struct ncp_stats s = NCP_STATS_INIT;
	uint64_t least, most, others = 0;
	unsigned with = 0;

	start(1 << 20, false);
	for (int i = 0; i < 3; i++) {
		w[i].c = member();
		w[i].rng.seed = tap_seed() + (unsigned)i;
	}
	for (int i = 0; i < 60; i++) {
		bus_publish(&bus, 1 + tap_rng_below(&w[0].rng, 500));
		/* One claim and a bit each, in turn. */
		for (int k = 0; k < 3; k++)
			for (int n = 0; n < 3; n++)
				work(&w[k], (enum how)(i % N_HOW));
		if (i % 10 == 9)
			for (int k = 0; k < 3; k++)
				drain(&w[k]);
	}
	for (int n = 0; n < 2; n++)
		for (int k = 0; k < 3; k++)
			drain(&w[k]);
	extremes(&least, &most);
	is_u64(1, least, "three members together have every frame");
	is_u64(1, most, "each once");
	is_u64(0, total(all->lost), "and lost none");
	for (int k = 0; k < 3; k++) {
		if (ncp_stats(w[k].c, &s) < 0)
			bail("stats");
		with += s.now.frames > 0;
		others += s.now.others;
		is_u64(bus.next, s.now.frames + s.now.others, "member %d: its own and the others'",
		       k);
		is_u64(0, w[k].bad, "and nothing wrong");
		leave(&w[k]);
	}
	is_u64(3, with, "each of them had some");
	is_u64(2 * bus.next, others, "each frame is the others' twice");

	/* Nobody is there; then somebody comes. */
	uint64_t before = bus.next;
	bus_publish(&bus, 500);
	w[0].c = member();
	is_i64(1, work(&w[0], COPY), "who comes later");
	is_i64(0, ncp_stats(w[0].c, &s), "stats");
	is_u64(before, s.now.first_seq, "goes on where the last one left");
	/* Leaves in the middle of its claim. */
	for (int i = 0; i < 9; i++)
		work(&w[0], COPY);
	leave(&w[0]);
	w[0].c = member();
	drain(&w[0]);
	nanosleep(&(struct timespec){ .tv_nsec = 60000000 }, NULL);
	drain(&w[0]);
	extremes(&least, &most);
	is_u64(1, least, "what it gave back is read by another");
	is_u64(1, most, "from there on, nothing twice");
	is_u64(0, w[0].bad, "and its ledger adds up");
	leave(&w[0]);
	is_u64(bus.next, all->frames, "the ledgers together have each frame once");
	bus_stop(&bus, NCP_ENDED);
}

/* At its n-th time at a step a member is stopped, and another reads all it can get; or it dies. */
static const char *step_name;
static unsigned step_left;
static struct worker *step_other; /* NULL: die */
static unsigned step_claims; /* of the other while it is stopped; 0: all that can be had */

static void at_step(const char *step)
{
	if (strcmp(step, step_name) || step_left == 0 || --step_left)
		return;
	if (!step_other)
		_exit(7);
	ncpi_testpoint_fn = NULL;
	drain(step_other);
	for (unsigned i = 0; i < step_claims; i++) {
		bus_publish(&bus, 1);
		drain(step_other);
	}
	ncpi_testpoint_fn = at_step;
}

static const char *const steps[] = { "group:G3", "group:G4", "group:G6", "group:G6.5", "read:C2" };
#define N_STEPS (sizeof(steps) / sizeof(*steps))

static void test_stopped_at(unsigned claims)
{
	const char *what = claims ? "for long " : "";
	uint64_t least, most;

	step_claims = claims;
	for (size_t i = 0; i < N_STEPS; i++) {
		struct worker a = { 0 }, b = { 0 };

		start(claims ? 1 << 22 : 1 << 20, false);
		a.c = member();
		b.c = member();
		bus_publish(&bus, 3000);
		step_name = steps[i];
		step_left = 2;
		step_other = &b;
		ncpi_testpoint_fn = at_step;
		for (int n = 0; n < 4; n++) {
			while (work(&a, PLACE) > 0)
				;
			bus_publish(&bus, 10);
		}
		ncpi_testpoint_fn = NULL;
		drain(&a);
		drain(&b);
		extremes(&least, &most);
		is_u64(1, least, "a member stopped %sat %s holds up nobody", what, steps[i]);
		is_u64(1, most, "and nothing comes twice");
		is_u64(0, total(all->lost), "or is lost");
		is_u64(0, a.bad + b.bad + step_left, "in both ledgers");
		leave(&a);
		leave(&b);
		is_u64(bus.next, all->frames, "which together have each frame once");
		bus_stop(&bus, NCP_ENDED);
	}
	step_claims = 0;
}

static bool was_looked_at(void *arg)
{
	struct worker *w = arg;

	drain(w);
	return w->ended;
}

static void test_dead_at(void)
{
	uint64_t least, most;

	for (size_t i = 0; i < N_STEPS; i++) {
		struct worker b = { 0 };
		int status = 0;

		start(1 << 20, false);
		b.c = member();
		bus_publish(&bus, 3000);
		fflush(NULL);
		pid_t pid = fork();
		if (pid == 0) {
			struct worker a = { .c = member() };

			step_name = steps[i];
			step_left = 2;
			step_other = NULL;
			ncpi_testpoint_fn = at_step;
			while (work(&a, COPY) > 0)
				;
			_exit(1);
		}
		waitpid(pid, &status, 0);
		is_i64(7, WIFEXITED(status) ? WEXITSTATUS(status) : -1, "a member dies at %s",
		       steps[i]);
		ncpi_writer_state(bus.w, NCP_ENDED, 0);
		ok(wait_until(was_looked_at, &b, 5000), "another is told the end");
		extremes(&least, &most);
		is_u64(1, least, "when it has read what the dead one held");
		ok(most <= 2, "which then may come twice");
		is_u64(0, b.bad, "and its ledger adds up");
		/* Done is done: what was marked before the death is not read again. */
		ok(strcmp(steps[i], "group:G6.5") || most == 1, "but not if it was done with");
		leave(&b);
		bus_stop(&bus, NCP_ENDED);
	}
}

/* A claim that is held while the ring goes on: lost, by who holds it, or by who takes over. */
static void test_overrun(bool dies)
{
	struct worker a = { 0 }, b = { 0 };
	struct ncp_stats s = NCP_STATS_INIT;
	uint64_t least, most;
	int to_child[2], status;
	pid_t pid = 0;

	start(1 << 16, false);
	b.c = member();
	bus_publish(&bus, 300);
	if (dies) {
		uint8_t byte;

		if (pipe(to_child) < 0)
			bail("pipe");
		fflush(NULL);
		pid = fork();
		if (pid == 0) {
			a.c = member();
			if (ncp_recv(a.c, &byte, 1, &(struct ncp_frame)NCP_FRAME_INIT) != 1)
				_exit(1);
			count(&all->read[0]);
			if (write(to_child[1], "", 1) != 1)
				_exit(1);
			pause();
		}
		if (read(to_child[0], &byte, 1) != 1)
			bail("child");
		close(to_child[0]);
		close(to_child[1]);
	} else {
		a.c = member();
		work(&a, COPY);
	}
	for (int i = 0; i < 100; i++) {
		bus_publish(&bus, 100);
		drain(&b);
	}
	is_u64(0, total(all->lost), "what a stopped member holds is nobody else's loss");
	if (dies) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		ncpi_writer_state(bus.w, NCP_ENDED, 0);
		ok(wait_until(was_looked_at, &b, 5000), "killed, it holds up the end no longer");
		is_i64(0, ncp_stats(b.c, &s), "stats");
		is_u64(s.now.lost, total(all->lost), "the loss is told by who took over");
	} else {
		drain(&a);
		is_u64(0, b.events[NCP_LOST], "the other lost nothing");
		is_i64(0, ncp_stats(a.c, &s), "stats");
		is_u64(s.now.lost, total(all->lost), "when it goes on it tells its loss");
		leave(&a);
	}
	ok(s.now.lost > 5, "(%d frames)", (int)s.now.lost);
	extremes(&least, &most);
	is_u64(1, least, "no frame is passed over in silence");
	is_u64(dies ? 2 : 1, most, "none comes twice but the one that the dead one had read");
	is_u64(0, a.bad + b.bad, "and the ledgers add up");
	leave(&b);
	bus_stop(&bus, NCP_ENDED);
}

/* What nobody claimed in time is lost once, by one of them. */
static void test_all_late(void)
{
	struct worker a = { 0 }, b = { 0 };
	uint64_t least, most;

	start(1 << 16, false);
	a.c = member();
	b.c = member();
	bus_publish(&bus, 5000);
	for (int i = 0; i < 40; i++) {
		work(&a, COPY);
		work(&b, COPY);
	}
	drain(&a);
	drain(&b);
	extremes(&least, &most);
	is_u64(1, least, "all members late: every frame is read or lost");
	is_u64(1, most, "by one of them");
	is_u64(1, a.events[NCP_LOST] + b.events[NCP_LOST], "the loss is told once");
	is_u64(0, a.bad + b.bad, "and the ledgers add up");
	leave(&a);
	leave(&b);
	is_u64(bus.next, all->frames + all->losses, "over both");
	bus_stop(&bus, NCP_ENDED);
}

static void test_hold(void)
{
	struct ncp_span span = NCP_SPAN_INIT;
	struct ncp_frame f = NCP_FRAME_INIT;
	struct ncp_cursor at = NCP_CURSOR_INIT;
	uint64_t first[3] = { 0 }, next[3] = { 0 }, middle = 0;
	struct ncp_client *c;
	char error[256];

	start(1 << 20, false);
	if (attach_as(&c, "work", NCP_OLDEST, NCP_HOLD, error) < 0)
		bail("attach: %s", error);
	bus_publish(&bus, 4000);
	for (int i = 0; i < 3; i++) {
		if (ncp_span(c, 0, &span, &f) != 1 || f.kind != NCP_SPAN)
			bail("span");
		first[i] = span.first_seq;
		next[i] = span.next_seq;
		if (i == 1)
			middle = span.position + span.len;
	}
	is_i64(0, ncp_tell(c, &at), "three claims were handed out");
	ncp_release(c, middle, next[1]);
	ncp_detach(c);
	struct worker b = { .c = member() };
	nanosleep(&(struct timespec){ .tv_nsec = 60000000 }, NULL);
	drain(&b);
	is_u64(0, total(all->read) - (bus.next - first[2]), "the last, not released, is read again");
	is_u64(0, all->read[next[1] - 1], "what was released is not");
	is_u64(1, all->read[first[2]], "from its first frame on");
	is_u64(0, b.bad, "and the ledger adds up");
	leave(&b);

	/* What a filter passes over gives no place to release but where it stands afterwards. */
	static const struct ncp_bpf_insn none = { .code = 6, .k = 0 };
	if (attach_as(&c, "work", NCP_OLDEST, NCP_HOLD, error) < 0 || ncp_set_bpf(c, &none, 1) < 0)
		bail("attach: %s", error);
	bus_publish(&bus, 2000);
	while (ncp_next(c, &f) == 1)
		if (f.kind == NCP_FRAME)
			bail("a frame");
	is_i64(0, ncp_tell(c, &at), "a filter that nothing passes");
	ncp_release(c, at.position, at.seq);
	ncp_detach(c);
	b = (struct worker){ .c = member() };
	memset(all->read, 0, sizeof(all->read));
	drain(&b);
	is_u64(0, total(all->read), "all of it is done with");
	leave(&b);
	bus_stop(&bus, NCP_ENDED);
}

/* A long life: the file does not grow, and who comes late finds his way. */
static void test_trim(void)
{
	struct worker a = { 0 }, b = { 0 };
	char name[TAP_BUS_NAME_CAP + 64];
	uint64_t least, most;
	struct stat st;
	uint8_t byte;
	int from_child[2], status;

	start(1 << 16, false);
	a.c = member();
	bus_publish(&bus, 60);
	/* One takes a claim and is not heard of again. */
	if (pipe(from_child) < 0)
		bail("pipe");
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		struct ncp_client *c = member();

		if (ncp_recv(c, &byte, 1, &(struct ncp_frame)NCP_FRAME_INIT) != 1 ||
		    write(from_child[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	if (read(from_child[0], &byte, 1) != 1)
		bail("child");
	close(from_child[0]);
	close(from_child[1]);
	for (int i = 0; i < 12000; i++) {
		bus_publish(&bus, 25);
		drain(&a);
	}
	snprintf(name, sizeof(name), "ncp.%s+clients/+group.%u.work", bus.name, geteuid());
	is_i64(0, fstatat(bus.dirfd, name, &st, 0), "the file");
	ok(st.st_size > 1 << 20, "of many records (%d bytes)", (int)st.st_size);
	ok(st.st_blocks * 512 < 400 << 10, "takes little room (%d)", (int)(st.st_blocks * 512));
	uint64_t lost = total(all->lost);
	is_u64(0, lost, "nobody lost anything");
	b.c = member();
	struct ncp_stats s = NCP_STATS_INIT;
	is_i64(0, ncp_stats(b.c, &s), "who joins now");
	ok(s.now.first_seq < 60 && s.now.next_seq == bus.next,
	   "knows of the old claim, and where the newest ends");
	ncp_detach(a.c);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	bus_publish(&bus, 25);
	ncpi_writer_state(bus.w, NCP_ENDED, 0);
	ok(wait_until(was_looked_at, &b, 5000), "its holder dead, the end is told");
	extremes(&least, &most);
	is_u64(1, least, "with its frames");
	is_u64(1, most, "once");
	ok(total(all->lost) > 0, "as lost (%d)", (int)total(all->lost));
	is_u64(0, a.bad + b.bad, "and the ledgers add up");
	leave(&b);
	bus_stop(&bus, NCP_ENDED);
}

static bool in_the_new_one(void *arg)
{
	struct worker *w = arg;

	drain(&w[0]);
	drain(&w[1]);
	return w[0].events[NCP_REATTACHED] && w[1].events[NCP_REATTACHED];
}

static void test_reattach(void)
{
	struct worker w[2] = { 0 };
	uint64_t least, most, old;

	start(1 << 16, false);
	w[0].c = member();
	w[1].c = member();
	bus_publish(&bus, 200);
	work(&w[0], COPY);
	work(&w[1], COPY);
	bus_stop(&bus, NCP_STOPPED);
	bus.geo.ring_size *= 2;
	old = bus.next;
	bus.next = 0;
	bus_start(&bus, false);
	drain(&w[0]);
	drain(&w[1]);
	drain(&w[0]);
	bus.next = old;
	extremes(&least, &most);
	ok(least == 1 && most == 1, "a bus that is replaced is read to its end");
	memset(all, 0, sizeof(*all));
	bus.next = 0;
	bus_publish(&bus, 150);
	ok(wait_until(in_the_new_one, w, 10000), "then all go over to the new one");
	bus_publish(&bus, 150);
	drain(&w[1]);
	drain(&w[0]);
	extremes(&least, &most);
	ok(least == 1 && most == 1, "and share its frames, from the first one");
	is_u64(0, w[0].bad + w[1].bad, "in ledgers that add up");
	leave(&w[0]);
	leave(&w[1]);
	bus_stop(&bus, NCP_ENDED);
}

/* --- processes --------------------------------------------------------------------------------- */

/* A member's process: reads until the end, or leaves when it likes. */
static int member_main(uint64_t seed, bool stays)
{
	struct worker w = { .c = member(), .rng = { .seed = seed } };
	uint64_t calls = stays ? UINT64_MAX : tap_rng_below(&w.rng, 3000);

	if (stays)
		ncpi_store(&all->stays, 1);

	while (!w.ended && calls--) {
		/* Some work takes its time, in the middle of a claim. */
		if (tap_rng_below(&w.rng, 100) == 0)
			nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
		if (work(&w, (enum how)tap_rng_below(&w.rng, N_HOW)) == 0 &&
		    ncp_wait(w.c, 1000) < 0)
			w.bad++;
	}
	leave(&w);
	return w.bad ? 1 : 0;
}

struct crowd {
	pid_t pid[MEMBERS];
	bool stopped[MEMBERS];
	unsigned born, killed, stops, failed;
};

/* Frames wait for the members that there are: to lose none, one of them has to be there all the time. */
static bool one_to_stay(int i)
{
	return i == 0 && (member_flags & NCP_RELIABLE);
}

static bool one_stays(void *arg)
{
	(void)arg;
	return ncpi_load(&all->stays);
}

static void crowd_spawn(struct crowd *crowd, int i, uint64_t seed)
{
	crowd->born++;
	crowd->stopped[i] = false;
	fflush(NULL);
	crowd->pid[i] = fork();
	if (crowd->pid[i] == 0)
		_exit(member_main(seed, one_to_stay(i)));
}

/* Who has ended is replaced, if any is to come. */
static void crowd_reap(struct crowd *crowd, struct tap_rng *rng, bool replace, bool wait)
{
	for (int i = 0; i < MEMBERS; i++) {
		int status;

		if (!crowd->pid[i] || waitpid(crowd->pid[i], &status, wait ? 0 : WNOHANG) <= 0)
			continue;
		crowd->pid[i] = 0;
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
			crowd->killed++;
		else
			crowd->failed += status != 0;
		if (replace)
			crowd_spawn(crowd, i, tap_rng_u64(rng));
	}
}

static void crowd_run(struct tap_rng *rng, struct crowd *crowd, uint64_t frames, bool laps,
		      bool kills, bool stops)
{
	for (int i = 0; i < MEMBERS; i++)
		crowd_spawn(crowd, i, tap_rng_u64(rng));
	if (one_to_stay(0) && !wait_until(one_stays, NULL, 20000))
		bail("no member attached");
	/* Until all that is to be shown has happened: chance decides when. */
	while (bus.next < frames || (kills && !ncpi_load(&all->taken)) ||
	       (laps && !total(all->lost))) {
		if (bus.next > FRAMES_MAX - 200)
			break;
		int i = (int)tap_rng_below(rng, MEMBERS);
		uint64_t what = tap_rng_below(rng, 100);

		bus_publish(&bus, 1 + tap_rng_below(rng, 150));
		/* Not faster than a network would be. */
		nanosleep(&(struct timespec){ .tv_nsec = 300000 }, NULL);
		if (what < 8 && stops && crowd->pid[i]) {
			crowd->stopped[i] = !crowd->stopped[i];
			crowd->stops += crowd->stopped[i];
			kill(crowd->pid[i], crowd->stopped[i] ? SIGSTOP : SIGCONT);
		} else if (what < 11 && kills && crowd->pid[i] && !one_to_stay(i)) {
			kill(crowd->pid[i], SIGKILL);
		}
		crowd_reap(crowd, rng, true, false);
	}
	for (int i = 0; i < MEMBERS; i++)
		if (crowd->pid[i])
			kill(crowd->pid[i], SIGCONT);
	ncpi_writer_state(bus.w, NCP_ENDED, NCP_REASON_EXHAUSTED);
	crowd_reap(crowd, rng, false, true);
}

/* Members come and go, are stopped and killed; the frames do not care. */
static void test_crowd(const char *what, uint64_t ring_size, uint64_t frames, bool kills, bool stops)
{
	struct tap_rng rng = { .seed = tap_seed() ^ ring_size ^ (uint64_t)kills << 1 ^ stops };
	struct worker last = { 0 };
	struct crowd crowd = { 0 };
	uint64_t least, most;
	bool laps = ring_size < 1 << 20 && !member_flags;

	start(ring_size, true);
	struct ncp_client *first = member(); /* the group begins with the first frame */
	ncp_detach(first);
	crowd_run(&rng, &crowd, frames, laps, kills, stops);
	last.c = member();
	wait_until(was_looked_at, &last, 5000);
	ok(last.ended, "%s: %d members lived, %d were killed, %d times one was stopped", what,
	   (int)crowd.born, (int)crowd.killed, (int)crowd.stops);
	leave(&last);
	extremes(&least, &most);
	ok(least >= 1, "%s: every frame was read by somebody, or told as lost", what);
	if (kills)
		ok(crowd.killed > 3 && all->taken, "%s: of dead members others took %d", what,
		   (int)all->taken);
	else
		is_u64(1, most, "%s: each once", what);
	if (laps)
		ok(total(all->lost) > 0, "%s: %d of %d were overrun", what, (int)total(all->lost),
		   (int)bus.next);
	else
		is_u64(0, total(all->lost), "%s: none was lost", what);
	if (kills)
		ok(most <= 1 + crowd.killed, "%s: twice only what a dead one had held", what);
	else
		is_u64(bus.next, all->frames + all->losses,
		       "%s: the ledgers together have each frame once", what);
	is_u64(0, crowd.failed + last.bad, "%s: and each of them adds up", what);
	bus_stop(&bus, NCP_ENDED);
}

int main(void)
{
	plan(2 + 21 + 18 + 2 * 5 * N_STEPS + 6 * N_STEPS + 2 * 8 + 5 + 5 + 11 + 4 + 7 * 6 + 1);
	int fds = tap_open_fds();
	all = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (all == MAP_FAILED)
		bail("mmap");
	test_refusals();
	test_share();
	test_stopped_at(0);
	/* For so many records that what it would have read next is punched out. */
	test_stopped_at(6000);
	test_dead_at();
	test_overrun(false);
	test_overrun(true);
	test_all_late();
	test_hold();
	test_trim();
	test_reattach();
	test_crowd("joins and leaves", 32 << 20, 40000, false, false);
	test_crowd("kills", 32 << 20, 40000, true, false);
	test_crowd("stops", 32 << 20, 40000, false, true);
	test_crowd("stops and laps", 1 << 18, 60000, false, true);
	test_crowd("stops, kills and laps", 1 << 18, 60000, true, true);
	member_flags = NCP_RELIABLE;
	test_crowd("reliable", 1 << 18, 60000, false, false);
	test_crowd("reliable, kills", 1 << 18, 60000, true, false);
	is_i64(fds + n_started, tap_open_fds(), "nothing left open but the directories");
	return tap_done();
}
