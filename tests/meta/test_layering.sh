#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_layering.sh - each component includes only what the arrows of doc/style.md allow.
. tests/tap/tap.sh
plan 37

# violations TREE: a line for each #include that breaks a rule.
violations()
{
	find "$1"/{producer,libncpbus,clients,tests} -name '*.[ch]' 2>/dev/null | while read -r file; do
		awk -v file="${file#"$1"/}" -v folder="$(dirname "$file")" '
		# What stands in the including file itself or beside it.
		function beside(name) { return (getline line < (folder "/" name)) >= 0 }
		function bad(why) { print file ":" FNR ": " why ": " $0 }
		/^[ \t]*#[ \t]*include/ {
			if (!match($0, /[<"][^>"]*[>"]/)) {
				bad("not plain")
				next
			}
			name = substr($0, RSTART + 1, RLENGTH - 2)
			quoted = substr($0, RSTART, 1) == "\""
			split(file, part, "/")
			own = part[1] == "clients" ? part[1] "/" part[2] : part[1]
			util = file ~ /^libncpbus\/util\//

			if (name ~ /(^|\/)\.\.(\/|$)/)
				bad("leaves its folder by ..")
			else if (name ~ /^pcap(\/|\.h|-)/ && own != "tests" &&
				 file !~ /^producer\/(source_pcap|source_file|compile|linktype)\.c$/ &&
				 own != "clients/pcap-shim")
				bad("libpcap outside its files")
			else if (name ~ /^seccomp\.h$/ && own != "tests" && file != "producer/privs.c")
				bad("libseccomp outside privs.c")
			else if (name ~ /^liburing(\/|\.h)/ && own != "tests" &&
				 file != "clients/ncp-dump/out_uring.c")
				bad("liburing outside out_uring.c")
			else if (name ~ /^zstd/ && own != "tests" && file != "clients/ncp-dump/coder_zstd.c")
				bad("libzstd outside coder_zstd.c")
			else if (name ~ /^lz4/ && own != "tests" && file != "clients/ncp-dump/coder_lz4.c")
				bad("liblz4 outside coder_lz4.c")
			else if (name ~ /^microhttpd/ && own != "tests" &&
				 file != "clients/ncp-stats/serve.c")
				bad("libmicrohttpd outside serve.c")
			else if (name ~ /^(n?curses|term)\.h$|^ncursesw?\// && own != "tests" &&
				 file != "clients/ncp-stats/screen.c")
				bad("ncurses outside screen.c")
			else if (name ~ /^sodium/ && own != "tests")
				bad("libsodium outside the tests")
			else if (!quoted && name !~ /^ncpbus\.h$/)
				next # libc, kernel headers, the libraries above
			else if (own == "tests")
				next
			else if (util) {
				if (name !~ /^util\// && (!quoted || !beside(name)))
					bad("util includes libc and util")
			} else if (own == "libncpbus") {
				if (name != "ncpbus.h" && (name !~ /^libncpbus\// || name ~ /^libncpbus\/util\//) &&
				    (name ~ /\// || !beside(name)))
					bad("the library includes libc and itself")
			} else if (own == "producer") {
				if (name != "ncpbus.h" && name !~ /^(libncpbus|util|producer)\// &&
				    (name ~ /\// || !beside(name)))
					bad("the producer includes libncpbus, util and itself")
			} else if (name == "ncpbus.h" ? quoted : name !~ /^util\// &&
				   (name ~ /\// || !beside(name)))
				bad("a client includes <ncpbus.h>, util and itself")
		}' "$file"
	done
}

# Proves that a rule is one: FILE with the line INCLUDE in a tree of its own.
verdict()
{
	local tree=$TAP_DIR/tree

	rm -rf "$tree"
	mkdir -p "$tree/$(dirname "$1")"
	: >"$tree/$(dirname "$1")/beside.h"
	printf '/* first line */\n%s\n' "$2" >"$tree/$1"
	if [ -z "$(violations "$tree")" ]; then echo allowed; else echo refused; fi
}

while read -r want file include; do
	is "$want" "$(verdict "$file" "#include $include")" "$file: $include is $want"
done <<'END'
allowed libncpbus/reader.c       <stdint.h>
allowed libncpbus/reader.c       "libncpbus/layout.h"
allowed libncpbus/reader.c       "beside.h"
refused libncpbus/reader.c       "util/json.h"
refused libncpbus/reader.c       "libncpbus/util/json.h"
refused libncpbus/reader.c       "producer/worker.h"
refused libncpbus/filter.c       <pcap/pcap.h>
refused libncpbus/reader.c       "../producer/worker.h"
allowed libncpbus/util/json.c    "util/escape.h"
refused libncpbus/util/json.c    "libncpbus/layout.h"
refused libncpbus/util/json.c    <ncpbus.h>
allowed producer/worker.c        "libncpbus/writer.h"
allowed producer/source_file.c   <pcap/pcap.h>
refused producer/worker.c        <pcap.h>
refused producer/worker.c        "clients/ncp-dump/options.h"
refused producer/worker.c        "tap/tap.h"
refused producer/worker.c        <seccomp.h>
allowed clients/ncp-x/main.c     <ncpbus.h>
allowed clients/ncp-x/main.c     "util/options.h"
allowed clients/ncp-x/main.c     "beside.h"
refused clients/ncp-x/main.c     "libncpbus/layout.h"
refused clients/ncp-x/main.c     "clients/ncp-y/capfile.h"
refused clients/ncp-x/main.c     <liburing.h>
refused clients/ncp-x/main.c     <pcap/pcap.h>
allowed clients/pcap-shim/read.c <pcap/pcap.h>
allowed clients/ncp-dump/out_uring.c <liburing.h>
refused clients/ncp-dump/main.c  <zstd.h>
refused clients/ncp-dump/main.c  <lz4frame.h>
refused clients/ncp-stats/main.c <microhttpd.h>
refused clients/ncp-stats/view.c <curses.h>
allowed clients/ncp-stats/screen.c <curses.h>
allowed clients/ncp-dump/coder_lz4.c <lz4frame.h>
refused clients/ncp-x/main.c     <sodium.h>
refused clients/ncp-x/main.c     HEADER
allowed tests/libncpbus/test_x.c <sodium.h>
allowed tests/libncpbus/test_x.c "libncpbus/layout.h"
END

is "" "$(violations .)" "no #include of this tree breaks a rule"
