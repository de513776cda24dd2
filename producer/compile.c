/* SPDX-License-Identifier: BSD-2-Clause */
/* compile.c - pcap-filter(7) text made a classic BPF program, as for a file or a live interface. */
#include "producer/compile.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <pcap/pcap.h>
#include <sys/socket.h>

#include "producer/source.h"

/* What tcpdump compiles with, live and from files: "ip broadcast" is 255.255.255.255 or 0.0.0.0. */
#define NETMASK 0
/* Of a device that nothing is read from: libpcap makes a ring for it. */
#define SNAPLEN_KEPT 2048

/* compile() and compile_match() pass one for the other. */
_Static_assert(sizeof(struct sock_filter) == sizeof(struct bpf_insn), "BPF instructions differ");
_Static_assert(offsetof(struct sock_filter, jt) == offsetof(struct bpf_insn, jt), "jt moved");
_Static_assert(offsetof(struct sock_filter, jf) == offsetof(struct bpf_insn, jf), "jf moved");
_Static_assert(offsetof(struct sock_filter, k) == offsetof(struct bpf_insn, k), "k moved");

static int compile(pcap_t *pcap, const char *text, struct compile_program *p, char *why)
{
	struct bpf_program bpf;

	if (pcap_compile(pcap, &bpf, text, 1, NETMASK)) {
		snprintf(why, SOURCE_WHY_CAP, "filter: %.180s: see pcap-filter(7)",
			 pcap_geterr(pcap));
		return -EINVAL;
	}
	p->insns = calloc(bpf.bf_len, sizeof(*p->insns));
	if (!p->insns) {
		pcap_freecode(&bpf);
		snprintf(why, SOURCE_WHY_CAP, "filter: out of memory");
		return -ENOMEM;
	}
	memcpy(p->insns, bpf.bf_insns, bpf.bf_len * sizeof(*p->insns));
	p->n = bpf.bf_len;
	pcap_freecode(&bpf);
	return 0;
}

int compile_offline(int dlt, uint32_t snaplen, const char *text, struct compile_program *p,
		    char *why)
{
	*p = (struct compile_program){ NULL, 0 };
	if (!text || !*text)
		return 0;

	pcap_t *dead = pcap_open_dead(dlt, (int)snaplen);
	if (!dead) {
		snprintf(why, SOURCE_WHY_CAP, "filter: out of memory");
		return -ENOMEM;
	}
	int r = compile(dead, text, p, why);
	pcap_close(dead);
	return r;
}

/* A device opened for its compiler; NULL: it is down, or is of another kind. */
static pcap_t *open_live(const char *device, int dlt, uint32_t snaplen)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_t *live = pcap_create(device, error);

	/* A warning is positive. */
	if (live && !pcap_set_snaplen(live, (int)snaplen) && pcap_activate(live) >= 0 &&
	    (pcap_datalink(live) == dlt || !pcap_set_datalink(live, dlt)))
		return live;
	if (live)
		pcap_close(live);
	return NULL;
}

int compile_live(const char *device, int dlt, uint32_t snaplen, const char *text,
		 struct compile_program *p, char *why)
{
	*p = (struct compile_program){ NULL, 0 };
	if (!text || !*text)
		return 0;
	pcap_t *live = open_live(device, dlt, snaplen);
	if (!live)
		live = open_live("lo", dlt, snaplen);
	if (!live && strstr(text, "vlan")) {
		snprintf(why, SOURCE_WHY_CAP,
			 "filter: vlan means nothing while %.15s is down: bring it up first", device);
		return -ENETDOWN;
	}
	if (!live)
		live = pcap_open_dead(dlt, (int)snaplen);
	if (!live) {
		snprintf(why, SOURCE_WHY_CAP, "filter: out of memory");
		return -ENOMEM;
	}
	int r = compile(live, text, p, why);
	pcap_close(live);
	return r;
}

int compile_keep_open(struct compile_keep *keep, const char *device)
{
	struct sock_filter drop = BPF_STMT(BPF_RET | BPF_K, 0);
	const struct sock_fprog prog = { .len = 1, .filter = &drop };
	struct sockaddr_ll at = { .sll_family = AF_PACKET };
	socklen_t len = sizeof(at);
	pcap_t *live = open_live(device, DLT_EN10MB, SNAPLEN_KEPT);
	int fd = live ? pcap_fileno(live) : -1;

	*keep = (struct compile_keep){ live };
	if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)) == 0 &&
	    getsockname(fd, (struct sockaddr *)&at, &len) == 0) {
		at.sll_protocol = htons(ETH_P_LOOPBACK);
		if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) == 0)
			return 0;
	}
	compile_keep_close(keep);
	return -ENODEV;
}

void compile_keep_close(struct compile_keep *keep)
{
	if (keep->live)
		pcap_close(keep->live);
	keep->live = NULL;
}

int compile_kept(const struct compile_keep *keep, int dlt, uint32_t snaplen, const char *text,
		 struct compile_program *p, char *why)
{
	*p = (struct compile_program){ NULL, 0 };
	if (dlt != DLT_EN10MB)
		return compile_offline(dlt, snaplen, text, p, why);
	if (!keep->live && strstr(text, "vlan")) {
		snprintf(why, SOURCE_WHY_CAP,
			 "filter: vlan means nothing if no interface was up at the start: start "
			 "ncp-producer again");
		return -ENETDOWN;
	}
	if (!keep->live)
		return compile_offline(dlt, snaplen, text, p, why);
	int r = compile(keep->live, text, p, why);
	/* The kept device's snaplen is what it returns for a match. */
	for (unsigned i = 0; i < p->n; i++)
		if (p->insns[i].code == (BPF_RET | BPF_K) && p->insns[i].k)
			p->insns[i].k = snaplen;
	return r;
}

int compile_copy(const struct compile_program *from, struct compile_program *to)
{
	*to = (struct compile_program){ calloc(from->n + 1, sizeof(*to->insns)), from->n };
	if (!to->insns) {
		to->n = 0;
		return -ENOMEM;
	}
	memcpy(to->insns, from->insns, from->n * sizeof(*to->insns));
	return 0;
}

bool compile_match(const struct compile_program *p, const uint8_t *data, uint32_t caplen,
		   uint32_t len)
{
	return !p->n || bpf_filter((const struct bpf_insn *)(const void *)p->insns, data, len,
				   caplen) != 0;
}

void compile_free(struct compile_program *p)
{
	free(p->insns);
	*p = (struct compile_program){ NULL, 0 };
}
