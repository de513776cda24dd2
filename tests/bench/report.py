#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""report.py - the report of what the benchmarks noted: bars, tables, plots.

    tests/bench/report.py FIGURES REPORT.md RUNS

FIGURES is the folder of SECTION.tsv files (lib.sh's note: run, metric, case, x, value) and of what
programs printed as tables (SECTION.md).  A section without figures is left out and named.  The text
between the tables is tests/bench/text/SECTION.md.  Plots go to REPORT/*.svg where gnuplot is installed.
"""
import os
import platform
import re
import shutil
import subprocess
import sys
from collections import defaultdict

SIZES = ("64", "512", "1500", "imix")
HERE = os.path.dirname(os.path.abspath(__file__))


def median(values):
    return sorted(values)[(len(values) - 1) // 2]


def show(values):
    """A cell: median (least-most)."""
    if not values:
        return "-"
    values = sorted(values)
    middle = f"{median(values):.4g}"
    if values[0] == values[-1]:
        return middle
    return f"{middle} ({values[0]:.4g}–{values[-1]:.4g})"


def by_run(a, b):
    """Of two cases of the same run: {run: value} of a, of that of b."""
    return {run: a[run] / b[run] for run in a if b.get(run)}


class Figures:
    """What was noted: of a section, metric, case and x, one value a run."""

    def __init__(self, folder):
        self.folder = folder
        self.values = defaultdict(dict)
        self.tables = {}
        for name in sorted(os.listdir(folder)):
            section, ext = os.path.splitext(name)
            path = os.path.join(folder, name)
            if ext == ".tsv":
                with open(path, encoding="utf-8") as f:
                    for line in f:
                        run, metric, case, x, value = line.rstrip("\n").split("\t")
                        try:
                            self.values[section, metric, case, x][int(run)] = float(value)
                        except ValueError:
                            pass  # a run that failed noted nothing there
            elif ext == ".md" and name != "report.md":
                with open(path, encoding="utf-8") as f:
                    text = f.read().strip()
                if text:
                    self.tables[section] = text

    def runs(self, section, metric, case, x):
        """{run: value}."""
        return self.values.get((section, metric, case, str(x)), {})

    def of(self, section, metric, case, x):
        return list(self.runs(section, metric, case, x).values())

    def ratio(self, section, metric, case, other, x):
        """Run by run: of two cases of the same run."""
        return list(by_run(self.runs(section, metric, case, x), self.runs(section, metric, other, x)).values())

    def difference(self, section, metric, case, others, x):
        """Run by run: a case less the sum of others, given as (case, x)."""
        a = self.runs(section, metric, case, x)
        b = [self.runs(section, metric, o, ox) for o, ox in others]
        return [a[run] - sum(o[run] for o in b) for run in a if all(run in o for o in b)]

    def cases(self, section, metric):
        seen = []
        for s, m, case, _ in self.values:
            if (s, m) == (section, metric) and case not in seen:
                seen.append(case)
        return seen

    def xs(self, section, metric):
        seen = []
        for s, m, _, x in self.values:
            if (s, m) == (section, metric) and x not in seen:
                seen.append(x)
        return seen

    def cell(self, section, row, column):
        """A median from a program's table: of the first row that begins with row."""
        for line in self.tables.get(section, "").splitlines():
            cells = [c.strip() for c in line.strip("|").split("|")]
            if cells[0] == row and len(cells) > column:
                number = re.match(r"[0-9.]+", cells[column])
                return [float(number.group())] if number else []
        return []


# --- bars -----------------------------------------------------------------------------------------

class Bar:
    def __init__(self, number, what, values, sign, limit, unit=""):
        self.number, self.what, self.values = number, what, values
        self.sign, self.limit, self.unit = sign, limit, unit

    def holds(self):
        if not self.values:
            return None
        m = median(self.values)
        return m <= self.limit if self.sign == "≤" else m >= self.limit

    def row(self):
        holds = {None: "not measured", True: "holds", False: "**does not hold**"}[self.holds()]
        return (f"| {self.number} | {self.what} | {show(self.values)}{self.unit if self.values else ''} "
                f"| {self.sign} {self.limit:g}{self.unit} | {holds} |")


def best_of(fig, section, metric, cases, x):
    """Run by run, the greatest of several cases."""
    best = {}
    for case in cases:
        for run, value in fig.runs(section, metric, case, x).items():
            best[run] = max(best.get(run, 0), value)
    return best


def bars(fig):
    out = []

    def bar(number, what, values, *limit):
        out.append(Bar(number, what, list(values.values()) if isinstance(values, dict) else values, *limit))

    for size in SIZES:
        name = size if size == "imix" else size + " B"
        bar(1, f"sender's rate with 8 clients, of with 1, {name}",
            fig.ratio("capture", "rate", "ncp 8", "ncp 1", size), "≥", 0.97)
    bar(1, "least share of its frames that one of 8 clients got, all sizes",
        [min(v)] if (v := [x for s in SIZES for x in fig.of("capture", "share", "ncp 8", s)]) else [],
        "≥", 1)
    bar(1, "frames missing or twice in what clients got, all runs",
        [sum(v)] if (v := [x for c in ("ncp 1", "ncp 4", "ncp 8") for s in SIZES
                           for x in fig.of("capture", "faults", c, s)]) else [], "≤", 0)
    for size, limit in (("64", 0.25), ("1500", 0.18)):
        bar(1, f"CPU of all a frame delivered to 8 clients, of tcpdump's (one), {size} B",
            fig.ratio("capture", "cpu", "ncp 8", "tcpdump 1", size), "≤", limit)
    for size in SIZES:
        name = size if size == "imix" else size + " B"
        ours = fig.runs("capture", "producer", "ncp 1", size)
        for case, what in (("walker 1", "the bare walker's"),
                           ("walker-blocks 1", "a walker's that writes the same blocks")):
            bar(2, f"producer's CPU a frame, of {what}, {name}",
                by_run(ours, fig.runs("capture", "cpu", case, size)), "≤", 1.3)
    for size in SIZES:
        name = size if size == "imix" else size + " B"
        bar(2, f"highest lossless rate with 1 client, of the walker's, {name}",
            fig.ratio("capture", "lossless", "ncp 1", "walker 1", size), "≥", 0.95)
    peers = [c for c in fig.cases("capture", "lossless")
             if c.endswith(" 4") and not c.startswith(("ncp", "libpcap"))]
    for size in ("64", "1500"):
        best = best_of(fig, "capture", "lossless", peers, size)
        bar(2, f"the same with 4 clients, of the best peer's with 4 sockets, {size} B",
            by_run(fig.runs("capture", "lossless", "ncp 4", size), best), "≥", 1.7)

    for i, (size, alone, read) in enumerate((("64", 7, 20), ("512", 25, 60), ("1500", 110, 170))):
        column = 1 + 2 * i
        bar(3, f"publish, nobody reads, {size} B", fig.cell("ring", "publish", column), "≤", alone, " ns")
        bar(3, f"publish, a live reader, {size} B", fig.cell("ring", "publish, read", column), "≤", read,
            " ns")
    bar(3, "ncp_next, 64 B", fig.cell("ring", "next", 1), "≤", 4, " ns")
    bar(3, "ncp_next, of a hand-written walk, 64 B", fig.cell("ring", "next", 2), "≤", 1.2)
    bar(3, "four readers of all bytes, 64 B", fig.cell("ring", "all bytes", 1), "≤", 20, " ns")
    bar(3, "four readers of all bytes, 1500 B", fig.cell("ring", "all bytes", 5), "≤", 150, " ns")
    bar(3, "spans, 64 B", fig.cell("ring", "spans", 1), "≤", 0.1, " ns")

    bar(4, "ring full of data: rate to disk, of fio's", fig.ratio("disk", "full", "ncp-dump", "fio", 1444),
        "≥", 0.95)
    bar(4, "CPU a GB, of fio's", fig.ratio("disk", "fullcpu", "ncp-dump", "fio", 1444), "≤", 1.5)
    for name, peer, limit in (("netsniff-ng's best mode", "netsniff-ng", 1.5), ("tcpdump", "tcpdump", 2.5),
                              ("dumpcap", "dumpcap", 2.5)):
        best = best_of(fig, "disk", "live", [c for c in fig.cases("disk", "live") if c.startswith(peer)],
                       1500)
        bar(4, f"live, everything captured, of {name}",
            by_run(fig.runs("disk", "live", "ncp-dump", 1500), best), "≥", limit)

    bar(5, "lo: time added to a frame", fig.of("loopback", "added", "ncp", 10), "≤", 350, " ns")
    bar(5, "lo: time added, of tcpdump's", fig.ratio("loopback", "added", "ncp", "tcpdump", 10), "≤", 0.65)
    bar(5, "lo: captured", fig.of("loopback", "share", "ncp", 10), "≥", 1)
    bar(5, "lo: frames missing or twice", fig.of("loopback", "faults", "ncp", 10), "≤", 0)

    for pps in (1000, 100000):
        for metric in ("p50", "p99", "p999"):
            bar(6, f"immediate mode, {pps}/s, {metric}: over libpcap's plus a futex wake-up",
                fig.difference("latency", metric, "ncp, --immediate-mode",
                               [("libpcap, immediate mode", pps), ("futex", 1000)], pps), "≤", 0, " µs")
    bar(6, "spinning, 1000/s, p50: over libpcap's, spinning",
        fig.difference("latency", "p50", "ncp, --immediate-mode --busy-poll, spinning",
                       [("libpcap, immediate mode, spinning", 1000)], 1000), "≤", 5, " µs")

    for case in ("tcp port 80", "host A and not port 22", "or of 20 hosts"):
        bar(7, f"filter '{case}', mixed frames", fig.cell("filter", case, 2), "≤", 25, " ns")
        bar(7, f"filter '{case}', of bpf_filter, mixed frames", fig.cell("filter", case, 4), "≤", 0.5)

    def over_x(metric, x, base, case="ncp"):
        """By run: a case at x, of the same at base."""
        return by_run(fig.runs("scale", metric, case, x), fig.runs("scale", metric, case, base))

    bar(8, "capture threads' CPU a frame with 64 clients, of with 1", over_x("clients", "64", "1"), "≤", 1.15)
    bar(8, "the same, 63 of the 64 stopped",
        by_run(fig.runs("scale", "sleeping", "ncp", "64"), fig.runs("scale", "clients", "ncp", "1")), "≤", 1.15)
    rings = fig.xs("scale", "attach")
    if rings:
        grown = over_x("ring", rings[-1], rings[0])
        bar(8, f"capture thread's CPU a frame, a ring of {rings[-1]}, of one of {rings[0]}", grown, "≤", 1.15)
        bar(8, "the same, over what the bare walker pays for an area of 512M, of one of 8M",
            by_run(grown, over_x("area", "512M", "8M", "walker")), "≤", 1.15)
        bar(8, "attach, the slowest ring size", max((fig.of("scale", "attach", "ncp", r) for r in rings),
                                                    key=median), "≤", 10, " ms")
        bar(8, "a client's own memory", max((fig.of("scale", "memory", "ncp", r) for r in rings),
                                            key=median), "≤", 1024, " KiB")
    return out


# --- tables and plots -----------------------------------------------------------------------------

def table(head, rows):
    return "\n".join(["| " + " | ".join(head) + " |", "|" + "---|" * len(head)] +
                     ["| " + " | ".join(row) + " |" for row in rows])


def capture_table(fig):
    rows = []
    for size in SIZES:
        for case in fig.cases("capture", "rate"):
            if not fig.of("capture", "rate", case, size):
                continue
            kpps = [v / 1e3 for v in fig.of("capture", "rate", case, size)]
            lossless = [v / 1e3 for v in fig.of("capture", "lossless", case, size)]
            rows.append((size, case, show(kpps), show(fig.of("capture", "share", case, size)),
                         show(fig.of("capture", "cpu", case, size)),
                         show(fig.of("capture", "producer", case, size)), show(lossless)))
    return table(("frame", "capture, clients or sockets", "sender, kpps", "each gets",
                  "CPU ns a frame delivered", "producer's CPU ns a frame", "lossless, kpps"), rows)


def simple_table(fig, section, columns):
    """A row a case and x; columns: metric, heading."""
    rows = []
    for x in fig.xs(section, columns[0][0]):
        for case in fig.cases(section, columns[0][0]):
            if fig.of(section, columns[0][0], case, x):
                rows.append((case, x, *(show(fig.of(section, m, case, x)) for m, _ in columns)))
    return table(("case", "x", *(h for _, h in columns)), rows)


def scale_table(fig):
    rows = []
    for metric, case, what in (("clients", "ncp", "clients"), ("sleeping", "ncp", "clients, all but one stopped"),
                               ("workers", "ncp", "workers"), ("rate", "ncp", "frames a second"),
                               ("ring", "ncp", "ring"), ("area", "walker", "the bare walker's area")):
        for x in fig.xs("scale", metric):
            rows.append((what, x, show(fig.of("scale", metric, case, x)),
                         show(fig.of("scale", "attach", "ncp", x)) if metric == "ring" else "",
                         show(fig.of("scale", "memory", "ncp", x)) if metric == "ring" else ""))
    return table(("by", "x", "capture threads' CPU ns a frame", "attach, ms", "a client's memory, KiB"), rows)


def disk_table(fig):
    rows = [("ring full", case, show(fig.of("disk", "full", case, 1444)),
             show(fig.of("disk", "fullcpu", case, 1444)), show(fig.of("disk", "lost", case, 1444)))
            for case in fig.cases("disk", "full")]
    rows += [("live, nothing lost", case, show(fig.of("disk", "live", case, 1500)),
              show(fig.of("disk", "livecpu", case, 1500)), "") for case in fig.cases("disk", "live")]
    return table(("", "program", "MB/s on the disk", "CPU s a GB", "frames lost"), rows)


class Plots:
    def __init__(self, folder):
        self.folder = folder
        self.links = defaultdict(list)
        self.able = shutil.which("gnuplot") is not None

    def plot(self, section, name, title, xlabel, ylabel, lines, options=""):
        """lines: (title, [(x, values)]); x may be words."""
        lines = [(t, [(x, v) for x, v in points if v]) for t, points in lines]
        lines = [(t, points) for t, points in lines if points]
        if not self.able or not lines:
            return
        os.makedirs(self.folder, exist_ok=True)
        xs = []
        for _, points in lines:
            xs += [x for x, _ in points if x not in xs]
        script = ["set terminal svg size 640,360 font 'sans,11' background '#ffffff'",
                  f"set output '{os.path.join(self.folder, name)}.svg'", f"set title '{title}'",
                  f"set xlabel '{xlabel}'", f"set ylabel '{ylabel}'", "set key outside right top",
                  "set grid ytics lc '#dddddd'", "set border 3", "set yrange [0:*]",
                  f"set xrange [-0.3:{len(xs) - 0.7}]",
                  "set xtics nomirror (" + ", ".join(f"'{x}' {i}" for i, x in enumerate(xs)) + ")",
                  "set ytics nomirror", options]
        for i, (_, points) in enumerate(lines):
            script.append(f"$d{i} << E")
            script += [f"{xs.index(x)} {median(v)} {min(v)} {max(v)}" for x, v in points]
            script.append("E")
        script.append("plot " + ", ".join(
            f"$d{i} using 1:2:3:4 with yerrorlines pt 7 ps 0.5 title '{t}'" for i, (t, _) in enumerate(lines)))
        if subprocess.run(["gnuplot"], input="\n".join(script), text=True, check=False).returncode == 0:
            self.links[section].append((title, f"{os.path.basename(self.folder)}/{name}.svg"))

    def text(self, section):
        return "\n".join(f"![{title}]({link})" for title, link in self.links[section])


def draw(fig, plots):
    for size in ("64", "1500"):
        plots.plot("capture", f"clients-{size}", f"one more client, {size} B", "clients or sockets",
                   "sender, kpps",
                   [(p, [(n, [v / 1e3 for v in fig.of("capture", "rate", f"{p} {n}", size)])
                         for n in (1, 4, 8)]) for p in ("ncp", "tcpdump", "dumpcap")])
        plots.plot("capture", f"cpu-{size}", f"CPU a frame delivered, {size} B", "clients or sockets", "ns",
                   [(p, [(n, fig.of("capture", "cpu", f"{p} {n}", size)) for n in (1, 4, 8)])
                    for p in ("ncp", "tcpdump")])
    plots.plot("capture", "size", "producer and floor", "bytes a frame", "CPU ns a frame",
               [("ncp-producer", [(s, fig.of("capture", "producer", "ncp 1", s)) for s in SIZES]),
                ("walker, blocks", [(s, fig.of("capture", "cpu", "walker-blocks 1", s)) for s in SIZES]),
                ("walker", [(s, fig.of("capture", "cpu", "walker 1", s)) for s in SIZES])])
    for pps in ("1000", "100000"):
        plots.plot("latency", f"latency-{pps}", f"latency, {pps} frames/s", "percentile", "µs",
                   [(case, [(p, fig.of("latency", m, case, pps))
                            for p, m in (("50", "p50"), ("99", "p99"), ("99.9", "p999"))])
                    for case in fig.cases("latency", "share")], "set logscale y\nset yrange [5:*]")
        plots.plot("latency", f"latency-cpu-{pps}", f"what that costs, {pps} frames/s", "",
                   "CPU s a second, all processes",
                   [("CPU", [(case.replace(" --busy-poll", "").replace(", --immediate-mode", "").replace(
                       ", immediate mode", "").replace("ncp", "ncp, default", case == "ncp"),
                              fig.of("latency", "cpu", case, pps)) for case in fig.cases("latency", "share")])],
                   "set xtics rotate by -20\nset nokey")
    for metric, label in (("clients", "clients"), ("workers", "workers"), ("rate", "frames a second"),
                          ("ring", "ring size")):
        plots.plot("scale", f"scale-{metric}", f"capture threads by {label}", label, "CPU ns a frame",
                   [("ncp", [(x, fig.of("scale", metric, "ncp", x)) for x in fig.xs("scale", metric)])])
    plots.plot("disk", "disk", "live to disk, nothing lost", "", "MB/s",
               [("live", [(c, fig.of("disk", "live", c, 1500)) for c in fig.cases("disk", "live")])],
               "set xtics rotate by -20\nset nokey")


# --- the report -----------------------------------------------------------------------------------

SECTIONS = (
    ("capture", "One more client; the producer and the floor", capture_table),
    ("ring", "The ring alone", None),
    ("disk", "Disk", disk_table),
    ("loopback", "A capture of lo",
     lambda fig: simple_table(fig, "loopback", (("rate", "senders, frames/s"), ("added", "added, ns a frame"),
                                                ("cost", "of the time without"), ("share", "captured")))),
    ("latency", "Latency",
     lambda fig: simple_table(fig, "latency", (("p50", "p50, µs"), ("p99", "p99, µs"), ("p999", "p99.9, µs"),
                                               ("cpu", "CPU s a second"), ("share", "captured")))),
    ("filter", "Filters", None),
    ("scale", "Scale", scale_table),
    ("stopped_client", "A stopped client", None),
    ("stats", "Beside ncp-stats",
     lambda fig: simple_table(fig, "stats", (("rate", "producer, frames/s"), ("ratio", "of it alone"),
                                             ("share", "ncp-stats' share of a processor, %")))),
)


def facts():
    model = memory = "?"
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    with open("/proc/meminfo", encoding="utf-8") as f:
        memory = f"{int(f.readline().split()[1]) >> 20} GiB of memory"
    return f"Linux {platform.release()}, {os.cpu_count()} processors ({model}), {memory}"


def versions():
    """The peers', by their own words."""
    out = []
    for name, option in (("tcpdump", "--version"), ("dumpcap", "--version"), ("netsniff-ng", "--version"),
                         ("fio", "--version"), ("gnuplot", "--version")):
        path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
        if not path:
            out.append(f"{name}: not installed, skipped")
            continue
        r = subprocess.run([path, option], capture_output=True, text=True, check=False)
        words = re.search(r"[0-9]+\.[0-9.]+\w*", r.stdout + r.stderr)
        out.append(f"{name} {words.group() if words else ''}".strip())
    return ", ".join(out)


def read_file(path):
    """What is in it, or nothing where there is no such file."""
    if not os.path.exists(path):
        return ""
    with open(path, encoding="utf-8") as f:
        return f.read().strip()


def read_text(name):
    text = read_file(os.path.join(HERE, "text", name + ".md"))
    return text and text + "\n"


def main():
    if len(sys.argv) != 4:
        sys.exit("usage: report.py FIGURES REPORT.md RUNS")
    folder, path, runs = sys.argv[1:]
    fig = Figures(folder)
    plots = Plots(os.path.splitext(path)[0])
    draw(fig, plots)
    load = read_file(os.path.join(folder, "load")) or "?"
    out = ["# Performance", "", read_text("begin"),
           f"{facts()}; load at the start {load}. {versions()}.", "",
           f"`make bench RUNS={runs}`: {runs} interleaved runs of each case, "
           "or as many as a section's command says. A cell is a median "
           "(least–most); a ratio is taken run by run, of two cases of the same run.", "",
           "## Bars", "",
           table(("bar", "what", "measured", "limit", ""), []).rsplit("\n", 1)[0] + "\n|---|---|---|---|---|"]
    out += [b.row() for b in bars(fig)]
    out += ["", read_text("bars")]
    for section, title, make in SECTIONS:
        out += [f"## {title}", ""]
        if command := read_file(os.path.join(folder, section + ".command")):
            out += ["    " + command, ""]
        if (code := read_file(os.path.join(folder, section + ".status"))) not in ("", "0"):
            out += [f"This section ended early (exit status {code}): figures are of the runs before.", ""]
        have = any(s == section for s, *_ in fig.values)
        if make and have:
            out += [make(fig), ""]
        elif section in fig.tables:
            text = fig.tables[section]
            out += [text if text.startswith("|") else "    " + text.replace("\n", "\n    "), ""]
        else:
            out += ["Not measured.", ""]
        if links := plots.text(section):
            out += [links, ""]
        if text := read_text(section):
            out += [text]
    skipped = sorted({case for _, m, case, _ in fig.values if m == "skipped"})
    if skipped:
        out += ["Not installed, and left out: " + ", ".join(skipped) + ".", ""]
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(out).rstrip() + "\n")


if __name__ == "__main__":
    main()
