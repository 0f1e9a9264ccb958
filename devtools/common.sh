# SPDX-License-Identifier: BSD-3-Clause
# What the scripts of this folder share. Sourced, not run.
#
# Output: progress goes to standard error, so that standard output stays free for results such as
# the folder that a script has prepared.

set -euo pipefail

export LC_ALL=C DEBIAN_FRONTEND=noninteractive
# Scripts that this one calls go on counting its seconds.
export EMUDEV_STARTED=${EMUDEV_STARTED:-$(date +%s)}
SECONDS=$(($(date +%s) - EMUDEV_STARTED))
# Another python3 may come first in PATH and lack the distribution's modules.
python=/usr/bin/python3
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${EMUDEV_CACHE:-${XDG_CACHE_HOME:-~/.cache}/dpdk-emudev}
keyring=/usr/share/keyrings/debian-archive-keyring.gpg

# dpkg-dev tells meson where libraries go that the dynamic linker and pkg-config find.
build_packages=(g++ meson ninja-build pkg-config dpkg-dev dpdk-dev libdpdk-dev libnuma-dev
	libjansson-dev libaio-dev python3-pyelftools xz-utils debian-archive-keyring)
guest_packages=(mmdebstrap debian-archive-keyring cpio xz-utils zstd kmod)
style_packages=(git clang-format-14 clang-14)
# Only for its tests: a package that installs a switch of the system.
ovs_packages=(openvswitch-switch-dpdk)
doc_packages=(python3-sphinx doxygen)
# Only for the tests of documents: no daemon runs but in them.
boot_packages=(dnsmasq-base)
# Only for their tests: no daemon of theirs runs.
libvirt_packages=(libvirt-clients libvirt-daemon libvirt-daemon-driver-qemu libxml2-utils)
# Only for the benchmark's profiles, and their tests.
profile_packages=(linux-perf binutils)
run_packages=(dpdk iproute2 iperf3 iputils-ping ethtool pciutils python3-pytest)

# 1024 pages of 2 MiB: a guest in huge pages (512 MiB), testpmd, and the tests that run beside them.
wanted_pages=1024
needed_pages=512
huge_pages=/sys/kernel/mm/hugepages/hugepages-2048kB

# What each script answers without doing anything. Where a program of its own explains the options, that
# does so.
case ${1:-} in
--version)
	echo "$(basename "$0") of dpdk-emudev $(cat "$top/VERSION")"
	exit 0
	;;
esac

say() {
	printf '[%4d s] %s\n' "$SECONDS" "$*" >&2
}

fail() {
	printf '[%4d s] error: %s\n' "$SECONDS" "$*" >&2
	exit 1
}

need_root() {
	[ "$(id -u)" = 0 ] ||
		fail "$(basename "$0") needs root (packages, huge pages, network interfaces)"
}

# Runs a command quietly; its output appears only when it fails.
quietly() {
	local log status=0
	log=$(mktemp)
	"$@" >"$log" 2>&1 </dev/null || status=$?
	[ $status = 0 ] || cat "$log" >&2
	rm -f "$log"
	return $status
}

is_installed() {
	[[ $(dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null) == ii* ]]
}

# Installs those of the named packages that are missing. One script at a time: apt waits for nobody.
install_packages() {
	local package missing=() lock
	for package; do
		is_installed "$package" || missing+=("$package")
	done
	[ ${#missing[@]} != 0 ] || return 0
	say "installing ${missing[*]}"
	mkdir -p "$cache"
	exec {lock}>"$cache/packages.lock"
	flock "$lock"
	quietly apt-get -q update || fail "apt-get update does not work"
	quietly apt-get -q install -y --no-install-recommends "${missing[@]}" ||
		fail "cannot install: ${missing[*]}"
	exec {lock}>&-
}

# The archives of this machine's own apt sources, as lines "URI SUITE". Asking apt itself covers
# both forms of sources and needs no downloaded lists.
apt_archives() {
	apt-get update --print-uris |
		sed -n "s|^'\(.*[^/]\)/*/dists/\(.*\)/InRelease'.*|\1 \2|p" | sort -u
}

codename() {
	. /etc/os-release
	echo "${VERSION_CODENAME:-unknown}"
}

# Those of its release, or where that has no name yet in the archive (sid calls itself by the name of
# the next release), of what it is taken from.
release_archives() {
	apt_archives | awk -v release="$(codename)" \
		'index($2, release) == 1 || $2 ~ /^(sid|unstable|testing)$/'
}

# The archive that this machine takes its Debian release from, not what mends or adds to it.
debian_mirror() {
	local uri
	uri=$(release_archives | awk '$2 !~ /[-\/]/ { print $1; exit }')
	[ -n "$uri" ] || fail "no apt source of this machine has the suite $(codename)"
	echo "$uri"
}

# Keeps other scripts out of the cache until this one ends.
lock_cache() {
	mkdir -p "$cache"
	exec {lock}>"$cache/lock"
	flock "$lock"
}

pages() {
	cat "$huge_pages/$1_hugepages"
}

# Sees to it that enough huge pages are free.
reserve_huge_pages() {
	local free
	[ -d "$huge_pages" ] || fail "this kernel has no huge pages of 2 MiB"
	free=$(pages free)
	[ "$free" -lt "$wanted_pages" ] || return 0
	say "reserving huge pages: $wanted_pages of 2 MiB, $free are free"
	echo $(($(pages nr) + wanted_pages - free)) 2>/dev/null >"$huge_pages/nr_hugepages" || true
	free=$(pages free)
	[ "$free" -ge "$needed_pages" ] || fail "only $free huge pages of 2 MiB are free and" \
		"$huge_pages/nr_hugepages cannot be raised: $needed_pages are needed" \
		"(more memory, a reboot, or a container that may write /sys)"
}

# DPDK refuses drivers that stand below a folder which everybody can write to.
is_private() {
	local folder
	folder=$(realpath -m "$1")
	while [ "$folder" != / ]; do
		[ ! -e "$folder" ] || [ -z "$(find "$folder" -maxdepth 0 -perm -o=w)" ] || return 1
		folder=$(dirname "$folder")
	done
}

# Where to build: EMUDEV_BUILD, or "build" in the checkout, or for a checkout below a folder such as
# /tmp a folder of its own in the cache. $1 is appended for variants.
build_folder() {
	local folder=${EMUDEV_BUILD:-$top/build}$1
	if [ -z "${EMUDEV_BUILD:-}" ] && ! is_private "$folder"; then
		folder=$cache/build-$(sha256sum <<<"$top" | cut -c1-12)$1
	fi
	is_private "$folder" || fail "DPDK will not load drivers from $folder: everybody can" \
		"write to a folder above it. Set EMUDEV_BUILD or EMUDEV_CACHE to another place"
	echo "$folder"
}

# configure FOLDER [MESON OPTION...]: once.
configure() {
	local folder=$1 sdk
	shift
	sdk=$("$top/devtools/get-driver-sdk.sh" | tail -n 1)
	if [ ! -f "$folder/build.ninja" ]; then
		say "configuring $folder"
		quietly meson setup "$folder" "$top" "-Ddriver_sdk=$sdk" "$@" ||
			fail "meson setup $folder"
	fi
}

# build FOLDER [TARGET...]: with a line every few seconds that tells how far it is. What ninja says
# besides appears only when it fails.
build() {
	local log line status=0 next=$((SECONDS + 5))
	log=$(mktemp)
	say "building $1"
	NINJA_STATUS='@%f of %t@' ninja -C "$@" </dev/null 2>&1 | tee "$log" |
		while IFS= read -r line; do
			[[ $line == @* && $SECONDS -ge $next ]] || continue
			line=${line#@}
			say "building: ${line%%@*}"
			next=$((SECONDS + 5))
		done || status=$?
	[ $status = 0 ] || sed 's/^@[^@]*@//' "$log" >&2
	rm -f "$log"
	return $status
}

# beside COMMAND...: runs it in the background, with what time processors others leave; its process is $!.
# A session of its own, as Linux shares time among sessions first.
beside() {
	setsid bash -c 'echo 19 2>/dev/null >/proc/self/autogroup; exec chrt --idle 0 "$@"' "$0" "$@" \
		</dev/null &
}

# compile FOLDER [MESON OPTION...]: configures and builds.
compile() {
	configure "$@"
	build "$1" || fail "ninja -C $1"
}

# With address and undefined-behaviour sanitizers. Lines are all that they tell of: more would take the
# compiler half as long again.
sanitizing=(-Dc_args=-g1 -Dcpp_args=-g1 -Db_sanitize=address,undefined)

# Nothing is inlined: what two files have a copy of each is seen to be two things. And it compiles soon.
compile_sanitized() {
	compile "$1" "${sanitizing[@]}" -Doptimization=0
}

# What a program starts from that measures or endures: $1 is "no" if nothing is to be built. Leaves the
# build folder in $build.
prepare_tool() {
	need_root
	build=$(build_folder "")
	if [ "$1" != no ]; then
		install_packages "${build_packages[@]}" dpdk
		compile "$build"
	fi
	reserve_huge_pages
}

# All that a test or a demonstration starts from; leaves the build folder in $build.
prepare() {
	install_packages "${build_packages[@]}" "${run_packages[@]}"
	reserve_huge_pages
	build=$(build_folder "")
	compile "$build"
}
