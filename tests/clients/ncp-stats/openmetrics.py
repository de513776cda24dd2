#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""openmetrics.py - a strict reader of the OpenMetrics text format 1.0; stdin, exits 1 with what is wrong.

Families of counters, gauges and info only, which is what ncp-stats has.
Source: the OpenMetrics specification, 1.0.0, "ABNF" and "Overall Structure".
"""
import re
import sys

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"'
SAMPLE = re.compile(rf"({NAME})(?:\{{((?:{LABEL}(?:,{LABEL})*)?)\}})? (\S+)")
NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
SUFFIX = {"counter": "_total", "gauge": "", "info": "_info"}


def read(text):
    """{series: value}, or ValueError."""
    if not text.endswith("\n# EOF\n"):
        raise ValueError("does not end with # EOF and one line feed")
    known, series = {}, {}
    family = {}
    for n, line in enumerate(text[:-len("# EOF\n")].splitlines(), 1):
        what = f"line {n}: {line}"
        if line.startswith("# "):
            found = re.fullmatch(rf"# (HELP|TYPE|UNIT) ({NAME}) (.+)", line)
            if not found:
                raise ValueError(f"{what}: no descriptor")
            word, name, rest = found.groups()
            if family.get("name") != name:
                if name in known:
                    raise ValueError(f"{what}: a family in two places")
                family = known[name] = {"name": name}
            if word in family or family.get("samples"):
                raise ValueError(f"{what}: again, or after samples")
            family[word] = rest
            if word == "TYPE" and rest not in SUFFIX:
                raise ValueError(f"{what}: no type that is known here")
            if word == "UNIT" and not name.endswith(f"_{rest}"):
                raise ValueError(f"{what}: the name does not end with the unit")
            if word == "HELP" and re.search(r'\\(?![\\n"])', rest):
                raise ValueError(f"{what}: an escape that is none")
            continue
        found = SAMPLE.fullmatch(line)
        if not found:
            raise ValueError(f"{what}: no sample")
        name, labels, value = found.group(1), found.group(2) or "", found.group(found.re.groups)
        if "TYPE" not in family or name != family["name"] + SUFFIX[family["TYPE"]]:
            raise ValueError(f"{what}: not of the family above it")
        pairs = re.findall(LABEL, labels)
        if len({k for k, _ in pairs}) != len(pairs):
            raise ValueError(f"{what}: a label twice")
        if not NUMBER.fullmatch(value):
            raise ValueError(f"{what}: no number")
        if family["TYPE"] == "counter" and float(value) < 0 or family["TYPE"] == "info" and value != "1":
            raise ValueError(f"{what}: not a value for a {family['TYPE']}")
        key = (name, tuple(sorted(pairs)))
        if key in series:
            raise ValueError(f"{what}: a series twice")
        series[key] = value
        family["samples"] = True
    return series


def main():
    # As it came: universal newlines would hide a wrong one.
    text = sys.stdin.buffer.read().decode("utf-8")
    try:
        series = read(text)
    except ValueError as wrong:
        sys.exit(str(wrong))
    print(f"{len({name for name, _ in series})} families")


if __name__ == "__main__":
    main()
