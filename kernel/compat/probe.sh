#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Writes a header of HAVE_* for the kernel whose compiler command line is in the arguments: probe.sh OUTPUT CC FLAGS...
# A feature is there when its few lines compile. A base case that must compile guards against broken flags, with which
# every feature would seem to be missing.
set -eu

output=$1
shift
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

cc=$1
shift
flags=$*

probe() { # NAME CODE
	name=$1 code=$2
	# The flags are a list of words by kbuild's making.
	# shellcheck disable=SC2086
	if run "$code" $flags; then
		echo "#define HAVE_$name 1"
	fi
}

run() { # CODE FLAGS...
	code=$1
	shift
	printf '#include <linux/module.h>\n#include <linux/blkdev.h>\n#include <linux/ftrace.h>\n#include <linux/mm.h>\n%s\n' \
		"$code" >"$dir/probe.c"
	"$cc" "$@" -Werror -Wno-unused -Wno-missing-prototypes -Wno-missing-declarations \
		-c -o "$dir/probe.o" "$dir/probe.c" 2>"$dir/log"
}

# shellcheck disable=SC2086
if ! run 'int base;' $flags; then
	echo "probe.sh: the kernel's headers don't compile:" >&2
	cat "$dir/log" >&2
	exit 1
fi

{
	echo '/* Made by probe.sh. */'
	probe VM_FLAGS_SET 'void f(struct vm_area_struct *v) { vm_flags_set(v, VM_IO); }'
	probe FTRACE_REGS_SET_INSTRUCTION_POINTER '#ifndef ftrace_regs_set_instruction_pointer
#error
#endif'
	probe FTRACE_REGS_GET_ARGUMENT 'unsigned long f(struct ftrace_regs *r) { return ftrace_regs_get_argument(r, 0); }'
	probe RW_PAGE 'void *f(struct block_device_operations *o) { return o->rw_page; }'
	probe BI_WRITE_HINT 'int f(struct bio *b) { return b->bi_write_hint; }'
	probe BI_WRITE_STREAM 'int f(struct bio *b) { return b->bi_write_stream; }'
	probe BI_OFFSET 'int f(struct bvec_iter i) { return i.bi_offset; }'
	probe BLK_ALLOC_DISK_LIMITS 'struct gendisk *f(void) { return blk_alloc_disk(NULL, NUMA_NO_NODE); }'
	probe BDEV_FILE_OPEN 'void f(dev_t d) { bdev_fput(bdev_file_open_by_dev(d, BLK_OPEN_READ, NULL, NULL)); }'
	probe BDEV_HANDLE 'void f(dev_t d) { bdev_release(bdev_open_by_dev(d, BLK_OPEN_READ, NULL, NULL)); }'
	probe BLK_HOLDER_OPS 'void *f(dev_t d) { return blkdev_get_by_dev(d, BLK_OPEN_READ, NULL, (const struct blk_holder_ops *)NULL); }'
	probe BDEV_FREEZE 'int f(struct block_device *b) { return bdev_freeze(b); }'
	probe FREEZE_QUEUE_NON_OWNER '#include <linux/blk-mq.h>
void f(struct request_queue *q) { blk_freeze_queue_start_non_owner(q); blk_mq_unfreeze_queue_non_owner(q); }'
	probe BDEV_CAN_ATOMIC_WRITE 'bool f(struct block_device *b) { return bdev_can_atomic_write(b); }'
	probe BD_HAS_SUBMIT_BIO 'int f(struct block_device *b) { return atomic_read(&b->__bd_flags) & BD_HAS_SUBMIT_BIO; }'
	probe ZONE_WRITE_PLUGGING 'int f(struct bio *b) { return bio_flagged(b, BIO_ZONE_WRITE_PLUGGING); }'
	probe CLASS_INTERFACE_ARG 'int f(struct class_interface *i, struct device *d) { return i->add_dev(d, i); }'
	probe IO_URING_CMD_H '#include <linux/io_uring/cmd.h>'
	probe URING_CANCEL '#include <linux/io_uring/cmd.h>
int f(void) { return IO_URING_F_CANCEL; }'
	probe URING_SQE_TYPE '#include <linux/io_uring/cmd.h>
const int *f(struct io_uring_cmd *c) { return io_uring_sqe_cmd(c->sqe, int); }'
	probe URING_TW_REQ '#include <linux/io_uring/cmd.h>
struct io_uring_cmd *f(struct io_tw_req r) { return io_uring_cmd_from_tw(r); }'
	probe URING_DONE_3 '#include <linux/io_uring/cmd.h>
void f(struct io_uring_cmd *c) { io_uring_cmd_done(c, 0, 0u); }'
	probe WQ_PERCPU '#include <linux/workqueue.h>
int f(void) { return WQ_PERCPU; }'
} >"$output.tmp"
mv "$output.tmp" "$output"
