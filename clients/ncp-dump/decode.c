/* SPDX-License-Identifier: BSD-2-Clause */
/* decode.c - another program that decodes: tcpdump, or tshark, with our frames on its stdin. */
#include "decode.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <ncpbus.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/message.h"

#define WORDS_MAX 256

int decode_words(char *line, char **words, int cap)
{
	char *in = line, *out = line, quote = 0;
	bool word = false;
	int n = 0;

	for (;; in++) {
		bool blank = *in == ' ' || *in == '\t' || *in == '\n';

		if (*in == '\0' && quote)
			return -EINVAL;
		if (*in == '\0' || (blank && !quote)) {
			/* Never behind in: each word's end takes the place of a blank. */
			bool end = *in == '\0';

			if (word)
				*out++ = '\0';
			word = false;
			if (end)
				return n;
			continue;
		}
		if (!word) {
			if (n == cap)
				return -E2BIG;
			words[n++] = out;
			word = true;
		}
		if (quote && *in == quote)
			quote = 0;
		else if (!quote && (*in == '\'' || *in == '"'))
			quote = *in;
		else if (*in == '\\' && quote != '\'' && in[1])
			*out++ = *++in;
		else
			*out++ = *in;
	}
}

/* The full name of a program in $PATH. */
static bool find(const char *program, char path[PATH_MAX])
{
	const char *p = getenv("PATH");

	if (!p || !*p)
		p = "/usr/bin:/bin:/usr/sbin:/sbin";
	while (*p) {
		size_t len = strcspn(p, ":");

		if (snprintf(path, PATH_MAX, "%.*s/%s", (int)len, p, program) < PATH_MAX && len &&
		    access(path, X_OK) == 0)
			return true;
		p += len + (p[len] == ':');
	}
	/* An ordinary user's path need not have it. */
	snprintf(path, PATH_MAX, "/usr/sbin/%s", program);
	return access(path, X_OK) == 0;
}

/* In the child. */
static void become(const char *path, char **argv, int in)
{
	struct sigaction usual = { .sa_handler = SIG_DFL };

	setpgid(0, 0);
	sigaction(SIGPIPE, &usual, NULL);
	if (dup2(in, STDIN_FILENO) >= 0)
		execv(path, argv);
	_exit(127);
}

int decode_begin(struct decode *d, const char *args, bool line_buffered, bool numeric)
{
	static const char *const programs[] = { "tcpdump", "tshark" };
	char path[PATH_MAX], *argv[WORDS_MAX + 8], *line;
	size_t i = 0;
	int fd[2], n = 0, r;

	while (i < sizeof(programs) / sizeof(*programs) && !find(programs[i], path))
		i++;
	if (i == sizeof(programs) / sizeof(*programs))
		return message_error(EXIT_FAILED, "--decode", "there is neither tcpdump nor tshark",
				     "install one of them");
	d->program = programs[i];
	line = strdup(args);
	if (!line || pipe2(fd, O_CLOEXEC) < 0) {
		r = -errno;
		free(line);
		return message_error(EXIT_FAILED, "--decode", ncp_strerror(r), NULL);
	}
	argv[n++] = (char *)d->program;
	argv[n++] = (char *)"-r";
	argv[n++] = (char *)"-";
	if (line_buffered)
		argv[n++] = (char *)"-l";
	if (numeric)
		argv[n++] = (char *)"-n";
	r = decode_words(line, argv + n, WORDS_MAX);
	d->pid = -1;
	if (r >= 0) {
		argv[n + r] = NULL;
		d->pid = fork();
		r = d->pid < 0 ? -errno : 0;
	}
	if (d->pid == 0)
		become(path, argv, fd[0]);
	free(line);
	if (r == 0) {
		/* Here too: whoever is first. */
		setpgid(d->pid, d->pid);
		r = dup2(fd[1], STDOUT_FILENO) < 0 ? -errno : 0;
	}
	close(fd[0]);
	close(fd[1]);
	if (r == 0)
		return EXIT_DONE;
	return message_error(r == -EINVAL || r == -E2BIG ? EXIT_USAGE : EXIT_FAILED,
			     MESSAGE_TEXT("--decode %s", args),
			     r == -EINVAL ? "a quote has no end" : ncp_strerror(r), NULL);
}

int decode_end(struct decode *d, int status)
{
	int how, r;

	close(STDOUT_FILENO);
	do
		r = waitpid(d->pid, &how, 0);
	while (r < 0 && errno == EINTR);
	if (r < 0 || status != EXIT_DONE)
		return status;
	if (WIFSIGNALED(how) && WTERMSIG(how) != SIGPIPE)
		return message_error(EXIT_FAILED, d->program,
				     MESSAGE_TEXT("it was ended by signal %d", WTERMSIG(how)), NULL);
	if (WIFEXITED(how) && WEXITSTATUS(how))
		return message_error(EXIT_FAILED, d->program,
				     MESSAGE_TEXT("it ended with status %d", WEXITSTATUS(how)),
				     "see what it said above");
	return EXIT_DONE;
}
