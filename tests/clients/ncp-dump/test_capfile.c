/* SPDX-License-Identifier: BSD-2-Clause */
/* test_capfile.c - heads of files, and the state that a capture resumes from. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clients/ncp-dump/capfile.h"
#include "clients/ncp-dump/state.h"
#include "tap/tap.h"
#include "util/file.h"
#include "util/pcapng.h"

static uint8_t prologue[28 + 200 * 32];

static void prologue_make(void)
{
	static const uint8_t shb[] = {
		0x0a, 0x0d, 0x0d, 0x0a, 28, 0, 0, 0, 0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 28, 0, 0, 0 };
	static const uint8_t idb[] = { 1, 0, 0, 0, 32, 0, 0, 0, 1, 0, 0, 0, 0, 0, 4, 0,
				       9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0 };

	memcpy(prologue, shb, sizeof(shb));
	for (int i = 0; i < 200; i++)
		memcpy(prologue + 28 + 32 * i, idb, 32);
}

static void heads(void)
{
	static uint8_t out[1 << 15];
	struct capfile_section s = { .prologue = prologue, .bus = "eth0", .incarnation = 9,
				     .first_seq = 5, .window = 8 << 20 };
	size_t file_off;
	bool good = true;
	long len;

	s.prologue_len = 20;
	is_i64(-EBADMSG, capfile_section(out, &s, 0, 0, 4, &file_off),
	       "refuses a prologue that is cut short");
	for (uint32_t n = 0; n <= 200 && good; n++)
		for (uint64_t position = 0; position < 4096 && good; position += 52)
			for (uint32_t align = 4; align <= 4096; align *= 1024) {
				struct pcapng_block b;
				size_t off = 0, idbs = 0;

				s.prologue_len = 28 + 32 * n;
				len = capfile_section(out, &s, 0, position, align, &file_off);
				good = good && len > 0 &&
				       (size_t)len <= capfile_section_max(s.prologue_len, align) &&
				       ((uint64_t)len - position) % align == 0 &&
				       (align == 4 || (uint32_t)len >= align) &&
				       file_off + PCAPNG_FILE_LEN <= 4096 &&
				       capfile_find(out, 4096 < len ? 4096 : (size_t)len) ==
					       (long)file_off;
				good = good && file_off >= 28 + 32 * (n ? 1 : 0);
				while (pcapng_next(out + off, (size_t)len - off, &b) == 1) {
					idbs += b.type == PCAPNG_IDB;
					off += b.len;
				}
				good = good && off == (size_t)len && idbs == n;
			}
	ok(good, "a head is whole blocks, congruent to its position, its file block in page one, "
		 "behind the first interface");
	len = capfile_section(out, &s, 8192 + 12, 100, 4096, &file_off);
	ok(len > 0 && (8192 + 12 + (uint64_t)len) % 4096 == 100, "a later section too");

	struct pcapng_block b;
	struct pcapng_local l;
	struct pcapng_file f;
	is_i64(0, capfile_update(out + file_off, (size_t)len - file_off, 1234, 1234, true),
	       "its file block is updated");
	ok(pcapng_next(out + file_off, PCAPNG_FILE_LEN, &b) == 1 &&
		   pcapng_local_read(&b, &l, &f, sizeof(f)) && f.verified == 1234 && f.complete &&
		   f.window == 8 << 20 && !strcmp(f.bus, "eth0") && l.incarnation == 9 &&
		   l.next_seq == 5,
	   "and says all the rest as before");
	struct capfile_head h;
	is_i64((int64_t)file_off, capfile_head(out, (size_t)len, &h), "it is found again");
	ok(!strcmp(h.bus, "eth0") && h.incarnation == 9 && h.first_seq == 5 && h.verified == 1234 &&
		   h.complete && h.created_ns == s.created_ns && h.window == 8 << 20,
	   "and read");
	is_i64(-EBADMSG, capfile_update(out, 28, 0, 0, false), "another block is not updated");
	is_i64(-EBADMSG, capfile_find(prologue, sizeof(prologue)), "a file without one has none");
	is_i64(-EBADMSG, capfile_find((const uint8_t *)"hello, world, this is text", 26),
	       "nor has a text");
}

static const char *put_text(const char *path, const char *text)
{
	if (file_replace(path, text, strlen(text), 0600) < 0)
		bail("cannot write %s", path);
	return path;
}

static void states(const char *dir)
{
	char path[256], file[256];
	struct state s = { .bus = "eth0", .incarnation = 0xc0ffee, .seq = 4711, .length = 300 }, t;
	const char *why = NULL;
	struct stat st;
	static uint8_t head[8192];
	struct capfile_section sec = { .prologue = prologue, .prologue_len = 60, .bus = "eth0" };
	size_t file_off;

	snprintf(path, sizeof(path), "%s/state", dir);
	snprintf(file, sizeof(file), "%s/a \nb", dir);
	strcpy(s.file, file);
	is_i64(0, state_load(path, &t, &why), "no state file: nothing to resume");
	is_i64(0, state_save(path, &s), "a state is saved");
	is_i64(1, state_load(path, &t, &why), "and loaded");
	ok(!strcmp(t.bus, "eth0") && t.incarnation == 0xc0ffee && t.seq == 4711 &&
		   t.length == 300 && !strcmp(t.file, file),
	   "as it was, with a name that has a blank and a newline");
	static const char *const bad[] = {
		"", "\n", "ncp-dump-state 2\nbus a\nincarnation 0000000000000001\nseq 1\nlength 1\nfile /x\n",
		"ncp-dump-state 1\nbus a\nincarnation 1\nseq 1\nlength 1\nfile /x\n",
		"ncp-dump-state 1\nbus a\nincarnation 0000000000000001\nseq -1\nlength 1\nfile /x\n",
		"ncp-dump-state 1\nbus a\nincarnation 0000000000000001\nseq 1\nlength 1\nfile x\n",
		"ncp-dump-state 1\nbus a\nincarnation 0000000000000001\nseq 1\nlength 1\nfile /x",
		"ncp-dump-state 1\nbus a\nincarnation 0000000000000001\nseq 1\n",
		"ncp-dump-state 1\nbus " "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"\nincarnation 0000000000000001\nseq 1\nlength 1\nfile /x\n" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		is_i64(-EBADMSG, state_load(put_text(path, bad[i]), &t, &why),
		       "refuses a state that is none (%zu)", i);

	is_i64(-ENOENT, state_cut(&s), "a file that has gone is not cut");
	put_text(file, "this is somebody's letter, and longer than three hundred bytes it is not");
	is_i64(-EBADMSG, state_cut(&s), "a file of another kind is left alone");
	ok(stat(file, &st) == 0 && st.st_size == 72, "in its full length");
	long len = capfile_section(head, &sec, 0, 0, 4096, &file_off);
	if (len < 0 || file_replace(file, head, (size_t)len, 0600) < 0)
		bail("cannot write %s", file);
	s.length = (uint64_t)len + 4;
	is_i64(-ENODATA, state_cut(&s), "one that is too short, too");
	s.length = 300;
	is_i64(0, state_cut(&s), "the right one is cut");
	ok(stat(file, &st) == 0 && st.st_size == 300, "to its length");
	char *bytes;
	size_t n;
	struct pcapng_block b;
	struct pcapng_local l;
	struct pcapng_file f;
	ok(file_read(file, 1000, &bytes, &n) == 0 &&
		   pcapng_next((uint8_t *)bytes + file_off, n - file_off, &b) == 1 &&
		   pcapng_local_read(&b, &l, &f, sizeof(f)) && f.verified == 300 && f.complete,
	   "and called complete");
	free(bytes);
}

int main(void)
{
	const char *dir = tap_tempdir(NULL);

	plan(8 + 2 + 4 + 9 + 7);
	prologue_make();
	heads();
	states(dir);
	return tap_done();
}
