/* SPDX-License-Identifier: BSD-2-Clause */
/* terminal.c - the loop of the terminal's page. */
#include "terminal.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "fleet.h"
#include "render.h"
#include "screen.h"
#include "util/message.h"
#include "view.h"

struct terminal {
	struct fleet fleet;
	struct view view;
	struct grid grid;
};

/* Asked for at each draw, so remembered: who knows users may be another host. */
static const char *user_name(uint32_t uid)
{
	static struct {
		bool known;
		uint32_t uid;
		char name[32];
	} seen[64], *u;

	u = &seen[uid % 64];
	if (!u->known || u->uid != uid) {
		const struct passwd *p = getpwuid(uid);

		if (p)
			snprintf(u->name, sizeof(u->name), "%s", p->pw_name);
		else
			snprintf(u->name, sizeof(u->name), "%u", uid);
		u->uid = uid;
		u->known = true;
	}
	return u->name;
}

static int take(struct terminal *t)
{
	t->fleet.shown = t->view.bus_idx;
	int r = fleet_take(&t->fleet);

	t->view.n_busses = t->fleet.n;
	return r;
}

static int draw(struct terminal *t)
{
	const struct fleet_bus *b = t->fleet.bus[t->view.bus_idx];
	/* None: all have gone since it was asked for them; others may come. */
	const struct view_data d = {
		.bus = b ? b->name.name : "no bus",
		.why = !b	     ? "start ncp-producer"
		       : b->attached ? NULL
				     : b->why,
		.s = b && b->attached ? &b->snapshot : NULL,
		.traffic = b ? fleet_traffic(b) : NULL,
		.history = b ? &b->history : NULL,
		.user = user_name,
	};
	unsigned int rows, cols;

	screen_size(&rows, &cols);
	int r = grid_clear(&t->grid, rows, cols);
	if (r == 0) {
		view_draw(&t->grid, &t->view, &d);
		screen_show(&t->grid);
	}
	return r;
}

/* All keys that were pressed.  False: one of them quits. */
static bool read_keys(struct terminal *t)
{
	int key;

	while ((key = screen_key()) >= 0) {
		if (key == SCREEN_REDRAW)
			screen_redraw();
		else if (!view_key(&t->view, key))
			return false;
	}
	return true;
}

/* Until the next look is due, or enough.  1: look; 0: enough; < 0: an error. */
static int wait_for_next(struct terminal *t, struct ticker *ticker, uint64_t next)
{
	for (;;) {
		uint64_t now = look_now(CLOCK_MONOTONIC);
		bool was_paused = t->view.paused;
		int r = 0;

		if (now >= next && !was_paused)
			return 1;
		bool due = ticker_sleep(ticker, !was_paused && next - now < SAMPLE_EVERY_NS
							? next
							: now + SAMPLE_EVERY_NS);
		if (ticker->ended)
			return 0;
		if (!was_paused)
			fleet_sample(&t->fleet);
		if (due)
			continue;
		if (!read_keys(t))
			return 0;
		r = draw(t);
		if (r < 0)
			return r;
	}
}

static int watch(struct terminal *t, struct ticker *ticker, uint64_t interval_ns)
{
	uint64_t next = look_now(CLOCK_MONOTONIC);
	int r;

	do {
		r = take(t);
		if (r == 0)
			r = draw(t);
		if (r < 0)
			break;
		next = ticker_next(next, interval_ns);
		r = wait_for_next(t, ticker, next);
	} while (r > 0);
	return r;
}

int terminal_run(const struct stats_options *o, struct ticker *ticker)
{
	struct terminal *t = calloc(1, sizeof(*t));
	int r = t ? screen_begin() : -ENOMEM;

	if (r < 0) {
		free(t);
		return message_error(EXIT_FAILED, "terminal", strerror(-r), "use --once or --json");
	}
	t->fleet = (struct fleet){ .only = o->bus, .dir = o->dir, .trust = o->trust,
				   .sampled = true };
	ticker->keys = isatty(STDIN_FILENO) ? STDIN_FILENO : -1;
	r = watch(t, ticker, o->interval_ns);
	screen_end();
	if (r < 0) {
		r = message_error(EXIT_FAILED, "looking at busses", ncp_strerror(r), NULL);
	} else if (t->fleet.n && t->fleet.bus[t->view.bus_idx]->attached) {
		render_view(stdout, &t->fleet.bus[t->view.bus_idx]->snapshot);
		render_summary(stdout, &t->fleet.bus[t->view.bus_idx]->snapshot);
		/* A terminal that has gone is a reason to end, not an error. */
		(void)fflush(stdout);
	}
	fleet_close(&t->fleet);
	grid_free(&t->grid);
	free(t);
	return r;
}
