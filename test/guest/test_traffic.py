# SPDX-License-Identifier: BSD-3-Clause
"""Packets of all sizes both ways, and none of them costs a vfio-user message."""

import time

import pytest

import guest as guests
from stock import wait_for

SIZES = [64, 65, 127, 128, 256, 511, 512, 1024, 1280, 1499, 1500]
JUMBO_SIZES = [1501, 2047, 2048, 2049, 3000, 4096, 6000, 8999, 9000]
PACKETS = 1_000_000


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


def test_statistics_agree(guest, testpmd):
	"""What the guest has sent is what the host's port has received."""
	before, sent = testpmd.port_stats(), transmitted(guest)
	guest.transmit(1000)
	after = testpmd.port_stats()
	assert after["ipackets"] - before["ipackets"] >= 1000
	# The guest's driver asks for its statistics every few seconds.
	wait_for(lambda: transmitted(guest) - sent >= 1000, "count of 1000 in the guest")
	assert transmitted(guest) - sent < 1100


def transmitted(guest):
	return int(guest.check(f"cat /sys/class/net/{guests.NIC}/statistics/tx_packets"))


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
