#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# loopback.sh - the test of the program that ncp is named after: what a capture of lo costs senders.
#
# tests/bench/loopback.sh [RUNS [FRAMES]]: ten raw sockets send small UDP datagrams over a loopback
# interface, FRAMES in all: without a capture, with ncp and one client, with tcpdump, by turns.  Prints
# the time that a capture adds to a frame, and what share of the frames it got.
. tests/bench/lib.sh
runs=${1:-5} frames=${2:-600000}
bus=$(bus_name bench)
netns_make lo
each=$((frames / 10))
frames=$((each * 10))

# Somebody has the port, so that nobody answers; he never reads.
spawn_in lo sink python3 -c 'import signal, socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
s.bind(("127.0.0.1", 9))
print("bound", flush=True)
signal.pause()'
wait_for "grep -q bound $TAP_DIR/sink.out" 10

# senders: sets $elapsed_ns.
senders()
{
	local start i name

	start=$(now_ns)
	for ((i = 0; i < 10; i++)); do spawn_in lo "send$i" "$NCP_BUILD/tests/bench/raw_send" "$each" 9; done
	for ((i = 0; i < 10; i++)); do wait "${pid[send$i]}"; done
	elapsed_ns=$(($(now_ns) - start))
	for ((i = 0; i < 10; i++)); do name=send$i; unset "pid[$name]"; done
}

for ((run = 0; run < runs; run++)); do
	senders
	base=$elapsed_ns
	note rate.none "$(calc "$frames * 1e9 / $base")"

	spawn_in lo producer ncp-producer lo -b "$bus" -m 64M
	wait_for "ncp-stats -i $bus --once --json | grep -q '\"state\":\"live\"'" 10
	spawn client ncp-dump -i "$bus" -w /dev/null --json
	wait_for "ncp-stats -i $bus --once --json | grep -q 'ncp-dump'" 10
	senders
	wait_for "[ \$(($(bus_published) + $(kernel_drops))) -ge $frames ]" 5 || :
	note added.ncp "$(calc "($elapsed_ns - $base) / $frames")"
	note rate.ncp "$(calc "$frames * 1e9 / $elapsed_ns")"
	stop client INT 10
	note share.ncp "$(calc "$(sed -n 's/.*"frames":\([0-9]*\).*/\1/p' "$TAP_DIR/client.err" |
		head -n 1) / $frames")"
	stop producer INT 10

	has tcpdump || continue
	spawn_in lo tcpdump tcpdump -i lo -w /dev/null -B 16384 -Z root
	wait_for "grep -q listening $TAP_DIR/tcpdump.err" 10
	senders
	sleep 1 # its last block; nothing is timed
	note added.tcpdump "$(calc "($elapsed_ns - $base) / $frames")"
	note rate.tcpdump "$(calc "$frames * 1e9 / $elapsed_ns")"
	stop tcpdump INT 10
	note share.tcpdump "$(calc "$(sed -n 's/^\([0-9]*\) packets captured.*/\1/p' \
		"$TAP_DIR/tcpdump.err") / $frames")"
done

echo "| capture of lo | senders, frames/s | added, ns a frame | captured |"
echo "|---|---|---|---|"
for c in none ncp tcpdump; do
	echo "| $c | $(figure "rate.$c") | $(figure "added.$c") | $(figure "share.$c") |"
done
