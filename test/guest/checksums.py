# SPDX-License-Identifier: BSD-3-Clause
"""What a guest's driver makes of what it is told of checksums."""

import re
import socket

import guest as guests
from frames import V4, changed, ip4, tcp, udp
from host import ADDRESS, GUEST_ADDRESS, TAP
from stock import wait_for

TRACING = "/sys/kernel/tracing"
# As trace events have it: nobody has checked; the device has, all is right.
NONE, UNNECESSARY = 0, 1


def checksummed_frames(mac):
	"""Frames of different lengths, with what the driver has to make of their checksums."""
	ends = socket.inet_aton(ADDRESS) + socket.inet_aton(GUEST_ADDRESS)
	macs = mac + bytes.fromhex("02000000000b")

	def whole(segment, **options):
		return macs + V4 + ip4(*segment, addresses=ends, **options)
	small, large = bytes(range(100)), bytes(range(200)) * 7
	tunnelled = bytes.fromhex("0800000000002a00") + whole(tcp(small))
	vxlan = whole(udp(tunnelled, 4789))
	return [
		(whole(udp(small)), UNNECESSARY),
		(changed(whole(udp(small[:-1])), -1), NONE),
		(whole(tcp(small[:-2])), UNNECESSARY),
		(changed(whole(tcp(small[:-3])), -1), NONE),
		(changed(whole(udp(small[:-4])), 24), NONE),
		(whole(udp(large)), UNNECESSARY),
		(changed(whole(udp(large[:-1])), 700), NONE),
		(whole((17, small[:-5]), fragment=0x2001), NONE),
		# Nobody fills its checksum in: it has none.
		(whole((17, udp(small[:-16])[1])), NONE),
		(vxlan, UNNECESSARY),
		(changed(whole(udp(tunnelled + bytes(1), 4789)), 34), NONE),
	]


def takes_what_was_checked(guest, testpmd):
	"""Whether the driver calls checked what the device has checked and found right, and nothing else:
	its stack finds the wrong ones."""
	mac = guest.check(f"cat /sys/class/net/{guests.NIC}/address")
	frames = checksummed_frames(bytes.fromhex(mac.replace(":", "")))
	event = f"{TRACING}/events/net/napi_gro_receive_entry"
	guest.check(f"mount -t tracefs tracefs {TRACING}")
	try:
		guest.check(f"echo 'protocol == 0x800' > {event}/filter && echo 1 > {event}/enable")
		before = udp_counts(guest)
		testpmd.namespace.send(TAP, [frame for frame, _ in frames])
		want = {len(frame) - 14: status for frame, status in frames}

		def seen():
			found = re.findall(r"ip_summed=(\d+) .* len=(\d+)",
				guest.check(f"cat {TRACING}/trace"))
			return {int(length): int(status) for status, length in found}
		wait_for(lambda: want.keys() <= seen().keys(), "frames in the guest")
		assert {length: seen()[length] for length in want} == want
		# Nobody listens: what is right is counted as that, what is wrong as wrong.
		wait_for(lambda: increase(before, udp_counts(guest), "NoPorts") == 4, "datagrams")
		assert increase(before, udp_counts(guest), "InCsumErrors") == 3
	finally:
		guest.check(f"echo 0 > {event}/enable; umount {TRACING}")


def udp_counts(guest):
	names, values = guest.check("grep ^Udp: /proc/net/snmp").splitlines()
	return dict(zip(names.split()[1:], map(int, values.split()[1:])))


def increase(before, after, name):
	return after[name] - before[name]
