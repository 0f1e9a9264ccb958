/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Sends UDP datagrams in requests that the network card has to segment: ten times 20000 bytes, as
 * datagrams of 1400 to port 5300 of 192.0.2.1. For a guest that has no C library: system calls
 * alone.
 */

#include <linux/in.h>
#include <linux/udp.h>
#include <sys/syscall.h>

enum { inet = 2, datagrams = 2, length = 20000, segment = 1400 };

static long
call(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

static unsigned char data[length];

void
_start(void)
{
	const unsigned char to[16] = {inet, 0, 5300 >> 8, 5300 & 255, 192, 0, 2, 1};
	int size = segment;
	long fd = call(SYS_socket, inet, datagrams, 0, 0, 0, 0), failed = fd < 0;

	failed |= call(SYS_setsockopt, fd, IPPROTO_UDP, UDP_SEGMENT, (long)&size, sizeof(size),
		       0) != 0;
	for (int round = 0; round < 10; round++) {
		for (int i = 0; i < length; i++)
			data[i] = i / segment + round;
		failed |=
			call(SYS_sendto, fd, (long)data, length, 0, (long)to, sizeof(to)) != length;
	}
	call(SYS_exit, failed, 0, 0, 0, 0, 0);
}
