/* SPDX-License-Identifier: BSD-2-Clause */
/* command.h - the command of -z: one process for each file, at the lowest priority. */
#ifndef COMMAND_H
#define COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Those that run. */
struct command {
	struct command_run {
		pid_t pid;
		char *path;
	} *run;
	size_t n, cap;
};

/*
 * command_start - run `name path`, without a shell, and do not wait for it.
 *
 *   name  found by PATH
 *
 * In a process group of its own, so that Ctrl-C does not end it half way.  Says it if the command
 * cannot be started.
 */
void command_start(struct command *c, const char *name, const char *path);

/* command_reap - take note of those that ended; wait: of all of them.  Says which failed. */
void command_reap(struct command *c, const char *name, bool wait);

/* command_free - forget those that run. */
void command_free(struct command *c);

#endif
