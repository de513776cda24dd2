/* SPDX-License-Identifier: BSD-2-Clause */
/* format.c - the formats of files: what one of each begins with, and a frame in it. */
#include "format.h"

#include <errno.h>
#include <string.h>

#define SECOND UINT64_C(1000000000)
/* As every interface of a bus says it: readers refuse longer frames. */
#define SNAPLEN 262144u
#define MAGIC_USEC UINT32_C(0xa1b2c3d4)
#define MAGIC_NSEC UINT32_C(0xa1b23c4d)

struct head {
	uint32_t magic;
	uint16_t major, minor;
	uint32_t zone, accuracy;
	uint32_t snaplen;
	uint32_t linktype;
};
_Static_assert(sizeof(struct head) == FORMAT_HEAD_LEN, "a pcap's head");

struct record {
	uint32_t seconds, fraction;
	uint32_t caplen, len;
};

int format_parse(const char *s, enum format *f)
{
	if (!strcmp(s, "pcapng"))
		*f = FORMAT_PCAPNG;
	else if (!strcmp(s, "pcap"))
		*f = FORMAT_PCAP;
	else if (!strcmp(s, "nsec-pcap") || !strcmp(s, "nsecpcap"))
		*f = FORMAT_NSEC_PCAP;
	else
		return -EINVAL;
	return 0;
}

void format_head(void *out, enum format f, uint32_t linktype)
{
	struct head h = { .magic = f == FORMAT_PCAP ? MAGIC_USEC : MAGIC_NSEC,
			  .major = 2,
			  .minor = 4,
			  .snaplen = SNAPLEN,
			  .linktype = linktype };

	memcpy(out, &h, sizeof(h));
}

bool format_is_pcap(const uint8_t magic[4])
{
	uint32_t word;

	memcpy(&word, magic, sizeof(word));
	return word == MAGIC_USEC || word == MAGIC_NSEC;
}

size_t format_frame(void *out, enum format f, const struct pcapng_frame *frame)
{
	struct record r = { .seconds = (uint32_t)(frame->ts / SECOND),
			    .fraction = (uint32_t)(frame->ts % SECOND),
			    .caplen = frame->caplen,
			    .len = frame->len };

	if (f == FORMAT_PCAPNG)
		return pcapng_frame(out, frame);
	if (f == FORMAT_PCAP)
		r.fraction /= 1000;
	memcpy(out, &r, sizeof(r));
	memcpy((uint8_t *)out + sizeof(r), frame->data, frame->caplen);
	return sizeof(r) + frame->caplen;
}

long format_linktype(const uint8_t *prologue, size_t len)
{
	long linktype = -ENODATA;
	struct pcapng_block b;

	for (size_t off = 0; pcapng_next(prologue + off, len - off, &b) == 1; off += b.len) {
		uint16_t its;

		if (b.type != PCAPNG_IDB || b.body_len < sizeof(its))
			continue;
		memcpy(&its, b.body, sizeof(its));
		if (linktype >= 0 && linktype != its)
			return -EMEDIUMTYPE;
		linktype = its;
	}
	return linktype;
}
