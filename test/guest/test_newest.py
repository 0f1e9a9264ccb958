# SPDX-License-Identifier: BSD-3-Clause
"""The newest kernel that Debian has packaged: one boot, with what tells most of a driver."""

import pytest

import guest as guests
from checksums import takes_what_was_checked
from control import QUEUES, decides
from features import differences_in_common
from guest import NEWEST, NIC
from host import ADDRESS


LEGACY = 1  # RXDID of descriptors of 32 bytes.


def info(testpmd):
	return testpmd.telemetry("/emu_iavf/info,emu_iavf0")


@pytest.fixture(scope="module")
def running_guest(testpmd, tmp_path_factory):
	if reason := guests.why_missing(NEWEST):
		pytest.skip(reason)
	print("Linux", guests.release(NEWEST))
	guest = guests.Guest(tmp_path_factory.mktemp("guest"), testpmd.socket, kernel=NEWEST,
		cpus=QUEUES)
	try:
		guest.load()
		yield guest
	finally:
		guest.close()


def moves_data(guest):
	"""Checksums and segments are left to the device."""
	guest.ping()
	assert guest.iperf("-P", "4") > 0
	assert guest.iperf("-P", "4", "-R") > 0


# The kernel itself tells of a reset by sysfs; the driver has no callbacks for it, its watchdog finds out.
@pytest.mark.guest_may_say("Hardware reset detected", "resetting", "reset done")
def test_newest_kernel(guest, testpmd):
	assert guest.check("uname -r") == guests.release(NEWEST).split()[0]
	assert "driver: iavf" in guest.check(f"ethtool -i {NIC}")
	assert differences_in_common(guest, NIC) == {}
	assert "PTP Hardware Clock: none" in guest.check(f"ethtool -T {NIC}")
	assert f"{QUEUES} RX ring(s)" in guest.check(f"ethtool -x {NIC}")
	moves_data(guest)
	# The driver asks for flexible ones where it has timestamps only.
	queue = testpmd.telemetry("/emu_iavf/queue,emu_iavf0,0")["to_guest"]
	assert queue["descriptor_format"] == LEGACY
	takes_what_was_checked(guest, testpmd)
	decides(guest, testpmd)
	for command in (f"ethtool -L {NIC} combined 2", f"ethtool -G {NIC} rx 256 tx 1024",
			f"ip link set {NIC} mtu 4000", f"echo 1 > /sys/class/net/{NIC}/device/reset",
			f"ethtool -L {NIC} combined {QUEUES}"):
		guest.reconfigure(command)
		guest.ping(1500)
	for off in ("tso", "rx", "tx", "rxvlan", "txvlan"):
		guest.check(f"ethtool -K {NIC} {off} off && ethtool -K {NIC} {off} on")
	guest.check(f"ip link set {NIC} down")
	guest.up()
	guest.check("rmmod iavf")
	guest.load()
	assert " 0% packet loss" in guest.check(f"ping -c 20 -i 0.05 {ADDRESS}")
	assert not any(testpmd.errors().values()), testpmd.errors()
	assert info(testpmd)["virtchnl_errors"] == 0
