/* SPDX-License-Identifier: BSD-2-Clause */
/* source_synth.c - frames made up here, each of which carries its own number. */
#include "producer/source_synth.h"

#include <ctype.h>
#include <endian.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "libncpbus/include/ncpbus.h"
#include "producer/compile.h"
#include "producer/source.h"

#define NS UINT64_C(1000000000)
#define LINKTYPE_ETHERNET 1
#define MAX_FLOWS (UINT64_C(1) << 20)
#define MAX_PPS NS
#define DEFAULT_BATCH 256u

/* Where things stand in a frame: Ethernet, IPv4 without options, UDP. */
#define ETH_LEN 14u
#define IP_OFF ETH_LEN
#define IP_LEN_OFF (IP_OFF + 2)
#define IP_SUM_OFF (IP_OFF + 10)
#define IP_ADDR_OFF (IP_OFF + 12)
#define UDP_OFF (IP_OFF + 20)
#define UDP_LEN_OFF (UDP_OFF + 4)
#define UDP_SUM_OFF (UDP_OFF + 6)

/* Bytes of frames in one batch: few enough to stay in a second-level cache between being written
 * here and being copied to the ring. */
#define BATCH_BYTES (UINT32_C(256) << 10)

/* 7:4:1, spread; lengths without FCS, so 64, 594 and 1518 on the wire. */
static const uint32_t imix_sizes[] = { 60, 590, 1514 };
static const uint8_t imix_order[] = { 0, 1, 0, 0, 1, 0, 2, 0, 1, 0, 1, 0 };

/* What all frames of one length share. */
struct class {
	uint32_t size;	  /* bytes of the frame */
	uint32_t n_marks; /* how often the number stands in the payload */
	uint16_t ip_len, udp_len;
	uint32_t ip_sum;  /* of the IP header but addresses and checksum */
	uint32_t udp_sum; /* of pseudo header, UDP header and payload, but addresses, ports, number */
};

/* What all frames of one flow share: network byte order, ready to be copied. */
struct flow {
	uint8_t addresses[8];
	uint8_t ports[4];
	uint32_t addresses_sum, ports_sum;
};

struct synth {
	struct source source;
	struct compile_program filter;
	const char *filter_text;
	uint64_t count, pps, n_flows, seed;
	uint32_t snaplen;
	struct class classes[3];
	const uint8_t *order; /* class of frame n: order[n mod n_order] */
	uint32_t n_order;
	struct flow *flows;

	uint8_t *slots; /* cap frames' bytes, each stride long, 64-aligned */
	uint32_t stride, cap;
	struct ncpi_frame *frames; /* cap */

	uint32_t patience; /* frames to wait for when paced: what is due within retire_ms */
	uint64_t next;	   /* number of the next frame */
	uint64_t flow_idx; /* next mod n_flows */
	uint32_t order_idx; /* next mod n_order */
	uint64_t start_ns;  /* CLOCK_MONOTONIC at start */
	uint64_t epoch_ns;  /* CLOCK_REALTIME then */
	uint64_t discarded;
};

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

/* The sum of big-endian 16-bit words, an odd byte padded with a zero: RFC 1071. */
static uint32_t sum_words(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static uint32_t fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(sum + (sum >> 16)) & 0xffff;
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * NS + (uint64_t)t.tv_nsec;
}

/* --- the made-up world -------------------------------------------------------------------- */

static bool has_number(uint32_t off, uint32_t payload_len)
{
	return off % SYNTH_MARK_EVERY == 0 && payload_len - off >= 8;
}

static void make_class(struct class *c, uint32_t size)
{
	uint32_t payload = size - SYNTH_HEADERS;

	*c = (struct class){ .size = size,
			     .ip_len = (uint16_t)(size - ETH_LEN),
			     .udp_len = (uint16_t)(size - UDP_OFF) };
	c->ip_sum = 0x4500 + c->ip_len + 0x4000 + (64 << 8 | IPPROTO_UDP);
	c->udp_sum = IPPROTO_UDP + 2u * c->udp_len;
	for (uint32_t off = 0; off < payload;) {
		if (has_number(off, payload)) {
			c->n_marks++;
			off += 8;
			continue;
		}
		uint8_t b = synth_fill(off);
		c->udp_sum += off++ % 2 ? b : (uint32_t)b << 8;
	}
}

/* Everything of a slot that no frame changes.  The lengths of IMIX end outside a number's place,
 * so a short frame finds in its slot what a longer one left there. */
static void make_slot(uint8_t *slot, uint32_t size)
{
	static const uint8_t eth[ETH_LEN] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0 };

	memcpy(slot, eth, sizeof(eth));
	slot[IP_OFF] = 0x45;
	slot[IP_OFF + 6] = 0x40; /* don't fragment */
	slot[IP_OFF + 8] = 64;	 /* time to live */
	slot[IP_OFF + 9] = IPPROTO_UDP;
	for (uint32_t off = 0; off < size - SYNTH_HEADERS; off++)
		slot[SYNTH_HEADERS + off] = synth_fill(off);
}

/* No two flows have the same source address: an odd factor permutes the 2^24 of 10/8. */
static void make_flow(struct flow *f, uint64_t seed, uint64_t idx)
{
	uint64_t r = ncpi_mix(seed ^ ncpi_mix(idx));
	uint32_t host = (uint32_t)((idx * 0x9e3779b1u + ncpi_mix(seed)) & 0xffffff);

	put32(f->addresses, 10u << 24 | host);
	put32(f->addresses + 4, 192u << 24 | 168u << 16 | (uint32_t)(r & 0xffff));
	put16(f->ports, 49152 + (uint32_t)(r >> 16 & 0x3fff)); /* dynamic ports */
	put16(f->ports + 2, SYNTH_PORT);
	f->addresses_sum = sum_words(f->addresses, sizeof(f->addresses));
	f->ports_sum = sum_words(f->ports, sizeof(f->ports));
}

/* Writes frame number n into a slot; what it costs is what this source costs per frame. */
static void make_frame(uint8_t *slot, const struct class *c, const struct flow *f, uint64_t n)
{
	uint64_t number = htobe64(n);
	uint32_t number_sum = (uint32_t)((n >> 48) + (n >> 32 & 0xffff) + (n >> 16 & 0xffff) +
					 (n & 0xffff));
	uint8_t *payload = slot + SYNTH_HEADERS;

	put16(slot + IP_LEN_OFF, c->ip_len);
	put16(slot + IP_SUM_OFF, fold(c->ip_sum + f->addresses_sum));
	memcpy(slot + IP_ADDR_OFF, f->addresses, sizeof(f->addresses));
	memcpy(slot + UDP_OFF, f->ports, sizeof(f->ports));
	put16(slot + UDP_LEN_OFF, c->udp_len);
	/* At most 65507 / 2 words and 1024 numbers of four: below 2^32. */
	uint32_t sum = fold(c->udp_sum + f->addresses_sum + f->ports_sum + c->n_marks * number_sum);
	put16(slot + UDP_SUM_OFF, sum ? sum : 0xffff); /* RFC 768: 0 would mean none */
	for (uint32_t i = 0; i < c->n_marks; i++)
		memcpy(payload + i * SYNTH_MARK_EVERY, &number, sizeof(number));
}

/* --- the spec ----------------------------------------------------------------------------- */

static int bad(char *why, const char *pair, int len, const char *text)
{
	snprintf(why, SOURCE_WHY_CAP, "synth:%.*s: %s", len > 60 ? 60 : len, pair, text);
	return -EINVAL;
}

static int number(const char *text, size_t len, uint64_t min, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (!len)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (!isdigit((unsigned char)text[i]) ||
		    __builtin_mul_overflow(v, UINT64_C(10), &v) ||
		    __builtin_add_overflow(v, (uint64_t)(text[i] - '0'), &v))
			return -EINVAL;
	}
	if (v < min || v > max)
		return -EINVAL;
	*out = v;
	return 0;
}

static int parse(struct synth *s, const char *spec, uint64_t *size, char *why)
{
	const struct {
		const char *key;
		uint64_t min, max, *out;
		const char *text;
	} keys[] = {
		{ "count", 0, UINT64_MAX, &s->count, "how many frames, 0 without end" },
		{ "pps", 0, MAX_PPS, &s->pps, "frames a second, up to 1000000000, 0 at full speed" },
		{ "size", SYNTH_MIN, SYNTH_MAX, size, "bytes of a frame, 50 to 65549, or imix" },
		{ "flows", 1, MAX_FLOWS, &s->n_flows, "how many flows, 1 to 1048576" },
		{ "seed", 0, UINT64_MAX, &s->seed, "a number up to 2^64 - 1" },
	};
	const size_t n_keys = sizeof(keys) / sizeof(keys[0]);

	for (const char *p = spec; *p;) {
		size_t len = strcspn(p, ","), key_len = strcspn(p, "=,");
		const char *value = p + key_len + (key_len < len);
		size_t value_len = len - (size_t)(value - p), i;

		for (i = 0; i < n_keys; i++)
			if (strlen(keys[i].key) == key_len && !strncmp(keys[i].key, p, key_len))
				break;
		if ((len == 4 && !strncmp(p, "imix", 4)) || (len == 9 && !strncmp(p, "size=imix", 9)))
			*size = 0;
		else if (i == n_keys)
			return bad(why, p, (int)len,
				   "no such key: give count, pps, size, imix, flows, seed");
		else if (number(value, value_len, keys[i].min, keys[i].max, keys[i].out))
			return bad(why, p, (int)len, keys[i].text);
		p += len + (p[len] == ',');
	}
	return 0;
}

/* --- operations --------------------------------------------------------------------------- */

static void synth_close(struct source *src)
{
	struct synth *s = (struct synth *)src;

	if (!s)
		return;
	compile_free(&s->filter);
	free(s->flows);
	free(s->slots);
	free(s->frames);
	free(s);
}

static int synth_open(struct source **src, const char *spec, const struct source_options *o,
		      char *why)
{
	static const uint8_t only[] = { 0 };
	struct synth *s = calloc(1, sizeof(*s));
	uint64_t size = 64;
	uint32_t largest;
	int r = -ENOMEM;

	*src = NULL;
	if (!s)
		goto out;
	*s = (struct synth){ .source.ops = &source_synth, .n_flows = 16, .seed = 1,
			     .filter_text = o->filter };
	r = parse(s, spec, &size, why);
	if (r)
		goto out;
	if (o->direction) {
		snprintf(why, SOURCE_WHY_CAP,
			 "synth: made-up frames have no direction: leave out -Q");
		r = -EINVAL;
		goto out;
	}
	r = compile_offline(LINKTYPE_ETHERNET, o->snaplen, o->filter, &s->filter, why);
	if (r)
		goto out;

	s->order = size ? only : imix_order;
	s->n_order = size ? 1 : sizeof(imix_order);
	for (uint32_t i = 0; i < 3; i++)
		make_class(&s->classes[i], size ? (uint32_t)size : imix_sizes[i]);
	largest = s->classes[2].size;
	/* What is really delivered: a ring need only have room for that. */
	s->snaplen = o->snaplen < largest ? o->snaplen : largest;

	/* +64: neighbours do not begin in the same cache set when the size is a power of two. */
	s->stride = (largest + 63) / 64 * 64 + 64;
	s->cap = BATCH_BYTES / s->stride;
	if (s->cap > (o->batch ? o->batch : DEFAULT_BATCH))
		s->cap = o->batch ? o->batch : DEFAULT_BATCH;
	uint64_t due = s->pps * o->retire_ms / 1000;
	s->patience = o->immediate || !due ? 1 : due < s->cap ? (uint32_t)due : s->cap;

	r = -ENOMEM;
	s->slots = aligned_alloc(64, (size_t)s->cap * s->stride);
	s->frames = calloc(s->cap, sizeof(*s->frames));
	s->flows = calloc(s->n_flows, sizeof(*s->flows));
	if (!s->slots || !s->frames || !s->flows)
		goto out;
	memset(s->slots, 0, (size_t)s->cap * s->stride);
	for (uint32_t i = 0; i < s->cap; i++)
		make_slot(s->slots + (size_t)i * s->stride, largest);
	for (uint64_t i = 0; i < s->n_flows; i++)
		make_flow(&s->flows[i], s->seed, i);
	*src = &s->source;
	return 0;
out:
	if (r == -ENOMEM)
		snprintf(why, SOURCE_WHY_CAP, "synth: out of memory");
	synth_close(s ? &s->source : NULL);
	return r;
}

static int synth_interface(struct source *src, uint32_t i, struct ncpi_interface_desc *d)
{
	const struct synth *s = (struct synth *)src;

	if (i)
		return 0;
	*d = (struct ncpi_interface_desc){ .name = "synth", .filter = s->filter_text,
					   .linktype = LINKTYPE_ETHERNET, .snaplen = s->snaplen };
	return 1;
}

static int synth_start(struct source *src)
{
	struct synth *s = (struct synth *)src;

	s->start_ns = now_ns(CLOCK_MONOTONIC);
	s->epoch_ns = now_ns(CLOCK_REALTIME);
	return 0;
}

/* When frame n is due, in ns after the start: computed from n alone, so nothing adds up. */
static uint64_t due_ns(const struct synth *s, uint64_t n)
{
	return n / s->pps * NS + n % s->pps * NS / s->pps;
}

/* How many frames from the next one on are due, up to n, waiting for more than none as the
 * timeout allows.  Frames wait for company, so that a fast pace costs no wake-up each. */
static uint32_t wait_due(const struct synth *s, uint32_t n, int timeout_ms)
{
	uint32_t patience = s->patience < n ? s->patience : n;
	uint64_t wanted = s->start_ns + due_ns(s, s->next + patience - 1);
	uint64_t now = now_ns(CLOCK_MONOTONIC);

	if (now < wanted) {
		uint64_t limit = now + (timeout_ms > 0 ? (uint64_t)timeout_ms * 1000000 : 0);
		uint64_t until = wanted < limit ? wanted : limit;
		struct timespec t = { .tv_sec = (time_t)(until / NS), .tv_nsec = (long)(until % NS) };

		if (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL))
			return 0; /* a signal: the caller looks what it wants */
		now = now_ns(CLOCK_MONOTONIC);
		if (now < wanted)
			return 0;
	}
	/* Beyond patience, because the caller was late: as many as are due. */
	uint64_t elapsed = now - s->start_ns;
	uint32_t due = patience;
	while (due < n && due_ns(s, s->next + due) <= elapsed)
		due++;
	return due;
}

static int synth_take(struct source *src, struct source_batch *b, int timeout_ms)
{
	struct synth *s = (struct synth *)src;
	uint32_t n = s->cap;
	uint64_t now = 0;

	b->n = 0;
	if (s->count && s->count - s->next < n)
		n = (uint32_t)(s->count - s->next);
	if (!n) {
		s->source.reason = NCP_REASON_EXHAUSTED;
		return SOURCE_END;
	}
	if (s->pps)
		n = wait_due(s, n, timeout_ms);
	else
		now = now_ns(CLOCK_REALTIME);

	for (uint32_t i = 0; i < n; i++) {
		const struct class *c = &s->classes[s->order[s->order_idx]];
		uint8_t *slot = s->slots + (size_t)i * s->stride;
		uint32_t caplen = c->size < s->snaplen ? c->size : s->snaplen;

		make_frame(slot, c, &s->flows[s->flow_idx], s->next);
		/* Unpaced: no frame takes less than a nanosecond, so times do not go back. */
		uint64_t ts_ns = s->pps ? s->epoch_ns + due_ns(s, s->next) : now + i;
		s->next++;
		if (++s->flow_idx == s->n_flows)
			s->flow_idx = 0;
		if (++s->order_idx == s->n_order)
			s->order_idx = 0;
		if (!compile_match(&s->filter, slot, c->size, c->size)) {
			s->discarded++;
			continue;
		}
		b->n++;
		s->frames[b->n - 1] = (struct ncpi_frame){ .data = slot, .ts_ns = ts_ns,
							   .caplen = caplen, .len = c->size };
	}
	b->frames = s->frames;
	return b->n ? SOURCE_FRAMES : SOURCE_NOTHING;
}

static void synth_give(struct source *src, struct source_batch *b)
{
	(void)src; /* the slots are ours again by the next take */
	b->n = 0;
}

static void synth_counts(struct source *src, struct source_counts *c)
{
	const struct synth *s = (struct synth *)src;

	*c = (struct source_counts){ .received = s->next, .discarded = s->discarded };
}

const struct source_ops source_synth = {
	.kind = "synth",
	.usage = "synth:KEY=VALUE,...     made-up UDP: count, pps, size or imix, flows, seed",
	.live = false,
	.commas = true,
	.open = synth_open,
	.interface = synth_interface,
	.start = synth_start,
	.take = synth_take,
	.give = synth_give,
	.stop = NULL,
	.counts = synth_counts,
	.syscalls = (const int[]){ __NR_clock_gettime, __NR_clock_nanosleep, -1 },
	.close = synth_close,
};
