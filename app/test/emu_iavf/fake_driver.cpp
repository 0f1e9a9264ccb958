/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake_driver.hpp"

#include <algorithm>

#include <bus_vdev_driver.h>

namespace test {

namespace {

constexpr uint64_t atq_at = 0x1000, arq_at = 0x2000, body_at = 0x4000, buffers_at = 0x10000;
constexpr uint64_t tx_ring_at = 0x80000, rx_ring_at = 0x90000;
constexpr uint32_t bar0 = RTE_VFIO_USER_REGION_BAR0;
constexpr uint64_t desc_bytes = sizeof(iavf::adminq_desc);

iavf::adminq_desc
empty_buffer(uint32_t index)
{
	iavf::adminq_desc desc{};

	desc.flags = iavf::adminq_flag::buf::mask | iavf::adminq_flag::lb::mask;
	desc.datalen = iavf::adminq_max_buffer;
	desc.addr_low = static_cast<uint32_t>(buffers_at + index * iavf::adminq_max_buffer);
	return desc;
}

} // namespace

fake_driver::fake_driver(uint16_t queue_pairs, uint16_t vectors)
{
	static constexpr rte_emudev_backend_ops ops{
		.struct_size = sizeof(ops),
		.event = event,
		.net = nullptr,
	};
	static rte_vdev_device owner{};
	static unsigned int number;
	iavf::device_config wanted{.name = "emu_iavf_in_test" + std::to_string(number++),
				   .path = "",
				   .mac = mac,
				   .queue_pairs = queue_pairs,
				   .vectors = vectors};

	rte_log_set_level(RTE_LOGTYPE_USER1, RTE_LOG_ERR);
	dev_ = std::move(*iavf::device::make(std::move(wanted), machine));
	dev_->publish(&owner.device);
	rte_emudev_subscribe(dev_->emudev(), &ops, this);
}

fake_driver::~fake_driver()
{
	rte_emudev_unsubscribe(dev_->emudev());
	dev_->withdraw();
}

void
fake_driver::event(void *ctx, const rte_emudev_event *what)
{
	fake_driver &self = *static_cast<fake_driver *>(ctx);

	if (what->type == RTE_EMUDEV_EVENT_QUEUE)
		self.events.push_back({*what->queue, self.read(iavf::reg::vf_arqlen1)});
	if (what->type != RTE_EMUDEV_EVENT_CONFIG)
		return;
	self.configs++;
	self.config = *what->net;
	self.flows.assign(self.config.flows, self.config.flows + self.config.nb_flows);
	self.vlan_ids.reset();
	self.rss.reset();
	if (self.config.rss != nullptr)
		self.rss = *self.config.rss;
	if (self.config.vlan.ids != nullptr)
		self.vlan_ids = *self.config.vlan.ids;
}

uint32_t
fake_driver::read(uint32_t reg)
{
	uint32_t value = 0;

	pci().read(bar0, reg, std::as_writable_bytes(std::span<uint32_t, 1>(&value, 1)));
	return value;
}

void
fake_driver::write(uint32_t reg, uint32_t value)
{
	pci().write(bar0, reg, guard::as_bytes(value));
}

void
fake_driver::write_config(uint32_t offset, uint16_t value)
{
	pci().write(RTE_VFIO_USER_REGION_CONFIG, offset, guard::as_bytes(value));
}

void
fake_driver::open_mailbox()
{
	using namespace iavf;

	atq_tail_ = arq_head_ = 0;
	for (uint32_t i = 0; i < entries; i++) {
		adminq_desc desc = empty_buffer(i);

		std::memcpy(&machine.memory[arq_at + i * desc_bytes], &desc, sizeof(desc));
	}
	for (uint32_t reg : {reg::vf_atqh1, reg::vf_atqt1, reg::vf_arqh1, reg::vf_arqt1})
		write(reg, 0);
	write(reg::vf_atqbal1, atq_at);
	write(reg::vf_arqbal1, arq_at);
	write(reg::vf_atqlen1, entries | aqlen::enable::mask);
	write(reg::vf_arqlen1, entries | aqlen::enable::mask);
	write(reg::vf_arqt1, entries - 1);
}

void
fake_driver::send(const iavf::adminq_desc &desc, guard::bytes body)
{
	std::memcpy(&machine.memory[atq_at + atq_tail_ * desc_bytes], &desc, sizeof(desc));
	std::copy(body.begin(), body.end(), &machine.memory[body_at]);
	atq_tail_ = (atq_tail_ + 1) % entries;
	write(iavf::reg::vf_atqt1, atq_tail_);
}

void
fake_driver::send(uint32_t op, guard::bytes body)
{
	iavf::adminq_desc desc{};

	desc.opcode = static_cast<uint16_t>(iavf::adminq_op::send_msg_to_pf);
	desc.flags = iavf::adminq_flag::rd::mask | iavf::adminq_flag::buf::mask;
	desc.datalen = static_cast<uint16_t>(body.size());
	desc.cookie_high = op;
	desc.addr_low = body_at;
	send(desc, body);
}

iavf::adminq_desc
fake_driver::completion()
{
	uint32_t last = (atq_tail_ + entries - 1) % entries;

	return *guard::load<iavf::adminq_desc>(machine.memory, atq_at + last * desc_bytes);
}

std::optional<received>
fake_driver::receive()
{
	if (read(iavf::reg::vf_arqh1) == arq_head_)
		return {};
	uint64_t at = arq_at + arq_head_ * desc_bytes;
	auto desc = *guard::load<iavf::adminq_desc>(machine.memory, at);
	std::byte *body = &machine.memory[buffers_at + arq_head_ * iavf::adminq_max_buffer];
	received out{desc.cookie_high,
		     static_cast<iavf::vc_status>(desc.cookie_low),
		     {body, body + desc.datalen}};
	iavf::adminq_desc fresh = empty_buffer(arq_head_);

	std::memcpy(&machine.memory[at], &fresh, sizeof(fresh));
	write(iavf::reg::vf_arqt1, arq_head_);
	arq_head_ = (arq_head_ + 1) % entries;
	return out;
}

int
fake_driver::ask(uint32_t op, guard::bytes body)
{
	send(op, body);
	/* A head that is beyond the ring is never reached. */
	for (uint32_t i = 0; i <= entries; i++) {
		std::optional<received> reply = receive();

		if (!reply)
			break;
		if (reply->op == op) /* else an event from before */
			return static_cast<int>(reply->status);
	}
	return no_reply;
}

bool
fake_driver::bring_up()
{
	using namespace iavf;
	constexpr uint32_t wanted = vc_cap::adv_link_speed | vc_cap::offload_rss_reg;
	struct {
		vc_vsi_queue_config_info head;
		vc_queue_pair_info pair;
	} queues{};
	struct {
		vc_irq_map_info head;
		uint16_t map[6];
	} vectors{{1}, {vsi_id, 1, 1, 1, 0, 2}};

	queues.head = {vsi_id, 1, 0};
	queues.pair.txq = {.vsi_id = vsi_id,
			   .queue_id = 0,
			   .ring_len = 64,
			   .headwb_enabled = 0,
			   .dma_ring_addr = tx_ring_at,
			   .dma_headwb_addr = 0};
	queues.pair.rxq.vsi_id = vsi_id;
	queues.pair.rxq.ring_len = 128;
	queues.pair.rxq.databuffer_size = 2048;
	queues.pair.rxq.max_pkt_size = 1518;
	queues.pair.rxq.dma_ring_addr = rx_ring_at;
	open_mailbox();
	return ask_struct(vc_op::version, vc_version_info{1, 1}) == 0 &&
	       ask_struct(vc_op::get_vf_resources, wanted) == 0 &&
	       ask_struct(vc_op::config_vsi_queues, queues) == 0 &&
	       ask_struct(vc_op::config_irq_map, vectors) == 0;
}

int
fake_driver::enable(uint32_t queues)
{
	return ask_struct(iavf::vc_op::enable_queues,
			  iavf::vc_queue_select{iavf::vsi_id, 0, queues, queues});
}

void
fake_driver::take_over(const fake_driver &other)
{
	std::ranges::copy(other.machine.memory, machine.memory.begin());
	atq_tail_ = other.atq_tail_;
	arq_head_ = other.arq_head_;
}

} // namespace test
