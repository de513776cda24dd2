/* SPDX-License-Identifier: BSD-2-Clause */
/* order.h - every ordered access to shared memory, and the one place that reads bytes in a race. */
#ifndef NCPI_ORDER_H
#define NCPI_ORDER_H

/*
 * Nothing outside this file names a memory order.  A load or store of a shared word is atomic
 * because another process writes or reads it; which order it needs, and what goes wrong without,
 * stands at each use beside its step tag (layout.h).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__SANITIZE_THREAD__)
#define NCPI_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NCPI_TSAN 1
#endif
#endif

#include "libncpbus/weaken.h"

/* Plain atomic access: the word is whole, nothing else is promised. */
#define ncpi_load(p) __atomic_load_n(p, __ATOMIC_RELAXED)
#define ncpi_store(p, v) __atomic_store_n(p, v, __ATOMIC_RELAXED)
#define ncpi_add(p, v) __atomic_fetch_add(p, v, __ATOMIC_RELAXED)

/* A store that everything before it precedes, and the load that sees all that. */
#define ncpi_load_acquire(p)                                                                       \
	__atomic_load_n(p, NCPI_WEAK(C1) ? __ATOMIC_RELAXED : __ATOMIC_ACQUIRE)
#define ncpi_store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)

#define ncpi_add_acq_rel(p, v) __atomic_fetch_add(p, v, __ATOMIC_ACQ_REL)
#define ncpi_exchange_acq_rel(p, v) __atomic_exchange_n(p, v, __ATOMIC_ACQ_REL)

/* The same at a step of its own in weakened builds (weaken.h). */
#define ncpi_store_at(step, p, v) ncpi_weak_store(NCPI_WEAK(step##_LATE), p, v)
#define ncpi_load_acquire_at(step, p)                                                              \
	__atomic_load_n(p, NCPI_WEAK(step) ? __ATOMIC_RELAXED : __ATOMIC_ACQUIRE)
#define ncpi_store_release_at(step, p, v)                                                          \
	__atomic_store_n(p, v, NCPI_WEAK(step) ? __ATOMIC_RELAXED : __ATOMIC_RELEASE)

/* ThreadSanitizer does not model fences and says so at each; the orders stay as they are. */
#if defined(NCPI_TSAN) && defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wtsan"
#endif
static inline void ncpi_fence_acquire(void)
{
	if (!NCPI_WEAK(C3))
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
}

static inline void ncpi_fence_full(void)
{
	if (!NCPI_WEAK(FULL))
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* At a step that can be weakened alone. */
#define ncpi_fence_acquire_at(step)                                                                \
	(NCPI_WEAK(step) ? (void)0 : __atomic_thread_fence(__ATOMIC_ACQUIRE))
#define ncpi_fence_release_at(step)                                                                \
	(NCPI_WEAK(step) ? (void)0 : __atomic_thread_fence(__ATOMIC_RELEASE))

/* Copy 16 to 128 bytes, the last 16 over some of those before if they are no multiple; false: they
 * are fewer or more. */
static inline bool ncpi_copy_by_16(void *dst, const void *src, size_t len)
{
	const uint8_t *s = src;
	uint8_t *d = dst;

	if (len < 16 || len > 128)
		return false;
	for (const uint8_t *end = s + len - 16; s < end; s += 16, d += 16)
		memcpy(d, s, 16);
	memcpy((uint8_t *)dst + len - 16, (const uint8_t *)src + len - 16, 16);
	return true;
}

/*
 * ncpi_copy_in, ncpi_copy_out - copy bytes into the ring while clients that were lapped may be reading
 * there; out of it while a producer may be overwriting them.
 *
 * Plain memcpys: that race is the one every broadcast ring has, and its readers validate what they
 * read (C3, C4) and use nothing before.  Under ThreadSanitizer by relaxed bytes, so that every other
 * race is still reported.
 */
static inline void ncpi_copy_in(void *dst, const void *src, size_t len)
{
#ifdef NCPI_TSAN
	uint8_t *d = dst;
	const uint8_t *s = src;

	for (; len; d++, s++, len--)
		ncpi_store(d, *s);
#else
	memcpy(dst, src, len);
#endif
}

static inline void ncpi_copy_out(void *dst, const void *src, size_t len)
{
#ifdef NCPI_TSAN
	uint8_t *d = dst;
	const uint8_t *s = src;

	for (; len; d++, s++, len--)
		*d = ncpi_load(s);
#else
	memcpy(dst, src, len);
#endif
}

/* ncpi_copy_in_short, ncpi_copy_out_short - the same for what is short as a rule, as most frames are:
 * the call would cost as much as the bytes. */
static inline void ncpi_copy_in_short(void *dst, const void *src, size_t len)
{
#ifndef NCPI_TSAN
	if (ncpi_copy_by_16(dst, src, len))
		return;
#endif
	ncpi_copy_in(dst, src, len);
}

static inline void ncpi_copy_out_short(void *dst, const void *src, size_t len)
{
#ifndef NCPI_TSAN
	if (ncpi_copy_by_16(dst, src, len))
		return;
#endif
	ncpi_copy_out(dst, src, len);
}

/*
 * ncpi_load_words - four neighbouring words at once.
 *
 * As four ncpi_load(): each is loaded once, in no order; together they are nothing that anybody
 * stored.  Not known to be one load, nor that a word is whole while somebody stores there: a plain
 * load, and so as the bytes of a frame, validated behind it (C3, C4) and not used before.
 */
typedef uint32_t ncpi_words __attribute__((vector_size(16)));

static inline ncpi_words ncpi_load_words(const uint32_t *p)
{
#if defined(__SSE2__) && !defined(NCPI_TSAN)
	ncpi_words w;

	memcpy(&w, p, sizeof(w));
	/* From here on the register is what was loaded: the compiler does not know that memory has
	 * the same, and cannot go there again for one of the words, when it may be another. */
	__asm__("" : "+x"(w));
	return w;
#else
	return (ncpi_words){ ncpi_load(p), ncpi_load(p + 1), ncpi_load(p + 2), ncpi_load(p + 3) };
#endif
}

/* ncpi_store_pair - two neighbouring words as one plain store: a reader can see one without the other,
 * or part of one where a processor tears what is not aligned to 8.  Between P3 and P7, as the bytes
 * of a frame (ncpi_copy_in): nobody believes a word of it whom they do not order. */
static inline void ncpi_store_pair(uint32_t *p, uint32_t first, uint32_t second)
{
#ifndef NCPI_TSAN
	const uint32_t pair[2] = { first, second };

	memcpy(p, pair, sizeof(pair));
#else
	ncpi_store(p, first);
	ncpi_store(p + 1, second);
#endif
}

/*
 * ncpi_race_begin, ncpi_race_end - around code that reads a frame's bytes where they stand.
 *
 * The one intended race: a filter, or a flow's hash, over bytes that may be overwritten meanwhile;
 * the result is discarded then (C3, C4).  Tells ThreadSanitizer; nothing otherwise.
 */
#ifdef NCPI_TSAN
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
#define ncpi_race_begin() AnnotateIgnoreReadsBegin(__FILE__, __LINE__)
#define ncpi_race_end() AnnotateIgnoreReadsEnd(__FILE__, __LINE__)
#else
#define ncpi_race_begin() ((void)0)
#define ncpi_race_end() ((void)0)
#endif

/*
 * NCPI_TESTPOINT - run the other side at exactly this step.
 *
 * Nothing in normal builds.  With -DNCP_TESTPOINTS it calls ncpi_testpoint_fn, if a test set it,
 * with the step's name, e.g. "publish:P2" (before step P2).
 */
#ifdef NCP_TESTPOINTS
extern void (*ncpi_testpoint_fn)(const char *step);
#define NCPI_TESTPOINT(step)                                                                       \
	do {                                                                                       \
		if (ncpi_testpoint_fn)                                                             \
			ncpi_testpoint_fn(step);                                                   \
	} while (0)
#else
#define NCPI_TESTPOINT(step) ((void)0)
#endif

#endif
