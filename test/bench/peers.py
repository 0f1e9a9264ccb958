# SPDX-License-Identifier: BSD-3-Clause
"""What is measured: one row per pair of ports, one row per test."""

from dataclasses import dataclass, replace

# Frames up to this size are measured with 2 KiB mbufs, larger ones with 9728-byte mbufs; a frame
# always fits into one mbuf and one buffer of the peer.
SMALL_FRAME = 1518
JUMBO_FRAME = 9018
USUAL_RING = 1024

# Equal for everybody: as many descriptors, bursts of 32, memory that can be shared by its fd.
EAL = ("--no-pci --no-telemetry --in-memory --single-file-segments --iova-mode=va -m 256 "
       "--log-level=lib.eal:warning").split()


@dataclass(frozen=True)
class Peer:
    """Two ports; {path} is their socket, {drivers} the folder of our drivers, {buffer} the size of
    a buffer that takes the largest frame, {ring} the number of descriptors, {log2_ring} its
    logarithm, {early} what keeps few of them busy with frames that are sent."""
    name: str
    title: str
    host: str
    consumer: str
    host_options: str = ""
    consumer_options: str = ""
    tests: tuple = ()           # it takes part in; all, if there are none
    frames: tuple = ()

    def is_measured(self, test, frame):
        return (not self.tests or test in self.tests) and (
            not self.frames or frame in self.frames)


def with_queues(peer, count):
    """The same with several queue pairs, which only some peers can have by their arguments."""
    consumer = peer.consumer.replace("queues=1", f"queues={count},cq=1")
    options = f" --plain --queues {count}"
    return replace(peer, host=peer.host.replace("queues=1", f"queues={count}"), consumer=consumer,
                   host_options=peer.host_options + options,
                   consumer_options=peer.consumer_options + options)


VIRTIO_USER = ("--vdev=net_virtio_user0,path={path},queues=1,queue_size={ring},mrg_rxbuf=0,"
               "vectorized=1")

OURS, OURS_LENDING, OURS_EARLY = "iavf", "iavf-zc", "iavf-early"
LIMIT = "limit"

# Options for speed as the guides of the PMDs have them; frames never need mergeable buffers.
PEERS = {peer.name: peer for peer in (
    Peer(OURS, "emu_iavf + net_iavf_be, net_iavf",
         "-d {drivers} --vdev=emu_iavf0,path={path},queues=1",
         "-d {drivers} --vdev=vfio_user_pci0,path={path}",
         "--fast-free", "--fast-free"),
    Peer(OURS_LENDING, "emu_iavf + net_iavf_be with zero copy, net_iavf",
         "-d {drivers} --vdev=emu_iavf0,path={path},zero-copy=1",
         "-d {drivers} --vdev=vfio_user_pci0,path={path}",
         "", "--fast-free"),
    Peer(OURS_EARLY, "emu_iavf + net_iavf_be, net_iavf, which frees what it has sent early",
         "-d {drivers} --vdev=emu_iavf0,path={path},queues=1",
         "-d {drivers} --vdev=vfio_user_pci0,path={path}",
         "--fast-free", "--fast-free --free-thresh {early}"),
    Peer("vhost-split", "net_vhost, net_virtio_user, split ring",
         "--vdev=net_vhost0,iface={path},queues=1",
         VIRTIO_USER + ",in_order=0"),
    Peer("vhost-packed", "net_vhost, net_virtio_user, packed ring, in order",
         "--vdev=net_vhost0,iface={path},queues=1",
         VIRTIO_USER + ",packed_vq=1,in_order=1"),
    Peer("memif", "net_memif, net_memif",
         "--vdev=net_memif0,role=server,rsize={log2_ring},bsize={buffer},socket={path},"
         "socket-abstract=no",
         "--vdev=net_memif0,role=client,rsize={log2_ring},bsize={buffer},socket={path},"
         "socket-abstract=no"),
    Peer("memif-zc", "net_memif, net_memif, client with zero copy",
         "--vdev=net_memif0,role=server,rsize={log2_ring},bsize={buffer},socket={path},"
         "socket-abstract=no",
         "--vdev=net_memif0,role=client,rsize={log2_ring},bsize={buffer},socket={path},"
         "socket-abstract=no,zero-copy=yes"),
)}


# Those that with_queues() knows.
SEVERAL_QUEUES = (OURS, "vhost-split", "vhost-packed")


@dataclass(frozen=True)
class Test:
    """`active` starts and ends a measurement; the other side receives or echoes."""
    name: str
    title: str
    active: str
    active_role: str
    passive_role: str
    in_flight: int = 0

    @property
    def is_latency(self):
        return self.in_flight > 0

    @property
    def unit(self):
        return "us" if self.is_latency else "Mpps"

    @property
    def is_one_way(self):
        return self.passive_role == "rx"


TESTS = {test.name: test for test in (
    Test("c2h", "consumer to host", "consumer", "tx", "rx"),
    Test("h2c", "host to consumer", "host", "tx", "rx"),
    Test("forward", "forwarded by the host and back", "consumer", "roundtrip", "echo"),
    Test("latency-1", "round-trip time, 1 in flight", "consumer", "roundtrip", "echo", 1),
    Test("latency-32", "round-trip time, 32 in flight", "consumer", "roundtrip", "echo", 32),
)}
