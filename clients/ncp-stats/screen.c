/* SPDX-License-Identifier: BSD-2-Clause */
/* screen.c - ncurses, the only file that knows it. */
#include "screen.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Its macros convert signs where our warnings look. */
#define NCURSES_NOMACROS
#include <curses.h>
#include <term.h>

#include "view.h"

/* Of a terminal that does not wait for the bytes of a key: what follows an Esc comes with it. */
#define ESCAPE_MS 25

static SCREEN *screen;
static bool utf8;
static attr_t attribute[GRID_STYLES];
static short pair[GRID_STYLES];

bool screen_possible(void)
{
	const char *term = getenv("TERM");
	int error;

	if (!isatty(STDOUT_FILENO) || !term || !*term || !strcmp(term, "dumb") ||
	    setupterm(term, STDOUT_FILENO, &error) != OK)
		return false;
	bool possible = tigetstr("cup") && tigetstr("cup") != (char *)-1;
	del_curterm(cur_term);
	return possible;
}

static void styles_set(void)
{
	static const short colour[GRID_STYLES] = {
		[GRID_GOOD] = COLOR_GREEN,
		[GRID_WARN] = COLOR_YELLOW,
		[GRID_BAD] = COLOR_RED,
		[GRID_BAR] = COLOR_CYAN,
	};
	const char *no_color = getenv("NO_COLOR");

	attribute[GRID_TITLE] = A_BOLD;
	attribute[GRID_HEAD] = A_BOLD | A_UNDERLINE;
	attribute[GRID_DIM] = A_DIM;
	attribute[GRID_WARN] = A_BOLD;
	attribute[GRID_BAD] = A_REVERSE;
	if (!has_colors() || (no_color && *no_color) || start_color() == ERR)
		return;
	(void)use_default_colors();
	for (short i = 0; i < GRID_STYLES; i++)
		if (colour[i] && init_pair(i, colour[i], -1) == OK) {
			pair[i] = i;
			attribute[i] = i == GRID_BAD ? A_BOLD : A_NORMAL;
		}
}

int screen_begin(void)
{
	if (screen) {
		clearok(curscr, TRUE);
		return 0; /* the next screen_show() takes it again */
	}
	setlocale(LC_CTYPE, "");
	utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
	screen = newterm(NULL, stdout, stdin);
	if (!screen)
		return -ENOTTY;
	cbreak();
	noecho();
	nonl();
	set_escdelay(ESCAPE_MS);
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	curs_set(0);
	styles_set();
	return 0;
}

void screen_end(void)
{
	if (screen && !isendwin())
		endwin();
}

void screen_size(unsigned int *rows, unsigned int *cols)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col &&
	    is_term_resized(size.ws_row, size.ws_col))
		resizeterm(size.ws_row, size.ws_col);
	*rows = (unsigned int)getmaxy(stdscr);
	*cols = (unsigned int)getmaxx(stdscr);
}

void screen_show(const struct grid *g)
{
	static const char *const bar[GRID_FULL + 1] = {
		" ", "\u2581", "\u2582", "\u2583", "\u2584", "\u2585", "\u2586", "\u2587", "\u2588",
	};

	for (unsigned int row = 0; row < g->rows; row++)
		for (unsigned int col = 0; col < g->cols; col++) {
			const struct grid_cell *c = &g->cell[(size_t)row * g->cols + col];

			attr_set(attribute[c->style], pair[c->style], NULL);
			if (c->glyph >= GRID_LEVEL && utf8)
				mvaddstr((int)row, (int)col, bar[c->glyph - GRID_LEVEL]);
			else
				mvaddch((int)row, (int)col, (chtype)grid_ascii(c->glyph));
		}
	refresh();
}

void screen_redraw(void)
{
	clearok(curscr, TRUE);
}

int screen_key(void)
{
	int key = getch();

	switch (key) {
	case ERR:
		return -1;
	case KEY_UP:
		return VIEW_KEY_UP;
	case KEY_DOWN:
		return VIEW_KEY_DOWN;
	case KEY_LEFT:
		return VIEW_KEY_LEFT;
	case KEY_RIGHT:
		return VIEW_KEY_RIGHT;
	case KEY_PPAGE:
		return VIEW_KEY_PAGE_UP;
	case KEY_NPAGE:
		return VIEW_KEY_PAGE_DOWN;
	case KEY_BACKSPACE:
	case '\b':
	case 127:
		return VIEW_KEY_ERASE;
	case KEY_ENTER:
	case '\r':
	case '\n':
		return VIEW_KEY_ENTER;
	default:
		return key < 256 ? key : VIEW_KEY_OTHER;
	}
}
