# SPDX-License-Identifier: BSD-2-Clause
"""ncpbus_cases.py - the Python module beside a real producer; run by test_ncpbus.sh.

The judges are the header (compiled), tshark (of a file that ncp-dump wrote) and numbers that
follow from what the synthetic source was told.
"""
import array
import ctypes
import gc
import json
import os
import re
import select
import signal
import struct
import subprocess
import time
import unittest
from datetime import datetime, timedelta, timezone

import ncpbus
from ncpbus import _abi

TAP_ID = os.environ["TAP_ID"]
FOLDER = os.environ["TAP_DIR"]


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError("waited in vain")
        time.sleep(0.01)


class Producer:
    """An ncp-producer on a bus of its own."""

    count = 0

    def __init__(self, source, *options, wait=True, name=None):
        Producer.count += 1
        self.bus = name or f"py{os.getpid()}-{Producer.count}-{TAP_ID}"
        self.process = subprocess.Popen(
            ["ncp-producer", source, "-b", self.bus, "-m", "8M", "--keep", *options],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if wait:
            self.ended()
        else:
            until(lambda: self.bus in ncpbus.busses())

    def ended(self):
        assert self.process.wait(30) == 0

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
        subprocess.run(["ncp-producer", "--remove", self.bus], stderr=subprocess.DEVNULL)


def number(data):
    """The synthetic source begins each payload with the frame's number."""
    return int.from_bytes(data[42:50], "big")


class Abi(unittest.TestCase):
    def test_as_the_header_has_it(self):
        structures = {
            "frame": _abi.NcpFrame, "where": _abi.NcpWhere, "options": _abi.NcpOptions,
            "cursor": _abi.NcpCursor, "bpf_insn": _abi.NcpBpfInsn, "window": _abi.NcpWindow,
            "stats": _abi.NcpStats, "interface": _abi.NcpInterface,
            "bus_info": _abi.NcpBusInfo, "peer": _abi.NcpPeer, "bus_name": _abi.NcpBusName}
        names = sorted(name for name in vars(_abi) if re.fullmatch("[A-Z]+", name) and
                       isinstance(getattr(_abi, name), int))
        self.assertIn("EGROUP", names)
        lines = []
        want = []
        for name, kind in structures.items():
            lines.append(f'printf("{name} %zu\\n", sizeof(struct ncp_{name}));')
            want.append(f"{name} {ctypes.sizeof(kind)}")
            for field, *_ in kind._fields_:
                c = field.rstrip("_")
                lines.append(f'printf("{name}.{c} %zu %zu\\n", offsetof(struct ncp_{name}, {c}), '
                             f'sizeof(((struct ncp_{name} *)0)->{c}));')
                at = getattr(kind, field)
                want.append(f"{name}.{c} {at.offset} {at.size}")
        for name in names:
            lines.append(f'printf("{name} %lld\\n", (long long)NCP_{name});')
            value = getattr(_abi, name)
            want.append(f"{name} {value - 2**64 if value >= 2**63 else value}")
        for enum, prefix in ((ncpbus.State, ""), (ncpbus.Reason, "REASON_")):
            for member in enum:
                lines.append(f'printf("%d\\n", NCP_{prefix}{member.name});')
                want.append(str(member.value))
        source = os.path.join(FOLDER, "abi.c")
        with open(source, "w") as f:
            f.write("#include <ncpbus.h>\n#include <stdio.h>\nint main(void)\n{\n" +
                    "\n".join(lines) + "\nreturn 0;\n}\n")
        subprocess.run([os.environ.get("CC") or "gcc", "-Ilibncpbus/include", "-o",
                        source[:-2], source], check=True)
        got = subprocess.run([source[:-2]], check=True, stdout=subprocess.PIPE).stdout.decode()
        self.assertEqual(got.split("\n")[:-1], want)
        self.assertEqual(_abi.FRAME_STRUCT.size, ctypes.sizeof(_abi.NcpFrame))

    def test_no_field_of_a_structure_is_missing(self):
        text = subprocess.run(["gcc", "-E", "-P", "libncpbus/include/ncpbus.h"], check=True,
                              stdout=subprocess.PIPE).stdout.decode()
        for body, kind in (("ncp_frame", _abi.NcpFrame), ("ncp_options", _abi.NcpOptions),
                           ("ncp_stats", _abi.NcpStats), ("ncp_bus_info", _abi.NcpBusInfo)):
            declared = re.search(r"struct %s \{(.*?)\};" % body, text, re.S).group(1)
            n = declared.count(";") + declared.count(",")
            self.assertEqual(n, len(kind._fields_), body)


def write_mix(path):
    """300 frames whose bytes, lengths and times follow from their number; some are cut."""
    with open(path, "wb") as f:
        f.write(struct.pack("<IHHiIII", 0xa1b23c4d, 2, 4, 0, 0, 262144, 1))
        for i in range(300):
            caplen = 14 + i * 37 % 1400
            data = bytes((i * 7 + k * 13) & 255 for k in range(caplen))
            f.write(struct.pack("<IIII", 1700000000 + i, i * 1234567 % 10**9, caplen,
                                caplen + i % 3 * 10) + data)


class Reading(unittest.TestCase):
    def test_the_same_as_tshark(self):
        path = os.path.join(FOLDER, "mix.pcap")
        write_mix(path)
        with Producer(f"file:{path}") as p:
            written = os.path.join(FOLDER, "mix.pcapng")
            subprocess.run(["ncp-dump", "-q", "-i", p.bus, "--snapshot", "-w", written], check=True)
            packets = json.loads(subprocess.run(
                ["tshark", "-n", "-r", written, "-T", "json", "-x", "-j", "frame"], check=True,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout)
            want = []
            for packet in packets:
                frame = packet["_source"]["layers"]["frame"]
                want.append((frame["frame.time_epoch"], int(frame["frame.len"]),
                             int(frame["frame.cap_len"]),
                             packet["_source"]["layers"]["frame_raw"][0]))
            self.assertEqual(len(want), 300)
            for copy in False, True:
                with ncpbus.Bus(p.bus, start="oldest", copy=copy) as bus:
                    got = [("%d.%09d" % divmod(f.ts_ns, 10**9), f.len, f.caplen, f.data.hex())
                           for f in bus]
                    self.assertEqual(got, want)
                    self.assertEqual(bus.stats().total.frames, 300)

    def test_numbers_times_and_the_end(self):
        with Producer("synth:count=5000,size=100") as p, ncpbus.Bus(p.bus, start="oldest") as bus:
            seqs, last, items = [], 0, []
            for item in bus.read():
                if isinstance(item, ncpbus.Frame):
                    seqs.append((item.seq, number(item.data)))
                    self.assertEqual(item.len, len(item.data))
                    self.assertGreaterEqual(item.ts_ns, last)
                    self.assertAlmostEqual(item.time, item.datetime.timestamp(), 5)
                    last = item.ts_ns
                else:
                    items.append(item)
            self.assertEqual(seqs, [(i, i) for i in range(5000)])
            self.assertEqual(items[-1].state, ncpbus.State.ENDED)
            self.assertEqual(items[-1].reason, ncpbus.Reason.EXHAUSTED)
            self.assertEqual(list(bus), [], "it has ended")
            total = bus.stats().total
            self.assertEqual((total.frames, total.lost, total.next_seq), (5000, 0, 5000))

    def test_a_loop_that_is_left_goes_on(self):
        with Producer("synth:count=1000,size=100") as p, ncpbus.Bus(p.bus, start="oldest") as bus:
            seen = []
            for _ in range(20):
                for frame in bus.frames(timeout=0):
                    seen.append(frame.seq)
                    if len(seen) % 33 == 0:
                        break
            seen += [frame.seq for frame in bus]
            self.assertEqual(seen, list(range(1000)))

    def test_live_with_a_timeout_and_a_descriptor(self):
        with Producer("synth:pps=500,size=100", wait=False) as p, ncpbus.Bus(p.bus) as bus:
            poll = select.poll()
            poll.register(bus.fileno(), select.POLLIN)
            seen = []
            while len(seen) < 200:
                self.assertTrue(poll.poll(10000))
                seen += [frame.seq for frame in bus.frames(timeout=0)]
            self.assertEqual(seen, list(range(seen[0], seen[0] + len(seen))))
            p.process.send_signal(signal.SIGSTOP)
            before = time.monotonic()
            rest = [frame.seq for frame in bus.frames(timeout=0.3)]
            self.assertGreaterEqual(time.monotonic() - before, 0.3)
            p.process.send_signal(signal.SIGCONT)
            self.assertEqual(rest, list(range(seen[-1] + 1, seen[-1] + 1 + len(rest))))


class Views(unittest.TestCase):
    def setUp(self):
        self.producer = Producer("synth:count=3000,size=200")
        self.addCleanup(self.producer.__exit__)
        self.bus = ncpbus.Bus(self.producer.bus, start="oldest")
        self.addCleanup(self.bus.close)

    def test_are_read_only_and_last_until_the_next(self):
        frames = self.bus.frames()
        first = next(frames)
        self.assertTrue(first.data.readonly)
        with self.assertRaises(TypeError):
            first.data[0] = 1
        kept = bytes(first)
        self.assertTrue(first.intact())
        next(frames)
        with self.assertRaises(ValueError):
            first.data[0]
        self.assertEqual(number(kept), 0)
        self.assertEqual((first.seq, first.caplen), (0, 200))

    def test_that_are_copies_stay(self):
        with ncpbus.Bus(self.producer.bus, start="oldest", copy=True) as bus:
            frames = list(bus)
        self.assertEqual([number(f.data) for f in frames], list(range(3000)))
        self.assertIsInstance(frames[7].data, bytes)
        self.assertTrue(frames[7].intact())
        self.assertEqual(bytes(frames[7]), frames[7].data)

    def test_of_a_closed_bus_do_not_crash(self):
        part = next(iter(self.bus)).data[42:50]
        exporter = self.bus._exporter
        self.bus.close()
        gc.collect()
        self.assertEqual(int.from_bytes(part, "big"), 0)
        self.assertIsNotNone(exporter())
        del part
        self.assertIsNone(exporter(), "the last view detaches")

    def test_slices_and_arrays_outlive_the_next_frame(self):
        np = self.bus._numpy
        self.assertIsNotNone(np)
        frames = self.bus.frames()
        frame = next(frames)
        held = np.frombuffer(frame.data, np.uint8)
        part = frame.data[42:50]
        next(frames)
        self.assertEqual(held[49], 0)
        self.assertEqual(bytes(part), bytes(8))

    def test_a_closed_bus_is_an_error(self):
        self.bus.close()
        self.bus.close()
        for call in (lambda: next(iter(self.bus)), self.bus.info, self.bus.tell, self.bus.stats):
            with self.assertRaises(ValueError):
                call()


class Losing(unittest.TestCase):
    def test_an_overwritten_frame_is_known(self):
        with Producer("synth:size=1000", wait=False) as p, ncpbus.Bus(p.bus) as bus:
            items = bus.read()
            frame = next(i for i in items if isinstance(i, ncpbus.Frame))
            until(lambda: bus.info().oldest_seq > frame.seq + 100)
            self.assertFalse(frame.intact())
            with self.assertRaises(ncpbus.Overwritten):
                bytes(frame)
            lost = next(i for i in items if isinstance(i, ncpbus.Lost))
            # What was fetched with it was overwritten, too: all is lost from it on.
            self.assertLessEqual(lost.seq, frame.seq)
            self.assertGreater(lost.next_seq, frame.seq + 100)
            self.assertEqual(lost.count, lost.next_seq - lost.seq)
            now = bus.stats().now
            self.assertGreaterEqual(now.lost, lost.count)
            self.assertEqual(now.frames + now.filtered + now.others + now.lost,
                             now.next_seq - now.first_seq)

    def test_copies_are_whole_and_exact_while_lapped(self):
        with Producer("synth:count=400000,size=300", "--wait-clients", "1", wait=False) as p, \
                ncpbus.Bus(p.bus, start=ncpbus.Seq(0), copy=True) as bus:
            have, lost = [], []
            for item in bus.read():
                if isinstance(item, ncpbus.Frame):
                    self.assertEqual(number(item.data), item.seq)
                    have.append(item.seq)
                    if len(have) in (1000, 2000):
                        # Slow once in a while: until the ring has been lapped.
                        until(lambda: bus.info().oldest_seq > item.seq or
                              bus.info().state == ncpbus.State.ENDED)
                elif isinstance(item, ncpbus.Lost):
                    lost += range(item.seq, item.next_seq)
            self.assertTrue(lost, "nothing was lost: the test proves nothing")
            self.assertTrue(sorted(have + lost) == list(range(400000)), "each came or was lost")

    def test_a_replaced_bus(self):
        with Producer("synth:pps=2000,size=100", wait=False) as p, ncpbus.Bus(p.bus) as bus:
            items = bus.read()
            frame = next(i for i in items if isinstance(i, ncpbus.Frame))
            held = frame.data[42:50]
            p.process.kill()
            p.process.wait(30)
            with Producer("synth:count=500,size=100", "-m", "16M", name=p.bus):
                event = next(i for i in items if isinstance(i, ncpbus.Reattached))
                self.assertFalse(frame.intact())
                with self.assertRaises(BufferError):
                    next(items)
                del held
                rest = [f.seq for f in bus]
                self.assertEqual(rest, list(range(500)))
                self.assertEqual(bus.stats().reattached, 1)
                self.assertEqual(event.seq, 0)


class Places(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.producer = Producer("synth:count=4000,pps=8000,size=100")
        cls.bus_name = cls.producer.bus

    @classmethod
    def tearDownClass(cls):
        cls.producer.__exit__()

    def first(self, start):
        with ncpbus.Bus(self.bus_name, start=start) as bus:
            for frame in bus:
                return frame.seq
        return None

    def test_where_it_begins(self):
        self.assertEqual(self.first("oldest"), 0)
        self.assertEqual(self.first("latest"), None)
        self.assertEqual(self.first(ncpbus.Seq(1234)), 1234)
        with ncpbus.Bus(self.bus_name, start=ncpbus.Seq(2000)) as bus:
            frame = next(iter(bus))
            self.assertEqual(self.first(ncpbus.Time(frame.ts_ns)), 2000)
            self.assertEqual(self.first(ncpbus.Time(frame.ts_ns + 1)), 2001)
            # A microsecond is the best a datetime can do, and frames are 125 apart.
            self.assertIn(self.first(frame.datetime), (2000, 2001))
        self.assertEqual(self.first(timedelta(hours=1)), 0)
        self.assertEqual(self.first(datetime.now(timezone.utc) + timedelta(hours=1)), None)

    def test_a_cursor_comes_back_exactly(self):
        with ncpbus.Bus(self.bus_name, start="oldest") as bus:
            for stop in (1, 10, 64, 65, 100, 700):
                seen = None
                bus.seek("oldest")
                for frame in bus:
                    seen = frame.seq
                    if seen == stop:
                        break
                cursor = bus.tell()
                self.assertEqual(cursor.seq, stop + 1)
                self.assertEqual(self.first(cursor), stop + 1)
            bus.seek(ncpbus.Seq(3990))
            self.assertEqual([f.seq for f in bus], list(range(3990, 4000)))

    def test_refusals(self):
        with ncpbus.Bus(self.bus_name) as bus:
            for bad, kind in (("now", ValueError), (5, TypeError), (datetime(2026, 1, 1), ValueError),
                              (ncpbus.Seq(10**9), ncpbus.Error)):
                with self.assertRaises(kind):
                    bus.seek(bad)
            with self.assertRaises(ncpbus.FilterError) as caught:
                bus.set_filter("udp portt 3")
            self.assertIn("syntax error", str(caught.exception))
            with self.assertRaises(ncpbus.FilterError):
                bus.set_bpf([(0xffff, 0, 0, 0)])
            with self.assertRaises(IndexError):
                bus.interface(7)
            with self.assertRaises(ValueError):
                bus.batch(0)
        with self.assertRaises(ncpbus.NoSuchBus) as caught:
            ncpbus.Bus("nothing")
        self.assertEqual(caught.exception.code, _abi.ENOBUS)
        with self.assertRaises(ncpbus.Error) as caught:
            ncpbus.Bus("no/name")
        self.assertEqual(caught.exception.code, _abi.ENAME)
        with self.assertRaises(ncpbus.Error):
            ncpbus.Bus(self.bus_name, reliable=True)

    def test_filters(self):
        with ncpbus.Bus(self.bus_name, start="oldest", filter="udp[15] & 3 = 1") as bus:
            self.assertEqual([f.seq for f in bus], list(range(1, 4000, 4)))
            self.assertEqual(bus.stats().total.filtered, 3000)
            bus.seek("oldest")
            # ret 0: no frame; then every frame.
            bus.set_bpf([(6, 0, 0, 0)])
            self.assertEqual(list(bus), [])
            bus.seek("oldest")
            bus.set_bpf([])
            self.assertEqual(sum(1 for _ in bus), 4000)

    def test_shards_share_the_frames(self):
        seen = []
        for i in range(3):
            with ncpbus.Bus(self.bus_name, start="oldest", shard=(i, 3)) as bus:
                seen += [f.seq for f in bus]
        self.assertEqual(sorted(seen), list(range(4000)))

    def test_looking(self):
        with ncpbus.Bus(self.bus_name, client="looker") as bus:
            info = bus.info()
            self.assertEqual((info.name, info.next_seq, info.state, info.ring_size),
                             (self.bus_name, 4000, ncpbus.State.ENDED, 8 << 20))
            (interface,) = bus.interfaces()
            self.assertEqual((interface.linktype, interface.published), (1, 4000))
            (peer,) = bus.peers()
            self.assertEqual((peer.name, peer.uid, peer.pid), ("looker", os.geteuid(), os.getpid()))
            with ncpbus.Bus(self.bus_name, registry=False):
                self.assertEqual(len(bus.peers()), 1)
        self.assertIn(self.bus_name, ncpbus.busses())


class Batches(unittest.TestCase):
    def run_columns(self, without_numpy):
        path = os.path.join(FOLDER, "batch.pcap")
        write_mix(path)
        with Producer(f"file:{path}") as p, ncpbus.Bus(p.bus, start="oldest") as bus, \
                ncpbus.Bus(p.bus, start="oldest", copy=True) as other:
            if without_numpy:
                bus._numpy = None
            want = [(f.seq, f.ts_ns, f.len, f.caplen, f.interface, f.flags, f.data) for f in other]
            got, events = [], []
            while True:
                batch = bus.batch(70)
                if batch is None:
                    break
                if not isinstance(batch, ncpbus.Batch):
                    events.append(batch)
                    continue
                self.assertEqual(len(batch), len(list(batch)))
                self.assertIsInstance(batch.seq, array.array if without_numpy else
                                      type(batch.len))
                got += zip(map(int, batch.seq), map(int, batch.ts_ns), map(int, batch.len),
                           map(int, batch.caplen), map(int, batch.interface),
                           map(int, batch.flags), map(bytes, batch))
                self.assertEqual(bytes(batch[-1]), got[-1][-1])
                at = int(batch.offset[0])
                self.assertEqual(bytes(batch.data[at:at + 14]), got[-len(batch)][-1][:14])
                with self.assertRaises(IndexError):
                    batch[len(batch)]
                if without_numpy:
                    with self.assertRaises(ImportError):
                        batch.head(3)
                else:
                    for row, data in zip(batch.head(60), batch):
                        self.assertEqual(bytes(row), bytes(data[:60]).ljust(60, b"\0"))
                self.assertTrue(batch.intact())
            self.assertEqual(got, want)
            self.assertEqual(events[-1].state, ncpbus.State.ENDED)
            self.assertIsNone(bus.batch(timeout=0))

    def test_columns_with_numpy(self):
        self.run_columns(False)

    def test_columns_without_numpy(self):
        self.run_columns(True)

    def test_over_the_end_of_the_ring(self):
        with Producer("synth:count=100000,size=100") as p, ncpbus.Bus(p.bus, start="oldest") as bus:
            first = bus.info().oldest_seq
            self.assertGreater(first, 0, "the ring was not lapped")
            seqs = []
            while True:
                batch = bus.batch(1000)
                if batch is None:
                    break
                if isinstance(batch, ncpbus.Batch):
                    seqs += [int.from_bytes(bytes(row), "big") for row in batch.head(50)[:, 42:50]]
            self.assertEqual(seqs, list(range(first, 100000)))

    def test_not_amid_frames(self):
        with Producer("synth:count=1000,size=100") as p, ncpbus.Bus(p.bus, start="oldest") as bus:
            next(iter(bus))
            with self.assertRaises(ValueError):
                bus.batch()
            bus.seek("oldest")
            self.assertEqual(len(bus.batch(1000)), 1000)

    def test_an_overwritten_one_is_known(self):
        with Producer("synth:size=1000", wait=False) as p, ncpbus.Bus(p.bus) as bus:
            batch = bus.batch(8)
            while not isinstance(batch, ncpbus.Batch):
                batch = bus.batch(8)
            last = int(batch.seq[-1])
            until(lambda: bus.info().oldest_seq > last + 100)
            self.assertFalse(batch.intact())
            lost = bus.batch(8)
            self.assertIsInstance(lost, ncpbus.Lost)


if __name__ == "__main__":
    unittest.main()
