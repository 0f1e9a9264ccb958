#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
#
# usage: try-packages.sh
#
# Run by check-packages.sh in a clean root, with the packages in /packages: installs them, and tries
# that the distribution's testpmd finds the drivers by itself, that a program builds against the
# headers, and that nothing is left after they were purged.

. "$(dirname "$0")/common.sh"

socket=/run/nic0.sock
testpmd=(dpdk-testpmd -l 0,1 --no-pci --no-huge --no-shconf -m 128 --no-telemetry
	"--vdev=emu_iavf0,path=$socket" -- -i --total-num-mbufs=2048)

# All of the root, but for what the package manager and the tests keep for themselves.
list_files() {
	find / -xdev \( -path /tmp -o -path /run -o -path /root -o -path /var/cache -o -path /var/log \
		-o -path /var/lib/apt -o -path /var/lib/dpkg -o -path /etc/ld.so.cache \) -prune -o \
		-print | sort
}

list_packages() {
	dpkg-query -W -f '${Package}\n' | sort
}

# expect FILE TEXT
expect() {
	grep -qF "$2" "$1" || {
		cat "$1" >&2
		fail "\"$2\" is not in what $(basename "$1") has said"
	}
}

install_all() {
	say "installing the packages in a clean root of $(codename)"
	quietly apt-get -q update || fail "apt-get update"
	quietly apt-get -q install -y --no-install-recommends /packages/*.deb || fail "apt-get install"
}

# What is typed at testpmd while the information tool looks at its device.
type_commands() {
	local i
	for i in {1..600}; do
		[ ! -S "$socket" ] || break
		sleep 0.1
	done
	timeout 60 dpdk-vfio-user-info "$socket" >/tmp/dpdk-vfio-user-info 2>&1 || true
	printf 'show port info 0\nquit\n'
}

use_drivers() {
	say "the distribution's testpmd finds the drivers"
	type_commands | timeout 120 "${testpmd[@]}" >/tmp/dpdk-testpmd 2>&1 || true
	expect /tmp/dpdk-testpmd "Driver name: emu_iavf"
	expect /tmp/dpdk-vfio-user-info "vendor                   0x8086"
}

use_headers() {
	say "a program is built against the headers"
	cat >/tmp/program.c <<-'END'
		#include <rte_emudev.h>
		#include <rte_vfio_user.h>
		static int nothing(void *arg) { (void)arg; return 0; }
		int linked(void) { return rte_vfio_user_control_call(nothing, 0); }
		int main(void) { return rte_emudev_count(); }
	END
	local flags
	read -ra flags < <(pkg-config --cflags --libs rte_emudev rte_vfio_user)
	quietly gcc -DALLOW_EXPERIMENTAL_API -Wall -Werror -o /tmp/program /tmp/program.c \
		"${flags[@]}" && /tmp/program || fail "it does not work"
}

remove_all() {
	local added
	say "purging them"
	mapfile -t added < <(comm -13 /tmp/packages_before <(list_packages))
	quietly apt-get -q purge -y "${added[@]}" || fail "apt-get purge"
	diff /tmp/files_before <(list_files) >&2 || fail "that is not what was there before"
}

need_root
list_packages >/tmp/packages_before
list_files >/tmp/files_before
install_all
use_drivers
use_headers
remove_all
