#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# usage: setup.sh
#
# Installs the packages that building and running need, reserves huge pages, fetches DPDK's driver
# headers and builds. Prints the build folder. Safe to run again: it skips what is done.

. "$(dirname "$0")/common.sh"

need_root
install_packages "${doc_packages[@]}"
prepare
echo "$build"
