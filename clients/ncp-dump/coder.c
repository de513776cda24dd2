/* SPDX-License-Identifier: BSD-2-Clause */
/* coder.c - which compression a file has. */
#include "coder.h"

#include <string.h>

const struct coder_ops *coder_of(const uint8_t magic[4])
{
	static const struct coder_ops *const all[] = { &coder_zstd, &coder_lz4 };

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		if (!memcmp(magic, all[i]->magic, sizeof(all[i]->magic)))
			return all[i];
	return NULL;
}
