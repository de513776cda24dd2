/* SPDX-License-Identifier: BSD-2-Clause */
/* filter.c - programs of pcap_compile(), also those made for a live interface of Linux. */
#include "filter.h"

#include <linux/if_packet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* From linux/filter.h, which does not go together with libpcap's own names for the same. */
#define AD_OFF (-0x1000)
#define AD_PKTTYPE 4
#define AD_VLAN_TAG 44
#define AD_VLAN_TAG_PRESENT 48

static int copy(struct bpf_program *to, const struct bpf_program *from)
{
	to->bf_len = from->bf_len;
	to->bf_insns = calloc(from->bf_len, sizeof(*from->bf_insns));
	if (!to->bf_insns)
		return -1;
	memcpy(to->bf_insns, from->bf_insns, from->bf_len * sizeof(*from->bf_insns));
	return 0;
}

static void load_constant(struct bpf_insn *i, bpf_u_int32 k)
{
	*i = (struct bpf_insn){ .code = BPF_LD | BPF_IMM, .k = k };
}

int filter_make(struct filter *f, const struct bpf_program *program)
{
	*f = (struct filter){ 0 };
	if (copy(&f->in, program) < 0 || copy(&f->out, program) < 0) {
		filter_free(f);
		return -1;
	}
	for (bpf_u_int32 pc = 0; pc < program->bf_len; pc++) {
		const struct bpf_insn *i = &program->bf_insns[pc];

		if (BPF_CLASS(i->code) != BPF_LD || BPF_MODE(i->code) != BPF_ABS)
			continue;
		switch ((int32_t)i->k - AD_OFF) {
		case AD_PKTTYPE:
			load_constant(&f->in.bf_insns[pc], PACKET_HOST);
			load_constant(&f->out.bf_insns[pc], PACKET_OUTGOING);
			f->split = true;
			break;
		case AD_VLAN_TAG:
		case AD_VLAN_TAG_PRESENT:
			load_constant(&f->in.bf_insns[pc], 0);
			load_constant(&f->out.bf_insns[pc], 0);
			break;
		}
	}
	return 0;
}

void filter_free(struct filter *f)
{
	free(f->in.bf_insns);
	free(f->out.bf_insns);
	*f = (struct filter){ 0 };
}
