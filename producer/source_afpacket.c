/* SPDX-License-Identifier: BSD-2-Clause */
/* source_afpacket.c - frames of a network interface, by a TPACKET_V3 ring. */
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "libncpbus/include/ncpbus.h"
#include "libncpbus/order.h"
#include "producer/compile.h"
#include "producer/source.h"
#include "producer/tpacket_block.h"

/* Blocks of 1 MiB in rings of 4 to 16 MiB cost the sender least (measured on veth, 64 to 1500 B);
 * blocks of 128 KiB a tenth more.  128 KiB holds a 64 KiB super-frame and its headers. */
#define RING_DEFAULT (UINT64_C(16) << 20)
/* A block is handed over after retire_ms even if it is nearly empty, so at any rate a ring is used
 * up after n_blocks * retire_ms, however large it is.  So long must a capture thread be able not to
 * run (a busy machine, a slow reliable client, an interface that came up and is asked only each
 * 100 ms): blocks are made smaller for it. */
#define PATIENCE_MS 300u
#define BLOCK_MOST (1u << 20)
#define BLOCK_LEAST (1u << 17)
#define BLOCKS_LEAST 2u
/* The kernel's limit on a filter's instructions. */
#define FILTER_MOST BPF_MAXINSNS

#define LINKTYPE_ETHERNET 1
#define LINKTYPE_RAW 101

/* Where a VLAN tag stands in an Ethernet frame: behind both addresses. */
#define VLAN_OFF 12u
#define VLAN_LEN 4u

struct afpacket {
	struct source src;
	char name[IFNAMSIZ];
	char *filter_text;
	const struct source_options *o;
	struct compile_program program; /* whole: packet-type test, filter, snaplen */

	int fd;
	int ifindex;
	uint32_t linktype;
	bool loopback, paused, stopped;

	uint8_t *ring;
	size_t ring_len;
	uint32_t block_len, n_blocks;

	uint32_t block_idx; /* the block that comes next, or is being walked */
	bool taken;	    /* it is ours */
	struct tpacket_block block;
	struct ncpi_frame *frames;
	uint32_t batch;

	struct source_counts counted;
	uint64_t unmarked_drops; /* not yet in the stream as a dropcount */
};

static struct afpacket *of(struct source *src)
{
	return (struct afpacket *)(void *)src;
}

/* LINKTYPE_ of a device, or -1: its frames have no link-layer header that we can tell. */
static int linktype_of(unsigned short arphrd)
{
	switch (arphrd) {
	case ARPHRD_ETHER:
	case ARPHRD_LOOPBACK: /* bears Ethernet headers of zeros */
		return LINKTYPE_ETHERNET;
	case ARPHRD_NONE: /* tun, WireGuard */
	case ARPHRD_TUNNEL:
	case ARPHRD_TUNNEL6:
	case ARPHRD_SIT:
	case 519: /* ARPHRD_RAWIP */
		return LINKTYPE_RAW;
	case ARPHRD_IEEE80211:
		return 105;
	case ARPHRD_IEEE80211_PRISM:
		return 119;
	case ARPHRD_IEEE80211_RADIOTAP:
		return 127;
	default:
		return -1;
	}
}

/* libpcap's own number for it: raw IP is the one of these that has another there. */
static int dlt_of(uint32_t linktype)
{
	return linktype == LINKTYPE_RAW ? 12 : (int)linktype;
}

/* Ask the kernel about the device by its name.  0, -errno; -ENODEV: there is none. */
static int device_ask(const struct afpacket *a, unsigned long request, struct ifreq *r)
{
	memset(r, 0, sizeof(*r));
	memcpy(r->ifr_name, a->name, sizeof(r->ifr_name));
	return ioctl(a->fd, request, r) < 0 ? -errno : 0;
}

/*
 * The filter as the kernel runs it: a test of the packet type where one is needed, then the
 * expression, which returns the snaplen.  Jumps are relative, so what stands behind is not touched.
 *
 * On lo each frame passes twice, out and in: one of them is enough.
 */
static int program_make(struct afpacket *a, char *why)
{
	struct compile_program expr = { 0 };
	bool only_out = a->o->direction == NCP_OUTBOUND;
	bool test = a->o->direction || a->loopback;
	const struct sock_filter everything = BPF_STMT(BPF_RET | BPF_K, a->o->snaplen);
	const struct sock_filter head[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_AD_OFF + SKF_AD_PKTTYPE),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, only_out ? 1 : 0,
			 only_out ? 0 : 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const unsigned n_head = test ? 3 : 0;

	if (a->filter_text) {
		int r = compile_live(a->name, dlt_of(a->linktype), a->o->snaplen, a->filter_text,
				     &expr, why);
		if (r < 0)
			return r;
	}
	const unsigned n = n_head + (expr.n ? expr.n : 1);
	if (n > FILTER_MOST) {
		compile_free(&expr);
		snprintf(why, SOURCE_WHY_CAP,
			 "filter: %u instructions, the kernel takes %u: make it simpler, or filter "
			 "in the clients",
			 n, FILTER_MOST);
		return -EINVAL;
	}
	a->program.insns = calloc(n, sizeof(*a->program.insns));
	if (!a->program.insns) {
		compile_free(&expr);
		snprintf(why, SOURCE_WHY_CAP, "filter: out of memory");
		return -ENOMEM;
	}
	a->program.n = n;
	memcpy(a->program.insns, head, n_head * sizeof(*head));
	memcpy(a->program.insns + n_head, expr.n ? expr.insns : &everything,
	       (n - n_head) * sizeof(*head));
	compile_free(&expr);
	return 0;
}

static int filter_set(int fd, struct sock_filter *insns, unsigned n)
{
	const struct sock_fprog p = { .len = (unsigned short)n, .filter = insns };

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof(p)) < 0 ? -errno : 0;
}

static int filter_drop_all(int fd)
{
	struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);

	return filter_set(fd, &none, 1);
}

/* The ring: as many blocks as fit the size asked for, smaller ones if the kernel has no room. */
static int ring_make(struct afpacket *a)
{
	uint64_t size = a->o->kernel_buffer ? a->o->kernel_buffer : RING_DEFAULT;
	uint32_t block = BLOCK_MOST;
	uint32_t retire_ms = a->o->retire_ms ? a->o->retire_ms : 1;
	int version = TPACKET_V3;

	if (setsockopt(a->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0)
		return -errno;
	/* A frame as long as the snaplen allows fits a block, with its headers. */
	while (block > BLOCK_LEAST && block / 2 >= a->o->snaplen + 4096 &&
	       (size / block < 2 * BLOCKS_LEAST || size / block * retire_ms < PATIENCE_MS))
		block /= 2;
	for (;;) {
		uint64_t n = size / block < BLOCKS_LEAST ? BLOCKS_LEAST : size / block;
		struct tpacket_req3 req = {
			.tp_block_size = block,
			.tp_block_nr = (uint32_t)n,
			.tp_frame_size = 2048, /* only its alignment matters to V3 */
			.tp_frame_nr = (uint32_t)n * (block / 2048),
			.tp_retire_blk_tov = retire_ms,
		};

		if (n <= UINT32_MAX / (block / 2048) &&
		    setsockopt(a->fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)) == 0) {
			a->block_len = block;
			a->n_blocks = (uint32_t)n;
			break;
		}
		if (errno != ENOMEM || size <= BLOCKS_LEAST * block)
			return -errno;
		size /= 2;
	}
	a->ring_len = (size_t)a->block_len * a->n_blocks;
	a->ring = mmap(NULL, a->ring_len, PROT_READ | PROT_WRITE, MAP_SHARED, a->fd, 0);
	if (a->ring == MAP_FAILED) {
		a->ring = NULL;
		return -errno;
	}
	/* The helper is forked later: its copy would keep the socket alive when this process dies. */
	return madvise(a->ring, a->ring_len, MADV_DONTFORK) < 0 ? -errno : 0;
}

/* Hear the device: bind, and make it promiscuous.  Needs no right beyond the open socket. */
static int device_join(struct afpacket *a)
{
	const struct sockaddr_ll at = { .sll_family = AF_PACKET,
					.sll_protocol = htons(ETH_P_ALL),
					.sll_ifindex = a->ifindex };
	const struct packet_mreq promiscuous = { .mr_ifindex = a->ifindex,
						 .mr_type = PACKET_MR_PROMISC };

	if (bind(a->fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	/* A device that cannot be promiscuous (some tunnels) is captured as it is. */
	if (a->o->promiscuous)
		(void)setsockopt(a->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous,
				 sizeof(promiscuous));
	return 0;
}

static int say(char *why, const struct afpacket *a, int r)
{
	const char *text = ncp_strerror(r), *todo = "see packet(7)";

	if (r == -EPERM || r == -EACCES) {
		text = "no permission to capture";
		todo = "start ncp-producer as root, or with CAP_NET_RAW";
	} else if (r == -ENODEV || r == -ENXIO) {
		text = "no such interface";
		todo = "ncp-producer -D lists them";
	} else if (r == -ENOMEM || r == -ENOBUFS) {
		text = "no memory for the kernel's ring";
		todo = "give a smaller -B";
	}
	snprintf(why, SOURCE_WHY_CAP, "interface %s: %s: %s", a->name, text, todo);
	return r;
}

static void afpacket_close(struct source *src)
{
	if (!src)
		return;
	struct afpacket *a = of(src);

	if (a->ring)
		munmap(a->ring, a->ring_len);
	if (a->fd >= 0)
		close(a->fd);
	compile_free(&a->program);
	free(a->filter_text);
	free(a->frames);
	free(a);
}

static int open_device(struct afpacket *a, char *why)
{
	struct ifreq r;
	int one = 1, e;

	/* Protocol 0: nothing arrives before bind, and a filter that drops all stands before that.
	 * So no frame that the real filter would refuse is ever in the ring. */
	a->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (a->fd < 0)
		return say(why, a, -errno);
	e = device_ask(a, SIOCGIFINDEX, &r);
	if (e < 0)
		return say(why, a, e);
	a->ifindex = r.ifr_ifindex;
	e = device_ask(a, SIOCGIFHWADDR, &r);
	if (e < 0)
		return say(why, a, e);
	int linktype = linktype_of(r.ifr_hwaddr.sa_family);
	if (linktype < 0) {
		snprintf(why, SOURCE_WHY_CAP,
			 "interface %s: no link type is known for its kind (ARPHRD %u): capture it "
			 "with tcpdump and replay the file",
			 a->name, r.ifr_hwaddr.sa_family);
		return -ENOTSUP;
	}
	a->linktype = (uint32_t)linktype;
	a->loopback = r.ifr_hwaddr.sa_family == ARPHRD_LOOPBACK;
	e = program_make(a, why);
	if (e < 0)
		return e;
	e = filter_drop_all(a->fd);
	if (e == 0)
		e = ring_make(a);
	/* Saves the kernel a clone of each frame that the packet-type test would refuse; since
	 * Linux 4.20, and without it that test does it alone. */
	if (e == 0 && (a->loopback || a->o->direction == NCP_INBOUND) &&
	    a->o->direction != NCP_OUTBOUND)
		(void)setsockopt(a->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
	if (e == 0)
		e = device_join(a);
	if (e == 0)
		e = device_ask(a, SIOCGIFFLAGS, &r);
	if (e < 0)
		return say(why, a, e);
	a->paused = !(r.ifr_flags & IFF_UP);
	return 0;
}

static int afpacket_open(struct source **src, const char *spec, const struct source_options *o,
			 char *why)
{
	*src = NULL;
	if (!*spec || strlen(spec) >= IFNAMSIZ) {
		snprintf(why, SOURCE_WHY_CAP,
			 "interface %.40s: no such interface: ncp-producer -D lists them", spec);
		return -ENODEV;
	}
	struct afpacket *a = calloc(1, sizeof(*a));
	if (!a) {
		snprintf(why, SOURCE_WHY_CAP, "interface %s: out of memory", spec);
		return -ENOMEM;
	}
	a->src.ops = &source_afpacket;
	a->fd = -1;
	a->o = o;
	strcpy(a->name, spec);
	a->batch = o->batch;
	a->frames = calloc(a->batch, sizeof(*a->frames));
	a->filter_text = o->filter && *o->filter ? strdup(o->filter) : NULL;
	int r;
	if (!a->frames || (o->filter && *o->filter && !a->filter_text)) {
		snprintf(why, SOURCE_WHY_CAP, "interface %s: out of memory", spec);
		r = -ENOMEM;
	} else {
		r = open_device(a, why);
	}
	if (r < 0) {
		afpacket_close(&a->src);
		return r;
	}
	*src = &a->src;
	return 0;
}

static int afpacket_interface(struct source *src, uint32_t i, struct ncpi_interface_desc *d)
{
	struct afpacket *a = of(src);

	if (i > 0)
		return 0;
	*d = (struct ncpi_interface_desc){ .name = a->name,
					   .filter = a->filter_text,
					   .linktype = a->linktype,
					   .snaplen = a->o->snaplen };
	return 1;
}

/* PACKET_STATISTICS: the kernel adds drops into tp_packets and zeroes both on every read, so nobody
 * else may read it. */
static void statistics_read(struct afpacket *a)
{
	struct tpacket_stats_v3 s;
	socklen_t len = sizeof(s);

	if (getsockopt(a->fd, SOL_PACKET, PACKET_STATISTICS, &s, &len) < 0)
		return;
	a->counted.received += s.tp_packets;
	a->counted.kernel_drops += s.tp_drops;
	a->counted.freezes += s.tp_freeze_q_cnt;
	a->unmarked_drops += s.tp_drops;
}

static int afpacket_start(struct source *src)
{
	struct afpacket *a = of(src);
	int r = filter_set(a->fd, a->program.insns, a->program.n);

	if (r < 0)
		snprintf(src->why, sizeof(src->why),
			 "interface %s: the kernel refuses the filter: %s", a->name,
			 ncp_strerror(r));
	return r;
}

/* The device that has the name now may be another one, of another kind. */
static int device_return(struct afpacket *a)
{
	struct ifreq r;

	if (device_ask(a, SIOCGIFHWADDR, &r) < 0)
		return -EAGAIN;
	int linktype = linktype_of(r.ifr_hwaddr.sa_family);
	if (linktype != (int)a->linktype) {
		snprintf(a->src.why, sizeof(a->src.why),
			 "interface %s: it came back with another link type: start ncp-producer again",
			 a->name);
		a->src.reason = NCP_REASON_SOURCE_ERROR;
		return -ENOTSUP;
	}
	return device_join(a) < 0 ? -EAGAIN : 0;
}

/* Is the device there and up?  0: yes, capture goes on.  SOURCE_PAUSED with the reason.  -errno. */
static int device_look(struct afpacket *a)
{
	struct ifreq r;
	int error;
	socklen_t len = sizeof(error);

	/* Reading it clears it: ENETDOWN would end every poll at once. */
	(void)getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (device_ask(a, SIOCGIFINDEX, &r) < 0) {
		a->src.reason = NCP_REASON_INTERFACE_GONE;
		a->ifindex = -1;
		return SOURCE_PAUSED;
	}
	int ifindex = r.ifr_ifindex;
	if (device_ask(a, SIOCGIFFLAGS, &r) < 0 || !(r.ifr_flags & IFF_UP)) {
		a->src.reason = NCP_REASON_INTERFACE_DOWN;
		return SOURCE_PAUSED;
	}
	if (ifindex != a->ifindex) {
		a->ifindex = ifindex;
		int e = device_return(a);

		if (e == -EAGAIN) {
			a->ifindex = -1;
			a->src.reason = NCP_REASON_INTERFACE_GONE;
			return SOURCE_PAUSED;
		}
		return e;
	}
	return 0;
}

static struct tpacket_block_desc *block_at(const struct afpacket *a, uint32_t i)
{
	return (struct tpacket_block_desc *)(void *)(a->ring + (size_t)i * a->block_len);
}

/* Take the next block if the kernel has handed it over.  1, 0, -EBADMSG. */
static int block_take(struct afpacket *a)
{
	struct tpacket_block_desc *d = block_at(a, a->block_idx);

	/* Acquire: the frames were written before the status. */
	if (!(ncpi_load_acquire(&d->hdr.bh1.block_status) & TP_STATUS_USER))
		return 0;
	int r = tpacket_block_begin(&a->block, (const uint8_t *)d, a->block_len);
	if (r < 0)
		return r;
	a->taken = true;
	if (a->block.losing)
		statistics_read(a);
	return 1;
}

static void block_give(struct afpacket *a)
{
	/* Release: we have read what we wanted before the kernel writes there again. */
	ncpi_store_release(&block_at(a, a->block_idx)->hdr.bh1.block_status, TP_STATUS_KERNEL);
	a->block_idx = a->block_idx + 1 == a->n_blocks ? 0 : a->block_idx + 1;
	a->taken = false;
}

static int broken(struct afpacket *a)
{
	snprintf(a->src.why, sizeof(a->src.why),
		 "interface %s: the kernel's ring makes no sense: please report it", a->name);
	a->src.reason = NCP_REASON_SOURCE_ERROR;
	return -EBADMSG;
}

/* Wait for a block.  1: look again.  0: time is up.  SOURCE_PAUSED, -errno. */
static int block_wait(struct afpacket *a, int timeout_ms)
{
	struct pollfd p = { .fd = a->fd, .events = POLLIN | POLLERR };
	int n = poll(&p, 1, timeout_ms);

	if (n <= 0)
		return 0;
	if (p.revents & ~POLLIN) {
		int r = device_look(a);

		a->paused = r == SOURCE_PAUSED;
		return r ? r : 1;
	}
	return 1;
}

/* Say where the stripped tag goes.  The snaplen holds for the frame with its tag, as in libpcap: the
 * kernel cut it without. */
static void tag_place(const struct afpacket *a, struct ncpi_frame *f)
{
	uint32_t most = a->o->snaplen - (a->o->snaplen < VLAN_LEN ? 0 : VLAN_LEN);

	f->vlan_off = VLAN_OFF;
	if (a->linktype != LINKTYPE_ETHERNET)
		f->vlan_tpid = 0;
	else if (f->caplen > most)
		f->caplen = most;
}

static int afpacket_take(struct source *src, struct source_batch *b, int timeout_ms)
{
	struct afpacket *a = of(src);
	int r;

	b->frames = a->frames;
	b->n = 0;
	while (!a->taken) {
		r = block_take(a);
		if (r < 0)
			return broken(a);
		if (r == 0 && a->paused && !a->stopped) {
			/* What was in the ring is out: now the device. */
			r = device_look(a);
			if (r)
				return r;
			a->paused = false;
		}
		if (a->taken)
			break;
		r = block_wait(a, timeout_ms);
		if (r == 0)
			return SOURCE_NOTHING;
		if (r != 1)
			return a->stopped ? SOURCE_NOTHING : r;
		timeout_ms = 0; /* what ended the wait is there, or will be next time */
	}
	while (b->n < a->batch) {
		struct ncpi_frame *f = &a->frames[b->n];

		r = tpacket_block_next(&a->block, f);
		if (r < 0)
			return broken(a);
		if (r == 0)
			break;
		if (f->vlan_tpid)
			tag_place(a, f);
		if (b->n == 0) {
			f->dropcount = a->unmarked_drops;
			a->unmarked_drops = 0;
		}
		b->n++;
	}
	if (b->n == 0) { /* retired without a frame */
		block_give(a);
		return SOURCE_NOTHING;
	}
	return SOURCE_FRAMES;
}

static void afpacket_give(struct source *src, struct source_batch *b)
{
	struct afpacket *a = of(src);

	(void)b;
	if (a->taken && a->block.n_left == 0)
		block_give(a);
}

static void afpacket_stop(struct source *src)
{
	struct afpacket *a = of(src);

	(void)filter_drop_all(a->fd);
	a->stopped = true;
	/* Now, so that what was dropped is marked on the frames that are still to come. */
	statistics_read(a);
}

static void afpacket_counts(struct source *src, struct source_counts *c)
{
	struct afpacket *a = of(src);

	statistics_read(a);
	*c = a->counted;
}

/* Filters, statistics, and looking for a device that went away. */
static const int syscalls[] = { __NR_setsockopt, __NR_getsockopt, __NR_ioctl, __NR_bind, -1 };

const struct source_ops source_afpacket = {
	.kind = "afpacket",
	.usage = "afpacket:IFACE or just IFACE: a network interface",
	.live = true,
	.open = afpacket_open,
	.interface = afpacket_interface,
	.start = afpacket_start,
	.take = afpacket_take,
	.give = afpacket_give,
	.stop = afpacket_stop,
	.counts = afpacket_counts,
	.syscalls = syscalls,
	.close = afpacket_close,
};
