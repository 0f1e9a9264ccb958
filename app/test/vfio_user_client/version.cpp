/* SPDX-License-Identifier: BSD-3-Clause */
#include "fixture.hpp"

/* Negotiation, honest and hostile. */

using namespace test;
using namespace test::client_suite;

namespace {

outcome
attach_tells_what_was_negotiated()
{
	test_device device;
	test_client c;
	rte_vfio_user_session session;
	uint32_t flags, regions, irqs;

	CHECK(device.start());
	CHECK_EQ(c.attach(device.path, RTE_VFIO_USER_CLIENT_TWIN_SOCKET |
					       RTE_VFIO_USER_CLIENT_MAPPED_BARS |
					       RTE_VFIO_USER_CLIENT_WRITE_MULTI),
		 0);
	CHECK_EQ(rte_vfio_user_client_session_get(c.handle, &session), 0);
	CHECK_EQ(session.major, 0);
	CHECK_EQ(session.minor, 1);
	CHECK_EQ(session.max_data_xfer, RTE_VFIO_USER_MAX_DATA_XFER);
	CHECK_EQ(session.max_msg_fds, 16);
	CHECK(session.twin_socket && session.write_multiple && session.mapped_bars);
	CHECK(std::strstr(rte_vfio_user_client_capabilities(c.handle), "twin_socket") != nullptr);
	CHECK_EQ(rte_vfio_user_client_device_info_get(c.handle, &flags, &regions, &irqs), 0);
	CHECK_EQ(flags, RTE_VFIO_USER_DEVICE_RESET | RTE_VFIO_USER_DEVICE_PCI);
	CHECK_EQ(regions, RTE_VFIO_USER_PCI_REGIONS);
	CHECK_EQ(irqs, 3);
	c.detach();

	CHECK_EQ(c.attach(device.path), 0);
	rte_vfio_user_client_session_get(c.handle, &session);
	CHECK(!session.twin_socket && !session.write_multiple && !session.mapped_bars);
	CHECK_EQ(c.calls, 0);
	return success;
}

constexpr const char *twin = R"({"capabilities":{"twin_socket":{"supported":true,"fd_index":0}}})";

/** The version, and a file as so many descriptors. */
void
answer_with_files(raw_peer &p, const char *json, size_t count)
{
	guard::unique_fd file = make_file(page);

	p.answer_version(json, 0, 0, std::vector<int>(count, file.get()));
}

/** A device that has so many of both. */
void
answer_device(raw_peer &p, uint32_t regions, uint32_t irqs)
{
	p.answer_version();
	p.answer(guard::as_bytes(wire::device_info{16, 0, regions, irqs}));
}

/** A message of which only the header comes. */
void
send_header(raw_peer &p, uint32_t size, uint32_t flags = 1)
{
	raw_message m;

	p.receive(m);
	m.header.flags = flags;
	m.header.size = size != 0 ? size : m.header.size;
	p.send_bytes(guard::as_bytes(m.header));
}

/** How a server answers the first message, with what flags the client attaches, and what that
 * returns then. */
constexpr struct {
	const char *name;
	uint32_t flags;
	int error;
	void (*script)(raw_peer &p);
} version_replies[] = {
	{"closes at once", 0, -ENOTCONN, [](raw_peer &p) { p.hang_up(); }},
	{"error reply", 0, -EPERM, [](raw_peer &p) { p.answer({}, {}, EPERM); }},
	{"error without a number", 0, -EIO, [](raw_peer &p) { send_header(p, 16, 0x21); }},
	{"shorter than its structure", 0, -EPROTO,
	 [](raw_peer &p) { p.answer(guard::as_bytes(uint16_t{0})); }},
	{"another major version", 0, -EPROTO, [](raw_peer &p) { p.answer_version("", 1, 0); }},
	{"a newer minor version", 0, -EPROTO, [](raw_peer &p) { p.answer_version("", 0, 2); }},
	{"not JSON", 0, -EPROTO, [](raw_peer &p) { p.answer_version("{\"capabilities\":"); }},
	{"no object", 0, -EPROTO, [](raw_peer &p) { p.answer_version("[]"); }},
	{"no transfer at all", 0, -EPROTO,
	 [](raw_peer &p) { p.answer_version(R"({"capabilities":{"max_data_xfer_size":0}})"); }},
	{"negative", 0, -EPROTO,
	 [](raw_peer &p) { p.answer_version(R"({"capabilities":{"max_msg_fds":-1}})"); }},
	{"JSON without NUL", 0, -EPROTO,
	 [](raw_peer &p) { p.answer(std::as_bytes(std::span("\0\0\0\0{}", 6))); }},
	{"deep JSON", 0, -EPROTO, [](raw_peer &p) { p.answer_version(std::string(60000, '[')); }},
	{"twin socket not asked for", 0, -EPROTO,
	 [](raw_peer &p) { answer_with_files(p, twin, 1); }},
	{"twin socket not there", RTE_VFIO_USER_CLIENT_TWIN_SOCKET, -EPROTO,
	 [](raw_peer &p) { p.answer_version(twin); }},
	{"twin socket is a file", RTE_VFIO_USER_CLIENT_TWIN_SOCKET, -EPROTO,
	 [](raw_peer &p) { answer_with_files(p, twin, 1); }},
	{"more descriptors than allowed", 0, -EPROTO,
	 [](raw_peer &p) { answer_with_files(p, "", 17); }},
	{"4 GiB long", 0, -EPROTO, [](raw_peer &p) { send_header(p, UINT32_MAX); }},
	{"15 bytes long", 0, -EPROTO, [](raw_peer &p) { send_header(p, 15); }},
	{"half a message", 0, -ENOTCONN,
	 [](raw_peer &p) {
		 send_header(p, 0);
		 p.hang_up();
	 }},
	{"as many regions and interrupt types as may be", 0, 0,
	 [](raw_peer &p) { answer_device(p, 64, 64); }},
	{"a region too many", 0, -EPROTO, [](raw_peer &p) { answer_device(p, 65, 5); }},
	{"too many regions", 0, -EPROTO, [](raw_peer &p) { answer_device(p, UINT32_MAX, 5); }},
	{"too many interrupt types", 0, -EPROTO, [](raw_peer &p) { answer_device(p, 9, 65); }},
	{"half a device", 0, -EPROTO,
	 [](raw_peer &p) {
		 p.answer_version();
		 p.answer(guard::as_bytes(uint64_t{16}));
	 }},
};

outcome
bad_version_replies_are_refused()
{
	for (const auto &row : version_replies) {
		test_client c;
		hostile_server server(row.script);
		int error = c.attach(server.path, row.flags);
		CHECK(error == row.error, "%s: %d", row.name, error);
		CHECK(c.calls == 0, "%s", row.name);
	}
	return success;
}

constexpr test_case cases[] = {
	{"attach tells what was negotiated", attach_tells_what_was_negotiated},
	{"bad version replies are refused", bad_version_replies_are_refused},
};

} // namespace

constinit const case_table test::client_suite::version_cases = cases;
