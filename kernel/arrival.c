// SPDX-License-Identifier: GPL-2.0
/*
 * Devices arrive, and are offered to the filters that have rules for them.
 *
 * add_dev() of a class interface is called inside device_add(): the block layer has set up the disk or partition, but nobody
 * can have opened it, and its partition table has not been read. It returns when every filter has had its turn. A device
 * that is in the middle of this can't be removed before that, for remove_dev() wants the same lock of the class.
 *
 * What was there before a rule came is offered by a worker of the filter, for the filter's own thread may be the one that
 * adds the rule. Under the class' lock it makes a list of candidates, which keeps their struct device; remove_dev() marks
 * those that are gone, under the bf_lock that an acceptance attaches under. A rule counts for arrivals from before
 * this list begins to be made, so that nothing is left out (in a moment so short that it hardly ever comes something
 * that was declined is offered again). One that comes while it is made has the next run of the worker.
 *
 * A filter has its worker's reference until the list is empty; a dead filter is asked nothing, so that is soon.
 */
#include <linux/device.h>
#include <linux/glob.h>

#include "blkfilter.h"

struct rule {
	struct list_head	node;	/* filter->rules; under bf_lock */
	struct bfuse_match	match;
	bool			counts;	/* for arrivals */
	bool			walking; /* for those that are there: collect() is looking at them */
};

struct candidate {
	struct list_head	node;	/* candidates; under bf_lock */
	struct bf_filter	*filter; /* only compared */
	struct block_device	*bdev;	/* pinned by its struct device */
	bool			gone;
};

static LIST_HEAD(candidates);

static bool is_offerable(const struct block_device *bdev)
{
	const struct gendisk *disk = bdev->bd_disk;

	return !(disk->flags & GENHD_FL_HIDDEN) && !bf_disk_bypasses_bios(disk);
}

static bool rule_matches(const struct rule *rule, struct block_device *bdev)
{
	u32 kind = bdev_is_partition(bdev) ? BFUSE_MATCH_PARTITIONS : BFUSE_MATCH_DISKS;

	if (!(rule->match.flags & kind))
		return false;
	return !rule->match.name[0] || glob_match(rule->match.name, dev_name(&bdev->bd_device));
}

/* Under bf_lock. @arrival: rules count from when their worker begins to look. */
static bool matches(struct bf_filter *f, struct block_device *bdev, bool arrival)
{
	struct rule *rule;

	lockdep_assert_held(&bf_mutex);
	list_for_each_entry(rule, &f->rules, node)
		if ((rule->counts || !arrival) && rule_matches(rule, bdev))
			return true;
	return false;
}

static void offer(struct bf_filter *f, struct block_device *bdev, const bool *gone)
{
	struct bf_upcall call = { .filter = f, .bdev = bdev, .gone = gone, .event.op = BFUSE_EVENT_OFFERED };
	unsigned int noio;
	int result;

	if (!bf_upcall_is_possible(f))
		return;
	noio = bf_lock();
	f->offered++;
	bf_unlock(noio);
	bf_log_call(BFUSE_LOG_OFFERED, &call, 0, 0);
	result = bf_upcall(&call);
	if (result == BFUSE_ANSWER_DECLINE)
		bf_log_call(BFUSE_LOG_DECLINED, &call, call.error, 0);
	bf_upcall_account(&call, result);
}

/* The lowest filter above (*altitude, *id) that has a rule for @bdev, with a reference. */
static struct bf_filter *next_filter(struct block_device *bdev, u32 *altitude, u32 *id)
{
	struct bf_filter *f, *found = NULL;
	unsigned int noio = bf_lock();

	list_for_each_entry(f, &bf_filters, node) {
		if (f->altitude < *altitude || (f->altitude == *altitude && f->id <= *id) || !matches(f, bdev, true))
			continue;
		if (!found || f->altitude < found->altitude)
			found = f;
	}
	if (found) {
		kref_get(&found->ref);
		*altitude = found->altitude;
		*id = found->id;
	}
	bf_unlock(noio);
	return found;
}

static void arrive(struct block_device *bdev)
{
	u32 altitude = 0, id = 0;
	struct bf_filter *f;

	if (!is_offerable(bdev))
		return;
	while ((f = next_filter(bdev, &altitude, &id))) {
		offer(f, bdev, NULL);
		bf_filter_put(f);
	}
}

/* Also for each device that is there when the interface is registered; then there are no filters. */
static int add_dev(BF_CLASS_INTERFACE_ARGS)
{
	arrive(dev_to_bdev(dev));
	return 0;
}

static void void_candidates(struct block_device *bdev)
{
	struct candidate *c;
	unsigned int noio = bf_lock();

	list_for_each_entry(c, &candidates, node)
		if (c->bdev == bdev)
			c->gone = true;
	bf_upcalls_void(bdev);
	bf_unlock(noio);
}

static void remove_dev(BF_CLASS_INTERFACE_ARGS)
{
	struct block_device *bdev = dev_to_bdev(dev);

	void_candidates(bdev);
	bf_device_removed(bdev);
}

static struct class_interface watch = {
	.add_dev = add_dev,
	.remove_dev = remove_dev,
};

/* The block class is not exported; any disk leads to it. */
int bf_arrival_init(void)
{
	struct gendisk *disk = bf_alloc_disk();

	if (IS_ERR(disk))
		return PTR_ERR(disk);
	watch.class = disk_to_dev(disk)->class;
	put_disk(disk);
	return class_interface_register(&watch);
}

void bf_arrival_exit(void)
{
	class_interface_unregister(&watch);
}

/* For whom collect() looks at the devices that are there. */
static DEFINE_MUTEX(collect_mutex);
static struct bf_filter *collector;

static bool is_attached(struct bf_filter *f, struct block_device *bdev)
{
	struct bf_attachment *att;

	list_for_each_entry(att, &f->attachments, of_filter)
		if (att->bdev == bdev && att->state != BFUSE_STATE_LEAVING)
			return true;
	return false;
}

static bool is_new_for(struct bf_filter *f, struct block_device *bdev)
{
	struct rule *rule;

	list_for_each_entry(rule, &f->rules, node)
		if (rule->walking && rule_matches(rule, bdev))
			return true;
	return false;
}

static int collect_dev(BF_CLASS_INTERFACE_ARGS)
{
	struct block_device *bdev = dev_to_bdev(dev);
	struct candidate *c;
	unsigned int noio;

	if (!is_offerable(bdev))
		return 0;
	noio = bf_lock();
	c = is_new_for(collector, bdev) ? kzalloc(sizeof(*c), GFP_KERNEL) : NULL;
	if (c) {
		c->filter = collector;
		c->bdev = bdev;
		get_device(&bdev->bd_device);
		list_add_tail(&c->node, &candidates);
	}
	bf_unlock(noio);
	return 0;
}

/* Rules that don't count yet do so from here on. Returns how many there are. */
static u32 begin_walk(struct bf_filter *f)
{
	unsigned int noio = bf_lock();
	struct rule *rule;
	u32 count = 0;

	list_for_each_entry(rule, &f->rules, node) {
		rule->walking = !rule->counts;
		rule->counts = true;
		count++;
	}
	bf_unlock(noio);
	return count;
}

/* What arrives from here on is not for collect(). */
static void end_walk(struct bf_filter *f)
{
	unsigned int noio = bf_lock();
	struct rule *rule;

	list_for_each_entry(rule, &f->rules, node)
		rule->walking = false;
	bf_unlock(noio);
}

/* Makes candidates of the devices that match new rules of @f. Returns how many rules there were, all of them old now. */
static u32 collect(struct bf_filter *f)
{
	struct class_interface all = { .class = watch.class, .add_dev = collect_dev };
	u32 count;

	mutex_lock(&collect_mutex);
	collector = f;
	count = begin_walk(f);
	/* It can't fail: the class is there as long as @watch is registered. */
	if (class_interface_register(&all))
		all.class = NULL;
	end_walk(f);
	class_interface_unregister(&all);
	mutex_unlock(&collect_mutex);
	return count;
}

static struct candidate *first_candidate(struct bf_filter *f)
{
	struct candidate *c, *found = NULL;
	unsigned int noio = bf_lock();

	list_for_each_entry(c, &candidates, node) {
		if (c->filter != f)
			continue;
		found = c;
		/* Nobody wants it any more, or it got what it wants. */
		if (f->dead || is_attached(f, c->bdev))
			c->gone = true;
		break;
	}
	bf_unlock(noio);
	return found;
}

static void drop_candidate(struct candidate *c)
{
	unsigned int noio = bf_lock();

	list_del(&c->node);
	bf_unlock(noio);
	put_device(&c->bdev->bd_device);
	kfree(c);
}

static void post_matched(struct bf_filter *f, u32 rules)
{
	struct bf_event *ev = kzalloc(sizeof(*ev), GFP_KERNEL | __GFP_NOFAIL);

	ev->op = BFUSE_EVENT_MATCHED;
	ev->tag = rules;
	bf_queue_post_event(f, ev);
}

static void offer_existing(struct work_struct *work)
{
	struct bf_filter *f = container_of(work, struct bf_filter, match_work);
	struct candidate *c;
	u32 rules = collect(f);

	while ((c = first_candidate(f))) {
		if (!READ_ONCE(c->gone))
			offer(f, c->bdev, &c->gone);
		drop_candidate(c);
	}
	post_matched(f, rules);
	bf_filter_put(f);
}

void bf_rules_init(struct bf_filter *f)
{
	INIT_LIST_HEAD(&f->rules);
	INIT_WORK(&f->match_work, offer_existing);
}

void bf_rules_free(struct bf_filter *f)
{
	struct rule *rule, *next;

	list_for_each_entry_safe(rule, next, &f->rules, node)
		kfree(rule);
}

static int add_rule(struct bf_filter *f, struct rule *rule)
{
	unsigned int noio = bf_lock();
	int err = f->dead ? -ESHUTDOWN : f->nr_rules == BFUSE_RULES_MAX ? -ENOSPC : 0;

	if (!err) {
		list_add_tail(&rule->node, &f->rules);
		f->nr_rules++;
	}
	bf_unlock(noio);
	return err;
}

long bf_match(struct bf_filter *f, const struct bfuse_match *arg)
{
	struct rule *rule;
	int err;

	if (!(arg->flags & (BFUSE_MATCH_DISKS | BFUSE_MATCH_PARTITIONS)) ||
	    (arg->flags & ~(BFUSE_MATCH_DISKS | BFUSE_MATCH_PARTITIONS)) ||
	    strnlen(arg->name, sizeof(arg->name)) == sizeof(arg->name) ||
	    memchr_inv(arg->__reserved, 0, sizeof(arg->__reserved)))
		return -EINVAL;
	if (!(f->features & BFUSE_F_EVENTS))
		return -EOPNOTSUPP;
	rule = kzalloc(sizeof(*rule), GFP_KERNEL);
	if (!rule)
		return -ENOMEM;
	rule->match = *arg;
	err = add_rule(f, rule);
	if (err) {
		kfree(rule);
		return err;
	}
	kref_get(&f->ref);
	if (!queue_work(bf_wq, &f->match_work))
		bf_filter_put(f);
	return 0;
}
