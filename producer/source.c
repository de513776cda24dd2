/* SPDX-License-Identifier: BSD-2-Clause */
/* source.c - the kinds of sources, found by what stands before the colon. */
#include "producer/source.h"

#include <string.h>

static const struct source_ops *const kinds[] = { &source_synth };

const struct source_ops *source_find(const char *arg, const char **spec)
{
	const char *colon = strchr(arg, ':');

	for (size_t i = 0; colon && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strlen(kinds[i]->kind) != (size_t)(colon - arg) ||
		    strncmp(kinds[i]->kind, arg, (size_t)(colon - arg)) != 0)
			continue;
		*spec = colon + 1;
		return kinds[i];
	}
	return NULL;
}
