/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cerrno>
#include <optional>
#include <utility>

/**
 * Errors as values. C++20 has no std::expected with the compilers we support, and the project is
 * built without exceptions.
 */
namespace guard {

/** A failure: a positive errno value. */
struct failure {
	int code;
};

/** A value of type T, or the errno that explains its absence. */
template <class T> class [[nodiscard]] result {
public:
	result(T value) : value_(std::move(value)) {}
	result(failure f) : code_(f.code) {}

	explicit operator bool() const { return value_.has_value(); }
	T &value() & { return *value_; }
	const T &value() const & { return *value_; }
	T &&value() && { return std::move(*value_); }
	T &operator*() & { return *value_; }
	const T &operator*() const & { return *value_; }
	T &&operator*() && { return *std::move(value_); }
	T *operator->() { return &*value_; }
	const T *operator->() const { return &*value_; }
	failure error() const { return {code_}; }
	/** 0 or a negative errno, the form of the C interfaces. */
	int to_c() const { return -code_; }

private:
	std::optional<T> value_;
	int code_ = 0;
};

template <> class [[nodiscard]] result<void> {
public:
	result() = default;
	result(failure f) : code_(f.code) {}

	explicit operator bool() const { return code_ == 0; }
	void value() const {}
	failure error() const { return {code_}; }
	int to_c() const { return -code_; }

private:
	int code_ = 0;
};

using status = result<void>;

/** The failure that errno describes now. */
inline failure
last_error()
{
	return {errno};
}

} // namespace guard

/** The value of a result, or return its failure from the enclosing function. Does not nest. */
#define TRY(expr)                                                                                  \
	({                                                                                         \
		auto try_result_ = (expr);                                                         \
		if (!try_result_)                                                                  \
			return try_result_.error();                                                \
		std::move(try_result_).value();                                                    \
	})
