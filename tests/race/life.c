/* SPDX-License-Identifier: BSD-2-Clause */
/* life.c - one life of a client, which believes nothing of what it is given. */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "libncpbus/client.h"
#include "libncpbus/stamp.h"
#include "storm.h"

#define BATCH 16
#define ORDERED_BITS (UINT64_C(1) << 16)
#define REORDER_NS (2 * NCPI_MS)

struct life {
	struct ncp_client *c;
	enum storm_kind kind;
	unsigned slot;
	uint32_t number;
	struct tap_rng rng;
	bool fresh;	/* nothing read in this window */
	uint64_t next;	/* the number expected */
	uint64_t frames, lost; /* by what was given and told */
	uint64_t given[BATCH]; /* by the last call that gave any, and not taken back */
	unsigned n_given;
	uint64_t torn[BATCH]; /* of these, what was overrun when it was looked at */
	unsigned n_torn;
	bool granted;	/* reliable, until the producer says otherwise */
	bool stalled;	/* for nearly as long as it allows, at least once */
	uint64_t newest_life, newest_of[STORM_WORKERS]; /* producers; their workers' last numbers */
	uint64_t newest_ts_ns, late;
	uint8_t *once;	/* NCP_ORDERED: bit seq mod ORDERED_BITS, of the numbers below top */
	uint64_t top;
	bool ended;
};

static enum storm_kind kind_of(unsigned slot)
{
	return slot < STORM_SHARD		   ? (enum storm_kind)slot :
	       slot < STORM_SHARD + STORM_SHARDS ? STORM_SHARD :
						   STORM_GROUP;
}

const char *storm_kind_name(unsigned slot)
{
	static const char *const names[] = { "in place", "copied", "batches", "spans",
					     "filtered", "seeking", "polling", "ordered",
					     "reliable", "shard", "group" };

	return names[kind_of(slot)];
}

static void bad(const struct life *l, const char *what, uint64_t a, uint64_t b)
{
	storm_bad(storm_kind_name(l->slot), what, a, b);
}

/* --- frames ------------------------------------------------------------------------------------- */

/* Passed over without a word: what the filter or the other shards have. */
static void passed_over(struct life *l, uint64_t to)
{
	for (; l->next < to && !l->fresh; l->next++) {
		if (l->kind == STORM_FILTER)
			storm_filtered(l->next);
		else
			storm_shard(l->slot - STORM_SHARD, l->next, false);
	}
}

static void in_turn(struct life *l, uint64_t seq)
{
	if (l->kind == STORM_GROUP || l->kind == STORM_ORDERED)
		return;
	if (l->kind == STORM_FILTER || l->kind == STORM_SHARD)
		passed_over(l, seq);
	if (!l->fresh && seq != l->next)
		bad(l, "a number out of turn", l->next, seq);
}

/* A producer's life begins when the one before is over; a worker counts up. */
static void in_his_order(struct life *l, uint64_t seq, uint64_t id)
{
	uint64_t *of = &l->newest_of[STORM_ID_WORKER(id) % STORM_WORKERS];

	if (l->kind == STORM_GROUP || l->kind == STORM_ORDERED || l->kind == STORM_SEEKS)
		return;
	if (STORM_ID_LIFE(id) > l->newest_life) {
		l->newest_life = STORM_ID_LIFE(id);
		memset(l->newest_of, 0, sizeof(l->newest_of));
	}
	if (STORM_ID_LIFE(id) < l->newest_life || id <= *of)
		bad(l, "a frame of before", seq, id);
	*of = id;
}

/* Numbers of NCP_ORDERED rise on the whole, and none comes twice. */
static void once(struct life *l, uint64_t seq)
{
	for (; l->top <= seq; l->top++)
		l->once[l->top % ORDERED_BITS / 8] &= (uint8_t)~(1u << l->top % 8);
	uint8_t bit = (uint8_t)(1u << seq % 8), *byte = &l->once[seq % ORDERED_BITS / 8];

	if (l->top - seq > ORDERED_BITS || *byte & bit)
		bad(l, "a number twice", seq, l->top);
	*byte |= bit;
}

/* A frame; whole says that it is a copy that was checked. */
static void see_frame(struct life *l, const struct ncp_frame *f, bool whole)
{
	uint64_t id;
	bool good = storm_frame_good(f, &id);

	in_turn(l, f->seq);
	l->next = f->seq + 1;
	l->fresh = false;
	l->frames++;
	l->given[l->n_given++] = f->seq;
	if (l->kind == STORM_ORDERED) {
		once(l, f->seq);
		ncpi_add(&storm->sums.overtaken, f->seq + 1 < l->top);
		if (f->ts_ns < l->newest_ts_ns)
			l->late++;
		else
			l->newest_ts_ns = f->ts_ns;
	}
	/* Looked at first, believed only then. */
	if (!whole && ncp_intact(l->c, f->position) != 1) {
		l->torn[l->n_torn++] = f->seq;
		return;
	}
	if (!good) {
		bad(l, "a torn frame", f->seq, id);
		return;
	}
	if (l->kind == STORM_FILTER && f->len < STORM_WANTED)
		bad(l, "a frame that the filter does not want", f->seq, f->len);
	in_his_order(l, f->seq, id);
	storm_saw(f->seq, id, f->len >= STORM_WANTED);
	if (l->kind == STORM_SHARD)
		storm_shard(l->slot - STORM_SHARD, f->seq, true);
	if (l->kind == STORM_GROUP)
		storm_group_saw(f->seq, l->number);
}

/* Frames that were given and are now said to be lost. */
static void take_back(struct life *l, const struct ncp_frame *f)
{
	unsigned n = 0;

	for (unsigned i = 0; i < l->n_given; i++) {
		if (l->given[i] < f->seq || l->given[i] >= f->next_seq)
			l->given[n++] = l->given[i];
		else if (l->kind == STORM_ORDERED)
			l->once[l->given[i] % ORDERED_BITS / 8] &= (uint8_t)~(1u << l->given[i] % 8);
	}
	l->frames -= l->n_given - n;
	ncpi_add(&storm->sums.taken_back, l->n_given != n);
	l->n_given = n;
}

static void group_begins(uint64_t seq)
{
	uint64_t begin = ncpi_load_acquire(&storm->group_begin);

	while (seq < begin && !__atomic_compare_exchange_n(&storm->group_begin, &begin, seq, false,
							   __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		;
}

static void see_lost(struct life *l, const struct ncp_frame *f)
{
	ncpi_add(&storm->sums.laps, 1);
	if (f->next_seq <= f->seq) {
		bad(l, "a loss of nothing", f->seq, f->next_seq);
		return;
	}
	/* Who stalled and was evicted is told so first; unless the producer died over it, and the
	 * next one granted anew. */
	if (l->kind == STORM_RELIABLE && l->granted && !l->stalled)
		bad(l, "lost while the producer should wait", f->seq, f->next_seq);
	take_back(l, f);
	if (l->fresh || f->seq >= l->next)
		in_turn(l, f->seq);
	l->fresh = false;
	l->lost += f->next_seq - f->seq;
	l->next = f->next_seq > l->next ? f->next_seq : l->next;
	for (uint64_t seq = f->seq; seq < f->next_seq; seq++) {
		if (l->kind == STORM_ORDERED)
			once(l, seq);
		if (l->kind == STORM_GROUP)
			storm_group_lost(seq);
	}
}

static void see(struct life *l, const struct ncp_frame *f, bool whole)
{
	if (l->kind == STORM_GROUP && (f->kind == NCP_FRAME || f->kind == NCP_LOST))
		group_begins(f->seq);
	if (f->kind == NCP_FRAME)
		see_frame(l, f, whole);
	else if (f->kind == NCP_LOST)
		see_lost(l, f);
	else if (f->kind == NCP_EVICTED) {
		if (!l->granted)
			bad(l, "evicted, and was not granted", f->seq, 0);
		l->granted = false;
		ncpi_add(&storm->sums.evicted, 1);
	} else if (f->kind != NCP_STATE)
		bad(l, "an event that cannot be", f->kind, f->seq);
	l->ended |= f->kind == NCP_STATE && f->state == NCP_ENDED;
}

/* The blocks of a span; its frames are whole if the span still is. */
static void see_span(struct life *l, const struct ncp_span *s)
{
	static _Thread_local uint64_t ids[STORM_CELLS / 64];
	uint64_t seq = s->first_seq;
	bool good = true;

	in_turn(l, s->first_seq);
	for (size_t off = 0; off + 28 <= s->len && good;) {
		const uint32_t *b = (const uint32_t *)(const void *)(s->data + off);
		uint32_t type = ncpi_load(&b[0]), len = ncpi_load(&b[1]), cap = ncpi_load(&b[5]);

		good = len >= 12 && len % 4 == 0 && len <= s->len - off;
		if (good && type == NCPI_EPB) {
			const uint32_t *o = &b[7 + (cap + 3) / 4];
			struct ncp_frame f = { .kind = NCP_FRAME,
					       .data = s->data + off + 28,
					       .ts_ns = (uint64_t)ncpi_load(&b[3]) << 32 |
							ncpi_load(&b[4]),
					       .interface = ncpi_load(&b[2]),
					       .caplen = cap,
					       .len = ncpi_load(&b[6]) };
			uint32_t words[3];

			good = seq < s->next_seq && cap <= STORM_CAP && cap <= len - 44;
			if (!good)
				break;
			f.flags = ncpi_load(&o[1]);
			if (len - 44 - (cap + 3) / 4 * 4 == 12) { /* epb_dropcount, too */
				ncpi_copy_out(words, &o[2], 12);
				memcpy(&f.dropcount, &words[1], 8);
			}
			good = storm_frame_good(&f, &ids[(seq - s->first_seq) % (STORM_CELLS / 64)]);
			seq++;
		}
		off += len;
	}
	uint64_t n = s->next_seq - s->first_seq;
	if (ncp_intact(l->c, s->position) != 1) {
		/* How much of it is not looked at here: all. */
		ncp_span_lost(l->c, n);
		l->lost += n;
		ncpi_add(&storm->sums.taken_back, 1);
	} else {
		if (!good || seq != s->next_seq)
			bad(l, "a torn span", s->first_seq, s->next_seq);
		l->frames += n;
		for (uint64_t i = 0; i < n && n < STORM_CELLS / 64; i++) {
			in_his_order(l, s->first_seq + i, ids[i]);
			storm_saw(s->first_seq + i, ids[i], false);
		}
	}
	l->next = s->next_seq;
	l->fresh = l->fresh && n == 0;
}

/* --- the ledger --------------------------------------------------------------------------------- */

static void check_ledger(struct life *l, struct ncp_stats *st)
{
	const struct ncp_window *now = &st->now, *total = &st->total;

	if (ncp_stats(l->c, st) < 0) {
		bad(l, "ncp_stats", 0, 0);
		return;
	}
	if (now->frames + now->filtered + now->others + now->lost != now->next_seq - now->first_seq)
		bad(l, "the ledger's sum", now->next_seq - now->first_seq,
		    now->frames + now->filtered + now->others + now->lost);
	/* A seek's losses are told to nobody; those met by a window that orders, when they come out;
	 * one behind another event, by the next call. */
	bool told = l->kind != STORM_SEEKS && (l->kind != STORM_ORDERED || l->ended) &&
		    !l->c->n_events;
	if (told && (total->frames != l->frames || total->lost != l->lost))
		bad(l, "the ledger's frames, lost, and what was given and told differ by",
		    total->frames - l->frames, total->lost - l->lost);
	if ((total->filtered && l->kind != STORM_FILTER) ||
	    (total->others && l->kind != STORM_SHARD && l->kind != STORM_GROUP))
		bad(l, "passed over a frame", total->filtered, total->others);
}

/* --- reading ------------------------------------------------------------------------------------ */

static int seek(struct life *l)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	struct ncp_where where = { .size = sizeof(where), .whence = (uint32_t)tap_rng_below(&l->rng, 4) };

	if (ncp_bus_info(l->c, &info) < 0)
		return -1;
	where.value = where.whence == NCP_TIME ?
			      info.newest_ts_ns - tap_rng_below(&l->rng, 1 << 20) :
			      info.next_seq - tap_rng_below(&l->rng, 1 + info.next_seq % 3000);
	int r = ncp_seek(l->c, &where);
	/* The loss in front of a number comes first, and begins there. */
	l->fresh = true;
	l->next = 0;
	l->n_given = 0;
	l->newest_life = 0;
	return r;
}

/* One call and what it gives.  Returns as ncp_next(). */
static int read_once(struct life *l)
{
	struct ncp_frame f[BATCH] = { NCP_FRAME_INIT };
	struct ncp_span span = NCP_SPAN_INIT;
	uint8_t buf[STORM_CAP];
	bool whole = false;
	int r;

	switch (l->kind) {
	case STORM_SPANS:
		r = ncp_span(l->c, 8192, &span, f);
		if (r == 1 && f->kind == NCP_SPAN) {
			see_span(l, &span);
			return 1;
		}
		break;
	case STORM_COPY:
	case STORM_POLL:
		r = ncp_recv(l->c, buf, sizeof(buf), f);
		whole = true;
		break;
	case STORM_ORDERED:
	case STORM_SHARD:
	case STORM_RELIABLE:
		whole = tap_rng_below(&l->rng, 2);
		r = whole ? ncp_recv(l->c, buf, sizeof(buf), f) : ncp_next(l->c, f);
		break;
	case STORM_BATCH:
	case STORM_GROUP:
		r = ncp_next_batch(l->c, f, 1 + (int)tap_rng_below(&l->rng, BATCH));
		break;
	default:
		r = ncp_next(l->c, f);
		break;
	}
	if (r > 0 && f->kind == NCP_FRAME)
		l->n_given = l->n_torn = 0;
	if (l->kind == STORM_GROUP)
		ncpi_store(&storm->group_at[l->slot - STORM_SHARD - STORM_SHARDS],
			   r > 0 && f->kind == NCP_FRAME ? f->seq : UINT64_MAX);
	for (int i = 0; i < r; i++)
		see(l, &f[i], whole);
	return r;
}

static int sleep_until_more(struct life *l)
{
	if (l->kind != STORM_POLL)
		return ncp_wait(l->c, 100);
	struct pollfd p = { .fd = ncp_fd(l->c), .events = POLLIN };

	return p.fd < 0 ? p.fd : poll(&p, 1, 1000) < 0 && errno != EINTR ? -errno : 0;
}

static int attach(struct life *l, const struct test_bus *bus)
{
	/* "ld len; jge STORM_WANTED; ret" */
	const struct ncp_bpf_insn filter[] = { { .code = 0x80 },
					       { .code = 0x35, .jf = 1, .k = STORM_WANTED },
					       { .code = 0x06, .k = 1 },
					       { .code = 0x06, .k = 0 } };
	struct ncp_options o = NCP_OPTIONS_INIT;

	o.dir = bus->dir;
	o.name = storm_kind_name(l->slot);
	o.from.whence = tap_rng_below(&l->rng, 3) ? NCP_OLDEST : NCP_LATEST;
	if (l->kind == STORM_COPY || l->kind == STORM_BATCH)
		o.flags = NCP_NO_REGISTRY;
	if (l->kind == STORM_ORDERED) {
		o.flags = NCP_ORDERED;
		o.reorder_ns = REORDER_NS;
	}
	if (l->kind == STORM_RELIABLE)
		o.flags = NCP_RELIABLE;
	if (l->kind == STORM_SHARD) {
		o.shard_n = STORM_SHARDS;
		o.shard_idx = l->slot - STORM_SHARD;
	}
	if (l->kind == STORM_GROUP)
		o.group = "storm";
	int r = ncp_attach(&l->c, bus->name, &o);
	if (r == 0 && l->kind == STORM_FILTER)
		r = ncp_set_bpf(l->c, filter, 4);
	return r;
}

static void sum_up(struct life *l, const struct ncp_stats *st)
{
	struct storm_sums *s = &storm->sums;

	if (l->ended && st->now.next_seq != ncpi_load_acquire(&storm->published) &&
	    l->kind != STORM_GROUP)
		bad(l, "not all that was published", st->now.next_seq, ncpi_load(&storm->published));
	if (l->kind == STORM_ORDERED && st->late != l->late)
		bad(l, "frames handed out late", st->late, l->late);
	ncpi_add(&s->seen, st->total.frames);
	ncpi_add(&s->filtered, st->total.filtered);
	ncpi_add(&s->others, st->total.others);
	ncpi_add(&s->lost, st->total.lost);
	ncpi_add(&s->in_order, 1);
	ncpi_add(&s->to_the_end, l->ended);
}

void storm_client(const struct test_bus *bus, unsigned slot, uint32_t life, uint64_t seed,
		  const struct ncpi_segment *share)
{
	uint8_t bits[ORDERED_BITS / 8] = { 0 };
	struct life l = { .kind = kind_of(slot), .slot = slot, .number = life, .fresh = true,
			  .rng = { .seed = seed }, .once = bits };
	struct ncp_stats st = NCP_STATS_INIT;
	struct ncpi_segment own;
	int r = attach(&l, bus);

	if (r == NCP_ENOTRELIABLE) {
		ncpi_add(&storm->sums.refused, 1);
		return;
	}
	if (r < 0) {
		bad(&l, ncp_strerror(r), 0, 0);
		return;
	}
	l.granted = l.kind == STORM_RELIABLE;
	ncpi_add(&storm->sums.granted, l.granted);
	ncpi_store_release(&storm->attached[slot], life + 1);
	own = l.c->seg;
	if (share) {
		l.c->seg.h = share->h;
		l.c->seg.ring = share->ring;
		l.c->seg.waypoints = share->waypoints;
		l.c->seg.prologue = share->prologue;
	}
	/* A life of some thousand calls, unless it is to stay. */
	uint64_t calls = tap_rng_below(&l.rng, 3) ? tap_rng_below(&l.rng, 20000) : UINT64_MAX;
	for (uint64_t now = 0, last; !l.ended && r >= 0;) {
		last = now;
		now = ncpi_now_monotonic();
		l.stalled |= last && now - last > STORM_TIMEOUT_MS / 2 * NCPI_MS;
		if (calls-- == 0 && ncpi_exchange_acq_rel(&storm->may_leave[slot], 0))
			break;
		if (l.kind == STORM_SEEKS && tap_rng_below(&l.rng, 200) == 0)
			r = seek(&l);
		else if (read_once(&l) == 0)
			r = sleep_until_more(&l);
		check_ledger(&l, &st);
	}
	if (r < 0)
		bad(&l, ncp_strerror(r), 0, 0);
	if (l.kind == STORM_GROUP)
		ncpi_store(&storm->group_at[slot - STORM_SHARD - STORM_SHARDS], UINT64_MAX);
	/* Who leaves counts what he was given last as read, also what was torn in his hands: no further
	 * call told him of the loss. */
	for (unsigned i = 0; l.kind == STORM_GROUP && i < l.n_torn; i++)
		storm_group_saw(l.torn[i], life);
	sum_up(&l, &st);
	l.c->seg = own;
	ncp_detach(l.c);
}
