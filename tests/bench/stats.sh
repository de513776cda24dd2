#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# stats.sh - what ncp-stats costs the producer, and itself, at full speed.
#
# tests/bench/stats.sh [RUNS [FRAMES]]: an unpaced synth source of FRAMES, by turns alone, with
# ncp-stats that prints JSON, that is a server which a browser listens to, and that has a terminal of
# 200 columns and 60 rows.  The producer is on processor 0, the rest on processor 1.  Notes the
# producer's frames a second over the whole of a run, the ratio to the run alone before it, and
# ncp-stats' CPU time as a share of the run.
runs=${1:-5} frames=${2:-60000000}
. tests/bench/lib.sh
bus=$(bus_name bench)
export bus
has tmux || exit 0

# watch KIND: start it.
watch()
{
	case $1 in
	json) spawn stats taskset -c 1 ncp-stats -i "$bus" --json ;;
	listen)
		spawn stats taskset -c 1 ncp-stats --listen=127.0.0.1:0
		wait_for "grep -q 'port [0-9]' $TAP_DIR/stats.err" 10
		spawn browser taskset -c 1 curl -sN -H "Accept: text/event-stream" -o /dev/null \
			"http://127.0.0.1:$(sed -n 's/.*port \([0-9]*\).*/\1/p' "$TAP_DIR/stats.err")/api/v1/events"
		;;
	terminal)
		taskset -c 1 tmux -S "$TAP_DIR/tmux" -f /dev/null new-session -d -x 200 -y 60 \
			"exec ncp-stats -i $bus"
		pid[stats]=$(tmux -S "$TAP_DIR/tmux" display -p '#{pane_pid}')
		wait_for "tmux -S $TAP_DIR/tmux capture-pane -p | grep -q 'q quit'" 10
		;;
	esac
}

unwatch()
{
	case $1 in
	alone) return ;;
	terminal) tmux -S "$TAP_DIR/tmux" kill-server && unset "pid[stats]" ;;
	*) stop stats INT 10 ;;
	esac
	[ "$1" != listen ] || reap browser 10
}

# one KIND: a run; sets $rate and $share.
one()
{
	local start end before=0

	# It begins with its first client: when somebody watches already.
	spawn producer taskset -c 0 ncp-producer "synth:count=$frames,size=200,flows=1000" -b "$bus" -m 64M \
		--wait-clients 1 --unlink
	wait_for "ncp-stats -i $bus --once" 10
	[ "$1" = alone ] || { watch "$1"; before=$(cpu_ns stats); }
	start=$(now_ns)
	spawn client ncp-dump -i "$bus" -c 1 -w /dev/null
	reap producer 120
	end=$(now_ns)
	[ "$1" = alone ] || share=$(calc "100 * ($(cpu_ns stats) - $before) / ($end - $start)")
	rate=$(calc "$frames * 1e9 / ($end - $start)")
	unwatch "$1"
	reap client 10
}

for ((run = 1; run <= runs; run++)); do
	for kind in json listen terminal; do
		one alone
		alone=$rate
		one "$kind"
		note rate "$kind" 200 "$rate"
		note ratio "$kind" 200 "$(calc "$rate / $alone")"
		note share "$kind" 200 "$share"
	done
done
