/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c - ncp-stats: what passes over a capture bus, and how its clients keep up. */
#include <errno.h>
#include <ncpbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fleet.h"
#include "listen.h"
#include "look.h"
#include "object.h"
#include "options.h"
#include "render.h"
#include "screen.h"
#include "terminal.h"
#include "ticker.h"
#include "util/json.h"
#include "util/message.h"

#define MS UINT64_C(1000000)
/* A bus is called dead after a second without a heartbeat: by then look_settled() says so. */
#define SETTLE_NS (1200 * MS)
#define SETTLE_POLL_NS (10 * MS)

/* Where looks go to. */
struct out {
	FILE *f;
	struct json json;
	bool as_json;
	bool on_screen;
	struct ticker ticker;
};

static int no_bus_error(int code, const char *bus, const char *why)
{
	const char *todo = NULL;
	int status = EXIT_FAILED;

	switch (code) {
	case NCP_ENOBUS:
		status = EXIT_NO_BUS;
		todo = "start ncp-producer, or see ncp-stats --list";
		break;
	case NCP_ENAME:
		status = EXIT_USAGE;
		break;
	case NCP_EACCESS:
		todo = "ask to be made a member of its group";
		break;
	case NCP_EFOREIGN:
		todo = "name its owner with --trust-owner, if you trust him";
		break;
	case NCP_EVERSION:
		todo = "use the ncp-stats that came with its producer";
		break;
	case NCP_ENOTREADY:
		todo = "try again";
		break;
	}
	return message_error(status, MESSAGE_TEXT("bus %s", bus), *why ? why : ncp_strerror(code),
			     todo);
}

/* All bus names, by malloc; their number or < 0. */
static int names_get(const char *dir, struct ncp_bus_name **names)
{
	int n = ncp_list(dir, NULL, 0), got;

	*names = NULL;
	if (n <= 0)
		return n;
	*names = calloc((size_t)n, sizeof(**names));
	if (!*names)
		return -ENOMEM;
	got = ncp_list(dir, *names, n);
	if (got < 0) {
		free(*names);
		*names = NULL;
		return got;
	}
	return got < n ? got : n;
}

static int list_error(int code, const char *dir)
{
	return message_error(EXIT_FAILED, MESSAGE_TEXT("the busses of %s", dir ? dir : "this host"),
			     ncp_strerror(code), NULL);
}

/* Without -i: the only bus there is.  0 with its name in *only, or an exit status.  Where several are
 * as good as one, the name is empty then. */
static int only_bus(const char *dir, struct ncp_bus_name *only, bool several)
{
	struct ncp_bus_name *names;
	char all[MESSAGE_CAP / 2] = "";
	int n = names_get(dir, &names);

	if (n < 0)
		return list_error(n, dir);
	if (n == 0)
		return message_error(EXIT_NO_BUS, "no bus", NULL, "start ncp-producer");
	if (n == 1 || several) {
		*only = n == 1 ? names[0] : (struct ncp_bus_name){ "" };
		free(names);
		return 0;
	}
	for (int i = 0; i < n; i++) {
		size_t len = strlen(all);

		snprintf(all + len, sizeof(all) - len, "%s%s", i ? ", " : "", names[i].name);
	}
	free(names);
	return message_error(EXIT_USAGE, "which bus", MESSAGE_TEXT("there are %s", all),
			     "name one with -i");
}

/* Wait for one sign of life of each bus, or until it is known that none comes. */
static void settle(struct out *out, struct fleet *f)
{
	uint64_t until_ns = look_now(CLOCK_MONOTONIC) + SETTLE_NS;

	for (uint32_t i = 0; i < f->n; i++)
		while (f->bus[i]->attached && !out->ticker.ended &&
		       !look_settled(&f->bus[i]->look)) {
			uint64_t now = look_now(CLOCK_MONOTONIC);

			if (now >= until_ns)
				break;
			(void)ticker_sleep(&out->ticker, now + SETTLE_POLL_NS);
		}
}

/* --- showing -------------------------------------------------------------------------------- */

static int out_error(int code)
{
	return message_error(EXIT_FAILED, "output", strerror(-code), NULL);
}

static int json_show(struct out *out)
{
	int r = json_print(&out->json, out->f);

	return r < 0 ? out_error(r) : 0;
}

static int text_flush(FILE *f)
{
	return fflush(f) || ferror(f) ? out_error(errno ? -errno : -EIO) : 0;
}

static int bus_error(const char *bus, const char *why)
{
	return message_error(EXIT_FAILED, MESSAGE_TEXT("bus %s", bus), why, NULL);
}

/* What a script's reader should not have to find out by comparing. */
struct seen {
	uint32_t state;
	bool wrong;
};

/* Tell, beside the looks, what has changed. */
static void note_changes(const struct fleet_bus *b, struct seen *before)
{
	const struct seen now = { b->snapshot.info.state, b->snapshot.wrong != NULL };
	const char *what = MESSAGE_TEXT("bus %s", b->name.name);

	switch (b->again) {
	case LOOK_REPLACED:
		message_note(what, "it was replaced by a new one", NULL);
		break;
	case LOOK_GONE:
		message_note(what, "it is gone", "waiting for another of that name");
		break;
	case LOOK_BACK:
		message_note(what, "its name is back", NULL);
		break;
	case LOOK_SAME:
		break;
	}
	if (now.wrong && !before->wrong)
		message_note(what, b->snapshot.wrong, "waiting for a whole one");
	else if (now.state != before->state && b->again != LOOK_REPLACED &&
		 (now.state == NCP_DEAD || now.state == NCP_STOPPED))
		message_note(what,
			     now.state == NCP_DEAD ? "its producer is dead"
						   : "its producer was stopped",
			     "waiting for it to come back");
	*before = now;
}

/* --- what the program does ------------------------------------------------------------------ */

static int list_row(struct out *out, const struct fleet_bus *b)
{
	if (out->as_json) {
		if (b->attached)
			object_snapshot(&out->json, &b->snapshot, NULL);
		else
			object_unknown(&out->json, b->name.name, b->why);
		return json_show(out);
	}
	if (b->attached)
		render_list_row(out->f, &b->snapshot);
	else
		render_list_unknown(out->f, b->name.name, b->why);
	return text_flush(out->f);
}

static int do_list(struct fleet *f, struct out *out)
{
	int r = 0;

	if (f->n == 0) {
		message_note("no bus", NULL, "start ncp-producer");
		return EXIT_DONE;
	}
	/* All of them first, so that their hearts beat side by side. */
	settle(out, f);
	r = fleet_take(f);
	if (r < 0)
		return list_error(r, f->dir);
	if (!out->as_json)
		render_list_head(out->f);
	for (uint32_t i = 0; i < f->n && r == 0 && !out->ticker.ended; i++)
		if (f->bus[i]->attached || f->bus[i]->code != NCP_ENOBUS) /* it went meanwhile */
			r = list_row(out, f->bus[i]);
	if (f->left_out)
		message_note(MESSAGE_TEXT("%u more busses", f->left_out), "not shown", NULL);
	return r;
}

/* One look at the only bus, shown.  once: all of it as text, not just a line. */
static int look(struct fleet *f, struct out *out, bool once)
{
	const struct fleet_bus *b = f->bus[0];
	int r = fleet_take(f);

	if (r < 0)
		return bus_error(b->name.name, ncp_strerror(r));
	if (!b->attached)
		return bus_error(b->name.name, b->why);
	if (out->as_json) {
		object_snapshot(&out->json, &b->snapshot, NULL);
		return json_show(out);
	}
	if (once)
		render_view(out->f, &b->snapshot);
	else
		render_line(out->f, &b->snapshot);
	return text_flush(out->f);
}

/* Look, sleep, look, until a signal says enough. */
static int watch(struct fleet *f, struct out *out, uint64_t interval_ns)
{
	uint64_t next = look_now(CLOCK_MONOTONIC);
	struct seen seen = { .state = NCP_LIVE };
	int r;

	while ((r = look(f, out, false)) == 0) {
		note_changes(f->bus[0], &seen);
		next = ticker_next(next, interval_ns);
		while (!out->ticker.ended && !ticker_sleep(&out->ticker, next))
			;
		if (out->ticker.ended)
			break;
	}
	if (r == 0 && !out->as_json) {
		render_summary(out->f, &f->bus[0]->snapshot);
		r = text_flush(out->f);
	}
	return r;
}

/* The only bus is in f, not yet opened. */
static int look_at(const struct stats_options *o, struct fleet *f, struct out *out)
{
	int r = fleet_open(f);

	if (r < 0)
		return bus_error(f->only, ncp_strerror(r));
	if (!f->bus[0]->attached)
		return no_bus_error(f->bus[0]->code, f->only, f->bus[0]->why);
	settle(out, f);
	return o->once ? look(f, out, true) : watch(f, out, o->interval_ns);
}

static int run(const struct stats_options *o, struct out *out)
{
	struct fleet f = { .only = o->bus, .dir = o->dir, .trust = o->trust };
	struct ncp_bus_name only;
	int r = 0;

	if (o->list) {
		r = fleet_open(&f);
		r = r < 0 ? list_error(r, o->dir) : do_list(&f, out);
	} else {
		if (!f.only) {
			r = only_bus(o->dir, &only, out->on_screen);
			f.only = r == 0 && *only.name ? only.name : NULL;
		}
		if (r == 0)
			r = out->on_screen ? terminal_run(o, &out->ticker) : look_at(o, &f, out);
	}
	fleet_close(&f);
	return r;
}

int main(int argc, char **argv)
{
	struct out out = { .f = stdout };
	struct stats_options o;
	int r;

	message_setup("ncp-stats");
	switch (stats_options_parse(&o, argc, argv)) {
	case OPTIONS_SHOWN:
		return EXIT_DONE;
	case OPTIONS_BAD:
		return EXIT_USAGE;
	case OPTIONS_RUN:
		break;
	}
	out.as_json = o.json != NULL;
	if (out.as_json)
		message_json(stderr);
	if (o.json && strcmp(o.json, "-")) {
		out.f = fopen(o.json, "ae");
		if (!out.f)
			return message_error(EXIT_FAILED, MESSAGE_TEXT("%s: open", o.json),
					     strerror(errno), NULL);
	}
	json_open(&out.json);
	out.on_screen = !o.json && !o.once && !o.list && !o.listen && screen_possible();
	r = ticker_open(&out.ticker, out.on_screen);
	if (r < 0)
		r = message_error(EXIT_FAILED, "signals", strerror(-r), NULL);
	else if (o.listen)
		r = listen_run(&o, &out.ticker);
	else
		r = run(&o, &out);
	json_close(&out.json);
	if (out.f != stdout && fclose(out.f) && r == EXIT_DONE)
		r = out_error(-errno);
	return r;
}
