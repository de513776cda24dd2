/* SPDX-License-Identifier: BSD-2-Clause */
/* screen.c - a text shown in place on a terminal.  Source of the sequences: ECMA-48, xterm's
 * ctlseqs for the second page (1049). */
#include "screen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/file.h"

#define PAGE_ENTER "\033[?1049h\033[?25l"
#define PAGE_LEAVE "\033[?25h\033[?1049l"
#define HOME "\033[H"
#define ERASE_LINE "\033[K"
#define ERASE_BELOW "\033[J"

bool screen_possible(void)
{
	const char *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && term && *term && strcmp(term, "dumb") != 0;
}

/* That the terminal has gone shows at the next draw. */
static void put(const char *sequence)
{
	(void)!file_write_all(STDOUT_FILENO, sequence, strlen(sequence));
}

void screen_begin(void)
{
	put(PAGE_ENTER HOME ERASE_BELOW);
}

void screen_end(void)
{
	put(PAGE_LEAVE);
}

/* Bytes of line that fill cols columns at most; continuation bytes of UTF-8 take none. */
static size_t fit(const char *line, size_t len, unsigned int cols)
{
	unsigned int used = 0;

	for (size_t i = 0; i < len; i++)
		if (((unsigned char)line[i] & 0xc0) != 0x80 && used++ == cols)
			return i;
	return len;
}

void screen_clip(FILE *f, const char *text, unsigned int rows, unsigned int cols)
{
	unsigned int n_lines = 0, row = 0;

	for (const char *p = text; *p; p++)
		n_lines += *p == '\n';
	unsigned int shown = n_lines <= rows ? n_lines : rows - 1;
	for (; row < shown; row++) {
		size_t len = strcspn(text, "\n");

		fprintf(f, "%.*s" ERASE_LINE "%s", (int)fit(text, len, cols), text,
			row + 1 < rows ? "\r\n" : "");
		text += len + 1;
	}
	if (shown < n_lines)
		fprintf(f, "%u more lines" ERASE_LINE, n_lines - shown);
}

int screen_draw(const char *text)
{
	struct winsize size;
	size_t len;
	char *page;
	int r;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_row || !size.ws_col)
		size = (struct winsize){ .ws_row = 24, .ws_col = 80 };
	FILE *f = open_memstream(&page, &len);
	if (!f)
		return -errno;
	fputs(HOME, f);
	screen_clip(f, text, size.ws_row, size.ws_col);
	fputs(ERASE_BELOW, f);
	if (fclose(f))
		return -ENOMEM;
	r = file_write_all(STDOUT_FILENO, page, len);
	free(page);
	return r;
}
