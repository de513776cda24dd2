/* SPDX-License-Identifier: BSD-2-Clause */
/* render.c - a snapshot as text for a person. */
#include "render.h"

#include <time.h>

#define NS_PER_US 1e3
#define NS_PER_MS 1e6
#define NS_PER_S 1e9
#define SECOND UINT64_C(1000000000)

const char *render_count(char out[RENDER_CAP], uint64_t n)
{
	if (n == NCP_UNKNOWN)
		snprintf(out, RENDER_CAP, "-");
	else
		snprintf(out, RENDER_CAP, "%llu", (unsigned long long)n);
	return out;
}

/* Three significant digits and a unit; below the first unit whole numbers. */
static const char *scaled(char out[RENDER_CAP], double x, double step, const char *units)
{
	/* 999.5 would print as 1000: it belongs to the next unit. */
	if (x < 999.5) {
		snprintf(out, RENDER_CAP, "%.0f", x);
		return out;
	}
	x /= step;
	while (x >= 999.5 && units[1]) {
		x /= step;
		units++;
	}
	int decimals = x < 9.995 ? 2 : x < 99.95 ? 1 : 0;
	snprintf(out, RENDER_CAP, "%.*f%c", decimals, x, *units);
	return out;
}

const char *render_si(char out[RENDER_CAP], double x)
{
	return scaled(out, x, 1000, "kMGTPE");
}

const char *render_bytes(char out[RENDER_CAP], uint64_t n)
{
	if (n == NCP_UNKNOWN)
		return render_count(out, n);
	/* Rings are powers of two: 256M reads better than 256.0M. */
	for (int shift = 60, i = 0; shift >= 10; shift -= 10, i++)
		if (n >> shift && n >> shift < 1000 && n % (UINT64_C(1) << shift) == 0) {
			snprintf(out, RENDER_CAP, "%llu%c", (unsigned long long)(n >> shift),
				 "EPTGMK"[i]);
			return out;
		}
	return scaled(out, (double)n, 1024, "KMGTPE");
}

const char *render_duration(char out[RENDER_CAP], uint64_t ns)
{
	uint64_t s = ns / SECOND;

	if (ns == NCP_UNKNOWN)
		snprintf(out, RENDER_CAP, "-");
	else if (ns == 0)
		snprintf(out, RENDER_CAP, "0 s");
	else if (ns < 1000000)
		snprintf(out, RENDER_CAP, "%.0f us", (double)ns / NS_PER_US);
	else if (ns < SECOND)
		snprintf(out, RENDER_CAP, "%.1f ms", (double)ns / NS_PER_MS);
	else if (s < 60)
		snprintf(out, RENDER_CAP, "%.2f s", (double)ns / NS_PER_S);
	else if (s < 3600)
		snprintf(out, RENDER_CAP, "%dm%02ds", (int)(s / 60), (int)(s % 60));
	else if (s < 86400)
		snprintf(out, RENDER_CAP, "%dh%02dm", (int)(s / 3600), (int)(s / 60 % 60));
	else
		snprintf(out, RENDER_CAP, "%llud%02dh", (unsigned long long)(s / 86400),
			 (int)(s / 3600 % 24));
	return out;
}

/* "live", "paused (interface down)", "ended (removed)". */
static void put_state(FILE *f, const struct snapshot *s)
{
	const char *reason = snapshot_reason(s);

	fputs(snapshot_state(s), f);
	/* A dead producer's reason is of the state it died in. */
	if (*reason && (s->wrong || s->info.state != NCP_DEAD))
		fprintf(f, " (%s)", reason);
	if (s->gone)
		fputs(", its name is gone", f);
}

static void put_clock(FILE *f, uint64_t ns)
{
	time_t t = (time_t)(ns / SECOND);
	char text[16] = "";
	struct tm tm;

	if (localtime_r(&t, &tm))
		strftime(text, sizeof(text), "%H:%M:%S", &tm);
	fputs(text, f);
}

static void put_rate_row(FILE *f, const char *name, bool known, double now, double mean,
			 double peak)
{
	char a[RENDER_CAP], b[RENDER_CAP], c[RENDER_CAP];

	if (known)
		fprintf(f, "%-12s %10s %10s %10s\n", name, render_si(a, now), render_si(b, mean),
			render_si(c, peak));
	else
		fprintf(f, "%-12s %10s %10s %10s\n", name, "-", "-", "-");
}

static void put_head(FILE *f, const struct snapshot *s)
{
	const struct ncp_bus_info *i = &s->info;
	char a[RENDER_CAP];

	fprintf(f, "%s  ", i->name);
	put_state(f, s);
	fprintf(f, "  pid %u  epoch %s", i->pid, render_count(a, i->epoch));
	if (i->created_ns && s->at_ns > i->created_ns)
		fprintf(f, "  made %s ago", render_duration(a, s->at_ns - i->created_ns));
	fputs("  ", f);
	put_clock(f, s->at_ns);
	fputc('\n', f);
}

static void put_counters(FILE *f, const struct snapshot *s)
{
	const struct ncp_bus_info *i = &s->info;
	char a[RENDER_CAP], b[RENDER_CAP], c[RENDER_CAP], d[RENDER_CAP], e[RENDER_CAP];

	fprintf(f, "published %s frames, %s bytes\n", render_count(a, i->next_seq),
		render_bytes(b, i->bytes));
	fprintf(f, "received %s, kernel drops %s, discarded %s, truncated %s, freezes %s\n",
		render_count(a, i->received), render_count(b, i->kernel_drops),
		render_count(c, i->discarded), render_count(d, i->truncated),
		render_count(e, i->freezes));
	fprintf(f, "ring %s holds %s", render_bytes(a, i->ring_size),
		render_duration(b, s->depth_ns));
	if (i->next_seq > i->oldest_seq)
		fprintf(f, ": frames %s to %s", render_count(c, i->oldest_seq),
			render_count(d, i->next_seq - 1));
	fputs("\n\n", f);
	fprintf(f, "%-12s %10s %10s %10s\n", "per second", "now", "mean", "peak");
	put_rate_row(f, "frames", s->has_rates, s->now.frames, s->mean.frames, s->peak.frames);
	put_rate_row(f, "bits", s->has_rates, s->now.bits, s->mean.bits, s->peak.bits);
	put_rate_row(f, "drops", s->has_rates, s->now.kernel_drops, s->mean.kernel_drops,
		     s->peak.kernel_drops);
}

static void put_sources(FILE *f, const struct snapshot *s)
{
	char a[RENDER_CAP], b[RENDER_CAP], c[RENDER_CAP];

	fprintf(f, "\n%-16s %12s %12s %12s\n", "INTERFACE", "PUBLISHED", "RECEIVED", "DROPS");
	for (uint32_t i = 0; i < s->n_interfaces; i++) {
		const struct snapshot_interface *n = &s->interface[i];

		fprintf(f, "%-16s %12s %12s %12s\n", *n->name ? n->name : "-",
			render_count(a, n->published), render_count(b, n->received),
			render_count(c, n->kernel_drops));
	}
	/* One worker's line says nothing that the totals do not. */
	for (uint32_t i = 0; s->n_workers > 1 && i < s->n_workers; i++)
		fprintf(f, "worker %-9u %12s %12s %12s\n", i,
			render_count(a, s->worker[i].published),
			render_count(b, s->worker[i].received),
			render_count(c, s->worker[i].kernel_drops));
}

static const char *reliable_name(const struct ncp_peer *p)
{
	return p->reliable == 1 ? "reliable" : p->reliable == 2 ? "evicted" : "";
}

static void put_clients(FILE *f, const struct snapshot *s)
{
	char a[RENDER_CAP], b[RENDER_CAP], c[RENDER_CAP], d[RENDER_CAP], e[RENDER_CAP],
		g[RENDER_CAP];

	if (!s->n_clients) {
		fputs("\nno client in the registry\n", f);
		return;
	}
	fprintf(f, "\n%-16s %7s %7s %10s %10s %8s %9s %9s %9s\n", "CLIENT", "PID", "UID", "FRAMES",
		"FILTERED", "LOST", "BEHIND", "", "OVERRUN IN");
	for (uint32_t i = 0; i < s->n_clients; i++) {
		const struct snapshot_client *k = &s->client[i];

		fprintf(f, "%-16s %7u %7u %10s %10s %8s", k->peer.name, k->peer.pid, k->peer.uid,
			render_count(a, k->peer.frames), render_count(b, k->peer.filtered),
			render_count(c, k->peer.lost));
		if (k->elsewhere)
			fputs("  reads the bus before this one\n", f);
		else
			fprintf(f, " %9s %9s %9s  %s\n", render_count(d, k->lag_frames),
				render_duration(e, k->lag_ns), render_duration(g, k->overrun_ns),
				reliable_name(&k->peer));
	}
	if (s->n_clients_in_all > s->n_clients)
		fprintf(f, "and %u more\n", s->n_clients_in_all - s->n_clients);
}

void render_view(FILE *f, const struct snapshot *s)
{
	put_head(f, s);
	put_counters(f, s);
	put_sources(f, s);
	put_clients(f, s);
}

void render_line(FILE *f, const struct snapshot *s)
{
	char a[RENDER_CAP], b[RENDER_CAP], c[RENDER_CAP], d[RENDER_CAP], e[RENDER_CAP],
		g[RENDER_CAP];

	put_clock(f, s->at_ns);
	fprintf(f, " %s ", s->info.name);
	put_state(f, s);
	if (s->has_rates)
		fprintf(f, ", %s frames/s, %s bit/s", render_si(a, s->now.frames),
			render_si(b, s->now.bits));
	fprintf(f, ", published %s, kernel drops %s, ring holds %s, clients %u, lost %s\n",
		render_count(c, s->info.next_seq), render_count(d, s->info.kernel_drops),
		render_duration(e, s->depth_ns), s->n_clients_in_all,
		render_count(g, snapshot_lost(s)));
}

void render_summary(FILE *f, const struct snapshot *s)
{
	char a[RENDER_CAP], b[RENDER_CAP], c[RENDER_CAP], d[RENDER_CAP];

	if (!s->has_rates) {
		fprintf(f, "%s: looked at once\n", s->info.name);
		return;
	}
	fprintf(f, "%s: watched for %s: mean %s frames/s, peak %s frames/s, published %s in all\n",
		s->info.name, render_duration(a, s->watched_ns), render_si(b, s->mean.frames),
		render_si(c, s->peak.frames), render_count(d, s->info.next_seq));
}

void render_list_head(FILE *f)
{
	fprintf(f, "%-16s %-9s %8s %9s %14s %12s %8s\n", "BUS", "STATE", "RING", "HOLDS",
		"PUBLISHED", "KERNEL DROPS", "CLIENTS");
}

void render_list_row(FILE *f, const struct snapshot *s)
{
	char a[RENDER_CAP], b[RENDER_CAP], c[RENDER_CAP], d[RENDER_CAP];

	fprintf(f, "%-16s %-9s %8s %9s %14s %12s %8u\n", s->info.name,
		snapshot_state(s), render_bytes(a, s->info.ring_size),
		render_duration(b, s->depth_ns), render_count(c, s->info.next_seq),
		render_count(d, s->info.kernel_drops), s->n_clients_in_all);
}

void render_list_unknown(FILE *f, const char *bus, const char *why)
{
	fprintf(f, "%-16s %s\n", bus, why);
}
