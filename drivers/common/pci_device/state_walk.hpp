/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <concepts>
#include <cstring>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <bytes.hpp>

namespace pci_device {

class state_walk;

/** An owner of state that is more than plain members. */
template <class T>
concept state_owner = requires(T &owner, state_walk &walk)
{
	owner.each_state(walk);
};

/** A list of any length. */
template <class T>
concept state_list = requires(T &list)
{
	list.clear();
	list.emplace_back();
};

/**
 * A walk over the state of a device, to save it or to load it: what a migration or a restart has to
 * carry. Each owner has a function that names its members once, for both:
 *
 *     void each_state(state_walk &walk) { walk(first_, second_); }
 *
 * Members lie in the bytes as they lie in memory, so both ends must be of one build. Bytes to be
 * loaded may be anything: owners say what they expect of their members, and leave nothing behind
 * that could not be; at the end good() tells whether all was as expected.
 */
class state_walk {
public:
	/** Saves. */
	state_walk() = default;
	/** Loads what is valid as long as this. */
	explicit state_walk(guard::bytes from) : saves_(false), left_(from) {}

	template <class... member> void operator()(member &...members) { (visit(members), ...); }
	/** Bytes of a length that both ends know. */
	void raw(guard::mutable_bytes bytes)
	{
		if (saves_) {
			saved_.put_bytes(bytes);
			return;
		}
		const guard::result<guard::bytes> from = left_.take(bytes.size());
		if (expect(static_cast<bool>(from)))
			std::ranges::copy(*from, bytes.begin());
	}

	/** @return Whether it holds; if not, what was loaded is not good. */
	bool expect(bool holds)
	{
		good_ = good_ && holds;
		return holds;
	}

	/** What was saved. */
	std::vector<std::byte> take() { return std::move(saved_).take(); }
	/** Whether all was loaded as expected, and nothing is left. */
	bool good() const { return good_ && left_.left() == 0; }

private:
	template <class T> void visit(T &member)
	{
		if constexpr (state_owner<T>)
			member.each_state(*this);
		else if constexpr (state_list<T>)
			visit_list(member);
		else if constexpr (std::same_as<T, bool>)
			visit_bool(member);
		else
			visit_plain(member);
	}
	template <class T>
	requires std::is_trivially_copyable_v<T> &&
		(!std::is_pointer_v<T>)void visit_plain(T &member)
	{
		raw(std::as_writable_bytes(std::span<T, 1>(&member, 1)));
	}
	/** Other bytes than 0 and 1 are no bool. */
	void visit_bool(bool &member)
	{
		auto byte = static_cast<uint8_t>(member);

		visit(byte);
		member = byte != 0;
	}
	/** An element takes a byte at least, so a wrong length ends with the bytes. */
	template <class T> void visit_list(T &list)
	{
		auto length = static_cast<uint32_t>(list.size());

		visit(length);
		if (!saves_)
			list.clear();
		for (uint32_t i = 0; i < length && good_; i++) {
			if (!saves_)
				list.emplace_back();
			visit(list[i]);
		}
	}

	bool saves_ = true;
	bool good_ = true;
	guard::writer saved_;
	guard::reader left_{{}};
};

} // namespace pci_device
