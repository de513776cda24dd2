/* SPDX-License-Identifier: BSD-2-Clause */
/* test_storm.c - processes stopped and killed at random around a small ring that laps all the time. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libncpbus/line.h"
#include "libncpbus/stamp.h"
#include "storm.h"

/* However loaded the machine is: longer than that is for ever. */
#define PATIENCE_NS (60 * NCPI_SECOND)

static struct test_bus bus;
static struct tap_rng rng;

struct child {
	pid_t pid; /* 0: none */
	uint32_t life;
	uint64_t start_ns; /* without a pid: when the next one comes */
};
static struct child client[STORM_SLOTS], producer;
static unsigned kills, member_kills, stops, crashes, rivals;

/* --- in the child ------------------------------------------------------------------------------- */

/* Is anything of the bus still mapped here? */
static bool mapped(void)
{
	char line[512];
	bool found = false;
	FILE *maps = fopen("/proc/self/maps", "re");

	while (maps && fgets(line, sizeof(line), maps))
		found |= strstr(line, bus.name) != NULL;
	if (maps)
		fclose(maps);
	return found;
}

static void check_leaks(const char *who, int fds_before)
{
	if (tap_open_fds() != fds_before)
		storm_bad(who, "descriptors leaked", (uint64_t)tap_open_fds(), (uint64_t)fds_before);
	if (mapped())
		storm_bad(who, "a mapping leaked", 0, 0);
}

static pid_t start(int slot, uint32_t life)
{
	uint64_t seed = tap_rng_u64(&rng);
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		bail("fork: %s", strerror(errno));
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	int fds = tap_open_fds();
	if (slot < 0)
		storm_producer(&bus, seed, true);
	else
		storm_client(&bus, (unsigned)slot, life, seed, NULL);
	check_leaks(slot < 0 ? "producer" : storm_kind_name((unsigned)slot), fds);
	_exit(0);
}

/* --- the controller ----------------------------------------------------------------------------- */

static void client_start(unsigned i, bool may_leave)
{
	uint32_t life = (uint32_t)(ncpi_add(&storm->lives, 1) % (STORM_LIVES - 1));

	ncpi_store_release(&storm->killed[life], 0);
	ncpi_store_release(&storm->may_leave[i], may_leave);
	client[i] = (struct child){ .life = life, .pid = start((int)i, life) };
}

/* The slot is empty: somebody else comes, in the reliable one after a while, in which the ring laps
 * without regard to anybody. */
static void client_gone(unsigned i, int status)
{
	if (!WIFSIGNALED(status) && status != 0)
		storm_bad(storm_kind_name(i), "a life's status", (uint64_t)status, 0);
	client[i].pid = 0;
	client[i].start_ns = ncpi_now_monotonic();
	if (i == STORM_RELIABLE)
		client[i].start_ns += tap_rng_below(&rng, 500) * NCPI_MS;
}

/* Ends by itself within the time there is; else it is killed, and that is a fault. */
static int reap(struct child *c, const char *who)
{
	uint64_t until = ncpi_now_monotonic() + PATIENCE_NS;
	int status = -1;

	while (waitpid(c->pid, &status, WNOHANG) == 0) {
		if (ncpi_now_monotonic() > until) {
			storm_bad(who, "does not end", 0, 0);
			kill(c->pid, SIGKILL);
			waitpid(c->pid, &status, 0);
			break;
		}
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	c->pid = 0;
	return status;
}

static void client_kill(unsigned i)
{
	struct child *c = &client[i];
	int status;

	/* Said first: whoever finds it dead finds this. */
	ncpi_store_release(&storm->killed[c->life], 1);
	kill(c->pid, SIGKILL);
	if (waitpid(c->pid, &status, 0) != c->pid)
		bail("waitpid");
	member_kills += i >= STORM_SHARD + STORM_SHARDS;
	if (WIFSIGNALED(status) && i >= STORM_SHARD + STORM_SHARDS)
		ncpi_store(&storm->group_at[i - STORM_SHARD - STORM_SHARDS], UINT64_MAX);
	kills++;
	client_gone(i, status);
}

static void stop(pid_t pid, uint64_t ms)
{
	kill(pid, SIGSTOP);
	nanosleep(&(struct timespec){ .tv_sec = (time_t)(ms / 1000),
				      .tv_nsec = (long)(ms % 1000) * 1000000 }, NULL);
	kill(pid, SIGCONT);
}

/* A second producer on the bus of one that lives, though it be stopped. */
static void rival(void)
{
	struct ncpi_bus other;
	char why[128];
	int r = ncpi_bus_open(bus.dirfd, bus.name, &bus.geo, &other, why);

	rivals++;
	if (r != -EBUSY)
		storm_bad("producer", "a second one was let in", (uint64_t)r, 0);
	if (r == 0)
		ncpi_bus_close(&other);
}

static void producer_stop(enum storm_stop how)
{
	ncpi_store_release(&storm->holds_bus, 0);
	ncpi_store_release(&storm->stop, how);
	int status = reap(&producer, "producer");
	if (status != 0)
		storm_bad("producer", "its status", (uint64_t)status, 0);
}

static void producer_start(void)
{
	ncpi_store_release(&storm->stop, 0);
	ncpi_store_release(&storm->holds_bus, 0);
	producer.pid = start(-1, 0);
}

static void act(void)
{
	unsigned i = (unsigned)tap_rng_below(&rng, STORM_SLOTS);
	/* Most stops are short. */
	uint64_t ms = 1 + tap_rng_below(&rng, 1 + tap_rng_below(&rng, 40));

	switch (tap_rng_below(&rng, 16)) {
	case 0:
	case 1:
		if (client[i].pid)
			client_kill(i);
		break;
	case 2:
		kill(producer.pid, SIGKILL);
		waitpid(producer.pid, NULL, 0);
		crashes++;
		nanosleep(&(struct timespec){ .tv_nsec = (long)ms * 1000000 }, NULL);
		producer_start();
		break;
	case 3:
		producer_stop(STORM_STOP);
		producer_start();
		break;
	case 4:
		kill(producer.pid, SIGSTOP);
		/* Once in a while for so long that clients call it dead. */
		ms = tap_rng_below(&rng, 50) ? ms : 1200;
		nanosleep(&(struct timespec){ .tv_sec = (time_t)(ms / 1000),
					      .tv_nsec = (long)(ms % 1000) * 1000000 }, NULL);
		if (ncpi_load_acquire(&storm->holds_bus))
			rival();
		kill(producer.pid, SIGCONT);
		break;
	default:
		/* Once in a while for longer than a producer waits. */
		if (client[i].pid) {
			stop(client[i].pid, tap_rng_below(&rng, 30) ? ms : 250);
			stops++;
		}
		break;
	}
	for (i = 0; i < STORM_SLOTS; i++) {
		int status;

		if (client[i].pid && waitpid(client[i].pid, &status, WNOHANG) == client[i].pid)
			client_gone(i, status);
		if (!client[i].pid && ncpi_now_monotonic() >= client[i].start_ns)
			client_start(i, true);
	}
}

/* Attached, or gone again: not granted within the time that a client waits. */
static bool is_decided(void *arg)
{
	struct child *c = arg;
	int status;

	if (ncpi_load_acquire(&storm->attached[c - client]) == c->life + 1)
		return true;
	if (waitpid(c->pid, &status, WNOHANG) != c->pid)
		return false;
	client_gone((unsigned)(c - client), status);
	return true;
}

static bool has_magic(void *arg)
{
	struct ncp_options o = NCP_OPTIONS_INIT;
	struct ncp_client *c;

	(void)arg;
	o.dir = bus.dir;
	o.flags = NCP_NO_REGISTRY;
	if (ncp_attach(&c, bus.name, &o) < 0)
		return false;
	ncp_detach(c);
	return true;
}

/* --- what is left ------------------------------------------------------------------------------- */

static unsigned entries(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	unsigned n = 0;

	if (!d)
		return 0;
	for (const struct dirent *e; (e = readdir(d));)
		n += *e->d_name != '.';
	closedir(d);
	return n;
}

/* Of those who were killed their lines remain, each told to be dead by its lock; nothing else. */
static void test_left(int fds_before)
{
	char registry[NCPI_FILE_CAP];
	unsigned alive = 0, dead = 0;

	ncpi_name_file(registry, bus.name, "+clients");
	int fd = openat(bus.dirfd, registry, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* A line younger than a second may still be being made. */
	for (uint64_t until = ncpi_now_monotonic() + PATIENCE_NS;;) {
		DIR *d = fdopendir(dup(fd));

		alive = 0;
		rewinddir(d);
		for (const struct dirent *e; (e = readdir(d));) {
			if (*e->d_name == '.' || *e->d_name == '+')
				continue;
			if (ncpi_line_reap(fd, e->d_name, false) == 1)
				dead++;
			else
				alive++;
		}
		closedir(d);
		if (!alive || ncpi_now_monotonic() > until)
			break;
		nanosleep(&(struct timespec){ .tv_nsec = 50000000 }, NULL);
	}
	close(fd);
	ok(alive == 0 && dead <= kills, "%u lines of dead clients were left, after %u kills; none else",
	   dead, kills);
	is_u64(1, entries(bus.dirfd, registry), "beside them in the registry the group's file only");
	is_i64(0, ncpi_bus_remove(bus.dirfd, bus.name), "the bus is removed");
	is_u64(0, entries(bus.dirfd, "."), "and has left no name");
	is_i64(fds_before, tap_open_fds(), "no descriptor is left open");
}

int main(void)
{
	plan(STORM_REPORT + 7);
	rng.seed = tap_seed();
	storm_make();
	storm_bus(&bus, &rng);
	int fds = tap_open_fds();
	producer_start();
	if (!wait_until(has_magic, NULL, 10000))
		bail("the producer does not start");
	for (unsigned i = 0; i < STORM_SLOTS; i++)
		client_start(i, true);
	for (uint64_t until = ncpi_now_monotonic() + storm_seconds(30) * NCPI_SECOND;
	     ncpi_now_monotonic() < until;)
		act();

	/* The end: somebody is in each slot, and reads up to the last frame. */
	for (unsigned i = 0; i < STORM_SLOTS; i++) {
		bool leaves = !ncpi_exchange_acq_rel(&storm->may_leave[i], 0);

		if (client[i].pid && leaves && reap(&client[i], storm_kind_name(i)) != 0)
			storm_bad(storm_kind_name(i), "a life's status", 0, 0);
		for (int tries = 0; tries == 0 || (!client[i].pid && tries < 10); tries++) {
			if (!client[i].pid)
				client_start(i, false);
			if (!wait_until(is_decided, &client[i], 60000))
				bail("a client does not attach");
		}
	}
	producer_stop(STORM_END);
	for (unsigned i = 0; i < STORM_SLOTS; i++) {
		int status = client[i].pid ? reap(&client[i], storm_kind_name(i)) : -1;

		if (status != 0)
			storm_bad(storm_kind_name(i), "a life's status", (uint64_t)status, 0);
	}
	storm_report(&bus);
	ok(kills > 0 && stops > 0 && crashes > 0 && rivals > 0,
	   "%llu lives: %u killed, %u stopped; %llu producers: %u killed, %u rivals refused",
	   (unsigned long long)storm->lives, kills, stops, (unsigned long long)storm->producers, crashes,
	   rivals);
	/* A claim is at most a 16th of the ring, and goes on to the next waypoint; a block has 130
	 * bytes at least. */
	ok(member_kills > 0 && storm->sums.again <= member_kills * (bus.geo.ring_size / 8 / 130),
	   "%u of them a group's members: what others had again is no more than a claim each",
	   member_kills);
	test_left(fds);
	return tap_done();
}
