/* SPDX-License-Identifier: BSD-2-Clause */
/* notify.h - tell the service manager: ready, reading again, stopping, alive. */
#ifndef NOTIFY_H
#define NOTIFY_H

#include <stdint.h>

/* A service manager that wants to be told (Type=notify); fd -1: there is none. */
struct notify {
	int fd;
	uint64_t watchdog_ns; /* it ends who is silent for so long; 0: it does not watch */
};

/*
 * notify_open - find it in the environment: NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID.
 *
 * Before a change of the network namespace (a name that begins with '@' is one of the namespace's), and
 * before rights are given up: its socket is the manager's.  A socket that cannot be had is none.
 * Source: sd_notify(3), sd_watchdog_enabled(3).
 */
void notify_open(struct notify *n);

/*
 * notify_say - send "READY=1" and such lines.
 *
 * Never blocks: what the manager has no room for is not said.
 */
void notify_say(const struct notify *n, const char *text);

/* notify_reloading - say that files are read again, since now; READY=1 ends it. */
void notify_reloading(const struct notify *n);

void notify_close(struct notify *n);

#endif
