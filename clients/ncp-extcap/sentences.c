/* SPDX-License-Identifier: BSD-2-Clause */
/* sentences.c - what an extcap program prints for Wireshark to read. */
#include "sentences.h"

#include <ncpbus.h>
#include <stddef.h>

#include "options.h"

/* Source: tcpdump.org/linktypes.html; DLT_ as pcap/dlt.h has them on Linux. */
static const struct {
	uint32_t linktype, dlt;
	const char *name, *display;
} types[] = {
	{ 0, 0, "NULL", "BSD loopback" },
	{ 1, 1, "EN10MB", "Ethernet" },
	{ 9, 9, "PPP", "PPP" },
	{ 50, 50, "PPP_SERIAL", "PPP over serial" },
	{ 101, 12, "RAW", "Raw IP" },
	{ 104, 104, "C_HDLC", "Cisco HDLC" },
	{ 105, 105, "IEEE802_11", "802.11" },
	{ 108, 108, "LOOP", "OpenBSD loopback" },
	{ 113, 113, "LINUX_SLL", "Linux cooked v1" },
	{ 127, 127, "IEEE802_11_RADIO", "802.11 plus radiotap header" },
	{ 189, 189, "USB_LINUX", "USB with Linux header" },
	{ 195, 195, "IEEE802_15_4", "IEEE 802.15.4 with FCS" },
	{ 220, 220, "USB_LINUX_MMAPPED", "USB with padded Linux header" },
	{ 228, 228, "IPV4", "Raw IPv4" },
	{ 229, 229, "IPV6", "Raw IPv6" },
	{ 239, 239, "NFLOG", "Linux netfilter log messages" },
	{ 253, 253, "NETLINK", "Linux netlink" },
	{ 276, 276, "LINUX_SLL2", "Linux cooked v2" },
};

void sentences_version(FILE *f)
{
	fprintf(f, "extcap {version=%s}{help=man:ncp-extcap(1)}{display=Capture busses of ncp}\n",
		NCP_VERSION);
}

void sentences_interface(FILE *f, const char *bus)
{
	fprintf(f, "interface {value=" EXTCAP_PREFIX "%s}{display=Capture bus %s}\n", bus, bus);
}

void sentences_dlt(FILE *f, uint32_t linktype)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
		if (types[i].linktype == linktype) {
			fprintf(f, "dlt {number=%u}{name=%s}{display=%s}\n", types[i].dlt,
				types[i].name, types[i].display);
			return;
		}
	fprintf(f, "dlt {number=%u}{name=LINKTYPE_%u}{display=Link type %u}\n", linktype, linktype,
		linktype);
}

/* The names of the calls are those of the rows in options.c.  Of the argument types only those that
 * Wireshark 4.0 knows are used: editselector is not among them. */
void sentences_config(FILE *f)
{
	fputs("arg {number=0}{call=--from}{display=Start at}{type=string}{default=latest}"
	      "{tooltip=latest, oldest, -60s (so long ago: the ring remembers), seq:N, or a time}\n",
	      f);
	fputs("arg {number=1}{call=--filter}{display=Filter}{type=string}{required=false}"
	      "{tooltip=pcap-filter(7); together with the capture filter both must match}\n",
	      f);
	fputs("arg {number=2}{call=--snaplen}{display=Bytes of each frame}{type=unsigned}"
	      "{range=0,262144}{default=0}{tooltip=0 keeps all}\n",
	      f);
	fputs("arg {number=3}{call=--direction}{display=Direction}{type=selector}{default=inout}"
	      "{tooltip=As the producer's host saw it}\n",
	      f);
	fputs("value {arg=3}{value=inout}{display=both}{default=true}\n"
	      "value {arg=3}{value=in}{display=received}{default=false}\n"
	      "value {arg=3}{value=out}{display=sent}{default=false}\n",
	      f);
}
