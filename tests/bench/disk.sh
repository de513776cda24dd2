#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# disk.sh - writing to disk as fast as it takes it, beside fio; a live capture to disk, beside the peers.
#
# tests/bench/disk.sh [RUNS [SECONDS [FOLDER]]]: RUNS (default 5) interleaved runs of SECONDS (4) each,
# in FOLDER's file system ($TMPDIR, else /tmp).  Bar 4.  fio writes 1 MiB pieces, eight at once, with
# O_DIRECT and io_uring into a file that grows, as ncp-dump does.
runs=${1:-5}
seconds=${2:-4}
TMPDIR=${3:-${TMPDIR:-/tmp}}
. tests/bench/lib.sh

bus=$(bus_name disk)
# A producer of an interface leaves its bus behind: a new one is waited for under another name.
bus_full=$(bus_name full)
file=$TAP_DIR/x

# from_fio: sets $rate (bytes a second) and $cpu (s a GB): of all its threads, as the others', where
# fio's own figure leaves out the kernel's workers; its start, some 0.2 s, is in it.
from_fio()
{
	local TIMEFORMAT='%U %S' out used

	used=$({ time fio --name=x --filename="$file" --rw=write --bs=1M --iodepth=8 --ioengine=io_uring \
		--direct=1 --size=100G --runtime="$seconds" --fallocate=none --file_append=0 \
		--output-format=json >"$TAP_DIR/fio" 2>/dev/null; } 2>&1)
	out=$(python3 -c '
import json, sys
j = json.load(sys.stdin)["jobs"][0]["write"]
print(j["io_bytes"] * 1000 / j["runtime"], j["io_bytes"] / 1e9)' <"$TAP_DIR/fio")
	rate=${out% *} cpu=$(calc "(${used/ /+}) / ${out#* }")
}

# from_ncp SOURCE [DUMP-ARG...]: likewise; $lost too.  The producer waits for the file: whatever the
# disk takes is offered.
from_ncp()
{
	local before used bus=$bus_full

	spawn producer ncp-producer "$1" -b "$bus" -m 256M --reliable --wait-clients 1
	wait_for "ncp-stats -i $bus --once --json | grep -q state" 10
	spawn dump ncp-dump -i "$bus" -w "$file" --json --reliable -a "duration:$seconds" "${@:2}"
	before=$(now_ns)
	# Of a zombie nobody can tell the time: it is looked at until then.
	while tap_runs "${pid[dump]}"; do
		used=$(cpu_ns dump 2>/dev/null)
		[ "${used:-0}" = 0 ] || echo "$used" >"$TAP_DIR/cpu"
		sleep 0.05
	done
	elapsed_ns=$(($(now_ns) - before))
	reap dump 20
	stop producer TERM 10
	read -r bytes lost < <(tail -n 1 "$TAP_DIR/dump.err" | python3 -c 'import json, sys
s = json.load(sys.stdin); print(s["bytes"], s["lost"])') ||
		bail "ncp-dump: $(cat "$TAP_DIR/dump.err")"
	rate=$(calc "$bytes * 1e9 / $elapsed_ns")
	cpu=$(calc "$(cat "$TAP_DIR/cpu") / $bytes")
}

# live CASE PPS: $count frames from the wire to the disk, all of it, for whom it is: sets $elapsed_ns,
# from the first frame to the file's last byte on the disk, $delivered and $cpu.
size=1500
live()
{
	local start settled_ns ring=64

	rm -f "$file"
	case $1 in
	ncp-dump*)
		spawn_in rx producer taskset -c 1 ncp-producer ncp-rx -b "$bus" -m 256M -B ${ring}M
		wait_for bus_live 20
		# shellcheck disable=SC2086
		spawn client taskset -c 1 $1 -i "$bus" -w "$file" --json
		wait_for "[ -s $file ]" 10
		cpu_begin producer client
		;;
	tcpdump) spawn_in rx client taskset -c 1 tcpdump -i ncp-rx -w "$file" -B $((ring * 1024)) -Z root ;;
	dumpcap) spawn_in rx client taskset -c 1 dumpcap -q -i ncp-rx -w "$file" -B $ring ;;
	netsniff-ng*)
		spawn_in rx client taskset -c 1 netsniff-ng -i ncp-rx -o "$file" -s -S ${ring}MiB "${1#* }"
		;;
	esac
	if [[ $1 != ncp-dump* ]]; then
		wait_for "grep -qi 'listening\\|File:\\|running' $TAP_DIR/client.err $TAP_DIR/client.out" 20
		cpu_begin client
	fi
	start=$(now_ns)
	flood "$count" "$2" "$size"
	# Until all of it is in the file, or nothing more comes; buffers are written when it ends.
	wait_for "settled" 10
	if [ "$1" = tcpdump ]; then
		# It gets the last block after a second, and at once forgets what it did not get; not timed.
		settled_ns=$(now_ns)
		sleep 1.1
		start=$((start + $(now_ns) - settled_ns))
	fi
	cpu_end
	stop client INT 30
	sync "$file"
	elapsed_ns=$(($(now_ns) - start))
	[[ $1 != ncp-dump* ]] || stop producer TERM 10
	bytes=$(stat -c %s "$file")
	delivered=$(frame_check "$file" | sed 's/frames=\([0-9]*\).*/\1/')
	rm -f "$file"
}

# settled: has the file stopped growing?
settled()
{
	local now

	now=$(stat -c %s "$file")
	[ "$now" = "${last_size:-}" ] && return
	last_size=$now
	sleep 0.15
	false
}

# highest CASE: the rate to disk, MB/s, at the highest pace at which nothing is lost.  Of 400000 frames
# or, where that is over in a moment, of which its end would be a third, of 1000000.
declare -A pace frames
highest()
{
	local pps=${pace[$1]:-0} attempt count=${frames[$1]:-400000}

	for ((attempt = 0; attempt < 9; attempt++)); do
		live "$1" "$pps"
		if [ "$delivered" = "$arrived" ]; then
			if [ "$count" != 400000 ] || [ "$elapsed_ns" -ge 2000000000 ]; then break; fi
			count=1000000
			continue
		fi
		if [ "$pps" = 0 ]; then
			pps=$(calc "$delivered * 1e9 / $elapsed_ns")
		else
			pps=$(calc "$pps * 0.85")
		fi
		pps=$(printf %.0f "$pps")
	done
	# The next run begins a step above.
	frames[$1]=$count
	pace[$1]=$(awk -v p="$pps" 'BEGIN { printf "%.0f", p * 1.15 }')
	note live "$1" $size "$(calc "$delivered == $arrived ? $bytes * 1e3 / $elapsed_ns : 0")"
	note livecpu "$1" $size "$(calc "$cpu / $bytes")"
	note share "$1" $size "$(calc "$delivered / $arrived")"
}

# full CASE [DUMP-ARG...]: into a full ring as fast as the disk takes it.
full()
{
	rm -f "$file"
	from_ncp synth:size=1400 "${@:2}"
	rm -f "$file"
	note full "$1" 1444 "$(calc "$rate / 1e6")"
	note fullcpu "$1" 1444 "$cpu"
	note lost "$1" 1444 "$lost"
}

flood_setup
# What copies each frame, too: as tcpdump's file, byte for byte.
cases=(ncp-dump "ncp-dump --format pcap")
has tcpdump && cases+=(tcpdump)
has dumpcap && cases+=(dumpcap)
has netsniff-ng && cases+=("netsniff-ng -m" "netsniff-ng -G" "netsniff-ng -c")
has fio
note filesystem "$(stat -f -c %T "$TAP_DIR")" - 1
for ((run = 1; run <= runs; run++)); do
	if [ -z "${skipped[fio]:-}" ]; then
		from_fio
		note full fio 1444 "$(calc "$rate / 1e6")"
		note fullcpu fio 1444 "$cpu"
	fi
	full ncp-dump
	full "ncp-dump --format pcap" --format pcap
	for c in "${cases[@]}"; do highest "$c"; done
	# Of netsniff-ng's ways to write, the best of the first run goes on.
	best=$(awk -F '\t' '$2 == "live" && $3 ~ /^netsniff/ && $5 > most { most = $5; best = $3 } END { print best }' \
		"$NCP_BENCH_OUT/disk.tsv")
	[ "$run" != 1 ] || for i in "${!cases[@]}"; do
		[[ ${cases[i]} != netsniff* ]] || [ "${cases[i]}" = "$best" ] || unset "cases[i]"
	done
done
