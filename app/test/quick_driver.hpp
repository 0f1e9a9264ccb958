/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdint>
#include <span>
#include <sys/mman.h>
#include <utility>

#include "single_step.hpp"

namespace test {

/**
 * A driver that polls a descriptor's first word, which is zero, and is as quick as can be: as soon
 * as there is something else, between two instructions of who stores it, it has zeroed it for the
 * next time. Whoever touches the page first is stepped from there on. One at a time; only
 * where can_step says so.
 */
class quick_driver {
public:
	/** @param at A multiple of 8 on a page that nobody else touches meanwhile. */
	explicit quick_driver(std::span<uint8_t> at) : at_(at)
	{
		struct sigaction action {};

		running() = this;
		action.sa_flags = SA_SIGINFO;
		action.sa_sigaction = on_fault;
		::sigaction(SIGSEGV, &action, &other_handler_);
		/* Stays: a thread that is stepped ends it at its next instruction. */
		action.sa_sigaction = on_step;
		::sigaction(SIGTRAP, &action, nullptr);
		protect(PROT_NONE);
	}
	~quick_driver()
	{
		protect(PROT_READ | PROT_WRITE);
		::sigaction(SIGSEGV, &other_handler_, nullptr);
		running() = nullptr;
	}
	quick_driver(const quick_driver &) = delete;
	quick_driver &operator=(const quick_driver &) = delete;

	/** How often it has found the word filled. */
	int taken() const { return taken_; }
	/** Whether no other byte was zero then. */
	bool was_whole() const { return was_whole_; }

private:
	static constexpr int most_steps = 20000; /* many times what a descriptor takes */

	static std::atomic<quick_driver *> &running()
	{
		static std::atomic<quick_driver *> one;

		return one;
	}
	static void on_fault(int signal, siginfo_t *, void *context)
	{
		quick_driver *self = running();

		/* Another fault than ours comes again. */
		if (self == nullptr || std::exchange(self->touched_, true)) {
			std::signal(signal, SIG_DFL);
			return;
		}
		self->protect(PROT_READ | PROT_WRITE);
		single_step(context, true);
	}
	static void on_step(int, siginfo_t *, void *context)
	{
		quick_driver *self = running();

		if (self != nullptr)
			self->look();
		single_step(context, self != nullptr && ++self->steps_ < most_steps);
	}
	void look()
	{
		constexpr auto zero = [](uint8_t byte) { return byte == 0; };
		const std::span<uint8_t> word = at_.first(sizeof(uint64_t));

		if (std::ranges::all_of(word, zero))
			return;
		taken_++;
		was_whole_ = was_whole_ && std::ranges::none_of(at_, zero);
		std::ranges::fill(word, uint8_t{0});
	}
	void protect(int access) const
	{
		auto *first = at_.data() - reinterpret_cast<uintptr_t>(at_.data()) % page;

		::mprotect(first, page, access);
	}

	static constexpr size_t page = 4096;

	const std::span<uint8_t> at_;
	struct sigaction other_handler_ {};
	bool touched_ = false;
	int steps_ = 0;
	std::atomic<int> taken_{0};
	std::atomic<bool> was_whole_{true};
};

} // namespace test
