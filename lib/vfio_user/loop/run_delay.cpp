/* SPDX-License-Identifier: BSD-3-Clause */
#include "loop/run_delay.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <fcntl.h>
#include <string_view>
#include <unistd.h>
#include <utility>

namespace vfio_user {

void
run_delay::open()
{
	file_ = guard::unique_fd(::open("/proc/thread-self/schedstat", O_RDONLY | O_CLOEXEC));
	taken_ = total();
}

std::chrono::nanoseconds
run_delay::take()
{
	const std::chrono::nanoseconds now = std::max(total(), taken_);

	return now - std::exchange(taken_, now);
}

std::chrono::nanoseconds
run_delay::total() const
{
	std::array<char, 64> text;
	const ssize_t size = file_ ? ::pread(file_.get(), text.data(), text.size(), 0) : 0;
	const std::string_view numbers(text.data(), size > 0 ? static_cast<size_t>(size) : 0);
	const size_t second = numbers.find(' ') + 1; /* 0 if there is none */
	int64_t delay = 0;

	std::from_chars(numbers.data() + second, numbers.data() + numbers.size(), delay);
	return std::chrono::nanoseconds(second != 0 ? delay : 0);
}

} // namespace vfio_user
