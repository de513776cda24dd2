#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_producer_filecaps.sh - an ordinary user captures by file capabilities: what is kept and what is not.
. tests/tap/tap.sh
. tests/system/lib.sh
need_root "file capabilities are root's to give"
need_net
plan 9

user=65012
own_busses
chown "$user:$user" "$NCP_DIR"
as_user=(setpriv --reuid="$user" --regid="$user" --clear-groups)
# A program with file capabilities heeds no NCP_DIR.
producer=("${as_user[@]}" "$TAP_DIR/ncp-producer" --dir "$NCP_DIR" -b own -m 8M)

grants()
{
	netns_make a
	netns_make b
	veth_pair a eth0 b eth0
	cp "$NCP_BIN/ncp-producer" "$TAP_DIR"
	chmod 755 "$TAP_DIR/ncp-producer"
}

# Before the grant.
is_refused()
{
	spawn_in a p "${producer[@]}" eth0
	reap p 10
	[ "$status" = 1 ]
	grep "^ncp-producer: interface eth0: no permission to capture: .*CAP_NET_RAW" "$TAP_DIR/p.err"
}

value() { "${as_user[@]}" ncp-stats --dir "$NCP_DIR" -i own --once --json | member "$1"; }

captures()
{
	setcap cap_net_raw,cap_ipc_lock=ep "$TAP_DIR/ncp-producer"
	spawn_in a p "${producer[@]}" eth0 udp port 9
	wait_for '[ "$(value state)" = live ]' 10
	p=${pid[p]}
	helper=$(pgrep -P "$p")
	carrier_comes b eth0
	in_netns b frame_send eth0 100 10000 100
	wait_for '[ "$(value published)" = 100 ]' 10
}

capturing_has_nothing()
{
	local set

	for set in CapInh CapPrm CapEff CapAmb; do
		[ "$(proc_field "/proc/$p/status" "$set")" = 0000000000000000 ]
	done
	[ "$(proc_field "/proc/$p/status" NoNewPrivs) $(proc_field "/proc/$p/status" Seccomp)" = "1 2" ]
	[ "$(proc_field "/proc/$p/status" Uid)" = "$user $user $user $user" ] # it may not become another
	[ "$(stat -c %u "/proc/$p/mem")" = 0 ] # its user's other processes cannot look into it
}

helper_has_one()
{
	[ "$(proc_field "/proc/$helper/status" CapEff) $(proc_field "/proc/$helper/status" CapPrm)" = "0000000000002000 0000000000002000" ]
	[ "$(proc_field "/proc/$helper/status" NoNewPrivs) $(proc_field "/proc/$helper/status" Seccomp)" = "1 2" ]
	[ "$(stat -c %u "/proc/$helper/mem")" = 0 ]
}

names_are_the_users()
{
	[ "$(stat -c '%a %u' "$NCP_DIR/ncp.own")" = "600 $user" ]
}

# By the helper's capability.
outlives_its_interface()
{
	ip -n "$(netns_name a)" link del eth0
	wait_for '[ "$(value state)" = paused ]' 5
	veth_pair a eth0 b eth0
	wait_for '[ "$(value state)" = live ]' 5
	carrier_comes b eth0
	in_netns b frame_send eth0 100 10000 100 100
	wait_for '[ "$(value published)" = 200 ]' 10
}

ends()
{
	stop p INT 5
	[ "$status" = 0 ]
}

run_step "makes a pair of interfaces, and a copy of the program" grants
run_step "without a capability it is refused, in one line" is_refused
run_step "with CAP_NET_RAW and CAP_IPC_LOCK of its file it captures" captures
run_step "the capturing process has no capability, and its user" capturing_has_nothing
run_step "the helper has CAP_NET_RAW alone" helper_has_one
run_step "the bus is the user's" names_are_the_users
run_step "the interface made again: the helper opens it" outlives_its_interface
run_step "it ends in order" ends
is "" "$(ls "$NCP_DIR")" "nothing is left"
