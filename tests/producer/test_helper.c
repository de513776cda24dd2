/* SPDX-License-Identifier: BSD-2-Clause */
/* test_helper.c - the helper process: what it removes, what it leaves alone, and when it ends. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/if_packet.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus.h"
#include "libncpbus/line.h"
#include "producer/helper.h"
#include "producer/source.h"
#include "tap/tap.h"

static struct test_bus bus;
static struct privs_who who;

static struct helper start(void)
{
	struct helper h;
	const struct helper_options o = { .dirfd = bus.dirfd, .bus = bus.name, .who = &who };
	int r = helper_fork(&h, &o);

	if (r < 0)
		bail("helper_fork: %s", ncp_strerror(r));
	return h;
}

/* A bus that is read from is opened by its name, and no other. */
static void test_open(void)
{
	struct bus_list busses = { .n = 1 };
	struct helper h;
	struct stat st;
	struct helper_options o = { .dirfd = bus.dirfd, .bus = "view", .who = &who,
				    .busses = &busses };

	snprintf(busses.name[0], sizeof(busses.name[0]), "%s", bus.name);
	if (helper_fork(&h, &o) < 0)
		bail("helper_fork");
	int fd = helper_open(&h, 0);
	ok(fd >= 0 && fstat(fd, &st) == 0 && st.st_ino == bus.bus.seg.ino,
	   "opens a bus that was named at the start");
	is_i64(-1, fd < 0 ? 0 : ftruncate(fd, 0), "for reading only");
	close(fd);
	is_i64(-EINVAL, helper_open(&h, 1), "and no other one");
	helper_close(&h);

	snprintf(busses.name[0], sizeof(busses.name[0]), "nosuch");
	if (helper_fork(&h, &o) < 0)
		bail("helper_fork");
	is_i64(-ENOENT, helper_open(&h, 0), "says that there is none");
	helper_close(&h);
}

static bool exists(const char *suffix)
{
	char name[NCPI_FILE_CAP];

	ncpi_name_file(name, bus.name, suffix);
	return faccessat(bus.dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A file in the registry, made age seconds ago. */
static int line_make(const char *name)
{
	int fd = openat(bus.bus.registry_fd, name, O_RDWR | O_CREAT | O_CLOEXEC, 0640);

	if (fd < 0 || ftruncate(fd, sizeof(struct ncpi_line)) < 0)
		bail("line %s", name);
	return fd;
}

static bool line_gone(void *arg)
{
	return faccessat(bus.bus.registry_fd, arg, F_OK, AT_SYMLINK_NOFOLLOW) != 0;
}

struct asked {
	struct helper *h;
	char *name;
};

/* A line is dead when it is a second old and has no lock: ask until then. */
static bool reaped(void *arg)
{
	const struct asked *a = arg;

	helper_reap(a->h);
	return line_gone(a->name);
}

static bool is_over(void *arg)
{
	return waitpid(*(pid_t *)arg, NULL, WNOHANG) != 0;
}

/* Its name, in /proc. */
static const char *comm(pid_t pid)
{
	static char text[32];
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	FILE *f = fopen(path, "re");
	if (!f || !fgets(text, sizeof(text), f))
		*text = '\0';
	if (f)
		fclose(f);
	text[strcspn(text, "\n")] = '\0';
	return text;
}

static void test_reap(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	struct helper h = start();
	int dead = line_make("dead"), alive = line_make("alive"), group = line_make("+group.0.x");

	is_str("ncp-helper", comm(h.pid), "bears its name");
	if (fcntl(alive, F_OFD_SETLK, &lock) < 0)
		bail("lock");
	struct asked asked = { &h, (char[]){ "dead" } };
	close(dead);
	helper_reap(&h);
	ok(helper_unlink(&h) == -ESTALE, "does nothing before it was told which bus it is");
	ok(!line_gone((char[]){ "dead" }) && exists(""), "nothing was removed");
	is_i64(0, helper_bus(&h, bus.bus.seg.dev, bus.bus.seg.ino), "is told");
	ok(wait_until(reaped, &asked, 10000), "removes a dead client's line");
	ok(!line_gone((char[]){ "alive" }), "leaves a living one's alone");
	ok(!line_gone((char[]){ "+group.0.x" }), "and a group's");
	is_i64(0, unlinkat(bus.bus.registry_fd, "+group.0.x", 0), "(removed)");
	close(group);
	close(alive);
	helper_close(&h);
}

static void test_end(void)
{
	struct helper h = start();

	kill(h.pid, SIGHUP);
	kill(h.pid, SIGINT);
	kill(h.pid, SIGTERM);
	is_i64(-ESTALE, helper_unlink(&h), "outlives SIGHUP, SIGINT and SIGTERM");
	pid_t pid = h.pid;
	close(h.fd);
	ok(wait_until(is_over, &pid, 5000), "ends when its socket is closed");

	h = start();
	kill(h.pid, SIGKILL);
	pid = h.pid;
	ok(wait_until(is_over, &pid, 5000), "is killed");
	is_i64(-EPIPE, helper_unlink(&h), "its absence is told");
	close(h.fd);

	h = start();
	const struct helper_message bad = { .kind = 99 };
	pid = h.pid;
	is_i64(sizeof(bad), send(h.fd, &bad, sizeof(bad), 0), "a message it does not know");
	ok(wait_until(is_over, &pid, 5000), "ends it");
	close(h.fd);
	ok(exists("") && exists("+lock") && exists("+clients"), "the bus is untouched by all that");
}

static void test_unlink(void)
{
	struct helper h = start();
	struct stat st;

	if (helper_bus(&h, bus.bus.seg.dev, bus.bus.seg.ino + 1) < 0)
		bail("helper_bus");
	is_i64(-ESTALE, helper_unlink(&h), "refuses to remove another segment of that name");
	if (helper_bus(&h, bus.bus.seg.dev, bus.bus.seg.ino) < 0)
		bail("helper_bus");
	is_i64(-ESTALE, helper_unlink(&h), "and believes what it was told first");
	ok(exists(""), "the segment is there");
	helper_close(&h);

	h = start();
	if (helper_bus(&h, bus.bus.seg.dev, bus.bus.seg.ino) < 0)
		bail("helper_bus");
	is_i64(0, helper_unlink(&h), "removes the one it was told of");
	ok(!exists("") && !exists("+lock") && !exists("+clients"), "with all its names");
	is_i64(0, helper_unlink(&h), "twice does no harm");
	helper_close(&h);
	helper_close(&h);
	ok(fstat(bus.dirfd, &st) == 0 && st.st_nlink == 2, "nothing is left in the directory");
}

/* Sockets on what was named at the start, and on nothing else. */
static void test_socket(void)
{
	struct packet_list list = { .n = 2,
				    .want = { { .name = "lo", .snaplen = 200, .retire_ms = 10,
						.ring_size = 1 << 18, .fanout = PACKET_NO_FANOUT },
					      { .name = "nope0", .fanout = PACKET_NO_FANOUT } } };
	struct helper h;
	const struct helper_options o = { .dirfd = bus.dirfd, .bus = bus.name, .who = &who,
					  .packets = &list };
	struct packet_socket s;
	struct sockaddr_ll at = { 0 };
	socklen_t len = sizeof(at);
	int probe = socket(AF_PACKET, SOCK_RAW, 0);

	if (helper_fork(&h, &o) < 0)
		bail("helper_fork");
	is_i64(-EINVAL, helper_socket(&h, 2, &s), "refuses an interface that was not named");
	is_i64(probe < 0 ? -EPERM : -ENODEV, helper_socket(&h, 1, &s), "tells what went wrong");
	int r = helper_socket(&h, 0, &s);
	if (probe < 0) {
		is_i64(-EPERM, r, "has no right that we had not");
		is_i64(-1, s.fd, "passes nothing then");
	} else {
		is_i64(0, r, "passes a socket");
		ok(getsockname(s.fd, (struct sockaddr *)&at, &len) == 0 &&
		   at.sll_family == AF_PACKET && at.sll_ifindex == (int)if_nametoindex("lo") &&
		   at.sll_ifindex == s.ifindex && s.n_blocks >= 2 && s.block_len >= 4096,
		   "that is bound to the interface, with a ring");
		close(s.fd);
		close(probe);
	}
	helper_close(&h);
}

static const char *filter_path;

static void filter_write(const char *text)
{
	FILE *f = fopen(filter_path, "w");

	if (!f || fputs(text, f) < 0 || fclose(f))
		bail("write %s", filter_path);
}

/* What a program makes of a UDP packet: to port 9, or to another. */
static bool passes(const struct compile_program *p, uint16_t port)
{
	uint8_t frame[60] = { [12] = 0x08, [14] = 0x45, [23] = 17, [36] = (uint8_t)(port >> 8),
			      [37] = (uint8_t)port };

	return compile_match(p, frame, sizeof(frame), sizeof(frame));
}

/* The filter's file, read again: what is no filter changes nothing. */
static void test_filter(void)
{
	struct packet_list list = { .n = 1,
				    .want = { { .name = "lo", .fanout = PACKET_NO_FANOUT,
						.filter = { .linktype = LINKTYPE_ETHERNET,
							    .snaplen = 96 } } } };
	char path[PATH_MAX], why[SOURCE_WHY_CAP];
	const struct filter_text text = { .file = filter_path = path };
	struct helper_options o = { .dirfd = bus.dirfd, .bus = bus.name, .who = &who,
				    .packets = &list, .filter = &text, .filter_now = "udp port 9" };
	struct compile_program p;
	struct helper h;

	snprintf(path, sizeof(path), "%s/filter", tap_tempdir(NULL));
	if (helper_fork(&h, &o) < 0)
		bail("helper_fork");
	is_i64(-EINVAL, helper_filter_compile(&h, 1, LINKTYPE_ETHERNET, &p, why),
	       "compiles for no interface that was not named");
	is_i64(-ENOENT, helper_filter_read(&h, why), "tells that the file is not there");
	filter_write("udp prot 9");
	is_i64(-EINVAL, helper_filter_read(&h, why), "or holds no filter");
	ok(strstr(why, "syntax error") != NULL, "and why: %s", why);
	is_i64(0, helper_filter_compile(&h, 0, LINKTYPE_ETHERNET, &p, why), "the first one stands");
	ok(passes(&p, 9) && !passes(&p, 10), "as it was");
	compile_free(&p);
	filter_write("udp port 10 # another\n");
	is_i64(0, helper_filter_read(&h, why), "reads another");
	is_i64(0, helper_filter_compile(&h, 0, LINKTYPE_ETHERNET, &p, why), "compiles that");
	ok(passes(&p, 10) && !passes(&p, 9), "it is another");
	is_u64(96, p.insns[p.n - 1].k + p.insns[p.n - 2].k, "what it returns is the snaplen");
	compile_free(&p);
	helper_filter_settle(&h, false);
	is_i64(0, helper_filter_compile(&h, 0, LINKTYPE_ETHERNET, &p, why), "forgets it");
	ok(passes(&p, 9) && !passes(&p, 10), "the first one is back");
	compile_free(&p);
	is_i64(0, helper_filter_read(&h, why), "reads it once more");
	helper_filter_settle(&h, true);
	filter_write("udp prot 9");
	is_i64(-EINVAL, helper_filter_read(&h, why), "keeps it, whatever comes");
	is_i64(0, helper_filter_compile(&h, 0, LINKTYPE_RAW, &p, why), "compiles for another link type");
	ok(p.n > 2 && p.insns[0].k != 12, "in which nothing stands at byte 12");
	compile_free(&p);
	filter_write("");
	is_i64(0, helper_filter_read(&h, why), "takes an empty file");
	is_i64(0, helper_filter_compile(&h, 0, LINKTYPE_ETHERNET, &p, why), "as no filter");
	ok(passes(&p, 10) && passes(&p, 9), "which every frame passes");
	compile_free(&p);
	helper_close(&h);

	/* Without any interface, for frames that no kernel filters. */
	o.packets = NULL;
	if (helper_fork(&h, &o) < 0)
		bail("helper_fork");
	is_i64(0, helper_filter_compile_frames(&h, 1, &p, why), "compiles for frames of a file's kind");
	ok(passes(&p, 9) && !passes(&p, 10), "what it was told at the start");
	compile_free(&p);
	filter_write("udp port domain and host localhost");
	is_i64(0, helper_filter_read(&h, why), "reads a file with names in it");
	is_i64(0, helper_filter_compile_frames(&h, 1, &p, why), "looks them up: %s", why);
	ok(passes(&p, 53) == false && p.n > 4, "it is the filter that it read");
	compile_free(&p);
	filter_write("wlan addr1 1:2:3:4:5:6");
	is_i64(0, helper_filter_read(&h, why), "reads what has a meaning on some frames");
	is_i64(-EINVAL, helper_filter_compile_frames(&h, 1, &p, why), "not on Ethernet's");
	is_i64(0, helper_filter_compile_frames(&h, 127, &p, why), "but on radiotap's");
	compile_free(&p);
	filter_write("");
	is_i64(0, helper_filter_read(&h, why), "an empty file");
	is_i64(0, helper_filter_compile_frames(&h, 1, &p, why), "is no filter");
	is_u64(0, p.n, "of no instruction");
	compile_free(&p);
	helper_close(&h);
	o.packets = &list;

	o.filter = NULL;
	if (helper_fork(&h, &o) < 0)
		bail("helper_fork");
	is_i64(-EINVAL, helper_filter_read(&h, why), "without a file there is nothing to read");
	kill(h.pid, SIGKILL);
	pid_t pid = h.pid;
	ok(wait_until(is_over, &pid, 5000), "is killed");
	is_i64(-EPIPE, helper_filter_compile(&h, 0, LINKTYPE_ETHERNET, &p, why), "its absence is told");
	ok(strstr(why, "the helper process") != NULL, "in words: %s", why);
	close(h.fd);
}

int main(void)
{
	char why[PRIVS_WHY_CAP];

	plan(8 + 7 + 4 + 4 + 34 + 7 + 1);
	bus_make(&bus);
	if (privs_find(NULL, NULL, bus.name, &who, why) < 0)
		bail("%s", why);
	bus_start(&bus, false);
	int before = tap_open_fds();
	test_reap();
	test_end();
	test_open();
	test_socket();
	test_filter();
	test_unlink();
	is_i64(before, tap_open_fds(), "nothing is left open");
	bus_stop(&bus, NCP_ENDED);
	return tap_done();
}
