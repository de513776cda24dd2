/* SPDX-License-Identifier: BSD-2-Clause */
/* test_guests.c - places of the server: who has to leave, and when. */
#include <sys/socket.h>
#include <unistd.h>

#include "clients/ncp-stats/guests.h"
#include "tap/tap.h"

#define SECOND UINT64_C(1000000000)

static struct guests g;
static struct guest *guest[GUESTS_CONNECTIONS];
static int fd[GUESTS_CONNECTIONS], peer[GUESTS_CONNECTIONS];

/* Connection i begins at a time; its browser holds peer[i]. */
static void enters(unsigned int i, uint64_t now_ns)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		bail("no sockets");
	fd[i] = pair[0];
	peer[i] = pair[1];
	guest[i] = guests_enter(&g, fd[i], now_ns);
}

static void leaves(unsigned int i)
{
	guests_leave(&g, guest[i]);
	close(fd[i]);
	close(peer[i]);
}

/* Does the browser of connection i find that it was ended? */
static bool ended(unsigned int i)
{
	char c;

	return recv(peer[i], &c, 1, MSG_DONTWAIT) == 0;
}

static unsigned int n_ended(unsigned int n)
{
	unsigned int with = 0;

	for (unsigned int i = 0; i < n; i++)
		with += ended(i);
	return with;
}

static void test_time(void)
{
	guests_open(&g);
	for (unsigned int i = 0; i < 3; i++)
		enters(i, SECOND);
	ok(guests_stream(&g, guest[2]), "one is told events");
	guests_tend(&g, SECOND + GUESTS_FIRST_NS - 1);
	is_u64(0, n_ended(3), "all are waited for");
	guests_answered(&g, guest[1], 5 * SECOND);
	guests_tend(&g, SECOND + GUESTS_FIRST_NS);
	ok(ended(0), "who has not asked by then is not waited for any more");
	ok(!ended(1), "who had an answer may ask again");
	guests_tend(&g, 5 * SECOND + GUESTS_NEXT_NS - 1);
	ok(!ended(1), "for a while");
	guests_tend(&g, 5 * SECOND + GUESTS_NEXT_NS);
	ok(ended(1), "and no longer");
	guests_tend(&g, 1000 * GUESTS_NEXT_NS);
	ok(!ended(2), "who is told events stays");
	guests_answered(&g, guest[2], SECOND);
	guests_tend(&g, SECOND + GUESTS_NEXT_NS);
	ok(ended(2), "until that is over");
	/* The server's thread may have looked at the clock later than the one that tends. */
	enters(3, 9 * SECOND);
	guests_tend(&g, 8 * SECOND);
	ok(!ended(3), "a time that is yet to come is no long one");
	for (unsigned int i = 0; i < 4; i++)
		leaves(i);
	guests_close(&g);
}

static void test_places(void)
{
	unsigned int n = 0;

	guests_open(&g);
	for (; n < GUESTS; n++)
		enters(n, (1 + n) * SECOND);
	is_u64(0, n_ended(n), "there are as many places as there should be");
	for (unsigned int i = 0; i < GUESTS_STREAMS; i++)
		if (!guests_stream(&g, guest[i]))
			bail("stream %u is refused", i);
	ok(!guests_stream(&g, guest[GUESTS_STREAMS]), "events are for half of them");
	guests_answered(&g, guest[GUESTS_STREAMS], 1000 * SECOND);
	enters(n++, 1001 * SECOND);
	ok(ended(GUESTS_STREAMS + 1) && n_ended(n) == 1,
	   "one more gets the place of who waited longest and is told no events");
	enters(n++, 1002 * SECOND);
	ok(ended(GUESTS_STREAMS + 2) && n_ended(n) == 2, "the next that of the next one");
	leaves(0);
	enters(0, 1003 * SECOND);
	is_u64(2, n_ended(n), "when somebody has left, nobody has to");
	ok(guests_stream(&g, guest[n - 1]), "and one more may be told events");
	while (n < GUESTS_CONNECTIONS)
		enters(n++, 1004 * SECOND);
	is_u64(GUESTS_CONNECTIONS - GUESTS, n_ended(n),
	       "however many come before those who were ended have gone");
	for (unsigned int i = 0; i < n; i++)
		leaves(i);
	guests_close(&g);
}

int main(void)
{
	plan(9 + 7);
	test_time();
	test_places();
	return tap_done();
}
