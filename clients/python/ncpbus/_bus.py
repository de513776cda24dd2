# SPDX-License-Identifier: BSD-2-Clause
"""_bus.py - a client of one bus."""
from __future__ import annotations

import ctypes
import time
import weakref
from array import array
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import IntEnum
from types import TracebackType
from typing import (Any, Deque, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Type,
                    Union)

from . import _abi

_lib = _abi.load()
_next_batch = _lib.ncp_next_batch
_intact = _lib.ncp_intact
_FRAME = _abi.FRAME_STRUCT
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

# Frames that are fetched by one call of the library.  More cost nothing but the time between the
# look at a frame and the library's own check of it.
_FETCH = 64
_EPB_HEADER = 28  # bytes of a block before its frame's; doc/bus-format.md
_BATCH_MAX = 1 << 20


class Error(Exception):
    """What libncpbus answered: code is negative, one of NCP_E* or -errno."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


class NoSuchBus(Error):
    """No bus of that name, or it is just being made."""


class AccessDenied(Error):
    """The bus is there, and you may not read it, or its owner is not trusted."""


class FilterError(Error):
    """The filter does not compile for any of the bus's interfaces."""


class Overwritten(Exception):
    """The producer overwrote the frame before its bytes were copied."""


class State(IntEnum):
    """What a bus says of itself; DEAD is this client's own finding."""

    STARTING = 1
    LIVE = 2
    PAUSED = 3
    STOPPED = 4
    ENDED = 5
    CLOSED = 6
    DEAD = 7


class Reason(IntEnum):
    """Why, beside a state."""

    NONE = 0
    INTERFACE_DOWN = 1
    INTERFACE_GONE = 2
    EXHAUSTED = 3
    COUNT = 4
    SIGNAL = 5
    GEOMETRY = 6
    SOURCE_ERROR = 7
    WAITING = 8


@dataclass(frozen=True)
class Seq:
    """Where: frame number value, of the bus with that incarnation (0: of this one)."""

    value: int
    incarnation: int = 0


@dataclass(frozen=True)
class Time:
    """Where: the first frame at or after value, in ns since 1970 UTC."""

    value: int


@dataclass(frozen=True)
class Cursor:
    """Where: a place that tell() gave, to come back to, also in another process."""

    incarnation: int
    seq: int


# "latest", "oldest", a place, a time of day (with a time zone), or how long ago.
Where = Union[str, Seq, Time, Cursor, datetime, timedelta]


@dataclass(frozen=True)
class Lost:
    """Frames [seq, next_seq) were overwritten before they were read; None: nobody knows how many."""

    seq: int
    next_seq: Optional[int]
    incarnation: int

    @property
    def count(self) -> Optional[int]:
        return None if self.next_seq is None else self.next_seq - self.seq


@dataclass(frozen=True)
class StateChange:
    """The bus changed its state."""

    state: State
    reason: Reason
    seq: int
    incarnation: int


@dataclass(frozen=True)
class Reattached:
    """The bus was replaced; from here on frames and numbers are the new one's."""

    seq: int
    incarnation: int


@dataclass(frozen=True)
class Evicted:
    """The client stalled longer than the producer allows and is no longer waited for."""

    seq: int
    incarnation: int


@dataclass(frozen=True)
class Unlisted:
    """Somebody deleted the client's line in the registry; it was made again."""

    seq: int
    incarnation: int


Event = Union[Lost, StateChange, Reattached, Evicted, Unlisted]


class Frame(NamedTuple):
    """A frame.

    data is a read-only memoryview into the ring, valid until the next one is asked for: then it
    is released, and using it is a ValueError.  With copy=True it is bytes, and stays.
    """

    data: Union[memoryview, bytes]
    ts_ns: int  # ns since 1970 UTC
    len: int  # bytes on the wire
    caplen: int  # bytes captured: of data
    seq: int  # its number, +1 per frame since the bus was made
    interface: int  # for Bus.interface()
    flags: int  # the block's epb_flags
    dropcount: int  # frames the kernel lost just before it
    position: int
    incarnation: int
    bus: Optional["Bus"]  # None: data is a copy

    @property
    def time(self) -> float:
        """Seconds since 1970 UTC; exact to some 200 ns, which is what a float can hold."""
        return self.ts_ns / 1e9

    @property
    def datetime(self) -> datetime:
        """The same as a datetime in UTC; exact to a microsecond."""
        return _EPOCH + timedelta(microseconds=self.ts_ns // 1000)

    @property
    def direction(self) -> str:
        """in, out, or nothing if that is not known."""
        return ("", "in", "out", "")[self.flags & 3]

    def intact(self) -> bool:
        """Was all that was read of data so far whole?  Ask before acting on it."""
        return self.bus is None or self.bus._is_intact(self.position, self.incarnation)

    def __bytes__(self) -> bytes:
        """A copy of data that is known to be whole; else Overwritten."""
        copied = bytes(self.data)
        if not self.intact():
            raise Overwritten(f"frame {self.seq} was overwritten before it was copied")
        return copied


class Batch:
    """Up to n frames at once, as columns.

    seq, ts_ns, len, caplen, interface, flags, dropcount, position are numpy arrays, or array.array
    where there is no numpy; they stay.  The frames' bytes are in data, frame i at offset[i] with
    caplen[i] bytes; batch[i] is that view.  Views are valid until the next call on the bus.
    """

    def __init__(self, bus: "Bus", records: Any, n: int, view: memoryview, base: int) -> None:
        self._bus = bus
        self._n = n
        self.data = view
        self._numpy = bus._numpy
        if self._numpy:
            self._records = self._numpy.frombuffer(records, self._numpy.dtype(
                _abi.FRAME_DTYPE), n).copy()
            self.offset = self._records["data"].astype("u8") - self._numpy.uint64(base)
        else:
            self._records = list(_FRAME.iter_unpack(records[:n * _FRAME.size]))
            self.offset = array("Q", [row[2] - base for row in self._records])
        self._lowest = int(self.position.min() if self._numpy else min(self.position))
        self._incarnation = int(self._column("incarnation")[0])

    def _column(self, name: str) -> Any:
        if self._numpy:
            return self._records[name]
        index = _abi.FRAME_FIELDS.index(name)
        return array("Q", [row[index] for row in self._records])

    @property
    def seq(self) -> Any:
        return self._column("seq")

    @property
    def ts_ns(self) -> Any:
        return self._column("ts_ns")

    @property
    def len(self) -> Any:
        return self._column("len")

    @property
    def caplen(self) -> Any:
        return self._column("caplen")

    @property
    def interface(self) -> Any:
        return self._column("interface")

    @property
    def flags(self) -> Any:
        return self._column("flags")

    @property
    def dropcount(self) -> Any:
        return self._column("dropcount")

    @property
    def position(self) -> Any:
        return self._column("position")

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, i: int) -> memoryview:
        if not -self._n <= i < self._n:
            raise IndexError(i)
        start = int(self.offset[i])
        row = self._records[i]
        return self.data[start:start + int(row["caplen"] if self._numpy else row[3])]

    def __iter__(self) -> Iterator[memoryview]:
        return (self[i] for i in range(self._n))

    def head(self, width: int) -> Any:
        """The first width bytes of each frame as a copy: a uint8 array of n rows; what a frame has
        not is 0.  Needs numpy.  Ask intact() afterwards."""
        np = self._numpy
        if not np:
            raise ImportError("Batch.head() needs numpy")
        data = np.frombuffer(self.data, np.uint8)
        at = self.offset.astype(np.int64)[:, None] + np.arange(width)
        rows = data[np.minimum(at, len(data) - 1)]
        rows[np.arange(width) >= self.caplen[:, None]] = 0
        return rows

    def intact(self) -> bool:
        """Was all that was read of the batch's bytes so far whole?  Ask before acting on it."""
        return self._bus._is_intact(self._lowest, self._incarnation)


@dataclass(frozen=True)
class Window:
    """frames + filtered + others + lost == next_seq - first_seq, always."""

    incarnation: int
    first_seq: int
    next_seq: int
    frames: int
    filtered: int
    others: int
    lost: int


@dataclass(frozen=True)
class Stats:
    """The client's own ledger; see ncp_stats(3).  What was fetched counts as handed out."""

    reattached: int
    now: Window
    before: Window
    total: Window
    waiting: int
    late: int


@dataclass(frozen=True)
class Interface:
    """An interface of the bus; None: not known."""

    linktype: int
    snaplen: int
    name: str
    description: str
    published: int
    received: Optional[int]
    kernel_drops: int


@dataclass(frozen=True)
class Info:
    """What the bus's header says; see ncp_bus_info(3)."""

    name: str
    state: State
    reason: Reason
    pid: int
    n_interfaces: int
    n_workers: int
    snaplen: int
    reliable: bool
    epoch: int
    incarnation: int
    created_ns: int
    ring_size: int
    oldest_seq: int
    oldest_ts_ns: int
    next_seq: int
    newest_ts_ns: int
    bytes: int
    received: int
    kernel_drops: int
    freezes: int
    truncated: int
    discarded: int
    trusted_uid: int


@dataclass(frozen=True)
class Peer:
    """A client, as it tells of itself; only uid is proved."""

    uid: int
    pid: int
    name: str
    reliable: int
    incarnation: int
    seq: int
    frames: int
    filtered: int
    others: int
    lost: int
    since_ns: int


class _Handle:
    """Detaches when the last one who needs the mapping has gone: the bus, or a view of it."""

    def __init__(self, pointer: int) -> None:
        self.pointer = pointer

    def __del__(self, detach: Any = _lib.ncp_detach) -> None:
        detach(self.pointer)


def _text(code: int) -> str:
    return str((_lib.ncp_strerror(code) or b"").decode())


def _check(code: int, text: str = "") -> int:
    if code >= 0:
        return code
    kind = {_abi.ENOBUS: NoSuchBus, _abi.ENOTREADY: NoSuchBus, _abi.EACCESS: AccessDenied,
            _abi.EFOREIGN: AccessDenied, _abi.EFILTER: FilterError}.get(code, Error)
    raise kind(code, text or _text(code))


def _encode(text: Optional[str]) -> Optional[bytes]:
    return None if text is None else text.encode()


def _where(where: Where, to: Any) -> None:
    if isinstance(where, timedelta):
        where = datetime.now(timezone.utc) - where
    if isinstance(where, datetime):
        if where.tzinfo is None:
            raise ValueError("a datetime without a time zone: use datetime.now(timezone.utc)")
        since = where - _EPOCH
        where = Time(max(0, (since.days * 86400 + since.seconds) * 10**9 +
                         since.microseconds * 1000))
    if isinstance(where, str):
        if where not in ("latest", "oldest"):
            raise ValueError(f"{where!r} is not 'latest' or 'oldest'")
        to.whence = _abi.OLDEST if where == "oldest" else _abi.LATEST
    elif isinstance(where, Time):
        to.whence, to.value = _abi.TIME, where.value
    elif isinstance(where, Cursor):
        to.whence, to.value, to.incarnation = _abi.SEQ, where.seq, where.incarnation
    elif isinstance(where, Seq):
        to.whence, to.value, to.incarnation = _abi.SEQ, where.value, where.incarnation
    else:
        raise TypeError(f"not a place in a bus: {where!r}")


def _import_numpy() -> Any:
    try:
        import numpy
    except ImportError:
        return None
    return numpy


class Bus:
    """A client of the bus of that name; a context manager, and an iterable of its frames.

    start         where to begin: "latest", "oldest", Seq, Time, Cursor, datetime, timedelta (ago)
    filter        only frames that match, see pcap-filter(7)
    copy          frames own their bytes, which are known to be whole; none is also in a Lost
    client        name in the registry; the program's if None
    dir           where the busses are; $NCP_DIR, else /dev/shm
    trust_owner   users (by commas) whose busses are trusted too; $NCP_TRUST
    reliable      the producer waits for this client; the bus must be --reliable
    registry      be seen by ncp-stats
    reattach      go on in the new bus when this one is replaced
    ordered       in the order of their times, within a window of reorder_ns (0: 50 ms)
    shard         (index, n): only the flows of that share
    group         share the frames with the others of that group

    One Bus belongs to one thread at a time and does not survive os.fork().
    """

    def __init__(self, name: str, *, start: Where = "latest", filter: Optional[str] = None,
                 copy: bool = False, client: Optional[str] = None, dir: Optional[str] = None,
                 trust_owner: Optional[str] = None, reliable: bool = False, registry: bool = True,
                 reattach: bool = True, ordered: bool = False, reorder_ns: int = 0,
                 shard: Optional[Tuple[int, int]] = None, group: Optional[str] = None) -> None:
        self._handle: Optional[_Handle] = None
        self._numpy = _import_numpy()
        self._copy = copy
        self._stays = not reattach
        self._records: Any = bytearray(_FETCH * _FRAME.size)
        self._ring: Optional[memoryview] = None
        self._base = 0
        self._exporter: Optional["weakref.ref[Any]"] = None
        self._replaced = False
        self._ended = False  # and that was told
        self._incarnation = 0
        self._rows: List[Tuple[int, ...]] = []
        self._at = 0  # of _rows, the next to be handed out
        self._items: Deque[Union[Frame, Event]] = deque()  # copy: to be handed out before _rows
        error = ctypes.create_string_buffer(256)
        options = _abi.NcpOptions()
        _where(start, options.from_)
        options.flags = (reliable * _abi.RELIABLE | (not registry) * _abi.NO_REGISTRY |
                         (not reattach) * _abi.NO_REATTACH | ordered * _abi.ORDERED)
        options.name = _encode(client)
        options.dir = _encode(dir)
        options.trust_owner = _encode(trust_owner)
        options.reorder_ns = reorder_ns
        options.group = _encode(group)
        if shard:
            options.shard_idx, options.shard_n = shard
        options.error = ctypes.cast(error, ctypes.c_char_p)
        options.error_cap = len(error)
        pointer = ctypes.c_void_p()
        _check(_lib.ncp_attach(ctypes.byref(pointer), name.encode(), ctypes.byref(options)),
               error.value.decode(errors="replace"))
        self._handle = _Handle(pointer.value or 0)
        if filter:
            self.set_filter(filter)

    # --- life ------------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of the bus.  Views that somebody still holds keep the mapping until they go."""
        self._forget()
        self._drop_ring()
        self._handle = None

    def _forget(self) -> None:
        self._rows, self._at = [], 0
        self._items.clear()

    def __enter__(self) -> "Bus":
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], value: Optional[BaseException],
                 traceback: Optional[TracebackType]) -> None:
        self.close()

    def _pointer(self) -> int:
        if self._handle is None:
            raise ValueError("the bus is closed")
        return self._handle.pointer

    # --- memory ----------------------------------------------------------------------------

    def _drop_ring(self) -> None:
        if self._ring is not None:
            try:
                self._ring.release()
            except BufferError:
                pass  # a numpy array on it; it goes with that
            self._ring = None

    def _map(self, address: int, size: int) -> memoryview:
        """Size bytes at address as a view that keeps the client attached."""
        memory = (ctypes.c_ubyte * size).from_address(address)
        memory.handle = self._handle  # type: ignore[attr-defined]
        self._exporter = weakref.ref(memory)
        return memoryview(memory).toreadonly().cast("B")

    def _view(self, rows: List[Tuple[int, ...]]) -> Tuple[memoryview, int]:
        """A view of the memory that all rows are in, and its address.

        The ring is mapped twice in a row, so a batch is never split.  Where it begins follows from
        any frame's address and position; should a frame not be in it, it gets a view of its own.
        """
        low = min(row[2] for row in rows)
        high = max(row[2] + row[3] for row in rows)
        if self._ring is None:
            ring_size = self.info().ring_size
            address, position = rows[0][2], rows[0][8]
            self._base = address - _EPB_HEADER - position % ring_size
            self._incarnation = rows[0][9]
            if low < self._base or high > self._base + 2 * ring_size:
                return self._map(low, high - low), low
            self._ring = self._map(self._base, 2 * ring_size)
        if low < self._base or high > self._base + len(self._ring):
            return self._map(low, high - low), low
        return self._ring, self._base

    def _is_intact(self, position: int, incarnation: int) -> bool:
        # Of a bus that was replaced nothing can be said any more.
        return incarnation == self._incarnation and _intact(self._pointer(), position) == 1

    # --- reading ---------------------------------------------------------------------------

    def _fetch(self, n: int) -> int:
        """Up to n frames or an event into _records: how many, 0 for nothing new."""
        pointer = self._pointer()
        if self._replaced:
            # This call unmaps the old bus: nobody may hold a view of it any more.
            self._drop_ring()
            self._replaced = False
            if self._exporter is not None and self._exporter() is not None:
                self._replaced = True
                raise BufferError("views of the bus that was replaced are still held: let go of "
                                  "them before the next frame")
        if len(self._records) < n * _FRAME.size:
            self._records = bytearray(n * _FRAME.size)
        buffer = (ctypes.c_ubyte * len(self._records)).from_buffer(self._records)
        ctypes.c_uint32.from_buffer(self._records).value = _FRAME.size
        return _check(_next_batch(pointer, ctypes.addressof(buffer), n))

    def _event(self, row: Tuple[int, ...]) -> Event:
        kind, seq, next_seq, incarnation = row[1], row[6], row[7], row[9]
        if kind == _abi.LOST:
            return Lost(seq, None if next_seq == _abi.UNKNOWN else next_seq, incarnation)
        if kind == _abi.STATE:
            state = State(row[13] if row[13] in State._value2member_map_ else State.PAUSED)
            reason = Reason(row[14] if row[14] in Reason._value2member_map_ else Reason.NONE)
            self._ended = state == State.ENDED or (state == State.CLOSED and self._stays)
            return StateChange(state, reason, seq, incarnation)
        if kind == _abi.REATTACHED:
            self._replaced = True
            self._ended = False
            self._incarnation = 0
            return Reattached(seq, incarnation)
        if kind == _abi.EVICTED:
            return Evicted(seq, incarnation)
        return Unlisted(seq, incarnation)

    def _wait(self, end: Optional[float]) -> bool:
        """Sleep until there is something new; False when the time is up."""
        while True:
            ms = 1000
            if end is not None:
                ms = min(ms, int((end - time.monotonic()) * 1000) + 1)
                if ms <= 0:
                    return False
            # A signal ends the wait, and its handler runs (and may raise) between two calls.
            r = _lib.ncp_wait(self._pointer(), ms)
            if r == 1:
                return True
            if r < 0 and r != -4:
                _check(r)

    def _await(self, n: int, timeout: Optional[float]) -> int:
        """_fetch() until there is something; 0 when the time is up or the bus has ended."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            k = self._fetch(n)
            if k or self._ended or not self._wait(end):
                return k

    def read(self, timeout: Optional[float] = None) -> Iterator[Union[Frame, Event]]:
        """Frames, and the events between them, in their order.

        Ends after the bus has (StateChange to ENDED, or CLOSED without reattach), or when nothing
        new came for timeout seconds; 0: with what there is now; None: never for that.
        Can be left and begun again: it goes on where it was.
        """
        new = tuple.__new__
        while True:
            while self._items:
                item = self._items.popleft()
                yield item
                if not self._items and not self._rows and self._ended:
                    return
            if self._at >= len(self._rows):
                self._rows, self._at = [], 0
                k = self._await(_FETCH, timeout)
                if k == 0:
                    return
                rows = self._decode(k)
                if rows[0][1] != _abi.FRAME:
                    yield self._event(rows[0])
                    if self._ended:
                        return
                    continue
                self._rows = rows
            if self._copy:
                self._copy_rows()
                continue
            rows = self._rows
            ring, base = self._view(rows)
            i = self._at
            while self._at == i < len(rows):
                (_, _, address, caplen, length, ts_ns, seq, _, position, incarnation, dropcount,
                 interface, flags, _, _) = rows[i]
                i += 1
                self._at = i
                address -= base
                view = ring[address:address + caplen]
                yield new(Frame, (view, ts_ns, length, caplen, seq, interface, flags, dropcount,
                                  position, incarnation, self))
                try:
                    view.release()
                except BufferError:
                    pass  # a numpy array on it

    def _decode(self, k: int) -> List[Tuple[int, ...]]:
        return list(_FRAME.iter_unpack(memoryview(self._records)[:k * _FRAME.size]))

    def _copy_rows(self) -> None:
        """All of _rows as copies into _items, and the events behind them.

        Whether a frame was still whole the library says at its next call, which therefore is made
        before any of them is handed out: so a frame is either handed out or lost, never both.
        """
        ring, base = self._view(self._rows)
        copies = [Frame(bytes(ring[row[2] - base:row[2] - base + row[3]]), row[5], row[4], row[3],
                        row[6], row[11], row[12], row[10], row[8], row[9], None)
                  for row in self._rows]
        self._rows, self._at = [], 0
        events: List[Event] = []
        k = self._fetch(_FETCH)
        while k:
            rows = self._decode(k)
            if rows[0][1] == _abi.FRAME:
                self._rows = rows
                break
            event = self._event(rows[0])
            events.append(event)
            if not isinstance(event, Lost):
                break
            copies = [f for f in copies if f.incarnation != event.incarnation or f.seq < event.seq or
                      (event.next_seq is not None and f.seq >= event.next_seq)]
            k = self._fetch(_FETCH)
        self._items.extend(copies)
        self._items.extend(events)

    def frames(self, timeout: Optional[float] = None) -> Iterator[Frame]:
        """Frames only.  What was lost between them is in stats()."""
        for item in self.read(timeout):
            if item.__class__ is Frame:
                yield item  # type: ignore[misc]

    def __iter__(self) -> Iterator[Frame]:
        return self.frames()

    def batch(self, n: int = 4096, timeout: Optional[float] = None) -> Union[Batch, Event, None]:
        """Up to n frames at once, or the event that comes next; None when nothing new came for
        timeout seconds, or the bus has ended and that was told."""
        if not 1 <= n <= _BATCH_MAX:
            raise ValueError(f"n is not in 1..{_BATCH_MAX}")
        if self._items or self._at < len(self._rows):
            raise ValueError("frames of read() are left: read on, or seek()")
        k = self._await(n, timeout)
        if k == 0:
            return None
        first = _FRAME.unpack_from(self._records)
        if first[1] != _abi.FRAME:
            return self._event(first)
        last = _FRAME.unpack_from(self._records, (k - 1) * _FRAME.size)
        rows = [first, last]
        if self._ring is None or not self._numpy:
            self._view(rows)
        if self._numpy:
            data = self._numpy.frombuffer(self._records, self._numpy.dtype(_abi.FRAME_DTYPE), k)
            at = data["data"]
            low = int(at.min())
            high = int((at + data["caplen"]).max())
            rows = [(0, 0, low, high - low) + first[4:]]
        else:
            rows = self._decode(k)
        view, base = self._view(rows)
        return Batch(self, self._records, k, view, base)

    def fileno(self) -> int:
        """A descriptor for select, poll and asyncio, readable when there may be something new.
        Then read(timeout=0) until it ends.  Starts a thread."""
        return _check(_lib.ncp_fd(self._pointer()))

    # --- places and filters ----------------------------------------------------------------

    def seek(self, where: Where) -> None:
        """Go somewhere else.  A number that is gone comes as Lost; what "oldest" or a time no
        longer reaches is missing, not lost."""
        to = _abi.NcpWhere()
        _where(where, to)
        _check(_lib.ncp_seek(self._pointer(), ctypes.byref(to)))
        self._forget()

    def tell(self) -> Cursor:
        """The place of the frame after the last one handed out."""
        if self._items:
            return Cursor(self._items[0].incarnation, self._items[0].seq)
        if self._at < len(self._rows):
            row = self._rows[self._at]
            return Cursor(row[9], row[6])
        at = _abi.NcpCursor()
        _check(_lib.ncp_tell(self._pointer(), ctypes.byref(at)))
        return Cursor(at.incarnation, at.seq)

    def set_filter(self, expression: Optional[str]) -> bool:
        """From the next fetch on only frames that match.  False: some of the bus's interfaces do
        not fit the filter, and their frames do not match."""
        error = ctypes.create_string_buffer(256)
        r = _lib.ncp_set_filter(self._pointer(), _encode(expression), error, len(error))
        return _check(r, error.value.decode(errors="replace")) == 0

    def set_bpf(self, program: Sequence[Tuple[int, int, int, int]]) -> None:
        """The same by a compiled program: (code, jt, jf, k) each; none: every frame."""
        insns = (_abi.NcpBpfInsn * max(1, len(program)))(
            *(_abi.NcpBpfInsn(*insn) for insn in program))
        _check(_lib.ncp_set_bpf(self._pointer(), insns, len(program)))

    # --- looking ---------------------------------------------------------------------------

    def stats(self) -> Stats:
        s = _abi.NcpStats()
        _check(_lib.ncp_stats(self._pointer(), ctypes.byref(s)))

        def window(w: Any) -> Window:
            return Window(*(getattr(w, name) for name, _ in _abi.NcpWindow._fields_))

        return Stats(s.reattached, window(s.now), window(s.before), window(s.total), s.waiting,
                     s.late)

    def info(self) -> Info:
        i = _abi.NcpBusInfo()
        _check(_lib.ncp_bus_info(self._pointer(), ctypes.byref(i)))
        values = {name: getattr(i, name) for name in Info.__dataclass_fields__}
        values["name"] = i.name.decode(errors="replace")
        values["state"] = State(i.state if i.state in State._value2member_map_ else State.PAUSED)
        values["reason"] = Reason(i.reason if i.reason in Reason._value2member_map_ else 0)
        values["reliable"] = bool(i.reliable)
        return Info(**values)

    def interface(self, index: int) -> Interface:
        i = _abi.NcpInterface()
        r = _lib.ncp_interface(self._pointer(), index, ctypes.byref(i))
        if r == -34:
            raise IndexError(index)
        _check(r)
        return Interface(i.linktype, i.snaplen, (i.name or b"").decode(errors="replace"),
                         (i.description or b"").decode(errors="replace"), i.published,
                         None if i.received == _abi.UNKNOWN else i.received, i.kernel_drops)

    def interfaces(self) -> List[Interface]:
        return [self.interface(k) for k in range(self.info().n_interfaces)]

    def peers(self) -> List[Peer]:
        """The live clients of the bus."""
        n = _check(_lib.ncp_peers(self._pointer(), None, 0)) + 16
        peers = (_abi.NcpPeer * n)()
        peers[0].size = ctypes.sizeof(_abi.NcpPeer)
        n = min(n, _check(_lib.ncp_peers(self._pointer(), peers, n)))
        return [Peer(p.uid, p.pid, p.name.decode(errors="replace"), p.reliable, p.incarnation,
                     p.seq, p.frames, p.filtered, p.others, p.lost, p.since_ns)
                for p in peers[:n]]


def busses(dir: Optional[str] = None) -> List[str]:
    """The names of the busses of this host, sorted."""
    n = _check(_lib.ncp_list(_encode(dir), None, 0)) + 16
    names = (_abi.NcpBusName * n)()
    n = min(n, _check(_lib.ncp_list(_encode(dir), names, n)))
    return [name.name.decode() for name in names[:n]]
