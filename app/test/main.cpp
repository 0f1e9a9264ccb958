/* SPDX-License-Identifier: BSD-3-Clause */
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <unistd.h>

#include <cmdline.h>
#include <cmdline_parse.h>
#include <cmdline_parse_string.h>
#include <cmdline_socket.h>
#include <rte_eal.h>

#include "test.hpp"

/* dpdk-test: "dpdk-test [EAL options] [-- ] [command ...]"; without a command it prompts. */

namespace test {

static autotest *autotests;

void
add(autotest *c)
{
	autotest **at = &autotests;
	while (*at != nullptr && std::strcmp((*at)->name, c->name) < 0)
		at = &(*at)->next;
	c->next = *at;
	*at = c;
}

static outcome
run_case(const test_case &c, unsigned int number)
{
	outcome o = c.run();
	std::printf(" + TestCase [%2u] : %s %s\n", number, c.name,
		    o == success   ? "succeeded"
		    : o == skipped ? "SKIPPED"
				   : "FAILED");
	std::fflush(stdout);
	return o;
}

outcome
run_cases(const char *suite, std::initializer_list<case_table> tables)
{
	unsigned int passed = 0, failures = 0, skips = 0;

	std::printf(" + Test suite: %s\n", suite);
	for (case_table table : tables) {
		for (const test_case &c : table) {
			outcome o = run_case(c, passed + failures + skips);
			(o == success ? passed : o == skipped ? skips : failures)++;
		}
	}
	std::printf(" + %s: %u passed, %u failed, %u skipped\n", suite, passed, failures, skips);
	return failures != 0 ? failed : passed == 0 ? skipped : success;
}

static outcome
run(const char *name)
{
	for (autotest *c = autotests; c != nullptr; c = c->next) {
		if (std::strcmp(c->name, name) != 0)
			continue;
		outcome o = c->run();
		std::printf("Test %s\n", o == success ? "OK" : o == skipped ? "Skipped" : "Failed");
		return o;
	}
	std::printf("No test '%s'. There are:\n", name);
	for (autotest *c = autotests; c != nullptr; c = c->next)
		std::printf("  %s\n", c->name);
	return failed;
}

/* --- the prompt --- */

struct name_result {
	cmdline_fixed_string_t name;
};

static void
run_parsed(void *parsed, cmdline *cl, void *)
{
	const char *name = static_cast<name_result *>(parsed)->name;

	if (std::strcmp(name, "quit") == 0)
		cmdline_quit(cl);
	else
		run(name);
}

/* The names of all tests, "#" between them, are filled in before the prompt starts. */
static cmdline_parse_token_string_t name_token = {
	.hdr = {.ops = &cmdline_token_string_ops, .offset = offsetof(name_result, name)},
	.string_data = {.str = nullptr},
};

struct free_memory {
	void operator()(void *memory) const { std::free(memory); }
};
using unique_inst = std::unique_ptr<cmdline_parse_inst_t, free_memory>;

/** In memory of its own, as C++ cannot initialise the open array at its end. */
static unique_inst
make_run_command()
{
	unique_inst out(static_cast<cmdline_parse_inst_t *>(
		std::calloc(1, sizeof(cmdline_parse_inst_t) + 2 * sizeof(void *))));

	if (out == nullptr)
		return out;
	out->f = run_parsed;
	out->help_str = "run a test, or quit";
	out->tokens[0] = &name_token.hdr;
	return out;
}

static int
prompt()
{
	std::string names = "quit";
	for (autotest *c = autotests; c != nullptr; c = c->next)
		names.append("#").append(c->name);
	name_token.string_data.str = names.c_str();

	unique_inst run_command = make_run_command();
	if (run_command == nullptr)
		return EXIT_FAILURE;
	cmdline_parse_ctx_t context[] = {run_command.get(), nullptr};
	cmdline *cl = cmdline_stdin_new(context, "RTE>>");
	if (cl == nullptr)
		return EXIT_FAILURE;
	cmdline_interact(cl);
	cmdline_stdin_exit(cl);
	return EXIT_SUCCESS;
}

} // namespace test

int
main(int argc, char **argv)
{
	int parsed = rte_eal_init(argc, argv);
	if (parsed < 0)
		return EXIT_FAILURE;

	int status = EXIT_SUCCESS;
	if (parsed + 1 >= argc)
		status = test::prompt();
	for (int i = parsed + 1; i < argc; i++) {
		test::outcome o = test::run(argv[i]);
		if (status == EXIT_SUCCESS && o != test::success)
			status = o == test::skipped ? test::skipped : EXIT_FAILURE;
	}
	rte_eal_cleanup();
	return status;
}
