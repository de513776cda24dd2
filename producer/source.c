/* SPDX-License-Identifier: BSD-2-Clause */
/* source.c - the kinds of sources, found by what stands before the colon; without one, an interface. */
#include "producer/source.h"

#include <string.h>

#define ADDRESS(kind) &source_##kind,

const struct source_ops *const source_kinds[] = { SOURCE_KINDS(ADDRESS) NULL };

const struct source_ops *source_find(const char *arg, const char **spec)
{
	const char *colon = strchr(arg, ':');

	if (!strcmp(arg, "-")) {
		*spec = arg;
		return &source_file;
	}
	for (size_t i = 0; colon && source_kinds[i]; i++) {
		const char *kind = source_kinds[i]->kind;

		if (strlen(kind) != (size_t)(colon - arg) ||
		    strncmp(kind, arg, (size_t)(colon - arg)) != 0)
			continue;
		*spec = colon + 1;
		return source_kinds[i];
	}
	*spec = arg;
	return colon ? NULL : &source_afpacket;
}
