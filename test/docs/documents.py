# SPDX-License-Identifier: BSD-3-Clause
"""What stands in the documents, and a place where it can be followed to the letter."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))

from installed import INSTALLATION  # noqa: E402
from stock import BUILD, DIE_WITH_US, ROOT, Failure, StockTestpmd, wait_for  # noqa: E402

README = "README.md"
GUIDES = "doc/guides"

# Another tmpfs hides /run, so that sockets and the run-time files of DPDK are nobody else's; the name
# servers of this machine stay known.
PLACE = INSTALLATION + """
mount -t tmpfs tmpfs /run
ip link set lo up
echo ready
exec sleep infinity
"""


def documents():
    """Paths of all documents that people read, below the top."""
    guides = (ROOT / GUIDES).rglob("*.rst")
    return [README, *sorted(str(path.relative_to(ROOT)) for path in guides)]


def blocks(document):
    """The literal blocks of a document, one after the other, without their indentation."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return markdown_blocks(text) if document.endswith(".md") else rst_blocks(text)


def markdown_blocks(text):
    for indent, body in re.findall(r"^( *)```\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL):
        yield re.sub(rf"^{indent}", "", body, flags=re.MULTILINE).strip("\n")


def rst_blocks(text):
    lines = text.splitlines()
    for at, line in enumerate(lines):
        if not line.endswith("::") or line.lstrip().startswith(".. "):
            continue
        # Of an item of a list its text counts.
        outside = re.match(r" *(?:\d+\. +|[-*] +)?", line).end()
        body = []
        for inner in lines[at + 1:]:
            if inner.strip() and len(inner) - len(inner.lstrip()) <= outside:
                break
            body.append(inner)
        inside = min((len(one) - len(one.lstrip()) for one in body if one.strip()), default=0)
        yield "\n".join(one[inside:] for one in body).strip("\n")


def block(document, begin):
    """The one block of a document that begins so."""
    found = [one for one in blocks(document) if one.startswith(begin)]
    if len(found) != 1:
        raise Failure(f"{document} has {len(found)} blocks that begin with: {begin}")
    return found[0]


def command(document, begin):
    """A block that is one command, as one line."""
    return re.sub(r"\s*\\\n\s*", " ", block(document, begin))


class Place:
    """A machine of its own, as far as namespaces go, where the build is installed."""

    def __init__(self, folder):
        script = PLACE.format(work=folder, build=BUILD)
        self.process_ = subprocess.Popen([*DIE_WITH_US, "unshare", "--mount", "--net", "sh", "-c", script],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        if self.process_.stdout.readline() != "ready\n":
            self.close()
            raise Failure("the build cannot be installed in a mount namespace")

    def enter(self, text, user=None, environment=()):
        """The command line of a shell that runs the text there; as another user, with variables set."""
        rights = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--no-new-privs"] \
            if user else []
        return [*DIE_WITH_US, "nsenter", f"--target={self.process_.pid}", "--mount", "--net", *rights,
                "env", *environment, "sh", "-c", text]

    def run(self, text, seconds=60, **options):
        """Runs what must succeed; returns its output."""
        done = subprocess.run(self.enter(text, **options), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=seconds, check=False)
        if done.returncode:
            raise Failure(f"{text}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def close(self):
        self.process_.kill()
        self.process_.wait()
        self.process_.stdout.close()


class Testpmd(StockTestpmd):
    """One that a document starts. Its drivers are those that are installed."""

    __test__ = False

    def __init__(self, place, text, **options):
        super().__init__()
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self.close)
            self.spawn_(place.enter(f"exec {text}", **options))
            self.await_prompt_(0, 60)
            on_failure.pop_all()

    def counted(self, name):
        """A counter of port 0 by its name in "show port stats"."""
        return int(re.search(rf"{name}: *(\d+)", self.command("show port stats all"))[1])


def start(cleanup, place, text, log):
    """Runs until the test ends; what it says goes to a file."""
    with open(log, "wb") as file:
        process = subprocess.Popen(place.enter(f"exec {text}"), stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    cleanup.callback(process.wait)
    cleanup.callback(process.kill)
