#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# latency.sh - from a frame's arrival to a client's hands: ncp in its ways, and libpcap.
#
# tests/bench/latency.sh [RUNS]: a veth with frames of 100 bytes, 1000 and 100000 a second.
. tests/bench/lib.sh
runs=${1:-5}
bus=$(bus_name bench)
flood_setup
latency=$NCP_BUILD/tests/bench/latency

# one KEY PPS KIND [PRODUCER-OPTION...]
one()
{
	local key="$1, $2/s" count=$(($2 * 3 > 30000 ? $2 * 2 : $2 * 3)) at=$bus

	if [ "$3" = pcap ]; then
		at=ncp-rx
	else
		spawn_in rx producer taskset -c 1 ncp-producer ncp-rx -b "$bus" -m 64M "${@:4}"
		wait_for "ncp-stats -i $bus --once --json | grep -q '\"state\":\"live\"'" 10
	fi
	spawn_in rx client taskset -c 1 "$latency" "$3" "$at" "$((count - 100))"
	wait_for "grep -q ready $TAP_DIR/client.err" 10
	flood "$count" "$2" 100
	# Those who lost some have fewer than they were told to wait for.
	wait_for "! tap_runs ${pid[client]}" 1 2>/dev/null || kill -INT "${pid[client]}"
	reap client 10
	[ "$3" = pcap ] || stop producer INT 10
	read -r p50 p99 p999 cpu _ <"$TAP_DIR/client.out"
	note "p50.$key" "$p50"
	note "p99.$key" "$p99"
	note "p999.$key" "$p999"
	note "cpu.$key" "$cpu"
	keys+=("$key")
}

for ((run = 0; run < runs; run++)); do
	keys=()
	for pps in 1000 100000; do
		one "ncp" "$pps" ncp
		one "ncp --retire-ms 1" "$pps" ncp --retire-ms 1
		if ncp-producer --help | grep -q immediate-mode; then
			one "ncp --immediate-mode" "$pps" ncp --immediate-mode
			one "ncp --immediate-mode, spinning" "$pps" ncp-spin --immediate-mode
		fi
		one "libpcap, immediate" "$pps" pcap
	done
done
echo "| client, rate | p50, us | p99, us | p99.9, us | client's CPU us a frame |"
echo "|---|---|---|---|---|"
for key in "${keys[@]}"; do
	echo "| $key | $(figure "p50.$key") | $(figure "p99.$key") | $(figure "p999.$key") |" \
		"$(figure "cpu.$key") |"
done
