#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_dump_faults.sh - full disks, pipes, forbidden calls, wrong names: one line, the right status.
. tests/tap/tap.sh
need_root "mounts a small file system"
need_mounts
plan 30

bus=$(bus_name faults)
export NCP_DIR=$TAP_DIR/shm
mkdir "$NCP_DIR" "$TAP_DIR/small" "$TAP_DIR/empty"
mount -t tmpfs tmpfs "$NCP_DIR" || bail "cannot mount a tmpfs"
unmount()
{
	local status=$?

	umount -l "$NCP_DIR" "$TAP_DIR/small" 2>/dev/null
	(exit $status)
	tap_on_exit
}
trap unmount EXIT

# fails STATUS REGEX COMMAND...: it ends with that status and one line that matches.
fails()
{
	local out status

	out=$("${@:3}" 2>&1 >/dev/null)
	status=$?
	is "$1 1" "$status $(grep -c . <<<"$out")" "one line and status $1: ${*:3}"
	like "$2" "$out" "  it says: $2"
}

fails 3 "no bus" ncp-dump --dir "$TAP_DIR/empty"
fails 3 "bus nothere: no such bus" ncp-dump -i nothere
fails 2 "bus a/b: " ncp-dump -i a/b

fill()
{
	spawn producer ncp-producer "synth:count=100000,size=500" -b "$bus" -m 64M --keep
	reap producer 20
	[ "$status" = 0 ]
}
run_step "a bus holds 100000 frames" fill

fails 2 "syntax error" ncp-dump -i "$bus" --snapshot -w "$TAP_DIR/f" 'tcp port'
fails 1 "/nonexistent/f: No such file" ncp-dump -i "$bus" --snapshot -w /nonexistent/f
fails 1 "$TAP_DIR: .*directory" ncp-dump -i "$bus" --snapshot -w "$TAP_DIR"
fails 1 "yet to come" ncp-dump -i "$bus" --from seq:100001
fails 2 "x: not oldest" ncp-dump -i "$bus" --from x
echo precious >"$TAP_DIR/precious"
fails 1 "precious: File exists" ncp-dump -i "$bus" --snapshot -w "$TAP_DIR/precious" --no-clobber
is precious "$(cat "$TAP_DIR/precious")" "--no-clobber leaves the file as it was"

# full KIND: the file system at small is full: what was saved is whole, and its count is right.
full()
{
	local out status n

	status=0
	out=$(ncp-dump -i "$bus" --from oldest -w "$TAP_DIR/small/x.pcapng" --json=/dev/stdout 2>&1) || status=$?
	n=$(tail -n 1 <<<"$out" | python3 -c "import json,sys
s=json.loads(sys.stdin.readline()); w=s['windows'][0]
assert w['frames'] + w['lost'] == w['next_seq'] - w['first_seq'], s
print(s['frames'], s['bytes'])")
	echo "$out"
	[ "$status" = 1 ]
	grep -q "No space left on device: ${n% *} frames (${n#* } bytes) are saved: make room" <<<"$out"
	[ "$(stat -c %s "$TAP_DIR/small/x.pcapng")" = "${n#* }" ]
	[ "${n% *}" -gt 1000 ]
	[ "$(frame_check "$TAP_DIR/small/x.pcapng")" = \
	"frames=${n% *} first=0 last=$((${n% *} - 1)) holes=0 duplicates=0 other=0" ]
	tshark -r "$TAP_DIR/small/x.pcapng" -T fields -e frame.number | tail -n 1 | grep -qx "${n% *}"
	umount "$TAP_DIR/small"
}
mount -t tmpfs -o size=9m tmpfs "$TAP_DIR/small" || bail "cannot mount a tmpfs"
run_step "a full tmpfs: what was saved is whole and counted" full
full_ext4()
{
	truncate -s 24M "$TAP_DIR/disk"
	mkfs.ext4 -q "$TAP_DIR/disk"
	mount -o loop "$TAP_DIR/disk" "$TAP_DIR/small"
	full
}
run_step_if has_loop "no loop device can be mounted" \
	"a full ext4, written with O_DIRECT: the same" full_ext4

fails 1 "/dev/full: No space left" ncp-dump -i "$bus" --snapshot -w /dev/full -q

# without_uring HOW: the copy is the same, and it is said.
without_uring()
{
	no_uring "$1" ncp-dump -i "$bus" --snapshot -w "$TAP_DIR/u.pcapng" --json=/dev/stdout >"$TAP_DIR/u.json"
	grep -q '"note":"io_uring: Operation not permitted' "$TAP_DIR/u.json"
	tail -n 1 "$TAP_DIR/u.json" | grep -q '"writer":"pwrite"'
	[ "$(frame_check "$TAP_DIR/u.pcapng")" = \
	"frames=100000 first=0 last=99999 holes=0 duplicates=0 other=0" ]
}
run_step "io_uring_setup forbidden: writes by pwrite and says so" without_uring setup
run_step "io_uring_enter forbidden: the same" without_uring enter
fails 1 "not permitted" no_uring setup ncp-dump -i "$bus" --snapshot -w "$TAP_DIR/u" --writer uring

pipes()
{
	[ "$(ncp-dump -i "$bus" --snapshot -w - -q | tcpdump -nr - 2>/dev/null | wc -l)" = 100000 ]
	ncp-dump -i "$bus" --snapshot -w - -q | frame_check /dev/stdin |
		grep -qx "frames=100000 first=0 last=99999 holes=0 duplicates=0 other=0"
	mkfifo "$TAP_DIR/fifo"
	spawn reader frame_check "$TAP_DIR/fifo"
	ncp-dump -i "$bus" --snapshot -w "$TAP_DIR/fifo"
	reap reader 5
	grep -q "frames=100000 .* holes=0 duplicates=0" "$TAP_DIR/reader.out"
}
run_step "pipes and FIFOs get the whole stream" pipes
reader_leaves()
{
	local result

	ncp-dump -i "$bus" --snapshot -w - -q | head -c 100000 >/dev/null
	result=${PIPESTATUS[*]}
	[ "$result" = "0 0" ]
	ncp-dump -i "$bus" --snapshot -q | head -n 1
	result=${PIPESTATUS[*]}
	[ "$result" = "0 0" ]
}
run_step "a reader that leaves early is no failure" reader_leaves
