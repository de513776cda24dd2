#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_replay.sh - captures of many link types come through a bus frame for frame; tshark is judge.
. tests/tap/tap.sh

export NCP_DIR=$TAP_DIR/busses
mkdir "$NCP_DIR" "$TAP_DIR/made"

# A capture of each link type: 300 frames whose bytes, lengths and times follow from their number,
# some of them cut by a snaplen; ns and us, big- and little-endian.
python3 - "$TAP_DIR/made" <<'PY'
import hashlib, struct, sys
kinds = {"ethernet": 1, "raw": 101, "sll": 113, "sll2": 276, "null": 0, "loop": 108,
         "radiotap": 127, "ppp": 9, "ipv4": 228, "wpan": 195}
for n, (name, linktype) in enumerate(kinds.items()):
    order, magic = "<>"[n % 2], (0xa1b2c3d4, 0xa1b23c4d)[n // 2 % 2]
    fraction = 1000 if magic == 0xa1b2c3d4 else 1
    with open(f"{sys.argv[1]}/{name}.pcap", "wb") as f:
        f.write(struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144, linktype))
        for i in range(300):
            data = b"".join(hashlib.sha256(f"{name} {i} {k}".encode()).digest() for k in range(48))
            caplen = 1 + i * 5 % 1500
            f.write(struct.pack(order + "IIII", 1700000000 + i // 7, i * 1234567 % 10**9 // fraction,
                                caplen, caplen + (i % 3) * 10) + data[:caplen])
PY

captures=("$TAP_DIR"/made/*.pcap)
for f in ../shared/captures/*.pcap ../shared/captures/*.pcapng; do
	[ -f "$f" ] && captures+=("$f")
done
plan $((2 * ${#captures[@]}))

# what JUDGE FILE: all that the judge reads in it: times, lengths, link type, bytes.
what()
{
	if [ "$1" = tcpdump ]; then
		tcpdump -n -tttt --nano -v -xx -r "$2" 2>/dev/null
		return
	fi
	tshark -n -r "$2" -T json -x -j frame 2>/dev/null | python3 -c 'import json, sys
for packet in json.load(sys.stdin):
    layers = packet["_source"]["layers"]
    frame = layers["frame"]
    print(*(frame["frame." + k] for k in ("time_epoch", "len", "cap_len", "encap_type")),
          layers["frame_raw"][0])'
}

replay()
{
	local bus

	bus=$(bus_name "replay$1")
	spawn producer ncp-producer -b "$bus" -m 16M --reliable --wait-clients 1 "file:$2"
	wait_for 'ncp-dump -D | grep -q "$bus" || ! kill -0 "${pid[producer]}"' 10 || :
	spawn dump ncp-dump -i "$bus" --wait --reliable --from oldest -w "$TAP_DIR/$1.pcapng"
	reap dump 20
	[ "$status" = 0 ]
	reap producer 20
}

n=0
for f in "${captures[@]}"; do
	n=$((n + 1))
	run_step "${f##*/} is replayed" replay "$n" "$f"
	# tshark reads no pcap file of a link type that it cannot take apart; tcpdump does.
	judge=tshark
	capinfos "$f" >/dev/null 2>&1 || judge=tcpdump
	what $judge "$f" >"$TAP_DIR/want" &
	what $judge "$TAP_DIR/$n.pcapng" >"$TAP_DIR/got"
	wait $!
	cmp "$TAP_DIR/want" "$TAP_DIR/got" >&2 && [ -s "$TAP_DIR/got" ]
	ok $? "${f##*/}: $judge reads the same $(wc -l <"$TAP_DIR/want") lines in both"
done
