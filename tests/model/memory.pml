/* SPDX-License-Identifier: BSD-2-Clause */
/* memory.pml - memory as C11 lets it look: a log of stores, and what each thread must see of it. */

/*
 * Every store is an entry of one log; the entries of one location are its modification order.  What
 * a thread must see is a view: per storing thread, the log index up to which its stores are known
 * to have happened before.
 *
 *   store, relaxed   bears the view its thread had at its last release fence
 *   store, release   bears the view its thread has, itself included
 *   load, relaxed    may return any entry of the location that is not older than the newest one the
 *                    view covers; the entry's view waits for an acquire fence
 *   load, acquire    the same; the entry's view counts at once
 *   acquire fence    what waited counts
 *   release fence    what the thread knows is borne by its later relaxed stores
 *   full fence       both, and the views of all full fences before it
 *   exchange         an atomic read-modify-write: loads the newest entry and stores the next one,
 *                    which bears what that one bore, too (C11's release sequence)
 *   lock, unlock     what the one who unlocked knew counts for the one who locks
 *
 * So a store may become visible long after later ones, in another order to everybody, and a load
 * may return something old, unless a fence or an order forbids it: more than any store buffer, and
 * more than x86-64 or ARMv8 do.  Not in it: a load that returns a store which its own thread makes
 * possible later in program order (load buffering); where code leans on that, the model says so.
 *
 * The including file defines NV (storing threads, 0 to NV-1), NT (threads; those from NV on only
 * load), MAXE (entries), NFL (locations below it are coherent per thread; for the others nothing
 * is promised between two loads, which is weaker than C11) and INI(x), what location x holds at
 * first.  Locations are numbered from 1.
 */

byte n;			/* entries; the first is 1 */
byte e_loc[MAXE];	/* 0: an entry that was taken back */
short e_val[MAXE];
byte e_by[MAXE];	/* who stored */
byte e_view[MAXE * NV];

/* A process's views: locals, so that they and the log are kept apart (COLLAPSE keeps each once). */
#define VIEWS(threads) \
	byte cur[(threads) * NV];	/* the view */ \
	byte acq[(threads) * NV];	/* what waits for an acquire fence */ \
	byte seen[(threads) * NFL];	/* coherence: the entry loaded last */ \
	byte a_, b_, c_, pick_		/* of the inlines: 0 between steps */
/* Of processes that store, too. */
#define STORES \
	byte rel[NV * NV];		/* the view at the last release fence */ \
	byte lk[NV * LOCKS]		/* the view of who unlocked last */

#define COVERS(t, e) (e <= cur[(t) * NV + e_by[e]])

/* to[] = max(to[], from[]), from o1, o2 on */
#define join(to, o1, from, o2) \
	c_ = 0; \
	do \
	:: c_ < NV -> \
		if \
		:: from[(o2) + c_] > to[(o1) + c_] -> to[(o1) + c_] = from[(o2) + c_] \
		:: else \
		fi; \
		c_++ \
	:: else -> break \
	od; \
	c_ = 0

inline store(t_, x_, v_, release_)
{
	assert(n + 1 < MAXE);
	n++;
	e_loc[n] = x_;
	e_val[n] = v_;
	e_by[n] = t_;
	if
	:: release_ -> cur[(t_) * NV + t_] = n; join(e_view, n * NV, cur, (t_) * NV)
	:: else -> join(e_view, n * NV, rel, (t_) * NV); cur[(t_) * NV + t_] = n
	fi
}

/* pick_ = 0, b_ = how many entries of x thread t may load, a_ = the oldest of them */
inline look(t_, x_)
{
	a_ = 0;
	b_ = 1;
	c_ = 1;
	do
	:: c_ > n -> break
	:: else ->
		if
		:: e_loc[c_] == (x_) ->
			if
			:: COVERS(t_, c_) || ((x_) < NFL && c_ <= seen[(t_) * NFL + (x_) % NFL]) ->
				a_ = c_;
				b_ = 1
			:: else -> b_++
			fi
		:: else
		fi;
		c_++
	od;
	c_ = 0
}

/* take the pick_-th */
inline take(t_, x_, to_, acquire_)
{
	do
	:: pick_ == 0 -> break
	:: else ->
		a_++;
		if
		:: e_loc[a_] == (x_) -> pick_--
		:: else
		fi
	od;
	if
	:: a_ == 0 -> to_ = INI(x_)
	:: else ->
		to_ = e_val[a_];
		if
		:: acquire_ -> join(cur, (t_) * NV, e_view, a_ * NV)
		:: else -> join(acq, (t_) * NV, e_view, a_ * NV)
		fi;
		if
		:: (x_) < NFL -> seen[(t_) * NFL + (x_) % NFL] = a_
		:: else
		fi
	fi;
	a_ = 0;
	b_ = 0
}

inline load(t_, x_, to_, acquire_)
{
	d_step { look(t_, x_) };
	do
	:: pick_ + 1 < b_ -> pick_++
	:: break
	od;
	skip;
	d_step { take(t_, x_, to_, acquire_) }
}

/* The newest entry: a_, and its value. */
inline newest_entry(x_, to_)
{
	a_ = n;
	do
	:: a_ == 0 -> to_ = INI(x_); break
	:: else ->
		if
		:: e_loc[a_] == (x_) -> to_ = e_val[a_]; break
		:: else -> a_--
		fi
	od
}

/* For one who needs no order: nobody else is there, or a lock is held. */
inline newest(x_, to_)
{
	newest_entry(x_, to_);
	a_ = 0
}

inline fence_acquire(t_) { join(cur, (t_) * NV, acq, (t_) * NV) }
inline fence_release(t_) { join(rel, (t_) * NV, cur, (t_) * NV) }
inline lock(t_, l_) { join(cur, (t_) * NV, lk, (l_) * NV) }
inline unlock(t_, l_) { join(lk, (l_) * NV, cur, (t_) * NV) }

#ifdef FULL_FENCE
byte sc[NV];		/* what all full fences have joined */
inline fence_full(t_)
{
	fence_acquire(t_);
	join(cur, (t_) * NV, sc, 0);
	join(sc, 0, cur, (t_) * NV);
	fence_release(t_)
}
#endif

/* new_ may be made of to_, which is loaded first. */
inline exchange(t_, x_, to_, new_, acquire_, release_)
{
	newest_entry(x_, to_);
	if
	:: acquire_ -> join(cur, (t_) * NV, e_view, a_ * NV)
	:: else -> join(acq, (t_) * NV, e_view, a_ * NV)
	fi;
	b_ = a_;
	store(t_, x_, new_, release_);
	join(e_view, n * NV, e_view, b_ * NV);
	seen[(t_) * NFL + (x_)] = n;
	a_ = 0;
	b_ = 0
}
