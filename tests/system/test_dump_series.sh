#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_dump_series.sh - dumpcap's rings, quotas, commands, another user: what becomes of the files of a series.
. tests/tap/tap.sh
plan 33

bus=$(bus_name series)
mkdir "$TAP_DIR/ours" "$TAP_DIR/theirs"
chmod 777 "$TAP_DIR" "$TAP_DIR/theirs" # dumpcap may be somebody else
cd "$TAP_DIR/ours" || bail "no folder"

fill()
{
	spawn producer ncp-producer "synth:count=20000,size=300" -b "$bus" -m 16M --keep
	reap producer 20
	[ "$status" = 0 ]
	ncp-dump -i "$bus" --snapshot -w - -q | tcpdump -r - -w "$TAP_DIR/all.pcap"
}
run_step "a bus holds 20000 frames" fill
whole="frames=20000 first=0 last=19999 holes=0 duplicates=0 other=0"

# times NAME...: the names with every time made 0.
times()
{
	printf '%s\n' "$@" | sed -E 's/[0-9]{14}/TIME/' | xargs
}
same()
{
	local theirs

	rm -f -- * ../theirs/*
	theirs=$(cd ../theirs && dumpcap -q -i - -w x.pcapng "$@" <../all.pcap >/dev/null 2>&1 && ls)
	ncp-dump -i "$bus" --snapshot -q -w x.pcapng "$@" >printed
	is "$(times $theirs)" "$(times $(ls | grep -v printed))" "dumpcap's names: $*"
}
same -b packets:6000
is "$whole" "$(frame_check x_*)" "all frames are in them"
is "6000 6000 6000 2000" "$(for f in x_*; do tcpdump -nr "$f" 2>/dev/null | wc -l; done | xargs)" "so many in each"
same -b packets:5000
same -b packets:5000 -b files:2
is "0 5000" "$(for f in x_*; do tcpdump -nr "$f" 2>/dev/null | wc -l; done | sort -n | xargs)" "the full one and a new one"
same -b packets:5000 -a files:2
is "frames=10000 first=0 last=9999 holes=0 duplicates=0 other=0" "$(frame_check x_*)" "the first two"
same -b filesize:1000 -b files:3 -b printname:stdout
is 7 "$(grep -cE '^x_0000[1-7]_[0-9]{14}.pcapng$' printed)" "each name is printed once it is closed"
same -b duration:1000 -a filesize:1000
first()
{
	ncp-dump -i "$bus" --snapshot -q -w y.pcapng -b packets:15000 -b nametimenum:2 --utc
	[ "$(ls y_* | sed -E "s/^y_$(date -u +%Y%m)[0-9]{8}_/DATE/" | xargs)" = "DATE00001.pcapng DATE00002.pcapng" ]
}
run_step "nametimenum:2 puts the time first" first

# total: bytes of the series.
total()
{
	cat "$@" | wc -c
}
quota()
{
	local n i

	rm -f -- *
	# What is not of the series, though it looks so.
	echo precious >x99
	ncp-dump -i "$bus" --snapshot -q -w y
	cp y x-5
	cp y x07
	ln -s y x98
	ncp-producer "synth:count=100" -b "$bus-other" -m 8M --keep
	ncp-dump -i "$bus-other" --snapshot -q -w x97
	ncp-producer --remove "$bus-other"
	for i in 1 2 3; do
		ncp-dump -i "$bus" --snapshot -q -w x --quota 2M
		n=$(total $(ls | grep -vE '^(x9[789]|x07|x-5|y)$'))
		[ "$n" -le 2097152 ]
		[ "$n" -gt 1500000 ]
		ls -l
	done
	# Newest last, also over the three runs: the last frame is in the highest number.
	frame_check $(ls -v x[0-9]* | grep -vE '^(x9[789]|x07|x-5)$' | tail -n 4) | grep "last=19999 holes=0"
	[ "$(cat x99)" = precious ]
	cmp y x-5
	cmp y x07
	[ -L x98 ]
	capinfos -c x97
}
run_step "--quota holds over three runs, and touches nothing that is not of the series" quota

dated()
{
	rm -f -- *
	# A copy that the user keeps: its name is not the one its time gives.
	ncp-dump -i "$bus" --snapshot -q -w d%Y%m%d-%H%M%S -G 60
	cp d* d20010101-000000
	ncp-dump -i "$bus" --snapshot -q -w d%Y%m%d-%H%M%S -G 60 --quota 2M
	ncp-dump -i "$bus" --snapshot -q -w d%Y%m%d-%H%M%S -G 60 --quota 2M
	ls -l
	capinfos -c d20010101-000000
	[ "$(total $(ls | grep -v d20010101))" -le 2097152 ]
}
run_step "dated names too" dated

command()
{
	rm -f -- *
	printf '#!/bin/sh\nps -o ni= $$ >>../nice\necho "$# $1" >>../ran\n' >../cmd
	chmod +x ../cmd
	ncp-dump -i "$bus" --snapshot -q -w 'a b;c' -C 1 -z "$TAP_DIR/cmd"
	[ "$(sort ../ran)" = "$(ls | sed 's/^/1 /' | sort)" ]
	[ "$(sort -u ../nice | xargs)" = 19 ]
	ncp-dump -i "$bus" --snapshot -q -w x -C 1 -z gzip
	[ "$(ls x* | grep -c 'gz$')" = "$(ls x* | wc -l)" ]
	gzip -d x*.gz
	[ "$(frame_check $(ls -v x*))" = "$whole" ]
	ncp-dump -i "$bus" --snapshot -w x -C 4 -z false 2>../err
	grep -c "x: exit status 1" ../err
	ncp-dump -i "$bus" --snapshot -w x -C 4 -z /nonexistent/cmd 2>../err
	grep "/nonexistent/cmd x: No such file" ../err
}
run_step "-z runs once for each file, without a shell, at the lowest priority" command

atomic()
{
	rm -f -- *
	spawn producer ncp-producer "synth:count=30000,pps=30000,size=300" -b "$bus-slow" -m 16M --wait-clients 1
	wait_for "ncp-dump -D | grep -q '$bus-slow '" 5
	spawn dump ncp-dump -i "$bus-slow" -w x -C 1 --atomic
	while tap_runs "${pid[dump]}"; do
		for f in x x?; do
			# Whatever bears a final name is complete.
			[ ! -e "$f" ] || frame_check "$f" >>../partial || exit 1
		done
		ls >>../seen
	done
	reap dump 5
	[ "$status" = 0 ]
	reap producer 5
	grep -q "^x.*\\.part" ../seen
	! ls | grep part
	[ "$(frame_check $(ls -v x*))" = "frames=30000 first=0 last=29999 holes=0 duplicates=0 other=0" ]
}
run_step "--atomic: a file has its name when it is complete" atomic

# killed: again and again, with a state; each frame is once over all files.  The ring holds them all:
# whoever comes back late is not lapped.
killed()
{
	local i

	rm -f -- * ../state
	spawn producer ncp-producer "synth:count=300000,pps=50000,size=300" -b "$bus-kill" -m 128M \
		--wait-clients 1 --keep
	wait_for "ncp-dump -D | grep -q '$bus-kill '" 5
	for i in 1 2 3 4 5 6 7 8; do
		spawn dump ncp-dump -i "$bus-kill" -w x --from oldest --resume ../state "$@"
		# In the middle of a rotation, or nearly so: just when the next file appears.
		n=$(ls | wc -l)
		wait_for "[ \$(ls | wc -l) -gt $((n + 1)) ]" 10
		kill -KILL "${pid[dump]}"
		reap dump 5
	done
	spawn dump ncp-dump -i "$bus-kill" -w x --from oldest --resume ../state "$@"
	reap dump 20
	[ "$status" = 0 ]
	reap producer 5
	ls -l
	frame_check $(ls -v x* | grep -v part) |
		grep -x "frames=300000 first=0 last=299999 holes=0 duplicates=0 other=0"
	ncp-producer --remove "$bus-kill"
}
run_step "killed eight times while files change, and resumed: each frame once" killed -C 1
run_step "with --atomic" killed -C 1 --atomic

# Runs one after the other, with a state: names go on, whatever they are made of.
names_go_on()
{
	local i

	rm -f -- * ../state
	for i in 1 2 3; do
		ncp-dump -i "$bus" --from oldest -c 5000 -q -w x --resume ../state "$@"
	done
	ls
	frame_check $(ls -v) | grep -x "frames=15000 first=0 last=14999 holes=0 duplicates=0 other=0"
}
run_step "--resume goes on behind the last name of -C" names_go_on -C 1
run_step "of -G, where the time is the same" names_go_on -w x%Y -G 3600
run_step "of -b" names_go_on -w x.pcapng -b packets:1200
ring_goes_on()
{
	local i

	rm -f -- * ../state
	for i in 1 2 3; do
		ncp-dump -i "$bus" --from oldest -c 5000 -q -w x.pcapng --resume ../state \
			-b packets:1200 -b files:4
	done
	[ "$(ls | wc -l)" = 4 ]
	frame_check $(ls -v) | grep "last=14999 holes=0 duplicates=0"
}
run_step "and the ring of -b files: is one over all runs" ring_goes_on

# Two link types in one bus: tcpdump reads neither's frames in a file of both.
split()
{
	rm -f -- *
	editcap -F pcap -T chdlc ../all.pcap ../chdlc.pcap
	ncp-producer -i "synth:count=5000,size=300" -i "file:$TAP_DIR/chdlc.pcap" -b "$bus-split" -m 16M --keep
	ncp-dump -i "$bus-split" --snapshot -w x.pcapng --split-interfaces -C 1 --json 2>../json
	ls -l
	[ "$(frame_check $(ls -v x_synth*))" = "frames=5000 first=0 last=4999 holes=0 duplicates=0 other=0" ]
	[ "$(for f in $(ls -v x_1.*); do tcpdump -nr "$f" 2>/dev/null; done | wc -l)" = 20000 ]
	for f in *; do
		tcpdump -nr "$f" -w /dev/null
		capinfos -c "$f"
	done
	tail -n 1 ../json | grep "\"frames\":25000,.*\"bytes\":$(total *),.*\"files\":$(ls | wc -l),"
	rm -f -- *
	ncp-dump -i "$bus-split" --snapshot -w x.pcap --split-interfaces --format pcap
	[ "$(frame_check x_synth.pcap)" = "frames=5000 first=0 last=4999 holes=0 duplicates=0 other=0" ]
	[ "$(tcpdump -nr x_1.pcap 2>/dev/null | wc -l)" = 20000 ]
	ncp-producer --remove "$bus-split"
}
run_step "--split-interfaces: a series of each, that tcpdump can read" split

# --- as root ----------------------------------------------------------------------------------

mkdir "$TAP_DIR/small"
if [ "$(id -u)" != 0 ] || ! mount -t tmpfs -o size=8m tmpfs "$TAP_DIR/small"; then
	skip 9 "needs root: mounts, and another user"
	exit
fi
unmount()
{
	local status=$?

	cd /
	umount -l "$TAP_DIR/small" 2>/dev/null
	(exit $status)
	tap_on_exit
}
trap unmount EXIT
cd "$TAP_DIR/small" || bail "no folder"

full()
{
	local out status=0 n

	out=$(ncp-dump -i "$bus" --snapshot -w x -C 2 --json=/dev/stdout 2>&1) || status=$?
	echo "$out"
	[ "$status" = 0 ]
	rm x*
	head -c 3000000 /dev/zero >ballast
	out=$(ncp-dump -i "$bus" --snapshot -w x -C 2 --json=/dev/stdout 2>&1) || status=$?
	echo "$out"
	[ "$status" = 1 ]
	n=$(tail -n 1 <<<"$out" | sed -E 's/.*"frames":([0-9]*),.*"bytes":([0-9]*),.*"files":([0-9]*),.*/\1 \2 \3/')
	grep -q "No space left on device: $(cut -d' ' -f1 <<<"$n") frames" <<<"$out"
	[ "$(total x*) $(ls x* | wc -l)" = "${n#* }" ]
	frame_check $(ls -v x*) | grep "^frames=${n%% *} first=0 .*holes=0 duplicates=0 other=0$"
}
run_step "a disk that fills up in the middle of a series: what was saved is whole and counted" full

keep_free()
{
	local out status=0

	rm -f x*
	ncp-dump -i "$bus" --snapshot -q -w x -C 1 --keep-free 3M
	[ "$(df --output=avail -B1 . | tail -n 1)" -ge $((3 << 20)) ]
	frame_check $(ls -v x*) | grep "last=19999 holes=0"
	[ "$(ls x* | wc -l)" -ge 2 ]
	ncp-dump -i "$bus" --snapshot -q -w x -C 1 --keep-free 3M
	[ "$(df --output=avail -B1 . | tail -n 1)" -ge $((3 << 20)) ]
	# What is written before the room is used up stays, is whole and counted.
	rm x*
	out=$(ncp-dump -i "$bus" --snapshot -q -w x --keep-free 3M 2>&1) || status=$?
	echo "$out"
	[ "$status" = 1 ]
	[ "$(df --output=avail -B1 . | tail -n 1)" -ge $((3 << 20)) ]
	[[ $out =~ ([0-9]+)\ frames ]]
	frame_check x | grep "^frames=${BASH_REMATCH[1]} first=0 .*holes=0"
	status=0
	out=$(ncp-dump -i "$bus" --snapshot -q -w x -C 1 --keep-free 7M 2>&1) || status=$?
	echo "$out"
	[ "$status" = 1 ]
	grep -q -- "--keep-free: less is free, and there is no older file to delete" <<<"$out"
	[ "$(wc -c <ballast)" = 3000000 ]
	rm -f ballast
}
run_step "--keep-free deletes old files, and ends where that is not enough" keep_free

# The least that was free and the most that was taken, as seen some hundred thousand times a second.
cat >../watch.py <<'PY'
import os, signal, sys
least, most, over = 1 << 62, 0, []
signal.signal(signal.SIGTERM, lambda *_: over.append(1))
print("ready", flush=True)
while not over:
    v = os.statvfs(".")
    least = min(least, v.f_bavail * v.f_frsize)
    most = max(most, (v.f_blocks - v.f_bfree) * v.f_frsize)
print(least, most)
PY
# at_every_moment FREE QUOTA ARG...: three runs, each at full speed.
at_every_moment()
{
	local least most n

	rm -f x*
	for n in 1 2 3; do
		spawn producer ncp-producer "synth:count=1000000,size=300" -b "$bus-fast" -m 64M \
			--wait-clients 1
		wait_for "ncp-dump -D | grep -q '$bus-fast '" 5
		spawn watch /usr/bin/python3 ../watch.py
		wait_for "grep -q ready '$TAP_DIR/watch.out'" 10
		ncp-dump -i "$bus-fast" -w x "${@:3}"
		stop watch TERM 5
		reap producer 10
		read -r least most < <(tail -n 1 "$TAP_DIR/watch.out")
		df -B1 .
		ls -l
		echo "least free: $least, most taken: $most"
		[ "$least" -ge "$1" ]
		[ "$most" -le "$2" ]
		# It ran for so long that old ones had to go.
		ls x* && [ ! -e x ]
	done
}
mount -o remount,size=7m "$TAP_DIR/small" || bail "cannot make it smaller"
run_step "--keep-free at every moment, with room for no more than three files" \
	at_every_moment $((4 << 20)) $((3 << 20)) -C 1 --keep-free 4M
mount -o remount,size=6200k "$TAP_DIR/small" || bail "cannot make it smaller"
run_step "and for two" at_every_moment $((4 << 20)) $((2200 << 10)) -C 1 --keep-free 4M
mount -o remount,size=64m "$TAP_DIR/small" || bail "cannot make it larger"
run_step "--quota at every moment" at_every_moment 0 $((3 << 20)) -C 1 --quota 3M

# A bus that nobody may read who is not in the group; nobody is, with setpriv.
user()
{
	rm -f x*
	spawn producer ncp-producer "synth:count=30000,pps=30000,size=300" -b "$bus-user" -m 16M --wait-clients 1 -g nogroup
	wait_for "ncp-dump -D | grep -q '$bus-user '" 5
	chown nobody:nogroup .
	spawn dump ncp-dump -i "$bus-user" -w x -C 1 --resume state -Z nobody "$@"
	wait_for "[ -e x2 ]" 10
	[ "$(ps -o user= -p "${pid[dump]}")" = nobody ]
	[ "$(grep -E '^Cap(Prm|Eff|Amb)' "/proc/${pid[dump]}/status" | awk '{print $2}' | sort -u)" = 0000000000000000 ]
	reap dump 20
	[ "$status" = 0 ]
	reap producer 5
	[ "$(stat -c %U x x1 x2 state | sort -u)" = nobody ]
	[ "$(frame_check $(ls -v x* | grep -v part))" = "frames=30000 first=0 last=29999 holes=0 duplicates=0 other=0" ]
	rm -f x* state
}
run_step "-Z: everything goes on as another user" user
run_step "also with quota and command" user --atomic -z true

# fails REGEX ARG...: as root it ends with 1 and one line, before a file is made.
fails()
{
	local out status=0

	out=$(ncp-dump -i "$bus" --snapshot -w x "${@:2}" 2>&1) || status=$?
	echo "$out"
	[ "$status $(grep -c . <<<"$out")" = "1 1" ]
	grep -qE -- "$1" <<<"$out"
	[ ! -e x ]
}
refuses()
{
	chown root:root .
	chmod 755 .
	fails "-Z nobody: may not make files in .: Permission denied: let the user own" -C 1 -Z nobody
	chown nobody .
	fails "-Z nobody: may not read bus $bus .*: make the user a member" -C 1 -Z nobody
	fails "-Z nosuchuser: there is no such user" -Z nosuchuser
	ncp-dump -i "$bus" --from oldest -w x --resume /state -Z nobody 2>../err && return 1
	grep -- "-Z nobody: may not make files in /: Permission denied" ../err
	[ ! -e x ]
}
run_step "what that user may not do is said at the start" refuses
stays()
{
	ncp-dump -i "$bus" --snapshot -q -w x -Z root
	[ "$(stat -c %U x)" = root ]
}
run_step "-Z root stays root" stays
