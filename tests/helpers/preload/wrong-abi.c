// SPDX-License-Identifier: MIT
/* Preloaded, makes a program meet a module of another ABI, or with WRONG_ABI=filter makes the module meet such a program. */
#include <dlfcn.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "../../../include/uapi/blkfilter.h"

int ioctl(int fd, unsigned long request, ...)
{
	const char *who = getenv("WRONG_ABI");
	int (*real)(int, unsigned long, ...) = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
	va_list arguments;
	void *argument;
	int ret;

	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	if (request == BFUSE_REGISTER && who && !strcmp(who, "filter"))
		((struct bfuse_register *)argument)->abi = 99;
	ret = real(fd, request, argument);
	if (request == BFUSE_GET_INFO && who && !strcmp(who, "module"))
		((struct bfuse_info *)argument)->abi = 99;
	return ret;
}
