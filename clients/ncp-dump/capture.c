/* SPDX-License-Identifier: BSD-2-Clause */
/* capture.c - from a bus to a file or to lines: the loop, and when it ends. */
#include "capture.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "util/message.h"
#include "util/timetext.h"

#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)
#define BATCH CAPTURE_BATCH
/* A span ends at each waypoint or second one: where a write is overrun, no more than that is given
 * up beside what was torn. */
#define SPAN_MAX (128u << 10)

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static int fail(const struct capture *cap, int r)
{
	return message_error(EXIT_FAILED, MESSAGE_TEXT("bus %s", cap->bus), ncp_strerror(r), NULL);
}

/* --- where it begins and ends ----------------------------------------------------------------- */

static int limit_now(struct capture *cap)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	int r = ncp_bus_info(cap->c, &info);

	if (r < 0)
		return r;
	if (!cap->limited || cap->limit_incarnation != info.incarnation ||
	    cap->limit_seq > info.next_seq) {
		cap->limit_seq = info.next_seq;
		cap->limit_incarnation = info.incarnation;
	}
	cap->limited = true;
	return 0;
}

/*
 * --to TIME becomes a frame number as soon as there is a later frame: another client looks for it,
 * so that this one need not look at any frame's time.
 */
static int limit_find(struct capture *cap)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	struct ncp_options o = NCP_OPTIONS_INIT;
	struct ncp_cursor at = NCP_CURSOR_INIT;
	struct ncp_client *scout;
	int r = ncp_bus_info(cap->c, &info);

	if (r < 0 || info.newest_ts_ns <= cap->to_ns)
		return r;
	o.flags = NCP_NO_REGISTRY;
	o.dir = cap->o->dir;
	o.trust_owner = cap->o->trust;
	o.from.whence = NCP_TIME;
	o.from.value = cap->to_ns + 1;
	r = ncp_attach(&scout, cap->bus, &o);
	if (r < 0)
		return 0; /* it is just being replaced: asked again */
	r = ncp_tell(scout, &at);
	ncp_detach(scout);
	if (r == 0 && at.incarnation == info.incarnation) {
		cap->limited = true;
		cap->limit_seq = at.seq;
		cap->limit_incarnation = at.incarnation;
		cap->to_ns = 0;
	}
	return r;
}

static bool at_limit(const struct capture *cap)
{
	struct ncp_cursor at = NCP_CURSOR_INIT;

	if (!cap->limited || ncp_tell(cap->c, &at) < 0)
		return false;
	return at.incarnation != cap->limit_incarnation || at.seq >= cap->limit_seq;
}

static uint64_t missing(const struct dump_options *o, struct ncp_client *c, const char *bus,
			const char *asked, uint64_t from_ns, uint64_t now_ns)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	uint64_t oldest;

	if (ncp_bus_info(c, &info) < 0)
		return 0;
	oldest = info.oldest_ts_ns ? info.oldest_ts_ns : now_ns;
	if (oldest <= from_ns)
		return 0;
	if (!o->quick)
		message_note(MESSAGE_TEXT("bus %s", bus),
			     MESSAGE_TEXT("asked %s, ring holds %.1f s", asked,
					  (double)(now_ns > oldest ? now_ns - oldest : 0) / 1e9),
			     NULL);
	return oldest - from_ns;
}

int capture_where(const struct dump_options *o, struct ncp_client *c, const char *bus,
		  const struct capture_signals *signals, struct ncp_where *w, uint64_t *missing_ns)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	uint64_t now = clock_ns(CLOCK_REALTIME);
	char text[TIMETEXT_CAP];
	int r = ncp_bus_info(c, &info);

	*w = (struct ncp_where)NCP_WHERE_INIT;
	*missing_ns = 0;
	if (r < 0)
		return r;
	w->value = o->from.value;
	switch (o->from.kind) {
	case WHERE_OLDEST:
		w->whence = NCP_OLDEST;
		break;
	case WHERE_SEQ:
		w->whence = NCP_SEQ;
		break;
	case WHERE_AGO:
		if (info.state == NCP_ENDED && info.newest_ts_ns)
			now = info.newest_ts_ns;
		w->whence = NCP_TIME;
		w->value = now > o->from.value ? now - o->from.value : 0;
		*missing_ns = missing(o, c, bus,
				      MESSAGE_TEXT("-%.1f s", (double)o->from.value / 1e9),
				      w->value, now);
		break;
	case WHERE_TIME:
		w->whence = NCP_TIME;
		while (info.newest_ts_ns < w->value && info.state != NCP_ENDED &&
		       !signals->stop && r == 0) {
			/* Not ncp_wait(): nothing is read here, and so it would not sleep. */
			nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
			r = ncp_bus_info(c, &info);
		}
		timetext_format(text, w->value);
		if (r == 0)
			*missing_ns = missing(o, c, bus, text, w->value, now);
		break;
	default:
		break;
	}
	return r;
}

/* Go where --from says. */
static int place(struct capture *cap)
{
	struct ncp_where w;
	int r;

	/*
	 * A member of a group began where it is to.  And at the newest frame the client stands
	 * since it attached: to go to what is the newest now would pass over frames that a producer
	 * has published for it since; with --wait-clients it begins at the attach.
	 */
	if (cap->o->group || cap->o->from.kind == WHERE_NONE || cap->o->from.kind == WHERE_LATEST)
		return 0;
	r = capture_where(cap->o, cap->c, cap->bus, cap->signals, &w, &cap->from_missing_ns);
	return r < 0 ? r : ncp_seek(cap->c, &w);
}

static int window_open(struct capture *cap, uint64_t incarnation, uint64_t first_seq)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;

	cap->window_due = false;
	cap->drops += cap->drops_now - cap->drops_first;
	cap->drops_first = cap->drops_now = 0;
	if (ncp_bus_info(cap->c, &info) == 0 && info.incarnation == incarnation)
		cap->drops_first = cap->drops_now = info.kernel_drops;
	int r = ledger_open(&cap->ledger, incarnation, first_seq);

	/* Without a filter all that is not ours is theirs; else the library tells at the end. */
	if (r == 0 && cap->several && !cap->o->filter && !cap->o->direction)
		ledger_others(&cap->ledger, UINT64_MAX);
	return r;
}

/* Begin the window where the library began it: with the first frame that was looked at. */
static int window_begin(struct capture *cap, uint64_t incarnation)
{
	struct ncp_stats s = NCP_STATS_INIT;
	int r = ncp_stats(cap->c, &s);

	return r < 0 ? r : window_open(cap, incarnation, s.now.first_seq);
}

/* What others got, told at the end of a window. */
static void others_read(struct capture *cap)
{
	const struct ledger_window *w = ledger_now(&cap->ledger);
	struct ncp_stats s = NCP_STATS_INIT;

	if (!w || !cap->several || w->others == UINT64_MAX || ncp_stats(cap->c, &s) < 0)
		return;
	if (s.now.incarnation == w->incarnation)
		ledger_others(&cap->ledger, s.now.others);
	else if (s.before.incarnation == w->incarnation)
		ledger_others(&cap->ledger, s.before.others);
}

/* Where the order is not the ring's, only the library knows up to where all is accounted for; but it
 * counts also what was read behind the limit. */
static int reach(struct capture *cap)
{
	struct ncp_stats s = NCP_STATS_INIT;
	struct ledger_window *w = ledger_now(&cap->ledger);
	int r = ncp_stats(cap->c, &s);

	if (r < 0 || s.now.incarnation != w->incarnation)
		return r;
	s.now.next_seq -= cap->left_out;
	if (cap->limited && cap->limit_incarnation == w->incarnation &&
	    cap->limit_seq < s.now.next_seq)
		s.now.next_seq = cap->limit_seq;
	ledger_reach(&cap->ledger, s.now.next_seq);
	return 0;
}

static int begin(struct capture *cap, const struct state *resume)
{
	struct ncp_cursor at = NCP_CURSOR_INIT;
	const struct dump_where *to = &cap->o->to;
	int r = 0;

	if (resume) {
		struct ncp_where w = NCP_WHERE_INIT;

		w.whence = NCP_SEQ;
		w.value = resume->seq;
		w.incarnation = resume->incarnation;
		r = ncp_seek(cap->c, &w);
		if (r == 0)
			r = window_open(cap, resume->incarnation, resume->seq);
	} else {
		r = place(cap);
		if (r == 0)
			r = ncp_tell(cap->c, &at);
		cap->window_due = cap->o->from.kind == WHERE_OLDEST ||
				  cap->o->from.kind == WHERE_AGO ||
				  cap->o->from.kind == WHERE_TIME || cap->o->group;
		if (r == 0 && !cap->window_due)
			r = window_open(cap, at.incarnation,
					cap->o->from.kind == WHERE_SEQ ? cap->o->from.value :
									 at.seq);
	}
	if (r < 0)
		return r;
	if (to->kind == WHERE_LATEST)
		return limit_now(cap);
	if (to->kind == WHERE_TIME)
		cap->to_ns = to->value;
	if (to->kind == WHERE_SEQ) {
		struct ncp_bus_info info = NCP_BUS_INFO_INIT;

		r = ncp_bus_info(cap->c, &info);
		cap->limited = true;
		cap->limit_seq = to->value;
		cap->limit_incarnation = info.incarnation;
	}
	return r;
}

static int say_store(struct capture *cap, int r)
{
	const char *name = cap->store.error_of_state ? cap->o->resume :
							series_failed(&cap->store.series);
	const char *todo = cap->store_open && cap->store.uncut ?
				   "ncp-dump --repair keeps more, once there can be written" :
			   r == -ENOSPC || r == -EDQUOT ? "make room, or write elsewhere" :
			   r == -EEXIST			? "name another, or leave out --no-clobber" :
			   r == -EMEDIUMTYPE ? "write pcapng, or one file for each interface "
					       "with --split-interfaces" :
			   r == -ENOTTY ? "redirect it to a file or a pipe" :
			   r == -ESPIPE ? "files can only follow each other where they are regular ones" :
			   r == -ESTALE ? "leave it there while it is written" :
					  NULL;
	const char *why = r == -ESTALE	    ? "it was removed" :
			  r == -EMEDIUMTYPE ? "the bus has several link types, a pcap holds one" :
					      ncp_strerror(r);

	if (!*name) /* not even tried */
		name = cap->o->write;
	if (!strcmp(name, "-"))
		name = "standard output";
	if (!strcmp(name, CLOSER_KEEP_FREE))
		why = "less is free, and there is no older file to delete";
	else if (!strcmp(name, CLOSER_QUOTA))
		why = "it is full, and there is no older file to delete";
	if (cap->store.series.files || cap->ledger.n)
		return message_error(EXIT_FAILED, name,
				     MESSAGE_TEXT("%s: %s%llu frames (%llu bytes) are saved", why,
						  cap->store.uncut ? "at least " : "",
						  (unsigned long long)cap->store.series.frames,
						  (unsigned long long)cap->store.series.bytes),
				     todo);
	return message_error(EXIT_FAILED, name, why, todo);
}

int capture_filter(const struct dump_options *o, struct ncp_client *c)
{
	char error[256] = "";
	int r;

	if (!o->filter)
		return EXIT_DONE;
	r = ncp_set_filter(c, o->filter, error, sizeof(error));
	if (r < 0)
		return message_error(r == NCP_EFILTER ? EXIT_USAGE : EXIT_FAILED,
				     MESSAGE_TEXT("filter %s", o->filter),
				     *error ? error : ncp_strerror(r), NULL);
	if (r == 1 && !o->quick)
		message_note(MESSAGE_TEXT("filter %s", o->filter),
			     "it does not fit every interface of the bus",
			     "frames of the others count as filtered");
	return EXIT_DONE;
}

/* Is that what a write says when a pipe's reader, or a socket's, has left?  (A socket's may have left
 * unread what was sent, or vanished without a word.) */
static bool reader_left(int r)
{
	return r == -EPIPE || r == -ECONNRESET || r == -ETIMEDOUT;
}

int capture_begin(struct capture *cap, const struct dump_options *o, struct ncp_client *c,
		  const char *bus, struct capture_signals *signals, const struct state *resume)
{
	int r;

	*cap = (struct capture){ .o = o, .c = c, .bus = bus, .signals = signals,
				 .deadline_ns = UINT64_MAX };
	cap->several = o->shard_n > 1 || o->group;
	cap->straight = o->write && !o->filter && !o->snaplen && !o->direction && !cap->several &&
			!o->ordered && !o->split_interfaces && o->format == FORMAT_PCAPNG &&
			!o->coder;
	cap->ledger.order = o->ordered ? LEDGER_SCATTERED :
			    o->group   ? LEDGER_SHARED :
					 LEDGER_RISING;
	r = capture_filter(o, c);
	if (r != EXIT_DONE)
		return r;
	r = begin(cap, resume);
	if (r == -ERANGE)
		return message_error(EXIT_FAILED, MESSAGE_TEXT("bus %s", bus),
				     "that frame number is yet to come",
				     "see ncp-stats for the numbers there are");
	if (r < 0)
		return fail(cap, r);
	if (o->duration_ns)
		cap->deadline_ns = clock_ns(CLOCK_MONOTONIC) + o->duration_ns;
	if (!o->write) {
		r = show_open(&cap->show, c, &cap->ledger, o->snaplen,
			      o->line_buffered || o->packet_buffered || o->group, o->log);
		if (r < 0 && o->log)
			return message_error(EXIT_FAILED, o->log, ncp_strerror(r), NULL);
		return r < 0 ? fail(cap, r) : EXIT_DONE;
	}
	r = store_open(&cap->store, o, c, &cap->ledger, resume);
	cap->store_open = true;
	if (reader_left(r)) {
		cap->reader_gone = true;
		return EXIT_DONE;
	}
	if (r < 0) {
		store_abandon(&cap->store);
		return say_store(cap, r);
	}
	return EXIT_DONE;
}

/* --- what comes ------------------------------------------------------------------------------- */

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
	return r < 0 || !cap->o->ordered ? r : reach(cap);
}

static int lost(struct capture *cap, const struct ncp_frame *ev)
{
	struct ledger_window *w = ledger_now(&cap->ledger);
	uint64_t first = ev->seq;
	int r;

	if (!w || cap->window_due) {
		r = cap->o->group ? window_begin(cap, ev->incarnation) :
				    window_open(cap, ev->incarnation, ev->seq);
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
		others_read(cap);
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

/* The client stands on another bus: before anything of it is used. */
static int moved(struct capture *cap)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	int r = ncp_bus_info(cap->c, &info);

	cap->reattach_due = false;
	others_read(cap);
	cap->n_given = 0;
	cap->left_out = 0;
	if (r == 0)
		r = window_open(cap, info.incarnation, 0);
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

/* Read once.  1: something was done.  0: nothing there. */
static int step_span(struct capture *cap)
{
	struct ncp_span span = NCP_SPAN_INIT;
	struct ncp_frame ev = NCP_FRAME_INIT;
	int r = ncp_span(cap->c, SPAN_MAX, &span, &ev);

	if (r < 0)
		return r;
	if (cap->reattach_due && (r == 0 || ev.kind != NCP_REATTACHED)) {
		int e = moved(cap);

		if (e < 0)
			return e;
	}
	if (r == 0)
		return 0;
	if (ev.kind != NCP_SPAN)
		r = event(cap, &ev);
	else {
		if (cap->window_due)
			r = window_open(cap, span.incarnation, span.first_seq);
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

static int step_frames(struct capture *cap)
{
	struct ncp_frame f[BATCH] = { NCP_FRAME_INIT };
	uint64_t left = wanted(cap, 0, 0);
	/* Not one more than is wanted: what is read and not written would be somebody's loss. */
	int k, r = ncp_next_batch(cap->c, f, left == 0 ? 1 : left < BATCH ? (int)left : BATCH);

	if (r < 0)
		return r;
	if (cap->reattach_due && (r == 0 || f[0].kind != NCP_REATTACHED)) {
		int e = moved(cap);

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
		int e = window_begin(cap, f[0].incarnation);

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
		r = reach(cap);
	return r < 0 ? r : 1;
}

/* --- the loop --------------------------------------------------------------------------------- */

static bool counted_out(struct capture *cap)
{
	struct ledger_sum sum;

	if (!cap->o->count)
		return false;
	ledger_sum(&cap->ledger, &sum);
	return sum.frames >= cap->o->count;
}

static void say_progress(struct capture *cap)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	struct ncp_cursor at = NCP_CURSOR_INIT;
	struct ledger_sum sum;

	ledger_sum(&cap->ledger, &sum);
	if (ncp_bus_info(cap->c, &info) < 0 || ncp_tell(cap->c, &at) < 0)
		return;
	message_note(MESSAGE_TEXT("bus %s", cap->bus),
		     MESSAGE_TEXT("%llu frames, %llu filtered, %llu lost, %llu behind, %llu bytes "
				  "written",
				  (unsigned long long)sum.frames, (unsigned long long)sum.filtered,
				  (unsigned long long)sum.lost,
				  (unsigned long long)(info.next_seq - at.seq),
				  (unsigned long long)(cap->store_open ? store_size(&cap->store) : 0)),
		     NULL);
}

/* The status line. */
static void show_progress(struct capture *cap, uint64_t now)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	struct ncp_cursor at = NCP_CURSOR_INIT;
	struct ledger_sum sum;

	ledger_sum(&cap->ledger, &sum);
	if (ncp_bus_info(cap->c, &info) < 0 || ncp_tell(cap->c, &at) < 0)
		return;
	progress_show(&cap->progress,
		      &(struct progress_sample){ .now_ns = now,
						 .frames = sum.frames,
						 .bytes = store_size(&cap->store),
						 .lost = sum.lost,
						 .queued = store_queued(&cap->store),
						 .head = info.head,
						 .position = at.position,
						 .ring_size = info.ring_size });
}

static void drops_read(struct capture *cap)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	struct ledger_window *w = ledger_now(&cap->ledger);

	if (w && ncp_bus_info(cap->c, &info) == 0 && info.incarnation == w->incarnation)
		cap->drops_now = info.kernel_drops;
}

/* Has the reader of a pipe or a socket left?  Without frames no write would tell. */
static bool reader_gone(const struct capture *cap)
{
	struct pollfd p = { .fd = STDOUT_FILENO };

	return !strcmp(cap->o->write, "-") && poll(&p, 1, 0) > 0 &&
	       p.revents & (POLLERR | POLLHUP);
}

/* Nothing to read: sleep until there is, or until something is due. */
static int idle(struct capture *cap, uint64_t now)
{
	int r = 0, nap = 250;

	drops_read(cap);
	if (cap->store_open) {
		int due = store_nap_ms(&cap->store, now);

		nap = due >= 0 && due < nap ? due : nap;
		cap->reader_gone = reader_gone(cap);
	} else {
		r = show_flush(&cap->show);
	}
	if (cap->to_ns && (cap->until ? now > atomic_load(&cap->until->mono_ns) :
					clock_ns(CLOCK_REALTIME) > cap->to_ns + SECOND))
		return limit_now(cap);
	if (cap->deadline_ns != UINT64_MAX) {
		uint64_t left = cap->deadline_ns > now ? (cap->deadline_ns - now) / MS + 1 : 0;

		nap = left < (uint64_t)nap ? (int)left : nap;
	}
	if (r == 0 && !cap->signals->stop) {
		r = ncp_wait(cap->c, nap);
		r = r == -EINTR || r > 0 ? 0 : r;
	}
	return r;
}

/* What was asked for from outside, or is due. */
static int attend(struct capture *cap, uint64_t now, bool *stopping)
{
	int r = 0;

	if (cap->signals->stats) {
		cap->signals->stats = 0;
		say_progress(cap);
	}
	if (cap->signals->flush) {
		cap->signals->flush = 0;
		r = cap->store_open ? store_flush(&cap->store) : show_flush(&cap->show);
	}
	if (r == 0 && cap->signals->rotate) {
		cap->signals->rotate = 0;
		r = cap->store_open ? store_rotate(&cap->store) : 0;
	}
	if (r == 0 && !*stopping && (cap->signals->stop || now >= cap->deadline_ns)) {
		*stopping = true;
		r = limit_now(cap);
	}
	if (cap->progress.on && now >= cap->progress.due_ns)
		show_progress(cap, now);
	if (r == 0 && cap->to_ns)
		r = limit_find(cap);
	return r;
}

/* Is all there that was asked for?  1, 0, < 0. */
static int enough(struct capture *cap)
{
	struct ncp_where w = NCP_WHERE_INIT;
	int r;

	if (cap->store_open && cap->store.ended)
		return 1;
	if (!counted_out(cap))
		return at_limit(cap);
	/* Frames may turn out lost only now; then others take their place, from where the last
	 * span was cut. */
	r = cap->store_open ? store_flush(&cap->store) : 0;
	if (r < 0 || counted_out(cap))
		return r < 0 ? r : 1;
	w.whence = NCP_SEQ;
	w.value = ledger_now(&cap->ledger)->next_seq;
	return ncp_seek(cap->c, &w);
}

/* The end was moved on: what was read behind the old one is read again. */
static int until_follow(struct capture *cap, bool stopping)
{
	struct ncp_where w = NCP_WHERE_INIT;
	struct ledger_window *l = ledger_now(&cap->ledger);
	uint64_t ns = atomic_load(&cap->until->ns);

	if (stopping || ns == cap->until_ns)
		return 0;
	cap->until_ns = cap->to_ns = ns;
	if (!cap->limited)
		return 0;
	cap->limited = false;
	w.whence = NCP_SEQ;
	if (l)
		w.value = l->next_seq;
	return l && !cap->window_due ? ncp_seek(cap->c, &w) : 0;
}

/* Is the end that was reached the end?  Then nobody can move it any more. */
static bool until_is_here(struct capture *cap, bool stopping)
{
	uint64_t ns = cap->until_ns;

	return !cap->until || stopping || cap->store.ended ||
	       atomic_compare_exchange_strong(&cap->until->ns, &ns, 0);
}

static int loop(struct capture *cap)
{
	bool stopping = false;
	int r = 0;

	while (r >= 0 && !cap->ended && !cap->reader_gone) {
		uint64_t now = clock_ns(CLOCK_MONOTONIC);

		r = cap->until ? until_follow(cap, stopping) : 0;
		if (r == 0)
			r = attend(cap, now, &stopping);
		if (r < 0)
			break;
		r = cap->straight ? step_span(cap) : step_frames(cap);
		if (r < 0)
			break;
		int e = cap->store_open ? store_tick(&cap->store, now, r == 0) : 0;
		if (e == 0)
			e = enough(cap);
		if (e == 1 && until_is_here(cap, stopping))
			return 0;
		if (e == 0 && r == 0)
			e = idle(cap, now);
		r = e;
	}
	return r;
}

/* The window reaches as far as was read, unless it ended before. */
static int account(struct capture *cap)
{
	struct ncp_cursor at = NCP_CURSOR_INIT;
	struct ledger_window *w;
	int r = ncp_tell(cap->c, &at);

	drops_read(cap);
	if (r == 0 && (cap->window_due || !ledger_now(&cap->ledger)))
		r = window_begin(cap, at.incarnation);
	w = ledger_now(&cap->ledger);
	if (r < 0 || w->incarnation != at.incarnation)
		return r;
	others_read(cap);
	if (cap->ledger.order != LEDGER_RISING)
		return reach(cap);
	if (counted_out(cap) || (cap->store_open && cap->store.ended))
		return 0;
	if (cap->limited && cap->limit_incarnation == at.incarnation && cap->limit_seq < at.seq)
		at.seq = cap->limit_seq;
	ledger_frames(&cap->ledger, 0, at.seq);
	return 0;
}

int capture_run(struct capture *cap)
{
	if (cap->store_open && !cap->o->quick && !cap->o->json)
		progress_open(&cap->progress);

	int r = loop(cap), e;

	message_status(NULL);
	if (cap->until)
		atomic_store(&cap->until->ns, 0);
	if (r == 0 && cap->reattach_due)
		r = moved(cap);
	e = reader_left(r) || r >= 0 ? account(cap) : 0;
	r = r < 0 ? r : e;
	if (!cap->store_open) {
		if (r == 0)
			r = show_flush(&cap->show);
	} else if (r == 0 && !cap->reader_gone) {
		r = store_finish(&cap->store);
	}
	if (cap->reader_gone || reader_left(r)) {
		/* Whoever read has seen enough. */
		if (cap->store_open)
			store_abandon(&cap->store);
		return EXIT_DONE;
	}
	if (r == 0)
		return EXIT_DONE;
	if (!cap->store_open)
		return fail(cap, r);
	store_abandon(&cap->store);
	/* The library's own codes are the bus's failures, the rest came from the file. */
	return r <= -1000 ? fail(cap, r) : say_store(cap, r);
}

/* --- the summary ------------------------------------------------------------------------------ */

static void report_json(struct capture *cap, const struct ledger_sum *sum, FILE *f)
{
	struct json j;
	bool file = cap->store_open;

	json_open(&j);
	json_object_begin(&j);
	json_key(&j, "schema"), json_u64(&j, 1);
	json_key(&j, "bus"), json_str(&j, cap->bus);
	if (cap->reader)
		json_key(&j, "reader"), json_str(&j, cap->reader);
	json_key(&j, "frames"), json_u64(&j, sum->frames);
	json_key(&j, "filtered"), json_u64(&j, sum->filtered);
	json_key(&j, "others"), json_u64(&j, sum->others);
	json_key(&j, "lost"), sum->unknown ? json_null(&j) : json_u64(&j, sum->lost);
	json_key(&j, "bytes"), json_u64(&j, file ? cap->store.series.bytes : 0);
	json_key(&j, "kernel_drops");
	json_u64(&j, cap->drops + cap->drops_now - cap->drops_first);
	json_key(&j, "files"), json_u64(&j, file ? cap->store.series.files : 0);
	json_key(&j, "reattached"), json_u64(&j, cap->reattached);
	json_key(&j, "writer"), json_str(&j, file ? cap->store.writer : NULL);
	json_key(&j, "direct"), json_bool(&j, file && cap->store.direct);
	json_key(&j, "from_missing_seconds"), json_seconds(&j, (int64_t)cap->from_missing_ns);
	json_key(&j, "windows");
	ledger_json(&cap->ledger, &j);
	json_object_end(&j);
	if (json_print(&j, f) < 0)
		message_error(EXIT_FAILED, "the summary", "it cannot be written", NULL);
	json_close(&j);
}

void capture_report(struct capture *cap, FILE *json)
{
	struct ledger_sum sum;

	ledger_sum(&cap->ledger, &sum);
	if (json) {
		report_json(cap, &sum, json);
		return;
	}
	if (cap->o->quick)
		return;
	fprintf(stderr, "%llu frames %s, %llu filtered, ", (unsigned long long)sum.frames,
		cap->store_open ? "written" : "printed", (unsigned long long)sum.filtered);
	if (cap->several)
		fprintf(stderr, "%llu left to others, ", (unsigned long long)sum.others);
	fprintf(stderr, "%s%llu lost, %llu dropped by the kernel", sum.unknown ? "more than " : "",
		(unsigned long long)sum.lost,
		(unsigned long long)(cap->drops + cap->drops_now - cap->drops_first));
	if (cap->store_open)
		fprintf(stderr, "; %llu bytes in %llu file%s",
			(unsigned long long)cap->store.series.bytes, (unsigned long long)cap->store.series.files,
			cap->store.series.files == 1 ? "" : "s");
	fputc('\n', stderr);
}

void capture_end(struct capture *cap)
{
	if (cap->store_open)
		store_close(&cap->store);
	else
		show_close(&cap->show);
	ledger_free(&cap->ledger);
}
