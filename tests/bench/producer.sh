#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# producer.sh - the producer's CPU time a frame, beside a bare walk of the kernel's ring.
#
# tests/bench/producer.sh [RUNS [FRAMES]]: a veth flooded from processor 0; on processor 1, by turns,
# ncp-producer with one client, ncp-producer alone, and tests/bench/walker, with kernel rings of the
# same size.
. tests/bench/lib.sh
runs=${1:-5} frames=${2:-1500000}
bus=$(bus_name bench)
flood_setup

# walker_run SIZE: sets $cpu and $delivered.
walker_run()
{
	spawn_in rx walker taskset -c 1 "$NCP_BUILD/tests/bench/walker" ncp-rx
	wait_for "grep -q walking $TAP_DIR/walker.err" 10
	cpu_begin walker
	flood "$frames" 0 "$1"
	sleep 0.3 # its last block; nothing is timed
	cpu=$(($(cpu_ns walker) - cpu_before))
	stop walker INT 10
	delivered=$(cut -d ' ' -f 1 "$TAP_DIR/walker.out")
}

sizes=(64 512 1500)
for ((run = 0; run < runs; run++)); do
	for size in "${sizes[@]}"; do
		walker_run "$size"
		note "cpu.walker.$size" "$(calc "$cpu / $delivered")"
		note "share.walker.$size" "$(calc "$delivered / $frames")"
		note "rate.walker.$size" "$(calc "$delivered * 1e9 / $elapsed_ns")"
		for clients in 0 1; do
			ncp_start "$clients" -B 16M
			flood "$frames" 0 "$size"
			ncp_stop "$clients" "$frames"
			note "cpu.ncp $clients.$size" "$(calc "$producer_cpu / ($frames - $dropped)")"
			note "share.ncp $clients.$size" "$(calc "($frames - $dropped) / $frames")"
			note "rate.ncp $clients.$size" \
				"$(calc "($frames - $dropped) * 1e9 / $elapsed_ns")"
		done
	done
done

echo "| capture | frame | CPU ns a frame | of the walker | captured | frames/s captured | of the walker |"
echo "|---|---|---|---|---|---|---|"
for size in "${sizes[@]}"; do
	for c in walker "ncp 0" "ncp 1"; do
		printf '| %s | %s B | %s | %.2f | %s | %s | %.2f |\n' "$c" "$size" \
			"$(figure "cpu.$c.$size")" \
			"$(calc "$(median "cpu.$c.$size") / $(median "cpu.walker.$size")")" \
			"$(figure "share.$c.$size")" "$(figure "rate.$c.$size")" \
			"$(calc "$(median "rate.$c.$size") / $(median "rate.walker.$size")")"
	done
done
