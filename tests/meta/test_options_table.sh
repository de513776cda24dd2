#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_options_table.sh - doc/options.md has a row for each option of tcpdump and dumpcap.
. tests/tap/tap.sh
plan 3

# without PROGRAM: its options that the section of that name does not mention.
without()
{
	local section option

	section=$(sed -n "/^## $1\$/,/^## [^$]*\$/p" doc/options.md | sed -n '/^## '"$1"'$/,/^## /{ /^|/p }' |
		cut -d '|' -f 2)
	while read -r option; do
		grep -qE -- "\`$option[\` ]" <<<"$section" || echo "$option"
	done
}
# tcpdump shows its letters in brackets, all that take nothing as one word.
tcpdump_options()
{
	tcpdump --help 2>&1 | sed -n '/^Usage/,$p' | tr -d '\n\t' | tr '[]|' '\n\n\n' | sed 's/^ *//' |
		while read -r word _; do
			case $word in
			-??*#) sed 's/^-//; s/#//; s/./-&\n/g' <<<"$word" ;;
			-?*) echo "$word" ;;
			esac
		done | grep .
}
dumpcap_options()
{
	dumpcap --help 2>&1 | sed -n '/^Usage/,/^Dumpcap can/p' | grep -oE '^  -[A-Za-z-]+|, --[a-z-]+' |
		sed 's/^[ ,]*//' | sort -u
}
is "" "$(tcpdump_options | sort -u | without tcpdump)" "each of tcpdump's"
is "" "$(dumpcap_options | without dumpcap)" "each of dumpcap's"
like '(-A.*)?-c.*-w' "$(tcpdump_options | tr '\n' ' ')$(dumpcap_options | tr '\n' ' ')" "and these were found"
