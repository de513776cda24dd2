/* SPDX-License-Identifier: BSD-2-Clause */
/* writer.c - publish frames: claim, write, commit.  The steps P1-P8 are those of layout.h. */
#include "libncpbus/writer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libncpbus/include/ncpbus.h"
#include "libncpbus/order.h"
#include "libncpbus/prologue.h"
#include "libncpbus/stamp.h"
#include "libncpbus/takeover.h"
#include "libncpbus/writer_impl.h"

#if NCPI_WEAKEN
_Thread_local struct ncpi_weak_buffer ncpi_weak_buffer;
#endif
#ifdef NCP_TESTPOINTS
void (*ncpi_testpoint_fn)(const char *step);
#endif

/* How long a blocked claim sleeps before it looks again: clients wake room, but nothing is lost
 * if one does not. */
#define ROOM_WAIT_NS NCPI_MS
/* The same when another worker copies: it is done within microseconds. */
#define WORKER_WAIT_NS 20000
/* Pieces of the registry that are looked through before the first claim: 65536 files. */
#define SCAN_PIECES 64

/*
 * Under the claim lock: take the next bytes if they may be written.  That is so when every earlier
 * claim is nearly committed (tail never passes head), and every client that must be waited for has
 * read what they overwrite.
 */
static bool position_take(struct ncpi_writer *w, uint64_t bytes)
{
	uint64_t end = w->next_position + bytes;

	/* Acquire, partner P7: who wrote the bytes a lap ago that this claim overwrites, did so before.
	 * Without, the older bytes could be the ones that stay, where a third worker made all claims
	 * between the two. */
	if (end > w->seg->ring_size / 2 + ncpi_load_acquire(&w->seg->h->head) ||
	    /* Acquire, partner in done(): the claim that had this place was committed. */
	    w->next_claim - ncpi_load_acquire(&w->next_commit) == NCPI_CLAIMS)
		return false;
	ncpi_store(&w->next_position, end);
	if (!w->reliable)
		return true;
	/* Full fence before the limit is read: next_position was stored before it, and the granter
	 * stores the limit before it reads next_position.  One of the two sees the other, so a
	 * client is never granted bytes that this claim overwrites. */
	ncpi_fence_full();
	/* Acquire, partner in limit_update(): the client has read what this claim overwrites. */
	if (end <= ncpi_load_acquire(&w->roster.limit))
		return true;
	ncpi_store(&w->next_position, end - bytes);
	return false;
}

/* Outside the locks, the waker's heartbeat goes on: sleep until it is worth another try. */
static void wait_for_room(struct ncpi_writer *w, uint64_t end, uint64_t *blocked_since)
{
	if (!w->reliable || end <= ncpi_load(&w->roster.limit)) {
		nanosleep(&(struct timespec){ .tv_nsec = WORKER_WAIT_NS }, NULL);
		return;
	}
	if (!*blocked_since)
		*blocked_since = ncpi_now_monotonic();
	uint32_t room = ncpi_load(&w->seg->h->room);

	ncpi_roster_refresh(w, *blocked_since);
	if (end <= ncpi_load(&w->roster.limit))
		return;
	/* What was published must reach those we wait for. */
	ncpi_waker_poke(w);
	ncpi_futex_wait(&w->seg->h->room, room, ROOM_WAIT_NS);
}

/* P1-P3: take positions and numbers, and move tail out of the way.  NULL when cancelled; then
 * nothing was taken, so that no claim is ever left that those after it would wait for. */
static struct ncpi_claim *claim(struct ncpi_writer *w, uint64_t bytes, uint64_t n_frames)
{
	struct ncpi_header *h = w->seg->h;
	uint64_t blocked_since = 0;

	NCPI_TESTPOINT("publish:P1");
	ncpi_lock(w, &w->claim_lock);
	while (!position_take(w, bytes)) {
		uint64_t end = w->next_position + bytes;

		ncpi_unlock(w, &w->claim_lock);
		if (ncpi_load(&w->cancelled))
			return NULL;
		wait_for_room(w, end, &blocked_since);
		ncpi_lock(w, &w->claim_lock);
	}
	struct ncpi_claim *c = &w->claims[w->next_claim++ % NCPI_CLAIMS];
	c->end = w->next_position;
	c->position = c->end - bytes;
	c->seq = w->next_seq;
	c->end_seq = w->next_seq += n_frames;
	c->newest_ts_ns = 0;
	c->n_waypoints = 0;
	NCPI_TESTPOINT("publish:P2");
	if (c->end > w->seg->ring_size && c->end - w->seg->ring_size > w->tail) {
		/* P2.  Inside the lock: it never goes back, also between workers. */
		w->tail = c->end - w->seg->ring_size;
		ncpi_store_at(P2, &h->tail, w->tail);
	}
	ncpi_unlock(w, &w->claim_lock);
	NCPI_TESTPOINT("publish:P3");
	/* P3, partner C3: no byte of this claim is seen before tail is.  Without, a reader could
	 * take a new byte for an old frame's and find tail where it was.  Also when another worker
	 * stored the tail that covers this claim: the fence orders this thread's stores. */
	ncpi_fence_release_at(P3);
	NCPI_TESTPOINT("publish:P4");
	return c;
}

/* P5-P7 of the oldest claim. */
static void commit_one(struct ncpi_writer *w, const struct ncpi_claim *c)
{
	struct ncpi_segment *seg = w->seg;
	struct ncpi_header *h = seg->h;

	NCPI_TESTPOINT("publish:P5");
	for (uint32_t i = 0; i < c->n_waypoints; i++) {
		struct ncpi_waypoint *e = &seg->waypoints[w->waypoints & (seg->n_waypoints - 1)];
		const struct ncpi_waypoint *from = &c->waypoint[i];
		uint64_t time = from->time_ns > w->newest_ts_ns ? from->time_ns : w->newest_ts_ns;

		/* Four words in any order: a reader that meets a mixture finds the check wrong. */
		ncpi_store(&e->position, from->position);
		ncpi_store(&e->seq, from->seq);
		NCPI_TESTPOINT("publish:P5.1");
		ncpi_store(&e->time_ns, time);
		ncpi_store(&e->check, ncpi_waypoint_check(seg->incarnation, from->position,
							  from->seq, time));
		NCPI_TESTPOINT("publish:P5.2");
		/* P5: release, so that whoever counts the entry sees it. */
		ncpi_store_release_at(P5, &h->waypoints, ++w->waypoints);
		NCPI_TESTPOINT("publish:P5.3");
	}
	if (c->newest_ts_ns > w->newest_ts_ns) {
		w->newest_ts_ns = c->newest_ts_ns;
		ncpi_store(&h->newest_ts_ns, w->newest_ts_ns);
	}

	struct ncpi_slot *slot = &h->slot[w->slot_idx];

	NCPI_TESTPOINT("publish:P8");
	/* P8, partner S3: this slot was head's until the commit before the last.  Who reads one of
	 * its new words here sees head moved, and does not pair it with the old one. */
	ncpi_fence_release_at(P8);
	NCPI_TESTPOINT("publish:P6");
	ncpi_store_at(P6, &slot->position, c->end);
	NCPI_TESTPOINT("publish:P6.5");
	ncpi_store_at(P6, &slot->seq, c->end_seq);
	w->slot_idx ^= 1;
	ncpi_store(&w->committed_seq, c->end_seq);
	NCPI_TESTPOINT("publish:P7");
	/* P7, partners C1 and S1: who sees head sees blocks, waypoints and slot below it. */
	ncpi_weak_flush(NCPI_WEAK(P2_LATE));
	ncpi_store_release_at(P7, &h->head, c->end);
	NCPI_TESTPOINT("publish:done");
	ncpi_weak_flush(NCPI_WEAK(P6_LATE));
}

/* The claim is written: commit it, and all done ones after it, if it is the oldest. */
static void done(struct ncpi_writer *w, struct ncpi_claim *c)
{
	/* Mark, test and commit are one critical section; anything weaker commits twice, or leaves
	 * a done claim that nobody commits. */
	ncpi_lock(w, &w->commit_lock);
	c->done = true;
	uint64_t i = w->next_commit;
	while (w->claims[i % NCPI_CLAIMS].done) {
		struct ncpi_claim *oldest = &w->claims[i % NCPI_CLAIMS];

		commit_one(w, oldest);
		oldest->done = false;
		/* Release: whoever takes this place for another claim comes after the commit. */
		ncpi_store_release(&w->next_commit, ++i);
	}
	ncpi_unlock(w, &w->commit_lock);
	ncpi_waker_poke(w);
}

/* A block that crosses a waypoint step ends at position and seq is the next frame's: a waypoint. */
static void waypoint_candidate(struct ncpi_claim *c, uint64_t position, uint64_t seq)
{
	if (c->n_waypoints < NCPI_CLAIM_WAYPOINTS)
		c->waypoint[c->n_waypoints++] = (struct ncpi_waypoint){
			.position = position, .seq = seq, .time_ns = c->newest_ts_ns
		};
}

/* Bytes of tag that will be inserted. */
static inline uint32_t tag_len(const struct ncpi_frame *f)
{
	return f->vlan_tpid && f->caplen >= f->vlan_off ? 4 : 0;
}

/* Write one Enhanced Packet Block; returns its length.  Apart, so that the loop around usual_write()
 * has the registers to itself. */
static __attribute__((noinline)) uint32_t epb_write(uint8_t *out, const struct ncpi_frame *f)
{
	uint32_t tag = tag_len(f), caplen = f->caplen + tag;
	uint32_t padded = NCPI_PAD4(caplen);
	uint32_t total = NCPI_EPB_LEN(caplen, f->dropcount != 0);
	uint32_t *w = (uint32_t *)(void *)out;

	/* Word by word, in struct ncpi_epb's order: put together on the stack and copied by wide
	 * loads, the words' stores could not be forwarded, which costs more than all the rest. */
	ncpi_store(&w[0], NCPI_EPB);
	ncpi_store(&w[1], total);
	ncpi_store(&w[2], f->interface);
	ncpi_store(&w[3], (uint32_t)(f->ts_ns >> 32));
	ncpi_store(&w[4], (uint32_t)f->ts_ns);
	ncpi_store(&w[5], caplen);
	ncpi_store(&w[6], f->len + tag);
	uint8_t *p = (uint8_t *)(w + 7);
	NCPI_TESTPOINT("publish:block");
	if (padded != caplen) /* zero the padding first: the data then covers what is not */
		ncpi_copy_in(p + padded - 4, &(uint32_t){ 0 }, 4);
	if (tag) {
		const uint8_t bytes[4] = { (uint8_t)(f->vlan_tpid >> 8), (uint8_t)f->vlan_tpid,
					   (uint8_t)(f->vlan_tci >> 8), (uint8_t)f->vlan_tci };

		ncpi_copy_in(p, f->data, f->vlan_off);
		ncpi_copy_in(p + f->vlan_off, bytes, 4);
		ncpi_copy_in(p + f->vlan_off + 4, f->data + f->vlan_off,
			     f->caplen - f->vlan_off);
	} else {
		ncpi_copy_in(p, f->data, f->caplen);
	}
	w = (uint32_t *)(void *)(p + padded);
	ncpi_store(&w[0], NCPI_OPTION(NCPI_EPB_FLAGS, 4));
	ncpi_store(&w[1], f->flags);
	w += 2;
	if (f->dropcount) {
		ncpi_store(&w[0], NCPI_OPTION(NCPI_EPB_DROPCOUNT, 8));
		ncpi_copy_in(&w[1], &f->dropcount, 8);
		w += 3;
	}
	ncpi_store(&w[0], NCPI_OPTION(NCPI_OPT_END, 0));
	ncpi_store(&w[1], total);
	return total;
}

static inline uint32_t epb_len(const struct ncpi_frame *f)
{
	return NCPI_EPB_LEN(f->caplen + tag_len(f), f->dropcount != 0);
}

/* The same for nearly every frame: no tag to insert, nothing dropped, so the flags are all. */
static inline uint32_t usual_write(uint8_t *out, const struct ncpi_frame *f)
{
	uint32_t caplen = f->caplen, padded = NCPI_PAD4(caplen), total = padded + 44;
	uint32_t *w = (uint32_t *)(void *)out, *o = w + 7 + padded / 4;

	/* By two: the stores are what it costs. */
	ncpi_store_pair(&w[0], NCPI_EPB, total);
	ncpi_store_pair(&w[2], f->interface, (uint32_t)(f->ts_ns >> 32));
	ncpi_store_pair(&w[4], (uint32_t)f->ts_ns, caplen);
	ncpi_store(&w[6], f->len);
	NCPI_TESTPOINT("publish:block");
	if (padded != caplen) /* zero the padding first: the data then covers what is not */
		ncpi_store(&o[-1], 0);
	ncpi_copy_in_short(w + 7, f->data, caplen);
	ncpi_store_pair(&o[0], NCPI_OPTION(NCPI_EPB_FLAGS, 4), f->flags);
	ncpi_store_pair(&o[2], NCPI_OPTION(NCPI_OPT_END, 0), total);
	return total;
}

/* What a claim for the first of some frames will hold. */
struct measure {
	size_t n;	    /* so many of them */
	uint64_t bytes;	    /* of their blocks */
	uint64_t captured;  /* of themselves, with inserted tags */
	uint64_t truncated; /* frames of which the snaplen cut something */
	uint32_t others;    /* not 0: they are not all of the first one's interface */
};

/* As many of n frames as fit into a claim. */
static struct measure measure(const struct ncpi_frame *f, size_t n, uint64_t most)
{
	const uint32_t first = f->interface;
	struct measure m = { 0 };

	for (; m.n < n; m.n++, f++) {
		const uint32_t tag = tag_len(f), len = epb_len(f);

		if (m.bytes + len > most && m.n)
			break;
		m.bytes += len;
		m.captured += f->caplen + tag;
		m.truncated += f->caplen < f->len;
		m.others |= f->interface ^ first;
	}
	return m;
}

/* P4: write the claim's n blocks, and remember its waypoints. */
static void blocks_write(const struct ncpi_writer *w, struct ncpi_claim *c,
			 const struct ncpi_frame *f, size_t n)
{
	const uint64_t step = UINT64_C(1) << w->waypoint_shift;
	uint8_t *const start = ncpi_segment_at(w->seg, c->position), *out = start;
	uint64_t newest_ts_ns = 0, left = step - (c->position & (step - 1));

	for (size_t i = 0; i < n; i++, f++) {
		out += f->vlan_tpid || f->dropcount ? epb_write(out, f) : usual_write(out, f);
		if (f->ts_ns > newest_ts_ns)
			newest_ts_ns = f->ts_ns;
		const uint64_t written = (uint64_t)(out - start);
		if (written >= left) {
			const uint64_t position = c->position + written;

			c->newest_ts_ns = newest_ts_ns;
			waypoint_candidate(c, position, c->seq + i + 1);
			left = written + step - (position & (step - 1));
		}
	}
	c->newest_ts_ns = newest_ts_ns;
}

/* Of n frames, count each for its interface. */
static void interfaces_count(struct ncpi_interface_line *lines, const struct ncpi_frame *f, size_t n,
			     bool same)
{
	for (size_t i = 0, k = same ? n : 1; i < n; i += k) {
		struct ncpi_interface_line *of = &lines[f[i].interface];

		ncpi_store(&of->published, of->published + k);
	}
}

size_t ncpi_writer_publish(struct ncpi_writer *w, uint32_t worker, const struct ncpi_frame *frames,
			   size_t n)
{
	struct ncpi_worker_line *line = ncpi_worker_at(w->seg, worker);
	size_t published = 0;

	while (published < n) {
		const struct ncpi_frame *f = frames + published;
		const struct measure m = measure(f, n - published, w->claim_max);
		struct ncpi_claim *c = claim(w, m.bytes, m.n);

		if (!c)
			break;
		blocks_write(w, c, f, m.n);
		interfaces_count(w->worker_interface[worker], f, m.n, m.others == 0);
		done(w, c);
		/* This worker's own line: nobody else adds. */
		ncpi_store(&line->published, line->published + m.n);
		ncpi_store(&line->bytes, line->bytes + m.captured);
		ncpi_store(&line->truncated, line->truncated + m.truncated);
		published += m.n;
	}
	return published;
}

/* Publish a block of ncp's own; with a waypoint in front when asked. */
static void mark(struct ncpi_writer *w, uint32_t kind, uint64_t from_ns, uint64_t to_ns,
		 uint32_t reason, uint32_t interface, bool waypoint)
{
	const uint32_t head[2] = { NCPI_LOCAL, NCPI_LOCAL_LEN };
	struct ncpi_claim *c = claim(w, NCPI_LOCAL_LEN, 0);

	if (!c)
		return;
	const struct ncpi_local body = {
		.magic = "ncp",
		.kind = kind,
		.epoch = ncpi_load(&w->seg->h->epoch),
		.incarnation = w->seg->incarnation,
		.next_seq = c->seq,
		.from_ns = from_ns,
		.to_ns = to_ns,
		.reason = reason,
		.interface = interface,
	};
	uint8_t *p = ncpi_segment_at(w->seg, c->position);

	ncpi_copy_in(p, head, 8);
	ncpi_copy_in(p + 8, &body, sizeof(body));
	ncpi_copy_in(p + 8 + sizeof(body), &head[1], 4);
	if (waypoint)
		c->waypoint[c->n_waypoints++] =
			(struct ncpi_waypoint){ .position = c->position, .seq = c->seq };
	if (c->position >> w->waypoint_shift != c->end >> w->waypoint_shift)
		waypoint_candidate(c, c->end, c->seq);
	done(w, c);
}

void ncpi_writer_mark(struct ncpi_writer *w, uint32_t kind, uint64_t from_ns, uint64_t to_ns,
		      uint32_t reason, uint32_t interface)
{
	mark(w, kind, from_ns, to_ns, reason, interface, false);
}

/* Does interface i of the prologue fit a description? */
static bool interface_same(const struct ncpi_prologue_interface *i,
			   const struct ncpi_interface_desc *d)
{
	return i->linktype == d->linktype && strcmp(i->name, d->name ? d->name : "") == 0;
}

int ncpi_writer_interface(struct ncpi_writer *w, const struct ncpi_interface_desc *d)
{
	struct ncpi_header *h = w->seg->h;
	struct ncpi_prologue p;
	uint32_t len, found;
	int r;

	pthread_mutex_lock(&w->prologue_lock);
	NCPI_TESTPOINT("prologue:bytes");
	len = ncpi_load(&h->prologue_len);
	r = ncpi_prologue_parse(&p, w->seg->prologue, len, w->seg->prologue_cap);
	if (r < 0)
		goto out;
	for (found = 0; found < p.n; found++)
		if (interface_same(&p.interface[found], d))
			break;
	bool known = found < p.n;
	ncpi_prologue_free(&p);
	r = (int)found;
	if (known)
		goto out;
	if (found >= w->seg->n_interfaces || found >= NCPI_INTERFACES) {
		r = -ENOSPC;
		goto out;
	}
	if (len == 0) {
		r = ncpi_prologue_section(w->seg->prologue, w->seg->prologue_cap);
		if (r < 0)
			goto out;
		len = (uint32_t)r;
	}
	r = ncpi_prologue_interface(w->seg->prologue + len, w->seg->prologue_cap - len, d);
	if (r < 0)
		goto out;
	NCPI_TESTPOINT("prologue:count");
	ncpi_store(&h->interfaces, found + 1);
	NCPI_TESTPOINT("prologue:len");
	/* Release: the bytes before their length, and the length before any head that covers a
	 * frame of this interface.  Without, a reader could load head, then a length too short. */
	ncpi_store_release(&h->prologue_len, len + (uint32_t)r);
	r = (int)found;
out:
	pthread_mutex_unlock(&w->prologue_lock);
	return r;
}

void ncpi_writer_count(struct ncpi_writer *w, uint32_t worker, uint32_t interface,
		       const struct ncpi_counts *add)
{
	struct ncpi_worker_line *line = ncpi_worker_at(w->seg, worker);

	ncpi_store(&line->received, line->received + add->received);
	ncpi_store(&line->kernel_drops, line->kernel_drops + add->kernel_drops);
	ncpi_store(&line->freezes, line->freezes + add->freezes);
	ncpi_store(&line->discarded, line->discarded + add->discarded);
	if (interface < NCPI_INTERFACES) {
		struct ncpi_interface_line *per = &w->worker_interface[worker][interface];

		ncpi_store(&per->received, per->received + add->received);
		ncpi_store(&per->kernel_drops, per->kernel_drops + add->kernel_drops);
	}
}

void ncpi_writer_state(struct ncpi_writer *w, uint32_t state, uint32_t reason)
{
	ncpi_store(&w->seg->h->reason, reason);
	/* Release: who sees the state sees the reason, and every head stored before it.  A client
	 * that read "ended" and then finds nothing between its position and head has it all. */
	ncpi_store_release(&w->seg->h->state, state);
	ncpi_waker_bump(w);
}

void ncpi_writer_cancel(struct ncpi_writer *w)
{
	ncpi_store(&w->cancelled, 1);
}

void ncpi_writer_audience(const struct ncpi_writer *w, struct ncpi_audience *a)
{
	struct ncpi_roster *r = (struct ncpi_roster *)(uintptr_t)&w->roster;

	ncpi_store(&r->asked, 1);
	a->live = ncpi_load(&r->live);
	a->granted = ncpi_load(&r->granted);
}

int ncpi_writer_drain(struct ncpi_writer *w)
{
	uint64_t all = ncpi_load(&w->seg->h->head) + w->seg->ring_size;
	uint64_t since = ncpi_now_monotonic();

	for (;;) {
		if (ncpi_load(&w->cancelled))
			return -ECANCELED;
		uint32_t room = ncpi_load(&w->seg->h->room);

		ncpi_roster_refresh(w, since);
		/* The limit is a ring beyond the slowest cursor: nobody is behind head. */
		if (ncpi_load_acquire(&w->roster.limit) >= all)
			return 0;
		ncpi_futex_wait(&w->seg->h->room, room, ROOM_WAIT_NS);
	}
}

void ncpi_writer_totals(const struct ncpi_writer *w, struct ncpi_totals *t)
{
	*t = (struct ncpi_totals){
		.epoch = ncpi_load(&w->seg->h->epoch),
		.next_seq = ncpi_load(&w->committed_seq),
	};
	for (uint32_t i = 0; i < w->seg->n_workers; i++) {
		const struct ncpi_worker_line *line = ncpi_worker_at(w->seg, i);

		t->sum.published += ncpi_load(&line->published);
		t->sum.bytes += ncpi_load(&line->bytes);
		t->sum.received += ncpi_load(&line->received);
		t->sum.kernel_drops += ncpi_load(&line->kernel_drops);
		t->sum.freezes += ncpi_load(&line->freezes);
		t->sum.truncated += ncpi_load(&line->truncated);
		t->sum.discarded += ncpi_load(&line->discarded);
	}
}

uint64_t ncpi_writer_least_ring(uint32_t n_workers, uint32_t largest_caplen)
{
	return 16 * (uint64_t)n_workers * NCPI_EPB_MAX((uint64_t)largest_caplen + 4);
}

static int options_check(const struct ncpi_writer *w, char *why)
{
	const struct ncpi_writer_options *o = &w->o;
	uint64_t least;

	if (!o->n_workers || o->n_workers > w->seg->n_workers || !o->largest_caplen ||
	    NCPI_EPB_MAX((uint64_t)o->largest_caplen + 4) > NCPI_BLOCK_MAX) {
		snprintf(why, 128, "workers or snaplen out of range");
		return -EINVAL;
	}
	least = ncpi_writer_least_ring(o->n_workers, o->largest_caplen);
	if (w->seg->ring_size < least) {
		snprintf(why, 128,
			 "the ring has %llu KiB; frames of up to %u bytes need %llu at least",
			 (unsigned long long)w->seg->ring_size >> 10, o->largest_caplen,
			 (unsigned long long)(least + 1023) >> 10);
		return -EINVAL;
	}
	return 0;
}

int ncpi_writer_open(struct ncpi_bus *bus, const struct ncpi_writer_options *o,
		     struct ncpi_writer **out, char *why)
{
	struct ncpi_segment *seg = &bus->seg;
	struct ncpi_header *h = seg->h;
	struct ncpi_takeover t;
	int r;

	*why = '\0';
	*out = NULL;
	if (!ncpi_takeover_valid(seg))
		return NCP_ECORRUPT;
	struct ncpi_writer *w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->bus = bus;
	w->seg = seg;
	w->o = *o;
	if (!w->o.retire_ms)
		w->o.retire_ms = 1;
	if (!w->o.reliable_timeout_ms)
		w->o.reliable_timeout_ms = 5000;
	r = options_check(w, why);
	if (r < 0)
		goto fail;
	w->reliable = h->flags & NCPI_FLAG_RELIABLE;
	w->claim_max = seg->ring_size / (8 * (uint64_t)o->n_workers);
	if (w->claim_max > NCPI_CLAIM_MAX)
		w->claim_max = NCPI_CLAIM_MAX;
	w->waypoint_shift = (unsigned)__builtin_ctzll(ncpi_waypoint_every(seg->ring_size));
	pthread_mutex_init(&w->claim_lock, NULL);
	pthread_mutex_init(&w->commit_lock, NULL);
	pthread_mutex_init(&w->prologue_lock, NULL);
	w->claims = calloc(NCPI_CLAIMS, sizeof(*w->claims));
	w->worker_interface = calloc(o->n_workers, sizeof(*w->worker_interface));
	r = -ENOMEM;
	if (!w->claims || !w->worker_interface)
		goto fail;
	r = ncpi_roster_init(&w->roster, bus->registry_fd, seg);
	if (r < 0)
		goto fail;

	ncpi_takeover_begin(seg, &t);
	w->next_position = t.position;
	w->next_seq = w->committed_seq = t.seq;
	w->tail = t.tail;
	w->slot_idx = t.slot_idx;
	w->waypoints = t.waypoints;
	w->newest_ts_ns = ncpi_load(&h->newest_ts_ns);
	for (uint32_t i = 0; i < seg->n_interfaces && i < NCPI_INTERFACES; i++)
		w->interface_base[i] = *ncpi_interface_at(seg, i);

	uint64_t now = ncpi_now_realtime();
	uint64_t epoch = ncpi_load(&h->epoch);
	uint64_t unwatched_since = epoch ? ncpi_load(&h->heartbeat_ns) : now;
	ncpi_store(&h->epoch_start_ns, now);
	ncpi_store(&h->pid, (uint32_t)getpid());
	ncpi_store(&h->workers, o->n_workers);
	ncpi_store(&h->snaplen, o->snaplen); /* clients of before are reading it */
	ncpi_store(&h->reason, NCP_REASON_NONE);
	NCPI_TESTPOINT("takeover:epoch");
	ncpi_store_release(&h->epoch, epoch + 1);
	NCPI_TESTPOINT("takeover:state");
	ncpi_store_release(&h->state, NCP_STARTING);
	/* Clients that an earlier producer waited for: before anything is overwritten. */
	if (w->reliable)
		for (int i = 0; i < SCAN_PIECES && (i == 0 || w->roster.dir); i++)
			ncpi_roster_scan(w);
	mark(w, NCPI_LOCAL_EPOCH, unwatched_since, now, 0, 0, true);
	ncpi_waker_beat(w);
	*out = w;
	return 0;
fail:
	free(w->claims);
	free(w->worker_interface);
	free(w);
	return r;
}

int ncpi_writer_start(struct ncpi_writer *w)
{
	return ncpi_waker_start(w);
}

void ncpi_writer_close(struct ncpi_writer *w, uint32_t state, uint32_t reason)
{
	if (!w)
		return;
	ncpi_waker_stop(w);
	if (state != NCP_LIVE) {
		/* The next epoch's block says since when nobody watched. */
		ncpi_waker_beat(w);
		ncpi_writer_state(w, state, reason);
	}
	ncpi_roster_fini(&w->roster);
	pthread_mutex_destroy(&w->claim_lock);
	pthread_mutex_destroy(&w->commit_lock);
	pthread_mutex_destroy(&w->prologue_lock);
	free(w->claims);
	free(w->worker_interface);
	free(w);
}
