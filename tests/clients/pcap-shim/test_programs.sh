#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_programs.sh - a plain program of libpcap reads a bus in every way that libpcap offers.
. tests/tap/tap.sh
[ -z "${SANITIZE:-}" ] || skip_all "a sanitized library cannot be loaded into plain programs"
plan 36

export NCP_DIR=$TAP_DIR/busses
mkdir "$NCP_DIR"
chmod 755 "$NCP_DIR"
count=5000

# published NAME: a bus of that name whose source waits for one client, then gives $count frames.
published()
{
	bus=$(bus_name "$1")
	spawn "producer-$1" ncp-producer -b "$bus" -m 8M --wait-clients 1 "synth:count=$count,pps=0"
	wait_for '[ -e "$NCP_DIR/ncp.$bus" ] && ncp-stats --list --dir "$NCP_DIR" | grep -q "$bus"' 10
}

# kept NAME OPTIONS...: a bus that has had all its frames, and is there.
kept()
{
	bus=$(bus_name "$1")
	ncp-producer -b "$bus" -m 8M --keep "${@:2}" "synth:count=$count,pps=0" 2>/dev/null
}

all="frames=$count first=0 last=$((count - 1)) holes=0 duplicates=0"

for way in loop dispatch next next_ex select poll epoll spin; do
	run_step "a bus for $way" published $way
	out=$(timeout 30 ncp-run pcap_program "$way" "ncp:$bus" 2>&1)
	# pcap_loop() ends as at the end of a file, pcap_next() cannot say.
	end=-2
	[ $way = loop ] || [ $way = next ] && end=0
	is "$all end=$end recv=$count drop=0 ifdrop=0" "$out" "$way gives every frame, then the end"
done

# A bus whose producer died is silent, and does not end.
orphaned()
{
	bus=$(bus_name orphan) orphan=$bus
	spawn producer ncp-producer -b "$bus" -m 8M synth:count=100000,pps=5000
	wait_for 'ncp-stats -i "$bus" --once --json | grep -q "\"next_seq\":[1-9][0-9][0-9]"' 10
	stop producer KILL 10
	published=$(ncp-stats -i "$bus" --once --json | sed 's/.*"next_seq":\([0-9]*\).*/\1/')
}
run_step "a bus whose producer died" orphaned
for way in thread signal; do
	out=$(timeout 30 ncp-run --from oldest pcap_program -t 0 $way "ncp:$bus" 2>&1)
	is "frames=$published first=0 last=$((published - 1)) holes=0 duplicates=0 end=-2" \
		"${out% recv=*}" "a $way breaks a loop that waits there"
done

run_step "a bus that has ended" kept ended

filter='udp port 9 and ip[3] & 1 = 0 and udp[15] & 3 = 1'
ncp-run --from oldest pcap_program -d "$TAP_DIR/all.pcap" -s 60 -n loop "ncp:$bus" >"$TAP_DIR/out"
is "$all other=0" "$(frame_check "$TAP_DIR/all.pcap")" "pcap_dump() writes what tcpdump would read"
want=$(tcpdump -r "$TAP_DIR/all.pcap" "$filter" 2>/dev/null | wc -l)
out=$(ncp-run --from oldest pcap_program loop "ncp:$bus" "$filter")
is "frames=$want" "${out%% *}" "a filter takes what it takes from that file"
like '^frames=(1[0-9]{3}) ' "$out" "which is a quarter of it"

out=$(ncp-run pcap_program devices | tail -n 2 | xargs)
is "ncp:$bus ncp:$orphan" "$out" "busses are among the devices, behind the interfaces"
out=$(pcap_program devices | grep -c ncp:)
is 0 "$out" "but not without ncp-run"

out=$(ncp-run pcap_program loop "ncp:$bus?from=seq:$((count - 7))")
is "frames=7" "${out%% *}" "the start is told by the device's name"
out=$(NCP_PCAP_OPTIONS=from=oldest ncp-run -o shard=0/2 pcap_program loop "ncp:$bus")
other=$(NCP_PCAP_OPTIONS=from=oldest ncp-run -o shard=1/2 pcap_program loop "ncp:$bus")
one=${out%% *} two=${other%% *}
is $count "$((${one#*=} + ${two#*=}))" "and shards, by options for all devices: $one and $two"

# Ten times what the ring holds.
reliably()
{
	bus=$(bus_name reliable)
	spawn producer ncp-producer -b "$bus" -m 8M --reliable --wait-clients 1 synth:count=500000,pps=0,size=128
	wait_for '[ -e "$NCP_DIR/ncp.$bus" ]' 10
	ncp-run pcap_program loop "ncp:$bus?reliable" >"$TAP_DIR/out"
	reap producer 20
}
run_step "a producer that waits for the program" reliably
is "frames=500000 first=0 last=499999 holes=0 duplicates=0 end=0 recv=500000 drop=0 ifdrop=0" \
	"$(<"$TAP_DIR/out")" "reliable: the program is given every frame"

# A program that stands still while a small ring is overwritten many times.
overrun()
{
	bus=$(bus_name overrun)
	spawn producer ncp-producer -b "$bus" -m 256K --wait-clients 1 synth:count=400000,pps=200000,size=100
	wait_for '[ -e "$NCP_DIR/ncp.$bus" ]' 10
	# Not by a shell: this very process is stopped.
	LD_PRELOAD=$NCP_BUILD/lib/ncp/libncp-pcap.so spawn program pcap_program loop "ncp:$bus"
	wait_for 'ncp-stats -i "$bus" --once --json | grep -q "\"next_seq\":[1-9]"' 10
	kill -STOP "${pid[program]}"
	wait_for '[ "$(ncp-stats -i "$bus" --once --json | sed "s/.*\"next_seq\":\([0-9]*\).*/\1/")" -gt 50000 ]' 10
	kill -CONT "${pid[program]}"
	reap program 20
	[ "$status" = 0 ]
	reap producer 20
}
run_step "a program is lapped" overrun
read -r frames first last holes duplicates _ recv drop _ < <(sed 's/[a-z]*=//g' "$TAP_DIR/program.out")
is "399999 0" "$last $duplicates" "it has the last frame, and none twice"
is "$((first + holes))" "$drop" "ps_drop is exactly what it lacks"
ok "$([ "$drop" -gt 1000 ]; echo $?)" "and it lacks some: $drop"
is "400000 400000" "$recv $((frames + drop))" "ps_recv counts them, too"

if tshark -D 2>/dev/null | grep -q " any$"; then
	out=$(ncp-run tshark -D 2>/dev/null | grep -c "ncp:$orphan")
	is 1 "$out" "tshark lists a bus"
else
	skip 1 "tshark may not list interfaces here"
fi

# Whatever libpcap has that takes a handle stands in the way of ours.
served=$(nm -D --defined-only "$NCP_BUILD/lib/ncp/libncp-pcap.so" | awk '{ print $3 }')
taking=$("${CC:-gcc}" -E -P -x c - <<<'#include <pcap/pcap.h>' | tr '\n' ' ' | tr ';' '\n' |
	grep -oE 'pcap_[a-z_0-9]+ *\( *(const )?pcap_t \*' | grep -oE '^pcap_[a-z_0-9]+')
[ "$(wc -l <<<"$taking")" -ge 40 ] || bail "pcap.h cannot be read: $taking"
# Not in every libpcap's build: for remote captures, other systems.
exported=$(nm -D --defined-only "$(ldconfig -p | sed -n 's/.*libpcap.so.0.8 .*=> //p' | head -n 1)" |
	awk '{ print $3 }')
is "" "$(grep -Fx "$taking" <<<"$exported" | grep -vFx "$served")" \
	"every call of libpcap that takes a handle is served"
