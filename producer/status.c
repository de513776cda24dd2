/* SPDX-License-Identifier: BSD-2-Clause */
/* status.c - what a running producer says: a line at the start, JSON every second, a summary. */
#include "producer/status.h"

#include <inttypes.h>
#include <poll.h>
#include <unistd.h>

#include "libncpbus/include/ncpbus.h"
#include "libncpbus/order.h"
#include "libncpbus/stamp.h"
#include "producer/depth.h"
#include "util/json.h"
#include "util/message.h"

/* How long the first and the last line may wait for a reader that sleeps. */
#define PATIENCE_MS 1000

/*
 * Would a line be taken now?  A pipe that is ready has room for 4096 bytes.  Nobody reads: nothing
 * is said, for a write that blocks would keep signals waiting, and at the end the exit.
 */
static bool fits(const struct status *s, int timeout_ms)
{
	struct pollfd fd = { .fd = s->json ? fileno(s->json) : STDERR_FILENO, .events = POLLOUT };

	return poll(&fd, 1, timeout_ms) == 1;
}

void status_read(const struct status *s, struct status_last *last)
{
	ncpi_writer_totals(s->writer, &last->totals);
	for (uint32_t i = 0; i < s->n_workers; i++) {
		const struct ncpi_worker_line *line = ncpi_worker_at(&s->bus->seg, i);

		last->worker[i] = (struct ncpi_worker_line){
			.published = ncpi_load(&line->published),
			.bytes = ncpi_load(&line->bytes),
			.received = ncpi_load(&line->received),
			.kernel_drops = ncpi_load(&line->kernel_drops),
			.freezes = ncpi_load(&line->freezes),
			.truncated = ncpi_load(&line->truncated),
			.discarded = ncpi_load(&line->discarded),
		};
	}
}

/* What this run added.  Counters only grow; published may have been corrected at the start. */
static void since_start(const struct status *s, const struct ncpi_worker_line *now,
			struct ncpi_worker_line *run)
{
	const struct ncpi_worker_line *then = &s->at_start;

	*run = (struct ncpi_worker_line){
		.published = now->published - then->published,
		.bytes = now->bytes - then->bytes,
		.received = now->received - then->received,
		.kernel_drops = now->kernel_drops - then->kernel_drops,
		.freezes = now->freezes - then->freezes,
		.truncated = now->truncated - then->truncated,
		.discarded = now->discarded - then->discarded,
	};
}

static void counters(struct json *j, const struct ncpi_worker_line *c)
{
	json_key(j, "published"), json_u64(j, c->published);
	json_key(j, "bytes"), json_u64(j, c->bytes);
	json_key(j, "received"), json_u64(j, c->received);
	json_key(j, "kernel_drops"), json_u64(j, c->kernel_drops);
	json_key(j, "truncated"), json_u64(j, c->truncated);
	json_key(j, "discarded"), json_u64(j, c->discarded);
	json_key(j, "freezes"), json_u64(j, c->freezes);
}

static uint64_t kernel_times(const struct status *s)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < s->sources->n; i++)
		n += ncpi_load(&s->sources->member[i].src->kernel_times);
	return n;
}

static void object(struct status *s, const struct status_last *now, uint32_t state)
{
	struct ncpi_worker_line run;
	struct json j;

	json_open(&j);
	json_object_begin(&j);
	json_key(&j, "schema"), json_u64(&j, 1);
	json_key(&j, "bus"), json_str(&j, s->bus->name);
	json_key(&j, "state"), json_str(&j, ncp_state_name(state));
	json_key(&j, "epoch"), json_u64(&j, now->totals.epoch);
	json_key(&j, "incarnation"), json_hex(&j, s->bus->seg.incarnation);
	json_key(&j, "ring_size"), json_u64(&j, s->bus->seg.ring_size);
	json_key(&j, "depth_seconds");
	const uint64_t depth = depth_ns(&s->bus->seg);
	if (depth > INT64_MAX)
		json_null(&j);
	else
		json_seconds(&j, (int64_t)depth);
	json_key(&j, "pid"), json_i64(&j, getpid());
	json_key(&j, "kernel_times"), json_u64(&j, kernel_times(s));
	json_key(&j, "filter_reloads"), json_u64(&j, s->filter_reloads);
	json_key(&j, "filter_refused"), json_u64(&j, s->filter_refused);
	counters(&j, &now->totals.sum);
	since_start(s, &now->totals.sum, &run);
	json_key(&j, "this_epoch");
	json_object_begin(&j);
	counters(&j, &run);
	json_object_end(&j);
	json_key(&j, "workers");
	json_array_begin(&j);
	for (uint32_t i = 0; i < s->n_workers; i++) {
		json_object_begin(&j);
		json_key(&j, "source"), json_str(&j, s->worker_source[i]);
		counters(&j, &now->worker[i]);
		json_object_end(&j);
	}
	json_array_end(&j);
	json_object_end(&j);
	/* A reader of these lines that went away is no reason to stop capturing. */
	if (json_print(&j, s->json) < 0)
		s->json = NULL;
	json_close(&j);
}

/* "256 MiB", "64 KiB": ring sizes are powers of two. */
static const char *size_text(char buf[32], uint64_t bytes)
{
	static const char *const unit[] = { "B", "KiB", "MiB", "GiB", "TiB" };
	unsigned i = 0;

	for (; bytes >= 1024 && i < 4; i++)
		bytes /= 1024;
	snprintf(buf, 32, "%" PRIu64 " %s", bytes, unit[i]);
	return buf;
}

/* Who may attach, and how to let others. */
static const char *readers(char buf[MESSAGE_CAP], const struct privs_who *who, uid_t owner)
{
	if (who->shared)
		return message_text(buf, "readable by group %s", who->group_name);
	if (owner == 0)
		return message_text(buf, "readable by root only (to share it: groupadd ncp, "
					 "usermod -aG ncp USER, restart; or -g GROUP)");
	return message_text(buf, "readable by you and root only (to share it: -g GROUP)");
}

void status_begin(struct status *s, const struct privs_who *who)
{
	static const char *const how[] = {
		[NCPI_BUS_CREATED] = "new",
		[NCPI_BUS_CONTINUED] = "continued",
		[NCPI_BUS_REPLACED] = "new, in place of another",
	};
	struct status_last now;
	char size[32];

	status_read(s, &now);
	s->at_start = now.totals.sum;
	if (!fits(s, PATIENCE_MS))
		return;
	if (s->json) {
		object(s, &now, ncpi_load(&s->bus->seg.h->state));
		return;
	}
	message_note(MESSAGE_TEXT("bus %s", s->bus->name),
		     MESSAGE_TEXT("from %s, ring %s (%s), %s", s->source,
				  size_text(size, s->bus->seg.ring_size), how[s->bus->how],
				  readers((char[MESSAGE_CAP]){ 0 }, who, s->bus->seg.uid)),
		     NULL);
}

void status_note(struct status *s, const char *what, const char *why)
{
	if (fits(s, PATIENCE_MS))
		message_note(what, why, NULL);
}

/* What its size comes to, once it is known. */
static void full_tell(struct status *s)
{
	const uint64_t depth = depth_ns(&s->bus->seg);
	char size[32];

	if (s->full_told || !ncpi_load(&s->bus->seg.h->tail) || depth == UINT64_MAX)
		return;
	s->full_told = true;
	message_note(MESSAGE_TEXT("bus %s", s->bus->name),
		     MESSAGE_TEXT("the ring of %s is full: it holds the last %" PRIu64 ".%02" PRIu64
				  " s at this rate",
				  size_text(size, s->bus->seg.ring_size), depth / NCPI_SECOND,
				  depth % NCPI_SECOND / (NCPI_SECOND / 100)),
		     NULL);
}

void status_tick(struct status *s)
{
	struct status_last now;

	if (!fits(s, 0))
		return;
	if (!s->json) {
		full_tell(s);
		return;
	}
	status_read(s, &now);
	object(s, &now, ncpi_load(&s->bus->seg.h->state));
}

void status_end(struct status *s, const struct status_last *last, uint32_t state, bool removed)
{
	struct ncpi_worker_line run;

	if (!fits(s, PATIENCE_MS))
		return;
	if (s->json) {
		object(s, last, state);
		return;
	}
	since_start(s, &last->totals.sum, &run);
	message_note(MESSAGE_TEXT("bus %s", s->bus->name),
		     MESSAGE_TEXT("%s%s: %" PRIu64 " frames published (%" PRIu64 " bytes), %" PRIu64
				  " received, %" PRIu64 " dropped by the kernel, %" PRIu64
				  " discarded, %" PRIu64 " truncated",
				  ncp_state_name(state), removed ? " and removed" : "",
				  run.published, run.bytes, run.received, run.kernel_drops,
				  run.discarded, run.truncated),
		     NULL);
}
