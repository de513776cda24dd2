/* SPDX-License-Identifier: BSD-2-Clause */
/* ring.pml - publish, overrun, die, take over, read, locate: the steps of libncpbus/layout.h. */

/*
 * First the writers run: workers (NW) make CLAIMS claims in any interleaving, die up to CRASHES
 * times at any instruction, and are taken over or not.  Then one client runs over what they left in
 * the log of memory.pml.  Nothing is lost by this order: no writer of a broadcast ring loads what a
 * client stores, and a load may return any old entry, so whatever a client can meet while writers
 * run it can also meet afterwards.  Clients store nothing another one loads, so one stands for all.
 *
 * A crash keeps any set of stores that could have been performed: with each store those that it
 * bears in its view, and what another worker has loaded.  A compiler or processor may have done
 * later relaxed stores first; steps that never ran are simply not there.  Between the death of a
 * process and the start of the next lies the kernel, which is a full fence.
 *
 * Names of steps are those of layout.h, names of functions and variables those of libncpbus/.
 * -DM_... weakens one thing (tests/model/cases lists all).
 */

#ifndef NW
#define NW 1
#endif
#ifndef R
#define R 4			/* ring_size, in cells: a cell is what is loaded or stored at once */
#endif
#ifndef WPN
#define WPN 4			/* n_waypoints */
#endif
#ifndef EVERY
#define EVERY 2			/* waypoint_every */
#endif
#define HALF (R / 2)
#ifndef QUEUE
#define QUEUE 2			/* NCPI_CLAIMS */
#endif
#ifndef CLAIMS
#define CLAIMS 4
#endif
#ifndef CRASHES
#define CRASHES 0
#endif
#ifndef MARGIN
#define MARGIN 0		/* ncpi_margin() */
#endif
#ifndef MAXE
#define MAXE 120
#endif
#define MAXP (R + HALF * CLAIMS + CRASHES + 3)
#define UNUSED 255

#define NV NW
#define NT NW
#define C 0			/* the client: its views are its own, by scope */

/* Locations. */
#define HEAD 1
#define TAIL 2
#define COUNT 3
#define NEXTC 4			/* next_commit */
#define NFL 5
#define SPOS(i) (5 + 2 * (i))
#define SSEQ(i) (6 + 2 * (i))
#define WPOS(i) (9 + 3 * (i))
#define WSEQ(i) (10 + 3 * (i))
#define WCHK(i) (11 + 3 * (i))
#define CELL(p) (9 + 3 * WPN + (p) % R)
#define PRIVATE (9 + 3 * WPN + R)
#define CLAIM(i) (PRIVATE + (i) % QUEUE) /* plain words of a claim: an entry per access */
#define DONE(i) (PRIVATE + QUEUE + (i) % QUEUE)
#define CHECK(p, s) ((p) * 64 + (s) + 1)

/*
 * At first the ring is full: two frames of half a ring each, with waypoints 0 {0, 0}, 1, and 2 at
 * head (in a table of two the third has replaced the first).  A cell holds its block's id, unique
 * among all blocks ever written, and if it is the block's first one, its kind.
 */
#define F1 1			/* a frame of one cell */
#define F2 2			/* of two */
#define LOCAL 3			/* a block of ncp's own, of one cell */
#define F4 4			/* a frame of four cells */
#define WORD(id, kind) ((id) * 8 + (kind))
#define KIND(word) ((word) % 8)
#define LEN(word) (KIND(word) == F4 -> 4 : (KIND(word) == F2 -> 2 : 1))
#if R == 4
#define FULL F2
#else
#define FULL F4
#endif
#define CELL0 CELL(0)
#define INI_WP(i) \
	((i) == WPOS(2 % WPN) -> R : \
	((i) == WSEQ(2 % WPN) -> 2 : \
	((i) == WCHK(2 % WPN) -> CHECK(R, 2) : \
	((i) == WPOS(1) -> HALF : \
	((i) == WSEQ(1) -> 1 : \
	((i) == WCHK(1) -> CHECK(HALF, 1) : \
	((i) == WPOS(0) -> 0 : \
	((i) == WSEQ(0) -> 0 : \
	((i) == WCHK(0) -> CHECK(0, 0) : \
	(((i) % 3) == 0 -> UNUSED : 0)))))))))) /* WPOS of the others */
#define INI(x) \
	((x) == HEAD -> R : \
	((x) == COUNT -> 3 : \
	((x) == SPOS(0) -> R : \
	((x) == SSEQ(0) -> 2 : \
	((x) == SPOS(1) -> HALF : \
	((x) == SSEQ(1) -> 1 : \
	((x) == CELL0 -> WORD(1, FULL) : \
	((x) == CELL0 + HALF -> WORD(2, FULL) : \
	((x) > CELL0 && (x) < CELL0 + R -> WORD(((x) < CELL0 + HALF -> 1 : 2), 0) : \
	((x) >= 9 && (x) < CELL0 -> INI_WP(x) : 0))))))))))

#define LOCKS 2
#define CLAIM_LOCK 0
#define COMMIT_LOCK 1
#include "memory.pml"

/* --- what is weakened ----------------------------------------------------------------------- */

#ifdef M_P5_RELAXED
#define P5_RELEASE 0
#else
#define P5_RELEASE 1
#endif
#ifdef M_P7_RELAXED
#define P7_RELEASE 0
#else
#define P7_RELEASE 1
#endif
#ifdef M_NEXTC_RELAXED
#define NEXTC_RELEASE 0
#else
#define NEXTC_RELEASE 1
#endif
#ifdef M_NEXTC_LOAD_RELAXED
#define NEXTC_ACQUIRE 0
#else
#define NEXTC_ACQUIRE 1
#endif
#ifdef M_ROOM_RELAXED
#define ROOM_ACQUIRE 0
#else
#define ROOM_ACQUIRE 1
#endif
#ifdef M_C1_RELAXED
#define C1_ACQUIRE 0
#else
#define C1_ACQUIRE 1
#endif
#ifdef M_S1_RELAXED
#define S1_ACQUIRE 0
#else
#define S1_ACQUIRE 1
#endif
#ifdef M_WP_HEAD_RELAXED
#define WP_HEAD_ACQUIRE 0
#else
#define WP_HEAD_ACQUIRE 1
#endif
#ifdef M_WP_COUNT_RELAXED
#define WP_COUNT_ACQUIRE 0
#else
#define WP_COUNT_ACQUIRE 1
#endif
#ifdef M_RANGE_HEAD_RELAXED
#define RANGE_HEAD_ACQUIRE 0
#else
#define RANGE_HEAD_ACQUIRE 1
#endif
#ifdef M_TK_COUNT_RELAXED
#define TK_COUNT_RELEASE 0
#else
#define TK_COUNT_RELEASE 1
#endif

/* --- the truth, kept beside the model ------------------------------------------------------- */

byte g_head, g_next;		/* published up to here; the next frame's number */
byte g_seq[MAXP];		/* of the next frame at this block boundary; UNUSED: no boundary */
byte g_id[MAXP];		/* of the block that begins here */

/* --- the producer's memory: declared in init, below ------------------------------------------ */

/*
 * A claim: 1 a frame of one cell, 2 of two, 3 two frames of one, 4 the epoch block, 5 four frames
 * of one, 6 one of four.  SHAPES says which there are, by bits 1, 2, 4, 8 (5) and 16 (6).
 */
#ifndef SHAPES
#define SHAPES 7
#endif
#ifndef SHAPES_AFTER
#define SHAPES_AFTER SHAPES	/* once somebody has died */
#endif
#define MAY (crashes == CRASHES -> SHAPES : SHAPES_AFTER)
#ifdef DIES_FIRST
#define MAY_CLAIM (todo == CLAIMS || crashes == 0)
#else
#define MAY_CLAIM true
#endif
#define BLOCKS(shape) ((shape) == 5 -> 4 : ((shape) == 3 -> 2 : 1))
#define BLOCK_LEN(shape) ((shape) == 6 -> 4 : ((shape) == 2 -> 2 : 1))
#define BLOCK_KIND(shape) \
	((shape) == 6 -> F4 : ((shape) == 4 -> LOCAL : ((shape) == 2 -> F2 : F1)))
#define CELLS(shape) (BLOCKS(shape) * BLOCK_LEN(shape))
#define FRAMES(shape) ((shape) == 4 -> 0 : BLOCKS(shape))

/* Race: is the newest access to plain words x known to thread t? */
inline ordered(t_, x_)
{
	a_ = n;
	do
	:: a_ == 0 -> break
	:: else ->
		if
		:: e_loc[a_] == (x_) -> assert(COVERS(t_, a_)); break
		:: else -> a_--
		fi
	od;
	a_ = 0
}

/* P1, in two halves, so that they can be torn apart. */
inline claim_look(t_)
{
	mine[t_] = next_claim;
	p = next_position;
	s = next_seq
}
inline claim_take(t_, shape_)
{
	k = mine[t_] % QUEUE;
#if NW > 1
	ordered(t_, CLAIM(mine[t_]));
	store(t_, CLAIM(mine[t_]), 0, 0);
#endif
	cl_position[k] = p;
	cl_end[k] = p + CELLS(shape_);
	cl_seq[k] = s;
	cl_end_seq[k] = s + FRAMES(shape_);
	cl_shape[k] = shape_;
	cl_id[k] = next_id;
#ifdef M_DONE_RESET
	ordered(t_, DONE(mine[t_]));
	store(t_, DONE(mine[t_]), 0, 0);
	cl_done[k] = 0;
#endif
	next_id = next_id + BLOCKS(shape_);
	next_claim = mine[t_] + 1;
	next_position = cl_end[k];
	next_seq = cl_end_seq[k];
	k = 0; p = 0; s = 0
}

/* P2: what tail has to become, then the store. */
#define TAIL_WANTED(t) (cl_end[mine[t] % QUEUE] - R)
#define TAIL_FALLS_SHORT(t) (cl_end[mine[t] % QUEUE] > R && TAIL_WANTED(t) > w_tail)
inline tail_move(t_)
{
	newest(TAIL, v);
	assert(v <= TAIL_WANTED(t_));	/* never back */
	w_tail = TAIL_WANTED(t_);
	assert(w_tail <= g_head);
	assert(g_head - w_tail <= R);
	store(t_, TAIL, w_tail, 0);
	v = 0
}

inline cell_write(t_, x_, word_)
{
#if NW > 1
	ordered(t_, x_);	/* copied in by plain stores: two workers must not race for the same bytes */
#endif
	store(t_, x_, word_, 0)
}

/* P4 */
inline blocks_write(t_)
{
	k = mine[t_] % QUEUE;
	i = 0;
	do
	:: i < CELLS(cl_shape[k]) ->
		s = BLOCK_LEN(cl_shape[k]);
		v = WORD(cl_id[k] + i / s, (i % s == 0 -> BLOCK_KIND(cl_shape[k]) : 0));
		cell_write(t_, CELL(cl_position[k] + i), v);
		i++
	:: else -> break
	od;
	i = 0; k = 0; s = 0; v = 0
}

inline waypoint(t_, position_, number_)
{
	store(t_, WPOS(waypoints % WPN), position_, 0);
	store(t_, WSEQ(waypoints % WPN), number_, 0);
#ifndef M_WP_NO_CHECK
	store(t_, WCHK(waypoints % WPN), CHECK(position_, number_), 0);
#endif
	waypoints++;
#ifndef M_P5_COUNT_LAST
	store(t_, COUNT, waypoints, P5_RELEASE)
#endif
}

/* P5, walking over the blocks; and the truth of what is published. */
inline waypoints_write(t_)
{
	p = cl_position[k];
	s = cl_seq[k];
	i = cl_id[k];
	if
	:: cl_shape[k] == 4 -> waypoint(t_, p, s)
	:: else
	fi;
	do
	:: p < cl_end[k] ->
		v = BLOCK_LEN(cl_shape[k]);
		if
		:: cl_shape[k] != 4 -> s++
		:: else
		fi;
		if
		:: p / EVERY != (p + v) / EVERY -> waypoint(t_, p + v, s)
		:: else
		fi;
		p = p + v;
		i++
	:: else -> break
	od;
	p = 0; s = 0; i = 0; v = 0
}
inline truth()
{
	p = cl_position[k];
	s = cl_seq[k];
	i = cl_id[k];
	assert(p == g_head);	/* in claim order, each once */
	assert(s == g_next);	/* contiguous, also over takeovers */
	do
	:: p < cl_end[k] ->
		g_id[p] = i;
		g_seq[p] = s;
		if
		:: cl_shape[k] != 4 -> s++
		:: else
		fi;
		p = p + BLOCK_LEN(cl_shape[k]);
		i++
	:: else -> break
	od;
	assert(s == cl_end_seq[k]);
	g_seq[p] = s;
	g_head = p;
	g_next = s;
	p = 0; s = 0; i = 0
}

inline slot_write(t_)
{
#ifndef M_P8
	fence_release(t_);	/* P8 */
#endif
	store(t_, SPOS(slot_idx), cl_end[k], 0);
	store(t_, SSEQ(slot_idx), cl_end_seq[k], 0);
#ifndef M_ONE_SLOT
	slot_idx = 1 - slot_idx
#endif
}

/* commit_one() of claim m */
inline commit_one(t_, m_)
{
	k = (m_) % QUEUE;
#if NW > 1
	ordered(t_, CLAIM(m_));
#endif
#ifndef M_P5_LATE
	waypoints_write(t_);
#endif
#ifndef M_P6_LATE
	slot_write(t_);		/* P6 */
#endif
	store(t_, HEAD, cl_end[k], P7_RELEASE);	/* P7 */
#ifdef M_P6_LATE
	slot_write(t_);
#endif
#ifdef M_P5_LATE
	waypoints_write(t_);
#endif
#ifdef M_P5_COUNT_LAST
	store(t_, COUNT, waypoints, 1);
#endif
	truth();
#if NW > 1
	store(t_, CLAIM(m_), 0, 0);	/* its words were loaded up to here */
#endif
	k = 0
}

inline commit_next(t_)
{
	k = next_commit;
	commit_one(t_, next_commit);
	cl_done[next_commit % QUEUE] = 0;
	next_commit++;
#if NW > 1
	store(t_, NEXTC, next_commit, NEXTC_RELEASE)
#endif
}

#ifdef M_DONE_RESET
#define done_access(t, m) ordered(t, DONE(m)); store(t, DONE(m), 0, 0)
#else
#define done_access(t, m) skip
#endif

/* What the next commit finds at next_commit, under the lock. */
inline commit_all(t_)
{
	do
	:: cl_done[next_commit % QUEUE] ->
		done_access(t_, next_commit);
		commit_next(t_)
	:: else -> done_access(t_, next_commit); break
	od
}

/* position_take(): is there room, and a place in the queue? */
#ifdef M_ROOM
#define ROOM true
#else
#define ROOM (next_position + CELLS(i) <= HALF + v)
#endif

/* One step of worker t.  A step under a lock is one step: nobody else can be in its midst, and who
 * loads without the lock may find what was there before. */
inline work(t_)
{
	if
	:: st[t_] == 0 && (epoch_due -> t_ == 0 : todo > 0 && MAY_CLAIM) ->
		d_step { lock(t_, CLAIM_LOCK) };
		if
		:: epoch_due -> i = 4
		:: !epoch_due && (MAY & 1) -> i = 1
		:: !epoch_due && (MAY & 2) -> i = 2
		:: !epoch_due && (MAY & 4) -> i = 3
		:: !epoch_due && (MAY & 8) -> i = 5
		:: !epoch_due && (MAY & 16) -> i = 6
		fi;
		load(t_, HEAD, v, ROOM_ACQUIRE);
		if
		:: ROOM ->
#if NW > 1
			load(t_, NEXTC, v, NEXTC_ACQUIRE);
#else
			v = next_commit;
#endif
			if
			:: next_claim - v < QUEUE ->
				v = 0;
				d_step {
					if
					:: !epoch_due -> todo--
					:: else
					fi;
					epoch_due = 0;
					claim_look(t_);
#ifdef M_P1_UNLOCKED
					look_p[t_] = p; look_s[t_] = s; look_i[t_] = i;
					p = 0; s = 0;
					st[t_] = 1
#else
					claim_take(t_, i);
					st[t_] = 3;
#ifdef M_P2_UNLOCKED
					if
					:: TAIL_FALLS_SHORT(t_) -> st[t_] = 2
					:: else
					fi
#elif !defined(M_P2_LATE)
					if
					:: TAIL_FALLS_SHORT(t_) ->
						tail_move(t_);	/* P2 */
#ifdef M_P3_ONE
						fence_release(t_);
#endif
					:: else
					fi
#endif
#endif
				}
			:: else -> v = 0
			fi
		:: else -> v = 0
		fi;
		d_step { i = 0; unlock(t_, CLAIM_LOCK) }
#ifdef M_P1_UNLOCKED
	:: st[t_] == 1 ->
		d_step {
			p = look_p[t_]; s = look_s[t_]; i = look_i[t_];
			look_p[t_] = 0; look_s[t_] = 0; look_i[t_] = 0;
			claim_take(t_, i);
			i = 0;
			if
			:: TAIL_FALLS_SHORT(t_) -> tail_move(t_)
			:: else
			fi;
			st[t_] = 3
		}
#endif
#ifdef M_P2_UNLOCKED
	:: st[t_] == 2 -> d_step { tail_move(t_); st[t_] = 3 }
#endif
	:: st[t_] == 3 ->
		d_step {
#if !defined(M_P3) && !defined(M_P3_ONE)
			fence_release(t_);	/* P3 */
#endif
			blocks_write(t_);	/* P4 */
#ifdef M_P2_LATE
			if
			:: TAIL_FALLS_SHORT(t_) -> tail_move(t_)
			:: else
			fi;
#endif
			st[t_] = 4
		}
#if defined(M_COMMIT_UNLOCKED)
	:: st[t_] == 4 -> cl_done[mine[t_] % QUEUE] = 1; st[t_] = 5
	:: st[t_] == 5 ->
		if
		:: cl_done[next_commit % QUEUE] -> look_p[t_] = next_commit; st[t_] = 6
		:: else -> mine[t_] = 0; st[t_] = 0
		fi
	:: st[t_] == 6 -> d_step { commit_one(t_, look_p[t_]); st[t_] = 7 }
	:: st[t_] == 7 ->
		d_step {
			cl_done[look_p[t_] % QUEUE] = 0;
			next_commit = look_p[t_] + 1;
			store(t_, NEXTC, next_commit, NEXTC_RELEASE);
			look_p[t_] = 0;
			st[t_] = 5
		}
#elif defined(M_COMMIT_TEST)
	:: st[t_] == 4 -> cl_done[mine[t_] % QUEUE] = 1; st[t_] = 5
	:: st[t_] == 5 ->	/* is it the oldest? asked without the lock, which the committer has */
		if
		:: next_commit == mine[t_] && !busy -> busy = 1; st[t_] = 6
		:: next_commit != mine[t_] -> mine[t_] = 0; st[t_] = 0
		fi
	:: st[t_] == 6 ->
		d_step {
			lock(t_, COMMIT_LOCK);
			if
			:: cl_done[next_commit % QUEUE] ->
				k = next_commit;
				commit_one(t_, next_commit);
				cl_done[next_commit % QUEUE] = 0;
				look_p[t_] = cl_done[(next_commit + 1) % QUEUE];
				st[t_] = 7
			:: else -> busy = 0; mine[t_] = 0; st[t_] = 0
			fi;
			unlock(t_, COMMIT_LOCK)
		}
	:: st[t_] == 7 ->
		d_step {
			next_commit++;
			store(t_, NEXTC, next_commit, NEXTC_RELEASE);
			if
			:: look_p[t_] -> st[t_] = 6
			:: else -> busy = 0; mine[t_] = 0; st[t_] = 0
			fi;
			look_p[t_] = 0
		}
#elif defined(M_COMMIT_OWN)
	:: st[t_] == 4 ->	/* each its own, in whatever order */
		d_step {
			lock(t_, COMMIT_LOCK);
			k = mine[t_];
			commit_one(t_, mine[t_]);
			next_commit++;
			store(t_, NEXTC, next_commit, NEXTC_RELEASE);
			unlock(t_, COMMIT_LOCK);
			mine[t_] = 0;
			st[t_] = 0
		}
#else
	:: st[t_] == 4 ->	/* done() */
		d_step {
			lock(t_, COMMIT_LOCK);
			done_access(t_, mine[t_]);
			cl_done[mine[t_] % QUEUE] = 1;
			commit_all(t_);
			unlock(t_, COMMIT_LOCK);
			mine[t_] = 0;
			st[t_] = 0
		}
#endif
	fi
}

/* --- death, and who comes after ------------------------------------------------------------- */

inline performed(x_, t_)
{
	if
	:: x_ > must[t_] -> must[t_] = x_
	:: else
	fi
}

/* May entry i be missing?  pick_: 0 no, 1 yes, 2 it is no shared memory and goes anyway. */
inline may_miss()
{
	pick_ = 1;
	if
	:: e_loc[i] >= PRIVATE || e_loc[i] == NEXTC -> pick_ = 2
#ifdef CELLS_STAY	/* fewer states where nobody looks at what no head covers */
	:: e_loc[i] >= CELL0 && e_loc[i] < PRIVATE -> pick_ = 0
#endif
	:: else ->
		if
		:: i <= must[e_by[i]] -> pick_ = 0
		:: else
		fi;
		a_ = i + 1;
		do
		:: a_ > n -> break
		:: else ->
			if
			:: e_loc[a_] == e_loc[i] -> pick_ = 0
			:: else
			fi;
			a_++
		od;
#if NW > 1
		if
		:: e_loc[i] == HEAD && (i <= seen[0 * NFL + HEAD] || i <= seen[1 * NFL + HEAD]) ->
			pick_ = 0
		:: else
		fi;
#endif
		a_ = 0
	fi
}

inline die()
{
	d_step {
		crashes--;
		must[0] = base;
#if NW > 1
		must[1] = base;
		performed(cur[0 * NV + 1], 1);
		performed(cur[1 * NV + 0], 0);
#endif
		i = n
	};
	do
	:: i > base ->
		d_step { may_miss() };
		if
		:: pick_ > 0 -> e_loc[i] = 0
		:: pick_ < 2 -> join(must, 0, e_view, i * NV)
		fi;
		pick_ = 0;
		i--
	:: else -> break
	od;
	skip;
	d_step {
		i = 1;
		do
		:: i > n -> break
		:: else ->
			if
			:: e_loc[i] == 0 ->
				e_val[i] = 0;
				e_by[i] = 0;
				e_view[i * NV] = 0;
#if NW > 1
				e_view[i * NV + 1] = 0;
#endif
			:: else
			fi;
			i++
		od;
		do
		:: n > 0 && e_loc[n] == 0 -> n--
		:: else -> break
		od;
		base = n;
		must[0] = 0;
		k = 0;
		do
		:: k < QUEUE ->
			cl_done[k] = 0; cl_shape[k] = 0; cl_position[k] = 0; cl_end[k] = 0;
			cl_seq[k] = 0; cl_end_seq[k] = 0; cl_id[k] = 0; k++
		:: else -> break
		od;
		k = 0;
		next_claim = 0; next_commit = 0;
		st[0] = 0; mine[0] = 0;
#if NW > 1
		must[1] = 0; st[1] = 0; mine[1] = 0;
		lk[0] = n; lk[1] = n; lk[2] = n; lk[3] = n;
		cur[0] = n; cur[1] = n; cur[2] = n; cur[3] = n;
		acq[0] = 0; acq[1] = 0; acq[2] = 0; acq[3] = 0;
		rel[0] = n; rel[1] = n; rel[2] = n; rel[3] = n;
		seen[0 * NFL + HEAD] = 0; seen[1 * NFL + HEAD] = 0;
		seen[0 * NFL + NEXTC] = 0; seen[1 * NFL + NEXTC] = 0;
#else
		lk[0] = n; lk[1] = n; cur[0] = n; acq[0] = 0; rel[0] = n;
		seen[HEAD] = 0;
#endif
		/* The truth goes back to what is there. */
		newest(HEAD, v);
		g_head = v;
		g_next = g_seq[g_head];
		i = v + 1;
		g_id[v] = 0;
		do
		:: i < MAXP -> g_seq[i] = UNUSED; g_id[i] = 0; i++
		:: else -> break
		od;
		i = 0; v = 0
	}
}

/* waypoint_good() of entry i, into s */
inline waypoint_good()
{
	newest(WPOS(i), v);
	k = v;
	newest(WSEQ(i), v);
	s = v;
	newest(WCHK(i), v);
	s = (k <= g_head && v == CHECK(k, s));
	k = 0; v = 0
}

inline invalidate()
{
	i = 0;
	do
	:: i < WPN ->
		waypoint_good();
		if
		:: s -> skip
		:: else ->
			store(0, WCHK(i), 0, 0);
			store(0, WPOS(i), UNUSED, 0)
		fi;
		i++
	:: else -> break
	od;
	i = 0; s = 0
}

/* ncpi_takeover_valid(), ncpi_takeover_begin(), and the start of ncpi_writer_open() */
inline takeover()
{
	d_step {
		newest(TAIL, v);
		w_tail = v;
		assert(w_tail <= g_head && g_head - w_tail <= R);
		newest(SPOS(0), v);
		if
		:: v == g_head -> k = 0
		:: else ->
			newest(SPOS(1), v);
			assert(v == g_head);	/* some slot bears head */
			k = 1
		fi;
		slot_idx = 1 - k;
#ifdef M_TK_SLOT
		slot_idx = k;
#endif
		newest(SSEQ(k), v);
		next_seq = v;
		assert(next_seq == g_next);
		next_position = g_head;
		v = 0; k = 0;
#ifdef M_TK_TAIL
		w_tail = 0;	/* its own idea of tail, until the first overrun */
#endif
#if !defined(M_TK_LEFT) && !defined(M_TK_BELOW_COUNT)
		invalidate();
#endif
		newest(COUNT, v);
		waypoints = v;
		v = 0;
#ifndef M_TK_COUNT
		p = 0;
		do
		:: waypoints > 0 && p < WPN ->
			i = (waypoints - 1) % WPN;
			waypoint_good();
			if
			:: s -> break
			:: else -> waypoints--; p++
			fi
		:: else -> break
		od;
		i = 0; s = 0; p = 0;
#endif
#ifdef M_TK_BELOW_COUNT
		newest(COUNT, v);
		p = waypoints;
		do
		:: p < v ->
			store(0, WCHK(p % WPN), 0, 0);
			store(0, WPOS(p % WPN), UNUSED, 0);
			p++
		:: else -> break
		od;
		p = 0; v = 0;
#endif
		store(0, COUNT, waypoints, TK_COUNT_RELEASE);
		epoch_due = 1
	}
}

/* --- the client ----------------------------------------------------------------------------- */

/* Everything stored so far is known to the client. */
#if NW > 2
#define ALL_SEEN (cur[C * NV] >= n && cur[C * NV + 1] >= n && cur[C * NV + 2] >= n)
#elif NW > 1
#define ALL_SEEN (cur[C * NV] >= n && cur[C * NV + 1] >= n)
#else
#define ALL_SEEN (cur[C * NV] >= n)
#endif
inline see_all()
{
	c_ = 0;
	do
	:: c_ < NV -> cur[C * NV + c_] = n; c_++
	:: else -> break
	od;
	c_ = 0
}

/* States that differ in nothing that matters become one. */
inline tidy()
{
	c_ = 0;
	do
	:: c_ < NV ->
		if
		:: acq[C * NV + c_] <= cur[C * NV + c_] -> acq[C * NV + c_] = 0
		:: else
		fi;
		c_++
	:: else -> break
	od;
	c_ = HEAD;
	do
	:: c_ <= COUNT ->
		if
		:: COVERS(C, seen[C * NFL + c_]) -> seen[C * NFL + c_] = 0
		:: else
		fi;
		c_++
	:: else -> break
	od;
	c_ = 0
}

/* A place must be a boundary of what is published, with its true number. */
#define TRUE_PLACE(pos, num) ((pos) < MAXP && (pos) <= g_head && g_seq[pos] == (num))

/*
 * What a search for the oldest place may not pass over: the oldest waypoint that stays in the table
 * and ahead of tail to the end, that head covers, and that the client must see before it begins.
 */
inline must_find_set()
{
	newest(TAIL, z);
	tail = z;
	i = 0;
	do
	:: i < WPN ->
		newest(WPOS(i), v);
		p = v;
		newest(WSEQ(i), v);
		s = v;
		newest(WCHK(i), v);
		k = (v == CHECK(p, s) && p < g_head && p >= (tail > 0 -> tail + margin : 0));
		if
		:: k ->
			/* The head that covered it first, and all before it, are known. */
			a_ = 1;
			b_ = 0;
			do
			:: a_ > n -> break
			:: e_loc[a_] == HEAD && e_val[a_] > p -> b_ = a_; break
			:: else -> a_++
			od;
			/* Of the initial state, or seen. */
			if
			:: p < INI(HEAD) || (b_ > 0 && COVERS(C, b_)) ->
				if
				:: p < must_find -> must_find = p; must_find_seq = s
				:: else
				fi
			:: else
			fi;
			a_ = 0; b_ = 0
		:: else
		fi;
		i++
	:: else -> break
	od;
	i = 0; p = 0; s = 0; k = 0; v = 0; z = 0; tail = 0
}

#ifdef M_WP_NO_HEAD
#define WP_BELOW_HEAD (wp_position != UNUSED)
#else
#define WP_BELOW_HEAD BELOW(wp_position, x)
#endif
#ifdef M_WP_AT_HEAD
#define BELOW(pos, h) ((pos) <= (h))
#else
#define BELOW(pos, h) ((pos) < (h))
#endif
#ifdef M_WP_NO_CHECK
#define WP_CHECKED true
#else
#define WP_CHECKED (z == CHECK(wp_position, wp_seq))
#endif

/* waypoint_get(): number m into wp_position, wp_seq, wp_ok */
inline waypoint_get(m_)
{
#ifndef M_WP_HEAD_AFTER
	load(C, HEAD, x, WP_HEAD_ACQUIRE);
#endif
	load(C, WPOS((m_) % WPN), y, 0);
	wp_position = y;
	load(C, WSEQ((m_) % WPN), y, 0);
	wp_seq = y;
	load(C, WCHK((m_) % WPN), z, 0);
#ifdef M_WP_HEAD_AFTER
	load(C, HEAD, x, WP_HEAD_ACQUIRE);
#endif
#ifndef M_WP_FENCE
	d_step { fence_acquire(C); tidy() };
#endif
	wp_ok = 0;
	if
	:: WP_BELOW_HEAD && WP_CHECKED ->
#ifdef M_WP_NO_COUNT
		wp_ok = 1;
#else
		load(C, COUNT, y, 0);
		wp_ok = (y > (m_) && y - 1 - (m_) < WPN);
#endif
#ifndef M_WP_NO_TAIL
		if
		:: wp_ok ->
			load(C, TAIL, y, 0);
			wp_ok = (y <= wp_position)
		:: else
		fi;
#endif
	:: else
	fi;
	x = 0; y = 0; z = 0
}

/* waypoint_range(): [first, end) */
inline waypoint_range()
{
	atomic {
		load(C, COUNT, x, WP_COUNT_ACQUIRE);
		end = x;
		first = (end > WPN -> end - WPN : 0);
		x = 0
	};
#ifndef M_RANGE_WHOLE
	atomic { load(C, HEAD, x, RANGE_HEAD_ACQUIRE) };
	do
	:: end > first ->
		atomic {
			load(C, WPOS((end - 1) % WPN), y, 0);
			if
			:: BELOW(y, x) -> y = 0; break
			:: else -> y = 0; end--
			fi
		}
	:: else -> break
	od;
	x = 0
#endif
}

/* waypoint_search(): lo, the first that has reached what is asked, or end */
inline waypoint_search(reached_)
{
	lo = first;
	hi = end;
	do
	:: lo < hi ->
		atomic {
			mid = lo + (hi - lo) / 2;
			waypoint_get(mid);
			if
			:: wp_ok && (reached_) -> hi = mid
			:: else -> lo = mid + 1
			fi;
			wp_ok = 0; wp_position = 0; wp_seq = 0; mid = 0
		}
	:: else -> break
	od;
	hi = 0
}

/* What the client does: */
#define STREAM 0		/* reads on and on from the oldest frame */
#define LOCATE 1		/* ncpi_locate_newest() once */
#define SEEK 2			/* ncpi_locate_seq() once, for every number */
#define PROBE 3			/* waypoint_get() once, for every number */
#ifndef DOES
#define DOES STREAM
#endif

proctype client()
{
	/* All of it is local, so that the log, which stays, is kept once (COLLAPSE). */
	VIEWS(1);
	byte i, p, s, k;
	short v;
	byte at_position, at_seq, head;
	bit held;
	byte held_position, held_seq;
	short word, body, next_word, x, y, z;
	byte counted;			/* frames and lost ones together: where it stands, to the frame */
	byte tail, first, end, lo, hi, mid;
	byte wp_position, wp_seq;
	bit wp_ok, fresh, began;
	byte margin, must_find = UNUSED, must_find_seq = UNUSED;
	byte target, step, from;

	/* The margin is the caller's; a seek has none. */
	margin = (DOES == SEEK -> 0 : MARGIN);
	if
	:: DOES == LOCATE -> goto newest_place
	:: DOES == PROBE ->
		atomic {
			/* A number below a count. */
			load(C, COUNT, x, WP_COUNT_ACQUIRE);
			first = (x > WPN -> x - WPN : 0);
			end = x;
			x = 0;
			do
			:: first + 1 < end -> first++
			:: break
			od
		};
		atomic {
			waypoint_get(first);
			assert(!wp_ok || TRUE_PLACE(wp_position, wp_seq));
			goto over
		}
	:: DOES == SEEK ->
		atomic {
			d_step { must_find_set() };
			/* A number that there is, the newest one excepted: that needs no search. */
			target = 0;
			do
			:: target + 1 < g_next -> target++
			:: break
			od
		};
		goto seek
	:: else
	fi;

again:
	atomic {
		/* It may come about at any time that everything is seen. */
		if
		:: true
		:: !ALL_SEEN -> d_step { see_all() }
		fi
	};
#ifndef RECV
	/* The short way: one look at tail for the frame handed out, which lies lower, and the next. */
	if
	:: held && at_position != head ->
		atomic { load(C, CELL(at_position), next_word, 0) };
#ifndef M_SHORT_C3
		atomic { d_step { fence_acquire(C); tidy() } };
#endif
		atomic {
			load(C, TAIL, x, 0);
#ifdef M_SHORT_LOW
			if
			:: x <= at_position && x > held_position -> x = held_position
			:: else
			fi;
#endif
			if
			:: x <= held_position && KIND(next_word) != 0 && KIND(next_word) != LOCAL &&
			   LEN(next_word) <= head - at_position ->
				assert(g_seq[held_position] == held_seq);
				assert(word / 8 == g_id[held_position]);
				assert(LEN(word) == 1 || body == WORD(g_id[held_position], 0));
				held_position = at_position;
				held_seq = at_seq;
				counted++;
				at_seq++;
				at_position = at_position + LEN(next_word);
				word = next_word;
				next_word = 0;
				body = 0;
				x = 0;
				if
				:: LEN(word) > 1 ->
					load(C, CELL(held_position + LEN(word) - 1), body, 0)
				:: else
				fi;
				goto again
			:: else -> next_word = 0; x = 0 /* the long way knows */
			fi
		}
	:: else
	fi;
#endif
	/* held_check(): were the frames handed out whole until now? */
	if
	:: !held -> goto find
	:: else
	fi;
#ifndef M_HELD_FENCE
	atomic { d_step { fence_acquire(C); tidy() } };
#endif
#ifdef M_HELD_TAIL
	atomic { x = 0 };
#else
	atomic { load(C, TAIL, x, 0) };
#endif
	atomic {
		held = 0;
		if
		:: x > held_position ->
			counted--;
			if
			:: at_position < x -> at_seq = held_seq; x = 0; word = 0; body = 0; goto lapped
			:: else -> counted++
			fi
		:: else ->
			/* Accepted: every word is of the one block published here, with its number. */
			assert(g_seq[held_position] == held_seq);
			assert(word / 8 == g_id[held_position]);
			assert(LEN(word) == 1 || body == WORD(g_id[held_position], 0))
		fi;
		assert(counted == at_seq);
		x = 0; word = 0; body = 0
	};

find:
	if
	:: at_position != head -> goto use
	:: else
	fi;
	atomic {
		load(C, HEAD, x, C1_ACQUIRE);	/* C1 */
		head = x;
		x = 0;
		if
		:: at_position == head ->
			if
			:: at_position == g_head -> goto over
			:: else -> goto again	/* asleep */
			fi
		:: else ->
			assert(head >= at_position);
			if
			:: head - at_position > R -> goto lapped
			:: else
			fi
		fi
	};
use:
#ifdef M_C4_EARLY
	atomic { load(C, TAIL, x, 0) };
#endif
	atomic { load(C, CELL(at_position), word, 0) };	/* C2 */
#ifndef M_C3
	atomic { d_step { fence_acquire(C); tidy() } };	/* C3 */
#endif
#if defined(M_C4)
	atomic { x = 0 };
#elif !defined(M_C4_EARLY)
	atomic { load(C, TAIL, x, 0) };		/* C4 */
#endif
	atomic {
		if
		:: x > at_position -> x = 0; word = 0; goto lapped
		:: else -> x = 0
		fi;
		/* Not overrun: a block that breaks the rules is an error, NCP_ECORRUPT. */
		assert(KIND(word) != 0);
		assert(LEN(word) <= head - at_position);
		if
		:: KIND(word) == LOCAL -> at_position++; word = 0; goto find
		:: else
		fi
	};
#ifdef RECV
	/* ncp_recv(): the bytes are copied and looked at again at once. */
	if
	:: LEN(word) > 1 -> atomic { load(C, CELL(at_position + LEN(word) - 1), body, 0) }
	:: else
	fi;
#ifndef M_RECV_C3
	atomic { d_step { fence_acquire(C); tidy() } };
#endif
	atomic {
		load(C, TAIL, x, 0);
		if
		:: x > at_position -> x = 0; word = 0; body = 0; goto lapped
		:: else
		fi;
		x = 0;
		assert(g_seq[at_position] == at_seq);
		assert(word / 8 == g_id[at_position]);
		assert(LEN(word) == 1 || body == WORD(g_id[at_position], 0));
		counted++;
		at_seq++;
		at_position = at_position + LEN(word);
		word = 0; body = 0;
		assert(counted == at_seq)
	};
#else
	/* ncp_next(): handed out in place; the caller looks at the bytes until it calls again. */
	atomic {
		held = 1;
		held_position = at_position;
		held_seq = at_seq;
		counted++;
		at_seq++;
		at_position = at_position + LEN(word);
		if
		:: LEN(word) > 1 -> load(C, CELL(held_position + LEN(word) - 1), body, 0)
		:: else
		fi
	};
#endif
	goto again;

	/* ncpi_lapped(): ncpi_locate_oldest(), else ncpi_locate_newest() */
lapped:
	atomic { d_step { must_find_set(); must_find_seq = UNUSED } };
retry:
	atomic {
		if
		:: true
		:: !ALL_SEEN -> d_step { see_all() }
		fi;
		fresh = ALL_SEEN;
		load(C, TAIL, x, 0);
		tail = x;
		x = 0
	};
	waypoint_range();
	from = (tail > 0 -> tail + margin : 0);
	waypoint_search(wp_position >= from);
	from = 0;
	if
	:: lo == end ->
#ifndef M_OLDEST_ONCE
		atomic {
			load(C, TAIL, x, 0);
			if
			:: x != tail -> x = 0; lo = 0; first = 0; end = 0; tail = 0; assert(!fresh); goto retry
			:: else -> x = 0
			fi
		};
#endif
		lo = 0; first = 0; end = 0; tail = 0;
		goto newest_place
	:: else
	fi;
	atomic {
		first = 0; end = 0; tail = 0;
		waypoint_get(lo);
		lo = 0;
		if
		:: !wp_ok -> wp_position = 0; wp_seq = 0; assert(!fresh); goto retry
		:: else
		fi
	};
	goto place;

newest_place:
	atomic {
		if
		:: true
		:: !ALL_SEEN -> d_step { see_all() }
		fi;
		fresh = ALL_SEEN;
		load(C, HEAD, x, S1_ACQUIRE)	/* S1 */
	};
	atomic {
		load(C, SPOS(1), y, 0);		/* S2 */
		mid = (y == x -> 1 : 0)
	};
	atomic {
		load(C, SPOS(mid), y, 0);
		wp_position = (y == x -> y : UNUSED);
		y = 0
	};
	atomic { load(C, SSEQ(mid), y, 0); wp_seq = y; y = 0; mid = 0 };
#ifndef M_S3
	atomic { d_step { fence_acquire(C); tidy() } };	/* S3 */
#endif
	atomic {
#ifdef M_S4
		y = x;
#else
		load(C, HEAD, y, 0);		/* S4 */
#endif
		if
		:: wp_position == UNUSED || y != x ->
			x = 0; y = 0; wp_position = 0; wp_seq = 0;
			assert(!fresh);		/* or it is tried for ever */
			goto newest_place
		:: else -> x = 0; y = 0; fresh = 0
		fi
	};
place:
	atomic {
		assert(TRUE_PLACE(wp_position, wp_seq));
		if
		:: DOES == LOCATE -> goto over
		:: DOES == SEEK && step == 1 ->
			/* The newest place.  At first not all is seen: then target may be yet to come,
			 * -ERANGE. */
			step = 0;
			if
			:: target > wp_seq -> goto over
			:: target == wp_seq -> goto found
			:: else -> wp_position = 0; wp_seq = 0
			fi;
			goto before
		:: DOES == SEEK && step == 2 -> step = 0; goto oldest
		:: else
		fi;
		fresh = 0;
		assert(wp_position <= must_find);
		must_find = UNUSED;
		/* A client that was lapped goes forward, else NCP_ECORRUPT. */
		assert(wp_seq >= at_seq && wp_position > at_position);
		counted = counted + (wp_seq - at_seq);
		at_position = wp_position;
		at_seq = wp_seq;
		head = at_position;
		wp_ok = 0; wp_position = 0; wp_seq = 0;
		assert(counted == at_seq);
		goto again
	};

	/* ncpi_locate_seq() */
seek:
	atomic {
		if
		:: true
		:: !ALL_SEEN -> d_step { see_all() }
		fi;
		began = ALL_SEEN;
		step = 1
	};
	goto newest_place;
before:	/* waypoint_before(): the last one not after target */
	waypoint_range();
	waypoint_search(wp_seq > target);
	if
	:: lo == first -> wp_ok = 0
	:: else -> atomic { waypoint_get(lo - 1); wp_ok = (wp_ok && wp_seq <= target) }
	fi;
	atomic {
		lo = 0; first = 0; end = 0;
		if
		:: !wp_ok -> wp_position = 0; wp_seq = 0; step = 2; goto retry
		:: else -> wp_ok = 0; goto walk
		fi
	};
oldest:
	atomic {
		wp_ok = 0;
		if
		:: wp_seq > target ->
			/* Too old: then no waypoint before it is left that had to be seen. */
			assert(must_find_seq > target);
			goto over
		:: else
		fi
	};
walk:
	atomic {
		assert(TRUE_PLACE(wp_position, wp_seq));
		load(C, HEAD, x, 1);
		head = x;
		x = 0;
		if
		:: wp_position < head && head - wp_position > R -> goto seek_again
		:: else
		fi
	};
	do
	:: wp_position < head ->
		atomic { load(C, CELL(wp_position), word, 0) };
#ifndef M_WALK_C3
		atomic { d_step { fence_acquire(C); tidy() } };
#endif
		atomic {
			load(C, TAIL, x, 0);
			if
			:: x > wp_position -> x = 0; word = 0; goto seek_again
			:: else -> x = 0
			fi;
			assert(KIND(word) != 0);
			assert(LEN(word) <= head - wp_position);
			if
			:: KIND(word) != LOCAL ->
				if
				:: wp_seq >= target -> word = 0; break
				:: else -> wp_seq++
				fi
			:: else
			fi;
			wp_position = wp_position + LEN(word);
			word = 0
		}
	:: else -> break
	od;
found:
	assert(wp_seq == target);
	assert(TRUE_PLACE(wp_position, wp_seq));
	goto over;
seek_again:
	atomic {
		assert(!began);		/* or it is tried for ever */
		began = 0; fresh = 0; head = 0; wp_position = 0; wp_seq = 0;
		goto seek
	};
over:
	skip
}

/* The producer's memory is no longer of interest. */
inline forget()
{
	next_position = 0; next_seq = 0; next_claim = 0; w_tail = 0; next_commit = 0;
	slot_idx = 0; waypoints = 0; next_id = 0; base = 0; crashes = 0; todo = 0;
	epoch_due = 0; dead = 0;
	i = 0;
	do
	:: i < QUEUE ->
		cl_position[i] = 0; cl_end[i] = 0; cl_seq[i] = 0; cl_end_seq[i] = 0;
		cl_id[i] = 0; cl_shape[i] = 0; i++
	:: else -> break
	od;
	i = 0;
	do
	:: i < NV * NV -> cur[i] = 0; acq[i] = 0; rel[i] = 0; i++
	:: else -> break
	od;
	i = 0;
	do
	:: i < NV * LOCKS -> lk[i] = 0; i++
	:: else -> break
	od;
	i = 0;
	do
	:: i < NV * NFL -> seen[i] = 0; i++
	:: else -> break
	od;
	i = 1;
	do
	:: i > n -> break
	:: else ->
		if
		:: e_loc[i] >= PRIVATE || e_loc[i] == NEXTC -> e_loc[i] = 0
		:: else
		fi;
		i++
	od;
	i = 0
}

#if NW > 2
#define ALL_IDLE (st[0] == 0 && st[1] == 0 && st[2] == 0)
#elif NW > 1
#define ALL_IDLE (st[0] == 0 && st[1] == 0)
#else
#define ALL_IDLE (st[0] == 0)
#endif
init
{
	VIEWS(NV);
	STORES;
	byte next_position, next_seq, next_claim, w_tail;
	byte next_commit, slot_idx, waypoints;
	byte cl_position[QUEUE], cl_end[QUEUE], cl_seq[QUEUE], cl_end_seq[QUEUE], cl_id[QUEUE];
	byte cl_shape[QUEUE];
	bit cl_done[QUEUE];
	byte st[NW], mine[NW];		/* a worker's step, its claim */
	byte todo = CLAIMS, crashes = CRASHES, next_id = 3;
	bit epoch_due, dead;
	byte base;			/* entries up to here have survived a crash: they are performed */
	byte must[NV];
	byte i, p, s, k;
	short v;
	byte look_p[NW], look_s[NW], look_i[NW];	/* of weakened steps */
	bit busy;

	atomic {
		d_step {
			next_position = R; next_seq = 2; slot_idx = 1; waypoints = 3;
			g_head = R; g_next = 2;
			i = 0;
			do
			:: i < MAXP -> g_seq[i] = UNUSED; i++
			:: else -> break
			od;
			g_seq[0] = 0; g_id[0] = 1; g_seq[HALF] = 1; g_id[HALF] = 2; g_seq[R] = 2;
			i = 0
		}
	};
	do
	:: atomic { (!dead && (st[0] > 0 || epoch_due || (todo > 0 && MAY_CLAIM))) -> work(0) }
#if NW > 1
	:: atomic { (!dead && (st[1] > 0 || (!epoch_due && todo > 0 && MAY_CLAIM))) -> work(1) }
#endif
#if NW > 2
	:: atomic { (!dead && (st[2] > 0 || (!epoch_due && todo > 0 && MAY_CLAIM))) -> work(2) }
#endif
	:: atomic {
		(!dead && crashes > 0) -> die();
		if
		:: takeover()
		:: dead = 1
		fi
	}
	:: atomic {
		(dead || (todo == 0 && !epoch_due && ALL_IDLE)) ->
		/* Nobody died: all claims are committed. */
		assert(dead || (next_commit == next_claim && g_head == next_position));
		break
	}
	od;
	atomic { d_step { forget() }; run client() }
}
