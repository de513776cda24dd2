#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_dump_streams.sh - frames handed to other programs as they come: pipes, --decode, --log.
. tests/tap/tap.sh
plan 17

bus=$(bus_name streams)
has_lines() { [ "$(wc -l <"$1")" -ge "$2" ]; }

live()
{
	spawn producer ncp-producer "synth:pps=200,size=100,flows=3" -b "$bus" -m 16M
	wait_for "ncp-dump -D | grep -q '$bus .live'" 5
}
run_step "a slow live bus" live

# Each reads while the writer goes on: lines appear before anything has ended.
tcpdump_live()
{
	spawn pipe bash -c "ncp-dump -i $bus -w - -q | exec tcpdump -nlr - 2>/dev/null"
	wait_for "has_lines $TAP_DIR/pipe.out 50" 10
	tap_runs "${pid[pipe]}"
	kill -TERM -- "-${pid[pipe]}"
	reap pipe 5
	grep -Eq '^[0-9:.]{15} IP 10\.[0-9.]+ > [0-9.]+\.9: UDP' "$TAP_DIR/pipe.out"
}
run_step "tcpdump -r - reads -w - live" tcpdump_live
tshark_live()
{
	spawn pipe bash -c "ncp-dump -i $bus -w - -q | exec tshark -lni - 2>/dev/null"
	wait_for "has_lines $TAP_DIR/pipe.out 50" 20
	tap_runs "${pid[pipe]}"
	kill -TERM -- "-${pid[pipe]}"
	reap pipe 10
	grep -q UDP "$TAP_DIR/pipe.out"
}
run_step "tshark -i - reads it live" tshark_live
tshark_pcap()
{
	spawn pipe bash -c "ncp-dump -i $bus -w - --nano -q | exec tshark -lni - 2>/dev/null"
	wait_for "has_lines $TAP_DIR/pipe.out 50" 20
	kill -TERM -- "-${pid[pipe]}"
	reap pipe 10
}
run_step "an nsec-pcap, too" tshark_pcap

gone()
{
	# The reader leaves after 20 frames: the writer ends, and is content.
	bash -c "ncp-dump -i $bus -w - --json 2>$TAP_DIR/gone.err | tcpdump -nc 20 -r - >$TAP_DIR/gone.out
		exit \${PIPESTATUS[0]}"
	has_lines "$TAP_DIR/gone.out" 20
	tail -n 1 "$TAP_DIR/gone.err" | grep -q '"frames":'
	! grep -q '"error"' "$TAP_DIR/gone.err"
}
run_step "when the reader has gone it ends with 0" gone
gone_idle()
{
	local idle

	# A bus on which nothing comes: no write tells that the reader has gone.
	idle=$(bus_name idle)
	spawn idle ncp-producer "synth:count=10" -b "$idle" --wait-clients 2
	wait_for "ncp-dump -D | grep -q '$idle '" 5
	mkfifo "$TAP_DIR/fifo"
	bash -c "exec ncp-dump -i $idle -w - -q >$TAP_DIR/fifo" &
	dump=$!
	exec 8<"$TAP_DIR/fifo"
	[ "$(head -c 4 <&8 | od -An -tx1)" = " 0a 0d 0d 0a" ]
	exec 8<&-
	wait_for "! tap_runs $dump" 5
	wait $dump
	stop idle INT 5
}
run_step "also on a bus where nothing comes" gone_idle

decoded()
{
	spawn decode ncp-dump -i "$bus" -n -l --decode='-e -tttt' udp
	wait_for "has_lines $TAP_DIR/decode.out 50" 10
	tap_runs "${pid[decode]}"
	stop decode INT 5
	cat "$TAP_DIR/decode.err"
	[ "$status" = 0 ]
	grep -Eq '^20[0-9-]{8} [0-9:.]{15} [0-9a-f:]{17} > .*IPv4.*: 10\.' "$TAP_DIR/decode.out"
	! pgrep -g "${pid[decode]:-$$}" tcpdump
}
run_step "--decode: tcpdump prints, live, with its own options" decoded
all_decoded()
{
	[ "$(ncp-dump -i "$bus" -n -c 500 --decode 2>"$TAP_DIR/err" | wc -l)" = 500 ]
	grep -q '500 frames written' "$TAP_DIR/err"
}
run_step "and all of it before ncp-dump ends" all_decoded
is 1 "$(ncp-dump -i "$bus" -c 5 --decode=--nonsense >/dev/null 2>"$TAP_DIR/err"; echo $?)" "tcpdump's failure is ours"
like "ncp-dump: tcpdump: it ended with status 1" "$(cat "$TAP_DIR/err")" "and said"
is 0 "$(ncp-dump -i "$bus" --decode='-c 5' -n 2>/dev/null >"$TAP_DIR/out"; echo $?)" "tcpdump may leave first"
is 5 "$(wc -l <"$TAP_DIR/out")" "with what it wanted"
tshark_stands_in()
{
	mkdir "$TAP_DIR/bin"
	ln -s "$(command -v tshark)" "$TAP_DIR/bin/tshark"
	dump=$(command -v ncp-dump)
	if [ -x /usr/sbin/tcpdump ]; then
		# Found there for everybody: hidden from this one in a mount namespace of its own.
		# shellcheck disable=SC2046 # an option, or none
		unshare $([ "$(id -u)" = 0 ] || echo -Ur) -m bash -c "mount --bind /dev/null /usr/sbin/tcpdump
			PATH=$TAP_DIR/bin $dump -i $bus -c 5 --decode" >"$TAP_DIR/out" 2>"$TAP_DIR/err"
	else
		PATH=$TAP_DIR/bin $dump -i "$bus" -c 5 --decode >"$TAP_DIR/out" 2>"$TAP_DIR/err"
	fi
	cat "$TAP_DIR/err"
	[ "$(grep -c UDP "$TAP_DIR/out")" = 5 ]
}
run_step "without tcpdump tshark stands in" tshark_stands_in
is 2 "$(ncp-dump -i "$bus" --decode -w x 2>/dev/null; echo $?)" "--decode with -w is a usage error"

logged()
{
	ncp-dump -i "$bus" --from oldest -c 300 --log "$TAP_DIR/log" --json 2>"$TAP_DIR/err"
	[ "$(stat -c %a "$TAP_DIR/log")" = 640 ]
	has_lines "$TAP_DIR/log" 300
	ncp-dump -i "$bus" --from oldest -c 300 -w "$TAP_DIR/x" -q
	tshark -r "$TAP_DIR/x" -T fields -E separator=/s -e ip.src -e udp.srcport -e ip.dst -e udp.dstport |
		sed 's/$/ UDP/' | cmp - "$TAP_DIR/log"
	ncp-dump -i "$bus" --from oldest -c 300 --log - -q | cmp - "$TAP_DIR/log"
	stop producer INT 5
}
run_step "--log: the ends and the protocol of each, as tshark has them" logged
captures()
{
	local c n=0

	# Whatever captures hold, TCP and UDP over IPv4 and IPv6 come out, and the rest is filtered.  Real
	# ones where there are some.
	for c in "$TAP_DIR/x" ../shared/captures/{kday6,quic_handshake,gquic,resp_1_benchmark}.pcap; do
		[ -e "$c" ] || continue
		spawn producer ncp-producer "file:$c" -b "$bus" -m 64M --keep
		reap producer 20
		ncp-dump -i "$bus" --snapshot --log "$TAP_DIR/log" --json 2>"$TAP_DIR/err"
		tshark -r "$c" -o ip.defragment:FALSE -o ipv6.defragment:FALSE -T fields -E separator=, \
			-Y '(tcp or udp) and not icmp and not icmpv6' -E occurrence=f -e ip.src -e ipv6.src \
			-e tcp.srcport -e udp.srcport -e ip.dst -e ipv6.dst -e tcp.dstport -e udp.dstport |
			awk -F, '{ print $1 $2, $3 $4, $5 $6, $7 $8 }' >"$TAP_DIR/want"
		sed 's/ [A-Z]*$//' "$TAP_DIR/log" | diff "$TAP_DIR/want" - | head
		sed 's/ [A-Z]*$//' "$TAP_DIR/log" | cmp "$TAP_DIR/want"
		n=$((n + $(wc -l <"$TAP_DIR/log")))
		tail -n 1 "$TAP_DIR/err" | grep -q "\"frames\":$(wc -l <"$TAP_DIR/log"),"
		ncp-producer --remove "$bus"
	done
	[ "$n" -ge 300 ]
}
run_step "--log of captures, as tshark has them" captures
is 2 "$(ncp-dump --log '' 2>/dev/null; echo $?)" "--log without a name is a usage error"
