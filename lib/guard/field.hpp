/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <concepts>

namespace guard {

/** A bit field of a register or descriptor word of type T: @p width bits from bit @p shift. */
template <std::unsigned_integral T, unsigned shift, unsigned width> struct field {
	static_assert(width > 0 && shift + width <= sizeof(T) * 8);
	static constexpr T limit = static_cast<T>(static_cast<T>(~T{0}) >> (sizeof(T) * 8 - width));
	static constexpr T mask = static_cast<T>(limit << shift);

	/** The field's value in @p word. */
	static constexpr T get(T word) { return static_cast<T>((word & mask) >> shift); }
	/** A word with only this field set; bits of @p value above the field are cut. */
	static constexpr T of(T value) { return static_cast<T>((value & limit) << shift); }
	/** @p word with this field replaced. */
	static constexpr T set(T word, T value)
	{
		return static_cast<T>((word & ~mask) | of(value));
	}
	/** Whether any bit of the field is set. */
	static constexpr bool is_set(T word) { return (word & mask) != 0; }
};

template <std::unsigned_integral T, unsigned bit> using flag = field<T, bit, 1>;

} // namespace guard
