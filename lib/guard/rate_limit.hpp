/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <utility>

namespace guard {

/**
 * Limits what a peer can make us do without bound, such as log lines: a few at once, then one each
 * second. One object per peer and for all of its lines, or a peer with many kinds of lines has many
 * limits. One thread.
 */
class rate_limit {
public:
	using clock = std::chrono::steady_clock;

	/** @param burst How many pass at once after a silence. */
	explicit constexpr rate_limit(uint32_t burst = 10) : burst_(burst), left_(burst) {}

	/** Whether one more passes now. */
	bool passes(clock::time_point now = clock::now())
	{
		auto fresh = std::chrono::floor<std::chrono::seconds>(now - since_);
		if (fresh.count() > 0) {
			since_ += fresh;
			left_ = static_cast<uint32_t>(
				std::min<int64_t>(burst_, left_ + int64_t{fresh.count()}));
		}
		if (left_ == 0) {
			held_back_++;
			return false;
		}
		left_--;
		return true;
	}

	/** How many were held back since the last call. */
	uint64_t take_held_back() { return std::exchange(held_back_, 0); }

private:
	uint32_t burst_, left_;
	clock::time_point since_{};
	uint64_t held_back_ = 0;
};

} // namespace guard

/**
 * Logs a line that a peer can cause, if its limit lets it through, and before it how many were held
 * back.
 *
 * @param enabled Whether lines of this level are logged at all: others use nothing up.
 * @param log A macro that logs: (level, format, arguments...).
 */
#define GUARD_LOG_LIMITED(limit, enabled, log, level, ...)                                         \
	do {                                                                                       \
		if (!(enabled) || !(limit).passes())                                               \
			break;                                                                     \
		if (uint64_t held_back_ = (limit).take_held_back(); held_back_ != 0)               \
			log(level, "%lu messages like the next one were left out", held_back_);    \
		log(level, __VA_ARGS__);                                                           \
	} while (0)
