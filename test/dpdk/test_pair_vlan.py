# SPDX-License-Identifier: BSD-3-Clause
"""VLAN tags of stock net_iavf and of the host's port, set up by testpmd's own commands. What
net_iavf inserts is with its other offloads, in test_pair_offloads.py."""

import pytest

from stock import wait_for

C_TAG, S_TAG = 0x8100, 0x88a8


def tagged(frame, *tags):
	"""The frame with tags (type, control) in front of its type."""
	words = b"".join(kind.to_bytes(2, "big") + tci.to_bytes(2, "big") for kind, tci in tags)
	return frame[:12] + words + frame[12:]


def set_up(end, *lines):
	"""Runs commands, in which {port} is the end's port, while that is stopped."""
	port = end.port()
	for line in (f"port stop {port}", *lines, f"port start {port}"):
		end.command(line.format(port=port))


def start(pair, to_consumer=(), to_provider=(), provider=(), consumer=(), eal=(), devargs=""):
	"""Frames pass each way while both sides are set up by their commands. A side that inserts
	tags does so in mode macswap, which puts what it was told into mbufs."""
	pair.start_provider(frames={0: list(to_consumer)}, start=False, devargs=devargs)
	pair.start_consumer(frames={0: list(to_provider)}, eal=eal)
	for end, lines in ((pair.provider, provider), (pair.consumer, consumer)):
		if lines:
			set_up(end, *lines)
		if any("tx_vlan" in line for line in lines):
			end.command("set fwd macswap")
	pair.consumer.await_link()
	for end in pair.consumer, pair.provider:
		end.command("start")


def arrived(end, frames):
	"""Whether these frames arrive, and no others."""
	wait_for(lambda: len(end.all_received()) >= len(frames), f"{len(frames)} frames", 15)
	return end.all_received() == sorted(frames)


def xstat(end, name):
	return end.telemetry(f"/ethdev/xstats,{end.port()}")[name]


STRIP = "vlan set strip {} {{port}}"
WIDTHS = pytest.mark.parametrize("bits", [64, 256, 512])


@WIDTHS
def test_consumer_strips(pair, make_frames, bits):
	"""net_iavf has frames of 802.1Q without their tags, others as they are."""
	frames = make_frames(300)
	kinds = [[], [(C_TAG, 0x607b)], [(S_TAG, 7)], [(C_TAG, 8), (C_TAG, 9)]]
	sent = [tagged(frame, *kinds[n % 4]) for n, frame in enumerate(frames)]
	left = [[], [], kinds[2], kinds[3][1:]]
	got = [tagged(frame, *left[n % 4]) for n, frame in enumerate(frames)]
	start(pair, to_consumer=sent, consumer=[STRIP.format("on")],
		eal=(f"--force-max-simd-bitwidth={bits}",))
	assert arrived(pair.consumer, got)


@WIDTHS
def test_consumer_is_told_the_tag(pair, make_frames, bits):
	pair.start_provider(frames={0: [tagged(frame, (C_TAG, 0x607b))
		for frame in make_frames(40)]}, start=False)
	# Asked for later, AVX-512 functions of net_iavf strip, but tell no tag.
	consumer = pair.start_consumer(eal=(f"--force-max-simd-bitwidth={bits}",))
	set_up(consumer, "port config {port} rx_offload vlan_strip on")
	consumer.command("set fwd rxonly")
	consumer.command("set verbose 1")
	consumer.await_link()
	consumer.command("start")
	pair.provider.command("start")
	wait_for(lambda: consumer.log().count("VLAN tci=0x607b") == 40, "40 tags in the log", 15)


def test_consumer_filters(pair, make_frames):
	"""Frames of VLANs that the guest has added arrive, and those without a tag."""
	frames = make_frames(300)
	sent = [tagged(frame, *([[], [(C_TAG, 123)], [(C_TAG, 124)]][n % 3]))
		for n, frame in enumerate(frames)]
	# Frames go to the guest's own address, which it listens to also without promiscuous mode.
	start(pair, to_consumer=sent, consumer=["set promisc {port} off",
		"vlan set filter on {port}", "rx_vlan add 123 {port}"],
		devargs=",mac=02:00:00:00:00:0a")
	assert arrived(pair.consumer, [sent[n] for n in range(300) if n % 3 != 2])
	assert xstat(pair.provider, "tx_vlan_filtered_packets") == 100


def test_host_port_strips_and_filters(pair, make_frames):
	"""The tags go to mbufs, and from there nowhere, as the partner's port inserts none."""
	frames = make_frames(300)
	sent = [tagged(frame, *([[], [(C_TAG, 123)], [(C_TAG, 124)]][n % 3]))
		for n, frame in enumerate(frames)]
	start(pair, to_provider=sent, provider=[STRIP.format("on"),
		"vlan set filter on {port}", "rx_vlan add 123 {port}"])
	assert arrived(pair.provider, [frames[n] for n in range(300) if n % 3 != 2])
	assert xstat(pair.provider, "rx_vlan_filtered_packets") == 100


def test_host_port_strips_two_tags(pair, make_frames):
	frames = make_frames(200)
	kinds = [[(S_TAG, 7), (C_TAG, 8)], [(C_TAG, 9)]]
	start(pair, to_provider=[tagged(frame, *kinds[n % 2]) for n, frame in enumerate(frames)],
		provider=["vlan set qinq_strip on {port}"])
	assert arrived(pair.provider, [tagged(frame, *([[], kinds[1]][n % 2]))
		for n, frame in enumerate(frames)])


@pytest.mark.parametrize("line, tags", [
	("tx_vlan set {port} 55", [(C_TAG, 55)]),
	("tx_vlan set {port} 55 66", [(S_TAG, 66), (C_TAG, 55)]),
])
def test_host_port_inserts(pair, make_frames, line, tags):
	frames = make_frames(300)
	swapped = [frame[6:12] + frame[:6] + frame[12:] for frame in frames]
	start(pair, to_consumer=frames, provider=[line])
	assert arrived(pair.consumer, [tagged(frame, *tags) for frame in swapped])


def test_full_frames_with_two_tags_pass(pair, make_frames):
	sizes = [1514]
	there = [tagged(frame, (S_TAG, 1), (C_TAG, 2)) for frame in make_frames(100, sizes)]
	back = [tagged(frame, (C_TAG, 3), (C_TAG, 4)) for frame in make_frames(100, sizes)]
	start(pair, to_consumer=there, to_provider=back)
	assert arrived(pair.consumer, there) and arrived(pair.provider, back)
