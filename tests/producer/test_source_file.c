/* SPDX-License-Identifier: BSD-2-Clause */
/* test_source_file.c - a replayed capture is, frame for frame, what libpcap reads in it. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <pcap/pcap.h>

#include "libncpbus/include/ncpbus.h"
#include "producer/source.h"
#include "tap/tap.h"

static const struct source_options defaults = { .snaplen = 262144, .retire_ms = 1, .loop = 1 };
static const char *dir;
static char why[SOURCE_WHY_CAP];

static const char *path(const char *name)
{
	static char buf[4][512];
	static int i;

	i = (i + 1) % 4;
	snprintf(buf[i], sizeof(buf[i]), "%s/%s", dir, name);
	return buf[i];
}

static void write_file(const char *name, const void *data, size_t len)
{
	FILE *f = fopen(path(name), "w");

	if (!f || fwrite(data, 1, len, f) != len || fclose(f))
		bail("cannot write %s", name);
}

static struct source *begin(const char *spec, const struct source_options *o)
{
	struct source *src = NULL;

	*why = '\0';
	if (source_file.open(&src, spec, o, why) || src->ops->start(src))
		bail("%s: %s", spec, why);
	return src;
}

/* --- captures made here ------------------------------------------------------------------- */

#define N_FRAMES 300

/* Byte j of frame i. */
static uint8_t fill(uint32_t i, uint32_t j)
{
	return (uint8_t)(i * 31 + j * 7 + (j >> 8));
}

static uint32_t length(uint32_t i)
{
	static const uint32_t some[] = { 0, 1, 60, 1514, 9000, 65535, 262144 };

	return i < sizeof(some) / sizeof(some[0]) ? some[i] : 14 + i * 5;
}

static void make_pcap(const char *name, int dlt, u_int precision)
{
	static u_char data[262144];
	pcap_t *dead = pcap_open_dead_with_tstamp_precision(dlt, 262144, precision);
	pcap_dumper_t *d = pcap_dump_open(dead, path(name));

	if (!d)
		bail("%s: %s", name, pcap_geterr(dead));
	for (uint32_t i = 0; i < N_FRAMES; i++) {
		struct pcap_pkthdr h = { .ts = { .tv_sec = 1700000000 + i / 100,
						 .tv_usec = i % 100 * 9999 },
					 .caplen = length(i), .len = length(i) + i % 3 * 100 };

		for (uint32_t j = 0; j < h.caplen; j++)
			data[j] = fill(i, j);
		pcap_dump((u_char *)d, &h, data);
	}
	pcap_dump_close(d);
	pcap_close(dead);
}

/* The link type as it stands in a file: the second word from the end of a pcap header, or what the
 * first Interface Description Block of a pcapng says. */
static uint32_t linktype_in(const char *file)
{
	uint8_t b[4096];
	uint32_t w, total;
	uint16_t t;
	FILE *f = fopen(file, "r");
	size_t n = f ? fread(b, 1, sizeof(b), f) : 0;

	if (f)
		fclose(f);
	if (n < 48)
		bail("%s: too short", file);
	memcpy(&w, b, 4);
	if (w == 0x0a0d0d0a) {
		uint32_t magic;

		memcpy(&magic, b + 8, 4);
		memcpy(&total, b + 4, 4);
		total = magic == 0x1a2b3c4d ? total : __builtin_bswap32(total);
		if (total > n - 12)
			bail("%s: long section header", file);
		memcpy(&t, b + total + 8, 2);
		return magic == 0x1a2b3c4d ? t : __builtin_bswap16(t);
	}
	bool native = w == 0xa1b2c3d4 || w == 0xa1b23c4d || w == 0xa1b2cd34;
	memcpy(&w, b + 20, 4);
	return (native ? w : __builtin_bswap32(w)) & 0x03ffffff;
}

/* --- comparing with libpcap --------------------------------------------------------------- */

struct result {
	uint64_t same;	 /* frames equal to libpcap's, from the first on */
	uint64_t wanted; /* frames libpcap read */
	int mine, pcaps; /* how it ended: SOURCE_END or < 0; PCAP_ERROR_BREAK or < 0 */
	char text[PCAP_ERRBUF_SIZE];
	uint32_t linktype;
	char why[SOURCE_WHY_CAP];
};

static bool equal(const struct ncpi_frame *f, const struct pcap_pkthdr *h, const u_char *data)
{
	uint32_t len = h->len > h->caplen ? h->len : h->caplen;
	/* A pcap's seconds are unsigned: later than 2038 is not before 1970. */
	uint64_t sec = h->ts.tv_sec < 0 ? (uint32_t)h->ts.tv_sec : (uint64_t)h->ts.tv_sec;

	return f->caplen == (h->caplen < 262144 ? h->caplen : 262144) && f->len == len &&
	       f->ts_ns == sec * 1000000000 + (uint64_t)h->ts.tv_usec && !f->interface &&
	       !f->flags && !f->vlan_tpid && !memcmp(f->data, data, f->caplen);
}

/* Reads spec through the source and file through libpcap. */
static struct result compare(const char *spec, const char *file)
{
	struct result res = { 0 };
	char text[PCAP_ERRBUF_SIZE] = "";
	struct pcap_pkthdr *h;
	const u_char *data;
	pcap_t *p = pcap_open_offline_with_tstamp_precision(file, PCAP_TSTAMP_PRECISION_NANO, text);
	struct source *src = NULL;
	int r = source_file.open(&src, spec, &defaults, res.why);

	if (!p || r) {
		res.mine = r;
		res.pcaps = p ? PCAP_ERROR_BREAK : PCAP_ERROR;
		memcpy(res.text, text, sizeof(text));
		if (p)
			pcap_close(p);
		source_file.close(src);
		return res;
	}
	struct ncpi_interface_desc d;
	if (source_file.interface(src, 0, &d) == 1)
		res.linktype = d.linktype;
	source_file.start(src);
	struct source_batch b;
	bool good = true;
	while ((r = source_file.take(src, &b, 10)) >= 0 && r != SOURCE_END) {
		if (r == SOURCE_NOTHING)
			continue;
		for (size_t i = 0; i < b.n; i++) {
			good = good && pcap_next_ex(p, &h, &data) == 1 && equal(&b.frames[i], h, data);
			res.same += good;
		}
		source_file.give(src, &b);
	}
	res.mine = r;
	memcpy(res.why, src->why, sizeof(res.why));
	res.wanted = res.same;
	while ((r = pcap_next_ex(p, &h, &data)) == 1)
		res.wanted++;
	res.pcaps = r;
	memcpy(res.text, pcap_geterr(p), sizeof(res.text));
	source_file.close(src);
	pcap_close(p);
	return res;
}

static bool agrees(const struct result *r)
{
	bool good = r->same == r->wanted &&
		    (r->mine == SOURCE_END) == (r->pcaps == PCAP_ERROR_BREAK) &&
		    (r->mine < 0 ? strlen(r->why) > 0 && !strchr(r->why, '\n') : true);

	if (!good)
		diag("%llu of %llu, ended %d, libpcap %d: %s; %s", (unsigned long long)r->same,
		     (unsigned long long)r->wanted, r->mine, r->pcaps, r->why, r->text);
	return good;
}

static void link_types(void)
{
	static const int dlts[] = { DLT_NULL, DLT_EN10MB, DLT_RAW, DLT_LOOP, DLT_PPP, DLT_PPP_SERIAL,
				    DLT_FDDI, DLT_C_HDLC, DLT_FRELAY, DLT_IEEE802_11,
				    DLT_IEEE802_11_RADIO, DLT_LINUX_SLL, DLT_LINUX_SLL2, DLT_IPV4,
				    DLT_IPV6, DLT_NFLOG, DLT_PFSYNC, DLT_ATM_RFC1483, DLT_VSOCK };

	for (size_t i = 0; i < sizeof(dlts) / sizeof(dlts[0]); i++) {
		make_pcap("t.pcap", dlts[i], i % 2 ? PCAP_TSTAMP_PRECISION_MICRO
						   : PCAP_TSTAMP_PRECISION_NANO);
		struct result r = compare(path("t.pcap"), path("t.pcap"));
		ok(agrees(&r) && r.same == N_FRAMES &&
			   r.linktype == linktype_in(path("t.pcap")),
		   "%s: every frame, and its LINKTYPE_", pcap_datalink_val_to_name(dlts[i]));
	}
}

/* Captures of the machine's, when they are there. */
static void real_captures(void)
{
	static const char real[] = "../shared/captures";
	DIR *d = opendir(real);
	unsigned int n = 0, good = 0;
	struct dirent *e;
	char file[512];

	if (!d) {
		skip(1, "no captures in %s", real);
		return;
	}
	while ((e = readdir(d))) {
		if (!strstr(e->d_name, ".pcap"))
			continue;
		snprintf(file, sizeof(file), "%s/%s", real, e->d_name);
		struct result r = compare(file, file);
		n++;
		if (agrees(&r) && (r.pcaps == PCAP_ERROR || r.linktype == linktype_in(file)))
			good++;
		else
			diag("%s: link type %u", file, r.linktype);
	}
	closedir(d);
	is_u64(n, good, "%u captures of other people", n);
}

/* --- handmade files ----------------------------------------------------------------------- */

static uint8_t bytes[1 << 20];
static size_t n_bytes;
static bool swapped;

static void put32(uint32_t v)
{
	v = swapped ? __builtin_bswap32(v) : v;
	memcpy(bytes + n_bytes, &v, 4);
	n_bytes += 4;
}

static void put16(uint16_t v)
{
	v = swapped ? __builtin_bswap16(v) : v;
	memcpy(bytes + n_bytes, &v, 2);
	n_bytes += 2;
}

static void pcap_header(uint32_t magic, uint16_t minor, uint32_t snaplen)
{
	n_bytes = 0;
	put32(magic);
	put16(2);
	put16(minor);
	put32(0);
	put32(0);
	put32(snaplen);
	put32(1);
}

static void pcap_record(uint32_t sec, uint32_t frac, uint32_t a, uint32_t b, uint32_t stored)
{
	put32(sec);
	put32(frac);
	put32(a);
	put32(b);
	for (uint32_t j = 0; j < stored; j++)
		bytes[n_bytes++] = fill(sec, j);
}

static void section(void)
{
	put32(0x0a0d0d0a);
	put32(28);
	put32(0x1a2b3c4d);
	put16(1);
	put16(0);
	put32(0xffffffff);
	put32(0xffffffff);
	put32(28);
}

static void description(uint16_t linktype, uint8_t tsresol)
{
	put32(1);
	put32(32);
	put16(linktype);
	put16(0);
	put32(262144);
	put16(9);
	put16(1);
	bytes[n_bytes++] = tsresol;
	n_bytes += 3;
	put32(0);
	put32(32);
}

/* The same with an if_tsoffset, in seconds. */
static void description_shifted(uint8_t tsresol, int64_t offset)
{
	put32(1);
	put32(44);
	put16(1);
	put16(0);
	put32(262144);
	put16(9);
	put16(1);
	bytes[n_bytes++] = tsresol;
	n_bytes += 3;
	put16(14);
	put16(8);
	put32((uint32_t)offset); /* the lower half first: of this byte order */
	put32((uint32_t)((uint64_t)offset >> 32));
	put32(0);
	put32(44);
}

static void enhanced(uint32_t interface, uint64_t ts, uint32_t caplen)
{
	uint32_t total = 32 + (caplen + 3) / 4 * 4;

	put32(6);
	put32(total);
	put32(interface);
	put32((uint32_t)(ts >> 32));
	put32((uint32_t)ts);
	put32(caplen);
	put32(caplen + 4);
	for (uint32_t j = 0; j < (caplen + 3) / 4 * 4; j++)
		bytes[n_bytes++] = fill(caplen, j);
	put32(total);
}

static void other_block(uint32_t type, uint32_t body)
{
	put32(type);
	put32(12 + body);
	n_bytes += body;
	put32(12 + body);
}

static bool same_as_pcap(const char *name, uint64_t n)
{
	write_file(name, bytes, n_bytes);
	struct result r = compare(path(name), path(name));
	return agrees(&r) && r.same == n;
}

static void formats(void)
{
	for (int s = 0; s < 2; s++) {
		swapped = s;
		pcap_header(0xa1b23c4d, 4, 65535);
		for (uint32_t i = 0; i < 20; i++)
			pcap_record(4000000000u + i, 999999999 - i, i, i, i);
		ok(same_as_pcap("f.pcap", 20), "%s byte order, ns, times after 2038",
		   s ? "the other" : "this");
		pcap_header(0xa1b2cd34, 4, 65535);
		for (uint32_t i = 0; i < 20; i++) {
			pcap_record(i, i, i + 20, i + 20, 0);
			n_bytes += 8 + i + 20;
		}
		ok(same_as_pcap("f.pcap", 20), "Kuznetzov's long record headers");
		pcap_header(0xa1b2c3d4, 2, 65535);
		for (uint32_t i = 0; i < 20; i++)
			pcap_record(i, i, 100, i, i);
		ok(same_as_pcap("f.pcap", 20), "version 2.2: lengths exchanged");
		pcap_header(0xa1b2c3d4, 4, 65535);
		pcap_record(1, 1, 60, 20, 60);
		pcap_record(1, 2, 0, 0, 0);
		pcap_record(1, 3, 70000, 70000, 70000);
		ok(same_as_pcap("f.pcap", 3),
		   "captured more than was on the wire, nothing at all, more than the snaplen");

		n_bytes = 0;
		section();
		description(1, 9);
		description(1, 6);
		other_block(0x80006e63, 64);
		enhanced(0, UINT64_C(1700000000123456789), 61);
		other_block(5, 12);
		enhanced(1, UINT64_C(1700000000123456), 62);
		section();
		description(1, 3);
		enhanced(0, UINT64_C(1700000000123), 63);
		other_block(4, 8);
		ok(same_as_pcap("f.pcapng", 3), "pcapng: two sections, three resolutions");
		swapped = !swapped;
		section();
		description(1, 3);
		enhanced(0, UINT64_C(1700000000123), 63);
		ok(same_as_pcap("f.pcapng", 3), "up to a section of the other byte order");
	}
	swapped = false;
	n_bytes = 0;
	section();
	description(1, 9);
	enhanced(0, 5, 60);
	description(101, 9);
	enhanced(1, 6, 60);
	ok(same_as_pcap("f.pcapng", 1), "mixed link types: up to that block");
	n_bytes = 0;
	section();
	description(147, 9);
	enhanced(0, 5, 60);
	ok(same_as_pcap("f.pcapng", 1), "a private link type stays what it is");
}

static void refusals(void)
{
	struct source *src = NULL;
	struct source_options o = defaults;

	is_i64(-ENOENT, source_file.open(&src, path("none"), &o, why), "no file: %s", why);
	is_i64(-EINVAL, source_file.open(&src, dir, &o, why), "a directory: %s", why);
	write_file("junk", "this is not a capture, whatever its name says", 45);
	ok(source_file.open(&src, path("junk"), &o, why) == -EBADMSG && !strchr(why, '\n'),
	   "junk: %s", why);
	write_file("empty", "", 0);
	is_i64(-EBADMSG, source_file.open(&src, path("empty"), &o, why), "nothing: %s", why);
	make_pcap("t.pcap", DLT_EN10MB, PCAP_TSTAMP_PRECISION_NANO);
	o.filter = "port port";
	is_i64(-EINVAL, source_file.open(&src, path("t.pcap"), &o, why), "half a filter: %s", why);
	o = defaults;
	o.direction = NCP_OUTBOUND;
	is_i64(-EINVAL, source_file.open(&src, path("t.pcap"), &o, why), "a direction: %s", why);
	ok(!src, "and no source is left behind");
	const char *spec;
	ok(source_find("-", &spec) == &source_file && !strcmp(spec, "-") &&
		   source_find("file:a:b", &spec) == &source_file && !strcmp(spec, "a:b"),
	   "- and file: are this kind");
}

/* Times worked out here, not by libpcap: units of a power of two, an offset, a clock that goes back. */
static void times(void)
{
	static const struct {
		const char *name;
		uint8_t tsresol;
		int64_t offset;
		uint64_t ts, want_ns;
	} some[] = {
		{ "2^-10 s", 0x80 | 10, 0, (UINT64_C(1700000000) << 10) + 512,
		  UINT64_C(1700000000500000000) },
		{ "2^-32 s", 0x80 | 32, 0, (UINT64_C(1700000000) << 32) + (UINT64_C(1) << 30),
		  UINT64_C(1700000000250000000) },
		{ "whole seconds", 0, 0, 1700000000, UINT64_C(1700000000000000000) },
		{ "ns, an offset", 9, 100, UINT64_C(1700000000000000007),
		  UINT64_C(1700000100000000007) },
		{ "ms, an offset below 0", 3, -100, UINT64_C(1700000000123),
		  UINT64_C(1699999900123000000) },
		{ "us, all of it in the offset", 6, 1700000000, 5, UINT64_C(1700000000000005000) },
	};
	struct source_batch b;

	swapped = false;
	for (size_t i = 0; i < sizeof(some) / sizeof(*some); i++) {
		n_bytes = 0;
		section();
		description_shifted(some[i].tsresol, some[i].offset);
		enhanced(0, some[i].ts, 60);
		write_file("times.pcapng", bytes, n_bytes);
		struct source *src = begin(path("times.pcapng"), &defaults);
		ok(source_file.take(src, &b, 0) == SOURCE_FRAMES && b.n == 1 &&
			   b.frames[0].ts_ns == some[i].want_ns,
		   "times: %s", some[i].name);
		source_file.close(src);
	}

	static const uint64_t back[] = { 5, 3, 9, 1, 7 };
	bool good = true;
	n_bytes = 0;
	section();
	description(1, 9);
	for (size_t i = 0; i < 5; i++)
		enhanced(0, back[i], 60);
	write_file("times.pcapng", bytes, n_bytes);
	struct source *src = begin(path("times.pcapng"), &defaults);
	good = source_file.take(src, &b, 0) == SOURCE_FRAMES && b.n == 5;
	for (size_t i = 0; good && i < 5; i++)
		good = b.frames[i].ts_ns == back[i];
	ok(good, "times that go back stay as they are, in the file's order");
	source_file.close(src);
}

static void a_terminal(void)
{
	struct source *src;
	int master = posix_openpt(O_RDWR | O_NOCTTY);

	if (master < 0 || grantpt(master) || unlockpt(master))
		bail("no terminal");
	char spec[64];
	snprintf(spec, sizeof(spec), "%s", ptsname(master));
	ok(source_file.open(&src, spec, &defaults, why) == -EINVAL &&
		   strstr(why, "is a terminal: pipe a capture into it"),
	   "a terminal: %s", why);
	close(master);
}

static void truncated(void)
{
	struct stat st;
	bool good = true;

	make_pcap("t.pcap", DLT_EN10MB, PCAP_TSTAMP_PRECISION_NANO);
	if (stat(path("t.pcap"), &st))
		bail("stat");
	/* Each length from the middle of the last frame's data down to that of the one before. */
	for (off_t cut = 1; cut < 1500 && good; cut += 7) {
		if (truncate(path("t.pcap"), st.st_size - cut))
			bail("truncate");
		struct result r = compare(path("t.pcap"), path("t.pcap"));
		good = agrees(&r) && r.mine == -EBADMSG && r.same == N_FRAMES - 1;
	}
	ok(good, "a cut frame: the whole ones before it, then an error");
	struct source *src = begin(path("t.pcap"), &defaults);
	struct source_batch b;
	int r;
	while ((r = source_file.take(src, &b, 0)) > 0)
		;
	ok(r == -EBADMSG && strstr(src->why, "truncated") && source_file.take(src, &b, 0) == r &&
		   src->reason == NCP_REASON_SOURCE_ERROR,
	   "which stays: %s", src->why);
	source_file.close(src);
}

/* --- pipes -------------------------------------------------------------------------------- */

static void pass_on(const char *file, int fd, size_t chunk)
{
	char buf[65536];
	FILE *f = fopen(file, "r");
	size_t n;

	signal(SIGPIPE, SIG_DFL);
	while (f && (n = fread(buf, 1, chunk, f)) > 0)
		if (write(fd, buf, n) != (ssize_t)n)
			_exit(1);
	_exit(0);
}

static void piped(const char *file, size_t chunk, const char *name)
{
	int fds[2], keep = dup(STDIN_FILENO), status;

	if (pipe(fds))
		bail("pipe");
	pid_t pid = fork();
	if (pid == 0) {
		close(fds[0]);
		pass_on(file, fds[1], chunk);
	}
	close(fds[1]);
	dup2(fds[0], STDIN_FILENO);
	close(fds[0]);
	struct result r = compare("-", file);
	dup2(keep, STDIN_FILENO);
	close(keep);
	waitpid(pid, &status, 0);
	ok(agrees(&r) && r.same && status == 0, "%s", name);
}

static volatile sig_atomic_t alarms;

static void on_alarm(int sig)
{
	(void)sig;
	alarms++;
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void pipes(void)
{
	make_pcap("t.pcap", DLT_EN10MB, PCAP_TSTAMP_PRECISION_MICRO);
	piped(path("t.pcap"), 65536, "a pipe gives what the file gives");
	piped(path("t.pcap"), 777, "also in odd pieces");
	n_bytes = 0;
	section();
	description(1, 9);
	for (uint32_t i = 0; i < 50; i++) {
		enhanced(0, i, i);
		other_block(5, i % 4 * 4);
	}
	write_file("p.pcapng", bytes, n_bytes);
	piped(path("p.pcapng"), 1, "also byte by byte");

	/* A writer that stops in the middle of the second frame. */
	int fds[2], keep = dup(STDIN_FILENO);
	struct source_batch b;
	if (pipe(fds))
		bail("pipe");
	dup2(fds[0], STDIN_FILENO);
	pcap_header(0xa1b2c3d4, 4, 65535);
	pcap_record(1, 1, 60, 60, 60);
	size_t first = n_bytes;
	pcap_record(2, 2, 60, 60, 60);
	if (write(fds[1], bytes, first + 30) != (ssize_t)first + 30)
		bail("write");
	struct source *src = begin("-", &defaults);
	ok(source_file.take(src, &b, 5000) == SOURCE_FRAMES && b.n == 1,
	   "half a frame does not keep the one before it");
	uint64_t before = now_ms();
	is_i64(SOURCE_NOTHING, source_file.take(src, &b, 30), "nor is it waited for longer than told");
	ok(now_ms() - before >= 29 && now_ms() - before < 5000, "nor shorter");

	struct sigaction sa = { .sa_handler = on_alarm };
	struct sigaction old;
	sigaction(SIGALRM, &sa, &old);
	before = now_ms();
	alarm(1);
	is_i64(SOURCE_NOTHING, source_file.take(src, &b, 20000), "a signal ends the wait");
	ok(alarms == 1 && now_ms() - before < 10000, "at once");
	sigaction(SIGALRM, &old, NULL);

	if (write(fds[1], bytes + first + 30, n_bytes - first - 30) < 0)
		bail("write");
	ok(source_file.take(src, &b, 5000) == SOURCE_FRAMES && b.n == 1 &&
		   b.frames[0].ts_ns == 2000002000 && !memcmp(b.frames[0].data, bytes + first + 16, 60),
	   "and its other half makes it whole");
	close(fds[1]);
	is_i64(SOURCE_END, source_file.take(src, &b, 5000), "the writer's end is the end");
	source_file.close(src);

	struct source_options o = defaults;
	o.loop = 2;
	is_i64(-EINVAL, source_file.open(&src, "-", &o, why), "a pipe is not played twice: %s", why);
	close(fds[0]);
	dup2(keep, STDIN_FILENO);
	close(keep);
}

/* --- options ------------------------------------------------------------------------------ */

/* Takes to the end; returns how many frames; fills their times and the counters. */
static uint64_t drain(struct source *src, uint64_t *times, size_t cap, struct source_counts *c)
{
	struct source_batch b;
	uint64_t n = 0;

	while (source_file.take(src, &b, 100) != SOURCE_END)
		for (size_t i = 0; i < b.n; i++, n++)
			if (n < cap)
				times[n] = b.frames[i].ts_ns;
	source_file.counts(src, c);
	return n;
}

static void options(void)
{
	struct source_options o = defaults;
	struct source_counts c;
	uint64_t t[64];

	swapped = false;
	pcap_header(0xa1b2c3d4, 4, 65535);
	for (uint32_t i = 0; i < 5; i++)
		pcap_record(10, i * 1000, 60, 60, 60);
	write_file("five.pcap", bytes, n_bytes);

	o.loop = 3;
	struct source *src = begin(path("five.pcap"), &o);
	bool even = drain(src, t, 64, &c) == 15 && c.received == 15 && !c.discarded;
	for (int i = 0; i < 15; i++)
		even &= t[i] == UINT64_C(10000000000) + (uint64_t)i * 1000000;
	ok(even, "played three times, times go on at the file's own pace");
	source_file.close(src);

	o.loop = 0;
	src = begin(path("five.pcap"), &o);
	struct source_batch b;
	uint64_t n = 0;
	for (int i = 0; i < 100 && source_file.take(src, &b, 0) == SOURCE_FRAMES; i++)
		n += b.n;
	ok(n >= 1000, "0 times is without end");
	source_file.close(src);
	write_file("none.pcap", bytes, 24);
	src = begin(path("none.pcap"), &o);
	is_i64(SOURCE_END, source_file.take(src, &b, 0), "but not without a frame");
	source_file.close(src);

	o = defaults;
	o.filter = "greater 1000";
	o.snaplen = 100;
	make_pcap("t.pcap", DLT_EN10MB, PCAP_TSTAMP_PRECISION_NANO);
	src = begin(path("t.pcap"), &o);
	uint64_t got = 0, right = 0;
	while (source_file.take(src, &b, 100) != SOURCE_END)
		for (size_t i = 0; i < b.n; i++, got++)
			right += b.frames[i].caplen == 100 && b.frames[i].len >= 1000;
	source_file.counts(src, &c);
	ok(got && got == right, "filtered by the length on the wire, then cut to the snaplen");
	ok(c.received == N_FRAMES && c.received == got + c.discarded,
	   "received = published + discarded");
	source_file.close(src);

	o = defaults;
	o.speed = 0.1; /* 4 ms become 40 */
	uint64_t before = now_ms();
	src = begin(path("five.pcap"), &o);
	ok(drain(src, t, 64, &c) == 5 && now_ms() - before >= 39, "a tenth of the pace takes ten times as long");
	ok(t[4] - t[0] == 4000000, "and leaves the times alone");
	source_file.close(src);

	o = defaults;
	o.speed_pps = 200;
	before = now_ms();
	src = begin(path("five.pcap"), &o);
	ok(source_file.take(src, &b, 0) == SOURCE_FRAMES && b.n == 1, "at 200 pps one comes at once");
	is_i64(SOURCE_NOTHING, source_file.take(src, &b, 0), "and then none");
	ok(drain(src, t, 64, &c) == 4 && now_ms() - before >= 19 && c.received == 5,
	   "and the others in time");
	source_file.close(src);
}

int main(void)
{
	int fds = tap_open_fds();

	plan(19 + 1 + 14 + 8 + 8 + 2 + 11 + 10 + 1);
	dir = tap_tempdir(NULL);
	link_types();
	real_captures();
	formats();
	times();
	a_terminal();
	refusals();
	truncated();
	pipes();
	options();
	is_i64(fds, tap_open_fds(), "no descriptor is left open");
	return tap_done();
}
