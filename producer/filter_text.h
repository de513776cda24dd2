/* SPDX-License-Identifier: BSD-2-Clause */
/* filter_text.h - the capture filter's text: words or a file, with --from and --to. */
#ifndef FILTER_TEXT_H
#define FILTER_TEXT_H

#include <stdbool.h>

/* What a filter's text is made of. */
struct filter_text {
	const char *const *words; /* NULL at the end; none if there is a file */
	const char *file;	  /* -F, or NULL */
	const char *from, *to;	  /* addresses, or NULL */
};

/*
 * filter_text_make - one expression of all that.
 *
 *   again  a file is read once more: it must be a regular one.  The first time a pipe is one, too,
 *          and is waited for
 *   text   out: "" for none; the caller frees it
 *   why    SOURCE_WHY_CAP bytes: "what: why: what to do", on error
 *
 * Returns 0; -ENOMEM; -errno of opening or reading; -EFBIG; -EINVAL (again, and not regular).
 */
int filter_text_make(const struct filter_text *t, bool again, char **text, char *why)
	__attribute__((warn_unused_result));

/*
 * The pure parts.
 *
 * filter_text_clean - make comments ('#' to the end of the line) and line ends blanks, as tcpdump
 *                     does with a -F file.
 * filter_text_join - one expression of up to three: words (joined by blanks), from, to.  NULL on
 *                    -ENOMEM, "" for none; the caller frees it.
 */
void filter_text_clean(char *text);
char *filter_text_join(const char *const *words, const char *from, const char *to);

#endif
