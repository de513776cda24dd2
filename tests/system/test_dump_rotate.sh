#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_dump_rotate.sh - one file after the other, as tcpdump does it: no frame is missing, none twice.
. tests/tap/tap.sh
. tests/system/lib.sh
plan 32

bus=$(bus_name rotate)
mkdir "$TAP_DIR/ours" "$TAP_DIR/theirs"

fill()
{
	spawn producer ncp-producer "synth:count=4000,size=1500" -b "$bus" -m 32M --keep
	reap producer 20
	[ "$status" = 0 ]
	ncp-dump -i "$bus" --snapshot -w - -q >"$TAP_DIR/all.pcapng"
}
run_step "a bus holds 4000 frames" fill

# names OPTION...: what ncp-dump and tcpdump call the files they make of it, with how many frames.
names()
{
	rm -f "$TAP_DIR"/{ours,theirs}/*
	(cd "$TAP_DIR/ours" && ncp-dump -i "$bus" --snapshot -q "$@") || return
	(cd "$TAP_DIR/theirs" && tcpdump -Z "$(id -un)" -r ../all.pcapng "$@" 2>/dev/null)
}
same()
{
	names "$@"
	is "$(ls "$TAP_DIR/theirs" | xargs)" "$(ls "$TAP_DIR/ours" | xargs)" "tcpdump's names: $*"
}
same -w x -C 1
same -w x.pcapng -C 1 -W 3
same -w x -C 1 -W 10
same -w x -C 1 -W 11
same -w x -C 1 -W 1
same -w x%Y -C 1
same -w x%Y -C 1 -G 3600
same -w x%Y -C 1 -G 3600 -W 3
same -w x%Y -G 3600 -W 1

# Written as pcap, the files are tcpdump's, byte for byte.
bytes()
{
	rm -f "$TAP_DIR"/{ours,theirs}/*
	ncp-dump -i "$bus" --snapshot -q -w "$TAP_DIR/ours/x" -C 1 --format pcap
	(cd "$TAP_DIR/theirs" && tcpdump -Z "$(id -un)" -r ../all.pcapng -w x -C 1)
	[ "$(ls "$TAP_DIR/theirs" | wc -l)" = 7 ]
	diff -r "$TAP_DIR/theirs" "$TAP_DIR/ours"
}
run_step "as pcap they are tcpdump's files, byte for byte" bytes

whole="frames=4000 first=0 last=3999 holes=0 duplicates=0 other=0"
for filter in "" udp; do
	rm -f "$TAP_DIR"/ours/*
	# shellcheck disable=SC2086
	ncp-dump -i "$bus" --snapshot -w "$TAP_DIR/ours/x" -C 1 --json $filter 2>"$TAP_DIR/json"
	is "$whole" "$(frame_check $(series "$TAP_DIR/ours/x"))" "${filter:-all}: each frame is there once"
	is "$(series "$TAP_DIR/ours/x" | wc -l) $(cat "$TAP_DIR"/ours/* | wc -c)" \
		"$(tail -n 1 "$TAP_DIR/json" | sed 's/.*"bytes":\([0-9]*\).*"files":\([0-9]*\).*/\2 \1/')" \
		"${filter:-all}: the summary counts files and bytes"
	each()
	{
		local f

		for f in $(series "$TAP_DIR/ours/x"); do
			capinfos -c "$f"
			tcpdump -nr "$f" -w /dev/null
			# Larger than 1 MB by less than a frame and the statistics, but for the last.
			[ -e "$TAP_DIR/ours/x$((${f#"$TAP_DIR/ours/x"} + 1))" ] || continue
			[ "$(stat -c %s "$f")" -gt 1000000 ]
			[ "$(stat -c %s "$f")" -lt 1002000 ]
		done
	}
	run_step "${filter:-all}: capinfos and tcpdump read each file, just above its size" each
done

filesize()
{
	ncp-dump -i "$bus" --snapshot -w "$TAP_DIR/ours/y" -a filesize:100 --json=/dev/stdout | tail -n 1 >"$TAP_DIR/json"
	[ "$(stat -c %s "$TAP_DIR/ours/y")" -ge 100000 ]
	[ "$(stat -c %s "$TAP_DIR/ours/y")" -lt 102000 ]
	frame_check "$TAP_DIR/ours/y" | grep "^frames=$(sed 's/.*"frames":\([0-9]*\),"filtered":0,.*/\1/' "$TAP_DIR/json") first=0 .*holes=0"
	[ "$(ls "$TAP_DIR"/ours/y* | wc -l)" = 1 ]
}
run_step "-a filesize: ends with the frame that reaches it" filesize

tiny()
{
	local how

	for how in "" udp "--format pcap"; do
		rm -f "$TAP_DIR"/ours/*
		# shellcheck disable=SC2086
		timeout 60 ncp-dump -i "$bus" --snapshot -q -c 20 -w "$TAP_DIR/ours/y" -C 1K $how
		[ "$(ls "$TAP_DIR/ours" | wc -l)" = 20 ]
		frame_check $(series "$TAP_DIR/ours/y") | grep "frames=20 first=0 last=19 holes=0"
	done
}
run_step "each file has a frame, however small it is to be" tiny

overwrites()
{
	head -c 3000000 /dev/zero >"$TAP_DIR/ours/z1"
	ncp-dump -i "$bus" --snapshot -w "$TAP_DIR/ours/z" -C 1
	[ "$(frame_check $(series "$TAP_DIR/ours/z"))" = "$whole" ]
	rm "$TAP_DIR/ours/z"
	ncp-dump -i "$bus" --snapshot -w "$TAP_DIR/ours/z" -C 4 --no-clobber
	[ "$(frame_check "$TAP_DIR"/ours/z "$TAP_DIR"/ours/z7)" = "$whole" ]
	! ncp-dump -i "$bus" --snapshot -w "$TAP_DIR/ours/z" -C 4 --no-clobber
}
run_step "a name that exists is overwritten, and with --no-clobber passed over" overwrites

is "ncp-dump: -w - with -C, -G, -b or --quota: standard output is one stream, not files: name a file with -w
2" "$(ncp-dump -i "$bus" -w - -C 1 2>&1; echo $?)" "-w - and -C do not go together"

fifo()
{
	local out status=0

	mkfifo "$TAP_DIR/fifo"
	spawn reader cat "$TAP_DIR/fifo"
	out=$(ncp-dump -i "$bus" --snapshot -w "$TAP_DIR/fifo" -G 5 2>&1) || status=$?
	echo "$out"
	[ "$status" = 1 ]
	grep -q "fifo: .*: files can only follow each other where they are regular ones" <<<"$out"
	reap reader 20
}
run_step "nor a FIFO and -G" fifo

# Nothing comes: the clock alone turns the page.
idle()
{
	mkfifo "$TAP_DIR/idle"
	exec 9<>"$TAP_DIR/idle"
	spawn producer ncp-producer "file:$TAP_DIR/idle" -b "$bus-idle" -m 8M --wait-clients 1 9<&-
	tcpdump -r "$TAP_DIR/all.pcapng" -c 20 -w - 2>/dev/null >&9
	wait_for "ncp-dump -D | grep -q '$bus-idle '" 20
	spawn dump ncp-dump -i "$bus-idle" -w "$TAP_DIR/ours/g%s" -G 1 -W 3 9<&-
	reap dump 20
	[ "$status" = 0 ]
	[ "$(ls "$TAP_DIR"/ours/g* | wc -l)" = 3 ]
	[ "$(frame_check "$TAP_DIR"/ours/g*)" = "frames=20 first=0 last=19 holes=0 duplicates=0 other=0" ]
	set -- "$TAP_DIR"/ours/g*
	[ "${2##*g}" -gt "${1##*g}" ]
	[ "${3##*g}" -gt "${2##*g}" ]
	exec 9<&-
	reap producer 20
}
run_step "-G 1 -W 3: three files of a second each, though nothing comes, then the end" idle

# hangup: SIGHUP to ncp-dump, which setsid has begun without a terminal.
hangup()
{
	kill -HUP "$(pgrep -P "${pid[dump]}" || echo "${pid[dump]}")"
}
# has_frames FILE: more than its head?
has_frames()
{
	[ "$(stat -c %s "$1")" -gt 100000 ]
}
asked()
{
	local n

	# It goes on until each file has frames, however long that takes.
	spawn producer ncp-producer "synth:pps=20000" -b "$bus-asked" -m 64M --wait-clients 1
	wait_for "ncp-dump -D | grep -q '$bus-asked '" 20
	echo precious >"$TAP_DIR/ours/h1"
	spawn dump setsid --wait ncp-dump -i "$bus-asked" -w "$TAP_DIR/ours/h" "$@"
	wait_for "has_frames $TAP_DIR/ours/h" 20
	hangup
	wait_for "has_frames $TAP_DIR/ours/h2" 20
	hangup
	wait_for "has_frames $TAP_DIR/ours/h3" 20
	stop producer INT 10
	n=$(sed -n 's/.*: \([0-9]*\) frames published.*/\1/p' "$TAP_DIR/producer.err")
	reap dump 20
	[ "$status" = 0 ]
	[ "$(frame_check "$TAP_DIR"/ours/h "$TAP_DIR"/ours/h[23])" = \
	"frames=$n first=0 last=$((n - 1)) holes=0 duplicates=0 other=0" ]
	[ "$(cat "$TAP_DIR/ours/h1")" = precious ]
	rm "$TAP_DIR"/ours/h*
}
run_step "SIGHUP begins the next file, and overwrites none" asked
run_step "also where frames are copied" asked -s 100

# To a capture that was begun on a terminal, SIGHUP says that it has gone.
hung_up()
{
	local child

	spawn producer ncp-producer "synth:pps=20000,size=300" -b "$bus-term" -m 16M --wait-clients 1
	wait_for "ncp-dump -D | grep -q '$bus-term '" 20
	spawn terminal terminal 24 80 ncp-dump -i "$bus-term" -w "$TAP_DIR/ours/t"
	wait_for "[ -s $TAP_DIR/ours/t ] && [ \$(stat -c %s $TAP_DIR/ours/t) -gt 1000000 ]" 20
	child=$(pgrep -P "${pid[terminal]}")
	kill -KILL "${pid[terminal]}"
	reap terminal 20
	wait_for "! tap_runs $child" 10
	stop producer INT 10
	frame_check "$TAP_DIR"/ours/t*
	[ "$(ls "$TAP_DIR"/ours/t*)" = "$TAP_DIR/ours/t" ]
	cp "$TAP_DIR/ours/t" "$TAP_DIR/whole"
	ncp-dump --repair "$TAP_DIR/ours/t"
	cmp "$TAP_DIR/ours/t" "$TAP_DIR/whole"
}
run_step "when its terminal goes, it ends with a whole file" hung_up

# As fast as it goes, in a ring that is lapped: each frame is once in a file or in a gap.
torrent()
{
	local json

	rm -f "$TAP_DIR"/ours/f*
	spawn producer ncp-producer "synth:count=1000000,size=1000" -b "$bus-fast" -m 16M --wait-clients 1
	wait_for "ncp-dump -D | grep -q '$bus-fast '" 20
	spawn dump ncp-dump -i "$bus-fast" -w "$TAP_DIR/ours/f" --json "$@"
	reap dump 60
	tail -n 3 "$TAP_DIR/dump.err"
	[ "$status" = 0 ]
	reap producer 20
	json=$(tail -n 1 "$TAP_DIR/dump.err")
	[ "$(series "$TAP_DIR/ours/f" | wc -l)" = "$(sed 's/.*"files":\([0-9]*\).*/\1/' <<<"$json")" ]
	frame_check $(series "$TAP_DIR/ours/f") >"$TAP_DIR/check"
	cat "$TAP_DIR/check"
	[ "$(sed -E 's/.*"frames":([0-9]*),"filtered":0,.*"lost":([0-9]*),"bytes".*/\1 \2/' <<<"$json")" = \
	"$(sed -E 's/frames=([0-9]*) .*gapped=([0-9]*)/\1 \2/; s/frames=([0-9]*) .*other=0$/\1 0/' "$TAP_DIR/check")" ]
	[ "$(sed -E 's/.*"next_seq":([0-9]*),.*/\1/' <<<"$json")" = 1000000 ]
	# What the ring holds at the end makes as many, whatever was lost before.
	[ "$(series "$TAP_DIR/ours/f" | wc -l)" -gt 2 ]
}
run_step "at full speed each frame is once in a file, or in a gap" torrent -C 4
run_step "in many small ones" torrent -C 1
run_step "copied" torrent -C 2 -s 500
run_step "with a state for --resume" torrent -C 4 --resume "$TAP_DIR/state"

# The producer waits for it: then none may be missing at all.
lossless()
{
	rm -f "$TAP_DIR"/ours/f*
	spawn producer ncp-producer "synth:count=300000,size=1000" -b "$bus-wait" -m 16M --reliable --wait-clients 1
	wait_for "ncp-dump -D | grep -q '$bus-wait '" 20
	spawn dump ncp-dump -i "$bus-wait" -w "$TAP_DIR/ours/f" --reliable "$@"
	reap dump 60
	tail -n 3 "$TAP_DIR/dump.err"
	[ "$status" = 0 ]
	reap producer 20
	[ "$(frame_check $(series "$TAP_DIR/ours/f"))" = \
	"frames=300000 first=0 last=299999 holes=0 duplicates=0 other=0" ]
	[ "$(series "$TAP_DIR/ours/f" | wc -l)" -ge 20 ]
}
run_step "a producer that waits loses none to a rotation" lossless -C 10
run_step "nor where frames are copied" lossless -C 10 udp
