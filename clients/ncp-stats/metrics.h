/* SPDX-License-Identifier: BSD-2-Clause */
/* metrics.h - busses in the words of Prometheus; the names are a contract (ncp-stats(1), METRICS). */
#ifndef METRICS_H
#define METRICS_H

#include <stdbool.h>
#include <stdio.h>

#include "fleet.h"

#define METRICS_TYPE_TEXT "text/plain; version=0.0.4; charset=utf-8"
#define METRICS_TYPE_OPEN "application/openmetrics-text; version=1.0.0; charset=utf-8"

/*
 * metrics_print - all of a fleet.
 *
 *   open  as OpenMetrics 1.0, else in Prometheus' text format 0.0.4
 *
 * Source: prometheus.io, "Exposition formats"; the OpenMetrics specification.
 */
void metrics_print(FILE *f, const struct fleet *fleet, bool open);

/* metrics_wants_open - does a client with this Accept header ask for OpenMetrics?  NULL: no. */
bool metrics_wants_open(const char *accept);

#endif
