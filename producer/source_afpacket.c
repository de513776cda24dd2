/* SPDX-License-Identifier: BSD-2-Clause */
/* source_afpacket.c - frames of a network interface, by a TPACKET_V3 ring. */
#include <errno.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/if_packet.h>

#include "libncpbus/include/ncpbus.h"
#include "libncpbus/order.h"
#include "libncpbus/stamp.h"
#include "producer/compile.h"
#include "producer/interfaces.h"
#include "producer/packet_filter.h"
#include "producer/packet_socket.h"
#include "producer/size.h"
#include "producer/source.h"
#include "producer/tpacket_block.h"

/* Where a VLAN tag stands in an Ethernet frame: behind both addresses. */
#define VLAN_OFF 12u
#define VLAN_LEN 4u

/* A batch is read twice, header by header and then to be copied: so much of it stays in a processor's
 * nearest caches meanwhile. */
#define BATCH_BYTES (64u << 10)

/* LINKTYPE_ of an interface that was never there. */
#define LINKTYPE_UNKNOWN UINT32_MAX
/* A name can be that of devices of several link types, one after the other: all that
 * packet_linktype() tells apart. */
#define LINKTYPES 8u
/* How the interface is described where the times are not the kernel's. */
#define HARDWARE_CLOCK "times of received frames: the interface's own clock"

struct afpacket {
	struct source src;
	char name[IFNAMSIZ];
	char *filter_text;
	const struct source_options *o;
	uint32_t want; /* which of o->packets: what its sockets are opened with */
	bool any;      /* all interfaces there are and will be, in cooked frames */
	uint32_t seen[LINKTYPES]; /* its interfaces: src.current is the one of linktype */
	uint32_t n_seen;

	/* For who changes the filter while the thread that takes frames opens and closes sockets:
	 * program, linktype, s.fd, started, stopped.  Never taken for a batch. */
	pthread_mutex_t lock;
	struct compile_program program; /* whole: packet-type test, filter, snaplen */

	int ask_fd; /* any socket: the device is asked about through it */
	uint32_t linktype;
	bool loopback, started, stopped;
	bool paused;	     /* the device may be away: look before the next wait */
	uint64_t gone_at_ns; /* CLOCK_MONOTONIC: when it was seen that the device is another; 0 */

	struct packet_socket s; /* fd -1: none, until the device is there */
	uint8_t *ring;
	uint32_t block_idx; /* the block that comes next, or is being walked; with slots: the slot */
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

/* Ask the kernel about the device by its name.  0, -errno; -ENODEV: there is none. */
static int device_ask(const struct afpacket *a, unsigned long request, struct ifreq *r)
{
	memset(r, 0, sizeof(*r));
	memcpy(r->ifr_name, a->name, sizeof(r->ifr_name));
	return ioctl(a->ask_fd, request, r) < 0 ? -errno : 0;
}

static size_t ring_len(const struct afpacket *a)
{
	return (size_t)a->s.block_len * a->s.n_blocks;
}

/* PACKET_STATISTICS: the kernel adds drops into tp_packets and zeroes both on every read, so nobody
 * else may read it. */
static void statistics_read(struct afpacket *a)
{
	struct tpacket_stats_v3 s;
	socklen_t len = sizeof(s);

	if (a->s.fd < 0 || getsockopt(a->s.fd, SOL_PACKET, PACKET_STATISTICS, &s, &len) < 0)
		return;
	a->counted.received += s.tp_packets;
	a->counted.kernel_drops += s.tp_drops;
	a->counted.freezes += s.tp_freeze_q_cnt;
	a->unmarked_drops += s.tp_drops;
}

/* Let go of a socket whose ring is empty: what it counted stays. */
static void socket_leave(struct afpacket *a)
{
	statistics_read(a);
	if (a->ring)
		munmap(a->ring, ring_len(a));
	if (a->s.fd >= 0)
		close(a->s.fd);
	a->s = (struct packet_socket){ .fd = -1 };
	a->ring = NULL;
	a->block_idx = 0;
	a->gone_at_ns = 0;
}

/* Begin to use a socket that was opened for us. */
static int socket_enter(struct afpacket *a, const struct packet_socket *s)
{
	a->s = *s;
	void *ring = mmap(NULL, ring_len(a), PROT_READ | PROT_WRITE, MAP_SHARED, a->s.fd, 0);
	int r = ring == MAP_FAILED ? -errno : 0;

	a->ring = r == 0 ? ring : NULL;
	/* The helper is forked later: its copy would keep the socket alive when this process dies. */
	if (r == 0 && madvise(a->ring, ring_len(a), MADV_DONTFORK) < 0)
		r = -errno;
	if (r == 0 && a->started)
		r = packet_filter_set(a->s.fd, &a->program);
	if (r < 0)
		socket_leave(a);
	return r;
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

	socket_leave(a);
	if (a->ask_fd >= 0)
		close(a->ask_fd);
	pthread_mutex_destroy(&a->lock);
	compile_free(&a->program);
	free(a->filter_text);
	free(a->frames);
	free(a);
}

/* It is a device of that link type now: one of its interfaces, known or new. */
static void linktype_set(struct afpacket *a, uint32_t linktype)
{
	uint32_t i = 0;

	while (i < a->n_seen && a->seen[i] != linktype)
		i++;
	if (i == LINKTYPES) /* packet_linktype() knows fewer */
		return;
	if (i == a->n_seen)
		a->seen[a->n_seen++] = linktype;
	a->src.current = i;
	a->linktype = linktype;
}

/* What kind of device it is.  0, -errno; -ENOTSUP: one whose frames we cannot describe. */
static int device_describe(struct afpacket *a, char *why)
{
	struct ifreq r;
	int e = a->any ? 0 : device_ask(a, SIOCGIFHWADDR, &r);

	if (e < 0)
		return say(why, a, e);
	if (a->any) {
		linktype_set(a, LINKTYPE_SLL2);
		return 0;
	}
	int linktype = packet_linktype(r.ifr_hwaddr.sa_family);
	if (linktype < 0) {
		snprintf(why, SOURCE_WHY_CAP,
			 "interface %s: no link type is known for its kind (ARPHRD %u): capture it "
			 "with tcpdump and replay the file",
			 a->name, r.ifr_hwaddr.sa_family);
		return -ENOTSUP;
	}
	linktype_set(a, (uint32_t)linktype);
	a->loopback = r.ifr_hwaddr.sa_family == ARPHRD_LOOPBACK;
	return 0;
}

/* A socket for this member, if the device is there; else it is waited for. */
static int open_socket(struct afpacket *a, char *why)
{
	struct packet_socket s;
	struct ifreq r;
	/* It may have come since it was seen not to be there: it is described when it is found. */
	int e = a->linktype == LINKTYPE_UNKNOWN
			? -ENODEV
			: packet_socket_open(&a->o->packets->want[a->want], &s);

	if (e == 0)
		e = socket_enter(a, &s);
	if (e == -ENETDOWN || (e == -ENODEV && a->o->wait)) {
		a->paused = true;
		return 0;
	}
	if (e == 0 && !a->any)
		e = device_ask(a, SIOCGIFFLAGS, &r);
	if (e < 0)
		return say(why, a, e);
	a->paused = !a->any && !(r.ifr_flags & IFF_UP);
	return 0;
}

/* Bytes that the kernel keeps of a frame: it counts without the header that we put in front. */
static uint32_t kernel_snaplen(const struct afpacket *a)
{
	const uint32_t most = a->o->snaplen, header = a->any ? TPACKET_SLL2_LEN : 0;

	return most > header ? most - header : 1;
}

/* The number of lo, of which each frame comes twice; 0: none. */
static int loopback_index(const struct afpacket *a)
{
	struct ifreq r = { .ifr_name = "lo" };

	return ioctl(a->ask_fd, SIOCGIFINDEX, &r) < 0 ? 0 : r.ifr_ifindex;
}

static int open_device(struct afpacket *a, char *why)
{
	const struct source_options *o = a->o;
	struct packet_list *list = o->packets;

	if (list->n == PACKET_INTERFACES) {
		snprintf(why, SOURCE_WHY_CAP, "interface %s: more than %u: use several busses",
			 a->name, PACKET_INTERFACES);
		return -EINVAL;
	}
	int e = device_describe(a, why);
	if (e == -ENODEV && o->wait)
		e = 0;
	struct packet_filter f = {
		.device = a->name,
		/* Of one that is waited for: most are Ethernet.  If it is not, the filter is compiled
		 * again when it comes. */
		.linktype = a->linktype == LINKTYPE_UNKNOWN ? LINKTYPE_ETHERNET : a->linktype,
		.snaplen = kernel_snaplen(a),
		.direction = o->direction,
		.loopback = a->loopback,
		.loopback_index = a->any ? loopback_index(a) : 0,
		.text = a->filter_text,
	};
	if (e == 0)
		e = packet_filter_make(&f, &a->program, why);
	if (e < 0)
		return e;
	f.device = f.text = NULL;
	a->want = list->n++;
	struct packet_want *want = &list->want[a->want];
	*want = (struct packet_want){
		.any = a->any,
		.ring_size = o->kernel_buffer || !o->immediate
				     ? o->kernel_buffer
				     : size_slots(size_memory(""), o->workers),
		.snaplen = o->snaplen,
		.retire_ms = o->retire_ms ? o->retire_ms : 1,
		.promiscuous = o->promiscuous,
		.immediate = o->immediate,
		.hwtime = o->hwtime,
		.ignore_outgoing = (a->loopback || o->direction == NCP_INBOUND) &&
				   o->direction != NCP_OUTBOUND,
		.filter = f,
		.fanout = o->workers > 1 ? o->fanout : PACKET_NO_FANOUT,
	};
	memcpy(want->name, a->name, sizeof(want->name));
	return open_socket(a, why);
}

/* A member without program and socket.  NULL: no memory. */
static struct afpacket *make(const char *name, const struct source_options *o)
{
	struct afpacket *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->src.ops = &source_afpacket;
	a->s.fd = -1;
	a->o = o;
	snprintf(a->name, sizeof(a->name), "%s", name);
	a->any = strcmp(name, "any") == 0;
	a->linktype = LINKTYPE_UNKNOWN;
	pthread_mutex_init(&a->lock, NULL);
	a->batch = o->batch;
	a->frames = calloc(a->batch, sizeof(*a->frames));
	a->filter_text = o->filter && *o->filter ? strdup(o->filter) : NULL;
	a->ask_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (a->ask_fd >= 0 && a->frames && (a->filter_text || !o->filter || !*o->filter))
		return a;
	afpacket_close(&a->src);
	return NULL;
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
	struct afpacket *a = make(spec, o);
	if (!a) {
		snprintf(why, SOURCE_WHY_CAP, "interface %s: out of memory", spec);
		return -ENOMEM;
	}
	int r = open_device(a, why);
	if (r < 0) {
		afpacket_close(&a->src);
		return r;
	}
	*src = &a->src;
	return 0;
}

static int afpacket_member(struct source **src, const struct source *first, char *why)
{
	const struct afpacket *like = (const struct afpacket *)(const void *)first;
	struct afpacket *a = make(like->name, like->o);
	int r = a ? compile_copy(&like->program, &a->program) : -ENOMEM;

	*src = NULL;
	if (r == 0) {
		a->want = like->want;
		if (like->linktype != LINKTYPE_UNKNOWN)
			linktype_set(a, like->linktype);
		a->loopback = like->loopback;
		r = open_socket(a, why);
	} else {
		snprintf(why, SOURCE_WHY_CAP, "interface %s: out of memory", like->name);
	}
	if (r < 0) {
		afpacket_close(a ? &a->src : NULL);
		return r;
	}
	*src = &a->src;
	return 0;
}

static int afpacket_interface(struct source *src, uint32_t i, struct ncpi_interface_desc *d)
{
	const struct afpacket *a = of(src);

	if (i >= a->n_seen)
		return 0;
	*d = (struct ncpi_interface_desc){ .name = a->name,
					   .description = a->s.hwtime ? HARDWARE_CLOCK : NULL,
					   .filter = a->filter_text,
					   .linktype = a->seen[i],
					   .snaplen = a->o->snaplen };
	return 1;
}

static int afpacket_start(struct source *src)
{
	struct afpacket *a = of(src);
	int r = a->s.fd < 0 ? 0 : packet_filter_set(a->s.fd, &a->program);

	if (r < 0)
		snprintf(src->why, sizeof(src->why),
			 "interface %s: the kernel refuses the filter: %s", a->name,
			 ncp_strerror(r));
	a->started = true;
	return r;
}

static int paused(struct afpacket *a, uint32_t reason)
{
	a->src.reason = reason;
	return SOURCE_PAUSED;
}

/* What ends the capture.  r: the result. */
static int failed(struct afpacket *a, int r, const char *what)
{
	snprintf(a->src.why, sizeof(a->src.why), "interface %s: %s", a->name, what);
	a->src.reason = NCP_REASON_SOURCE_ERROR;
	return r;
}

/* Under the lock: have the filter compiled for what the device is now. */
static int program_renew(struct afpacket *a, char *why)
{
	struct compile_program p;
	int r = a->o->packet_compile(a->o->packet_again_arg, a->want,
				     a->linktype == LINKTYPE_UNKNOWN ? LINKTYPE_ETHERNET
								     : a->linktype,
				     &p, why);

	if (r < 0)
		return r;
	if (a->s.fd >= 0 && a->started && !a->stopped) {
		r = packet_filter_set(a->s.fd, &p);
		if (r < 0) {
			snprintf(why, SOURCE_WHY_CAP,
				 "interface %s: the kernel refuses the filter: %s", a->name,
				 ncp_strerror(r));
			compile_free(&p);
			return r;
		}
	}
	compile_free(&a->program);
	a->program = p;
	return 0;
}

static int afpacket_refilter(struct source *src, char *why)
{
	struct afpacket *a = of(src);

	pthread_mutex_lock(&a->lock);
	int r = program_renew(a, why);
	pthread_mutex_unlock(&a->lock);
	return r;
}

/* Under the lock: open a socket on the device that has the name now, which may be of another kind
 * than the one before, or than the filter was compiled for.  *said: src.why tells. */
static int device_open_again(struct afpacket *a, bool *said)
{
	struct packet_socket s;
	const uint32_t compiled_for = a->linktype == LINKTYPE_UNKNOWN ? LINKTYPE_ETHERNET
								      : a->linktype;
	int r = device_describe(a, a->src.why);

	*said = r == -ENOTSUP;
	if (r < 0)
		return *said ? r : -ENODEV;
	if (a->linktype != compiled_for) {
		r = program_renew(a, a->src.why);
		*said = r < 0;
	}
	if (r == 0)
		r = a->o->packet_again(a->o->packet_again_arg, a->want, &s);
	if (r == 0)
		r = socket_enter(a, &s);
	return r;
}

/* The device is there and we have no socket on it: the helper opens one. */
static int device_return(struct afpacket *a)
{
	bool said;

	pthread_mutex_lock(&a->lock);
	int r = device_open_again(a, &said);
	pthread_mutex_unlock(&a->lock);
	if (said) {
		a->src.reason = NCP_REASON_SOURCE_ERROR;
		return r;
	}
	switch (r) {
	case 0:
		return 0;
	case -ENODEV: /* it went again */
	case -ENETDOWN:
	case -EINVAL:
		return paused(a, NCP_REASON_INTERFACE_GONE);
	case -EPIPE:
		return failed(a, r, "the helper process, which would open it again, is gone: start "
				    "ncp-producer again");
	default:
		say(a->src.why, a, r);
		a->src.reason = NCP_REASON_SOURCE_ERROR;
		return r;
	}
}

/* The kernel unbinds a socket whose device goes, for good: it may be back with the same number. */
static bool is_bound(const struct afpacket *a)
{
	struct sockaddr_ll at = { 0 };
	socklen_t len = sizeof(at);

	return getsockname(a->s.fd, (struct sockaddr *)&at, &len) == 0 &&
	       at.sll_ifindex == a->s.ifindex;
}

/* Is the device there and up?  0: yes, capture goes on.  SOURCE_PAUSED with the reason.  -errno.
 * Call it when there is no block to take. */
static int device_look(struct afpacket *a)
{
	uint64_t retired_ms = a->s.slot_len ? 0 : 2 * (uint64_t)a->o->retire_ms;
	uint64_t drained_ns = (retired_ms + 10) * NCPI_MS;
	struct ifreq r;
	int error;
	socklen_t len = sizeof(error);

	/* Reading it clears it: ENETDOWN would end every poll at once. */
	if (a->s.fd >= 0)
		(void)getsockopt(a->s.fd, SOL_SOCKET, SO_ERROR, &error, &len);
	if (a->any) /* some are there at all times */
		return 0;
	int ifindex = device_ask(a, SIOCGIFINDEX, &r) < 0 ? -1 : r.ifr_ifindex;
	if (a->s.fd >= 0 && (a->gone_at_ns || ifindex != a->s.ifindex || !is_bound(a))) {
		/* A block that is not full is handed over when its retire time is up. */
		uint64_t now = ncpi_now_monotonic();

		if (!a->gone_at_ns)
			a->gone_at_ns = now;
		if (now - a->gone_at_ns < drained_ns)
			return paused(a, NCP_REASON_INTERFACE_GONE);
		pthread_mutex_lock(&a->lock);
		socket_leave(a);
		pthread_mutex_unlock(&a->lock);
		/* What it counted is of the device that went; another one is looked for next time. */
		return paused(a, NCP_REASON_INTERFACE_GONE);
	}
	if (ifindex < 0)
		return paused(a, NCP_REASON_INTERFACE_GONE);
	if (device_ask(a, SIOCGIFFLAGS, &r) < 0 || !(r.ifr_flags & IFF_UP))
		return paused(a, NCP_REASON_INTERFACE_DOWN);
	return a->s.fd < 0 ? device_return(a) : 0;
}

static struct tpacket_block_desc *block_at(const struct afpacket *a, uint32_t i)
{
	return (struct tpacket_block_desc *)(void *)(a->ring + (size_t)i * a->s.block_len);
}

/* Slots stand in blocks, as many as fit into each; none in two. */
static uint32_t n_slots(const struct afpacket *a)
{
	return a->s.block_len / a->s.slot_len * a->s.n_blocks;
}

static struct tpacket2_hdr *slot_at(const struct afpacket *a, uint32_t i)
{
	const uint32_t per_block = a->s.block_len / a->s.slot_len;

	return (struct tpacket2_hdr *)(void *)(a->ring + (size_t)(i / per_block) * a->s.block_len +
					       (size_t)(i % per_block) * a->s.slot_len);
}

static bool slot_is_ours(const struct afpacket *a, uint32_t i)
{
	/* Acquire: the frame was written before the status. */
	return ncpi_load_acquire(&slot_at(a, i)->tp_status) & TP_STATUS_USER;
}

/* Has the kernel handed something over? */
static bool is_ready(const struct afpacket *a)
{
	if (a->s.fd < 0)
		return false;
	if (a->s.slot_len)
		return slot_is_ours(a, a->block_idx);
	return ncpi_load_acquire(&block_at(a, a->block_idx)->hdr.bh1.block_status) & TP_STATUS_USER;
}

/* Take the next block if the kernel has handed it over.  1, 0, -EBADMSG. */
static int block_take(struct afpacket *a)
{
	if (!is_ready(a))
		return 0;
	if (a->s.slot_len) {
		a->taken = true;
		return 1;
	}
	struct tpacket_block_desc *d = block_at(a, a->block_idx);

	int r = tpacket_block_begin(&a->block, (const uint8_t *)d, a->s.block_len);
	if (r < 0)
		return r;
	a->taken = true;
	a->block.cooked = a->any;
	a->block.interface = a->src.current;
	if (a->block.losing)
		statistics_read(a);
	return 1;
}

static void block_give(struct afpacket *a)
{
	/* Release: we have read what we wanted before the kernel writes there again. */
	ncpi_store_release(&block_at(a, a->block_idx)->hdr.bh1.block_status, TP_STATUS_KERNEL);
	a->block_idx = a->block_idx + 1 == a->s.n_blocks ? 0 : a->block_idx + 1;
	a->taken = false;
}

static int broken(struct afpacket *a)
{
	return failed(a, -EBADMSG, "the kernel's ring makes no sense: please report it");
}

/* Wait for a block.  1: look again.  0: time is up.  SOURCE_PAUSED, -errno. */
static int block_wait(struct afpacket *a, int timeout_ms)
{
	if (a->o->busy && a->s.fd >= 0) {
		const uint64_t until = ncpi_now_monotonic() + (uint64_t)timeout_ms * NCPI_MS;

		while (!is_ready(a) && ncpi_now_monotonic() < until)
			;
		timeout_ms = 0; /* has the device gone? */
	}
	struct pollfd p = { .fd = a->s.fd, .events = POLLIN | POLLERR };
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

/* The frame in the k-th slot from the next one on.  1, 0: none there yet; -EBADMSG. */
static int slot_next(struct afpacket *a, uint32_t k, struct ncpi_frame *f)
{
	const uint32_t n = n_slots(a), i = (a->block_idx + k) % n;

	if (k == n || !slot_is_ours(a, i))
		return 0;
	const struct tpacket2_hdr *h = slot_at(a, i);
	if (h->tp_status & TP_STATUS_LOSING)
		statistics_read(a);
	if (a->s.hwtime && !tpacket_hardware_time(h->tp_status))
		ncpi_store(&a->src.kernel_times, a->src.kernel_times + 1);
	return tpacket_slot_read((const uint8_t *)h, a->s.slot_len, a->any, f) < 0 ? -EBADMSG : 1;
}

/* The frames of the next slots.  How many, -EBADMSG. */
static int slots_read(struct afpacket *a)
{
	uint32_t n = 0;
	int r = 0;

	for (uint32_t bytes = 0; n < a->batch && bytes < BATCH_BYTES; n++) {
		r = slot_next(a, n, &a->frames[n]);
		if (r != 1)
			break;
		a->frames[n].interface = a->src.current;
		bytes += a->frames[n].caplen;
	}
	return r < 0 ? r : (int)n;
}

/* What few of the first n frames need. */
static void frames_finish(const struct afpacket *a, size_t n)
{
	for (struct ncpi_frame *f = a->frames; f < a->frames + n; f++) {
		if (f->vlan_tpid)
			tag_place(a, f);
		if (f->caplen > a->o->snaplen) /* of less than our header's length */
			f->caplen = a->o->snaplen;
	}
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
	r = a->s.slot_len ? slots_read(a) :
			    tpacket_block_take(&a->block, a->frames, a->batch, BATCH_BYTES);
	if (r < 0)
		return broken(a);
	b->n = (size_t)r;
	b->one_interface = true;
	if (a->s.slot_len || a->any || a->block.n_tagged)
		frames_finish(a, b->n);
	if (b->n) {
		b->frames->dropcount = a->unmarked_drops;
		a->unmarked_drops = 0;
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

	for (size_t k = 0; a->s.slot_len && k < b->n; k++) {
		ncpi_store_release(&slot_at(a, a->block_idx)->tp_status, TP_STATUS_KERNEL);
		a->block_idx = a->block_idx + 1 == n_slots(a) ? 0 : a->block_idx + 1;
	}
	if (a->s.slot_len) {
		a->taken = false;
	} else if (a->taken && a->block.n_left == 0) {
		if (a->s.hwtime)
			ncpi_store(&a->src.kernel_times,
				   a->src.kernel_times + a->block.n_kernel_times);
		block_give(a);
	}
}

static void afpacket_stop(struct source *src)
{
	struct afpacket *a = of(src);

	pthread_mutex_lock(&a->lock);
	if (a->s.fd >= 0)
		(void)packet_filter_set(a->s.fd, NULL);
	a->stopped = true;
	pthread_mutex_unlock(&a->lock);
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
static const int syscalls[] = { __NR_setsockopt, __NR_getsockopt, __NR_getsockname, __NR_ioctl, -1 };

const struct source_ops source_afpacket = {
	.kind = "afpacket",
	.usage = "IFACE | afpacket:IFACE  a network interface; any: all of them",
	.live = true,
	.names_bus = true,
	.open = afpacket_open,
	.member = afpacket_member,
	.interface = afpacket_interface,
	.start = afpacket_start,
	.take = afpacket_take,
	.give = afpacket_give,
	.refilter = afpacket_refilter,
	.stop = afpacket_stop,
	.counts = afpacket_counts,
	.syscalls = syscalls,
	.list = interfaces_print,
	.close = afpacket_close,
};
