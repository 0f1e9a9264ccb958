/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <string>

#include "bytes.hpp"
#include "result.hpp"

/** Version negotiation [spec: VFIO_USER_VERSION]: the JSON part. */
namespace vfio_user {

/** Everything that either side may say in "capabilities"; absent values are the spec's defaults. */
struct capabilities {
	/* What the JSON names. */
	struct present {
		bool max_msg_fds : 1, max_data_xfer_size : 1, max_dma_maps : 1, pgsizes : 1,
			twin_socket : 1, write_multiple : 1, mapped_bars : 1;
	} named{};
	uint64_t max_msg_fds = 1;
	uint64_t max_data_xfer_size = 1048576;
	uint64_t max_dma_maps = 65535;
	uint64_t pgsizes = 4096;
	bool twin_socket = false;
	int64_t twin_fd_index = -1;
	bool write_multiple = false;
	/** Ours, unknown to the specification: whole mapping of regions that are otherwise trapped.
	 */
	bool mapped_bars = false;
};

/**
 * Reads the version data of a message: nothing, or JSON with its terminating NUL.
 * EINVAL: not JSON, or a value of the wrong type. Unknown keys are ignored.
 */
guard::result<capabilities> parse_capabilities(guard::bytes data);

/** The version data for a message: compact JSON of what is named, with NUL; empty if nothing is.
 * ENOMEM: there is no memory for all of it. */
guard::result<std::string> format_capabilities(const capabilities &caps);

} // namespace vfio_user
