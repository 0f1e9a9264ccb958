# SPDX-License-Identifier: BSD-3-Clause
"""Either side comes and goes at any time; the other lives on."""

import guest as guests
from stock import wait_for

MAILBOX_ROOM = 32  # Of Linux's driver, in messages.


def info(testpmd):
	return testpmd.telemetry("/emu_iavf/info,emu_iavf0")


def disconnected(testpmd):
	wait_for(lambda: not testpmd.connected(), "end of the connection")


def all_is_counted(testpmd, before):
	"""What has come at either of the host's ports was sent at the other one, or dropped and counted."""
	wait_for(lambda: testpmd.unaccounted() == before, "account of all packets")


def test_killed_under_traffic(boot, testpmd):
	"""kill -9 at a different moment of the stream each time, in both directions."""
	before = testpmd.unaccounted()
	for options in ("", "-R"):
		victim = boot()
		victim.load()
		testpmd.namespace.serve_iperf()
		victim.start(f"iperf3 -c {guests.ADDRESS} -t 60 {options}")
		received = testpmd.port_stats()["ipackets"]
		wait_for(lambda: testpmd.port_stats()["ipackets"] > received + 100, "traffic", 30)
		victim.kill()
		disconnected(testpmd)
		all_is_counted(testpmd, before)
	guest = boot()
	guest.load()
	guest.ping()
	testpmd.namespace.serve_iperf()
	assert guest.iperf() > 0
	assert not guest.complaints()


def test_killed_while_driver_loads(boot, testpmd):
	victim = boot()
	before, counts = testpmd.stats()["messages"], testpmd.unaccounted()
	victim.start("modprobe iavf")
	wait_for(lambda: testpmd.stats()["messages"] > before, "access of the driver")
	victim.kill()
	disconnected(testpmd)
	all_is_counted(testpmd, counts)


def under_traffic(guest, testpmd):
	guest.start(f"iperf3 -c {guests.ADDRESS} -t 60")


def in_a_reset(guest, testpmd):
	"""The driver has not come back from it, or has not even begun."""
	assert testpmd.telemetry("/emu_iavf/reset,emu_iavf0")


def with_a_full_mailbox(guest, testpmd):
	"""The guest takes no messages, and more have come than its ring has room for."""
	before = info(testpmd)
	guest.qmp.execute("stop")
	for _ in range(MAILBOX_ROOM):
		for link in ("down", "auto"):
			assert testpmd.telemetry(f"/emu_iavf/set,emu_iavf0,link={link}")
	sent = info(testpmd)["adminq_sent"] - before["adminq_sent"]
	assert MAILBOX_ROOM // 2 <= sent < 2 * MAILBOX_ROOM


# Whether the driver is loaded, and what happens then.
REBOOTS = [(False, None), (True, None), (True, under_traffic), (True, in_a_reset),
	(True, with_a_full_mailbox)]


def test_guest_reboot(boot, testpmd):
	"""In any state of the driver; nothing of it is left for the next."""
	guest, counts = boot(), testpmd.unaccounted()
	for loaded, happens in REBOOTS:
		if loaded:
			guest.load()
			guest.ping()
		if happens:
			happens(guest, testpmd)
		guest.qmp.execute("system_reset")
		guest.qmp.execute("cont")
		guest.await_boot_()
		left = info(testpmd)
		assert left["state"] != "active" and not left["queue_pairs_enabled"]
	guest.load()
	guest.ping()
	assert not guest.complaints()
	all_is_counted(testpmd, counts)


def test_port_starts_after_the_guest(boot, testpmd):
	port = testpmd.port()
	testpmd.command("stop")
	testpmd.command(f"port stop {port}")
	guest = boot()
	guest.check("modprobe iavf")
	guest.await_interface()
	guest.check(f"ip link set {guests.NIC} up")
	assert not guest.carrier()
	testpmd.command(f"port start {port}")
	testpmd.command("start")
	guest.up()
	guest.ping()
