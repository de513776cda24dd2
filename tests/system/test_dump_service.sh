#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_dump_service.sh - what ncp-dump@.service runs: killed and started again, each frame once.
. tests/tap/tap.sh
plan 4

bus=$(bus_name service)
dir=$TAP_DIR/lib

# The command of the unit, with systemd's specifiers and variables replaced as it would.
command=$(sed -n '/^ExecStart=/,/[^\\]$/p' 'doc/systemd/ncp-dump@.service.in' | sed 's/^ExecStart=//; s/\\$//' |
	tr -d '\n' | sed "s|@BINDIR@/||; s|%i|$bus|g; s|/var/lib/ncp|$dir|g; s|\$NCP_OPTIONS|-q --from oldest|")
like "^ncp-dump -i $bus -w $dir/$bus.pcapng .*--resume .*--wait .*--quota" "$command" "the unit's command"

begin()
{
	mkdir "$dir"
	# shellcheck disable=SC2086 # a command line
	spawn dump $command
	spawn producer ncp-producer "synth:count=200000,pps=100000,size=300" -b "$bus" -m 64M \
		--wait-clients 1 --keep
	wait_for "[ \$(cat $dir/$bus.pcapng* | wc -c) -gt 10000000 ]" 10
	kill -KILL "${pid[dump]}"
	reap dump 5
}
run_step "started before its bus, then killed while frames come" begin
again()
{
	# shellcheck disable=SC2086
	spawn dump $command
	reap dump 20
	[ "$status" = 0 ]
	reap producer 5
}
run_step "started again, it ends with the bus" again
is "frames=200000 first=0 last=199999 holes=0 duplicates=0 other=0" \
	"$(frame_check "$dir/$bus.pcapng" "$dir/$bus.pcapng"[0-9])" "over all files each frame is there once"
