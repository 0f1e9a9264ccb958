# SPDX-License-Identifier: BSD-3-Clause
"""Two DPDK processes, as the documents start them: by root, and by a user who has nothing."""

import contextlib
import re

import pytest

from documents import README, Testpmd, command, wait_for

GUIDE = "doc/guides/howto/two_processes.rst"
PROVIDER, CONSUMER = "dpdk-testpmd --lcores 0@0", "dpdk-testpmd --lcores 0@1"
INFO = "dpdk-vfio-user-info"
USER = 65534


def documented(begin):
    text = command(README, begin)
    assert text == command(GUIDE, begin), "README and guide differ"
    return text


def follow(place, change=lambda text: text, **options):
    """What is said of it is true: at the first look already."""
    with contextlib.ExitStack() as cleanup:
        provider = Testpmd(place, change(documented(PROVIDER)), **options)
        cleanup.callback(provider.close)
        shown = place.run(change(documented(INFO)), **options)
        assert re.search(r"vendor +0x8086|8086:1889", shown), shown
        consumer = Testpmd(place, change(documented(CONSUMER)), **options)
        cleanup.callback(consumer.close)
        assert "Driver name: net_iavf" in consumer.command("show port info all")
        assert consumer.counted("TX-packets") > 0
        wait_for(lambda: provider.counted("RX-packets") > 0, "packets at the provider")
        consumer.command("stop")
        sent = consumer.counted("TX-packets")
        wait_for(lambda: provider.counted("RX-packets") == sent, "what was sent, received")


def test_as_root(place):
    follow(place)


@pytest.mark.parametrize("memory", ["--in-memory", "--no-huge"])
def test_as_any_user(place, memory):
    folder = "/run/of-a-user"
    place.run(f"rm -rf {folder} && mkdir -m 700 {folder} && chown {USER} {folder}")
    follow(place, lambda text: text.replace("--in-memory", memory).replace("/run/nic0", f"{folder}/nic0"),
           user=USER, environment=[f"XDG_RUNTIME_DIR={folder}"])
