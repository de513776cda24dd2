#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_symbols.sh - the package's list of symbols is the library's.
. tests/tap/tap.sh
plan 2

list=doc/debian/libncpbus0.symbols
is "$(grep -oE '\bncp_[a-z0-9_]+ *;' libncpbus/ncpbus.map | tr -d ' ;' | sort)" \
	"$(sed -n 's/^ \(ncp_[a-z0-9_]*\)@NCPBUS_0 .*/\1/p' "$list" | sort)" \
	"each exported call has its line, and no other"
is "$(readelf -d "$NCP_BUILD/lib/libncpbus.so.0" | sed -n 's/.*soname: \[\(.*\)\]/\1/p') libncpbus0" \
	"$(sed -n '1s/ #MINVER#//p' "$list")" "its library is what is built"
