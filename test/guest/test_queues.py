# SPDX-License-Identifier: BSD-3-Clause
"""A guest with several queue pairs, and hosts that serve more than it uses."""

import os
import re
import struct
from pathlib import Path

import pytest

import frames
import guest as guests
from control import comes_to_each_queue, flows
from host import ADDRESS
from stock import StockTestpmd, wait_for
from wire import spread

QUEUES = 4


def ethtool_numbers(guest, option):
	"""What ethtool shows of channels (-l) or rings (-g): the largest, and those in use."""
	text = guest.check(f"ethtool {option} {guests.NIC}")
	largest, current = text.split("Current hardware settings:")
	numbers = lambda part: {name: int(n) for name, n in re.findall(r"(\w+):\s*(\d+)\n",
		part + "\n")}
	return numbers(largest), numbers(current)


def channels(guest):
	return ethtool_numbers(guest, "-l")[1]["Combined"]


def vectors(guest):
	return int(guest.check("grep -c iavf-.*TxRx /proc/interrupts"))


def interrupts(guest):
	"""Of each vector that has queues."""
	lines = guest.check("grep iavf-.*TxRx /proc/interrupts").splitlines()
	return {int(line.rsplit("-", 1)[1]): sum(map(int, re.findall(r" (\d+)(?= )", line)))
		for line in lines}


def packets(guest):
	"""Packets of each direction and queue."""
	counters = guest.check(f"ethtool -S {guests.NIC}")
	return {name: int(n) for name, n in re.findall(r"([tr]x-\d+)\.packets: (\d+)", counters)}


@pytest.mark.parametrize("cpus", [1, 4])
def test_queues(boot, cpus):
	"""iavf takes as many queue pairs as it has CPUs."""
	guest = boot(cpus=cpus)
	guest.load()
	assert (channels(guest), vectors(guest)) == (cpus, cpus)
	guest.ping()
	assert guest.iperf("-P", str(4 * cpus)) > 0
	assert guest.iperf("-P", str(4 * cpus), "-R") > 0
	used = packets(guest)
	for direction in ("tx", "rx"):
		assert all(used[f"{direction}-{n}"] for n in range(cpus))
	assert not guest.complaints()


def received(guest, *options):
	"""How many packets of some streams to the guest came to each of its queues."""
	before = packets(guest)
	assert guest.iperf("-R", *options) > 0
	after = packets(guest)
	return [after[f"rx-{n}"] - before[f"rx-{n}"] for n in range(QUEUES)]


def busy(counts):
	"""The queues that got more than what else is on the link."""
	return {n for n, count in enumerate(counts) if count > sum(counts) // 50}


def spreads_by_ethtool(guest, testpmd):
	"""A host with one queue sends; the guest says what goes where."""
	nic = guests.NIC
	table = guest.check(f"ethtool -x {nic}")
	assert f"{QUEUES} RX ring(s)" in table and "toeplitz: on" in table
	entries = re.findall(r"^\s*\d+:((?:\s+\d+)+)$", table, re.M)
	assert [int(n) for line in entries for n in line.split()] == [
		n % QUEUES for n in range(64)]
	assert len(re.search(r"hash key:\s+([0-9a-f:]+)", table)[1].split(":")) == 52
	comes_to_each_queue(guest, testpmd)
	guest.check(f"ethtool -X {nic} equal 2")
	used = lambda: [bool(n) for n in spread(guest, testpmd, flows(64))[:QUEUES]]
	wait_for(lambda: used() == [True, True, False, False], "packets on two queues")
	guest.check(f"ethtool -X {nic} weight 0 0 0 1")
	assert busy(received(guest, "-P", "4")) == {3}
	key = ":".join(f"{n * 73 % 256:02x}" for n in range(52))
	guest.check(f"ethtool -X {nic} equal {QUEUES} hkey {key}")
	assert key in guest.check(f"ethtool -x {nic}")
	comes_to_each_queue(guest, testpmd)
	# Without ports all streams of two machines are one flow.
	guest.check(f"ethtool -N {nic} rx-flow-hash tcp4 sd")
	assert len(busy(received(guest, "-P", "16"))) == 1
	guest.check(f"ethtool -N {nic} rx-flow-hash tcp4 sdfn")
	assert len(busy(received(guest, "-P", "16"))) > 1
	shown = guest.check(f"ethtool -n {nic} rx-flow-hash tcp4")
	assert "IP SA" in shown and "src port" in shown


SEGMENTS = {"tcp": frames.tcp(b"")[:2], "udp": frames.udp(b"")[:2], "sctp": (132, bytes(12))}


def packet(kind, source, target, ports):
	"""Of "udp4" and the like, behind the MAC addresses. Hosts have numbers."""
	protocol, segment = SEGMENTS[kind[:-1]]
	segment = struct.pack(">HH", *ports) + segment[4:]
	if kind[-1] == "4":
		addresses = bytes([10, 0, 0, source, 10, 0, 0, target])
		return frames.V4 + frames.ip4(protocol, segment, addresses=addresses)
	address = lambda host: bytes.fromhex("20010db8") + bytes(11) + bytes([host])
	return (frames.V6 + frames.ip6(protocol, segment)[:8] + address(source) + address(target)
		+ segment)


def tell(guest, testpmd, message, options):
	"""Does what ethtool says, and waits until the driver has told the device. It may be busy with what
	was before."""
	received = lambda: testpmd.telemetry("/emu_iavf/virtchnl,emu_iavf0")["received"]
	count = lambda: received().get(message, 0)
	before = count()
	wait_for(lambda: guest.run(f"ethtool {options}")[0] == 0, options)
	wait_for(lambda: count() > before, message)


def is_hashed_as_told(guest, testpmd):
	"""What ethtool -N calls s, d, f and n: addresses and ports."""
	for kind in (protocol + version for protocol in SEGMENTS for version in "46"):
		varied = {
			"s": [packet(kind, n, 1, (1000, 2000)) for n in range(1, 17)],
			"d": [packet(kind, 1, n, (1000, 2000)) for n in range(1, 17)],
			"fn": [packet(kind, 1, 2, (1000 + n, 2000 + 3 * n)) for n in range(16)],
		}
		for fields, looked_at in ("s", "sd"), ("sd", ("d", "fn")), ("sdfn", ("fn",)):
			tell(guest, testpmd, "ADD_RSS_CFG", f"-N {guests.NIC} rx-flow-hash {kind} {fields}")
			for what in looked_at:
				together = max(spread(guest, testpmd, 4 * varied[what])) >= 64
				assert together == (what not in fields), (kind, fields, what)


def both_directions_meet(guest, testpmd):
	"""Those of a flow come to one queue, if the guest says so. The driver takes an ethtool -X without
	that word for one that does."""
	symmetric = lambda: "symmetric-xor: on" in guest.check(f"ethtool -x {guests.NIC}")
	be = lambda word: tell(guest, testpmd, "CONFIG_RSS_HFUNC", f"-X {guests.NIC} xfrm {word}")

	def meet(flow):
		ports = 1000 + flow, 2000
		both = packet("tcp4", 1, 2, ports), packet("tcp4", 2, 1, ports[::-1])
		return max(spread(guest, testpmd, 10 * both)) >= 20
	flows = range(40)
	if symmetric():
		be("none")
	assert not all(map(meet, flows))
	be("symmetric-xor")
	assert symmetric()
	assert [flow for flow in flows if not meet(flow)] == []
	be("none")
	assert not all(map(meet, flows))


def test_channel_and_ring_changes(boot, testpmd):
	"""What ethtool -l, -L, -g and -G show and change, as on a card, and under traffic."""
	guest = boot(cpus=4)
	guest.load()
	assert ethtool_numbers(guest, "-l")[0]["Combined"] == QUEUES
	for queues in (2, 1, 4):
		guest.reconfigure(f"ethtool -L {guests.NIC} combined {queues}")
		assert (channels(guest), vectors(guest)) == (queues, queues)
		guest.ping()
	assert guest.run(f"ethtool -L {guests.NIC} combined {QUEUES + 1}")[0]
	largest, now = ethtool_numbers(guest, "-g")
	assert (largest["RX"], largest["TX"]) == (4096, 4096)
	assert (now["RX"], now["TX"]) == (512, 512)
	for receive, transmit in ((64, 4096), (4096, 64), (256, 1024)):
		guest.reconfigure(f"ethtool -G {guests.NIC} rx {receive} tx {transmit}")
		now = ethtool_numbers(guest, "-g")[1]
		assert (now["RX"], now["TX"]) == (receive, transmit)
		guest.ping(size=1500)
	guest.start(f"iperf3 -c {ADDRESS} -t 60 -P 4")
	for change in ("-L {} combined 2", "-G {} rx 128 tx 128", "-L {} combined 4"):
		guest.reconfigure("ethtool " + change.format(guests.NIC))
		guest.ping()
	guest.check("killall iperf3")
	testpmd.set_queues(1)
	try:
		guest.ping()
		spreads_by_ethtool(guest, testpmd)
		if guests.KERNEL == guests.KERNELS[0]:  # Older ones have no word for it.
			both_directions_meet(guest, testpmd)
		is_hashed_as_told(guest, testpmd)
	finally:
		testpmd.set_queues(QUEUES)
	assert not guest.complaints()


class Mirror(StockTestpmd):
	"""A testpmd without a tap, which could not have as many queues: frames come back as they are,
	with their addresses exchanged, on the queue on which they went out."""

	partner = "none"

	def __init__(self, folder, queues, devargs=""):
		super().__init__()
		self.socket = Path(folder) / "nic0.sock"
		try:
			self.start_(f"emudev-mirror-{os.getpid()}", ("--in-memory", "-m", "128"), (
				f"--vdev=emu_iavf0,path={self.socket},queues={queues}{devargs}",), (
				"--total-num-mbufs=8192", f"--rxq={queues}", f"--txq={queues}",
				"--forward-mode=macswap"))
			self.command("start")
		except BaseException:
			self.close()
			raise


MOST = 16  # Linux asks for no more.


@pytest.fixture
def with_many_queues(tmp_path, request):
	mirror = Mirror(tmp_path, MOST, getattr(request, "param", ""))
	try:
		guest = guests.Guest(tmp_path / "guest", mirror.socket, cpus=2)
		try:
			# Its own advertisements would come back, and complain of a double of its address.
			guest.check("for each in all default; do"
				" echo 1 > /proc/sys/net/ipv6/conf/$each/disable_ipv6; done")
			guest.load()
			yield guest
		finally:
			guest.close()
	finally:
		mirror.close()


def comes_back_on_each_queue(guest, queues):
	before = packets(guest)
	# How many of them the guest finds the time for is up to the machine.
	guest.transmit(200 * queues, queues=queues)
	more = lambda: {name: count - before[name] for name, count in packets(guest).items()}
	wait_for(lambda: all(more()[f"{way}-{n}"] >= 100
		for way in ("tx", "rx") for n in range(queues)), f"packets on {queues} queues")


def test_more_channels_than_processors(with_many_queues):
	guest = with_many_queues
	assert ethtool_numbers(guest, "-l")[0]["Combined"] == MOST and channels(guest) == 2
	for queues in 8, MOST:
		guest.reconfigure(f"ethtool -L {guests.NIC} combined {queues}")
		assert (channels(guest), vectors(guest)) == (queues, queues)
		comes_back_on_each_queue(guest, queues)
	assert guest.run(f"ethtool -L {guests.NIC} combined {MOST + 1}")[0]
	assert not guest.complaints()


@pytest.mark.parametrize("with_many_queues", [",vectors=4"], indirect=True)
def test_several_queues_on_a_vector(with_many_queues):
	"""Interrupts tell of all the queues of their vector."""
	guest = with_many_queues
	guest.reconfigure(f"ethtool -L {guests.NIC} combined {MOST}")
	assert (channels(guest), vectors(guest)) == (MOST, 3)
	comes_back_on_each_queue(guest, MOST)
	for queue in 0, 5, 7, 11:
		before, seen = interrupts(guest), packets(guest)[f"rx-{queue}"]
		# Its processor is to find the time to receive, too; how many it does is up to the machine.
		guest.transmit(1000, first=queue, delay=200_000)
		wait_for(lambda: packets(guest)[f"rx-{queue}"] > seen + 100, f"packets on queue {queue}")
		more = {vector: count - before[vector] for vector, count in interrupts(guest).items()}
		assert max(more, key=more.get) == queue % 3, more
	assert not guest.complaints()
