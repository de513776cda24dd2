/* SPDX-License-Identifier: BSD-2-Clause */
/* test_wait.c - waiting, states, producers that come and go, busses that are replaced, forks. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libncpbus/client.h"
#include "libncpbus/layout.h"
#include "libncpbus/order.h"
#include "libncpbus/stamp.h"
#include "libncpbus/writer_impl.h"
#include "support/bus.h"
#include "tap/tap.h"

/* Longer than anything here takes; a wait of that length is a failure. */
#define LONG_MS 20000

static uint64_t now_ms(void)
{
	return ncpi_now_monotonic() / NCPI_MS;
}

/* The next frame or event, waited for; its kind, 0 when nothing came. */
static uint32_t next(struct ncp_client *c, struct ncp_frame *f)
{
	uint64_t until = now_ms() + LONG_MS;
	int r;

	*f = (struct ncp_frame)NCP_FRAME_INIT;
	while ((r = ncp_next(c, f)) == 0 && now_ms() < until)
		if (ncp_wait(c, 100) < 0)
			return 0;
	return r == 1 ? f->kind : 0;
}

static void is_state(struct ncp_client *c, uint32_t state, const char *what)
{
	struct ncp_frame f;

	is_u64(NCP_STATE, next(c, &f), "%s: a change of state", what);
	is_str(ncp_state_name(state), ncp_state_name(f.state), "%s: the right one", what);
}

static void is_frame(struct ncp_client *c, uint64_t seq, const char *what)
{
	struct ncp_frame f;
	uint32_t kind = next(c, &f);

	ok(kind == NCP_FRAME && f.seq == seq && frame_good(&f), "%s: frame %d (kind %u, number %d)",
	   what, (int)seq, kind, (int)f.seq);
}

/* --- sleeping --------------------------------------------------------------------------------- */

static struct test_bus *step_bus;
static unsigned sleeps;

static void publish_at_sleep(const char *step)
{
	if (strcmp(step, "wait:sleep") || sleeps++)
		return;
	bus_publish(step_bus, 1);
	ncpi_waker_bump(step_bus->w);
}

static void on_alarm(int number)
{
	(void)number;
}

static void test_wait(struct test_bus *t)
{
	struct ncp_client *c = bus_attach(t, NCP_LATEST, 0, NCP_NO_REGISTRY);
	struct ncp_frame f = NCP_FRAME_INIT;
	uint64_t start = now_ms(), fastest = UINT64_MAX;

	is_i64(0, ncp_wait(c, 50), "with nothing to read the time is up");
	ok(now_ms() - start >= 50, "not before");
	is_i64(0, ncp_wait(c, 0), "no time is no time");
	bus_publish(t, 1);
	is_i64(1, ncp_wait(c, 0), "a frame is there at once");
	is_i64(1, ncp_next(c, &f), "and is read");

	/* Paused: a missed wake-up would cost 250 ms each time. */
	ncpi_writer_state(t->w, NCP_PAUSED, NCP_REASON_INTERFACE_DOWN);
	is_state(c, NCP_PAUSED, "paused");
	for (int i = 0; i < 3; i++) {
		step_bus = t;
		sleeps = 0;
		ncpi_testpoint_fn = publish_at_sleep;
		start = now_ms();
		int r = ncp_wait(c, LONG_MS);
		ncpi_testpoint_fn = NULL;
		if (r == 1 && now_ms() - start < fastest)
			fastest = now_ms() - start;
		while (ncp_next(c, &f) == 1)
			;
	}
	ok(fastest < 200, "a frame that comes as it falls asleep keeps it awake (%d ms)",
	   (int)fastest);
	ncpi_writer_state(t->w, NCP_LIVE, 0);
	is_state(c, NCP_LIVE, "live again");

	const struct itimerval soon = { .it_value.tv_usec = 5000, .it_interval.tv_usec = 5000 };
	const struct itimerval never = { 0 };
	struct sigaction act = { .sa_handler = on_alarm, .sa_flags = SA_RESTART }, old;
	sigaction(SIGALRM, &act, &old);
	setitimer(ITIMER_REAL, &soon, NULL);
	is_i64(-EINTR, ncp_wait(c, LONG_MS), "a signal ends it");
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &old, NULL);
	ncp_detach(c);
}

/* --- woken at once ---------------------------------------------------------------------------- */

struct sleeper {
	pthread_t thread;
	const uint32_t *wake;
	uint32_t tid;
	int result;
};

static void *sleeper_main(void *arg)
{
	struct sleeper *s = arg;
	uint32_t value = ncpi_load(s->wake);

	ncpi_store(&s->tid, (uint32_t)syscall(SYS_gettid));
	s->result = ncpi_futex_wait(s->wake, value, (uint64_t)LONG_MS * NCPI_MS);
	return NULL;
}

/* The state of one of our threads, as in proc(5). */
static char thread_state(uint32_t tid)
{
	char path[64], state = '?';

	snprintf(path, sizeof(path), "/proc/self/task/%u/stat", tid);
	FILE *f = fopen(path, "r");
	if (f && fscanf(f, "%*u (%*[^)]) %c", &state) != 1)
		state = '?';
	if (f)
		fclose(f);
	return state;
}

/* Let n sleep, publish once.  How many of them that woke. */
static int publish_to(struct test_bus *t, int n)
{
	struct sleeper s[4] = { 0 };
	int woken = 0;

	for (int i = 0; i < n; i++) {
		s[i].wake = &t->bus.seg.h->wake;
		if (pthread_create(&s[i].thread, NULL, sleeper_main, &s[i]))
			bail("thread");
		while (!ncpi_load(&s[i].tid) || thread_state(s[i].tid) != 'S')
			sched_yield();
	}
	bus_publish(t, 1);
	for (int i = 0; i < n; i++) {
		pthread_join(s[i].thread, NULL);
		woken += s[i].result == 0;
	}
	return woken;
}

static void test_immediate(struct test_bus *t)
{
	t->o.immediate = true;
	bus_start(t, false);
	uint32_t wake = ncpi_load(&t->bus.seg.h->wake);
	bus_publish(t, 1);
	ok(ncpi_load(&t->bus.seg.h->wake) != wake && !t->w->poked,
	   "immediate, nobody sleeps: nothing is left to the waker");
	is_i64(1, publish_to(t, 1), "one who sleeps is woken without the waker");
	ok(!t->w->poked, "and nothing is left to it");
	bus_stop(t, NCP_STOPPED);
	bus_start(t, true);
	is_i64(4, publish_to(t, 4), "four who sleep are all woken, by it");
	bus_stop(t, NCP_ENDED);
}

/* Blocks are retired each period, the waker's naps end late.  The latest any block was told of. */
static uint64_t told_late(uint64_t period, uint64_t nap_late, uint64_t early, int n)
{
	uint64_t bump_at = 0, now, worst = 0;

	for (uint64_t i = 5; i < 5 + (uint64_t)n; i++) {
		uint64_t retired = i * period - (i % 2 ? 0 : early);

		now = retired < bump_at ? bump_at + nap_late : retired;
		bump_at = ncpi_waker_next(bump_at, now, period);
		if (now - retired > worst)
			worst = now - retired;
	}
	return worst;
}

static void test_pace(void)
{
	const uint64_t period = 10 * NCPI_MS, late = 60000;
	uint64_t bump_at = 0;
	int bumps = 0;

	is_u64(0, told_late(period, late, 0, 1000), "blocks at the waker's own pace wait for nothing");
	is_u64(0, told_late(period, late, period / 3, 1000), "nor do they when some come early");
	for (uint64_t now = 50 * period; now < 150 * period; now += period / 100)
		if (now >= bump_at) {
			bump_at = ncpi_waker_next(bump_at, now, period);
			bumps++;
		}
	is_i64(101, bumps, "blocks at a hundred times that pace: one wake-up a period, and one more");
}

struct thief {
	uint32_t *wake;
	uint32_t elsewhere, stop;
};

/* Another process that maps the bus can move sleepers to a word of its own. */
static void *thief_main(void *arg)
{
	struct thief *t = arg;

	while (!ncpi_load(&t->stop))
		syscall(SYS_futex, t->wake, FUTEX_REQUEUE, 0, INT_MAX, &t->elsewhere, 0);
	return NULL;
}

static void *publish_soon(void *arg)
{
	struct test_bus *t = arg;

	nanosleep(&(struct timespec){ .tv_nsec = 30000000 }, NULL);
	bus_publish(t, 1);
	return NULL;
}

static void test_stolen(struct test_bus *t)
{
	struct ncp_client *c = bus_attach(t, NCP_LATEST, 0, NCP_NO_REGISTRY);
	struct thief thief = { .wake = &t->bus.seg.h->wake };
	pthread_t stealing, publishing;

	if (pthread_create(&stealing, NULL, thief_main, &thief) ||
	    pthread_create(&publishing, NULL, publish_soon, t))
		bail("pthread_create");
	is_i64(1, ncp_wait(c, LONG_MS), "a client whose wake-ups are stolen finds the frame");
	pthread_join(publishing, NULL);
	ncpi_store(&thief.stop, 1);
	pthread_join(stealing, NULL);
	ncp_detach(c);
}

/* Does poll() say there is something, within the time? */
static bool polled(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1 && p.revents == POLLIN;
}

static uint64_t drain(struct ncp_client *c)
{
	struct ncp_frame f = NCP_FRAME_INIT;
	uint64_t n = 0;

	while (ncp_next(c, &f) == 1)
		n += f.kind == NCP_FRAME;
	return n;
}

static void test_fd(struct test_bus *t)
{
	struct ncp_client *c = bus_attach(t, NCP_LATEST, 0, NCP_NO_REGISTRY);
	uint64_t got = 0, start = t->next;
	int fd = ncp_fd(c), rounds = 0;

	ok(fd >= 0, "a descriptor");
	is_i64(fd, ncp_fd(c), "the same each time");
	ok(polled(fd, 0), "readable from the start");
	drain(c);
	ok(!polled(fd, 0), "then not, with nothing there");
	for (int i = 0; i < 50; i++) {
		bus_publish(t, 3);
		while (got < t->next - start && rounds++ < 10000) {
			if (!polled(fd, LONG_MS))
				break;
			got += drain(c);
		}
	}
	is_u64(t->next - start, got, "poll tells of every frame");
	/* The bus is replaced: the program goes on polling the same number. */
	bus_stop(t, NCP_ENDED);
	bus_start(t, true);
	t->next = 0;
	bus_publish(t, 5);
	got = 0;
	for (rounds = 0; got < 5 && rounds < 1000; rounds++) {
		if (!polled(fd, LONG_MS))
			break;
		got += drain(c);
	}
	is_u64(5, got, "also on the bus that replaced it");
	is_i64(fd, ncp_fd(c), "by the same descriptor");
	ncp_detach(c);
}

/* --- states and producers --------------------------------------------------------------------- */

static void test_states(struct test_bus *t)
{
	struct ncp_client *c = bus_attach(t, NCP_LATEST, 0, NCP_NO_REGISTRY);
	uint64_t incarnation = t->bus.seg.incarnation;
	struct ncp_frame f = NCP_FRAME_INIT;

	bus_publish(t, 2);
	bus_stop(t, NCP_STOPPED);
	is_frame(c, t->next - 2, "before the stop");
	is_frame(c, t->next - 1, "before the stop");
	is_state(c, NCP_STOPPED, "stopped");
	bus_start(t, true);
	bus_publish(t, 1);
	is_frame(c, t->next - 1, "after a restart");
	ok(incarnation == t->bus.seg.incarnation, "it is the same bus");
	is_state(c, NCP_LIVE, "live");
	bus_publish(t, 1);
	bus_stop(t, NCP_LIVE); /* a crash */
	is_frame(c, t->next - 1, "before a crash");
	is_state(c, NCP_DEAD, "its producer gives no sign of life");
	is_i64(0, ncp_next(c, &f), "and that is told once");
	bus_start(t, true);
	is_state(c, NCP_LIVE, "a new one came");
	bus_publish(t, 1);
	is_frame(c, t->next - 1, "from the new one");

	uint64_t last = t->next;
	bus_publish(t, 3);
	bus_stop(t, NCP_STOPPED);
	t->geo.ring_size *= 2;
	bus_start(t, true);
	t->geo.ring_size /= 2;
	t->next = 0;
	bus_publish(t, 2);
	for (uint64_t i = 0; i < 3; i++)
		is_frame(c, last + i, "what the old bus still holds");
	is_state(c, NCP_CLOSED, "then it is closed");
	is_u64(NCP_REATTACHED, next(c, &f), "then the new one is there");
	ok(f.incarnation == t->bus.seg.incarnation && f.incarnation != incarnation,
	   "named in the event");
	is_frame(c, 0, "of the new one");
	is_frame(c, 1, "of the new one");
	struct ncp_stats st = NCP_STATS_INIT;
	is_i64(0, ncp_stats(c, &st), "stats");
	is_u64(1, st.reattached, "attached again once");
	is_u64(2, st.now.frames, "a new window");
	is_u64(incarnation, st.before.incarnation, "after the old one");
	is_u64(st.before.frames + 2, st.total.frames, "the total has both");
	ncpi_writer_state(t->w, NCP_ENDED, NCP_REASON_EXHAUSTED);
	is_state(c, NCP_ENDED, "ended");
	ncp_detach(c);
	bus_stop(t, NCP_ENDED);

	/* Not for everybody. */
	bus_start(t, true);
	t->next = 0;
	c = bus_attach(t, NCP_LATEST, 0, NCP_NO_REGISTRY | NCP_NO_REATTACH);
	bus_stop(t, NCP_ENDED);
	is_state(c, NCP_ENDED, "ended");
	bus_start(t, true);
	bus_publish(t, 1);
	is_i64(0, ncp_wait(c, 600), "with NCP_NO_REATTACH the end is the end");
	ncp_detach(c);
}

/* --- cursors ---------------------------------------------------------------------------------- */

static struct ncp_client *resume(struct test_bus *t, const struct ncp_cursor *cursor)
{
	struct ncp_options o = NCP_OPTIONS_INIT;
	struct ncp_client *c;

	o.dir = t->dir;
	o.flags = NCP_NO_REGISTRY;
	o.from.whence = NCP_SEQ;
	o.from.value = cursor->seq;
	o.from.incarnation = cursor->incarnation;
	if (ncp_attach(&c, t->name, &o) < 0)
		bail("resume");
	return c;
}

static void replace(struct test_bus *t)
{
	bus_stop(t, NCP_ENDED);
	bus_start(t, true);
	t->next = 0;
	bus_publish(t, 10);
}

static void test_resume(struct test_bus *t)
{
	struct ncp_client *c = bus_attach(t, NCP_LATEST, 0, NCP_NO_REGISTRY);
	struct ncp_cursor cursor = NCP_CURSOR_INIT;
	struct ncp_stats st = NCP_STATS_INIT;
	struct ncp_frame f;

	bus_publish(t, 5);
	is_frame(c, t->next - 5, "the last one read");
	is_i64(0, ncp_tell(c, &cursor), "tell");
	ncp_detach(c);
	bus_stop(t, NCP_STOPPED);
	bus_start(t, true);
	c = resume(t, &cursor);
	is_frame(c, cursor.seq, "a cursor after a restart");
	ncp_detach(c);

	uint64_t end = t->next;
	replace(t);
	c = resume(t, &cursor);
	is_u64(NCP_LOST, next(c, &f), "a cursor of a bus that was replaced: a loss");
	ok(f.seq == cursor.seq && f.next_seq == end && f.incarnation == cursor.incarnation,
	   "of exactly what came after it");
	is_u64(NCP_REATTACHED, next(c, &f), "then the new bus");
	is_frame(c, 0, "from its beginning");
	is_i64(0, ncp_stats(c, &st), "stats");
	is_u64(end - cursor.seq, st.before.lost, "the old window has the loss");
	is_u64(end - cursor.seq, st.total.lost, "and so has the total");

	/* Sought from within a window: that one counts, too. */
	struct ncp_where where = { .size = sizeof(where), .whence = NCP_SEQ, .value = cursor.seq,
				   .incarnation = cursor.incarnation };
	is_i64(0, ncp_seek(c, &where), "the same by ncp_seek");
	is_i64(0, ncp_stats(c, &st), "stats");
	is_u64(1, st.total.frames, "what was read before is in the total");
	is_u64(2 * (end - cursor.seq), st.total.lost, "and what was lost");
	ncp_detach(c);

	replace(t);
	c = resume(t, &cursor);
	is_u64(NCP_LOST, next(c, &f), "of a bus that was replaced twice: a loss");
	is_u64(NCP_UNKNOWN, f.next_seq, "how much is unknown");
	is_u64(NCP_REATTACHED, next(c, &f), "then the new bus");
	is_frame(c, 0, "from its beginning");
	ncp_detach(c);
}

/* --- a bus that somebody else opens ---------------------------------------------------------- */

/* Who opens it: what it is told to return, else the bus of the test. */
struct opener {
	const struct test_bus *t;
	int answer;
	const char *instead;
	unsigned int calls;
};

static int open_for(void *arg)
{
	struct opener *o = arg;

	o->calls++;
	if (o->answer)
		return o->answer;
	if (o->instead)
		return open(o->instead, O_RDONLY | O_CLOEXEC);
	return ncpi_segment_open(o->t->dirfd, o->t->name, false, NULL, 0);
}

static void test_opener(struct test_bus *t)
{
	struct opener who = { .t = t, .answer = NCP_EACCESS };
	struct ncp_options o = NCP_OPTIONS_INIT;
	struct ncp_client *c;
	struct ncp_frame f;

	o.dir = "/nonexistent";
	o.open_bus = open_for;
	o.open_arg = &who;
	is_i64(NCP_EACCESS, ncp_attach(&c, t->name, &o), "what the opener says is what is said");
	who.answer = 0;
	who.instead = "/dev/null";
	is_i64(NCP_ENOTBUS, ncp_attach(&c, t->name, &o), "what it gives is looked at");
	who.instead = NULL;
	is_i64(0, ncp_attach(&c, t->name, &o), "attached where no directory can be reached");
	is_i64(-EBADF, ncp_peers(c, NULL, 0), "and where there is no registry");
	who.calls = 0;
	bus_publish(t, 1);
	is_frame(c, t->next - 1, "a frame");
	is_u64(0, who.calls, "a live bus is not opened again");
	bus_stop(t, NCP_STOPPED);
	is_state(c, NCP_STOPPED, "its producer leaves");
	is_i64(0, ncp_wait(c, 600), "nothing new comes");
	ok(who.calls >= 1 && who.calls <= 4, "the opener was asked now and then, %u times", who.calls);
	bus_start(t, true);
	is_state(c, NCP_LIVE, "the same bus goes on");
	replace(t);
	is_state(c, NCP_ENDED, "it ends");
	is_u64(NCP_REATTACHED, next(c, &f), "the opener has the one that replaced it");
	is_frame(c, 0, "from its beginning");
	ncp_detach(c);
}

static void test_seek_from_torn(struct test_bus *t)
{
	struct ncp_client *c = bus_attach(t, NCP_LATEST, 0, NCP_NO_REGISTRY);
	struct ncp_where where = NCP_WHERE_INIT;
	struct ncp_stats st = NCP_STATS_INIT;
	struct ncp_frame f = NCP_FRAME_INIT;

	bus_publish(t, 1);
	is_i64(1, ncp_next(c, &f), "a frame");
	bus_lap(t, f.position);
	is_i64(0, ncp_seek(c, &where), "overwritten before the client goes elsewhere");
	is_i64(0, ncp_stats(c, &st), "stats");
	is_u64(0, st.before.frames, "is not read");
	is_u64(st.before.next_seq - st.before.first_seq, st.before.lost, "but lost");
	ncp_detach(c);
}

/* --- fork ------------------------------------------------------------------------------------- */

static unsigned child_calls(struct ncp_client *c)
{
	const struct ncp_where where = NCP_WHERE_INIT;
	struct ncp_frame f = NCP_FRAME_INIT;
	struct ncp_span span = NCP_SPAN_INIT;
	struct ncp_stats st = NCP_STATS_INIT;
	struct ncp_cursor cursor = NCP_CURSOR_INIT;
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	struct ncp_interface interface = NCP_INTERFACE_INIT;
	struct ncp_worker worker = NCP_WORKER_INIT;
	uint8_t byte;
	unsigned bad = 0;

	bad += ncp_next(c, &f) != NCP_EFORK;
	bad += ncp_recv(c, &byte, 1, &f) != NCP_EFORK;
	bad += ncp_next_batch(c, &f, 1) != NCP_EFORK;
	bad += ncp_span(c, 0, &span, &f) != NCP_EFORK;
	bad += ncp_wait(c, 0) != NCP_EFORK;
	bad += ncp_fd(c) != NCP_EFORK;
	bad += ncp_seek(c, &where) != NCP_EFORK;
	bad += ncp_tell(c, &cursor) != NCP_EFORK;
	bad += ncp_stats(c, &st) != NCP_EFORK;
	bad += ncp_intact(c, 0) != NCP_EFORK;
	bad += ncp_bus_info(c, &info) != NCP_EFORK;
	bad += ncp_interface(c, 0, &interface) != NCP_EFORK;
	bad += ncp_worker(c, 0, &worker) != NCP_EFORK;
	bad += ncp_peers(c, NULL, 0) != NCP_EFORK;
	bad += ncp_set_filter(c, NULL, NULL, 0) != NCP_EFORK;
	bad += ncp_set_bpf(c, NULL, 0) != NCP_EFORK;
	ncp_release(c, UINT64_MAX, 0);
	ncp_detach(c);
	return bad;
}

static void test_fork(struct test_bus *t)
{
	struct ncp_client *c = bus_attach(t, NCP_LATEST, 0, 0);
	int status = -1;

	ok(ncp_fd(c) >= 0, "a client with a thread and a line");
	is_i64(1, ncp_peers(c, NULL, 0), "is listed");
	pid_t pid = fork();
	if (pid == 0)
		_exit((int)child_calls(c));
	waitpid(pid, &status, 0);
	is_i64(0, status, "in a child every call says NCP_EFORK, and detaching is harmless");
	is_i64(1, ncp_peers(c, NULL, 0), "the parent is still listed");
	bus_publish(t, 1);
	is_frame(c, t->next - 1, "and reads on");
	ok(ncp_fd(c) >= 0, "with its thread");
	ncp_detach(c);
}

int main(void)
{
	struct test_bus t;
	int fds;

	plan(11 + 1 + 7 + 34 + 18 + 16 + 5 + 6 + 4 + 3 + 1);
	fds = tap_open_fds();
	bus_make(&t);
	bus_start(&t, true);
	test_wait(&t);
	test_stolen(&t);
	test_fd(&t);
	test_states(&t);
	test_resume(&t);
	test_opener(&t);
	test_seek_from_torn(&t);
	test_fork(&t);
	bus_stop(&t, NCP_STOPPED);
	test_immediate(&t);
	test_pace();
	is_i64(fds + 1, tap_open_fds(), "nothing left open but the directory");
	return tap_done();
}
