/* SPDX-License-Identifier: BSD-2-Clause */
/* filter.c - which frames are a client's: its filter, by text or program, and its shard. */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libncpbus/bpf.h"
#include "libncpbus/client.h"
#include "libncpbus/flow.h"
#include "libncpbus/order.h"

/* A program for one link type. */
struct program {
	uint32_t linktype;
	bool fits; /* false: the expression means nothing there, its frames are filtered */
	struct ncpi_bpf *code;
};

struct ncpi_filter {
	char *expr; /* NULL: one program for everything */
	struct program *program;
	uint32_t n_programs;
	uint32_t *of_interface; /* index into program, for the interfaces met so far */
	uint32_t n_interfaces;
};

/* The little of libpcap that is used, and the layout of struct bpf_program. */
struct pcap_program {
	unsigned n;
	struct ncp_bpf_insn *insn;
};
typedef struct pcap pcap_handle;

static struct {
	pcap_handle *(*open_dead)(int dlt, int snaplen);
	int (*compile)(pcap_handle *, struct pcap_program *, const char *, int, uint32_t);
	void (*freecode)(struct pcap_program *);
	char *(*geterr)(pcap_handle *);
	void (*close)(pcap_handle *);
	bool loaded;
} pcap;
static pthread_once_t pcap_once = PTHREAD_ONCE_INIT;
/* pcap_compile() may not be entered twice at a time before libpcap 1.8. */
static pthread_mutex_t pcap_lock = PTHREAD_MUTEX_INITIALIZER;

static void pcap_load(void)
{
	/* Debian's soname, then upstream's. */
	void *lib = dlopen("libpcap.so.0.8", RTLD_NOW | RTLD_LOCAL);

	if (!lib)
		lib = dlopen("libpcap.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!lib)
		return;
	*(void **)&pcap.open_dead = dlsym(lib, "pcap_open_dead");
	*(void **)&pcap.compile = dlsym(lib, "pcap_compile");
	*(void **)&pcap.freecode = dlsym(lib, "pcap_freecode");
	*(void **)&pcap.geterr = dlsym(lib, "pcap_geterr");
	*(void **)&pcap.close = dlsym(lib, "pcap_close");
	pcap.loaded = pcap.open_dead && pcap.compile && pcap.freecode && pcap.geterr && pcap.close;
}

/* libpcap's DLT_ for a LINKTYPE_: the same number but for those whose DLT_ differs between systems.
 * Source: libpcap, pcap-common.c and pcap/dlt.h. */
static int dlt_of(uint32_t linktype)
{
	static const struct {
		uint32_t linktype;
		int dlt;
	} differ[] = {
		{ 100, 11 },  /* ATM_RFC1483 */
		{ 101, 12 },  /* RAW */
		{ 102, 15 },  /* SLIP_BSDOS */
		{ 103, 16 },  /* PPP_BSDOS */
		{ 106, 19 },  /* ATM_CLIP */
	};

	for (size_t i = 0; i < sizeof(differ) / sizeof(*differ); i++)
		if (differ[i].linktype == linktype)
			return differ[i].dlt;
	return (int)linktype;
}

static void say(char *error, size_t cap, const char *text)
{
	if (error && cap)
		snprintf(error, cap, "%s", text);
}

/* Compile the expression for a link type.  0, NCP_EFILTER with the reason, -ENOMEM. */
static int compile(struct program *p, const char *expr, uint32_t linktype, char *error, size_t cap)
{
	struct pcap_program code = { 0 };
	int r = NCP_EFILTER;

	*p = (struct program){ .linktype = linktype };
	pcap_handle *handle = pcap.open_dead(dlt_of(linktype), (int)NCPI_SNAPLEN);
	if (!handle)
		return -ENOMEM;
	pthread_mutex_lock(&pcap_lock);
	/* Optimized; netmask 0, as tcpdump -r has it: "ip broadcast" is 255.255.255.255 or 0.0.0.0. */
	if (pcap.compile(handle, &code, expr, 1, 0) < 0) {
		say(error, cap, pcap.geterr(handle));
	} else {
		r = ncpi_bpf_make(&p->code, code.insn, code.n);
		p->fits = r == 0;
		pcap.freecode(&code);
	}
	pthread_mutex_unlock(&pcap_lock);
	pcap.close(handle);
	return r;
}

/* The program for a link type, compiled now if it is the first of its kind; its index, or < 0. */
static int program_for(struct ncpi_filter *f, uint32_t linktype, char *error, size_t cap)
{
	for (uint32_t i = 0; i < f->n_programs; i++)
		if (!f->expr || f->program[i].linktype == linktype)
			return (int)i;
	void *more = realloc(f->program, (f->n_programs + 1) * sizeof(*f->program));
	if (!more)
		return -ENOMEM;
	f->program = more;
	struct program *p = &f->program[f->n_programs];
	int r = compile(p, f->expr, linktype, error, cap);
	if (r < 0 && r != NCP_EFILTER)
		return r;
	return (int)f->n_programs++;
}

/* Extend of_interface to all interfaces there are.  0, or < 0. */
static int interfaces_map(struct ncp_client *c, struct ncpi_filter *f, char *error, size_t cap)
{
	int r = ncpi_interfaces(c);

	if (r < 0)
		return r;
	if (c->prologue.n > f->n_interfaces) {
		void *more = realloc(f->of_interface, c->prologue.n * sizeof(*f->of_interface));

		if (!more)
			return -ENOMEM;
		f->of_interface = more;
	}
	while (f->n_interfaces < c->prologue.n) {
		r = program_for(f, c->prologue.interface[f->n_interfaces].linktype, error, cap);
		if (r < 0)
			return r;
		f->of_interface[f->n_interfaces++] = (uint32_t)r;
	}
	return 0;
}

static bool filter_match(struct ncp_client *c, const struct ncp_frame *frame)
{
	struct ncpi_filter *f = c->filter;

	if (!f->expr)
		return ncpi_bpf_run(f->program->code, frame->data, frame->caplen, frame->len) != 0;
	if (frame->interface >= f->n_interfaces &&
	    (interfaces_map(c, f, NULL, 0) < 0 || frame->interface >= f->n_interfaces))
		return false;
	const struct program *p = &f->program[f->of_interface[frame->interface]];
	return p->fits && ncpi_bpf_run(p->code, frame->data, frame->caplen, frame->len) != 0;
}

static bool shard_mine(struct ncp_client *c, const struct ncp_frame *f)
{
	if (f->interface >= c->prologue.n &&
	    (ncpi_interfaces(c) < 0 || f->interface >= c->prologue.n))
		return c->shard_idx == 0; /* no such interface: to the first, not to nobody */
	uint32_t linktype = c->prologue.interface[f->interface].linktype;

	return ncpi_flow_hash(linktype, f->data, f->caplen) % c->shard_n == c->shard_idx;
}

enum ncpi_choice ncpi_choose(struct ncp_client *c, const struct ncp_frame *f)
{
	enum ncpi_choice choice = NCPI_GIVE;

	ncpi_race_begin();
	if (c->shard_n > 1 && !shard_mine(c, f))
		choice = NCPI_OTHERS;
	else if (c->filter && !filter_match(c, f))
		choice = NCPI_FILTERED;
	ncpi_race_end();
	return choice;
}

void ncpi_filter_renew(struct ncp_client *c)
{
	if (c->filter)
		c->filter->n_interfaces = 0;
}

void ncpi_filter_free(struct ncpi_filter *f)
{
	if (!f)
		return;
	for (uint32_t i = 0; i < f->n_programs; i++)
		ncpi_bpf_free(f->program[i].code);
	free(f->program);
	free(f->of_interface);
	free(f->expr);
	free(f);
}

/* A new filter takes the place of the old one. */
static void install(struct ncp_client *c, struct ncpi_filter *f)
{
	ncpi_run_stop(c);
	ncpi_filter_free(c->filter);
	c->filter = f;
}

int ncp_set_filter(struct ncp_client *c, const char *expr, char *error, size_t error_cap)
{
	int r = ncpi_usable(c);

	if (r < 0)
		return r;
	say(error, error_cap, "");
	if (!expr || !expr[strspn(expr, " \t\n")]) {
		install(c, NULL);
		return 0;
	}
	pthread_once(&pcap_once, pcap_load);
	if (!pcap.loaded) {
		say(error, error_cap, ncp_strerror(NCP_ENOPCAP));
		return NCP_ENOPCAP;
	}
	struct ncpi_filter *f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->expr = strdup(expr);
	r = f->expr ? interfaces_map(c, f, error, error_cap) : -ENOMEM;
	if (r == 0 && f->n_programs == 0)
		/* No interface yet: Ethernet's grammar says whether it is an expression at all. */
		r = program_for(f, 1, error, error_cap);
	if (r < 0) {
		ncpi_filter_free(f);
		return r;
	}
	uint32_t fits = 0;
	for (uint32_t i = 0; i < f->n_programs; i++)
		fits += f->program[i].fits;
	if (!fits) {
		ncpi_filter_free(f);
		return NCP_EFILTER;
	}
	install(c, f);
	return fits < f->n_programs;
}

int ncp_set_bpf(struct ncp_client *c, const struct ncp_bpf_insn *program, size_t n)
{
	int r = ncpi_usable(c);

	if (r < 0)
		return r;
	if (n == 0) {
		install(c, NULL);
		return 0;
	}
	struct ncpi_filter *f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->program = calloc(1, sizeof(*f->program));
	r = f->program ? ncpi_bpf_make(&f->program->code, program, n) : -ENOMEM;
	f->n_programs = f->program != NULL;
	if (r < 0) {
		ncpi_filter_free(f);
		return r;
	}
	install(c, f);
	return 0;
}
