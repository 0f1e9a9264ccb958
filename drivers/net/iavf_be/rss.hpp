/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include <rte_emudev_net.h>

#include "packet_places.hpp"
#include "rx_format.hpp"
#include "toeplitz.hpp"

namespace iavf_be {

/** Chooses queues as the guest's driver has set it up. */
class rss {
public:
	/** @p served: indices of the queues that there are, at least one. */
	rss(const rte_emudev_net_rss &how, const std::vector<uint16_t> &served);

	/** @return The index of a queue; and labels a frame that is hashed. */
	uint16_t choose(const packet_places &places, frame_label &label) const;

private:
	/** By type; the last one is what is not IP. */
	std::array<uint16_t, RTE_EMUDEV_NET_RSS_TYPES + 1> fields_{};
	bool xor_;
	uint32_t mask_;
	std::array<uint16_t, RTE_EMUDEV_NET_RSS_MAX_LUT> lut_;
	toeplitz key_;
};

} // namespace iavf_be
