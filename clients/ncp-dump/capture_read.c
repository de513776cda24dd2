/* SPDX-License-Identifier: BSD-2-Clause */
/* capture_read.c - what comes from a bus: spans, frames, losses, what becomes of it. */
#include "capture_impl.h"
#include "util/message.h"

#define BATCH CAPTURE_BATCH
/* A span ends at each waypoint or second one: where a write is overrun, no more than that is given
 * up beside what was torn. */
#define SPAN_MAX (128u << 10)

static int lost_range(struct capture *cap, uint64_t incarnation, uint64_t first, uint64_t next)
{
	int r;

	if (first >= next)
		return 0;
	r = ledger_lost(&cap->ledger, first, next, false);
	return r < 0 || !cap->store_open ? r : store_gap(&cap->store, incarnation, first, next);
}

/* The same where the numbers do not rise: all but those of the last batch that were written. */
static int lost_scattered(struct capture *cap, const struct ncp_frame *ev)
{
	uint64_t first = ev->seq;
	int r = 0;

	while (first < ev->next_seq && r == 0) {
		uint64_t next = ev->next_seq;

		for (int i = 0; i < cap->n_given; i++)
			if (cap->given[i] >= first && cap->given[i] < next)
				next = cap->given[i];
		r = lost_range(cap, ev->incarnation, first, next);
		first = next == ev->next_seq ? next : next + 1;
	}
	return r < 0 || !cap->o->ordered ? r : capture_reach(cap);
}

static int lost(struct capture *cap, const struct ncp_frame *ev)
{
	struct ledger_window *w = ledger_now(&cap->ledger);
	uint64_t first = ev->seq;
	int r;

	if (!w || cap->window_due) {
		r = cap->o->group ? capture_window_begin(cap, ev->incarnation) :
				    capture_window_open(cap, ev->incarnation, ev->seq);
		if (r < 0)
			return r;
		w = ledger_now(&cap->ledger);
	}
	/* What was handed out before was judged here already, when it was used. */
	if (cap->ledger.order != LEDGER_RISING && ev->incarnation == w->incarnation &&
	    ev->next_seq != NCP_UNKNOWN)
		return lost_scattered(cap, ev);
	if (first < w->next_seq && ev->incarnation == w->incarnation)
		first = w->next_seq;
	return lost_range(cap, ev->incarnation, first, ev->next_seq);
}

static void say_state(struct capture *cap, const struct ncp_frame *ev)
{
	const char *reason = ncp_reason_text(ev->reason);
	bool well = ev->state == NCP_LIVE;

	/* That it lives is news only after it did not. */
	if (cap->o->quick || (well && !cap->unwell) || ev->state == NCP_STARTING)
		return;
	cap->unwell = !well;
	message_note(MESSAGE_TEXT("bus %s", cap->bus),
		     MESSAGE_TEXT("%s%s%s", ncp_state_name(ev->state), *reason ? ": " : "", reason),
		     ev->state == NCP_DEAD || ev->state == NCP_STOPPED ?
			     "waiting for its producer to come back" :
			     NULL);
}

static int event(struct capture *cap, const struct ncp_frame *ev)
{
	struct ncp_cursor at = NCP_CURSOR_INIT;
	int r = 0;

	switch (ev->kind) {
	case NCP_LOST:
		return lost(cap, ev);
	case NCP_STATE:
		cap->ended = ev->state == NCP_ENDED ||
			     (cap->o->exit_on_close &&
			      (ev->state == NCP_STOPPED || ev->state == NCP_CLOSED ||
			       ev->state == NCP_DEAD));
		if (!cap->ended)
			say_state(cap, ev);
		return 0;
	case NCP_REATTACHED:
		capture_others_read(cap);
		/* All of the old bus was read; what is not written yet is written while its ring
		 * is still mapped, that is until the next call. */
		r = ncp_tell(cap->c, &at);
		if (r == 0 && ledger_now(&cap->ledger) &&
		    ledger_now(&cap->ledger)->incarnation == at.incarnation)
			ledger_frames(&cap->ledger, 0, at.seq);
		if (r == 0 && cap->store_open)
			r = store_rest(&cap->store);
		cap->reattach_due = true;
		cap->reattached++;
		if (!cap->o->quick)
			message_note(MESSAGE_TEXT("bus %s", cap->bus), "it was replaced",
				     "reading the new one from its first frame");
		return r;
	case NCP_EVICTED:
		message_note(MESSAGE_TEXT("bus %s", cap->bus),
			     "the producer no longer waits for this client",
			     "from here on frames may be lost");
		return 0;
	default:
		return 0;
	}
}

int capture_moved(struct capture *cap)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	int r = ncp_bus_info(cap->c, &info);

	cap->reattach_due = false;
	capture_others_read(cap);
	cap->n_given = 0;
	cap->left_out = 0;
	if (r == 0)
		r = capture_window_open(cap, info.incarnation, 0);
	if (r < 0)
		return r;
	if (!cap->store_open) {
		show_reattached(&cap->show);
		return 0;
	}
	return store_reattached(&cap->store);
}

/* How many frames from first_seq on are still wanted. */
static uint64_t wanted(const struct capture *cap, uint64_t first_seq, uint64_t incarnation)
{
	uint64_t n = UINT64_MAX;
	struct ledger_sum sum;

	if (cap->o->count) {
		ledger_sum(&cap->ledger, &sum);
		n = sum.frames < cap->o->count ? cap->o->count - sum.frames : 0;
	}
	if (cap->limited && incarnation == cap->limit_incarnation) {
		uint64_t left = cap->limit_seq > first_seq ? cap->limit_seq - first_seq : 0;

		n = left < n ? left : n;
	}
	return n;
}

int capture_step_span(struct capture *cap)
{
	struct ncp_span span = NCP_SPAN_INIT;
	struct ncp_frame ev = NCP_FRAME_INIT;
	int r = ncp_span(cap->c, SPAN_MAX, &span, &ev);

	if (r < 0)
		return r;
	if (cap->reattach_due && (r == 0 || ev.kind != NCP_REATTACHED)) {
		int e = capture_moved(cap);

		if (e < 0)
			return e;
	}
	if (r == 0)
		return 0;
	if (ev.kind != NCP_SPAN)
		r = event(cap, &ev);
	else {
		if (cap->window_due)
			r = capture_window_open(cap, span.incarnation, span.first_seq);
		if (r >= 0)
			r = store_span(&cap->store, &span,
				       wanted(cap, span.first_seq, span.incarnation));
	}
	return r < 0 ? r : 1;
}

static bool direction_wanted(const struct capture *cap, const struct ncp_frame *f)
{
	return !cap->o->direction || NCP_DIRECTION(f->flags) == cap->o->direction;
}

/* Of n frames those that are wanted, moved to the front; where they end, the store hears. */
static int frames_wanted(struct capture *cap, struct ncp_frame *f, int n)
{
	uint64_t limit = UINT64_MAX;
	int k = 0;

	if (cap->limited && f[0].incarnation == cap->limit_incarnation)
		limit = cap->limit_seq;
	for (int i = 0; i < n; i++) {
		if (f[i].seq >= limit) {
			cap->left_out++;
			if (cap->left_out == 1 && cap->store_open && !cap->o->ordered)
				store_cut(&cap->store, f[i].position, f[i].seq);
		} else if (direction_wanted(cap, &f[i])) {
			f[k++] = f[i];
		}
	}
	return k;
}

int capture_step_frames(struct capture *cap)
{
	struct ncp_frame f[BATCH] = { NCP_FRAME_INIT };
	uint64_t left = wanted(cap, 0, 0);
	/* Not one more than is wanted: what is read and not written would be somebody's loss. */
	int k, r = ncp_next_batch(cap->c, f, left == 0 ? 1 : left < BATCH ? (int)left : BATCH);

	if (r < 0)
		return r;
	if (cap->reattach_due && (r == 0 || f[0].kind != NCP_REATTACHED)) {
		int e = capture_moved(cap);

		if (e < 0)
			return e;
	}
	if (r == 0)
		return 0;
	if (f[0].kind != NCP_FRAME) {
		r = event(cap, &f[0]);
		return r < 0 ? r : 1;
	}
	if (cap->window_due) {
		int e = capture_window_begin(cap, f[0].incarnation);

		if (e < 0)
			return e;
	}
	k = frames_wanted(cap, f, r);
	for (cap->n_given = 0; cap->n_given < k; cap->n_given++)
		cap->given[cap->n_given] = f[cap->n_given].seq;
	r = k == 0 ? 0 : cap->store_open ? store_frames(&cap->store, f, k) : show_frames(&cap->show, f, k);
	if (cap->store_open && cap->store.ended)
		cap->left_out += cap->store.left_out;
	if (r == 0 && cap->o->ordered)
		r = capture_reach(cap);
	return r < 0 ? r : 1;
}
