/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "virtchnl_server.hpp"

/* What the handlers of virtchnl operations read messages with, and answer with. */

namespace iavf {

/** The message's header; its length is checked before any handler runs. */
template <guard::wire T>
T
header(guard::bytes body)
{
	return guard::load<T>(body, 0).value();
}

/** Element @p index after a header of type @p Header. */
template <guard::wire Header, guard::wire T>
T
element(guard::bytes body, size_t index)
{
	return guard::load<T>(body, sizeof(Header) + index * sizeof(T)).value();
}

inline vc_reply
answer(vc_status status)
{
	return {status, {}, false};
}

inline vc_reply
no_answer()
{
	return {vc_status::success, {}, true};
}

} // namespace iavf
