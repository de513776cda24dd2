#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_readme.sh - what README.md and ncp(7) name is there: files, targets, options of our programs.
. tests/tap/tap.sh
plan 5

is "" "$(grep -oE '`(tests|doc)/[A-Za-z0-9_./-]+' README.md | tr -d '`' | sed 's/^tests\/util.*//' |
	while read -r path; do [ -e "${path:-.}" ] || echo "$path"; done)" "each file that README.md names"
is "" "$(grep -oE '\]\([^)]+\)' README.md | tr -d '])(' | while read -r path; do
	[ -e "$path" ] || echo "$path"; done)" "each link"
is "" "$(grep -oE 'make [a-z][a-z-]+`' README.md | tr -d '`' | sort -u | while read -r _ target; do
	grep -qE "^([a-z-]+ )*$target( [a-z-]+)*:" Makefile || echo "$target"; done)" "each target"

# unknown FILE: options that a command line of one of our programs has in it, and the program has not.
unknown()
{
	grep -oE '\bncp-(producer|dump|stats|run) [^`]*' "$1" | sed -e 's/\\-/-/g' -e 's/\\[|].*//' \
		-e 's/ |.*//' | while read -r program words; do
		[ "$program" != ncp-run ] || words=${words%%tcpdump*}
		for word in $words; do
			[[ $word =~ ^(-[a-zA-Z]|--[a-z-]+)$ ]] || continue
			"$program" --help | grep -qE -e "^  (-., |    )?$word([ ,=[]|\$)" ||
				echo "$program $word"
		done
	done | sort -u
}
is "" "$(unknown README.md)" "each option in a command of README.md"
is "" "$(unknown doc/man/ncp.7)" "and of ncp(7)"
