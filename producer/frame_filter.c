/* SPDX-License-Identifier: BSD-2-Clause */
/* frame_filter.c - the filter of frames that no kernel filters, by link type; replaced while it judges. */
#include "producer/frame_filter.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "libncpbus/order.h"
#include "producer/linktype.h"
#include "producer/source.h"

/* What one text was compiled to, in the order of the types. */
struct frame_programs {
	bool filters; /* false: every frame matches, of whatever type */
	struct {
		bool fits; /* false: the text means nothing for such frames */
		struct compile_program program;
	} of[FRAME_FILTER_TYPES];
};

static void programs_free(const struct frame_filter *f, struct frame_programs *p)
{
	for (uint32_t i = 0; p && i < f->n_types; i++)
		compile_free(&p->of[i].program);
	free(p);
}

/* Compile for each type; *to is the caller's on 0. */
static int programs_make(const struct frame_filter *f, frame_filter_compile *compile, void *arg,
			 struct frame_programs **to, char *why)
{
	struct frame_programs *p = calloc(1, sizeof(*p));
	bool any_there = false, fits_there = false, fits = false;
	char unfit[SOURCE_WHY_CAP];
	int r = 0;

	if (!p) {
		snprintf(why, SOURCE_WHY_CAP, "filter: out of memory");
		return -ENOMEM;
	}
	for (uint32_t i = 0; r == 0 && i < f->n_types; i++) {
		const bool there = ncpi_load(&f->type[i].there);

		r = compile(arg, f->type[i].dlt, &p->of[i].program, unfit);
		p->of[i].fits = r == 0;
		p->filters |= r < 0 || p->of[i].program.n;
		any_there |= there;
		fits_there |= there && r == 0;
		fits |= r == 0;
		/* What is said is what those that are there lack. */
		if (r < 0 && (r != -EINVAL || there || !any_there))
			snprintf(why, SOURCE_WHY_CAP, "%s", unfit);
		r = r == -EINVAL ? 0 : r;
	}
	if (r == 0 && f->n_types && !(any_there ? fits_there : fits))
		r = -EINVAL;
	if (r < 0)
		programs_free(f, p);
	else
		*to = p;
	return r;
}

/* Which of the types it is; n_types: none of them. */
static uint32_t type_of(const struct frame_filter *f, uint32_t linktype)
{
	uint32_t i = 0;

	while (i < f->n_types && f->type[i].linktype != linktype)
		i++;
	return i;
}

static int type_add(struct frame_filter *f, uint32_t linktype, bool there)
{
	const uint32_t i = type_of(f, linktype);

	if (i < f->n_types)
		return 0;
	assert(i < FRAME_FILTER_TYPES);
	f->type[i] = (struct frame_filter_type){ .linktype = linktype, .there = there };
	int r = linktype_to_dlt(linktype, &f->type[i].dlt);
	f->n_types += r == 0;
	return r;
}

/* At the start: by ourselves. */
static int compile_here(void *arg, int dlt, struct compile_program *p, char *why)
{
	return compile_offline(dlt, NCPI_SNAPLEN, arg, p, why);
}

int frame_filter_open(struct frame_filter *f, const char *text, const uint32_t *there,
		      uint32_t n_there, const uint32_t *likely, uint32_t n_likely, char *why)
{
	int r = 0;

	*f = (struct frame_filter){ .n_types = 0 };
	for (uint32_t i = 0; r == 0 && i < n_there; i++)
		r = type_add(f, there[i], true);
	for (uint32_t i = 0; r == 0 && i < n_likely; i++)
		r = type_add(f, likely[i], false);
	if (r == 0)
		return programs_make(f, compile_here, (void *)(uintptr_t)text, &f->now, why);
	snprintf(why, SOURCE_WHY_CAP, "filter: out of memory");
	return r;
}

int frame_filter_renew(struct frame_filter *f, frame_filter_compile *compile, void *arg, char *why)
{
	struct frame_programs *p;
	int r = programs_make(f, compile, arg, &p, why);

	if (r < 0)
		return r;
	/* Release: whoever takes it up sees what was compiled.  Acquire: one that comes back was not
	 * taken up, and is ours to free. */
	programs_free(f, ncpi_exchange_acq_rel(&f->next, p));
	return 0;
}

void frame_filter_there(struct frame_filter *f, uint32_t linktype)
{
	const uint32_t i = type_of(f, linktype);

	if (i < f->n_types)
		ncpi_store(&f->type[i].there, 1u);
}

int frame_filter_match(struct frame_filter *f, uint32_t linktype, const uint8_t *data,
		       uint32_t caplen, uint32_t len)
{
	/* Relaxed: it only tells whether to look closer.  A frame that was sent because the new programs
	 * were said to be in force comes through the kernel, and so after the store that is read here. */
	if (ncpi_load(&f->next)) {
		struct frame_programs *p = ncpi_exchange_acq_rel(&f->next, NULL);

		if (p) {
			programs_free(f, f->now);
			f->now = p;
		}
	}
	if (!f->now->filters)
		return 1;
	const uint32_t i = type_of(f, linktype);

	if (i == f->n_types)
		return -ENOTSUP;
	return f->now->of[i].fits && compile_match(&f->now->of[i].program, data, caplen, len);
}

void frame_filter_close(struct frame_filter *f)
{
	programs_free(f, f->now);
	programs_free(f, f->next);
	f->now = f->next = NULL;
}
