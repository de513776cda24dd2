#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_main_job.sh - a million frames over a wire: published, read by three clients, on disk, exact.
. tests/tap/tap.sh
. tests/system/lib.sh
need_net
plan 17

count=1000000 pps=100000
own_busses
bus=$(bus_name job)

# json FILE KEY: a member of the last object in it.
json()
{
	tail -n 1 "$1" | python3 -c 'import json, sys
v = json.loads(sys.stdin.read())
for k in sys.argv[1].split("."):
    v = v[int(k)] if k.isdigit() else v[k]
print(v)' "$2"
}

begin()
{
	spawn_in b producer ncp-producer -b "$bus" -m 256M -B 65536 --json veth-b
	wait_for 'grep -q "\"live\"" "$TAP_DIR/producer.err"' 10
	spawn all ncp-dump -i "$bus" -w "$TAP_DIR/all.pcapng" --json
	spawn some ncp-dump -i "$bus" -w "$TAP_DIR/some.pcapng" --json 'udp[8:4] = 0 and udp[12:4] & 3 = 0'
	spawn stats ncp-stats -i "$bus" --json --interval 1
	wait_for 'ncp-stats -i "$bus" --once --json | grep -q "ncp-dump.*ncp-dump"' 10
}

counter()
{
	in_netns b cat /sys/class/net/veth-b/statistics/"$1"
}

send()
{
	before=$(counter rx_packets)
	in_netns a frame_send veth-a $count $pps >"$TAP_DIR/sent"
	after=$(counter rx_packets)
}

# The clients have it all when their lines in the registry say so.
end()
{
	wait_for '[ "$(json <(ncp-stats -i "$bus" --once --json) published)" -ge $count ]' 10
	stop all INT 20
	[ "$status" = 0 ]
	stop some INT 20
	[ "$status" = 0 ]
	ncp-stats -i "$bus" --once --json >"$TAP_DIR/once.out"
	stop stats INT 5
	[ "$status" = 0 ]
	stop producer INT 10
	[ "$status" = 0 ]
}

run_step "two hosts, one wire" wire
run_step "a producer and three clients" begin
run_step "a million frames at 100,000 a second" send
run_step "everybody stops in order" end
is "" "$(ls "$NCP_DIR")" "nothing of the bus is left"

is $count "$(cat "$TAP_DIR/sent")" "the generator sent a million"
is $count $((after - before)) "the interface's own counter says a million came"
is $count "$(json "$TAP_DIR/producer.err" published)" "the producer published a million"
is 0 "$(json "$TAP_DIR/producer.err" kernel_drops)" "and the kernel dropped none"
is $count "$(json "$TAP_DIR/once.out" published)" "ncp-stats counted the same"
for client in all some; do
	is "0 $count $count" \
		"$(json "$TAP_DIR/$client.err" lost) $(json "$TAP_DIR/$client.err" windows.0.next_seq) $((
		$(json "$TAP_DIR/$client.err" frames) + $(json "$TAP_DIR/$client.err" filtered)))" \
		"ncp-dump ($client) lost none, and seen + filtered = published"
done
is $((count / 4)) "$(json "$TAP_DIR/some.err" frames)" "the filter took its quarter"
is "frames=$count first=0 last=$((count - 1)) holes=0 duplicates=0 other=0" \
	"$(frame_check "$TAP_DIR/all.pcapng")" "the file holds exactly the frames sent"
is $count "$(capinfos -Mcr -T "$TAP_DIR/all.pcapng" | cut -f 2)" "capinfos counts them"
is $((count / 4)) "$(tshark -n -r "$TAP_DIR/some.pcapng" -T fields -e frame.number 2>"$TAP_DIR/tshark.err" |
	wc -l)" "tshark reads the filtered file"
is "" "$(grep -v 'root' "$TAP_DIR/tshark.err")" "and complains of nothing"
