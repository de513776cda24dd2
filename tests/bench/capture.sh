#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# capture.sh - a veth flooded from processor 0, all captures on processor 1: ncp, a bare walker, the peers.
#
# tests/bench/capture.sh [RUNS [FRAMES]]: FRAMES (default 400000) a flood.  Bars 1 and 2: the sender's
# rate, what of it arrives at each client, the captures' CPU time a frame delivered, and the producer's
# alone; the highest rate without a loss.
runs=${1:-5} frames=${2:-400000}
. tests/bench/lib.sh
bus=$(bus_name bench)
flood_setup
PRODUCER_OPTIONS=(--retire-ms 10) # the walker's, too

# one CASE SIZE: CASE is "PROGRAM N".  Full blast first; if frames were dropped, again and again at lower
# rates, until none is: "lossless".
one()
{
	local n=${1##* } program=${1% *} pps=0 lossless=0 attempt

	for ((attempt = 0; attempt < 6; attempt++)); do
		capture_start "$program" "$n"
		flood "$frames" "$pps" "$2"
		capture_stop "$program" "$n"
		rate=$(calc "$arrived * 1e9 / $elapsed_ns")
		share=$(calc "$delivered / ($arrived * $n)")
		if [ "$attempt" = 0 ]; then
			note rate "$1" "$2" "$rate"
			note share "$1" "$2" "$share"
			note faults "$1" "$2" "$faults"
			note cpu "$1" "$2" "$(calc "$cpu / ($delivered + 1e-9)")"
			[ "$program" != ncp ] ||
				note producer "$1" "$2" "$(calc "$producer_cpu / ($arrived - $dropped)")"
		fi
		[ "$delivered" -lt $((arrived * n)) ] || { lossless=$rate; break; }
		[[ " $search " == *" $1 "* ]] || break
		pps=$(awk -v r="$rate" -v s="$share" 'BEGIN { printf "%.0f", r * (s < 0.9 ? s : 0.9) }')
	done
	note lossless "$1" "$2" "$lossless"
}

# What a peer says it captured, by the numbers in its file: once for each, at a rate that all can take.
verify()
{
	TO=$TAP_DIR/verify.pcap
	capture_start "$1" 1
	flood 100000 100000 64
	capture_stop "$1" 1
	TO=
	note verified "$1" 64 "$(frame_check "$TAP_DIR/verify.pcap" | grep -c "^frames=$delivered first=0 ")"
	rm -f "$TAP_DIR/verify.pcap"
}

cases=("walker 1" "walker-blocks 1" "ncp 1" "ncp 8" "ncp 4")
search="walker 1 ncp 1 ncp 4"
for peer in tcpdump dumpcap netsniff-ng; do
	has "$peer" || continue
	verify "$peer"
	[ "$peer" = netsniff-ng ] || cases+=("$peer 8")
	[ "$peer" != tcpdump ] || cases+=("$peer 1")
done
for ((run = 1; run <= runs; run++)); do
	for size in 64 512 1500 imix; do
		all=("${cases[@]}")
		# With four sockets each: at the ends of the range.
		if [ "$size" = 64 ] || [ "$size" = 1500 ]; then
			for peer in tcpdump dumpcap netsniff-ng libpcap; do
				[ -n "${skipped[$peer]:-}" ] || all+=("$peer 4")
			done
		fi
		for c in "${all[@]}"; do one "$c" "$size"; done
	done
done
