/* SPDX-License-Identifier: BSD-2-Clause */
/* test_frame_filter.c - a filter by link type: what it refuses, and another in its place while it judges. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "libncpbus/order.h"
#include "producer/frame_filter.h"
#include "producer/source.h"
#include "tap/tap.h"

#define ETHERNET 1u
#define RAW 101u
#define RADIOTAP 127u
#define NFLOG 239u

static char why[SOURCE_WHY_CAP];

/* A UDP packet to a port, behind an Ethernet header. */
static void frame_make(uint8_t frame[60], uint16_t port)
{
	memset(frame, 0, 60);
	frame[12] = 0x08;
	frame[14] = 0x45;
	frame[23] = 17;
	frame[36] = (uint8_t)(port >> 8);
	frame[37] = (uint8_t)port;
}

/* The same as raw IP has no such header. */
static int match(struct frame_filter *f, uint32_t linktype, uint16_t port)
{
	uint8_t frame[60];
	const uint32_t skip = linktype == RAW ? 14 : 0;

	frame_make(frame, port);
	return frame_filter_match(f, linktype, frame + skip, 60 - skip, 60 - skip);
}

/* In the helper's place. */
static int compile_text(void *arg, int dlt, struct compile_program *p, char *reason)
{
	return compile_offline(dlt, 65535, arg, p, reason);
}

static int out_of_memory(void *arg, int dlt, struct compile_program *p, char *reason)
{
	(void)arg, (void)dlt;
	*p = (struct compile_program){ NULL, 0 };
	snprintf(reason, SOURCE_WHY_CAP, "filter: out of memory");
	return -ENOMEM;
}

static int renew(struct frame_filter *f, const char *text)
{
	return frame_filter_renew(f, compile_text, (void *)(uintptr_t)text, why);
}

static void test_refusals(void)
{
	const uint32_t there[] = { ETHERNET, ETHERNET, RAW }, likely[] = { RADIOTAP, ETHERNET };
	struct frame_filter f;

	is_i64(-EINVAL, frame_filter_open(&f, "udp prot 9", there, 3, likely, 2, why),
	       "refuses what is no filter");
	ok(strstr(why, "syntax error") != NULL, "and says why: %s", why);
	frame_filter_close(&f);
	is_i64(-EINVAL, frame_filter_open(&f, "wlan addr1 1:2:3:4:5:6", there, 3, likely, 2, why),
	       "and what means something only where there is nothing yet");
	ok(strstr(why, "802.11") != NULL, "and says why: %s", why);
	frame_filter_close(&f);
	is_i64(0, frame_filter_open(&f, "wlan addr1 1:2:3:4:5:6", NULL, 0, likely, 2, why),
	       "but takes it where nothing is there");
	frame_filter_close(&f);
}

static void test_types(void)
{
	const uint32_t there[] = { ETHERNET, ETHERNET, RAW }, likely[] = { RADIOTAP, ETHERNET };
	struct frame_filter f;

	is_i64(0, frame_filter_open(&f, "udp port 9", there, 3, likely, 2, why), "three link types");
	is_u64(3, f.n_types, "each of them once");
	ok(match(&f, ETHERNET, 9) == 1 && match(&f, ETHERNET, 10) == 0, "judges Ethernet");
	ok(match(&f, RAW, 9) == 1 && match(&f, RAW, 10) == 0, "and raw IP, where all stands elsewhere");
	is_i64(-ENOTSUP, match(&f, NFLOG, 9), "says of what it was not compiled for");

	is_i64(0, renew(&f, "udp port 10"), "another text");
	ok(match(&f, ETHERNET, 9) == 0 && match(&f, ETHERNET, 10) == 1, "is in force");
	ok(match(&f, RAW, 9) == 0 && match(&f, RAW, 10) == 1, "everywhere");
	is_i64(-EINVAL, renew(&f, "udp prot 9"), "one that is none");
	ok(match(&f, ETHERNET, 10) == 1 && match(&f, RAW, 9) == 0, "changes nothing");
	is_i64(-EINVAL, renew(&f, "wlan addr1 1:2:3:4:5:6"), "nor one with no meaning there");
	ok(match(&f, ETHERNET, 10) == 1 && strstr(why, "802.11") != NULL, "%s", why);
	is_i64(-ENOMEM, frame_filter_renew(&f, out_of_memory, NULL, why), "nor a lack of memory");
	is_i64(1, match(&f, ETHERNET, 10), "the old one stands");

	is_i64(0, renew(&f, "ether proto 0x0800 and udp port 9"), "a text for one link type of two");
	ok(match(&f, ETHERNET, 9) == 1 && match(&f, ETHERNET, 10) == 0, "is in force there");
	is_i64(0, renew(&f, "udp port 9"), "twice before a frame comes:");
	is_i64(0, renew(&f, "udp port 11"), "the last one");
	ok(match(&f, ETHERNET, 9) == 0 && match(&f, ETHERNET, 11) == 1, "is in force");

	is_i64(0, renew(&f, NULL), "none at all");
	ok(match(&f, ETHERNET, 9) == 1 && match(&f, RAW, 10) == 1, "every frame matches");
	is_i64(1, match(&f, NFLOG, 9), "of whatever type");
	is_i64(0, renew(&f, "udp port 9"), "and one again");
	is_i64(-ENOTSUP, match(&f, NFLOG, 9), "which knows what it is for");

	frame_filter_there(&f, RADIOTAP);
	is_i64(0, renew(&f, "wlan addr1 1:2:3:4:5:6"), "what has come by now counts");
	is_i64(0, match(&f, ETHERNET, 9), "where it means nothing no frame matches");
	is_i64(0, renew(&f, "udp port 9"), "one that is never taken up");
	frame_filter_close(&f);
}

/* One thread judges while another one changes its mind. */
struct judge {
	struct frame_filter f;
	uint32_t stop;	    /* relaxed */
	uint64_t both, one; /* frames that both texts accept, that one does: how often they passed */
	uint64_t rounds;    /* relaxed, the judge's */
};

static void *judge_run(void *arg)
{
	struct judge *j = arg;

	for (uint64_t i = 1; !ncpi_load(&j->stop); i++) {
		j->both += match(&j->f, ETHERNET, 9) == 1;
		j->one += match(&j->f, ETHERNET, 10) == 1;
		ncpi_store(&j->rounds, i);
	}
	return NULL;
}

struct mark {
	struct judge *j;
	uint64_t after;
};

static bool went_round(void *arg)
{
	const struct mark *m = arg;

	return ncpi_load(&m->j->rounds) > m->after;
}

static void test_threads(void)
{
	static struct judge j;
	const uint32_t there[] = { ETHERNET };
	pthread_t thread;
	unsigned good = 0, seen = 0;

	if (frame_filter_open(&j.f, "udp port 9", there, 1, NULL, 0, why) < 0 ||
	    pthread_create(&thread, NULL, judge_run, &j))
		bail("a thread");
	for (unsigned i = 1; i <= 400; i++) {
		good += renew(&j.f, i % 2 ? "udp port 9 or udp port 10" : "udp port 9") == 0;
		if (i % 4) /* else the next comes before this one is taken up, perhaps */
			continue;
		struct mark m = { &j, ncpi_load(&j.rounds) };
		seen += wait_until(went_round, &m, 5000);
	}
	ncpi_store(&j.stop, 1u);
	pthread_join(thread, NULL);
	is_u64(400, good, "replaced four hundred times under another thread's eyes");
	is_u64(100, seen, "which goes on all the time");
	is_u64(j.rounds, j.both, "what both accept is never missed");
	ok(j.one < j.rounds, "what one accepts, at times: %llu of %llu", (unsigned long long)j.one,
	   (unsigned long long)j.rounds);
	frame_filter_close(&j.f);
}

int main(void)
{
	plan(5 + 27 + 4);
	test_refusals();
	test_types();
	test_threads();
	return tap_done();
}
