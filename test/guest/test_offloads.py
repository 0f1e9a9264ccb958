# SPDX-License-Identifier: BSD-3-Clause
"""What Linux leaves to the device: its features, and frames at the tap, each judged by itself."""

import base64
import json
import subprocess
from pathlib import Path

import pytest

import guest as guests
from guest import NIC
from host import TAP
from stock import execute
from tunnel_end import INNER_MAC, PEER_MAC, TUN, VLAN

HERE = Path(__file__).parent
IP = "/usr/bin/ip"  # Busybox has one of its own that knows less.
PEER, PEER_V6, GUEST_V6 = "192.0.2.9", "2001:db8::9", "2001:db8::2"
INNER, INNER_PEER = "198.51.100.2", "198.51.100.1"
INNER_V6, INNER_PEER_V6 = "2001:db8:1::2", "2001:db8:1::1"
TAGGED, TAGGED_PEER = "203.0.113.2", "203.0.113.9"
BETWEEN = f"local {guests.GUEST_ADDRESS} remote {PEER}"
BETWEEN_V6 = f"local {GUEST_V6} remote {PEER_V6}"
# The guest's tunnels: module, and arguments of "ip link add". IP in IP is not among them: Linux segments
# it itself, for its iavf_features_check() takes the distance of its headers for too long.
TUNNELS = {
	"vxlan": ("vxlan", f"vxlan id 42 {BETWEEN} dstport 4789 noudpcsum"),
	"vxlan-csum": ("vxlan", f"vxlan id 42 {BETWEEN} dstport 4789 udpcsum"),
	"vxlan-csum-v6": ("vxlan", f"vxlan id 42 {BETWEEN_V6} dstport 4789"),
	"geneve-csum": ("geneve", f"geneve id 42 remote {PEER} udpcsum"),
	"gre": ("ip_gre", f"gre {BETWEEN}"),
	"gre-csum": ("ip_gre", f"gre {BETWEEN} ocsum icsum"),
}

RECEIVER = """
import socket
receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
receiver.setsockopt(socket.SOL_SOCKET, 33, 1 << 22)  # SO_RCVBUFFORCE
receiver.bind(("0.0.0.0", 5300))
receiver.settimeout(10)
print("ready", flush=True)
for _ in range(150):
	print(receiver.recv(65536).hex(), flush=True)
"""


@pytest.fixture
def far_end(guest, testpmd):
	"""Where the guest's frames for its peer go to: not to the host's kernel."""
	mac = PEER_MAC.hex(":")
	guest.check(f"{IP} -6 address replace {GUEST_V6}/64 dev {NIC} nodad")
	guest.check(f"{IP} neigh replace {PEER} lladdr {mac} dev {NIC} nud permanent")
	guest.check(f"{IP} neigh replace {PEER_V6} lladdr {mac} dev {NIC} nud permanent")
	processes = []

	def start(kind):
		process = subprocess.Popen(testpmd.namespace.enter("/usr/bin/python3", "-B",
			str(HERE / "tunnel_end.py"), TAP, kind), stdin=subprocess.PIPE,
			stdout=subprocess.PIPE, text=True)
		processes.append(process)
		assert process.stdout.readline() == "ready\n"
		run = testpmd.namespace.run
		run("ip", "address", "add", f"{INNER_PEER}/30", "dev", TUN)
		run("ip", "address", "add", f"{INNER_PEER_V6}/126", "dev", TUN, "nodad")
		run("ip", "link", "set", TUN, "up", "mtu", "1300")
		return process
	yield start
	for process in processes:
		process.kill()
		process.wait()
	guest.run(f"{IP} link del t0")


def all_is_right(guest, testpmd, process, peer):
	"""Stock Linux has its NIC segment what it sends; each frame on the wire is right."""
	errors = testpmd.errors()
	guest.check(f"iperf3 -c {peer} -n 2M", 60)
	counts = json.loads(process.communicate(timeout=10)[0])
	assert not [what for what in counts if what.startswith("wrong")], counts
	assert counts["full"] * 1300 > 1_900_000, counts
	assert testpmd.errors() == errors


def open_tunnel(guest, module, arguments):
	guest.check(f"modprobe {module}")
	guest.check(f"{IP} link add t0 type {arguments}")
	guest.check(f"{IP} address add {INNER}/30 dev t0")
	guest.check(f"{IP} link set t0 mtu 1300 up")
	# Where the tunnel is one of Ethernet.
	guest.run(f"{IP} neigh replace {INNER_PEER} lladdr {INNER_MAC.hex(':')} dev t0 nud permanent")


@pytest.mark.parametrize("kind", TUNNELS)
def test_tcp_in_a_tunnel(guest, testpmd, far_end, kind):
	open_tunnel(guest, *TUNNELS[kind])
	all_is_right(guest, testpmd, far_end(kind), INNER_PEER)


@pytest.fixture
def tagged(guest):
	"""A VLAN of the guest's NIC, which inserts its tag."""
	guest.check("modprobe 8021q")
	guest.check(f"{IP} link add link {NIC} name v{VLAN} type vlan id {VLAN}")
	guest.check(f"{IP} link set v{VLAN} up")
	yield f"v{VLAN}"
	guest.check(f"{IP} link del v{VLAN}")


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("in_vlan", [False, True], ids=["untagged", "tagged"])
def test_tcp_in_no_tunnel(request, guest, testpmd, far_end, in_vlan, version):
	device = request.getfixturevalue("tagged") if in_vlan else NIC
	mine, peer, bits = (INNER, INNER_PEER, 30) if version == 4 else (INNER_V6, INNER_PEER_V6, 126)
	guest.check(f"{IP} address add {mine}/{bits} dev {device} {'nodad' if version == 6 else ''}")
	guest.check(f"{IP} neigh replace {peer} lladdr {PEER_MAC.hex(':')} dev {device} nud permanent")
	try:
		kind = f"none{'-vlan' if in_vlan else ''}{'-v6' if version == 6 else ''}"
		all_is_right(guest, testpmd, far_end(kind), peer)
	finally:
		guest.check(f"{IP} address del {mine}/{bits} dev {device}")


def test_tcp_in_a_tunnel_in_a_vlan(guest, testpmd, far_end, tagged):
	guest.check(f"{IP} address add {TAGGED}/24 dev {tagged}")
	guest.check(f"{IP} neigh replace {TAGGED_PEER} lladdr {PEER_MAC.hex(':')} dev {tagged} nud permanent")
	open_tunnel(guest, "vxlan", f"vxlan id 42 local {TAGGED} remote {TAGGED_PEER} dev {tagged} "
		"dstport 4789 udpcsum")
	all_is_right(guest, testpmd, far_end("vxlan-csum-vlan"), INNER_PEER)


def test_udp_is_segmented(guest, testpmd, tmp_path):
	"""A program that asks for it; the host's kernel checks the checksums."""
	program = tmp_path / "uso"
	execute("cc", "-O1", "-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector",
		"-fno-pie", "-no-pie", "-s", "-Wl,--build-id=none", "-Wl,-z,noseparate-code", "-o",
		str(program), str(HERE / "uso.c"))
	text = base64.b64encode(program.read_bytes()).decode()
	guest.check("rm -f /tmp/uso64")
	for at in range(0, len(text), 1000):
		guest.check(f"echo {text[at:at + 1000]} >> /tmp/uso64")
	guest.check("base64 -d /tmp/uso64 > /tmp/uso && chmod +x /tmp/uso")
	receiver = subprocess.Popen(testpmd.namespace.enter("/usr/bin/python3", "-c", RECEIVER),
		stdout=subprocess.PIPE, text=True)
	try:
		assert receiver.stdout.readline() == "ready\n"
		guest.ping()
		guest.check("/tmp/uso")
		got = sorted(bytes.fromhex(line) for line in receiver.communicate(timeout=20)[0].split())
	finally:
		receiver.kill()
		receiver.wait()
	lengths = [1400] * 14 + [20000 - 14 * 1400]
	expected = sorted(bytes([n + round_]) * length
		for round_ in range(10) for n, length in enumerate(lengths))
	assert got == expected


TO_HOST = ("tcp_lro", "ipv4_cksum", "tcp_cksum", "udp_cksum")
TO_TAP = ("tcp_tso", "ipv4_cksum", "tcp_cksum", "udp_cksum")


@pytest.fixture
def large_packets(guest, testpmd):
	"""The host takes the guest's requests as they are, and leaves them to its tap's driver."""
	port = testpmd.port()
	tap = next(one for one in testpmd.telemetry("/ethdev/list") if one != port)

	def switch(state):
		for line in ("stop", "port stop all",
				*(f"port config {port} rx_offload {name} {state}" for name in TO_HOST),
				*(f"port config {tap} tx_offload {name} {state}" for name in TO_TAP),
				"port start all", "start"):
			testpmd.command(line)
		guest.await_link()
	switch("on")
	guest.set_mtu(1480)  # net_tap counts the link header as a part of its MTU of 1500.
	yield
	switch("off")
	guest.set_mtu(1500)


def test_large_packets_reach_the_host(guest, testpmd, large_packets):
	errors, before = testpmd.errors(), testpmd.port_stats()
	assert guest.iperf() > 0
	after = testpmd.port_stats()
	packets = after["ipackets"] - before["ipackets"]
	assert (after["ibytes"] - before["ibytes"]) / packets > 3000
	assert testpmd.errors() == errors
