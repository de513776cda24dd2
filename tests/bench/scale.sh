#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# scale.sh - the producer's CPU time a frame by number of clients and workers, attaching by ring size.
#
# tests/bench/scale.sh [RUNS]: a synth source of 64-byte frames at 200000/s, so that all have time for
# every frame; clients are ncp-dump -w /dev/null.  Then the attach to busses of 8 MiB and more.
. tests/bench/lib.sh
runs=${1:-5}
bus=$(bus_name bench)

# steady CLIENTS: 600000 frames to that many.
steady()
{
	local n=$1 i

	spawn producer ncp-producer synth:count=600000,pps=200000,size=64 -b "$bus" -m 64M \
		--wait-clients "$n" --keep
	for ((i = 0; i < n; i++)); do
		spawn "client$i" ncp-dump -i "$bus" --wait -w /dev/null --sync none --json
	done
	local cpu_last=0 now
	while now=$(cpu_ns producer 2>/dev/null) && [ -n "$now" ] && [ "$now" != 0 ]; do
		cpu_last=$now
		sleep 0.02
	done
	reap producer 20
	for ((i = 0; i < n; i++)); do
		reap "client$i" 20
		grep -q '"lost":0,' "$TAP_DIR/client$i.err" || note "losers.$n" 1
	done
	note "cpu.$n" "$(calc "$cpu_last / 600000")"
	ncp-producer --remove "$bus" 2>/dev/null || :
}

for ((run = 0; run < runs; run++)); do
	for n in 1 4 16 64; do steady "$n"; done
	for size in 8M 64M 512M 2G; do
		ncp-producer synth:count=100000,size=64 -b "$bus" -m "$size" --keep 2>/dev/null ||
			{ echo "skipped: a ring of $size" >&2; continue; }
		read -r us kib < <("$NCP_BUILD/tests/bench/attach" "$bus")
		note "us.$size" "$us"
		note "kib.$size" "$kib"
		ncp-producer --remove "$bus"
	done
done
echo "| clients | the producer's CPU ns a frame | of one client | clients that lost frames |"
echo "|---|---|---|---|"
for n in 1 4 16 64; do
	echo "| $n | $(figure "cpu.$n") | $(calc "$(median "cpu.$n") / $(median cpu.1)") |" \
		"$(cat "$TAP_DIR/figure.losers.$n" 2>/dev/null | wc -l) |"
done
echo
echo "| ring | attach, us | a client's private memory, KiB |"
echo "|---|---|---|"
for size in 8M 64M 512M 2G; do
	echo "| $size | $(figure "us.$size") | $(figure "kib.$size") |"
done
