/* SPDX-License-Identifier: BSD-2-Clause */
/* info.c - libpcap's calls about a handle, and those that it does itself with the inner one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "handle.h"
#include "real.h"

/* --- link types ------------------------------------------------------------------------------- */

int pcap_datalink(pcap_t *p)
{
	struct handle *h = handle_of(p);

	if (!h)
		return real()->datalink(p);
	return handle_ready(h) < 0 ? PCAP_ERROR_NOT_ACTIVATED : real()->datalink(h->inner);
}

int pcap_datalink_ext(pcap_t *p)
{
	struct handle *h = handle_of(p);

	if (!h)
		return real()->datalink_ext(p);
	return handle_ready(h) < 0 ? PCAP_ERROR_NOT_ACTIVATED : real()->datalink_ext(h->inner);
}

/* The link types of the bus, each once, that of the handle first. */
static int linktypes_list(struct handle *h, uint32_t **list)
{
	/* Learns of the interfaces there are. */
	(void)feed_linktype_has(h, h->linktype);
	*list = malloc((h->n_interfaces + 1) * sizeof(**list));
	if (!*list)
		return handle_fail(h, PCAP_ERROR, "out of memory");
	int n = 0;
	(*list)[n++] = h->linktype;
	for (uint32_t i = 0; i < h->n_interfaces; i++) {
		int k = 0;

		while (k < n && (*list)[k] != h->linktypes[i])
			k++;
		if (k == n)
			(*list)[n++] = h->linktypes[i];
	}
	return n;
}

int pcap_list_datalinks(pcap_t *p, int **dlts)
{
	struct handle *h = handle_of(p);
	uint32_t *list;

	if (!h)
		return real()->list_datalinks(p, dlts);
	if (handle_ready(h) < 0)
		return PCAP_ERROR_NOT_ACTIVATED;
	int n = linktypes_list(h, &list);
	if (n < 0)
		return n;
	*dlts = malloc((size_t)n * sizeof(**dlts));
	for (int i = 0; *dlts && i < n; i++)
		(*dlts)[i] = feed_dlt(list[i]);
	free(list);
	return *dlts ? n : handle_fail(h, PCAP_ERROR, "out of memory");
}

int pcap_set_datalink(pcap_t *p, int dlt)
{
	struct handle *h = handle_of(p);
	uint32_t *list;
	int i = 0;

	if (!h)
		return real()->set_datalink(p, dlt);
	if (handle_ready(h) < 0)
		return PCAP_ERROR_NOT_ACTIVATED;
	int n = linktypes_list(h, &list);
	while (i < n && feed_dlt(list[i]) != dlt)
		i++;
	if (n < 0 || i == n) {
		if (n >= 0)
			free(list);
		return handle_fail(h, PCAP_ERROR, "no interface of bus %s has DLT %d", h->device.bus,
				   dlt);
	}
	uint32_t linktype = list[i];
	free(list);
	pcap_t *inner = real()->open_dead_with_tstamp_precision(dlt, h->snaplen,
								 (u_int)h->precision);
	if (!inner)
		return handle_fail(h, PCAP_ERROR, "out of memory");
	real()->close(h->inner);
	h->inner = inner;
	h->linktype = linktype;
	return 0;
}

/* --- filters and files ------------------------------------------------------------------------ */

int pcap_compile(pcap_t *p, struct bpf_program *program, const char *text, int optimize,
		 bpf_u_int32 mask)
{
	struct handle *h = handle_of(p);

	if (!h)
		return real()->compile(p, program, text, optimize, mask);
	if (handle_ready(h) < 0)
		return PCAP_ERROR;
	int r = real()->compile(h->inner, program, text, optimize, mask);
	return r < 0 ? handle_fail(h, r, "%s", real()->geterr(h->inner)) : r;
}

int pcap_setfilter(pcap_t *p, struct bpf_program *program)
{
	struct handle *h = handle_of(p);

	if (!h)
		return real()->setfilter(p, program);
	if (handle_ready(h) < 0)
		return PCAP_ERROR_NOT_ACTIVATED;
	if (!program || !program->bf_insns || !program->bf_len)
		return handle_fail(h, PCAP_ERROR, "no filter specified");
	/* The program may free its own at once, and we may need it again: see come_back() in feed.c. */
	struct filter f;
	if (filter_make(&f, program) < 0)
		return handle_fail(h, PCAP_ERROR, "out of memory");
	if (feed_filter(h, &f) == 0)
		return 0;
	filter_free(&f);
	return PCAP_ERROR;
}

/* The dumpers: what they write depends on the handle's link type, length and precision alone. */
static pcap_dumper_t *dumper_of(struct handle *h, pcap_dumper_t *d)
{
	if (!d)
		handle_fail(h, 0, "%s", real()->geterr(h->inner));
	return d;
}

pcap_dumper_t *pcap_dump_open(pcap_t *p, const char *path)
{
	struct handle *h = handle_of(p);

	if (!h)
		return real()->dump_open(p, path);
	return handle_ready(h) < 0 ? NULL : dumper_of(h, real()->dump_open(h->inner, path));
}

pcap_dumper_t *pcap_dump_open_append(pcap_t *p, const char *path)
{
	struct handle *h = handle_of(p);

	if (!h)
		return real()->dump_open_append(p, path);
	return handle_ready(h) < 0 ? NULL : dumper_of(h, real()->dump_open_append(h->inner, path));
}

pcap_dumper_t *pcap_dump_fopen(pcap_t *p, FILE *f)
{
	struct handle *h = handle_of(p);

	if (!h)
		return real()->dump_fopen(p, f);
	return handle_ready(h) < 0 ? NULL : dumper_of(h, real()->dump_fopen(h->inner, f));
}

/* --- the handle ------------------------------------------------------------------------------- */

int pcap_stats(pcap_t *p, struct pcap_stat *s)
{
	struct handle *h = handle_of(p);

	if (!h)
		return real()->stats(p, s);
	return handle_ready(h) < 0 ? PCAP_ERROR_NOT_ACTIVATED : feed_stats(h, s);
}

int pcap_inject(pcap_t *p, const void *data, size_t len)
{
	struct handle *h = handle_of(p);

	return h ? handle_fail(h, PCAP_ERROR, "%s: a capture bus is one-way, nothing can be sent: open "
			       "the interface itself", h->name) :
		   real()->inject(p, data, len);
}

int pcap_sendpacket(pcap_t *p, const u_char *data, int len)
{
	struct handle *h = handle_of(p);

	if (!h)
		return real()->sendpacket(p, data, len);
	return pcap_inject(p, data, (size_t)len);
}

int pcap_snapshot(pcap_t *p)
{
	struct handle *h = handle_of(p);

	if (!h)
		return real()->snapshot(p);
	return handle_ready(h) < 0 ? PCAP_ERROR_NOT_ACTIVATED : h->snaplen;
}

int pcap_bufsize(pcap_t *p)
{
	struct handle *h = handle_of(p);

	if (!h)
		return real()->bufsize(p);
	return handle_ready(h) < 0 ? PCAP_ERROR_NOT_ACTIVATED : h->snaplen;
}

int pcap_is_swapped(pcap_t *p)
{
	struct handle *h = handle_of(p);

	if (!h)
		return real()->is_swapped(p);
	return handle_ready(h) < 0 ? PCAP_ERROR_NOT_ACTIVATED : 0;
}

int pcap_major_version(pcap_t *p)
{
	struct handle *h = handle_of(p);

	if (!h)
		return real()->major_version(p);
	return handle_ready(h) < 0 ? PCAP_ERROR_NOT_ACTIVATED : PCAP_VERSION_MAJOR;
}

int pcap_minor_version(pcap_t *p)
{
	struct handle *h = handle_of(p);

	if (!h)
		return real()->minor_version(p);
	return handle_ready(h) < 0 ? PCAP_ERROR_NOT_ACTIVATED : PCAP_VERSION_MINOR;
}

FILE *pcap_file(pcap_t *p)
{
	return handle_of(p) ? NULL : real()->file(p);
}

char *pcap_geterr(pcap_t *p)
{
	struct handle *h = handle_of(p);

	return h ? h->error : real()->geterr(p);
}

void pcap_perror(pcap_t *p, const char *prefix)
{
	struct handle *h = handle_of(p);

	if (h)
		fprintf(stderr, "%s: %s\n", prefix, h->error);
	else
		real()->perror(p, prefix);
}
