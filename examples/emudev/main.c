/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * An emulated device that is no NIC: a line printer. The provider (provider.c) has its registers,
 * the back-end (spooler.c) prints; they know each other by librte_emudev only.
 *
 * usage: printer SOCKET
 *
 * Prints to standard output; ends at SIGINT or SIGTERM. Needs no EAL.
 */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "provider.h"
#include "spooler.h"

static int
fail(const char *what, int error)
{
	fprintf(stderr, "printer: %s: %s\n", what, strerror(-error));
	return EXIT_FAILURE;
}

int
main(int argc, char **argv)
{
	struct provider *provider;
	sigset_t wanted;
	int error, signal;

	if (argc != 2) {
		fprintf(stderr, "usage: printer SOCKET\n");
		return 2;
	}
	/* Before there are other threads: they are not to take the signals. */
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGINT);
	sigaddset(&wanted, SIGTERM);
	sigprocmask(SIG_BLOCK, &wanted, NULL);

	error = spooler_register();
	if (error != 0)
		return fail("back-end", error);
	error = provider_create(argv[1], &provider);
	if (error == 0) {
		fprintf(stderr, "ready\n");
		sigwait(&wanted, &signal);
		provider_destroy(provider);
	}
	spooler_unregister();
	return error == 0 ? EXIT_SUCCESS : fail(argv[1], error);
}
