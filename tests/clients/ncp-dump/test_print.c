/* SPDX-License-Identifier: BSD-2-Clause */
/* test_print.c - lines of made frames, and of every cut and any bytes: never more than the frame. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "clients/ncp-dump/print.h"
#include "tap/tap.h"

static char line[PRINT_CAP];

/* The line that `print` makes of a frame; "" if it makes none. */
static const char *make(size_t (*print)(char *, const struct print_frame *), uint32_t linktype,
			const char *hex)
{
	static uint8_t data[512];
	uint32_t len = 0;

	for (const char *p = hex; *p; p++) {
		unsigned int byte;

		if (*p == ' ')
			continue;
		if (sscanf(p, "%2x", &byte) != 1)
			bail("bad hex: %s", p);
		data[len++] = (uint8_t)byte;
		p++;
	}
	struct print_frame f = { .data = data, .caplen = len, .len = len, .linktype = linktype,
				 .ts_ns = UINT64_C(3723000000007), .interface = "eth0" };
	size_t n = print(line, &f);
	if (n && (line[n - 1] != '\n' || strlen(line) != n))
		bail("a line that is none");
	line[n ? n - 1 : 0] = '\0';
	return line;
}

static const char *show(uint32_t linktype, const char *hex)
{
	return make(print_line, linktype, hex);
}

static const char *flow(uint32_t linktype, const char *hex)
{
	return make(print_flow, linktype, hex);
}

#define MACS "020000000001 020000000002 "
#define IP4(proto, frag) "45000030 0001" frag " 40" proto "0000 c0000201 c6336407 "
#define IP6(next) "60000000 0010" next "40 20010db8000000000000000000000001 " \
		  "20010db8000000000000000000000002 "
#define PORTS "04d2 0035 00000000"

static void made(void)
{
	is_str("01:02:03.000000007 eth0 192.0.2.1.1234 > 198.51.100.7.53 UDP 42",
	       show(1, MACS "0800 " IP4("11", "0000") PORTS), "UDP over IPv4 over Ethernet");
	is_str("01:02:03.000000007 eth0 vlan-5 192.0.2.1.1234 > 198.51.100.7.53 TCP 46",
	       show(1, MACS "8100 0005 0800 " IP4("06", "0000") PORTS), "TCP in a VLAN");
	is_str("01:02:03.000000007 eth0 2001:db8::1.1234 > 2001:db8::2.53 UDP 62",
	       show(1, MACS "86dd " IP6("11") PORTS), "UDP over IPv6");
	is_str("01:02:03.000000007 eth0 2001:db8::1 > 2001:db8::2 UDP fragment 70",
	       show(1, MACS "86dd " IP6("2c") "11000010 00000001 " PORTS),
	       "a later fragment has no ports");
	is_str("01:02:03.000000007 eth0 2001:db8::1.1234 > 2001:db8::2.53 UDP 78",
	       show(1, MACS "86dd " IP6("00") "3c000000 00000000 11000000 00000000 " PORTS),
	       "extension headers are passed over");
	is_str("01:02:03.000000007 eth0 192.0.2.1 > 198.51.100.7 TCP fragment 42",
	       show(1, MACS "0800 " IP4("06", "0001") PORTS), "a later IPv4 fragment neither");
	is_str("01:02:03.000000007 eth0 192.0.2.1 > 198.51.100.7 proto-253 28",
	       show(101, IP4("fd", "0000") PORTS), "an unknown protocol, raw IP");
	is_str("01:02:03.000000007 eth0 192.0.2.1 > 192.0.2.9 ARP who-has 42",
	       show(1, "ffffffffffff 020000000002 0806 0001 0800 06 04 0001 020000000002 c0000201 "
		       "000000000000 c0000209"),
	       "ARP");
	is_str("01:02:03.000000007 eth0 02:00:00:00:00:02 > 02:00:00:00:00:01 type-0x88cc 14",
	       show(1, MACS "88cc"), "another type by its number");
	is_str("01:02:03.000000007 eth0 02:00:00:00:00:02 > 02:00:00:00:00:01 LLC 14",
	       show(1, MACS "0026"), "a length is no type");
	is_str("01:02:03.000000007 eth0 192.0.2.1.1234 > 198.51.100.7.53 UDP 32",
	       show(0, "02000000 " IP4("11", "0000") PORTS), "BSD loopback");
	is_str("01:02:03.000000007 eth0 192.0.2.1.1234 > 198.51.100.7.53 UDP 44",
	       show(113, "0000 0001 0006 0200000000010000 0800 " IP4("11", "0000") PORTS),
	       "Linux cooked");
	is_str("01:02:03.000000007 eth0 192.0.2.1.1234 > 198.51.100.7.53 UDP 48",
	       show(276, "0800 0000 00000002 0001 00 06 0200000000010000 " IP4("11", "0000") PORTS),
	       "Linux cooked, second version");
	is_str("01:02:03.000000007 eth0 192.0.2.1.1234 > 198.51.100.7.53 UDP 32",
	       show(9, "ff03 0021 " IP4("11", "0000") PORTS), "PPP");
	is_str("01:02:03.000000007 eth0 802.11 3", show(127, "000000"), "802.11 is named");
	is_str("01:02:03.000000007 eth0 linktype-999 3", show(999, "000000"), "others by number");
}

static void flows(void)
{
	is_str("192.0.2.1 1234 198.51.100.7 53 UDP", flow(1, MACS "0800 " IP4("11", "0000") PORTS),
	       "a flow of UDP over IPv4");
	is_str("192.0.2.1 1234 198.51.100.7 53 TCP",
	       flow(1, MACS "88a8 0009 8100 0005 0800 " IP4("06", "2000") PORTS),
	       "of TCP in two VLANs, the first fragment");
	is_str("2001:db8::1 1234 2001:db8::2 53 TCP", flow(1, MACS "86dd " IP6("06") PORTS), "over IPv6");
	is_str("2001:db8::1 1234 2001:db8::2 53 UDP",
	       flow(276, "86dd 0000 00000002 0001 00 06 0200000000010000 " IP6("3c")
			 "11000000 00000000 " PORTS), "behind extension headers, Linux cooked");
	is_str("192.0.2.1 1234 198.51.100.7 53 UDP", flow(101, IP4("11", "0000") PORTS), "raw IP");
	is_str("192.0.2.1 1234 198.51.100.7 53 UDP", flow(9, "0021 " IP4("11", "0000") PORTS), "PPP");
	is_str("192.0.2.1 1234 198.51.100.7 53 UDP", flow(108, "00000002 " IP4("11", "0000") PORTS),
	       "OpenBSD loopback");
	is_str("", flow(1, MACS "0800 " IP4("11", "0001") PORTS), "a later fragment has no ports");
	is_str("", flow(1, MACS "86dd " IP6("2c") "11000010 00000001 " PORTS), "nor over IPv6");
	is_str("", flow(1, MACS "0800 " IP4("11", "0000") "04d2 00"), "nor one cut before them");
	is_str("", flow(1, MACS "0800 " IP4("01", "0000") PORTS), "ICMP has none");
	is_str("", flow(1, MACS "0806 " IP4("11", "0000") PORTS), "ARP is no flow");
	is_str("", flow(239, IP4("11", "0000") PORTS), "nor is what another link type holds");
}

/* Frames end at the end of a page that nothing follows: a read beyond is a crash. */
static void hostile(void)
{
	static const uint32_t links[] = { 0, 1, 9, 12, 14, 50, 101, 105, 108, 113, 127, 228, 229,
					  239, 276, 999 };
	uint8_t *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct tap_rng rng = { .seed = tap_seed() };
	bool good = true;

	if (page == MAP_FAILED || mprotect(page + 4096, 4096, PROT_NONE))
		bail("mmap");
	for (int i = 0; i < 200000 && good; i++) {
		uint32_t len = (uint32_t)tap_rng_below(&rng, 120);
		uint8_t *data = page + 4096 - len;

		for (uint32_t k = 0; k < len; k++)
			data[k] = (uint8_t)tap_rng_u64(&rng);
		/* Often something that is looked into deeper. */
		if (len > 30 && i % 2) {
			static const uint8_t types[][2] = {
				{ 8, 0 }, { 0x86, 0xdd }, { 0x81, 0 }, { 8, 6 } };
			memcpy(data + 12, types[i / 2 % 4], 2);
			data[14] = i / 2 % 4 == 1 ? 0x60 : (uint8_t)(0x40 | (data[14] & 15));
			if (i % 3)
				data[20] = i % 5 == 0 ? 44 : i % 5 == 1 ? 0 : 43;
		}
		struct print_frame f = { .data = data, .caplen = len,
					 .len = len + (uint32_t)tap_rng_below(&rng, 3),
					 .linktype = links[(size_t)i % (sizeof(links) / 4)],
					 .ts_ns = tap_rng_u64(&rng), .interface = "x" };
		size_t n = print_flow(line, &f);
		bool is_line = n == 0 || (n < PRINT_CAP && line[n] == 0 && line[n - 1] == '\n');

		n = print_line(line, &f);
		good = is_line && n > 0 && n < PRINT_CAP && line[n] == 0 && line[n - 1] == '\n';
		for (size_t k = 0; k + 1 < n; k++)
			good = good && line[k] >= 0x20 && line[k] < 0x7f;
	}
	ok(good, "any bytes make one line of plain ASCII");
}

int main(void)
{
	setenv("TZ", "UTC", 1);
	tzset();
	plan(18 + 13);
	made();
	flows();
	struct print_frame f = { .data = (const uint8_t *)"", .len = 9, .linktype = 1,
				 .interface = "eth0" };
	print_line(line, &f);
	is_str("00:00:00.000000000 eth0 Ethernet [short] 9 [0 captured]\n", line,
	       "an empty capture says what it lacks");
	hostile();
	return tap_done();
}
