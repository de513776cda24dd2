/* SPDX-License-Identifier: BSD-2-Clause */
/* obstacle.h - what keeps a program from being given a library: known before it is run. */
#ifndef NCP_RUN_OBSTACLE_H
#define NCP_RUN_OBSTACLE_H

#include <limits.h>
#include <stddef.h>

/* What of a program's file decides whether a library can be preloaded. */
struct obstacle_file {
	char path[PATH_MAX];	/* what the system loads: of a script, its interpreter */
	unsigned char elf_class;
	unsigned short machine;
	char loader[128];	/* the dynamic loader it asks for; "": statically linked */
};

/*
 * obstacle_read - look into a program's file; through scripts to their interpreter.
 *
 * Returns 0, or -errno: -ENOEXEC for what is neither a script nor an ELF file, -ELOOP for scripts
 * of scripts of scripts.
 */
int obstacle_read(const char *path, struct obstacle_file *file)
	__attribute__((warn_unused_result));

/* What is in the way, and what can be done: texts, the first one empty if there is nothing. */
struct obstacle {
	char why[128];
	char todo[256 + PATH_MAX];
};

/*
 * obstacle_find - would the system load a library into this program, if this process ran it now, and
 * may the program use it?
 *
 *   file     of the program
 *   own      of this process: the same loader is asked for, or another
 *   root     put in front of /etc and /sys; "" but in tests
 *   snippet  the file with the lines for an AppArmor profile
 */
void obstacle_find(const struct obstacle_file *file, const struct obstacle_file *own,
		   const char *root, const char *snippet, struct obstacle *o);

/* obstacle_rights - would running this file change this process's rights, so that the loader obeys
 * no environment?  The reason, NULL if not. */
const char *obstacle_rights(const char *path);

#endif
