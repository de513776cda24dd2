/* SPDX-License-Identifier: BSD-2-Clause */
/* page.c - the files in page/, taken in as they are by the assembler. */
#include "page.h"

#include <string.h>

__asm__(".section .rodata\n"
	"page_index: .incbin \"clients/ncp-stats/page/index.html\"\n"
	"page_index_end:\n"
	"page_app: .incbin \"clients/ncp-stats/page/app.js\"\n"
	"page_app_end:\n"
	"page_style: .incbin \"clients/ncp-stats/page/style.css\"\n"
	"page_style_end:\n"
	".previous\n");

extern const char page_index[], page_index_end[];
extern const char page_app[], page_app_end[];
extern const char page_style[], page_style_end[];

const struct page_file *page_find(const char *path)
{
	static struct page_file files[] = {
		{ "/", "text/html; charset=utf-8", page_index, 0 },
		{ "/app.js", "text/javascript; charset=utf-8", page_app, 0 },
		{ "/style.css", "text/css; charset=utf-8", page_style, 0 },
	};

	files[0].len = (size_t)(page_index_end - page_index);
	files[1].len = (size_t)(page_app_end - page_app);
	files[2].len = (size_t)(page_style_end - page_style);
	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++)
		if (!strcmp(files[i].path, path))
			return &files[i];
	return NULL;
}
