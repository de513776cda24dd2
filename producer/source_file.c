/* SPDX-License-Identifier: BSD-2-Clause */
/* source_file.c - frames of a pcap or pcapng file or stream, as libpcap reads them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <pcap/pcap.h>

#include "libncpbus/include/ncpbus.h"
#include "producer/capstream.h"
#include "producer/compile.h"
#include "producer/linktype.h"
#include "producer/source.h"

/*
 * Frames keep their bytes, lengths and times; what bus clients see is what libpcap reads, with two
 * exceptions: a frame longer than the snaplen is cut to it, and a frame that claims fewer bytes on
 * the wire than were captured gets the captured number (a pcapng reader would refuse it).
 *
 * Played again (--loop), the times go on: pass k of a file whose times span [first, last] is shifted
 * by k * (last - first + the mean distance of two frames, at least 1 us), so that a search by time
 * finds one place and not one in each pass.
 *
 * Paced by --speed X, a frame is due X times as soon after the first as it was captured; a time that
 * goes back is due at once.  Paced by frames a second, frame n is due n / pps after the first.
 *
 * Counted: received = frames read and due; those that the filter turned away are discarded.
 */

#define NS UINT64_C(1000000000)
#define DEFAULT_BATCH 256u
/* Bytes of one batch: the frames are copied here, libpcap's own buffer holds only one. */
#define ARENA_CAP (UINT32_C(1) << 20)
#define MEAN_MIN_NS 1000u
/* Frames looked at in one take: a filter that lets nothing through must not keep it for ever. */
#define LOOKS 16384u

struct file {
	struct source source;
	char name[96]; /* for messages */
	int fd;
	struct capstream stream;
	pcap_t *pcap;
	struct compile_program filter;
	const char *filter_text;
	int dlt;
	uint32_t linktype, snaplen;
	double speed, pps;
	uint64_t passes_left; /* after this one; UINT64_MAX: without end */

	struct ncpi_frame *frames; /* cap */
	uint32_t cap;
	uint8_t *arena; /* ARENA_CAP */

	/* The frame that was read ahead and is not due yet; its bytes are libpcap's. */
	bool pending;
	struct pcap_pkthdr *head;
	const u_char *data;
	uint64_t pending_ts_ns;

	uint64_t n;	       /* frames given out or discarded, over all passes */
	uint64_t n_pass;       /* frames read in this pass */
	uint64_t low_ns, high_ns; /* times in this pass, unshifted */
	uint64_t shift_ns;	  /* of this pass */
	uint64_t first_ns;	  /* time of the first frame of all */
	uint64_t start_ns;	  /* CLOCK_MONOTONIC when that was due */
	uint64_t discarded;
	int end; /* SOURCE_END or -errno once the input is over; 0 before */
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS + (uint64_t)t.tv_nsec;
}

/* --- opening ------------------------------------------------------------------------------ */

static int open_input(struct file *f, const char *path, char *why)
{
	struct stat st;
	const char *text = NULL;

	/* "-" is duplicated so that closing is the same for both. */
	f->fd = strcmp(path, "-") ? open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY)
				  : fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	if (f->fd < 0 || fstat(f->fd, &st)) {
		int r = -errno;

		snprintf(why, SOURCE_WHY_CAP, "%s: %s: %s", f->name, strerror(errno),
			 r == -ENOENT	? "give the path of a pcap or pcapng file"
			 : r == -EACCES ? "ask for read permission"
					: "see errno(3)");
		return r;
	}
	if (S_ISDIR(st.st_mode))
		text = "is a directory: give a pcap or pcapng file";
	else if (isatty(f->fd))
		text = "is a terminal: pipe a capture into it";
	else if (!S_ISREG(st.st_mode) && f->passes_left)
		text = "is no regular file and cannot be played again: leave out --loop";
	if (text) {
		snprintf(why, SOURCE_WHY_CAP, "%s: %s", f->name, text);
		return -EINVAL;
	}
	return 0;
}

/* Have libpcap read the file's header.  Text gets its words on error. */
static int open_pcap(struct file *f, char text[PCAP_ERRBUF_SIZE])
{
	struct capstream *s = &f->stream;
	FILE *fp = capstream_file(s);

	snprintf(text, PCAP_ERRBUF_SIZE, "out of memory");
	if (!fp)
		return -ENOMEM;
	errno = 0;
	f->pcap = pcap_fopen_offline_with_tstamp_precision(fp, PCAP_TSTAMP_PRECISION_NANO, text);
	if (!f->pcap) {
		int r = errno == EINTR ? -EINTR : -EBADMSG;

		fclose(fp);
		return r;
	}

	static const uint8_t section[4] = { 0x0a, 0x0d, 0x0d, 0x0a };
	const uint8_t *m = s->first;
	int major = pcap_major_version(f->pcap), minor = pcap_minor_version(f->pcap);
	struct capstream_frames frames = { .swapped = pcap_is_swapped(f->pcap) != 0 };

	if (!memcmp(m, section, sizeof(section))) {
		frames.format = CAPSTREAM_PCAPNG;
	} else {
		bool patched = (m[1] == 0xb2 && m[2] == 0xcd) || (m[1] == 0xcd && m[2] == 0xb2);

		frames.format = patched ? CAPSTREAM_PCAP_PATCHED : CAPSTREAM_PCAP;
		frames.len_first = major == 543 || minor < 3;
		frames.len_smallest = minor == 3;
	}
	capstream_framed(s, &frames);
	return 0;
}

static void file_close(struct source *src)
{
	struct file *f = (struct file *)src;

	if (!f)
		return;
	if (f->pcap)
		pcap_close(f->pcap);
	capstream_fini(&f->stream);
	compile_free(&f->filter);
	if (f->fd >= 0)
		close(f->fd);
	free(f->frames);
	free(f->arena);
	free(f);
}

static int file_open(struct source **src, const char *spec, const struct source_options *o,
		     char *why)
{
	struct file *f = calloc(1, sizeof(*f));
	char text[PCAP_ERRBUF_SIZE];
	int r = -ENOMEM;

	*src = NULL;
	if (!f)
		goto out;
	f->source.ops = &source_file;
	f->fd = -1;
	f->snaplen = o->snaplen;
	f->filter_text = o->filter;
	f->speed = o->speed;
	f->pps = o->speed_pps;
	f->passes_left = o->loop ? o->loop - 1 : UINT64_MAX;
	f->cap = o->batch ? o->batch : DEFAULT_BATCH;
	/* A long path shows its end, which tells more. */
	size_t len = strlen(spec);
	snprintf(f->name, sizeof(f->name), "%s%s", strcmp(spec, "-") ? "file:" : "",
		 len > 80 ? spec + len - 80 : spec);
	if (o->direction) {
		snprintf(why, SOURCE_WHY_CAP, "%s: a file does not tell directions: leave out -Q",
			 f->name);
		r = -EINVAL;
		goto out;
	}
	r = open_input(f, spec, why);
	if (r)
		goto out;
	r = capstream_init(&f->stream, f->fd);
	if (r)
		goto out;
	r = open_pcap(f, text);
	if (r && r != -ENOMEM)
		snprintf(why, SOURCE_WHY_CAP, "%s: %.120s: give a pcap or pcapng file", f->name,
			 text);
	if (r)
		goto out;
	f->dlt = pcap_datalink(f->pcap);
	r = linktype_of_dlt(f->dlt, &f->linktype);
	if (r)
		goto out;
	if (f->linktype > UINT16_MAX) { /* what a pcapng has room for */
		snprintf(why, SOURCE_WHY_CAP, "%s: link type %u is none: give a pcap or pcapng file",
			 f->name, f->linktype);
		r = -EBADMSG;
		goto out;
	}
	r = compile_offline(f->dlt, o->snaplen, o->filter, &f->filter, why);
	if (r)
		goto out;
	f->frames = calloc(f->cap, sizeof(*f->frames));
	f->arena = malloc(ARENA_CAP);
	r = f->frames && f->arena ? 0 : -ENOMEM;
out:
	if (r == -ENOMEM)
		snprintf(why, SOURCE_WHY_CAP, "file: out of memory");
	if (r)
		file_close(f ? &f->source : NULL);
	else
		*src = &f->source;
	return r;
}

/* --- reading ------------------------------------------------------------------------------ */

static uint64_t time_of(const struct file *f, const struct timeval *t)
{
	int64_t sec = t->tv_sec;

	/* A pcap file's 32 bits are unsigned (pcap-savefile(5)); libpcap reads them as signed. */
	if (sec < 0 && f->stream.frames.format != CAPSTREAM_PCAPNG)
		sec = (uint32_t)sec;
	if (sec < 0)
		return 0;
	if ((uint64_t)sec > UINT64_MAX / NS - 1)
		return UINT64_MAX;
	/* With nanosecond precision tv_usec holds ns; a damaged one may be anything. */
	return (uint64_t)sec * NS + (uint64_t)(t->tv_usec > 0 ? t->tv_usec : 0);
}

static int fail(struct file *f, int r, const char *text)
{
	snprintf(f->source.why, SOURCE_WHY_CAP, "%s: %.120s: what came before it was kept", f->name,
		 text);
	f->source.reason = NCP_REASON_SOURCE_ERROR;
	return r;
}

/* The input is at its end: begin the next pass.  Returns 0, SOURCE_END, -errno. */
static int next_pass(struct file *f)
{
	char text[PCAP_ERRBUF_SIZE];

	if (!f->passes_left || !f->n_pass) {
		f->source.reason = NCP_REASON_EXHAUSTED;
		return SOURCE_END;
	}
	if (f->passes_left != UINT64_MAX)
		f->passes_left--;
	uint64_t span = f->high_ns - f->low_ns, mean = f->n_pass > 1 ? span / (f->n_pass - 1) : 0;
	f->shift_ns += span + (mean > MEAN_MIN_NS ? mean : MEAN_MIN_NS);
	f->n_pass = 0;
	pcap_close(f->pcap);
	f->pcap = NULL;
	if (lseek(f->fd, 0, SEEK_SET) < 0)
		return fail(f, -errno, strerror(errno));
	capstream_rewind(&f->stream);
	int r = open_pcap(f, text);
	if (r)
		return fail(f, r, text);
	if (pcap_datalink(f->pcap) != f->dlt)
		return fail(f, -EBADMSG, "its link type changed between two passes");
	return 0;
}

/* Read one frame ahead.  Returns 1 (pending), 0 (not yet), SOURCE_END, -errno. */
static int read_ahead(struct file *f, int timeout_ms)
{
	while (!f->end) {
		int r = capstream_ready(&f->stream, timeout_ms);
		if (r == 0)
			return 0;
		if (r < 0)
			return f->end = fail(f, r, strerror(-r));
		r = pcap_next_ex(f->pcap, &f->head, &f->data);
		capstream_taken(&f->stream);
		if (r == 1) {
			uint64_t ts_ns = time_of(f, &f->head->ts);

			if (!f->n_pass++)
				f->low_ns = f->high_ns = ts_ns;
			f->low_ns = ts_ns < f->low_ns ? ts_ns : f->low_ns;
			f->high_ns = ts_ns > f->high_ns ? ts_ns : f->high_ns;
			f->pending_ts_ns = ts_ns + f->shift_ns;
			f->pending = true;
			return 1;
		}
		f->end = r == PCAP_ERROR_BREAK ? next_pass(f)
					       : fail(f, -EBADMSG, pcap_geterr(f->pcap));
	}
	return f->end;
}

/* When the pending frame is due, CLOCK_MONOTONIC; 0: at once. */
static uint64_t due_ns(struct file *f)
{
	double after_ns;

	if (f->speed <= 0 && f->pps <= 0)
		return 0;
	if (!f->n) {
		f->start_ns = now_ns();
		f->first_ns = f->pending_ts_ns;
	}
	if (f->pps > 0)
		after_ns = (double)f->n * (double)NS / f->pps;
	else if (f->pending_ts_ns > f->first_ns)
		after_ns = (double)(f->pending_ts_ns - f->first_ns) / f->speed;
	else
		return 0;
	/* Further away than the clock goes: never. */
	return after_ns < 9e18 ? f->start_ns + (uint64_t)after_ns : UINT64_MAX;
}

/* Sleep until due, timeout_ms at most.  Returns whether it is due. */
static bool wait_due(uint64_t due, int timeout_ms)
{
	uint64_t now = now_ns(), limit = now + (timeout_ms > 0 ? (uint64_t)timeout_ms * 1000000 : 0);
	uint64_t until = due < limit ? due : limit;
	struct timespec t = { .tv_sec = (time_t)(until / NS), .tv_nsec = (long)(until % NS) };

	if (now >= due)
		return true;
	return timeout_ms > 0 && !clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) &&
	       until == due;
}

static int file_take(struct source *src, struct source_batch *b, int timeout_ms)
{
	struct file *f = (struct file *)src;
	uint32_t used = 0;

	b->n = 0;
	b->frames = f->frames;
	for (uint32_t looked = 0; b->n < f->cap && looked < LOOKS; looked++) {
		/* What is there already does not wait for more. */
		int patience_ms = b->n ? 0 : timeout_ms;
		int r = f->pending ? 1 : read_ahead(f, patience_ms);

		if (r != 1)
			return b->n ? SOURCE_FRAMES : r;
		uint32_t caplen = f->head->caplen < f->snaplen ? f->head->caplen : f->snaplen;
		uint32_t len = f->head->len > f->head->caplen ? f->head->len : f->head->caplen;
		if (ARENA_CAP - used < caplen)
			break;
		uint64_t due = due_ns(f);
		if (due && !wait_due(due, patience_ms))
			break;

		f->pending = false;
		f->n++;
		if (!compile_match(&f->filter, f->data, f->head->caplen, len)) {
			f->discarded++;
			continue;
		}
		memcpy(f->arena + used, f->data, caplen);
		f->frames[b->n++] = (struct ncpi_frame){ .data = f->arena + used,
							 .ts_ns = f->pending_ts_ns,
							 .caplen = caplen,
							 .len = len };
		used += caplen;
	}
	return b->n ? SOURCE_FRAMES : SOURCE_NOTHING;
}

static void file_give(struct source *src, struct source_batch *b)
{
	(void)src; /* the arena is ours again by the next take */
	b->n = 0;
}

static int file_interface(struct source *src, uint32_t i, struct ncpi_interface_desc *d)
{
	const struct file *f = (struct file *)src;

	/* libpcap tells one link type and no names, however many interfaces a pcapng has. */
	if (i)
		return 0;
	*d = (struct ncpi_interface_desc){ .filter = f->filter_text, .linktype = f->linktype,
					   .snaplen = f->snaplen };
	return 1;
}

static int file_start(struct source *src)
{
	(void)src; /* the clock starts with the first frame */
	return 0;
}

static void file_counts(struct source *src, struct source_counts *c)
{
	const struct file *f = (struct file *)src;

	*c = (struct source_counts){ .received = f->n, .discarded = f->discarded };
}

const struct source_ops source_file = {
	.kind = "file",
	.usage = "file:PATH | -           a pcap or pcapng file or stream, replayed",
	.live = false,
	.commas = true,
	.open = file_open,
	.interface = file_interface,
	.start = file_start,
	.take = file_take,
	.give = file_give,
	.stop = NULL,
	.counts = file_counts,
	.syscalls = (const int[]){ __NR_read, __NR_lseek, __NR_clock_gettime, __NR_clock_nanosleep,
				   __NR_mremap, -1 },
	.close = file_close,
};
