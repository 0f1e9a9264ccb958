/* SPDX-License-Identifier: BSD-3-Clause */
#include "loop/turn.hpp"

#include <algorithm>

#include "loop/control_thread.hpp"

namespace vfio_user {

/* One step may take longer than a share, and is not broken off: the turns that follow pay for it.
 */
turn_share::use::use(turn_share &of) : of_(of), outermost_(!of.in_use_)
{
	if (!outermost_)
		return;
	if (uint64_t now = control::running()->turn(); now != of.turn_) {
		of.turn_ = now;
		of.spent_ = std::max<clock::duration>(of.spent_ - size, clock::duration{0});
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
