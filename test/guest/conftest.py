# SPDX-License-Identifier: BSD-3-Clause
"""One host process per module; after each test it must be alive and hold no more than before."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import guest as guests  # noqa: E402
from host import Testpmd, interruptible  # noqa: E402
from stock import Failure, wait_for  # noqa: E402


def pytest_configure(config):
	config.addinivalue_line("markers",
		"guest_may_say(text, ...): messages of the guest's kernel that belong to the test")
	config.addinivalue_line("markers",
		"host_may_keep(resource, ...): what testpmd itself does not give back after the test")
	interruptible()


@pytest.fixture(scope="module")
def testpmd(request, tmp_path_factory):
	"""A module may ask for more queues, QUEUES = n, and for more arguments of the device."""
	process = Testpmd(tmp_path_factory.mktemp("host"), getattr(request.module, "QUEUES", 1),
		devargs=getattr(request.module, "DEVARGS", ""))
	try:
		process.wire_vectors()
		yield process
		assert process.quit() == 0, process.log()[-3000:]
	finally:
		process.close()


@pytest.fixture
def boot(testpmd, tmp_path):
	"""Boots guests of the test's own; they are killed at its end."""
	started = []

	def start(**options):
		guest = guests.Guest(tmp_path / str(len(started)), testpmd.socket, **options)
		started.append(guest)
		return guest
	start.guests = started
	yield start
	for guest in started:
		guest.close()


@pytest.fixture(scope="module")
def running_guest(testpmd, tmp_path_factory):
	guest = guests.Guest(tmp_path_factory.mktemp("guest"), testpmd.socket)
	try:
		guest.load()
		yield guest
	finally:
		guest.close()


@pytest.fixture
def guest(request, running_guest):
	"""A guest that the tests of a module share; each leaves it with its link up."""
	running_guest.forgive()
	yield running_guest
	marker = request.node.get_closest_marker("guest_may_say")
	expected = marker.args if marker else ()
	complaints = [line for line in running_guest.complaints()
		if not any(text in line for text in expected)]
	assert not complaints


def exceeded(before, testpmd):
	"""What has grown."""
	after = testpmd.resources()
	return {what: (before[what], after[what]) for what in after if after[what] > before[what]}


@pytest.fixture(autouse=True)
def nothing_leaks(request, testpmd):
	"""Set up before a test's own guests and checked after they are gone."""
	if "guest" in request.fixturenames:
		request.getfixturevalue("running_guest")
	testpmd.namespace.serve_iperf()
	before = testpmd.resources()
	if marker := request.node.get_closest_marker("host_may_keep"):
		before |= dict.fromkeys(marker.args, float("inf"))
	yield
	assert testpmd.alive(), testpmd.log()[-3000:]
	try:
		wait_for(lambda: not exceeded(before, testpmd), "return to the resources of before")
	except Failure:
		# On a busy machine the last look may have been a while ago.
		if grown := exceeded(before, testpmd):
			pytest.fail(f"more than before (before, after): {grown}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
	"""Shows the ends of all sides' logs with a failed test."""
	report = (yield).get_result()
	if not report.failed:
		return
	if host := item.funcargs.get("testpmd"):
		report.sections.append(("testpmd", host.log()[-3000:]))
		if host.alive():
			report.sections.append(("port", host.counts()))
	booted = item.funcargs.get("boot")
	shared = item.funcargs.get("running_guest")
	for guest in [*(booted.guests if booted else []), *([shared] if shared else [])]:
		report.sections.append(("guest", guest.last_words()))
