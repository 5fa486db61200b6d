# SPDX-License-Identifier: LGPL-2.1 OR MIT
# What all Makefiles of user space share.  TOP is set by the includer.
O ?= $(TOP)/build
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
CFLAGS ?= -O2 -g
AR ?= ar
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Werror
# The library is beside a program's directory in the build, and above it once installed to lib/blkfilter.
RPATH := -Wl,-rpath,'$$ORIGIN/../lib:$$ORIGIN/..'
ALL_CFLAGS := -std=gnu11 -D_GNU_SOURCE $(WARNINGS) -I$(TOP)/include/uapi -I$(TOP)/libbfuse -MMD -MP $(CFLAGS)

.DELETE_ON_ERROR:
.DEFAULT_GOAL := all
