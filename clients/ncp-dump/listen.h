/* SPDX-License-Identifier: BSD-2-Clause */
/* listen.h - PCAP-over-IP: whoever connects to a TCP port gets the frames, each in his own time. */
#ifndef LISTEN_H
#define LISTEN_H

/*
 * A process for each reader, with the connection as its stdout and a client of the bus of its own: so a
 * reader that is slow, stopped or hostile costs itself, and what is sent to one says exactly what that
 * one lost.  The process that accepts holds no client.
 */

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

#define LISTEN_PREFIX "tcp-listen:"
#define LISTEN_READERS 32 /* at a time */
#define LISTEN_TEXT_CAP 80

struct listen_address {
	struct sockaddr_storage addr;
	socklen_t len;
};

/*
 * listen_parse - "ADDR:PORT" or "PORT", where ADDR is IPv4, [IPv6], localhost, or nothing, which is
 * localhost; port 0 is any that is free.
 *
 * Returns 0, -EINVAL.
 */
int listen_parse(const char *s, struct listen_address *a) __attribute__((warn_unused_result));

/* listen_is_local - can only this host reach it? */
bool listen_is_local(const struct listen_address *a);

/* listen_text - "127.0.0.1:4711", "[::1]:4711". */
void listen_text(const struct listen_address *a, char out[LISTEN_TEXT_CAP]);

/* What readers got. */
struct listen_sum {
	uint64_t frames, filtered, others, lost, bytes;
	bool unknown; /* lost frames that nobody can count are not in lost */
};

struct listen {
	void *arg;
	bool quiet;
	const volatile sig_atomic_t *stop;

	/* serve - in a process of its own, stdout is the connection: until the end.  Returns the exit
	 * status. */
	int (*serve)(void *arg, const char *reader, struct listen_sum *sum);
	/* over - LISTEN_GOES_ON, ... */
	int (*over)(void *arg);

	int fd;
	struct listen_reader {
		pid_t pid; /* 0: none */
		char name[LISTEN_TEXT_CAP];
		bool killed;
	} reader[LISTEN_READERS];
	struct listen_sum *sums; /* shared: one for each */

	uint64_t readers, refused;
	struct listen_sum sum;
	bool failed; /* one ended with a failure */
};

enum { LISTEN_GOES_ON, LISTEN_ENDED /* nothing new will come */, LISTEN_GONE /* there is no bus */ };

/*
 * listen_open - begin to listen.
 *
 *   a  in: where; out: with the port that it is
 *
 * Returns 0 or -errno (-EADDRINUSE).
 */
int listen_open(struct listen *l, struct listen_address *a) __attribute__((warn_unused_result));

/*
 * listen_run - serve until *stop, or until the bus ends (one that had ended before: until *stop) and
 * all readers have what was there.
 *
 * After *stop readers get what was published; who does not take it within two seconds is left.
 * Returns 0 or -errno of accept, fork.
 */
int listen_run(struct listen *l) __attribute__((warn_unused_result));

void listen_close(struct listen *l);

#endif
