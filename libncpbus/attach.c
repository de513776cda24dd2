/* SPDX-License-Identifier: BSD-2-Clause */
/* attach.c - attach to a bus, go somewhere in it, follow it when it is replaced. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libncpbus/client.h"
#include "libncpbus/group.h"
#include "libncpbus/order.h"
#include "libncpbus/stamp.h"

/* A producer that has not beaten for so long is dead. */
#define DEAD_NS NCPI_SECOND
/* How often a client whose producer is not live looks whether the name leads elsewhere. */
#define REOPEN_NS (250 * NCPI_MS)

static void fail_text(const struct ncp_options *o, const char *what, const char *why)
{
	if (o->error && o->error_cap)
		snprintf(o->error, o->error_cap, "%s%s%s", what, *why ? ": " : "", why);
}

/* A user by name or number into *uid. */
static bool user_parse(const char *text, uid_t *uid)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (isdigit((unsigned char)*text) && !*end && v < UINT32_MAX) {
		*uid = (uid_t)v;
		return true;
	}
	struct passwd pw, *found = NULL;
	char buf[4096];

	if (getpwnam_r(text, &pw, buf, sizeof(buf), &found) || !found)
		return false;
	*uid = found->pw_uid;
	return true;
}

/* The users whose busses are believed, beside root and the caller: ncp, and those named. */
static int trust(struct ncp_client *c, const char *list)
{
	if (user_parse("ncp", &c->trusted[0]))
		c->n_trusted = 1;
	if (!list)
		list = secure_getenv("NCP_TRUST");
	while (list && *list) {
		char name[64];
		size_t len = strcspn(list, ",");

		if (len >= sizeof(name) || c->n_trusted == NCPI_TRUSTED)
			return -EINVAL;
		memcpy(name, list, len);
		name[len] = '\0';
		if (len && !user_parse(name, &c->trusted[c->n_trusted++]))
			return -EINVAL;
		list += len + (list[len] == ',');
	}
	return 0;
}

static void life_begin(struct ncp_client *c)
{
	uint32_t state = ncpi_load_acquire(&c->seg.h->state);

	c->heartbeat = ncpi_load_acquire(&c->seg.h->heartbeat);
	c->heartbeat_seen_ns = ncpi_now_monotonic();
	/* What is to be expected is no news; anything else comes as an event after the frames. */
	c->told_state = state == NCP_STARTING ? NCP_STARTING : NCP_LIVE;
}

uint32_t ncpi_state(struct ncp_client *c)
{
	const struct ncpi_header *h = c->seg.h;
	/* Acquire: the head that is loaded after this is at least the one before that state. */
	uint32_t state = ncpi_load_acquire(&h->state);
	uint64_t beat = ncpi_load_acquire(&h->heartbeat);

	if (state == NCP_STOPPED || state == NCP_ENDED || state == NCP_CLOSED)
		return state;
	if (beat != c->heartbeat) {
		c->heartbeat = beat;
		c->heartbeat_seen_ns = ncpi_now_monotonic();
	} else if (ncpi_now_monotonic() - c->heartbeat_seen_ns > DEAD_NS) {
		/* Looked at again after the clock: this process may have been stopped between the
		 * two, and then it is we who gave no sign of life. */
		uint64_t now = ncpi_load_acquire(&h->heartbeat);

		if (now == beat)
			return NCP_DEAD;
		c->heartbeat = now;
		c->heartbeat_seen_ns = ncpi_now_monotonic();
	}
	return state;
}

int ncpi_interfaces(struct ncp_client *c)
{
	struct ncpi_prologue p;
	uint32_t len = ncpi_load_acquire(&c->seg.h->prologue_len);

	if (len == c->prologue.len)
		return 0;
	int r = ncpi_prologue_parse(&p, c->seg.prologue, len, c->seg.prologue_cap);
	if (r < 0)
		return r;
	if (p.n < c->prologue.n) {
		ncpi_prologue_free(&p);
		return NCP_ECORRUPT;
	}
	/* Names that were handed out stay where they are. */
	for (uint32_t i = 0; i < c->prologue.n; i++) {
		free(p.interface[i].name);
		free(p.interface[i].description);
		p.interface[i] = c->prologue.interface[i];
	}
	free(c->prologue.interface);
	c->prologue = p;
	return 0;
}

/* A cursor of another incarnation: what came after it is gone; how much is known when the bus was
 * replaced once. */
static int go_elsewhere(struct ncp_client *c, const struct ncp_where *where)
{
	const struct ncpi_header *h = c->seg.h;
	bool known = h->replaced == where->incarnation && h->replaced_next_seq >= where->value;

	ncpi_window_begin(c, false); /* a window that a seek leaves is over */
	c->at = (struct ncpi_place){ 0, 0 };
	if (!known || h->replaced_next_seq > where->value) {
		struct ncp_frame *e = ncpi_event(c, NCP_LOST);

		e->incarnation = where->incarnation;
		e->seq = where->value;
		e->next_seq = known ? h->replaced_next_seq : NCP_UNKNOWN;
	}
	/* That window is over: account for it before the new one begins. */
	c->now = (struct ncp_window){ .incarnation = where->incarnation,
				      .first_seq = where->value,
				      .next_seq = known ? h->replaced_next_seq : where->value,
				      .lost = known ? h->replaced_next_seq - where->value : 0 };
	c->window_open = true;
	ncpi_event(c, NCP_REATTACHED);
	c->reattached++;
	ncpi_window_begin(c, true);
	return ncpi_go(c, &(struct ncp_where){ .size = sizeof(*where), .whence = NCP_SEQ });
}

int ncpi_go(struct ncp_client *c, const struct ncp_where *where)
{
	struct ncpi_place p;
	int r;

	if (where->size < sizeof(*where))
		return -EINVAL;
	if (c->reorder)
		ncpi_reorder_clear(c);
	switch (where->whence) {
	case NCP_LATEST:
		r = ncpi_locate_newest(&c->seg, &p);
		break;
	case NCP_OLDEST:
		r = ncpi_locate_oldest(&c->seg, 0, &p);
		break;
	case NCP_TIME:
		r = ncpi_locate_time(&c->seg, where->value, &p);
		break;
	case NCP_SEQ:
		if (where->incarnation && where->incarnation != c->seg.incarnation)
			return go_elsewhere(c, where);
		r = ncpi_locate_seq(&c->seg, where->value, &p);
		break;
	default:
		return -EINVAL;
	}
	if (r < 0)
		return r;
	c->at = p;
	c->head = p.position;
	/* Oldest and a time are no numbers: what was overrun before the first frame is given is
	 * missing, not lost. */
	bool numbered = where->whence == NCP_LATEST || where->whence == NCP_SEQ;
	ncpi_window_begin(c, numbered);
	if (where->whence == NCP_SEQ && p.seq > where->value) {
		struct ncp_frame *e = ncpi_event(c, NCP_LOST);

		e->seq = c->now.first_seq = where->value;
		e->next_seq = p.seq;
		c->now.lost = p.seq - where->value;
	}
	return 0;
}

int ncp_seek(struct ncp_client *c, const struct ncp_where *where)
{
	int r = ncpi_usable(c);

	if (r < 0)
		return r;
	if (c->group)
		return -EINVAL;
	ncpi_run_stop(c);
	/* What was handed out and torn counts as lost, though nobody is told any more: losses belong
	 * to the place that is left.  What happened to the client itself is still told. */
	(void)ncpi_held_check(c);
	c->has_span = false;
	r = c->move ? ncpi_move(c) : 0;
	for (uint32_t i = c->n_events; i-- > 0;)
		if (c->event[i].kind != NCP_EVICTED && c->event[i].kind != NCP_UNLISTED)
			memmove(&c->event[i], &c->event[i + 1],
				(--c->n_events - i) * sizeof(c->event[0]));
	if (r == 0)
		r = ncpi_go(c, where);
	if (r == 0)
		c->released = c->at;
	return r;
}

/* A descriptor of what bears the bus's name now, looked at; or a negative code. */
static int bus_open(struct ncp_client *c)
{
	if (!c->open_bus)
		return ncpi_segment_open(c->dirfd, c->bus, false, c->trusted, c->n_trusted);
	int fd = c->open_bus(c->open_arg);
	if (fd < 0)
		return ncpi_segment_code(fd);
	int r = ncpi_segment_vet(fd, c->trusted, c->n_trusted);
	if (r == 0)
		return fd;
	close(fd);
	return r;
}

/* Does the name still lead to the bus that is attached, or nowhere? */
static bool same_bus(struct ncp_client *c)
{
	char name[NCPI_FILE_CAP];
	struct stat st;

	if (c->open_bus)
		return false; /* only who opens it can tell */
	ncpi_name_file(name, c->bus, "");
	return fstatat(c->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	       (st.st_ino == c->seg.ino && st.st_dev == c->seg.dev);
}

int ncpi_replacement(struct ncp_client *c)
{
	uint64_t now;

	if (c->next.h)
		return 1;
	if (c->flags & NCP_NO_REATTACH || c->told_state == NCP_LIVE ||
	    c->told_state == NCP_STARTING)
		return 0;
	now = ncpi_now_monotonic();
	if (now - c->reopened_ns < REOPEN_NS)
		return 0;
	c->reopened_ns = now;
	if (same_bus(c))
		return 0;
	int fd = bus_open(c);
	if (fd < 0)
		return 0;
	int r = ncpi_segment_map(fd, false, &c->next, NULL);
	close(fd);
	if (r == 0 && c->next.incarnation == c->seg.incarnation)
		ncpi_segment_unmap(&c->next);
	return c->next.h != NULL;
}

int ncpi_move(struct ncp_client *c)
{
	/* The poller's thread sleeps on the old mapping. */
	ncpi_poller_pause(c);
	ncpi_segment_unmap(&c->seg);
	c->seg = c->next;
	ncpi_poller_resume(c);
	memset(&c->next, 0, sizeof(c->next));
	c->move = false;
	c->reattached++;
	ncpi_prologue_free(&c->prologue);
	ncpi_filter_renew(c);
	life_begin(c);
	const struct ncp_where first = { .size = sizeof(first), .whence = NCP_SEQ };
	int r = c->group ? ncpi_group_rejoin(c) : ncpi_go(c, &first);
	if (r < 0)
		return r;
	c->released = c->at;
	c->line.incarnation = c->seg.incarnation;
	c->line_told_ns = 0;
	ncpi_enrol_tell(c, true);
	if (c->flags & NCP_RELIABLE && ncpi_enrol_reliable(c) < 0)
		ncpi_event(c, NCP_EVICTED);
	return 0;
}

/* The page that says whether this is still the process that attached. */
static struct ncpi_wiped *fork_page(void)
{
	struct ncpi_wiped *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (page == MAP_FAILED)
		return NULL;
	if (madvise(page, 4096, MADV_WIPEONFORK) < 0) {
		munmap(page, 4096);
		return NULL;
	}
	page->parent = 1;
	return page;
}

static int attach(struct ncp_client *c, const char *bus, const struct ncp_options *o)
{
	char why[128] = "";
	int r = ncpi_name_check(bus);

	if (r < 0)
		goto fail;
	snprintf(c->bus, sizeof(c->bus), "%s", bus);
	c->flags = o->flags;
	c->shard_idx = o->shard_idx;
	c->shard_n = o->shard_n;
	if (o->shard_n ? o->shard_idx >= o->shard_n : o->shard_idx) {
		r = -EINVAL;
		snprintf(why, sizeof(why), "a shard's index is below their number");
		goto fail;
	}
	if (o->group && (o->shard_n > 1 || o->flags & NCP_ORDERED)) {
		r = -EINVAL;
		snprintf(why, sizeof(why), "a group has no shards and no order of times");
		goto fail;
	}
	r = trust(c, o->trust_owner);
	if (r < 0) {
		snprintf(why, sizeof(why), "unknown user in the list of trusted owners");
		goto fail;
	}
	c->open_bus = o->open_bus;
	c->open_arg = o->open_arg;
	r = ncpi_dir_open(o->dir);
	if (r >= 0)
		c->dirfd = r;
	else if (!c->open_bus)
		goto fail;
	int fd = r = bus_open(c);
	if (r < 0)
		goto fail;
	r = ncpi_segment_map(fd, false, &c->seg, why);
	close(fd);
	if (r < 0)
		goto fail;
	r = -ENOMEM;
	c->run.wiped = fork_page();
	c->held = calloc(1, sizeof(*c->held));
	if (!c->run.wiped || !c->held)
		goto fail;
	c->cap_held = 1;
	r = ncpi_interfaces(c);
	if (r < 0)
		goto fail;
	if (o->flags & NCP_ORDERED) {
		r = ncpi_reorder_make(c, o);
		if (r < 0)
			goto fail;
	}
	life_begin(c);
	r = o->group ? ncpi_group_join(c, o->group, &o->from, why) : ncpi_go(c, &o->from);
	if (r < 0) {
		if (r == -ERANGE)
			snprintf(why, sizeof(why), "that number is yet to come");
		goto fail;
	}
	c->released = c->at;
	if (!(o->flags & NCP_NO_REGISTRY))
		ncpi_enrol(c, o->name);
	if (o->flags & NCP_RELIABLE) {
		r = ncpi_enrol_reliable(c);
		/* Overrun while it waited for the grant, from where no number was asked for. */
		if (r == 0 && !c->group && ncpi_load(&c->grant->granted) > c->at.position &&
		    (o->from.whence == NCP_LATEST || o->from.whence == NCP_OLDEST)) {
			r = ncpi_go(c, &o->from);
			c->released = c->at;
		}
		if (r == NCP_ENOTRELIABLE)
			snprintf(why, sizeof(why), "%s",
				 !(c->seg.h->flags & NCPI_FLAG_RELIABLE) ?
					 "its producer runs without --reliable" :
				 c->line_fd < 0 ? "no line can be made in its client registry" :
						  "its producer did not grant it");
	}
	if (r >= 0)
		return 0;
fail:
	fail_text(o, ncp_strerror(r), why);
	return r;
}

int ncp_attach(struct ncp_client **out, const char *bus, const struct ncp_options *options)
{
	static const struct ncp_options defaults = NCP_OPTIONS_INIT;
	const struct ncp_options *o = options ? options : &defaults;

	*out = NULL;
	if (o->size < sizeof(*o))
		return -EINVAL;
	struct ncp_client *c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->dirfd = c->registry_fd = c->line_fd = -1;
	int r = attach(c, bus, o);
	if (r < 0) {
		ncp_detach(c);
		return r;
	}
	*out = c;
	return 0;
}

void ncp_detach(struct ncp_client *c)
{
	if (!c)
		return;
	bool child = c->run.wiped && !c->run.wiped->parent;

	ncpi_poller_stop(c, child);
	ncpi_group_leave(c, child);
	ncpi_unenrol(c, child);
	ncpi_segment_unmap(&c->seg);
	ncpi_segment_unmap(&c->next);
	ncpi_prologue_free(&c->prologue);
	ncpi_filter_free(c->filter);
	ncpi_reorder_free(c);
	free(c->held);
	if (c->run.wiped)
		munmap(c->run.wiped, 4096);
	if (c->dirfd >= 0)
		close(c->dirfd);
	free(c);
}
