/* SPDX-License-Identifier: BSD-3-Clause */
#include <cinttypes>
#include <cstdio>
#include <cstring>

#include "device_facts.hpp"
#include "pci_config.hpp"

/** The forms for people: a description, and the config space as lspci dumps it. */
namespace vfio_user_info {

namespace {

std::string
join_flags(uint32_t flags, std::span<const name_row> names)
{
	std::string out;
	for (const name_row &n : names)
		if ((flags & n.value) != 0)
			out.append(out.empty() ? "" : " ").append(n.name);
	return out.empty() ? "-" : out;
}

const char *
yes_no(uint64_t value)
{
	return value != 0 ? "yes" : "no";
}

std::string
size_text(uint64_t size)
{
	constexpr struct {
		uint64_t bytes;
		const char *name;
	} units[] = {{uint64_t{1} << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}, {1, "B"}};
	char out[32] = "0 B";
	for (const auto &u : units) {
		if (size == 0 || size % u.bytes != 0)
			continue;
		std::snprintf(out, sizeof(out), "%" PRIu64 " %s", size / u.bytes, u.name);
		break;
	}
	return out;
}

void
print_session(const device_facts &facts)
{
	const rte_vfio_user_session &s = facts.session;
	std::printf("%s\n", printable(facts.path).c_str());
	std::printf("version            %u.%u\n", s.major, s.minor);
	std::printf("data per message   %s\n", size_text(s.max_data_xfer).c_str());
	std::printf("fds per message    %u\n", s.max_msg_fds);
	std::printf("twin socket        %s\n", yes_no(s.twin_socket));
	std::printf("multiple writes    %s\n", yes_no(s.write_multiple));
	std::printf("sent               %s\n",
		    facts.capabilities.empty() ? "-" : printable(facts.capabilities).c_str());
	std::printf("device             %s\n", join_flags(facts.flags, device_flags()).c_str());
}

void
print_regions(const device_facts &facts)
{
	std::printf("\nregion           size  flags\n");
	for (uint32_t i = 0; i < facts.regions.size(); i++) {
		const auto &[r, error] = facts.regions[i];
		if (error != 0) {
			std::printf("%2u %-8s          -  %s\n", i, region_name(i),
				    strerror(-error));
			continue;
		}
		if (r.size == 0)
			continue;
		std::printf("%2u %-8s %10s  %s\n", i, region_name(i), size_text(r.size).c_str(),
			    join_flags(r.flags, region_flags()).c_str());
		for (uint32_t a = 0; a < r.nb_areas; a++)
			std::printf("%24smappable 0x%" PRIx64 " + 0x%" PRIx64 "\n", "",
				    r.areas[a].offset, r.areas[a].size);
	}
}

void
print_irqs(const device_facts &facts)
{
	std::printf("\ninterrupt     vectors  flags\n");
	for (uint32_t i = 0; i < facts.irqs.size(); i++) {
		const auto &[irq, error] = facts.irqs[i];
		if (error != 0)
			std::printf("%2u %-8s          -  %s\n", i, irq_name(i), strerror(-error));
		else if (irq.count != 0)
			std::printf("%2u %-8s %10u  %s\n", i, irq_name(i), irq.count,
				    join_flags(irq.flags, irq_flags()).c_str());
	}
}

std::string
value_text(const pci::decoded_field &f)
{
	char out[64];
	if (f.shown == pci::format::flag)
		return yes_no(f.value);
	if (f.shown == pci::format::hex)
		std::snprintf(out, sizeof(out), "0x%0*" PRIx64, static_cast<int>(f.digits),
			      f.value);
	else
		std::snprintf(out, sizeof(out), "%" PRIu64, f.value);
	return f.meaning == nullptr ? out : std::string(out) + " (" + f.meaning + ")";
}

void
print_bar(const device_facts &facts, const pci::decoded_bar &bar)
{
	uint64_t size = bar.index < facts.regions.size() ? facts.regions[bar.index].region.size : 0;
	if (size == 0)
		return;
	std::printf("  BAR%-21u %s%s%s at 0x%" PRIx64 ", %s\n", bar.index,
		    bar.io ? "I/O ports" : "memory",
		    bar.io     ? ""
		    : bar.wide ? ", 64-bit"
			       : ", 32-bit",
		    bar.prefetchable ? ", prefetchable" : "", bar.address, size_text(size).c_str());
}

void
print_capability(const pci::decoded_capability &c)
{
	std::printf("  %scapability at 0x%0*x %s", c.extended ? "extended " : "",
		    c.extended ? 3 : 2, c.offset, c.name);
	if (std::strcmp(c.name, "?") == 0)
		std::printf(" (id 0x%x)", c.id);
	if (c.extended)
		std::printf(" version %u", c.version);
	std::printf("\n");
	for (const pci::decoded_field &f : c.fields)
		std::printf("    %-22s %s\n", f.title, value_text(f).c_str());
}

void
print_config(const device_facts &facts)
{
	if (facts.config.empty())
		return;
	pci::decoded_config config = pci::decode(facts.config);
	std::printf("\nconfig space, %zu bytes\n", facts.config.size());
	for (const pci::decoded_field &f : config.header)
		std::printf("  %-24s %s\n", f.title, value_text(f).c_str());
	for (const pci::decoded_bar &bar : config.bars)
		print_bar(facts, bar);
	for (const pci::decoded_capability &c : config.capabilities)
		print_capability(c);
}

} // namespace

/* All but the visible part of ASCII goes: in UTF-8, too, a control character (C1) can be hidden. */
std::string
printable(std::string text)
{
	for (char &c : text)
		if (c < ' ' || c > '~')
			c = '?';
	return text;
}

void
print_text(const device_facts &facts)
{
	print_session(facts);
	print_regions(facts);
	print_irqs(facts);
	print_config(facts);
}

void
print_hex(const device_facts &facts)
{
	constexpr size_t per_line = 16;
	auto at = [&](size_t i) { return static_cast<unsigned int>(facts.config[i]); };

	/* lspci wants a slot; the rest of the line is for people. */
	std::printf("00:00.0 %s\n", facts.path.c_str());
	for (size_t i = 0; i < facts.config.size(); i += per_line) {
		std::printf("%02zx:", i);
		for (size_t k = i; k < std::min(i + per_line, facts.config.size()); k++)
			std::printf(" %02x", at(k));
		std::printf("\n");
	}
	std::printf("\n");
}

} // namespace vfio_user_info
