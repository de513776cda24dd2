/* SPDX-License-Identifier: BSD-2-Clause */
/* test_capture.c - where a capture begins. */
#include <stdio.h>
#include <stdlib.h>

#include "bus.h"
#include "clients/ncp-dump/capture.h"
#include "tap/tap.h"
#include "util/message.h"

/* The frame at which ncp-dump begins if 50 were there, it attaches, and 30 more come before it
 * looks. */
static uint64_t begins_at(struct test_bus *t, const char *file, const char *from)
{
	const char *words[] = { "ncp-dump", "-w", file, "--from", from, NULL };
	struct ncp_cursor at = NCP_CURSOR_INIT;
	struct capture_signals signals = { 0 };
	struct dump_options o;
	struct capture cap;
	struct ncp_client *c;

	if (dump_options_parse(&o, 5, (char **)words, FRAME_TS(t->next)) != OPTIONS_RUN)
		bail("the command line is not taken");
	bus_publish(t, 50);
	c = bus_attach(t, NCP_LATEST, 0, 0);
	bus_publish(t, 30);
	if (capture_begin(&cap, &o, c, t->name, &signals, NULL) != EXIT_DONE ||
	    ncp_tell(c, &at) != 0)
		bail("the capture does not begin");
	capture_end(&cap);
	ncp_detach(c);
	free(o.filter);
	return at.seq;
}

int main(void)
{
	struct test_bus t;
	char file[256];
	int fds;

	plan(4);
	message_setup("ncp-dump");
	snprintf(file, sizeof(file), "%s/f.pcapng", tap_tempdir(NULL));
	bus_make(&t);
	fds = tap_open_fds();
	bus_start(&t, false);
	is_u64(50, begins_at(&t, file, "latest"), "at the frame that was next when it attached");
	is_u64(0, begins_at(&t, file, "oldest"), "at the oldest");
	is_u64(70, begins_at(&t, file, "seq:70"), "at a number");
	bus_stop(&t, NCP_ENDED);
	is_i64(fds, tap_open_fds(), "no descriptor leaked");
	return tap_done();
}
