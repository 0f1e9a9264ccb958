# SPDX-License-Identifier: BSD-3-Clause
"""Memory of the consumer that comes and goes while the device uses it."""

import os
import re
import subprocess

from pair import attach_another
from stock import BUILD, lcores, wait_for


def test_autotest_with_huge_pages():
	"""What "meson test" has to skip, as it runs without them."""
	done = subprocess.run((BUILD / "app" / "test" / "dpdk-test", f"--lcores={lcores(1)}",
		"--in-memory", "--single-file-segments", "-m", "64", "--no-pci", "--iova-mode=va",
		f"--file-prefix=emudev-autotest-{os.getpid()}", "-d", BUILD / "drivers",
		"vfio_user_pci_autotest"), capture_output=True, text=True, timeout=60)
	text = done.stdout + done.stderr
	assert done.returncode == 0, text
	assert re.search(r"[1-9]\d* passed, 0 failed, 0 skipped", text), text


def test_memory_plugged_under_traffic(pair):
	"""The rings of more devices come in new memory while the first one sends.

	Whether EAL can give a page back after them depends on what else lies there: that memory is
	closed again is for the autotest to show.
	"""
	queues, more = 16, (1, 2, 3)
	paths = {number: pair.socket.with_name(f"nic{number}.sock") for number in more}
	provider = pair.start_provider(queues, setup=("set fwd rxonly",), eal=tuple(
		f"--vdev=emu_iavf{n},path={path},queues={queues}" for n, path in paths.items()))
	# net_iavf reserves the largest rings, whatever their use; small ones need few buffers.
	consumer = pair.start_consumer(queues, memory=("--in-memory",),
		options=("--rxd=256", "--txd=256", "--total-num-mbufs=65536"))
	consumer.await_link()
	client = lambda: consumer.telemetry(f"/vfio_user/client/stats,{pair.socket}")
	first = consumer.port()

	def forward(*ports):
		consumer.command("stop")
		consumer.command(f"set portlist {','.join(map(str, ports))}")
		consumer.command("start")

	def flows():
		"""Frames arrive that were not even sent before."""
		sent = consumer.telemetry(f"/ethdev/stats,{first}")["opackets"]
		wait_for(lambda: provider.port_stats()["ipackets"] > sent + 1000, "traffic")

	consumer.command("set fwd txonly")
	forward(first)
	flows()
	before = client()
	added = [attach_another(consumer, f"vfio_user_pci{n}", paths[n]) for n in more]
	assert client()["dma_bytes"] > before["dma_bytes"], "no memory was plugged"
	flows()
	forward(first, *added)
	flows()
	for n in more:
		port = provider.port_named(f"iavf{n}")
		wait_for(lambda: provider.telemetry(f"/ethdev/stats,{port}")["ipackets"] > 1000,
			f"traffic of device {n}")

	forward(first)
	for port in added:
		consumer.command(f"port stop {port}")
		consumer.command(f"port detach {port}")
	flows()
	consumer.command("stop")
	sent = consumer.telemetry(f"/ethdev/stats,{first}")["opackets"]
	wait_for(lambda: provider.port_stats()["ipackets"] == sent, "arrival of all that was sent")
	assert client()["state"] == "connected" and client()["errors"] == before["errors"]
