# SPDX-License-Identifier: BSD-3-Clause
"""Packets of all sizes both ways, and none of them costs a vfio-user message."""

import re
import time

import pytest

import guest as guests
from checksums import takes_what_was_checked
from host import ADDRESS
from stock import Failure, wait_for

SIZES = [64, 65, 127, 128, 256, 511, 512, 1024, 1280, 1499, 1500]
JUMBO_SIZES = [1501, 2047, 2048, 2049, 3000, 4096, 6000, 8999, 9000]
PACKETS = 1_000_000
# Frames in some hundred thousand that a kernel's driver may skip unseen, of which it knows nothing:
# doc/guides/emudevs/linux_features.rst.
SKIPPED = {"6.12": 2}


@pytest.fixture
def jumbo(guest, testpmd):
	"""Large frames. The tap's driver takes none, so the host's application answers itself."""
	guest.set_mtu(9000)
	testpmd.forward("icmpecho")
	yield guest
	testpmd.forward("io")
	guest.set_mtu(1500)


def test_ping_sizes(guest):
	for size in SIZES:
		assert " 0% packet loss" in guest.ping(size)


def test_jumbo_ping_sizes(jumbo):
	for size in [64, 1500, *JUMBO_SIZES]:
		assert " 0% packet loss" in jumbo.ping(size)


def test_jumbo_stream(jumbo, testpmd):
	"""Echoed frames of 9000 bytes, one after the other."""
	before = testpmd.port_stats()
	assert " 0% packet loss" in jumbo.ping(9000, count=200, interval=0.01)
	after = testpmd.port_stats()
	for counter in ("ibytes", "obytes"):
		assert after[counter] - before[counter] >= 200 * 9000


@pytest.mark.parametrize("options", [[], ["-R"], ["--bidir"], ["-u", "-b", "50M"],
	["-u", "-b", "50M", "-R"]], ids=" ".join)
def test_iperf3(guest, options):
	assert guest.iperf(*options) > 0


def test_statistics_are_the_same(guest, testpmd):
	"""All packets and bytes since the driver was loaded, as each part of the guest shows them."""
	guest.check("rmmod iavf")
	testpmd.command(f"clear port stats {testpmd.port()}")
	guest.load()
	for size in SIZES:
		guest.ping(size)
	guest.iperf()
	guest.iperf("-R")
	shown = lambda: (counted_by_host(testpmd), counted_by_function(guest), counted_by_link(guest),
		counted_by_rings(guest))

	def agree():
		host, function, link, rings = shown()
		unseen = host["rx"]["packets"] - rings["rx"]
		return function == host and all(
			link[way][what] == host[way][what] for way in host for what in link[way]) and (
			rings["tx"] == host["tx"]["packets"] and unseen in range(SKIPPED.get(guests.KERNEL, 0) + 1))
	try:
		# The driver asks for its statistics every few seconds.
		wait_for(agree, "agreement", 15, interval=0.5)
	except Failure:
		before = shown()
		guest.ping()  # Whether it was a matter of waking up.
		pytest.fail("\n".join(map(str, (*before, "after a ping", *shown()))))
	host = counted_by_host(testpmd)
	for way in "tx", "rx":
		assert host[way]["packets"] > 1000 and host[way]["bad"] == 0


def counted_by_host(testpmd):
	"""As the guest is to count it: what it sends (tx) is what the port receives."""
	stats, xstats = testpmd.port_stats(), testpmd.xstats()
	crc = {"tx": 0, "rx": 4}  # In the bytes of what the guest receives, as with hardware.
	return {way: {
		"packets": stats[f"{port[0]}packets"],
		"bytes": stats[f"{port[0]}bytes"] + crc[way] * stats[f"{port[0]}packets"],
		"multicast": xstats[f"{port[1]}_multicast_packets"],
		"broadcast": xstats[f"{port[1]}_broadcast_packets"],
		"bad": stats[f"{port[0]}errors"],
	} for way, port in (("tx", ("i", "rx")), ("rx", ("o", "tx")))}


def driver_statistics(guest):
	shown = guest.check(f"ethtool -S {guests.NIC}")
	return {name: int(value) for name, value in re.findall(r"^ *(\S+): (\d+)$", shown, re.M)}


def counted_by_function(guest):
	counts = driver_statistics(guest)
	kinds = ("unicast", "multicast", "broadcast")
	return {way: {
		"packets": sum(counts[f"{way}_{kind}"] for kind in kinds),
		**{name: counts[f"{way}_{name}"] for name in ("bytes", "multicast", "broadcast")},
		"bad": counts[bad],
	} for way, bad in (("tx", "tx_errors"), ("rx", "rx_discards"))}


def counted_by_link(guest):
	"""What "ip -s link" shows."""
	names = {way: {"packets": f"{way}_packets", "bytes": f"{way}_bytes", "bad": bad}
		for way, bad in (("tx", "tx_errors"), ("rx", "rx_dropped"))}
	shown = guest.check(f"cd /sys/class/net/{guests.NIC}/statistics && grep . *")
	counts = dict(line.split(":") for line in shown.splitlines())
	return {way: {what: int(counts[name]) for what, name in names[way].items()} for way in names}


def counted_by_rings(guest):
	"""Packets: of bytes the driver counts other ones there (padded, without header)."""
	counts = driver_statistics(guest)
	return {way: sum(value for name, value in counts.items()
		if re.fullmatch(rf"{way}-\d+\.packets", name)) for way in ("tx", "rx")}


def test_packets_make_no_messages(guest, testpmd):
	"""A driver's watchdog reads registers now and then; packets must add nothing to that."""
	started, idle = time.monotonic(), testpmd.stats()["messages"]
	time.sleep(4)
	rate = (testpmd.stats()["messages"] - idle) / (time.monotonic() - started)

	before, packets = testpmd.stats()["messages"], testpmd.port_stats()["ipackets"]
	started = time.monotonic()
	guest.transmit(PACKETS)
	messages = testpmd.stats()["messages"] - before
	periodic = rate * (time.monotonic() - started)
	assert testpmd.port_stats()["ipackets"] - packets >= PACKETS * 0.9
	assert messages <= 2 * periodic + 100


def test_driver_takes_what_was_checked(guest, testpmd):
	takes_what_was_checked(guest, testpmd)
