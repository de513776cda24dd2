/* SPDX-License-Identifier: BSD-2-Clause */
/* python.c - run reader.py beside a test: a line in, a line out, its exit status. */
#include "python.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap/tap.h"

#define SILENCE_MS 10000

/* The interpreter itself: the python3 of PATH may be a wrapper that takes longer than it does. */
static const char *interpreter(void)
{
	static char path[4096];

	if (*path)
		return path;
	FILE *f = popen("exec python3 -S -c 'import sys; print(sys.executable)'", "re");
	if (!f || !fgets(path, sizeof(path), f) || pclose(f) != 0)
		bail("no python3");
	path[strcspn(path, "\n")] = '\0';
	return path;
}

void python_start(struct python *p, const char *const *args)
{
	/* Without the site's own modules: starts in half the time. */
	const char *argv[24] = { interpreter(), "-S", "-s", "-E", "tests/format/reader.py" };
	int to[2], from[2];

	for (int i = 0; args[i]; i++) {
		if (i == 18)
			bail("too many arguments for reader.py");
		argv[i + 5] = args[i];
	}
	if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0)
		bail("pipe: %s", strerror(errno));
	*p = (struct python){ .in = to[1], .out = from[0] };
	p->pid = fork();
	if (p->pid < 0)
		bail("fork: %s", strerror(errno));
	if (p->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(to[0], 0);
		dup2(from[1], 1);
		dup2(from[1], 2);
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	close(to[0]);
	close(from[1]);
}

void python_step(struct python *p)
{
	if (write(p->in, "\n", 1) != 1)
		bail("reader.py is gone: %s", strerror(errno));
}

const char *python_line(struct python *p)
{
	for (;;) {
		char *line = p->buf + p->used;
		char *end = memchr(line, '\n', p->len - p->used);

		if (end) {
			*end = '\0';
			p->used = (size_t)(end + 1 - p->buf);
			return line;
		}
		memmove(p->buf, line, p->len - p->used);
		p->len -= p->used;
		p->used = 0;
		if (p->len == sizeof(p->buf))
			bail("a line of reader.py is too long");
		struct pollfd f = { .fd = p->out, .events = POLLIN };
		if (poll(&f, 1, SILENCE_MS) == 0)
			bail("reader.py is silent");
		ssize_t n = read(p->out, p->buf + p->len, sizeof(p->buf) - p->len);
		if (n < 0 && errno != EINTR)
			bail("read from reader.py: %s", strerror(errno));
		if (n == 0)
			return NULL;
		if (n > 0)
			p->len += (size_t)n;
	}
}

void python_finish(struct python *p)
{
	if (p->in >= 0)
		close(p->in);
	p->in = -1;
}

int python_end(struct python *p)
{
	const char *line;
	int status;

	python_finish(p);
	while ((line = python_line(p)))
		diag("reader.py: %s", line);
	close(p->out);
	while (waitpid(p->pid, &status, 0) < 0)
		if (errno != EINTR)
			bail("waitpid: %s", strerror(errno));
	*p = (struct python){ 0 };
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Where the value of a key begins; the first of that name in the line. */
static const char *value_of(const char *line, const char *key)
{
	char quoted[64];

	snprintf(quoted, sizeof(quoted), "\"%s\": ", key);
	const char *at = strstr(line, quoted);
	if (!at)
		bail("no \"%s\" in: %s", key, line);
	return at + strlen(quoted);
}

uint64_t json_u64(const char *line, const char *key)
{
	const char *at = value_of(line, key);

	if (strncmp(at, "null", 4) == 0)
		return UINT64_MAX;
	return strtoull(at + (*at == '"'), NULL, 0);
}

bool json_is(const char *line, const char *key, const char *value)
{
	const char *at = value_of(line, key);
	size_t n = strlen(value);

	return at[0] == '"' && strncmp(at + 1, value, n) == 0 && at[n + 1] == '"';
}

size_t json_hex(const char *line, const char *key, uint8_t *buf, size_t cap)
{
	const char *at = value_of(line, key) + 1;
	size_t n = strcspn(at, "\"") / 2;
	unsigned byte;

	for (size_t i = 0; i < n && i < cap && sscanf(at + 2 * i, "%2x", &byte) == 1; i++)
		buf[i] = (uint8_t)byte;
	return n;
}
