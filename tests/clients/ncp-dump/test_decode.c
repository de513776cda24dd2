/* SPDX-License-Identifier: BSD-2-Clause */
/* test_decode.c - the words of --decode, and the program that gets them. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clients/ncp-dump/decode.h"
#include "tap/tap.h"
#include "util/file.h"
#include "util/message.h"

/* The words, with | between them; "EINVAL" and so on. */
static const char *words(const char *line)
{
	static char copy[256], out[256];
	char *argv[4];
	size_t len = 0;

	snprintf(copy, sizeof(copy), "%s", line);
	int n = decode_words(copy, argv, 4);
	if (n < 0)
		return n == -EINVAL ? "EINVAL" : n == -E2BIG ? "E2BIG" : "other";
	*out = '\0';
	for (int i = 0; i < n; i++)
		len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%s", i ? "|" : "", argv[i]);
	return out;
}

/* Run a script as "tcpdump", write to it, and return what decode_end() does. */
static int run(const char *dir, const char *script, const char *args)
{
	char path[300];
	struct decode d;
	int out = dup(STDOUT_FILENO), r;

	snprintf(path, sizeof(path), "%s/tcpdump", dir);
	if (file_replace(path, script, strlen(script), 0700) < 0)
		bail("script");
	fflush(stdout);
	r = decode_begin(&d, args, true, false);
	if (r == EXIT_DONE) {
		if (write(STDOUT_FILENO, "frames\n", 7) != 7 && errno != EPIPE)
			bail("write: %m");
		r = decode_end(&d, EXIT_DONE);
	}
	dup2(out, STDOUT_FILENO);
	close(out);
	return r;
}

int main(void)
{
	const char *dir = tap_tempdir(NULL);
	char *text, path[300], script[600];
	size_t len;
	int fds = tap_open_fds();

	plan(8 + 6);
	is_str("", words(""), "nothing is no word");
	is_str("", words(" \t\n "), "blanks neither");
	is_str("-v|-nn", words("  -v   -nn "), "blanks part words");
	is_str("tcp port 80|x", words("'tcp port 80' x"), "quotes keep them");
	is_str("a\"b c|it's", words("\"a\\\"b c\" it\\'s"), "a backslash keeps a quote");
	is_str("\\n|", words("'\\n' ''"), "but not within single ones; a word may be empty");
	is_str("EINVAL", words("-v 'x"), "refuses a quote without end");
	is_str("E2BIG", words("1 2 3 4 5"), "refuses too many");

	message_setup("ncp-dump");
	signal(SIGPIPE, SIG_IGN);
	/* With nothing else in it, no other tcpdump is found. */
	snprintf(script, sizeof(script), "%s:/usr/bin:/bin", dir);
	setenv("PATH", script, 1);
	snprintf(script, sizeof(script), "#!/bin/sh\n(printf '%%s ' \"$@\"; cat) >%s/seen\n", dir);
	is_i64(EXIT_DONE, run(dir, script, "-e 'a b'"), "it is run");
	snprintf(path, sizeof(path), "%s/seen", dir);
	if (file_read(path, 1000, &text, &len) < 0)
		bail("nothing seen");
	is_str("-r - -l -e a b frames\n", text, "with the arguments, and gets the frames");
	free(text);
	dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
	is_i64(EXIT_FAILED, run(dir, "#!/bin/sh\nexit 3\n", ""), "its failure is ours");
	is_i64(EXIT_FAILED, run(dir, "#!/bin/sh\nkill -9 $$\n", ""), "its violent end, too");
	is_i64(EXIT_USAGE, run(dir, "#!/bin/sh\n", "'"), "bad arguments are a usage error");
	is_i64(fds + 1, tap_open_fds(), "no descriptor leaked");
	return tap_done();
}
