/* SPDX-License-Identifier: BSD-2-Clause */
/* strerror.c - texts for codes, states and reasons. */
#include <string.h>

#include "libncpbus/include/ncpbus.h"

const char *ncp_strerror(int code)
{
	switch (code) {
	case NCP_ENOBUS:
		return "no such bus";
	case NCP_ENOTREADY:
		return "the bus is just being made";
	case NCP_EVERSION:
		return "the bus has another layout version";
	case NCP_ETRUNCATED:
		return "the bus is shorter than its header claims";
	case NCP_EFOREIGN:
		return "the name belongs to a user who is not trusted";
	case NCP_ENOTBUS:
		return "something else has that name";
	case NCP_ECORRUPT:
		return "the content of the bus is corrupt";
	case NCP_ENAME:
		return "not a bus name";
	case NCP_EFILTER:
		return "the filter does not compile";
	case NCP_ENOPCAP:
		return "a filter expression needs libpcap, which cannot be loaded";
	case NCP_ENOTRELIABLE:
		return "reliable delivery cannot be had";
	case NCP_EFORK:
		return "the client belongs to the process that forked this one";
	case NCP_EGROUP:
		return "work cannot be shared in that group";
	case NCP_EACCESS:
		return "no permission to read the bus";
	default:
		break;
	}
	if (code >= 0)
		return "no error";
	/* Unlike strerror() no buffer that another thread may be using. */
	const char *text = strerrordesc_np(-code);
	return text ? text : "unknown error";
}

const char *ncp_state_name(uint32_t state)
{
	switch (state) {
	case NCP_STARTING:
		return "starting";
	case NCP_LIVE:
		return "live";
	case NCP_PAUSED:
		return "paused";
	case NCP_STOPPED:
		return "stopped";
	case NCP_ENDED:
		return "ended";
	case NCP_CLOSED:
		return "closed";
	case NCP_DEAD:
		return "dead";
	default:
		return "unknown";
	}
}

const char *ncp_reason_text(uint32_t reason)
{
	switch (reason) {
	case NCP_REASON_INTERFACE_DOWN:
		return "interface down";
	case NCP_REASON_INTERFACE_GONE:
		return "interface gone";
	case NCP_REASON_EXHAUSTED:
		return "source exhausted";
	case NCP_REASON_COUNT:
		return "count reached";
	case NCP_REASON_SIGNAL:
		return "stopped by a signal";
	case NCP_REASON_GEOMETRY:
		return "replaced by another geometry";
	case NCP_REASON_SOURCE_ERROR:
		return "source failed";
	case NCP_REASON_WAITING:
		return "waiting";
	case NCP_REASON_SOURCE_AWAY:
		return "its source bus is away";
	default:
		return "";
	}
}
