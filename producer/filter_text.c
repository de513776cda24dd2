/* SPDX-License-Identifier: BSD-2-Clause */
/* filter_text.c - the capture filter's text: words or a file, with --from and --to. */
#include "producer/filter_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "libncpbus/include/ncpbus.h"
#include "producer/source.h"
#include "util/file.h"

#define FILE_MAX (1u << 20)

void filter_text_clean(char *text)
{
	bool comment = false;

	for (char *p = text; *p; p++) {
		comment = *p == '#' || (comment && *p != '\n');
		if (comment || *p == '\n' || *p == '\r')
			*p = ' ';
	}
}

char *filter_text_join(const char *const *words, const char *from, const char *to)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	const bool both = *words && (from || to);
	if (both)
		fputc('(', f);
	for (const char *const *w = words; *w; w++)
		fprintf(f, "%s%s", w == words ? "" : " ", *w);
	if (both)
		fputc(')', f);
	if (from)
		fprintf(f, "%ssrc host %s", *words ? " and " : "", from);
	if (to)
		fprintf(f, "%sdst host %s", *words || from ? " and " : "", to);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* A file with nothing but comments is no filter, which a pair of brackets around it would not be. */
static bool is_blank(const char *text)
{
	while (*text == ' ' || *text == '\t')
		text++;
	return !*text;
}

int filter_text_make(const struct filter_text *t, bool again, char **text, char *why)
{
	char *file = NULL;
	size_t len;
	struct stat st;
	int r = 0;

	if (t->file && again) /* a pipe that nobody writes to would be waited for for ever */
		r = stat(t->file, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EINVAL;
	if (t->file && r == 0)
		r = file_read(t->file, FILE_MAX, &file, &len);
	if (r < 0) {
		snprintf(why, SOURCE_WHY_CAP, "filter file %.80s: %s: give a %s file of at most "
					      "1 MiB",
			 t->file, r == -EINVAL ? "not a regular file" : ncp_strerror(r),
			 r == -EINVAL ? "regular" : "readable");
		return r;
	}
	if (file)
		filter_text_clean(file);
	const char *const from_file[] = { file && !is_blank(file) ? file : NULL, NULL };
	*text = filter_text_join(file ? from_file : t->words, t->from, t->to);
	free(file);
	if (*text)
		return 0;
	snprintf(why, SOURCE_WHY_CAP, "filter: no memory");
	return -ENOMEM;
}
