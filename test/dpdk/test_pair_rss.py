# SPDX-License-Identifier: BSD-3-Clause
"""A host with one Tx queue, whose packets are spread over the queues of stock net_iavf by the key, the
table and the rules that testpmd's own commands set up there. What testpmd prints of each packet is
compared with what is computed here by the definition of the hash."""

import random
import re
import struct

import pytest

from frames import toeplitz
from pair import Endpoint
from stock import wait_for

QUEUES = 4
LUT = 64
TCP, UDP, SCTP = 6, 17, 132
KEY = bytes(range(7, 7 + 52))
OTHER_KEY = bytes.fromhex("6d5a") * 26
PACKET = re.compile(r"port (\d+)/queue (\d+): received|src=([0-9A-F:]{17}) - dst=[^\n]*?type=0x"
	r"([0-9a-f]{4}) - length=\d+ - nb_segs=1( - RSS hash=0x([0-9a-f]+))?")


class Flow:
	"""A packet whose source address in Ethernet is its number."""

	def __init__(self, number, generator, protocol=UDP):
		self.mac = f"02:00:00:00:{number >> 8:02X}:{number & 0xff:02X}"
		self.is_ipv6 = number % 3 == 0
		self.protocol = protocol
		size = 16 if self.is_ipv6 else 4
		self.source, self.destination = generator.randbytes(size), generator.randbytes(size)
		self.ports = generator.randbytes(4)
		self.number = number

	def addresses(self):
		return self.source + self.destination

	def all(self):
		return self.addresses() + self.ports

	def frame(self):
		rest = {UDP: struct.pack(">HH", 40, 0), TCP: bytes(8) + b"\x50" + bytes(7),
			SCTP: bytes(8)}[self.protocol]
		segment = (self.ports + rest).ljust(40, b"\0")
		if self.is_ipv6:
			ip = struct.pack(">IHBB", 6 << 28, 40, self.protocol, 64) + self.addresses()
		else:
			ip = struct.pack(">BBHHHBBH", 0x45, 0, 60, 0, 0, 64, self.protocol, 0) + self.addresses()
		return (bytes.fromhex("02000000ffff") + bytes.fromhex(self.mac.replace(":", ""))
			+ bytes.fromhex("86dd" if self.is_ipv6 else "0800") + ip + segment)


def flows(count=120, protocol=UDP):
	generator = random.Random(3)
	return [Flow(number, generator, protocol) for number in range(count)]


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


RULES = {  # Of UDP over IPv4.
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


# What a rule is for, by the name of its type of packets: protocol, IPv6, and what is hashed of it.
KINDS = {
	f"ipv{version}-{name}": (protocol, version == 6, Flow.all)
	for version in (4, 6) for name, protocol in (("tcp", TCP), ("udp", UDP), ("sctp", SCTP))
} | {f"ipv{version}": (UDP, version == 6, Flow.addresses) for version in (4, 6)}


@pytest.mark.parametrize("kind", KINDS)
def test_rule_for_each_kind_of_packets(pair, kind):
	"""Packets of that kind have a hash and are spread by it, all others come as they are."""
	protocol, is_ipv6, data = KINDS[kind]
	packets = flows(protocol=protocol)
	pattern = "eth / " + kind.replace("-", " / ") + " / end"
	found = start(pair, [flow.frame() for flow in packets], [
		f"port config {{port}} rss-hash-key ipv4-udp {KEY.hex()}", "port config all rss none",
		f"flow create {{port}} ingress pattern {pattern} actions rss types {kind} end "
		"queues end / end"])
	assert "Flow rule #0 created" in pair.consumer.log()
	assert hashes(found, [flow for flow in packets if flow.is_ipv6 == is_ipv6], KEY, data)
	assert {found[flow.mac] for flow in packets if flow.is_ipv6 != is_ipv6} == {(0, None)}


def test_rule_is_taken_back(pair):
	"""Then packets of its kind have no hash; others go on."""
	packets = flows()
	found = start(pair, [flow.frame() for flow in packets], [*set_key(KEY),
		"flow create {port} ingress pattern eth / ipv4 / udp / end actions rss "
		f"{RULES['source'][0]} queues end / end", "flow destroy {port} rule 0"])
	assert "Flow rule #0 destroyed" in pair.consumer.log()
	assert {found[flow.mac] for flow in packets if not flow.is_ipv6} == {(0, None)}
	assert hashes(found, [flow for flow in packets if flow.is_ipv6], KEY)


@pytest.mark.parametrize("argument, queues", [("", QUEUES), (",steering=rss", QUEUES),
	(",steering=queue", 1)])
def test_who_chooses(pair, argument, queues):
	"""A host with as many queues does itself, others leave it to the guest, unless told otherwise."""
	packets = flows()
	found = start(pair, [flow.frame() for flow in packets], set_key(KEY), argument, queues)
	if argument == ",steering=rss":
		assert hashes(found, packets, KEY)
	else:
		assert set(found.values()) == {(0, None)}


def test_without_rss(pair):
	"""A guest that wants no hash gets none, and has all from one queue."""
	found = start(pair, [flow.frame() for flow in flows()], options=("--disable-rss",))
	assert set(found.values()) == {(0, None)}
