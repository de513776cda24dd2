/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c - ncp-extcap: busses as interfaces of Wireshark, tshark and whatever speaks extcap. */
#include <errno.h>
#include <fcntl.h>
#include <ncpbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "options.h"
#include "sentences.h"
#include "util/message.h"

static int failed(const struct extcap_options *o, int r, const char *error)
{
	return message_error(r == NCP_ENOBUS ? EXIT_NO_BUS :
			     r == NCP_ENAME  ? EXIT_USAGE :
					       EXIT_FAILED,
			     MESSAGE_TEXT("bus %s", o->bus), *error ? error : ncp_strerror(r),
			     r == NCP_EACCESS  ? "become a member of the bus's group" :
			     r == NCP_EFOREIGN ? "trust its owner with NCP_TRUST" :
						 NULL);
}

/* Only to look: no line in the registry. */
static int attach(const struct extcap_options *o, struct ncp_client **c)
{
	char error[256] = "";
	struct ncp_options a = NCP_OPTIONS_INIT;

	a.flags = NCP_NO_REGISTRY;
	a.error = error;
	a.error_cap = sizeof(error);
	int r = ncp_attach(c, o->bus, &a);
	return r < 0 ? failed(o, r, error) : EXIT_DONE;
}

static int interfaces(void)
{
	struct ncp_bus_name *names = NULL;
	int cap = 0, n = ncp_list(NULL, NULL, 0);

	/* Busses can come between the two calls: at most the new ones are left out. */
	if (n > 0) {
		cap = n;
		names = calloc((size_t)cap, sizeof(*names));
		n = names ? ncp_list(NULL, names, cap) : -ENOMEM;
	}
	if (n < 0) {
		free(names);
		return message_error(EXIT_FAILED, "the list of busses", ncp_strerror(n), NULL);
	}
	sentences_version(stdout);
	for (int i = 0; i < n && i < cap; i++)
		sentences_interface(stdout, names[i].name);
	free(names);
	return EXIT_DONE;
}

static int dlts(const struct extcap_options *o)
{
	struct ncp_interface first, other;
	struct ncp_client *c;
	int status = attach(o, &c), r = 0;

	if (status != EXIT_DONE)
		return status;
	for (uint32_t i = 0; r == 0; i++) {
		bool shown = false;

		first = (struct ncp_interface)NCP_INTERFACE_INIT;
		r = ncp_interface(c, i, &first);
		/* Each link type once; there are few interfaces. */
		for (uint32_t k = 0; r == 0 && k < i && !shown; k++) {
			other = (struct ncp_interface)NCP_INTERFACE_INIT;
			r = ncp_interface(c, k, &other);
			shown = r == 0 && other.linktype == first.linktype;
		}
		if (r == 0 && !shown)
			sentences_dlt(stdout, first.linktype);
	}
	ncp_detach(c);
	return r == -ERANGE ? EXIT_DONE : failed(o, r, "");
}

/* Wireshark takes what stands on standard output for what is wrong with the filter. */
static int filter(const struct extcap_options *o)
{
	char error[256] = "";
	struct ncp_client *c;
	int status = attach(o, &c);

	if (status != EXIT_DONE)
		return status;
	int r = ncp_set_filter(c, o->filter, error, sizeof(error));
	if (r < 0)
		printf("%s\n", *error ? error : ncp_strerror(r));
	ncp_detach(c);
	return r < 0 ? EXIT_FAILED : EXIT_DONE;
}

/* The ncp-dump beside this program (extcap folders hold a link to it), else that of PATH. */
static void run_dump(char **words)
{
	static const char name[] = "ncp-dump";
	char path[4096];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path));

	while (len > 0 && path[len - 1] != '/')
		len--;
	if (len > 0 && (size_t)len + sizeof(name) <= sizeof(path)) {
		memcpy(path + len, name, sizeof(name));
		execv(path, words);
	}
	execvp(name, words);
}

/*
 * The FIFO, or file, becomes standard output.  Opened here and not by ncp-dump, which may find something
 * wrong and leave before: a reader in whose FIFO nobody ever was waits for ever.
 */
static int output_open(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);

	if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0)
		return -errno;
	close(fd);
	return 0;
}

static int capture(const struct extcap_options *o)
{
	static char text[EXTCAP_TEXT];
	const char *words[EXTCAP_WORDS];

	if (extcap_words(o, words, text) < 0)
		return message_error(EXIT_USAGE, "filter", "too long", "leave one of the two out");
	int r = output_open(o->fifo);
	if (r < 0)
		return message_error(EXIT_FAILED, o->fifo, ncp_strerror(r), NULL);
	run_dump((char **)words);
	return message_error(EXIT_FAILED, "ncp-dump", ncp_strerror(-errno),
			     "install it beside ncp-extcap, or in PATH");
}

int main(int argc, char **argv)
{
	struct extcap_options o;
	int status = EXIT_DONE;

	message_setup("ncp-extcap");
	enum options_result parsed = extcap_options_parse(&o, argc, argv);
	if (parsed != OPTIONS_RUN)
		return parsed == OPTIONS_SHOWN ? EXIT_DONE : EXIT_USAGE;
	switch (o.task) {
	case TASK_VERSION:
		sentences_version(stdout);
		break;
	case TASK_INTERFACES:
		status = interfaces();
		break;
	case TASK_DLTS:
		status = dlts(&o);
		break;
	case TASK_CONFIG:
		sentences_config(stdout);
		break;
	case TASK_FILTER:
		status = filter(&o);
		break;
	case TASK_CAPTURE:
		status = capture(&o);
		break;
	}
	if (fflush(stdout))
		status = message_error(EXIT_FAILED, "standard output", ncp_strerror(-errno), NULL);
	return status;
}
