#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_debian.sh - the packages' lists are true: symbols, and which package has which file.
. tests/tap/tap.sh
plan 3

list=doc/debian/libncpbus0.symbols
is "$(grep -oE '\bncp_[a-z0-9_]+ *;' libncpbus/ncpbus.map | tr -d ' ;' | sort)" \
	"$(sed -n 's/^ \(ncp_[a-z0-9_]*\)@NCPBUS_0 .*/\1/p' "$list" | sort)" \
	"each exported call has its line, and no other"
is "$(readelf -d "$NCP_BUILD/lib/libncpbus.so.0" | sed -n 's/.*soname: \[\(.*\)\]/\1/p') libncpbus0" \
	"$(sed -n '1s/ #MINVER#//p' "$list")" "its library is what is built"

# What make install lays out, each file in one package.
make -s BUILD="$NCP_BUILD" DESTDIR="$TAP_DIR/dest" PREFIX=/usr LIBDIR=/usr/lib/triplet \
	EXTCAPDIR=/usr/lib/triplet/wireshark/extcap install >/dev/null 2>&1
is "" "$(cd "$TAP_DIR/dest" && find . ! -type d -printf '%P\n' | while read -r file; do
	n=0
	for pattern in $(cat "$OLDPWD"/doc/debian/*.install); do
		# shellcheck disable=SC2053 # a pattern
		[[ $file == $pattern || $file == $pattern/* ]] && n=$((n + 1))
	done
	[ "$n" = 1 ] || echo "$n $file"
done)" "each installed file is in one package"
