#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Either side is killed (kill -9) or reset at random instants, again and again; the other lives on.

Started by "devtools/soak.sh kills". First a provider, whose clients come, set their device up, and
send frames until they are killed, which is at any point of it. Then a stock consumer, whose provider
is killed while it sends; the next one replaces the socket that is left behind. Each round what the
survivor holds (descriptors, mappings, mbufs) must be what it held before, and a next peer must be
served. Last, a driver that sends is reset in each of three ways: what the device says that it has
taken must lie between what was done by then and what was posted, and nothing may come from the rings
of the time before (test/protocol looks at each kind closely). The exit status is 0 if all was as it
should be.
"""

import argparse
import contextlib
import os
import random
import re
import signal
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[1] / folder) for folder in ("protocol", "dpdk", "soak", "")]

import soak  # noqa: E402
import vfio_user  # noqa: E402
from iavf import Nic  # noqa: E402
from pair import Pair, attach, traffic_passes  # noqa: E402
from server import Server  # noqa: E402
from stock import Failure, wait_for  # noqa: E402

BURST = 100  # Frames, for a ring of 128 descriptors.
LIFE = 0.08  # Seconds that a client lives at most: it has set its device up after a third of it.
SETTLES = 60  # Seconds within which a survivor has let go of what was the other's.
STREAM = 0.5  # Seconds that a provider lives at most once the consumer sends.


def parse():
    parser = argparse.ArgumentParser(prog="soak.sh kills", description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=200, help="that are killed")
    parser.add_argument("--providers", type=int, default=200, help="that are killed")
    parser.add_argument("--resets", type=int, default=200, help="in each of the ways")
    parser.add_argument("--seed", type=int, default=0, help="of the instants; 0: another each time")
    return parser.parse_args()


def say(text):
    print(text, file=sys.stderr, flush=True)


# --- clients are killed ---

def send_for_ever(path):
    with vfio_user.connect(path) as client, vfio_user.DmaMemory() as memory:
        nic = Nic(client, memory).bring_up()
        while True:
            nic.echo(nic.frame())


def forked_client(path):
    """A process of its own, without another start of Python."""
    child = os.fork()
    if child == 0:
        try:
            send_for_ever(path)
        except BaseException as error:  # noqa: BLE001
            print(f"a client has ended: {error!r}", file=sys.stderr)
        os._exit(1)
    return child


def kill_client(server, instants):
    child = forked_client(server.path)
    time.sleep(instants.uniform(0, LIFE))
    os.kill(child, signal.SIGKILL)
    if (status := os.waitpid(child, 0)[1]) != signal.SIGKILL:
        raise Failure(f"a client has ended by itself, status {status}")


def echo_once(path):
    with vfio_user.connect(path) as client, vfio_user.DmaMemory() as memory:
        nic = Nic(client, memory).bring_up()
        nic.echo(nic.frame())


def kill_clients(folder, rounds, instants):
    server = Server(folder)
    try:
        server.wait_until_ready()
        for number in range(rounds):
            kill_client(server, instants)
            server.check_health()
            if number % 20 == 19:
                echo_once(server.path)
                say(f"{number + 1} clients killed")
        echo_once(server.path)
        server.check_health()
    except BaseException:
        server.process.kill()
        raise
    server.quit()


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


def has_more(now, before):
    return any(count > before[what] for what, count in now.items())


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
            # Descriptors that a peer has sent are closed by a thread of their own.
            try:
                wait_for(lambda: not has_more(pair.consumer.resources(), before), "return", SETTLES)
            except Failure:
                now = pair.consumer.resources()
                raise Failure(f"the consumer held {before}, and now {now}") from None
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


def host_counts(server):
    """What the port of the device has received, missed or not, and sent since it began: by testpmd's
    table, which it writes when it has enough of them. No more frames may come."""
    row = re.compile(r"RX-packets: (\d+) +RX-missed: (\d+).*?RX-errors: (\d+).*?TX-packets: (\d+)", re.S)

    def ask():
        server.command("show port stats 0")
        return row.search(server.log())
    received, missed, errors, sent = map(int, wait_for(ask, "statistics").groups())
    return received + missed + errors, sent


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
    posted, (taken, given) = rounds * (BURST + 1), host_counts(server)
    counts = (f"{posted} posted, {taken} taken, {done} of them done before the reset; {given} handed "
              f"over, {back} in the rings")
    if not back <= given <= taken <= posted or done > taken:
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
