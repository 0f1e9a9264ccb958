# SPDX-License-Identifier: BSD-3-Clause
"""An application that calls exit() while its devices work: its other threads go on until the end."""

import signal
from pathlib import Path

import vfio_user
from iavf import Nic
from server import Server
from stock import compile_library

SOURCE = Path(__file__).with_name("leave.c")


def test_exit_under_a_client_leaves_no_socket(tmp_path):
    library = tmp_path / "leave.so"
    compile_library(SOURCE, library)
    running = Server(tmp_path, preload=library,
                     environment={"ASAN_OPTIONS": f"log_path={tmp_path}/sanitizer:detect_leaks=0"})
    paths = [Path(path) for path in (running.path, running.other_path, running.inline_path)]
    try:
        running.wait_until_ready()
        with vfio_user.connect(running.path) as client, vfio_user.DmaMemory() as memory:
            nic = Nic(client, memory).bring_up()
            nic.echo(nic.frame())
            assert all(path.is_socket() for path in paths)
            running.process.send_signal(signal.SIGUSR2)
            assert running.process.wait(20) == 0, running.log()
        assert not any(path.exists() for path in paths)
        assert not list(tmp_path.glob("sanitizer*"))
    finally:
        running.process.kill()
        running.process.wait()
