# SPDX-License-Identifier: BSD-2-Clause
"""ncpbus - read frames from an ncp capture bus, in place, at any time.

    import ncpbus

    with ncpbus.Bus("eth0", start="oldest", filter="udp port 53") as bus:
        for frame in bus:
            print(frame.seq, frame.datetime, frame.len, frame.data[:14].hex())
        print(bus.stats().total)

It needs permission to read the bus and no privilege, and slows nobody down.

A frame's data is a memoryview into the ring.  It is released when the next frame is asked for.
The producer may overwrite it while you look: ask frame.intact() before you act on what you read,
or take bytes(frame), which is a copy that is known to be whole, or open the bus with copy=True.
A frame that was overwritten after you had looked may still come in a Lost: the library looks at
what it handed out when it is asked for more.  With copy=True a frame comes or is lost, never both.
Slices and numpy arrays that you make of it are not released; they stay readable, but what they
show is the ring's.

Bus.read() gives events, too: Lost, StateChange, Reattached, Evicted, Unlisted.
Bus.batch() gives many frames at once, as columns: numpy arrays where there is numpy.

scapy:  Ether(bytes(frame))         dpkt:  dpkt.ethernet.Ethernet(bytes(frame))
"""
from ._bus import (AccessDenied, Batch, Bus, Cursor, Error, Event, Evicted, FilterError, Frame,
                   Info, Interface, Lost, NoSuchBus, Overwritten, Peer, Reason, Reattached, Seq,
                   State, StateChange, Stats, Time, Unlisted, Where, Window, busses)

__all__ = ["AccessDenied", "Batch", "Bus", "Cursor", "Error", "Event", "Evicted", "FilterError",
           "Frame", "Info", "Interface", "Lost", "NoSuchBus", "Overwritten", "Peer", "Reason",
           "Reattached", "Seq", "State", "StateChange", "Stats", "Time", "Unlisted", "Where",
           "Window", "busses"]
