# SPDX-License-Identifier: BSD-3-Clause
"""Guests behind a virtual IOMMU that translates: rings and buffers are single pages."""

import pytest

import guest as guests

QUEUES = 4

# Each value at least once. Debian's 6.1 has no driver for a virtio-iommu.
CASES = {
	"intel, strict, 6.12": dict(iommu="intel", strict=1, kernel="6.12", cpus=1, memory="memfd"),
	"intel, lazy, 6.1": dict(iommu="intel, no intremap", strict=0, kernel="6.1", cpus=4,
		memory="hugetlb"),
	"virtio, strict, 6.12": dict(iommu="virtio", strict=1, kernel="6.12", cpus=4,
		memory="hugetlb"),
	"virtio, lazy, 6.12": dict(iommu="virtio", strict=0, kernel="6.12", cpus=1, memory="memfd"),
}


def domain(iommu, strict):
	"""How the kernel calls it. It is always strict behind an intel-iommu in caching mode."""
	return "DMA" if strict or iommu != "virtio" else "DMA-FQ"


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def translated(request, boot):
	"""A guest with its driver loaded, which translates as it was told to."""
	options = dict(request.param)
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


def test_translated_guest(translated, testpmd):
	guest = translated
	ping_all_sizes(guest)
	guest.check(f"ip link set {guests.NIC} down")
	guest.up()
	ping_all_sizes(guest)
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
