# SPDX-License-Identifier: BSD-2-Clause
"""_abi.py - libncpbus as ctypes sees it: structures, constants, prototypes of <ncpbus.h>.

tests/python holds every size, offset and constant here against the header.
"""
from __future__ import annotations

import ctypes
import os
import struct
from ctypes import (POINTER, Structure, c_char, c_char_p, c_int, c_size_t, c_uint8, c_uint16,
                    c_uint32, c_uint64, c_void_p)
from typing import Any, List, Tuple

SONAME = "libncpbus.so.0"

UNKNOWN = 2**64 - 1

# Codes.
ENOBUS = -1001
ENOTREADY = -1002
EVERSION = -1003
ETRUNCATED = -1004
EFOREIGN = -1005
ENOTBUS = -1006
ECORRUPT = -1007
ENAME = -1008
EFILTER = -1009
ENOPCAP = -1010
ENOTRELIABLE = -1011
EFORK = -1012
EACCESS = -1013
EGROUP = -1014

# enum ncp_kind
FRAME, LOST, STATE, REATTACHED, EVICTED, UNLISTED, SPAN = range(1, 8)

# enum ncp_whence
LATEST, OLDEST, SEQ, TIME = range(4)

# ncp_options.flags
RELIABLE, NO_REGISTRY, NO_REATTACH, HOLD, ORDERED = 1, 2, 4, 8, 16


class _Sized(Structure):
    """A structure that begins with its size."""

    _fields_: List[Tuple[str, Any]] = []

    def __init__(self) -> None:
        super().__init__()
        self.size = ctypes.sizeof(self)


class NcpFrame(_Sized):
    """struct ncp_frame"""

    _fields_ = [("size", c_uint32), ("kind", c_uint32), ("data", c_void_p), ("caplen", c_uint32),
                ("len", c_uint32), ("ts_ns", c_uint64), ("seq", c_uint64), ("next_seq", c_uint64),
                ("position", c_uint64), ("incarnation", c_uint64), ("dropcount", c_uint64),
                ("interface", c_uint32), ("flags", c_uint32), ("state", c_uint32),
                ("reason", c_uint32)]


# The same for struct and for numpy: an array of frames is decoded in one go.
FRAME_STRUCT = struct.Struct("@IIPIIQQQQQQIIII")
FRAME_FIELDS = [name for name, _ in NcpFrame._fields_]
FRAME_DTYPE = {
    "names": FRAME_FIELDS,
    "formats": [f"u{getattr(NcpFrame, name).size}" for name in FRAME_FIELDS],
    "offsets": [getattr(NcpFrame, name).offset for name in FRAME_FIELDS],
    "itemsize": ctypes.sizeof(NcpFrame),
}


class NcpWhere(_Sized):
    """struct ncp_where"""

    _fields_ = [("size", c_uint32), ("whence", c_uint32), ("value", c_uint64),
                ("incarnation", c_uint64)]


class NcpOptions(_Sized):
    """struct ncp_options"""

    _fields_ = [("size", c_uint32), ("flags", c_uint32), ("from_", NcpWhere), ("name", c_char_p),
                ("dir", c_char_p), ("trust_owner", c_char_p), ("shard_idx", c_uint32),
                ("shard_n", c_uint32), ("error", c_char_p), ("error_cap", c_size_t),
                ("reorder_ns", c_uint64), ("reorder_frames", c_uint32), ("pad0", c_uint32),
                ("group", c_char_p), ("open_bus", c_void_p), ("open_arg", c_void_p)]

    def __init__(self) -> None:
        super().__init__()
        self.from_.size = ctypes.sizeof(NcpWhere)


class NcpCursor(_Sized):
    """struct ncp_cursor"""

    _fields_ = [("size", c_uint32), ("incarnation", c_uint64), ("seq", c_uint64),
                ("position", c_uint64)]


class NcpBpfInsn(Structure):
    """struct ncp_bpf_insn"""

    _fields_ = [("code", c_uint16), ("jt", c_uint8), ("jf", c_uint8), ("k", c_uint32)]


class NcpWindow(Structure):
    """struct ncp_window"""

    _fields_ = [(name, c_uint64) for name in (
        "incarnation", "first_seq", "next_seq", "frames", "filtered", "others", "lost")]


class NcpStats(_Sized):
    """struct ncp_stats"""

    _fields_ = [("size", c_uint32), ("reattached", c_uint32), ("now", NcpWindow),
                ("before", NcpWindow), ("total", NcpWindow), ("waiting", c_uint64),
                ("late", c_uint64)]


class NcpInterface(_Sized):
    """struct ncp_interface"""

    _fields_ = [("size", c_uint32), ("linktype", c_uint32), ("snaplen", c_uint32),
                ("name", c_char_p), ("description", c_char_p), ("published", c_uint64),
                ("received", c_uint64), ("kernel_drops", c_uint64)]


class NcpBusInfo(_Sized):
    """struct ncp_bus_info"""

    _fields_ = ([(name, c_uint32) for name in (
        "size", "state", "reason", "pid", "n_interfaces", "n_workers", "snaplen", "reliable")] +
        [(name, c_uint64) for name in (
            "epoch", "incarnation", "replaced", "replaced_next_seq", "created_ns", "ring_size",
            "oldest_seq", "oldest_ts_ns", "next_seq", "newest_ts_ns", "head", "tail", "bytes",
            "received", "kernel_drops", "freezes", "truncated", "discarded")] +
        [("name", c_char * 64), ("trusted_uid", c_uint64), ("heartbeat", c_uint64),
         ("heartbeat_ns", c_uint64)])


class NcpPeer(_Sized):
    """struct ncp_peer"""

    _fields_ = ([(name, c_uint32) for name in ("size", "uid", "pid", "reliable")] +
                [(name, c_uint64) for name in (
                    "incarnation", "seq", "position", "frames", "filtered", "others", "lost",
                    "since_ns")] + [("name", c_char * 64)])


class NcpBusName(Structure):
    """struct ncp_bus_name"""

    _fields_ = [("name", c_char * 64)]


_PROTOTYPES: List[Tuple[str, Any, List[Any]]] = [
    ("ncp_attach", c_int, [POINTER(c_void_p), c_char_p, POINTER(NcpOptions)]),
    ("ncp_detach", None, [c_void_p]),
    ("ncp_next_batch", c_int, [c_void_p, c_void_p, c_int]),
    ("ncp_intact", c_int, [c_void_p, c_uint64]),
    ("ncp_wait", c_int, [c_void_p, c_int]),
    ("ncp_fd", c_int, [c_void_p]),
    ("ncp_seek", c_int, [c_void_p, POINTER(NcpWhere)]),
    ("ncp_tell", c_int, [c_void_p, POINTER(NcpCursor)]),
    ("ncp_set_filter", c_int, [c_void_p, c_char_p, c_char_p, c_size_t]),
    ("ncp_set_bpf", c_int, [c_void_p, POINTER(NcpBpfInsn), c_size_t]),
    ("ncp_stats", c_int, [c_void_p, POINTER(NcpStats)]),
    ("ncp_bus_info", c_int, [c_void_p, POINTER(NcpBusInfo)]),
    ("ncp_interface", c_int, [c_void_p, c_uint32, POINTER(NcpInterface)]),
    ("ncp_peers", c_int, [c_void_p, POINTER(NcpPeer), c_int]),
    ("ncp_list", c_int, [c_char_p, POINTER(NcpBusName), c_int]),
    ("ncp_strerror", c_char_p, [c_int]),
    ("ncp_state_name", c_char_p, [c_uint32]),
    ("ncp_reason_text", c_char_p, [c_uint32]),
]


def load() -> ctypes.CDLL:
    """The shared library: the one that NCPBUS_LIBRARY names, else the system's."""
    name = os.environ.get("NCPBUS_LIBRARY") or SONAME
    try:
        lib = ctypes.CDLL(name)
    except OSError as error:
        raise ImportError(f"{error}: install libncpbus0 (after 'make install': ldconfig), or name "
                          "the library's file in NCPBUS_LIBRARY") from None
    for call, result, arguments in _PROTOTYPES:
        function = getattr(lib, call)
        function.restype = result
        function.argtypes = arguments
    return lib
