/* The head: requests wait in one queue and are served one at a time, in simulated real time.
 *
 * A request starts when it has arrived and the one before is done, takes its positioning and its
 * transfer by the model, and is answered at that very time: the thread sleeps until then, so what
 * the machine needs to move the bytes is inside the time and not on top of it.
 */
#include "hdd.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

/* A drive reads on after a request, and takes the next write while the last is on its way: what
 * goes on where the head stands loses nothing to the host's think time, up to a buffer of this. */
#define AHEAD_BYTES (1 << 20)
/* The choice of the nearest request must not starve a far one. In turns, as half a second of a
 * common disk is: so a disk that is slowed as a whole serves in the same order. */
#define WAIT_TURNS_MAX 60

static pthread_mutex_t queue_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t queue_filled = PTHREAD_COND_INITIALIZER;
static struct request *queue_first, **queue_last = &queue_first;
static uint64_t head_offset, free_at_ns;

uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * SECOND_NS + time.tv_nsec;
}

static double rate_at(uint64_t offset)
{
    double share = (double)offset / model.size_bytes;
    return model.rate_outer_bytes_per_s +
           (model.rate_inner_bytes_per_s - model.rate_outer_bytes_per_s) * share;
}

/* Seconds until the head is at `offset`; a small gap ahead passes below it faster than a seek. */
static double positioning_s(uint64_t offset, bool *seeks)
{
    *seeks = false;
    if (offset == head_offset)
        return 0;
    uint64_t distance = offset > head_offset ? offset - head_offset : head_offset - offset;
    double share = (double)distance / model.size_bytes;
    double seek_s = model.seek_min_s + (model.seek_max_s - model.seek_min_s) * sqrt(share);
    seek_s += 60 / model.rpm / 2;
    double gap_s = distance / rate_at(offset);
    *seeks = offset < head_offset || seek_s < gap_s;
    return *seeks ? seek_s : gap_s;
}

static struct request *take(struct request **link)
{
    struct request *request = *link;
    *link = request->next;
    if (!*link)
        queue_last = link;
    return request;
}

/* The nearest of the first `queue_depth` requests; none passes a flush or an old request. */
static struct request **nearest(void)
{
    struct request **best = &queue_first;
    double best_s = INFINITY;
    int seen = 0;
    double waited_s = (double)(now_ns() - queue_first->arrived_ns) / SECOND_NS;
    if (waited_s > WAIT_TURNS_MAX * 60 / model.rpm)
        return best;
    for (struct request **link = &queue_first; *link; link = &(*link)->next) {
        bool seeks;
        if ((*link)->kind == KIND_FLUSH || seen++ >= model.queue_depth)
            break;
        double cost_s = positioning_s((*link)->offset, &seeks);
        if (cost_s < best_s) {
            best_s = cost_s;
            best = link;
        }
    }
    return best;
}

static struct request *next_request(void)
{
    pthread_mutex_lock(&queue_lock);
    while (!queue_first)
        pthread_cond_wait(&queue_filled, &queue_lock);
    struct request *request = take(nearest());
    pthread_mutex_unlock(&queue_lock);
    return request;
}

void head_enqueue(struct request *request)
{
    request->arrived_ns = now_ns();
    request->next = NULL;
    pthread_mutex_lock(&queue_lock);
    *queue_last = request;
    queue_last = &request->next;
    pthread_cond_signal(&queue_filled);
    pthread_mutex_unlock(&queue_lock);
}

static void count(const struct request *request, double service_s, bool seeks)
{
    statistics.reads += request->kind == KIND_READ;
    statistics.writes += request->kind == KIND_WRITE;
    statistics.flushes += request->kind == KIND_FLUSH;
    statistics.seeks += seeks;
    statistics.busy_ns += (uint64_t)(service_s * SECOND_NS);
    *(request->kind == KIND_READ ? &statistics.read_bytes : &statistics.written_bytes) +=
        request->length;
}

/* Advance the head over a request; returns when it is done, 0 with the latency switched off. */
static uint64_t schedule(const struct request *request)
{
    bool seeks = false;
    double service_s = 0, ahead_s = 0;
    if (request->kind != KIND_FLUSH) {
        /* A flush takes no time of its own: the writes before it took theirs. */
        double rate = rate_at(request->offset + request->length / 2);
        bool goes_on = request->offset == head_offset;
        service_s = positioning_s(request->offset, &seeks) + request->length / rate;
        ahead_s = goes_on ? AHEAD_BYTES / rate : 0;
        head_offset = request->offset + request->length;
    }
    pthread_mutex_lock(&faults_lock);
    service_s *= faults.slow;
    bool latency = faults.latency;
    count(request, service_s, seeks);
    pthread_mutex_unlock(&faults_lock);
    uint64_t begin_ns = request->arrived_ns - (uint64_t)(ahead_s * SECOND_NS);
    begin_ns = begin_ns > free_at_ns ? begin_ns : free_at_ns;
    free_at_ns = latency ? begin_ns + (uint64_t)(service_s * SECOND_NS) : 0;
    return free_at_ns;
}

static void wait_until(uint64_t time_ns)
{
    if (time_ns == 0)
        return;
    struct timespec time = {time_ns / SECOND_NS, time_ns % SECOND_NS};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL) == EINTR)
        ;
    uint64_t now = now_ns();
    uint64_t late_ns = now > time_ns ? now - time_ns : 0;
    pthread_mutex_lock(&faults_lock);
    statistics.late_ns += late_ns;
    if (late_ns > statistics.late_max_ns)
        statistics.late_max_ns = late_ns;
    pthread_mutex_unlock(&faults_lock);
}

/* Wait while the disk hangs; returns the error that a fault gives this request, else 0. */
static int fault_of(const struct request *request)
{
    int error = 0;
    pthread_mutex_lock(&faults_lock);
    while (faults.hung)
        pthread_cond_wait(&faults_changed, &faults_lock);
    if (faults.dead || (faults.readonly && request->kind == KIND_WRITE))
        error = -EIO;
    for (int i = 0; i < faults.range_count && request->kind != KIND_FLUSH; i++) {
        const struct eio_range *range = &faults.ranges[i];
        bool meant = request->kind == KIND_READ ? range->reads : range->writes;
        uint64_t end = request->offset + request->length;
        if (meant && request->offset < range->end && range->begin < end)
            error = -EIO;
    }
    statistics.errors += error != 0;
    pthread_mutex_unlock(&faults_lock);
    return error;
}

static int perform(struct request *request, char **answer)
{
    int error = fault_of(request);
    if (error)
        return error;
    switch (request->kind) {
    case KIND_READ:
        *answer = malloc(request->length ? request->length : 1);
        return *answer ? media_read(*answer, request->offset, request->length) : -ENOMEM;
    case KIND_WRITE:
        error = media_write(request->data, request->offset, request->length);
        request->data = NULL;
        return error;
    default:
        return media_flush();
    }
}

static void reply(struct request *request, const char *answer, int error)
{
    if (error)
        fuse_reply_err(request->fuse, -error);
    else if (request->kind == KIND_READ)
        fuse_reply_buf(request->fuse, answer, request->length);
    else if (request->kind == KIND_WRITE)
        fuse_reply_write(request->fuse, request->length);
    else
        fuse_reply_err(request->fuse, 0);
}

static void *serve_forever(void *unused)
{
    (void)unused;
    /* The kernel rounds sleeps up by 50 microseconds otherwise, a hundredth of a small read. */
    prctl(PR_SET_TIMERSLACK, 1);
    for (;;) {
        struct request *request = next_request();
        uint64_t done_ns = schedule(request);
        char *answer = NULL;
        int error = perform(request, &answer);
        wait_until(done_ns);
        reply(request, answer, error);
        free(answer);
        free(request->data);
        free(request);
    }
    return NULL;
}

void head_start(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, serve_forever, NULL);
    pthread_detach(thread);
}
