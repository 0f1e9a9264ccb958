/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdint>

/** How much there is of what a virtual function has several of. */
namespace iavf {

/** Of a driver without VIRTCHNL_VF_LARGE_NUM_QPAIRS: older messages have a bit for each. */
constexpr uint16_t max_base_pairs = 16;
/** Of one that has it. The doorbells would do for more. */
constexpr uint16_t max_queue_pairs = 256;
/** The interval registers are for no more vectors; more queues than that share them. */
constexpr uint16_t max_vectors = 16 + 1;

/** One vector for the mailbox and one for each queue pair, as far as there are. */
constexpr uint16_t
vectors_for(uint16_t queue_pairs)
{
	return queue_pairs < max_vectors ? static_cast<uint16_t>(queue_pairs + 1) : max_vectors;
}

} // namespace iavf
