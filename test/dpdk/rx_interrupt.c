/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * usage: rx_interrupt EAL-OPTIONS -- QUEUES FRAMES
 *
 * Receives on the queues of port 0, sleeping on their interrupts.
 * Prints "ready", a line per queue that has received, and how often it slept and was woken.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_cycles.h>
#include <rte_debug.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_interrupts.h>
#include <rte_mbuf.h>

#define MAX_QUEUES 16
#define BURST      32
#define TIMEOUT_MS 20000

static uint64_t frames[MAX_QUEUES], wakes[MAX_QUEUES];

static void
check(const char *what, int result)
{
	if (result < 0)
		rte_exit(EXIT_FAILURE, "%s: %d\n", what, result);
}

static void
set_up(uint16_t queues)
{
	struct rte_eth_conf conf = {.intr_conf = {.rxq = 1, .lsc = 1}};
	struct rte_mempool *pool = rte_pktmbuf_pool_create(
		"pool", 2048 * queues + 2048, 250, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
	uint16_t queue;

	if (pool == NULL)
		rte_exit(EXIT_FAILURE, "no pool\n");
	check("configure", rte_eth_dev_configure(0, queues, queues, &conf));
	for (queue = 0; queue < queues; queue++) {
		check("Rx queue", rte_eth_rx_queue_setup(0, queue, 512, SOCKET_ID_ANY, NULL, pool));
		check("Tx queue", rte_eth_tx_queue_setup(0, queue, 512, SOCKET_ID_ANY, NULL));
	}
	check("start", rte_eth_dev_start(0));
	check("promiscuous", rte_eth_promiscuous_enable(0));
	for (queue = 0; queue < queues; queue++) {
		int result =
			rte_eth_dev_rx_intr_ctl_q(0, queue, RTE_EPOLL_PER_THREAD,
						  RTE_INTR_EVENT_ADD, (void *)(uintptr_t)queue);

		/* One that has the vector of an earlier queue wakes by that. */
		check("event", result == -EEXIST ? 0 : result);
	}
}

static uint64_t
receive(uint16_t queues)
{
	struct rte_mbuf *burst[BURST];
	uint64_t all = 0;
	uint16_t queue, n;

	for (queue = 0; queue < queues; queue++) {
		n = rte_eth_rx_burst(0, queue, burst, BURST);
		rte_pktmbuf_free_bulk(burst, n);
		frames[queue] += n;
		all += n;
	}
	return all;
}

/* Enables the interrupts, looks once more since frames may have come before that, and sleeps. */
static uint64_t
nap(uint16_t queues)
{
	struct rte_epoll_event events[MAX_QUEUES];
	uint64_t got;
	uint16_t queue;
	int i, n = 0;

	for (queue = 0; queue < queues; queue++)
		check("enable", rte_eth_dev_rx_intr_enable(0, queue));
	got = receive(queues);
	if (got == 0) {
		n = rte_epoll_wait(RTE_EPOLL_PER_THREAD, events, queues, TIMEOUT_MS);
		if (n == 0)
			rte_exit(EXIT_FAILURE, "nothing woke it\n");
	}
	for (i = 0; i < n; i++)
		wakes[(uintptr_t)events[i].epdata.data]++;
	for (queue = 0; queue < queues; queue++)
		check("disable", rte_eth_dev_rx_intr_disable(0, queue));
	return got;
}

int
main(int argc, char **argv)
{
	int used = rte_eal_init(argc, argv);
	uint64_t all = 0, wanted;
	uint16_t queues, queue;

	check("EAL", used);
	if (argc - used != 3)
		rte_exit(EXIT_FAILURE, "usage: rx_interrupt EAL-OPTIONS -- QUEUES FRAMES\n");
	queues = (uint16_t)atoi(argv[used + 1]);
	wanted = strtoull(argv[used + 2], NULL, 10);
	if (queues == 0 || queues > MAX_QUEUES)
		rte_exit(EXIT_FAILURE, "1 to %d queues\n", MAX_QUEUES);
	set_up(queues);
	printf("ready\n");
	fflush(stdout);
	while (all < wanted) {
		uint64_t got = receive(queues);

		all += got != 0 ? got : nap(queues);
	}
	for (queue = 0; queue < queues; queue++)
		printf("queue %u: %" PRIu64 " frames, %" PRIu64 " wakes\n", queue, frames[queue],
		       wakes[queue]);
	rte_eth_dev_stop(0);
	rte_eth_dev_close(0);
	rte_eal_cleanup();
	return 0;
}
