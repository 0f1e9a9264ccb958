# SPDX-License-Identifier: BSD-3-Clause
"""The host's application stops and starts its port while a guest runs."""

import guest as guests
from stock import wait_for


def test_port_stop_and_start(guest, testpmd):
	"""The guest sees its link go and come; nothing else has to be done."""
	port = testpmd.port()
	for _ in range(3):
		testpmd.command("stop")
		testpmd.command(f"port stop {port}")
		wait_for(lambda: not guest.carrier(), "loss of the link in the guest")
		testpmd.command(f"port start {port}")
		testpmd.command("start")
		guest.await_link()
		guest.ping()


def test_port_stop_and_start_under_traffic(guest, testpmd):
	port = testpmd.port()
	guest.start(f"iperf3 -c {guests.ADDRESS} -t 8")
	for _ in range(3):
		testpmd.command("stop")
		testpmd.command(f"port stop {port}")
		testpmd.command(f"port start {port}")
		testpmd.command("start")
	guest.run("killall iperf3")
	guest.await_link()
	guest.ping()
