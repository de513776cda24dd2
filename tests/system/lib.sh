# SPDX-License-Identifier: BSD-2-Clause
# lib.sh - what several system tests use: busses and a wire of their own, what the programs tell.
#
# Sourced behind tests/tap/tap.sh; $bus is the test's bus.
# shellcheck shell=bash disable=SC2154

# own_busses: from here on, NCP_DIR is a folder of this test's own in /dev/shm, which ends with it.
# Stands behind need_net.
own_busses()
{
	NCP_DIR=$(mktemp -d /dev/shm/ncp-test.XXXXXX) || bail "no folder in /dev/shm"
	chmod 755 "$NCP_DIR" # clients are other users, too
	export NCP_DIR
	trap own_busses_end EXIT
}

own_busses_end()
{
	local status=$?

	rm -rf "$NCP_DIR"
	(exit "$status")
	tap_on_exit
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

# field FILE KEY: of the last object in a file.
field()
{
	tail -n 1 "$1" | member "$2"
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
