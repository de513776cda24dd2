/* SPDX-License-Identifier: BSD-2-Clause */
/* open.c - libpcap's calls that list devices, open and close them, and set how. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "handle.h"
#include "real.h"

pcap_t *pcap_create(const char *device, char *error)
{
	if (!device_is(device))
		return real()->create(device, error);
	struct handle *h = handle_make(device, error);
	return h ? h->outer : NULL;
}

void pcap_close(pcap_t *p)
{
	struct handle *h = handle_of(p);

	if (h)
		handle_free(h);
	else
		real()->close(p);
}

/* --- settings before activation --------------------------------------------------------------- */

/* For each: into a field of the handle, or nothing where it has no meaning for a bus. */

int pcap_set_snaplen(pcap_t *p, int snaplen)
{
	struct handle *h = handle_of(p);

	if (!h)
		return real()->set_snaplen(p, snaplen);
	if (handle_fresh(h) < 0)
		return PCAP_ERROR_ACTIVATED;
	h->snaplen = snaplen <= 0 || snaplen > SNAPLEN_MAX ? SNAPLEN_MAX : snaplen;
	return 0;
}

int pcap_set_timeout(pcap_t *p, int ms)
{
	struct handle *h = handle_of(p);

	if (!h)
		return real()->set_timeout(p, ms);
	if (handle_fresh(h) < 0)
		return PCAP_ERROR_ACTIVATED;
	h->timeout_ms = ms;
	return 0;
}

int pcap_set_tstamp_precision(pcap_t *p, int precision)
{
	struct handle *h = handle_of(p);

	if (!h)
		return real()->set_tstamp_precision(p, precision);
	if (handle_fresh(h) < 0)
		return PCAP_ERROR_ACTIVATED;
	if (precision != PCAP_TSTAMP_PRECISION_MICRO && precision != PCAP_TSTAMP_PRECISION_NANO)
		return handle_fail(h, PCAP_ERROR_TSTAMP_PRECISION_NOTSUP, "micro- or nanoseconds");
	h->precision = precision;
	return 0;
}

int pcap_get_tstamp_precision(pcap_t *p)
{
	struct handle *h = handle_of(p);

	return h ? h->precision : real()->get_tstamp_precision(p);
}

int pcap_set_tstamp_type(pcap_t *p, int type)
{
	struct handle *h = handle_of(p);

	if (!h)
		return real()->set_tstamp_type(p, type);
	if (handle_fresh(h) < 0)
		return PCAP_ERROR_ACTIVATED;
	return type == PCAP_TSTAMP_HOST ?
		       0 :
		       handle_fail(h, PCAP_WARNING_TSTAMP_TYPE_NOTSUP,
				   "a bus has the times that its producer took");
}

int pcap_list_tstamp_types(pcap_t *p, int **types)
{
	struct handle *h = handle_of(p);

	if (!h)
		return real()->list_tstamp_types(p, types);
	*types = malloc(sizeof(**types));
	if (!*types)
		return handle_fail(h, PCAP_ERROR, "out of memory");
	**types = PCAP_TSTAMP_HOST;
	return 1;
}

/* The interface was opened by the producer: these are its business. */

static int set_nothing(struct handle *h)
{
	return handle_fresh(h);
}

int pcap_set_promisc(pcap_t *p, int promisc)
{
	struct handle *h = handle_of(p);

	return h ? set_nothing(h) : real()->set_promisc(p, promisc);
}

int pcap_set_immediate_mode(pcap_t *p, int immediate)
{
	struct handle *h = handle_of(p);

	return h ? set_nothing(h) : real()->set_immediate_mode(p, immediate);
}

int pcap_set_buffer_size(pcap_t *p, int bytes)
{
	struct handle *h = handle_of(p);

	return h ? set_nothing(h) : real()->set_buffer_size(p, bytes);
}

int pcap_set_protocol_linux(pcap_t *p, int protocol)
{
	struct handle *h = handle_of(p);

	return h ? set_nothing(h) : real()->set_protocol_linux(p, protocol);
}

int pcap_can_set_rfmon(pcap_t *p)
{
	struct handle *h = handle_of(p);

	return h ? set_nothing(h) : real()->can_set_rfmon(p);
}

int pcap_set_rfmon(pcap_t *p, int rfmon)
{
	struct handle *h = handle_of(p);

	if (!h)
		return real()->set_rfmon(p, rfmon);
	if (handle_fresh(h) < 0)
		return PCAP_ERROR_ACTIVATED;
	return rfmon ? handle_fail(h, PCAP_ERROR_RFMON_NOTSUP,
				   "the producer opened the interface, not this program") :
		       0;
}

/* --- activation ------------------------------------------------------------------------------- */

int pcap_activate(pcap_t *p)
{
	struct handle *h = handle_of(p);

	if (!h)
		return real()->activate(p);
	if (handle_fresh(h) < 0)
		return PCAP_ERROR_ACTIVATED;
	free(h->data);
	h->data_cap = (size_t)h->snaplen;
	h->data = malloc(h->data_cap);
	if (!h->data)
		return handle_fail(h, PCAP_ERROR, "out of memory");
	int r = feed_attach(h);
	if (r < 0)
		return r;
	h->inner = real()->open_dead_with_tstamp_precision(feed_dlt(h->linktype), h->snaplen,
							    (u_int)h->precision);
	if (h->inner)
		return r;
	ncp_detach(h->client);
	h->client = NULL;
	return handle_fail(h, PCAP_ERROR, "out of memory");
}

pcap_t *pcap_open_live(const char *device, int snaplen, int promisc, int ms, char *error)
{
	if (!device_is(device))
		return real()->open_live(device, snaplen, promisc, ms, error);
	pcap_t *p = pcap_create(device, error);
	if (!p)
		return NULL;
	int r = pcap_set_snaplen(p, snaplen);
	if (r == 0)
		r = pcap_set_timeout(p, ms);
	if (r == 0)
		r = pcap_activate(p);
	const struct handle *h = handle_of(p);
	*error = '\0';
	if (r != 0)
		snprintf(error, PCAP_ERRBUF_SIZE, "%.60s: %.190s", device, h->error);
	if (r >= 0)
		return p;
	pcap_close(p);
	return NULL;
}

int pcap_setnonblock(pcap_t *p, int on, char *error)
{
	struct handle *h = handle_of(p);

	if (!h)
		return real()->setnonblock(p, on, error);
	h->nonblock = on != 0;
	return 0;
}

int pcap_getnonblock(pcap_t *p, char *error)
{
	struct handle *h = handle_of(p);

	return h ? h->nonblock : real()->getnonblock(p, error);
}

/* --- devices ---------------------------------------------------------------------------------- */

/* A bus as an interface of the list; freed by pcap_freealldevs(), so by malloc. */
static pcap_if_t *device_make(const char *bus)
{
	pcap_if_t *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	if (asprintf(&d->name, "ncp:%s", bus) < 0)
		d->name = NULL;
	d->description = strdup("capture bus");
	d->flags = PCAP_IF_UP | PCAP_IF_RUNNING;
	if (d->name && d->description)
		return d;
	free(d->name);
	free(d->description);
	free(d);
	return NULL;
}

/* May this process read it? */
static bool bus_readable(const char *bus)
{
	const char *dir = secure_getenv("NCP_DIR");
	char *path;

	if (asprintf(&path, "%s/ncp.%s", dir && *dir ? dir : "/dev/shm", bus) < 0)
		return false;
	bool readable = eaccess(path, R_OK) == 0;
	free(path);
	return readable;
}

/* Append the busses that can be read to a list.  Whatever fails, the interfaces are there. */
static void busses_append(pcap_if_t **list)
{
	int n = ncp_list(NULL, NULL, 0);
	struct ncp_bus_name *names = n > 0 ? calloc((size_t)n, sizeof(*names)) : NULL;

	if (!names)
		return;
	int got = ncp_list(NULL, names, n);
	while (*list)
		list = &(*list)->next;
	for (int i = 0; i < got && i < n; i++) {
		if (!bus_readable(names[i].name))
			continue;
		*list = device_make(names[i].name);
		if (!*list)
			break;
		list = &(*list)->next;
	}
	free(names);
}

int pcap_findalldevs(pcap_if_t **list, char *error)
{
	int r = real()->findalldevs(list, error);

	if (r == 0)
		busses_append(list);
	return r;
}

int pcap_lookupnet(const char *device, bpf_u_int32 *net, bpf_u_int32 *mask, char *error)
{
	if (!device_is(device))
		return real()->lookupnet(device, net, mask, error);
	/* As for the device "any". */
	*net = *mask = 0;
	return 0;
}
