/* SPDX-License-Identifier: BSD-2-Clause */
/* capfile.c - what stands in a file of ncp-dump beside the bus's own bytes: its head. */
#include "capfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/file.h"
#include "util/pcapng.h"

#define PAGE 4096u

size_t capfile_section_max(uint32_t prologue_len, uint32_t align)
{
	return (size_t)prologue_len + PCAPNG_FILE_LEN + 2 * (size_t)align + PCAPNG_PADDING_MIN;
}

long capfile_section(uint8_t *out, const struct capfile_section *s, uint64_t at, uint64_t position,
		     uint32_t align, size_t *file_off)
{
	struct pcapng_local l = { .kind = PCAPNG_FILE,
				  .epoch = s->epoch,
				  .incarnation = s->incarnation,
				  .next_seq = s->first_seq,
				  .from_ns = s->created_ns };
	struct pcapng_file file = { .window = s->window };
	struct pcapng_block b;
	size_t len;

	if (pcapng_next(s->prologue, s->prologue_len, &b) != 1 || b.type != PCAPNG_SHB)
		return -EBADMSG;
	len = b.len;
	while (pcapng_next(s->prologue + len, s->prologue_len - len, &b) == 1 &&
	       len + b.len + PCAPNG_FILE_LEN <= PAGE)
		len += b.len;
	snprintf(file.bus, sizeof(file.bus), "%s", s->bus);
	memcpy(file.boot, s->boot, sizeof(file.boot));
	memcpy(out, s->prologue, len);
	*file_off = len;
	memcpy(out + len + pcapng_local(out + len, &l, &file, sizeof(file), PCAPNG_FILE_LEN),
	       s->prologue + len, s->prologue_len - len);
	len = s->prologue_len + PCAPNG_FILE_LEN;
	uint32_t padding = pcapng_padding_len(at + len, position, align);
	if (at == 0 && align > 4)
		while (len + padding < align || (padding && padding < PCAPNG_PADDING_MIN))
			padding += align;
	if (padding)
		len += pcapng_padding(out + len, padding);
	return (long)len;
}

/* The file block in place. */
static int block_read(const uint8_t *block, size_t len, struct pcapng_local *l, struct pcapng_file *file)
{
	struct pcapng_block b;

	return pcapng_next(block, len, &b) != 1 || b.len != PCAPNG_FILE_LEN ||
			       !pcapng_local_read(&b, l, file, sizeof(*file)) ||
			       l->kind != PCAPNG_FILE ?
		       -EBADMSG :
		       0;
}

int capfile_update(uint8_t *block, size_t len, uint64_t verified, uint64_t written, bool complete)
{
	struct pcapng_local l;
	struct pcapng_file file;

	if (block_read(block, len, &l, &file) < 0)
		return -EBADMSG;
	file.verified = verified;
	file.written = written;
	file.complete = complete;
	pcapng_local(block, &l, &file, sizeof(file), PCAPNG_FILE_LEN);
	return 0;
}

void capfile_identity(int fd, uint64_t *inode, uint64_t *born_ns)
{
	struct statx x = { 0 };

	*inode = *born_ns = 0;
	if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &x) < 0)
		return;
	*inode = x.stx_ino;
	if (x.stx_mask & STATX_BTIME)
		*born_ns = (uint64_t)x.stx_btime.tv_sec * UINT64_C(1000000000) + x.stx_btime.tv_nsec;
}

int capfile_identify(uint8_t *block, size_t len, int fd)
{
	struct pcapng_local l;
	struct pcapng_file file;

	if (block_read(block, len, &l, &file) < 0)
		return -EBADMSG;
	capfile_identity(fd, &file.inode, &file.born_ns);
	pcapng_local(block, &l, &file, sizeof(file), PCAPNG_FILE_LEN);
	return 0;
}

long capfile_head(const uint8_t *page, size_t len, struct capfile_head *h)
{
	struct pcapng_local l;
	struct pcapng_file f;
	struct pcapng_block b;
	size_t off;
	uint32_t order;

	if (pcapng_next(page, len, &b) != 1 || b.type != PCAPNG_SHB || b.body_len < 16)
		return -EBADMSG;
	memcpy(&order, b.body, sizeof(order));
	if (order != PCAPNG_BYTE_ORDER)
		return -EBADMSG;
	off = b.len;
	while (pcapng_next(page + off, len - off, &b) == 1 && b.type == PCAPNG_IDB)
		off += b.len;
	if (pcapng_next(page + off, len - off, &b) != 1 ||
	    !pcapng_local_read(&b, &l, &f, sizeof(f)) || l.kind != PCAPNG_FILE)
		return -EBADMSG;
	*h = (struct capfile_head){ .incarnation = l.incarnation,
				    .first_seq = l.next_seq,
				    .created_ns = l.from_ns,
				    .window = f.window,
				    .verified = f.verified,
				    .complete = f.complete };
	memcpy(h->bus, f.bus, sizeof(h->bus) - 1);
	return (long)off;
}

long capfile_find(const uint8_t *page, size_t len)
{
	struct capfile_head h;

	return capfile_head(page, len, &h);
}

int capfile_look(const char *path, struct capfile_head *h)
{
	uint8_t page[PAGE];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);

	if (fd < 0)
		return -errno;
	ssize_t n = file_pread_all(fd, page, sizeof(page), 0);
	close(fd);
	if (n < 0)
		return (int)n;
	return capfile_head(page, (size_t)n, h) < 0 ? -EBADMSG : 0;
}
