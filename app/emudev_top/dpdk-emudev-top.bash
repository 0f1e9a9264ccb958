# SPDX-License-Identifier: BSD-3-Clause
# Completion for bash: options as --help names them; prefixes of processes, and files for a socket.

_dpdk_emudev_top() {
	local root
	COMPREPLY=()
	case $2 in
	-*)
		mapfile -t COMPREPLY < <(compgen -W "$("$1" --help 2>/dev/null |
			sed -n 's/^ .*\(--[a-z-]*\).*/\1/p' | sort -u)" -- "$2")
		return
		;;
	esac
	case ${3-} in
	-f | --file-prefix)
		for root in /var/run/dpdk "${XDG_RUNTIME_DIR:-/tmp}/dpdk"; do
			mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -W \
				"$(cd "$root" 2>/dev/null && ls)" -- "$2")
		done
		;;
	-s | --socket)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$2")
		;;
	esac
}

complete -F _dpdk_emudev_top dpdk-emudev-top
