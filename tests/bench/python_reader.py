#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""python_reader.py - frames a second of the Python module beside dpkt's readers of files.

    make && /usr/bin/python3 tests/bench/python_reader.py [FRAMES [ROUNDS]]

One bus of synthetic frames of 100 bytes, all of them in its ring, and files of the same frames in
memory; each way of reading looks at every frame's length and time.  Prints the best of the rounds in
frames per second of processor time, which is what counts on a machine that does other things, too.
"""
import os
import shutil
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ["NCPBUS_LIBRARY"] = os.path.join(TOP, "build/lib/libncpbus.so.0")
os.environ["PATH"] = os.path.join(TOP, "build/bin") + ":" + os.environ["PATH"]
sys.path.insert(0, os.path.join(TOP, "clients/python"))
sys.dont_write_bytecode = True

import dpkt  # noqa: E402
import ncpbus  # noqa: E402


def one_by_one(copy):
    n = sums = 0
    with ncpbus.Bus("bench", start="oldest", copy=copy) as bus:
        for frame in bus:
            n += 1
            sums += frame.len + frame.ts_ns + len(frame.data)
    return n


def batched(look):
    n = sums = 0
    with ncpbus.Bus("bench", start="oldest") as bus:
        while True:
            batch = bus.batch(4096)
            if batch is None:
                return n
            if isinstance(batch, ncpbus.Batch):
                n += len(batch)
                sums += int(batch.len.sum()) + int(batch.ts_ns[-1])
                if look:
                    sums += int(batch.head(34)[:, 23].sum())


def by_dpkt(reader, path):
    n = sums = 0
    with open(path, "rb") as f:
        for ts, data in reader(f):
            n += 1
            sums += ts + len(data)
    return n


def main():
    frames = int(sys.argv[1]) if len(sys.argv) > 1 else 500000
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    folder = tempfile.mkdtemp(prefix="ncp-bench.", dir="/dev/shm")
    os.environ["NCP_DIR"] = folder
    try:
        size = "64M" if frames <= 400000 else f"{frames * 160 >> 20}M"
        subprocess.run(["ncp-producer", f"synth:count={frames},size=100", "-b", "bench", "-m", size,
                        "--keep"], check=True, stderr=subprocess.DEVNULL)
        path = os.path.join(folder, "x.pcapng")
        subprocess.run(["ncp-dump", "-q", "-i", "bench", "--snapshot", "-w", path], check=True)
        subprocess.run(["tcpdump", "-r", path, "-w", path[:-2]], check=True,
                       stderr=subprocess.DEVNULL)
        for name, way in (
                ("ncpbus, one by one, in place", lambda: one_by_one(False)),
                ("ncpbus, one by one, copied", lambda: one_by_one(True)),
                ("ncpbus, batches, columns", lambda: batched(False)),
                ("ncpbus, batches, 34 bytes of each", lambda: batched(True)),
                ("dpkt.pcap.Reader, file in memory", lambda: by_dpkt(dpkt.pcap.Reader, path[:-2])),
                ("dpkt.pcapng.Reader, file in memory", lambda: by_dpkt(dpkt.pcapng.Reader, path))):
            best = 0.0
            for _ in range(rounds):
                start = time.process_time()
                n = way()
                best = max(best, n / (time.process_time() - start))
                if n != frames:
                    sys.exit(f"{name}: {n} frames, not {frames}")
            print(f"{name:36} {best:12.0f} frames/s")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
