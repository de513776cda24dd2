/* SPDX-License-Identifier: BSD-2-Clause */
/* kept.c - the closed files of a series, oldest first, and the deleting of the oldest. */
#include "kept.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "capfile.h"

#define SECOND UINT64_C(1000000000)
#define PART ".part"

static const char *base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int append(struct kept *k, const struct kept_file *f, const char *path)
{
	struct kept_file *more;

	if (k->n == k->cap) {
		size_t cap = k->cap ? 2 * k->cap : 16;

		more = realloc(k->file, cap * sizeof(*k->file));
		if (!more)
			return -ENOMEM;
		k->file = more;
		k->cap = cap;
	}
	more = &k->file[k->n];
	*more = *f;
	more->path = strdup(path);
	if (!more->path)
		return -ENOMEM;
	k->n++;
	k->bytes += f->size;
	return 0;
}

/* Is this file of the series?  1, 0. */
static int judge(const struct naming *n, const char *path, const char *bus, bool part,
		 struct kept_file *f)
{
	struct capfile_head head;
	char name[PATH_MAX];
	struct stat st;
	size_t len = strlen(path);

	if (lstat(path, &st) < 0 || !S_ISREG(st.st_mode) || capfile_look(path, &head) < 0 ||
	    strcmp(head.bus, bus))
		return 0;
	memcpy(name, path, len + 1);
	if (part && len > strlen(PART) && !strcmp(name + len - strlen(PART), PART))
		name[len - strlen(PART)] = '\0';
	*f = (struct kept_file){ .size = (uint64_t)st.st_size, .created_ns = head.created_ns,
				 .dev = st.st_dev, .ino = st.st_ino };
	return naming_number(n, name, (time_t)(head.created_ns / SECOND), &f->number);
}

static int order(const void *a, const void *b)
{
	const struct kept_file *x = a, *y = b;

	if (x->created_ns != y->created_ns)
		return x->created_ns < y->created_ns ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

int kept_scan(struct kept *k, const struct naming *n, const char *dir, const char *bus,
	      bool part)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	int r = 0;

	if (!d)
		return -errno;
	while (r == 0 && (errno = 0, e = readdir(d))) {
		char path[PATH_MAX];
		struct kept_file f;
		int len = snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);

		if (len > 0 && (size_t)len < sizeof(path) && naming_may(n, e->d_name) &&
		    judge(n, path, bus, part, &f))
			r = append(k, &f, path);
	}
	closedir(d);
	qsort(k->file, k->n, sizeof(*k->file), order);
	return r;
}

void kept_remove(struct kept *k, size_t i)
{
	k->bytes -= k->file[i].size;
	free(k->file[i].path);
	k->n--;
	memmove(k->file + i, k->file + i + 1, (k->n - i) * sizeof(*k->file));
}

void kept_forget(struct kept *k, const char *path)
{
	for (size_t i = 0; i < k->n; i++)
		if (!strcmp(base(k->file[i].path), base(path))) {
			kept_remove(k, i);
			break;
		}
}

int kept_add(struct kept *k, const char *path, uint64_t created_ns)
{
	struct kept_file f = { .created_ns = created_ns };
	struct stat st;

	kept_forget(k, path);
	if (lstat(path, &st) < 0)
		return -errno;
	f.size = (uint64_t)st.st_size;
	f.dev = st.st_dev;
	f.ino = st.st_ino;
	return append(k, &f, path);
}

int kept_take(struct kept *k, struct kept_file *f)
{
	if (k->n == 0)
		return 0;
	*f = *k->file;
	k->file->path = NULL;
	kept_remove(k, 0);
	return 1;
}

int kept_delete(struct kept_file *f)
{
	struct stat st;
	int r = 0;

	/* Another file under that name, or none, is not ours to delete. */
	if (lstat(f->path, &st) == 0 && st.st_dev == f->dev && st.st_ino == f->ino &&
	    unlink(f->path) < 0)
		r = -errno;
	free(f->path);
	f->path = NULL;
	return r;
}

void kept_free(struct kept *k)
{
	while (k->n)
		kept_remove(k, k->n - 1);
	free(k->file);
	*k = (struct kept){ 0 };
}
