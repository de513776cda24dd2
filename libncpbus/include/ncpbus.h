/* SPDX-License-Identifier: BSD-2-Clause */
/* ncpbus.h - read frames from an ncp capture bus, in place, at any time. */
#ifndef NCPBUS_H
#define NCPBUS_H

/*
 * A bus is a ring of captured frames in shared memory.  One producer (ncp-producer) writes it;
 * any number of clients read it through this header.  A client never slows the producer or
 * another client, and loses nothing without being told which frames, by number.
 *
 * The recipe (tests/libncpbus/test_recipe.c compiles and runs it):
 *
 *	struct ncp_options o = NCP_OPTIONS_INIT;
 *	struct ncp_frame f = NCP_FRAME_INIT;
 *	struct ncp_client *c;
 *	uint8_t buf[2048];
 *	int r = ncp_attach(&c, "eth0", &o);
 *	while (r >= 0) {
 *		r = ncp_recv(c, buf, sizeof(buf), &f);
 *		if (r == 0) { r = ncp_wait(c, 1000); continue; }
 *		if (r == 1 && f.kind == NCP_FRAME) use(f.data, f.caplen, f.ts_ns);
 *		if (r == 1 && f.kind == NCP_LOST) lost += f.next_seq - f.seq;
 *		if (r == 1 && f.kind == NCP_STATE && f.state == NCP_ENDED) break;
 *	}
 *	ncp_detach(c);
 *
 * Rules that cover all calls
 *   - An int result is >= 0, or a negative code: one of NCP_E*, or -errno.  ncp_strerror() has
 *     a text for each.
 *   - Loss, the end of a bus, a dead producer, a re-attach are *events*: ncp_next() and its
 *     relatives return them in the place where they happened, between the frames.
 *   - A struct that the caller allocates begins with its size (the *_INIT macros set it), so
 *     that it can grow.  A size smaller than this header's gives -EINVAL.
 *   - One client belongs to one thread at a time.  Attach twice for two threads.
 *   - A client does not survive fork(): in the child every call gives NCP_EFORK, only
 *     ncp_detach() works, and the parent's client is not touched by it.
 *   - The library prints nothing, exits never, touches no signal, and starts no thread unless
 *     ncp_fd() is called.
 *
 * Caveats
 *   - A view (ncp_next, ncp_next_batch, ncp_span) points into the ring.  A producer that laps you
 *     overwrites it while you look.  The next call tells (NCP_LOST with that number in it); ask
 *     ncp_intact() before you act on what you read.  ncp_recv() copies and has no such window.
 *   - Do not keep a view beyond the next call on the same client.
 *   - The mapping is read-only: writing through a view is a segmentation fault.
 *   - Positions and frame numbers mean nothing outside their incarnation.
 *   - NCP_REATTACHED is returned while the old bus is still mapped, so that what it handed out can
 *     be used up.  Until the next reading call or ncp_seek(), the other calls (ncp_bus_info,
 *     ncp_interface, ncp_prologue, ncp_tell, ncp_stats, ncp_worker, ncp_peers, ncp_intact) speak
 *     of the old one.  Read on first, then ask.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define NCP_VERSION "0.1.0"

#if defined(__GNUC__)
#define NCP_MUST_CHECK __attribute__((warn_unused_result))
#else
#define NCP_MUST_CHECK
#endif

/* A client of one bus; opaque. */
struct ncp_client;

/* A number nobody knows, where a sequence number or a count is asked for. */
#define NCP_UNKNOWN UINT64_MAX

/* Codes, all negative.  What has an errno of its own comes as -errno. */
#define NCP_ENOBUS (-1001)	/* no bus of that name in the directory */
#define NCP_ENOTREADY (-1002)	/* its producer is just making it; try again */
#define NCP_EVERSION (-1003)	/* its layout has another major version */
#define NCP_ETRUNCATED (-1004)	/* the segment is shorter than its header claims */
#define NCP_EFOREIGN (-1005)	/* it belongs to a user who is not trusted */
#define NCP_ENOTBUS (-1006)	/* that name holds something else: no magic, no regular file */
#define NCP_ECORRUPT (-1007)	/* its content breaks the rules of doc/bus-format.md */
#define NCP_ENAME (-1008)	/* not a bus name: [A-Za-z0-9][A-Za-z0-9._-]{0,62} */
#define NCP_EFILTER (-1009)	/* the filter does not compile, or is no valid program */
#define NCP_ENOPCAP (-1010)	/* a filter as text needs libpcap, and it cannot be loaded */
#define NCP_ENOTRELIABLE (-1011) /* reliable was asked for and cannot be had: see the text */
#define NCP_EFORK (-1012)	/* this client belongs to the process that forked this one */
#define NCP_EACCESS (-1013)	/* the bus is there, and you may not read it */
#define NCP_EGROUP (-1014)	/* a group was asked for and cannot be had: see the text */

/* What ncp_next() and its relatives put into ncp_frame.kind. */
enum ncp_kind {
	NCP_FRAME = 1,	/* a frame */
	NCP_LOST,	/* frames [seq, next_seq) were overwritten before this client read them */
	NCP_STATE,	/* the bus changed its state: see state and reason */
	NCP_REATTACHED,	/* the bus was replaced; from here on the frames are the new one's */
	NCP_EVICTED,	/* no longer reliable: this client stalled longer than the producer allows;
			 * before the NCP_LOST that comes of it */
	NCP_UNLISTED,	/* the client's line in the registry was deleted by somebody; made again */
	NCP_SPAN,	/* ncp_span() only: *span was filled, the event was not */
};

/* ncp_frame.state and ncp_bus_info.state. */
enum ncp_state {
	NCP_STARTING = 1, /* can be attached; no frame yet */
	NCP_LIVE,	  /* frames come */
	NCP_PAUSED,	  /* its interface is down or gone; reason says which */
	NCP_STOPPED,	  /* its producer left in order and will continue this bus when started */
	NCP_ENDED,	  /* its source is exhausted or was ended; no further frame ever */
	NCP_CLOSED,	  /* replaced by another bus of the same name */
	NCP_DEAD,	  /* the client's own finding: the producer gives no sign of life */
};

/* Why, beside a state. */
enum ncp_reason {
	NCP_REASON_NONE = 0,
	NCP_REASON_INTERFACE_DOWN,
	NCP_REASON_INTERFACE_GONE,
	NCP_REASON_EXHAUSTED,	/* the file or the synthetic source is at its end */
	NCP_REASON_COUNT,	/* -c was reached */
	NCP_REASON_SIGNAL,	/* SIGINT or SIGTERM */
	NCP_REASON_GEOMETRY,	/* restarted with another ring size, mode or group */
	NCP_REASON_SOURCE_ERROR, /* the source broke: a truncated file, a socket error */
	NCP_REASON_WAITING,	/* --wait-clients, --wait */
	NCP_REASON_SOURCE_AWAY,	/* the bus that it reads from has no live producer */
};

/*
 * ncp_frame - a frame, or an event in its place.
 *
 * Of an event only kind, seq, next_seq, incarnation and the fields named below are set.
 */
struct ncp_frame {
	uint32_t size;		/* sizeof(struct ncp_frame), set by the caller */
	uint32_t kind;		/* enum ncp_kind */
	const uint8_t *data;	/* FRAME: caplen bytes; 4-aligned in a view, buf with ncp_recv */
	uint32_t caplen;	/* FRAME: bytes captured, <= len */
	uint32_t len;		/* FRAME: bytes on the wire */
	uint64_t ts_ns;		/* FRAME: ns since 1970 UTC; LOST: of the last frame before, or 0 */
	uint64_t seq;		/* FRAME: its number, +1 per frame since the bus was made;
				 * LOST: the first lost; else the next frame's */
	uint64_t next_seq;	/* FRAME: seq + 1; LOST: one past the last lost, NCP_UNKNOWN when
				 * the number of the last frame is nowhere to be found */
	uint64_t position;	/* FRAME: ring position of its block, for ncp_intact() */
	uint64_t incarnation;	/* of the bus that seq counts in */
	uint64_t dropcount;	/* FRAME: frames the kernel lost just before it (epb_dropcount) */
	uint32_t interface;	/* FRAME: index for ncp_interface() */
	uint32_t flags;		/* FRAME: the block's epb_flags (pcapng draft, 4.3.1) */
	uint32_t state;		/* STATE: enum ncp_state */
	uint32_t reason;	/* STATE: enum ncp_reason */
};
#define NCP_FRAME_INIT { .size = sizeof(struct ncp_frame) }

/* The two low bits of epb_flags: the direction of a frame. */
#define NCP_DIRECTION(flags) ((flags) & 3u)
#define NCP_INBOUND 1u
#define NCP_OUTBOUND 2u

/* Where to start or to go to. */
enum ncp_whence {
	NCP_LATEST = 0,	/* the next frame to come */
	NCP_OLDEST,	/* the oldest frame that is still whole */
	NCP_SEQ,	/* the frame of number value (lost ones since then are reported) */
	NCP_TIME,	/* the first frame at or after value, in ns since 1970 UTC */
};

/* incarnation: with NCP_SEQ the bus that value counts in, 0 for "this one".  Pass what ncp_tell()
 * gave to resume: if the bus was replaced meanwhile, what is gone comes as NCP_LOST (counted
 * exactly when it was replaced once, NCP_UNKNOWN else), then NCP_REATTACHED, then the new frames.
 */
struct ncp_where {
	uint32_t size;		/* sizeof(struct ncp_where) */
	uint32_t whence;	/* enum ncp_whence */
	uint64_t value;
	uint64_t incarnation;
};
#define NCP_WHERE_INIT { .size = sizeof(struct ncp_where) }

/* ncp_options.flags */
#define NCP_RELIABLE 1u		/* the producer waits for this client; needs a --reliable bus */
#define NCP_NO_REGISTRY 2u	/* make no line in the client registry */
#define NCP_NO_REATTACH 4u	/* when the bus is replaced, stay at the end of the old one */
#define NCP_HOLD 8u		/* the reader moves on in the registry by ncp_release() only */
#define NCP_ORDERED 16u		/* hand out frames in the order of their times: see below */
#define NCP_CONFINED 32u	/* the caller is about to give up making and removing files: its line in
				 * the registry is not made again when somebody deleted it, and is left
				 * to the producer to remove.  With open_bus, no file is opened either */

struct ncp_options {
	uint32_t size;		/* sizeof(struct ncp_options) */
	uint32_t flags;		/* NCP_RELIABLE, ... */
	struct ncp_where from;	/* where to start; NCP_LATEST */
	const char *name;	/* in the registry, at most 63 bytes; NULL: the program's name */
	const char *dir;	/* the busses' directory; NULL: $NCP_DIR, else /dev/shm */
	const char *trust_owner; /* users (names or uids, by commas) whose busses are trusted too;
				 * NULL: $NCP_TRUST */
	uint32_t shard_idx;	/* with shard_n > 1: give only every flow whose number modulo shard_n */
	uint32_t shard_n;	/* is shard_idx (not with ncp_span).  n clients with the same shard_n
				 * and each an own index share the frames: all of them, none twice,
				 * both directions of a flow and all fragments of a datagram in one */
	char *error;		/* gets one line of text when the attach fails; may be NULL */
	size_t error_cap;	/* bytes at error */
	uint64_t reorder_ns;	/* NCP_ORDERED: how long the window is; 0: 50 ms */
	uint32_t reorder_frames; /* and how many frames it may span; 0: 65536 */
	uint32_t pad0;
	const char *group;	/* share the frames with the others of that group, see below; made as
				 * a bus name.  NULL: none */
	int (*open_bus)(void *open_arg); /* how to get at the bus, see below; NULL: by its name */
	void *open_arg;
};
#define NCP_OPTIONS_INIT { .size = sizeof(struct ncp_options), .from = NCP_WHERE_INIT }

/*
 * options.open_bus.  A program that gives up its rights after it has attached may not be able to open
 * the bus that replaces this one.  With this call it says how: by somebody who kept the rights.
 *   - It returns a descriptor of what bears the bus's name now, opened O_RDONLY | O_CLOEXEC, which the
 *     library closes; or a negative code, open()'s -errno for one.  It may block for a moment, and
 *     must not use this client.
 *   - It is called by ncp_attach(), and four times a second at most by reading calls and ncp_wait()
 *     while the producer is not live.  What it returns is checked as what a name leads to.
 *   - The directory of the busses may then be out of reach; if so, there is no line in the registry.
 */

/*
 * NCP_ORDERED.  Frames stand in the ring as they were published: each worker's, and each interface's,
 * in the order of their times, but neighbouring batches of two of them interleave.  With this flag
 * ncp_recv(), ncp_next() and ncp_next_batch() look ahead and hand out frames in the order of ts_ns
 * (equal ones in that of their numbers), as long as none is displaced by more than the window.
 *   - ncp_frame.seq does not rise any more from frame to frame, nor does position.  Each number still
 *     comes once, in a frame or in an NCP_LOST, of which several may come in a row: frames that
 *     were overrun while they waited are lost, with their numbers.
 *   - A frame is handed out when one has been met whose time is reorder_ns higher; or when
 *     reorder_frames frames, or a quarter of the ring, have been met after it; or, when nothing more
 *     comes, after reorder_ns of this client's clock, or at once when the bus has stopped or
 *     ended or its producer is dead.  Events wait for the frames before them.
 *   - A frame that comes too late for that is handed out late, not dropped: ncp_stats.late counts the
 *     frames that were handed out after one of a higher time.
 *   - The cost: up to reorder_ns of delay; 48 bytes for each frame in the window; a second look at
 *     each block's header; being lapped up to a quarter of the ring earlier.  No copy: frames stay
 *     in the ring until they are handed out.
 *   - A filter set later does not change what the window already holds.  ncp_tell() gives the lowest
 *     number not yet handed out: resuming there gives again what had overtaken it.  ncp_seek()
 *     drops the window unread.  Not with ncp_span().
 */

/*
 * Groups.  The clients of one user (effective uid) that name the same group share a bus's frames out
 * among themselves, claim by claim: a run of frames, at most about 1 MiB or a 16th of the ring, that
 * one of them took and none other gets.  They need the client registry, in which they keep a file.
 *   - Each frame is given to one member; to a second one only if the first died.  A claim is done
 *     with when its holder asks for more (any reading call, or ncp_wait() that found nothing left of
 *     it); with NCP_HOLD, when ncp_release() says so.  Whoever detaches leaves the rest of his
 *     claim to the others.
 *   - Of a member that dies (however it does) another gets all that was not done with, from the
 *     ring's history, within 100 ms if it is reading: then frames can come a second time, and below
 *     the numbers that came before.  A child of fork() that lives on keeps its parent alive in this
 *     sense, until it calls ncp_detach().
 *   - A member that is stopped or slow keeps its claim.  If that is overrun, it is lost, told
 *     and counted by that member when it comes to it; if it dies before, by who takes over.  What
 *     is overrun before anybody claimed it is lost by who claims it then.  So over all members each
 *     frame is in frames, filtered or lost of one of them, and in others of the rest.
 *   - options.from counts for the first member only.  The group's place lasts as long as the bus (and
 *     its file): who comes when all have left goes on where they were.
 *   - NCP_ENDED and NCP_CLOSED are told when all claims are done, so that somebody is there to take
 *     over; but at most 10 s, or 1 s, after the last frame was given to somebody.
 *   - When the bus is replaced, the group begins with the new one's first frame.
 *   - A window begins with the lowest frame that could come to this member.  ncp_seek() gives
 *     -EINVAL; shards and NCP_ORDERED cannot be had in a group.
 */

/*
 * ncp_attach - attach to a bus.
 *
 *   client   out: the client, NULL on error; give it back with ncp_detach()
 *   bus      its name, without "ncp."
 *   options  see struct ncp_options; NULL: all defaults
 *
 * Believes the state in the header and waits for no heartbeat.  With NCP_RELIABLE it waits, five
 * seconds at most, until the producer has granted it.
 * Returns 0; NCP_ENAME, NCP_ENOBUS, NCP_ENOTREADY, NCP_ENOTBUS, NCP_EVERSION, NCP_ETRUNCATED,
 * NCP_EFOREIGN, NCP_EACCESS, NCP_ECORRUPT, NCP_ENOTRELIABLE, -EINVAL, or -errno of open, fstat,
 * mmap, malloc.
 */
NCP_MUST_CHECK int ncp_attach(struct ncp_client **client, const char *bus,
			      const struct ncp_options *options);

/* ncp_detach - let go of the bus, close and free everything.  NULL is fine.  Views become invalid. */
void ncp_detach(struct ncp_client *client);

/*
 * ncp_recv - copy the next frame out of the bus, if there is one.
 *
 *   buf   cap bytes, the caller's, any alignment; too small is not an error: f->caplen is what
 *         was captured, min(caplen, cap) bytes are in buf, f->data == buf
 *   f     means something only when 1 is returned
 *
 * What it returned is whole: it was checked after the copy.  Never blocks; makes no system call
 * but, a few times a second, one pwrite of the registry line.
 * Returns 1 (frame or event), 0 (nothing new), NCP_ECORRUPT (a block breaks the rules; the client
 * stays where it is), NCP_EGROUP (the group's file was damaged), NCP_EFORK, -EINVAL.
 * Ordering: steps C1-C4 of layout.h.  Source: doc/bus-format.md, "Reading".
 */
NCP_MUST_CHECK int ncp_recv(struct ncp_client *client, void *buf, size_t cap, struct ncp_frame *f);

/*
 * ncp_next - the next frame, in place.
 *
 * f->data points into the ring until the next call on this client.  That call first looks whether
 * the frame it handed out before was overwritten while in use; if so it returns NCP_LOST with that
 * frame's number in it, and the frame counts as lost, not as read.
 * Returns as ncp_recv().
 */
NCP_MUST_CHECK int ncp_next(struct ncp_client *client, struct ncp_frame *f);

/*
 * ncp_next_batch - up to n frames at once, in place.
 *
 *   frames  n of them, frames[0].size set
 *
 * An event comes alone.  The next call checks the whole batch as ncp_next() does its frame.
 * Returns how many were filled (0: nothing new), or as ncp_recv().
 */
NCP_MUST_CHECK int ncp_next_batch(struct ncp_client *client, struct ncp_frame *frames, int n);

/*
 * ncp_intact - is everything from this position on still as it was published?
 *
 *   position  of a frame or span of the present incarnation
 *
 * 1: whatever was read from there before this call was whole.  0: overwritten, or about to be.
 * The acquire fence that makes this true is inside.
 */
NCP_MUST_CHECK int ncp_intact(const struct ncp_client *client, uint64_t position);

/* A run of whole blocks of the ring, as they stand in a pcapng file. */
struct ncp_span {
	uint32_t size;		/* sizeof(struct ncp_span) */
	uint32_t prologue_len;	/* bytes at prologue */
	const uint8_t *data;	/* len bytes; never split by the ring's wrap */
	size_t len;		/* a multiple of 4 */
	uint64_t position;	/* of data[0]: data is at an address congruent to position modulo
				 * the page size (and to 2 MiB) */
	uint64_t first_seq;	/* the frames in it are [first_seq, next_seq); blocks that are no */
	uint64_t next_seq;	/* frames stand between them and are the reader's to skip */
	uint64_t incarnation;
	const uint8_t *prologue; /* Section Header and Interface Description Blocks that cover every
				 * frame of the span: append-only, a longer one begins with the
				 * same bytes */
};
#define NCP_SPAN_INIT { .size = sizeof(struct ncp_span) }

/*
 * ncp_span - the next run of whole blocks, raw.
 *
 *   max_len  at most so many bytes, except that one block (with what stands before the next
 *            waypoint) may be longer; 0: as many as there are
 *   span     filled when 1 is returned and ev->kind is NCP_SPAN
 *   ev       an event otherwise
 *
 * Costs nothing per frame: a span ends at a waypoint or at the newest frame.  Frames are counted
 * as read when they are handed out; a caller that finds them overwritten (ncp_intact) says so with
 * ncp_span_lost().  Unlike ncp_next(), the next call does not look back.  Filters do not apply.
 * After NCP_REATTACHED the old spans stay mapped until the next call.
 * Returns as ncp_recv().
 */
NCP_MUST_CHECK int ncp_span(struct ncp_client *client, size_t max_len, struct ncp_span *span,
			    struct ncp_frame *ev);

/*
 * ncp_prologue - what a file or stream of the bus's frames begins with, known before any frame.
 *
 *   data  out: a Section Header Block and the Interface Description Blocks there are now;
 *         valid as long as a span of this incarnation
 *   len   out: their bytes.  Append-only: more interfaces make it longer, see ncp_span.prologue_len
 *
 * Returns 0, NCP_ECORRUPT, NCP_EFORK.
 */
NCP_MUST_CHECK int ncp_prologue(const struct ncp_client *client, const uint8_t **data,
				uint32_t *len);

/* ncp_span_lost - n frames that spans gave out were overwritten before use: lost, not read. */
void ncp_span_lost(struct ncp_client *client, uint64_t n);

/* ncp_release - with NCP_HOLD: everything before this position is done with.  A reliable client's
 * producer may overwrite it from now on.  Never goes back; a lower position is ignored. */
void ncp_release(struct ncp_client *client, uint64_t position, uint64_t seq);

/* An interface of the bus: an Interface Description Block of its prologue. */
struct ncp_interface {
	uint32_t size;		/* sizeof(struct ncp_interface) */
	uint32_t linktype;	/* LINKTYPE_ as in the pcapng block, not DLT_ */
	uint32_t snaplen;	/* the producer's real limit, not if_snaplen */
	const char *name;	/* if_name; "" if it has none.  Valid until detach or re-attach */
	const char *description; /* if_description, "" if none; as name */
	uint64_t published;	/* frames of it in the bus so far */
	uint64_t received;	/* frames that reached the kernel's hook, or that the source read */
	uint64_t kernel_drops;	/* of these, dropped by the kernel for want of room */
};
#define NCP_INTERFACE_INIT { .size = sizeof(struct ncp_interface) }

/* ncp_interface - describe interface index (from 0).  Returns 0, -ERANGE, NCP_ECORRUPT. */
NCP_MUST_CHECK int ncp_interface(struct ncp_client *client, uint32_t index,
				 struct ncp_interface *i);

/*
 * ncp_wait - sleep until there is something to read, a frame or an event.
 *
 *   timeout_ms  < 0: no limit
 *
 * Returns 1, 0 (time is up), -EINTR.  Wakes within 20 ms of a frame even if every wake-up is stolen
 * (250 ms on a bus that is paused, stopped or dead).
 */
NCP_MUST_CHECK int ncp_wait(struct ncp_client *client, int timeout_ms);

/*
 * ncp_fd - a descriptor for poll(), readable when there may be something to read.
 *
 * Starts one thread for this client at the first call (a futex cannot be polled).  Read until
 * ncp_next() returns 0, then poll again; do not read or close the descriptor.
 * Returns the descriptor, or -errno of eventfd or pthread_create.
 */
NCP_MUST_CHECK int ncp_fd(struct ncp_client *client);

/*
 * ncp_seek - go somewhere else in the bus.
 *
 * A new window of the ledger (struct ncp_stats) begins there.  What oldest or a time no longer
 * finds is missing, not lost; a number that is gone is lost and comes as NCP_LOST.
 * Returns 0, -ERANGE (a number beyond the newest frame), -EINVAL.
 */
NCP_MUST_CHECK int ncp_seek(struct ncp_client *client, const struct ncp_where *where);

/* A place to come back to. */
struct ncp_cursor {
	uint32_t size;		/* sizeof(struct ncp_cursor) */
	uint64_t incarnation;
	uint64_t seq;		/* the frame after the last one handed out */
	uint64_t position;	/* where its block starts, or will */
};
#define NCP_CURSOR_INIT { .size = sizeof(struct ncp_cursor) }

/* ncp_tell - where the client stands.  Returns 0, NCP_EFORK, -EINVAL. */
NCP_MUST_CHECK int ncp_tell(const struct ncp_client *client, struct ncp_cursor *cursor);

/*
 * ncp_set_filter - from the next frame on, hand out only frames that match.
 *
 *   expr  pcap-filter(7), with the meaning it has for tcpdump -r on the same frames; NULL or "":
 *         every frame.  Compiled per link type; a frame of an interface that it does not fit
 *         counts as filtered
 *   error, error_cap  get one line of text on failure; may be NULL, 0
 *
 * Loads libpcap (dlopen) at the first call.
 * Returns 0, 1 (some of the bus's interfaces do not fit it), NCP_EFILTER (compiles for none of
 * them), NCP_ENOPCAP, -ENOMEM.
 */
NCP_MUST_CHECK int ncp_set_filter(struct ncp_client *client, const char *expr, char *error,
				  size_t error_cap);

/* One instruction of classic BPF: the layout of struct bpf_insn and struct sock_filter. */
struct ncp_bpf_insn {
	uint16_t code;
	uint8_t jt, jf;
	uint32_t k;
};

/*
 * ncp_set_bpf - the same with a compiled program, for frames of every link type.
 *
 *   program  n instructions, copied; n == 0: every frame
 *
 * The program is checked (every jump inside, no division by a constant zero, ends in a
 * return).  Kernel extensions (SKF_AD_*) are refused.
 * Returns 0, NCP_EFILTER, -ENOMEM.
 */
NCP_MUST_CHECK int ncp_set_bpf(struct ncp_client *client, const struct ncp_bpf_insn *program,
			       size_t n);

/* One window of the ledger: frames + filtered + others + lost == next_seq - first_seq, always. */
struct ncp_window {
	uint64_t incarnation;	/* 0: there was no such window */
	uint64_t first_seq;	/* the number asked for, else of the first frame given */
	uint64_t next_seq;	/* one past the last frame accounted for */
	uint64_t frames;	/* handed out and not lost afterwards */
	uint64_t filtered;	/* passed over because the filter said no */
	uint64_t others;	/* left to the other shards, or to the group's other members */
	uint64_t lost;		/* overwritten before they were read */
};

struct ncp_stats {
	uint32_t size;		  /* sizeof(struct ncp_stats) */
	uint32_t reattached;	  /* how many times the bus was replaced under this client */
	struct ncp_window now;	  /* since attach, the last seek, or the last re-attach */
	struct ncp_window before; /* the window that ended when now began */
	struct ncp_window total;  /* sums over all windows; first_seq, next_seq: of the present one */
	uint64_t waiting;	  /* NCP_ORDERED: frames met and not yet handed out.  now.next_seq is
				   * one past the last frame met, less these: so the sum holds, and
				   * once none waits, next_seq is what it says */
	uint64_t late;		  /* NCP_ORDERED: frames handed out after one of a higher time */
};
#define NCP_STATS_INIT { .size = sizeof(struct ncp_stats) }

/* ncp_stats - the client's own ledger.  A frame handed out by ncp_next() counts as read until the
 * next call finds otherwise.  Returns 0, NCP_EFORK, -EINVAL. */
NCP_MUST_CHECK int ncp_stats(const struct ncp_client *client, struct ncp_stats *s);

/* What the bus's header says, and what follows from it. */
struct ncp_bus_info {
	uint32_t size;		/* sizeof(struct ncp_bus_info) */
	uint32_t state;		/* enum ncp_state; NCP_DEAD when the heartbeat stopped */
	uint32_t reason;	/* enum ncp_reason */
	uint32_t pid;		/* of the producer, for display only (pid namespaces) */
	uint32_t n_interfaces;
	uint32_t n_workers;
	uint32_t snaplen;
	uint32_t reliable;	/* 1: started with --reliable */
	uint64_t epoch;		/* +1 at each start of a producer on this segment */
	uint64_t incarnation;
	uint64_t replaced;	/* the incarnation before, 0: none; and the number after its last */
	uint64_t replaced_next_seq; /* frame */
	uint64_t created_ns;	/* ns since 1970 UTC */
	uint64_t ring_size;	/* bytes */
	uint64_t oldest_seq;	/* the oldest frame that can be sought; == next_seq: none */
	uint64_t oldest_ts_ns;	/* its time, 0: none */
	uint64_t next_seq;	/* the number the next frame will have == frames published */
	uint64_t newest_ts_ns;	/* the highest time of a frame so far, 0: none */
	uint64_t head;		/* ring positions: published up to here, intact from here on */
	uint64_t tail;
	uint64_t bytes;		/* sum of captured lengths published */
	uint64_t received;	/* frames that reached the kernel's hook; with a file: read from it */
	uint64_t kernel_drops;	/* of these, dropped by the kernel for want of room */
	uint64_t freezes;	/* times the kernel's ring was full */
	uint64_t truncated;	/* published with caplen < len */
	uint64_t discarded;	/* received, and not published on purpose (snaplen 0, -Q, -c) */
	char name[64];
	uint64_t trusted_uid;	/* who owns the segment */
	uint64_t heartbeat;	/* changes at least every 250 ms while a producer lives */
	uint64_t heartbeat_ns;	/* ns since 1970 UTC: its last sign of life, as it told */
};
#define NCP_BUS_INFO_INIT { .size = sizeof(struct ncp_bus_info) }

/* ncp_bus_info - look at the bus.  Cheap; no system call but clock_gettime.  Returns 0,
 * NCP_EFORK, NCP_ECORRUPT, -EINVAL. */
NCP_MUST_CHECK int ncp_bus_info(struct ncp_client *client, struct ncp_bus_info *info);

/* A worker of the producer. */
struct ncp_worker {
	uint32_t size;		/* sizeof(struct ncp_worker) */
	uint32_t index;
	uint64_t published, bytes, received, kernel_drops, freezes, truncated, discarded;
};
#define NCP_WORKER_INIT { .size = sizeof(struct ncp_worker) }

/* ncp_worker - one worker's counters, index < ncp_bus_info.n_workers.  Returns 0, -ERANGE. */
NCP_MUST_CHECK int ncp_worker(struct ncp_client *client, uint32_t index, struct ncp_worker *w);

/* A client, as its own line in the registry tells it: its owner can lie about himself. */
struct ncp_peer {
	uint32_t size;		/* sizeof(struct ncp_peer) */
	uint32_t uid;		/* owner of the line: cannot be forged */
	uint32_t pid;		/* as told */
	uint32_t reliable;	/* 0: no, 1: granted by the producer, 2: was evicted */
	uint64_t incarnation;	/* of the bus it reads */
	uint64_t seq;		/* next frame it will read, clamped to what is published */
	uint64_t position;	/* clamped likewise */
	uint64_t frames, filtered, others, lost; /* as told */
	uint64_t since_ns;	/* attached at, ns since 1970 UTC, as told */
	char name[64];		/* as told; every byte that is no printable ASCII made '?' */
};
#define NCP_PEER_INIT { .size = sizeof(struct ncp_peer) }

/*
 * ncp_peers - the live clients of the bus.
 *
 *   peers  up to n of them, peers[0].size set; NULL with n == 0 to count
 *
 * Returns how many there are (may exceed n; looks at no more than 65536 files), or -errno.  Reads
 * the registry directory: some system calls per client.
 */
NCP_MUST_CHECK int ncp_peers(struct ncp_client *client, struct ncp_peer *peers, int n);

/* A name found by ncp_list(). */
struct ncp_bus_name {
	char name[64];
};

/*
 * ncp_list - the busses of this host.
 *
 *   dir    as in ncp_options
 *   names  up to n, sorted; NULL with n == 0 to count
 *
 * Returns how many there are (may exceed n), or -errno of opendir.  A name is listed whether or not
 * the caller may attach.
 */
NCP_MUST_CHECK int ncp_list(const char *dir, struct ncp_bus_name *names, int n);

/* Texts, in English, one line, static. */
const char *ncp_strerror(int code);
const char *ncp_state_name(uint32_t state);   /* "live", ...; "unknown" */
const char *ncp_reason_text(uint32_t reason); /* "interface down", ...; "" for none */

#ifdef __cplusplus
}
#endif
#endif
