/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <vector>

#include "ethdev_port.hpp"

namespace bench {

/** Where the VLAN tag of a frame is at this end. */
enum class tag_place : uint8_t {
	none,
	frame, /**< in the frame */
	mbuf,  /**< in the mbuf: the port inserts and strips it */
};

/** What an end uses of its port beyond one plain queue pair, and what its frames are like. */
struct feature_options {
	bool any = false;
	bool every_port = false; /**< each port of the process, not the first one alone */
	uint16_t flows = 1;      /**< source ports of UDP of the frames that it sends */
	uint16_t to = 1;         /**< destination addresses of these */
	uint16_t addresses = 0;  /**< to which it listens; 0: promiscuous */
	uint16_t rules = 0;      /**< of rte_flow, one for each flow */
	tag_place tag = tag_place::none;
	bool make_checksums = false; /**< the port makes those of the frames that it sends */
	uint16_t segments = 1;       /**< frames of a request of TSO; 1: there are none */
	bool merged = false;         /**< receives what was not cut as it is (LRO) */
	bool undone = false;         /**< switches rules and address filter off again */
};

/** Where a frame has what the benchmark writes. */
struct frame_layout {
	uint32_t shift = 0;    /**< from where the frame would begin without its tag */
	uint32_t sequence = 0; /**< from there; the seal follows, then the body */
	bool is_sealed_only = false;

	static frame_layout of(const feature_options &features);
};

/** Checks frames that come on several queues: in order on each. Otherwise like checker. */
class queue_checker {
public:
	queue_checker(const plan &p, const frame_layout &layout, size_t queues)
	    : plan_(p), layout_(layout), mask_(checker::sampling(p.frame) - 1), last_(queues)
	{
	}

	void select(size_t queue) { queue_ = queue; }
	/** Whether the next frame is checked whole; of others the first bytes are enough. */
	bool wants_all() const { return ((received_ + 1) & mask_) == 0; }
	bool operator()(const std::byte *frame, uint32_t length)
	{
		uint64_t sequence;
		std::memcpy(&sequence, frame + layout_.sequence, sizeof(sequence));
		if (!plan_.owns(sequence)) {
			late_++;
			return false;
		}
		if (sequence < last_[queue_])
			disordered_++;
		last_[queue_] = sequence + 1;
		if ((++received_ & mask_) == 0 || length != plan_.frame)
			check(frame, length);
		return true;
	}

	uint64_t received() const { return received_; }
	uint64_t checked() const { return checked_; }
	uint64_t damaged() const { return damaged_; }
	uint64_t disordered() const { return disordered_; }
	uint64_t late() const { return late_; }

private:
	[[gnu::noinline]] void check(const std::byte *frame, uint32_t length);

	plan plan_;
	frame_layout layout_;
	uint64_t mask_;
	std::vector<uint64_t> last_; /**< The next sequence number of each queue, at least. */
	size_t queue_ = 0;
	uint64_t received_ = 0, checked_ = 0, damaged_ = 0, disordered_ = 0, late_ = 0;
};

/** All queues of one or all ports, one after the other, with features in use. */
class featured_port {
public:
	int open(uint16_t first, const port_options &options, const feature_options &features);
	void close();
	bool wait_for_link(double seconds) const;
	void prepare(uint32_t frame);

	/** The size of frames to receive. */
	void expect(uint32_t frame) { frame_ = frame; }
	queue_checker make_checker(const plan &p) const { return {p, layout_, lanes_.size()}; }
	uint16_t send(uint64_t sequence, uint16_t count);
	/** Sends what is pending: a part of a request may be sent already. */
	uint16_t finish();
	template <class F> uint16_t receive(F &&each);
	/** Receives on each queue once, and drops what is there. @return How many that was. */
	uint64_t poll(poll_cost &cost);

private:
	struct lane {
		uint16_t port, queue;
	};

	int open_ports(uint16_t first, port_options options);
	int set_addresses(uint16_t port) const;
	int set_rules(uint16_t port, uint16_t queues) const;
	int undo(uint16_t port) const;
	/** A copy of all segments. */
	const std::byte *whole_of(const rte_mbuf &frame);
	void fill(rte_mbuf *m, uint32_t index) const;
	void fill_request(std::byte *frame, uint32_t index) const;
	bool refill(uint64_t sequence);
	void stamp(std::byte *frame, uint64_t sequence) const;
	uint64_t poll_all();
	uint64_t poll_each(poll_cost &cost);
	void drop_pending();
	const lane &next_lane()
	{
		turn_ = turn_ + 1 == lanes_.size() ? 0 : turn_ + 1;
		return lanes_[turn_];
	}
	uint32_t block() const { return frame_ - tcp_headers; }

	static constexpr uint32_t tcp_headers = 54;

	std::vector<ethdev_port> ports_;
	std::vector<lane> lanes_;
	size_t turn_ = 0;
	bool receiving_ = false;
	feature_options features_;
	frame_kind kind_ = frame_kind::ether;
	frame_layout layout_;
	port_pools pools_;
	uint32_t frame_ = minimum_frame;
	uint64_t flags_ = 0, lengths_ = 0; /**< of mbufs to send: ol_flags and tx_offload */
	uint16_t next_ = 0, last_ = 0;
	rte_mbuf *pending_[burst] = {};
	std::vector<std::byte> whole_;
};

template <class F>
inline uint16_t
featured_port::receive(F &&each)
{
	rte_mbuf *mbufs[burst];
	const lane &from = next_lane();
	const uint16_t count = rte_eth_rx_burst(from.port, from.queue, mbufs, burst);
	uint16_t frames = 0;
	if (count == 0)
		return 0;
	for (uint16_t i = 0; i < count; i++)
		rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void *));
	each.select(turn_);
	for (uint16_t i = 0; i < count; i++) {
		const std::byte *frame = data_of(mbufs[i]) + layout_.shift;
		const uint32_t length = mbufs[i]->pkt_len - layout_.shift;
		if (unlikely(mbufs[i]->nb_segs > 1 && each.wants_all()))
			frame = whole_of(*mbufs[i]) + layout_.shift;
		if (likely(!features_.merged || length <= frame_)) {
			each(frame, length);
			frames++;
			continue;
		}
		/* Headers are those of the first; the others have the end of the one before. */
		for (uint32_t at = 0; at + tcp_headers < length; at += block(), frames++)
			each(frame + at, std::min(length - at, frame_));
	}
	rte_pktmbuf_free_bulk(mbufs, count);
	return frames;
}

} // namespace bench
