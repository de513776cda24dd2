/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c - ncp-producer: from the command line to a capturing process without rights, and its end. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "libncpbus/create.h"
#include "libncpbus/include/ncpbus.h"
#include "libncpbus/order.h"
#include "libncpbus/stamp.h"
#include "libncpbus/writer.h"
#include "producer/helper.h"
#include "producer/memory.h"
#include "producer/netns.h"
#include "producer/notify.h"
#include "producer/options.h"
#include "producer/privs.h"
#include "producer/refilter.h"
#include "producer/size.h"
#include "producer/sources.h"
#include "producer/status.h"
#include "producer/worker.h"
#include "util/message.h"

#define TICK_NS NCPI_SECOND	   /* status lines, dead clients' lines */
#define WAIT_CLIENTS_MS 20	   /* how often --wait-clients counts */
#define WAIT_SOURCE_MS 200	   /* how often --wait looks for a source that is no interface */
#define NUDGE_MS 5		   /* until a worker has seen its order */
#define GIVE_UP_NS NCPI_SECOND	   /* after a second signal */

struct producer {
	struct producer_options o;
	struct privs_who who;
	struct sources sources;
	struct helper helper;
	int dirfd;
	int signal_fd;
	struct ncpi_bus bus;
	struct ncpi_writer *writer;
	struct capture capture;
	struct status status;
	struct notify notify;
	uint64_t beat, beat_at_ns; /* the waker's, as it was seen last */
	FILE *json_file;
	char *argv0; /* the arguments, as one piece of memory: what ps shows */
	size_t argv_len;
	int signal; /* the first that came; 0: none */
	bool at_terminal; /* SIGHUP says that it is gone, and stops */
	bool started; /* workers run, or ran */
};

/* --- from the start to the first frame ------------------------------------------------------ */

/* A descriptor that we open must not become somebody's stdout. */
static bool stdio_fill(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= 2);
	if (fd > 2)
		close(fd);
	return fd >= 0;
}

static int remove_bus(const struct producer_options *o)
{
	const char *what = MESSAGE_TEXT("bus %s: remove", o->remove);
	int dirfd = ncpi_dir_open(o->dir);
	int r = dirfd < 0 ? dirfd : ncpi_bus_remove(dirfd, o->remove);

	if (dirfd >= 0)
		close(dirfd);
	if (r == NCP_ENOBUS)
		return message_error(EXIT_NO_BUS, what, ncp_strerror(r), "ncp-stats --list names them");
	if (r == NCP_ENAME)
		return message_error(EXIT_USAGE, what, ncp_strerror(r), NULL);
	if (r == -EBUSY)
		return message_error(EXIT_FAILED, what, "its producer is running", "stop that first");
	if (r < 0)
		return message_error(EXIT_FAILED, what, ncp_strerror(r),
				     r == -EPERM || r == -EACCES ? "try again as root" : NULL);
	return EXIT_DONE;
}

static int list_interfaces(const struct producer_options *o)
{
	char why[SOURCE_WHY_CAP];
	int r = o->netns ? netns_enter(o->netns, why) : 0;

	if (r < 0)
		return message_error_text(r == -EINVAL ? EXIT_USAGE : EXIT_FAILED, why);
	for (size_t i = 0; source_kinds[i] && r == 0; i++)
		r = source_kinds[i]->list ? source_kinds[i]->list(stdout, o->json, o->dir) : 0;

	if (r == 0 && fflush(stdout) != 0)
		r = -errno;
	return r < 0 ? message_error(EXIT_FAILED, "interfaces", ncp_strerror(r), NULL) : EXIT_DONE;
}

/* What a user may not expect.  Said while a signal still ends the program: it may block. */
static void remarks(const struct producer *p)
{
	const struct producer_options *o = &p->o;

	if (o->ring_asked && o->ring_asked != o->ring_size)
		message_note("-m", MESSAGE_TEXT("rounded up to %llu bytes, a power of two",
						(unsigned long long)o->ring_size), NULL);
	if (p->who.change && p->who.unallocated)
		message_note(MESSAGE_TEXT("user %s", p->who.user),
			     "there is no user ncp, so a number that nobody has stands in",
			     "useradd --system ncp, or give one with -Z");
	else if (!p->who.change && geteuid() == 0)
		message_note("user", "it cannot be changed here, so this stays root's process, "
				     "without its rights", NULL);
}

/* An interface whose hardware tells no time: captured all the same. */
static void hwtime_remarks(const struct packet_list *list)
{
	for (uint32_t i = 0; i < list->n; i++) {
		const struct packet_want *want = &list->want[i];

		if (want->hwtime && !want->hw.set)
			message_note(MESSAGE_TEXT("interface %s", want->name),
				     MESSAGE_TEXT("its times are the kernel's, not its own clock's: %s",
						  want->any ? "any has none"
						  : want->hw.error == -ERANGE
							  ? "it can stamp some frames only"
						  : want->hw.error ? ncp_strerror(want->hw.error)
								   : "it is not there"),
				     want->hw.error == -EPERM ? "start with CAP_NET_ADMIN" : NULL);
	}
}

/* Until now a signal ends the program, which holds nothing yet.  From here on the main thread alone
 * sees them, when it asks. */
static int signals_take(struct producer *p)
{
	struct sigaction ignore = { .sa_handler = SIG_IGN }, hup;
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	sigset_t set;

	p->at_terminal = tty >= 0;
	if (tty >= 0)
		close(tty);

	sigaction(SIGPIPE, &ignore, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (sigaction(SIGHUP, NULL, &hup) == 0 && hup.sa_handler != SIG_IGN) /* else: nohup */
		sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	p->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return p->signal_fd < 0 ? -errno : 0;
}

/* What is said when the names cannot be had. */
static int bus_refused(const struct producer *p, int r, const char *why)
{
	const char *what = MESSAGE_TEXT("bus %s", p->o.bus);
	const char *text = *why ? MESSAGE_TEXT("%s: %s", ncp_strerror(r), why) : ncp_strerror(r);

	switch (r) {
	case -EBUSY:
		return message_error(EXIT_FAILED, what, "another producer is running it",
				     "stop that one, or name another bus with -b");
	case -ENOSPC:
		return message_error(EXIT_FAILED, what, *why ? why : ncp_strerror(r),
				     "give a smaller ring with -m, enlarge the file system "
				     "(mount -o remount,size=; for a container --shm-size), or "
				     "remove busses that nobody needs");
	case NCP_EFOREIGN:
	case NCP_ENOTBUS:
		return message_error(EXIT_FAILED, what, text,
				     "as root: ncp-producer --remove, or name another bus with -b");
	case -EPERM:
	case -EACCES:
		return message_error(EXIT_FAILED, what, text,
				     "start as root, or give a directory of your own with --dir");
	default:
		return message_error(EXIT_FAILED, what, text, NULL);
	}
}

static int bus_take(struct producer *p)
{
	const struct producer_options *o = &p->o;
	char why[128] = "";
	struct size_room room;
	int r = size_room_read(p->dirfd, &room);

	if (r < 0)
		return message_error(EXIT_FAILED, "directory of the busses", ncp_strerror(r), NULL);
	/* Before anything is replaced by a ring that cannot be used. */
	uint32_t largest = sources_largest(&p->sources, o->src.snaplen);
	uint64_t least = size_round_up(ncpi_writer_least_ring(p->sources.n, largest));
	if (o->ring_size && o->ring_size < least)
		return message_error(EXIT_USAGE, "ring size",
				     MESSAGE_TEXT("%llu bytes are too few for frames of up to %u%s",
						  (unsigned long long)o->ring_size, largest,
						  p->sources.n > 1 ? " and so many workers" : ""),
				     MESSAGE_TEXT("give -m %lluK or more, or a snaplen with -s",
						  (unsigned long long)least >> 10));
	uint64_t otherwise = size_default(&room);
	const struct ncpi_geometry geo = {
		.ring_size = o->ring_size,
		.size_default = otherwise < least ? least : otherwise,
		.n_reliable = (uint32_t)o->max_reliable,
		.snaplen = o->src.snaplen,
		.reliable = o->reliable,
		.mode = p->who.shared ? 0640 : 0600,
		.gid = p->who.shared ? p->who.group : 0,
		.registry_gid = privs_registry_gid(&p->who),
	};
	r = ncpi_bus_open(p->dirfd, o->bus, &geo, &p->bus, why);
	return r < 0 ? bus_refused(p, r, why) : EXIT_DONE;
}

/* The ring's memory: where it should be, and there to stay. */
static int memory_settle(const struct producer *p)
{
	char why[SOURCE_WHY_CAP];

	/* A new one was made there. */
	if (p->o.numa != UINT64_MAX && p->bus.how == NCPI_BUS_CONTINUED &&
	    memory_segment_move(&p->bus.seg, (unsigned)p->o.numa) < 0)
		message_note("--numa", "the ring was there before, and not all of it could be moved",
			     NULL);
	if (p->o.mlock && memory_segment_lock(&p->bus.seg, why) < 0)
		return message_error_text(EXIT_FAILED, why);
	return EXIT_DONE;
}

/* A source's interface is back: the helper has the right to open a socket on it. */
static int packet_again(void *arg, uint32_t i, struct packet_socket *s)
{
	struct producer *p = arg;

	return helper_socket(&p->helper, i, s);
}

static int bus_again(void *arg, uint32_t i)
{
	struct producer *p = arg;

	return helper_open(&p->helper, i);
}

static int packet_compile(void *arg, uint32_t i, uint32_t linktype, struct compile_program *program,
			  char *why)
{
	struct producer *p = arg;

	return helper_filter_compile(&p->helper, i, linktype, program, why);
}

static int frames_compile(void *arg, int dlt, struct compile_program *program, char *why)
{
	struct producer *p = arg;

	return helper_filter_compile_frames(&p->helper, dlt, program, why);
}

/* Open all sources; with --wait, again and again until they are there.  A signal still ends us, and
 * nothing is held. */
static int sources_wait(struct producer *p, char *why)
{
	struct producer_options *o = &p->o;
	bool told = false;
	int r;

	while ((r = sources_open(&p->sources, o->arg, o->n_args, &o->src, why)) < 0) {
		packet_clocks_restore(&p->sources.packets); /* later the helper does it */
		if (r != -EAGAIN)
			break;
		sources_close(&p->sources);
		if (!told)
			message_note(MESSAGE_TEXT("source %s", o->source), "waiting for it", NULL);
		told = true;
		poll(NULL, 0, WAIT_SOURCE_MS);
	}
	return r;
}

/* Everything that needs rights, then none are left. */
static int acquire(struct producer *p)
{
	struct producer_options *o = &p->o;
	char why[PRIVS_WHY_CAP > SOURCE_WHY_CAP ? PRIVS_WHY_CAP : SOURCE_WHY_CAP] = "";
	int r = privs_find(o->user, o->group, o->bus, &p->who, why);

	if (r < 0)
		return message_error_text(r == -EINVAL ? EXIT_USAGE : EXIT_FAILED, why);
	if (o->json_file) {
		p->json_file = fopen(o->json_file, "we");
		if (!p->json_file)
			return message_error(EXIT_FAILED, o->json_file, strerror(errno),
					     "give a file that can be written");
		/* A buffer now: later stdio would ask a device whether it is a terminal, which the
		 * seccomp filter does not allow. */
		setvbuf(p->json_file, NULL, _IOFBF, BUFSIZ);
		message_json(p->json_file);
	}
	notify_open(&p->notify);
	if (o->numa != UINT64_MAX) {
		bool only;

		r = memory_node_take((unsigned)o->numa, "", &only, why);
		if (r < 0)
			return message_error_text(r == -EINVAL ? EXIT_USAGE : EXIT_FAILED, why);
		if (only)
			message_note("--numa", "this machine has one node", NULL);
	}
	p->dirfd = ncpi_dir_open(o->dir);
	if (p->dirfd < 0)
		return message_error(EXIT_FAILED, "directory of the busses",
				     ncp_strerror(p->dirfd), "give another with --dir");
	r = o->netns ? netns_enter(o->netns, why) : 0;
	if (r < 0)
		return message_error_text(r == -EINVAL ? EXIT_USAGE : EXIT_FAILED, why);
	r = sources_wait(p, why);
	if (r < 0)
		return message_error_text(r == -EINVAL	      ? EXIT_USAGE
					  : r == NCP_ENOBUS ? EXIT_NO_BUS
							    : EXIT_FAILED,
					  why);
	remarks(p);
	hwtime_remarks(&p->sources.packets);
	r = signals_take(p);
	if (r < 0)
		return message_error(EXIT_FAILED, "signals", ncp_strerror(r), NULL);
	const struct helper_options helper = {
		.dirfd = p->dirfd,
		.bus = o->bus,
		.who = &p->who,
		.packets = &p->sources.packets,
		.busses = &p->sources.busses,
		.filter = &o->filter_from,
		.filter_now = o->src.filter,
		.argv0 = p->argv0,
		.argv_len = p->argv_len,
	};
	r = helper_fork(&p->helper, &helper);
	if (r < 0)
		packet_clocks_restore(&p->sources.packets);
	if (r < 0)
		return message_error(EXIT_FAILED, "helper process", ncp_strerror(r), NULL);
	o->src.packet_again = packet_again;
	o->src.bus_again = bus_again;
	o->src.packet_compile = packet_compile;
	o->src.frames_compile = frames_compile;
	o->src.packet_again_arg = p;
	int status = bus_take(p);
	if (status != EXIT_DONE)
		return status;
	status = memory_settle(p);
	if (status != EXIT_DONE)
		return status;
	r = helper_bus(&p->helper, p->bus.seg.dev, p->bus.seg.ino);
	if (r < 0)
		return message_error(EXIT_FAILED, "helper process", ncp_strerror(r), NULL);
	const struct privs_out out = {
		.text = { STDERR_FILENO, p->json_file ? fileno(p->json_file) : -1 },
		.talk = { p->helper.fd, p->notify.fd },
	};
	r = privs_drop(&p->who, p->who.uid, 0);
	if (r == 0)
		r = privs_confine(PRIVS_CAPTURE, p->bus.registry_fd, p->sources.syscalls, &out);
	if (r < 0)
		return message_error(EXIT_FAILED, "giving up rights", ncp_strerror(r), NULL);
	return EXIT_DONE;
}

/*
 * A processor for each worker, in turn, of those that we may run on; none for a single one, which
 * the scheduler moves out of others' way.  With --fanout cpu the kernel gives processor i's frames
 * to member i of the group, modulo its size: each interface begins with the first again.
 */
static void workers_add(struct producer *p)
{
	const struct source_options *o = &p->o.src;
	cpu_set_t set;
	int cpu[CPU_SETSIZE], n = 0;

	if (o->workers > 1 && sched_getaffinity(0, sizeof(set), &set) == 0)
		for (int i = 0; i < CPU_SETSIZE; i++)
			if (CPU_ISSET(i, &set))
				cpu[n++] = i;
	for (uint32_t i = 0; i < p->sources.n; i++) {
		const struct sources_member *m = &p->sources.member[i];
		uint32_t k = o->fanout == packet_fanout_flags("cpu") ? m->number : i;

		worker_add(&p->capture, m->src, m->group, n ? cpu[k % (uint32_t)n] : -1);
		p->status.worker_source[i] = m->text;
	}
}

/* The bus can be attached at the end of this; nothing is captured yet. */
static int announce(struct producer *p)
{
	const struct producer_options *o = &p->o;
	/* At once is a millisecond for all but the first client. */
	const uint32_t retire_ms = o->src.immediate ? 1 : o->src.retire_ms;
	const struct ncpi_writer_options wo = {
		.n_workers = p->sources.n,
		.largest_caplen = sources_largest(&p->sources, o->src.snaplen),
		.retire_ms = retire_ms,
		.reliable_timeout_ms = (uint32_t)o->reliable_timeout_ms,
		.snaplen = o->src.snaplen,
		.immediate = o->src.immediate,
	};
	char why[128] = "";
	const char *what = MESSAGE_TEXT("bus %s", o->bus);
	int r = ncpi_writer_open(&p->bus, &wo, &p->writer, why);

	if (r < 0)
		return message_error(EXIT_FAILED, what, *why ? why : ncp_strerror(r),
				     r == -EINVAL ? "give a larger ring with -m, or a snaplen with -s"
						  : NULL);
	r = ncpi_writer_start(p->writer);
	if (r == 0)
		r = capture_init(&p->capture, p->writer, wo.largest_caplen, wo.retire_ms, o->count);
	if (r < 0)
		return message_error(EXIT_FAILED, what, ncp_strerror(r), NULL);
	p->capture.drain = o->reliable;
	workers_add(p);
	for (uint32_t i = 0; i < p->capture.n_workers; i++)
		if (worker_learn(&p->capture.worker[i]) < 0)
			return message_error_text(EXIT_FAILED, p->capture.worker[i].why);
	if (o->wait_clients)
		ncpi_writer_state(p->writer, NCP_STARTING, NCP_REASON_WAITING);
	p->status.json = o->json ? p->json_file ? p->json_file : stderr : NULL;
	p->status.source = o->source;
	p->status.bus = &p->bus;
	p->status.sources = &p->sources;
	p->status.writer = p->writer;
	p->status.n_workers = wo.n_workers;
	status_begin(&p->status, &p->who);
	return EXIT_DONE;
}

/* --- while it runs -------------------------------------------------------------------------- */

static bool clients_are_there(const struct producer *p)
{
	struct ncpi_audience a;

	if (!p->o.wait_clients)
		return true;
	ncpi_writer_audience(p->writer, &a);
	return (p->o.reliable ? a.granted : a.live) >= p->o.wait_clients;
}

static int begin(struct producer *p)
{
	struct source *failed;
	int r = sources_start(&p->sources, &failed);

	if (r < 0)
		return message_error_text(EXIT_FAILED, failed->why);
	/* All filters are in force: what comes from here on goes to one of the workers. */
	ncpi_writer_state(p->writer, NCP_LIVE, NCP_REASON_NONE);
	p->started = true;
	for (uint32_t i = 0; i < p->capture.n_workers; i++) {
		r = worker_start(&p->capture.worker[i]);
		if (r < 0) {
			capture_order(&p->capture, CAPTURE_STOP);
			return message_error(EXIT_FAILED, "thread", ncp_strerror(r), NULL);
		}
	}
	return EXIT_DONE;
}

/* Read the filter's file again.  Whatever is wrong with it, what is in force stays so. */
static void filter_again(struct producer *p)
{
	char why[SOURCE_WHY_CAP];

	notify_reloading(&p->notify);
	if (refilter_all(&p->helper, &p->sources, why) < 0) {
		p->status.filter_refused++;
		status_note(&p->status, "the filter stays as it is", why);
	} else {
		p->status.filter_reloads++;
		status_note(&p->status, MESSAGE_TEXT("filter file %s", p->o.filter_from.file),
			    "read again, and in force");
	}
	notify_say(&p->notify, "READY=1");
}

/* The first signal stops, the second ends at once.  To a service SIGHUP says: read your files. */
static void signals_read(struct producer *p, uint64_t *give_up_at)
{
	struct signalfd_siginfo si;

	while (read(p->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo == SIGHUP && !p->at_terminal && !p->signal) {
			if (p->o.filter_from.file)
				filter_again(p);
			else
				status_note(&p->status, "SIGHUP", "there is no file to read again");
		} else if (!p->signal) {
			p->signal = (int)si.ssi_signo;
			capture_order(&p->capture, CAPTURE_STOP);
		} else {
			*give_up_at = ncpi_now_monotonic() + GIVE_UP_NS;
			capture_order(&p->capture, CAPTURE_ABORT);
		}
	}
}

/*
 * Tell the watchdog that all is well, if it is: the capture threads go round, and the waker beats.  This
 * thread is the one that tells.
 */
static void watchdog_feed(struct producer *p)
{
	const uint64_t patience = p->notify.watchdog_ns / 2, now = ncpi_now_monotonic(),
		       beat = ncpi_load(&p->bus.seg.h->heartbeat);

	if (!p->notify.watchdog_ns)
		return;
	if (beat != p->beat || !p->beat_at_ns) {
		p->beat = beat;
		p->beat_at_ns = now;
	}
	if (capture_moves(&p->capture, patience) && now - p->beat_at_ns <= patience)
		notify_say(&p->notify, "WATCHDOG=1");
}

/* The looks at all this: each second, or often enough for the watchdog. */
static uint64_t tick_ns(const struct producer *p)
{
	const uint64_t often = p->notify.watchdog_ns / 6;

	return often && often < TICK_NS ? often : TICK_NS;
}

/* One that failed, or that took the last of -c's frames, ends all; one that is exhausted does not. */
static bool one_ends_all(const struct producer *p)
{
	return p->started && (capture_end(&p->capture, WORKER_FAILED) ||
			      capture_end(&p->capture, WORKER_COUNTED));
}

static int supervise(struct producer *p)
{
	struct pollfd fds[] = { { .fd = p->signal_fd, .events = POLLIN },
				{ .fd = p->capture.done_fd, .events = POLLIN } };
	uint64_t tick_at = ncpi_now_monotonic() + TICK_NS, feed_at = 0, give_up_at = UINT64_MAX;
	eventfd_t n_ended; /* read so that the next one is seen; capture_ended() counts */
	bool ready = false;

	for (;;) {
		if (!p->started && !p->signal && clients_are_there(p)) {
			int status = begin(p);

			if (status != EXIT_DONE)
				return status;
		}
		if (!ready) /* the bus can be attached, and nothing but clients is waited for */
			notify_say(&p->notify, "READY=1");
		ready = true;
		if (p->started ? capture_ended(&p->capture) : p->signal != 0)
			return EXIT_DONE;
		if (one_ends_all(p))
			capture_order(&p->capture, CAPTURE_STOP);

		uint64_t now = ncpi_now_monotonic();
		if (now >= give_up_at) {
			/* A read that no signal ends.  The bus is left as after a crash: whole. */
			message_error(EXIT_FAILED, MESSAGE_TEXT("source %s", p->o.source),
				      "does not stop", NULL);
			_exit(EXIT_FAILED);
		}
		if (now >= feed_at) {
			feed_at = now + tick_ns(p);
			watchdog_feed(p);
		}
		if (now >= tick_at) {
			tick_at = now + TICK_NS;
			helper_reap(&p->helper);
			status_tick(&p->status);
		}
		uint64_t wait_ms = ((tick_at < feed_at ? tick_at : feed_at) - now) / NCPI_MS + 1;
		if (!p->started)
			wait_ms = WAIT_CLIENTS_MS;
		if (!capture_nudge(&p->capture))
			wait_ms = NUDGE_MS;
		poll(fds, 2, (int)wait_ms);
		eventfd_read(p->capture.done_fd, &n_ended);
		signals_read(p, &give_up_at);
	}
}

/* --- the end -------------------------------------------------------------------------------- */

/* How the bus is left. */
struct ending {
	uint32_t state, reason;
	bool unlink;
	int status;
};

static struct ending ending_of(const struct producer *p, int status)
{
	const struct producer_options *o = &p->o;
	/* A live source that stops comes again and goes on; any other has said what it had. */
	struct ending e = { .state = sources_live(&p->sources) ? NCP_STOPPED : NCP_ENDED,
			    .reason = NCP_REASON_SIGNAL,
			    .status = status };
	bool stopped = !p->started || capture_end(&p->capture, WORKER_STOPPED);

	if (status != EXIT_DONE || capture_end(&p->capture, WORKER_FAILED)) {
		e.reason = NCP_REASON_SOURCE_ERROR;
		if (!p->started && p->bus.how != NCPI_BUS_CONTINUED)
			e.state = NCP_ENDED; /* it never lived */
	} else if (capture_end(&p->capture, WORKER_COUNTED)) {
		e.state = NCP_ENDED;
		e.reason = NCP_REASON_COUNT;
	} else if (!stopped) {
		e.state = NCP_ENDED;
		e.reason = NCP_REASON_EXHAUSTED;
	} else if (p->signal == SIGINT && !o->keep) {
		e.state = NCP_ENDED; /* a person at a terminal is done with it */
	}
	if (o->unlink)
		e.state = NCP_ENDED;
	e.unlink = e.state == NCP_ENDED && !o->keep;
	return e;
}

/* Remove the names, while the bus is still locked. */
static bool names_remove(struct producer *p)
{
	int r = helper_unlink(&p->helper);

	if (r == 0)
		return true;
	message_error(EXIT_FAILED, MESSAGE_TEXT("bus %s: remove", p->o.bus),
		      r == -EPIPE ? "the helper process is gone" : ncp_strerror(r),
		      MESSAGE_TEXT("ncp-producer --remove %s", p->o.bus));
	return false;
}

/* End in order what was announced.  status: what went wrong so far. */
static int conclude(struct producer *p, int status)
{
	struct status_last last;
	bool removed = false;

	notify_say(&p->notify, "STOPPING=1");
	if (p->started)
		capture_join(&p->capture);
	struct ending e = ending_of(p, status);
	status_read(&p->status, &last);
	ncpi_writer_close(p->writer, e.state, e.reason);
	p->writer = NULL;
	const struct worker *failed = capture_end(&p->capture, WORKER_FAILED);
	if (failed)
		e.status = message_error_text(EXIT_FAILED, failed->why);
	if (e.unlink) {
		removed = names_remove(p);
		if (!removed)
			e.status = EXIT_FAILED;
	}
	status_end(&p->status, &last, e.state, removed);
	return e.status;
}

static int run(struct producer *p)
{
	int status = acquire(p);

	if (status == EXIT_DONE)
		status = announce(p);
	if (p->status.bus) {
		if (status == EXIT_DONE)
			status = supervise(p);
		status = conclude(p, status);
	} else if (p->writer) {
		/* Could not describe itself: what was there before stays, what was made goes. */
		ncpi_writer_close(p->writer, p->bus.how == NCPI_BUS_CONTINUED ? NCP_STOPPED
									       : NCP_ENDED,
				  NCP_REASON_SOURCE_ERROR);
		if (p->bus.how != NCPI_BUS_CONTINUED)
			names_remove(p);
	} else if (p->bus.seg.h && p->bus.how != NCPI_BUS_CONTINUED) {
		names_remove(p);
	}
	if (p->capture.writer)
		capture_fini(&p->capture);
	ncpi_bus_close(&p->bus);
	helper_close(&p->helper);
	sources_close(&p->sources);
	notify_close(&p->notify);
	if (p->signal_fd >= 0)
		close(p->signal_fd);
	if (p->dirfd >= 0)
		close(p->dirfd);
	if (p->json_file) {
		message_json(NULL);
		if (fclose(p->json_file) != 0 && status == EXIT_DONE)
			status = message_error(EXIT_FAILED, p->o.json_file, strerror(errno), NULL);
	}
	return status;
}

int main(int argc, char **argv)
{
	static struct producer p = {
		.helper.fd = -1,
		.dirfd = -1,
		.signal_fd = -1,
		.notify.fd = -1,
		.bus = { .dirfd = -1, .lock_fd = -1, .registry_fd = -1 },
	};
	int status;

	message_setup("ncp-producer");
	p.argv0 = argv[0]; /* before they are put in another order */
	p.argv_len = argc ? (size_t)(argv[argc - 1] + strlen(argv[argc - 1]) + 1 - argv[0]) : 0;
	if (!stdio_fill())
		return EXIT_FAILED;
	switch (producer_options_read(argc, argv, &p.o)) {
	case OPTIONS_RUN:
		if (p.o.list_interfaces)
			status = list_interfaces(&p.o);
		else if (p.o.remove)
			status = remove_bus(&p.o);
		else
			status = run(&p);
		break;
	case OPTIONS_SHOWN:
		status = fflush(stdout) == 0 ? EXIT_DONE : EXIT_FAILED;
		break;
	default:
		status = EXIT_USAGE;
		break;
	}
	producer_options_free(&p.o);
	return status;
}
