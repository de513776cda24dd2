/* SPDX-License-Identifier: BSD-2-Clause */
/* capfile.h - what stands in a file of ncp-dump beside the bus's own bytes: its head. */
#ifndef CAPFILE_H
#define CAPFILE_H

/*
 * A file is
 *
 *	Section Header Block
 *	Interface Description Blocks, as many as leave room within the first page
 *	file block		ncp's own; within the first page, so that it can be rewritten in
 *				place; behind the first interface, because Wireshark's tools
 *				take a file's link type from what stands before any other block
 *	more Interface Description Blocks
 *	padding block		makes what follows stand at an offset congruent to its ring
 *				position, modulo the alignment the file system wants
 *	the bus's bytes		with gap blocks where frames are missing
 *	Interface Statistics Blocks
 *
 * Another incarnation of the bus begins another such section in the same file.
 * Pure but for capfile_look().
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a section says at its beginning. */
struct capfile_section {
	const uint8_t *prologue; /* prologue_len bytes as ncp_prologue() gives them */
	uint32_t prologue_len;
	const char *bus;
	uint64_t epoch, incarnation;
	uint64_t first_seq;  /* number of the first frame */
	uint64_t created_ns; /* CLOCK_REALTIME */
	uint64_t window;     /* see struct pcapng_file */
	uint8_t boot[16];    /* likewise */
};

/* capfile_section_max - bytes that suffice for a section's head. */
size_t capfile_section_max(uint32_t prologue_len, uint32_t align);

/*
 * capfile_section - write a section's head.
 *
 *   out    capfile_section_max() bytes
 *   at     offset in the file where it will stand, a multiple of 4
 *   position  ring position of what follows; the head ends congruent to it modulo align
 *   align  a power of two >= 4.  A head at offset 0 is at least so long: the first page, which is
 *          rewritten, holds nothing but the head
 *   file_off  out: offset of the file block within the head
 *
 * Returns the length, or -EBADMSG (the prologue does not begin with a whole Section Header).
 */
long capfile_section(uint8_t *out, const struct capfile_section *s, uint64_t at, uint64_t position,
		     uint32_t align, size_t *file_off) __attribute__((warn_unused_result));

/*
 * capfile_update - rewrite what a file block says of the file's state.
 *
 *   block  the whole block, in place
 *
 * Returns 0, -EBADMSG (that is no file block).
 */
int capfile_update(uint8_t *block, size_t len, uint64_t verified, uint64_t written, bool complete)
	__attribute__((warn_unused_result));

/*
 * capfile_identity - which file that is, for pcapng_file's inode and born_ns.
 *
 * Both 0 if it cannot be told.
 */
void capfile_identity(int fd, uint64_t *inode, uint64_t *born_ns);

/* capfile_identify - say in a file block in place which file it stands in.  Returns as
 * capfile_update(). */
int capfile_identify(uint8_t *block, size_t len, int fd) __attribute__((warn_unused_result));

/*
 * capfile_find - the file block in the beginning of a file.
 *
 *   page  len bytes from offset 0
 *
 * Returns its offset, or -EBADMSG (not a file of ncp-dump of this byte order).
 */
long capfile_find(const uint8_t *page, size_t len) __attribute__((warn_unused_result));

/* What the first section of a file says. */
struct capfile_head {
	char bus[64];
	uint64_t incarnation;
	uint64_t first_seq;
	uint64_t created_ns;
	uint64_t window, verified;
	bool complete;
};

/* capfile_head - read it from the beginning of a file.  Returns as capfile_find(). */
long capfile_head(const uint8_t *page, size_t len, struct capfile_head *h)
	__attribute__((warn_unused_result));

/* capfile_look - open a file (no symbolic link) and read its head.  Returns 0, -EBADMSG, -errno. */
int capfile_look(const char *path, struct capfile_head *h) __attribute__((warn_unused_result));

#endif
