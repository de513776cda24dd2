/* SPDX-License-Identifier: BSD-2-Clause */
/* test_recipe.c - the recipe on ncpbus.h's first page, compiled and run as it stands there. */
#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus.h"
#include "tap/tap.h"

#define FRAMES 300u

static uint64_t n_used, n_bytes, n_bad, lost;

static void use(const uint8_t *data, uint32_t caplen, uint64_t ts_ns)
{
	uint8_t want[FRAME_CAP];
	uint64_t seq = (ts_ns - FRAME_TS(0)) / 1000;
	const struct ncpi_frame f = frame_fill(seq, want, sizeof(want));

	n_used++;
	n_bytes += caplen;
	n_bad += f.caplen != caplen || memcmp(data, want, caplen) != 0;
}

/* clang-format off */
static void *recipe(void *unused)
{
	/* begin */
	struct ncp_options o = NCP_OPTIONS_INIT;
	struct ncp_frame f = NCP_FRAME_INIT;
	struct ncp_client *c;
	uint8_t buf[2048];
	int r = ncp_attach(&c, "eth0", &o);
	while (r >= 0) {
		r = ncp_recv(c, buf, sizeof(buf), &f);
		if (r == 0) { r = ncp_wait(c, 1000); continue; }
		if (r == 1 && f.kind == NCP_FRAME) use(f.data, f.caplen, f.ts_ns);
		if (r == 1 && f.kind == NCP_LOST) lost += f.next_seq - f.seq;
		if (r == 1 && f.kind == NCP_STATE && f.state == NCP_ENDED) break;
	}
	ncp_detach(c);
	/* end */
	(void)unused;
	return NULL;
}
/* clang-format on */

/* The lines of a file from the one that holds first to the one before last, without what a comment
 * puts in front of each, and with every run of blanks as one. */
static char *text_between(const char *path, const char *first, const char *last)
{
	static char line[512];
	char *text = calloc(1, 8192), *out = text;
	bool inside = false;
	FILE *f = fopen(path, "r");

	if (!f || !text)
		bail("cannot read %s: run this from the top of the tree", path);
	while (fgets(line, sizeof(line), f) && !(inside && strstr(line, last))) {
		const char *p = line + strspn(line, " *\t");

		if (!inside) {
			inside = strstr(line, first) != NULL;
			continue;
		}
		for (; *p && out < text + 8000; p++)
			if (!isspace((unsigned char)*p))
				*out++ = *p;
			else if (out > text && out[-1] != ' ')
				*out++ = ' ';
	}
	fclose(f);
	return text;
}

static bool client_listed(void *arg)
{
	struct ncpi_audience a;

	ncpi_writer_audience(((struct test_bus *)arg)->w, &a);
	return a.live == 1;
}

static uint64_t bytes_of(uint64_t n)
{
	uint8_t buf[FRAME_CAP];
	uint64_t sum = 0;

	for (uint64_t i = 0; i < n; i++)
		sum += frame_fill(i, buf, sizeof(buf)).caplen;
	return sum;
}

int main(void)
{
	struct test_bus t;
	pthread_t reader;

	plan(5);
	char *documented = text_between("libncpbus/include/ncpbus.h", "The recipe (", "Rules that");
	char *compiled = text_between("tests/libncpbus/test_recipe.c", "/* begin */", "/* end */");
	is_str(documented, compiled, "what is documented is what is compiled here");
	free(documented);
	free(compiled);

	bus_make(&t);
	strcpy(t.name, "eth0"); /* in a directory of the test's own */
	setenv("NCP_DIR", t.dir, 1);
	bus_start(&t, true);
	if (pthread_create(&reader, NULL, recipe, NULL))
		bail("thread");
	/* It asked for the frames to come: they come when it has attached. */
	if (!wait_until(client_listed, &t, 5000))
		bail("the recipe did not attach");
	bus_publish(&t, FRAMES);
	bus_stop(&t, NCP_ENDED);
	pthread_join(reader, NULL);

	is_u64(FRAMES, n_used + lost, "every frame was seen or counted as lost");
	is_u64(0, lost, "and the ring being large enough for all, none was lost");
	is_u64(0, n_bad, "each is the frame that was published");
	is_u64(bytes_of(FRAMES), n_bytes, "byte for byte");
	return tap_done();
}
