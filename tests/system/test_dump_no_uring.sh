#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_dump_no_uring.sh - io_uring switched off for the whole host, as hardened ones have it.

# Others would see it, too: tests/tools/rules.yml has this test run alone.
. tests/tap/tap.sh
need_root "turns a switch of the host"
switch=/proc/sys/kernel/io_uring_disabled
[ -e "$switch" ] || skip_all "this kernel has no such switch"
before=$(cat "$switch")
(echo "$before" >"$switch") 2>/dev/null || skip_all "$switch cannot be written here"
trap 'echo "$before" >"$switch"; tap_on_exit' EXIT
plan 2

bus=$(bus_name no-uring)
fill()
{
	ncp-producer "synth:count=1000,size=500" -b "$bus" -m 8M --keep
}
run_step "a bus holds 1000 frames" fill
switched_off()
{
	echo 2 >"$switch"
	ncp-dump -i "$bus" --snapshot -w "$TAP_DIR/s.pcapng" --json 2>"$TAP_DIR/s.err"
	echo "$before" >"$switch"
	cat "$TAP_DIR/s.err"
	grep -q '"note":"io_uring: Operation not permitted: writing by pwrite' "$TAP_DIR/s.err"
	tail -n 1 "$TAP_DIR/s.err" | grep '"frames":1000,.*"writer":"pwrite"'
}
run_step "ncp-dump writes by pwrite, and says so" switched_off
