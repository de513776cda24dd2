/* SPDX-License-Identifier: BSD-2-Clause */
/* notify.c - tell the service manager: ready, reading again, stopping, alive. */
#include "producer/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "libncpbus/stamp.h"

/* A number of the environment; 0: none that is one. */
static uint64_t number(const char *name)
{
	const char *text = getenv(name);
	uint64_t n = 0;
	char more;

	return text && sscanf(text, "%" SCNu64 "%c", &n, &more) == 1 ? n : 0;
}

void notify_open(struct notify *n)
{
	const char *name = getenv("NOTIFY_SOCKET");
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const size_t len = name ? strlen(name) : 0;

	*n = (struct notify){ .fd = -1 };
	if (!len || len >= sizeof(to.sun_path) || (*name != '/' && *name != '@'))
		return;
	memcpy(to.sun_path, name, len);
	if (*name == '@') /* a name without a file */
		to.sun_path[0] = '\0';
	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (n->fd >= 0 && connect(n->fd, (const struct sockaddr *)&to,
				  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		notify_close(n);
	const uint64_t pid = number("WATCHDOG_PID");
	if (n->fd >= 0 && (!pid || pid == (uint64_t)getpid()))
		n->watchdog_ns = number("WATCHDOG_USEC") * 1000;
}

void notify_say(const struct notify *n, const char *text)
{
	ssize_t r;

	if (n->fd < 0)
		return;
	do
		r = send(n->fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
	while (r < 0 && errno == EINTR);
}

void notify_reloading(const struct notify *n)
{
	char text[64];

	snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		 ncpi_now_monotonic() / 1000);
	notify_say(n, text);
}

void notify_close(struct notify *n)
{
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
}
