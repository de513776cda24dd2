/* SPDX-License-Identifier: BSD-2-Clause */
/* split.h - --split-interfaces: a store, and so a series of files, for each interface of the bus. */
#ifndef SPLIT_H
#define SPLIT_H

/*
 * The series of interface eth0 is that of FILE_eth0.EXT, where FILE.EXT is the name given with -w.  It
 * begins with the interface's first frame.  In its files the interface is the only one, number 0, so
 * that they can be read by what wants one link type in a file.
 *
 * Where the bus is replaced, an interface of the same name and link type goes on in its series.
 * Calls correspond to those of store.h; each goes to all the stores.
 */

#include <ncpbus.h>
#include <stdbool.h>
#include <stdint.h>

#include "ledger.h"
#include "options.h"
#include "store.h"

struct split;

/* split_open - before the first frame.  Returns 0, -ENOMEM. */
int split_open(struct split **sp, const struct dump_options *o, struct ncp_client *c,
	       struct ledger *ledger) __attribute__((warn_unused_result));

/* What the stores have in common is told to the one that stands for them: sums, the last path, whether
 * one of them has ended. */
void split_sum(const struct split *sp, struct store *s);

int split_frames(struct split *sp, struct store *s, struct ncp_frame *f, int n)
	__attribute__((warn_unused_result));
int split_reattached(struct split *sp) __attribute__((warn_unused_result));
int split_gap(struct split *sp, uint64_t incarnation, uint64_t first, uint64_t next)
	__attribute__((warn_unused_result));

/* split_all - call one of the store's functions for each; the first error ends it. */
int split_all(struct split *sp, int (*call)(struct store *s)) __attribute__((warn_unused_result));

int split_tick(struct split *sp, uint64_t now_ns, bool idle) __attribute__((warn_unused_result));
int split_nap_ms(struct split *sp, uint64_t now_ns);
uint64_t split_size(const struct split *sp);

/* split_abandon - see store_abandon(): in the ledger what could not be kept of any file is as if the
 * capture had not come to it. */
void split_abandon(struct split *sp, struct ledger *ledger);

void split_close(struct split *sp);

/*
 * split_name - the name with which an interface's series begins.
 *
 *   path       as -w has it
 *   interface  its name, as the bus tells it: whatever is not fit for a name of a file becomes '_'
 *   index      stands in for an empty name
 *   again      > 0: so many others are called the same
 *
 * Returns 0, -ENAMETOOLONG.  Pure.
 */
int split_name(char *out, size_t cap, const char *path, const char *interface, uint32_t index,
	       uint32_t again) __attribute__((warn_unused_result));

#endif
