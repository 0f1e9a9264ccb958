# SPDX-License-Identifier: BSD-3-Clause
"""Either side comes and goes at any time; the other lives on."""

import guest as guests
from stock import wait_for


def disconnected(testpmd):
	wait_for(lambda: not testpmd.connected(), "end of the connection")


def test_killed_under_traffic(boot, testpmd):
	"""kill -9 at a different moment of the stream each time, in both directions."""
	for options in ("", "-R"):
		victim = boot()
		victim.load()
		testpmd.namespace.serve_iperf()
		victim.start(f"iperf3 -c {guests.ADDRESS} -t 60 {options}")
		received = testpmd.port_stats()["ipackets"]
		wait_for(lambda: testpmd.port_stats()["ipackets"] > received + 100, "traffic", 30)
		victim.kill()
		disconnected(testpmd)
		assert testpmd.alive()
	guest = boot()
	guest.load()
	guest.ping()
	testpmd.namespace.serve_iperf()
	assert guest.iperf() > 0
	assert not guest.complaints()


def test_killed_while_driver_loads(boot, testpmd):
	victim = boot()
	before = testpmd.stats()["messages"]
	victim.start("modprobe iavf")
	wait_for(lambda: testpmd.stats()["messages"] > before, "access of the driver")
	victim.kill()
	disconnected(testpmd)


def test_guest_reboot(boot):
	"""When it is idle, and under traffic."""
	guest = boot()
	for command in ("true", f"iperf3 -c {guests.ADDRESS} -t 60"):
		guest.load()
		guest.ping()
		guest.start(command)
		guest.reset()
	guest.load()
	guest.ping()
	assert not guest.complaints()


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
