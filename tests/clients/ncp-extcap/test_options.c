/* SPDX-License-Identifier: BSD-2-Clause */
/* test_options.c - ncp-extcap's command line, what it makes of it for ncp-dump, what it prints. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clients/ncp-extcap/options.h"
#include "clients/ncp-extcap/sentences.h"
#include "tap/tap.h"
#include "util/message.h"

static char said[4096];

/* Parses a line of words; what is said goes to said. */
static enum options_result parse(struct extcap_options *o, const char *line)
{
	static char copy[512];
	char *argv[32] = { "ncp-extcap" };
	int argc = 1;
	FILE *f = fmemopen(said, sizeof(said), "w");

	snprintf(copy, sizeof(copy), "%s", line);
	for (char *w = strtok(copy, " "); w; w = strtok(NULL, " "))
		argv[argc++] = strcmp(w, "''") ? w : "";
	argv[argc] = NULL;
	message_json(f);
	enum options_result r = extcap_options_parse(o, argc, argv);
	message_json(NULL);
	fclose(f);
	return r;
}

static void refuses(const char *line, const char *what)
{
	struct extcap_options o;

	said[0] = '\0';
	is_i64(OPTIONS_BAD, parse(&o, line), "refuses %s", *line ? line : "no words");
	ok(strstr(said, what) != NULL, "and says: %s", what);
}

/* The words for a capture, by blanks. */
static const char *words_of(const char *line)
{
	static char text[EXTCAP_TEXT], out[4096];
	const char *words[EXTCAP_WORDS];
	struct extcap_options o;

	out[0] = '\0';
	if (parse(&o, line) != OPTIONS_RUN || o.task != TASK_CAPTURE ||
	    extcap_words(&o, words, text) < 0)
		return "refused";
	for (int i = 0; words[i]; i++) {
		strcat(out, i ? " " : "");
		strcat(out, words[i]);
	}
	return out;
}

static const char *printed(void (*print)(FILE *f, uint32_t n), uint32_t n)
{
	static char out[512];
	FILE *f = fmemopen(out, sizeof(out), "w");

	print(f, n);
	fclose(f);
	return out;
}

int main(void)
{
	static char text[EXTCAP_TEXT];
	const char *words[EXTCAP_WORDS];
	struct extcap_options o;
	char *wide;

	plan(25);
	message_setup("ncp-extcap");
	refuses("", "nothing to do");
	refuses("--extcap-interface eth0 --extcap-dlts", "begin with ncp:");
	refuses("--extcap-interface ncp:a", "nothing to do with it");
	refuses("--extcap-interface ncp:a --capture", "--fifo");
	refuses("--extcap-interface ncp:a --capture --extcap-dlts", "more than one");
	refuses("--extcap-interfaces word", "not understood");

	is_i64(OPTIONS_RUN, parse(&o, "--extcap-interfaces --extcap-version=4.0"), "lists");
	is_i64(TASK_INTERFACES, o.task, "interfaces, whoever asks");
	is_i64(OPTIONS_RUN, parse(&o, "--extcap-version"), "a version alone");
	is_i64(TASK_VERSION, o.task, "is asked for ours");
	is_i64(OPTIONS_RUN, parse(&o, "--extcap-interface ncp:a --extcap-capture-filter tcp"),
	       "a filter without a capture");
	is_i64(TASK_FILTER, o.task, "is to be checked");

	is_str("ncp-dump -i eth0 -w - -q --from latest",
	       words_of("--capture --extcap-interface ncp:eth0 --fifo /tmp/f"), "a plain capture");
	is_str("ncp-dump -i a -w - -q --from -60s -s 96 -Q in -f udp",
	       words_of("--capture --extcap-interface ncp:a --fifo f --from -60s --snaplen 96 "
			"--direction in --extcap-capture-filter udp"),
	       "one with every option");
	is_str("ncp-dump -i a -w - -q --from latest -f (udp) and (ip)",
	       words_of("--capture --extcap-interface ncp:a --fifo f --filter ip "
			"--extcap-capture-filter udp"),
	       "both filters must match");
	is_str("ncp-dump -i a -w - -q --from latest",
	       words_of("--capture --extcap-interface ncp:a --fifo f --from '' --filter '' "
			"--direction '' --snaplen 0"),
	       "empty fields count for nothing");
	parse(&o, "--capture --extcap-interface ncp:a --fifo f --filter ip");
	wide = malloc(EXTCAP_TEXT);
	memset(wide, 'x', EXTCAP_TEXT - 1);
	wide[EXTCAP_TEXT - 1] = '\0';
	o.filter = wide;
	is_i64(-E2BIG, extcap_words(&o, words, text), "two filters that are too long together");
	free(wide);

	is_str("dlt {number=12}{name=RAW}{display=Raw IP}\n", printed(sentences_dlt, 101),
	       "LINKTYPE_RAW is DLT_RAW");
	is_str("dlt {number=999}{name=LINKTYPE_999}{display=Link type 999}\n",
	       printed(sentences_dlt, 999), "a link type without a name");
	return tap_done();
}
