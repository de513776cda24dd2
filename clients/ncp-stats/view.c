/* SPDX-License-Identifier: BSD-2-Clause */
/* view.c - keys; the head of the page, its foot, the help. */
#include "view.h"

#include <string.h>
#include <time.h>

#include "render.h"

#define SECOND UINT64_C(1000000000)
/* What a line of bars covers at least. */
#define SPARK_S 240u
#define SPARK_COL 46u

/* --- keys ----------------------------------------------------------------------------------- */

static void edit(struct view *v, int key)
{
	size_t len = strlen(v->filter);

	switch (key) {
	case VIEW_KEY_ESCAPE:
		*v->filter = '\0';
		v->editing = false;
		break;
	case VIEW_KEY_ENTER:
		v->editing = false;
		break;
	case VIEW_KEY_ERASE:
		if (len)
			v->filter[len - 1] = '\0';
		break;
	default:
		if (key >= ' ' && key <= '~' && len + 1 < sizeof(v->filter)) {
			v->filter[len] = (char)key;
			v->filter[len + 1] = '\0';
		}
	}
	v->scroll = 0;
}

static void switch_bus(struct view *v, uint32_t by)
{
	v->scroll = 0;
	if (v->n_busses)
		v->bus_idx = (v->bus_idx + by) % v->n_busses;
}

static void scroll_up(struct view *v, uint32_t rows)
{
	v->scroll -= v->scroll < rows ? v->scroll : rows;
}

bool view_key(struct view *v, int key)
{
	if (v->editing) {
		edit(v, key);
		return true;
	}
	if (v->help) {
		v->help = false;
		return key != 'q';
	}
	switch (key) {
	case 'q':
		return false;
	case 'h':
	case '?':
		v->help = true;
		break;
	case 'p':
	case ' ':
		v->paused = !v->paused;
		break;
	case 's':
		v->order = (v->order + 1) % ORDERS;
		break;
	case 't':
		v->by_frames = !v->by_frames;
		break;
	case '/':
		v->editing = true;
		break;
	case VIEW_KEY_ESCAPE:
		*v->filter = '\0';
		v->pane = PANE_ALL;
		v->scroll = 0;
		break;
	case '\t':
		v->pane = (v->pane + 1) % PANES;
		v->scroll = 0;
		break;
	case 'b':
	case VIEW_KEY_RIGHT:
		switch_bus(v, 1);
		break;
	case 'B':
	case VIEW_KEY_LEFT:
		switch_bus(v, v->n_busses - 1);
		break;
	/* Beyond the end: view_draw() knows where that is. */
	case VIEW_KEY_DOWN:
	case 'j':
		v->scroll++;
		break;
	case VIEW_KEY_PAGE_DOWN:
		v->scroll += 10;
		break;
	case VIEW_KEY_UP:
	case 'k':
		scroll_up(v, 1);
		break;
	case VIEW_KEY_PAGE_UP:
		scroll_up(v, 10);
		break;
	}
	return true;
}

/* --- the page ------------------------------------------------------------------------------- */

static enum grid_style state_style(const struct snapshot *s)
{
	const uint32_t state = s->info.state;

	return s->wrong || state == NCP_DEAD		     ? GRID_BAD
	       : state == NCP_LIVE			     ? GRID_GOOD
	       : state == NCP_STARTING || state == NCP_ENDED ? GRID_PLAIN
							     : GRID_WARN;
}

static void put_title(struct grid *g, const struct view *v, const struct view_data *d)
{
	const struct snapshot *s = d->s;
	char a[RENDER_CAP], text[16] = "";
	unsigned int col = grid_put(g, 0, 0, GRID_TITLE, "%s", d->bus);
	struct tm tm;

	if (v->n_busses > 1)
		col = grid_put(g, 0, col + 1, GRID_DIM, "%u/%u", v->bus_idx + 1, v->n_busses);
	if (s) {
		const char *reason = snapshot_reason(s);
		enum grid_style style = state_style(s);
		time_t t = (time_t)(s->at_ns / SECOND);

		col = grid_put(g, 0, col + 2, style, "%s", snapshot_state(s));
		/* A dead producer's reason is of the state it died in. */
		if (*reason && (s->wrong || s->info.state != NCP_DEAD))
			col = grid_put(g, 0, col + 1, style, "(%s)", reason);
		if (s->gone)
			col = grid_put(g, 0, col + 1, GRID_BAD, "its name is gone");
		col = grid_put(g, 0, col + 2, GRID_PLAIN, "pid %u  epoch %s", s->info.pid,
			       render_count(a, s->info.epoch));
		if (s->info.created_ns && s->at_ns > s->info.created_ns)
			grid_put(g, 0, col + 2, GRID_PLAIN, "made %s ago",
				 render_duration(a, s->at_ns - s->info.created_ns));
		if (localtime_r(&t, &tm))
			strftime(text, sizeof(text), "%H:%M:%S", &tm);
	}
	size_t len = v->paused ? strlen(" PAUSED ") : strlen(text);
	if (g->cols > len)
		grid_put(g, 0, g->cols - (unsigned int)len, v->paused ? GRID_WARN : GRID_PLAIN,
			 "%s", v->paused ? " PAUSED " : text);
}

static void put_counters(struct grid *g, const struct snapshot *s)
{
	const struct ncp_bus_info *i = &s->info;
	uint64_t lost = snapshot_lost(s);
	char a[RENDER_CAP], b[RENDER_CAP], c[RENDER_CAP];
	unsigned int col;

	col = grid_put(g, 1, 0, GRID_PLAIN, "published %s frames, %s", render_count(a, i->next_seq),
		       render_bytes(b, i->bytes));
	col = grid_put(g, 1, col + 2, GRID_PLAIN, "received %s", render_count(a, i->received));
	grid_put(g, 1, col + 2, GRID_PLAIN, "discarded %s", render_count(a, i->discarded));

	col = grid_put(g, 2, 0,
		       s->has_rates && s->now.kernel_drops > 0 ? GRID_BAD
		       : i->kernel_drops		       ? GRID_WARN
							       : GRID_PLAIN,
		       "kernel drops %s", render_count(a, i->kernel_drops));
	col = grid_put(g, 2, col + 2, lost ? GRID_BAD : GRID_PLAIN, "lost by clients %s",
		       render_count(a, lost));
	col = grid_put(g, 2, col + 2, i->freezes ? GRID_WARN : GRID_PLAIN, "freezes %s",
		       render_count(a, i->freezes));
	grid_put(g, 2, col + 2, GRID_PLAIN, "truncated %s", render_count(a, i->truncated));

	uint64_t used = i->head > i->tail ? i->head - i->tail : 0;
	col = grid_put(g, 3, 0, GRID_PLAIN, "ring %s, %s used, holds %s",
		       render_bytes(a, i->ring_size), render_bytes(b, used),
		       render_duration(c, s->depth_ns));
	if (i->next_seq > i->oldest_seq)
		grid_put(g, 3, col, GRID_PLAIN, ": frames %s to %s", render_count(a, i->oldest_seq),
			 render_count(b, i->next_seq - 1));
}

/* The last minutes, oldest on the left; a column stands for some seconds. */
static void put_spark(struct grid *g, unsigned int row, const struct history *h,
		      enum history_what what)
{
	unsigned int cols = g->cols > SPARK_COL ? g->cols - SPARK_COL : 0;
	double rate[HISTORY_SLOTS], most = 0;

	if (!h || !cols)
		return;
	if (cols > HISTORY_SLOTS)
		cols = HISTORY_SLOTS;
	unsigned int per = (SPARK_S + cols - 1) / cols;
	uint64_t last = history_now(h) / per;
	for (unsigned int i = 0; i < cols; i++) {
		uint64_t ago = cols - 1 - i;

		rate[i] = ago > last ? -1 : history_rate(h, (last - ago) * per, per, what);
		if (rate[i] > most)
			most = rate[i];
	}
	for (unsigned int i = 0; i < cols; i++) {
		/* However little: something is not nothing. */
		unsigned int level = rate[i] <= 0 ? 0 : 1 + (unsigned int)(rate[i] / most * 7);

		grid_level(g, row, SPARK_COL + i,
			   !level		   ? GRID_PLAIN
			   : what == HISTORY_DROPS ? GRID_BAD
						   : GRID_BAR,
			   level);
	}
}

static void put_rate(struct grid *g, unsigned int row, const char *name, const struct view_data *d,
		     enum history_what what, const double x[3])
{
	enum grid_style style = what == HISTORY_DROPS && d->s->has_rates && x[0] > 0 ? GRID_BAD
										     : GRID_PLAIN;
	char a[RENDER_CAP];
	unsigned int col = grid_put(g, row, 0, style, "%-11s", name);

	for (int i = 0; i < 3; i++)
		col = grid_put(g, row, col, style, " %10s",
			       d->s->has_rates ? render_si(a, x[i]) : "-");
	put_spark(g, row, d->history, what);
}

static void put_rates(struct grid *g, const struct view_data *d)
{
	const struct snapshot_rate *now = &d->s->now, *mean = &d->s->mean, *peak = &d->s->peak;
	unsigned int cols = g->cols > SPARK_COL ? g->cols - SPARK_COL : 1;
	char a[RENDER_CAP];

	grid_put(g, 4, 0, GRID_HEAD, "%-11s %10s %10s %10s", "PER SECOND", "NOW", "MEAN", "PEAK");
	if (cols > HISTORY_SLOTS)
		cols = HISTORY_SLOTS;
	grid_put(g, 4, SPARK_COL, GRID_HEAD, "THE LAST %s",
		 render_duration(a, (SPARK_S + cols - 1) / cols * cols * SECOND));
	put_rate(g, 5, "frames", d, HISTORY_FRAMES,
		 (const double[]){ now->frames, mean->frames, peak->frames });
	put_rate(g, 6, "bits", d, HISTORY_BITS,
		 (const double[]){ now->bits, mean->bits, peak->bits });
	put_rate(g, 7, "drops", d, HISTORY_DROPS,
		 (const double[]){ now->kernel_drops, mean->kernel_drops, peak->kernel_drops });
}

static void put_foot(struct grid *g, const struct view *v)
{
	static const char *const order[ORDERS] = { "name", "behind", "lost", "frames" };
	unsigned int row = g->rows - 1, col = 0;

	if (v->editing) {
		grid_put(g, row, 0, GRID_TITLE, "filter: %s_  Enter: keep it, Esc: none",
			 v->filter);
		return;
	}
	if (*v->filter)
		col = grid_put(g, row, 0, GRID_WARN, "filter: %s", v->filter) + 2;
	grid_put(g, row, col, GRID_DIM,
		 "q quit  h help  p pause  Tab pane  s by %s  t by %s  / filter%s",
		 order[v->order], v->by_frames ? "frames" : "bytes",
		 v->n_busses > 1 ? "  b bus" : "");
}

static void put_help(struct grid *g)
{
	static const char *const lines[] = {
		"Keys of ncp-stats",
		"",
		"q              quit",
		"h ?            this help; any key leaves it",
		"p Space        pause: the page stands still, nothing is counted meanwhile",
		"Tab            all tables, or a single one: sources, clients, traffic, flows",
		"Up Down k j    move through a single table; Page Up, Page Down by ten rows",
		"s              clients by name, by frames behind, by lost, by frames read",
		"t              talkers and flows by bytes or by frames",
		"/              filter: clients, talkers, flows that contain a text; Enter, Esc",
		"Esc            no filter, all tables",
		"b B Right Left the next bus, the one before",
		"Ctrl-L         draw anew",
	};

	for (unsigned int i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		grid_put(g, i, 0, i ? GRID_PLAIN : GRID_TITLE, "%s", lines[i]);
}

void view_draw(struct grid *g, struct view *v, const struct view_data *d)
{
	if (v->help) {
		put_help(g);
		return;
	}
	put_title(g, v, d);
	if (d->s) {
		put_counters(g, d->s);
		put_rates(g, d);
		if (g->rows > 9)
			view_panes(g, v, d, 8, g->rows - 1);
	} else {
		grid_put(g, 1, 0, GRID_BAD, "%s", d->why);
	}
	put_foot(g, v);
}
