/* SPDX-License-Identifier: BSD-2-Clause */
/* space.c - a table of the files that grow at the same time, and how far each was let. */
#include "space.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>

struct space {
	pthread_mutex_t lock;
	struct space_file file[SPACE_WRITERS];
};

struct space *space_make(void)
{
	struct space *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			       -1, 0);
	pthread_mutexattr_t a;

	if (s == MAP_FAILED)
		return NULL;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&s->lock, &a);
	pthread_mutexattr_destroy(&a);
	return s;
}

void space_free(struct space *s)
{
	/* The mutex is the other processes' too: it goes with the last mapping. */
	if (s)
		munmap(s, sizeof(*s));
}

void space_lock(struct space *s)
{
	if (pthread_mutex_lock(&s->lock) == EOWNERDEAD)
		pthread_mutex_consistent(&s->lock);
}

void space_unlock(struct space *s)
{
	pthread_mutex_unlock(&s->lock);
}

void space_set(struct space *s, uint32_t me, const struct space_file *f)
{
	s->file[me] = *f;
}

void space_others(const struct space *s, uint32_t me, uint64_t *granted, uint64_t *untaken)
{
	*granted = *untaken = 0;
	for (uint32_t i = 0; i < SPACE_WRITERS; i++) {
		const struct space_file *f = &s->file[i];

		if (i == me)
			continue;
		*granted += f->granted;
		*untaken += f->granted > f->taken ? f->granted - f->taken : 0;
	}
}

bool space_grows(const struct space *s, dev_t dev, ino_t ino)
{
	for (uint32_t i = 0; i < SPACE_WRITERS; i++)
		if (s->file[i].granted && s->file[i].ino == ino && s->file[i].dev == dev)
			return true;
	return false;
}
