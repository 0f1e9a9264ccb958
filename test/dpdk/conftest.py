# SPDX-License-Identifier: BSD-3-Clause
"""Pairs of processes, ended with the test that made them."""

import random
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from pair import Pair  # noqa: E402
from stock import what_threads_do  # noqa: E402


@pytest.fixture
def pair(tmp_path):
	# A socket path is short: not below pytest's folders, whose names grow with the test's.
	folder = tempfile.mkdtemp(prefix="emudev-")
	pair = Pair(tmp_path, Path(folder) / "nic0.sock")
	try:
		yield pair
	finally:
		pair.close()
		shutil.rmtree(folder)


@pytest.fixture
def running(pair):
	pair.start_provider()
	pair.start_consumer()
	pair.consumer.await_link()
	return pair


@pytest.fixture
def make_frames():
	"""Frames that no other call makes: numbered, with random content."""
	generator = random.Random(1)
	number = 0

	def make(count, sizes=range(60, 1515)):
		nonlocal number
		frames = []
		for _ in range(count):
			number += 1
			size = generator.choice(sizes)
			# Locally administered addresses, and an EtherType for experiments.
			header = (bytes.fromhex("02000000000a 02000000000b 88b5")
				+ number.to_bytes(4, "big"))
			frames.append(header + generator.randbytes(size - len(header)))
		return frames
	return make


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
	"""Shows the ends of both sides' logs with a failed test."""
	report = (yield).get_result()
	pair = item.funcargs.get("pair") if hasattr(item, "funcargs") else None
	if report.failed and pair:
		for end in pair.ends_:
			lines = end.log().splitlines()
			report.sections.append((end.folder.name, "\n".join(lines[-80:])))
			if end.alive():
				report.sections.append((end.folder.name, what_threads_do(end.process.pid)))
