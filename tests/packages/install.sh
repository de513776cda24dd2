#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# install.sh - the packages of build/deb in a fresh Debian 12: installed, used, upgraded under running
# programs, purged (make check-deb).  DEBIAN_ROOT names a debootstrapped folder to copy; else one is made.

# The mounts below are this test's alone, and end with it.
[ "$(id -u)" != 0 ] || [ -n "${NCP_OWN_MOUNTS:-}" ] || NCP_OWN_MOUNTS=1 exec unshare -m "$BASH" "$0"
. tests/tap/tap.sh
need_root "makes a Debian of its own"
need_net
plan 19

root=$TAP_DIR/debian
count=40000 pps=1000
packages=(libncpbus-dev libncpbus0 ncp python3-ncpbus)
bus=eth0

in_root() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 \
	DEBIAN_FRONTEND=noninteractive "$@"; }
# Before the folder is removed, also when a step failed.
leave()
{
	local exit_status=$?

	umount -l "$root/proc" "$root/dev/shm" 2>/dev/null
	return "$exit_status"
}
trap 'leave; tap_on_exit' EXIT

# Words, not a function: a signal to what is spawned by them is the command's.
alice=(chroot --userspec=alice:alice)
as_alice() { "${alice[@]}" "$@"; }
counted() { as_alice ncp-stats -i $bus --once --json | python3 -c \
	'import json, sys; print(json.loads(sys.stdin.readline())["published"])'; }

fresh()
{
	if [ -n "${DEBIAN_ROOT:-}" ]; then
		cp -a "$DEBIAN_ROOT" "$root"
	else
		debootstrap --variant=minbase bookworm "$root"
	fi
	mount -t proc proc "$root/proc"
	mount -t tmpfs -o mode=1777,size=256m tmpfs "$root/dev/shm"
	mkdir "$root/debs"
	cp build/deb/*.deb "$root/debs"
	rm -f "$root"/debs/*-dbgsym_*
	# No service may be started there, as in any chroot.
	printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
	chmod +x "$root/usr/sbin/policy-rc.d"
	cp /etc/resolv.conf "$root/etc/" 2>/dev/null || :
}
run_step "a fresh Debian 12" fresh

installs()
{
	in_root apt-get -q update
	# shellcheck disable=SC2046 # a list of words
	in_root apt-get -q install -y --no-install-recommends \
		$(cd "$root" && printf '/%s\n' debs/*.deb) tshark tcpdump
}
run_step "the packages install" installs
is "${packages[*]}" "$(in_root dpkg-query -Wf '${Status} ${Package}\n' "${packages[@]}" |
	sed -n 's/^install ok installed //p' | xargs)" "and are there"
is "" "$(ls "$root/dev/shm"; compgen -G "$root/etc/systemd/system/*/ncp*")" \
	"nothing captures, and nothing is to be started"
is "ncp" "$(in_root id -nG ncp)" "there is a user ncp"

tour()
{
	in_root useradd -m alice
	alice+=(--groups="$(in_root getent group ncp | cut -d : -f 3)" "$root"
		env -i PATH=/usr/bin:/bin HOME=/home/alice LC_ALL=C.UTF-8)
	netns_make a
	netns_make b
	veth_pair a veth-a b eth0
	ip -n "$(netns_name a)" link set veth-a arp off
	ip -n "$(netns_name b)" link set eth0 arp off
	spawn_in b producer chroot "$root" ncp-producer eth0 -m 64M
	wait_for "as_alice ncp-stats -i $bus --once | grep -q live" 10
	spawn dump "${alice[@]}" ncp-dump -i $bus -w /home/alice/all.pcapng
	wait_for '[ -s "$root/home/alice/all.pcapng" ]' 10
	spawn_in a send frame_send veth-a $count $pps
	wait_for '[ "$(counted)" -gt 1000 ]' 30
	spawn page "${alice[@]}" ncp-dump -i $bus -c 3
	reap page 10
	[ "$status" = 0 ]
}
run_step "a producer as root, clients as a member of the group" tour
is 3 "$(grep -c ' UDP [0-9]*$' "$TAP_DIR/page.out")" "ncp-dump prints frames"
is "$(in_root id -u ncp)" "$(ps -o uid= -p "${pid[producer]}" | tr -d ' ')" "the producer has become ncp"
like "ncp:$bus \(Capture bus $bus\)" "$(as_alice tshark -D 2>&1)" "tshark finds the bus where Debian has it look"
is 5 "$(as_alice tshark -n -i ncp:$bus -c 5 -T fields -e frame.number 2>/dev/null | wc -l)" \
	"and reads it"
is 5 "$(as_alice ncp-run tcpdump -n -i ncp:$bus -c 5 2>/dev/null | wc -l)" "so does tcpdump, by ncp-run"
is "['$bus'] 10" "$(as_alice python3 -c "import ncpbus, itertools
print(ncpbus.busses(), len(list(itertools.islice(ncpbus.Bus('$bus'), 10))))" 2>&1)" "and Python"

# A higher version of the same.
upgrades()
{
	local deb folder version

	version=$(dpkg-deb -f "$root"/debs/ncp_*.deb Version)
	mkdir "$root/next"
	for deb in "$root"/debs/*.deb; do
		folder=$TAP_DIR/unpacked/${deb##*/}
		mkdir -p "$TAP_DIR/unpacked"
		dpkg-deb -R "$deb" "$folder"
		sed -i "s/\b${version//./\\.}\b/$version+next/g" "$folder/DEBIAN/control"
		dpkg-deb -b --root-owner-group "$folder" "$root/next/${deb##*/}"
	done
	# shellcheck disable=SC2046 # a list of words
	in_root apt-get -q install -y --no-install-recommends $(cd "$root" && printf '/%s\n' next/*.deb)
	[ "$(in_root dpkg-query -Wf '${Version}' ncp)" = "$version+next" ]
	tap_runs "${pid[producer]}"
	tap_runs "${pid[dump]}"
}
run_step "an upgrade leaves the running ones alone" upgrades
goes_on()
{
	local now

	now=$(counted)
	wait_for '[ "$(counted)" -gt "$now" ]' 10
}
run_step "and a client of the new version reads on" goes_on

purges()
{
	in_root dpkg-query -L "${packages[@]}" | grep / | sort -u >"$TAP_DIR/files"
	in_root apt-get -q purge -y "${packages[@]}"
	tap_runs "${pid[producer]}"
	tap_runs "${pid[dump]}"
}
run_step "so does a purge" purges
is "" "$(while read -r file; do
	[ -d "$root$file" ] && [ "${file%/ncp*}" = "$file" ] || [ ! -e "$root$file" ] || echo "$file"
done <"$TAP_DIR/files")" "it leaves no file of the packages"
is "ncp.$bus" "$(cd "$root/dev/shm" && ls -d ncp.$bus)" "but the bus"

ends()
{
	reap send 120
	stop dump INT 20
	[ "$status" = 0 ]
	stop producer INT 10
	[ "$status" = 0 ]
}
run_step "all end in order" ends
is "frames=$count first=0 last=$((count - 1)) holes=0 duplicates=0 other=0" \
	"$(frame_check "$root/home/alice/all.pcapng")" \
	"and the capture, over all that, has every frame"
