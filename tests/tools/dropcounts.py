#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""dropcounts.py - print the sum of all epb_dropcount options of a little-endian pcapng file."""

import struct
import sys

ENHANCED_PACKET, END, DROPCOUNT = 6, 0, 4


def padded(length):
    return (length + 3) & ~3


def marks(data):
    at = 0
    while at < len(data):
        kind, length = struct.unpack_from("<II", data, at)
        option = end = at + length - 4
        if kind == ENHANCED_PACKET:
            option = at + 28 + padded(struct.unpack_from("<I", data, at + 20)[0])
        while option < end:
            code, size = struct.unpack_from("<HH", data, option)
            if code == END:
                break
            if code == DROPCOUNT:
                yield struct.unpack_from("<Q", data, option + 4)[0]
            option += 4 + padded(size)
        at += length


with open(sys.argv[1], "rb") as file:
    print(sum(marks(file.read())))
