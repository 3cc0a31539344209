/* An emulated hard disk: one file under a loop device. What the four parts know of each other.
 *
 *   hdd.c          the FUSE filesystem of one file, the command line
 *   hdd_head.c     the queue and the one head: when a request is done
 *   hdd_media.c    what a request does: image, volatile cache, log of writes
 *   hdd_control.c  the unix socket: faults, statistics, power cut
 */
#ifndef HDD_H
#define HDD_H

#define FUSE_USE_VERSION 314
#define _GNU_SOURCE
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SECOND_NS 1000000000ull
#define EIO_RANGES_MAX 64

enum kind { KIND_READ, KIND_WRITE, KIND_FLUSH };

struct request {
    enum kind kind;
    fuse_req_t fuse;
    uint64_t offset;
    uint64_t length;
    uint64_t arrived_ns;
    char *data; /* of a write; the media takes it over */
    struct request *next;
};

struct model {
    uint64_t size_bytes;
    double rate_outer_bytes_per_s;
    double rate_inner_bytes_per_s;
    double seek_min_s;
    double seek_max_s;
    double rpm;
    uint64_t cache_bytes; /* 0: every write is durable when it is answered */
    int queue_depth;      /* how many waiting requests the head chooses from (NCQ) */
};

struct eio_range {
    uint64_t begin, end;
    bool reads, writes;
};

/* What a person switches while the disk runs; under `faults_lock`. */
struct faults {
    bool dead, hung, readonly, latency;
    double slow;
    struct eio_range ranges[EIO_RANGES_MAX];
    int range_count;
};

struct statistics {
    uint64_t reads, writes, flushes, seeks, errors;
    uint64_t read_bytes, written_bytes;
    uint64_t busy_ns;     /* by the model: positioning and transfer */
    uint64_t late_ns;     /* how much later than the model the answers went out, in sum */
    uint64_t late_max_ns; /* and at the worst: a busy machine is not an honest disk */
};

extern struct model model;
extern struct faults faults;
extern struct statistics statistics;
extern pthread_mutex_t faults_lock; /* faults and statistics */
extern pthread_cond_t faults_changed;

uint64_t now_ns(void);

void head_start(void);
void head_enqueue(struct request *request);

int media_open(const char *image_path, const char *log_path);
int media_read(char *data, uint64_t offset, uint64_t length);
int media_write(char *data, uint64_t offset, uint64_t length);
int media_flush(void);
int media_flip(uint64_t offset, unsigned char mask);
int media_cut_power(const char *path);
int media_settle(void);

int control_start(const char *socket_path);

#endif
