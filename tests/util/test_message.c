/* SPDX-License-Identifier: BSD-2-Clause */
/* test_message.c - one line, safe to print, or one JSON object. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tap/tap.h"
#include "util/message.h"

static char seen[16384];
static int saved, fds[2];

/* Between these two, stderr goes to seen. */
static void capture_begin(void)
{
	saved = dup(STDERR_FILENO);
	if (saved < 0 || pipe(fds) || dup2(fds[1], STDERR_FILENO) < 0)
		bail("pipe: %s", strerror(errno));
	close(fds[1]);
}

static void capture_end(void)
{
	ssize_t n;

	dup2(saved, STDERR_FILENO);
	close(saved);
	n = read(fds[0], seen, sizeof(seen) - 1);
	seen[n > 0 ? n : 0] = '\0';
	close(fds[0]);
}

static void test_plain(void)
{
	int status;

	capture_begin();
	status = message_error(EXIT_NO_BUS, "bus eth0", "no such bus", "start ncp-producer eth0");
	capture_end();
	is_i64(3, status, "gives the status back");
	is_str("ncp-test: bus eth0: no such bus: start ncp-producer eth0\n", seen,
	       "joins program, what, why and what to do");
	capture_begin();
	message_note("bus eth0", NULL, NULL);
	capture_end();
	is_str("ncp-test: bus eth0\n", seen, "leaves out what is not there");
	capture_begin();
	message_error(EXIT_FAILED, "\033[2J", "a\nb", "\377");
	capture_end();
	is_str("ncp-test: \\x1b[2J: a\\x0ab: \\xff\n", seen, "escapes, and stays one line");
	char big[5000] = "";
	memset(big, '\001', sizeof(big) - 1);
	capture_begin();
	message_error(EXIT_FAILED, big, big, big);
	capture_end();
	ok(strlen(seen) > 2000 && seen[strlen(seen) - 1] == '\n' &&
	   strchr(seen, '\n') == seen + strlen(seen) - 1, "cuts what is far too long to one line");
}

static void test_json(void)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		bail("open_memstream");
	message_json(f);
	is_i64(1, message_error(EXIT_FAILED, "x.pcap: write", "\"full\"", NULL),
	       "JSON gives the status back too");
	is_str("{\"schema\":1,\"error\":\"x.pcap: write: \\\"full\\\"\",\"what\":\"x.pcap: write\","
	       "\"why\":\"\\\"full\\\"\",\"do\":null,\"exit\":1}\n", text,
	       "an error as JSON has all its parts");
	size_t at = len;
	message_note("a", "b", "c");
	is_str("{\"schema\":1,\"note\":\"a: b: c\",\"what\":\"a\",\"why\":\"b\",\"do\":\"c\"}\n",
	       text + at, "a note has no exit");
	message_json(NULL);
	fclose(f);
	free(text);
	capture_begin();
	message_note("plain", NULL, NULL);
	capture_end();
	is_str("ncp-test: plain\n", seen, "and back to plain lines");
}

/* The journal names the file that it reads: another one gets lines for people. */
static void test_journal(void)
{
	char text[64];
	struct stat st;

	capture_begin();
	if (fstat(STDERR_FILENO, &st) < 0)
		bail("fstat");
	snprintf(text, sizeof(text), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", text, 1);
	message_setup("ncp-test");
	message_error(EXIT_FAILED, "a", "b", NULL);
	message_note("c", NULL, NULL);
	capture_end();
	is_str("<3>ncp-test: a: b\n<5>ncp-test: c\n", seen, "in the journal with priorities");
	capture_begin();
	setenv("JOURNAL_STREAM", "1:1", 1);
	message_setup("ncp-test");
	message_note("c", NULL, NULL);
	capture_end();
	is_str("ncp-test: c\n", seen, "without, where stderr is something else by now");
	unsetenv("JOURNAL_STREAM");
}

int main(void)
{
	plan(5 + 4 + 2 + 2);
	message_setup("ncp-test");
	test_plain();
	test_json();
	test_journal();
	is_str("bus eth0: 7", MESSAGE_TEXT("bus %s: %d", "eth0", 7), "MESSAGE_TEXT formats");
	is_u64(MESSAGE_CAP - 1, strlen(MESSAGE_TEXT("%0600d", 1)), "and cuts at its capacity");
	return tap_done();
}
