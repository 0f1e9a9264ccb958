# SPDX-License-Identifier: BSD-3-Clause
"""Frames, with checksums of the tests' own computation."""

import struct

MACS = bytes.fromhex("02000000000a 02000000000b")
V4, V6 = b"\x08\x00", b"\x86\xdd"


def checksum(data):
	"""RFC 1071, over bytes."""
	total = sum(byte << (0 if i % 2 else 8) for i, byte in enumerate(data))
	while total >> 16:
		total = (total & 0xffff) + (total >> 16)
	return ~total & 0xffff


def finish(protocol, segment, at, addresses):
	"""A segment with its checksum, at this offset, over it and the pseudo header."""
	value = checksum(addresses + struct.pack(">HH", protocol, len(segment)) + segment)
	return segment[:at] + struct.pack(">H", value or 0xffff) + segment[at + 2:]


def tcp(payload):
	return 6, struct.pack(">HHIIBBHHH", 1000, 2000, 1, 0, 5 << 4, 0x10, 1024, 0, 0) + payload, 16


def udp(payload, port=2000):
	return 17, struct.pack(">HHHH", 1000, port, 8 + len(payload), 0) + payload, 6


def crc32c(data):
	"""RFC 9260, appendix A, bit by bit."""
	crc = 0xffffffff
	for byte in data:
		crc ^= byte
		for _ in range(8):
			crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
	return crc ^ 0xffffffff


def sctp(payload):
	"""A DATA chunk; its length should be a multiple of 4. The checksum is in it."""
	chunk = struct.pack(">BBHIHHI", 0, 3, 16 + len(payload), 1, 1, 1, 0) + payload
	head = struct.pack(">HHI", 1000, 2000, 7)
	return 132, head + struct.pack("<I", crc32c(head + bytes(4) + chunk)) + chunk


def ip4(protocol, segment, at=None, fragment=0, addresses=bytes.fromhex("0a000001 0a000002")):
	if at is not None:
		segment = finish(protocol, segment, at, addresses)
	head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(segment), 1, fragment, 64, protocol, 0)
	head += addresses
	return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + segment


def ip6(protocol, segment, at=None):
	addresses = bytes(range(32))
	if at is not None:
		segment = finish(protocol, segment, at, addresses)
	return struct.pack(">IHBB", 6 << 28, len(segment), protocol, 64) + addresses + segment


def changed(frame, at):
	at %= len(frame)
	return frame[:at] + bytes([frame[at] ^ 1]) + frame[at + 1:]


def toeplitz(key, data):
	"""The hash of these bytes, by its definition."""
	bits = int.from_bytes(key, "big")
	width = len(key) * 8
	out = 0
	for at in range(len(data) * 8):
		if data[at // 8] >> (7 - at % 8) & 1:
			out ^= bits >> (width - 32 - at) & 0xffffffff
	return out
