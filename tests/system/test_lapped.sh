#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_lapped.sh - a client that was stopped until it was lapped learns exactly what it lost.
. tests/tap/tap.sh
plan 7

export NCP_DIR=$TAP_DIR/busses
bus=$(bus_name lapped)

begin()
{
	mkdir "$NCP_DIR"
	spawn producer ncp-producer -b "$bus" -m 8M --json synth:pps=200000,size=200
	wait_for 'grep -q "\"live\"" "$TAP_DIR/producer.err"' 10
	spawn dump ncp-dump -i "$bus" -w "$TAP_DIR/dump.pcapng" --json
	spawn other ncp-dump -i "$bus" -w "$TAP_DIR/other.pcapng" --json 'udp'
	wait_for 'ncp-stats -i "$bus" --once --json | grep -q "ncp-dump.*ncp-dump"' 10
}

oldest()
{
	ncp-stats -i "$bus" --once --json | tail -n 1 |
		python3 -c 'import json, sys; o = json.load(sys.stdin); print(o[sys.argv[1]])' "$1"
}

# Stopped until everything that was there when it stopped is overwritten.
lap()
{
	local seq

	kill -STOP "${pid[dump]}" "${pid[other]}"
	seq=$(oldest next_seq)
	wait_for "[ \$(oldest oldest_seq) -gt $((seq + 1000)) ]" 20
	kill -CONT "${pid[dump]}" "${pid[other]}"
	seq=$(oldest next_seq)
	wait_for "[ \$(oldest next_seq) -gt $((seq + 100000)) ]" 20
}

end()
{
	stop dump INT 20
	[ "$status" = 0 ]
	stop other INT 20
	[ "$status" = 0 ]
	stop producer INT 10
}

# "ranges lost frames" of a summary, if all of it agrees.
ledger()
{
	tail -n 1 "$1" | python3 -c 'import json, sys
o = json.load(sys.stdin)
(w,) = o["windows"]
assert w["frames"] + w["filtered"] + w["others"] + w["lost"] == w["next_seq"] - w["first_seq"], w
assert sum(b - a for a, b in w["lost_ranges"]) == w["lost"] == o["lost"], w
assert w["lost"] > 0
print("gapped=%d" % w["lost"])'
}

run_step "a producer at 200,000 frames a second, two clients" begin
run_step "they are stopped until they are lapped" lap
run_step "and once more" lap
run_step "everybody ends" end
for client in dump other; do
	like "frames=[0-9]+ .* holes=0 duplicates=0 other=0 $(ledger "$TAP_DIR/$client.err")$" \
		"$(frame_check "$TAP_DIR/$client.pcapng")" \
		"$client: what it says it lost is exactly what its gap blocks stand for, and nothing else is missing"
done
like '"lost": ?[1-9]' "$(tail -n 1 "$TAP_DIR/dump.err")" "and there was a loss"
