# SPDX-License-Identifier: BSD-3-Clause
"""Both sides count the same frames: packets, bytes, groups, and drops by their reason."""

from stock import wait_for

SHORT, LONG = 10, 1600  # Too short for a header, too long for the MTU.
TO_ONE, TO_SOME, TO_ALL = (bytes.fromhex(address) for address in
	("020000000000", "030000000001", "ffffffffffff"))
COUNTS = {TO_ONE: 30, TO_SOME: 20, TO_ALL: 10}
QUEUES = 2


def mixed(make_frames):
	"""Frames to whom it may concern, and some that are dropped."""
	good = [address + frame[6:] for address, count in COUNTS.items()
		for frame in make_frames(count)]
	return good + [frame[:SHORT] for frame in make_frames(3)] + make_frames(2, [LONG])


def xstats(end):
	return end.telemetry(f"/ethdev/xstats,{end.port()}")


def of_guest(end, prefix):
	"""What the driver was told that it has sent (tx) or received (rx)."""
	names = ("unicast", "multicast", "broadcast")
	return [xstats(end)[f"{prefix}_{name}_packets"] for name in names]


def of_host(end, prefix):
	counted = xstats(end)
	groups = [counted[f"{prefix}_{name}_packets"] for name in ("multicast", "broadcast")]
	return [counted[f"{prefix}_good_packets"] - sum(groups), *groups]


def test_packets_bytes_and_drops(pair, make_frames):
	"""Each frame once on both sides; each reason at its name."""
	there = {queue: mixed(make_frames) for queue in range(QUEUES)}
	back = {queue: mixed(make_frames) for queue in range(QUEUES)}
	pair.start_both(QUEUES, to_provider=there, to_consumer=back)
	provider, consumer = pair.provider, pair.consumer
	wanted = [count * QUEUES for count in COUNTS.values()]
	size = lambda frames: sum(len(frame) for queue in frames.values() for frame in queue
		if SHORT < len(frame) < LONG)
	here = lambda: provider.port_stats()
	wait_for(lambda: of_host(provider, "rx") == of_host(provider, "tx") == wanted and
		here()["ierrors"] == here()["oerrors"] == 5 * QUEUES, "all frames")
	# From the guest.
	assert of_guest(consumer, "tx") == wanted
	assert here()["ibytes"] == xstats(consumer)["tx_bytes"] == size(there)
	assert xstats(provider)["rx_short_errors"] == 3 * QUEUES
	assert xstats(provider)["rx_oversize_errors"] == 2 * QUEUES
	assert xstats(consumer)["tx_error_packets"] == 5 * QUEUES
	assert consumer.port_stats()["oerrors"] == 5 * QUEUES
	# To the guest. What was dropped is in the number of unicast frames, as hardware has it.
	got = of_guest(consumer, "rx")
	assert [got[0] - 5 * QUEUES, *got[1:]] == wanted
	assert here()["obytes"] == consumer.port_stats()["ibytes"] == size(back)
	assert xstats(provider)["tx_short_errors"] == 3 * QUEUES
	assert xstats(provider)["tx_oversize_errors"] == 2 * QUEUES
	assert xstats(consumer)["rx_dropped_packets"] == 5 * QUEUES
	assert consumer.port_stats()["imissed"] == 5 * QUEUES
	for queue in range(QUEUES):
		counted = xstats(provider)
		assert counted[f"rx_q{queue}_packets"] == sum(COUNTS.values())
		assert counted[f"tx_q{queue}_packets"] == sum(COUNTS.values())
		assert counted[f"rx_q{queue}_errors"] == 5
	assert len(provider.all_received()) == len(consumer.all_received()) == sum(wanted)


def test_filtered_frames_were_sent(pair, make_frames):
	"""The host's port does not want them; its guest has sent them all the same."""
	frames = {0: [address + frame[6:] for address, count in COUNTS.items()
		for frame in make_frames(count)]}
	provider = pair.start_provider()
	provider.command(f"set promisc {provider.port()} off")
	consumer = pair.start_consumer(frames=frames)
	consumer.await_link()
	consumer.command("start")
	filtered = COUNTS[TO_ONE] + COUNTS[TO_SOME]
	wait_for(lambda: xstats(provider)["rx_filtered_packets"] == filtered, "all frames")
	assert provider.port_stats()["ipackets"] == COUNTS[TO_ALL]
	assert provider.port_stats()["ierrors"] == 0
	assert of_guest(consumer, "tx") == list(COUNTS.values())
	assert xstats(consumer)["tx_bytes"] == sum(map(len, frames[0]))
	assert xstats(consumer)["tx_error_packets"] == 0
