# SPDX-License-Identifier: BSD-3-Clause
"""Which lines of the code that reads a peer's data were run, by the profiles of fuzz targets."""

import re
import subprocess
from collections import defaultdict
from itertools import groupby
from pathlib import Path

TOP = Path(__file__).parent.parent.parent
LEAST = 95  # per cent of the lines that count are run, if all targets are

# What reads what a peer says, or acts upon it: not what reads arguments and makes devices, and not
# the faces of libraries.
READERS = (
    "lib/guard/*.hpp", "lib/guard/rte_guest_mem.h",
    "lib/vfio_user/wire/*.[ch]pp", "lib/vfio_user/server/*.[ch]pp",
    "lib/vfio_user/client/*.[ch]pp", "lib/vfio_user/memory/*.[ch]pp",
    "lib/vfio_user/peer/*.[ch]pp",
    "drivers/common/iavf/*.hpp", "drivers/common/pci_device/*.[ch]pp",
    "drivers/emu/iavf/*.[ch]pp",
    "drivers/net/iavf_be/*.[ch]pp",
    "drivers/bus/vfio_user/pci_header.[ch]pp", "drivers/bus/vfio_user/remote_device.[ch]pp",
    "drivers/bus/vfio_user/dma_memory.[ch]pp", "drivers/bus/vfio_user/msix_vectors.[ch]pp",
)
# What the user and the application say, where it stands between; and the rest: all that we have is
# in one of these lists.
OTHERS = (
    "drivers/emu/iavf/devargs.*", "drivers/emu/iavf/probe.cpp", "drivers/emu/iavf/policy.cpp",
    "drivers/emu/iavf/administration.cpp", "drivers/emu/iavf/provider.cpp",
    "drivers/emu/iavf/host.hpp", "lib/vfio_user/server/conf_copy.*",
    "lib/vfio_user/server/socket_rights.*", "drivers/net/iavf_be/probe.cpp",
    "drivers/net/iavf_be/ops.cpp", "drivers/net/iavf_be/port.*", "drivers/net/iavf_be/policy.*",
    "drivers/net/iavf_be/stats.cpp", "drivers/net/iavf_be/rx_interrupts.*",
    "drivers/net/iavf_be/ring_state.cpp", "drivers/net/iavf_be/rings_setup.cpp",
    # What an administrator asks by telemetry; what he is shown of a guest is not among it.
    "drivers/emu/iavf/telemetry.cpp", "drivers/net/iavf_be/telemetry.cpp",
    # How threads meet, and what differs between releases of DPDK.
    "drivers/net/iavf_be/gate.hpp", "drivers/net/iavf_be/compat.hpp",
    "lib/vfio_user/compat.hpp", "lib/vfio_user/loop/*.[ch]pp",
    # Between device and back-end, which know each other: it passes on what they have checked.
    "lib/emudev/*",
    # The faces of the libraries of vfio-user, for the application.
    "lib/vfio_user/rte_vfio_user*", "lib/vfio_user/sized_copy.hpp", "lib/vfio_user/telemetry.hpp",
    # How the bus is asked for a device, and what it is to EAL; which devices are known.
    "drivers/bus/vfio_user/devargs.*", "drivers/bus/vfio_user/vfio_user_pci.cpp",
    "drivers/bus/vfio_user/dpdk_internals.*", "drivers/bus/vfio_user/known_devices.hpp",
    # Of the server they know that it is gone, and of an interrupt that it has come.
    "drivers/bus/vfio_user/removal.*", "drivers/bus/vfio_user/late_event.*",
    "drivers/common/args/*", "drivers/common/telemetry/*",
    # What is told to people, and what EAL finds a driver by.
    "lib/vfio_user/log.hpp", "drivers/bus/vfio_user/log.hpp",
    "drivers/emu/iavf/trace*", "drivers/*/*/pmd.c",
)
# Of what counts, functions that run before there is a peer, or without one: they are called by the
# application, and fail by what it or the machine does. Each has to be there.
LOCAL = {
    "lib/vfio_user/server/server.cpp": {
        "check": "the path that the application gives",
        "server::bind_socket": "whose socket is in the way",
        "server::listen": "called twice",
        "server::pause_accepting": "no descriptors or memory are left",
        "server::on_accept_timer": "the same, a while later",
    },
    "lib/vfio_user/server/device.cpp": {
        "invalid": "how an application may describe its device",
        "check_region": "the same",
        "device::check": "the same",
    },
    "lib/vfio_user/client/client.cpp": {"client::check": "how an application may attach"},
    "lib/vfio_user/client/conversation.cpp": {"conversation::state": "for telemetry"},
    "lib/vfio_user/client/opened_memory.cpp": {"check": "memory that the application offers"},
    "lib/vfio_user/peer/memory_fault.cpp": {
        "ask": "a signal that is the application's", "pass_on": "the same",
    },
    # When nothing comes nothing is read; that takes seconds, each with its test in test/protocol.
    "lib/vfio_user/server/connection.cpp": {
        "connection::on_patience_timer": "test_client_that_says_nothing_loses_the_device",
        "connection::wait_for_room": "test_client_whose_fds_cannot_be_closed_is_held_off",
        "connection::on_room_timer": "the same",
    },
    "lib/vfio_user/server/dma_transfers.cpp": {
        "dma_transfers::on_timer": "test_client_that_never_answers_dma_reads_blocks_nobody",
    },
    "drivers/common/pci_device/option_rom.cpp": {
        "option_rom::read_file": "the administrator's file, of which only the images are fuzzed",
    },
    "drivers/net/iavf_be/events.cpp": {"port::remove": "the device goes"},
    "drivers/net/iavf_be/rings.cpp": {
        "rings::forget": "the device goes",
        "rings::change_rate": "what the administrator wants",
    },
}
# What only runs when this process has no memory, threads or descriptors, or a system call fails
# without anybody's doing: these returns, and blocks by the line that begins them. Those of a server
# are made to fail by test_nothing_left in test/protocol.
OUR_OWN = re.compile(r"return (guard::)?(last_error\(\)|failure\{ENOMEM\}|-ENOMEM);$")
OUR_OWN_BLOCKS = {
    "lib/vfio_user/peer/arena.cpp": {
        'if (file == nullptr || std::fscanf(file.get(), "%zu", &limit) != 1)', "if (!attempt)",
        "MAP_FAILED) {", "if (guard::status opened = open_unlocked(addr, size, prot); !opened) {",
    },
    "lib/vfio_user/peer/event_relay.cpp": {"if (error != 0) {"},
    "lib/vfio_user/peer/event_signal.cpp": {"if (context_ == nullptr) {"},
    "lib/vfio_user/peer/foreign_fd.cpp": {"if (!running_)", "if (no_thread_log_.passes())"},
    "lib/vfio_user/peer/memory_fault.cpp": {"if (error == ENOMEM)"},
    "lib/vfio_user/server/commands.cpp": {
        "if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)",
    },
    "lib/vfio_user/server/connection.cpp": {"if (!watch) {", "if (heap_reserve::is_used())"},
    "lib/vfio_user/server/server.cpp": {"if (!fd) {"},
    "lib/vfio_user/wire/transport.cpp": {"if (got < 0 && errno == EINTR)"},
}


def readers():
    def of(patterns):
        return {path for pattern in patterns for path in TOP.glob(pattern)}
    sources = {path for path in of(("lib/**/*", "drivers/**/*"))
               if path.suffix in (".c", ".h", ".cpp", ".hpp")}
    if unknown := sources - of(READERS) - of(OTHERS):
        raise SystemExit("coverage.py: neither in READERS nor in OTHERS: "
                         + ", ".join(sorted(str(path.relative_to(TOP)) for path in unknown)))
    return sorted(of(READERS) - of(OTHERS))


def lines_of_function(lines, name):
    """Line numbers of a function's definition, by the style of this project: the name begins a line,
    and the brace that ends it, too."""
    begins = [at for at, line in enumerate(lines) if line.startswith(f"{name}(")]
    if not begins:
        raise SystemExit(f"coverage.py: there is no function {name}")
    numbers = set()
    for begin in begins:
        end = next(at for at in range(begin, len(lines)) if lines[at] == "}")
        numbers |= set(range(begin + 1, end + 2))
    return numbers


def lines_behind(lines, at):
    """Line numbers of what a line begins: itself, up to the brace that ends it, or to the end of the
    one statement behind it. A function's own line may be the one before that with its name."""
    indent = len(lines[at]) - len(lines[at].lstrip("\t"))
    end = at
    if lines[at].endswith("}"):
        return {at + 1}
    if lines[at].lstrip().startswith("if (") and not lines[at].endswith("{"):
        ends = ";"
    else:
        ends = "\t" * indent + "}"
    while not (lines[end].endswith(ends) if ends == ";" else lines[end] == ends):
        end += 1
    return set(range(at + 1, end + 2))


def lines_of_block(lines, begin):
    found = [at for at, line in enumerate(lines) if line.strip() == begin]
    if not found:
        raise SystemExit(f"coverage.py: there is no line {begin}")
    return set().union(*(lines_behind(lines, at) - {at + 1} for at in found))


def excused(path):
    """The lines of a file that do not count. What is consteval has been run by the compiler."""
    name = str(path.relative_to(TOP))
    lines = path.read_text().splitlines()
    out = {at for at, line in enumerate(lines, 1) if OUR_OWN.search(line)}
    for at, line in enumerate(lines):
        if re.search(r"\bconsteval\b", line):
            out |= lines_behind(lines, at)
    for begin in OUR_OWN_BLOCKS.get(name, ()):
        out |= lines_of_block(lines, begin)
    for function in LOCAL.get(name, ()):
        out |= lines_of_function(lines, function)
    return out


def line_counts(text):
    """Of each file of an lcov trace, how often each line was run; a line of a template or of an
    inline function stands there several times."""
    counts = defaultdict(dict)
    for line in text.splitlines():
        kind, _, value = line.partition(":")
        if kind == "SF":
            file = counts[value]
        elif kind == "DA":
            number, count = (int(part) for part in value.split(",")[:2])
            file[number] = max(count, file.get(number, 0))
    return counts


def ranges(numbers):
    """[1, 2, 3, 7] as 1-3, 7."""
    runs = (list(run) for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0]))
    return ", ".join(f"{run[0][1]}-{run[-1][1]}" if len(run) > 1 else f"{run[0][1]}"
                     for run in runs)


def collect(profiles, llvm, programs):
    merged = profiles / "all.profdata"
    subprocess.run([f"llvm-profdata-{llvm}", "merge", "-sparse", "-failure-mode=all", "-o", merged,
                    *profiles.glob("*.profraw")], check=True)
    objects = [word for program in programs[1:] for word in ("-object", program)]
    return subprocess.run([f"llvm-cov-{llvm}", "export", "-format=lcov", "-skip-functions",
                           f"-instr-profile={merged}", programs[0], *objects, *readers()],
                          check=True, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.DEVNULL).stdout


def report(profiles, llvm, programs):
    """Prints what was not run. Returns how much was, in per cent."""
    if not any(profiles.glob("*.profraw")):
        return 0
    counts = line_counts(collect(profiles, llvm, programs))
    total = missed = 0
    print("\nlines of the code that reads a peer's data that were not run:")
    for path in readers():
        without = excused(path)
        file = {number: count for number, count in counts.get(str(path), {}).items()
                if number not in without}
        rest = [number for number, count in sorted(file.items()) if count == 0]
        total += len(file)
        missed += len(rest)
        if rest:
            print(f"  {path.relative_to(TOP)}: {len(rest)} of {len(file)}: {ranges(rest)}")
    if total == 0:
        return 0
    share = 100 * (total - missed) / total
    print(f"{total - missed} of {total} lines were run, {share:.1f} %")
    return share
