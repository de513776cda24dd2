/* SPDX-License-Identifier: BSD-2-Clause */
/* test_format.c - pcap and nsec-pcap as libpcap reads them; compressed blocks, cut anywhere. */
#include <errno.h>
#include <lz4frame.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "clients/ncp-dump/coder.h"
#include "clients/ncp-dump/format.h"
#include "tap/tap.h"
#include "util/file.h"

static void names(void)
{
	enum format f = FORMAT_PCAPNG;

	is_i64(-EINVAL, format_parse("pcap-ng", &f), "refuses a format there is not");
	ok(format_parse("pcap", &f) == 0 && f == FORMAT_PCAP, "pcap");
	ok(format_parse("nsecpcap", &f) == 0 && f == FORMAT_NSEC_PCAP &&
		   format_parse("nsec-pcap", &f) == 0 && f == FORMAT_NSEC_PCAP &&
		   format_parse("pcapng", &f) == 0 && f == FORMAT_PCAPNG,
	   "nsec-pcap, pcapng");
}

/* Write frames of 0 to 300 bytes, some cut; libpcap tells them back. */
static void pcaps(enum format f, const char *dir)
{
	static uint8_t out[1 << 20], data[400];
	char path[256], error[PCAP_ERRBUF_SIZE];
	const uint64_t ts = UINT64_C(1700000000123456789);
	size_t len = FORMAT_HEAD_LEN;
	uint32_t n = 0;
	bool good = true;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	format_head(out, f, 101);
	ok(format_is_pcap(out), "its beginning is known again");
	for (uint32_t k = 0; k <= 300; k++) {
		struct pcapng_frame frame = { .data = data + k, .caplen = k % 100, .len = k,
					      .interface = 3, .flags = 1, .dropcount = 7,
					      .ts = ts + k * UINT64_C(1000000001) };

		frame.caplen = k < 100 ? k : frame.caplen;
		if (format_frame(out + len, f, &frame) > FORMAT_FRAME_MAX(frame.caplen))
			bail("longer than it may be");
		len += format_frame(out + len, f, &frame);
	}
	snprintf(path, sizeof(path), "%s/f", dir);
	if (file_replace(path, out, len, 0600) < 0)
		bail("cannot write");
	pcap_t *p = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, error);
	if (!p)
		bail("%s", error);
	struct pcap_pkthdr *h;
	const u_char *d;
	int r;
	for (; (r = pcap_next_ex(p, &h, &d)) == 1; n++) {
		uint64_t t = ts + n * UINT64_C(1000000001);

		if (f == FORMAT_PCAP)
			t = t / 1000 * 1000;
		good = good && h->caplen == (n < 100 ? n : n % 100) && h->len == n &&
		       (uint64_t)h->ts.tv_sec * 1000000000 + (uint64_t)h->ts.tv_usec == t &&
		       !memcmp(d, data + n, h->caplen);
	}
	ok(r == PCAP_ERROR_BREAK && n == 301 && good, "libpcap reads every frame as it was written");
	ok(pcap_datalink(p) == DLT_RAW && pcap_snapshot(p) == 262144, "link type, length");
	pcap_close(p);
}

static void linktypes(void)
{
	uint8_t p[28 + 3 * 20] = { 0 };
	struct { uint32_t type, len; uint16_t link, pad; uint32_t snap, end; } idb = { 1, 20, 1, 0, 0, 20 };
	struct { uint32_t type, len, body[4], end; } shb = { PCAPNG_SHB, 28, { 0 }, 28 };

	memcpy(p, &shb, 28);
	is_i64(-ENODATA, format_linktype(p, 28), "no interface has no link type");
	memcpy(p + 28, &idb, 20);
	memcpy(p + 48, &idb, 20);
	is_i64(1, format_linktype(p, 68), "all have the same");
	idb.link = 101;
	memcpy(p + 68, &idb, 20);
	is_i64(-EMEDIUMTYPE, format_linktype(p, 88), "they have several");
}

/* Decode all that can be.  Returns the length; *whole: the frame had its end. */
static size_t decode(const struct coder_ops *ops, const uint8_t *in, size_t len, uint8_t *out,
		     size_t cap, bool *whole)
{
	size_t done = 0;

	*whole = false;
	if (ops == &coder_zstd) {
		ZSTD_DCtx *d = ZSTD_createDCtx();
		ZSTD_inBuffer from = { in, len, 0 };
		ZSTD_outBuffer to = { out, cap, 0 };
		size_t r = 1;

		while (from.pos < len && r && !ZSTD_isError(r))
			r = ZSTD_decompressStream(d, &to, &from);
		*whole = r == 0 && from.pos == len;
		done = to.pos;
		ZSTD_freeDCtx(d);
	} else {
		LZ4F_dctx *d;
		size_t at = 0, r = 1;

		if (LZ4F_isError(LZ4F_createDecompressionContext(&d, LZ4F_VERSION)))
			bail("lz4");
		while (at < len && r && !LZ4F_isError(r)) {
			size_t k = len - at, n = cap - done;

			r = LZ4F_decompress(d, out + done, &n, in + at, &k, NULL);
			at += k;
			done += n;
		}
		*whole = r == 0 && at == len;
		LZ4F_freeDecompressionContext(d);
	}
	return done;
}

static void coders(const struct coder_ops *ops)
{
	enum { PIECES = 20, MAX = 2 << 20 };
	static uint8_t plain[PIECES * 300000], out[2 * sizeof(plain)], back[sizeof(plain)];
	size_t at[PIECES + 1] = { 0 }, to[PIECES + 1] = { 0 };
	struct tap_rng rng = { .seed = tap_seed() };
	bool good = true, ended = true, cut = true, whole;
	struct coder *c;

	if (ops->open(&c, ops->level) < 0)
		bail("%s does not open", ops->name);
	for (size_t i = 0; i < sizeof(plain); i++)
		plain[i] = tap_rng_below(&rng, 8) ? (uint8_t)(i % 97) : (uint8_t)tap_rng_below(&rng, 256);
	for (int i = 0; i < PIECES; i++) {
		size_t len = 1 + tap_rng_below(&rng, 300000), n;

		n = ops->encode(c, out + to[i], ops->bound(len), plain + at[i], len);
		good = good && n > 0 && n <= ops->bound(len);
		at[i + 1] = at[i] + len;
		to[i + 1] = to[i] + n;
	}
	ok(good, "%s: pieces are compressed, within their bounds", ops->name);
	for (int i = 1; i <= PIECES; i++) {
		good = good && decode(ops, out, to[i], back, sizeof(back), &whole) == at[i] && !whole &&
		       !memcmp(plain, back, at[i]);
		/* What stands behind is put back for the next one. */
		uint8_t saved[4];

		memcpy(saved, out + to[i], sizeof(saved));
		memcpy(out + to[i], ops->end, ops->end_len);
		ended = ended && decode(ops, out, to[i] + ops->end_len, back, sizeof(back), &whole) == at[i] && whole;
		memcpy(out + to[i], saved, sizeof(saved));
		size_t n = decode(ops, out, to[i] - 1, back, sizeof(back), &whole);
		cut = cut && n >= at[i - 1] && !whole && !memcmp(plain, back, at[i - 1]);
	}
	ok(good, "%s: up to the end of each piece it can be read without what is behind", ops->name);
	ok(ended, "%s: its end makes a whole file of that", ops->name);
	ok(cut, "%s: cut before, all pieces but the last can be read", ops->name);
	ok(coder_of(out) == ops, "%s: its beginning is known again", ops->name);
	ops->close(c);
	ops->close(NULL);
}

int main(void)
{
	const char *dir = tap_tempdir(NULL);

	plan(3 + 2 * 3 + 3 + 2 * 5 + 1);
	names();
	pcaps(FORMAT_PCAP, dir);
	pcaps(FORMAT_NSEC_PCAP, dir);
	linktypes();
	coders(&coder_zstd);
	coders(&coder_lz4);
	ok(!coder_of((const uint8_t *)"text"), "a text has no compression");
	return tap_done();
}
