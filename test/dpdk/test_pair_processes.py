# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's own programs look at the port from secondary processes, and capture what passes there."""

import os
import re
import shutil
import signal
import subprocess

import pytest

from pair import Endpoint, read_pcap, traffic_passes
from stock import BUILD, TESTPMD, execute, sanitizer_environment, wait_for

# A mount of hugetlbfs that nobody else sees, and that ends with the process.
MOUNT = "mount -t hugetlbfs -o pagesize=2M none \"$0\" && exec \"$@\""
QUEUES = 2


@pytest.fixture
def shared(pair, tmp_path):
	"""A pair whose provider has memory that other processes find."""
	folder = tmp_path / "huge"
	folder.mkdir()

	def start(to_provider=None, **options):
		provider = pair.start_provider(QUEUES,
			memory=("-m", "128", "--huge-dir", str(folder)),
			launcher=("unshare", "--mount", "sh", "-c", MOUNT, str(folder)), **options)
		pair.start_consumer(QUEUES, frames=to_provider)
		pair.consumer.await_link()
		return provider
	pair.start = start
	return pair


def beside(provider, program):
	"""A command that begins in the provider's view of the file system."""
	return ("nsenter", "--mount", f"--target={provider.process.pid}", program)


def eal(provider):
	return (f"--file-prefix={provider.prefix}", "-d", str(BUILD / "drivers"), "--no-pci")


def proc_info(provider, *options):
	done = subprocess.run((*beside(provider, "dpdk-proc-info"), *eal(provider), "--",
		f"-p{1 << provider.port():x}", *options), capture_output=True, text=True, timeout=60,
		env=os.environ | sanitizer_environment())
	assert done.returncode == 0, done.stdout + done.stderr
	return done.stdout


def environment():
	"""Drivers of mempools are numbered as they are loaded. Some are linked to testpmd: without them
	a pool of the other program is not usable there, and all that it would capture is dropped."""
	env = sanitizer_environment()
	linked = re.findall(r"(/\S*librte_mempool_\S+)", execute("ldd", shutil.which(TESTPMD)))
	return os.environ | env | {"LD_PRELOAD": ":".join(
		filter(None, (env.get("LD_PRELOAD"), *linked)))}


def environment_with_drivers():
	"""For programs that have no option for drivers, and find those that are installed."""
	env = environment()
	ours = (str(BUILD / "drivers" / f"librte_{name}.so") for name in ("emu_iavf", "net_iavf_be"))
	return env | {"LD_PRELOAD": ":".join(filter(None, (env["LD_PRELOAD"], *ours)))}


class Capture:
	"""A program that captures until it gets a signal."""

	def __init__(self, command, env, log):
		self.log_ = open(log, "w+", encoding="utf-8")
		self.process_ = subprocess.Popen(command, stdout=self.log_, stderr=self.log_, env=env,
			stdin=subprocess.DEVNULL)

	def __enter__(self):
		return self

	def __exit__(self, *_):
		self.process_.kill()
		self.process_.wait()
		self.log_.close()

	def log(self):
		with open(self.log_.name, encoding="utf-8") as file:
			return file.read()

	def finish(self):
		self.process_.send_signal(signal.SIGINT)
		assert self.process_.wait(30) == 0, self.log()


def counters(text):
	return {name: int(value) for name, value in re.findall(r"^(\w+): (\d+)$", text, re.M)}


def test_statistics_from_outside(shared):
	provider = shared.start()
	traffic_passes(shared)
	provider.command("stop")
	port = provider.port()
	stats = proc_info(provider, "--stats")
	here = provider.port_stats()
	assert here["ipackets"] > 1000
	for name, count in (("RX-packets", here["ipackets"]), ("RX-bytes", here["ibytes"])):
		assert re.search(rf"{name}: *(\d+)", stats)[1] == str(count), stats
	xstats = counters(proc_info(provider, "--xstats"))
	assert xstats and xstats == provider.telemetry(f"/ethdev/xstats,{port}")
	assert sum(xstats[f"rx_q{queue}_packets"] for queue in range(QUEUES)) == here["ipackets"]
	shown = proc_info(provider, "--show-port")
	for wanted in ("driver emu_iavf device emu_iavf0", "Link up", "burst mode : Scalar",
			f"- {QUEUES - 1} descriptors 1024"):
		assert wanted in shown, shown
	rings = provider.telemetry(f"/ethdev/dump_priv,{port}")
	assert str(rings).count("ring of 1024 descriptors") == 2 * QUEUES, rings
	proc_info(provider, "--stats-reset")
	after = provider.telemetry(f"/ethdev/xstats,{port}")
	assert after.keys() == xstats.keys() and not any(after.values())
	# What has looked is gone, and nobody has noticed.
	provider.command("start")
	traffic_passes(shared)


def capture_echo(shared, frames, program, arguments, started, env, tmp_path):
	"""The provider sends back what it gets, while a program captures both."""
	provider = shared.start(to_provider=frames, start=False)
	provider.command(f"set portlist {provider.port()}")
	# Before ports that the program makes, which testpmd would want to be started.
	provider.command("start")
	with Capture((*beside(provider, program), *arguments(provider)), env,
			tmp_path / "capture.log") as capture:
		wait_for(lambda: started in capture.log(), "beginning of the capture", 30)
		shared.consumer.command("start")
		count = sum(map(len, frames.values()))
		wait_for(lambda: provider.port_stats()["opackets"] == count, "all frames", 15)
		capture.finish()
	assert provider.port_stats()["ipackets"] == count
	assert provider.alive()


def test_dumpcap(shared, make_frames, tmp_path):
	frames = {queue: make_frames(100) for queue in range(QUEUES)}
	file = tmp_path / "capture.pcap"
	capture_echo(shared, frames, "dpdk-dumpcap", lambda provider: ("--file-prefix",
		provider.prefix, "-i", "emu_iavf0", "-P", "-w", str(file)), "Packets captured",
		environment_with_drivers(), tmp_path)
	assert sorted(read_pcap(file)) == sorted(2 * sum(frames.values(), []))


def test_pdump(shared, make_frames, tmp_path):
	frames = {queue: make_frames(100) for queue in range(QUEUES)}
	files = tmp_path / "rx.pcap", tmp_path / "tx.pcap"
	capture_echo(shared, frames, "stdbuf", lambda provider: ("-oL", "dpdk-pdump",
		*eal(provider), "--", "--pdump", "device_id=emu_iavf0,queue=*,"
		f"rx-dev={files[0]},tx-dev={files[1]}"), "capture for", environment(), tmp_path)
	for file in files:
		assert sorted(read_pcap(file)) == sorted(sum(frames.values(), []))


class Observer(Endpoint):
	"""A testpmd that is a secondary process of the provider."""

	def __init__(self, provider):
		self.provider_ = provider
		super().__init__(provider.folder.parent, "observer", "", QUEUES, start=False)

	def start_(self, _prefix, _memory, _eal, _options, launcher=()):
		self.spawn_((*beside(self.provider_, TESTPMD), "--proc-type=secondary", "-l", "0,1",
			*eal(self.provider_), "--", "--interactive", "--num-procs=2", "--proc-id=1",
			f"--rxq={QUEUES}", f"--txq={QUEUES}"))
		self.await_prompt_(0, 60)


def test_second_testpmd(shared):
	"""It shows statistics; it does not get packets, and says so; ports come and go for it too."""
	provider = shared.start()
	traffic_passes(shared)
	port = provider.port()
	observer = shared.add_(Observer(provider))
	assert "emu_iavf0" in observer.command(f"show port info {port}")
	provider.command("stop")
	packets = provider.port_stats()["ipackets"]
	assert packets > 0
	assert re.search(rf"RX-packets: {packets}\b", observer.command(f"show port stats {port}"))
	observer.command("start")
	observer.await_log("only the primary process receives and transmits")
	observer.command("stop")
	assert observer.log().count("only the primary process") == 1
	other = shared.socket.with_name("nic1.sock")
	provider.command(f"port attach emu_iavf1,path={other}")
	added = provider.port_named("emu_iavf1")
	assert "emu_iavf1" in observer.command(f"show port info {added}")
	answer = provider.command(f"port detach {added}")
	assert "is detached" in answer, answer
	assert observer.quit() == 0
	provider.command("start")
	traffic_passes(shared)
