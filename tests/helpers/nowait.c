// SPDX-License-Identifier: MIT
/* Reads 4 KiB with RWF_NOWAIT, directly: nowait DEVICE OFFSET */
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/uio.h>

int main(int argc, char **argv)
{
	struct iovec iov = { .iov_len = 4096 };
	int fd;

	if (argc != 3)
		errx(2, "usage: nowait DEVICE OFFSET");
	fd = open(argv[1], O_RDONLY | O_DIRECT);
	if (fd < 0 || posix_memalign(&iov.iov_base, 4096, 4096))
		err(1, "%s", argv[1]);
	if (preadv2(fd, &iov, 1, strtoll(argv[2], NULL, 10), RWF_NOWAIT) != 4096)
		err(1, "%s: %s", argv[1], argv[2]);
	return 0;
}
