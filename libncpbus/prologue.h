/* SPDX-License-Identifier: BSD-2-Clause */
/* prologue.h - Section Header and Interface Description Blocks: build them, read them. */
#ifndef NCPI_PROLOGUE_H
#define NCPI_PROLOGUE_H

#include <stddef.h>
#include <stdint.h>

struct ncpi_interface_desc;

/* An interface as its block describes it; strings are copies. */
struct ncpi_prologue_interface {
	uint32_t linktype;
	uint32_t snaplen; /* the real limit: from the description, else if_snaplen */
	char *name;	  /* "" when there is none */
	char *description;
};

struct ncpi_prologue {
	struct ncpi_prologue_interface *interface;
	uint32_t n;
	uint32_t len; /* bytes parsed */
};

/*
 * ncpi_prologue_parse - read the prologue up to len bytes.
 *
 *   bytes  4-aligned; may be shared memory that only grows: copied before it is looked at
 *
 * Returns 0; NCP_ECORRUPT (no whole blocks, a Section Header that is not first, a length beyond
 * cap); -ENOMEM.  On error nothing needs to be freed.
 */
int ncpi_prologue_parse(struct ncpi_prologue *p, const uint8_t *bytes, uint32_t len, uint32_t cap);

/* ncpi_prologue_free - free what parse made; a zeroed p is fine. */
void ncpi_prologue_free(struct ncpi_prologue *p);

/* ncpi_prologue_section - write a Section Header Block (section length unknown) of cap bytes at
 * most.  Returns its length, -ENOSPC. */
int ncpi_prologue_section(uint8_t *out, size_t cap);

/* ncpi_prologue_interface - write an Interface Description Block.  if_tsresol is 9, if_snaplen
 * NCPI_SNAPLEN.  Returns its length, -ENOSPC, -EINVAL (a text longer than 65535 bytes). */
int ncpi_prologue_interface(uint8_t *out, size_t cap, const struct ncpi_interface_desc *d);

#endif
