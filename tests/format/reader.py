#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""reader.py - a reader of an ncp bus that was written from doc/bus-format.md alone.

It proves that the page is enough: it shares no code with libncpbus, and test_reader_py.c runs
both over the same busses.  "Section" and the step tags (R4, L2 ...) are the page's.

One JSON object per line: frames and events in their order, then a summary.  Exit status: 0 done,
1 failed, 2 usage, 3 no such bus, 10.. another refusal (segment.Refusal).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import struct
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Optional

sys.dont_write_bytecode = True  # no cache beside the sources: a test changes nothing there

from segment import (  # noqa: E402
    CLOSED, DEAD, ENDED, EPB, EPOCH, HEAD, HEARTBEAT, LIVE, LOCAL, REASON, STARTING, STATES,
    STOPPED, TAIL, Item, Place, Refusal, Segment, client_lines, corrupt_unless, fence, options)

KINDS = {3: "epoch", 4: "pause", 5: "resume"}


class Block(NamedTuple):
    """The next block: of frames and ncp's own with a private copy of all its bytes."""

    kind: int
    length: int
    data: bytes


class Lapped(Exception):
    """tail has passed the reader's place."""


def parse_frame(block: bytes) -> tuple[Item, bytes]:
    """R9: an Enhanced Packet Block in private memory."""
    corrupt_unless(len(block) >= 32, "frame: too short a block")
    interface, high, low, caplen, length = struct.unpack_from("=5I", block, 8)
    corrupt_unless(caplen <= len(block) - 32 and caplen <= length, "frame: caplen")
    flags = dropcount = 0
    for code, value, fits in options(block[28 + (caplen + 3 & ~3):-4]):
        if fits and code == 2 and len(value) == 4:
            flags = struct.unpack("=I", value)[0]
        elif fits and code == 4 and len(value) == 8:
            dropcount = struct.unpack("=Q", value)[0]
    return {"kind": "frame", "ts_ns": high << 32 | low, "interface": interface, "caplen": caplen,
            "len": length, "flags": flags, "dropcount": dropcount}, block[28:28 + caplen]


@dataclass
class Window:
    """Section 13, the ledger: frames + lost == next - first."""

    incarnation: int
    first: Optional[int] = None
    next: int = 0
    frames: int = 0
    lost: int = 0
    then_unknown: bool = False  # frames may be lost after next, nobody knows how many

    def as_item(self) -> Item:
        """For the summary."""
        first = self.next if self.first is None else self.first
        return {"incarnation": f"{self.incarnation:#018x}", "first": first, "next": self.next,
                "frames": self.frames, "lost": self.lost, "then_unknown": self.then_unknown}


class Reader:
    """A reader that follows a bus by its name."""

    def __init__(self, attach: Callable[[], Segment], whence: str, as_hex: bool) -> None:
        self._attach, self._hex = attach, as_hex
        self.windows: list[Window] = []
        self._pending: deque[Item] = deque()
        self._enter(attach(), whence)

    def _enter(self, segment: Segment, whence: str) -> None:
        self._seg = segment
        self.windows.append(Window(segment.incarnation))
        self.state = segment.state()
        # No news is what is to be expected; any other state is told when all frames are read.
        self._told = self.state if self.state == STARTING else LIVE
        self._beat, self._epoch = segment.load64(HEARTBEAT), segment.load64(EPOCH)
        self._beat_at, self._looked_at = time.monotonic(), 0.0
        self._start(whence)

    @property
    def window(self) -> Window:
        """The present one."""
        return self.windows[-1]

    # --- section 11: where to start ---

    def _oldest(self, margin: int) -> Place:
        """The lowest intact waypoint that is margin or more away from being overwritten."""
        floor = self._seg.load64(TAIL) + margin
        found = min((w for w in self._seg.waypoints() if w.position >= floor), default=None)
        return Place(*found[:2]) if found else self._seg.newest()

    def _start(self, whence: str) -> None:
        kind, _, value = whence.partition(":")
        self._floating = kind in ("oldest", "time")  # no window before a frame is given
        for tries in range(1000):
            margin = self._seg.ring_size // 16 if tries else 0
            try:
                if kind == "seq":
                    self._start_at_seq(int(value), margin)
                    return
                if kind == "time":
                    self._start_at_time(int(value), margin)
                elif kind == "oldest":
                    self._place = self._oldest(margin)
                else:
                    self._place = self._seg.newest()
            except Lapped:
                continue
            self.window.next = self._place.seq
            self.window.first = None if self._floating else self._place.seq
            return
        raise Refusal("NCP_ECORRUPT", "overrun at every start")

    def _start_at_seq(self, n: int, margin: int) -> None:
        newest = self._seg.newest()
        if n > newest.seq:
            raise Refusal("ERANGE", f"frame {n} is beyond the next one, {newest.seq}")
        if n == newest.seq:
            self._place = newest
        else:
            before = max((w for w in self._seg.waypoints() if w.seq <= n),
                         key=lambda w: w.seq, default=None)
            self._place = Place(*before[:2]) if before else self._oldest(margin)
            while self._place.seq < n:
                block = self._block()
                if block is None:
                    raise Refusal("NCP_ECORRUPT", f"frame {n} is published and not there")
                self._pass(block)
        self.window.first = self.window.next = n
        if self._place.seq > n:
            self._lose(self._place.seq)

    def _start_at_time(self, t: int, margin: int) -> None:
        before = max((w for w in self._seg.waypoints() if w.time_ns < t), default=None)
        self._place = Place(*before[:2]) if before else self._oldest(margin)
        while block := self._block():
            if block.kind == EPB and parse_frame(block.data)[0]["ts_ns"] >= t:
                return
            self._pass(block)

    # --- sections 12 and 13: reading, being lapped ---

    def _overrun(self) -> None:
        """C3, C4."""
        fence()
        if self._seg.load64(TAIL) > self._place.position:
            raise Lapped

    def _block(self) -> Optional[Block]:
        """R1 to R9: the next block; None: nothing new."""
        seg, at = self._seg, self._place.position
        head = seg.load64(HEAD)                                                 # R1
        corrupt_unless(head >= at and head % 4 == 0, "head")
        if head - at > seg.ring_size:
            raise Lapped
        if head == at:                                                          # R2
            return None
        seg.testpoint("R3")
        kind, length = seg.ring32(at), seg.ring32(at + 4)                       # R3
        self._overrun()                                                         # R4
        corrupt_unless(12 <= length <= min(16777216, seg.ring_size, head - at) and
                       length % 4 == 0, "block length")                         # R5
        if kind not in (EPB, LOCAL):
            return Block(kind, length, b"")                                     # R6
        seg.testpoint("R7")
        data = seg.ring_copy(at, length)                                        # R7
        self._overrun()                                                         # R8
        corrupt_unless(struct.unpack_from("=II", data) == (kind, length), "block changed")
        return Block(kind, length, data)

    def _pass(self, block: Block) -> None:
        place = self._place
        self._place = Place(place.position + block.length, place.seq + (block.kind == EPB))

    def _lose(self, to: int) -> None:
        """L4: the frames from the window's end on."""
        self._pending.append({"kind": "lost", "first": self.window.next, "next": to})
        self.window.lost += to - self.window.next
        self.window.next = to

    def _resync(self) -> None:
        """L1 to L5."""
        place = self._oldest(self._seg.ring_size // 16)
        corrupt_unless(place.position > self._place.position and place.seq >= self._place.seq,
                       "resync goes back")
        self._place = place
        if self._floating:
            self.window.next = place.seq
        elif place.seq > self.window.next:
            self._lose(place.seq)

    def _read(self) -> Optional[Item]:
        """The next frame, loss or block of ncp's own; None: nothing new."""
        resyncs = 0
        while not self._pending:
            try:
                block = self._block()
            except Lapped:
                resyncs += 1
                corrupt_unless(resyncs < 1000, "lapped again and again")
                self._resync()
                continue
            if block is None:
                return None
            item = None
            if block.kind == EPB:
                item = self._give(block.data)
            elif block.kind == LOCAL:
                item = self._local(block.data)
            self._pass(block)
            if item:
                return item
        return self._pending.popleft()

    def _give(self, block: bytes) -> Item:
        frame, data = parse_frame(block)
        interface, w = self._seg.interface(frame["interface"]), self.window
        if self._floating:
            w.first, w.next, self._floating = self._place.seq, self._place.seq, False
        w.frames, w.next = w.frames + 1, w.next + 1
        frame.update(seq=self._place.seq, name=interface.name, linktype=interface.linktype)
        frame.update({"data": data.hex()} if self._hex else
                     {"sha256": hashlib.sha256(data).hexdigest()})
        return frame

    def _local(self, block: bytes) -> Optional[Item]:
        """Section 6.2: tell epochs and pauses."""
        if len(block) < 68 or block[8:12] != b"ncp\0":
            return None
        kind, epoch, incarnation, seq, from_ns, to_ns, reason = \
            struct.unpack_from("=I5QI", block, 12)
        if kind not in KINDS:
            return None
        corrupt_unless(incarnation != self._seg.incarnation or seq == self._place.seq,
                       "next_seq of a block of ncp's own")
        return {"kind": KINDS[kind], "epoch": epoch, "next_seq": seq, "from_ns": from_ns,
                "to_ns": to_ns, "reason": reason}

    # --- sections 15 and 16: states, replacement ---

    def next(self) -> Optional[Item]:
        """The next frame or event; None: nothing new."""
        state = self._seg.state()  # before head: section 15
        reason = self._seg.load32(REASON)
        item = self._read()
        if item:
            return item
        self.state = self._or_dead(state)
        if self._told != self.state:
            self._told = self.state
            return {"kind": "state", "state": STATES.get(self.state, "unknown"), "reason": reason}
        if self.state not in (STARTING, LIVE) and time.monotonic() - self._looked_at >= 0.25:
            self._looked_at = time.monotonic()
            return self._look_for_another()
        return None

    def _or_dead(self, state: int) -> int:
        now = time.monotonic()
        beat, epoch = self._seg.load64(HEARTBEAT), self._seg.load64(EPOCH)
        if beat != self._beat or epoch != self._epoch:
            self._beat, self._epoch, self._beat_at = beat, epoch, now
        return DEAD if now - self._beat_at > 1 and state not in (STOPPED, ENDED, CLOSED) else state

    def _look_for_another(self) -> Optional[Item]:
        old = self._seg
        try:
            new = self._attach()
        except (Refusal, OSError):
            return None
        if new.incarnation == old.incarnation or old.load64(HEAD) != self._place.position:
            return None
        last, frames = new.identity["replaced"], new.identity["replaced_next_seq"]
        if last != old.incarnation or frames < self._place.seq:
            self.window.then_unknown = True
            self._pending.append({"kind": "lost", "first": self._place.seq, "next": None})
        elif frames > self._place.seq and not self._floating:
            self._lose(frames)
        self._pending.append({"kind": "reattached", "incarnation": f"{new.incarnation:#018x}"})
        self._enter(new, "seq:0")
        return self._pending.popleft()

    def nap(self) -> None:
        """Section 14, without the futex."""
        time.sleep(0.02 if self.state in (STARTING, LIVE) else 0.25)

    def summary(self) -> Item:
        """The ledger."""
        return {"kind": "summary", "frames": sum(w.frames for w in self.windows),
                "lost": sum(w.lost for w in self.windows),
                "windows": [w.as_item() for w in self.windows]}


def run(args: argparse.Namespace) -> None:
    """What main() does when the words are right."""
    def attach() -> Segment:
        return Segment(args.bus, args.dir, args.trust_owner)

    def say(item: Item) -> None:
        print(json.dumps(item), flush=True)

    def hold(step: str) -> None:
        if step == args.hold:
            say({"kind": "at", "step": step})
            sys.stdin.readline()

    Segment.testpoint = staticmethod(hold)
    if args.info or args.clients:
        segment = attach()
        if args.info:
            say(segment.info())
        if args.clients:
            for line in client_lines(args.bus, args.dir, segment):
                say(line)
        return
    reader = Reader(attach, args.start, args.hex)
    frames = 0
    if args.step:
        say({"kind": "ready"})
    try:
        while frames < args.max and (not args.step or sys.stdin.readline()):
            item = reader.next()
            if item:
                frames += item["kind"] == "frame"
                say(item)
            elif args.drain or (args.until_ended and reader.state == ENDED):
                break
            elif args.step:
                say({"kind": "nothing"})
            else:
                reader.nap()
    except KeyboardInterrupt:
        pass
    say(reader.summary())


def start_word(word: str) -> str:
    """oldest, latest, seq:N or time:T."""
    if not re.fullmatch(r"oldest|latest|(seq|time):[0-9]+", word):
        raise argparse.ArgumentTypeError("oldest, latest, seq:NUMBER or time:NS")
    return word


def main() -> int:
    """Options, one-line errors."""
    p = argparse.ArgumentParser(description="Read an ncp bus; one JSON object per line.")
    p.add_argument("bus")
    p.add_argument("--dir", default=os.environ.get("NCP_DIR") or "/dev/shm")
    p.add_argument("--trust-owner", default=os.environ.get("NCP_TRUST", ""), metavar="USERS")
    p.add_argument("--start", type=start_word, default="latest",
                   help="oldest, latest, seq:NUMBER, time:NS")
    p.add_argument("--max", type=int, default=1 << 64, metavar="N", help="frames, then leave")
    p.add_argument("--until-ended", action="store_true", help="leave when the bus has ended")
    p.add_argument("--drain", action="store_true", help="leave when there is nothing new")
    p.add_argument("--step", action="store_true", help="one item for each line of stdin")
    p.add_argument("--hold", choices=("S2", "W3", "R3", "R7"),
                   help="wait for a line of stdin at this step, each time")
    p.add_argument("--hex", action="store_true", help="the bytes instead of their SHA-256")
    p.add_argument("--info", action="store_true", help="the header and the counters, then leave")
    p.add_argument("--clients", action="store_true", help="the registry's lines, then leave")
    args = p.parse_args()
    try:
        run(args)
    except Refusal as e:
        print(f"reader.py: {args.bus}: {e}", file=sys.stderr)
        return e.status
    except OSError as e:
        print(f"reader.py: {args.bus}: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
