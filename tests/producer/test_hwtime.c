/* SPDX-License-Identifier: BSD-2-Clause */
/* test_hwtime.c - an interface's clock, asked for and put back, with a driver made up here. */
#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/sockios.h>

#include "producer/hwtime.h"
#include "tap/tap.h"

/* The driver: what it is set to, and what it can do. */
static struct hwtstamp_config is;
static bool cannot_get, cannot_set, narrow;
static int ifindex = 3, n_sets;

/* In the place of libc's: hwtime.c calls this one. */
int ioctl(int fd, unsigned long request, ...)
{
	va_list args;

	va_start(args, request);
	struct ifreq *r = va_arg(args, struct ifreq *);
	va_end(args);
	struct hwtstamp_config *c = (struct hwtstamp_config *)(void *)r->ifr_data;
	if (fd != 7 || strcmp(r->ifr_name, "eth7") != 0)
		bail("asked about %s", r->ifr_name);
	switch (request) {
	case SIOCGIFINDEX:
		r->ifr_ifindex = ifindex;
		return 0;
	case SIOCGHWTSTAMP:
		if (cannot_get)
			break;
		*c = is;
		return 0;
	case SIOCSHWTSTAMP:
		if (cannot_set)
			break;
		if (narrow && c->rx_filter == HWTSTAMP_FILTER_ALL)
			c->rx_filter = HWTSTAMP_FILTER_PTP_V2_EVENT;
		is = *c;
		n_sets++;
		return 0;
	default:
		bail("request %lx", request);
	}
	errno = EOPNOTSUPP;
	return -1;
}

static char name[IFNAMSIZ] = "eth7";

static struct hwtime begin(void)
{
	struct hwtime h = { 0 };

	n_sets = 0;
	hwtime_begin(&h, 7, name, ifindex);
	return h;
}

int main(void)
{
	plan(16);
	is = (struct hwtstamp_config){ .tx_type = HWTSTAMP_TX_ON,
				       .rx_filter = HWTSTAMP_FILTER_NTP_ALL };
	struct hwtime h = begin();
	ok(h.set && !h.error, "a driver that can is set");
	is_i64(HWTSTAMP_FILTER_ALL, is.rx_filter, "to stamp every frame");
	is_i64(HWTSTAMP_TX_ON, is.tx_type, "what leaves stays as it was");
	hwtime_begin(&h, 7, name, ifindex);
	is_i64(1, n_sets, "once for a device");
	hwtime_end(&h, 7, name);
	ok(!h.set && is.rx_filter == HWTSTAMP_FILTER_NTP_ALL && is.tx_type == HWTSTAMP_TX_ON,
	   "and put back as it was");
	hwtime_end(&h, 7, name);
	is_i64(2, n_sets, "once");

	h = begin();
	ifindex = 4;
	hwtime_end(&h, 7, name);
	is_i64(1, n_sets, "another device of that name is left alone");
	is.rx_filter = HWTSTAMP_FILTER_NONE;
	h.set = true;
	hwtime_begin(&h, 7, name, ifindex);
	ok(h.set && h.ifindex == 4 && is.rx_filter == HWTSTAMP_FILTER_ALL, "or set for itself");
	hwtime_end(&h, 7, name);
	is_i64(HWTSTAMP_FILTER_NONE, is.rx_filter, "and put back");

	narrow = true;
	is.rx_filter = HWTSTAMP_FILTER_NTP_ALL;
	h = begin();
	ok(!h.set, "a driver that stamps some frames only is not used");
	is_i64(-ERANGE, h.error, "which is told");
	is_i64(HWTSTAMP_FILTER_NTP_ALL, is.rx_filter, "and is put back at once");
	narrow = false;

	cannot_get = true;
	h = begin();
	hwtime_end(&h, 7, name);
	ok(n_sets == 2 && is.rx_filter == HWTSTAMP_FILTER_NONE,
	   "one that cannot say what it was is put off");
	cannot_set = true;
	h = begin();
	ok(!h.set && n_sets == 0, "one that can do nothing is left alone");
	is_i64(-EOPNOTSUPP, h.error, "which is told");
	hwtime_end(&h, 7, name);
	is_i64(0, n_sets, "and has nothing to be put back to");
	return tap_done();
}
