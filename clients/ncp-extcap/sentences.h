/* SPDX-License-Identifier: BSD-2-Clause */
/* sentences.h - what an extcap program prints for Wireshark to read. */
#ifndef SENTENCES_H
#define SENTENCES_H

#include <stdint.h>
#include <stdio.h>

/*
 * Lines of the form "word {key=value}{key=value}", to f.  Source: Wireshark's doc/extcap.adoc and
 * the manual page extcap(4).  No value may hold a brace; bus names have none.
 */

/* sentences_version - who this program is. */
void sentences_version(FILE *f);

/* sentences_interface - the interface that a bus is. */
void sentences_interface(FILE *f, const char *bus);

/* sentences_dlt - a link type: linktype is a LINKTYPE_, as in pcapng; what is printed is the DLT_ of
 * Linux. */
void sentences_dlt(FILE *f, uint32_t linktype);

/* sentences_config - the options of a capture. */
void sentences_config(FILE *f);

#endif
