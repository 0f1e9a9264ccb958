# SPDX-License-Identifier: BSD-3-Clause
"""One server per module; after each test it must be alive, served out and without a leak."""

import sys
from pathlib import Path

import pytest

sys.path[:0] = map(str, Path(__file__).resolve().parents[:2])

import server as server_module  # noqa: E402
import vfio_user  # noqa: E402
from server import Server  # noqa: E402
from stock import BUILD, what_threads_do  # noqa: E402


@pytest.fixture(scope="module")
def server(request, tmp_path_factory):
    """A module may want other numbers: QUEUES = of the devices, HOST_QUEUES = of their ports,
    CORES = of data threads."""
    if not list((BUILD / "drivers").glob("librte_emu_iavf.so*")):
        pytest.exit(f"no drivers in {BUILD}/drivers: build first, or set EMUDEV_BUILD", 2)
    running = Server(tmp_path_factory.mktemp("server"),
                     getattr(request.module, "QUEUES", server_module.QUEUES),
                     getattr(request.module, "HOST_QUEUES", server_module.QUEUES),
                     cores=getattr(request.module, "CORES", 1))
    try:
        running.wait_until_ready()
        yield running
    except BaseException:
        running.process.kill()
        raise
    running.quit()


@pytest.fixture(autouse=True)
def healthy(server):
    """Checks the server after each test."""
    yield
    server.check_health()


@pytest.fixture
def client(server):
    with vfio_user.connect(server.path) as connected:
        yield connected


@pytest.fixture(params=["path", "inline_path"], ids=["thread", "inline"])
def wirer(server, request):
    """A client of a device whose interrupts a thread signals, or whoever has them (irq-inline=1)."""
    with vfio_user.connect(getattr(server, request.param)) as connected:
        yield connected


@pytest.fixture
def memory():
    with vfio_user.DmaMemory() as guest_memory:
        yield guest_memory


@pytest.fixture
def other(server):
    """A client of the second device, to see that it is served all the time."""
    with vfio_user.connect(server.other_path) as connected:
        yield connected


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the end of the server's log with a failed test."""
    report = (yield).get_result()
    server = item.funcargs.get("server")
    if report.failed and server:
        report.sections.append(("server log", server.log()[-4000:]))
        report.sections.append(("server threads", what_threads_do(server.pid)))
