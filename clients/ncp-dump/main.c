/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c - ncp-dump: writes the frames of a capture bus to a file, or prints them. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <ncpbus.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "capture.h"
#include "decode.h"
#include "listen.h"
#include "options.h"
#include "repair.h"
#include "rights.h"
#include "trigger.h"
#include "util/message.h"

#define LIST_MAX 256

static struct capture_signals signals;
static volatile sig_atomic_t interrupts;

static void on_stop(int sig)
{
	/* The second Ctrl-C ends at once: the file is then as a kill leaves it. */
	if (sig == SIGINT && interrupts++)
		_exit(EXIT_FAILED);
	signals.stop = 1;
}

static void on_request(int sig)
{
	if (sig == SIGUSR1)
		signals.stats = 1;
	else if (sig == SIGUSR2)
		signals.flush = 1;
	else
		signals.rotate = 1;
}

/* On a terminal SIGHUP says that it is gone; nohup has it ignored.  To a service it says: rotate. */
static void hangup_setup(const struct sigaction *stop, const struct sigaction *ask)
{
	struct sigaction old;
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	if (tty >= 0)
		close(tty);
	sigaction(SIGHUP, NULL, &old);
	if (old.sa_handler != SIG_IGN)
		sigaction(SIGHUP, tty >= 0 ? stop : ask, NULL);
}

static void signals_setup(void)
{
	/* No SA_RESTART: waits end, and the loop looks. */
	struct sigaction stop = { .sa_handler = on_stop }, ask = { .sa_handler = on_request },
			 ignore = { .sa_handler = SIG_IGN };

	sigaction(SIGINT, &stop, NULL);
	sigaction(SIGTERM, &stop, NULL);
	hangup_setup(&stop, &ask);
	sigaction(SIGUSR1, &ask, NULL);
	sigaction(SIGUSR2, &ask, NULL);
	sigaction(SIGPIPE, &ignore, NULL);
}

static int list(const struct dump_options *o)
{
	static struct ncp_bus_name names[LIST_MAX];
	int n = ncp_list(o->dir, names, LIST_MAX);

	if (n < 0)
		return message_error(EXIT_FAILED, "the list of busses", ncp_strerror(n), NULL);
	for (int i = 0; i < n && i < LIST_MAX; i++) {
		struct ncp_options a = { .size = sizeof(a), .flags = NCP_NO_REGISTRY,
					 .from = NCP_WHERE_INIT, .dir = o->dir,
					 .trust_owner = o->trust };
		struct ncp_bus_info info = NCP_BUS_INFO_INIT;
		struct ncp_client *c;
		int r = ncp_attach(&c, names[i].name, &a);

		if (r == 0)
			r = ncp_bus_info(c, &info);
		printf("%d.%s [%s]\n", i + 1, names[i].name,
		       r < 0 ? ncp_strerror(r) : ncp_state_name(info.state));
		ncp_detach(c);
	}
	return fflush(stdout) ? EXIT_FAILED : EXIT_DONE;
}

/* The only bus there is.  0: out holds it; else the exit status. */
static int only_bus(const struct dump_options *o, char out[64])
{
	static struct ncp_bus_name names[LIST_MAX];
	char all[MESSAGE_CAP] = "";
	int n;

	for (;;) {
		n = ncp_list(o->dir, names, LIST_MAX);
		if (n || !o->wait || signals.stop)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = 250000000 }, NULL);
	}
	if (n < 0)
		return message_error(EXIT_FAILED, "the list of busses", ncp_strerror(n), NULL);
	if (n == 0)
		return message_error(EXIT_NO_BUS, "no bus", "there is none on this host",
				     "start one with ncp-producer, or wait for it with --wait");
	if (n == 1) {
		strcpy(out, names[0].name);
		return EXIT_DONE;
	}
	for (int i = 0; i < n && i < LIST_MAX; i++) {
		size_t len = strlen(all);

		snprintf(all + len, sizeof(all) - len, "%s%.63s", i ? ", " : "", names[i].name);
	}
	return message_error(EXIT_USAGE, "which bus", MESSAGE_TEXT("there are %s", all),
			     "name one with -i");
}

static int say_attach(const char *bus, int r, const char *error)
{
	return message_error(r == NCP_ENOBUS ? EXIT_NO_BUS :
			     r == NCP_ENAME  ? EXIT_USAGE :
					       EXIT_FAILED,
			     MESSAGE_TEXT("bus %s", bus), *error ? error : ncp_strerror(r),
			     r == NCP_ENOBUS	   ? "see -D for those there are, or use --wait" :
			     r == NCP_EFOREIGN ? "trust its owner with --trust-owner" :
			     r == NCP_EACCESS  ? "become a member of the bus's group" :
						     NULL);
}

/* Attach, waiting for the bus with --wait, and for one that is just being made a second anyway. */
static int attach_wait(const struct dump_options *o, const char *bus, const struct ncp_options *a,
		       struct ncp_client **c)
{
	int r, tries = 0;

	for (;;) {
		r = ncp_attach(c, bus, a);
		bool yet = r == NCP_ENOBUS || r == NCP_ENOTREADY;

		if (!yet || signals.stop || (!o->wait && (r == NCP_ENOBUS || ++tries > 20)))
			break;
		nanosleep(&(struct timespec){ .tv_nsec = o->wait ? 250000000 : 50000000 }, NULL);
	}
	return r;
}

/* EXIT_DONE, or the exit status after saying why not.  missing_ns: see capture_where(). */
static int attach(const struct dump_options *o, const char *bus, struct ncp_client **c,
		  uint64_t *missing_ns)
{
	char error[256] = "";
	struct ncp_options a = NCP_OPTIONS_INIT;
	int r;

	a.dir = o->dir;
	a.trust_owner = o->trust;
	a.name = "ncp-dump";
	a.error = error;
	a.error_cap = sizeof(error);
	a.flags = (o->reliable ? NCP_RELIABLE : 0) |
		  (o->reliable || (o->group && o->write) ? NCP_HOLD : 0) |
		  (o->ordered ? NCP_ORDERED : 0);
	a.shard_idx = (uint32_t)o->shard_idx;
	a.shard_n = (uint32_t)o->shard_n;
	a.reorder_ns = o->reorder_ns;
	*missing_ns = 0;
	if (o->group) {
		/* A member cannot be moved: another client finds out where it is to begin. */
		struct ncp_options look = a;

		look.flags = NCP_NO_REGISTRY;
		r = attach_wait(o, bus, &look, c);
		if (r == 0)
			r = capture_where(o, *c, bus, &signals, &a.from, missing_ns);
		ncp_detach(*c);
		*c = NULL;
		if (r < 0)
			return say_attach(bus, r, error);
		a.group = o->group;
	}
	r = attach_wait(o, bus, &a, c);
	return r == 0 ? EXIT_DONE : say_attach(bus, r, error);
}

/* The name that --atomic would give this file when it is complete, if it is such a one. */
static bool part_name(const char *path, char final[PATH_MAX])
{
	size_t len = strlen(path);

	if (len < 6 || strcmp(path + len - 5, ".part"))
		return false;
	memcpy(final, path, len - 5);
	final[len - 5] = '\0';
	return true;
}

/* The state of the last run, and its file cut to what it says.  0, 1 (there is none), or < 0 after
 * saying why not. */
static int resume(const struct dump_options *o, const char *bus, struct state *s)
{
	const char *why = NULL;
	char final[PATH_MAX];
	int r = state_load(o->resume, s, &why);

	if (r == 0)
		return 1;
	if (r > 0 && strcmp(s->bus, bus)) {
		message_error(EXIT_FAILED, MESSAGE_TEXT("state %s", o->resume),
			      MESSAGE_TEXT("it is of bus %s", s->bus),
			      "use one state file for each bus");
		return -1;
	}
	if (r < 0) {
		message_error(EXIT_FAILED, MESSAGE_TEXT("state %s", o->resume),
			      why && r == -EBADMSG ? why : ncp_strerror(r),
			      "name another, or remove it to begin anew");
		return -1;
	}
	r = state_cut(s);
	if (r == -ENOENT && part_name(s->file, final)) {
		/* It was completed, and killed before it could say so. */
		strcpy(s->file, final);
		r = state_cut(s);
	} else if (r == 0 && part_name(s->file, final)) {
		r = renameat2(AT_FDCWD, s->file, AT_FDCWD, final, RENAME_NOREPLACE) < 0 ? -errno : 0;
		if (r == 0)
			strcpy(s->file, final);
	}
	if (r == -ENOENT || r == -ENODATA || r == -EBADMSG) {
		message_note(s->file,
			     r == -ENOENT  ? "it has gone" :
			     r == -ENODATA ? "it is shorter than the state says" :
					     "it is no longer a file of ncp-dump",
			     "left alone; the capture goes on in the next file");
	} else if (r < 0) {
		message_error(EXIT_FAILED, s->file,
			      r == -EBUSY ? "it is being written" : ncp_strerror(r),
			      r == -EBUSY ? "end the ncp-dump that has this state file" : NULL);
		return -1;
	}
	return 0;
}

/* --- -Z --------------------------------------------------------------------------------------- */

struct becoming {
	const struct dump_options *o;
	const char *bus;
	struct rights who;
	char dir[PATH_MAX]; /* where it may not make files */
};

/* May files be made beside this one? */
static int may_make(struct becoming *b, const char *path)
{
	const char *slash = strrchr(path, '/');

	snprintf(b->dir, sizeof(b->dir), "%.*s", slash ? (int)(slash - path) : 1,
		 slash ? path : ".");
	if (slash == path)
		strcpy(b->dir, "/");
	return faccessat(AT_FDCWD, b->dir, W_OK | X_OK, AT_EACCESS) < 0 && errno != ENOENT ? -errno : 0;
}

/* What the user will need once the first file is open.  As that user. */
static int may_go_on(void *arg)
{
	struct becoming *b = arg;
	struct ncp_options a = { .size = sizeof(a), .flags = NCP_NO_REGISTRY,
				 .from = NCP_WHERE_INIT, .dir = b->o->dir,
				 .trust_owner = b->o->trust };
	struct ncp_client *c;
	int r = b->o->rotating || b->o->atomic || b->o->trigger || b->o->split_interfaces ?
			may_make(b, b->o->write) :
			0;

	if (r == 0 && b->o->resume)
		r = may_make(b, b->o->resume);
	if (r < 0)
		return r;
	*b->dir = '\0';
	r = ncp_attach(&c, b->bus, &a);
	ncp_detach(c);
	return r == NCP_EACCESS ? r : 0;
}

/* Before the file is opened: who it will be, and whether that will do.  EXIT_DONE, or the status. */
static int rights_check(struct becoming *b)
{
	int r = rights_find(b->o->user, &b->who);

	if (r < 0)
		return message_error(EXIT_FAILED, MESSAGE_TEXT("-Z %s", b->o->user),
				     r == -ENOENT ? "there is no such user" : ncp_strerror(r), NULL);
	r = rights_try(&b->who, may_go_on, b);
	if (r == NCP_EACCESS)
		return message_error(EXIT_FAILED, MESSAGE_TEXT("-Z %s", b->o->user),
				     MESSAGE_TEXT("may not read bus %s when it is replaced", b->bus),
				     "make the user a member of the bus's group");
	if (r < 0)
		return message_error(EXIT_FAILED, MESSAGE_TEXT("-Z %s", b->o->user),
				     *b->dir ? MESSAGE_TEXT("may not make files in %s: %s", b->dir,
							    ncp_strerror(r)) :
					       ncp_strerror(r),
				     *b->dir ? "let the user own the directory, or name another" : NULL);
	return EXIT_DONE;
}

/* The file is open: it becomes the user's, and so do we. */
static int rights_leave(const struct becoming *b, const struct capture *cap)
{
	int r, fd = cap->store_open && cap->store.file ? outfile_fd(cap->store.file) : -1;

	if (fd >= 0 && geteuid() == 0 && b->who.uid != 0 && strcmp(b->o->write, "-") &&
	    fchown(fd, b->who.uid, b->who.gid) < 0 && errno != EPERM && errno != EINVAL)
		return message_error(EXIT_FAILED, cap->store.series.path, ncp_strerror(-errno), NULL);
	r = rights_drop(&b->who);
	if (r < 0)
		return message_error(EXIT_FAILED, MESSAGE_TEXT("-Z %s", b->o->user), ncp_strerror(r),
				     NULL);
	return EXIT_DONE;
}

/* One recording of --trigger, in a process of its own. */
static int record(const struct dump_options *o, const char *bus, struct trigger_recording *rec)
{
	struct ncp_client *c = NULL;
	struct capture cap;
	struct ledger_sum sum;
	uint64_t missing_ns = 0;
	int status = attach(o, bus, &c, &missing_ns);

	if (status != EXIT_DONE)
		return status;
	status = capture_begin(&cap, o, c, bus, &signals, NULL);
	if (status == EXIT_DONE) {
		cap.until = &rec->until;
		status = capture_run(&cap);
	}
	ledger_sum(&cap.ledger, &sum);
	rec->frames = sum.frames;
	rec->lost = sum.unknown ? NCP_UNKNOWN : sum.lost;
	rec->bytes = cap.store.series.bytes;
	rec->missing_ns = cap.from_missing_ns;
	capture_end(&cap);
	ncp_detach(c);
	return status;
}

/* One capture, to a file, a pipe or a reader.  total: out, what it got; may be NULL. */
static int run_one(const struct dump_options *o, const char *bus, FILE *json, const char *reader,
		   struct listen_sum *total)
{
	struct ncp_client *c = NULL;
	struct capture cap;
	struct ledger_sum sum;
	struct becoming b = { .o = o, .bus = bus };
	struct state state;
	uint64_t missing_ns = 0;
	int r, status = attach(o, bus, &c, &missing_ns);

	if (status != EXIT_DONE)
		return status;
	if (o->user)
		status = rights_check(&b);
	if (status == EXIT_DONE && o->trigger) {
		cap = (struct capture){ 0 };
		if (o->user)
			status = rights_leave(&b, &cap);
		if (status == EXIT_DONE)
			status = trigger_run(o, bus, c, &signals, json, record);
		ncp_detach(c);
		return status;
	}
	r = status == EXIT_DONE && o->resume ? resume(o, bus, &state) : 1;
	if (r < 0 || status != EXIT_DONE) {
		ncp_detach(c);
		return r < 0 ? EXIT_FAILED : status;
	}
	status = capture_begin(&cap, o, c, bus, &signals, r == 0 ? &state : NULL);
	if (status == EXIT_DONE && o->user)
		status = rights_leave(&b, &cap);
	if (status == EXIT_DONE) {
		cap.reader = reader;
		if (o->group)
			cap.from_missing_ns = missing_ns;
		status = capture_run(&cap);
		capture_report(&cap, json);
		ledger_sum(&cap.ledger, &sum);
		if (total)
			*total = (struct listen_sum){ sum.frames, sum.filtered, sum.others, sum.lost,
						      cap.store.series.bytes, sum.unknown };
		if (status == EXIT_DONE && o->strict && (sum.lost || sum.unknown))
			status = EXIT_LOST;
	}
	capture_end(&cap);
	ncp_detach(c);
	return status;
}

/* --- -w tcp-listen: ---------------------------------------------------------------------------- */

struct serving {
	const struct dump_options *o;
	const char *bus;
	FILE *json;
};

static int serve(void *arg, const char *reader, struct listen_sum *sum)
{
	const struct serving *s = arg;
	struct dump_options o = *s->o;
	int status;

	o.write = "-";
	o.listening = false;
	o.user = NULL;
	o.quick = true; /* who accepts tells */
	status = run_one(&o, s->bus, s->json, reader, sum);
	if (s->json)
		fflush(s->json);
	return status;
}

static int bus_over(void *arg)
{
	const struct dump_options *o = ((struct serving *)arg)->o;
	struct ncp_options a = { .size = sizeof(a), .flags = NCP_NO_REGISTRY, .from = NCP_WHERE_INIT,
				 .dir = o->dir, .trust_owner = o->trust };
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;
	struct ncp_client *c;
	int r = ncp_attach(&c, ((struct serving *)arg)->bus, &a);
	bool gone = r == NCP_ENOBUS && !o->wait;

	if (r == 0)
		r = ncp_bus_info(c, &info);
	ncp_detach(c);
	if (r < 0)
		return gone ? LISTEN_GONE : LISTEN_GOES_ON;
	return info.state == NCP_ENDED || (o->exit_on_close && (info.state == NCP_STOPPED ||
								info.state == NCP_CLOSED ||
								info.state == NCP_DEAD)) ?
		       LISTEN_ENDED :
		       LISTEN_GOES_ON;
}

static void report_readers(const struct listen *l, const char *bus, FILE *f)
{
	struct json j;

	json_open(&j);
	json_object_begin(&j);
	json_key(&j, "schema"), json_u64(&j, 1);
	json_key(&j, "bus"), json_str(&j, bus);
	json_key(&j, "readers"), json_u64(&j, l->readers);
	json_key(&j, "refused"), json_u64(&j, l->refused);
	json_key(&j, "frames"), json_u64(&j, l->sum.frames);
	json_key(&j, "filtered"), json_u64(&j, l->sum.filtered);
	json_key(&j, "others"), json_u64(&j, l->sum.others);
	json_key(&j, "lost"), l->sum.unknown ? json_null(&j) : json_u64(&j, l->sum.lost);
	json_key(&j, "bytes"), json_u64(&j, l->sum.bytes);
	json_object_end(&j);
	if (json_print(&j, f) < 0)
		message_error(EXIT_FAILED, "the summary", "it cannot be written", NULL);
	json_close(&j);
}

static int run_readers(const struct dump_options *o, const char *bus, FILE *json)
{
	struct serving s = { o, bus, json };
	struct listen l = { .arg = &s, .quiet = o->quick || json, .stop = &signals.stop,
			    .serve = serve, .over = bus_over, .fd = -1 };
	struct listen_address a = o->listen;
	struct becoming b = { .o = o, .bus = bus };
	struct ncp_client *c = NULL;
	char text[LISTEN_TEXT_CAP];
	uint64_t missing_ns;
	int r, status = attach(o, bus, &c, &missing_ns);

	/* What is wrong for all is said once. */
	if (status == EXIT_DONE)
		status = capture_filter(o, c);
	ncp_detach(c);
	if (status == EXIT_DONE && o->user)
		status = rights_check(&b);
	if (status != EXIT_DONE)
		return status;
	r = listen_open(&l, &a);
	if (r == 0 && o->user)
		r = rights_drop(&b.who);
	if (r == 0) {
		listen_text(&a, text);
		if (!o->quick)
			message_note("tcp-listen", text, "waiting for readers");
		r = listen_run(&l);
	}
	listen_close(&l);
	if (r < 0)
		status = message_error(EXIT_FAILED, o->write, ncp_strerror(r),
				       r == -EADDRINUSE ? "name another port" : NULL);
	else if (json)
		report_readers(&l, bus, json);
	else if (!o->quick)
		fprintf(stderr, "%llu readers, %llu sent away; %llu frames, %llu filtered, %s%llu lost; "
			"%llu bytes\n", (unsigned long long)l.readers, (unsigned long long)l.refused,
			(unsigned long long)l.sum.frames, (unsigned long long)l.sum.filtered,
			l.sum.unknown ? "more than " : "", (unsigned long long)l.sum.lost,
			(unsigned long long)l.sum.bytes);
	if (status == EXIT_DONE && l.failed)
		status = EXIT_FAILED;
	if (status == EXIT_DONE && o->strict && (l.sum.lost || l.sum.unknown))
		status = EXIT_LOST;
	return status;
}

static int run(const struct dump_options *o, FILE *json)
{
	char bus[64];
	int status;

	if (o->write && !strcmp(o->write, "-") && isatty(STDOUT_FILENO))
		return message_error(EXIT_USAGE, "-w -", "standard output is a terminal",
				     "redirect it to a file or a pipe");
	if (o->bus && strlen(o->bus) >= sizeof(bus))
		return message_error(EXIT_USAGE, MESSAGE_TEXT("bus %s", o->bus),
				     ncp_strerror(NCP_ENAME), NULL);
	if (o->bus)
		strcpy(bus, o->bus);
	status = o->bus ? EXIT_DONE : only_bus(o, bus);
	if (status != EXIT_DONE)
		return status;
	return o->listening ? run_readers(o, bus, json) : run_one(o, bus, json, NULL, NULL);
}

int main(int argc, char **argv)
{
	struct dump_options o;
	struct timespec now;
	struct decode decode;
	FILE *json = NULL;
	int status;

	message_setup("ncp-dump");
	clock_gettime(CLOCK_REALTIME, &now);
	enum options_result parsed = dump_options_parse(
		&o, argc, argv, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
	if (parsed != OPTIONS_RUN)
		return parsed == OPTIONS_SHOWN ? EXIT_DONE : EXIT_USAGE;
	if (o.json) {
		json = strcmp(o.json, "-") ? fopen(o.json, "we") : stderr;
		if (!json) {
			status = message_error(EXIT_FAILED, o.json, ncp_strerror(-errno), NULL);
			goto out;
		}
		message_json(json);
	}
	if (!o.n_repair)
		signals_setup();
	status = o.decode ? decode_begin(&decode, o.decode, o.line_buffered || o.packet_buffered,
					 o.numeric) :
			    EXIT_DONE;
	if (status != EXIT_DONE)
		goto out;
	if (o.decode)
		o.write = "-";
	status = o.n_repair ? repair_main(o.repair, o.n_repair, o.quick) :
		 o.list	    ? list(&o) :
			      run(&o, json);
	if (o.decode)
		status = decode_end(&decode, status);
	message_json(NULL);
	if (json && json != stderr && fclose(json))
		status = message_error(EXIT_FAILED, o.json, ncp_strerror(-errno), NULL);
out:
	free(o.filter);
	return status;
}
