/* SPDX-License-Identifier: BSD-2-Clause */
/* test_corrupt.c - ncp-stats beside a bus whose content is broken in many ways: told, survived. */
#include <ncpbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clients/ncp-stats/fleet.h"
#include "clients/ncp-stats/metrics.h"
#include "clients/ncp-stats/object.h"
#include "clients/ncp-stats/view.h"
#include "support/bus.h"
#include "tap/tap.h"

static struct test_bus t;
static struct fleet fleet;
static struct tap_rng rng;

static const struct fleet_bus *look(void)
{
	if (fleet_take(&fleet) < 0)
		bail("fleet");
	return fleet.bus[0];
}

/* Everything that is told of it, so that a sanitizer sees it: never more than a page. */
static bool tell(const struct fleet_bus *b)
{
	static char text[1 << 20];
	struct json j;

	json_open(&j);
	if (b->attached)
		object_snapshot(&j, &b->snapshot, fleet_traffic(b));
	else
		object_unknown(&j, b->name.name, b->why);
	bool told = json_text(&j) != NULL;
	json_close(&j);
	FILE *f = fmemopen(text, sizeof(text), "w");
	if (!f)
		bail("fmemopen");
	metrics_print(f, &fleet, true);
	return fclose(f) == 0 && told && strstr(text, "# EOF");
}

static bool text_has(const char *text)
{
	static char all[1 << 20];
	FILE *f = fmemopen(all, sizeof(all), "w");

	if (!f)
		bail("fmemopen");
	metrics_print(f, &fleet, false);
	fclose(f);
	return strstr(all, text) != NULL;
}

static const char *nobody(uint32_t uid)
{
	(void)uid;
	return "somebody";
}

/* The first row of the terminal's page. */
static const char *page_head(const struct fleet_bus *b)
{
	static char row[121];
	struct grid g = { 0 };
	struct view v = { .n_busses = 1 };
	const struct view_data d = { .bus = b->name.name, .s = &b->snapshot,
				     .traffic = fleet_traffic(b), .history = &b->history,
				     .user = nobody };

	if (grid_clear(&g, 24, 120) < 0)
		bail("memory");
	view_draw(&g, &v, &d);
	for (size_t i = 0; i < 120; i++)
		row[i] = grid_ascii(g.cell[i].glyph);
	grid_free(&g);
	return row;
}

static void test_header(void)
{
	struct ncpi_header *h = t.bus.seg.h;
	const uint32_t prologue_len = h->prologue_len;
	struct json j;

	bus_publish(&t, 50);
	ok(!look()->snapshot.wrong && look()->sample, "a whole bus is looked at");
	is_u64(50, fleet.bus[0]->snapshot.info.next_seq, "with its numbers");
	h->prologue_len = 4000000000;
	bus_publish(&t, 1);
	const struct fleet_bus *b = look();
	is_str(ncp_strerror(NCP_ECORRUPT), snapshot_reason(&b->snapshot),
	       "a prologue longer than there is room for");
	is_u64(50, b->snapshot.info.next_seq, "the last numbers stand");
	ok(!b->snapshot.has_rates && !fleet_traffic(b), "without rates and traffic");
	ok(text_has("ncp_producer_up{bus=\"") && text_has("\"} 0\n") &&
		   text_has(",state=\"corrupt\","),
	   "in metrics it is corrupt");
	json_open(&j);
	object_snapshot(&j, &b->snapshot, NULL);
	ok(strstr(json_text(&j), "\"state\":\"corrupt\",\"reason\":\"") != NULL, "in JSON, too");
	json_close(&j);
	ok(strstr(page_head(b), "  corrupt (") != NULL, "and on the terminal's page: %s",
	   page_head(b));
	h->prologue_len = prologue_len;
	b = look();
	ok(!b->snapshot.wrong && b->snapshot.info.next_seq == 51, "whole again, it is told as it is");

	const uint64_t head = h->head;
	h->head = head + 4;
	b = look();
	ok(b->snapshot.wrong, "a head that no slot knows is corrupt");
	h->head = head;
	ok(!look()->snapshot.wrong, "and not when it is right");
}

/* A ring of rubbish: what frames carry cannot be told, and that is. */
static void test_ring(void)
{
	(void)look();
	bus_publish(&t, 20);
	memset(t.bus.seg.ring, 0xff, 1 << 16);
	const struct fleet_bus *b = look();
	ok(b->snapshot.wrong, "blocks that are none are corrupt");
	bus_lap(&t, t.bus.seg.h->head);
	b = look();
	bus_publish(&t, 20);
	b = look();
	ok(!b->snapshot.wrong && b->sample && b->sample->last.looked == 20,
	   "once they are overwritten frames are looked at again");
}

/* Words of the header, the tables and the prologue, and of the ring, set to anything. */
static void test_random(void)
{
	uint8_t *from = (uint8_t *)t.bus.seg.h;
	const size_t front = 1 << 16;
	uint8_t *whole = malloc(front);
	unsigned int wrong = 0, told = 0;
	const unsigned int rounds = 3000;

	if (!whole)
		bail("memory");
	memcpy(whole, from, front);
	for (unsigned int i = 0; i < rounds; i++) {
		for (uint64_t n = tap_rng_below(&rng, 4) + 1; n; n--) {
			/* Half of them in the first pages, where most depends on each word. */
			size_t at = tap_rng_below(&rng, tap_rng_below(&rng, 2) ? 1024 : front) / 8 * 8;
			uint64_t word = tap_rng_u64(&rng) >> tap_rng_below(&rng, 64);

			memcpy(from + at, &word, sizeof(word));
		}
		const struct fleet_bus *b = look();
		wrong += b->attached && b->snapshot.wrong;
		told += tell(b);
		fleet_sample(&fleet);
		memcpy(from, whole, front);
	}
	free(whole);
	is_u64(rounds, told, "%u broken headers are all told of", rounds);
	ok(wrong >= 20, "%u of them as corrupt", wrong);
	ok(!look()->snapshot.wrong, "and a whole one as such");
}

/* --- the program ------------------------------------------------------------------------------ */

static char output[8192];

static int run(const char *args)
{
	char command[1024];

	snprintf(command, sizeof(command), "timeout 20 %s/ncp-stats --dir %s %s 2>&1",
		 getenv("NCP_BIN"), t.dir, args);
	FILE *f = popen(command, "r");
	if (!f)
		bail("popen");
	output[fread(output, 1, sizeof(output) - 1, f)] = '\0';
	int status = pclose(f);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_program(void)
{
	t.bus.seg.h->prologue_len = 4000000000;
	is_i64(1, run("--once"), "of a corrupt bus nothing can be told: 1");
	ok(strstr(output, ncp_strerror(NCP_ECORRUPT)) != NULL, "and why: %s", output);
	is_i64(0, run("--list"), "a list has it");
	ok(strstr(output, t.name) && strstr(output, ncp_strerror(NCP_ECORRUPT)), "and why");
	is_i64(0, run("--list --json"), "also as JSON");
	ok(strstr(output, "\"state\":null,\"why\":\"") != NULL, "with an unknown state");
}

int main(void)
{
	if (!getenv("NCP_BIN"))
		skip_all("NCP_BIN does not say where ncp-stats is");
	plan(11 + 2 + 3 + 6);
	rng.seed = tap_seed();
	bus_make(&t);
	bus_start(&t, false);
	fleet = (struct fleet){ .only = t.name, .dir = t.dir, .sampled = true };
	test_header();
	test_ring();
	test_random();
	fleet_close(&fleet);
	test_program();
	bus_stop(&t, NCP_ENDED);
	return tap_done();
}
