/* SPDX-License-Identifier: BSD-2-Clause */
/* test_listen.c - the addresses of tcp-listen:, and which of them others can reach. */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clients/ncp-dump/listen.h"
#include "tap/tap.h"
#include "util/message.h"

/* As it is written again, "!" behind what others can reach; "EINVAL". */
static const char *parsed(const char *s)
{
	static char text[LISTEN_TEXT_CAP + 1];
	struct listen_address a;
	int r = listen_parse(s, &a);

	if (r < 0)
		return r == -EINVAL ? "EINVAL" : "other";
	listen_text(&a, text);
	return listen_is_local(&a) ? text : strcat(text, "!");
}

static volatile sig_atomic_t stop;
static int served;

static int serve(void *arg, const char *reader, struct listen_sum *sum)
{
	int *status = arg;

	if (strncmp(reader, "127.0.0.1:", 10) || write(STDOUT_FILENO, "hello", 5) != 5)
		return EXIT_FAILED;
	*sum = (struct listen_sum){ .frames = 3, .lost = 2, .bytes = 5 };
	return *status;
}

/* The bus is there twice, then it has gone. */
static int over(void *arg)
{
	(void)arg;
	return served++ < 2 ? LISTEN_GOES_ON : LISTEN_GONE;
}

/* One reader, in a process of its own, as it would be with the serving program's status. */
static void serving(int status, bool failed)
{
	struct listen l = { .arg = &status, .quiet = true, .stop = &stop, .serve = serve, .over = over };
	struct listen_address a;
	char got[16] = "";
	int fd[2], how;

	served = 0;
	if (listen_parse("0", &a) < 0 || listen_open(&l, &a) < 0 || pipe(fd) < 0)
		bail("cannot listen: %m");
	pid_t pid = fork();
	if (pid == 0) {
		int s = socket(AF_INET, SOCK_STREAM, 0);
		ssize_t n = 0, k = 1;

		if (connect(s, (struct sockaddr *)&a.addr, a.len) < 0)
			_exit(1);
		for (; k > 0; n += k)
			k = read(s, got + n, sizeof(got) - (size_t)n);
		_exit(write(fd[1], got, sizeof(got)) != sizeof(got));
	}
	is_i64(0, listen_run(&l), "status %d: serves until the bus has gone", status);
	if (waitpid(pid, &how, 0) != pid || how || read(fd[0], got, sizeof(got)) != sizeof(got))
		bail("the reader failed");
	is_str("hello", got, "status %d: a reader gets what its process writes, to the end", status);
	ok(l.readers == 1 && l.refused == 0 && l.sum.frames == 3 && l.sum.lost == 2 && l.sum.bytes == 5,
	   "status %d: what it got is in the sum", status);
	ok(l.failed == failed, "status %d: %s", status, failed ? "a failure is told" : "no failure");
	listen_close(&l);
	close(fd[0]);
	close(fd[1]);
}

int main(void)
{
	int fds = tap_open_fds();

	plan(13 + 2 * 4 + 1);
	message_setup("ncp-dump");
	is_str("127.0.0.1:57012", parsed("57012"), "a port alone is this host's");
	is_str("127.0.0.1:57012", parsed(":57012"), "an empty address, too");
	is_str("127.0.0.1:0", parsed("localhost:0"), "localhost");
	is_str("127.3.2.1:5", parsed("127.3.2.1:5"), "all of 127/8 is local");
	is_str("[::1]:5", parsed("[::1]:5"), "IPv6");
	is_str("0.0.0.0:5!", parsed("0.0.0.0:5"), "every address is not local");
	is_str("[::]:5!", parsed("[::]:5"), "in IPv6 neither");
	is_str("[2001:db8::7]:65535!", parsed("[2001:db8::7]:65535"), "nor is one of the network");
	is_str("EINVAL", parsed(""), "refuses nothing");
	is_str("EINVAL", parsed("127.0.0.1"), "an address without a port");
	is_str("EINVAL", parsed("127.0.0.1:65536"), "a port there is not");
	is_str("EINVAL", parsed("host.example:5"), "a name");
	is_str("EINVAL", parsed("::1:5"), "IPv6 without brackets");
	serving(EXIT_DONE, false);
	serving(EXIT_FAILED, true);
	is_i64(fds, tap_open_fds(), "no descriptor leaked");
	return tap_done();
}
