# SPDX-License-Identifier: BSD-2-Clause
"""segment.py - a mapped ncp segment: refusals, words, pairs, waypoints, prologue, counters.

Sections 2 to 10, 17 and 18 of doc/bus-format.md.  "Section" and the step tags (S1, W4 ...) are
that page's.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import platform
import pwd
import re
import stat
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Callable, NamedTuple, Optional

Item = dict[str, Any]

SHB, IDB, EPB, LOCAL = 0x0A0D0D0A, 1, 6, 0x80006E63
U64 = (1 << 64) - 1
MAGIC = b"ncpbus\r\n"
LINE_MAGIC = 0x0A656E696C70636E
STARTING, LIVE, PAUSED, STOPPED, ENDED, CLOSED, DEAD = range(1, 8)
STATES = {STARTING: "starting", LIVE: "live", PAUSED: "paused", STOPPED: "stopped",
          ENDED: "ended", CLOSED: "closed", DEAD: "dead"}

# Section 4.1: what is written once: name, offset, type.
IDENTITY = (
    ("byte_order", 8, "I"), ("major", 12, "H"), ("minor", 14, "H"), ("segment_len", 16, "Q"),
    ("ring_off", 24, "Q"), ("ring_size", 32, "Q"),
    ("waypoint_off", 40, "Q"), ("waypoint_stride", 48, "I"), ("n_waypoints", 52, "I"),
    ("worker_off", 56, "Q"), ("worker_stride", 64, "I"), ("n_workers", 68, "I"),
    ("interface_off", 72, "Q"), ("interface_stride", 80, "I"), ("n_interfaces", 84, "I"),
    ("reliable_off", 88, "Q"), ("reliable_stride", 96, "I"), ("n_reliable", 100, "I"),
    ("prologue_off", 104, "Q"), ("prologue_cap", 112, "I"), ("flags", 116, "I"),
    ("snaplen", 120, "I"), ("mode", 124, "I"), ("gid", 128, "I"), ("created_ns", 136, "Q"),
    ("incarnation", 144, "Q"), ("replaced", 152, "Q"), ("replaced_next_seq", 160, "Q"),
    ("boot_id", 168, "16s"), ("name", 184, "64s"),
)
IDENTITY_END = 248

# Section 4.2: offsets of what changes.
EPOCH, EPOCH_START, STATE, REASON, PID, WORKERS = 512, 520, 528, 532, 536, 540
HEARTBEAT, HEARTBEAT_NS, PROLOGUE_LEN, INTERFACES = 576, 584, 640, 644
TAIL, HEAD, SLOTS, WAYPOINTS, NEWEST_TS = 704, 768, (776, 792), 808, 816

WORKER_FIELDS = ("published", "bytes", "received", "kernel_drops", "freezes", "truncated",
                 "discarded")


class Refusal(Exception):
    """What ends the reading: a code of libncpbus and a text."""

    STATUS = {"NCP_ENOBUS": 3, "NCP_ENAME": 10, "NCP_EACCESS": 11, "NCP_ENOTBUS": 12,
              "NCP_EFOREIGN": 13, "NCP_ENOTREADY": 14, "NCP_EVERSION": 15,
              "NCP_ETRUNCATED": 16, "NCP_ECORRUPT": 17, "ERANGE": 18, "EINVAL": 2}

    def __init__(self, code: str, why: str) -> None:
        super().__init__(f"{code}: {why}")
        self.code = code
        self.status = self.STATUS[code]


def corrupt_unless(good: bool, why: str) -> None:
    """The rule that leads to NCP_ECORRUPT."""
    if not good:
        raise Refusal("NCP_ECORRUPT", why)


def choose_fence() -> Callable[[], None]:
    """Section 8.1: nothing on x86-64; elsewhere libatomic's fence, without which we refuse."""
    if platform.machine() in ("x86_64", "AMD64") and platform.python_implementation() == "CPython":
        return lambda: None
    real = ctypes.CDLL("libatomic.so.1").atomic_thread_fence
    return lambda: real(5)


fence = choose_fence()


def mix(x: int) -> int:
    """Section 10: the finalizer of splitmix64."""
    x = (x + 0x9E3779B97F4A7C15) & U64
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & U64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & U64
    return x ^ (x >> 31)


def check_word(incarnation: int, position: int, seq: int, last: int) -> int:
    """Section 10: what a waypoint, and a cursor of section 18, is signed with."""
    return mix(mix(mix(incarnation ^ position) ^ seq) ^ last)


def text(raw: bytes) -> str:
    """A text of the segment, fit to print (section 19)."""
    s = raw.split(b"\0", 1)[0].decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "\ufffd" for c in s)


def options(body: bytes) -> Iterator[tuple[int, bytes, bool]]:
    """pcapng options of a body: code, value, fits.  One that does not fit is the last."""
    at = 0
    while at + 4 <= len(body):
        code, length = struct.unpack_from("=HH", body, at)
        if code == 0:
            return
        end = at + 4 + length
        yield code, body[at + 4:end], end <= len(body)
        if end > len(body):
            return
        at = (end + 3) & ~3


class Place(NamedTuple):
    """Position of the next block, number of the next frame."""

    position: int
    seq: int


class Waypoint(NamedTuple):
    """An intact one."""

    position: int
    seq: int
    time_ns: int


@dataclass
class Interface:
    """An Interface Description Block of the prologue."""

    linktype: int
    name: str = ""
    description: str = ""
    filter: bool = False


def bus_path(bus: str, directory: str) -> str:
    """Section 2: the segment's file."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", bus):
        raise Refusal("NCP_ENAME", f"{bus!r} is no bus name")
    return os.path.join(directory, "ncp." + bus)


def trusted_uids(told: str) -> set[int]:
    """Section 3, step 4."""
    uids = {0, os.geteuid()}
    for who in ["ncp", *filter(None, told.split(","))]:
        try:
            uids.add(int(who) if who.isdecimal() else pwd.getpwnam(who).pw_uid)
        except KeyError:
            if who != "ncp":
                raise Refusal("EINVAL", f"no such user: {who}") from None
    return uids


class Segment:
    """A mapped segment that passed section 3: words, bytes of the ring, pairs and waypoints."""

    # Called in the middle of a step, for tests that let the producer run just then.
    testpoint: Callable[[str], None] = staticmethod(lambda step: None)

    def __init__(self, bus: str, directory: str, trust: str) -> None:
        path = bus_path(bus, directory)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            raise Refusal("NCP_ENOBUS", f"{path}: no such bus") from None
        except PermissionError as e:
            raise Refusal("NCP_EACCESS", f"{path}: {e.strerror}") from None
        except OSError as e:
            if e.errno not in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
                raise
            raise Refusal("NCP_ENOTBUS", f"{path}: {e.strerror}") from None
        try:
            self._map(fd, path, trust)
        finally:
            os.close(fd)
        self._check_identity()
        self._prologue = b""
        self.interfaces: list[Interface] = []

    def _map(self, fd: int, path: str, trust: str) -> None:
        """Steps 3 to 6."""
        st = os.fstat(fd)
        if not stat.S_ISREG(st.st_mode):
            raise Refusal("NCP_ENOTBUS", f"{path}: no regular file")
        if st.st_uid not in trusted_uids(trust):
            raise Refusal("NCP_EFOREIGN", f"{path}: belongs to user {st.st_uid}")
        if st.st_size < 4096:
            raise Refusal("NCP_ENOTREADY", f"{path}: being made")
        self.file_len = st.st_size
        self._map_obj = mmap.mmap(fd, st.st_size, mmap.MAP_SHARED, mmap.PROT_READ)
        self._bytes = memoryview(self._map_obj)
        whole = self._bytes[:st.st_size & ~7]
        self._u64, self._u32 = whole.cast("Q"), whole.cast("I")
        magic = self.load64(0).to_bytes(8, sys.byteorder)
        if magic == bytes(8):
            raise Refusal("NCP_ENOTREADY", f"{path}: being made")
        if magic != MAGIC:
            raise Refusal("NCP_ENOTBUS", f"{path}: no magic")

    def _check_identity(self) -> None:
        """Steps 7 to 10, on a copy."""
        copy = bytes(self._bytes[:IDENTITY_END])
        f = {n: struct.unpack_from("=" + t, copy, at)[0] for n, at, t in IDENTITY}
        self.identity = f
        if f["byte_order"] != 0x0A0B0C0D:
            raise Refusal("NCP_EVERSION", "the byte order of another machine")
        if f["major"] != 1:
            raise Refusal("NCP_EVERSION",
                          f"layout {f['major']}.{f['minor']}, this reader knows 1.0")
        if f["segment_len"] > self.file_len:
            raise Refusal("NCP_ETRUNCATED",
                          f"{self.file_len} bytes, the header says {f['segment_len']}")
        size, off = f["ring_size"], f["ring_off"]
        corrupt_unless(size >= 65536 and size & (size - 1) == 0, "ring_size")
        corrupt_unless(0 < off <= f["segment_len"] and off % 2097152 == 0, "ring_off")
        corrupt_unless(size <= f["segment_len"] - off, "ring beyond the segment")
        tables = [("worker", "n_workers"), ("interface", "n_interfaces"),
                  ("reliable", "n_reliable"), ("waypoint", "n_waypoints"),
                  ("prologue", "prologue_cap")]
        for table, count in tables:
            at, stride = f[table + "_off"], f.get(table + "_stride", 1)
            corrupt_unless(at % 8 == 0 and 4096 <= at <= off, table + "_off")
            corrupt_unless(f[count] * stride <= off - at, table + " table beyond the ring's start")
            if table in ("worker", "interface", "reliable"):
                corrupt_unless(stride % 8 == 0 and stride >= 64, table + "_stride")
        corrupt_unless(f["waypoint_stride"] == 32, "waypoint_stride")
        n = f["n_waypoints"]
        corrupt_unless(n != 0 and n & (n - 1) == 0, "n_waypoints")
        corrupt_unless(f["n_workers"] != 0, "n_workers")
        corrupt_unless(f["incarnation"] != 0, "incarnation")
        corrupt_unless(b"\0" in f["name"], "name")
        self.ring_off, self.ring_size, self.incarnation = off, size, f["incarnation"]

    # Section 8.1: one element of a cast view is one aligned machine word.

    def load64(self, off: int) -> int:
        """A whole u64, with acquire order."""
        value = self._u64[off >> 3]
        fence()
        return value

    def load32(self, off: int) -> int:
        """A whole u32, with acquire order."""
        value = self._u32[off >> 2]
        fence()
        return value

    def state(self) -> int:
        """Section 15, as stored; 0 counts as starting."""
        return self.load32(STATE) or STARTING

    def ring32(self, position: int) -> int:
        """A word of the ring at a position that is a multiple of 4: never split."""
        return self._u32[(self.ring_off + position % self.ring_size) >> 2]

    def ring_copy(self, position: int, n: int) -> bytes:
        """n <= ring_size bytes of the ring, its halves joined (section 7)."""
        at = position % self.ring_size
        first = min(n, self.ring_size - at)
        start = self.ring_off + at
        return bytes(self._bytes[start:start + first]) + \
            bytes(self._bytes[self.ring_off:self.ring_off + n - first])

    def newest(self) -> Place:
        """Section 9: head and the number of the next frame."""
        for _ in range(1_000_000):
            head = self.load64(HEAD)                                            # S1
            seq = None
            for slot in SLOTS:                                                  # S2
                if self._u64[slot >> 3] == head:
                    self.testpoint("S2")
                    seq = self._u64[(slot >> 3) + 1]
                    break
            fence()                                                             # S3
            tail = self.load64(TAIL)
            if self.load64(HEAD) != head:                                       # S4
                continue
            corrupt_unless(seq is not None, "no slot bears head")
            corrupt_unless(tail <= head, "tail beyond head")
            return Place(head, seq or 0)
        raise Refusal("NCP_ECORRUPT", "slots never agree with head")

    def waypoints(self) -> Iterator[Waypoint]:
        """Section 10: the intact ones, rising."""
        off, n = self.identity["waypoint_off"], self.identity["n_waypoints"]
        head = self.load64(HEAD)                                                # W1
        count = self.load64(WAYPOINTS)                                          # W2
        for i in range(max(0, count - n), count):
            at = (off >> 3) + i % n * 4
            position = self._u64[at]                                            # W3
            self.testpoint("W3")
            seq, time_ns, check = self._u64[at + 1:at + 4]
            if check != check_word(self.identity["incarnation"], position, seq, time_ns) or \
                    position % 4 or position > head:                            # W4
                continue
            fence()                                                             # W5
            if self.load64(TAIL) <= position:                                   # W6
                yield Waypoint(position, seq, time_ns)

    def interface(self, i: int) -> Interface:
        """Section 5: interface i, from a copy of the prologue that grows when need be."""
        if i >= len(self.interfaces):
            self.read_prologue()
        corrupt_unless(i < len(self.interfaces), f"interface {i} is not in the prologue")
        return self.interfaces[i]

    def read_prologue(self) -> None:
        """Copy what is new of it, check and parse it.  Its caller loaded head before."""
        n, old = self.load32(PROLOGUE_LEN), len(self._prologue)
        corrupt_unless(old <= n <= self.identity["prologue_cap"] and n % 4 == 0, "prologue_len")
        at = self.identity["prologue_off"]
        self._prologue += bytes(self._bytes[at + old:at + n])
        at, p = old, self._prologue
        while at < n:
            corrupt_unless(n - at >= 12, "prologue: half a block")
            kind, length = struct.unpack_from("=II", p, at)
            corrupt_unless(12 <= length <= n - at and length % 4 == 0, "prologue: block length")
            block = p[at:at + length]
            corrupt_unless(struct.unpack_from("=I", block, length - 4)[0] == length,
                           "prologue: lengths differ")
            corrupt_unless((kind == SHB) == (at == 0), "prologue: section header")
            if kind == SHB:
                corrupt_unless(length >= 28 and block[8:12] == struct.pack("=I", 0x1A2B3C4D),
                               "prologue: section header's length or byte order")
                corrupt_unless(all(fits for _, _, fits in options(block[24:-4])),
                               "prologue: option")
            elif kind == IDB:
                self.interfaces.append(self._parse_idb(block))
            at += length

    @staticmethod
    def _parse_idb(block: bytes) -> Interface:
        corrupt_unless(len(block) >= 20, "prologue: interface description too short")
        i = Interface(struct.unpack_from("=H", block, 8)[0])
        for code, value, fits in options(block[16:-4]):
            corrupt_unless(fits, "prologue: option")
            if code == 2:
                i.name = text(value)
            elif code == 3:
                i.description = text(value)
            elif code == 11:
                i.filter = True
            elif code == 9:
                corrupt_unless(value == b"\x09", "prologue: if_tsresol is not 9")
        return i

    def info(self) -> Item:
        """All the header says, the counters of section 17, the pair of section 9."""
        f = dict(self.identity)
        f["name"], f["boot_id"] = text(f["name"]), f["boot_id"].hex()
        f["incarnation"], f["replaced"] = (f"{f[k]:#018x}" for k in ("incarnation", "replaced"))
        place = self.newest()
        self.read_prologue()
        state, workers = self.state(), self.identity["n_workers"]
        f.update(
            epoch=self.load64(EPOCH), epoch_start_ns=self.load64(EPOCH_START),
            state=STATES.get(state, "unknown"), reason=self.load32(REASON), pid=self.load32(PID),
            workers=self.load32(WORKERS), heartbeat=self.load64(HEARTBEAT),
            heartbeat_ns=self.load64(HEARTBEAT_NS), prologue_len=len(self._prologue),
            tail=self.load64(TAIL), head=place.position, published=place.seq,
            waypoints=self.load64(WAYPOINTS), newest_ts_ns=self.load64(NEWEST_TS))
        lines = [self._counters("worker", k, WORKER_FIELDS) for k in range(workers)]
        f["total"] = {n: sum(line[n] for line in lines) for n in WORKER_FIELDS}
        f["worker"] = lines[:f["workers"]]
        f["interface"] = [
            {"linktype": i.linktype, "name": i.name, "description": i.description,
             **self._counters("interface", k, ("published", "received", "kernel_drops"))}
            for k, i in enumerate(self.interfaces[:self.identity["n_interfaces"]])]
        return f

    def _counters(self, table: str, k: int, names: tuple[str, ...]) -> Item:
        at = self.identity[table + "_off"] + k * self.identity[table + "_stride"]
        return {n: self.load64(at + 8 * j) for j, n in enumerate(names)}


def client_lines(bus: str, directory: str, segment: Segment) -> Iterator[Item]:
    """Section 18: the lines of the registry."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        dirfd = os.open(bus_path(bus, directory) + "+clients", flags | os.O_DIRECTORY)
    except OSError:
        return
    try:
        for name in sorted(os.listdir(dirfd)):
            if name[0] in ".+":
                continue
            try:
                fd = os.open(name, flags, dir_fd=dirfd)
            except OSError:
                continue
            try:
                line = client_line(fd, segment)
            finally:
                os.close(fd)
            if line:
                yield line
    finally:
        os.close(dirfd)


def client_line(fd: int, segment: Segment) -> Optional[Item]:
    """One of them; None: no line."""
    st = os.fstat(fd)
    if not stat.S_ISREG(st.st_mode) or st.st_size != 256:
        return None
    raw = os.pread(fd, 256, 0)
    if len(raw) != 256:
        return None
    magic, version, pid, incarnation, since, flags, _serial, frames, filtered, lost, name, \
        *words = struct.unpack_from("=QIIQQIIQQQ64s7Q", raw)
    if magic != LINE_MAGIC or version != 1:
        return None
    cursors = [Place(position, seq) for position, seq, check in (words[:3], words[3:6])
               if check == check_word(incarnation, position, seq, magic)]
    lock = struct.pack("hhqqi4x", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
    locked = struct.unpack("hhqqi4x", fcntl.fcntl(fd, fcntl.F_OFD_GETLK, lock))[0]
    young = time.time() - st.st_ctime < 1
    line: Item = {
        "kind": "client", "uid": st.st_uid, "pid": pid, "name": text(name), "since_ns": since,
        "incarnation": f"{incarnation:#018x}", "reliable": flags & 1, "frames": frames,
        "filtered": filtered, "lost": lost, "others": words[6], "position": None, "seq": None,
        "life": "alive" if locked == fcntl.F_WRLCK else "young" if young else "dead"}
    if cursors and incarnation == segment.incarnation:
        best, newest = max(cursors), segment.newest()
        line["position"] = min(best.position, newest.position)
        line["seq"] = min(best.seq, newest.seq)
    return line
