# SPDX-License-Identifier: BSD-3-Clause
"""What the guest leaves to the device, at a provider that takes it as it is."""

import random
import re
import socket
import struct

import pytest

from stock import wait_for
from test_pair_offloads import is_right, tcp_frame

PAYLOADS = [random.Random(n).randbytes(1400) for n in range(40)]
FRAMES = [tcp_frame(payload, n, 1 + 1400 * n) for n, payload in enumerate(PAYLOADS)]
SEGMENT = 300
NIC_OFFLOADS = "tcp_lro", "ipv4_cksum", "tcp_cksum", "udp_cksum", "scatter"
TAP = "emudevtap1"
PEER = bytes.fromhex("020000000000")  # Where testpmd's csum mode sends frames to.


def start_consumer(pair, *setup):
	"""It leaves checksums, and what the setup says, to its NIC."""
	consumer = pair.start_consumer(frames={0: FRAMES})
	port = consumer.port()
	for line in ("port stop all", f"csum set ip hw {port}", f"csum set tcp hw {port}",
			*(line.format(port=port) for line in setup), "port start all", "set fwd csum"):
		consumer.command(line)
	consumer.await_link()
	consumer.command("start")


def set_up(end, port, what, names):
	for name in names:
		end.command(f"port config {port} {what}_offload {name} on")


def start_provider(pair, offloads, mode="io"):
	"""It prints what it receives."""
	provider = pair.start_provider(start=False)
	provider.command("port stop all")
	set_up(provider, provider.port(), "rx", offloads)
	for line in ("port start all", f"set fwd {mode}", "set verbose 1", "start"):
		provider.command(line)


def seen(provider):
	"""Length and flags of each mbuf that the provider has printed as received."""
	found = re.findall(r"dst=02:00:00:00:00:00 .*?length=(\d+) .*?ol_flags: ([^\n]*)",
		provider.log(), re.DOTALL)
	return [(int(length), {flag.removeprefix("RTE_MBUF_F_") for flag in flags.split()})
		for length, flags in found]


def all_seen(provider, count):
	wait_for(lambda: len(seen(provider)) >= count, f"{count} mbufs", 15)
	return seen(provider)


def test_requests_are_one_mbuf(pair):
	start_provider(pair, NIC_OFFLOADS, "rxonly")
	start_consumer(pair, f"tso set {SEGMENT} {{port}}")
	for length, flags in all_seen(pair.provider, len(FRAMES)):
		assert length == len(FRAMES[0])
		assert {"RX_LRO", "RX_L4_CKSUM_NONE", "RX_IP_CKSUM_GOOD"} <= flags
	assert pair.provider.port_stats()["ierrors"] == 0


@pytest.mark.parametrize("offloads, expected", [
	(NIC_OFFLOADS, {"RX_L4_CKSUM_NONE", "RX_IP_CKSUM_GOOD"}),
	(NIC_OFFLOADS[1:], {"RX_L4_CKSUM_GOOD", "RX_IP_CKSUM_GOOD"}),
	((), {"RX_L4_CKSUM_UNKNOWN", "RX_IP_CKSUM_UNKNOWN"})])
def test_checksums_are_told_of(pair, offloads, expected):
	start_provider(pair, offloads, "rxonly")
	start_consumer(pair)
	for length, flags in all_seen(pair.provider, len(FRAMES)):
		assert length == len(FRAMES[0]) and expected <= flags
		assert "RX_LRO" not in flags


@pytest.mark.parametrize("setup, parts", [((f"tso set {SEGMENT} {{port}}",), 5), ((), 1)],
	ids=["segments", "checksums"])
def test_another_port_sends_what_is_handed_over(pair, setup, parts):
	"""A net_tap port, with nothing in between (io)."""
	provider = pair.start_provider(start=False, eal=(f"--vdev=net_tap0,iface={TAP}",))
	port, tap = provider.port(), provider.port_named("tap")
	provider.command("port stop all")
	set_up(provider, port, "rx", NIC_OFFLOADS)
	set_up(provider, tap, "tx", ("ipv4_cksum", "tcp_cksum", "tcp_tso", "multi_segs"))
	provider.command("port start all")
	got = []
	with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as wire:
		wire.bind((TAP, 0))
		wire.settimeout(0.2)
		for line in (f"set portlist {port},{tap}", "set fwd io", "start"):
			provider.command(line)
		start_consumer(pair, *setup)

		def all_came():
			try:
				frame = wire.recv(65536)
			except TimeoutError:
				return False
			got.extend([frame] if frame[:6] == PEER else [])
			return len(got) >= parts * len(FRAMES)
		wait_for(all_came, "frames at the tap", 15, interval=0)
	assert len(got) == parts * len(FRAMES) and all(is_right(frame) for frame in got)
	stream = sorted((struct.unpack(">I", frame[38:42])[0], frame[54:]) for frame in got)
	assert b"".join(payload for _, payload in stream) == b"".join(PAYLOADS)
