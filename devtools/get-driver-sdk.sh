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

headers=(bus_driver.h bus_pci_driver.h bus_vdev_driver.h dev_driver.h ethdev_driver.h ethdev_vdev.h)

installed_with_dpdk() {
	local flag
	for flag in $(pkg-config --cflags-only-I libdpdk); do
		[ -e "${flag#-I}/bus_vdev_driver.h" ] && return 0
	done
	[ -e /usr/include/bus_vdev_driver.h ]
}

# private_apt get|cache ARGUMENT...: with a state of its own in $work, which knows only sources.
private_apt() {
	local program=apt-$1
	shift
	(cd "$work" && "$program" -q -o Dir::Etc::sourcelist="$work/sources.list" \
		-o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists="$work/lists" \
		-o Dir::Cache="$work/cache" -o APT::Sandbox::User=root "$@")
}

source_archives() {
	release_archives | awk -v signed="[signed-by=$keyring]" '
		{ print "deb-src", signed, $1, $2, "main" }'
}

# 24.11 of 24.11.8-1~deb13u1
series() {
	sed -E 's/^([0-9]+:)?([0-9]+\.[0-9]+).*/\2/' <<<"$1"
}

# What the archive lists in the series of version $1, the newest first.
listed_versions() {
	local series
	series=$(series "$1")
	private_apt cache showsrc dpdk 2>/dev/null | sed -n 's/^Version: //p' |
		grep -E "^([0-9]+:)?${series//./\\.}[.~+-]" | sort -Vru || true
}

# Downloads the source of version $1, or of the newest in its series that is to be had: an archive
# may list what it does not have any more.
download() {
	local version output
	for version in "$1" $(listed_versions "$1"); do
		if output=$(private_apt get source --download-only --tar-only "dpdk=$version" 2>&1); then
			[ "$version" = "$1" ] || say "warning: the archive no longer has the source of" \
				"dpdk $1; the driver headers are those of $version"
			return 0
		fi
	done
	sed -n '/^[EW]: /p' <<<"$output" >&2
	fail "the archive has no source of dpdk $1, nor of its series: unpack a source of DPDK" \
		"$(series "$1") and name its folder in EMUDEV_DPDK_SOURCE"
}

# from_archive VERSION FOLDER
from_archive() {
	mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
	source_archives >"$work/sources.list"
	[ -s "$work/sources.list" ] || fail "no apt source of this machine has the suite $(codename)"
	quietly private_apt get update || fail "cannot read the source packages of this machine"
	download "$1"
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
version=$(dpkg-query -W -f '${source:Version}' libdpdk-dev 2>/dev/null) || fail "this DPDK is no" \
	"Debian package and has no driver headers: build it with -Denable_driver_sdk=true"
folder=$cache/sdk-$version
if [ ! -d "$folder" ]; then
	lock_cache
	[ -d "$folder" ] || fetch "$version" "$folder"
fi
echo "$folder"
