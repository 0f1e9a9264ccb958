# SPDX-License-Identifier: BSD-3-Clause
# Completion for bash: options as --help names them, else folders and sockets.

_dpdk_vfio_user_info() {
	local path
	COMPREPLY=()
	case $2 in
	-*)
		mapfile -t COMPREPLY < <(compgen -W "$("$1" --help 2>/dev/null |
			sed -n 's/^ .*\(--[a-z-]*\).*/\1/p')" -- "$2")
		;;
	*)
		[[ ${3-} != @(-t|--timeout) ]] || return 0
		compopt -o filenames 2>/dev/null
		while IFS= read -r path; do
			if [ -d "$path" ] || [ -S "$path" ]; then
				COMPREPLY+=("$path")
			fi
		done < <(compgen -f -- "$2")
		;;
	esac
}

complete -F _dpdk_vfio_user_info dpdk-vfio-user-info
