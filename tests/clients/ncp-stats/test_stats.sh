#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_stats.sh - ncp-stats beside a real producer: exact counts, death, return.
. tests/tap/tap.sh
plan 8

bus=$(bus_name stats)

# look EXPRESSION: the value of a Python expression over the object s of one look.
look()
{
	ncp-stats -i "$bus" --once --json | python3 -c "import json,sys; s=json.loads(sys.stdin.readline()); print($1)"
}

# lines EXPRESSION: the same over the list of all objects that the watcher has written.
lines()
{
	python3 -c "import json,sys
l=[json.loads(t) for t in open('$TAP_DIR/watch.out') if t.endswith('\n')]
print($1)"
}

counts_a_source_to_its_end()
{
	spawn producer ncp-producer "synth:count=50000,size=100" -b "$bus" -m 8M --keep
	reap producer 20
	[ "$status" = 0 ]
}
run_step "a producer publishes 50000 frames and ends" counts_a_source_to_its_end
is "ended source exhausted" "$(look "s['state'], s['reason']" | tr -d "(),'")" "the bus has ended, and why"
is "50000 50000 0" "$(look "f\"{s['published']} {s['next_seq']} {s['kernel_drops']}\"")" \
	"published is what the source was asked for"
is "50000 50000" "$(look "f\"{sum(w['published'] for w in s['workers'])} \
{sum(i['published'] for i in s['interfaces'])}\"")" \
	"workers and interfaces add up to it"
is True "$(look "s['received'] == s['published'] + s['discarded'] + s['kernel_drops']")" \
	"received = published + discarded + kernel drops"

watches_a_death_and_a_return()
{
	ncp-producer --remove "$bus"
	spawn producer ncp-producer "synth:pps=2000,size=100" -b "$bus" -m 8M
	wait_for "ncp-stats -i $bus --once --json | grep -q '\"state\":\"live\"'" 5
	spawn watch ncp-stats -i "$bus" --json --interval 0.05
	wait_for "grep -q '\"state\":\"live\"' $TAP_DIR/watch.out" 5
	kill -KILL "${pid[producer]}"
	reap producer 5
	wait_for "grep -q '\"state\":\"dead\"' $TAP_DIR/watch.out" 5
	spawn producer ncp-producer "synth:pps=2000,size=100" -b "$bus" -m 8M
	wait_for "tail -n 1 $TAP_DIR/watch.out | grep -q '\"state\":\"live\",.*\"epoch\":2'" 5
	wait_for "grep -q 'its producer is dead' $TAP_DIR/watch.err" 1
	stop producer TERM 5
	wait_for "tail -n 1 $TAP_DIR/watch.out | grep -q '\"gone\":true'" 5
	stop watch INT 5
	[ "$status" = 0 ]
}
run_step "a producer that is killed is seen dead, and alive when it is back" watches_a_death_and_a_return
is True "$(lines "all(a['published'] <= b['published'] for a, b in zip(l, l[1:]))")" \
	"published never went back, over the death too"
is 1 "$(lines "len({o['incarnation'] for o in l})")" "and it stayed the same bus"
