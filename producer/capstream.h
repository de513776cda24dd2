/* SPDX-License-Identifier: BSD-2-Clause */
/* capstream.h - the bytes of a capture file or pipe, handed to libpcap a whole frame at a time. */
#ifndef CAPSTREAM_H
#define CAPSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/*
 * libpcap reads through stdio, and a read of its that ends in the middle of a frame cannot be taken
 * up again.  A pipe stops in the middle of a frame whenever its writer has not flushed, and a
 * capture must still publish what came before, and end when it is told to.  So the bytes are
 * gathered here, and libpcap is asked for a frame only when all of it is there.
 *
 * What the bytes mean is libpcap's to judge: here only lengths are looked at, and where they make no
 * sense, or the input ends, libpcap is let on to say what is wrong.
 */

enum capstream_format {
	CAPSTREAM_PCAP,		/* records with a 16-byte header */
	CAPSTREAM_PCAP_PATCHED, /* Kuznetzov's: 24 bytes */
	CAPSTREAM_PCAPNG,
};

/* What is known about the framing after libpcap has read the file's header. */
struct capstream_frames {
	enum capstream_format format;
	bool swapped;	   /* not this machine's byte order; in a pcapng, of the section */
	bool len_first;	   /* pcap before 2.3 and DG/UX: the two lengths are exchanged */
	bool len_smallest; /* pcap 2.3: the smaller is the captured one */
};

/* What capstream_scan() found. */
enum capstream_scan {
	CAPSTREAM_PART = 0, /* it goes on behind what is there; *used: whole blocks before it that
			     * bear no frame */
	CAPSTREAM_FRAME,    /* [0, *used) ends with a whole frame */
	CAPSTREAM_BROKEN,   /* no sense in it: libpcap is to say what is wrong */
};

/*
 * capstream_scan - is there a whole frame at the front of these bytes?
 *
 *   f     its swapped follows the sections that were passed
 *   p     len bytes, from the boundary of a record or block on
 *   used  out: bytes up to the boundary where the next call goes on, <= len
 *
 * Pure.  Source: pcap-savefile(5); draft-ietf-opsawg-pcapng, 3.1, 4.1, 4.3, 4.4, A (obsolete
 * packet block).
 */
enum capstream_scan capstream_scan(struct capstream_frames *f, const uint8_t *p, size_t len,
				   size_t *used);

/* An input, its bytes that libpcap has not read yet: [start, end) of buf. */
struct capstream {
	int fd; /* not owned */
	uint8_t *buf;
	size_t cap, start, end;
	size_t scanned; /* [start, scanned) was looked at: whole blocks */
	struct capstream_frames frames;
	bool framed;	/* frames is set; before, reads block */
	uint64_t n_whole; /* frames before scanned that libpcap has not read */
	bool broken;	/* CAPSTREAM_BROKEN was found */
	bool eof;
	int error;	/* errno of a failed read, sticky; 0: none */
	uint8_t first[4]; /* of the input, for its format */
	size_t n_first;
};

/* capstream_init - read from fd, which stays the caller's.  Returns 0, -ENOMEM. */
int capstream_init(struct capstream *s, int fd) __attribute__((warn_unused_result));

/* capstream_rewind - from the start again; fd was moved there. */
void capstream_rewind(struct capstream *s);

/* capstream_fini - free the buffer. */
void capstream_fini(struct capstream *s);

/*
 * capstream_file - a FILE for libpcap that reads s; closing it closes nothing else.
 *
 * stdio reads ahead, but is given whole frames only (and one byte at a time before
 * capstream_framed()), so it never holds a part of what libpcap will ask for next.  A read that a
 * signal ends fails with EINTR.  Returns NULL when out of memory.
 */
FILE *capstream_file(struct capstream *s);

/* capstream_framed - libpcap has read the file's header: from now on watch for whole frames. */
void capstream_framed(struct capstream *s, const struct capstream_frames *f);

/*
 * capstream_ready - can libpcap read a frame, the end, or an error, without having to wait?
 *
 *   timeout_ms  waits at most so long for more bytes; a signal ends the wait
 *
 * Returns 1, 0 (not yet), -ENOMEM, -errno of poll.
 */
int capstream_ready(struct capstream *s, int timeout_ms) __attribute__((warn_unused_result));

/* capstream_taken - libpcap has read the frame that was ready. */
void capstream_taken(struct capstream *s);

#endif
