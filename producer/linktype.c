/* SPDX-License-Identifier: BSD-2-Clause */
/* linktype.c - libpcap's two numbers for what a frame is: DLT_ in programs, LINKTYPE_ in files. */
#include "producer/linktype.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <pcap/pcap.h>

#define MAGIC UINT32_C(0xa1b2c3d4)
#define LINKTYPE_MASK UINT32_C(0x03ffffff) /* above it: FCS length */

int linktype_of_dlt(int dlt, uint32_t *linktype)
{
	struct pcap_file_header head;
	char bytes[sizeof(head) + 1]; /* fmemopen() ends its text with a NUL */
	pcap_t *dead = pcap_open_dead(dlt, 65535);
	FILE *memory = fmemopen(bytes, sizeof(bytes), "w");
	int r = dead && memory ? 0 : -ENOMEM;

	*linktype = (uint32_t)dlt;
	pcap_dumper_t *d = r ? NULL : pcap_dump_fopen(dead, memory);
	if (d) {
		pcap_dump_close(d);
		memcpy(&head, bytes, sizeof(head));
		*linktype = head.linktype & LINKTYPE_MASK;
	} else if (memory) {
		fclose(memory);
	}
	if (dead)
		pcap_close(dead);
	return r;
}

int linktype_to_dlt(uint32_t linktype, int *dlt)
{
	struct pcap_file_header head = { .magic = MAGIC,
					 .version_major = PCAP_VERSION_MAJOR,
					 .version_minor = PCAP_VERSION_MINOR,
					 .snaplen = 65535,
					 .linktype = linktype };
	char error[PCAP_ERRBUF_SIZE];
	FILE *memory = fmemopen(&head, sizeof(head), "r");

	*dlt = (int)linktype;
	if (!memory)
		return -ENOMEM;
	pcap_t *file = pcap_fopen_offline(memory, error);
	if (!file) {
		fclose(memory);
		return -ENOMEM;
	}
	*dlt = pcap_datalink(file);
	pcap_close(file); /* and memory */
	return 0;
}
