/* SPDX-License-Identifier: BSD-2-Clause */
/* source.h - where frames come from: one struct of operations, one file per kind. */
#ifndef SOURCE_H
#define SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "libncpbus/writer.h"

#define SOURCE_WHY_CAP 256

struct compile_program;
struct packet_list;
struct packet_socket;

/* Other busses that are read from. */
struct bus_list {
	char name[NCPI_WORKERS][NCPI_NAME_CAP];
	uint32_t n;
};

/* What every source may need to know; options.c fills it, sources.c what is below the line. */
struct source_options {
	const char *filter;	/* pcap-filter(7) text, or NULL; compiled per link type */
	uint32_t snaplen;	/* 1..262144 */
	uint64_t kernel_buffer; /* bytes of the AF_PACKET ring, 0: the source chooses */
	uint32_t retire_ms;	/* retire time of a kernel block, and the batch's patience */
	uint32_t batch;		/* frames in one source_batch at most */
	uint32_t direction;	/* 0 both, NCP_INBOUND, NCP_OUTBOUND */
	bool promiscuous;
	bool immediate;		/* deliver each frame at once */
	bool hwtime;		/* times by the interface's own clock, where it has one */
	bool busy;		/* look for frames all the time instead of sleeping */
	double speed;		/* file: 0 = as fast as it goes, else times the original's pace */
	double speed_pps;	/* file: 0, or frames a second */
	uint64_t loop;		/* file: times to play it, 0 = without end */
	uint32_t workers;	/* threads for each source, 1..NCPI_WORKERS */
	int fanout;		/* of packet_socket.h: how they share an interface's frames */
	bool wait;		/* what is not there is waited for */
	bool reliable;		/* clients may be waited for: so should we be, where we are one */
	const char *bus;	/* what is being made, and */
	const char *dir;	/* its directory: NULL: $NCP_DIR, else /dev/shm */

	/* What packet sockets are opened with: those of a source that wants any are added to it. */
	struct packet_list *packets;
	/* Have the helper open another one, like those of packets->want[i]; any thread.
	 * As packet_socket_open(); -EPIPE: nobody is there to do it.  Set before start. */
	int (*packet_again)(void *arg, uint32_t i, struct packet_socket *s);
	void *packet_again_arg;
	/* The busses that a source reads from are added to these. */
	struct bus_list *busses;
	/* Have busses->name[i] opened again; any thread.  As helper_open().  Set before start. */
	int (*bus_again)(void *packet_again_arg, uint32_t i);
	/* Have the filter compiled for packets->want[i] as a device of a link type: the one that was
	 * read last.  As helper_filter_compile().  Set before start. */
	int (*packet_compile)(void *arg, uint32_t i, uint32_t linktype, struct compile_program *p,
			      char *why);
	/* The same for frames that no kernel filters.  As helper_filter_compile_frames(). */
	int (*frames_compile)(void *packet_again_arg, int dlt, struct compile_program *p, char *why);
};

/* Frames taken from a source: a loan, to be given back before the next is taken. */
struct source_batch {
	struct ncpi_frame *frames; /* the source's; interface is the source's own index here, 0 for
				    * its first: the worker maps it to the bus's id */
	size_t n;
	bool one_interface; /* known to be that of them all: the first's */
};

/* Counters since open, monotonic. */
struct source_counts {
	uint64_t received;     /* frames that reached the hook, or were read: published + discarded +
				* kernel_drops when all was drained */
	uint64_t kernel_drops; /* of these, dropped by the kernel for want of room */
	uint64_t freezes;      /* times its ring was full */
	uint64_t discarded;    /* of these, dropped by the source on purpose */
};

/* What source_take() returns beside -errno. */
enum source_taken {
	SOURCE_NOTHING = 0, /* timeout */
	SOURCE_FRAMES = 1,  /* batch->n >= 1 */
	SOURCE_END = 2,	    /* exhausted: no further frame ever */
	SOURCE_PAUSED = 3,  /* the interface is down or gone (reason tells); asked again later */
};

/* A source of frames; embedded as the first member of each kind's own struct. */
struct source {
	const struct source_ops *ops;
	uint32_t reason; /* enum ncp_reason, beside SOURCE_PAUSED or an error */
	uint64_t kernel_times; /* frames whose time the kernel told, though hardware was asked to: relaxed,
				* this thread's to write */
	uint32_t current; /* which of its interfaces it counts, and pauses, for */
	bool keeps_filter; /* it cannot be replaced, though others' of this kind can; set by open */
	char why[SOURCE_WHY_CAP]; /* one line, after an error */
};

struct source_ops {
	const char *kind; /* "afpacket", "file", ... as before the colon */
	const char *usage; /* one line for -h */
	bool live;	  /* stopping it leaves the bus 'stopped' (else it ends with the source) */
	bool commas;	  /* the spec may hold commas: it is the last of a list of sources */
	bool names_bus;	  /* without -b the bus is called as the spec, else as the kind */

	/*
	 * open - make a source ready: privileges are still there, nothing is captured before start.
	 *
	 *   spec  what followed "kind:"
	 *   why   SOURCE_WHY_CAP bytes: on error, "what: why: what to do" without the program's name
	 *
	 * Returns 0, or -errno (-EINVAL: the user's mistake, exit 2; NCP_ENOBUS: exit 3; others exit
	 * 1).  -EAGAIN, with
	 * o->wait only: it is not there yet and could not be opened later, without rights.
	 */
	int (*open)(struct source **src, const char *spec, const struct source_options *o,
		    char *why);

	/*
	 * member - another one that shares what the first delivers, for another thread.
	 *
	 *   first  open, not started
	 *
	 * Returns as open.  NULL: frames of this kind come one after the other.
	 */
	int (*member)(struct source **src, const struct source *first, char *why);

	/* interface - describe interface i (0, 1, ...) known so far.  A file may come to know more
	 * of them as it is read, and an interface may not be there yet.  Returns 1, 0 (no such, yet). */
	int (*interface)(struct source *src, uint32_t i, struct ncpi_interface_desc *d);

	/* start - the filter is in force, frames begin to be taken.  After rights were dropped. */
	int (*start)(struct source *src);

	/*
	 * take - the next frames, waiting timeout_ms at most; EINTR ends the wait early.
	 *
	 * Returns enum source_taken or -errno with src->why and reason set (frames that came
	 * before were taken before).  The batch stays valid until give.
	 */
	int (*take)(struct source *src, struct source_batch *b, int timeout_ms);
	void (*give)(struct source *src, struct source_batch *b);

	/*
	 * refilter - put the filter that was read last (source_options.packet_compile, frames_compile)
	 * in the place of the present one: each frame is judged by the one or by the other, and
	 * none is missed.
	 *
	 *   why  SOURCE_WHY_CAP bytes, on error
	 *
	 * By another thread than take's, while that may be waiting.  NULL: it keeps
	 * the filter that it was opened with.  Returns 0, -errno (the present one stands).
	 */
	int (*refilter)(struct source *src, char *why);

	/* stop - accept nothing more (drop-all filter); what is in the kernel's ring can still be
	 * taken until SOURCE_NOTHING.  NULL when there is nothing to stop. */
	void (*stop)(struct source *src);

	/* counts - read and accumulate; the one place that reads PACKET_STATISTICS. */
	void (*counts)(struct source *src, struct source_counts *c);

	/* syscalls - what the running source needs beyond the common allow-list: an array of
	 * libseccomp call numbers ended by -1; NULL: none. */
	const int *syscalls;

	/* list - print what there is of this kind, for -D: a line each, or an object each.
	 * NULL: nothing that could be listed.  dir as in source_options.  Returns 0, -errno. */
	int (*list)(FILE *f, bool json, const char *dir);

	void (*close)(struct source *src); /* NULL is fine */
};

/* All kinds there are: source_KIND of source_KIND.c each. */
#define SOURCE_KINDS(KIND) \
	KIND(afpacket) \
	KIND(pcap) \
	KIND(file) \
	KIND(bus) \
	KIND(synth)

#define SOURCE_DECLARE(kind) extern const struct source_ops source_##kind;
SOURCE_KINDS(SOURCE_DECLARE)

/* The same as a table, NULL at the end. */
extern const struct source_ops *const source_kinds[];

/*
 * source_find - the kind of a SOURCE argument, and the spec behind its colon.
 *
 *   arg   "eth0", "afpacket:eth0", "file:PATH", "-", "synth:KEY=VALUE,..."
 *
 * Returns NULL for an unknown kind.
 */
const struct source_ops *source_find(const char *arg, const char **spec);

#endif
