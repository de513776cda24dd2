/* SPDX-License-Identifier: BSD-2-Clause */
/* capture.c - from a bus to a file or to lines: the loop, and when it ends. */
#include "capture.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "capture_impl.h"
#include "util/message.h"

#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
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
	r = capture_place(cap, resume);
	if (r == -ERANGE)
		return message_error(EXIT_FAILED, MESSAGE_TEXT("bus %s", bus),
				     "that frame number is yet to come",
				     "see ncp-stats for the numbers there are");
	if (r < 0)
		return capture_fail(cap, r);
	if (o->duration_ns)
		cap->deadline_ns = clock_ns(CLOCK_MONOTONIC) + o->duration_ns;
	if (!o->write) {
		r = show_open(&cap->show, c, &cap->ledger, o->snaplen,
			      o->line_buffered || o->packet_buffered || o->group, o->log);
		if (r < 0 && o->log)
			return message_error(EXIT_FAILED, o->log, ncp_strerror(r), NULL);
		return r < 0 ? capture_fail(cap, r) : EXIT_DONE;
	}
	r = store_open(&cap->store, o, c, &cap->ledger, resume);
	cap->store_open = true;
	if (reader_left(r)) {
		cap->reader_gone = true;
		return EXIT_DONE;
	}
	if (r < 0) {
		store_abandon(&cap->store);
		return capture_fail_store(cap, r);
	}
	return EXIT_DONE;
}

static bool counted_out(struct capture *cap)
{
	struct ledger_sum sum;

	if (!cap->o->count)
		return false;
	ledger_sum(&cap->ledger, &sum);
	return sum.frames >= cap->o->count;
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
		return capture_limit_now(cap);
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
		capture_say_progress(cap);
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
		r = capture_limit_now(cap);
	}
	if (cap->progress.on && now >= cap->progress.due_ns)
		capture_show_progress(cap, now);
	if (r == 0 && cap->to_ns)
		r = capture_limit_find(cap);
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
		return capture_at_limit(cap);
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
		r = cap->straight ? capture_step_span(cap) : capture_step_frames(cap);
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
		r = capture_window_begin(cap, at.incarnation);
	w = ledger_now(&cap->ledger);
	if (r < 0 || w->incarnation != at.incarnation)
		return r;
	capture_others_read(cap);
	if (cap->ledger.order != LEDGER_RISING)
		return capture_reach(cap);
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
		r = capture_moved(cap);
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
		return capture_fail(cap, r);
	store_abandon(&cap->store);
	/* The library's own codes are the bus's failures, the rest came from the file. */
	return r <= -1000 ? capture_fail(cap, r) : capture_fail_store(cap, r);
}

void capture_end(struct capture *cap)
{
	if (cap->store_open)
		store_close(&cap->store);
	else
		show_close(&cap->show);
	ledger_free(&cap->ledger);
}
