#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# usage: bench.sh [--quick] [--peers LIST] [--tests LIST] [--frames LIST] [--queues N]
#                 [--ring N] [--ours NAME] [--rounds N] [--seconds S] [--distance US]
#                 [--json FILE] [--svg FILE] [--no-build]
#        bench.sh all [--quick] [--write] [--tables LIST] [--near US] [--far US] [--no-build]
#        bench.sh features [--quick] [--features LIST] [--rounds N] [--seconds S] [--distance US]
#                 [--json FILE] [--no-build]
#        bench.sh fairness [--abuses LIST] [--rounds N] [--seconds S] [--no-build]
#        bench.sh queues [--quick] [--queues LIST] [--rounds N] [--seconds S] [--distance US]
#                 [--no-build]
#        bench.sh devices [--devices N] [--senders LIST] [--rounds N] [--seconds S] [--no-build]
#        bench.sh boot [--rounds N] [--kernel VERSION] [--no-build]
#        bench.sh memory [--regions LIST] [--rounds N] [--changes N] [--no-build]
#        bench.sh profile [--quick] [--tests LIST] [--frames LIST] [--rounds N] [--seconds S]
#                 [--distance US] [--no-build]
#        bench.sh iperf [--streams LIST] [--ways LIST] [--mtu N] [--rounds N] [--seconds S] [--no-build]
#
# Compares our NIC with net_vhost, net_memif and the limit of the machine, on two cores. Prints a
# table, and says when the machine was too noisy. "bench.sh --help" explains the options; with
#
#   all       all tables of the guide and its picture, written into it with --write
#   features  what each feature of our NIC costs a frame
#   queues    what it costs to poll few and very many queues, beside net_vhost
#   devices   one device in a process beside 32 of them
#   boot      from the start of QEMU to the link
#   fairness  how long the client of one device waits while that of another asks for too much
#   memory    what it costs to map and unmap memory beside few and beside very many regions
#   profile   where the host's core is while frames pass
#   iperf     TCP of Linux guests over our NIC and over virtio-net

. "$(dirname "$0")/common.sh"

options=()
wanted=yes
program=bench.py
case ${1:-} in
all) program=tables.py ;;
iperf) program=streams.py ;;
profile) program=profiles.py ;;
features | fairness | memory | queues | devices | boot) program=$1.py ;;
esac
[ $program = bench.py ] || shift
for option; do
	case $option in
	--no-build) wanted=no ;;
	-h | --help) exec "$python" "$top/test/bench/$program" --help ;;
	*) options+=("$option") ;;
	esac
done

prepare_tool $wanted
case $program in
streams.py | boot.py | tables.py)
	install_packages "${run_packages[@]}"
	"$top/devtools/get-guest.sh" >/dev/null
	;;
esac
case $program in
profiles.py | tables.py)
	install_packages "${profile_packages[@]}"
	profiled=$(build_folder -profile)
	[ $wanted = no ] || compile "$profiled" -Ddebug=true
	;;
esac
exec env EMUDEV_BUILD="$build" EMUDEV_PROFILED_BUILD="${profiled:-}" "$python" -B "$top/test/bench/$program" "${options[@]}"
