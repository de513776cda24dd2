/* SPDX-License-Identifier: BSD-2-Clause */
/* attach.c - how long an attach takes, and what memory of its own a client has. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libncpbus/include/ncpbus.h"
#include "libncpbus/stamp.h"

/* attach BUS: prints the time of an attach in us and the growth of the process's private memory in KiB
 * by it and by reading everything there is. */
static long own_kib(void)
{
	char line[256];
	long sum = 0, n;
	FILE *f = fopen("/proc/self/smaps_rollup", "re");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Anonymous: %ld", &n) == 1)
			sum += n;
	if (f)
		fclose(f);
	return sum;
}

int main(int argc, char **argv)
{
	struct ncp_options o = NCP_OPTIONS_INIT;
	struct ncp_frame f = NCP_FRAME_INIT;
	struct ncp_client *c;

	if (argc != 2) {
		fprintf(stderr, "usage: attach BUS\n");
		return 2;
	}
	o.from.whence = NCP_OLDEST;
	long before = own_kib();
	uint64_t t = ncpi_now_monotonic();
	int r = ncp_attach(&c, argv[1], &o);
	t = ncpi_now_monotonic() - t;
	if (r < 0) {
		fprintf(stderr, "attach: %s: %s\n", argv[1], ncp_strerror(r));
		return 1;
	}
	while (ncp_next(c, &f) == 1)
		;
	printf("%.0f %ld\n", (double)t / 1e3, own_kib() - before);
	ncp_detach(c);
	return 0;
}
