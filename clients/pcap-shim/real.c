/* SPDX-License-Identifier: BSD-2-Clause */
/* real.c - find the libpcap behind this one, and be found in its place by dlsym(). */
#include "real.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef void *dlsym_fn(void *handle, const char *name);

/* The C library's dlsym(): ours, below, stands in front of it. */
static dlsym_fn *_Atomic next_dlsym;

static dlsym_fn *dlsym_get(void)
{
	/* Where it stands since glibc 2.34, for every machine; and before, by machine. */
	static const char *const versions[] = { "GLIBC_2.34", "GLIBC_2.2.5", "GLIBC_2.17",
						"GLIBC_2.27" };
	dlsym_fn *fn = atomic_load_explicit(&next_dlsym, memory_order_relaxed);

	for (size_t i = 0; !fn && i < sizeof(versions) / sizeof(*versions); i++)
		*(void **)&fn = dlvsym(RTLD_NEXT, "dlsym", versions[i]);
	/* Every thread finds the same. */
	atomic_store_explicit(&next_dlsym, fn, memory_order_relaxed);
	return fn;
}

static struct real calls;
static atomic_bool loaded;
static pthread_mutex_t loading = PTHREAD_MUTEX_INITIALIZER;

static void load_from(void *library)
{
	dlsym_fn *find = dlsym_get();

#define REAL_FIND(name) *(void **)&calls.name = find(library, "pcap_" #name);
	REAL_SERVED(REAL_FIND)
	REAL_USED(REAL_FIND)
#undef REAL_FIND
	atomic_store_explicit(&loaded, true, memory_order_release);
}

const struct real *real(void)
{
	static const char none[] = "libncp-pcap: no libpcap can be loaded: install libpcap0.8\n";

	if (atomic_load_explicit(&loaded, memory_order_acquire))
		return &calls;
	pthread_mutex_lock(&loading);
	if (!atomic_load_explicit(&loaded, memory_order_relaxed)) {
		void *library = RTLD_NEXT;

		if (!dlsym_get()(library, "pcap_create"))
			/* Debian's name of it, then upstream's. */
			library = dlopen("libpcap.so.0.8", RTLD_NOW | RTLD_LOCAL);
		if (!library)
			library = dlopen("libpcap.so.1", RTLD_NOW | RTLD_LOCAL);
		if (!library) {
			if (write(STDERR_FILENO, none, sizeof(none) - 1) < 0)
				_exit(1);
			abort();
		}
		load_from(library);
	}
	pthread_mutex_unlock(&loading);
	return &calls;
}

/* A sanitizer's run-time library asks dlsym() before it can stand code like this. */
#ifndef NCP_SANITIZED

/* A program opened a libpcap and looks for a call in it: from now on that one is the real one,
 * unless there was one already. */
static void adopt(void *address)
{
	Dl_info info;

	pthread_mutex_lock(&loading);
	if (!atomic_load_explicit(&loaded, memory_order_relaxed) && dladdr(address, &info)) {
		void *library = dlopen(info.dli_fname, RTLD_LAZY | RTLD_NOLOAD);

		if (library)
			load_from(library);
	}
	pthread_mutex_unlock(&loading);
}

/* Ours, if found is the real libpcap's call of that name and we stand in front of it. */
static void *in_place_of(const char *name, void *found)
{
	static const struct {
		const char *name;
		void *const *theirs;
		void *ours;
	} table[] = {
#define REAL_ROW(call) { #call, (void *const *)&calls.call, (void *)pcap_##call },
		REAL_SERVED(REAL_ROW)
#undef REAL_ROW
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (!strcmp(table[i].name, name)) {
			adopt(found);
			return *table[i].theirs == found ? table[i].ours : found;
		}
	return found;
}

#if defined(__has_attribute) && __has_attribute(musttail)
#define TAIL_CALL __attribute__((musttail))
#define TAIL_CALLS
#else
#define TAIL_CALL
#define TAIL_CALLS __attribute__((optimize("O2")))
#endif

/*
 * dlsym - the C library's, except that a call of the real libpcap is found here.
 *
 * A program that is linked with libpcap finds ours first, because we were loaded first; one that
 * opens it with dlopen() asks that library alone.
 */
__attribute__((visibility("default"))) TAIL_CALLS void *dlsym(void *restrict handle,
							       const char *restrict name)
{
	dlsym_fn *next = dlsym_get();

	/* What these two mean depends on who calls.  So the C library must see our caller as its own:
	 * a jump, no call. */
	if (handle == RTLD_NEXT || handle == RTLD_DEFAULT || strncmp(name, "pcap_", 5) != 0)
		TAIL_CALL return next(handle, name);
	void *found = next(handle, name);
	return found ? in_place_of(name + 5, found) : NULL;
}

#endif
