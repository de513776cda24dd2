/* SPDX-License-Identifier: BSD-2-Clause */
/* out_pwrite.c - writes by pwrite(), one at a time; to pipes by write(). */
#include <errno.h>
#include <stdlib.h>

#include "out.h"
#include "util/file.h"

struct out {
	int fd;
	uint32_t n; /* over and not reaped */
	struct out_done done[OUT_DEPTH_MAX];
};

static int pwrite_open(struct out **out, int fd, uint32_t depth, uint32_t align)
{
	struct out *o = calloc(1, sizeof(*o));

	(void)depth, (void)align;
	if (!o)
		return -ENOMEM;
	o->fd = fd;
	*out = o;
	return 0;
}

static int pwrite_submit(struct out *o, const struct out_write *w)
{
	int r = w->off == OUT_NEXT ? file_write_all(o->fd, w->buf, w->len) :
				     file_pwrite_all(o->fd, w->buf, w->len, w->off);

	o->done[o->n++] = (struct out_done){ .tag = w->tag, .result = r };
	return 0;
}

static int pwrite_reap(struct out *o, bool wait, struct out_done *d)
{
	(void)wait;
	if (o->n == 0)
		return 0;
	*d = o->done[--o->n];
	return 1;
}

static void pwrite_close(struct out *o)
{
	free(o);
}

const struct out_ops out_pwrite = {
	.name = "pwrite",
	.open = pwrite_open,
	.submit = pwrite_submit,
	.reap = pwrite_reap,
	.close = pwrite_close,
};
