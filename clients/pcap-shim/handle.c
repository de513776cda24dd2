/* SPDX-License-Identifier: BSD-2-Clause */
/* handle.c - which pcap_t are ours, and their coming and going; also across a fork. */
#include "handle.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "real.h"

/*
 * The table.  It is looked through by every call, also by pcap_breakloop() in a signal's handler: so
 * without a lock, and slots are never freed.  Who asks for a handle holds it, so its slot does not
 * change meanwhile; others may.
 */
#define SLOTS 63 /* a KiB of them at once */

struct slot {
	_Atomic(pcap_t *) outer; /* NULL: free */
	struct handle *h;
};

static struct slots {
	struct slot slot[SLOTS];
	_Atomic(struct slots *) next;
} table;
/* Who changes the table. */
static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;

static struct slot *slot_of(const pcap_t *outer)
{
	/* Acquire: what the slot was given was stored before outer, or before the next slots. */
	for (struct slots *s = &table; s;
	     s = atomic_load_explicit(&s->next, memory_order_acquire))
		for (size_t i = 0; i < SLOTS; i++)
			if (atomic_load_explicit(&s->slot[i].outer, memory_order_acquire) == outer)
				return &s->slot[i];
	return NULL;
}

struct handle *handle_of(pcap_t *p)
{
	const struct slot *s = p ? slot_of(p) : NULL;

	return s ? s->h : NULL;
}

static int table_add(struct handle *h)
{
	int r = 0;

	pthread_mutex_lock(&table_lock);
	struct slot *slot = slot_of(NULL);
	if (!slot) {
		struct slots *last = &table, *more = calloc(1, sizeof(*more));

		while (last->next)
			last = last->next;
		atomic_store_explicit(&last->next, more, memory_order_release);
		slot = more ? &more->slot[0] : NULL;
	}
	if (slot) {
		slot->h = h;
		atomic_store_explicit(&slot->outer, h->outer, memory_order_release);
	} else {
		r = -1;
	}
	pthread_mutex_unlock(&table_lock);
	return r;
}

static void table_remove(const struct handle *h)
{
	pthread_mutex_lock(&table_lock);
	struct slot *slot = slot_of(h->outer);
	if (slot)
		atomic_store_explicit(&slot->outer, NULL, memory_order_relaxed);
	pthread_mutex_unlock(&table_lock);
}

/* --- fork ------------------------------------------------------------------------------------- */

static void before_fork(void)
{
	pthread_mutex_lock(&table_lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&table_lock);
}

/*
 * In the child the client is dead, and so is the thread that makes the descriptor readable.  A new
 * client is attached at the next call.  For a child that first polls, the descriptor becomes one of
 * its own that is readable, so that it comes to make that call.
 */
static void after_fork_in_child(void)
{
	for (struct slots *s = &table; s; s = s->next)
		for (size_t i = 0; i < SLOTS; i++) {
			int old = s->slot[i].outer ? s->slot[i].h->fd : -1;
			int fd = old < 0 ? -1 : eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);

			if (fd < 0)
				continue;
			dup3(fd, old, O_CLOEXEC);
			close(fd);
		}
	pthread_mutex_unlock(&table_lock);
}

static void fork_prepare(void)
{
	pthread_atfork(before_fork, after_fork, after_fork_in_child);
}

/* --- life ------------------------------------------------------------------------------------- */

struct handle *handle_make(const char *name, char *error)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct handle *h = calloc(1, sizeof(*h));

	if (!h)
		goto fail;
	h->snaplen = SNAPLEN_MAX;
	h->fd = h->keeper = -1;
	h->at = (struct ncp_cursor)NCP_CURSOR_INIT;
	h->name = strdup(name);
	h->outer = h->name ? real()->open_dead(DLT_EN10MB, SNAPLEN_MAX) : NULL;
	if (!h->outer)
		goto fail;
	pthread_once(&once, fork_prepare);
	if (table_add(h) == 0)
		return h;
	real()->close(h->outer);
fail:
	snprintf(error, PCAP_ERRBUF_SIZE, "%s: out of memory", name);
	if (h)
		free(h->name);
	free(h);
	return NULL;
}

void handle_free(struct handle *h)
{
	table_remove(h);
	ncp_detach(h->client);
	if (h->fd >= 0)
		close(h->fd);
	if (h->keeper >= 0)
		close(h->keeper);
	if (h->inner)
		real()->close(h->inner);
	real()->close(h->outer);
	filter_free(&h->filter);
	free(h->linktypes);
	free(h->data);
	free(h->dir);
	free(h->name);
	free(h);
}

int handle_fail(struct handle *h, int code, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(h->error, sizeof(h->error), format, ap);
	va_end(ap);
	return code;
}

int handle_ready(struct handle *h)
{
	return h->inner ? 0 :
			  handle_fail(h, PCAP_ERROR_NOT_ACTIVATED, "%s: not activated yet", h->name);
}

int handle_fresh(struct handle *h)
{
	return !h->inner ? 0 :
			   handle_fail(h, PCAP_ERROR_ACTIVATED,
				       "can't perform operation on activated capture");
}
