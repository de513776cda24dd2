#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""many.py - many clients of a bus in one process, each with a line of its own, that read nothing.

many.py BUS N: says "ready" when all are there, and stays until a signal.
"""
import signal
import sys

import ncpbus

clients = [ncpbus.Bus(sys.argv[1], client=f"many-{i:04}") for i in range(int(sys.argv[2]))]
print("ready", flush=True)
signal.pause()
