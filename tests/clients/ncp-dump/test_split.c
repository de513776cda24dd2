/* SPDX-License-Identifier: BSD-2-Clause */
/* test_split.c - what the files of single interfaces are called, whatever the interfaces are called. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clients/ncp-dump/split.h"
#include "tap/tap.h"

static void is_name(const char *want, const char *path, const char *interface, uint32_t again)
{
	char out[64];
	int r = split_name(out, sizeof(out), path, interface, 7, again);

	is_str(want, r < 0 ? strerror(-r) : out, "%s of %s", path, *interface ? interface : "no name");
}

int main(void)
{
	char out[8];

	plan(9);
	is_name("x_eth0.pcapng", "x.pcapng", "eth0", 0);
	is_name("x_eth0", "x", "eth0", 0);
	is_name("a.b/x_eth0.1@if5", "a.b/x", "eth0.1@if5", 0);
	is_name("a.b/%Y_lo.pcapng", "a.b/%Y.pcapng", "lo", 0);
	is_name("x_7.pcapng", "x.pcapng", "", 0);
	is_name("x_.._.._etc_passwd.pcapng", "x.pcapng", "../../etc/passwd", 0);
	is_name("x_a_n_s.pcapng", "x.pcapng", "a%n\033s", 0);
	is_name("x_eth0-2.pcapng", "x.pcapng", "eth0", 2);
	is_i64(-ENAMETOOLONG, split_name(out, sizeof(out), "x", "eth000", 0, 0), "refuses what does not fit");
	return tap_done();
}
