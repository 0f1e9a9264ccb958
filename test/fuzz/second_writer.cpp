/* SPDX-License-Identifier: BSD-3-Clause */
#include "second_writer.hpp"

#include <csignal>

#include <sys/mman.h>

#include "single_step.hpp"

namespace fuzz {

namespace {

second_writer *running;
struct sigaction other_handler;

} // namespace

struct writer_signals {
	static void on_fault(int signal, siginfo_t *info, void *context)
	{
		if (running == nullptr || !running->watches(info->si_addr)) {
			::sigaction(signal, &other_handler, nullptr);
			return;
		}
		running->protect(false);
		test::single_step(context, true);
	}
	static void on_step(int, siginfo_t *, void *context)
	{
		test::single_step(context, false);
		if (running != nullptr)
			running->accessed();
	}
	/** Behind libFuzzer, which takes these signals for findings. */
	static void install()
	{
		static bool installed;
		struct sigaction action {};

		if (std::exchange(installed, true))
			return;
		action.sa_flags = SA_SIGINFO;
		action.sa_sigaction = on_fault;
		::sigaction(SIGSEGV, &action, &other_handler);
		action.sa_sigaction = on_step;
		::sigaction(SIGTRAP, &action, nullptr);
	}
};

second_writer::second_writer(input &in, std::vector<uint8_t *> pages) : pages_(std::move(pages))
{
	const size_t count = test::can_step ? in.u8() % (most_stores + 1) : 0;

	for (size_t i = 0; i < count; i++)
		stores_.push_back({in.u8(), in.u8(), in.u16(), in.u64()});
	if (stores_.empty() || pages_.empty())
		return;
	writer_signals::install();
	running = this;
	protect(true);
}

second_writer::~second_writer()
{
	if (running == this)
		protect(false);
	running = nullptr;
}

void
second_writer::protect(bool yes)
{
	for (uint8_t *page : pages_)
		::mprotect(page, page_size, yes ? PROT_NONE : PROT_READ | PROT_WRITE);
}

bool
second_writer::watches(const void *address) const
{
	return std::ranges::any_of(pages_, [=](const uint8_t *page) {
		return address >= page && address < page + page_size;
	});
}

void
second_writer::accessed()
{
	constexpr uint8_t longest_wait = 32;

	while (next_ < stores_.size() && seen_ >= stores_[next_].after % longest_wait) {
		const late_store &now = stores_[next_++];
		uint8_t *page = pages_[now.page % pages_.size()];

		std::memcpy(page + now.at % (page_size / sizeof(now.value)) * sizeof(now.value),
			    &now.value, sizeof(now.value));
		seen_ = 0;
	}
	seen_++;
	if (next_ < stores_.size())
		protect(true);
}

} // namespace fuzz
