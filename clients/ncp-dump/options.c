/* SPDX-License-Identifier: BSD-2-Clause */
/* options.c - ncp-dump's command line. */
#include "options.h"

#include <errno.h>
#include <ncpbus.h>
#include <stdlib.h>
#include <string.h>

#include "util/file.h"
#include "util/message.h"
#include "util/parse.h"
#include "util/timetext.h"

#define SECOND UINT64_C(1000000000)
#define IOBUF UINT64_C(1048576)
#define IOBUF_MIN UINT64_C(65536)
#define IOBUF_MAX UINT64_C(16777216)
#define FILTER_MAX (1u << 20)
#define SHARDS_MAX 65536
#define REORDER_MAX (60 * SECOND)
#define KB UINT64_C(1000)
#define MB UINT64_C(1000000)
#define FILES_MAX UINT32_MAX
#define RING_FILES_MAX 99999u /* their numbers have five digits, and all are another's */
#define QUOTA_MIN UINT64_C(1048576)
#define QUOTA_FILES 8u	      /* in a quota, where no size is given */

/* What the calls of the table write to; now is the same for all of them. */
struct parsing {
	struct dump_options *o;
	const char *expr, *file; /* -f, -F */
	uint64_t tcpdump_size;	 /* -C */
	uint64_t stop_size;	 /* -a filesize: */
	bool ring;		 /* a limit by -b */
	bool format, nano;	 /* --format, --nano */
	uint64_t now_ns;
};

int dump_where_parse(const char *s, bool to, uint64_t now_ns, struct dump_where *w)
{
	int r = 0;

	if (!to && !strcmp(s, "oldest")) {
		w->kind = WHERE_OLDEST;
	} else if (!strcmp(s, to ? "now" : "latest")) {
		w->kind = WHERE_LATEST;
	} else if (!strncmp(s, "seq:", 4)) {
		w->kind = WHERE_SEQ;
		r = parse_u64(s + 4, 0, UINT64_MAX - 1, &w->value);
	} else if (!to && *s == '-') {
		w->kind = WHERE_AGO;
		r = parse_duration(s + 1, SECOND, &w->value);
	} else {
		w->kind = WHERE_TIME;
		r = timetext_parse(s, now_ns, &w->value);
	}
	return r;
}

static int on_where(struct parsing *p, const char *s, bool to, struct dump_where *w,
		    const char **why)
{
	int r = dump_where_parse(s, to, p->now_ns, w);

	*why = r == -ERANGE ? "out of range" :
	       to	    ? "not now, seq:N or a time" :
			      "not oldest, latest, seq:N, -DURATION or a time";
	return r;
}

static int on_from(void *target, const char *s, const char **why)
{
	struct parsing *p = target;

	return on_where(p, s, false, &p->o->from, why);
}

static int on_to(void *target, const char *s, const char **why)
{
	struct parsing *p = target;

	return on_where(p, s, true, &p->o->to, why);
}

static int on_stop(void *target, const char *s, const char **why)
{
	struct parsing *p = target;
	struct dump_options *o = p->o;

	*why = "not duration:SECONDS, filesize:KB, files:N or packets:N";
	if (!strncmp(s, "duration:", 9))
		return parse_duration(s + 9, SECOND, &o->duration_ns);
	if (!strncmp(s, "filesize:", 9))
		return parse_size(s + 9, KB, &p->stop_size);
	if (!strncmp(s, "files:", 6))
		return parse_u64(s + 6, 1, FILES_MAX, &o->rotate.stop_files);
	if (!strncmp(s, "packets:", 8))
		return parse_u64(s + 8, 1, UINT64_MAX - 1, &o->count);
	return -EINVAL;
}

static int on_ring(void *target, const char *s, const char **why)
{
	struct parsing *p = target;
	struct dump_options *o = p->o;
	struct rotation_options *r = &o->rotate;
	uint64_t way;

	*why = "not filesize:KB, duration:SECONDS, interval:SECONDS, packets:N, files:N, "
	       "printname:FILE or nametimenum:1|2";
	if (!strncmp(s, "printname:", 10) && s[10]) {
		o->print_name = s + 10;
		return 0;
	}
	p->ring = true;
	if (!strncmp(s, "filesize:", 9))
		return parse_size(s + 9, KB, &r->size);
	if (!strncmp(s, "duration:", 9))
		return parse_duration(s + 9, SECOND, &r->duration_ns);
	if (!strncmp(s, "interval:", 9))
		return parse_u64(s + 9, 1, UINT32_MAX, &r->interval_s);
	if (!strncmp(s, "packets:", 8))
		return parse_u64(s + 8, 1, UINT64_MAX - 1, &r->packets);
	if (!strncmp(s, "files:", 6))
		return parse_u64(s + 6, 1, RING_FILES_MAX, &o->keep_files);
	if (strncmp(s, "nametimenum:", 12) || parse_u64(s + 12, 1, 2, &way) < 0)
		return -EINVAL;
	o->time_first = way == 2;
	return 0;
}

static int on_direction(void *target, const char *s, const char **why)
{
	struct dump_options *o = ((struct parsing *)target)->o;

	*why = "not in, out or inout";
	o->direction = !strcmp(s, "in") ? NCP_INBOUND : !strcmp(s, "out") ? NCP_OUTBOUND : 0;
	return o->direction || !strcmp(s, "inout") ? 0 : -EINVAL;
}

static int on_sync(void *target, const char *s, const char **why)
{
	struct dump_options *o = ((struct parsing *)target)->o;

	*why = "not none, close or a number of seconds";
	o->sync = !strcmp(s, "none") ? SYNC_NONE : !strcmp(s, "close") ? SYNC_CLOSE : SYNC_EVERY;
	if (o->sync != SYNC_EVERY)
		return 0;
	int r = parse_duration(s, SECOND, &o->sync_ns);
	return r == 0 && o->sync_ns == 0 ? -EINVAL : r;
}

static int on_format(void *target, const char *s, const char **why)
{
	struct parsing *p = target;

	*why = "not pcapng, pcap or nsec-pcap";
	p->format = true;
	return format_parse(s, &p->o->format);
}

static int on_compress(void *target, const char *s, const char **why)
{
	static const struct coder_ops *const coders[] = { &coder_zstd, &coder_lz4 };
	struct dump_options *o = ((struct parsing *)target)->o;
	uint64_t level;

	*why = "not zstd[:1-19] or lz4[:1-12]";
	for (size_t i = 0; i < sizeof(coders) / sizeof(*coders); i++) {
		size_t len = strlen(coders[i]->name);

		if (strncmp(s, coders[i]->name, len) || (s[len] && s[len] != ':'))
			continue;
		o->coder = coders[i];
		o->level = coders[i]->level;
		if (!s[len])
			return 0;
		if (parse_u64(s + len + 1, (uint64_t)coders[i]->level_min,
			      (uint64_t)coders[i]->level_max, &level) < 0)
			return -EINVAL;
		o->level = (int)level;
		return 0;
	}
	return -EINVAL;
}

static int on_writer(void *target, const char *s, const char **why)
{
	struct dump_options *o = ((struct parsing *)target)->o;

	*why = "not auto, uring or pwrite";
	o->writer = !strcmp(s, "uring")	 ? OUTFILE_URING :
		    !strcmp(s, "pwrite") ? OUTFILE_PWRITE :
					   OUTFILE_AUTO;
	return o->writer != OUTFILE_AUTO || !strcmp(s, "auto") ? 0 : -EINVAL;
}

static int on_shard(void *target, const char *s, const char **why)
{
	struct dump_options *o = ((struct parsing *)target)->o;
	const char *slash = strchr(s, '/');
	char idx[16];

	*why = "not I/N with I from 0 to N and N from 1 to 65536";
	if (!slash || (size_t)(slash - s) >= sizeof(idx))
		return -EINVAL;
	memcpy(idx, s, (size_t)(slash - s));
	idx[slash - s] = '\0';
	if (parse_u64(slash + 1, 1, SHARDS_MAX, &o->shard_n) < 0 ||
	    parse_u64(idx, 0, o->shard_n, &o->shard_idx) < 0)
		return -EINVAL;
	/* So that they can be counted from 0 and from 1. */
	o->shard_idx %= o->shard_n;
	return 0;
}

static int on_ordered(void *target, const char *s, const char **why)
{
	struct dump_options *o = ((struct parsing *)target)->o;

	o->ordered = true;
	*why = "not a duration of at most 60 s";
	if (!*s)
		return 0;
	int r = parse_duration(s, SECOND, &o->reorder_ns);
	return r == 0 && (o->reorder_ns == 0 || o->reorder_ns > REORDER_MAX) ? -ERANGE : r;
}

static int usage(const char *what, const char *why, const char *todo)
{
	message_error(EXIT_USAGE, what, why, todo);
	return OPTIONS_BAD;
}

/* All words, by blanks. */
static char *join(char **words, int n)
{
	size_t len = 1;
	char *s, *p;

	for (int i = 0; i < n; i++)
		len += strlen(words[i]) + 1;
	s = malloc(len);
	if (!s)
		return NULL;
	p = s;
	for (int i = 0; i < n; i++) {
		if (i)
			*p++ = ' ';
		p = stpcpy(p, words[i]);
	}
	*p = '\0';
	return s;
}

/* The filter comes from one of three places. */
static int take_filter(struct parsing *p, char **words, int n)
{
	size_t len;
	int r;

	if ((p->expr != NULL) + (p->file != NULL) + (n > 0) > 1)
		return usage("filter", "given twice",
			     "use one of -f EXPR, -F FILE and words at the end");
	if (p->file) {
		r = file_read(p->file, FILTER_MAX, &p->o->filter, &len);
		if (r < 0)
			return usage(MESSAGE_TEXT("filter file %s", p->file), ncp_strerror(r), NULL);
		return OPTIONS_RUN;
	}
	if (p->expr)
		p->o->filter = strdup(p->expr);
	else if (n)
		p->o->filter = join(words, n);
	else
		return OPTIONS_RUN;
	return p->o->filter ? OPTIONS_RUN : usage("filter", ncp_strerror(-ENOMEM), NULL);
}

/* --repair: files, and no capture. */
static int take_files(struct parsing *p, char **words, int n)
{
	if (p->o->bus || p->o->write || p->expr || p->file || p->o->list)
		return usage("--repair with a capture", "it only repairs files",
			     "leave the other options out");
	if (n == 0)
		return usage("--repair", "no file", "name the files to repair");
	p->o->repair = words;
	p->o->n_repair = n;
	return OPTIONS_RUN;
}

/* What the options about several files mean together. */
static int take_rotation(struct parsing *p)
{
	struct dump_options *o = p->o;
	struct rotation_options *r = &o->rotate;
	bool tcpdumps = p->tcpdump_size || r->every_s || r->count;

	if (p->ring && tcpdumps)
		return usage("-b with -C, -G or -W", "dumpcap and tcpdump name files in two ways",
			     "use the options of one of them");
	if (r->count && !p->tcpdump_size && !r->every_s)
		return usage("-W", "it counts the files of -C or -G", "give one of them");
	if (p->stop_size && tcpdumps)
		return usage("-a filesize: with -C or -G", "a file's end is no end then",
			     "leave one of them out");
	o->ring_names = p->ring;
	o->overwrites = p->ring || tcpdumps;
	r->over = p->tcpdump_size > 0;
	if (p->tcpdump_size || (p->stop_size && (!p->ring || !r->size)))
		r->size = p->tcpdump_size ? p->tcpdump_size : p->stop_size;
	if (p->ring && !r->size && !r->duration_ns && !r->interval_s && !r->packets && !o->quota)
		return usage("-b", "nothing says when a file is full",
			     "add filesize:, duration:, interval: or packets:");
	/* A recording of --trigger is one file, of a series that all of them make. */
	o->rotating = o->overwrites || (o->quota && !o->trigger);
	if (o->quota && r->size > o->quota / 2)
		return usage("--quota", "it has no room for two files",
			     "make it at least twice the size of a file");
	if (r->stop_files && !o->rotating)
		return usage("-a files:", "there is only one", "add -b, -C or -G");
	if (p->stop_size && !o->rotating)
		r->stop_files = 1;
	else if (o->quota && !r->size && !o->trigger)
		r->size = o->quota / QUOTA_FILES;
	return OPTIONS_RUN;
}

static int check_listening(const struct dump_options *o)
{
	if (!o->allow_remote && !listen_is_local(&o->listen))
		return usage(o->write, "others than this host could read it, whoever they are",
			     "listen on 127.0.0.1, or say --allow-remote");
	if (o->trigger || o->resume || o->rotating || o->split_interfaces || o->atomic ||
	    o->no_clobber || o->coder || o->keep_free || o->command || o->print_name)
		return usage(o->write, "it is no file",
			     "leave out --resume, --trigger, --compress, --atomic, --no-clobber and "
			     "what makes several files");
	if (o->reliable || o->group)
		return usage(o->write, "nobody knows what a reader is done with",
			     o->reliable ? "leave out --reliable" : "leave out --group");
	return OPTIONS_RUN;
}

/* What there is to be done with files, and whether there are any. */
static int check_files(const struct dump_options *o)
{
	const char *what = o->rotating	 ? "-C, -G, -b or --quota" :
			   o->keep_free	 ? "--keep-free" :
			   o->command	 ? "-z" :
			   o->print_name ? "-b printname:" :
			   o->atomic	 ? "--atomic" :
			   o->split_interfaces ? "--split-interfaces" :
					   NULL;

	if ((what || o->rotate.size) && !o->write)
		return usage(what ? what : "-a filesize:", "no file is written", "name one with -w");
	if (what && !strcmp(o->write, "-"))
		return usage(MESSAGE_TEXT("-w - with %s", what),
			     "standard output is one stream, not files", "name a file with -w");
	if (o->split_interfaces && (o->resume || o->reliable || o->group))
		return usage(o->resume	 ? "--split-interfaces with --resume" :
			     o->reliable ? "--split-interfaces with --reliable" :
					   "--split-interfaces with --group",
			     "that needs one place up to which everything is saved",
			     "leave one of them out, and split with tshark afterwards");
	if (o->no_clobber && o->rotate.over && o->rotate.count)
		return usage("--no-clobber with -C and -W", "they overwrite the oldest file",
			     "leave one of them out");
	return OPTIONS_RUN;
}

static int on_trigger_limit(void *target, const char *s, const char **why)
{
	struct dump_options *o = ((struct parsing *)target)->o;
	const char *slash = strchr(s, '/');
	char n[16];

	*why = "not N/DURATION, N from 1 to 1000";
	if (!slash || (size_t)(slash - s) >= sizeof(n))
		return -EINVAL;
	memcpy(n, s, (size_t)(slash - s));
	n[slash - s] = '\0';
	int r = parse_u64(n, 1, TRIGGER_LIMIT_MAX, &o->trigger_max);
	return r < 0 ? r : parse_duration(slash + 1, SECOND, &o->trigger_per_ns);
}

static int check_trigger(const struct dump_options *o, bool around)
{
	if (!o->trigger)
		return around ? usage("--before and --after", "there is no --trigger",
				      "say with it what they are around") :
				OPTIONS_RUN;
	if (!o->write || !strcmp(o->write, "-"))
		return usage("--trigger", "there is no name for its files", "name one with -w");
	if (o->from.kind || o->to.kind || o->snapshot)
		return usage("--trigger with --from, --to or --snapshot",
			     "it decides itself from where and how far",
			     "use --before and --after");
	if (o->resume || o->group || o->reliable || o->rotating)
		return usage("--trigger with --resume, --group, --reliable or rotation",
			     "each match has a file of its own", "leave them out");
	if (o->split_interfaces && (o->quota || o->keep_free))
		return usage("--trigger with --split-interfaces and --quota or --keep-free",
			     "its files are not one series", "leave out --split-interfaces");
	return OPTIONS_RUN;
}

static int check(const struct dump_options *o)
{
	if (o->snapshot && (o->from.kind || o->to.kind))
		return usage("--snapshot with --from or --to",
			     "it means --from oldest --to now", "leave one of them out");
	if (o->resume && (!o->write || !strcmp(o->write, "-")))
		return usage("--resume", "there is no file to resume", "name one with -w");
	if (o->resume && o->snapshot)
		return usage("--resume with --snapshot", "a snapshot begins at the oldest frame",
			     "leave one of them out");
	if (o->group && (o->shard_n || o->ordered))
		return usage(o->ordered ? "--group with --ordered" : "--group with --shard",
			     "a group's members take runs of frames as they stand",
			     "leave one of them out");
	if (o->group && o->resume)
		return usage("--group with --resume", "a group keeps its place itself, in the bus",
			     "leave out --resume");
	if (o->ordered && o->resume)
		return usage("--ordered with --resume",
			     "a state is one frame number, and they come in another order",
			     "leave out --ordered, and sort the files with reordercap");
	if ((o->write != NULL) + (o->log != NULL) + (o->decode != NULL) > 1)
		return usage(o->write && o->log	   ? "-w with --log" :
			     o->write && o->decode ? "-w with --decode" :
						     "--log with --decode",
			     "frames go to one place", "start two: it costs the producer nothing");
	if (o->log && !*o->log)
		return usage("--log", "an empty name", "name a file, or - for stdout");
	if (!o->write && (o->format != FORMAT_PCAPNG || o->coder))
		return usage(o->coder ? "--compress" : "--format", "no file is written",
			     "name one with -w");
	if ((o->quota || o->keep_free) && (o->format != FORMAT_PCAPNG || o->coder))
		return usage(o->coder ? "--compress with --quota or --keep-free" :
					"--format with --quota or --keep-free",
			     "after a restart nothing in such files tells that they are of the series",
			     "write pcapng as it is");
	if (o->write && !*o->write)
		return usage("-w", "an empty name", "name a file, or - for stdout");
	return OPTIONS_RUN;
}

enum options_result dump_options_parse(struct dump_options *o, int argc, char **argv,
				       uint64_t now_ns)
{
	struct parsing p = { .o = o, .now_ns = now_ns };
	bool repair = false;
	bool ignored; /* what tcpdump needs it for does not happen here */
	const struct option_row rows[] = {
		{ .name = "interface", .letter = 'i', .type = OPTION_STRING, .target = &o->bus,
		  .arg = "BUS", .help = "the bus to read; without it, the only one there is" },
		{ .name = "list-interfaces", .letter = 'D', .type = OPTION_FLAG,
		  .target = &o->list, .help = "list the busses of this host, then leave" },
		{ .name = "repair", .type = OPTION_FLAG, .target = &repair,
		  .help = "the words are files that a killed ncp-dump left: cut them to what is whole" },
		{ .name = "write", .letter = 'w', .type = OPTION_STRING, .target = &o->write,
		  .arg = "FILE", .help = "write pcapng to FILE, - for stdout; without it, print one "
		  "line a frame" },
		{ .name = "allow-remote", .type = OPTION_FLAG, .target = &o->allow_remote,
		  .help = "-w tcp-listen: may listen where other hosts can connect" },
		{ .name = "decode", .type = OPTION_STRING, .target = &o->decode, .arg = "ARGS",
		  .otherwise = "", .help = "have tcpdump -r - ARGS (without it, tshark) print them" },
		{ .name = "log", .type = OPTION_STRING, .target = &o->log, .arg = "FILE",
		  .help = "a line for each TCP and UDP frame, saddr sport daddr dport proto, into FILE, - "
		  "for stdout" },
		{ .help = "Which frames" },
		{ .letter = 'f', .name = "filter", .type = OPTION_STRING, .target = &p.expr,
		  .arg = "EXPR", .help = "only frames that match, see pcap-filter(7); as words at "
		  "the end too" },
		{ .letter = 'F', .name = "filter-file", .type = OPTION_STRING, .target = &p.file,
		  .arg = "FILE", .help = "read the filter from FILE" },
		{ .letter = 'Q', .name = "direction", .type = OPTION_CALL, .target = &p,
		  .arg = "in|out|inout", .call = on_direction, .help = "only this direction" },
		{ .letter = 's', .name = "snapshot-length", .type = OPTION_U64,
		  .target = &o->snaplen, .arg = "N", .max = 262144,
		  .help = "at most N bytes of each frame; 0: all" },
		{ .help = "From where, how far" },
		{ .name = "from", .type = OPTION_CALL, .target = &p, .arg = "WHERE",
		  .call = on_from, .help = "begin at oldest, latest (if not given), seq:N, "
		  "-DURATION (-60s) or a time" },
		{ .name = "to", .type = OPTION_CALL, .target = &p, .arg = "WHERE", .call = on_to,
		  .help = "end at now, before frame seq:N, or after the last frame of a time" },
		{ .name = "snapshot", .type = OPTION_FLAG, .target = &o->snapshot,
		  .help = "--from oldest --to now: what the ring holds" },
		{ .name = "count", .letter = 'c', .type = OPTION_U64, .target = &o->count,
		  .arg = "N", .min = 1, .help = "end after N frames" },
		{ .letter = 'a', .name = "autostop", .type = OPTION_CALL, .target = &p,
		  .arg = "WHEN", .call = on_stop,
		  .help = "end at duration:SECONDS, filesize:KB, packets:N or files:N" },
		{ .name = "wait", .type = OPTION_FLAG, .target = &o->wait,
		  .help = "wait for the bus if there is none yet" },
		{ .name = "exit-on-close", .type = OPTION_FLAG, .target = &o->exit_on_close,
		  .help = "end also when the producer stops, dies or is replaced" },
		{ .name = "reliable", .type = OPTION_FLAG, .target = &o->reliable,
		  .help = "have the producer wait for what is not written yet; needs a bus that is "
		  "--reliable" },
		{ .name = "ordered", .type = OPTION_CALL, .target = &p, .arg = "WINDOW",
		  .otherwise = "", .call = on_ordered,
		  .help = "in the order of their times, as far as they are displaced by less than "
		  "WINDOW; 50ms if not given" },
		{ .help = "Together with others" },
		{ .name = "shard", .type = OPTION_CALL, .target = &p, .arg = "I/N",
		  .call = on_shard, .help = "only the flows of part I of N: both directions, all "
		  "fragments" },
		{ .name = "group", .type = OPTION_STRING, .target = &o->group, .arg = "NAME",
		  .help = "share the frames with the other members of this group; who dies is "
		  "stood in for" },
		{ .help = "One file after the other" },
		{ .letter = 'C', .type = OPTION_SIZE, .target = &p.tcpdump_size,
		  .arg = "SIZE", .unit = MB, .min = 1, .help = "the next file, FILE1, FILE2..., when "
		  "one is larger than so many million bytes" },
		{ .letter = 'G', .type = OPTION_U64, .target = &o->rotate.every_s,
		  .arg = "SECONDS", .min = 1, .max = UINT32_MAX,
		  .help = "the next file every so often; FILE is a form for strftime(3)" },
		{ .letter = 'W', .type = OPTION_U64, .target = &o->rotate.count,
		  .arg = "COUNT", .min = 1, .max = UINT32_MAX,
		  .help = "with -C: so many files, the oldest is overwritten; with -G: end after so "
		  "many" },
		{ .letter = 'b', .name = "ring-buffer", .type = OPTION_CALL, .target = &p,
		  .arg = "KEY:VALUE", .call = on_ring, .help = "the next file, FILE_00001_TIME..., at "
		  "filesize:KB, duration:S, interval:S or packets:N; keep files:N; printname:FILE" },
		{ .name = "quota", .type = OPTION_SIZE, .target = &o->quota, .arg = "SIZE",
		  .min = QUOTA_MIN, .help = "delete the oldest files when all have SIZE bytes" },
		{ .name = "keep-free", .type = OPTION_SIZE, .target = &o->keep_free, .arg = "SIZE",
		  .min = 1, .help = "delete the oldest files when less than SIZE bytes are free" },
		{ .letter = 'z', .type = OPTION_STRING, .target = &o->command,
		  .arg = "COMMAND", .help = "run COMMAND FILE for each file that is closed" },
		{ .name = "atomic", .type = OPTION_FLAG, .target = &o->atomic,
		  .help = "write FILE.part, and call it FILE when it is complete" },
		{ .name = "split-interfaces", .type = OPTION_FLAG, .target = &o->split_interfaces,
		  .help = "a series of files for each interface, FILE_INTERFACE..." },
		{ .name = "utc", .type = OPTION_FLAG, .target = &o->utc,
		  .help = "times in names are UTC" },
		{ .help = "Around what happens" },
		{ .name = "trigger", .type = OPTION_STRING, .target = &o->trigger, .arg = "EXPR",
		  .help = "watch, and save what is around each frame that matches, in a file of its "
		  "own" },
		{ .name = "before", .type = OPTION_DURATION, .target = &o->before_ns,
		  .arg = "DURATION", .unit = SECOND, .help = "from so long before it; 30s if not given" },
		{ .name = "after", .type = OPTION_DURATION, .target = &o->after_ns,
		  .arg = "DURATION", .unit = SECOND, .help = "to so long after the last one; 10s if not "
		  "given" },
		{ .name = "trigger-limit", .type = OPTION_CALL, .target = &p, .arg = "N/DURATION",
		  .call = on_trigger_limit, .help = "at most N files in that time; 10/1m if not given" },
		{ .help = "The file" },
		{ .name = "format", .type = OPTION_CALL, .target = &p,
		  .arg = "pcapng|pcap|nsec-pcap", .call = on_format,
		  .help = "its format; pcap and nsec-pcap hold one link type, and no gaps" },
		{ .name = "nano", .type = OPTION_FLAG, .target = &p.nano,
		  .help = "nsec-pcap, unless --format says pcapng" },
		{ .name = "compress", .type = OPTION_CALL, .target = &p,
		  .arg = "zstd|lz4[:LEVEL]", .call = on_compress, .help = "compress it" },
		{ .name = "resume", .type = OPTION_STRING, .target = &o->resume, .arg = "STATEFILE",
		  .help = "go on where the last run's STATEFILE says, and keep it" },
		{ .name = "no-clobber", .type = OPTION_FLAG, .target = &o->no_clobber,
		  .help = "do not overwrite FILE" },
		{ .name = "sync", .type = OPTION_CALL, .target = &p, .arg = "WHEN", .call = on_sync,
		  .help = "make it durable: none, close (if not given), or every so many seconds" },
		{ .name = "writer", .type = OPTION_CALL, .target = &p, .arg = "auto|uring|pwrite",
		  .call = on_writer, .help = "how it is written; auto: io_uring where it is allowed" },
		{ .name = "iobuf", .type = OPTION_SIZE, .target = &o->iobuf, .arg = "SIZE",
		  .min = IOBUF_MIN, .max = IOBUF_MAX, .help = "bytes of one write; 1M if not given" },
		{ .name = "packet-buffered", .letter = 'U', .type = OPTION_FLAG,
		  .target = &o->packet_buffered,
		  .help = "hand frames on as soon as there is no further one" },
		{ .name = "line-buffered", .letter = 'l', .type = OPTION_FLAG,
		  .target = &o->line_buffered, .help = "the same for printed lines" },
		{ .help = "Reports" },
		{ .name = "json", .type = OPTION_STRING, .target = &o->json, .arg = "FILE",
		  .otherwise = "-", .help = "the summary and errors as JSON, on stderr or in FILE" },
		{ .name = "strict", .type = OPTION_FLAG, .target = &o->strict,
		  .help = "exit with 4 if frames were lost" },
		{ .letter = 'q', .name = "quiet", .type = OPTION_FLAG, .target = &o->quick,
		  .help = "say nothing but errors" },
		{ .help = "Where busses are" },
		{ .name = "dir", .type = OPTION_STRING, .target = &o->dir, .arg = "DIR",
		  .help = "their directory; $NCP_DIR, else /dev/shm" },
		{ .name = "trust-owner", .type = OPTION_STRING, .target = &o->trust,
		  .arg = "USER,...", .help = "believe busses of these users too; $NCP_TRUST" },
		{ .help = "Rights" },
		{ .letter = 'Z', .name = "relinquish-privileges", .type = OPTION_STRING,
		  .target = &o->user, .arg = "USER",
		  .help = "if root, become USER when bus and file are open" },
		{ .help = "Accepted without effect, as nothing is looked up, checked or switched" },
		{ .letter = 'n', .type = OPTION_FLAG, .target = &o->numeric,
		  .help = "no names; handed on by --decode" },
		{ .letter = 'K', .name = "dont-verify-checksums", .type = OPTION_FLAG,
		  .target = &ignored, .help = "no checksums" },
		{ .letter = 'p', .name = "no-promiscuous-mode", .type = OPTION_FLAG,
		  .target = &ignored, .help = "the producer decides that" },
		{ 0 },
	};
	const struct options table = {
		.program = "ncp-dump",
		.version = NCP_VERSION,
		.usage = "[-i BUS] [-w FILE] [options] [filter expression]\n-D\n--repair FILE...",
		.purpose = "Writes the frames of a capture bus to a file, or prints them.",
		.rows = rows,
	};
	int n_words;

	*o = (struct dump_options){ .sync = SYNC_CLOSE, .iobuf = IOBUF, .before_ns = UINT64_MAX,
				    .after_ns = UINT64_MAX, .trigger_max = 10,
				    .trigger_per_ns = 60 * SECOND };
	enum options_result r = options_parse(&table, argc, argv, &n_words);
	if (r == OPTIONS_RUN && p.nano && o->write &&
	    (!p.format || o->format == FORMAT_PCAP))
		o->format = FORMAT_NSEC_PCAP;
	bool around = o->before_ns != UINT64_MAX || o->after_ns != UINT64_MAX;
	if (o->before_ns == UINT64_MAX)
		o->before_ns = 30 * SECOND;
	if (o->after_ns == UINT64_MAX)
		o->after_ns = 10 * SECOND;
	if (r == OPTIONS_RUN && o->write && !strncmp(o->write, LISTEN_PREFIX, strlen(LISTEN_PREFIX))) {
		o->listening = true;
		if (listen_parse(o->write + strlen(LISTEN_PREFIX), &o->listen) < 0)
			r = usage(o->write, "not tcp-listen:ADDR:PORT",
				  "name an IPv4 address, an IPv6 one in [], or only a port");
	}
	if (r == OPTIONS_RUN)
		r = check(o);
	if (r == OPTIONS_RUN)
		r = take_rotation(&p);
	if (r == OPTIONS_RUN)
		r = check_trigger(o, around);
	if (r == OPTIONS_RUN)
		r = check_files(o);
	if (r == OPTIONS_RUN && o->listening)
		r = check_listening(o);
	if (r == OPTIONS_RUN && repair)
		r = take_files(&p, argv + 1, n_words);
	else if (r == OPTIONS_RUN)
		r = take_filter(&p, argv + 1, n_words);
	if (r != OPTIONS_RUN)
		return r;
	if (o->snapshot) {
		o->from.kind = WHERE_OLDEST;
		o->to.kind = WHERE_LATEST;
	}
	o->iobuf = (o->iobuf + 4095) & ~UINT64_C(4095);
	if (o->snaplen >= 262144)
		o->snaplen = 0;
	return r;
}
