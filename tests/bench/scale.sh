#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# scale.sh - the capture threads' CPU time a frame by clients, workers, rate and ring size; attaching.
#
# tests/bench/scale.sh [RUNS].  Bar 8.  Clients and rates: a synth source of 64-byte frames, at 200000/s
# unless said, so that all have time for every frame; clients are ncp-dump -w /dev/null.  Workers and ring
# sizes: a veth's frames at 200000/s, of 64 and of 1500 bytes.  What a processor that copies into less or more
# memory pays anyway is tests/bench/walker's.
runs=${1:-5}
. tests/bench/lib.sh
bus=$(bus_name bench)
flood_setup
COUNT=300000

# capture_cpu_ns: CPU time of the producer's capture threads so far.
capture_cpu_ns()
{
	local task

	for task in "/proc/${pid[producer]}/task/"*; do
		[[ $(cat "$task/comm") != ncp-worker* ]] || cat "$task/schedstat"
	done | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}

# synth METRIC X CLIENTS STOPPED PPS [PRODUCER-OPTION...]: notes the CPU time a frame.
synth()
{
	local metric=$1 x=$2 n=$3 stopped=$4 pps=$5 i now last=0

	shift 5
	spawn producer ncp-producer "synth:count=$COUNT,pps=$pps,size=64" -b "$bus" -m 64M \
		--wait-clients "$n" --keep "$@"
	wait_for "ncp-stats -i $bus --once --json" 10
	for ((i = 0; i < n; i++)); do
		spawn "client$i" ncp-dump -i "$bus" -w /dev/null --sync none --json
	done
	if [ "$stopped" -gt 0 ]; then
		wait_for "[ \$(bus_counter published) -gt 0 ]" 20 # all are there
		for ((i = 0; i < stopped; i++)); do kill -STOP "${pid[client$i]}"; done
	fi
	# Of a process just ended nobody can tell the time.
	while tap_runs "${pid[producer]}"; do
		now=$(capture_cpu_ns 2>/dev/null)
		[ "${now:-0}" = 0 ] || last=$now
		sleep 0.02
	done
	reap producer 30
	for ((i = 0; i < stopped; i++)); do kill -CONT "${pid[client$i]}"; done
	for ((i = 0; i < n; i++)); do reap "client$i" 20; done
	note "$metric" ncp "$x" "$(calc "$last / $COUNT")"
	note "$metric.lost" ncp "$x" "$(cat "$TAP_DIR"/client*.err | grep -c '"lost":[1-9]')"
	ncp-producer --remove "$bus" 2>/dev/null || :
	rm -f "$TAP_DIR"/client*.err
}

# wire METRIC X SIZE: $frames frames of a veth to one client, which goes on; notes the CPU time a frame.
frames=600000
wire()
{
	local before

	capture_start ncp 1
	before=$(capture_cpu_ns)
	flood "$frames" 200000 "$3"
	bus_accounts "$arrived"
	note "$1" ncp "$2" "$(calc "($(capture_cpu_ns) - $before) / $arrived")"
}

# floor MIB: the same frames, walked into an area of that size, which nobody reads.
floor()
{
	AREA=$1 capture_start walker 1
	flood "$frames" 200000 1500
	capture_stop walker 1
	note area walker "$1M" "$(calc "$cpu / $arrived")"
}

half=$(($(stat -f -c '%S * %b' /dev/shm) / 2))
power=8388608
while [ $((power * 2)) -le "$half" ]; do power=$((power * 2)); done
half=$((power >> 20))M
[ "$half" != 8192M ] || half=8G
for ((run = 1; run <= runs; run++)); do
	for n in 1 4 16 64; do synth clients "$n" "$n" 0 200000; done
	synth sleeping 64 64 63 200000
	for n in 1 2 4 8; do
		PRODUCER_OPTIONS=()
		[ "$n" = 1 ] || PRODUCER_OPTIONS=(--workers "$n" --fanout lb)
		wire workers "$n" 64
		capture_stop ncp 1
	done
	PRODUCER_OPTIONS=()
	for pps in 10000 50000 400000; do COUNT=$pps synth rate "$pps" 1 0 "$pps"; done
	for size in 8M 64M 512M "$half"; do
		RING=$size wire ring "$size" 1500
		read -r us kib < <("$bench_tool/attach" "$bus")
		capture_stop ncp 1
		note attach ncp "$size" "$(calc "$us / 1e3")"
		note memory ncp "$size" "$kib"
	done
	for mib in 8 512; do floor "$mib"; done
done
