#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_source_pcap.sh - devices that libpcap opens: what tcpdump sees on them, and what was lost.
. tests/tap/tap.sh
. tests/system/lib.sh
need_net
plan 23

own_busses
bus=b
trap 'setsid_end "$TAP_DIR/p.json"; tap_on_exit' EXIT

# capture STEM DEVICE PRODUCER-ARG...: a producer on bus b in a namespace, until it is live.
capture()
{
	sweep p t d
	spawn_in "$1" p ncp-producer -b b -m 64M -s 65536 --json="$TAP_DIR/p.json" "${@:3}" "pcap:$2" \
		${filter:+"$filter"}
	wait_for '[ "$(value state)" = live ]' 10
}

# judge STEM DEVICE TCPDUMP-ARG...: tcpdump, until it listens.
judge()
{
	spawn_in "$1" t tcpdump -Z root -U -i "$2" -w "$TAP_DIR/t.pcap" "${@:3}" ${filter:+"$filter"}
	wait_for 'grep -q "listening on" "$TAP_DIR/t.err"' 10
}

finish()
{
	stop p TERM 10
	[ "$status" = 0 ]
	ncp-dump -q -i b --snapshot -w "$TAP_DIR/b.pcapng"
	ledger "$TAP_DIR/p.json"
	ncp-producer --remove b
	[ -z "$(ls "$NCP_DIR")" ]
}

# same N: tcpdump saw N frames, and so did we, the same ones.
same()
{
	wait_for "[ \"\$(count $TAP_DIR/t.pcap)\" = $1 ]" 10
	stop t INT 10
	wait_for "[ \"\$(value published)\" = $1 ]" 10
	finish
	listed "$TAP_DIR/t.pcap" >"$TAP_DIR/t.txt"
	listed "$TAP_DIR/b.pcapng" >"$TAP_DIR/b.txt"
	diff "$TAP_DIR/t.txt" "$TAP_DIR/b.txt"
}

# seen N ARG...: both see N of what is sent, on a's interface, the mix and 1000 frames to it, 5 from it.
seen()
{
	capture a eth0 "${@:2}"
	judge a eth0 "${@:2}"
	n=$(in_netns b frame_mix eth0 "$(in_netns a cat /sys/class/net/eth0/address)")
	in_netns b frame_send eth0 1000 0 200
	in_netns a frame_send eth0 5 0 60
	n=$((n + 1005))
	same "${1:-$n}"
}

interface()
{
	seen ""
	[ "$(field "$TAP_DIR/p.json" received)" = "$n" ]
}

# What libpcap passes over is counted, too: the kernel's filter let it pass.
inbound()
{
	seen 1018 -Q in
	[ "$(field "$TAP_DIR/p.json" received)" = "$n" ]
	[ "$(field "$TAP_DIR/p.json" discarded)" = 5 ]
}

filtered()
{
	local filter="udp and port 9"

	seen 1014
	[ "$(field "$TAP_DIR/p.json" received)" = 1014 ]
}

# cooked N [FILTER]: "any", by libpcap.
cooked()
{
	local filter=${2:-}

	capture a any
	judge a any -y LINUX_SLL2
	in_netns b frame_send eth0 100 0 200
	in_netns a frame_send eth0 100 0 200
	in_netns a frame_send lo 50 0 100
	same "$1"
}

ends_of_time()
{
	tcpdump -r "$TAP_DIR/b.pcapng" -tt --nano -c 20 2>/dev/null | grep -v "[0-9]000 " | grep .
}

# stalled STEM DEVICE SENDER: nobody takes frames while many are sent from a namespace's eth0; what is
# lost is known to the frame.
stalled()
{
	local k n=30000

	capture "$1" "$2" -B 256
	kill -STOP "${pid[p]}"
	in_netns "$3" frame_send eth0 "$n" 0 200
	kill -CONT "${pid[p]}"
	wait_for '[ "$(value published)" -gt 0 ]' 10
	# One behind the loss, on which the last of it can be marked.
	until_still
	in_netns "$3" frame_send eth0 1 0 200 "$n"
	wait_for "[ \$((\$(value published) + \$(value kernel_drops))) = $((n + 1)) ]" 10
	finish
	k=$(field "$TAP_DIR/p.json" kernel_drops)
	[ "$k" -gt 100 ]
	[ "$(field "$TAP_DIR/p.json" received)" = $((n + 1)) ]
	frame_check "$TAP_DIR/b.pcapng" >"$TAP_DIR/check" || :
	grep "^frames=$(field "$TAP_DIR/p.json" published) first=0 last=$n holes=$k duplicates=0 other=0" "$TAP_DIR/check"
	[ "$(tests/tools/dropcounts.py "$TAP_DIR/b.pcapng")" = "$k" ]
}

down_and_gone()
{
	capture a eth0
	ip -n "$(netns_name a)" link set eth0 down
	wait_for '[ "$(value state)" = paused ]' 5
	ip -n "$(netns_name a)" link set eth0 up
	wait_for '[ "$(value state)" = live ]' 5
	carrier_comes b eth0
	in_netns b frame_send eth0 100 0 200
	wait_for '[ "$(value published)" = 100 ]' 5
	ip -n "$(netns_name a)" link del eth0
	reap p 5
	[ "$status" = 1 ]
	cat "$TAP_DIR/p.err" "$TAP_DIR/p.json"
	grep '"what":"pcap:eth0","why":"the interface is gone"' "$TAP_DIR/p.json"
	ledger "$TAP_DIR/p.json"
	# Left to the next start.
	[ "$(value state)" = stopped ]
}

# Before the interface is there, and then on the bus that was left.
waited_for()
{
	spawn_in a p ncp-producer -b b -m 64M --wait --json="$TAP_DIR/p.json" pcap:eth0
	wait_for 'grep "waiting for it" "$TAP_DIR/p.json"' 5
	veth_pair a eth0 b eth0
	wait_for '[ "$(value state)" = live ]' 5
	[ "$(value epoch)" = 2 ]
	carrier_comes b eth0
	in_netns b frame_send eth0 100 0 200 100
	wait_for '[ "$(value published)" = 200 ]' 5
	finish
	frame_check "$TAP_DIR/b.pcapng" | grep "frames=200 first=0 last=199 holes=0 duplicates=0"
}

# No right is left, while frames come.
confined()
{
	capture a "$1"
	without_rights "${pid[p]}"
	finish
}

# --- netfilter --------------------------------------------------------------------------------

# A router between two hosts, which logs what passes its hooks.
router()
{
	local mac

	netns_make s
	netns_make r
	netns_make h
	veth_pair s eth0 r eth0
	veth_pair r eth1 h eth0
	mac=$(in_netns h cat /sys/class/net/eth0/address)
	ip -n "$(netns_name r)" link set eth0 address 02:00:00:00:00:02
	ip -n "$(netns_name r)" addr add 10.9.0.254/24 dev eth0
	ip -n "$(netns_name r)" route add 10.9.0.2/32 dev eth1
	ip -n "$(netns_name r)" neigh add 10.9.0.2 lladdr "$mac" dev eth1 nud permanent
	in_netns r sysctl -qw net.ipv4.ip_forward=1
	in_netns r nft -f - <<-END
		table ip hooks {
			chain pre {
				type filter hook prerouting priority 0
				udp dport 9 log group 5
				udp dport 9 log prefix "hook" group 7
			}
			chain post {
				type filter hook postrouting priority 0
				udp dport 9 log group 6
				udp dport 9 log prefix "hook" group 7
			}
		}
	END
	routed
}

# The first frames after a link came up can be lost on it: until one has passed.
routed()
{
	wait_for 'in_netns s frame_send eth0 1 0 100 &&
		[ "$(in_netns h cat /sys/class/net/eth0/statistics/rx_packets)" -gt 0 ]' 10
}

# passed: frames that came out of the router.
passed()
{
	in_netns h cat /sys/class/net/eth0/statistics/rx_packets
}

N=20000

hooks()
{
	local before i

	capture r nflog:5,pcap:nflog:6
	before=$(passed)
	in_netns s frame_send eth0 "$N" 20000 200
	wait_for "[ \"\$(value published)\" = $((2 * N)) ]" 10
	[ $(($(passed) - before)) = "$N" ]
	finish
	[ "$(field "$TAP_DIR/p.json" received)" = $((2 * N)) ]
	[ "$(field "$TAP_DIR/p.json" kernel_drops)" = 0 ]
	# Each hook's frames in a file of its own: every number once, in order.
	for i in 5 6; do
		tshark -r "$TAP_DIR/b.pcapng" -Y "frame.interface_name == \"nflog:$i\"" \
			-w "$TAP_DIR/hook.pcapng" 2>/dev/null
		frame_check "$TAP_DIR/hook.pcapng" |
			grep "^frames=$N first=0 last=$((N - 1)) holes=0 duplicates=0 other=0"
	done
}

# Both hooks in one group, as one listener of the original has them.
one_group()
{
	capture r nflog:7
	in_netns s frame_send eth0 "$N" 20000 200
	wait_for "[ \"\$(value published)\" = $((2 * N)) ]" 10
	finish
	# Every number twice: once for each hook.
	frame_check -u "$TAP_DIR/b.pcapng" >"$TAP_DIR/check" || :
	grep "^frames=$((2 * N)) first=0 last=$((N - 1)) holes=0 duplicates=$N other=0" "$TAP_DIR/check"
}

# In turn: the kernel gives a group to one listener.
tcpdump_agrees()
{
	judge r nflog:5
	in_netns s frame_send eth0 2000 5000 200
	wait_for "[ \"\$(count $TAP_DIR/t.pcap)\" = 2000 ]" 10
	stop t INT 5
	capture r nflog:5
	in_netns s frame_send eth0 2000 5000 200
	wait_for '[ "$(value published)" = 2000 ]' 10
	finish
	# The same packets; the messages around ours bear a number besides.
	tcpdump -r "$TAP_DIR/t.pcap" -t -nn -x 2>/dev/null >"$TAP_DIR/t.txt"
	tcpdump -r "$TAP_DIR/b.pcapng" -t -nn -x 2>/dev/null >"$TAP_DIR/b.txt"
	[ "$(grep -c '^IP 10.9.0.1.12345 > 10.9.0.2.9: UDP, length 158' "$TAP_DIR/t.txt")" = 2000 ]
	diff "$TAP_DIR/t.txt" "$TAP_DIR/b.txt"
}

log_filtered()
{
	local filter="len > 200"

	capture r nflog:5 -s 100 # several in a message of the kernel's all the same
	in_netns s frame_send eth0 300 5000 200
	in_netns s frame_send eth0 200 5000 60
	wait_for '[ $(($(value published) + $(value discarded))) = 500 ]' 10
	finish
	[ "$(field "$TAP_DIR/p.json" received)" = 500 ]
	[ "$(field "$TAP_DIR/p.json" published)" = 300 ]
}

# The file of -F is read again, while frames come: what both filters accept is all there.  As a service:
# without a terminal.
reloaded()
{
	local i

	sweep p t d
	echo "len > 200" >"$TAP_DIR/f"
	spawn_in r p setsid -w ncp-producer -b b -m 64M -s 2000 --json="$TAP_DIR/p.json" \
		-F "$TAP_DIR/f" pcap:nflog:5
	wait_for '[ "$(value state)" = live ]' 10
	spawn_in s t frame_send eth0 "$N" 10000 200
	for i in 1 2 3 4; do
		# The small ones come while they are accepted, and while they are not.
		in_netns s frame_send eth0 50 0 60
		echo "len > 10" >"$TAP_DIR/f"
		hang_up "read again, and in force"
		in_netns s frame_send eth0 100 0 60
		echo "len >" >"$TAP_DIR/f"
		hang_up "the filter stays as it is: filter: .*syntax error"
		echo "len > 200" >"$TAP_DIR/f"
		hang_up "read again, and in force"
	done
	reap t 20
	wait_for "[ \$((\$(value published) + \$(value discarded))) = $((N + 600)) ]" 10
	kill -TERM "$(value pid)"
	reap p 10
	[ "$status" = 0 ]
	ledger "$TAP_DIR/p.json"
	[ "$(field "$TAP_DIR/p.json" published)" = $((N + 400)) ]
	[ "$(field "$TAP_DIR/p.json" kernel_drops)" = 0 ]
	ncp-dump -q -i b --snapshot -w "$TAP_DIR/b.pcapng"
	tcpdump -r "$TAP_DIR/b.pcapng" -w "$TAP_DIR/t.pcap" "len > 200" 2>/dev/null
	frame_check "$TAP_DIR/t.pcap" |
		grep "^frames=$N first=0 last=$((N - 1)) holes=0 duplicates=0 other=0"
	ncp-producer --remove b
}

# hang_up REGEX: have the file read again, until that was said of it.
hang_up()
{
	local before

	before=$(grep -Ec "\"note\":\".*$1" "$TAP_DIR/p.json" || :)
	kill -HUP "$(value pid)"
	wait_for "[ \"\$(grep -Ec '\"note\":\".*$1' '$TAP_DIR/p.json')\" = $((before + 1)) ]" 10
}

# Sooner than the second after which the kernel would hand over what is not many: when it came to the
# hook is in the message, when it was handed over is its time.
soon()
{
	capture r nflog:5 "$@"
	in_netns s frame_send eth0 1 0 100
	wait_for '[ "$(value published)" = 1 ]' 10
	finish
	tshark -r "$TAP_DIR/b.pcapng" -T fields -e nflog.timestamp -e frame.time_epoch 2>/dev/null |
		tee "$TAP_DIR/times"
	late=$(awk -F '\t' '{
		if (match($1, /:[0-9][0-9]\.[0-9]+/))
			printf "%d", ($2 - 60 * int($2 / 60) - substr($1, RSTART + 1) + 60) % 60 * 1000
	}' "$TAP_DIR/times")
	[ "$late" -lt 900 ]
}

# --- D-Bus ------------------------------------------------------------------------------------

dbus()
{
	spawn d dbus-daemon --session --nofork --nopidfile --address="unix:path=$TAP_DIR/dbus"
	export DBUS_SESSION_BUS_ADDRESS=unix:path=$TAP_DIR/dbus
	wait_for '[ -S "$TAP_DIR/dbus" ]' 5
	rm -rf "$NCP_DIR"/*
	spawn p ncp-producer -b b -m 64M --json="$TAP_DIR/p.json" pcap:dbus-session
	wait_for '[ "$(value state)" = live ]' 10
	for i in 1 2 3; do
		dbus-send --session --type=signal /ncp/test org.ncp.Test.Number "uint32:$i"
	done
	wait_for '[ "$(value published)" -ge 3 ]' 10
	stop p TERM 5
	[ "$status" = 0 ]
	ledger "$TAP_DIR/p.json"
	ncp-dump -q -i b --snapshot -w "$TAP_DIR/b.pcapng"
	[ "$(tshark -r "$TAP_DIR/b.pcapng" -Y 'dbus.member == "Number"' 2>/dev/null | wc -l)" = 3 ]
	stop d TERM 5
}

# --- refusals ---------------------------------------------------------------------------------

# refuses STATUS REGEX ARG...: in r, one line.
refuses()
{
	spawn_in r q "${unprivileged[@]}" ncp-producer -b q "${@:3}"
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
	sweep p t d
	refuses 1 "pcap:nosuch0: no such device: ncp-producer -D lists them" pcap:nosuch0
	refuses 2 "pcap:: no device" pcap:
	refuses 2 "pcap:nfqueue:1: each of its frames waits for a verdict" pcap:nfqueue:1
	refuses 1 "pcap:nflog:99999: .*[Gg]roup" pcap:nflog:99999
	refuses 2 "pcap:nflog:5: it does not tell directions: leave out -Q" -Q in pcap:nflog:5
	refuses 2 "filter: .*pcap-filter" pcap:eth0 no such filter
	refuses 2 "source pcap:nflog:5: given twice" pcap:nflog:5,pcap:nflog:5
	refuses 2 "--workers: source pcap:eth0: its frames" --workers 2 pcap:eth0
	refuses 2 "source usb:1: no such kind of source" usb:1
	ip -n "$(netns_name r)" link set eth1 down
	refuses 1 "pcap:eth1: the interface is down" pcap:eth1
	ip -n "$(netns_name r)" link set eth1 up
	local unprivileged=(setpriv --bounding-set=-all --inh-caps=-all)

	refuses 1 "pcap:eth0: no permission to capture: start ncp-producer as root" pcap:eth0
	refuses 1 "pcap:nflog:5: .*start.* as root" pcap:nflog:5
}

# A group has one listener.
busy_group()
{
	capture r nflog:5
	refuses 1 "pcap:nflog:5: .*another program may have that group" pcap:nflog:5
	finish
}

lists()
{
	in_netns r ncp-producer -D >"$TAP_DIR/list"
	grep "^eth0 .*up" "$TAP_DIR/list"
	grep "^pcap:nflog .*NFLOG" "$TAP_DIR/list"
	! grep -E "^pcap:(any|eth0|lo|nfqueue)" "$TAP_DIR/list"
	in_netns r ncp-producer -D --json | grep '{"schema":1,"device":"nflog","description":".*NFLOG'
}

netns_make a
netns_make b
veth_pair a eth0 b eth0
run_step "an interface by libpcap: what tcpdump sees beside it, and the ledger is the kernel's" interface
run_step "its times have nanoseconds" ends_of_time
run_step "one direction: what libpcap passes over is discarded" inbound
run_step "a filter is the kernel's" filtered
run_step "any: cooked frames that name their interface, each of lo once" cooked 250
run_step "and filtered" cooked 50 "udp and port 9 and less 150"
run_step "frames that the kernel dropped: counted, and marked in the stream" stalled a eth0 b
run_step "no capability, no new privileges, seccomp: an interface" confined eth0
run_step "paused while its interface is down; when that is gone, the end" down_and_gone
run_step "waits for one that is not there, and continues the bus" waited_for

router || bail "no router"
run_step "nflog: every frame once at each hook of a router" hooks
run_step "both hooks in one group: every frame twice" one_group
run_step "what tcpdump gets of a group" tcpdump_agrees
run_step "a filter on it is run here, and what it refuses is counted" log_filtered
run_step "another filter, while frames come" reloaded
run_step "handed over soon" soon
run_step "handed over at once" soon --immediate-mode --retire-ms 5000
run_step "messages lost in a full buffer: counted to the frame, and marked" stalled r nflog:5 s
run_step "no capability, no new privileges, seccomp: nflog" confined nflog:5
run_step "D-Bus" dbus
run_step "refusals, one line each" refusals
run_step "a group that another has" busy_group
run_step "-D lists libpcap's devices" lists
