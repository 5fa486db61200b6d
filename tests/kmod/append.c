// SPDX-License-Identifier: GPL-2.0
/*
 * Appends data that lie in one piece to a zone, as few segments as can be, for what no file system lets a test ask for. It is loaded
 * for as long as that takes: the error of the append is that of the loading.
 */
#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>

static char *device;
module_param(device, charp, 0);
MODULE_PARM_DESC(device, "its path");

static unsigned long zone;
module_param(zone, ulong, 0);
MODULE_PARM_DESC(zone, "the first sector of a zone, which is empty");

static unsigned int pages = 1;
module_param(pages, uint, 0);
MODULE_PARM_DESC(pages, "how much");

static int append(struct block_device *bdev, struct page *page)
{
	struct bio_vec vec;
	struct bio bio;
	int err;

	bio_init(&bio, bdev, &vec, 1, REQ_OP_ZONE_APPEND | REQ_SYNC);
	bio.bi_iter.bi_sector = zone;
	__bio_add_page(&bio, page, pages << PAGE_SHIFT, 0);
	err = submit_bio_wait(&bio);
	if (!err && bio.bi_iter.bi_sector != zone)
		err = -EILSEQ;
	bio_uninit(&bio);
	return err;
}

static int __init append_init(void)
{
	unsigned int order = get_order(pages << PAGE_SHIFT);
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_COMP, order);
	struct file *file = filp_open(device, O_RDWR | O_EXCL, 0);
	int err = page ? PTR_ERR_OR_ZERO(file) : -ENOMEM;

	if (!err) {
		memset(page_address(page), 'z', pages << PAGE_SHIFT);
		err = append(I_BDEV(file->f_mapping->host), page);
	}
	if (!IS_ERR(file))
		fput(file);
	if (page)
		__free_pages(page, order);
	return err;
}

static void __exit append_exit(void)
{
}

module_init(append_init);
module_exit(append_exit);
MODULE_DESCRIPTION("One append to a zone, for tests of blkfilter");
MODULE_LICENSE("GPL");
