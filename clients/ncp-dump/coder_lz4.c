/* SPDX-License-Identifier: BSD-2-Clause */
/* coder_lz4.c - compression by liblz4: a frame of the LZ4 frame format. */
#include "coder.h"

#include <errno.h>
#include <lz4frame.h>
#include <stdbool.h>
#include <stdlib.h>

struct coder {
	LZ4F_cctx *cctx;
	LZ4F_preferences_t preferences;
	bool begun;
};

static void lz4_close(struct coder *c)
{
	if (!c)
		return;
	LZ4F_freeCompressionContext(c->cctx);
	free(c);
}

static LZ4F_preferences_t preferences(int level)
{
	/* Blocks that need no other one: Wireshark goes to and fro in a file. */
	return (LZ4F_preferences_t){
		.frameInfo = { .blockSizeID = LZ4F_max256KB,
			       .blockMode = LZ4F_blockIndependent,
			       .blockChecksumFlag = LZ4F_blockChecksumEnabled },
		.compressionLevel = level,
		.autoFlush = 1,
	};
}

static int lz4_open(struct coder **out, int level)
{
	struct coder *c = calloc(1, sizeof(*c));

	if (!c || LZ4F_isError(LZ4F_createCompressionContext(&c->cctx, LZ4F_VERSION))) {
		free(c);
		return -ENOMEM;
	}
	c->preferences = preferences(level);
	*out = c;
	return 0;
}

static size_t lz4_bound(size_t len)
{
	LZ4F_preferences_t p = preferences(0);

	return LZ4F_compressBound(len, &p) + LZ4F_HEADER_SIZE_MAX;
}

static size_t lz4_encode(struct coder *c, void *out, size_t cap, const void *in, size_t len)
{
	size_t head = 0, n;

	if (!c->begun) {
		head = LZ4F_compressBegin(c->cctx, out, cap, &c->preferences);
		if (LZ4F_isError(head))
			return 0;
		c->begun = true;
	}
	n = LZ4F_compressUpdate(c->cctx, (uint8_t *)out + head, cap - head, in, len, NULL);
	return LZ4F_isError(n) ? 0 : head + n;
}

const struct coder_ops coder_lz4 = { .name = "lz4",
				     .level_min = 1,
				     .level_max = 12,
				     .level = 1,
				     .magic = { 0x04, 0x22, 0x4d, 0x18 },
				     .end = { 0 }, /* a block size of 0 */
				     .end_len = 4,
				     .open = lz4_open,
				     .bound = lz4_bound,
				     .encode = lz4_encode,
				     .close = lz4_close };
