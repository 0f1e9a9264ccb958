#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# usage: demo.sh
#
# Shows an unmodified Linux guest driving the emulated NIC of a stock dpdk-testpmd. Installs what it
# needs, builds, boots, measures, and removes all that it has started. The last line is
# "demo: PASS ..." or "demo: FAIL ...", the exit status 0 or 1.

. "$(dirname "$0")/common.sh"

trap '[ $? = 0 ] || [ -n "${shown:-}" ] || echo "demo: FAIL preparation, see above"' EXIT

need_root
prepare
"$top/devtools/get-guest.sh" >/dev/null
shown=yes
EMUDEV_BUILD=$build exec "$python" -B "$top/test/guest/demo.py" "$SECONDS"
