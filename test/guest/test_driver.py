# SPDX-License-Identifier: BSD-3-Clause
"""What an administrator does to a network card in a running guest, and the one of the host."""

import math
import os
import subprocess
import time
from pathlib import Path

import pytest

import guest as guests
from guest import NIC
from stock import wait_for

ROUNDS = int(os.environ.get("EMUDEV_ROUNDS", 5))


def test_link_down_and_up(guest):
	for _ in range(20):
		guest.check(f"ip link set {NIC} down")
		guest.check(f"ip link set {NIC} up")
		guest.await_link()
	guest.ping()


def test_first_frame_after_link_up_arrives(guest, testpmd):
	"""Linux leaves the doorbell of its transmit ring where it was when the link went down."""
	for _ in range(3):
		guest.ping()
	before = testpmd.errors()
	guest.check(f"ip link set {NIC} down")
	guest.check(f"ip link set {NIC} up")
	guest.await_link()
	guest.ping()
	assert testpmd.errors() == before


def test_driver_unload_and_load(guest, testpmd):
	"""While frames come from either side. What the process holds is compared afterwards."""
	before = testpmd.errors()
	guest.start(f"while true; do ping -f -w 1 {guests.ADDRESS} || sleep 0.1; done")
	flood = subprocess.Popen(testpmd.namespace.enter("ping", "-f", guests.GUEST_ADDRESS),
		stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
	try:
		for _ in range(ROUNDS):
			guest.check("rmmod iavf")
			guest.load()
			guest.await_answer()
			assert testpmd.errors() == before
		assert flood.poll() is None
	finally:
		flood.kill()
		flood.wait()
	guest.run("killall ping; killall sh")
	guest.ping()


# The driver has no callbacks for a reset by sysfs: its watchdog finds out, sometimes after it has
# missed its mailbox. Newer kernels tell of the reset.
@pytest.mark.guest_may_say("Hardware reset detected", "resetting", "reset done", "Unable to send")
def test_function_level_reset(guest):
	for _ in range(3):
		guest.check(f"ip link set {NIC} down")
		guest.check(f"echo 1 > /sys/bus/pci/devices/{guest.address()}/reset")
		guest.up()
		guest.ping()


def test_function_level_reset_without_driver(guest):
	address = guest.address()
	guest.check("rmmod iavf")
	assert "flr" in guest.check(f"cat /sys/bus/pci/devices/{address}/reset_method")
	guest.check(f"echo 1 > /sys/bus/pci/devices/{address}/reset")
	guest.load()
	guest.ping()


def test_unbind_and_bind(guest):
	address = guest.address()
	guest.check(f"echo {address} > /sys/bus/pci/drivers/iavf/unbind")
	guest.check(f"echo {address} > /sys/bus/pci/drivers/iavf/bind")
	guest.up()
	guest.ping()


def test_mtu_change(guest):
	for mtu in (68, 576, 1500, 2000, 4000, 9000, 9702, 1500):
		guest.set_mtu(mtu)
		guest.ping(min(mtu, 1500, 64))


def test_mac_change(guest, testpmd):
	address = guest.check(f"cat /sys/class/net/{NIC}/address")
	for mac in ("02:12:34:56:78:9a", address):
		guest.check(f"ip link set {NIC} address {mac}")
		testpmd.namespace.run("ip", "neigh", "flush", "all")
		guest.ping()
		assert guest.check(f"cat /sys/class/net/{NIC}/address") == mac


def test_mtu_change_under_traffic(guest):
	guest.start(f"iperf3 -c {guests.ADDRESS} -t 5")
	for mtu in (9000, 1500, 4000, 1500):
		guest.set_mtu(mtu)
	guest.run("killall iperf3")
	guest.ping()


def mac_of(guest):
	return guest.check(f"cat /sys/class/net/{NIC}/address")


def info(testpmd):
	return testpmd.telemetry("/emu_iavf/info,emu_iavf0")


def set_policy(testpmd, what):
	assert testpmd.telemetry(f"/emu_iavf/set,emu_iavf0,{what}")


def reset_by(guest, testpmd, command):
	"""Does something upon which the host resets the device; waits until the guest is back."""
	before = guest.links()
	assert testpmd.telemetry(command)
	wait_for(lambda: guest.links() > before and guest.carrier(), "end of the reset", 30)


def change(guest, testpmd, what):
	reset_by(guest, testpmd, f"/emu_iavf/set,emu_iavf0,{what}")


def give(guest, testpmd, mac):
	"""Another address, by the host. Headers that Linux has ready for its neighbours keep the old
	source (they go with the neighbours if it sees that the link was away, which it looks at once a
	second): frames from another address than the guest's own would be dropped with spoofchk=on."""
	change(guest, testpmd, f"mac={mac}")
	assert mac_of(guest) == mac
	guest.check(f"ip neigh flush dev {NIC}")
	testpmd.namespace.run("ip", "neigh", "flush", "all")


def test_the_host_gives_another_address(guest, testpmd):
	address = mac_of(guest)
	for mac in ("02:12:34:56:78:9b", address):
		give(guest, testpmd, mac)
		guest.ping()
		assert mac_of(guest) == mac


@pytest.mark.guest_may_say("Failed to add MAC filter", "Hardware reset detected")
def test_an_untrusted_guest_is_held_to_its_address(guest, testpmd):
	address = mac_of(guest)
	give(guest, testpmd, address)
	change(guest, testpmd, "trust=off,spoofchk=on")
	guest.ping()
	status, output = guest.run(f"ip link set {NIC} address 02:12:34:56:78:9c")
	assert status, output
	assert mac_of(guest) == address
	assert info(testpmd)["refused_addresses"] > 0
	guest.ping()
	# It is told that it is promiscuous.
	guest.check(f"ip link set {NIC} promisc on")
	wait_for(lambda: info(testpmd)["ignored_promiscuous"] > 0, "promiscuous mode")
	assert info(testpmd)["promiscuous"] == 0
	guest.check(f"ip link set {NIC} promisc off")
	# Nobody else speaks from behind it.
	guest.check("modprobe macvlan")
	# Each interface answers for its own address, or the host would keep the one that is removed.
	guest.check("echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore")
	guest.check(f"ip link add link {NIC} name mv0 address 02:12:34:56:78:9d type macvlan")
	guest.check("ip address add 192.0.2.3/24 dev mv0 && ip link set mv0 up")
	ping = f"ping -I mv0 -c 2 -i 0.2 -W 2 {guests.ADDRESS}"
	assert guest.run(ping)[0]
	assert testpmd.errors()["rx_spoofed_errors"] > 0
	guest.ping()
	change(guest, testpmd, "trust=on")
	# The driver has forgotten what was refused.
	guest.check("ip link set mv0 down && ip link set mv0 up")
	wait_for(lambda: guest.run(ping)[0] == 0, "macvlan")
	guest.check("ip link del mv0")
	guest.check("echo 0 > /proc/sys/net/ipv4/conf/all/arp_ignore")
	set_policy(testpmd, "spoofchk=off")
	guest.ping()


@pytest.mark.guest_may_say("Hardware reset detected")
def test_the_host_resets_the_device(guest, testpmd):
	"""In each state of the driver."""
	reset = "/emu_iavf/reset,emu_iavf0"
	for _ in range(3):
		reset_by(guest, testpmd, reset)
		guest.ping()
	guest.check(f"ip link set {NIC} down")
	assert testpmd.telemetry(reset)
	wait_for(lambda: guest.run(f"ip link set {NIC} up")[0] == 0, "interface up")
	guest.await_link(30)
	guest.ping()
	guest.check("rmmod iavf")
	assert testpmd.telemetry(reset)
	guest.load()
	guest.ping()
	# The driver does not answer, and nobody waits for it; it finds out when it can.
	before = guest.links(), info(testpmd)["resets_by_host"]
	guest.qmp.execute("stop")
	for _ in range(50):
		assert testpmd.telemetry(reset)
	assert info(testpmd)["resets_by_host"] == before[1] + 50
	assert info(testpmd)["queue_pairs_enabled"] == 0
	guest.qmp.execute("cont")
	wait_for(lambda: guest.links() > before[0] and guest.carrier(), "the driver's return", 60)
	guest.ping()


def test_the_host_unplugs_the_guest(guest, testpmd):
	port = testpmd.port()
	command = testpmd.command
	for down, up in (lambda: command(f"set link-down port {port}"),
			lambda: command(f"set link-up port {port}")), (
			lambda: set_policy(testpmd, "link=down"),
			lambda: set_policy(testpmd, "link=auto")):
		down()
		wait_for(lambda: not guest.carrier(), "link down in the guest")
		up()
		guest.await_link()
		guest.ping()


def interrupts(guest):
	"""Of the vector of the only queue pair, since boot."""
	line = guest.check("grep 'iavf-.*TxRx' /proc/interrupts")
	return int(line.split()[1])


def interrupts_per_second(guest, *options):
	before, begin = interrupts(guest), time.monotonic()
	assert guest.iperf(*options) > 0
	return (interrupts(guest) - before) / (time.monotonic() - begin)


def timers(testpmd):
	"""The intervals of the guest's receive and transmit ring, as they are now, in us."""
	pair = testpmd.telemetry("/emu_iavf/queue,emu_iavf0,0")
	return tuple(pair[way]["itr_us"] for way in ("to_guest", "from_guest"))


def set_intervals(guest, testpmd, receive, transmit):
	guest.check(f"ethtool -C {NIC} adaptive-rx off adaptive-tx off "
		f"rx-usecs {receive} tx-usecs {transmit}")
	assert f"rx-usecs:\t{receive}\n" in guest.check(f"ethtool -c {NIC}")
	guest.ping()
	assert timers(testpmd) == (receive, transmit)


def above(bound, value):
	return value if value > bound else None


LONGEST = 8160  # us, of the driver
MOST_ADAPTIVE = 126


def test_interrupts_are_moderated(guest, testpmd):
	"""As ethtool says, by the guest's clock: that of the processor. How many there are without an
	interval is up to the machine, so the first interval allows a third of these."""
	for options in (), ("-R",):
		set_intervals(guest, testpmd, 0, 0)
		rate = lambda: interrupts_per_second(guest, *options)
		free = wait_for(lambda: above(2e6 / LONGEST, rate()), "more than any interval allows", 120)
		for usecs in (2 * math.ceil(min(3e6 / free, LONGEST) / 2), 1000, 200):
			set_intervals(guest, testpmd, usecs, usecs)
			limited = rate()
			print(f"{options}: {free:.0f}/s, {usecs} us: {limited:.0f}/s")
			assert 0 < limited <= 1.2e6 / usecs
	set_intervals(guest, testpmd, 1000, 8)


def test_intervals_adapt(guest, testpmd):
	"""The driver finds them by what it has received and sent."""
	set_intervals(guest, testpmd, 0, 0)
	guest.check(f"ethtool -C {NIC} adaptive-rx on adaptive-tx on")
	assert "Adaptive RX: on  TX: on" in guest.check(f"ethtool -c {NIC}")
	for options in ("-R",), ():
		rate = interrupts_per_second(guest, *options)
		print(f"adaptive {options}: {rate:.0f}/s, {timers(testpmd)} us")
		assert rate > 0
		assert all(0 < usecs <= MOST_ADAPTIVE for usecs in timers(testpmd)), timers(testpmd)
	guest.ping()


def set_and_receive(guest, setting, value):
	for file in setting.split():
		guest.check(f"echo {value} > {file}")
	guest.ping(count=5)
	assert guest.iperf("-R") > 0
	guest.ping(count=5)


def polled_by_receivers(guest):
	"""Packets."""
	names, values = guest.check("grep ^TcpExt: /proc/net/netstat").splitlines()
	return int(dict(zip(names.split(), values.split()))["BusyPollRxPackets"])


def polled_by_threads(guest):
	"""Their time on the processor, in ticks; None if there are none."""
	threads = guest.run("grep -l '^napi/eth0-' /proc/[0-9]*/comm")[1].split()
	stats = [guest.check(f"cat {Path(thread).parent}/stat").split() for thread in threads]
	return sum(int(stat[13]) + int(stat[14]) for stat in stats) if stats else None


def test_receivers_poll(guest):
	"""Whoever waits for data: interrupts are off for a while."""
	files = "/proc/sys/net/core/busy_read /proc/sys/net/core/busy_poll"
	before = polled_by_receivers(guest)
	set_and_receive(guest, files, 20000)  # us: on a busy machine it is a while until something comes.
	polled = polled_by_receivers(guest)
	set_and_receive(guest, files, 0)
	assert polled > before + 10
	assert polled_by_receivers(guest) == polled


def test_threads_poll(guest):
	"""Of the kernel, one for each vector."""
	file = f"/sys/class/net/{NIC}/threaded"
	assert not polled_by_threads(guest)
	set_and_receive(guest, file, 1)
	polled = polled_by_threads(guest)
	set_and_receive(guest, file, 0)
	assert (polled or 0) > 5
	assert (polled_by_threads(guest) or 0) <= polled + 2  # There may be no thread any more.
