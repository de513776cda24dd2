/* SPDX-License-Identifier: BSD-2-Clause */
/* test_snapshot.c - depth, rates and lag follow from the counters, and from nothing else. */
#include <string.h>

#include "clients/ncp-stats/snapshot.h"
#include "tap/tap.h"

#define SECOND UINT64_C(1000000000)

/* A bus of 1 MiB that holds frames 1000 to 1999 of ten seconds in its last half. */
static struct snapshot look(uint64_t incarnation, uint64_t mono_ns)
{
	struct snapshot s = { .at_ns = 1767225600 * SECOND, .mono_ns = mono_ns };

	s.info.state = NCP_LIVE;
	s.info.incarnation = incarnation;
	s.info.ring_size = 1 << 20;
	s.info.head = 3 << 20;
	s.info.tail = (3 << 20) - (1 << 19);
	s.info.oldest_seq = 1000;
	s.info.next_seq = 2000;
	s.info.oldest_ts_ns = 100 * SECOND;
	s.info.newest_ts_ns = 110 * SECOND;
	s.info.bytes = 500000;
	s.info.kernel_drops = 7;
	return s;
}

static struct snapshot_client client(uint64_t seq, uint64_t position)
{
	struct snapshot_client c = { 0 };

	c.peer.incarnation = 1;
	c.peer.seq = seq;
	c.peer.position = position;
	return c;
}

static void test_depth(void)
{
	struct snapshot_past past = { 0 };
	struct snapshot s = look(1, SECOND);

	snapshot_derive(&s, &past);
	is_u64(10 * SECOND, s.depth_ns, "depth reaches from the oldest frame to the newest");
	s = look(1, 2 * SECOND);
	s.info.newest_ts_ns = 99 * SECOND;
	snapshot_derive(&s, &past);
	is_u64(0, s.depth_ns, "times that run backwards give no depth");
	s = look(1, 3 * SECOND);
	s.info.oldest_seq = s.info.next_seq;
	s.info.oldest_ts_ns = 0;
	snapshot_derive(&s, &past);
	is_u64(NCP_UNKNOWN, s.depth_ns, "without a frame the depth is unknown");
}

static void test_rates(void)
{
	struct snapshot_past past = { 0 };
	struct snapshot s = look(1, 10 * SECOND);

	snapshot_derive(&s, &past);
	ok(!s.has_rates, "the first look has no rates");

	s = look(1, 12 * SECOND);
	s.info.next_seq += 200;
	s.info.bytes += 20000;
	s.info.kernel_drops += 4;
	s.info.head += 30000;
	snapshot_derive(&s, &past);
	ok(s.has_rates, "the second has");
	is_u64(2 * SECOND, s.interval_ns, "over the time between them");
	is_u64(100, (uint64_t)s.now.frames, "frames a second");
	is_u64(80000, (uint64_t)s.now.bits, "bits a second are eight times the bytes");
	is_u64(2, (uint64_t)s.now.kernel_drops, "drops a second");
	is_u64(15000, (uint64_t)s.now.ring_bytes, "ring bytes a second");

	s = look(1, 14 * SECOND);
	s.info.next_seq += 200;
	s.info.bytes += 20000;
	s.info.head += 30000;
	s.info.kernel_drops += 4;
	snapshot_derive(&s, &past);
	is_u64(0, (uint64_t)s.now.frames, "nothing came: the rate now is 0");
	is_u64(50, (uint64_t)s.mean.frames, "the mean is over all of the watch");
	is_u64(100, (uint64_t)s.peak.frames, "the peak stays");
	is_u64(4 * SECOND, s.watched_ns, "the watch is as long as its looks");

	s = look(1, 14 * SECOND);
	snapshot_derive(&s, &past);
	ok(!s.has_rates, "two looks at one moment give no rate");

	s = look(1, 15 * SECOND);
	s.info.next_seq = 5;
	s.info.bytes = s.info.kernel_drops = s.info.head = 0;
	snapshot_derive(&s, &past);
	is_u64(0, (uint64_t)s.now.frames, "a counter that goes back is no huge rate");

	s = look(2, 16 * SECOND);
	snapshot_derive(&s, &past);
	ok(!s.has_rates, "another incarnation begins anew");
	s = look(2, 17 * SECOND);
	s.info.next_seq += 10;
	snapshot_derive(&s, &past);
	is_u64(10, (uint64_t)s.peak.frames, "its peak is its own");
}

static void test_lag(void)
{
	struct snapshot_past past = { 0 };
	struct snapshot s = look(1, SECOND);
	struct snapshot_client c[6] = {
		client(2000, 3 << 20),
		client(1500, (3 << 20) - (1 << 18)),
		client(2010, (3 << 20) + 4096),
		client(100, (1 << 20)),
		client(1500, (3 << 20) - (1 << 18)),
		client(1500, (3 << 20) - (1 << 18)),
	};

	c[4].peer.reliable = 1;
	c[5].peer.incarnation = 9;
	s.client = c;
	s.n_clients = 6;
	snapshot_derive(&s, &past);

	is_u64(0, c[0].lag_frames, "a client at head is behind by no frame");
	is_u64(0, c[0].lag_bytes, "nor byte");
	is_u64(0, c[0].lag_ns, "nor time");
	/* Half a MiB came in ten seconds; a whole one is free before it is overrun. */
	is_u64(20, c[0].overrun_ns / SECOND, "it has a ring's time, at the pace the ring was filled");

	is_u64(500, c[1].lag_frames, "frames between it and the newest");
	is_u64(1 << 18, c[1].lag_bytes, "bytes likewise");
	is_u64(5 * SECOND, c[1].lag_ns, "half of the ring's frames is half of its depth");
	is_u64(15, c[1].overrun_ns / SECOND, "what it is behind is taken off its time");

	is_u64(0, c[2].lag_frames, "a line read later than the header may be ahead: not behind");
	is_u64(0, c[3].overrun_ns, "a client a ring behind is overrun");
	is_u64(1900, c[3].lag_frames, "and its lag is what it is");
	is_u64(NCP_UNKNOWN, c[4].overrun_ns, "a client that is waited for is never overrun");
	ok(c[5].elsewhere, "a client of another incarnation is somewhere else");
	is_u64(NCP_UNKNOWN, c[5].lag_frames, "and how far it is behind here is no number");

	struct snapshot t = look(1, 2 * SECOND);
	t.info.head += 1 << 18;
	struct snapshot_client d = client(2000, (3 << 20) + (1 << 18));
	t.client = &d;
	t.n_clients = 1;
	snapshot_derive(&t, &past);
	is_u64(4, d.overrun_ns / SECOND, "with an interval its pace counts, not the ring's");

	struct snapshot e = { .mono_ns = SECOND };
	struct snapshot_past none = { 0 };
	struct snapshot_client f = { 0 };
	e.info.ring_size = 1 << 20;
	e.client = &f;
	e.n_clients = 1;
	snapshot_derive(&e, &none);
	is_u64(NCP_UNKNOWN, f.overrun_ns, "on a bus without a frame nobody knows");
	is_u64(0, f.lag_ns, "but nobody is behind");
}

static void test_lost(void)
{
	struct snapshot_client c[2] = { 0 };
	struct snapshot s = { .client = c, .n_clients = 2 };

	c[0].peer.lost = 3;
	c[1].peer.lost = 4;
	is_u64(7, snapshot_lost(&s), "losses of all clients add up");
}

int main(void)
{
	plan(36);
	test_depth();
	test_rates();
	test_lag();
	test_lost();
	return tap_done();
}
