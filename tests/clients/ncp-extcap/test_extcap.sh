#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_extcap.sh - tshark finds a bus among its interfaces and reads it, as a user without rights.
. tests/tap/tap.sh
plan 15

export NCP_DIR=$TAP_DIR/busses
bus=$(bus_name extcap)
home=$TAP_DIR/home
count=20000

# Wireshark looks in another folder than Debian's only for a user who is not root.
as_user=()
if [ "$(id -u)" = 0 ]; then
	as_user=(setpriv --reuid=61234 --regid=users --clear-groups --inh-caps=-all
		--bounding-set=-all --no-new-privs)
fi
user=$("${as_user[@]}" id -u)

# shark NAME WORDS...: begin a tshark of that user; its temporary files go to its home.
shark()
{
	spawn "$1" "${as_user[@]}" env HOME="$home" TMPDIR="$home" XDG_RUNTIME_DIR="$home" \
		WIRESHARK_EXTCAP_DIR="$TAP_DIR/extcap" tshark "${@:2}"
}

# As make install lays it out: the program beside ncp-dump, a link to it in Wireshark's folder.
lays_it_out()
{
	mkdir "$NCP_DIR" "$TAP_DIR/bin" "$TAP_DIR/extcap"
	cp "$NCP_BIN"/ncp-{extcap,dump} "$TAP_DIR/bin"
	ln -s ../bin/ncp-extcap "$TAP_DIR/extcap/ncp-extcap"
	chmod 755 "$NCP_DIR" "$TAP_DIR"/{bin,extcap}
	mkdir "$home"
	[ "$user" = "$(id -u)" ] || chown "$user" "$home"
}
run_step "ncp-extcap in a folder of its own" lays_it_out

out=$(ncp-extcap --extcap-interfaces 2>&1)
is "extcap" "${out%% *}" "without a bus it lists itself"
is "" "$(sed 1d <<<"$out")" "and nothing else"
out=$(ncp-extcap --extcap-interface "ncp:$bus" --extcap-dlts 2>&1)
is "3 ncp-extcap: bus $bus: no such bus" "$? $out" "a bus that is not there is said"

# The producer waits for its first client, so that what tshark has begins with number 0.
begins()
{
	local group=()

	[ "$user" = "$(id -u)" ] || group=(-g users)
	spawn producer ncp-producer "synth:count=$count,pps=20000,size=100" -b "$bus" -m 16M --keep \
		"${group[@]}" --wait-clients 1 --json
	wait_for "ncp-extcap --extcap-interfaces | grep -q $bus" 10
}
run_step "a producer, which waits for a client" begins

lists()
{
	shark list -D
	reap list 30
	[ "$status" = 0 ]
}
run_step "tshark -D" lists
like "[0-9]+\. ncp:$bus \(Capture bus $bus\)" "$(cat "$TAP_DIR/list.out")" "lists the bus"

reads_live()
{
	shark live -n -i "ncp:$bus" -w "$home/live.pcapng"
	reap live 30
	reap producer 10
	[ "$status" = 0 ]
}
run_step "tshark -i reads it live until it ends" reads_live
is "frames=$count first=0 last=$((count - 1)) holes=0 duplicates=0 other=0" \
	"$(frame_check "$home/live.pcapng")" "and has exactly the frames that were made"

# What a bus remembers: from the options of the capture, which preferences hold.
option=extcap.ncp_${bus//[^a-zA-Z0-9_]/_}
reads_back()
{
	shark back -n -i "ncp:$bus" -w "$home/back.pcapng" -o "$option.from:-500ms" \
		-o "$option.filter:udp[15] & 1 = 1" -f 'udp dst port 9'
	reap back 30
	# The frames of the last half second before the newest, by its clock.
	ncp-dump -q -i "$bus" --from -500ms --to now -w "$TAP_DIR/want.pcapng" 'udp[15] & 1 = 1'
}
run_step "half a second ago, by the capture's options, and both filters" reads_back
want=$(frame_check "$TAP_DIR/want.pcapng")
like "^frames=[1-9][0-9]+ first=[0-9]*[13579] last=$((count - 1)) " "$want" "there were such frames"
is "$want" "$(frame_check "$home/back.pcapng")" "tshark has exactly these"

cuts()
{
	shark cut -n -i "ncp:$bus" -o "$option.from:oldest" -o "$option.snaplen:64" -c 3 \
		-T fields -e frame.number -e frame.cap_len -e frame.len
	reap cut 30
	[ "$status" = 0 ]
}
run_step "the oldest three, cut to 64 bytes" cuts
is "1 64 100 2 64 100 3 64 100" "$(xargs <"$TAP_DIR/cut.out")" "are the first, and cut"

shark wrong -n -i "ncp:$bus" -f 'udp and portt' -c 1
reap wrong 30
like "syntax error" "$(cat "$TAP_DIR/wrong.err")" "a filter that does not compile is said"
