/* SPDX-License-Identifier: BSD-2-Clause */
/* pcap_program.c - a plain program of libpcap that reads numbered frames in one of several ways. */
#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <grp.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <unistd.h>

/*
 * pcap_program [-n] [-s SNAPLEN] [-t MS] [-d FILE] WAY DEVICE [FILTER]
 *
 * Reads frames until the handle says that there are no more, in one WAY:
 *
 *	loop dispatch next next_ex	by that call, blocking
 *	select poll epoll		by pcap_dispatch() of a handle that does not block, when its
 *					selectable descriptor says so
 *	spin				the same without asking the descriptor
 *	thread				in a thread; the main one breaks its loop by pcap_breakloop()
 *					when it has got no frame for half a second
 *	signal				the same, by the handler of a signal sent to that thread
 *	daemon				in a child of fork(), with an empty root, as user 65534
 *	devices				reads nothing: prints the names of all devices
 *
 * -n: nanoseconds; -d: write them to a file, too.  It knows nothing of busses.  Prints
 *
 *	frames=N first=A last=B holes=H duplicates=D end=R recv=P drop=Q ifdrop=I
 *
 * R: what the last call returned; the rest as in frame_check.c, of frames to UDP port 9 over IPv4
 * over Ethernet.  Exits 1 if a call failed, with libpcap's reason.
 */
struct tally {
	uint64_t frames, first, last, holes, duplicates;
	pcap_dumper_t *file;
};

static void take(u_char *user, const struct pcap_pkthdr *h, const u_char *p)
{
	struct tally *t = (struct tally *)(void *)user;
	uint64_t n;

	if (t->file)
		pcap_dump((u_char *)t->file, h, p);
	if (h->caplen < 50 || p[12] != 0x08 || p[13] != 0x00 || p[23] != 17 || p[37] != 9)
		return;
	memcpy(&n, p + 42, 8);
	n = be64toh(n);
	if (__atomic_fetch_add(&t->frames, 1, __ATOMIC_RELAXED) == 0) {
		t->first = t->last = n;
	} else if (n <= t->last) {
		t->duplicates++;
	} else {
		t->holes += n - t->last - 1;
		t->last = n;
	}
}

static int by_next(pcap_t *p, struct tally *t)
{
	struct pcap_pkthdr h;
	const u_char *data;

	/* NULL is an end and a timeout: the first silence ends it, after a frame. */
	while ((data = pcap_next(p, &h)) != NULL || !t->frames)
		if (data)
			take((u_char *)t, &h, data);
	return 0;
}

static int by_next_ex(pcap_t *p, struct tally *t)
{
	struct pcap_pkthdr *h;
	const u_char *data;
	int r;

	while ((r = pcap_next_ex(p, &h, &data)) >= 0)
		if (r == 1)
			take((u_char *)t, h, data);
	return r;
}

static int by_dispatch(pcap_t *p, struct tally *t)
{
	int r;

	do {
		r = pcap_dispatch(p, -1, take, (u_char *)t);
	} while (r >= 0);
	return r;
}

/* Wait in one of three ways for the descriptor; -1 if that fails. */
static int wait_by(char way, int fd, int epoll, const struct timeval *limit)
{
	struct timeval t = limit ? *limit : (struct timeval){ 0 };
	int ms = limit ? (int)(t.tv_sec * 1000 + t.tv_usec / 1000) : -1;
	struct epoll_event e;
	fd_set set;

	switch (way) {
	case 's':
		FD_ZERO(&set);
		FD_SET(fd, &set);
		return select(fd + 1, &set, NULL, NULL, limit ? &t : NULL);
	case 'p':
		return poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, ms);
	default:
		return epoll_wait(epoll, &e, 1, ms);
	}
}

static int by_descriptor(pcap_t *p, struct tally *t, char way)
{
	char error[PCAP_ERRBUF_SIZE];
	struct epoll_event e = { .events = EPOLLIN };
	int fd = pcap_get_selectable_fd(p), epoll = epoll_create1(0), r;

	if (fd < 0 || epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) < 0 ||
	    pcap_setnonblock(p, 1, error) < 0)
		return PCAP_ERROR;
	do {
		if (wait_by(way, fd, epoll, pcap_get_required_select_timeout(p)) < 0)
			return PCAP_ERROR;
		r = pcap_dispatch(p, -1, take, (u_char *)t);
	} while (r >= 0);
	close(epoll);
	return r;
}

static int by_spinning(pcap_t *p, struct tally *t)
{
	char error[PCAP_ERRBUF_SIZE];

	if (pcap_setnonblock(p, 1, error) < 0 || pcap_getnonblock(p, error) != 1)
		return PCAP_ERROR;
	return by_dispatch(p, t);
}

struct thread {
	pcap_t *p;
	struct tally *t;
	int r;
};

static void *in_thread(void *arg)
{
	struct thread *th = arg;

	th->r = pcap_loop(th->p, -1, take, (u_char *)th->t);
	return NULL;
}

static pcap_t *to_break;

static void on_signal(int signal)
{
	(void)signal;
	pcap_breakloop(to_break);
}

static int by_thread(pcap_t *p, struct tally *t, bool by_signal)
{
	struct thread th = { .p = p, .t = t };
	uint64_t before;
	pthread_t thread;

	to_break = p;
	signal(SIGUSR1, on_signal);
	if (pthread_create(&thread, NULL, in_thread, &th))
		return PCAP_ERROR;
	do {
		before = __atomic_load_n(&t->frames, __ATOMIC_RELAXED);
		usleep(500000);
	} while (!before || __atomic_load_n(&t->frames, __ATOMIC_RELAXED) != before);
	if (by_signal)
		pthread_kill(thread, SIGUSR1);
	else
		pcap_breakloop(p);
	pthread_join(thread, NULL);
	return th.r;
}

static int become_nobody(void)
{
	char empty[] = "/tmp/pcap-program.XXXXXX";

	/* Without a name from here on: nobody has to remove it. */
	if (!mkdtemp(empty) || chdir(empty) < 0 || rmdir(empty) < 0 || chroot(".") < 0)
		return -1;
	return setgroups(0, NULL) < 0 || setgid(65534) < 0 || setuid(65534) < 0 ? -1 : 0;
}

static int read_by(const char *way, pcap_t *p, struct tally *t)
{
	if (!strcmp(way, "loop"))
		return pcap_loop(p, -1, take, (u_char *)t);
	if (!strcmp(way, "dispatch"))
		return by_dispatch(p, t);
	if (!strcmp(way, "next"))
		return by_next(p, t);
	if (!strcmp(way, "next_ex"))
		return by_next_ex(p, t);
	if (!strcmp(way, "spin"))
		return by_spinning(p, t);
	if (!strcmp(way, "thread") || !strcmp(way, "signal"))
		return by_thread(p, t, *way == 's');
	if (!strcmp(way, "daemon"))
		return become_nobody() < 0 ? PCAP_ERROR : by_descriptor(p, t, 'p');
	return by_descriptor(p, t, *way);
}

static int report(pcap_t *p, const struct tally *t, int r)
{
	struct pcap_stat s = { 0 };

	if (pcap_stats(p, &s) < 0)
		r = PCAP_ERROR;
	printf("frames=%llu first=%llu last=%llu holes=%llu duplicates=%llu end=%d recv=%u drop=%u "
	       "ifdrop=%u\n", (unsigned long long)t->frames, (unsigned long long)t->first,
	       (unsigned long long)t->last, (unsigned long long)t->holes,
	       (unsigned long long)t->duplicates, r, s.ps_recv, s.ps_drop, s.ps_ifdrop);
	fflush(stdout);
	if (r == PCAP_ERROR)
		pcap_perror(p, "pcap_program");
	return r == PCAP_ERROR;
}

static int devices(void)
{
	char error[PCAP_ERRBUF_SIZE];
	pcap_if_t *all;

	if (pcap_findalldevs(&all, error) < 0) {
		fprintf(stderr, "pcap_program: %s\n", error);
		return 1;
	}
	for (const pcap_if_t *d = all; d; d = d->next)
		printf("%s\n", d->name);
	pcap_freealldevs(all);
	return 0;
}

int main(int argc, char **argv)
{
	char error[PCAP_ERRBUF_SIZE];
	const char *file = NULL;
	int nano = 0, snaplen = 65535, ms = 100, c;
	struct tally t = { 0 };
	struct bpf_program program;

	while ((c = getopt(argc, argv, "+ns:t:d:")) != -1)
		switch (c) {
		case 'n':
			nano = 1;
			break;
		case 's':
			snaplen = atoi(optarg);
			break;
		case 't':
			ms = atoi(optarg);
			break;
		case 'd':
			file = optarg;
			break;
		default:
			return 2;
		}
	argv += optind;
	if (argc - optind == 1 && !strcmp(argv[0], "devices"))
		return devices();
	if (argc - optind < 2)
		return 2;
	pcap_t *p = pcap_create(argv[1], error);
	if (!p || pcap_set_snaplen(p, snaplen) || pcap_set_timeout(p, ms) ||
	    (nano && pcap_set_tstamp_precision(p, PCAP_TSTAMP_PRECISION_NANO)) ||
	    pcap_activate(p) < 0 ||
	    (argv[2] && (pcap_compile(p, &program, argv[2], 1, 0) < 0 ||
			 pcap_setfilter(p, &program) < 0)) ||
	    (file && !(t.file = pcap_dump_open(p, file)))) {
		fprintf(stderr, "pcap_program: %s\n", p ? pcap_geterr(p) : error);
		return 1;
	}
	if (!strcmp(argv[0], "daemon")) {
		int status = -1;
		pid_t pid = fork();

		if (pid) {
			waitpid(pid, &status, 0);
			return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
		}
	}
	int r = read_by(argv[0], p, &t);
	if (t.file)
		pcap_dump_close(t.file);
	r = report(p, &t, r);
	pcap_close(p);
	return r;
}
