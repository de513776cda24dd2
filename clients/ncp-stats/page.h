/* SPDX-License-Identifier: BSD-2-Clause */
/* page.h - the files of the page, which stand in page/, inside the program. */
#ifndef PAGE_H
#define PAGE_H

#include <stddef.h>

struct page_file {
	const char *path; /* of its URL */
	const char *type; /* Content-Type */
	const char *data; /* len bytes, static */
	size_t len;
};

/* page_find - the file of a path, NULL: there is none. */
const struct page_file *page_find(const char *path);

#endif
