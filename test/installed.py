# SPDX-License-Identifier: BSD-3-Clause
"""The build, installed for the time of a command.

The installation happens in a mount namespace of its own, on an overlay, so that nothing is left on
the machine and other tests do not load the drivers twice.
"""

import subprocess

from stock import BUILD

# Of a shell in a mount namespace: what it installs is in the folder "work".
INSTALLATION = """
set -e
mount -t tmpfs tmpfs {work}
for folder in usr etc; do
    mkdir {work}/$folder {work}/$folder.work
    layers=lowerdir=/$folder,upperdir={work}/$folder,workdir={work}/$folder.work
    mount -t overlay overlay -o $layers /$folder
done
meson install -C {build} --no-rebuild --quiet >&2
"""


def installed(work, command):
    """Runs a shell command where the build is installed; returns its result with output. The folder
    "work" is the command's too, what it leaves there goes with it."""
    script = INSTALLATION.format(work=work, build=BUILD) + command
    return subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True,
                          text=True, timeout=120, check=False)
