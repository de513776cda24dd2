#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_dump_formats.sh - every format and compression, as tcpdump's and Wireshark's tools read them.
. tests/tap/tap.sh
need_net
need_mounts
plan 23

bus=$(bus_name formats)
file=$TAP_DIR/x
FRAMES=10000

fill()
{
	spawn producer ncp-producer "synth:count=$FRAMES,pps=1000000,imix,flows=40" -b "$bus" -m 64M --keep
	reap producer 20
	[ "$status" = 0 ]
	ncp-dump -i "$bus" --snapshot -w "$TAP_DIR/reference" -q
	tshark -r "$TAP_DIR/reference" -T fields -e frame.time_epoch -e frame.len -e data >"$TAP_DIR/ns"
	sed 's/\(\.[0-9]\{6\}\)[0-9]*/\1000/' "$TAP_DIR/ns" >"$TAP_DIR/us"
	[ "$(wc -l <"$TAP_DIR/ns")" = $FRAMES ]
}
run_step "a bus with frames of several lengths" fill

# plain FILE: uncompressed, on stdout.
plain()
{
	case $(head -c 4 "$1" | od -An -tx1 | tr -d ' ') in
	28b52ffd) zstd -dqc "$1" ;;
	04224d18) lz4 -dqc "$1" ;;
	*) cat "$1" ;;
	esac
}

# judged WANT: every tool takes the file, and finds in it what was published.
judged()
{
	plain "$file" | tcpdump -nqr - >"$TAP_DIR/lines"
	[ "$(wc -l <"$TAP_DIR/lines")" = $FRAMES ]
	tshark -r "$file" -T fields -e frame.time_epoch -e frame.len -e data | cmp - "$1"
	[ "$(capinfos -cTMr "$file" | cut -f2)" = $FRAMES ]
	editcap -F pcapng "$file" "$TAP_DIR/edited"
	mergecap -a -w "$TAP_DIR/merged" "$file" "$file"
	[ "$(capinfos -cTMr "$TAP_DIR/edited" | cut -f2)" = $FRAMES ]
	[ "$(capinfos -cTMr "$TAP_DIR/merged" | cut -f2)" = $((2 * FRAMES)) ]
	reordercap -n "$file" "$TAP_DIR/ordered" | grep "^$FRAMES frames, 0 out of order"
}
mode()
{
	local want=$1

	shift
	rm -f "$file"
	ncp-dump -i "$bus" --snapshot -w "$file" -q "$@"
	judged "$want"
}
run_step "pcapng, straight" mode "$TAP_DIR/ns"
run_step "pcapng, copied" mode "$TAP_DIR/ns" udp
run_step "pcapng, by pwrite" mode "$TAP_DIR/ns" --writer pwrite
run_step "pcapng, in order" mode "$TAP_DIR/ns" --ordered
run_step "pcap" mode "$TAP_DIR/us" --format pcap
run_step "nsec-pcap" mode "$TAP_DIR/ns" --format nsec-pcap
run_step "tcpdump's --nano" mode "$TAP_DIR/ns" --nano
for coder in zstd lz4; do
	run_step "pcapng in $coder" mode "$TAP_DIR/ns" --compress $coder
	run_step "pcap in $coder, by pwrite" mode "$TAP_DIR/us" --compress $coder:3 --format pcap --writer pwrite
done
to_pipe()
{
	ncp-dump -i "$bus" --snapshot -w - --format nsec-pcap -q >"$file"
	judged "$TAP_DIR/ns"
	ncp-dump -i "$bus" --snapshot -w - --compress zstd -q | zstd -dqc | tcpdump -nqr - | cmp - "$TAP_DIR/lines"
	ncp-dump -i "$bus" --snapshot -w - --compress lz4 --format pcap -q | lz4 -dqc | tcpdump -nqr - |
		wc -l | grep -x $FRAMES
}
run_step "each of them to a pipe" to_pipe
cut_short()
{
	ncp-dump -i "$bus" --snapshot -w "$file" --format pcap -s 60 -q
	[ "$(tshark -r "$file" -T fields -e frame.cap_len | sort -n | tail -n 1)" = 60 ]
	[ "$(tshark -r "$file" -T fields -e frame.len | md5sum)" = "$(cut -f2 "$TAP_DIR/us" | md5sum)" ]
	[ "$(capinfos -cTMr "$file" | cut -f2)" = $FRAMES ]
}
run_step "-s in a pcap" cut_short
series()
{
	local f n=0

	# Each file has a beginning and an end of its own.
	for f in "--format pcap" "--compress zstd" "--compress lz4 --format nsec-pcap"; do
		rm -f "$file"*
		# shellcheck disable=SC2086 # words
		ncp-dump -i "$bus" --snapshot -w "$file" -C 60K -q $f
		[ "$(ls "$file"* | wc -l)" -ge 2 ]
		# shellcheck disable=SC2046 # names without blanks
		mergecap -a -w "$TAP_DIR/merged" $(ls -v "$file"*)
		tshark -r "$TAP_DIR/merged" -T fields -e frame.len -e data | cmp - <(cut -f2- "$TAP_DIR/ns")
		n=$((n + 1))
	done
	rm -f "$file"*
	[ $n = 3 ]
}
run_step "-C: a series of them has each frame once" series
like "packets.* 1000$" "$(ncp-dump -i "$bus" --from oldest -c 1000 -w "$file" --compress lz4 -q && capinfos -cM "$file")" \
	"-c ends a compressed file with that frame"

resumed()
{
	local f

	for f in "--format pcap" "--compress zstd" "--compress lz4 --format nsec-pcap"; do
		rm -f "$file"* "$TAP_DIR/state"
		# shellcheck disable=SC2086 # words
		ncp-dump -i "$bus" --from oldest -c 3000 -w "$file" --resume "$TAP_DIR/state" -q $f
		# As a crash leaves it: behind the state.
		head -c 777 /dev/urandom >>"$file"
		# shellcheck disable=SC2086 # words
		ncp-dump -i "$bus" -w "$file" --resume "$TAP_DIR/state" -q $f
		plain "$file" >/dev/null
		mergecap -a -w "$TAP_DIR/merged" "$file" "${file}1"
		tshark -r "$TAP_DIR/merged" -T fields -e frame.len -e data | cmp - <(cut -f2- "$TAP_DIR/ns")
	done
	rm -f "$file"*
}
run_step "--resume cuts them to where they are whole" resumed

# prefix FILE: the numbered frames of it, as far as tshark can read it.  (The command zstd gives a little
# less of a file that has no end.)
prefix()
{
	tshark -r "$1" -F nsecpcap -w "$TAP_DIR/prefix" 2>/dev/null || :
	frame_check "$TAP_DIR/prefix"
}
killed()
{
	rm -f "$file"
	spawn producer ncp-producer "synth:pps=50000,size=500" -b "$bus2" -m 32M
	wait_for "ncp-dump -D | grep -q '$bus2 .live'" 5
	spawn dump ncp-dump -i "$bus2" -w "$file" --sync 0.3 --resume "$TAP_DIR/state-2" "$@"
	wait_for "[ \$(sed -n 's/^length //p' $TAP_DIR/state-2) -gt 30000 ]" 20
	stop dump KILL 5
	promised=$(sed -n 's/^seq //p' "$TAP_DIR/state-2")
	first=$(prefix "$file" | sed 's/.*first=\([0-9]*\).*/\1/')
	last=$(prefix "$file" | sed 's/.*last=\([0-9]*\).*/\1/')
	prefix "$file" | grep 'holes=0 duplicates=0'
	echo "state $promised first $first last $last"
	[ "$promised" -gt "$first" ]
	[ $((last + 1)) -ge "$promised" ]
	stop producer INT 5
	rm -f "$TAP_DIR/state-2"
}
bus2=$(bus_name formats-2)
run_step "SIGKILL: a pcap is a prefix, and holds what was synced" killed --format pcap
run_step "SIGKILL: a zstd one is, too" killed --compress zstd
run_step "SIGKILL: an lz4 one is, too" killed --compress lz4

full()
{
	mkdir "$TAP_DIR/small"
	mount -t tmpfs -o size=1m tmpfs "$TAP_DIR/small"
	status=0
	ncp-dump -i "$bus" --snapshot --format pcap --iobuf 64K -w "$TAP_DIR/small/x" --json 2>"$TAP_DIR/full.err" || status=$?
	tcpdump -nqr "$TAP_DIR/small/x" >"$TAP_DIR/lines"
	saved=$(wc -l <"$TAP_DIR/lines")
	umount "$TAP_DIR/small"
	cat "$TAP_DIR/full.err"
	[ "$status" = 1 ]
	[ "$saved" -gt 300 ]
	tail -n 1 "$TAP_DIR/full.err" | grep -q "\"frames\":$saved,"
}
run_step "a full disk: a pcap keeps whole frames, and says how many" full

# Two interfaces of different link types.
netns_make a
mixed()
{
	in_netns a ip tuntap add mode tun name tun0 
	in_netns a ip link set tun0 up
	spawn_in a producer ncp-producer "lo,tun0" -b "$bus2"
	wait_for "ncp-dump -D | grep -q '$bus2 .live'" 5
	status=0
	ncp-dump -i "$bus2" -a duration:0.2 --format pcap -w "$file" 2>"$TAP_DIR/mixed.err" || status=$?
	cat "$TAP_DIR/mixed.err"
	[ "$status" = 1 ]
	[ "$(wc -l <"$TAP_DIR/mixed.err")" -le 2 ]
	grep -q 'several link types.*pcapng.*--split-interfaces' "$TAP_DIR/mixed.err"
	rm -f "$file"
	ncp-dump -i "$bus2" -a duration:0.2 -w "$file" -q
	capinfos "$file" | grep -q 'Number of interfaces in file: 2'
	stop producer TERM 5
}
run_step_if has_tun "no interface of tun can be made" \
	"a pcap of a bus of two link types is refused with one line" mixed
is 2 "$(ncp-dump -i "$bus" --compress zstd 2>/dev/null; echo $?)" "--compress without a file is a usage error"
