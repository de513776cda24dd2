#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""truth_screen.py - every number on the terminal's page, against the mix of truth.py.

The mix is played within one interval of the page, which then stands still: in a pause.  How long that
interval was is not known, but it is one: all rates of a page, with the error of their rounding, must leave
a time that fits them all.  Run by test_truth.sh.
"""
import math
import os
import re
import subprocess
import unittest

import ncpbus
import truth as t

INTERVAL = 3


class Terminal:
    """ncp-stats on a terminal of tmux."""

    def __init__(self, bus, cols, rows, interval):
        self.at = os.path.join(t.FOLDER, f"tmux.{bus}")
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", str(cols), "-y", str(rows),
                  f"exec ncp-stats -i {bus} -n {interval}")

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.tmux("kill-server")

    def tmux(self, *words):
        return subprocess.run(["tmux", "-S", self.at, "-u", *words], check=True, capture_output=True,
                              text=True).stdout

    def lines(self):
        return [line.rstrip() for line in self.tmux("capture-pane", "-p").splitlines()]

    def awaits(self, pattern):
        """The page, once a line of it has that."""
        def found():
            lines = self.lines()
            return lines if any(re.search(pattern, line) for line in lines) else None
        return t.until(found)

    def press(self, keys, pattern):
        self.tmux("send-keys", *keys)
        return self.awaits(pattern)


def duration(ns):
    s = ns // 10**9
    return ("0 s" if ns == 0 else f"{ns / 1e3:.0f} us" if ns < 10**6 else f"{ns / 1e6:.1f} ms" if s < 1 else
            f"{ns / 1e9:.2f} s" if s < 60 else f"{s // 60}m{s % 60:02}s" if s < 3600 else
            f"{s // 3600}h{s // 60 % 60:02}m" if s < 86400 else f"{s // 86400}d{s // 3600 % 24:02}h")


def size(n):
    """Three digits and a unit of 1024."""
    unit = 0
    while n >= 999.5:
        n, unit = n / 1024, unit + 1
    return f"{n:.{0 if not unit or n >= 99.95 else 1 if n >= 9.995 else 2}f}{' KMG'[unit].strip()}"


class Times:
    """How long an interval may have been, as its rates are."""

    def __init__(self):
        self.least, self.most = INTERVAL * 0.9, INTERVAL * 3

    def fit(self, case, amount, shown, what):
        """An amount in that time is shown as "1.23k" a second."""
        found = re.fullmatch(r"(\d+)(?:\.(\d+))?([kMG]?)", shown)
        case.assertTrue(found, f"{what}: {shown}")
        scale = 1000 ** " kMG".index(found.group(3) or " ")
        rate = float(shown.rstrip("kMG")) * scale
        half = 0.5000001 * scale / 10 ** len(found.group(2) or "")
        if amount == 0:
            case.assertEqual("0", shown, what)
            return
        self.least = max(self.least, amount / (rate + half))
        self.most = min(self.most, amount / (rate - half) if rate > half else math.inf)
        case.assertLessEqual(self.least, self.most, f"{what}: {shown} of {amount} fits no time that the others do")


def share(part, whole):
    """As a whole number of percents; both where it is in between."""
    x = 100 * part / whole
    return {f"{math.floor(x + 0.5 - 1e-9)}%", f"{math.floor(x + 0.5 + 1e-9)}%", f"{x:.0f}%"}


class Screen(unittest.TestCase):
    bus = "page-" + os.environ["TAP_ID"]

    def setUp(self):
        self.frames = t.mix()
        self.path = os.path.join(t.FOLDER, "screen.pcap")
        t.write_pcap(self.path, self.frames, t.STEP_NS)
        self.truth = t.Truth(self.frames)

    def test_panes(self):
        with t.producer(self.bus, f"file:{self.path}", "--keep", "--wait-clients", "2") as p:
            t.until(lambda: self.bus in ncpbus.busses())
            with Terminal(self.bus, 80, 24, INTERVAL) as page:
                page.awaits("FLOWS 0 +no frame")
                # Just behind a look, so that all of it comes before the next one.
                clock = page.lines()[0][-8:]
                t.until(lambda: page.lines()[0][-8:] != clock)
                clients = [ncpbus.Bus(self.bus, start=ncpbus.Seq(0), client=name) for name in ("one", "two")]
                page.awaits(f"published {len(self.frames)} frames")
                page.press(["p"], " PAUSED$")
                self.assertEqual(0, p.process.wait(30))
                for cols, rows in (80, 24), (200, 60):
                    page.tmux("resize-window", "-x", str(cols), "-y", str(rows))
                    t.until(lambda: len(page.lines()[0]) == cols - 1 and page.lines()[-1].startswith("q quit"))
                    self.look(page, cols)
                for client in clients:
                    client.close()

    def look(self, page, cols):
        """Every pane of a page of so many columns."""
        rates, traffic = Times(), Times()
        self.head(page.lines(), rates)
        self.sources(page.press(["Tab"], "^SOURCES")[8:], rates)
        self.clients(page.press(["Tab"], "^CLIENTS 2/2")[8:], cols, rates)
        lines = page.press(["Tab"], "^PROTO +BIT/S")
        self.traffic(lines[8:], cols, traffic, False)
        self.traffic(page.press(["t"], "^PROTO +FRAMES/S")[8:], cols, traffic, True)
        self.flows(page.press(["Tab"], "^FLOWS"), traffic, True)
        self.flows(page.press(["t"], "t by bytes"), traffic, False)
        page.press(["Escape"], "^SOURCES")
        self.assertLess(abs(rates.least - traffic.least), 0.3, "one and the same interval")

    def used(self):
        """Bytes of the ring: before the first frame, and in all."""
        with ncpbus.Bus(self.bus, start="oldest", registry=False, reattach=False) as bus:
            at = [(item.position, item.caplen) for item in bus]
        block = {b[0] - a[0] - (a[1] + 3) // 4 * 4 for a, b in zip(at, at[1:])}
        self.assertEqual(1, len(block))
        return at[0][0], at[-1][0] + (at[-1][1] + 3) // 4 * 4 + block.pop()

    def head(self, lines, rates):
        n, captured = len(self.frames), sum(len(m.data) for m in self.frames)
        cut = sum(len(m.data) < m.length for m in self.frames)
        info = t.once(self.bus)
        depth = duration((n - 1) * t.STEP_NS)
        self.assertRegex(lines[0], rf"^{self.bus}  ended \(source exhausted\)  pid {info['pid']}  epoch 1 ")
        self.assertEqual([f"published {n} frames, {size(captured)}  received {n}  discarded 0",
                          f"kernel drops 0  lost by clients 0  freezes 0  truncated {cut}",
                          f"ring 8M, {size(self.used()[1])} used, holds {depth}: frames 0 to {n - 1}"], lines[1:4])
        for name, amount, line in zip(("frames", "bits", "drops"), (n, 8 * captured, 0), lines[5:8]):
            word, now, mean, peak = line.split()[:4]
            self.assertEqual(name, word)
            rates.fit(self, amount, now, f"{name} now")
            self.assertEqual(now, peak)
            # Of all the time of watching, several intervals.
            self.assertTrue(amount == 0 or mean != now, line)

    def sources(self, lines, rates):
        n = len(self.frames)
        self.assertRegex(lines[1], rf"^- +{n} +{n} +0 100\.0% █+$")
        self.assertEqual("", lines[2])

    def clients(self, lines, cols, rates):
        n, (front, used) = len(self.frames), self.used()
        for name, line in zip(("one", "two"), lines[1:3]):
            want = rf"^{name} +\S+ +{os.getpid()} +{n} +{duration((n - 1) * t.STEP_NS)} +(\S+ s|\d+m\d+s) +0"
            want += rf" +0 +0 +{size(used)}$" if cols >= 120 else "$"
            self.assertRegex(line, want)
            seconds = re.match(want, line).group(1)
            found = re.fullmatch(r"(?:(\d+)m(\d+)s|(\S+) s)", seconds)
            # As long as it takes, at the rate of that interval, to fill what is left of the ring.
            m, s, alone = found.groups()
            least = float(alone) if alone else 60 * int(m) + int(s)
            slack, times = (0.006 if alone else 1), (t.RING - used) / (used - front)
            self.assertTrue(rates.least * times - slack <= least <= rates.most * times + slack,
                            f"{line}: {rates.least} to {rates.most}")

    def traffic(self, lines, cols, times, by_frames):
        narrow = cols < 120
        a, b, end = (22, 45, 80) if narrow else (32, 65, 120)
        whole = (self.truth.frames, self.truth.bytes)[not by_frames]
        columns = {"protocols": slice(0, a), "sizes": slice(a, b), "talkers": slice(b, end)}
        self.assertIn("TALKERS  every frame", lines[0])
        for group, where in columns.items():
            of, seen = getattr(self.truth, group), []
            for line in lines[1:-1]:
                cell = line[where].split()
                if not cell:
                    continue
                name, rate, part = " ".join(cell[:-2]), *cell[-2:]
                seen.append(name)
                amount = of[name][not by_frames]
                times.fit(self, amount if by_frames else 8 * amount, rate, f"{group} {name}")
                self.assertIn(part, share(amount, whole), f"{group} {name}")
            self.assertEqual(sorted(of), sorted(seen), group)
            if group == "talkers":
                weights = [of[name][not by_frames] for name in seen]
                self.assertEqual(sorted(weights, reverse=True), weights, "the heaviest first")

    def flows(self, lines, times, by_frames):
        lines = lines[8:]
        whole = (self.truth.frames, self.truth.bytes)[not by_frames]
        self.assertRegex(lines[0], f"^FLOWS {len(self.truth.flows)}  every frame")
        seen = []
        for line in lines[1:-1]:
            if not line:
                continue
            *name, frames, bits, part = line.split()
            name = " ".join(name)
            seen.append(name)
            want = self.truth.flows[name]
            times.fit(self, want[0], frames, name)
            times.fit(self, 8 * want[1], bits, name)
            self.assertIn(part, share(want[not by_frames], whole), name)
        self.assertEqual(sorted(self.truth.flows), sorted(seen))
        weights = [self.truth.flows[name][not by_frames] for name in seen]
        self.assertEqual(sorted(weights, reverse=True), weights, "the heaviest first")
