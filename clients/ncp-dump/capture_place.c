/* SPDX-License-Identifier: BSD-2-Clause */
/* capture_place.c - where in a bus a capture begins and ends, and the windows of it that were read. */
#include <errno.h>
#include <time.h>

#include "capture_impl.h"
#include "util/message.h"
#include "util/timetext.h"

#define SECOND UINT64_C(1000000000)

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

int capture_limit_now(struct capture *cap)
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

int capture_limit_find(struct capture *cap)
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

bool capture_at_limit(const struct capture *cap)
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
static int go_to_from(struct capture *cap)
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

int capture_window_open(struct capture *cap, uint64_t incarnation, uint64_t first_seq)
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

int capture_window_begin(struct capture *cap, uint64_t incarnation)
{
	struct ncp_stats s = NCP_STATS_INIT;
	int r = ncp_stats(cap->c, &s);

	return r < 0 ? r : capture_window_open(cap, incarnation, s.now.first_seq);
}

void capture_others_read(struct capture *cap)
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

int capture_reach(struct capture *cap)
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

int capture_place(struct capture *cap, const struct state *resume)
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
			r = capture_window_open(cap, resume->incarnation, resume->seq);
	} else {
		r = go_to_from(cap);
		if (r == 0)
			r = ncp_tell(cap->c, &at);
		cap->window_due = cap->o->from.kind == WHERE_OLDEST ||
				  cap->o->from.kind == WHERE_AGO ||
				  cap->o->from.kind == WHERE_TIME || cap->o->group;
		if (r == 0 && !cap->window_due)
			r = capture_window_open(cap, at.incarnation,
					cap->o->from.kind == WHERE_SEQ ? cap->o->from.value :
									 at.seq);
	}
	if (r < 0)
		return r;
	if (to->kind == WHERE_LATEST)
		return capture_limit_now(cap);
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
