#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_dump_reliable.sh - a producer that waits for ncp-dump: nothing is lost, in any ring.
. tests/tap/tap.sh
plan 11

bus=$(bus_name reliable)
file=$TAP_DIR/x.pcapng

# through RING SOURCE [DUMP-ARG...]: the source as fast as it goes, to its end.
through()
{
	rm -f "$file"
	spawn producer ncp-producer "$2" -b "$bus" -m "$1" --reliable --wait-clients 1
	wait_for "ncp-dump -D | grep -q '$bus '" 5
	spawn dump ncp-dump -i "$bus" -w "$file" --from oldest --wait --reliable --strict --json "${@:3}"
	reap dump 30
	[ "$status" = 0 ]
	reap producer 5
	[ "$status" = 0 ]
	tail -n 1 "$TAP_DIR/dump.err" | grep -q '"lost":0,'
}

numbered()
{
	through "$1" "synth:count=$2,size=200" "${@:3}"
	frame_check "$file" | grep "frames=$2 .* holes=0 duplicates=0"
}
run_step "a large ring, straight" numbered 64M 1000000
run_step "a ring that is filled many times a second" numbered 1M 500000
run_step "the smallest ring" numbered 64K 20000
run_step "copied through a filter" numbered 8M 500000 udp
run_step "by pwrite" numbered 8M 500000 --writer pwrite

# make_capture LINKTYPE SNAPLEN-OF-EVERY-THIRD: 100 frames whose bytes follow from their number.
make_capture()
{
	python3 - "$1" "$TAP_DIR/in.pcap" <<'PY'
import struct, sys
link = int(sys.argv[1])
out = open(sys.argv[2], 'wb')
out.write(struct.pack('=IHHIIII', 0xa1b23c4d, 2, 4, 0, 0, 262144, link))
ip = bytes.fromhex('4500001c00010000401100007f0000017f00000104d2003500080000')
head = {1: bytes.fromhex('0200000000010200000000020800'), 101: b'', 0: struct.pack('=I', 2),
	113: bytes.fromhex('00000001000602000000000100000800'),
	276: bytes.fromhex('0800000000000002000100060200000000010000'),
	127: bytes.fromhex('0000080000000000')}[link]
for i in range(100):
	data = head + ip + bytes((i * 7 + k) & 255 for k in range(i * 3))
	n = len(data) - (5 if i % 3 == 0 else 0)
	out.write(struct.pack('=IIII', 1700000000 + i, i * 9999999, n, len(data)) + data[:n])
PY
}
shown()
{
	tshark -r "$1" -t e -T fields -e frame.time_epoch -e frame.len -e frame.cap_len -e frame.encap_type
	tshark -r "$1" -x
}
replayed()
{
	make_capture "$1"
	through 8M "file:$TAP_DIR/in.pcap"
	shown "$TAP_DIR/in.pcap" >"$TAP_DIR/want"
	shown "$file" | cmp - "$TAP_DIR/want"
	[ "$(tcpdump -nr "$file" | wc -l)" = 100 ]
}
for link in 1:Ethernet 101:"raw IP" 0:"BSD loopback" 113:"Linux cooked" 276:"Linux cooked v2" \
	127:"802.11 radiotap"; do
	run_step "a capture of ${link#*:} comes out frame for frame" replayed "${link%%:*}"
done
