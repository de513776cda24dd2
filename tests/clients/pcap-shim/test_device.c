/* SPDX-License-Identifier: BSD-2-Clause */
/* test_device.c - names of devices, and the options behind them. */
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "clients/pcap-shim/device.h"
#include "tap/tap.h"

#define NOW UINT64_C(1795234410000000000)

static struct device d;
static char why[256];

static int parse(const char *name, const char *defaults)
{
	*why = '\0';
	return device_parse(&d, name, defaults, NOW, why, sizeof(why));
}

static void refuses(const char *name, const char *defaults, const char *text)
{
	is_i64(-EINVAL, parse(name, defaults), "refuses %s", name);
	ok(strstr(why, text) != NULL, "and says: %s", why);
}

int main(void)
{
	char name[600] = "ncp:b?";

	plan(3 + 9 * 2 + 2 * 6 + 4 + 2 + 2);
	ok(device_is("ncp:eth0") && device_is("ncp:"), "ncp: names a bus");
	ok(!device_is("eth0") && !device_is("ncp") && !device_is(""), "other names do not");
	ok(!device_is(NULL), "nor does none");

	refuses("ncp:", NULL, "which bus");
	refuses("ncp:?ordered", NULL, "which bus");
	refuses("ncp:a123456789012345678901234567890123456789012345678901234567890123", NULL,
		"length");
	refuses("ncp:b?fast", NULL, "option fast");
	refuses("ncp:b?from=soon", NULL, "option from=soon");
	refuses("ncp:b?from", NULL, "option from");
	refuses("ncp:b?shard=2/2", NULL, "shard=2/2");
	refuses("ncp:b?ordered&x=1", NULL, "option x=1");
	refuses("ncp:b", "ordered=1", "option ordered=1");

	static const struct {
		const char *text;
		enum device_from from;
		uint64_t value;
	} from[] = {
		{ "ncp:b", FROM_LATEST, 0 },
		{ "ncp:b?from=latest", FROM_LATEST, 0 },
		{ "ncp:b?from=oldest", FROM_OLDEST, 0 },
		{ "ncp:b?from=seq:12", FROM_SEQ, 12 },
		{ "ncp:b?from=-1m", FROM_AGO, UINT64_C(60000000000) },
		{ "ncp:b?from=@1795234400.5", FROM_TIME, UINT64_C(1795234400500000000) },
	};
	for (size_t i = 0; i < sizeof(from) / sizeof(*from); i++) {
		is_i64(0, parse(from[i].text, NULL), "takes %s", from[i].text);
		ok(d.from == from[i].from && d.from_value == from[i].value && !strcmp(d.bus, "b"),
		   "and means that");
	}

	is_i64(0, parse("ncp:b?ordered&reliable,exit-on-close,,shard=1/3&", NULL),
	       "takes both separators, and empty options");
	ok(d.ordered && d.reliable && d.exit_on_close, "flags");
	is_u64(1, d.shard_idx, "a shard's index");
	is_u64(3, d.shard_n, "of their number");

	is_i64(0, parse("ncp:b?from=latest", "from=oldest,ordered"), "takes options for all devices");
	ok(d.from == FROM_LATEST && d.ordered, "the device's own hold more");

	memset(name + 6, 'x', sizeof(name) - 7);
	is_i64(-EINVAL, parse(name, NULL), "refuses an option of any length");
	ok(strlen(why) < sizeof(why) - 1, "and does not repeat it all");
	return tap_done();
}
