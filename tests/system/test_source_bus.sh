#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_source_bus.sh - a narrower view of a bus is a bus: what it shows, and what its ledger says.
. tests/tap/tap.sh
. tests/system/lib.sh
need_net
plan 15

own_busses 1777 # as /dev/shm: others make busses there, too
trap 'setsid_end "$TAP_DIR/v.json"; tap_on_exit' EXIT

# produce NAME ARG...: a producer of the bus NAME, until it can be attached.
produce()
{
	rm -f "$TAP_DIR/$1.json" # of the one before
	spawn "$1" ncp-producer -b "$1" --json="$TAP_DIR/$1.json" "${@:2}"
	wait_for "grep '\"ring_size\"' '$TAP_DIR/$1.json'" 10
}

is_state()
{
	wait_for "[ \"\$(bus_value $1 state)\" = $2 ]" 10
}

# hang_up REGEX: v reads its file again, until that was said of it.
hang_up()
{
	local before

	before=$(grep -Ec "\"note\":\".*$1" "$TAP_DIR/v.json" || :)
	kill -HUP "$(bus_value v pid)"
	wait_for "[ \"\$(grep -Ec '\"note\":\".*$1' '$TAP_DIR/v.json')\" = $((before + 1)) ]" 10
}

# The file of -F is read again, while frames come: what both filters accept is all there.  As a service:
# without a terminal.
reloaded()
{
	local i name

	sweep a b v w d
	echo "greater 1000" >"$TAP_DIR/f"
	produce a -m 64M -s 100 --keep --wait-clients 1 --reliable synth:pps=5000,imix
	spawn v setsid -w ncp-producer -b v -m 64M -s 100 --json="$TAP_DIR/v.json" --keep --reliable \
		-F "$TAP_DIR/f" bus:a
	wait_for '[ "$(bus_value v published)" -gt 100 ]' 10
	for i in 1 2 3 4 5; do
		echo "greater 500" >"$TAP_DIR/f"
		hang_up "read again, and in force"
		echo "greater greater" >"$TAP_DIR/f"
		hang_up "the filter stays as it is: filter: .*syntax error"
		echo "wlan addr1 1:2:3:4:5:6" >"$TAP_DIR/f" # nothing, on what there is
		hang_up "the filter stays as it is: filter: .*802.11"
		echo "greater 1000" >"$TAP_DIR/f"
		hang_up "read again, and in force"
	done
	stop a TERM 10
	reap v 20
	[ "$status" = 0 ]
	ledger "$TAP_DIR/v.json"
	[ "$(field "$TAP_DIR/v.json" received)" = "$(field "$TAP_DIR/a.json" published)" ]
	[ "$(field "$TAP_DIR/v.json" kernel_drops)" = 0 ]
	for name in a v; do
		ncp-dump -q -i "$name" --snapshot -w "$TAP_DIR/$name.pcapng"
		tcpdump -r "$TAP_DIR/$name.pcapng" -tt -xx greater 1000 2>/dev/null >"$TAP_DIR/$name.txt"
	done
	cmp "$TAP_DIR/a.txt" "$TAP_DIR/v.txt"
	# Some of the others, of which there are four times as many, while they were accepted.
	local big
	big=$(grep -c '^[0-9]' "$TAP_DIR/a.txt")
	[ "$big" -gt 100 ]
	[ "$(field "$TAP_DIR/v.json" published)" -gt "$big" ]
	[ "$(field "$TAP_DIR/v.json" published)" -lt $((5 * big)) ]
}

# Three in a row, each of which waits for the next: no frame is lost on the way.
reliable_chain()
{
	produce a -m 1M -s 1000 --reliable --wait-clients 1 --reliable-timeout 60000 synth:count=200000
	produce v -m 1M -s 1000 --reliable --wait-clients 1 --reliable-timeout 60000 bus:a
	produce w -m 1M -s 1000 --reliable --wait-clients 1 --reliable-timeout 60000 bus:v
	spawn d ncp-dump -i w --wait --reliable -w "$TAP_DIR/d.pcapng"
	for name in a v w d; do
		reap "$name" 60
		[ "$status" = 0 ]
	done
	frame_check "$TAP_DIR/d.pcapng" | grep "^frames=200000 first=0 last=199999 holes=0 duplicates=0 other=0"
	for name in a v w; do
		ledger "$TAP_DIR/$name.json"
		[ "$(field "$TAP_DIR/$name.json" received)" = 200000 ]
		[ "$(field "$TAP_DIR/$name.json" state)" = ended ]
	done
	# Nothing is left but, for a second, lines of clients that are gone.
	! ls "$NCP_DIR" | grep -v "+clients$"
}

# kept FILE: all that a view keeps.
kept()
{
	tshark -r "$1" -T fields -e frame.time_epoch -e frame.interface_name -e frame.encap_type -e frame.len \
		-e frame.packet_flags -e ip.id -e udp.srcport -e udp.payload 2>/dev/null
}

# Two interfaces, both directions, tags and all: the same frames, with their times and flags.
keeps_all()
{
	local n

	sweep a b v w d
	in_netns a ip tuntap add tun0 mode tun
	ip -n "$(netns_name a)" link set tun0 up
	spawn_in a a ncp-producer -b a -m 64M -s 65536 --json="$TAP_DIR/a.json" eth0,tun0
	is_state a live
	produce v -m 64M -s 65536 bus:a
	is_state v live
	n=$(in_netns b frame_mix eth0 "$(in_netns a cat /sys/class/net/eth0/address)")
	n=$((n + $(in_netns a frame_mix tun0)))
	n=$((n + $(in_netns a frame_send eth0 100 0 200)))
	wait_for "[ \"\$(bus_value v published)\" = $n ]" 10
	stop v TERM 10
	[ "$status" = 0 ]
	stop a TERM 10
	ledger "$TAP_DIR/v.json"
	[ "$(field "$TAP_DIR/v.json" received)" = "$n" ]
	for name in a v; do
		ncp-dump -q -i "$name" --snapshot -w "$TAP_DIR/$name.pcapng"
		kept "$TAP_DIR/$name.pcapng" >"$TAP_DIR/$name.txt"
		[ "$(wc -l <"$TAP_DIR/$name.txt")" = "$n" ]
	done
	diff "$TAP_DIR/a.txt" "$TAP_DIR/v.txt"
	[ "$(cut -f 2 "$TAP_DIR/v.txt" | sort -u | xargs)" = "eth0 tun0" ]
	[ "$(bus_value v state)" = stopped ]
}

# view_of_flows ARG...: of four flows, one; of each of its frames, 60 bytes.
narrower()
{
	sweep a b v w d
	produce a -m 64M -s 2000 --wait-clients 1 --reliable synth:count=40000,size=500,flows=4,seed=1
	produce v -m 64M -s 60 --reliable bus:a "src host $(first_source)"
	reap a 20
	reap v 20
	[ "$status" = 0 ]
	ledger "$TAP_DIR/v.json"
	[ "$(field "$TAP_DIR/v.json" published)" = 10000 ]
	[ "$(field "$TAP_DIR/v.json" discarded)" = 30000 ]
	[ "$(field "$TAP_DIR/v.json" bytes)" = 600000 ]
	[ "$(field "$TAP_DIR/v.json" truncated)" = 10000 ]
}

first_source()
{
	ncp-producer -b q --keep -m 8M synth:count=1,seed=1,flows=4 >/dev/null 2>&1
	ncp-dump -q -i q --snapshot -w "$TAP_DIR/q.pcapng"
	ncp-producer --remove q
	tshark -r "$TAP_DIR/q.pcapng" -T fields -e ip.src 2>/dev/null
}

outbound_only()
{
	sweep a b v w d
	spawn_in a a ncp-producer -b a -m 16M -s 2000 --json="$TAP_DIR/a.json" eth0
	is_state a live
	produce v -m 16M -s 2000 -Q out bus:a
	is_state v live
	in_netns a frame_send eth0 50 0 100 0
	in_netns b frame_send eth0 70 0 100 50
	wait_for '[ $(($(bus_value v published) + $(bus_value v discarded))) = 120 ]' 10
	stop v TERM 10
	ledger "$TAP_DIR/v.json"
	[ "$(field "$TAP_DIR/v.json" published)" = 50 ]
}

# A view that is stopped while its bus laps it: what it lost is its own loss, exact and marked.
lapped()
{
	local k

	sweep a b v w d
	produce a -m 1M -s 200 --wait-clients 1 synth:pps=200000
	produce v -m 64M -s 200 bus:a
	wait_for '[ "$(bus_value v published)" -gt 1000 ]' 10
	kill -STOP "${pid[v]}"
	n=$(bus_value a published)
	wait_for "[ \"\$(bus_value a published)\" -gt $((n + 100000)) ]" 20
	kill -CONT "${pid[v]}"
	wait_for '[ "$(bus_value v kernel_drops)" -gt 0 ]' 10
	n=$(bus_value v published)
	wait_for "[ \"\$(bus_value v published)\" -gt $((n + 1000)) ]" 10
	stop v TERM 10
	[ "$status" = 0 ]
	stop a TERM 10
	ledger "$TAP_DIR/v.json"
	k=$(field "$TAP_DIR/v.json" kernel_drops)
	[ "$k" -gt 50000 ]
	ncp-dump -q -i v --snapshot -w "$TAP_DIR/v.pcapng"
	frame_check "$TAP_DIR/v.pcapng" >"$TAP_DIR/check" || :
	cat "$TAP_DIR/check"
	grep "^frames=$(field "$TAP_DIR/v.json" published) .*holes=$k duplicates=0 other=0" "$TAP_DIR/check"
	[ "$(tests/tools/dropcounts.py "$TAP_DIR/v.pcapng")" = "$k" ]
}

# Marks of the bus that is viewed go on to the next frame that is shown.
passes_marks_on()
{
	sweep a b v w d
	produce a -m 1M -s 200 --wait-clients 1 synth:pps=200000
	produce v -m 64M -s 200 bus:a
	produce w -m 64M -s 200 --keep bus:v "udp[15] & 1 = 0"
	wait_for '[ "$(bus_value w published)" -gt 1000 ]' 10
	kill -STOP "${pid[v]}"
	n=$(bus_value a published)
	wait_for "[ \"\$(bus_value a published)\" -gt $((n + 100000)) ]" 20
	kill -CONT "${pid[v]}"
	wait_for '[ "$(bus_value w kernel_drops)" -gt 0 ]' 10
	# It ends, and with it the other two, one after the other, when they have drained it.
	stop a TERM 10
	reap v 10
	reap w 10
	ledger "$TAP_DIR/v.json"
	ledger "$TAP_DIR/w.json"
	# Less what v may have lost before w began, or at the very end with no frame behind it.
	[ "$(field "$TAP_DIR/w.json" kernel_drops)" -gt 50000 ]
	[ "$(field "$TAP_DIR/w.json" kernel_drops)" -le "$(field "$TAP_DIR/v.json" kernel_drops)" ]
	ncp-dump -q -i w --snapshot -w "$TAP_DIR/w.pcapng"
	[ "$(tests/tools/dropcounts.py "$TAP_DIR/w.pcapng")" = "$(field "$TAP_DIR/w.json" kernel_drops)" ]
}

# The source bus stops and goes on, is killed and taken over, is replaced: the view goes on.
follows()
{
	local before

	sweep a b v w d
	spawn_in a a ncp-producer -b a -m 16M -s 2000 --json="$TAP_DIR/a.json" eth0
	is_state a live
	produce v -m 64M -s 2000 bus:a
	is_state v live
	numbered 0
	stop a TERM 10
	is_state v paused
	ncp-stats --once -i v | grep "its source bus is away"
	spawn_in a a ncp-producer -b a -m 16M -s 2000 --json="$TAP_DIR/a.json" eth0
	is_state v live
	numbered 1000
	stop a KILL 10
	is_state v paused
	spawn_in a a ncp-producer -b a -m 16M -s 2000 --json="$TAP_DIR/a.json" eth0
	is_state v live
	numbered 2000
	# Another ring size: another segment, which the helper opens.
	stop a TERM 10
	spawn_in a a ncp-producer -b a -m 32M -s 2000 --json="$TAP_DIR/a.json" eth0
	is_state a live
	numbered 3000
	is_state v live
	# Its interface goes down.
	ip -n "$(netns_name a)" link set eth0 down
	is_state v paused
	ncp-stats --once -i v | grep "interface down"
	ip -n "$(netns_name a)" link set eth0 up
	is_state v live
	carrier_comes b eth0
	numbered 4000
	stop v TERM 10
	[ "$status" = 0 ]
	ledger "$TAP_DIR/v.json"
	ncp-dump -q -i v --snapshot -w "$TAP_DIR/v.pcapng"
	frame_check "$TAP_DIR/v.pcapng" | grep "^frames=5000 first=0 last=4999 holes=0 duplicates=0 other=0"
	[ "$(field "$TAP_DIR/v.json" received)" = 5000 ]
}

# numbered FIRST: a thousand frames, until all are in the view.
numbered()
{
	in_netns b frame_send eth0 1000 20000 100 "$1"
	wait_for "[ \"\$(bus_value v published)\" = $(($1 + 1000)) ]" 10
}

# Drained, then ended, under a client's eyes.
ends_with_it()
{
	sweep a b v w d
	produce a -m 8M -s 2000 --wait-clients 1 --reliable synth:count=5000
	produce v -m 8M -s 2000 --reliable --wait-clients 1 bus:a
	spawn d ncp-dump -i v --wait --reliable -w "$TAP_DIR/d.pcapng"
	reap a 10
	reap v 10
	[ "$status" = 0 ]
	reap d 10
	[ "$status" = 0 ]
	[ ! -e "$NCP_DIR/ncp.v" ]
}

# A view's own restart continues its bus; at full speed it stops at once.
restarts()
{
	sweep a b v w d
	produce a -m 8M -s 200 synth:pps=100000
	produce v -m 8M -s 200 bus:a
	for epoch in 2 3 4; do
		n=$(bus_value v published)
		wait_for "[ \"\$(bus_value v published)\" -gt $((n + 100)) ]" 10
		stop v TERM 10
		[ "$status" = 0 ]
		ledger "$TAP_DIR/v.json"
		produce v -m 8M -s 200 bus:a
		[ "$(bus_value v epoch)" = "$epoch" ]
	done
}

two_in_one()
{
	sweep a b v w d
	produce a -m 8M -s 2000 --wait-clients 1 --reliable synth:count=3000
	produce b -m 8M -s 2000 --wait-clients 1 --reliable synth:count=4000
	produce v -m 8M -s 2000 --reliable bus:a,bus:b
	reap v 20
	[ "$status" = 0 ]
	[ "$(field "$TAP_DIR/v.json" published)" = 7000 ]
	ledger "$TAP_DIR/v.json"
}

waits()
{
	sweep a b v w d
	spawn v ncp-producer --json="$TAP_DIR/v.json" -b v -m 8M -s 2000 --wait bus:a
	wait_for 'grep "waiting for it" "$TAP_DIR/v.json"' 5
	[ ! -e "$NCP_DIR/ncp.v" ]
	produce a -m 8M -s 2000 synth:pps=1000
	wait_for '[ "$(bus_value v published)" -gt 10 ]' 10
	stop v TERM 5
	[ "$status" = 0 ]
}

confined()
{
	sweep a b v w d
	produce a -m 8M -s 2000 synth:pps=1000
	produce v -m 8M -s 2000 bus:a
	is_state v live
	without_rights "${pid[v]}"
	# In the other bus it is a client like any other.
	ncp-stats --once --json -i a | grep '"name":"ncp-producer v"'
	# Its line is deleted under it: it is done without.
	rm "$NCP_DIR"/ncp.a+clients/*.*
	n=$(bus_value v published)
	wait_for "[ \"\$(bus_value v published)\" -gt $((n + 1000)) ]" 10 # for a second
	stop v TERM 5
	[ "$status" = 0 ]
}

has_users()
{
	[ -z "${TAP_USERNS:-}" ]
}

# A member of the source's group, nobody special, makes a view for a group of his own.
unprivileged()
{
	local who=(setpriv --reuid=65012 --regid=65011 --groups=65010)

	sweep a b v w d
	produce a -m 8M -s 2000 -g 65010 synth:pps=2000
	spawn v "${who[@]}" ncp-producer -b v -m 8M -s 100 bus:a udp
	wait_for '[ "$("${who[@]}" env PATH="$PATH" ncp-stats --once --json -i v |
		member published)" -gt 10 ]' 10
	[ "$(stat -c %u "$NCP_DIR/ncp.v")" = 65012 ]
	# Replaced: the helper, who is he, opens it again.
	stop a KILL 5
	produce a -m 16M -s 2000 -g 65010 synth:pps=2000
	"${who[@]}" env PATH="$PATH" ncp-dump -q -i v -c 100 -w - >"$TAP_DIR/d.pcapng"
	stop v TERM 5
	[ "$status" = 0 ]
	# Who is not in it cannot.
	spawn q setpriv --reuid=65012 --regid=65011 --clear-groups ncp-producer -b q bus:a
	reap q 5
	[ "$status" = 1 ]
	cat "$TAP_DIR/q.err"
	[ "$(wc -l <"$TAP_DIR/q.err")" = 1 ]
	grep "^ncp-producer: bus:a: .*group" "$TAP_DIR/q.err"
}

# refuses STATUS REGEX ARG...: one line, and nothing is left.
refuses()
{
	spawn q ncp-producer "${@:3}"
	reap q 10
	cat "$TAP_DIR/q.err"
	[ "$status" = "$1" ]
	grep -v "^ncp-producer: user" "$TAP_DIR/q.err" >"$TAP_DIR/said" || :
	[ "$(wc -l <"$TAP_DIR/said")" = 1 ]
	grep -E "^ncp-producer: $2" "$TAP_DIR/said"
	[ ! -e "$NCP_DIR/ncp.q" ]
}

refusals()
{
	sweep a b v w d
	produce a -m 8M -s 2000 synth:pps=1000
	refuses 3 "bus:nosuch: no such bus: ncp-stats --list" -b q bus:nosuch
	refuses 2 "bus:a: it would read what it writes: name another bus with -b" -b a bus:a
	refuses 2 "bus:bus: it would read what it writes" bus:bus
	refuses 2 "bus:a/b: .*name" -b q bus:a/b
	refuses 2 "filter: .*pcap-filter" -b q bus:a no such filter
	refuses 2 "source bus:a: given twice" -b q bus:a,bus:a
	refuses 2 "bus: several sources" bus:a,bus:b
	refuses 2 "--workers: source bus:a" -b q --workers 2 bus:a
	ncp-producer -D | grep -x bus:a
	ncp-producer -D --json | grep -Fx '{"schema":1,"bus":"a"}'
}

netns_make a
netns_make b
veth_pair a eth0 b eth0 || bail "no pair of interfaces"
run_step "a chain of two views, each waiting for its client: all frames, once" reliable_chain
run_step_if has_tun "no tun interface can be made" \
	"times, flags, interfaces and link types are kept" keeps_all
run_step "a filter and a snaplen: the rest is discarded" narrower
run_step "another filter, while it is read" reloaded
run_step "one direction" outbound_only
run_step "a view that was lapped: its loss, exact and marked" lapped
run_step "losses before the bus that is viewed are passed on" passes_marks_on
run_step "goes on when the other bus does: stopped, killed, replaced, its interface down" follows
run_step "ends with the other bus" ends_with_it
run_step "is stopped and continued at full speed" restarts
run_step "two busses in one" two_in_one
run_step "waits for a bus that is not there" waits
run_step "no capability, no new privileges, seccomp" confined
run_step_if has_users "there are no other users in a user namespace" \
	"made by a member of the group, without any privilege" unprivileged
run_step "refusals, one line each" refusals
