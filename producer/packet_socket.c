/* SPDX-License-Identifier: BSD-2-Clause */
/* packet_socket.c - open a packet socket with its ring: at the start, and when an interface is back. */
#include "producer/packet_socket.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include "producer/packet_filter.h"

/* Blocks of 1 MiB in rings of 4 to 16 MiB cost the sender least (measured on veth, 64 to 1500 B);
 * blocks of 128 KiB a tenth more.  128 KiB holds a 64 KiB super-frame and its headers. */
#define RING_DEFAULT (UINT64_C(16) << 20)
/* A block is handed over after retire_ms even if it is nearly empty, so at any rate a ring is used
 * up after n_blocks * retire_ms, however large it is.  So long must a capture thread be able not to
 * run (a busy machine, a slow reliable client, an interface that came up and is asked only each
 * 100 ms): blocks are made smaller for it. */
#define PATIENCE_MS 300u
#define BLOCK_MOST (1u << 20)
#define BLOCK_LEAST (1u << 17)
#define BLOCKS_LEAST 2u
/* With slots: a super-frame with its headers fits; what is longer is cut, and counted as truncated.
 * Without a smaller snaplen no slot is smaller, whatever the MTU: a veth, a tap, a bridge hand on what
 * somebody else has put together, with offloads that are not theirs and cannot be asked. */
#define SLOT_FRAME_MOST ((1u << 16) + 64)
/* Between the header and the frame: link-layer header, alignment. */
#define SLOT_HEADERS 64u

/* Since Linux 5.17, and ignored before. */
#ifndef PACKET_FANOUT_FLAG_IGNORE_OUTGOING
#define PACKET_FANOUT_FLAG_IGNORE_OUTGOING 0x4000
#endif

int packet_fanout_flags(const char *mode)
{
	static const struct {
		const char *mode;
		int flags;
	} modes[] = {
		{ "hash", PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_ROLLOVER },
		{ "cpu", PACKET_FANOUT_CPU },
		{ "lb", PACKET_FANOUT_LB },
		{ "qm", PACKET_FANOUT_QM },
	};

	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++)
		if (strcmp(mode, modes[i].mode) == 0)
			return modes[i].flags;
	return PACKET_NO_FANOUT;
}

/* A ring of one frame a slot. */
static uint32_t slot_len(const struct packet_want *want)
{
	uint32_t most = want->snaplen < SLOT_FRAME_MOST ? want->snaplen : SLOT_FRAME_MOST;

	return TPACKET_ALIGN(TPACKET2_HDRLEN + SLOT_HEADERS + most);
}

/* The ring: as many blocks as fit the size asked for, smaller ones if the kernel has no room. */
static int ring_make(const struct packet_want *want, struct packet_socket *s)
{
	uint64_t size = want->ring_size ? want->ring_size : RING_DEFAULT;
	uint32_t block = BLOCK_MOST;
	int version = want->immediate ? TPACKET_V2 : TPACKET_V3;

	if (setsockopt(s->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) < 0)
		return -errno;
	s->slot_len = want->immediate ? slot_len(want) : 0;
	/* A frame as long as the snaplen allows fits a block, with its headers. */
	while (!want->immediate && block > BLOCK_LEAST && block / 2 >= want->snaplen + 4096 &&
	       (size / block < 2 * BLOCKS_LEAST || size / block * want->retire_ms < PATIENCE_MS))
		block /= 2;
	for (;;) {
		uint64_t n = size / block < BLOCKS_LEAST ? BLOCKS_LEAST : size / block;
		/* Of frames only their alignment matters to V3. */
		const uint32_t frame = want->immediate ? s->slot_len : 2048;
		struct tpacket_req3 req = {
			.tp_block_size = block,
			.tp_block_nr = (uint32_t)n,
			.tp_frame_size = frame,
			.tp_frame_nr = (uint32_t)n * (block / frame),
			.tp_retire_blk_tov = want->retire_ms,
		};
		socklen_t len = want->immediate ? sizeof(struct tpacket_req) : sizeof(req);

		if (n <= UINT32_MAX / (block / frame) &&
		    setsockopt(s->fd, SOL_PACKET, PACKET_RX_RING, &req, len) == 0) {
			s->block_len = block;
			s->n_blocks = (uint32_t)n;
			return 0;
		}
		if (errno != ENOMEM || size <= BLOCKS_LEAST * block)
			return -errno;
		size /= 2;
	}
}

/* Hear the device: bind, and make it promiscuous. */
static int device_join(const struct packet_want *want, const struct packet_socket *s)
{
	const struct sockaddr_ll at = { .sll_family = AF_PACKET,
					.sll_protocol = htons(ETH_P_ALL),
					.sll_ifindex = s->ifindex };
	const struct packet_mreq promiscuous = { .mr_ifindex = s->ifindex,
						 .mr_type = PACKET_MR_PROMISC };

	if (bind(s->fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
		return -errno;
	/* A device that cannot be promiscuous (some tunnels) is captured as it is. */
	if (want->promiscuous && !want->any)
		(void)setsockopt(s->fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous,
				 sizeof(promiscuous));
	return 0;
}

static int fanout_set(int fd, uint16_t group, int flags)
{
	const uint32_t arg = group | (uint32_t)flags << 16;

	return setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &arg, sizeof(arg)) < 0 ? -errno : 0;
}

/* Share the device's frames with the other sockets of its group. */
static int group_join(struct packet_want *want, const struct packet_socket *s)
{
	int flags = want->fanout |
		    (want->ignore_outgoing ? PACKET_FANOUT_FLAG_IGNORE_OUTGOING : 0);
	uint32_t joined;
	socklen_t len = sizeof(joined);

	/* A group belongs to one device for as long as one socket is in it, so a device that was
	 * deleted and made again needs a new one.  -EINVAL: the number is another's by now. */
	if (want->grouped && want->group_ifindex == s->ifindex) {
		int r = fanout_set(s->fd, want->group, flags);

		if (r != -EINVAL)
			return r;
	}
	/* A number that nobody uses: with one of our choice we could join a stranger's group, and
	 * get a part of the frames each. */
	int r = fanout_set(s->fd, 0, flags | PACKET_FANOUT_FLAG_UNIQUEID);
	if (r < 0)
		return r;
	if (getsockopt(s->fd, SOL_PACKET, PACKET_FANOUT, &joined, &len) < 0)
		return -errno;
	want->group = (uint16_t)joined;
	want->group_ifindex = s->ifindex;
	want->grouped = true;
	return 0;
}

static int ask(int fd, const char *name, unsigned long request, struct ifreq *r)
{
	memset(r, 0, sizeof(*r));
	memcpy(r->ifr_name, name, sizeof(r->ifr_name));
	return ioctl(fd, request, r) < 0 ? -errno : 0;
}

/* A device without such a clock is captured with the kernel's. */
static void hwtime_use(struct packet_want *want, struct packet_socket *s)
{
	const int raw = SOF_TIMESTAMPING_RAW_HARDWARE;

	hwtime_begin(&want->hw, s->fd, want->name, s->ifindex);
	s->hwtime = want->hw.set &&
		    setsockopt(s->fd, SOL_PACKET, PACKET_TIMESTAMP, &raw, sizeof(raw)) == 0;
}

int packet_socket_open(struct packet_want *want, struct packet_socket *s)
{
	struct ifreq index = { .ifr_ifindex = 0 }, flags = { .ifr_flags = IFF_UP };
	int one = 1, r = 0;

	/* Protocol 0: nothing arrives before bind, and a filter that drops all stands before that.
	 * So no frame that the real filter would refuse is ever in the ring. */
	*s = (struct packet_socket){
		.fd = socket(AF_PACKET, (want->any ? SOCK_DGRAM : SOCK_RAW) | SOCK_CLOEXEC |
						SOCK_NONBLOCK, 0)
	};
	if (s->fd < 0)
		return -errno;
	if (!want->any)
		r = ask(s->fd, want->name, SIOCGIFINDEX, &index);
	s->ifindex = index.ifr_ifindex;
	if (r == 0 && !want->any)
		r = ask(s->fd, want->name, SIOCGIFFLAGS, &flags);
	if (r == 0 && want->fanout != PACKET_NO_FANOUT && !(flags.ifr_flags & IFF_UP))
		r = -ENETDOWN;
	if (r == 0)
		r = packet_filter_set(s->fd, NULL);
	if (r == 0)
		r = ring_make(want, s);
	if (r == 0 && want->hwtime && !want->any)
		hwtime_use(want, s);
	if (r == 0 && want->ignore_outgoing) /* since Linux 4.20 */
		(void)setsockopt(s->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
	if (r == 0)
		r = device_join(want, s);
	if (r == 0 && want->fanout != PACKET_NO_FANOUT)
		r = group_join(want, s);
	if (r == -ENXIO)
		r = -ENODEV; /* it went between two of these calls */
	if (r < 0) {
		close(s->fd);
		s->fd = -1;
	}
	return r;
}

void packet_clocks_restore(struct packet_list *list)
{
	for (uint32_t i = 0; i < list->n; i++) {
		struct packet_want *want = &list->want[i];
		int fd = want->hw.set ? socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0) : -1;

		if (fd < 0)
			continue;
		hwtime_end(&want->hw, fd, want->name);
		close(fd);
	}
}
