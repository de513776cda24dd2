/* SPDX-License-Identifier: BSD-2-Clause */
/* progress.c - the status line on a terminal while a file is written. */
#include "progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/message.h"

#define EVERY_NS UINT64_C(500000000)
#define TEXT 64

/* Bytes in the largest unit that leaves a number in front of the point. */
static const char *bytes_text(char out[TEXT], double n)
{
	static const char *const unit[] = { "B", "kB", "MB", "GB", "TB", "PB" };
	size_t i = 0;

	while (n >= 1000 && i + 1 < sizeof(unit) / sizeof(*unit)) {
		n /= 1000;
		i++;
	}
	snprintf(out, TEXT, i && n < 10 ? "%.2f %s" : i && n < 100 ? "%.1f %s" : "%.0f %s", n, unit[i]);
	return out;
}

static const char *seconds_text(char out[TEXT], double s)
{
	snprintf(out, TEXT, s < 10 ? "%.2f s" : s < 100 ? "%.1f s" : "%.0f s", s);
	return out;
}

/* Append a part if all of it fits; else nothing fits any more. */
static void add(char out[PROGRESS_CAP], size_t *width, const char *part)
{
	size_t len = strlen(out), more = strlen(part) + (len ? 2 : 0);

	if (len + more > *width || len + more >= PROGRESS_CAP) {
		*width = 0;
		return;
	}
	if (len) {
		memcpy(out + len, ", ", 2);
		len += 2;
	}
	strcpy(out + len, part);
}

void progress_line(char out[PROGRESS_CAP], const struct progress_sample *before,
		   const struct progress_sample *now, size_t width)
{
	double s = (double)(now->now_ns - before->now_ns) / 1e9, come = 0, written = 0;
	uint64_t behind = now->head > now->position ? now->head - now->position : 0;
	uint64_t room = now->ring_size > behind ? now->ring_size - behind : 0;
	char text[TEXT];

	if (s > 0) {
		come = (double)(now->head - before->head) / s;
		written = (double)(now->bytes - before->bytes) / s;
	}
	*out = '\0';
	add(out, &width, MESSAGE_TEXT("%llu frames", (unsigned long long)now->frames));
	add(out, &width, bytes_text(text, (double)now->bytes));
	add(out, &width, MESSAGE_TEXT("%s/s", bytes_text(text, written)));
	add(out, &width, MESSAGE_TEXT("%llu lost", (unsigned long long)now->lost));
	add(out, &width, MESSAGE_TEXT("%s to the disk", bytes_text(text, (double)now->queued)));
	if (come <= 0)
		return;
	add(out, &width, MESSAGE_TEXT("%s behind", seconds_text(text, (double)behind / come)));
	add(out, &width, MESSAGE_TEXT("overrun in %s", seconds_text(text, (double)room / come)));
}

void progress_open(struct progress *p)
{
	const char *term = getenv("TERM");

	*p = (struct progress){ .on = isatty(STDERR_FILENO) && term && *term && strcmp(term, "dumb") };
}

void progress_show(struct progress *p, const struct progress_sample *now)
{
	struct winsize size = { 0 };
	char line[PROGRESS_CAP];

	if (p->last.now_ns == 0 || now->head < p->last.head || now->bytes < p->last.bytes)
		p->last = *now; /* the first, or of another bus */
	/* A line that reaches the last column would begin another one. */
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
		size.ws_col = 80;
	progress_line(line, &p->last, now, size.ws_col - 1u);
	message_status(line);
	p->last = *now;
	p->due_ns = now->now_ns + EVERY_NS;
}
