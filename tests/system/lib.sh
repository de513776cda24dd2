# SPDX-License-Identifier: BSD-2-Clause
# lib.sh - what several system tests use: busses and a wire of their own, what the programs tell.
#
# Sourced behind tests/tap/tap.sh; $bus is the test's bus.
# shellcheck shell=bash disable=SC2154

# own_busses [MODE]: from here on, NCP_DIR is a folder of this test's own in /dev/shm, which ends with
# it.  MODE: 755, so that clients are other users, too; 1777, so that producers are.
own_busses()
{
	TAP_BUSSES=$(mktemp -d /dev/shm/ncp-test.XXXXXX) || bail "no folder in /dev/shm"
	chmod "${1:-755}" "$TAP_BUSSES"
	export NCP_DIR=$TAP_BUSSES
}

# sweep NAME...: what a step that failed may have left: processes begun by spawn, all busses.
sweep()
{
	local name

	for name in "$@"; do
		[ -z "${pid[$name]:-}" ] || stop "$name" KILL 5 || :
	done
	rm -rf "${NCP_DIR:?}"/*
}

# setsid_end FILE: the producer that writes its status lines there, if it is left: setsid(1) may have
# forked it, out of reach of what ends the test's processes.  Stands in a trap, before tap_on_exit.
setsid_end()
{
	local status=$? n

	n=$(grep -hso '"pid":[0-9]*' "$1" | tail -n 1)
	[ -z "$n" ] || ! grep -qsF "$1" "/proc/${n#*:}/cmdline" || kill -KILL "${n#*:}"
	return "$status"
}

# wire: hosts a and b, joined by veth-a and veth-b, with nothing but the test's own frames on it.
wire()
{
	netns_make a
	netns_make b
	veth_pair a veth-a b veth-b
	ip -n "$(netns_name a)" link set veth-a arp off
	ip -n "$(netns_name b)" link set veth-b arp off
}

# member KEY: of the JSON object on stdin, its first of that name: the object's own stand in front of
# those of objects in it.  A number or a word.
member()
{
	local object

	read -r object || [ -n "$object" ]
	[[ $object =~ \"$1\":\"?([^,\"}]*) ]] && echo "${BASH_REMATCH[1]}"
}

# bus_value BUS KEY: what ncp-stats tells of it.  value KEY: of $bus.
bus_value()
{
	ncp-stats --once --json -i "$1" | member "$2"
}

value()
{
	bus_value "$bus" "$1"
}

# carrier_comes STEM INTERFACE: until its other end is up, too.
carrier_comes()
{
	wait_for "[ \"\$(in_netns $1 cat /sys/class/net/$2/carrier)\" = 1 ]" 5
}

# until_still: what was sent has all come: half a second long, nothing more was published.
until_still()
{
	local was=-1 now

	wait_for 'now=$(value published); [ "$now" = "$was" ] || { was=$now; sleep 0.5; false; }' 10
}

# field FILE KEY: of the last object in a file.
field()
{
	tail -n 1 "$1" | member "$2"
}

# ledger FILE: in its last object, what was received is published, discarded, or dropped by the kernel.
ledger()
{
	local r p k d

	r=$(field "$1" received) p=$(field "$1" published)
	k=$(field "$1" kernel_drops) d=$(field "$1" discarded)
	[ "$r" = $((p + k + d)) ] || { echo "$1: $r != $p + $k + $d"; return 1; }
}

# listed FILE: what a capture holds, as text: lengths and every byte.
listed()
{
	tcpdump -r "$1" -t -nn -e -xx 2>/dev/null
}

# count FILE [EXPRESSION]: its frames.
count()
{
	tcpdump -r "$1" --count "${@:2}" 2>/dev/null | sed 's/ packet.*//'
}

# proc_field FILE NAME: a line of a /proc/PID/status, its blanks made one.
proc_field()
{
	sed -n "s/^$2:[[:space:]]*//p" "$1" | tr -s '[:blank:]' ' ' | sed 's/ $//'
}

# without_rights PID: no capability is left to it, and none can be got.
without_rights()
{
	sed -n 's/^\(CapEff\|CapPrm\|NoNewPrivs\|Seccomp\):[[:space:]]*/\1 /p' "/proc/$1/status" |
		diff - <(printf '%s\n' "CapPrm 0000000000000000" "CapEff 0000000000000000" \
			"NoNewPrivs 1" "Seccomp 2")
}

# series FILE: FILE, FILE1, FILE2 ..., as many as there are.
series()
{
	local i=

	while [ -e "$1$i" ]; do
		echo "$1$i"
		i=$((i + 1))
	done
}
