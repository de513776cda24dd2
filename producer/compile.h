/* SPDX-License-Identifier: BSD-2-Clause */
/* compile.h - pcap-filter(7) text made a classic BPF program, as for a file or a live interface. */
#ifndef COMPILE_H
#define COMPILE_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/filter.h>

/* A compiled filter: {NULL, 0} is none, which every frame matches. */
struct compile_program {
	struct sock_filter *insns; /* n of them, owned: compile_free() */
	unsigned int n;
};

/*
 * compile_offline - compile for frames whose bytes are all there is, as tcpdump -r does.
 *
 *   dlt      libpcap's DLT_ number of the frames
 *   snaplen  what the program returns for a match: 1..262144
 *   text     NULL or "": every frame
 *   why      SOURCE_WHY_CAP bytes: one line, on error
 *
 * May ask name servers (a host's name in the text).  One thread at a time: libpcap's compiler is
 * only as thread-safe as the resolver.
 * Returns 0; -EINVAL (not a filter for these frames); -ENOMEM.
 */
int compile_offline(int dlt, uint32_t snaplen, const char *text, struct compile_program *p,
		    char *why);

/*
 * compile_live - compile for frames as the kernel sees them on a device, as tcpdump -i does.
 *
 *   device  its name.  libpcap opens it for a moment, to learn which of the kernel's extensions its
 *           code may use: a VLAN tag that the kernel strips is then found where the kernel keeps
 *           it
 *   dlt     what its frames are.  A device that is down cannot be opened; then lo stands in if it
 *           has the same, else the code is made without extensions, of which only "vlan" needs one
 *   others  as compile_offline()
 *
 * Needs the right to open the device.  Returns 0; -EINVAL; -ENOMEM; -ENETDOWN ("vlan", and neither
 * can be opened).
 */
int compile_live(const char *device, int dlt, uint32_t snaplen, const char *text,
		 struct compile_program *p, char *why);

/*
 * compile_keep_open - have libpcap open a device now, in order to compile for it later.
 *
 *   keep    undo with compile_keep_close(), whatever came back
 *   device  any that is up and bears Ethernet headers will do: lo does
 *
 * What is opened hears nothing: its socket is bound to an EtherType that nobody uses, and drops even
 * that.  Needs the right to open the device; compile_kept() needs none.  Returns 0, -ENODEV.
 */
struct compile_keep {
	void *live; /* libpcap's; NULL: none */
};
int compile_keep_open(struct compile_keep *keep, const char *device)
	__attribute__((warn_unused_result));
void compile_keep_close(struct compile_keep *keep);

/*
 * compile_kept - what compile_live() would make, without opening anything.
 *
 * For other frames than Ethernet the kernel's extensions make no difference (only "vlan" uses one, and
 * it means nothing there).  Names of hosts and services are looked up as far as the process may.
 * Returns 0; -EINVAL; -ENOMEM; -ENETDOWN ("vlan", and no device is kept).
 */
int compile_kept(const struct compile_keep *keep, int dlt, uint32_t snaplen, const char *text,
		 struct compile_program *p, char *why);

/* compile_copy - another one like it.  Returns 0, -ENOMEM. */
int compile_copy(const struct compile_program *from, struct compile_program *to)
	__attribute__((warn_unused_result));

/* compile_match - does a frame match?  Pure; looks at caplen bytes only. */
bool compile_match(const struct compile_program *p, const uint8_t *data, uint32_t caplen,
		   uint32_t len);

/* compile_free - free what a compile call made; {NULL, 0} afterwards. */
void compile_free(struct compile_program *p);

#endif
