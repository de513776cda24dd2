/* SPDX-License-Identifier: BSD-2-Clause */
/* depth.h - how far back a ring remembers. */
#ifndef DEPTH_H
#define DEPTH_H

#include <stdint.h>

#include "libncpbus/segment.h"

/*
 * depth_ns - the time between the oldest intact waypoint and the newest one, in ns: what the ring holds,
 * less what stands before the one (64 KiB or so) and behind the other.
 *
 * While others publish: what was overwritten meanwhile is no waypoint.  Returns UINT64_MAX when there is
 * none to be found.
 */
uint64_t depth_ns(const struct ncpi_segment *seg);

#endif
