/* SPDX-License-Identifier: BSD-2-Clause */
/* sample.c - frames of a bus: all, or runs here and there. */
#include "sample.h"

#include <string.h>
#include <time.h>

#include "look.h"

#define SECOND UINT64_C(1000000000)
#define BATCH 64u
/* More than any chain of headers that traffic.c follows. */
#define HEADERS 256u
/* Frames passed over where a run begins at a place that the ring chose. */
#define SKIP_BELOW 128u

static void begin(struct sample *s)
{
	traffic_clear(&s->now);
	s->begun_ns = look_now(CLOCK_MONOTONIC);
}

int sample_open(struct sample *s, const char *bus, const char *dir, const char *trust)
{
	struct ncp_options o = NCP_OPTIONS_INIT;
	struct ncp_cursor at = NCP_CURSOR_INIT;

	o.flags = NCP_NO_REGISTRY;
	o.dir = dir;
	o.trust_owner = trust;
	int r = ncp_attach(&s->client, bus, &o);
	if (r < 0) {
		s->client = NULL;
		return r;
	}
	if (ncp_tell(s->client, &at) == 0) {
		s->incarnation = at.incarnation;
		s->seq = at.seq;
	}
	s->interface = UINT32_MAX;
	s->may = SAMPLE_BURST;
	s->random = look_now(CLOCK_MONOTONIC) | 1;
	s->at_ns = look_now(CLOCK_MONOTONIC);
	begin(s);
	return 0;
}

/* Frames up to a number have passed, read or not: how many that is since the last time. */
static uint64_t account(struct sample *s, uint64_t upto)
{
	uint64_t n = upto > s->seq ? upto - s->seq : 0;

	s->seq += n;
	return n;
}

/* Below n.  Source: Marsaglia, Xorshift RNGs, 2003. */
static uint64_t random_below(struct sample *s, uint64_t n)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return s->random % n;
}

static void frame_add(struct sample *s, const struct ncp_frame *f, double scale)
{
	uint8_t headers[HEADERS];
	uint32_t n = f->caplen < HEADERS ? f->caplen : HEADERS;

	memcpy(headers, f->data, n);
	/* Overrun meanwhile: it has passed, but was not looked at. */
	if (ncp_intact(s->client, f->position) != 1)
		return;
	if (f->interface != s->interface) {
		struct ncp_interface i = NCP_INTERFACE_INIT;

		s->linktype = ncp_interface(s->client, f->interface, &i) < 0 ? UINT32_MAX
									    : i.linktype;
		s->interface = f->interface;
	}
	traffic_add(&s->now, s->linktype, headers, n, f->len, scale);
}

/* Read n frames, or as many as there are, as one run; *passed grows by what has passed with them. */
static void read_run(struct sample *s, uint64_t n, double scale, uint64_t *passed)
{
	struct ncp_frame f[BATCH] = { NCP_FRAME_INIT };
	uint64_t skip = 0;
	int r = 0;

	while (n && (r = ncp_next_batch(s->client, f, (int)(n < BATCH ? n : BATCH))) > 0) {
		for (int i = 0; i < r; i++) {
			/* Of a bus that took the place of this one nothing is known before. */
			if (f[i].incarnation != s->incarnation) {
				s->incarnation = f[i].incarnation;
				s->seq = f[i].seq;
				s->interface = UINT32_MAX;
			}
			if (f[i].kind == NCP_FRAME) {
				s->may -= s->may > 0;
				if (skip) {
					skip--;
				} else {
					frame_add(s, &f[i], scale);
					n--;
				}
			} else if (f[i].kind == NCP_LOST && scale > 1) {
				/* It goes on at a waypoint: behind a frame over a 64 KiB boundary,
				 * more often a long one than not, and what follows a long one may
				 * not be as what follows others. */
				skip = random_below(s, SKIP_BELOW);
			}
			if ((f[i].kind == NCP_FRAME || f[i].kind == NCP_LOST) &&
			    f[i].next_seq != NCP_UNKNOWN)
				*passed += account(s, f[i].next_seq);
		}
	}
	if (n && r < 0 && s->code == 0)
		s->code = r;
	traffic_run_end(&s->now);
}

/* More may be read the more time has passed. */
static void allow(struct sample *s)
{
	uint64_t now = look_now(CLOCK_MONOTONIC);
	uint64_t more = (now - s->at_ns) / (SECOND / SAMPLE_RATE);

	s->at_ns += more * (SECOND / SAMPLE_RATE);
	s->may = s->may + more < SAMPLE_BURST ? s->may + more : SAMPLE_BURST;
}

void sample_some(struct sample *s)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	uint64_t passed = 0;

	if (s->code < 0 || ncp_bus_info(s->client, &info) < 0)
		return;
	allow(s);
	uint64_t due = info.incarnation == s->incarnation && info.next_seq > s->seq
			       ? info.next_seq - s->seq
			       : 0;
	if (due <= s->may) {
		/* Also when nothing came: events do. */
		read_run(s, s->may, 1, &passed);
	} else if (s->may < SAMPLE_BURST / 4) {
		return; /* the next call takes more of it together */
	} else {
		uint64_t from = s->seq > info.oldest_seq ? s->seq : info.oldest_seq;
		uint64_t step = (info.next_seq - from) / SAMPLE_RUNS;
		uint64_t run = s->may / SAMPLE_RUNS < step ? s->may / SAMPLE_RUNS : step;

		for (uint64_t i = 0; i < SAMPLE_RUNS; i++) {
			struct ncp_where to = NCP_WHERE_INIT;

			to.whence = NCP_SEQ;
			to.value = from + step * i + random_below(s, step - run + 1);
			to.incarnation = info.incarnation;
			if (ncp_seek(s->client, &to) == 0)
				read_run(s, run, (double)due / (double)(run * SAMPLE_RUNS), &passed);
		}
		struct ncp_where end = NCP_WHERE_INIT;
		end.whence = NCP_SEQ;
		end.value = info.next_seq;
		end.incarnation = info.incarnation;
		if (s->incarnation == info.incarnation && ncp_seek(s->client, &end) == 0)
			passed += account(s, info.next_seq);
	}
	traffic_stratum_end(&s->now, passed);
}

int sample_turn(struct sample *s)
{
	sample_some(s);
	s->now.span_ns = look_now(CLOCK_MONOTONIC) - s->begun_ns;
	s->last = s->now;
	begin(s);
	return s->code;
}

void sample_close(struct sample *s)
{
	ncp_detach(s->client);
	s->client = NULL;
}
