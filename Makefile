# SPDX-License-Identifier: GPL-2.0
# blkfilter: filters of live block devices in user space.
#
#	make demo		the main job on a live file system, in a guest
#	make check		everything is proven; T=NAME one guest test alone, K=6.1|6.12|7.3|debug the kernel of the guests
#	make bench		instructions per I/O on 6.1, 6.12 and 7.3, beside Device Mapper, nbd and ublk
#	make			library, tool, examples, and the module for the running kernel if its headers are there
#	make install		into DESTDIR and PREFIX, with the module's source for DKMS; make uninstall
#	make debug-kernel	a kernel with KASAN, lockdep, kmemleak and fault injection, for K=debug
#
# What is built goes to build/. The targets of the first three lines install what they need when run as root.

K		?= 6.1
PREFIX		?= /usr/local
VERSION		:= $(shell cat VERSION)
B		:= $(CURDIR)/build
KDIR		?= /lib/modules/$(shell uname -r)/build
USER_DIRS	:= libbfuse examples $(if $(wildcard tools/Makefile),tools)
DKMS_DIR	:= /usr/src/blkfilter-$(VERSION)

# The other makefiles run in their own directories.
override DESTDIR := $(if $(DESTDIR),$(abspath $(DESTDIR)))

SUBMAKE		= $(MAKE) --no-print-directory O=$(B) PREFIX=$(PREFIX) DESTDIR=$(DESTDIR)

.PHONY: all user module module-for payload check demo bench debug-kernel install uninstall clean $(USER_DIRS) test-programs

all: user module

user: $(USER_DIRS)

examples tools test-programs: libbfuse

$(USER_DIRS):
	@$(SUBMAKE) -C $@

test-programs:
	@$(SUBMAKE) -C tests/helpers

# The module for this machine's own kernel. Without its headers there is still everything else.
module:
	@if [ -e $(KDIR)/Makefile ]; then scripts/module $(KDIR) $(B)/module/host; else \
		echo "no kernel headers at $(KDIR): the module is not built (apt-get install linux-headers-$$(uname -r))"; fi

# The module and all that runs in a guest with kernel $(K), or with tests/vm/run --host: K=host.
payload: user test-programs
	@KDIR=$(KDIR) scripts/kernel $(K)
	@scripts/module $(B)/kernel/$(K)/headers $(B)/module/$(K)
	@scripts/payload $(K)

check:
	@K=$(K) scripts/deps check
	@K=$(K) T="$(T)" tests/check

demo:
	@K=$(K) scripts/deps demo
	@$(MAKE) -s --no-print-directory payload K=$(K)
	@tests/demo/run $(K)

bench:
	@scripts/deps bench
	@for k in 6.1 6.12 7.3; do $(MAKE) -s --no-print-directory payload K=$$k || exit 1; done
	@tests/bench/run

debug-kernel:
	@scripts/deps debug-kernel
	@scripts/kernel debug

install: user
	@for d in $(USER_DIRS); do $(SUBMAKE) -C $$d install || exit 1; done
	install -D -m 644 include/uapi/blkfilter.h $(DESTDIR)$(PREFIX)/include/blkfilter.h
	install -D -m 644 docs/bfuse.8 $(DESTDIR)$(PREFIX)/share/man/man8/bfuse.8
	install -d $(DESTDIR)$(DKMS_DIR)
	rm -rf $(DESTDIR)$(DKMS_DIR)/kernel $(DESTDIR)$(DKMS_DIR)/include
	cp -r kernel include VERSION $(DESTDIR)$(DKMS_DIR)/
	sed 's/@VERSION@/$(VERSION)/' dkms.conf.in >$(DESTDIR)$(DKMS_DIR)/dkms.conf
	@[ -n "$(DESTDIR)" ] || { ldconfig; scripts/install-module $(VERSION); }

uninstall:
	@if [ -z "$(DESTDIR)" ] && command -v dkms >/dev/null && [ -d /var/lib/dkms/blkfilter/$(VERSION) ]; then \
		dkms remove blkfilter/$(VERSION) --all; fi
	@for d in $(USER_DIRS); do $(SUBMAKE) -C $$d uninstall || exit 1; done
	rm -f $(DESTDIR)$(PREFIX)/include/blkfilter.h $(DESTDIR)$(PREFIX)/share/man/man8/bfuse.8
	rm -rf $(DESTDIR)$(DKMS_DIR)
	@if [ -z "$(DESTDIR)" ]; then rm -f /lib/modules/*/updates/blkfilter.ko; depmod -a || true; ldconfig; fi

# The kernels take long to get; they stay. make distclean takes them too.
clean:
	rm -rf $(B)/lib $(B)/bin $(B)/obj $(B)/module $(B)/payload $(B)/out

distclean:
	rm -rf $(B)
