/* SPDX-License-Identifier: BSD-2-Clause */
/* prologue.c - the pcapng blocks that stand in front of every frame. */
#include "libncpbus/prologue.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libncpbus/include/ncpbus.h"
#include "libncpbus/layout.h"
#include "libncpbus/order.h"
#include "libncpbus/writer.h"

/* Option codes. Source: draft-ietf-opsawg-pcapng, sections 4.1 and 4.2. */
enum { SHB_OS = 3, SHB_USERAPPL = 4 };
enum { IF_NAME = 2, IF_DESCRIPTION = 3, IF_TSRESOL = 9, IF_FILTER = 11, IF_OS = 12 };

#define BYTE_ORDER_MAGIC 0x1a2b3c4du
/* How the real limit is told where if_snaplen cannot; read back by snaplen_of(). */
#define SNAPLEN_TEXT "snaplen "

/* Bytes being written; past cap nothing is, but len goes on. */
struct out {
	uint8_t *p;
	size_t cap, len;
};

static void put(struct out *o, const void *bytes, size_t n)
{
	if (o->len + n <= o->cap)
		memcpy(o->p + o->len, bytes, n);
	o->len += n;
}

static void put32(struct out *o, uint32_t v)
{
	put(o, &v, 4);
}

static void put_option(struct out *o, unsigned code, const void *value, size_t len)
{
	static const uint8_t zeros[4];

	put32(o, NCPI_OPTION(code, len));
	put(o, value, len);
	put(o, zeros, NCPI_PAD4(len) - len);
}

static void put_text(struct out *o, unsigned code, const char *text)
{
	if (text && *text)
		put_option(o, code, text, strlen(text));
}

/* End the options and the block; put its length at both ends. */
static int block_end(struct out *o)
{
	put32(o, NCPI_OPTION(NCPI_OPT_END, 0));
	uint32_t total = (uint32_t)o->len + 4;

	put32(o, total);
	if (o->len > o->cap)
		return -ENOSPC;
	memcpy(o->p + 4, &total, 4);
	return (int)total;
}

int ncpi_prologue_section(uint8_t *out, size_t cap)
{
	struct out o = { .p = out, .cap = cap };
	uint64_t unknown_len = UINT64_MAX;

	put32(&o, NCPI_SHB);
	put32(&o, 0);
	put32(&o, BYTE_ORDER_MAGIC);
	put32(&o, NCPI_OPTION(1, 0)); /* version 1.0: two 16-bit numbers, laid out as an option */
	put(&o, &unknown_len, 8);
	put_text(&o, SHB_OS, "Linux");
	put_text(&o, SHB_USERAPPL, "ncp " NCP_VERSION);
	return block_end(&o);
}

int ncpi_prologue_interface(uint8_t *out, size_t cap, const struct ncpi_interface_desc *d)
{
	struct out o = { .p = out, .cap = cap };
	const char *given = d->description ? d->description : "";
	char description[256];
	uint8_t tsresol = 9, filter_kind = 0;

	if ((d->name && strlen(d->name) > UINT16_MAX) || d->linktype > UINT16_MAX ||
	    (d->filter && strlen(d->filter) >= UINT16_MAX))
		return -EINVAL;
	snprintf(description, sizeof(description), "%.200s%s" SNAPLEN_TEXT "%u", given,
		 *given ? ", " : "", d->snaplen);
	put32(&o, NCPI_IDB);
	put32(&o, 0);
	put32(&o, NCPI_OPTION(d->linktype, 0)); /* 16 bits link type, 16 reserved */
	put32(&o, NCPI_SNAPLEN);
	put_text(&o, IF_NAME, d->name);
	put_text(&o, IF_DESCRIPTION, description);
	if (d->filter && *d->filter) {
		/* One byte that says "a filter expression", then the text. */
		size_t len = strlen(d->filter);
		char *text = malloc(1 + len);

		if (!text)
			return -ENOMEM;
		text[0] = (char)filter_kind;
		memcpy(text + 1, d->filter, len);
		put_option(&o, IF_FILTER, text, 1 + len);
		free(text);
	}
	put_option(&o, IF_TSRESOL, &tsresol, 1);
	put_text(&o, IF_OS, "Linux");
	return block_end(&o);
}

static uint32_t get32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

static uint32_t snaplen_of(const char *description, uint32_t if_snaplen)
{
	const char *last = NULL;
	char *end;

	for (const char *p = description; (p = strstr(p, SNAPLEN_TEXT)); p++)
		last = p;
	if (!last)
		return if_snaplen;
	unsigned long v = strtoul(last + strlen(SNAPLEN_TEXT), &end, 10);
	return *end || v > NCPI_SNAPLEN ? if_snaplen : (uint32_t)v;
}

/* One Interface Description Block of total bytes at b, already known to be whole. */
static int interface_parse(struct ncpi_prologue_interface *i, const uint8_t *b, uint32_t total)
{
	const uint8_t *name = NULL, *description = NULL;
	uint32_t name_len = 0, description_len = 0;
	const uint8_t *p = b + 16, *end = b + total - 4;

	while (end - p >= 4) {
		uint32_t code = NCPI_OPTION_CODE(get32(p)), len = NCPI_OPTION_LEN(get32(p));

		p += 4;
		if (code == NCPI_OPT_END)
			break;
		if (NCPI_PAD4(len) > (size_t)(end - p))
			return NCP_ECORRUPT;
		if (code == IF_NAME && !name)
			name = p, name_len = len;
		else if (code == IF_DESCRIPTION && !description)
			description = p, description_len = len;
		else if (code == IF_TSRESOL && (len != 1 || *p != 9))
			return NCP_ECORRUPT; /* the ring's times are ns */
		p += NCPI_PAD4(len);
	}
	i->linktype = NCPI_OPTION_CODE(get32(b + 8));
	i->name = strndup(name ? (const char *)name : "", name_len);
	i->description = strndup(description ? (const char *)description : "", description_len);
	if (!i->name || !i->description)
		return -ENOMEM;
	i->snaplen = snaplen_of(i->description, get32(b + 12));
	return 0;
}

int ncpi_prologue_parse(struct ncpi_prologue *p, const uint8_t *bytes, uint32_t len, uint32_t cap)
{
	uint8_t *copy = NULL;
	int r = NCP_ECORRUPT;

	*p = (struct ncpi_prologue){ 0 };
	if (len > cap || len % 4)
		return NCP_ECORRUPT;
	if (len == 0)
		return 0;
	copy = malloc(len);
	if (!copy)
		return -ENOMEM;
	ncpi_copy_out(copy, bytes, len);
	for (uint32_t off = 0; off < len;) {
		if (len - off < 12)
			goto out;
		uint32_t type = get32(copy + off), total = get32(copy + off + 4);

		if (total < 12 || total % 4 || total > len - off ||
		    get32(copy + off + total - 4) != total || (type == NCPI_SHB) != (off == 0))
			goto out;
		if (type == NCPI_SHB && (total < 28 || get32(copy + 8) != BYTE_ORDER_MAGIC))
			goto out;
		if (type == NCPI_IDB) {
			void *more = realloc(p->interface, (p->n + 1) * sizeof(*p->interface));

			if (!more || total < 20) {
				r = more ? NCP_ECORRUPT : -ENOMEM;
				p->interface = more ? more : p->interface;
				goto out;
			}
			p->interface = more;
			p->interface[p->n] = (struct ncpi_prologue_interface){ 0 };
			r = interface_parse(&p->interface[p->n++], copy + off, total);
			if (r < 0)
				goto out;
			r = NCP_ECORRUPT;
		}
		off += total;
	}
	p->len = len;
	r = 0;
out:
	free(copy);
	if (r < 0)
		ncpi_prologue_free(p);
	return r;
}

void ncpi_prologue_free(struct ncpi_prologue *p)
{
	for (uint32_t i = 0; i < p->n; i++) {
		free(p->interface[i].name);
		free(p->interface[i].description);
	}
	free(p->interface);
	*p = (struct ncpi_prologue){ 0 };
}
