/* SPDX-License-Identifier: BSD-2-Clause */
/* layout.h - what stands where in a bus's segment, and the steps that write and read it. */
#ifndef NCPI_LAYOUT_H
#define NCPI_LAYOUT_H

/*
 * Terms
 *
 *   segment   the file ncp.<bus>: header, counters, tables, prologue, ring
 *   ring      ring_size bytes (a power of two) that hold pcapng blocks one after the other
 *   position  64-bit byte count since the bus was made; byte p stands at ring offset
 *             p mod ring_size.  Positions of blocks are multiples of 4
 *   seq       64-bit number of a frame (an Enhanced Packet Block), from 0.  Not stored in the
 *             block: counted from the nearest {position, seq} pair
 *   head      everything below this position is published, complete, for ever
 *   tail      everything from this position on is still as it was published
 *   slot      one of two pairs {position, seq}; the one whose position is head says head's seq
 *   waypoint  a remembered {position, seq, time} of a block boundary
 *   epoch     one start of a producer on this segment
 *   incarnation  a random number that names this segment among all that ever bore its name
 *
 * Guarantees
 *
 *   tail <= head and head - tail <= ring_size at every instant.  Neither ever goes back.
 *   [tail, head) is a run of whole pcapng blocks, except that tail itself may stand inside one.
 *   A producer that dies at any instruction leaves all of this true.
 *
 * The segment
 *
 *   0                  struct ncpi_header, one page
 *   worker_off         n_workers x struct ncpi_worker_line
 *   interface_off      n_interfaces x struct ncpi_interface_line
 *   reliable_off       n_reliable x struct ncpi_reliable_line
 *   prologue_off       prologue_cap bytes: Section Header and Interface Description Blocks
 *   waypoint_off       n_waypoints x struct ncpi_waypoint
 *   ring_off           the ring, at a multiple of 2 MiB
 *   segment_len        the file's length
 *
 * All integers are the producer's byte order (byte_order tells).  The offsets and the strides are in
 * the header: a reader uses these, not this list.
 *
 * Versions: a minor adds fields where there were zeros, and an old reader may ignore them; it reads
 * any minor.  Everything else is a new major, and a reader refuses one that it does not know.
 *
 * Steps.  The tags stand in the code beside each ordered access.
 *
 *   P1  claim [p, p + bytes) and [s, s + n)
 *   P2  tail <- past the bytes that will be overwritten
 *   P3  release fence
 *   P4  write the blocks
 *   P5  waypoints of the claim, then their count (release)
 *   P6  slot[i & 1] <- {position, seq}
 *   P7  head <- new end (release)
 *   P8  release fence, before slot[(i + 1) & 1] is touched by the next commit
 *
 *   C1  load head (acquire)
 *   C2  use a block
 *   C3  acquire fence
 *   C4  load tail: beyond the block's position?  discard what was read
 *
 *   S1  load head (acquire)
 *   S2  take the slot that bears it
 *   S3  acquire fence
 *   S4  load head: moved?  retry
 *
 *   P7 -> C1, S1  who sees head sees every block, waypoint and slot below it
 *   P7 -> P1      who sees room sees what was written a lap ago: it stays below what he writes
 *   P3 -> C3      who read a byte of a newer block sees tail moved past the older one
 *   P8 -> S3      who read a word of a newer slot sees head moved
 */

#include <stddef.h>
#include <stdint.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ /* the bytes "ncpbus\r\n" */
#define NCPI_MAGIC UINT64_C(0x0a0d73756270636e)
#else
#define NCPI_MAGIC UINT64_C(0x6e63706275730d0a)
#endif
#define NCPI_BYTE_ORDER UINT32_C(0x0a0b0c0d)
#define NCPI_MAJOR 1
#define NCPI_MINOR 0

#define NCPI_LINE 64			     /* bytes of a cache line */
#define NCPI_RING_ALIGN (UINT64_C(2) << 20)  /* a huge page */
#define NCPI_RING_MIN (UINT64_C(1) << 16)
#define NCPI_PROLOGUE_CAP (UINT32_C(64) << 10)
#define NCPI_WAYPOINT_EVERY (UINT64_C(64) << 10) /* bytes between two waypoints, about */
#define NCPI_WAYPOINTS_AHEAD 64u /* counted and not yet below head: no more than that */
#define NCPI_BLOCK_MAX (UINT32_C(16) << 20)  /* libpcap refuses longer ones */
#define NCPI_SNAPLEN 262144u		     /* if_snaplen of every interface: libpcap refuses
					      * files whose interfaces differ there */
#define NCPI_UNUSED UINT64_MAX		     /* position of a slot or waypoint that is none */
#define NCPI_WORKERS 64u
#define NCPI_INTERFACES 256u
#define NCPI_RELIABLE_MAX 1024u

/* A slot: head's frame number.  Written by whoever commits (P6). */
struct ncpi_slot {
	uint64_t position; /* NCPI_UNUSED until first used */
	uint64_t seq;
};

/* Header flags. */
#define NCPI_FLAG_RELIABLE 1u /* the producer waits for granted clients */

struct ncpi_header {
	/* Identity: written once, before magic is (release). */
	uint64_t magic;
	uint32_t byte_order;
	uint16_t major, minor;
	uint64_t segment_len;
	uint64_t ring_off, ring_size;
	uint64_t waypoint_off;
	uint32_t waypoint_stride, n_waypoints; /* n: a power of two */
	uint64_t worker_off;
	uint32_t worker_stride, n_workers;
	uint64_t interface_off;
	uint32_t interface_stride, n_interfaces; /* how many lines there are room for */
	uint64_t reliable_off;
	uint32_t reliable_stride, n_reliable;
	uint64_t prologue_off;
	uint32_t prologue_cap;
	uint32_t flags; /* NCPI_FLAG_* */
	uint32_t snaplen;
	uint32_t mode; /* permission bits and group the segment was made for: part of the */
	uint32_t gid;  /* geometry that a takeover must find unchanged */
	uint32_t pad0;
	uint64_t created_ns; /* CLOCK_REALTIME */
	uint64_t incarnation; /* random, never 0 */
	uint64_t replaced;    /* the incarnation this one replaced, 0: none */
	uint64_t replaced_next_seq;
	uint8_t boot_id[16];  /* /proc/sys/kernel/random/boot_id: same boot, same clocks */
	char name[64];	      /* the bus's name, NUL-terminated */
	uint8_t pad1[264];

	/* Control line: written by the producer's main thread, at starts and changes of state. */
	uint64_t epoch;
	uint64_t epoch_start_ns; /* CLOCK_REALTIME */
	uint32_t state;		 /* enum ncp_state */
	uint32_t reason;	 /* enum ncp_reason */
	uint32_t pid;
	uint32_t workers; /* in use */
	uint8_t pad2[32];

	/* Heartbeat line: written by the waker thread, four times a second at least. */
	uint64_t heartbeat;    /* +1 */
	uint64_t heartbeat_ns; /* CLOCK_REALTIME then */
	uint8_t pad3[48];

	/* Prologue line: written under the claim lock, before the head that needs it. */
	uint32_t prologue_len; /* bytes valid at prologue_off (release) */
	uint32_t interfaces;   /* Interface Description Blocks among them */
	uint8_t pad4[56];

	/* Tail line: written under the claim lock (P2). */
	uint64_t tail;
	uint8_t pad5[56];

	/* Head line: written by the committer (P5-P7). */
	uint64_t head;
	struct ncpi_slot slot[2];
	uint64_t waypoints; /* written so far; entry i stands at i mod n_waypoints (release).  The
			     * last NCPI_WAYPOINTS_AHEAD of them, or fewer, may be beyond head */
	uint64_t newest_ts_ns; /* running maximum of the frames' times */
	uint8_t pad6[8];

	/* Wake line: written by the waker (and by a capture thread with --immediate-mode). */
	uint32_t wake; /* futex: clients wait here */
	uint8_t pad7[60];

	/* Room line: nobody writes it; a producer that waits for a reliable client sleeps here, and
	 * clients, who map it read-only, can wake it all the same. */
	uint32_t room;
	uint8_t pad8[60];

	uint8_t pad9[4096 - 512 - 7 * NCPI_LINE];
};

/* One worker's counters, cumulative over the incarnation: written by that worker, once a batch. */
struct ncpi_worker_line {
	uint64_t published; /* frames */
	uint64_t bytes;	    /* sum of their captured lengths */
	uint64_t received;  /* frames at the kernel's hook, or read from the file */
	uint64_t kernel_drops;
	uint64_t freezes;
	uint64_t truncated;
	uint64_t discarded;
	uint64_t pad;
};

/* One interface's counters, cumulative: written by the waker thread. */
struct ncpi_interface_line {
	uint64_t published;
	uint64_t received;
	uint64_t kernel_drops;
	uint8_t pad[40];
};

/* State of a line in the reliable table. */
enum ncpi_reliable_state {
	NCPI_RELIABLE_FREE = 0,
	NCPI_RELIABLE_GRANTED,
	NCPI_RELIABLE_EVICTED,
};

/* One reliable client, named by its registry file: written by the waker thread. */
struct ncpi_reliable_line {
	uint64_t inode;
	uint64_t btime_ns; /* statx: birth time; ctime would change with each pwrite */
	uint64_t granted;  /* reliable from this position on */
	uint32_t state;	   /* enum ncpi_reliable_state (release) */
	uint32_t pad0;
	uint8_t pad[32];
};

/*
 * A waypoint.  time_ns is the highest time of any frame *before* position, so it never falls along
 * the table, and the first frame at or after T follows the last waypoint whose time_ns is below T.
 */
struct ncpi_waypoint {
	uint64_t position; /* NCPI_UNUSED: none */
	uint64_t seq;
	uint64_t time_ns;
	uint64_t check; /* ncpi_waypoint_check() of the other three */
};

/*
 * ncpi_waypoint_check - the check word of a waypoint.
 *
 * An entry may be overwritten while it is read; words of two entries do not fit together except
 * with a chance of 2^-64.  incarnation is in it so that what an older segment left is none.
 * Source: the finalizer of splitmix64 (Steele, Lea, Flood 2014), chained.
 */
static inline uint64_t ncpi_mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static inline uint64_t ncpi_waypoint_check(uint64_t incarnation, uint64_t position, uint64_t seq,
					   uint64_t time_ns)
{
	return ncpi_mix(ncpi_mix(ncpi_mix(incarnation ^ position) ^ seq) ^ time_ns);
}

/* pcapng block types. Source: draft-ietf-opsawg-pcapng, sections 4 and 11.1. */
#define NCPI_SHB 0x0a0d0d0au /* Section Header */
#define NCPI_IDB 0x00000001u /* Interface Description */
#define NCPI_EPB 0x00000006u /* Enhanced Packet */
#define NCPI_ISB 0x00000005u /* Interface Statistics */
#define NCPI_LOCAL 0x80006e63u /* ours: local use */

/* The Enhanced Packet Block up to its data; data is padded to 4, then options, then the length. */
struct ncpi_epb {
	uint32_t type;
	uint32_t total_len;
	uint32_t interface;
	uint32_t ts_high, ts_low; /* ns: if_tsresol is 9 */
	uint32_t caplen;
	uint32_t len;
};

/* Option headers as 32-bit words in a file of this machine's byte order: code, then length. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define NCPI_OPTION(code, length) ((uint32_t)(code) | (uint32_t)(length) << 16)
#define NCPI_OPTION_CODE(word) ((word) & 0xffffu)
#define NCPI_OPTION_LEN(word) ((word) >> 16)
#else
#define NCPI_OPTION(code, length) ((uint32_t)(code) << 16 | (uint32_t)(length))
#define NCPI_OPTION_CODE(word) ((word) >> 16)
#define NCPI_OPTION_LEN(word) ((word) & 0xffffu)
#endif
#define NCPI_OPT_END 0u
#define NCPI_EPB_FLAGS 2u     /* 4 bytes */
#define NCPI_EPB_DROPCOUNT 4u /* 8 bytes */

/* What ncp's own blocks (NCPI_LOCAL) are for. */
enum ncpi_local_kind {
	NCPI_LOCAL_PADDING = 1, /* aligns a file's bytes with the ring's; may be as short as 20 */
	NCPI_LOCAL_FILE,	/* a file begins here */
	NCPI_LOCAL_EPOCH,	/* a producer started; [from, to): nobody watched */
	NCPI_LOCAL_PAUSE,	/* a pause began at from; to = 0 */
	NCPI_LOCAL_RESUME,	/* a pause ended: [from, to) */
	NCPI_LOCAL_GAP,		/* in files: frames that the writer of the file lost */
};

/* The body of such a block.  Not 8-aligned in general: copy it out. */
struct ncpi_local {
	char magic[4]; /* "ncp" and a NUL */
	uint32_t kind; /* enum ncpi_local_kind */
	uint64_t epoch;
	uint64_t incarnation;
	uint64_t next_seq; /* number of the next frame */
	uint64_t from_ns, to_ns; /* CLOCK_REALTIME; to = 0 while open */
	uint32_t reason; /* enum ncp_reason */
	uint32_t interface; /* PAUSE, RESUME: 1 + the id of the one that it is about; else 0 */
};

/* Bytes of a block whose body has len bytes. */
#define NCPI_PAD4(len) (((len) + 3u) & ~3u)
#define NCPI_BLOCK_LEN(body_len) (12u + NCPI_PAD4(body_len))
#define NCPI_LOCAL_LEN NCPI_BLOCK_LEN(sizeof(struct ncpi_local))
/* Bytes of an EPB with caplen bytes, epb_flags, and maybe epb_dropcount. */
#define NCPI_EPB_LEN(caplen, with_dropcount)                                                       \
	(28u + NCPI_PAD4(caplen) + 8u + ((with_dropcount) ? 12u : 0u) + 4u + 4u)
/* The longest EPB a snaplen allows. */
#define NCPI_EPB_MAX(snaplen) NCPI_EPB_LEN(snaplen, 1)

#define NCPI_AT(type, field, off)                                                                  \
	_Static_assert(offsetof(struct type, field) == (off), #type "." #field " moved")
NCPI_AT(ncpi_header, magic, 0);
NCPI_AT(ncpi_header, byte_order, 8);
NCPI_AT(ncpi_header, major, 12);
NCPI_AT(ncpi_header, minor, 14);
NCPI_AT(ncpi_header, segment_len, 16);
NCPI_AT(ncpi_header, ring_off, 24);
NCPI_AT(ncpi_header, ring_size, 32);
NCPI_AT(ncpi_header, waypoint_off, 40);
NCPI_AT(ncpi_header, waypoint_stride, 48);
NCPI_AT(ncpi_header, n_waypoints, 52);
NCPI_AT(ncpi_header, worker_off, 56);
NCPI_AT(ncpi_header, worker_stride, 64);
NCPI_AT(ncpi_header, n_workers, 68);
NCPI_AT(ncpi_header, interface_off, 72);
NCPI_AT(ncpi_header, interface_stride, 80);
NCPI_AT(ncpi_header, n_interfaces, 84);
NCPI_AT(ncpi_header, reliable_off, 88);
NCPI_AT(ncpi_header, reliable_stride, 96);
NCPI_AT(ncpi_header, n_reliable, 100);
NCPI_AT(ncpi_header, prologue_off, 104);
NCPI_AT(ncpi_header, prologue_cap, 112);
NCPI_AT(ncpi_header, flags, 116);
NCPI_AT(ncpi_header, snaplen, 120);
NCPI_AT(ncpi_header, mode, 124);
NCPI_AT(ncpi_header, gid, 128);
NCPI_AT(ncpi_header, created_ns, 136);
NCPI_AT(ncpi_header, incarnation, 144);
NCPI_AT(ncpi_header, replaced, 152);
NCPI_AT(ncpi_header, replaced_next_seq, 160);
NCPI_AT(ncpi_header, boot_id, 168);
NCPI_AT(ncpi_header, name, 184);
NCPI_AT(ncpi_header, epoch, 512);
NCPI_AT(ncpi_header, heartbeat, 576);
NCPI_AT(ncpi_header, heartbeat_ns, 584);
NCPI_AT(ncpi_header, prologue_len, 640);
NCPI_AT(ncpi_header, interfaces, 644);
NCPI_AT(ncpi_header, tail, 704);
NCPI_AT(ncpi_header, head, 768);
NCPI_AT(ncpi_header, slot, 776);
NCPI_AT(ncpi_header, waypoints, 808);
NCPI_AT(ncpi_header, newest_ts_ns, 816);
NCPI_AT(ncpi_header, wake, 832);
NCPI_AT(ncpi_header, room, 896);
#define NCPI_SIZE(type, len) _Static_assert(sizeof(struct type) == (len), #type " changed size")
NCPI_SIZE(ncpi_header, 4096);
NCPI_SIZE(ncpi_worker_line, 64);
NCPI_SIZE(ncpi_interface_line, 64);
NCPI_SIZE(ncpi_reliable_line, 64);
NCPI_SIZE(ncpi_waypoint, 32);
NCPI_SIZE(ncpi_epb, 28);
NCPI_SIZE(ncpi_local, 56);

#endif
