/* SPDX-License-Identifier: BSD-2-Clause */
/* test_source_pcap.c - a device of libpcap: what is refused, what comes, what is counted. */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "libncpbus/include/ncpbus.h"
#include "producer/source.h"
#include "tap/tap.h"

static char why[SOURCE_WHY_CAP];

static struct source_options options(void)
{
	return (struct source_options){ .snaplen = 262144, .batch = 64, .retire_ms = 1, .workers = 1 };
}

/* A network of our own, in which only lo is, and up. */
static void network_make(void)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };

	if (unshare(CLONE_NEWNET) < 0)
		skip_all("no network namespace: %s", strerror(errno));
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &r) < 0)
		bail("lo: %s", strerror(errno));
	close(fd);
}

/* n datagrams to a port of ours that nobody listens at, each with its number. */
static void send_some(uint16_t port, uint32_t n)
{
	const struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port),
					.sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint8_t text[100] = { 0 };

	for (uint32_t i = 0; fd >= 0 && i < n; i++) {
		memcpy(text, &i, sizeof(i));
		if (sendto(fd, text, sizeof(text), 0, (const struct sockaddr *)&to, sizeof(to)) < 0)
			bail("sendto: %s", strerror(errno));
	}
	close(fd);
}

struct taken {
	uint64_t frames, good; /* good: of the length, with the next number at its place */
	int end;
};

/* Until want have come, or for a second none. */
static struct taken take(struct source *src, uint64_t want, uint32_t snaplen)
{
	/* Ethernet, IPv4, UDP. */
	const uint32_t at = 14 + 20 + 8, len = at + 100, caplen = len < snaplen ? len : snaplen;
	struct taken t = { 0 };
	struct source_batch b;
	unsigned nothing = 0;

	while (t.frames < want && nothing < 100) {
		t.end = src->ops->take(src, &b, 10);
		nothing = t.end == SOURCE_NOTHING ? nothing + 1 : 0;
		if (t.end != SOURCE_FRAMES && t.end != SOURCE_NOTHING)
			break;
		for (size_t i = 0; t.end == SOURCE_FRAMES && i < b.n; i++) {
			uint32_t n = UINT32_MAX;

			if (b.frames[i].caplen >= at + sizeof(n))
				memcpy(&n, b.frames[i].data + at, sizeof(n));
			t.good += n == t.frames++ && b.frames[i].len == len &&
				  b.frames[i].caplen == caplen;
		}
		if (t.end == SOURCE_FRAMES)
			src->ops->give(src, &b);
	}
	return t;
}

static void test_refusals(void)
{
	struct source_options o = options();
	struct source *src;

	is_i64(-EINVAL, source_pcap.open(&src, "", &o, why), "refuses no name");
	is_i64(-EINVAL, source_pcap.open(&src, "nfqueue:1", &o, why), "and what waits for a verdict");
	ok(strstr(why, "log to an nflog group") != NULL, "saying what to do: %s", why);
	is_i64(-ENODEV, source_pcap.open(&src, "nosuch0", &o, why), "there is no such device");
	o.wait = true;
	is_i64(-EAGAIN, source_pcap.open(&src, "nosuch0", &o, why), "unless that is waited for");
	o.filter = "udp prot 9";
	is_i64(-EINVAL, source_pcap.open(&src, "lo", &o, why), "refuses what is no filter");
	ok(src == NULL, "and leaves nothing");
}

static void test_frames(uint32_t snaplen)
{
	struct source_options o = options();
	struct ncpi_interface_desc d;
	struct source_counts c;
	struct source *src;

	o.filter = "udp and dst port 9";
	o.snaplen = snaplen;
	if (source_pcap.open(&src, "lo", &o, why) < 0)
		bail("%s", why);
	ok(src->keeps_filter, "a packet socket's filter is not replaced");
	ok(src->ops->interface(src, 0, &d) == 1 && strcmp(d.name, "lo") == 0 && d.linktype == 1 &&
		   d.snaplen == snaplen,
	   "it is described");
	is_i64(0, src->ops->interface(src, 1, &d), "as one interface");
	send_some(9, 20);
	is_i64(0, src->ops->start(src), "is started");
	is_u64(0, take(src, 1, snaplen).frames, "what came before is left alone");
	send_some(10, 30);
	send_some(9, 300);
	struct taken t = take(src, 300, snaplen);
	is_u64(300, t.frames, "each frame comes once, though lo shows it twice");
	is_u64(300, t.good, "in order, as long as it should be");
	send_some(9, 50);
	src->ops->stop(src);
	send_some(9, 50);
	is_u64(50, take(src, 51, snaplen).frames, "stopped: what is in the ring is still taken");
	src->ops->counts(src, &c);
	is_u64(0, c.kernel_drops, "none is lost");
	is_u64(c.received, 350 + c.discarded, "received = published + discarded");
	is_u64(350, c.discarded, "which were the second copies");
	src->ops->close(src);
}

int main(void)
{
	if (geteuid() != 0)
		skip_all("opening a device needs rights: run as root");
	network_make();
	plan(7 + 2 * 11 + 1);
	int before = tap_open_fds();
	test_refusals();
	test_frames(262144);
	test_frames(60);
	source_pcap.close(NULL);
	is_i64(before, tap_open_fds(), "nothing is left open");
	return tap_done();
}
