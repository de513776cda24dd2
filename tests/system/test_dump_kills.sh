#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_dump_kills.sh - copied and killed at any moment while it is lapped: repaired, every file is right.
. tests/tap/tap.sh
plan 9

# So many copies, and so many kills.  `make check-kills` asks for 50.
kills=${NCP_KILLS:-5}
bus=$(bus_name kills)
file=$TAP_DIR/x.pcapng
good='^frames=[0-9]+ first=[0-9]+ last=[0-9]+ holes=0 duplicates=0 other=0( gapped=[0-9]+)?$'

# repaired FILE: it is cut to what is whole, and then right in the eyes of others.
repaired()
{
	local check bad

	ncp-dump --repair "$1"
	ncp-dump --repair "$1" 2>&1 | grep -q ': complete: left alone'
	check=$(frame_check "$1")
	echo "$check"
	[[ $check =~ $good ]]
	# Each frame's checksums, which cover all of its bytes; and the file to its end.
	bad=$(tshark -r "$1" -o ip.check_checksum:TRUE -o udp.check_checksum:TRUE -T fields \
		-e frame.number -Y 'ip.checksum.status != 1 or udp.checksum.status != 1 or _ws.malformed')
	[ -z "$bad" ]
	echo "$check" >>"$TAP_DIR/checks"
	rm "$1"
}

# grown BYTES: the file has got so long.
grown()
{
	wait_for "[ \$(stat -c %s '$file') -gt $1 ]" 20
}

# Every other time it is held up until it was lapped, in the middle of its writes.
hold_up()
{
	local at

	[ $(($1 % 2)) = 0 ] || return 0
	kill -STOP "${pid[dump]}"
	at=$(next_seq)
	wait_for "[ \$(next_seq) -gt $((at + 60000)) ]" 20
	kill -CONT "${pid[dump]}"
}

next_seq()
{
	ncp-stats -i "$bus" --once --json | sed 's/.*"next_seq":\([0-9]*\).*/\1/'
}

dump()
{
	rm -f "$file"
	spawn dump ncp-dump -i "$bus" -w "$file" -q "$@"
	wait_for "[ -s '$file' ]" 5
}

begin()
{
	spawn producer ncp-producer "synth:pps=$1,size=1000" -b "$bus" -m "$2" --keep
	wait_for "ncp-dump -D | grep -q '$bus .live'" 5
}

# over: the bus of that producer goes.
over()
{
	stop producer TERM 5
	ncp-producer --remove "$bus"
}

# A copy that goes on while the file does: what is in it of the last second, nobody knows.
copies()
{
	local i

	begin 40000 16M
	dump "$@"
	for ((i = 0; i < kills; i++)); do
		grown 60000000
		hold_up "$i"
		grown $(($(stat -c %s "$file") + RANDOM * 100))
		cp "$file" "$TAP_DIR/copy"
		repaired "$TAP_DIR/copy"
		if [ "$(stat -c %s "$file")" -gt 200000000 ]; then
			kill -KILL "${pid[dump]}"
			reap dump 5
			dump "$@"
		fi
	done
	kill -KILL "${pid[dump]}"
	reap dump 5
	over
	# They have more than the beginning.
	awk '{ sub("frames=", ""); if ($1 < 5000) exit 1 }' "$TAP_DIR/checks"
}

# killed TIMES [DUMP-ARG...]
killed()
{
	local i times=$1

	shift
	for ((i = 0; i < times; i++)); do
		dump "$@"
		grown $((RANDOM * 300))
		hold_up "$i"
		grown $((RANDOM * 400))
		kill -KILL "${pid[dump]}"
		reap dump 5
		repaired "$file"
	done
}

lossy()
{
	cat "$TAP_DIR/checks"
	[ "$(sed 's/.*gapped=//' "$TAP_DIR/checks" | awk '{ n += $1 } END { print n }')" -gt 1000 ]
	[ "$(sed 's/frames=\([0-9]*\).*/\1/' "$TAP_DIR/checks" | awk '{ n += $1 } END { print n }')" -gt 10000 ]
}

run_step "$kills copies of a file that is written, of a capture that is held up until it was lapped" \
	copies --iobuf 256K
run_step "frames come as fast as they can be made, in a ring of 16 MiB" begin 0 16M
run_step "$kills kills" killed "$kills"
run_step "a kill with small writes, by pwrite" killed $(((kills + 4) / 5)) --iobuf 64K --writer pwrite
run_step "a kill of one that copies through a filter" killed $(((kills + 4) / 5)) udp
run_step "what was missing was in gap blocks, and it was not little" lossy

# A capture of little traffic loses no more than a second.
little()
{
	over
	spawn producer ncp-producer "synth:pps=1000,size=100" -b "$bus" -m 8M
	wait_for "ncp-dump -D | grep -q '$bus .live'" 5
	dump --from oldest
	grown 300000
	kill -KILL "${pid[dump]}"
	reap dump 5
	[[ $(frame_check "$file" 2>/dev/null) =~ last=([0-9]+) ]]
	local before=${BASH_REMATCH[1]}
	ncp-dump --repair "$file"
	[[ $(frame_check "$file") =~ frames=([0-9]+).*last=([0-9]+)\ holes=0 ]]
	echo "$before before, ${BASH_REMATCH[0]} after"
	[ "${BASH_REMATCH[1]}" -gt 1000 ]
}
run_step "a slow capture that is killed loses no window, but seconds" little

busy()
{
	local out

	dump
	out=$(ncp-dump --repair "$file" 2>&1) && return 1
	echo "$out"
	[ "$out" = "ncp-dump: $file: it is being written: left alone: end that ncp-dump first" ]
	grown 200000
	stop dump INT 5
	[ "$status" = 0 ]
	frame_check "$file"
}
run_step "a file that is being written is left alone" busy

several()
{
	local out status=0

	echo "Dear Sir" >"$TAP_DIR/letter"
	out=$(ncp-dump --repair "$file" "$TAP_DIR/letter" "$TAP_DIR/none" 2>&1) || status=$?
	echo "$out"
	[ "$status" = 1 ]
	[ "$out" = "ncp-dump: $file: complete: left alone
ncp-dump: $TAP_DIR/letter: not a pcapng file of ncp-dump: left alone
ncp-dump: $TAP_DIR/none: No such file or directory" ]
	[ "$(cat "$TAP_DIR/letter")" = "Dear Sir" ]
}
run_step "of several files each has its line, and one that is not ncp's makes the status 1" several
