/* The medium: the durable image, the volatile cache before it, and the log of all writes.
 *
 * A write is answered when it is in the cache and durable when a flush has applied it to the image.
 * The cache is bounded like a drive's: beyond that the oldest writes reach the image by themselves,
 * which a power cut may do to any of them anyway.
 */
#include "hdd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

struct pending {
    uint64_t sequence, time_ns, offset, length;
    char *data;
};

/* A record of the log and of a power cut's pending file; data follows a write. Little-endian. */
struct log_record {
    uint64_t sequence, time_ns, offset;
    uint32_t length, kind;
};

_Static_assert(sizeof(struct log_record) == 32, "lab.py reads this layout");

static pthread_mutex_t media_lock = PTHREAD_MUTEX_INITIALIZER;
static int image_fd = -1, log_fd = -1;
static struct pending *cache;
static size_t cache_begin, cache_end, cache_room;
static uint64_t cached_bytes, next_sequence = 1;
static bool frozen; /* after a power cut nothing changes the image or the log */

int media_open(const char *image_path, const char *log_path)
{
    image_fd = open(image_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (image_fd < 0 || ftruncate(image_fd, model.size_bytes) < 0)
        return -errno;
    if (log_path) {
        log_fd = open(log_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (log_fd < 0)
            return -errno;
    }
    return 0;
}

static int write_all(int fd, const char *data, uint64_t length, uint64_t offset)
{
    while (length > 0) {
        ssize_t count = pwrite(fd, data, length, offset);
        if (count < 0)
            return -errno;
        data += count;
        offset += count;
        length -= count;
    }
    return 0;
}

static int write_record(int fd, const struct pending *write, enum kind kind)
{
    struct log_record record = {write->sequence, write->time_ns, write->offset,
                                (uint32_t)write->length, kind};
    struct iovec parts[2] = {{&record, sizeof record}, {write->data, write->length}};
    ssize_t expected = sizeof record + write->length;
    return writev(fd, parts, write->data ? 2 : 1) == expected ? 0 : -EIO;
}

int media_read(char *data, uint64_t offset, uint64_t length)
{
    int result = 0;
    pthread_mutex_lock(&media_lock);
    for (uint64_t done = 0; done < length && result == 0;) {
        ssize_t count = pread(image_fd, data + done, length - done, offset + done);
        if (count <= 0)
            result = count < 0 ? -errno : -EIO;
        else
            done += count;
    }
    for (size_t i = cache_begin; i < cache_end; i++) {
        const struct pending *write = &cache[i];
        uint64_t begin = write->offset > offset ? write->offset : offset;
        uint64_t write_end = write->offset + write->length, end = offset + length;
        end = write_end < end ? write_end : end;
        if (begin < end)
            memcpy(data + (begin - offset), write->data + (begin - write->offset), end - begin);
    }
    pthread_mutex_unlock(&media_lock);
    return result;
}

static int apply_oldest(void)
{
    struct pending *write = &cache[cache_begin++];
    int result = write_all(image_fd, write->data, write->length, write->offset);
    cached_bytes -= write->length;
    free(write->data);
    if (cache_begin == cache_end)
        cache_begin = cache_end = 0;
    return result;
}

static int remember(const struct pending *write)
{
    if (cache_end == cache_room) {
        size_t count = cache_end - cache_begin;
        size_t room = count * 2 + 1024;
        struct pending *grown = malloc(room * sizeof *grown);
        if (!grown)
            return -ENOMEM;
        if (count > 0)
            memcpy(grown, cache + cache_begin, count * sizeof *grown);
        free(cache);
        cache = grown;
        cache_begin = 0;
        cache_end = count;
        cache_room = room;
    }
    cache[cache_end++] = *write;
    cached_bytes += write->length;
    return 0;
}

int media_write(char *data, uint64_t offset, uint64_t length)
{
    pthread_mutex_lock(&media_lock);
    struct pending write = {next_sequence++, now_ns(), offset, length, data};
    int result = frozen ? -EIO : 0;
    if (result == 0 && log_fd >= 0)
        result = write_record(log_fd, &write, KIND_WRITE);
    if (result == 0)
        result = remember(&write);
    if (result != 0)
        free(data);
    while (result == 0 && cached_bytes > model.cache_bytes)
        result = apply_oldest();
    pthread_mutex_unlock(&media_lock);
    return result;
}

static int apply_all(void)
{
    int result = frozen ? -EIO : 0;
    while (result == 0 && cache_begin < cache_end)
        result = apply_oldest();
    return result;
}

int media_flush(void)
{
    pthread_mutex_lock(&media_lock);
    int result = apply_all();
    struct pending mark = {next_sequence++, now_ns(), 0, 0, NULL};
    if (result == 0 && log_fd >= 0)
        result = write_record(log_fd, &mark, KIND_FLUSH);
    pthread_mutex_unlock(&media_lock);
    return result;
}

/* Flip bits of one byte where it lies: on the platter and in writes that still wait for it. */
int media_flip(uint64_t offset, unsigned char mask)
{
    unsigned char byte;
    if (offset >= model.size_bytes)
        return -ERANGE;
    pthread_mutex_lock(&media_lock);
    int result = pread(image_fd, &byte, 1, offset) == 1 ? 0 : -EIO;
    byte ^= mask;
    if (result == 0)
        result = write_all(image_fd, (char *)&byte, 1, offset);
    for (size_t i = cache_begin; i < cache_end; i++)
        if (cache[i].offset <= offset && offset < cache[i].offset + cache[i].length)
            cache[i].data[offset - cache[i].offset] ^= mask;
    pthread_mutex_unlock(&media_lock);
    return result;
}

/* Write what was not flushed to a file, as log records, and freeze the image as it is.
 * Under one lock: a flush is in the image as a whole or pending as a whole. */
int media_cut_power(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    int result = 0;
    pthread_mutex_lock(&media_lock);
    for (size_t i = cache_begin; i < cache_end && result == 0; i++)
        result = write_record(fd, &cache[i], KIND_WRITE);
    frozen = true;
    pthread_mutex_unlock(&media_lock);
    close(fd);
    return result;
}

/* Bring the image up to date without a flush of the host, for a snapshot of it. */
int media_settle(void)
{
    pthread_mutex_lock(&media_lock);
    int result = apply_all();
    pthread_mutex_unlock(&media_lock);
    return result;
}
