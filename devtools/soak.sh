#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# usage: soak.sh [--minutes N] [--interval SECONDS] [--no-build]
#        soak.sh kills [--clients N] [--guests N] [--providers N] [--resets N] [--seed N] [--no-build]
#
# Traffic, resets, reconnects, storms of maps and abusive clients at once, in one process that must
# stand all of it; then compares what was sent with what arrived, and what the process holds with
# what it held before. Or, as "kills", clients, guests in QEMU, and providers that are killed at random
# instants, 200 of each, after which the other side must hold what it held, and drivers that are reset
# while they send, 200 times in each of three ways. Exits with 0 if all agrees.

. "$(dirname "$0")/common.sh"

options=()
wanted=yes
program=soak
if [ "${1:-}" = kills ]; then
	program=kills
	shift
fi
for option; do
	case $option in
	--no-build) wanted=no ;;
	-h | --help) exec "$python" "$top/test/soak/$program.py" --help ;;
	*) options+=("$option") ;;
	esac
done

prepare_tool $wanted
if [ $program = kills ] && [ $wanted = yes ]; then
	install_packages "${run_packages[@]}"
	"$top/devtools/get-guest.sh" >/dev/null
fi
exec env EMUDEV_BUILD="$build" "$python" -B "$top/test/soak/$program.py" "${options[@]}"
