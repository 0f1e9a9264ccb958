# SPDX-License-Identifier: BSD-3-Clause
"""Rules of the flow director by testpmd's flow commands, judged by the queue that stock net_iavf
gets a frame from, and by the mark that comes with it."""

import pytest

import frames
from stock import wait_for

QUEUES = 4
ROOM = 128  # For rules, in the device.
CREATE = "flow create {port} ingress pattern "


def udp(port, source="0a000001"):
	return frames.MACS + frames.V4 + frames.ip4(*frames.udp(b"", port), 0,
		bytes.fromhex(source + "0a000002")) + bytes(18)


@pytest.fixture
def queues(pair):
	"""Starts both sides; frames of one queue of the host, after the consumer's commands. Returns
	what came by queue."""
	def go(sent, *commands, count=None):
		pair.start_provider(QUEUES, frames={0: sent}, start=False)
		consumer = pair.start_consumer(QUEUES)
		for line in commands:
			consumer.command(line.format(port=consumer.port()))
		consumer.await_link()
		consumer.command("start")
		pair.provider.command("start")
		count = len(sent) if count is None else count
		wait_for(lambda: len(consumer.all_received()) >= count, f"{count} frames", 15)
		return consumer.received()
	return go


def xstat(end, name):
	return end.telemetry(f"/ethdev/xstats,{end.port()}")[name]


def test_queue_drop_and_region(pair, queues):
	"""Rules for one port each; what no rule is for comes by the host's queue."""
	sent = [udp(port, f"0a0000{n:02x}") for n in range(20) for port in (1, 2, 3, 4, 5)]
	got = queues(sent, CREATE + "eth / ipv4 / udp dst is 1 / end actions queue index 2 / end",
		CREATE + "eth / ipv4 / udp dst is 2 / end actions drop / end",
		CREATE + "eth / ipv4 / udp dst is 3 / end actions rss queues 2 3 end / end",
		CREATE + "eth / ipv4 dst is 10.0.0.2 / udp dst is 4 / end actions passthru / mark id 9 / end",
		count=80)
	assert [f"Flow rule #{n} created" in pair.consumer.log() for n in range(5)] == [True] * 4 + [False]
	ports = [[frame[37] for frame in frames_of] for frames_of in got]
	assert ports[2].count(1) == 20
	assert ports[0].count(4) == ports[0].count(5) == 20
	assert ports[2].count(3) + ports[3].count(3) == 20
	assert ports[2].count(3) and ports[3].count(3)
	assert sum(map(len, ports)) == 80
	assert xstat(pair.provider, "tx_flow_dropped_packets") == 20


def test_rules_end(pair, queues):
	"""By destroy and by flush; what is refused leaves nothing."""
	sent = [udp(port) for port in (1, 2, 3)]
	got = queues(sent, *(CREATE + f"eth / ipv4 / udp dst is {port} / end actions "
		f"queue index {port} / end" for port in (1, 2)),
		CREATE + "eth / ipv4 / udp dst is 1 / end actions queue index 3 / end",
		"flow destroy {port} rule 0",
		CREATE + "eth / ipv4 / udp dst is 3 / end actions queue index 3 / end")
	assert "already existed" in pair.consumer.log()
	assert [len(frames_of) for frames_of in got] == [1, 0, 1, 1]
	flows = lambda: pair.provider.telemetry("/emu_iavf/info,emu_iavf0")["flows"]
	assert flows() == 2
	pair.consumer.command(f"flow flush {pair.consumer.port()}")
	wait_for(lambda: flows() == 0, "the end of the rules")


def test_query_is_refused(pair, queues):
	"""Rules count nothing, as on the card; the rule stays."""
	sent = [udp(1)] * 10
	assert len(queues(sent, CREATE + "eth / ipv4 / udp dst is 1 / end actions queue index 2 / end",
		"flow query {port} 0 count")[2]) == 10
	assert "error" in pair.consumer.log().lower()
	assert "hits" not in pair.consumer.log()


def test_no_more_rules_than_there_is_room_for(pair, queues):
	"""The driver says so of the one that is too many; the others stay and the last of them works."""
	rules = [CREATE + f"eth / ipv4 / udp dst is {n + 1} / end actions queue index {n % QUEUES} / end"
		for n in range(ROOM + 1)]
	got = queues([udp(ROOM), udp(ROOM + 1)], *rules)
	assert [len(frames_of) for frames_of in got] == [1, 0, 0, 1]
	assert f"Flow rule #{ROOM - 1} created" in pair.consumer.log()
	assert f"Flow rule #{ROOM} created" not in pair.consumer.log()
	assert "no hw resource" in pair.consumer.log()
	assert pair.provider.telemetry("/emu_iavf/info,emu_iavf0")["flows"] == ROOM


RAW = bytes(12) + frames.V4 + frames.ip4(*frames.udp(b"", 9))
RAW_MASK = bytes(36) + b"\xff\xff" + bytes(4)  # The port.
PATTERNS = {
	"ipv6": ("eth / ipv6 / tcp src is 1000 / end", frames.MACS + frames.V6 +
		frames.ip6(*frames.tcp(b""))),
	"type": ("eth type is 0x88f7 / end", frames.MACS + b"\x88\xf7" + bytes(46)),
	"fragment": ("eth / ipv4 fragment_offset spec 0x2000 fragment_offset mask 0x2000 / end",
		frames.MACS + frames.V4 + frames.ip4(17, bytes(40), None, 0x2000)),
	"esp": ("eth / ipv4 / udp / esp spi is 7 / end", frames.MACS + frames.V4 +
		frames.ip4(*frames.udp((7).to_bytes(4, "big") + bytes(20), 4500))),
	"raw": (f"raw pattern spec {RAW.hex()} pattern mask {RAW_MASK.hex()} / end", udp(9)),
}


@pytest.mark.parametrize("name", PATTERNS)
@pytest.mark.parametrize("bits", [64, 256])
def test_mark(pair, name, bits):
	"""It comes with the frame, by scalar functions and by those for vectors, on the right queue."""
	pattern, frame = PATTERNS[name]
	others = [udp(1)] * 7
	pair.start_provider(QUEUES, frames={0: [frame, *others] * 8}, start=False)
	consumer = pair.start_consumer(QUEUES, eal=(f"--force-max-simd-bitwidth={bits}",))
	consumer.command("set fwd rxonly")
	consumer.command("set verbose 1")
	consumer.command(CREATE.format(port=consumer.port()) + pattern
		+ " actions queue index 3 / mark id 0x12345 / end")
	consumer.await_link()
	consumer.command("start")
	pair.provider.command("start")
	lines = lambda: [line for line in consumer.log().splitlines() if "FDIR matched" in line]
	wait_for(lambda: len(lines()) == 8, "marked frames", 15)
	assert all("ID=0x12345" in line and "queue=0x3" in line for line in lines())
