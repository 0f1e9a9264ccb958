/* SPDX-License-Identifier: BSD-3-Clause */
#include <optional>
#include <poll.h>
#include <sys/ioctl.h>

#include <linux/sockios.h>

#include "files.hpp"
#include "fuzz.hpp"
#include "raw_client.hpp"
#include "vfio_user/fixture.hpp"
#include "vfio_user_client/fixture.hpp"

/*
 * The server, its transport included: an input is what a client sends, one step after the other,
 * with descriptors, and what becomes of memory that it shares.
 */

namespace {

using namespace fuzz;
namespace wire = vfio_user::wire;

enum step : uint8_t {
	raw,          /**< Bytes. */
	message,      /**< A header that is right, and what follows. */
	truncate,     /**< A file that may be shared. */
	device_reads, /**< The device accesses memory of the client. */
	device_writes,
	device_fires, /**< A vector. */
	answer,       /**< To a command of the server. */
	twin,         /**< Bytes on the second socket, if it has come. */
	pause,        /**< Until the server has seen all. */
	device_acts,  /**< What else a device may ask of its server. */
	other_client, /**< Comes while there is one. */
	read_all,     /**< Of a client that has let its replies lie. */
	nb_steps,
};

/** The client's end, which reads what comes so that the server never has to wait. */
class client : public test::raw_client {
public:
	bool connect(const char *path)
	{
		return test::raw_client::connect(path) && ::fcntl(fd(), F_SETFL, O_NONBLOCK) == 0;
	}
	/** What the server has not yet taken. */
	bool is_taken() const
	{
		int left = 0;

		return ::ioctl(fd(), SIOCOUTQ, &left) != 0 || left == 0;
	}
	/** One that does not read its replies until its end. */
	bool lazy = false;

	/** Reads what there is; false: the server has closed. */
	bool drain(bool wait)
	{
		if (lazy && !wait)
			return true;
		for (;;) {
			pollfd one{.fd = fd(), .events = POLLIN, .revents = 0};
			if (::poll(&one, 1, wait ? 10000 : 0) == 0)
				return true;
			std::byte bytes[4096];
			if (!receive_some(bytes))
				return false;
		}
	}
	void finish() { ::shutdown(fd(), SHUT_WR); }
	void send_on_twin(guard::bytes what)
	{
		if (twin_)
			(void)!::send(twin_.get(), what.data(), what.size(),
				      MSG_DONTWAIT | MSG_NOSIGNAL);
	}

private:
	bool receive_some(std::span<std::byte> into)
	{
		alignas(cmsghdr) char control[CMSG_SPACE(32 * sizeof(int))];
		iovec iov{into.data(), into.size()};
		msghdr msg{};

		msg.msg_iov = &iov;
		msg.msg_iovlen = 1;
		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		if (::recvmsg(fd(), &msg, MSG_CMSG_CLOEXEC) <= 0)
			return false;
		const cmsghdr *c = CMSG_FIRSTHDR(&msg);
		if (c == nullptr || c->cmsg_type != SCM_RIGHTS)
			return true;
		for (size_t i = 0; i < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); i++) {
			int got;
			std::memcpy(&got, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			guard::unique_fd owned(got);
			int domain;
			socklen_t length = sizeof(domain);
			if (::getsockopt(got, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0)
				twin_ = std::move(owned);
		}
		return true;
	}

	guard::unique_fd twin_;
};

/** One of the devices, for one input. They stay. */
struct target {
	const char *path;
	rte_vfio_user_server *server;
	test::server_suite::test_device *device = nullptr;
};

const target &
device(uint8_t how)
{
	static auto *one = new test::server_suite::test_device;
	static auto *other = new test::client_suite::test_device;
	/* Whose interrupts are signalled by who has them. */
	static auto *at_once = new test::server_suite::test_device;
	at_once->irq_inline = 1;
	/* And which has two of the files, but not three. */
	at_once->max_memory = 2 * files::size;
	static const bool started = one->start("fuzz") && other->start() && at_once->start("fuzz2");
	static const target targets[] = {{one->path, one->server, one},
					 {other->path.c_str(), other->server},
					 {at_once->path, at_once->server, at_once}};

	MUST(started);
	const target &out = targets[how & 1 ? 1 : how & 8 ? 2 : 0];
	/* Longer than a turn, when there are many of them. */
	if (out.device != nullptr)
		out.device->write_us = how & 4 ? 500 : 0;
	return out;
}

/** What a data path still uses of memory that a client has shared. */
std::vector<rte_vfio_user_memory_hold *> holds;

void
release_holds()
{
	for (rte_vfio_user_memory_hold *hold : std::exchange(holds, {}))
		rte_vfio_user_memory_release(hold);
}

void
act(const target &to, input &in)
{
	struct {
		const target &to;
		uint8_t what;
		uint8_t vector;
	} wanted{to, in.u8(), in.u8()};

	rte_vfio_user_control_call(
		[](void *arg) {
			const auto &w = *static_cast<decltype(wanted) *>(arg);

			switch (w.what % 6) {
			case 0:
				if (w.to.device != nullptr)
					w.to.device->steps_left = w.vector % 8;
				rte_vfio_user_server_defer(w.to.server);
				break;
			case 1:
				rte_vfio_user_server_set_poll(w.to.server, w.vector * 16u);
				break;
			case 2:
				rte_vfio_user_server_disconnect(w.to.server);
				break;
			case 3:
				rte_vfio_user_server_irq_wired(w.to.server, w.vector % 4,
							       w.vector / 4);
				break;
			case 4:
				if (holds.size() < 4)
					holds.push_back(
						rte_vfio_user_server_memory_hold(w.to.server));
				break;
			case 5:
				release_holds();
			}
			return 0;
		},
		&wanted);
}

/** Until the control thread has handled all that was sent. */
void
settle(client &c)
{
	/* What is not read is not answered, so that not all may be taken. */
	for (int i = 0; i < (c.lazy ? 50 : 10000) && !c.is_taken(); i++) {
		if (!c.drain(false))
			return;
		::usleep(20);
	}
	rte_vfio_user_control_call([](void *) { return 0; }, nullptr);
	c.drain(false);
}

/** What the device asks for. It has its own memory for that. */
void
access(const target &to, input &in, bool read)
{
	static std::array<uint8_t, 8192> data;
	struct {
		const target &to;
		bool read;
		uint64_t iova;
		uint32_t count;
	} wanted{to, read, uint64_t{in.u16()} * 512, in.u16() % uint32_t{data.size() + 1}};

	rte_vfio_user_control_call(
		[](void *arg) {
			const auto &w = *static_cast<decltype(wanted) *>(arg);
			const rte_vfio_user_dma_done done = [](void *, int) {};

			return w.read ? rte_vfio_user_server_dma_read(w.to.server, w.iova,
								      data.data(), w.count, done,
								      nullptr)
				      : rte_vfio_user_server_dma_write(w.to.server, w.iova,
								       data.data(), w.count, done,
								       nullptr);
		},
		&wanted);
}

void
send_message(client &c, input &in, const files &descriptors, bool is_reply)
{
	wire::header header{.id = in.u8(),
			    .command = in.u8(),
			    .size = sizeof(header),
			    .flags = in.u8() | uint32_t{is_reply},
			    .error = 0};
	const uint8_t fds = in.u8();
	const auto payload = in.bytes(in.u16());
	guard::writer whole;

	if (is_reply)
		header.error = in.u8();
	header.size += static_cast<uint32_t>(payload.size());
	whole.put(header).put_bytes(std::as_bytes(payload));
	c.send_bytes(whole.view(), descriptors.choose(fds));
}

void
play(client &c, input &in, const target &to, files &descriptors)
{
	switch (in.u8() % nb_steps) {
	case raw: {
		const uint8_t fds = in.u8();
		c.send_bytes(std::as_bytes(in.bytes(in.u8())), descriptors.choose(fds));
		break;
	}
	case message:
		send_message(c, in, descriptors, false);
		break;
	case answer:
		send_message(c, in, descriptors, true);
		break;
	case truncate:
		settle(c);
		descriptors.truncate(in.u8());
		break;
	case device_reads:
		settle(c);
		access(to, in, true);
		break;
	case device_writes:
		settle(c);
		access(to, in, false);
		break;
	case device_fires:
		settle(c);
		rte_vfio_user_server_irq_trigger(to.server, in.u8() % 5, in.u8());
		break;
	case twin:
		settle(c);
		c.send_on_twin(std::as_bytes(in.bytes(in.u8())));
		break;
	case pause:
		settle(c);
		break;
	case device_acts:
		settle(c);
		act(to, in);
		break;
	case other_client: {
		client second;
		if (second.connect(to.path))
			send_message(second, in, descriptors, false);
		settle(c);
		break;
	}
	case read_all:
		c.lazy = false;
		settle(c);
		break;
	}
}

/** All that a client had is gone with it. */
void
check_emptied(const target &to)
{
	rte_vfio_user_server_stats stats{};

	rte_vfio_user_server_stats_get(to.server, &stats);
	MUST(stats.dma_regions == 0 && stats.dma_files == 0);
}

} // namespace

extern "C" int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static files descriptors;
	input in(data, size);
	const uint8_t how = in.u8();
	const target &to = device(how);
	client c;

	descriptors.renew();
	MUST(c.connect(to.path));
	c.lazy = how & 2;
	while (!in.empty())
		play(c, in, to, descriptors);
	settle(c);
	c.finish();
	/* However it was left, the server lets go of the client. */
	MUST(!c.drain(true));
	release_holds();
	rte_vfio_user_control_call([](void *) { return 0; }, nullptr);
	check_emptied(to);
	return 0;
}
