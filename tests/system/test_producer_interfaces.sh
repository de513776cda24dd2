#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_producer_interfaces.sh - several sources in one bus, which come and go while clients are there.
. tests/tap/tap.sh
. tests/system/lib.sh
need_net
plan 16

own_busses
bus=lan

state_is()
{
	wait_for '[ "$(value state)" = '"$1"' ] && [ "$(value pid)" = "${pid[p]}" ]' 10
}

# producer STATE ARG...: a producer of a new bus, until it is in that state, and a client that
# writes what it publishes.
producer()
{
	sweep p d
	spawn_in a p ncp-producer -b lan -m 64M -s 2000 --json="$TAP_DIR/p.json" "${@:2}"
	state_is "$1"
	rm -f "$TAP_DIR/lan.pcapng"
	spawn d ncp-dump -q -i lan --from oldest --json="$TAP_DIR/d.json" -w "$TAP_DIR/lan.pcapng"
	wait_for '[ "$(ls "$NCP_DIR/ncp.lan+clients")" ]' 10
}

# send IFACE N FIRST: to a's interface of that name; total is what has come in all.
send()
{
	carrier_comes b "$1"
	in_netns b frame_send "$1" "$2" 50000 100 "$3" 16
	total=$((total + $2))
	wait_for '[ "$(value published)" = "$total" ]' 10
}

finish()
{
	stop p TERM 10
	[ "$status" = 0 ]
	stop d INT 10
	[ "$status" = 0 ]
	total=0
}

# frames NAME...: of each interface in the file, as tshark tells, against "NAME COUNT" lines.
frames_are()
{
	tshark -r "$TAP_DIR/lan.pcapng" -T fields -e frame.interface_name 2>/dev/null | sort |
		uniq -c | awk '{ print $2, $1 }' >"$TAP_DIR/frames"
	printf '%s\n' "$@" | diff - "$TAP_DIR/frames"
}

# described NAME...: what capinfos finds described in the file, in this order.
described()
{
	capinfos "$TAP_DIR/lan.pcapng" | sed -n 's/^ *Name = //p' >"$TAP_DIR/names"
	printf '%s\n' "$@" | diff - "$TAP_DIR/names"
	capinfos "$TAP_DIR/lan.pcapng" | grep "Number of interfaces in file: $#"
}

checked()
{
	frame_check -u "$TAP_DIR/lan.pcapng" >"$TAP_DIR/check" || :
	cat "$TAP_DIR/check"
	grep "$1" "$TAP_DIR/check"
}

# per_interface "NAME COUNT"...: received and published, as ncp-stats tells; and the ledger closes.
per_interface()
{
	ncp-stats --once --json -i lan >"$TAP_DIR/stats"
	python3 - "$TAP_DIR/stats" "$TAP_DIR/p.json" "$@" <<-'PY'
	import json, sys
	seen = json.load(open(sys.argv[1]))
	print(seen["interfaces"])
	want = {name: int(n) for name, n in (a.split() for a in sys.argv[3:])}
	assert {i["name"]: i["published"] for i in seen["interfaces"]} == want
	assert {i["name"]: i["received"] - i["kernel_drops"] for i in seen["interfaces"]} == want
	last = [json.loads(l) for l in open(sys.argv[2])][-1]
	assert last["received"] == last["published"] + last["discarded"] + last["kernel_drops"]
	by = {}
	for w in last["workers"]:
	    by[w["source"]] = by.get(w["source"], 0) + w["published"]
	assert by == want, by
	PY
}

makes_pairs()
{
	netns_make a
	netns_make b
	veth_pair a eth0 b eth0
	veth_pair a eth1 b eth1
	total=0
}

two_in_one()
{
	producer live eth0,eth1 udp port 9
	send eth0 1000 0
	send eth1 500 1000
	send eth0 1000 1500
	finish
	described eth0 eth1
	frames_are "eth0 2000" "eth1 500"
	checked "frames=2500 first=0 last=2499 holes=0 duplicates=0 other=0"
	per_interface "eth0 2000" "eth1 500"
}

# In every client's output: the line that ncp-dump prints.
named_in_print()
{
	ncp-dump -i lan --snapshot >"$TAP_DIR/print"
	tail -n 1 "$TAP_DIR/print"
	[ "$(grep -c ' eth0 ' "$TAP_DIR/print")" = 2000 ]
	[ "$(grep -c ' eth1 ' "$TAP_DIR/print")" = 500 ]
}

with_workers()
{
	producer live --workers 2 -i eth0 -i eth1 udp port 9
	[ "$(value published)" = 0 ]
	send eth0 3200 0
	send eth1 3200 3200
	finish
	described eth0 eth1
	checked "frames=6400 first=0 last=6399 holes=0 duplicates=0 other=0"
	per_interface "eth0 3200" "eth1 3200"
	[ "$(tail -n 1 "$TAP_DIR/p.json" | grep -o '"source":"eth1"' | wc -l)" = 2 ]
}

link()
{
	ip -n "$(netns_name a)" link set "$1" "$2"
}

# One that is down keeps nobody from reading the other; none: paused.
one_down()
{
	producer live eth0,eth1 udp port 9
	link eth1 down
	wait_for 'marks | grep -qx "4 2"' 5
	[ "$(value state)" = live ]
	send eth0 100 0
	link eth0 down
	state_is paused
	link eth1 up
	state_is live
	send eth1 100 100
	link eth0 up
	wait_for 'marks | grep -qx "5 1"' 5
	send eth0 100 200
	finish
	frames_are "eth0 200" "eth1 100"
	[ "$(marks | tr '\n' ,)" = "4 2,4 1,5 2,5 1," ]
}

# marks: kind and interface (1 + its number) of each pause and its end, in the segment's ring, which
# is not yet full.
marks()
{
	python3 - "$NCP_DIR/ncp.lan" <<-'PY'
	import struct, sys
	with open(sys.argv[1], "rb") as f:
	    header = f.read(4096)
	    ring, head = struct.unpack_from("=Q", header, 24)[0], struct.unpack_from("=Q", header, 768)[0]
	    f.seek(ring)
	    data, at = f.read(head), 0
	while at < head:
	    kind, length = struct.unpack_from("=II", data, at)
	    if kind == 0x80006e63 and data[at + 8:at + 12] == b"ncp\0":
	        k = struct.unpack_from("=I", data, at + 12)[0]
	        if k in (4, 5):
	            print(k, struct.unpack_from("=I", data, at + 60)[0])
	    at += length
	PY
}

# Deleted and made again under the eyes of a client: the same interface to it.
one_gone()
{
	producer live "$@" eth0,eth1 udp port 9
	send eth1 100 0
	ip -n "$(netns_name a)" link del eth1
	wait_for 'marks | grep -qx "4 2"' 5
	[ "$(value state)" = live ]
	send eth0 100 100
	veth_pair a eth1 b eth1
	wait_for 'marks | grep -qx "5 2"' 5
	send eth1 100 200
	finish
	described eth0 eth1
	frames_are "eth0 100" "eth1 200"
	checked "frames=300 first=0 last=299 holes=0 duplicates=0 other=0"
}

# It is made while ncp-dump writes: described behind the frames that came before.
appears()
{
	producer live "$@" --wait eth0,eth2 udp port 9
	send eth0 1000 0
	wait_for '[ "$(stat -c %s "$TAP_DIR/lan.pcapng")" -gt 100000 ]' 10
	veth_pair a eth2 b eth2
	# Nothing tells that it is awaited no more: until the first of its frames is seen.
	wait_for 'in_netns b frame_send eth2 1 0 60 9999999 && [ "$(value published)" -gt 1000 ]' 10
	until_still
	total=$(value published)
	send eth2 1000 1000
	ip -n "$(netns_name a)" link del eth2
	finish
	described eth0 eth2
	[ "$(tshark -r "$TAP_DIR/lan.pcapng" -Y 'frame.interface_name == "eth2" && frame.len == 100' \
		2>/dev/null | wc -l)" = 1000 ]
	checked "first=0" # libpcap reads it, too
}

# None of them is there: paused, until one is.
none_there()
{
	sweep p d
	spawn_in a p ncp-producer -b lan -m 64M -s 2000 --wait eth8,eth9
	state_is paused
	veth_pair a eth9 b eth9
	state_is live
	stop p TERM 5
	[ "$status" = 0 ]
	in_netns a ip link del eth9
}

# As another kind than a filter is compiled for while nobody knows: it is compiled again.
appears_as_another()
{
	producer paused --wait tun7 "$@"
	in_netns a ip tuntap add mode tun name tun7
	in_netns a ip link set tun7 up
	state_is live
	n=$(in_netns a frame_mix tun7)
	wait_for '[ "$(value published)" = "$n" ]' 5
	finish
	tshark -r "$TAP_DIR/lan.pcapng" -T fields -e frame.encap_type 2>/dev/null | sort -u |
		grep -x 7
	in_netns a ip link del tun7
}

# Two link types in one bus: one file, which tshark reads.
mixed_link_types()
{
	in_netns a ip tuntap add mode tun name tun7
	in_netns a ip link set tun7 up
	producer live eth0,tun7
	n=$(in_netns a frame_mix tun7)
	wait_for '[ "$(value published)" -ge "$n" ]' 5
	in_netns b frame_send eth0 10 0 100
	wait_for '[ "$(value published)" -ge $((n + 10)) ]' 5
	finish
	described eth0 tun7
	[ "$(tshark -r "$TAP_DIR/lan.pcapng" -Y 'frame.interface_name == "tun7"' 2>/dev/null |
		wc -l)" = "$n" ]
	in_netns a ip link del tun7
}

# Other kinds beside an interface: each ends for itself, the bus with the last of them.
mixed_kinds()
{
	producer live -i synth:count=1000 -i eth0 udp port 9
	wait_for '[ "$(value published)" = 1000 ]' 10
	total=1000
	[ "$(value state)" = live ]
	send eth0 500 1000
	finish
	[ "$(value state)" = stopped ]
	frames_are "eth0 500" "synth 1000"
	sweep p d
	spawn p ncp-producer -b lan --json="$TAP_DIR/p.json" -i synth:count=1000 \
		-i "file:$TAP_DIR/lan.pcapng"
	reap p 10
	[ "$status" = 0 ]
	tail -n 1 "$TAP_DIR/p.json" | grep '"state":"ended".*"published":2500,'
	[ -z "$(ls "$NCP_DIR")" ]
}

# One line, and its exit status.
refused()
{
	local want=$1 regex=$2

	sweep p d
	spawn_in a p ncp-producer "${@:3}"
	reap p 10
	grep -v '^ncp-producer: user' "$TAP_DIR/p.err" >"$TAP_DIR/said" || :
	cat "$TAP_DIR/said"
	[ "$status" = "$want" ]
	[ "$(wc -l <"$TAP_DIR/said")" = 1 ]
	grep "^ncp-producer: $regex" "$TAP_DIR/said"
	[ -z "$(ls "$NCP_DIR")" ]
}

refusals()
{
	refused 2 "bus: several sources have no name of their own: give one with -b" eth0,eth1
	refused 1 "interface nope0: no such interface: .*-D" -b lan eth0,nope0
	refused 2 "source eth0: given twice: .*: give it once" -b lan eth0,eth1,eth0
	refused 2 "--workers: source synth:: its frames come one after the other: " \
		-b lan --workers 2 eth0,synth:
	refused 2 "ring size: .* so many workers: give -m 65536K" -b lan -m 32M --workers 4 \
		eth0,eth1
	refused 2 "filter" -b lan eth0,eth1 'tcp prot 80'
}

run_step "makes two pairs of interfaces" makes_pairs
run_step "two interfaces in one bus, named in the file" two_in_one
run_step "and in what ncp-dump prints" named_in_print
run_step "with two workers each" with_workers
run_step "one down: live; both: paused; marks name the one" one_down
run_step "one is deleted and made again: the same to a client" one_gone
run_step "the same with two workers each" one_gone --workers 2
run_step "one is made while ncp-dump writes" appears
run_step "the same with two workers each" appears --workers 2
run_step "none is there: paused until one is" none_there
if has_tun; then
	run_step "one that is awaited and is not Ethernet" appears_as_another
	run_step "with a filter that is compiled for it then" appears_as_another ip or ip6
	run_step "two link types in one file" mixed_link_types
else
	skip 3 "/dev/net/tun cannot be opened"
fi
run_step "other kinds of sources beside an interface" mixed_kinds
run_step "refusals are one clear line" refusals
is "" "$(ls "$NCP_DIR")" "nothing is left"
