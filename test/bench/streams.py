#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""TCP streams of stock Linux guests over our NIC and over virtio-net (vhost-user), in one testpmd.

Started by "devtools/bench.sh iperf". Two guests have a NIC of each contestant, and testpmd's io mode
joins one pair at a time: guest to guest, or guest to a tap of the host. So all contestants meet the
same processes, memory and cores. The forwarding thread has a core of its own, the guests and
iperf3 share the others. Rings of the guests have the same size.

testpmd polls, so its processor time says nothing. What counts is the time of the bursts that found
packets (--record-core-cycles), and the processor time of the control threads of vfio-user and vhost.
The guests' is that of their QEMU, which also emulates their processors. Interrupts are those that
the guests have counted: of ours one vector tells of a pair of queues, virtio-net has one for each.
"""

import argparse
import contextlib
import json
import os
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "guest"),
    str(Path(__file__).resolve().parents[1])]

import guest as guests  # noqa: E402
from host import TAP, Namespace, interruptible  # noqa: E402
from stock import Failure, StockTestpmd, wait_for  # noqa: E402
from threads import schedule  # noqa: E402

VIRTIO, INLINE, LARGE = "virtio-net", "iavf, lro=1, irq-inline=1", "iavf, lro=1"
CUT_INLINE, CUT = "iavf, irq-inline=1", "iavf"
LENT = "iavf, lro=1, irq-inline=1, zero-copy=1"
USUAL = (VIRTIO, INLINE, LARGE, CUT_INLINE, CUT)
CONTESTANTS = (*USUAL, LENT)
SIDES = ("a", "b")
GUEST, HOST = "guest", "tap"
# net_tap takes the header of Ethernet for a part of its MTU of 1500, and allows no larger one.
TAP_MTU, MOST_MTU = 1480, 9000
# Of each NIC in the guests: the most that virtio-net has over vhost-user.
RING = 1024
CHECKSUMS = ("ipv4_cksum", "tcp_cksum", "udp_cksum")
# All that a driver has. With its legacy flags net_vhost offers little, and carries out all the same.
OFFLOADS = {
    "emu_iavf": {"rx": (*CHECKSUMS, "tcp_lro", "scatter"), "tx": (*CHECKSUMS, "tcp_tso", "multi_segs")},
    "net_vhost": {"rx": (), "tx": ("multi_segs",)},
    "net_tap": {"rx": (*CHECKSUMS, "scatter"), "tx": (*CHECKSUMS, "tcp_tso", "multi_segs")},
}
INTERRUPTS = re.compile(r"^ *\d+:((?: +\d+)+) .*(?:TxRx|-input|-output)", re.MULTILINE)
FORWARDING_THREAD = re.compile(r"worker")
# Of the time, that it may wait for its core; with more what is measured is somebody else.
MOST_WAITING = 0.1
TRIES = 4
CONTROL_THREADS = re.compile(r"vfio-user|vhost")
FIGURES = {
    "rate": ("received, Gbit/s", "more is better"),
    "bursts": ("processor time of testpmd's bursts, s/GB", "less is better"),
    "host": ("the same with the control threads of vfio-user and vhost, s/GB", "less is better"),
    "guests": ("processor time of the guests' QEMU, s/GB", "less is better"),
    "to": ("frames to guest a, 1000/GB", "less is better"),
    "from": ("frames from guest a, 1000/GB", "less is better"),
    "interrupts": ("interrupts of the guests, 1000/GB", "less is better"),
    "pace": ("interrupts of the guests, 1000/s", "less is better"),
    "lost": ("segments sent again", "less is better"),
}
WAYS = ((GUEST, False), (GUEST, True), (HOST, False), (HOST, True))
WAY_NAMES = {(GUEST, False): "guest a to b", (GUEST, True): "guest b to a",
             (HOST, False): "guest to tap", (HOST, True): "tap to guest"}


def parse(arguments=None):
    parser = argparse.ArgumentParser(prog="bench.sh iperf", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds")
    parser.add_argument("--streams", default="1,4", metavar="LIST", help="numbers of streams")
    parser.add_argument("--contestants", default=";".join(USUAL), metavar="LIST",
                        help="separated by semicolons, of: " + "; ".join(CONTESTANTS) +
                             f" (default: all but {LENT})")
    parser.add_argument("--ways", metavar="LIST", help="of " + ",".join(WAY_NAMES.values()))
    parser.add_argument("--mtu", type=int, default=TAP_MTU,
                        help=f"of the guests, 1280 to {MOST_MTU}; beyond {TAP_MTU} between guests "
                             f"only, as net_tap has no larger one (default: {TAP_MTU})")
    parser.add_argument("--window", metavar="SIZE",
                        help="of the sockets, as iperf3 -w takes it (default: what Linux chooses)")
    parser.add_argument("--retry", action="store_true",
                        help="testpmd offers again what a full ring did not take, for 64 us")
    parser.add_argument("--kernel", default="6.12", help="of the guests; 6.1 has no virtio-net")
    settings = parser.parse_args(arguments)
    settings.streams = [int(number) for number in settings.streams.split(",")]
    settings.contestants = settings.contestants.split(";")
    for one in settings.contestants:
        if one not in CONTESTANTS:
            parser.error(f"--contestants={one}: of {'; '.join(CONTESTANTS)}")
    if not 1280 <= settings.mtu <= MOST_MTU:
        parser.error(f"--mtu={settings.mtu}: 1280 to {MOST_MTU}")
    settings.ways = ways(settings, parser)
    if len(os.sched_getaffinity(0)) < 2:
        parser.error("two cores are needed, one of them for testpmd")
    return settings


def ways(settings, parser):
    """Those that were asked for, or all that have such frames."""
    possible = [way for way in WAYS if settings.mtu <= TAP_MTU or way[0] == GUEST]
    if settings.ways is None:
        return possible
    names = [WAY_NAMES[way] for way in possible]
    wanted = settings.ways.split(",")
    if set(wanted) - set(names):
        parser.error(f"--ways={settings.ways}: of {', '.join(names)}")
    return [way for way, name in zip(possible, names) if name in wanted]


def number(side, contestant):
    return SIDES.index(side) * len(CONTESTANTS) + CONTESTANTS.index(contestant)


def device(side, contestant):
    kind = "net_vhost" if contestant == VIRTIO else "emu_iavf"
    return f"{kind}{number(side, contestant)}"


def devargs(contestant):
    """Of one of ours: what is behind its name."""
    return contestant.removeprefix("iavf").replace(" ", "")


def socket_name(side, contestant):
    return f"{side}{CONTESTANTS.index(contestant)}.sock"


def mac(side, contestant):
    return f"02:00:00:00:01:{number(side, contestant):02x}"


def address(end, contestant):
    """A network for each contestant; its ends are guest a, guest b and the tap."""
    return f"198.18.{CONTESTANTS.index(contestant)}.{(*SIDES, HOST).index(end) + 1}"


class Switch(StockTestpmd):
    """A testpmd with all NICs and a tap, whose ports hand on what they have not carried out."""

    partner = "tap"

    def __init__(self, folder, core, others, mtu):
        super().__init__()
        self.folder = folder
        self.mtu_ = mtu
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self.close)
            self.namespace = Namespace()
            self.cleanup_.callback(self.namespace.close)
            nics = [f"--vdev={self.arguments_(side, one)}" for side in SIDES for one in CONTESTANTS]
            self.start_(self.namespace.name, ("--in-memory", "-m", "256"),
                        (*nics, f"--vdev=net_tap0,iface={TAP}"),
                        ("--total-num-mbufs=32768", "--rxd=1024", "--txd=1024",
                         "--record-core-cycles"), self.namespace.enter(),
                        # Threads of no core run where the first one does.
                        f"0@({','.join(map(str, others))}),1@{core}")
            self.ports_ = {self.telemetry(f"/ethdev/info,{port}")["name"]: port
                           for port in self.telemetry("/ethdev/list")}
            self.offload_()
            self.set_up_tap_()
            on_failure.pop_all()

    def arguments_(self, side, contestant):
        path = self.folder / socket_name(side, contestant)
        name = device(side, contestant)
        if contestant == VIRTIO:
            # The flags that other ports understand, as ours has them; else nothing is handed on.
            return f"{name},iface={path},tso=1,legacy-ol-flags=1"
        return f"{name},path={path},queues=1,mac={mac(side, contestant)}{devargs(contestant)}"

    def offload_(self):
        self.command("port stop all")
        for device_name, port in self.ports_.items():
            for way, names in OFFLOADS[device_name.rstrip("0123456789")].items():
                for name in names:
                    self.command(f"port config {port} {way}_offload {name} on")
            # Ours tells its guest what it may have; net_vhost needs no word.
            if self.mtu_ > TAP_MTU and device_name.startswith("emu_iavf"):
                self.command(f"port config mtu {port} {self.mtu_}")
        shown = self.command("port start all")
        if "Fail to" in shown:
            raise Failure(f"testpmd: {shown}")

    def set_up_tap_(self):
        run = self.namespace.run
        run("sh", "-c", f"echo 1 > /proc/sys/net/ipv6/conf/{TAP}/disable_ipv6")
        for contestant in CONTESTANTS:
            run("ip", "address", "add", f"{address(HOST, contestant)}/24", "dev", TAP)
        run("ip", "link", "set", TAP, "mtu", str(TAP_MTU), "up")

    def join(self, contestant, place):
        """Forwards between guest a and a place; counts from zero."""
        far = "net_tap0" if place == HOST else device("b", contestant)
        ports = [self.ports_[device("a", contestant)], self.ports_[far]]
        for line in ("stop", f"set portlist {ports[0]},{ports[1]}", "start"):
            self.command(line)

    def frames(self, contestant):
        """To and from guest a, since its port was started."""
        stats = self.telemetry(f"/ethdev/stats,{self.ports_[device('a', contestant)]}")
        return stats["opackets"], stats["ipackets"]

    def busy_seconds(self):
        """Of bursts with packets since forwarding began."""
        shown = self.command("show fwd stats all")
        found = re.search(r"total cycles=(\d+).*? at (\d+) MHz", shown, re.DOTALL)
        return int(found[1]) / int(found[2]) / 1e6

    def control_seconds(self):
        return schedule(self.process.pid, CONTROL_THREADS)[0]

    def waiting_seconds(self):
        """How long the forwarding thread has waited for its core, which it should have alone."""
        return schedule(self.process.pid, FORWARDING_THREAD)[1]


class StreamGuest(guests.Guest):
    """A guest with a NIC of each contestant."""

    def __init__(self, switch, side, kernel, mtu):
        self.side_ = side
        self.mtu_ = mtu
        self.names_ = {}
        more = []
        for contestant in CONTESTANTS:
            path, name = switch.folder / socket_name(side, contestant), device(side, contestant)
            if contestant == VIRTIO:
                more += ["-chardev", f"socket,id={name},path={path}",
                         "-netdev", f"vhost-user,id=net-{name},chardev={name}",
                         "-device", f"virtio-net-pci,netdev=net-{name},romfile=,"
                                    f"mac={mac(side, contestant)},mrg_rxbuf=on,"
                                    f"rx_queue_size={RING},tx_queue_size={RING}"]
            else:
                more += ["-device", json.dumps({
                    "driver": "vfio-user-pci", "socket": {"type": "unix", "path": str(path)}})]
        super().__init__(switch.folder / f"guest-{side}", None, kernel=kernel, memory="hugetlb",
                         more=more)
        self.set_up_()

    def set_up_(self):
        self.check("modprobe virtio_pci && modprobe virtio_net && modprobe iavf")
        for contestant in CONTESTANTS:
            find = f"grep -l {mac(self.side_, contestant)} /sys/class/net/*/address"
            path = wait_for(lambda: self.run(find)[1], f"NIC of {contestant}")
            name = Path(path).parent.name
            self.names_[contestant] = name
            if contestant != VIRTIO:
                self.check(f"ethtool -G {name} rx {RING} tx {RING}")
            self.check(f"ip link set {name} mtu {self.mtu_} up")
            self.check(f"ip address add {address(self.side_, contestant)}/24 dev {name}")
            self.wait_for_link_(name)

    def wait_for_link_(self, name):
        wait_for(lambda: self.run(f"cat /sys/class/net/{name}/carrier") == (0, "1"),
                 f"link of {name}", 20)

    def segment(self, contestant, by_nic):
        self.check(f"ethtool -K {self.names_[contestant]} tso {'on' if by_nic else 'off'}")

    def interrupts(self):
        """Of all its NICs' queues since boot."""
        return count_interrupts(self.check("cat /proc/interrupts"))

    def seconds(self):
        """Of all its QEMU's threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def count_interrupts(table):
    """Of NICs' queues, by all processors, in what /proc/interrupts shows."""
    return sum(int(count) for counts in INTERRUPTS.findall(table) for count in counts.split())


def measure(switch, ends, settings, contestant, way, streams):
    """The figures of one run of iperf3 between guest a and a place."""
    place, back = way
    switch.join(contestant, place)
    # net_vhost does not ask for the checksum of IP, without which net_tap makes wrong frames.
    ends["a"].segment(contestant, place == GUEST or contestant != VIRTIO)
    to = address("b" if place == GUEST else HOST, contestant)
    command = f"iperf3 -J -c {to} -t {settings.seconds} -P {streams}{' -R' if back else ''}"
    if settings.window:
        command += f" -w {settings.window}"
    clocks = lambda: (switch.control_seconds(), sum(end.seconds() for end in ends.values()))
    count = lambda: sum(end.interrupts() for end in ends.values())
    taken, before, frames = count(), clocks(), switch.frames(contestant)
    status, output = ends["a"].run(command, settings.seconds + 60)
    control, guest_time = (after - begun for after, begun in zip(clocks(), before))
    taken = count() - taken
    sent, received = (now - then for now, then in zip(switch.frames(contestant), frames))
    report = json.loads(output) if output.startswith("{") else {"error": output}
    if status or "error" in report:
        raise Failure(f"{contestant}: {command}: status {status}: {report.get('error')}")
    got = report["end"]["sum_received"]
    gigabytes = got["bytes"] / 1e9
    bursts = switch.busy_seconds()
    return {"rate": got["bits_per_second"] / 1e9,
            "bursts": bursts / gigabytes,
            "host": (bursts + control) / gigabytes,
            "guests": guest_time / gigabytes,
            "to": sent / 1e3 / gigabytes,
            "from": received / 1e3 / gigabytes,
            "interrupts": taken / 1e3 / gigabytes,
            "pace": taken / 1e3 / settings.seconds,
            "lost": report["end"]["sum_sent"].get("retransmits", 0)}


def measure_undisturbed(switch, ends, settings, *what):
    """Tries again when something else had the core of the forwarding thread."""
    for left in reversed(range(TRIES)):
        before = switch.waiting_seconds()
        result = measure(switch, ends, settings, *what)
        waited = (switch.waiting_seconds() - before) / settings.seconds
        if waited <= MOST_WAITING:
            return result
        say(f"forwarding waited for its core {waited:.0%} of the time"
            f"{', again' if left else ''}")
    return result


def run(settings):
    """{(way, streams, contestant): [figures of each round]}"""
    found = {}
    cores = sorted(os.sched_getaffinity(0))
    steps = [(turn, way, streams, one) for turn in range(settings.rounds)
             for way in settings.ways for streams in settings.streams
             for one in settings.contestants]
    with tempfile.TemporaryDirectory(prefix="emudev-") as folder, contextlib.ExitStack() as running:
        switch = Switch(Path(folder), cores[0], cores[1:], settings.mtu)
        running.callback(switch.close)
        if settings.retry:
            switch.command("set fwd io retry")
        os.sched_setaffinity(0, cores[1:])  # all that is started from here on
        switch.namespace.serve_iperf()
        say("booting two guests")
        ends = {}
        for side in SIDES:
            ends[side] = StreamGuest(switch, side, settings.kernel, settings.mtu)
            running.callback(ends[side].close)
        ends["b"].start("iperf3 -s")
        for done, (turn, way, streams, one) in enumerate(steps):
            say(f"[{(len(steps) - done) * (settings.seconds + 1):4} s left] round {turn + 1}: "
                f"{WAY_NAMES[way]}, {streams} streams, {one}")
            result = measure_undisturbed(switch, ends, settings, one, way, streams)
            say(", ".join(f"{key} {value:.3g}" for key, value in result.items()))
            found.setdefault((way, streams, one), []).append(result)
    return found


def say(what):
    print(what, file=sys.stderr, flush=True)


def cell(found, row, one, key):
    values = [result[key] for result in found[(*row, one)]]
    middle = statistics.median(values)
    text = f"{middle:.3g} ({min(values):.3g}-{max(values):.3g})"
    peer = statistics.median(result[key] for result in found.get((*row, VIRTIO), [{key: 0}]))
    if one != VIRTIO and peer and key != "lost":
        text += f" x{middle / peer:.2f}"
    return text


def show(settings, found):
    print(f"TCP between stock Linux {settings.kernel} guests, and to a tap; {settings.rounds} rounds "
          f"of {settings.seconds} s, median (min-max); xN: ours divided by virtio-net's"
          f"; MTU {settings.mtu}{'; testpmd retries' if settings.retry else ''}"
          f"{f'; windows of {settings.window}' if settings.window else ''}")
    for key, (heading, better) in FIGURES.items():
        print(f"\n  {heading} ({better})\n")
        print(f"    {'':14} {'streams':7}  " + "".join(f"{one:28}" for one in settings.contestants).rstrip())
        for way in settings.ways:
            for streams in settings.streams:
                row = "".join(f"{cell(found, (way, streams), one, key):28}"
                              for one in settings.contestants)
                print(f"    {WAY_NAMES[way]:14} {streams:<7}  {row.rstrip()}")


def main():
    settings = parse()
    interruptible()
    begun = time.monotonic()
    show(settings, run(settings))
    say(f"{time.monotonic() - begun:.0f} s in all")
    return 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    sys.exit(main())
