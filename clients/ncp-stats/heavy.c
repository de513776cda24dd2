/* SPDX-License-Identifier: BSD-2-Clause */
/* heavy.c - a small hash table and a heap, so that the lightest key makes room. */
#include "heavy.h"

#include <stdbool.h>
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

static void heap_put(struct heavy *h, uint32_t at, uint32_t idx)
{
	h->heap[at] = idx;
	h->entry[idx].at = at;
}

static double weight_at(const struct heavy *h, uint32_t at)
{
	return h->entry[h->heap[at]].weight;
}

/* A new leaf goes up past those that are heavier. */
static void sift_up(struct heavy *h, uint32_t idx)
{
	uint32_t at = h->n - 1;

	while (at && weight_at(h, (at - 1) / 2) > h->entry[idx].weight) {
		heap_put(h, at, h->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	heap_put(h, at, idx);
}

/* One that has become heavier goes down past those that are lighter. */
static void sift_down(struct heavy *h, uint32_t idx)
{
	uint32_t at = h->entry[idx].at;

	for (uint32_t child; (child = 2 * at + 1) < h->n; at = child) {
		if (child + 1 < h->n && weight_at(h, child + 1) < weight_at(h, child))
			child++;
		if (weight_at(h, child) >= h->entry[idx].weight)
			break;
		heap_put(h, at, h->heap[child]);
	}
	heap_put(h, at, idx);
}

static uint32_t find(const struct heavy *h, const uint8_t *key)
{
	uint32_t at = h->bucket[bucket_of(key)];

	while (at && memcmp(h->entry[at - 1].key, key, HEAVY_KEY))
		at = h->entry[at - 1].next;
	return at;
}

/* The index of a key that was not there, in the place of the lightest if all are taken. */
static uint32_t come(struct heavy *h, const uint8_t *key)
{
	uint32_t *first = &h->bucket[bucket_of(key)];
	bool full = h->n == HEAVY_CAP;
	uint32_t idx = full ? h->heap[0] : h->n++;
	struct heavy_entry *e = &h->entry[idx];
	double inherited = full ? e->weight : 0;

	if (full)
		unlink_entry(h, idx);
	*e = (struct heavy_entry){ .weight = inherited, .missed = inherited, .next = *first };
	memcpy(e->key, key, HEAVY_KEY);
	*first = idx + 1;
	if (!full)
		sift_up(h, idx);
	return idx;
}

void heavy_add(struct heavy *h, const uint8_t *key, double bytes, double scale)
{
	uint32_t at = find(h, key);
	uint32_t idx = at ? at - 1 : come(h, key);
	struct heavy_entry *e = &h->entry[idx];

	volume_add(&e->volume, bytes);
	e->weight += bytes * scale;
	sift_down(h, idx);
}

void heavy_run_end(struct heavy *h, double n)
{
	for (uint32_t i = 0; i < h->n; i++)
		volume_run_end(&h->entry[i].volume, n);
}

void heavy_stratum_end(struct heavy *h, const struct estimate_stratum *s)
{
	for (uint32_t i = 0; i < h->n; i++)
		volume_stratum_end(&h->entry[i].volume, s);
}

static int heavier_first(const void *a, const void *b)
{
	const struct heavy_entry *x = *(const struct heavy_entry *const *)a,
				 *y = *(const struct heavy_entry *const *)b;

	if (x->volume.bytes.sum != y->volume.bytes.sum)
		return x->volume.bytes.sum < y->volume.bytes.sum ? 1 : -1;
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
