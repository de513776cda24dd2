/* SPDX-License-Identifier: BSD-2-Clause */
/* terminal.c - run a command on a terminal of its own, of a given size. */
#include <errno.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * terminal ROWS COLUMNS COMMAND [ARG...]
 *
 * What the command shows goes to stdout, byte for byte; what comes from stdin is typed.  SIGINT
 * types a Ctrl-C: the terminal makes a signal of it, if it is so set.  Ends with the command, with
 * its exit status (128 + the signal that killed it).
 */
#define CTRL_C "\003"

static void give_up(const char *what)
{
	fprintf(stderr, "terminal: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void write_all(int fd, const char *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno != EINTR)
			give_up("write");
		if (n > 0)
			p += n, len -= (size_t)n;
	}
}

/* Copy what is there.  False: nothing will come any more. */
static bool copy(int from, int to)
{
	char bytes[4096];
	ssize_t n = read(from, bytes, sizeof(bytes));

	if (n > 0)
		write_all(to, bytes, (size_t)n);
	/* EIO: nobody has the terminal open any more. */
	return n > 0 || (n < 0 && errno == EINTR);
}

int main(int argc, char **argv)
{
	struct signalfd_siginfo info;
	sigset_t signals, before;
	int master, status;

	if (argc < 4) {
		fprintf(stderr, "usage: terminal ROWS COLUMNS COMMAND [ARG...]\n");
		return 2;
	}
	const struct winsize size = { .ws_row = (unsigned short)atoi(argv[1]),
				      .ws_col = (unsigned short)atoi(argv[2]) };

	/* Blocked before the command begins: neither its end nor an early SIGINT is missed. */
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, &before);
	pid_t command = forkpty(&master, NULL, NULL, &size);
	if (command < 0)
		give_up("forkpty");
	if (command == 0) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		execvp(argv[3], argv + 3);
		give_up(argv[3]);
	}
	int fd = signalfd(-1, &signals, SFD_CLOEXEC);
	if (fd < 0)
		give_up("signalfd");

	struct pollfd p[] = {
		{ .fd = master, .events = POLLIN },
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = fd, .events = POLLIN },
	};
	bool running = true;
	while (running) {
		if (poll(p, 3, -1) < 0 && errno != EINTR)
			give_up("poll");
		if (p[0].revents && !copy(master, STDOUT_FILENO))
			p[0].fd = -1;
		if (p[1].revents && !copy(STDIN_FILENO, master))
			p[1].fd = -1;
		if (!p[2].revents || read(fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
			continue;
		if (info.ssi_signo == SIGINT)
			write_all(master, CTRL_C, strlen(CTRL_C));
		else
			running = waitpid(command, &status, WNOHANG) != command;
	}
	/* The last it showed. */
	while (p[0].fd >= 0 && poll(p, 1, 0) > 0 && copy(master, STDOUT_FILENO))
		;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
