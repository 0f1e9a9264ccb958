# SPDX-License-Identifier: BSD-3-Clause
"""What the stock net_iavf offers its application is carried out, or counted under its own name."""

import random
import struct

import pytest

from frames import V4, V6, finish, ip6, sctp
from frames import udp as udp_of
from stock import wait_for


def checksum(data):
	"""RFC 1071, over bytes."""
	total = sum(byte << (0 if i % 2 else 8) for i, byte in enumerate(data))
	while total >> 16:
		total = (total & 0xffff) + (total >> 16)
	return ~total & 0xffff


MACS = bytes.fromhex("02000000000a 02000000000b")
SWAPPED = MACS[6:] + MACS[:6]
ADDRESSES = bytes.fromhex("0a000001 0a000002")


def ipv4(protocol, payload, number=1):
	head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), number, 0, 64, protocol, 0)
	head += ADDRESSES
	return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def pseudo(protocol, length):
	return ADDRESSES + struct.pack(">BBH", 0, protocol, length)


def tcp_frame(payload, number=1, sequence=1):
	head = struct.pack(">HHIIBBHHH", 1000, 2000, sequence, 0, 5 << 4, 0x10, 1024, 0, 0)
	value = checksum(pseudo(6, 20 + len(payload)) + head + payload)
	head = head[:16] + struct.pack(">H", value) + head[18:]
	return MACS + b"\x08\x00" + ipv4(6, head + payload, number)


def tcp_frame6(payload, _=1, sequence=1):
	return MACS + V6 + ip6(6, struct.pack(">HHIIBBHHH", 1000, 2000, sequence, 0, 5 << 4, 0x10, 1024,
		0, 0) + payload, 16)


def tcp_begins(frame):
	return 54 if frame[12:14] == V6 else 34


def is_right(frame):
	"""Whether the lengths and checksums of a frame with TCP are."""
	ip, tcp = frame[14:tcp_begins(frame)], frame[tcp_begins(frame):]
	length = struct.unpack(">H", ip[4:6] if len(ip) == 40 else ip[2:4])[0]
	if len(ip) == 40:
		return (length == len(tcp)
			and checksum(ip[8:] + struct.pack(">HH", 6, len(tcp)) + tcp) == 0)
	return (length == len(frame) - 14 and checksum(ip) == 0
		and checksum(pseudo(6, len(tcp)) + tcp) == 0)


def stream_of(frames):
	"""The payload of frames of TCP, in order."""
	parts = sorted((struct.unpack(">I", frame[tcp_begins(frame):][4:8])[0],
		frame[tcp_begins(frame) + 20:]) for frame in frames)
	return b"".join(payload for _, payload in parts)


def random_stream(seed, make, count=50):
	"""Frames of random lengths that make up a stream: they, their payloads, and a size to cut them
	to, 256 at least, as net_iavf wants it."""
	generator = random.Random(seed)
	payloads = [generator.randbytes(generator.randrange(1, 1400)) for _ in range(count)]
	begins = [1 + sum(map(len, payloads[:n])) for n in range(count)]
	frames = [make(payload, n, begin) for n, (payload, begin) in enumerate(zip(payloads, begins))]
	return frames, payloads, generator.randrange(256, 700)


def pieces(payloads, segment):
	return sum(-(-len(payload) // segment) for payload in payloads)


# By protocol: how to make it, where its checksum is and how long.
OTHERS = {"udp": (lambda payload: finished(*udp_of(payload)), 6, 2), "sctp": (sctp, 8, 4)}


def finished(protocol, segment, at):
	return protocol, finish(protocol, segment, at, ADDRESSES)


def others(protocol):
	"""Right frames, and the same with a wrong checksum. testpmd asks for that of SCTP only where the
	first byte of IP's length is a multiple of 4 (it means the second)."""
	make, at, size = OTHERS[protocol]
	generator = random.Random(protocol)
	right = [MACS + V4 + ipv4(*make(generator.randbytes(4 * generator.randrange(1, 50))), n)
		for n in range(50)]
	wrong = [frame[:34 + at] + b"\xbe\xef\xbe\xef"[:size] + frame[34 + at + size:] for frame in right]
	return right, wrong


def start(pair, frames, mode, *setup, **options):
	"""The consumer sends frames with what the setup asks for."""
	pair.start_provider()
	consumer = pair.start_consumer(frames={0: frames}, **options)
	port = consumer.port()
	for line in ("port stop all", *(line.format(port=port) for line in setup),
			"port start all", f"set fwd {mode}"):
		consumer.command(line)
	consumer.await_link()
	consumer.command("start")


def arrived(pair, count):
	wait_for(lambda: len(pair.provider.all_received()) >= count,
		f"arrival of {count} frames", 15)
	return pair.provider.all_received()


def xstat(end, name):
	return end.telemetry(f"/ethdev/xstats,{end.port()}")[name]


@pytest.mark.parametrize("bits", [64, 256, 512])
def test_vlan_tags_are_inserted(pair, make_frames, bits):
	frames = make_frames(400)
	start(pair, frames, "macswap", "tx_vlan set {port} 123",
		eal=(f"--force-max-simd-bitwidth={bits}",))
	expected = sorted(SWAPPED + b"\x81\x00\x00\x7b" + frame[12:] for frame in frames)
	assert arrived(pair, len(frames)) == expected
	assert pair.provider.port_stats()["ierrors"] == 0


@pytest.mark.parametrize("make, seed", [(tcp_frame, 1), (tcp_frame, 2), (tcp_frame6, 3),
	(tcp_frame6, 4)], ids=["v4-1", "v4-2", "v6-3", "v6-4"])
def test_tcp_is_segmented(pair, make, seed):
	"""A packet that fits into one segment is no request: testpmd sends it as it is."""
	frames, payloads, segment = random_stream(seed, make)
	start(pair, frames, "csum", "csum set ip hw {port}", "csum set tcp hw {port}",
		f"tso set {segment} {{port}}")
	got = arrived(pair, pieces(payloads, segment))
	assert len(got) == pieces(payloads, segment) and all(is_right(frame) for frame in got)
	assert max(len(frame) - tcp_begins(frame) - 20 for frame in got) == segment
	assert stream_of(got) == b"".join(payloads)
	assert pair.provider.port_stats()["ierrors"] == 0


@pytest.mark.parametrize("protocol", OTHERS)
def test_other_checksums_are_inserted(pair, protocol):
	right, wrong = others(protocol)
	start(pair, wrong, "csum", "csum set ip hw {port}", f"csum set {protocol} hw {{port}}")
	got = arrived(pair, len(right))
	assert sorted(frame[12:] for frame in got) == sorted(frame[12:] for frame in right)
	assert pair.provider.port_stats()["ierrors"] == 0


def udp(port, payload):
	return struct.pack(">HHHH", 5000, port, 8 + len(payload), 0) + payload


# What a tunnel has between the outer and the inner header of IP.
VXLAN = b"\x08\x00\x00\x00\x00\x00\x2a\x00"
GENEVE = b"\x02\x00\x65\x58\x00\x00\x2a\x00" + b"\x01\x02\x00\x01optn"
INNER = SWAPPED + b"\x08\x00"
TUNNELS = {
	"vxlan": (17, lambda packet: udp(4789, VXLAN + INNER + packet), 8 + len(VXLAN + INNER)),
	"geneve": (17, lambda packet: udp(6081, GENEVE + INNER + packet), 8 + len(GENEVE + INNER)),
	"gre": (47, lambda packet: b"\x00\x00\x08\x00" + packet, 4),
	"ipip": (4, lambda packet: packet, 0),
}


def in_tunnel(tunnel, frame):
	"""With wrong checksums that are to be inserted."""
	protocol, wrap, _ = TUNNELS[tunnel]
	outer = ipv4(protocol, wrap(spoiled(frame)[14:]))
	return MACS + b"\x08\x00" + outer[:10] + b"\x12\x34" + outer[12:]


def spoiled(frame):
	return frame[:24] + b"\xbe\xef" + frame[26:50] + b"\xbe\xef" + frame[52:]


def out_of_tunnel(tunnel, frame):
	"""The inner frame; the outer headers have to be right."""
	protocol, _, length = TUNNELS[tunnel]
	ip = frame[14:34]
	assert ip[9] == protocol and checksum(ip) == 0
	assert struct.unpack(">H", ip[2:4])[0] == len(frame) - 14
	if protocol == 17:
		assert struct.unpack(">H", frame[38:40])[0] == len(frame) - 34
		value = struct.unpack(">H", frame[40:42])[0]
		assert value == 0 or checksum(pseudo(17, len(frame) - 34) + frame[34:]) == 0
	return MACS + b"\x08\x00" + frame[34 + length:]


CSUM = ("csum set ip hw {port}", "csum set tcp hw {port}", "csum set outer-ip hw {port}",
	"csum parse-tunnel on {port}")


@pytest.mark.parametrize("tunnel", TUNNELS)
def test_checksums_in_tunnels_are_inserted(pair, tunnel):
	frames = [tcp_frame(bytes([n] * 200), n) for n in range(50)]
	start(pair, [in_tunnel(tunnel, frame) for frame in frames], "csum", *CSUM)
	got = arrived(pair, len(frames))
	assert sorted(out_of_tunnel(tunnel, frame) for frame in got) == frames
	assert pair.provider.port_stats()["ierrors"] == 0


def test_the_checksum_of_an_outer_udp_header_is_inserted(pair):
	frames = [tcp_frame(bytes([n] * 200), n) for n in range(50)]
	tunnelled = [in_tunnel("vxlan", frame) for frame in frames]
	# testpmd leaves a checksum of zero alone.
	start(pair, [frame[:40] + b"\x00\x01" + frame[42:] for frame in tunnelled], "csum", *CSUM,
		"csum set outer-udp hw {port}")
	got = arrived(pair, len(frames))
	assert sorted(out_of_tunnel("vxlan", frame) for frame in got) == frames
	assert all(frame[40:42] != b"\x00\x00" for frame in got)


@pytest.mark.parametrize("tunnel", TUNNELS)
def test_tcp_in_tunnels_is_segmented(pair, tunnel):
	payloads = [random.Random(n).randbytes(1300) for n in range(40)]
	frames = [tcp_frame(payload, n, 1 + 1300 * n) for n, payload in enumerate(payloads)]
	start(pair, [in_tunnel(tunnel, frame) for frame in frames], "csum", *CSUM,
		"tunnel_tso set 300 {port}")
	got = [out_of_tunnel(tunnel, frame) for frame in arrived(pair, 5 * len(frames))]
	assert len(got) == 5 * len(frames) and all(is_right(frame) for frame in got)
	assert stream_of(got) == b"".join(payloads)
	assert pair.provider.port_stats()["ierrors"] == 0
