/* SPDX-License-Identifier: BSD-2-Clause */
/* pcapng.c - blocks of pcapng, ncp's own kind among them: build them, walk them. */
#include "pcapng.h"

#include <errno.h>
#include <string.h>

_Static_assert(sizeof(struct pcapng_local) == 56, "body of ncp's own block changed size");
_Static_assert(sizeof(struct pcapng_file) == 128, "pcapng_file changed size");
_Static_assert(PCAPNG_GAP_MIN == 44, "a gap no longer fits where the smallest frame stood");

/* Option codes, by the section of the draft that has them. */
enum {
	OPT_END = 0,	      /* 3.5 */
	OPT_COMMENT = 1,      /* 3.5 */
	EPB_FLAGS = 2,	      /* 4.3 */
	EPB_DROPCOUNT = 4,    /* 4.3 */
	ISB_STARTTIME = 2,    /* 4.6 */
	ISB_ENDTIME = 3,      /* 4.6 */
	ISB_IFRECV = 4,	      /* 4.6 */
	ISB_IFDROP = 5,	      /* 4.6 */
	ISB_USRDELIV = 8,     /* 4.6 */
};

static uint32_t get32(const uint8_t *p)
{
	uint32_t w;

	memcpy(&w, p, sizeof(w));
	return w;
}

static uint8_t *put16(uint8_t *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
	return p + sizeof(v);
}

static uint8_t *put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
	return p + sizeof(v);
}

static uint8_t *put_padded(uint8_t *p, const void *bytes, uint32_t len)
{
	uint32_t padded = PCAPNG_PAD4(len);

	if (len)
		memcpy(p, bytes, len);
	memset(p + len, 0, padded - len);
	return p + padded;
}

static uint8_t *put_option(uint8_t *p, uint16_t code, const void *value, uint16_t len)
{
	p = put16(p, code);
	p = put16(p, len);
	return put_padded(p, value, len);
}

/* A time or counter option of a statistics block: high word first, whatever the byte order. */
static uint8_t *put_time_option(uint8_t *p, uint16_t code, uint64_t ts)
{
	p = put16(p, code);
	p = put16(p, 8);
	p = put32(p, (uint32_t)(ts >> 32));
	return put32(p, (uint32_t)ts);
}

static uint8_t *put_count_option(uint8_t *p, uint16_t code, uint64_t n)
{
	return put_option(p, code, &n, sizeof(n));
}

/* End of options, the length at the end and at the beginning.  Returns it. */
static size_t end_block(uint8_t *start, uint8_t *p)
{
	uint32_t len = (uint32_t)(p - start) + 4;

	put32(p, len);
	put32(start + 4, len);
	return len;
}

int pcapng_next(const uint8_t *p, size_t len, struct pcapng_block *b)
{
	if (len < 8)
		return 0;
	b->at = p;
	b->body = p + 8;
	b->type = get32(p);
	b->len = get32(p + 4);
	if (b->len < PCAPNG_BLOCK_MIN || b->len > PCAPNG_BLOCK_MAX || b->len % 4)
		return -EBADMSG;
	b->body_len = b->len - PCAPNG_BLOCK_MIN;
	return b->len <= len;
}

size_t pcapng_fill(const uint8_t *p, size_t len, uint64_t bytes, uint64_t n, uint64_t *seen)
{
	struct pcapng_block b;
	size_t done = 0;

	*seen = 0;
	while (*seen < n && done < bytes && pcapng_next(p + done, len - done, &b) == 1) {
		done += b.len;
		if (b.type == PCAPNG_EPB)
			++*seen;
	}
	return done;
}

size_t pcapng_cut(const uint8_t *p, size_t len, uint64_t n, uint64_t *seen)
{
	return pcapng_fill(p, len, UINT64_MAX, n, seen);
}

size_t pcapng_frame(void *out, const struct pcapng_frame *f)
{
	uint8_t *p = out;

	p = put32(p, PCAPNG_EPB);
	p = put32(p, 0);
	p = put32(p, f->interface);
	p = put32(p, (uint32_t)(f->ts >> 32));
	p = put32(p, (uint32_t)f->ts);
	p = put32(p, f->caplen);
	p = put32(p, f->len);
	p = put_padded(p, f->data, f->caplen);
	if (f->flags)
		p = put_option(p, EPB_FLAGS, &f->flags, sizeof(f->flags));
	if (f->dropcount)
		p = put_count_option(p, EPB_DROPCOUNT, f->dropcount);
	if (f->flags || f->dropcount)
		p = put32(p, OPT_END);
	return end_block(out, p);
}

size_t pcapng_stats(void *out, const struct pcapng_stats *s)
{
	uint8_t *p = out;

	p = put32(p, PCAPNG_ISB);
	p = put32(p, 0);
	p = put32(p, s->interface);
	p = put32(p, (uint32_t)(s->ts >> 32));
	p = put32(p, (uint32_t)s->ts);
	if (s->comment) {
		size_t n = strnlen(s->comment, PCAPNG_COMMENT_MAX);

		p = put_option(p, OPT_COMMENT, s->comment, (uint16_t)n);
	}
	if (s->start)
		p = put_time_option(p, ISB_STARTTIME, s->start);
	if (s->end)
		p = put_time_option(p, ISB_ENDTIME, s->end);
	if (s->received != UINT64_MAX)
		p = put_count_option(p, ISB_IFRECV, s->received);
	if (s->dropped != UINT64_MAX)
		p = put_count_option(p, ISB_IFDROP, s->dropped);
	if (s->delivered != UINT64_MAX)
		p = put_count_option(p, ISB_USRDELIV, s->delivered);
	p = put32(p, OPT_END);
	return end_block(out, p);
}

size_t pcapng_local_head(void *out, const struct pcapng_local *l, const void *extra,
			 size_t extra_len, uint32_t total_len)
{
	struct pcapng_local body = *l;
	uint8_t *p = out;
	size_t room = total_len - PCAPNG_BLOCK_MIN, n;

	memcpy(body.magic, "ncp", sizeof(body.magic));
	p = put32(p, PCAPNG_LOCAL);
	p = put32(p, total_len);
	n = room < sizeof(body) ? room : sizeof(body);
	memcpy(p, &body, n);
	p += n;
	room -= n;
	n = room < extra_len ? room : extra_len;
	if (n)
		memcpy(p, extra, n);
	return (size_t)(p + n - (uint8_t *)out);
}

size_t pcapng_local(void *out, const struct pcapng_local *l, const void *extra, size_t extra_len,
		    uint32_t total_len)
{
	uint8_t *start = out;
	size_t n = pcapng_local_head(out, l, extra, extra_len, total_len);

	memset(start + n, 0, total_len - 4 - n);
	put32(start + total_len - 4, total_len);
	return total_len;
}

size_t pcapng_padding(void *out, uint32_t total_len)
{
	struct pcapng_local l = { .kind = PCAPNG_PADDING };

	return pcapng_local(out, &l, NULL, 0, total_len);
}

uint32_t pcapng_padding_len(uint64_t from, uint64_t to, uint32_t align)
{
	uint32_t n = (uint32_t)((to - from) & (align - 1));

	if (n)
		while (n < PCAPNG_PADDING_MIN)
			n += align;
	return n;
}

int pcapng_local_read(const struct pcapng_block *b, struct pcapng_local *l, void *extra,
		      size_t extra_len)
{
	size_t n = b->body_len < sizeof(*l) ? b->body_len : sizeof(*l);

	if (b->type != PCAPNG_LOCAL || b->body_len < 8)
		return 0;
	memset(l, 0, sizeof(*l));
	memcpy(l, b->body, n);
	if (memcmp(l->magic, "ncp", sizeof(l->magic)))
		return 0;
	if (!extra_len)
		return 1;
	memset(extra, 0, extra_len);
	if (b->body_len > sizeof(*l)) {
		n = b->body_len - sizeof(*l);
		memcpy(extra, b->body + sizeof(*l), n < extra_len ? n : extra_len);
	}
	return 1;
}
