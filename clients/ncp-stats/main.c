/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c - ncp-stats: what passes over a capture bus, and how its clients keep up. */
#include <errno.h>
#include <ncpbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

/* Wait for one sign of life, or until it is known that none comes. */
static void settle(struct out *out, struct look *l, uint64_t until_ns)
{
	while (!out->ticker.ended && !look_settled(l)) {
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

static int take_error(int code, const char *bus)
{
	return message_error(EXIT_FAILED, MESSAGE_TEXT("bus %s", bus), ncp_strerror(code), NULL);
}

/* Tell, beside the looks, of what a script's reader should not have to find out by comparing. */
static void note_changes(const struct look *l, enum look_again again, uint32_t before,
			 const struct snapshot *s)
{
	const char *what = MESSAGE_TEXT("bus %s", l->bus);

	switch (again) {
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
	if (s->info.state == before || again == LOOK_REPLACED)
		return;
	if (s->info.state == NCP_DEAD)
		message_note(what, "its producer is dead", "waiting for it to come back");
	else if (s->info.state == NCP_STOPPED)
		message_note(what, "its producer was stopped", "waiting for it to come back");
}

/* --- what the program does ------------------------------------------------------------------ */

static int do_list(const struct stats_options *o, struct out *out)
{
	uint64_t until = look_now(CLOCK_MONOTONIC) + SETTLE_NS;
	struct ncp_bus_name *names;
	struct look *looks = NULL;
	char (*why)[LOOK_WHY_CAP] = NULL;
	int *code = NULL;
	int n = names_get(o->dir, &names), r = 0;

	if (n < 0)
		return list_error(n, o->dir);
	if (n == 0) {
		message_note("no bus", NULL, "start ncp-producer");
		return EXIT_DONE;
	}
	looks = calloc((size_t)n, sizeof(*looks));
	why = calloc((size_t)n, sizeof(*why));
	code = calloc((size_t)n, sizeof(*code));
	if (!looks || !why || !code) {
		r = list_error(-ENOMEM, o->dir);
		goto out;
	}
	/* All at first, so that their hearts beat side by side. */
	for (int i = 0; i < n; i++) {
		looks[i] = (struct look){ .bus = names[i].name, .dir = o->dir, .trust = o->trust };
		code[i] = look_open(&looks[i], why[i]);
	}
	if (!out->as_json)
		render_list_head(out->f);
	for (int i = 0; i < n && r == 0 && !out->ticker.ended; i++) {
		struct snapshot s = { 0 };

		if (code[i] == NCP_ENOBUS)
			continue; /* it went meanwhile */
		if (code[i] == 0) {
			settle(out, &looks[i], until);
			code[i] = look_take(&looks[i], &s);
		}
		const char *reason = *why[i] ? why[i] : ncp_strerror(code[i]);
		if (code[i] < 0 && out->as_json)
			object_unknown(&out->json, names[i].name, reason);
		else if (code[i] < 0)
			render_list_unknown(out->f, names[i].name, reason);
		else if (out->as_json)
			object_snapshot(&out->json, &s, NULL);
		else
			render_list_row(out->f, &s);
		snapshot_free(&s);
		r = out->as_json ? json_show(out) : text_flush(out->f);
	}
out:
	for (int i = 0; looks && i < n; i++)
		look_close(&looks[i]);
	free(looks);
	free(why);
	free(code);
	free(names);
	return r;
}

/* One look, shown.  once: all of it as text, not just a line.  s is the caller's to free. */
static int show(struct out *out, struct look *l, bool once, struct snapshot *s)
{
	int r = look_take(l, s);

	if (r < 0)
		return take_error(r, l->bus);
	if (out->as_json) {
		object_snapshot(&out->json, s, NULL);
		return json_show(out);
	}
	if (once)
		render_view(out->f, s);
	else
		render_line(out->f, s);
	return text_flush(out->f);
}

/* Look, sleep, look, until a signal says enough. */
static int watch(const struct stats_options *o, struct out *out, struct look *l)
{
	enum look_again again = LOOK_SAME;
	uint64_t next = look_now(CLOCK_MONOTONIC);
	struct snapshot s = { 0 };
	uint32_t state = NCP_LIVE;
	int r;

	for (;;) {
		struct snapshot fresh = { 0 };

		r = show(out, l, false, &fresh);
		if (r) {
			snapshot_free(&fresh);
			break;
		}
		snapshot_free(&s);
		s = fresh;
		note_changes(l, again, state, &s);
		state = s.info.state;
		next += o->interval_ns;
		while (!out->ticker.ended && !ticker_sleep(&out->ticker, next))
			;
		if (out->ticker.ended)
			break;
		/* Late, after a SIGSTOP for instance: no burst of looks to catch up. */
		uint64_t now = look_now(CLOCK_MONOTONIC);
		if (now > next + o->interval_ns)
			next = now;
		again = look_again(l, state);
	}
	if (r == 0 && !out->as_json) {
		render_summary(out->f, &s);
		r = text_flush(out->f);
	}
	snapshot_free(&s);
	return r;
}

static int run(const struct stats_options *o, struct out *out)
{
	struct look l = { .bus = o->bus, .dir = o->dir, .trust = o->trust };
	struct ncp_bus_name only;
	char why[LOOK_WHY_CAP];
	int r;

	if (o->list)
		return do_list(o, out);
	if (!l.bus) {
		r = only_bus(o->dir, &only, out->on_screen);
		if (r)
			return r;
		if (!*only.name)
			return terminal_run(o, &out->ticker);
		l.bus = only.name;
	}
	r = look_open(&l, why);
	if (r < 0)
		return no_bus_error(r, l.bus, why);
	settle(out, &l, look_now(CLOCK_MONOTONIC) + SETTLE_NS);
	if (o->once) {
		struct snapshot s = { 0 };

		r = show(out, &l, true, &s);
		snapshot_free(&s);
	} else if (!out->on_screen) {
		r = watch(o, out, &l);
	}
	look_close(&l);
	return out->on_screen ? terminal_run(o, &out->ticker) : r;
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
