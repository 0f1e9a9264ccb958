/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include <descriptors.hpp>

#include "memory.hpp"

namespace iavf_be {

/** The descriptors of one frame, copied once and trusted only after they have been checked. */
struct chain {
	/** Buffers of a frame (hardware takes 8) and of a TSO request (net_iavf allows 255).
	 */
	static constexpr uint16_t limit = 16, tso_limit = 256;

	std::array<iavf::tx_descriptor, tso_limit> data;
	iavf::tx_descriptor context;
	uint16_t count;    /**< Data descriptors. */
	uint16_t contexts; /**< Context descriptors before them, 0 or 1. */
	uint32_t length;   /**< Bytes of all buffers. */
	/** Type of the tag in the context descriptor: the guest's setting, not a frame's. */
	uint16_t outer_tag_type = 0x8100;

	void clear()
	{
		count = 0;
		contexts = 0;
		length = 0;
	}

	bool wants_tso() const { return contexts != 0 && iavf::txc::tso::is_set(context.qword1); }
	bool full() const { return count == (wants_tso() ? tso_limit : limit); }
	uint16_t descriptors() const { return contexts + count; }

	void append(const iavf::tx_descriptor &from)
	{
		data[count++] = from;
		length += static_cast<uint32_t>(iavf::txd::length::get(from.qword1));
	}

	bool has_empty_buffer() const
	{
		return std::any_of(data.begin(), data.begin() + count, [](const auto &one) {
			return iavf::txd::length::get(one.qword1) == 0;
		});
	}
};

/** A place in the buffers of a chain, from which the bytes of the frame are read in order. */
class cursor {
public:
	/** Copies the next bytes, and sums them up if there is a @p sum; false if the guest's
	 * memory is not there. */
	bool read(const chain &frame, guest_memory &memory, void *to, uint32_t length,
		  summing_copy *sum = nullptr)
	{
		auto *out = static_cast<uint8_t *>(to);
		while (length != 0 && index_ < frame.count) {
			const auto &from = frame.data[index_];
			const uint32_t size =
				static_cast<uint32_t>(iavf::txd::length::get(from.qword1)) -
				offset_;
			const uint32_t piece = std::min(length, size);
			if (!memory.read(from.qword0 + offset_, out, piece, sum))
				return false;
			out += piece;
			length -= piece;
			offset_ += piece;
			if (piece == size) {
				index_++;
				offset_ = 0;
			}
		}
		return length == 0;
	}

	/** The rest of the buffer at the cursor. */
	struct part {
		uint64_t iova;
		uint16_t length;
		uint16_t index; /**< Of its descriptor. */
	};
	/** Moves on to the next buffer; an empty part: there is none. */
	part take(const chain &frame)
	{
		if (index_ >= frame.count)
			return {};
		const auto &from = frame.data[index_];
		const auto length =
			static_cast<uint16_t>(iavf::txd::length::get(from.qword1) - offset_);
		const part out{from.qword0 + offset_, length, index_};
		index_++;
		offset_ = 0;
		return out;
	}
	/** What take() would return. */
	part look(const chain &frame) const
	{
		cursor copy = *this;
		return copy.take(frame);
	}
	/** Moves past some bytes; false if there are not so many. */
	bool skip(const chain &frame, uint32_t length)
	{
		while (length != 0) {
			const uint16_t there = look(frame).length;
			if (there == 0)
				return false;
			if (there > length) {
				offset_ += length;
				return true;
			}
			take(frame);
			length -= there;
		}
		return true;
	}

private:
	uint16_t index_ = 0;
	uint32_t offset_ = 0;
};

} // namespace iavf_be
