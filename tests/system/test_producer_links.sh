#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_producer_links.sh - each kind of interface: between two marks, what tcpdump sees beside it, whole.
. tests/tap/tap.sh
. tests/system/lib.sh
need_net
[ -z "${TAP_USERNS:-}" ] || skip_all "tcpdump does not run in a user namespace"

own_busses
bus=b

# What a kernel has no driver for cannot be tried: said, not planned.
has_kind()
{
	ip link add ncp-probe0 netns "$(netns_name a)" "${@:2}" type "$1" 2>/dev/null &&
		ip -n "$(netns_name a)" link del ncp-probe0
}

prepares()
{
	netns_make a
	netns_make b
	netns_make c
	veth_pair a eth0 b eth0
	carrier_comes b eth0
}

# mark STEM|tun|monitor IFACE begin|end: a frame that both captures begin and end with.
mark()
{
	case $1 in
	tun) mark_tun "$3" ;;
	monitor) radio mark "$3" ;;
	*) mark_out "$@" ;;
	esac
}

# Out of an interface, in a protocol for experiments.
mark_out()
{
	in_netns "$1" python3 - "$2" "$3" <<-'PY'
	import socket, sys
	s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
	s.sendto(("ncp mark " + sys.argv[2]).encode() + bytes(40), (sys.argv[1], 0x88b5, 0, 0, b"\xff" * 6))
	PY
}

# between FILE: what stands between the marks, a line a frame, every byte of it.
between()
{
	tcpdump -r "$1" -t -nn -e -xx 2>/dev/null | awk '
		/^[^\t]/ { if (n++) print frame; frame = "" }
		{ sub(/^[ \t]+0x[0-9a-f]+:/, ""); frame = frame $0 }
		END { if (n) print frame }' | sed 's/\t/ /g' | awk '
		# "ncp mark b", "ncp mark e"; a frame may begin at an odd byte of a line
		{ hex = $0; gsub(/ /, "", hex) }
		hex ~ /6e6370206d61726b2062/ { on = 1; next }
		hex ~ /6e6370206d61726b2065/ { on = 0; ended = 1 }
		on { print }
		END { exit !ended }'
}

# side_by_side STEM IFACE SEND...: both capture there while SEND makes the traffic.  In variables:
# marker, the first arguments of mark; args, more for the producer; judge, more for tcpdump.
side_by_side()
{
	local where=$1 iface=$2

	sweep p t s
	rm -f "$TAP_DIR/t.pcap"
	spawn_in "$where" p ncp-producer -b b -m 64M "${args[@]}" "$iface"
	wait_for '[ "$(value state)" = live ]' 10
	spawn_in "$where" t tcpdump -Z root -U -s 262144 -B 65536 -i "$iface" -w "$TAP_DIR/t.pcap" "${judge[@]}"
	wait_for 'grep -q "listening on" "$TAP_DIR/t.err"' 10
	mark "${marker[@]}" begin
	"${@:3}"
	mark "${marker[@]}" end
	wait_for 'between "$TAP_DIR/t.pcap"' 10
	stop t INT 10
	stop p TERM 10
	[ "$status" = 0 ]
	ncp-dump -q -i b --snapshot -w "$TAP_DIR/b.pcapng"
	ncp-producer --remove b
	# Each sender's frames in their order: those of two come on two processors at once, and which of
	# them is first may differ from one capture to the other.
	between "$TAP_DIR/t.pcap" | sort -s -k 1,1 >"$TAP_DIR/t.txt"
	between "$TAP_DIR/b.pcapng" | sort -s -k 1,1 >"$TAP_DIR/b.txt"
	wc -l "$TAP_DIR/t.txt"
	diff "$TAP_DIR/t.txt" "$TAP_DIR/b.txt"
}

# linktype_is NAME: both say so.
linktype_is()
{
	[ "$(capinfos -E "$TAP_DIR/b.pcapng" | sed -n 's/.*encapsulation: *//p')" = "$1" ]
	[ "$(capinfos -E "$TAP_DIR/t.pcap" | sed -n 's/.*encapsulation: *//p')" = "$1" ]
}

frames_are() { [ "$(wc -l <"$TAP_DIR/t.txt")" = "$1" ]; }

args=() judge=()
mac() { in_netns "$1" cat "/sys/class/net/$2/address"; }

on_veth()
{
	marker=(b eth0)
	side_by_side a eth0 in_netns b frame_mix eth0 "$(mac a eth0)"
	frames_are 18
	linktype_is Ethernet
	# Both tags of both kinds, put back where the kernel took them out.
	[ "$(tshark -r "$TAP_DIR/b.pcapng" -Y 'vlan || ieee8021ad' 2>/dev/null | wc -l)" = 8 ]
}

# Frames of 9000 bytes, tagged ones among them.
jumbo()
{
	ip -n "$(netns_name a)" link set eth0 mtu 9100
	ip -n "$(netns_name b)" link set eth0 mtu 9100
	marker=(b eth0)
	side_by_side a eth0 in_netns b frame_send eth0 200 2000 9000
	frames_are 200
	[ "$(tshark -r "$TAP_DIR/b.pcapng" -Y 'frame.len == 9000 && frame.cap_len == 9000' 2>/dev/null |
		wc -l)" = 200 ]
}

connection()
{
	spawn_in b s python3 -c 'import socket
s = socket.create_server(("10.78.0.2", 7777))
c, _ = s.accept()
while c.recv(1 << 20): pass'
	wait_for "in_netns b ss -Hltn | grep -q 10.78.0.2:7777" 10
	in_netns a python3 -c 'import socket
c = socket.create_connection(("10.78.0.2", 7777))
c.sendall(bytes(2 << 20))'
	reap s 10
}

# Segments that the sender leaves to the interface: one frame of up to 64 KiB each.
super_frames()
{
	in_netns a ip addr add 10.78.0.1/24 dev eth0
	in_netns b ip addr add 10.78.0.2/24 dev eth0
	marker=(b eth0)
	side_by_side a eth0 connection
	tshark -r "$TAP_DIR/b.pcapng" -T fields -e frame.len 2>/dev/null | sort -n | tail -n 1 >"$TAP_DIR/most"
	cat "$TAP_DIR/most"
	[ "$(cat "$TAP_DIR/most")" -gt 20000 ]
	in_netns a ip addr flush dev eth0
	in_netns b ip addr flush dev eth0
}

loopback()
{
	marker=(a lo)
	side_by_side a lo in_netns a frame_mix lo
	frames_are 18
	linktype_is Ethernet
}

# A bridge passes on between two ports what is captured on the bridge itself.
on_bridge()
{
	local ns

	ns=$(netns_name a)
	veth_pair a port1 b eth1
	veth_pair a port2 c eth0
	ip -n "$ns" link add br0 type bridge
	ip -n "$ns" link set port1 master br0
	ip -n "$ns" link set port2 master br0
	ip -n "$ns" link set br0 up
	wait_for '[ "$(ip netns exec '"$ns"' cat /sys/class/net/br0/carrier)" = 1 ]' 5
	wait_for "bridge -n $ns link show dev port1 | grep -q 'state forwarding'" 40
	marker=(b eth1)
	side_by_side a br0 in_netns b frame_mix eth1 "$(mac a br0)"
	[ "$(wc -l <"$TAP_DIR/t.txt")" -ge 14 ]
	linktype_is Ethernet
	ip -n "$ns" link del br0
	ip -n "$ns" link del port1
	ip -n "$ns" link del port2
}

on_macvlan()
{
	in_netns a ip link add mv0 link eth0 type macvlan mode bridge
	in_netns a ip link set mv0 up
	marker=(b eth0)
	side_by_side a mv0 in_netns b frame_mix eth0 "$(mac a mv0)"
	[ "$(wc -l <"$TAP_DIR/t.txt")" -ge 14 ]
	linktype_is Ethernet
	in_netns a ip link del mv0
}

# Behind the tag: both see the frames of VLAN 7 without it.
on_vlan()
{
	in_netns a ip link add v7 link eth0 type vlan id 7
	in_netns a ip link set v7 up
	marker=(a v7)
	side_by_side a v7 in_netns b frame_mix eth0 "$(mac a eth0)"
	[ "$(wc -l <"$TAP_DIR/t.txt")" -ge 2 ]
	linktype_is Ethernet
	in_netns a ip link del v7
}

# All that leaves, and nobody takes.
sink()
{
	in_netns a ip link add sink0 type "$1"
	in_netns a ip link set sink0 up
	marker=(a sink0)
	side_by_side a sink0 in_netns a frame_mix sink0
	[ "$(wc -l <"$TAP_DIR/t.txt")" -ge 18 ]
	linktype_is Ethernet
	in_netns a ip link del sink0
}

# Packets out of it and into it, by the program that has its other side.
through_tun()
{
	in_netns a python3 - <<-'PY'
	import fcntl, os, socket, struct
	fd = os.open("/dev/net/tun", os.O_RDWR)
	fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH22x", b"tun0", 0x1001))  # TUNSETIFF, TUN | NO_PI
	for n in range(20):
	    udp = struct.pack("!HHHH", 7, 9, 8 + n, 0) + bytes(range(n))
	    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), n, 0, 64, 17, 0,
	                     bytes([10, 79, 0, 2]), bytes([10, 79, 0, 1]))
	    os.write(fd, ip + udp)
	    os.write(fd, struct.pack("!IHBB", 6 << 28, len(udp), 17, 64) + bytes(32) + udp)
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	for n in range(20):
	    s.sendto(bytes(n), ("10.79.0.2", 9))
	    os.read(fd, 2000)
	PY
}

on_tun()
{
	in_netns a ip tuntap add mode tun name tun0
	in_netns a ip addr add 10.79.0.1/24 dev tun0
	in_netns a ip link set tun0 up
	# A mark cannot leave it without somebody on its other side: it comes in by that.
	marker=(tun tun0)
	side_by_side a tun0 through_tun
	[ "$(wc -l <"$TAP_DIR/t.txt")" -ge 60 ]
	linktype_is "Raw IP"
	in_netns a ip link del tun0
}

mark_tun()
{
	in_netns a python3 - "$1" <<-'PY'
	import fcntl, os, struct, sys
	fd = os.open("/dev/net/tun", os.O_RDWR)
	fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH22x", b"tun0", 0x1001))
	body = ("ncp mark " + sys.argv[1]).encode() + bytes(40)
	os.write(fd, struct.pack("!BBHHHBBH8x", 0x45, 0, 20 + len(body), 0, 0, 64, 253, 0) + body)
	PY
}

# A monitor's frames, by a tun that is told to be one: radio header, then 802.11.
radio()
{
	in_netns a python3 - "$@" <<-'PY'
	import fcntl, os, struct, sys
	fd = os.open("/dev/net/tun", os.O_RDWR)
	if sys.argv[1] == "make":
	    fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH22x", b"mon0", 0x0001))  # TUNSETIFF, TUN
	    fcntl.ioctl(fd, 0x400454cd, 803)  # TUNSETLINK, ARPHRD_IEEE80211_RADIOTAP
	    fcntl.ioctl(fd, 0x400454cb, 1)  # TUNSETPERSIST
	    sys.exit()
	fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH22x", b"mon0", 0x0001))
	head = bytes([0, 0, 9, 0, 2, 0, 0, 0, 0x10])  # version, length 9, flags: with checksum
	data = bytes([8, 2, 0, 0]) + bytes(20) + bytes([0xaa, 0xaa, 3, 0, 0, 0, 8, 0])
	bodies = [bytes(n) for n in range(0, 1500, 100)]
	if sys.argv[1] == "mark":
	    bodies = [("ncp mark " + sys.argv[2]).encode()]
	for body in bodies:
	    os.write(fd, struct.pack("!HH", 0, 4) + head + data + body + b"\1\2\3\4")
	PY
}

on_monitor()
{
	radio make
	in_netns a ip link set mon0 up
	marker=(monitor mon0)
	side_by_side a mon0 radio send
	frames_are 15
	linktype_is "IEEE 802.11 plus radiotap radio header"
	in_netns a ip link del mon0
}

on_any()
{
	judge=(-y LINUX_SLL2)
	marker=(b eth0)
	side_by_side a any on_all
	judge=()
	linktype_is "Linux cooked-mode capture v2"
	[ "$(wc -l <"$TAP_DIR/t.txt")" = 46 ]
}

on_all()
{
	in_netns b frame_mix eth0 "$(mac a eth0)"
	in_netns a frame_mix lo
	in_netns a frame_send eth0 10 0 100
}

immediately()
{
	local args=(--immediate-mode)

	"$@"
}

# --- events: what becomes of a capture when its interface changes ---------------------------

begins()
{
	sweep p t s
	spawn_in a p ncp-producer -b b -m 16M eth0 "$@"
	wait_for '[ "$(value state)" = live ]' 10
	sent=0
}

# sends N [SIZE]: numbered frames from the other side; all arrive.
sends()
{
	carrier_comes b eth0
	in_netns b frame_send eth0 "$1" 5000 "${2:-100}" "$sent"
	sent=$((sent + $1))
	wait_for '[ "$(value published)" = "$sent" ]' 10
}

ends()
{
	stop p TERM 10
	[ "$status" = 0 ]
	ncp-dump -q -i b --snapshot -w "$TAP_DIR/b.pcapng"
	ncp-producer --remove b
	frame_check "$TAP_DIR/b.pcapng" |
		grep "frames=$sent first=0 last=$((sent - 1)) holes=0 duplicates=0 other=0"
}

link() { ip -n "$(netns_name a)" link set "$@"; }

# Its frames go on; it is looked for under the old name once it goes down.
renamed()
{
	begins udp port 9
	sends 100
	link eth0 name other0 || { link eth0 down; link eth0 name other0; link other0 up; }
	sends_or_paused
	link other0 down
	link other0 name eth0
	link eth0 up
	wait_for '[ "$(value state)" = live ]' 5
	sends 100
	ends
}

# A kernel before 6.2 renames only what is down.
sends_or_paused()
{
	if [ "$(value state)" = live ] && ! wait_for '[ "$(value state)" = paused ]' 1; then
		sends 100
	fi
}

mtu_changed()
{
	link eth0 mtu 1500
	ip -n "$(netns_name b)" link set eth0 mtu 1500
	begins udp port 9 "$@"
	sends 100 1500
	link eth0 mtu 9100
	ip -n "$(netns_name b)" link set eth0 mtu 9100
	sends 100 9000
	link eth0 mtu 1500
	ip -n "$(netns_name b)" link set eth0 mtu 1500
	sends 100 1000
	[ "$(value state)" = live ]
	ends
	[ "$(tshark -r "$TAP_DIR/b.pcapng" -Y 'frame.cap_len == 9000' 2>/dev/null | wc -l)" = 100 ]
}

# Away into another namespace: as if it were deleted; and back.
moved_away()
{
	begins udp port 9
	sends 100
	ip -n "$(netns_name a)" link set eth0 netns "$(netns_name c)"
	wait_for '[ "$(value state)" = paused ]' 5
	ip -n "$(netns_name c)" link set eth0 netns "$(netns_name a)"
	link eth0 up
	wait_for '[ "$(value state)" = live ]' 5
	sends 100
	ends
}

# Whose address it is given is no matter to a capture.
addressed()
{
	begins udp port 9
	sends 100
	in_netns a ip addr add 10.80.0.1/24 dev eth0
	link eth0 address 02:00:00:00:00:77
	sends 100
	link eth0 promisc on
	link eth0 promisc off
	sends 100
	[ "$(value state)" = live ]
	ends
}

# A member of a bridge is captured as before.
enslaved()
{
	begins udp port 9
	sends 100
	in_netns a ip link add br0 type bridge
	link br0 up
	link eth0 master br0
	sends 100
	link eth0 nomaster
	sends 100
	in_netns a ip link del br0
	ends
}

steps=() # "SENTENCE|FUNCTION ARG..."
add() { steps+=("$1|${*:2}"); }
marker=()

prepares >/dev/null || bail "the namespaces cannot be made"
add "veth: all kinds of frames, tags put back" on_veth
add "the same with --immediate-mode" immediately on_veth
add "frames of 9000 bytes" jumbo
add "the same with --immediate-mode" immediately jumbo
add "super-frames of up to 64 KiB" super_frames
add "lo: each once" loopback
add "any: cooked frames" on_any
add "bridge" on_bridge
add "macvlan" on_macvlan
if has_kind vlan link eth0 id 7; then add "vlan" on_vlan; else diag "this kernel has no vlan"; fi
if has_kind dummy; then add "dummy" sink dummy; else diag "this kernel has no dummy"; fi
if has_kind ifb; then add "ifb" sink ifb; else diag "this kernel has no ifb"; fi
if (: <>/dev/net/tun) 2>/dev/null; then
	add "tun: packets without a link layer" on_tun
	add "an interface in monitor mode: radio headers" on_monitor
else
	diag "/dev/net/tun cannot be opened"
fi
add "its MTU is raised and lowered: frames are whole all along" mtu_changed
add "the same with --immediate-mode" mtu_changed --immediate-mode
add "its addresses and promiscuity change: nothing happens" addressed
add "it becomes a bridge's member, and is one no more: nothing happens" enslaved
add "it is renamed and renamed back" renamed
add "it is moved to another namespace and back" moved_away
plan $((${#steps[@]} + 1))
for step in "${steps[@]}"; do
	read -ra words <<<"${step#*|}"
	run_step "${step%%|*}" "${words[@]}"
done
is "" "$(ls "$NCP_DIR")" "nothing is left"
