#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""dns.py - who asks for which names: frames of a bus taken apart by scapy.

    ./dns.py eth0

Begins with what the ring remembers, and follows the bus until it ends or Ctrl-C.
"""
import sys

import ncpbus
from scapy.layers.dns import DNS
from scapy.layers.inet import IP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: dns.py BUS", file=sys.stderr)
        return 2
    # The filter runs in the library: only what matches comes to Python at all.
    with ncpbus.Bus(sys.argv[1], start="oldest", filter="udp dst port 53", copy=True) as bus:
        for frame in bus:
            packet = Ether(frame.data)
            if DNS in packet and packet[DNS].qd:
                who = packet[IP].src if IP in packet else packet[IPv6].src
                print(who, packet[DNS].qd.qname.decode(errors="replace"), flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except ncpbus.Error as error:
        sys.exit(f"dns.py: {error}")
    except KeyboardInterrupt:
        pass
