#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# usage: soak.sh [--minutes N] [--interval SECONDS] [--no-build]
#
# Traffic, resets, reconnects, storms of maps and abusive clients at once, in one process that must
# stand all of it; then compares what was sent with what arrived, and what the process holds with
# what it held before. Exits with 0 if all agrees.

. "$(dirname "$0")/common.sh"

options=()
wanted=yes
for option; do
	case $option in
	--no-build) wanted=no ;;
	-h | --help) exec "$python" "$top/test/soak/soak.py" --help ;;
	*) options+=("$option") ;;
	esac
done

prepare_tool $wanted
exec env EMUDEV_BUILD="$build" "$python" -B "$top/test/soak/soak.py" "${options[@]}"
