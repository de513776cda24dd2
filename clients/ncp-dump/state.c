/* SPDX-License-Identifier: BSD-2-Clause */
/* state.c - the file of --resume: up to where a capture is safely on disk. */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coder.h"
#include "format.h"
#include "repair.h"
#include "util/file.h"
#include "util/parse.h"

#define STATE_MAX (PATH_MAX + 512)

/* If the line at *p is "key value", end the value there, step over it, and return it. */
static char *value(char **p, const char *key)
{
	size_t n = strlen(key);
	char *v = *p + n + 1, *end;

	if (strncmp(*p, key, n) || (*p)[n] != ' ')
		return NULL;
	end = strchr(v, '\n');
	if (!end)
		return NULL;
	*end = '\0';
	*p = end + 1;
	return v;
}

static int number(char **p, const char *key, uint64_t *out)
{
	const char *v = value(p, key);

	return v && parse_u64(v, 0, UINT64_MAX, out) == 0 ? 0 : -EBADMSG;
}

static int parse(char *text, size_t len, struct state *s)
{
	char *p = text, *v, *end;

	v = value(&p, "ncp-dump-state");
	if (!v || strcmp(v, "1"))
		return -EBADMSG;
	v = value(&p, "bus");
	if (!v || strlen(v) >= sizeof(s->bus))
		return -EBADMSG;
	strcpy(s->bus, v);
	v = value(&p, "incarnation");
	if (!v || strlen(v) != 16 || strspn(v, "0123456789abcdef") != 16)
		return -EBADMSG;
	s->incarnation = strtoull(v, NULL, 16);
	if (number(&p, "seq", &s->seq) < 0 || number(&p, "length", &s->length) < 0 ||
	    strncmp(p, "file /", 6))
		return -EBADMSG;
	p += 5;
	end = text + len - 1;
	if (*end != '\n' || (size_t)(end - p) >= sizeof(s->file) || memchr(p, 0, (size_t)(end - p)))
		return -EBADMSG;
	*end = '\0';
	strcpy(s->file, p);
	return 0;
}

int state_load(const char *path, struct state *s, const char **why)
{
	char *text;
	size_t len;
	int r = file_read(path, STATE_MAX, &text, &len);

	if (r == -ENOENT)
		return 0;
	*why = "not a state file of ncp-dump";
	if (r == -EFBIG)
		return -EBADMSG;
	if (r < 0)
		return r;
	r = len ? parse(text, len, s) : -EBADMSG;
	free(text);
	return r < 0 ? r : 1;
}

int state_save(const char *path, const struct state *s)
{
	char text[STATE_MAX];
	int n = snprintf(text, sizeof(text),
			 "ncp-dump-state 1\nbus %s\nincarnation %016" PRIx64 "\nseq %" PRIu64
			 "\nlength %" PRIu64 "\nfile %s\n",
			 s->bus, s->incarnation, s->seq, s->length, s->file);

	if (n < 0 || (size_t)n >= sizeof(text))
		return -ENAMETOOLONG;
	return file_replace(path, text, (size_t)n, 0640);
}

/* A file of another format says nothing of itself: the state alone tells. */
static int cut_raw(const struct state *s)
{
	const struct coder_ops *coder;
	uint8_t magic[4];
	struct stat st;
	int r, fd = open(s->file, O_RDWR | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);

	if (fd < 0)
		return -errno;
	r = fstat(fd, &st) < 0 ? -errno : S_ISREG(st.st_mode) ? 0 : -EBADMSG;
	if (r == 0 && file_pread_all(fd, magic, sizeof(magic), 0) != sizeof(magic))
		r = -EBADMSG;
	coder = r == 0 ? coder_of(magic) : NULL;
	if (r == 0 && !coder && !format_is_pcap(magic))
		r = -EBADMSG;
	if (r == 0 && (uint64_t)st.st_size < s->length)
		r = -ENODATA;
	if (r == 0 && ftruncate(fd, (off_t)s->length) < 0)
		r = -errno;
	/* A state's length is that of blocks: the end of a compressed file is behind it. */
	if (r == 0 && coder)
		r = file_pwrite_all(fd, coder->end, coder->end_len, s->length);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	close(fd);
	return r;
}

int state_cut(const struct state *s)
{
	struct repair r;
	int e = repair_open(&r, s->file, true);

	if (e == -EBADMSG) {
		repair_close(&r);
		return cut_raw(s);
	}
	if (e == 0)
		e = r.size < s->length ? -ENODATA : repair_cut(&r, s->length);
	repair_close(&r);
	return e == -EISDIR || e == -EINVAL ? -EBADMSG : e;
}
