#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_producer_refuses.sh - what a producer is asked in vain: one clear line, the right exit status.
. tests/tap/tap.sh
need_root "makes small file systems and files of other users"
need_mounts
plan 26
mkdir "$TAP_DIR/shm"
mount -t tmpfs -o size=64m,mode=1777 tmpfs "$TAP_DIR/shm" || bail "cannot mount a tmpfs"
export NCP_DIR=$TAP_DIR/shm
trap 'umount -l "$TAP_DIR/shm"; unset NCP_DIR; tap_on_exit' EXIT

# refuses STATUS REGEX ARG...: ends with the status, says one line that matches, leaves nothing.
refuses()
{
	local want=$1 regex=$2 before

	shift 2
	before=$(ls -la --time-style=+ "$NCP_DIR" | tail -n +4)
	spawn q ncp-producer "$@"
	reap q 10
	grep -v '^ncp-producer: user' "$TAP_DIR/q.err" >"$TAP_DIR/said" || :
	cat "$TAP_DIR/said"
	[ "$status" = "$want" ]
	[ "$(wc -l <"$TAP_DIR/said")" = 1 ]
	grep -E "^ncp-producer: $regex" "$TAP_DIR/said"
	[ "$(ls -la --time-style=+ "$NCP_DIR" | tail -n +4)" = "$before" ]
	# Nothing from here is still running.
	! pgrep -g "$(ps -o pgid= -p $$)" ncp-helper
}

as_stranger=(setpriv --reuid=65012 --regid=65012 --clear-groups)

no_permission()
{
	spawn q "${as_stranger[@]}" ncp-producer lo
	reap q 10
	cat "$TAP_DIR/q.err"
	[ "$status" = 1 ]
	[ "$(wc -l <"$TAP_DIR/q.err")" = 1 ]
	grep "^ncp-producer: interface lo: no permission to capture: start ncp-producer as root" \
		"$TAP_DIR/q.err"
}

no_right_to_the_directory()
{
	mkdir -p "$TAP_DIR/roots"
	spawn q "${as_stranger[@]}" ncp-producer --dir "$TAP_DIR/roots" synth:
	reap q 10
	cat "$TAP_DIR/q.err"
	[ "$status" = 1 ]
	[ "$(wc -l <"$TAP_DIR/q.err")" = 1 ]
	grep "^ncp-producer: bus synth: .*--dir" "$TAP_DIR/q.err"
}

# A name that somebody took: a file, a directory, a link, a pipe.
squatted()
{
	local kind=$1 path=$NCP_DIR/ncp.x

	case $kind in
	file) "${as_stranger[@]}" sh -c "echo junk >$path" ;;
	directory) "${as_stranger[@]}" mkdir "$path" ;;
	link) "${as_stranger[@]}" ln -s /etc/passwd "$path" ;;
	pipe) "${as_stranger[@]}" mkfifo "$path" ;;
	lock) "${as_stranger[@]}" sh -c "echo junk >$path+lock" ;;
	clients) "${as_stranger[@]}" mkdir "$path+clients" ;;
	esac
	spawn q ncp-producer -b x -m 8M synth:count=1
	reap q 10
	cat "$TAP_DIR/q.err"
	[ "$status" = 1 ]
	[ "$(grep -vc '^ncp-producer: user' "$TAP_DIR/q.err")" = 1 ]
	grep "^ncp-producer: bus x: .*--remove" "$TAP_DIR/q.err"
	ncp-producer --remove x
	spawn q ncp-producer -b x -m 8M synth:count=1
	reap q 10
	[ "$status" = 0 ]
	[ -z "$(ls "$NCP_DIR")" ]
}

# What is ours and no bus is in nobody's way.
junk_is_replaced()
{
	head -c 100000 /dev/urandom >"$NCP_DIR/ncp.x"
	spawn q ncp-producer -b x -m 8M synth:count=1
	reap q 10
	[ "$status" = 0 ]
	[ -z "$(ls "$NCP_DIR")" ]
}

other_version_is_replaced()
{
	ncp-producer -b x -m 8M --keep synth:count=1
	# The major version, in the header.
	printf '\377\177' | dd of="$NCP_DIR/ncp.x" bs=1 seek=12 conv=notrunc
	spawn q ncp-producer -b x -m 8M synth:count=1
	reap q 10
	[ "$status" = 0 ]
	[ -z "$(ls "$NCP_DIR")" ]
}

# A ring that cannot be used replaces nothing, whether -m says so or the one that is there.
small_ring_harms_nothing()
{
	local sum

	ncp-producer -b x -m 128K --keep synth:count=100
	printf '\2' | dd of="$NCP_DIR/ncp.x" bs=1 seek=528 conv=notrunc # the state: as after a crash
	sum=$(sha256sum <"$NCP_DIR/ncp.x")
	refuses 2 "ring size: 65536" -b x -m 64K synth:size=9000
	refuses 1 "bus x: the ring has 128 KiB" -b x synth:size=9000
	[ "$(sha256sum <"$NCP_DIR/ncp.x")" = "$sum" ]
	ncp-producer --remove x
}

# By default the ring takes a quarter of what is free.
default_fits()
{
	spawn q ncp-producer synth:count=1
	reap q 10
	[ "$status" = 0 ]
	grep "ring 16 MiB" "$TAP_DIR/q.err"
}

head -c 3000 /dev/urandom >"$TAP_DIR/junk"
: >"$TAP_DIR/empty"

run_step "no source" refuses 2 "SOURCE: not given: "
run_step "an unknown option" refuses 2 "--nonsense: unknown option: " --nonsense
run_step "an unknown kind of source" refuses 2 "source x:y: no such kind of source: " x:y
run_step "a missing interface" refuses 1 "interface nope0: no such interface: .*-D" nope0
run_step "an interface whose name is no bus name" refuses 2 "bus a\\+b: .*-b" a+b
run_step "a filter that is none" refuses 2 "filter" -m 8M lo 'tcp prot 80'
run_step "the same on a synthetic source" refuses 2 "filter" -m 8M synth: 'tcp prot 80'
run_step "a key that synth does not know" refuses 2 "" -m 8M synth:color=red
run_step "a missing file" refuses 1 "" -m 8M file:/nonexistent/x
run_step "junk instead of a capture" refuses 1 "" -m 8M "file:$TAP_DIR/junk"
run_step "an empty file" refuses 1 "" -m 8M "file:$TAP_DIR/empty"
run_step "no permission to capture" no_permission
run_step "no right to the directory" no_right_to_the_directory
run_step "a directory of busses that is not there" refuses 1 "directory of the busses: .*--dir" \
	--dir /nonexistent synth:
run_step "a full file system" refuses 1 "bus x: .* MiB are needed, .* MiB are free: .*-m" \
	-b x -m 128M synth:
run_step "a ring too small for its frames" refuses 2 "ring size: 65536 bytes .*-m 256K" \
	-b x -m 64K synth:size=9000
run_step "nor does one harm the bus that is there" small_ring_harms_nothing
run_step "the default ring fits a small file system" default_fits
for kind in file directory link pipe lock clients; do
	run_step "a stranger's $kind in place of a name is refused, until root removes it" \
		squatted $kind
done
run_step "junk of our own is replaced" junk_is_replaced
run_step "a bus of another version is replaced" other_version_is_replaced
