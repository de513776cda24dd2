/* SPDX-License-Identifier: BSD-2-Clause */
/* wake.pml - nobody sleeps for ever on what was published: libncpbus/waker.c and wait.c. */

/*
 * WORKERS publish PUBLISHES times each: head, then poke the waker; the waker takes the poke, bumps
 * wake and wakes all; CLIENTS load wake, then head, and sleep on the wake they loaded.  All of them
 * at once, in any interleaving, over memory.pml.  A futex compares the newest value and goes to
 * sleep in one step, as the kernel does under its lock; calling it orders nothing else, which is
 * less than the kernel gives.  The caps of all waits are left out: what they would heal is a fault.
 *
 * Checked: when nobody can take a step any more, every client knows the last head.
 */

#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef PUBLISHES
#define PUBLISHES 1
#endif
#ifndef CLIENTS
#define CLIENTS 1
#endif
#define HEADS (WORKERS * PUBLISHES)
/* Sleepers that a worker wakes itself with --immediate-mode. */
#ifndef AT_ONCE
#define AT_ONCE 2
#endif
/* It woke so many: were these all? */
#ifdef M_W_TOLD_ALL
#define TOLD(woken) ((woken) > 0)
#else
#define TOLD(woken) ((woken) < AT_ONCE)
#endif

/* Threads: the workers, the waker, the clients, who store nothing. */
#define WAKER WORKERS
#define NV (WORKERS + 1)
#define NT (NV + CLIENTS)
#define HEAD 1
#define POKED 2
#define WAKE 3
#define NFL 4
#define INI(x) 0
#define MAXE (5 * HEADS + 8)
#define LOCKS 1
#include "memory.pml"

#ifdef M_W_POKE_RELAXED
#define POKE_ORDER 0
#else
#define POKE_ORDER 1
#endif
#ifdef M_W_TAKE_RELAXED
#define TAKE_ORDER 0
#else
#define TAKE_ORDER 1
#endif
#ifdef M_W_BUMP_RELAXED
#define BUMP_ORDER 0
#else
#define BUMP_ORDER 1
#endif
#ifdef M_W_WAKE_LOAD_RELAXED
#define WAKE_ACQUIRE 0
#else
#define WAKE_ACQUIRE 1
#endif
#ifdef M_P7_RELAXED
#define P7_RELEASE 0
#else
#define P7_RELEASE 1
#endif
#ifdef M_C1_RELAXED
#define C1_ACQUIRE 0
#else
#define C1_ACQUIRE 1
#endif

VIEWS(NT);
STORES;
byte head, working = WORKERS;
bit waker_sleeps, sleeps[CLIENTS];

inline wake_clients(how_many, woken)
{
	i = 0;
	k = 0;
	do
	:: i < CLIENTS && k < how_many ->
		if
		:: sleeps[i] -> sleeps[i] = 0; k++
		:: else
		fi;
		i++
	:: else -> break
	od;
	woken = k;
	i = 0;
	k = 0
}

proctype worker(byte me)
{
	short old;
	byte todo = PUBLISHES, i, k;

	do
	:: todo == 0 -> break
	:: else ->
		/* P7, under the commit lock */
		atomic {
			d_step {
				todo--;
				lock(me, 0);
				head++;
				store(me, HEAD, head, P7_RELEASE);
				unlock(me, 0)
			}
		};
		/* ncpi_waker_poke() */
#ifdef IMMEDIATE
		d_step { exchange(me, WAKE, old, old + 1, BUMP_ORDER, BUMP_ORDER); old = 0 };
		d_step { wake_clients(AT_ONCE, old) };
		if
		:: TOLD(old) -> old = 0; goto told
		:: else -> old = 0
		fi;
#endif
#ifdef M_W_POKE_LOAD
		atomic { load(me, POKED, old, 1) };
		if
		:: old == 1 -> old = 0; goto told
		:: else
		fi;
#endif
		d_step { exchange(me, POKED, old, 1, POKE_ORDER, POKE_ORDER) };
		if
		:: old == 0 -> d_step { waker_sleeps = 0 }
		:: else -> old = 0
		fi;
#if defined(M_W_POKE_LOAD) || defined(IMMEDIATE)
told:
#endif
		skip
	od;
	working--
}

/* Its pauses between two wake-ups only delay it: any interleaving has them. */
proctype waker()
{
	short poked, old;
	byte i, k;

end:
	do
	:: !waker_sleeps ->
#ifdef M_W_BUMP_FIRST
		atomic { load(WAKER, POKED, poked, 1) };
		if
		:: poked ->
			d_step { exchange(WAKER, WAKE, old, old + 1, 1, 1); old = 0 };
			d_step { wake_clients(CLIENTS, old); old = 0 };
			d_step { exchange(WAKER, POKED, old, 0, 1, 1); old = 0 }
		:: else
		fi;
#else
		d_step { exchange(WAKER, POKED, poked, 0, TAKE_ORDER, TAKE_ORDER) };
		if
		:: poked ->
			/* ncpi_waker_bump() */
			d_step { exchange(WAKER, WAKE, old, old + 1, BUMP_ORDER, BUMP_ORDER); old = 0 };
			d_step { wake_clients(CLIENTS, old); old = 0 }
		:: else
		fi;
#endif
		/* futex_wait(&poked, 0) */
		d_step {
			newest(POKED, old);
			waker_sleeps = (old == 0);
			old = 0;
			poked = 0
		}
	od
}

/* ncp_wait() until it is known what there is, again and again */
proctype client(byte c)
{
	short wake, old;
	byte position;

	do
	:: position == HEADS -> break
	:: else ->
#ifdef M_W_HEAD_FIRST
		atomic { load(NV + c, HEAD, old, C1_ACQUIRE) };
		atomic { load(NV + c, WAKE, wake, WAKE_ACQUIRE) };
#else
		atomic { load(NV + c, WAKE, wake, WAKE_ACQUIRE) };
		atomic { load(NV + c, HEAD, old, C1_ACQUIRE) };
#endif
		if
		:: old != position -> assert(old > position); position = old; old = 0
		:: else ->
			d_step {
				newest(WAKE, old);
				sleeps[c] = (old == wake);
				old = 0
			};
			do
			:: !sleeps[c] -> break
			:: sleeps[c] && working == 0 && waker_sleeps ->
				assert(position == HEADS);	/* nobody is left who would wake it */
				goto over
			od
		fi;
		wake = 0
	od;
over:
	skip
}

init
{
	byte i;

	atomic {
		do
		:: i < WORKERS -> run worker(i); i++
		:: else -> break
		od;
		run waker();
		i = 0;
		do
		:: i < CLIENTS -> run client(i); i++
		:: else -> break
		od;
		i = 0
	}
}
