#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Traffic, resets, reconnects, storms of maps and abusers, all at once, for as long as is wished.

Started by "devtools/soak.sh". One stock testpmd has all devices and joins them in pairs:

  traffic   one consumer sends without a pause, frames of several sizes in two queues, another one
            receives, and both stay
  life      a client that sends frames and resets its device in each of three ways, and a stock
            consumer that is killed while it sends, again and again
  storms    a client that maps and unmaps very many regions, and all of the abusive clients of the
            protocol tests, one after the other

At the end, or earlier if it is interrupted (SIGINT), all of them leave, and what was sent is compared
with what was received and dropped, and what the process holds with what it held in the beginning. No
interval may have been without traffic, unless somebody whom it needs had no processor. The exit status
is 0 if all agrees.
"""

import argparse
import contextlib
import itertools
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "protocol"),
    str(Path(__file__).resolve().parents[1] / "bench"), str(Path(__file__).resolve().parents[1])]

import abuse  # noqa: E402
import memory  # noqa: E402
import vfio_user  # noqa: E402
from iavf import Nic, Op  # noqa: E402
from stock import DIE_WITH_US, Failure, StockTestpmd, stream_counts, wait_for  # noqa: E402

DEVICES = ("sender", "receiver", "resets", "killed", "maps", "abuser")
SENDER, RECEIVER = DEVICES[:2]
COMING = 5  # Seconds that a consumer lives, and an abuser has its way.
REGIONS = 20000
STANDSTILL = 1  # Seconds without a turn that no busy machine explains.
# Of anonymous memory that the process may have grown by: what its heap keeps of the largest tables
# that it had. It comes in the first half minute and does not go on.
GROWTH = 64 << 20
QUEUES = ("--rxq=2", "--txq=2")
# Frames of 64, 164, 564 and 1464 bytes, each time another number of these pieces; of several flows.
MIXED = ("--txpkts=64,100,400,900", "--txonly-multi-flow", "--tx-offloads=0x8000")
# Of an interval: whose thread has run for less of it is not judged by what it has done.
NO_PROCESSOR = 0.02


def parse():
    parser = argparse.ArgumentParser(prog="soak.sh", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--interval", type=float, default=10,
                        help="seconds between lines that tell how it goes")
    parser.add_argument("--actor", nargs=2, metavar=("NAME", "SOCKET"), help=argparse.SUPPRESS)
    settings = parser.parse_args()
    if not 0 < settings.minutes <= 60 * 24 * 7:
        parser.error("--minutes: more than 0, and at most a week")
    return settings


# --- clients, each a process of its own that goes on until it is killed ---

def reset_by_message(nic):
    nic.send(Op.RESET_VF)


def reset_of_function(nic):
    region, offset, value = abuse.FLR
    nic.client.write_region(region, offset, value.to_bytes(4, "little"))


def reset_of_bus(nic):
    nic.client.reset()


RESETS = {"RESET_VF": reset_by_message, "FLR": reset_of_function, "DEVICE_RESET": reset_of_bus}


def send_and_reset(path):
    with vfio_user.connect(path) as client, vfio_user.DmaMemory() as guest:
        nic = Nic(client, guest)
        for reset in itertools.cycle(RESETS.values()):
            nic.memory.used = 0
            nic.events.clear()
            nic.bring_up()
            for i in range(100):
                nic.tx[0].send(nic.frame(60 + i))
            reset(nic)
            nic.wait_for_reset()
            say_once_more()


def send_and_die(path):
    for _ in itertools.count():
        with contextlib.suppress(Failure):
            consumer = Consumer("killed", path, "txonly")
            consumer.command("start")
            time.sleep(COMING)
            consumer.close()
            say_once_more()


def map_and_unmap(path):
    with vfio_user.connect(path) as client, memory.Pages(client, REGIONS) as pages:
        client.socket.settimeout(abuse.PATIENCE)
        while True:
            pages.map(range(REGIONS))
            pages.unmap(range(REGIONS))
            say_once_more()


def ask_too_much(path):
    for begin in itertools.cycle(abuse.ABUSES.values()):
        end = time.monotonic() + COMING
        with contextlib.suppress(vfio_user.Closed, vfio_user.ReplyError, OSError, AssertionError), \
                vfio_user.connect(path) as client:
            ask = begin(client)
            while time.monotonic() < end:
                ask()
        say_once_more()


def say_once_more():
    sys.stdout.write(".")
    sys.stdout.flush()


ACTORS = {"resets": send_and_reset, "killed": send_and_die, "maps": map_and_unmap,
          "abuser": ask_too_much}


class Standstill:
    """How long this process itself has stood still, since somebody has stopped it or the machine:
    what was late meanwhile says nothing about the other side."""

    def __init__(self):
        self.seconds = 0.0
        threading.Thread(target=self.watch_, daemon=True).start()

    def watch_(self):
        last = time.monotonic()
        while True:
            time.sleep(0.2)
            now = time.monotonic()
            if now - last > STANDSTILL:
                self.seconds += now - last
            last = now

    def excuses(self, before):
        """Whether there has been one since it had come to this many seconds."""
        time.sleep(1)  # Until it has been seen.
        return self.seconds > before


def act(name, path):
    """Be that client, and begin again if time was lost rather than an answer."""
    standstill = Standstill()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # It is for who has started us.
    vfio_user.TIMEOUT = abuse.PATIENCE
    while True:
        before = standstill.seconds
        try:
            return ACTORS[name](path)
        except (Failure, vfio_user.Closed, OSError):
            if not standstill.excuses(before):
                raise


class Actor:
    """A client that runs; what it has done so far is counted by its dots."""

    def __init__(self, name, folder):
        self.name = name
        self.output_ = folder / f"{name}.out"
        self.errors = folder / f"{name}.err"
        with open(self.output_, "wb") as output, open(self.errors, "wb") as errors:
            self.process = subprocess.Popen(
                [*DIE_WITH_US, sys.executable, "-B", __file__, "--actor", name,
                 str(folder / f"{name}.sock")],
                stdin=subprocess.DEVNULL, stdout=output, stderr=errors)

    def done(self):
        return self.output_.stat().st_size

    def check(self):
        if self.process.poll() is not None:
            raise Failure(f"{self.name} has ended:\n{self.errors.read_text()[-3000:]}")

    def end(self):
        self.process.kill()
        self.process.wait()


# --- what stays ---

class Provider(StockTestpmd):
    """Has all devices, and forwards between the two of each pair."""

    def __init__(self, folder):
        super().__init__()
        self.start_(f"emudev-soak-{os.getpid()}", ("--in-memory", "-m", "256"),
                    [f"--vdev=emu_iavf{i},path={folder}/{name}.sock,queues=2"
                     for i, name in enumerate(DEVICES)],
                    (*QUEUES, "--total-num-mbufs=16384", "--disable-link-check"))
        self.command("start")

    def stats(self, name):
        return self.telemetry(f"/ethdev/stats,{DEVICES.index(name)}")

    def holds(self):
        """What must be as it was: descriptors, mappings, buffers, memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        anonymous = int(re.search(r"RssAnon:\s+(\d+)", status)[1]) * 1024
        return {**self.resources(), "anonymous": anonymous}


class Consumer(StockTestpmd):
    """A stock consumer of a device."""

    def __init__(self, name, path, mode, options=()):
        super().__init__()
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self.close)
            self.start_(f"emudev-soak-{os.getpid()}-{name}", ("--in-memory", "-m", "128"),
                        (f"--vdev=vfio_user_pci0,path={path}",),
                        (*QUEUES, "--total-num-mbufs=8192", *options))
            self.command(f"set fwd {mode}")
            self.command("set txsplit rand")
            on_failure.pop_all()

    def packets(self):
        """Received and sent, as testpmd itself has counted them: those of the port are the device's."""
        return stream_counts(self.command("show fwd stats all"), port=0)


def agreement(provider, sender, receiver):
    """What is wrong with the numbers of packets, if anything."""
    sent, received = sender.packets()[1], receiver.packets()[0]
    there, here = provider.stats(SENDER), provider.stats(RECEIVER)
    taken = there["ipackets"] + there["imissed"] + there["ierrors"]
    wrong = []
    if taken != sent:
        wrong.append(f"{sent} packets were sent, {taken} received or dropped")
    if received != here["opackets"]:
        wrong.append(f"{here['opackets']} packets were handed over, {received} arrived")
    return wrong


def differences(before, now):
    """What the process holds now and did not."""
    wrong = [f"{name}: {before[name]} before, {now[name]} now" for name in before
             if name != "anonymous" and now[name] != before[name]]
    if now["anonymous"] > before["anonymous"] + GROWTH:
        wrong.append(f"anonymous memory grew by {(now['anonymous'] - before['anonymous']) >> 20} MiB")
    return wrong


def settle(check, seconds=20):
    """The last differences that check() sees, once there are none or the time is over."""
    deadline = time.monotonic() + seconds
    while (wrong := check()) and time.monotonic() < deadline:
        time.sleep(0.5)
    return wrong


class Interval:
    """Packets of so many seconds, and for which part of them the forwarding threads of who takes
    part have run: of the one that has the least."""

    def __init__(self, packets, seconds, processor):
        self.rate, self.processor = packets / seconds, processor / seconds

    def __str__(self):
        return f"{self.rate / 1e3:.1f} kpps with {self.processor:.0%} of a processor"


def run_time(process):
    """Seconds that the forwarding thread of a testpmd has run."""
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        if "worker" in (task / "comm").read_text():
            fields = (task / "stat").read_text().rsplit(")", 1)[1].split()
            return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
    raise Failure(f"process {process.pid} has no worker")


def stalled(intervals):
    """Those without traffic, though all that take part have run."""
    return [f"an interval of {each}" for each in intervals
            if each.rate == 0 and each.processor > NO_PROCESSOR]


def watch(settings, provider, ends, actors, begun):
    """Until the time is over or somebody interrupts; a line now and then. The intervals of traffic,
    and the minutes that it was."""
    last, intervals, standstill = 0, [], Standstill()
    run_times = lambda: [run_time(end.process) for end in (provider, *ends)]
    over = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: over.set())
    passed = lambda: time.monotonic() - begun - standstill.seconds
    left = lambda: settings.minutes * 60 - passed()
    while left() > 0 and not over.is_set():
        before, at, ran = standstill.seconds, time.monotonic(), run_times()
        over.wait(min(settings.interval, left() + 0.01))
        if not provider.alive():
            raise Failure(f"the process has ended:\n{provider.log()[-3000:]}")
        for actor in actors:
            actor.check()
        now = provider.stats(RECEIVER)["opackets"]
        processor = min(map(float.__sub__, run_times(), ran))
        interval = Interval(now - last, time.monotonic() - at, processor)
        if standstill.seconds == before:
            intervals.append(interval)
        last = now
        done = ", ".join(f"{actor.name} {actor.done()}" for actor in actors)
        print(f"[{max(left(), 0):5.0f} s left] {interval}; {done}",
              file=sys.stderr, flush=True)
    return intervals, passed() / 60


def soak(settings, folder, running):
    provider = Provider(folder)
    running.callback(provider.close)
    receiver = Consumer(RECEIVER, folder / f"{RECEIVER}.sock", "rxonly")
    running.callback(receiver.close)
    sender = Consumer(SENDER, folder / f"{SENDER}.sock", "txonly", MIXED)
    running.callback(sender.close)
    time.sleep(1)
    before = provider.holds()
    receiver.command("start")
    sender.command("start")
    begun = time.monotonic()
    actors = [Actor(name, folder) for name in ACTORS]
    for actor in actors:
        running.callback(actor.end)
    intervals, minutes = watch(settings, provider, (sender, receiver), actors, begun)
    done = {actor.name: actor.done() for actor in actors}
    for actor in actors:
        actor.end()
    sender.command("stop")
    wrong = settle(lambda: agreement(provider, sender, receiver))
    provider.command("stop")
    receiver.command("stop")
    wrong += settle(lambda: differences(before, provider.holds())) + stalled(intervals)
    report(minutes, intervals, done, provider, (before, provider.holds()), wrong)
    return not wrong


def report(minutes, intervals, done, provider, held, wrong):
    print(f"{minutes:.1f} minutes of all at once\n")
    print(f"  {'packets of the traffic':40} {provider.stats(RECEIVER)['opackets']}")
    by_rate = sorted(intervals, key=lambda each: each.rate)
    for which, each in zip(("slowest interval", "fastest interval"), by_rate[::len(by_rate) - 1 or 1]):
        print(f"  {which:40} {each}")
    for name, what in (("resets", "resets while frames are sent"),
                       ("killed", "consumers killed while they send"),
                       ("maps", f"storms of {REGIONS} maps and unmaps"),
                       ("abuser", f"turns of abusers, of {len(abuse.ABUSES)} kinds")):
        print(f"  {what:40} {done[name]}")
    for name, unit, what in (("fds", 1, "descriptors before and after"),
                             ("mappings", 1, "mappings of files before and after"),
                             ("mbufs", 1, "mbufs in use before and after"),
                             ("huge", 1 << 20, "MiB in huge pages before and after"),
                             ("anonymous", 1 << 20, "MiB of its own memory before and after")):
        print(f"  {what:40} " + ", ".join(f"{one[name] // unit}" for one in held))
    print("\n" + "\n".join(f"WRONG: {line}" for line in wrong or []) if wrong else
          "\nall packets are accounted for; nothing is held that was not in the beginning")


def main():
    settings = parse()
    if settings.actor:
        name, path = settings.actor
        return act(name, path)
    with tempfile.TemporaryDirectory(prefix="emudev-soak-") as folder, \
            contextlib.ExitStack() as running:
        return 0 if soak(settings, Path(folder), running) else 1


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    sys.exit(main())
