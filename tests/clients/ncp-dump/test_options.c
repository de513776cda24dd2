/* SPDX-License-Identifier: BSD-2-Clause */
/* test_options.c - ncp-dump's command line: places, conditions, and what does not go together. */
#include <errno.h>
#include <fcntl.h>
#include <ncpbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clients/ncp-dump/options.h"
#include "tap/tap.h"
#include "util/message.h"

#define NOW UINT64_C(1700000000000000000)

static struct dump_options o;

/* Parse a line split at blanks; what is said goes nowhere. */
static int parse(const char *line)
{
	static char copy[512];
	char *argv[32] = { (char *)"ncp-dump" };
	int argc = 1;

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *p = strtok(copy, " "); p; p = strtok(NULL, " "))
		argv[argc++] = p;
	free(o.filter);
	fflush(stderr);
	int saved = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
	dup2(null, STDERR_FILENO);
	int r = dump_options_parse(&o, argc, argv, NOW);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(null);
	return r;
}

static void places(void)
{
	struct dump_where w;

	is_i64(-EINVAL, dump_where_parse("oldest", true, NOW, &w), "--to oldest is refused");
	is_i64(-EINVAL, dump_where_parse("now", false, NOW, &w), "--from now is refused");
	is_i64(-EINVAL, dump_where_parse("-60s", true, NOW, &w), "--to -60s is refused");
	is_i64(-EINVAL, dump_where_parse("seq:x", false, NOW, &w), "a number has digits");
	is_i64(-EINVAL, dump_where_parse("yesterday", false, NOW, &w), "yesterday is refused");
	ok(dump_where_parse("seq:17", true, NOW, &w) == 0 && w.kind == WHERE_SEQ && w.value == 17,
	   "a frame number is taken");
	ok(dump_where_parse("-1.5", false, NOW, &w) == 0 && w.kind == WHERE_AGO &&
		   w.value == 1500000000,
	   "so long ago, in seconds");
	ok(dump_where_parse("-2m", false, NOW, &w) == 0 && w.value == UINT64_C(120000000000),
	   "or minutes");
	ok(dump_where_parse("@12.5", true, NOW, &w) == 0 && w.kind == WHERE_TIME &&
		   w.value == UINT64_C(12500000000),
	   "a time is taken");
}

int main(void)
{
	static const char *const bad[] = {
		"-i", "--nonsense", "-c 0", "-c x", "-a size:3", "-a duration:", "-Q sideways",
		"--sync often", "--sync 0", "--writer mmap", "--iobuf 1K", "--iobuf 1G", "-s 300000",
		"-s -1", "--snapshot --from oldest", "--snapshot --to now", "--resume s",
		"--resume s -w -", "-w x --resume s --snapshot", "-a filesize:10",
		"-w x --format pcap-ng", "--format pcap", "--compress zstd", "-w x --compress gzip",
		"-w tcp-listen:", "-w tcp-listen:192.0.2.1:5", "-w tcp-listen:5 --resume s",
		"-w tcp-listen:5 --compress zstd", "-w tcp-listen:5 -C 1", "-w tcp-listen:5 --group g",
		"-w tcp-listen:5 --reliable",
		"-w x --log y", "-w x --decode", "--log y --decode", "--decode --format pcap",
		"-w x --quota 8M --compress lz4", "-w x --keep-free 1G --format pcap",
		"-w x --compress zstd:0", "-w x --compress zstd:x", "-w x --compress lz4:99",
		"--shard 1", "--shard 4/3", "--shard 0/0", "--shard -1/3", "--shard 1/3/5",
		"--shard 0/70000", "--ordered=0", "--ordered=2m", "--group g --shard 0/2",
		"--group g --ordered", "-w x --group g --resume s", "-w x --ordered --resume s",
		"-b filesize:0x -w x", "-b files:3 -w x", "-b files:100000 -b packets:1 -w x", "-b size:3 -w x",
		"-b nametimenum:3 -w x", "-b printname: -w x", "-b packets:5 -C 1 -w x", "-b packets:5",
		"-b packets:5 -w -", "-a files:2 -w x", "-z gzip", "-z gzip -w -", "--atomic -w -",
		"--quota 1M", "--quota 1K -w x", "--quota 1M -C 1 -w x", "--keep-free 1M -w -",
		"--split-interfaces", "--split-interfaces -w -", "--split-interfaces -w x --resume s",
		"--split-interfaces -w x --reliable", "--split-interfaces -w x --group g", "-C 0 -w x", "-C x -w x", "-G 0 -w x", "-W 0 -C 1 -w x", "-C 1", "-G 1", "-W 3 -w x",
		"-C 1 -w -", "-G 1 -w -", "-C 1 -a filesize:5 -w x", "-C 1 -W 2 -w x --no-clobber",
		"-f tcp udp", "-f tcp -F /dev/null", "-F /nonexistent/filter",
	};

	plan((unsigned int)(9 + sizeof(bad) / sizeof(*bad) + 13 + 6 + 3 + 1));
	message_setup("ncp-dump");
	places();
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		is_i64(OPTIONS_BAD, parse(bad[i]), "refuses %s", bad[i]);
	is_i64(OPTIONS_RUN, parse(""), "nothing is needed");
	ok(!o.bus && !o.write && !o.filter && o.from.kind == WHERE_NONE && o.sync == SYNC_CLOSE &&
		   o.iobuf == 1 << 20 && !o.direction && !o.snaplen,
	   "and then all is as the page says");
	is_i64(OPTIONS_RUN, parse("-i eth0 -w x.pcapng -nn -l -U -K -p -q tcp port 80"),
	       "takes tcpdump's letters");
	is_str("tcp port 80", o.filter, "words are the filter");
	is_i64(OPTIONS_RUN, parse("-f tcp --snapshot"), "takes -f");
	ok(!strcmp(o.filter, "tcp") && o.from.kind == WHERE_OLDEST && o.to.kind == WHERE_LATEST,
	   "--snapshot is from oldest to now");
	is_i64(OPTIONS_RUN, parse("-w f -a duration:2 -a filesize:3 -a packets:4 -Q out -s 64 "
				  "--iobuf 70000 --sync 0.5 --writer pwrite --from -60s"),
	       "takes what has a form of its own");
	ok(o.duration_ns == 2000000000 && o.rotate.size == 3000 && !o.rotate.over &&
		   o.rotate.stop_files == 1 && !o.rotating && o.count == 4,
	   "ends in seconds, kB and frames");
	ok(o.direction == NCP_OUTBOUND && o.snaplen == 64 && o.sync == SYNC_EVERY &&
		   o.sync_ns == 500000000 && o.writer == OUTFILE_PWRITE,
	   "direction, length, sync, writer");
	is_u64(73728, o.iobuf, "a write is whole pages");
	ok(parse("-s 262144 -w x") == OPTIONS_RUN && o.snaplen == 0, "-s 262144 cuts nothing");
	ok(parse("--shard 2/3") == OPTIONS_RUN && o.shard_idx == 2 && o.shard_n == 3, "a shard");
	ok(parse("--shard 3/3") == OPTIONS_RUN && o.shard_idx == 0 && o.shard_n == 3,
	   "counted from 1, the last is 0");
	ok(parse("--ordered --ordered=20ms") == OPTIONS_RUN && o.ordered && o.reorder_ns == 20000000,
	   "a window of one's own");
	ok(parse("-w x -C 5 -W 3 -G 60 --utc") == OPTIONS_RUN && o.rotate.size == 5000000 && o.rotate.over &&
		   o.rotate.count == 3 && o.rotate.every_s == 60 && o.utc && o.rotating,
	   "tcpdump's letters: millions of bytes, seconds, files");
	ok(parse("-w x -C 5K") == OPTIONS_RUN && o.rotate.size == 5120, "or with a letter");
	ok(parse("-w x -b filesize:5 -b duration:0.5 -b interval:60 -b packets:7 -b files:3 "
		 "-b printname:- -b nametimenum:2 -a files:9") == OPTIONS_RUN && o.rotate.size == 5000 &&
		   !o.rotate.over && o.rotate.duration_ns == 500000000 && o.rotate.interval_s == 60 &&
		   o.rotate.packets == 7 && o.keep_files == 3 && !strcmp(o.print_name, "-") &&
		   o.time_first && o.ring_names && o.rotate.stop_files == 9,
	   "dumpcap's ring");
	ok(parse("-w x -b duration:5 -a filesize:2") == OPTIONS_RUN && o.rotate.size == 2000 &&
		   !o.rotate.stop_files, "in which -a filesize: is a file's size");
	ok(parse("-w x --quota 8M") == OPTIONS_RUN && o.rotate.size == 1 << 20 && !o.overwrites &&
		   o.rotating, "a quota is of eight files");
	ok(parse("-w x --format pcap --compress zstd:9") == OPTIONS_RUN && o.format == FORMAT_PCAP &&
		   o.coder == &coder_zstd && o.level == 9,
	   "a format, compressed");
	ok(parse("-w x --nano") == OPTIONS_RUN && o.format == FORMAT_NSEC_PCAP &&
		   parse("-w x --nano --format pcap") == OPTIONS_RUN && o.format == FORMAT_NSEC_PCAP,
	   "tcpdump's --nano");
	ok(parse("-w x --nano --format pcapng") == OPTIONS_RUN && o.format == FORMAT_PCAPNG,
	   "pcapng has nanoseconds anyway");
	ok(parse("-w tcp-listen:192.0.2.1:5 --allow-remote") == OPTIONS_RUN && o.listening,
	   "a port that others reach, when one says so");
	free(o.filter);
	return tap_done();
}
