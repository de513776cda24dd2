/* SPDX-License-Identifier: BSD-2-Clause */
/* listen.h - --listen: look at busses, tell the server, until a signal. */
#ifndef LISTEN_H
#define LISTEN_H

#include "options.h"
#include "ticker.h"

/* listen_run - returns an exit status; errors are said. */
int listen_run(const struct stats_options *o, struct ticker *t);

#endif
