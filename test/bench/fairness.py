#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""What users of one device have beside the abusive client of another.

Started by "devtools/bench.sh fairness". First how long a register read takes: the figure that counts
is the worst read, as a multiple of the worst one when nobody disturbs; the machine itself delays a
process now and then, most of all one with few cores. Then how much a stock consumer sends, one right
after the other, as hypervisors move cores: undisturbed, beside the abuser, and beside one at another
server, which takes as much of the processors and cannot be in the way otherwise; and how much of a
core the abuser and the server's control thread have meanwhile.
Nothing is asserted here; the tests of turns (test/protocol) do that.
"""

import argparse
import contextlib
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
import memory  # noqa: E402
import vfio_user  # noqa: E402
from stock import DIE_WITH_US  # noqa: E402
from threads import CONTROL, schedule  # noqa: E402

UNDISTURBED = "undisturbed"


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
            client.send_bytes(abuse.READ)
            client.receive()
            times.append(time.perf_counter() - begin)
    return sorted(times)


@contextlib.contextmanager
def abuser_at(server, name):
    if name == UNDISTURBED:
        yield None
        return
    abuser = subprocess.Popen([*DIE_WITH_US, sys.executable, "-B", __file__, "--abuse", name,
                               server.path])
    try:
        time.sleep(0.5)
        yield abuser
    finally:
        abuser.kill()
        abuser.wait()


def measure_reads(server, name, seconds):
    with abuser_at(server, name):
        return read_times(server.other_path, seconds)


def measure_rates(consumer, servers, name, seconds):
    """Frames per second of the consumer, undisturbed and with the abuser at each of the servers; and
    the parts of a core that the abuser and the control thread of the first one have."""
    rates, parts = [], []
    for server, client in zip((servers[0], *servers), (UNDISTURBED, name, name)):
        with abuser_at(server, client) as abuser:
            def had():
                return (schedule(abuser.pid)[0] if abuser else 0,
                        schedule(server.process.pid, CONTROL)[0])
            begun, before = time.monotonic(), had()
            rates.append(consumer.rate(seconds))
            lasted = time.monotonic() - begun
            parts.append([(now - then) / lasted for now, then in zip(had(), before)])
    return rates + parts[1]


def show(rounds):
    """One row for each: the medians over the rounds."""
    middle = lambda name, pick: statistics.median(pick(times) for times in rounds[name])
    worst = {name: middle(name, lambda times: times[-1]) for name in rounds}
    print("register reads of one device beside a client of another\n")
    print(f"  {'client':15} {'reads/s':>9} {'median us':>10} {'p99 us':>8} {'worst us':>9}  of undisturbed")
    for name in rounds:
        rate = middle(name, lambda times: len(times) / sum(times))
        median = middle(name, lambda times: times[len(times) // 2]) * 1e6
        late = middle(name, lambda times: times[len(times) * 99 // 100]) * 1e6
        print(f"  {name:15} {rate:9.0f} {median:10.0f} {late:8.0f} {worst[name] * 1e6:9.0f}"
              f"  x{worst[name] / worst[UNDISTURBED]:.2f}")


def show_rates(rounds):
    """One row for each: the medians over the rounds, and those of the ratios of each round."""
    print("\nframes that a consumer of one device sends beside a client of another, millions per second\n")
    print(f"  {'client':15} {'undisturbed':>11} {'same server':>12} {'of it':6} {'another server':>15}"
          f"  same of another  {'abuser':>6}  {'control':>7}")
    for name, rates in rounds.items():
        alone, same, other, abuser, control = map(statistics.median, zip(*rates))
        left, fair = (statistics.median(rate[1] / rate[by] for rate in rates) for by in (0, 2))
        print(f"  {name:15} {alone / 1e6:11.3g} {same / 1e6:12.3g} {f'x{left:.2f}':6} {other / 1e6:15.3g}"
              f"  {f'x{fair:.2f}':15}  {abuser:6.0%}  {control:7.0%}")


def measure(settings, names, running, folder):
    """Both, round by round: so what changes on the machine meanwhile meets all alike."""
    server, other = (memory.start_server(folder / name, running) for name in ("same", "other"))
    other.command("stop")  # else it would take a core of its own
    reads, rates = {name: [] for name in names}, {name: [] for name in settings.abuses}
    for number in range(settings.rounds):
        for name in names:
            memory.say(number, settings.rounds, f"reads, {name}")
            reads[name].append(measure_reads(server, name, settings.seconds))
        consumer = memory.Consumer(server.other_path)
        running.callback(consumer.close)
        for name in settings.abuses:
            memory.say(number, settings.rounds, f"frames, {name}")
            rates[name].append(measure_rates(consumer, (server, other), name, settings.seconds))
        consumer.kill()
    return reads, rates


def main():
    settings = parse()
    if settings.abuse:
        return be_abusive(*settings.abuse)
    with tempfile.TemporaryDirectory(prefix="emudev-") as folder, contextlib.ExitStack() as running:
        reads, rates = measure(settings, [UNDISTURBED, *settings.abuses], running, Path(folder))
    show(reads)
    show_rates(rates)
    return 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    sys.exit(main())
