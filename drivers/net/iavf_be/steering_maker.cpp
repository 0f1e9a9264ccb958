/* SPDX-License-Identifier: BSD-3-Clause */

#include "steering_maker.hpp"

#include <algorithm>
#include <cstring>
#include <span>

namespace iavf_be {

namespace {

bool
same(const std::optional<rte_emudev_net_rss> &known, const rte_emudev_net_rss *now)
{
	return known.has_value() == (now != nullptr) &&
	       (now == nullptr || memcmp(&*known, now, sizeof(*now)) == 0);
}

/** @p T has no padding. */
template <class T>
bool
same(std::span<const T> known, std::span<const T> now)
{
	return known.size() == now.size() &&
	       (now.empty() || memcmp(known.data(), now.data(), now.size_bytes()) == 0);
}

bool
same(const std::optional<wanted_addresses> &known, const rte_emudev_net_config &now)
{
	return known && known->promiscuous == now.promiscuous &&
	       memcmp(&known->own, &now.mac, sizeof(now.mac)) == 0 &&
	       same<rte_ether_addr>(known->others, {now.filters, now.nb_filters});
}

} // namespace

steering_maker::steering_maker(const shared_port &queues) : queues_(queues)
{
	served_.reserve(queues.max_queues);
}

bool
steering_maker::take(const rte_emudev_net_config &now)
{
	bool changed = false;

	if (!same(rss_, now.rss)) {
		rss_ = now.rss != nullptr ? std::optional(*now.rss) : std::nullopt;
		changed = true;
	}
	if (!same(addresses_, now)) {
		addresses_ = {.promiscuous = now.promiscuous,
			      .own = now.mac,
			      .others = {now.filters, now.filters + now.nb_filters}};
		changed = true;
	}
	if (!same<rte_emudev_net_flow>(flows_, {now.flows, now.nb_flows})) {
		flows_.assign(now.flows, now.flows + now.nb_flows);
		changed = true;
	}
	return changed;
}

/**
 * Lets the rings that the guest has take the frames of all Tx queues that the application has:
 * queue n without a ring of its own uses the served ring n modulo their number. Without this an
 * application with more queues than the guest would lose what it sends on the others. The gate of a
 * ring keeps its users apart. Without steering a queue feeds one ring only, even if the guest has
 * more of them: the frames of a flow must not overtake each other. One that the application has
 * stopped feeds none.
 */
void
steering_maker::aim()
{
	served_.clear();
	queues_.each_tx([this](to_guest &q) {
		if (!q.access.closed())
			served_.push_back(&q);
	});
	queues_.each_tx([this](to_guest &q) {
		const bool own = served_.empty() || !q.access.closed() || !q.running;
		q.target.store(own ? &q : served_[q.index % served_.size()],
			       std::memory_order_release);
	});
}

/** The stages for what the guest has set up and the host allows. */
steering::stages
steering_maker::make_stages(bool by_rss) const
{
	steering::stages out;

	if (addresses_ && !addresses_->wants_all())
		out.addresses = std::make_unique<const address_filter>(*addresses_);
	if (!flows_.empty())
		out.flows = std::make_unique<const flow_rules>(flows_);
	if (by_rss && rss_) {
		std::vector<uint16_t> served;
		for (const to_guest *q : served_)
			served.push_back(q->index);
		out.hashing = std::make_unique<const rss>(*rss_, served);
	}
	return out;
}

/** Publishes, and forgets the old one once no burst uses it. */
void
steering_maker::swap(std::unique_ptr<const steering> fresh)
{
	queues_.each_tx([&](to_guest &q) {
		const bool steers = q.running && q.work.load(std::memory_order_relaxed) != nullptr;
		q.steered.store(steers ? fresh.get() : nullptr, std::memory_order_release);
	});
	queues_.each_tx([](const to_guest &q) { q.steering_access.await_burst(); });
	now_ = std::move(fresh);
}

void
steering_maker::publish(uint16_t host_queues, steering_mode mode)
{
	aim();
	const bool by_rss = mode == steering_mode::rss ||
			    (mode == steering_mode::automatic && host_queues < served_.size());
	steering::stages stages = served_.empty() ? steering::stages{} : make_stages(by_rss);
	if (stages.none()) {
		if (now_ != nullptr)
			swap(nullptr);
		return;
	}
	steering::ring_table table(queues_.max_queues);
	for (to_guest *q : served_)
		table[q->index] = q;
	queues_.each_tx([&](to_guest &q) {
		if (q.index < host_queues)
			q.equip_for_steering(queues_.max_queues);
	});
	swap(std::make_unique<const steering>(std::move(stages), std::move(table)));
}

} // namespace iavf_be
