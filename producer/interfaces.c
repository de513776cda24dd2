/* SPDX-License-Identifier: BSD-2-Clause */
/* interfaces.c - what -D prints: the network interfaces of this machine. */
#include "producer/interfaces.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sys/socket.h>

#include "util/json.h"

static int print_json(FILE *f, const struct ifaddrs *i)
{
	struct json j;
	int r;

	json_open(&j);
	json_object_begin(&j);
	json_key(&j, "schema");
	json_u64(&j, 1);
	json_key(&j, "interface");
	json_str(&j, i->ifa_name);
	json_key(&j, "up");
	json_bool(&j, i->ifa_flags & IFF_UP);
	json_key(&j, "running");
	json_bool(&j, i->ifa_flags & IFF_RUNNING);
	json_key(&j, "loopback");
	json_bool(&j, i->ifa_flags & IFF_LOOPBACK);
	json_object_end(&j);
	r = json_print(&j, f);
	json_close(&j);
	return r;
}

static int print(FILE *f, const struct ifaddrs *i)
{
	const char *more = i->ifa_flags & IFF_LOOPBACK ? ", loopback"
			   : (i->ifa_flags & (IFF_UP | IFF_RUNNING)) == IFF_UP ? ", no carrier"
									       : "";

	return fprintf(f, "%-16s %s%s\n", i->ifa_name, i->ifa_flags & IFF_UP ? "up" : "down",
		       more) < 0 ? -EIO : 0;
}

int interfaces_print(FILE *f, bool json, const char *dir)
{
	struct ifaddrs *all;
	int r = 0;

	(void)dir;
	if (getifaddrs(&all) < 0)
		return -errno;
	for (const struct ifaddrs *i = all; i && r == 0; i = i->ifa_next)
		/* Each interface has one address of this family: its link-level one. */
		if (i->ifa_addr && i->ifa_addr->sa_family == AF_PACKET)
			r = json ? print_json(f, i) : print(f, i);
	freeifaddrs(all);
	return r;
}
