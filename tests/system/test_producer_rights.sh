#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_producer_rights.sh - what rights each process and thread of a running producer has.
. tests/tap/tap.sh
. tests/system/lib.sh
need_root "only root has rights to give up"
plan 17

bus=$(bus_name rights)
# A group and a user that own nothing here.
group=games
getent group "$group" >/dev/null || bail "no group $group"

starts()
{
	spawn producer ncp-producer -b "$bus" -m 8M -g "$group" synth:pps=1000
	wait_for '[ "$(value state)" = live ]' 10
	p=${pid[producer]}
	helper=$(pgrep -P "$p")
	[ -n "$helper" ]
}

# every_thread NAME REGEX: the field matches in each thread of the capturing process.
every_thread()
{
	local task n=0

	for task in /proc/"$p"/task/*/status; do
		[[ $(proc_field "$task" "$1") =~ ^($2)$ ]] || { grep -H "^$1" "$task"; return 1; }
		n=$((n + 1))
	done
	# The main thread, the waker, one worker: each was looked at.
	[ "$n" -ge 3 ]
}

# The number of the default user: ncp's, or one that nobody has.
is_unprivileged()
{
	local uid

	uid=$(proc_field "/proc/$p/status" Uid | cut -d' ' -f1)
	[ "$uid" -gt 0 ] && [ "$uid" != 65534 ]
	every_thread Uid "$uid $uid $uid $uid"
	every_thread Gid "[1-9][0-9]* [1-9][0-9]* [1-9][0-9]* [1-9][0-9]*"
	every_thread Groups "$(getent group "$group" | cut -d: -f3)"
}

has_no_capability()
{
	local set

	for set in CapInh CapPrm CapEff CapBnd CapAmb; do
		every_thread "$set" 0000000000000000
	done
}

is_confined()
{
	every_thread NoNewPrivs 1
	every_thread Seccomp 2
}

# No descriptor leads to the segment any more: it is mapped.
has_closed_the_segment()
{
	[ "$(value state)" = live ]
	! readlink "/proc/$p"/fd/* | grep -x ".*/ncp\.$bus"
}

# Its memory cannot be read by another process of its user.
is_not_traceable()
{
	[ "$(stat -c %u "/proc/$p/mem")" = 0 ]
}

# helper_has CAPABILITIES: those, and the right to nothing more.
helper_has()
{
	[ "$(proc_field "/proc/$helper/status" CapEff)" = "$1" ]
	[ "$(proc_field "/proc/$helper/status" CapPrm)" = "$1" ]
	[ "$(proc_field "/proc/$helper/status" CapBnd)" = 0000000000000000 ]
	[ "$(proc_field "/proc/$helper/status" NoNewPrivs)" = 1 ]
	[ "$(proc_field "/proc/$helper/status" Seccomp)" = 2 ]
}

# The lock's release, when the capturing process dies, must not wait for the helper; and the
# helper must not hold what frames come from.
helper_holds_no_lock()
{
	! readlink "/proc/$helper"/fd/* | grep -E "lock|packet"
}

names_have_their_modes()
{
	[ "$(stat -c '%a %U %G' "/dev/shm/ncp.$bus")" = "640 root $group" ]
	[ "$(stat -c '%a %U %G' "/dev/shm/ncp.$bus+clients")" = "3770 root $group" ]
	[ "$(stat -c '%a %U' "/dev/shm/ncp.$bus+lock")" = "600 root" ]
}

as_member=(setpriv --reuid=65011 --regid=65011 --groups "$group" --bounding-set=-all)
as_stranger=(setpriv --reuid=65012 --regid=65012 --clear-groups)

a_member_reads()
{
	"${as_member[@]}" ncp-stats --once -i "$bus"
}

refused() { if "$@"; then return 1; fi; }

a_stranger_is_refused()
{
	refused "${as_stranger[@]}" ncp-stats --once -i "$bus"
	refused "${as_stranger[@]}" sh -c ": >>/dev/shm/ncp.$bus"
	refused "${as_member[@]}" sh -c ": >>/dev/shm/ncp.$bus"
}

# An ordinary user captures from a file or makes traffic up, and changes no user.
ordinary_user()
{
	own=$(bus_name own)
	spawn own "${as_stranger[@]}" ncp-producer -b "$own" -m 8M synth:pps=1000
	NCP_TRUST=65012 wait_for '[ "$(bus_value $own state)" = live ]' 10
	p=${pid[own]}
	every_thread Uid "65012 65012 65012 65012"
	is_confined
	has_no_capability_but_bounding
	[ "$(stat -c '%a %u' "/dev/shm/ncp.$own")" = "600 65012" ]
	stop own INT 5
	[ "$status" = 0 ]
	[ ! -e "/dev/shm/ncp.$own" ]
}

# Emptying the bounding set takes a capability; no_new_privs makes it worthless.
has_no_capability_but_bounding()
{
	local set

	for set in CapInh CapPrm CapEff CapAmb; do
		every_thread "$set" 0000000000000000
	done
}

run_step "starts, with a helper" starts
is ncp-helper "$(cat "/proc/$helper/comm")" "the helper bears its name"
like "^ncp-helper: $bus" "$(tr '\0' '\n' <"/proc/$helper/cmdline" | head -1)" "also for ps"
run_step "each thread of the capturing process is an unprivileged user's" is_unprivileged
run_step "without a capability" has_no_capability
run_step "with no_new_privs and a seccomp filter" is_confined
run_step "the segment is mapped and its descriptor closed" has_closed_the_segment
run_step "the capturing process is not traceable" is_not_traceable
run_step "the helper has none either: there is no interface" helper_has 0000000000000000
run_step "the helper holds neither lock nor packet socket" helper_holds_no_lock
run_step "the names have the modes of the design" names_have_their_modes
run_step "a member of the group reads, without a capability" a_member_reads
run_step "nobody else reads, and nobody writes" a_stranger_is_refused
stop producer TERM 5
is 0 "$status" "it ends in order"
interface_starts()
{
	spawn producer ncp-producer -b "$bus" -m 16M -g "$group" --workers 2 --unlink lo
	wait_for '[ "$(value state)" = live ]' 10
	p=${pid[producer]}
	helper=$(pgrep -P "$p")
	is_unprivileged
	has_no_capability
	is_confined
	helper_holds_no_lock
	helper_has 0000000000002000
}
run_step "with an interface the helper has CAP_NET_RAW, the workers nothing" interface_starts
stop producer TERM 5
is 0 "$status" "and it ends in order"
run_step "an ordinary user can make a bus of his own" ordinary_user
