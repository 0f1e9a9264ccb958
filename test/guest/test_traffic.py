# SPDX-License-Identifier: BSD-3-Clause
"""Packets of all sizes both ways, and none of them costs a vfio-user message."""

import re
import socket
import time

import pytest

import guest as guests
from frames import V4, changed, ip4, tcp, udp
from host import ADDRESS, GUEST_ADDRESS, TAP
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


TRACING = "/sys/kernel/tracing"
# As trace events have it: nobody has checked; the device has, all is right.
NONE, UNNECESSARY = 0, 1


def checksummed_frames(mac):
	"""Frames of different lengths, with what the driver has to make of their checksums."""
	ends = socket.inet_aton(ADDRESS) + socket.inet_aton(GUEST_ADDRESS)
	macs = mac + bytes.fromhex("02000000000b")

	def whole(segment, **options):
		return macs + V4 + ip4(*segment, addresses=ends, **options)
	small, large = bytes(range(100)), bytes(range(200)) * 7
	tunnelled = bytes.fromhex("0800000000002a00") + whole(tcp(small))
	vxlan = whole(udp(tunnelled, 4789))
	return [
		(whole(udp(small)), UNNECESSARY),
		(changed(whole(udp(small[:-1])), -1), NONE),
		(whole(tcp(small[:-2])), UNNECESSARY),
		(changed(whole(tcp(small[:-3])), -1), NONE),
		(changed(whole(udp(small[:-4])), 24), NONE),
		(whole(udp(large)), UNNECESSARY),
		(changed(whole(udp(large[:-1])), 700), NONE),
		(whole((17, small[:-5]), fragment=0x2001), NONE),
		# Nobody fills its checksum in: it has none.
		(whole((17, udp(small[:-16])[1])), NONE),
		(vxlan, UNNECESSARY),
		(changed(whole(udp(tunnelled + bytes(1), 4789)), 34), NONE),
	]


def test_driver_takes_what_was_checked(guest, testpmd):
	"""And nothing else: its stack finds the wrong ones."""
	mac = guest.check(f"cat /sys/class/net/{guests.NIC}/address")
	frames = checksummed_frames(bytes.fromhex(mac.replace(":", "")))
	event = f"{TRACING}/events/net/napi_gro_receive_entry"
	guest.check(f"mount -t tracefs tracefs {TRACING}")
	try:
		guest.check(f"echo 'protocol == 0x800' > {event}/filter && echo 1 > {event}/enable")
		before = udp_counts(guest)
		testpmd.namespace.send(TAP, [frame for frame, _ in frames])
		want = {len(frame) - 14: status for frame, status in frames}

		def seen():
			found = re.findall(r"ip_summed=(\d+) .* len=(\d+)",
				guest.check(f"cat {TRACING}/trace"))
			return {int(length): int(status) for status, length in found}
		wait_for(lambda: want.keys() <= seen().keys(), "frames in the guest")
		assert {length: seen()[length] for length in want} == want
		# Nobody listens: what is right is counted as that, what is wrong as wrong.
		wait_for(lambda: increase(before, udp_counts(guest), "NoPorts") == 4, "datagrams")
		assert increase(before, udp_counts(guest), "InCsumErrors") == 3
	finally:
		guest.check(f"echo 0 > {event}/enable; umount {TRACING}")


def udp_counts(guest):
	names, values = guest.check("grep ^Udp: /proc/net/snmp").splitlines()
	return dict(zip(names.split()[1:], map(int, values.split()[1:])))


def increase(before, after, name):
	return after[name] - before[name]
