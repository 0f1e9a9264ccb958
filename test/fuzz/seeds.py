# SPDX-License-Identifier: BSD-3-Clause
"""usage: seeds.py FOLDER [TARGET...]

Writes the inputs that fuzzing begins with, a folder for each target: what honest peers send, in the
form that the target reads (the steps at the top of its source), made by what test/protocol builds
its messages with.
"""

import json
import struct
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent
sys.path += [str(TESTS), str(TESTS / "protocol")]

from iavf import (Op, ether_addrs, irq_map, queue_chunks, queue_pair, queue_select, queue_vectors,
                  vsi_queues)
from vfio_user import (CAPABILITIES, Command, IrqSet, Region, dma_map, dma_unmap, get_info,
                       get_irq_info, get_region_info, get_region_io_fds, region_read, region_write,
                       set_irqs, version, write_multi)

PAGE = 4096


# What the version target reads: the text.

def version_seeds():
    full = CAPABILITIES | {"twin_socket": {"supported": True, "fd_index": 0}, "mapped_bars": True}
    yield json.dumps({"capabilities": full}).encode()
    yield json.dumps({"capabilities": {}, "more": [1, None, "\u00e9"]}).encode()
    for name, value in full.items():
        yield json.dumps({"capabilities": {name: value}}).encode()
        yield json.dumps({"capabilities": {name: [value]}}).encode()
        yield json.dumps({"capabilities": {name: -1}}).encode()
    yield b"[" * 3000


# What the server target reads: server.cpp, enum step.

RAW, MESSAGE, TRUNCATE, DEVICE_READS, DEVICE_WRITES, DEVICE_FIRES, ANSWER, TWIN, PAUSE = range(9)
NO_FD, ONE_FD = 0, 1
MEMORY, OTHER_MEMORY, READ_ONLY, TRUNCATED, EVENT = range(5)
INFO = (Command.DEVICE_GET_INFO, get_info())


def fds(count_code, kind=MEMORY):
    return count_code | kind << 3


def step(command, payload=b"", descriptors=NO_FD, flags=0, msg_id=1):
    return struct.pack("<BBBBBH", MESSAGE, msg_id, command, flags, descriptors,
                       len(payload)) + payload


def hello(**more):
    return step(Command.VERSION, version(CAPABILITIES | more))


def map_file(page, pages, kind=MEMORY):
    return step(Command.DMA_MAP, dma_map(page * PAGE, pages * PAGE), fds(ONE_FD, kind))


def without_file(page, pages):
    return step(Command.DMA_MAP, dma_map(page * PAGE, pages * PAGE))


def access(kind, page, count):
    return struct.pack("<BHH", kind, page * 8, count)


def server_seeds():
    twin = {"twin_socket": {"supported": True}}
    for device in (b"\0", b"\1"):
        yield device + hello()
        yield device + hello(mapped_bars=True) + b"".join(
            step(Command.DEVICE_GET_REGION_INFO, get_region_info(n, 256)) for n in range(9))
        yield device + hello() + step(*INFO) + b"".join(
            step(Command.DEVICE_GET_IRQ_INFO, get_irq_info(n)) for n in range(6))
        yield device + hello() + step(Command.DEVICE_GET_REGION_IO_FDS,
                                      get_region_io_fds(0, 1024, count=8))
        yield device + hello() + map_file(0, 4) + map_file(8, 4, OTHER_MEMORY) + \
            access(DEVICE_READS, 1, 64) + access(DEVICE_WRITES, 8, PAGE) + \
            step(Command.DMA_UNMAP, dma_unmap(0, 4 * PAGE), ONE_FD) + \
            step(Command.DMA_UNMAP, dma_unmap(0, 0, 2))
        yield device + hello() + map_file(0, 16, TRUNCATED) + bytes((TRUNCATE, 1)) + \
            access(DEVICE_READS, 3, 64) + bytes((PAUSE,))
        yield device + hello() + without_file(0, 16) + access(DEVICE_READS, 0, 8) + \
            struct.pack("<BBBBBHQQQB", ANSWER, 0, Command.DMA_READ, 0, 0, 24, 0, 8, 7, 0) + \
            access(DEVICE_WRITES, 0, 8) + \
            struct.pack("<BBBBBHQQB", ANSWER, 1, Command.DMA_WRITE, 0, 0, 16, 0, 8, 0)
        yield device + hello(**twin) + without_file(0, 16) + access(DEVICE_READS, 0, 8) + \
            bytes((PAUSE, TWIN, 40)) + struct.pack("<HHIIIQQQ", 0, Command.DMA_READ, 40, 1, 0, 0,
                                                   8, 5)
        yield device + hello() + b"".join(
            step(Command.REGION_READ, region_read(n, 4, 4)) +
            step(Command.REGION_WRITE, region_write(n, 8, b"1234")) for n in (0, 1, Region.CONFIG))
        yield device + hello() + step(Command.REGION_WRITE_MULTI, write_multi(
            [(0, 4 * n, b"abcd") for n in range(8)]), flags=0x10)
        yield device + hello() + b"".join(step(
            Command.DEVICE_SET_IRQS, set_irqs(flags, index, start, count), fds(code, EVENT))
            for flags in (0x24, 0x21, 0x9, 0x11, 0x22, 0x3F) for index in (0, 2, 3)
            for start, count in ((0, 1), (0, 0), (1, 2)) for code in (NO_FD, ONE_FD, 3))
        for kind in (IrqSet.EVENTFD, IrqSet.BOOL, IrqSet.NONE):
            for action in (IrqSet.TRIGGER, IrqSet.MASK, IrqSet.UNMASK):
                yield device + hello() + step(
                    Command.DEVICE_SET_IRQS,
                    set_irqs(IrqSet.EVENTFD | IrqSet.TRIGGER, 2), fds(ONE_FD, EVENT)) + step(
                    Command.DEVICE_SET_IRQS,
                    set_irqs(kind | action, 0 if action != IrqSet.TRIGGER else 2,
                             data=b"\1" if kind == IrqSet.BOOL else b""),
                    fds(ONE_FD if kind == IrqSet.EVENTFD else NO_FD, EVENT)) + \
                    bytes((DEVICE_FIRES, 2, 0))
        yield device + hello() + step(Command.DEVICE_RESET) + \
            step(Command.DEVICE_FEATURE, bytes(8))
        asks = step(Command.REGION_READ, region_read(0, 0, 64)) * 40
        yield bytes((device[0] + 2,)) + hello() + asks + step(
            Command.DEVICE_GET_REGION_INFO, get_region_info(0, 256)) * 60 + bytes((PAUSE,)) + asks
        yield device + bytes((RAW, NO_FD, 5)) + b"\1\0\1\0\x20" + bytes((PAUSE,))


# What the targets of the emulated device read: driver_messages.hpp, take_message(). A message has
# the number that vc_ops does not have, so that its own follows.

VSI = 1
ALL_CAPS = 0xFFFFFFFF
ETH, VLAN, IPV4, IPV6, TCP, UDP, SCTP, ESP = 1, 3, 4, 5, 6, 7, 8, 15
ADD_RSS_CFG, ENABLE_VLAN_STRIPPING_V2, CONFIG_RSS_HFUNC = 45, 54, 18


def request(op, body=b""):
    return struct.pack("<BIBH", 0xFF, op, 1, len(body)) + body


def header(kind, fields, content=b""):
    return struct.pack("<iI", kind, fields) + content.ljust(64, b"\0")


def rule(headers, actions):
    pattern = struct.pack("<B3xi", 0, len(headers)) + b"".join(headers).ljust(2304, b"\0")
    return struct.pack("<HHI", VSI, 0, 0) + pattern + \
        (struct.pack("<i", len(actions)) + b"".join(actions)).ljust(292, b"\0") + bytes(4)


def action(kind, *numbers):
    return struct.pack("<i", kind) + struct.pack(f"<{len(numbers)}H", *numbers).ljust(32, b"\0")


def to_address(last):
    return header(IPV4, 2, bytes(16) + bytes((10, 0, 0, last)))


def pairs(count):
    return vsi_queues(VSI, [queue_pair(VSI, n, 64, 0x80000 + n * 0x2000, 128,
                                       0x90000 + n * 0x2000) for n in range(count)])


def setting(op):
    """A table of RSS, VLANs or rules for each: what one message can do."""
    yield request(Op.ADD_ETH_ADDR, ether_addrs(VSI, [b"\2\0\0\0\0\7", b"\1\0\x5e\0\0\1"]))
    yield request(Op.ADD_ETH_ADDR, ether_addrs(VSI, [b"\2\0\0\0\0\7"], kind=1)) + op + \
        request(Op.DEL_ETH_ADDR, ether_addrs(VSI, [b"\2\0\0\0\0\7"]))
    yield request(Op.CONFIG_PROMISCUOUS_MODE, struct.pack("<HH", VSI, 3))
    yield request(Op.CONFIG_RSS_KEY, struct.pack("<HH", VSI, 52) + bytes(range(52)))
    yield request(Op.CONFIG_RSS_LUT, struct.pack("<HH", VSI, 64) + bytes((0, 1, 2, 3)) * 16)
    yield request(Op.GET_RSS_HENA_CAPS) + op + request(Op.SET_RSS_HENA, b"\0\0\0\x80\x1e\0\0\0")
    for algorithm in range(3):
        yield request(ADD_RSS_CFG, struct.pack("<B3xi", 0, 3) + b"".join(
            (header(ETH, 0), header(IPV4, 3), header(TCP, 3))).ljust(2304, b"\0") +
            struct.pack("<i128x", algorithm)) + op + \
            request(CONFIG_RSS_HFUNC, struct.pack("<HHI", VSI, algorithm, 0))
    yield request(Op.GET_OFFLOAD_VLAN_V2_CAPS) + op + request(
        Op.ADD_VLAN_V2, struct.pack("<HH4x8x4H16x", VSI, 1, 5, 0, 0x8100, 0)) + op + \
        request(ENABLE_VLAN_STRIPPING_V2, struct.pack("<IIH6x", 1, 0, VSI))
    yield request(Op.ADD_VLAN, struct.pack("<HHHH", VSI, 2, 5, 6))
    for action_list in ([action(3, 1)], [action(4, 0, 1)], [action(0)], [action(2), action(5, 7)]):
        yield request(Op.ADD_FDIR_FILTER, rule([header(ETH, 0), to_address(9)], action_list))
    for layers in ([header(ETH, 2, bytes(12) + b"\x08\x06")],
                   [header(ETH, 0), header(IPV6, 1, bytes(40)), header(UDP, 2, b"\0\7\0\7")],
                   [header(ETH, 0), header(IPV4, 0), header(ESP, 1, b"\1\2\3\4")],
                   [header(ETH, 0), header(IPV4, 16, bytes(9) + b"\x84"), header(SCTP, 3)]):
        yield request(Op.ADD_FDIR_FILTER, rule(layers, [action(3, 0)]))
    yield request(Op.DEL_FDIR_FILTER, struct.pack("<HxxIi", VSI, 0, 0))
    yield request(Op.CONFIG_VSI_QUEUES, pairs(2)) + op + request(
        Op.CONFIG_IRQ_MAP, irq_map([(VSI, 1, 1, 1), (VSI, 2, 2, 2)])) + op + request(
        Op.ENABLE_QUEUES, queue_select(VSI, 3, 3)) + op + request(
        Op.GET_STATS, queue_select(VSI, 0, 0)) + op + request(
        Op.DISABLE_QUEUES, queue_select(VSI, 1, 3))
    yield request(Op.CONFIG_VSI_QUEUES, pairs(2)) + op + request(Op.GET_MAX_RSS_QREGION) + op + \
        request(Op.MAP_QUEUE_VECTOR, queue_vectors(VSI, [(0, 1, 0, 0), (1, 2, 0, 1)])) + op + \
        request(Op.ENABLE_QUEUES_V2, queue_chunks(VSI, [(0, 0, 2), (1, 0, 2)])) + op + \
        request(Op.DISABLE_QUEUES_V2, queue_chunks(VSI, [(0, 0, 1)]))
    yield request(Op.REQUEST_QUEUES, struct.pack("<H", 2))
    yield request(Op.RESET_VF)
    yield request(Op.GET_SUPPORTED_RXDIDS)
    yield request(Op.INLINE_IPSEC_CRYPTO, bytes(8))


# mailbox.cpp, enum step.

(ASK, SEND, DESCRIPTOR, TAKE, START, BRING_UP, ENABLE, WRITE, ACCESS, POKE, MACHINE, END_ACCESS,
 TURN, RESET, HOST, SAVE, FIRE) = (bytes((number,)) for number in range(17))


def chains():
    """Rules and tables that meet others."""
    eth, ip = header(ETH, 0), to_address(9)
    rules = [([eth, ip], [action(3, 1)]), ([eth, ip], [action(0)]),
             ([eth, to_address(8)], [action(2)]),
             ([eth, header(IPV4, 0), header(TCP, 3, bytes((0, 7, 0, 8)))], [action(4, 0, 1)]),
             ([eth, header(IPV4, 0), header(UDP, 1, bytes((0, 7)))], [action(3, 2), action(5, 9)]),
             ([eth, header(VLAN, 1, b"\0\5"), header(IPV6, 3, bytes(range(40)))], [action(3, 0)]),
             ([eth, header(IPV4, 3)], [action(6, 1)]), ([header(IPV4, 3)], [action(3, 1)])]
    rules += [([eth, header(network, 0), header(kind, 1, bytes(range(20)))], [action(3, 1)])
              for network in (IPV4, IPV6) for kind in (9, 10, 14, ESP, 16, 17, 22, 23)]
    yield b"".join(ASK + request(Op.ADD_FDIR_FILTER, rule(*each)) for each in rules) + b"".join(
        ASK + request(Op.DEL_FDIR_FILTER, struct.pack("<HxxIi", VSI, number, 0))
        for number in range(4)) + SAVE
    raw = struct.pack("<HHI", VSI, 0, 0) + struct.pack("<B3xiH", 0, 0, 40) + \
        bytes(12) + b"\x08\0\x45" + bytes(1011) + b"\xff" * 14 + bytes(1300)
    yield ASK + request(Op.ADD_FDIR_FILTER, raw[:2616].ljust(2616, b"\0"))
    filters = [struct.pack("<HHHxxHHHxx16x", *inner, *outer) for inner, outer in (
        ((5, 0, 0x8100), (0, 0, 0)), ((0, 0, 0), (6, 0, 0x8100)), ((0, 0, 0), (7, 0, 0xA888)),
        ((0, 0, 0x0081), (9, 0, 0x0081)), ((4, 0xFFF, 0x0081), (0, 0, 0)))]
    for op in (Op.ADD_VLAN_V2, 53):
        for each in filters:
            yield ASK + request(Op.ADD_VLAN_V2, struct.pack("<HH4x", VSI, 1) + filters[1]) + \
                ASK + request(op, struct.pack("<HH4x", VSI, 1) + each)
    for op in range(54, 58):
        for outer, inner in ((1, 0), (2, 0), (4, 0), (0, 1), (3, 0), (1, 1)):
            yield ASK + request(op, struct.pack("<IIH6x", outer, inner, VSI))
    yield b"".join(ASK + request(op) for op in (27, 28)) + \
        ASK + request(Op.ADD_VLAN, struct.pack("<HHHH", VSI, 2, 5, 6)) + \
        ASK + request(Op.DEL_VLAN, struct.pack("<HHH", VSI, 1, 5))
    kinds = [(ETH, 3), (VLAN, 1), (IPV4, 3), (IPV6, 0x6003), (TCP, 3), (UDP, 3), (SCTP, 3), (22, 1)]
    for op in (ADD_RSS_CFG, 46):
        for last in kinds:
            yield ASK + request(op, struct.pack("<B3xi", 0, 2) + b"".join(
                (header(ETH, 0), header(*last))).ljust(2304, b"\0") + struct.pack("<i128x", 2))


def mailbox_seeds():
    for caps in (ALL_CAPS, 0x1ABD8CF9):
        started = START + struct.pack("<I", caps)
        for messages in setting(ASK):
            yield b"\0" + started + ASK + messages
            yield b"\3" + BRING_UP + started + ASK + messages + SAVE
    for messages in setting(SEND):
        yield b"\0" + START + struct.pack("<I", ALL_CAPS) + MACHINE + b"\x0b" + SEND + messages + \
            (END_ACCESS + b"\0" + TURN) * 3
    for caps in (ALL_CAPS, 0x1ABD8CF9, 1 << 16, 1 << 15, 1 << 18 | 1 << 19):
        for chain in chains():
            yield b"\0" + START + struct.pack("<I", caps) + chain
    large = b"\5" + START + struct.pack("<I", ALL_CAPS) + ASK + request(
        Op.REQUEST_QUEUES, struct.pack("<H", 64)) + START + struct.pack("<I", ALL_CAPS)
    for messages in setting(ASK):
        yield large + ASK + messages
    up = b"\0" + BRING_UP + ENABLE + struct.pack("<I", 1)
    yield up + WRITE + struct.pack("<HI", 0x3800, 1) + FIRE + b"\1\4" + FIRE + b"\1\7" + WRITE + \
        struct.pack("<HI", 0x3800, 5) + FIRE + b"\1\0" + WRITE + struct.pack("<HI", 0x5C00, 1) + \
        FIRE + b"\0\4" + WRITE + struct.pack("<HI", 0x2800, 50) + FIRE + b"\1\4" + FIRE + b"\1\4"
    for how in (2, 10, 0, 8, 1, 9):
        yield up + b"".join(ACCESS + struct.pack("<BBI", how, length, offset) + bytes(8)
                            for length in (0, 3, 7) for offset in (0, 4, 0x1000, 0x8000))
    for cause in range(5):
        yield up + RESET + bytes((cause,)) + BRING_UP
    for what in range(5):
        yield up + HOST + struct.pack("<BH6s", what, 1, b"\2\0\0\0\0\5") + TAKE
    for row in range(8):
        yield up + HOST + struct.pack("<BH", 5 * row, 3) + HOST + struct.pack("<BH", 5 * row, 0)
    yield up + DESCRIPTOR + struct.pack("<HH28x", 0x3400, 0x0003) + b"\0"
    yield up + MACHINE + b"\x73" + WRITE + struct.pack("<HI", 0x5C00, 5)
    yield up + ACCESS + struct.pack("<BBIH", 1, 1, 4, 0x406) + ACCESS + b"\x09\x3f\0\0\0\0"
    yield up + b"".join(ACCESS + struct.pack("<BBII", 1, 3, 0x10 + 4 * n, 0xFFFFFFFF)
                        for n in range(6))


def state_seeds():
    yield b"\1" + b"".join(setting(b""))[:4000]
    for at in range(0, 6000, 200):
        yield struct.pack("<BHBB", 2, at, 1, 0xFF) + request(Op.DISABLE_QUEUES,
                                                           queue_select(VSI, 0xFFFF, 0xFFFF))


# What the targets of the rings read: ports.hpp, then tx_ring.cpp and rx_ring.cpp. The first byte
# chooses what the application wants.

TCP_ON, UDP_ON, SCTP_ON, IPV4_ON, IPV6_ON, GRE_ON, ETHERNET_ON = 0, 0x21, 2, 3, 5, 0x0E, 7
STACKS = [(TCP_ON, IPV4_ON), (UDP_ON, IPV4_ON), (SCTP_ON, IPV6_ON), (TCP_ON, IPV6_ON | 8),
          (UDP_ON, IPV4_ON, IPV6_ON), (TCP_ON, IPV4_ON, IPV4_ON),
          (TCP_ON, IPV4_ON, GRE_ON, IPV4_ON),
          (TCP_ON, IPV6_ON, GRE_ON, IPV6_ON), (SCTP_ON, IPV4_ON, GRE_ON, IPV4_ON),
          (TCP_ON, IPV4_ON, ETHERNET_ON, 0x16, UDP_ON | 8, IPV4_ON),
          (UDP_ON, IPV6_ON, ETHERNET_ON, 0x16, UDP_ON | 8, IPV6_ON),
          (TCP_ON, IPV4_ON, ETHERNET_ON, 6, UDP_ON | 0x10, IPV4_ON),
          (TCP_ON, IPV4_ON, 6, UDP_ON | 0x10, IPV4_ON), (IPV4_ON | 0xE0,),
          (TCP_ON, IPV6_ON | 0x18), ()]


def layers_of(stack, tags=0):
    """Behind the length of the payload, what frames.hpp, take_layers() reads."""
    return bytes((len(stack),)) + bytes(stack) + bytes((tags, 0))


def frame(kind, payload):
    """kind: 0 IPv4, 1 IPv6; 2 more for UDP."""
    return struct.pack("<BH", kind, payload)


def tx_ring_seeds():
    for options in range(8):
        for kind in range(4):
            one = struct.pack("<BBBB", options, kind << 1, 0, 1) + frame(kind, 300)
            plain = struct.pack("<BBB", 0x84, 0, 100)
            sums = struct.pack("<BBH", 0x44 | kind, 0, 354)
            cut = struct.pack("<BHH", 0x20, 75, 100) + sums
            halves = struct.pack("<BBB", 0x80, 0, 60) + struct.pack("<BBB", 0x84, 1, 90)
            for posts, count in ((plain * 40, 40), (sums, 1), (cut, 2), (halves, 2)):
                yield one + bytes((count,)) + posts + b"\1\x3f"
                yield one + bytes((count,)) + posts + b"\1\3\1" + struct.pack(
                    "<BBHQ", 2, kind % 3, kind, 0xFFFFFFFF0000003F)


    for options in range(8):
        for stack in STACKS:
            for wish in (6, 0xE, 0x36, 0x3E, 0xC6):
                yield struct.pack("<BBBB", options, 0, 0, 1) + b"\x08\xf0" + layers_of(stack) + \
                    b"\1" + struct.pack("<BBBHH", 0x61, 0, wish, 240 + 60, 70) + b"\1\x3f"


def rx_ring_seeds():
    buffers = bytes((23,)) + b"\1" * 23 + b"\1"
    for options in range(6):
        for how in (0, 4, 0x20, 0x24):
            sends = b"\x07" + (struct.pack("<B", how) + frame(how >> 5, 900) + b"\x40" * 12) * 8
            for setting in (b"\3", b"\x0b\x40" + b"\0\0\6\0" + b"\x70\6" * 10 + bytes(40),
                            b"\x13" + struct.pack("<HHHBB8x", 0x8100, 0, 0, 0, 0)):
                yield bytes((options, 8)) + setting + b"\2" + buffers + b"\0" + sends
        for stack in STACKS:
            for wish in (7, 0xF, 0x37, 0x3F, 0x7F):
                one = b"\0\x08\xc8" + layers_of(stack) + struct.pack("<BH", wish, 64)
                yield bytes((options, 8)) + b"\3\2" + buffers + b"\0\1" + one * 2 + b"\0"


# headers.cpp and frames.hpp, take_layers(): from the innermost outwards.

def headers_seeds():
    for stack in STACKS:
        for tags in range(3):
            for cuts in (b"\0", b"\3\x0a\x15\x0f"):
                yield cuts + b"\0\x40" + layers_of(stack, tags) + bytes(range(64))
                yield cuts + b"\0\x40" + layers_of(stack, tags) + b"\xff" * 200


def variants_seeds():
    stacks = [(TCP_ON, IPV4_ON), (UDP_ON, IPV6_ON), (SCTP_ON, IPV4_ON), ()]
    for stack in stacks:
        layers = b"\x60" + bytes((len(stack),)) + bytes(stack) + b"\0\0"
        yield b"\1\x1e" + (layers + b"\x10") * 30
        yield b"\0" + (b"\0" + layers) * 4 + b"\x3e" + b"\xe0\0\x50" * 40
    for kind in range(4):
        sent = b"\x80" + frame(kind, 1000)
        yield b"\0" + sent * 4 + b"\2" + struct.pack("<BHH", 0x20, 1000, 300) + \
            struct.pack("<BH", 0x40 | kind << 2, 1054)


# client.cpp: what the program asks for, in a byte of length, then the answers of hostile.hpp; and
# discovery.cpp.

def client_seeds():
    program = b"".join(bytes(step) for step in (
        (0, 0), (2, 0, 0), (1, 2), (3, 0, 0, 0, 64, 0), (4, 7, 0, 0, 64, 0), (5, 0, *[0] * 9, 1),
        (6, 0, 1, 3), (7, 4, 0, 0), (9, 2, 2, 0, 0, 1), (10, 2, 0, 0, 2), (8, 0, 1), (11, 0)))
    for flags in range(8):
        for wrong in range(10, 15):
            for at in range(0, 12, 2):
                yield bytes((flags, len(program))) + program + b"\0" * at + \
                    bytes((wrong, 4, 1, 6, 9, 3, 0)) + b"\0" * 40
    for field in range(32):
        yield bytes((0, len(program))) + program + b"\0\0" + \
            bytes((10, 0, 1, field, 0x7F, 3)) + b"\0" * 40
    # A region in parts: the capability behind its description.
    parts = struct.pack("<IIIIQQ", 64, 0xF, 0, 32, 0x4000, 0) + \
        struct.pack("<HHIIIQQ", 1, 1, 0, 1, 0, 0x1000, 0x1000)
    yield bytes((0, len(program))) + program + b"\0\0" + bytes((11, len(parts))) + parts + \
        b"\1" + b"\0" * 40


def discovery_seeds():
    for config in (b"\0", b"\1\0\x34", b"\2\x10\1\x44\0", b"\3\x41\x40\6\x10\x34\x40"):
        yield config + b"\0" * 60
        for wrong in range(10, 15):
            for at in range(0, 20, 3):
                yield config + b"\0" * at + bytes((wrong, 4, 1, 6, 9, 3, 0)) + b"\0" * 60


# driver.cpp, enum step.

def driver_seeds():
    up = b"\0" + struct.pack("<I", ALL_CAPS)
    enable, disable = b"\1\xff\1", b"\1\x33\0"
    traffic = b"\3\0\x0a\4\5\1\x20\6\1\5\4\x08"
    yield up + enable + traffic + disable + traffic + b"\x09" + up + enable + traffic
    yield up + enable + traffic + b"\x0b\0" + b"\4" + b"\x0b\1" + b"\4\x08" + b"\x0a" + up
    yield up + enable + b"\x0c\0\3\0\5\x0c\1\4\x08"
    for caps in (0, 0x1ABD8CF9):
        yield b"\0" + struct.pack("<I", caps) + enable + traffic * 6 + b"\0" + \
            struct.pack("<I", caps) + enable + traffic
    for message in setting(b"\7"):
        yield up + enable + b"\7" + message + traffic


def targets():
    return [name.removesuffix("_seeds") for name in globals() if name.endswith("_seeds")]


def main(folder, *names):
    for target in names or targets():
        into = Path(folder) / target
        into.mkdir(parents=True, exist_ok=True)
        for number, seed in enumerate(globals()[f"{target}_seeds"]()):
            (into / f"seed-{number}").write_bytes(seed)


if __name__ == "__main__":
    main(*sys.argv[1:])
