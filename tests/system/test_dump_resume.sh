#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_dump_resume.sh - ncp-dump killed at any moment goes on where it was: each frame once.
. tests/tap/tap.sh
. tests/system/lib.sh
plan 12

bus=$(bus_name resume)
state=$TAP_DIR/state
file=$TAP_DIR/x.pcapng

dump()
{
	spawn dump ncp-dump -i "$bus" -w "$file" --from oldest --resume "$state" --json "$@"
}

# The ring holds them all: whoever comes back late, on a busy machine, is still not lapped.
kills_and_resumes()
{
	local i

	spawn producer ncp-producer "synth:count=300000,pps=50000,size=300" -b "$bus" -m 128M \
		--wait-clients 1 --keep
	wait_for "ncp-dump -D | grep -q '$bus '" 5
	for i in '' 1 2 3 4; do
		dump
		# Somewhere in its file: not at the same place each time.
		wait_for "[ \$(stat -c %s '$file$i') -gt $((RANDOM * 50)) ]" 10
		kill -KILL "${pid[dump]}"
		reap dump 5
	done
	dump
	reap dump 20
	[ "$status" = 0 ]
	reap producer 5
}
run_step "it is killed five times while frames come" kills_and_resumes
is "frames=300000 first=0 last=299999 holes=0 duplicates=0 other=0" \
	"$(frame_check $(series "$file"))" "over all files each frame is there once"
is 6 "$(series "$file" | wc -l)" "each run has a file of its own"
whole()
{
	local f

	for f in $(series "$file"); do
		capinfos -c "$f"
		tcpdump -nr "$f" -w /dev/null
	done
}
run_step "capinfos and tcpdump read each file to its end" whole
like "^ncp-dump-state 1.*seq 300000.*file $file""5" "$(tr '\n' ' ' <"$state")" \
	"the state names the last file and the next frame"
is "$(stat -c %s "${file}5")" "$(sed -n 's/^length //p' "$state")" "and its whole length"

again()
{
	ncp-dump -i "$bus" -w "$file" --resume "$state"
	[ "$(series "$file" | wc -l)" = 7 ]
	frame_check $(series "$file")
}
run_step "another run has nothing to add, and overwrites nothing" again

# What the state does not cover is cut off; the file before it is touched by nobody.
cut_back()
{
	cp "${file}5" "$TAP_DIR/before"
	sed -i "s|^file .*|file ${file}5|; s|^length .*|length $(stat -c %s "${file}5")|" "$state"
	head -c 12345 /dev/urandom >>"${file}5"
	ncp-dump -i "$bus" -w "$file" --resume "$state" -q
	cmp "${file}5" "$TAP_DIR/before"
}
run_step "unfinished bytes behind the state's length are cut off" cut_back

other_bus()
{
	sed -i "s/^bus .*/bus other/" "$state"
	! ncp-dump -i "$bus" -w "$file" --resume "$state"
}
run_step "the state of another bus is refused" other_bus

# Replaced once while nobody watched: how many frames that cost is known.
rm -f "$state" "$file"*
replaced()
{
	ncp-producer --remove "$bus"
	spawn producer ncp-producer "synth:count=3000,pps=20000" -b "$bus" -m 8M --keep
	wait_for "ncp-dump -D | grep -q '$bus '" 5
	dump -c 1000
	reap dump 10
	[ "$status" = 0 ]
	reap producer 10
	spawn producer ncp-producer "synth:count=500,pps=20000" -b "$bus" -m 16M --keep
	reap producer 10
	dump
	reap dump 10
	[ "$status" = 0 ]
}
run_step "the bus is replaced between two runs" replaced
is "[(1000, 3000, 0, 2000, [[1000, 3000]]), (0, 500, 500, 0, [])]" \
	"$(tail -n 1 "$TAP_DIR/dump.err" | python3 -c "import json,sys
print([(w['first_seq'], w['next_seq'], w['frames'], w['lost'], w['lost_ranges'])
	for w in json.load(sys.stdin)['windows']])")" \
	"what was lost with the old one is counted, the new one is whole"
is "frames=500 first=0 last=499 holes=0 duplicates=0 other=0 gapped=2000" \
	"$(frame_check "${file}1")" "and in the next file, behind a gap block"
