# SPDX-License-Identifier: BSD-3-Clause
"""Traffic both ways, with each frame's content compared."""

import re
from pathlib import Path

import pytest

from stock import wait_for

# net_pcap takes and makes frames of many segments without offloads, and refuses them.
JUMBO = {
	"options": ("--max-pkt-len=9728", "--disable-device-start"),
	"setup": ("port config 0 rx_offload scatter on", "port config 0 tx_offload multi_segs on",
		"port start all"),
}


def exchange(pair, make_frames, queues=1, count=300, sizes=range(60, 1515), **options):
	"""Each side sends frames on each queue; all arrive, once and unchanged."""
	there = {queue: make_frames(count, sizes) for queue in range(queues)}
	back = {queue: make_frames(count, sizes) for queue in range(queues)}
	pair.start_both(queues, to_provider=there, to_consumer=back, **options)
	for sent, end in (there, pair.provider), (back, pair.consumer):
		expected = sorted(frame for frames in sent.values() for frame in frames)
		try:
			wait_for(lambda: len(end.all_received()) >= len(expected),
				"arrival of all frames", 15)
		except Exception:
			pytest.fail(f"{len(end.all_received())} of {len(expected)} frames arrived "
				f"at {end.folder.name}")
		assert end.all_received() == expected
	wait_for(pair.stats_agree, "agreement of the statistics of both sides", 5)
	assert pair.consumer.port_stats()["opackets"] == queues * count


@pytest.mark.parametrize("queues", [1, 2, 5, 16])
def test_queues(pair, make_frames, queues):
	exchange(pair, make_frames, queues, count=300 if queues < 5 else 100)


# What net_iavf says of the receive function that it has chosen.
PATHS = {
	64: r"Using (bulk|Basic) Rx",
	128: r"Using Vector Rx",
	256: r"Using avx2 Vector Rx",
	512: r"Using AVX512 (OFFLOAD )?Vector Rx",
}
SCATTERED_PATHS = {
	64: r"Using a Scattered Rx",
	128: r"Using Vector Scattered Rx",
	256: r"Using avx2 Vector Scattered Rx",
	512: r"Using AVX512 (OFFLOAD )?Vector Scattered Rx",
}


NEEDED = {256: "avx2", 512: "avx512bw"}


def path(bits):
	"""EAL's options for it; skips the test where the CPU has none."""
	flags = Path("/proc/cpuinfo").read_text(encoding="ascii").split()
	if bits in NEEDED and NEEDED[bits] not in flags:
		pytest.skip(f"this CPU has no {NEEDED[bits]}")
	return f"--force-max-simd-bitwidth={bits}", "--log-level=pmd.net.iavf.driver:debug"


def check_path(pair, bits, expected):
	assert re.search(expected[bits], pair.consumer.log()), "net_iavf has chosen another path"


@pytest.mark.parametrize("bits", PATHS)
def test_paths_of_the_driver(pair, make_frames, bits):
	exchange(pair, make_frames, queues=2, eal=path(bits))
	check_path(pair, bits, PATHS)


@pytest.mark.parametrize("bits", PATHS)
def test_jumbo_frames(pair, make_frames, bits):
	sizes = [60, 1514, 2048, 2049, 4096, 9000, 9710, *range(60, 9710, 7)]
	exchange(pair, make_frames, count=150, sizes=sizes, eal=path(bits), **JUMBO)
	check_path(pair, bits, SCATTERED_PATHS)
