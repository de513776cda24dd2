/* SPDX-License-Identifier: BSD-2-Clause */
/* frame_check.c - are the numbered frames of a series of captures all there, each once, in order? */
#include <endian.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * frame_check FILE...
 *
 * Reads captures in the order given and looks at every frame to UDP port 9 over IPv4 over Ethernet
 * (frame_send's, and the synth source's): its payload begins with its number.  Prints
 *
 *	frames=N first=A last=B holes=H duplicates=D other=O
 *
 * holes: numbers between A and B that are missing; duplicates: a number not above the one before;
 * other: frames that bear no number.  Exits 1 if a file cannot be read to its end, or on H or D.
 */
struct tally {
	uint64_t frames, first, last, holes, duplicates, other;
};

static bool number_of(const struct pcap_pkthdr *h, const u_char *p, uint64_t *number)
{
	if (h->caplen < 50 || p[12] != 0x08 || p[13] != 0x00 || p[14] != 0x45 || p[23] != 17 ||
	    p[36] != 0 || p[37] != 9)
		return false;
	memcpy(number, p + 42, 8);
	*number = be64toh(*number);
	return true;
}

static void take(struct tally *t, uint64_t n)
{
	if (t->frames++ == 0) {
		t->first = t->last = n;
	} else if (n <= t->last) {
		t->duplicates++;
	} else {
		t->holes += n - t->last - 1;
		t->last = n;
	}
}

int main(int argc, char **argv)
{
	struct tally t = { 0 };
	int failed = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: frame_check FILE...\n");
		return 2;
	}
	for (int i = 1; i < argc; i++) {
		char error[PCAP_ERRBUF_SIZE];
		struct pcap_pkthdr *h;
		const u_char *p;
		uint64_t n;
		int r;
		pcap_t *file = pcap_open_offline(argv[i], error);

		if (!file) {
			fprintf(stderr, "frame_check: %s: %s\n", argv[i], error);
			failed = 1;
			continue;
		}
		while ((r = pcap_next_ex(file, &h, &p)) == 1) {
			if (number_of(h, p, &n))
				take(&t, n);
			else
				t.other++;
		}
		if (r != PCAP_ERROR_BREAK) {
			fprintf(stderr, "frame_check: %s: %s\n", argv[i], pcap_geterr(file));
			failed = 1;
		}
		pcap_close(file);
	}
	printf("frames=%llu first=%llu last=%llu holes=%llu duplicates=%llu other=%llu\n",
	       (unsigned long long)t.frames, (unsigned long long)t.first,
	       (unsigned long long)t.last, (unsigned long long)t.holes,
	       (unsigned long long)t.duplicates, (unsigned long long)t.other);
	return failed || t.holes || t.duplicates;
}
