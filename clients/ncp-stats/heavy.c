/* SPDX-License-Identifier: BSD-2-Clause */
/* heavy.c - a small hash table in which the lightest key makes room. */
#include "heavy.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS (2 * HEAVY_CAP)

void heavy_clear(struct heavy *h)
{
	memset(h->bucket, 0, sizeof(h->bucket));
	h->n = 0;
}

/* FNV-1a, by words. */
static uint32_t bucket_of(const uint8_t *key)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325), word;

	for (size_t i = 0; i < HEAVY_KEY; i += 8) {
		memcpy(&word, key + i, 8);
		hash = (hash ^ word) * UINT64_C(0x100000001b3);
		hash ^= hash >> 32;
	}
	return (uint32_t)(hash % BUCKETS);
}

static void unlink_entry(struct heavy *h, uint32_t idx)
{
	uint32_t *at = &h->bucket[bucket_of(h->entry[idx].key)];

	while (*at != idx + 1)
		at = &h->entry[*at - 1].next;
	*at = h->entry[idx].next;
}

static uint32_t lightest(const struct heavy *h)
{
	uint32_t idx = 0;

	for (uint32_t i = 1; i < h->n; i++)
		if (h->entry[i].bytes < h->entry[idx].bytes)
			idx = i;
	return idx;
}

void heavy_add(struct heavy *h, const uint8_t *key, uint64_t bytes)
{
	uint32_t *first = &h->bucket[bucket_of(key)];
	uint64_t inherited = 0;
	uint32_t idx;

	for (uint32_t at = *first; at; at = h->entry[at - 1].next) {
		struct heavy_entry *e = &h->entry[at - 1];

		if (!memcmp(e->key, key, HEAVY_KEY)) {
			e->frames++;
			e->bytes += bytes;
			return;
		}
	}
	if (h->n < HEAVY_CAP) {
		idx = h->n++;
	} else {
		idx = lightest(h);
		inherited = h->entry[idx].bytes;
		unlink_entry(h, idx);
	}
	struct heavy_entry *e = &h->entry[idx];
	memcpy(e->key, key, HEAVY_KEY);
	e->frames = 1;
	e->bytes = inherited + bytes;
	e->error = inherited;
	e->next = *first;
	*first = idx + 1;
}

static int heavier_first(const void *a, const void *b)
{
	const struct heavy_entry *x = *(const struct heavy_entry *const *)a,
				 *y = *(const struct heavy_entry *const *)b;

	if (x->bytes != y->bytes)
		return x->bytes < y->bytes ? 1 : -1;
	return memcmp(x->key, y->key, HEAVY_KEY);
}

size_t heavy_top(const struct heavy *h, const struct heavy_entry **top, size_t n)
{
	const struct heavy_entry *all[HEAVY_CAP];

	for (uint32_t i = 0; i < h->n; i++)
		all[i] = &h->entry[i];
	qsort(all, h->n, sizeof(*all), heavier_first);
	if (n > h->n)
		n = h->n;
	memcpy(top, all, n * sizeof(*top));
	return n;
}
