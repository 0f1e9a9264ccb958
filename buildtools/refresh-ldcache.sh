#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# After installation: let the dynamic linker find the new libraries.
if [ -z "$DESTDIR" ] && [ "$(id -u)" = 0 ]; then
	ldconfig
fi
