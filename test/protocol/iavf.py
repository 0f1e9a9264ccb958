# SPDX-License-Identifier: BSD-3-Clause
"""Drives the emulated iavf over a vfio-user connection, in the order of Linux's driver.

Registers: Intel AVF specification. Messages: virtchnl. Descriptors: 32-byte receive, 16-byte
transmit. Words are the guest's: it transmits and receives.
"""

import mmap
import struct
from enum import IntEnum

import stock
from vfio_user import TIMEOUT, Region


class Reg(IntEnum):
    QTX_TAIL = 0x0000
    QRX_TAIL = 0x2000
    ITRN1 = 0x2800
    DYN_CTLN1 = 0x3800
    ICR01 = 0x4800
    ICR0_ENA1 = 0x5000
    DYN_CTL01 = 0x5C00
    ARQBAH = 0x6000
    ATQH = 0x6400
    ATQLEN = 0x6800
    ARQBAL = 0x6C00
    ARQT = 0x7000
    ARQH = 0x7400
    ATQBAH = 0x7800
    ATQBAL = 0x7C00
    ARQLEN = 0x8000
    ATQT = 0x8400
    RSTAT = 0x8800


class Op(IntEnum):
    VERSION = 1
    RESET_VF = 2
    GET_VF_RESOURCES = 3
    CONFIG_TX_QUEUE = 4
    CONFIG_RX_QUEUE = 5
    CONFIG_VSI_QUEUES = 6
    CONFIG_IRQ_MAP = 7
    ENABLE_QUEUES = 8
    DISABLE_QUEUES = 9
    ADD_ETH_ADDR = 10
    DEL_ETH_ADDR = 11
    ADD_VLAN = 12
    DEL_VLAN = 13
    CONFIG_PROMISCUOUS_MODE = 14
    GET_STATS = 15
    EVENT = 17
    CONFIG_RSS_KEY = 23
    CONFIG_RSS_LUT = 24
    GET_RSS_HENA_CAPS = 25
    SET_RSS_HENA = 26
    REQUEST_QUEUES = 29
    ENABLE_CHANNELS = 30
    ADD_CLOUD_FILTER = 32
    INLINE_IPSEC_CRYPTO = 34
    GET_SUPPORTED_RXDIDS = 44
    ADD_RSS_CFG = 45
    ADD_FDIR_FILTER = 47
    DEL_FDIR_FILTER = 48
    GET_MAX_RSS_QREGION = 50
    GET_OFFLOAD_VLAN_V2_CAPS = 51
    ADD_VLAN_V2 = 52
    ENABLE_QUEUES_V2 = 107
    DISABLE_QUEUES_V2 = 108
    MAP_QUEUE_VECTOR = 111


class Status(IntEnum):
    SUCCESS = 0
    PARAM = -5
    NO_MEMORY = -18
    OPCODE_MISMATCH = -38
    INVALID_VF_ID = -40
    ADMIN_QUEUE = -53
    NOT_SUPPORTED = -64


AQ_DD, AQ_CMP, AQ_ERR = 0x1, 0x2, 0x4
AQ_LB, AQ_RD, AQ_BUF, AQ_SI = 0x200, 0x400, 0x1000, 0x2000
AQ_SEND_TO_PF, AQ_SEND_TO_VF, AQ_QUEUE_SHUTDOWN = 0x0801, 0x0802, 0x0003
AQ_ENTRIES, AQ_BUFFER, AQ_DESC = 32, 4096, 32
LEN_ENABLE = 1 << 31
AQ_FORMAT = "<HHHHIIIIII"  # flags, opcode, length, retval, cookies, 2 parameters, address

CAPS_LINUX_6_12 = 0x1ABD8CF9
CAP_REQ_QUEUES = 1 << 6
CAP_LARGE_NUM_QPAIRS = 1 << 9
CAP_RX_FLEX_DESC = 1 << 26
RXDID_NIC, RXDID_OVS = 2, 22
INTENA, CLEARPBA, SWINT, ITR_NONE = 0x1, 0x2, 0x4, 3 << 3

TX_EOP, TX_RS, TX_ICRC = 0x1, 0x2, 0x4
TX_DONE = 0xF
RX_DD, RX_EOF = 0x1, 0x2

BROADCAST = b"\xff" * 6


def wait_for(condition, what, timeout=TIMEOUT):
    """Returns the first true value of condition(); asks often, as devices are quick."""
    return stock.wait_for(condition, what, timeout, interval=0.0005)


# Payloads of virtchnl messages

def vsi_queues(vsi, pairs, count=None):
    count = len(pairs) if count is None else count
    return struct.pack("<HHI", vsi, count, 0) + b"".join(pairs)


def queue_pair(vsi, queue, tx_len, tx_ring, rx_len, rx_ring, buffer_size=2048, max_frame=1522,
               rx_queue=None, rxdid=0):
    tx = struct.pack("<HHHHQQ", vsi, queue, tx_len, 0, tx_ring, 0)
    rx = struct.pack("<HHIHHIIBBBBQiI", vsi, queue if rx_queue is None else rx_queue, rx_len, 0, 0,
                     buffer_size, max_frame, 0, rxdid, 0, 0, rx_ring, 0, 0)
    assert (len(tx), len(rx)) == (24, 40)
    return tx + rx


def queue_select(vsi, rx, tx):
    return struct.pack("<HHII", vsi, 0, rx, tx)


def queue_chunks(vsi, chunks, count=None):
    """chunks: (type, first queue, number of queues) each."""
    count = len(chunks) if count is None else count
    return struct.pack("<HHHH", vsi, 0, count, 0) + b"".join(
        struct.pack("<iHH", *chunk) for chunk in chunks)


def queue_vectors(vsi, maps, count=None):
    """maps: (queue, vector, timer, type) each."""
    count = len(maps) if count is None else count
    return struct.pack("<HH4x", vsi, count) + b"".join(
        struct.pack("<HH4xii", *each) for each in maps)


def irq_map(vectors, count=None):
    """vectors: (vsi, vector, rx bitmap, tx bitmap) each."""
    entries = b"".join(struct.pack("<HHHHHH", *each, 0, 1) for each in vectors)
    return struct.pack("<H", len(vectors) if count is None else count) + entries


def ether_addrs(vsi, addresses, count=None, kind=2):
    count = len(addresses) if count is None else count
    return struct.pack("<HH", vsi, count) + b"".join(a + bytes([kind, 0]) for a in addresses)


def flow_rule(vsi, number=0, queue=0, headers=2):
    """ADD_FDIR_FILTER: frames to an IPv4 address go to a queue."""
    ethernet = struct.pack("<iI64x", 1, 0)
    to = struct.pack("<iI16x", 4, 2) + struct.pack(">HH", 10 << 8, number) + bytes(44)
    pattern = struct.pack("<B3xi", 0, headers) + (ethernet + to).ljust(2304, b"\0")
    actions = struct.pack("<iiHB29x", 1, 3, queue, 0).ljust(292, b"\0")
    return struct.pack("<HHI", vsi, 0, 0) + pattern + actions + bytes(4)


class Ring:
    """Common to both directions: descriptors in guest memory and a doorbell."""

    def __init__(self, nic, queue, size, desc_size, tail_reg):
        self.nic, self.queue, self.size, self.desc_size = nic, queue, size, desc_size
        self.memory = nic.memory
        self.base = self.memory.alloc(size * desc_size)
        self.memory.write(self.base, bytes(size * desc_size))
        self.tail_reg = tail_reg + 4 * queue
        self.next = 0

    def desc(self, index):
        return self.base + index % self.size * self.desc_size

    def ring_doorbell(self, tail):
        self.nic.doorbells[self.tail_reg // 4] = tail


class TxRing(Ring):
    def __init__(self, nic, queue=0, size=128):
        super().__init__(nic, queue, size, 16, Reg.QTX_TAIL)
        self.buffers = self.memory.alloc(size * 2048)

    def put(self, address, length, command):
        """One raw data descriptor, without a doorbell; returns its address."""
        desc = self.desc(self.next)
        self.memory.pack("<QQ", desc, address, command << 4 | length << 34)
        self.next = (self.next + 1) % self.size
        return desc

    def post(self, frame, pieces=1):
        """Queues a frame in as many descriptors; returns the last one's address."""
        cuts = [len(frame) * i // pieces for i in range(pieces + 1)]
        for start, end in zip(cuts, cuts[1:]):
            buffer = self.buffers + self.next * 2048
            self.memory.write(buffer, frame[start:end])
            last = TX_EOP | TX_RS if end == len(frame) else 0
            desc = self.put(buffer, end - start, TX_ICRC | last)
        return desc

    def flush(self):
        self.ring_doorbell(self.next)

    def is_done(self, desc):
        return self.memory.unpack("<Q", desc + 8)[0] & 0xF == TX_DONE

    def send(self, frame, pieces=1):
        desc = self.post(frame, pieces)
        self.flush()
        wait_for(lambda: self.is_done(desc), "transmit completion")


class RxRing(Ring):
    def __init__(self, nic, queue=0, size=128, buffer_size=2048, rxdid=0):
        super().__init__(nic, queue, size, 32, Reg.QRX_TAIL)
        self.rxdid = rxdid
        self.buffer_size = buffer_size
        self.buffers = self.memory.alloc(size * buffer_size)
        for index in range(size):
            self.rearm(index)

    def rearm(self, index):
        self.memory.pack("<QQQQ", self.desc(index), self.buffers + index * self.buffer_size, 0, 0,
                         0)

    def fill(self):
        self.ring_doorbell((self.next - 1) % self.size)

    def written_back(self):
        """How many descriptors the device has filled since their buffers were posted."""
        return sum(self.memory.unpack("<Q", self.desc(index) + 8)[0] & 1
                   for index in range(self.size))

    def receive(self, timeout=TIMEOUT):
        """The next frame, checked to be complete."""
        frame = b""
        while True:
            status = wait_for(self._written_back, "received frame", timeout)
            length = self._flexible_length() if self.rxdid > 1 else status >> 38 & 0x3FFF
            assert 0 < length <= self.buffer_size
            frame += self.memory.read(self.buffers + self.next * self.buffer_size, length)
            self.rearm(self.next)
            self.next = (self.next + 1) % self.size
            self.fill()
            if status & RX_EOF:
                return frame

    def _flexible_length(self):
        """Of the buffer at the head, whose other words are checked."""
        words = self.memory.unpack("<BBHHHHHI4xIII", self.desc(self.next))
        rxdid, _, ptype, length, header, status, tag, first, tags, second, last = words
        flow, rss_hash = (second, first) if rxdid == RXDID_NIC else (first, second)
        assert (rxdid, ptype, header, tag, tags, last) == (self.rxdid, 1, 0, 0, 0, 0)
        assert (flow, rss_hash) == (0xFFFFFFFF, 0)
        assert status & ~(RX_DD | RX_EOF) == 0  # nothing is claimed of checksums
        return length

    def _written_back(self):
        status, = self.memory.unpack("<Q", self.desc(self.next) + 8)
        return status if status & RX_DD else 0


class Nic:
    """The guest's view of one device. bring_up() does it all; tests can do the steps alone."""

    def __init__(self, client, memory, share=True):
        self.client, self.memory = client, memory
        self.events = []
        if share:
            memory.share(client)
        bar = client.region_info(Region.BAR0)
        mappable = bar.areas[0][1] if bar.areas else bar.size
        self.area = mmap.mmap(bar.fds[0], mappable, offset=bar.offset)
        self.doorbells = memoryview(self.area).cast("I")

    # Registers and reset

    def read32(self, offset):
        return struct.unpack("<I", self.client.read_region(Region.BAR0, offset, 4))[0]

    def write32(self, offset, value):
        self.client.write_region(Region.BAR0, offset, struct.pack("<I", value))

    def wait_for_reset(self):
        wait_for(lambda: self.read32(Reg.RSTAT) & 3 in (1, 2), "end of reset")

    def enable_bus_master(self):
        self.client.write_region(Region.CONFIG, 4, b"\x06\x04")  # memory, bus master, no INTx

    # Admin queues

    def start_mailbox(self, atq=None, arq=None, buffers=None):
        """Sets up both admin queues; the arguments override their addresses."""
        memory = self.memory
        self.atq = memory.alloc(AQ_ENTRIES * AQ_DESC) if atq is None else atq
        self.arq = memory.alloc(AQ_ENTRIES * AQ_DESC) if arq is None else arq
        self.atq_buffers = memory.alloc(AQ_ENTRIES * AQ_BUFFER)
        self.arq_buffers = memory.alloc(AQ_ENTRIES * AQ_BUFFER) if buffers is None else buffers
        self.atq_next = self.arq_next = 0
        if arq is None:
            for index in range(AQ_ENTRIES):
                self._rearm_arq(index)
        for head, tail, length, low, high, base in (
                (Reg.ATQH, Reg.ATQT, Reg.ATQLEN, Reg.ATQBAL, Reg.ATQBAH, self.atq),
                (Reg.ARQH, Reg.ARQT, Reg.ARQLEN, Reg.ARQBAL, Reg.ARQBAH, self.arq)):
            self.write32(head, 0)
            self.write32(tail, 0)
            self.write32(length, AQ_ENTRIES | LEN_ENABLE)
            self.write32(low, base & 0xFFFFFFFF)
            self.write32(high, base >> 32)
            assert self.read32(low) == base & 0xFFFFFFFF
        self.write32(Reg.ARQT, AQ_ENTRIES - 1)

    def stop_mailbox(self):
        for reg in (Reg.ATQH, Reg.ATQT, Reg.ATQLEN, Reg.ARQH, Reg.ARQT, Reg.ARQLEN):
            self.write32(reg, 0)

    def _rearm_arq(self, index):
        buffer = (self.arq_buffers + index * AQ_BUFFER) % (1 << 64)
        self.memory.pack(AQ_FORMAT, self.arq + index * AQ_DESC, AQ_BUF | AQ_LB, 0, AQ_BUFFER, 0, 0,
                         0, 0, 0, buffer >> 32, buffer & 0xFFFFFFFF)

    def post(self, op, payload=b"", address=None, length=None, opcode=AQ_SEND_TO_PF):
        """Queues a message and rings; returns the address of its descriptor."""
        buffer = self.atq_buffers + self.atq_next * AQ_BUFFER
        length = len(payload) if length is None else length
        flags = AQ_SI
        if length:
            self.memory.write(buffer, payload)
            flags |= AQ_BUF | AQ_RD | (AQ_LB if length > 512 else 0)
            address = buffer if address is None else address
        address = address or 0
        desc = self.atq + self.atq_next * AQ_DESC
        self.memory.pack(AQ_FORMAT, desc, flags, opcode, length, 0, op, 0, 0, 0, address >> 32,
                         address & 0xFFFFFFFF)
        self.atq_next = (self.atq_next + 1) % AQ_ENTRIES
        self.write32(Reg.ATQT, self.atq_next)
        return desc

    def is_completed(self, desc):
        """Whether the device has handed a mailbox descriptor back."""
        for channel in (self.client, self.client.twin):
            if channel and channel.on_command:
                channel.pump()  # memory without a descriptor is served on the way
        return self.memory.unpack("<H", desc)[0] & AQ_DD

    def mailbox(self):
        """Registers of the mailbox, and the first words of the descriptors at its heads: for reports."""
        registers = [Reg.ATQLEN, Reg.ATQH, Reg.ATQT, Reg.ARQLEN, Reg.ARQH, Reg.ARQT]
        values = {register.name: self.read32(register) for register in registers}
        return {name: hex(value) for name, value in values.items()} | {
            "ATQ": self.memory.read(self.atq + values["ATQH"] * AQ_DESC, 16).hex(),
            "ARQ": self.memory.read(self.arq + values["ARQH"] * AQ_DESC, 16).hex(),
            "next": (self.atq_next, self.arq_next)}

    def send(self, op, payload=b"", **options):
        """Sends a message and waits until the device has taken it."""
        desc = self.post(op, payload, **options)
        wait_for(lambda: self.is_completed(desc), "completion of a mailbox command")
        return desc

    def receive(self, timeout=TIMEOUT):
        """The next message of the device: operation, status, payload."""
        desc = self.arq + self.arq_next * AQ_DESC
        wait_for(lambda: self.is_completed(desc), "mailbox message", timeout)
        _, opcode, length, _, op, status, _, _, _, _ = self.memory.unpack(AQ_FORMAT, desc)
        assert opcode == AQ_SEND_TO_VF and length <= AQ_BUFFER
        payload = self.memory.read(self.arq_buffers + self.arq_next * AQ_BUFFER, length)
        self._rearm_arq(self.arq_next)
        self.write32(Reg.ARQT, self.arq_next)
        self.arq_next = (self.arq_next + 1) % AQ_ENTRIES
        return op, struct.unpack("<i", struct.pack("<I", status))[0], payload

    def reply(self, op):
        """Status and payload of the answer to op; events on the way are kept."""
        while True:
            answered, status, payload = self.receive()
            if answered == op:
                return status, payload
            assert answered == Op.EVENT, f"answer to {answered} instead of {op}"
            self.events.append(payload)

    def ask(self, op, payload=b"", **options):
        self.send(op, payload, **options)
        return self.reply(op)

    def call(self, op, payload=b""):
        """A message that must succeed."""
        status, answer = self.ask(op, payload)
        assert status == Status.SUCCESS, f"{op!r}: status {status}"
        return answer

    # Bring-up as Linux does it

    def open_mailbox(self, caps=CAPS_LINUX_6_12):
        """From a reset to the answer to GET_VF_RESOURCES."""
        self.client.reset()
        self.wait_for_reset()
        self.enable_bus_master()
        self.start_mailbox()
        self.call(Op.VERSION, struct.pack("<II", 1, 1))
        return self.ask_resources(caps)

    def come_back(self, reset):
        """A driver that lives on after reset(nic) asks anew what it has, but not the version."""
        reset(self)
        self.wait_for_reset()
        self.enable_bus_master()
        self.memory.used = 0
        self.events.clear()
        self.start_mailbox()
        return self.ask_resources()

    def ask_resources(self, caps=CAPS_LINUX_6_12):
        answer = self.call(Op.GET_VF_RESOURCES, struct.pack("<I", caps))
        (self.nb_vsis, self.max_pairs, self.vectors, self.max_mtu, self.caps, self.key_size,
         self.lut_size) = struct.unpack_from("<HHHHIII", answer)
        self.vsi, _, self.vsi_type, _, self.mac = struct.unpack_from("<HHiH6s", answer, 20)
        return self

    def pair(self, index=0):
        tx, rx = self.tx[index], self.rx[index]
        return queue_pair(self.vsi, index, tx.size, tx.base, rx.size, rx.base, rx.buffer_size,
                          rxdid=rx.rxdid)

    def create_rings(self, pairs=1, size=128, buffer_size=2048, rxdid=0):
        self.tx = [TxRing(self, queue, size) for queue in range(pairs)]
        self.rx = [RxRing(self, queue, size, buffer_size, rxdid) for queue in range(pairs)]
        for ring in self.tx:
            ring.ring_doorbell(0)

    def configure(self, pairs=1):
        vectors = [(self.vsi, 1 + i % (self.vectors - 1), 1 << i, 1 << i) for i in range(pairs)]
        self.call(Op.CONFIG_IRQ_MAP, irq_map(vectors))
        self.call(Op.ADD_ETH_ADDR, ether_addrs(self.vsi, [self.mac], kind=1))
        self.call(Op.CONFIG_VSI_QUEUES, vsi_queues(self.vsi, [self.pair(i) for i in range(pairs)]))
        for ring in self.rx:
            ring.fill()

    def enable(self, pairs=1):
        bitmap = (1 << pairs) - 1
        self.call(Op.ENABLE_QUEUES, queue_select(self.vsi, bitmap, bitmap))

    def wait_for_link(self):
        while not any(struct.unpack_from("<iIB", each)[::2] == (1, 1) for each in self.events):
            op, _, payload = self.receive()
            assert op == Op.EVENT
            self.events.append(payload)

    def bring_up(self, pairs=1, size=128, buffer_size=2048, caps=CAPS_LINUX_6_12, rxdid=0):
        self.open_mailbox(caps)
        self.create_rings(pairs, size, buffer_size, rxdid)
        self.configure(pairs)
        self.enable(pairs)
        self.wait_for_link()
        return self

    def frame(self, length=60, fill=0):
        """A frame to ourselves with recognizable content, length bytes without CRC."""
        body = bytes((fill + i) & 0xFF for i in range(length - 14))
        return self.mac + b"\x02\0\0\0\0\x01" + b"\x88\xb5" + body

    def counters(self):
        """Those of GET_STATS: packets received and sent."""
        stats = struct.unpack("<12Q", self.call(Op.GET_STATS, queue_select(self.vsi, 0, 0))[:96])
        return sum(stats[1:4]), sum(stats[7:10])

    def echo(self, frame, pieces=1, queue=0):
        """Sends a frame and checks that the same comes back."""
        self.tx[queue].send(frame, pieces)
        assert self.rx[queue].receive() == frame
