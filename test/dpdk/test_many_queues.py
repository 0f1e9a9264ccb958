# SPDX-License-Identifier: BSD-3-Clause
"""From 1 to 256 queues of stock net_iavf, with as many, fewer or more at the host's port."""

import re
from collections import Counter

import pytest

from frames import toeplitz
from pair import Endpoint
from stock import wait_for
from test_pair_rss import KEY, Flow, flows, set_key

RING = 128
LARGEST = 256
STREAM = re.compile(r"RX Port= *0/Queue= *(\d+) -> TX Port= *0/Queue= *(\d+).*?"
	r"RX-packets: *(\d+) *TX-packets: *(\d+)", re.DOTALL)
LONE = re.compile(r"RX-packets: *(\d+).*?TX-packets: *(\d+)", re.DOTALL)


def options(rxq, txq, ring=0, most=0, more=()):
	"""Rings of the guest need mbufs of the guest only."""
	return {
		"alone": True, "memory": ("--in-memory", "-m", "320"), "start": False,
		"options": (f"--rxd={RING}", f"--txd={RING}", f"--rxq={rxq}", f"--txq={txq}",
			f"--total-num-mbufs={8192 + 2 * ring * max(rxq, txq, most)}", "--port-topology=loop", *more),
	}


def start(pair, host, guest, most=0, to_provider=(), to_consumer=()):
	"""Each side with its numbers of Rx and Tx queues, and more options; later the guest has the
	most."""
	pair.start_provider(LARGEST, **options(*host, more=to_provider))
	consumer = options(*guest, RING, most, to_consumer)
	del consumer["start"]
	pair.start_consumer(**consumer)
	pair.consumer.await_link()


def streams(end):
	"""Packets of each queue that has had some: received, sent. A lone one is the port."""
	text = end.command("show fwd stats all")
	found = [[int(n) for n in each] for each in STREAM.findall(text)] or [
		[0, 0, *map(int, LONE.search(text).groups())]]
	return {rx: n for rx, _, n, _ in found if n}, {tx: n for _, tx, _, n in found if n}


def send(source, sink, queues):
	"""Sends testpmd's own frames until each of the source's queues has sent some. What arrives at
	the sink is counted, and that nothing is lost."""
	sink.command("set fwd rxonly")
	source.command("set fwd txonly")
	before = source.port_stats()["opackets"], sink.port_stats()["ipackets"]
	counted = lambda: (source.port_stats()["opackets"] - before[0],
		sink.port_stats()["ipackets"] - before[1])
	sink.command("start")
	source.command("start")
	wait_for(lambda: len(streams(source)[1]) == queues, "frames on all queues", 20)
	source.command("stop")
	wait_for(lambda: len(set(counted())) == 1, "arrival of all that was sent", 20)
	received = streams(sink)[0]
	sink.command("stop")
	return received


def told(pair):
	return pair.provider.telemetry("/emu_iavf/info,emu_iavf0")["queue_pairs_told"]


@pytest.mark.parametrize("queues", [1, 4, 16, 64, 256])
def test_as_many_on_both_sides(pair, queues):
	"""Frames arrive on each queue, in both directions."""
	start(pair, (queues, queues), (queues, queues))
	assert told(pair) == queues
	assert set(send(pair.consumer, pair.provider, queues)) == set(range(queues))
	assert set(send(pair.provider, pair.consumer, queues)) == set(range(queues))
	assert pair.consumer.quit() == 0 and not re.search("[Ff]ail", pair.consumer.log())


def test_host_with_one_queue_serves_each_of_64_fairly(pair):
	start(pair, (1, 1), (64, 64))
	assert told(pair) == 64
	send(pair.consumer, pair.provider, 64)
	for end in pair.provider, pair.consumer:
		end.command("start")
	sent = lambda: streams(pair.consumer)[1].values()
	wait_for(lambda: len(sent()) == 64 and min(sent()) > 2000, "many frames", 20)
	counts = sent()
	for end in pair.consumer, pair.provider:
		end.command("stop")
	assert max(counts) < 2 * min(counts)
	send(pair.provider, pair.consumer, 1)


# Queues, and the entries of the table that net_iavf then has.
@pytest.mark.parametrize("queues, table", [(16, 64), (64, 64), (256, 512)])
def test_packets_are_spread_over_many_queues(pair, queues, table):
	"""By the guest's key and table from the host's only queue, each where it belongs."""
	packets = flows(min(4000, queues * RING // 2))  # What a guest that sleeps has room for.
	pair.provider = pair.add_(Endpoint(pair.folder, "provider",
		f"emu_iavf0,path={pair.socket},queues={LARGEST}", frames={0: [p.frame() for p in packets]},
		start=False))
	consumer = options(queues, queues, RING, more=("--rss-udp",))
	del consumer["start"]
	pair.start_consumer(**consumer)
	consumer = pair.consumer
	for line in (*set_key(KEY), "set fwd rxonly"):
		consumer.command(line.format(port=consumer.port()))
	consumer.await_link()
	consumer.command("start")
	pair.provider.command("start")
	wait_for(lambda: consumer.port_stats()["ipackets"] == len(packets), "all packets", 20)
	expected = Counter(toeplitz(KEY, Flow.all(p)) % table % queues for p in packets)
	assert streams(consumer)[0] == expected and len(expected) == queues


def test_host_with_more_queues_than_the_guest(pair):
	"""Each guest's queue has the frames of as many of the host's."""
	start(pair, (32, 32), (2, 2))
	assert set(send(pair.consumer, pair.provider, 2)) == {0, 1}
	received = send(pair.provider, pair.consumer, 32)
	assert set(received) == {0, 1}
	assert max(received.values()) < 2 * min(received.values())


@pytest.mark.parametrize("rxq, txq", [(20, 3), (3, 20), (1, 4)])
def test_more_queues_of_one_direction(pair, rxq, txq):
	"""Of which testpmd uses as many as there are of the other."""
	start(pair, (1, 1), (rxq, txq))
	assert told(pair) == max(rxq, txq)
	send(pair.consumer, pair.provider, min(rxq, txq))
	send(pair.provider, pair.consumer, 1)


def test_numbers_change_while_the_host_goes_on(pair):
	"""From base messages to large ones and back, without another word to the host."""
	start(pair, (2, 2), (2, 2), most=40)
	for queues in (40, 4, 17, 16, 1):
		consumer = pair.consumer
		consumer.command("port stop all")
		for kind in ("rxq", "txq"):
			consumer.command(f"port config all {kind} {queues}")
		assert "Fail" not in consumer.command("port start all", 60)
		consumer.await_link()
		send(consumer, pair.provider, queues)
		send(pair.provider, consumer, 2)


def in_ring(end, queue):
	"""Frames that wait in a queue which testpmd does not poll."""
	text = end.command(f"show port {end.port()} rxq {queue} desc used count")
	return int(re.search(r"Used desc count = (\d+)", text)[1])


@pytest.mark.parametrize("host, guest", [("txonly", "rxonly"), ("rxonly", "txonly")])
def test_more_queues_of_one_direction_under_traffic(pair, host, guest):
	"""The host goes on without a pause while the guest sets up other numbers of queues for
	receiving than for sending. Of those testpmd polls as many as there are of the other."""
	start(pair, (1, 1), (4, 4), most=20, to_provider=("--txonly-multi-flow",),
		to_consumer=("--rss-udp",))
	provider, consumer = pair.provider, pair.consumer
	provider.command(f"set fwd {host}")
	provider.command("start")
	consumer.command(f"set fwd {guest}")
	for rxq, txq in ((20, 3), (3, 20), (1, 4), (16, 16)):
		consumer.command("port stop all")
		consumer.command(f"port config all rxq {rxq}")
		consumer.command(f"port config all txq {txq}")
		assert "Fail" not in consumer.command("port start all", 60)
		consumer.await_link()
		for line in set_key(KEY):  # By others testpmd's flows may leave queues out.
			consumer.command(line.format(port=consumer.port()))
		before = provider.port_stats()["ipackets"]
		consumer.command("start")
		polled = min(rxq, txq)
		at_work = lambda: streams(consumer)[guest == "txonly"]
		wait_for(lambda: set(at_work()) == set(range(polled)), "frames on each queue", 20)
		if guest == "rxonly":
			wait_for(lambda: all(in_ring(consumer, n) for n in range(polled, rxq)),
				"frames in each ring", 20)
		else:
			wait_for(lambda: provider.port_stats()["ipackets"] > before + 1000, "frames", 20)
		assert told(pair) == max(rxq, txq)
		consumer.command("stop")
	assert not any(n for name, n in provider.telemetry(f"/ethdev/xstats,{provider.port()}").items()
		if name.startswith("rx_") and name.endswith("_errors"))


def test_request_beyond_the_device_fails(pair):
	"""The driver says so, and works with what there is."""
	pair.start_provider(20, **options(1, 1))
	consumer = options(20, 20, RING)
	del consumer["start"]
	pair.start_consumer(**consumer)
	pair.consumer.await_link()
	pair.consumer.command("port stop all")
	for kind in ("rxq", "txq"):
		pair.consumer.command(f"port config all {kind} 21")
	assert "Fail" in pair.consumer.command("port start all", 60)
	for kind in ("rxq", "txq"):
		pair.consumer.command(f"port config all {kind} 20")
	pair.consumer.command("port start all", 60)
	pair.consumer.await_link()
	send(pair.consumer, pair.provider, 20)
