# SPDX-License-Identifier: BSD-3-Clause
"""Guests behind a virtual IOMMU that translates: rings and buffers are single pages."""

import pytest

import frames
import guest as guests
from host import TAP
from stock import wait_for

QUEUES = 4
IP = "/usr/bin/ip"  # Busybox has one of its own that knows less.
MACVLAN, STRANGER = bytes.fromhex("020000000066"), bytes.fromhex("020000000067")
VLAN_5, VLAN_6 = bytes.fromhex("81000005"), bytes.fromhex("81000006")

# Each value at least once. Debian's 6.1 has no driver for a virtio-iommu.
CASES = {
	"intel, strict, 6.12": dict(iommu="intel", strict=1, kernel="6.12", cpus=1, memory="memfd"),
	"intel, lazy, 6.1": dict(iommu="intel, no intremap", strict=0, kernel="6.1", cpus=4,
		memory="hugetlb"),
	"virtio, strict, 6.12": dict(iommu="virtio", strict=1, kernel="6.12", cpus=4,
		memory="hugetlb"),
	"virtio, lazy, 6.12": dict(iommu="virtio", strict=0, kernel="6.12", cpus=1, memory="memfd"),
	# Its driver has no VLAN filters but those of the first version of the messages.
	"intel, strict, 5.10": dict(iommu="intel", strict=1, kernel=guests.OLDEST, cpus=1,
		memory="memfd"),
}


def domain(iommu, strict):
	"""How the kernel calls it. It is always strict behind an intel-iommu in caching mode."""
	return "DMA" if strict or iommu != "virtio" else "DMA-FQ"


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def translated(request, boot):
	"""A guest with its driver loaded, which translates as it was told to."""
	options = dict(request.param)
	if reason := guests.why_missing(options["kernel"]):
		pytest.skip(reason)
	strict = options.pop("strict")
	guest = boot(append=f"iommu.strict={strict}", **options)
	guest.load()
	group = f"/sys/class/net/{guests.NIC}/device/iommu_group/type"
	assert guest.check(f"cat {group}") == domain(options["iommu"], strict)
	return guest


def ping_all_sizes(guest):
	"""Small packets, large ones, and such as need two frames; the answers are as long."""
	for size in (64, 1000, 1500, 3000):
		guest.ping(size)


def filters_are_there_again(guest, testpmd):
	"""Addresses and VLANs that the guest has added, after resets of its own and of the host's."""
	nic = guests.NIC
	guest.check("modprobe macvlan && modprobe 8021q")
	own = bytes.fromhex(guest.check(f"cat /sys/class/net/{nic}/address").replace(":", ""))
	rest = frames.MACS[6:] + b"\x88\xb5" + bytes(46)
	of_vlan = lambda tag: own + frames.MACS[6:] + tag + rest[6:]
	sent = {"mv0": MACVLAN + rest, "v5": of_vlan(VLAN_5)}
	unwanted = {"tx_address_filtered_packets": STRANGER + rest,
		"tx_vlan_filtered_packets": of_vlan(VLAN_6)}
	for more in (f"mv0 address {MACVLAN.hex(':')} type macvlan mode bridge", "v5 type vlan id 5"):
		guest.check(f"{IP} link add link {nic} name {more}")
	got = lambda name: int(guest.check(f"cat /sys/class/net/{name}/statistics/rx_packets"))

	def come(name):
		before = got(name)
		testpmd.namespace.send(TAP, [sent[name]] * 5)
		return got(name) > before
	for change in (None, "mtu", "host"):
		links = guest.links()
		if change == "mtu":
			guest.set_mtu(2000)
			guest.set_mtu(1500)
		elif change == "host":
			assert testpmd.telemetry("/emu_iavf/reset,emu_iavf0")
			wait_for(lambda: guest.links() > links and guest.carrier(), "end of reset", 60)
		for name in sent:
			guest.check(f"{IP} link set {name} up")
			wait_for(lambda: come(name), f"frames to {name}", 20)
		for reason, frame in unwanted.items():
			before = testpmd.xstats()[reason]
			testpmd.namespace.send(TAP, [frame] * 5)
			wait_for(lambda: testpmd.xstats()[reason] >= before + 5, reason)
	for name in sent:
		guest.check(f"{IP} link del {name}")


def test_translated_guest(translated, testpmd):
	guest = translated
	ping_all_sizes(guest)
	guest.check(f"ip link set {guests.NIC} down")
	guest.up()
	ping_all_sizes(guest)
	filters_are_there_again(guest, testpmd)
	guest.check("rmmod iavf")
	guest.load()
	ping_all_sizes(guest)
	refused = ("tx_no_queue_packets", "tx_paused_packets")
	before = [testpmd.xstats()[name] for name in refused]
	assert guest.iperf() > 0
	assert guest.iperf("-R") > 0
	assert [testpmd.xstats()[name] for name in refused] == before
	guest.reset()
	guest.load()
	ping_all_sizes(guest)
	assert not guest.complaints()
	assert not any(testpmd.errors().values()), testpmd.errors()
