#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# stopped_client.sh - what a client that was stopped costs the producer: pairs of runs, their ratio.
#
# tests/bench/stopped_client.sh [PAIRS [FRAMES]]: an unpaced synth source, by turns with no client and
# with one that is stopped (SIGSTOP) as soon as it has attached.  Prints each pair's frames a second
# over the whole of a run, and their ratio, then the median ratio.  Run from the top folder after make.
set -eu
export LC_ALL=C
PATH=$PWD/build/bin:$PATH
pairs=${1:-5} frames=${2:-100000000}
NCP_DIR=$(mktemp -d /dev/shm/ncp-bench.XXXXXX)
export NCP_DIR
client=
clean_up()
{
	[ -z "$client" ] || kill -KILL "$client" 2>/dev/null || :
	rm -rf "$NCP_DIR"
}
trap clean_up EXIT

# run CLIENT(0|1): frames a second of one run.
run()
{
	local start

	start=${EPOCHREALTIME/./}
	ncp-producer -b b -m 64M "synth:count=$frames,size=200" 2>/dev/null &
	if [ "$1" = 1 ]; then
		ncp-dump -i b --wait -w "$NCP_DIR/x" >/dev/null 2>&1 &
		client=$!
		until compgen -G "$NCP_DIR/ncp.b+clients/*" >/dev/null; do sleep 0.01; done
		kill -STOP "$client"
		wait %1
		kill -KILL "$client"
		wait "$client" 2>/dev/null || :
		client=
	else
		wait %1
	fi
	awk -v n="$frames" -v us=$((${EPOCHREALTIME/./} - start)) 'BEGIN { printf "%.0f\n", n / us * 1e6 }'
}

for ((i = 0; i < pairs; i++)); do
	without=$(run 0)
	with=$(run 1)
	awk -v a="$with" -v b="$without" 'BEGIN { printf "without %d  with %d  ratio %.3f\n", b, a, a / b }'
done | tee "$NCP_DIR/pairs"
sort -k 6 -n "$NCP_DIR/pairs" | awk '{ r[NR] = $6 } END {
	printf "ratio: median %.3f, from %.3f to %.3f\n", r[int((NR + 1) / 2)], r[1], r[NR] }'
