/* SPDX-License-Identifier: BSD-2-Clause */
/* test_reader_py.c - reader.py and libncpbus, step by step over one bus, see the same. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sodium.h>

#include "bus.h"
#include "python.h"
#include "tap/tap.h"

/* Both readers of one bus, and what both have seen so far. */
struct pair {
	struct test_bus *t;
	struct ncp_client *c;
	struct python p;
	bool sha;	       /* reader.py gives SHA-256 instead of the bytes */
	uint64_t frames, lost; /* lost: of known number */
	unsigned losses, states, reattached, epochs, drops, second;
	unsigned differ;
};

static void pair_open(struct pair *b, struct test_bus *t, uint32_t whence, uint64_t value, bool sha)
{
	char start[40] = "oldest";

	if (whence == NCP_LATEST)
		strcpy(start, "latest");
	else if (whence != NCP_OLDEST)
		snprintf(start, sizeof(start), "%s:%" PRIu64, whence == NCP_SEQ ? "seq" : "time",
			 value);
	const char *args[] = { t->name, "--dir", t->dir, "--step",
			       "--start", start, sha ? NULL : "--hex", NULL };
	*b = (struct pair){ .t = t, .sha = sha };
	python_start(&b->p, args);
	/* Its line says that it stands where it was told to, before anything moves. */
	const char *line = python_line(&b->p);
	if (!line || !json_is(line, "kind", "ready"))
		bail("reader.py: %s", line ? line : "ended");
	b->c = bus_attach(t, whence, value, 0);
}

static bool same_data(const struct pair *b, const char *line, const struct ncp_frame *f)
{
	uint8_t got[FRAME_CAP], want[crypto_hash_sha256_BYTES];

	if (!b->sha)
		return json_hex(line, "data", got, sizeof(got)) == f->caplen &&
		       memcmp(got, f->data, f->caplen) == 0;
	crypto_hash_sha256(want, f->data, f->caplen);
	return json_hex(line, "sha256", got, sizeof(got)) == sizeof(want) &&
	       memcmp(got, want, sizeof(want)) == 0;
}

static bool same_frame(struct pair *b, const char *line, const struct ncp_frame *f)
{
	struct ncp_interface i = NCP_INTERFACE_INIT;

	b->frames++;
	b->drops += f->dropcount != 0;
	b->second += f->interface != 0;
	return json_is(line, "kind", "frame") && json_u64(line, "seq") == f->seq &&
	       json_u64(line, "ts_ns") == f->ts_ns && json_u64(line, "caplen") == f->caplen &&
	       json_u64(line, "len") == f->len && json_u64(line, "flags") == f->flags &&
	       json_u64(line, "dropcount") == f->dropcount &&
	       json_u64(line, "interface") == f->interface &&
	       ncp_interface(b->c, f->interface, &i) == 0 && json_is(line, "name", i.name) &&
	       json_u64(line, "linktype") == i.linktype && same_data(b, line, f) && frame_good(f);
}

static bool same(struct pair *b, const char *line, int r, const struct ncp_frame *f)
{
	if (r == 0)
		return json_is(line, "kind", "nothing");
	if (r < 0)
		return false;
	switch (f->kind) {
	case NCP_FRAME:
		return same_frame(b, line, f);
	case NCP_LOST:
		b->losses++;
		b->lost += f->next_seq == NCP_UNKNOWN ? 0 : f->next_seq - f->seq;
		return json_is(line, "kind", "lost") && json_u64(line, "first") == f->seq &&
		       json_u64(line, "next") == f->next_seq;
	case NCP_STATE:
		b->states++;
		return json_is(line, "kind", "state") &&
		       json_is(line, "state", ncp_state_name(f->state)) &&
		       json_u64(line, "reason") == f->reason;
	case NCP_REATTACHED:
		b->reattached++;
		return json_is(line, "kind", "reattached") &&
		       json_u64(line, "incarnation") == f->incarnation;
	default:
		return false;
	}
}

/* The next item of reader.py that libncpbus has, too: it does not tell epochs and pauses. */
static const char *step_python(struct pair *b)
{
	for (;;) {
		python_step(&b->p);
		const char *line = python_line(&b->p);
		if (!line)
			bail("reader.py has ended");
		if (line[0] != '{')
			bail("%s", line);
		bool epoch = json_is(line, "kind", "epoch");
		b->epochs += epoch;
		if (!epoch && !json_is(line, "kind", "pause") && !json_is(line, "kind", "resume"))
			return line;
	}
}

/* One item of each.  Returns whether there was one. */
static bool step(struct pair *b)
{
	struct ncp_frame f = NCP_FRAME_INIT;
	uint8_t buf[FRAME_CAP];
	int r = ncp_recv(b->c, buf, sizeof(buf), &f);
	const char *line = step_python(b);

	if (!same(b, line, r, &f)) {
		if (b->differ++ < 5)
			diag("libncpbus: %d kind %u seq %" PRIu64 " next %" PRIu64 " state %u\n"
			     "reader.py: %s", r, f.kind, f.seq, f.next_seq, f.state, line);
		if (b->differ > 100)
			bail("the two have parted");
	}
	return r == 1;
}

static void drain(struct pair *b)
{
	while (step(b))
		continue;
}

static void steps(struct pair *b, uint64_t n)
{
	while (n--)
		step(b);
}

/* Wait until each of both has an event, which each finds in its own time, and compare. */
static void await_event(struct pair *b)
{
	struct ncp_frame f = NCP_FRAME_INIT;
	uint8_t buf[FRAME_CAP];
	const char *line;
	int r, tries = 0;

	while ((r = ncp_recv(b->c, buf, sizeof(buf), &f)) == 0 && tries++ < 200)
		if (ncp_wait(b->c, 20) < 0)
			bail("ncp_wait");
	tries = 0;
	while (json_is(line = step_python(b), "kind", "nothing") && tries++ < 200)
		usleep(20000);
	if (!same(b, line, r, &f)) {
		b->differ++;
		diag("libncpbus: %d kind %u state %u\nreader.py: %s", r, f.kind, f.state, line);
	}
}

/* The ledgers, and that reader.py leaves with 0. */
static void pair_close(struct pair *b, const char *what)
{
	struct ncp_stats st = NCP_STATS_INIT;

	python_finish(&b->p);
	const char *line = python_line(&b->p);
	if (!line)
		bail("no summary");
	is_u64(0, b->differ, "%s: the same, item for item", what);
	is_i64(0, ncp_stats(b->c, &st), "%s: stats", what);
	ok(json_u64(line, "frames") == b->frames && st.total.frames == b->frames,
	   "%s: both count the frames given", what);
	ok(json_u64(line, "lost") == b->lost && st.total.lost == b->lost,
	   "%s: both count the lost ones", what);
	const char *last = strrchr(line, '{');
	ok(json_u64(last, "first") == st.now.first_seq && json_u64(last, "next") == st.now.next_seq &&
	   json_u64(last, "frames") == st.now.frames && json_u64(last, "lost") == st.now.lost &&
	   json_u64(last, "incarnation") == st.now.incarnation,
	   "%s: the present window is the same", what);
	is_i64(0, python_end(&b->p), "%s: reader.py leaves with 0", what);
	ncp_detach(b->c);
}
#define PAIR_CLOSE 6

/* Number of the oldest frame to be had. */
static uint64_t oldest(const struct test_bus *t)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	struct ncp_client *c = bus_attach(t, NCP_LATEST, 0, NCP_NO_REGISTRY);

	if (ncp_bus_info(c, &info) < 0)
		bail("bus info");
	ncp_detach(c);
	return info.oldest_seq;
}

/* Publish until what is there now is gone. */
static void lap(struct test_bus *t)
{
	bus_lap(t, t->bus.seg.h->head);
}

static int second_interface(struct test_bus *t)
{
	int i = ncpi_writer_interface(t->w, &(struct ncpi_interface_desc){
		.name = "test1", .description = "the other", .filter = "ip", .linktype = 113,
		.snaplen = 96 });

	if (i < 0)
		bail("interface: %s", ncp_strerror(i));
	return i;
}

static void test_laps(struct test_bus *t)
{
	struct pair b;
	int first = t->interface;

	pair_open(&b, t, NCP_LATEST, 0, true);
	drain(&b);
	bus_publish(t, 200);
	drain(&b);
	/* The reader's copy of the prologue lacks this one. */
	t->interface = second_interface(t);
	bus_publish(t, 20);
	t->interface = first;
	bus_publish(t, 20);
	steps(&b, 15);
	lap(t);
	drain(&b);
	bus_publish(t, 5000);
	steps(&b, 2);
	lap(t);
	drain(&b);
	bus_publish(t, 100);
	drain(&b);
	is_u64(3, b.losses, "laps: three times overrun");
	ok(b.second == 15 && b.drops > 15, "laps: two interfaces, and kernel drops among the frames");
	ok(b.lost > 0 && b.frames > 300, "laps: frames given and frames lost");
	pair_close(&b, "laps");
}
#define LAPS (3 + PAIR_CLOSE)

static void test_starts(struct test_bus *t)
{
	static const struct start {
		const char *name;
		uint32_t whence;
		enum { NONE, GONE, THERE, NEXT, LATER } where;
	} starts[] = {
		{ "latest", NCP_LATEST, NONE },
		{ "oldest", NCP_OLDEST, NONE },
		{ "a number that is gone", NCP_SEQ, GONE },
		{ "a number that is there", NCP_SEQ, THERE },
		{ "the next number", NCP_SEQ, NEXT },
		{ "a time that is gone", NCP_TIME, GONE },
		{ "a time that is there", NCP_TIME, THERE },
		{ "a time to come", NCP_TIME, LATER },
	};

	for (size_t i = 0; i < 2 * sizeof(starts) / sizeof(starts[0]); i++) {
		const struct start *s = &starts[i / 2];
		bool overrun = i % 2;
		char what[80];
		struct pair b;

		bus_publish(t, 1000);
		uint64_t seq = s->where == GONE	 ? 17 :
			       s->where == THERE ? (oldest(t) + t->next) / 2 + i :
			       s->where == NEXT	 ? t->next :
						   t->next + 100;
		snprintf(what, sizeof(what), "%s%s", s->name, overrun ? ", overrun at once" : "");
		pair_open(&b, t, s->whence, s->whence == NCP_TIME ? FRAME_TS(seq) : seq, false);
		if (overrun)
			lap(t);
		steps(&b, 3);
		bus_publish(t, 30);
		drain(&b);
		pair_close(&b, what);
	}
}
#define STARTS (16 * PAIR_CLOSE)

static void test_states(struct test_bus *t)
{
	struct pair b;

	pair_open(&b, t, NCP_LATEST, 0, false);
	drain(&b);
	bus_publish(t, 10);
	ncpi_writer_mark(t->w, 4, 1, 0, NCP_REASON_INTERFACE_DOWN, 0);
	ncpi_writer_state(t->w, NCP_PAUSED, NCP_REASON_INTERFACE_DOWN);
	drain(&b);
	ncpi_writer_mark(t->w, 5, 1, 2, NCP_REASON_INTERFACE_DOWN, 0);
	ncpi_writer_state(t->w, NCP_LIVE, 0);
	bus_publish(t, 10);
	drain(&b);
	bus_publish(t, 10);
	bus_stop(t, NCP_STOPPED);
	drain(&b);
	bus_start(t, true);
	bus_publish(t, 10);
	drain(&b);
	is_u64(1, b.epochs, "states: a takeover after a stop is one epoch block");
	bus_publish(t, 20);
	steps(&b, 5);
	bus_stop(t, NCP_LIVE);
	bus_start(t, true);
	bus_publish(t, 10);
	drain(&b);
	is_u64(2, b.epochs, "states: after a crash another");
	bus_stop(t, NCP_LIVE);
	await_event(&b);
	bus_start(t, true);
	await_event(&b);
	bus_publish(t, 10);
	drain(&b);
	bus_publish(t, 1000);
	bus_stop(t, NCP_ENDED);
	drain(&b);
	bus_start(t, true);
	if (t->bus.how != NCPI_BUS_REPLACED)
		bail("an ended bus is continued");
	t->next = 0;
	bus_publish(t, 1000);
	await_event(&b);
	drain(&b);
	is_u64(1, b.reattached, "states: a bus that ended is replaced, and followed");
	bus_stop(t, NCP_STOPPED);
	drain(&b);
	t->geo.ring_size *= 2;
	bus_start(t, true);
	t->geo.ring_size /= 2;
	if (t->bus.how != NCPI_BUS_REPLACED)
		bail("a bus of another size is continued");
	t->next = 0;
	bus_publish(t, 10);
	await_event(&b);
	await_event(&b);
	drain(&b);
	is_u64(2, b.reattached, "states: so is one of another geometry");
	is_u64(9, b.states, "states: so many changes were told");
	ok(b.losses == 2 && b.lost > 0, "states: laps were in it, and nothing else was lost");
	pair_close(&b, "states");
}
#define STATES (6 + PAIR_CLOSE)

/* A bus that went, and another that came: nobody knows what was lost between. */
static void test_removed(struct test_bus *t)
{
	struct pair b;

	pair_open(&b, t, NCP_LATEST, 0, false);
	bus_publish(t, 10);
	drain(&b);
	if (ncpi_bus_unlink(t->dirfd, t->name, 0, 0, false) < 0)
		bail("unlink");
	bus_stop(t, NCP_STOPPED);
	drain(&b);
	bus_start(t, true);
	t->next = 0;
	bus_publish(t, 1000);
	await_event(&b);
	drain(&b);
	is_u64(1, b.reattached, "removed: the new bus is found");
	ok(b.losses == 2, "removed: an unknown loss, and one of the new bus's own");
	pair_close(&b, "removed");
}
#define REMOVED (2 + PAIR_CLOSE)

static void test_random(struct test_bus *t)
{
	struct tap_rng rng = { .seed = tap_seed() };
	struct pair b;
	int interfaces[2] = { t->interface, second_interface(t) };

	pair_open(&b, t, NCP_OLDEST, 0, false);
	for (int i = 0; i < 200; i++) {
		switch (tap_rng_below(&rng, 12)) {
		case 0:
			lap(t);
			break;
		case 1:
			bus_stop(t, tap_rng_below(&rng, 2) ? NCP_STOPPED : NCP_LIVE);
			bus_start(t, true);
			break;
		case 2:
			drain(&b);
			break;
		case 3:
			t->interface = interfaces[tap_rng_below(&rng, 2)];
			break;
		case 4 ... 7:
			steps(&b, 1 + tap_rng_below(&rng, 40));
			break;
		default:
			bus_publish(t, 1 + tap_rng_below(&rng, 120));
		}
	}
	drain(&b);
	ok(b.losses > 1 && b.epochs > 1 && b.frames > 300,
	   "random: %u losses, %u epochs, %d frames", b.losses, b.epochs, (int)b.frames);
	pair_close(&b, "random");
}
#define RANDOM (1 + PAIR_CLOSE)

static void test_info(struct test_bus *t)
{
	const char *args[] = { t->name, "--dir", t->dir, "--info", NULL };
	struct ncp_client *c = bus_attach(t, NCP_LATEST, 0, 0);
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	struct ncp_interface i = NCP_INTERFACE_INIT;
	struct python p;

	ncpi_writer_count(t->w, 0, 0, &(struct ncpi_counts){ 5000, 30, 2, 1 });
	is_i64(0, ncp_bus_info(c, &info), "info: libncpbus");
	python_start(&p, args);
	const char *line = python_line(&p);
	if (!line)
		bail("no info");
	const struct {
		const char *key;
		uint64_t want;
	} fields[] = {
		{ "epoch", info.epoch }, { "incarnation", info.incarnation },
		{ "replaced", info.replaced }, { "replaced_next_seq", info.replaced_next_seq },
		{ "created_ns", info.created_ns }, { "ring_size", info.ring_size },
		{ "published", info.next_seq }, { "newest_ts_ns", info.newest_ts_ns },
		{ "head", info.head }, { "tail", info.tail }, { "pid", info.pid },
		{ "workers", info.n_workers }, { "snaplen", info.snaplen },
		{ "reason", info.reason }, { "bytes", info.bytes },
		{ "received", info.received }, { "kernel_drops", info.kernel_drops },
		{ "freezes", info.freezes }, { "truncated", info.truncated },
		{ "discarded", info.discarded },
	};
	for (size_t k = 0; k < sizeof(fields) / sizeof(fields[0]); k++)
		is_u64(fields[k].want, json_u64(line, fields[k].key), "info: %s", fields[k].key);
	ok(json_is(line, "state", ncp_state_name(info.state)), "info: state");
	ok(json_is(line, "name", info.name), "info: name");
	const char *second = strstr(line, "\"linktype\": 113");
	is_i64(0, ncp_interface(c, 1, &i), "info: the second interface");
	ok(second && json_is(second, "name", "test1") &&
	   json_is(second, "description", i.description), "info: and its description");
	is_i64(0, python_end(&p), "info: reader.py leaves with 0");
	ncp_detach(c);
}
#define INFO (20 + 6)

static void test_clients(struct test_bus *t)
{
	const char *args[] = { t->name, "--dir", t->dir, "--clients", NULL };
	struct ncp_client *c = bus_attach(t, NCP_OLDEST, 0, 0);
	struct ncp_frame f = NCP_FRAME_INIT;
	struct ncp_peer peer = NCP_PEER_INIT;
	unsigned alive = 0, others = 0;
	struct python p;
	const char *line;

	pid_t pid = fork();
	if (pid == 0) {
		bus_attach(t, NCP_OLDEST, 0, 0);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		bail("fork: %s", strerror(errno));
	for (int i = 0; i < 300 && ncp_next(c, &f) >= 0; i++)
		usleep(1000); /* the line is written four times a second */
	is_i64(1, ncp_peers(c, &peer, 1), "clients: libncpbus sees one");
	python_start(&p, args);
	while ((line = python_line(&p))) {
		if (!json_is(line, "life", "alive")) {
			others++;
			continue;
		}
		alive++;
		ok(json_u64(line, "uid") == peer.uid && json_u64(line, "pid") == peer.pid &&
		   json_u64(line, "since_ns") == peer.since_ns && json_is(line, "name", peer.name),
		   "clients: reader.py sees the same");
		ok(json_u64(line, "position") == peer.position && json_u64(line, "seq") == peer.seq &&
		   peer.seq > 0, "clients: and where it stands");
		ok(json_u64(line, "frames") == peer.frames && json_u64(line, "lost") == peer.lost &&
		   json_u64(line, "filtered") == peer.filtered &&
		   json_u64(line, "incarnation") == peer.incarnation && peer.frames > 0,
		   "clients: and what it has counted");
	}
	is_u64(1, alive, "clients: one is alive");
	is_u64(1, others, "clients: and the line of one that died is known as such");
	is_i64(0, python_end(&p), "clients: reader.py leaves with 0");
	ncp_detach(c);
}
#define CLIENTS 7

int main(void)
{
	struct test_bus t;
	int fds;

	signal(SIGPIPE, SIG_IGN);
	plan(LAPS + STARTS + STATES + REMOVED + RANDOM + INFO + CLIENTS + 1);
	fds = tap_open_fds();
	bus_make(&t);
	bus_start(&t, true);
	test_laps(&t);
	test_starts(&t);
	test_states(&t);
	test_removed(&t);
	test_random(&t);
	test_info(&t);
	test_clients(&t);
	bus_stop(&t, NCP_ENDED);
	is_i64(fds + 1, tap_open_fds(), "nothing left open but the directory");
	return tap_done();
}
