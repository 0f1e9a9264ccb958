# SPDX-License-Identifier: BSD-3-Clause
"""What is seen of devices from outside: dpdk-emudev-top, the endpoint of DPDK's exporter, trace points,
bodies of messages in the log."""

import importlib.machinery
import importlib.util
import re
import struct
import subprocess
import sys

from stock import BUILD, ROOT, wait_for

TOP = BUILD / "app" / "emudev_top" / "dpdk-emudev-top"
GUIDE = (ROOT / "doc" / "guides" / "howto" / "look_inside.rst").read_text(encoding="utf-8")


def top(*options):
	return subprocess.run([TOP, *options], capture_output=True, text=True, timeout=60)


def rows(text):
	"""Cells of each line."""
	return [re.split(r" {2,}", line.strip()) for line in text.splitlines()]


def test_top(running):
	before = top("--once", "--queues", "-i", "0.2", "-f", running.provider.prefix)
	assert (before.returncode, before.stderr) == (0, "")
	running.consumer.command("set fwd txonly")
	running.consumer.command("start")
	running.provider.command("start")
	wait_for(lambda: running.provider.port_stats()["ipackets"] > 1000, "traffic", 15)
	shown = rows(top("--once", "--queues", "-i", "0.5", "-f", running.provider.prefix).stdout)
	header, device = shown[0], shown[1]
	assert device[:6] == ["emu_iavf0", "yes", "active", "up", "0", "1/1"]
	assert re.fullmatch(r"[\d.]+[kMG]?", device[8]) and device[8] != "0"
	assert rows(before.stdout)[1][8] == "0" == device[10]
	queues = [row for row in shown if row[0] == "emu_iavf0/0"]
	assert [row[1] for row in queues] == ["from", "to"] and queues[0][2] == "1024"
	# The picture of the guide is one of this program.
	pictured = rows(GUIDE)
	assert header in pictured and shown[3] in pictured
	running.provider.command("stop")
	running.provider.command("port stop 0")
	last = top("--once", "-i", "0.1", "-f", running.provider.prefix).stdout
	assert "emu_iavf0: link down: the port is stopped" in last


def test_top_says_what_is_wrong():
	version = (ROOT / "VERSION").read_text().strip()
	assert top("--version").stdout == f"dpdk-emudev-top {version}\n"
	unknown = top("--once", "-f", "nobody-has-this-prefix")
	assert unknown.returncode == 1 and "no DPDK process with --file-prefix" in unknown.stderr
	assert top("--interval", "0").returncode == 2
	assert top("--socket", "/nonexistent").returncode == 1


class Process:
	"""Telemetry of two devices that have done so much."""

	def __init__(self, packets):
		ring = {"enabled": 1, "size": 512, "head": 3, "tail": 7, "waiting": 4, "vector": 2, "itr_us": 50}
		device = {"connected": 1, "state": "active", "queue_pairs_enabled": 1, "queue_pairs_offered": 16,
			"resets": 5, "virtchnl_errors": 6}
		self.answers = {
			("/net_iavf_be/list",): [8],
			("/net_iavf_be/info", 8): {"device": "first", "link_up": 1},
			("/net_iavf_be/queue", 8, 0): {
				"from_guest": {"packets": packets, "bytes": 100 * packets, "dropped": packets // 4},
				"to_guest": {"packets": 1000 - packets, "bytes": 0, "dropped": 2 * packets}},
			("/emu_iavf/list",): ["first", "second"],
			("/emu_iavf/info", "first"): device,
			("/emu_iavf/info", "second"): device | {"connected": 0, "queue_pairs_enabled": 0},
			("/emu_iavf/queue", "first", 0): {"from_guest": ring, "to_guest": ring | {"tail": 9}},
		}

	def ask(self, *command):
		return self.answers.get(command)


def test_what_top_computes(monkeypatch):
	monkeypatch.setattr(sys, "dont_write_bytecode", True)
	loader = importlib.machinery.SourceFileLoader("emudev_top", str(TOP))
	program = importlib.util.module_from_spec(importlib.util.spec_from_loader("emudev_top", loader))
	loader.exec_module(program)
	before, now = program.Sample(Process(100)), program.Sample(Process(900))
	now.time = before.time + 2
	shown = rows("\n".join(program.picture(program.Rates(before, now), True)))
	# A counter that has stepped back was cleared.
	assert shown[1] == ["first", "yes", "active", "up", "8", "1/16", "5", "6",
		"400", "320k", "100", "0", "0", "800"]
	assert shown[2] == ["second", "no", "active", "down", "-", "0/16", "5", "6", *["0"] * 6]
	assert shown[3] == ["second: link down: the device has no port"]
	assert shown[6] == ["first/0", "from", "512", "3", "7", "4", "2", "50", "400", "320k", "100"]
	assert shown[7] == ["first/0", "to", "512", "3", "9", "4", "2", "50", "0", "0", "800"]


class Socket:
	"""What DPDK's exporter hands to its endpoints."""

	def __init__(self, telemetry):
		self.telemetry = telemetry

	def cmd(self, uri, arg=None):
		return self.telemetry(uri if arg is None else f"{uri},{arg}")


def test_exporter_endpoint(running, monkeypatch):
	monkeypatch.setattr(sys, "dont_write_bytecode", True)
	place = ROOT / "app" / "emudev_top" / "emudev.py"
	spec = importlib.util.spec_from_file_location("emudev", place)
	endpoint = importlib.util.module_from_spec(spec)
	spec.loader.exec_module(endpoint)
	metrics = endpoint.metrics(Socket(running.provider.telemetry))
	assert {name for name, _, _ in metrics} == set(endpoint.info()) - {"virtchnl_refused"}
	value = {(name, *labels.values()): value for name, value, labels in metrics}
	assert value["connected", "emu_iavf0"] == value["link_up", "emu_iavf0"] == 1
	assert value["virtchnl_received", "emu_iavf0", "VERSION"] == 1
	assert value["ring_waiting", "emu_iavf0", 0, "to_guest"] > 0


def traced_events(folder):
	"""Names of the trace points that were met: an event begins with 48 bits of time and its number."""
	described = "".join(path.read_text() for path in folder.rglob("metadata"))
	names = {int(number): name
		for number, name in re.findall(r"event \{\s*id = (\d+);\s*name = \"([^\"]+)\"", described)}
	traced = b"".join(path.read_bytes() for path in folder.rglob("channel0_*"))
	numbers = {word >> 48 for (word,) in struct.iter_unpack("<Q", traced[:len(traced) // 8 * 8])}
	return traced, {names[number] for number in numbers if number in names}


TOLD = [r"\S+: client connected", r"emu_iavf0: a driver begins: virtchnl 1\.1, 1 queue pairs, capabilities 0x[0-9a-f]+",
	r"emu_iavf0: link up, \d+ Mbit/s", r"emu_iavf0: reset: \w+.*", r"emu_iavf0: link down: .+",
	r"\S+: client disconnected: client closed", r"emu_iavf0: reset: client gone"]


def test_messages_and_traces(pair, tmp_path):
	"""All that a driver says can be read; what it brings about is traced; and who comes and goes is told."""
	pair.start_provider(eal=("--log-level=pmd.emu.iavf.driver:debug",
		"--trace=pmd.emu.iavf.*", f"--trace-dir={tmp_path}"))
	pair.start_consumer()
	pair.consumer.await_link()
	log = pair.provider.log()
	for said in (r"VIRTCHNL_OP_VERSION \(1\) of the driver, status 0, 8 bytes: major=1 minor=1$",
			r"VIRTCHNL_OP_GET_VF_RESOURCES \(3\) to the driver, status 0, 36 bytes: num_vsis=1 "
				r"num_queue_pairs=1 .* vsi: vsi_id=\d+ .* default_mac_addr=[0-9a-f]{12}$",
			r"VIRTCHNL_OP_CONFIG_VSI_QUEUES \(6\) of .* pair: txq.queue_id=0 txq.ring_len=1024 "
				r".*rxq.max_pkt_size=\d+ ",
			r"VIRTCHNL_OP_EVENT \(17\) to the driver, status 0, 16 bytes: event=1 .*link_status=1"):
		assert re.search(said, log, re.MULTILINE), said
	assert not re.search(r"VIRTCHNL_OP_\w+ \(\d+\) \w+ the driver, status 0, [1-9]\d* bytes: (?![\w.]+=)", log)
	assert pair.consumer.quit() == 0
	pair.provider.await_log("reset: client gone")
	for told in TOLD:
		assert re.search(rf": {told}$", pair.provider.log(), re.MULTILINE), told
	assert pair.provider.quit() == 0
	traced, names = traced_events(tmp_path)
	assert names >= {f"pmd.emu.iavf.{name}"
		for name in ("client", "state", "reset", "virtchnl", "queue", "link")}
	assert b"emu_iavf0" in traced and b"resources" in traced
