# SPDX-License-Identifier: BSD-3-Clause
"""Answers pings, and who asks for an address, on an interface, VLAN tags and all; runs in the namespace of the host's tap.

usage: vlan_peer.py INTERFACE MAC

Reads lines from standard input: "seen" prints the stacks of tags that came, with numbers, as JSON;
{"mac": .., "tags": [[type, id], ..], "count": n} sends frames of no protocol. Ends with the input.
The priority of a tag is in the highest bits of its id.
"""

import collections
import json
import selectors
import socket
import struct
import sys

SOL_PACKET, PACKET_AUXDATA, ETH_P_ALL = 263, 8, 3
VLAN_VALID, TPID_VALID = 1 << 4, 1 << 6
TYPES = (0x8100, 0x88a8, 0x9100)


def receive(stream):
	"""One frame as it was on the wire: the kernel has taken the first tag out."""
	data, extra, _, address = stream.recvmsg(65536, 256)
	for level, kind, body in extra:
		if (level, kind) != (SOL_PACKET, PACKET_AUXDATA):
			continue
		status, _, _, _, _, tci, tpid = struct.unpack("<IIIHHHH", body[:20])
		if status & VLAN_VALID:
			tag = struct.pack(">HH", tpid if status & TPID_VALID else 0x8100, tci)
			data = data[:12] + tag + data[12:]
	return data, address[2]


def split(frame):
	"""(tags, the rest behind the addresses)"""
	tags, at = [], 12
	while int.from_bytes(frame[at:at + 2], "big") in TYPES:
		kind, tci = struct.unpack(">HH", frame[at:at + 4])
		tags.append((kind, tci))
		at += 4
	return tuple(tags), frame[at:]


def checksum(data):
	total = sum(struct.unpack(f">{len(data) // 2}H", data[:len(data) // 2 * 2]))
	total += data[-1] << 8 if len(data) % 2 else 0
	while total >> 16:
		total = (total & 0xffff) + (total >> 16)
	return ~total & 0xffff


def answer_arp(frame, rest, mac):
	"""The reply to a request of ARP: any address is ours."""
	sender, target = rest[10:20], rest[26:30]
	return (frame[6:12] + mac + frame[12:len(frame) - len(rest) + 8] + b"\x00\x02"
		+ mac + target + sender)


def answer(frame, rest, mac):
	"""The echo reply to an echo request, or nothing."""
	if rest[:2] != b"\x08\x00" or rest[11] != 1 or rest[22] != 8:
		return None
	total = int.from_bytes(rest[4:6], "big")
	ip, icmp = rest[2:22], rest[22:2 + total]
	icmp = b"\x00\x00\x00\x00" + icmp[4:]
	icmp = icmp[:2] + checksum(icmp).to_bytes(2, "big") + icmp[4:]
	ip = ip[:12] + ip[16:20] + ip[12:16]
	return frame[6:12] + mac + frame[12:len(frame) - len(rest) + 2] + ip + icmp


class Peer:
	def __init__(self, interface, mac):
		self.mac = bytes.fromhex(mac.replace(":", ""))
		self.seen = collections.Counter()
		self.stream = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
		self.stream.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
		self.stream.bind((interface, ETH_P_ALL))

	def serve(self):
		frame, kind = receive(self.stream)
		if kind == socket.PACKET_OUTGOING:
			return
		tags, rest = split(frame)
		if rest[:2] == b"\x08\x06" and rest[8:10] == b"\x00\x01" and tags:
			self.stream.send(answer_arp(frame, rest, self.mac))
		elif reply := answer(frame, rest, self.mac):
			self.seen[tags] += 1
			self.stream.send(reply)

	def obey(self, line):
		if line == "seen\n":
			print(json.dumps(list(self.seen.items())), flush=True)
			self.seen.clear()
			return
		order = json.loads(line)
		frame = bytes.fromhex(order["mac"].replace(":", "")) + self.mac + b"".join(
			struct.pack(">HH", *tag) for tag in order["tags"]) + b"\x88\xb5" + bytes(60)
		print(sum(self.stream.send(frame) == len(frame) for _ in range(order["count"])),
			flush=True)


def main():
	peer = Peer(*sys.argv[1:])
	ready = selectors.DefaultSelector()
	ready.register(sys.stdin, selectors.EVENT_READ)
	ready.register(peer.stream, selectors.EVENT_READ)
	print("ready", flush=True)
	while True:
		for key, _ in ready.select():
			if key.fileobj is peer.stream:
				peer.serve()
			elif line := sys.stdin.readline():
				peer.obey(line)
			else:
				return


main()
