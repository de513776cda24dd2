#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_producer_file.sh - files and bounded sources: waiting for clients, none loses a frame.
. tests/tap/tap.sh
. tests/system/lib.sh
plan 10

own_busses
bus=b

# The registry of a bus that ended stays while clients that drain it are listed there; the next
# producer of that name takes it over.
left()
{
	ls "$NCP_DIR" | grep -v "+clients$"
}

# A capture of 20000 numbered frames, made by the producer itself and judged by frame_check.
makes_a_capture()
{
	spawn p ncp-producer -b b -m 64M --reliable --wait-clients 1 synth:count=20000
	spawn d ncp-dump -i b --wait --reliable -w "$TAP_DIR/all.pcapng"
	reap p 20
	[ "$status" = 0 ]
	reap d 20
	[ "$status" = 0 ]
	frame_check "$TAP_DIR/all.pcapng" | grep "^frames=20000 first=0 last=19999 holes=0"
}

# Nobody comes: it waits, attachable, until it is told to end.
waits_for_nobody()
{
	spawn p ncp-producer -b b -m 8M --wait-clients 1 synth:
	wait_for '[ "$(value state)" = starting ]' 10
	[ "$(value published)" = 0 ]
	stop p TERM 5
	[ "$status" = 0 ]
	[ -z "$(left)" ]
}

# Two clients of a small ring, of which one is slow to start: none loses a frame.
two_reliable_clients()
{
	spawn p ncp-producer -b b -m 1M -s 1000 --json --reliable --wait-clients 2 \
		"file:$TAP_DIR/all.pcapng" --loop 20
	spawn d ncp-dump -i b --wait --reliable -w "$TAP_DIR/d.pcapng"
	wait_for '[ "$(value state)" = starting ]' 10
	[ "$(value published)" = 0 ]
	spawn e ncp-dump -i b --wait --reliable -w "$TAP_DIR/e.pcapng"
	reap p 60
	[ "$status" = 0 ]
	tail -n 1 "$TAP_DIR/p.err" | grep '"published":400000,.*"discarded":0,'
	reap d 20
	[ "$status" = 0 ]
	reap e 20
	[ "$status" = 0 ]
	[ "$(tcpdump -nr "$TAP_DIR/d.pcapng" 2>/dev/null | wc -l)" = 400000 ]
	[ "$(tcpdump -nr "$TAP_DIR/e.pcapng" 2>/dev/null | wc -l)" = 400000 ]
	[ -z "$(left)" ]
}

# One that stalls is waited for, but not for ever.
a_stalled_one_is_evicted()
{
	spawn p ncp-producer -b b -m 1M -s 1000 --reliable --reliable-timeout 300 --wait-clients 1 \
		synth:count=1000000
	spawn d ncp-dump -i b --wait --reliable -w "$TAP_DIR/d.pcapng"
	wait_for '[ "$(value published)" -gt 0 ]' 10
	kill -STOP "${pid[d]}"
	reap p 20
	[ "$status" = 0 ]
	kill -CONT "${pid[d]}"
	reap d 20
}

# The second signal does not wait for anybody.
second_signal_ends_at_once()
{
	spawn p ncp-producer -b b -m 1M -s 1000 --reliable --reliable-timeout 600000 \
		--wait-clients 1 synth:
	spawn d ncp-dump -i b --wait --reliable -w "$TAP_DIR/d.pcapng"
	wait_for '[ "$(value published)" -gt 0 ]' 10
	kill -STOP "${pid[d]}"
	# The ring is full: publishing stands still.
	until_still
	kill -INT "${pid[p]}"
	sleep 0.2
	tap_runs "${pid[p]}"
	stop p INT 5
	[ -z "$(left)" ]
	kill -CONT "${pid[d]}"
	reap d 20
}

# A capture that was cut in the middle of a frame: what is whole comes through.
truncated()
{
	local size

	size=$(stat -c %s "$TAP_DIR/all.pcapng")
	head -c $((size / 2 + 13)) "$TAP_DIR/all.pcapng" >"$TAP_DIR/cut.pcapng"
	whole=$(tcpdump -nr "$TAP_DIR/cut.pcapng" 2>/dev/null | wc -l)
	[ "$whole" -gt 5000 ]
	spawn p ncp-producer -b b -m 8M --reliable --wait-clients 1 "file:$TAP_DIR/cut.pcapng"
	spawn d ncp-dump -i b --wait --reliable -w "$TAP_DIR/d.pcapng"
	reap p 20
	[ "$status" = 1 ]
	reap d 20
	[ "$status" = 0 ]
	[ "$(tcpdump -nr "$TAP_DIR/d.pcapng" 2>/dev/null | wc -l)" = "$whole" ]
	[ "$(grep -c cut.pcapng: "$TAP_DIR/p.err")" = 1 ]
	[ -z "$(left)" ]
}

from_stdin()
{
	spawn p bash -c 'exec ncp-producer -b b -m 8M --keep - <"$1"' - "$TAP_DIR/all.pcapng"
	reap p 20
	[ "$status" = 0 ]
	[ "$(value published)" = 20000 ]
	ncp-producer --remove b
}

# A pipe in which nothing comes: the wait for it ends with a signal.
idle_stdin()
{
	mkfifo "$TAP_DIR/fifo"
	exec 5<>"$TAP_DIR/fifo"
	head -c 65000 "$TAP_DIR/all.pcapng" >&5
	spawn p ncp-producer -b b -m 8M "file:$TAP_DIR/fifo"
	wait_for '[ "$(value published)" -gt 100 ]' 10
	stop p TERM 5
	exec 5>&-
	[ "$status" = 0 ]
	[ -z "$(left)" ]
}

filtered()
{
	spawn p ncp-producer -b b -m 8M --json "file:$TAP_DIR/all.pcapng" less 10
	reap p 20
	[ "$status" = 0 ]
	tail -n 1 "$TAP_DIR/p.err" | grep '"published":0,.*"received":20000,.*"discarded":20000,'
}

run_step "--reliable --wait-clients brings every frame to a client" makes_a_capture
run_step "--wait-clients waits, and ends by a signal" waits_for_nobody
run_step "two reliable clients of a small ring lose nothing" two_reliable_clients
run_step "one that stalls is let go after --reliable-timeout" a_stalled_one_is_evicted
run_step "a second signal ends at once" second_signal_ends_at_once
run_step "a truncated capture: whole frames, one line, exit 1" truncated
run_step "a capture from stdin" from_stdin
run_step "a pipe that is idle keeps no signal waiting" idle_stdin
run_step "what the filter turns away is counted as discarded" filtered
is "" "$(ls "$NCP_DIR")" "nothing is left when no client was"
