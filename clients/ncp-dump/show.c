/* SPDX-License-Identifier: BSD-2-Clause */
/* show.c - frames as lines, when no file of frames is written. */
#include "show.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "print.h"
#include "util/escape.h"
#include "util/file.h"

#define TEXT_CAP (64u << 10)

int show_open(struct show *s, struct ncp_client *c, struct ledger *ledger, uint64_t snaplen,
	      bool at_once, const char *flows)
{
	*s = (struct show){ .c = c, .ledger = ledger, .snaplen = snaplen, .at_once = at_once,
			    .flows = flows, .fd = STDOUT_FILENO };
	if (flows && strcmp(flows, "-")) {
		s->fd = open(flows, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0640);
		if (s->fd < 0)
			return -errno;
	}
	s->text = malloc(TEXT_CAP);
	return s->text ? 0 : -ENOMEM;
}

void show_reattached(struct show *s)
{
	for (uint32_t i = 0; i < s->n_interfaces; i++)
		free(s->interface[i].name);
	s->n_interfaces = 0;
}

/* Learn the interfaces up to index.  NULL: the bus has none such, or no memory. */
static const struct show_interface *interface_of(struct show *s, uint32_t index)
{
	while (s->n_interfaces <= index) {
		struct ncp_interface it = NCP_INTERFACE_INIT;
		struct show_interface *more;
		char *name;

		if (ncp_interface(s->c, s->n_interfaces, &it) < 0)
			return NULL;
		more = realloc(s->interface, (s->n_interfaces + 1) * sizeof(*more));
		if (!more)
			return NULL;
		s->interface = more;
		size_t cap = ESCAPE_CAP(strlen(it.name)) + 1;
		name = malloc(cap);
		if (!name)
			return NULL;
		if (*it.name)
			escape_str(name, cap, it.name);
		else
			strcpy(name, "-");
		s->interface[s->n_interfaces++] = (struct show_interface){ name, it.linktype };
	}
	return &s->interface[index];
}

int show_flush(struct show *s)
{
	int r = s->len ? file_write_all(s->fd, s->text, s->len) : 0;

	s->len = 0;
	return r;
}

int show_frames(struct show *s, const struct ncp_frame *f, int n)
{
	int r = 0;

	for (int i = 0; i < n && r == 0; i++) {
		const struct show_interface *it = interface_of(s, f[i].interface);
		struct print_frame p = { .data = f[i].data,
					 .caplen = f[i].caplen,
					 .len = f[i].len,
					 .linktype = it ? it->linktype : UINT32_MAX,
					 .ts_ns = f[i].ts_ns,
					 .interface = it ? it->name : "?" };

		if (s->snaplen && p.caplen > s->snaplen)
			p.caplen = (uint32_t)s->snaplen;
		if (TEXT_CAP - s->len < PRINT_CAP)
			r = show_flush(s);
		size_t len = s->flows ? print_flow(s->text + s->len, &p) :
					print_line(s->text + s->len, &p);
		if (ncp_intact(s->c, f[i].position)) {
			s->len += len;
			ledger_frames(s->ledger, len > 0, f[i].seq + 1);
		} else if (r == 0) {
			r = ledger_lost(s->ledger, f[i].seq, f[i].seq + 1, false);
		}
	}
	return r == 0 && s->at_once ? show_flush(s) : r;
}

void show_close(struct show *s)
{
	show_reattached(s);
	free(s->interface);
	free(s->text);
	if (s->fd > STDOUT_FILENO)
		close(s->fd);
	*s = (struct show){ 0 };
}
