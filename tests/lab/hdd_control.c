/* The control socket: a line of words asks, a line of JSON answers. Works while the disk hangs.
 *
 *   stats | reset-stats            die | revive            hang | resume
 *   slow FACTOR                    latency on|off          readonly on|off
 *   eio BEGIN END [read|write|both]    eio-clear           flip OFFSET MASK
 *   power-cut FILE                 settle
 */
#include "hdd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define WORDS_MAX 4
#define LINE_BYTES_MAX 8192

static void set_flag(bool *flag, bool value)
{
    pthread_mutex_lock(&faults_lock);
    *flag = value;
    pthread_cond_broadcast(&faults_changed);
    pthread_mutex_unlock(&faults_lock);
}

static int add_range(const char *begin, const char *end, const char *which)
{
    int result = 0;
    bool reads = strcmp(which, "write") != 0, writes = strcmp(which, "read") != 0;
    pthread_mutex_lock(&faults_lock);
    if (faults.range_count == EIO_RANGES_MAX)
        result = -ENOSPC;
    else
        faults.ranges[faults.range_count++] =
            (struct eio_range){strtoull(begin, NULL, 10), strtoull(end, NULL, 10), reads, writes};
    pthread_mutex_unlock(&faults_lock);
    return result;
}

static int set_slow(const char *factor)
{
    double value = atof(factor);
    if (!(value > 0))
        return -EINVAL;
    pthread_mutex_lock(&faults_lock);
    faults.slow = value;
    pthread_mutex_unlock(&faults_lock);
    return 0;
}

/* Dead for all that comes later first, then the cache is taken as it is. */
static int cut_power(const char *path)
{
    int result = media_cut_power(path);
    set_flag(&faults.dead, true);
    set_flag(&faults.hung, false);
    return result;
}

static void print_statistics(char *answer)
{
    pthread_mutex_lock(&faults_lock);
    const struct statistics *s = &statistics;
    snprintf(answer, LINE_BYTES_MAX,
             "{\"reads\": %llu, \"writes\": %llu, \"flushes\": %llu, \"seeks\": %llu, "
             "\"errors\": %llu, \"read_bytes\": %llu, \"written_bytes\": %llu, "
             "\"busy_s\": %.9f, \"late_s\": %.9f, \"late_max_s\": %.9f}\n",
             (unsigned long long)s->reads, (unsigned long long)s->writes,
             (unsigned long long)s->flushes, (unsigned long long)s->seeks,
             (unsigned long long)s->errors, (unsigned long long)s->read_bytes,
             (unsigned long long)s->written_bytes, s->busy_ns / 1e9, s->late_ns / 1e9,
             s->late_max_ns / 1e9);
    pthread_mutex_unlock(&faults_lock);
}

static int reset_statistics(void)
{
    pthread_mutex_lock(&faults_lock);
    statistics = (struct statistics){0};
    pthread_mutex_unlock(&faults_lock);
    return 0;
}

static int clear_ranges(void)
{
    pthread_mutex_lock(&faults_lock);
    faults.range_count = 0;
    pthread_mutex_unlock(&faults_lock);
    return 0;
}

static int switch_flag(const char *name, const char *value)
{
    static const struct {
        const char *name;
        bool *flag;
        int value; /* -1: the next word says on or off */
    } flags[] = {
        {"die", &faults.dead, 1},   {"revive", &faults.dead, 0},
        {"hang", &faults.hung, 1},  {"resume", &faults.hung, 0},
        {"readonly", &faults.readonly, -1}, {"latency", &faults.latency, -1},
    };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (strcmp(name, flags[i].name) == 0) {
            set_flag(flags[i].flag, flags[i].value < 0 ? strcmp(value, "on") == 0 : flags[i].value);
            return 0;
        }
    return -EINVAL;
}

static int obey(char words[][LINE_BYTES_MAX], int count)
{
    const char *verb = words[0];
    if (strcmp(verb, "reset-stats") == 0)
        return reset_statistics();
    if (strcmp(verb, "eio-clear") == 0)
        return clear_ranges();
    if (strcmp(verb, "settle") == 0)
        return media_settle();
    if (strcmp(verb, "slow") == 0 && count == 2)
        return set_slow(words[1]);
    if (strcmp(verb, "power-cut") == 0 && count == 2)
        return cut_power(words[1]);
    if (strcmp(verb, "flip") == 0 && count == 3)
        return media_flip(strtoull(words[1], NULL, 10), (unsigned char)atoi(words[2]));
    if (strcmp(verb, "eio") == 0 && count >= 3)
        return add_range(words[1], words[2], count > 3 ? words[3] : "both");
    return switch_flag(verb, count > 1 ? words[1] : "");
}

static void answer_line(const char *line, char *answer)
{
    static char words[WORDS_MAX][LINE_BYTES_MAX]; /* one connection is served at a time */
    int count = sscanf(line, "%s %s %s %s", words[0], words[1], words[2], words[3]);
    if (count >= 1 && strcmp(words[0], "stats") == 0) {
        print_statistics(answer);
        return;
    }
    int error = count >= 1 ? obey(words, count) : -EINVAL;
    if (error)
        snprintf(answer, LINE_BYTES_MAX, "{\"error\": \"%s\"}\n", strerror(-error));
    else
        snprintf(answer, LINE_BYTES_MAX, "{}\n");
}

static void *listen_forever(void *listener)
{
    char line[LINE_BYTES_MAX], answer[LINE_BYTES_MAX];
    for (;;) {
        int fd = accept((int)(intptr_t)listener, NULL, NULL);
        FILE *stream = fd >= 0 ? fdopen(fd, "r+") : NULL;
        while (stream && fgets(line, sizeof line, stream)) {
            answer_line(line, answer);
            if (write(fd, answer, strlen(answer)) < 0)
                break;
        }
        if (stream)
            fclose(stream);
    }
    return NULL;
}

int control_start(const char *socket_path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(socket_path) >= sizeof address.sun_path)
        return -ENAMETOOLONG;
    strcpy(address.sun_path, socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, 16) < 0)
        return -errno;
    pthread_t thread;
    pthread_create(&thread, NULL, listen_forever, (void *)(intptr_t)fd);
    pthread_detach(thread);
    return 0;
}
