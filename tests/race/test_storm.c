/* SPDX-License-Identifier: BSD-2-Clause */
/* test_storm.c - processes stopped and killed at random around a small ring that laps all the time. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libncpbus/layout.h"
#include "libncpbus/order.h"
#include "libncpbus/stamp.h"
#include "support/bus.h"
#include "tap/tap.h"

#define STORM_NS (4 * NCPI_SECOND)
#define N_CLIENTS 6

enum how { PLACE, COPY, BATCH, SPANS, FILTERED, SEEKS };

/* What a life of a client found; shared with the controller. */
struct life {
	uint64_t frames, filtered, lost, window; /* the ledger's sum when it ended in order */
	uint64_t bad;			/* torn frames taken for whole, numbers out of order */
	uint64_t discards;		/* times that frames were taken back */
	uint64_t last;			/* the number after the last frame */
	uint32_t in_order;		/* it ended by itself */
};

struct shared {
	uint32_t stop;			/* the clients': read to the end, then go */
	uint32_t stop_producer;
	uint64_t takeovers, published;
	struct life life[N_CLIENTS];	/* of those who live now */
	struct life sum;		/* of those who were killed */
};
static struct shared *shared;
static struct test_bus bus;
static struct tap_rng rng;

/* --- the producer ----------------------------------------------------------------------------- */

static void producer_main(void)
{
	struct ncpi_totals totals;

	bus_start(&bus, true);
	ncpi_writer_totals(bus.w, &totals);
	bus.next = totals.next_seq;
	if (bus.bus.how == NCPI_BUS_CONTINUED)
		shared->takeovers++;
	while (!ncpi_load_acquire(&shared->stop_producer))
		bus_publish(&bus, 7);
	bus_stop(&bus, NCP_ENDED);
	shared->published = bus.next;
	_exit(0);
}

/* --- a client --------------------------------------------------------------------------------- */

struct client {
	struct ncp_client *c;
	enum how how;
	struct life *life;
	uint64_t next;
	bool fresh;
};

static void in_turn(struct client *k, uint64_t seq)
{
	if (!k->fresh && (k->how == FILTERED ? seq < k->next : seq != k->next))
		k->life->bad++;
	k->fresh = false;
}

/* True when the stream is at its end. */
static bool see(struct client *k, const struct ncp_frame *f)
{
	if (f->kind == NCP_FRAME) {
		bool good = frame_good(f);

		in_turn(k, f->seq);
		/* Looked at first, believed only then. */
		if (!good && (k->how == COPY || ncp_intact(k->c, f->position) == 1))
			k->life->bad++;
		k->next = f->seq + 1;
	} else if (f->kind == NCP_LOST) {
		if (f->seq < k->next)
			k->life->discards++;
		else
			in_turn(k, f->seq);
		k->next = f->next_seq > k->next ? f->next_seq : k->next;
	}
	return f->kind == NCP_STATE && f->state == NCP_ENDED;
}

static void see_span(struct client *k, const struct ncp_span *s)
{
	uint64_t seq = s->first_seq, bad = 0;

	in_turn(k, s->first_seq);
	for (size_t off = 0; off + 28 <= s->len;) {
		const uint32_t *b = (const uint32_t *)(const void *)(s->data + off);
		uint32_t type = ncpi_load(&b[0]), len = ncpi_load(&b[1]), cap = ncpi_load(&b[5]);

		if (len < 12 || len % 4 || len > s->len - off) {
			bad++;
			break;
		}
		if (type == NCPI_EPB) {
			const struct ncp_frame f = {
				.kind = NCP_FRAME, .seq = seq, .data = s->data + off + 28,
				.caplen = cap, .len = ncpi_load(&b[6]), .ts_ns = FRAME_TS(seq),
				.flags = 1 + (uint32_t)(seq % 2),
				.dropcount = seq % 11 ? 0 : seq + 1,
			};

			bad += !frame_good(&f);
			seq++;
		}
		off += len;
	}
	bad += seq != s->next_seq;
	if (!ncp_intact(k->c, s->position)) {
		/* How much of it is not looked at here: all. */
		ncp_span_lost(k->c, s->next_seq - s->first_seq);
		k->life->discards++;
	} else {
		k->life->bad += bad;
	}
	k->next = s->next_seq;
}

static void client_main(unsigned i, uint64_t seed)
{
	const struct ncp_bpf_insn filter[] = { { .code = 0x80 }, { .code = 0x35, .jf = 1, .k = 100 },
					       { .code = 0x06, .k = 1 }, { .code = 0x06 } };
	struct client k = { .how = (enum how)i, .life = &shared->life[i], .fresh = true };
	struct ncp_frame f[16] = { NCP_FRAME_INIT };
	struct ncp_span span = NCP_SPAN_INIT;
	struct ncp_stats st = NCP_STATS_INIT;
	struct tap_rng own = { .seed = seed };
	uint8_t buf[FRAME_CAP];
	bool end = false;

	k.c = bus_attach(&bus, NCP_OLDEST, 0, i % 2 ? NCP_NO_REGISTRY : 0);
	if (k.how == FILTERED && ncp_set_bpf(k.c, filter, 4) < 0)
		_exit(1);
	while (!end) {
		int r;

		if (k.how == SPANS) {
			r = ncp_span(k.c, 8192, &span, f);
			if (r == 1 && f->kind == NCP_SPAN) {
				see_span(&k, &span);
				continue;
			}
		} else if (k.how == SEEKS && tap_rng_below(&own, 200) == 0) {
			const struct ncp_where where = { .size = sizeof(where),
							 .whence = tap_rng_below(&own, 2) ?
									   NCP_OLDEST : NCP_LATEST };

			r = ncp_seek(k.c, &where);
			k.fresh = true;
			k.next = 0;
		} else {
			r = k.how == COPY  ? ncp_recv(k.c, buf, sizeof(buf), f) :
			    k.how == BATCH ? ncp_next_batch(k.c, f, 16) :
					     ncp_next(k.c, f);
		}
		for (int n = 0; n < r; n++)
			end |= see(&k, &f[n]);
		if (r < 0 || (r == 0 && ncp_wait(k.c, 100) < 0)) {
			k.life->bad++;
			break;
		}
		if (ncp_stats(k.c, &st) == 0)
			k.life->lost = st.total.lost;
	}
	if (ncp_stats(k.c, &st) < 0)
		_exit(1);
	k.life->frames = st.now.frames;
	k.life->filtered = st.now.filtered;
	k.life->lost = st.now.lost;
	k.life->window = st.now.next_seq - st.now.first_seq;
	k.life->last = st.now.next_seq;
	k.life->in_order = 1;
	ncp_detach(k.c);
	_exit(0);
}

/* --- the controller --------------------------------------------------------------------------- */

static pid_t start(int client)
{
	uint64_t seed = tap_rng_u64(&rng);
	pid_t pid = fork();

	if (pid < 0)
		bail("fork: %s", strerror(errno));
	if (pid == 0) {
		if (client < 0)
			producer_main();
		else
			client_main((unsigned)client, seed);
	}
	return pid;
}

static int reap(pid_t pid)
{
	int status = -1;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

static void bury(struct life *l)
{
	shared->sum.bad += l->bad;
	shared->sum.discards += l->discards;
	shared->sum.lost += l->lost;
	memset(l, 0, sizeof(*l));
}

static bool has_magic(void *arg)
{
	struct ncp_options o = NCP_OPTIONS_INIT;
	struct ncp_client *c;

	(void)arg;
	o.dir = bus.dir;
	o.flags = NCP_NO_REGISTRY;
	if (ncp_attach(&c, bus.name, &o) < 0)
		return false;
	ncp_detach(c);
	return true;
}

int main(void)
{
	pid_t client[N_CLIENTS], producer;
	unsigned kills = 0, stops = 0, crashes = 0;

	plan(N_CLIENTS + 5);
	rng.seed = tap_seed();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		bail("mmap");
	bus_make(&bus);
	bus.geo.ring_size = UINT64_C(1) << (16 + tap_rng_below(&rng, 5));
	producer = start(-1);
	if (!wait_until(has_magic, NULL, 10000))
		bail("the producer does not start");
	for (int i = 0; i < N_CLIENTS; i++)
		client[i] = start(i);

	for (uint64_t until = ncpi_now_monotonic() + STORM_NS; ncpi_now_monotonic() < until;) {
		int i = (int)tap_rng_below(&rng, N_CLIENTS);
		struct timespec nap = { .tv_nsec = (long)(1 + tap_rng_below(&rng, 40)) * 1000000 };

		switch (tap_rng_below(&rng, 8)) {
		case 0:
			kill(client[i], SIGKILL);
			reap(client[i]);
			bury(&shared->life[i]);
			client[i] = start(i);
			kills++;
			break;
		case 1:
			kill(producer, SIGKILL);
			reap(producer);
			nanosleep(&nap, NULL);
			producer = start(-1);
			crashes++;
			break;
		case 2:
			kill(producer, SIGSTOP);
			nanosleep(&nap, NULL);
			kill(producer, SIGCONT);
			break;
		default:
			kill(client[i], SIGSTOP);
			nanosleep(&nap, NULL);
			kill(client[i], SIGCONT);
			stops++;
			break;
		}
	}
	ncpi_store_release(&shared->stop_producer, 1);
	is_i64(0, reap(producer), "the producer ends in order");
	uint64_t bad = shared->sum.bad, lost = shared->sum.lost, discards = shared->sum.discards;
	for (int i = 0; i < N_CLIENTS; i++) {
		const struct life *l = &shared->life[i];
		int status = reap(client[i]);

		ok(status == 0 && l->in_order && l->frames + l->filtered + l->lost == l->window &&
			   l->last == shared->published,
		   "client %d: %llu seen + %llu filtered + %llu lost = what was published", i,
		   (unsigned long long)l->frames, (unsigned long long)l->filtered,
		   (unsigned long long)l->lost);
		bad += l->bad;
		lost += l->lost;
		discards += l->discards;
	}
	is_u64(0, bad, "no torn frame was taken for whole, no number was out of order");
	/* Else nothing was shown. */
	ok(lost > 0 && discards > 0, "clients were lapped: %llu frames lost, %llu times taken back",
	   (unsigned long long)lost, (unsigned long long)discards);
	ok(kills > 0 && stops > 0 && crashes > 0 && shared->takeovers > 0,
	   "%u clients killed, %u stopped, %u producers killed, %llu takeovers", kills, stops, crashes,
	   (unsigned long long)shared->takeovers);
	ok(shared->published * 100 > 20 * bus.geo.ring_size,
	   "%llu frames in a ring of %llu KiB: many laps", (unsigned long long)shared->published,
	   (unsigned long long)bus.geo.ring_size >> 10);
	return tap_done();
}
