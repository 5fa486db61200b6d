// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Failures and messages: what bfuse_error() says, and what goes to the log callback.
 */
#include "internal.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/ioctl.h>

int bfuse__ioctl(const struct bfuse *bfuse, unsigned long request, void *argument)
{
	if (bfuse->confined && !bfuse__serves(request))
		return -EPERM;
	return ioctl(bfuse->fd, request, argument) < 0 ? -errno : 0;
}

int bfuse__fail(struct bfuse *bfuse, int err, enum bfuse_exit status, const char *format, ...)
{
	va_list arguments;

	pthread_mutex_lock(&bfuse->lock);
	va_start(arguments, format);
	vsnprintf(bfuse->error, sizeof(bfuse->error), format, arguments);
	va_end(arguments);
	bfuse->exit_status = status;
	pthread_mutex_unlock(&bfuse->lock);
	return err;
}

void bfuse__log(struct bfuse *bfuse, int level, const char *format, ...)
{
	char line[BFUSE_ERROR_MAX];
	va_list arguments;

	if (!bfuse->log)
		return;
	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	bfuse->log(bfuse->log_user, level, line);
}

const char *bfuse_error(const struct bfuse *bfuse)
{
	return bfuse->error;
}

int bfuse_exit_status(const struct bfuse *bfuse)
{
	return bfuse->exit_status;
}
