# SPDX-License-Identifier: BSD-3-Clause
"""What the host decides of a guest whose driver is stock net_iavf: judged by the frames that pass,
and by what its testpmd is told."""

import time

import pytest

from pair import traffic_passes
from stock import wait_for

DEVICE = "emu_iavf0"
# Those of the frames that make_frames makes.
SOURCE, DESTINATION = "02:00:00:00:00:0b", "02:00:00:00:00:0a"
STRANGER = bytes.fromhex("020000000099")


def tagged(frame, vlan, priority=0, kind=0x8100):
	tag = kind.to_bytes(2, "big") + (priority << 13 | vlan).to_bytes(2, "big")
	return frame[:12] + tag + frame[12:]


def spoofed(frame):
	return frame[:6] + STRANGER + frame[12:]


def info(pair):
	return pair.provider.telemetry(f"/emu_iavf/info,{DEVICE}")


def set_policy(pair, what):
	return pair.provider.telemetry(f"/emu_iavf/set,{DEVICE},{what}")


def xstat(end, name):
	return end.telemetry(f"/ethdev/xstats,{end.port()}")[name]


def arrived(end, frames):
	"""Whether these frames arrive, and no others."""
	wait_for(lambda: len(end.all_received()) >= len(frames), f"{len(frames)} frames", 15)
	return end.all_received() == sorted(frames)


def start(pair, devargs, to_provider=(), to_consumer=()):
	"""Frames pass each way through a device with these arguments."""
	pair.start_provider(frames={0: list(to_consumer)}, devargs=devargs, start=False)
	pair.start_consumer(frames={0: list(to_provider)})
	pair.consumer.await_link()
	for end in pair.consumer, pair.provider:
		end.command("start")


def begin_anew(pair):
	"""What an application of net_iavf does when it is told of a reset."""
	consumer = pair.consumer
	wait_for(lambda: "reset event" in consumer.log(), "reset event")
	for line in ("stop", f"port stop {consumer.port()}", f"port reset {consumer.port()}",
			f"port start {consumer.port()}"):
		assert "Fail" not in consumer.command(line)
	consumer.await_link()


def test_spoofed_frames_are_dropped(pair, make_frames):
	"""Also at the rate of a burst, and the others of it pass."""
	frames = make_frames(400)
	sent = [spoofed(frame) if n % 3 == 1 else frame for n, frame in enumerate(frames)]
	start(pair, f",mac={SOURCE},spoofchk=on", to_provider=sent)
	assert arrived(pair.provider, [frame for n, frame in enumerate(frames) if n % 3 != 1])
	assert xstat(pair.provider, "rx_spoofed_errors") == 133
	# The driver's own statistics have them as errors.
	wait_for(lambda: pair.consumer.port_stats()["oerrors"] == 133, "errors in the guest")


def test_frames_of_vlans_that_were_not_added_are_dropped(pair, make_frames):
	"""The guest may send in the VLANs that it has asked to receive."""
	frames = make_frames(300)
	sent = [tagged(frame, 122 + n % 3) if n % 3 else frame for n, frame in enumerate(frames)]
	pair.start_provider(start=False, devargs=f",mac={SOURCE},spoofchk=on")
	consumer = pair.start_consumer(frames={0: sent})
	consumer.await_link()
	for line in (f"vlan set filter on {consumer.port()}", f"rx_vlan add 123 {consumer.port()}"):
		consumer.command(line)
	for end in consumer, pair.provider:
		end.command("start")
	assert arrived(pair.provider, [sent[n] for n in range(300) if n % 3 != 2])
	assert xstat(pair.provider, "rx_vlan_spoofed_errors") == 100
	wait_for(lambda: consumer.port_stats()["oerrors"] == 100, "errors in the guest")


def test_addresses_that_the_driver_adds(pair, make_frames):
	"""Frames to them arrive; what is for nobody here is counted."""
	unicast, group, more = (bytes.fromhex(mac) for mac in
		("020000000077", "01005e000007", "01005e000008"))
	own, others, groups, strangers = (make_frames(20) for _ in range(4))
	sent = [own, [unicast + frame[6:] for frame in others], [group + frame[6:] for frame in groups],
		[more + frame[6:] for frame in strangers]]
	pair.start_provider(frames={0: [frame for each in zip(*sent) for frame in each]}, start=False,
		devargs=f",mac={DESTINATION}")
	consumer = pair.start_consumer()
	consumer.await_link()
	port = consumer.port()
	for line in (f"set promisc {port} off", f"set allmulti {port} off",
			f"mac_addr add {port} {unicast.hex(':')}", f"mcast_addr add {port} {group.hex(':')}",
			"start"):
		consumer.command(line)
	pair.provider.command("start")
	assert arrived(consumer, sum(sent[:3], []))
	assert xstat(pair.provider, "tx_address_filtered_packets") == 20


def test_all_groups_by_one_command(pair, make_frames):
	frames = make_frames(40)
	group, stranger = bytes.fromhex("01005e000009"), bytes.fromhex("020000000078")
	sent = [(group, stranger)[n % 2] + frame[6:] for n, frame in enumerate(frames)]
	pair.start_provider(frames={0: sent}, start=False, devargs=f",mac={DESTINATION}")
	consumer = pair.start_consumer()
	consumer.await_link()
	for line in ("set promisc {} off", "set allmulti {} on"):
		consumer.command(line.format(consumer.port()))
	for end in consumer, pair.provider:
		end.command("start")
	assert arrived(consumer, sent[::2])
	assert xstat(pair.provider, "tx_address_filtered_packets") == 20


@pytest.mark.parametrize("kind, name", [(0x8100, "802.1q"), (0x88a8, "802.1ad")])
def test_port_vlan(pair, make_frames, kind, name):
	"""Whatever tags the guest sends come behind that of its port; it gets no others."""
	out, back = make_frames(200), make_frames(200)
	out = [tagged(frame, 100) if n % 4 == 0 else frame for n, frame in enumerate(out)]
	inner = [tagged(frame, 9) if n % 2 else frame for n, frame in enumerate(back)]
	sent = [inner[n] if n % 5 == 0 else tagged(inner[n], 101 if n % 5 == 1 else 100, 7, kind)
		for n in range(200)]
	start(pair, f",vlan=100:3:{name}", to_provider=out, to_consumer=sent)
	assert arrived(pair.provider, [tagged(frame, 100, 3, kind) for frame in out])
	assert arrived(pair.consumer, [inner[n] for n in range(200) if n % 5 > 1])
	assert xstat(pair.provider, "tx_port_vlan_filtered_packets") == 80


def test_an_untrusted_guest(pair):
	"""Its driver is told that it is promiscuous, and cannot have another address."""
	pair.start_provider(devargs=f",mac={SOURCE},trust=off,spoofchk=on")
	consumer = pair.start_consumer()
	consumer.await_link()
	port = consumer.port()
	for line in (f"set promisc {port} on", f"set allmulti {port} on"):
		consumer.command(line)
	assert info(pair)["promiscuous"] == 0 and info(pair)["ignored_promiscuous"] > 0
	consumer.command(f"mac_addr set {port} {DESTINATION}")
	consumer.command(f"mac_addr add {port} {DESTINATION}")
	assert info(pair)["refused_addresses"] >= 2
	assert info(pair)["mac"].lower() == SOURCE
	# A flood does not fill the log, nor hold anybody up.
	for _ in range(100):
		consumer.command(f"set promisc {port} off")
		consumer.command(f"set promisc {port} on")
	assert pair.provider.log().count("not trusted") < 30
	# As soon as it is trusted it may do both.
	assert set_policy(pair, "trust=on")["trust"] == "on"
	begin_anew(pair)
	consumer.command(f"set promisc {port} on")
	consumer.command(f"mac_addr set {port} {DESTINATION}")
	assert info(pair)["promiscuous"] != 0 and info(pair)["mac"].lower() == DESTINATION


def test_another_address_is_given_at_run_time(running):
	traffic_passes(running)
	assert set_policy(running, f"mac={DESTINATION}")["mac"].lower() == DESTINATION
	begin_anew(running)
	consumer = running.consumer
	mac = consumer.telemetry(f"/ethdev/info,{consumer.port()}")["mac_addr"]
	assert mac.lower() == DESTINATION
	traffic_passes(running)


def test_a_reset_by_the_host(running):
	for _ in range(3):
		running.provider.telemetry(f"/emu_iavf/reset,{DEVICE}")
	begin_anew(running)
	traffic_passes(running)
	assert info(running)["resets_by_host"] == 3


def test_settings_are_read_back(running):
	"""By the words that set them; those of the start as well."""
	for key, values in {"trust": ("off", "on"), "spoofchk": ("on", "off"), "rate": ("500:100", "0"),
			"vlan": ("7:3:802.1ad", "7:0:802.1q", "0"), "link": ("down", "up", "auto"),
			"macs": ("2", "256"), "mcast": ("0", "256"), "mac": (DESTINATION,)}.items():
		for value in values:
			shown = set_policy(running, f"{key}={value}")[key]
			assert str(shown).lower() == value, (key, value)
			assert info(running)[key] == shown


def test_settings_of_the_start(pair):
	pair.start_provider(devargs=",link=down,macs=3,mcast=4,rate=70:7,vlan=9:2:802.1q,spoofchk=on")
	pair.start_consumer()
	shown = info(pair)
	assert [str(shown[key]) for key in ("link", "macs", "mcast", "rate", "vlan", "spoofchk")] == [
		"down", "3", "4", "70:7", "9:2:802.1q", "on"]
	assert not pair.consumer.link_is_up()
	set_policy(pair, "link=auto")
	pair.consumer.await_link()


def test_settings_that_are_wrong_change_nothing(running):
	before = info(running)
	for what in ("", "trust", "trust=maybe", "trust=off,rate=-1", "vlan=5,vlan=6", "speed=100",
			"mac=01:00:00:00:00:00,trust=off", "rate=400001,spoofchk=on", "spoofchk=on,mac=x"):
		assert not set_policy(running, what)
	assert not running.provider.telemetry("/emu_iavf/set,emu_iavf9,trust=off")
	keys = ("trust", "spoofchk", "vlan", "rate", "link", "macs", "mcast", "mac", "resets_by_host")
	assert {key: info(running)[key] for key in keys} == {key: before[key] for key in keys}
	running.provider.await_log("allowed: a number of Mbit/s from 0 (no limit) to 400000")
	traffic_passes(running)


def test_the_link_follows_the_host(running):
	"""The application unplugs the guest, and the administrator has the last word."""
	provider, consumer = running.provider, running.consumer
	up = lambda: provider.telemetry(f"/ethdev/link_status,{provider.port()}")["status"] == "UP"
	steps = [("set link-down", False), ("set link-up", True), ("link=down", False),
		("link=auto", True), ("set link-down", False), ("link=up", True)]
	for what, expected in steps:
		if what.startswith("set"):
			provider.command(f"{what} port {provider.port()}")
		else:
			set_policy(running, what)
		wait_for(lambda: consumer.link_is_up() == expected, f"{what} at the guest")
		wait_for(lambda: up() == expected, f"{what} at the host")
	status = consumer.telemetry(f"/ethdev/link_status,{consumer.port()}")
	assert status["speed"] == 25000
	traffic_passes(running)


@pytest.mark.parametrize("speed", [100, 10000, 100000])
def test_the_speed_of_the_link(pair, speed):
	pair.start_provider(devargs=f",speed={speed}")
	pair.start_consumer()
	pair.consumer.await_link()
	for end in pair.consumer, pair.provider:
		assert end.telemetry(f"/ethdev/link_status,{end.port()}")["speed"] == speed


@pytest.mark.parametrize("size", [64, 1514])
def test_the_rate_holds(pair, size):
	"""A guest that sends as fast as it can gets what it may have."""
	rate = 40
	pair.start_provider(devargs=f",rate={rate}")
	pair.start_consumer()
	pair.consumer.await_link()
	for line in ("set fwd txonly", f"set txpkts {size}", "start"):
		pair.consumer.command(line)
	count = lambda: pair.provider.port_stats()["ibytes"]
	wait_for(lambda: count() > 300000, "traffic", 15)
	first, begin = count(), time.monotonic()
	time.sleep(2)
	got, seconds = count() - first, time.monotonic() - begin
	pair.consumer.command("stop")
	assert 0.3 < got * 8 / seconds / rate / 1e6 < 1.1
	assert xstat(pair.provider, "rx_rate_limited_bursts") > 0


def test_the_minimum_holds(pair):
	"""Two guests that send as fast as they can to a host that is slow: one has a minimum."""
	slow = ("--forward-mode=noisy", "--noisy-lkup-memory=16", "--noisy-lkup-num-reads=500")
	other = f"{pair.socket}-other"
	provider = pair.start_provider(devargs=",rate=0:400000", alone=True, options=slow,
		eal=(f"--vdev=emu_iavf1,path={other},rate=400000",))
	consumer = pair.start_consumer(alone=True, eal=(f"--vdev=vfio_user_pci1,path={other}",))
	ports = provider.telemetry("/ethdev/list")
	count = lambda: [provider.telemetry(f"/ethdev/stats,{port}")["ipackets"] for port in ports]

	def share():
		"""What comes of 5,000 frames and more: how many of the first guest for one of the other."""
		before = count()
		wait_for(lambda: sum(count()) > sum(before) + 5000, "traffic", 30)
		first, second = (now - then for now, then in zip(count(), before))
		return first / max(second, 1)
	consumer.await_link()
	for line in ("set fwd txonly", "start"):
		consumer.command(line)
	wait_for(lambda: min(count()) > 0, "traffic of both", 30)
	share()
	assert share() > 3
	assert provider.telemetry("/emu_iavf/set,emu_iavf0,rate=0")
	share()
	assert 0.5 < share() < 2
	provider.telemetry("/emu_iavf/set,emu_iavf0,rate=400000:1")
	share()
	assert 0.5 < share() < 2, "a minimum that it has"
