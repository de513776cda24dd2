/* SPDX-License-Identifier: BSD-2-Clause */
/* metrics.c - a family of samples for each thing that is counted. */
#include "metrics.h"

#include <inttypes.h>
#include <string.h>

enum type {
	COUNTER,
	GAUGE,
	INFO
};

/* What is being printed. */
struct out {
	FILE *f;
	bool open;
};

/* The head of a family.  name without _total or _info, which a sample's has. */
static void family(const struct out *o, const char *name, enum type type, const char *unit,
		   const char *help)
{
	static const char *const types[] = { "counter", "gauge", "info" };
	/* OpenMetrics names the family, the older format the sample; that knows no info either. */
	const char *suffix = o->open	       ? ""
			     : type == COUNTER ? "_total"
			     : type == INFO    ? "_info"
					       : "";
	const char *kind = type == INFO && !o->open ? "gauge" : types[type];

	fprintf(o->f, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, suffix, help, name, suffix, kind);
	if (o->open && unit)
		fprintf(o->f, "# UNIT %s %s\n", name, unit);
}

/* A label's value: the three characters that both formats escape. */
static void label(const struct out *o, const char *key, const char *value, char before)
{
	fprintf(o->f, "%c%s=\"", before, key);
	for (; *value; value++) {
		if (*value == '\n')
			fputs("\\n", o->f);
		else if (*value == '"' || *value == '\\')
			fprintf(o->f, "\\%c", *value);
		else
			putc(*value, o->f);
	}
	putc('"', o->f);
}

/* The beginning of a sample, up to its value; with a second label if key is not NULL. */
static void sample(const struct out *o, const char *name, const struct fleet_bus *b,
		   const char *key, const char *value)
{
	fputs(name, o->f);
	label(o, "bus", b->name.name, '{');
	if (key)
		label(o, key, value, ',');
	fputs("} ", o->f);
}

static void put_u64(const struct out *o, uint64_t n)
{
	fprintf(o->f, "%" PRIu64 "\n", n);
}

static void put_seconds(const struct out *o, uint64_t ns)
{
	fprintf(o->f, "%" PRIu64 ".%09" PRIu64 "\n", ns / 1000000000, ns % 1000000000);
}

/* --- one number a bus ------------------------------------------------------------------------- */

static void print_of_bus(const struct out *o, const struct fleet *fleet)
{
	static const struct {
		const char *name, *unit, *help;
	} counters[TOTALS_OF_BUS] = {
		[TOTALS_PUBLISHED] = { "ncp_frames_published", NULL, "Frames published on the bus." },
		[TOTALS_BYTES] = { "ncp_published_bytes", "bytes", "Captured bytes of these frames." },
		[TOTALS_RECEIVED] = { "ncp_received_frames", NULL,
				      "Frames that reached the source's hook." },
		[TOTALS_TRUNCATED] = { "ncp_truncated_frames", NULL,
				       "Frames published shorter than they were." },
		[TOTALS_DISCARDED] = { "ncp_discarded_frames", NULL,
				       "Frames received and left out on purpose." },
		[TOTALS_FREEZES] = { "ncp_kernel_ring_freezes", NULL,
				     "Times the kernel's ring was full." },
		[TOTALS_STARTS] = { "ncp_producer_starts", NULL,
				    "Starts of a producer on this bus." },
	};
	char name[64];

	for (int k = 0; k < TOTALS_OF_BUS; k++) {
		snprintf(name, sizeof(name), "%s_total", counters[k].name);
		family(o, counters[k].name, COUNTER, counters[k].unit, counters[k].help);
		for (uint32_t i = 0; i < fleet->n; i++) {
			const struct total *t = &fleet->bus[i]->totals.of_bus[k];

			if (!t->known)
				continue;
			sample(o, name, fleet->bus[i], NULL, NULL);
			put_u64(o, total_value(t));
		}
	}
}

static void print_ring_size(const struct out *o, const struct fleet *fleet)
{
	family(o, "ncp_ring_size_bytes", GAUGE, "bytes", "Size of the ring.");
	for (uint32_t i = 0; i < fleet->n; i++) {
		if (!fleet->bus[i]->attached)
			continue;
		sample(o, "ncp_ring_size_bytes", fleet->bus[i], NULL, NULL);
		put_u64(o, fleet->bus[i]->snapshot.info.ring_size);
	}
}

static void print_clients_now(const struct out *o, const struct fleet *fleet)
{
	family(o, "ncp_clients", GAUGE, NULL, "Clients with a line in the registry.");
	for (uint32_t i = 0; i < fleet->n; i++) {
		if (!fleet->bus[i]->attached)
			continue;
		sample(o, "ncp_clients", fleet->bus[i], NULL, NULL);
		put_u64(o, fleet->bus[i]->snapshot.n_clients_in_all);
	}
}

/* Of a bus that cannot be attached it is known that it is not up for us. */
static void print_up(const struct out *o, const struct fleet *fleet)
{
	family(o, "ncp_producer_up", GAUGE, NULL, "1 while a producer gives signs of life.");
	for (uint32_t i = 0; i < fleet->n; i++) {
		const struct fleet_bus *b = fleet->bus[i];
		const uint32_t state = b->snapshot.info.state;

		sample(o, "ncp_producer_up", b, NULL, NULL);
		put_u64(o, b->attached && !b->snapshot.gone && !b->snapshot.wrong &&
				   (state == NCP_STARTING || state == NCP_LIVE ||
				    state == NCP_PAUSED));
	}
}

static void print_depth(const struct out *o, const struct fleet *fleet)
{
	family(o, "ncp_ring_depth_seconds", GAUGE, "seconds",
	       "From the oldest frame that is whole to the newest.");
	for (uint32_t i = 0; i < fleet->n; i++) {
		if (!fleet->bus[i]->attached || fleet->bus[i]->snapshot.depth_ns == NCP_UNKNOWN)
			continue;
		sample(o, "ncp_ring_depth_seconds", fleet->bus[i], NULL, NULL);
		put_seconds(o, fleet->bus[i]->snapshot.depth_ns);
	}
}

/* --- by interface, by client ------------------------------------------------------------------ */

static void print_interfaces(const struct out *o, const struct fleet *fleet,
			     const char *family_name, const char *help, bool drops)
{
	char name[64];

	snprintf(name, sizeof(name), "%s_total", family_name);
	family(o, family_name, COUNTER, NULL, help);
	for (uint32_t i = 0; i < fleet->n; i++)
		for (uint32_t k = 0; k <= TOTALS_INTERFACES; k++) {
			const struct totals_interface *n = &fleet->bus[i]->totals.interface[k];
			const struct total *t = drops ? &n->kernel_drops : &n->published;

			if (!t->known)
				continue;
			sample(o, name, fleet->bus[i], "interface", n->name);
			put_u64(o, total_value(t));
		}
}

/* Names that no client has had are left out; names of those that left stay, with their sums. */
static void print_clients(const struct out *o, const struct fleet *fleet)
{
	static const struct {
		const char *name, *sample, *unit, *help;
		enum type type;
	} families[] = {
		{ "ncp_client_lost_frames", "ncp_client_lost_frames_total", NULL,
		  "Frames that clients of this name lost, by their own count.", COUNTER },
		{ "ncp_client_frames", "ncp_client_frames_total", NULL,
		  "Frames that clients of this name were given, by their own count.", COUNTER },
		{ "ncp_client_lag_seconds", "ncp_client_lag_seconds", "seconds",
		  "How far the slowest client of this name is behind; an estimate.", GAUGE },
	};

	for (size_t k = 0; k < sizeof(families) / sizeof(*families); k++) {
		family(o, families[k].name, families[k].type, families[k].unit, families[k].help);
		for (uint32_t i = 0; i < fleet->n; i++) {
			const struct tally *t = &fleet->bus[i]->tally;

			for (uint32_t n = 0; n <= TALLY_NAMES; n++) {
				const struct tally_name *c = &t->name[n];

				if (n >= t->n_names && n < TALLY_NAMES)
					continue;
				if (n == TALLY_NAMES && !c->clients && !c->frames && !c->lost)
					continue;
				if (k == 2 && c->lag_ns == NCP_UNKNOWN)
					continue;
				sample(o, families[k].sample, fleet->bus[i], "client", c->name);
				if (k == 2)
					put_seconds(o, c->lag_ns);
				else
					put_u64(o, k ? c->frames : c->lost);
			}
		}
	}
}

static void print_info(const struct out *o, const struct fleet *fleet)
{
	char incarnation[20];

	family(o, "ncp_bus", INFO, NULL, "What a bus is, as labels.");
	for (uint32_t i = 0; i < fleet->n; i++) {
		const struct fleet_bus *b = fleet->bus[i];

		if (!b->attached)
			continue;
		fputs("ncp_bus_info", o->f);
		label(o, "bus", b->name.name, '{');
		snprintf(incarnation, sizeof(incarnation), "%016" PRIx64,
			 b->snapshot.info.incarnation);
		label(o, "incarnation", incarnation, ',');
		label(o, "state", snapshot_state(&b->snapshot), ',');
		label(o, "reliable", b->snapshot.info.reliable ? "true" : "false", ',');
		fputs("} 1\n", o->f);
	}
}

void metrics_print(FILE *f, const struct fleet *fleet, bool open)
{
	const struct out o = { .f = f, .open = open };

	print_of_bus(&o, fleet);
	print_ring_size(&o, fleet);
	print_clients_now(&o, fleet);
	print_up(&o, fleet);
	print_depth(&o, fleet);
	print_interfaces(&o, fleet, "ncp_kernel_dropped_frames",
			 "Frames that the kernel dropped for want of room.", true);
	print_interfaces(&o, fleet, "ncp_interface_frames_published",
			 "Frames published of an interface.", false);
	print_clients(&o, fleet);
	print_info(&o, fleet);
	if (open)
		fputs("# EOF\n", f);
}

bool metrics_wants_open(const char *accept)
{
	return accept && strstr(accept, "application/openmetrics-text") != NULL;
}
