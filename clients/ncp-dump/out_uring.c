/* SPDX-License-Identifier: BSD-2-Clause */
/* out_uring.c - writes by io_uring, several under way at once. */
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>

#include "out.h"

/*
 * A ring can get the addresses of one that another thread has just closed.  The kernel orders the end
 * of a mapping before the next one there, but liburing makes both by system calls of its own, which
 * ThreadSanitizer does not see: without these it takes the two rings for one, used by two threads.
 */
#if defined(__SANITIZE_THREAD__)
#define RINGS_ORDERED
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RINGS_ORDERED
#endif
#endif
#ifdef RINGS_ORDERED
#include <sanitizer/tsan_interface.h>
static char rings;
static void ring_begins(void)
{
	__tsan_acquire(&rings);
}
static void ring_ends(void)
{
	__tsan_release(&rings);
}
#else
static void ring_begins(void)
{
}
static void ring_ends(void)
{
}
#endif

struct out {
	struct io_uring ring;
	int fd;
	uint32_t align;
	uint32_t under_way;
	struct out_write write[OUT_DEPTH_MAX]; /* by tag: what is left of it */
};

static int push(struct out *o, const struct out_write *w)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&o->ring);
	int r;

	if (!sqe)
		return -EBUSY;
	if (w->buffer < 0)
		io_uring_prep_write(sqe, o->fd, w->buf, (unsigned int)w->len, w->off);
	else
		io_uring_prep_write_fixed(sqe, o->fd, w->buf, (unsigned int)w->len, w->off,
					  w->buffer);
	io_uring_sqe_set_data64(sqe, w->tag);
	do
		r = io_uring_submit(&o->ring);
	while (r == -EINTR);
	return r < 0 ? r : 0;
}

/* A do-nothing request there and back: a sandbox can allow io_uring_setup and nothing more. */
static int probe(struct io_uring *ring)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	int r;

	if (!sqe)
		return -EBUSY;
	io_uring_prep_nop(sqe);
	r = io_uring_submit(ring);
	if (r < 0)
		return r;
	do
		r = io_uring_wait_cqe(ring, &cqe);
	while (r == -EINTR);
	if (r == 0) {
		r = cqe->res;
		io_uring_cqe_seen(ring, cqe);
	}
	return r;
}

static int uring_open(struct out **out, int fd, uint32_t depth, uint32_t align)
{
	struct out *o = calloc(1, sizeof(*o));
	int r;

	if (!o)
		return -ENOMEM;
	o->fd = fd;
	o->align = align;
	r = io_uring_queue_init(depth, &o->ring, 0);
	if (r == 0) {
		ring_begins();
		r = probe(&o->ring);
		if (r == 0) {
			*out = o;
			return 0;
		}
		ring_ends();
		io_uring_queue_exit(&o->ring);
	}
	free(o);
	return r;
}

static uint32_t uring_fix(struct out *o, const struct iovec *v, uint32_t n)
{
	while (n && io_uring_register_buffers(&o->ring, v, n) < 0)
		n /= 2;
	return n;
}

static int uring_submit(struct out *o, const struct out_write *w)
{
	int r;

	o->write[w->tag] = *w;
	r = push(o, w);
	if (r == 0)
		o->under_way++;
	return r;
}

/* What a finished request means for its write: 1 it is over, 0 the rest was sent. */
static int advance(struct out *o, struct out_write *w, int res, int *result)
{
	*result = 0;
	if (res == -EINTR || res == -EAGAIN)
		res = 0;
	else if (res <= 0)
		*result = res < 0 ? res : -EIO;
	else if ((size_t)res == w->len)
		return 1;
	if (*result)
		return 1;
	/* Ended early: near the end of the space the rest will say why. */
	size_t n = (size_t)res / o->align * o->align;
	if (n == 0 && res > 0) {
		*result = -EIO;
		return 1;
	}
	w->buf = (const uint8_t *)w->buf + n;
	w->len -= n;
	w->off += n;
	*result = push(o, w);
	return *result < 0;
}

static int uring_reap(struct out *o, bool wait, struct out_done *d)
{
	while (o->under_way) {
		struct io_uring_cqe *cqe;
		int r = wait ? io_uring_wait_cqe(&o->ring, &cqe) :
			       io_uring_peek_cqe(&o->ring, &cqe);

		if (r == -EINTR)
			continue;
		if (r == -EAGAIN)
			return 0;
		if (r < 0)
			return r;
		d->tag = (uint32_t)io_uring_cqe_get_data64(cqe);
		int res = cqe->res;
		io_uring_cqe_seen(&o->ring, cqe);
		if (advance(o, &o->write[d->tag], res, &d->result)) {
			o->under_way--;
			return 1;
		}
	}
	return 0;
}

static void uring_close(struct out *o)
{
	if (!o)
		return;
	ring_ends();
	io_uring_queue_exit(&o->ring);
	free(o);
}

const struct out_ops out_uring = {
	.name = "uring",
	.open = uring_open,
	.fix = uring_fix,
	.submit = uring_submit,
	.reap = uring_reap,
	.close = uring_close,
};
