#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_scale.sh - ncp-stats before a hundred busses, a thousand clients, a huge terminal and a tiny one.
. tests/tap/tap.sh
. tests/clients/ncp-stats/terminal.sh
python=$(PATH=/usr/bin:/bin command -v python3) || skip_all "no python3 in /usr/bin"
[ -z "${SANITIZE:-}" ] || skip_all "a sanitizer's library cannot be loaded into python"
plan 9

export LC_ALL=C.UTF-8 NCP_DIR=$TAP_DIR/busses
mkdir "$NCP_DIR"
# json EXPRESSION: its value, where a is what stands on stdin, one JSON value on each line.
json()
{
	"$python" -c 'import json, sys; a = [json.loads(line) for line in sys.stdin]; print(eval(sys.argv[1]))' "$1"
}
get()
{
	"$python" -c 'import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], timeout=30).read().decode())' "http://127.0.0.1:$port$1"
}

a_hundred()
{
	local i

	for i in {001..100}; do
		spawn producer ncp-producer "synth:count=20,size=100" -b "b$i" -m 1M --keep
		reap producer 20
		[ "$status" = 0 ]
	done
}
run_step "a hundred busses" a_hundred
is "101 100" "$(ncp-stats --list | wc -l) $(ncp-stats --list --json | json 'len({o["bus"] for o in a})')" \
	"a row, and an object, of each"
served()
{
	spawn stats ncp-stats --listen=127.0.0.1:0 -n 0.2
	wait_for "grep -q 'port [0-9]*' $TAP_DIR/stats.err" 5
	port=$(sed -n 's/.*port \([0-9]*\).*/\1/p' "$TAP_DIR/stats.err")
	wait_for '[ "$(get /metrics | grep -c ^ncp_bus_info)" = 100 ]' 10
	[ "$(get /api/v1/busses | grep . | json 'sum(o["published"] for o in a[0])')" = 2000 ]
	wait_for '[ "$(get /api/v1/busses | grep . | json "sum(o[\"traffic\"] is not None for o in a[0])")" = 16 ]' 10
}
run_step "the server tells of all, and reads the frames of sixteen" served
the_last()
{
	terminal_begins
	shows "ncp-stats -n 0.2"
	wait_for "line 1 | grep -q '^b001  *1/100  *ended'" 10
	type_keys B
	wait_for "line 1 | grep -q '^b100  *100/100  *ended'" 10
	awaits "TALKERS  no frame"
	type_keys b
	wait_for "line 1 | grep -q '^b001  *1/100  *ended'" 10
	type_keys q
	awaits "ended 0"
}
run_step "the terminal shows the last one as well as the first" the_last

a_thousand()
{
	spawn producer ncp-producer "synth:pps=1000,size=100,flows=20" -b crowd -m 8M
	wait_for "ncp-stats -i crowd --once --json | grep -q '\"state\":\"live\"'" 5
	PYTHONPATH=$PWD/clients/python NCPBUS_LIBRARY=$NCP_BUILD/lib/libncpbus.so.0 \
		spawn many "$python" tests/clients/ncp-stats/many.py crowd 1000
	wait_for "grep -q ready $TAP_DIR/many.out" 60
}
run_step "a thousand clients of one bus" a_thousand
is "1000 1000 1000" "$(ncp-stats -i crowd --once | grep -c '^many-[0-9]') $(ncp-stats -i crowd --once --json |
	json '"%s %d" % (a[0]["clients_in_all"], len({c["name"] for c in a[0]["clients"]}))')" \
	"a row, and an object, of each"
named()
{
	wait_for 'get /metrics | grep -q "^ncp_clients{bus=\"crowd\"} 1000$"' 20
	[ "$(get /metrics | grep -c '^ncp_client_lag_seconds{bus="crowd"')" = 65 ]
	get /metrics | grep -q '^ncp_client_lag_seconds{bus="crowd",client="other"}'
	stop stats INT 10
	[ "$status" = 0 ]
}
run_step "64 names in the metrics, and the others" named
huge()
{
	t resize-window -x 500 -y 200
	type_keys "clear" Enter
	shows "ncp-stats -i crowd -n 0.2"
	wait_for "line 200 | grep -q '^q quit'" 5
	line 1 | grep -q '^crowd .\{480,\}:[0-9][0-9]$'
	awaits "CLIENTS 1000/1000"
	type_keys Tab Tab
	wait_for "line 10 | grep -q '^many-0000 '" 5
	[ "$(page | grep -c "^many-[0-9]* .* ${pid[many]} ")" = 190 ]
	# More than there are rows.
	t send-keys -N 120 NPage
	wait_for "line 199 | grep -q '^many-0999 '" 5
	[ "$(page | sed -n '10,199p' | grep -o '^many-[0-9]*' | sort -u | wc -l)" = 190 ]
}
run_step "a terminal of 500 columns and 200 rows shows 190 at a time, to the last one" huge
tiny()
{
	t resize-window -x 20 -y 5
	wait_for "line 5 | grep -qx 'q quit  h help  p pa'" 5
	line 1 | grep -q '^crowd  live'
	line 2 | grep -q '^published [0-9]* f'
	[ "$(page | wc -l)" = 5 ]
	t resize-window -x 1 -y 1
	t resize-window -x 80 -y 24
	wait_for "line 24 | grep -q '^q quit'" 5
	awaits "many-0810"
	type_keys q
	awaits "ended 0"
	stop many TERM 10
	stop producer INT 10
}
run_step "one of 20 and 5, and of 1 and 1, shows what there is room for" tiny
