#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_dump_moves.sh - restarts, replacements and laps around a resumed ncp-dump: every frame of the
# wire is in its files once, or counted to the frame.
. tests/tap/tap.sh
. tests/system/lib.sh
need_net
plan 14

own_busses
bus=$(bus_name moves)
state=$TAP_DIR/state
file=$TAP_DIR/x.pcapng
sent=0

# windows EXPRESSION: a Python expression over w, one window of the last summary, for each.
windows()
{
	tail -n 1 "$TAP_DIR/dump.err" | python3 -c "import json, sys
print([$1 for w in json.loads(sys.stdin.read())['windows']])"
}

start()
{
	spawn_in b producer ncp-producer -b "$bus" --json "$@" veth-b
	wait_for 'grep -q "\"live\"" "$TAP_DIR/producer.err"' 10
}

# burst N: so many numbered frames, all of which the bus then has.
burst()
{
	local before

	before=$(value published)
	in_netns a frame_send veth-a "$1" 20000 "${2:-300}" "$sent"
	sent=$((sent + $1))
	wait_for "[ \$(value published) = $((before + $1)) ]" 10
}

dump()
{
	spawn dump ncp-dump -i "$bus" -w "$file" --from oldest --json "$@"
}

# written N: ncp-dump is there and has read frame N - 1.
written()
{
	wait_for "ncp-stats -i \"$bus\" --once --json | tail -n 1 | python3 -c \"import json, sys
sys.exit(not any(c['seq'] == $1 for c in json.loads(sys.stdin.read())['clients']))\"" 10
}

run_step "two hosts, one wire" wire

# --- the producer is restarted while nobody reads, and while somebody does --------------------

restarts()
{
	start -m 64M
	burst 5000
	dump --resume "$state"
	written 5000
	stop dump KILL 5
	stop producer TERM 10
	start -m 64M
	burst 3000
	stop producer KILL 10
	start -m 64M
	burst 2000
	dump --resume "$state"
	written 10000
	stop producer TERM 10
	start -m 64M
	burst 1000
	written 11000
	stop dump INT 10
	[ "$status" = 0 ]
}
run_step "ncp-dump killed and resumed, its producer stopped, killed, stopped, and started again" restarts
is "frames=11000 first=0 last=10999 holes=0 duplicates=0 other=0" "$(frame_check $(series "$file"))" \
	"every frame is in the files once"
is "4 11000" "$(value epoch) $(value published)" "of one bus, in its fourth epoch"
like "^\[\((0|5000|[1-4][0-9]*), 11000, 0\)\]$" \
	"$(windows "(w['first_seq'], w['next_seq'], w['lost'])")" "in one window without a loss"

# --- the ring moved on while nobody read ---------------------------------------------------------

moved_on()
{
	rm -f "$state" "$file"*
	stop producer INT 10
	sent=0
	start -m 8M
	burst 1000
	dump --resume "$state"
	written 1000
	stop dump INT 10
	# More than the ring holds.
	burst 20000 1000
	oldest=$(value oldest_seq)
	dump --resume "$state"
	written 21000
	stop dump INT 10
	[ "$status" = 0 ]
	[ "$oldest" -gt 1000 ]
}
run_step "resumed after the ring has moved on" moved_on
is "[(1000, 21000, $((21000 - oldest)), $((oldest - 1000)), [[1000, $oldest]])]" \
	"$(windows "(w['first_seq'], w['next_seq'], w['frames'], w['lost'], w['lost_ranges'])")" \
	"what is gone is counted to the frame"
is "frames=$((22000 - oldest)) first=0 last=20999 holes=0 duplicates=0 other=0 gapped=$((oldest - 1000))" \
	"$(frame_check $(series "$file"))" "a gap block stands for it"

# --- another -m while ncp-dump writes ----------------------------------------------------------------

replaced()
{
	rm -f "$state" "$file"*
	stop producer INT 10
	sent=0
	start -m 8M
	burst 2000
	dump
	written 2000
	# It sleeps while the rest of the old bus comes, and while the new one takes its place.
	kill -STOP "${pid[dump]}"
	burst 3000
	stop producer TERM 10
	[ "$(value state)" = stopped ]
	start -m 16M
	[ "$(value ring_size)" = 16777216 ]
	burst 4000
	kill -CONT "${pid[dump]}"
	wait_for 'grep -q "was replaced" "$TAP_DIR/dump.err"' 10
	written 4000
	burst 1000
	written 5000
	stop dump INT 10
	[ "$status" = 0 ]
}
run_step "started with another ring size while ncp-dump writes" replaced
is "frames=10000 first=0 last=9999 holes=0 duplicates=0 other=0" "$(frame_check "$file")" \
	"it drained the old bus to its end, and has all of the new one"
is "[(0, 5000, 5000, 0), (0, 5000, 5000, 0)]" \
	"$(windows "(w['first_seq'], w['next_seq'], w['frames'], w['lost'])")" "in two windows"
is "1 2" "$(grep -c "$bus.*was replaced" "$TAP_DIR/dump.err") $(python3 - "$file" <<'PY'
import struct, sys
b = open(sys.argv[1], 'rb').read()
off = sections = 0
while off < len(b):
	kind, n = struct.unpack_from('=II', b, off)
	assert n >= 12 and n % 4 == 0 and struct.unpack_from('=I', b, off + n - 4)[0] == n, off
	sections += kind == 0x0a0d0d0a
	off += n
assert off == len(b)
print(sections)
PY
)" "it says so once; the file has two sections, to the last byte"
whole()
{
	[ "$(series "$file" | wc -l)" = 1 ]
	capinfos -c -M "$file" | grep -E 'Number of packets: +10000$'
	[ "$(tshark -r "$file" -T fields -e frame.number | tail -n 1)" = 10000 ]
	[ "$(tcpdump -nr "$file" | wc -l)" = 10000 ]
}
run_step "one file, which capinfos, tshark and tcpdump read to its end" whole

tidy()
{
	stop producer INT 10
	[ -z "$(ls "$NCP_DIR")" ]
}
run_step "nothing is left of either bus" tidy
