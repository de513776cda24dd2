/* SPDX-License-Identifier: BSD-2-Clause */
/* bpf.c - a small interpreter of classic BPF, for filters that clients set. */
#include "libncpbus/bpf.h"

#include <linux/filter.h>
#include <string.h>

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

static bool jump_ok(const struct ncp_bpf_insn *i, size_t left)
{
	switch (BPF_OP(i->code)) {
	case BPF_JA:
		return BPF_SRC(i->code) == BPF_K && i->k < left;
	case BPF_JEQ:
	case BPF_JGT:
	case BPF_JGE:
	case BPF_JSET:
		return i->jt < left && i->jf < left;
	default:
		return false;
	}
}

bool ncpi_bpf_check(const struct ncp_bpf_insn *program, size_t n)
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
			     BPF_CLASS(i->code) == BPF_JMP ? jump_ok(i, n - pc - 1) :
							      false;
			break;
		}
		if (!ok)
			return false;
	}
	return true;
}

/* Big-endian words of the frame; what does not lie in it makes the caller reject. */
static inline bool load(const uint8_t *data, uint32_t caplen, uint64_t off, unsigned size,
			uint32_t *v)
{
	if (off + size > caplen)
		return false;
	const uint8_t *p = data + off;
	switch (size) {
	case 1:
		*v = p[0];
		break;
	case 2:
		*v = (uint32_t)p[0] << 8 | p[1];
		break;
	default:
		*v = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
		break;
	}
	return true;
}

static inline bool alu(unsigned op, uint32_t *a, uint32_t b)
{
	switch (op) {
	case BPF_ADD:
		*a += b;
		break;
	case BPF_SUB:
		*a -= b;
		break;
	case BPF_MUL:
		*a *= b;
		break;
	case BPF_AND:
		*a &= b;
		break;
	case BPF_OR:
		*a |= b;
		break;
	case BPF_XOR:
		*a ^= b;
		break;
	case BPF_NEG:
		*a = -*a;
		break;
	case BPF_LSH:
		*a = b < 32 ? *a << b : 0;
		break;
	case BPF_RSH:
		*a = b < 32 ? *a >> b : 0;
		break;
	case BPF_DIV:
		if (!b)
			return false;
		*a /= b;
		break;
	default: /* BPF_MOD */
		if (!b)
			return false;
		*a %= b;
		break;
	}
	return true;
}

static inline bool taken(unsigned op, uint32_t a, uint32_t b)
{
	switch (op) {
	case BPF_JEQ:
		return a == b;
	case BPF_JGT:
		return a > b;
	case BPF_JGE:
		return a >= b;
	default: /* BPF_JSET */
		return a & b;
	}
}

uint32_t ncpi_bpf_run(const struct ncp_bpf_insn *i, const uint8_t *data, uint32_t caplen,
		      uint32_t len)
{
	uint32_t a = 0, x = 0, mem[BPF_MEMWORDS] = { 0 };

	for (;; i++) {
		switch (i->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			if (!load(data, caplen, i->k, 4, &a))
				return 0;
			break;
		case BPF_LD | BPF_H | BPF_ABS:
			if (!load(data, caplen, i->k, 2, &a))
				return 0;
			break;
		case BPF_LD | BPF_B | BPF_ABS:
			if (!load(data, caplen, i->k, 1, &a))
				return 0;
			break;
		case BPF_LD | BPF_W | BPF_IND:
			if (!load(data, caplen, (uint64_t)x + i->k, 4, &a))
				return 0;
			break;
		case BPF_LD | BPF_H | BPF_IND:
			if (!load(data, caplen, (uint64_t)x + i->k, 2, &a))
				return 0;
			break;
		case BPF_LD | BPF_B | BPF_IND:
			if (!load(data, caplen, (uint64_t)x + i->k, 1, &a))
				return 0;
			break;
		case BPF_LDX | BPF_B | BPF_MSH:
			if (!load(data, caplen, i->k, 1, &x))
				return 0;
			x = (x & 0xf) << 2;
			break;
		case BPF_LD | BPF_IMM:
			a = i->k;
			break;
		case BPF_LDX | BPF_IMM:
			x = i->k;
			break;
		case BPF_LD | BPF_W | BPF_LEN:
			a = len;
			break;
		case BPF_LDX | BPF_W | BPF_LEN:
			x = len;
			break;
		case BPF_LD | BPF_MEM:
			a = mem[i->k];
			break;
		case BPF_LDX | BPF_MEM:
			x = mem[i->k];
			break;
		case BPF_ST:
			mem[i->k] = a;
			break;
		case BPF_STX:
			mem[i->k] = x;
			break;
		case BPF_MISC | BPF_TAX:
			x = a;
			break;
		case BPF_MISC | BPF_TXA:
			a = x;
			break;
		case BPF_RET | BPF_K:
			return i->k;
		case BPF_RET | BPF_A:
			return a;
		case BPF_JMP | BPF_JA:
			i += i->k;
			break;
		default: {
			uint32_t b = BPF_SRC(i->code) == BPF_X ? x : i->k;

			if (BPF_CLASS(i->code) == BPF_JMP)
				i += taken(BPF_OP(i->code), a, b) ? i->jt : i->jf;
			else if (!alu(BPF_OP(i->code), &a, b))
				return 0;
			break;
		}
		}
	}
}
