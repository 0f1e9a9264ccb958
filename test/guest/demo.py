# SPDX-License-Identifier: BSD-3-Clause
"""The demonstration: what devtools/demo.sh runs when all is prepared."""

import contextlib
import re
import subprocess
import sys
import tempfile
import time

from guest import NIC, Guest
from host import ADDRESS, GUEST_ADDRESS, TAP, Testpmd, interruptible
from stock import Failure

PINGS = 10
SECONDS = 5


class Show:
	"""Prints what happens, with the seconds since the script began."""

	def __init__(self, elapsed):
		self.zero_ = time.monotonic() - elapsed

	def step(self, text):
		print(f"[{time.monotonic() - self.zero_:4.0f} s] {text}", flush=True)

	def output(self, text):
		for line in text.splitlines():
			print(f"           {line}", flush=True)


def mbit(bits_per_second):
	return f"{bits_per_second / 1e6:.0f} Mbit/s"


def look_at_device(show, guest):
	show.step("the guest's network card")
	show.output(guest.check("lspci -nn -d 8086:1889"))
	driver = guest.check(f"ethtool -i {NIC}")
	show.output("\n".join(driver.splitlines()[:2]))
	link = guest.check(f"ethtool {NIC} | grep -E 'Speed|Link detected'")
	show.output(link.replace("\t", ""))
	if "driver: iavf" not in driver:
		raise Failure("the interface is not driven by iavf")


def ping(show, guest):
	show.step(f"ping from the guest ({GUEST_ADDRESS}) to the host ({ADDRESS})")
	statistics = guest.check(f"ping -q -c {PINGS} -i 0.2 {ADDRESS}").splitlines()[-2:]
	show.output("\n".join(statistics))
	received = int(re.search(r"(\d+) packets received", statistics[0])[1])
	if received != PINGS:
		raise Failure(f"{PINGS - received} of {PINGS} pings are lost")
	return f"ping {received}/{PINGS}"


def stream(show, guest):
	figures = []
	for name, options in (("from the guest", []), ("to the guest", ["-R"])):
		show.step(f"iperf3, TCP {name}, {SECONDS} s")
		rate = mbit(guest.iperf(*options, seconds=SECONDS))
		show.output(rate)
		figures.append(f"TCP {name} {rate}")
	return ", ".join(figures)


def demonstrate(show):
	"""Returns the figures."""
	with contextlib.ExitStack() as cleanup:
		folder = cleanup.enter_context(tempfile.TemporaryDirectory(prefix="emudev-demo-"))
		show.step(f"starting dpdk-testpmd: emu_iavf at {folder}/nic0.sock,"
			f" forwards to tap {TAP}")
		testpmd = Testpmd(folder)
		cleanup.callback(testpmd.close)
		show.step("booting Linux in QEMU with -device vfio-user-pci (emulated CPU)")
		guest = Guest(f"{folder}/guest", testpmd.socket)
		cleanup.callback(guest.close)
		show.output(guest.check("uname -sr"))
		guest.load()
		look_at_device(show, guest)
		figures = [ping(show, guest), stream(show, guest)]
		messages = testpmd.stats()["messages"]
		packets = testpmd.port_stats()
		show.step(f"packets from the guest: {packets['ipackets']},"
			f" to it: {packets['opackets']}, vfio-user messages in all: {messages}")
		if complaints := guest.complaints():
			raise Failure("the guest's kernel complains: " + complaints[0])
		show.step("shutting down")
		guest.close()
		if status := testpmd.quit():
			raise Failure(f"dpdk-testpmd ended with status {status}")
	return ", ".join(figures)


def main():
	interruptible()
	show = Show(float(sys.argv[1]) if len(sys.argv) > 1 else 0)
	try:
		print(f"demo: PASS {demonstrate(show)}")
	except (Failure, OSError, subprocess.SubprocessError, KeyboardInterrupt) as error:
		reason = str(error) or "interrupted"
		print(reason)
		print(f"demo: FAIL {reason.splitlines()[0]}")
		return 1
	return 0


if __name__ == "__main__":
	sys.exit(main())
