/* SPDX-License-Identifier: BSD-2-Clause */
/* command.c - the command of -z: one process for each file, at the lowest priority. */
#include "command.h"

#include <errno.h>
#include <ncpbus.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/message.h"

static void say(const char *name, const char *path, const char *why)
{
	message_note(MESSAGE_TEXT("-z %s %s", name, path), why, NULL);
}

static int spawn(const char *name, const char *path, pid_t *pid)
{
	char *const argv[] = { (char *)name, (char *)path, NULL };
	posix_spawnattr_t attr;
	sigset_t none, pipe;
	int r = posix_spawnattr_init(&attr);

	if (r)
		return -r;
	sigemptyset(&none);
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	/* The thread that calls this takes no signal; its children do. */
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &pipe);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
						POSIX_SPAWN_SETPGROUP);
	r = posix_spawnp(pid, name, NULL, &attr, argv, environ);
	posix_spawnattr_destroy(&attr);
	return -r;
}

void command_start(struct command *c, const char *name, const char *path)
{
	struct command_run run = { .path = strdup(path) };
	int r = run.path ? 0 : -ENOMEM;

	if (r == 0 && c->n == c->cap) {
		size_t cap = c->cap ? 2 * c->cap : 8;
		void *more = realloc(c->run, cap * sizeof(*c->run));

		if (more) {
			c->run = more;
			c->cap = cap;
		}
		r = more ? 0 : -ENOMEM;
	}
	if (r == 0)
		r = spawn(name, path, &run.pid);
	if (r < 0) {
		say(name, path, ncp_strerror(r));
		free(run.path);
		return;
	}
	/* As tcpdump: the capture goes first. */
	setpriority(PRIO_PROCESS, (id_t)run.pid, 19);
	c->run[c->n++] = run;
}

void command_reap(struct command *c, const char *name, bool wait)
{
	for (size_t i = 0; i < c->n;) {
		int status;
		pid_t p = waitpid(c->run[i].pid, &status, wait ? 0 : WNOHANG);

		if (p == 0 || (p < 0 && errno == EINTR)) {
			i += p == 0;
			continue;
		}
		if (p > 0 && WIFSIGNALED(status))
			say(name, c->run[i].path, MESSAGE_TEXT("killed by signal %d", WTERMSIG(status)));
		else if (p > 0 && WEXITSTATUS(status))
			say(name, c->run[i].path,
			    MESSAGE_TEXT("exit status %d", WEXITSTATUS(status)));
		free(c->run[i].path);
		c->run[i] = c->run[--c->n];
	}
}

void command_free(struct command *c)
{
	for (size_t i = 0; i < c->n; i++)
		free(c->run[i].path);
	free(c->run);
	*c = (struct command){ 0 };
}
