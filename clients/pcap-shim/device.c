/* SPDX-License-Identifier: BSD-2-Clause */
/* device.c - what a program names as its device: a bus, and how to read it. */
#include "device.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "util/parse.h"
#include "util/timetext.h"

#define PREFIX "ncp:"
#define SECOND UINT64_C(1000000000)

bool device_is(const char *name)
{
	return name && !strncmp(name, PREFIX, strlen(PREFIX));
}

static int from_parse(struct device *d, const char *s, uint64_t now_ns)
{
	if (!strcmp(s, "latest")) {
		d->from = FROM_LATEST;
		return 0;
	}
	if (!strcmp(s, "oldest")) {
		d->from = FROM_OLDEST;
		return 0;
	}
	if (!strncmp(s, "seq:", 4)) {
		d->from = FROM_SEQ;
		return parse_u64(s + 4, 0, UINT64_MAX - 1, &d->from_value);
	}
	if (*s == '-') {
		d->from = FROM_AGO;
		return parse_duration(s + 1, SECOND, &d->from_value);
	}
	d->from = FROM_TIME;
	return timetext_parse(s, now_ns, &d->from_value);
}

static int shard_parse(struct device *d, char *s)
{
	char *n = strchr(s, '/');
	uint64_t idx, of;

	if (!n)
		return -EINVAL;
	*n++ = '\0';
	if (parse_u64(n, 1, UINT32_MAX, &of) < 0 || parse_u64(s, 0, of - 1, &idx) < 0)
		return -EINVAL;
	d->shard_idx = (uint32_t)idx;
	d->shard_n = (uint32_t)of;
	return 0;
}

/* One option, KEY or KEY=VALUE; written to. */
static int option_parse(struct device *d, char *option, uint64_t now_ns)
{
	static const struct {
		const char *name;
		size_t off;
	} flags[] = {
		{ "exit-on-close", offsetof(struct device, exit_on_close) },
		{ "ordered", offsetof(struct device, ordered) },
		{ "reliable", offsetof(struct device, reliable) },
	};
	char *value = strchr(option, '=');

	if (!value) {
		for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
			if (!strcmp(option, flags[i].name)) {
				*(bool *)((char *)d + flags[i].off) = true;
				return 0;
			}
		return -EINVAL;
	}
	*value++ = '\0';
	if (!strcmp(option, "from"))
		return from_parse(d, value, now_ns);
	if (!strcmp(option, "shard"))
		return shard_parse(d, value);
	return -EINVAL;
}

static int options_parse(struct device *d, const char *list, uint64_t now_ns, char *why, size_t cap)
{
	char option[256];

	while (list && *list) {
		size_t len = strcspn(list, "&,");

		bool fits = len < sizeof(option);
		if (fits)
			snprintf(option, sizeof(option), "%.*s", (int)len, list);
		if (!fits || (len && option_parse(d, option, now_ns) < 0)) {
			snprintf(why, cap,
				 "option %.*s: not from=oldest|latest|seq:N|-DURATION|TIME, "
				 "exit-on-close, ordered, reliable or shard=I/N",
				 len < 40 ? (int)len : 40, list);
			return -EINVAL;
		}
		list += len + (list[len] != '\0');
	}
	return 0;
}

int device_parse(struct device *d, const char *name, const char *defaults, uint64_t now_ns,
		 char *why, size_t cap)
{
	const char *bus = name + strlen(PREFIX);
	size_t len = strcspn(bus, "?");

	*d = (struct device){ 0 };
	if (len == 0 || len >= sizeof(d->bus)) {
		snprintf(why, cap, "%s", len ? "no bus has a name of that length" : "which bus?");
		return -EINVAL;
	}
	memcpy(d->bus, bus, len);
	if (options_parse(d, defaults, now_ns, why, cap) < 0)
		return -EINVAL;
	return bus[len] ? options_parse(d, bus + len + 1, now_ns, why, cap) : 0;
}
