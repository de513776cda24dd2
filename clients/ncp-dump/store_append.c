/* SPDX-License-Identifier: BSD-2-Clause */
/* store_append.c - append spans, frames and gaps, into the next file where one is full. */
#include <errno.h>
#include <string.h>

#include "format.h"
#include "split.h"
#include "store_impl.h"
#include "util/pcapng.h"

/* Interfaces the file does not know yet, before the frames that need them. */
static int prologue_grow(struct store *s, const uint8_t *prologue, uint32_t len)
{
	uint32_t off = s->prologue_len;
	struct pcapng_block b;

	if (len <= off || s->only != STORE_ALL)
		return 0;
	while (off < len && pcapng_next(prologue + off, len - off, &b) == 1)
		off += b.len;
	if (off != len)
		return NCP_ECORRUPT;
	int r = s->o->format != FORMAT_PCAPNG ?
			0 :
			outfile_put(s->file, prologue + s->prologue_len, len - s->prologue_len);
	s->prologue_len = len;
	s->realign = true;
	if (r == 0) {
		struct ncp_bus_info info = NCP_BUS_INFO_INIT;

		r = ncp_bus_info(s->c, &info);
		if (r == 0)
			r = store_interfaces(s, info.n_interfaces, false);
	}
	return r;
}

int store_gap(struct store *s, uint64_t incarnation, uint64_t first, uint64_t next)
{
	if (s->split)
		return split_gap(s->split, incarnation, first, next);
	s->realign = true;
	if (s->o->format != FORMAT_PCAPNG)
		return 0;
	return outfile_gap(s->file, incarnation, first, next);
}

/* Before so many bytes are appended: may they be, as far as --quota and --keep-free go? */
static int take_room(struct store *s, uint64_t more)
{
	struct outfile_state st;
	int r;

	if (s->series.granted == UINT64_MAX)
		return 0;
	outfile_state(s->file, &st);
	if (st.end + more <= s->series.granted)
		return 0;
	r = series_room(&s->series, s->file, st.end, more);
	if (r < 0) {
		int e = outfile_flush(s->file); /* what was read before is saved */

		r = e < 0 ? e : r;
	}
	return r;
}

/* Append a piece that fits: what outfile_span() cannot read any more becomes a gap. */
static int span_piece(struct store *s, const struct outfile_span *piece)
{
	int r = take_room(s, piece->len);

	if (r < 0)
		return r;
	r = outfile_span(s->file, piece);
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

/* How much the file may still take: bytes, of which the last block may bring more, and frames. */
static void room(const struct store *s, uint64_t *bytes, uint64_t *frames)
{
	uint64_t full_at = rotation_full_at(&s->series.rotation);
	uint64_t packets = rotation_packets(&s->series.rotation);
	struct outfile_state st;

	outfile_state(s->file, &st);
	*bytes = full_at == UINT64_MAX ? UINT64_MAX : full_at > st.end ? full_at - st.end : 0;
	*frames = packets == UINT64_MAX ? UINT64_MAX :
		  packets > st.frames	? packets - st.frames :
					  0;
}

/* A file without a frame never is, even if its head alone is larger than it may be. */
static bool is_full(const struct store *s)
{
	struct outfile_state st;
	uint64_t bytes, frames;

	room(s, &bytes, &frames);
	outfile_state(s->file, &st);
	return st.frames && (bytes == 0 || frames == 0);
}

/* As room(), and never none. */
static void room_for_one(const struct store *s, uint64_t *bytes, uint64_t *frames)
{
	room(s, bytes, frames);
	*bytes += *bytes == 0;
	*frames += *frames == 0;
}

/* A full file is left before the next frame as tcpdump does it, or at once, as dumpcap does. */
static int rotate_full(struct store *s, bool at_once, uint64_t position, uint64_t seq)
{
	struct ncp_cursor at = { .size = sizeof(at), .position = position, .seq = seq };

	return at_once == s->o->rotate.over || !is_full(s) ? 0 : store_rotate_at(s, ROTATION_FULL, &at);
}

/* The same at once, where the client stands. */
static int rotate_full_here(struct store *s)
{
	struct ncp_cursor at;

	if (!is_full(s))
		return 0;
	int r = store_reached(s, &at);
	return r < 0 ? r : rotate_full(s, true, at.position, at.seq);
}

/* What is left of a span was overrun before it could be read. */
static int span_gone(struct store *s, const struct outfile_span *left)
{
	int r;

	ncp_span_lost(s->c, left->next_seq - left->first_seq);
	r = ledger_lost(s->ledger, left->first_seq, left->next_seq, false);
	return r < 0 ? r : store_gap(s, s->incarnation, left->first_seq, left->next_seq);
}

/* As much of a span as one piece and the file can take.  1; 0: it was overrun; < 0. */
static int span_head(struct store *s, const struct outfile_span *left, struct outfile_span *piece)
{
	uint64_t bytes, frames, seen;

	*piece = *left;
	room_for_one(s, &bytes, &frames);
	/* Longer than a block can be: only where the ring has no waypoint left. */
	if (left->len <= PCAPNG_BLOCK_MAX && left->len <= bytes &&
	    left->next_seq - left->first_seq <= frames)
		return 1;
	piece->len = pcapng_fill(left->data, left->len < PCAPNG_BLOCK_MAX ? left->len : PCAPNG_BLOCK_MAX,
				 bytes, frames, &seen);
	piece->next_seq = left->first_seq + seen;
	if (!ncp_intact(s->c, left->position))
		return 0;
	return piece->len == 0 || piece->next_seq > left->next_seq ? NCP_ECORRUPT : 1;
}

int store_span(struct store *s, const struct ncp_span *span, uint64_t max_frames)
{
	struct outfile_span left = { span->data, span->len, span->position, span->first_seq,
				     span->next_seq }, piece;
	int r = prologue_grow(s, span->prologue, span->prologue_len);
	uint64_t seen;

	if (r < 0 || max_frames == 0)
		return r;
	if (left.next_seq - left.first_seq > max_frames) {
		/* The last run of a capture with an end. */
		left.len = pcapng_cut(left.data, left.len, max_frames, &seen);
		left.next_seq = left.first_seq + max_frames;
		if (seen != max_frames && ncp_intact(s->c, left.position))
			return NCP_ECORRUPT;
	}
	while (r == 0 && left.len) {
		r = rotate_full(s, false, left.position, left.first_seq);
		if (r < 0 || s->ended)
			return r;
		if (s->realign) {
			r = outfile_align(s->file, left.position);
			s->realign = false;
		}
		if (r == 0)
			r = span_head(s, &left, &piece);
		if (r == 0)
			return span_gone(s, &left);
		if (r == 1)
			r = span_piece(s, &piece);
		left.data += piece.len;
		left.len -= piece.len;
		left.position += piece.len;
		left.first_seq = piece.next_seq;
		if (r == 0)
			r = rotate_full(s, true, left.position, left.first_seq);
		if (s->ended)
			break;
	}
	return r;
}

/* Make blocks of the first frames of f, as many as reserved bytes and the file take.  Returns how many;
 * *end: behind the last. */
static int frames_make(struct store *s, const struct ncp_frame *f, int n, uint8_t *start,
		       uint8_t **end)
{
	uint64_t bytes, frames;
	uint8_t *p = start;
	int k = 0;

	room_for_one(s, &bytes, &frames);
	/* A reserve holds the longest block; more than one only if they are shorter. */
	for (; k < n && (uint64_t)(p - start) < bytes && (uint64_t)k < frames; k++) {
		struct pcapng_frame b = { .data = f[k].data,
					  .caplen = f[k].caplen,
					  .len = f[k].len,
					  .interface = s->only == STORE_ALL ? f[k].interface : 0,
					  .flags = f[k].flags,
					  .dropcount = f[k].dropcount,
					  .ts = f[k].ts_ns };

		if (s->o->snaplen && b.caplen > s->o->snaplen)
			b.caplen = (uint32_t)s->o->snaplen;
		if (k && (size_t)(p - start) + FORMAT_FRAME_MAX(b.caplen) > PCAPNG_BLOCK_MAX)
			break;
		p += format_frame(p, s->o->format, &b);
	}
	*end = p;
	return k;
}

/* How many bytes these can become. */
static uint64_t frames_bytes(const struct store *s, const struct ncp_frame *f, int n)
{
	uint64_t bytes = 0;

	for (int i = 0; i < n && s->series.granted != UINT64_MAX; i++)
		bytes += FORMAT_FRAME_MAX((uint64_t)f[i].caplen);
	return bytes;
}

/* Can a pcap hold them? */
static bool one_linktype(const struct store *s, const struct ncp_frame *f, int n)
{
	for (int i = 0; i < n && s->only == STORE_ALL; i++)
		if (f[i].interface < s->n_interfaces &&
		    s->interface[f[i].interface].linktype != s->linktype)
			return false;
	return true;
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

/* The capture ended before these. */
static int frames_left(struct store *s, const struct ncp_frame *f, int n, int r)
{
	if (s->ended) {
		s->left_out = (uint64_t)n;
		store_cut(s, f->position, f->seq);
	}
	return r;
}

int store_frames(struct store *s, struct ncp_frame *f, int n)
{
	const uint8_t *prologue;
	struct ncp_cursor at;
	uint32_t prologue_len;
	int r;

	if (s->split) {
		r = split_frames(s->split, s, f, n);
		split_sum(s->split, s);
		return r;
	}
	r = ncp_prologue(s->c, &prologue, &prologue_len);
	if (r == 0)
		r = store_reached(s, &at);
	if (r == 0)
		r = prologue_grow(s, prologue, prologue_len);
	if (r == 0 && s->o->format != FORMAT_PCAPNG && !one_linktype(s, f, n)) {
		r = outfile_flush(s->file); /* what was read before is saved */
		r = r < 0 ? r : -EMEDIUMTYPE;
	}
	for (int from = 0; from < n && r == 0;) {
		uint8_t *start, *end;
		int k;

		r = rotate_full(s, false, f[from].position, f[from].seq);
		if (r < 0 || s->ended)
			return frames_left(s, f + from, n - from, r);
		r = take_room(s, frames_bytes(s, f + from, n - from));
		if (r < 0)
			return r;
		start = outfile_reserve(s->file);
		if (!start)
			return outfile_poll(s->file);
		k = from + frames_make(s, f + from, n - from, start, &end);
		if (!all_intact(s, f + from, k - from)) {
			r = frames_lost(s, f + from, n - from);
			n = from + r;
			r = r < 0 ? r : 0;
			continue;
		}
		/* Where the last of them ends, all that was read before is in the file with it. */
		r = outfile_commit(s->file, (size_t)(end - start), (uint64_t)(k - from),
				   k == n ? at.position : OUTFILE_NOWHERE,
				   f[k - 1].seq + 1);
		ledger_frames(s->ledger, (uint64_t)(k - from), f[k - 1].seq + 1);
		from = k;
		if (r == 0 && from < n)
			r = rotate_full(s, true, f[from].position, f[from].seq);
		if (s->ended && from < n)
			return frames_left(s, f + from, n - from, r);
	}
	return r < 0 ? r : rotate_full_here(s);
}
