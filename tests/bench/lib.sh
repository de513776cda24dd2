# SPDX-License-Identifier: BSD-2-Clause
# lib.sh - what the benchmarks share: figures, processes' CPU time, floods between two namespaces, captures.
#
# A benchmark sources it and is run from the top folder by tests/bench/run, which sets PATH.  It measures
# and notes; tests/bench/report.py makes tables, bars and plots of what was noted.  Runs are interleaved:
# each benchmark has a loop over $run whose body runs every case once.
. tests/tap/tap.sh
plan 0 >/dev/null
export LC_ALL=C
need_root "benchmarks make namespaces and open raw sockets"

NCP_BENCH_OUT=${NCP_BENCH_OUT:-$NCP_BUILD/bench}
mkdir -p "$NCP_BENCH_OUT"
bench_section=$(basename "$0" .sh)
bench_tool=$NCP_BUILD/tests/bench
: >"$NCP_BENCH_OUT/$bench_section.tsv"
run=0

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
		cat "/proc/${pid[$name]}/task/"*/schedstat 2>/dev/null
	done | awk '{ sum += $1 } END { printf "%.0f\n", sum }'
}

# calc EXPRESSION: its value, of floating point.
calc()
{
	awk "BEGIN { printf \"%.6g\", $1 }"
}

# note METRIC CASE X VALUE: a figure of this run.
note()
{
	printf '%s\t%s\t%s\t%s\t%s\n' "$run" "$1" "$2" "$3" "$4" >>"$NCP_BENCH_OUT/$bench_section.tsv"
}

# has PROGRAM: is it installed?  If not, the report says so.
has()
{
	command -v "$1" >/dev/null && return
	[ -n "${skipped[$1]:-}" ] || note skipped "$1" - 1
	skipped[$1]=1
	return 1
}
declare -A skipped

# flood_setup: namespaces "tx" and "rx", joined by ncp-tx and ncp-rx.
flood_setup()
{
	netns_make tx
	netns_make rx
	veth_pair tx ncp-tx rx ncp-rx
	# A kernel that cannot make frames itself: a socket sends them, at a third of the rate.
	generator=frame_send
	if in_netns rx "$bench_tool/flood" -r ncp-rx 2>/dev/null &&
		in_netns tx "$bench_tool/flood" ncp-tx 1 0 64 >/dev/null 2>&1; then
		generator=$bench_tool/flood
	fi
	note generator "$(basename "$generator")" - 1
}

# flood COUNT PPS SIZE|imix: send, from processor 0; sets $elapsed_ns, and $arrived: what the receiving
# interface counted.
flood()
{
	local start end before

	sent=$1
	before=$(arrivals)
	start=$(now_ns)
	in_netns tx taskset -c 0 "$generator" ncp-tx "$1" "$2" "$3" >"$TAP_DIR/flood.out"
	end=$(now_ns)
	# Without the start of the program, where it tells.
	elapsed_ns=$(awk -v whole=$((end - start)) '{ print (NF > 1 ? $2 : whole) }' "$TAP_DIR/flood.out")
	arrived=$(($(arrivals) - before))
}

arrivals()
{
	in_netns rx cat /sys/class/net/ncp-rx/statistics/rx_packets
}

# bus_counter NAME: of the bus $bus. Behind it stand those of its workers and interfaces, which have the
# same names.
bus_counter()
{
	ncp-stats -i "$bus" --once --json | grep -o "\"$1\":[0-9]*" | sed 's/.*://; q'
}

# bus_accounts N: wait until it has published, or counted as dropped, so many frames.
bus_accounts()
{
	wait_for "[ \$((\$(bus_counter published) + \$(bus_counter kernel_drops))) -ge $1 ]" 5 || :
}

bus_live()
{
	ncp-stats -i "$bus" --once --json 2>/dev/null | grep -q '"state":"live"'
}

# names STEM N: STEM0 STEM1 ...
names()
{
	local i

	for ((i = 0; i < $2; i++)); do echo "$1$i"; done
}

# cpu_begin NAME...: CPU time from here on counts.
cpu_begin()
{
	cpu_of=("$@")
	cpu_before=$(cpu_ns "$@")
}

# cpu_end: sets $cpu, ns.
cpu_end()
{
	cpu=$(($(cpu_ns "${cpu_of[@]}") - cpu_before))
}

# capture_start PROGRAM N: on ncp-rx, all on processor 1: ncp is a producer and N clients, walker and
# walker-blocks one process, others N processes with a socket each.  For ncp: PRODUCER_OPTIONS, an array, and
# RING; for walker: AREA, MiB.
capture_start()
{
	local i

	# shellcheck disable=SC2206 # words
	captures=($(names client "$2"))
	case $1 in
	ncp)
		spawn_in rx producer taskset -c 1 ncp-producer ncp-rx -b "$bus" -m "${RING:-64M}" \
			-B 16M "${PRODUCER_OPTIONS[@]}"
		wait_for bus_live 20
		;;
	esac
	for ((i = 0; i < $2; i++)); do
		case $1 in
		ncp) spawn "client$i" taskset -c 1 "$bench_tool/count" ncp "$bus" ;;
		libpcap) spawn_in rx "client$i" taskset -c 1 "$bench_tool/count" pcap ncp-rx ;;
		walker) spawn_in rx "client$i" taskset -c 1 "$bench_tool/walker" ${AREA:+-m "$AREA"} ncp-rx ;;
		walker-blocks) spawn_in rx "client$i" taskset -c 1 "$bench_tool/walker" -b ncp-rx ;;
		tcpdump) spawn_in rx "client$i" taskset -c 1 tcpdump -i ncp-rx -w "${TO:-/dev/null}" -B 16384 -Z root ;;
		dumpcap) spawn_in rx "client$i" taskset -c 1 dumpcap -q -i ncp-rx -w "${TO:-/dev/null}" -B 16 ;;
		netsniff-ng) spawn_in rx "client$i" taskset -c 1 netsniff-ng -i ncp-rx -o "${TO:-/dev/null}" -s -S 16MiB ;;
		esac
	done
	for ((i = 0; i < $2; i++)); do
		wait_for "grep -qi 'ready\|walking\|listening\|File:\|running' $TAP_DIR/client$i.err $TAP_DIR/client$i.out" 20
	done
	if [ "$1" = ncp ]; then
		cpu_begin producer "${captures[@]}"
		producer_before=$(cpu_ns producer)
	else
		cpu_begin "${captures[@]}"
	fi
}

# capture_stop PROGRAM N: wait until all is read, take the CPU time, end; sets $cpu (ns, of all), $producer_cpu,
# $delivered (frames, over all), $dropped, and $faults: frames that
# came twice, or that clients miss beyond what the sender, or the kernel, counted as dropped.
capture_stop()
{
	local i frames

	dropped=0
	if [ "$1" = ncp ]; then
		bus_accounts "$arrived"
		sleep 0.2 # the clients' last frames; none is timed
		producer_cpu=$(($(cpu_ns producer) - producer_before))
		dropped=$(bus_counter kernel_drops)
	elif [[ $1 == walker* ]]; then
		sleep 0.2
	else
		sleep 1.1 # their last blocks, handed over after a second at most
	fi
	cpu_end
	delivered=0 faults=0
	for ((i = 0; i < $2; i++)); do
		stop "client$i" INT 20 || :
		# Their own words: "frames=N", "N packets captured", "Packets captured: N", "N packets incoming".
		frames=$(cat "$TAP_DIR/client$i.err" "$TAP_DIR/client$i.out" | tr '\r' '\n' | sed -n '
			s/^frames=\([0-9]*\) .*/\1/p
			s/^\([0-9]*\) packets captured.*/\1/p
			s/^Packets captured: \([0-9]*\).*/\1/p
			s/^ *\([0-9]*\)  *packets incoming.*/\1/p' | tail -n 1)
		delivered=$((delivered + ${frames:-0}))
		faults=$((faults + $(sed -n "s/.*holes=\([0-9]*\) duplicates=\([0-9]*\).*/\1 \2/p" \
			"$TAP_DIR/client$i.out" | tail -n 1 | awk -v lost=$((sent - arrived + dropped)) '
			{ n = $2 + ($1 > lost ? $1 - lost : 0) } END { print n + 0 }')))
	done
	[ "$1" != ncp ] || stop producer INT 20
}
