#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_producer_live.sh - a bus on a live interface: stops, restarts, pauses, and its ledger.
. tests/tap/tap.sh
. tests/system/lib.sh
need_net
plan 15

own_busses

# Frames that have another origin (ARP, neighbours) are not let in: what is sent is what is seen.
start()
{
	spawn_in a "$1" ncp-producer --json "${@:2}" eth0 udp port 9
	wait_for '[ "$(bus_value eth0 state)" = live ] && [ "$(bus_value eth0 pid)" = "${pid['"$1"']}" ]' 10
}

# send N: from the other end, as fast as the kernel takes them; published so far is total.
total=0
send()
{
	in_netns b frame_send eth0 "$1" 100000 100 "$total"
	total=$((total + $1))
	wait_for '[ "$(bus_value eth0 published)" = "$total" ]' 10
}

# The ledger of the last object that a producer printed.
ledger_closes()
{
	python3 - "$TAP_DIR/$1.err" "$2" <<-'PY'
	import json, sys
	last = [json.loads(l) for l in open(sys.argv[1])][-1]
	run = last["this_epoch"]
	print(last)
	assert last["state"] == sys.argv[2]
	assert run["received"] == run["published"] + run["discarded"] + run["kernel_drops"]
	PY
}

is_paused()
{
	wait_for '[ "$(bus_value eth0 state)" = paused ]' 5
}

is_live()
{
	wait_for '[ "$(bus_value eth0 state)" = live ]' 5
}

nothing_left()
{
	[ -z "$(ls "$NCP_DIR")" ]
}

makes_a_pair()
{
	netns_make a
	netns_make b
	veth_pair a eth0 b eth0
}

captures()
{
	start p
	send 20000
	[ "$(in_netns a cat /sys/class/net/eth0/statistics/rx_packets)" -ge 20000 ]
}

# The sockets whose rings a process has mapped.
rings()
{
	sed -n 's/.*\(socket:.*\)/\1/p' "/proc/$1/maps" | sort -u
}

# A fork keeps what its parent had mapped: the kernel's ring must not be among that.
helper_has_no_ring()
{
	local helper

	helper=$(pgrep -P "${pid[p]}")
	[ "$(cat "/proc/$helper/comm")" = ncp-helper ]
	[ -n "$(rings "${pid[p]}")" ]
	[ -z "$(comm -12 <(rings "$helper") <(rings "${pid[p]}"))" ]
}

terminated()
{
	stop p TERM 5
	[ "$status" = 0 ]
	[ "$(bus_value eth0 state)" = stopped ]
	[ "$(bus_value eth0 published)" = "$total" ]
	ledger_closes p stopped
}

goes_on()
{
	local incarnation

	incarnation=$(bus_value eth0 incarnation)
	start p
	[ "$(bus_value eth0 incarnation)" = "$incarnation" ]
	[ "$(bus_value eth0 epoch)" = 2 ]
	[ "$(bus_value eth0 next_seq)" = "$total" ]
	send 10000
}

goes_down_and_up()
{
	ip -n "$(netns_name a)" link set eth0 down
	is_paused
	ip -n "$(netns_name a)" link set eth0 up
	is_live
	carrier_comes b eth0
	send 1000
}

goes_and_comes()
{
	ip -n "$(netns_name a)" link del eth0
	is_paused
	veth_pair a eth0 b eth0
	is_live
	carrier_comes b eth0
	send 1000
}

# The pauses stand in the stream: two begun, two ended.
marks_the_pauses()
{
	ncp-dump -i eth0 --snapshot -w "$TAP_DIR/all.pcapng"
	python3 - "$TAP_DIR/all.pcapng" <<-'PY'
	import struct, sys
	data, at, kinds = open(sys.argv[1], "rb").read(), 0, []
	while at < len(data):
	    kind, length = struct.unpack_from("=II", data, at)
	    if kind == 0x80006e63 and data[at + 8:at + 12] == b"ncp\0":
	        kinds.append(struct.unpack_from("=I", data, at + 12)[0])
	    at += length
	print(kinds)
	assert kinds.count(4) == 2 and kinds.count(5) == 2
	assert [k for k in kinds if k in (4, 5)] == [4, 5, 4, 5]
	PY
}

all_frames_once()
{
	frame_check "$TAP_DIR/all.pcapng" | tee "$TAP_DIR/check"
	grep "frames=$total first=0 .* holes=0 duplicates=0 other=0" "$TAP_DIR/check"
}

stops_while_down()
{
	ip -n "$(netns_name a)" link set eth0 down
	is_paused
	stop p TERM 5
	[ "$status" = 0 ]
	[ "$(bus_value eth0 state)" = stopped ]
	ip -n "$(netns_name a)" link set eth0 up
	carrier_comes b eth0
}

interrupted_and_kept()
{
	start p --keep
	send 100
	stop p INT 5
	[ "$status" = 0 ]
	[ "$(bus_value eth0 state)" = stopped ]
}

interrupted()
{
	start p
	[ "$(bus_value eth0 epoch)" = 4 ]
	stop p INT 5
	[ "$status" = 0 ]
	nothing_left
	total=0
}

unlinked()
{
	start p --unlink
	stop p TERM 5
	[ "$status" = 0 ]
	nothing_left
}

counted()
{
	spawn_in a p ncp-producer --json -c 777 eth0 udp port 9
	wait_for '[ "$(bus_value eth0 state)" = live ]' 10
	in_netns b frame_send eth0 5000 0 100
	reap p 5
	[ "$status" = 0 ]
	grep '"published":777,' "$TAP_DIR/p.err"
	ledger_closes p ended
	nothing_left
}

# Stopped under load: what was accepted is published or counted, each time.
stopped_under_load()
{
	local i

	spawn_in b sender frame_send eth0 100000000 20000 100
	for i in 1 2 3 4 5; do
		start p
		wait_for '[ "$(bus_value eth0 published)" -gt "'"$total"'" ]' 10
		stop p TERM 5
		[ "$status" = 0 ]
		ledger_closes p stopped
		total=$(bus_value eth0 published)
	done
	stop sender TERM 5
	[ "$(bus_value eth0 epoch)" = 5 ]
}

run_step "makes a pair of interfaces" makes_a_pair
run_step "publishes what is sent" captures
run_step "the helper does not have the kernel's ring" helper_has_no_ring
run_step "SIGTERM stops, keeps the bus, and the ledger closes" terminated
run_step "the next start goes on with the next number" goes_on
run_step "an interface that goes down pauses the bus until it is up" goes_down_and_up
run_step "so does one that is deleted and made again" goes_and_comes
run_step "the pauses are marked in the stream" marks_the_pauses
run_step "every frame is there, once" all_frames_once
run_step "SIGTERM stops a paused one" stops_while_down
run_step "SIGINT with --keep is a stop as well" interrupted_and_kept
run_step "SIGINT ends and removes the bus" interrupted
run_step "SIGTERM with --unlink does the same" unlinked
run_step "-c ends it, and the ledger closes" counted
run_step "stopped under load five times, the ledger closes each time" stopped_under_load
