#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# usage: get-driver-sdk.sh
#
# Prints a folder with DPDK's driver headers for "meson setup -Ddriver_sdk=FOLDER". Debian's
# libdpdk-dev leaves them out, so they are taken from the source package of exactly the installed
# version, or if the archive has replaced that, of the newest one of the same series (24.11.x),
# whose headers are the same as far as we know. apt's own state is not touched. Where the archive has
# none of them, EMUDEV_DPDK_SOURCE names a folder with an unpacked source of that series. Prints
# nothing where DPDK was installed with them.

. "$(dirname "$0")/common.sh"
. "$top/devtools/source.sh"

headers=(bus_driver.h bus_pci_driver.h bus_vdev_driver.h dev_driver.h ethdev_driver.h ethdev_vdev.h)

installed_with_dpdk() {
	local flag
	for flag in $(pkg-config --cflags-only-I libdpdk); do
		[ -e "${flag#-I}/bus_vdev_driver.h" ] && return 0
	done
	[ -e /usr/include/bus_vdev_driver.h ]
}

# from_archive VERSION FOLDER
from_archive() {
	fetch_source "$1"
	tar -xf "$work"/dpdk_*.orig.tar.* -C "$2" --wildcards --transform 's|.*/||' \
		"${headers[@]/#/*/}"
}

# from_source VERSION FOLDER: out of EMUDEV_DPDK_SOURCE, if that is of the same series.
from_source() {
	local header found
	found=$(cat "$EMUDEV_DPDK_SOURCE/VERSION") || fail "EMUDEV_DPDK_SOURCE is no source of DPDK"
	[ "$(series "$found")" = "$(series "$1")" ] ||
		fail "EMUDEV_DPDK_SOURCE is DPDK $found, and $1 is installed"
	say "warning: the driver headers are those of $EMUDEV_DPDK_SOURCE, DPDK $found"
	for header in "${headers[@]}"; do
		find "$EMUDEV_DPDK_SOURCE"/{lib,drivers} -name "$header" -exec cp {} "$2" \;
	done
}

fetch() {
	local version=$1 folder=$2 header
	say "fetching the driver headers of DPDK $version"
	work=$(mktemp -d "$cache/sdk.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	mkdir "$work/sdk"
	if [ -n "${EMUDEV_DPDK_SOURCE:-}" ]; then
		from_source "$version" "$work/sdk"
	else
		from_archive "$version" "$work/sdk"
	fi
	for header in "${headers[@]}"; do
		[ -s "$work/sdk/$header" ] || fail "that source of DPDK has no $header"
	done
	rm -rf "$folder"
	mv "$work/sdk" "$folder"
}

pkg-config --exists libdpdk || fail "DPDK is not installed (package libdpdk-dev)"
if installed_with_dpdk; then
	say "this DPDK has its driver headers: nothing to fetch"
	exit 0
fi
version=$(installed_version) || fail "this DPDK is no" \
	"Debian package and has no driver headers: build it with -Denable_driver_sdk=true"
folder=$cache/sdk-$version
if [ ! -d "$folder" ]; then
	lock_cache
	[ -d "$folder" ] || fetch "$version" "$folder"
fi
echo "$folder"
