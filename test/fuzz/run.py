# SPDX-License-Identifier: BSD-3-Clause
"""Runs fuzz targets one after the other; devtools/fuzz.sh calls it and says what it does."""

import argparse
import re
import resource
import subprocess
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from pathlib import Path

import coverage
import seeds

HERE = Path(__file__).parent
LARGEST = 8192  # bytes of an input
SLOWEST = 20  # seconds that an input may take: it is a hang, not slowness
MEMORY = 2048  # MiB
# SIGBUS is the library's own: memory that a peer has truncated. Leaks are not looked for after each
# input: LeakSanitizer does not look into DPDK's memory, and takes for lost what only that points to
# while a device lives; and half as many inputs were run. At the end of all, when devices have gone,
# it does look.
OPTIONS = (f"-max_len={LARGEST}", f"-timeout={SLOWEST}", f"-rss_limit_mb={MEMORY}",
           "-handle_bus=0", "-print_final_stats=1", "-detect_leaks=0", "-close_fd_mask=1")
ENVIRONMENT = {"ASAN_OPTIONS": "detect_leaks=1:handle_sigbus=0",
               "UBSAN_OPTIONS": "print_stacktrace=1"}
PROGRESS = re.compile(r"^#(\d+)\s.*\bcov: (\d+).* exec/s: (\d+)")
TOTAL = re.compile(r"^stat::number_of_executed_units: (\d+)")
WORTH_TELLING = re.compile(r"ERROR: |SUMMARY: |runtime error: |does not hold|^    #\d+ 0x")


@dataclass
class Outcome:
    target: str
    regressions: int = 0
    executions: int = 0
    edges: int = 0
    findings: list = field(default_factory=list)  # (what was run, what came out)
    seconds: float = 0
    cpu: float = 0  # seconds of processor time
    ever: float = 0  # the same of all runs with what was learned in them


class Job:
    """A process that fuzzes. Several of a target take from each other what they learn."""

    def __init__(self, process):
        self.process = process
        self.executions = self.edges = 0
        self.told = []  # what is worth telling of a finding
        self.thread_ = None

    def follow(self, show):
        """Until it ends, shows how far it is."""
        shown = time.monotonic()
        for line in self.process.stderr:
            if found := PROGRESS.match(line):
                self.executions, self.edges = int(found[1]), int(found[2])
                if time.monotonic() - shown > (1 if sys.stderr.isatty() else 30):
                    shown = time.monotonic()
                    show(f"{found[1]} inputs, {found[3]} a second, {found[2]} places reached")
            elif found := TOTAL.match(line):
                self.executions = int(found[1])
            elif WORTH_TELLING.search(line) or "Test unit written" in line:
                self.told.append(line)

    def follow_aside(self):
        self.thread_ = threading.Thread(target=self.follow, args=(lambda _: None,))
        self.thread_.start()

    def wait(self):
        if self.thread_:
            self.thread_.join()
        return self.process.wait()

    def input(self):
        found = re.search(r"Test unit written to (\S+)", "".join(self.told))
        return found[1] if found else "(no input: it was at the end)"


class Runner:
    def __init__(self, args):
        self.args = args
        self.profiles = Path(args.build) / "fuzz-profiles"
        self.profiles.mkdir(exist_ok=True)
        for old in self.profiles.glob("*.profraw"):
            old.unlink()

    def program(self, target):
        return Path(self.args.build) / "test" / "fuzz" / f"fuzz_{target}"

    def start(self, target, name, *more):
        profile = self.profiles / f"{target}-{name}.profraw"
        return subprocess.Popen(
            [self.program(target), *OPTIONS, *more], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
            cwd=self.folder(target), env=ENVIRONMENT | {"LLVM_PROFILE_FILE": str(profile),
                                                        "PATH": "/usr/bin:/bin"})

    def folder(self, target):
        into = Path(self.args.corpora) / target
        for part in ("corpus", "findings"):
            (into / part).mkdir(parents=True, exist_ok=True)
        return into

    def replay(self, outcome):
        """Inputs with which something was found, once."""
        inputs = sorted((HERE / "regressions" / outcome.target).glob("*"))
        outcome.regressions = len(inputs)
        if not inputs:
            return
        process = self.start(outcome.target, "regressions", "-artifact_prefix=findings/", *inputs)
        told = [line for line in process.stderr if WORTH_TELLING.search(line)]
        if process.wait() != 0:
            outcome.findings.append(("an input of test/fuzz/regressions", "".join(told)))

    def fuzz(self, outcome):
        target = outcome.target
        folder = self.folder(target)
        seeds.main(folder.parent / "seeds", target)
        options = [f"-max_total_time={self.args.seconds}", "-artifact_prefix=findings/"]
        dictionary = HERE / f"{target}.dict"
        if dictionary.exists():
            options.append(f"-dict={dictionary}")
        inputs = ["corpus", folder.parent / "seeds" / target]
        regressions = HERE / "regressions" / target
        if regressions.is_dir():
            inputs.append(regressions)
        began, used = time.monotonic(), cpu_of_children()
        seed = lambda number: self.args.seed and self.args.seed + number
        crew = [Job(self.start(target, f"run-{number}", f"-seed={seed(number)}", *options, *inputs))
                for number in range(self.args.jobs)]
        for job in crew[1:]:
            job.follow_aside()
        crew[0].follow(lambda text: self.show(f"{target}: {text}"))
        for job in crew:
            if job.wait() != 0:
                outcome.findings.append((f"{self.program(target)} {folder}/{job.input()}",
                                         "".join(job.told)))
        outcome.executions = sum(job.executions for job in crew)
        outcome.edges = max(job.edges for job in crew)
        outcome.seconds = time.monotonic() - began
        outcome.cpu = cpu_of_children() - used
        outcome.ever = add_to(folder / "cpu-seconds", outcome.cpu)

    @staticmethod
    def show(text):
        if sys.stderr.isatty():
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def run(self, target):
        outcome = Outcome(target)
        self.replay(outcome)
        self.fuzz(outcome)
        if sys.stderr.isatty():
            print(file=sys.stderr)
        for what, came_out in outcome.findings:
            print(f"finding: {what}\n{came_out}", file=sys.stderr)
        return outcome


def cpu_of_children():
    """Seconds, of those that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def add_to(path, seconds):
    """The number in a file, which this is added to."""
    total = seconds + (float(path.read_text()) if path.exists() else 0)
    path.write_text(f"{total:.1f}\n")
    return total


def table(outcomes):
    print(f"{'target':<12}{'seconds':>9}{'CPU s':>9}{'CPU min ever':>14}{'inputs':>12}{'places':>9}"
          f"{'regressions':>13}{'findings':>10}")
    for one in outcomes:
        print(f"{one.target:<12}{one.seconds:>9.0f}{one.cpu:>9.0f}{one.ever / 60:>14.1f}"
              f"{one.executions:>12}{one.edges:>9}{one.regressions:>13}{len(one.findings):>10}")


def write_junit(path, outcomes, lack):
    suite = ElementTree.Element("testsuite", name="fuzz")
    for one in outcomes:
        case = ElementTree.SubElement(suite, "testcase", classname="fuzz", name=one.target,
                                      time=f"{one.seconds:.1f}")
        for what, came_out in one.findings:
            ElementTree.SubElement(case, "failure", message=what).text = came_out
    case = ElementTree.SubElement(suite, "testcase", classname="fuzz", name="coverage")
    if lack:
        ElementTree.SubElement(case, "failure", message=lack)
    ElementTree.ElementTree(suite).write(path)


def main():
    parser = argparse.ArgumentParser(prog="fuzz.sh")
    parser.add_argument("--build", required=True)
    parser.add_argument("--llvm", required=True)
    parser.add_argument("--corpora", required=True)
    parser.add_argument("--seconds", type=int, required=True)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)  # 0: by chance
    parser.add_argument("--junit")
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    args = parser.parse_args()
    runner = Runner(args)
    known = seeds.targets()
    for target in args.targets:
        if target not in known:
            parser.error(f"there is no target {target}, only {', '.join(known)}")
    outcomes = [runner.run(target) for target in args.targets or known]
    table(outcomes)
    share = coverage.report(runner.profiles, args.llvm,
                            [runner.program(one.target) for one in outcomes])
    # Some targets alone do not reach all.
    lack = "" if args.targets or share >= coverage.LEAST else \
        f"{share:.1f} % of the lines were run, and {coverage.LEAST} % are to be"
    if lack:
        print(lack, file=sys.stderr)
    if args.junit:
        write_junit(args.junit, outcomes, lack)
    return bool(lack) or any(one.findings for one in outcomes)


if __name__ == "__main__":
    sys.exit(main())
