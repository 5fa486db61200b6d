/* SPDX-License-Identifier: GPL-2.0 */
/* Functions that dm exports and declares in a header of its own, in all kernels alike. */
#ifndef BLKFILTER_COMPAT_DM_H
#define BLKFILTER_COMPAT_DM_H

struct mapped_device;

void dm_internal_suspend_fast(struct mapped_device *md);
void dm_internal_resume_fast(struct mapped_device *md);

#endif
