# SPDX-License-Identifier: BSD-3-Clause
"""A Linux guest in QEMU, and the commands it runs for a test."""

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from host import ADDRESS, GUEST_ADDRESS, PREFIX
from stock import DIE_WITH_US, ROOT, Failure, execute, wait_for

MEMORY = {
	"memfd": "memory-backend-memfd,id=ram,size=512M,share=on",
	"hugetlb": "memory-backend-memfd,id=ram,size=512M,share=on,hugetlb=on,hugetlbsize=2M",
	"private": "memory-backend-ram,id=ram,size=512M",
}
KERNELS = ("6.12", "6.1")
NEWEST, OLDEST = "newest", "5.10"  # There may be none: see why_missing().
# Of guests whose test names none.
KERNEL = os.environ.get("EMUDEV_GUEST_KERNEL", KERNELS[0])
NIC = "eth0"
# Virtual IOMMUs that translate: arguments of QEMU and of the kernel, and modules to load.
IOMMUS = {
	None: ([], "", []),
	"intel": (["-device", "intel-iommu,intremap=on,caching-mode=on"], "intel_iommu=on", []),
	"intel, no intremap": (["-device", "intel-iommu,intremap=off,caching-mode=on"],
		"intel_iommu=on", []),
	"virtio": (["-device", "virtio-iommu-pci"], "", ["virtio_pci", "virtio_iommu"]),
}
BOOT_SECONDS, BOOT_SECONDS_WITH_IOMMU = 60, 200
WARNING = 4  # Kernel log level; a lower number is worse.


def images():
	"""The folder of QEMU and the guests; prepares it when it is not there."""
	return Path(execute(str(ROOT / "devtools" / "get-guest.sh")).split()[-1])


def why_missing(kernel):
	"""Why there is no guest with this kernel; an empty text if there is one."""
	reason = images() / kernel / "missing"
	return reason.read_text() if reason.exists() else ""


def release(kernel):
	"""Of a guest's kernel: what uname -r shows, and of the newest package and suite."""
	return (images() / kernel / "release").read_text().strip()


def connect(path, seconds=10):
	"""Connects to a socket that QEMU is about to create."""
	stream = socket.socket(socket.AF_UNIX)

	def attempt():
		with contextlib.suppress(FileNotFoundError, ConnectionRefusedError):
			stream.connect(str(path))
			return True
	wait_for(attempt, f"socket {path}", seconds)
	return stream


class Qmp:
	"""QEMU's machine protocol."""

	def __init__(self, path):
		self.socket_ = connect(path)
		self.socket_.settimeout(10)
		self.file_ = self.socket_.makefile("r", encoding="utf-8")
		self.file_.readline()  # Greets with its version.
		self.execute("qmp_capabilities")

	def execute(self, command, **arguments):
		request = {"execute": command, "arguments": arguments}
		self.socket_.sendall(json.dumps(request).encode())
		while line := self.file_.readline():
			reply = json.loads(line)
			if "error" in reply:
				raise Failure(f"QMP {command}: {reply['error']['desc']}")
			if "return" in reply:
				return reply["return"]
		raise Failure(f"QMP {command}: QEMU closed the connection")

	def close(self):
		self.file_.close()
		self.socket_.close()


class Agent:
	"""Client of the command server that devtools/guest-init runs on the second serial port."""

	def __init__(self, path):
		self.socket_ = connect(path)
		self.pending_ = b""
		self.count_ = 0

	def await_boot(self, seconds):
		self.receive_("ready", seconds)

	def run(self, command, seconds):
		"""Runs one line of shell; returns (status, output)."""
		if "\n" in command:
			raise ValueError("a command is one line")
		self.count_ += 1
		tag = f"c{self.count_}"
		self.socket_.sendall(f"{tag} {command}\n".encode())
		return self.receive_(tag, seconds)

	def receive_(self, tag, seconds):
		end = re.compile(rb"\n" + tag.encode() + rb" exit (\d+)\n")
		deadline = time.monotonic() + seconds
		while not (found := end.search(self.pending_)):
			self.socket_.settimeout(max(deadline - time.monotonic(), 0.001))
			try:
				data = self.socket_.recv(65536)
			except TimeoutError:
				what = f"no answer of the guest within {seconds} s"
				raise Failure(what) from None
			if not data:
				raise Failure("QEMU ended")
			self.pending_ += data
		output = self.pending_[:found.start()]
		self.pending_ = self.pending_[found.end():]
		return int(found[1]), output.decode(errors="replace").strip()

	def close(self):
		self.socket_.close()


class Guest:
	"""A guest with one emulated NIC (none if nic is None), behind a root port of its own or
	not. Its driver is not loaded yet.

	Without plugged the NIC comes later, by plug(). With user, as "NAME:GROUP", QEMU runs as that one.

	append is added to the kernel's command line, more to QEMU's. With another
	console than ttyS0 there is no console.log. With dpdk there are testpmd and net_iavf
	of Debian 13, which need its libraries. The image vmlinux starts soonest; only with vmlinuz, which
	the firmware starts, does it wake a sleeping guest."""

	def __init__(self, folder, nic, *, kernel=KERNEL, cpus=1, memory="memfd",
			root_port=False, iommu=None, append="", more=(), dpdk=False, console="ttyS0",
			plugged=True, user=None, image="vmlinux"):
		self.folder = Path(folder)
		self.plugged_ = plugged
		self.user_ = user
		self.dpdk_ = dpdk
		self.more_ = more
		self.image_ = image
		self.iommu_ = IOMMUS[iommu]
		# What is no warning is for dmesg alone: printed, it takes a third of the time of a boot.
		self.append_ = f"console={console} loglevel=5 panic=0 {append}"
		self.boot_seconds_ = BOOT_SECONDS_WITH_IOMMU if iommu else BOOT_SECONDS
		self.folder.mkdir(parents=True, exist_ok=True)
		self.cleanup_ = contextlib.ExitStack()
		try:
			self.bus_ = "rp0" if root_port else "pcie.0"
			self.doors_ = self.open_doors_(images(), self.folder, nic and Path(nic).parent)
			self.nic_ = nic and {"driver": "vfio-user-pci", "id": "nic0", "bus": self.bus_,
				"socket": {"type": "unix", "path": self.seen_(nic)}}
			self.start_(self.command_line_(images(), kernel, cpus, memory))
			self.agent_ = Agent(self.folder / "agent.sock")
			self.cleanup_.callback(self.agent_.close)
			self.qmp = Qmp(self.folder / "qmp.sock")
			self.cleanup_.callback(self.qmp.close)
			self.await_boot_()
		except BaseException as error:
			self.cleanup_.close()
			if isinstance(error, (Failure, OSError)):
				words = self.last_words()
				raise Failure(f"{error}; its last words:\n{words}") from None
			raise

	def open_doors_(self, *folders):
		"""Descriptors of folders that QEMU of another user cannot reach by their paths, because
		those above are root's alone."""
		doors = {}
		for folder in folders if self.user_ else ():
			doors[folder] = os.open(folder, os.O_PATH | os.O_DIRECTORY)
			self.cleanup_.callback(os.close, doors[folder])
		return doors

	def seen_(self, path):
		"""A path for QEMU."""
		path = Path(path)
		for folder, door in self.doors_.items():
			if folder in path.parents:
				return f"/proc/self/fd/{door}/{path.relative_to(folder)}"
		return str(path)

	def command_line_(self, folder, kernel, cpus, memory):
		more, append, _ = self.iommu_
		return [
			*DIE_WITH_US, *self.become_(), self.seen_(folder / "qemu-system-x86_64"),
			"-no-user-config", "-nodefaults", "-nographic",
			"-accel", "tcg,thread=multi", "-cpu", "max", "-smp", str(cpus), "-m", "512",
			"-M", "q35,memory-backend=ram", "-object", MEMORY[memory],
			"-kernel", self.seen_(folder / kernel / self.image_),
			"-initrd", self.seen_(self.initrd_(folder, kernel)),
			"-append", f"{append} {self.append_}",
			"-chardev", f"file,id=console,path={self.seen_(self.folder / 'console.log')}",
			"-chardev", "socket,id=agent,server=on,wait=off,"
				f"path={self.seen_(self.folder / 'agent.sock')}",
			"-serial", "chardev:console", "-serial", "chardev:agent",
			"-qmp", f"unix:{self.seen_(self.folder / 'qmp.sock')},server=on,wait=off", *more,
			*(["-device", "pcie-root-port,id=rp0,chassis=1,slot=1"]
				if self.bus_ == "rp0" else []),
			*(["-device", json.dumps(self.nic_)] if self.nic_ and self.plugged_ else []),
			*self.more_,
		]

	def become_(self):
		"""More arguments of setpriv, and a shell: a process that has changed its user may look
		at its descriptors only after it has started another program."""
		if not self.user_:
			return []
		user, group = self.user_.split(":")
		shutil.chown(self.folder, user, group)
		return [f"--reuid={user}", f"--regid={group}", "--clear-groups",
			"sh", "-c", 'exec "$0" "$@"']

	def plug(self):
		"""Plugs the NIC in, while the guest runs. It needs a root port."""
		self.qmp.execute("device_add", **self.nic_)

	def initrd_(self, folder, kernel):
		"""The kernel unpacks archives that stand one behind the other."""
		initrd = folder / kernel / "initrd"
		if not self.dpdk_:
			return initrd
		both = self.folder / "initrd"
		both.write_bytes(initrd.read_bytes() + (folder / "dpdk.cpio").read_bytes())
		return both

	def start_(self, command):
		with open(self.folder / "qemu.log", "wb") as log:
			self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
				stdout=log, stderr=log, start_new_session=True,
				pass_fds=tuple(self.doors_.values()))
		self.cleanup_.callback(self.kill)

	def last_words(self):
		words = ""
		for name in ("qemu.log", "console.log"):
			log = self.folder / name
			words += log.read_text(errors="replace")[-2000:] if log.exists() else ""
		return words

	def run(self, command, seconds=30):
		return self.agent_.run(command, seconds)

	def check(self, command, seconds=30):
		"""Runs a command that must succeed; returns its output."""
		status, output = self.run(command, seconds)
		if status:
			raise Failure(f"guest: {command}: status {status}\n{output}")
		return output

	def start(self, command):
		"""Starts a command that goes on while others run."""
		self.check(f"({command}) >/dev/null 2>&1 &")

	def kill(self):
		"""kill -9."""
		if self.process.poll() is None:
			self.process.send_signal(signal.SIGKILL)
		self.process.wait()

	def reset(self):
		"""Presses the reset button and waits for the next boot."""
		self.qmp.execute("system_reset")
		self.await_boot_()

	def await_boot_(self):
		"""Before the driver of a NIC is loaded, that of its IOMMU has to be."""
		self.agent_.await_boot(self.boot_seconds_)
		for module in self.iommu_[2]:
			self.check(f"modprobe {module}")

	def close(self):
		self.cleanup_.close()

	# The network card

	def load(self, mtu=1500):
		"""Loads the driver and waits for the link."""
		self.check("modprobe iavf")
		self.up(mtu)

	def await_interface(self):
		wait_for(lambda: self.run(f"test -d /sys/class/net/{NIC}")[0] == 0, "interface")

	def up(self, mtu=1500):
		self.await_interface()
		self.check(f"ip link set {NIC} mtu {mtu} && ip link set {NIC} up")
		self.run(f"ip address add {GUEST_ADDRESS}/{PREFIX} dev {NIC}")
		self.await_link()

	def carrier(self):
		return self.run(f"cat /sys/class/net/{NIC}/carrier") == (0, "1")

	def await_link(self, seconds=15):
		wait_for(self.carrier, "link in the guest", seconds)

	def links(self):
		"""How often the driver has reported its link up since boot or forgive()."""
		return int(self.run("dmesg | grep -c 'Link is Up'")[1])

	def reconfigure(self, command, seconds=15):
		"""Runs a command upon which the driver resets the device; waits until that is over.

		The command itself may end before: iavf waits until neither of its flags
		RESET_NEEDED and RESET_PENDING is set, and its reset task clears the one a while
		before it sets the other. The next such command would meet a reset under way and
		fail with EBUSY after 5 s, for it waits for the reset task and the task, behind
		another in its queue, for the RTNL lock."""
		before = self.links()
		over = lambda: wait_for(lambda: self.links() > before and self.carrier(),
			"end of the reset", seconds)
		status, output = self.run(command)
		if status and "busy" in output.lower():
			# The driver has waited for 5 s only, and has the new setting.
			over()
			self.check(command)
		elif status:
			raise Failure(f"guest: {command}: status {status}\n{output}")
		over()

	def set_mtu(self, mtu):
		"""While the interface is up."""
		self.reconfigure(f"ip link set {NIC} mtu {mtu}")

	def address(self):
		"""PCI address of the network card."""
		return self.check("lspci -D -d 8086:1889").split()[0]

	def ping(self, size=64, count=3, interval=0.02):
		"""Pings the host with IP packets of that many bytes; returns the statistics. Right after
		a reset Linux may drop what it sends, so that a second, slower try counts, too."""
		payload = size - 28  # Headers of IP and ICMP.
		command = "ping -c {} -i {} -W 5 -s {} {}"
		status, output = self.run(command.format(count, interval, payload, ADDRESS))
		return output if status == 0 else self.check(command.format(count, 0.2, payload, ADDRESS))

	def await_answer(self):
		wait_for(lambda: not self.run(f"ping -c 1 -W 1 {ADDRESS}")[0], "answer of the host")

	def iperf(self, *options, seconds=1):
		"""Runs iperf3 against the host; returns the received bits per second."""
		command = " ".join([f"iperf3 -J -c {ADDRESS} -t {seconds}", *options])
		for _ in range(10):
			status, output = self.run(command, seconds + 30)
			report = json.loads(output) if output.startswith("{") else {"error": output}
			# Of the stream before, which has ended here; a server has one at a time.
			if "server is busy" not in report.get("error", ""):
				break
			time.sleep(1)
		if status or "error" in report:
			raise Failure(f"guest: {command}: status {status}: {report.get('error')}")
		return report["end"]["sum_received"]["bits_per_second"]

	def transmit(self, packets, size=64, queues=1, first=0, delay=0, settings=(),
			wait=True):
		"""Sends packets as fast as pktgen can, or one after each delay in ns, to an address that
		nobody has, and on each queue from the first on in its turn; pktgen begins with one on each
		queue before that. More settings of pktgen come last. It is done when the device has
		given the last one back; who does not wait may change the device meanwhile."""
		device = f"/proc/net/pktgen/{NIC}"
		self.check("modprobe pktgen")
		self.check("echo rem_device_all > /proc/net/pktgen/kpktgend_0")
		self.check(f"echo add_device {NIC} > /proc/net/pktgen/kpktgend_0")
		for setting in (f"count {packets}", f"pkt_size {size}", f"delay {delay}", "dst 192.0.2.77",
				"dst_mac 02:00:00:00:00:77", f"queue_map_min {first}",
				f"queue_map_max {first + queues - 1}", *settings):
			self.check(f"echo {setting} > {device}")
		if not wait:
			return self.start("echo start > /proc/net/pktgen/pgctrl")
		self.check("echo start > /proc/net/pktgen/pgctrl", 120)
		self.check("rmmod pktgen")

	def forgive(self):
		"""Forgets the kernel's messages so far."""
		self.check("dmesg -c > /dev/null")

	def complaints(self):
		"""Warnings and errors of the driver or the kernel since boot or forgive()."""
		lines = self.check("dmesg -r").splitlines()
		return [line for line in lines if is_complaint(line)]


def is_complaint(line):
	found = re.match(r"<(\d+)>", line)
	level = int(found[1]) & 7 if found else 7
	ours = re.search(r"iavf|eth0|Call Trace|WARNING|BUG|NETDEV", line)
	return level <= WARNING and bool(ours)
