#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_dump_laps.sh - ncp-dump lapped again and again: what is missing is exactly what it says.
. tests/tap/tap.sh
plan 13

bus=$(bus_name laps)
file=$TAP_DIR/x.pcapng

# summary EXPRESSION: a Python expression over s, the summary.
summary()
{
	tail -n 1 "$TAP_DIR/dump.err" | python3 -c "import json,sys; s=json.loads(sys.stdin.readline()); print($1)"
}

# gaps: the sum of all gap blocks, and whether frames and gaps follow each other without a hole.
gaps()
{
	python3 - "$file" <<'PY'
import struct, sys
b = open(sys.argv[1], 'rb').read()
off = frames = gap = 0
seq = None
while off < len(b):
	kind, n = struct.unpack_from('=II', b, off)
	assert n >= 12 and n % 4 == 0 and struct.unpack_from('=I', b, off + n - 4)[0] == n, off
	if kind == 6:
		number = struct.unpack_from('>Q', b, off + 28 + 42)[0]
		assert number == seq, (off, number, seq)
		seq += 1
		frames += 1
	elif kind == 0x80006e63:
		what, = struct.unpack_from('=I', b, off + 12)
		following, = struct.unpack_from('=Q', b, off + 32)
		if what == 2:
			seq = following
		elif what == 6:
			if n >= 76:
				assert struct.unpack_from('=Q', b, off + 64)[0] == seq, off
			gap += following - seq
			seq = following
	off += n
print(frames, gap)
PY
}

laps()
{
	local i

	spawn producer ncp-producer "synth:count=900000,pps=150000,size=200" -b "$bus" -m 8M \
		--wait-clients 1 --keep
	wait_for "ncp-dump -D | grep -q '$bus '" 5
	spawn dump ncp-dump -i "$bus" -w "$file" --from oldest --json "$@"
	for i in 1 2 3; do
		wait_for "[ \$(stat -c %s $file) -gt $((i * 3000000)) ]" 10
		kill -STOP "${pid[dump]}"
		lapped_at=$(ncp-stats -i "$bus" --once --json | sed 's/.*"next_seq":\([0-9]*\).*/\1/')
		wait_for "[ \$(ncp-stats -i $bus --once --json | sed 's/.*\"next_seq\":\([0-9]*\).*/\1/') -gt $((lapped_at + 60000)) ]" 10
		kill -CONT "${pid[dump]}"
	done
	reap dump 20
	[ "$status" = "${want_status:-0}" ]
	reap producer 5
}

check()
{
	run_step "$1: it is stopped three times until it was lapped" laps "${@:2}"
	is True "$(summary "s['frames'] + s['filtered'] + s['lost'] == 900000 and s['lost'] > 30000")" \
		"$1: frames, filtered and lost make up what was published, and there was loss"
	is True "$(summary "all(w['frames'] + w['filtered'] + w['others'] + w['lost'] ==
w['next_seq'] - w['first_seq'] and w['lost'] == sum(b - a for a, b in w['lost_ranges'])
for w in s['windows'])")" "$1: in each window, and by its ranges"
	is "$(summary "s['frames'], s['lost']" | tr -d '(),')" "$(gaps)" \
		"$1: the file has exactly the frames and gaps that the summary counts"
	rm -f "$file"
	ncp-producer --remove "$bus"
}

check "straight"
check "filtered" udp
want_status=4
check "by pwrite, strictly" --writer pwrite --strict

# As fast as it goes, in a ring that is lapped many times a second: writes are overrun under way.
torrent()
{
	spawn producer ncp-producer "synth:count=3000000,size=1000" -b "$bus" -m 8M --wait-clients 1
	wait_for "ncp-dump -D | grep -q '$bus '" 5
	spawn dump ncp-dump -i "$bus" -w "$file" --from oldest --json
	reap dump 60
	[ "$status" = 0 ]
	reap producer 5
	[ "$(summary "s['frames'], s['lost']" | tr -d '(),')" = "$(gaps)" ]
	[ "$(summary "s['frames'] + s['lost']")" = 3000000 ]
	capinfos -c "$file"
}
run_step "at full speed the file is whole, and its gaps are what is missing" torrent
