#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""crowd.py - a crowd before ncp-stats --listen: who opens much, asks slowly, never reads, or is gone.

crowd.py PORT PID WHAT: the server's port and process, and a function of this file.  Run by test_crowd.sh,
whose server looks so seldom that no news keep a connection alive.  Bounds are generous: a machine may be
slow, but what never ends is found.
"""
import http.client
import os
import select
import socket
import sys
import time

PORT, PID = int(sys.argv[1]), sys.argv[2]
HALF = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
EVENTS = b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"


def connect(text=b""):
    s = socket.create_connection(("127.0.0.1", PORT), timeout=30)
    s.sendall(text)
    return s


def status(path="/metrics", method="GET", timeout=5):
    """An ordinary request on a connection of its own."""
    c = http.client.HTTPConnection("127.0.0.1", PORT, timeout=timeout)
    c.request(method, path)
    r = c.getresponse()
    r.read()
    c.close()
    return r.status


def head(s):
    """The answer's status and headers; what follows stays to be read."""
    text = b""
    while not text.endswith(b"\r\n\r\n"):
        byte = s.recv(1)
        assert byte, "ended within the headers"
        text += byte
    return int(text.split()[1]), text.decode()


def connections():
    """The sockets that the server has, one of which listens."""
    folder, n = f"/proc/{PID}/fd", 0
    for fd in os.listdir(folder):
        try:
            n += os.readlink(f"{folder}/{fd}").startswith("socket:")
        except FileNotFoundError:
            pass
    return n


def until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def has_ended(s):
    """Nothing more comes from there."""
    try:
        return bool(select.select([s], [], [], 0)[0]) and s.recv(1 << 16) == b""
    except ConnectionError:
        return True


def pings():
    """Where no news come, a comment does, and nothing else."""
    s = connect(EVENTS)
    head(s)
    text = b""
    while b":\n\n" not in text:
        part = s.recv(1 << 16)
        assert part, "ended"
        text += part
    lines = [line for line in text.decode().splitlines() if line.startswith(("data:", ":"))]
    assert [line[:1] for line in lines] == ["d", ":"], lines


def gone():
    """Browsers that are gone keep no connection."""
    until(lambda: connections() <= 1, 40)
    streams = [connect(EVENTS) for _ in range(20)]
    for s in streams:
        assert head(s)[0] == 200
    assert connections() == 21
    for s in streams:
        s.close()
    until(lambda: connections() <= 1, 40)


def streams():
    """Of many that want events the rest are told so, and others are served."""
    until(lambda: connections() <= 1, 40)
    every = [connect(EVENTS) for _ in range(40)]
    answers = [head(s) for s in every]
    codes = [code for code, _ in answers]
    assert codes == [200] * 32 + [503] * 8, codes
    assert "Retry-After: 10" in answers[-1][1], answers[-1]
    assert status() == 200
    every[0].close()
    for s in every[32:]:
        s.close()

    # There is room for one again as soon as the first is known to have gone.
    def another():
        s = connect(EVENTS)
        answer = head(s)[0]
        s.close()
        return answer == 200
    until(another, 40)
    for s in every:
        s.close()


def silence():
    """Half a request, a request byte by byte, none at all, an endless body, an answer that nobody takes:
    all are ended, and others are served meanwhile."""
    never_read = connect(b"GET /app.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 500)
    body = connect(b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    slow = connect(HALF)
    rest = [connect(), connect(b"GET"), connect(HALF)]
    left = {s: None for s in [body, slow, *rest]}
    end = time.monotonic() + 60
    while left:
        assert time.monotonic() < end, f"{len(left)} were not ended"
        for s, part in ((body, b"1\r\nx\r\n"), (slow, b"x")):
            try:
                s.sendall(part)
            except ConnectionError:
                pass
        assert status() == 200
        left = {s: None for s in left if not has_ended(s)}
        time.sleep(0.2)
    never_read.settimeout(60)
    until(lambda: connections() <= 1, 60)
    never_read.close()


def full():
    """More silent connections than places, by somebody who opens a new one for each that is ended."""
    crowd = [connect(HALF) for _ in range(64)]
    for i in range(200):
        crowd.append(connect(HALF if i % 2 else b""))
        if i % 10 == 0:
            assert status() == 200
    assert connections() <= 129, connections()
    until(lambda: sum(not has_ended(s) for s in crowd) <= 64, 8)
    for s in crowd:
        s.close()
    until(lambda: connections() <= 1, 40)


def long():
    """Too long a line, too many headers, too long a body."""
    def first(request):
        s = connect()
        try:
            s.sendall(request)
            line = s.makefile("rb").readline()
        except ConnectionError:
            line = b""
        s.close()
        return line.split()[1:2]
    assert first(b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n") in ([b"414"], [b"431"])
    many = b"".join(b"X-%d: y\r\n" % i for i in range(5000))
    assert first(b"GET / HTTP/1.1\r\nHost: localhost\r\n" + many + b"\r\n") in ([b"413"], [b"431"])
    assert first(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3000000\r\n\r\n" + bytes(3000000)) \
        in ([b"405"], [])
    assert first(b"a" * 100000) in ([b"400"], [b"414"], [b"431"], [])
    assert status() == 200


globals()[sys.argv[3]]()
