# SPDX-License-Identifier: BSD-3-Clause
"""Either side comes and goes; the other lives on, and nothing grows."""

import pwd
import re
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from pair import attach, detach, detach_port, start_without_device, traffic_passes
from stock import Failure, rx_drops, stream_counts, wait_for

ROUNDS_OF_START = 50
ROUNDS_OF_ATTACH = 20


def grown(before, end):
	now = end.resources()
	if end.is_consumer:
		# Vector functions of net_iavf free sent buffers when they need their places, and lose what
		# is in a Tx ring that stops.
		del now["mbufs"]
	return {what: (before[what], now[what]) for what in now if now[what] > before[what]}


def check_no_growth(before, end):
	try:
		wait_for(lambda: not grown(before, end), "return to the resources of before", 10)
	except Failure:
		pytest.fail(f"{end.folder.name} holds more (before, after): {grown(before, end)}")


def test_port_stop_and_start(running):
	traffic_passes(running)
	before = {end: end.resources() for end in (running.provider, running.consumer)}
	port = running.consumer.port()
	for _ in range(ROUNDS_OF_START):
		running.consumer.command(f"port stop {port}")
		running.consumer.command(f"port start {port}")
	running.consumer.await_link()
	traffic_passes(running)
	assert "Fail" not in running.consumer.log()
	for end, resources in before.items():
		check_no_growth(resources, end)


def test_host_port_stop_and_start(running):
	traffic_passes(running)
	for _ in range(10):
		running.provider.command("stop")
		running.provider.command("port stop 0")
		running.provider.command("port start 0")
		running.provider.command("start")
	running.consumer.await_link()
	traffic_passes(running)


def test_host_port_reset(running):
	traffic_passes(running)
	port = running.provider.port()
	for line in ("stop", f"port stop {port}", f"port reset {port}", f"port start {port}", "start"):
		assert "Fail" not in running.provider.command(line)
	running.consumer.await_link()
	traffic_passes(running)


@pytest.mark.parametrize("stopped", [("port {port} rxq 0 stop",),
	("port stop {port}", "port {port} rxq 0 deferred_start on", "port start {port}")],
	ids=["stopped", "deferred"])
def test_host_queue_is_started_later(pair, make_frames, stopped):
	"""What waits in the ring meanwhile arrives."""
	frames = make_frames(300)
	provider = pair.start_provider()
	consumer = pair.start_consumer(frames={0: frames})
	port = provider.port()
	for line in ("stop", *(line.format(port=port) for line in stopped), "start"):
		assert "Fail" not in provider.command(line)
	consumer.await_link()
	consumer.command("start")
	source = consumer.port_named("pcap")
	wait_for(lambda: consumer.telemetry(f"/ethdev/stats,{source}")["ipackets"] == len(frames),
		"frames of the consumer")
	assert provider.all_received() == []
	for line in ("stop", f"port {port} rxq 0 start", "start"):
		provider.command(line)
	wait_for(lambda: len(provider.all_received()) >= len(frames), "what has waited")
	assert provider.all_received() == sorted(frames)


def test_host_port_detach_and_attach(pair):
	"""Another back-end goes on where the first one has left the rings."""
	back_end = "net_iavf_be0,emu=emu_iavf0"
	provider = pair.start_provider(devargs=",ethdev=0", eal=(f"--vdev={back_end}",))
	consumer = pair.start_consumer()
	consumer.await_link()
	for _ in range(3):
		traffic_passes(pair)
		provider.command("stop")
		detach_port(provider)
		wait_for(lambda: not consumer.link_is_up(), "link down")
		provider.command(f"port attach {back_end}")
		provider.command(f"port start {provider.port()}")
		provider.command("start")
		consumer.await_link()
	traffic_passes(pair)


def close_and_attach(provider, back_end):
	"""The port ends first, and its device later."""
	provider.command(f"port close {provider.port()}")
	wait_for(lambda: not provider.has_port(), "end of the port")
	provider.command(f"device detach {back_end.split(',')[0]}")
	provider.command(f"port attach {back_end}")


def detach_and_attach(provider, back_end):
	provider.command(f"port detach {provider.port()}")
	wait_for(lambda: not provider.has_port(), "end of the port")
	provider.command(f"port attach {back_end}")


# What becomes of a port that is stopped, and whether its counters begin anew.
HOST_PORTS = {
	"stop": (lambda provider, back_end: None, False),
	"close": (close_and_attach, True),
	"detach": (detach_and_attach, True),
}


@pytest.mark.parametrize("way", HOST_PORTS)
def test_no_frame_is_lost_as_the_host_port_comes_and_goes(pair, way):
	"""The consumer sends all the time: what it has sent, counted by itself, is what the ports of all
	times have taken, and what the host has received, counted by itself."""
	happens, anew = HOST_PORTS[way]
	back_end = "net_iavf_be0,emu=emu_iavf0"
	provider = pair.start_provider(2, devargs=",ethdev=0", eal=(f"--vdev={back_end}",),
		setup=("set fwd rxonly",))
	consumer = pair.start_consumer(2)
	consumer.await_link()
	consumer.command("set fwd txonly")
	consumer.command("start")
	taken = received = 0
	for last in (False, False, False, True):
		port, before = provider.port(), provider.port_stats()["ipackets"]
		wait_for(lambda: provider.port_stats()["ipackets"] > before + 1000, "traffic")
		if last:
			sent = stream_counts(consumer.command("stop"), consumer.port())[1]
			wait_for(lambda: taken_of(provider) + taken >= sent, "arrival of all that was sent")
		received += stream_counts(provider.command("stop"), port)[0]
		provider.command(f"port stop {port}")
		if last or anew:
			taken += taken_of(provider)
		if not last:
			happens(provider, back_end)
			provider.command(f"port start {provider.port()}")
			provider.command("start")
	assert (sent, taken) == (taken, received)


def taken_of(end):
	"""Frames of the guest that the host's port has taken."""
	xstats = end.telemetry(f"/ethdev/xstats,{end.port()}")
	return xstats["rx_good_packets"] + rx_drops(xstats)


def test_host_takes_queues_back(pair):
	"""A driver that is there keeps those it was told of; one that begins is told of fewer."""
	provider, consumer = pair.start_provider(queues=2), pair.start_consumer(queues=2)
	consumer.await_link()
	traffic_passes(pair)
	one_queue(provider)
	provider.command("start")
	consumer.await_link()
	traffic_passes(pair)
	assert "reset event" not in consumer.log()
	told = lambda: provider.telemetry("/emu_iavf/info,emu_iavf0")["queue_pairs_told"]
	assert told() == 2
	consumer.command("stop")
	consumer.command("port stop all")
	assert "Fail" not in consumer.command(f"port reset {consumer.port()}")
	assert told() == 1
	one_queue(consumer)
	consumer.await_link()
	traffic_passes(pair)


def one_queue(end):
	end.command("stop")
	end.command("port stop all")
	for direction in ("rxq", "txq"):
		end.command(f"port config all {direction} 1")
	end.command("port start all")


def test_detach_and_attach(running):
	detach(running)
	attach(running)
	before = {end: end.resources() for end in (running.provider, running.consumer)}
	for _ in range(ROUNDS_OF_ATTACH):
		detach(running)
		attach(running)
	traffic_passes(running)
	for end, resources in before.items():
		check_no_growth(resources, end)


def test_consumer_killed(running):
	traffic_passes(running)
	before = running.provider.resources()
	for _ in range(3):
		running.consumer.command("set fwd txonly")
		running.consumer.command("start")
		running.consumer.kill()
		running.start_consumer(devargs=",wait_ms=5000")
		running.consumer.await_link()
		traffic_passes(running)
	running.consumer.kill()
	check_no_growth(before, running.provider)


def test_provider_killed(running):
	traffic_passes(running)
	consumer = running.consumer
	consumer.command("set fwd txonly")
	consumer.command("start")
	running.provider.kill()
	# testpmd removes a device at RTE_ETH_EVENT_INTR_RMV: while it still sends, at first.
	consumer.await_log("device removal event")
	assert f"the server at {running.socket} is gone" in consumer.log()
	wait_for(lambda: not consumer.has_port(), "removal of the dead device", 60)
	consumer.command("stop")
	before = consumer.resources()
	for _ in range(2):
		running.start_provider()
		attach(running)
		traffic_passes(running)
		running.provider.kill()
		wait_for(lambda: not consumer.has_port(), "removal of the dead device", 60)
	check_no_growth(before, consumer)


def test_telemetry_of_both_sides(running):
	"""Client and server count the same, and packets need no messages."""
	path = str(running.socket)
	there, here = running.provider.telemetry, running.consumer.telemetry
	client = lambda: here(f"/vfio_user/client/stats,{path}")
	assert here("/vfio_user/client/list") == [path] == there("/vfio_user/list")
	before = client()
	assert (before["path"], before["state"]) == (path, "connected")
	assert before["requests"] == before["replies"] > 0
	assert before["dma_regions"] == there(f"/vfio_user/stats,{path}")["dma_regions"] > 0
	assert before["dma_bytes"] >= 128 << 20  # MEMORY
	traffic_passes(running)
	assert client() == before
	detach(running)
	assert here("/vfio_user/client/list") == []
	assert client() is None


MEMORY_MODES = {
	"in memory": ("--in-memory", "-m", "128"),
	"all dynamic": ("--in-memory",),
	"one file": ("--in-memory", "--single-file-segments", "-m", "128"),
	"one file, dynamic": ("--in-memory", "--single-file-segments"),
	"no huge pages": ("--no-huge", "-m", "256"),
	"file system": ("-m", "128"),
	"file system, one file, dynamic": ("--single-file-segments",),
}


# A mount of hugetlbfs that nobody else sees, and that ends with the process.
MOUNT = "mount -t hugetlbfs -o pagesize=2M none \"$0\" && exec \"$@\""


@pytest.mark.parametrize("mode", MEMORY_MODES)
def test_memory_modes(pair, tmp_path, mode):
	"""testpmd makes its buffers after the attach: in a dynamic mode, of new memory."""
	options = {"memory": MEMORY_MODES[mode]}
	folder = tmp_path / "huge"
	if "file system" in mode:
		folder.mkdir()
		options["memory"] += ("--huge-dir", str(folder))
		options["launcher"] = ("unshare", "--mount", "sh", "-c", MOUNT, str(folder))
	pair.start_provider()
	pair.start_consumer(**options)
	pair.consumer.await_link()
	if "file system" in mode:
		assert f"{folder}/" in pair.consumer.mapped_files()
	traffic_passes(pair)
	assert pair.consumer.quit() == 0


def test_devices_are_shown_with_their_ports(running):
	"""Each side's own device, by the driver that made the port."""
	for end, bus, driver in ((running.provider, "vdev", "emu_iavf"),
			(running.consumer, "vfio_user", "net_iavf")):
		shown = end.command("show device info all")
		device = next(text for text in shown.split("Infos for device")
			if f"Driver name: {driver}\n" in text)
		assert f"Bus name: {bus}" in device
		assert re.search(rf"Port id: {end.port()}\b", device), shown


def test_several_devices(pair):
	other = pair.socket.with_name("nic1.sock")
	pair.start_provider(eal=(f"--vdev=emu_iavf1,path={other}",))
	pair.start_consumer(eal=(f"--vdev=vfio_user_pci1,path={other}",))
	names = {pair.consumer.telemetry(f"/ethdev/info,{port}")["name"]
		for port in pair.consumer.telemetry("/ethdev/list")}
	assert names == {"vfio_user_pci0", "vfio_user_pci1", "net_pcap0"}
	assert pair.consumer.quit() == 0
	assert pair.provider.alive()


def test_rights_of_the_socket(pair):
	"""For a virtual machine of another user."""
	nobody = pwd.getpwnam("nobody").pw_uid
	pair.start_provider(devargs=",mode=0620,owner=nobody,group=12345")
	found = pair.socket.stat()
	assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o620, nobody, 12345)


WRONG = {
	"path=/nonexistent,color=red":
		"unknown key in \"color=red\"; allowed are path, timeout_ms, wait_ms, attach_ms",
	"timeout_ms=5": "the key path is missing",
	"path=/x,timeout_ms=0": "\"timeout_ms=0\" is not valid; allowed is 1 to 600000",
	"path=/x,wait_ms=1s": "\"wait_ms=1s\" is not valid; allowed is 0 to 600000",
	f"path=/{'x' * 107}": "allowed is the path of a socket, at most 107 bytes",
	"path=/nonexistent": "cannot attach to /nonexistent: No such file or directory",
}


def test_devargs(pair):
	"""Each is refused with a reason, in a testpmd that goes on."""
	consumer = start_without_device(pair)
	for devargs, reason in WRONG.items():
		answer = consumer.command(f"port attach vfio_user_pci0,{devargs}")
		assert reason in answer, f"{devargs}: {answer}"


def test_consumer_first(pair):
	"""A consumer waits for its server as long as it is told to."""
	consumer = start_without_device(pair)
	command = f"port attach vfio_user_pci0,path={pair.socket},wait_ms"
	assert "cannot attach" in consumer.command(f"{command}=300")
	with ThreadPoolExecutor() as later:
		answer = later.submit(consumer.command, f"{command}=20000")
		pair.start_provider()
		assert "is attached" in answer.result()
