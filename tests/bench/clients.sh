#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# clients.sh - what one more client costs: the sender's rate, frames delivered, CPU time a frame.
#
# tests/bench/clients.sh [RUNS [FRAMES]]: a veth flooded from processor 0, all captures on processor
# 1: ncp with one client and with eight, beside as many sockets of tcpdump and dumpcap.
. tests/bench/lib.sh
runs=${1:-5} frames=${2:-1500000}
bus=$(bus_name bench)
flood_setup

# one CASE SIZE: run it once and note rate (frames/s), share (of what every client should get) and
# CPU (s per million frames delivered).
one()
{
	local n=${1##* } key="$1.$2"

	case $1 in
	ncp*) ncp_start "$n" ;;
	*) peer_start "${1% *}" "$n" ;;
	esac
	flood "$frames" 0 "$2"
	case $1 in
	ncp*) ncp_stop "$n" "$frames" ;;
	*) peer_stop "$n" ;;
	esac
	note "rate.$key" "$(calc "$frames * 1e9 / $elapsed_ns")"
	note "share.$key" "$(calc "$delivered / ($frames * $n)")"
	note "cpu.$key" "$(calc "$cpu / 1e9 / ($delivered / 1e6 + 1e-9)")"
}

cases=("ncp 1" "ncp 8")
has tcpdump && cases+=("tcpdump 1" "tcpdump 8")
has dumpcap && cases+=("dumpcap 8")
has netsniff-ng && cases+=("netsniff-ng 1")
sizes=(64 512 1500)
for ((run = 0; run < runs; run++)); do
	for size in "${sizes[@]}"; do
		for c in "${cases[@]}"; do one "$c" "$size"; done
	done
done

echo "| capture, clients | frame | sender, frames/s | of ncp 1 | each client gets | CPU s per million delivered | of tcpdump 1 |"
echo "|---|---|---|---|---|---|---|"
for size in "${sizes[@]}"; do
	for c in "${cases[@]}"; do
		printf '| %s | %s B | %s | %.3f | %s | %s | %.2f |\n' "$c" "$size" \
			"$(figure "rate.$c.$size")" \
			"$(calc "$(median "rate.$c.$size") / $(median "rate.ncp 1.$size")")" \
			"$(figure "share.$c.$size")" "$(figure "cpu.$c.$size")" \
			"$(calc "$(median "cpu.$c.$size") / $(median "cpu.tcpdump 1.$size")")"
	done
done
