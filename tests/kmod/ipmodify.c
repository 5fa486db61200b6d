// SPDX-License-Identifier: GPL-2.0
/* Somebody else who redirects submit_bio_noacct(), as a livepatch or another filter would; this one redirects nothing. */
#include <linux/blkdev.h>
#include <linux/ftrace.h>
#include <linux/module.h>

static void notrace callback(unsigned long ip, unsigned long parent_ip, struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
}

static struct ftrace_ops ops = {
	.func = callback,
	.flags = FTRACE_OPS_FL_IPMODIFY | FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_RECURSION,
};

static int __init ipmodify_init(void)
{
	int err = ftrace_set_filter_ip(&ops, (unsigned long)submit_bio_noacct, 0, 0);

	if (!err)
		err = register_ftrace_function(&ops);
	if (err)
		ftrace_free_filter(&ops);
	return err;
}

static void __exit ipmodify_exit(void)
{
	unregister_ftrace_function(&ops);
	ftrace_free_filter(&ops);
}

module_init(ipmodify_init);
module_exit(ipmodify_exit);
MODULE_DESCRIPTION("Second owner of submit_bio_noacct, for tests of blkfilter");
MODULE_LICENSE("GPL");
