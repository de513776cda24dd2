/* SPDX-License-Identifier: BSD-2-Clause */
/* test_json.c - the JSON writer's grammar, escapes and limits. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tap/tap.h"
#include "util/json.h"

static void test_refusals(void)
{
	char buf[8];
	struct json j;

	json_open_fixed(&j, buf, sizeof(buf));
	is_str(NULL, json_text(&j), "an empty text is not finished");
	is_i64(-EOVERFLOW, json_print(&j, stdout), "and is not printed");
	json_object_begin(&j);
	is_str(NULL, json_text(&j), "an open object is not finished");
	json_object_end(&j);
	is_str("{}", json_text(&j), "a closed one is");
	json_object_end(&j);
	is_str(NULL, json_text(&j), "one end too many is not finished");
	json_reset(&j);
	json_str(&j, "12345");
	is_str("\"12345\"", json_text(&j), "what fills the buffer to its last byte fits");
	json_reset(&j);
	json_str(&j, "123456");
	is_str(NULL, json_text(&j), "one byte more does not");
	json_reset(&j);
	json_u64(&j, 1);
	is_str("1", json_text(&j), "a reset forgets the failure");
	json_close(&j);
	FILE *full = fopen("/dev/full", "w");
	if (!full)
		bail("/dev/full: %s", strerror(errno));
	json_open(&j);
	json_u64(&j, 1);
	is_i64(-ENOSPC, json_print(&j, full), "a write that fails is told");
	fclose(full);
	json_close(&j);
}

static void test_values(void)
{
	struct json j;

	json_open(&j);
	json_object_begin(&j);
	json_key(&j, "schema");
	json_u64(&j, 1);
	json_key(&j, "list");
	json_array_begin(&j);
	json_array_begin(&j);
	json_array_end(&j);
	json_u64(&j, UINT64_MAX);
	json_i64(&j, INT64_MIN);
	json_object_begin(&j);
	json_object_end(&j);
	json_array_end(&j);
	json_key(&j, "yes");
	json_bool(&j, true);
	json_key(&j, "no");
	json_bool(&j, false);
	json_key(&j, "why");
	json_null(&j);
	json_key(&j, "none");
	json_str(&j, NULL);
	json_object_end(&j);
	is_str("{\"schema\":1,\"list\":[[],18446744073709551615,-9223372036854775808,{}],"
	       "\"yes\":true,\"no\":false,\"why\":null,\"none\":null}",
	       json_text(&j), "nests, and puts commas where they belong");
	json_reset(&j);

	json_array_begin(&j);
	json_hex(&j, 0xab);
	json_seconds(&j, 1500000000);
	json_seconds(&j, -1);
	json_seconds(&j, INT64_MIN);
	json_time(&j, 1795234410000000005);
	json_array_end(&j);
	is_str("[\"00000000000000ab\",1.500000000,-0.000000001,-9223372036.854775808,"
	       "\"2026-11-21T04:13:30.000000005Z\"]",
	       json_text(&j), "ids, seconds and times have their forms");
	json_reset(&j);

	json_str(&j, "a\"\\/\n\033\177\302\233\342\200\256\303\274\360\237\220\247\377\342\202");
	is_str("\"a\\\"\\\\/\\u000a\\u001b\\u007f\\u009b\\u202e\303\274\360\237\220\247"
	       "\\ufffd\\ufffd\\ufffd\"",
	       json_text(&j), "a string is escaped for JSON and for terminals");
	json_close(&j);
}

static void test_print(void)
{
	char line[64] = "", *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);
	struct json j;

	if (!f)
		bail("open_memstream");
	json_open(&j);
	json_u64(&j, 1);
	is_i64(0, json_print(&j, f), "prints");
	json_str(&j, "two\nlines");
	is_i64(0, json_print(&j, f), "and again on the same text");
	snprintf(line, sizeof(line), "%s", text);
	is_str("1\n\"two\\u000alines\"\n", line, "each value is one line");
	fclose(f);
	free(text);

	char *big = calloc(1, 100001);
	if (!big)
		bail("no memory");
	memset(big, 'x', 100000);
	json_str(&j, big);
	is_u64(100002, json_text(&j) ? strlen(json_text(&j)) : 0, "its memory grows as needed");
	free(big);
	json_close(&j);
}

int main(void)
{
	plan(9 + 3 + 4);
	test_refusals();
	test_values();
	test_print();
	return tap_done();
}
