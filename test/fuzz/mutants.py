# SPDX-License-Identifier: BSD-3-Clause
"""Breaks the code in one place after the other, and sees whether the target finds it that is there
for this; "devtools/fuzz.sh --mutants" calls it. Each file is put back as it was. With --check it only
looks whether the places are there.
"""

import argparse
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import seeds
from run import ENVIRONMENT, OPTIONS, WORTH_TELLING

TOP = Path(__file__).resolve().parents[2]


@dataclass
class Mutant:
    target: str
    what: str  # is broken, in the words of the guide
    file: str
    right: str
    wrong: str

    def fits(self):
        return (TOP / self.file).read_text().count(self.right) == 1

    def __enter__(self):
        self.path = TOP / self.file
        self.text = self.path.read_text()
        self.path.write_text(self.text.replace(self.right, self.wrong))

    def __exit__(self, *_):
        self.path.write_text(self.text)


MUTANTS = (
    Mutant("version", "a number is told in 32 bits", "lib/vfio_user/wire/version.cpp",
           "json_integer(static_cast<json_int_t>(value))",
           "json_integer(static_cast<uint32_t>(value))"),
    Mutant("server", "a message may be shorter than its header",
           "lib/vfio_user/wire/transport.cpp", "in_header_.size < sizeof(wire::header) || ", ""),
    Mutant("client", "a region may have any number of areas",
           "lib/vfio_user/client/mapped_region.cpp", "if (!head || head->nr_areas > max_areas)",
           "if (!head)"),
    Mutant("discovery", "a list of capabilities may lead back into itself",
           "drivers/bus/vfio_user/pci_header.cpp", "at != 0 && i < 48", "at != 0"),
    Mutant("mailbox", "a ring may have any length", "drivers/emu/iavf/queues.cpp",
           "if (size < ring_min || size > ring_max || size % ring_multiple != 0 ||", "if ("),
    Mutant("state", "a saved ring may have its head behind its end",
           "drivers/emu/iavf/queues.cpp", "head < ring.size", "true"),
    Mutant("tx_ring", "a frame may be longer than the port takes",
           "drivers/net/iavf_be/from_guest.cpp", "if (length > q.max_frame)", "if (false)"),
    Mutant("headers", "segments may have no bytes", "drivers/net/iavf_be/offload.cpp",
           "request.mss >= iavf::min_tso_mss && ", ""),
    Mutant("rx_ring", "a buffer takes one byte more than it has",
           "drivers/net/iavf_be/outgoing.cpp", "std::min(length, to_.each - offset_)",
           "std::min(length, to_.each - offset_ + 1)"),
    Mutant("variants", "what is in two pages lacks its last byte",
           "drivers/net/iavf_be/memory.hpp", "copy_frame(to + cut, second, length - cut);",
           "copy_frame(to + cut, second, length - cut - 1);"),
    Mutant("variants", "what is put into two pages lacks its last byte",
           "drivers/net/iavf_be/memory.hpp", "copy_frame(second, from + cut, length - cut);",
           "copy_frame(second, from + cut, length - cut - 1);"),
    Mutant("headers", "the vector sum of an odd number of bytes is wrong",
           "drivers/net/iavf_be/copy_sum.cpp", "odd.add(fresh);", "first.add(fresh);"),
    Mutant("kit", "a register that a read clears is not cleared",
           "drivers/common/pci_device/bars.cpp", "if (row->access != access::read_clear)",
           "if (true)"),
    Mutant("headers", "a header of IPv6 extensions is taken for half as long",
           "drivers/net/iavf_be/headers.cpp", "(header.length + 1u) * 8", "(header.length + 1u) * 4"),
    Mutant("driver", "a queue goes on when its driver disables it",
           "drivers/emu/iavf/queues.cpp", "all_[dir][index].enabled = false;\n\tpush(dir, index);",
           "all_[dir][index].enabled = false;"),
    Mutant("driver", "of two frames the guest gets the first twice",
           "drivers/net/iavf_be/to_guest.cpp",
           "const auto *data = rte_pktmbuf_mtod(frames[i], const uint8_t *);",
           "const auto *data = rte_pktmbuf_mtod(frames[i & ~1], const uint8_t *);"),
    Mutant("driver", "frames for which a steered ring is full are lost",
           "drivers/net/iavf_be/steering.cpp", "std::copy(some.frames.begin() + done,",
           "std::copy(some.frames.begin() + n,"),
    Mutant("driver", "the guest is not told of bytes that it has got",
           "drivers/net/iavf_be/stats.cpp",
           "q.counts.total(to::bytes) + q.counts.total(to::merged_bytes)",
           "q.counts.total(to::merged_bytes)"),
)


def run(mutant, build, seconds):
    """What the target says, or nothing, and after how many seconds."""
    program = Path(build) / "test" / "fuzz" / f"fuzz_{mutant.target}"
    folder = Path(build) / "mutants"
    seeds.main(folder / "seeds", mutant.target)
    (folder / "corpus").mkdir(exist_ok=True)
    begun = time.monotonic()
    done = subprocess.run(
        [program, *OPTIONS, f"-max_total_time={seconds}", "-seed=1", f"-artifact_prefix={folder}/",
         folder / "seeds" / mutant.target], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, errors="replace",
        env=ENVIRONMENT | {"LLVM_PROFILE_FILE": "/dev/null", "PATH": "/usr/bin:/bin"})
    told = [line for line in done.stderr.splitlines() if WORTH_TELLING.search(line)]
    return told[0] if done.returncode and told else "", time.monotonic() - begun


def main():
    parser = argparse.ArgumentParser(prog="fuzz.sh --mutants")
    parser.add_argument("--build")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    args = parser.parse_args()
    if lost := [mutant for mutant in MUTANTS if not mutant.fits()]:
        print("\n".join(f"{mutant.file} has not once: {mutant.right}" for mutant in lost))
        return 1
    if without := set(seeds.targets()) - {mutant.target for mutant in MUTANTS}:
        print("targets without a mutant:", *without)
        return 1
    if args.check:
        return 0
    missed = 0
    for mutant in MUTANTS:
        if args.targets and mutant.target not in args.targets:
            continue
        with mutant:
            subprocess.run(["ninja", "-C", args.build, f"test/fuzz/fuzz_{mutant.target}"],
                           check=True, stdout=subprocess.DEVNULL)
            told, seconds = run(mutant, args.build, args.seconds)
        missed += not told
        print(f"{mutant.target:10} {seconds:5.0f} s  {mutant.what}: {told or 'NOT FOUND'}",
              flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
