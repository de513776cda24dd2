/* SPDX-License-Identifier: BSD-2-Clause */
/* test_command_line.c - any words as ncp-producer's command line: settled, or refused in one clear line. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/fuzz.h"
#include "libncpbus/include/ncpbus.h"
#include "libncpbus/segment.h"
#include "producer/compile.h"
#include "producer/options.h"
#include "producer/privs.h"
#include "tap/tap.h"
#include "util/escape.h"
#include "util/message.h"

/*
 * The input is a command line of the shell's env(1), a word a line: first what goes into the
 * environment (NCP_DIR=, NCP_TRUST=), then the words.  Behind an empty line stands the content of
 * the file "f" in the working folder, for -F.  A slash becomes a blank: nothing elsewhere is opened.
 *
 * What is settled is gone through as main() does, as far as it is text: whom to become, the
 * directory, the sources that are made of text, the filter.
 */
#define WORDS_MAX 64u
#define SIZE_MAX_HERE 4096u
#define SAID_MAX (64u << 10)

static int said_fd = -1, saved[2];

/* libpcap asks for hosts and networks: nobody answers here, neither right nor late. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
		struct addrinfo **result)
{
	(void)node, (void)service, (void)hints, (void)result;
	return EAI_NONAME;
}

struct netent *getnetbyname(const char *name)
{
	(void)name;
	return NULL;
}

/* A sanitizer's report goes where it always goes. */
__attribute__((weak)) void __sanitizer_set_report_fd(void *fd);

static void set_up(void)
{
	if (chdir(tap_tempdir(NULL)))
		bail("chdir: %s", strerror(errno));
	message_setup("ncp-producer");
	said_fd = memfd_create("said", MFD_CLOEXEC);
	saved[0] = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	saved[1] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if (said_fd < 0 || saved[0] < 0 || saved[1] < 0)
		bail("descriptors: %s", strerror(errno));
	if (__sanitizer_set_report_fd)
		__sanitizer_set_report_fd((void *)(intptr_t)saved[1]);
}

static void say_into_file(void)
{
	fflush(stdout);
	if (ftruncate(said_fd, 0) || lseek(said_fd, 0, SEEK_SET) < 0 ||
	    dup2(said_fd, STDOUT_FILENO) < 0 || dup2(said_fd, STDERR_FILENO) < 0)
		bail("descriptors: %s", strerror(errno));
}

/* What was said since, a string. */
static const char *said(void)
{
	static char text[SAID_MAX + 1];

	fflush(stdout);
	ssize_t n = pread(said_fd, text, SAID_MAX, 0);
	if (n < 0 || dup2(saved[0], STDOUT_FILENO) < 0 || dup2(saved[1], STDERR_FILENO) < 0)
		bail("descriptors: %s", strerror(errno));
	text[n] = '\0';
	return text;
}

/* One line and nothing that a terminal would obey. */
static bool one_clear_line(const char *text)
{
	const char *end = strchr(text, '\n');
	uint32_t cp;

	if (!end || end[1] || end == text)
		return false;
	for (const char *p = text; p < end;) {
		size_t n = escape_utf8(p, (size_t)(end - p), &cp);

		if (!n || escape_is_unsafe(cp))
			return false;
		p += n;
	}
	return true;
}

/* --- what was settled ----------------------------------------------------------------------- */

static void must_be_settled(const struct producer_options *o)
{
	fuzz_must(o->n_args >= 1 && o->n_args <= NCPI_WORKERS && o->source);
	fuzz_must(o->src.workers >= 1 && o->n_args * o->src.workers <= NCPI_WORKERS);
	fuzz_must(ncpi_name_check(o->bus) == 0);
	fuzz_must(!(o->ring_size & (o->ring_size - 1)) && o->ring_size <= UINT64_C(1) << 45);
	fuzz_must(!o->ring_size || o->ring_size >= NCPI_RING_MIN);
	fuzz_must(o->src.snaplen >= 1 && o->src.snaplen <= NCPI_SNAPLEN);
	fuzz_must(o->src.batch >= 1 && o->src.retire_ms >= 1);
	fuzz_must(o->src.speed >= 0 && o->src.speed <= 1e9);
	fuzz_must(o->src.speed_pps >= 0 && o->src.speed_pps <= 1e9);
	fuzz_must(!(o->keep && o->unlink));
	fuzz_must(o->max_reliable >= 1 && o->max_reliable <= NCPI_RELIABLE_MAX);
	for (uint32_t i = 0; i < o->n_args; i++) {
		fuzz_must(o->arg[i].ops && o->arg[i].spec);
		fuzz_must(o->arg[i].ops != &source_afpacket || !strchr(o->arg[i].spec, ','));
	}
}

/* The parts that read the texts further. */
static void go_on(const struct producer_options *o)
{
	char why[PRIVS_WHY_CAP > SOURCE_WHY_CAP ? PRIVS_WHY_CAP : SOURCE_WHY_CAP] = "";
	struct compile_program program;
	struct privs_who who;

	if (privs_find(o->user, o->group, o->bus, &who, why) < 0)
		fuzz_must(*why);
	else
		fuzz_must(!who.change || (who.uid != 0 && who.uid != PRIVS_NO_ID));
	if (compile_offline(1, o->src.snaplen, o->src.filter, &program, why) < 0)
		fuzz_must(*why);
	compile_free(&program);
	for (uint32_t i = 0; i < o->n_args; i++) {
		struct source *src;

		if (o->arg[i].ops != &source_synth)
			continue;
		if (source_synth.open(&src, o->arg[i].spec, &o->src, why) < 0)
			fuzz_must(!src && *why);
		else
			source_synth.close(src);
	}
	int fd = ncpi_dir_open(o->dir);
	if (fd >= 0)
		close(fd);
}

/* --- the input ------------------------------------------------------------------------------ */

/* Cut the next line off; NULL at the end. */
static char *line_cut(char **text)
{
	char *line = *text, *end = line ? strchr(line, '\n') : NULL;

	if (end)
		*end = '\0';
	*text = end ? end + 1 : NULL;
	return line;
}

static void file_write(const char *text)
{
	FILE *f = fopen("f", "we");

	if (!f || fputs(text, f) < 0 || fclose(f))
		bail("f: %s", strerror(errno));
}

/* Into the environment, what is ours to read there. */
static bool environment_take(char *line)
{
	const char *const names[] = { "NCP_DIR", "NCP_TRUST" };

	for (size_t i = 0; i < 2; i++) {
		size_t len = strlen(names[i]);

		if (!strncmp(line, names[i], len) && line[len] == '=')
			return setenv(names[i], line + len + 1, 1) == 0;
	}
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[SIZE_MAX_HERE + 1], *argv[WORDS_MAX + 2] = { "ncp-producer" }, *rest = text, *line;
	struct ncp_options attach = NCP_OPTIONS_INIT;
	struct ncp_client *client = NULL;
	struct producer_options o;
	int argc = 1;

	if (size > SIZE_MAX_HERE)
		return 0;
	if (said_fd < 0)
		set_up();
	memcpy(text, data, size);
	text[size] = '\0';
	for (char *p = text; p < text + size; p++)
		if (*p == '/' || !*p)
			*p = ' ';
	unsetenv("NCP_DIR");
	unsetenv("NCP_TRUST");
	while ((line = line_cut(&rest)) && *line && argc <= (int)WORDS_MAX)
		if (argc > 1 || !environment_take(line))
			argv[argc++] = line;
	unlink("f");
	if (rest)
		file_write(rest);

	say_into_file();
	enum options_result result = producer_options_read(argc, argv, &o);
	const char *told = said();
	message_json(NULL); /* an option of an earlier input */
	switch (result) {
	case OPTIONS_BAD:
		fuzz_must(one_clear_line(told));
		break;
	case OPTIONS_SHOWN:
		fuzz_must(*told);
		break;
	case OPTIONS_RUN:
		fuzz_must(!*told);
		if (o.list_interfaces || o.remove)
			break;
		must_be_settled(&o);
		go_on(&o);
	}
	producer_options_free(&o);
	/* What a client reads of the environment. */
	attach.dir = ".";
	fuzz_must(ncp_attach(&client, "none", &attach) < 0 && !client);
	return 0;
}
