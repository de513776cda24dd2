/* SPDX-License-Identifier: BSD-2-Clause */
/* test_options.c - ncp-producer's command line: refusals, defaults, and how parts combine. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libncpbus/include/ncpbus.h"
#include "producer/options.h"
#include "tap/tap.h"

#define WORDS 24

static struct producer_options o;
static char said[4096]; /* what the last call wrote to stderr */

/* Read a command line of up to WORDS words, NULL at the end. */
static enum options_result line(const char *const *words)
{
	char *argv[WORDS + 2] = { (char[]){ "ncp-producer" } };
	int argc = 1;
	FILE *f = tmpfile();
	int err = dup(2);

	if (!f || err < 0)
		bail("tmpfile");
	producer_options_free(&o);
	for (; words[argc - 1]; argc++)
		argv[argc] = (char *)(uintptr_t)words[argc - 1];
	dup2(fileno(f), 2);
	enum options_result r = producer_options_read(argc, argv, &o);
	dup2(err, 2);
	close(err);
	rewind(f);
	said[fread(said, 1, sizeof(said) - 1, f)] = '\0';
	fclose(f);
	return r;
}
#define LINE(...) line((const char *const[WORDS]){ __VA_ARGS__ })

static void refuses(const char *text, enum options_result r)
{
	bool good = r == OPTIONS_BAD && strstr(said, text) && strchr(said, '\n') &&
		    !strchr(said, '\n')[1];

	if (!ok(good, "refuses, in one line: %s", text))
		diag("%d: %s", r, said);
}

static void test_refusals(void)
{
	refuses("SOURCE: not given", LINE(NULL));
	refuses("no such kind of source", LINE("nonsense:x"));
	refuses("bus: several sources have no name of their own", LINE("-i", "synth:", "-i", "lo"));
	refuses("bus: several sources have no name of their own", LINE("eth0,eth1"));
	refuses("source eth0: given twice", LINE("-b", "x", "eth0,eth1", "-i", "afpacket:eth0",
						 "-i", "eth0"));
	refuses("SOURCE: an empty name", LINE("-b", "x", "eth0,,eth1"));
	refuses("SOURCE: an empty name", LINE("-b", "x", "eth0,"));
	refuses("source y:z: no such kind", LINE("-b", "x", "eth0,y:z,eth1"));
	refuses("bus: several sources", LINE("bus:a,bus:b"));
	refuses("source pcap:x: given twice", LINE("-b", "x", "pcap:x,eth0,pcap:x"));
	refuses("--workers: source bus:a: its frames", LINE("--workers", "2", "bus:a"));
	refuses("--workers 0", LINE("--workers", "0", "eth0"));
	refuses("--workers 65", LINE("--workers", "65", "eth0"));
	refuses("--workers: source synth:: its frames", LINE("--workers", "2", "synth:"));
	refuses("--workers: source file:x: its frames", LINE("-b", "x", "--workers", "2",
							     "eth0,file:x"));
	refuses("--workers: 3 sources with 22 workers each", LINE("-b", "x", "--workers", "22",
								  "eth0,eth1,eth2"));
	refuses("--fanout random: none of hash", LINE("--workers", "2", "--fanout", "random", "eth0"));
	refuses("--fanout: only with several workers", LINE("--fanout", "cpu", "eth0"));
	refuses("--from 10.0.0", LINE("--from", "10.0.0", "synth:"));
	refuses("--to www.example.org", LINE("--to", "www.example.org", "synth:"));
	refuses("-Q sideways", LINE("-Q", "sideways", "synth:"));
	refuses("-s 262145", LINE("-s", "262145", "synth:"));
	refuses("-c 0", LINE("-c", "0", "synth:"));
	refuses("--batch 0", LINE("--batch", "0", "synth:"));
	refuses("--rate fast", LINE("--rate", "fast", "synth:"));
	refuses("--history 60", LINE("--history", "60", "synth:"));
	refuses("--history: only together", LINE("--history", "60s", "synth:"));
	refuses("--rate: only together", LINE("--rate", "1G", "synth:"));
	refuses("-m: not together", LINE("-m", "1M", "--history", "1s", "--rate", "1G", "synth:"));
	refuses("32 TiB", LINE("--history", "9999h", "--rate", "100G", "synth:"));
	refuses("--keep: not together", LINE("--keep", "--unlink", "synth:"));
	refuses("--wait-clients: more", LINE("--reliable", "--max-reliable", "2", "--wait-clients",
					     "3", "synth:"));
	refuses("bus a/b", LINE("-b", "a/b", "synth:"));
	refuses("bus a+b", LINE("-b", "a+b", "synth:"));
	refuses("filter file /nonexistent/f", LINE("-F", "/nonexistent/f", "synth:"));
	refuses("-F and by words", LINE("-F", "/dev/null", "synth:", "tcp"));
	refuses("--speed 0", LINE("--speed", "0", "synth:"));
}

static void test_defaults(void)
{
	is_i64(OPTIONS_RUN, LINE("-b", "x", "pcap:nflog:5,eth0,bus:a,file:a,b"), "takes a list");
	is_u64(4, o.n_args, "of four: a path takes the last comma");
	is_str("nflog:5", o.arg[0].spec, "a device of libpcap has a colon of its own");
	is_str("a", o.arg[2].spec, "another bus");
	is_i64(OPTIONS_RUN, LINE("pcap:nflog:5"), "takes such a device alone");
	is_str("pcap", o.bus, "the bus is named after the kind of source");
	is_i64(OPTIONS_RUN, LINE("synth:count=1,pps=2"), "takes a source alone");
	is_u64(1, o.n_args, "that is one");
	is_str("count=1,pps=2", o.arg->spec, "its own words, commas and all, are left alone");
	is_u64(1, o.src.workers, "one worker");
	is_str("synth", o.bus, "the bus is named after the kind of source");
	is_str(NULL, o.src.filter, "no filter");
	is_u64(262144, o.src.snaplen, "snaplen");
	is_u64(1024, o.src.batch, "batch");
	is_u64(10, o.src.retire_ms, "retire time");
	ok(o.src.promiscuous, "promiscuous");
	is_u64(1, o.src.loop, "a file is played once");
	ok(o.src.speed <= 0 && o.src.speed_pps <= 0, "as fast as it goes");
	is_u64(0, o.ring_size, "no ring size: an existing bus's, else the default");
	is_u64(0, o.count, "no count");
	is_u64(64, o.max_reliable, "places for reliable clients");
	ok(!o.reliable && !o.keep && !o.unlink && !o.json, "all flags off");
	is_str("", said, "says nothing");
}

static void test_values(void)
{
	is_i64(OPTIONS_RUN,
	       LINE("-b", "x", "-m", "100M", "-B", "2048", "-s", "0", "-p", "-Q", "out", "-c", "7",
		    "synth:", "tcp", "port", "80"),
	       "options, a source and the words after it");
	is_str("tcp port 80", o.src.filter, "words are the filter");
	is_str("x", o.bus, "-b");
	is_u64(UINT64_C(128) << 20, o.ring_size, "-m is rounded up to a power of two");
	is_u64(UINT64_C(100) << 20, o.ring_asked, "and what was asked is known");
	is_u64(2048 * 1024, o.src.kernel_buffer, "-B counts KiB");
	is_u64(262144, o.src.snaplen, "-s 0 is all of a frame");
	ok(!o.src.promiscuous, "-p");
	is_u64(NCP_OUTBOUND, o.src.direction, "-Q out");
	is_u64(7, o.count, "-c");

	is_i64(OPTIONS_RUN, LINE("-i", "synth:", "tcp", "or", "udp", "--from", "10.0.0.1", "--to",
				 "fe80::1"), "with -i all words are the filter");
	is_str("(tcp or udp) and src host 10.0.0.1 and dst host fe80::1", o.src.filter,
	       "--from and --to are joined to it");
	is_i64(OPTIONS_RUN, LINE("synth:", "--history", "60s", "--rate", "1G"), "--history");
	is_u64(UINT64_C(16) << 30, o.ring_size, "sizes the ring by what it should remember");
	is_i64(OPTIONS_RUN, LINE("synth:", "-m", "1"), "-m 1");
	is_u64(65536, o.ring_size, "is the least ring there is");
	is_i64(OPTIONS_RUN, LINE("--json=/tmp/x", "synth:"), "--json=FILE");
	is_str("/tmp/x", o.json_file, "names the file");
	is_i64(OPTIONS_RUN, LINE("--remove", "x"), "--remove needs no source");
	is_i64(OPTIONS_RUN, LINE("-D"), "nor does -D");
	is_i64(OPTIONS_BAD, LINE("--nonsense", "--json"), "a usage error with --json behind it");
	ok(strncmp(said, "{\"schema\":1,\"error\":", 20) == 0, "is an object");
}

static void test_sources(void)
{
	is_i64(OPTIONS_RUN, LINE("eth0,eth1,file:/a,b", "-b", "x", "tcp"), "a list of sources");
	is_u64(3, o.n_args, "three");
	is_str("eth0", o.arg[0].text, "the first");
	is_str("eth1", o.arg[1].spec, "the second");
	is_str("file:/a,b", o.arg[2].text, "a path keeps its commas");
	is_str("eth0,eth1,file:/a,b", o.source, "and all as one text");
	is_str("tcp", o.src.filter, "words behind it are the filter");
	is_i64(OPTIONS_RUN, LINE("-b", "x", "-i", "synth:count=1,pps=2", "-i", "eth0,eth1", "udp"),
	       "the same by -i, repeated");
	is_u64(3, o.n_args, "three again");
	is_str("count=1,pps=2", o.arg[0].spec, "a list of keys is one source");
	is_str("eth1", o.arg[2].spec, "a list of names is two");
	is_str("udp", o.src.filter, "all words are the filter");
	is_i64(OPTIONS_RUN, LINE("--workers", "4", "--fanout", "qm", "--wait", "eth0"), "--workers");
	is_u64(4, o.src.workers, "four");
	is_i64(packet_fanout_flags("qm"), o.src.fanout, "--fanout");
	ok(o.src.wait, "--wait");
	is_str("eth0", o.bus, "one interface names the bus");
	is_i64(OPTIONS_RUN, LINE("--netns", "blue", "eth0"), "--netns");
	is_str("blue.eth0", o.bus, "with its namespace");
	refuses("bus /proc/7/ns/net.eth0", LINE("--netns", "/proc/7/ns/net", "eth0"));
}

static void test_filter_file(void)
{
	char path[PATH_MAX], text[] = "tcp # web\r\n and port 80\n# end";
	FILE *f;

	filter_text_clean(text);
	is_str("tcp         and port 80      ", text, "comments and line ends are blanks");
	snprintf(path, sizeof(path), "%s/filter", tap_tempdir(NULL));
	f = fopen(path, "w");
	if (!f || fputs("udp\n", f) < 0 || fclose(f))
		bail("write %s", path);
	is_i64(OPTIONS_RUN, LINE("-F", path, "synth:", "--from", "1.2.3.4"), "-F");
	is_str("(udp ) and src host 1.2.3.4", o.src.filter, "is a filter like any other");
	is_i64(OPTIONS_RUN, LINE("synth:", "--to", "1.2.3.4"), "--to alone");
	is_str("dst host 1.2.3.4", o.src.filter, "needs no brackets");
}

static void test_speed(void)
{
	static const struct {
		const char *text;
		int want;
		double times, pps;
	} cases[] = {
		{ "max", 0, 0, 0 },	   { "1", 0, 1, 0 },	       { "0.5", 0, 0.5, 0 },
		{ "2x", 0, 2, 0 },	   { "1000pps", 0, 0, 1000 },  { "1.5 pps", 0, 0, 1.5 },
		{ "", -EINVAL, 9, 9 },	   { "fast", -EINVAL, 9, 9 },  { "-1", -EINVAL, 9, 9 },
		{ "1kpps", -EINVAL, 9, 9 }, { "0", -ERANGE, 9, 9 },    { "9999999999", -ERANGE, 9, 9 },
		{ "0x10", -EINVAL, 9, 9 }, { "nan", -EINVAL, 9, 9 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		double times = 9, pps = 9;
		int r = options_speed(cases[i].text, &times, &pps);

		ok(r == cases[i].want && memcmp(&times, &cases[i].times, sizeof(times)) == 0 &&
		   memcmp(&pps, &cases[i].pps, sizeof(pps)) == 0,
		   "--speed '%s': %d, %g times, %g a second", cases[i].text, r, times, pps);
	}
}

int main(void)
{
	plan(37 + 23 + 22 + 20 + 5 + 14);
	test_refusals();
	test_defaults();
	test_values();
	test_sources();
	test_filter_file();
	test_speed();
	producer_options_free(&o);
	return tap_done();
}
