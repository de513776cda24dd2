/* SPDX-License-Identifier: BSD-2-Clause */
/* grid.c - cells, and text clipped to them. */
#include "grid.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* No row is longer than this in text. */
#define TEXT_CAP 512

int grid_clear(struct grid *g, unsigned int rows, unsigned int cols)
{
	if (g->rows != rows || g->cols != cols) {
		struct grid_cell *cell = calloc((size_t)rows * cols, sizeof(*cell));

		if (!cell)
			return -ENOMEM;
		free(g->cell);
		*g = (struct grid){ .rows = rows, .cols = cols, .cell = cell };
	}
	for (size_t i = 0; i < (size_t)rows * cols; i++)
		g->cell[i] = (struct grid_cell){ .glyph = ' ', .style = GRID_PLAIN };
	return 0;
}

static void set(struct grid *g, unsigned int row, unsigned int col, enum grid_style style,
		unsigned int glyph)
{
	if (row < g->rows && col < g->cols)
		g->cell[(size_t)row * g->cols + col] =
			(struct grid_cell){ .glyph = (uint8_t)glyph, .style = (uint8_t)style };
}

unsigned int grid_put(struct grid *g, unsigned int row, unsigned int col, enum grid_style style,
		      const char *format, ...)
{
	char text[TEXT_CAP] = "";
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	for (const char *p = text; *p; p++)
		set(g, row, col++, style, *p >= ' ' && *p <= '~' ? (unsigned char)*p : '?');
	return col;
}

void grid_level(struct grid *g, unsigned int row, unsigned int col, enum grid_style style,
		unsigned int level)
{
	set(g, row, col, style, GRID_LEVEL + (level < GRID_FULL ? level : GRID_FULL));
}

void grid_share(struct grid *g, unsigned int row, unsigned int col, unsigned int cols,
		enum grid_style style, double part)
{
	double filled = part * cols + 0.5;

	for (unsigned int i = 0; i < cols && i + 1 <= filled; i++)
		grid_level(g, row, col + i, style, GRID_FULL);
}

char grid_ascii(uint8_t glyph)
{
	static const char bar[GRID_FULL + 1] = { ' ', '.', ':', '-', '=', '+', '*', '%', '#' };

	return glyph < GRID_LEVEL ? (char)glyph : bar[glyph - GRID_LEVEL];
}

void grid_free(struct grid *g)
{
	free(g->cell);
	*g = (struct grid){ 0 };
}
