#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_dump_trigger.sh - what was around a match, from the ring's past on, again and again.
. tests/tap/tap.sh
plan 17

bus=$(bus_name trigger)
out=$TAP_DIR/out
mkdir "$out"

# fails REGEX ARG...: a usage error.
fails()
{
	local text status

	text=$(ncp-dump -i "$bus" "${@:2}" 2>&1 >/dev/null)
	status=$?
	like "^2 ncp-dump: .*$1" "$status $text" "refused: ${*:2}"
}
fails "no name" --trigger tcp
fails "no --trigger" --before 5s -w x
fails "it decides itself" --trigger tcp --from oldest -w x
fails "not N/DURATION" --trigger tcp --trigger-limit 5 -w x

# 2000 frames a second, 0.5 ms apart.  The ports of a frame follow from its number.
begin()
{
	spawn producer ncp-producer "synth:pps=2000,size=200,flows=16" -b "$bus" -m "$1"
	wait_for "ncp-dump -D | grep -q '$bus .live'" 5
	spawn dump ncp-dump -i "$bus" -w "$out/x.pcapng" --json "${@:2}"
	wait_for "ncp-stats -i $bus --once --json | grep -q '\"name\":\"ncp-dump\"'" 5
}
end()
{
	stop dump INT 10
	[ "$status" = 0 ]
	stop producer TERM 5
	cat "$TAP_DIR/dump.err"
}
# The numbers of the frames that match: a big-endian number behind the UDP header.
number()
{
	echo "(udp[8:4] == 0 and udp[12:4] == $1)"
}

around()
{
	begin 8M --trigger "$(number 4000) or $(number 9000)" --before 0.5s --after 0.25s
	wait_for "[ \$(ls $out | wc -l) = 2 ]" 15
	wait_for "[ \$(grep -c '\"trigger\"' $TAP_DIR/dump.err) = 2 ]" 15
	end
}
run_step "two frames match, while 2000 a second pass" around
files=("$out"/*)
like '/x_00001_[0-9]{14}.pcapng .*/x_00002_[0-9]{14}.pcapng$' "${files[*]}" "each has a file, named by number and time"
# spans FILE NUMBER BEFORE AFTER: it has the frames of BEFORE s before that number to AFTER s behind it.
spans()
{
	local times

	[[ $(frame_check "$1") =~ first=([0-9]+)\ last=([0-9]+)\ holes=0\ duplicates=0\ other=0$ ]]
	echo "${BASH_REMATCH[0]}"
	times=$(tshark -r "$1" -T fields -e frame.time_epoch | awk -v n=$(($2 - BASH_REMATCH[1])) \
		'NR == 1 { first = $1 } NR == n + 1 { at = $1 } { last = $1 } END { printf "%.3f %.3f\n", at - first, last - at }')
	echo "$times"
	# Within two of its frames.
	awk -v b="$3" -v a="$4" '{ exit !($1 <= b && $1 > b - 0.01 && $2 <= a && $2 > a - 0.01) }' <<<"$times"
}
exact()
{
	spans "${files[0]}" 4000 0.5 0.25
	spans "${files[1]}" 9000 0.5 0.25
}
run_step "from so long before to so long after, each frame once" exact
told()
{
	python3 - "$TAP_DIR/dump.err" "${files[@]}" <<'PY'
import json, os, sys
lines = [json.loads(l) for l in open(sys.argv[1])]
recs = [l for l in lines if 'trigger' in l]
assert [r['file'] for r in recs] == sys.argv[2:], recs
assert all(r['status'] == 0 and r['lost'] == 0 and r['bytes'] == os.stat(r['file']).st_size for r in recs)
s = lines[-1]
assert s['matches'] == 2 and s['suppressed'] == 0 and s['files'] == 2 and s['missed'] == 0, s
assert s['frames'] == sum(r['frames'] for r in recs) and s['from_missing_seconds'] == 0, s
PY
}
run_step "and told so" told

# Each match moves the end on: 4000, 4400, 4800 are 0.2 s apart.
longer()
{
	rm -f "$out"/*
	begin 8M --trigger "$(number 4000) or $(number 4400) or $(number 4800)" --before 0.1 --after 0.3
	wait_for "grep -q '\"trigger\"' $TAP_DIR/dump.err" 15
	end
	files=("$out"/*)
	[ "${#files[@]}" = 1 ]
	spans "${files[0]}" 4800 0.5 0.3
	tail -n 1 "$TAP_DIR/dump.err" | grep '"matches":3,"suppressed":0,.*"files":1,'
}
run_step "matches that follow each other make one file longer" longer

limited()
{
	rm -f "$out"/*
	# Every 1024th frame, for longer than it is saved.
	begin 8M --trigger "udp[14:2] & 0x3ff == 0" --before 10ms --after 10ms --trigger-limit 3/1h
	wait_for "grep -q 'only counted now' $TAP_DIR/dump.err" 15
	end
	[ "$(ls "$out" | wc -l)" = 3 ]
	tail -n 1 "$TAP_DIR/dump.err" | grep -E '"suppressed":[1-9][0-9]*,.*"files":3,'
}
run_step "no more files than the limit allows, and what else matched is counted" limited

# The ring holds 256 KiB, half a second: a reader that has to wait for its turn is not lapped.
short()
{
	rm -f "$out"/*
	begin 256K --trigger "$(number 6000)" --before 5s --after 100ms
	wait_for "grep -q '\"trigger\"' $TAP_DIR/dump.err" 15
	end
	grep '"trigger"' "$TAP_DIR/dump.err" | grep -E '"from_missing_seconds":4\.[0-9]'
	[[ $(frame_check "$out"/*) =~ holes=0\ duplicates=0 ]]
	# Also beforehand, once the ring has been filled.
	begin 256K -q --trigger tcp
	wait_for "[ \$(ncp-stats -i $bus --once --json | sed 's/.*\"next_seq\":\([0-9]*\).*/\1/') -gt 2000 ]" 10
	spawn again ncp-dump -i "$bus" -w "$out/y" --trigger tcp
	wait_for "grep -q 'asked for 30.0 s before, the ring holds 0' $TAP_DIR/again.err" 5
	stop again INT 5
	end
}
run_step "more past than the ring holds is said" short

names()
{
	rm -f "$out"/*
	begin 8M --trigger "udp[14:2] & 0x3ff == 0" --before 1ms --after 1ms -w "$out/%Y.pcapng" 'udp src port 1'
	wait_for "[ \$(grep -c '\"trigger\"' $TAP_DIR/dump.err) -ge 3 ]" 15
	end
	[ -e "$out/$(date +%Y).pcapng" ]
	[ -e "$out/$(date +%Y).pcapng2" ]
	frame_check "$out/$(date +%Y).pcapng" | grep '^frames=0 .*other=0$'
}
run_step "names by time, nothing overwritten, and only what the filter lets through" names

# A recorder that fails is no end of the watch; the exit status tells.
full()
{
	rm -f "$out"/*
	begin 8M --trigger "udp[14:2] & 0x3ff == 0" --before 1ms --after 1ms -w "$out/none/x.pcapng"
	wait_for "[ \$(grep -c '\"trigger\"' $TAP_DIR/dump.err) -ge 2 ]" 15
	grep -q 'No such file or directory' "$TAP_DIR/dump.err"
	stop dump INT 10
	[ "$status" = 1 ]
	stop producer TERM 5
}
run_step "a recording that fails ends no other one, and makes the status 1" full

ended()
{
	spawn producer ncp-producer "synth:count=3000,pps=10000,size=200" -b "$bus" -m 8M --wait-clients 1
	wait_for "ncp-dump -D | grep -q '$bus '" 5
	spawn dump ncp-dump -i "$bus" -w "$out/e.pcapng" --trigger "$(number 2000)" --before 1h --after 1h
	reap dump 15
	reap producer 5
	cat "$TAP_DIR/dump.err"
	[ "$status" = 0 ]
	[[ $(frame_check "$out"/e_*) =~ frames=3000\ first=0\ last=2999 ]]
	grep -q '^1 matches, 0 of them not saved, 0 frames not looked at; 3000 frames' "$TAP_DIR/dump.err"
}
run_step "where the bus ends, the recording does, with all of it" ended

fails "not one series" --trigger tcp -w x --split-interfaces --quota 1M
# The oldest recordings make room for new ones, also those of an earlier run; what is no recording stays.
quota()
{
	local run

	rm -f "$out"/*
	echo precious >"$out/x_00001_20010101000000.pcapng"
	for run in 1 2; do
		begin 8M --trigger "udp[14:2] & 0x1ff == 0" --before 0.4s --after 50ms --quota 1M \
			--trigger-limit 1000/1s -q
		# Some 200 kB each: the first is gone when the seventh begins.
		wait_for "ls $out | grep -q x_00007" 15
		while tap_runs "${pid[dump]}" && ! ls "$out" | grep -q x_00009; do
			# One that goes after it was counted here is one too many.
			find "$out" -name "x_*" -printf "%s\n" | awk '{ n += $1 } END { exit n > 1300000 }'
		done
		end
		ls -l "$out"
		! ls "$out" | grep -q "x_00001_20[^0]"
		find "$out" -name "x_*" -printf "%s\n" | awk '{ n += $1 } END { exit n > 1048576 || n < 600000 }'
		for f in "$out"/x_*[0-9].pcapng; do
			[ "${f##*/}" = x_00001_20010101000000.pcapng ] ||
				[[ $(frame_check "$f") =~ holes=0\ duplicates=0\ other=0 ]]
		done
	done
	[ "$(cat "$out/x_00001_20010101000000.pcapng")" = precious ]
}
run_step "--quota holds over the recordings of all runs" quota
too_large()
{
	rm -f "$out"/*
	begin 8M --trigger "$(number 6000)" --before 1h --after 1h --quota 1M
	wait_for "grep -q '\"trigger\"' $TAP_DIR/dump.err" 15
	stop dump INT 10
	cat "$TAP_DIR/dump.err"
	[ "$status" = 1 ]
	stop producer TERM 5
	grep -- "--quota: it is full, and there is no older file to delete: [1-9][0-9]* frames" "$TAP_DIR/dump.err"
	[ "$(stat -c %s "$out"/x_*)" -le 1048576 ]
	[[ $(frame_check "$out"/x_*) =~ holes=0\ duplicates=0\ other=0 ]]
}
run_step "one that is larger than that ends there, whole, and the status is 1" too_large
