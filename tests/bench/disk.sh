#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# disk.sh - writing to disk as fast as it takes it, beside fio; CPU for a GB, beside tcpdump and dumpcap.
#
# tests/bench/disk.sh [RUNS [SECONDS [FOLDER]]]: RUNS (default 5) interleaved runs of SECONDS (8) each,
# in FOLDER's file system ($TMPDIR, else /tmp).  fio writes 1 MiB pieces, eight at once, with O_DIRECT
# and io_uring into a file that grows, as ncp-dump does.
runs=${1:-5}
seconds=${2:-8}
TMPDIR=${3:-${TMPDIR:-/tmp}}
. tests/bench/lib.sh

bus=$(bus_name disk)
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
	local before used

	spawn producer ncp-producer "$1" -b "$bus" -m 256M --reliable --wait-clients 1
	wait_for "ncp-stats -i $bus --once --json | grep -q state" 10
	spawn dump ncp-dump -i "$bus" -w "$file" --json --reliable --sync none -a "duration:$seconds" "${@:2}"
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
s = json.load(sys.stdin); print(s["bytes"], s["lost"])')
	rate=$(calc "$bytes * 1e9 / $elapsed_ns")
	cpu=$(calc "$(cat "$TAP_DIR/cpu") / $bytes")
}

# from_peer PROGRAM: COUNT frames through its own socket into the file; sets $cpu.
count=600000
size=1400
from_peer()
{
	case $1 in
	tcpdump)
		spawn_in rx dump tcpdump -i ncp-rx -w "$file" -B 65536 -Z root
		wait_for "grep -q listening $TAP_DIR/dump.err" 10
		;;
	dumpcap)
		spawn_in rx dump dumpcap -q -i ncp-rx -w "$file" -B 64
		wait_for "grep -q 'File:' $TAP_DIR/dump.err" 10
		;;
	ncp-dump)
		spawn_in rx producer ncp-producer ncp-rx -b "$bus" -m 256M
		wait_for "ncp-stats -i $bus --once --json | grep -q '\"state\":\"live\"'" 10
		spawn dump ncp-dump -i "$bus" -w "$file" --json --sync none
		wait_for "[ -s $file ]" 10
		;;
	esac
	cpu_begin dump
	flood "$count" 100000 "$size"
	sleep 1.5 # its last buffers; nothing is timed
	cpu=$(($(cpu_ns dump) - cpu_before))
	stop dump INT 20
	[ "$1" != ncp-dump ] || stop producer TERM 10
	bytes=$(stat -c %s "$file")
	cpu=$(calc "$cpu / $bytes")
	rm -f "$file"
}

has fio || exit 0
for ((i = 0; i < runs; i++)); do
	from_fio
	rm -f "$file"
	note fio.rate "$(calc "$rate / 1e6")"
	note fio.cpu "$cpu"
	from_ncp synth:size=1400
	rm -f "$file"
	note ncp.rate "$(calc "$rate / 1e6")"
	note ncp.cpu "$cpu"
	note ncp.lost "$lost"
done
echo "| to $(stat -f -c %T "$TAP_DIR"), a growing file | MB/s | CPU s a GB | frames lost |"
echo "|---|---|---|---|"
echo "| fio, 8 x 1 MiB, io_uring, O_DIRECT | $(figure fio.rate) | $(figure fio.cpu) | |"
echo "| ncp-dump | $(figure ncp.rate) | $(figure ncp.cpu) | $(figure ncp.lost) |"
echo
echo "ncp-dump writes $(calc "$(median ncp.rate) / $(median fio.rate)") of what fio does."
echo

flood_setup
for ((i = 0; i < runs; i++)); do
	for program in ncp-dump tcpdump dumpcap; do
		has "$program" || continue
		from_peer "$program"
		note "$program.gb" "$cpu"
		note "$program.bytes" "$bytes"
	done
done
echo "| $count frames of $size bytes, 100000 a second | CPU s a GB written | bytes written |"
echo "|---|---|---|"
for program in ncp-dump tcpdump dumpcap; do
	echo "| $program | $(figure "$program.gb") | $(figure "$program.bytes") |"
done
