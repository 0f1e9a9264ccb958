# SPDX-License-Identifier: BSD-3-Clause
"""DPDK's exporter of telemetry with our endpoint, as the guide starts it."""

import contextlib
import shutil
from urllib.parse import urlsplit

import pytest

from documents import Failure, Testpmd, block, command, start, wait_for

GUIDE = "doc/guides/howto/prometheus.rst"
EXPORTER = "dpdk-telemetry-exporter.py"
# Debian's curl is not everywhere.
FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())"


@pytest.mark.skipif(shutil.which(EXPORTER) is None, reason="DPDK before 24.11 has no exporter")
def test_exporter(place, tmp_path):
    address = block(GUIDE, "curl").removeprefix("curl ")
    assert urlsplit(address).netloc in command(GUIDE, EXPORTER)
    with contextlib.ExitStack() as cleanup:
        host = Testpmd(place, "dpdk-testpmd --lcores 0@0,1@0 --no-huge -m 256 --no-pci --file-prefix=host "
                       "--vdev=emu_iavf0,path=/run/exported.sock -- -i --total-num-mbufs=4096")
        cleanup.callback(host.close)
        start(cleanup, place, command(GUIDE, EXPORTER), tmp_path / "exporter.log")

        def fetch():
            with contextlib.suppress(Failure):
                return place.run(f"/usr/bin/python3 -c '{FETCH}' {address}")
        told = wait_for(fetch, "answer of the exporter")
    for line in ("# TYPE dpdk_emudev_connected gauge", 'dpdk_emudev_connected{device="emu_iavf0"} 0',
                 "# TYPE dpdk_emudev_resets counter", 'op="VERSION"} 0'):
        assert line in told
