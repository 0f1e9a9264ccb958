/* SPDX-License-Identifier: BSD-3-Clause */
#include "loop/turn.hpp"

#include <algorithm>
#include <utility>

#include "loop/control_thread.hpp"

namespace vfio_user {

/* One step may take longer than a share, and is not broken off: the turns that follow pay for it,
 * and the time for which nobody else wants the thread. */
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
	const clock::duration took = clock::now() - of_.begin_;

	of_.spent_ += took;
	of_.in_use_ = false;
	/* Nobody pays for a core that others have taken from the thread meanwhile: who asks for
	 * little would wait for turns of who asks for much. To find out costs more than most steps;
	 * so what is taken off may have been before this step, and is no more than it took. */
	if (of_.spent_ > size)
		of_.spent_ -= std::min<clock::duration>(took, control::running()->take_run_delay());
}

} // namespace vfio_user
