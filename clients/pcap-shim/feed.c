/* SPDX-License-Identifier: BSD-2-Clause */
/* feed.c - the bus behind a handle: attach, read, wait, follow it, and go on in a child of fork(). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "handle.h"
#include "keeper.h"
#include "real.h"

_Static_assert(sizeof(struct bpf_insn) == sizeof(struct ncp_bpf_insn) &&
		       offsetof(struct bpf_insn, k) == offsetof(struct ncp_bpf_insn, k),
	       "insn layout");

/* pcap_breakloop() from another thread, or just before we sleep, is seen after so long. */
#define SLICE_MS 100
#define SECOND UINT64_C(1000000000)

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

/* --- opening ---------------------------------------------------------------------------------- */

/* ncp_options.open_bus: by its name, else by the keeper. */
static int open_bus(void *arg)
{
	const struct handle *h = arg;
	char *path;

	if (asprintf(&path, "%s/ncp.%s", h->dir, h->device.bus) < 0)
		return -ENOMEM;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int r = fd < 0 ? -errno : fd;
	free(path);
	if (r >= 0 || h->keeper < 0)
		return r;
	return keeper_ask(h->keeper);
}

/* Attach a client that starts at a place; why gets the reason, cap bytes. */
static int client_make(struct handle *h, const struct ncp_where *from, char *why, size_t cap)
{
	const struct device *d = &h->device;
	struct ncp_options o = NCP_OPTIONS_INIT;

	o.from = *from;
	o.flags = (d->reliable ? NCP_RELIABLE : 0) | (d->ordered ? NCP_ORDERED : 0);
	o.shard_idx = d->shard_idx;
	o.shard_n = d->shard_n;
	o.dir = h->dir;
	o.open_bus = open_bus;
	o.open_arg = h;
	o.error = why;
	o.error_cap = cap;
	return ncp_attach(&h->client, d->bus, &o);
}

/* The device's own "from", sought once the bus is attached: a time that counts back from an ended
 * bus does so from its newest frame. */
static int go_where(struct handle *h)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	struct ncp_where w = NCP_WHERE_INIT;
	uint64_t now = clock_ns(CLOCK_REALTIME);
	int r;

	w.value = h->device.from_value;
	switch (h->device.from) {
	case FROM_LATEST:
		return 0;
	case FROM_OLDEST:
		w.whence = NCP_OLDEST;
		break;
	case FROM_SEQ:
		w.whence = NCP_SEQ;
		break;
	case FROM_TIME:
		w.whence = NCP_TIME;
		break;
	case FROM_AGO:
		r = ncp_bus_info(h->client, &info);
		if (r < 0)
			return r;
		if (info.state == NCP_ENDED && info.newest_ts_ns)
			now = info.newest_ts_ns;
		w.whence = NCP_TIME;
		w.value = now > w.value ? now - w.value : 0;
		break;
	}
	return ncp_seek(h->client, &w);
}

/* --- interfaces and link types ---------------------------------------------------------------- */

int feed_dlt(uint32_t linktype)
{
	/* libpcap knows, and has no call that says: it reads a file's head.  struct pcap_file_header
	 * has the link type where the file has it. */
	struct pcap_file_header head = { .magic = 0xa1b2c3d4, .version_major = 2,
					 .version_minor = 4, .snaplen = SNAPLEN_MAX,
					 .linktype = linktype };
	char error[PCAP_ERRBUF_SIZE];
	int dlt = (int)linktype;
	FILE *f = fmemopen(&head, sizeof(head), "r");
	pcap_t *p = f ? real()->fopen_offline(f, error) : NULL;

	if (p) {
		dlt = real()->datalink(p);
		real()->close(p); /* and f */
	} else if (f) {
		fclose(f);
	}
	return dlt;
}

/* Learn of the interfaces there are now. */
static int interfaces_learn(struct handle *h)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	int r = ncp_bus_info(h->client, &info);

	if (r < 0 || info.n_interfaces <= h->n_interfaces)
		return r;
	void *more = realloc(h->linktypes, info.n_interfaces * sizeof(*h->linktypes));
	if (!more)
		return -ENOMEM;
	h->linktypes = more;
	while (h->n_interfaces < info.n_interfaces) {
		struct ncp_interface i = NCP_INTERFACE_INIT;

		r = ncp_interface(h->client, h->n_interfaces, &i);
		if (r < 0)
			return r;
		h->linktypes[h->n_interfaces++] = i.linktype;
	}
	return 0;
}

bool feed_linktype_has(struct handle *h, uint32_t linktype)
{
	if (interfaces_learn(h) < 0)
		return false;
	for (uint32_t i = 0; i < h->n_interfaces; i++)
		if (h->linktypes[i] == linktype)
			return true;
	return false;
}

/* Is a frame of the link type that this handle hands out? */
static bool linktype_wanted(struct handle *h, uint32_t interface)
{
	if (interface >= h->n_interfaces)
		(void)interfaces_learn(h);
	return interface < h->n_interfaces && h->linktypes[interface] == h->linktype;
}

/* --- attaching -------------------------------------------------------------------------------- */

static int attach_error(struct handle *h, int r, const char *why)
{
	switch (r) {
	case NCP_ENAME:
	case NCP_ENOBUS:
		return handle_fail(h, PCAP_ERROR_NO_SUCH_DEVICE, "%s: start ncp-producer, or see "
				   "ncp-stats --list", why);
	case NCP_EACCESS:
		return handle_fail(h, PCAP_ERROR_PERM_DENIED,
				   "%s: ask to be made a member of its group", why);
	case NCP_EFOREIGN:
		return handle_fail(h, PCAP_ERROR, "bus %s: %s: name its owner in NCP_TRUST, if you "
				   "trust him", h->device.bus, why);
	default:
		return handle_fail(h, PCAP_ERROR, "bus %s: %s", h->device.bus, why);
	}
}

/* Look at the kernel's drops of the bus that is attached now.  0 or a negative NCP_ code. */
static int drops_look(struct handle *h)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	int r = ncp_bus_info(h->client, &info);

	if (r < 0)
		return r;
	if (info.incarnation != h->drops_of) {
		/* Those of a new bus all fell since we have been there, but for the first one's. */
		h->drops += h->drops_last - h->drops_first;
		h->drops_first = h->drops_of ? 0 : info.kernel_drops;
		h->drops_of = info.incarnation;
	}
	h->drops_last = info.kernel_drops;
	return 0;
}

int feed_attach(struct handle *h)
{
	const struct ncp_where latest = NCP_WHERE_INIT;
	const char *dir = secure_getenv("NCP_DIR");
	char why[PCAP_ERRBUF_SIZE - 80] = "";
	int warning = 0;

	if (device_parse(&h->device, h->name, secure_getenv(DEVICE_ENV), clock_ns(CLOCK_REALTIME),
			 why, sizeof(why)) < 0)
		return handle_fail(h, PCAP_ERROR, "%s: %s", h->name, why);
	/* Whole: the program may go elsewhere. */
	free(h->dir);
	h->dir = realpath(dir && *dir ? dir : "/dev/shm", NULL);
	if (!h->dir)
		return handle_fail(h, PCAP_ERROR, "%s: %s", dir && *dir ? dir : "/dev/shm",
				   strerror(errno));
	int r = client_make(h, &latest, why, sizeof(why));
	if (r < 0)
		return attach_error(h, r, why);
	r = interfaces_learn(h);
	if (r == 0)
		r = go_where(h);
	if (r == 0)
		r = ncp_tell(h->client, &h->at);
	if (r == 0)
		r = drops_look(h);
	if (r < 0) {
		handle_fail(h, PCAP_ERROR, "bus %s: %s", h->device.bus,
			    r == -ERANGE ? "that number is yet to come" : ncp_strerror(r));
		goto fail;
	}
	h->linktype = h->n_interfaces ? h->linktypes[0] : 1;
	for (uint32_t i = 1; i < h->n_interfaces && !warning; i++)
		if (h->linktypes[i] != h->linktype)
			warning = handle_fail(h, PCAP_WARNING, "this bus has interfaces of several link "
					      "types, and a program of libpcap reads one: choose it as "
					      "the data link type");
	if (keeper_needed()) {
		h->keeper = keeper_start(h->dir, h->device.bus);
		if (h->keeper < 0)
			warning = handle_fail(h, PCAP_WARNING, "%s cannot be started (%s): once this "
					      "program has given up its rights, it cannot follow a bus "
					      "that is replaced", KEEPER_PROGRAM, strerror(-h->keeper));
	}
	return warning;
fail:
	ncp_detach(h->client);
	h->client = NULL;
	return PCAP_ERROR;
}

static int program_set(struct handle *h, const struct bpf_program *program)
{
	return ncp_set_bpf(h->client, (const struct ncp_bpf_insn *)(const void *)program->bf_insns,
			   program->bf_len);
}

/* The client does it, in place; but of two programs it only says whether they are any, and they are
 * run here. */
static int filter_set(struct handle *h, const struct filter *f)
{
	static const struct bpf_program everything;
	int r = program_set(h, &f->in);

	return r == 0 && f->split ? program_set(h, &everything) : r;
}

/* We are a child of who attached: attach again, where the parent stood when it forked. */
static int come_back(struct handle *h)
{
	const struct ncp_where from = { .size = sizeof(from), .whence = NCP_SEQ,
					.value = h->at.seq, .incarnation = h->at.incarnation };
	char why[PCAP_ERRBUF_SIZE - 80] = "";

	ncp_detach(h->client);
	h->client = NULL;
	h->n_interfaces = 0;
	int r = client_make(h, &from, why, sizeof(why));
	if (r < 0)
		return attach_error(h, r, why);
	r = filter_set(h, &h->filter);
	if (r == 0 && h->fd >= 0) {
		r = ncp_fd(h->client);
		if (r >= 0)
			r = dup3(r, h->fd, O_CLOEXEC) < 0 ? -errno : 0;
	}
	return r < 0 ? handle_fail(h, PCAP_ERROR, "bus %s, in a child process: %s", h->device.bus,
				   ncp_strerror(r)) :
		       0;
}

/* What to do about a negative code: 0, and the call is to be made again, or -1 with its text.  A
 * client that could not be made in a child stays away, and the next call tries again. */
static int usable(struct handle *h, int r)
{
	if (r == NCP_EFORK)
		return come_back(h) < 0 ? -1 : 0;
	return handle_fail(h, -1, "bus %s: %s", h->device.bus, ncp_strerror(r));
}

int feed_filter(struct handle *h, struct filter *f)
{
	int r;

	/* Frames come whole then: the filter sees what the snapshot length cuts off. */
	if (f->split && h->data_cap < SNAPLEN_MAX) {
		void *more = realloc(h->data, SNAPLEN_MAX);

		if (!more)
			return handle_fail(h, -1, "out of memory");
		h->data = more;
		h->data_cap = SNAPLEN_MAX;
	}
	do {
		r = h->client ? filter_set(h, f) : NCP_EFORK;
	} while (r < 0 && usable(h, r) == 0);
	if (r < 0)
		return -1;
	filter_free(&h->filter);
	h->filter = *f;
	return 0;
}

/* --- reading ---------------------------------------------------------------------------------- */

static void lost(struct handle *h, const struct ncp_frame *f)
{
	/* How many is not known: at least one. */
	h->lost += f->next_seq == NCP_UNKNOWN ? 1 : f->next_seq - f->seq;
	if (f->next_seq != NCP_UNKNOWN)
		h->at.seq = f->next_seq;
}

static void reattached(struct handle *h, const struct ncp_frame *f)
{
	/* Until the next call the old one's counters can be read. */
	(void)drops_look(h);
	h->n_interfaces = 0;
	h->at.incarnation = f->incarnation;
	h->at.seq = 0;
}

static bool ends(const struct handle *h, uint32_t state)
{
	return state == NCP_ENDED ||
	       (h->device.exit_on_close &&
		(state == NCP_STOPPED || state == NCP_CLOSED || state == NCP_DEAD));
}

static bool direction_wanted(const struct handle *h, const struct ncp_frame *f)
{
	return h->direction == PCAP_D_INOUT ||
	       NCP_DIRECTION(f->flags) ==
		       (h->direction == PCAP_D_IN ? NCP_INBOUND : NCP_OUTBOUND);
}

static bool filter_wants(const struct handle *h, const struct ncp_frame *f)
{
	const struct pcap_pkthdr head = { .caplen = f->caplen, .len = f->len };

	return !h->filter.split ||
	       real()->offline_filter(NCP_DIRECTION(f->flags) == NCP_OUTBOUND ? &h->filter.out :
										&h->filter.in,
				      &head, h->data);
}

static void frame_take(struct handle *h, const struct ncp_frame *f)
{
	uint64_t ns = f->ts_ns % SECOND;

	h->head.ts.tv_sec = (time_t)(f->ts_ns / SECOND);
	h->head.ts.tv_usec =
		(suseconds_t)(h->precision == PCAP_TSTAMP_PRECISION_NANO ? ns : ns / 1000);
	h->head.caplen = f->caplen < (uint32_t)h->snaplen ? f->caplen : (uint32_t)h->snaplen;
	h->head.len = f->len;
	h->frames++;
}

enum feed_take feed_take(struct handle *h)
{
	struct ncp_frame f = NCP_FRAME_INIT;

	while (!atomic_load_explicit(&h->breaking, memory_order_relaxed)) {
		/* A copy, checked after it was made: what the program sees does not change. */
		int r = h->client ? ncp_recv(h->client, h->data, h->data_cap, &f) : NCP_EFORK;

		if (r == 0)
			return FEED_NOTHING;
		if (r < 0) {
			if (usable(h, r) < 0)
				return FEED_ERROR;
			continue;
		}
		switch (f.kind) {
		case NCP_FRAME:
			if (!h->device.ordered)
				h->at.seq = f.next_seq;
			else if (ncp_tell(h->client, &h->at) < 0)
				return FEED_ERROR;
			if (!linktype_wanted(h, f.interface)) {
				if (feed_linktype_has(h, h->linktype))
					break;
				handle_fail(h, -1, "bus %s: its frames have another link type now",
					    h->device.bus);
				return FEED_ERROR;
			}
			if (!direction_wanted(h, &f) || !filter_wants(h, &f))
				break;
			frame_take(h, &f);
			return FEED_FRAME;
		case NCP_LOST:
			lost(h, &f);
			break;
		case NCP_REATTACHED:
			reattached(h, &f);
			break;
		case NCP_STATE:
			if (ends(h, f.state))
				return FEED_ENDED;
			break;
		default: /* evicted, unlisted: what is lost by it is told by itself */
			break;
		}
	}
	return FEED_BREAK;
}

int feed_wait(struct handle *h, int ms)
{
	uint64_t start = clock_ns(CLOCK_MONOTONIC), left_ms;

	while (!atomic_load_explicit(&h->breaking, memory_order_relaxed)) {
		uint64_t gone_ms = (clock_ns(CLOCK_MONOTONIC) - start) / 1000000;

		if (ms >= 0 && gone_ms >= (uint64_t)ms)
			return 0;
		left_ms = ms < 0 ? SLICE_MS : (uint64_t)ms - gone_ms;
		int r = h->client ? ncp_wait(h->client, left_ms < SLICE_MS ? (int)left_ms : SLICE_MS) :
				    NCP_EFORK;
		if (r == 1)
			return 0;
		if (r < 0 && r != -EINTR && usable(h, r) < 0)
			return -1;
	}
	return 0;
}

int feed_fd(struct handle *h)
{
	int r;

	if (h->fd >= 0)
		return h->fd;
	do {
		r = h->client ? ncp_fd(h->client) : NCP_EFORK;
	} while (r < 0 && usable(h, r) == 0);
	if (r < 0)
		return -1;
	/* Our own number for it: in a child of fork() there will be another behind it. */
	h->fd = fcntl(r, F_DUPFD_CLOEXEC, 0);
	return h->fd < 0 ? handle_fail(h, -1, "a descriptor to poll: %s", strerror(errno)) : h->fd;
}

int feed_stats(struct handle *h, struct pcap_stat *s)
{
	int r;

	do {
		r = h->client ? drops_look(h) : NCP_EFORK;
	} while (r < 0 && usable(h, r) == 0);
	if (r < 0)
		return -1;
	/* As Linux has it: what was dropped had been received first. */
	s->ps_recv = (u_int)(h->frames + h->lost);
	s->ps_drop = (u_int)h->lost;
	s->ps_ifdrop = (u_int)(h->drops + h->drops_last - h->drops_first);
	return 0;
}
