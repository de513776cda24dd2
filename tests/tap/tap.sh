#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# tap.sh - what a system test is written with: TAP, namespaces, processes, clean-up.  Sourced.
#
#	#!/bin/bash
#	# SPDX-License-Identifier: BSD-2-Clause
#	# test_x.sh - what it shows, in a sentence.
#	. tests/tap/tap.sh
#	need_net
#	plan 2
#	makes_a_pair() { netns_make a; netns_make b; veth_pair a eth0 b eth0; }
#	run_step "makes a veth pair" makes_a_pair
#	is 1 "$(in_netns a cat /sys/class/net/eth0/carrier)" "it has a carrier"
#
# Tests run in the tree's top folder.  Programs and test tools are found by PATH.  The build is
# $NCP_BUILD.  Everything made here bears $TAP_ID and is removed on any exit: processes begun by
# spawn, namespaces, busses named by bus_name in $NCP_DIR or /dev/shm, the folders $TAP_DIR and
# $TAP_BUSSES.
# Wanted comes before seen.  A skip is a failure in CI.
# shellcheck disable=SC2034 # variables for the tests that source this

NCP_BUILD=${NCP_BUILD:-$PWD/build}
NCP_BIN=${NCP_BIN:-$NCP_BUILD/bin}
PATH=$NCP_BIN:$NCP_BUILD/tests/tools:$PATH:/usr/sbin:/sbin
export NCP_BUILD NCP_BIN PATH
export LC_ALL=C.UTF-8
# Other users have a part in many tests; what modes files get by it is known.
umask 022

TAP_ID=$$-$(od -An -N4 -tx4 /dev/urandom | tr -d ' ')
TAP_DIR=
TAP_BUSSES=			# lib.sh's own_busses
tap_planned=0 tap_run=0 tap_failed=0 tap_skipped=0
tap_groups=()			# the process group of each spawn
declare -A pid			# spawn NAME: its process id

# --- results --------------------------------------------------------------------------------

# plan N: the number of results to come.
plan()
{
	tap_planned=$1
	echo "1..$1"
}

# diag TEXT...: a remark for a person, of one or more lines.
diag()
{
	printf '%s\n' "$*" | sed 's/^/# /' >&2
}

# bail WHY...: the test cannot run (a set-up failed); stops the whole run.
bail()
{
	echo "Bail out!  $*"
	exit 255
}

# report good|bad NAME...
tap_report()
{
	[ "$tap_planned" -gt 0 ] || bail "a result before the plan"
	tap_run=$((tap_run + 1))
	if [ "$1" = good ]; then
		echo "ok $tap_run - ${*:2}"
		return 0
	fi
	tap_failed=$((tap_failed + 1))
	echo "not ok $tap_run - ${*:2}"
	return 1
}

# ok STATUS NAME...: good if STATUS is 0; `some command; ok $? "..."`.
ok()
{
	if [ "$1" = 0 ]; then tap_report good "${@:2}"; else tap_report bad "${@:2}"; fi
}

# is WANT GOT NAME...
is()
{
	if [ "$1" = "$2" ]; then
		tap_report good "${@:3}"
	else
		tap_report bad "${@:3}"
		diag "  want $1"
		diag "   got $2"
		return 1
	fi
}

# like REGEX GOT NAME...: an extended regular expression that matches part of GOT.
like()
{
	if [[ $2 =~ $1 ]]; then
		tap_report good "${@:3}"
	else
		tap_report bad "${@:3}"
		diag "  want match for $1"
		diag "   got $2"
		return 1
	fi
}

tap_in_ci()
{
	[ -n "${CI:-}" ] && [ "$CI" != false ] && [ "$CI" != 0 ]
}

# skip_all WHY...: instead of plan: this machine lacks something.
skip_all()
{
	if tap_in_ci; then
		echo "1..1"
		echo "not ok 1 - skipped in CI: $*"
		tap_skipped=2
		exit 1
	fi
	echo "1..0 # SKIP $*"
	tap_skipped=1
	exit 0
}

# skip N WHY...: N results of the plan that this machine cannot give.
skip()
{
	local i

	for ((i = 0; i < $1; i++)); do
		if tap_in_ci; then
			tap_report bad "skipped in CI: ${*:2}"
		else
			tap_report good "# SKIP ${*:2}"
		fi
	done
}

# run_step SENTENCE FUNCTION [ARG...]: one result.  The function runs in this shell (what it sets
# and spawns stays) and ends at its first command that fails, as under set -e; that command, its
# line and all output are shown.  FUNCTION must be a shell function.
run_step()
{
	# Named so that no function it runs sets them by accident.
	local tap_sentence=$1 tap_status tap_at='' tap_log=$TAP_DIR/step.log

	shift
	declare -F "$1" >/dev/null || bail "run_step: $1 is no function"
	set -E
	trap 'tap_on_err $? "${BASH_SOURCE[0]}:$LINENO: $BASH_COMMAND"
	      [ "${FUNCNAME[0]}" = run_step ] || return 1' ERR
	"$@" >"$tap_log" 2>&1 </dev/null
	tap_status=$?
	trap - ERR
	set +E
	[ "$tap_status" = 0 ] && [ -z "$tap_at" ] && { tap_report good "$tap_sentence"; return; }
	tap_report bad "$tap_sentence"
	diag "  ${tap_at:-$1: exit status $tap_status}"
	diag "$(tail -n 50 "$tap_log")"
	return 1
}

# The first failure is the one to show; the others are its callers'.
tap_on_err()
{
	tap_at=${tap_at:-"exit status $1 of $2"}
}

# run_step_if COMMAND WHY SENTENCE FUNCTION [ARG...]: run_step where COMMAND succeeds, elsewhere a skip.
run_step_if()
{
	if "$1"; then
		run_step "${@:3}"
	else
		skip 1 "$3: $2"
	fi
}

# --- waiting --------------------------------------------------------------------------------

# wait_for COMMAND SECONDS: evaluate COMMAND until it succeeds; fails at the deadline.
wait_for()
{
	local end=$((${EPOCHREALTIME/./} + $2 * 1000000))

	until eval "$1" >/dev/null 2>&1; do
		if [ "${EPOCHREALTIME/./}" -ge "$end" ]; then
			echo "waited $2 s in vain for: $1" >&2
			return 1
		fi
		sleep 0.02
	done
}

# --- processes ------------------------------------------------------------------------------

# spawn NAME COMMAND [ARG...]: begin it in the background; ${pid[NAME]} is its process, its output
# goes to $TAP_DIR/NAME.out and NAME.err.  A NAME may be used again once that has been reaped.
spawn()
{
	local name=$1

	shift
	# Here, not by the process: whoever waits for what that will say must not find what another said.
	: >"$TAP_DIR/$name.out"
	: >"$TAP_DIR/$name.err"
	# Job control gives it a process group of its own, to be cleaned up with all its children,
	# and leaves SIGINT as it was: else the shell has it ignored.
	set -m
	"$@" </dev/null >"$TAP_DIR/$name.out" 2>"$TAP_DIR/$name.err" &
	set +m
	pid[$name]=$!
	tap_groups+=("$!")
}

# reap NAME SECONDS: wait for its end.  Sets $status to its exit status (128 + signal if killed).
# Fails if it has not ended by then; it is then killed.
reap()
{
	local p=${pid[$1]}

	status=
	if ! wait_for "! tap_runs $p" "$2"; then
		echo "$1 (process $p) has not ended after $2 s" >&2
		kill -KILL -- "-$p"
		wait "$p" 2>/dev/null
		unset "pid[$1]"
		return 1
	fi
	status=0
	wait "$p" 2>/dev/null || status=$?
	unset "pid[$1]"
}

# stop NAME SIGNAL SECONDS: send it, then reap.
stop()
{
	kill -"$2" "${pid[$1]}" && reap "$1" "$3"
}

# Alive and no zombie.
tap_runs()
{
	local stat

	stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
	[[ ${stat##*) } != Z* ]]
}

# --- names ----------------------------------------------------------------------------------

# bus_name STEM: print a bus name that no other test uses.
bus_name()
{
	echo "$1-$TAP_ID"
}

# --- rights, mounts and network namespaces --------------------------------------------------

# need_root WHY: skip everything unless this is root itself, not of a user namespace.
need_root()
{
	if [ "$(id -u)" != 0 ] || [ -n "${TAP_USERNS:-}" ]; then
		skip_all "needs root: $*"
	fi
}

# tap_begin_again VARIABLE COMMAND...: this test from its start, with VARIABLE=1, in what COMMAND makes.
tap_begin_again()
{
	tap_clean_up
	trap - EXIT INT TERM HUP # what is ignored now would be so there, for ever
	export "$1=1"
	exec "${@:2}" -- "$BASH" "$0"
}

# need_mounts: from here on, file systems can be mounted.  The mounts are this test's alone, and end
# with it: a namespace that somebody makes meanwhile would keep alive what was unmounted here.
# Stands behind need_net.
need_mounts()
{
	[ -z "${TAP_USERNS:-}${TAP_MOUNTS:-}" ] || return 0
	unshare -m mount -t tmpfs tmpfs "$TAP_DIR" 2>/dev/null ||
		skip_all "file systems cannot be mounted here"
	tap_begin_again TAP_MOUNTS unshare -m
}

# has_loop: a file can be mounted as a file system; containers seldom have the devices.  Stands behind
# need_mounts.
has_loop()
{
	mkdir -p "$TAP_DIR/loop"
	truncate -s 2M "$TAP_DIR/loop.image"
	mkfs.ext4 -q "$TAP_DIR/loop.image" >/dev/null &&
		mount -o loop "$TAP_DIR/loop.image" "$TAP_DIR/loop" 2>/dev/null &&
		umount "$TAP_DIR/loop"
}

# has_tun: interfaces of programs can be made; a user namespace may not be allowed to.
has_tun()
{
	[ -z "${TAP_USERNS:-}" ] && (: <>/dev/net/tun) 2>/dev/null
}

# need_net: from here on, network namespaces can be made.  Without root the test is begun again in
# a user namespace, in which it is root; where there is neither, everything is skipped.
need_net()
{
	local probe=ncp-probe-$TAP_ID

	if [ "$(id -u)" != 0 ]; then
		unshare -Urnm true 2>/dev/null ||
			skip_all "needs root or user namespaces"
		tap_begin_again TAP_USERNS unshare -Urnm
	fi
	if [ -n "${TAP_USERNS:-}" ]; then
		# ip netns keeps its names under /run, which belongs to the real root.
		mount -t tmpfs tmpfs /run || skip_all "a user namespace here may not mount"
	fi
	ip netns add "$probe" 2>/dev/null || skip_all "network namespaces cannot be made here"
	ip netns del "$probe"
}

# netns_name STEM: print the full name of a namespace.
netns_name()
{
	echo "ncp-$1-$TAP_ID"
}

# netns_make STEM: a network namespace with lo up, without IPv6's own chatter.
netns_make()
{
	local ns

	ns=$(netns_name "$1")
	ip netns add "$ns"
	ip netns exec "$ns" sysctl -qw net.ipv6.conf.default.disable_ipv6=1 \
		net.ipv6.conf.all.disable_ipv6=1 2>/dev/null || :
	ip -n "$ns" link set lo up
}

# in_netns STEM COMMAND [ARG...]: run it there.  With spawn the process id is the command's own.
in_netns()
{
	ip netns exec "$(netns_name "$1")" "${@:2}"
}

# spawn_in STEM NAME COMMAND [ARG...]: spawn in a namespace.
spawn_in()
{
	spawn "$2" ip netns exec "$(netns_name "$1")" "${@:3}"
}

# veth_pair STEM1 IF1 STEM2 IF2: two joined interfaces, up, one in each namespace.
veth_pair()
{
	local a b

	a=$(netns_name "$1") b=$(netns_name "$3")
	ip link add "$2" netns "$a" type veth peer name "$4" netns "$b"
	ip -n "$a" link set "$2" up
	ip -n "$b" link set "$4" up
}

# --- clean-up -------------------------------------------------------------------------------

tap_clean_up()
{
	local p ns

	trap '' INT TERM HUP
	for p in "${pid[@]}"; do
		kill -TERM "$p" && kill -CONT "$p" && wait_for "! tap_runs $p" 3
	done 2>/dev/null
	for p in "${tap_groups[@]}"; do
		kill -KILL -- "-$p"
		wait "$p"
	done 2>/dev/null
	while read -r ns; do
		ip netns del "$ns"
	done < <(ip netns list 2>/dev/null | grep -o "^ncp-[^ ]*-$TAP_ID")
	# Also busses whose names a test made longer.
	rm -rf "${NCP_DIR:-/dev/shm}"/ncp.*-"$TAP_ID"{,[-+]*}
	[ -z "$TAP_DIR" ] || rm -rf "$TAP_DIR"
	[ -z "$TAP_BUSSES" ] || rm -rf "$TAP_BUSSES"
}

# The exit status tells, too: fewer results than planned is a failure.
tap_on_exit()
{
	local exit_status=$?

	tap_clean_up
	if [ "$exit_status" = 0 ] && [ "$tap_skipped" = 0 ]; then
		if [ "$tap_planned" != "$tap_run" ]; then
			diag "planned $tap_planned results, gave $tap_run"
			exit_status=1
		elif [ "$tap_failed" -gt 0 ]; then
			exit_status=1
		fi
	fi
	exit "$exit_status"
}

TAP_DIR=$(mktemp -d "${TMPDIR:-/tmp}/ncp-test.XXXXXX") || bail "no temporary folder"
# Others run their part of a test in it: unprivileged clients.
chmod 755 "$TAP_DIR"
trap tap_on_exit EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP
