/* SPDX-License-Identifier: BSD-2-Clause */
/* real.h - the libpcap behind this one. */
#ifndef PCAP_SHIM_REAL_H
#define PCAP_SHIM_REAL_H

#include <pcap/pcap.h>

/*
 * Every call of libpcap that this library stands in front of: those that take a pcap_t, and those
 * that take or give the name of a device.
 */
#define REAL_SERVED(X) \
	X(activate) X(breakloop) X(bufsize) X(can_set_rfmon) X(close) X(compile) X(create) \
	X(datalink) X(datalink_ext) X(dispatch) X(dump_fopen) X(dump_open) X(dump_open_append) \
	X(file) X(fileno) X(findalldevs) X(get_required_select_timeout) X(get_selectable_fd) \
	X(get_tstamp_precision) X(geterr) X(getnonblock) X(inject) X(is_swapped) \
	X(list_datalinks) X(list_tstamp_types) X(lookupnet) X(loop) X(major_version) \
	X(minor_version) X(next) X(next_ex) X(open_live) X(perror) X(sendpacket) \
	X(set_buffer_size) X(set_datalink) X(set_immediate_mode) X(set_promisc) \
	X(set_protocol_linux) X(set_rfmon) X(set_snaplen) X(set_timeout) \
	X(set_tstamp_precision) X(set_tstamp_type) X(setdirection) X(setfilter) X(setnonblock) \
	X(snapshot) X(stats)

/* What this library itself needs beside these. */
#define REAL_USED(X) \
	X(fopen_offline) X(offline_filter) X(open_dead) X(open_dead_with_tstamp_precision)

struct real {
#define REAL_MEMBER(name) __typeof__(pcap_##name) *name;
	REAL_SERVED(REAL_MEMBER)
	REAL_USED(REAL_MEMBER)
#undef REAL_MEMBER
};

/*
 * real - the calls of the libpcap that the program would use without us: the next one in its search
 * order, else the one it opened by dlopen(), else the system's.  A call that a libpcap does not
 * have is NULL: no program can have been linked with it.
 *
 * Does not return when there is none: whoever calls us was linked with one, or looked for one.
 */
const struct real *real(void);

#endif
