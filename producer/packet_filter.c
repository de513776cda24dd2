/* SPDX-License-Identifier: BSD-2-Clause */
/* packet_filter.c - the filter that the kernel runs on an interface's frames, and their link type. */
#include "producer/packet_filter.h"

#include <errno.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/filter.h>
#include <linux/if_packet.h>

#include "libncpbus/include/ncpbus.h"
#include "producer/source.h"
#include "producer/tpacket_block.h"

/* The kernel's limit on a filter's instructions. */
#define FILTER_MOST BPF_MAXINSNS

int packet_linktype(unsigned short arphrd)
{
	switch (arphrd) {
	case ARPHRD_ETHER:
	case ARPHRD_LOOPBACK: /* bears Ethernet headers of zeros */
		return LINKTYPE_ETHERNET;
	case ARPHRD_NONE: /* tun, WireGuard */
	case ARPHRD_TUNNEL:
	case ARPHRD_TUNNEL6:
	case ARPHRD_SIT:
	case 519: /* ARPHRD_RAWIP */
		return LINKTYPE_RAW;
	case ARPHRD_IEEE80211:
		return 105;
	case ARPHRD_IEEE80211_PRISM:
		return 119;
	case ARPHRD_IEEE80211_RADIOTAP:
		return 127;
	default:
		return -1;
	}
}

/* libpcap's own number for it: raw IP is the one of these that has another there. */
static int dlt_of(uint32_t linktype)
{
	return linktype == LINKTYPE_RAW ? 12 : (int)linktype;
}

/*
 * From a program for frames that begin with an SLL2 header to one for what the kernel shows a
 * SOCK_DGRAM socket: the frame from its network header on, and some fields of the other by name.
 * Source: tcpdump.org, LINKTYPE_LINUX_SLL2; Documentation/networking/filter.rst, "extensions".
 */
static int uncook(struct compile_program *p, char *why)
{
	for (unsigned i = 0; i < p->n; i++) {
		struct sock_filter *s = &p->insns[i];
		const unsigned class = BPF_CLASS(s->code), mode = BPF_MODE(s->code);

		if (!(class == BPF_LD && (mode == BPF_ABS || mode == BPF_IND)) &&
		    !(class == BPF_LDX && mode == BPF_MSH))
			continue;
		if ((int32_t)s->k < 0) /* one of these names already */
			continue;
		if (s->k >= TPACKET_SLL2_LEN) {
			s->k -= TPACKET_SLL2_LEN;
		} else if (mode == BPF_ABS && s->k == 0) {
			s->k = (uint32_t)SKF_AD_OFF + SKF_AD_PROTOCOL;
		} else if (mode == BPF_ABS && s->k == 4) {
			s->k = (uint32_t)SKF_AD_OFF + SKF_AD_IFINDEX;
		} else if (mode == BPF_ABS && s->k == 8) {
			s->k = (uint32_t)SKF_AD_OFF + SKF_AD_HATYPE;
		} else if (mode == BPF_ABS && s->k == 10) {
			s->k = (uint32_t)SKF_AD_OFF + SKF_AD_PKTTYPE;
		} else {
			snprintf(why, SOURCE_WHY_CAP,
				 "filter: it asks for link-layer addresses, which the kernel does "
				 "not show of any: filter in the clients, or name interfaces");
			return -EINVAL;
		}
	}
	return 0;
}

int packet_filter_make(const struct packet_filter *f, struct compile_program *p, char *why)
{
	struct compile_program expr = { 0 };
	bool only_out = f->direction == NCP_OUTBOUND;
	bool test = f->direction || f->loopback;
	bool test_both = !f->direction && f->loopback_index; /* the type, and where */
	const struct sock_filter everything = BPF_STMT(BPF_RET | BPF_K, f->snaplen);
	const struct sock_filter head_type[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_AD_OFF + SKF_AD_PKTTYPE),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, only_out ? 1 : 0,
			 only_out ? 0 : 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
	}, head_both[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_AD_OFF + SKF_AD_PKTTYPE),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, PACKET_OUTGOING, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)SKF_AD_OFF + SKF_AD_IFINDEX),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)f->loopback_index, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	const struct sock_filter *head = test_both ? head_both : head_type;
	const unsigned n_head = test_both ? 5 : test ? 3 : 0;

	if (f->text) {
		const int dlt = dlt_of(f->linktype);
		int r = f->keep ? compile_kept(f->keep, dlt, f->snaplen, f->text, &expr, why)
				: compile_live(f->device, dlt, f->snaplen, f->text, &expr, why);
		if (r == 0 && f->linktype == LINKTYPE_SLL2)
			r = uncook(&expr, why);
		if (r < 0) {
			compile_free(&expr);
			return r;
		}
	}
	const unsigned n = n_head + (expr.n ? expr.n : 1);
	if (n > FILTER_MOST) {
		compile_free(&expr);
		snprintf(why, SOURCE_WHY_CAP,
			 "filter: %u instructions, the kernel takes %u: make it simpler, or filter "
			 "in the clients",
			 n, FILTER_MOST);
		return -EINVAL;
	}
	p->insns = calloc(n, sizeof(*p->insns));
	if (!p->insns) {
		compile_free(&expr);
		snprintf(why, SOURCE_WHY_CAP, "filter: out of memory");
		return -ENOMEM;
	}
	p->n = n;
	/* Jumps are relative, so what stands behind is not touched. */
	memcpy(p->insns, head, n_head * sizeof(*head));
	memcpy(p->insns + n_head, expr.n ? expr.insns : &everything, (n - n_head) * sizeof(*head));
	compile_free(&expr);
	return 0;
}

int packet_filter_set(int fd, const struct compile_program *p)
{
	struct sock_filter none = BPF_STMT(BPF_RET | BPF_K, 0);
	const struct sock_fprog prog = {
		.len = p ? (unsigned short)p->n : 1,
		.filter = p ? p->insns : &none,
	};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) < 0 ? -errno : 0;
}
