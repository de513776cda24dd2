#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""talkers.py - the hosts with the most bytes, in what a ring remembers: by dpkt, or by numpy.

    ./talkers.py eth0           each frame taken apart by dpkt
    ./talkers.py eth0 numpy     thousands of frames at once, as columns

Both print the same; the second is many times faster.
"""
import socket
import sys
from collections import Counter

import ncpbus


def by_dpkt(bus: ncpbus.Bus) -> Counter:
    import dpkt

    sums: Counter = Counter()
    for item in bus.read(timeout=0):
        if isinstance(item, ncpbus.Lost):
            print(f"lost: {item.count} frames", file=sys.stderr)
        if not isinstance(item, ncpbus.Frame):
            continue
        try:
            # A copy that is known to be whole: dpkt takes bytes.
            ip = dpkt.ethernet.Ethernet(bytes(item)).data
        except ncpbus.Overwritten:
            continue  # comes as Lost
        except dpkt.UnpackError:
            continue
        if isinstance(ip, dpkt.ip.IP):
            sums[socket.inet_ntoa(ip.src)] += item.len
    return sums


def by_numpy(bus: ncpbus.Bus) -> Counter:
    import numpy as np

    sums: Counter = Counter()
    while True:
        batch = bus.batch(timeout=0)
        if batch is None:
            return sums
        if isinstance(batch, ncpbus.Lost):
            print(f"lost: {batch.count} frames", file=sys.stderr)
        if not isinstance(batch, ncpbus.Batch):
            continue
        head = batch.head(34)  # a copy of the first 34 bytes of each frame: n rows
        if not batch.intact():
            continue  # comes as Lost
        ipv4 = (head[:, 12] == 8) & (head[:, 13] == 0) & (batch.caplen >= 34)
        sources = head[ipv4, 26:30].copy().view(">u4").ravel()
        hosts, which = np.unique(sources, return_inverse=True)
        for host, octets in zip(hosts, np.bincount(which, batch.len[ipv4])):
            sums[socket.inet_ntoa(int(host).to_bytes(4, "big"))] += int(octets)


def main() -> int:
    if len(sys.argv) not in (2, 3) or sys.argv[2:] not in ([], ["numpy"]):
        print("usage: talkers.py BUS [numpy]", file=sys.stderr)
        return 2
    with ncpbus.Bus(sys.argv[1], start="oldest") as bus:
        sums = by_numpy(bus) if sys.argv[2:] else by_dpkt(bus)
    for host, octets in sorted(sums.items(), key=lambda item: (-item[1], item[0]))[:10]:
        print(f"{octets:12} {host}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ncpbus.Error as error:
        sys.exit(f"talkers.py: {error}")
