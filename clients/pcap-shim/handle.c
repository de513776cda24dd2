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

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct handle *table;
/* +1 at each change of the table: what a thread remembers of it holds for one value.  0: there was
 * never a handle. */
static _Atomic uint64_t generation;

struct handle *handle_of(pcap_t *p)
{
	static _Thread_local struct {
		const pcap_t *p;
		struct handle *h;
		uint64_t generation;
	} last;
	/* Acquire: who was given a handle by another thread was so after it changed the table. */
	uint64_t now = atomic_load_explicit(&generation, memory_order_acquire);

	if (now == 0)
		return NULL;
	if (last.p == p && last.generation == now)
		return last.h;
	pthread_mutex_lock(&table_lock);
	last.generation = atomic_load_explicit(&generation, memory_order_relaxed);
	last.p = p;
	last.h = table;
	while (last.h && last.h->outer != p)
		last.h = last.h->next;
	pthread_mutex_unlock(&table_lock);
	return last.h;
}

static void table_changed(void)
{
	atomic_fetch_add_explicit(&generation, 1, memory_order_release);
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
	for (struct handle *h = table; h; h = h->next) {
		if (h->fd < 0)
			continue;
		int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
		if (fd >= 0) {
			dup3(fd, h->fd, O_CLOEXEC);
			close(fd);
		}
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
	pthread_mutex_lock(&table_lock);
	h->next = table;
	table = h;
	table_changed();
	pthread_mutex_unlock(&table_lock);
	return h;
fail:
	snprintf(error, PCAP_ERRBUF_SIZE, "%s: out of memory", name);
	if (h)
		free(h->name);
	free(h);
	return NULL;
}

void handle_free(struct handle *h)
{
	struct handle **at = &table;

	pthread_mutex_lock(&table_lock);
	while (*at && *at != h)
		at = &(*at)->next;
	if (*at)
		*at = h->next;
	table_changed();
	pthread_mutex_unlock(&table_lock);
	ncp_detach(h->client);
	if (h->fd >= 0)
		close(h->fd);
	if (h->keeper >= 0)
		close(h->keeper);
	if (h->inner)
		real()->close(h->inner);
	real()->close(h->outer);
	free(h->filter.bf_insns);
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
