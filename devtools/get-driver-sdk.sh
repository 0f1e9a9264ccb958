#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# usage: get-driver-sdk.sh
#
# Prints a folder with DPDK's driver headers for "meson setup -Ddriver_sdk=FOLDER". Debian's
# libdpdk-dev leaves them out, so they are taken from the source package of exactly the installed
# version; apt's own state is not touched. Prints nothing where DPDK was installed with them.

. "$(dirname "$0")/common.sh"

headers=(bus_driver.h bus_pci_driver.h bus_vdev_driver.h dev_driver.h ethdev_driver.h ethdev_vdev.h)

installed_with_dpdk() {
	local flag
	for flag in $(pkg-config --cflags-only-I libdpdk); do
		[ -e "${flag#-I}/bus_vdev_driver.h" ] && return 0
	done
	[ -e /usr/include/bus_vdev_driver.h ]
}

# apt-get with a state of its own in $work, which knows only source packages.
private_apt() {
	(cd "$work" && quietly apt-get -q -o Dir::Etc::sourcelist="$work/sources.list" \
		-o Dir::Etc::sourceparts=/dev/null -o Dir::State::lists="$work/lists" \
		-o Dir::Cache="$work/cache" -o APT::Sandbox::User=root "$@")
}

fetch() {
	local version=$1 folder=$2 suites header
	suites=$(codename)
	say "fetching the driver headers of DPDK $version"
	work=$(mktemp -d "$cache/sdk.XXXXXX")
	trap 'rm -rf "$work"' EXIT
	mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/sdk"
	apt_archives | awk -v signed="[signed-by=$keyring]" -v suites="$suites" \
		'index($2, suites) == 1 { print "deb-src", signed, $1, $2, "main" }' \
		>"$work/sources.list"
	private_apt update || fail "cannot read the source packages of $suites"
	private_apt source --download-only "dpdk=$version" ||
		fail "no source package dpdk $version: is libdpdk-dev up to date?"
	tar -xf "$work"/dpdk_*.orig.tar.* -C "$work/sdk" --wildcards --transform 's|.*/||' \
		"${headers[@]/#/*/}"
	for header in "${headers[@]}"; do
		[ -s "$work/sdk/$header" ] || fail "the source package has no $header"
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
