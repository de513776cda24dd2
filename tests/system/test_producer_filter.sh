#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_producer_filter.sh - SIGHUP: the filter's file is read again, and no frame is missed for it.
. tests/tap/tap.sh
. tests/system/lib.sh
need_net
plan 13

own_busses
bus=b

state_is()
{
	wait_for '[ "$(value state)" = '"$1"' ]' 10
}

# producer STATE ARG...: with the filter in $TAP_DIR/f; without a terminal, as a service has none.
producer()
{
	# One that setsid(1) has forked.
	[ -z "${pid[p]:-}" ] || kill -KILL "$(value pid)" || :
	sweep p s t
	spawn_in a p setsid -w ncp-producer -b b -m 64M -s 2000 -F "$TAP_DIR/f" \
		--json="$TAP_DIR/p.json" "${@:2}"
	state_is "$1"
	reloads=0 refusals=0
}

filter()
{
	echo "$*" >"$TAP_DIR/f"
}

said()
{
	grep -c "\"note\":\"$1" "$TAP_DIR/p.json"
}

# hang_up: to the producer; setsid(1) may have forked for it.
hang_up()
{
	kill -HUP "$(value pid)"
}

# reload: until it has said that the file's new content is in force.
reload()
{
	hang_up
	reloads=$((reloads + 1))
	wait_for '[ "$(said "filter file .*: read again, and in force")" = '"$reloads"' ]' 10
}

# refused REGEX: told to read the file again, it says so and why it does not.
refused()
{
	hang_up
	refusals=$((refusals + 1))
	wait_for '[ "$(said "the filter stays as it is: ")" = '"$refusals"' ]' 10
	grep '"note":"the filter stays as it is: ' "$TAP_DIR/p.json" | tail -n 1 | grep -E "$1"
}

finish()
{
	kill -TERM "$(value pid)"
	reap p 10
	[ "$status" = 0 ]
	rm -f "$TAP_DIR/b.pcapng"
	ncp-dump -q -i b --snapshot -w "$TAP_DIR/b.pcapng"
}

makes_a_pair()
{
	netns_make a
	netns_make b
	veth_pair a eth0 b eth0
}

# Of 100 bytes: what both filters accept.  Of 200: what one of them does.
reloaded_under_load()
{
	local i n

	filter 'udp port 9 and less 150'
	producer live eth0 "$@"
	spawn_in b s frame_send eth0 100000 25000 100 0 64
	spawn_in b t frame_send eth0 10000000 5000 200 1000000000
	wait_for '[ "$(value published)" -gt 1000 ]' 10
	for i in 1 2 3 4 5 6 7 8 9 10; do
		ncp-dump -q -i b --snapshot -w - 2>/dev/null | tcpdump -r - --count greater 150 \
			>"$TAP_DIR/before.$i" 2>/dev/null
		filter 'udp port 9'
		reload
		n=$(value published)
		wait_for '[ "$(value published)" -gt '$((n + 500))' ]' 10
		filter 'udp port 9 and less 150'
		reload
	done
	reap s 30
	stop t KILL 5
	wait_for 'tail -n 1 "$TAP_DIR/p.json" | grep "\"filter_reloads\":20,\"filter_refused\":0,"' 5
	finish
	tail -n 1 "$TAP_DIR/p.json"
	[ "$(tail -n 1 "$TAP_DIR/p.json" | grep -o '"kernel_drops":0,' | wc -l)" -ge 1 ]
	[ "$(tail -n 1 "$TAP_DIR/p.json" | grep -o '"discarded":0,' | wc -l)" -ge 1 ]
}

none_missing()
{
	tcpdump -r "$TAP_DIR/b.pcapng" -w "$TAP_DIR/small.pcap" less 150 2>/dev/null
	frame_check "$@" "$TAP_DIR/small.pcap" |
		grep "frames=100000 first=0 last=99999 holes=0 duplicates=0 other=0"
	[ "$(count "$TAP_DIR/b.pcapng" 'greater 150')" -gt 100 ]
	grep -qx '0 packets' "$TAP_DIR/before.1"
	# Once the old filter is back, none of them comes: one run of them for each time.
	[ "$(tshark -r "$TAP_DIR/b.pcapng" -T fields -e frame.len 2>/dev/null |
		awk '{ big = $1 > 150 } big { if (NR - last > 2000) runs++; last = NR }
			END { print runs + 0 }')" -le 10 ]
}

# As loud as the kernel can be: between two programs there is no moment without one.
reloaded_in_flood()
{
	local i

	filter 'udp port 9 and less 150'
	producer live eth0
	spawn_in b s frame_send eth0 400000 200000 100
	for i in 1 2 3 4 5 6 7 8 9 10; do
		filter 'udp port 9 and less 15'$((i % 10))
		reload
	done
	reap s 30
	finish
	tail -n 1 "$TAP_DIR/p.json" | grep '"kernel_drops":0,'
	frame_check "$TAP_DIR/b.pcapng" |
		grep "frames=400000 first=0 last=399999 holes=0 duplicates=0 other=0"
}

# What is wrong with the file changes nothing, and is said in a line.
stays()
{
	filter 'udp port 9'
	producer live eth0
	filter 'udp prot 9'
	refused 'filter: .*syntax error.*: see pcap-filter'
	filter 'host no-such-name.invalid'
	refused 'filter: .*no-such-name.invalid'
	filter 'link[0] == 1 and wlan addr1 1:2:3:4:5:6'
	refused 'filter: '
	seq -f 'udp src port %g or' 1 1200 | tr '\n' ' ' >"$TAP_DIR/f"
	echo 'udp port 7' >>"$TAP_DIR/f"
	refused 'filter: [0-9]* instructions, the kernel takes 4096: '
	mv "$TAP_DIR/f" "$TAP_DIR/old"
	refused 'filter file .*: No such file'
	mkfifo "$TAP_DIR/f"
	refused 'filter file .*: not a regular file'
	rm "$TAP_DIR/f"
	head -c 1100000 /dev/zero | tr '\0' ' ' >"$TAP_DIR/f"
	refused 'filter file .*: File too large'
	in_netns b frame_send eth0 1000 0 100
	wait_for '[ "$(value published)" = 1000 ]' 5
	filter '# nothing of this' '
	udp port 10'
	reload
	in_netns b frame_send eth0 1000 0 100
	filter 'udp port discard and host 10.9.0.1'
	reload
	in_netns b frame_send eth0 1000 0 100 1000
	finish
	frame_check "$TAP_DIR/b.pcapng" | grep "frames=2000 first=0 last=1999 holes=0"
	tail -n 1 "$TAP_DIR/p.json" | grep '"filter_reloads":2,"filter_refused":7,'
}

# Every meaning that the kernel's filter has at the start, it has again: that of tags, too.
tags()
{
	filter 'arp'
	producer live eth0
	filter 'vlan 7'
	reload
	in_netns b frame_mix eth0 "$(in_netns a cat /sys/class/net/eth0/address)"
	finish
	[ "$(tail -n 1 "$TAP_DIR/p.json" | sed 's/.*"this_epoch".*"published":\([0-9]*\),.*"workers".*/\1/')" = 4 ]
}

# With --from, --to: they hold beside whatever the file says.
narrowed()
{
	filter 'arp'
	producer live --to 10.9.0.2 eth0
	filter 'udp'
	reload
	in_netns b frame_send eth0 10 0 100
	wait_for '[ "$(value published)" = 10 ]' 5
	filter 'tcp'
	reload
	in_netns b frame_send eth0 10 0 100
	finish
	[ "$(count "$TAP_DIR/b.pcapng" 'dst host 10.9.0.2')" = 10 ]
}

# An interface that was away, and one that comes back as another kind, has the newest filter.
away()
{
	filter 'udp port 10'
	producer live "$@" eth0
	ip -n "$(netns_name a)" link del eth0
	state_is paused
	filter 'udp port 9'
	reload
	veth_pair a eth0 b eth0
	state_is live
	carrier_comes b eth0
	in_netns b frame_send eth0 3200 0 100 0 64
	wait_for '[ "$(value published)" = 3200 ]' 5
	finish
}

# Sources that cannot take another.
keeps()
{
	filter 'udp'
	producer live -i eth0 -i synth:pps=100
	filter 'tcp'
	refused 'source synth:pps=100: it keeps the filter that it was opened with: start ncp-producer again'
	finish
	producer live -i eth0 -i pcap:lo
	refused 'source pcap:lo: it keeps the filter that it was opened with: start ncp-producer again'
	finish
}

# Nothing to read: said, and nothing else happens.
without_a_file()
{
	sweep p s t
	spawn_in a p setsid -w ncp-producer -b b -m 8M eth0
	state_is live
	hang_up
	wait_for 'grep -x "ncp-producer: SIGHUP: there is no file to read again" "$TAP_DIR/p.err"' 5
	[ "$(value state)" = live ]
	kill -TERM "$(value pid)"
	reap p 5
	[ "$status" = 0 ]
}

# At a terminal SIGHUP says that it is gone.
at_a_terminal()
{
	sweep p s t
	filter 'udp'
	spawn_in a p script -qc "ncp-producer -b b -m 8M -F $TAP_DIR/f --json=$TAP_DIR/p.json eth0" /dev/null
	state_is live
	hang_up
	reap p 5
	tail -n 1 "$TAP_DIR/p.json" | grep '"state":"stopped"'
}

run_step "makes a veth pair" makes_a_pair
run_step "the file is read again twenty times under load" reloaded_under_load
run_step "what both filters accept is all there, the rest where it should be" none_missing
run_step "the same with two workers" reloaded_under_load --workers 2
run_step "nothing is missing there either" none_missing -u
run_step "and where a filter's own frames leave no pause" reloaded_in_flood
run_step "a filter that is none, a file that cannot be read: the old one stays" stays
run_step "tags" tags
run_step "--to holds beside it" narrowed
run_step "an interface that was away meanwhile" away
run_step "a source that keeps its filter says so" keeps
run_step "without -F there is nothing to read" without_a_file
run_step "at a terminal SIGHUP stops" at_a_terminal
