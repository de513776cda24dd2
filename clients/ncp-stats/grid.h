/* SPDX-License-Identifier: BSD-2-Clause */
/* grid.h - a page of a terminal as cells: what stands where, in which style. */
#ifndef GRID_H
#define GRID_H

#include <stdint.h>

enum grid_style {
	GRID_PLAIN,
	GRID_TITLE,
	GRID_HEAD, /* of a table */
	GRID_DIM,
	GRID_GOOD,
	GRID_WARN,
	GRID_BAD,
	GRID_BAR,
	GRID_STYLES,
};

/* A glyph is a printable ASCII character, or GRID_LEVEL + the height of a bar, 0 to GRID_FULL. */
#define GRID_LEVEL 0x80u
#define GRID_FULL 8u

struct grid_cell {
	uint8_t glyph, style;
};

struct grid {
	unsigned int rows, cols;
	struct grid_cell *cell; /* rows * cols, row by row */
};

/* grid_clear - make it rows * cols blank cells, each at least 1.  g begins as all zero.  0, -ENOMEM */
int grid_clear(struct grid *g, unsigned int rows, unsigned int cols)
	__attribute__((warn_unused_result));

/*
 * grid_put - print into a row, as printf does.
 *
 * What lies outside the grid is left out.  Every byte that is no printable ASCII character becomes
 * '?': no text does more than fill cells.  Returns the column after it.
 */
unsigned int grid_put(struct grid *g, unsigned int row, unsigned int col, enum grid_style style,
		      const char *format, ...) __attribute__((format(printf, 5, 6)));

/* grid_level - a bar of a height, GRID_FULL at most, in one cell. */
void grid_level(struct grid *g, unsigned int row, unsigned int col, enum grid_style style,
		unsigned int level);

/* grid_share - a bar from left to right: part (0 to 1) of cols cells. */
void grid_share(struct grid *g, unsigned int row, unsigned int col, unsigned int cols,
		enum grid_style style, double part);

/* grid_ascii - a glyph where there is nothing but ASCII. */
char grid_ascii(uint8_t glyph);

/* grid_free - a zeroed g is fine. */
void grid_free(struct grid *g);

#endif
