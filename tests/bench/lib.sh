# SPDX-License-Identifier: BSD-2-Clause
# lib.sh - what the benchmarks share: processes' CPU time, medians, a flood between two namespaces.
#
# A benchmark sources it and is run from the top folder by tests/bench/run, which sets PATH.  Runs are
# interleaved; a table's cell is a median with the least and the most.
. tests/tap/tap.sh
plan 0 >/dev/null
export LC_ALL=C
need_root "benchmarks make namespaces and open raw sockets"

# now_ns: of a clock that is the same for all.
now_ns()
{
	echo "${EPOCHREALTIME/./}000"
}

# cpu_ns NAME...: CPU time, ns, of spawned processes with all their threads.
cpu_ns()
{
	local name

	for name in "$@"; do
		cat "/proc/${pid[$name]}/task/"*/schedstat
	done | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}

# calc EXPRESSION: its value, of floating point.
calc()
{
	awk "BEGIN { printf \"%.4g\", $1 }"
}

# note KEY VALUE: remember one run's figure.
note()
{
	echo "$2" >>"$TAP_DIR/figure.${1//\//_}"
}

# figure KEY: "median (least-most)" of what was noted.  median KEY: the median alone.
figure()
{
	[ -e "$TAP_DIR/figure.${1//\//_}" ] || { echo -; return; }
	sort -g "$TAP_DIR/figure.${1//\//_}" |
		awk '{ v[NR] = $1 } END { printf "%.4g (%.4g-%.4g)\n", v[int((NR + 1) / 2)], v[1], v[NR] }'
}

median()
{
	figure "$1" | sed 's/ .*//'
}

has()
{
	command -v "$1" >/dev/null || { echo "skipped: $1 is not installed" >&2; return 1; }
}

# flood_setup: namespaces "tx" and "rx", joined by ncp-tx and ncp-rx.
flood_setup()
{
	netns_make tx
	netns_make rx
	veth_pair tx ncp-tx rx ncp-rx
}

# flood COUNT PPS SIZE: send, from processor 0; sets $elapsed_ns.
flood()
{
	local start end

	start=$(now_ns)
	in_netns tx taskset -c 0 frame_send ncp-tx "$1" "$2" "$3" >/dev/null
	end=$(now_ns)
	elapsed_ns=$((end - start))
}

# bus_published: of the bus $bus.
bus_published()
{
	ncp-stats -i "$bus" --once --json | sed 's/.*"published":\([0-9]*\).*/\1/'
}

# ncp_start CLIENTS [PRODUCER-OPTION...]: a producer on ncp-rx and clients that write to /dev/null, all
# on processor 1.
ncp_start()
{
	local n=$1 i

	spawn_in rx producer taskset -c 1 ncp-producer ncp-rx -b "$bus" -m 256M "${@:2}"
	wait_for "ncp-stats -i $bus --once --json | grep -q '\"state\":\"live\"'" 10
	for ((i = 0; i < n; i++)); do
		spawn "client$i" taskset -c 1 ncp-dump -i "$bus" -w /dev/null --sync none --json
	done
	wait_for "[ \$(ncp-stats -i $bus --once --json | grep -o '\"pid\":' | wc -l) -gt $n ]" 10
	# shellcheck disable=SC2046 # words
	cpu_begin producer $(names client "$n")
}

# names STEM N: STEM0 STEM1 ...
names()
{
	local i

	for ((i = 0; i < $2; i++)); do echo "$1$i"; done
}

# Before the flood: CPU time from here on counts.
cpu_begin()
{
	cpu_before=$(cpu_ns "$@")
	producer_before=0
	[ "$1" != producer ] || producer_before=$(cpu_ns producer)
}

# ncp_stop CLIENTS SENT: wait until everything is published and read, take the CPU time, end; sets
# $cpu (ns, producer and clients), $producer_cpu, $delivered (frames, over all clients), $dropped.
ncp_stop()
{
	local n=$1 i frames

	wait_for "[ \$(($(bus_published) + $(kernel_drops))) -ge $2 ]" 5 || :
	sleep 0.3 # the clients' last frames; none is timed
	producer_cpu=$(($(cpu_ns producer) - producer_before))
	# shellcheck disable=SC2046 # words
	cpu=$(($(cpu_ns producer $(names client "$n")) - cpu_before))
	delivered=0
	dropped=$(kernel_drops)
	for ((i = 0; i < n; i++)); do
		stop "client$i" INT 10
		frames=$(sed -n 's/.*"frames":\([0-9]*\).*/\1/p' "$TAP_DIR/client$i.err" | head -n 1)
		delivered=$((delivered + frames))
	done
	stop producer INT 10
}

kernel_drops()
{
	ncp-stats -i "$bus" --once --json | sed 's/.*"kernel_drops":\([0-9]*\).*/\1/'
}

# peer_start PROGRAM COUNT, peer_stop COUNT: the same with sockets of their own; sets $cpu, $delivered.
peer_start()
{
	local i

	for ((i = 0; i < $2; i++)); do
		case $1 in
		tcpdump)
			spawn_in rx "peer$i" taskset -c 1 tcpdump -i ncp-rx -w /dev/null -B 16384 -Z root
			wait_for "grep -q listening $TAP_DIR/peer$i.err" 10
			;;
		dumpcap)
			spawn_in rx "peer$i" taskset -c 1 dumpcap -q -i ncp-rx -w /dev/null -B 16
			wait_for "grep -q 'File:' $TAP_DIR/peer$i.err" 10
			;;
		netsniff-ng)
			spawn_in rx "peer$i" taskset -c 1 netsniff-ng -i ncp-rx -o /dev/null -s -S 16MiB
			wait_for "grep -qi running $TAP_DIR/peer$i.out" 10
			;;
		esac
	done
	# shellcheck disable=SC2046 # words
	cpu_begin $(names peer "$2")
}

peer_stop()
{
	local i frames

	sleep 1 # their last blocks; nothing is timed
	# shellcheck disable=SC2046 # words
	cpu=$(($(cpu_ns $(names peer "$1")) - cpu_before))
	delivered=0
	for ((i = 0; i < $1; i++)); do
		stop "peer$i" INT 10
		frames=$(sed -n 's/^\([0-9]*\) packets captured.*/\1/p
			s/^Packets captured: \([0-9]*\).*/\1/p
			s/^ *\([0-9]*\)  *packets incoming.*/\1/p' \
			"$TAP_DIR/peer$i.err" "$TAP_DIR/peer$i.out" | tail -n 1)
		delivered=$((delivered + ${frames:-0}))
	done
}
