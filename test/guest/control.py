# SPDX-License-Identifier: BSD-3-Clause
"""What the driver of a guest decides, once with each kernel: RSS, a rule, groups, VLANs."""

import contextlib
import random

import frames
import guest as guests
from guest import NIC, OLDEST
from host import TAP
from stock import Failure, wait_for
from wire import COUNT, GROUP, IP, OTHER, comes, frame_to, own_address, send, spread

QUEUES = 4


def decides(guest, testpmd):
	"""RSS, groups and VLANs, and a rule if the driver has any."""
	testpmd.set_queues(1)
	try:
		spreads(guest, testpmd)
		drops(guest, testpmd)
	finally:
		testpmd.set_queues(QUEUES)
	assert not comes(guest, testpmd, GROUP) and not comes(guest, testpmd, OTHER)
	guest.check(f"{IP} maddr add {GROUP} dev {NIC}")
	wait_for(lambda: comes(guest, testpmd, GROUP), "the group")
	guest.check(f"{IP} maddr del {GROUP} dev {NIC}")
	is_in_a_vlan(guest, testpmd)


def flows(number):
	"""Of addresses by chance: few that are alike may leave a queue out, whatever the key."""
	chance = random.Random(1)
	return [frames.V4 + frames.ip4(*frames.udp(b"")[:2], addresses=chance.randbytes(8))
		for _ in range(number)]


def comes_to_each_queue(guest, testpmd):
	wait_for(lambda: all(spread(guest, testpmd, flows(64))[:QUEUES]), "packets on each queue")


def spreads(guest, testpmd):
	"""The host has one queue, and the guest says what comes to which of its own."""
	comes_to_each_queue(guest, testpmd)
	guest.check(f"ethtool -X {NIC} weight 0 0 0 1")
	wait_for(lambda: spread(guest, testpmd, flows(64))[3] >= 64, "the guest's table")
	guest.check(f"ethtool -X {NIC} default")


def drops(guest, testpmd):
	if "ntuple-filters: off [fixed]" in guest.check(f"ethtool -k {NIC}"):
		assert guests.release(OLDEST) == guest.check("uname -r")
		return
	rule = f"ethtool -N {NIC} flow-type udp4 dst-port 7000 action -1 loc 5"
	wait_for(lambda: guest.run(rule)[0] == 0, "ethtool")
	of_port = lambda port: send(guest, testpmd, own_address(guest),
		frames.V4 + frames.ip4(*frames.udp(b"", port)))[2]
	wait_for(lambda: of_port(7000) == COUNT, "the rule")
	assert of_port(7001) == 0
	guest.check(f"ethtool -N {NIC} delete 5")
	wait_for(lambda: of_port(7000) == 0, "the end of the rule")


def is_in_a_vlan(guest, testpmd):
	"""Frames of others are filtered."""
	guest.check("modprobe 8021q")
	guest.check(f"{IP} link add link {NIC} name v5 type vlan id 5")
	guest.check(f"{IP} link set v5 up")
	got = lambda: int(guest.check("cat /sys/class/net/v5/statistics/rx_packets"))
	filtered = lambda: testpmd.xstats()["tx_vlan_filtered_packets"]
	own = own_address(guest)

	def more(vlan):
		"""(that come, that do not); none of both before the guest's interface is up."""
		before = got(), filtered()
		frame = frame_to(own, b"\x81\x00\x00" + bytes([vlan]) + b"\x88\xb5" + bytes(46))
		testpmd.namespace.send(TAP, [frame] * COUNT)
		with contextlib.suppress(Failure):
			wait_for(lambda: got() + filtered() - sum(before) >= COUNT, "frames of the VLAN", 2)
		return got() - before[0], filtered() - before[1]
	wait_for(lambda: more(5) == (COUNT, 0), "frames of the guest's VLAN", 30)
	# Before the driver has said which it wants, others come as well.
	wait_for(lambda: more(6) == (0, COUNT), "the filter of VLANs", 30)
	assert more(5) == (COUNT, 0)
	guest.check(f"{IP} link del v5")
