/* SPDX-License-Identifier: BSD-2-Clause */
/* table.c - what all lives say of each frame number, and whether it goes together. */
#include <string.h>
#include <sys/mman.h>

#include "storm.h"

/*
 * Number seq's cell is cell seq mod STORM_CELLS; both words bear the number's round (seq divided by
 * that) in their high half, so that a new number displaces an old one, which is judged then.  Words
 * change by compare and exchange.
 */
struct storm_cell {
	uint64_t id;   /* low half: a hash of the frame's id, 0: nobody has said */
	uint64_t fate; /* low half: the bits below */
};

#define SHARD_GAVE(i) (UINT64_C(1) << (i))
#define SHARD_LEFT(i) (UINT64_C(8) << (i))
#define FILTER_LEFT (UINT64_C(1) << 6)
#define WANTED (UINT64_C(1) << 7)
#define GROUP_LOST (UINT64_C(1) << 8)
#define GROUP_LIFE_SHIFT 16 /* the life that saw it last + 1 */
#define SHARD_ALL (SHARD_GAVE(0) | SHARD_GAVE(1) | SHARD_GAVE(2))
_Static_assert(STORM_SHARDS == 3, "three bits each");

struct storm *storm;

void storm_make(void)
{
	size_t table = STORM_CELLS * sizeof(*storm->cells);

	storm = mmap(NULL, sizeof(*storm), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (storm == MAP_FAILED)
		bail("mmap");
	storm->cells = mmap(NULL, table, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (storm->cells == MAP_FAILED)
		bail("mmap");
	storm->group_begin = UINT64_MAX;
	memset(storm->group_at, 0xff, sizeof(storm->group_at));
}

void storm_bad(const char *kind, const char *what, uint64_t a, uint64_t b)
{
	if (ncpi_add(&storm->sums.bad, 1) < 10)
		diag("%s: %s: %llu, %llu", kind, what, (unsigned long long)a, (unsigned long long)b);
}

static void judge(uint64_t seq, uint64_t fate)
{
	uint32_t gave = 0, known = 0;

	for (uint32_t i = 0; i < STORM_SHARDS; i++) {
		gave += !!(fate & SHARD_GAVE(i));
		known += !!(fate & (SHARD_GAVE(i) | SHARD_LEFT(i)));
		if (fate & SHARD_GAVE(i) && fate & SHARD_LEFT(i))
			storm_bad("shards", "one gave a frame and left it", seq, fate);
	}
	if (gave > 1)
		storm_bad("shards", "two gave a frame", seq, fate);
	if (known == STORM_SHARDS) {
		ncpi_add(&storm->sums.sharded, 1);
		if (!gave)
			storm_bad("shards", "none gave a frame", seq, fate);
	}
	if (fate & FILTER_LEFT && fate & WANTED)
		storm_bad("filter", "left a frame that it wants", seq, fate);
	if (seq >= ncpi_load(&storm->group_begin)) {
		ncpi_add(&storm->sums.shared, 1);
		if (!(fate & GROUP_LOST) && !((uint32_t)fate >> GROUP_LIFE_SHIFT))
			storm_bad("group", "nobody had a frame", seq, fate);
	}
}

/* The cell's word for seq now, made anew if it was an older number's; false: a later one's. */
static bool word_get(uint64_t *word, uint64_t seq, bool is_fate, uint64_t *v)
{
	uint64_t round = seq / STORM_CELLS, place = seq % STORM_CELLS;

	*v = ncpi_load_acquire(word);
	while (*v >> 32 != round) {
		if (*v >> 32 > round)
			return false;
		uint64_t fresh = round << 32;
		if (__atomic_compare_exchange_n(word, v, fresh, false, __ATOMIC_ACQ_REL,
						__ATOMIC_ACQUIRE)) {
			if (is_fate)
				judge((*v >> 32) * STORM_CELLS + place, (uint32_t)*v);
			/* Numbers that nobody spoke of at all. */
			for (uint64_t r = (*v >> 32) + 1; is_fate && r < round; r++)
				judge(r * STORM_CELLS + place, 0);
			*v = fresh;
			return true;
		}
	}
	return true;
}

/* Add bits to a number's fate, unless it is too late. */
static void add(uint64_t seq, uint64_t bits)
{
	struct storm_cell *cell = &storm->cells[seq % STORM_CELLS];
	uint64_t v;

	do {
		if (!word_get(&cell->fate, seq, true, &v))
			return;
	} while (!__atomic_compare_exchange_n(&cell->fate, &v, v | bits, false, __ATOMIC_ACQ_REL,
					      __ATOMIC_ACQUIRE));
}

void storm_saw(uint64_t seq, uint64_t id, bool wanted)
{
	struct storm_cell *cell = &storm->cells[seq % STORM_CELLS];
	uint32_t hash = (uint32_t)ncpi_mix(id) | 1;
	uint64_t v;

	if (!word_get(&cell->id, seq, false, &v))
		return;
	if ((uint32_t)v == 0 &&
	    __atomic_compare_exchange_n(&cell->id, &v, v | hash, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		v |= hash;
	if (v >> 32 == seq / STORM_CELLS && (uint32_t)v != hash)
		storm_bad("table", "two frames of one number", seq, id);
	if (wanted && word_get(&cell->fate, seq, true, &v) && !(v & WANTED))
		add(seq, WANTED);
}

void storm_shard(uint32_t shard, uint64_t seq, bool given)
{
	add(seq, given ? SHARD_GAVE(shard) : SHARD_LEFT(shard));
}

void storm_filtered(uint64_t seq)
{
	add(seq, FILTER_LEFT);
}

void storm_group_lost(uint64_t seq)
{
	add(seq, GROUP_LOST);
}

void storm_group_saw(uint64_t seq, uint32_t life)
{
	struct storm_cell *cell = &storm->cells[seq % STORM_CELLS];
	uint64_t v, mine = (uint64_t)(life + 1) << GROUP_LIFE_SHIFT;

	do {
		if (!word_get(&cell->fate, seq, true, &v))
			return;
	} while (!__atomic_compare_exchange_n(&cell->fate, &v,
					      (v & ~(UINT64_C(0xffff) << GROUP_LIFE_SHIFT)) | mine,
					      false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	uint32_t before = (uint32_t)v >> GROUP_LIFE_SHIFT;
	if (!before)
		return;
	if (!ncpi_load_acquire(&storm->killed[before - 1]))
		storm_bad("group", "a second member had a frame, and the first lives", seq, before - 1);
	ncpi_add(&storm->sums.again, 1);
}

void storm_judge(uint64_t end)
{
	for (uint64_t seq = end > STORM_CELLS ? end - STORM_CELLS : 0; seq < end; seq++) {
		uint64_t v;

		if (word_get(&storm->cells[seq % STORM_CELLS].fate, seq, true, &v))
			judge(seq, (uint32_t)v);
	}
}
