/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf.c - check a classic BPF program, and bring it into the form it is run in. */
#include "libncpbus/bpf.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdlib.h>

#include "libncpbus/bpf_step.h"
#include "libncpbus/include/ncpbus.h"

_Static_assert(sizeof(struct ncp_bpf_insn) == sizeof(struct sock_filter), "insn layout");

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

static enum ncpi_bpf_op op_of(uint16_t code)
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

/* --- joining and laying out ------------------------------------------------------------------ */

/* A step on its way: where it leads is still said by indices of the program. */
struct node {
	struct ncpi_bpf_step s;
	uint32_t holds, fails; /* what comes next; the same if it is no test */
	uint32_t at;	       /* its place among the steps, UINT32_MAX: none yet */
	bool met;
};

static bool is_test(const struct node *n)
{
	return n->s.op >= NCPI_BPF_TEST;
}

static bool is_return(const struct node *n)
{
	return n->s.op == RET_K || n->s.op == RET_A;
}

/* Where a jump to i ends up: jumps forward are no steps. */
static uint32_t landing(const struct node *node, uint32_t i)
{
	while (node[i].s.op == JA)
		i = node[i].holds;
	return i;
}

static uint32_t end_of(uint32_t k, uint32_t size)
{
	return k < UINT32_MAX - size ? k + size : UINT32_MAX;
}

static struct node decode(const struct ncp_bpf_insn *i, uint32_t pc)
{
	struct node n = { .s = { .op = (uint8_t)op_of(i->code),
				 .alu = (uint8_t)BPF_OP(i->code),
				 .k = i->k,
				 .match = i->k },
			  .holds = pc + 1,
			  .fails = pc + 1,
			  .at = UINT32_MAX };

	if (n.s.op == LD_W || n.s.op == LD_H || n.s.op == LD_B || n.s.op == LDX_MSH)
		n.s.end = end_of(i->k, n.s.op == LD_W ? 4 : n.s.op == LD_H ? 2 : 1);
	if (n.s.op == JA) {
		n.holds = n.fails = pc + 1 + i->k;
		if ((int32_t)i->k < 0)
			n.s.op = LOOP;
	} else if (is_test(&n)) {
		n.holds = pc + 1 + i->jt;
		n.fails = pc + 1 + i->jf;
	}
	return n;
}

/* A load and the comparison behind it; the length of an IP header and what stands behind that. */
static void pair_join(struct node *n)
{
	static const struct {
		uint8_t first, second, both;
	} pairs[] = {
		{ LD_W, JEQ, LD_W_JEQ },     { LD_H, JEQ, LD_H_JEQ },
		{ LD_B, JEQ, LD_B_JEQ },     { LD_W_X, JEQ, LD_W_X_JEQ },
		{ LD_H_X, JEQ, LD_H_X_JEQ }, { LD_B_X, JEQ, LD_B_X_JEQ },
		{ LD_H, JSET, LD_H_JSET },   { LD_B, JSET, LD_B_JSET },
		{ LDX_MSH, LD_H_X_JEQ, MSH_LD_H_JEQ },
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		if (n[0].s.op != pairs[i].first || n[1].s.op != pairs[i].second)
			continue;
		n[0].s.op = pairs[i].both;
		n[0].s.match = n[1].s.match;
		n[0].holds = n[1].holds;
		n[0].fails = n[1].fails;
		if (n[0].s.op == MSH_LD_H_JEQ) {
			n[0].s.msh = n[0].s.k;
			n[0].s.k = n[1].s.k;
		}
		return;
	}
}

/* JEQ steps from number i on that lead to the same place when they hold, and to the next one when
 * not. */
static uint32_t run_length(const struct node *node, uint32_t i, uint32_t n)
{
	uint32_t end = i + 1;

	while (end < n && end - i < UINT16_MAX - NCPI_BPF_ANY && node[end - 1].fails == end &&
	       node[end].s.op == JEQ && node[end].holds == node[i].holds)
		end++;
	return end - i;
}

/* One step for a run of n, and for each rest of it, because jumps lead there, too.  Its values follow
 * those that *n_values counts. */
static void run_join(struct ncpi_bpf *b, struct node *node, uint32_t n, uint32_t *n_values)
{
	const uint32_t fails = node[n - 1].fails, last = node[n - 1].s.match;
	uint32_t *values = b->values + *n_values;

	for (uint32_t i = 0; i < n; i++)
		values[i] = node[i].s.match;
	/* Full groups, wherever one begins: the last value again. */
	for (uint32_t i = 0; i < NCPI_BPF_ANY; i++)
		values[n + i] = last;
	for (uint32_t i = 0; n - i >= NCPI_BPF_ANY; i++) {
		node[i].s.op = JEQ_ANY;
		node[i].s.n = (uint16_t)((n - i + NCPI_BPF_ANY - 1) / NCPI_BPF_ANY * NCPI_BPF_ANY);
		node[i].s.values = values + i;
		node[i].fails = fails;
	}
	*n_values += n + NCPI_BPF_ANY;
}

/* Mark the nodes that can be met.  Jumps backward need another round. */
static void meet(struct node *node, uint32_t n)
{
	bool again = true;

	node[landing(node, 0)].met = true;
	while (again) {
		again = false;
		for (uint32_t i = 0; i < n; i++) {
			struct node *at = &node[i];

			if (!at->met || is_return(at))
				continue;
			at->holds = landing(node, at->holds);
			at->fails = landing(node, at->fails);
			again |= at->holds <= i && !node[at->holds].met;
			node[at->holds].met = node[at->fails].met = true;
		}
	}
}

/*
 * Put the nodes that can be met into a row, two steps for one at most.
 *
 * What comes next follows, or is behind a JA, or, if it ends the program, is put there once more.
 * Returns how many steps; of each, far is still the number of the node it leads to.
 */
static uint32_t lay_out(struct node *node, uint32_t n, struct ncpi_bpf_step *out)
{
	const uint32_t start = landing(node, 0);
	uint32_t n_out = 0, i = 0, next;

	while (!node[i].met)
		i++;
	/* A jump backward leads to what the jump at the beginning, which is no step, passed over. */
	if (i != start)
		out[n_out++] = (struct ncpi_bpf_step){ .op = JA, .far = (int32_t)start };
	for (; i < n; i = next) {
		struct node *at = &node[i];

		for (next = i + 1; next < n && !node[next].met;)
			next++;
		at->at = n_out;
		out[n_out] = at->s;
		if (is_return(at)) {
			n_out++;
			continue;
		}
		uint32_t follows = at->fails, far = at->holds;
		if (is_test(at) && at->holds == next) {
			out[n_out].op++;
			follows = at->holds;
			far = at->fails;
		}
		out[n_out++].far = (int32_t)far;
		if (at->s.op == LOOP || follows == next)
			continue;
		if (is_return(&node[follows]))
			out[n_out++] = node[follows].s;
		else
			out[n_out++] = (struct ncpi_bpf_step){ .op = JA, .far = (int32_t)follows };
	}
	return n_out;
}

int ncpi_bpf_make(struct ncpi_bpf **out, const struct ncp_bpf_insn *program, size_t n_insns)
{
	const uint32_t n = (uint32_t)n_insns;

	if (!check(program, n_insns))
		return NCP_EFILTER;
	struct ncpi_bpf *b = calloc(1, sizeof(*b));
	struct node *node = calloc(n, sizeof(*node));
	if (!b || !node)
		goto fail;
	b->steps = calloc(2 * (size_t)n, sizeof(*b->steps));
	/* A run has a group of values more than steps, and is as long as a group at least. */
	b->values = calloc(2 * (size_t)n, sizeof(*b->values));
	if (!b->steps || !b->values)
		goto fail;
	for (uint32_t i = 0; i < n; i++) {
		node[i] = decode(&program[i], i);
		b->scratch |= node[i].s.op == LD_MEM || node[i].s.op == LDX_MEM ||
			      node[i].s.op == ST || node[i].s.op == STX || node[i].s.op == LOOP;
	}
	uint32_t n_values = 0, run;
	for (uint32_t i = 0; i < n; i += run) {
		run = node[i].s.op == JEQ ? run_length(node, i, n) : 1;
		if (run >= NCPI_BPF_ANY)
			run_join(b, &node[i], run, &n_values);
	}
	for (uint32_t i = n - 1; i--;)
		pair_join(&node[i]);
	meet(node, n);
	uint32_t n_steps = lay_out(node, n, b->steps);
	for (uint32_t i = 0; i < n_steps; i++) {
		struct ncpi_bpf_step *s = &b->steps[i];

		if (s->op == JA || s->op == LOOP || s->op >= NCPI_BPF_TEST)
			s->far = ((int32_t)node[s->far].at - (int32_t)i) * (int32_t)sizeof(*s);
	}
	free(node);
	*out = b;
	return 0;
fail:
	free(node);
	ncpi_bpf_free(b);
	return -ENOMEM;
}

void ncpi_bpf_free(struct ncpi_bpf *b)
{
	if (!b)
		return;
	free(b->steps);
	free(b->values);
	free(b);
}
