#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_restarts.sh - ten crashes and ten restarts of the producer under load: clients stay, nothing
# is numbered twice, the file stays whole.
. tests/tap/tap.sh
. tests/system/lib.sh
need_net
plan 8

own_busses
bus=$(bus_name restart)

summary()
{
	tail -n 1 "$1" | python3 -c 'import json, sys
o = json.loads(sys.stdin.read())
w = o["windows"]
print(len(w), o["lost"], w[0]["next_seq"] - w[0]["first_seq"] - w[0]["frames"] - w[0]["lost"],
      o["reattached"])'
}

start()
{
	spawn_in b producer ncp-producer -b "$bus" -m 64M --json veth-b
	wait_for 'grep -q "\"live\"" "$TAP_DIR/producer.err"' 10
}

# Frames come all the time; a round ends when the new producer has published some of them.
rounds()
{
	local round p

	for round in $(seq 10); do
		p=$(value published)
		wait_for "[ \$(value published) -gt $p ]" 5
		stop producer "$1" 10
		start
	done
}

begin()
{
	start
	spawn dump ncp-dump -i "$bus" -w "$TAP_DIR/dump.pcapng" --json
	wait_for 'ncp-stats -i "$bus" --once --json | grep -q ncp-dump' 10
	spawn_in a sender frame_send veth-a 3000000 20000
}

end()
{
	p=$(value published)
	wait_for "[ \$(value published) -gt $p ]" 5
	kill -TERM "${pid[sender]}"
	stop dump INT 20
	[ "$status" = 0 ]
	ncp-stats -i "$bus" --once --json >"$TAP_DIR/once.out"
	stop producer INT 10
}

run_step "two hosts, one wire" wire
run_step "a producer, a client that writes to disk, frames without end" begin
run_step "killed ten times, started again each time" rounds KILL
run_step "stopped ten times, started again each time" rounds TERM
run_step "stopped in order" end
is "1 0 0 0" "$(summary "$TAP_DIR/dump.err")" "one window, nothing lost, contiguous, never re-attached"
like '"epoch": ?21' "$(cat "$TAP_DIR/once.out")" "this was the twenty-first epoch of one bus"
# What passed while nobody watched is not in it; what is in it is in order and whole.
like 'duplicates=0 other=0' "$(frame_check "$TAP_DIR/dump.pcapng" 2>&1)" "the file is whole, no frame twice"
