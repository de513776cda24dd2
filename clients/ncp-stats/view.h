/* SPDX-License-Identifier: BSD-2-Clause */
/* view.h - what a person sees of a bus on a page of cells, and what his keys change of it. */
#ifndef VIEW_H
#define VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "grid.h"
#include "history.h"
#include "snapshot.h"
#include "traffic.h"

/* Keys that are no characters. */
enum view_key {
	VIEW_KEY_ESCAPE = 27,
	VIEW_KEY_UP = 256,
	VIEW_KEY_DOWN,
	VIEW_KEY_LEFT,
	VIEW_KEY_RIGHT,
	VIEW_KEY_PAGE_UP,
	VIEW_KEY_PAGE_DOWN,
	VIEW_KEY_ERASE,
	VIEW_KEY_ENTER,
	VIEW_KEY_OTHER,
};

enum view_pane {
	PANE_ALL,
	PANE_SOURCES,
	PANE_CLIENTS,
	PANE_TRAFFIC,
	PANE_FLOWS,
	PANES
};

/* How clients are ordered; whatever is equal, by name and pid. */
enum view_order {
	ORDER_NAME,
	ORDER_BEHIND,
	ORDER_LOST,
	ORDER_FRAMES,
	ORDERS
};

/* All zero at the start. */
struct view {
	enum view_pane pane;
	enum view_order order;
	bool by_frames; /* talkers and flows; else by bytes */
	bool paused, help;
	bool editing; /* the filter is being typed */
	char filter[32];
	uint32_t bus_idx, n_busses; /* n_busses: the caller's to set */
	uint32_t scroll;	    /* rows of a single pane that lie above the page */
};

/* What there is to show of a bus. */
struct view_data {
	const char *bus;
	const char *why;	       /* it cannot be attached: the reason, else NULL */
	const struct snapshot *s;      /* NULL with why */
	const struct traffic *traffic; /* NULL: frames are not looked at */
	const struct history *history; /* NULL: none yet */
	/* A user's name; valid until the next call. */
	const char *(*user)(uint32_t uid);
};

/* view_key - a key was pressed.  False: it was the one that quits. */
bool view_key(struct view *v, int key);

/* view_draw - fill a cleared grid.  Brings v->scroll back to where rows are. */
void view_draw(struct grid *g, struct view *v, const struct view_data *d);

/* view_panes - the tables, in rows [row, end); view_draw()'s own. */
void view_panes(struct grid *g, struct view *v, const struct view_data *d, unsigned int row,
		unsigned int end);

#endif
