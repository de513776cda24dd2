#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_producer_confined.sh - a forbidden system call inside a running producer ends it, and harms no bus.
. tests/tap/tap.sh
. tests/system/lib.sh
need_net
[ "$(uname -m)" = x86_64 ] || skip_all "syscall_inject knows x86-64 only"
plan 20

own_busses
bus=b

prepares()
{
	netns_make a
	mkfifo "$TAP_DIR/fifo"
	ncp-producer -b made --keep -c 10 synth:
	ncp-dump -q -i made --snapshot -w "$TAP_DIR/ten.pcapng"
	ncp-producer --remove made
	exec 9<>"$TAP_DIR/fifo" # its end stays open: the producer waits for more
}

# starts SOURCE...: a producer of bus b in the namespace; p and helper are its processes.
starts()
{
	spawn_in a p ncp-producer -b b -m 16M -s 2000 "$@"
	wait_for '[ "$(value state)" = live ]' 10
	p=${pid[p]}
	helper=$(pgrep -P "$p")
}

# killed_by_itself: SIGSYS, whose number the shell adds 128 to.
killed_by_itself()
{
	reap p 10
	[ "$status" = $((128 + 31)) ]
	wait_for "! tap_runs $helper" 5
}

# forbidden TID CALL [ARG]: it is the last thing that its process does.
forbidden()
{
	syscall_inject "$@" >"$TAP_DIR/said"
	[ "$(cat "$TAP_DIR/said")" = "killed by 31" ] || { echo "$2: $(cat "$TAP_DIR/said")"; return 1; }
}

# The tool itself: elsewhere these calls come back.
the_tool_tells()
{
	local call

	spawn idle sleep 60
	wait_for '[ "$(cat "/proc/${pid[idle]}/comm")" = sleep ]' 5
	for call in getpid execve open socket code ioctl; do
		syscall_inject "${pid[idle]}" "$call" >"$TAP_DIR/said"
		cat "$TAP_DIR/said"
		grep "^returned" "$TAP_DIR/said"
	done
	tap_runs "${pid[idle]}"
	stop idle KILL 5 || :
	starts synth:pps=1000
	[ "$(syscall_inject "$p" getpid)" = "returned $p" ]
	[ "$(value state)" = live ]
	stop p INT 5
	[ "$status" = 0 ]
}

# Each thread, by turns, does what is never needed.
each_thread_is_confined()
{
	local n=3 i tid

	for ((i = 0; i < n; i++)); do
		[[ $* != *fifo* ]] || cat "$TAP_DIR/ten.pcapng" >&9
		starts "$@"
		tid=$(find "/proc/$p/task" -mindepth 1 -maxdepth 1 -printf '%f\n' | sort -n |
			sed -n $((i + 1))p)
		[ -n "$tid" ]
		forbidden "$tid" "$(sed -n $((i + 1))p <<<$'execve\nsocket\nopen')"
		killed_by_itself
		[ "$(value state)" = dead ]
	done
	ncp-producer --remove b
}

# The next one goes on where the killed one was.
is_continued()
{
	local before

	starts synth:pps=1000
	before=$(value published)
	forbidden "$p" ptrace
	killed_by_itself
	wait_for '[ "$(value state)" = dead ]' 5
	ncp-dump -q -i b --snapshot --json="$TAP_DIR/d.json" -w "$TAP_DIR/b.pcapng"
	[ "$(capinfos -Mc "$TAP_DIR/b.pcapng" | sed -n 's/^Number of packets: *//p')" -ge "$before" ]
	starts synth:pps=1000
	[ "$(value epoch)" -ge 2 ]
	stop p INT 5
	[ "$status" = 0 ]
	[ -z "$(ls "$NCP_DIR")" ]
}

# All that the tool knows, of an interface's producer.
every_call_is_forbidden()
{
	local call

	for call in fork create unlink ftruncate fallocate setuid capset kill ioctl bind connect dup \
		mount setns bpf io_uring_setup code dumpable; do
		starts lo
		forbidden "$p" "$call"
		killed_by_itself
	done
	ncp-producer --remove b
}

# socket_of TABLE REGEX: p's first descriptor whose socket stands in such a line of a table of /proc/net.
socket_of()
{
	local fd inode

	for fd in "/proc/$p/fd/"*; do
		inode=$(readlink "$fd")
		[[ $inode == socket:* ]] || continue
		inode=${inode#socket:[}
		if grep -E "$2" "/proc/$p/net/$1" | grep -qw "${inode%]}"; then
			echo "${fd##*/}"
			return
		fi
	done
	return 1
}

# Nothing is sent by a socket that frames come from, whatever its number.
a_packet_socket_hears_only()
{
	local call fd

	for call in write writev sendto sendmsg fanout; do
		starts "$@"
		fd=$(socket_of packet .)
		forbidden "$p" "$call" "$fd"
		killed_by_itself
	done
	ncp-producer --remove b
}

# Nor can it come by a number that is written to: the status lines', the helper's.
numbers_are_kept()
{
	local fd

	starts --json="$TAP_DIR/p.json" lo
	# 0005: SOCK_SEQPACKET, as the helper's is.
	for fd in 2 "$(find "/proc/$p/fd" -lname "$TAP_DIR/p.json" -printf '%f')" \
		"$(socket_of unix " 0005 ")"; do
		[ -e "/proc/$p/fd/$fd" ]
		[ "$(syscall_inject "$p" close "$fd")" = "returned 0" ]
		[ -e "/proc/$p/fd/$fd" ]
	done
	[ "$(syscall_inject "$p" write 2)" = "returned -14" ] # EFAULT: it was let through
	[ "$(value state)" = live ]
	stop p INT 5
	[ "$status" = 0 ]
	wait_for "! tap_runs $helper" 5
	[ -z "$(ls "$NCP_DIR")" ]
}

# What the helper may not do ends it, too; the capturing process goes on, and cannot remove a name.
the_helper_is_confined()
{
	local call want=$1

	for call in execve fork create ftruncate setuid kill ptrace mount setns; do
		starts "${@:2}"
		forbidden "$helper" "$call"
		wait_for "! tap_runs $helper" 5
		[ "$(value state)" = live ]
		stop p TERM 5
		[ "$status" = "$want" ]
		[ "$want" = 0 ] || grep "the helper process is gone: ncp-producer --remove b" "$TAP_DIR/p.err"
		ncp-producer --remove b
	done
}

run_step "makes a namespace and a pipe" prepares
run_step "in another process these calls come back, and here one that is allowed" the_tool_tells
each() { run_step "killed: $1" each_thread_is_confined "${@:2}"; }
each "synth" synth:pps=1000
each "an interface" lo
each "an interface, a filter" lo udp
each "two workers" --workers 2 lo
each "--immediate-mode" --immediate-mode lo
each "--busy-poll" --busy-poll lo
each "any" any
each "a device of libpcap" -i pcap:lo
each "a pipe" "file:$TAP_DIR/fifo"
each "a pipe and an interface" -i lo -i "file:$TAP_DIR/fifo"
run_step "what it published can be read, and the next one continues it" is_continued
run_step "all else that somebody could try" every_call_is_forbidden
run_step "a packet socket: nothing is sent by it, no group is joined" a_packet_socket_hears_only lo
run_step "nor by that of --immediate-mode" a_packet_socket_hears_only --immediate-mode lo
run_step "the numbers that are written to stay what they are" numbers_are_kept
run_step "the helper of an interface" the_helper_is_confined 0 lo
run_step "the helper of a file" the_helper_is_confined 1 synth:pps=1000
is "" "$(ls "$NCP_DIR")" "nothing is left"
