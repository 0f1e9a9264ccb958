/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <array>
#include <vector>

#include "result.hpp"
#include "rte_vfio_user.h"

namespace vfio_user {

/**
 * The description of a device as this library knows it, whatever version its application was
 * compiled with: structures that are shorter than ours have zeroes in the members that they lack,
 * and those that are longer must not use what we do not know.
 */
class conf_copy {
public:
	static constexpr uint32_t max_regions = 16, max_areas = 8, max_io_fds = 16,
				  max_irq_types = 8;

	conf_copy() = default;
	conf_copy(const conf_copy &) = delete;
	conf_copy &operator=(const conf_copy &) = delete;

	/** EINVAL: not initialised, too many of something, or of a later version; the log names
	 * it. Called once. */
	guard::status read(const rte_vfio_user_server_conf &from);

	/** As long as this lasts. */
	const rte_vfio_user_server_conf &conf() const { return conf_; }

private:
	guard::status read_region(size_t index);

	rte_vfio_user_server_conf conf_{};
	rte_vfio_user_server_ops ops_{};
	rte_vfio_user_socket_rights rights_{};
	std::vector<rte_vfio_user_region> regions_;
	std::vector<rte_vfio_user_irq> irqs_;
	std::array<std::vector<rte_vfio_user_area>, max_regions> areas_;
	std::array<std::vector<rte_vfio_user_io_fd>, max_regions> io_fds_;
};

} // namespace vfio_user
