/* SPDX-License-Identifier: BSD-2-Clause */
/* store_impl.h - what the files store*.c share. */
#ifndef STORE_IMPL_H
#define STORE_IMPL_H

#include "store.h"

/* store_rotate_at - go on in the next file with the frame at that place.  If there is to be none, the file
 * stays open, and s->ended. */
int store_rotate_at(struct store *s, enum rotation_why why, const struct ncp_cursor *at)
	__attribute__((warn_unused_result));

/* store_reached - up to where everything that was read is wanted. */
int store_reached(const struct store *s, struct ncp_cursor *at)
	__attribute__((warn_unused_result));

/* store_interfaces - read the counters of the first n interfaces, for the statistics at the end; with
 * `first`, where they begin. */
int store_interfaces(struct store *s, uint32_t n, bool first) __attribute__((warn_unused_result));

#endif
