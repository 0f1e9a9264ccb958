# SPDX-License-Identifier: BSD-3-Clause
"""Large packets and checksums between our port and others of testpmd: net_vhost, whose peer is a
stock net_virtio_user, and net_tap. io mode hands on what a port has not carried out; csum mode finds
out itself what there is to do, and leaves it to the port that sends."""

import contextlib
import random
import socket
import struct
import time

import pytest

from pair import Endpoint
from stock import wait_for
from test_pair_handover import NIC_OFFLOADS, PEER, TAP, set_up
from test_pair_host_offloads import OUT, arrived, stream_of
from test_pair_offloads import is_right, tcp_frame

SEGMENT, PARTS = 300, 5
PAYLOADS = [random.Random(n).randbytes(1400) for n in range(40)]
FRAMES = [tcp_frame(payload, n, 1 + 1400 * n) for n, payload in enumerate(PAYLOADS)]
PAYLOAD = b"".join(PAYLOADS)
# A vhost device's memory is one file.
MEMORY = ("--in-memory", "--single-file-segments", "-m", "128")
PROTOCOLS = "ip", "tcp"


def leave_to(port, *more):
	"""Lines for csum mode, before a port starts: the port does it."""
	return (*(f"csum set {name} hw {port}" for name in PROTOCOLS), *more)


def configure(end, *lines):
	for line in ("port stop all", *lines, "port start all"):
		end.command(line)


def start_provider(pair, vdev, mode, lines, devargs=""):
	"""Joins the NIC to another port; lines may name them, {nic} and {other}."""
	provider = pair.start_provider(start=False, eal=(vdev,), memory=MEMORY, devargs=devargs)
	nic = provider.port_named("emu_iavf0")
	other = provider.port_named(vdev.removeprefix("--vdev=").split(",")[0])
	configure(provider, *(line.format(nic=nic, other=other) for line in lines))
	for line in (f"set portlist {nic},{other}", f"set fwd {mode}", "start"):
		provider.command(line)
	return nic, other


def start_virtio(pair, path, frames, lines, rx=()):
	end = pair.add_(Endpoint(pair.folder, "consumer",
		f"net_virtio_user0,path={path},queues=1,queue_size=1024,mrg_rxbuf=1",
		frames={0: frames}, start=False, memory=MEMORY))
	port = end.port()
	configure(end, *(f"port config {port} rx_offload {name} on" for name in rx),
		*(line.format(port=port) for line in lines))
	return end


def start_sending(end, mode):
	end.command(f"set fwd {mode}")
	end.command("start")


SEND_LARGE = (*leave_to("{port}"), f"tso set {SEGMENT} {{port}}")


def vhost(pair, legacy):
	"""With its legacy flags another port can send what net_vhost has not carried out."""
	path = pair.socket.with_name("vhost.sock")
	return path, f"--vdev=net_vhost0,iface={path},tso=1,legacy-ol-flags={legacy:d}"


NIC_IN = tuple(f"port config {{nic}} rx_offload {name} on" for name in NIC_OFFLOADS)
NIC_OUT = tuple(f"port config {{nic}} tx_offload {name} on" for name in OUT)
CUT_BY_NIC = (*leave_to("{nic}"), f"tso set {SEGMENT} {{nic}}")
# net_vhost of this version offers csum mode no segmentation, and its checksums reach the peer undone.
FINISHED_BEFORE_VHOST = tuple(f"csum set {name} sw {{other}}" for name in PROTOCOLS)


@pytest.mark.parametrize("mode", ["io", "csum"])
def test_guest_to_virtio(pair, mode):
	"""Requests arrive whole at a peer that takes them (io), or are cut and finished before (csum)."""
	whole = mode == "io"
	path, vdev = vhost(pair, legacy=whole)
	start_provider(pair, vdev, mode, NIC_IN if whole else FINISHED_BEFORE_VHOST)
	receiver = start_virtio(pair, path, [], (), ("tcp_lro", "scatter") if whole else ())
	start_sending(receiver, "io")
	sender = pair.start_consumer(frames={0: FRAMES})
	port = sender.port()
	configure(sender, *(line.format(port=port) for line in SEND_LARGE))
	sender.await_link()
	start_sending(sender, "csum")
	parts = 1 if whole else PARTS
	got = arrived(receiver, parts * len(FRAMES))
	assert len(got) == parts * len(FRAMES) and stream_of(got) == PAYLOAD
	assert whole or all(is_right(frame) for frame in got)
	assert pair.provider.port_stats()["ierrors"] == 0


@pytest.mark.parametrize("devargs, parts", [("", PARTS), (",lro=1", 1)], ids=["lro=0", "lro=1"])
@pytest.mark.parametrize("mode", ["io", "csum"])
def test_virtio_to_guest(pair, mode, devargs, parts):
	path, vdev = vhost(pair, legacy=mode == "io")
	start_provider(pair, vdev, mode, NIC_OUT if mode == "io" else CUT_BY_NIC, devargs)
	receiver = pair.start_consumer()
	receiver.await_link()
	receiver.command("start")
	start_sending(start_virtio(pair, path, FRAMES, SEND_LARGE), "csum")
	got = arrived(receiver, parts * len(FRAMES))
	assert len(got) == parts * len(FRAMES) and stream_of(got) == PAYLOAD
	assert parts == 1 or all(is_right(frame) for frame in got)
	assert pair.provider.port_stats()["oerrors"] == 0


@contextlib.contextmanager
def wire(name):
	with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as end:
		end.bind((name, 0))
		end.settimeout(0.2)
		yield end


TAP_VDEV = f"--vdev=net_tap0,iface={TAP}"
TAP_OUT = tuple(f"port config {{other}} tx_offload {name} on" for name in OUT)


@pytest.mark.parametrize("mode, lines", [
	("io", (*NIC_IN, *TAP_OUT)),
	("csum", (*NIC_IN, *leave_to("{other}"), f"tso set {SEGMENT} {{other}}"))], ids=["io", "csum"])
def test_guest_to_tap(pair, mode, lines):
	start_provider(pair, TAP_VDEV, mode, lines)
	got = []
	with wire(TAP) as tap:
		sender = pair.start_consumer(frames={0: FRAMES})
		port = sender.port()
		configure(sender, *(line.format(port=port) for line in SEND_LARGE))
		sender.await_link()
		start_sending(sender, "csum")

		def all_came():
			with contextlib.suppress(TimeoutError):
				while len(got) < PARTS * len(FRAMES):
					got.append(tap.recv(65536))
			# csum mode writes where to: the last byte is a port's number.
			got[:] = [frame for frame in got if frame[:5] == PEER[:5]]
			return len(got) >= PARTS * len(FRAMES)
		wait_for(all_came, "frames at the tap", 15)
	assert all(is_right(frame) for frame in got) and stream_of(got) == PAYLOAD


@pytest.mark.parametrize("devargs, parts", [("", PARTS), (",lro=1", 1)], ids=["lro=0", "lro=1"])
def test_tap_to_guest(pair, devargs, parts):
	"""csum mode: what comes from the tap is a frame each, which the NIC is told to cut."""
	start_provider(pair, TAP_VDEV, "csum", CUT_BY_NIC, devargs)
	receiver = pair.start_consumer()
	receiver.await_link()
	receiver.command("start")
	with wire(TAP) as tap:
		for frame in FRAMES:
			tap.send(frame)
			time.sleep(0.002)
	got = [frame for frame in arrived(receiver, parts * len(FRAMES)) if frame[23] == 6]
	assert stream_of(got) == PAYLOAD and len(got) == parts * len(FRAMES)
	assert parts == 1 or all(is_right(frame) for frame in got)
