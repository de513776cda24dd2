#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""truth.py - every number that ncp-stats shows, against truth that was not made by it.

The judges: a capture file made here, frame by frame, so that its protocols, sizes, ends and times are
known; tshark, which reads the same file; the synthetic source's own rules; clients of the Python
module, which know what they read and lost.  Each key of the JSON objects and each sample of the metrics
has its truth here: one that has none is a failure.  Run by test_truth.sh.
"""
import collections
import http.client
import json
import math
import os
import re
import signal
import socket
import struct
import subprocess
import time
import unittest

import ncpbus

DIR = os.environ["NCP_DIR"]
FOLDER = os.environ["TAP_DIR"]
START_NS = 1_700_000_000_000_000_000
STEP_NS = 1_000_000_000
RING = 8 << 20


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError("waited in vain")
        time.sleep(0.02)
    return value


# --- the mix --------------------------------------------------------------------------------------

class Made(collections.namedtuple("Made", "data length protocol flow ends")):
    """A frame: its bytes, its length on the wire, and what is true of it."""


def pad(data, length, cap=None):
    """To a length on the wire; cap bytes of it captured."""
    data += bytes(max(0, length - len(data)))
    return data if cap is None else data[:cap]


def ethernet(kind, payload, tags=()):
    tagged = b"".join(struct.pack("!HH", t, 5) for t in tags)
    return b"\2" * 6 + b"\4" * 6 + tagged + struct.pack("!H", kind) + payload


def ipv4(number, a, b, payload=b"", fragment=0, options=b""):
    first = 0x40 | 5 + len(options) // 4
    head = struct.pack("!BBHHHBBH4s4s", first, 0, 20 + len(options) + len(payload), 1, fragment, 9, number,
                       0, socket.inet_aton(a), socket.inet_aton(b))
    return head + options + payload


def ipv6(number, a, b, payload=b""):
    return struct.pack("!IHBB16s16s", 6 << 28, len(payload), number, 9, socket.inet_pton(socket.AF_INET6, a),
                       socket.inet_pton(socket.AF_INET6, b)) + payload


def ports(a, b):
    return struct.pack("!HH", a, b)


def mix():
    """(times, Made): how often each frame is played."""
    a, b, c, d = "10.0.0.1", "10.0.0.2", "192.0.2.7", "198.51.100.9"
    e, f = "2001:db8::1", "2001:db8::2"
    tcp4, udp4 = f"tcp {a}:80 - {b}:40000", f"udp {a}:53 - {c}:5353"
    tcp6 = f"tcp [{e}]:22 - [{f}]:50000"
    # Hop by hop, then a fragment header that says it is the first and only one, then TCP.
    extended = bytes([44, 0, 1, 4, 0, 0, 0, 0]) + bytes([6, 0, 0, 0, 0, 0, 0, 1])
    rows = [
        (40, 64, tcp4, ethernet(0x800, ipv4(6, a, b, ports(80, 40000)))),
        (35, 1514, tcp4, ethernet(0x800, ipv4(6, b, a, ports(40000, 80), options=b"\1" * 8))),
        (20, 90, udp4, ethernet(0x800, ipv4(17, a, c, ports(53, 5353)))),
        (15, 127, udp4, ethernet(0x800, ipv4(17, c, a, ports(5353, 53)), tags=(0x8100,))),
        (12, 128, udp4, ethernet(0x800, ipv4(17, c, a, ports(5353, 53)), tags=(0x88A8, 0x8100))),
        (10, 1400, udp4, ethernet(0x800, ipv4(17, a, c, ports(53, 5353), fragment=0x2000))),
        (10, 600, f"udp {a}:0 - {c}:0", ethernet(0x800, ipv4(17, a, c, b"\xff" * 8, fragment=0x00B9))),
        (9, 1300, tcp6, ethernet(0x86DD, ipv6(0, e, f, extended + ports(22, 50000)))),
        (8, 300, tcp6, ethernet(0x86DD, ipv6(6, f, e, ports(50000, 22)))),
        (7, 98, f"icmp {a} - {d}", ethernet(0x800, ipv4(1, a, d))),
        (6, 118, f"icmp6 {e} - {f}", ethernet(0x86DD, ipv6(58, f, e))),
        (5, 70, f"sctp {b}:7 - {d}:8", ethernet(0x800, ipv4(132, d, b, ports(8, 7)))),
        (5, 9000, f"gre {b} - {d}", ethernet(0x800, ipv4(47, b, d))),
        (4, 9018, f"esp {b} - {d}", ethernet(0x800, ipv4(50, d, b))),
        (4, 78, f"ip 89 {b} - {d}", ethernet(0x800, ipv4(89, b, d))),
        (6, 60, "arp", ethernet(0x806, bytes(28))),
        (3, 60, "other", ethernet(0x88CC, bytes(46))),
        (2, 1600, "other", ethernet(0x9000, bytes(46))),
        (1, 10, "other", b"\xff" * 10),
        (2, 60, "other", ethernet(0x800, b"\x60" + bytes(45))),
    ]
    frames = []
    for times, length, flow, data in rows:
        word, _, rest = flow.partition(" ")
        protocol = {"ip": "other ip"}.get(word, word)
        ends = ()
        if rest:
            ends = tuple(re.fullmatch(r"\[?(.*?)\]?(?::\d+)?", end).group(1) if "." in end or "[" in end else end
                         for end in rest.removeprefix("89 ").split(" - "))
        frames += [Made(pad(data, length, 2000 if length > 2000 else None), length, protocol,
                        flow if rest else None, ends)] * times
    # Spread, so that neighbours differ; the order is the same at each run.
    return sorted(frames, key=lambda m, n=iter(range(10**6)): next(n) * 7919 % len(frames))


def write_pcap(path, frames, step_ns):
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1))
        for n, frame in enumerate(frames):
            at = START_NS + n * step_ns
            f.write(struct.pack("<IIII", at // 10**9, at % 10**9, len(frame.data), frame.length) + frame.data)


SIZES = {"0-64": 64, "65-127": 127, "128-255": 255, "256-511": 511, "512-1023": 1023, "1024-1518": 1518,
         "1519-9000": 9000, "9001-": 1 << 32}


def size_class(length):
    return next(name for name, end in SIZES.items() if length <= end)


def counted(frames, keys_of):
    """key -> (frames, bytes)."""
    sums = collections.defaultdict(lambda: [0, 0])
    for frame in frames:
        for key in keys_of(frame):
            sums[key][0] += 1
            sums[key][1] += frame.length
    return {key: tuple(value) for key, value in sums.items()}


class Truth:
    """What is true of frames of which each was seen as often as any other."""

    def __init__(self, frames):
        self.frames, self.bytes = len(frames), sum(m.length for m in frames)
        self.protocols = counted(frames, lambda m: [m.protocol])
        self.sizes = counted(frames, lambda m: [size_class(m.length)])
        self.talkers = counted(frames, lambda m: m.ends)
        self.flows = counted(frames, lambda m: [m.flow] if m.flow else [])


# --- programs -------------------------------------------------------------------------------------

class Program:
    def __init__(self, *words):
        self.err = os.path.join(FOLDER, f"{words[0]}.{time.monotonic_ns()}")
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=open(self.err, "w"))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        assert self.process.wait(30) == 0, open(self.err).read()


def producer(bus, source, *options):
    return Program("ncp-producer", source, "-b", bus, "-m", str(RING), *options)


class Server(Program):
    """ncp-stats --listen."""

    def __init__(self, interval):
        super().__init__("ncp-stats", "--listen=127.0.0.1:0", "-n", str(interval))
        found = until(lambda: re.search(r"port (\d+)", open(self.err).read()))
        self.port = int(found.group(1))
        until(lambda: self.get("/metrics"))

    def get(self, path):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        c.request("GET", path)
        return c.getresponse().read().decode()

    def events(self):
        """Arrays of objects, one for each look, for a minute at most."""
        end = time.monotonic() + 60
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        c.request("GET", "/api/v1/events")
        r = c.getresponse()
        while line := r.readline().decode():
            assert time.monotonic() < end, "waited in vain"
            if line.startswith("data: "):
                yield json.loads(line[6:])


def once(bus):
    return json.loads(subprocess.run(["ncp-stats", "-i", bus, "--once", "--json"], check=True,
                                     capture_output=True).stdout)


def paths(value, at=""):
    """Each leaf of a JSON value with its path."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from paths(part, f"{at}.{key}" if at else key)
    elif isinstance(value, list):
        for i, part in enumerate(value):
            yield from paths(part, f"{at}[{i}]")
    else:
        yield at, value


def near(truth, part=0.0, plus=0.0):
    return lambda value: abs(value - truth) <= abs(truth) * part + plus


def compare(case, truth, seen, what):
    """Each leaf of seen has a truth, a value or a question, and each truth a leaf."""
    seen = dict(paths(seen))
    case.assertEqual(sorted(truth), sorted(seen), f"{what}: what is shown, and what truth is known of")
    for path, value in seen.items():
        if callable(truth[path]):
            case.assertTrue(truth[path](value), f"{what}: {path} is {value}")
        else:
            case.assertEqual(truth[path], value, f"{what}: {path}")


def samples(text):
    """name{labels} -> value."""
    return {m.group(1): m.group(2) for m in re.finditer(r"^(ncp_\S+\{.*\}) (\S+)$", text, re.M)}


# --- tests ----------------------------------------------------------------------------------------

def tell(bus):
    """A client's line follows when it looks again, four times a second at most."""
    ncpbus._bus._lib.ncp_wait(bus._pointer(), 10)
    return True


class Still(unittest.TestCase):
    """A bus that has ended: every number is exact."""

    bus = f"still-{os.getpid()}-" + os.environ["TAP_ID"]

    @classmethod
    def setUpClass(cls):
        cls.frames = mix()
        cls.path = os.path.join(FOLDER, "mix.pcap")
        write_pcap(cls.path, cls.frames, STEP_NS)
        cls.server = Server(0.5)
        cls.looks = cls.server.events()
        # It begins with its second client: when somebody looks already.
        cls.producer = producer(cls.bus, f"file:{cls.path}", "--keep", "--wait-clients", "2")
        for look in cls.looks:
            if any(o["bus"] == cls.bus and o["traffic"] for o in look):
                break
        cls.all = ncpbus.Bus(cls.bus, start="oldest", client="all")
        cls.some = ncpbus.Bus(cls.bus, start=ncpbus.Seq(0), client="some", filter="arp")
        assert cls.producer.process.wait(30) == 0
        cls.n_read = 0
        for bus in cls.all, cls.some:
            for _ in bus:
                cls.n_read += 1
        until(lambda: [tell(bus) for bus in (cls.all, cls.some)] and all(
            c["frames"] + c["filtered"] == len(cls.frames) for c in once(cls.bus)["clients"]))

    @classmethod
    def tearDownClass(cls):
        cls.all.close()
        cls.some.close()
        with cls.server:
            pass

    def truth(self):
        captured = sum(len(m.data) for m in self.frames)
        n, arp = len(self.frames), Truth(self.frames).protocols["arp"][0]
        info = self.all.info()
        truth = {
            "schema": 1, "time": lambda t: t.startswith(time.strftime("%Y-", time.gmtime())), "bus": self.bus,
            "state": "ended", "reason": "source exhausted", "gone": False,
            "pid": self.producer.process.pid, "epoch": 1, "incarnation": f"{info.incarnation:016x}",
            "published": n, "bytes": captured, "received": n, "kernel_drops": 0, "freezes": 0,
            "truncated": sum(len(m.data) < m.length for m in self.frames), "discarded": 0,
            "ring_size": RING, "oldest_seq": 0, "next_seq": n,
            "depth_seconds": (n - 1) * STEP_NS / 1e9, "reliable": False,
            "interfaces[0].name": None, "interfaces[0].linktype": 1, "interfaces[0].published": n,
            "interfaces[0].received": n, "interfaces[0].kernel_drops": 0,
            "workers[0].index": 0, "clients_in_all": 2,
        }
        truth |= {f"workers[0].{k}": truth[k] for k in ("published", "bytes", "received", "kernel_drops", "freezes",
                                                        "truncated", "discarded")}
        for i, (name, filtered) in enumerate((("all", 0), ("some", n - arp))):
            truth |= {f"clients[{i}].{k}": v for k, v in {
                "name": name, "pid": os.getpid(), "uid": os.getuid(), "incarnation": truth["incarnation"],
                "seq": n, "lag_frames": 0, "lag_bytes": 0, "lag_seconds": 0, "frames": n - filtered,
                "filtered": filtered, "others": 0, "lost": 0, "reliable": False, "evicted": False,
                # As long as it took to fill what is used of the ring, for all of it.
                "overrun_in_seconds": near(truth["depth_seconds"] * RING / self.used(), 1e-6),
            }.items()}
        return truth

    def used(self):
        """Bytes of the ring: each block has 32 around its frame, padded to four, and epb_flags, 8, with
        the end of options, 4, where the source has them; the front of the epoch is a block, too."""
        with ncpbus.Bus(self.bus, start="oldest", registry=False, reattach=False) as bus:
            at = []
            for item in bus:
                at.append((item.position, item.caplen))
        overhead = {b[0] - a[0] - (a[1] + 3) // 4 * 4 for a, b in zip(at, at[1:])}
        self.assertEqual(1, len(overhead), "every block has as much around its frame")
        return at[-1][0] + (at[-1][1] + 3) // 4 * 4 + overhead.pop()

    def test_tshark(self):
        """The mix is what it is meant to be: another program says the same."""
        def count(display):
            out = subprocess.run(["tshark", "-r", self.path, "-Y", display, "-T", "fields", "-e", "frame.len"],
                                 check=True, capture_output=True, text=True).stdout.split()
            return len(out), sum(map(int, out))
        truth = Truth(self.frames)
        self.assertEqual((truth.frames, truth.bytes), count("frame"))
        for display, protocol in {"ip.proto == 6 || tcp.port == 22": "tcp", "ip.proto == 17": "udp",
                                  "ip.proto == 1": "icmp", "ipv6.nxt == 58": "icmp6", "ip.proto == 132": "sctp",
                                  "ip.proto == 47": "gre", "ip.proto == 50": "esp", "ip.proto == 89": "other ip",
                                  "arp": "arp"}.items():
            self.assertEqual(truth.protocols[protocol], count(display), protocol)
        for address, sums in truth.talkers.items():
            field = "ipv6.addr" if ":" in address else "ip.addr"
            self.assertEqual(sums, count(f"{field} == {address}"), address)

    def test_json(self):
        compare(self, self.truth() | {"rates": None, "traffic": None}, once(self.bus), "--once --json")

    def test_api(self):
        """Also the rates, none; and the traffic of the intervals in which the frames came, added up."""
        truth, got = Truth(self.frames), collections.defaultdict(collections.Counter)
        still = self.truth() | {"traffic.interval_seconds": near(0.5, 0.5), "traffic.published": 0,
                                "traffic.frames": 0, "traffic.sampled_1_in": None, "traffic.bytes": 0,
                                "traffic.bytes_error": 0, "rates.interval_seconds": near(0.5, 0.5)}
        still |= {f"rates.now.{k}": 0 for k in ("frames", "bits", "kernel_drops")}
        for look in self.looks:
            bus = next(o for o in look if o["bus"] == self.bus)
            t = bus["traffic"]
            self.assertEqual(t["frames"], t["published"], "every frame is looked at")
            for group, name in (("protocols", "name"), ("sizes", "size"), ("talkers", "address"), ("flows", "flow")):
                for e in t[group]:
                    got[group][e[name]] += e["frames"]
                    got[group][e[name], "bytes"] += e["bytes"]
                    for error in {"frames_error", "bytes_error"} | ({"bytes_missed"} & set(e)):
                        self.assertEqual(0, e[error], "exact numbers have no error")
            got["all"]["frames"] += t["frames"]
            got["all"]["bytes"] += t["bytes"]
            if bus["state"] == "ended" and t["frames"] == 0 and got["all"]["frames"] == truth.frames \
                    and bus["rates"]["now"]["frames"] == 0 and all(c["frames"] + c["filtered"] == truth.frames
                                                                  for c in bus["clients"]):
                break
        self.assertEqual({"frames": truth.frames, "bytes": truth.bytes}, dict(got["all"]))
        for group in "protocols", "sizes", "talkers", "flows":
            want = {}
            for key, (frames, size) in getattr(truth, group).items():
                want |= {key: frames, (key, "bytes"): size}
            self.assertEqual(want, dict(got[group]), group)
        # The peak is of the interval in which all came, the mean of all the time.
        peak, mean = bus["rates"]["peak"], bus["rates"]["mean"]
        self.assertAlmostEqual(peak["bits"] / peak["frames"], 8 * self.truth()["bytes"] / truth.frames, delta=8)
        self.assertTrue(truth.frames / 2 <= peak["frames"] <= truth.frames / 0.45, peak)
        still |= {f"rates.{w}.{k}": v for w, r in (("peak", peak), ("mean", mean)) for k, v in r.items()}
        self.assertTrue(0 < mean["frames"] < peak["frames"] and peak["kernel_drops"] == mean["kernel_drops"] == 0)
        compare(self, still, bus, "/api/v1/events")
        again = next(o for o in json.loads(self.server.get("/api/v1/busses")) if o["bus"] == self.bus)
        for key in ("time", "rates", "traffic", "clients"):
            again.pop(key), bus.pop(key)
        self.assertEqual(bus, again, "/api/v1/busses")

    def test_metrics(self):
        t, bus, arp = self.truth(), self.bus, Truth(self.frames).protocols["arp"][0]
        want = {"ncp_frames_published_total": t["published"], "ncp_published_bytes_total": t["bytes"],
                "ncp_received_frames_total": t["received"], "ncp_truncated_frames_total": t["truncated"],
                "ncp_discarded_frames_total": 0, "ncp_kernel_ring_freezes_total": 0, "ncp_producer_starts_total": 1,
                "ncp_ring_size_bytes": RING, "ncp_clients": 2, "ncp_producer_up": 0,
                "ncp_ring_depth_seconds": t["depth_seconds"]}
        want = {f'{k}{{bus="{bus}"}}': v for k, v in want.items()}
        want[f'ncp_bus_info{{bus="{bus}",incarnation="{t["incarnation"]}",state="ended",reliable="false"}}'] = 1
        for name, value in (("ncp_interface_frames_published_total", t["published"]),
                            ("ncp_kernel_dropped_frames_total", 0)):
            want[f'{name}{{bus="{bus}",interface="#0"}}'] = value
        for client, frames in (("all", t["published"]), ("some", arp)):
            for name, value in (("frames_total", frames), ("lost_frames_total", 0), ("lag_seconds", 0)):
                want[f'ncp_client_{name}{{bus="{bus}",client="{client}"}}'] = value
        def settled():
            got = {k: float(v) for k, v in samples(self.server.get("/metrics")).items() if f'"{bus}"' in k}
            return got if got.get(f'ncp_client_frames_total{{bus="{bus}",client="some"}}') == arp else None
        self.assertEqual(want, until(settled))

    def test_text(self):
        """--once, line by line, with truth put into words here."""
        n, t = len(self.frames), self.truth()
        out = subprocess.run(["ncp-stats", "-i", self.bus, "--once"], check=True, capture_output=True,
                             text=True).stdout.splitlines()
        depth = f"{(n - 1) // 60}m{(n - 1) % 60:02}s"
        arp = Truth(self.frames).protocols["arp"][0]
        over = t["depth_seconds"] * RING / self.used()
        want = [
            rf"{self.bus}  ended \(source exhausted\)  pid {t['pid']}  epoch 1  made .* ago  \d\d:\d\d:\d\d",
            rf"published {n} frames, {t['bytes'] / 1024:.0f}K bytes",
            rf"received {n}, kernel drops 0, discarded 0, truncated {t['truncated']}, freezes 0",
            rf"ring 8M holds {depth}: frames 0 to {n - 1}", "",
            "per second +now +mean +peak", "frames +- +- +-", "bits +- +- +-", "drops +- +- +-", "",
            "INTERFACE +PUBLISHED +RECEIVED +DROPS", f"- +{n} +{n} +0", "",
            "CLIENT +PID +UID +FRAMES +FILTERED +LOST +BEHIND +OVERRUN IN",
        ] + [rf"{name} +{os.getpid()} +{os.getuid()} +{n - out_} +{out_} +0 +0 +0 s +{int(over) // 3600}h"
             rf"{int(over) // 60 % 60:02}m +" for name, out_ in (("all", 0), ("some", n - arp))]
        self.assertEqual(len(want), len(out), out)
        for pattern, line in zip(want, out):
            self.assertRegex(line, f"^{pattern}$")


class Lapped(unittest.TestCase):
    """Clients that are behind by a known number of frames, and that lost a known number."""

    bus = "lapped-" + os.environ["TAP_ID"]
    total, size = 200_000, 1000

    def test_clients(self):
        spec = f"synth:count={self.total},size={self.size},flows=3"
        p = producer(self.bus, spec, "--keep", "--wait-clients", "2")
        until(lambda: self.bus in ncpbus.busses())
        late = until(lambda: ncpbus.Bus(self.bus, start=ncpbus.Seq(0), client="late"))
        gone = ncpbus.Bus(self.bus, start=ncpbus.Seq(0), client="idle")
        self.assertEqual(0, p.process.wait(60))
        # It reads until its line has been told of some of it: what it knew of itself at that place.
        lost, ledger = 0, {}
        for item in late.read(5):
            if isinstance(item, ncpbus.Lost):
                lost += item.count
            stats = late.stats().now  # what was fetched counts as handed out
            ledger[stats.next_seq] = stats
            told = next(c for c in once(self.bus)["clients"] if c["name"] == "late")["seq"]
            if told in ledger and told > lost > 0:
                break
        at, stats = told, ledger[told]
        self.assertEqual(stats.lost, lost)
        self.assertGreater(lost, 100_000)
        o = once(self.bus)
        position, last = {}, None
        with ncpbus.Bus(self.bus, start=ncpbus.Seq(at), registry=False, reattach=False) as reader:
            for item in reader:
                position[item.seq], last = item.position, item
        block = position[self.total - 1] - position[self.total - 2]
        behind = position[self.total - 1] + block - position[at]
        c = o["clients"][1]
        held, depth = self.total - o["oldest_seq"], o["depth_seconds"]
        self.assertEqual(("late", at, self.total - at, behind, lost),
                         (c["name"], c["seq"], c["lag_frames"], c["lag_bytes"], c["lost"]))
        # Its place may be before the batch that it holds; that counts as read.
        self.assertIn(c["frames"], {stats.frames, stats.frames + 64})
        self.assertTrue(near(depth * (self.total - at) / held, 1e-6, 1e-8)(c["lag_seconds"]), c)
        self.assertEqual(self.total * self.size, o["bytes"])
        # The one that has read nothing is a ring behind or more, and will lose it all.
        idle = o["clients"][0]
        self.assertEqual(("idle", 0, 0, self.total, 0), (idle["name"], idle["frames"], idle["lost"], idle["lag_frames"],
                                                         idle["overrun_in_seconds"]))
        # How deep the ring is: the frames that can be read, by their own times.
        with ncpbus.Bus(self.bus, start="oldest", registry=False, reattach=False) as reader:
            first = next(iter(reader))
        self.assertEqual((first.seq, round((last.ts_ns - first.ts_ns) / 1e9, 9)), (o["oldest_seq"], round(depth, 9)))
        late.close()
        gone.close()


class Moving(unittest.TestCase):
    """A bus that moves: rates, and samples with the error they are told with."""

    def sampled(self, bus, source, truth_of, options=()):
        """Some intervals of a bus at full speed, each against truth_of(object)."""
        with Server(1) as server, producer(bus, source, "--unlink", *options):
            seen = 0
            for look in server.events():
                o = next((o for o in look if o["bus"] == bus), None)
                t = o and o["traffic"]
                if not t or not t["frames"] or t["sampled_1_in"] == 1:
                    continue  # it only begins
                self.assertEqual(math.ceil(t["published"] / t["frames"]), t["sampled_1_in"])
                self.assertLessEqual(t["frames"], 120_000 * t["interval_seconds"] + 10_000)
                truth = truth_of(t["published"])
                for group, name in (("protocols", "name"), ("sizes", "size"), ("talkers", "address"),
                                    ("flows", "flow")):
                    for e in t[group]:
                        for what, want in zip(("frames", "bytes"), truth[group](e[name])):
                            # Six of them: some 200 degrees of freedom, so once in 10^8 numbers;
                            # and what the ends of an interval may have too much of a mix.
                            off, error = abs(e[what] - want), e[f"{what}_error"]
                            self.assertLessEqual(off, 6 * error + truth["ends"], f"{group} {e[name]} {what}: {e}")
                            self.assertLess(error, 0.03 * t["published" if what == "frames" else "bytes"])
                        self.assertEqual(0, e.get("bytes_missed", 0))
                self.assertLessEqual(abs(t["bytes"] - truth["bytes"]), 6 * t["bytes_error"] + truth["ends"])
                seen += 1
                if seen == 5:
                    break

    def test_sample_synth(self):
        """IMIX: of twelve frames seven of 60 bytes, four of 590, one of 1514; flows in turn."""
        sizes, flows = {"0-64": (7, 60), "512-1023": (4, 590), "1024-1518": (1, 1514)}, 13
        mean = sum(n * size for n, size in sizes.values()) / 12

        def truth(published):
            flow = (published / flows, published * mean / flows)
            return {"protocols": lambda name: (published, published * mean),
                    "sizes": lambda name: (published * sizes[name][0] / 12,
                                           published * sizes[name][0] / 12 * sizes[name][1]),
                    "talkers": lambda name: flow, "flows": lambda name: flow, "bytes": published * mean,
                    "ends": 12 * 13 * 1514}
        self.sampled("imix-" + os.environ["TAP_ID"], f"synth:imix,flows={flows}", truth)

    def test_sample_mix(self):
        """The mix again and again: a period for which runs are not a multiple."""
        frames = mix()
        path, all_ = os.path.join(FOLDER, "loop.pcap"), Truth(frames)
        write_pcap(path, frames, 1000)

        def truth(published):
            part = published / all_.frames

            def of(group):
                return lambda name: tuple(part * x for x in group[name])
            return {"protocols": of(all_.protocols), "sizes": of(all_.sizes), "talkers": of(all_.talkers),
                    "flows": of(all_.flows), "bytes": part * all_.bytes, "ends": all_.bytes}
        self.sampled("loop-" + os.environ["TAP_ID"], f"file:{path}", truth, ("--loop", "0"))

    def test_rates(self):
        """Frames, bits a second: as many as the source was told to make."""
        bus, pps, size = "paced-" + os.environ["TAP_ID"], 5000, 300
        with producer(bus, f"synth:pps={pps},size={size}", "--unlink"):
            until(lambda: bus in ncpbus.busses() and once(bus)["published"] > pps)
            out = subprocess.Popen(["ncp-stats", "-i", bus, "--json", "-n", "1"], stdout=subprocess.PIPE, text=True)
            looks = [json.loads(out.stdout.readline()) for _ in range(5)]
            out.send_signal(signal.SIGINT)
            out.communicate()
        first = looks[0]
        peak = collections.Counter()
        for a, b in zip(looks, looks[1:]):
            rates, s = b["rates"], b["rates"]["interval_seconds"]
            want = {"frames": (b["published"] - a["published"]) / s, "bits": 8 * (b["bytes"] - a["bytes"]) / s,
                    "kernel_drops": 0}
            for key, value in want.items():
                self.assertTrue(near(value, 0, 0.51)(rates["now"][key]), f"now {key}: {rates}")
                peak[key] = max(peak[key], rates["now"][key])
                self.assertEqual(peak[key], rates["peak"][key], f"peak {key}")
        # From the clock in the objects, not from the one that rates were made with.
        def seconds(o):
            return time.mktime(time.strptime(o["time"][:19], "%Y-%m-%dT%H:%M:%S")) + float(o["time"][19:29])
        span = seconds(looks[-1]) - seconds(first)
        mean = (looks[-1]["published"] - first["published"]) / span
        self.assertTrue(near(mean, 0.01, 1)(rates["mean"]["frames"]), f"mean: {mean}, {rates}")
        self.assertTrue(near(pps, 0.05)(rates["mean"]["frames"]), rates)
        self.assertTrue(near(8 * size * rates["mean"]["frames"], 0.001)(rates["mean"]["bits"]), rates)
