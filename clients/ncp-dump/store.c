/* SPDX-License-Identifier: BSD-2-Clause */
/* store.c - the files of a capture: names, sections, gaps, durability, --resume. */
#include "store.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "repair.h"
#include "util/message.h"
#include "util/pcapng.h"

#define MS UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)
#define DEPTH 8u	       /* writes under way: as many as an SSD needs to be busy */
#define STREAM_NS (100 * MS)   /* a pipe's reader sees what was read so soon */
#define FLUSH_NS (1 * SECOND)  /* a file's */
#define STATE_NS (1 * SECOND)
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

/* The interfaces' counters, for the statistics at the end; with `first`, where they begin. */
static int interfaces_read(struct store *s, uint32_t n, bool first)
{
	if (first)
		s->n_interfaces = 0;
	for (uint32_t i = 0; i < n && i < STORE_INTERFACES; i++) {
		struct ncp_interface it = NCP_INTERFACE_INIT;
		struct store_interface *p = &s->interface[i];
		int r = ncp_interface(s->c, i, &it);

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

static int section(struct store *s)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	struct ncp_cursor at = NCP_CURSOR_INIT;
	struct outfile_state st;
	struct outfile_bus bus;
	struct capfile_section head;
	struct ledger_sum sum;
	int r = bus_of(s, &info, &bus);

	if (r == 0)
		r = ncp_tell(s->c, &at);
	if (r == 0)
		r = interfaces_read(s, info.n_interfaces, true);
	head = (struct capfile_section){ .bus = info.name,
					 .epoch = info.epoch,
					 .incarnation = info.incarnation,
					 .first_seq = at.seq,
					 .created_ns = clock_ns(CLOCK_REALTIME),
					 .window = DEPTH * s->o->iobuf };
	repair_boot(head.boot);
	if (r == 0)
		r = ncp_prologue(s->c, &head.prologue, &head.prologue_len);
	if (r < 0)
		return r;
	ledger_sum(s->ledger, &sum);
	s->lost_before = sum.lost;
	s->incarnation = info.incarnation;
	s->ring_size = info.ring_size;
	s->prologue_len = head.prologue_len;
	s->begun_ns = head.created_ns;
	s->realign = true;
	outfile_state(s->file, &st);
	s->section_off = st.end;
	outfile_bus(s->file, &bus);
	return outfile_section(s->file, &head, at.position);
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

/* Up to where everything that was read is wanted. */
static int reached(const struct store *s, struct ncp_cursor *at)
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

	if (!outfile_dirty(s->file) && reached(s, &at) == 0)
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

static int file_open(struct store *s)
{
	struct outfile_options oo = { .depth = DEPTH,
				      .iobuf = s->o->iobuf,
				      .writer = s->o->writer,
				      .exclusive = s->o->no_clobber || s->o->resume || s->files };
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	struct outfile_state st;
	struct outfile_bus bus;
	int r = bus_of(s, &info, &bus);

	oo.path = s->path;
	while (r == 0) {
		r = capfile_name(s->path, sizeof(s->path), s->o->write, s->number);
		if (r == 0)
			r = outfile_open(&s->file, &oo, &bus);
		/* In a series the next free number; nothing is overwritten. */
		if (r != -EEXIST || s->o->no_clobber || !oo.exclusive)
			break;
		s->number++;
		r = 0;
	}
	if (r < 0)
		return r;
	s->number++;
	outfile_state(s->file, &st);
	s->writer = st.writer;
	if (st.forbidden && s->files == 0 && !s->o->quick)
		message_note("io_uring", ncp_strerror(st.forbidden),
			     "writing by pwrite, one write at a time");
	s->saved_off = 0;
	s->closed_whole = false;
	if (s->o->resume) {
		if (!realpath(s->path, s->state.file))
			return -errno;
		memcpy(s->state.bus, info.name, sizeof(s->state.bus));
	}
	r = section(s);
	outfile_state(s->file, &st);
	s->direct = st.direct;
	s->flushed_ns = clock_ns(CLOCK_MONOTONIC);
	return r < 0 || !s->o->resume ? r : sync_now(s, s->flushed_ns);
}

int store_open(struct store *s, const struct dump_options *o, struct ncp_client *c,
	       struct ledger *ledger, const struct state *resumed)
{
	*s = (struct store){ .o = o, .c = c, .ledger = ledger, .cut_position = NCP_UNKNOWN };
	if (resumed) {
		char base[PATH_MAX];
		uint64_t n = UINT64_MAX;

		/* The state's name is absolute; -w need not be. */
		if (realpath(o->write, base))
			n = capfile_number(base, resumed->file);
		s->number = n == UINT64_MAX ? 0 : n + 1;
	}
	return file_open(s);
}

int store_flush(struct store *s)
{
	return outfile_flush(s->file);
}

int store_rest(struct store *s)
{
	int r = outfile_flush(s->file);

	return r < 0 ? r : interfaces_read(s, s->n_interfaces, false);
}

/* Interface Statistics Blocks for the section that ends. */
static int statistics(struct store *s)
{
	uint8_t block[PCAPNG_STATS_MAX];
	struct ledger_sum sum;
	const char *comment;
	int r = 0;

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

/* Take the file's numbers into the sums and close it. */
static void file_close(struct store *s)
{
	struct outfile_state st;

	outfile_state(s->file, &st);
	s->bytes += st.end;
	s->frames += st.frames;
	s->files++;
	outfile_close(s->file);
	s->file = NULL;
}

int store_finish(struct store *s)
{
	struct outfile_state st;
	struct ncp_cursor at;
	int r = outfile_flush(s->file);

	/* The last losses are found by the flush, and counted in the statistics. */
	if (r == 0)
		r = interfaces_read(s, s->n_interfaces, false);
	if (r == 0)
		r = statistics(s);
	if (r == 0)
		r = outfile_finish(s->file, s->o->sync != SYNC_NONE || s->o->resume);
	/* A number nobody knows is none to go on from: the last state stands. */
	if (r == 0 && s->o->resume && ledger_now(s->ledger)->next_seq != NCP_UNKNOWN) {
		outfile_state(s->file, &st);
		r = state_write(s, ledger_now(s->ledger)->next_seq, st.end);
	}
	if (r < 0)
		return r;
	file_close(s);
	s->closed_whole = true;
	if (s->o->group && reached(s, &at) == 0)
		ncp_release(s->c, at.position, at.seq);
	return 0;
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
	int same, r = ncp_tell(s->c, &at);

	/* After a resume the file began on the new bus: what was before it is only lost. */
	if (r < 0 || at.incarnation == s->incarnation)
		return r;
	r = statistics(s);
	same = r < 0 ? r : same_linktypes(s);
	if (same < 0)
		return same;
	outfile_state(s->file, &st);
	if (same == 1 || st.stream)
		return section(s);
	r = outfile_finish(s->file, s->o->sync != SYNC_NONE || s->o->resume);
	if (r < 0)
		return r;
	file_close(s);
	r = file_open(s);
	if (r == 0 && !s->o->quick)
		message_note(s->path, "the bus came back with another link type",
			     "the capture goes on in this file");
	return r;
}

/* Interfaces the file does not know yet, before the frames that need them. */
static int prologue_grow(struct store *s, const uint8_t *prologue, uint32_t len)
{
	uint32_t off = s->prologue_len;
	struct pcapng_block b;

	if (len <= off)
		return 0;
	while (off < len && pcapng_next(prologue + off, len - off, &b) == 1)
		off += b.len;
	if (off != len)
		return NCP_ECORRUPT;
	int r = outfile_put(s->file, prologue + s->prologue_len, len - s->prologue_len);
	s->prologue_len = len;
	s->realign = true;
	if (r == 0) {
		struct ncp_bus_info info = NCP_BUS_INFO_INIT;

		r = ncp_bus_info(s->c, &info);
		if (r == 0)
			r = interfaces_read(s, info.n_interfaces, false);
	}
	return r;
}

int store_gap(struct store *s, uint64_t incarnation, uint64_t first, uint64_t next)
{
	s->realign = true;
	return outfile_gap(s->file, incarnation, first, next);
}

/* Append a piece that fits: what outfile_span() cannot read any more becomes a gap. */
static int span_piece(struct store *s, const struct outfile_span *piece)
{
	int r = outfile_span(s->file, piece);

	if (r == 1) {
		ledger_frames(s->ledger, piece->next_seq - piece->first_seq, piece->next_seq);
		return 0;
	}
	if (r < 0)
		return r == -EBADMSG ? NCP_ECORRUPT : r;
	ncp_span_lost(s->c, piece->next_seq - piece->first_seq);
	r = ledger_lost(s->ledger, piece->first_seq, piece->next_seq, false);
	return r < 0 ? r : store_gap(s, s->incarnation, piece->first_seq, piece->next_seq);
}

int store_span(struct store *s, const struct ncp_span *span, uint64_t max_frames)
{
	struct outfile_span left = { span->data, span->len, span->position, span->first_seq,
				     span->next_seq };
	int r = prologue_grow(s, span->prologue, span->prologue_len);
	uint64_t seen;

	if (r < 0 || max_frames == 0)
		return r;
	if (s->realign) {
		r = outfile_align(s->file, span->position);
		s->realign = false;
	}
	if (left.next_seq - left.first_seq > max_frames) {
		/* The last run of a capture with an end. */
		left.len = pcapng_cut(left.data, left.len, max_frames, &seen);
		left.next_seq = left.first_seq + max_frames;
		if (seen != max_frames && ncp_intact(s->c, left.position))
			return NCP_ECORRUPT;
	}
	while (r == 0 && left.len > PCAPNG_BLOCK_MAX) {
		/* So long only where the ring has no waypoint left. */
		struct outfile_span piece = left;

		piece.len = pcapng_cut(left.data, PCAPNG_BLOCK_MAX, UINT64_MAX, &seen);
		piece.next_seq = left.first_seq + seen;
		if (!ncp_intact(s->c, left.position))
			break;
		if (piece.len == 0 || piece.next_seq > left.next_seq)
			return NCP_ECORRUPT;
		r = span_piece(s, &piece);
		left.data += piece.len;
		left.len -= piece.len;
		left.position += piece.len;
		left.first_seq = piece.next_seq;
		if (r == 0 && s->realign)
			r = outfile_align(s->file, left.position);
	}
	if (r == 0 && !ncp_intact(s->c, left.position)) {
		ncp_span_lost(s->c, left.next_seq - left.first_seq);
		r = ledger_lost(s->ledger, left.first_seq, left.next_seq, false);
		return r < 0 ? r : store_gap(s, s->incarnation, left.first_seq, left.next_seq);
	}
	return r < 0 ? r : span_piece(s, &left);
}

/* Is everything from the first of these frames in the ring on whole? */
static bool all_intact(const struct store *s, const struct ncp_frame *f, int n)
{
	uint64_t position = f->position;

	for (int i = 1; i < n; i++)
		position = f[i].position < position ? f[i].position : position;
	return ncp_intact(s->c, position);
}

/* Take out of f[0..n) what was overrun: it is lost.  Returns how many are left, or < 0. */
static int frames_lost(struct store *s, struct ncp_frame *f, int n)
{
	int left = 0, r = 0;

	for (int i = 0; i < n && r == 0;) {
		uint64_t first = f[i].seq, next = first;

		/* In one gap what follows each other; between two of other flows lie others'. */
		while (i < n && !ncp_intact(s->c, f[i].position) && (next == first || f[i].seq == next))
			next = f[i++].seq + 1;
		if (next == first) {
			f[left++] = f[i++];
			continue;
		}
		r = ledger_lost(s->ledger, first, next, false);
		if (r == 0)
			r = store_gap(s, s->incarnation, first, next);
	}
	return r < 0 ? r : left;
}

int store_frames(struct store *s, struct ncp_frame *f, int n)
{
	const uint8_t *prologue;
	struct ncp_cursor at;
	uint32_t prologue_len;
	int r = ncp_prologue(s->c, &prologue, &prologue_len);

	if (r == 0)
		r = reached(s, &at);
	if (r == 0)
		r = prologue_grow(s, prologue, prologue_len);
	for (int from = 0; from < n && r == 0;) {
		uint8_t *start = outfile_reserve(s->file), *p = start;
		int k;

		if (!start)
			return outfile_poll(s->file);
		/* A reserve holds the longest block; more than one only if they are shorter. */
		for (k = from; k < n; k++) {
			struct pcapng_frame b = { .data = f[k].data,
						  .caplen = f[k].caplen,
						  .len = f[k].len,
						  .interface = f[k].interface,
						  .flags = f[k].flags,
						  .dropcount = f[k].dropcount,
						  .ts = f[k].ts_ns };

			if (s->o->snaplen && b.caplen > s->o->snaplen)
				b.caplen = (uint32_t)s->o->snaplen;
			if (k > from &&
			    (size_t)(p - start) + PCAPNG_FRAME_MAX(b.caplen) > PCAPNG_BLOCK_MAX)
				break;
			p += pcapng_frame(p, &b);
		}
		if (!all_intact(s, f + from, k - from)) {
			r = frames_lost(s, f + from, n - from);
			n = from + r;
			r = r < 0 ? r : 0;
			continue;
		}
		/* Where the last of them ends, all that was read before is in the file with it. */
		r = outfile_commit(s->file, (size_t)(p - start), (uint64_t)(k - from),
				   k == n ? at.position : OUTFILE_NOWHERE,
				   f[k - 1].seq + 1);
		ledger_frames(s->ledger, (uint64_t)(k - from), f[k - 1].seq + 1);
		from = k;
	}
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

int store_tick(struct store *s, uint64_t now_ns, bool idle)
{
	struct outfile_state st;
	bool due;
	int r = outfile_poll(s->file);

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
	return r;
}

int store_nap_ms(const struct store *s, uint64_t now_ns)
{
	struct outfile_state st;
	uint64_t at = UINT64_MAX;

	outfile_state(s->file, &st);
	if (outfile_dirty(s->file))
		at = s->flushed_ns + flush_after(s, st.stream);
	if (!st.stream && sync_after(s) != UINT64_MAX && s->synced_ns + sync_after(s) < at)
		at = s->synced_ns + sync_after(s);
	if (at == UINT64_MAX)
		return -1;
	return at <= now_ns ? 1 : at - now_ns > 1000 * MS ? 1000 : (int)((at - now_ns) / MS) + 1;
}

uint64_t store_size(const struct store *s)
{
	struct outfile_state st = { 0 };

	if (s->file)
		outfile_state(s->file, &st);
	return s->bytes + st.end;
}

void store_abandon(struct store *s)
{
	struct outfile_mark m;
	uint64_t frames;

	if (!s->file)
		return;
	int r = outfile_abandon(s->file, &m);
	/* The others of its group take over what was not kept. */
	if (r == 0 && s->o->group && m.position != OUTFILE_NOWHERE && m.off >= s->section_off)
		ncp_release(s->c, m.position, m.seq);
	/* What earlier windows have was saved before this section began. */
	struct ledger_sum sum;
	struct ledger_window *w = ledger_now(s->ledger);

	ledger_sum(s->ledger, &sum);
	frames = s->frames + m.frames - (sum.frames - (w ? w->frames : 0));
	if (w && w->incarnation == s->incarnation)
		ledger_cut(s->ledger, m.off < s->section_off ? w->first_seq : m.seq,
			   m.off < s->section_off ? 0 : frames);
	s->bytes += m.off;
	s->frames += m.frames;
	s->files += m.off > 0;
	outfile_close(s->file);
	s->file = NULL;
}

void store_close(struct store *s)
{
	outfile_close(s->file);
	s->file = NULL;
}
