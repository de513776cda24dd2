/* SPDX-License-Identifier: BSD-2-Clause */
/* pcapng.h - blocks of pcapng, ncp's own kind among them: build them, walk them. */
#ifndef NCP_UTIL_PCAPNG_H
#define NCP_UTIL_PCAPNG_H

/*
 * Source: draft-ietf-opsawg-pcapng, sections 3 and 4; ncp's own block: doc/bus-format.md.
 *
 * Everything is in this machine's byte order, as it is on a bus and in the files written from one.
 * Pure: no system call, no allocation.
 */

#include <stddef.h>
#include <stdint.h>

#define PCAPNG_SHB UINT32_C(0x0a0d0d0a)	  /* Section Header Block */
#define PCAPNG_IDB UINT32_C(0x00000001)	  /* Interface Description Block */
#define PCAPNG_ISB UINT32_C(0x00000005)	  /* Interface Statistics Block */
#define PCAPNG_EPB UINT32_C(0x00000006)	  /* Enhanced Packet Block: a frame */
#define PCAPNG_LOCAL UINT32_C(0x80006e63) /* ncp's own, of the range for local use */

#define PCAPNG_BYTE_ORDER UINT32_C(0x1a2b3c4d)
#define PCAPNG_BLOCK_MIN 12u			/* type and the length twice */
#define PCAPNG_BLOCK_MAX (UINT32_C(16) << 20)	/* libpcap refuses longer ones */
#define PCAPNG_PAD4(len) (((len) + 3u) & ~(uint32_t)3)

/* A block as it lies in a buffer. */
struct pcapng_block {
	const uint8_t *at;   /* its first byte */
	const uint8_t *body; /* body_len bytes behind type and length */
	uint32_t type;
	uint32_t len; /* whole, a multiple of 4 */
	uint32_t body_len;
};

/*
 * pcapng_next - the block at the beginning of a buffer.
 *
 *   p    len bytes, at any alignment; they may be changing under this call: the length is
 *        loaded once, and nothing but type and length is looked at
 *
 * Returns 1; 0 (len bytes do not hold a whole block); -EBADMSG (a length that no block has:
 * under PCAPNG_BLOCK_MIN, over PCAPNG_BLOCK_MAX, no multiple of 4).
 */
int pcapng_next(const uint8_t *p, size_t len, struct pcapng_block *b)
	__attribute__((warn_unused_result));

/*
 * pcapng_cut - how many bytes hold the first n frames.
 *
 *   p     len bytes; may be changing, as above
 *   n     stop behind the n-th frame
 *   seen  out: frames in the result; == n unless the whole blocks ended first
 *
 * Returns the bytes; what follows the n-th frame, or starts a broken block, is outside.
 */
size_t pcapng_cut(const uint8_t *p, size_t len, uint64_t n, uint64_t *seen);

/* pcapng_fill - the same, stopping also behind the first block that brings the result to `bytes`. */
size_t pcapng_fill(const uint8_t *p, size_t len, uint64_t bytes, uint64_t n, uint64_t *seen);

/* A frame to be made into an Enhanced Packet Block. */
struct pcapng_frame {
	const uint8_t *data; /* caplen bytes */
	uint32_t caplen, len;
	uint32_t interface;
	uint32_t flags;	    /* epb_flags; 0: no such option */
	uint64_t dropcount; /* epb_dropcount; 0: no such option */
	uint64_t ts;	    /* in the interface's if_tsresol: ns on a bus */
};

/* The longest block that caplen bytes of frame can make. */
#define PCAPNG_FRAME_MAX(caplen) (28u + PCAPNG_PAD4(caplen) + 8u + 12u + 4u + 4u)

/* pcapng_frame - write the block at out, PCAPNG_FRAME_MAX(f->caplen) bytes, any alignment.
 * Returns its length. */
size_t pcapng_frame(void *out, const struct pcapng_frame *f);

/* Counters of an interface; UINT64_MAX: not known, no such option. */
struct pcapng_stats {
	uint32_t interface;
	uint64_t ts;	     /* when they were read */
	uint64_t start, end; /* of the capture, in the same unit; 0: not known */
	uint64_t received;   /* isb_ifrecv */
	uint64_t dropped;    /* isb_ifdrop, where dumpcap puts the kernel's drops too */
	uint64_t delivered;  /* isb_usrdeliv */
	const char *comment; /* opt_comment, PCAPNG_COMMENT_MAX bytes of it at most; NULL: none */
};
#define PCAPNG_COMMENT_MAX 256u
#define PCAPNG_STATS_MAX (20u + 4u + PCAPNG_COMMENT_MAX + 5u * 12u + 4u + 4u)

/* pcapng_stats - write the block at out, PCAPNG_STATS_MAX bytes.  Returns its length. */
size_t pcapng_stats(void *out, const struct pcapng_stats *s);

/* What a block of ncp's own is for. */
enum pcapng_local_kind {
	PCAPNG_PADDING = 1, /* aligns a file's bytes with the ring's; nothing behind kind */
	PCAPNG_FILE,	    /* a file or a section of one: struct pcapng_file follows */
	PCAPNG_EPOCH,	    /* a producer started; [from, to): nobody watched */
	PCAPNG_PAUSE,	    /* a pause began */
	PCAPNG_RESUME,	    /* a pause ended */
	PCAPNG_GAP,	    /* frames the writer of the file lost: struct pcapng_gap follows */
};

/* Body of such a block, as it stands there.  A gap may be cut short behind next_seq: it replaces
 * the smallest frame's block, which is no longer. */
struct pcapng_local {
	char magic[4]; /* "ncp" and a NUL */
	uint32_t kind;
	uint64_t epoch;
	uint64_t incarnation;
	uint64_t next_seq; /* number of the next frame behind this block */
	uint64_t from_ns, to_ns;
	uint32_t reason;
	uint32_t pad;
};

/* Behind it in a gap. */
struct pcapng_gap {
	uint64_t first_seq; /* the frames [first_seq, next_seq) are missing here */
};

/* Behind it in a file's block. */
struct pcapng_file {
	uint64_t window;   /* bytes before the file's end that a kill can leave unfinished */
	uint64_t verified; /* so many bytes from the start are whole; 0 when not said here */
	uint32_t complete; /* 1: the file was closed in order, all of it is valid */
	uint32_t pad;
	char bus[64];	   /* name, NUL-padded */
	uint64_t written;  /* so many, unless the machine itself stopped; >= verified */
	uint8_t boot[16];  /* which start of the machine that was, as in a bus's header */
	uint64_t inode;	   /* of the file that was written: another one is a copy of it; 0: not said */
	uint64_t born_ns;  /* when that was made, by its file system; 0: it does not tell */
};

#define PCAPNG_PADDING_MIN 20u
#define PCAPNG_GAP_MIN (PCAPNG_BLOCK_MIN + (uint32_t)offsetof(struct pcapng_local, from_ns))
#define PCAPNG_GAP_LEN                                                                             \
	(PCAPNG_BLOCK_MIN + (uint32_t)sizeof(struct pcapng_local) +                                \
	 (uint32_t)sizeof(struct pcapng_gap))
#define PCAPNG_FILE_LEN                                                                            \
	(PCAPNG_BLOCK_MIN + (uint32_t)sizeof(struct pcapng_local) +                                \
	 (uint32_t)sizeof(struct pcapng_file))

/*
 * pcapng_local - write a block of ncp's own.
 *
 *   out    total_len bytes
 *   l      magic is not looked at
 *   extra  extra_len bytes behind l; what total_len has no room for is cut, what it has more
 *          is zeros
 *   total_len  a multiple of 4, PCAPNG_PADDING_MIN..PCAPNG_BLOCK_MAX
 *
 * Returns total_len.
 */
size_t pcapng_local(void *out, const struct pcapng_local *l, const void *extra, size_t extra_len,
		    uint32_t total_len);

/*
 * pcapng_local_head - the same, without the zeros and the length at the end.
 *
 * For a block laid over bytes that already stand somewhere.  Returns how many bytes were written
 * at out: PCAPNG_GAP_LEN or PCAPNG_FILE_LEN at most, and never more than total_len - 4.
 */
size_t pcapng_local_head(void *out, const struct pcapng_local *l, const void *extra,
			 size_t extra_len, uint32_t total_len);

/* pcapng_padding - a padding block of total_len bytes, as above. */
size_t pcapng_padding(void *out, uint32_t total_len);

/*
 * pcapng_padding_len - how long a padding block must be to move an offset.
 *
 *   from   where it would start, a multiple of 4
 *   to     what its end must be congruent to, modulo align (a power of two, >= 4)
 *
 * Returns 0 (it is already), else the least length >= PCAPNG_PADDING_MIN.
 */
uint32_t pcapng_padding_len(uint64_t from, uint64_t to, uint32_t align);

/*
 * pcapng_local_read - what a block of ncp's own says.
 *
 *   l      filled; what the block is too short for is 0
 *   extra  extra_len bytes, filled likewise; may be NULL, 0
 *
 * Returns 1, or 0 (another block, or one of that type that is not ncp's).
 */
int pcapng_local_read(const struct pcapng_block *b, struct pcapng_local *l, void *extra,
		      size_t extra_len) __attribute__((warn_unused_result));

#endif
