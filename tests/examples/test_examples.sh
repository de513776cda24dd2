#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_examples.sh - the examples of doc/examples build as C and as C++ and do what they say.
. tests/tap/tap.sh
plan 19

export NCP_DIR=$TAP_DIR/busses
mkdir "$NCP_DIR"
bus=$(bus_name examples)
flags='-Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Werror -O1'

# The header stands as an installed one does: -Wshadow has something against it in C++.
# build NAME LANGUAGE STANDARD [FLAGS]: $TAP_DIR/NAME.LANGUAGE
build()
{
	# shellcheck disable=SC2086 # flags are words
	"${CC:-gcc}" -x "$2" -std="$3" $flags ${4:-} ${SANITIZE:+-fsanitize=$SANITIZE} \
		-isystem libncpbus/include -o "$TAP_DIR/$1.$2" "doc/examples/$1.c" \
		-x none "$NCP_BUILD/lib/libncpbus.a" -pthread
}

examples=()
for f in doc/examples/*.c; do
	f=${f##*/}
	examples+=("${f%.c}")
done
is "count loop top" "${examples[*]}" "there are three examples"
for name in "${examples[@]}"; do
	run_step "$name is C17" build "$name" c gnu17
	run_step "$name is C++20" build "$name" c++ gnu++20 -Wno-missing-field-initializers
done

# TCP, UDP, ICMP over both IPs, ARP, something else, too short, some cut: 1200 frames.
python3 - "$TAP_DIR/mix.pcap" <<'PY'
import random, struct, sys
random.seed(1)
def ipv4(proto, flow):
    return b"\x08\x00" + bytes([0x45, 0, 0, 0, 0, 0, 0, 0, 64, proto, 0, 0, 10, 0, 0, flow, 10, 1, 0, 1]) \
        + struct.pack(">HH", 1000 + flow, 443)
def ipv6(proto):
    return b"\x86\xdd" + bytes([0x60, 0, 0, 0, 0, 8, proto, 64]) + bytes(32) + bytes(4)
with open(sys.argv[1], "wb") as f:
    f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
    for i in range(1200):
        body = [ipv4(6, i % 7), ipv4(6, 200), ipv4(17, i % 5), ipv4(1, 9), ipv6(6), ipv6(58),
                b"\x08\x06" + bytes(28), ipv4(47, 3), b"\x88\xcc" + bytes(9), b""][i * 7 % 10]
        data = bytes(12) + body
        if body:
            data += bytes(random.randrange(1300))
        cap = data[:96] if i % 3 == 0 else data
        f.write(struct.pack("<IIII", 1700000000 + i, i, len(cap), len(data)) + cap)
PY

# fields FIELD...: of each frame of the file, as tshark has them.
fields()
{
	local words=()

	for field in "$@"; do words+=(-e "$field"); done
	tshark -n -r "$TAP_DIR/mix.pcap" -T fields -E occurrence=f "${words[@]}" 2>/dev/null
}

# What count should print, and top, with tshark as judge.
fields frame.len eth.type ip.proto ipv6.nxt | python3 -c 'import sys
names = {("0x0800", "6"): "TCP", ("0x86dd", "6"): "TCP", ("0x0800", "17"): "UDP",
         ("0x0800", "1"): "ICMP", ("0x86dd", "58"): "ICMP"}
sums = {}
for line in sys.stdin:
    size, kind, four, six = line.rstrip("\n").split("\t")
    name = names.get((kind, four or six)) or {"": "short", "0x0806": "ARP"}.get(kind, "other")
    frames, octets = sums.get(name, (0, 0))
    sums[name] = frames + 1, octets + int(size)
for name in "TCP", "UDP", "ICMP", "ARP", "other", "short":
    print(name, sums[name][0], "frames", sums[name][1], "bytes")
print("lost 0 frames")' >"$TAP_DIR/want.count"
fields frame.len ip.src ip.dst tcp.srcport tcp.dstport | python3 -c 'import sys
sums = {}
for line in sys.stdin:
    size, src, dst, sport, dport = line.rstrip("\n").split("\t")
    if src and sport:
        key = f"{src}.{sport} > {dst}.{dport}"
        frames, octets = sums.get(key, (0, 0))
        sums[key] = frames + 1, octets + int(size)
for key, (frames, octets) in sorted(sums.items(), key=lambda s: -s[1][1]):
    print(octets, "bytes", frames, "frames", key, "protocol 6")' >"$TAP_DIR/want.top"

publishes()
{
	spawn producer ncp-producer "file:$TAP_DIR/mix.pcap" -b "$bus" -m 8M --keep
	reap producer 20
	[ "$status" = 0 ]
}
run_step "a bus with a mixed capture" publishes
is 1200 "$(awk '{ n += $2 } END { print n }' "$TAP_DIR/want.count")" "tshark counts its frames"
for language in c c++; do
	is "$(cat "$TAP_DIR/want.count")" "$("$TAP_DIR/count.$language" "$bus" | tr -s ' ')" \
		"count ($language) counts as tshark does"
	is "$(cat "$TAP_DIR/want.top")" "$("$TAP_DIR/top.$language" "$bus" 'ip and tcp' |
		sed -e 's/^ *//' | tr -s ' ')" "top ($language) finds the flows that tshark finds"
done
out=$("$TAP_DIR/top.c" "$bus" 'tcp portt 3' 2>&1)
like "^1 top: bus $bus: .*syntax error" "$? $out" "top says what is wrong with a filter"
out=$("$TAP_DIR/count.c" nothing 2>&1)
like "^1 count: bus nothing: " "$? $out" "count says that there is no bus"

# A bus that goes on: the loop's descriptor tells it of each frame, a signal ends it, and the place
# where it ended is where the next one begins.
lives()
{
	ncp-producer --remove "$bus"
	spawn producer ncp-producer synth:count=9000,pps=3000,size=100 -b "$bus" -m 8M --keep \
		--wait-clients 1
	wait_for "ncp-dump -D | grep -q $bus" 5
	spawn loop "$TAP_DIR/loop.c" "$bus"
	wait_for "grep -q frames/s $TAP_DIR/loop.out" 10
	stop loop INT 5
	[ "$status" = 0 ]
}
run_step "loop prints rates and ends on a signal" lives
goes_on()
{
	local words

	read -r -a words < <(tail -n 1 "$TAP_DIR/loop.out")
	spawn again "$TAP_DIR/loop.c++" "$bus" "${words[@]: -2}"
	reap again 20
	[ "$status" = 0 ]
	reap producer 5
}
run_step "another one goes on from there, to the end of the bus" goes_on
is 9000 "$(cat "$TAP_DIR"/{loop,again}.out | awk '/next:/ { n += $1 } END { print n }')" \
	"together they had every frame"
is "0 0" "$(sed -n 's/.* bytes, \([0-9]*\) lost; next.*/\1/p' "$TAP_DIR"/{loop,again}.out | xargs)" \
	"and lost none"
