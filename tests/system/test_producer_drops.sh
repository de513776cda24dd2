#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_producer_drops.sh - a stopped producer with little room in the kernel: each lost frame is counted.
. tests/tap/tap.sh
. tests/system/lib.sh
need_net
plan 9

own_busses
bus=b

# last KEY: of the producer's last object.
last()
{
	field "$TAP_DIR/p.json" "$1"
}

pair()
{
	netns_make a
	netns_make b
	veth_pair a eth0 b eth0
	carrier_comes b eth0
}

# exact SOURCE ARG...: twice more comes than there is room for, then some that find room again.
exact()
{
	local sent n marked i

	sweep p
	spawn_in a p ncp-producer -b b -m 64M -s 2000 -B 128 --json="$TAP_DIR/p.json" "${@:2}" "$1" \
		udp port 9
	wait_for '[ "$(value state)" = live ]' 10
	sent=0
	for i in 1 2; do
		kill -STOP "${pid[p]}"
		n=$(in_netns b frame_send eth0 5000 0 1000 "$sent" 64)
		sent=$((sent + n))
		kill -CONT "${pid[p]}"
		wait_for '[ "$(value kernel_drops)" -gt '"$((1000 * i))"' ]' 10
		# What found room again carries the count.
		n=$(in_netns b frame_send eth0 128 1000 100 "$sent" 64)
		sent=$((sent + n))
	done
	stop p TERM 10
	[ "$status" = 0 ]
	ncp-dump -q -i b --snapshot -w "$TAP_DIR/b.pcapng"
	ncp-producer --remove b
	tail -n 1 "$TAP_DIR/p.json"
	[ "$sent" = 10256 ]
	[ "$(last received)" = "$sent" ]
	[ $(($(last published) + $(last kernel_drops))) = "$sent" ]
	[ "$(last kernel_drops)" -gt 2000 ]
	# Not by our own counters alone: those that are in the file, and the marks in front of them.
	[ "$(capinfos -Mc "$TAP_DIR/b.pcapng" | sed -n 's/^Number of packets: *//p')" = "$(last published)" ]
	[ "$(tshark -r "$TAP_DIR/b.pcapng" -T fields -e udp.payload 2>/dev/null | cut -c 1-16 | sort -u |
		wc -l)" = "$(last published)" ]
	marked=$(tshark -r "$TAP_DIR/b.pcapng" -T fields -e frame.drop_count 2>/dev/null |
		awk '{ n += $1 } END { print n + 0 }')
	echo "marked $marked"
	[ "$marked" = "$(last kernel_drops)" ]
}

run_step "makes a veth pair" pair
run_step "published + dropped = sent, and the marks add up to it" exact eth0
run_step "with two workers, by flow" exact eth0 --workers 2
run_step "with three, in turn" exact eth0 --workers 3 --fanout lb
run_step "--immediate-mode" exact eth0 --immediate-mode
run_step "--immediate-mode, two workers" exact eth0 --immediate-mode --workers 2
run_step "any" exact any
run_step "any, two workers" exact any --workers 2
is "" "$(ls "$NCP_DIR")" "nothing is left"
