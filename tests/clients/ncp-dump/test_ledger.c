/* SPDX-License-Identifier: BSD-2-Clause */
/* test_ledger.c - the ledger against a list of what became of each frame. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "clients/ncp-dump/ledger.h"
#include "tap/tap.h"

static struct ledger l;

static const char *json(void)
{
	static struct json j;
	static char text[1024];

	json_open_fixed(&j, text, sizeof(text));
	ledger_json(&l, &j);
	const char *s = json_text(&j);
	json_close(&j);
	return s;
}

static void by_hand(void)
{
	struct ledger_sum sum;

	ok(ledger_now(&l) == NULL, "there is no window at first");
	is_str("[]", json(), "and none is shown");
	is_i64(0, ledger_open(&l, 0x2a, 10), "a window opens");
	ledger_frames(&l, 5, 15);
	is_i64(0, ledger_lost(&l, 15, 20, false), "frames are lost");
	ledger_frames(&l, 2, 30);
	is_i64(0, ledger_lost(&l, 12, 14, true), "some that were written turn out lost");
	is_i64(0, ledger_lost(&l, 13, 15, true), "of which one is known to be");
	is_str("[{\"incarnation\":\"000000000000002a\",\"first_seq\":10,\"next_seq\":30,\"frames\":4,"
	       "\"filtered\":8,\"others\":0,\"lost\":8,\"lost_ranges\":[[12,20]]}]",
	       json(), "they become one range");
	is_i64(0, ledger_lost(&l, 5, 11, false), "what was before the window is not its loss");
	is_i64(0, ledger_lost(&l, 25, 25, false), "nothing is no loss");
	is_str("[{\"incarnation\":\"000000000000002a\",\"first_seq\":10,\"next_seq\":30,\"frames\":4,"
	       "\"filtered\":7,\"others\":0,\"lost\":9,\"lost_ranges\":[[10,11],[12,20]]}]",
	       json(), "ranges stay apart");
	ledger_cut(&l, 16, 1);
	is_str("[{\"incarnation\":\"000000000000002a\",\"first_seq\":10,\"next_seq\":16,\"frames\":1,"
	       "\"filtered\":0,\"others\":0,\"lost\":5,\"lost_ranges\":[[10,11],[12,16]]}]",
	       json(), "a cut takes losses behind it back");
	is_i64(0, ledger_open(&l, 1, 0), "another incarnation");
	is_i64(0, ledger_lost(&l, 3, UINT64_MAX, false), "a loss that nobody can count");
	ledger_sum(&l, &sum);
	ok(sum.unknown && sum.lost == 5 && sum.frames == 1, "is told apart from those one can");
	ok(strstr(json(), "\"next_seq\":null") && strstr(json(), "\"lost\":null"),
	   "and is null in JSON");
	ledger_free(&l);
}

/* What is neither written nor lost, shared out; numbers that do not rise. */
static void orders(void)
{
	struct ledger_sum sum;

	if (ledger_open(&l, 1, 100) < 0)
		bail("no window");
	ledger_frames(&l, 10, 150);
	ledger_others(&l, UINT64_MAX);
	ledger_sum(&l, &sum);
	ok(sum.others == 40 && sum.filtered == 0, "without a filter the rest is the others'");
	ledger_others(&l, 15);
	ledger_sum(&l, &sum);
	ok(sum.others == 15 && sum.filtered == 25, "with one as many as the library says");
	l.order = LEDGER_SHARED;
	ledger_cut(&l, 120, 7);
	ledger_others(&l, UINT64_MAX);
	ledger_sum(&l, &sum);
	ok(sum.frames == 7 && sum.others == 43, "what a member of a group did not save is left over");
	ledger_free(&l);

	if (ledger_open(&l, 1, 0) < 0)
		bail("no window");
	l.order = LEDGER_SCATTERED;
	ledger_frames(&l, 3, 90);
	is_i64(0, ledger_lost(&l, 40, 44, false), "by time: some are lost");
	ledger_reach(&l, 7);
	is_str("[{\"incarnation\":\"0000000000000001\",\"first_seq\":0,\"next_seq\":7,\"frames\":3,"
	       "\"filtered\":0,\"others\":0,\"lost\":4,\"lost_ranges\":[[40,44]]}]",
	       json(), "and no number moves the window's end");
	ledger_cut(&l, 90, 1);
	ledger_sum(&l, &sum);
	ok(sum.frames == 1 && sum.lost == 4 && sum.filtered == 0 && ledger_now(&l)->next_seq == 5,
	   "what was not saved is taken off it");
	ledger_free(&l);
}

/* Every frame is written, then some are lost: singly, in runs, again, out of order. */
static void at_random(void)
{
	enum { N = 2000 };
	static bool lost[N];
	struct tap_rng rng = { .seed = tap_seed() };
	bool good = true;

	for (int round = 0; round < 50 && good; round++) {
		memset(lost, 0, sizeof(lost));
		good = ledger_open(&l, 1, 0) == 0;
		ledger_frames(&l, N, N);
		for (int i = 0; i < 200 && good; i++) {
			uint64_t a = tap_rng_below(&rng, N), n = tap_rng_below(&rng, 30);
			uint64_t b = a + n < N ? a + n : N, count = 0, next = 0;
			struct ledger_window *w = ledger_now(&l);

			good = ledger_lost(&l, a, b, true) == 0;
			for (uint64_t k = a; k < b; k++)
				lost[k] = true;
			for (size_t k = 0; k < w->n_ranges; k++) {
				struct ledger_range r = w->range[k];

				good = good && r.first < r.next && (k == 0 || r.first > next);
				for (; next < r.first; next++)
					good = good && !lost[next];
				for (; next < r.next; next++)
					good = good && lost[next];
			}
			for (; next < N; next++)
				good = good && !lost[next];
			for (int k = 0; k < N; k++)
				count += lost[k];
			good = good && w->lost == count && w->frames == N - count;
		}
		ledger_free(&l);
	}
	ok(good, "ranges are sorted, apart, and hold exactly the lost frames");
}

int main(void)
{
	plan(16 + 6);
	by_hand();
	orders();
	at_random();
	return tap_done();
}
