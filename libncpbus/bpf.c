/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf.c - a small interpreter of classic BPF, for filters that clients set. */
#include "libncpbus/bpf.h"

#include <endian.h>
#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>
#include <string.h>

#include "libncpbus/include/ncpbus.h"

_Static_assert(sizeof(struct ncp_bpf_insn) == sizeof(struct sock_filter), "insn layout");

/* What an instruction becomes: one dense number for each, so that one jump through a table finds it. */
enum op {
	LD_W, LD_H, LD_B,		/* a = frame[k] */
	LD_W_X, LD_H_X, LD_B_X,		/* a = frame[x + k] */
	LDX_MSH,			/* x = 4 * (frame[k] & 15): the length of an IP header */
	LD_IMM, LDX_IMM, LD_LEN, LDX_LEN, LD_MEM, LDX_MEM, ST, STX, TAX, TXA,
	RET_K, RET_A,
	JA, JEQ, JGT, JGE, JSET,	/* with k */
	JEQ_X, JGT_X, JGE_X, JSET_X,	/* with x */
	ALU, ALU_X,			/* BPF_OP() is in alu */
	/* Two instructions in one.  The second one stays where it is, too, for jumps to it. */
	LD_W_JEQ, LD_H_JEQ, LD_B_JEQ, LD_W_X_JEQ, LD_H_X_JEQ, LD_B_X_JEQ, LD_H_JSET, LD_B_JSET,
	/* A run of JEQ that all go to the same place: a is one of values[match, match + n). */
	JEQ_ANY,
};

struct step {
	uint8_t op, alu;
	uint16_t n;	/* JEQ_ANY: values, a multiple of ANY_GROUP */
	uint32_t k;
	uint32_t match; /* what is compared with, in a pair; JEQ_ANY: index of the first value */
	uint32_t jt, jf; /* steps to pass over, from the next one; in bytes, once all is done */
};
/* Values that are compared at once.  Fewer than this are not worth it. */
#define ANY_GROUP 4u

/* Jumps backward on one frame: "protochain" makes one for each header, of 8 bytes at least. */
#define LOOPS_MAX (262144 / 8)

struct ncpi_bpf {
	struct step *steps;
	uint32_t *values; /* of all JEQ_ANY */
};

static bool alu_ok(const struct ncp_bpf_insn *i)
{
	bool by_k = BPF_SRC(i->code) == BPF_K;

	switch (BPF_OP(i->code)) {
	case BPF_ADD:
	case BPF_SUB:
	case BPF_MUL:
	case BPF_AND:
	case BPF_OR:
	case BPF_XOR:
		return true;
	case BPF_NEG:
		return by_k;
	case BPF_DIV:
	case BPF_MOD:
		return !by_k || i->k != 0;
	case BPF_LSH:
	case BPF_RSH:
		return !by_k || i->k < 32;
	default:
		return false;
	}
}

/* left: instructions behind this one, which is number pc. */
static bool jump_ok(const struct ncp_bpf_insn *i, size_t pc, size_t left)
{
	switch (BPF_OP(i->code)) {
	case BPF_JA: /* backward, too: "protochain" is a loop */
		return BPF_SRC(i->code) == BPF_K &&
		       ((int32_t)i->k < 0 ? -(int64_t)(int32_t)i->k <= (int64_t)pc + 1 : i->k < left);
	case BPF_JEQ:
	case BPF_JGT:
	case BPF_JGE:
	case BPF_JSET:
		return i->jt < left && i->jf < left;
	default:
		return false;
	}
}

static bool check(const struct ncp_bpf_insn *program, size_t n)
{
	if (n == 0 || n > NCPI_BPF_MAX || BPF_CLASS(program[n - 1].code) != BPF_RET)
		return false;
	for (size_t pc = 0; pc < n; pc++) {
		const struct ncp_bpf_insn *i = &program[pc];
		bool ok;

		if (i->code > 0xff)
			return false;
		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
		case BPF_LD | BPF_H | BPF_ABS:
		case BPF_LD | BPF_B | BPF_ABS:
			/* The kernel's extensions live at negative offsets: not in a frame. */
			ok = (int32_t)i->k >= 0;
			break;
		case BPF_LD | BPF_W | BPF_IND:
		case BPF_LD | BPF_H | BPF_IND:
		case BPF_LD | BPF_B | BPF_IND:
		case BPF_LD | BPF_IMM:
		case BPF_LD | BPF_W | BPF_LEN:
		case BPF_LDX | BPF_IMM:
		case BPF_LDX | BPF_W | BPF_LEN:
		case BPF_LDX | BPF_B | BPF_MSH:
		case BPF_RET | BPF_K:
		case BPF_RET | BPF_A:
		case BPF_MISC | BPF_TAX:
		case BPF_MISC | BPF_TXA:
			ok = true;
			break;
		case BPF_LD | BPF_MEM:
		case BPF_LDX | BPF_MEM:
		case BPF_ST:
		case BPF_STX:
			ok = i->k < BPF_MEMWORDS;
			break;
		default:
			ok = BPF_CLASS(i->code) == BPF_ALU   ? alu_ok(i) :
			     BPF_CLASS(i->code) == BPF_JMP ? jump_ok(i, pc, n - pc - 1) :
							      false;
			break;
		}
		if (!ok)
			return false;
	}
	return true;
}

/* --- decoding -------------------------------------------------------------------------------- */

static enum op op_of(uint16_t code)
{
	switch (code) {
	case BPF_LD | BPF_W | BPF_ABS:
		return LD_W;
	case BPF_LD | BPF_H | BPF_ABS:
		return LD_H;
	case BPF_LD | BPF_B | BPF_ABS:
		return LD_B;
	case BPF_LD | BPF_W | BPF_IND:
		return LD_W_X;
	case BPF_LD | BPF_H | BPF_IND:
		return LD_H_X;
	case BPF_LD | BPF_B | BPF_IND:
		return LD_B_X;
	case BPF_LDX | BPF_B | BPF_MSH:
		return LDX_MSH;
	case BPF_LD | BPF_IMM:
		return LD_IMM;
	case BPF_LDX | BPF_IMM:
		return LDX_IMM;
	case BPF_LD | BPF_W | BPF_LEN:
		return LD_LEN;
	case BPF_LDX | BPF_W | BPF_LEN:
		return LDX_LEN;
	case BPF_LD | BPF_MEM:
		return LD_MEM;
	case BPF_LDX | BPF_MEM:
		return LDX_MEM;
	case BPF_ST:
		return ST;
	case BPF_STX:
		return STX;
	case BPF_MISC | BPF_TAX:
		return TAX;
	case BPF_MISC | BPF_TXA:
		return TXA;
	case BPF_RET | BPF_K:
		return RET_K;
	case BPF_RET | BPF_A:
		return RET_A;
	case BPF_JMP | BPF_JA:
		return JA;
	case BPF_JMP | BPF_JEQ | BPF_K:
		return JEQ;
	case BPF_JMP | BPF_JGT | BPF_K:
		return JGT;
	case BPF_JMP | BPF_JGE | BPF_K:
		return JGE;
	case BPF_JMP | BPF_JSET | BPF_K:
		return JSET;
	case BPF_JMP | BPF_JEQ | BPF_X:
		return JEQ_X;
	case BPF_JMP | BPF_JGT | BPF_X:
		return JGT_X;
	case BPF_JMP | BPF_JGE | BPF_X:
		return JGE_X;
	case BPF_JMP | BPF_JSET | BPF_X:
		return JSET_X;
	default:
		return BPF_SRC(code) == BPF_X ? ALU_X : ALU;
	}
}

/* A load and the comparison behind it. */
static void pair_join(struct step *s)
{
	static const struct {
		uint8_t first, second, both;
	} pairs[] = {
		{ LD_W, JEQ, LD_W_JEQ },     { LD_H, JEQ, LD_H_JEQ },	  { LD_B, JEQ, LD_B_JEQ },
		{ LD_W_X, JEQ, LD_W_X_JEQ }, { LD_H_X, JEQ, LD_H_X_JEQ }, { LD_B_X, JEQ, LD_B_X_JEQ },
		{ LD_H, JSET, LD_H_JSET },   { LD_B, JSET, LD_B_JSET },
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		if (s[0].op != pairs[i].first || s[1].op != pairs[i].second)
			continue;
		s[0].op = pairs[i].both;
		s[0].match = s[1].k;
		s[0].jt = s[1].jt + 1;
		s[0].jf = s[1].jf + 1;
		return;
	}
}

/* JEQ steps from s on that lead to the same place when they hold, and to the next one when not. */
static uint32_t run_length(const struct step *s, uint32_t left)
{
	uint32_t n = 1;

	while (n < left && n < UINT16_MAX - ANY_GROUP && s[n - 1].jf == 0 && s[n].op == JEQ &&
	       s[n].jt + n == s[0].jt)
		n++;
	return n;
}

/* One step for a run of n, and for each rest of it, because jumps lead there, too.  Its values follow
 * those that *n_values counts. */
static void run_join(struct ncpi_bpf *b, struct step *s, uint32_t n, uint32_t *n_values)
{
	const uint32_t jf = s[n - 1].jf, last = s[n - 1].k;
	uint32_t *values = b->values + *n_values;

	for (uint32_t i = 0; i < n; i++)
		values[i] = s[i].k;
	/* Full groups, wherever one begins: the last value again. */
	for (uint32_t i = 0; i < ANY_GROUP; i++)
		values[n + i] = last;
	for (uint32_t i = 0; n - i >= ANY_GROUP; i++) {
		s[i].op = JEQ_ANY;
		s[i].n = (uint16_t)((n - i + ANY_GROUP - 1) / ANY_GROUP * ANY_GROUP);
		s[i].match = *n_values + i;
		s[i].jf = jf + n - i - 1;
	}
	*n_values += n + ANY_GROUP;
}

int ncpi_bpf_make(struct ncpi_bpf **out, const struct ncp_bpf_insn *program, size_t n)
{
	if (!check(program, n))
		return NCP_EFILTER;
	struct ncpi_bpf *b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->steps = calloc(n, sizeof(*b->steps));
	/* A run has a group of values more than steps, and is as long as a group at least. */
	b->values = calloc(2 * n, sizeof(*b->values));
	if (!b->steps || !b->values) {
		ncpi_bpf_free(b);
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++)
		b->steps[i] = (struct step){ .op = (uint8_t)op_of(program[i].code),
					     .alu = (uint8_t)BPF_OP(program[i].code),
					     .k = program[i].k,
					     .jt = program[i].jt,
					     .jf = program[i].jf };
	uint32_t n_values = 0, run;
	for (size_t i = 0; i < n; i += run) {
		run = b->steps[i].op == JEQ ? run_length(&b->steps[i], (uint32_t)(n - i)) : 1;
		if (run >= ANY_GROUP)
			run_join(b, &b->steps[i], run, &n_values);
	}
	for (size_t i = 0; i + 1 < n; i++)
		pair_join(&b->steps[i]);
	for (size_t i = 0; i < n; i++) {
		b->steps[i].jt *= (uint32_t)sizeof(*b->steps);
		b->steps[i].jf *= (uint32_t)sizeof(*b->steps);
	}
	*out = b;
	return 0;
}

void ncpi_bpf_free(struct ncpi_bpf *b)
{
	if (!b)
		return;
	free(b->steps);
	free(b->values);
	free(b);
}

/* --- running --------------------------------------------------------------------------------- */

/* A big-endian word of the frame; beyond UINT32_MAX: it does not lie in it, and the frame is rejected.
 * By value, as all here: what has an address lives in memory, and every step would wait for it. */
#define OUTSIDE UINT64_MAX
static inline uint64_t load(const uint8_t *data, uint32_t caplen, uint64_t off, unsigned size)
{
	uint32_t word;
	uint16_t half;

	if (off + size > caplen)
		return OUTSIDE;
	switch (size) {
	case 1:
		return data[off];
	case 2:
		memcpy(&half, data + off, 2);
		return be16toh(half);
	default:
		memcpy(&word, data + off, 4);
		return be32toh(word);
	}
}

/* OUTSIDE: a division by zero. */
static uint64_t alu(unsigned op, uint32_t a, uint32_t b)
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
		return b ? a / b : OUTSIDE;
	default: /* BPF_MOD */
		return b ? a % b : OUTSIDE;
	}
}

/* A branch, not a choice between two values: what follows is then begun on a guess, and most guesses
 * are right; a choice would wait for the frame's bytes at every step. */
static inline const struct step *jump(const struct step *s, bool holds)
{
	if (__builtin_expect_with_probability(holds, 0, 0.99))
		return (const struct step *)(const void *)((const char *)s + s->jt);
	return (const struct step *)(const void *)((const char *)s + s->jf);
}

static inline bool any(const uint32_t *values, uint32_t n, uint32_t a)
{
	uint32_t hit = 0;

	/* To the end even when one was found: nobody can foresee which. */
	for (uint32_t i = 0; i < n; i += ANY_GROUP)
		hit |= (values[i] == a) | (values[i + 1] == a) | (values[i + 2] == a) |
		       (values[i + 3] == a);
	return hit;
}

uint32_t ncpi_bpf_run(const struct ncpi_bpf *b, const uint8_t *data, uint32_t caplen, uint32_t len)
{
	uint32_t a = 0, x = 0, mem[BPF_MEMWORDS] = { 0 }, loops = LOOPS_MAX;
	uint64_t v;

	for (const struct step *s = b->steps;; s++) {
		switch ((enum op)s->op) {
		case LD_W:
			v = load(data, caplen, s->k, 4);
			if (v == OUTSIDE)
				return 0;
			a = (uint32_t)v;
			break;
		case LD_H:
			v = load(data, caplen, s->k, 2);
			if (v == OUTSIDE)
				return 0;
			a = (uint32_t)v;
			break;
		case LD_B:
			v = load(data, caplen, s->k, 1);
			if (v == OUTSIDE)
				return 0;
			a = (uint32_t)v;
			break;
		case LD_W_X:
			v = load(data, caplen, (uint64_t)x + s->k, 4);
			if (v == OUTSIDE)
				return 0;
			a = (uint32_t)v;
			break;
		case LD_H_X:
			v = load(data, caplen, (uint64_t)x + s->k, 2);
			if (v == OUTSIDE)
				return 0;
			a = (uint32_t)v;
			break;
		case LD_B_X:
			v = load(data, caplen, (uint64_t)x + s->k, 1);
			if (v == OUTSIDE)
				return 0;
			a = (uint32_t)v;
			break;
		case LD_W_JEQ:
			v = load(data, caplen, s->k, 4);
			if (v == OUTSIDE)
				return 0;
			a = (uint32_t)v;
			s = jump(s, a == s->match);
			break;
		case LD_H_JEQ:
			v = load(data, caplen, s->k, 2);
			if (v == OUTSIDE)
				return 0;
			a = (uint32_t)v;
			s = jump(s, a == s->match);
			break;
		case LD_B_JEQ:
			v = load(data, caplen, s->k, 1);
			if (v == OUTSIDE)
				return 0;
			a = (uint32_t)v;
			s = jump(s, a == s->match);
			break;
		case LD_W_X_JEQ:
			v = load(data, caplen, (uint64_t)x + s->k, 4);
			if (v == OUTSIDE)
				return 0;
			a = (uint32_t)v;
			s = jump(s, a == s->match);
			break;
		case LD_H_X_JEQ:
			v = load(data, caplen, (uint64_t)x + s->k, 2);
			if (v == OUTSIDE)
				return 0;
			a = (uint32_t)v;
			s = jump(s, a == s->match);
			break;
		case LD_B_X_JEQ:
			v = load(data, caplen, (uint64_t)x + s->k, 1);
			if (v == OUTSIDE)
				return 0;
			a = (uint32_t)v;
			s = jump(s, a == s->match);
			break;
		case LD_H_JSET:
			v = load(data, caplen, s->k, 2);
			if (v == OUTSIDE)
				return 0;
			a = (uint32_t)v;
			s = jump(s, a & s->match);
			break;
		case LD_B_JSET:
			v = load(data, caplen, s->k, 1);
			if (v == OUTSIDE)
				return 0;
			a = (uint32_t)v;
			s = jump(s, a & s->match);
			break;
		case JEQ_ANY:
			s = jump(s, any(b->values + s->match, s->n, a));
			break;
		case LDX_MSH:
			v = load(data, caplen, s->k, 1);
			if (v == OUTSIDE)
				return 0;
			x = (uint32_t)(v & 0xf) << 2;
			break;
		case LD_IMM:
			a = s->k;
			break;
		case LDX_IMM:
			x = s->k;
			break;
		case LD_LEN:
			a = len;
			break;
		case LDX_LEN:
			x = len;
			break;
		case LD_MEM:
			a = mem[s->k];
			break;
		case LDX_MEM:
			x = mem[s->k];
			break;
		case ST:
			mem[s->k] = a;
			break;
		case STX:
			mem[s->k] = x;
			break;
		case TAX:
			x = a;
			break;
		case TXA:
			a = x;
			break;
		case RET_K:
			return s->k;
		case RET_A:
			return a;
		case JA:
			if ((int32_t)s->k < 0 && !loops--)
				return 0;
			s += (int32_t)s->k;
			break;
		case JEQ:
			s = jump(s, a == s->k);
			break;
		case JGT:
			s = jump(s, a > s->k);
			break;
		case JGE:
			s = jump(s, a >= s->k);
			break;
		case JSET:
			s = jump(s, a & s->k);
			break;
		case JEQ_X:
			s = jump(s, a == x);
			break;
		case JGT_X:
			s = jump(s, a > x);
			break;
		case JGE_X:
			s = jump(s, a >= x);
			break;
		case JSET_X:
			s = jump(s, a & x);
			break;
		case ALU:
			v = alu(s->alu, a, s->k);
			if (v == OUTSIDE)
				return 0;
			a = (uint32_t)v;
			break;
		case ALU_X:
			v = alu(s->alu, a, x);
			if (v == OUTSIDE)
				return 0;
			a = (uint32_t)v;
			break;
		}
	}
}
