/* SPDX-License-Identifier: BSD-2-Clause */
/* info.c - what the header, the tables and the registry say. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libncpbus/client.h"
#include "libncpbus/order.h"

/* Registry files looked at in one call. */
#define PEERS_MAX 65536

/* Time of the first frame at or after a place, 0: there is none, or it was overrun. */
static uint64_t time_at(const struct ncpi_segment *seg, struct ncpi_place p, uint64_t end)
{
	while (p.position < end && end - p.position <= seg->ring_size) {
		const uint32_t *b = (const uint32_t *)(const void *)ncpi_segment_at(seg, p.position);
		uint32_t type = ncpi_load(&b[0]), len = ncpi_load(&b[1]);
		uint64_t ts = (uint64_t)ncpi_load(&b[3]) << 32 | ncpi_load(&b[4]);

		ncpi_fence_acquire();
		if (ncpi_load(&seg->h->tail) > p.position || len < 12 || len % 4 ||
		    len > end - p.position)
			break;
		if (type == NCPI_EPB)
			return ts;
		p.position += len;
	}
	return 0;
}

int ncp_bus_info(struct ncp_client *c, struct ncp_bus_info *info)
{
	const struct ncpi_header *h = c->seg.h;
	struct ncpi_place oldest, newest;
	int r = ncpi_usable(c);

	if (r < 0)
		return r;
	if (info->size < sizeof(*info))
		return -EINVAL;
	r = ncpi_locate_oldest(&c->seg, 0, &oldest);
	if (r == 0)
		r = ncpi_locate_newest(&c->seg, &newest);
	if (r == 0)
		r = ncpi_interfaces(c);
	if (r < 0)
		return r;
	*info = (struct ncp_bus_info){
		.size = info->size,
		.state = ncpi_state(c),
		.reason = ncpi_load(&h->reason),
		.pid = ncpi_load(&h->pid),
		.n_interfaces = c->prologue.n,
		.n_workers = ncpi_load(&h->workers),
		.snaplen = ncpi_load(&h->snaplen),
		.reliable = (h->flags & NCPI_FLAG_RELIABLE) != 0,
		.epoch = ncpi_load_acquire(&h->epoch),
		.incarnation = c->seg.incarnation,
		.replaced = h->replaced,
		.replaced_next_seq = h->replaced_next_seq,
		.created_ns = h->created_ns,
		.ring_size = c->seg.ring_size,
		.oldest_seq = oldest.seq,
		.oldest_ts_ns = time_at(&c->seg, oldest, newest.position),
		.next_seq = newest.seq,
		.newest_ts_ns = ncpi_load(&h->newest_ts_ns),
		.head = newest.position,
		.tail = ncpi_load(&h->tail),
		.heartbeat = ncpi_load_acquire(&h->heartbeat),
		.heartbeat_ns = ncpi_load(&h->heartbeat_ns),
		.trusted_uid = c->seg.uid,
	};
	if (info->n_workers > c->seg.n_workers)
		info->n_workers = c->seg.n_workers;
	for (uint32_t i = 0; i < c->seg.n_workers; i++) {
		const struct ncpi_worker_line *line = ncpi_worker_at(&c->seg, i);

		info->bytes += ncpi_load(&line->bytes);
		info->received += ncpi_load(&line->received);
		info->kernel_drops += ncpi_load(&line->kernel_drops);
		info->freezes += ncpi_load(&line->freezes);
		info->truncated += ncpi_load(&line->truncated);
		info->discarded += ncpi_load(&line->discarded);
	}
	memcpy(info->name, c->bus, sizeof(info->name));
	return 0;
}

int ncp_worker(struct ncp_client *c, uint32_t index, struct ncp_worker *w)
{
	int r = ncpi_usable(c);

	if (r < 0)
		return r;
	if (w->size < sizeof(*w))
		return -EINVAL;
	if (index >= c->seg.n_workers)
		return -ERANGE;
	const struct ncpi_worker_line *line = ncpi_worker_at(&c->seg, index);
	*w = (struct ncp_worker){
		.size = w->size,
		.index = index,
		.published = ncpi_load(&line->published),
		.bytes = ncpi_load(&line->bytes),
		.received = ncpi_load(&line->received),
		.kernel_drops = ncpi_load(&line->kernel_drops),
		.freezes = ncpi_load(&line->freezes),
		.truncated = ncpi_load(&line->truncated),
		.discarded = ncpi_load(&line->discarded),
	};
	return 0;
}

int ncp_interface(struct ncp_client *c, uint32_t index, struct ncp_interface *i)
{
	int r = ncpi_usable(c);

	if (r < 0)
		return r;
	if (i->size < sizeof(*i))
		return -EINVAL;
	r = ncpi_interfaces(c);
	if (r < 0)
		return r;
	if (index >= c->prologue.n || index >= c->seg.n_interfaces)
		return -ERANGE;
	const struct ncpi_interface_line *line = ncpi_interface_at(&c->seg, index);
	const struct ncpi_prologue_interface *p = &c->prologue.interface[index];
	*i = (struct ncp_interface){
		.size = i->size,
		.linktype = p->linktype,
		.snaplen = p->snaplen,
		.name = p->name,
		.description = p->description,
		.published = ncpi_load(&line->published),
		.received = ncpi_load(&line->received),
		.kernel_drops = ncpi_load(&line->kernel_drops),
	};
	return 0;
}

/* What the producer's table says of a line. */
static uint32_t reliable_state(const struct ncp_client *c, ino_t ino, uint64_t btime)
{
	for (uint32_t i = 0; i < c->seg.n_reliable; i++) {
		const struct ncpi_reliable_line *row = ncpi_reliable_at(&c->seg, i);
		uint32_t state = ncpi_load_acquire(&row->state);

		if (state != NCPI_RELIABLE_FREE && ncpi_load(&row->inode) == ino &&
		    ncpi_load(&row->btime_ns) == btime)
			return state;
	}
	return 0;
}

/* One line of the registry, if its owner lives. */
static bool peer_get(struct ncp_client *c, int dir, const char *name, struct ncp_peer *peer)
{
	struct ncpi_line_cursor cursor = { 0 };
	struct ncpi_place newest;
	struct ncpi_line line;
	bool alive;
	uid_t uid;
	ino_t ino;

	int fd = ncpi_line_open(dir, name, &uid, &ino);
	if (fd < 0)
		return false;
	alive = ncpi_line_read(fd, &line) == 0 && ncpi_line_life(fd) == NCPI_LINE_LIVE &&
		ncpi_line_cursor_get(&line, &cursor);
	uint64_t btime = ncpi_line_btime(fd);
	close(fd);
	if (!alive || ncpi_locate_newest(&c->seg, &newest) < 0)
		return false;
	*peer = (struct ncp_peer){
		.size = peer->size,
		.uid = uid,
		.pid = line.pid,
		.reliable = reliable_state(c, ino, btime),
		.incarnation = line.incarnation,
		.seq = cursor.seq < newest.seq ? cursor.seq : newest.seq,
		.position = cursor.position < newest.position ? cursor.position : newest.position,
		.frames = line.frames,
		.filtered = line.filtered,
		.others = line.others,
		.lost = line.lost,
		.since_ns = line.since_ns,
	};
	memcpy(peer->name, line.name, sizeof(peer->name));
	return true;
}

int ncp_peers(struct ncp_client *c, struct ncp_peer *peers, int n)
{
	char name[NCPI_FILE_CAP];
	const struct dirent *e;
	int found = 0, r = ncpi_usable(c);

	if (r < 0)
		return r;
	if (n < 0 || (n > 0 && peers[0].size < sizeof(*peers)))
		return -EINVAL;
	ncpi_name_file(name, c->bus, "+clients");
	int fd = openat(c->dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	DIR *dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	for (int looked = 0; looked < PEERS_MAX && (e = readdir(dir)) != NULL; looked++) {
		struct ncp_peer peer = NCP_PEER_INIT;

		if (*e->d_name == '.' || *e->d_name == '+' || !peer_get(c, fd, e->d_name, &peer))
			continue;
		if (found < n) {
			peer.size = peers[0].size;
			peers[found] = peer;
		}
		found++;
	}
	closedir(dir);
	return found;
}
