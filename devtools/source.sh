# SPDX-License-Identifier: BSD-3-Clause
# How scripts get DPDK's source of the installed version. Sourced after common.sh, not run. They
# work in a folder of their own, $work.

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

# Leaves the archive of the source, dpdk_*.orig.tar.*, in $work.
fetch_source() {
	mkdir -p "$work/lists/partial" "$work/cache/archives/partial"
	source_archives >"$work/sources.list"
	[ -s "$work/sources.list" ] || fail "no apt source of this machine has the suite $(codename)"
	quietly private_apt get update || fail "cannot read the source packages of this machine"
	download "$1"
}

installed_version() {
	dpkg-query -W -f '${source:Version}' libdpdk-dev 2>/dev/null
}
