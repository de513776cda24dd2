/* SPDX-License-Identifier: BSD-2-Clause */
/* test_file.c - files whole or not at all. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap/tap.h"
#include "util/file.h"

static const char *dir;

static const char *in_dir(char buf[256], const char *name)
{
	snprintf(buf, 256, "%s/%s", dir, name);
	return buf;
}

#define IN_DIR(name) in_dir((char[256]){ 0 }, name)

static int n_files(void)
{
	DIR *d = opendir(dir);
	int n = 0;

	if (!d)
		bail("%s: %s", dir, strerror(errno));
	for (struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static bool holds(const char *path, const char *want)
{
	char *text;
	size_t len;
	bool same;

	if (file_read(path, 1 << 20, &text, &len))
		return false;
	same = len == strlen(want) && !memcmp(text, want, len) && text[len] == '\0';
	free(text);
	return same;
}

static void test_refusals(void)
{
	char *text;
	size_t len;

	is_i64(-ENOENT, file_read(IN_DIR("none"), 10, &text, &len), "no such file to read");
	is_i64(-EISDIR, file_read(dir, 10, &text, &len), "a directory is not read");
	is_i64(-ENOENT, file_replace(IN_DIR("none/x"), "a", 1, 0600), "no such directory");
	is_i64(-EBADF, file_write_all(-1, "a", 1), "no descriptor to write to");
	is_i64(-EBADF, file_pwrite_all(-1, "a", 1, 0), "none to write to at an offset");
	is_i64(-EBADF, file_pread_all(-1, &len, 1, 0), "none to read from");
	mkdir(IN_DIR("taken"), 0700);
	is_i64(-EISDIR, file_replace(IN_DIR("taken"), "a", 1, 0600), "a directory stays");
	is_i64(1, n_files(), "and nothing is left beside it");
	rmdir(IN_DIR("taken"));
}

static void test_replace(void)
{
	const char *path = IN_DIR("state");
	struct stat before, after;
	int fd;

	is_i64(0, file_replace(path, "one", 3, 0640), "makes a file");
	ok(holds(path, "one"), "with the content");
	stat(path, &before);
	is_u64(0640, before.st_mode & 07777, "and exactly the mode asked for");
	fd = open(path, O_RDONLY);
	is_i64(0, file_replace(path, "two!", 4, 0600), "replaces it");
	ok(holds(path, "two!"), "with the new content");
	char old[8] = "";
	ok(file_pread_all(fd, old, sizeof(old), 0) == 3 && !strcmp(old, "one"),
	   "whoever had it open still reads the old content");
	close(fd);
	stat(path, &after);
	ok(before.st_ino != after.st_ino, "it is another file");
	is_i64(0, file_replace(path, "", 0, 0600), "makes it empty");
	ok(holds(path, ""), "and empty it is");
	is_i64(1, n_files(), "nothing is left beside it");
	if (symlink("/nonexistent", IN_DIR("link")))
		bail("symlink: %s", strerror(errno));
	is_i64(0, file_replace(IN_DIR("link"), "x", 1, 0600), "a symbolic link is replaced");
	ok(lstat(IN_DIR("link"), &after) == 0 && S_ISREG(after.st_mode), "not followed");
}

static void test_read_limits(void)
{
	char *text = NULL, big[10000];
	size_t len;

	memset(big, 'b', sizeof(big));
	if (file_replace(IN_DIR("big"), big, sizeof(big), 0600))
		bail("cannot write a file");
	is_i64(-EFBIG, file_read(IN_DIR("big"), sizeof(big) - 1, &text, &len),
	       "refuses one byte more than max");
	is_i64(0, file_read(IN_DIR("big"), sizeof(big), &text, &len), "takes exactly max");
	ok(len == sizeof(big) && !memcmp(text, big, len), "and all of it");
	free(text);
}

static void test_offsets(void)
{
	char buf[8] = "";
	int fd = open(IN_DIR("offsets"), O_RDWR | O_CREAT, 0600);

	is_i64(0, file_pwrite_all(fd, "abc", 3, UINT64_C(5000000000)), "writes beyond 4 GiB");
	is_i64(3, file_pread_all(fd, buf, sizeof(buf), UINT64_C(5000000000)),
	       "reads what is there, up to the end");
	is_str("abc", buf, "the same bytes");
	is_i64(0, file_pread_all(fd, buf, sizeof(buf), UINT64_C(5000000003)), "nothing at the end");
	close(fd);
	fd = open("/dev/full", O_WRONLY);
	is_i64(-ENOSPC, file_pwrite_all(fd, "a", 1, 0), "a full device is told");
	close(fd);
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* A pipe that is full, in non-blocking mode, with signals that interrupt. */
static void test_pipe(void)
{
	enum { LEN = 1 << 20 };
	struct sigaction act = { .sa_handler = on_alarm }; /* without SA_RESTART */
	const struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, never = { 0 };
	unsigned char *data = malloc(LEN), *seen = malloc(LEN);
	int fds[2], status = -1;
	pid_t reader;

	if (!data || !seen || pipe(fds))
		bail("no memory or no pipe");
	tap_random_bytes(tap_seed(), LEN, data);
	reader = fork();
	if (reader == 0) {
		size_t at = 0;
		ssize_t n;

		close(fds[1]);
		while ((n = read(fds[0], seen + at, at < LEN ? LEN - at : 1)) > 0)
			at += (size_t)n;
		_exit(at != LEN || memcmp(data, seen, LEN) != 0);
	}
	close(fds[0]);
	fcntl(fds[1], F_SETFL, O_NONBLOCK);
	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	is_i64(0, file_write_all(fds[1], data, LEN), "writes through a full non-blocking pipe");
	setitimer(ITIMER_REAL, &never, NULL);
	close(fds[1]);
	while (waitpid(reader, &status, 0) < 0 && errno == EINTR)
		;
	is_i64(0, status, "the other end read exactly those bytes");
	free(data);
	free(seen);
}

int main(void)
{
	int fds;

	plan(8 + 12 + 3 + 5 + 2 + 1);
	dir = tap_tempdir(NULL);
	fds = tap_open_fds();
	test_refusals();
	test_replace();
	test_read_limits();
	test_offsets();
	test_pipe();
	is_i64(fds, tap_open_fds(), "no descriptor leaked");
	return tap_done();
}
