#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_library.sh - what libncpbus shows to the world: its symbols and its needs.
. tests/tap/tap.sh
plan 5

so=$NCP_BUILD/lib/libncpbus.so.0 map=libncpbus/ncpbus.map header=libncpbus/include/ncpbus.h

exported=$(nm -D --defined-only "$so" | awk '$2 == "T" { sub(/@.*/, "", $3); print $3 }' | sort)
like '(^|[[:space:]])ncp_attach([[:space:]]|$)' "$exported" "the library exports ncp_attach"
is "" "$(grep -v '^ncp_' <<<"$exported")" "and nothing that is not ncp_"
is "$(grep -oE '\bncp_[a-z0-9_]+ *;' "$map" | tr -d ' ;' | sort)" "$exported" \
	"exactly what its map lists"
# A declaration begins its line; comments that name a call do not.
declared=$(grep -oE '^(NCP_MUST_CHECK )?[a-z][a-z0-9_ *]*\bncp_[a-z0-9_]+\(' "$header" |
	grep -oE 'ncp_[a-z0-9_]+\(' | tr -d '(' | sort)
is "$declared" "$exported" "exactly what its header declares"

if [ -z "${SANITIZE:-}" ]; then
	is "libc.so.6" "$(readelf -d "$so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | xargs)" \
		"it needs libc and nothing else"
else
	# A sanitizer's run-time library comes on top.
	is "" "$(readelf -d "$so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' |
		grep -Ev '^lib(c|m|asan|ubsan|tsan|gcc_s|stdc\+\+)\.so')" \
		"it needs libc and the sanitizer, nothing else"
fi
