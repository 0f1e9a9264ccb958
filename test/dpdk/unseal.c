/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Preloaded into an honest server to make it a hostile one: its memory files stay unsealed, so that
 * a test can truncate what it shares.
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

int
fcntl64(int fd, int command, ...)
{
	va_list list;
	long argument;

	va_start(list, command);
	argument = va_arg(list, long);
	va_end(list);
	if (command == F_ADD_SEALS)
		return 0;
	return (int)syscall(SYS_fcntl, fd, command, argument);
}

int fcntl(int fd, int command, ...) __attribute__((alias("fcntl64")));
