/* SPDX-License-Identifier: BSD-2-Clause */
/* format.h - the formats of files: what one of each begins with, and a frame in it. */
#ifndef FORMAT_H
#define FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/pcapng.h"

enum format {
	FORMAT_PCAPNG, /* blocks, as a bus holds them */
	FORMAT_PCAP,   /* one link type, microseconds, no interfaces, no marks where frames are missing */
	FORMAT_NSEC_PCAP, /* the same in nanoseconds */
};

/* format_parse - "pcapng", "pcap", "nsec-pcap", or as editcap calls it, "nsecpcap".  0, -EINVAL. */
int format_parse(const char *s, enum format *f) __attribute__((warn_unused_result));

/*
 * format_head - what a file of frames of one link type begins with: pcap and nsec-pcap only.
 *
 *   out       FORMAT_HEAD_LEN bytes
 *   linktype  LINKTYPE_
 *
 * In this machine's byte order, by which readers know it.  Source: draft-ietf-opsawg-pcap.
 */
#define FORMAT_HEAD_LEN 24u
void format_head(void *out, enum format f, uint32_t linktype);

/* format_is_pcap - does a file of this machine's begin so: 4 bytes? */
bool format_is_pcap(const uint8_t magic[4]);

/*
 * format_frame - write a frame at out: FORMAT_FRAME_MAX(caplen) bytes at most, any alignment.
 *
 * What a pcap has no place for is left out: interface, flags, dropcount, digits of the time.
 * Returns its length.
 */
#define FORMAT_FRAME_MAX(caplen) PCAPNG_FRAME_MAX(caplen)
size_t format_frame(void *out, enum format f, const struct pcapng_frame *frame);

/*
 * format_linktype - the link type that all interfaces of a prologue share.
 *
 * Returns it; -EMEDIUMTYPE (they have several); -ENODATA (there is no interface).
 */
long format_linktype(const uint8_t *prologue, size_t len) __attribute__((warn_unused_result));

#endif
