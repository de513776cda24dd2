/* SPDX-License-Identifier: BSD-2-Clause */
/* hwtime.h - have an interface's hardware tell when a frame came, and put that back as it was. */
#ifndef HWTIME_H
#define HWTIME_H

#include <stdbool.h>

#include <linux/net_tstamp.h>

/* What an interface was set to before. */
struct hwtime {
	bool set;    /* we have set it */
	int ifindex; /* of the device that we set; another one of that name is as it is */
	int error;   /* why it could not be set: -errno; -ERANGE: not for every frame; 0 */
	struct hwtstamp_config was;
};

/*
 * hwtime_begin - have every frame that the interface receives stamped by its hardware.
 *
 *   h     of this name: a device that was set already is left as it is
 *   fd    any socket
 *   name  IFNAMSIZ bytes
 *
 * Needs CAP_NET_ADMIN.  Sets h->set, or h->error.
 * Source: Documentation/networking/timestamping.rst, "Hardware Timestamping configuration".
 */
void hwtime_begin(struct hwtime *h, int fd, const char *name, int ifindex);

/* hwtime_end - set it as it was, if that device is still there. */
void hwtime_end(struct hwtime *h, int fd, const char *name);

#endif
