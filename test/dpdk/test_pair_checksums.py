# SPDX-License-Identifier: BSD-3-Clause
"""What the stock net_iavf tells its application of checksums that nobody has checked.

The device writes "not checked" in its descriptors, in the flexible format, where that can be said.
Of net_iavf's receive functions the scalar ones read it. The vector ones do not look at that bit,
whatever the device: without error bits they call all checksums good, if they tell of checksums.
"""

import re
import socket

import pytest

from stock import wait_for
from test_pair_offloads import MACS, tcp_frame
from test_pair_traffic import path

ARP = MACS + b"\x08\x06" + bytes.fromhex("0001 0800 06 04 0001").ljust(46, b"\0")
GOOD = tcp_frame(bytes(range(100)))
WRONG_IP = GOOD[:24] + bytes([GOOD[24] ^ 1]) + GOOD[25:]
WRONG_TCP = GOOD[:-1] + bytes([GOOD[-1] ^ 1])
SHORT_IP = MACS + b"\x08\x00" + b"\x45".ljust(46, b"\xff")
FRAMES = [ARP, GOOD, WRONG_IP, WRONG_TCP, SHORT_IP] * 10


def start_consumer(pair, bits, wants_checksums):
	"""A consumer that prints what it receives, with flags."""
	consumer = pair.start_consumer(eal=path(bits))
	port = consumer.port()
	offloads = ("ipv4_cksum", "tcp_cksum") if wants_checksums else ()
	for line in ("port stop all", *(f"port config {port} rx_offload {one} on" for one in offloads),
			"port start all", "set fwd rxonly", "set verbose 1", "start"):
		consumer.command(line)
	consumer.await_link()
	return consumer


def seen(consumer):
	"""Length and flags of each of our frames that the consumer has printed."""
	found = re.findall(r"src=02:00:00:00:00:0B .*?length=(\d+) .*?ol_flags: ([^\n]*)",
		consumer.log(), re.DOTALL)
	return [(int(length), set(flags.split())) for length, flags in found]


def all_seen(consumer, frames):
	wait_for(lambda: len(seen(consumer)) >= len(frames), "frames at the consumer", 15)
	consumer.command("stop")
	assert [length for length, _ in seen(consumer)] == [len(frame) for frame in frames]
	return [flags for _, flags in seen(consumer)]


def test_the_flexible_format_is_used(pair):
	pair.start_provider()
	start_consumer(pair, 64, False)
	assert "request RXDID[22] in Queue[0]" in pair.consumer.log()


# 512: without Rx offloads net_iavf takes its AVX-512 function that tells nothing.
@pytest.mark.parametrize("bits, wants_checksums", [(64, False), (64, True), (512, False)])
def test_no_checksum_is_called_good_that_was_not_checked(pair, bits, wants_checksums):
	pair.start_provider(frames={0: FRAMES}, start=False)
	consumer = start_consumer(pair, bits, wants_checksums)
	pair.provider.command("start")
	for flags in all_seen(consumer, FRAMES):
		assert not [flag for flag in flags if "GOOD" in flag], flags


TAP = "emudevtap0"
IP_BAD, L4_BAD = "RTE_MBUF_F_RX_IP_CKSUM_BAD", "RTE_MBUF_F_RX_L4_CKSUM_BAD"


@pytest.mark.parametrize("bits", [64, 128, 256, 512])
def test_what_the_hosts_nic_finds_wrong_is_called_bad(pair, bits):
	"""The host's NIC is a net_tap, which checks in software."""
	pair.start_provider(start=False, eal=(f"--vdev=net_tap0,iface={TAP}",))
	provider, tap = pair.provider, pair.provider.port_named("tap")
	for line in ("port stop all", f"port config {tap} rx_offload ipv4_cksum on",
			f"port config {tap} rx_offload tcp_cksum on", "port start all",
			f"set portlist {provider.port()},{tap}", "start"):
		provider.command(line)
	consumer = start_consumer(pair, bits, True)
	with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
		wire.bind((TAP, 0))
		for frame in FRAMES:
			wire.send(frame)
	for frame, flags in zip(FRAMES, all_seen(consumer, FRAMES)):
		assert (IP_BAD in flags) == (frame == WRONG_IP), flags
		assert (L4_BAD in flags) >= (frame == WRONG_TCP), flags
