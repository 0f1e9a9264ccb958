# SPDX-License-Identifier: BSD-3-Clause
"""What the stock net_iavf offers its application is carried out, or counted under its own name."""

import random
import struct

import pytest

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


def is_right(frame):
	"""Whether the checksums of an IPv4 frame with TCP are."""
	ip, tcp = frame[14:34], frame[34:]
	length = struct.unpack(">H", ip[2:4])[0]
	return (length == len(frame) - 14 and checksum(ip) == 0
		and checksum(pseudo(6, len(tcp)) + tcp) == 0)


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


def test_tcp_is_segmented(pair):
	payloads = [random.Random(n).randbytes(1400) for n in range(50)]
	frames = [tcp_frame(payload, n, 1 + 1400 * n) for n, payload in enumerate(payloads)]
	start(pair, frames, "csum", "csum set ip hw {port}", "csum set tcp hw {port}",
		"tso set 300 {port}")
	got = arrived(pair, 5 * len(frames))
	assert len(got) == 5 * len(frames) and all(is_right(frame) for frame in got)
	stream = sorted((struct.unpack(">I", frame[38:42])[0], frame[54:]) for frame in got)
	assert b"".join(payload for _, payload in stream) == b"".join(payloads)
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
	stream = sorted((struct.unpack(">I", frame[38:42])[0], frame[54:]) for frame in got)
	assert b"".join(payload for _, payload in stream) == b"".join(payloads)
	assert pair.provider.port_stats()["ierrors"] == 0
