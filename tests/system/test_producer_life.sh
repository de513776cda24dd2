#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_producer_life.sh - a bus from its making to its end: signals, crashes, takeover, removal.
. tests/tap/tap.sh
. tests/system/lib.sh
plan 25

own_busses

left()
{
	ls "$NCP_DIR"
}

# start NAME ARG...: a producer on bus b, and wait until frames come.
start()
{
	spawn "$1" ncp-producer -b b -m 8M "${@:2}"
	wait_for '[ "$(bus_value b state)" = live ] && [ "$(bus_value b published)" -gt 0 ]' 10
}

# said NAME REGEX: one line on its stderr matches.
said()
{
	grep -E "$2" "$TAP_DIR/$1.err"
}

exhausted()
{
	spawn p ncp-producer -b b synth:count=1000
	reap p 10
	[ "$status" = 0 ]
	said p "^ncp-producer: bus b: ended and removed: 1000 frames published"
	[ -z "$(left)" ]
}

kept_at_the_end()
{
	spawn p ncp-producer -b b -m 8M --keep synth:count=1000
	reap p 10
	[ "$status" = 0 ]
	[ "$(bus_value b state)" = ended ]
	[ "$(bus_value b published)" = 1000 ]
	first=$(bus_value b incarnation)
}

ended_is_replaced()
{
	start p synth:pps=1000
	[ "$(bus_value b incarnation)" != "$first" ]
	[ "$(bus_value b epoch)" = 1 ]
}

second_is_refused()
{
	first=$(bus_value b incarnation)
	spawn q ncp-producer -b b synth:
	reap q 10
	[ "$status" = 1 ]
	[ "$(grep -vc 'ncp-producer: user' "$TAP_DIR/q.err")" = 1 ]
	said q "^ncp-producer: bus b: another producer is running it: .*-b"
	[ "$(bus_value b incarnation)" = "$first" ]
	[ "$(bus_value b state)" = live ]
}

remove_is_refused()
{
	spawn q ncp-producer --remove b
	reap q 10
	[ "$status" = 1 ]
	said q "^ncp-producer: bus b: remove: its producer is running"
	[ "$(bus_value b state)" = live ]
}

interrupted()
{
	local helper

	helper=$(pgrep -P "${pid[p]}")
	stop p INT 5
	[ "$status" = 0 ]
	said p "ended and removed"
	[ -z "$(left)" ]
	wait_for "! tap_runs $helper" 5
}

terminated()
{
	start p synth:pps=1000
	stop p TERM 5
	[ "$status" = 0 ]
	[ -z "$(left)" ]
}

interrupted_and_kept()
{
	start p --keep synth:pps=1000
	stop p INT 5
	[ "$status" = 0 ]
	[ "$(bus_value b state)" = ended ]
}

# The signal of a terminal hits the helper, too.
whole_group()
{
	start p synth:pps=1000
	kill -INT -- "-${pid[p]}"
	reap p 5
	[ "$status" = 0 ]
	[ -z "$(left)" ]
}

crashes_and_goes_on()
{
	local helper before after

	start p synth:pps=10000
	first=$(bus_value b incarnation)
	for epoch in 2 3 4; do
		helper=$(pgrep -P "${pid[p]}")
		stop p KILL 5
		[ "$status" = 137 ]
		wait_for "! tap_runs $helper" 5
		before=$(bus_value b next_seq)
		start p synth:pps=10000
		wait_for '[ "$(bus_value b epoch)" = '$epoch' ]' 10
		[ "$(bus_value b incarnation)" = "$first" ]
		after=$(bus_value b next_seq)
		[ "$after" -ge "$before" ]
	done
}

dead_is_removed()
{
	local helper

	helper=$(pgrep -P "${pid[p]}")
	stop p KILL 5
	[ "$(bus_value b state)" = dead ]
	wait_for "! tap_runs $helper" 5
	spawn q ncp-producer --remove b
	reap q 10
	[ "$status" = 0 ]
	[ -z "$(left)" ]
}

remove_finds_none()
{
	spawn q ncp-producer --remove b
	reap q 10
	[ "$status" = 3 ]
	said q "^ncp-producer: bus b: remove: no such bus"
}

# A client that was killed leaves its line; the helper takes it away, and no other.
dead_client_is_taken_off()
{
	start p synth:pps=1000
	spawn d ncp-dump -i b -w /dev/null
	spawn e ncp-dump -i b -w /dev/null
	wait_for '[ "$(ls "$NCP_DIR/ncp.b+clients" | wc -l)" = 2 ]' 10
	stop d KILL 5
	wait_for '[ "$(ls "$NCP_DIR/ncp.b+clients" | wc -l)" = 1 ]' 10
	stop e INT 5
	stop p INT 5
	[ -z "$(left)" ]
}

# Another size is another geometry: its clients are told, and a new bus stands in its place.
other_size_replaces()
{
	start p synth:pps=1000
	first=$(bus_value b incarnation)
	stop p KILL 5
	spawn p ncp-producer -b b -m 16M synth:pps=1000
	wait_for '[ "$(bus_value b ring_size)" = 16777216 ]' 10
	[ "$(bus_value b incarnation)" != "$first" ]
	stop p INT 5
}

# The default size never replaces a ring of another.
default_size_continues()
{
	start p synth:pps=1000
	first=$(bus_value b incarnation)
	stop p KILL 5
	spawn p ncp-producer -b b synth:pps=1000
	wait_for '[ "$(bus_value b epoch)" = 2 ]' 10
	[ "$(bus_value b incarnation)" = "$first" ]
	[ "$(bus_value b ring_size)" = 8388608 ]
	stop p INT 5
	[ -z "$(left)" ]
}

# -c N: exactly N, and the ledger closes.
counted()
{
	spawn p ncp-producer -b b -c 12345 --json synth:
	reap p 20
	[ "$status" = 0 ]
	python3 - "$TAP_DIR/p.err" <<-'PY'
	import json, sys
	lines = [json.loads(l) for l in open(sys.argv[1])]
	lines = [l for l in lines if "note" not in l]
	assert all(l["schema"] == 1 and l["bus"] == "b" for l in lines), lines
	assert lines[0]["state"] == "starting" and lines[0]["published"] == 0, lines[0]
	last = lines[-1]
	assert last["state"] == "ended" and last["published"] == 12345, last
	assert last["received"] == last["published"] + last["discarded"] + last["kernel_drops"], last
	assert last["bytes"] == 64 * 12345 and last["truncated"] == 0 and last["epoch"] == 1, last
	assert len(last["workers"]) == 1 and last["workers"][0]["published"] == 12345, last
	PY
	[ -z "$(left)" ]
}

# 20000 frames a second of 50 + 44 bytes: 8 MiB are 4.4 s of them, and no producer is faster.
remembers()
{
	spawn p ncp-producer -b b -m 8M synth:pps=20000,size=50
	wait_for 'grep -q "ring of 8 MiB is full" "$TAP_DIR/p.err"' 20
	stop p KILL 5
	[ "$(grep -c "ring of 8 MiB is full" "$TAP_DIR/p.err")" = 1 ]
	said p '^ncp-producer: bus b: the ring of 8 MiB is full: it holds the last [4-9]\.[0-9]{2} s at this rate$'
	spawn p ncp-producer -b b -m 8M --json synth:pps=20000,size=50
	wait_for 'grep -q "\"depth_seconds\":[4-9]" "$TAP_DIR/p.err"' 20
	stop p INT 5
}

# The machine's only node, or the first of several; locked as this process may, or told why not.
placed_and_locked()
{
	start p --numa 0 --mlock synth:pps=1000 ||
		said p '^ncp-producer: --mlock: .*: raise that, or start with CAP_IPC_LOCK$'
	if [ "$(id -u)" = 0 ] && [ -z "${TAP_USERNS:-}" ]; then
		[ "$(awk '/VmLck/ { print $2 }' "/proc/${pid[p]}/status")" -ge 16384 ]
		stop p INT 5
	fi
	spawn p ncp-producer -b b --numa 1000 synth:count=1
	reap p 5
	[ "$status" = 2 ]
	said p '^ncp-producer: --numa 1000: no such node with memory: those that have some are '
}

# Where the kernel makes huge pages of a file in the busses' directory when asked, the ring is in such.
huge_pages()
{
	spawn p ncp-producer -b b -m 8M synth:pps=1000
	wait_for '[ "$(bus_value b state)" = live ]' 10
	[ "$(awk '/ShmemPmdMapped:/ { kb += $2 } END { print kb }' "/proc/${pid[p]}/smaps")" -ge 8192 ]
	stop p INT 5
}

# Does it?  MADV_COLLAPSE is 25, in kernels since 6.1.
collapses()
{
	python3 - "$NCP_DIR/probe" <<-'PY'
	import ctypes, mmap, os, sys
	size = 2 << 20
	fd = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o600)
	os.unlink(sys.argv[1])
	os.posix_fallocate(fd, 0, size)
	libc = ctypes.CDLL(None)
	libc.mmap.restype = ctypes.c_void_p
	libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
	rw, fixed = mmap.PROT_READ | mmap.PROT_WRITE, 0x10
	at = libc.mmap(None, 2 * size, 0, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
	at = libc.mmap(at + -at % size, size, rw, mmap.MAP_SHARED | fixed, fd, 0)
	libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
	sys.exit(libc.madvise(at, size, 25) != 0)
	PY
}

each_second()
{
	spawn p ncp-producer -b b -m 8M --json synth:pps=1000
	wait_for '[ "$(grep -c \"state\":\"live\" "$TAP_DIR/p.err")" -ge 2 ]' 10
	stop p INT 5
	tail -n 1 "$TAP_DIR/p.err" | grep '"state":"ended"'
}

# Errors are objects, too, also when the mistake is in the command line.
json_errors()
{
	spawn q ncp-producer --json --remove b
	reap q 10
	[ "$status" = 3 ]
	python3 -c 'import json,sys; e = json.load(open(sys.argv[1]))
assert e["exit"] == 3 and e["what"] and e["why"] and e["do"] and e["error"], e' "$TAP_DIR/q.err"
}

# --json=FILE: everything there, nothing on stderr.
json_elsewhere()
{
	spawn p ncp-producer -b b --json="$TAP_DIR/status.json" synth:count=10
	reap p 10
	[ "$status" = 0 ]
	[ ! -s "$TAP_DIR/p.err" ]
	tail -n 1 "$TAP_DIR/status.json" | grep '"state":"ended"'
	# A device, of which stdio would like to know whether it is a terminal.  With a user named,
	# nothing is written there before the sandbox stands.
	if [ "$(id -u)" = 0 ]; then user=(-Z 65001); else user=(); fi
	spawn p ncp-producer "${user[@]}" -b b --json=/dev/null synth:count=10
	reap p 10
	[ "$status" = 0 ]
}

# Who reads the status lines may go: frames are what counts.
reader_goes()
{
	spawn p bash -c 'ncp-producer -b b -m 8M --json synth:pps=1000 2>&1 | head -n 1'
	wait_for '[ "$(bus_value b published)" -gt 2500 ]' 10 # two lines after the first
	kill -INT "$(bus_value b pid)"
	reap p 5
	[ -z "$(left)" ]
}

# Nobody reads them any more, and the pipe is full: frames flow, and a signal still ends it.
reader_sleeps()
{
	mkfifo "$TAP_DIR/fifo"
	exec 5<>"$TAP_DIR/fifo"
	start p --json="$TAP_DIR/fifo" synth:pps=1000
	python3 -c 'import os, sys
os.set_blocking(5, False)
try:
    while os.write(5, bytes(4096)): pass
except BlockingIOError: pass
os.set_blocking(5, True)'
	wait_for '[ "$(bus_value b published)" -gt 2500 ]' 10
	stop p INT 5
	exec 5>&-
	[ "$status" = 0 ]
	[ -z "$(left)" ]
}

run_step "an exhausted source ends its bus and removes it" exhausted
run_step "--keep leaves it, ended" kept_at_the_end
run_step "the next start replaces an ended bus" ended_is_replaced
run_step "a second producer is refused, the first goes on" second_is_refused
run_step "so is --remove" remove_is_refused
run_step "SIGINT ends and removes the bus, and the helper" interrupted
run_step "SIGTERM does the same to a source that cannot go on" terminated
run_step "SIGINT with --keep leaves it" interrupted_and_kept
run_step "a signal to the whole process group does as well" whole_group
run_step "killed, it goes on with the same bus, three times" crashes_and_goes_on
run_step "--remove removes what a killed one left" dead_is_removed
run_step "--remove without such a bus is exit status 3" remove_finds_none
run_step "a killed client is taken off the registry" dead_client_is_taken_off
run_step "another -m replaces the bus" other_size_replaces
run_step "no -m continues it" default_size_continues
run_step "-c publishes so many frames, and received = published + discarded + drops" counted
run_step "how far back the ring remembers is told once it is full" remembers
run_step "--numa and --mlock" placed_and_locked
if collapses; then
	run_step "the ring is in huge pages" huge_pages
else
	skip 1 "this kernel makes no huge pages when asked"
fi
run_step "--json prints a line a second" each_second
run_step "errors are objects, too" json_errors
run_step "--json=FILE sends them elsewhere" json_elsewhere
run_step "a reader of the status lines that goes stops nothing" reader_goes
run_step "one that sleeps keeps no signal waiting" reader_sleeps
is "" "$(left)" "nothing is left"
