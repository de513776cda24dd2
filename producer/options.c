/* SPDX-License-Identifier: BSD-2-Clause */
/* options.c - ncp-producer's command line, checked and made into what the rest works with. */
#include "producer/options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libncpbus/include/ncpbus.h"
#include "producer/size.h"
#include "util/message.h"
#include "util/parse.h"

#define BATCH_DEFAULT 1024u
/* Kernel blocks are handed over and clients woken at most this long after a frame came: what a
 * person calls at once, and a hundred wake-ups a second. */
#define RETIRE_MS_DEFAULT 10u
#define RELIABLE_TIMEOUT_MS_DEFAULT 5000u

/* What the table's rows fill in before it is checked as a whole. */
struct given {
	struct producer_options *o;
	const char *interface[NCPI_WORKERS], *filter_file, *from, *to;
	unsigned n_interfaces;
	uint64_t ring_size, history_ns, rate_bps, snaplen, batch, retire_ms, workers;
	int fanout; /* PACKET_NO_FANOUT: not given */
	bool no_promiscuous;
};

/* --- pure parts ----------------------------------------------------------------------------- */

char *options_source_cut(char *list)
{
	const char *spec;
	const struct source_ops *ops = source_find(list, &spec);
	char *comma = strchr(list, ',');

	/* An unknown word before a colon is said to be that, whatever follows. */
	if (!comma || (ops && ops->commas))
		return NULL;
	*comma = '\0';
	return comma + 1;
}

int options_speed(const char *text, double *times, double *pps)
{
	char *end;

	if (strcmp(text, "max") == 0) {
		*times = *pps = 0;
		return 0;
	}
	/* Digits and a point only: strtod() takes hex, exponents and "inf", too. */
	double n = strtod(text, &end);
	if (end == text || end != text + strspn(text, "0123456789."))
		return -EINVAL;
	bool rate = strcmp(end, "pps") == 0 || strcmp(end, " pps") == 0;
	if (!rate && *end && strcmp(end, "x") != 0)
		return -EINVAL;
	if (n <= 0 || n > 1e9)
		return -ERANGE;
	*times = rate ? 0 : n;
	*pps = rate ? n : 0;
	return 0;
}

/* --- rows that need a closer look ----------------------------------------------------------- */

static int take_interface(void *target, const char *arg, const char **why)
{
	struct given *g = target;

	if (g->n_interfaces == NCPI_WORKERS) {
		*why = "too many";
		return -EINVAL;
	}
	g->interface[g->n_interfaces++] = arg;
	return 0;
}

static int take_fanout(void *target, const char *arg, const char **why)
{
	int *fanout = target;

	*fanout = packet_fanout_flags(arg);
	*why = "none of hash, cpu, lb, qm";
	return *fanout == PACKET_NO_FANOUT ? -EINVAL : 0;
}

static int take_direction(void *target, const char *arg, const char **why)
{
	uint32_t *direction = target;

	if (strcmp(arg, "in") == 0)
		*direction = NCP_INBOUND;
	else if (strcmp(arg, "out") == 0)
		*direction = NCP_OUTBOUND;
	else if (strcmp(arg, "inout") == 0)
		*direction = 0;
	else {
		*why = "none of in, out, inout";
		return -EINVAL;
	}
	return 0;
}

static int take_address(void *target, const char *arg, const char **why)
{
	unsigned char binary[16];

	if (inet_pton(AF_INET, arg, binary) != 1 && inet_pton(AF_INET6, arg, binary) != 1) {
		*why = "not an IPv4 or IPv6 address";
		return -EINVAL;
	}
	*(const char **)target = arg;
	return 0;
}

static int take_speed(void *target, const char *arg, const char **why)
{
	struct source_options *src = target;

	*why = "none of max, a factor, a number of frames a second (1000pps)";
	return options_speed(arg, &src->speed, &src->speed_pps);
}

static int take_rate(void *target, const char *arg, const char **why)
{
	*why = "not a rate in bits a second (digits, then K, M, G, T or nothing)";
	return parse_rate(arg, target);
}

static int take_json(void *target, const char *arg, const char **why)
{
	struct producer_options *o = target;

	(void)why;
	o->json = true;
	o->json_file = *arg ? arg : NULL;
	return 0;
}

/* --- the command line as a whole ------------------------------------------------------------ */

static enum options_result bad(const char *what, const char *why, const char *todo)
{
	message_error(EXIT_USAGE, what, why, todo);
	return OPTIONS_BAD;
}

/* One SOURCE more. */
static enum options_result add_source(struct producer_options *o, const char *text)
{
	struct source_arg *arg = &o->arg[o->n_args];

	if (o->n_args == NCPI_WORKERS)
		return bad("SOURCE", MESSAGE_TEXT("more than %u", NCPI_WORKERS),
			   "use several busses");
	*arg = (struct source_arg){ .text = text };
	arg->ops = source_find(text, &arg->spec);
	if (!*text)
		return bad("SOURCE", "an empty name in the list", "leave out what is between the commas");
	if (!arg->ops)
		return bad(MESSAGE_TEXT("source %s", text), "no such kind of source",
			   "ncp-producer --help lists them");
	for (uint32_t i = 0; i < o->n_args; i++)
		if (o->arg[i].ops == arg->ops && arg->ops->live &&
		    strcmp(o->arg[i].spec, arg->spec) == 0)
			return bad(MESSAGE_TEXT("source %s", text),
				   "given twice: each of its frames would be published twice",
				   "give it once");
	o->n_args++;
	return OPTIONS_RUN;
}

/* The sources as one text, for messages. */
static char *sources_join(const struct given *g)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	for (unsigned i = 0; i < g->n_interfaces; i++)
		fprintf(f, "%s%s", i ? "," : "", g->interface[i]);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static enum options_result settle_source(struct given *g, char **argv, int n_words)
{
	struct producer_options *o = g->o;

	if (!g->n_interfaces && n_words)
		g->interface[g->n_interfaces++] = argv[1];
	if (!g->n_interfaces)
		return bad("SOURCE", "not given",
			   "name an interface, or see ncp-producer --help for the others");
	o->source = sources_join(g);
	for (unsigned i = 0; i < g->n_interfaces; i++) {
		char *piece = o->pieces[i] = strdup(g->interface[i]);

		if (!piece || !o->source)
			return bad("SOURCE", "no memory", NULL);
		while (piece) {
			char *next = options_source_cut(piece);
			enum options_result r = add_source(o, piece);

			if (r != OPTIONS_RUN)
				return r;
			piece = next;
		}
	}
	return OPTIONS_RUN;
}

static enum options_result settle_workers(struct given *g)
{
	struct producer_options *o = g->o;

	o->src.workers = (uint32_t)g->workers;
	o->src.fanout = g->fanout == PACKET_NO_FANOUT ? packet_fanout_flags("hash") : g->fanout;
	if (g->workers == 1 && g->fanout != PACKET_NO_FANOUT)
		return bad("--fanout", "only with several workers", "give --workers 2 or more, too");
	for (uint32_t i = 0; g->workers > 1 && i < o->n_args; i++)
		if (!o->arg[i].ops->member)
			return bad("--workers",
				   MESSAGE_TEXT("source %s: its frames come one after the other",
						o->arg[i].text),
				   "leave it out, or give interfaces only");
	if (o->n_args * g->workers > NCPI_WORKERS)
		return bad("--workers",
			   MESSAGE_TEXT("%u sources with %u workers each are more than %u threads",
					o->n_args, o->src.workers, NCPI_WORKERS),
			   "ask for fewer");
	return OPTIONS_RUN;
}

static enum options_result settle_filter(struct given *g, char **words)
{
	struct producer_options *o = g->o;
	char why[SOURCE_WHY_CAP];

	o->filter_from = (struct filter_text){ .words = (const char *const *)words,
					       .file = g->filter_file,
					       .from = g->from,
					       .to = g->to };
	if (g->filter_file && *words)
		return bad("filter", "given by -F and by words", "use one of them");
	if (filter_text_make(&o->filter_from, false, &o->filter, why) < 0) {
		message_error_text(EXIT_USAGE, why);
		return OPTIONS_BAD;
	}
	o->src.filter = *o->filter ? o->filter : NULL;
	return OPTIONS_RUN;
}

static enum options_result settle_bus(struct given *g, const char *name)
{
	struct producer_options *o = g->o;
	bool named = name != NULL;
	char in_netns[MESSAGE_CAP];
	const char *source;

	if (!name && o->n_args > 1)
		return bad("bus", "several sources have no name of their own", "give one with -b");
	source = o->arg->ops->names_bus ? o->arg->spec : o->arg->ops->kind;
	if (!name)
		name = o->netns ? message_text(in_netns, "%s.%s", o->netns, source) : source;
	if (ncpi_name_check(name) < 0)
		return bad(MESSAGE_TEXT("bus %s", name),
			   named ? ncp_strerror(NCP_ENAME) : "the interface's name is no bus name",
			   named ? "choose another name" : "give one with -b");
	snprintf(o->bus, sizeof(o->bus), "%s", name);
	return OPTIONS_RUN;
}

static enum options_result settle_size(struct given *g)
{
	struct producer_options *o = g->o;

	if (!g->history_ns != !g->rate_bps)
		return bad(g->rate_bps ? "--rate" : "--history", "only together",
			   "give both: --history 60s --rate 1G");
	if (g->ring_size && g->history_ns)
		return bad("-m", "not together with --history", "use one of them");
	o->ring_asked = g->ring_size;
	o->ring_size = g->ring_size ? size_round_up(g->ring_size)
		       : g->history_ns ? size_history(g->history_ns, g->rate_bps)
				       : 0;
	/* A position has 64 bits, an off_t 63, and the ring is mapped twice. */
	if (o->ring_size > UINT64_C(1) << 45)
		return bad("ring size", "more than 32 TiB", "ask for less");
	if (o->ring_size && o->ring_size < NCPI_RING_MIN)
		o->ring_size = NCPI_RING_MIN;
	return OPTIONS_RUN;
}

static enum options_result settle(struct given *g, const char *bus, char **argv, int n_words)
{
	struct producer_options *o = g->o;
	const bool by_option = g->n_interfaces;
	enum options_result r = settle_source(g, argv, n_words);

	if (r == OPTIONS_RUN)
		r = settle_filter(g, argv + 1 + !by_option);
	if (r == OPTIONS_RUN)
		r = settle_workers(g);
	if (r == OPTIONS_RUN)
		r = settle_bus(g, bus);
	if (r == OPTIONS_RUN)
		r = settle_size(g);
	if (r != OPTIONS_RUN)
		return r;
	if (o->keep && o->unlink)
		return bad("--keep", "not together with --unlink", "use one of them");
	if (o->reliable && o->wait_clients > o->max_reliable)
		return bad("--wait-clients", "more than --max-reliable allows",
			   "raise --max-reliable");
	o->src.snaplen = g->snaplen ? (uint32_t)g->snaplen : NCPI_SNAPLEN;
	o->src.batch = (uint32_t)g->batch;
	o->src.retire_ms = (uint32_t)g->retire_ms;
	o->src.promiscuous = !g->no_promiscuous;
	o->src.reliable = o->reliable;
	o->src.bus = o->bus;
	o->src.dir = o->dir;
	return OPTIONS_RUN;
}

/* The help's first lines: the kinds of sources speak for themselves.  NULL: no memory. */
static char *purpose(void)
{
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	fprintf(f, "Takes frames from SOURCE once and publishes them on a bus that many programs read."
		   "\n\nSOURCE is one of:");
	for (size_t i = 0; source_kinds[i]; i++)
		fprintf(f, "\n  %s", source_kinds[i]->usage);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

/* Errors are objects from the first one on, wherever --json stands. */
static bool json_first(char **argv)
{
	for (; *argv && strcmp(*argv, "--"); argv++)
		if (strcmp(*argv, "--json") == 0)
			return true;
	return false;
}

enum options_result producer_options_read(int argc, char **argv, struct producer_options *o)
{
	struct given g = { .o = o, .batch = BATCH_DEFAULT, .retire_ms = RETIRE_MS_DEFAULT,
			   .workers = 1, .fanout = PACKET_NO_FANOUT };
	const char *bus = NULL;
	int n_words;

	*o = (struct producer_options){ .max_reliable = 64,
					 .numa = UINT64_MAX,
					 .reliable_timeout_ms = RELIABLE_TIMEOUT_MS_DEFAULT,
					 .src.loop = 1 };
	const struct option_row rows[] = {
		{ .help = "What to capture" },
		{ "interface", 'i', OPTION_CALL, &g, "SOURCE", .call = take_interface,
		  .help = "a source, once or more; all words are the filter then" },
		{ NULL, 'F', OPTION_STRING, &g.filter_file, "FILE",
		  .help = "read the filter expression from a file" },
		{ "from", 0, OPTION_CALL, &g.from, "IP", .call = take_address,
		  .help = "short for the filter: src host IP" },
		{ "to", 0, OPTION_CALL, &g.to, "IP", .call = take_address,
		  .help = "short for the filter: dst host IP" },
		{ "direction", 'Q', OPTION_CALL, &o->src.direction, "in|out|inout",
		  .call = take_direction, .help = "frames of one direction only" },
		{ "snaplen", 's', OPTION_U64, &g.snaplen, "N", .max = NCPI_SNAPLEN,
		  .help = "keep at most N bytes of a frame; 262144 (as does 0)" },
		{ "no-promiscuous-mode", 'p', OPTION_FLAG, &g.no_promiscuous,
		  .help = "do not put the interface into promiscuous mode" },
		{ "count", 'c', OPTION_U64, &o->count, "N", .min = 1,
		  .help = "end the bus after N frames" },
		{ "kernel-buffer", 'B', OPTION_SIZE, &o->src.kernel_buffer, "SIZE", .unit = 1024,
		  .min = 65536, .max = UINT64_C(1) << 40,
		  .help = "the kernel's own ring; a bare number is KiB" },
		{ "workers", 0, OPTION_U64, &g.workers, "N", .min = 1, .max = NCPI_WORKERS,
		  .help = "share each interface's frames among N threads; 1" },
		{ "fanout", 0, OPTION_CALL, &g.fanout, "hash|cpu|lb|qm", .call = take_fanout,
		  .help = "how: by flow (default), by receiving processor, in turn, by queue" },
		{ "wait", 0, OPTION_FLAG, &o->src.wait,
		  .help = "wait for a source that is not there" },
		{ "immediate-mode", 0, OPTION_FLAG, &o->src.immediate,
		  .help = "publish each frame at once and wake clients for it" },
		{ "hwtime", 0, OPTION_FLAG, &o->src.hwtime,
		  .help = "times by the interface's own clock, where it has one" },
		{ "busy-poll", 0, OPTION_FLAG, &o->src.busy,
		  .help = "look for frames all the time instead of sleeping: a processor per worker" },
		{ "netns", 0, OPTION_STRING, &o->netns, "NAME",
		  .help = "capture in another network namespace, of ip netns or a path" },
		{ "speed", 0, OPTION_CALL, &o->src, "max|X|PPSpps", .call = take_speed,
		  .help = "file: as fast as it goes (default), X times the original pace, or so "
			  "many frames a second" },
		{ "loop", 0, OPTION_U64, &o->src.loop, "N",
		  .help = "file: play it N times; 0: without end" },
		{ "list-interfaces", 'D', OPTION_FLAG, &o->list_interfaces,
		  .help = "list the interfaces, devices and busses there are, and exit" },
		{ .help = "The bus" },
		{ "bus", 'b', OPTION_STRING, &bus, "NAME",
		  .help = "its name; default: the interface's, else the kind of source" },
		{ "ring-size", 'm', OPTION_SIZE, &g.ring_size, "SIZE", .unit = 1, .min = 1,
		  .max = UINT64_C(1) << 45,
		  .help = "bytes of the ring, rounded up to a power of two; default: an existing "
			  "bus keeps its own, a new one has at most 256M" },
		{ "history", 0, OPTION_DURATION, &g.history_ns, "TIME", .min = 1,
		  .help = "size the ring by how much it should remember, with --rate" },
		{ "rate", 0, OPTION_CALL, &g.rate_bps, "BPS", .call = take_rate,
		  .help = "bits a second on the wire, for --history" },
		{ "group", 'g', OPTION_STRING, &o->group, "GROUP",
		  .help = "who may read; default: ncp, if there is such a group" },
		{ "dir", 0, OPTION_STRING, &o->dir, "DIR",
		  .help = "where the busses are; default: $NCP_DIR, else /dev/shm" },
		{ "batch", 0, OPTION_U64, &g.batch, "N", .min = 1, .max = 65536,
		  .help = "publish at most N frames at once; 1024" },
		{ "retire-ms", 0, OPTION_U64, &g.retire_ms, "N", .min = 1, .max = 10000,
		  .help = "publish and wake clients at most N ms after a frame came; 10" },
		{ "mlock", 0, OPTION_FLAG, &o->mlock,
		  .help = "keep the ring from being swapped out" },
		{ "numa", 0, OPTION_U64, &o->numa, "NODE", .max = 1023,
		  .help = "have memory and threads on this NUMA node" },
		{ "keep", 0, OPTION_FLAG, &o->keep,
		  .help = "leave the bus in place at the end, whatever ended it" },
		{ "unlink", 0, OPTION_FLAG, &o->unlink,
		  .help = "remove the bus at the end, whatever ended it" },
		{ "remove", 0, OPTION_STRING, &o->remove, "BUS",
		  .help = "remove a bus that no producer runs, and exit" },
		{ .help = "Clients" },
		{ "reliable", 0, OPTION_FLAG, &o->reliable,
		  .help = "wait for the clients that ask for it" },
		{ "reliable-timeout", 0, OPTION_U64, &o->reliable_timeout_ms, "MS", .min = 1,
		  .max = 3600000, .help = "one that stalls longer is waited for no more; 5000" },
		{ "max-reliable", 0, OPTION_U64, &o->max_reliable, "N", .min = 1,
		  .max = NCPI_RELIABLE_MAX, .help = "how many can be waited for; 64" },
		{ "wait-clients", 0, OPTION_U64, &o->wait_clients, "N", .max = 65536,
		  .help = "begin when N clients are attached (with --reliable: granted)" },
		{ .help = "The program" },
		{ "user", 'Z', OPTION_STRING, &o->user, "USER",
		  .help = "whom to become; default: ncp, else a uid that nobody has" },
		{ "json", 0, OPTION_CALL, o, "FILE", .otherwise = "", .call = take_json,
		  .help = "status lines and messages as JSON, on stderr or to a file" },
		{ 0 },
	};
	char *about = purpose();
	if (!about)
		return bad("help", "no memory", NULL);
	const struct options table = {
		.program = "ncp-producer",
		.version = NCP_VERSION,
		.usage = "[options] SOURCE[,SOURCE...] [filter expression]\n"
			 "[options] -i SOURCE [-i SOURCE...] [filter expression]\n"
			 "-D | --remove BUS",
		.purpose = about,
		.rows = rows,
	};
	if (json_first(argv))
		message_json(stderr);
	enum options_result r = options_parse(&table, argc, argv, &n_words);
	free(about);
	if (r == OPTIONS_RUN && !o->list_interfaces && !o->remove)
		r = settle(&g, bus, argv, n_words);
	return r;
}

void producer_options_free(struct producer_options *o)
{
	free(o->filter);
	free(o->source);
	o->filter = o->source = NULL;
	for (unsigned i = 0; i < NCPI_WORKERS; i++) {
		free(o->pieces[i]);
		o->pieces[i] = NULL;
	}
}
