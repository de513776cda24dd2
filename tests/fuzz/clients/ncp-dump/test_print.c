/* SPDX-License-Identifier: BSD-2-Clause */
/* test_print.c - any bytes as a frame of any link type: one line that is plain text. */
#include <stdbool.h>
#include <string.h>

#include "clients/ncp-dump/print.h"
#include "fuzz/fuzz.h"

/*
 * The input: four bytes for the link type, of which the lower 16 count, and for how much longer the
 * frame was on the wire; then the frame.
 */
#define HEAD_LEN 4u

static bool plain(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char line[PRINT_CAP];

	if (size < HEAD_LEN)
		return 0;
	uint32_t caplen = (uint32_t)(size - HEAD_LEN);
	const struct print_frame f = { .data = data + HEAD_LEN,
				       .caplen = caplen,
				       .len = caplen + data[2] * 256u + data[3],
				       .linktype = data[0] * 256u + data[1],
				       .ts_ns = UINT64_C(1700000000123456789),
				       .interface = "eth0" };
	size_t len = print_line(line, &f);

	fuzz_must(len > 0 && len < PRINT_CAP && strlen(line) == len);
	fuzz_must(line[len - 1] == '\n' && plain(line, len - 1));
	len = print_flow(line, &f);
	fuzz_must(len < PRINT_CAP);
	if (len)
		fuzz_must(strlen(line) == len && line[len - 1] == '\n' && plain(line, len - 1));
	return 0;
}
