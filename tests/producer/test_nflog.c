/* SPDX-License-Identifier: BSD-2-Clause */
/* test_nflog.c - numbers in netfilter's log messages: holes found, and nothing believed that is none. */
#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include <linux/netfilter/nfnetlink_log.h>

#include "producer/linktype.h"
#include "producer/nflog.h"
#include "tap/tap.h"

/* A message with one attribute before the number, and a payload behind it.  Returns its length. */
static uint32_t message(uint8_t *m, uint32_t number, uint16_t type)
{
	const uint16_t head[] = { 9, NFULA_PACKET_HDR }, seq[] = { 8, type }, load[] = { 6, NFULA_PAYLOAD };

	number = htonl(number);
	memset(m, 0, 64);
	memcpy(m + 4, head, 4);
	memcpy(m + 16, seq, 4); /* 9 bytes, rounded up to 12 */
	memcpy(m + 20, &number, 4);
	memcpy(m + 24, load, 4);
	return 30;
}

static uint64_t missed(struct nflog *l, uint32_t number)
{
	uint8_t m[64];
	uint32_t len = message(m, number, NFULA_SEQ);

	return nflog_missed(l, m, len);
}

static void test_groups(void)
{
	is_i64(0, nflog_group("nflog"), "no group is group 0");
	is_i64(5, nflog_group("nflog:5"), "a group");
	is_i64(65535, nflog_group("nflog:65535"), "the last one");
	is_i64(16, nflog_group("nflog:0x10"), "in hexadecimal, as libpcap reads it");
	is_i64(-EINVAL, nflog_group("nflog:65536"), "none beyond it");
	is_i64(-EINVAL, nflog_group("nflog:-1"), "none below 0");
	is_i64(-EINVAL, nflog_group("nflog:"), "none after the colon");
	is_i64(-EINVAL, nflog_group("nflog:5,6"), "several");
	is_i64(-EINVAL, nflog_group("nflogger"), "another name");
	is_i64(-EINVAL, nflog_group("usbmon1"), "another kind");
}

static void test_numbers(void)
{
	struct nflog l = { 0 };
	uint8_t m[64];

	is_u64(0, missed(&l, 0), "the first");
	ok(l.numbered, "is seen to have a number");
	is_u64(0, missed(&l, 1), "the next");
	is_u64(3, missed(&l, 5), "a hole of three");
	is_u64(0, missed(&l, 6), "none behind it");
	is_u64(0, missed(&l, 2), "back: the group was made anew");
	is_u64(0, missed(&l, 3), "and goes on from there");

	l.next = UINT32_MAX - 1;
	is_u64(0, missed(&l, UINT32_MAX - 1), "the last but one");
	is_u64(2, missed(&l, 1), "a hole across the wrap: the last, and 0");

	l = (struct nflog){ .next = 7 };
	is_u64(0, nflog_missed(&l, m, message(m, 9, NFULA_MARK)), "another attribute is no number");
	ok(!l.numbered && l.next == 7, "and changes nothing");
}

static void test_hostile(void)
{
	struct nflog l = { 0 };
	uint8_t m[64];
	uint32_t len = message(m, 77, NFULA_SEQ);
	uint16_t v;

	for (uint32_t cut = 0; cut < 24; cut++)
		if (nflog_missed(&l, m, cut))
			break;
	ok(!l.numbered, "a message cut before the end of its number has none");
	v = 3;
	memcpy(m + 4, &v, sizeof(v));
	is_u64(0, nflog_missed(&l, m, len), "an attribute shorter than its head ends the walk");
	v = 200;
	memcpy(m + 4, &v, sizeof(v));
	is_u64(0, nflog_missed(&l, m, len), "one that is longer than the message, too");
	v = 9;
	memcpy(m + 4, &v, sizeof(v));
	v = 7;
	memcpy(m + 16, &v, sizeof(v));
	is_u64(0, nflog_missed(&l, m, len), "a number of three bytes is none");
	ok(!l.numbered, "none of these was believed");
	v = 8;
	memcpy(m + 16, &v, sizeof(v));
	is_u64(77, nflog_missed(&l, m, 24), "the same message put right, without its payload");
}

/* Here, where libpcap's numbers are at hand. */
static void test_linktypes(void)
{
	static const struct {
		int dlt;
		uint32_t linktype;
		const char *name;
	} some[] = { { 1, 1, "Ethernet" }, { 12, 101, "raw IP" }, { 239, 239, "nflog" },
		     { 276, 276, "cooked" } };
	uint32_t linktype;
	int dlt;

	for (size_t i = 0; i < sizeof(some) / sizeof(*some); i++) {
		ok(linktype_of_dlt(some[i].dlt, &linktype) == 0 && linktype == some[i].linktype &&
			   linktype_to_dlt(linktype, &dlt) == 0 && dlt == some[i].dlt,
		   "DLT_ to LINKTYPE_ and back: %s", some[i].name);
	}
}

int main(void)
{
	plan(10 + 11 + 6 + 4);
	test_groups();
	test_numbers();
	test_hostile();
	test_linktypes();
	return tap_done();
}
