/* SPDX-License-Identifier: BSD-2-Clause */
/* handle.h - what stands behind a pcap_t that reads a bus. */
#ifndef PCAP_SHIM_HANDLE_H
#define PCAP_SHIM_HANDLE_H

#include <ncpbus.h>
#include <pcap/pcap.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "device.h"
#include "filter.h"

/* As libpcap has it: the most that is captured of a frame, and what 0 stands for. */
#define SNAPLEN_MAX 262144

/*
 * The program holds outer, a pcap_t that libpcap made (pcap_open_dead), so that a call that this library
 * does not know finds a whole one.  From activation on there is inner, one with the link type,
 * length and precision of this handle: what only libpcap can do, it does with that one.
 *
 * A handle is used by one thread at a time, as libpcap's own; breaking alone is for all.
 */
struct handle {
	pcap_t *outer, *inner;	/* inner: NULL until activated */
	char *name;		/* of the device, as the program gave it */

	/* What the program set before it activated; what has no meaning for a bus is not kept. */
	int snaplen, timeout_ms;
	int precision;		/* PCAP_TSTAMP_PRECISION_ */
	int tstamp_type;

	struct device device;
	struct ncp_client *client;
	char *dir;		/* of the busses */
	int keeper;		/* see keeper.h; -1: none */
	struct ncp_cursor at;	/* where to go on in a child of fork() */
	struct filter filter;
	pcap_direction_t direction;
	uint32_t linktype;	/* of the frames that are handed out */
	uint32_t *linktypes;	/* by interface, for the n_interfaces met so far */
	uint32_t n_interfaces;
	int fd;			/* what the program polls; -1: it has not asked */
	bool nonblock;
	bool end_due;		/* the bus has ended, and this is yet to be said */
	atomic_bool breaking;

	uint64_t frames, lost;	/* handed out; overwritten before they were read */
	uint64_t drops;		/* of the kernel at the producer, in busses left behind */
	uint64_t drops_of;	/* the incarnation that the next two count in */
	uint64_t drops_first, drops_last; /* when it was attached, and when last looked at */

	struct pcap_pkthdr head; /* of the frame taken last */
	uint8_t *data;		/* its bytes */
	size_t data_cap;	/* snaplen, or SNAPLEN_MAX if the filter has to look at them here */
	char error[PCAP_ERRBUF_SIZE];
};

/* handle_of - the handle behind a pcap_t, NULL if it is a real one.  For any thread, and for handlers
 * of signals. */
struct handle *handle_of(pcap_t *p);

/*
 * handle_make - a handle for a device, in the table.  handle_free undoes it, from any state.
 *
 *   error  PCAP_ERRBUF_SIZE bytes: why not, if NULL is returned
 */
struct handle *handle_make(const char *name, char *error);
void handle_free(struct handle *h);

/* handle_fail - printf into the handle's error text; returns code. */
int handle_fail(struct handle *h, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* handle_ready - 0, or PCAP_ERROR_NOT_ACTIVATED with its text; handle_fresh the other way round. */
int handle_ready(struct handle *h);
int handle_fresh(struct handle *h);

/* --- feed.c: the bus behind it ---------------------------------------------------------------- */

/* feed_attach - attach to the device's bus and go where it says.  Returns 0, a PCAP_WARNING with its
 * text, or a PCAP_ERROR with its text. */
int feed_attach(struct handle *h);

/* feed_dlt - libpcap's DLT_ for a LINKTYPE_. */
int feed_dlt(uint32_t linktype);

/* feed_filter - from here on, take only what a filter takes, which becomes the handle's.  0, or -1 with
 * its text, and the old one stays. */
int feed_filter(struct handle *h, struct filter *f);

/* feed_take - what there is to take. */
enum feed_take {
	FEED_ERROR = -1,	/* h->error says which */
	FEED_NOTHING,
	FEED_FRAME,	/* in h->head and h->data */
	FEED_ENDED,	/* no further frame will come; said once */
	FEED_BREAK,	/* pcap_breakloop() was called while frames were passed over */
};
enum feed_take feed_take(struct handle *h);

/* feed_wait - sleep until there is something to take, breaking is set, or ms are over (< 0: never); in
 * slices, so that breaking is seen soon.  0, or -1 with its text. */
int feed_wait(struct handle *h, int ms);

/* feed_fd - the descriptor to poll, the same for the handle's life; -1 with its text. */
int feed_fd(struct handle *h);

/* feed_stats - the handle's counters as pcap_stats() gives them.  0, or -1 with its text. */
int feed_stats(struct handle *h, struct pcap_stat *s);

/* feed_linktype_has - does some interface of the bus have this link type? */
bool feed_linktype_has(struct handle *h, uint32_t linktype);

#endif
