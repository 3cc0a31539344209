/* A FUSE filesystem of one file, `disk`, to be put under a loop device.
 *
 *   hdd --mount FOLDER --socket PATH --image FILE --size BYTES [--outer RATE] [--inner RATE]
 *       [--seek-min S] [--seek-max S] [--rpm N] [--cache BYTES] [--queue N] [--fast] [--log FILE]
 *
 * Stays in the foreground until the folder is unmounted. Requests are only taken in here; the head
 * answers them from its own thread, so that the queue is seen as a drive sees it.
 */
#include "hdd.h"

#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#define DISK_NAME "disk"
#define DISK_INODE 2
#define REQUEST_BYTES_MAX (1u << 20)
#define FOREVER_S 86400.0
#ifndef PR_SET_IO_FLUSHER
#define PR_SET_IO_FLUSHER 57
#endif

struct model model = {
    .rate_outer_bytes_per_s = 160e6,
    .rate_inner_bytes_per_s = 80e6,
    .seek_min_s = 0.001,
    .seek_max_s = 0.015,
    .rpm = 7200,
    .cache_bytes = 64 << 20,
    .queue_depth = 32,
};
struct faults faults = {.latency = true, .slow = 1};
struct statistics statistics;
pthread_mutex_t faults_lock = PTHREAD_MUTEX_INITIALIZER;
pthread_cond_t faults_changed = PTHREAD_COND_INITIALIZER;

static void fill_attributes(fuse_ino_t inode, struct stat *attributes)
{
    memset(attributes, 0, sizeof *attributes);
    attributes->st_ino = inode;
    attributes->st_mode = inode == DISK_INODE ? S_IFREG | 0600 : S_IFDIR | 0700;
    attributes->st_nlink = inode == DISK_INODE ? 1 : 2;
    attributes->st_size = inode == DISK_INODE ? (off_t)model.size_bytes : 0;
    attributes->st_blksize = 4096;
}

static void do_init(void *unused, struct fuse_conn_info *connection)
{
    (void)unused;
    connection->max_write = REQUEST_BYTES_MAX;
    connection->max_background = 64;
    connection->congestion_threshold = 64;
}

static void do_lookup(fuse_req_t fuse, fuse_ino_t parent, const char *name)
{
    struct fuse_entry_param entry = {.ino = DISK_INODE, .attr_timeout = FOREVER_S};
    if (parent != FUSE_ROOT_ID || strcmp(name, DISK_NAME) != 0) {
        fuse_reply_err(fuse, ENOENT);
        return;
    }
    entry.entry_timeout = FOREVER_S;
    fill_attributes(DISK_INODE, &entry.attr);
    fuse_reply_entry(fuse, &entry);
}

static void do_getattr(fuse_req_t fuse, fuse_ino_t inode, struct fuse_file_info *file)
{
    struct stat attributes;
    (void)file;
    fill_attributes(inode, &attributes);
    fuse_reply_attr(fuse, &attributes, FOREVER_S);
}

/* Times and modes do not matter; the size never changes. */
static void do_setattr(fuse_req_t fuse, fuse_ino_t inode, struct stat *wanted, int which,
                       struct fuse_file_info *file)
{
    (void)wanted;
    if (which & FUSE_SET_ATTR_SIZE)
        fuse_reply_err(fuse, EPERM);
    else
        do_getattr(fuse, inode, file);
}

static void do_open(fuse_req_t fuse, fuse_ino_t inode, struct fuse_file_info *file)
{
    if (inode != DISK_INODE) {
        fuse_reply_err(fuse, EISDIR);
        return;
    }
    file->direct_io = 1; /* no page cache between the loop device and the drive */
    fuse_reply_open(fuse, file);
}

static void enqueue(fuse_req_t fuse, enum kind kind, off_t offset, size_t length, const char *data)
{
    struct request *request = calloc(1, sizeof *request);
    char *copy = data ? malloc(length) : NULL;
    if (!request || (data && !copy)) {
        free(request);
        fuse_reply_err(fuse, ENOMEM);
        return;
    }
    if (data)
        memcpy(copy, data, length);
    *request = (struct request){.kind = kind, .fuse = fuse, .data = copy};
    request->offset = offset;
    request->length = length;
    head_enqueue(request);
}

static void do_read(fuse_req_t fuse, fuse_ino_t inode, size_t length, off_t offset,
                    struct fuse_file_info *file)
{
    (void)inode, (void)file;
    uint64_t end = offset + length;
    if ((uint64_t)offset >= model.size_bytes)
        fuse_reply_buf(fuse, NULL, 0);
    else
        enqueue(fuse, KIND_READ, offset,
                end > model.size_bytes ? model.size_bytes - offset : length, NULL);
}

static void do_write(fuse_req_t fuse, fuse_ino_t inode, const char *data, size_t length,
                     off_t offset, struct fuse_file_info *file)
{
    (void)inode, (void)file;
    if (offset + length > model.size_bytes)
        fuse_reply_err(fuse, ENOSPC);
    else
        enqueue(fuse, KIND_WRITE, offset, length, data);
}

/* What the loop device makes of a flush of the block layer (and of FUA, which it lacks). */
static void do_fsync(fuse_req_t fuse, fuse_ino_t inode, int data_only, struct fuse_file_info *file)
{
    (void)inode, (void)data_only, (void)file;
    enqueue(fuse, KIND_FLUSH, 0, 0, NULL);
}

static const struct fuse_lowlevel_ops operations = {
    .init = do_init,
    .lookup = do_lookup,
    .getattr = do_getattr,
    .setattr = do_setattr,
    .open = do_open,
    .read = do_read,
    .write = do_write,
    .fsync = do_fsync,
};

struct places {
    const char *mount, *socket, *image, *log;
};

static int parse(int count, char **arguments, struct places *places)
{
    static const struct option options[] = {
        {"mount", 1, 0, 'm'},    {"socket", 1, 0, 's'},   {"image", 1, 0, 'i'},
        {"log", 1, 0, 'l'},      {"size", 1, 0, 'S'},     {"outer", 1, 0, 'O'},
        {"inner", 1, 0, 'I'},    {"seek-min", 1, 0, 'a'}, {"seek-max", 1, 0, 'b'},
        {"rpm", 1, 0, 'r'},      {"cache", 1, 0, 'c'},    {"queue", 1, 0, 'q'},
        {"fast", 0, 0, 'f'},     {0},
    };
    int letter;
    while ((letter = getopt_long(count, arguments, "", options, NULL)) != -1)
        switch (letter) {
        case 'm': places->mount = optarg; break;
        case 's': places->socket = optarg; break;
        case 'i': places->image = optarg; break;
        case 'l': places->log = optarg; break;
        case 'S': model.size_bytes = strtoull(optarg, NULL, 10); break;
        case 'O': model.rate_outer_bytes_per_s = atof(optarg); break;
        case 'I': model.rate_inner_bytes_per_s = atof(optarg); break;
        case 'a': model.seek_min_s = atof(optarg); break;
        case 'b': model.seek_max_s = atof(optarg); break;
        case 'r': model.rpm = atof(optarg); break;
        case 'c': model.cache_bytes = strtoull(optarg, NULL, 10); break;
        case 'q': model.queue_depth = atoi(optarg); break;
        case 'f': faults.latency = false; break;
        default: return -EINVAL;
        }
    bool complete = places->mount && places->socket && places->image && model.size_bytes > 0;
    return complete && model.queue_depth > 0 ? 0 : -EINVAL;
}

static int serve(struct places *places)
{
    char *words[] = {"hdd", "-o", "fsname=emulated-hdd,subtype=drystone-lab", NULL};
    struct fuse_args arguments = FUSE_ARGS_INIT(3, words);
    struct fuse_session *session =
        fuse_session_new(&arguments, &operations, sizeof operations, NULL);
    if (!session || fuse_session_mount(session, places->mount) != 0)
        return 1;
    /* The kernel must not wait for this process to free memory that only this process can clean. */
    prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
    head_start();
    int result = fuse_session_loop(session);
    fuse_session_unmount(session);
    return result < 0 ? 1 : 0;
}

int main(int count, char **arguments)
{
    struct places places = {0};
    /* Buffers of 1 MiB come and go all the time: keep them, instead of mapping each anew. */
    mallopt(M_MMAP_THRESHOLD, 1 << 26);
    mallopt(M_TRIM_THRESHOLD, 1 << 28);
    int error = parse(count, arguments, &places);
    if (error == 0)
        error = media_open(places.image, places.log);
    if (error == 0)
        error = control_start(places.socket);
    if (error) {
        fprintf(stderr, "hdd: %s\n", strerror(-error));
        return 2;
    }
    return serve(&places);
}
