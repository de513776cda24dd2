/* SPDX-License-Identifier: BSD-2-Clause */
/* trigger.c - a flight recorder: watches, and saves what was around each frame that matches. */
#include "trigger.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "naming.h"
#include "space.h"
#include "util/json.h"
#include "util/message.h"
#include "util/timetext.h"

#define SECOND UINT64_C(1000000000)
#define BATCH 32
/* Of several only the last one can still be extended; the others are on their way to the disk. */
#define RECORDINGS 16u

struct trigger {
	const struct dump_options *o;
	const char *bus;
	struct ncp_client *c;
	struct capture_signals *signals;
	FILE *json;
	trigger_record *record;

	struct trigger_recording *shared; /* RECORDINGS of them */
	struct recorder {
		pid_t pid; /* 0: the place is free */
		uint64_t ts_ns;
		char path[PATH_MAX];
	} recorder[RECORDINGS];
	int last; /* the one to be extended; -1: none */
	struct naming naming;
	uint64_t number;
	struct space *space; /* of --quota and --keep-free, among the recorders */

	uint64_t begun_ns[TRIGGER_LIMIT_MAX]; /* CLOCK_MONOTONIC, the last so many */
	uint64_t n_begun;
	bool limited; /* said already */

	uint64_t matches, suppressed, missed, files, frames, lost, bytes, missing_ns;
	int status;
};

static uint64_t mono_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static int fail(const struct trigger *t, int r)
{
	return message_error(EXIT_FAILED, MESSAGE_TEXT("bus %s", t->bus), ncp_strerror(r), NULL);
}

/* --- recordings that end ---------------------------------------------------------------------- */

static void say_json(const struct trigger *t, const struct recorder *r,
		     const struct trigger_recording *rec, int status)
{
	char at[TIMETEXT_CAP];
	struct json j;

	timetext_format(at, r->ts_ns);
	json_open(&j);
	json_object_begin(&j);
	json_key(&j, "schema"), json_u64(&j, 1);
	json_key(&j, "file"), json_str(&j, r->path);
	json_key(&j, "trigger"), json_str(&j, at);
	json_key(&j, "frames"), json_u64(&j, rec->frames);
	json_key(&j, "lost"), rec->lost == NCP_UNKNOWN ? json_null(&j) : json_u64(&j, rec->lost);
	json_key(&j, "bytes"), json_u64(&j, rec->bytes);
	json_key(&j, "from_missing_seconds"), json_seconds(&j, (int64_t)rec->missing_ns);
	json_key(&j, "status"), json_u64(&j, (uint64_t)status);
	json_object_end(&j);
	if (json_print(&j, t->json) < 0)
		message_error(EXIT_FAILED, r->path, "its line cannot be written", NULL);
	json_close(&j);
}

static void say_plain(const struct trigger *t, const struct recorder *r,
		      const struct trigger_recording *rec)
{
	double before = (double)t->o->before_ns / 1e9;

	message_note(r->path,
		     MESSAGE_TEXT("%llu frames, %llu bytes, %s%llu lost",
				  (unsigned long long)rec->frames, (unsigned long long)rec->bytes,
				  rec->lost == NCP_UNKNOWN ? "nobody knows how many or " : "",
				  rec->lost == NCP_UNKNOWN ? 0ull : (unsigned long long)rec->lost),
		     rec->missing_ns ? MESSAGE_TEXT("asked for %.1f s before, the ring held %.1f s",
						    before, before - (double)rec->missing_ns / 1e9) :
				       NULL);
}

static void ended(struct trigger *t, uint32_t i, int wstatus)
{
	struct recorder *r = &t->recorder[i];
	struct trigger_recording *rec = &t->shared[i];
	int status = WIFEXITED(wstatus) ? WEXITSTATUS(wstatus) : EXIT_FAILED;

	if (WIFSIGNALED(wstatus))
		message_error(EXIT_FAILED, r->path,
			      MESSAGE_TEXT("its recorder was ended by signal %d", WTERMSIG(wstatus)),
			      "ncp-dump --repair keeps what is whole");
	if (t->json)
		say_json(t, r, rec, status);
	else if (!t->o->quick && status != EXIT_FAILED)
		say_plain(t, r, rec);
	if (status == EXIT_FAILED || t->status == EXIT_DONE)
		t->status = status;
	t->files++;
	t->frames += rec->frames;
	t->lost += rec->lost == NCP_UNKNOWN ? 0 : rec->lost;
	t->bytes += rec->bytes;
	if (rec->missing_ns > t->missing_ns)
		t->missing_ns = rec->missing_ns;
	r->pid = 0;
	if (t->last == (int)i)
		t->last = -1;
	space_lock(t->space);
	space_set(t->space, i, &(struct space_file){ 0 });
	space_unlock(t->space);
}

/* Take note of recorders that have ended; wait for all of them.  How many there are still. */
static unsigned int reap(struct trigger *t, bool wait)
{
	unsigned int n = 0;

	for (uint32_t i = 0; i < RECORDINGS; i++) {
		int wstatus;
		pid_t r;

		if (!t->recorder[i].pid)
			continue;
		do
			r = waitpid(t->recorder[i].pid, &wstatus, wait ? 0 : WNOHANG);
		while (r < 0 && errno == EINTR);
		if (r == t->recorder[i].pid)
			ended(t, i, wstatus);
		else
			n++;
	}
	return n;
}

/* --- recordings that begin -------------------------------------------------------------------- */

/* May another file begin?  At most trigger_max of them do in any trigger_per_ns. */
static bool may_begin(struct trigger *t, uint64_t now)
{
	uint64_t max = t->o->trigger_max;

	if (t->n_begun >= max && now - t->begun_ns[t->n_begun % max] < t->o->trigger_per_ns) {
		if (!t->limited && !t->o->quick)
			message_note("--trigger",
				     MESSAGE_TEXT("%llu files in %.0f s: what matches is only counted now",
						  (unsigned long long)max,
						  (double)t->o->trigger_per_ns / 1e9),
				     "--trigger-limit allows more");
		t->limited = true;
		return false;
	}
	t->limited = false;
	return true;
}

/* The next name that is free. */
static int name_make(struct trigger *t, uint64_t ts_ns, char *path)
{
	int r;

	if (t->naming.dated)
		t->number = 0;
	do
		r = naming_make(path, PATH_MAX, &t->naming, t->number++, (time_t)(ts_ns / SECOND));
	while (r == 0 && access(path, F_OK) == 0);
	return r;
}

/* The recorder's process.  Nothing of the watcher's is used in it, its output least of all. */
static int child(struct trigger *t, uint32_t i)
{
	struct dump_options o = *t->o;

	o.trigger = NULL;
	o.write = t->recorder[i].path;
	o.no_clobber = true;
	o.quick = true;
	o.space = t->space;
	o.writer_idx = i;
	o.series = &t->naming;
	o.begun_ns = t->recorder[i].ts_ns;
	o.from = (struct dump_where){ WHERE_TIME, t->recorder[i].ts_ns > o.before_ns ?
							  t->recorder[i].ts_ns - o.before_ns :
							  0 };
	return t->record(&o, t->bus, &t->shared[i]);
}

static int begin(struct trigger *t, uint64_t ts_ns, uint64_t now)
{
	uint32_t i = 0;
	int r;

	while (i < RECORDINGS && t->recorder[i].pid)
		i++;
	if (i == RECORDINGS || !may_begin(t, now)) {
		t->suppressed++;
		return 0;
	}
	t->recorder[i].ts_ns = ts_ns;
	r = name_make(t, ts_ns, t->recorder[i].path);
	if (r < 0)
		return message_error(EXIT_FAILED, t->o->write, ncp_strerror(r), NULL);
	memset(&t->shared[i], 0, sizeof(t->shared[i]));
	atomic_store(&t->shared[i].until.mono_ns, now + t->o->after_ns + SECOND);
	atomic_store(&t->shared[i].until.ns, ts_ns + t->o->after_ns);
	if (t->json)
		fflush(t->json);
	t->recorder[i].pid = fork();
	if (t->recorder[i].pid == 0)
		_exit(child(t, i));
	if (t->recorder[i].pid < 0) {
		t->recorder[i].pid = 0;
		return message_error(EXIT_FAILED, "a recorder", ncp_strerror(-errno), NULL);
	}
	t->begun_ns[t->n_begun++ % t->o->trigger_max] = now;
	t->last = (int)i;
	return 0;
}

/* A frame matches: the recording that goes on is to last longer, or a new one begins. */
static int match(struct trigger *t, uint64_t ts_ns)
{
	uint64_t now = mono_ns(), until = ts_ns + t->o->after_ns;

	t->matches++;
	if (t->last >= 0) {
		struct capture_until *u = &t->shared[t->last].until;
		uint64_t was = atomic_load(&u->ns);

		atomic_store(&u->mono_ns, now + t->o->after_ns + SECOND);
		while (was && was < until)
			if (atomic_compare_exchange_weak(&u->ns, &was, until))
				return 0;
		if (was)
			return 0;
		/* It is just being closed. */
	}
	return begin(t, ts_ns, now);
}

/* --- watching --------------------------------------------------------------------------------- */

static void say_progress(const struct trigger *t, unsigned int recording)
{
	message_note(MESSAGE_TEXT("bus %s", t->bus),
		     MESSAGE_TEXT("%llu matches, %llu of them not saved, %llu files, %u being written",
				  (unsigned long long)t->matches,
				  (unsigned long long)t->suppressed, (unsigned long long)t->files,
				  recording),
		     NULL);
}

/* Read once.  1: something was there; 0: nothing; 2: the bus has ended; < 0, or EXIT_FAILED + 2 after
 * saying why. */
static int look(struct trigger *t)
{
	struct ncp_frame f[BATCH] = { NCP_FRAME_INIT };
	int n = ncp_next_batch(t->c, f, BATCH);

	for (int i = 0; i < n; i++) {
		if (f[i].kind == NCP_FRAME) {
			if (match(t, f[i].ts_ns))
				return EXIT_FAILED + 2;
		} else if (f[i].kind == NCP_LOST && f[i].next_seq != NCP_UNKNOWN) {
			t->missed += f[i].next_seq - f[i].seq;
		} else if (f[i].kind == NCP_STATE &&
			   (f[i].state == NCP_ENDED ||
			    (t->o->exit_on_close && f[i].state > NCP_PAUSED))) {
			return 2;
		}
	}
	return n < 0 ? n : n > 0;
}

static int watch(struct trigger *t)
{
	int r = 1;

	while (!t->signals->stop) {
		unsigned int recording = reap(t, false);

		if (t->signals->stats) {
			t->signals->stats = 0;
			say_progress(t, recording);
		}
		r = look(t);
		if (r == 0) {
			r = ncp_wait(t->c, 250);
			r = r == -EINTR ? 0 : r;
		}
		if (r < 0)
			return fail(t, r);
		if (r > 1)
			return r - 2;
	}
	return EXIT_DONE;
}

/* Does the ring go back so far?  It cannot be told before it was filled once. */
static void say_depth(const struct trigger *t)
{
	struct ncp_bus_info info = NCP_BUS_INFO_INIT;

	if (ncp_bus_info(t->c, &info) < 0 || info.tail == 0 || t->o->quick ||
	    info.newest_ts_ns < info.oldest_ts_ns ||
	    info.newest_ts_ns - info.oldest_ts_ns >= t->o->before_ns)
		return;
	message_note(MESSAGE_TEXT("bus %s", t->bus),
		     MESSAGE_TEXT("asked for %.1f s before, the ring holds %.1f s at present",
				  (double)t->o->before_ns / 1e9,
				  (double)(info.newest_ts_ns - info.oldest_ts_ns) / 1e9),
		     "give the producer a larger ring");
}

static void report(const struct trigger *t)
{
	struct json j;

	if (!t->json) {
		if (!t->o->quick)
			fprintf(stderr,
				"%llu matches, %llu of them not saved, %llu frames not looked at; "
				"%llu frames and %llu bytes in %llu file%s, %llu lost\n",
				(unsigned long long)t->matches, (unsigned long long)t->suppressed,
				(unsigned long long)t->missed, (unsigned long long)t->frames,
				(unsigned long long)t->bytes, (unsigned long long)t->files,
				t->files == 1 ? "" : "s", (unsigned long long)t->lost);
		return;
	}
	json_open(&j);
	json_object_begin(&j);
	json_key(&j, "schema"), json_u64(&j, 1);
	json_key(&j, "bus"), json_str(&j, t->bus);
	json_key(&j, "matches"), json_u64(&j, t->matches);
	json_key(&j, "suppressed"), json_u64(&j, t->suppressed);
	json_key(&j, "missed"), json_u64(&j, t->missed);
	json_key(&j, "files"), json_u64(&j, t->files);
	json_key(&j, "frames"), json_u64(&j, t->frames);
	json_key(&j, "lost"), json_u64(&j, t->lost);
	json_key(&j, "bytes"), json_u64(&j, t->bytes);
	json_key(&j, "from_missing_seconds"), json_seconds(&j, (int64_t)t->missing_ns);
	json_object_end(&j);
	if (json_print(&j, t->json) < 0)
		message_error(EXIT_FAILED, "the summary", "it cannot be written", NULL);
	json_close(&j);
}

int trigger_run(const struct dump_options *o, const char *bus, struct ncp_client *c,
		struct capture_signals *signals, FILE *json, trigger_record *record)
{
	struct trigger *t = calloc(1, sizeof(*t));
	size_t len = RECORDINGS * sizeof(*t->shared);
	char error[256] = "";
	int r;

	if (!t)
		return message_error(EXIT_FAILED, "--trigger", ncp_strerror(-ENOMEM), NULL);
	*t = (struct trigger){ .o = o, .bus = bus, .c = c, .signals = signals, .json = json,
			       .record = record, .last = -1 };
	t->naming = (struct naming){ .path = o->write,
				     .dated = strchr(o->write, '%') != NULL,
				     .ring = !strchr(o->write, '%'),
				     .utc = o->utc };
	t->space = space_make();
	t->shared = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!t->space || t->shared == MAP_FAILED) {
		if (t->shared != MAP_FAILED)
			munmap(t->shared, len);
		space_free(t->space);
		free(t);
		return message_error(EXIT_FAILED, "--trigger", ncp_strerror(-ENOMEM), NULL);
	}
	r = ncp_set_filter(c, o->trigger, error, sizeof(error));
	if (r < 0) {
		t->status = message_error(r == NCP_EFILTER ? EXIT_USAGE : EXIT_FAILED,
					  MESSAGE_TEXT("trigger %s", o->trigger),
					  *error ? error : ncp_strerror(r), NULL);
	} else {
		say_depth(t);
		r = watch(t);
		/* The recorders end likewise: with what was published by now. */
		for (uint32_t i = 0; i < RECORDINGS; i++)
			if (signals->stop && t->recorder[i].pid)
				kill(t->recorder[i].pid, SIGTERM);
		(void)reap(t, true);
		report(t);
		if (r != EXIT_DONE)
			t->status = r;
		if (t->status == EXIT_DONE && o->strict && (t->lost || t->missed))
			t->status = EXIT_LOST;
	}
	r = t->status;
	munmap(t->shared, len);
	space_free(t->space);
	free(t);
	return r;
}
