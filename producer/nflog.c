/* SPDX-License-Identifier: BSD-2-Clause */
/* nflog.c - have the kernel number what netfilter logs to a group, so that no loss stays unknown. */
#include "producer/nflog.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <linux/netlink.h>

#define PREFIX "nflog"
#define ATTR_MASK 0x7fff /* above it: nested */

/* What nflog_tune() sends; every part is a multiple of 4 bytes long. */
struct tuning {
	struct nlmsghdr head;
	struct nfgenmsg group;
	struct nlattr timeout_head;
	uint32_t timeout; /* big-endian, 1/100 s */
	struct nlattr threshold_head;
	uint32_t threshold; /* big-endian, frames in a message */
	struct nlattr flags_head;
	uint16_t flags; /* big-endian */
	uint16_t pad;
};
_Static_assert(sizeof(struct tuning) == 16 + 4 + 3 * 8, "no padding");

int nflog_group(const char *device)
{
	char *end;

	if (strncmp(device, PREFIX, sizeof(PREFIX) - 1) != 0)
		return -EINVAL;
	device += sizeof(PREFIX) - 1;
	if (!*device)
		return 0;
	long group = strtol(device + 1, &end, 0);
	return *device != ':' || end == device + 1 || *end || group < 0 || group > UINT16_MAX
		       ? -EINVAL
		       : (int)group;
}

int nflog_tune(int fd, uint16_t group, uint32_t retire_ms)
{
	const struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
	const uint32_t hundredths = retire_ms < 10 ? 1 : retire_ms / 10;
	const struct tuning t = {
		.head = { .nlmsg_len = sizeof(t),
			  .nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG,
			  .nlmsg_flags = NLM_F_REQUEST },
		.group = { .nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0, .res_id = htons(group) },
		.timeout_head = { .nla_len = 8, .nla_type = NFULA_CFG_TIMEOUT },
		.timeout = htonl(hundredths),
		.threshold_head = { .nla_len = 8, .nla_type = NFULA_CFG_QTHRESH },
		.threshold = htonl(retire_ms ? 100 : 1), /* 100: the kernel's own */
		.flags_head = { .nla_len = 6, .nla_type = NFULA_CFG_FLAGS },
		.flags = htons(NFULNL_CFG_F_SEQ),
	};

	return sendto(fd, &t, sizeof(t), 0, (const struct sockaddr *)&kernel, sizeof(kernel)) < 0
		       ? -errno
		       : 0;
}

/* The frame's number.  False: it has none. */
static bool number_of(const uint8_t *data, uint32_t len, uint32_t *number)
{
	uint32_t off = sizeof(struct nfgenmsg);
	struct nlattr a;

	while (off <= len && len - off >= sizeof(a)) {
		memcpy(&a, data + off, sizeof(a));
		if (a.nla_len < sizeof(a) || a.nla_len > len - off)
			return false;
		if ((a.nla_type & ATTR_MASK) == NFULA_SEQ &&
		    a.nla_len == sizeof(a) + sizeof(*number)) {
			memcpy(number, data + off + sizeof(a), sizeof(*number));
			*number = ntohl(*number);
			return true;
		}
		off += NLA_ALIGN((uint32_t)a.nla_len);
	}
	return false;
}

uint64_t nflog_missed(struct nflog *l, const uint8_t *data, uint32_t len)
{
	uint32_t number;

	if (!number_of(data, len, &number))
		return 0;
	uint32_t missed = number - l->next;
	l->numbered = true;
	l->next = number + 1;
	/* Numbers wrap at 2^32.  One that goes back says that the group was made anew. */
	return missed < UINT32_C(1) << 31 ? missed : 0;
}
