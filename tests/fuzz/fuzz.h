/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz.h - what a fuzzer is made of: one function, fed with any bytes, that aborts on a wrong result. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * tests/fuzz/FOLDER/test_X.c defines the function below, under the name that libFuzzer calls, and
 * FOLDER/X holds inputs for it, each a few KiB at most.  FOLDER is the component whose parts it is
 * linked with.  It is built twice:
 *
 *	make check	linked with replay.c: plays those inputs, then changes of them for some seconds
 *	make fuzz	by clang, linked with libFuzzer
 *
 * Whatever the bytes are, the function has to come back, in a few milliseconds at most; a sanitizer
 * or fuzz_must() ends the process when something is wrong.  An input that did so once is kept in the
 * folder, under a name that says what was wrong.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* fuzz_must - a condition that holds whatever the input was.  Unlike assert(), always compiled. */
#define fuzz_must(condition) do {						\
	if (!(condition)) {							\
		fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);	\
		abort();							\
	}									\
} while (0)

#endif
