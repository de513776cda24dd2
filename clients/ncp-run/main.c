/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c - ncp-run: run a program of libpcap so that it can read capture busses. */
#include <errno.h>
#include <limits.h>
#include <ncpbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "obstacle.h"
#include "util/message.h"
#include "util/options.h"

#define LIBRARY "libncp-pcap.so"
#define SNIPPET "apparmor-local"

struct run_options {
	const char *from, *list, *dir, *trust;
};

/* Where a shell would find a program.  0 or -errno. */
static int program_find(const char *word, char path[PATH_MAX])
{
	const char *dirs = getenv("PATH");
	int r = -ENOENT;

	if (strchr(word, '/')) {
		if (snprintf(path, PATH_MAX, "%s", word) >= PATH_MAX)
			return -ENAMETOOLONG;
		return access(path, X_OK) < 0 ? -errno : 0;
	}
	for (dirs = dirs && *dirs ? dirs : "/usr/bin:/bin"; *dirs; dirs += *dirs == ':') {
		struct stat st;
		size_t len = strcspn(dirs, ":");
		int n = snprintf(path, PATH_MAX, "%.*s/%s", len ? (int)len : 1, len ? dirs : ".",
				 word);

		dirs += len;
		if (n >= PATH_MAX || stat(path, &st) < 0 || !S_ISREG(st.st_mode))
			continue;
		if (access(path, X_OK) == 0)
			return 0;
		r = -errno;
	}
	return r;
}

/* The path of something that is installed beside this program, from the folder of programs on; the
 * first of several that is there.  0 or -ENOENT. */
static int beside(const char *own, const char *const *names, char path[PATH_MAX])
{
	const char *slash = strrchr(own, '/');
	char at[2 * PATH_MAX];

	for (; *names; names++) {
		snprintf(at, sizeof(at), "%.*s%s", slash ? (int)(slash - own) + 1 : 0, own, *names);
		if (realpath(at, path))
			return 0;
	}
	return -ENOENT;
}

/* Put the library behind what is preloaded already. */
static int preload(const char *library)
{
	const char *others = getenv("LD_PRELOAD");
	char *all;

	if (asprintf(&all, "%s%s%s", others ? others : "", others && *others ? ":" : "", library) < 0)
		return -ENOMEM;
	int r = setenv("LD_PRELOAD", all, 1) < 0 ? -errno : 0;
	free(all);
	return r;
}

/* The options of devices: the environment's, then --options, then --from. */
static int options_pass(const struct run_options *o)
{
	const char *before = getenv("NCP_PCAP_OPTIONS");
	char *all;

	if (!o->from && !o->list)
		return 0;
	if (asprintf(&all, "%s,%s%s%s", before ? before : "", o->list ? o->list : "",
		     o->from ? ",from=" : "", o->from ? o->from : "") < 0)
		return -ENOMEM;
	int r = setenv("NCP_PCAP_OPTIONS", all, 1) < 0 ? -errno : 0;
	free(all);
	return r;
}

static int environment_set(const struct run_options *o, const char *library)
{
	int r = preload(library);

	if (r == 0)
		r = options_pass(o);
	if (r == 0 && o->dir && setenv("NCP_DIR", o->dir, 1) < 0)
		r = -errno;
	if (r == 0 && o->trust && setenv("NCP_TRUST", o->trust, 1) < 0)
		r = -errno;
	return r;
}

/* What is in the way, if something is: EXIT_DONE or EXIT_FAILED, said. */
static int obstacle_say(const char *path, const char *own)
{
	static const char *const snippets[] = { "../share/ncp/" SNIPPET, NULL };
	struct obstacle_file file, me;
	char snippet[PATH_MAX];
	struct obstacle o;

	int r = obstacle_read(path, &file);
	/* A file that may be run and not read cannot be looked into. */
	if (r == -EACCES)
		return message_error(EXIT_FAILED, path, "it may not be read, so nobody knows whether "
				     "the library can be loaded into it", "run a copy of it");
	if (r < 0)
		return message_error(EXIT_FAILED, path, strerror(-r), NULL);
	r = obstacle_read("/proc/self/exe", &me);
	if (r < 0)
		return message_error(EXIT_FAILED, "/proc/self/exe", strerror(-r), NULL);
	if (beside(own, snippets, snippet) < 0)
		snprintf(snippet, sizeof(snippet), "%s of ncp's source", SNIPPET);
	/* Profiles are for where a file really is. */
	char *real = realpath(file.path, NULL);
	if (real && strlen(real) < sizeof(file.path))
		memcpy(file.path, real, strlen(real) + 1);
	free(real);
	obstacle_find(&file, &me, "", snippet, &o);
	return *o.why ? message_error(EXIT_FAILED, file.path, o.why, o.todo) : EXIT_DONE;
}

static int run(const struct run_options *o, char **words)
{
	/* As it is built, as it is installed, and where LIBDIR is one of several. */
	static const char *const libraries[] = {
		"../lib/ncp/" LIBRARY,
#ifdef NCP_MULTIARCH
		"../lib/" NCP_MULTIARCH "/ncp/" LIBRARY,
#endif
		"../lib64/ncp/" LIBRARY, NULL
	};
	char own[PATH_MAX], path[PATH_MAX], library[PATH_MAX];
	int r = program_find(words[0], path);

	if (r < 0)
		return message_error(EXIT_FAILED, words[0], r == -ENOENT ? "no such program" :
				     strerror(-r), NULL);
	if (!realpath("/proc/self/exe", own))
		return message_error(EXIT_FAILED, "/proc/self/exe", strerror(errno),
				     "mount /proc");
	if (beside(own, libraries, library) < 0)
		return message_error(EXIT_FAILED, LIBRARY, "it is not where ncp-run was installed",
				     "install ncp again");
	if (library[strcspn(library, " :")])
		return message_error(EXIT_FAILED, library, "the dynamic loader takes no path with a "
				     "blank or a colon", "install ncp elsewhere");
	r = obstacle_say(path, own);
	if (r != EXIT_DONE)
		return r;
	r = environment_set(o, library);
	if (r < 0)
		return message_error(EXIT_FAILED, "the environment", strerror(-r), NULL);
	execv(path, words);
	return message_error(EXIT_FAILED, path, strerror(errno), NULL);
}

int main(int argc, char **argv)
{
	struct run_options o = { 0 };
	const struct option_row rows[] = {
		{ .name = "from", .type = OPTION_STRING, .target = &o.from, .arg = "WHERE",
		  .help = "begin at oldest, latest (if not given), seq:N, -DURATION or a time" },
		{ .name = "options", .letter = 'o', .type = OPTION_STRING, .target = &o.list,
		  .arg = "LIST", .help = "how to read each bus: exit-on-close, ordered, reliable, "
					 "shard=I/N, from=WHERE, by commas" },
		{ .name = "dir", .type = OPTION_STRING, .target = &o.dir, .arg = "DIR",
		  .help = "where the busses are; $NCP_DIR, else /dev/shm" },
		{ .name = "trust-owner", .type = OPTION_STRING, .target = &o.trust,
		  .arg = "USER,...", .help = "believe busses of these users too; $NCP_TRUST" },
		{ 0 },
	};
	const struct options table = {
		.program = "ncp-run",
		.version = NCP_VERSION,
		.usage = "[options] PROGRAM [ARGUMENT...]",
		.purpose = "Runs a program that uses libpcap; its device ncp:BUS is a capture bus.",
		.rows = rows,
		.stop_at_word = true,
	};
	int n_words;

	message_setup("ncp-run");
	switch (options_parse(&table, argc, argv, &n_words)) {
	case OPTIONS_SHOWN:
		return EXIT_DONE;
	case OPTIONS_BAD:
		return EXIT_USAGE;
	case OPTIONS_RUN:
		break;
	}
	if (n_words == 0)
		return message_error(EXIT_USAGE, "no program", NULL, "see ncp-run --help");
	return run(&o, argv + 1);
}
