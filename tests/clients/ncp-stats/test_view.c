/* SPDX-License-Identifier: BSD-2-Clause */
/* test_view.c - the terminal's page: cells, the last minutes, tables, keys. */
#include <stdlib.h>
#include <string.h>

#include "clients/ncp-stats/view.h"
#include "tap/tap.h"

#define SECOND UINT64_C(1000000000)
#define N_CLIENTS 5u

static struct grid g;
static struct view v;
static struct history history;
static struct traffic traffic;
static struct snapshot s;
static struct snapshot_client client[N_CLIENTS];
static struct snapshot_interface interface[1];
static struct ncp_worker worker[2];
static struct tap_rng rng;

static const char *user(uint32_t uid)
{
	return uid ? "alice" : "root";
}

/* A row as text, bars in ASCII, without the blanks at its end. */
static const char *row(unsigned int at)
{
	static char text[512];
	size_t len = 0;

	for (unsigned int col = 0; at < g.rows && col < g.cols && col + 1 < sizeof(text); col++) {
		text[col] = grid_ascii(g.cell[(size_t)at * g.cols + col].glyph);
		if (text[col] != ' ')
			len = col + 1;
	}
	text[len] = '\0';
	return text;
}

/* The first row that has a text; g.rows: none. */
static unsigned int row_of(const char *text)
{
	unsigned int at = 0;

	while (at < g.rows && !strstr(row(at), text))
		at++;
	return at;
}

static bool shown(const char *text)
{
	return row_of(text) < g.rows;
}

static enum grid_style style_of(const char *text)
{
	unsigned int at = row_of(text);

	return at < g.rows ? g.cell[(size_t)at * g.cols + (size_t)(strstr(row(at), text) - row(at))]
				     .style
			   : GRID_STYLES;
}

static void flow_add(uint8_t to, uint32_t n, uint32_t len)
{
	uint8_t f[42] = {
		[12] = 8, [14] = 0x45, [23] = 17, [26] = 10, [29] = 1, [30] = 10, [34] = 1, [36] = 2
	};

	f[33] = to;
	while (n--)
		traffic_add(&traffic, 1, f, sizeof(f), len, 1);
}

static void make(void)
{
	static const char *const names[N_CLIENTS] = { "dump", "extcap", "ids", "evil\033[2J",
						      "old" };

	v = (struct view){ .n_busses = 1 };
	s = (struct snapshot){ .at_ns = 1767225600 * SECOND, .mono_ns = 100 * SECOND };
	strcpy(s.info.name, "eth0");
	s.info.state = NCP_LIVE;
	s.info.pid = 77;
	s.info.epoch = 1;
	s.info.next_seq = 30000;
	s.info.oldest_seq = 10000;
	s.info.bytes = 3000000;
	s.info.received = 30009;
	s.info.kernel_drops = 9;
	s.info.ring_size = 8 << 20;
	s.info.head = 6 << 20;
	s.info.tail = 2 << 20;
	s.depth_ns = 2 * SECOND;
	memset(client, 0, sizeof(client));
	for (uint32_t i = 0; i < N_CLIENTS; i++) {
		memcpy(client[i].peer.name, names[i], strlen(names[i]));
		client[i].peer.pid = 1000 + i;
		client[i].peer.uid = i % 2;
		client[i].peer.frames = 100 * i;
		client[i].lag_frames = 10 * (i % 3);
		client[i].lag_ns = SECOND / 10 * (i % 3);
		client[i].overrun_ns = 5 * SECOND;
	}
	client[1].peer.lost = 70;
	client[2].overrun_ns = SECOND / 2;
	client[4].elsewhere = true;
	client[4].lag_frames = client[4].lag_ns = client[4].overrun_ns = NCP_UNKNOWN;
	s.client = client;
	s.n_clients = s.n_clients_in_all = N_CLIENTS;
	interface[0] = (struct snapshot_interface){ "eth0", 1, 30000, 30009, 9 };
	s.interface = interface;
	s.n_interfaces = 1;
	worker[0] = (struct ncp_worker){ .index = 0, .published = 22500, .received = 22509 };
	worker[1] = (struct ncp_worker){ .index = 1, .published = 7500, .received = 7500 };
	s.worker = worker;
	s.n_workers = 2;
	memset(&history, 0, sizeof(history));
	traffic_clear(&traffic);
	flow_add(1, 10, 100);
	flow_add(2, 20, 60);
	flow_add(3, 10, 1000);
	traffic_run_end(&traffic);
	traffic_add(&traffic, 1, (const uint8_t *)"", 0, 60, 1);
	traffic_stratum_end(&traffic, 410);
	traffic.span_ns = 2 * SECOND;
}

static void draw(unsigned int rows, unsigned int cols)
{
	const struct view_data d = {
		.bus = "eth0", .s = &s, .traffic = &traffic, .history = &history, .user = user
	};

	if (grid_clear(&g, rows, cols) < 0)
		bail("no memory");
	view_draw(&g, &v, &d);
}

static void keys(const char *text)
{
	while (*text)
		if (!view_key(&v, *text++))
			bail("it quit");
}

static void test_grid(void)
{
	if (grid_clear(&g, 2, 5) < 0)
		bail("no memory");
	is_u64(7, grid_put(&g, 0, 3, GRID_PLAIN, "ab%s", "cd"), "text beyond the edge is counted");
	is_str("   ab", row(0), "and left out");
	grid_put(&g, 1, 0, GRID_PLAIN, "\033\xc3\xa4\x7f.");
	is_str("????.", row(1), "what is no printable ASCII becomes ?");
	grid_put(&g, 9, 0, GRID_PLAIN, "x");
	grid_level(&g, 0, 9, GRID_BAR, 3);
	grid_share(&g, 0, 0, 4, GRID_BAR, 0.5);
	is_str("## ab", row(0), "half of four cells; what is outside is nowhere");
	grid_level(&g, 0, 0, GRID_BAR, 99);
	is_str("## ab", row(0), "no bar is higher than full");
}

static void test_history(void)
{
	struct snapshot at = { .has_rates = true, .mono_ns = 10 * SECOND, .interval_ns = SECOND };

	memset(&history, 0, sizeof(history));
	ok(history_rate(&history, 0, 100, HISTORY_FRAMES) < 0, "nothing is known at first");
	at.now.frames = 100;
	history_add(&history, &at);
	history_add(&history, &at);
	ok(history_rate(&history, 10, 1, HISTORY_FRAMES) == 100, "a second, once");
	at.mono_ns = 14 * SECOND;
	at.interval_ns = 4 * SECOND;
	at.now.frames = 200;
	history_add(&history, &at);
	ok(history_rate(&history, 11, 1, HISTORY_FRAMES) == 200 &&
		   history_rate(&history, 14, 1, HISTORY_FRAMES) == 200,
	   "a long interval is spread");
	ok(history_rate(&history, 10, 2, HISTORY_FRAMES) == 150, "two seconds have their mean");
	at.interval_ns = SECOND / 2;
	at.mono_ns = 15 * SECOND;
	at.now.frames = 10;
	history_add(&history, &at);
	at.mono_ns = 15 * SECOND + SECOND / 2;
	at.now.frames = 30;
	history_add(&history, &at);
	ok(history_rate(&history, 15, 1, HISTORY_FRAMES) == 20, "two halves have theirs");
	at.mono_ns = (15 + HISTORY_SLOTS) * SECOND;
	at.interval_ns = SECOND;
	history_add(&history, &at);
	ok(history_rate(&history, 15, 1, HISTORY_FRAMES) < 0, "what is too long ago is forgotten");
}

static void test_page(void)
{
	make();
	draw(24, 80);
	ok(!strncmp("eth0  live  pid 77  epoch 1", row(0), 27), "who and how: %s", row(0));
	is_str("published 30000 frames, 2.86M  received 30009  discarded 0", row(1), "counters");
	is_str("kernel drops 9  lost by clients 70  freezes 0  truncated 0", row(2), "loss");
	is_u64(GRID_WARN, style_of("kernel drops"), "drops of the past are a warning");
	is_u64(GRID_BAD, style_of("lost by"), "loss is bad");
	is_str("ring 8M, 4M used, holds 2.00 s: frames 10000 to 29999", row(3), "the ring");
	is_str("frames               -          -          -", row(5), "no rate yet");
	is_str("eth0                      30000          30009          9 100.0% ###############",
	       row(9), "a source");
	ok(shown("CLIENTS 5/5"), "clients");
	is_str("extcap           alice       1001        10 100.0 ms   5.00 s       70",
	       row(row_of("extcap")), "a client");
	is_u64(GRID_BAD, style_of("70"), "with what it lost in red");
	ok(!shown("\033") && shown("FLOWS 3  sampled 1/10 +-"), "the sample is said to be one");
	is_str("udp 10.0.0.1:256 - 10.0.0.3:512                                  50   400k   82%",
	       row(row_of("10.0.0.3:512")), "a flow with its rates as of all frames");
	ok(row_of("q quit") == 23, "keys on the last row");

	s.has_rates = true;
	s.interval_ns = SECOND;
	s.now = (struct snapshot_rate){ .frames = 5000, .bits = 4e6, .kernel_drops = 3 };
	history_add(&history, &s);
	s.mono_ns += 100 * SECOND;
	s.now.frames = 2500;
	s.now.kernel_drops = 0;
	history_add(&history, &s);
	s.now.kernel_drops = 3;
	draw(24, 80);
	is_str("frames           2.50k          0          0                      #            =",
	       row(5), "bars where there were rates");
	is_u64(GRID_BAD, style_of("kernel drops"), "drops of now are bad");
	draw(60, 200);
	ok(shown("worker 0                  22500          22509          0  75.0% ######"),
	   "the workers' balance");
	ok(shown("evil?[2J") && shown("old bus"), "every client, escaped");
	ok(shown("FILTERED"), "wide pages have more columns");
	s.info.state = NCP_DEAD;
	draw(24, 80);
	is_u64(GRID_BAD, style_of("dead"), "a dead producer is bad");
}

static void test_keys(void)
{
	make();
	keys("s");
	draw(60, 200);
	ok(row_of("ids  ") < row_of("extcap ") && row_of("extcap ") < row_of("dump "),
	   "clients by frames behind");
	is_u64(GRID_WARN, style_of("ids  "), "who will soon lose frames is marked");
	keys("s");
	draw(60, 200);
	is_u64(row_of("CLIENTS") + 1, row_of("extcap "), "by lost");
	keys("s");
	draw(60, 200);
	is_u64(row_of("CLIENTS") + 1, row_of("old  "), "by frames");
	is_u64(row_of("FLOWS") + 1, row_of("10.0.0.3:512"), "flows by bytes");
	keys("t");
	draw(60, 200);
	is_u64(row_of("FLOWS") + 1, row_of("10.0.0.2:512"), "flows by frames");

	keys("/Alix");
	view_key(&v, VIEW_KEY_ERASE);
	draw(60, 200);
	ok(shown("filter: Ali_"), "a filter is typed");
	ok(shown("extcap ") && !shown("dump ") && shown("CLIENTS 2/5"), "clients of a user");
	ok(shown("FLOWS 0"), "and no flow");
	view_key(&v, VIEW_KEY_ENTER);
	keys("s");
	ok(!strcmp(v.filter, "Ali") && v.order == ORDER_NAME,
	   "Enter keeps it, keys are keys again");
	view_key(&v, VIEW_KEY_ESCAPE);
	keys("/10.0.0.2:");
	draw(60, 200);
	ok(shown("FLOWS 1") && shown("CLIENTS 0/5"), "a flow");
	view_key(&v, VIEW_KEY_ESCAPE);
	ok(!v.editing && !*v.filter, "Esc drops it");
	keys("/q0123456789012345678901234567890123456789");
	is_u64(31, strlen(v.filter), "a filter has an end");
	view_key(&v, VIEW_KEY_ESCAPE);

	keys("\t\t");
	for (int i = 0; i < 9; i++)
		view_key(&v, VIEW_KEY_DOWN);
	draw(12, 80);
	is_u64(3, v.scroll, "a single table ends at its end");
	ok(!shown("SOURCES") && row_of("extcap ") == g.rows && shown("ids"),
	   "and its rest is shown");
	view_key(&v, VIEW_KEY_PAGE_UP);
	is_u64(0, v.scroll, "back");
	view_key(&v, VIEW_KEY_ESCAPE);
	is_u64(PANE_ALL, v.pane, "all tables again");

	v.n_busses = 3;
	keys("B");
	is_u64(2, v.bus_idx, "the bus before the first is the last");
	keys("b");
	is_u64(0, v.bus_idx, "and after it comes the first");
	keys("h");
	draw(24, 80);
	is_str("Keys of ncp-stats", row(0), "help");
	keys("pp");
	ok(!v.help && v.paused, "any key leaves it and does no more");
	draw(24, 80);
	ok(strstr(row(0), "PAUSED"), "a pause is said");
	ok(!view_key(&v, 'q'), "q quits");
}

static void test_refusal(void)
{
	const struct view_data d = { .bus = "eth0", .why = "no \033 right", .user = user };

	v = (struct view){ .n_busses = 1 };
	if (grid_clear(&g, 24, 80) < 0)
		bail("no memory");
	view_draw(&g, &v, &d);
	is_str("no ? right", row(1), "why a bus cannot be shown");
}

/* Whatever the numbers, the keys and the size: cells hold what cells may. */
static void test_random(void)
{
	bool good = true;

	make();
	v.n_busses = 2;
	for (int i = 0; i < 3000 && good; i++) {
		static const int pressed[] = { 'h',
					       'p',
					       's',
					       't',
					       '/',
					       'x',
					       '1',
					       '\t',
					       'b',
					       'B',
					       'j',
					       'k',
					       VIEW_KEY_ESCAPE,
					       VIEW_KEY_PAGE_DOWN,
					       VIEW_KEY_UP,
					       VIEW_KEY_ERASE,
					       VIEW_KEY_ENTER,
					       VIEW_KEY_OTHER };
		uint64_t *const at[] = { &s.info.next_seq,
					 &s.info.oldest_seq,
					 &s.info.head,
					 &s.info.tail,
					 &s.info.created_ns,
					 &s.depth_ns,
					 &s.at_ns,
					 &client[2].lag_frames,
					 &client[2].overrun_ns,
					 &interface[0].published,
					 &traffic.published,
					 &traffic.span_ns };

		view_key(&v, pressed[tap_rng_u64(&rng) % (sizeof(pressed) / sizeof(*pressed))]);
		*at[tap_rng_u64(&rng) % (sizeof(at) / sizeof(*at))] = tap_rng_u64(&rng) >>
								      tap_rng_u64(&rng) % 64;
		s.info.state = (uint32_t)(tap_rng_u64(&rng) % 9);
		s.has_rates = tap_rng_u64(&rng) % 2;
		s.now.frames = (double)tap_rng_u64(&rng);
		s.mono_ns += tap_rng_u64(&rng) % (3 * SECOND);
		s.interval_ns = tap_rng_u64(&rng) % (900 * SECOND);
		history_add(&history, &s);
		draw(1 + (unsigned int)(tap_rng_u64(&rng) % 70),
		     1 + (unsigned int)(tap_rng_u64(&rng) % 700));
		for (size_t c = 0; c < (size_t)g.rows * g.cols; c++)
			good &= g.cell[c].style < GRID_STYLES &&
				((g.cell[c].glyph >= ' ' && g.cell[c].glyph <= '~') ||
				 (g.cell[c].glyph >= GRID_LEVEL &&
				  g.cell[c].glyph <= GRID_LEVEL + GRID_FULL));
	}
	ok(good, "3000 pages of any size and content");
}

int main(void)
{
	setenv("TZ", "UTC", 1);
	plan(5 + 6 + 20 + 23 + 1 + 1);
	rng = (struct tap_rng){ .seed = tap_seed() };
	test_grid();
	test_history();
	test_page();
	test_keys();
	test_refusal();
	test_random();
	grid_free(&g);
	return tap_done();
}
