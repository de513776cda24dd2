/* SPDX-License-Identifier: BSD-2-Clause */
/* terminal.h - ncp-stats on a terminal: look, show, read keys, until it is enough. */
#ifndef TERMINAL_H
#define TERMINAL_H

#include "options.h"
#include "ticker.h"

/* terminal_run - show o->bus, or every bus in turn, until a signal or a key ends it; what was seen
 * last of the bus stays on the terminal as text.  Returns an exit status; errors are said. */
int terminal_run(const struct stats_options *o, struct ticker *t);

#endif
