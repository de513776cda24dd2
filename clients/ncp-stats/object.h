/* SPDX-License-Identifier: BSD-2-Clause */
/* object.h - a snapshot as a JSON object: its names are a contract (ncp-stats(1), JSON). */
#ifndef OBJECT_H
#define OBJECT_H

#include "snapshot.h"
#include "traffic.h"
#include "util/json.h"

/* object_snapshot - append one object that tells all of s, and of the traffic if it was looked at
 * (else NULL). */
void object_snapshot(struct json *j, const struct snapshot *s, const struct traffic *traffic);

/* object_unknown - a bus that is there and cannot be attached: its state is null. */
void object_unknown(struct json *j, const char *bus, const char *why);

#endif
