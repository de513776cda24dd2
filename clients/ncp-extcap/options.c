/* SPDX-License-Identifier: BSD-2-Clause */
/* options.c - ncp-extcap's command line, and the one it makes of it for ncp-dump. */
#include "options.h"

#include <errno.h>
#include <ncpbus.h>
#include <stdio.h>
#include <string.h>

#include "util/message.h"

static int usage(const char *what, const char *why, const char *todo)
{
	message_error(EXIT_USAGE, what, why, todo);
	return OPTIONS_BAD;
}

static const char *given(const char *s)
{
	return s && *s ? s : NULL;
}

enum options_result extcap_options_parse(struct extcap_options *o, int argc, char **argv)
{
	bool interfaces = false, dlts = false, config = false, capture = false;
	const char *version = NULL, *interface = NULL;
	const struct option_row rows[] = {
		{ .help = "What Wireshark asks" },
		{ .name = "extcap-interfaces", .type = OPTION_FLAG, .target = &interfaces,
		  .help = "list the busses of this host" },
		{ .name = "extcap-version", .type = OPTION_STRING, .target = &version,
		  .arg = "VERSION", .otherwise = "",
		  .help = "the asking program's version; alone: print ours" },
		{ .name = "extcap-interface", .type = OPTION_STRING, .target = &interface,
		  .arg = "ncp:BUS", .help = "which bus the following are about" },
		{ .name = "extcap-dlts", .type = OPTION_FLAG, .target = &dlts,
		  .help = "list its link types" },
		{ .name = "extcap-config", .type = OPTION_FLAG, .target = &config,
		  .help = "list the options of a capture" },
		{ .name = "extcap-capture-filter", .type = OPTION_STRING, .target = &o->filter,
		  .arg = "EXPR", .help = "with --capture: only frames that match; without: say "
		  "what is wrong with it" },
		{ .name = "capture", .type = OPTION_FLAG, .target = &capture,
		  .help = "capture, by ncp-dump" },
		{ .name = "fifo", .type = OPTION_STRING, .target = &o->fifo, .arg = "FILE",
		  .help = "write the frames there" },
		{ .help = "Options of a capture" },
		{ .name = "from", .type = OPTION_STRING, .target = &o->from, .arg = "WHERE",
		  .help = "begin at latest (if not given), oldest, -60s or a time, as ncp-dump "
		  "has it" },
		{ .name = "filter", .type = OPTION_STRING, .target = &o->also, .arg = "EXPR",
		  .help = "only frames that match, see pcap-filter(7)" },
		{ .name = "snaplen", .type = OPTION_U64, .target = &o->snaplen, .arg = "N",
		  .max = 262144, .help = "at most N bytes of each frame; 0: all" },
		{ .name = "direction", .type = OPTION_STRING, .target = &o->direction,
		  .arg = "in|out|inout", .help = "only frames received, or sent" },
		{ .help = "This program" },
		{ 0 },
	};
	const struct options table = {
		.program = "ncp-extcap",
		.version = NCP_VERSION,
		.usage = "--extcap-interfaces\n"
			 "--extcap-interface ncp:BUS --extcap-dlts | --extcap-config\n"
			 "--extcap-interface ncp:BUS --capture --fifo FILE [options]",
		.purpose = "Shows capture busses to Wireshark and its relatives as interfaces.",
		.rows = rows,
	};
	int n_words;

	*o = (struct extcap_options){ 0 };
	enum options_result r = options_parse(&table, argc, argv, &n_words);
	if (r != OPTIONS_RUN)
		return r;
	if (n_words)
		return usage(argv[1], "not understood", "see --help");
	o->filter = given(o->filter);
	o->also = given(o->also);
	o->from = given(o->from);
	o->direction = given(o->direction);
	if (interfaces) {
		o->task = TASK_INTERFACES;
		return OPTIONS_RUN;
	}
	if (version && !interface) {
		o->task = TASK_VERSION;
		return OPTIONS_RUN;
	}
	if (!interface)
		return usage("nothing to do", "Wireshark calls this program with options of its own",
			     "try --extcap-interfaces, or ncp-dump");
	if (strncmp(interface, EXTCAP_PREFIX, strlen(EXTCAP_PREFIX)) != 0)
		return usage(interface, "no interface of this program", "they begin with " EXTCAP_PREFIX);
	o->bus = interface + strlen(EXTCAP_PREFIX);
	if (dlts + config + capture > 1)
		return usage("--extcap-dlts, --extcap-config and --capture", "more than one of them",
			     "give one");
	if (capture && !given(o->fifo))
		return usage("--capture", "nowhere to write to", "name a FIFO or a file with --fifo");
	if (!dlts && !config && !capture && !o->filter)
		return usage(interface, "nothing to do with it", "see --help");
	o->task = dlts	    ? TASK_DLTS :
		  config    ? TASK_CONFIG :
		  capture   ? TASK_CAPTURE :
			      TASK_FILTER;
	return OPTIONS_RUN;
}

int extcap_words(const struct extcap_options *o, const char *words[EXTCAP_WORDS],
		 char text[EXTCAP_TEXT])
{
	const char *filter = o->filter ? o->filter : o->also;
	int n = 0, len, used;

	words[n++] = "ncp-dump";
	words[n++] = "-i";
	words[n++] = o->bus;
	words[n++] = "-w";
	words[n++] = "-"; /* what was opened as standard output */
	words[n++] = "-q";
	words[n++] = "--from";
	words[n++] = o->from ? o->from : "latest";
	used = snprintf(text, EXTCAP_TEXT, "%llu", (unsigned long long)o->snaplen) + 1;
	if (o->snaplen) {
		words[n++] = "-s";
		words[n++] = text;
	}
	if (o->direction) {
		words[n++] = "-Q";
		words[n++] = o->direction;
	}
	if (o->filter && o->also) {
		filter = text + used;
		len = snprintf(text + used, (size_t)(EXTCAP_TEXT - used), "(%s) and (%s)", o->filter,
			       o->also);
		if (len >= EXTCAP_TEXT - used)
			return -E2BIG;
	}
	if (filter) {
		words[n++] = "-f";
		words[n++] = filter;
	}
	words[n] = NULL;
	return 0;
}
