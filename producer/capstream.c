/* SPDX-License-Identifier: BSD-2-Clause */
/* capstream.c - the bytes of a capture file or pipe, handed to libpcap a whole frame at a time. */
#include "producer/capstream.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUF_CAP (UINT32_C(1) << 20)
/* Longer than any frame libpcap takes (MAXIMUM_SNAPLEN of D-Bus and USB: 128 MiB). */
#define FRAME_MAX ((UINT32_C(128) << 20) + 4096)
/* Blocks that bear no frame are kept for libpcap up to this; then it reads them, and may wait. */
#define IDLE_MAX (UINT32_C(256) << 20)
#define BYTE_ORDER_MAGIC UINT32_C(0x1a2b3c4d)

/* pcapng blocks: types as in the draft. */
#define BLOCK_SECTION UINT32_C(0x0a0d0d0a) /* a palindrome: the same in both byte orders */
#define BLOCK_PACKET 2u
#define BLOCK_SIMPLE 3u
#define BLOCK_ENHANCED 6u

static uint32_t get32(const uint8_t *p, bool swapped)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return swapped ? __builtin_bswap32(v) : v;
}

static enum capstream_scan scan_pcap(const struct capstream_frames *f, const uint8_t *p, size_t len,
				     size_t *used)
{
	size_t head = f->format == CAPSTREAM_PCAP_PATCHED ? 24 : 16;

	if (len < head)
		return CAPSTREAM_PART;
	uint32_t a = get32(p + 8, f->swapped), b = get32(p + 12, f->swapped);
	uint32_t caplen = f->len_first || (f->len_smallest && b < a) ? b : a;

	if (caplen > FRAME_MAX)
		return CAPSTREAM_BROKEN;
	if (len - head < caplen)
		return CAPSTREAM_PART;
	*used = head + caplen;
	return CAPSTREAM_FRAME;
}

enum capstream_scan capstream_scan(struct capstream_frames *f, const uint8_t *p, size_t len,
				   size_t *used)
{
	*used = 0;
	if (f->format != CAPSTREAM_PCAPNG)
		return scan_pcap(f, p, len, used);

	for (;;) {
		const uint8_t *block = p + *used;
		size_t left = len - *used;

		if (left < 12)
			return CAPSTREAM_PART;
		if (get32(block, false) == BLOCK_SECTION) {
			uint32_t magic = get32(block + 8, false);

			if (magic != BYTE_ORDER_MAGIC && __builtin_bswap32(magic) != BYTE_ORDER_MAGIC)
				return CAPSTREAM_BROKEN;
			f->swapped = magic != BYTE_ORDER_MAGIC;
		}
		uint32_t type = get32(block, f->swapped), total = get32(block + 4, f->swapped);
		/* libpcap takes a length that is no multiple of 4 and goes on behind it as it is. */
		if (total < 12 || total > FRAME_MAX)
			return CAPSTREAM_BROKEN;
		if (left < total)
			return CAPSTREAM_PART;
		*used += total;
		if (type == BLOCK_ENHANCED || type == BLOCK_SIMPLE || type == BLOCK_PACKET)
			return CAPSTREAM_FRAME;
	}
}

int capstream_init(struct capstream *s, int fd)
{
	*s = (struct capstream){ .fd = fd, .cap = BUF_CAP, .buf = malloc(BUF_CAP) };
	return s->buf ? 0 : -ENOMEM;
}

void capstream_rewind(struct capstream *s)
{
	*s = (struct capstream){ .fd = s->fd, .cap = s->cap, .buf = s->buf };
}

void capstream_fini(struct capstream *s)
{
	free(s->buf);
	s->buf = NULL;
}

/* Make room behind end: move what is unread to the front, then grow.  Returns 0, -ENOMEM. */
static int make_room(struct capstream *s)
{
	if (s->start == s->end) {
		s->start = s->end = s->scanned = 0;
	} else if (s->end == s->cap && s->start) {
		memmove(s->buf, s->buf + s->start, s->end - s->start);
		s->end -= s->start;
		s->scanned -= s->start;
		s->start = 0;
	}
	if (s->end < s->cap)
		return 0;
	/* Growth follows bytes that came, not lengths that were claimed. */
	uint8_t *buf = realloc(s->buf, s->cap * 2);
	if (!buf)
		return -ENOMEM;
	s->buf = buf;
	s->cap *= 2;
	return 0;
}

/* Read once; -EAGAIN and -EINTR are the caller's to judge, other errors stick. */
static int fill(struct capstream *s)
{
	int r = make_room(s);
	if (r)
		return r;
	ssize_t n = read(s->fd, s->buf + s->end, s->cap - s->end);
	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			s->error = errno;
		return -errno;
	}
	if (n == 0)
		s->eof = true;
	s->end += (size_t)n;
	return 0;
}

/* Wait for bytes, the end or an error.  Returns 1, 0, -errno. */
static int wait_readable(const struct capstream *s, int timeout_ms)
{
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	int r = poll(&p, 1, timeout_ms);

	return r < 0 ? -errno : r;
}

static ssize_t cookie_read(void *cookie, char *buf, size_t size)
{
	struct capstream *s = cookie;

	while (s->start == s->end && !s->eof && !s->error) {
		int r = fill(s);
		if (r == -EAGAIN)
			r = wait_readable(s, -1);
		if (r < 0) {
			errno = -r;
			return -1;
		}
	}
	if (s->start == s->end && s->error) {
		errno = s->error;
		return -1;
	}
	size_t n = s->scanned > s->start ? s->scanned - s->start : s->end - s->start;
	if (!s->framed)
		size = 1;
	n = n < size ? n : size;
	memcpy(buf, s->buf + s->start, n);
	for (size_t i = 0; i < n && s->n_first < sizeof(s->first); i++)
		s->first[s->n_first++] = (uint8_t)buf[i];
	s->start += n;
	if (s->scanned < s->start)
		s->scanned = s->start;
	return (ssize_t)n;
}

FILE *capstream_file(struct capstream *s)
{
	return fopencookie(s, "r", (cookie_io_functions_t){ .read = cookie_read });
}

void capstream_framed(struct capstream *s, const struct capstream_frames *f)
{
	s->frames = *f;
	s->framed = true;
	s->scanned = s->start;
}

/* Look at all that is there. */
static void look(struct capstream *s)
{
	enum capstream_scan r;
	size_t used;

	do {
		r = capstream_scan(&s->frames, s->buf + s->scanned, s->end - s->scanned, &used);
		s->scanned += used;
		s->n_whole += r == CAPSTREAM_FRAME;
	} while (r == CAPSTREAM_FRAME);
	s->broken = r == CAPSTREAM_BROKEN;
}

int capstream_ready(struct capstream *s, int timeout_ms)
{
	for (bool waited = false;;) {
		if (!s->n_whole && !s->broken)
			look(s);
		if (s->n_whole || s->broken || s->eof || s->error ||
		    s->scanned - s->start > IDLE_MAX)
			return 1;

		int r = wait_readable(s, waited ? 0 : timeout_ms);
		if (r == -EINTR || r == 0)
			return 0;
		if (r > 0)
			r = fill(s);
		if (r == -EAGAIN || r == -EINTR)
			return 0;
		if (r < 0 && !s->error)
			return r;
		waited = true;
	}
}

void capstream_taken(struct capstream *s)
{
	if (s->n_whole)
		s->n_whole--;
}
