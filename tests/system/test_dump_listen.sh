#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_dump_listen.sh - PCAP-over-IP: several readers of one port, each with what it lost itself.
. tests/tap/tap.sh
plan 18

bus=$(bus_name listen)

# The port that a spawned ncp-dump was given.
port_of()
{
	wait_for "grep -q 'tcp-listen' $TAP_DIR/$1.err" 5
	port=$(grep -o '127\.0\.0\.1:[0-9]*' "$TAP_DIR/$1.err" | head -n 1)
	port=${port#*:}
	[ "$port" -gt 0 ]
}
# reader NAME: one that takes all there is into a file.
reader()
{
	spawn "$1" bash -c "exec cat </dev/tcp/127.0.0.1/$port >$TAP_DIR/$1.pcapng"
}
size_of() { stat -c %s "$TAP_DIR/$1.pcapng"; }

serving()
{
	spawn producer ncp-producer "synth:pps=5000,size=200" -b "$bus" -m 16M
	wait_for "ncp-dump -D | grep -q '$bus .live'" 5
	spawn server ncp-dump -i "$bus" -w tcp-listen:127.0.0.1:0 --json
	port_of server
}
run_step "a port is listened on" serving

unmodified()
{
	dumpcap -q -i "TCP@127.0.0.1:$port" -c 3000 -w "$TAP_DIR/dumpcap.pcapng"
	[ "$(capinfos -cTMr "$TAP_DIR/dumpcap.pcapng" | cut -f2)" -ge 3000 ]
	frame_check "$TAP_DIR/dumpcap.pcapng" | grep ' holes=0 duplicates=0'
}
run_step "an unmodified dumpcap reads it" unmodified
tshark_live()
{
	tshark -i "TCP@127.0.0.1:$port" -nlc 100 >"$TAP_DIR/tshark.out"
	[ "$(grep -c UDP "$TAP_DIR/tshark.out")" = 100 ]
}
run_step "tshark does, live" tshark_live
together()
{
	local r

	for r in a b c; do
		reader "$r"
	done
	for r in a b c; do
		wait_for "[ \$(size_of $r) -gt 2000000 ]" 20
	done
	# One leaves, the others go on.
	stop a KILL 5
	from=$(size_of b)
	wait_for "[ \$(size_of b) -gt $((from + 500000)) ]" 10
	wait_for "[ \$(grep -c '\"reader\":\"127' $TAP_DIR/server.err) -ge 3 ]" 10
}
run_step "three at once; one leaves, and the others go on" together
ended()
{
	stop server TERM 10
	[ "$status" = 0 ]
	reap b 5
	reap c 5
	for r in b c; do
		frame_check "$TAP_DIR/$r.pcapng"
		frame_check "$TAP_DIR/$r.pcapng" | grep ' holes=0 duplicates=0'
		tcpdump -nqr "$TAP_DIR/$r.pcapng" | tail -n 1
		capinfos -c "$TAP_DIR/$r.pcapng"
	done
	tail -n 1 "$TAP_DIR/server.err"
	! pgrep -f "$bus -w tcp-listen"
}
run_step "SIGTERM: all get what was published, whole files, and nobody is left" ended
is "True" "$(python3 -c "import json
lines = [json.loads(line) for line in open('$TAP_DIR/server.err')]
readers = [s for s in lines if 'reader' in s]
total = lines[-1]
print(len(readers) == 5 == total['readers'] and total['frames'] == sum(s['frames'] for s in readers) and
	total['lost'] == 0 and all(w['frames'] == w['next_seq'] - w['first_seq'] for s in readers for w in s['windows']))")" \
	"each has a summary of its own, and the last one is the sum"
stop producer INT 5

# --- one is slow ----------------------------------------------------------------------------------

gaps()
{
	python3 - "$1" <<'PY'
import struct, sys
b = open(sys.argv[1], 'rb').read()
off = frames = gap = 0
while off + 12 <= len(b):
	kind, n = struct.unpack_from('=II', b, off)
	if kind == 6: frames += 1
	if kind == 0x80006e63 and struct.unpack_from('=I', b, off + 12)[0] == 6:
		gap += struct.unpack_from('=Q', b, off + 32)[0] - struct.unpack_from('=Q', b, off + 64)[0]
	off += n
print(frames, gap)
PY
}
slow()
{
	# A ring that is lapped in three seconds; the slow one sleeps over more than that.
	spawn producer ncp-producer "synth:count=900000,pps=80000,size=200" -b "$bus" -m 64M --wait-clients 2
	wait_for "ncp-dump -D | grep -q '$bus '" 5
	spawn server ncp-dump -i "$bus" --from oldest -w tcp-listen:0 --json
	port_of server
	reader slow
	reader fast
	wait_for "[ \$(size_of slow) -gt 1000000 ]" 20
	kill -STOP "${pid[slow]}"
	from=$(size_of fast)
	wait_for "[ \$(size_of fast) -gt $((from + 130000000)) ]" 60
	kill -CONT "${pid[slow]}"
	reap server 60
	[ "$status" = 0 ]
	reap slow 5
	reap fast 5
	reap producer 5
	cat "$TAP_DIR/server.err"
}
run_step "one reader is stopped until it was lapped; the bus ends, and so does the server" slow
read -r slow_frames slow_gap < <(gaps "$TAP_DIR/slow.pcapng")
read -r fast_frames fast_gap < <(gaps "$TAP_DIR/fast.pcapng")
is "900000 900000" "$((slow_frames + slow_gap)) $((fast_frames + fast_gap))" \
	"what each has, and what its gap blocks say that it lost, is everything"
# On a busy machine the fast one may be lapped, too, but not by the other.
is yes "$([ "$slow_gap" -gt 30000 ] && [ "$fast_gap" -lt $((slow_gap / 4)) ] && echo yes)" \
	"the slow one has lost much, the other nothing by it"
is $((slow_gap + fast_gap)) "$(tail -n 1 "$TAP_DIR/server.err" | grep -o '"lost":[0-9]*' | cut -d: -f2)" \
	"as does the summary"
like "^[1-9]" "$(tcpdump -nqr "$TAP_DIR/slow.pcapng" 2>/dev/null | wc -l)" "tcpdump reads it"

# --- what it is told ------------------------------------------------------------------------------

snapshots()
{
	spawn producer ncp-producer "synth:count=5000,pps=1000000,size=200" -b "$bus" -m 16M --keep
	reap producer 5
	spawn server ncp-dump -i "$bus" --snapshot --format pcap -w tcp-listen:0 "udp src portrange 0-32767" --strict
	port_of server
	tcpdump -nr - </dev/tcp/127.0.0.1/"$port" >"$TAP_DIR/lines"
	cat </dev/tcp/127.0.0.1/"$port" | tcpdump -nr - | cmp - "$TAP_DIR/lines"
	want=$(ncp-dump -i "$bus" --snapshot -q "udp src portrange 0-32767" | wc -l)
	[ "$(wc -l <"$TAP_DIR/lines")" = "$want" ]
	stop server INT 5
	[ "$status" = 0 ]
	cat "$TAP_DIR/server.err"
	grep -q "^2 readers, 0 sent away; $((2 * want)) frames" "$TAP_DIR/server.err"
}
run_step "an ended bus: each reader has a snapshot, as a pcap, filtered" snapshots
crowd()
{
	local i fd fds=()

	ncp-producer --remove "$bus"
	spawn producer ncp-producer "synth:pps=10,size=100" -b "$bus" -m 16M
	wait_for "ncp-dump -D | grep -q '$bus .live'" 5
	spawn server ncp-dump -i "$bus" -w tcp-listen:0
	port_of server
	for ((i = 0; i < 33; i++)); do
		exec {fd}<>/dev/tcp/127.0.0.1/"$port"
		fds+=("$fd")
	done
	wait_for "grep -q 'there are 32 readers' $TAP_DIR/server.err" 10
	# The last one is at its end at once; the first is not.
	[ -z "$(timeout 5 cat <&"${fds[32]}")" ]
	[ "$(head -c 4 <&"${fds[0]}" | od -An -tx1)" = " 0a 0d 0d 0a" ]
	for fd in "${fds[@]}"; do
		exec {fd}>&-
	done
	stop server TERM 10
	[ "$status" = 0 ]
	stop producer INT 5
}
run_step "no more than 32 at a time" crowd
deaf()
{
	# One that never reads, and more than the socket takes: it is left after two seconds.
	spawn producer ncp-producer "synth:pps=100000,size=1000" -b "$bus" -m 16M
	wait_for "ncp-dump -D | grep -q '$bus .live'" 5
	spawn server ncp-dump -i "$bus" -w tcp-listen:0
	port_of server
	exec 7<>/dev/tcp/127.0.0.1/"$port"
	# In write(), whose number is 1 or, on arm64, 64.
	child=$(wait_for "pgrep -P ${pid[server]}" 5; pgrep -P "${pid[server]}")
	wait_for "grep -q '^State:.S' /proc/$child/status && grep -Eq '^(1|64) ' /proc/$child/syscall" 20
	stop server TERM 10
	exec 7<&-
	[ "$status" = 0 ]
	grep -q 'it did not read any more' "$TAP_DIR/server.err"
	tap_runs "$child" && return 1
	stop producer INT 5
}
run_step "one that never reads does not hold up the end" deaf

is 2 "$(ncp-dump -w tcp-listen:0.0.0.0:0 2>"$TAP_DIR/err"; echo $?)" "an address that others reach is refused"
like "others than this host.*--allow-remote" "$(cat "$TAP_DIR/err")" "with what to do"
is "2 2" "$(ncp-dump -w tcp-listen:host:x 2>/dev/null; echo $?) $(ncp-dump -w tcp-listen:1 --reliable 2>/dev/null; echo $?)" \
	"so are a bad address, and --reliable"
taken()
{
	spawn producer ncp-producer "synth:pps=1000,size=100" -b "$bus" -m 16M
	wait_for "ncp-dump -D | grep -q '$bus .live'" 5
	spawn server ncp-dump -i "$bus" -w tcp-listen:0.0.0.0:0 --allow-remote
	wait_for "grep -q 0.0.0.0: $TAP_DIR/server.err" 5
	port=$(grep -o '0\.0\.0\.0:[0-9]*' "$TAP_DIR/server.err" | cut -d: -f2)
	status=0
	ncp-dump -i "$bus" -w "tcp-listen:$port" 2>"$TAP_DIR/err" || status=$?
	cat "$TAP_DIR/err"
	[ "$status" = 1 ]
	grep -q 'Address already in use: name another port' "$TAP_DIR/err"
	status=0
	ncp-dump -i "$bus" -w tcp-listen:0 'no such filter' 2>"$TAP_DIR/err" || status=$?
	[ "$status" = 2 ]
	stop server INT 5
	stop producer INT 5
}
run_step "a port that is taken, and a filter that is none, are said at the start" taken
