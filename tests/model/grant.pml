/* SPDX-License-Identifier: BSD-2-Clause */
/* grant.pml - a granted client loses nothing: position_take() of writer.c against roster.c. */

/*
 * WORKERS make CLAIMS claims together, the waker grants one client meanwhile, who then reads and
 * tells how far it is; all at once, in any interleaving, over memory.pml.  A worker without room
 * reads the client's line again (ncpi_roster_refresh()).
 *
 * Checked: tail never passes what the granted client has still to read; every frame it reads is the
 * one published there, and tail, looked at after it, has not passed it; no byte is overwritten by a
 * worker that does not know the client is done with it.
 *
 * A line is a file: pwrite and pread are taken for a release and an acquire of its newest content,
 * by the kernel's locks.  Not here: several clients, eviction, the dead (their rows are freed, so
 * limit only rises), restarts (who starts anew grants before the first claim).
 */

#ifndef WORKERS
#define WORKERS 1
#endif
#ifndef CLAIMS
#define CLAIMS 2
#endif
#ifndef TRIES
#define TRIES 2			/* of a claim without room; the last one loads the newest limit */
#endif
/* -DLONG: claims of half a ring only, and a client that wants all there is: fewer states. */
#ifndef R
#define R 4			/* ring_size, in frames; at first the ring is full */
#endif
#define LAST (R + 2 * CLAIMS)

/* Threads: the workers, the waker, the client. */
#define WAKER WORKERS
#define CLIENT (WORKERS + 1)
#define NV (WORKERS + 2)
#define NT NV
#define HEAD 1
#define TAIL 2
#define NEXTP 3			/* next_position */
#define LIMIT 4
#define GRANTED 5
#define ROW 6			/* state: 1 granted */
#define LINE 7			/* the client's file: its cursor */
#define NFL 8
#define CELL(p) (8 + (p) % R)
#define READ(p) (8 + R + (p) % R) /* an entry per time that the client read the cell */
#define NONE 99			/* no limit */
#define INI(x) \
	((x) == HEAD || (x) == NEXTP -> R : \
	((x) == LIMIT -> NONE : \
	((x) >= CELL(0) && (x) < CELL(0) + R -> (x) - CELL(0) : 0)))
#define MAXE 50
#define LOCKS 3
#define CLAIM_LOCK 0
#define COMMIT_LOCK 1
#define ROSTER_LOCK 2
#define FULL_FENCE
#include "memory.pml"

#ifdef M_G_LIMIT_LOAD_RELAXED
#define LIMIT_ACQUIRE 0
#else
#define LIMIT_ACQUIRE 1
#endif
#ifdef M_G_LIMIT_RELAXED
#define LIMIT_RELEASE 0
#else
#define LIMIT_RELEASE 1
#endif
#ifdef M_G_ROW_RELAXED
#define ROW_RELEASE 0
#else
#define ROW_RELEASE 1
#endif
#ifdef M_G_ROW_LOAD_RELAXED
#define ROW_ACQUIRE 0
#else
#define ROW_ACQUIRE 1
#endif

VIEWS(NT);
STORES;
bit held[LOCKS];

/* Under the claim lock, but for next_position itself. */
byte todo = CLAIMS, next_position = R, w_tail;
/* Under the roster's lock. */
byte e_cursor = NONE;		/* NONE: nobody has a row */
byte limit = NONE;
/* The truth: what the client reads next, NONE until it is granted. */
byte g_at = NONE;
byte g_head = R;
byte g_told;			/* what its line says */
byte wish;			/* where it stands when it asks */

inline limit_update(t_)
{
	limit = (e_cursor == NONE -> NONE : e_cursor + R);
	store(t_, LIMIT, limit, LIMIT_RELEASE)
}

inline refresh(t_)
{
	lock(t_, ROSTER_LOCK);
	newest_entry(LINE, e_cursor);
	join(cur, (t_) * NV, e_view, a_ * NV);
	a_ = 0;
	limit_update(t_);
	unlock(t_, ROSTER_LOCK)
}

/* P4: does the worker know of the newest reading of the cell it overwrites? */
inline cell_write(t_, p_)
{
	a_ = n;
	do
	:: a_ == 0 -> break
	:: else ->
		if
		:: e_loc[a_] == READ(p_) -> assert(COVERS(t_, a_)); break
		:: else -> a_--
		fi
	od;
	a_ = 0;
	store(t_, CELL(p_), p_, 0)
}

/* head is loaded relaxed here: its acquire in position_take() is for the bytes of other workers.
 * Stores in a row are one step: who loads in between may find what was there before, also after. */
proctype worker(byte me)
{
	short v;
	byte position, end, bytes, tries;

	do
	:: todo == 0 -> break
	:: atomic { todo > 0 && !held[CLAIM_LOCK] -> todo--; held[CLAIM_LOCK] = 1;
		/* claim() */
		if
#ifndef LONG
		:: bytes = 1
#endif
		:: bytes = R / 2
		fi
	   };
again:
	   atomic {
		/* position_take() */
		skip;
		d_step { lock(me, CLAIM_LOCK); end = next_position + bytes };
		load(me, HEAD, v, 0);
		if
		:: end > R / 2 + v -> goto ahead
		:: else -> v = 0
		fi;
		skip;
		d_step {
#ifndef M_G_CLAIM_LATE
			store(me, NEXTP, end, 0);
#endif
#if defined(M_G_CLAIM_FENCE)
#elif defined(M_G_CLAIM_FENCE_WEAK)
			fence_acquire(me);
			fence_release(me);
#else
			fence_full(me);
#endif
		}
	   };
	   atomic {
		if
		:: tries < TRIES -> load(me, LIMIT, v, LIMIT_ACQUIRE)
		:: else ->
			d_step {
				newest_entry(LIMIT, v);
				if
				:: LIMIT_ACQUIRE -> join(cur, me * NV, e_view, a_ * NV)
				:: else
				fi;
				a_ = 0
			}
		fi;
#ifdef M_G_CLAIM_LATE
		d_step { store(me, NEXTP, end, 0) };
#endif
		if
		:: end > v -> d_step { v = 0; store(me, NEXTP, end - bytes, 0) }; goto no_room
		:: else
		fi;
		skip;
		d_step {
			v = 0;
			next_position = end;
			position = end - bytes;
			tries = 0;
			/* P2 */
			if
			:: end > R && end - R > w_tail ->
				w_tail = end - R;
				assert(g_at == NONE || w_tail <= g_at);
				store(me, TAIL, w_tail, 0)
			:: else
			fi;
			unlock(me, CLAIM_LOCK);
			held[CLAIM_LOCK] = 0;
			fence_release(me);	/* P3 */
			end = position;
			do
			:: end < position + bytes -> cell_write(me, end); end++
			:: else -> break
			od
		}
	   };
	   /* P7, in claim order */
	   atomic { g_head == position ->
		d_step {
			g_head = end;
			lock(me, COMMIT_LOCK);
			store(me, HEAD, end, 1);
			unlock(me, COMMIT_LOCK);
			position = 0;
			end = 0;
			bytes = 0
		}
	   }
	od;
	goto over;
ahead:	/* of head: it sleeps and looks again */
	skip;
	d_step { v = 0; unlock(me, CLAIM_LOCK); held[CLAIM_LOCK] = 0 };
	goto lock_again;
no_room:
	skip;
	d_step { unlock(me, CLAIM_LOCK); held[CLAIM_LOCK] = 0 };
	/* wait_for_room(): until there is news that helps. */
end_room:
	if
	:: atomic { limit >= end -> tries = (tries < TRIES -> tries + 1 : TRIES) }
	:: atomic { !held[ROSTER_LOCK] && e_cursor != NONE && g_told > e_cursor ->
		d_step { refresh(me) }
	   }
	fi;
lock_again:
	atomic { !held[CLAIM_LOCK] -> held[CLAIM_LOCK] = 1 };
	goto again;
over:
	skip
}

/* grant() */
proctype waker()
{
	short v, tail, claimed;

	atomic { !held[ROSTER_LOCK] -> held[ROSTER_LOCK] = 1;
		d_step { lock(WAKER, ROSTER_LOCK) };
		load(WAKER, HEAD, v, 1);
		e_cursor = (wish < v -> wish : v);
		v = 0;
#ifndef M_G_READ_FIRST
		d_step {
			limit_update(WAKER);
#if defined(M_G_GRANT_FENCE)
#elif defined(M_G_GRANT_FENCE_WEAK)
			fence_acquire(WAKER);
			fence_release(WAKER);
#else
			fence_full(WAKER);
#endif
		}
#endif
	};
#ifndef M_G_NO_TAIL
	atomic { load(WAKER, TAIL, tail, 0) };
#endif
#ifndef M_G_NO_CLAIMED
	atomic { load(WAKER, NEXTP, claimed, 0) };
#endif
	skip;
	d_step {
#ifdef M_G_READ_FIRST
		fence_full(WAKER);
#endif
		if
		:: tail > e_cursor -> e_cursor = tail
		:: else
		fi;
		if
		:: claimed > R && claimed - R > e_cursor -> e_cursor = claimed - R
		:: else
		fi;
		tail = 0;
		claimed = 0;
		limit_update(WAKER);
		store(WAKER, GRANTED, e_cursor, 0);
		store(WAKER, ROW, 1, ROW_RELEASE);
		g_at = (wish > e_cursor -> wish : e_cursor);
		unlock(WAKER, ROSTER_LOCK);
		held[ROSTER_LOCK] = 0
	}
}

proctype client()
{
	short v;
	byte at, head;

	do
	:: atomic {
		load(CLIENT, ROW, v, ROW_ACQUIRE);
		if
		:: v == 1 -> v = 0; break
		:: else
		fi
	   }
	od;
	atomic {
		load(CLIENT, GRANTED, v, 0);
		at = (v > wish -> v : wish);
		v = 0
	};
	do
	:: head == LAST -> break	/* more is never published */
	:: head < LAST ->
		atomic {
			load(CLIENT, HEAD, v, 1);
			if
			:: v > at -> head = v
			:: else
			fi;
			v = 0
		};
		do
		:: at >= head -> break
		:: else ->
			atomic {
				load(CLIENT, CELL(at), v, 0);
				assert(v == at);
				d_step { fence_acquire(CLIENT); store(CLIENT, READ(at), 0, 0) };
				load(CLIENT, TAIL, v, 0);
				assert(v <= at);	/* NCP_LOST */
				v = 0;
				at++;
				g_at = at;
				/* pwrite of its line, now or with a later frame */
				if
				:: at < head
				:: d_step { store(CLIENT, LINE, at, 1); g_told = at }
				fi
			}
		od
	od
}

init
{
	byte i;

	atomic {
		if
		:: wish = 0
#ifndef LONG
		:: wish = 1
		:: wish = R
#endif
		fi;
		do
		:: i < WORKERS -> run worker(i); i++
		:: else -> break
		od;
		i = 0;
		run waker();
		run client()
	}
}
