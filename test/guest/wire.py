# SPDX-License-Identifier: BSD-3-Clause
"""Frames that the host sends, judged by the guest's queues and by the counters of the host's port."""

import re

import frames
from guest import NIC
from host import TAP
from stock import wait_for

IP = "/usr/bin/ip"  # Busybox has one of its own that knows less.
OTHER, GROUP = "02:00:00:00:00:77", "01:00:5e:01:02:03"
COUNT = 10


def info(testpmd, what):
	return testpmd.telemetry("/emu_iavf/info,emu_iavf0")[what]


def by_queue(guest):
	counters = guest.check(f"ethtool -S {NIC}")
	return [int(n) for n in re.findall(r"rx-\d+\.packets: (\d+)", counters)]


def own_address(guest):
	return guest.check(f"cat /sys/class/net/{NIC}/address")


def frame_to(mac, rest):
	return (bytes.fromhex(mac.replace(":", "")) + frames.MACS[6:] + rest).ljust(60, b"\0")


def send(guest, testpmd, mac, rest=b"\x88\xb5" + bytes(46)):
	"""Sends frames. (How many more each queue of the guest has got, what was not wanted, and what
	a rule has dropped)"""
	names = "tx_good_packets", "tx_address_filtered_packets", "tx_flow_dropped_packets"
	counts = lambda: [testpmd.xstats()[name] for name in names]
	before, queues = counts(), by_queue(guest)
	testpmd.namespace.send(TAP, [frame_to(mac, rest)] * COUNT)
	wait_for(lambda: sum(counts()) - sum(before) >= COUNT, "frames at the port")
	good, *dropped = (now - then for now, then in zip(counts(), before))
	wait_for(lambda: sum(by_queue(guest)) - sum(queues) >= good, "frames in the guest")
	return [now - then for now, then in zip(by_queue(guest), queues)], *dropped


def comes(guest, testpmd, mac):
	"""Whether frames to an address come, all or none."""
	queues, filtered, _ = send(guest, testpmd, mac)
	assert sum(queues) + filtered >= COUNT and filtered in (0, COUNT)
	return filtered == 0


def spread(guest, testpmd, packets):
	"""How many of the packets, which are all for the guest, come to each of its queues."""
	before, own = by_queue(guest), own_address(guest)
	more = lambda: [now - then for now, then in zip(by_queue(guest), before)]
	testpmd.namespace.send(TAP, [frame_to(own, packet) for packet in packets])
	wait_for(lambda: sum(more()) >= len(packets), "packets in the guest")
	return more()
