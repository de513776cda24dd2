/* SPDX-License-Identifier: BSD-2-Clause */
/* frame.c - frames whose every byte follows from an id and a time. */
#include <string.h>

#include "storm.h"

/* Where the id stands: behind Ethernet, IPv4, UDP. */
#define ID_OFF 42u
#define LEAST (ID_OFF + 24u)

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t caplen_of(uint64_t mix)
{
	return LEAST + (uint32_t)(mix % (STORM_CAP - LEAST + 1));
}

struct ncpi_frame storm_frame(uint64_t id, uint64_t ts_ns, uint8_t *buf)
{
	uint64_t mix = ncpi_mix(id), x = mix;
	uint32_t caplen = caplen_of(mix);
	uint32_t a = 1 + (uint32_t)(mix / 3 % 7), b = 1 + (uint32_t)(mix / 5 % 7);

	/* Two hosts of seven, two ports of five, in either direction; now and then no IP at all. */
	memset(buf, 0, ID_OFF);
	buf[0] = 2, buf[5] = (uint8_t)b, buf[6] = 2, buf[11] = (uint8_t)a;
	put16(buf + 12, mix % 16 ? 0x0800 : 0x88b5);
	buf[14] = 0x45;
	put16(buf + 16, caplen - 14);
	buf[22] = 64, buf[23] = 17;
	buf[26] = 10, buf[29] = (uint8_t)a, buf[30] = 10, buf[33] = (uint8_t)b;
	put16(buf + 34, 1000 + (uint32_t)(mix / 7 % 5));
	put16(buf + 36, 1000 + (uint32_t)(mix / 11 % 5));
	put16(buf + 38, caplen - 34);
	memcpy(buf + ID_OFF, &id, 8);
	memcpy(buf + ID_OFF + 8, &ts_ns, 8);
	/* A check word of both, then bytes that no other frame has in these places. */
	x = ncpi_mix(mix ^ ts_ns);
	memcpy(buf + ID_OFF + 16, &x, 8);
	for (uint32_t i = LEAST; i < caplen; i++) {
		x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		buf[i] = (uint8_t)(x >> 56);
	}
	return (struct ncpi_frame){ .data = buf,
				    .ts_ns = ts_ns,
				    .caplen = caplen,
				    .len = caplen + (uint32_t)(id % 5),
				    .interface = (uint32_t)STORM_ID_WORKER(id) % 2,
				    .flags = 1 + (uint32_t)(id % 2),
				    .dropcount = id % 11 ? 0 : id + 1 };
}

bool storm_frame_good(const struct ncp_frame *f, uint64_t *id)
{
	uint8_t got[STORM_CAP], want[STORM_CAP];
	uint64_t ts_ns;

	*id = 0;
	if (f->caplen < LEAST || f->caplen > STORM_CAP)
		return false;
	ncpi_copy_out(got, f->data, f->caplen);
	memcpy(id, got + ID_OFF, 8);
	memcpy(&ts_ns, got + ID_OFF + 8, 8);
	struct ncpi_frame w = storm_frame(*id, ts_ns, want);
	return f->caplen == w.caplen && f->len == w.len && f->ts_ns == ts_ns &&
	       f->flags == w.flags && f->dropcount == w.dropcount &&
	       f->interface == w.interface && memcmp(got, want, w.caplen) == 0;
}
