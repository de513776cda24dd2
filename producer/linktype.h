/* SPDX-License-Identifier: BSD-2-Clause */
/* linktype.h - libpcap's two numbers for what a frame is: DLT_ in programs, LINKTYPE_ in files. */
#ifndef LINKTYPE_H
#define LINKTYPE_H

#include <stdint.h>

/*
 * linktype_of_dlt, linktype_to_dlt - from one to the other.
 *
 * libpcap keeps that table to itself, so it is asked to write, or to read, the header of a file.
 * A number that it does not know is the same in both.  Not in a sandbox: see fmemopen(3).
 * Return 0, -ENOMEM.
 */
int linktype_of_dlt(int dlt, uint32_t *linktype) __attribute__((warn_unused_result));
int linktype_to_dlt(uint32_t linktype, int *dlt) __attribute__((warn_unused_result));

#endif
