/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once

#include <cstdio>
#include <initializer_list>
#include <span>

/**
 * Autotests in DPDK's manner: a command per suite, run at the prompt of dpdk-test or given on its
 * command line. A suite is a table of cases; all run, failures are counted.
 */
namespace test {

/** Result of a case. */
enum outcome { success = 0, failed = -1, skipped = 77 };

/** One case: what it shows, and the function that shows it. */
struct test_case {
	const char *name;
	outcome (*run)();
};

/** A registered command. */
struct autotest {
	const char *name;
	outcome (*run)();
	autotest *next;
};

/** Adds a command to those of dpdk-test; from a constructor. */
void add(autotest *c);

/** Cases of one file, where a suite has several. */
using case_table = std::span<const test_case>;

/** Runs all cases of all tables, prints a line for each, and sums up. */
outcome run_cases(const char *suite, std::initializer_list<case_table> tables);

template <size_t n>
outcome
run_cases(const char *suite, const test_case (&cases)[n])
{
	return run_cases(suite, {case_table(cases)});
}

} // namespace test

/** Registers function @p fn as command @p cmd. */
#define REGISTER_TEST(cmd, fn)                                                                     \
	static test::autotest test_command_##cmd = {#cmd, fn, nullptr};                            \
	__attribute__((constructor)) static void test_register_##cmd()                             \
	{                                                                                          \
		test::add(&test_command_##cmd);                                                    \
	}

/** Fails the case unless @p condition holds; says where and shows the message. */
#define CHECK(condition, ...)                                                                      \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			std::printf("%s:%d: %s does not hold. ", __FILE__, __LINE__, #condition);  \
			__VA_OPT__(std::printf(__VA_ARGS__);)                                      \
			std::printf("\n");                                                         \
			return test::failed;                                                       \
		}                                                                                  \
	} while (0)

/** Fails the case unless two integers are equal; shows both. */
#define CHECK_EQ(actual, expected)                                                                 \
	do {                                                                                       \
		auto actual_ = static_cast<long long>(actual);                                     \
		auto expected_ = static_cast<long long>(expected);                                 \
		if (actual_ != expected_) {                                                        \
			std::printf("%s:%d: %s is %lld (0x%llx), expected %lld (0x%llx)\n",        \
				    __FILE__, __LINE__, #actual, actual_, actual_, expected_,      \
				    expected_);                                                    \
			return test::failed;                                                       \
		}                                                                                  \
	} while (0)
