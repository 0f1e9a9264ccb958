/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "peer/arena.hpp"
#include "peer/foreign_fd.hpp"

/**
 * Memory of a client that stays mapped for somebody who still reads there.
 *
 * A client may take its memory back at any time, and is answered when nobody writes there any more;
 * but who has been handed a part of it to read may take as long as he likes. As long as a hold of
 * that time exists, nothing of what is let go of meanwhile leaves this process.
 */
namespace vfio_user {

/** Bytes of a client's files, for as long as they are mapped. */
using byte_count = std::shared_ptr<std::atomic<uint64_t>>;

/** A file that no region is in. Its destructor may take its time. */
struct idle_file {
	idle_file(byte_count sum, uint64_t bytes, std::shared_ptr<void> last)
	    : all(std::move(sum)), size(bytes), mapping(std::move(last))
	{
	}
	~idle_file()
	{
		mapping.reset();
		*all -= size;
	}
	idle_file(const idle_file &) = delete;
	idle_file &operator=(const idle_file &) = delete;

	const byte_count all;
	const uint64_t size;
	std::shared_ptr<void> mapping;
};

/** Made and filled by the control thread; any thread may be the last that has one. */
class memory_hold {
public:
	/** @param in May be nullptr: there is no client. @param by What lets go in the end. */
	memory_hold(std::shared_ptr<arena> in, std::shared_ptr<closer> by)
	    : arena_(std::move(in)), closer_(std::move(by))
	{
	}
	~memory_hold()
	{
		for (auto &[file, weight] : files_)
			closer_->drop(std::move(file), weight);
		if (arena_)
			closer_->drop(std::move(arena_), 1);
	}
	memory_hold(const memory_hold &) = delete;
	memory_hold &operator=(const memory_hold &) = delete;

	void keep(std::shared_ptr<idle_file> file, size_t weight)
	{
		files_.emplace_back(std::move(file), weight);
	}

private:
	std::shared_ptr<arena> arena_;
	const std::shared_ptr<closer> closer_;
	std::vector<std::pair<std::shared_ptr<idle_file>, size_t>> files_;
};

} // namespace vfio_user
