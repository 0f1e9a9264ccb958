# SPDX-License-Identifier: BSD-3-Clause
"""What an application leaves to the port of the emulated NIC, at a stock net_iavf that receives.

testpmd's csum mode leaves checksums and segmentation to the port; its io mode hands on what another
port has not carried out.
"""

import random
import struct

import pytest

from pair import Endpoint
from stock import wait_for
from test_pair_handover import NIC_OFFLOADS, set_up
from test_pair_offloads import (CSUM, OTHERS, TUNNELS, in_tunnel, is_right, others, out_of_tunnel,
	pieces, random_stream, spoiled, stream_of, tcp_frame, tcp_frame6)

SEGMENT = 300
PAYLOADS = [random.Random(n).randbytes(1400) for n in range(40)]
FRAMES = [tcp_frame(payload, n, 1 + 1400 * n) for n, payload in enumerate(PAYLOADS)]
OUT = "ipv4_cksum", "tcp_cksum", "udp_cksum", "tcp_tso", "multi_segs"
PROTOCOLS = "ip", "tcp"


def arrived(end, count):
	wait_for(lambda: len(end.all_received()) >= count, f"{count} frames", 15)
	return end.all_received()


def send_by_csum(pair, frames, *setup, **options):
	"""The provider sends frames with what the setup asks for."""
	provider = pair.start_provider(frames={0: frames}, start=False)
	pair.start_consumer(**options)
	port = provider.port()
	for line in ("port stop all", *(line.format(port=port) for line in setup), "port start all",
			"set fwd csum"):
		provider.command(line)
	pair.consumer.await_link()
	for end in pair.consumer, provider:
		end.command("start")


@pytest.mark.parametrize("bits", [64, 256])
@pytest.mark.parametrize("setup, parts", [((f"tso set {SEGMENT} {{port}}",), 5), ((), 1)],
	ids=["segments", "checksums"])
def test_what_an_application_leaves_to_the_port(pair, setup, parts, bits):
	send_by_csum(pair, [spoiled(frame) for frame in FRAMES], "csum set ip hw {port}",
		"csum set tcp hw {port}", *setup, eal=(f"--force-max-simd-bitwidth={bits}",))
	got = arrived(pair.consumer, parts * len(FRAMES))
	assert len(got) == parts * len(FRAMES) and all(is_right(frame) for frame in got)
	assert stream_of(got) == b"".join(PAYLOADS)
	assert pair.provider.port_stats()["oerrors"] == 0


@pytest.mark.parametrize("make, seed", [(tcp_frame, 5), (tcp_frame6, 6), (tcp_frame6, 7)],
	ids=["v4-5", "v6-6", "v6-7"])
def test_what_an_application_leaves_is_cut(pair, make, seed):
	frames, payloads, segment = random_stream(seed, make)
	send_by_csum(pair, frames, "csum set ip hw {port}", "csum set tcp hw {port}",
		f"tso set {segment} {{port}}")
	got = arrived(pair.consumer, pieces(payloads, segment))
	assert len(got) == pieces(payloads, segment) and all(is_right(frame) for frame in got)
	assert stream_of(got) == b"".join(payloads)
	assert pair.provider.port_stats()["oerrors"] == 0


@pytest.mark.parametrize("protocol", OTHERS)
def test_other_checksums_of_an_application(pair, protocol):
	right, wrong = others(protocol)
	send_by_csum(pair, wrong, "csum set ip hw {port}", f"csum set {protocol} hw {{port}}")
	got = arrived(pair.consumer, len(right))
	assert sorted(frame[12:] for frame in got) == sorted(frame[12:] for frame in right)
	assert pair.provider.port_stats()["oerrors"] == 0


@pytest.mark.parametrize("tunnel", TUNNELS)
def test_tunnels_of_an_application(pair, tunnel):
	send_by_csum(pair, [in_tunnel(tunnel, frame) for frame in FRAMES], *CSUM,
		f"tunnel_tso set {SEGMENT} {{port}}")
	got = [out_of_tunnel(tunnel, frame) for frame in arrived(pair.consumer, 5 * len(FRAMES))]
	assert len(got) == 5 * len(FRAMES) and all(is_right(frame) for frame in got)
	assert stream_of(got) == b"".join(PAYLOADS)
	assert pair.provider.port_stats()["oerrors"] == 0


def start_two_guests(pair, offloads, devargs="", sender_devargs=""):
	"""What one sends with its NIC's TSO the other gets, by a provider that only hands on. Returns
	the receiver, and the port that is its NIC."""
	second = pair.socket.with_name("nic1.sock")
	provider = pair.start_provider(start=False, devargs=sender_devargs,
		eal=(f"--vdev=emu_iavf1,path={second}{devargs}",))
	first, other = provider.port_named("emu_iavf0"), provider.port_named("emu_iavf1")
	provider.command("port stop all")
	set_up(provider, first, "rx", NIC_OFFLOADS)
	set_up(provider, other, "tx", offloads)
	for line in ("port start all", f"set portlist {first},{other}", "start"):
		provider.command(line)
	receiver = pair.add_(Endpoint(pair.folder, "consumer", f"vfio_user_pci0,path={second}",
		start=False))
	receiver.await_link()
	receiver.command("start")
	sender = pair.start_consumer(frames={0: FRAMES})
	port = sender.port()
	for line in ("port stop all", *(f"csum set {name} hw {port}" for name in PROTOCOLS),
			f"tso set {SEGMENT} {port}", "port start all", "set fwd csum"):
		sender.command(line)
	sender.await_link()
	sender.command("start")
	return receiver, other


@pytest.mark.parametrize("devargs, parts", [("", 5), (",lro=1", 1)], ids=["lro=0", "lro=1"])
def test_guest_to_guest(pair, devargs, parts):
	receiver, _ = start_two_guests(pair, OUT, devargs)
	got = arrived(receiver, parts * len(FRAMES))
	assert len(got) == parts * len(FRAMES)
	assert stream_of(got) == b"".join(PAYLOADS)
	# The checksum over several segments nobody makes.
	assert parts == 1 or all(is_right(frame) for frame in got)
	assert all(struct.unpack(">H", frame[16:18])[0] == len(frame) - 14 for frame in got)


def test_guest_to_guest_without_a_copy(pair):
	"""TSO requests as they are, then a sender that dies with its frames under way."""
	receiver, other = start_two_guests(pair, OUT, sender_devargs=",zero-copy=1")
	got = arrived(receiver, 5 * len(FRAMES))
	assert stream_of(got) == b"".join(PAYLOADS)
	assert all(is_right(frame) for frame in got)
	first = pair.provider.port_named("emu_iavf0")

	def lent():
		return pair.provider.telemetry(f"/ethdev/xstats,{first}")["rx_zero_copy_packets"]
	assert lent() == len(FRAMES)
	pair.consumer.kill()
	wait_for(lambda: pair.provider.telemetry(f"/ethdev/link_status,{first}")["status"] == "DOWN",
		"link down", 15)
	again = pair.start_consumer(frames={0: FRAMES})
	again.await_link()
	again.command("start")
	got = arrived(receiver, 6 * len(FRAMES))
	assert len(got) == 6 * len(FRAMES) and lent() == 2 * len(FRAMES)
	assert sorted(got).count(FRAMES[0]) == 1


def test_what_is_not_enabled_is_counted(pair):
	receiver, port = start_two_guests(pair, OUT[:2])
	name = "tx_disabled_offload_errors"

	def counted():
		return pair.provider.telemetry(f"/ethdev/xstats,{port}")[name]
	wait_for(lambda: counted() == len(FRAMES), "count of the frames", 15)
	assert receiver.all_received() == []
