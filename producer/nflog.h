/* SPDX-License-Identifier: BSD-2-Clause */
/* nflog.h - have the kernel number what netfilter logs to a group, so that no loss stays unknown. */
#ifndef NFLOG_H
#define NFLOG_H

#include <stdbool.h>
#include <stdint.h>

/*
 * libpcap binds a netlink socket to a group and tells of a full socket buffer only that it happened.
 * The kernel can number the frames of a group as it puts them into messages (NFULNL_CFG_F_SEQ), from
 * 0 on; what a full buffer then drops leaves a hole in the numbers.
 *
 * A frame of LINKTYPE_NFLOG is a struct nfgenmsg and attributes, of which the payload is the last.
 * Source: linux/netfilter/nfnetlink_log.h, net/netfilter/nfnetlink_log.c.
 */
struct nflog {
	uint32_t next; /* the number that comes next */
	bool numbered; /* a number was seen */
};

/*
 * nflog_group - the group of one of libpcap's device names: "nflog", "nflog:5".
 *
 * Returns it; -EINVAL: another kind of device, or several groups.
 */
int nflog_group(const char *device);

/*
 * nflog_tune - ask for numbers, and for frames sooner than the kernel's second.
 *
 *   fd         libpcap's socket, bound to the group; needs CAP_NET_ADMIN
 *   retire_ms  hand over after this at most; 0: each frame by itself
 *
 * Nothing is read: what the kernel says against it is libpcap's to pass over, and nflog.numbered
 * stays false.  Returns 0, -errno of sendto.
 */
int nflog_tune(int fd, uint16_t group, uint32_t retire_ms) __attribute__((warn_unused_result));

/*
 * nflog_missed - frames that the kernel lost between the last one looked at and this.
 *
 *   data  a frame of LINKTYPE_NFLOG, len bytes; anything else in there is passed over
 */
uint64_t nflog_missed(struct nflog *l, const uint8_t *data, uint32_t len);

#endif
