/* SPDX-License-Identifier: BSD-2-Clause */
/* show.h - frames as lines, when no file of frames is written. */
#ifndef SHOW_H
#define SHOW_H

#include <ncpbus.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger.h"

struct show {
	struct ncp_client *c;
	struct ledger *ledger;
	uint64_t snaplen; /* 0: none */
	bool at_once;	  /* hand each batch on as it comes */
	bool flows;	  /* print_flow() in place of print_line() */
	int fd;		  /* where to */
	char *text;
	size_t len;
	struct show_interface {
		char *name; /* safe to print */
		uint32_t linktype;
	} *interface;
	uint32_t n_interfaces;
};

/*
 * show_open - begin.
 *
 *   flows  not NULL: only flows, into this file, which is made with mode 0640 or overwritten ("-":
 *	    stdout); NULL: lines, to stdout
 *
 * Returns 0, -ENOMEM, -errno of open.
 */
int show_open(struct show *s, struct ncp_client *c, struct ledger *ledger, uint64_t snaplen,
	      bool at_once, const char *flows) __attribute__((warn_unused_result));

/* show_reattached - forget the old bus's interfaces. */
void show_reattached(struct show *s);

/*
 * show_frames - print n frames; what was overrun meanwhile is left out and counted as lost.
 * Returns 0, -errno of write (-EPIPE: the reader has gone).
 */
int show_frames(struct show *s, const struct ncp_frame *f, int n)
	__attribute__((warn_unused_result));

/* show_flush - hand on what is there. */
int show_flush(struct show *s) __attribute__((warn_unused_result));

void show_close(struct show *s);

#endif
