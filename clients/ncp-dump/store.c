/* SPDX-License-Identifier: BSD-2-Clause */
/* store.c - what goes into the files of a capture: their sections and ends; durability, --resume. */
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "repair.h"
#include "split.h"
#include "store_impl.h"
#include "util/message.h"
#include "util/pcapng.h"

#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)
#define STREAM_NS (100 * MS)   /* a pipe's reader sees what was read so soon */
#define FLUSH_NS (1 * SECOND)  /* a file's */
#define STATE_NS (1 * SECOND)
#define LINKTYPE_ETHERNET 1
#define GAPS (32u << 10) /* bytes of gap blocks and padding that no room is asked for, at most */
#define TELL_NS (1 * SECOND)   /* what a kill leaves is whole up to what was written before that */

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static int bus_intact(void *arg, uint64_t position)
{
	struct store *s = arg;

	return ncp_intact(s->c, position);
}

static void bus_lost(void *arg, uint64_t first, uint64_t next)
{
	struct store *s = arg;

	/* Out of memory loses the numbers, not the count of what is written: the frames are taken
	 * off all the same. */
	if (ledger_lost(s->ledger, first, next, true) < 0)
		ledger_now(s->ledger)->frames -= next - first;
	ncp_span_lost(s->c, next - first);
}

static int bus_of(struct store *s, struct ncp_bus_info *info, struct outfile_bus *bus)
{
	int r = ncp_bus_info(s->c, info);

	*bus = (struct outfile_bus){ .arg = s,
				     .intact = bus_intact,
				     .lost = bus_lost,
				     .ring_size = info->ring_size,
				     .held = s->o->reliable,
				     .incarnation = info->incarnation,
				     .epoch = info->epoch };
	return r;
}

int store_interfaces(struct store *s, uint32_t n, bool first)
{
	if (first)
		s->n_interfaces = 0;
	if (s->only != STORE_ALL)
		n = 1;
	for (uint32_t i = 0; i < n && i < STORE_INTERFACES; i++) {
		struct ncp_interface it = NCP_INTERFACE_INIT;
		struct store_interface *p = &s->interface[i];
		int r = ncp_interface(s->c, s->only == STORE_ALL ? i : s->only, &it);

		if (r < 0)
			return r;
		if (i >= s->n_interfaces) {
			/* One that appeared later began to count after the section did. */
			*p = (struct store_interface){ .linktype = it.linktype };
			if (first) {
				p->received = it.received;
				p->kernel_drops = it.kernel_drops;
			}
			s->n_interfaces = i + 1;
		}
		p->received_now = it.received;
		p->kernel_drops_now = it.kernel_drops;
	}
	return 0;
}

/* A pcap begins only once, with a link type. */
static int pcap_section(struct store *s, const struct capfile_section *head)
{
	uint8_t bytes[FORMAT_HEAD_LEN];
	long linktype = format_linktype(head->prologue, head->prologue_len);
	int r;

	/* One whose interface is yet to come is a live one. */
	if (linktype == -ENODATA)
		linktype = LINKTYPE_ETHERNET;
	if (linktype < 0)
		return (int)linktype;
	format_head(bytes, s->o->format, (uint32_t)linktype);
	r = outfile_head(s->file, bytes, s->section_off ? 0 : sizeof(bytes), head->first_seq);
	s->linktype = (uint32_t)linktype;
	return r < 0 ? r : outfile_flush(s->file);
}

/* Of a prologue the Section Header and the description of one interface.  By malloc. */
static int prologue_of(const uint8_t *prologue, uint32_t len, uint32_t interface, uint8_t **out,
		       uint32_t *out_len)
{
	struct pcapng_block shb, b = { 0 };
	uint32_t off, i = 0;

	if (pcapng_next(prologue, len, &shb) != 1)
		return NCP_ECORRUPT;
	for (off = shb.len;; off += b.len) {
		if (pcapng_next(prologue + off, len - off, &b) != 1)
			return NCP_ECORRUPT;
		if (b.type == PCAPNG_IDB && i++ == interface)
			break;
	}
	*out = malloc(shb.len + b.len);
	if (!*out)
		return -ENOMEM;
	memcpy(*out, prologue, shb.len);
	memcpy(*out + shb.len, b.at, b.len);
	*out_len = shb.len + b.len;
	return 0;
}

/* Begin a section with the frame at that place. */
static int section(struct store *s, const struct ncp_cursor *at)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	struct outfile_state st;
	struct outfile_bus bus;
	struct capfile_section head;
	struct ledger_sum sum;
	uint8_t *own = NULL;
	int r = bus_of(s, &info, &bus);

	if (r == 0)
		r = store_interfaces(s, info.n_interfaces, true);
	head = (struct capfile_section){ .bus = info.name,
					 .epoch = info.epoch,
					 .incarnation = info.incarnation,
					 .first_seq = at->seq,
					 .window = SERIES_DEPTH * s->o->iobuf };
	repair_boot(head.boot);
	if (r == 0)
		r = ncp_prologue(s->c, &head.prologue, &head.prologue_len);
	if (r == 0 && s->only != STORE_ALL) {
		r = prologue_of(head.prologue, head.prologue_len, s->only, &own, &head.prologue_len);
		head.prologue = own;
	}
	if (r < 0)
		return r;
	ledger_sum(s->ledger, &sum);
	outfile_state(s->file, &st);
	/* The first one's time is the one in the file's name. */
	head.created_ns = st.end ? clock_ns(CLOCK_REALTIME) : s->series.rotation.begun_ns;
	s->lost_before = sum.lost;
	s->incarnation = info.incarnation;
	s->ring_size = info.ring_size;
	s->prologue_len = head.prologue_len;
	s->begun_ns = clock_ns(CLOCK_REALTIME);
	s->realign = true;
	s->section_off = st.end;
	s->section_seq = at->seq;
	outfile_bus(s->file, &bus);
	r = s->o->format == FORMAT_PCAPNG ? outfile_section(s->file, &head, at->position) :
					    pcap_section(s, &head);
	free(own);
	return r;
}

static int state_write(struct store *s, uint64_t seq, uint64_t length)
{
	int r;

	s->state.incarnation = s->incarnation;
	s->state.seq = seq;
	s->state.length = length;
	r = state_save(s->o->resume, &s->state);
	s->error_of_state = r;
	return r;
}

void store_cut(struct store *s, uint64_t position, uint64_t seq)
{
	s->cut_position = position;
	s->cut_seq = seq;
}

int store_reached(const struct store *s, struct ncp_cursor *at)
{
	*at = (struct ncp_cursor)NCP_CURSOR_INIT;
	at->position = s->cut_position;
	at->seq = s->cut_seq;
	return s->cut_position == NCP_UNKNOWN ? ncp_tell(s->c, at) : 0;
}

/*
 * Everything before the verified mark is in the file: a reliable client's producer may have the room,
 * and a member of a group is done with it.  With --sync SECONDS a member is done only with what is
 * durable, so this is called behind a sync.
 */
static void release(struct store *s)
{
	struct outfile_mark m = outfile_verified(s->file);
	struct ncp_cursor at;

	if (!outfile_dirty(s->file) && store_reached(s, &at) == 0)
		ncp_release(s->c, at.position, at.seq);
	else if (m.position != OUTFILE_NOWHERE && m.off >= s->section_off)
		ncp_release(s->c, m.position, m.seq);
}

static bool release_synced(const struct store *s)
{
	return s->o->group && s->o->sync == SYNC_EVERY;
}

/* Make durable what is whole, then say so in the state file. */
static int sync_now(struct store *s, uint64_t now_ns)
{
	struct outfile_mark m;
	int r = outfile_sync(s->file, &m);

	s->synced_ns = now_ns;
	if (r == 0 && release_synced(s))
		release(s);
	if (r < 0 || !s->o->resume)
		return r;
	s->saved_off = m.off;
	return m.off < s->section_off ? 0 : state_write(s, m.seq, m.off);
}

/* The next file, which begins with the frame at that place. */
static int file_open(struct store *s, const struct ncp_cursor *at)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	struct outfile_state st;
	struct outfile_bus bus;
	const uint8_t *prologue;
	uint32_t prologue_len = 0;
	int r = bus_of(s, &info, &bus);

	/* Before a file is overwritten that then would not be begun. */
	if (r == 0)
		r = ncp_prologue(s->c, &prologue, &prologue_len);
	if (r == 0 && s->o->format != FORMAT_PCAPNG && s->only == STORE_ALL &&
	    format_linktype(prologue, prologue_len) == -EMEDIUMTYPE)
		r = -EMEDIUMTYPE;
	s->series.slack = GAPS + prologue_len + (uint64_t)info.n_interfaces * PCAPNG_STATS_MAX;
	if (r == 0)
		r = series_open(&s->series, &bus, &s->file);
	if (r < 0)
		return r;
	outfile_state(s->file, &st);
	if (st.stream && s->o->rotating)
		return -ESPIPE;
	s->writer = st.writer;
	if (st.forbidden && s->series.files == 0 && !s->o->quick)
		message_note("io_uring", ncp_strerror(st.forbidden),
			     "writing by pwrite, one write at a time");
	s->saved_off = 0;
	if (s->o->resume) {
		if (!realpath(s->series.path, s->state.file))
			return -errno;
		memcpy(s->state.bus, info.name, sizeof(s->state.bus));
	}
	r = section(s, at);
	outfile_state(s->file, &st);
	s->direct = st.direct;
	s->flushed_ns = clock_ns(CLOCK_MONOTONIC);
	return r < 0 || !s->o->resume ? r : sync_now(s, s->flushed_ns);
}

int store_open(struct store *s, const struct dump_options *o, struct ncp_client *c,
	       struct ledger *ledger, const struct state *resumed)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	struct ncp_cursor at = NCP_CURSOR_INIT;
	int r;

	*s = (struct store){ .o = o, .c = c, .ledger = ledger, .only = STORE_ALL,
			     .cut_position = NCP_UNKNOWN };
	if (o->split_interfaces)
		return split_open(&s->split, o, c, ledger);
	r = ncp_bus_info(c, &info);
	if (r == 0)
		r = ncp_tell(c, &at);
	series_begin(&s->series, o, info.name, resumed);
	return r < 0 ? r : file_open(s, &at);
}

int store_open_interface(struct store *s, const struct dump_options *o, struct ncp_client *c,
			 struct ledger *ledger, uint32_t interface, const struct ncp_cursor *at)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	int r = ncp_bus_info(c, &info);

	*s = (struct store){ .o = o, .c = c, .ledger = ledger, .only = interface,
			     .cut_position = NCP_UNKNOWN };
	series_begin(&s->series, o, info.name, NULL);
	return r < 0 ? r : file_open(s, at);
}

int store_flush(struct store *s)
{
	if (s->split)
		return split_all(s->split, store_flush);
	return outfile_flush(s->file);
}

int store_rest(struct store *s)
{
	if (s->split)
		return split_all(s->split, store_rest);

	int r = outfile_flush(s->file);

	return r < 0 ? r : store_interfaces(s, s->n_interfaces, false);
}

/* Interface Statistics Blocks for the section that ends. */
static int statistics(struct store *s)
{
	uint8_t block[PCAPNG_STATS_MAX];
	struct ledger_sum sum;
	const char *comment;
	int r = 0;

	if (s->o->format != FORMAT_PCAPNG)
		return 0;
	ledger_sum(s->ledger, &sum);
	comment = MESSAGE_TEXT("frames lost by ncp-dump: %llu",
			       (unsigned long long)(sum.lost - s->lost_before));
	for (uint32_t i = 0; i < s->n_interfaces && r == 0; i++) {
		const struct store_interface *p = &s->interface[i];
		uint64_t now = clock_ns(CLOCK_REALTIME);
		struct pcapng_stats st = { .interface = i,
					   .ts = now,
					   .start = s->begun_ns,
					   .end = now,
					   .received = NCP_UNKNOWN,
					   .dropped = p->kernel_drops_now - p->kernel_drops,
					   .delivered = NCP_UNKNOWN,
					   .comment = i ? NULL : comment };

		if (p->received_now != NCP_UNKNOWN && p->received != NCP_UNKNOWN)
			st.received = p->received_now - p->received;
		r = outfile_put(s->file, block, pcapng_stats(block, &st));
	}
	return r;
}

/* Is the bus still the one that the present section is of? */
static bool same_bus(struct store *s)
{
	struct ncp_cursor at = NCP_CURSOR_INIT;

	return ncp_tell(s->c, &at) == 0 && at.incarnation == s->incarnation;
}

/* The file's end.  counters: the bus is still the one that the file's last section is of. */
static int file_end(struct store *s, bool counters)
{
	struct outfile_state st;
	int r = outfile_flush(s->file);

	/* The last losses are found by the flush, and counted in the statistics. */
	if (r == 0 && counters)
		r = store_interfaces(s, s->n_interfaces, false);
	if (r == 0)
		r = statistics(s);
	/* What can fail for want of room fails here, where what was saved is known. */
	if (r == 0)
		r = outfile_flush(s->file);
	if (r < 0)
		return r;
	outfile_state(s->file, &st);
	r = series_close(&s->series, s->file);
	s->file = NULL;
	if (r == 0 && s->o->resume && !realpath(s->series.final, s->state.file))
		r = -errno;
	if (r < 0)
		return r;
	/* A number nobody knows is none to go on from: the last state stands. */
	if (s->o->resume && counters && ledger_now(s->ledger)->next_seq != NCP_UNKNOWN)
		r = state_write(s, ledger_now(s->ledger)->next_seq, st.end);
	return r;
}

int store_finish(struct store *s)
{
	struct ncp_cursor at;
	int r;

	if (s->split) {
		r = split_all(s->split, store_finish);
		split_sum(s->split, s);
		return r;
	}
	/* Of an interface that the bus has no longer, the counters are those of its end. */
	r = file_end(s, s->only == STORE_ALL || same_bus(s));

	if (r == 0)
		r = series_wait(&s->series);
	if (r == 0 && s->o->group && store_reached(s, &at) == 0)
		ncp_release(s->c, at.position, at.seq);
	return r;
}

int store_rotate_at(struct store *s, enum rotation_why why, const struct ncp_cursor *at)
{
	int r;

	if (!rotation_next(&s->series.rotation, why, clock_ns(CLOCK_REALTIME),
			   clock_ns(CLOCK_MONOTONIC))) {
		s->ended = true;
		return 0;
	}
	r = file_end(s, true);
	return r < 0 ? r : file_open(s, at);
}

/* The same, where the client stands. */
static int rotate_here(struct store *s, enum rotation_why why)
{
	struct ncp_cursor at;
	int r = store_reached(s, &at);

	return r < 0 ? r : store_rotate_at(s, why, &at);
}

int store_rotate(struct store *s)
{
	struct outfile_state st;

	if (s->split)
		return split_all(s->split, store_rotate);

	outfile_state(s->file, &st);
	if (s->only != STORE_ALL && !same_bus(s))
		return 0;
	return st.stream ? 0 : rotate_here(s, ROTATION_ASKED);
}

/* Does the bus that came have no other link types than the one that went? */
static int same_linktypes(struct store *s)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	int r = ncp_bus_info(s->c, &info);

	for (uint32_t i = 0; r == 0 && i < info.n_interfaces; i++) {
		struct ncp_interface it = NCP_INTERFACE_INIT;
		uint32_t k = 0;

		r = ncp_interface(s->c, i, &it);
		if (r < 0)
			return r;
		while (k < s->n_interfaces && s->interface[k].linktype != it.linktype)
			k++;
		if (k == s->n_interfaces && s->n_interfaces)
			return 0;
	}
	return r < 0 ? r : 1;
}

int store_reattached(struct store *s)
{
	struct ncp_cursor at = NCP_CURSOR_INIT;
	struct outfile_state st;
	int same, r;

	if (s->split)
		return split_reattached(s->split);
	r = ncp_tell(s->c, &at);

	/* After a resume the file began on the new bus: what was before it is only lost. */
	if (r < 0 || at.incarnation == s->incarnation)
		return r;
	same = s->only == STORE_ALL ? same_linktypes(s) : 1;
	if (same < 0)
		return same;
	outfile_state(s->file, &st);
	if (same == 0 && st.stream && s->o->format != FORMAT_PCAPNG)
		return -EMEDIUMTYPE;
	if (same == 1 || st.stream) {
		r = statistics(s);
		return r < 0 ? r : section(s, &at);
	}
	s->ended = !rotation_next(&s->series.rotation, ROTATION_ASKED, clock_ns(CLOCK_REALTIME),
				  clock_ns(CLOCK_MONOTONIC));
	if (s->ended)
		return 0;
	r = file_end(s, false);
	if (r == 0)
		r = file_open(s, &at);
	if (r == 0 && !s->o->quick)
		message_note(s->series.path, "the bus came back with another link type",
			     "the capture goes on in this file");
	return r;
}

/* How long what was read may stay unwritten when nothing more comes. */
static uint64_t flush_after(const struct store *s, bool stream)
{
	/* The others of a group wait for what is not done with, at the end of a bus. */
	if (s->o->packet_buffered || s->o->reliable || s->o->group)
		return 0;
	return stream ? STREAM_NS : FLUSH_NS;
}

static uint64_t sync_after(const struct store *s)
{
	uint64_t every = s->o->sync == SYNC_EVERY ? s->o->sync_ns : UINT64_MAX;

	return s->o->resume && STATE_NS < every ? STATE_NS : every;
}

/* Until the file's time is up. */
static uint64_t time_left(struct store *s)
{
	return rotation_wait_ns(&s->series.rotation, clock_ns(CLOCK_REALTIME),
				clock_ns(CLOCK_MONOTONIC));
}

int store_tick(struct store *s, uint64_t now_ns, bool idle)
{
	struct outfile_state st;
	bool due;
	int r;

	if (s->split) {
		r = split_tick(s->split, now_ns, idle);
		split_sum(s->split, s);
		return r;
	}
	r = outfile_poll(s->file);
	if (r < 0)
		return r;
	outfile_state(s->file, &st);
	uint64_t after = flush_after(s, st.stream);
	due = now_ns - s->flushed_ns >= after;
	/* A busy file is written as its buffers fill; a busy pipe may have a slow trickle. */
	if (due && (idle || st.stream) && outfile_dirty(s->file)) {
		r = outfile_flush(s->file);
		s->flushed_ns = now_ns;
	}
	if (r == 0 && now_ns - s->told_ns >= TELL_NS) {
		r = outfile_tell(s->file);
		s->told_ns = now_ns;
	}
	if (r == 0 && (s->o->reliable || s->o->group) && !release_synced(s))
		release(s);
	if (r == 0 && !st.stream) {
		uint64_t verified = outfile_verified(s->file).off;
		/* At each eighth of the ring as well: what is not in the state could be gone from
		 * the ring before the next second. */
		bool far = s->o->resume && verified > s->saved_off + s->ring_size / 8;

		if (far || now_ns - s->synced_ns >= sync_after(s))
			r = sync_now(s, now_ns);
	}
	if (r == 0)
		r = series_check(&s->series);
	if (r == 0 && time_left(s) == 0)
		r = rotate_here(s, ROTATION_TIME);
	return r;
}

int store_nap_ms(struct store *s, uint64_t now_ns)
{
	struct outfile_state st;
	uint64_t at = UINT64_MAX, left;

	if (s->split)
		return split_nap_ms(s->split, now_ns);
	left = time_left(s);

	outfile_state(s->file, &st);
	if (outfile_dirty(s->file))
		at = s->flushed_ns + flush_after(s, st.stream);
	if (!st.stream && sync_after(s) != UINT64_MAX && s->synced_ns + sync_after(s) < at)
		at = s->synced_ns + sync_after(s);
	if (left < UINT64_MAX - now_ns && now_ns + left < at)
		at = now_ns + left;
	if (at == UINT64_MAX)
		return -1;
	return at <= now_ns ? 1 : at - now_ns > 1000 * MS ? 1000 : (int)((at - now_ns) / MS) + 1;
}

uint64_t store_queued(const struct store *s)
{
	struct outfile_state st = { 0 };

	if (s->file)
		outfile_state(s->file, &st);
	return st.queued;
}

uint64_t store_size(const struct store *s)
{
	struct outfile_state st = { 0 };

	if (s->split)
		return split_size(s->split);
	if (s->file)
		outfile_state(s->file, &st);
	return s->series.bytes + st.end;
}

void store_abandon(struct store *s)
{
	struct outfile_mark m;
	uint64_t frames;

	if (s->split) {
		split_abandon(s->split, s->ledger);
		split_sum(s->split, s);
	}
	if (!s->file)
		return;
	int r = outfile_abandon(s->file, &m);
	s->uncut = r < 0 && r != -ESTALE;
	/* The others of its group take over what was not kept. */
	if (r == 0 && s->o->group && m.position != OUTFILE_NOWHERE && m.off >= s->section_off)
		ncp_release(s->c, m.position, m.seq);
	/* What earlier windows have was saved before this section began, or file. */
	struct ledger_sum sum;
	struct ledger_window *w = ledger_now(s->ledger);

	ledger_sum(s->ledger, &sum);
	frames = s->series.frames + m.frames - (sum.frames - (w ? w->frames : 0));
	if (s->only != STORE_ALL) {
		/* split_abandon() knows what the others have. */
	} else if (w && w->incarnation == s->incarnation) {
		if (m.off < s->section_off)
			ledger_cut(s->ledger, w->first_seq, 0);
		else
			ledger_cut(s->ledger, m.off ? m.seq : s->section_seq, frames);
	}
	series_abandoned(&s->series, s->file, &m, r == 0);
	s->file = NULL;
}

void store_close(struct store *s)
{
	outfile_close(s->file);
	s->file = NULL;
	series_end(&s->series);
	split_close(s->split);
	s->split = NULL;
}
