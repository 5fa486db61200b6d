// SPDX-License-Identifier: GPL-2.0
/*
 * Who has a filter's file. A filter dies when the process that serves it exits, and with its last descriptor. The kernel counts references
 * to a file: descriptors, and what else has the file for a while, which are mappings, calls, and commands of io_uring. Those are counted
 * here, so that the difference is the descriptors.
 *
 * Each count has in its upper half how often it went up. Who reads all of them, then the file's own, and all of them once more and finds
 * the same, knows that none came or went meanwhile: each has its reference from before it is counted until after it is not.
 * So no descriptor is ever overlooked. The other way round, what is not counted passes for a descriptor: a call that is about to begin or
 * has just ended, poll(2), two who close at the same time. Then nobody hears of the last close, and the filter's watch looks again.
 */
#include <linux/file.h>
#include <linux/fs.h>

#include "blkfilter.h"

static u64 count(const struct bf_filter *f)
{
	u64 sum = atomic64_read(&f->mappings) + atomic64_read(&f->calls);
	u32 i;

	for (i = 0; i < f->nr_queues; i++)
		sum += atomic64_read(&f->queues[i].calls);
	return sum;
}

/* LONG_MAX: they come and go too fast, so there are some. */
static long descriptors(const struct bf_filter *f, struct file *file)
{
	unsigned int tries;
	u64 others;
	long all;

	for (tries = 0; tries < 1000; tries++) {
		others = count(f);
		/* This, and the next: pair with bf_ref_count() and bf_ref_uncount(). */
		smp_rmb();
		all = file_count(file);
		/* See above. */
		smp_rmb();
		if (count(f) == others)
			return all - (u32)others;
	}
	return LONG_MAX;
}

/*
 * A process closes a descriptor of @file, or exits. The serving process' exit is the death, whoever else has the file.
 * Its close is, if that was the last descriptor.
 */
void bf_filter_closing(struct bf_filter *f, struct file *file, void *files)
{
	bool last = descriptors(f, file) <= 1;
	const void *server;

	/* After the counts: whose calls are among them has been noted. */
	smp_rmb();
	server = READ_ONCE(f->server_files);
	if (server && server != files)
		return;
	if ((server && (current->flags & PF_EXITING)) || last)
		bf_filter_die(f);
}

/* Has nobody a descriptor any more, though it was never told? May sleep. */
bool bf_filter_is_lost(struct bf_filter *f)
{
	unsigned int noio = bf_lock();
	bool lost = f->file && !descriptors(f, f->file);

	bf_unlock(noio);
	return lost;
}

/* The last reference to the file is gone. May sleep. */
void bf_filter_released(struct bf_filter *f)
{
	unsigned int noio = bf_lock();

	f->file = NULL;
	bf_unlock(noio);
	bf_filter_die(f);
	bf_filter_put(f);
}
