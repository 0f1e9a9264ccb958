# SPDX-License-Identifier: BSD-3-Clause
"""The host's end of a tunnel, or of none, in Python: usage: tunnel_end.py TAP KIND. Runs in the host's
namespace.

Takes a guest's frames from the tap and, if all their lengths and checksums are right, gives the inner
packets to a TUN interface, whose packets it sends to the guest. Counts what is wrong with a frame;
prints the counts when its standard input ends. What kernels have is not needed, and each frame is
judged by a computation of its own.
"""

import collections
import errno
import fcntl
import json
import os
import select
import socket
import struct
import sys

TUN = "tun0"
# The other end of the guest's tunnel has addresses that the host's kernel does not have.
PEER_MAC = bytes.fromhex("020000000009")
INNER_MAC = bytes.fromhex("02000000000a")
UDP, GRE = 17, 47
VLAN = 7
TYPES = {4: b"\x08\x00", 6: b"\x86\xdd"}


def checksum(data):
	if len(data) % 2:
		data += b"\0"
	total = sum(struct.unpack(f">{len(data) // 2}H", data))
	while total >> 16:
		total = (total & 0xffff) + (total >> 16)
	return ~total & 0xffff


class Wrong(Exception):
	"""A frame that is not as it should be."""


def expect(condition, what):
	if not condition:
		raise Wrong(what)


class Packet:
	"""A packet of IP whose header is right."""

	def __init__(self, data, where):
		self.whole = data
		self.version = data[0] >> 4
		if self.version == 4:
			self.header, self.protocol = (data[0] & 15) * 4, data[9]
			length = struct.unpack(">H", data[2:4])[0]
			expect(checksum(data[:self.header]) == 0, f"checksum of the {where} IP header")
			addresses = data[12:20]
		else:
			self.header, self.protocol = 40, data[6]
			length = struct.unpack(">H", data[4:6])[0] + 40
			addresses = data[8:40]
		expect(length == len(data), f"length of the {where} packet")
		self.payload = data[self.header:]
		self.pseudo = addresses + struct.pack(">II", len(self.payload), self.protocol)

	def check(self, where):
		"""The checksum of TCP or UDP."""
		at = {6: 16, 17: 6}.get(self.protocol)
		if at is None or (self.protocol == UDP and self.payload[6:8] == b"\0\0"):
			return False
		expect(checksum(self.pseudo + self.payload) == 0, f"{where} checksum")
		return True


class Tunnel:
	"""One kind of tunnel."""

	def __init__(self, kind):
		self.kind = kind.split("-")[0]
		self.version = 6 if kind.endswith("-v6") else 4
		self.summed = "csum" in kind
		self.tag = VLAN if "vlan" in kind.split("-") else None
		self.link = b""  # Of the guest, to the guest.

	def open(self, packet):
		"""The inner packet."""
		if self.kind in ("vxlan", "geneve"):
			expect(packet.protocol == UDP, "protocol")
			expect(struct.unpack(">H", packet.payload[4:6])[0] == len(packet.payload),
				"length of the outer UDP header")
			expect(packet.check("outer") or not self.summed, "outer checksum")
			self.head = packet.payload[2:4] + packet.payload[2:4]
			inner = packet.payload[16 + (packet.payload[8] & 63) * 4 * (self.kind == "geneve"):]
			self.link = inner[6:12] + INNER_MAC
			return inner[14:]
		if self.kind == "none":
			return packet.whole
		expect(packet.protocol == GRE, "protocol")
		expect((packet.payload[0] & 0x80 != 0) == self.summed, "form of GRE")
		if self.summed:
			expect(checksum(packet.payload) == 0, "checksum of GRE")
		return packet.payload[8 if self.summed else 4:]

	def wrap(self, packet):
		"""Protocol and payload of the outer packet, for an inner packet."""
		kind = TYPES[packet[0] >> 4]
		if self.kind == "vxlan":
			data = b"\x08" + bytes(5) + b"\x2a\x00" + self.link + kind + packet
		elif self.kind == "geneve":
			data = b"\x00\x00\x65\x58" + b"\x00\x00\x2a\x00" + self.link + kind + packet
		else:
			head = b"\x80\x00" + kind + bytes(4) if self.summed else b"\0\0" + kind
			if self.summed:
				value = struct.pack(">H", checksum(head + packet))
				head = head[:4] + value + head[6:]
			return GRE, head + packet
		return UDP, self.head + struct.pack(">HH", 8 + len(data), 0) + data


class End:
	def __init__(self, tap, kind):
		self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
		self.wire.bind((tap, 0))
		self.wire.setsockopt(263, 8, 1)  # SOL_PACKET, PACKET_AUXDATA: tags come beside frames.
		self.tun = os.open("/dev/net/tun", os.O_RDWR)
		fcntl.ioctl(self.tun, 0x400454ca, struct.pack("16sH22x", TUN.encode(), 0x1001))
		self.tunnel = Tunnel(kind)
		self.counts = collections.Counter()
		self.reply = None

	def from_guest(self, frame, tag):
		if frame[:6] != PEER_MAC or frame[12:14] != TYPES[self.tunnel.version]:
			return
		self.counts["frames"] += 1
		expect(tag == self.tunnel.tag, "tag")
		outer = Packet(frame[14:], "outer")
		inner = self.tunnel.open(outer)
		self.reply = frame[6:12] + PEER_MAC + frame[12:14], self.answer(frame[14:])
		if Packet(inner, "inner").check("inner"):
			self.counts["checked"] += 1
			self.counts["full"] += len(inner) > 1200
		self.deliver(inner)

	def deliver(self, packet):
		"""What the guest sends of its own accord may come before the interface is up."""
		try:
			os.write(self.tun, packet)
		except OSError as error:
			if error.errno != errno.EIO:
				raise

	@staticmethod
	def answer(packet):
		"""Makes the outer header for a packet to where this one comes from."""
		if packet[0] >> 4 == 6:
			addresses = packet[24:40] + packet[8:24]
			return lambda protocol, size: struct.pack(">IHBB", 6 << 28, size, protocol,
				64) + addresses
		addresses = packet[16:20] + packet[12:16]

		def make(protocol, size):
			head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + size, 0, 0, 64, protocol, 0)
			value = struct.pack(">H", checksum(head + addresses))
			return head[:10] + value + addresses
		return make

	def to_guest(self, packet):
		if self.reply is None:
			return
		link, make = self.reply
		if self.tunnel.tag is not None:
			link = link[:12] + b"\x81\0" + struct.pack(">H", self.tunnel.tag) + link[12:]
		if self.tunnel.kind == "none":
			self.wire.send(link + packet)
			return
		protocol, payload = self.tunnel.wrap(packet)
		head = make(protocol, len(payload))
		if protocol == UDP and self.tunnel.version == 6:
			pseudo = head[8:40] + struct.pack(">II", len(payload), UDP)
			payload = (payload[:6] + struct.pack(">H", checksum(pseudo + payload) or 0xffff)
				+ payload[8:])
		self.wire.send(link + head + payload)

	def run(self):
		while True:
			ready = select.select([self.wire, self.tun, sys.stdin], [], [])[0]
			if sys.stdin in ready:
				return
			if self.tun in ready:
				self.to_guest(os.read(self.tun, 65536))
			if self.wire in ready:
				frame, beside, _, address = self.wire.recvmsg(65536, 64)
				if address[2] != socket.PACKET_OUTGOING:
					self.judge(frame, self.tag_of(beside))

	@staticmethod
	def tag_of(beside):
		"""The tag that the kernel has taken out of a frame (struct tpacket_auxdata)."""
		for _, _, data in beside:
			status, *_, tag, _ = struct.unpack("IIIHHHH", data)
			if status & 0x10:  # TP_STATUS_VLAN_VALID
				return tag & 0xfff
		return None

	def judge(self, frame, tag):
		try:
			self.from_guest(frame, tag)
		except Wrong as wrong:
			self.counts[f"wrong {wrong}"] += 1


if __name__ == "__main__":
	end = End(*sys.argv[1:])
	print("ready", flush=True)
	end.run()
	print(json.dumps(end.counts), flush=True)
