/* SPDX-License-Identifier: BSD-3-Clause */
#include "loop/turn.hpp"

#include <algorithm>
#include <utility>

#include "loop/control_thread.hpp"

namespace vfio_user {

/* One step may take longer than a share, and is not broken off: the turns that follow pay for it,
 * and the time for which nobody else wants the thread. Where that is all that there is, as in a
 * process with one device, few turns go by: a step in which the thread had lost its core for a
 * second would be paid for long. */
turn_share::use::use(turn_share &of) : of_(of), outermost_(!of.in_use_)
{
	if (!outermost_)
		return;
	if (uint64_t now = control::running()->turn(); now != of.turn_) {
		const clock::duration idle = control::running()->idle();
		const clock::duration paid = size + (idle - std::exchange(of.idle_, idle));
		of.turn_ = now;
		of.spent_ = std::max<clock::duration>(of.spent_ - paid, clock::duration{0});
	}
	of.begin_ = clock::now();
	of.in_use_ = true;
}

turn_share::use::~use()
{
	if (!outermost_)
		return;
	of_.spent_ += clock::now() - of_.begin_;
	of_.in_use_ = false;
}

} // namespace vfio_user
