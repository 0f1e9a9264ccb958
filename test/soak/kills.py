#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Either side is killed (kill -9) or reset at random instants, again and again; the other lives on.

Started by "devtools/soak.sh kills". First a provider, whose clients come, set their device up, and
send frames until they are killed, which is at any point of it. Then QEMU, with a Linux guest that
boots, loads its driver, and sends or receives; it is killed at any point of that, too. Then a stock
consumer, whose provider is killed while it sends; the next one replaces the socket that is left
behind. Each round what the survivor holds (descriptors, mappings, mbufs, huge pages) must be what it
held before, its counters must agree, and a next peer must be served. Last, a driver that sends is
reset in each of three ways: what the device says that it has taken must lie between what was done by
then and what was posted, and nothing may come from the rings of the time before (test/protocol looks
at each kind closely). The exit status is 0 if all was as it should be.
"""

import argparse
import contextlib
import mmap
import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[1] / folder) for folder in ("protocol", "dpdk", "guest", "soak", "")]

import soak  # noqa: E402
import vfio_user  # noqa: E402
from guest import ADDRESS, Guest, images  # noqa: E402
from host import Testpmd  # noqa: E402
from iavf import Nic  # noqa: E402
from pair import Pair, attach, traffic_passes  # noqa: E402
from server import Server  # noqa: E402
from stock import Failure, HostCounts, huge_memory, wait_for  # noqa: E402

BURST = 100  # Frames, for a ring of 128 descriptors.
LIFE = 0.08  # Seconds that a client lives at most: it has set its device up after a third of it.
SETTLES = 60  # Seconds within which a survivor has let go of what was the other's.
GUEST_STREAM = 6  # Seconds that a guest lives at most once it has booted: it sends after a few.
BOOTS_ANYWAY = "no_timer_check"  # On a busy machine the timer may be too late for the kernel's check.
STREAM = 0.5  # Seconds that a provider lives at most once the consumer sends.


def parse():
    parser = argparse.ArgumentParser(prog="soak.sh kills", description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=200, help="that are killed")
    parser.add_argument("--guests", type=int, default=200, help="whose QEMU is killed")
    parser.add_argument("--providers", type=int, default=200, help="that are killed")
    parser.add_argument("--resets", type=int, default=200, help="in each of the ways")
    parser.add_argument("--seed", type=int, default=0, help="of the instants; 0: another each time")
    return parser.parse_args()


def say(text):
    print(text, file=sys.stderr, flush=True)


# --- clients are killed ---

class Tally:
    """How many frames clients have posted, and knew to be taken, and got back: in memory that they
    share with us, so that it is what it was when they were killed."""

    def __init__(self):
        self.counts_ = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("Q")
    posted = property(lambda self: self.counts_[0])
    taken = property(lambda self: self.counts_[1])
    back = property(lambda self: self.counts_[2])

    def echo(self, nic, frame):
        self.counts_[0] += 1
        nic.tx[0].send(frame)
        self.counts_[1] += 1
        if nic.rx[0].receive() != frame:
            raise Failure("another frame came back")
        self.counts_[2] += 1


def check(now, tally):
    """A client knows of all that is done but the last frame."""
    if now.unaccounted or not tally.taken <= now.taken <= tally.posted or tally.back > now.sent:
        raise Failure(f"{tally.posted} posted, {now.taken} taken, {tally.taken} known to be; "
                      f"{now.sent} handed over, {tally.back} come back; {now.unaccounted} of "
                      "those that were taken neither handed over nor dropped")


def echo_on(path, tally):
    with vfio_user.connect(path) as client, vfio_user.DmaMemory() as memory:
        nic = Nic(client, memory).bring_up()
        while True:
            tally.echo(nic, nic.frame())


def forked_client(path, tally):
    """A process of its own, without another start of Python."""
    child = os.fork()
    if child == 0:
        try:
            echo_on(path, tally)
        except BaseException as error:  # noqa: BLE001
            print(f"a client has ended: {error!r}", file=sys.stderr)
        os._exit(1)
    return child


def kill_client(server, tally, instants):
    child = forked_client(server.path, tally)
    time.sleep(instants.uniform(0, LIFE))
    os.kill(child, signal.SIGKILL)
    if (status := os.waitpid(child, 0)[1]) != signal.SIGKILL:
        raise Failure(f"a client has ended by itself, status {status}")


def echo_once(path, tally):
    with vfio_user.connect(path) as client, vfio_user.DmaMemory() as memory:
        tally.echo(nic := Nic(client, memory).bring_up(), nic.frame())


def kill_clients(folder, rounds, instants):
    server = Server(folder)
    tally, counts = Tally(), HostCounts(server)
    try:
        server.wait_until_ready()
        huge = huge_memory(server.pid)
        for number in range(rounds):
            kill_client(server, tally, instants)
            server.check_health()
            check(counts.read(), tally)
            if huge_memory(server.pid) > huge:
                raise Failure(f"{huge} bytes in huge pages, and now {huge_memory(server.pid)}")
            if number % 20 == 19:
                echo_once(server.path, tally)
                say(f"{number + 1} clients killed, {tally.posted} frames")
        echo_once(server.path, tally)
        check(counts.read(), tally)
        server.check_health()
    except BaseException:
        server.process.kill()
        raise
    server.quit()


# --- QEMU is killed ---

class Fate:
    """Of a guest: how long it lives, once it has booted or in all, how far it came, and whether that
    was its end."""

    def __init__(self, life, boots):
        self.life, self.boots, self.doing, self.fulfilled = life, boots, "booted", False


class Victim(Guest):
    """Its QEMU is killed when its time has come, whatever it does by then."""

    def __init__(self, fate, *where, **options):
        self.fate_ = fate
        super().__init__(*where, **options)

    def start_(self, command):
        super().start_(command)
        if not self.fate_.boots:
            self.live_on_()

    def live_on_(self):
        end = threading.Timer(self.fate_.life, self.fall_)
        end.start()
        self.cleanup_.callback(end.cancel)

    def fall_(self):
        self.fate_.fulfilled = self.process.poll() is None
        self.kill()

    def live(self, direction):
        if self.fate_.boots:
            self.live_on_()
        self.fate_.doing = "loaded its driver"
        self.load()
        self.fate_.doing = "sent or received"
        self.start(f"iperf3 -c {ADDRESS} -t 600 {direction}")
        self.process.wait()


def kill_guest(host, folder, fate, number):
    """Two in huge pages follow two in others, four that receive four that send. What it did."""
    host.namespace.serve_iperf()
    try:
        victim = Victim(fate, folder, host.socket, append=BOOTS_ANYWAY,
                        memory=("memfd", "hugetlb")[number // 2 % 2])
        with contextlib.closing(victim):
            victim.live(("", "-R")[number // 4 % 2])
    except (Failure, OSError):
        if not fate.fulfilled:
            raise
    if not fate.fulfilled:
        raise Failure(f"a guest has ended by itself as it {fate.doing}")
    shutil.rmtree(folder)
    return fate.doing


def serve_guest(host, folder):
    """A guest that lives; the seconds until it has an answer of the host."""
    begun = time.monotonic()
    with contextlib.closing(Guest(folder, host.socket, append=BOOTS_ANYWAY)) as guest:
        guest.load()
        guest.ping()
        seconds = time.monotonic() - begun
    shutil.rmtree(folder)
    return seconds


def await_agreement(host):
    """All packets of either side of the host are accounted for."""
    try:
        wait_for(lambda: host.unaccounted() == (0, 0), "agreement", SETTLES)
    except Failure:
        raise Failure(f"neither passed on nor dropped: {host.unaccounted()}") from None


def kill_guests(folder, rounds, instants):
    """Half of them at any time until a guest has traffic, half at any time from the end of its boot."""
    images()
    host = Testpmd(folder)
    with contextlib.closing(host):
        host.wire_vectors()
        before, did = host.resources(), Counter()
        span = serve_guest(host, folder / "first")
        for number in range(rounds):
            # Every second one comes to its driver and to traffic, however long a boot takes.
            boots = number % 2 == 1
            fate = Fate(instants.uniform(0, GUEST_STREAM if boots else span), boots)
            did[kill_guest(host, folder / str(number), fate, number)] += 1
            await_return(host, before)
            await_agreement(host)
            if number % 10 == 9:
                say(f"{number + 1} guests killed")
        serve_guest(host, folder / "last")
        await_return(host, before)
        counts = host.forwarded()
        say("guests killed as they " + ", ".join(f"{what}: {n}" for what, n in did.items()) +
            f"; {counts[0][0]} frames of them, {counts[0][1]} to them")
        if host.quit() != 0:
            raise Failure(host.log()[-3000:])


def has_more(now, before):
    return any(count > before[what] for what, count in now.items())


def await_return(end, before):
    """Descriptors that a peer has sent are closed by a thread of their own."""
    try:
        wait_for(lambda: not has_more(end.resources(), before), "return", SETTLES)
    except Failure:
        raise Failure(f"it held {before}, and now {end.resources()}") from None


# --- providers are killed ---

def kill_provider(pair, instants):
    consumer = pair.consumer
    consumer.command("set fwd txonly")
    consumer.command("start")
    time.sleep(instants.uniform(0, STREAM))
    pair.provider.close()
    pair.ends_.remove(pair.provider)
    wait_for(lambda: not consumer.has_port(), "removal of the dead device", 60)
    consumer.command("stop")
    consumer.command("set fwd io")


def kill_providers(folder, rounds, instants):
    pair = Pair(folder, folder / "nic.sock")
    with contextlib.closing(pair):
        pair.start_provider()
        # Vector functions of net_iavf lose what is in its Tx rings when a port stops.
        pair.start_consumer(eal=("--force-max-simd-bitwidth=64",))
        pair.consumer.await_link()
        before = None
        for number in range(rounds):
            kill_provider(pair, instants)
            before = before or pair.consumer.resources()
            await_return(pair.consumer, before)
            if number % 10 == 9:
                say(f"{number + 1} providers killed")
            pair.start_provider()
            attach(pair)
            traffic_passes(pair)


# --- drivers are reset ---

def send_until_reset(nic, reset, instants):
    """How many frames the device has said to be done with by then, and how many have come back."""
    sent = [nic.tx[0].post(nic.frame(60 + i)) for i in range(BURST)]
    nic.tx[0].flush()
    time.sleep(instants.uniform(0, 0.001))
    reset(nic)
    nic.wait_for_reset()
    return sum(map(nic.tx[0].is_done, sent)), nic.rx[0].written_back()


def reset_driver(server, name, rounds, instants):
    done = back = 0
    with vfio_user.connect(server.path) as client, vfio_user.DmaMemory() as memory:
        nic = Nic(client, memory)
        for _ in range(rounds):
            nic.memory.used = 0
            nic.events.clear()
            nic.bring_up()
            nic.echo(nic.frame())  # Nothing of the time before comes first.
            counts = send_until_reset(nic, soak.RESETS[name], instants)
            done, back = done + counts[0] + 1, back + counts[1]
    server.check_health()
    posted, host = rounds * (BURST + 1), HostCounts(server).read()
    taken, given = host.taken, host.sent
    counts = (f"{posted} posted, {taken} taken, {done} of them done before the reset; {given} handed "
              f"over, {back} in the rings")
    if not back <= given <= taken <= posted or done > taken or host.unaccounted:
        raise Failure(f"{name}: {counts}")
    say(f"{name}: {rounds} resets, {counts}")


def reset_drivers(folder, rounds, instants):
    for name in soak.RESETS:
        (folder / name).mkdir()
        server = Server(folder / name)
        try:
            server.wait_until_ready()
            reset_driver(server, name, rounds, instants)
        except BaseException:
            server.process.kill()
            raise
        server.quit()


def main():
    settings = parse()
    seed = settings.seed or random.randrange(1, 1 << 32)
    instants = random.Random(seed)
    say(f"instants of seed {seed}")
    with tempfile.TemporaryDirectory(prefix="emudev-kills-") as folder:
        for name, kill, rounds in (("clients killed", kill_clients, settings.clients),
                                   ("guests killed", kill_guests, settings.guests),
                                   ("providers killed", kill_providers, settings.providers),
                                   ("resets in three ways", reset_drivers, settings.resets)):
            (Path(folder) / name).mkdir()
            begun = time.monotonic()
            if rounds:
                kill(Path(folder) / name, rounds, instants)
            print(f"{name}: {rounds}, in {time.monotonic() - begun:.0f} s; all as before",
                  flush=True)
    return 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    sys.exit(main())
