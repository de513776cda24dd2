#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# latency.sh - from a frame's arrival to a client's hands, and what that costs: ncp in its ways, libpcap.
#
# tests/bench/latency.sh [RUNS]: a veth with frames of 100 bytes, 1000 and 100000 a second, for two seconds
# each.  Bar 6.  The sender is on processor 0, captures are on processor 1; where ncp spins, that is a
# producer and a client that each need a processor, and the client shares the sender's.  So does libpcap,
# to be compared with; "alone" is libpcap on processor 1.
runs=${1:-5}
. tests/bench/lib.sh
bus=$(bus_name bench)
flood_setup
# One frame a call: the kernel's generator keeps its processor for 160 us after each call.
generator=frame_send
latency=$bench_tool/latency

# one CASE PPS KIND CPU [PRODUCER-OPTION...]
one()
{
	local case=$1 pps=$2 kind=$3 cpu_client=$4 count=$(($2 * 2)) at=$bus of=(client)

	shift 4
	if [[ $kind == pcap* ]]; then
		at=ncp-rx
	else
		spawn_in rx producer taskset -c 1 ncp-producer ncp-rx -b "$bus" -m 64M "$@"
		wait_for bus_live 10
		of=(client producer)
	fi
	# One more than will come: it is there, to be asked for its CPU time, until SIGINT.
	spawn_in rx client taskset -c "$cpu_client" "$latency" "$kind" "$at" $((count + 1))
	wait_for "grep -q ready $TAP_DIR/client.err" 10
	cpu_begin "${of[@]}"
	flood "$count" "$pps" 100
	sleep 0.1 # what still stands in a block; nothing is timed
	cpu_end
	stop client INT 10
	[[ $kind == pcap* ]] || stop producer INT 10
	read -r p50 p99 p999 got <"$TAP_DIR/client.out"
	note p50 "$case" "$pps" "$p50"
	note p99 "$case" "$pps" "$p99"
	note p999 "$case" "$pps" "$p999"
	note share "$case" "$pps" "$(calc "$got / $arrived")"
	note cpu "$case" "$pps" "$(calc "$cpu / 1e9 / 2")"
}

for ((run = 1; run <= runs; run++)); do
	taskset -c 1 "$latency" futex - 2000 >"$TAP_DIR/futex"
	read -r p50 p99 p999 _ <"$TAP_DIR/futex"
	note p50 futex 1000 "$p50"
	note p99 futex 1000 "$p99"
	note p999 futex 1000 "$p999"
	for pps in 1000 100000; do
		one "ncp" "$pps" ncp 1
		one "ncp, --retire-ms 1" "$pps" ncp 1 --retire-ms 1
		one "ncp, --immediate-mode" "$pps" ncp 1 --immediate-mode
		one "libpcap, immediate mode" "$pps" pcap 1
		one "ncp, --immediate-mode --busy-poll, spinning" "$pps" ncp-spin 0 --immediate-mode --busy-poll
		one "libpcap, immediate mode, spinning" "$pps" pcap-spin 0
		one "libpcap, immediate mode, spinning, alone" "$pps" pcap-spin 1
	done
done
