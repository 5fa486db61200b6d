// SPDX-License-Identifier: GPL-2.0
/* A bio in the words of the ABI. Any context. */
#include <linux/blk-cgroup.h>
#include <linux/blk-crypto.h>
#include <linux/cgroup.h>
#include <linux/fs.h>
#include <linux/pagemap.h>

#include "blkfilter.h"

static u8 name_of(enum req_op op)
{
	switch (op) {
	case REQ_OP_READ:
		return BFUSE_OP_READ;
	case REQ_OP_WRITE:
		return BFUSE_OP_WRITE;
	case REQ_OP_FLUSH:
		return BFUSE_OP_FLUSH;
	case REQ_OP_DISCARD:
		return BFUSE_OP_DISCARD;
	case REQ_OP_SECURE_ERASE:
		return BFUSE_OP_SECURE_ERASE;
	case REQ_OP_WRITE_ZEROES:
		return BFUSE_OP_WRITE_ZEROES;
	case REQ_OP_ZONE_APPEND:
		return BFUSE_OP_ZONE_APPEND;
	case REQ_OP_ZONE_RESET:
		return BFUSE_OP_ZONE_RESET;
	case REQ_OP_ZONE_RESET_ALL:
		return BFUSE_OP_ZONE_RESET_ALL;
	case REQ_OP_ZONE_OPEN:
		return BFUSE_OP_ZONE_OPEN;
	case REQ_OP_ZONE_CLOSE:
		return BFUSE_OP_ZONE_CLOSE;
	case REQ_OP_ZONE_FINISH:
		return BFUSE_OP_ZONE_FINISH;
	default:
		return BFUSE_OP_OTHER;
	}
}

/*
 * Is @bio a write of data that whoever submits it need not know of: of a block device's page cache, which read(2), fsync(2) and the
 * checkpoint of a file system's journal write back for all, or of swap? What a process writes to its files, or from its memory, is its own.
 */
bool bf_bio_has_shared_data(const struct bio *bio)
{
	struct address_space *mapping;
	struct inode *host;
	bool shared;

	if (bio_op(bio) != REQ_OP_WRITE || !bio_has_data((struct bio *)bio))
		return false;
	if (bio->bi_opf & REQ_SWAP)
		return true;
	/* The page may just be taken from its mapping, but inodes end under RCU. */
	rcu_read_lock();
	mapping = folio_mapping(page_folio(bio_page(bio)));
	host = mapping ? READ_ONCE(mapping->host) : NULL;
	shared = host && S_ISBLK(host->i_mode);
	rcu_read_unlock();
	return shared;
}

/* By who submits it: all that he writes when he exits is his own. */
bool bf_bio_is_shared(const struct bio *bio)
{
	return !(current->flags & PF_EXITING) && bf_bio_has_shared_data(bio);
}

u8 bf_bio_op(const struct bio *bio)
{
	return name_of((__force enum req_op)__ffs64(bf_op_bit(bio)));
}

/* The kernel's operations that the mask @ops of enum bfuse_op names, as bf_op_bit() has them. */
u64 bf_match_of(u32 ops)
{
	u64 match = 0;
	u32 op;

	for (op = 0; op < 64; op++)
		if (ops & (1u << name_of((__force enum req_op)op)))
			match |= 1ull << op;
	return match;
}

/* Bits of the same mask become shifts: no table, no branches. */
#define FLAG(name)	(opf & REQ_##name ? BFUSE_RQ_##name : 0)

static u32 rare_flags(blk_opf_t opf)
{
	return FLAG(FUA) | FLAG(PREFLUSH) | FLAG(PRIO) | FLAG(RAHEAD) | FLAG(BACKGROUND) | FLAG(POLLED) | FLAG(NOUNMAP) |
	       FLAG(SWAP) | FLAG(ATOMIC) | FLAG(NOMERGE) | FLAG(INTEGRITY) |
	       (opf & REQ_FAILFAST_MASK ? BFUSE_RQ_FAILFAST : 0);
}

static const struct {
	blk_opf_t opf;
	u32 flag;
} flag_map[] = {
	{ REQ_FUA, BFUSE_RQ_FUA },
	{ REQ_PREFLUSH, BFUSE_RQ_PREFLUSH },
	{ REQ_SYNC, BFUSE_RQ_SYNC },
	{ REQ_META, BFUSE_RQ_META },
	{ REQ_PRIO, BFUSE_RQ_PRIO },
	{ REQ_RAHEAD, BFUSE_RQ_RAHEAD },
	{ REQ_BACKGROUND, BFUSE_RQ_BACKGROUND },
	{ REQ_NOWAIT, BFUSE_RQ_NOWAIT },
	{ REQ_POLLED, BFUSE_RQ_POLLED },
	{ REQ_NOUNMAP, BFUSE_RQ_NOUNMAP },
	{ REQ_FAILFAST_MASK, BFUSE_RQ_FAILFAST },
	{ REQ_SWAP, BFUSE_RQ_SWAP },
	{ REQ_ATOMIC, BFUSE_RQ_ATOMIC },
	{ REQ_IDLE, BFUSE_RQ_IDLE },
	{ REQ_NOMERGE, BFUSE_RQ_NOMERGE },
	{ REQ_INTEGRITY, BFUSE_RQ_INTEGRITY },
};

u32 bf_bio_flags(struct bio *bio)
{
	const blk_opf_t rare = REQ_FUA | REQ_PREFLUSH | REQ_PRIO | REQ_RAHEAD | REQ_BACKGROUND | REQ_POLLED | REQ_NOUNMAP |
			       REQ_SWAP | REQ_ATOMIC | REQ_NOMERGE | REQ_INTEGRITY | REQ_FAILFAST_MASK;
	const blk_opf_t opf = bio->bi_opf;
	u32 flags = FLAG(SYNC) | FLAG(META) | FLAG(IDLE) | FLAG(NOWAIT);

	if (unlikely(opf & rare))
		flags |= rare_flags(opf);
	if (bio_has_crypt_ctx(bio))
		flags |= BFUSE_RQ_ENCRYPTED;
	return flags;
}

/* The reverse, as far as bi_opf tells. */
blk_opf_t bf_opf_of(u32 flags)
{
	blk_opf_t opf = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flag_map); i++)
		if (flags & flag_map[i].flag)
			opf |= flag_map[i].opf;
	return opf;
}

/* A bio for a partition counts from the partition's start until the block layer has remapped it (BIO_REMAPPED). */
u64 bf_bio_sector(struct bio *bio, const struct bf_attachment *att)
{
	u64 sector = bio->bi_iter.bi_sector;
	bool of_disk = bio_flagged(bio, BIO_REMAPPED);

	if (att->is_part)
		return of_disk ? sector - bio->bi_bdev->bd_start_sect : sector;
	return of_disk ? sector : sector + bio->bi_bdev->bd_start_sect;
}

u64 bf_bio_cgroup(struct bio *bio)
{
#ifdef CONFIG_BLK_CGROUP
	struct cgroup_subsys_state *css = bio_blkcg_css(bio);

	return css && css->cgroup ? cgroup_id(css->cgroup) : 0;
#else
	return 0;
#endif
}

static bool past_end(struct bio *bio)
{
	u64 capacity = bdev_nr_sectors(bio->bi_bdev);
	u64 sectors = bio_sectors(bio);

	if (bio_flagged(bio, BIO_REMAPPED))
		capacity += bio->bi_bdev->bd_start_sect;
	return sectors && (sectors > capacity || bio->bi_iter.bi_sector > capacity - sectors);
}

/* Will submit_bio_noacct() refuse it anyway? Then no filter is asked, and the block layer gives its own error. */
bool bf_bio_is_refused(struct bio *bio)
{
	if (past_end(bio))
		return true;

	switch (bio_op(bio)) {
	case REQ_OP_READ:
	case REQ_OP_WRITE:
		return (bio->bi_opf & REQ_NOWAIT) && !bdev_nowait(bio->bi_bdev);
	case REQ_OP_DISCARD:
		return !bdev_max_discard_sectors(bio->bi_bdev);
	case REQ_OP_SECURE_ERASE:
		return !bdev_max_secure_erase_sectors(bio->bi_bdev);
	case REQ_OP_WRITE_ZEROES:
		return !bdev_write_zeroes_sectors(bio->bi_bdev);
	case REQ_OP_FLUSH:
	case REQ_OP_DRV_IN:
	case REQ_OP_DRV_OUT:
		return true;
	default:
		return !bdev_is_zoned(bio->bi_bdev);
	}
}
