# SPDX-License-Identifier: BSD-3-Clause
"""A host with one Tx queue, whose packets are spread over the queues of stock net_iavf by the key, the
table and the rules that testpmd's own commands set up there. What testpmd prints of each packet is
compared with what is computed here by the definition of the hash."""

import random
import re
import struct

import pytest

from pair import Endpoint
from stock import wait_for

QUEUES = 4
LUT = 64
KEY = bytes(range(7, 7 + 52))
OTHER_KEY = bytes.fromhex("6d5a") * 26
PACKET = re.compile(r"port (\d+)/queue (\d+): received|src=([0-9A-F:]{17}) - dst=[^\n]*?type=0x"
	r"([0-9a-f]{4}) - length=\d+ - nb_segs=1( - RSS hash=0x([0-9a-f]+))?")


def toeplitz(key, data):
	bits = int.from_bytes(key, "big")
	width = len(key) * 8
	out = 0
	for at in range(len(data) * 8):
		if data[at // 8] >> (7 - at % 8) & 1:
			out ^= bits >> (width - 32 - at) & 0xffffffff
	return out


class Flow:
	"""A packet whose source address in Ethernet is its number."""

	def __init__(self, number, generator):
		self.mac = f"02:00:00:00:00:{number:02X}"
		self.is_ipv6 = number % 3 == 0
		size = 16 if self.is_ipv6 else 4
		self.source, self.destination = generator.randbytes(size), generator.randbytes(size)
		self.ports = generator.randbytes(4)
		self.number = number

	def addresses(self):
		return self.source + self.destination

	def all(self):
		return self.addresses() + self.ports

	def frame(self):
		udp = self.ports + struct.pack(">HH", 40, 0) + bytes(32)
		if self.is_ipv6:
			ip = struct.pack(">IHBB", 6 << 28, 40, 17, 64) + self.addresses()
		else:
			ip = struct.pack(">BBHHHBBH", 0x45, 0, 60, 0, 0, 64, 17, 0) + self.addresses()
		return (bytes.fromhex("02000000ffff") + bytes.fromhex(self.mac.replace(":", ""))
			+ bytes.fromhex("86dd" if self.is_ipv6 else "0800") + ip + udp)


def flows():
	generator = random.Random(3)
	return [Flow(number, generator) for number in range(120)]


def arp(number):
	return (bytes.fromhex(f"ffffffffffff 0200000001{number:02x} 0806") + bytes(46))


def seen(end):
	"""By source: queue and hash of each packet that testpmd has printed."""
	out, queue = {}, None
	port = str(end.port())
	for on, at, source, _, _, value in PACKET.findall(end.log()):
		if on:
			queue = int(at) if on == port else None
		elif queue is not None:
			out[source] = (queue, int(value, 16) if value else None)
	return out


def start(pair, frames, commands=(), devargs="", tx_queues=1, options=("--rss-udp",), eal=()):
	pair.provider = pair.add_(Endpoint(pair.folder, "provider",
		f"emu_iavf0,path={pair.socket},queues={QUEUES}{devargs}", QUEUES,
		options=(f"--txq={tx_queues}",), frames={0: frames}, start=False))
	consumer = pair.start_consumer(QUEUES, options=options, eal=eal)
	port = consumer.port()
	for line in ("set fwd rxonly", "set verbose 1", *commands):
		consumer.command(line.format(port=port))
	consumer.await_link()
	consumer.command("start")
	pair.provider.command("start")
	wait_for(lambda: len(seen(consumer)) >= len(frames), f"{len(frames)} packets", 15)
	return seen(consumer)


def set_key(key):
	"""The command for keys switches all other types off."""
	return (f"port config {{port}} rss-hash-key ipv4-udp {key.hex()}",
		"port config all rss udp")


def hashes(found, packets, key, data=Flow.all, lut=lambda entry: entry % QUEUES):
	"""Whether all packets came to the queue of their hash, with it."""
	for flow in packets:
		value = toeplitz(key, data(flow))
		assert found[flow.mac] == (lut(value % LUT), value), flow.number
	return True


@pytest.mark.parametrize("bits", [64, 256, 512])
def test_packets_are_spread(pair, bits):
	packets = flows()
	found = start(pair, [flow.frame() for flow in packets] + [arp(n) for n in range(3)],
		set_key(KEY), eal=(f"--force-max-simd-bitwidth={bits}",))
	assert hashes(found, packets, KEY)
	assert {queue for queue, _ in found.values()} == set(range(QUEUES))
	assert all(found[f"02:00:00:00:01:{n:02X}"] == (0, None) for n in range(3))
	# No packet is lost, whatever queue it is for.
	stats = pair.consumer.port_stats()
	assert stats["ipackets"] == len(packets) + 3 and stats["imissed"] == 0


def test_table_and_key_change(pair):
	packets = flows()
	table = [f"({entry},{3 - entry % 2})" for entry in range(LUT)]
	# testpmd takes no longer words.
	found = start(pair, [flow.frame() for flow in packets], [*set_key(OTHER_KEY),
		*(f"port config {{port}} rss reta {','.join(table[at:at + 16])}"
			for at in range(0, LUT, 16)),
		"show port {port} rss-hash key"])
	assert hashes(found, packets, OTHER_KEY, lut=lambda entry: 3 - entry % 2)
	assert OTHER_KEY.hex().upper() in pair.consumer.log()


RULES = {
	"source": ("types ipv4-udp l3-src-only end", lambda flow: flow.source),
	"destination_port": ("types ipv4-udp l4-dst-only end", lambda flow: flow.ports[2:]),
	"symmetric": ("func symmetric_toeplitz types ipv4-udp end", lambda flow: both_ways(flow)),
}


def both_ways(flow):
	mix = lambda a, b: bytes(x ^ y for x, y in zip(a, b))
	return (mix(flow.source, flow.destination) * 2
		+ mix(flow.ports[:2], flow.ports[2:]) * 2)


@pytest.mark.parametrize("action, data", RULES.values(), ids=RULES)
def test_rule_says_what_is_hashed(pair, action, data):
	packets = flows()
	found = start(pair, [flow.frame() for flow in packets], [*set_key(KEY),
		"flow create {port} ingress pattern eth / ipv4 / udp / end actions rss "
		f"{action} queues end / end"])
	assert "Flow rule #0 created" in pair.consumer.log()
	assert hashes(found, [flow for flow in packets if not flow.is_ipv6], KEY, data)
	assert hashes(found, [flow for flow in packets if flow.is_ipv6], KEY)


@pytest.mark.parametrize("argument", ["", ",steering=rss"])
def test_host_with_as_many_queues(pair, argument):
	"""Such a host chooses itself unless it is told not to."""
	packets = flows()
	found = start(pair, [flow.frame() for flow in packets], set_key(KEY), argument,
		QUEUES)
	if argument:
		assert hashes(found, packets, KEY)
	else:
		assert set(found.values()) == {(0, None)}


def test_without_rss(pair):
	"""A guest that wants no hash gets none, and has all from one queue."""
	found = start(pair, [flow.frame() for flow in flows()], options=("--disable-rss",))
	assert set(found.values()) == {(0, None)}
