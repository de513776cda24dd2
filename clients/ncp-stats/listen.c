/* SPDX-License-Identifier: BSD-2-Clause */
/* listen.c - from looks to the texts that the server tells. */
#include "listen.h"

#include <errno.h>
#include <ncpbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fleet.h"
#include "metrics.h"
#include "object.h"
#include "serve.h"
#include "util/json.h"
#include "util/message.h"

/* A fleet in Prometheus' words, by malloc; NULL: no memory. */
static char *metrics_text(const struct fleet *fleet, bool open)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	metrics_print(f, fleet, open);
	if (fclose(f)) {
		free(text);
		return NULL;
	}
	return text;
}

static int tell(struct serve *serve, const struct fleet *fleet, struct json *j)
{
	char *text = metrics_text(fleet, false), *open = metrics_text(fleet, true);
	int r = -ENOMEM;

	json_reset(j);
	json_array_begin(j);
	for (uint32_t i = 0; i < fleet->n; i++) {
		const struct fleet_bus *b = fleet->bus[i];

		if (b->attached)
			object_snapshot(j, &b->snapshot, fleet_traffic(b));
		else
			object_unknown(j, b->name.name, b->why);
	}
	json_array_end(j);
	const struct serve_news news = { json_text(j), text, open };
	if (news.busses && text && open)
		r = serve_tell(serve, &news);
	free(text);
	free(open);
	return r;
}

static void greet(const struct serve *serve)
{
	message_note(MESSAGE_TEXT("port %u", serve_port(serve)), "answering requests", NULL);
	if (!serve_is_local(serve))
		message_note("--listen", "not a loopback address",
			     "whoever can reach it can read all of this");
}

int listen_run(const struct stats_options *o, struct ticker *t)
{
	const struct serve_options so = { .listen = o->listen, .hosts = o->hosts };
	struct fleet *fleet = calloc(1, sizeof(*fleet));
	struct serve *serve = NULL;
	uint64_t next = look_now(CLOCK_MONOTONIC);
	char why[128] = "no memory";
	struct json j;
	int r;

	if (!fleet || serve_start(&serve, &so, why) < 0) {
		free(fleet);
		return message_error(EXIT_FAILED, MESSAGE_TEXT("--listen %s", o->listen), why,
				     "give ADDR:PORT, such as 127.0.0.1:10469");
	}
	*fleet = (struct fleet){
		.only = o->bus, .dir = o->dir, .trust = o->trust, .sampled = true
	};
	json_open(&j);
	greet(serve);
	do {
		r = fleet_take(fleet);
		if (r == 0)
			r = tell(serve, fleet, &j);
		next = ticker_next(next, o->interval_ns);
		while (r == 0 && !t->ended) {
			uint64_t now = look_now(CLOCK_MONOTONIC);

			if (now >= next)
				break;
			(void)ticker_sleep(t, next - now < SAMPLE_EVERY_NS ? next
									   : now + SAMPLE_EVERY_NS);
			fleet_sample(fleet);
			serve_tend(serve);
		}
	} while (r == 0 && !t->ended);
	serve_stop(serve);
	json_close(&j);
	fleet_close(fleet);
	free(fleet);
	return r < 0 ? message_error(EXIT_FAILED, "looking at busses", ncp_strerror(r), NULL)
		     : EXIT_DONE;
}
