// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * What sysfs knows of a device beyond the offer: serial number and model. The kernel module has no access to it: each kind
 * of driver keeps them elsewhere.
 */
#include "internal.h"

#include <ctype.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Relative to the directory of the disk; the first that is there counts. */
static const char *const serials[] = { "serial", "device/serial", "device/vpd_pg80", "dm/uuid", "md/uuid" };
static const char *const models[] = { "device/model", "device/name", "dm/name" };

/* Binary, as SCSI has it: four bytes, then the text. */
#define VPD_HEADER 4

static bool is_vpd(const char *name)
{
	return strstr(name, "vpd_pg");
}

/* Without the blanks around it, and what can't be printed becomes '?'. */
static void tidy(char *text)
{
	size_t length = strlen(text), start = 0, i;

	while (length && isspace((unsigned char)text[length - 1]))
		text[--length] = '\0';
	while (isspace((unsigned char)text[start]))
		start++;
	memmove(text, text + start, length - start + 1);
	for (i = 0; text[i]; i++) {
		if (!isprint((unsigned char)text[i]))
			text[i] = '?';
	}
}

static bool read_attribute(const struct bfuse_offer *offer, const char *name, char *text, size_t size)
{
	char path[96], buffer[256];
	size_t skip = is_vpd(name) ? VPD_HEADER : 0;
	ssize_t bytes;
	int fd;

	snprintf(path, sizeof(path), "/sys/dev/block/%u:%u/%s", offer->disk_major, offer->disk_minor, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	bytes = read(fd, buffer, sizeof(buffer));
	close(fd);
	if (bytes <= (ssize_t)skip)
		return false;
	bytes -= (ssize_t)skip;
	if ((size_t)bytes >= size)
		bytes = (ssize_t)size - 1;
	memcpy(text, buffer + skip, (size_t)bytes);
	text[bytes] = '\0';
	tidy(text);
	return *text;
}

void bfuse__read_identity(struct bfuse_arrival *device)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(serials); i++) {
		if (read_attribute(&device->offer, serials[i], device->serial, sizeof(device->serial)))
			break;
	}
	for (i = 0; i < ARRAY_SIZE(models); i++) {
		if (read_attribute(&device->offer, models[i], device->model, sizeof(device->model)))
			break;
	}
}
