# SPDX-License-Identifier: BSD-3-Clause
"""The partner of a bond of mode 802.3ad: answers each LACPDU that comes on one of its interfaces.

usage: lacp_peer.py MAC INTERFACE...

Ends with its input. A LACPDU is of IEEE 802.1AX: it says what its sender, the actor, is and does, and
what it knows of its partner.
"""

import selectors
import socket
import struct
import sys

SLOW_PROTOCOLS = 0x8809
GROUP = bytes.fromhex("0180c2000002")
LACP_VERSION_1 = b"\x01\x01"
# Active, fast, may be aggregated, in sync, collecting, distributing.
STATE = 0x3f


def actor(mac, port):
	"""Priority and address of the system, key, priority and number of the port, state."""
	return struct.pack(">H6sHHHB3x", 0xffff, mac, 1, 0xff, port, STATE)


def answer(frame, mac, port):
	"""It knows its partner by what that says of itself."""
	parts = ((1, actor(mac, port)), (2, frame[18:36]), (3, bytes(14)))
	body = b"".join(bytes([kind, 2 + len(part)]) + part for kind, part in parts)
	head = GROUP + mac + struct.pack(">H", SLOW_PROTOCOLS) + LACP_VERSION_1
	return (head + body).ljust(124, b"\0")


def main():
	mac = bytes.fromhex(sys.argv[1].replace(":", ""))
	ready = selectors.DefaultSelector()
	ready.register(sys.stdin, selectors.EVENT_READ)
	for port, interface in enumerate(sys.argv[2:], 1):
		wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(SLOW_PROTOCOLS))
		wire.bind((interface, SLOW_PROTOCOLS))
		ready.register(wire, selectors.EVENT_READ, port)
	while True:
		for key, _ in ready.select():
			if key.data is None:
				return
			frame, address = key.fileobj.recvfrom(2048)
			if address[2] != socket.PACKET_OUTGOING and frame[14:16] == LACP_VERSION_1:
				key.fileobj.send(answer(frame, mac, key.data))


main()
