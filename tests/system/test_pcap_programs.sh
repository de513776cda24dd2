#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_pcap_programs.sh - Debian's programs of libpcap, as they are, read a live bus: every frame.
. tests/tap/tap.sh
. tests/system/lib.sh
need_root "tcpdump and softflowd give up root's rights"
need_net
[ -z "${SANITIZE:-}" ] || skip_all "a sanitized library cannot be loaded into plain programs"
plan 23

count=3000
own_busses
bus=$(bus_name live)

# begin BUS OPTION...: a producer on the wire, readable by root alone.
begin()
{
	rm -f "$TAP_DIR/producer.err" # of the one before
	spawn_in b producer ncp-producer -b "$1" "${@:2}" -g root --json veth-b
	wait_for 'grep -q "\"live\"" "$TAP_DIR/producer.err"' 10
}

# clients BUS: how many are in its registry.
clients()
{
	ncp-stats -i "$1" --once --json | grep -o '"lag_frames"' | wc -l
}

keepers()
{
	pgrep -c -f "^ncp-pcap-keeper $NCP_DIR"
}

start_all()
{
	cd "$TAP_DIR"
	spawn tcpdump ncp-run tcpdump -n -U -i "ncp:$bus" -w "$TAP_DIR/tcpdump.pcap"
	spawn counted ncp-run tcpdump -n -i "ncp:$bus" -c $((count / 4)) --nano -w "$TAP_DIR/counted.pcap" \
		'udp dst port 9 and udp[15] & 3 = 2'
	spawn ngrep ncp-run ngrep -q -d "ncp:$bus" -O "$TAP_DIR/ngrep.pcap" '' 'udp'
	spawn dumpcap ncp-run dumpcap -q -i "ncp:$bus" -w "$TAP_DIR/dumpcap.pcapng"
	spawn tshark ncp-run tshark -n -l -i "ncp:$bus" -T fields -e udp.payload
	spawn flows ncp-run softflowd -D -i "0:ncp:$bus" -p "$TAP_DIR/flows.pid" -c "$TAP_DIR/flows.ctl"
	spawn select ncp-run pcap_program select "ncp:$bus"
	wait_for '[ "$(clients "$bus")" = 7 ]' 20
	mkdir -p /run/softflowd/chroot # its package's, gone when /run is a new one
	# It forks, changes its root and its user before it reads; so it is in no registry.
	ncp-run softflowd -i "0:ncp:$bus" -p "$TAP_DIR/daemon.pid" -c "$TAP_DIR/daemon.ctl"
	wait_for '[ -s "$TAP_DIR/daemon.pid" ]' 10
	pid[daemon]=$(<"$TAP_DIR/daemon.pid")
	cd "$OLDPWD"
}

send()
{
	in_netns a frame_send veth-a $count 20000
}

flows()
{
	timeout 5 softflowctl -c "$TAP_DIR/$1.ctl" statistics
}

processed()
{
	flows "$1" | sed -n 's/^Packets processed: //p'
}

all_read()
{
	reap counted 20
	[ "$status" = 0 ]
	wait_for '[ "$(processed flows)" -ge $count ] && [ "$(processed daemon)" -ge $count ]' 20
	flows flows >"$TAP_DIR/flows.stat"
	flows daemon >"$TAP_DIR/daemon.stat"
	timeout 5 softflowctl -c "$TAP_DIR/flows.ctl" exit
	timeout 5 softflowctl -c "$TAP_DIR/daemon.ctl" exit
	reap flows 10
	wait_for '! tap_runs "${pid[daemon]}"' 10
	unset "pid[daemon]"
}

# Ctrl-C ends the bus, and with it the programs that read it: after all they have not read yet.
ends()
{
	stop producer INT 20
	for name in tcpdump ngrep dumpcap tshark select; do
		reap $name 20
		[ "$status" = 0 ]
	done
}

run_step "two hosts, one wire" wire
run_step "a producer" begin "$bus" -m 16M
run_step "eight programs" start_all
is tcpdump "$(ps -o user= -p "${pid[tcpdump]}")" "tcpdump is no longer root"
ok "$([ "$(stat -c %i "/proc/${pid[daemon]}/root/.")" != "$(stat -c %i /)" ]; echo $?)" \
	"and softflowd's root is another one"
run_step "frames from a first to a last" send
run_step "flow meters and -c saw the last one" all_read
run_step "the others end with the bus" ends

all="frames=$count first=0 last=$((count - 1)) holes=0 duplicates=0"
for name in tcpdump.pcap ngrep.pcap dumpcap.pcapng; do
	is "$all other=0" "$(frame_check "$TAP_DIR/$name")" "${name%.*} wrote exactly the frames sent"
done
is "$count packets captured $count packets received by filter 0 packets dropped by kernel" \
	"$(grep packet "$TAP_DIR/tcpdump.err" | tail -n 3 | xargs)" "tcpdump's own counters say so"
is "$(seq 2 4 $((count - 1)) | wc -l) 2 $((count - 2))" \
	"$(frame_check "$TAP_DIR/counted.pcap" | sed 's/frames=\(.*\) first=\(.*\) last=\(.*\) holes.*/\1 \2 \3/')" \
	"with a filter and -c it stopped at the last one that matched"
is "$(seq 0 $((count - 1)) | while read -r n; do printf '%016x\n' "$n"; done | md5sum)" \
	"$(cut -c 1-16 "$TAP_DIR/tshark.out" | md5sum)" "tshark printed each, in order"
is "$all end=-2" "$(sed 's/ recv=.*//' "$TAP_DIR/select.out")" "a program that selects saw each"
for name in flows daemon; do
	is "Packets processed: $count Packets received by libpcap: $count Packets dropped by libpcap: 0" \
		"$(grep -E '^Packets (proc|rec|dropped by libpcap)' "$TAP_DIR/$name.stat" | xargs)" \
		"softflowd ($name), which polls, saw each"
done
run_step "no keeper is left" wait_for '[ "$(keepers)" = 0 ]' 10

# --- a bus that is replaced under who gave up his rights --------------------------------------------

bus=$(bus_name again)

start_two()
{
	rm -f "$TAP_DIR/tcpdump.err"
	spawn tcpdump ncp-run tcpdump -n -U -i "ncp:$bus" -w "$TAP_DIR/again.pcap"
	spawn daemon ncp-run pcap_program daemon "ncp:$bus"
	wait_for '[ "$(clients "$bus")" = 2 ] && [ "$(keepers)" = 2 ] && grep -q listening "$TAP_DIR/tcpdump.err"' 20
	[ "$(ps -o user= -p "${pid[tcpdump]}")" = tcpdump ]
}

# Of another size, so it is another bus; and what these two are now may not open it.
replace()
{
	in_netns a frame_send veth-a 500 20000
	wait_for 'ncp-stats -i "$bus" --once --json | grep -q "\"next_seq\":500,"' 10
	stop producer TERM 20
	begin "$bus" -m 32M
	[ "$(stat -c %U.%a "$NCP_DIR/ncp.$bus")" = root.640 ]
	in_netns a frame_send veth-a 500 20000 60 500
	wait_for 'ncp-stats -i "$bus" --once --json | grep -q "\"next_seq\":500,"' 10
	stop producer INT 20
	for name in tcpdump daemon; do
		reap $name 20
		[ "$status" = 0 ]
	done
}

run_step "a producer" begin "$bus" -m 16M
run_step "two programs that give up their rights" start_two
run_step "the bus is replaced" replace
all="frames=1000 first=0 last=999 holes=0 duplicates=0"
is "$all other=0" "$(frame_check "$TAP_DIR/again.pcap")" "tcpdump followed it"
is "$all end=-2 recv=1000 drop=0 ifdrop=0" "$(<"$TAP_DIR/daemon.out")" \
	"and so did a child in an empty root"
