#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_header.sh - ncpbus.h compiles alone, as C and as C++, without a warning.
. tests/tap/tap.sh
plan 6

both='-Wall -Wextra -Wconversion -pedantic -Werror'
# In C++ a function of a struct's name is one of its idioms (stat), which -Wshadow has against it.
c="$both -Wshadow -Wstrict-prototypes"
# An initializer that names the first field leaves the others zero, as it should.
cxx="$both -Wno-missing-field-initializers"

# compiles LANGUAGE STANDARD FLAGS TEXT
compiles()
{
	# shellcheck disable=SC2086 # flags are words
	"${CC:-gcc}" -Ilibncpbus/include -x "$1" -std="$2" $3 -fsyntax-only - <<<"$4"
}

alone='#include <ncpbus.h>'
use="$alone
void f(void);
void f(void)
{
	struct ncp_options o = NCP_OPTIONS_INIT;
	struct ncp_where w = NCP_WHERE_INIT;
	struct ncp_frame g = NCP_FRAME_INIT;
	struct ncp_span s = NCP_SPAN_INIT;
	struct ncp_cursor c = NCP_CURSOR_INIT;
	struct ncp_interface i = NCP_INTERFACE_INIT;
	struct ncp_stats t = NCP_STATS_INIT;
	struct ncp_bus_info b = NCP_BUS_INFO_INIT;
	struct ncp_worker k = NCP_WORKER_INIT;
	struct ncp_peer p = NCP_PEER_INIT;
	(void)o; (void)w; (void)g; (void)s; (void)c; (void)i; (void)t; (void)b; (void)k; (void)p;
}"
run_step "alone as C99" compiles c c99 "$c" "$alone"
run_step "alone as C17" compiles c c17 "$c" "$alone"
run_step "its initializers as C17" compiles c c17 "$c" "$use"
if compiles c++ c++17 '' 'int x;' 2>/dev/null; then
	run_step "alone as C++11" compiles c++ c++11 "$cxx" "$alone"
	run_step "alone as C++20" compiles c++ c++20 "$cxx" "$alone"
	run_step "its initializers as C++20" compiles c++ c++20 "$cxx" "$use"
else
	skip 3 "${CC:-gcc} does not compile C++ here: install g++"
fi
