#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_crowd.sh - ncp-stats as a server before clients that are many, slow, silent, gone, or say too much.
. tests/tap/tap.sh
python=$(PATH=/usr/bin:/bin command -v python3) || skip_all "no python3 in /usr/bin"
plan 8

busses=$TAP_DIR/busses
mkdir "$busses"
serve()
{
	spawn producer ncp-producer "synth:count=100,size=100" -b still -m 8M --keep --dir "$busses"
	reap producer 20
	spawn stats ncp-stats --listen=127.0.0.1:0 -n 3600 --dir "$busses"
	wait_for "grep -q 'port [0-9]*' $TAP_DIR/stats.err" 5
	port=$(sed -n 's/.*port \([0-9]*\).*/\1/p' "$TAP_DIR/stats.err")
	wait_for "crowd long" 10
}
crowd()
{
	timeout 150 "$python" tests/clients/ncp-stats/crowd.py "$port" "${pid[stats]}" "$1"
}
ends()
{
	stop stats INT 5
	[ "$status" = 0 ]
}

run_step "a server that looks once an hour" serve
run_step "without news, a comment every few seconds" crowd pings
run_step "by which it finds browsers that are gone" crowd gone
run_step "half of its places are for events; who comes then is told, and a scrape gets in" crowd streams
run_step "who does not finish a request, or take an answer, is ended, and others are served" crowd silence
run_step "a scrape gets in where all places are taken by who says nothing" crowd full
run_step "a request that is too long is refused, and others are served" crowd long
run_step "it ends" ends
