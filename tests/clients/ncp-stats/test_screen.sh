#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_screen.sh - ncp-stats on a terminal: what it shows, its keys, other sizes, how it ends.
. tests/tap/tap.sh
. tests/clients/ncp-stats/terminal.sh
plan 22

export LC_ALL=C.UTF-8
busses=$TAP_DIR/busses
mkdir "$busses"
# full: is this the terminal's second page, without a cursor?
full()
{
	[ "$(t display -p '#{alternate_on} #{cursor_flag}')" = "1 0" ]
}
given_back()
{
	[ "$(t display -p '#{alternate_on} #{cursor_flag}')" = "0 1" ]
}

run_step "a terminal of 80 columns and 24 rows" terminal_begins

# --- a bus that has ended: every number stands still --------------------------------------------

a_page_of_an_ended_bus()
{
	spawn producer ncp-producer "synth:count=5000,size=100" -b still -m 8M --keep --dir "$busses"
	reap producer 20
	[ "$status" = 0 ]
	shows "ncp-stats -i still --dir $busses -n 0.1"
	awaits "frames               0          0          0"
	full
}
run_step "the page of a bus that has ended" a_page_of_an_ended_bus
want='still  ended (source exhausted)  pid P  epoch 1  made T ago  CLOCK
published 5000 frames, 488K  received 5000  discarded 0
kernel drops 0  lost by clients 0  freezes 0  truncated 0
ring 8M, U used, holds T: frames 0 to 4999
PER SECOND         NOW       MEAN       PEAK  THE LAST T
frames               0          0          0
bits                 0          0          0
drops                0          0          0
SOURCES               PUBLISHED       RECEIVED      DROPS  SHARE
synth                      5000           5000          0 100.0% ███████████████
CLIENTS 0/0      USER         PID    BEHIND           OVERRUN     LOST
PROTO      BIT/S      SIZE        BIT/S      TALKERS  no frame
FLOWS 0  no frame                                          FRAMES/S  BIT/S SHARE










q quit  h help  p pause  Tab pane  s by name  t by bytes  / filter'
is "$want" "$(page | sed -E 's/pid [0-9]+/pid P/; s/made .* ago +[0-9:]{8}$/made T ago  CLOCK/
	s/, [0-9.KM]+ used, holds [^:]*/, U used, holds T/; s/LAST .*/LAST T/')" \
	"is told at 80 columns and 24 rows"
resizes()
{
	t resize-window -x 200 -y 60
	wait_for "line 1 | grep -q '^still .\{180,\}:[0-9][0-9]$'" 5
	wait_for "line 60 | grep -q '^q quit'" 5
	awaits "FILTERED"
	t resize-window -x 30 -y 7
	wait_for "line 7 | grep -q '^q quit'" 5
	t resize-window -x 80 -y 24
	wait_for "line 24 | grep -q '^q quit'" 5
}
run_step "it follows the terminal's size, up to 200 columns and down to 7 rows" resizes
helps()
{
	type_keys "?"
	awaits "Keys of ncp-stats"
	type_keys "x"
	awaits "SOURCES"
}
run_step "help comes and goes" helps

# --- every way to end ---------------------------------------------------------------------------

# ends STATUS COMMAND...: a command that ends it; the terminal is as before.
ends()
{
	"${@:2}"
	awaits "ended $1"
	wait_for given_back 5
	page | grep 'watched for\|looked at once'
	type_keys "clear; stty -a >$TAP_DIR/after; echo same" Enter
	wait_for "line 1 | grep -q '^same'" 5
	cmp "$TAP_DIR/before" "$TAP_DIR/after"
	type_keys "clear" Enter
	wait_for "line 1 | grep -q '^ready *$'" 5
}
by_signal()
{
	shows "ncp-stats -i still --dir $busses -n 0.1"
	full
	ends 0 kill -"$1" "$(pgrep -x ncp-stats -P "$(t display -p '#{pane_pid}')")"
}
run_step "q ends it, and the terminal is as it was" ends 0 type_keys q
for signal in INT TERM HUP QUIT; do
	run_step "so does SIG$signal" by_signal "$signal"
done
by_interrupt()
{
	shows "ncp-stats -i still --dir $busses -n 0.1"
	ends 0 type_keys C-c
}
run_step "so does Ctrl-C" by_interrupt
stops_and_goes_on()
{
	type_keys "ncp-stats -i still --dir $busses -n 0.1" Enter
	awaits "q quit"
	type_keys C-z
	wait_for given_back 5
	awaits "Stopped"
	type_keys 'clear; fg; echo "ended $?"' Enter
	wait_for full 5
	awaits "published 5000 frames"
	ends 0 type_keys q
}
run_step "Ctrl-Z gives the terminal back, fg takes it again" stops_and_goes_on

# --- a bus that lives ---------------------------------------------------------------------------

lives()
{
	spawn producer ncp-producer "synth:pps=2000,size=200,flows=20" -b moving -m 8M --dir "$busses"
	wait_for "ncp-stats -i moving --dir $busses --once --json | grep -q '\"state\":\"live\"'" 5
	spawn dump ncp-dump -i moving --dir "$busses" -w /dev/null
	wait_for "ncp-stats -i moving --dir $busses --once | grep -q ncp-dump" 5
	shows "ncp-stats --dir $busses -n 0.2"
	wait_for "line 1 | grep -q '^moving  *1/2  *live '" 5
	awaits "CLIENTS 1/1"
	wait_for "found 'ncp-dump' | grep -q '^ncp-dump  *$(id -un)  *${pid[dump]} '" 5
	wait_for "line 6 | grep -q '^frames  *[12]\.[0-9]*k.*█'" 5
	awaits "FLOWS 20  every frame"
	wait_for "found 'udp  ' | grep -q '^udp  *[23]\.[0-9]*M 100% 128-255  *[23]\.[0-9]*M 100% '" 5
}
run_step "rates, clients, protocols, sizes, flows of a bus that lives" lives
table_of_flows()
{
	type_keys Tab Tab Tab Tab
	wait_for '[ "$(page | grep -c "^udp .* 5% *$")" -ge 14 ]' 5
	type_keys "/" "nothing" Enter
	awaits "FLOWS 0"
	awaits "filter: nothing"
	type_keys Escape
	awaits "SOURCES"
	awaits "FLOWS 20"
}
run_step "a table of its own, a filter, and back" table_of_flows
published()
{
	ncp-stats -i moving --dir "$busses" --once --json | grep -o '"published":[0-9]*' | sed -n '1s/.*://p'
}
pauses()
{
	local at seen

	type_keys p
	awaits PAUSED
	at=$(line 2)
	seen=$(published)
	wait_for '[ "$(published)" -gt $((seen + 1000)) ]' 5
	[ "$at" = "$(line 2)" ]
	type_keys p
	wait_for "[ '$at' != \"\$(line 2)\" ]" 5
}
run_step "a pause stands still, and ends" pauses
switches()
{
	type_keys b
	wait_for "line 1 | grep -q '^still  *2/2  *ended'" 5
	type_keys b
	wait_for "line 1 | grep -q '^moving  *1/2  *live'" 5
}
run_step "from one bus to the next" switches
colours()
{
	wait_for "t capture-pane -p -e | grep -q $'\e\[32mlive'" 5
	kill -KILL "${pid[producer]}"
	reap producer 5
	wait_for "t capture-pane -p -e | grep -q $'\e\[31mdead'" 5
	ends 0 type_keys q
}
run_step "live is green, dead is red" colours
plain()
{
	shows "NO_COLOR=1 ncp-stats -i moving --dir $busses -n 0.2"
	awaits dead
	! t capture-pane -p -e | grep $'\e\[[0-9;]*3[0-7]m'
	t capture-pane -p -e | grep $'\e\[7mdead'
	ends 0 type_keys q
}
run_step "NO_COLOR: dead is reversed" plain

vt100()
{
	shows "TERM=vt100 LC_ALL=C ncp-stats -i still --dir $busses -n 0.2"
	! t capture-pane -p -e | grep $'\e\[[0-9;]*3[0-7]m'
	[ "$(line 2)" = "published 5000 frames, 488K  received 5000  discarded 0" ]
	[ "$(line 10)" = "synth                      5000           5000          0 100.0% ###############" ]
	type_keys q
	awaits "ended 0"
	type_keys "clear; stty -a >$TAP_DIR/after; echo same" Enter
	wait_for "line 1 | grep -q '^same'" 5
	cmp "$TAP_DIR/before" "$TAP_DIR/after"
}
run_step "a vt100 without UTF-8 gets the same page in ASCII" vt100
loses()
{
	t resize-window -x 200 -y 60
	spawn producer ncp-producer "synth:pps=300000,size=100,flows=20" -b fast -m 8M --dir "$busses"
	wait_for "ncp-stats -i fast --dir $busses --once --json | grep -q '\"state\":\"live\"'" 5
	spawn slow ncp-dump -i fast --dir "$busses" -w /dev/null
	wait_for "ncp-stats -i fast --dir $busses --once | grep -q ncp-dump" 5
	shows "ncp-stats -i fast --dir $busses -n 0.5"
	awaits "sampled 1/" # no more than 100000 frames a second are looked at
	kill -STOP "${pid[slow]}"
	# The ring holds 58000; where it stood, its line tells to within a quarter of a second.
	wait_for "ncp-stats -i fast --dir $busses --once --json | grep -Eq '\"lag_frames\":([3-9].{5}|.{7,}),\"lag_b'" 10
	kill -CONT "${pid[slow]}"
	wait_for "line 3 | grep -q 'lost by clients [1-9]'" 10
	t resize-window -x 80 -y 24
	ends 0 type_keys q
	stop slow INT 10
	stop producer INT 10
}
run_step "of a fast bus a sample, and what a client lost, on a large terminal" loses
unknown()
{
	type_keys "clear; TERM=no-such-terminal ncp-stats -i still --dir $busses -n 0.1" Enter
	wait_for "[ \"\$(found ' still ended' | wc -l)\" -ge 2 ]" 5
	type_keys C-c
	awaits "watched for"
}
run_step "a terminal that is not known gets lines" unknown

# A terminal that goes away takes the program with it.
goes_away()
{
	local p

	type_keys "clear" Enter
	shows "ncp-stats -i still --dir $busses -n 0.1"
	p=$(pgrep -x ncp-stats -P "$(t display -p '#{pane_pid}')")
	t kill-session
	wait_for "! kill -0 $p" 5
}
run_step "and ends when the terminal has gone" goes_away
