/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <atomic>
#include <cerrno>
#include <cstdint>

#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include "roles.hpp"

namespace bench {

struct port_options {
	uint32_t max_frame = 1518; /**< each frame to send fits in one mbuf */
	uint16_t room = 0;         /**< bytes of a mbuf to receive to; 0: it takes each frame */
	uint16_t descriptors = 1024;
	uint16_t free_thresh =
		0;             /**< descriptors that the sender keeps free, if not the port's own */
	uint32_t mbufs = 4095; /**< in each of the two pools */
	bool fast_free = false; /**< Tx offload; only if it frees at once or never echoes */
	frame_kind kind = frame_kind::ether;
	uint16_t queues = 1;    /**< pairs */
	bool rss = false;       /**< receives by the hash of UDP, which mbufs have */
	bool addressed = false; /**< not promiscuous */
	bool merged = false;    /**< LRO, where the port knows of it */
	uint64_t rx_offloads = 0, tx_offloads = 0;
};

/** Mbufs to receive to, and frames to send. */
struct port_pools {
	/** Either is nullptr if there is not enough memory. */
	static port_pools make(const port_options &options);

	rte_mempool *from_wire = nullptr, *to_wire = nullptr;
};

/** Says what went wrong; returns the error. */
int complain(const char *what, int error);

/** One ethdev port, of which send(), receive() and echo() use the first queue pair; used by one
 * lcore. */
class ethdev_port {
public:
	/** Returns 0 or a negative errno; says what went wrong. */
	int open(uint16_t id, const port_options &options);
	int open(uint16_t id, const port_options &options, port_pools pools);
	void close();
	uint16_t id() const { return id_; }

	/** Waits for the link; false if it did not come up. */
	bool wait_for_link(double seconds) const;

	/** Fills all frames to send; none may be in flight. */
	void prepare(uint32_t frame);
	void expect(uint32_t) {}

	static checker make_checker(const plan &p) { return checker(p); }
	uint16_t send(uint64_t sequence, uint16_t count);
	template <class F> uint16_t receive(F &&each);
	uint16_t echo(const stop_signal &stop);

private:
	int configure(const port_options &options);
	int set_up_queues(const port_options &options);
	bool refill(uint64_t sequence);
	void drop_pending();

	uint16_t id_ = 0, next_ = 0, last_ = 0;
	uint32_t frame_ = minimum_frame;
	frame_kind kind_ = frame_kind::ether;
	port_pools pools_;
	rte_mbuf *pending_[burst] = {}; /**< stamped, not sent yet: next_ to last_ */
};

inline std::byte *
data_of(rte_mbuf *m)
{
	return rte_pktmbuf_mtod(m, std::byte *);
}

/** Sends the next frames, whose sequence numbers must continue those of the last call. */
inline uint16_t
ethdev_port::send(uint64_t sequence, uint16_t count)
{
	if (next_ == last_ && !refill(sequence))
		return 0;
	uint16_t wanted = std::min<uint16_t>(count, last_ - next_);
	uint16_t sent = rte_eth_tx_burst(id_, 0, &pending_[next_], wanted);
	next_ += sent;
	return sent;
}

inline bool
ethdev_port::refill(uint64_t sequence)
{
	if (rte_pktmbuf_alloc_bulk(pools_.to_wire, pending_, burst) != 0)
		return false;
	for (uint16_t i = 0; i < burst; i++) {
		pending_[i]->data_len = static_cast<uint16_t>(frame_);
		pending_[i]->pkt_len = frame_;
		stamp_frame(data_of(pending_[i]), sequence + i, kind_);
	}
	next_ = 0;
	last_ = burst;
	return true;
}

template <class F>
inline uint16_t
ethdev_port::receive(F &&each)
{
	rte_mbuf *mbufs[burst];
	uint16_t count = rte_eth_rx_burst(id_, 0, mbufs, burst);
	if (count == 0)
		return 0;
	for (uint16_t i = 0; i < count; i++)
		rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void *));
	for (uint16_t i = 0; i < count; i++)
		each(data_of(mbufs[i]), mbufs[i]->data_len);
	rte_pktmbuf_free_bulk(mbufs, count);
	return count;
}

/** The other side never waits with a full ring of its own, so trying again ends. */
inline uint16_t
ethdev_port::echo(const stop_signal &stop)
{
	rte_mbuf *mbufs[burst];
	uint16_t count = rte_eth_rx_burst(id_, 0, mbufs, burst), sent = 0;
	while (sent < count && !stop.raised())
		sent += rte_eth_tx_burst(id_, 0, mbufs + sent, count - sent);
	if (sent < count)
		rte_pktmbuf_free_bulk(mbufs + sent, count - sent);
	return sent;
}

} // namespace bench
