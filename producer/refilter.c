/* SPDX-License-Identifier: BSD-2-Clause */
/* refilter.c - the filter's file, read again while frames flow: in force everywhere, or nowhere. */
#include "producer/refilter.h"

#include <errno.h>
#include <stdio.h>

int refilter_all(struct helper *h, struct sources *s, char *why)
{
	char ignored[SOURCE_WHY_CAP];
	uint32_t done = 0;

	for (uint32_t i = 0; i < s->n; i++) {
		const struct source *src = s->member[i].src;

		if (src->ops->refilter && !src->keeps_filter)
			continue;
		snprintf(why, SOURCE_WHY_CAP,
			 "source %.60s: it keeps the filter that it was opened with: start "
			 "ncp-producer again",
			 s->member[i].text);
		return -ENOTSUP;
	}
	int r = helper_filter_read(h, why);
	while (r == 0 && done < s->n) {
		struct source *src = s->member[done].src;

		r = src->ops->refilter(src, why);
		done += r == 0;
	}
	helper_filter_settle(h, r == 0);
	/* Back to what was: the same as before, so the kernel takes it as it did then. */
	while (r < 0 && done > 0) {
		struct source *src = s->member[--done].src;

		(void)src->ops->refilter(src, ignored);
	}
	return r;
}
