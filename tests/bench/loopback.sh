#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# loopback.sh - the test of the program that ncp is named after: what a capture of lo costs senders.
#
# tests/bench/loopback.sh [RUNS [FRAMES]]: ten raw sockets send small UDP datagrams over a loopback
# interface, FRAMES (default 600000) in all: without a capture, with ncp and one client, with tcpdump.
# Bar 5: the time that a capture adds to a frame, and what it got.
runs=${1:-5} frames=${2:-600000}
. tests/bench/lib.sh
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
	for ((i = 0; i < 10; i++)); do
		spawn_in lo "send$i" "$bench_tool/raw_send" "$each" $((4000 + i))
	done
	for ((i = 0; i < 10; i++)); do wait "${pid[send$i]}"; done
	elapsed_ns=$(($(now_ns) - start))
	for ((i = 0; i < 10; i++)); do name=send$i; unset "pid[$name]"; done
}

# added CASE
added()
{
	note rate "$1" 10 "$(calc "$frames * 1e9 / $elapsed_ns")"
	note added "$1" 10 "$(calc "($elapsed_ns - $base) / $frames")"
	note cost "$1" 10 "$(calc "($elapsed_ns - $base) / $base")"
}

has tcpdump
for ((run = 1; run <= runs; run++)); do
	senders
	base=$elapsed_ns
	note rate none 10 "$(calc "$frames * 1e9 / $base")"

	spawn_in lo producer ncp-producer lo -b "$bus" -m 64M
	wait_for bus_live 10
	spawn client "$bench_tool/count" ncp "$bus"
	wait_for "grep -q ready $TAP_DIR/client.err" 10
	senders
	bus_accounts "$frames"
	sleep 0.2 # the client's last frames; nothing is timed
	added ncp
	stop client INT 10
	stop producer INT 10
	# Each frame once: ten flows, by number.
	note share ncp 10 "$(calc "$(sed -n 's/^frames=\([0-9]*\) .*/\1/p' "$TAP_DIR/client.out") / $frames")"
	note faults ncp 10 "$(calc "$(sed -n 's/.*holes=\([0-9]*\) duplicates=\([0-9]*\).*/\1 + \2/p' "$TAP_DIR/client.out")")"

	[ -z "${skipped[tcpdump]:-}" ] || continue
	spawn_in lo tcpdump tcpdump -i lo -w /dev/null -B 16384 -Z root
	wait_for "grep -q listening $TAP_DIR/tcpdump.err" 10
	senders
	sleep 1.1 # its last block; nothing is timed
	added tcpdump
	stop tcpdump INT 10
	note share tcpdump 10 "$(calc "$(sed -n 's/^\([0-9]*\) packets captured.*/\1/p' \
		"$TAP_DIR/tcpdump.err") / $frames")"
done
