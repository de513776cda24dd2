/* SPDX-License-Identifier: BSD-2-Clause */
/* test_calls.c - libpcap's calls on a bus: frames, filters, counters, ends, errors, children. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <pcap/pcap.h>

#include "libncpbus/stamp.h"
#include "support/bus.h"
#include "tap/tap.h"

#define LONG_MS 20000

static struct test_bus bus;
static char device[80], error[PCAP_ERRBUF_SIZE];

/* The device with options. */
static const char *with(const char *options)
{
	static char name[160];

	snprintf(name, sizeof(name), "%s?%s", device, options);
	return name;
}

static pcap_t *open_or_bail(const char *name, int snaplen, int ms)
{
	pcap_t *p = pcap_open_live(name, snaplen, 1, ms, error);

	if (!p)
		bail("%s: %s", name, error);
	return p;
}

/* Is this the frame of a number, byte for byte, with its time? */
static bool same(uint64_t seq, const struct pcap_pkthdr *h, const u_char *data, bool nano)
{
	uint8_t buf[FRAME_CAP];
	struct ncpi_frame want = frame_fill(seq, buf, sizeof(buf));
	uint64_t fraction = want.ts_ns % 1000000000;

	return h->caplen == want.caplen && h->len == want.len &&
	       (uint64_t)h->ts.tv_sec == want.ts_ns / 1000000000 &&
	       (uint64_t)h->ts.tv_usec == (nano ? fraction : fraction / 1000) &&
	       !memcmp(data, buf, want.caplen);
}

/* What a callback counts: frames that are those of rising numbers. */
struct seen {
	uint64_t next, n, bad;
	pcap_t *break_at_3;
};

static void on_frame(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	struct seen *s = (struct seen *)(void *)user;

	s->bad += !same(s->next, h, data, false);
	/* Another thread may look how far this one is. */
	__atomic_store_n(&s->next, s->next + 1, __ATOMIC_RELAXED);
	if (++s->n == 3 && s->break_at_3)
		pcap_breakloop(s->break_at_3);
}

/* --- refusals --------------------------------------------------------------------------------- */

static void test_refusals(void)
{
	struct bpf_program program;
	struct pcap_stat st;
	struct pcap_pkthdr *h;
	const u_char *data;
	pcap_t *p = pcap_create("ncp:nobody-has-this", error);

	is_i64(PCAP_ERROR_NO_SUCH_DEVICE, pcap_activate(p), "no such bus is no such device");
	ok(strstr(pcap_geterr(p), "ncp-producer") != NULL, "and says what to do: %s", pcap_geterr(p));
	pcap_close(p);
	ok(!pcap_open_live("ncp:nobody-has-this", 100, 0, 0, error), "nor for pcap_open_live()");
	ok(strstr(error, "ncp:nobody-has-this: ") == error, "which names it: %s", error);
	p = pcap_create(with("from=seq:999999"), error);
	is_i64(PCAP_ERROR, pcap_activate(p), "a number that is yet to come is an error");
	pcap_close(p);

	p = pcap_create(device, error);
	is_i64(PCAP_ERROR_NOT_ACTIVATED, pcap_next_ex(p, &h, &data), "not activated: reading");
	is_i64(PCAP_ERROR_NOT_ACTIVATED, pcap_loop(p, 1, on_frame, NULL), "looping");
	is_i64(PCAP_ERROR_NOT_ACTIVATED, pcap_datalink(p), "link type");
	is_i64(PCAP_ERROR_NOT_ACTIVATED, pcap_stats(p, &st), "counters");
	is_i64(PCAP_ERROR_NOT_ACTIVATED, pcap_snapshot(p), "length");
	is_i64(PCAP_ERROR, pcap_get_selectable_fd(p), "descriptor");
	is_i64(PCAP_ERROR, pcap_compile(p, &program, "udp", 1, 0), "compiling");
	ok(!pcap_dump_open(p, "/dev/null"), "writing");
	is_i64(0, pcap_set_promisc(p, 1) | pcap_set_immediate_mode(p, 1) |
			  pcap_set_buffer_size(p, 1 << 20) | pcap_set_rfmon(p, 0) |
			  pcap_set_timeout(p, 10) | pcap_set_snaplen(p, 0) |
			  pcap_can_set_rfmon(p), "what has no meaning may be set");
	is_i64(PCAP_ERROR_RFMON_NOTSUP, pcap_set_rfmon(p, 1), "but not monitor mode");
	is_i64(PCAP_WARNING_TSTAMP_TYPE_NOTSUP, pcap_set_tstamp_type(p, PCAP_TSTAMP_ADAPTER),
	       "nor another clock");
	is_i64(0, pcap_set_tstamp_type(p, PCAP_TSTAMP_HOST), "the host's is right");
	is_i64(PCAP_ERROR_TSTAMP_PRECISION_NOTSUP, pcap_set_tstamp_precision(p, 7), "nor another unit");
	is_i64(0, pcap_activate(p), "activated");
	is_i64(PCAP_ERROR_ACTIVATED, pcap_activate(p), "once only");
	is_i64(PCAP_ERROR_ACTIVATED, pcap_set_snaplen(p, 100), "then nothing can be set: length");
	is_i64(PCAP_ERROR_ACTIVATED, pcap_set_timeout(p, 100), "timeout");
	is_i64(PCAP_ERROR_ACTIVATED, pcap_set_promisc(p, 100), "mode");
	is_i64(262144, pcap_snapshot(p), "a length of 0 is the greatest");

	is_i64(PCAP_ERROR, pcap_inject(p, "x", 1), "nothing can be sent");
	ok(strstr(pcap_geterr(p), "one-way") != NULL, "it is said: %s", pcap_geterr(p));
	is_i64(PCAP_ERROR, pcap_sendpacket(p, (const u_char *)"x", 1), "nor so");
	is_i64(-1, pcap_compile(p, &program, "no filter", 1, 0), "what is no filter does not compile");
	ok(strstr(pcap_geterr(p), "syntax error") != NULL, "and libpcap's reason is there: %s",
	   pcap_geterr(p));
	struct bpf_insn kernels = { 0x28, 0, 0, 0xfffff000 }; /* SKF_AD_PROTOCOL, and no return */
	is_i64(PCAP_ERROR, pcap_setfilter(p, &(struct bpf_program){ 1, &kernels }),
	       "a program that is none is refused");
	pcap_close(p);
}

/* --- frames ----------------------------------------------------------------------------------- */

static void test_reading(void)
{
	struct pcap_pkthdr *h, head;
	const u_char *data;
	uint8_t before[FRAME_CAP];
	struct pcap_stat st;
	unsigned int bad = 0;
	pcap_t *p = open_or_bail(device, 65535, 10);

	is_i64(0, pcap_next_ex(p, &h, &data), "a timeout gives 0");
	ok(!pcap_next(p, &head), "or nothing");
	bus_publish(&bus, 50);
	uint64_t seq = bus.next - 50;
	for (int i = 0; i < 25; i++)
		bad += pcap_next_ex(p, &h, &data) != 1 || !same(seq++, h, data, false);
	is_u64(0, bad, "pcap_next_ex() gives frame after frame");
	for (int i = 0; i < 25; i++)
		bad += (data = pcap_next(p, &head)) == NULL || !same(seq++, &head, data, false);
	is_u64(0, bad, "and so does pcap_next()");
	is_i64(0, pcap_stats(p, &st), "counters");
	ok(st.ps_recv == 50 && st.ps_drop == 0 && st.ps_ifdrop == 0, "50 received, none lost");

	struct seen s = { .next = bus.next };
	bus_publish(&bus, 30);
	is_i64(10, pcap_dispatch(p, 10, on_frame, (u_char *)&s), "pcap_dispatch() up to a count");
	is_i64(20, pcap_dispatch(p, -1, on_frame, (u_char *)&s), "or all there is");
	is_i64(0, pcap_dispatch(p, -1, on_frame, (u_char *)&s), "or nothing, when its time is up");
	bus_publish(&bus, 5000);
	int first = pcap_dispatch(p, 0, on_frame, (u_char *)&s);
	ok(first > 0 && first < 5000, "but no more than a bufferful at once: %d", first);
	is_i64(0, pcap_loop(p, 5000 - first - 9, on_frame, (u_char *)&s), "pcap_loop() to a count");
	s.break_at_3 = p;
	s.n = 0;
	is_i64(PCAP_ERROR_BREAK, pcap_loop(p, -1, on_frame, (u_char *)&s), "or to a break");
	is_u64(3, s.n, "which comes at once");
	s.n = 0;
	is_i64(3, pcap_dispatch(p, -1, on_frame, (u_char *)&s), "pcap_dispatch() gives what it has");
	is_i64(PCAP_ERROR_BREAK, pcap_dispatch(p, -1, on_frame, (u_char *)&s), "then says so");
	s.break_at_3 = NULL;
	is_i64(3, pcap_dispatch(p, -1, on_frame, (u_char *)&s), "and goes on");
	is_u64(0, s.bad, "all of them whole and in their order");

	/* A program looks at a frame for as long as it likes. */
	bus_publish(&bus, 1);
	seq = bus.next - 1;
	is_i64(1, pcap_next_ex(p, &h, &data), "a frame");
	memcpy(before, data, h->caplen);
	bus_lap(&bus, bus.bus.seg.h->head);
	ok(same(seq, h, data, false), "is whole");
	is_mem(before, data, h->caplen, "also when the bus has passed over it");
	uint64_t newest = bus.next;
	is_i64(1, pcap_next_ex(p, &h, &data), "the next one");
	is_i64(0, pcap_stats(p, &st), "counters");
	uint64_t lost = st.ps_drop;
	ok(lost > 0 && same(seq + 1 + lost, h, data, false), "comes after as many as ps_drop says: %d",
	   (int)lost);
	s = (struct seen){ .next = seq + 2 + lost };
	while (pcap_dispatch(p, -1, on_frame, (u_char *)&s) > 0)
		;
	is_u64(newest, s.next, "then all to the newest");
	is_u64(0, s.bad, "whole");
	is_i64(0, pcap_stats(p, &st), "counters");
	is_u64(50 + 30 + 5000 + 1 + lost + 1 + s.n, st.ps_recv, "ps_recv: with what was lost");
	ncpi_writer_count(bus.w, 0, 0, &(struct ncpi_counts){ .kernel_drops = 7 });
	is_i64(0, pcap_stats(p, &st), "counters");
	is_u64(7, st.ps_ifdrop, "ps_ifdrop: what the kernel dropped at the producer");
	pcap_close(p);
}

static void test_cut_and_ns(void)
{
	struct pcap_pkthdr *h;
	const u_char *data;
	uint8_t buf[FRAME_CAP];
	uint64_t from = bus.next;

	bus_publish(&bus, 9);
	char options[64];
	snprintf(options, sizeof(options), "from=seq:%d", (int)from);
	pcap_t *p = pcap_create(with(options), error);
	is_i64(0, pcap_set_tstamp_precision(p, PCAP_TSTAMP_PRECISION_NANO), "nanoseconds");
	is_i64(0, pcap_activate(p), "from a number");
	is_i64(1, pcap_next_ex(p, &h, &data), "a frame");
	ok(same(from, h, data, true), "that one, with all digits of its time");
	is_i64(PCAP_TSTAMP_PRECISION_NANO, pcap_get_tstamp_precision(p), "asked back");
	pcap_close(p);
	p = open_or_bail(with(options), 40, 10);
	unsigned int bad = 0;
	for (uint64_t seq = from; seq < from + 9; seq++) {
		struct ncpi_frame f = frame_fill(seq, buf, sizeof(buf));

		bad += pcap_next_ex(p, &h, &data) != 1 || h->len != f.len ||
		       h->caplen != (f.caplen < 40 ? f.caplen : 40) || memcmp(data, buf, h->caplen);
	}
	is_u64(0, bad, "a snapshot length cuts each frame");
	pcap_close(p);

	p = open_or_bail(with(options), 0, 10);
	is_i64(0, pcap_setdirection(p, PCAP_D_IN), "one direction");
	bad = 0;
	int n = 0;
	while (pcap_next_ex(p, &h, &data) == 1) {
		while (from < bus.next && frame_fill(from, buf, sizeof(buf)).flags != NCP_INBOUND)
			from++;
		bad += !same(from++, h, data, false);
		n++;
	}
	ok(n >= 4 && n <= 5 && !bad, "gives %d frames of 9", n);
	is_i64(PCAP_ERROR, pcap_setdirection(p, 9), "there are three");
	pcap_close(p);
}

/* --- filters ---------------------------------------------------------------------------------- */

static void test_filters(void)
{
	static const char *const expressions[] = {
		"", "ip", "not ip", "ether[0] & 1 = 1", "less 60", "greater 100",
		"ether[14:4] > 0x80000000 and ether[18:2] & 0xff != 7", "len <= 80 or ether[3] > 128",
		"(ether[len - 1] + ether[2]) % 3 = 0", "vlan 7 or mpls or tcp[tcpflags] & tcp-syn != 0",
		"ip protochain 17 or ip6 protochain 6 or less 100",
		"ip6 proto 17 or host 10.0.0.1 or net 192.168.0.0/16 or port 53",
	};
	struct pcap_pkthdr *h, head;
	struct bpf_program program;
	const u_char *data;
	uint8_t buf[FRAME_CAP];

	for (size_t i = 0; i < sizeof(expressions) / sizeof(*expressions); i++)
		for (int optimize = 0; optimize < 2; optimize++) {
			pcap_t *p = open_or_bail(device, 0, 10);
			unsigned int bad = 0, taken = 0;
			uint64_t from = bus.next;

			if (pcap_compile(p, &program, expressions[i], optimize, 0) < 0)
				bail("%s: %s", expressions[i], pcap_geterr(p));
			bad += pcap_setfilter(p, &program) != 0;
			bus_publish(&bus, 200);
			for (uint64_t seq = from; seq < bus.next; seq++) {
				struct ncpi_frame f = frame_fill(seq, buf, sizeof(buf));

				head = (struct pcap_pkthdr){ .caplen = f.caplen, .len = f.len };
				if (!pcap_offline_filter(&program, &head, buf))
					continue;
				taken++;
				bad += pcap_next_ex(p, &h, &data) != 1 ||
				       !same(seq, h, data, false);
			}
			bad += pcap_next_ex(p, &h, &data) != 0;
			is_u64(0, bad, "'%s' (optimize %d) takes the same %u of 200 as libpcap",
			       expressions[i], optimize, taken);
			pcap_freecode(&program);
			pcap_close(p);
		}
}

/* What pcap_compile() makes for a live interface asks the kernel: here the bus answers. */
static void test_kernel_filters(void)
{
	static const char *const expressions[] = { "inbound", "outbound and greater 100",
						   "inbound or ether[0] & 1 = 1" };
	struct bpf_insn untagged[] = {
		{ BPF_LD | BPF_B | BPF_ABS, 0, 0, 0xfffff000 + 48 }, /* SKF_AD_VLAN_TAG_PRESENT */
		{ BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0 },
		{ BPF_RET | BPF_K, 0, 0, 65535 },
		{ BPF_RET | BPF_K, 0, 0, 0 },
	};
	struct pcap_pkthdr *h;
	struct bpf_program program;
	const u_char *data;
	uint8_t buf[FRAME_CAP];
	pcap_t *p;

	for (unsigned int i = 0; i < 3; i++) {
		uint64_t bad = 0, taken = 0, from = bus.next;

		p = open_or_bail(device, 20, 10);
		if (pcap_compile(p, &program, expressions[i], 1, 0) < 0)
			bail("%s: %s", expressions[i], pcap_geterr(p));
		bad += pcap_setfilter(p, &program) != 0;
		bus_publish(&bus, 100);
		for (uint64_t seq = from; seq < bus.next; seq++) {
			struct ncpi_frame f = frame_fill(seq, buf, sizeof(buf));
			bool out = NCP_DIRECTION(f.flags) == NCP_OUTBOUND;
			bool want[] = { !out, out && f.len >= 100, !out || buf[0] & 1 };

			if (!want[i])
				continue;
			taken++;
			bad += pcap_next_ex(p, &h, &data) != 1 || h->len != f.len ||
			       h->caplen > 20 || memcmp(data, buf, h->caplen);
		}
		bad += pcap_next_ex(p, &h, &data) != 0;
		ok(!bad && taken > 10 && taken < 90, "'%s' takes %d of 100 by their direction",
		   expressions[i], (int)taken);
		pcap_freecode(&program);
		pcap_close(p);
	}
	p = open_or_bail(device, 0, 10);
	is_i64(0, pcap_setfilter(p, &(struct bpf_program){ 4, untagged }), "a live VLAN filter is taken");
	bus_publish(&bus, 1);
	is_i64(1, pcap_next_ex(p, &h, &data), "and no tag was taken out of a frame");
	untagged[0].k += 4; /* SKF_AD_VLAN_TPID, which pcap_compile() does not use */
	is_i64(PCAP_ERROR, pcap_setfilter(p, &(struct bpf_program){ 4, untagged }),
	       "what else the kernel knows is refused");
	pcap_close(p);
}

/* --- files ------------------------------------------------------------------------------------ */

static void test_files(void)
{
	char path[128];
	struct pcap_pkthdr *h;
	const u_char *data;
	uint64_t from = bus.next;
	unsigned int bad = 0;

	snprintf(path, sizeof(path), "%s/file.pcap", bus.dir);
	for (int part = 0; part < 2; part++) {
		pcap_t *p = pcap_create(device, error);

		is_i64(0, pcap_set_snaplen(p, 1000) | pcap_set_tstamp_precision(p, 1) |
				  pcap_activate(p), "a handle");
		pcap_dumper_t *d = part ? pcap_dump_open_append(p, path) : pcap_dump_open(p, path);
		ok(d != NULL, "is written %s", part ? "behind a file" : "to a new file");
		bus_publish(&bus, 20);
		is_i64(20, pcap_dispatch(p, -1, pcap_dump, (u_char *)d), "20 frames");
		pcap_dump_close(d);
		pcap_close(p);
	}
	pcap_t *p = pcap_open_offline_with_tstamp_precision(path, 1, error);
	ok(p != NULL, "libpcap reads the file");
	is_i64(1000, pcap_snapshot(p), "its length is the handle's");
	is_i64(DLT_EN10MB, pcap_datalink(p), "and so is its link type");
	while (pcap_next_ex(p, &h, &data) == 1)
		bad += !same(from++, h, data, true);
	ok(!bad && from == bus.next, "it holds the frames, to the nanosecond");
	pcap_close(p);

	p = pcap_open_live(device, 500, 0, 0, error);
	ok(!pcap_dump_open_append(p, path), "a file of another length is not gone on with");
	ok(*pcap_geterr(p), "for libpcap's reason: %s", pcap_geterr(p));
	pcap_close(p);
}

/* --- waiting and ends ------------------------------------------------------------------------- */

static void *break_soon(void *p)
{
	usleep(50000);
	pcap_breakloop(p);
	return NULL;
}

static pcap_t *alarmed;

static void on_alarm(int signal)
{
	(void)signal;
	pcap_breakloop(alarmed);
}

static void test_breaks(void)
{
	struct seen s = { 0 };
	pthread_t thread;
	pcap_t *p = open_or_bail(device, 0, 0);

	if (pthread_create(&thread, NULL, break_soon, p))
		bail("thread");
	is_i64(PCAP_ERROR_BREAK, pcap_loop(p, -1, on_frame, (u_char *)&s),
	       "another thread ends a loop that waits");
	pthread_join(thread, NULL);
	alarmed = p;
	signal(SIGALRM, on_alarm);
	setitimer(ITIMER_REAL, &(struct itimerval){ .it_value.tv_usec = 50000 }, NULL);
	is_i64(PCAP_ERROR_BREAK, pcap_dispatch(p, -1, on_frame, (u_char *)&s),
	       "and so does a signal's handler");
	signal(SIGALRM, SIG_DFL);
	is_i64(0, pcap_setnonblock(p, 1, error), "a handle that does not block");
	is_i64(1, pcap_getnonblock(p, error), "says so");
	is_i64(0, pcap_dispatch(p, -1, on_frame, (u_char *)&s), "and has nothing at once");
	is_i64(0, pcap_setnonblock(p, 0, error), "and back");
	is_i64(0, pcap_getnonblock(p, error), "asked again");
	pcap_close(p);
}

static void test_poll(void)
{
	struct seen s = { .next = bus.next };
	pcap_t *p = open_or_bail(device, 0, 0);
	struct pollfd poll_fd = { .fd = pcap_get_selectable_fd(p), .events = POLLIN };

	ok(poll_fd.fd >= 0, "a descriptor to poll");
	is_i64(poll_fd.fd, pcap_fileno(p), "the same by its other name");
	ok(!pcap_get_required_select_timeout(p), "it needs no timeout");
	is_i64(1, poll(&poll_fd, 1, LONG_MS), "readable at first");
	is_i64(0, pcap_dispatch(p, -1, on_frame, (u_char *)&s),
	       "a blocking read of a polled handle does not wait for ever");
	is_i64(0, poll(&poll_fd, 1, 0), "then it is not readable");
	for (int i = 0; i < 20; i++) {
		bus_publish(&bus, 5);
		while (s.next < bus.next && poll(&poll_fd, 1, LONG_MS) == 1)
			pcap_dispatch(p, 2, on_frame, (u_char *)&s);
	}
	ok(s.next == bus.next && !s.bad, "polling and reading in small bites gives every frame");
	pcap_close(p);
}

/* A bus that ends; run with a new one each time. */
static void test_ends(void)
{
	struct pcap_pkthdr *h;
	const u_char *data;

	static const char *const what[] = { "pcap_loop", "pcap_dispatch", "pcap_next_ex" };
	for (int way = 0; way < 3; way++) {
		struct seen s = { .next = bus.next };
		pcap_t *p = open_or_bail(with("exit-on-close"), 0, 10);
		bus_publish(&bus, 10);
		bus_stop(&bus, way == 1 ? NCP_STOPPED : NCP_ENDED);
		if (way == 0) {
			is_i64(0, pcap_loop(p, -1, on_frame, (u_char *)&s), "%s ends with 0",
			       what[way]);
		} else if (way == 1) {
			is_i64(10, pcap_dispatch(p, -1, on_frame, (u_char *)&s), "what there was");
			is_i64(PCAP_ERROR_BREAK, pcap_dispatch(p, -1, on_frame, (u_char *)&s),
			       "%s ends as by a break", what[way]);
		} else {
			while (pcap_next_ex(p, &h, &data) == 1)
				on_frame((u_char *)&s, h, data);
			is_i64(0, pcap_next_ex(p, &h, &data), "%s ends once, then it waits",
			       what[way]);
		}
		ok(s.n == 10 && !s.bad, "after all its frames");
		bool replaced = way != 1;
		bus_start(&bus, true);
		if (replaced)
			bus.next = 0;
		s = (struct seen){ .next = bus.next };
		bus_publish(&bus, 3);
		while (s.n < 3 && pcap_dispatch(p, -1, on_frame, (u_char *)&s) >= 0)
			;
		ok(s.n == 3 && !s.bad, "and goes on with the bus that comes after it (%s)",
		   replaced ? "another" : "the same");
		pcap_close(p);
	}
	/* Without exit-on-close a producer's absence is a silence. */
	pcap_t *p = open_or_bail(device, 0, 10);
	bus_stop(&bus, NCP_STOPPED);
	is_i64(0, pcap_next_ex(p, &h, &data), "a bus that is stopped is silent");
	bus_start(&bus, true);
	bus_publish(&bus, 1);
	int r;
	while ((r = pcap_next_ex(p, &h, &data)) == 0)
		;
	ok(r == 1 && same(bus.next - 1, h, data, false), "until it goes on");
	pcap_close(p);
}

/* --- several link types ----------------------------------------------------------------------- */

static void test_linktypes(void)
{
	uint8_t buf[FRAME_CAP];
	struct pcap_pkthdr *h;
	const u_char *data;
	int *dlts, raw;

	pcap_t *p = open_or_bail(device, 0, 10);
	is_i64(1, pcap_list_datalinks(p, &dlts), "one link type");
	is_i64(DLT_EN10MB, dlts[0], "Ethernet");
	pcap_free_datalinks(dlts);
	raw = ncpi_writer_interface(bus.w, &(struct ncpi_interface_desc){ .name = "tun0", .linktype = 101,
									   .snaplen = 262144 });
	struct ncpi_frame f = frame_fill(bus.next++, buf, sizeof(buf));
	f.interface = (uint32_t)raw;
	if (raw < 0 || ncpi_writer_publish(bus.w, 0, &f, 1) != 1)
		bail("publish");
	bus_publish(&bus, 1);
	is_i64(1, pcap_next_ex(p, &h, &data), "then another comes");
	ok(same(bus.next - 1, h, data, false), "its frames are passed over");
	is_i64(2, pcap_list_datalinks(p, &dlts), "there are two now");
	is_i64(DLT_RAW, dlts[1], "the new one by libpcap's number for it");
	pcap_free_datalinks(dlts);
	is_i64(PCAP_ERROR, pcap_set_datalink(p, DLT_IEEE802_11), "what no interface has cannot be had");
	is_i64(0, pcap_set_datalink(p, DLT_RAW), "what one has can");
	is_i64(DLT_RAW, pcap_datalink(p), "asked back");
	f = frame_fill(bus.next++, buf, sizeof(buf));
	f.interface = (uint32_t)raw;
	bus_publish(&bus, 1);
	bus.next--;
	f = frame_fill(bus.next, buf, sizeof(buf));
	f.interface = (uint32_t)raw;
	if (ncpi_writer_publish(bus.w, 0, &f, 1) != 1)
		bail("publish");
	is_i64(1, pcap_next_ex(p, &h, &data), "now these are given");
	ok(same(bus.next++, h, data, false), "and the others passed over");
	pcap_close(p);

	p = pcap_create(device, error);
	is_i64(PCAP_WARNING, pcap_activate(p), "a handle on such a bus warns");
	ok(strstr(pcap_geterr(p), "several link types") != NULL, "of what it leaves out: %s",
	   pcap_geterr(p));
	pcap_close(p);
}

/* The only interface there is has another link type than the one that was told: a bus that had no
 * interface yet, or was replaced. */
static void test_linktype_gone(void)
{
	uint8_t buf[FRAME_CAP];
	struct pcap_pkthdr *h;
	const u_char *data;
	struct test_bus other;
	char name[80], why[128];
	int r;

	bus_make(&other);
	if (ncpi_bus_open(other.dirfd, other.name, &other.geo, &other.bus, why) < 0 ||
	    ncpi_writer_open(&other.bus, &other.o, &other.w, why) < 0 ||
	    ncpi_writer_start(other.w) < 0)
		bail("%s", why);
	ncpi_writer_state(other.w, NCP_LIVE, 0);
	setenv("NCP_DIR", other.dir, 1);
	snprintf(name, sizeof(name), "ncp:%s", other.name);
	pcap_t *p = open_or_bail(name, 0, 10);
	is_i64(DLT_EN10MB, pcap_datalink(p), "a bus without an interface is taken for Ethernet");
	other.interface = ncpi_writer_interface(
		other.w, &(struct ncpi_interface_desc){ .name = "tun0", .linktype = 101,
							.snaplen = 262144 });
	struct ncpi_frame f = frame_fill(0, buf, sizeof(buf));
	f.interface = (uint32_t)other.interface;
	if (other.interface < 0 || ncpi_writer_publish(other.w, 0, &f, 1) != 1)
		bail("publish");
	while ((r = pcap_next_ex(p, &h, &data)) == 0)
		;
	is_i64(PCAP_ERROR, r, "a frame of another link type is an error then");
	ok(strstr(pcap_geterr(p), "another link type") != NULL, "which says so: %s", pcap_geterr(p));
	pcap_close(p);
	bus_stop(&other, NCP_ENDED);
	close(other.dirfd);
	setenv("NCP_DIR", bus.dir, 1);
}

/* --- options of the device -------------------------------------------------------------------- */

static void test_ordered(void)
{
	uint8_t buf[3][FRAME_CAP];
	struct ncpi_frame f[3];
	struct pcap_pkthdr *h;
	const u_char *data;
	pcap_t *p = open_or_bail(with("ordered"), 0, 1000);
	unsigned int bad = 0;

	for (unsigned int i = 0; i < 3; i++) {
		f[i] = frame_fill(i, buf[i], FRAME_CAP);
		f[i].ts_ns += (3 - i) * 5000000;
		f[i].interface = (uint32_t)bus.interface;
	}
	if (ncpi_writer_publish(bus.w, 0, f, 3) != 3)
		bail("publish");
	bus.next += 3;
	for (unsigned int i = 3; i-- > 0;)
		bad += pcap_next_ex(p, &h, &data) != 1 || memcmp(data, buf[i], f[i].caplen);
	is_u64(0, bad, "ordered: frames come in the order of their times");
	pcap_close(p);
}

/* --- real handles beside ours ----------------------------------------------------------------- */

struct reader {
	pcap_t *p;
	struct seen s;
	uint64_t want;
	pthread_t thread;
};

static void *read_all(void *arg)
{
	struct reader *r = arg;

	while (r->s.n < r->want && pcap_dispatch(r->p, -1, on_frame, (u_char *)&r->s) >= 0)
		;
	return NULL;
}

static void *come_and_go(void *arg)
{
	uint64_t *bad = arg;

	for (int i = 0; i < 300; i++) {
		pcap_t *real = pcap_open_dead(DLT_RAW, 77), *ours = pcap_create(device, error);

		*bad += pcap_snapshot(real) != 77 || pcap_datalink(real) != DLT_RAW ||
			pcap_snapshot(ours) != PCAP_ERROR_NOT_ACTIVATED;
		pcap_close(i % 2 ? real : ours);
		pcap_close(i % 2 ? ours : real);
	}
	return NULL;
}

static void test_threads(void)
{
	enum { READERS = 8, FRAMES = 3000 };
	static struct reader readers[READERS];
	pthread_t others[2];
	uint64_t bad[2] = { 0 }, torn = 0, n = 0;
	pcap_t *real = pcap_open_dead(DLT_NULL, 99);

	for (int i = 0; i < READERS; i++) {
		readers[i] = (struct reader){ .p = open_or_bail(device, 0, 10),
					      .s = { .next = bus.next }, .want = FRAMES };
		if (pthread_create(&readers[i].thread, NULL, read_all, &readers[i]))
			bail("thread");
	}
	for (int i = 0; i < 2; i++)
		if (pthread_create(&others[i], NULL, come_and_go, &bad[i]))
			bail("thread");
	/* In bites, so that nobody is lapped. */
	for (int i = 0; i < FRAMES / 100; i++) {
		bus_publish(&bus, 100);
		uint64_t until = ncpi_now_monotonic() + 20 * NCPI_SECOND;
		for (int k = 0; k < READERS && ncpi_now_monotonic() < until;)
			if (__atomic_load_n(&readers[k].s.next, __ATOMIC_RELAXED) == bus.next)
				k++;
			else
				usleep(100);
	}
	for (int i = 0; i < READERS; i++) {
		pthread_join(readers[i].thread, NULL);
		n += readers[i].s.n;
		torn += readers[i].s.bad;
		pcap_close(readers[i].p);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(others[i], NULL);
	is_u64(READERS * FRAMES, n, "eight threads with a handle each read every frame");
	is_u64(0, torn, "whole and in order");
	is_u64(0, bad[0] + bad[1], "while others come and go, real ones among them");
	is_i64(99, pcap_snapshot(real), "a real handle stays one");
	is_i64(DLT_NULL, pcap_datalink(real), "with what it has");
	pcap_close(real);
}

/* --- devices ---------------------------------------------------------------------------------- */

static void test_many(void)
{
	enum { MANY = 200 };
	pcap_t *p[MANY];
	unsigned int bad = 0;

	for (int i = 0; i < MANY; i++)
		p[i] = pcap_create(device, error);
	for (int i = 0; i < MANY; i += 3)
		pcap_close(p[i]);
	for (int i = 0; i < MANY; i += 3)
		p[i] = i % 2 ? pcap_create(device, error) : pcap_open_dead(DLT_RAW, i);
	for (int i = 0; i < MANY; i++)
		bad += pcap_snapshot(p[i]) != (i % 3 || i % 2 ? PCAP_ERROR_NOT_ACTIVATED :
					       i	      ? i :
								0);
	for (int i = 0; i < MANY; i++)
		pcap_close(p[i]);
	is_u64(0, bad, "two hundred handles at once, each what it is");
}

static void test_devices(void)
{
	pcap_if_t *all;
	bpf_u_int32 net = 1, mask = 1;
	bool found = false, after_busses = false, real_after = false;

	is_i64(0, pcap_findalldevs(&all, error), "devices are listed");
	for (pcap_if_t *d = all; d; d = d->next) {
		bool ours = !strncmp(d->name, "ncp:", 4);

		found |= !strcmp(d->name, device) && d->flags & PCAP_IF_UP;
		real_after |= after_busses && !ours;
		after_busses |= ours;
	}
	ok(found, "and the bus is among them");
	ok(!real_after, "after the interfaces");
	pcap_freealldevs(all);
	is_i64(0, pcap_lookupnet(device, &net, &mask, error), "a bus has a network");
	ok(!net && !mask, "none at all");
}

/* --- children --------------------------------------------------------------------------------- */

/* A daemon: what was opened before the fork is read after it, here with the parent still there. */
__attribute__((unused)) static void test_fork(void)
{
	struct bpf_program program;
	struct seen s = { .next = bus.next };
	int status = -1, told[2];
	char byte;
	pcap_t *p = open_or_bail(device, 0, 10);
	struct pollfd poll_fd = { .fd = pcap_get_selectable_fd(p), .events = POLLIN };

	if (pcap_compile(p, &program, "greater 100", 1, 0) < 0 || pcap_setfilter(p, &program) < 0)
		bail("filter: %s", pcap_geterr(p));
	while (pcap_dispatch(p, -1, on_frame, (u_char *)&s) > 0)
		;
	if (pipe(told))
		bail("pipe");
	bus_publish(&bus, 20); /* before the fork, not yet read */
	pid_t pid = fork();
	if (pid == 0) {
		uint8_t buf[FRAME_CAP];
		struct pcap_pkthdr *h;
		const u_char *data;
		uint64_t seq = s.next, bad = 0, end = 0;

		if (read(told[0], &byte, 1) != 1)
			_exit(101);
		end = seq + 40;
		while (seq < end) {
			struct ncpi_frame f = frame_fill(seq, buf, sizeof(buf));
			int r;

			if (f.len < 100) {
				seq++;
				continue;
			}
			if (poll(&poll_fd, 1, LONG_MS) != 1 || (r = pcap_next_ex(p, &h, &data)) < 0)
				_exit(100);
			if (r == 0)
				continue;
			bad += !same(seq++, h, data, false);
		}
		pcap_close(p);
		_exit(bad > 99 ? 99 : (int)bad);
	}
	bus_publish(&bus, 20);
	if (write(told[1], "", 1) != 1 || waitpid(pid, &status, 0) < 0)
		bail("child");
	is_i64(0, status, "a child polls and reads on where its parent stood, filter and all");
	int n = 0;
	struct pcap_pkthdr *h;
	const u_char *data;
	while (pcap_next_ex(p, &h, &data) == 1)
		n++;
	ok(n > 0, "and the parent has not lost its own place: %d frames", n);
	pcap_freecode(&program);
	pcap_close(p);
	close(told[0]);
	close(told[1]);
}

/* The keeper is looked for beside the library, and that is this program here. */
static void keeper_put(void)
{
	const char *build = getenv("NCP_BUILD");
	char *keeper, here[512];
	ssize_t n = readlink("/proc/self/exe", here, sizeof(here) - 32);

	char name[512];
	snprintf(name, sizeof(name), "%s/lib/ncp/ncp-pcap-keeper", build ? build : "build");
	keeper = realpath(name, NULL);
	if (n < 0 || !keeper)
		bail("keeper: %s: build it first", name);
	here[n] = '\0';
	strcpy(strrchr(here, '/') + 1, "ncp-pcap-keeper");
	if (symlink(keeper, here) < 0 && errno != EEXIST)
		bail("%s: %s", here, strerror(errno));
	free(keeper);
}

int main(void)
{
	int fds;

	plan(30 + 29 + 9 + 24 + 6 + 12 + 7 + 7 + 12 + 13 + 3 + 1 + 1 + 5 + 5 + 2 + 1);
	bus_make(&bus);
	bus.geo.ring_size = 1 << 20; /* more than a bufferful */
	keeper_put();
	setenv("NCP_DIR", bus.dir, 1);
	snprintf(device, sizeof(device), "ncp:%s", bus.name);
	bus_start(&bus, true);
	pcap_close(pcap_open_dead(DLT_RAW, 1)); /* libpcap is loaded */
	fds = tap_open_fds();
	test_refusals();
	test_reading();
	test_cut_and_ns();
	test_filters();
	test_kernel_filters();
	test_files();
	test_breaks();
	test_poll();
	test_ends();
	test_linktypes();
	test_linktype_gone();
	test_ordered();
	test_many();
	test_threads();
	test_devices();
#ifdef __SANITIZE_THREAD__
	skip(2, "ThreadSanitizer does not go on in a child that has threads");
#else
	test_fork();
#endif
	is_i64(fds, tap_open_fds(), "nothing left open");
	bus_stop(&bus, NCP_ENDED);
	return tap_done();
}
