/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_step.h - the form a checked BPF program is run in: what bpf.c makes, bpf_run.c runs. */
#ifndef NCPI_BPF_STEP_H
#define NCPI_BPF_STEP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A program is an array of steps.  Each one is followed by the next one in the array, except
 *   - JA goes to another one: far bytes from it
 *   - LOOP does so backward, and rejects a frame on which it did so too often
 *   - RET_K and RET_A end
 *   - a test goes far when it holds; its twin, the number behind it, when it does not hold.
 * So what is likely lies in a row, and the next step is known without a word of this one: to go far,
 * its distance has to be loaded first.
 *
 * "_JEQ", "_JSET" behind a load: both in one step.
 */
enum ncpi_bpf_op {
	LD_W, LD_H, LD_B,		/* a = frame[k] */
	LD_W_X, LD_H_X, LD_B_X,		/* a = frame[x + k] */
	LDX_MSH,			/* x = 4 * (frame[k] & 15): the length of an IP header */
	LD_IMM, LDX_IMM, LD_LEN, LDX_LEN, LD_MEM, LDX_MEM, ST, STX, TAX, TXA,
	ALU, ALU_X,			/* BPF_OP() is in alu */
	RET_K, RET_A, JA, LOOP,
	/* From here on tests. */
	JEQ, JEQ_ELSE, JGT, JGT_ELSE, JGE, JGE_ELSE, JSET, JSET_ELSE, /* with match */
	JEQ_X, JEQ_X_ELSE, JGT_X, JGT_X_ELSE, JGE_X, JGE_X_ELSE, JSET_X, JSET_X_ELSE,
	JEQ_ANY, JEQ_ANY_ELSE,		/* a is one of values[0, n) */
	LD_W_JEQ, LD_W_JEQ_ELSE, LD_H_JEQ, LD_H_JEQ_ELSE, LD_B_JEQ, LD_B_JEQ_ELSE,
	LD_W_X_JEQ, LD_W_X_JEQ_ELSE, LD_H_X_JEQ, LD_H_X_JEQ_ELSE, LD_B_X_JEQ, LD_B_X_JEQ_ELSE,
	LD_H_JSET, LD_H_JSET_ELSE, LD_B_JSET, LD_B_JSET_ELSE,
	MSH_LD_H_JEQ, MSH_LD_H_JEQ_ELSE, /* LDX_MSH of msh, then LD_H_X_JEQ */
	NCPI_BPF_OPS
};
#define NCPI_BPF_TEST JEQ

struct ncpi_bpf_step {
	uint8_t op;	/* enum ncpi_bpf_op */
	uint8_t alu;
	uint16_t n;	/* JEQ_ANY: values, a multiple of NCPI_BPF_ANY */
	uint32_t k;
	uint32_t end;	/* where the bytes that it loads end; UINT32_MAX: beyond every frame */
	uint32_t match; /* what is compared with */
	int32_t far;
	uint32_t msh;
	const uint32_t *values;
};
/* Values that are compared at once.  Fewer than this are not worth it. */
#define NCPI_BPF_ANY 4u

struct ncpi_bpf {
	struct ncpi_bpf_step *steps;
	uint32_t *values; /* of all JEQ_ANY */
	bool scratch;	  /* it has scratch words, or a LOOP */
};

#endif
