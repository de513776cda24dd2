/* SPDX-License-Identifier: BSD-2-Clause */
/* coder_zstd.c - compression by libzstd: a frame of RFC 8878. */
#include "coder.h"

#include <errno.h>
#include <stdlib.h>
#include <zstd.h>

struct coder {
	ZSTD_CCtx *cctx;
};

static void zstd_close(struct coder *c)
{
	if (!c)
		return;
	ZSTD_freeCCtx(c->cctx);
	free(c);
}

static int zstd_open(struct coder **out, int level)
{
	struct coder *c = calloc(1, sizeof(*c));

	if (c)
		c->cctx = ZSTD_createCCtx();
	if (!c || !c->cctx ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(c->cctx, ZSTD_c_compressionLevel, level))) {
		zstd_close(c);
		return -ENOMEM;
	}
	*out = c;
	return 0;
}

static size_t zstd_bound(size_t len)
{
	/* A block more for each 128 KiB, 3 bytes each, is in it; the header is at most 18. */
	return ZSTD_compressBound(len) + 64;
}

static size_t zstd_encode(struct coder *c, void *out, size_t cap, const void *in, size_t len)
{
	ZSTD_outBuffer to = { .dst = out, .size = cap };
	ZSTD_inBuffer from = { .src = in, .size = len };
	size_t left = ZSTD_compressStream2(c->cctx, &to, &from, ZSTD_e_flush);

	return left == 0 && from.pos == len ? to.pos : 0;
}

const struct coder_ops coder_zstd = { .name = "zstd",
				      .level_min = 1,
				      .level_max = 19,
				      .level = 1,
				      .magic = { 0x28, 0xb5, 0x2f, 0xfd },
				      .end = { 1, 0, 0 }, /* a raw block of no bytes, the last */
				      .end_len = 3,
				      .open = zstd_open,
				      .bound = zstd_bound,
				      .encode = zstd_encode,
				      .close = zstd_close };
