/* SPDX-License-Identifier: BSD-2-Clause */
/* source_pcap.c - frames of any device that libpcap opens: nflog, usbmon, D-Bus, interfaces, ... */
#include <errno.h>
#include <limits.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/if_packet.h>
#include <pcap/pcap.h>

#include "libncpbus/include/ncpbus.h"
#include "libncpbus/stamp.h"
#include "producer/frame_filter.h"
#include "producer/linktype.h"
#include "producer/nflog.h"
#include "producer/source.h"
#include "util/json.h"

/*
 * What a device counts, by libpcap 1.10 (pcap_stats() means something else on each):
 *
 *   packet socket   an interface, "any".  PACKET_STATISTICS is read here and not by pcap_stats(), which
 *                   would open files in /sys: received = frames that passed the kernel's filter, those
 *                   dropped for want of room among them.  libpcap passes over some of the others (-Q,
 *                   the second copy on lo) without counting: they are discarded, known once the
 *                   ring is empty at the end.
 *   nflog           ps_drop counts how often the socket's buffer was found full, ps_recv the frames
 *                   handed over.  Lost frames are counted by nflog.h instead.  Of a loss behind the
 *                   last frame there is only the report: it counts as one.
 *   usbmon          ps_drop is of the time since it was last read
 *   the others      ps_drop as it is: D-Bus knows of none
 *
 * Where it is no packet socket: received = frames handed over + kernel drops.
 *
 * Packet sockets are filtered in the kernel, others here, so that what is refused is counted.
 */

#define NS UINT64_C(1000000000)
#define ARENA_CAP ((size_t)1 << 20)
/* Frames asked for at once: as many of an Ethernet's as there is room for. */
#define DISPATCH_MAX (ARENA_CAP / 2048)
#define BUFFER_DEFAULT (UINT64_C(16) << 20)
/* Netfilter puts several frames into one message, of 8 KiB or so, which libpcap reads into a buffer as
 * large as its snaplen and a little: what is longer would be lost.  Cut is here. */
#define NFLOG_SNAPLEN 65536u

struct device {
	struct source source;
	char *name;
	const struct source_options *o;
	pcap_t *pcap;
	int fd; /* to wait for; -1: D-Bus */
	bool packet, usbmon, by_group;
	int ifindex;	   /* of a packet socket; 0: any, or another kind */
	uint32_t linktype;
	uint32_t ns; /* in a unit of its timestamps' fraction */
	bool started, stopped;
	bool paused;		/* the interface may be away: look before the next wait */
	uint64_t closed_at_ns;	/* CLOCK_MONOTONIC: when the kernel was told to accept no more */
	struct frame_filter filter;	/* run here, unless packet */
	struct sock_filter *kernel;	/* n_kernel: what libpcap attached; 0: it filters itself */
	uint32_t n_kernel;
	struct nflog nflog;

	/* The batch: bytes one after the other. */
	struct ncpi_frame *frames; /* cap_frames */
	size_t cap_frames, n;
	uint8_t *arena; /* cap_arena */
	size_t cap_arena, used;
	bool no_memory;

	uint64_t seen;	    /* frames that libpcap handed over */
	uint64_t discarded; /* of these, refused by the filter */
	uint64_t received, kernel_drops, freezes;
	uint64_t unmarked_drops; /* not yet in the stream as a dropcount */
	uint32_t told_drops;	 /* ps_drop when it was last read */
	uint32_t full;		 /* nflog: reports of a full buffer since the last hole */
};

static struct device *of(struct source *src)
{
	return (struct device *)(void *)src;
}

/* --- frames out of libpcap ---------------------------------------------------------------- */

/* Room for another frame of caplen bytes.  Frames do not wait in libpcap: what it hands over is taken,
 * also when it is more than was foreseen. */
static bool reserve(struct device *d, uint32_t caplen)
{
	if (d->n == d->cap_frames) {
		size_t cap = d->cap_frames ? 2 * d->cap_frames : DISPATCH_MAX;
		void *more = realloc(d->frames, cap * sizeof(*d->frames));

		if (!more)
			return false;
		d->frames = more;
		d->cap_frames = cap;
	}
	if (d->cap_arena - d->used < caplen) {
		size_t cap = d->cap_arena ? 2 * d->cap_arena : ARENA_CAP;
		void *more = realloc(d->arena, cap);

		if (!more)
			return false;
		d->arena = more;
		d->cap_arena = cap;
	}
	return true;
}

/* libpcap's callback. */
static void take_frame(u_char *user, const struct pcap_pkthdr *h, const u_char *data)
{
	struct device *d = (struct device *)(void *)user;
	const uint32_t len = h->len > h->caplen ? h->len : h->caplen;
	const uint32_t caplen = h->caplen < d->o->snaplen ? h->caplen : d->o->snaplen;

	if (d->by_group) {
		uint64_t missed = nflog_missed(&d->nflog, data, h->caplen);

		d->unmarked_drops += d->started ? missed : 0;
		d->kernel_drops += d->started ? missed : 0;
		d->full = missed ? 0 : d->full;
	}
	if (!d->started)
		return; /* from before the start */
	d->seen++;
	if (!d->packet && frame_filter_match(&d->filter, d->linktype, data, h->caplen, len) <= 0) {
		d->discarded++;
		return;
	}
	if (!reserve(d, caplen)) {
		d->no_memory = true;
		return;
	}
	memcpy(d->arena + d->used, data, caplen);
	d->used += caplen;
	d->frames[d->n++] = (struct ncpi_frame){
		.ts_ns = h->ts.tv_sec < 0 ? 0
					  : (uint64_t)h->ts.tv_sec * NS +
						    (uint64_t)h->ts.tv_usec * d->ns,
		.dropcount = d->unmarked_drops,
		.caplen = caplen,
		.len = len,
	};
	d->unmarked_drops = 0;
}

static int failed(struct device *d, int r, const char *what)
{
	snprintf(d->source.why, SOURCE_WHY_CAP, "pcap:%.60s: %.140s", d->name, what);
	d->source.reason = NCP_REASON_SOURCE_ERROR;
	return r;
}

/* Take what libpcap has.  Frames are in d->frames.  Returns 0, -errno. */
static int dispatch(struct device *d)
{
	size_t most = d->o->batch < DISPATCH_MAX ? d->o->batch : DISPATCH_MAX;

	sigset_t all, old;

	d->n = d->used = 0;
	/* What cannot be waited for waits by itself, a tenth of a second, and goes on doing so unless
	 * it was told to stop before.  A signal makes it begin that anew. */
	if (d->fd < 0) {
		pcap_breakloop(d->pcap);
		sigfillset(&all);
		pthread_sigmask(SIG_BLOCK, &all, &old);
	}
	errno = 0;
	int r = pcap_dispatch(d->pcap, (int)most, take_frame, (u_char *)d);
	const int error = errno;
	if (d->fd < 0)
		pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (d->no_memory)
		return failed(d, -ENOMEM, "out of memory");
	/* Nothing there: some kinds of devices call that an error. */
	if (r == PCAP_ERROR && error != EAGAIN && error != EINTR)
		return failed(d, -EIO, pcap_geterr(d->pcap));

	const uint8_t *data = d->arena;
	for (size_t i = 0; i < d->n; i++) {
		d->frames[i].data = data;
		data += d->frames[i].caplen;
	}
	return 0;
}

/* --- what the kernel counts ----------------------------------------------------------------- */

static void drops_add(struct device *d, uint64_t n)
{
	d->kernel_drops += n;
	d->unmarked_drops += n;
}

/* PACKET_STATISTICS zeroes what it tells: one place reads it. */
static void packet_statistics(struct device *d)
{
	struct tpacket_stats_v3 s = { 0 }; /* TPACKET_V2 tells less of it */
	socklen_t len = sizeof(s);

	if (getsockopt(d->fd, SOL_PACKET, PACKET_STATISTICS, &s, &len) < 0)
		return;
	d->received += s.tp_packets;
	d->freezes += s.tp_freeze_q_cnt;
	drops_add(d, s.tp_drops);
}

static void statistics_read(struct device *d)
{
	struct pcap_stat s = { 0 };

	if (d->packet) {
		packet_statistics(d);
		return;
	}
	if (pcap_stats(d->pcap, &s) < 0)
		return;
	uint32_t more = d->usbmon ? s.ps_drop : s.ps_drop - d->told_drops; /* 32 bits wrap */
	d->told_drops = s.ps_drop;
	if (!more)
		return;
	d->freezes++;
	if (d->by_group && d->nflog.numbered)
		d->full += more;
	else
		drops_add(d, more);
}

static void device_counts(struct source *src, struct source_counts *c)
{
	struct device *d = of(src);

	statistics_read(d);
	if (d->stopped && d->full) {
		drops_add(d, 1);
		d->full = 0;
	}
	*c = (struct source_counts){ .received = d->packet ? d->received : d->seen + d->kernel_drops,
				     .kernel_drops = d->kernel_drops,
				     .freezes = d->freezes,
				     .discarded = d->discarded };
	/* The ring is empty, or given up. */
	if (d->packet && d->stopped)
		c->discarded = d->received - d->kernel_drops - d->seen;
}

/* --- opening ------------------------------------------------------------------------------ */

static int refuse(char *why, const char *device, int r, const char *text, const char *todo)
{
	snprintf(why, SOURCE_WHY_CAP, "pcap:%.60s: %.120s%s%s", device, text, *todo ? ": " : "", todo);
	return r;
}

/* Why it could not be activated.  r: a PCAP_ERROR. */
static int not_activated(const struct device *d, int r, char *why)
{
	const char *text = pcap_geterr(d->pcap);

	switch (r) {
	case PCAP_ERROR_NO_SUCH_DEVICE:
		return refuse(why, d->name, d->o->wait ? -EAGAIN : -ENODEV, "no such device",
			      "ncp-producer -D lists them");
	case PCAP_ERROR_IFACE_NOT_UP:
		return refuse(why, d->name, d->o->wait ? -EAGAIN : -ENETDOWN, "the interface is down",
			      "bring it up, or give --wait");
	case PCAP_ERROR_PERM_DENIED:
	case PCAP_ERROR_PROMISC_PERM_DENIED:
		return refuse(why, d->name, -EPERM, "no permission to capture",
			      "start ncp-producer as root");
	default:
		if (nflog_group(d->name) >= 0)
			return refuse(why, d->name, -EIO, text,
				      "start as root; another program may have that group");
		return refuse(why, d->name, -EIO, *text ? text : pcap_statustostr(r),
			      "see pcap_activate(3PCAP)");
	}
}

/* Create and activate it, with all that is set before. */
static int activate(struct device *d, char *why)
{
	const struct source_options *o = d->o;
	const uint64_t buffer = o->kernel_buffer ? o->kernel_buffer : BUFFER_DEFAULT;
	char error[PCAP_ERRBUF_SIZE] = "";

	d->pcap = pcap_create(d->name, error);
	if (!d->pcap)
		return refuse(why, d->name, -EIO, error, "");
	const bool many = strncmp(d->name, "nflog", 5) == 0 && o->snaplen < NFLOG_SNAPLEN;
	bool bad = pcap_set_snaplen(d->pcap, (int)(many ? NFLOG_SNAPLEN : o->snaplen)) ||
		   pcap_set_promisc(d->pcap, o->promiscuous) ||
		   pcap_set_timeout(d->pcap, o->retire_ms ? (int)o->retire_ms : 1) ||
		   pcap_set_immediate_mode(d->pcap, o->immediate) ||
		   pcap_set_buffer_size(d->pcap, buffer < INT_MAX ? (int)buffer : INT_MAX);
	if (bad)
		return refuse(why, d->name, -EIO, pcap_geterr(d->pcap), "");
	/* Not all kinds have them. */
	(void)pcap_set_tstamp_precision(d->pcap, PCAP_TSTAMP_PRECISION_NANO);
	int r = pcap_activate(d->pcap);
	if (r < 0) /* a warning is positive */
		return not_activated(d, r, why);
	/* As tcpdump: cooked frames that name their interface, where libpcap's default names none. */
	if (strcmp(d->name, "any") == 0)
		(void)pcap_set_datalink(d->pcap, DLT_LINUX_SLL2);
	d->ns = pcap_get_tstamp_precision(d->pcap) == PCAP_TSTAMP_PRECISION_NANO ? 1 : 1000;
	if (o->direction && pcap_setdirection(d->pcap, o->direction == NCP_INBOUND ? PCAP_D_IN
										    : PCAP_D_OUT))
		return refuse(why, d->name, -EINVAL, "it does not tell directions", "leave out -Q");
	return 0;
}

/* What it is; and what libpcap has no call for. */
static int describe(struct device *d, char *why)
{
	const struct source_options *o = d->o;
	const int dlt = pcap_datalink(d->pcap);
	struct sockaddr_ll at = { 0 };
	socklen_t len = sizeof(int);
	int domain = 0;
	char error[PCAP_ERRBUF_SIZE];

	d->fd = pcap_get_selectable_fd(d->pcap);
	d->packet = getsockopt(d->fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_PACKET;
	d->usbmon = dlt == DLT_USB_LINUX || dlt == DLT_USB_LINUX_MMAPPED;
	len = sizeof(at);
	if (d->packet && getsockname(d->fd, (struct sockaddr *)&at, &len) == 0)
		d->ifindex = at.sll_ifindex;
	if (d->fd < 0 && dlt != DLT_DBUS)
		return refuse(why, d->name, -ENOTSUP, "libpcap has nothing to wait for on it",
			      "capture it with tcpdump -w - and pipe that into ncp-producer -");
	if (d->fd >= 0 && pcap_setnonblock(d->pcap, 1, error) < 0)
		return refuse(why, d->name, -EIO, error, "");
	if (d->fd >= 0 && !d->packet && domain) {
		/* libpcap leaves a socket without a ring its default buffer of 200 KiB. */
		const uint64_t most = o->kernel_buffer ? o->kernel_buffer : BUFFER_DEFAULT;
		int size = most < INT_MAX / 2 ? (int)most : INT_MAX / 2;

		if (setsockopt(d->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) < 0)
			(void)setsockopt(d->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	}
	int group = nflog_group(d->name);
	d->by_group = dlt == DLT_NFLOG && group >= 0;
	int r = d->by_group ? nflog_tune(d->fd, (uint16_t)group, o->immediate ? 0 : o->retire_ms) : 0;
	if (r < 0)
		return refuse(why, d->name, r, ncp_strerror(r), "");
	r = linktype_of_dlt(dlt, &d->linktype);
	return r < 0 ? refuse(why, d->name, r, "out of memory", "") : 0;
}

/* Attach a program to the socket; n 0: none. */
static int kernel_attach(const struct device *d, struct sock_filter *insns, uint32_t n)
{
	const struct sock_fprog program = { .len = (unsigned short)n, .filter = insns };

	if (setsockopt(d->fd, SOL_SOCKET, n ? SO_ATTACH_FILTER : SO_DETACH_FILTER, &program,
		       sizeof(program)) == 0)
		return 0;
	return errno == ENOENT ? 0 : -errno;
}

/* Accept nothing more. */
static int kernel_close(struct device *d)
{
	struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);

	d->closed_at_ns = ncpi_now_monotonic();
	return kernel_attach(d, &none, 1);
}

/*
 * The filter, installed while there are rights.  A packet socket's is kept as libpcap attached it (it
 * changes the program for cooked frames) and nothing is let through until the start.  It stays what it is:
 * libpcap goes on to run the first one over what may have been in the ring before.
 */
static int install(struct device *d, char *why)
{
	struct bpf_program filter;

	if (!d->packet)
		return frame_filter_open(&d->filter, d->o->filter, &d->linktype, 1, NULL, 0, why);
	d->source.keeps_filter = true;
	if (pcap_compile(d->pcap, &filter, d->o->filter ? d->o->filter : "", 1, 0)) {
		snprintf(why, SOURCE_WHY_CAP, "filter: %.180s: see pcap-filter(7)",
			 pcap_geterr(d->pcap));
		return -EINVAL;
	}
	int set = pcap_setfilter(d->pcap, &filter);
	pcap_freecode(&filter);
	if (set)
		return refuse(why, d->name, -EIO, pcap_geterr(d->pcap), "");
	socklen_t n = 0; /* instructions, not bytes */
	if (getsockopt(d->fd, SOL_SOCKET, SO_GET_FILTER, NULL, &n) < 0)
		return refuse(why, d->name, -errno, strerror(errno), "");
	d->kernel = calloc(n + 1, sizeof(*d->kernel));
	if (!d->kernel)
		return refuse(why, d->name, -ENOMEM, "out of memory", "");
	if (n && getsockopt(d->fd, SOL_SOCKET, SO_GET_FILTER, d->kernel, &n) < 0)
		return refuse(why, d->name, -errno, strerror(errno), "");
	d->n_kernel = n;
	int r = kernel_close(d);
	return r < 0 ? refuse(why, d->name, r, strerror(-r), "") : 0;
}

static void device_close(struct source *src)
{
	struct device *d = of(src);

	if (!d)
		return;
	frame_filter_close(&d->filter);
	if (d->pcap)
		pcap_close(d->pcap);
	free(d->kernel);
	free(d->frames);
	free(d->arena);
	free(d->name);
	free(d);
}

static int device_open(struct source **src, const char *spec, const struct source_options *o,
		       char *why)
{
	struct device *d;
	int r;

	*src = NULL;
	if (!*spec)
		return refuse(why, spec, -EINVAL, "no device", "ncp-producer -D lists them");
	if (!strncmp(spec, "nfqueue", 7))
		return refuse(why, spec, -EINVAL,
			      "each of its frames waits for a verdict, the right to which is given up",
			      "log to an nflog group");
	d = calloc(1, sizeof(*d));
	if (!d || !(d->name = strdup(spec))) {
		free(d);
		return refuse(why, spec, -ENOMEM, "out of memory", "");
	}
	d->source.ops = &source_pcap;
	d->o = o;
	r = activate(d, why);
	if (r == 0)
		r = describe(d, why);
	if (r == 0)
		r = install(d, why);
	if (r == 0 && !reserve(d, 0))
		r = refuse(why, spec, -ENOMEM, "out of memory", "");
	if (r < 0)
		device_close(&d->source);
	else
		*src = &d->source;
	return r;
}

static int device_interface(struct source *src, uint32_t i, struct ncpi_interface_desc *desc)
{
	const struct device *d = of(src);

	if (i)
		return 0;
	*desc = (struct ncpi_interface_desc){ .name = d->name,
					      .filter = d->o->filter,
					      .linktype = d->linktype,
					      .snaplen = d->o->snaplen };
	return 1;
}

/* --- capturing ---------------------------------------------------------------------------- */

/* What is in the kernel's ring for a while longer, after it accepts no more: a block that is not full
 * is handed over when its retire time is up. */
static uint64_t drained_at_ns(const struct device *d)
{
	return d->closed_at_ns + (2 * (uint64_t)d->o->retire_ms + 10) * NCPI_MS;
}

static int wait_readable(const struct device *d, int timeout_ms, short *events)
{
	struct pollfd p = { .fd = d->fd, .events = POLLIN };
	int n = poll(&p, 1, timeout_ms);

	*events = n > 0 ? p.revents : 0;
	return n > 0;
}

/* Begin at this moment: what came before is left unread. */
static int device_start(struct source *src)
{
	struct device *d = of(src);
	const uint64_t until = d->packet ? drained_at_ns(d) : ncpi_now_monotonic() + 10 * NCPI_MS;
	short events;
	int r = 0;

	while (r == 0 && d->fd >= 0 && ncpi_now_monotonic() < until) {
		r = dispatch(d);
		(void)wait_readable(d, 1, &events);
	}
	statistics_read(d);
	d->received = d->kernel_drops = d->freezes = d->unmarked_drops = d->full = 0;
	d->started = true;
	if (r == 0 && d->packet) {
		r = kernel_attach(d, d->kernel, d->n_kernel);
		if (r < 0)
			failed(d, r, strerror(-r));
	}
	return r;
}

/* Is the interface there and up?  0: yes.  SOURCE_PAUSED with the reason.  -ENODEV: libpcap's socket is
 * of no use any more, and the right to open another is gone.  Call it when nothing is left to take. */
static int device_look(struct device *d)
{
	struct sockaddr_ll at = { 0 };
	socklen_t len = sizeof(at);
	struct ifreq r = { 0 };

	if (!d->ifindex)
		return 0;
	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", d->name);
	if (getsockname(d->fd, (struct sockaddr *)&at, &len) < 0 || at.sll_ifindex != d->ifindex ||
	    ioctl(d->fd, SIOCGIFFLAGS, &r) < 0)
		return failed(d, -ENODEV, "the interface is gone: start ncp-producer again, with "
					  "--wait if it may take a while");
	d->source.reason = NCP_REASON_INTERFACE_DOWN;
	return r.ifr_flags & IFF_UP ? 0 : SOURCE_PAUSED;
}

static int device_take(struct source *src, struct source_batch *b, int timeout_ms)
{
	struct device *d = of(src);
	short events = 0;
	int error;
	socklen_t len = sizeof(error);

	if (d->stopped && !d->packet && ncpi_now_monotonic() >= drained_at_ns(d))
		return SOURCE_END; /* more may come: it cannot be shut */
	for (int looks = 0;; looks++) {
		int r = dispatch(d);

		b->frames = d->frames;
		b->n = d->n;
		if (d->n)
			return SOURCE_FRAMES;
		if (r < 0)
			return r;
		if (d->paused && !d->stopped) {
			r = device_look(d);
			if (r)
				return r;
			d->paused = false;
		}
		if (looks || d->fd < 0 || !wait_readable(d, timeout_ms, &events))
			return SOURCE_NOTHING;
		if (d->packet && events & ~POLLIN) {
			/* Reading it clears it: ENETDOWN would end every wait at once. */
			(void)getsockopt(d->fd, SOL_SOCKET, SO_ERROR, &error, &len);
			d->paused = true;
		}
	}
}

static void device_give(struct source *src, struct source_batch *b)
{
	(void)src; /* the arena is ours again by the next take */
	b->n = 0;
}

static int device_refilter(struct source *src, char *why)
{
	struct device *d = of(src);

	return frame_filter_renew(&d->filter, d->o->frames_compile, d->o->packet_again_arg, why);
}

static void device_stop(struct source *src)
{
	struct device *d = of(src);

	d->closed_at_ns = ncpi_now_monotonic();
	if (d->packet)
		(void)kernel_close(d);
	d->stopped = true;
	/* Now, so that what was dropped is marked on the frames that are still to come. */
	statistics_read(d);
}

/* --- -D ----------------------------------------------------------------------------------- */

static int print(FILE *f, bool json, const pcap_if_t *i)
{
	struct json j;
	int r;

	if (!json)
		return fprintf(f, "pcap:%-11s %s\n", i->name, i->description ? i->description : "") < 0
			       ? -EIO
			       : 0;
	json_open(&j);
	json_object_begin(&j);
	json_key(&j, "schema"), json_u64(&j, 1);
	json_key(&j, "device"), json_str(&j, i->name);
	json_key(&j, "description"), json_str(&j, i->description);
	json_object_end(&j);
	r = json_print(&j, f);
	json_close(&j);
	return r;
}

/* Without what the kind "afpacket" has listed, and what is refused. */
static int device_list(FILE *f, bool json, const char *dir)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_if_t *all;
	int r = 0;

	(void)dir;
	if (pcap_findalldevs(&all, error))
		return 0; /* interfaces can be captured without it */
	for (const pcap_if_t *i = all; i && r == 0; i = i->next)
		if (strcmp(i->name, "any") && strcmp(i->name, "nfqueue") && !if_nametoindex(i->name))
			r = print(f, json, i);
	pcap_freealldevs(all);
	return r;
}

const struct source_ops source_pcap = {
	.kind = "pcap",
	.usage = "pcap:DEVICE             what libpcap opens: nflog:5, usbmon1, dbus-system, ...",
	.live = true,
	.open = device_open,
	.interface = device_interface,
	.start = device_start,
	.take = device_take,
	.give = device_give,
	.refilter = device_refilter,
	.stop = device_stop,
	.counts = device_counts,
	/* Filters and counts of sockets, usbmon's frames; uname() and the times of libpcap itself. */
	.syscalls = (const int[]){ __NR_setsockopt, __NR_getsockopt, __NR_getsockname, __NR_ioctl,
				   __NR_uname, __NR_gettimeofday, -1 },
	.list = device_list,
	.close = device_close,
};
