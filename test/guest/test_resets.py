# SPDX-License-Identifier: BSD-3-Clause
"""What resets the device under a driver that lives on, and a host whose queues change."""

import json
import re

import pytest

import guest as guests
from guest import KERNELS, NIC
from stock import wait_for

QUEUES = 4
OWN_MAC = "02:12:34:56:78:9a"
ROUNDS = 4

RESETS = {  # commands of one round, by its number
	"function": lambda n: f"echo 1 > /sys/class/net/{NIC}/device/reset",
	"channels": lambda n: f"ethtool -L {NIC} combined {(1, 2, 4)[n % 3]}",
	"rings": lambda n: f"ethtool -G {NIC} tx {(256, 64, 1024)[n % 3]} rx {(128, 512)[n % 2]}",
}


def info(testpmd):
	return testpmd.telemetry("/emu_iavf/info,emu_iavf0")


def packets(guest):
	"""Packets of each direction and queue."""
	counters = guest.check(f"ethtool -S {NIC}")
	return {name: int(n) for name, n in re.findall(r"([tr]x-\d+)\.packets: (\d+)", counters)}


def channels(guest):
	return int(re.findall(r"Combined:\s*(\d+)", guest.check(f"ethtool -l {NIC}"))[-1])


def transmitted(guest):
	return int(guest.check(f"cat /sys/class/net/{NIC}/statistics/tx_packets"))


def largest_mtu(guest):
	# The shell has an "ip" of its own, which does not tell.
	return json.loads(guest.check(f"/usr/bin/ip -json -details link show {NIC}"))[0]["max_mtu"]


def test_resets_under_traffic(boot, testpmd):
	"""A guest goes on transmitting until it finds out about a reset. No tail of the old rings
	is taken for one of the new, so nothing is malformed and the first frame arrives."""
	guest = boot(cpus=4)
	guest.load()
	guest.start(f"ping -f {guests.ADDRESS}")
	guest.start("while true; do iperf3 -c " + guests.ADDRESS + " -u -b 20M -t 2; done")
	counts = testpmd.unaccounted()
	before, refused = testpmd.errors(), info(testpmd)["virtchnl_errors"]
	for kind, command in RESETS.items():
		for n in range(ROUNDS):
			guest.reconfigure(command(n))
			# Linux forgets its neighbour with the link. What it asks first may still be
			# dropped (its queues start when whoever holds the RTNL lock is done), and it
			# asks again after a second.
			guest.await_answer()
			assert testpmd.errors() == before, (kind, n)
	guest.run("killall ping iperf3; killall sh")
	for cpu in range(4):
		loss = guest.check(f"taskset {1 << cpu:x} ping -c 10 -i 0.1 {guests.ADDRESS}")
		assert " 0% packet loss" in loss, cpu
	assert info(testpmd)["virtchnl_errors"] == refused
	# What has come at either of the host's ports was sent at the other one, or dropped and counted.
	wait_for(lambda: testpmd.unaccounted() == counts, "account of all packets")


def test_driver_survives_reset_of_the_bus_and_sleep(boot, testpmd):
	"""Both make QEMU reset the device, and the driver does not begin anew."""
	guest = boot(root_port=True, image="vmlinuz")
	guest.load()
	device = f"/sys/bus/pci/devices/{guest.address()}"
	refused = info(testpmd)["virtchnl_errors"]
	guest.check(f"ip link set {NIC} address {OWN_MAC}")
	testpmd.namespace.run("ip", "neigh", "flush", "all")
	guest.ping(count=100, interval=0.01)
	sent, taken = transmitted_after_query(guest, 100), testpmd.port_stats()["ipackets"]

	guest.reconfigure(f"echo bus > {device}/reset_method && echo 1 > {device}/reset")
	guest.ping()
	# As on hardware the function's counters begin at 0; the port's do not.
	wait_for(lambda: 0 < transmitted(guest) < sent, "new count in the guest")
	assert testpmd.port_stats()["ipackets"] > taken

	guest.check(f"ip link set {NIC} down")
	guest.check("dmesg -n 7")  # The console is to show the end of the sleep.
	guest.start("sleep 0.5; echo mem > /sys/power/state")
	status = lambda: guest.qmp.execute("query-status")["status"]
	wait_for(lambda: status() == "suspended", "sleep")
	guest.qmp.execute("system_wakeup")
	# A command that comes before the serial port wakes is lost.
	console = guest.folder / "console.log"
	wait_for(lambda: "suspend exit" in console.read_text(errors="replace"), "end of sleep", 20)
	guest.up()
	guest.ping()
	assert guest.check(f"cat /sys/class/net/{NIC}/address") == OWN_MAC
	assert info(testpmd)["virtchnl_errors"] == refused

	# Only another driver gets the first address; here after a reboot.
	guest.reset()
	guest.load()
	guest.ping()
	assert guest.check(f"cat /sys/class/net/{NIC}/address") != OWN_MAC


def transmitted_after_query(guest, least):
	"""The driver asks for its statistics every few seconds."""
	wait_for(lambda: transmitted(guest) >= least, "count in the guest")
	return transmitted(guest)


# The host's queues, and whether the driver is there when they change.
HOSTS = {"6.12": ((1, "up"), (4, "up"), (3, "down"), (1, "down"), (4, "down")),
	"6.1": ((3, "up"), (1, "down"))}


@pytest.mark.parametrize("kernel", KERNELS)
def test_guest_keeps_its_queues_whatever_the_host_has(boot, testpmd, kernel):
	guest = boot(cpus=4, kernel=kernel)
	guest.load()
	assert channels(guest) == 4
	before = info(testpmd)
	for count, state in HOSTS[kernel]:
		if state == "down":
			guest.check(f"ip link set {NIC} down")
		testpmd.set_queues(count)
		guest.up()
		guest.ping()
		old = packets(guest)
		guest.transmit(400, queues=4)
		assert guest.iperf("-P", "4", "-R") > 0
		new = packets(guest)
		assert all(new[f"tx-{n}"] >= old[f"tx-{n}"] + 100 for n in range(4)), (count, state)
	after = info(testpmd)
	for name in ("resets", "virtchnl_errors"):
		assert after[name] == before[name]

	# A reset of its own changes nothing of that; only a driver that begins is told of fewer.
	testpmd.set_queues(1)
	for queues in (2, 4):
		# Linux 6.1 says EBUSY as it holds a lock that its reset waits for, and does it then.
		guest.reconfigure(f"ethtool -L {NIC} combined {queues}; true")
		assert channels(guest) == queues
		guest.ping()
	testpmd.set_queues(2)
	guest.check("rmmod iavf")
	guest.load()
	guest.ping()
	assert channels(guest) == 2
	assert [line for line in guest.complaints() if "Changing channel count" not in line] == []
	testpmd.set_queues(QUEUES)


def received(testpmd):
	"""Packets from the guest."""
	return testpmd.port_stats()["ipackets"]


def test_largest_mtu_is_the_hosts(boot, testpmd):
	"""A later change reaches the driver when it is loaded; nobody resets it."""
	port = testpmd.port()
	testpmd.command(f"port config mtu {port} 1500")
	guest = boot()
	guest.load()
	assert largest_mtu(guest) == 1500
	guest.set_mtu(1400)
	guest.set_mtu(1500)
	guest.ping(1500)
	resets = info(testpmd)["resets"]
	testpmd.command(f"port config mtu {port} 9000")
	guest.ping(1500)
	assert info(testpmd)["resets"] == resets
	guest.check("rmmod iavf")
	guest.load(mtu=9000)
	assert largest_mtu(guest) == 9000

	# The rule for a guest that uses more than the port has by now: it goes on, what is longer is
	# dropped and counted, and passes as soon as the port takes it again.
	oversize = lambda: testpmd.errors()["rx_oversize_errors"]
	for mtu, dropped in ((1500, True), (4000, False), (9000, False)):
		testpmd.command(f"port config mtu {port} {mtu}")
		resets, before, taken = info(testpmd)["resets"], oversize(), received(testpmd)
		guest.run(f"ping -c 3 -i 0.2 -W 1 -s 3000 {guests.ADDRESS}")
		wait_for(lambda: oversize() - before + received(testpmd) - taken >= 3, "three frames")
		assert (oversize() - before >= 3) == dropped, mtu
		guest.ping(1500)
		assert info(testpmd)["resets"] == resets
	assert guest.complaints() == []
