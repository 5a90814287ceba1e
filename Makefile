# lintas: `make help` lists the targets; `sudo make lab` and `sudo make test` do everything themselves.

# What a fresh Debian 12 needs: to build, to run the lab, to test.
DEPS := build-essential pkg-config libdpdk-dev libbpf-dev libnl-3-dev libnl-route-3-dev libconfig-dev \
	libcunit1-dev libjansson-dev libevent-dev libcap-dev uthash-dev clang clang-format libc6-dev-i386 \
	strongswan-charon charon-systemd strongswan-swanctl libstrongswan-extra-plugins libcharon-extra-plugins \
	iproute2 ethtool frr bird2 keepalived python3 python3-scapy python3-cryptography iperf3 iputils-ping util-linux procps git valgrind

# A Linux guest and a second reader of packets, for the lab, T=providers and T=tunnels only: they are big.
GUEST_DEPS := qemu-system-x86 busybox-static cpio kmod tshark tcpdump strongswan-charon strongswan-swanctl libstrongswan-extra-plugins libcharon-extra-plugins

CC      ?= gcc
B       := build$(if $(SAN),-san)
PKGS    := libdpdk libconfig libnl-3.0 libevent jansson libcap
, := ,
WARN    := -Wall -Wextra -Werror -Wshadow
OPT     := $(if $(SAN),-O1 -g -fsanitize=address$(,)undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined,-O3 -g)
# Lazy, so that `make deps` works before pkg-config is there. DPDK's headers are not ours to warn about.
PKG_CFLAGS = $(subst -I,-isystem ,$(shell pkg-config --cflags $(PKGS)))
CFLAGS  += -std=gnu11 $(OPT) $(WARN) -I. -D_GNU_SOURCE -DALLOW_EXPERIMENTAL_API -MMD -MP

# Each list in reading order, a theme a line: the folder's README says the same.
CONFIG_SRC := ip pool sha256 errors source scan json value types \
	keys keys_ipsec profile_keys \
	expand parse given profile prov outer ipsec \
	resolve resolve_profile resolve_ipsec resolve_path \
	check check_secret check_link check_ipsec check_net check_vrrp \
	check_prov check_prov_bgp check_prov_ipsec check_prov_many \
	diff print effective man load
DATAPLANE_SRC := rx shed parse parse_four parse4 parse6 route local reassemble \
	probe probe_packet reflector neigh virtual \
	decap encap mss pmtu esp_in policy rewrite esp_out meter tx pipeline \
	sa crypto \
	stray icmp frag drops bfd bfd_session \
	snapshot vrf adj group fib4 fib6 trie trie_show trie_block arena reclaim \
	counters worker optics port pool carrier missed lag punt tap hold event memory dp
CONTROL_SRC := main notify privileges loop log \
	reload apply bring bring_routes adopt inventory kernel keeper_client keeper_calls \
	xfrm_message xfrm_build xfrm_request xfrm_policy xfrm_server xfrm_vault xfrm_mirror sas sas_link sas_life \
	sas_static sas_lease \
	netlink dumper resync mirror mirror_link mirror_nexthop mirror_neigh mirror_route mirror_prefix \
	mirror_late mirror_sweep rib legs hops tunnel audit mirror_view \
	heard health estimate probes \
	bfd_message bfd_server bfd_sessions \
	lacp_pdu lacp lag \
	vrrp_packet vrrp_machine vrrp \
	frr_policy frr_maps frr_render frr_diff frr_sync frr_ask frr_conduct frr_guard frr_guard_list \
	swan_render swan_sync swan_care swan_log swan_ask \
	api_socket api \
	views views_args views_status views_link views_lag views_effective views_route views_get \
	views_header views_nexthop views_probe views_bgp views_routes views_bfd views_stats \
	views_cycles views_config views_events views_sessions views_vrrp views_ipsec views_ike views_cloud \
	diagnose diagnose_ask diagnose_link diagnose_ipsec diagnose_neigh diagnose_mtu diagnose_tcp diagnose_bgp \
	diagnose_probe
KEEPER_SRC := keeper keeper_ns keeper_socket keeper_run keeper_swan
CTL_SRC := lintasctl ctl_commands ctl_args ctl_client ctl_json ctl_table ctl_format ctl_print \
	ctl_show ctl_effective ctl_profile ctl_lag ctl_ipsec ctl_status ctl_get ctl_diagnose ctl_ike ctl_zones ctl_stats ctl_probe \
	ctl_cycles ctl_config ctl_log ctl_check \
	ctl_cloud ctl_cloud_doc ctl_cloud_aws ctl_cloud_gcp ctl_cloud_azure ctl_cloud_oci \
	ctl_cloud_alibaba ctl_cloud_terraform ctl_cloud_link \
	ctl_against_match ctl_against_compare ctl_against ctl_against_run \
	ctl_import ctl_sheet ctl_sheet_link ctl_sheet_words

obj = $(patsubst %.c,$(B)/%.o,$(wildcard $(patsubst %,$(1)/%.c,$(2))))
CONFIG_OBJ    := $(call obj,config,$(CONFIG_SRC)) $(B)/config/profile_data.o
DATAPLANE_OBJ := $(call obj,dataplane,$(DATAPLANE_SRC))
CONTROL_OBJ   := $(call obj,control,$(CONTROL_SRC))
KEEPER_OBJ    := $(call obj,control,$(KEEPER_SRC))
CTL_OBJ       := $(call obj,tools,$(CTL_SRC))
UNIT_OBJ      := $(patsubst %.c,$(B)/%.o,$(wildcard tests/unit/*.c))

LINK = $(if $(V),,@echo '  LD $@' &&) $(CC) $(CFLAGS) $(LDFLAGS)

all: $(B)/lintasd $(B)/lintas-keeper $(B)/lintasctl $(B)/lintas-xfrm.so

$(B)/lintasd: $(CONTROL_OBJ) $(DATAPLANE_OBJ) $(CONFIG_OBJ)
	$(LINK) -o $@ $^ $$(pkg-config --libs $(PKGS)) -lm -lpthread
$(B)/lintas-keeper: $(KEEPER_OBJ) $(B)/config/ip.o
	$(LINK) -o $@ $^ $$(pkg-config --libs libcap)
$(B)/lintasctl: $(CTL_OBJ) $(CONFIG_OBJ)
	$(LINK) -o $@ $^ $$(pkg-config --libs jansson libconfig)
# Preloaded into charon: what it says to the kernel about IPsec goes to lintasd.
$(B)/lintas-xfrm.so: tools/strongswan/xfrm_shim.c control/xfrm_wire.h
	@mkdir -p $(@D)
	$(if $(V),,@echo '  LD $@' &&) $(CC) -std=gnu11 -O2 -g $(WARN) -I. -D_GNU_SOURCE -fPIC -fvisibility=hidden -shared -o $@ $< -ldl -lpthread
# The mirror's tests put a fast path of their own between it and the real one: tests/unit/oracle.c.
UNIT_WRAP := $(foreach f,fib_set fib_del fib_lookup group_set group_del group_info adj_set adj_del adj_info \
	hold_release reclaim esp_start sa_set sa_del sa_use sa_info,-Wl,--wrap=dp_$(f))
# Everything but main(): the unit tests meet the same objects the daemon is made of.
$(B)/unit: $(UNIT_OBJ) $(filter-out %/main.o,$(CONTROL_OBJ)) $(DATAPLANE_OBJ) $(CONFIG_OBJ) \
		$(filter-out %/lintasctl.o,$(CTL_OBJ))
	$(LINK) $(UNIT_WRAP) -o $@ $^ $$(pkg-config --libs $(PKGS) cunit) -lm -lpthread
$(B)/pktrun: $(patsubst %.c,$(B)/%.o,$(wildcard tests/packet/*.c)) $(DATAPLANE_OBJ) $(CONFIG_OBJ)
	$(LINK) -Wl,--wrap=rte_eal_init -o $@ $^ $$(pkg-config --libs $(PKGS)) -lm -lrte_net_ring -lpthread

# Mirror, fast path and packets in one process, the kernel played: make test T=speed.
$(B)/failover: $(patsubst %.c,$(B)/%.o,$(wildcard tests/speed/*.c)) $(B)/tests/packet/flows.o $(B)/tests/packet/wires.o \
		$(filter-out %/main.o,$(CONTROL_OBJ)) $(DATAPLANE_OBJ) $(CONFIG_OBJ)
	$(LINK) -Wl,--wrap=dp_group_set -o $@ $^ $$(pkg-config --libs $(PKGS)) -lm -lrte_net_ring -lpthread

# The forwarding tables at length, and the tables alone against rte_fib: no EAL, no huge pages for the first.
FIB_OBJ := $(patsubst %,$(B)/dataplane/%.o,fib4 fib6 trie trie_show trie_block arena reclaim)
$(B)/fiblong: $(B)/tests/fib/fiblong.o $(B)/tests/unit/fib_diff.o $(B)/tests/unit/fib_churn.o $(FIB_OBJ)
	$(LINK) -o $@ $^ $$(pkg-config --libs libdpdk) -lpthread
$(B)/fibbench: $(B)/tools/bench/fibbench.o $(FIB_OBJ)
	$(LINK) -o $@ $^ $$(pkg-config --libs libdpdk) -lpthread

# What crosses threads, under ThreadSanitizer: objects of its own, without the stages of the pipeline.
TSAN_FLAGS := -O1 -fsanitize=thread -DRTE_USE_C11_MEM_MODEL -ffunction-sections
TSAN_OBJ := $(patsubst %,$(B)/tsan.d/%.o,$(patsubst %,dataplane/%,fib4 fib6 trie trie_show trie_block arena reclaim \
	vrf group adj snapshot encap mss pmtu virtual counters memory route) config/ip tests/unit/fib_churn tests/tsan/tsan)
$(B)/tsan: $(TSAN_OBJ)
	$(LINK) $(TSAN_FLAGS) -Wl,--gc-sections -o $@ $^ $$(pkg-config --libs libdpdk) -lpthread
$(B)/tsan.d/%.o: %.c
	@mkdir -p $(@D)
	$(if $(V),,@echo '  CC $< (tsan)' &&) $(CC) $(CFLAGS) $(PKG_CFLAGS) $(TSAN_FLAGS) -c -o $@ $<

# Profiles of the providers, every version, into the programs.
PROFILES := $(sort $(wildcard config/profiles/*/*.conf))
$(B)/config/profile_data.c: config/profiles/embed $(PROFILES)
	@mkdir -p $(@D)
	@config/profiles/embed $(PROFILES) >$@.new && mv $@.new $@
$(B)/config/profile_data.o: $(B)/config/profile_data.c
	$(if $(V),,@echo '  CC $<' &&) $(CC) $(CFLAGS) $(PKG_CFLAGS) -c -o $@ $<

$(B)/%.o: %.c
	@mkdir -p $(@D)
	$(if $(V),,@echo '  CC $<' &&) $(CC) $(CFLAGS) $(PKG_CFLAGS) -c -o $@ $<

deps:
	tools/deps $(DEPS)

# GROUP: core packet netns speed providers tunnels (all of them without T=); NAME runs one test of it: make test T=netns N=reload
test: deps
	$(if $(filter providers tunnels,$(or $(T),providers)),tools/deps $(GUEST_DEPS))
	@$(MAKE) --no-print-directory -j$$(nproc) test-build
	@$(if $(filter speed,$(or $(T),speed)),$(MAKE) --no-print-directory speed-build)
	@tests/run $(if $(SAN),--san) $(or $(T),core packet netns speed providers tunnels) $(if $(N),--only $(N))
# The bench's source needs the source package of DPDK; without it the tests that want it say so.
speed-build:
	@$(MAKE) --no-print-directory $(B)/net_bench.so || echo 'without net_bench.so: tests of churn are skipped'
test-quick: test-build
	@tests/run $(if $(SAN),--san) core packet
test-build: all $(B)/unit $(B)/pktrun $(B)/failover $(B)/fiblong $(if $(SAN),,$(B)/tsan)

# What takes longer than a test may; logs below tests/proofs/. T=mutants: is each check noticed when it is gone?
# T=churn: 60 s of 10,000 route updates a second while forwarding. T=bfd: 128 sessions under load for 40 minutes.
proof: deps
	@$(MAKE) --no-print-directory -j$$(nproc) test-build
	@$(if $(filter churn,$(T)),$(MAKE) --no-print-directory speed-build)
	tests/proof $(or $(T),mutants)

lab: deps
	tools/deps $(GUEST_DEPS)
	@$(MAKE) --no-print-directory -j$$(nproc) all
	tools/lab/lab run
lab-down:
	tools/lab/lab down

# lintasd against the barest loop around rte_fib and against itself. ROWS="ip4-1k vlan" for some, QUICK=1 for one
# pair of processes, TOLERANCE=25% on a machine that is not idle, OTHER='PROGRAM ARGS' for one more: bench --help.
bench: deps
	tools/deps dpdk-dev
	@$(MAKE) --no-print-directory -j$$(nproc) all bench-build
	tools/bench/bench --build $(abspath $(B)) $(if $(QUICK),--quick) $(if $(TOLERANCE),--timing-tolerance $(TOLERANCE)) $(ROWS)
bench-build: $(B)/bareloop $(B)/cryptoloop $(B)/net_bench.so
$(B)/bareloop: $(B)/tools/bench/bareloop.o
$(B)/cryptoloop: $(B)/tools/bench/cryptoloop.o
$(B)/bareloop $(B)/cryptoloop:
	$(LINK) -o $@ $^ $$(pkg-config --libs libdpdk)
# The bench's source and sink, a DPDK driver. It alone needs headers that Debian does not package.
SOURCE_OBJ := $(patsubst %,$(B)/tools/bench/%.o,source source_burst source_time source_frames source_fifo)
$(SOURCE_OBJ): CFLAGS += -fPIC -fvisibility=hidden -ftls-model=initial-exec -DALLOW_INTERNAL_API -isystem $(B)/dpdk
$(SOURCE_OBJ): | $(B)/dpdk/version
$(B)/dpdk/version:
	tools/bench/headers $(@D)
$(B)/net_bench.so: $(SOURCE_OBJ)
	$(LINK) -shared -o $@ $^ $$(pkg-config --libs libdpdk) -lrte_bus_vdev

help:
	@echo 'sudo make lab       four clouds and a bank on this machine: build, run, show, leave up (lab-down ends it)'
	@echo 'sudo make test      every test; T=core|packet|netns|speed|providers|tunnels one group, N=NAME one test; SAN=1 with ASan and UBSan'
	@echo 'make test-quick     core and packet, no root, under two minutes'
	@echo 'make proof T=NAME   evidence that takes longer: mutants, churn, bfd; its log is committed below tests/proofs/'
	@echo 'make all            lintasd, lintas-keeper, lintasctl in $(B)/'
	@echo 'make deps           install what is missing from Debian'
	@echo 'make bench          compare with the barest loop'
	@echo 'make lint           warnings of clang, format, layering, lists that must agree'
	@echo 'make install        to $$(DESTDIR)$$(PREFIX)'
	@echo 'make clean'

# A second compiler's warnings, then layering, format and the lists that must agree.
lint:
	@$(MAKE) --no-print-directory CC=clang B=build-clang all build-clang/unit build-clang/pktrun
	tools/lint

PREFIX ?= /usr
install: all
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man5 \
		$(DESTDIR)$(PREFIX)/share/man/man8 $(DESTDIR)$(PREFIX)/share/bash-completion/completions \
		$(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/lib/lintas $(DESTDIR)/etc/lintas/keys
	chmod 0700 $(DESTDIR)/etc/lintas/keys
	install -m 0755 $(B)/lintasd $(B)/lintas-keeper $(DESTDIR)$(PREFIX)/sbin
	install -m 0755 $(B)/lintasctl $(DESTDIR)$(PREFIX)/bin
	install -m 0644 $(B)/lintas-xfrm.so $(DESTDIR)$(PREFIX)/lib/lintas
	install -m 0644 tools/man/*.8 $(DESTDIR)$(PREFIX)/share/man/man8
	$(B)/lintasd --man >$(DESTDIR)$(PREFIX)/share/man/man5/lintas.conf.5
	install -m 0644 tools/completion/lintasctl $(DESTDIR)$(PREFIX)/share/bash-completion/completions
	for file in $(PROFILES); do install -D -m 0644 $$file $(DESTDIR)$(PREFIX)/share/lintas/$${file#config/}; done
	install -m 0644 tools/systemd/*.service $(DESTDIR)$(PREFIX)/lib/systemd/system

clean:
	rm -rf build build-san build-clang

.PHONY: all deps test test-quick test-build proof speed-build lab lab-down bench bench-build lint install clean help
-include $(wildcard $(B)/*/*.d $(B)/*/*/*.d $(B)/tsan.d/*/*/*.d)
