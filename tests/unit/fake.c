// SPDX-License-Identifier: GPL-2.0
#include "fake.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define QUEUE_BYTES (1u << 20)
#define OFF_REQUESTS 4096u
#define OFF_VERDICTS (256u << 10)
#define OFF_SLOTS (512u << 10)

struct fake fake;
char log_lines[8192];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned char *memory;
static bool wake[BFUSE_QUEUES_MAX];
static unsigned int asleep;

int __wrap_open(const char *path, int flags, ...);
int __real_open(const char *path, int flags, ...);
int __wrap_ioctl(int fd, unsigned long request, void *argument);

void fake_reset(void)
{
	memset(&fake, 0, sizeof(fake));
	memset(wake, 0, sizeof(wake));
	asleep = 0;
	memset(log_lines, 0, sizeof(log_lines));
	fake.abi = BFUSE_ABI_VERSION;
	memory = NULL;
}

struct bfuse_queue_head *fake_head(unsigned int queue)
{
	return (void *)(memory + (size_t)queue * QUEUE_BYTES);
}

static size_t queues_bytes(void)
{
	return (size_t)fake.reg.nr_queues * QUEUE_BYTES;
}

/* Behind the queues. */
static size_t windows_bytes(void)
{
	return (size_t)fake.reg.nr_queues * fake.reg.depth * fake.reg.window_size;
}

void *fake_window(unsigned int queue, uint64_t tag)
{
	size_t nr = (size_t)queue * fake.reg.depth + tag % fake.reg.depth;

	return memory + queues_bytes() + nr * fake.reg.window_size;
}

static struct bfuse_request *requests(unsigned int queue)
{
	return (void *)((char *)fake_head(queue) + OFF_REQUESTS);
}

static struct bfuse_verdict *verdicts(unsigned int queue)
{
	return (void *)((char *)fake_head(queue) + OFF_VERDICTS);
}

static struct timespec in_5_s(void)
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	time.tv_sec += 5;
	return time;
}

static void wait_for_change(void)
{
	struct timespec time = in_5_s();

	if (!pthread_cond_timedwait(&changed, &lock, &time))
		return;
	fprintf(stderr, "nothing happens\n");
	abort(); /* any thread may come here; Check's assertions are for the test's own */
}

void fake_push(unsigned int queue, const struct bfuse_request *entry)
{
	struct bfuse_queue_head *head = fake_head(queue);
	uint32_t tail = head->request_tail;

	pthread_mutex_lock(&lock);
	while (tail - __atomic_load_n(&head->request_head, __ATOMIC_ACQUIRE) >= fake.reg.entries)
		wait_for_change();
	requests(queue)[tail & (fake.reg.entries - 1)] = *entry;
	__atomic_store_n(&head->request_tail, tail + 1, __ATOMIC_RELEASE);
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

void fake_request(unsigned int queue, unsigned int op, uint64_t tag, uint64_t sector, uint32_t length)
{
	struct bfuse_request entry = { .kind = BFUSE_REQUEST, .op = op, .tag = tag, .sector = sector, .length = length };

	fake_push(queue, &entry);
}

void fake_event(unsigned int event, uint32_t attachment, int status)
{
	struct bfuse_request entry = { .kind = BFUSE_EVENT, .op = event, .attachment = attachment, .status = status };

	fake_push(0, &entry);
}

void fake_call(unsigned int event, uint32_t attachment, uint64_t cookie)
{
	struct bfuse_request entry = { .kind = BFUSE_EVENT, .op = event, .attachment = attachment, .tag = cookie };

	fake_push(0, &entry);
}

void fake_wait_answers(unsigned int count)
{
	pthread_mutex_lock(&lock);
	while (fake.nr_answers < count)
		wait_for_change();
	pthread_mutex_unlock(&lock);
}

void fake_done(unsigned int queue, uint64_t tag, int status)
{
	struct bfuse_request entry = { .kind = BFUSE_DONE, .tag = tag, .status = status };

	fake_push(queue, &entry);
}

void fake_wait_verdicts(unsigned int count)
{
	pthread_mutex_lock(&lock);
	while (fake.nr_verdicts < count)
		wait_for_change();
	pthread_mutex_unlock(&lock);
}

int __wrap_open(const char *path, int flags, ...)
{
	if (strcmp(path, BFUSE_PATH) != 0)
		return __real_open(path, flags);
	if (fake.open_error) {
		errno = fake.open_error;
		return -1;
	}
	return memfd_create("blkfilter", MFD_CLOEXEC);
}

static int do_register(int fd, struct bfuse_register *reg)
{
	unsigned int i;

	if (reg->name[0] == '!')
		return EINVAL;
	reg->entries = reg->depth * 2;
	reg->queue_bytes = QUEUE_BYTES;
	reg->off_requests = OFF_REQUESTS;
	reg->off_verdicts = OFF_VERDICTS;
	reg->off_slots = OFF_SLOTS;
	fake.reg = *reg;
	reg->off_windows = queues_bytes();
	if (ftruncate(fd, (off_t)(queues_bytes() + windows_bytes())) < 0)
		return errno;
	memory = mmap(NULL, queues_bytes() + windows_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	for (i = 0; i < reg->nr_queues; i++) {
		fake_head(i)->request_head = fake.start;
		fake_head(i)->request_tail = fake.start;
		fake_head(i)->verdict_head = fake.start;
		fake_head(i)->verdict_tail = fake.start;
	}
	return 0;
}

/* Under the lock. Returns EINVAL at the refused one. */
static int apply_verdicts(struct bfuse_enter *enter)
{
	struct bfuse_queue_head *head = fake_head(enter->queue);

	while (head->verdict_head != __atomic_load_n(&head->verdict_tail, __ATOMIC_ACQUIRE)) {
		uint32_t index = head->verdict_head;
		const struct bfuse_verdict *verdict = &verdicts(enter->queue)[index & (fake.reg.entries - 1)];
		bool refused = fake.refuse && verdict->tag == fake.refuse;

		if (!refused)
			fake.verdicts[fake.nr_verdicts++ % FAKE_MAX] = *verdict;
		__atomic_store_n(&head->verdict_head, index + 1, __ATOMIC_RELEASE);
		if (refused) {
			enter->reason = BFUSE_REASON_STATE;
			enter->entry = index;
			return EINVAL;
		}
		enter->verdicts++;
	}
	return 0;
}

static bool is_over(const struct bfuse_enter *enter)
{
	const struct bfuse_queue_head *head = fake_head(enter->queue);
	uint32_t ready = head->request_tail - __atomic_load_n(&head->request_head, __ATOMIC_ACQUIRE);

	if (fake.shut || ready >= enter->min_requests)
		return true;
	if (!wake[enter->queue])
		return false;
	wake[enter->queue] = false;
	return true;
}

static int do_enter(struct bfuse_enter *enter)
{
	int err;

	pthread_mutex_lock(&lock);
	fake.enters++;
	if (enter->flags & BFUSE_ENTER_WAKE)
		wake[enter->queue] = true;
	err = fake.shut ? ESHUTDOWN : apply_verdicts(enter);
	asleep++;
	pthread_cond_broadcast(&changed);
	while (!err && !is_over(enter))
		wait_for_change();
	asleep--;
	pthread_mutex_unlock(&lock);
	return err;
}

/* Under the lock. */
static bool all_sleep(void)
{
	unsigned int i;

	for (i = 0; i < fake.reg.nr_queues; i++)
		if (wake[i] || fake_head(i)->request_tail != __atomic_load_n(&fake_head(i)->request_head, __ATOMIC_ACQUIRE))
			return false;
	return asleep == fake.reg.nr_queues;
}

/* Fails, but only when nobody is attached any more, and every thread waits. */
static int do_inject(void)
{
	pthread_mutex_lock(&lock);
	fake.injects++;
	pthread_cond_broadcast(&changed);
	while (!fake.detached || !all_sleep())
		wait_for_change();
	pthread_mutex_unlock(&lock);
	return ENOENT;
}

void fake_wait_injects(unsigned int count)
{
	pthread_mutex_lock(&lock);
	while (fake.injects < count)
		wait_for_change();
	pthread_mutex_unlock(&lock);
}

static int do_data(const struct bfuse_data *data)
{
	if (!(data->flags & BFUSE_DATA_STORE)) {
		memset((void *)(uintptr_t)data->address, fake.fill, data->length);
		return 0;
	}
	memcpy(fake.stored + data->offset, (void *)(uintptr_t)data->address, data->length);
	fake.stored_bytes += data->length;
	return 0;
}

static int do_next(struct bfuse_next *next)
{
	if (next->attachment)
		return ENOENT;
	*next = fake.owner;
	next->attachment = 1;
	return fake.owner.name[0] ? 0 : ENOENT;
}

/* The entries from fake.log_first on, of which there are two. */
static int do_log(struct bfuse_log *log)
{
	if (fake.log_error)
		return fake.log_error;
	if (log->seq < fake.log_first)
		log->seq = fake.log_first;
	if (log->seq >= fake.log_first + 2)
		return ENOENT;
	memset(log->name, 'n', sizeof(log->name));
	return 0;
}

static int do_match(const struct bfuse_match *match)
{
	if (fake.match_error)
		return fake.match_error;
	fake.match = *match;
	fake_call(BFUSE_EVENT_MATCHED, 0, ++fake.matches);
	return 0;
}

static int do_offer(struct bfuse_offer *offer)
{
	uint64_t cookie = offer->cookie;

	*offer = fake.offer;
	offer->cookie = cookie;
	return fake.offer.device[0] ? 0 : ENOENT;
}

static int do_answer(struct bfuse_answer *given)
{
	pthread_mutex_lock(&lock);
	fake.answers[fake.nr_answers++ % 16] = *given;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	if (given->answer == BFUSE_ANSWER_ACCEPT && !fake.attach_error)
		given->attachment = ++fake.attachments;
	return given->answer == BFUSE_ANSWER_ACCEPT ? fake.attach_error : 0;
}

/* READ. */
static int do_mark(struct bfuse_mark *arg)
{
	uint64_t bytes = (fake.mark.chunks + 63) / 64 * 8, n = arg->offset < bytes ? bytes - arg->offset : 0;

	if (n > arg->length)
		n = arg->length;
	memcpy((void *)(uintptr_t)arg->address, (char *)fake.marks + arg->offset, n);
	arg->length = n;
	arg->generation = fake.mark.generation;
	return 0;
}

static int answer(int fd, unsigned long request, void *argument)
{
	struct bfuse_info *info = argument;
	struct bfuse_attach *attach = argument;

	switch (request) {
	case BFUSE_GET_INFO:
		info->abi = fake.abi;
		info->features = fake.features;
		return 0;
	case BFUSE_MARK:
		return do_mark(argument);
	case BFUSE_REGISTER:
		return do_register(fd, argument);
	case BFUSE_ATTACH:
		fake.attach = *attach;
		attach->attachment = fake.attach_error ? 0 : ++fake.attachments;
		return fake.attach_error;
	case BFUSE_DETACH:
		fake.detached++;
		if (memory && !fake.shut)
			fake_event(BFUSE_EVENT_DETACHED, ((struct bfuse_detach *)argument)->attachment, 0);
		return 0;
	case BFUSE_TARGET:
		((struct bfuse_target *)argument)->target = ++fake.targets;
		return fake.target_error;
	case BFUSE_UNTARGET:
		return fake.target_error;
	case BFUSE_ENTER:
		return do_enter(argument);
	case BFUSE_DATA:
		return do_data(argument);
	case BFUSE_INJECT:
		return do_inject();
	case BFUSE_NEXT:
		return do_next(argument);
	case BFUSE_LOG:
		return do_log(argument);
	case BFUSE_MATCH:
		return do_match(argument);
	case BFUSE_OFFER:
		return do_offer(argument);
	case BFUSE_ANSWER:
		return do_answer(argument);
	default:
		return ENOTTY;
	}
}

int __wrap_ioctl(int fd, unsigned long request, void *argument)
{
	int err = answer(fd, request, argument);

	errno = err ? err : errno;
	return err ? -1 : 0;
}

static void collect(void *user, int level, const char *line)
{
	(void)user;
	(void)level;
	strncat(log_lines, line, sizeof(log_lines) - strlen(log_lines) - 1);
	strncat(log_lines, "\n", sizeof(log_lines) - strlen(log_lines) - 1);
}

struct bfuse *new_handle(void)
{
	struct bfuse *bfuse = bfuse_new();

	ck_assert_ptr_nonnull(bfuse);
	bfuse_set_log(bfuse, collect, NULL);
	ck_assert_int_eq(bfuse_open(bfuse), 0);
	return bfuse;
}
