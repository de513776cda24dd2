/* SPDX-License-Identifier: BSD-2-Clause */
/* options.h - ncp-dump's command line. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "coder.h"
#include "format.h"
#include "listen.h"
#include "naming.h"
#include "outfile.h"
#include "rotation.h"
#include "util/options.h"

/* A place in a bus, as --from and --to say it. */
enum dump_where_kind {
	WHERE_NONE = 0,
	WHERE_OLDEST,
	WHERE_LATEST, /* --from latest, --to now */
	WHERE_SEQ,    /* value: frame number */
	WHERE_AGO,    /* value: ns */
	WHERE_TIME,   /* value: ns since 1970 UTC */
};

struct space;

struct dump_where {
	enum dump_where_kind kind;
	uint64_t value;
};

#define TRIGGER_LIMIT_MAX 1000u

enum dump_sync { SYNC_NONE, SYNC_CLOSE, SYNC_EVERY };

struct dump_options {
	const char *bus;	/* NULL: the only one there is */
	bool list;
	char *const *repair;	/* n_repair files to repair, and nothing else */
	int n_repair;
	const char *write;	/* NULL: print */
	char *filter;		/* NULL: none; by malloc */
	uint64_t count;		/* 0: no limit */
	uint64_t duration_ns;	/* 0: no limit */
	struct rotation_options rotate;
	bool rotating;		/* there may be more than one file */
	bool overwrites;	/* by -C, -G or -b: names as tcpdump and dumpcap have them */
	bool utc;		/* in names */
	bool ring_names, time_first; /* -b; nametimenum:2 */
	uint64_t keep_files;	/* -b files: */
	uint64_t quota, keep_free; /* bytes; 0: none */
	const char *print_name; /* -b printname:, or NULL */
	const char *command;	/* -z, or NULL */
	const char *user;	/* -Z, or NULL */
	bool atomic, split_interfaces;
	struct dump_where from, to;
	bool snapshot;
	uint64_t snaplen;	/* 0: whole frames */
	uint32_t direction;	/* 0: both, NCP_INBOUND, NCP_OUTBOUND */
	const char *trigger;	/* NULL: none; a filter */
	uint64_t before_ns, after_ns; /* what is saved around a frame that matches it */
	uint64_t trigger_max, trigger_per_ns; /* at most so many files in so long */
	const char *resume;	/* state file */
	enum dump_sync sync;
	uint64_t sync_ns;	/* of SYNC_EVERY */
	enum format format;
	const struct coder_ops *coder; /* --compress; NULL: none */
	int level;
	enum outfile_writer writer;
	uint64_t iobuf;
	uint64_t shard_idx, shard_n; /* shard_n 0: every frame */
	const char *group;	/* NULL: none */
	bool ordered;
	uint64_t reorder_ns;	/* 0: as long as the library has it */
	bool listening;		/* -w is a port to listen on */
	struct listen_address listen;
	bool allow_remote;
	const char *log;	/* file of flows; NULL: no */
	const char *decode;	/* arguments of tcpdump -r -; NULL: no */
	bool numeric;
	const char *json;	/* NULL: no; "-": stderr */
	const char *dir, *trust;
	bool no_clobber, wait, exit_on_close, reliable, strict;
	bool quick, packet_buffered, line_buffered;

	/* Not of the command line: for one of several that write at once, by --split-interfaces or
	 * --trigger. */
	struct space *space;	/* what all of them share; NULL: it is alone */
	uint32_t writer_idx;	/* which of them, < SPACE_WRITERS */
	const struct naming *series; /* a recording: what its series calls its files; else NULL */
	uint64_t begun_ns;	/* ... and the time in its name */
};

/*
 * dump_options_parse - parse and check a command line; see options_parse().
 *
 *   now_ns  CLOCK_REALTIME: what "12:30" means
 *
 * On OPTIONS_RUN o->filter is the caller's to free.
 */
enum options_result dump_options_parse(struct dump_options *o, int argc, char **argv,
				       uint64_t now_ns) __attribute__((warn_unused_result));

/*
 * dump_where_parse - parse an argument of --from (or of --to).
 *
 * Returns 0, -EINVAL, -ERANGE.
 */
int dump_where_parse(const char *s, bool to, uint64_t now_ns, struct dump_where *w)
	__attribute__((warn_unused_result));

#endif
