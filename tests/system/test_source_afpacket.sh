#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_source_afpacket.sh - a live interface: what is published is what tcpdump sees beside it.
. tests/tap/tap.sh
. tests/system/lib.sh
need_net
plan 56

own_busses
bus=b

# capture STEM IFACE PRODUCER-ARG...: a producer on bus b in a namespace, until it is live.
capture()
{
	sweep p t s
	spawn_in "$1" p ncp-producer -b b -m 64M -s 65536 --json="$TAP_DIR/p.json" "${@:3}" \
		${mode:+"$mode"} "$2" ${filter:+"$filter"}
	wait_for '[ "$(value state)" = live ]' 10
}

# immediately FUNCTION ARG...: the same with --immediate-mode, for the producer alone.  Its ring holds
# some 1900 frames, or fewer where there is little memory: what is sent is paced.
immediately()
{
	local mode=--immediate-mode pace=2000

	"$@"
}

# judge STEM IFACE TCPDUMP-ARG...: tcpdump beside it, until it listens.
judge()
{
	spawn_in "$1" t tcpdump -Z root -U -i "$2" -w "$TAP_DIR/t.pcap" "${@:3}" ${filter:+"$filter"}
	wait_for 'grep -q "listening on" "$TAP_DIR/t.err"' 10
}

# begin STEM IFACE ARG...: both, with the same arguments.
begin()
{
	capture "$@" && judge "$@"
}

# finish: everything sent has come; stop the producer, save its bus.
finish()
{
	stop p TERM 10
	[ "$status" = 0 ]
	ncp-dump -q -i b --snapshot -w "$TAP_DIR/b.pcapng"
	ncp-producer --remove b
	[ -z "$(ls "$NCP_DIR")" ]
}

# same N: tcpdump saw N frames, and so did we, the same ones.
same()
{
	wait_for "[ \"\$(count $TAP_DIR/t.pcap)\" = $1 ]" 10
	stop t INT 10
	finish
	[ "$(count "$TAP_DIR/t.pcap")" = "$1" ]
	listed "$TAP_DIR/t.pcap" >"$TAP_DIR/t.txt"
	listed "$TAP_DIR/b.pcapng" >"$TAP_DIR/b.txt"
	diff "$TAP_DIR/t.txt" "$TAP_DIR/b.txt"
}

mac()
{
	in_netns "$1" cat "/sys/class/net/$2/address"
}

mix()
{
	in_netns b frame_mix eth0 "$(mac a eth0)"
}

pair()
{
	netns_make a
	netns_make b
	netns_make d
	veth_pair a eth0 b eth0
}

sees_all()
{
	begin a eth0
	n=$(mix)
	in_netns b frame_send eth0 1000 "${pace:-0}" 200
	same $((n + 1000))
	ledger "$TAP_DIR/p.json"
	[ "$(field "$TAP_DIR/p.json" received)" = $((n + 1000)) ]
}

sees_own()
{
	begin b eth0
	n=$(mix)
	same "$n"
}

cuts()
{
	begin a eth0 -s "$1"
	n=$(mix)
	same "$n"
}

# filtered N EXPRESSION
filtered()
{
	local filter=$2

	begin a eth0
	mix
	same "$1"
	ledger "$TAP_DIR/p.json"
}

flagged()
{
	capture a eth0
	mix
	in_netns a frame_send eth0 1 0 60
	finish
	tshark -r "$TAP_DIR/b.pcapng" -T fields -e frame.packet_flags_direction \
		-e frame.packet_flags_reception_type 2>/dev/null | sort | uniq -c |
		sed 's/^ *//; s/[[:space:]]\+/ /g' >"$TAP_DIR/flags"
	# 18 of the mix: two to all, one to a group, one to another, the others to us; one of ours.
	diff "$TAP_DIR/flags" - <<-END
		14 0x00000001 1
		1 0x00000001 2
		2 0x00000001 3
		1 0x00000001 4
		1 0x00000002 0
	END
}

# directed in|out N
directed()
{
	begin a eth0 -Q "$1"
	mix
	in_netns a frame_send eth0 5 0 60
	same "$2"
	ledger "$TAP_DIR/p.json"
}

# A connection: its sender leaves checksums, and where the kernel tells that, segments to the
# interface.
offloaded()
{
	in_netns a ip addr add 10.77.0.1/24 dev eth0
	in_netns b ip addr add 10.77.0.2/24 dev eth0
	capture a eth0
	spawn_in b s python3 -c 'import socket
s = socket.create_server(("10.77.0.2", 7777))
c, _ = s.accept()
while c.recv(1 << 20): pass'
	wait_for "in_netns b ss -Hltn | grep -q 10.77.0.2:7777" 10
	in_netns a python3 -c 'import socket
c = socket.create_connection(("10.77.0.2", 7777))
c.sendall(bytes(4 << 20))'
	reap s 10
	finish
	in_netns a ip addr flush dev eth0
	in_netns b ip addr flush dev eth0
	tshark -r "$TAP_DIR/b.pcapng" -Y "tcp.dstport == 7777 && tcp.len > 0" -T fields -e frame.packet_flags \
		-e frame.len 2>/dev/null >"$TAP_DIR/flags"
	sort "$TAP_DIR/flags" | uniq -c | sort -rn | head
	# Bit 9: each that bears data leaves its checksum open.  Bit 11: those that are longer than the MTU.
	[ -s "$TAP_DIR/flags" ]
	[ "$(while read -r f len; do echo $((f & 0x203)); done <"$TAP_DIR/flags" | sort -u)" = 514 ]
	[ "$(awk '$2 > 1514' "$TAP_DIR/flags" | wc -l)" -gt 10 ]
	if [ "$(printf '%s\n' 6.6 "$(uname -r)" | sort -V | head -n 1)" = 6.6 ]; then
		[ "$(while read -r f len; do
			[ "$len" -le 1514 ] || echo $((f & 0x800))
		done <"$TAP_DIR/flags" | sort -u)" = 2048 ]
	fi
}

# cooked N ARG...: all interfaces at once, against tcpdump's own "any"; N: of the 66 that are sent.
cooked()
{
	local all

	capture a any "${@:2}"
	judge a any -y LINUX_SLL2 "${@:2}"
	all=$(mix)
	all=$((all + $(in_netns a frame_mix lo)))
	all=$((all + $(in_netns a frame_send eth0 10 0 100)))
	all=$((all + $(in_netns b frame_send eth0 10 0 1400)))
	all=$((all + $(in_netns a frame_send lo 10 0 100)))
	[ "$all" = 66 ]
	same "$1"
	ledger "$TAP_DIR/p.json"
}

# cooked_filtered N EXPRESSION
cooked_filtered()
{
	local filter=$2

	cooked "$1"
}

# Two workers share all interfaces.
cooked_workers()
{
	capture a any --workers 2
	in_netns b frame_send eth0 3200 0 100 0 64
	finish
	tshark -r "$TAP_DIR/b.pcapng" -T fields -e udp.srcport -e udp.payload 2>/dev/null |
		sort -u | wc -l | grep -x 3200
}

# The retire time is ten seconds: without it, nothing would be seen before.  Eight times round the ring.
immediate()
{
	capture a eth0 --immediate-mode --retire-ms 10000 "$@"
	in_netns b frame_send eth0 1 0 100
	wait_for '[ "$(value published)" = 1 ]' 5
	in_netns b frame_send eth0 2000 2000 100 1
	wait_for '[ "$(value published)" = 2001 ]' 5
	ip -n "$(netns_name a)" link del eth0
	wait_for '[ "$(value state)" = paused ]' 5
	stop p TERM 5
	[ "$status" = 0 ]
	ncp-dump -q -i b --snapshot -w "$TAP_DIR/b.pcapng"
	veth_pair a eth0 b eth0
	carrier_comes b eth0
	ledger "$TAP_DIR/p.json"
	frame_check "$TAP_DIR/b.pcapng" | grep "frames=2001 first=0 last=2000 holes=0 duplicates=0"
}

# workers_return ARG...: two members, which the helper opens again.
workers_return()
{
	capture a eth0 --workers 2 -s 2000 "$@"
	ip -n "$(netns_name a)" link del eth0
	wait_for '[ "$(value state)" = paused ]' 5
	veth_pair a eth0 b eth0
	wait_for '[ "$(value state)" = live ]' 5
	carrier_comes b eth0
	in_netns b frame_send eth0 20000 100000 100 0 64
	finish
	frame_check -u "$TAP_DIR/b.pcapng" |
		grep "frames=20000 first=0 last=19999 holes=0 duplicates=0 other=0"
}

promiscuity()
{
	ip -n "$(netns_name a)" -d link show eth0 | grep -o 'promiscuity [0-9]*'
}

promiscuous()
{
	capture a eth0
	[ "$(promiscuity)" = "promiscuity 1" ]
	finish
	capture a eth0 -p
	[ "$(promiscuity)" = "promiscuity 0" ]
	finish
	[ "$(promiscuity)" = "promiscuity 0" ]
}

loopback_once()
{
	begin a lo
	n=$(in_netns a frame_mix lo)
	in_netns a frame_send lo 100 0 100
	same $((n + 100))
	ledger "$TAP_DIR/p.json"
	[ "$(field "$TAP_DIR/p.json" received)" = $((n + 100)) ]
}

# tcpdump -Q out shows nothing there; each frame once is what was promised.
loopback_out()
{
	capture a lo -Q out
	in_netns a frame_send lo 100 0 100
	finish
	[ "$(field "$TAP_DIR/p.json" published)" = 100 ]
	[ "$(tshark -r "$TAP_DIR/b.pcapng" -Y 'frame.packet_flags_direction == 2' 2>/dev/null |
		wc -l)" = 100 ]
}

tunnel()
{
	in_netns a ip tuntap add mode tun name tun0 || return
	in_netns a ip link set tun0 up
	begin a tun0
	n=$(in_netns a frame_mix tun0)
	same "$n"
	tcpdump -r "$TAP_DIR/b.pcapng" -c 1 2>&1 | grep "link-type RAW"
	in_netns a ip link del tun0
}

# With little room in the kernel and a producer that sleeps, frames are dropped, and every one of
# them is counted: beside the sender's own count.
drops()
{
	capture a eth0 -B 128 "$@"
	kill -STOP "${pid[p]}"
	sent=$(in_netns b frame_send eth0 20000 0 1000)
	kill -CONT "${pid[p]}"
	wait_for '[ "$(value kernel_drops)" -gt 0 ]' 10
	more=$(in_netns b frame_send eth0 100 1000 100 20000)
	finish
	ledger "$TAP_DIR/p.json"
	[ "$(field "$TAP_DIR/p.json" received)" = $((sent + more)) ]
	dropped=$(field "$TAP_DIR/p.json" kernel_drops)
	[ "$dropped" -gt 1000 ]
	frame_check "$TAP_DIR/b.pcapng" | grep "holes=$dropped duplicates=0"
}

# Between two frames stands the number of those that were dropped there.
drops_marked()
{
	[ "$(tshark -r "$TAP_DIR/b.pcapng" -T fields -e frame.drop_count 2>/dev/null |
		awk '{ n += $1 } END { print n + 0 }')" = "$dropped" ]
}

# A producer that is not run for a tenth of a second: the ring lasts, though its blocks are handed
# over half empty.
rides_out_a_stall()
{
	capture a eth0
	kill -STOP "${pid[p]}"
	in_netns b frame_send eth0 2000 20000 100
	kill -CONT "${pid[p]}"
	finish
	[ "$(field "$TAP_DIR/p.json" published)" = 2000 ]
	[ "$(field "$TAP_DIR/p.json" kernel_drops)" = 0 ]
}

# Of slots there are as many as fit 128 MiB, or as many as fit a snaplen that is small.
burst_in_slots()
{
	[ "$(awk '/MemAvailable/ { print $2 }' /proc/meminfo)" -gt 4500000 ] || return 0
	capture a eth0 --immediate-mode
	kill -STOP "${pid[p]}"
	in_netns b frame_send eth0 1800 0 100
	kill -CONT "${pid[p]}"
	finish
	[ "$(field "$TAP_DIR/p.json" published)" = 1800 ]
	[ "$(field "$TAP_DIR/p.json" kernel_drops)" = 0 ]
	capture a eth0 --immediate-mode -B 32768 -s 256
	kill -STOP "${pid[p]}"
	in_netns b frame_send eth0 50000 0 100
	kill -CONT "${pid[p]}"
	finish
	[ "$(field "$TAP_DIR/p.json" published)" = 50000 ]
	[ "$(field "$TAP_DIR/p.json" truncated)" = 0 ]
}

# A veth has no clock of its own.
without_a_clock()
{
	capture a eth0 --hwtime
	grep '"note":"interface eth0: its times are the kernel.s, not its own clock.s: ' "$TAP_DIR/p.json"
	in_netns b frame_send eth0 10 0 100
	finish
	[ "$(field "$TAP_DIR/p.json" published)" = 10 ]
	tail -n 1 "$TAP_DIR/p.json" | grep '"kernel_times":0,'
	[ "$(capinfos "$TAP_DIR/b.pcapng" | grep -c "own clock")" = 0 ]
}

# Stopped in the middle of the traffic, again and again: what was accepted is published.
stopped_in_flood()
{
	local i

	for i in 1 2 3 4 5; do
		capture a eth0
		spawn_in b s frame_send eth0 10000000 50000 300
		wait_for '[ "$(value published)" -gt 1000 ]' 10
		finish
		stop s KILL 5
		ledger "$TAP_DIR/p.json"
		[ "$(field "$TAP_DIR/p.json" kernel_drops)" = 0 ]
		frame_check "$TAP_DIR/b.pcapng" | grep "holes=0 duplicates=0"
	done
}

# The filter is in force before the first frame is accepted: started in the middle of traffic that
# it refuses, nothing of that is seen.
filtered_from_the_start()
{
	local filter='udp port 10' i

	sweep p t s
	spawn_in b s frame_send eth0 10000000 100000 100
	for i in 1 2 3 4 5; do
		spawn_in a p ncp-producer -b b -m 64M -s 65536 --json="$TAP_DIR/p.json" eth0 "$filter"
		wait_for '[ "$(value state)" = live ]' 10
		finish
		[ "$(field "$TAP_DIR/p.json" received)" = 0 ]
	done
	stop s KILL 5
}

down_and_up()
{
	capture a eth0
	in_netns b frame_send eth0 10 0 100 0
	wait_for '[ "$(value published)" = 10 ]' 5
	ip -n "$(netns_name a)" link set eth0 down
	wait_for '[ "$(value state)" = paused ]' 5
	ip -n "$(netns_name a)" link set eth0 up
	wait_for '[ "$(value state)" = live ]' 5
	carrier_comes b eth0
	in_netns b frame_send eth0 10 0 100 10
	wait_for '[ "$(value published)" = 20 ]' 5
}

gone_and_back()
{
	ip -n "$(netns_name a)" link del eth0
	wait_for '[ "$(value state)" = paused ]' 5
	veth_pair a eth0 b eth0
	wait_for '[ "$(value state)" = live ]' 5
	wait_for '[ "$(promiscuity)" = "promiscuity 1" ]' 5
	in_netns b frame_send eth0 10 0 100 20
	wait_for '[ "$(value published)" = 30 ]' 5
	finish
	ledger "$TAP_DIR/p.json"
	frame_check "$TAP_DIR/b.pcapng" | grep "frames=30 first=0 last=29 holes=0 duplicates=0"
}

# Traffic all along: what arrives while it is up is published, or counted as dropped.
flapping()
{
	local i

	capture a eth0
	spawn_in b s frame_send eth0 10000000 20000 100
	for i in 1 2 3 4 5 6 7 8 9 10; do
		ip -n "$(netns_name a)" link set eth0 down
		ip -n "$(netns_name a)" link set eth0 up
	done
	wait_for '[ "$(value state)" = live ]' 5
	n=$(value published)
	wait_for '[ "$(value published)" -gt $((n + 1000)) ]' 10
	stop s KILL 5
	finish
	ledger "$TAP_DIR/p.json"
	frame_check "$TAP_DIR/b.pcapng" >"$TAP_DIR/check" || : # holes: while it was down
	grep "duplicates=0 other=0" "$TAP_DIR/check"
}

# it0_make ethernet|raw: an interface of that name and kind, and frames that come from it.
it0_make()
{
	if [ "$1" = raw ]; then
		in_netns d ip tuntap add mode tun name it0
		in_netns d ip link set it0 up
	else
		veth_pair d it0 d it1
	fi
}
it0_mix()
{
	wait_for '[ "$(value state)" = live ]' 5
	wait_for '[ "$(in_netns d cat /sys/class/net/it0/carrier)" != "" ]' 5
	case $1 in
	raw) in_netns d frame_mix it0 ;;
	*) in_netns d frame_mix it1 ;;
	esac
}

# again ethernet|raw: it0 is gone, and there as that.
again()
{
	ip -n "$(netns_name d)" link del it0
	wait_for '[ "$(value state)" = paused ]' 5
	it0_make "$1"
	it0_mix "$1"
}

# Each kind is an interface of the bus, described once; the filter is compiled for each of them.
# back_as_another FILTER ETHERNET RAW ARG...: how many frames of each come, twice.
back_as_another()
{
	local filter=$1

	it0_make ethernet
	capture d it0 "${@:4}"
	it0_mix ethernet
	again raw
	again ethernet
	again raw
	wait_for '[ "$(value published)" = '$(($2 + $3))' ]' 10
	finish
	ledger "$TAP_DIR/p.json"
	capinfos "$TAP_DIR/b.pcapng" | grep "Number of interfaces in file: 2"
	[ "$(capinfos "$TAP_DIR/b.pcapng" | grep -c "Name = it0")" = 2 ]
	tshark -r "$TAP_DIR/b.pcapng" -T fields -e frame.encap_type 2>/dev/null | sort | uniq -c |
		awk '{ print $2, $1 }' >"$TAP_DIR/kinds"
	printf '%s\n' "1 $2" "7 $3" | diff - "$TAP_DIR/kinds"
	in_netns d ip link del it0
}

# What the filter cannot mean there ends it: else all or nothing would pass.
back_without_meaning()
{
	local filter='vlan 7'

	it0_make ethernet
	capture d it0
	ip -n "$(netns_name d)" link del it0
	wait_for '[ "$(value state)" = paused ]' 5
	it0_make raw
	reap p 5
	[ "$status" = 1 ]
	grep '"error":"filter: no VLAN support for .*"' "$TAP_DIR/p.json"
}

# A filter is compiled by asking the device: also for one that is down when capture starts.
started_while_down()
{
	local filter='vlan 7'

	sweep p t s
	ip -n "$(netns_name a)" link set eth0 down
	spawn_in a p ncp-producer -b b -m 64M -s 65536 --json="$TAP_DIR/p.json" eth0 "$filter"
	wait_for '[ "$(value state)" = paused ]' 10
	ip -n "$(netns_name a)" link set eth0 up
	wait_for '[ "$(value state)" = live ]' 5
	carrier_comes b eth0
	mix
	finish
	[ "$(field "$TAP_DIR/p.json" published)" = 4 ]
}

# Nobody can say what a tag would look like there: refused, rather than a filter that never matches.
nothing_to_ask()
{
	sweep p t s
	netns_make c
	in_netns c ip tuntap add mode tap name tap0 || return
	ip -n "$(netns_name c)" link set lo down
	spawn_in c p ncp-producer -b b -m 8M tap0 'vlan 7'
	reap p 5
	[ "$status" = 1 ]
	grep -E "^ncp-producer: filter: vlan means nothing while tap0 is down: bring it up" "$TAP_DIR/p.err"
}

# refused STATUS REGEX ARG...
refused()
{
	spawn_in a p ncp-producer -b b "${@:3}"
	reap p 5
	[ "$status" = "$1" ]
	grep -v "^ncp-producer: user" "$TAP_DIR/p.err" >"$TAP_DIR/said"
	[ "$(wc -l <"$TAP_DIR/said")" = 1 ]
	grep -E "^ncp-producer: $2" "$TAP_DIR/said"
	[ -z "$(ls "$NCP_DIR")" ]
}

refusals()
{
	sweep p t s
	refused 1 'interface nosuch0: no such interface: ' nosuch0
	refused 1 'interface a-name-that-is-too-long: no such interface: ' a-name-that-is-too-long
	refused 2 'filter: .*syntax error' eth0 'tcp port'
	refused 2 'filter: .*: filter in the clients, or name interfaces' any 'link[12] == 1'
}

# From outside, by name: also its helper is inside.
netns()
{
	local ns=ncp-a-$TAP_ID bus

	sweep p t s
	bus=$ns.eth0
	spawn p ncp-producer -m 8M --netns "$ns" eth0 udp port 9
	wait_for '[ "$(ncp-stats --list | grep -c "^'"$bus"' .*live")" = 1 ]' 10
	ip -n "$ns" link del eth0
	wait_for '[ "$(ncp-stats --list | grep -c "^'"$bus"' .*paused")" = 1 ]' 5
	veth_pair a eth0 b eth0
	wait_for '[ "$(ncp-stats --list | grep -c "^'"$bus"' .*live")" = 1 ]' 5
	carrier_comes b eth0
	in_netns b frame_send eth0 100 0 100
	stop p TERM 5
	[ "$status" = 0 ]
	ncp-dump -q -i "$bus" --snapshot -w "$TAP_DIR/b.pcapng"
	frame_check "$TAP_DIR/b.pcapng" | grep "frames=100 first=0 last=99"
	ncp-producer --remove "$bus"
	ncp-producer -D --netns "$ns" | grep "^eth0 "
	spawn p ncp-producer -b b --netns nosuch eth0
	reap p 5
	[ "$status" = 2 ]
	grep "^ncp-producer: namespace nosuch: .*: ip netns list names them" "$TAP_DIR/p.err"
	spawn p ncp-producer -b b --netns /etc/passwd eth0
	reap p 5
	[ "$status" = 2 ]
	grep "^ncp-producer: namespace /etc/passwd: not a network namespace: " "$TAP_DIR/p.err"
}

no_permission()
{
	sweep p t s
	mkdir "$TAP_DIR/own"
	chown 12345 "$TAP_DIR/own"
	spawn_in a p setpriv --reuid 12345 --regid 12345 --clear-groups \
		env NCP_DIR="$TAP_DIR/own" ncp-producer -b b -m 8M eth0
	reap p 5
	[ "$status" = 1 ]
	grep -E "^ncp-producer: interface eth0: no permission to capture: .*CAP_NET_RAW" "$TAP_DIR/p.err"
}

# judged SENTENCE FUNCTION...: tcpdump insists on changing its groups, which a user namespace forbids.
judged()
{
	if [ -n "${TAP_USERNS:-}" ]; then
		skip 1 "$1: tcpdump does not run in a user namespace"
	else
		run_step "$@"
	fi
}

run_step "makes a veth pair" pair
judged "all kinds of frames, tagged ones whole, each as tcpdump sees it" sees_all
judged "also those that leave" sees_own
judged "cut to 60 bytes, as tcpdump cuts" cuts 60
judged "cut to 100 bytes, tagged ones too" cuts 100
judged "'vlan' has tcpdump's live meaning" filtered 8 'vlan'
judged "'vlan 7'" filtered 4 'vlan 7'
judged "'vlan 7 and arp'" filtered 1 'vlan 7 and arp'
judged "'not vlan'" filtered 10 'not vlan'
judged "'ether broadcast or ether multicast'" filtered 3 'ether broadcast or ether multicast'
judged "'greater 1000'" filtered 2 'greater 1000'
judged "'ip broadcast or arp'" filtered 2 'ip broadcast or arp'
run_step "direction and reception are told" flagged
judged "--immediate-mode: the same frames" immediately sees_all
judged "and cut as tcpdump cuts" immediately cuts 60
judged "and of any" immediately cooked 66
run_step "they come at once" immediate
run_step "and with --busy-poll" immediate --busy-poll
run_step "two workers, the interface made again" workers_return --immediate-mode
run_step "dropped frames are counted to the frame there, too" drops --immediate-mode -s 2000
run_step "and marked where they are missing" drops_marked
run_step "--busy-poll without it" workers_return --busy-poll
judged "any: all interfaces, in cooked frames, those of lo once" cooked 66
judged "any, cut to 40 bytes" cooked 66 -s 40
judged "any, -Q in" cooked 56 -Q in
judged "any, 'udp port 9'" cooked_filtered 48 'udp port 9'
judged "any, 'arp or ip6'" cooked_filtered 8 'arp or ip6'
judged "any, 'outbound'" cooked_filtered 10 outbound
judged "any, 'greater 1000'" cooked_filtered 14 'greater 1000'
run_step "any, with two workers" cooked_workers
run_step "checksums and segments left to the interface are told" offloaded
judged "-Q in" directed in 18
judged "-Q out" directed out 5
run_step "promiscuous, unless -p" promiscuous
judged "on lo each frame once, as tcpdump sees it" loopback_once
run_step "on lo -Q out: each once" loopback_out
run_step_if has_tun "no interface of tun can be made" \
	"raw IP from a tun interface" tunnel
run_step "dropped frames are counted to the frame" drops
run_step "and marked where they are missing" drops_marked
run_step "a stall of a tenth of a second loses nothing" rides_out_a_stall
run_step "a burst with --immediate-mode" burst_in_slots
run_step "--hwtime where no hardware tells it" without_a_clock
run_step "stopped under load, everything accepted is published" stopped_in_flood
run_step "no frame passes before the filter" filtered_from_the_start
run_step "down: paused; up: goes on" down_and_up
run_step "gone: paused; back: goes on" gone_and_back
run_step "down and up ten times under load" flapping
run_step_if has_tun "no interface of tun can be made" \
	"back as an interface of another kind, twice: two interfaces" back_as_another '' 36 12
run_step_if has_tun "no interface of tun can be made" \
	"each with the filter compiled for it" back_as_another 'greater 1000 and ip' 2 2
run_step_if has_tun "no interface of tun can be made" \
	"also by two workers" back_as_another ip6 4 2 --workers 2
run_step_if has_tun "no interface of tun can be made" \
	"where the filter has no meaning: an end, said" back_without_meaning
run_step "a filter of tags, started while the interface is down" started_while_down
run_step_if has_tun "no interface of tun can be made" \
	"the same where no interface is up: refused" nothing_to_ask
run_step "inside another namespace" netns
run_step "refusals are one clear line" refusals
if [ -n "${TAP_USERNS:-}" ]; then
	skip 1 "needs root"
else
	run_step "without the right to capture" no_permission
fi
