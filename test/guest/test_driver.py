# SPDX-License-Identifier: BSD-3-Clause
"""What an administrator does to a network card in a running guest."""

import pytest

import guest as guests
from guest import NIC


def test_link_down_and_up(guest):
	for _ in range(20):
		guest.check(f"ip link set {NIC} down")
		guest.check(f"ip link set {NIC} up")
		guest.await_link()
	guest.ping()


def test_first_frame_after_link_up_arrives(guest, testpmd):
	"""Linux leaves the doorbell of its transmit ring where it was when the link went down."""
	for _ in range(3):
		guest.ping()
	before = testpmd.errors()
	guest.check(f"ip link set {NIC} down")
	guest.check(f"ip link set {NIC} up")
	guest.await_link()
	guest.ping()
	assert testpmd.errors() == before


def test_driver_unload_and_load(guest):
	for _ in range(5):
		guest.check("rmmod iavf")
		guest.load()
	guest.ping()


# The driver has no callbacks for a reset by sysfs: its watchdog finds out.
@pytest.mark.guest_may_say("Hardware reset detected")
def test_function_level_reset(guest):
	for _ in range(3):
		guest.check(f"ip link set {NIC} down")
		guest.check(f"echo 1 > /sys/bus/pci/devices/{guest.address()}/reset")
		guest.up()
		guest.ping()


def test_function_level_reset_without_driver(guest):
	address = guest.address()
	guest.check("rmmod iavf")
	assert "flr" in guest.check(f"cat /sys/bus/pci/devices/{address}/reset_method")
	guest.check(f"echo 1 > /sys/bus/pci/devices/{address}/reset")
	guest.load()
	guest.ping()


def test_unbind_and_bind(guest):
	address = guest.address()
	guest.check(f"echo {address} > /sys/bus/pci/drivers/iavf/unbind")
	guest.check(f"echo {address} > /sys/bus/pci/drivers/iavf/bind")
	guest.up()
	guest.ping()


def test_mtu_change(guest):
	for mtu in (68, 576, 1500, 2000, 4000, 9000, 9702, 1500):
		guest.set_mtu(mtu)
		guest.ping(min(mtu, 1500, 64))


def test_mac_change(guest, testpmd):
	address = guest.check(f"cat /sys/class/net/{NIC}/address")
	for mac in ("02:12:34:56:78:9a", address):
		guest.check(f"ip link set {NIC} address {mac}")
		testpmd.namespace.run("ip", "neigh", "flush", "all")
		guest.ping()
		assert guest.check(f"cat /sys/class/net/{NIC}/address") == mac


def test_mtu_change_under_traffic(guest):
	guest.start(f"iperf3 -c {guests.ADDRESS} -t 5")
	for mtu in (9000, 1500, 4000, 1500):
		guest.set_mtu(mtu)
	guest.run("killall iperf3")
	guest.ping()
