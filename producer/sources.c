/* SPDX-License-Identifier: BSD-2-Clause */
/* sources.c - all the sources of a producer, and for each as many members as there are workers. */
#include "producer/sources.h"

#include <errno.h>
#include <stdio.h>

/* Add a kind's system calls to the list; twice does no harm. */
static int syscalls_add(struct sources *s, const int *calls)
{
	uint32_t n = 0;

	while (s->syscalls[n] != -1)
		n++;
	for (; calls && *calls != -1; calls++) {
		if (n + 1 == SOURCES_SYSCALLS)
			return -ENOSPC;
		s->syscalls[n++] = *calls;
	}
	s->syscalls[n] = -1;
	return 0;
}

int sources_open(struct sources *s, const struct source_arg *args, uint32_t n_args,
		 struct source_options *o, char *why)
{
	s->n = 0;
	s->packets.n = s->busses.n = 0;
	s->syscalls[0] = -1;
	o->packets = &s->packets;
	o->busses = &s->busses;
	for (uint32_t g = 0; g < n_args; g++) {
		const struct source_arg *arg = &args[g];
		const struct source *first = NULL;
		bool known = false;

		for (uint32_t i = 0; i < g; i++)
			known |= args[i].ops == arg->ops;
		int r = known ? 0 : syscalls_add(s, arg->ops->syscalls);
		if (r < 0)
			snprintf(why, SOURCE_WHY_CAP, "source %.60s: too many kinds of sources",
				 arg->text);
		for (uint32_t i = 0; r == 0 && i < o->workers; i++) {
			struct sources_member *m = &s->member[s->n];

			*m = (struct sources_member){ .text = arg->text, .group = g, .number = i };
			r = i == 0 ? arg->ops->open(&m->src, arg->spec, o, why)
				   : arg->ops->member(&m->src, first, why);
			if (r < 0)
				break;
			s->n++;
			if (i == 0)
				first = m->src;
		}
		if (r < 0)
			return r;
	}
	return 0;
}

uint32_t sources_largest(const struct sources *s, uint32_t snaplen)
{
	uint32_t largest = 0;

	for (uint32_t k = 0; k < s->n; k++) {
		struct source *src = s->member[k].src;
		struct ncpi_interface_desc d;
		uint32_t i = 0;

		for (; src->ops->interface(src, i, &d) == 1; i++)
			largest = d.snaplen > largest ? d.snaplen : largest;
		if (i == 0 && snaplen > largest) /* not known yet */
			largest = snaplen;
	}
	return largest;
}

bool sources_live(const struct sources *s)
{
	for (uint32_t k = 0; k < s->n; k++)
		if (s->member[k].src->ops->live)
			return true;
	return false;
}

int sources_start(struct sources *s, struct source **failed)
{
	for (uint32_t k = 0; k < s->n; k++) {
		struct source *src = s->member[k].src;
		int r = src->ops->start(src);

		*failed = src;
		if (r < 0)
			return r;
	}
	return 0;
}

void sources_close(struct sources *s)
{
	while (s->n) {
		struct source *src = s->member[--s->n].src;

		src->ops->close(src);
	}
}
