#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_dump_share.sh - several ncp-dumps share a bus's frames: by flow, by group; and by time, one.
. tests/tap/tap.sh
plan 20

bus=$(bus_name share)

# summary NAME EXPRESSION: a Python expression over s, the summary of a spawn or of a file.
summary()
{
	tail -n 1 "$TAP_DIR/$1" | python3 -c "import json,sys; s=json.loads(sys.stdin.readline()); print($2)"
}

# numbers FILE...: how many frames, different ones, and the highest number, over all files as far as
# they can be read: who was killed leaves unfinished bytes behind.
numbers()
{
	python3 - "$@" <<'PY'
import struct, sys
seen, frames = set(), 0
for name in sys.argv[1:]:
	b = open(name, 'rb').read()
	off = 0
	while off + 12 <= len(b):
		kind, n = struct.unpack_from('=II', b, off)
		if n < 12 or n % 4 or off + n > len(b) or struct.unpack_from('=I', b, off + n - 4)[0] != n:
			break
		if kind == 6:
			seen.add(struct.unpack_from('>Q', b, off + 28 + 42)[0])
			frames += 1
		off += n
print(frames, len(seen), max(seen, default=-1))
PY
}

# --- shards ---------------------------------------------------------------------------------------

# 40 flows in both directions over IPv4, IPv6 and VLANs, datagrams in fragments (their first ones last),
# ARP between pairs of stations; the times rise by a microsecond.
python3 - "$TAP_DIR/flows.pcap" <<'PY'
import random, struct, sys
random.seed(7)
def ether(a, b, kind, body, tags=()):
	p = bytes([2, 0, 0, 0, 0, b]) + bytes([2, 0, 0, 0, 0, a])
	for tpid, vid in tags:
		p += struct.pack('>HH', tpid, vid)
	return p + struct.pack('>H', kind) + body
def ip4(a, b, proto, body, ident=0, frag=0):
	return struct.pack('>BBHHHBBH4s4s', 0x45, 0, 20 + len(body), ident, frag, 64, proto, 0,
		bytes([10, 0, 0, a]), bytes([10, 0, 1, b])) + body
def back4(p):
	return p[:12] + p[16:20] + p[12:16] + p[20:]
def ip6(src, dst, proto, body, ext=b''):
	return struct.pack('>IHBB', 6 << 28, len(ext) + len(body), 60 if ext else proto, 64) + src + dst + \
		ext + body
frames = []
for f in range(40):
	proto, sp, dp = (6, 17)[f % 2], 1000 + f, 80
	a6, b6 = bytes(15) + bytes([f + 1]), bytes(14) + bytes([1, 1])
	for n in range(25):
		for way in (0, 1):
			s, d = (sp, dp) if way == 0 else (dp, sp)
			body = struct.pack('>HH', s, d) + (struct.pack('>IIBBHHH', n, 0, 0x50, 0x10, 100, 0, 0)
				if proto == 6 else struct.pack('>HH', 8 + 10, 0)) + b'x' * 10
			tags = ((), ((0x8100, 7),), ((0x88a8, 9), (0x8100, 7)))[f % 3]
			if f % 4 < 2:
				p = ip4(f + 1, 1, proto, body)
				frames.append(ether(1, 2, 0x800, p if way == 0 else back4(p), tags))
			else:
				ext = bytes([proto, 0, 1, 4, 0, 0, 0, 0]) if f % 8 > 5 else b''
				frames.append(ether(1, 2, 0x86dd, ip6(*((a6, b6) if way == 0 else (b6, a6)),
					proto, body, ext), tags))
for d in range(300):
	whole = struct.pack('>HHHH', 5000 + d, 53, 8 + 72, 0) + b'y' * 72
	frames.append(ether(3, 4, 0x800, ip4(100 + d % 50, 2, 17, whole[40:], d, 5)))
	frames.append(ether(3, 4, 0x800, ip4(100 + d % 50, 2, 17, whole[:40], d, 0x2000)))
for d in range(200):
	frames.append(ether(10 + d % 20, 50, 0x806, bytes(28)))
random.shuffle(frames)
with open(sys.argv[1], 'wb') as out:
	out.write(struct.pack('=IHHiIII', 0xa1b23c4d, 2, 4, 0, 0, 262144, 1))
	for i, p in enumerate(frames):
		out.write(struct.pack('=IIII', 1700000000, i * 1000, len(p), len(p)) + p)
PY

# What tshark sees of a file, a line a frame.
all_of()
{
	tshark -r "$1" -T fields -e frame.time_epoch -e frame.len -e frame.protocols -e eth.src -e ip.src -e ip.dst \
		-e ipv6.src -e ipv6.dst -e tcp.srcport -e udp.srcport
}
# Whose frame: the two ends of a flow, sorted; the datagram of a fragment; the two stations.
owners()
{
	tshark -r "$1" -o ip.defragment:FALSE -T fields -E separator=, -E occurrence=f \
		-e ip.src -e ip.dst -e ipv6.src -e ipv6.dst -e tcp.srcport -e tcp.dstport -e udp.srcport \
		-e udp.dstport -e ip.id -e ip.flags.mf -e ip.frag_offset -e eth.src -e eth.dst |
		python3 -c "import sys
for line in sys.stdin:
	f = line.rstrip('\n').split(',')
	a, b = (f[0], f[1]) if f[0] else (f[2], f[3])
	if f[9] in ('1', 'True') or f[10] not in ('', '0'): print('datagram', a, b, f[8])
	elif a: print('flow', *sorted([(a, f[4] + f[6]), (b, f[5] + f[7])]))
	else: print('stations', *sorted(f[11:13]))" | sort -u
}

shards()
{
	local i

	spawn producer ncp-producer "file:$TAP_DIR/flows.pcap" -b "$bus" -m 16M --keep
	reap producer 10
	[ "$status" = 0 ]
	for i in 0 1 2; do
		ncp-dump -i "$bus" --snapshot -w "$TAP_DIR/shard$i" --shard "$i/3" --json 2>"$TAP_DIR/shard$i.err"
		all_of "$TAP_DIR/shard$i" >"$TAP_DIR/shard$i.all"
		owners "$TAP_DIR/shard$i" >"$TAP_DIR/shard$i.owners"
	done
	ncp-dump -i "$bus" --snapshot -w "$TAP_DIR/whole" -q
	all_of "$TAP_DIR/whole" >"$TAP_DIR/whole.all"
	[ "$(wc -l <"$TAP_DIR/whole.all")" = 2800 ]
}
run_step "three shards of a bus with flows, fragments and stations" shards
is "$(sort "$TAP_DIR/whole.all" | md5sum)" "$(sort "$TAP_DIR"/shard?.all | md5sum)" \
	"together they are everything, each frame once (tshark)"
is "" "$(sort "$TAP_DIR"/shard?.owners | uniq -d)" \
	"each flow, in both directions, each datagram's fragments, each pair of stations is in one"
is "3" "$(for i in 0 1 2; do [ "$(wc -l <"$TAP_DIR/shard$i.all")" -gt 300 ] && echo; done | wc -l)" "none is idle"
is "True True True" "$(for i in 0 1 2; do summary "shard$i.err" "s['frames'] + s['others'] == 2800 and \
s['others'] > 0 and s['filtered'] == s['lost'] == 0 and s['windows'][0]['others'] == s['others']"; done | xargs)" \
	"what the other shards got is told as others"
filtered()
{
	local i sum=0

	for i in 1 2 3; do
		ncp-dump -i "$bus" --snapshot -w "$TAP_DIR/f$i" --shard "$i/3" --json tcp 2>"$TAP_DIR/f$i.err"
		sum=$((sum + $(summary "f$i.err" "s['frames']")))
		[ "$(summary "f$i.err" "s['others']")" = "$(summary "shard$((i % 3)).err" "s['others']")" ]
		[ "$(summary "f$i.err" "s['frames'] + s['filtered'] + s['others']")" = 2800 ]
	done
	[ "$sum" = "$(tcpdump -nr "$TAP_DIR/whole" tcp | wc -l)" ]
}
run_step "with a filter: others are others, the rest is filtered; shard 3/3 is shard 0/3" filtered
counted()
{
	ncp-dump -i "$bus" --from oldest -w "$TAP_DIR/c" --shard 0/3 -c 100 --json 2>"$TAP_DIR/c.err"
	[ "$(summary c.err "s['frames']")" = 100 ]
	[ "$(summary c.err "s['windows'][0]['next_seq'] - s['windows'][0]['first_seq'] - s['others']")" = 100 ]
	[ "$(ncp-dump -i "$bus" --snapshot --shard 0/3 -q | wc -l)" = "$(wc -l <"$TAP_DIR/shard0.all")" ]
}
run_step "-c counts a shard's own; lines are printed of it alone, too" counted
resumed()
{
	ncp-dump -i "$bus" --from oldest -w "$TAP_DIR/r" --shard 1/3 --resume "$TAP_DIR/r.state" -c 200 -q
	ncp-dump -i "$bus" -w "$TAP_DIR/r" --shard 1/3 --resume "$TAP_DIR/r.state" -q
	mergecap -a -w "$TAP_DIR/r.both" "$TAP_DIR/r" "$TAP_DIR/r1"
	all_of "$TAP_DIR/r.both" | cmp - "$TAP_DIR/shard1.all"
}
run_step "a shard can be resumed" resumed
ncp-producer --remove "$bus"

# --- groups ---------------------------------------------------------------------------------------

# members ARG...: three of a group on a bus that is fed as long as they are there; a, b, c.
members()
{
	local m

	rm -f "$TAP_DIR"/[abc].pcapng
	spawn producer ncp-producer "synth:count=600000,pps=200000,size=200" -b "$bus" -m 64M --wait-clients 3
	wait_for "ncp-dump -D | grep -q '$bus '" 5
	for m in a b c; do
		spawn "$m" ncp-dump -i "$bus" --group work --from oldest -w "$TAP_DIR/$m.pcapng" --json "$@"
	done
}
live()
{
	local m

	members "$@"
	for m in a b c; do
		reap "$m" 30
		cat "$TAP_DIR/$m.err"
		[ "$status" = 0 ]
		[ "$(summary "$m.err" "s['lost'] == s['filtered'] == 0 and s['frames'] > 0 and \
all(w['frames'] + w['others'] == w['next_seq'] - w['first_seq'] for w in s['windows'])")" = True ]
		tcpdump -nr "$TAP_DIR/$m.pcapng" >"$TAP_DIR/lines"
		[ "$(wc -l <"$TAP_DIR/lines")" = "$(summary "$m.err" "s['frames']")" ]
	done
	reap producer 5
}
run_step "a group of three" live
is "600000 600000 599999" "$(numbers "$TAP_DIR"/[abc].pcapng)" "all live: over all files each frame once"

killed()
{
	members "$@"
	wait_for "[ \$(stat -c %s $TAP_DIR/b.pcapng) -gt 4000000 ]" 10
	# Stopped first: it holds what it has claimed, and frames go on.
	kill -STOP "${pid[b]}"
	sleep_until_passed
	kill -KILL "${pid[b]}"
	reap b 5
	reap a 30
	[ "$status" = 0 ]
	reap c 30
	[ "$status" = 0 ]
	reap producer 5
	for m in a c; do
		[ "$(summary "$m.err" "s['lost']")" = 0 ]
	done
}
# Some claims further: the others have read on meanwhile.
sleep_until_passed()
{
	local from

	from=$(stat -c %s "$TAP_DIR/a.pcapng")
	wait_for "[ \$(stat -c %s $TAP_DIR/a.pcapng) -gt $((from + 3000000)) ]" 10
}
run_step "one of them stopped, then killed, with frames in its hands" killed
is "600000 599999" "$(numbers "$TAP_DIR"/[abc].pcapng | cut -d' ' -f2-)" "over all files each frame at least once"
run_step "the same by pwrite, and done with only when it is durable" killed --sync 0.2 --writer pwrite
is "600000 599999" "$(numbers "$TAP_DIR"/[abc].pcapng | cut -d' ' -f2-)" "each frame at least once again"

late()
{
	spawn producer ncp-producer "synth:count=20000,pps=1000000,size=200" -b "$bus" -m 64M --keep
	reap producer 10
	ncp-dump -i "$bus" --group work --from oldest -c 5000 -w "$TAP_DIR/a.pcapng" -q
	ncp-dump -i "$bus" --group work --from oldest --to seq:12000 -w "$TAP_DIR/b.pcapng" -q
	ncp-dump -i "$bus" --group work --from oldest -w "$TAP_DIR/c.pcapng" -q
	[ "$(numbers "$TAP_DIR/a.pcapng")" = "5000 5000 4999" ]
	[ "$(numbers "$TAP_DIR/b.pcapng")" = "7000 7000 11999" ]
	[ "$(numbers "$TAP_DIR/c.pcapng")" = "8000 8000 19999" ]
	[ "$(ncp-dump -i "$bus" --group other --snapshot -q udp | wc -l)" = 20000 ]
	# What no filter passes is done with, too.
	ncp-dump -i "$bus" --group none --snapshot -w "$TAP_DIR/n.pcapng" -q tcp
	ncp-dump -i "$bus" --group none --snapshot -w "$TAP_DIR/n.pcapng" --json 2>"$TAP_DIR/n.err"
	cat "$TAP_DIR/n.err"
	[ "$(summary n.err "s['frames'], s['filtered']")" = "0 0" ]
}
run_step "a group's place lasts: each goes on where the one before has left" late
is 2 "$(ncp-dump -i "$bus" --group g --shard 0/2 -w x 2>/dev/null; echo $?)" "shards in a group are a usage error"
is 2 "$(ncp-dump -i "$bus" --shard 4/3 2>/dev/null; echo $?)" "shard 4 of 3 is a usage error"
ncp-producer --remove "$bus"

# --- order ----------------------------------------------------------------------------------------

# Two streams whose batches interleave: frames are displaced by up to 8 ms.  One is 1 s late.
python3 - "$TAP_DIR/mixed.pcap" <<'PY'
import struct, sys
times = []
for batch in range(500):
	for stream in (0, 1):
		times += [(batch * 10_000 + stream * 2_000 + n * 80) * 1000 for n in range(100)]
with open(sys.argv[1], 'wb') as out:
	out.write(struct.pack('=IHHiIII', 0xa1b23c4d, 2, 4, 0, 0, 262144, 1))
	for i, t in enumerate(times):
		p = bytes(12) + b'\x88\xb5' + struct.pack('>Q', i) + bytes(40)
		out.write(struct.pack('=IIII', 1700000000 + t // 10**9, t % 10**9, len(p), len(p)) + p)
PY
in_order()
{
	spawn producer ncp-producer "file:$TAP_DIR/mixed.pcap" -b "$bus" -m 64M --keep
	reap producer 10
	[ "$status" = 0 ]
	ncp-dump -i "$bus" --snapshot -w "$TAP_DIR/plain" -q
	reordercap -n "$TAP_DIR/plain" "$TAP_DIR/sorted" >"$TAP_DIR/reordercap"
	cat "$TAP_DIR/reordercap"
	! grep -q ', 0 out of order' "$TAP_DIR/reordercap"
	ncp-dump -i "$bus" --snapshot --ordered -w "$TAP_DIR/ordered" --json 2>"$TAP_DIR/ordered.err"
	reordercap -n "$TAP_DIR/ordered" "$TAP_DIR/again" >"$TAP_DIR/reordercap"
	cat "$TAP_DIR/reordercap" "$TAP_DIR/ordered.err"
	grep -q '100000 frames, 0 out of order' "$TAP_DIR/reordercap"
	[ "$(summary ordered.err "s['frames'], s['filtered'], s['lost'], s['windows'][0]['next_seq']")" = \
		"100000 0 0 100000" ]
	tshark -r "$TAP_DIR/sorted" -T fields -e frame.time_epoch -e data >"$TAP_DIR/sorted.txt"
	tshark -r "$TAP_DIR/ordered" -T fields -e frame.time_epoch -e data | sort -s -k1,1 |
		cmp - <(sort -s -k1,1 "$TAP_DIR/sorted.txt")
	# Too short a window leaves some where they are; an end by number is exact.
	ncp-dump -i "$bus" --snapshot --ordered=0.1ms -w "$TAP_DIR/short" -q
	! reordercap -n "$TAP_DIR/short" "$TAP_DIR/again" | grep -q ', 0 out of order'
	ncp-dump -i "$bus" --from oldest --ordered --to seq:5050 -w "$TAP_DIR/part" --json 2>"$TAP_DIR/part.err"
	[ "$(summary part.err "s['frames'], s['filtered'], s['windows'][0]['next_seq']")" = "5050 0 5050" ]
	ncp-dump -i "$bus" --from oldest --ordered -c 5050 -w "$TAP_DIR/part" --json 2>"$TAP_DIR/part.err"
	[ "$(summary part.err "s['frames'], s['filtered']")" = "5050 0" ]
	capinfos -c "$TAP_DIR/part" | grep -q ' 5050$'
}
run_step "--ordered: a bus whose times interleave comes out sorted" in_order
lapped()
{
	ncp-producer --remove "$bus"
	spawn producer ncp-producer "synth:count=1500000,pps=300000,size=200" -b "$bus" -m 8M --wait-clients 1
	wait_for "ncp-dump -D | grep -q '$bus '" 5
	spawn dump ncp-dump -i "$bus" --from oldest --ordered -w "$TAP_DIR/lapped" --json
	for i in 1 2; do
		wait_for "[ \$(stat -c %s $TAP_DIR/lapped) -gt $((i * 3000000)) ]" 10
		kill -STOP "${pid[dump]}"
		at=$(ncp-stats -i "$bus" --once --json | sed 's/.*"next_seq":\([0-9]*\).*/\1/')
		wait_for "[ \$(ncp-stats -i $bus --once --json | sed 's/.*\"next_seq\":\([0-9]*\).*/\1/') -gt $((at + 60000)) ]" 10
		kill -CONT "${pid[dump]}"
	done
	reap dump 30
	reap producer 5
	cat "$TAP_DIR/dump.err"
	[ "$(summary dump.err "s['lost'] > 30000 and s['frames'] + s['lost'] == 1500000 and s['filtered'] == 0 and \
s['lost'] == sum(b - a for w in s['windows'] for a, b in w['lost_ranges'])")" = True ]
	[ "$(numbers "$TAP_DIR/lapped" | cut -d' ' -f1,2)" = "$(summary dump.err "s['frames'], s['frames']")" ]
}
run_step "--ordered, lapped: what was written and what was lost add up" lapped
is 2 "$(ncp-dump -i "$bus" --ordered --resume y -w x 2>/dev/null; echo $?)" "--ordered with --resume is a usage error"
