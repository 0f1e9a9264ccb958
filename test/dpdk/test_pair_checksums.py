# SPDX-License-Identifier: BSD-3-Clause
"""What the stock net_iavf tells its application of frames: types, and checksums.

The device checks what nobody has checked. Where a frame has no checksum behind its IP header it
claims nothing, in the flexible format, where that can be said. Of net_iavf's receive functions the
scalar ones read it. The vector ones do not look at that bit, whatever the device: without error bits
they call all checksums good, if they tell of checksums.
"""

import re
import socket
from dataclasses import dataclass

import pytest

from frames import MACS, V4, V6, changed, ip4, ip6, sctp, tcp, udp
from stock import wait_for
from test_pair_traffic import path

IP_BAD, L4_BAD = "RTE_MBUF_F_RX_IP_CKSUM_BAD", "RTE_MBUF_F_RX_L4_CKSUM_BAD"
IP_GOOD, L4_GOOD = "RTE_MBUF_F_RX_IP_CKSUM_GOOD", "RTE_MBUF_F_RX_L4_CKSUM_GOOD"
OUTER_IP_BAD, OUTER_L4_BAD = (f"RTE_MBUF_F_RX_OUTER_{of}_CKSUM_BAD" for of in ("IP", "L4"))


@dataclass
class Sample:
	"""A frame, how testpmd calls its type, and what must be said of it."""

	frame: bytes
	ptype: str
	wrong: tuple = ()  # Flags that must be set.
	good: tuple = ()  # And these, if the driver tells of checksums.


PAYLOAD = bytes(range(100))
TCP4, UDP6 = MACS + V4 + ip4(*tcp(PAYLOAD)), MACS + V6 + ip6(*udp(bytes(range(250)) * 5))
TCP_TYPE = "L2_ETHER L3_IPV4_EXT_UNKNOWN L4_TCP"
UDP6_TYPE = "L2_ETHER L3_IPV6_EXT_UNKNOWN L4_UDP"
VXLAN = MACS + V4 + ip4(*udp(bytes.fromhex("0800000000002a00") + TCP4, 4789))
VXLAN_TYPE = ("L2_ETHER L3_IPV4_EXT_UNKNOWN TUNNEL_GRENAT INNER_L2_ETHER "
	"INNER_L3_IPV4_EXT_UNKNOWN INNER_L4_TCP")
ALL_GOOD = (IP_GOOD, L4_GOOD)
SCTP = MACS + V4 + ip4(*sctp(PAYLOAD))
SCTP_TYPE = "L2_ETHER L3_IPV4_EXT_UNKNOWN L4_SCTP"
GRE = MACS + V4 + ip4(47, b"\0\0\x08\0" + TCP4[14:])
GRE_TYPE, IPIP_TYPE = (f"L2_ETHER L3_IPV4_EXT_UNKNOWN TUNNEL_{tunnel} INNER_L3_IPV4_EXT_UNKNOWN "
	"INNER_L4_TCP" for tunnel in ("GRENAT", "IP"))
IPIP = MACS + V4 + ip4(4, TCP4[14:])
GENEVE = MACS + V4 + ip4(*udp(bytes.fromhex("0000655800002a00") + TCP4, 6081))

SAMPLES = [
	Sample(MACS + b"\x08\x06" + bytes.fromhex("0001 0800 06 04 0001").ljust(46, b"\0"),
		"L2_ETHER_ARP"),
	Sample(TCP4, TCP_TYPE, good=ALL_GOOD),
	Sample(changed(TCP4, 24), TCP_TYPE, wrong=(IP_BAD,), good=(L4_GOOD,)),
	Sample(changed(TCP4, -1), TCP_TYPE, wrong=(L4_BAD,), good=(IP_GOOD,)),
	Sample(MACS + b"\x81\0\0\x05" + TCP4[12:], TCP_TYPE, good=ALL_GOOD),
	Sample(UDP6, UDP6_TYPE, good=ALL_GOOD),
	Sample(changed(UDP6, 700), UDP6_TYPE, wrong=(L4_BAD,)),
	Sample(MACS + V4 + ip4(17, PAYLOAD, fragment=9), "L2_ETHER L3_IPV4_EXT_UNKNOWN L4_FRAG"),
	Sample(VXLAN, VXLAN_TYPE, good=ALL_GOOD),
	Sample(changed(VXLAN, 22), VXLAN_TYPE, wrong=(OUTER_IP_BAD,), good=ALL_GOOD),
	Sample(changed(VXLAN, 34), VXLAN_TYPE, wrong=(OUTER_L4_BAD,), good=ALL_GOOD),
	Sample(changed(VXLAN, -1), VXLAN_TYPE, wrong=(L4_BAD, OUTER_L4_BAD), good=(IP_GOOD,)),
	Sample(SCTP, SCTP_TYPE, good=ALL_GOOD),
	Sample(changed(SCTP, -1), SCTP_TYPE, wrong=(L4_BAD,), good=(IP_GOOD,)),
	Sample(MACS + V4 + ip4(1, b"\x08\0" + PAYLOAD), "L2_ETHER L3_IPV4_EXT_UNKNOWN L4_ICMP"),
	# Without a checksum.
	Sample(MACS + V4 + ip4(*udp(PAYLOAD)[:2]), "L2_ETHER L3_IPV4_EXT_UNKNOWN L4_UDP"),
	Sample(GRE, GRE_TYPE, good=ALL_GOOD),
	Sample(changed(GRE, -1), GRE_TYPE, wrong=(L4_BAD,), good=(IP_GOOD,)),
	Sample(IPIP, IPIP_TYPE, good=ALL_GOOD),
	Sample(changed(IPIP, -1), IPIP_TYPE, wrong=(L4_BAD,), good=(IP_GOOD,)),
	Sample(GENEVE, VXLAN_TYPE, good=ALL_GOOD),
	Sample(MACS + b"\x88\xa8\0\x07\x81\0\0\x05" + TCP4[12:], TCP_TYPE, good=ALL_GOOD),
	# It says that it is longer than it is.
	Sample(MACS + V4 + b"\x45".ljust(46, b"\xff"), "L2_ETHER", wrong=(IP_BAD, L4_BAD)),
]
# Vector functions take several at a time.
SAMPLES = SAMPLES * 4
FRAMES = [sample.frame for sample in SAMPLES]


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
	"""Length, type and flags of each of our frames that the consumer has printed."""
	found = re.findall(r"src=02:00:00:00:00:0B .*?length=(\d+) .*?hw ptype: (.*?)  ?- sw ptype"
		r".*?ol_flags: ([^\n]*)", consumer.log(), re.DOTALL)
	return [(int(length), ptype, set(flags.split())) for length, ptype, flags in found]


def all_seen(consumer, frames):
	wait_for(lambda: len(seen(consumer)) >= len(frames), "frames at the consumer", 15)
	consumer.command("stop")
	assert [length for length, _, _ in seen(consumer)] == [len(frame) for frame in frames]
	return [(ptype, flags) for _, ptype, flags in seen(consumer)]


def test_the_flexible_format_is_used(pair):
	pair.start_provider()
	start_consumer(pair, 64, False)
	assert "request RXDID[22] in Queue[0]" in pair.consumer.log()


# 512: without Rx offloads net_iavf takes its AVX-512 function that tells nothing.
@pytest.mark.parametrize("bits, wants_checksums", [(64, False), (64, True), (128, True), (256, True),
	(512, True), (512, False)])
def test_what_is_said_of_a_frame_is_true(pair, bits, wants_checksums):
	pair.start_provider(frames={0: FRAMES}, start=False)
	consumer = start_consumer(pair, bits, wants_checksums)
	pair.provider.command("start")
	told = all_seen(consumer, FRAMES)
	tells = (bits, wants_checksums) != (512, False)
	for sample, (ptype, flags) in zip(SAMPLES, told):
		bad = {flag for flag in flags if flag.endswith("CKSUM_BAD")}
		good = {flag for flag in flags if flag.endswith("CKSUM_GOOD")}
		assert ptype == sample.ptype
		assert bad == (set(sample.wrong) if tells else set()), flags
		if tells:
			assert good >= set(sample.good), flags
		if not tells or (bits == 64 and not sample.wrong and not sample.good):
			assert not good, flags


TAP = "emudevtap0"


@pytest.mark.parametrize("bits", [64, 256])
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
	for sample, (_, flags) in zip(SAMPLES, all_seen(consumer, FRAMES)):
		# net_tap knows no tunnels: what it vouches for is the outer header.
		for flag in (IP_BAD, L4_BAD) if sample.ptype != VXLAN_TYPE else ():
			assert (flag in flags) >= (flag in sample.wrong), flags
			assert sample.good != ALL_GOOD or flag not in flags
