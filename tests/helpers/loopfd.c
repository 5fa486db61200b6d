// SPDX-License-Identifier: MIT
/* Exchanges the file of a read-only loop device while it is in use: loopfd DEVICE change FILE */
#include <err.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <string.h>
#include <sys/ioctl.h>

int main(int argc, char **argv)
{
	int loop, file;

	if (argc != 4 || strcmp(argv[2], "change"))
		errx(2, "usage: loopfd DEVICE change FILE");
	loop = open(argv[1], O_RDONLY);
	file = open(argv[3], O_RDONLY);
	if (loop < 0 || file < 0)
		err(1, "open");
	if (ioctl(loop, LOOP_CHANGE_FD, file))
		err(1, "LOOP_CHANGE_FD");
	return 0;
}
