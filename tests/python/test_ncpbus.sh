#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# test_ncpbus.sh - the Python module: held against the header, tshark, scapy and dpkt.
. tests/tap/tap.sh

# Debian's own: numpy, scapy and dpkt are its packages.
python=$(PATH=/usr/bin:/bin command -v python3) || skip_all "no python3 in /usr/bin"
"$python" -c 'import numpy, scapy, dpkt' 2>/dev/null ||
	skip_all "python3-numpy, python3-scapy or python3-dpkt is missing"
[ -z "${SANITIZE:-}" ] || skip_all "a sanitizer's library cannot be loaded into python"
plan 12

export NCP_DIR=$TAP_DIR/busses TAP_ID TAP_DIR
export PYTHONPATH=$PWD/clients/python:$PWD/tests/python PYTHONDONTWRITEBYTECODE=1
export NCPBUS_LIBRARY=$NCP_BUILD/lib/libncpbus.so.0
mkdir "$NCP_DIR"

cases() { "$python" -m unittest "ncpbus_cases.$1"; }
run_step "it has the header's sizes, offsets and values" cases Abi
run_step "frames are those that tshark sees, with their numbers and times" cases Reading
run_step "views are read-only, end with the next frame, and never crash" cases Views
run_step "what is overwritten, lost or replaced is told" cases Losing
run_step "places, cursors, filters, shards, looks at the bus" cases Places
run_step "batches, with numpy and without" cases Batches

check_types() { mypy --strict --no-error-summary --cache-dir="$TAP_DIR/mypy" clients/python/ncpbus; }
run_step "its types are right" check_types
is "ImportError: nothing.so: cannot open shared object file: No such file or directory: install \
libncpbus0 (after 'make install': ldconfig), or name the library's file in NCPBUS_LIBRARY" \
	"$(NCPBUS_LIBRARY=nothing.so "$python" -c 'import ncpbus' 2>&1 | tail -n 1)" \
	"a library that is not there is said"

# The examples: names by scapy, hosts by dpkt and by numpy, with tshark as judge of the capture.
bus=$(bus_name names)
publishes()
{
	"$python" - "$TAP_DIR/names.pcap" <<-'PY'
		import sys
		from scapy.all import DNS, DNSQR, Ether, IP, IPv6, TCP, UDP, wrpcap
		# Both ends are named: for one that is not, scapy asks the network.
		ether = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
		frames = []
		for i in range(400):
		    src = f"10.0.{i % 7}.{i % 3}"
		    if i % 4 == 0:
		        frames.append(ether / IP(src=src, dst="10.9.9.9") / UDP(sport=5000 + i, dport=53) /
		                      DNS(rd=1, qd=DNSQR(qname=f"host{i}.example")))
		    elif i % 4 == 1:
		        frames.append(ether / IPv6(src=f"fd00::{i % 5}", dst="fd00::53") /
		                      UDP(dport=53) / DNS(rd=1, qd=DNSQR(qname=f"six{i}.example")))
		    else:
		        frames.append(ether / IP(src=src, dst="10.1.1.1") / TCP() / (b"x" * (i * 11 % 900)))
		wrpcap(sys.argv[1], frames)
	PY
	spawn producer ncp-producer "file:$TAP_DIR/names.pcap" -b "$bus" -m 8M --keep
	reap producer 20
	[ "$status" = 0 ]
}
run_step "a bus with questions for names" publishes
fields()
{
	local words=()

	for field in "$@"; do words+=(-e "$field"); done
	tshark -n -r "$TAP_DIR/names.pcap" -T fields "${words[@]}" 2>/dev/null
}
is "$(fields ip.src ipv6.src dns.qry.name | awk -F '\t' '$3 { print $1 $2, $3 "." }')" \
	"$("$python" doc/examples/dns.py "$bus" 2>&1)" "dns.py prints the names that tshark sees"
want=$(fields ip.src frame.len | awk -F '\t' '$1 { n[$1] += $2 }
	END { for (host in n) printf "%12d %s\n", n[host], host }' | sort -k 1,1nr -k 2 | head -n 10)
is "$want" "$("$python" doc/examples/talkers.py "$bus" 2>&1)" \
	"talkers.py by dpkt adds up what tshark does"
is "$want" "$("$python" doc/examples/talkers.py "$bus" numpy 2>&1)" "and by numpy"
