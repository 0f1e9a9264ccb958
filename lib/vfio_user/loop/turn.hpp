/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <chrono>
#include <cstdint>

/**
 * Turns of the control thread, which serves all peers: in each, a peer gets its share and then the
 * others theirs. What a peer has left over by then goes on in the next turn.
 */
namespace vfio_user {

/** What one peer has of a turn. For the control thread. */
class turn_share {
public:
	using clock = std::chrono::steady_clock;
	/** As much as a turn gives to a peer, all that is done for it included. */
	static constexpr std::chrono::microseconds size{1000};

	/** For as long as something is done for the peer, the clock runs on its account. */
	class use {
	public:
		explicit use(turn_share &of);
		~use();
		use(const use &) = delete;
		use &operator=(const use &) = delete;

		/** Whether anything was left of the share when this began. */
		explicit operator bool() const { return of_.spent_ < size; }

	private:
		turn_share &of_;
		bool outermost_;
	};

	/** Whether the peer may go on; if not, what is left to do waits for the next turn. Outside
	 * of any use, as in a call of the application, all has to wait. */
	bool left() const { return in_use_ && spent_ + (clock::now() - begin_) < size; }

private:
	uint64_t turn_ = 0;
	clock::duration idle_{0};  /* of the control thread by then */
	clock::duration spent_{0}; /* of this turn, and debts of earlier ones */
	clock::time_point begin_{};
	bool in_use_ = false;
};

} // namespace vfio_user
