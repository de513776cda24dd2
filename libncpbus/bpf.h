/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf.h - classic BPF: check a program once, run it on frames. */
#ifndef NCPI_BPF_H
#define NCPI_BPF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ncp_bpf_insn;

/* Instructions of a program at most: what the kernel allows, and ten times what pcap_compile() makes
 * of a long expression. */
#define NCPI_BPF_MAX 32768u

/*
 * ncpi_bpf_check - may this program be run?
 *
 * Every opcode is known, every jump goes forward and stays inside, every scratch word exists, no
 * constant divides by zero or shifts by 32, the last instruction returns.  Such a program ends after
 * n steps at most and reads nothing but the frame.
 * Source: McCanne and Jacobson 1993; the kernel's Documentation/networking/filter.rst.
 */
bool ncpi_bpf_check(const struct ncp_bpf_insn *program, size_t n);

/*
 * ncpi_bpf_run - run a checked program on a frame; 0: not accepted.
 *
 *   data  caplen bytes, which may change meanwhile (a frame in the ring)
 *   len   bytes on the wire: what "len" means
 *
 * A load beyond caplen, or a division by a zero X, rejects.
 */
uint32_t ncpi_bpf_run(const struct ncp_bpf_insn *program, const uint8_t *data, uint32_t caplen,
		      uint32_t len);

#endif
