/* SPDX-License-Identifier: BSD-2-Clause */
/* panes.c - the tables of the page: sources, clients, traffic, flows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "render.h"
#include "view.h"

#define SECOND 1e9
/* A client that may lose frames so soon is marked. */
#define OVERRUN_SOON_NS UINT64_C(1000000000)
/* From this width on clients have more columns. */
#define COLS_WIDE 120u

/* One draw: what is left of each table after filtering, in its order. */
struct panes {
	struct grid *g;
	const struct view *v;
	const struct view_data *d;
	const struct snapshot_client **client; /* NULL: no memory */
	const struct heavy_entry *talker[HEAVY_CAP], *flow[HEAVY_CAP];
	uint32_t n_clients, n_talkers, n_flows;
	double span_s; /* of the traffic */
	uint32_t skip; /* rows scrolled away */
};

/* A table, drawn from row `row` on: its head and n of its rows. */
struct pane {
	uint32_t n; /* rows there are */
	void (*draw)(struct panes *p, unsigned int row, uint32_t n);
};

static bool matches(const struct view *v, const char *text)
{
	return !*v->filter || strcasestr(text, v->filter);
}

static const char *note_of(const struct snapshot_client *k)
{
	return k->elsewhere	       ? "old bus"
	       : k->peer.reliable == 1 ? "reliable"
	       : k->peer.reliable == 2 ? "evicted"
				       : "";
}

/* --- clients -------------------------------------------------------------------------------- */

/* What a client is ordered by, the largest first. */
static uint64_t rank(const struct snapshot_client *k, enum view_order o)
{
	switch (o) {
	case ORDER_BEHIND:
		return k->elsewhere ? 0 : k->lag_frames;
	case ORDER_LOST:
		return k->peer.lost;
	case ORDER_FRAMES:
		return k->peer.frames;
	default:
		return 0;
	}
}

static int client_compare(const void *a, const void *b, void *order)
{
	const struct snapshot_client *x = *(const struct snapshot_client *const *)a,
				     *y = *(const struct snapshot_client *const *)b;
	uint64_t rx = rank(x, *(enum view_order *)order), ry = rank(y, *(enum view_order *)order);

	if (rx != ry)
		return rx < ry ? 1 : -1;
	int r = strncmp(x->peer.name, y->peer.name, sizeof(x->peer.name));
	return r ? r : (x->peer.pid > y->peer.pid) - (x->peer.pid < y->peer.pid);
}

static void select_clients(struct panes *p)
{
	const struct snapshot *s = p->d->s;
	enum view_order order = p->v->order;

	p->client = calloc(s->n_clients + 1, sizeof(const struct snapshot_client *));
	if (!p->client)
		return;
	for (uint32_t i = 0; i < s->n_clients; i++) {
		const struct snapshot_client *k = &s->client[i];
		char text[192];

		snprintf(text, sizeof(text), "%s %s %u %s", k->peer.name, p->d->user(k->peer.uid),
			 k->peer.pid, note_of(k));
		if (matches(p->v, text))
			p->client[p->n_clients++] = k;
	}
	qsort_r(p->client, p->n_clients, sizeof(const struct snapshot_client *), client_compare,
		&order);
}

static void draw_client(struct panes *p, unsigned int row, const struct snapshot_client *k)
{
	char a[RENDER_CAP], b[RENDER_CAP], c[RENDER_CAP];
	bool soon = k->lag_frames && k->overrun_ns < OVERRUN_SOON_NS;
	enum grid_style style = k->peer.reliable == 2 ? GRID_BAD : soon ? GRID_WARN : GRID_PLAIN;
	unsigned int col = grid_put(p->g, row, 0, style, "%-16.16s %-8.8s %7u", k->peer.name,
				    p->d->user(k->peer.uid), k->peer.pid);

	col = grid_put(p->g, row, col, style, " %9s %8s %8s", render_count(a, k->lag_frames),
		       render_duration(b, k->lag_ns), render_duration(c, k->overrun_ns));
	col = grid_put(p->g, row, col, k->peer.lost ? GRID_BAD : style, " %8s",
		       render_count(a, k->peer.lost));
	if (p->g->cols >= COLS_WIDE)
		col = grid_put(p->g, row, col, style, " %14s %14s %9s",
			       render_count(a, k->peer.frames), render_count(b, k->peer.filtered),
			       render_bytes(c, k->lag_bytes));
	grid_put(p->g, row, col + 1, style, "%s", note_of(k));
}

static void draw_clients(struct panes *p, unsigned int row, uint32_t n)
{
	char name[32];

	snprintf(name, sizeof(name), "CLIENTS %u/%u", p->n_clients, p->d->s->n_clients_in_all);
	unsigned int col = grid_put(p->g, row, 0, GRID_HEAD, "%-16s %-8s %7s %9s %8s %8s %8s", name,
				    "USER", "PID", "BEHIND", "", "OVERRUN", "LOST");
	if (p->g->cols >= COLS_WIDE)
		grid_put(p->g, row, col, GRID_HEAD, " %14s %14s %9s", "FRAMES", "FILTERED",
			 "BYTES");
	for (uint32_t i = 0; i < n; i++)
		draw_client(p, row + 1 + i, p->client[p->skip + i]);
}

/* --- sources -------------------------------------------------------------------------------- */

static void draw_source(struct panes *p, unsigned int row, const char *name, uint64_t published,
			uint64_t received, uint64_t drops)
{
	uint64_t all = p->d->s->info.next_seq;
	double share = all ? (double)published / (double)all : 0;
	char a[RENDER_CAP], b[RENDER_CAP], c[RENDER_CAP];
	unsigned int col = grid_put(p->g, row, 0, GRID_PLAIN, "%-16.16s %14s %14s", name,
				    render_count(a, published), render_count(b, received));

	col = grid_put(p->g, row, col, drops && drops != NCP_UNKNOWN ? GRID_WARN : GRID_PLAIN,
		       " %10s", render_count(c, drops));
	col = grid_put(p->g, row, col, GRID_PLAIN, " %5.1f%% ", 100 * share);
	if (p->g->cols > col)
		grid_share(p->g, row, col, p->g->cols - col < 40 ? p->g->cols - col : 40, GRID_BAR,
			   share);
}

/* Interfaces, then workers: one worker's line says nothing that the totals do not. */
static void draw_sources(struct panes *p, unsigned int row, uint32_t n)
{
	const struct snapshot *s = p->d->s;

	grid_put(p->g, row, 0, GRID_HEAD, "%-16s %14s %14s %10s %6s", "SOURCES", "PUBLISHED",
		 "RECEIVED", "DROPS", "SHARE");
	for (uint32_t at = p->skip; at < p->skip + n; at++) {
		char name[32];

		row++;
		if (at < s->n_interfaces) {
			const struct snapshot_interface *i = &s->interface[at];

			draw_source(p, row, *i->name ? i->name : "-", i->published, i->received,
				    i->kernel_drops);
		} else {
			const struct ncp_worker *w = &s->worker[at - s->n_interfaces];

			snprintf(name, sizeof(name), "worker %u", w->index);
			draw_source(p, row, name, w->published, w->received, w->kernel_drops);
		}
	}
}

/* --- traffic -------------------------------------------------------------------------------- */

static int by_frames(const void *a, const void *b)
{
	const struct heavy_entry *x = *(const struct heavy_entry *const *)a,
				 *y = *(const struct heavy_entry *const *)b;

	if (x->volume.frames.sum != y->volume.frames.sum)
		return x->volume.frames.sum < y->volume.frames.sum ? 1 : -1;
	return memcmp(x->key, y->key, HEAVY_KEY);
}

static uint32_t select_heavy(const struct panes *p, const struct heavy *h,
			     const struct heavy_entry **entry,
			     const char *(*text_of)(char *out, const struct heavy_entry *e))
{
	size_t all = heavy_top(h, entry, HEAVY_CAP);
	char text[TRAFFIC_TEXT];
	uint32_t n = 0;

	for (size_t i = 0; i < all; i++)
		if (matches(p->v, text_of(text, entry[i])))
			entry[n++] = entry[i];
	if (p->v->by_frames)
		qsort(entry, n, sizeof(*entry), by_frames);
	return n;
}

static void select_traffic(struct panes *p)
{
	const struct traffic *t = p->d->traffic;

	if (!t || !t->span_ns)
		return;
	p->span_s = (double)t->span_ns / SECOND;
	p->n_talkers = select_heavy(p, &t->talkers, p->talker, traffic_talker_text);
	p->n_flows = select_heavy(p, &t->flows, p->flow, traffic_flow_text);
}

/* "1.00k  45%": frames or bits a second and the share; with_bits: frames and bits.  Ends before
 * column `end`, with a blank. */
static void put_weight(struct panes *p, unsigned int row, unsigned int end,
		       const struct volume *v, bool with_bits)
{
	const struct volume *all = &p->d->traffic->all;
	bool by_frames = p->v->by_frames;
	double part = by_frames ? v->frames.sum : v->bytes.sum,
	       whole = by_frames ? all->frames.sum : all->bytes.sum;
	char a[RENDER_CAP], b[RENDER_CAP];
	unsigned int need = with_bits ? 21 : 13;

	if (end < need)
		return;
	render_si(a, v->frames.sum / p->span_s);
	render_si(b, 8 * v->bytes.sum / p->span_s);
	part = whole > 0 ? 100 * part / whole : 0;
	if (with_bits)
		grid_put(p->g, row, end - need, GRID_PLAIN, " %6s %6s %4.0f%% ", a, b, part);
	else
		grid_put(p->g, row, end - need, GRID_PLAIN, " %6s%4.0f%% ", by_frames ? a : b,
			 part);
}

/* The i-th of those in which something was counted, *which of them it is; NULL: there are fewer. */
static const struct volume *counted(const struct volume *of, uint32_t n, uint32_t i,
				    uint32_t *which)
{
	for (*which = 0; *which < n; ++*which)
		if (of[*which].frames.sum > 0 && i-- == 0)
			return &of[*which];
	return NULL;
}

static uint32_t n_counted(const struct volume *of, uint32_t n)
{
	uint32_t with = 0;

	for (uint32_t i = 0; i < n; i++)
		with += of[i].frames.sum > 0;
	return with;
}

static void put_sampling(struct panes *p, unsigned int row, unsigned int col)
{
	const struct traffic *t = p->d->traffic;
	char n[RENDER_CAP];

	if (!t)
		grid_put(p->g, row, col, GRID_DIM, "frames are not looked at");
	else if (!t->looked)
		grid_put(p->g, row, col, GRID_DIM, "no frame");
	else if (t->looked == t->published)
		grid_put(p->g, row, col, GRID_DIM, "every frame");
	else
		grid_put(p->g, row, col, GRID_WARN, "sampled 1/%s +-%.1f%%",
			 render_count(n, traffic_one_in(t)),
			 100 * traffic_error(t, p->v->by_frames));
}

static void draw_traffic(struct panes *p, unsigned int row, uint32_t n)
{
	const struct traffic *t = p->d->traffic;
	/* Two narrow columns; addresses may be long. */
	unsigned int sizes = p->g->cols < COLS_WIDE ? 22 : 32, talkers = 2 * sizes + 1;
	unsigned int end = p->g->cols < COLS_WIDE ? p->g->cols : COLS_WIDE;
	const char *unit = p->v->by_frames ? "FRAMES/S" : "BIT/S";
	char text[TRAFFIC_TEXT];

	grid_put(p->g, row, 0, GRID_HEAD, "%-*s%9s", (int)sizes - 15, "PROTO", unit);
	grid_put(p->g, row, sizes, GRID_HEAD, "%-*s%9s", (int)sizes - 14, "SIZE", unit);
	put_sampling(p, row, grid_put(p->g, row, talkers, GRID_HEAD, "TALKERS ") + 1);
	for (uint32_t i = p->skip; i < p->skip + n; i++) {
		const struct volume *c;
		uint32_t which;

		row++;
		c = counted(t->protocol, TRAFFIC_PROTOCOLS, i, &which);
		if (c) {
			grid_put(p->g, row, 0, GRID_PLAIN, "%s", traffic_protocol_name(which));
			put_weight(p, row, sizes, c, false);
		}
		c = counted(t->size, TRAFFIC_SIZES, i, &which);
		if (c) {
			grid_put(p->g, row, sizes, GRID_PLAIN, "%s", traffic_size_name(which));
			put_weight(p, row, talkers, c, false);
		}
		if (i < p->n_talkers) {
			grid_put(p->g, row, talkers, GRID_PLAIN, "%s",
				 traffic_talker_text(text, p->talker[i]));
			put_weight(p, row, end + 1, &p->talker[i]->volume, false);
		}
	}
}

static void draw_flows(struct panes *p, unsigned int row, uint32_t n)
{
	unsigned int end = p->g->cols < COLS_WIDE ? p->g->cols : COLS_WIDE;
	char text[TRAFFIC_TEXT];

	put_sampling(p, row, grid_put(p->g, row, 0, GRID_HEAD, "FLOWS %u", p->n_flows) + 2);
	if (end >= 21)
		grid_put(p->g, row, end - 21, GRID_HEAD, "FRAMES/S  BIT/S SHARE");
	for (uint32_t i = 0; i < n; i++) {
		const struct heavy_entry *e = p->flow[p->skip + i];

		row++;
		grid_put(p->g, row, 0, GRID_PLAIN, "%s", traffic_flow_text(text, e));
		put_weight(p, row, end + 1, &e->volume, true);
	}
}

/* --- all together --------------------------------------------------------------------------- */

static uint32_t larger(uint32_t a, uint32_t b)
{
	return a > b ? a : b;
}

/*
 * Rows for each table, heads included: `rows` are there.  One after the other gets one more as long
 * as it has something to show there; the first round is the heads'.
 */
static void share_rows(const struct pane pane[PANES], unsigned int rows, unsigned int got[PANES])
{
	static const enum view_pane first[] = { PANE_CLIENTS, PANE_FLOWS, PANE_TRAFFIC,
						PANE_SOURCES };
	bool more = true;

	while (rows && more) {
		more = false;
		for (int i = 0; i < 4 && rows; i++)
			if (got[first[i]] < pane[first[i]].n + 1) {
				got[first[i]]++;
				rows--;
				more = true;
			}
	}
}

void view_panes(struct grid *g, struct view *v, const struct view_data *d, unsigned int row,
		unsigned int end)
{
	struct panes p = { .g = g, .v = v, .d = d };
	unsigned int got[PANES] = { 0 };

	select_clients(&p);
	select_traffic(&p);
	const struct traffic *t = d->traffic && d->traffic->span_ns ? d->traffic : NULL;
	const struct pane pane[PANES] = {
		[PANE_SOURCES] = { d->s->n_interfaces + (d->s->n_workers > 1 ? d->s->n_workers : 0),
				   draw_sources },
		[PANE_CLIENTS] = { p.n_clients, draw_clients },
		[PANE_TRAFFIC] = { t ? larger(p.n_talkers,
					      larger(n_counted(t->protocol, TRAFFIC_PROTOCOLS),
						     n_counted(t->size, TRAFFIC_SIZES)))
				     : 0,
				   draw_traffic },
		[PANE_FLOWS] = { p.n_flows, draw_flows },
	};
	if (v->pane == PANE_ALL) {
		v->scroll = 0;
		share_rows(pane, end - row, got);
	} else {
		const struct pane *only = &pane[v->pane];
		uint32_t fits = end - row - 1, beyond = only->n > fits ? only->n - fits : 0;

		if (v->scroll > beyond)
			v->scroll = beyond;
		p.skip = v->scroll;
		got[v->pane] = 1 + (only->n < fits ? only->n : fits);
	}
	for (enum view_pane i = PANE_SOURCES; i < PANES; i++) {
		if (got[i])
			pane[i].draw(&p, row, got[i] - 1);
		row += got[i];
	}
	free(p.client);
}
