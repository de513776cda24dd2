/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf_run.c - a small interpreter of classic BPF. */
#if defined(__GNUC__) && !defined(__clang__)
/* A step's end is the same code as another's, and must be that step's own all the same: see run(). */
#pragma GCC optimize("no-gcse", "no-crossjumping")
#endif
#include <endian.h>
#include <linux/filter.h>
#include <string.h>

#include "libncpbus/bpf.h"
#include "libncpbus/bpf_step.h"

/* Jumps backward on one frame: "protochain" makes one for each header, of 8 bytes at least. */
#define LOOPS_MAX (262144 / 8)

/* Values that are compared at once. */
typedef uint32_t group __attribute__((vector_size(4 * NCPI_BPF_ANY)));

static inline uint32_t word(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return be32toh(v);
}

static inline uint32_t half(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, 2);
	return be16toh(v);
}

/* The result; beyond UINT32_MAX: a division by zero. */
static inline uint64_t alu(unsigned op, uint32_t a, uint32_t b)
{
	switch (op) {
	case BPF_ADD:
		return a + b;
	case BPF_SUB:
		return a - b;
	case BPF_MUL:
		return a * b;
	case BPF_AND:
		return a & b;
	case BPF_OR:
		return a | b;
	case BPF_XOR:
		return a ^ b;
	case BPF_NEG:
		return -a;
	case BPF_LSH:
		return b < 32 ? a << b : 0;
	case BPF_RSH:
		return b < 32 ? a >> b : 0;
	case BPF_DIV:
		return b ? a / b : UINT64_MAX;
	default: /* BPF_MOD */
		return b ? a % b : UINT64_MAX;
	}
}

static inline bool any(const uint32_t *values, uint32_t n, uint32_t a)
{
	const group wanted = { a, a, a, a };
	group hit = {}, some;

	/* To the end even when one was found: nobody can foresee which. */
	for (const uint32_t *end = values + n; values < end; values += NCPI_BPF_ANY) {
		memcpy(&some, values, sizeof(some));
		hit |= (group)(some == wanted);
	}
	return hit[0] | hit[1] | hit[2] | hit[3];
}

/*
 * The steps, from s on.  mem: zeros, BPF_MEMWORDS of scratch words and one that counts loops; NULL when
 * none is used.
 *
 * Each step goes to the next one by a jump of its own, which the processor foresees by what came
 * before; behind one jump for all it could not.  A test branches rather than chooses: what follows is
 * then begun on a guess, and most guesses are right; a choice would wait for the frame's bytes.
 */
static __attribute__((noinline)) uint32_t run(const struct ncpi_bpf_step *s, const uint8_t *data,
					      uint32_t caplen, uint32_t len, uint32_t *mem)
{
	static const void *const label[NCPI_BPF_OPS] = {
		[LD_W] = &&ld_w, [LD_H] = &&ld_h, [LD_B] = &&ld_b,
		[LD_W_X] = &&ld_w_x, [LD_H_X] = &&ld_h_x, [LD_B_X] = &&ld_b_x,
		[LDX_MSH] = &&ldx_msh,
		[LD_IMM] = &&ld_imm, [LDX_IMM] = &&ldx_imm,
		[LD_LEN] = &&ld_len, [LDX_LEN] = &&ldx_len,
		[LD_MEM] = &&ld_mem, [LDX_MEM] = &&ldx_mem, [ST] = &&st, [STX] = &&stx,
		[TAX] = &&tax, [TXA] = &&txa,
		[ALU] = &&alu_k, [ALU_X] = &&alu_x,
		[RET_K] = &&ret_k, [RET_A] = &&ret_a, [JA] = &&far, [LOOP] = &&loop,
		[JEQ] = &&jeq, [JEQ_ELSE] = &&jeq_else,
		[JGT] = &&jgt, [JGT_ELSE] = &&jgt_else,
		[JGE] = &&jge, [JGE_ELSE] = &&jge_else,
		[JSET] = &&jset, [JSET_ELSE] = &&jset_else,
		[JEQ_X] = &&jeq_x, [JEQ_X_ELSE] = &&jeq_x_else,
		[JGT_X] = &&jgt_x, [JGT_X_ELSE] = &&jgt_x_else,
		[JGE_X] = &&jge_x, [JGE_X_ELSE] = &&jge_x_else,
		[JSET_X] = &&jset_x, [JSET_X_ELSE] = &&jset_x_else,
		[JEQ_ANY] = &&jeq_any, [JEQ_ANY_ELSE] = &&jeq_any_else,
		[LD_W_JEQ] = &&ld_w_jeq, [LD_W_JEQ_ELSE] = &&ld_w_jeq_else,
		[LD_H_JEQ] = &&ld_h_jeq, [LD_H_JEQ_ELSE] = &&ld_h_jeq_else,
		[LD_B_JEQ] = &&ld_b_jeq, [LD_B_JEQ_ELSE] = &&ld_b_jeq_else,
		[LD_W_X_JEQ] = &&ld_w_x_jeq, [LD_W_X_JEQ_ELSE] = &&ld_w_x_jeq_else,
		[LD_H_X_JEQ] = &&ld_h_x_jeq, [LD_H_X_JEQ_ELSE] = &&ld_h_x_jeq_else,
		[LD_B_X_JEQ] = &&ld_b_x_jeq, [LD_B_X_JEQ_ELSE] = &&ld_b_x_jeq_else,
		[LD_H_JSET] = &&ld_h_jset, [LD_H_JSET_ELSE] = &&ld_h_jset_else,
		[LD_B_JSET] = &&ld_b_jset, [LD_B_JSET_ELSE] = &&ld_b_jset_else,
		[MSH_LD_H_JEQ] = &&msh_ld_h_jeq, [MSH_LD_H_JEQ_ELSE] = &&msh_ld_h_jeq_else,
	};
	uint32_t a = 0, x = 0;
	uint64_t v;

	goto *label[s->op];
next:
	s++;
	goto *label[s->op];
far:
	s = (const struct ncpi_bpf_step *)(const void *)((const char *)s + s->far);
	goto *label[s->op];

ld_w:
	if (s->end > caplen)
		return 0;
	a = word(data + s->k);
	goto next;
ld_h:
	if (s->end > caplen)
		return 0;
	a = half(data + s->k);
	goto next;
ld_b:
	if (s->end > caplen)
		return 0;
	a = data[s->k];
	goto next;
ld_w_x:
	v = (uint64_t)x + s->k;
	if (v + 4 > caplen)
		return 0;
	a = word(data + v);
	goto next;
ld_h_x:
	v = (uint64_t)x + s->k;
	if (v + 2 > caplen)
		return 0;
	a = half(data + v);
	goto next;
ld_b_x:
	v = (uint64_t)x + s->k;
	if (v + 1 > caplen)
		return 0;
	a = data[v];
	goto next;
ldx_msh:
	if (s->end > caplen)
		return 0;
	x = (data[s->k] & 15u) << 2;
	goto next;
ld_imm:
	a = s->k;
	goto next;
ldx_imm:
	x = s->k;
	goto next;
ld_len:
	a = len;
	goto next;
ldx_len:
	x = len;
	goto next;
ld_mem:
	a = mem[s->k];
	goto next;
ldx_mem:
	x = mem[s->k];
	goto next;
st:
	mem[s->k] = a;
	goto next;
stx:
	mem[s->k] = x;
	goto next;
tax:
	x = a;
	goto next;
txa:
	a = x;
	goto next;
alu_k:
	v = alu(s->alu, a, s->k);
	if (v > UINT32_MAX)
		return 0;
	a = (uint32_t)v;
	goto next;
alu_x:
	v = alu(s->alu, a, x);
	if (v > UINT32_MAX)
		return 0;
	a = (uint32_t)v;
	goto next;
ret_k:
	return s->k;
ret_a:
	return a;
loop:
	if (mem[BPF_MEMWORDS]++ == LOOPS_MAX)
		return 0;
	goto far;
jeq:
	if (a == s->match)
		goto far;
	goto next;
jeq_else:
	if (a != s->match)
		goto far;
	goto next;
jgt:
	if (a > s->match)
		goto far;
	goto next;
jgt_else:
	if (a <= s->match)
		goto far;
	goto next;
jge:
	if (a >= s->match)
		goto far;
	goto next;
jge_else:
	if (a < s->match)
		goto far;
	goto next;
jset:
	if (a & s->match)
		goto far;
	goto next;
jset_else:
	if (!(a & s->match))
		goto far;
	goto next;
jeq_x:
	if (a == x)
		goto far;
	goto next;
jeq_x_else:
	if (a != x)
		goto far;
	goto next;
jgt_x:
	if (a > x)
		goto far;
	goto next;
jgt_x_else:
	if (a <= x)
		goto far;
	goto next;
jge_x:
	if (a >= x)
		goto far;
	goto next;
jge_x_else:
	if (a < x)
		goto far;
	goto next;
jset_x:
	if (a & x)
		goto far;
	goto next;
jset_x_else:
	if (!(a & x))
		goto far;
	goto next;
jeq_any:
	if (any(s->values, s->n, a))
		goto far;
	goto next;
jeq_any_else:
	if (!any(s->values, s->n, a))
		goto far;
	goto next;
ld_w_jeq:
	if (s->end > caplen)
		return 0;
	a = word(data + s->k);
	if (a == s->match)
		goto far;
	goto next;
ld_w_jeq_else:
	if (s->end > caplen)
		return 0;
	a = word(data + s->k);
	if (a != s->match)
		goto far;
	goto next;
ld_h_jeq:
	if (s->end > caplen)
		return 0;
	a = half(data + s->k);
	if (a == s->match)
		goto far;
	goto next;
ld_h_jeq_else:
	if (s->end > caplen)
		return 0;
	a = half(data + s->k);
	if (a != s->match)
		goto far;
	goto next;
ld_b_jeq:
	if (s->end > caplen)
		return 0;
	a = data[s->k];
	if (a == s->match)
		goto far;
	goto next;
ld_b_jeq_else:
	if (s->end > caplen)
		return 0;
	a = data[s->k];
	if (a != s->match)
		goto far;
	goto next;
ld_w_x_jeq:
	v = (uint64_t)x + s->k;
	if (v + 4 > caplen)
		return 0;
	a = word(data + v);
	if (a == s->match)
		goto far;
	goto next;
ld_w_x_jeq_else:
	v = (uint64_t)x + s->k;
	if (v + 4 > caplen)
		return 0;
	a = word(data + v);
	if (a != s->match)
		goto far;
	goto next;
ld_h_x_jeq:
	v = (uint64_t)x + s->k;
	if (v + 2 > caplen)
		return 0;
	a = half(data + v);
	if (a == s->match)
		goto far;
	goto next;
ld_h_x_jeq_else:
	v = (uint64_t)x + s->k;
	if (v + 2 > caplen)
		return 0;
	a = half(data + v);
	if (a != s->match)
		goto far;
	goto next;
ld_b_x_jeq:
	v = (uint64_t)x + s->k;
	if (v + 1 > caplen)
		return 0;
	a = data[v];
	if (a == s->match)
		goto far;
	goto next;
ld_b_x_jeq_else:
	v = (uint64_t)x + s->k;
	if (v + 1 > caplen)
		return 0;
	a = data[v];
	if (a != s->match)
		goto far;
	goto next;
ld_h_jset:
	if (s->end > caplen)
		return 0;
	a = half(data + s->k);
	if (a & s->match)
		goto far;
	goto next;
ld_h_jset_else:
	if (s->end > caplen)
		return 0;
	a = half(data + s->k);
	if (!(a & s->match))
		goto far;
	goto next;
ld_b_jset:
	if (s->end > caplen)
		return 0;
	a = data[s->k];
	if (a & s->match)
		goto far;
	goto next;
ld_b_jset_else:
	if (s->end > caplen)
		return 0;
	a = data[s->k];
	if (!(a & s->match))
		goto far;
	goto next;
msh_ld_h_jeq:
	if (s->end > caplen)
		return 0;
	x = (data[s->msh] & 15u) << 2;
	v = (uint64_t)x + s->k;
	if (v + 2 > caplen)
		return 0;
	a = half(data + v);
	if (a == s->match)
		goto far;
	goto next;
msh_ld_h_jeq_else:
	if (s->end > caplen)
		return 0;
	x = (data[s->msh] & 15u) << 2;
	v = (uint64_t)x + s->k;
	if (v + 2 > caplen)
		return 0;
	a = half(data + v);
	if (a != s->match)
		goto far;
	goto next;
}

uint32_t ncpi_bpf_run(const struct ncpi_bpf *b, const uint8_t *data, uint32_t caplen, uint32_t len)
{
	if (!b->scratch)
		return run(b->steps, data, caplen, len, NULL);
	uint32_t mem[BPF_MEMWORDS + 1] = { 0 };
	return run(b->steps, data, caplen, len, mem);
}
