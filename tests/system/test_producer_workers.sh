#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_producer_workers.sh - one interface, several workers: every frame once, whatever happens to them.
. tests/tap/tap.sh
. tests/system/lib.sh
need_net
plan 21

own_busses
bus=b

# producer ARG...: on bus b, until it is live.  Frames that have another origin are not let in.
producer()
{
	spawn_in a p ncp-producer -b b -m 64M -s 2000 --json="$TAP_DIR/p.json" "$@" eth0 udp port 9
	wait_for '[ "$(value state)" = live ] && [ "$(value pid)" = "${pid[p]}" ]' 10
}

# begin ARG...: a producer of a new bus, and a client that writes what it publishes.
begin()
{
	sweep p d s
	producer "$@"
	spawn d ncp-dump -q -i b --from oldest --json="$TAP_DIR/d.json" -w "$TAP_DIR/b.pcapng"
	wait_for '[ -s "$TAP_DIR/b.pcapng" ] && [ "$(ls "$NCP_DIR/ncp.b+clients")" ]' 10
}

# send N FIRST [PPS]: 64 flows.
send()
{
	in_netns b frame_send eth0 "$1" "${3:-0}" 100 "$2" 64
}

# finish: end both, in this order; all that was published is in the file.
finish()
{
	stop p TERM 10
	[ "$status" = 0 ]
	stop d INT 10
	[ "$status" = 0 ]
}

# ledger N WORKERS: of the last start; N: received, or "any".
ledger()
{
	python3 - "$TAP_DIR/p.json" "$1" "$2" <<-'PY'
	import json, sys
	last = [json.loads(l) for l in open(sys.argv[1])][-1]
	print(last)
	run, workers = last["this_epoch"], last["workers"]
	for c in [run] + ([last] if last["epoch"] == 1 else []):
	    assert c["received"] == c["published"] + c["discarded"] + c["kernel_drops"]
	assert len(workers) == int(sys.argv[3]) and all(w["source"] == "eth0" for w in workers)
	if last["epoch"] == 1: # the lines are cumulative
	    for key in "published", "received", "kernel_drops", "discarded", "bytes":
	        assert sum(w[key] for w in workers) == run[key], key
	    for w in workers:
	        assert w["received"] == w["published"] + w["discarded"] + w["kernel_drops"]
	if sys.argv[2] != "any":
	    assert run["received"] == int(sys.argv[2])
	PY
}

# Each worker had a part of the frames.
all_worked()
{
	python3 - "$TAP_DIR/p.json" <<-'PY'
	import json, sys
	last = [json.loads(l) for l in open(sys.argv[1])][-1]
	assert all(w["published"] > 0 for w in last["workers"]), last["workers"]
	PY
}

# The client saw one sequence without a hole; it has N frames.
one_sequence()
{
	python3 - "$TAP_DIR/d.json" "$1" <<-'PY'
	import json, sys
	last = [json.loads(l) for l in open(sys.argv[1])][-1]
	print(last)
	assert last["lost"] == 0 and last["frames"] == int(sys.argv[2])
	assert len(last["windows"]) == 1
	assert last["windows"][0]["next_seq"] - last["windows"][0]["first_seq"] == last["frames"]
	PY
}

# checked TEXT: what frame_check says of the file.
checked()
{
	frame_check -u "$TAP_DIR/b.pcapng" >"$TAP_DIR/check" || :
	cat "$TAP_DIR/check"
	grep "$1" "$TAP_DIR/check"
}

makes_a_pair()
{
	netns_make a
	netns_make b
	veth_pair a eth0 b eth0
	carrier_comes b eth0
}

# shares WORKERS ARG...: every frame once.  A ring has room for them all, in blocks that last more
# than a second: a busy machine is no reason to drop any.
shares()
{
	local before

	before=$(in_netns a cat /sys/class/net/eth0/statistics/rx_packets)
	begin --retire-ms 100 --workers "$@"
	send 40000 0
	finish
	[ "$(in_netns a cat /sys/class/net/eth0/statistics/rx_packets)" = $((before + 40000)) ]
	ledger 40000 "$1"
	one_sequence "$(value published)"
	[ "$(value kernel_drops)" = 0 ]
	checked "frames=40000 first=0 last=39999 holes=0 duplicates=0 other=0"
}

shares_by_flow()
{
	shares "$1"
	all_worked
}

# One flow is one worker's, so its frames stand in the order in which they came.
keeps_flows_in_order()
{
	tshark -r "$TAP_DIR/b.pcapng" -T fields -e udp.srcport -e udp.payload 2>/dev/null |
		awk '{ n = substr($2, 1, 16)
		       if ($1 in last && n <= last[$1]) bad++
		       last[$1] = n }
		     END { exit bad > 0 || length(last) != 64 }'
}

# Three fragments of each of 200 datagrams: as they were sent.
fragments()
{
	sweep p d s
	spawn_in a p ncp-producer -b b -m 64M -s 2000 --workers 2 eth0 ip proto 17
	wait_for '[ "$(value state)" = live ]' 10
	in_netns b python3 - <<-'PY'
	import socket, struct
	s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
	s.bind(("eth0", 0))
	def check(h):
	    n = sum(struct.unpack("!10H", h))
	    while n >> 16: n = (n & 0xffff) + (n >> 16)
	    return ~n & 0xffff
	for i in range(200):
	    data = struct.pack("!4H", 4000 + i % 50, 9, 8 + 1192, 0) + bytes(1192)
	    for k in range(3):
	        part = data[k * 400:(k + 1) * 400]
	        h = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(part), i, k * 50 | (0x2000 if k < 2
	            else 0), 64, 17, 0, bytes((10, 9, 0, i % 7)), bytes((10, 9, 0, 2)))
	        h = h[:10] + struct.pack("!H", check(h)) + h[12:]
	        s.send(bytes((2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0)) + h + part)
	PY
	wait_for '[ "$(value published)" = 600 ]' 10
	stop p TERM 10
	ncp-dump -q -i b --snapshot -w "$TAP_DIR/b.pcapng"
	tshark -o ip.defragment:FALSE -r "$TAP_DIR/b.pcapng" -T fields -e ip.id -e ip.frag_offset \
		-e frame.len 2>/dev/null | sort | uniq -c | awk '{ print $1, $4 }' | sort | uniq -c |
		sed 's/^ *//' >"$TAP_DIR/parts"
	cat "$TAP_DIR/parts"
	[ "$(cat "$TAP_DIR/parts")" = "600 1 434" ]
}

# Each worker on one processor; no two on the same while there is another.
pinned()
{
	local cpus

	sweep p d s
	producer --workers 2
	cpus=$(grep -l ncp-worker /proc/"${pid[p]}"/task/*/comm | while read -r f; do
		sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "${f%comm}status"
	done | sort -u)
	echo "$cpus"
	[ "$(grep -c '^[0-9]*$' <<<"$cpus")" = "$(wc -l <<<"$cpus")" ]
	[ "$(nproc)" = 1 ] || [ "$(wc -l <<<"$cpus")" = 2 ]
	# The others of the process are free.
	[ "$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "/proc/${pid[p]}/status")" = \
		"$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)" ]
	stop p TERM 10
}

# Started in the middle of traffic that the filter refuses: nothing of that is seen by any socket.
filtered_from_the_start()
{
	local i

	sweep p d s
	spawn_in b s frame_send eth0 10000000 100000 100 0 64
	for i in 1 2 3; do
		spawn_in a p ncp-producer -b b -m 64M -s 2000 --workers 4 \
			--json="$TAP_DIR/p.json" eth0 udp port 10
		wait_for '[ "$(value state)" = live ]' 10
		stop p TERM 10
		ledger 0 4
		ncp-producer --remove b
	done
	stop s KILL 5
}

counted()
{
	sweep p d s
	spawn_in a p ncp-producer -b b -m 64M -s 2000 --workers 4 --keep -c 12345 \
		--json="$TAP_DIR/p.json" eth0 udp port 9
	wait_for '[ "$(value state)" = live ]' 10
	send 50000 0
	reap p 10
	[ "$status" = 0 ]
	[ "$(value published)" = 12345 ]
	ledger any 4
}

# Little room in the kernel and a producer that sleeps: what is dropped is counted, to the frame.
drops()
{
	local dropped

	begin --workers 2 -B 128
	kill -STOP "${pid[p]}"
	send 40000 0
	kill -CONT "${pid[p]}"
	wait_for '[ "$(value kernel_drops)" -gt 0 ]' 10
	# Published without a gap in front: the last drops are marked on these.
	send 640 40000 10000
	finish
	ledger 40640 2
	dropped=$(value kernel_drops)
	[ "$dropped" -gt 1000 ]
	checked "frames=$((40640 - dropped)) first=0 last=40639 holes=$dropped duplicates=0"
	[ "$(tshark -r "$TAP_DIR/b.pcapng" -T fields -e frame.drop_count 2>/dev/null |
		awk '{ n += $1 } END { print n + 0 }')" = "$dropped" ]
}

stopped_under_load()
{
	local i

	sweep p d s
	spawn_in b s frame_send eth0 100000000 50000 100 0 64
	for i in 1 2 3 4; do
		producer --workers 4
		wait_for '[ "$(value published)" -gt $((i * 10000)) ]' 10
		stop p TERM 10
		[ "$status" = 0 ]
		[ "$(value state)" = stopped ]
		ledger any 4
	done
	stop s KILL 5
	[ "$(value epoch)" = 4 ]
}

# Killed and started again, with another number of workers, under load and under a client's eyes.
killed()
{
	local workers epoch=1

	begin --workers 4
	spawn_in b s frame_send eth0 100000000 20000 100 0 64
	for workers in 2 1 3 4; do
		wait_for '[ "$(value published)" -gt $((epoch * 5000)) ]' 10
		stop p KILL 5
		producer --workers "$workers"
		epoch=$((epoch + 1))
	done
	wait_for '[ "$(value published)" -gt 25000 ]' 10
	[ "$(value epoch)" = 5 ]
	finish
	stop s KILL 5
	ledger any 4
	one_sequence "$(value published)"
	checked "duplicates=0 other=0"
}

is_paused()
{
	wait_for '[ "$(value state)" = paused ]' 5
}

# again FIRST: it is live, and 6400 frames from FIRST on come.
again()
{
	local before

	wait_for '[ "$(value state)" = live ]' 5
	carrier_comes b eth0
	before=$(value published)
	send 6400 "$1" 100000
	wait_for '[ "$(value published)" = $(('"$before"' + 6400)) ]' 10
}

# The processor time a paused producer takes while it prints two of its lines, one a second.
rests()
{
	local lines ticks

	lines=$(wc -l <"$TAP_DIR/p.json")
	ticks=$(awk '{ print $14 + $15 }' "/proc/${pid[p]}/stat")
	wait_for '[ "$(wc -l <"$TAP_DIR/p.json")" -ge $((lines + 2)) ]' 10
	ticks=$(($(awk '{ print $14 + $15 }' "/proc/${pid[p]}/stat") - ticks))
	echo "$ticks ticks"
	[ "$ticks" -lt 20 ]
}

down_and_up()
{
	begin --workers 2
	again 0
	ip -n "$(netns_name a)" link set eth0 down
	is_paused
	rests
	ip -n "$(netns_name a)" link set eth0 up
	again 6400
}

# Members of a group cannot be bound again: the helper opens others.
gone_and_back()
{
	local i

	for i in 2 3 4; do
		ip -n "$(netns_name a)" link del eth0
		is_paused
		[ $i != 2 ] || rests
		veth_pair a eth0 b eth0
		again $((i * 6400))
	done
	finish
	ledger $((5 * 6400)) 2
	all_worked
	one_sequence $((5 * 6400))
	checked "frames=32000 first=0 last=31999 holes=0 duplicates=0 other=0"
}

# The pause of an interface is marked once, however many workers it has.
marked_once()
{
	python3 - "$TAP_DIR/b.pcapng" <<-'PY'
	import struct, sys
	data, at, marks = open(sys.argv[1], "rb").read(), 0, []
	while at < len(data):
	    kind, length = struct.unpack_from("=II", data, at)
	    if kind == 0x80006e63 and data[at + 8:at + 12] == b"ncp\0":
	        k = struct.unpack_from("=I", data, at + 12)[0]
	        if k in (4, 5):
	            marks.append((k,) + struct.unpack_from("=II", data, at + 56))
	    at += length
	print(marks)
	assert [m[0] for m in marks] == [4, 5] * 4
	assert all(m[2] == 1 for m in marks) # about interface 0
	PY
}

# Deleted and made again while frames come all the time.
gone_under_load()
{
	local i n

	begin --workers 2
	cat >"$TAP_DIR/sender" <<-'END'
	while :; do frame_send eth0 1000000 20000 100 "$(date +%s%N)" 64; done
	END
	spawn_in b s bash "$TAP_DIR/sender"
	for i in 1 2 3; do
		n=$(value published)
		wait_for '[ "$(value published)" -gt $((n + 3000)) ]' 10
		ip -n "$(netns_name a)" link del eth0
		veth_pair a eth0 b eth0
	done
	n=$(value published)
	wait_for '[ "$(value published)" -gt $((n + 3000)) ]' 10
	kill -KILL -- "-${pid[s]}"
	reap s 5
	finish
	ledger any 2
	one_sequence "$(value published)"
	checked "duplicates=0 other=0"
}

# Some kernels let no socket join a group while the interface is down.
started_while_down()
{
	sweep p d s
	ip -n "$(netns_name a)" link set eth0 down
	spawn_in a p ncp-producer -b b -m 64M -s 2000 --workers 2 --json="$TAP_DIR/p.json" \
		eth0 udp port 9
	is_paused
	ip -n "$(netns_name a)" link set eth0 up
	again 0
	stop p TERM 10
	ledger 6400 2
	all_worked
}

stops_while_gone()
{
	sweep p d s
	producer --workers 2
	ip -n "$(netns_name a)" link del eth0
	is_paused
	stop p TERM 5
	[ "$status" = 0 ]
	[ "$(value state)" = stopped ]
	veth_pair a eth0 b eth0
}

# Without the helper nobody can open it again: an end, said.
helper_gone()
{
	local helper

	sweep p d s
	spawn_in a p ncp-producer -b b -m 64M -s 2000 --workers 2 eth0
	wait_for '[ "$(value state)" = live ]' 10
	helper=$(pgrep -P "${pid[p]}")
	ip -n "$(netns_name a)" link del eth0
	is_paused
	kill -KILL "$helper"
	veth_pair a eth0 b eth0
	reap p 10
	[ "$status" = 1 ]
	grep "^ncp-producer: interface eth0: the helper process, .* is gone: start ncp-producer again" \
		"$TAP_DIR/p.err"
}

run_step "makes a pair of interfaces" makes_a_pair
run_step "two workers publish every frame once, in one sequence" shares_by_flow 2
run_step "so do four" shares_by_flow 4
run_step "a flow's frames stand in order" keeps_flows_in_order
run_step "--fanout cpu" shares 2 --fanout cpu
run_step "--fanout lb" shares 2 --fanout lb
run_step "--fanout qm" shares 2 --fanout qm
run_step "fragments are not put together" fragments
run_step "each worker stays on a processor" pinned
run_step "no frame passes before the filter" filtered_from_the_start
run_step "-c counts all workers' frames" counted
run_step "dropped frames are counted and marked to the frame" drops
run_step "stopped under load four times, the ledger closes each time" stopped_under_load
run_step "killed four times under load, the sequence goes on" killed
run_step "down: paused, at rest; up: goes on" down_and_up
run_step "deleted: paused, at rest; made again: goes on" gone_and_back
run_step "a pause is marked once" marked_once
run_step "deleted under load three times, no frame comes twice" gone_under_load
run_step "started while the interface is down" started_while_down
run_step "stops while the interface is gone" stops_while_gone
run_step "without its helper it cannot go on, and says so" helper_gone
