#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# demo.sh - the whole of ncp at work in one minute, on a network of its own (make demo).
#
# Two network namespaces joined by a veth pair; a producer on one end, real traffic from the other;
# clients as an unprivileged user.  Everything it makes is gone afterwards, also on Ctrl-C.
set -u
export LC_ALL=C
PATH=${NCP_BIN:?run it by 'make demo'}:$NCP_BUILD/tests/tools:$PATH:/usr/sbin:/sbin

if [ "$(id -u)" -ne 0 ]; then
	echo "demo: not root: network namespaces and a capture need it: run 'sudo make demo'" >&2
	exit 2
fi

run=$(mktemp -d "${TMPDIR:-/tmp}/ncp-demo.XXXXXX")
busses=$(mktemp -d /dev/shm/ncp-demo.XXXXXX)
net=ncp-demo-$$
bus=demo
uid=61234 # nobody's: it stands for an ordinary user, who is in one group
group=users
pids=()

clean_up() {
	trap - EXIT INT TERM
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null; done
	for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null; done
	ip netns del "$net-a" 2>/dev/null
	ip netns del "$net-b" 2>/dev/null
	rm -rf "$run" "$busses"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

step() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
fail() { echo "demo: failed: $*" >&2; exit 1; }

# What runs a command as the ordinary user, without any capability.
as_user=(setpriv "--reuid=$uid" "--regid=$group" --clear-groups --inh-caps=-all --bounding-set=-all
	--no-new-privs env "NCP_DIR=$busses")

# until_true SECONDS COMMAND... - wait for a condition.
until_true() {
	local end=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.05
	done
}

# json FILE KEY - a member of the last object in a file.
json() {
	tail -n 1 "$1" | python3 -c 'import json, sys; print(json.loads(sys.stdin.read())[sys.argv[1]])' "$2"
}

chmod 755 "$run" "$busses"
install -d -o "$uid" "$run/files"

step "Two hosts in namespaces of their own, joined by a cable"
ip netns add "$net-a" && ip netns add "$net-b" || fail "cannot make network namespaces"
ip -n "$net-a" link add veth-a type veth peer name veth-b netns "$net-b" || fail "cannot make a veth pair"
ip netns exec "$net-a" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 2>/dev/null
ip netns exec "$net-b" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 2>/dev/null
ip -n "$net-a" addr add 10.9.0.1/24 dev veth-a
ip -n "$net-b" addr add 10.9.0.2/24 dev veth-b
ip -n "$net-a" link set veth-a up
ip -n "$net-b" link set veth-b up
ip -br -n "$net-a" addr show dev veth-a
ip -br -n "$net-b" addr show dev veth-b

step "ncp-producer veth-b -b $bus -g $group        (root; drops every right before the first frame)"
ip netns exec "$net-b" ncp-producer --dir "$busses" -b "$bus" -g "$group" -m 64M --json veth-b \
	2>"$run/producer.json" &
producer=$!
pids+=("$producer")
until_true 10 grep -q '"state"' "$run/producer.json" || { cat "$run/producer.json"; fail "no producer"; }
grep -E '^(Name|Uid|CapEff|NoNewPrivs|Seccomp):' "/proc/$producer/status"

step "ncp-dump -i $bus -w capture.pcapng --resume state        (uid $uid, no capability)"
"${as_user[@]}" ncp-dump -i "$bus" -w "$run/files/capture.pcapng" --resume "$run/files/state" --json \
	2>"$run/dump1.json" &
dump=$!
pids+=("$dump")
until_true 10 test -s "$run/files/capture.pcapng" || { cat "$run/dump1.json"; fail "no capture file"; }

step "Traffic: 300,000 numbered frames at 20,000/s, and a talk over UDP beside them; ncp-stats watches"
ip netns exec "$net-a" frame_send veth-a 300000 20000 200 >"$run/sent" &
sender=$!
pids+=("$sender")
ip netns exec "$net-a" bash -c 'for i in {1..100}; do echo "message $i" >/dev/udp/10.9.0.2/5005; sleep 0.1; done' \
	2>/dev/null &
pids+=("$!")
"${as_user[@]}" timeout 5 ncp-stats -i "$bus" --interval 1

step "kill -9 the dump in the middle of it, start it again with the same state file"
kill -9 "$dump"
wait "$dump" 2>/dev/null
sleep 1 # the ring remembers what nobody writes meanwhile
"${as_user[@]}" ncp-dump -i "$bus" -w "$run/files/capture.pcapng" --resume "$run/files/state" --json \
	2>"$run/dump2.json" &
dump=$!
pids+=("$dump")
wait "$sender" || fail "the sender: $(cat "$run/sent")"
"${as_user[@]}" ncp-stats -i "$bus" --once

step "ncp-dump --snapshot: what passed before anybody asked for it"
"${as_user[@]}" ncp-dump -i "$bus" --snapshot -w "$run/files/past.pcapng" || fail "snapshot"
capinfos -T -r -c -u -S "$run/files/past.pcapng" 2>/dev/null || capinfos "$run/files/past.pcapng"

step "Ctrl-C"
kill -INT "$dump"
wait "$dump" || { cat "$run/dump2.json"; fail "ncp-dump"; }
kill -INT "$producer"
wait "$producer" || { tail -n 3 "$run/producer.json"; fail "ncp-producer"; }

step "Report"
sent=$(cat "$run/sent")
files=("$run/files/capture.pcapng" $(ls -v "$run"/files/capture?*.pcapng "$run"/files/capture.pcapng?* 2>/dev/null))
check=$(frame_check "${files[@]}")
good=$?
echo "frames sent        $sent numbered (and the talk beside them)"
echo "published          $(json "$run/producer.json" published)   kernel drops $(json "$run/producer.json" kernel_drops)"
echo "written            $check"
echo "lost by the dump   $(json "$run/dump2.json" lost)   (killed and resumed in between)"
for f in "${files[@]}" "$run/files/past.pcapng"; do
	printf '%-18s capinfos: %s; tcpdump -r: %s frames\n' "${f##*/}" \
		"$(capinfos -Tmrc "$f" 2>/dev/null | cut -d, -f2- | tr -d '"') frames" \
		"$(tcpdump -nr "$f" 2>/dev/null | wc -l)"
done
tcpdump -c 3 -nr "${files[0]}" 2>/dev/null
[ "$good" -eq 0 ] && [ "$sent" -eq 300000 ] || fail "frames are missing"
[[ $check == *"frames=300000 "* ]] || fail "frames are missing"
echo
echo "demo: every frame was published, kept and found again"
