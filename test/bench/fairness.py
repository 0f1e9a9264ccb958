#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""How long a register read of one device takes beside the abusive client of another.

Started by "devtools/bench.sh fairness". The figure that counts is the worst read, as a multiple of
the worst one when nobody disturbs: the machine itself delays a process now and then, most of all one
with few cores. Nothing is asserted here; the tests of turns (test/protocol) do that.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "protocol"),
    str(Path(__file__).resolve().parents[1])]

import abuse  # noqa: E402
import vfio_user  # noqa: E402
from iavf import Reg  # noqa: E402
from server import Server  # noqa: E402
from stock import DIE_WITH_US  # noqa: E402

UNDISTURBED = "undisturbed"
READ = vfio_user.message(vfio_user.Command.REGION_READ, vfio_user.region_read(0, Reg.RSTAT, 4))


def parse():
    parser = argparse.ArgumentParser(prog="bench.sh fairness",
                                     description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds")
    parser.add_argument("--abuses", default=",".join(abuse.ABUSES), metavar="LIST",
                        help="of " + ",".join(abuse.ABUSES))
    parser.add_argument("--abuse", nargs=2, metavar=("NAME", "SOCKET"), help=argparse.SUPPRESS)
    settings = parser.parse_args()
    settings.abuses = settings.abuses.split(",")
    for name in settings.abuses:
        if name not in abuse.ABUSES:
            parser.error(f"{name} is none of {','.join(abuse.ABUSES)}")
    return settings


def be_abusive(name, path):
    """Until killed; a client that is thrown out comes again."""
    while True:
        try:
            with vfio_user.connect(path) as client:
                ask = abuse.ABUSES[name](client)
                while True:
                    ask()
        except (vfio_user.Closed, vfio_user.ReplyError, OSError):
            pass


def read_times(path, seconds):
    """How long each of many register reads takes, in seconds."""
    times = []
    with vfio_user.connect(path) as client:
        client.socket.settimeout(abuse.PATIENCE)
        end = time.perf_counter() + seconds
        while (begin := time.perf_counter()) < end:
            client.send_bytes(READ)
            client.receive()
            times.append(time.perf_counter() - begin)
    return sorted(times)


def measure(server, name, seconds):
    if name == UNDISTURBED:
        return read_times(server.other_path, seconds)
    abuser = subprocess.Popen([*DIE_WITH_US, sys.executable, "-B", __file__, "--abuse", name,
                               server.path])
    try:
        time.sleep(0.5)
        return read_times(server.other_path, seconds)
    finally:
        abuser.kill()
        abuser.wait()


def show(rounds):
    """One row for each: the medians over the rounds."""
    middle = lambda name, pick: statistics.median(pick(times) for times in rounds[name])
    worst = {name: middle(name, lambda times: times[-1]) for name in rounds}
    print("register reads of one device beside a client of another\n")
    print(f"  {'client':15} {'reads/s':>9} {'median us':>10} {'p99 us':>8} {'worst ms':>9}  of undisturbed")
    for name in rounds:
        rate = middle(name, lambda times: len(times) / sum(times))
        median = middle(name, lambda times: times[len(times) // 2]) * 1e6
        late = middle(name, lambda times: times[len(times) * 99 // 100]) * 1e6
        print(f"  {name:15} {rate:9.0f} {median:10.0f} {late:8.0f} {worst[name] * 1e3:9.1f}"
              f"  x{worst[name] / worst[UNDISTURBED]:.2f}")


def main():
    settings = parse()
    if settings.abuse:
        return be_abusive(*settings.abuse)
    names = [UNDISTURBED, *settings.abuses]
    rounds = {name: [] for name in names}
    steps = [(number, name) for number in range(settings.rounds) for name in names]
    with tempfile.TemporaryDirectory(prefix="emudev-") as folder:
        server = Server(Path(folder))
        try:
            server.wait_until_ready()
            for done, (number, name) in enumerate(steps):
                left = (len(steps) - done) * (settings.seconds + 0.6)
                print(f"[{left:4.0f} s left] round {number + 1}: {name}", file=sys.stderr, flush=True)
                rounds[name].append(measure(server, name, settings.seconds))
        finally:
            server.process.kill()
            server.process.wait()
    show(rounds)
    return 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    sys.exit(main())
