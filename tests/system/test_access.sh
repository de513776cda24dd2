#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_access.sh - who is in the group reads without any capability; nobody but the producer writes.
. tests/tap/tap.sh
need_root "becomes other users"
plan 13

export NCP_DIR=$TAP_DIR/busses
bus=$(bus_name access)
group=users	# in every Debian
stranger=61235

# as USER GROUP COMMAND...: without any capability.
as()
{
	setpriv --reuid="$1" --regid="$2" --clear-groups --inh-caps=-all --bounding-set=-all \
		--no-new-privs "${@:3}"
}

begin()
{
	mkdir "$NCP_DIR"
	chmod 755 "$NCP_DIR"
	install -d -o 61234 "$TAP_DIR/files"
	spawn producer ncp-producer -b "$bus" -g "$group" -m 8M --json synth:pps=10000
	wait_for 'grep -q "\"live\"" "$TAP_DIR/producer.err"' 10
}

end()
{
	stop producer INT 10
	[ "$status" = 0 ]
}

# try PATH r|w r|w: open it, map it; run as somebody, by a python that everybody may run.
python=$(PATH=/usr/bin:/bin command -v python3)
try='import mmap, os, sys
path, mode = sys.argv[1], sys.argv[2]
try:
    fd = os.open(path, os.O_RDWR if mode == "w" else os.O_RDONLY)
    mmap.mmap(fd, 4096, mmap.MAP_SHARED, mmap.PROT_READ | (mmap.PROT_WRITE if sys.argv[3] == "w" else 0))
    print("mapped")
except PermissionError:
    print("refused")'

run_step "a bus whose group is $group" begin
segment=$NCP_DIR/ncp.$bus
is "640 root $group" "$(stat -c '%a %U %G' "$segment")" "the segment is root's, readable to the group"
is "3770 root" "$(stat -c '%a %U' "$segment+clients")" "the registry is sticky and setgid"
is "600 root" "$(stat -c '%a %U' "$segment+lock")" "the lock is root's alone"

out=$(as 61234 "$group" ncp-dump -i "$bus" -c 100 -w "$TAP_DIR/files/x.pcapng" 2>&1)
is 0 $? "a member of the group reads, without any capability"
is "frames=100" "$(frame_check "$TAP_DIR/files/x.pcapng" | cut -d ' ' -f 1)" "and has its hundred frames"
is mapped "$(as 61234 "$group" "$python" -c "$try" "$segment" r r)" "a member maps it"
is refused "$(as 61234 "$group" "$python" -c "$try" "$segment" w w)" "cannot open it for writing"
is refused "$(as 61234 "$group" "$python" -c "$try" "$segment" r w)" "and cannot map it writable"

out=$(as $stranger nogroup ncp-dump -i "$bus" -c 1 -w /dev/null 2>&1 </dev/null)
is 1 $? "who is not in the group fails"
like "^ncp-dump: [^:]+: .*permission.*: .+" "$out" "with one line that says why and what to do"
is 1 "$(wc -l <<<"$out")" "one line"
run_step "the producer ends" end
