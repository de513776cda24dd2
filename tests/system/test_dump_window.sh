#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_dump_window.sh - from where, how far, which frames: by number, by time, by filter, live.
. tests/tap/tap.sh
plan 26

bus=$(bus_name window)
file=$TAP_DIR/x.pcapng

# dump ARG...: what frame_check finds in the file, and the summary's frames, filtered and lost.
dump()
{
	rm -f "$file"
	ncp-dump -i "$bus" -w "$file" --json "$@" 2>"$TAP_DIR/err" || { cat "$TAP_DIR/err"; return 1; }
	frame_check "$file" | sed 's/ duplicates=0 other=0//'
	tail -n 1 "$TAP_DIR/err" | python3 -c "import json,sys
s=json.loads(sys.stdin.readline())
assert all(w['frames'] + w['filtered'] + w['others'] + w['lost'] == w['next_seq'] - w['first_seq']
	for w in s['windows']), s
print(s['frames'], s['filtered'], s['lost'])"
}

fill()
{
	spawn producer ncp-producer "synth:count=50000,pps=100000,size=100,flows=4" -b "$bus" -m 64M --keep
	reap producer 20
	[ "$status" = 0 ]
}
run_step "a bus holds 50000 frames and has ended" fill

is "frames=50000 first=0 last=49999 holes=0
50000 0 0" "$(dump --snapshot)" "--snapshot saves all"
is "frames=50000 first=0 last=49999 holes=0
50000 0 0" "$(dump --from oldest)" "--from oldest leaves when the ended bus is drained"
is "frames=7 first=0 last=6 holes=0
7 0 0" "$(dump --from oldest -c 7)" "-c ends after so many frames"
is "frames=12345 first=20000 last=32344 holes=0
12345 0 0" "$(dump --from seq:20000 --to seq:32345)" "seq:N to seq:N is half open"
is "frames=10 first=20000 last=20009 holes=0
10 0 0" "$(dump --from seq:20000 -a packets:10)" "-a packets: counts likewise"
is "frames=1 first=49999 last=49999 holes=0
1 0 0" "$(dump --from seq:49999)" "the last frame can be had alone"

# The times are the file's own: frame 1000 to frame 3000.
times=$(dump --snapshot >/dev/null; tshark -r "$file" -T fields -e frame.time_epoch -Y 'frame.number == 1001 || frame.number == 3001')
is "frames=2001 first=1000 last=3000 holes=0
2001 0 0" "$(dump --from "@${times%%$'\n'*}" --to "@${times##*$'\n'}")" "TIME to TIME is exact to the frame, both ends in"
is "frames=2001 first=1000 last=3000 holes=0
2001 0 0" "$(dump --from "@${times%%$'\n'*}" --to "@${times##*$'\n'}" udp)" "with a filter too"
is "10001 0 0" "$(dump --from -0.1s | tail -n 1)" "-DURATION counts back from the newest frame of an ended bus"
dump --from -3600s >/dev/null
like "asked -3600.0 s, ring holds 0.5 s" "$(head -n 1 "$TAP_DIR/err")" "more past than there is, is said"
like '"from_missing_seconds":3599.5' "$(tail -n 1 "$TAP_DIR/err")" "and counted"

port=$(ncp-dump -i "$bus" --from oldest -c 1 -q | sed 's/.*\.\([0-9]*\) > .*/\1/')
dump --snapshot >/dev/null
want=$(tcpdump -nr "$file" "udp src port $port" 2>/dev/null | wc -l)
is "$want $((50000 - want)) 0" "$(dump --snapshot "udp src port $port" | tail -n 1)" \
	"a filter passes what it passes for tcpdump -r, the rest is filtered"
is "5 10 0" "$(dump --from oldest -c 5 -f "udp src port $port" | tail -n 1 | sed "s/ [0-9]* / 10 /")" \
	"-c counts what passes"
is "frames=0 first=0 last=0 holes=0
0 50000 0" "$(dump --snapshot tcp)" "a filter that nothing passes leaves an empty file"
is "50000 0 0" "$(dump --snapshot -s 60 | tail -n 1)" "-s keeps every frame"
is "60,100" "$(tshark -r "$file" -c 1 -T fields -E separator=, -e frame.cap_len -e frame.len)" "cut to N bytes, its length told"
is "0 50000 0" "$(dump --snapshot -Q out | tail -n 1)" "-Q leaves the other direction out"

same()
{
	dump --snapshot
	tshark -r "$file" -T fields -e frame.time_epoch -e frame.len -e data >"$TAP_DIR/straight"
	dump --snapshot udp
	tshark -r "$file" -T fields -e frame.time_epoch -e frame.len -e data | cmp - "$TAP_DIR/straight"
	dump --snapshot --writer pwrite --iobuf 64K
	tshark -r "$file" -T fields -e frame.time_epoch -e frame.len -e data | cmp - "$TAP_DIR/straight"
	ncp-dump -i "$bus" --snapshot -w - -q |
		tshark -r - -T fields -e frame.time_epoch -e frame.len -e data | cmp - "$TAP_DIR/straight"
}
run_step "straight, copied, by pwrite, to a pipe: the same frames, bytes and times" same

printed()
{
	[ "$(ncp-dump -i "$bus" --snapshot -q | wc -l)" = 50000 ]
	ncp-dump -i "$bus" --from seq:3 -c 1 -q | grep -Eq \
		'^[0-9:]{8}\.[0-9]{9} synth [0-9.]+ > [0-9.]+\.9 UDP 100$'
}
run_step "without -w there is a line for each frame" printed

# Live: signals, a duration, an idle bus.
live()
{
	ncp-producer --remove "$bus"
	spawn producer ncp-producer "synth:pps=5000,size=100" -b "$bus" -m 16M
	wait_for "ncp-dump -D | grep -q '$bus .live'" 5
}
run_step "a live bus" live
interrupt()
{
	rm -f "$file" # an earlier one would tell that this ncp-dump is under way
	spawn dump ncp-dump -i "$bus" -w "$file" --from oldest --json
	wait_for "[ \$(stat -c %s $file) -gt 500000 ]" 5
	kill -USR1 "${pid[dump]}"
	wait_for "grep -q 'frames, 0 filtered, 0 lost' $TAP_DIR/dump.err" 5
	published=$(ncp-stats -i "$bus" --once --json | sed 's/.*"next_seq":\([0-9]*\).*/\1/')
	stop dump INT 5
	[ "$status" = 0 ]
	frame_check "$file"
	[ "$(frame_check "$file" | sed 's/.*last=\([0-9]*\).*/\1/')" -ge $((published - 1)) ]
	tail -n 1 "$TAP_DIR/dump.err" | grep -q '"lost":0,'
}
run_step "SIGINT: all that was published by then is in the file" interrupt
twice()
{
	# A reader that does not read: the first signal cannot be answered.
	mkfifo "$TAP_DIR/stuck"
	exec 9<>"$TAP_DIR/stuck"
	spawn dump ncp-dump -i "$bus" -w "$TAP_DIR/stuck" --from oldest
	# Once the pipe is full, it waits in a write.
	wait_for "python3 -c 'import fcntl, struct, sys, termios
held = struct.unpack(\"i\", fcntl.ioctl(9, termios.FIONREAD, bytes(4)))[0]
sys.exit(held < 60000)'" 10
	kill -INT "${pid[dump]}"
	wait_for "grep -q '^ShdPnd:.0*$' /proc/${pid[dump]}/status" 5
	stop dump INT 2
	exec 9<&-
	[ "$status" = 1 ]
}
run_step "a second SIGINT ends at once" twice
duration()
{
	dump --from latest -a duration:0.5
	[ "$(tail -n 1 "$TAP_DIR/err" | sed 's/.*"frames":\([0-9]*\).*/\1/')" -gt 1500 ]
	[ "$(tail -n 1 "$TAP_DIR/err" | sed 's/.*"frames":\([0-9]*\).*/\1/')" -lt 4500 ]
}
run_step "-a duration: ends by itself" duration
until_time()
{
	dump --from latest --to "@$(date -d '+1 second' +%s.%N)"
	[ "$(tail -n 1 "$TAP_DIR/err" | sed 's/.*"frames":\([0-9]*\).*/\1/')" -gt 3000 ]
}
run_step "--to a time yet to come ends after it" until_time
replaced()
{
	spawn dump ncp-dump -i "$bus" -w "$file" --from latest --json
	wait_for "[ \$(stat -c %s $file) -gt 100000 ]" 5
	kill -KILL "${pid[producer]}"
	reap producer 5
	wait_for "grep -q 'producer to come back' $TAP_DIR/dump.err" 5
	spawn producer ncp-producer "synth:pps=5000,size=100" -b "$bus" -m 16M
	wait_for "grep -q ': live' $TAP_DIR/dump.err" 5
	kill -KILL "${pid[producer]}"
	reap producer 5
	spawn producer ncp-producer "synth:count=20000,pps=50000,size=100" -b "$bus" -m 32M
	reap producer 10
	reap dump 10
	[ "$status" = 0 ]
	cat "$TAP_DIR/dump.err"
	tail -n 1 "$TAP_DIR/dump.err" | python3 -c "import json,sys
s=json.loads(sys.stdin.readline())
assert s['reattached'] == 1 and s['lost'] == 0 and len(s['windows']) == 2, s
assert s['windows'][1]['frames'] == 20000 and s['windows'][1]['first_seq'] == 0, s
assert all(w['frames'] == w['next_seq'] - w['first_seq'] for w in s['windows']), s
open('$TAP_DIR/frames', 'w').write(str(s['frames']))"
	[ "$(tshark -r "$file" -T fields -e frame.number | wc -l)" = "$(cat "$TAP_DIR/frames")" ]
	[ "$(tcpdump -nr "$file" | wc -l)" = "$(cat "$TAP_DIR/frames")" ]
}
run_step "a producer killed, started again, then replaced: one file, two sections, no loss" replaced
