/* SPDX-License-Identifier: BSD-2-Clause */
/* source_bus.c - frames of another bus, so that a narrower view of it can be given to other people. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libncpbus/include/ncpbus.h"
#include "libncpbus/layout.h"
#include "libncpbus/segment.h"
#include "producer/frame_filter.h"
#include "producer/source.h"
#include "util/json.h"

/*
 * A client of that bus like any other: it reads from the newest frame on, follows the bus through
 * restarts and replacements, and is told what it was too slow for.  Frames keep their bytes, times,
 * flags, and the names and link types of their interfaces.
 *
 * Counted, so that received = published + discarded + kernel drops:
 *   received      frames read, those overrun before they were read, and those that the marks on
 *                 frames read say were lost before
 *   kernel drops  the last two of these; a dropcount says both where they are missing.  A mark on
 *                 a frame that is not published goes to the next one that is
 *   discarded     refused by the filter or by -Q
 *
 * With --reliable the other bus is asked to wait, too, if it was started so; then no frame is lost on
 * the way, from the moment it was opened.
 *
 * A frame is copied, looked at again (ncp_recv), and published from the copy: what stands in the other
 * ring may be overwritten at any time.
 */

/* A frame that is being read may be of any length. */
#define ARENA_CAP (UINT32_C(1) << 20)
_Static_assert(ARENA_CAP >= 2 * NCPI_SNAPLEN, "the arena holds a frame or more");

/* Frames and events looked at in one take: a filter that lets nothing through must not keep it. */
#define LOOKS 16384u
#define LIST_MAX 4096

/* Compiled for at the start, as later it is too late: what an interface that comes may be. */
static const uint32_t likely[] = { 1 /* Ethernet */, 101 /* raw IP */, 113, 276 /* cooked */,
				   127 /* radiotap */, 239 /* nflog */ };
#define N_LIKELY (sizeof(likely) / sizeof(*likely))
_Static_assert(N_LIKELY + NCPI_INTERFACES <= FRAME_FILTER_TYPES, "a filter for each of them");

/* An interface, of any incarnation of the other bus. */
struct view_interface {
	char *name;
	uint32_t linktype;
};

struct view {
	struct source source;
	const struct source_options *o;
	char bus[NCPI_NAME_CAP];
	struct ncp_client *client;
	uint32_t index; /* of o->busses */

	struct frame_filter filter;
	struct view_interface interfaces[NCPI_INTERFACES];
	uint32_t n_interfaces;
	uint32_t map[NCPI_INTERFACES]; /* of the present incarnation's: one more than ours, 0: unknown */

	struct ncpi_frame *frames; /* o->batch */
	uint8_t *arena;		   /* ARENA_CAP */

	bool held;	   /* its producer waits for us */
	bool away;	   /* its producer is not live: reason says why */
	bool ended;	   /* no further frame */
	uint64_t stop_seq; /* frames from here on came after the stop; UINT64_MAX: none has come */

	uint64_t read, discarded, lost, marked; /* marked: lost before the other bus */
	uint64_t laps;
	uint64_t pending_drops; /* not yet in the stream as a dropcount */
};

static struct view *of(struct source *src)
{
	return (struct view *)(void *)src;
}

static int refuse(char *why, const char *bus, int r, const char *text, const char *todo)
{
	snprintf(why, SOURCE_WHY_CAP, "bus:%.60s: %.120s%s%s", bus, text, *todo ? ": " : "", todo);
	return r;
}

static int failed(struct view *v, int r, const char *text)
{
	v->source.reason = NCP_REASON_SOURCE_ERROR;
	return refuse(v->source.why, v->bus, r, text, "start ncp-producer again");
}

/* --- opening ------------------------------------------------------------------------------ */

/* Compile for what there is and what may come; some of it must take the filter. */
static int filter_make(struct view *v, char *why)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	struct ncp_interface in = NCP_INTERFACE_INIT;
	uint32_t there[NCPI_INTERFACES], n = 0;
	int r = ncp_bus_info(v->client, &info);

	for (; r == 0 && n < info.n_interfaces && n < NCPI_INTERFACES; n++) {
		r = ncp_interface(v->client, n, &in);
		there[n] = in.linktype;
	}
	return r < 0 ? refuse(why, v->bus, r, ncp_strerror(r), "")
		     : frame_filter_open(&v->filter, v->o->filter, there, n, likely, N_LIKELY, why);
}

/* The other bus: opened by name at first, and by the helper, who kept the right to, afterwards. */
static int bus_open(void *arg)
{
	struct view *v = arg;
	char name[NCPI_FILE_CAP];

	if (v->client)
		return v->o->bus_again(v->o->packet_again_arg, v->index);
	int dirfd = ncpi_dir_open(v->o->dir);
	if (dirfd < 0)
		return dirfd;
	ncpi_name_file(name, v->bus, "");
	int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	int r = fd < 0 ? -errno : fd;
	close(dirfd);
	return r;
}

/* Say why it could not be attached. */
static int not_attached(const struct view *v, int r, const char *text, char *why)
{
	switch (r) {
	case NCP_ENOBUS:
	case NCP_ENOTREADY:
		return refuse(why, v->bus, v->o->wait ? -EAGAIN : NCP_ENOBUS, text,
			      "ncp-stats --list names them; --wait waits for one");
	case NCP_ENAME:
		return refuse(why, v->bus, -EINVAL, text, "ncp-stats --list names them");
	case NCP_EACCESS:
		return refuse(why, v->bus, r, text, "ask for its group, or start as root");
	case NCP_EFOREIGN:
		return refuse(why, v->bus, r, text, "NCP_TRUST=USER if you trust its owner");
	default:
		return refuse(why, v->bus, r, text, "");
	}
}

static int attach(struct view *v, char *why)
{
	char text[128] = "", line_name[NCPI_NAME_CAP];
	struct ncp_options o = NCP_OPTIONS_INIT;

	snprintf(line_name, sizeof(line_name), "ncp-producer %.48s", v->o->bus);
	o.name = line_name;
	o.dir = v->o->dir;
	o.flags = NCP_CONFINED | (v->o->reliable ? NCP_RELIABLE : 0);
	o.open_bus = bus_open;
	o.open_arg = v;
	o.error = text;
	o.error_cap = sizeof(text);
	int r = ncp_attach(&v->client, v->bus, &o);
	if (r == NCP_ENOTRELIABLE) {
		o.flags = NCP_CONFINED;
		r = ncp_attach(&v->client, v->bus, &o);
	} else {
		v->held = r == 0 && v->o->reliable;
	}
	return r < 0 ? not_attached(v, r, *text ? text : ncp_strerror(r), why) : 0;
}

static void bus_close(struct source *src)
{
	struct view *v = of(src);

	if (!v)
		return;
	ncp_detach(v->client);
	frame_filter_close(&v->filter);
	for (uint32_t i = 0; i < v->n_interfaces; i++)
		free(v->interfaces[i].name);
	free(v->frames);
	free(v->arena);
	free(v);
}

static int interface_learn(struct view *v, uint32_t theirs);

/* What there is already, so that it is described before the first frame. */
static int interfaces_learn(struct view *v, char *why)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	int r = ncp_bus_info(v->client, &info);

	for (uint32_t i = 0; r == 0 && i < info.n_interfaces && i < NCPI_INTERFACES; i++)
		r = interface_learn(v, i);
	return r < 0 ? refuse(why, v->bus, r, ncp_strerror(r), "") : 0;
}

static int view_open(struct view *v, const char *spec, char *why)
{
	struct bus_list *list = v->o->busses;

	if (ncpi_name_check(spec) < 0)
		return refuse(why, spec, -EINVAL, ncp_strerror(NCP_ENAME), "ncp-stats --list names them");
	if (strcmp(spec, v->o->bus) == 0)
		return refuse(why, spec, -EINVAL, "it would read what it writes",
			      "name another bus with -b");
	snprintf(v->bus, sizeof(v->bus), "%s", spec);
	v->frames = calloc(v->o->batch, sizeof(*v->frames));
	v->arena = malloc(ARENA_CAP);
	if (!v->frames || !v->arena)
		return refuse(why, spec, -ENOMEM, "out of memory", "");
	int r = attach(v, why);
	if (r == 0)
		r = filter_make(v, why);
	if (r == 0)
		r = interfaces_learn(v, why);
	if (r == 0) {
		v->index = list->n++; /* one for each SOURCE at most: it has the room */
		memcpy(list->name[v->index], v->bus, sizeof(v->bus));
	}
	return r;
}

static int bus_source_open(struct source **src, const char *spec, const struct source_options *o,
			   char *why)
{
	struct view *v = calloc(1, sizeof(*v));
	int r;

	*src = NULL;
	if (!v)
		return refuse(why, spec, -ENOMEM, "out of memory", "");
	v->source.ops = &source_bus;
	v->o = o;
	v->stop_seq = UINT64_MAX;
	r = view_open(v, spec, why);
	if (r < 0)
		bus_close(&v->source);
	else
		*src = &v->source;
	return r;
}

/* --- interfaces ----------------------------------------------------------------------------- */

/* Our number of the other bus's interface, which is described if it is new.  0, -errno. */
static int interface_learn(struct view *v, uint32_t theirs)
{
	struct ncp_interface in = NCP_INTERFACE_INIT;
	int r = ncp_interface(v->client, theirs, &in);
	uint32_t i = 0;

	if (r < 0)
		return r;
	while (i < v->n_interfaces && (v->interfaces[i].linktype != in.linktype ||
				       strcmp(v->interfaces[i].name, in.name) != 0))
		i++;
	if (i == NCPI_INTERFACES)
		return -ENOSPC;
	if (i == v->n_interfaces) {
		char *name = strdup(in.name);

		if (!name)
			return -ENOMEM;
		v->interfaces[v->n_interfaces++] = (struct view_interface){ name, in.linktype };
		frame_filter_there(&v->filter, in.linktype);
	}
	v->map[theirs] = i + 1;
	return 0;
}

static int bus_interface(struct source *src, uint32_t i, struct ncpi_interface_desc *d)
{
	const struct view *v = of(src);

	if (i >= v->n_interfaces)
		return 0;
	*d = (struct ncpi_interface_desc){ .name = v->interfaces[i].name,
					   .filter = v->o->filter,
					   .linktype = v->interfaces[i].linktype,
					   .snaplen = v->o->snaplen };
	return 1;
}

/* --- reading ------------------------------------------------------------------------------ */

static int bus_start(struct source *src)
{
	struct view *v = of(src);
	const struct ncp_where latest = NCP_WHERE_INIT;

	/* Who is waited for misses nothing from the moment it was granted that. */
	int r = v->held ? 0 : ncp_seek(v->client, &latest);
	return r < 0 ? failed(v, r, ncp_strerror(r)) : 0;
}

/* A frame in the arena at used: keep it, or not.  0, -errno. */
static int frame_judge(struct view *v, struct source_batch *b, const struct ncp_frame *f, uint32_t *used)
{
	const uint32_t caplen = f->caplen < v->o->snaplen ? f->caplen : v->o->snaplen;

	if (f->interface >= NCPI_INTERFACES)
		return failed(v, NCP_ECORRUPT, ncp_strerror(NCP_ECORRUPT));
	int r = v->map[f->interface] ? 0 : interface_learn(v, f->interface);
	if (r < 0)
		return failed(v, r, ncp_strerror(r));
	const uint32_t ours = v->map[f->interface] - 1;
	const int match = frame_filter_match(&v->filter, v->interfaces[ours].linktype, f->data,
					     f->caplen, f->len);
	if (match < 0)
		return failed(v, match, "an interface came for whose link type the filter was not "
					"compiled");
	v->read++;
	v->marked += f->dropcount;
	v->pending_drops += f->dropcount;
	if (!match || (v->o->direction && NCP_DIRECTION(f->flags) != v->o->direction)) {
		v->discarded++;
		return 0;
	}
	v->frames[b->n++] = (struct ncpi_frame){ .data = f->data,
						 .ts_ns = f->ts_ns,
						 .dropcount = v->pending_drops,
						 .caplen = caplen,
						 .len = f->len,
						 .interface = ours,
						 .flags = f->flags };
	v->pending_drops = 0;
	*used += caplen;
	return 0;
}

/* What happened to the other bus, or to us on it. */
static void event_take(struct view *v, const struct ncp_frame *f)
{
	switch (f->kind) {
	case NCP_LOST:
		v->laps++;
		if (f->next_seq == NCP_UNKNOWN)
			break; /* replaced more than once meanwhile: nobody knows how many */
		v->lost += f->next_seq - f->seq;
		v->pending_drops += f->next_seq - f->seq;
		break;
	case NCP_STATE:
		v->ended = f->state == NCP_ENDED;
		v->away = f->state != NCP_LIVE && f->state != NCP_STARTING;
		v->source.reason = v->ended		   ? NCP_REASON_EXHAUSTED
				   : f->state == NCP_PAUSED ? f->reason
							    : NCP_REASON_SOURCE_AWAY;
		break;
	case NCP_REATTACHED:
		memset(v->map, 0, sizeof(v->map));
		v->away = v->ended = false;
		v->stop_seq = v->stop_seq == UINT64_MAX ? UINT64_MAX : 0; /* stopped: all is new */
		break;
	default: /* evicted, unlisted: what comes of it comes as a loss */
		break;
	}
}

/* Read until the batch is full or nothing is left.  0, -errno. */
static int read_some(struct view *v, struct source_batch *b)
{
	struct ncp_cursor at = NCP_CURSOR_INIT;
	struct ncp_frame f = NCP_FRAME_INIT;
	uint32_t used = 0;
	int r = 0;

	b->n = 0;
	b->frames = v->frames;
	for (uint32_t looked = 0; b->n < v->o->batch && looked < LOOKS; looked++) {
		if (ARENA_CAP - used < NCPI_SNAPLEN)
			break;
		if (v->stop_seq != UINT64_MAX &&
		    (!v->stop_seq || ncp_tell(v->client, &at) < 0 || at.seq >= v->stop_seq)) {
			v->ended = true;
			break;
		}
		r = ncp_recv(v->client, v->arena + used, NCPI_SNAPLEN, &f);
		if (r <= 0)
			return r < 0 ? failed(v, r, ncp_strerror(r)) : 0;
		if (f.kind == NCP_FRAME) {
			v->away = false;
			r = frame_judge(v, b, &f, &used);
			if (r < 0)
				return r;
		} else {
			event_take(v, &f);
		}
	}
	return 0;
}

static int bus_take(struct source *src, struct source_batch *b, int timeout_ms)
{
	struct view *v = of(src);
	int r = read_some(v, b);

	if (r == 0 && !b->n && !v->ended && !v->away) {
		r = ncp_wait(v->client, timeout_ms);
		r = r == 1 ? read_some(v, b) : r == -EINTR ? 0 : r;
	}
	if (b->n)
		return SOURCE_FRAMES; /* an error comes again */
	return r < 0 ? r : v->ended ? SOURCE_END : v->away ? SOURCE_PAUSED : SOURCE_NOTHING;
}

static void bus_give(struct source *src, struct source_batch *b)
{
	(void)src; /* the arena is ours again by the next take */
	b->n = 0;
}

static int bus_refilter(struct source *src, char *why)
{
	struct view *v = of(src);

	return frame_filter_renew(&v->filter, v->o->frames_compile, v->o->packet_again_arg, why);
}

/* What is in the other ring by now is still taken. */
static void bus_stop(struct source *src)
{
	struct view *v = of(src);
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;

	v->stop_seq = ncp_bus_info(v->client, &info) == 0 ? info.next_seq : 0;
}

static void bus_counts(struct source *src, struct source_counts *c)
{
	const struct view *v = of(src);

	*c = (struct source_counts){ .received = v->read + v->lost + v->marked,
				     .kernel_drops = v->lost + v->marked,
				     .freezes = v->laps,
				     .discarded = v->discarded };
}

/* --- -D ----------------------------------------------------------------------------------- */

static int print(FILE *f, bool json, const char *name)
{
	struct json j;
	int r;

	if (!json)
		return fprintf(f, "bus:%s\n", name) < 0 ? -EIO : 0;
	json_open(&j);
	json_object_begin(&j);
	json_key(&j, "schema"), json_u64(&j, 1);
	json_key(&j, "bus"), json_str(&j, name);
	json_object_end(&j);
	r = json_print(&j, f);
	json_close(&j);
	return r;
}

static int bus_list(FILE *f, bool json, const char *dir)
{
	struct ncp_bus_name *all = calloc(LIST_MAX, sizeof(*all));
	int n = all ? ncp_list(dir, all, LIST_MAX) : -ENOMEM, r = n < 0 ? n : 0;

	for (int i = 0; i < n && i < LIST_MAX && r == 0; i++)
		r = print(f, json, all[i].name);
	free(all);
	return r;
}

const struct source_ops source_bus = {
	.kind = "bus",
	.usage = "bus:NAME                another bus, for a narrower view of it (-b, -s, -g, filter)",
	.live = true,
	.open = bus_source_open,
	.interface = bus_interface,
	.start = bus_start,
	.take = bus_take,
	.give = bus_give,
	.refilter = bus_refilter,
	.stop = bus_stop,
	.counts = bus_counts,
	/* Its line in the registry; the other bus's segment, when that is replaced. */
	.syscalls = (const int[]){ __NR_pwrite64, -1 },
	.list = bus_list,
	.close = bus_close,
};
