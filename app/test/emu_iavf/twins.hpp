/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include "fake_driver.hpp"

/* Each operation of virtchnl with what a hostile driver makes of it. */

namespace test {

using message = std::vector<std::byte>;

/** A field of a good message, and values that it cannot have. */
struct lie {
	size_t at;
	size_t width; /**< In bytes. */
	std::vector<uint64_t> values;
	int status = static_cast<int>(iavf::vc_status::err_param);
};

/** Messages that have elements. */
struct list {
	size_t element = 0; /**< Bytes; 0: the message has none. */
	size_t count_at = 0;
	/** A good message of so many elements, that all differ. */
	message (*make)(uint16_t n) = nullptr;
	uint16_t most = UINT16_MAX; /**< One element more, and all are refused. */
	int beyond = static_cast<int>(iavf::vc_status::err_param);
};

/** When a driver may send it. */
enum class since : uint8_t { always, version, resources };

/** Who has a driver that knows all there is. */
constexpr uint32_t all_caps = UINT32_MAX;

/** An operation: a good message, and its twins. */
struct twin {
	uint32_t op;
	message good;
	std::vector<lie> lies = {};
	list elements = {};
	uint32_t after = 0;  /**< The operation whose good message comes before; 0: none. */
	bool changes = true; /**< What the driver has set up. */
	bool again = true;   /**< The same once more is answered alike, and changes nothing. */
	bool repeats = true; /**< It has no end, and a reply. */
	bool before_queues = true; /**< May be sent before any queue is configured. */
	since first = since::resources;
	uint32_t caps = all_caps; /**< Of a driver to which it is granted. */
};

/** Of the device in these tests. */
constexpr uint16_t twin_pairs = 4, twin_vectors = twin_pairs + 1, twin_most_pairs = 64;

/** Those of all operations that are served. */
const std::vector<twin> &twins();

} // namespace test
