/* SPDX-License-Identifier: BSD-2-Clause */
/* sample.c - runs of frames from the newest end of a bus. */
#include "sample.h"

#include <string.h>
#include <time.h>

#include "look.h"

#define BATCH 64

static uint64_t published(struct sample *s)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;

	return ncp_bus_info(s->client, &info) < 0 ? 0 : info.next_seq;
}

static void begin(struct sample *s)
{
	traffic_clear(&s->now);
	s->begun_ns = look_now(CLOCK_MONOTONIC);
	s->begun_seq = published(s);
}

int sample_open(struct sample *s, const char *bus, const char *dir, const char *trust)
{
	struct ncp_options o = NCP_OPTIONS_INIT;

	o.flags = NCP_NO_REGISTRY;
	o.dir = dir;
	o.trust_owner = trust;
	int r = ncp_attach(&s->client, bus, &o);
	if (r < 0) {
		s->client = NULL;
		return r;
	}
	begin(s);
	return 0;
}

static uint32_t linktype_of(struct sample *s, uint32_t interface)
{
	struct ncp_interface i = NCP_INTERFACE_INIT;

	return ncp_interface(s->client, interface, &i) < 0 ? UINT32_MAX : i.linktype;
}

void sample_some(struct sample *s)
{
	const struct ncp_where latest = NCP_WHERE_INIT;
	struct ncp_frame f[BATCH] = { NCP_FRAME_INIT };
	uint32_t interface = UINT32_MAX, linktype = 0, n = 0;
	int r = 0;

	if (!s->client)
		return;
	while (n < SAMPLE_RUN) {
		r = ncp_next_batch(s->client, f, BATCH);
		if (r <= 0)
			break;
		for (int i = 0; i < r; i++) {
			if (f[i].kind == NCP_REATTACHED)
				s->begun_seq = 0; /* another bus counts anew */
			if (f[i].kind != NCP_FRAME)
				continue;
			if (f[i].interface != interface) {
				interface = f[i].interface;
				linktype = linktype_of(s, interface);
			}
			/* Torn or not: its headers are looked at as what they are worth, a count. */
			traffic_add(&s->now, linktype, f[i].data, f[i].caplen, f[i].len);
			n++;
		}
	}
	if (r > 0)
		(void)!ncp_seek(s->client, &latest);
}

void sample_turn(struct sample *s)
{
	if (!s->client)
		return;
	sample_some(s);
	uint64_t seq = published(s);
	s->now.published = seq > s->begun_seq ? seq - s->begun_seq : 0;
	/* Frames that came before it was looked how many there were. */
	if (s->now.published < s->now.all.frames)
		s->now.published = s->now.all.frames;
	s->now.span_ns = look_now(CLOCK_MONOTONIC) - s->begun_ns;
	s->last = s->now;
	begin(s);
}

void sample_close(struct sample *s)
{
	ncp_detach(s->client);
	s->client = NULL;
}
