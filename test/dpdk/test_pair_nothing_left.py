# SPDX-License-Identifier: BSD-3-Clause
"""Calls that ask the system for something fail once, one after the other, while a stock testpmd makes
a device, or attaches one of another process, and sets its port up: the process lives, keeps nothing of
it, and can do it the next time. What testpmd itself allocates does not fail."""

from collections import Counter

import pytest

from failing import EACH, Orders
from pair import Endpoint
from stock import Failure, wait_for

OF_EACH_NAME = 3  # All of them with EMUDEV_EACH=1.
EXPECTED = {
	"provider": {"socket", "bind", "listen", "memfd_create", "mmap64", "rte_zmalloc"},
	"consumer": {"socket", "connect", "eventfd", "mmap64", "sendmsg", "recvmsg"},
}


@pytest.fixture
def orders(tmp_path):
	return Orders(tmp_path / "orders")


def start(pair, orders, name):
	"""A testpmd whose calls fail as told, and which has no device yet."""
	return pair.add_(Endpoint(pair.folder, name, "net_null0", eal=("--iova-mode=va",), alone=True,
		start=False, launcher=("env", f"LD_PRELOAD={orders.library()}", "EMUDEV_FAIL_MAIN=1",
			*(f"{key}={value}" for key, value in orders.environment().items()))))


def life(end, device):
	"""A device comes, its port is set up, and all goes again. Whether there was a port."""
	before = set(end.telemetry("/ethdev/list"))
	end.command(f"port attach {device}", 60)
	ports = set(end.telemetry("/ethdev/list")) - before
	for port in ports:
		for line in ("port start {}", "port stop {}", "port detach {}"):
			end.command(line.format(port), 60)
	return bool(ports)


def goes(end, count):
	"""Whatever has become of the port, its device goes; that of testpmd stays."""
	wait_for(lambda: len(end.telemetry("/ethdev/list")) == count, "the end of the port")


def is_ours(name, number, is_consumer):
	"""Not what no system does: an eventfd that wakes is never full. Nor net_iavf's memory, of which it
	keeps a thread and its pipe, and its thread, without which it leaves half a port that ends testpmd."""
	of_net_iavf = name == "rte_zmalloc" or (name == "pthread_create" and number > 1)
	return name != "eventfd_write" and not (is_consumer and of_net_iavf)


def still_holds(end, held):
	"""net_iavf keeps a thread's pipe for good if it could once not begin."""
	pipe = 2 if end.is_consumer and "Init vf failed" in end.log() else 0
	return end.resources() in (held, held | {"fds": held["fds"] + pipe})


def each_fails_once(end, orders, device, expected):
	assert life(end, device) and life(end, device)
	ports, held = len(end.telemetry("/ethdev/list")), end.resources()
	orders.give(EACH)
	assert life(end, device)
	plan = list(orders.plan(lambda _, count: 1 if count <= OF_EACH_NAME else count // OF_EACH_NAME))
	orders.give(0)
	failed = Counter()
	for name, number in plan:
		if not is_ours(name, number, end.is_consumer):
			continue
		orders.give(number, name)
		try:
			life(end, device)
			failed[name] += orders.count() >= number
			orders.give(0)
			goes(end, ports)
			wait_for(lambda: still_holds(end, held), "what was held")
		except Failure as error:
			now = end.resources() if end.alive() else "dead"
			raise Failure(f"{name} {number}: {error}: {held}, now {now}") from None
	print(dict(failed))
	assert life(end, device)
	assert expected <= (+failed).keys(), failed


def test_device_is_made(pair, orders):
	each_fails_once(start(pair, orders, "provider"), orders, f"emu_iavf0,path={pair.socket}",
		EXPECTED["provider"])


def test_device_is_attached(pair, orders):
	pair.start_provider()
	each_fails_once(start(pair, orders, "consumer"), orders, f"vfio_user_pci0,path={pair.socket}",
		EXPECTED["consumer"])
