#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# deps.sh - names what building and testing ncp needs and this machine lacks, and installs it.
#
# Asks for the thing itself, not for the package, so that what was built by hand counts.
# DEPS=no forbids installing.  Exit status: 0 nothing is missing (any more), 1 installing failed,
# 2 something is missing and was not installed.
set -u

has_cc()     { command -v "${CC:-gcc}"; }
has_libc()   { echo '#include <stdio.h>' | "${CC:-gcc}" -E -; }
has_cxx()    { echo 'int x;' | "${CC:-gcc}" -x c++ -fsyntax-only -; }
has_pc()     { pkg-config --exists "$1"; }
# Debian's own python, whatever else PATH has.
has_py()     { PATH=/usr/bin:/bin python3 -c "import $1"; }
has_fuzzer() { echo 'int LLVMFuzzerTestOneInput(const char *p, unsigned long n) { return p && n; }' |
		clang -fsanitize=fuzzer,address -x c -o /dev/null -; }
has_cmds()   { local c; for c in "$@"; do command -v "$c" || return; done; }

# What Debian's package gives | how to see that it is there.  pkg-config stands before its users.
needs='
gcc            has_cc
libc6-dev      has_libc
g++            has_cxx
pkg-config     has_cmds pkg-config
liburing-dev   has_pc liburing
libzstd-dev    has_pc libzstd
liblz4-dev     has_pc liblz4
libpcap-dev    has_pc libpcap
libsodium-dev  has_pc libsodium
libseccomp-dev has_pc libseccomp
libmicrohttpd-dev has_pc libmicrohttpd
libncurses-dev has_pc ncursesw
zstd           has_cmds zstd
lz4            has_cmds lz4
perl           has_cmds prove
python3        has_cmds python3
spin           has_cmds spin
python3-numpy  has_py numpy
python3-scapy  has_py scapy
python3-dpkt   has_py dpkt
mypy           has_cmds mypy
tcpdump        has_cmds tcpdump
tshark         has_cmds tshark capinfos dumpcap
ngrep          has_cmds ngrep
softflowd      has_cmds softflowd softflowctl
iproute2       has_cmds ip
nftables       has_cmds nft
dbus           has_cmds dbus-daemon dbus-send
procps         has_cmds ps
util-linux     has_cmds setpriv unshare nsenter
libcap2-bin    has_cmds setcap
mandoc         has_cmds mandoc
tmux           has_cmds tmux
zsh            has_cmds zsh
fish           has_cmds fish
mount          has_cmds mount umount losetup
e2fsprogs      has_cmds mkfs.ext4
btrfs-progs    has_cmds mkfs.btrfs btrfs
'
# deps.sh deb, check-deb, fuzz: what else making and trying packages needs, and fuzzing.
case ${1:-} in
deb | check-deb)
	needs+='
dpkg-dev       has_cmds dpkg-buildpackage
debhelper      has_cmds dh
dh-python      has_cmds dh_python3
lintian        has_cmds lintian
'
	;;
esac
[ "${1:-}" != fuzz ] || needs+='
clang          has_cmds clang
libclang-rt-dev has_fuzzer
'
# deps.sh bench: what benchmarks compare with, and plots.
[ "${1:-}" != bench ] || needs+='
fio            has_cmds fio
netsniff-ng    has_cmds netsniff-ng
gnuplot-nox    has_cmds gnuplot
'
[ "${1:-}" != check-deb ] || needs+='
debootstrap    has_cmds debootstrap
'
PATH=$PATH:/usr/sbin:/sbin

list_missing()
{
	local package probe

	while read -r package probe; do
		# shellcheck disable=SC2086 # the probe is a command and its words
		[ -z "$package" ] || $probe >/dev/null 2>&1 || printf '%s ' "$package"
	done <<<"$needs"
}

missing=$(list_missing)
missing=${missing% }
[ -n "$missing" ] || exit 0

if [ "${DEPS:-}" = no ]; then
	echo "make: missing, and DEPS=no forbids installing: $missing" >&2
	exit 2
fi
if ! command -v apt-get >/dev/null || [ ! -e /etc/debian_version ]; then
	echo "make: missing: $missing (Debian's names): install what your system calls these" >&2
	exit 2
fi
if [ "$(id -u)" != 0 ]; then
	echo "make: missing: $missing: run: sudo make deps" >&2
	exit 2
fi

echo "make: installing from Debian's packages: $missing"
export DEBIAN_FRONTEND=noninteractive
apt-get -q update </dev/null || exit 1
# shellcheck disable=SC2086 # a list of words
apt-get -q install -y --no-install-recommends $missing </dev/null || exit 1
missing=$(list_missing)
[ -z "$missing" ] || { echo "make: still missing after installing: $missing" >&2; exit 1; }
