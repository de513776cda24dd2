/* SPDX-License-Identifier: BSD-2-Clause */
/* split.c - --split-interfaces: a store, and so a series of files, for each interface of the bus. */
#include "split.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "space.h"

struct part {
	struct dump_options o; /* with a name of its own to write to */
	char path[PATH_MAX];
	char name[64];
	uint32_t linktype;
	bool here; /* the present bus has it */
	struct store store;
};

struct split {
	const struct dump_options *o;
	struct ncp_client *c;
	struct ledger *ledger;
	struct part **part;
	uint32_t n, cap;
	struct part *of[STORE_INTERFACES]; /* by the present bus's interface */
	const struct part *failed;
	struct space *space;
};

int split_name(char *out, size_t cap, const char *path, const char *interface, uint32_t index,
	       uint32_t again)
{
	const char *base = strrchr(path, '/');
	const char *ext = strrchr(base ? base : path, '.');
	char name[64];
	int len;

	ext = ext ? ext : path + strlen(path);
	snprintf(name, sizeof(name), "%s", interface);
	if (!*name)
		snprintf(name, sizeof(name), "%u", index);
	for (char *p = name; *p; p++)
		if (!isalnum((unsigned char)*p) && !strchr("._:@+-", *p))
			*p = '_';
	len = again ? snprintf(out, cap, "%.*s_%s-%u%s", (int)(ext - path), path, name, again, ext) :
		      snprintf(out, cap, "%.*s_%s%s", (int)(ext - path), path, name, ext);
	return len < 0 || (size_t)len >= cap ? -ENAMETOOLONG : 0;
}

int split_open(struct split **out, const struct dump_options *o, struct ncp_client *c,
	       struct ledger *ledger)
{
	struct split *sp = calloc(1, sizeof(*sp));

	*out = sp;
	if (!sp)
		return -ENOMEM;
	sp->o = o;
	sp->c = c;
	sp->ledger = ledger;
	sp->space = space_make();
	return sp->space ? 0 : -ENOMEM;
}

static int name_part(struct split *sp, struct part *p, uint32_t index)
{
	char path[PATH_MAX];
	uint32_t again = 0;
	int r;

	/* Names that differ as the bus has them can be the same as files, and one name can stand for
	 * two link types. */
	for (;; again++) {
		uint32_t i = 0;

		r = split_name(path, sizeof(path), sp->o->write, p->name, index, again);
		if (r < 0)
			return r;
		while (i < sp->n && strcmp(sp->part[i]->path, path))
			i++;
		if (i == sp->n)
			break;
	}
	strcpy(p->path, path);
	p->o = *sp->o;
	p->o.write = p->path;
	p->o.space = sp->space;
	/* So many interfaces have no bus; over several that followed each other the last share a place. */
	p->o.writer_idx = sp->n < SPACE_WRITERS ? sp->n : SPACE_WRITERS - 1;
	return 0;
}

/* The part of an interface; its file begins with this frame if it has none yet. */
static int part_of(struct split *sp, const struct ncp_frame *f, struct part **part)
{
	struct ncp_interface it = NCP_INTERFACE_INIT;
	struct ncp_cursor at = { .size = sizeof(at), .position = f->position, .seq = f->seq };
	struct part *p;
	int r;

	if (f->interface >= STORE_INTERFACES)
		return NCP_ECORRUPT;
	*part = sp->of[f->interface];
	if (*part)
		return 0;
	r = ncp_interface(sp->c, f->interface, &it);
	if (r < 0)
		return r;
	if (sp->n == sp->cap) {
		uint32_t cap = sp->cap ? 2 * sp->cap : 8;
		void *more = realloc(sp->part, cap * sizeof(struct part *));

		if (!more)
			return -ENOMEM;
		sp->part = more;
		sp->cap = cap;
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	snprintf(p->name, sizeof(p->name), "%s", it.name);
	p->linktype = it.linktype;
	p->here = true;
	r = name_part(sp, p, f->interface);
	if (r < 0) {
		free(p);
		return r;
	}
	sp->part[sp->n++] = *part = sp->of[f->interface] = p;
	sp->failed = p;
	r = store_open_interface(&p->store, &p->o, sp->c, sp->ledger, f->interface, &at);
	if (r == 0)
		sp->failed = NULL;
	return r;
}

int split_frames(struct split *sp, struct store *s, struct ncp_frame *f, int n)
{
	int r = 0;

	/* Interface by interface, in the order in which they come. */
	while (n && r == 0 && !s->ended) {
		uint32_t interface = f->interface;
		struct ncp_frame *others = f;
		struct ncp_frame own[STORE_BATCH];
		struct part *p = NULL;
		int k = 0, rest = 0;

		r = part_of(sp, f, &p);
		for (int i = 0; i < n; i++) {
			if (f[i].interface == interface && k < STORE_BATCH)
				own[k++] = f[i];
			else
				others[rest++] = f[i];
		}
		n = rest;
		if (r == 0) {
			sp->failed = p;
			r = store_frames(&p->store, own, k);
		}
		if (r == 0)
			sp->failed = NULL;
		s->ended = p && p->store.ended;
		if (s->ended)
			s->left_out = p->store.left_out + (uint64_t)n;
	}
	return r;
}

int split_all(struct split *sp, int (*call)(struct store *s))
{
	for (uint32_t i = 0; i < sp->n; i++) {
		int r = call(&sp->part[i]->store);

		if (r < 0) {
			sp->failed = sp->part[i];
			return r;
		}
	}
	return 0;
}

int split_gap(struct split *sp, uint64_t incarnation, uint64_t first, uint64_t next)
{
	for (uint32_t i = 0; i < sp->n; i++) {
		if (!sp->part[i]->here)
			continue;
		int r = store_gap(&sp->part[i]->store, incarnation, first, next);

		if (r < 0) {
			sp->failed = sp->part[i];
			return r;
		}
	}
	return 0;
}

int split_reattached(struct split *sp)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	int r = ncp_bus_info(sp->c, &info);

	memset(sp->of, 0, sizeof(sp->of));
	for (uint32_t i = 0; i < sp->n; i++)
		sp->part[i]->here = false;
	for (uint32_t k = 0; r == 0 && k < info.n_interfaces && k < STORE_INTERFACES; k++) {
		struct ncp_interface it = NCP_INTERFACE_INIT;

		r = ncp_interface(sp->c, k, &it);
		for (uint32_t i = 0; i < sp->n && r == 0; i++) {
			struct part *p = sp->part[i];

			if (p->here || p->linktype != it.linktype ||
			    strncmp(p->name, it.name, sizeof(p->name) - 1))
				continue;
			p->here = true;
			sp->of[k] = p;
			p->store.only = k;
			r = store_reattached(&p->store);
			break;
		}
	}
	return r;
}

int split_tick(struct split *sp, uint64_t now_ns, bool idle)
{
	for (uint32_t i = 0; i < sp->n; i++) {
		/* What the bus has no longer rests, until the end. */
		if (!sp->part[i]->here)
			continue;
		int r = store_tick(&sp->part[i]->store, now_ns, idle);

		if (r < 0) {
			sp->failed = sp->part[i];
			return r;
		}
	}
	return 0;
}

int split_nap_ms(struct split *sp, uint64_t now_ns)
{
	int least = -1;

	for (uint32_t i = 0; i < sp->n; i++) {
		if (!sp->part[i]->here)
			continue;
		int nap = store_nap_ms(&sp->part[i]->store, now_ns);

		least = nap >= 0 && (least < 0 || nap < least) ? nap : least;
	}
	return least;
}

uint64_t split_size(const struct split *sp)
{
	uint64_t size = 0;

	for (uint32_t i = 0; i < sp->n; i++)
		size += store_size(&sp->part[i]->store);
	return size;
}

void split_sum(const struct split *sp, struct store *s)
{
	s->series.files = s->series.bytes = s->series.frames = 0;
	for (uint32_t i = 0; i < sp->n; i++) {
		const struct store *p = &sp->part[i]->store;

		s->series.files += p->series.files;
		s->series.bytes += p->series.bytes;
		s->series.frames += p->series.frames;
		s->ended |= p->ended;
		s->uncut |= p->uncut;
		s->writer = p->writer;
		s->direct = p->direct;
	}
	if (sp->failed)
		snprintf(s->series.path, sizeof(s->series.path), "%s",
			 series_failed(&sp->failed->store.series));
}

void split_abandon(struct split *sp, struct ledger *ledger)
{
	struct ledger_window *w = ledger_now(ledger);
	struct ledger_sum sum;
	uint64_t frames = 0, here;

	for (uint32_t i = 0; i < sp->n; i++) {
		store_abandon(&sp->part[i]->store);
		frames += sp->part[i]->store.series.frames;
	}
	ledger_sum(ledger, &sum);
	if (!w || frames < sum.frames - w->frames)
		return;
	here = frames - (sum.frames - w->frames);
	if (here < w->frames && w->next_seq != NCP_UNKNOWN)
		ledger_cut(ledger, w->next_seq - (w->frames - here), here);
}

void split_close(struct split *sp)
{
	if (!sp)
		return;
	for (uint32_t i = 0; i < sp->n; i++) {
		store_close(&sp->part[i]->store);
		free(sp->part[i]);
	}
	free(sp->part);
	space_free(sp->space);
	free(sp);
}
