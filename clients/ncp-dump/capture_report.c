/* SPDX-License-Identifier: BSD-2-Clause */
/* capture_report.c - what a capture says: how it goes, what went wrong, the summary. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "capture_impl.h"
#include "util/json.h"
#include "util/message.h"

int capture_fail(const struct capture *cap, int r)
{
	return message_error(EXIT_FAILED, MESSAGE_TEXT("bus %s", cap->bus), ncp_strerror(r), NULL);
}

int capture_fail_store(struct capture *cap, int r)
{
	const char *name = cap->store.error_of_state ? cap->o->resume :
							series_failed(&cap->store.series);
	const char *todo = cap->store_open && cap->store.uncut ?
				   "ncp-dump --repair keeps more, once there can be written" :
			   r == -ENOSPC || r == -EDQUOT ? "make room, or write elsewhere" :
			   r == -EEXIST			? "name another, or leave out --no-clobber" :
			   r == -EMEDIUMTYPE ? "write pcapng, or one file for each interface "
					       "with --split-interfaces" :
			   r == -ENOTTY ? "redirect it to a file or a pipe" :
			   r == -ESPIPE ? "files can only follow each other where they are regular ones" :
			   r == -ESTALE ? "leave it there while it is written" :
					  NULL;
	const char *why = r == -ESTALE	    ? "it was removed" :
			  r == -EMEDIUMTYPE ? "the bus has several link types, a pcap holds one" :
					      ncp_strerror(r);

	if (!*name) /* not even tried */
		name = cap->o->write;
	if (!strcmp(name, "-"))
		name = "standard output";
	if (!strcmp(name, CLOSER_KEEP_FREE))
		why = "less is free, and there is no older file to delete";
	else if (!strcmp(name, CLOSER_QUOTA))
		why = "it is full, and there is no older file to delete";
	if (cap->store.series.files || cap->ledger.n)
		return message_error(EXIT_FAILED, name,
				     MESSAGE_TEXT("%s: %s%llu frames (%llu bytes) are saved", why,
						  cap->store.uncut ? "at least " : "",
						  (unsigned long long)cap->store.series.frames,
						  (unsigned long long)cap->store.series.bytes),
				     todo);
	return message_error(EXIT_FAILED, name, why, todo);
}

/* What was read so far, of what there is.  False: the library cannot tell now. */
static bool progress_look(struct capture *cap, struct ledger_sum *sum, struct ncp_bus_info *info,
			  struct ncp_cursor *at)
{
	*info = (struct ncp_bus_info)NCP_BUS_INFO_INIT;
	*at = (struct ncp_cursor)NCP_CURSOR_INIT;
	ledger_sum(&cap->ledger, sum);
	return ncp_bus_info(cap->c, info) >= 0 && ncp_tell(cap->c, at) >= 0;
}

void capture_say_progress(struct capture *cap)
{
	struct ncp_bus_info info;
	struct ncp_cursor at;
	struct ledger_sum sum;

	if (!progress_look(cap, &sum, &info, &at))
		return;
	message_note(MESSAGE_TEXT("bus %s", cap->bus),
		     MESSAGE_TEXT("%llu frames, %llu filtered, %llu lost, %llu behind, %llu bytes "
				  "written",
				  (unsigned long long)sum.frames, (unsigned long long)sum.filtered,
				  (unsigned long long)sum.lost,
				  (unsigned long long)(info.next_seq - at.seq),
				  (unsigned long long)(cap->store_open ? store_size(&cap->store) : 0)),
		     NULL);
}

void capture_show_progress(struct capture *cap, uint64_t now)
{
	struct ncp_bus_info info;
	struct ncp_cursor at;
	struct ledger_sum sum;

	if (!progress_look(cap, &sum, &info, &at))
		return;
	progress_show(&cap->progress,
		      &(struct progress_sample){ .now_ns = now,
						 .frames = sum.frames,
						 .bytes = store_size(&cap->store),
						 .lost = sum.lost,
						 .queued = store_queued(&cap->store),
						 .head = info.head,
						 .position = at.position,
						 .ring_size = info.ring_size });
}

static void report_json(struct capture *cap, const struct ledger_sum *sum, FILE *f)
{
	struct json j;
	bool file = cap->store_open;

	json_open(&j);
	json_object_begin(&j);
	json_key(&j, "schema"), json_u64(&j, 1);
	json_key(&j, "bus"), json_str(&j, cap->bus);
	if (cap->reader)
		json_key(&j, "reader"), json_str(&j, cap->reader);
	json_key(&j, "frames"), json_u64(&j, sum->frames);
	json_key(&j, "filtered"), json_u64(&j, sum->filtered);
	json_key(&j, "others"), json_u64(&j, sum->others);
	json_key(&j, "lost"), sum->unknown ? json_null(&j) : json_u64(&j, sum->lost);
	json_key(&j, "bytes"), json_u64(&j, file ? cap->store.series.bytes : 0);
	json_key(&j, "kernel_drops");
	json_u64(&j, cap->drops + cap->drops_now - cap->drops_first);
	json_key(&j, "files"), json_u64(&j, file ? cap->store.series.files : 0);
	json_key(&j, "reattached"), json_u64(&j, cap->reattached);
	json_key(&j, "writer"), json_str(&j, file ? cap->store.writer : NULL);
	json_key(&j, "direct"), json_bool(&j, file && cap->store.direct);
	json_key(&j, "from_missing_seconds"), json_seconds(&j, (int64_t)cap->from_missing_ns);
	json_key(&j, "windows");
	ledger_json(&cap->ledger, &j);
	json_object_end(&j);
	if (json_print(&j, f) < 0)
		message_error(EXIT_FAILED, "the summary", "it cannot be written", NULL);
	json_close(&j);
}

void capture_report(struct capture *cap, FILE *json)
{
	struct ledger_sum sum;

	ledger_sum(&cap->ledger, &sum);
	if (json) {
		report_json(cap, &sum, json);
		return;
	}
	if (cap->o->quick)
		return;
	fprintf(stderr, "%llu frames %s, %llu filtered, ", (unsigned long long)sum.frames,
		cap->store_open ? "written" : "printed", (unsigned long long)sum.filtered);
	if (cap->several)
		fprintf(stderr, "%llu left to others, ", (unsigned long long)sum.others);
	fprintf(stderr, "%s%llu lost, %llu dropped by the kernel", sum.unknown ? "more than " : "",
		(unsigned long long)sum.lost,
		(unsigned long long)(cap->drops + cap->drops_now - cap->drops_first));
	if (cap->store_open)
		fprintf(stderr, "; %llu bytes in %llu file%s",
			(unsigned long long)cap->store.series.bytes, (unsigned long long)cap->store.series.files,
			cap->store.series.files == 1 ? "" : "s");
	fputc('\n', stderr);
}
