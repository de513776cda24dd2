#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_terminal.sh - ncp-dump on a terminal: a status line, a real Ctrl-C; nothing of it in a pipe.
. tests/tap/tap.sh
plan 6

bus=$(bus_name terminal)
export TERM=xterm
erase=$'\r\033[K'

begin()
{
	spawn producer ncp-producer "synth:pps=5000,size=200" -b "$bus" -m 8M
	wait_for "ncp-dump -D | grep -q '$bus .live'" 5
}
run_step "a live bus" begin

line='[0-9]+ frames, [0-9.]+ [kM]B, [0-9.]+ [kM]B/s, 0 lost, [0-9.]+ k?B to the disk, [0-9.]+ s behind, overrun in [0-9.]+ s'
shows()
{
	spawn page terminal 24 130 ncp-dump -i "$bus" -w "$TAP_DIR/x.pcapng"
	wait_for "grep -Eq '$line' $TAP_DIR/page.out" 10
	stop page INT 10
	[ "$status" = 0 ]
}
run_step "a line is shown; a Ctrl-C ends it in order" shows
like "$erase[0-9]+ frames written, 0 filtered, 0 lost" "$(tail -n 1 "$TAP_DIR/page.out")" \
	"the summary takes its place"
note()
{
	# A message in between has a row of its own.
	spawn page terminal 24 130 ncp-dump -i "$bus" -w "$TAP_DIR/x.pcapng"
	wait_for "grep -Eq '$line' $TAP_DIR/page.out" 10
	kill -USR1 "$(pgrep -P "${pid[page]}")"
	wait_for "tr '\r' '\n' <$TAP_DIR/page.out | grep -q '^.\[Kncp-dump: bus $bus: [0-9]* frames'" 5
	stop page INT 10
	[ "$status" = 0 ]
}
run_step "a message erases it first" note
narrow()
{
	spawn page terminal 24 30 ncp-dump -i "$bus" -w "$TAP_DIR/x.pcapng"
	wait_for "[ \$(tr '\r' '\n' <$TAP_DIR/page.out | grep -c 'frames, ') -gt 2 ]" 10
	stop page INT 10
	! tr '\r' '\n' <"$TAP_DIR/page.out" | grep 'frames, ' | sed 's/\x1b\[K//; s/\^C//' | grep -E '.{30}'
}
run_step "it keeps within the width of the terminal" narrow
piped()
{
	spawn dump ncp-dump -i "$bus" -w "$TAP_DIR/x.pcapng" -a duration:1.2
	reap dump 10
	cat "$TAP_DIR/dump.err"
	[ "$(wc -l <"$TAP_DIR/dump.err")" = 1 ]
	! grep -q $'\033' "$TAP_DIR/dump.err"
	spawn page terminal 24 130 ncp-dump -i "$bus" -w "$TAP_DIR/x.pcapng" -a duration:1.2 -q
	reap page 10
	od -c "$TAP_DIR/page.out"
	[ ! -s "$TAP_DIR/page.out" ]
}
run_step "nothing of it in a file, nor with -q" piped
