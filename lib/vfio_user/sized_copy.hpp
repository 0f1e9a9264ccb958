/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <cstring>

#include "log.hpp"
#include "result.hpp"

namespace vfio_user {

/* Nothing is released, so the shortest that there is of each structure is today's. What is added
 * to one leaves this at the size that it has now. */
template <class T> constexpr size_t least = sizeof(T);

/**
 * Copies one structure of an application, where it has @p size bytes. EINVAL: it is shorter than
 * any version of it, or uses what this library does not know; the log names it. @p side is "server"
 * or "client".
 */
template <class T>
guard::status
copy_sized(const char *side, const char *name, T &to, const void *from, size_t size)
{
	if (from == nullptr || size < least<T>) {
		VFIO_USER_LOG(ERR,
			      "%s: %s of %zu bytes is not valid; use rte_vfio_user_%s_conf_init()",
			      side, name, from == nullptr ? 0 : size, side);
		return guard::failure{EINVAL};
	}
	const auto *bytes = static_cast<const uint8_t *>(from);
	size_t known = std::min(size, sizeof(T));
	std::memcpy(&to, bytes, known);
	if (std::any_of(bytes + known, bytes + size, [](uint8_t b) { return b != 0; })) {
		VFIO_USER_LOG(ERR, "%s: %s uses what this version does not have", side, name);
		return guard::failure{EINVAL};
	}
	return {};
}

} // namespace vfio_user
