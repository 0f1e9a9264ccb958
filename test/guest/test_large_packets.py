# SPDX-License-Identifier: BSD-3-Clause
"""Large packets of TCP stay large on their way between two guests.

One guest is given them whole (lro=1), the other gets frames.
"""

import json

import pytest

import guest as guests
import host
from stock import Failure

# Linux wonders, once, at receives that are longer than a segment and do not say of how many.
pytestmark = pytest.mark.guest_may_say("suspect GRO implementation")

PEER_ADDRESS = "192.0.2.3"
LINK_MTU = 1500
REQUESTS = "tcp_lro", "ipv4_cksum", "tcp_cksum", "udp_cksum"
OUT = "ipv4_cksum", "tcp_cksum", "udp_cksum", "tcp_tso"


@pytest.fixture(scope="module")
def testpmd(tmp_path_factory):
	"""Two devices and a tap, whose ports hand on what they have not carried out."""
	folder = tmp_path_factory.mktemp("host")
	second = f"--vdev=emu_iavf1,path={folder}/nic1.sock"
	process = host.Testpmd(folder, devargs=",lro=1", eal=(second,))
	try:
		process.wire_vectors()
		for line in ("stop", "port stop all"):
			process.command(line)
		for name in ("emu_iavf0", "emu_iavf1"):
			configure(process, port_named(process, name), REQUESTS, OUT)
		configure(process, port_named(process, "net_tap"), (), OUT)
		process.command("port start all")
		yield process
		assert process.quit() == 0, process.log()[-3000:]
	finally:
		process.close()


def configure(process, port, rx, tx):
	for what, names in (("rx", rx), ("tx", tx)):
		for name in names:
			process.command(f"port config {port} {what}_offload {name} on")


def port_named(process, name):
	return next(port for port in process.telemetry("/ethdev/list")
		if name in process.telemetry(f"/ethdev/info,{port}")["name"])


def join(process, *names):
	"""Forwards between two ports; returns their numbers."""
	ports = [port_named(process, name) for name in names]
	process.command("stop")
	process.command(f"set portlist {ports[0]},{ports[1]}")
	process.command("start")
	return ports


@pytest.fixture(scope="module")
def peer(testpmd, tmp_path_factory):
	"""The guest that gets frames."""
	folder = tmp_path_factory.mktemp("peer")
	join(testpmd, "emu_iavf0", "emu_iavf1")
	other = guests.Guest(folder, testpmd.socket.with_name("nic1.sock"))
	try:
		other.load()
		other.check(f"ip address flush dev {guests.NIC} && "
			f"ip address add {PEER_ADDRESS}/{host.PREFIX} dev {guests.NIC}")
		other.start("iperf3 -s")
		yield other
	finally:
		other.close()


def stream(guest, to, *options):
	"""Runs iperf3; returns the received bits per second, and how many segments were lost."""
	command = " ".join([f"iperf3 -J -c {to} -t 3", *options])
	status, output = guest.run(command, 60)
	report = json.loads(output) if output.startswith("{") else {"error": output}
	if status or "error" in report:
		raise Failure(f"guest: {command}: status {status}: {report.get('error')}")
	end = report["end"]
	return end["sum_received"]["bits_per_second"], end["sum_sent"].get("retransmits", 0)


def lengths(process, ports, run):
	"""Average lengths of what the ports receive and send while a stream runs towards the second."""
	names = [(ports[0], "i"), (ports[1], "o")]

	def read():
		found = [(process.telemetry(f"/ethdev/stats,{port}"), way) for port, way in names]
		return [(one[f"{way}bytes"], one[f"{way}packets"]) for one, way in found]
	before = read()
	rate, lost = run()
	after = read()
	return rate, lost, [(b[0] - a[0]) / (b[1] - a[1]) for a, b in zip(before, after)]


def errors(process, port):
	xstats = process.telemetry(f"/ethdev/xstats,{port}")
	return {name: value for name, value in xstats.items() if value and "error" in name}


@pytest.mark.parametrize("options", [(), ("-P", "4")], ids=["1 stream", "4 streams"])
@pytest.mark.parametrize("whole", [False, True], ids=["cut", "lro=1"])
def test_guest_to_guest(guest, peer, testpmd, whole, options):
	names = ("emu_iavf1", "emu_iavf0") if whole else ("emu_iavf0", "emu_iavf1")
	ports = join(testpmd, *names)
	more = ("-R",) if whole else ()
	rate, lost, (received, sent) = lengths(testpmd, ports,
		lambda: stream(guest, PEER_ADDRESS, *options, *more))
	print(f"{rate / 1e6:.0f} Mbit/s, {lost} lost, {received:.0f} to {sent:.0f} bytes")
	assert rate > 0
	assert received > 2 * LINK_MTU, "TSO requests are handed over"
	assert sent > 2 * LINK_MTU if whole else sent <= LINK_MTU + 14
	assert not errors(testpmd, ports[0]) and not errors(testpmd, ports[1])


def test_tap_to_guest(guest, testpmd):
	ports = join(testpmd, "emu_iavf0", "net_tap")
	rate, lost = stream(guest, guests.ADDRESS, "-R")
	print(f"{rate / 1e6:.0f} Mbit/s, {lost} lost")
	assert rate > 0
	assert not errors(testpmd, ports[0])
