/* SPDX-License-Identifier: BSD-2-Clause */
/* bus.h - a bus of a test's own, frames whose every byte follows from their number. */
#ifndef TEST_BUS_H
#define TEST_BUS_H

#include <stdbool.h>
#include <stdint.h>

#include "libncpbus/include/ncpbus.h"
#include "libncpbus/writer.h"

struct test_bus {
	const char *dir; /* removed when the test ends */
	int dirfd;
	char name[64];
	struct ncpi_geometry geo;
	struct ncpi_writer_options o;
	struct ncpi_bus bus;
	struct ncpi_writer *w;
	int interface;
	uint64_t next; /* number of the next frame to publish */
};

/* bus_make - a directory and a name, default geometry: 64 KiB ring, frames of 200 bytes at most. */
void bus_make(struct test_bus *t);

/* bus_start - open the bus and become its writer; without the waker thread unless threads.
 * Bails when that fails.  bus_stop undoes it with a final state (NCP_LIVE: as a crash would). */
void bus_start(struct test_bus *t, bool threads);
void bus_stop(struct test_bus *t, uint32_t state);

/* frame_fill - the frame of a number: its length, its time and its bytes follow from seq alone. */
struct ncpi_frame frame_fill(uint64_t seq, uint8_t *buf, uint32_t cap);
#define FRAME_CAP 200u
#define FRAME_TS(seq) (UINT64_C(1700000000000000000) + (seq) * 1000)

/* bus_publish - n frames, in batches of 7 or fewer. */
void bus_publish(struct test_bus *t, uint64_t n);

/* bus_lap - publish until tail has passed position. */
void bus_lap(struct test_bus *t, uint64_t position);

/* frame_good - is f the frame its number says, byte for byte? */
bool frame_good(const struct ncp_frame *f);

/* bus_attach - attach or bail; whence NCP_OLDEST and so on. */
struct ncp_client *bus_attach(const struct test_bus *t, uint32_t whence, uint64_t value,
			      uint32_t flags);

#endif
