/* SPDX-License-Identifier: BSD-2-Clause */
/* message.c - what a program says on stderr: one line, program: what: why: what to do. */
#include "util/message.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/escape.h"
#include "util/file.h"
#include "util/json.h"

static const char *program_name = "ncp";
static FILE *json_file;
static bool in_journal;
static bool status_shown;
#define ERASE "\r\033[K" /* back to the first column, erase to the end of the row */

void message_setup(const char *program)
{
	unsigned long long dev, ino;
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat st;

	program_name = program;
	/* It names the socket that stderr was; a redirection made it something else since. */
	in_journal = stream && sscanf(stream, "%llu:%llu", &dev, &ino) == 2 &&
		     fstat(STDERR_FILENO, &st) == 0 && st.st_dev == dev && st.st_ino == ino;
}

void message_json(FILE *f)
{
	json_file = f;
}

const char *message_text(char buf[MESSAGE_CAP], const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(buf, MESSAGE_CAP, format, args);
	va_end(args);
	return buf;
}

/* The parts that are there, with ": " between them. */
static void join(char *out, size_t cap, const char *const part[], size_t n_parts)
{
	size_t at = 0;

	for (size_t i = 0; i < n_parts && at < cap; i++) {
		if (part[i])
			at += (size_t)snprintf(out + at, cap - at, "%s%s", at ? ": " : "", part[i]);
	}
}

void message_status(const char *text)
{
	char line[2 * MESSAGE_CAP];
	int len;

	if (!text && !status_shown)
		return;
	len = snprintf(line, sizeof(line), "%s%.*s", ERASE, MESSAGE_CAP, text ? text : "");
	status_shown = text != NULL;
	if (file_write_all(STDERR_FILENO, line, (size_t)len)) {
		/* As message_error() says: nowhere to report it. */
	}
}

static void print_json(const int *status, const char *what, const char *why, const char *todo)
{
	char text[4 * MESSAGE_CAP];
	struct json j;

	join(text, sizeof(text), (const char *const[]){ what, why, todo }, 3);
	json_open(&j);
	json_object_begin(&j);
	json_key(&j, "schema");
	json_u64(&j, 1);
	json_key(&j, status ? "error" : "note");
	json_str(&j, text);
	json_key(&j, "what");
	json_str(&j, what);
	json_key(&j, "why");
	json_str(&j, why);
	json_key(&j, "do");
	json_str(&j, todo);
	if (status) {
		json_key(&j, "exit");
		json_i64(&j, *status);
	}
	json_object_end(&j);
	if (json_print(&j, json_file)) {
		/* As message_error() says: nowhere to report it. */
	}
	json_close(&j);
}

static void print(const int *status, const char *what, const char *why, const char *todo)
{
	char text[4 * MESSAGE_CAP], line[ESCAPE_CAP(sizeof(text)) + 4];
	size_t len = 0;

	if (json_file) {
		print_json(status, what, why, todo);
		return;
	}
	join(text, sizeof(text), (const char *const[]){ program_name, what, why, todo }, 4);
	message_status(NULL);
	if (in_journal) /* its priorities, which it takes off the line: error and notice */
		len = (size_t)sprintf(line, "<%d>", status ? 3 : 5);
	len += escape_str(line + len, sizeof(line) - 1 - len, text);
	line[len++] = '\n';
	if (file_write_all(STDERR_FILENO, line, len)) {
		/* As message_error() says: nowhere to report it. */
	}
}

int message_error(int status, const char *what, const char *why, const char *todo)
{
	print(&status, what, why, todo);
	return status;
}

void message_note(const char *what, const char *why, const char *todo)
{
	print(NULL, what, why, todo);
}

int message_error_text(int status, const char *text)
{
	char copy[3 * MESSAGE_CAP], *part[3] = { copy, NULL, NULL };

	snprintf(copy, sizeof(copy), "%s", text);
	for (int i = 1; i < 3; i++) {
		char *colon = strstr(part[i - 1], ": ");

		if (!colon)
			break;
		*colon = '\0';
		part[i] = colon + 2;
	}
	print(&status, part[0], part[1], part[2]);
	return status;
}
