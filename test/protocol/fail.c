/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * Preloaded into a server or a consumer: of the calls below that the library's threads make, the
 * one that a test names and numbers fails, once, as it would if the system had nothing left. The
 * data threads and the main thread, where the user types, are left alone: they do nothing for a
 * peer that can fail. With EMUDEV_FAIL_MAIN the main thread's calls fail, too, where devices are
 * made and attached; not for memory of the C library, without which a program in C++ ends by
 * itself.
 *
 * The test and this share a file, which EMUDEV_FAIL names.
 */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>
#include <unistd.h>

#define CALLS 4093
#define EACH  UINT64_MAX

struct orders {
	uint64_t wanted; /* which of the calls with the name fails, from 1, or EACH; 0: none is
			    counted */
	uint64_t calls;  /* how many were counted since the test has set it to 0 */
	char name[16];   /* of those that are counted; empty: all are, and none fails */
	char also[16];   /* each of these fails, too, and is not counted */
	char names[CALLS][16]; /* what the calls were, as far as they fit */
};

static struct orders *orders;
static bool main_too; /* the main thread as well */

__attribute__((constructor)) static void
open_orders(void)
{
	const char *path = getenv("EMUDEV_FAIL");
	int fd = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;

	if (fd < 0)
		return;
	void *at = mmap(NULL, sizeof(*orders), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (at != MAP_FAILED)
		orders = at;
	main_too = getenv("EMUDEV_FAIL_MAIN") != NULL;
}

/* Those of the library: its control thread, and what that starts. */
static bool
watched(void)
{
	char name[16] = "";

	pthread_getname_np(pthread_self(), name, sizeof(name));
	return strstr(name, "vfio-user") != NULL;
}

static bool
is_wanted(const char *name, int error)
{
	uint64_t wanted = orders == NULL ? 0 : __atomic_load_n(&orders->wanted, __ATOMIC_ACQUIRE);
	uint64_t number;

	if (wanted == 0)
		return false;
	if (strcmp(orders->also, name) == 0) {
		errno = error;
		return true;
	}
	if (orders->name[0] != '\0' && strcmp(orders->name, name) != 0)
		return false;
	number = __atomic_add_fetch(&orders->calls, 1, __ATOMIC_ACQ_REL);
	if (number <= CALLS)
		memcpy(orders->names[number - 1], name, strnlen(name, 15));
	if (orders->name[0] == '\0' || (wanted != EACH && wanted != number))
		return false;
	errno = error;
	return true;
}

static bool
fails_for_library(const char *name, int error)
{
	return watched() && is_wanted(name, error);
}

static bool
fails(const char *name, int error)
{
	return ((main_too && getpid() == syscall(SYS_gettid)) || watched()) &&
	       is_wanted(name, error);
}

/* A call of the C library or of another one, found behind this one. */
#define FAILING(type, name, failure, error, parameters, arguments)                                 \
	type name parameters                                                                       \
	{                                                                                          \
		static __typeof__(&name) next;                                                     \
                                                                                                   \
		if (fails(#name, error))                                                           \
			return failure;                                                            \
		if (next == NULL)                                                                  \
			next = (__typeof__(&name))dlsym(RTLD_NEXT, #name);                         \
		return next arguments;                                                             \
	}

/* dlsym() itself allocates. */
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);

void *
malloc(size_t size)
{
	return fails_for_library("malloc", ENOMEM) ? NULL : __libc_malloc(size);
}

void *
calloc(size_t count, size_t size)
{
	return fails_for_library("calloc", ENOMEM) ? NULL : __libc_calloc(count, size);
}

void *
realloc(void *at, size_t size)
{
	return fails_for_library("realloc", ENOMEM) ? NULL : __libc_realloc(at, size);
}

FAILING(void *, mmap, MAP_FAILED, ENOMEM,
	(void *at, size_t size, int prot, int flags, int fd, off_t offset),
	(at, size, prot, flags, fd, offset))
FAILING(void *, mmap64, MAP_FAILED, ENOMEM,
	(void *at, size_t size, int prot, int flags, int fd, off64_t offset),
	(at, size, prot, flags, fd, offset))
FAILING(int, mprotect, -1, ENOMEM, (void *at, size_t size, int prot), (at, size, prot))
FAILING(int, madvise, -1, ENOMEM, (void *at, size_t size, int advice), (at, size, advice))
FAILING(int, memfd_create, -1, ENFILE, (const char *name, unsigned int flags), (name, flags))
FAILING(int, ftruncate64, -1, ENOSPC, (int fd, off64_t size), (fd, size))
FAILING(int, fstat64, -1, ENOMEM, (int fd, struct stat64 *to), (fd, to))
FAILING(int, eventfd, -1, EMFILE, (unsigned int initial, int flags), (initial, flags))
FAILING(int, timerfd_create, -1, EMFILE, (int clock, int flags), (clock, flags))
FAILING(int, socket, -1, EMFILE, (int domain, int type, int protocol), (domain, type, protocol))
FAILING(int, socketpair, -1, EMFILE, (int domain, int type, int protocol, int fds[2]),
	(domain, type, protocol, fds))
FAILING(int, accept4, -1, ENOMEM,
	(int fd, __SOCKADDR_ARG address, socklen_t *restrict size, int flags),
	(fd, address, size, flags))
FAILING(ssize_t, recvmsg, -1, ENOMEM, (int fd, struct msghdr *message, int flags),
	(fd, message, flags))
FAILING(ssize_t, sendmsg, -1, ENOBUFS, (int fd, const struct msghdr *message, int flags),
	(fd, message, flags))
FAILING(ssize_t, readlink, -1, ENOMEM, (const char *path, char *to, size_t size), (path, to, size))
FAILING(int, dup3, -1, EMFILE, (int from, int to, int flags), (from, to, flags))
FAILING(int, munmap, -1, ENOMEM, (void *at, size_t size), (at, size))
FAILING(int, fstatfs64, -1, ENOMEM, (int fd, struct statfs64 *to), (fd, to))
FAILING(int, getsockopt, -1, ENOBUFS,
	(int fd, int level, int option, void *restrict to, socklen_t *restrict size),
	(fd, level, option, to, size))
FAILING(int, shutdown, -1, ENOTCONN, (int fd, int how), (fd, how))
FAILING(int, timerfd_settime, -1, ENOMEM,
	(int fd, int flags, const struct itimerspec *to, struct itimerspec *before),
	(fd, flags, to, before))
FAILING(int, eventfd_read, -1, EAGAIN, (int fd, eventfd_t *to), (fd, to))
FAILING(int, eventfd_write, -1, EAGAIN, (int fd, eventfd_t value), (fd, value))
FAILING(int, bind, -1, ENOMEM, (int fd, __CONST_SOCKADDR_ARG to, socklen_t size), (fd, to, size))
FAILING(int, listen, -1, ENOBUFS, (int fd, int backlog), (fd, backlog))
FAILING(int, connect, -1, ENOMEM, (int fd, __CONST_SOCKADDR_ARG to, socklen_t size), (fd, to, size))
FAILING(int, chmod, -1, ENOMEM, (const char *path, mode_t mode), (path, mode))
FAILING(int, link, -1, ENOSPC, (const char *from, const char *to), (from, to))
FAILING(int, poll, -1, ENOMEM, (struct pollfd * all, nfds_t count, int timeout),
	(all, count, timeout))
FAILING(int, pthread_create, EAGAIN, EAGAIN,
	(pthread_t *restrict thread, const pthread_attr_t *restrict attributes,
	 void *(*run)(void *), void *restrict argument),
	(thread, attributes, run, argument))

int
open64(const char *path, int flags, ...)
{
	va_list list;
	mode_t mode;

	va_start(list, flags);
	mode = va_arg(list, mode_t);
	va_end(list);
	return fails("open64", EMFILE) ? -1 : (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

/* As Linux does when it cannot write what is left: the descriptor is gone. */
int
close(int fd)
{
	const int result = (int)syscall(SYS_close, fd);

	return fails("close", EIO) ? -1 : result;
}

/* Those of libaio give their error back; it is not among the libraries that are found behind this
 * one. Whoever registers a server calls the first, so of any thread it fails. */
int
io_setup(int count, void **context)
{
	if (is_wanted("io_setup", EAGAIN))
		return -EAGAIN;
	return syscall(SYS_io_setup, count, context) == 0 ? 0 : -errno;
}

int
io_submit(void *context, long count, void **list)
{
	const long done =
		fails("io_submit", EAGAIN) ? -1 : syscall(SYS_io_submit, context, count, list);

	return done < 0 ? -errno : (int)done;
}

int
io_getevents(void *context, long least, long count, void *to, struct timespec *time)
{
	const long got = fails("io_getevents", EINTR)
				 ? -1
				 : syscall(SYS_io_getevents, context, least, count, to, time);

	return got < 0 ? -errno : (int)got;
}

/* Of huge pages. */
void *rte_zmalloc_socket(const char *type, size_t size, unsigned int align, int socket);

void *
rte_zmalloc_socket(const char *type, size_t size, unsigned int align, int socket)
{
	static __typeof__(&rte_zmalloc_socket) next;

	if (fails("rte_zmalloc", ENOMEM))
		return NULL;
	if (next == NULL)
		next = (__typeof__(&rte_zmalloc_socket))dlsym(RTLD_NEXT, "rte_zmalloc_socket");
	return next(type, size, align, socket);
}

struct epoll_event;
/* Only where it needs memory: what is known is changed and taken out without. */
int
epoll_ctl(int epoll, int what, int fd, struct epoll_event *event)
{
	if (what == 1 && fails("epoll_ctl", ENOMEM))
		return -1;
	return (int)syscall(SYS_epoll_ctl, epoll, what, fd, event);
}

int
fcntl64(int fd, int command, ...)
{
	va_list list;
	long argument;

	va_start(list, command);
	argument = va_arg(list, long);
	va_end(list);
	if (command != F_SETFL && fails("fcntl", command == F_DUPFD_CLOEXEC ? EMFILE : EINVAL))
		return -1;
	return (int)syscall(SYS_fcntl, fd, command, argument);
}

int fcntl(int fd, int command, ...) __attribute__((alias("fcntl64")));
