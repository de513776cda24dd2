/* SPDX-License-Identifier: BSD-2-Clause */
/* coder.h - compression: one struct of operations per way. */
#ifndef CODER_H
#define CODER_H

#include <stddef.h>
#include <stdint.h>

struct coder;

/*
 * A file is one frame of the compression: a header, blocks, an end.  What is encoded at once ends with
 * a block, and can be read with what is before it and nothing behind.  The same few bytes end a
 * frame behind any block, as there is no checksum over all of it: so a file that was cut to such a
 * place is whole again with them.  (Frames one behind the other would do as well, but Wireshark up
 * to 4.0 loses its way in them.)
 */
struct coder_ops {
	const char *name;
	int level_min, level_max, level; /* the last one if none is asked for */
	uint8_t magic[4];		 /* a frame begins with */
	uint8_t end[4];
	size_t end_len;

	/* open - make ready.  Returns 0, -ENOMEM. */
	int (*open)(struct coder **c, int level);

	/* bound - what suffices for len bytes, header included. */
	size_t (*bound)(size_t len);

	/* encode - write len bytes as blocks at out, the first time with the header in front; cap:
	 * bound(len) at least.  Returns how many; 0: the library failed. */
	size_t (*encode)(struct coder *c, void *out, size_t cap, const void *in, size_t len);

	/* close - free.  NULL is fine. */
	void (*close)(struct coder *c);
};

extern const struct coder_ops coder_zstd, coder_lz4;

/* coder_of - the compression that a file's first 4 bytes tell; NULL: none. */
const struct coder_ops *coder_of(const uint8_t magic[4]);

#endif
