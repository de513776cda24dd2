#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_producer_service.sh - as a service: what the manager is told, and what its unit allows.
. tests/tap/tap.sh
. tests/system/lib.sh
plan 9

own_busses
trap service_end EXIT

# setsid(1) forks: the producer is in nobody's group.
service_end()
{
	local exit_status=$?

	kill -KILL "$(producer_pid)" 2>/dev/null
	(exit "$exit_status")
	tap_on_exit
}

# manager ADDRESS: print each message that comes there, a line each; "\0" is the '@' of a name
# without a file.
manager()
{
	rm -f "$TAP_DIR/m.out" "$TAP_DIR/notify"
	spawn m python3 -uc 'import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1].replace("@", "\0", 1))
print("bound")
while True:
    print(s.recv(4096).decode().replace("\n", " "))' "$1"
	wait_for 'grep -qx bound "$TAP_DIR/m.out"' 10
}

told()
{
	grep -cE "^$1\$" "$TAP_DIR/m.out"
}

# service ENVIRONMENT... -- ARG...: a producer that has such a manager, and no terminal.
service()
{
	local -a environment=()

	while [ "$1" != -- ]; do environment+=("$1") && shift; done
	shift
	rm -f "$TAP_DIR/p.json"
	spawn p setsid -w env "${environment[@]}" ncp-producer -b b -m 8M --json="$TAP_DIR/p.json" "$@"
}

producer_pid()
{
	sed -n 's/.*"pid":\([0-9]*\),.*/\1/p' "$TAP_DIR/p.json" | tail -n 1
}

# finish SIGNAL: to the producer; setsid(1) has forked for it.
finish()
{
	kill -"$1" "$(producer_pid)"
	reap p 5
}

ready_means_attached()
{
	manager "$TAP_DIR/notify"
	service "NOTIFY_SOCKET=$TAP_DIR/notify" -- synth:pps=100
	wait_for '[ "$(told READY=1)" = 1 ]' 10
	ncp-dump -q -i b -c 1 -w /dev/null
	kill -HUP "$(producer_pid)"
	wait_for 'grep -q "there is no file to read again" "$TAP_DIR/p.json"' 5
	finish TERM
	[ "$status" = 0 ]
	wait_for '[ "$(told STOPPING=1)" = 1 ]' 5
	[ "$(told WATCHDOG=1)" = 0 ]
	stop m KILL 5
}

# The file is read again between two words; both tell, whatever came of it.
reload_is_told()
{
	manager "@ncp-$TAP_ID"
	echo udp >"$TAP_DIR/f"
	service "NOTIFY_SOCKET=@ncp-$TAP_ID" -- -F "$TAP_DIR/f" synth:pps=100
	wait_for '[ "$(told READY=1)" = 1 ]' 10
	kill -HUP "$(producer_pid)"
	wait_for '[ "$(told READY=1)" = 2 ]' 5
	[ "$(told 'RELOADING=1 MONOTONIC_USEC=[0-9]+')" = 1 ]
	[ "$(grep -E 'RELOADING|READY' "$TAP_DIR/m.out" | sed -n 2p | cut -c 1-11)" = "RELOADING=1" ]
	finish KILL
	stop m KILL 5
}

# Many times in its time, whether frames come or not; and told of by nobody else.
watchdog_is_fed()
{
	manager "$TAP_DIR/notify"
	service "NOTIFY_SOCKET=$TAP_DIR/notify" WATCHDOG_USEC=600000 -- "$@"
	wait_for '[ "$(told WATCHDOG=1)" -ge 20 ]' 10
	finish KILL
	stop m KILL 5
	manager "$TAP_DIR/notify"
	service "NOTIFY_SOCKET=$TAP_DIR/notify" WATCHDOG_USEC=600000 WATCHDOG_PID=1 -- "$@"
	wait_for '[ "$(grep -c "\"state\"" "$TAP_DIR/p.json")" -ge 3 ]' 10
	[ "$(told WATCHDOG=1)" = 0 ]
	finish KILL
	stop m KILL 5
}

# A file of which nothing comes but its header: read() does not return by itself.
watchdog_is_fed_idle()
{
	mkfifo "$TAP_DIR/fifo"
	spawn w python3 -c 'import struct, sys, time
f = open(sys.argv[1], "wb", buffering=0)
f.write(struct.pack("=IHHIIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
time.sleep(1000)' "$TAP_DIR/fifo"
	manager "$TAP_DIR/notify"
	service "NOTIFY_SOCKET=$TAP_DIR/notify" WATCHDOG_USEC=600000 -- "file:$TAP_DIR/fifo"
	wait_for '[ "$(told WATCHDOG=1)" -ge 20 ]' 10
	finish KILL
	stop m KILL 5
	stop w KILL 5
}

# A reader that sleeps fills a pipe; a manager that sleeps must stop nothing, nor one that is gone.
manager_that_sleeps()
{
	manager "$TAP_DIR/notify"
	service "NOTIFY_SOCKET=$TAP_DIR/notify" WATCHDOG_USEC=6000 -- synth:pps=100
	wait_for '[ "$(told READY=1)" = 1 ]' 10
	kill -STOP "${pid[m]}"
	wait_for '[ "$(grep -c "\"state\"" "$TAP_DIR/p.json")" -ge 3 ]' 10
	stop m KILL 5
	wait_for '[ "$(grep -c "\"state\"" "$TAP_DIR/p.json")" -ge 5 ]' 10
	finish TERM
	[ "$status" = 0 ]
}

# Clients that are waited for keep no service from being ready.
waits_for_clients()
{
	manager "$TAP_DIR/notify"
	service "NOTIFY_SOCKET=$TAP_DIR/notify" WATCHDOG_USEC=600000 -- --wait-clients 1 synth:pps=100
	wait_for '[ "$(told READY=1)" = 1 ]' 10
	wait_for '[ "$(told WATCHDOG=1)" -ge 10 ]' 10
	finish KILL
	stop m KILL 5
}

# unit NAME: as installed.
unit()
{
	sed -e "s|@SBINDIR@|$NCP_BIN|" -e "s|@BINDIR@|$NCP_BIN|" "doc/systemd/$1.in" >"$TAP_DIR/$1"
	echo "$TAP_DIR/$1"
}

verified()
{
	systemd-analyze verify --man=no "$(unit ncp-producer@.service)" >"$TAP_DIR/said" 2>&1
	cat "$TAP_DIR/said"
	[ ! -s "$TAP_DIR/said" ]
}

# The figure that doc/security.md, the manual page and the unit's limits stand for.
exposed()
{
	systemd-analyze security --offline=true --no-pager --threshold=23 \
		"$(unit ncp-producer@.service)" | tail -n 2
}

tmpfiles()
{
	systemd-tmpfiles --create --root="$TAP_DIR/root" "$PWD/doc/systemd/ncp.tmpfiles"
	[ "$(stat -c %a "$TAP_DIR/root/dev/shm/ncp")" = 755 ]
}

has_systemd()
{
	command -v systemd-analyze >/dev/null && command -v systemd-tmpfiles >/dev/null
}

run_step "ready is said when the bus can be attached" ready_means_attached
run_step "and files being read again" reload_is_told
run_step "the watchdog is fed while all is well" watchdog_is_fed synth:pps=100
run_step "also where nothing comes" watchdog_is_fed_idle
run_step "a manager that sleeps or goes away stops nothing" manager_that_sleeps
run_step "waiting for clients is ready" waits_for_clients
run_step_if has_systemd "systemd is not installed" "the unit is well made" verified
run_step_if has_systemd "systemd is not installed" "its exposure is 2.3 at most" exposed
run_step_if has_systemd "systemd is not installed" "the directory for containers is made" tmpfiles
