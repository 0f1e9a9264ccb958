/* SPDX-License-Identifier: BSD-3-Clause */

/*
 * usage: vpp_calls EAL-OPTIONS -- MODE FRAMES
 *
 * Asks of port 0 what VPP's DPDK plugin does, in its order, as far as that can be known from its
 * source: set-up, address, interrupts, counters, end. Sends back what it receives. MODE is how it
 * waits: "polling", "interrupt", or "adaptive", which polls while frames come and sleeps otherwise.
 *
 * Prints "ready", and in the end how many frames came, how often it woke, and how often it went
 * over to polling.
 */

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <rte_debug.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#define DESCRIPTORS 1024
#define VECTOR      256 /* frames of one visit */
#define BURST       32
#define IDLE        20000 /* visits without a frame after which to sleep again */
#define TIMEOUT_MS  20000

static uint64_t frames, wakes, to_polling;

static void
check(const char *what, int result)
{
	if (result < 0)
		rte_exit(EXIT_FAILURE, "%s: %d\n", what, result);
}

/* What is wanted of a port, less what it has not. */
static void
set_up(bool interrupts)
{
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf = {.intr_conf.rxq = interrupts,
				    .rxmode.mq_mode = RTE_ETH_MQ_RX_NONE};
	struct rte_mempool *pool = rte_pktmbuf_pool_create("pool", 16384, 0, 0, 2048 + 128, 0);

	if (pool == NULL)
		rte_exit(EXIT_FAILURE, "no pool\n");
	check("info", rte_eth_dev_info_get(0, &info));
	conf.rxmode.offloads = info.rx_offload_capa &
			       (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM |
				RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_SCATTER);
	conf.txmode.offloads = info.tx_offload_capa &
			       (RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
				RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_MULTI_SEGS |
				RTE_ETH_TX_OFFLOAD_TCP_TSO);
	check("configure", rte_eth_dev_configure(0, 1, 1, &conf));
	check("MTU", rte_eth_dev_set_mtu(0, (uint16_t)RTE_MIN(9000, info.max_mtu)));
	check("Tx queue", rte_eth_tx_queue_setup(0, 0, DESCRIPTORS,
						 (unsigned int)rte_eth_dev_socket_id(0), NULL));
	check("Rx queue",
	      rte_eth_rx_queue_setup(0, 0, DESCRIPTORS, (unsigned int)rte_eth_dev_socket_id(0),
				     NULL, pool));
}

/* Tries the interrupt, and has its descriptor in an epoll of its own, edge-triggered. */
static int
set_up_interrupt(int *event)
{
	struct epoll_event wanted = {.events = EPOLLIN | EPOLLET};
	int poll = epoll_create1(0);

	check("enable", rte_eth_dev_rx_intr_enable(0, 0));
	check("disable", rte_eth_dev_rx_intr_disable(0, 0));
	*event = rte_eth_dev_rx_intr_ctl_q_get_fd(0, 0);
	check("descriptor", *event);
	check("epoll", epoll_ctl(poll, EPOLL_CTL_ADD, *event, &wanted));
	return poll;
}

static void
bring_up(void)
{
	struct rte_ether_addr mac = {{2, 0, 0, 0, 0, 10}}, second = {{2, 0, 0, 0, 0, 11}};
	struct rte_eth_link link;

	check("address", rte_eth_dev_default_mac_addr_set(0, &mac));
	check("second address", rte_eth_dev_mac_addr_add(0, &second, 0));
	check("promiscuous", rte_eth_promiscuous_disable(0));
	check("multicast", rte_eth_allmulticast_enable(0));
	check("link", rte_eth_link_get_nowait(0, &link));
}

/* As often as there are whole bursts, up to a vector. */
static uint16_t
visit(void)
{
	struct rte_mbuf *vector[VECTOR];
	uint16_t n, all = 0, sent = 0, tries = 0;

	do {
		n = rte_eth_rx_burst(0, 0, vector + all, RTE_MIN(BURST, VECTOR - all));
		all += n;
	} while (n == BURST && all < VECTOR);
	while (sent < all && tries++ < 16)
		sent += rte_eth_tx_burst(0, 0, vector + sent, all - sent);
	rte_pktmbuf_free_bulk(vector + sent, all - sent);
	frames += all;
	return all;
}

/* An event: it is read, the interrupt is enabled again, and only then the queue visited, once. */
static uint16_t
sleep_and_visit(int poll, int event)
{
	struct epoll_event got;
	uint64_t count;

	if (epoll_wait(poll, &got, 1, TIMEOUT_MS) != 1)
		rte_exit(EXIT_FAILURE, "nothing woke it after %" PRIu64 " frames\n", frames);
	wakes += read(event, &count, sizeof(count)) == sizeof(count);
	check("enable", rte_eth_dev_rx_intr_enable(0, 0));
	return visit();
}

static void
poll_until_idle(uint64_t wanted)
{
	uint32_t idle = 0;

	to_polling++;
	check("disable", rte_eth_dev_rx_intr_disable(0, 0));
	while (idle < IDLE && frames < wanted)
		idle = visit() != 0 ? 0 : idle + 1;
	check("enable", rte_eth_dev_rx_intr_enable(0, 0));
}

static void
count(void)
{
	struct rte_eth_xstat_name names[512];
	struct rte_eth_xstat values[512];
	struct rte_eth_stats stats;
	int known = rte_eth_xstats_get_names(0, names, 512);

	check("names", known);
	if (known > 512 || rte_eth_xstats_get(0, values, 512) != known)
		rte_exit(EXIT_FAILURE, "%d names of counters, not as many values\n", known);
	check("counters", rte_eth_stats_get(0, &stats));
	printf("received %" PRIu64 ", counted %" PRIu64 ", wakes %" PRIu64 ", to polling %" PRIu64
	       "\n",
	       frames, stats.ipackets, wakes, to_polling);
}

int
main(int argc, char **argv)
{
	int used = rte_eal_init(argc, argv), poll = -1, event = -1;
	const char *mode;
	uint64_t wanted;
	bool interrupts;

	check("EAL", used);
	if (argc - used != 3)
		rte_exit(EXIT_FAILURE, "usage: vpp_calls EAL-OPTIONS -- MODE FRAMES\n");
	mode = argv[used + 1];
	wanted = strtoull(argv[used + 2], NULL, 10);
	interrupts = strcmp(mode, "polling") != 0;
	set_up(interrupts);
	check("start", rte_eth_dev_start(0));
	if (interrupts)
		poll = set_up_interrupt(&event);
	bring_up();
	if (interrupts)
		check("enable", rte_eth_dev_rx_intr_enable(0, 0));
	printf("ready\n");
	fflush(stdout);
	while (frames < wanted) {
		uint16_t got = interrupts ? sleep_and_visit(poll, event) : visit();

		if (strcmp(mode, "adaptive") == 0 && got > 0)
			poll_until_idle(wanted);
	}
	count();
	check("multicast", rte_eth_allmulticast_disable(0));
	rte_eth_dev_stop(0);
	rte_eth_dev_close(0);
	rte_eal_cleanup();
	return 0;
}
