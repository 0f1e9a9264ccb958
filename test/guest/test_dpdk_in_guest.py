# SPDX-License-Identifier: BSD-3-Clause
"""DPDK in the guest: the stock testpmd and net_iavf of Debian 13, by vfio-pci behind a virtual IOMMU.

(Debian's kernels have vfio without its mode for machines that have no IOMMU. With uio_pci_generic
net_iavf waits for interrupts that neither this nor any other virtual function has.)"""

import json
import re
import sys

import pytest

import frames
from host import TAP
from stock import wait_for

QUEUES = 4
COUNT, FLOWS = 40, 16
TOTAL = re.compile(r"Accumulated.*?RX-packets: (\d+) .*?TX-packets: (\d+) ", re.DOTALL)
# Sends frames and waits until as many have come back.
EXCHANGE = """
import json, socket, sys
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0003)) as wire:
	wire.bind((sys.argv[1], 0))
	wire.settimeout(30)
	back = []
	frames = [bytes.fromhex(text) for text in json.load(sys.stdin)]
	for frame in frames:
		wire.send(frame)
	while len(back) < len(frames):
		frame, (_, _, kind, _, _) = wire.recvfrom(65536)
		if kind != socket.PACKET_OUTGOING and frame[12:14] == b"\\x08\\x00":
			back.append(frame.hex())
	print(json.dumps(back))
"""


class GuestTestpmd:
	"""Forwards what it receives, with the addresses of stations exchanged."""

	def __init__(self, guest):
		self.guest_ = guest
		address = guest.address()
		# A virtio-iommu keeps a device from memory, not from interrupts of others.
		guest.check("modprobe vfio_iommu_type1 allow_unsafe_interrupts=1 && modprobe vfio_pci")
		guest.check(f"echo vfio-pci > /sys/bus/pci/devices/{address}/driver_override")
		guest.check(f"echo {address} > /sys/bus/pci/drivers/vfio-pci/bind")
		guest.check("echo 40 > /proc/sys/vm/nr_hugepages")

	def start(self, queues):
		self.guest_.start("sleep 1000 | dpdk-testpmd --lcores=0@0,1@0 --in-memory -m 64 -- "
			f"--total-num-mbufs=4096 --rxq={queues} --txq={queues} "
			"--no-flush-rx --forward-mode=macswap > /tmp/log 2>&1; echo $? > /tmp/status")

	def end(self):
		"""(Packets received, sent)"""
		# Its input's end is the end.
		self.guest_.check("rm -f /tmp/status; killall sleep")
		wait_for(lambda: self.guest_.run("cat /tmp/status")[0] == 0, "end of testpmd", 30)
		assert self.guest_.check("cat /tmp/status") == "0"
		log = self.guest_.check("cat /tmp/log")
		return tuple(map(int, TOTAL.search(log).groups()))


def exchange(testpmd, sent):
	"""Sends frames to the guest; returns what comes back."""
	return [bytes.fromhex(text) for text in json.loads(testpmd.namespace.run_with(
		json.dumps([frame.hex() for frame in sent]), sys.executable, "-c", EXCHANGE, TAP))]


def is_ready(testpmd, queues):
	"""The last thing that it asks for is to be promiscuous."""
	info = testpmd.telemetry("/emu_iavf/info,emu_iavf0")
	return info["queue_pairs_enabled"] == queues and info["promiscuous"] != 0


def swapped(frame):
	return frame[6:12] + frame[:6] + frame[12:]


def traffic():
	"""Frames of many flows and all sizes."""
	return [frames.MACS + frames.V4 + frames.ip4(*frames.udp(bytes([n]) * (20 + n * 1400 // COUNT),
		2000 + n % FLOWS)) for n in range(COUNT)]


@pytest.mark.parametrize("iommu, queues", [("intel", QUEUES), ("virtio", 1)])
def test_testpmd_in_guest(boot, testpmd, iommu, queues):
	guest = boot(kernel="6.12", cpus=2, iommu=iommu, dpdk=True)
	forwarder = GuestTestpmd(guest)
	before = testpmd.port_stats()
	forwarder.start(queues)
	wait_for(lambda: is_ready(testpmd, queues), "start of testpmd", 60)
	sent = traffic()
	for _ in range(3):
		assert sorted(exchange(testpmd, sent)) == sorted(map(swapped, sent))
	received, returned = forwarder.end()
	after = testpmd.port_stats()
	assert received == returned == 3 * COUNT
	for counter in "opackets", "ipackets":
		assert after[counter] - before[counter] == received
		# All queues of the guest have one vector.
		more = [new - old for old, new in zip(before["q_" + counter], after["q_" + counter])]
		assert queues == 1 or all(more[:queues]), more
	assert not any(testpmd.errors().values()), testpmd.errors()
