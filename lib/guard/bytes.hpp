/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>
#include <vector>

#include "result.hpp"

/**
 * Untrusted bytes in and out. Everything is copied: a caller never holds a typed pointer into
 * memory that somebody else can change, and the only casts are in this header.
 */
namespace guard {

using bytes = std::span<const std::byte>;
using mutable_bytes = std::span<std::byte>;

/** A structure that may stand on the wire or in shared memory: plain, fixed size, no padding. */
template <class T>
concept wire = std::is_trivially_copyable_v<T> &&
	(std::has_unique_object_representations_v<T> || std::is_empty_v<T>);

/** The next multiple of @p align, or the value if it is one. */
constexpr uint64_t
align_up(uint64_t value, uint64_t align)
{
	return (value + align - 1) / align * align;
}

/** Whether [addr, addr + len) lies inside [base, base + size), compared without any sum that wraps.
 */
constexpr bool
contains(uint64_t base, uint64_t size, uint64_t addr, uint64_t len)
{
	return addr >= base && addr - base <= size && len <= size - (addr - base);
}

/** The bytes of an object. */
template <wire T>
bytes
as_bytes(const T &object)
{
	return std::as_bytes(std::span<const T, 1>(&object, 1));
}

/** Reads structures from the front of a byte range; a read past the end fails with EINVAL. */
class reader {
public:
	explicit reader(bytes from) : rest_(from) {}

	template <wire T> result<T> read()
	{
		T out;
		if (rest_.size() < sizeof(T))
			return failure{EINVAL};
		std::memcpy(&out, rest_.data(), sizeof(T));
		rest_ = rest_.subspan(sizeof(T));
		return out;
	}

	/** The next @p count bytes, still in place. */
	result<bytes> take(size_t count)
	{
		if (rest_.size() < count)
			return failure{EINVAL};
		bytes out = rest_.first(count);
		rest_ = rest_.subspan(count);
		return out;
	}

	bytes rest() const { return rest_; }
	size_t left() const { return rest_.size(); }

private:
	bytes rest_;
};

/** Appends structures to a growing byte string. */
class writer {
public:
	template <wire T> writer &put(const T &object) { return put_bytes(as_bytes(object)); }
	/* Not inlined: g++ 12 then warns of overflows that cannot be. */
	[[gnu::noinline]] writer &put_bytes(bytes from)
	{
		out_.insert(out_.end(), from.begin(), from.end());
		return *this;
	}
	/** Zeroes that the caller overwrites, before anything else is put behind them. */
	mutable_bytes put_room(size_t size)
	{
		out_.resize(out_.size() + size);
		return mutable_bytes(out_).last(size);
	}
	bytes view() const { return out_; }
	size_t size() const { return out_.size(); }
	std::vector<std::byte> take() && { return std::move(out_); }

private:
	std::vector<std::byte> out_;
};

/** Stores a word at an aligned place, whole and after all earlier stores. */
template <class word>
void
store_whole(std::byte *to, const std::byte *from)
{
	word value;

	std::memcpy(&value, from, sizeof(value));
	std::atomic_ref(*static_cast<word *>(static_cast<void *>(to)))
		.store(value, std::memory_order_release);
}

/**
 * Copies into memory that somebody polls, who may take what looks done and write it anew at once,
 * as drivers do with descriptors. Each byte is stored once, which memcpy() does not promise;
 * aligned words of up to 8 bytes are stored whole, and the first word last.
 */
inline void
copy_to_polled(void *to, bytes from)
{
	constexpr uintptr_t widest = sizeof(uint64_t);
	auto *at = static_cast<std::byte *>(to);

	for (size_t left = from.size(), width; left > 0; left -= width) {
		/* As wide as its end is aligned. */
		const auto end = reinterpret_cast<uintptr_t>(at + left) | widest;
		width = std::min<size_t>(end & -end, std::bit_floor(left));
		std::byte *word = at + left - width;
		const std::byte *source = from.data() + left - width;
		if (width == sizeof(uint64_t))
			store_whole<uint64_t>(word, source);
		else if (width == sizeof(uint32_t))
			store_whole<uint32_t>(word, source);
		else if (width == sizeof(uint16_t))
			store_whole<uint16_t>(word, source);
		else
			store_whole<uint8_t>(word, source);
	}
}

/** Copies a structure out of shared memory at a checked place. */
template <wire T>
result<T>
load(bytes from, uint64_t offset)
{
	if (!contains(0, from.size(), offset, sizeof(T)))
		return failure{EINVAL};
	T out;
	std::memcpy(&out, from.data() + offset, sizeof(T));
	return out;
}

/** Copies a structure into shared memory at a checked place. */
template <wire T>
status
store(mutable_bytes to, uint64_t offset, const T &object)
{
	if (!contains(0, to.size(), offset, sizeof(T)))
		return failure{EINVAL};
	std::memcpy(to.data() + offset, &object, sizeof(T));
	return {};
}

} // namespace guard
