/* SPDX-License-Identifier: BSD-2-Clause */
/* hwtime.c - have an interface's hardware tell when a frame came, and put that back as it was. */
#include "producer/hwtime.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/sockios.h>

static int ask(int fd, const char *name, unsigned long request, struct hwtstamp_config *c)
{
	struct ifreq r = { .ifr_data = (char *)c };

	memcpy(r.ifr_name, name, sizeof(r.ifr_name));
	return ioctl(fd, request, &r) < 0 ? -errno : 0;
}

void hwtime_begin(struct hwtime *h, int fd, const char *name, int ifindex)
{
	struct hwtstamp_config was = { 0 }, now;

	if (h->set && h->ifindex == ifindex)
		return;
	*h = (struct hwtime){ .ifindex = ifindex };
	/* Some drivers can be set and not asked: they are put back to what they begin with, off. */
	if (ask(fd, name, SIOCGHWTSTAMP, &was) < 0)
		was = (struct hwtstamp_config){ 0 };
	now = (struct hwtstamp_config){ .tx_type = was.tx_type,
					.rx_filter = HWTSTAMP_FILTER_ALL };
	h->error = ask(fd, name, SIOCSHWTSTAMP, &now);
	if (h->error)
		return;
	h->was = was;
	h->set = true;
	/* The driver says what it has made of it. */
	if (now.rx_filter != HWTSTAMP_FILTER_ALL) {
		hwtime_end(h, fd, name);
		h->error = -ERANGE;
	}
}

void hwtime_end(struct hwtime *h, int fd, const char *name)
{
	struct ifreq r = { 0 };

	memcpy(r.ifr_name, name, sizeof(r.ifr_name));
	if (h->set && ioctl(fd, SIOCGIFINDEX, &r) == 0 && r.ifr_ifindex == h->ifindex)
		(void)ask(fd, name, SIOCSHWTSTAMP, &h->was);
	h->set = false;
}
